//! A receiver with the values of its Secrets: where a message goes.

use crate::{opsgenie, pagerduty};
use std::fmt;
use tidewaiter_crd::alert::{AlertReceiver, AlertService, MailTls, SecretKey};

/// Where messages go. Not shown: its address may be a secret.
pub struct Destination {
    pub(crate) service: AlertService,
    pub(crate) url: String,
    is_url_secret: bool,
    token: Option<String>,
    pub(crate) hmac: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) ca_bundle: Option<String>,
    pub(crate) mail: Option<MailRoute>,
}

/// How mail goes.
pub(crate) struct MailRoute {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: MailTls,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// User and password.
    pub(crate) login: Option<(String, String)>,
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Destination {
    /// The destination of a receiver; `secret` gives the value of a key, or says why there is none.
    ///
    /// # Errors
    /// What is missing or wrong, without any value.
    pub fn of(
        receiver: &AlertReceiver,
        mut secret: impl FnMut(&SecretKey) -> Result<String, String>,
    ) -> Result<Self, String> {
        let mut optional = |key: &Option<SecretKey>| key.as_ref().map(&mut secret).transpose();
        let mut headers = Vec::new();
        for header in &receiver.headers {
            let value = optional(&header.value_from)?.or_else(|| header.value.clone()).unwrap_or_default();
            if value.contains(|c: char| c.is_control()) {
                return Err(format!("the value of its header {} has a control character", header.name));
            }
            headers.push((header.name.clone(), value));
        }
        let mail = match &receiver.email {
            Some(mail) => {
                let password = optional(&mail.password_from)?;
                let (host, port) = mail.server.rsplit_once(':').ok_or("email.server has no port")?;
                Some(MailRoute {
                    host: host.trim_matches(['[', ']']).to_owned(),
                    port: port.parse().map_err(|_| format!("email.server has no port: {port}"))?,
                    tls: mail.tls,
                    from: mail.from.clone(),
                    to: mail.to.clone(),
                    login: mail.username.clone().zip(password),
                })
            }
            None => None,
        };
        let url = match (optional(&receiver.url_from)?, &receiver.url) {
            (Some(url), _) => url,
            (None, Some(url)) => url.clone(),
            (None, None) => own_address(receiver.service).to_owned(),
        };
        if receiver.service != AlertService::Email && !is_address(&url) {
            return Err("its address is no http:// or https:// address".to_owned());
        }
        Ok(Destination {
            service: receiver.service,
            url,
            is_url_secret: receiver.url_from.is_some(),
            token: optional(&receiver.token_from)?,
            hmac: optional(&receiver.hmac_from)?,
            headers,
            ca_bundle: receiver.ca_bundle.clone(),
            mail,
        })
    }

    /// The keys of Secrets that a receiver names.
    pub fn secrets(receiver: &AlertReceiver) -> Vec<&SecretKey> {
        let own = [&receiver.url_from, &receiver.token_from, &receiver.hmac_from];
        let mail = receiver.email.iter().filter_map(|mail| mail.password_from.as_ref());
        let headers = receiver.headers.iter().filter_map(|header| header.value_from.as_ref());
        own.into_iter().flatten().chain(mail).chain(headers).collect()
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// What authorises its requests; PagerDuty has its key in the message.
    pub(crate) fn authorization(&self) -> Option<String> {
        let token = self.token.as_deref()?;
        match self.service {
            AlertService::Opsgenie => Some(opsgenie::authorization(token)),
            AlertService::PagerDuty => None,
            _ => Some(format!("Bearer {token}")),
        }
    }

    /// A text in which no secret of this destination is left: answers and errors may repeat them.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        let url = Some(self.url.as_str()).filter(|_| self.is_url_secret);
        let path = url.and_then(|url| url.splitn(4, '/').nth(3));
        // The secret is the last part of some, and a parameter of others (`sig=`).
        let parts = path.into_iter().flat_map(|path| path.split(['/', '?', '&', '='])).rev();
        let password = self.mail.iter().filter_map(|mail| Some(mail.login.as_ref()?.1.as_str()));
        let values = [url, path, self.token.as_deref(), self.hmac.as_deref()];
        let headers = self.headers.iter().map(|(_, value)| value.as_str());
        let all = values.into_iter().flatten().chain(headers).chain(password);
        // A short one would replace parts of words; it is no secret either. Of an address the words that all of them have are none.
        let parts = parts.filter(|part| part.len() >= MIN_PART);
        all.filter(|value| value.len() >= 6)
            .chain(parts)
            .fold(text.to_owned(), |text, value| text.replace(value, "[hidden]"))
    }
}

/// Characters of a part of a secret address that is hidden: `workflows` is shorter, what makes it secret is longer.
const MIN_PART: usize = 12;

fn own_address(service: AlertService) -> &'static str {
    match service {
        AlertService::PagerDuty => pagerduty::ADDRESS,
        AlertService::Opsgenie => opsgenie::ADDRESS,
        _ => "",
    }
}

fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(receiver: Value) -> Result<Destination, String> {
        let receiver: AlertReceiver = serde_json::from_value(receiver).unwrap();
        Destination::of(&receiver, |key| match key.key.as_str() {
            "url" => Ok("https://hooks.example/services/T0/B0/secret".to_owned()),
            "flow" => Ok("https://flows.example/workflows/f?sig=0123456789abcdef".to_owned()),
            "absent" => Err(format!("the Secret {} has no key absent", key.secret)),
            other => Ok(other.to_owned()),
        })
    }

    fn key(key: &str) -> Value {
        json!({"secret": "s", "key": key})
    }

    #[test]
    fn addresses_and_tokens() {
        let check = |receiver: Value, url: &str, authorization: Option<&str>| {
            let found = of(receiver.clone()).unwrap();
            assert_eq!((found.url.as_str(), found.authorization().as_deref()), (url, authorization), "{receiver}");
        };
        check(json!({"url": "https://a.example"}), "https://a.example", None);
        check(json!({"url": "http://a", "tokenFrom": key("token")}), "http://a", Some("Bearer token"));
        check(json!({"type": "Slack", "urlFrom": key("url")}), "https://hooks.example/services/T0/B0/secret", None);
        check(json!({"type": "PagerDuty", "tokenFrom": key("token")}), pagerduty::ADDRESS, None);
        check(json!({"type": "Opsgenie", "tokenFrom": key("token")}), opsgenie::ADDRESS, Some("GenieKey token"));
    }

    #[test]
    fn what_is_missing_is_named_without_values() {
        let check = |receiver: Value, expected: &str| {
            let why = of(receiver).unwrap_err();
            assert!(why.contains(expected), "{why}");
        };
        check(json!({"type": "Slack", "urlFrom": key("absent")}), "the Secret s has no key absent");
        check(json!({"type": "Slack", "urlFrom": key("token")}), "no http:// or https:// address");
        check(
            json!({"url": "http://a", "headers": [{"name": "X", "valueFrom": key("a\r\nb")}]}),
            "header X has a control",
        );
        let mail = json!({"server": "a:99999", "from": "a@b", "to": ["c@d"]});
        check(json!({"type": "Email", "email": mail}), "no port");
    }

    #[test]
    fn nothing_that_is_shown_has_a_secret() {
        let found = of(json!({"url": "https://a.example/x", "tokenFrom": key("token-1"), "hmacFrom": key("hmac-key"),
            "headers": [{"name": "X", "valueFrom": key("header-value")}]}))
        .unwrap();
        assert_eq!(format!("{found:?}"), "Destination { service: CloudEvents, .. }");
        assert_eq!(found.without_secrets("bad token-1, header-value"), "bad [hidden], [hidden]");
        let slack = of(json!({"type": "Slack", "urlFrom": key("url")})).unwrap();
        assert_eq!(slack.without_secrets("no /services/T0/B0/secret here"), "no /[hidden] here");
        let flow = of(json!({"type": "MicrosoftTeams", "urlFrom": key("flow")})).unwrap();
        assert_eq!(
            flow.without_secrets("workflows: sig=0123456789abcdef is wrong"),
            "workflows: sig=[hidden] is wrong"
        );
    }

    #[test]
    fn every_secret_is_asked_for() {
        let receiver: AlertReceiver = serde_json::from_value(json!({"urlFrom": key("a"), "tokenFrom": key("b"),
            "hmacFrom": key("c"), "headers": [{"name": "X", "valueFrom": key("d")}],
            "email": {"server": "a:25", "from": "a@b", "to": [], "username": "u", "passwordFrom": key("e")}}))
        .unwrap();
        let mut keys: Vec<&str> = Destination::secrets(&receiver).into_iter().map(|key| key.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["a", "b", "c", "d", "e"]);
        let mut asked = Vec::new();
        let _ = Destination::of(&receiver, |key| {
            asked.push(key.key.clone());
            Ok("https://a".to_owned())
        });
        asked.sort();
        assert_eq!(asked, keys);
    }
}
