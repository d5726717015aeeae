//! Programs confined as the kubelet confines the Pod of `deploy/`: the image's unpacked root, read-only; its user; no way to
//! gain privileges; only the volumes are writable. It needs root, util-linux and iproute2, and no container
//! runtime.
//!
//! The network is one namespace for each lab: nothing leaves it, and every address that the simulated node gives to Pods is
//! local in it, so that the API server reaches the server by its Service.

use crate::program_image::{self, PROGRAMS};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Addresses of Pods on the simulated node.
const PODS: &str = "10.244.0.0/16";

/// Mounts what a Pod's container has (the scanner, which writes nothing but layers, has no temporary files), makes the root read-only and becomes its user.
/// Arguments: root, data, its place, its options, layers, service account, feeds, sockets, user, group, the
/// volumes' group, `NAME=value` …, `--`, the command.
const SCRIPT: &str = r#"
set -eu
root=$1 data=$2 place=$3 options=$4 layers=$5 account=$6 feeds=$7 sockets=$8 user=$9; shift 9
group=$1 fs_group=$2; shift 2
mount --bind "$root" "$root"
mount --bind -o "$options" "$data" "$root/$place"
[ "$options" = rw ] || mount --bind "$layers" "$root/var/lib/tidewaiter/layers"
mount --bind "$sockets" "$root/run/tidewaiter"
mount --bind -o ro "$account" "$root/var/run/secrets/kubernetes.io/serviceaccount"
mount --bind -o ro "$feeds" "$root/etc/tidewaiter"
mount -t proc proc "$root/proc"
[ "$options" = ro ] || mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
variables=
while [ "$1" != -- ]; do variables="$variables $1"; shift; done
shift
chroot=$(command -v chroot)
exec setpriv --no-new-privs env -i $variables "$chroot" --userspec="$user:$group" --groups="$fs_group" "$root" "$@"
"#;

/// Mount points, which a runtime makes too.
const MOUNT_POINTS: [&str; 8] = [
    DATABASE_PLACE,
    "var/lib/tidewaiter/layers",
    "run/tidewaiter",
    "var/run/secrets/kubernetes.io/serviceaccount",
    "etc/tidewaiter",
    "proc",
    "tmp",
    "dev",
];

/// Where the data volume is, and where the scanner sees the database's folder of it, next to that of the layers.
const DATA_PLACE: &str = "var/lib/tidewaiter";
const DATABASE_PLACE: &str = "var/lib/tidewaiter/db";

/// The user, and the group of volumes, where the manifest leaves them to the cluster, as OpenShift chooses them from the range of the
/// namespace; the group is then root's.
const ASSIGNED: u32 = 1_000_680_000;

/// Ids that a container runs with.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    user: u32,
    group: u32,
    /// Of the Pod's volumes.
    fs_group: u32,
}

impl Ids {
    /// From the security contexts of a container and its Pod.
    pub fn of(container: &Value, pod: &Value) -> Self {
        let id = |field: &str, otherwise: u32| {
            let set = [container, pod].into_iter().find_map(|context| context[field].as_u64());
            set.map_or(otherwise, |id| u32::try_from(id).unwrap())
        };
        Ids { user: id("runAsUser", ASSIGNED), group: id("runAsGroup", 0), fs_group: id("fsGroup", ASSIGNED) }
    }
}

/// Whether this process may confine others.
pub fn is_possible() -> bool {
    Uid::effective().is_root()
}

