//! OpenVEX 0.2.0.

use super::{reason, stated_at, vex_effect};
use serde::Deserialize;
use tidewaiter_core::exception::Exception;
use tidewaiter_core::pattern::Pattern;
use tidewaiter_core::target::TargetPattern;

#[derive(Deserialize)]
struct Document {
    timestamp: Option<String>,
    #[serde(default)]
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    vulnerability: Vulnerability,
    #[serde(default)]
    products: Vec<Product>,
    status: String,
    /// The document's when it is missing.
    timestamp: Option<String>,
    justification: Option<String>,
    impact_statement: Option<String>,
}

/// An object since OpenVEX 0.2.0, a text before.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vulnerability {
    Name(String),
    Object {
        name: Option<String>,
        #[serde(default, rename = "@id")]
        id: Option<String>,
        #[serde(default)]
        aliases: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Product {
    Id(String),
    Object {
        #[serde(default, rename = "@id")]
        id: Option<String>,
        #[serde(default)]
        identifiers: Identifiers,
        #[serde(default)]
        subcomponents: Vec<Product>,
    },
}

#[derive(Deserialize, Default)]
struct Identifiers {
    purl: Option<String>,
}

impl Product {
    fn name(&self) -> Option<&str> {
        match self {
            Product::Id(id) => Some(id),
            Product::Object { id, identifiers, .. } => identifiers.purl.as_deref().or(id.as_deref()),
        }
    }

    fn parts(&self) -> &[Product] {
        match self {
            Product::Id(_) => &[],
            Product::Object { subcomponents, .. } => subcomponents,
        }
    }
}

pub(super) fn parse(text: &str, source: &str) -> Result<Vec<Exception>, String> {
    let mut out = Vec::new();
    let document: Document = super::json(text)?;
    for statement in document.statements {
        let effect = vex_effect(&statement.status)?;
        let why = reason(&[statement.justification.as_deref(), statement.impact_statement.as_deref()]);
        let base = Exception {
            vulnerabilities: names(&statement.vulnerability),
            stated_at: stated_at(&[statement.timestamp.as_deref(), document.timestamp.as_deref()]),
            ..Exception::new(effect, if why.is_empty() { &statement.status } else { &why }, source)
        };
        if base.vulnerabilities.is_empty() {
            return Err("a statement names no vulnerability".to_owned());
        }
        for product in &statement.products {
            out.push(of_product(&base, product)?);
        }
    }
    Ok(out)
}

fn names(vulnerability: &Vulnerability) -> Vec<Pattern> {
    match vulnerability {
        Vulnerability::Name(name) => vec![name.as_str().into()],
        Vulnerability::Object { name, id, aliases } => {
            // The id is an address whose last part often is the name.
            let id = id.as_deref().and_then(|id| id.rsplit('/').next()).filter(|_| name.is_none());
            name.as_deref().into_iter().chain(id).chain(aliases.iter().map(String::as_str)).map(Pattern::from).collect()
        }
    }
}

/// A product is an image with those of its packages that are meant, or a package itself.
fn of_product(base: &Exception, product: &Product) -> Result<Exception, String> {
    let name = product.name().ok_or("a product has neither @id nor purl")?;
    let target = TargetPattern::parse(name);
    let parts = product.parts().iter().filter_map(Product::name).map(TargetPattern::parse).collect();
    let base = base.clone();
    Ok(match &target {
        // A product that is not a purl names an image by reference or digest, or something outside of images.
        TargetPattern::Named { .. } => Exception { images: vec![target], packages: parts, ..base },
        TargetPattern::PurlPattern(_) if target.names_image() => {
            Exception { images: vec![target], packages: parts, ..base }
        }
        TargetPattern::PurlPattern(_) if product.parts().is_empty() => Exception { packages: vec![target], ..base },
        // A library in one program is not the same library in another.
        TargetPattern::PurlPattern(_) => Exception { program: Some(target), packages: parts, ..base },
    })
}

#[cfg(test)]
mod tests {
    use crate::exceptions::tests::check;

    #[test]
    fn all_statements_are_read() {
        let text = r#"{"@context":"https://openvex.dev/ns/v0.2.0","statements":[
            {"vulnerability":{"name":"CVE-1","aliases":["GHSA-1"]},"status":"not_affected","justification":"component_not_present",
             "products":[{"@id":"pkg:oci/app?repository_url=r.example/app","subcomponents":[{"@id":"pkg:npm/a"},{"@id":"pkg:npm/b"}]}]},
            {"vulnerability":{"name":"CVE-2"},"status":"affected","products":[{"@id":"pkg:npm/a"}]},
            {"vulnerability":"CVE-4","status":"not_affected","products":[{"@id":"pkg:golang/x.example/a","subcomponents":[{"@id":"pkg:golang/stdlib"}]}]},
            {"vulnerability":"CVE-3","status":"fixed","products":["pkg:npm/a"]}]}"#;
        let expected: [(&[&str], usize, Option<&str>); 4] =
            [(&["CVE-1", "GHSA-1"], 2, None), (&["CVE-2"], 1, None), (&["CVE-4"], 1, None), (&["CVE-3"], 1, None)];
        check("x.json", text, &expected);
    }
}
