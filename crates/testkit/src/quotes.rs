//! Code that a page quotes: every block below a comment `<!-- from: PATH -->` is in that file as it is, so that a page
//! which explains the code cannot fall behind it.

use std::fs;
use std::path::Path;

/// A block of code, and the file that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The file's path in the repository.
    pub path: String,
    /// The lines of the block.
    pub text: String,
}

/// All quotes of a Markdown file, in order.
pub fn quotes(page: &Path) -> Vec<Quote> {
    let text = fs::read_to_string(page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
    let mut all = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(path) = line.strip_prefix("<!-- from: ").and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let fence = lines.next().unwrap_or_default();
        assert!(fence.starts_with("```"), "{}: no block of code follows {line:?}", page.display());
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        all.push(Quote { path: path.to_owned(), text: block.join("\n") + "\n" });
    }
    all
}

/// Checks the quotes of a page against the files below `root`; returns how many there are.
pub fn check(root: &Path, page: &Path) -> usize {
    let all = quotes(page);
    for Quote { path, text } in &all {
        let file = fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}, quoted: {e}"));
        assert!(file.contains(text), "{}: {path} does not have this block any more:\n{text}", page.display());
    }
    all.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that explains code, or shows output, quotes it.
    const WITH_QUOTES: [&str; 2] = ["adding.md", "formats.md"];

    #[test]
    fn pages_quote_the_code_as_it_is() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
        for page in pages.filter(|page| page.extension().is_some_and(|end| end == "md")) {
            let count = check(&root, &page);
            let is_expected = page.file_name().is_some_and(|name| WITH_QUOTES.iter().any(|page| name == *page));
            assert!(count > 0 || !is_expected, "{}: it has no quotes", page.display());
        }
    }

    #[test]
    #[should_panic(expected = "does not have this block any more")]
    fn a_block_that_is_not_in_its_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("code.rs"), "fn a() {}\nfn b() {}\n").unwrap();
        let page = dir.path().join("page.md");
        fs::write(&page, "<!-- from: code.rs -->\n```rust\nfn b() {}\n```\n").unwrap();
        assert_eq!(check(dir.path(), &page), 1);
        fs::write(&page, "<!-- from: code.rs -->\n```rust\nfn b() { }\n```\n").unwrap();
        check(dir.path(), &page);
    }
}
