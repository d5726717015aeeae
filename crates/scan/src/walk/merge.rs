//! The merged view: the file system that a runtime makes of all layers so far, as far as analyzers need it.

use crate::analyze::{self, ParsedFile};
use crate::path;
use crate::walk::diff::{EntryKind, LayerDiff, LayerEntry};
use crate::walk::hash::PathHash;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Links followed for one path, at most: as many as Linux follows.
const HOPS: usize = 40;
/// Ways to spell one path through links that are considered, at most. Links to directories of links multiply the ways.
const SPELLINGS: usize = 64;

/// Wanted files, those detected by their content, and all links, by path.
#[derive(Debug, Default)]
pub(crate) struct MergedView {
    nodes: BTreeMap<String, Node>,
    layers: usize,
}

#[derive(Debug, Clone)]
struct Node {
    content: Content,
    /// The layer and the position in its tar that put it here.
    layer: usize,
    position: u32,
}

#[derive(Debug, Clone)]
enum Content {
    /// Its parsed content, and the path by which it is wanted.
    File(Arc<ParsedFile>, Arc<str>),
    Symlink(String),
    /// A hard link to a file that was not recorded; the path is the one it had when it was linked.
    Unrecorded(String),
}

/// A point in the unpacking of a layer: before the entry at `position`.
struct UnpackPoint<'a> {
    diff: &'a LayerDiff,
    hashes: &'a PathHash,
    position: u32,
}

impl MergedView {
    /// Puts a layer on top: opaque directories first, then whiteouts, then what it adds, which they do
    /// not hide (OCI image-spec, "Whiteouts"). Returns whether that changed anything recorded.
    pub(crate) fn apply(&mut self, diff: &LayerDiff, hashes: &PathHash) -> bool {
        self.layers += 1;
        let before = self.nodes.len();
        for dir in &diff.opaque {
            let dir = self.canonical(dir);
            self.remove_below(&dir);
        }
        for gone in &diff.whiteouts {
            let gone = self.canonical_parent(gone);
            self.nodes.remove(&gone);
            self.remove_below(&gone);
        }
        for entry in &diff.entries {
            self.add(entry, &UnpackPoint { diff, hashes, position: entry.position });
        }
        self.replace_by_kind(diff, hashes);
        // Where nothing is added, nodes can only be removed.
        !diff.entries.is_empty() || self.nodes.len() != before
    }

    fn add(&mut self, entry: &LayerEntry, now: &UnpackPoint<'_>) {
        let path = self.parent_at(&entry.path, Some(now));
        let content = match &entry.kind {
            EntryKind::File(parsed, wanted) => Content::File(Arc::clone(parsed), Arc::clone(wanted)),
            EntryKind::Symlink(target) => Content::Symlink(target.clone()),
            EntryKind::Hardlink(target) => {
                let target = self.parent_at(target, Some(now));
                if target == path {
                    return;
                }
                let known = self.nodes.get(&target).map(|node| node.content.clone());
                known.unwrap_or(Content::Unrecorded(target))
            }
        };
        self.remove_below(&path);
        self.nodes.insert(path, Node { content, layer: self.layers, position: now.position });
    }

    /// Entries that are not recorded still replace: a file hides what was at and below its path before it, a directory
    /// replaces a link or a file.
    fn replace_by_kind(&mut self, diff: &LayerDiff, hashes: &PathHash) {
        if diff.files.is_empty() && diff.dirs.is_empty() {
            return;
        }
        let links = self.links_written_through(diff, hashes);
        let layer = self.layers;
        let mut replaced = ReplacedPaths { diff, hashes, parents: Vec::new() };
        self.nodes.retain(|path, node| {
            let since = node.position_in(layer);
            if links.is_empty() {
                !replaced.has(path, since)
            } else {
                !spellings(path, &links).iter().any(|p| replaced.has(p, since))
            }
        });
    }

    /// Links that entries of a layer are written through, by their target. Mostly there are none.
    fn links_written_through(&self, diff: &LayerDiff, hashes: &PathHash) -> HashMap<String, Vec<String>> {
        let symlinks = || self.nodes.iter().filter(|(_, node)| matches!(node.content, Content::Symlink(_)));
        let mut links: HashMap<String, Vec<String>> = HashMap::new();
        // Resolving all links for every layer would cost far more than asking whether one of them is a directory of an
        // entry.
        if symlinks().any(|(path, _)| diff.above.contains(&hashes.of(path))) {
            for (path, _) in symlinks() {
                links.entry(self.canonical(path)).or_default().push(path.clone());
            }
        }
        links
    }

    fn remove_below(&mut self, dir: &str) {
        if dir.is_empty() {
            self.nodes.clear();
            return;
        }
        let prefix = format!("{dir}/");
        let below = self.nodes.range(prefix.clone()..).take_while(|(p, _)| p.starts_with(&prefix));
        let below: Vec<String> = below.map(|(p, _)| p.clone()).collect();
        below.iter().for_each(|p| {
            self.nodes.remove(p);
        });
    }

    /// The path with the links of its directories followed, its last component as it is.
    pub(crate) fn canonical_parent(&self, path: &str) -> String {
        self.parent_at(path, None)
    }

