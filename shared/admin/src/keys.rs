//! Keys: how programs say who they are to the API.
//!
//! A key is random and is said once, to whoever makes it; what is stored is the SHA-256 of its secret, behind which
//! nobody can guess 256 random bits. It is an operator's, a tenant's, or a person's: one of a person does what the
//! person may at that moment, within what the key is for. When it was last used is noted to the hour, so that a call
//! costs no write.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use parking_lot::Mutex;
use pennypost_directory::{Account, AccountKind, Blockable, Directory, Function, Listed, Page};
use pennypost_model::codec::{Versioned, encode};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::authorise::{Actor, Means, Scope, Why};
use crate::call::{About, Call};
use crate::operations::Book;
use crate::permission::{Area, Level, Permissions};
use crate::roles::{name_of, of_tenant};
use crate::{AdminError, Administration, Invalid};

/// What every key begins with, so that leaked ones can be searched for.
const PREFIX: &str = "ppk_";
/// Hex digits of tenant and key, and of the secret.
const DIGITS: usize = 2 * 16 + 64;
/// Keys that a tenant may have, and the installation.
pub const MAX_KEYS: usize = 200;
/// Milliseconds to which uses are noted.
const HOUR: i64 = 60 * 60 * 1000;
/// Keys of which a process remembers the last use.
const MAX_REMEMBERED: usize = 10_000;

/// The number of a key. Text form: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for KeyId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<KeyId, Self::Err> {
        u64::from_str_radix(text, 16).map(KeyId)
    }
}

/// As whom a key acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holder {
    /// As nobody: the key may do what it is for.
    Program,
    /// As this account of the tenant.
    Account(AccountId),
}

/// A key as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its number.
    pub id: KeyId,
    /// Whose it is; `None`: an operator's.
    pub tenant: Book,
    /// What it is called.
    pub name: String,
    /// As whom it acts.
    pub holder: Holder,
    /// What it may be used for.
    pub permissions: Permissions,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is worth nothing.
    pub expires: Option<Timestamp>,
    /// The hour of its last use.
    pub used: Option<Timestamp>,
}

/// A key that is wished for.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is to be called.
    pub name: String,
    /// As whom it is to act.
    pub holder: Holder,
    /// What it is to be used for.
    pub permissions: Permissions,
    /// From when on it is to be worth nothing.
    pub expires: Option<Timestamp>,
}

/// A key as stored. Has no `Debug`, so that it gets into no log.
#[derive(Serialize, Deserialize)]
struct KeyItem {
    name: String,
    hash: [u8; 32],
    holder: Holder,
    permissions: Permissions,
    created: Timestamp,
    expires: Option<Timestamp>,
}

impl Versioned for KeyItem {
    const KIND: &'static str = "key";
}

#[derive(Serialize, Deserialize)]
struct Use {
    hour: i64,
}

impl Versioned for Use {
    const KIND: &'static str = "use of a key";
}

/// The hours in which this process has seen keys.
#[derive(Default)]
pub(crate) struct Uses(Mutex<HashMap<(Book, KeyId), i64>>);

/// Why a key opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthentic {
    /// There is no such key, or it has ended, or its holder may not be here: told alike.
    #[error("the key opens nothing")]
    Unknown,
    /// It can't be looked up.
    #[error(transparent)]
    Failed(#[from] AdminError),
}

fn place(book: Book) -> String {
    book.map_or_else(|| "installation".to_owned(), |tenant| tenant.to_string())
}

fn partition(book: Book) -> String {
    format!("{}/keys", place(book))
}

fn key_key(book: Book, id: KeyId) -> ControlKey {
    ControlKey::new(partition(book), id.to_string())
}

fn use_key(book: Book, id: KeyId) -> ControlKey {
    ControlKey::new(format!("{}/key-uses", place(book)), id.to_string())
}

fn parts(text: &str) -> Option<(Book, KeyId, &str)> {
    let digits = text.strip_prefix(PREFIX)?;
    let is_hex = digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex {
        return None;
    }
    // No tenant has the number 0.
    let tenant = digits[..16].parse().ok().filter(|tenant| *tenant != TenantId(0));
    Some((tenant, digits[16..32].parse().ok()?, &digits[32..]))
}

fn summary(new: &NewKey) -> Value {
    let permissions: Vec<String> = new.permissions.iter().map(|one| one.to_string()).collect();
    let account = match new.holder {
        Holder::Program => None,
        Holder::Account(account) => Some(account.to_string()),
    };
    let expires = new.expires.map(Timestamp::rfc3339);
    json!({ "name": new.name, "account": account, "permissions": permissions, "expires": expires })
}

const fn action(book: Book, of_tenant: Action, of_operator: Action) -> Action {
    if book.is_some() { of_tenant } else { of_operator }
}

fn scope(book: Book) -> Scope<'static> {
    book.map_or(Scope::Installation, Scope::Tenant)
}

