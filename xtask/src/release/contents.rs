//! What a platform's files are: the archive of the plugin, and the SBOM of the program.

use super::ReleaseFile;
use super::archive::{self, Entry, Kind};
use crate::install::{command, output};
use crate::platform::ProgramPlatform;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use tidewaiter_testkit::layout;
use tidewaiter_testkit::program_image::{self, PLUGIN};

/// The shells of `kubectl-scan completion`, and the names under which these look for a script.
const COMPLETIONS: [(&str, &str); 4] = [
    ("bash", "completions/kubectl-scan.bash"),
    ("zsh", "completions/_kubectl-scan"),
    ("fish", "completions/kubectl-scan.fish"),
    ("powershell", "completions/kubectl-scan.ps1"),
];

/// By what kubectl asks the plugin for completions.
const FOR_KUBECTL: &str = "integrations/kubectl_complete-scan";

/// What archives of all platforms share, and the program that made it.
#[derive(Debug)]
pub(super) struct PluginFiles {
    /// Of this machine's platform.
    program: PathBuf,
    /// Seconds since 1970 that documents have as their time; none: when they are made.
    time: Option<String>,
    /// The licence, the scripts and the pages.
    shared: Vec<Entry>,
}

impl PluginFiles {
    /// As this program writes them.
    pub(super) fn by(root: &Path, program: &Path) -> Result<Self> {
        let read = |path: &str| fs::read(root.join(path)).with_context(|| path.to_owned());
        let (licence, for_kubectl) = (read("LICENSE")?, read(FOR_KUBECTL)?);
        let mut shared = vec![
            Entry { path: "LICENSE".into(), kind: Kind::Text, bytes: licence },
            Entry { path: "kubectl_complete-scan".into(), kind: Kind::Program, bytes: for_kubectl },
        ];
        for (shell, path) in COMPLETIONS {
            let script = output(&mut command(program, &["completion", shell]))?;
            shared.push(Entry { path: path.into(), kind: Kind::Text, bytes: script.into_bytes() });
        }
        shared.extend(manual(program)?);
        Ok(PluginFiles { program: program.to_owned(), time: time_of_commit(root), shared })
    }

    /// The archive of the program in this folder, and its SBOM.
    pub(super) fn of(&self, platform: &ProgramPlatform, folder: &Path) -> Result<Vec<ReleaseFile>> {
        let name = format!("kubectl-scan-{}-{}", platform.os(), platform.arch());
        let program = folder.join("kubectl-scan");
        let bytes = fs::read(&program).with_context(|| program.display().to_string())?;
        let program = Entry { path: "kubectl-scan".into(), kind: Kind::Program, bytes };
        let archive = archive::gzip_of_tar([&program].into_iter().chain(&self.shared))?;
        Ok(vec![
            ReleaseFile { name: format!("{name}.tar.gz"), bytes: archive },
            ReleaseFile { name: format!("{name}.cdx.json"), bytes: self.sbom(platform, folder)?.into_bytes() },
        ])
    }

    /// What the program is made of (CycloneDX), as it is read in an image of it.
    fn sbom(&self, platform: &ProgramPlatform, folder: &Path) -> Result<String> {
        let image = tempfile::tempdir()?;
        layout::write(&image.path().join("kubectl-scan"), &program_image::build(folder, &PLUGIN, platform.arch())?);
        let platform = format!("linux/{}", platform.arch());
        let mut command = command(&self.program, &["sbom", "--no-cache", "-o", "cyclonedx", "--platform", &platform]);
        // By a relative path, which the document names: not by a folder of this machine.
        command.arg("oci:kubectl-scan").current_dir(image.path());
        output(command.envs(self.time.as_ref().map(|time| (TIME, time))))
    }
}

/// The manual pages, by name.
fn manual(program: &Path) -> Result<Vec<Entry>> {
    let folder = tempfile::tempdir()?;
    output(command(program, &["man"]).arg(folder.path()))?;
    let mut pages = Vec::new();
    for page in fs::read_dir(folder.path())? {
        let page = page?;
        let path = format!("man/man1/{}", page.file_name().display());
        pages.push(Entry { path, kind: Kind::Text, bytes: fs::read(page.path())? });
    }
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(pages)
}

/// The variable of the time that documents have (reproducible-builds.org).
const TIME: &str = "SOURCE_DATE_EPOCH";

/// That time, unless somebody set it: of the commit; none where there is no commit.
fn time_of_commit(root: &Path) -> Option<String> {
    if std::env::var_os(TIME).is_some() {
        return None;
    }
    let time = output(command("git", &["log", "-1", "--format=%ct"]).current_dir(root)).ok()?;
    Some(time.trim().to_owned())
}
