//! Sessions: what a browser or a program holds after it has signed in over HTTP.
//!
//! Owns the control items `T/sessions`, `A/ID`: the hash of the session's secret, what it stands on, and its life. The
//! secret is 256 random bits and is said once. A session ends when its time is over, when it is not used for as long as it
//! may be idle, when it is ended here, and when the account or its tenant may no longer sign in, not from where the session
//! was opened, or the password becomes another ([`Directory::session`] asks each time, so that a process that died between
//! setting a password and ending sessions has let nobody stay).
//!
//! When a session was last used is noted to some minutes, so that a call as a rule costs no write. Sessions whose time is
//! over are removed when the account signs in again: an account has [`MAX_SESSIONS`] items at most.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::{MAX_ATTEMPTS, MAX_PAGE};
use crate::{Account, AccountKind, Directory, DirectoryError, Page};

/// What every session begins with, so that leaked ones can be searched for.
const PREFIX: &str = "pps_";
/// Hex digits of tenant, account and session, and of the secret.
const DIGITS: usize = 3 * 16 + 64;
/// Sessions that an account may have; of more the one that was not used for longest goes.
pub const MAX_SESSIONS: usize = 50;
/// Characters of what a client says that it is.
const MAX_CLIENT: usize = 200;
/// The last use is noted to so many milliseconds at most.
const GRAIN: i64 = 5 * 60 * 1000;

/// The number of a session within its account. Text form: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SessionId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<SessionId, Self::Err> {
        u64::from_str_radix(text, 16).map(SessionId)
    }
}

/// How somebody signed in. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignedInBy {
    /// By the password alone.
    Password,
    /// By the password and a code of the second factor.
    PasswordAndCode,
    /// By a ticket that another program of the organisation asked for (INT-01).
    Ticket,
    /// By a passkey.
    Passkey,
    /// By a provider of identities (AUT-01).
    Provider,
    /// By a code that went to the mobile number (AUT-01).
    Mobile,
    /// By such a code and one of the second factor.
    MobileAndCode,
    /// By a choice between the organisations of a mobile number (TEN-16). It leads to no further choice.
    Chosen,
    /// By such a choice and a code of the second factor.
    ChosenAndCode,
}

impl SignedInBy {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SignedInBy::Password => "password",
            SignedInBy::PasswordAndCode => "password-and-code",
            SignedInBy::Ticket => "ticket",
            SignedInBy::Passkey => "passkey",
            SignedInBy::Provider => "provider",
            SignedInBy::Mobile => "mobile",
            SignedInBy::MobileAndCode => "mobile-and-code",
            SignedInBy::Chosen => "chosen",
            SignedInBy::ChosenAndCode => "chosen-and-code",
        }
    }
}

/// How long a session lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLife {
    /// Milliseconds without use after which it is over.
    pub idle: i64,
    /// Milliseconds after which it is over in any case.
    pub whole: i64,
}

/// A session as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountKey,
    /// How its owner signed in.
    pub by: SignedInBy,
    /// What the client said that it is.
    pub client: String,
    /// From where it was opened.
    pub address: Option<IpAddr>,
    /// When it was opened.
    pub created: Timestamp,
    /// When it was last used, to some minutes.
    pub used: Timestamp,
    /// When it is over in any case.
    pub expires: Timestamp,
    /// When its owner last showed the second factor.
    pub confirmed: Option<Timestamp>,
    /// The tenant wants a second factor, and the owner has none yet: the session is for setting one up.
    pub lacks_factor: bool,
    /// The password is to be changed: the session is for that.
    pub must_change: bool,
}

/// A session that is wished for.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// Whose it is to be.
    pub account: AccountKey,
    /// How its owner signed in.
    pub by: SignedInBy,
    /// What the client says that it is.
    pub client: &'a str,
    /// From where.
    pub address: Option<IpAddr>,
    /// How long it is to last.
    pub life: SessionLife,
    /// Its owner has shown the second factor.
    pub is_confirmed: bool,
    /// It is only for setting up a second factor.
    pub lacks_factor: bool,
    /// It is only for changing the password.
    pub must_change: bool,
}

