//! The merged view: what a runtime's file system holds after all layers so far, as far as analyzers care.

use crate::analyze::{self, Parsed};
use crate::walk::hash::PathHash;
use crate::walk::layer::{Facts, What};
use crate::walk::path;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Links followed for one path, at most: as many as Linux follows.
const HOPS: usize = 40;
/// Ways to spell one path through links that are considered, at most.
const SPELLINGS: usize = 64;

/// Wanted files, those told by their content, and all links, by path.
#[derive(Debug, Default)]
pub(crate) struct View {
    nodes: BTreeMap<String, Node>,
    layers: usize,
}

#[derive(Debug, Clone)]
struct Node {
    content: Content,
    /// The layer and the place in its tar that put it here.
    layer: usize,
    place: u32,
}

#[derive(Debug, Clone)]
enum Content {
    /// What it says, and the path by which it is wanted.
    File(Arc<Parsed>, Arc<str>),
    Symlink(String),
    /// A hard link to a file that was not kept; the path is the one it had when it was linked.
    Unread(String),
}

/// A moment while a layer is unpacked.
struct Now<'a> {
    facts: &'a Facts,
    hashes: &'a PathHash,
    place: u32,
}

impl View {
    /// Puts a layer on top: opaque directories first, then whiteouts, then what it adds. Tells whether that changed
    /// anything that is kept.
    pub(crate) fn apply(&mut self, facts: &Facts, hashes: &PathHash) -> bool {
        self.layers += 1;
        let before = self.nodes.len();
        for dir in &facts.opaque {
            let dir = self.canonical(dir);
            self.remove_below(&dir);
        }
        for gone in &facts.whiteouts {
            let gone = self.canonical_parent(gone);
            self.nodes.remove(&gone);
            self.remove_below(&gone);
        }
        for add in &facts.adds {
            self.add(&add.path, &add.what, &Now { facts, hashes, place: add.place });
        }
        self.replace_by_kind(facts, hashes);
        // Where nothing is added, all that can happen is that nodes go.
        !facts.adds.is_empty() || self.nodes.len() != before
    }

    fn add(&mut self, raw: &str, what: &What, now: &Now<'_>) {
        let path = self.parent_at(raw, Some(now));
        let content = match what {
            What::File(parsed, wanted) => Content::File(Arc::clone(parsed), Arc::clone(wanted)),
            What::Symlink(target) => Content::Symlink(target.clone()),
            What::Hardlink(target) => {
                let target = self.parent_at(target, Some(now));
                if target == path {
                    return;
                }
                let known = self.nodes.get(&target).map(|node| node.content.clone());
                known.unwrap_or(Content::Unread(target))
            }
        };
        self.remove_below(&path);
        self.nodes.insert(path, Node { content, layer: self.layers, place: now.place });
    }

    /// Entries that are not kept still replace: a file hides what was at and below its path before it, a directory
    /// replaces a link or a file.
    fn replace_by_kind(&mut self, facts: &Facts, hashes: &PathHash) {
        if facts.files.is_empty() && facts.dirs.is_empty() {
            return;
        }
        let links = self.links_written_through(facts, hashes);
        let layer = self.layers;
        let mut parents = Vec::new();
        self.nodes.retain(|path, node| {
            let since = node.place_in(layer);
            let file = |hash| facts.files.between(hash, since, u32::MAX);
            let mut gone = |p: &str| {
                let own = hashes.with_parents(p, &mut parents);
                file(own) || facts.dirs.between(own, since, u32::MAX) || parents.iter().copied().any(file)
            };
            if links.is_empty() { !gone(path) } else { !spellings(path, &links).iter().any(|p| gone(p)) }
        });
    }

    /// Links that entries of a layer go through, by where they lead. Mostly there are none.
    fn links_written_through(&self, facts: &Facts, hashes: &PathHash) -> HashMap<String, Vec<String>> {
        let symlinks = || self.nodes.iter().filter(|(_, node)| matches!(node.content, Content::Symlink(_)));
        let mut links: HashMap<String, Vec<String>> = HashMap::new();
        if symlinks().any(|(path, _)| facts.above.contains(&hashes.of(path))) {
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

    fn parent_at(&self, path: &str, now: Option<&Now<'_>>) -> String {
        let (dir, name) = path::split(path);
        path::join(&self.canonical_at(dir, now), name)
    }

    fn canonical_at(&self, path: &str, now: Option<&Now<'_>>) -> String {
        let mut todo: Vec<String> = path.rsplit('/').filter(|p| !p.is_empty()).map(str::to_owned).collect();
        let mut done = String::new();
        let mut hops = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "." => continue,
                ".." => {
                    done = path::split(&done).0.to_owned();
                    continue;
                }
                _ => {}
            }
            let here = path::join(&done, &part);
            match self.nodes.get(&here).filter(|node| self.is_live(&here, node, now)) {
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

    /// Whether a node is still there in the middle of its layer, or already replaced by an entry that is not kept.
    fn is_live(&self, path: &str, node: &Node, now: Option<&Now<'_>>) -> bool {
        let Some(Now { facts, hashes, place }) = now else { return true };
        let since = node.place_in(self.layers);
        let hash = hashes.of(path);
        !facts.files.between(hash, since, *place) && !facts.dirs.between(hash, since, *place)
    }

    /// Every path at which an installed package's evidence lies, and the path by which an analyzer wants it.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str, &Arc<Parsed>)> {
        self.nodes.iter().filter_map(|(path, node)| {
            let Content::File(parsed, wanted) = &node.content else { return None };
            if parsed.by_content || analyze::wants(path) {
                return Some((path.as_str(), path.as_str(), parsed));
            }
            // Elsewhere, a file counts while the link that leads to it stands.
            (self.canonical(wanted) == *path).then_some((path.as_str(), &**wanted, parsed))
        })
    }

    /// The parsed content behind a path, through links.
    pub(crate) fn get(&self, path: &str) -> Option<&Arc<Parsed>> {
        match &self.nodes.get(&self.canonical(path))?.content {
            Content::File(parsed, _) => Some(parsed),
            _ => None,
        }
    }

    /// Where the content of a hard link is that was not kept.
    pub(crate) fn unread(&self, path: &str) -> Option<&str> {
        match &self.nodes.get(path)?.content {
            Content::Unread(target) => Some(target),
            _ => None,
        }
    }

    /// Whether the file's content was kept.
    pub(crate) fn holds(&self, path: &str) -> bool {
        self.nodes.get(path).is_some_and(|node| matches!(node.content, Content::File(..)))
    }
}

impl Node {
    /// Its place in the tar of `layer`; what lower layers put there came before all.
    fn place_in(&self, layer: usize) -> u32 {
        if self.layer == layer { self.place } else { 0 }
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
