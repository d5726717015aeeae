//! The folder of tools: each is installed once, by the client of the registry that has it.

use crate::install::{command, debian_archives, jars, npm, once, output, pip, program, text, walk};
use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_testkit::cluster::which;

/// Where tools are installed: one folder for each, named by its version.
pub(super) struct ToolFolder {
    pub(super) dir: PathBuf,
}

/// Files of Debian packages and of their dependencies, unpacked and not installed.
pub(super) struct Unpacked {
    root: PathBuf,
    files: Vec<PathBuf>,
    /// Of the first package.
    pub(super) version: String,
}

impl ToolFolder {
    /// Writes a script; returns its path.
    pub(super) fn script(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.dir.join("scripts").join(name);
        fs::create_dir_all(self.dir.join("scripts"))?;
        fs::write(&path, content)?;
        Ok(path)
    }

    /// A Python package of this version.
    pub(super) fn pip(&self, package: &str, version: &str) -> Result<PathBuf> {
        self.once(&format!("{package}-{version}"), |dir| pip(dir, &format!("{package}=={version}")))
    }

    /// An npm package of this version.
    pub(super) fn npm(&self, package: &str, version: &str) -> Result<PathBuf> {
        self.once(&format!("{package}-{version}"), |dir| npm(dir, &format!("{package}@{version}")))
    }

    /// The class path of a jar (`GROUP:ARTIFACT`) of this version and its dependencies.
    pub(super) fn maven(&self, name: &str, version: &str) -> Result<OsString> {
        program("mvn", "maven")?;
        let coordinates = format!("{name}:{version}");
        let stored = self
            .once(&coordinates.replace(':', "-"), |dir| jars(dir, &dir.join("stored"), &[&coordinates]).map(|_| ()))?;
        let mut files = Vec::new();
        walk(&stored.join("stored"), &mut files)?;
        Ok(env::join_paths(files.iter().filter(|file| file.extension().is_some_and(|e| e == "jar")))?)
    }

    /// A program built from one file of Go and a module (empty: the standard library alone) of this version.
    pub(super) fn go(&self, name: &str, source: &str, module: &str, version: &str) -> Result<PathBuf> {
        let go = program("go", "golang")?;
        let require = if module.is_empty() { String::new() } else { format!("require {module} {version}\n") };
        let go_mod = format!("module example.org/{name}\n\ngo 1.22\n\n{require}");
        let built = self.once(&format!("{name}-{version}"), |dir| build_go(&go, dir, &go_mod, source))?;
        Ok(built.join("program"))
    }

    /// A program of C, linked with a library of Debian packages.
    pub(super) fn c(&self, name: &str, source: &str, unpacked: &Unpacked, libraries: &[&str]) -> Result<PathBuf> {
        let cc = program("cc", "gcc")?;
        let source = self.script(name, source)?;
        let mut build = command(&cc, &[]);
        build.arg(&source).arg("-I").arg(unpacked.root.join("usr/include"));
        for folder in unpacked.folders_of("lib", ".a") {
            build.arg("-L").arg(folder);
        }
        build.args(libraries).args(["-o", "program"]);
        let built =
            self.once(&format!("{name}-{}", unpacked.version), |dir| output(build.current_dir(dir)).map(|_| ()))?;
        Ok(built.join("program"))
    }

    /// Debian packages (the first is the tool) of the machine's release, with dependencies that the machine lacks.
    pub(super) fn debian(&self, packages: &[&str]) -> Result<Unpacked> {
        let first = packages.first().copied().unwrap_or_default();
        if which("apt-get").is_none() {
            bail!("no Debian packages on this machine; use one with apt-get");
        }
        let root = self.once(&format!("debian-{first}"), |dir| unpack(dir, packages))?;
        let mut files = Vec::new();
        walk(&root, &mut files)?;
        let name = format!("{first}_");
        let archives = files.iter().filter_map(|file| file.file_name()?.to_str()?.strip_prefix(&name));
        let version = archives.filter_map(|name| name.strip_suffix(".deb")?.split('_').next()).next();
        let version = version.with_context(|| format!("{first}: not among the downloaded packages"))?;
        Ok(Unpacked { version: version.replace("%3a", ":"), root, files })
    }

    fn once(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        once(&self.dir, name, make)
    }
}

fn build_go(go: &Path, dir: &Path, go_mod: &str, source: &str) -> Result<()> {
    fs::write(dir.join("go.mod"), go_mod)?;
    fs::write(dir.join("main.go"), source)?;
    let mut build = command(go, &["build", "-mod=mod", "-o", "program", "."]);
    output(build.current_dir(dir).env_remove("GOFLAGS")).map(|_| ())
}

fn unpack(dir: &Path, packages: &[&str]) -> Result<()> {
    for archive in debian_archives(dir, None, packages)? {
        output(command("dpkg-deb", &["-x", text(&archive)?]).arg(dir))?;
    }
    let mut files = Vec::new();
    walk(dir, &mut files)?;
    files.iter().filter(|file| file.is_symlink()).try_for_each(|link| keep_inside(dir, link))
}

/// Makes a link to an absolute path one to the same path of the unpacked files, wherever these are moved.
fn keep_inside(root: &Path, link: &Path) -> Result<()> {
    let target = fs::read_link(link)?;
    let (Ok(target), Some(folder)) = (target.strip_prefix("/"), link.strip_prefix(root)?.parent()) else {
        return Ok(());
    };
    let up: PathBuf = folder.components().map(|_| "..").collect();
    fs::remove_file(link)?;
    Ok(symlink(up.join(target), link)?)
}

impl Unpacked {
    /// A path below `/`.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    /// The first file whose path ends like this; `*` is any rest of a name.
    pub(super) fn file(&self, end: &str) -> Result<&Path> {
        let file = self.files.iter().find(|file| ends_like(file, end));
        file.map(PathBuf::as_path).with_context(|| format!("{end}: not in the unpacked packages"))
    }

    /// The folder of the first file whose path ends like this.
    pub(super) fn folder(&self, end: &str) -> Result<&Path> {
        self.file(end)?.parent().with_context(|| format!("{end} has no folder"))
    }

    /// A program that finds the unpacked shared libraries.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Result<Command> {
        let mut command = command(program.as_ref(), &[]);
        command.env("LD_LIBRARY_PATH", env::join_paths(self.folders_of("lib", ".so"))?);
        Ok(command)
    }

    /// Folders of libraries, by the beginning of a file's name and what else the name holds.
    fn folders_of(&self, begins: &str, holds: &str) -> Vec<&Path> {
        let is_one = |file: &&PathBuf| {
            file.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(begins) && n.contains(holds))
        };
        let mut folders: Vec<&Path> = self.files.iter().filter(is_one).filter_map(|file| file.parent()).collect();
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}

fn ends_like(file: &Path, end: &str) -> bool {
    let names = file.components().rev().map(|name| name.as_os_str().to_str().unwrap_or_default());
    let wanted: Vec<&str> = end.rsplit('/').collect();
    let matching = wanted.iter().zip(names).filter(|(wanted, name)| match wanted.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => *wanted == name,
    });
    matching.count() == wanted.len()
}
