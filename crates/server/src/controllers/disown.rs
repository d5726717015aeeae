//! Giving up the fields of a write, so that applying a manifest never conflicts with it.

use crate::decide::holdable::Holdable;
use crate::decide::marks::disown_patch;
use crate::patches;
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Attempts to give up fields of an object that its controller writes, too.
const DISOWN_ATTEMPTS: u32 = 4;

/// Gives up the server's fields of an object that was written; returns the object as it is then.
pub(crate) async fn disown<K>(api: &Api<K>, mut written: K) -> Result<K, kube::Error>
where
    K: Holdable + Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    for _ in 0..DISOWN_ATTEMPTS {
        let patch = disown_patch(written.metadata());
        if patch.is_empty() {
            break;
        }
        match patches::object(api, &written.name_any(), patch).await {
            Ok(disowned) => return Ok(disowned),
            // Somebody wrote meanwhile: the test of what was read failed.
            Err(kube::Error::Api(status)) if matches!(status.code, 409 | 422) => {
                written = api.get(&written.name_any()).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
