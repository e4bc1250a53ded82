//! Text messages by a webhook.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pennypost_openid::Place;
use pennypost_ports::{Clock, FetchError, Https, HttpsPost};
use ring::hmac;
use serde::Serialize;

/// How often a message is handed over at most, and the pauses between.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1_500)];
/// How long all of it may take: whoever asked waits, or a page does.
const WAIT: Duration = Duration::from_secs(20);

/// A text message.
#[derive(Clone, PartialEq, Eq)]
pub struct Sms<'a> {
    /// Names it: 16 characters or more that nobody else has.
    pub id: &'a str,
    /// To whom: `+`, country and number (E.164).
    pub to: &'a str,
    /// What it is for: `bind`, `sign-in`, `password`, `invitation`.
    pub kind: &'static str,
    /// What it says.
    pub text: &'a str,
    /// What the text is made of, for gateways that have templates of their own.
    pub values: BTreeMap<&'static str, String>,
}

/// Why a text message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmsError {
    /// The connector does not want it: another try would not help.
    #[error("the connector refused the message: HTTP status {0}")]
    Refused(u16),
    /// The connector has not answered well.
    #[error("the connector does not answer: {0}")]
    Unavailable(String),
}

/// What brings text messages.
#[async_trait]
pub trait SmsCarrier: Send + Sync {
    /// Hands a message over. Durable with the carrier when it returns; the same id again is the same message.
    ///
    /// # Errors
    /// [`SmsError`]; of [`SmsError::Unavailable`] nobody knows whether it was sent.
    async fn send(&self, message: &Sms<'_>) -> Result<(), SmsError>;
}

/// What the operator says of the connector. `Debug` does not tell the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// `https://HOST[:PORT]/PATH`; `http://` only to a host that the operator has named as one of his own.
    pub url: String,
    /// With which calls are signed: 16 characters at least.
    pub secret: String,
    /// Names of the gateway's own templates, by kind of message; they are passed on.
    pub templates: BTreeMap<String, String>,
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The settings name no connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// The address.
    #[error("the url is https://HOST[:PORT]/PATH, or http:// to a host of the operator")]
    Url,
    /// The secret.
    #[error("the secret has 16 characters at least")]
    Secret,
}

/// A connector over HTTP.
pub struct Webhook {
    https: Arc<dyn Https>,
    clock: Arc<dyn Clock>,
    place: Place,
    is_plain: bool,
    key: hmac::Key,
    templates: BTreeMap<String, String>,
}

/// The body of a call.
#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    to: &'a str,
    kind: &'a str,
    text: &'a str,
    template: Option<&'a str>,
    values: &'a BTreeMap<&'static str, String>,
}

/// The signature of a call: what the connector compares with.
#[must_use]
pub fn signature(secret: &[u8], timestamp: &str, body: &str) -> String {
    signed(&hmac::Key::new(hmac::HMAC_SHA256, secret), timestamp, body)
}

fn signed(key: &hmac::Key, timestamp: &str, body: &str) -> String {
    let tag = hmac::sign(key, format!("{timestamp}.{body}").as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={digits}")
}

impl Webhook {
    /// By these settings, over `https`, which asks hosts on networks that are not public, and hosts without TLS, only where
    /// the operator has named them.
    ///
    /// # Errors
    /// [`BadAddress`].
    pub fn new(
        https: Arc<dyn Https>,
        clock: Arc<dyn Clock>,
        settings: &WebhookSettings,
    ) -> Result<Webhook, BadAddress> {
        let WebhookSettings { url, secret, templates } = settings;
        let (place, is_plain) = match url.strip_prefix("http://") {
            // The same form, but for the port that is meant where none is said.
            Some(rest) => {
                let mut place = Place::parse(&format!("https://{rest}")).ok_or(BadAddress::Url)?;
                let authority = rest.split(['/', '?']).next().unwrap_or_default();
                place.port = if authority.contains(':') { place.port } else { 80 };
                (place, true)
            }
            None => (Place::parse(url).ok_or(BadAddress::Url)?, false),
        };
        if secret.chars().count() < 16 {
            return Err(BadAddress::Secret);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Ok(Webhook { https, clock, place, is_plain, key, templates: templates.clone() })
    }

    /// Calls once; an error with whether another try may help.
    async fn call(&self, id: &str, body: &str) -> Result<(), (SmsError, bool)> {
        let seconds = self.clock.now().0.div_euclid(1_000).to_string();
        let signature = signed(&self.key, &seconds, body);
        let headers =
            [("Idempotency-Key", id), ("Pennypost-Timestamp", &seconds), ("Pennypost-Signature", &signature)];
        let post = HttpsPost {
            host: &self.place.host,
            port: self.place.port,
            path: &self.place.path,
            headers: &headers,
            body,
            is_plain: self.is_plain,
        };
        match self.https.post(&post).await {
            // What is said beside the status, and whether the connection ends, does not matter.
            Ok(200..=299) => Ok(()),
            Ok(status) if (400..500).contains(&status) && ![408, 429].contains(&status) => {
                Err((SmsError::Refused(status), false))
            }
            Ok(status) => Err((SmsError::Unavailable(FetchError::Status(status).to_string()), true)),
            // That it may not be asked, or has no address, does not change within a second.
            Err(error @ FetchError::NoHost) => Err((SmsError::Unavailable(error.to_string()), false)),
            Err(error) => Err((SmsError::Unavailable(error.to_string()), true)),
        }
    }

    async fn hand_over(&self, id: &str, body: &str) -> Result<(), SmsError> {
        let mut pauses = PAUSES.iter();
        loop {
            let Err((error, is_temporary)) = self.call(id, body).await else { return Ok(()) };
            let Some(pause) = pauses.next().filter(|_| is_temporary) else { return Err(error) };
            tracing::info!(id, %error, "a text message is tried again");
            self.clock.sleep(*pause).await;
        }
    }
}

#[async_trait]
impl SmsCarrier for Webhook {
    async fn send(&self, message: &Sms<'_>) -> Result<(), SmsError> {
        let Sms { id, to, kind, text, values } = message;
        let template = self.templates.get(*kind).map(String::as_str);
        let document = Document { id, to, kind, text, template, values };
        let unreadable = |error: serde_json::Error| SmsError::Unavailable(error.to_string());
        let body = serde_json::to_string(&document).map_err(unreadable)?;
        let late = || Err(SmsError::Unavailable("it took too long".to_owned()));
        tokio::time::timeout(WAIT, self.hand_over(id, &body)).await.unwrap_or_else(|_| late())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a value that was made by another program: `openssl dgst -sha256 -hmac`.
    #[test]
    fn calls_are_signed_as_it_is_written() {
        let expected = "v1=c07cb169de13ebd443f369d602254610b2b94181a618c914b33d8ac2905a2525";
        assert_eq!(signature(b"0123456789abcdef", "1795000000", "{\"id\":\"x\"}"), expected);
        assert_ne!(signature(b"0123456789abcdef", "1795000001", "{\"id\":\"x\"}"), expected);
        assert_ne!(signature(b"0123456789abcdeF", "1795000000", "{\"id\":\"x\"}"), expected);
    }
}
