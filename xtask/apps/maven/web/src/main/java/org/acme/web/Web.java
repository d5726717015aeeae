package org.acme.web; public class Web { public static String hi() { return org.acme.core.Core.hi(); } }
