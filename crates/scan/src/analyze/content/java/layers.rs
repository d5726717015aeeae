//! The layers that Spring Boot's plugins sort an archive's content into (Spring Boot, "Layered Jars"). The plugins put modules
//! of the same build in the layer `application`, and what comes from a repository in others.

/// The layer of the application.
const OWN: &str = "application";

/// Whether an entry is the index of layers.
pub(super) fn is_index(name: &str) -> bool {
    matches!(name, "BOOT-INF/layers.idx" | "WEB-INF/layers.idx")
}

/// The archives that an index has as modules of the application itself.
pub(super) fn own_modules(text: &str) -> Vec<String> {
    let mut layer = String::new();
    let mut out = Vec::new();
    for line in text.lines() {
        let quoted = line.trim_start().strip_prefix("- \"");
        if let Some(name) = quoted.and_then(|rest| rest.strip_suffix("\":")) {
            name.clone_into(&mut layer);
        } else if let Some(path) = quoted.and_then(|rest| rest.strip_suffix('"')).filter(|_| layer == OWN) {
            out.extend(super::is_named(path).then(|| path.to_owned()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_the_same_build_are_in_the_applications_layer() {
        let check = |text: &str, expected: &[&str]| assert_eq!(own_modules(text), expected, "{text}");
        let index = "- \"dependencies\":\n  - \"BOOT-INF/lib/a-1.jar\"\n- \"spring-boot-loader\":\n  - \"org/\"\n\
                     - \"snapshot-dependencies\":\n- \"application\":\n  - \"BOOT-INF/classes/\"\n\
                     - \"BOOT-INF/lib/core-1.2.0.jar\"\n  - \"META-INF/\"\n";
        check(index, &["BOOT-INF/lib/core-1.2.0.jar"]);
        check("- \"dependencies\":\r\n  - \"BOOT-INF/lib/\"\r\n- \"application\":\r\n  - \"a.jar\"\r\n", &["a.jar"]);
        check("", &[]);
        check("application", &[]);
    }
}
