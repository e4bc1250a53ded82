//! Connectors: programs of others that do for the post office what it can't do itself. So far one: text messages.
//!
//! The operator names an address; what is to be sent goes there as JSON by POST ([`Webhook`]), signed:
//!
//! | header | holds |
//! | --- | --- |
//! | `Idempotency-Key` | names the message: the same again is the same message, to be sent once |
//! | `Pennypost-Timestamp` | seconds since 1970, as the call was made |
//! | `Pennypost-Signature` | `v1=` and HMAC-SHA256 in hex, with the secret, of that timestamp, a full stop, and the body |
//!
//! Whoever answers with a status of 2xx has it. Everything else is tried again with the same key, three times in all, unless
//! it is a status of 4xx other than 408 and 429, which is an end. Owns nothing: who dies between call and answer has sent, or
//! not, and whoever asks for the message asks anew.

mod sms;

pub use sms::{BadAddress, Sms, SmsCarrier, SmsError, Webhook, WebhookSettings, signature};
