//! Waits until a store shows a write of the server's own: a watch is milliseconds behind.

use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use std::time::Duration;

/// Looks at a store until it shows a write: a watch is milliseconds behind. After a second something else was written, and
/// that is reconciled anyway.
const SETTLE_ATTEMPTS: u32 = 500;
const SETTLE_PAUSE: Duration = Duration::from_millis(2);

/// Waits until a store shows a write of the server's own, so that the next reconciliation does not decide on what was
/// before.
pub(crate) async fn settled<K>(store: &Store<K>, written: &K)
where
    K: Resource<DynamicType = ()> + Clone,
{
    let key = ObjectRef::from_obj(written);
    for _ in 0..SETTLE_ATTEMPTS {
        if store.get(&key).is_some_and(|seen| version(&*seen) >= version(written)) {
            return;
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
}

/// Waits until a store shows a write after which it shows the object no more, or does not show it any longer.
pub(crate) async fn left<K>(store: &Store<K>, written: &K)
where
    K: Resource<DynamicType = ()> + Clone,
{
    let key = ObjectRef::from_obj(written);
    for _ in 0..SETTLE_ATTEMPTS {
        if store.get(&key).is_none_or(|seen| version(&*seen) >= version(written)) {
            return;
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
}

/// Resource versions rise: Kubernetes promises it from 1.35 on, and every API server before did it.
fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or_default()
}
