//! Sending JSON patches (RFC 6902).

use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;

/// Patches an object; `operations` test what was read, so that nothing is changed that was not decided about.
pub(crate) async fn object<K>(api: &Api<K>, name: &str, operations: Vec<Value>) -> Result<K, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    api.patch(name, &PatchParams::default(), &patch_of(operations)?).await
}

/// Patches an object's status.
pub(crate) async fn status<K>(api: &Api<K>, name: &str, operations: Vec<Value>) -> Result<K, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    api.patch_status(name, &PatchParams::default(), &patch_of(operations)?).await
}

fn patch_of(operations: Vec<Value>) -> Result<Patch<()>, kube::Error> {
    serde_json::from_value(Value::Array(operations)).map(Patch::Json).map_err(kube::Error::SerdeError)
}