impl Administration {
    /// Who it is that shows this key, or this session.
    ///
    /// # Errors
    /// [`NotAuthentic`].
    #[pennypost_ports::compiled_here]
    pub async fn authenticate(&self, text: &str) -> Result<Actor, NotAuthentic> {
        if Directory::is_session(text) {
            return self.authenticate_session(text).await;
        }
        let (book, id, secret) = parts(text).ok_or(NotAuthentic::Unknown)?;
        let stored = self.read::<KeyItem>(&key_key(book, id)).await?;
        let (item, _) = stored.ok_or(NotAuthentic::Unknown)?;
        // Digests of 256 random bits: the time of the comparison tells nothing that could be used.
        let is_right = <[u8; 32]>::from(Sha256::digest(secret.as_bytes())) == item.hash;
        if !is_right || item.expires.is_some_and(|end| end <= self.clock.now()) {
            return Err(NotAuthentic::Unknown);
        }
        let actor = self.actor_by(book, id, item).await?;
        self.note_use(book, id).await;
        Ok(actor)
    }

    /// Whoever has ordered something with this key, with what he may do now.
    ///
    /// # Errors
    /// [`NotAuthentic::Unknown`] if the key is worth nothing any more.
    pub(crate) async fn actor_of_key(&self, book: Book, id: KeyId) -> Result<Actor, NotAuthentic> {
        let stored = self.read::<KeyItem>(&key_key(book, id)).await?;
        let (item, _) = stored.ok_or(NotAuthentic::Unknown)?;
        if item.expires.is_some_and(|end| end <= self.clock.now()) {
            return Err(NotAuthentic::Unknown);
        }
        self.actor_by(book, id, item).await
    }

    async fn actor_by(&self, book: Book, id: KeyId, item: KeyItem) -> Result<Actor, NotAuthentic> {
        if let Some(tenant) = book {
            let tenant = self.directory.tenant(tenant).await.map_err(AdminError::from)?;
            // A plan without the function leaves keys that were made before; the operator's word does not.
            let api = Blockable::OfPlan(Function::Api);
            if tenant.is_none_or(|tenant| !tenant.is_open(self.clock.now()) || tenant.is_blocked(api)) {
                return Err(NotAuthentic::Unknown);
            }
        }
        let KeyItem { name, holder, permissions, .. } = item;
        Ok(match (book, holder) {
            (_, Holder::Program) => Actor::Service { key: id, name, tenant: book, permissions },
            (Some(tenant), Holder::Account(account)) => {
                let account = AccountKey { tenant, account };
                let found = self.directory.account(account).await.map_err(AdminError::from)?;
                // Nobody acts as a business mailbox (BIZ-01).
                let may =
                    |found: &Account| found.is_open(self.clock.now()) && found.kind == AccountKind::Member;
                let found = found.filter(may);
                let address = found.ok_or(NotAuthentic::Unknown)?.address.to_string();
                let authority = self.authority(account).await?;
                let means = Means::Key(id);
                Actor::Person { means, account, address, authority, limit: permissions }
            }
            (None, Holder::Account(_)) => return Err(NotAuthentic::Unknown),
        })
    }

    /// Notes that a key was used, once an hour.
    async fn note_use(&self, book: Book, id: KeyId) {
        let hour = self.clock.now().0.div_euclid(HOUR);
        {
            let mut seen = self.uses.0.lock();
            if seen.get(&(book, id)) == Some(&hour) {
                return;
            }
            if seen.len() >= MAX_REMEMBERED {
                seen.clear();
            }
            seen.insert((book, id), hour);
        }
        let noted = self.control.put_if(&use_key(book, id), &encode(&Use { hour }), Expected::Any).await;
        if let Err(error) = noted {
            tracing::debug!(%error, "the use of a key is not noted");
        }
    }

