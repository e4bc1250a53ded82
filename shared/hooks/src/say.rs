//! How a notice is said: JSON by POST, signed as Standard Webhooks says (<https://www.standardwebhooks.com>, version 1).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_model::Timestamp;
use pennypost_ports::{FetchError, Https, HttpsPost};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Place;

/// Characters that are kept of why a receiver was not reached.
const MAX_CAUSE: usize = 200;

/// Something that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// By which receivers know what they have been told before: it stays, however often the notice comes.
    pub id: String,
    /// Of what it is.
    pub kind: &'static str,
    /// When that was.
    pub time: Timestamp,
    /// What is told.
    pub data: Value,
}

impl Notice {
    fn body(&self) -> String {
        let Notice { id, kind, time, data } = self;
        json!({ "id": id, "type": kind, "timestamp": time.rfc3339(), "data": data }).to_string()
    }
}

/// What came of telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attempted {
    /// The receiver has answered with this status.
    Answered(u16),
    /// It was not reached, or gave no answer that could be read, or nothing could be said to it.
    Unreachable(String),
}

impl Attempted {
    /// Has the receiver taken it?
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        matches!(self, Attempted::Answered(200..=299))
    }

    /// Has it said that it is gone for good?
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Attempted::Answered(410))
    }

    /// Is it this notice, more likely than the receiver, that keeps it from being taken? Others may be taken then.
    #[must_use]
    pub const fn is_of_notice(&self) -> bool {
        matches!(self, Attempted::Answered(400..=499)) && !self.is_of_receiver()
    }

    /// Would the receiver take nothing else now either? It is not reached, wants to be left alone, or is gone.
    #[must_use]
    pub const fn is_of_receiver(&self) -> bool {
        matches!(self, Attempted::Unreachable(_) | Attempted::Answered(408 | 410 | 429))
    }

    /// The status, if there was one.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Attempted::Answered(status) => Some(*status),
            Attempted::Unreachable(_) => None,
        }
    }

    /// Why it was not taken, if there was no status.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Attempted::Answered(_) => None,
            Attempted::Unreachable(cause) => Some(cause),
        }
    }
}

/// The signature of a notice: HMAC-SHA256 over id, time in seconds and body, with dots between them.
#[must_use]
pub fn signature(secret: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref()))
}

/// Tells a receiver. Whatever it answers is no error.
#[pennypost_ports::compiled_here]
pub async fn post(
    https: &dyn Https,
    place: &Place,
    secret: &[u8],
    notice: &Notice,
    now: Timestamp,
) -> Attempted {
    let (body, seconds) = (notice.body(), now.seconds());
    let (time, signature) = (seconds.to_string(), signature(secret, &notice.id, seconds, &body));
    let headers =
        [("webhook-id", &*notice.id), ("webhook-timestamp", &*time), ("webhook-signature", &*signature)];
    let Place { host, port, path, .. } = place;
    let post = HttpsPost { host, port: *port, path, headers: &headers, body: &body, is_plain: false };
    match https.post(&post).await {
        Ok(status) | Err(FetchError::Status(status)) => Attempted::Answered(status),
        Err(error) => Attempted::Unreachable(error.to_string().chars().take(MAX_CAUSE).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's documents.
    #[test]
    fn notices_are_signed_as_the_standard_says() {
        let secret = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        assert_eq!(
            signature(&secret, id, 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_was_taken_is_told_from_what_was_not() {
        for (attempted, is_taken, is_gone) in [
            (Attempted::Answered(200), true, false),
            (Attempted::Answered(204), true, false),
            (Attempted::Answered(301), false, false),
            (Attempted::Answered(410), false, true),
            (Attempted::Answered(503), false, false),
            (Attempted::Unreachable("no".to_owned()), false, false),
        ] {
            assert_eq!((attempted.is_taken(), attempted.is_gone()), (is_taken, is_gone), "{attempted:?}");
        }
    }
}
