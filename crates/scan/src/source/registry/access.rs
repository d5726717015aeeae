//! How a registry lets requests in: its challenge (distribution, "Token Authentication") is answered with each login in turn,
//! as kubelets pull, until one is accepted.

use super::RegistryConfig;
use super::attempt::{Attempt, FailedAttempt, busy, failed, in_the_clear, is_busy, refusal};
use super::auth::{self, Challenge, Parameters};
use super::credentials::Login;
use super::pace::Paced;
use super::token_services::TokenServices;
use crate::source::SourceError;
use crate::source::read::read_capped;
use base64::Engine as _;
use parking_lot::Mutex;
use tidewaiter_core::image::Reference;
use tidewaiter_http::Client as Http;
use tidewaiter_http::ureq::Body;
use tidewaiter_http::ureq::http::Response;

/// Bytes of a token service's answer: tokens have a few kilobytes.
const MAX_TOKEN: u64 = 1 << 20;
/// Logins that are tried for one request. A pull secret may have thousands, which a registry would count as failed logins of this
/// address, and so of everybody here.
const MAX_LOGINS: usize = 20;
/// The name by which this client asks for tokens (OAuth2, `client_id`).
const CLIENT: &str = "tidewaiter";

/// What a token must allow (distribution, "Token Scope Documentation").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actions {
    Pull,
    Push,
}

/// Access to one repository.
pub(super) struct Access {
    base: String,
    scope: String,
    /// In the order in which they are tried.
    logins: Vec<Login>,
    /// How many more there are, which are not tried.
    untried: usize,
    /// Which services may learn them.
    token_services: TokenServices,
    accepted: Mutex<Accepted>,
}

/// What was accepted last.
#[derive(Default)]
struct Accepted {
    /// The `Authorization` value.
    authorization: Option<String>,
    /// Place of its login.
    login: usize,
}

impl Access {
    /// To the repository of `reference` at the host `base`, where its name is `at_host`; `None`: there are no logins for that one.
    pub(super) fn new(
        config: &RegistryConfig,
        at_host: Option<&Reference>,
        reference: &Reference,
        base: &str,
        actions: Actions,
    ) -> Self {
        let actions = match actions {
            Actions::Pull => "pull",
            Actions::Push => "pull,push",
        };
        let logins = at_host.map(|name| config.credentials.logins(name)).unwrap_or_default();
        Access {
            base: base.to_owned(),
            scope: format!("repository:{}:{actions}", at_host.unwrap_or(reference).repository()),
            untried: logins.len().saturating_sub(MAX_LOGINS),
            logins: logins.into_iter().take(MAX_LOGINS).cloned().collect(),
            token_services: config.token_services.clone(),
            accepted: Mutex::default(),
        }
    }

    /// The `Authorization` value that was accepted last.
    pub(super) fn known(&self) -> Option<String> {
        self.accepted.lock().authorization.clone()
    }

    /// Whether a login was accepted, and not nobody's token.
    pub(super) fn logs_in(&self) -> bool {
        !self.logins.is_empty() && self.accepted.lock().authorization.is_some()
    }

    /// Answers the challenge of a refusal: sends the request with each login until one is not refused.
    ///
    /// # Errors
    /// The last refusal, or whatever else keeps a request from being answered.
    pub(super) fn let_in(
        &self,
        http: &Http,
        refused: &Response<Body>,
        what: &str,
        send: impl Fn(&str) -> Attempt<Response<Body>>,
    ) -> Attempt<Response<Body>> {
        let headers = refused.headers().get_all("www-authenticate");
        let challenge = headers.iter().filter_map(|h| h.to_str().ok()).find_map(auth::parse);
        let Some(challenge) = challenge else { return Err(refusal(401, what).into()) };
        let mut last = refusal(401, what).into();
        let turns = self.in_turn();
        let count = turns.len();
        for (turn, (place, login)) in turns.into_iter().enumerate() {
            let answered = self.authorization(http, &challenge, login, what);
            let sent = answered.and_then(|value| Ok((send(&value)?, value)));
            match sent {
                // Some registries hide what a login may not see.
                Ok((response, _)) if response.status() == 404 && turn + 1 < count => {
                    last = refusal(404, what).into();
                }
                Ok((response, _)) if matches!(response.status().as_u16(), 401 | 403) => {
                    last = refusal(response.status().as_u16(), what).into();
                }
                Ok((response, authorization)) => {
                    *self.accepted.lock() = Accepted { authorization: Some(authorization), login: place };
                    return Ok(response);
                }
                Err(failure) if is_refusal(&failure) => last = failure,
                Err(failure) => return Err(failure),
            }
        }
        Err(self.with_untried(last))
    }

