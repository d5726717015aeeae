package org.acme; object Shop extends App { println(core.Core.hi) }
