package org.acme; public class Shop { public static void main(String[] a) { System.out.println(org.acme.core.Core.hi()); } }