    /// A refusal that says that not all logins were tried.
    fn with_untried(&self, mut refusal: FailedAttempt) -> FailedAttempt {
        if let (SourceError::Unauthorized { cause, .. } | SourceError::NotFound { cause, .. }, 1..) =
            (&mut *refusal.error, self.untried)
        {
            *cause = format!(
                "{cause}; the first {MAX_LOGINS} logins for it were tried, {} more were not: store fewer for one image",
                self.untried
            );
        }
        refusal
    }

    /// The logins, from the one that was accepted last: its token may have expired. Without any, nobody's.
    fn in_turn(&self) -> Vec<(usize, Option<&Login>)> {
        if self.logins.is_empty() {
            return vec![(0, None)];
        }
        let mut turns: Vec<_> = self.logins.iter().map(Some).enumerate().collect();
        turns.rotate_left(self.accepted.lock().login);
        turns
    }

    /// The `Authorization` value that answers a challenge.
    fn authorization(&self, http: &Http, challenge: &Challenge, login: Option<&Login>, what: &str) -> Attempt<String> {
        match (challenge, login) {
            (_, Some(Login::RegistryToken(token))) => Ok(format!("Bearer {token}")),
            (Challenge::Basic, Some(Login::Password { user, password })) => Ok(basic(user, password)),
            (Challenge::Bearer(parameters), login) => self.token(http, parameters, login, what),
            (Challenge::Basic, _) => Err(refusal(401, what).into()),
        }
    }

    /// Asks a token service. It may be another host, but never a plaintext one for an encrypted registry.
    fn token(&self, http: &Http, parameters: &Parameters, login: Option<&Login>, what: &str) -> Attempt<String> {
        let realm = parameters.get("realm").map(String::as_str).unwrap_or_default();
        if !(realm.starts_with("https://") || realm.starts_with("http://") && self.base.starts_with("http://")) {
            return Err(in_the_clear(what, "its token service is not reached over https").into());
        }
        if login.is_some() && !self.token_services.allow(&self.base, realm) {
            return Err(elsewhere(what, realm).into());
        }
        let service = parameters.get("service").map(|service| format!("&service={}", auth::encode(service)));
        let wanted = format!("scope={}{}", auth::encode(&self.scope), service.unwrap_or_default());
        // A realm may have a query of its own.
        let separator = if realm.contains('?') { '&' } else { '?' };
        let response = match login {
            Some(Login::IdentityToken(token)) => {
                http.post(realm).header("Content-Type", "application/x-www-form-urlencoded").send(format!(
                    "grant_type=refresh_token&client_id={CLIENT}&refresh_token={}&{wanted}",
                    auth::encode(token)
                ))
            }
            Some(Login::Password { user, password }) => {
                http.get(&format!("{realm}{separator}{wanted}")).header("Authorization", basic(user, password)).call()
            }
            _ => http.get(&format!("{realm}{separator}{wanted}")).call(),
        };
        given(response.map_err(|error| failed(http, realm, error, what))?, what, login.is_some())
    }
}

/// The `Authorization` value of a token service's answer.
fn given(response: Response<Body>, what: &str, logged_in: bool) -> Attempt<String> {
    match response.status().as_u16() {
        200 => {}
        status if is_busy(status) => return Err(busy(what, &response, "its token service", logged_in)),
        // Whatever else a token service answers, it gave no token for this login.
        status => return Err(refusal(if status == 403 { 403 } else { 401 }, what).into()),
    }
    let bytes = read_capped(Paced::new(response.into_body().into_reader(), what), what, MAX_TOKEN)?;
    // Older services answer `token`, those of OAuth 2 `access_token`; some both.
    let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let token = ["token", "access_token"].iter().find_map(|key| answer.get(key)?.as_str());
    Ok(format!("Bearer {}", token.ok_or_else(|| refusal(401, what))?))
}

fn elsewhere(what: &str, realm: &str) -> SourceError {
    let cause = format!("its token service is {realm}, which is of another domain: the login was not sent there");
    let advice = "if that is meant, name its host: --allow-token-service HOST of tidewaiter serve";
    SourceError::HostNotAllowed { what: what.to_owned(), cause, advice }
}

fn is_refusal(failure: &FailedAttempt) -> bool {
    matches!(*failure.error, SourceError::Unauthorized { .. })
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}
