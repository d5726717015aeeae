//! The commands of a document, as a reader runs them.
//!
//! Above every fenced block of shell stands a comment: `<!-- run: NAME -->` where a test of that name runs it as written,
//! `<!-- long: WHY -->` where none does.

use std::fs;
use std::path::Path;

/// A block of shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its comment: `run: NAME` or `long: WHY`.
    pub label: String,
    /// Its lines.
    pub script: String,
}

/// All blocks of a Markdown file, in order.
pub fn blocks(file: &Path) -> Vec<Block> {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let (mut all, mut label, mut open) = (Vec::new(), String::new(), None::<Vec<&str>>);
    for line in text.lines() {
        match (&mut open, line) {
            (Some(_), "```") => {
                let script = open.take().unwrap_or_default().join("\n");
                all.push(Block { label: std::mem::take(&mut label), script });
            }
            (Some(lines), _) => lines.push(line),
            (None, "```sh") => open = Some(Vec::new()),
            (None, _) => {
                if let Some(said) = line.strip_prefix("<!-- ").and_then(|l| l.strip_suffix(" -->")) {
                    said.clone_into(&mut label);
                }
            }
        }
    }
    all
}

/// The one block that a test of this name runs.
#[track_caller]
pub fn script(file: &Path, name: &str) -> String {
    let wanted = format!("run: {name}");
    let found: Vec<Block> = blocks(file).into_iter().filter(|block| block.label == wanted).collect();
    assert_eq!(found.len(), 1, "{} has {} blocks labelled {wanted:?}", file.display(), found.len());
    found.into_iter().map(|block| block.script).collect()
}
