//! `container-manifest-2`: what CBL-Mariner and Azure Linux leave in images without rpm, one package per line:
//! name, version-release, install time, build time, vendor, epoch, size, arch, epoch as number, source rpm.

use super::RpmContents;
use super::header::{RpmFields, installed};

pub(super) fn read(bytes: &[u8], out: &mut RpmContents) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split('\t').map(|f| if f == "(none)" { "" } else { f }).collect();
        let [name, version_release, _, _, vendor, _, _, arch, epoch, source_rpm, ..] = fields.as_slice() else {
            out.damaged("a line has too few fields");
            continue;
        };
        let epoch = if epoch.is_empty() { Ok(0) } else { epoch.parse() };
        match epoch {
            Ok(epoch) if !name.is_empty() && !version_release.is_empty() => {
                let fields = RpmFields { name, epoch, version_release, arch, vendor, source_rpm, label: "" };
                out.package(installed(&fields));
            }
            _ => out.damaged("a line names no package"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_packages() {
        let mut out = RpmContents::default();
        read(
            b"bash\t5.1.8-1.cm2\t1653816591\t1653628924\tMicrosoft Corporation\t(none)\t2\tx86_64\t0\tbash-5.1.8-1.cm2.src.rpm\n\
              vim\t9-1\t1\t1\t(none)\t2\t1\tx86_64\t2\tvim-9-1.src.rpm\nbroken\t1\n",
            &mut out,
        );
        let found: Vec<_> =
            out.packages.iter().map(|p| (p.name.as_str(), p.version.as_str(), p.vendor.as_str())).collect();
        assert_eq!(found, [("bash", "5.1.8-1.cm2", "Microsoft Corporation"), ("vim", "2:9-1", "")]);
        assert_eq!(out.packages[1].source_version, "2:9-1");
        assert_eq!(out.damage.len(), 1);
    }
}
