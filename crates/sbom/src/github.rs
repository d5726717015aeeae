//! GitHub's submissions of dependencies (REST API, "dependency-graph/snapshots"): manifests, each with what was resolved for it.
//! What is for development alone is no part.

use crate::component::{MAX_COMPONENTS, SbomComponent, SbomSink};
use crate::members::{Object, ObjectMembers, skip, text};
use serde::de::{Error as _, MapAccess};

/// `manifests`, by name.
pub(crate) struct Manifests<'d>(pub(crate) &'d mut dyn SbomSink);

impl ObjectMembers for Manifests<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        map.next_value_seed(Object(&mut Manifest { path: name, sink: self.0 }))
    }
}

struct Manifest<'d> {
    /// Its name is its path, or the name of what made it.
    path: &'d str,
    sink: &'d mut dyn SbomSink,
}

impl ObjectMembers for Manifest<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "resolved" => map.next_value_seed(Object(&mut Resolved { path: self.path, sink: self.sink })),
            _ => skip(map),
        }
    }
}

struct Resolved<'d> {
    path: &'d str,
    sink: &'d mut dyn SbomSink,
}

impl ObjectMembers for Resolved<'_> {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if self.sink.is_full() {
            return Err(A::Error::custom(format!("more than {MAX_COMPONENTS} dependencies")));
        }
        let mut dependency = ResolvedForm::default();
        map.next_value_seed(Object(&mut dependency))?;
        if !dependency.is_of_development {
            let purls = Some(dependency.purl).filter(|purl| !purl.is_empty()).into_iter().collect();
            let (name, paths) = (name.to_owned(), vec![self.path.to_owned()]);
            self.sink.add(SbomComponent { name, purls, paths, ..SbomComponent::default() });
        }
        Ok(())
    }
}

#[derive(Default)]
struct ResolvedForm {
    purl: String,
    is_of_development: bool,
}

impl ObjectMembers for ResolvedForm {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "package_url" => self.purl = text(map)?,
            "scope" => self.is_of_development = text(map)? == "development",
            _ => return skip(map),
        }
        Ok(())
    }
}
