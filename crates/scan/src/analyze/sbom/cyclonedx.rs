//! CycloneDX as JSON, versions 1.2 to 1.7.

use super::Named;
use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    metadata: Option<Metadata>,
    components: Option<Vec<Component>>,
}

#[derive(Deserialize)]
struct Metadata {
    component: Option<Component>,
}

#[derive(Deserialize)]
struct Component {
    purl: Option<String>,
    version: Option<String>,
    /// `excluded`: used to build or test.
    scope: Option<String>,
    /// Needed, and brought by somebody else.
    #[serde(rename = "isExternal")]
    external: Option<bool>,
    components: Option<Vec<Component>>,
}

/// What the document describes, and all components with those inside them.
///
/// # Errors
/// When it does not fit the format.
pub(super) fn packages(bytes: &[u8]) -> serde_json::Result<Vec<Named>> {
    let document: Document = serde_json::from_slice(bytes)?;
    let mut todo: Vec<Component> = document.metadata.and_then(|m| m.component).into_iter().collect();
    todo.extend(document.components.unwrap_or_default());
    let mut out = Vec::new();
    while let Some(component) = todo.pop() {
        if component.scope.as_deref() != Some("excluded") && component.external != Some(true) {
            todo.extend(component.components.unwrap_or_default());
            out.extend(component.purl.map(|purl| Named { purl, version: component.version.unwrap_or_default() }));
        }
    }
    Ok(out)
}
