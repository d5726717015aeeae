//! Five Go programs; listed by `go version -m`. The last is built from a source tree without a version, and replaces one
//! module by another version, one by a fork and one by a folder.

use super::Listed;
use crate::install::{command, output, text};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

const INSTALLED: [&str; 4] = [
    "github.com/mikefarah/yq/v4@v4.44.3",
    "github.com/google/go-containerregistry/cmd/crane@v0.20.2",
    "golang.org/x/vuln/cmd/govulncheck@v1.1.4",
    "github.com/rakyll/hey@v0.1.4",
];

const TREE: [(&str, &str); 5] = [
    (
        "go.mod",
        "module example.org/own\n\ngo 1.22\n\nrequire (\n\tgithub.com/BurntSushi/toml v1.3.2\n\
         \tgithub.com/dgrijalva/jwt-go v3.2.0+incompatible\n\tgithub.com/gorilla/mux v1.8.1\n\
         \texample.org/part v0.0.0\n)\n\nreplace github.com/BurntSushi/toml => github.com/BurntSushi/toml v1.2.1\n\n\
         replace github.com/dgrijalva/jwt-go => github.com/golang-jwt/jwt v3.2.1+incompatible\n\n\
         replace example.org/part => ./part\n",
    ),
    (
        "main.go",
        "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.org/part\"\n\t\"github.com/BurntSushi/toml\"\n\
         \t\"github.com/dgrijalva/jwt-go\"\n\t\"github.com/gorilla/mux\"\n)\n\nfunc main() {\n\tvar v any\n\
         \t_, err := toml.Decode(part.Text, &v)\n\tfmt.Println(err, mux.NewRouter(), jwt.SigningMethodHS256)\n}\n",
    ),
    ("part/go.mod", "module example.org/part\n\ngo 1.22\n"),
    ("part/part.go", "package part\n\n// Text is TOML.\nconst Text = \"a = 1\"\n"),
    ("README", "Built by cargo xtask truth.\n"),
];

pub(super) fn make(image: &Path, work: &Path) -> Result<Vec<Listed>> {
    let bin = image.join("usr/local/bin");
    fs::create_dir_all(&bin)?;
    for program in INSTALLED {
        output(go(&["install", program], &bin).current_dir(work))?;
    }
    for (path, content) in TREE {
        let file = work.join(path);
        fs::create_dir_all(file.parent().context("it has a parent")?)?;
        fs::write(file, content)?;
    }
    output(go(&["build", "-mod=mod", "-o", text(&bin.join("own"))?, "."], &bin).current_dir(work))?;
    let mut out = Vec::new();
    for entry in fs::read_dir(&bin)? {
        let file = entry?.path();
        let path = text(file.strip_prefix(image)?)?;
        out.extend(modules(&output(&mut command("go", &["version", "-m", text(&file)?]))?, path));
    }
    Ok(out)
}

/// A command whose programs are static and in `bin`, whatever the machine's settings are.
fn go(args: &[&str], bin: &Path) -> Command {
    let mut go = command("go", args);
    go.env("CGO_ENABLED", "0").env("GOBIN", bin).env_remove("GOFLAGS");
    go
}

fn module(name: &str, version: &str, path: &str) -> Listed {
    Listed { kind: "golang".into(), name: name.into(), version: version.into(), path: path.into(), ..Listed::default() }
}

/// Parses `FILE: go1.22.4`, then lines of `path`, `mod`, `dep`, and `=>` with the replacement of the line above.
fn modules(text: &str, path: &str) -> Vec<Listed> {
    let listed = |name: &str, version: &str| module(name, version, path);
    let mut out: Vec<Listed> = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.trim_start_matches('\t').split('\t').collect();
        match fields[..] {
            ["mod" | "dep", name, version, ..] => out.push(listed(name, version)),
            // A folder has no version: its module keeps the name that it is imported by.
            ["=>", folder, "(devel)", ..] if folder.starts_with(['.', '/']) => {
                out.last_mut().into_iter().for_each(|last| last.version = "(devel)".into());
            }
            ["=>", name, version, ..] => {
                out.pop();
                out.push(listed(name, version));
            }
            [head] => out.extend(head.rsplit_once(": go").map(|(_, version)| listed("stdlib", version))),
            _ => {}
        }
    }
    out
}