/// A session as stored. Has no `Debug`, so that it gets into no log.
#[derive(Serialize, Deserialize)]
struct SessionItem {
    hash: [u8; 32],
    by: SignedInBy,
    client: String,
    address: Option<IpAddr>,
    created: Timestamp,
    used: Timestamp,
    life: SessionLife,
    confirmed: Option<Timestamp>,
    lacks_factor: bool,
    must_change: bool,
    /// What tells the password of then from any other; `None`: there was none.
    password: Option<[u8; 32]>,
}

impl Versioned for SessionItem {
    const KIND: &'static str = "session";
}

impl SessionItem {
    fn expires(&self) -> Timestamp {
        self.created.plus_millis(self.life.whole)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires() || now.0.saturating_sub(self.used.0) >= self.life.idle
    }

    /// Is its last use so long ago that it is to be noted?
    fn is_stale(&self, now: Timestamp) -> bool {
        now.0.saturating_sub(self.used.0) >= GRAIN.min(self.life.idle / 4)
    }

    fn shown(self, account: AccountKey, id: SessionId) -> Session {
        let expires = self.expires();
        let SessionItem { by, client, address, created, used, confirmed, lacks_factor, must_change, .. } =
            self;
        Session {
            id,
            account,
            by,
            client,
            address,
            created,
            used,
            expires,
            confirmed,
            lacks_factor,
            must_change,
        }
    }
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/sessions")
}

fn prefix(account: AccountId) -> String {
    format!("{account}/")
}

fn session_key(key: AccountKey, id: SessionId) -> ControlKey {
    ControlKey::new(partition(key.tenant), format!("{}{id}", prefix(key.account)))
}

fn parts(text: &str) -> Option<(AccountKey, SessionId, &str)> {
    let digits = text.strip_prefix(PREFIX)?;
    let is_hex = digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex {
        return None;
    }
    let key = AccountKey { tenant: digits[..16].parse().ok()?, account: digits[16..32].parse().ok()? };
    Some((key, digits[32..48].parse().ok()?, &digits[48..]))
}

/// What a client says that it is, as it is kept.
fn client_of(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_CLIENT).collect::<String>().trim().to_owned()
}

