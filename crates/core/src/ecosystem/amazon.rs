//! The extras of Amazon Linux 2: topics, of which each is a repository with advisories of its own. Several have one package in
//! different versions (`kernel-5.4` and `kernel-5.15`, `postgresql13` and `postgresql14`), so that what one says of it is false
//! for another.

use super::{Ecosystem, EcosystemBase};

/// What the ids of these repositories begin with in yum's configuration and records: `amzn2extra-docker`.
pub const AMAZON_EXTRAS: &str = "amzn2extra-";

/// The ecosystem of a package of this release that came from the repository `tag`: that of its topic, `Amazon Linux:2:docker`,
/// or the release itself, whose advisories are those of its core.
pub(super) fn of_repository(release: Ecosystem, tag: &str) -> Ecosystem {
    let topic = tag.strip_prefix(AMAZON_EXTRAS).filter(|_| *release.base() == EcosystemBase::AmazonLinux);
    match (topic, release.release()) {
        (Some(topic), Some(number)) => {
            Ecosystem::with_release(EcosystemBase::AmazonLinux, &format!("{number}:{topic}"))
        }
        _ => release,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Os;

    #[test]
    fn packages_of_a_topic_have_its_advisories_alone() {
        let check = |id: &str, version: &str, tag: &str, expected: &[&str]| {
            let os = Os { id: id.into(), version_id: version.into(), ..Os::default() };
            let found: Vec<String> = os.ecosystems(tag).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{id} {version} {tag}");
        };
        check("amzn", "2", "", &["Amazon Linux:2"]);
        check("amzn", "2", "amzn2-core", &["Amazon Linux:2"]);
        check("amzn", "2", "amzn2extra-docker", &["Amazon Linux:2:docker"]);
        check("amzn", "2", "amzn2extra-kernel-5.10", &["Amazon Linux:2:kernel-5.10"]);
        check("centos", "7", "amzn2extra-docker", &["CentOS:7"]);
    }
}