/// Moves the calling thread, and the processes that it starts from now on, into a network namespace of its own.
pub fn enter_network() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap_or_else(|e| panic!("a network namespace cannot be made: {e}"));
    for args in [&["link", "set", "lo", "up"][..], &["route", "add", "local", PODS, "dev", "lo"]] {
        let said = Command::new("ip").args(args).output().unwrap_or_else(|e| panic!("ip (install iproute2): {e}"));
        assert!(said.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

/// What a container of the server's Pod sees.
#[derive(Debug, Clone)]
pub struct Pod {
    volume: PathBuf,
    account: PathBuf,
    feeds: PathBuf,
    sockets: PathBuf,
    server: (String, u16),
    is_scanner: bool,
}

impl Pod {
    /// Volumes below `dir`; the API server at host and port; the ServiceAccount's token and the cluster's CA.
    pub fn new(dir: &Path, server: (String, u16), token: &str, ca: &[u8]) -> Self {
        let [volume, account, feeds, sockets] = ["volume", "account", "feeds-volume", "run"].map(|name| dir.join(name));
        let pod = Pod { volume, account, feeds, sockets, server, is_scanner: false };
        let (database, layers) = (pod.volume.join("db"), pod.layers());
        for folder in [&pod.volume, &database, &layers, &pod.account, &pod.feeds, &pod.sockets] {
            fs::create_dir_all(folder).unwrap();
        }
        pod.set_token(token);
        fs::write(pod.account.join("ca.crt"), ca).unwrap();
        fs::write(pod.account.join("namespace"), "tidewaiter-system").unwrap();
        pod
    }

    /// Replaces the ServiceAccount's token, as the kubelet does.
    pub fn set_token(&self, token: &str) {
        fs::write(self.account.join("token"), token.trim()).unwrap();
    }

    /// The same with nothing where the token is, as a container sees it that does not mount it.
    #[must_use]
    pub fn without_account(&self) -> Self {
        let account = self.account.with_file_name("no-account");
        fs::create_dir_all(&account).unwrap();
        Pod { account, ..self.clone() }
    }

    /// As the scanner sees it: another user, no token, and of the data volume the database, to read, and the layers.
    #[must_use]
    pub fn of_scanner(&self) -> Self {
        Pod { is_scanner: true, ..self.without_account() }
    }

    /// The folder at `/var/lib/tidewaiter`.
    pub fn volume(&self) -> &Path {
        &self.volume
    }

    /// The folder at `/var/lib/tidewaiter/layers`.
    pub fn layers(&self) -> PathBuf {
        self.volume.join("layers")
    }

    /// The folder at `/etc/tidewaiter`.
    pub fn feeds(&self) -> &Path {
        &self.feeds
    }

    /// A command as a container of the Pod runs it, under the process id that it was started with.
    pub fn command(&self, programs: &Path, variables: &[(String, String)], words: &[String], ids: Ids) -> Command {
        let volumes = [&self.volume, &self.sockets];
        volumes.into_iter().for_each(|volume| give(volume, ids.fs_group));
        let (host, port) = &self.server;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "confined"]);
        let database = self.volume.join("db");
        let (data, place, options) = match self.is_scanner {
            true => (&database, DATABASE_PLACE, "ro"),
            false => (&self.volume, DATA_PLACE, "rw"),
        };
        command.arg(root(programs)).arg(data).args([place, options]);
        command.args([&self.layers(), &self.account, &self.feeds, &self.sockets]);
        command.args([ids.user, ids.group, ids.fs_group].map(|id| id.to_string()));
        command.args(["HOME=/", "PATH=/usr/local/bin"]);
        command.arg(format!("KUBERNETES_SERVICE_HOST={host}")).arg(format!("KUBERNETES_SERVICE_PORT={port}"));
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg("--").args(words);
        command
    }
}

/// Gives a volume to a group, as the kubelet does by `fsGroup` before a container starts: what is in it keeps its user, and its group
/// reads and writes it.
fn give(path: &Path, group: u32) {
    // Another container may be at work in it.
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    let _ = lchown(path, None, Some(group));
    if meta.is_symlink() {
        return;
    }
    let more = if meta.is_dir() { 0o2770 } else { 0o660 };
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(meta.permissions().mode() | more));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        give(&entry.path(), group);
    }
}

/// The image's unpacked root, next to the programs; made again when they change.
fn root(programs: &Path) -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| fresh_root(programs))
}

fn fresh_root(programs: &Path) -> PathBuf {
    let dir = programs.join("confined-root");
    let made = dir.with_extension("made");
    let stamp = PROGRAMS.map(|name| format!("{:?}", fs::metadata(programs.join(name)).unwrap().modified())).concat();
    if fs::read_to_string(&made).is_ok_and(|known| known == stamp) {
        return dir;
    }
    let _ = fs::remove_file(&made);
    let _ = fs::remove_dir_all(&dir);
    let image = program_image::build(programs, &PROGRAMS, program_image::architecture().unwrap())
        .unwrap_or_else(|e| panic!("the server's image: {e}"));
    program_image::unpack(&image, &dir).unwrap();
    MOUNT_POINTS.iter().for_each(|point| fs::create_dir_all(dir.join(point)).unwrap());
    fs::write(made, stamp).unwrap();
    dir
}