    /// Makes a key: its description, and the key itself, which is never told again.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_key(
        &self,
        call: &Call,
        book: Book,
        new: NewKey,
    ) -> Result<(ApiKey, String), AdminError> {
        let action = action(book, Action::KeyAdd, Action::OperatorKeyAdd);
        let object = new.name.clone();
        let about = About::new(book, action, &object).to(summary(&new));
        self.permit(call, &scope(book), &about).await?;
        let NewKey { name, holder, permissions, expires } = new;
        let name = name_of(&name)?;
        if expires.is_some_and(|end| end <= self.clock.now()) {
            return Err(Invalid::Past.into());
        }
        match book {
            Some(tenant) => {
                of_tenant(&permissions)?;
                self.needs_function(tenant, Function::Api).await?;
            }
            None if permissions.is_empty() => return Err(Invalid::Permissions.into()),
            None => {}
        }
        self.permit_holder(call, &about, book, holder, &permissions).await?;
        // Else a key would be the way around the confirmation.
        let is_for_danger = permissions.allow(Area::Dangerous, Level::Read);
        if is_for_danger && !call.actor.is_confirmed() {
            self.note_denied(call, &about, Why::Unconfirmed).await?;
            return Err(AdminError::Denied(Why::Unconfirmed));
        }
        if self.list::<KeyItem>(&partition(book), &Page { after: None, limit: MAX_KEYS }).await?.items.len()
            >= MAX_KEYS
        {
            return Err(Invalid::TooMany { limit: MAX_KEYS }.into());
        }
        let id = KeyId(self.ids.random());
        let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = Sha256::digest(secret.as_bytes()).into();
        let item = KeyItem { name, hash, holder, permissions, created: self.clock.now(), expires };
        self.act(call, &about, async {
            let is_written = self.write(&key_key(book, id), &item, Expected::Absent).await?;
            if is_written { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await?;
        let text = format!("{PREFIX}{}{id}{secret}", book.unwrap_or(TenantId(0)));
        Ok((shown(book, id, item, None), text))
    }

    /// A key is at most for what its maker may do; one that acts as a person is made by that person, or by somebody above
    /// all members.
    async fn permit_holder(
        &self,
        call: &Call,
        about: &About<'_>,
        book: Book,
        holder: Holder,
        permissions: &Permissions,
    ) -> Result<(), AdminError> {
        match (book, holder) {
            (None, Holder::Account(_)) => Err(Invalid::NoAccount.into()),
            // Every power of an operator's key is one of the key that makes it.
            (None, Holder::Program) => match &call.actor {
                Actor::Operator => Ok(()),
                Actor::Service { tenant: None, permissions: own, .. } if own.hold(permissions) => Ok(()),
                _ => {
                    self.note_denied(call, about, Why::Above).await?;
                    Err(AdminError::Denied(Why::Above))
                }
            },
            (Some(_), Holder::Program) => self.permit_giving(call, about, permissions).await,
            (Some(tenant), Holder::Account(account)) => {
                let key = AccountKey { tenant, account };
                let found = self.directory.account(key).await?;
                if found.is_none_or(|found| found.kind != AccountKind::Member) {
                    return Err(Invalid::NoAccount.into());
                }
                let authority = self.authority(key).await?;
                let is_self = matches!(&call.actor, Actor::Person { account, limit, .. }
                    if *account == key && limit.hold(permissions));
                if is_self || call.actor.may_stand_in() && call.actor.exceeds_or_equals(&authority) {
                    return Ok(());
                }
                self.note_denied(call, about, Why::Above).await?;
                Err(AdminError::Denied(Why::Above))
            }
        }
    }

    /// Keys, by number, also those that have ended.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn keys(&self, call: &Call, book: Book, page: &Page) -> Result<Listed<ApiKey>, AdminError> {
        call.may(action(book, Action::KeyRead, Action::OperatorKeyRead), &scope(book))?;
        let Listed { items, next } = self.list::<KeyItem>(&partition(book), page).await?;
        let mut keys = Vec::with_capacity(items.len());
        for (id, item) in items {
            if let Ok(id) = id.parse() {
                keys.push(shown(book, id, item, self.used(book, id).await?));
            }
        }
        Ok(Listed { items: keys, next })
    }

    /// A key.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn key(&self, call: &Call, book: Book, id: KeyId) -> Result<ApiKey, AdminError> {
        call.may(action(book, Action::KeyRead, Action::OperatorKeyRead), &scope(book))?;
        let stored = self.read::<KeyItem>(&key_key(book, id)).await?;
        let (item, _) = stored.ok_or(AdminError::NotFound("key"))?;
        Ok(shown(book, id, item, self.used(book, id).await?))
    }

    async fn used(&self, book: Book, id: KeyId) -> Result<Option<Timestamp>, AdminError> {
        let stored = self.read::<Use>(&use_key(book, id)).await?;
        Ok(stored.map(|(noted, _)| Timestamp(noted.hour.saturating_mul(HOUR))))
    }

    /// Makes a key worthless, from the next call on.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn revoke_key(&self, call: &Call, book: Book, id: KeyId) -> Result<(), AdminError> {
        let action = action(book, Action::KeyRevoke, Action::OperatorKeyRevoke);
        let object = id.to_string();
        let about = About::new(book, action, &object);
        self.permit(call, &scope(book), &about).await?;
        let stored = self.read::<KeyItem>(&key_key(book, id)).await?;
        let (item, _) = stored.ok_or(AdminError::NotFound("key"))?;
        let about = about.from(json!({ "name": item.name }));
        self.act(call, &about, async {
            self.erase(&key_key(book, id)).await?;
            self.erase(&use_key(book, id)).await.map(drop)
        })
        .await
    }
}

fn shown(tenant: Book, id: KeyId, item: KeyItem, used: Option<Timestamp>) -> ApiKey {
    let KeyItem { name, holder, permissions, created, expires, .. } = item;
    ApiKey { id, tenant, name, holder, permissions, created, expires, used }
}
