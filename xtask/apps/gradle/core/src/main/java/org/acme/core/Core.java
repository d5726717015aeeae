package org.acme.core; public class Core { public static String hi() { return "hi"; } }
