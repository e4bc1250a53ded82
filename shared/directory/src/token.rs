//! Tokens: passwords for programs, made here, each with a name, a scope and perhaps an end (CLI-08). Mail
//! programs show them as bearer tokens (RFC 7628) or in the place of the password.
//!
//! A token is random and is said once, to whoever makes it; what is stored is its SHA-256, which nobody can
//! guess 256 random bits behind. It names its account, so that it is enough by itself. Revoking one ends the
//! sessions that stand on it; a changed password leaves tokens alone.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sign_in::{Basis, flatten};
use crate::store::name_for_people;
use crate::throttle::Counters;
use crate::{ClientProtocol, ClientRules, Directory, DirectoryError, Page, SignInError, Standing};

/// What every token begins with, so that leaked ones can be searched for.
const PREFIX: &str = "ppt_";
/// Hex digits of tenant, account and token, and of the secret.
const DIGITS: usize = 3 * 16 + 64;
/// Tokens that an account may have.
pub const MAX_TOKENS: usize = 100;
/// Characters of a token's name.
const MAX_NAME: usize = 100;

/// The number of a token within its account. Text form: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenId(pub u64);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for TokenId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<TokenId, Self::Err> {
        u64::from_str_radix(text, 16).map(TokenId)
    }
}

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenScope {
    /// IMAP.
    pub imap: bool,
    /// POP3.
    pub pop3: bool,
}

impl TokenScope {
    /// Everything.
    pub const ALL: TokenScope = TokenScope { imap: true, pop3: true };

    /// Is that protocol among it?
    #[must_use]
    pub const fn holds(self, protocol: ClientProtocol) -> bool {
        match protocol {
            ClientProtocol::Imap => self.imap,
            ClientProtocol::Pop3 => self.pop3,
        }
    }
}

/// A token as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// What it opens.
    pub scope: TokenScope,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is worth nothing.
    pub expires: Option<Timestamp>,
}

/// A token as stored. Has no `Debug`, so that it gets into no log.
#[derive(Serialize, Deserialize)]
struct TokenItem {
    name: String,
    hash: [u8; 32],
    scope: TokenScope,
    created: Timestamp,
    expires: Option<Timestamp>,
}

impl Versioned for TokenItem {
    const KIND: &'static str = "token";
}

impl TokenItem {
    fn shown(self, id: TokenId) -> Token {
        let TokenItem { name, scope, created, expires, .. } = self;
        Token { id, name, scope, created, expires }
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/tokens")
}

fn prefix(account: AccountId) -> String {
    format!("{account}/")
}

fn token_key(key: AccountKey, id: TokenId) -> ControlKey {
    ControlKey::new(partition(key.tenant), format!("{}{id}", prefix(key.account)))
}

/// Does the text look like a token of ours?
pub(crate) fn is_token(text: &str) -> bool {
    parts(text).is_some()
}

/// Account, number and secret of a token.
fn parts(text: &str) -> Option<(AccountKey, TokenId, &str)> {
    let digits = text.strip_prefix(PREFIX)?;
    let is_hex = digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex {
        return None;
    }
    let key = AccountKey { tenant: digits[..16].parse().ok()?, account: digits[16..32].parse().ok()? };
    Some((key, digits[32..48].parse().ok()?, &digits[48..]))
}

impl Directory {
    /// Makes a token: its description, and the token itself, which is never told again.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::TooMany`], [`DirectoryError::NoAccount`], or the port's.
    pub async fn add_token(
        &self,
        key: AccountKey,
        name: &str,
        scope: TokenScope,
        expires: Option<Timestamp>,
    ) -> Result<(Token, String), DirectoryError> {
        let name = name_for_people(name, MAX_NAME)?;
        self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        if self.tokens(key).await?.len() >= MAX_TOKENS {
            return Err(DirectoryError::TooMany { what: "the list of tokens", limit: MAX_TOKENS });
        }
        let id = TokenId(self.ids.random());
        let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = Sha256::digest(secret.as_bytes()).into();
        let item = TokenItem { name, hash, scope, created: self.clock.now(), expires };
        if self.write(&token_key(key, id), &item, Expected::Absent).await?.is_none() {
            return Err(DirectoryError::Contended);
        }
        let text = format!("{PREFIX}{}{}{id}{secret}", key.tenant, key.account);
        Ok((item.shown(id), text))
    }

