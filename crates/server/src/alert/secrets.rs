//! The values of Secrets that receivers name: read at each delivery, so that a new value counts from the next one on.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tidewaiter_alerts::Destination;
use tidewaiter_crd::alert::{AlertReceiver, SECRET_TYPE, SecretKey};
use tidewaiter_crd::names::NAMESPACE;

/// Where messages to a receiver go.
///
/// # Errors
/// Which Secret or key is missing, or what is wrong with it.
pub(crate) async fn destination(client: &Client, receiver: &AlertReceiver) -> Result<Destination, String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let mut known: Vec<(SecretKey, Result<String, String>)> = Vec::new();
    for key in Destination::secrets(receiver) {
        let secret = match api.get_opt(&key.secret).await {
            Ok(secret) => value(secret.as_ref(), key),
            Err(error) => Err(format!("the Secret {NAMESPACE}/{} cannot be read: {error}", key.secret)),
        };
        known.push((key.clone(), secret));
    }
    Destination::of(receiver, |key| {
        let found = known.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
        found.unwrap_or_else(|| Err(format!("the Secret {NAMESPACE}/{} was not read", key.secret)))
    })
}

/// A value, without the line break at its end that files have, and blanks around it that nobody sees: no key or address has some.
fn value(secret: Option<&Secret>, key: &SecretKey) -> Result<String, String> {
    let name = format!("{NAMESPACE}/{}", key.secret);
    let secret = secret.ok_or_else(|| {
        format!("there is no Secret {name}; create it: kubectl -n {NAMESPACE} create secret generic {} --type={SECRET_TYPE}", key.secret)
    })?;
    // Whoever writes policies chooses where values go: only those that are meant for this leave.
    if secret.type_.as_deref() != Some(SECRET_TYPE) {
        let other = secret.type_.as_deref().unwrap_or("Opaque");
        return Err(format!(
            "the Secret {name} is of type {other}, and only those of type {SECRET_TYPE} are sent to receivers"
        ));
    }
    let data = secret.data.as_ref().and_then(|data| data.get(&key.key));
    let bytes = data.ok_or_else(|| format!("the Secret {name} has no key {}", key.key))?;
    let text = String::from_utf8(bytes.0.clone())
        .map_err(|_| format!("the key {} of the Secret {name} is no text", key.key))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("the key {} of the Secret {name} is empty", key.key));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn only_secrets_for_receivers_have_values() {
        let key = SecretKey { secret: "s".to_owned(), key: "k".to_owned() };
        let check = |secret: Value, expected: Result<&str, &str>| {
            let found: Option<Secret> = serde_json::from_value(secret.clone()).unwrap();
            match (value(found.as_ref(), &key), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{secret} {found:?} {expected:?}"),
            }
        };
        let typed = |data: Value| json!({"metadata": {}, "type": SECRET_TYPE, "data": data});
        check(typed(json!({"k": "dmFsdWUK"})), Ok("value"));
        check(typed(json!({"k": "IHZhbHVlIA0K"})), Ok("value"));
        check(json!(null), Err("there is no Secret tidewaiter-system/s"));
        check(typed(json!({"other": "dmFsdWU="})), Err("has no key k"));
        check(typed(json!({"k": ""})), Err("is empty"));
        check(typed(json!({"k": "/w=="})), Err("is no text"));
        for other in ["Opaque", "kubernetes.io/tls", "tidewaiter.dev/Alerts"] {
            check(
                json!({"metadata": {}, "type": other, "data": {"k": "dmFsdWU="}}),
                Err("only those of type tidewaiter.dev/alerts"),
            );
        }
        check(json!({"metadata": {}, "data": {"k": "dmFsdWU="}}), Err("is of type Opaque"));
    }
}
