use super::tests::{check, jar, pom};

#[test]
fn names_with_a_group_in_front() {
    let with = |text: &str, class: &str| jar(&[("META-INF/MANIFEST.MF", text.as_bytes()), (class, b"")]);
    // Bundles are named by group and artifact, so that the file's name is the bundle's too.
    let bundle = with("Bundle-SymbolicName: com.typesafe.config\nBundle-Version: 1.4.3\n", "com/typesafe/A.class");
    check("lib/com.typesafe.config-1.4.3.jar", &bundle, &["com.typesafe:config 1.4.3"]);
    check("lib/config-1.4.3.jar", &bundle, &["com.typesafe:config 1.4.3"]);
    check("lib/com.typesafe-config-1.4.3.jar", &bundle, &["com.typesafe:config 1.4.3"]);
    let poi =
        with("Automatic-Module-Name: org.apache.poi.poi\nImplementation-Version: 5.3.0\n", "org/apache/poi/A.class");
    check("app/org.apache.poi.poi-5.3.0.jar", &poi, &["org.apache.poi:poi 5.3.0"]);
    check("all.ear/org.apache.poi-poi-5.3.0.jar", &poi, &["org.apache.poi:poi 5.3.0"]);
    let known = pom("com.fasterxml.woodstox", "woodstox-core", "6.6.2");
    let bundle = b"Bundle-SymbolicName: com.fasterxml.woodstox.woodstox-core\nBundle-Version: 6.6.2\n";
    let other = pom("net.java.dev.msv", "xsdlib", "2022.7");
    let known = jar(&[(&known.0, &known.1), (&other.0, &other.1), ("META-INF/MANIFEST.MF", bundle)]);
    let expected = ["com.fasterxml.woodstox:woodstox-core 6.6.2", "net.java.dev.msv:xsdlib 2022.7"];
    for name in ["woodstox-core", "com.fasterxml.woodstox.woodstox-core", "com.fasterxml.woodstox-woodstox-core"] {
        check(&format!("{name}-6.6.2.jar"), &known, &expected);
    }
    let netty = pom("io.netty", "netty-common", "4.1.0.Final");
    check("modified-io.netty.netty-common-4.1.0.Final.jar", &jar(&[(&netty.0, &netty.1)]), &["io.netty:netty-common"]);
    let otel = jar(&[("io/opentelemetry/A.class", b"")]);
    let name = "modified-io.opentelemetry.opentelemetry-exporter-otlp-1.57.0.jar";
    check(name, &otel, &["io.opentelemetry:opentelemetry-exporter-otlp 1.57.0"]);
    check("modified-1.0.jar", &otel, &["modified 1.0"]);
}

#[test]
fn files_without_a_version_in_their_name() {
    let with = |text: &str, class: &str| jar(&[("META-INF/MANIFEST.MF", text.as_bytes()), (class, b"")]);
    let check =
        |file: &str, manifest: &str, class: &str, expected: &[&str]| check(file, &with(manifest, class), expected);
    let lucene = "Implementation-Title: org.apache.lucene\nImplementation-Version: 9.12.0 e9137967 - someone\n";
    check("lucene-core.jar", lucene, "org/apache/lucene/A.class", &["org.apache.lucene:lucene-core 9.12.0"]);
    let poi =
        "Implementation-Title: Apache POI\nAutomatic-Module-Name: org.apache.poi.poi\nImplementation-Version: 5.3.0\n";
    check("poi.jar", poi, "org/apache/poi/A.class", &["org.apache.poi:poi 5.3.0"]);
    let other =
        "Implementation-Title: An Example\nAutomatic-Module-Name: org.example.text\nImplementation-Version: 2.0\n";
    check("example-text.jar", other, "org/example/A.class", &["org.example:example-text 2.0"]);
    let package = "Manifest-Version: 1.0\r\n\r\nName: org/apache/xmlbeans/\r\nImplementation-Version: 5.2.1\r\n";
    check("xmlbeans.jar", package, "org/apache/xmlbeans/A.class", &["org.apache.xmlbeans:xmlbeans 5.2.1"]);
    let packages = format!("{package}\r\nName: org/apache/other/\r\nImplementation-Version: 2\r\n");
    check("xmlbeans.jar", &packages, "org/apache/xmlbeans/A.class", &["org.apache.xmlbeans:xmlbeans"]);
    let entry = "Manifest-Version: 1.0\n\nName: a/A.class\nImplementation-Version: 5.2.1\n";
    check("xmlbeans.jar", entry, "org/apache/xmlbeans/A.class", &["org.apache.xmlbeans:xmlbeans"]);
    let kotlin = "Implementation-Title: kotlin-stdlib\nImplementation-Version: 1.8.21-release-380(1.8.21)\n";
    check("kotlin-stdlib.jar", kotlin, "kotlin/A.class", &["org.jetbrains.kotlin:kotlin-stdlib 1.8.21"]);
    let bundle = "Bundle-SymbolicName: com.squareup.okio\nBundle-Version: 3.6.0\n";
    check("okio-jvm.jar", bundle, "okio/A.class", &["com.squareup.okio:okio-jvm 3.6.0"]);
    let vendor = "Implementation-Version: 7.0\nImplementation-Vendor-Id: org.example\n";
    check("annotations-of-example.jar", vendor, "org/example/A.class", &["org.example:annotations-of-example 7.0"]);
    let bridge = "Implementation-Title: log4j-1.2-api\nImplementation-Version: 2.20.0\n";
    check(
        "log4j-1.2-api.jar",
        bridge,
        "org/apache/logging/A.class",
        &["org.apache.logging.log4j:log4j-1.2-api 2.20.0"],
    );
    // Nothing has its version: it is listed, so that the report has a gap for it.
    check("okhttp.jar", "Automatic-Module-Name: okhttp3\n", "okhttp3/A.class", &["com.squareup.okhttp3:okhttp"]);
    check("shop.jar", "Manifest-Version: 1.0\n", "org/acme/A.class", &[]);
    // The manifest of an older release was left in it.
    let old = "Implementation-Version: 1.6\n";
    check(
        "commons-beanutils-1.7.0.jar",
        old,
        "org/apache/commons/A.class",
        &["commons-beanutils:commons-beanutils 1.7.0"],
    );
    // The manifest tells where a version begins.
    let odd = "Implementation-Title: ivy\nImplementation-Version: 2.3.0-sbt-396a78\nImplementation-Vendor-Id: org.scala-sbt.ivy\n";
    check("ivy-2.3.0-sbt-396a78.jar", odd, "org/apache/ivy/A.class", &["org.scala-sbt.ivy:ivy 2.3.0-sbt-396a78"]);
    // sbt states the group that an artifact was published in.
    let moved = "Implementation-Vendor-Id: org.playframework\nImplementation-Version: 3.0.4\n";
    check("play-json_2.13-3.0.4.jar", moved, "play/A.class", &["org.playframework:play-json_2.13 3.0.4"]);
    // Builds of a snapshot are before its release.
    check("core-1.0-20240102.123456-3.jar", "", "org/acme/A.class", &["core 1.0-SNAPSHOT"]);
}
