//! Documents in JSON: every format by the members that only it has.

use crate::component::{MAX_COMPONENTS, SbomSink};
use crate::cyclonedx::{Components, Compositions, Metadata};
use crate::error::SbomError;
use crate::format::{SbomHead, other};
use crate::github::Manifests;
use crate::members::{List, Object, ObjectMembers, Rows, TextList, skip, text};
use crate::spdx2::{Relationships, SpdxPackages};
use crate::spdx3::Graph;
use crate::{spdx_text, syft};
use serde::de::{DeserializeSeed as _, MapAccess};
use std::io::{BufReader, Read};

/// Reads a document.
///
/// # Errors
/// When it is no JSON, or breaks the rules of its format.
pub(crate) fn read(input: BufReader<impl Read>, head: &mut SbomHead, sink: &mut dyn SbomSink) -> Result<(), SbomError> {
    let mut json = serde_json::Deserializer::from_reader(input);
    let read = Object(&mut Document { head, sink, inner: false }).deserialize(&mut json).and_then(|()| json.end());
    match read {
        Ok(()) => Ok(()),
        Err(_) if sink.is_full() => Err(SbomError::TooMany(MAX_COMPONENTS)),
        Err(error) if error.is_io() => Err(SbomError::Unreadable(error.into())),
        // A lock file or a report that has a member of the same name.
        Err(error) if error.is_data() && !head.has_format() => {
            let kind = if head.other.is_empty() { "JSON of another kind" } else { head.other };
            Err(SbomError::Unknown(format!("{kind} ({error})")))
        }
        Err(error) => Err(SbomError::Damaged(error.to_string())),
    }
}

struct Document<'d> {
    head: &'d mut SbomHead,
    sink: &'d mut dyn SbomSink,
    /// Whether it is in a wrapper.
    inner: bool,
}

impl ObjectMembers for Document<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let (head, sink) = (&mut *self.head, &mut *self.sink);
        match name {
            "bomFormat" => head.bom_format = text(map)?,
            "specVersion" => head.cyclonedx = text(map)?,
            "metadata" => return map.next_value_seed(Object(&mut Metadata { head, sink })),
            "components" => return map.next_value_seed(List(&mut Components(sink))),
            "compositions" => return map.next_value_seed(List(&mut Compositions(head))),
            "spdxVersion" => head.spdx2 = text(map)?,
            "name" => head.name = text(map)?,
            "comment" => head.gaps.extend(spdx_text::gaps(&text(map)?)),
            "documentDescribes" => {
                let mut ids = TextList::default();
                map.next_value_seed(List(&mut ids))?;
                ids.0.iter().for_each(|id| head.refer(id));
                head.described.extend(ids.0);
            }
            "packages" => return map.next_value_seed(List(&mut SpdxPackages(sink))),
            "relationships" => return map.next_value_seed(Rows(&mut Relationships(head))),
            "@graph" => {
                head.has_graph = true;
                return map.next_value_seed(List(&mut Graph { head, sink }));
            }
            "artifacts" => {
                head.has_artifacts = true;
                return map.next_value_seed(List(&mut syft::Artifacts(sink)));
            }
            "source" => return map.next_value_seed(syft::SourceSeed(sink)),
            "distro" => return map.next_value_seed(syft::DistroSeed(sink)),
            "schema" => head.syft = syft::schema(map)?,
            "sbom" if !self.inner => {
                head.is_wrapped = true;
                return map.next_value_seed(Object(&mut Document { head, sink, inner: true }));
            }
            "detector" => {
                head.has_detector = true;
                return skip(map);
            }
            "manifests" => {
                head.has_manifests = true;
                return map.next_value_seed(Object(&mut Manifests(sink)));
            }
            _ => {
                head.other = other(name).unwrap_or(head.other);
                return skip(map);
            }
        }
        Ok(())
    }
}
