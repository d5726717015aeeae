//! Where packages were found, and the layers of the image. An SBOM may name neither, or layers of which it does not list the
//! image's: such a layer is not known.

use crate::component::SbomComponent;
use std::collections::{BTreeMap, HashMap};
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::{Location, UNKNOWN_LAYER};
use tidewaiter_core::report::LayerInfo;

/// The names that layers have in a document, each once.
#[derive(Debug, Default)]
pub(crate) struct LayerNames {
    names: Vec<String>,
    by_name: HashMap<String, usize>,
}

impl LayerNames {
    /// The places of a component; layers are numbers of names.
    pub(crate) fn places(&mut self, component: &SbomComponent) -> Vec<Location> {
        let mut places: Vec<Location> = told(component)
            .into_iter()
            .map(|(path, layer)| Location { path: relative(&path), layer: self.number(layer) })
            .collect();
        places.sort();
        places.dedup();
        places
    }

    fn number(&mut self, name: String) -> usize {
        if name.is_empty() {
            return UNKNOWN_LAYER;
        }
        let next = self.names.len();
        let number = *self.by_name.entry(name.clone()).or_insert(next);
        if number == next {
            self.names.push(name);
        }
        number
    }

    /// The index of the layer of each name.
    pub(crate) fn indexes(&self, layers: &[LayerInfo]) -> LayerIndexes {
        let by_digest = layers.iter().enumerate().rev();
        let by_digest: HashMap<&str, usize> = by_digest
            .flat_map(|(index, layer)| [(layer.digest.as_str(), index), (layer.diff_id.as_str(), index)])
            .collect();
        let index = |name: &String| {
            // SPDX of ours counts them, from 1 on.
            let counted = || name.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < layers.len());
            by_digest.get(name.as_str()).copied().or_else(counted).unwrap_or(UNKNOWN_LAYER)
        };
        LayerIndexes(self.names.iter().map(index).collect())
    }
}

/// The layers of places.
pub(crate) struct LayerIndexes(Vec<usize>);

impl LayerIndexes {
    pub(crate) fn resolve(&self, place: &mut Location) {
        place.layer = self.0.get(place.layer).copied().unwrap_or(UNKNOWN_LAYER);
    }
}

/// As the engine writes paths: from the root, without a slash in front.
fn relative(path: &str) -> String {
    path.trim_start_matches("./").trim_start_matches('/').to_owned()
}

/// Paths with the names of their layers.
fn told(component: &SbomComponent) -> Vec<(String, String)> {
    let syft = of_syft(component);
    if !syft.is_empty() {
        return syft;
    }
    let layers = ["tidewaiter:layerDiffId", "tidewaiter:layer"].map(|name| component.all(name).map(str::to_owned));
    let layers = layers.into_iter().flatten().chain(std::iter::repeat(String::new()));
    let own: Vec<_> = component.paths.iter().cloned().zip(layers).collect();
    let (path, layer) = (component.get("aquasecurity:trivy:FilePath"), component.get("aquasecurity:trivy:LayerDiffID"));
    let is_of_trivy = own.is_empty() && !(path.is_empty() && layer.is_empty());
    if is_of_trivy { vec![(path.to_owned(), layer.to_owned())] } else { own }
}

/// `syft:location:N:path` and `:layerID`.
fn of_syft(component: &SbomComponent) -> Vec<(String, String)> {
    let mut places: BTreeMap<usize, (String, String)> = BTreeMap::new();
    for fact in &component.facts {
        let Some(rest) = fact.name.strip_prefix("syft:location:") else { continue };
        let Some((Ok(number), field)) = rest.split_once(':').map(|(number, field)| (number.parse(), field)) else {
            continue;
        };
        let place = places.entry(number).or_default();
        match field {
            "path" => place.0.clone_from(&fact.value),
            "layerID" => place.1.clone_from(&fact.value),
            _ => {}
        }
    }
    places.into_values().filter(|(path, _)| !path.is_empty()).collect()
}

