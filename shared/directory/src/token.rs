//! Tokens: passwords for programs, made here, each with a name, a scope and perhaps an end (CLI-08). Mail
//! programs show them as bearer tokens (RFC 7628) or in the place of the password.
//!
//! A token is random and is said once, to whoever makes it; what is stored is its SHA-256, which nobody can
//! guess 256 random bits behind. It names its account, so that it is enough by itself. Revoking one ends the
//! sessions that stand on it; a changed password leaves tokens alone.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use pennypost_model::codec::{CodecError, Versioned, decode, decode_plain};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sign_in::{Checked, Subject, flatten, or_refuse, standing_of};
use crate::standing::{Attempt, Basis, PasswordState, Secret};
use crate::store::name_for_people;
use crate::throttle::{Counters, Whose};
use crate::{
    AccessTokens, Account, ClientProtocol, Directory, DirectoryError, MAX_USER_TOKENS, MAX_USERS_TOKENS,
    Session, SignInError, SignInKind, SignInOutcome, Standing,
};

/// What every token begins with, so that leaked ones can be searched for.
const PREFIX: &str = "ppt_";
/// Hex digits of tenant, account and token, and of the secret.
const DIGITS: usize = 3 * 16 + 64;
/// Tokens that an account may have, beside those of users of a business mailbox.
pub const MAX_TOKENS: usize = 100;
/// Bytes of an access token that is asked about.
const MAX_ACCESS_TOKEN: usize = 4_096;
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
    /// SMTP: sending.
    pub smtp: bool,
}

impl TokenScope {
    /// Everything.
    pub const ALL: TokenScope = TokenScope { imap: true, pop3: true, smtp: true };

