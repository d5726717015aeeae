//! The merged view: what a runtime's file system holds after all layers so far, as far as analyzers care.

use crate::analyze::Parsed;
use crate::walk::layer::{Add, Facts};
use crate::walk::path;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Links followed for one path, at most: as many as Linux follows.
const HOPS: usize = 40;

/// Wanted files and all links, by path.
#[derive(Debug, Default)]
pub(crate) struct View {
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Clone)]
enum Node {
    File(Arc<Parsed>),
    Symlink(String),
    /// Linked to a file that was not kept; the path is where its content is.
    Unread(String),
}

impl View {
    /// Puts a layer on top: opaque directories first, then whiteouts, then what it adds.
    pub(crate) fn apply(&mut self, facts: &Facts, hashes: &RandomState) {
        for dir in &facts.opaque {
            let dir = self.canonical(dir);
            self.remove_below(&dir);
        }
        for gone in &facts.whiteouts {
            let gone = self.canonical_parent(gone);
            self.nodes.remove(&gone);
            self.remove_below(&gone);
        }
        self.replace_by_kind(facts, hashes);
        for (raw, add) in &facts.adds {
            self.add(raw, add);
        }
    }

    /// Entries that are not kept still replace: a file hides what was below its path, a directory replaces a link.
    fn replace_by_kind(&mut self, facts: &Facts, hashes: &RandomState) {
        let in_layer = |set: &std::collections::HashSet<u64>, p: &str| set.contains(&hashes.hash_one(p));
        self.nodes.retain(|path, node| {
            let hidden = path::parents(path).any(|dir| in_layer(&facts.files, dir));
            let same_file = in_layer(&facts.files, path);
            let replaced = match node {
                Node::Symlink(_) => same_file || in_layer(&facts.dirs, path),
                Node::File(_) | Node::Unread(_) => same_file || in_layer(&facts.dirs, path),
            };
            !hidden && !replaced
        });
    }

    fn add(&mut self, raw: &str, add: &Add) {
        let path = self.canonical_parent(raw);
        let node = match add {
            Add::File(parsed) => Some(Node::File(Arc::clone(parsed))),
            Add::Symlink(target) => Some(Node::Symlink(target.clone())),
            Add::Hardlink(target) => {
                let target = self.canonical_parent(target);
                Some(self.nodes.get(&target).cloned().unwrap_or(Node::Unread(target)))
            }
            Add::Directory => None,
        };
        self.nodes.remove(&path);
        if let Some(node) = node {
            self.remove_below(&path);
            self.nodes.insert(path, node);
        }
    }

    fn remove_below(&mut self, dir: &str) {
        if dir.is_empty() {
            self.nodes.clear();
            return;
        }
        let prefix = format!("{dir}/");
        let below: Vec<String> = self
            .nodes
            .range(prefix.clone()..)
            .take_while(|(p, _)| p.starts_with(&prefix))
            .map(|(p, _)| p.clone())
            .collect();
        below.iter().for_each(|p| {
            self.nodes.remove(p);
        });
    }

    /// The path with the links of its directories followed, its last component as it is.
    fn canonical_parent(&self, path: &str) -> String {
        let (dir, name) = path::split(path);
        path::join(&self.canonical(dir), name)
    }

    /// The path with all links followed, inside the root; where links loop, the path so far.
    pub(crate) fn canonical(&self, path: &str) -> String {
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
            match self.nodes.get(&here) {
                Some(Node::Symlink(target)) if hops < HOPS => {
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

    /// Every path whose content an analyzer has read, links to such files included.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &Arc<Parsed>)> {
        self.nodes.iter().filter_map(|(path, node)| match node {
            Node::File(parsed) => Some((path.as_str(), parsed)),
            _ => None,
        })
    }

    /// The parsed content behind a path, through links.
    pub(crate) fn get(&self, path: &str) -> Option<&Arc<Parsed>> {
        match self.nodes.get(&self.canonical(path)) {
            Some(Node::File(parsed)) => Some(parsed),
            _ => None,
        }
    }

    /// Where the content of `path` would be, when it was not read: (real path, path whose analyzer wants it).
    pub(crate) fn unread<'a>(&'a self, fixed: &'a [&'a str]) -> impl Iterator<Item = (String, String)> + 'a {
        let hardlinks = self.nodes.iter().filter_map(|(path, node)| match node {
            Node::Unread(target) if crate::analyze::wants(path) => Some((target.clone(), path.clone())),
            _ => None,
        });
        let linked = self.nodes.iter().filter_map(|(path, node)| match node {
            Node::Symlink(_) if crate::analyze::wants(path) => Some(path.as_str()),
            _ => None,
        });
        let through = linked.chain(fixed.iter().copied()).filter_map(|path| {
            let real = self.canonical(path);
            (real != path && !self.nodes.contains_key(&real)).then(|| (real, path.to_owned()))
        });
        hardlinks.chain(through)
    }
}
