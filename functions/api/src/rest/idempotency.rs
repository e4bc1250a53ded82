//! Requests that are sent again (draft-ietf-httpapi-idempotency-key-header): the first answer comes again.
//!
//! Owns the control items `PLACE/requests`, one for each Idempotency-Key of a caller: a digest of the request, and its
//! answer, sealed with a key that is made of the caller's own, since answers hold secrets that are told once. Items are
//! worth nothing after a day; each new one looks at [`SWEEP`] others and removes those.
//!
//! If the process dies between begin and answer, the item says that somebody is working on it; after [`GIVEN_UP`] the next
//! one with the same key does it again. What was already done is then told as it is found (409, as a rule).

use pennypost_admin::Actor;
use pennypost_model::Timestamp;
use pennypost_model::codec::{Versioned, decode, encode};
use pennypost_ports::{ControlKey, Expected, Put};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::rest::Rest;
use crate::rest::problem::details::bad_parameter;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// How long an answer is kept.
const KEPT: i64 = 24 * 60 * 60 * 1000;
/// After which a request of which nothing was heard may be sent again.
const GIVEN_UP: i64 = 60 * 1000;
/// Old items that are looked at for each new one.
const SWEEP: usize = 2;
/// Characters of a key.
const MAX_KEY: usize = 200;

#[derive(Serialize, Deserialize)]
struct Item {
    time: Timestamp,
    /// SHA-256 of method, path and body.
    request: [u8; 32],
    /// The answer, sealed; `None` while somebody works on it.
    answer: Option<Vec<u8>>,
}

impl Versioned for Item {
    const KIND: &'static str = "request";
}

impl Item {
    fn is_old(&self, now: Timestamp) -> bool {
        now.0.saturating_sub(self.time.0) > KEPT
    }

    fn is_given_up(&self, now: Timestamp) -> bool {
        self.answer.is_none() && now.0.saturating_sub(self.time.0) > GIVEN_UP
    }
}

/// A request with an Idempotency-Key.
pub(crate) struct Once {
    key: ControlKey,
    /// Names it among all others of the caller.
    pub(crate) name: [u8; 32],
    request: [u8; 32],
    seal: LessSafeKey,
}

/// What is to be done with it.
pub(crate) enum Begun {
    /// It, and then [`Once::keep`] with this version.
    Do(u64),
    /// Nothing: it was done, and this was the answer.
    Answered(Reply),
}

impl Once {
    /// # Errors
    /// [`Kind::BadParameter`] for what is no key.
    pub(crate) fn new(actor: &Actor, secret: &str, key: &str, request: [u8; 32]) -> Result<Once, Refusal> {
        let is_key = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        let wrong = || Refusal::new(Kind::BadParameter, bad_parameter("Idempotency-Key"));
        let unbound = UnboundKey::new(
            &CHACHA20_POLY1305,
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), b"answers").as_ref(),
        );
        let (true, Ok(unbound)) = (is_key, unbound) else { return Err(wrong()) };
        // Whoever has another key is another caller, even if he acts as the same person.
        let name: [u8; 32] = Sha256::digest(format!("{secret}\n{key}").as_bytes()).into();
        let sort: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let place = actor.tenant().map_or_else(|| "installation".to_owned(), |tenant| tenant.to_string());
        let key = ControlKey::new(format!("{place}/requests"), sort);
        Ok(Once { key, name, request, seal: LessSafeKey::new(unbound) })
    }

    /// Begins, unless it was begun.
    ///
    /// # Errors
    /// [`Kind::KeyReused`], [`Kind::InProgress`], or the port's.
    pub(crate) async fn begin(&self, rest: &Rest) -> Result<Begun, Refusal> {
        let now = rest.clock.now();
        let fresh = encode(&Item { time: now, request: self.request, answer: None });
        let mut expected = Expected::Absent;
        for _ in 0..8 {
            let held =
                match rest.control.put_if(&self.key, &fresh, expected).await.map_err(|error| port(&error))? {
                    Put::Stored(version) => {
                        self.sweep(rest, now).await;
                        return Ok(Begun::Do(version));
                    }
                    Put::Conflict(Some(held)) => held,
                    Put::Conflict(None) => {
                        expected = Expected::Absent;
                        continue;
                    }
                };
            let item: Item = decode(&held.value).map_err(|error| port(&damaged(&error)))?;
            if item.is_old(now) || item.is_given_up(now) && item.request == self.request {
                expected = Expected::Version(held.version);
                continue;
            }
            if item.request != self.request {
                return Err(Kind::KeyReused.into());
            }
            let Some(sealed) = item.answer else { return Err(Kind::InProgress.into()) };
            let answer = self.open(sealed).ok_or(Kind::Damaged)?;
            return Ok(Begun::Answered(answer));
        }
        Err(Kind::InProgress.into())
    }

    /// Keeps the answer; one that says that it may be tried again is forgotten with the request.
    pub(crate) async fn keep(&self, rest: &Rest, version: u64, result: &Result<Reply, Refusal>) {
        let kept = match result {
            Ok(reply) => {
                let answer = Some(self.seal(reply));
                let item = Item { time: rest.clock.now(), request: self.request, answer };
                rest.control.put_if(&self.key, &encode(&item), Expected::Version(version)).await.map(drop)
            }
            Err(_) => rest.control.delete_if(&self.key, version).await.map(drop),
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "an answer is not kept for whoever asks again");
        }
    }

    fn seal(&self, reply: &Reply) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = serde_json::to_vec(reply).unwrap_or_default();
        let about = Aad::from(self.request);
        let done =
            self.seal.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), about, &mut sealed);
        if done.is_err() {
            return Vec::new();
        }
        [&nonce[..], &sealed].concat()
    }

    fn open(&self, mut sealed: Vec<u8>) -> Option<Reply> {
        let (nonce, rest) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.seal.open_in_place(nonce, Aad::from(self.request), rest).ok()?;
        serde_json::from_slice(opened).ok()
    }

    async fn sweep(&self, rest: &Rest, now: Timestamp) {
        let (partition, after) = (self.key.partition.as_str(), Some(self.key.sort.as_str()));
        let Ok(rows) = rest.control.query(partition, "", after, SWEEP).await else { return };
        for (sort, item) in rows {
            if decode::<Item>(&item.value).is_ok_and(|item| item.is_old(now)) {
                let key = ControlKey::new(partition, sort);
                if let Err(error) = rest.control.delete_if(&key, item.version).await {
                    tracing::debug!(%error, "an old answer stays");
                }
            }
        }
    }
}

/// What is compared with the request of before.
pub(crate) fn digest(method: &str, path: &str, body: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(format!("{method} {path}\n"));
    digest.update(body);
    digest.finalize().into()
}

fn damaged(error: &pennypost_model::codec::CodecError) -> pennypost_ports::PortError {
    pennypost_ports::PortError::Damaged { port: "control", cause: error.to_string() }
}

fn port(error: &pennypost_ports::PortError) -> Refusal {
    if !error.is_temporary() {
        tracing::error!(%error, "damaged");
        return Refusal::from(Kind::Damaged);
    }
    tracing::warn!(%error, "not now");
    Refusal::from(Kind::Unavailable)
}
