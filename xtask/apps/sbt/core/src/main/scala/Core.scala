package org.acme.core; object Core { def hi = "hi" }
