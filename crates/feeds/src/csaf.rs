//! The product tree of CSAF 2.0 documents (section 3.2.2), as far as it identifies packages.

use serde::Deserialize;

#[derive(Deserialize, Default)]
pub(crate) struct ProductTree {
    #[serde(default)]
    pub(crate) branches: Vec<Branch>,
    #[serde(default)]
    pub(crate) full_product_names: Vec<Product>,
    #[serde(default)]
    pub(crate) relationships: Vec<Relationship>,
}

#[derive(Deserialize)]
pub(crate) struct Branch {
    #[serde(default)]
    pub(crate) branches: Vec<Branch>,
    pub(crate) product: Option<Product>,
}

#[derive(Deserialize)]
pub(crate) struct Product {
    pub(crate) product_id: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) product_identification_helper: Helper,
}

#[derive(Deserialize, Default)]
pub(crate) struct Helper {
    #[serde(default)]
    pub(crate) cpe: String,
    #[serde(default)]
    pub(crate) purl: String,
}

#[derive(Deserialize)]
pub(crate) struct Relationship {
    pub(crate) full_product_name: Product,
    pub(crate) product_reference: String,
    pub(crate) relates_to_product_reference: String,
}

impl ProductTree {
    /// All products that are not a relationship of two others.
    pub(crate) fn products(&self) -> Vec<&Product> {
        let mut products = Vec::new();
        // serde_json limits the depth of a document, and so the recursion.
        let mut stack: Vec<&Branch> = self.branches.iter().collect();
        while let Some(branch) = stack.pop() {
            products.extend(&branch.product);
            stack.extend(&branch.branches);
        }
        products.extend(&self.full_product_names);
        products
    }
}