    /// The tokens of an account, also those that have expired.
    ///
    /// # Errors
    /// The port's.
    pub async fn tokens(&self, key: AccountKey) -> Result<Vec<Token>, DirectoryError> {
        let page = Page { after: None, limit: MAX_TOKENS };
        let listed = self.list::<TokenItem>(&partition(key.tenant), &prefix(key.account), &page).await?;
        let shown = |(id, item): (String, TokenItem)| id.parse().ok().map(|id| item.shown(id));
        let mut tokens: Vec<Token> = listed.items.into_iter().filter_map(shown).collect();
        tokens.sort_by_key(|token| (token.created, token.id));
        Ok(tokens)
    }

    /// Makes a token worthless; sessions that stand on it end. `false` if there is none of that number.
    ///
    /// # Errors
    /// The port's.
    pub async fn revoke_token(&self, key: AccountKey, id: TokenId) -> Result<bool, DirectoryError> {
        let key = token_key(key, id);
        let is_there = self.control.get(&key, Consistency::Strong).await?.is_some();
        self.erase(&key).await?;
        Ok(is_there)
    }

    /// Signs in with a token alone, or with the login that has to be its account's. Failures count as those of
    /// [`Directory::open_session`] do.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn open_session_with_token(
        &self,
        login: Option<&str>,
        token: &str,
        client: IpAddr,
    ) -> Result<Standing, SignInError> {
        flatten(self.try_token(login, token, client).await)
    }

    pub(crate) async fn try_token(
        &self,
        login: Option<&str>,
        token: &str,
        client: IpAddr,
    ) -> Result<Result<Standing, SignInError>, DirectoryError> {
        let named = match login {
            Some(login) => Some(self.named(login, client).await?),
            None => None,
        };
        let counters = named.as_ref().map_or_else(|| Counters::new(None, client), |n| n.counters.clone());
        if let Some(retry_after) = self.wait_of(&counters).await? {
            return Ok(Err(SignInError::TooManyFailures { retry_after }));
        }
        let mut found = self.standing_on(token).await?;
        if let (Some(standing), Some(named)) = (&found, &named) {
            let candidate = match (named.tenant, &named.address) {
                (Some(tenant), Some(address)) => self.candidate(tenant, address).await?,
                _ => None,
            };
            if candidate.is_none_or(|candidate| candidate.account.key != standing.account.key) {
                found = None;
            }
        }
        match found {
            Some(standing) => Ok(Ok(standing)),
            None => {
                self.count_failure(&counters).await?;
                Ok(Err(SignInError::Denied))
            }
        }
    }

    /// What stands on this token.
    async fn standing_on(&self, token: &str) -> Result<Option<Standing>, DirectoryError> {
        let Some((key, id, secret)) = parts(token) else { return Ok(None) };
        let Some(held) = self.read::<TokenItem>(&token_key(key, id), Consistency::Strong).await? else {
            return Ok(None);
        };
        // Digests of 256 random bits: the time of the comparison tells nothing that could be used.
        let is_right = <[u8; 32]>::from(Sha256::digest(secret.as_bytes())) == held.value.hash;
        if !is_right || held.value.has_expired(self.clock.now()) {
            return Ok(None);
        }
        let Some(tenant) = self.active_tenant(key.tenant).await? else { return Ok(None) };
        let account = self.account(key).await?.filter(|account| account.is_open(self.clock.now()));
        Ok(account.map(|account| {
            let rules = ClientRules::of(&tenant.clients, &account.clients);
            Standing { account, rules, basis: Basis::Token(id, held.value.scope) }
        }))
    }

    /// Is the token there, and not expired?
    pub(crate) async fn token_holds(&self, key: AccountKey, id: TokenId) -> Result<bool, DirectoryError> {
        let held = self.read::<TokenItem>(&token_key(key, id), Consistency::Strong).await?;
        let now = self.clock.now();
        Ok(held.is_some_and(|held| !held.value.has_expired(now)))
    }
}
