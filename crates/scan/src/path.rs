//! Paths inside images and archives.

/// Cleans a path as a runtime does that unpacks below a root: no leading slash, no `.`; `..` stops at the root.
pub(crate) fn clean(mut path: String) -> String {
    // As most tars have them: `usr/lib/x`, `./usr/lib/x`, and with a slash at the end of directories.
    let start = if path.starts_with("./") { 2 } else { usize::from(path.starts_with('/')) };
    let end = path.strip_suffix('/').map_or(path.len(), str::len);
    let inner = path.get(start..end).unwrap_or_default();
    if !inner.is_empty() && !inner.split('/').any(|part| matches!(part, "" | "." | "..")) {
        path.truncate(end);
        path.drain(..start);
        return path;
    }
    let mut out: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out.join("/")
}

/// The directory and the last component.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A path below a directory; the root is empty.
pub(crate) fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// The directories above a path, nearest first, without the root.
pub(crate) fn parents(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |p| p.rsplit_once('/').map(|(dir, _)| dir)).skip(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_root() {
        for (given, expected) in [
            ("etc/passwd", "etc/passwd"),
            ("./etc/passwd", "etc/passwd"),
            ("./etc/", "etc"),
            ("/etc", "etc"),
            (".//etc", "etc"),
            ("/./etc", "etc"),
            ("./", ""),
            ("/", ""),
            (".", ""),
            ("", ""),
            ("/a//b/", "a/b"),
            ("a//", "a"),
            ("a/.", "a"),
            ("../../etc/x", "etc/x"),
            ("a/../b", "b"),
            ("..", ""),
            ("..a/.b", "..a/.b"),
        ] {
            assert_eq!(clean(given.to_owned()), expected, "{given}");
        }
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
    }
}