    /// Is that protocol among it?
    #[must_use]
    pub const fn holds(self, protocol: ClientProtocol) -> bool {
        match protocol {
            ClientProtocol::Imap => self.imap,
            ClientProtocol::Pop3 => self.pop3,
            ClientProtocol::Smtp => self.smtp,
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
    /// Its last use, to the day: the first of that day.
    pub used: Option<TokenUse>,
    /// Of a business mailbox: the user who made it, as long as whose use it opens the mailbox (BIZ-07).
    pub user: Option<AccountId>,
}

/// A use of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUse {
    /// When.
    pub time: Timestamp,
    /// From where.
    pub client: IpAddr,
    /// By what way.
    pub kind: SignInKind,
}

impl Versioned for TokenUse {
    const KIND: &'static str = "use of a token";
}

/// A token as stored. Has no `Debug`, so that it gets into no log.
#[derive(Serialize, Deserialize)]
struct TokenItem {
    name: String,
    hash: [u8; 32],
    scope: TokenScope,
    created: Timestamp,
    expires: Option<Timestamp>,
    user: Option<AccountId>,
}

impl Versioned for TokenItem {
    const KIND: &'static str = "token";
    const VERSION: u8 = 3;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<TokenItem, CodecError> {
        let TokenItemV2 { name, hash, scope, created, expires, user } = match found {
            1 => {
                let TokenItemV1 { name, hash, scope, created, expires } = decode_plain(Self::KIND, bytes)?;
                TokenItemV2 { name, hash, scope, created, expires, user: None }
            }
            2 => decode_plain(Self::KIND, bytes)?,
            _ => return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        };
        // Nobody has said that it may send.
        let scope = TokenScope { imap: scope.imap, pop3: scope.pop3, smtp: false };
        Ok(TokenItem { name, hash, scope, created, expires, user })
    }
}

/// As stored before mail programs could send.
#[derive(Serialize, Deserialize)]
struct TokenItemV2 {
    name: String,
    hash: [u8; 32],
    scope: TokenScopeV2,
    created: Timestamp,
    expires: Option<Timestamp>,
    user: Option<AccountId>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct TokenScopeV2 {
    imap: bool,
    pop3: bool,
}

/// As stored before users of business mailboxes made tokens.
#[derive(Serialize, Deserialize)]
struct TokenItemV1 {
    name: String,
    hash: [u8; 32],
    scope: TokenScopeV2,
    created: Timestamp,
    expires: Option<Timestamp>,
}

impl TokenItem {
    fn shown(self, id: TokenId) -> Token {
        let TokenItem { name, scope, created, expires, user, .. } = self;
        Token { id, name, scope, created, expires, used: None, user }
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

/// Where the last use of a token lies: beside it, so that a use does not race with who revokes it.
fn use_key(key: AccountKey, id: TokenId) -> ControlKey {
    ControlKey::new(format!("{}/token-uses", key.tenant), format!("{}{id}", prefix(key.account)))
}

fn day_of(time: Timestamp) -> i64 {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    time.0.div_euclid(DAY)
}

/// Is there room for one more, of that user of a business mailbox, or of nobody's?
fn check_room(tokens: &[Token], user: Option<AccountId>) -> Result<(), DirectoryError> {
    let check = |count: usize, limit: usize| {
        if count >= limit {
            return Err(DirectoryError::TooMany { what: "the list of tokens", limit });
        }
        Ok(())
    };
    let his = tokens.iter().filter(|token| token.user == user).count();
    if user.is_none() {
        return check(his, MAX_TOKENS);
    }
    check(his, MAX_USER_TOKENS)?;
    check(tokens.iter().filter(|token| token.user.is_some()).count(), MAX_USERS_TOKENS)
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
    #[pennypost_ports::compiled_here]
    pub async fn add_token(
        &self,
        key: AccountKey,
        name: &str,
        scope: TokenScope,
        expires: Option<Timestamp>,
    ) -> Result<(Token, String), DirectoryError> {
        self.make_token(key, name, scope, expires, None).await
    }

    pub(crate) async fn make_token(
        &self,
        key: AccountKey,
        name: &str,
        scope: TokenScope,
        expires: Option<Timestamp>,
        user: Option<AccountId>,
    ) -> Result<(Token, String), DirectoryError> {
        let name = name_for_people(name, MAX_NAME)?;
        self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        check_room(&self.tokens(key).await?, user)?;
        let id = TokenId(self.ids.random());
        let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = Sha256::digest(secret.as_bytes()).into();
        let item = TokenItem { name, hash, scope, created: self.clock.now(), expires, user };
        if let Some(user) = user {
            self.mark_user_token(user, key, id).await?;
        }
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
    #[pennypost_ports::compiled_here]
    pub async fn tokens(&self, key: AccountKey) -> Result<Vec<Token>, DirectoryError> {
        let prefix = prefix(key.account);
        let stored = self.list_all::<TokenItem>(&partition(key.tenant), &prefix).await?;
        let shown = |(id, item): (String, TokenItem)| id.parse().ok().map(|id| item.shown(id));
        let mut tokens: Vec<Token> = stored.into_iter().filter_map(shown).collect();
        let uses = self.list_all::<TokenUse>(&format!("{}/token-uses", key.tenant), &prefix).await?;
        let uses: HashMap<String, TokenUse> = uses.into_iter().collect();
        for token in &mut tokens {
            token.used = uses.get(&token.id.to_string()).copied();
        }
        tokens.sort_by_key(|token| (token.created, token.id));
        Ok(tokens)
    }

    /// Makes a token worthless; sessions that stand on it end. `false` if there is none of that number.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn revoke_token(&self, key: AccountKey, id: TokenId) -> Result<bool, DirectoryError> {
        let item = token_key(key, id);
        let held = self.control.get(&item, Consistency::Strong).await?;
        self.erase(&item).await?;
        self.erase(&use_key(key, id)).await?;
        // Also one that can't be read is to be revoked.
        let user = held.as_ref().and_then(|held| decode::<TokenItem>(&held.value).ok()?.user);
        if let Some(user) = user {
            self.unmark_user_token(user, key, id).await?;
        }
        Ok(held.is_some())
    }

    /// Signs in with a token alone, or with the login that has to be its account's. What is wrong is counted for the
    /// client's network; an account that wrong passwords have locked is open to its tokens.
    ///
    /// # Errors
    /// [`SignInError`].
    #[pennypost_ports::compiled_here]
    pub async fn sign_in_with_token(
        &self,
        attempt: &Attempt,
        login: Option<&str>,
        token: &str,
    ) -> Result<Standing, SignInError> {
        let mut subject = Subject::default();
        let result = flatten(self.check_token(attempt, login, token, &mut subject).await);
        self.record(attempt, &subject, &result);
        result
    }

    pub(crate) async fn check_token(
        &self,
        attempt: &Attempt,
        login: Option<&str>,
        token: &str,
        subject: &mut Subject,
    ) -> Checked<Standing> {
        let named = match login {
            Some(login) => self.named(login, subject).await?.1,
            None => None,
        };
        let shown = parts(token);
        let access = if shown.is_none() { self.access_token(token).await? } else { None };
        // Whose rules hold: those of the account that the token names.
        let key = shown.map(|(key, ..)| key).or(access).unwrap_or_default();
        let gate = self.gate(key).await?;
        let counters = Counters::new(Whose::Unnamed, &gate, attempt.client, self.clock.now());
        or_refuse!(self.unbarred(&counters).await?);
        let is_named = login.is_none() || named == Some(key);
        let mut user = None;
        let basis = match shown {
            Some((key, id, secret)) if is_named => {
                let held = self.token_behind(key, id, secret).await?;
                held.map(|(scope, by)| {
                    user = by;
                    Basis::Token(id, scope)
                })
            }
            None if is_named && access.is_some() => Some(Basis::Access(Secret(token.into()))),
            _ => None,
        };
        let Some(basis) = basis else {
            subject.outcome = Some(SignInOutcome::WrongToken);
            self.count_failure(&counters, attempt.client).await?;
            return Ok(Err(SignInError::Denied));
        };
        subject.tenant = Some(key.tenant);
        subject.account = Some(key.account);
        let tenant = self.active_tenant(key.tenant).await?;
        let account = self.account(key).await?.filter(|account| account.is_open(self.clock.now()));
        let (Some(tenant), Some(account)) = (tenant, account) else {
            subject.outcome = Some(SignInOutcome::NotActive);
            return Ok(Err(SignInError::Denied));
        };
        if subject.login.is_empty() {
            subject.login = account.address.to_string();
        }
        if !self.admits(&gate, Some(key), attempt.client).await? {
            return Ok(Err(SignInError::Elsewhere));
        }
        let (now, password) = (self.clock.now(), PasswordState::Good);
        let name = self.unified_name(&tenant, &account).await?;
        let mut standing = standing_of(account, &tenant, now, &gate, attempt.client, password, basis);
        standing.unified_name = name;
        standing.limit_to(user.as_ref());
        let opened = self.opened(attempt, &gate, standing).await?;
        if let Ok(Some(id)) = opened.as_ref().map(Standing::token) {
            self.note_token_use(key, id, attempt).await?;
        }
        Ok(opened)
    }

    /// Whose access token it is: a session's, or one of somebody else who gives out such.
    pub(crate) async fn access_token(&self, token: &str) -> Result<Option<AccountKey>, DirectoryError> {
        if Directory::is_session(token) {
            let session = self.session(token).await?.map(|(session, _)| session);
            let is_whole = |session: &Session| !session.lacks_factor && !session.must_change;
            return Ok(session.filter(is_whole).map(|session| session.account));
        }
        match &self.access_tokens {
            Some(tokens) if token.len() <= MAX_ACCESS_TOKEN => tokens.account_of(token).await,
            _ => Ok(None),
        }
    }

    /// The same directory, which also takes the access tokens that somebody else gives out.
    #[must_use]
    pub fn taking(self, tokens: Arc<dyn AccessTokens>) -> Directory {
        Directory { access_tokens: Some(tokens), ..self }
    }

    /// What the token of that number opens, and the account of its user, if it has one: if that is its secret, its time is
    /// not over, and its user still uses the mailbox.
    async fn token_behind(
        &self,
        key: AccountKey,
        id: TokenId,
        secret: &str,
    ) -> Result<Option<(TokenScope, Option<Account>)>, DirectoryError> {
        let held = self.read::<TokenItem>(&token_key(key, id), Consistency::Strong).await?;
        // Digests of 256 random bits: the time of the comparison tells nothing that could be used.
        let digest = <[u8; 32]>::from(Sha256::digest(secret.as_bytes()));
        let now = self.clock.now();
        let is_good = |item: &TokenItem| item.hash == digest && !item.has_expired(now);
        let Some(item) = held.map(|held| held.value).filter(is_good) else { return Ok(None) };
        let user = self.user_of(&item, key).await?;
        Ok(user.map(|user| (item.scope, user)))
    }

    /// The account of who made a token for a business mailbox; `None` within where nobody did, without where he may not use
    /// it any more.
    async fn user_of(
        &self,
        item: &TokenItem,
        key: AccountKey,
    ) -> Result<Option<Option<Account>>, DirectoryError> {
        let Some(user) = item.user else { return Ok(Some(None)) };
        Ok(self.standing_user(user, key).await?.map(Some))
    }

    /// Notes that a token was used, and from where: once a day.
    async fn note_token_use(
        &self,
        key: AccountKey,
        id: TokenId,
        attempt: &Attempt,
    ) -> Result<(), DirectoryError> {
        let (use_key, now) = (use_key(key, id), self.clock.now());
        if !self.sign_ins.is_first_use(key, id, day_of(now)) {
            return Ok(());
        }
        let used = TokenUse { time: now, client: attempt.client, kind: attempt.kind };
        let held = self.read::<TokenUse>(&use_key, Consistency::Eventual).await?;
        if held.is_none_or(|held| day_of(held.value.time) != day_of(now)) {
            self.write(&use_key, &used, Expected::Any).await?;
        }
        Ok(())
    }

    /// The account of the token's user, if it has one: if the token is there, not expired, and its user still uses the
    /// mailbox.
    pub(crate) async fn token_holds(
        &self,
        key: AccountKey,
        id: TokenId,
    ) -> Result<Option<Option<Account>>, DirectoryError> {
        let held = self.read::<TokenItem>(&token_key(key, id), Consistency::Strong).await?;
        let now = self.clock.now();
        match held.map(|held| held.value).filter(|item| !item.has_expired(now)) {
            Some(item) => self.user_of(&item, key).await,
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::codec::encode_plain;

    use super::*;

    #[test]
    fn tokens_of_earlier_versions_are_read_and_do_not_send() {
        let (name, hash, created, expires) = ("phone".to_owned(), [7; 32], Timestamp(8), Some(Timestamp(9)));
        let scope = TokenScopeV2 { imap: true, pop3: false };
        let user = Some(AccountId(3));
        let first = TokenItemV1 { name: name.clone(), hash, scope, created, expires };
        let second = TokenItemV2 { name, hash, scope, created, expires, user };
        for (bytes, user) in [(encode_plain(&first, 1), None), (encode_plain(&second, 2), user)] {
            let item: TokenItem = decode(&bytes).expect("read");
            let scope = TokenScope { imap: true, pop3: false, smtp: false };
            assert_eq!((item.name.as_str(), item.hash, item.scope), ("phone", [7; 32], scope));
            assert_eq!((item.created, item.expires, item.user), (Timestamp(8), Some(Timestamp(9)), user));
        }
    }

    #[test]
    fn users_tokens_and_those_of_nobody_leave_each_other_room() {
        let token = |user: Option<u64>| Token {
            id: TokenId(1),
            name: "phone".to_owned(),
            scope: TokenScope::ALL,
            created: Timestamp(1),
            expires: None,
            used: None,
            user: user.map(AccountId),
        };
        let too_many = |limit| Err(DirectoryError::TooMany { what: "the list of tokens", limit });
        let (ann, bob) = (Some(AccountId(1)), Some(AccountId(u64::MAX)));
        let mut tokens = vec![token(None); MAX_TOKENS];
        tokens.extend(vec![token(Some(1)); MAX_USER_TOKENS]);
        assert_eq!(check_room(&tokens, None), too_many(MAX_TOKENS));
        assert_eq!(check_room(&tokens, ann), too_many(MAX_USER_TOKENS));
        assert_eq!(check_room(&tokens, bob), Ok(()));
        tokens.extend((0..MAX_USERS_TOKENS as u64).map(|user| token(Some(user))));
        assert_eq!(check_room(&tokens, bob), too_many(MAX_USERS_TOKENS));
        assert_eq!(check_room(&tokens[1..], None), Ok(()));
    }
}