impl Directory {
    /// Does the text look like a session of ours?
    #[must_use]
    pub fn is_session(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Opens a session of somebody who has signed in: its description, and the session itself, which is never told again.
    ///
    /// # Errors
    /// The port's.
    pub async fn keep_session(&self, new: &NewSession<'_>) -> Result<(Session, String), DirectoryError> {
        self.make_room(new.account).await?;
        let now = self.clock.now();
        let id = SessionId(self.ids.random());
        let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let item = SessionItem {
            hash: Sha256::digest(secret.as_bytes()).into(),
            by: new.by,
            client: client_of(new.client),
            address: new.address,
            created: now,
            used: now,
            life: new.life,
            confirmed: new.is_confirmed.then_some(now),
            lacks_factor: new.lacks_factor,
            must_change: new.must_change,
            password: self.password_digest(new.account).await?,
        };
        if self.write(&session_key(new.account, id), &item, Expected::Absent).await?.is_none() {
            return Err(DirectoryError::Contended);
        }
        let text = format!("{PREFIX}{}{}{id}{secret}", new.account.tenant, new.account.account);
        let session = item.shown(new.account, id);
        self.tell_next(&session).await;
        Ok((session, text))
    }

    /// Notes that a session has begun. One that is for setting up alone is told to nobody: the one that stood before it is
    /// what the owner has to see.
    async fn tell_next(&self, session: &Session) {
        if session.must_change || session.lacks_factor {
            return;
        }
        if let Err(error) = self.note_beginning(session).await {
            let account = session.account;
            tracing::warn!(%account, %error, "that a session has begun is not told to the next one");
        }
    }

    /// Removes sessions that are over, and of too many the one that was not used for longest.
    async fn make_room(&self, key: AccountKey) -> Result<(), DirectoryError> {
        let now = self.clock.now();
        let mut kept = Vec::new();
        for (id, item) in self.session_items(key).await? {
            if item.is_over(now) {
                self.erase(&session_key(key, id)).await?;
            } else {
                kept.push((item.used, id));
            }
        }
        kept.sort_unstable();
        let too_many = (kept.len() + 1).saturating_sub(MAX_SESSIONS);
        for (_, id) in kept.into_iter().take(too_many) {
            self.erase(&session_key(key, id)).await?;
        }
        Ok(())
    }

    async fn session_items(&self, key: AccountKey) -> Result<Vec<(SessionId, SessionItem)>, DirectoryError> {
        // Of several that open at once each makes room: there may be a few more for a moment.
        let page = Page { after: None, limit: 4 * MAX_SESSIONS };
        let listed = self.list::<SessionItem>(&partition(key.tenant), &prefix(key.account), &page).await?;
        Ok(listed.items.into_iter().filter_map(|(id, item)| Some((id.parse().ok()?, item))).collect())
    }

    /// The account of a session, if that still opens it.
    async fn whose_session(
        &self,
        key: AccountKey,
        item: &SessionItem,
    ) -> Result<Option<Account>, DirectoryError> {
        let now = self.clock.now();
        let (tenant, account, password, gate) = futures::try_join!(
            self.active_tenant(key.tenant),
            self.account(key),
            self.password_digest(key),
            self.gate(key)
        )?;
        // A business mailbox is signed in to by nobody (BIZ-01).
        let may = |account: &Account| account.is_open(now) && account.kind == AccountKind::Member;
        let account = account.filter(may);
        let is_admitted = match item.address {
            Some(address) => self.admits(&gate, Some(key), address).await?,
            None => true,
        };
        let stands = tenant.is_some() && password == item.password && is_admitted && !item.is_over(now);
        Ok(account.filter(|_| stands))
    }

    /// Does this session still open its account?
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn session_stands(&self, key: AccountKey, id: SessionId) -> Result<bool, DirectoryError> {
        let held = self.read::<SessionItem>(&session_key(key, id), Consistency::Strong).await?;
        match held {
            Some(held) => Ok(self.whose_session(key, &held.value).await?.is_some()),
            None => Ok(false),
        }
    }

    /// The session that this text opens, with its account as it is now; `None` if it opens nothing, or nothing any more.
    /// Notes that it is used.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn session(&self, text: &str) -> Result<Option<(Session, Account)>, DirectoryError> {
        let Some((key, id, secret)) = parts(text) else { return Ok(None) };
        let item_key = session_key(key, id);
        let Some(held) = self.read::<SessionItem>(&item_key, Consistency::Strong).await? else {
            return Ok(None);
        };
        let (mut item, now) = (held.value, self.clock.now());
        // Digests of 256 random bits: the time of the comparison tells nothing that could be used.
        if <[u8; 32]>::from(Sha256::digest(secret.as_bytes())) != item.hash {
            return Ok(None);
        }
        let Some(account) = self.whose_session(key, &item).await? else {
            // What has ended once does not begin again, whatever becomes of the account.
            self.erase(&item_key).await?;
            return Ok(None);
        };
        if item.is_stale(now) {
            item.used = now;
            // Whoever wrote meanwhile noted the same, or ended it.
            self.write(&item_key, &item, Expected::Version(held.version)).await?;
        }
        Ok(Some((item.shown(key, id), account)))
    }

