package org.acme;
@org.springframework.boot.autoconfigure.SpringBootApplication public class Shop { public static void main(String[] a) { org.springframework.boot.SpringApplication.run(Shop.class, a); } }