    /// The path with all links followed, inside the root; where links loop, the path so far.
    pub(crate) fn canonical(&self, path: &str) -> String {
        self.canonical_at(path, None)
    }

    fn parent_at(&self, path: &str, now: Option<&UnpackPoint<'_>>) -> String {
        let (dir, name) = path::split(path);
        path::join(&self.canonical_at(dir, now), name)
    }

    fn canonical_at(&self, path: &str, now: Option<&UnpackPoint<'_>>) -> String {
        let mut todo: Vec<String> = path.rsplit('/').filter(|p| !p.is_empty()).map(str::to_owned).collect();
        let mut done = String::new();
        let mut hops = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "." => continue,
                ".." => {
                    // Of what the links led to, as the kernel resolves it, not of the text; above the root is the root.
                    done = path::split(&done).0.to_owned();
                    continue;
                }
                _ => {}
            }
            let here = path::join(&done, &part);
            match self.nodes.get(&here).filter(|node| self.is_live(&here, node, now)) {
                // Beyond, a link counts as a file of its name: a loop must end.
                Some(Node { content: Content::Symlink(target), .. }) if hops < HOPS => {
                    hops += 1;
                    if target.starts_with('/') {
                        done.clear();
                    }
                    todo.extend(target.rsplit('/').filter(|p| !p.is_empty()).map(str::to_owned));
                }
                _ => done = here,
            }
        }
        done
    }

    /// Whether a node is still there in the middle of its layer, or already replaced by an entry that is not recorded.
    fn is_live(&self, path: &str, node: &Node, now: Option<&UnpackPoint<'_>>) -> bool {
        let Some(UnpackPoint { diff, hashes, position }) = now else { return true };
        let since = node.position_in(self.layers);
        let hash = hashes.of(path);
        !diff.files.between(hash, since, *position) && !diff.dirs.between(hash, since, *position)
    }

    /// Every path of a file that counts, and the path by which an analyzer wants it.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str, &Arc<ParsedFile>)> {
        self.nodes.iter().filter_map(|(path, node)| self.counted(path, node))
    }

    fn counted<'a>(&'a self, path: &'a str, node: &'a Node) -> Option<(&'a str, &'a str, &'a Arc<ParsedFile>)> {
        let Content::File(parsed, wanted) = &node.content else { return None };
        if parsed.by_content && analyze::is_never_run(path) {
            return None;
        }
        if parsed.by_content || analyze::wants(path) {
            return Some((path, path, parsed));
        }
        // Elsewhere, a file counts while the link that leads to it is there.
        (self.canonical(wanted) == *path).then_some((path, &**wanted, parsed))
    }

    /// The parsed content behind a path, through links.
    pub(crate) fn get(&self, path: &str) -> Option<&Arc<ParsedFile>> {
        match &self.nodes.get(&self.canonical(path))?.content {
            Content::File(parsed, _) => Some(parsed),
            _ => None,
        }
    }

    /// Where the content of a hard link is, when that was not recorded.
    pub(crate) fn unrecorded(&self, path: &str) -> Option<&str> {
        match &self.nodes.get(path)?.content {
            Content::Unrecorded(target) => Some(target),
            _ => None,
        }
    }

    /// Whether a path, the links above it followed, is a symbolic link.
    pub(crate) fn is_symlink(&self, path: &str) -> bool {
        self.nodes.get(path).is_some_and(|node| matches!(node.content, Content::Symlink(_)))
    }

    /// Whether the file's content was recorded.
    pub(crate) fn has_recorded(&self, path: &str) -> bool {
        self.nodes.get(path).is_some_and(|node| matches!(node.content, Content::File(..)))
    }
}

impl Node {
    /// Its position in the tar of `layer`; what lower layers put there precedes all.
    fn position_in(&self, layer: usize) -> u32 {
        if self.layer == layer { self.position } else { 0 }
    }
}

/// The paths that files and directories of a layer replace.
struct ReplacedPaths<'a> {
    diff: &'a LayerDiff,
    hashes: &'a PathHash,
    /// Used again for each path.
    parents: Vec<u64>,
}

impl ReplacedPaths<'_> {
    /// Whether an entry after the position `since` replaces the path.
    fn has(&mut self, path: &str, since: u32) -> bool {
        let own = self.hashes.with_parents(path, &mut self.parents);
        let file = |hash| self.diff.files.between(hash, since, u32::MAX);
        file(own) || self.diff.dirs.between(own, since, u32::MAX) || self.parents.iter().copied().any(file)
    }
}

/// The ways to write a path through links.
fn spellings(path: &str, links: &HashMap<String, Vec<String>>) -> Vec<String> {
    let mut out = vec![path.to_owned()];
    let mut next = 0;
    while let Some(known) = out.get(next).cloned().filter(|_| out.len() < SPELLINGS) {
        next += 1;
        for dir in std::iter::once(known.as_str()).chain(path::parents(&known)) {
            let rest = known.get(dir.len()..).unwrap_or_default();
            for link in links.get(dir).into_iter().flatten() {
                let spelled = format!("{link}{rest}");
                if !out.contains(&spelled) {
                    out.push(spelled);
                }
            }
        }
    }
    out
}