    /// The sessions of an account that are not over, the newest first.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn sessions(&self, key: AccountKey) -> Result<Vec<Session>, DirectoryError> {
        let now = self.clock.now();
        let (items, password) = futures::try_join!(self.session_items(key), self.password_digest(key))?;
        let stands = |item: &SessionItem| !item.is_over(now) && item.password == password;
        let items = items.into_iter().filter(|(_, item)| stands(item));
        let mut sessions: Vec<Session> = items.map(|(id, item)| item.shown(key, id)).collect();
        sessions.sort_by_key(|session| std::cmp::Reverse((session.created, session.id)));
        Ok(sessions)
    }

    /// Ends a session; `false` if there was none of that number.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn end_session(&self, key: AccountKey, id: SessionId) -> Result<bool, DirectoryError> {
        let key = session_key(key, id);
        let is_there = self.control.get(&key, Consistency::Strong).await?.is_some();
        self.erase(&key).await?;
        Ok(is_there)
    }

    /// Ends all sessions of an account but one; how many there were.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn end_sessions(
        &self,
        key: AccountKey,
        except: Option<SessionId>,
    ) -> Result<usize, DirectoryError> {
        let mut ended = 0;
        for (id, _) in self.session_items(key).await? {
            if Some(id) != except {
                self.erase(&session_key(key, id)).await?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Ends all sessions of a tenant that providers have opened. Reads all of the tenant's.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn end_provider_sessions(&self, tenant: TenantId) -> Result<(), DirectoryError> {
        let partition = partition(tenant);
        let mut page = Page { after: None, limit: MAX_PAGE };
        loop {
            let listed = self.list::<SessionItem>(&partition, "", &page).await?;
            for (sort, _) in listed.items.into_iter().filter(|(_, item)| item.by == SignedInBy::Provider) {
                self.erase(&ControlKey::new(partition.as_str(), sort)).await?;
            }
            let Some(next) = listed.next else { return Ok(()) };
            page.after = Some(next);
        }
    }

    /// Is a session there still?
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn has_session(&self, key: AccountKey, id: SessionId) -> Result<bool, DirectoryError> {
        Ok(self.sessions(key).await?.iter().any(|session| session.id == id))
    }

    /// Notes that the owner of a session has shown the second factor just now; `false` if the session is over.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn confirm_session(&self, key: AccountKey, id: SessionId) -> Result<bool, DirectoryError> {
        let item_key = session_key(key, id);
        for _ in 0..MAX_ATTEMPTS {
            let Some(held) = self.read::<SessionItem>(&item_key, Consistency::Strong).await? else {
                return Ok(false);
            };
            let (mut item, now) = (held.value, self.clock.now());
            let was_half = item.lacks_factor;
            (item.confirmed, item.used, item.lacks_factor) = (Some(now), now, false);
            if self.write(&item_key, &item, Expected::Version(held.version)).await?.is_some() {
                if was_half {
                    self.tell_next(&item.shown(key, id)).await;
                }
                return Ok(true);
            }
        }
        Err(DirectoryError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(idle: i64, whole: i64) -> SessionItem {
        SessionItem {
            hash: [0; 32],
            by: SignedInBy::Password,
            client: String::new(),
            address: None,
            created: Timestamp(1_000),
            used: Timestamp(1_000),
            life: SessionLife { idle, whole },
            confirmed: None,
            lacks_factor: false,
            must_change: false,
            password: None,
        }
    }

    #[test]
    fn sessions_end_when_they_are_idle_or_old() {
        let minutes = |n: i64| n * 60 * 1000;
        let mut it = item(minutes(60), minutes(600));
        assert!(!it.is_over(Timestamp(minutes(60) + 999)) && it.is_over(Timestamp(minutes(60) + 1_000)));
        it.used = Timestamp(minutes(599));
        assert!(!it.is_over(Timestamp(minutes(600) + 999)) && it.is_over(Timestamp(minutes(600) + 1_000)));
        // A clock that was set back ends nothing.
        assert!(!it.is_over(Timestamp(0)));
        assert!(!it.is_stale(Timestamp(minutes(603))) && it.is_stale(Timestamp(minutes(604))));
        assert!(item(minutes(8), minutes(600)).is_stale(Timestamp(1_000 + minutes(2))));
    }

    #[test]
    fn clients_are_kept_short_and_plain() {
        assert_eq!(client_of(" curl/8\r\nx "), "curl/8x");
        assert_eq!(client_of(&"我".repeat(500)).chars().count(), MAX_CLIENT);
    }

    #[test]
    fn only_what_looks_like_a_session_is_looked_up() {
        let good = format!("{PREFIX}{}", "0".repeat(DIGITS));
        assert!(parts(&good).is_some());
        for bad in ["", "pps_", &good[..good.len() - 1], &good.replace('0', "G"), &good.replace("pps", "ppt")]
        {
            assert!(parts(bad).is_none(), "{bad}");
        }
    }
}