/// The layers of the image, as the document's subject lists them, bottom first.
pub(crate) fn of_image(subject: &SbomComponent) -> Vec<LayerInfo> {
    let digests = |name: &str| -> Vec<Digest> { subject.all(name).filter_map(|text| text.parse().ok()).collect() };
    let (stored, own) = (digests("tidewaiter:layerDigest"), digests("tidewaiter:layerDiffId"));
    let others = digests("aquasecurity:trivy:DiffID").into_iter().chain(digests("syft:image:layer"));
    let diff_ids = if own.is_empty() { others.collect() } else { own };
    // Others list the digests of the uncompressed layers alone.
    let stored = if stored.len() == diff_ids.len() { stored } else { diff_ids.clone() };
    let layer = |(digest, diff_id)| LayerInfo { digest, diff_id, size: 0, created_by: None };
    stored.into_iter().zip(diff_ids).map(layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::package::layer_number;

    fn digest(byte: u8) -> Digest {
        Digest::from_sha256([byte; 32])
    }

    #[test]
    fn places_have_layers_where_they_are_told() {
        let check = |paths: &[&str], facts: &[(&str, &str)], expected: &str| {
            let paths = paths.iter().map(|path| (*path).to_owned()).collect();
            let mut component = SbomComponent { paths, ..SbomComponent::default() };
            facts.iter().for_each(|(name, value)| component.fact(name, (*value).to_owned()));
            let layer =
                |byte| LayerInfo { digest: digest(byte), diff_id: digest(byte + 10), size: 0, created_by: None };
            let layers = [layer(1), layer(2)];
            let mut names = LayerNames::default();
            let mut places = names.places(&component);
            let indexes = names.indexes(&layers);
            places.iter_mut().for_each(|place| indexes.resolve(place));
            let number = |place: &Location| layer_number(place.layer).map_or_else(|| "-".into(), |n| n.to_string());
            let shown: Vec<String> = places.iter().map(|place| format!("{}@{}", place.path, number(place))).collect();
            assert_eq!(shown.join(" "), expected, "{facts:?}");
        };
        let second = digest(12);
        check(&[], &[], "");
        check(&["/a", "./b"], &[], "a@- b@-");
        check(&["a", "b"], &[("tidewaiter:layerDiffId", second.as_str())], "a@2 b@-");
        check(&["a"], &[("tidewaiter:layer", "1")], "a@1");
        check(&["a"], &[("tidewaiter:layer", "9")], "a@-");
        let syft = [
            ("syft:location:0:layerID", second.as_str()),
            ("syft:location:0:path", "/x"),
            ("syft:location:1:path", "y"),
        ];
        check(&[], &syft, "x@2 y@-");
        let trivy = [("aquasecurity:trivy:FilePath", "app.jar"), ("aquasecurity:trivy:LayerDiffID", second.as_str())];
        check(&[], &trivy, "app.jar@2");
        check(&[], &trivy[1..], "@2");
    }

    #[test]
    fn images_list_layers() {
        let check = |facts: &[(&str, Digest)], expected: &[(u8, u8)]| {
            let mut subject = SbomComponent::default();
            facts.iter().for_each(|(name, value)| subject.fact(name, value.to_string()));
            let found: Vec<_> = of_image(&subject).into_iter().map(|layer| (layer.digest, layer.diff_id)).collect();
            assert_eq!(found, expected.iter().map(|(a, b)| (digest(*a), digest(*b))).collect::<Vec<_>>());
        };
        check(&[], &[]);
        check(&[("tidewaiter:layerDigest", digest(1)), ("tidewaiter:layerDiffId", digest(2))], &[(1, 2)]);
        check(&[("aquasecurity:trivy:DiffID", digest(3)), ("aquasecurity:trivy:DiffID", digest(4))], &[(3, 3), (4, 4)]);
        check(&[("syft:image:layer", digest(5))], &[(5, 5)]);
    }
}
