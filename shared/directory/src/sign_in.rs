//! Signing in: by address and password, said or proved by SCRAM (RFC 5802); by a token ([`crate::token`]).
//!
//! Every protocol and HTTP come through here with an [`Attempt`]. In this order: whom the login names; do the rules let in
//! whoever is at that address (AUT-14, AUT-15); is the login locked or slowed (AUT-16); is the password right; does what was
//! shown open what was asked for (CLI-08, AUT-08, AUT-12). What came of it is recorded ([`crate::SignInLog`]).
//!
//! A right password is remembered in memory for five minutes as a keyed hash together with the stored PHC
//! string, so that programs that open many connections do not each cost 20 ms. A changed password makes the
//! memory worthless at once, because the stored string is read at every sign-in and is part of the hash.
//!
//! With SCRAM an unknown login is answered like a known one, with a salt that is made up but stays the same.

use std::net::IpAddr;
use std::time::Duration;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::address::Entry;
use crate::locks::end_of;
use crate::password::{self, Credential, MAX_PASSWORD, credential_key};
use crate::scram::{ITERATIONS, salt_of_nobody};
use crate::sign_in_memory::MAX_QUEUE;
use crate::sign_in_rules::Gate;
use crate::standing::{Attempt, Basis, PasswordState, Standing, digest_of};
use crate::store::Held;
use crate::throttle::{Barrier, Counters, Whose};
use crate::token::is_token;
use crate::{
    Account, AccountKind, ClientRules, Directory, DirectoryError, MailAddress, SignInKind, SignInOutcome,
    Tenant,
};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Why a sign-in failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Unknown, disabled or suspended account, or wrong password: which one is not told.
    #[error("address or password is wrong")]
    Denied,
    /// The password is right, but does not open this protocol (CLI-08), or not alone (AUT-08).
    #[error("this protocol is not open to you")]
    Closed,
    /// Too many failures; the password was not even looked at.
    #[error("too many failed sign-ins, try again in {} seconds", retry_after.as_secs().max(1))]
    TooManyFailures {
        /// When an attempt will be looked at again.
        retry_after: Duration,
    },
    /// Wrong passwords have locked the account (AUT-16); the password was not even looked at.
    #[error("too many wrong passwords: the account is locked, ask your administrator")]
    Locked {
        /// Until when; `None`: until it is unlocked.
        until: Option<Timestamp>,
    },
    /// Rules let nobody in from there (AUT-14, AUT-15); the password was not even looked at.
    #[error("signing in from your address is not allowed, ask your administrator")]
    Elsewhere,
    /// The password is right, but its life is over (AUT-12).
    #[error("the password has expired, set a new one")]
    Expired,
    /// Not now.
    #[error("signing in is not possible at the moment")]
    Unavailable,
}

impl SignInError {
    /// Its name in logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            SignInError::Denied => "denied",
            SignInError::Closed => "closed",
            SignInError::TooManyFailures { .. } => "slowed",
            SignInError::Locked { .. } => "locked",
            SignInError::Elsewhere => "elsewhere",
            SignInError::Expired => "expired",
            SignInError::Unavailable => "unavailable",
        }
    }
}

/// Whom an attempt is about, as far as it is known, for the record of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subject {
    pub(crate) tenant: Option<TenantId>,
    /// The address that was said, in its canonical form; empty if none was.
    pub(crate) login: String,
    pub(crate) account: Option<AccountId>,
    /// What came of it, where the answer does not tell all.
    pub(crate) outcome: Option<SignInOutcome>,
    /// It has locked the account, until then.
    pub(crate) locked: Option<Timestamp>,
}

/// An account that may sign in, if the password is right.
struct Candidate {
    account: Account,
    tenant: Tenant,
    credential: Credential,
    /// Version of the credential's item.
    version: u64,
}

/// Somebody who may try.
pub(crate) struct Approach {
    pub(crate) gate: Gate,
    pub(crate) counters: Counters,
    pub(crate) account: Option<AccountKey>,
    /// Attempts with the same are looked at one after the other.
    lane: String,
}

/// A SCRAM exchange between the server's first message and the client's last (RFC 5802 section 5).
pub struct ScramExchange {
    /// For the server's first message.
    pub salt: [u8; 16],
    /// For the server's first message.
    pub iterations: u32,
    subject: Subject,
    approach: Approach,
    candidate: Option<Candidate>,
}

/// What the made-up salts are made of.
#[derive(Serialize, Deserialize)]
struct SaltKey([u8; 32]);

impl Versioned for SaltKey {
    const KIND: &'static str = "salt key";
}

/// A refusal, or a failure of ours.
pub(crate) type Checked<T> = Result<Result<T, SignInError>, DirectoryError>;

/// Goes on with what is no refusal.
macro_rules! or_refuse {
    ($checked:expr) => {
        match $checked {
            Ok(value) => value,
            Err(refused) => return Ok(Err(refused)),
        }
    };
}
pub(crate) use or_refuse;

impl Directory {
    /// Checks address and password of somebody at `client` who asks for nothing in particular.
    ///
    /// # Errors
    /// [`SignInError`].
    #[pennypost_ports::compiled_here]
    pub async fn authenticate(
        &self,
        login: &str,
        password: &str,
        client: IpAddr,
    ) -> Result<Account, SignInError> {
        let attempt = Attempt::new(SignInKind::Api, "password", client);
        Ok(self.sign_in(&attempt, login, password).await?.account)
    }

    /// Signs in with address and password; a token may stand in the password's place. The login is the account's own
    /// address or an alias of it alone. The session lasts as long as what it stands on ([`Directory::still_stands`]).
    ///
    /// Failures are counted durably for the account and for the client's network; from the 5th (network: the
    /// 20th) within 15 minutes on, attempts are refused unseen for 1, 2, 4 … 300 s, and so many as the tenant says lock
    /// the account. A success resets the account's count for where it came from. An unknown account takes as long as a
    /// wrong password.
    ///
    /// # Errors
    /// [`SignInError`].
    #[pennypost_ports::compiled_here]
    pub async fn sign_in(
        &self,
        attempt: &Attempt,
        login: &str,
        password: &str,
    ) -> Result<Standing, SignInError> {
        let mut subject = Subject::default();
        // On the heap: it is large.
        let checking = Box::pin(self.check_password(attempt, login, password, &mut subject));
        let result = flatten(checking.await);
        self.record(attempt, &subject, &result);
        result
    }

    /// The session's standing as it is now; `None` if it has to end, because the account is disabled or gone,
    /// its tenant suspended, the password set anew since the sign-in, or its address no longer one from which the account
    /// may be used. Whether it still opens its protocol is to be asked of it.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn still_stands(&self, standing: &Standing) -> Result<Option<Standing>, DirectoryError> {
        let key = standing.account.key;
        let Some(tenant) = self.active_tenant(key.tenant).await? else { return Ok(None) };
        let account = self.account(key).await?.filter(|account| account.is_open(self.clock.now()));
        let Some(account) = account else { return Ok(None) };
        let gate = self.gate(key).await?;
        let mut user = None;
        let password = match &standing.basis {
            Basis::Password(digest) => {
                let credential = self.read::<Credential>(&credential_key(key), Consistency::Strong).await?;
                let credential = credential.filter(|held| digest_of(&held.value) == *digest);
                credential.map(|held| self.password_state(&held.value, &account, &gate))
            }
            Basis::Token(token, _) => self.token_holds(key, *token).await?.map(|by| {
                user = by;
                PasswordState::Good
            }),
            Basis::Access(token) => {
                (self.access_token(&token.0).await? == Some(key)).then_some(PasswordState::Good)
            }
        };
        let Some(password) = password else { return Ok(None) };
        if !self.admits(&gate, Some(key), standing.client).await? {
            return Ok(None);
        }
        let basis = standing.basis.clone();
        let (now, name) = (self.clock.now(), self.unified_name(&tenant, &account).await?);
        let mut standing = standing_of(account, &tenant, now, &gate, standing.client, password, basis);
        standing.unified_name = name;
        standing.limit_to(user.as_ref());
        Ok(Some(standing))
    }

    /// Begins a SCRAM exchange. A login that is unknown, may not sign in or has no
    /// keys yet looks like any other until [`Directory::finish_scram`].
    ///
    /// # Errors
    /// [`SignInError::TooManyFailures`], [`SignInError::Locked`], [`SignInError::Elsewhere`],
    /// [`SignInError::Unavailable`].
    #[pennypost_ports::compiled_here]
    pub async fn begin_scram(&self, attempt: &Attempt, login: &str) -> Result<ScramExchange, SignInError> {
        let mut subject = Subject::default();
        let begun = flatten(self.try_begin_scram(attempt, login, &mut subject).await);
        begun.inspect_err(|error| self.record(attempt, &subject, &Err(error.clone())))
    }

    /// Ends a SCRAM exchange: what the session stands on, and the server's signature (`v=`). Failures count as
    /// those of [`Directory::sign_in`] do.
    ///
    /// # Errors
    /// [`SignInError`].
    #[pennypost_ports::compiled_here]
    pub async fn finish_scram(
        &self,
        attempt: &Attempt,
        exchange: ScramExchange,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<(Standing, [u8; 32]), SignInError> {
        let ScramExchange { mut subject, approach, candidate, .. } = exchange;
        let proved =
            self.try_finish_scram(attempt, &approach, candidate, (auth_message, proof), &mut subject);
        let (result, signature) = match flatten(proved.await) {
            Ok((standing, signature)) => (Ok(standing), signature),
            Err(error) => (Err(error), [0; 32]),
        };
        self.record(attempt, &subject, &result);
        result.map(|standing| (standing, signature))
    }

    async fn try_begin_scram(
        &self,
        attempt: &Attempt,
        login: &str,
        subject: &mut Subject,
    ) -> Checked<ScramExchange> {
        let approach = or_refuse!(self.approach(attempt, login, subject).await?);
        let nobody = salt_of_nobody(self.salt_key().await?, &subject.login);
        let candidate = self.candidate(approach.account).await?;
        if candidate.is_none() {
            self.take_as_long_as_a_candidate().await?;
        }
        let keys = candidate.as_ref().and_then(|found| found.credential.scram.as_ref());
        let (salt, iterations) = keys.map_or((nobody, ITERATIONS), |keys| (keys.salt, keys.iterations));
        Ok(Ok(ScramExchange { salt, iterations, subject: subject.clone(), approach, candidate }))
    }

    async fn try_finish_scram(
        &self,
        attempt: &Attempt,
        approach: &Approach,
        candidate: Option<Candidate>,
        (auth_message, proof): (&[u8], &[u8]),
        subject: &mut Subject,
    ) -> Checked<(Standing, [u8; 32])> {
        let lane = self.sign_ins.lane(&approach.lane).ok_or(DirectoryError::Busy)?;
        let turn = tokio::time::timeout(MAX_QUEUE, lane.lock()).await;
        let _turn = turn.map_err(|_| DirectoryError::Busy)?;
        or_refuse!(self.unbarred(&approach.counters).await?);
        let signature = candidate
            .as_ref()
            .and_then(|found| found.credential.scram.as_ref())
            .and_then(|keys| keys.check(auth_message, proof));
        match (candidate, signature) {
            (Some(found), Some(signature)) => {
                self.forget_failures(&approach.counters).await?;
                let opened = self.let_in(attempt, approach, found).await?;
                Ok(opened.map(|standing| (standing, signature)))
            }
            (candidate, _) => self.refuse(attempt, approach, candidate.is_some(), subject).await,
        }
    }

    /// One's turn among the attempts of a login.
    pub(crate) async fn turn_of(
        &self,
        login: &str,
    ) -> Result<tokio::sync::MutexGuard<'_, ()>, DirectoryError> {
        let lane = self.sign_ins.lane(login).ok_or(DirectoryError::Busy)?;
        tokio::time::timeout(MAX_QUEUE, lane.lock()).await.map_err(|_| DirectoryError::Busy)
    }

    /// The key of the made-up salts: of two processes that make one, the first wins.
    pub(crate) async fn salt_key(&self) -> Result<&[u8; 32], DirectoryError> {
        let find = async || {
            let key = ControlKey::new("sign-in", "salts");
            let fresh = SaltKey(rand::random());
            if let Some(held) = self.read::<SaltKey>(&key, Consistency::Strong).await? {
                return Ok(held.value.0);
            }
            if self.write(&key, &fresh, Expected::Absent).await?.is_some() {
                return Ok(fresh.0);
            }
            let held = self.read::<SaltKey>(&key, Consistency::Strong).await?;
            held.map(|held| held.value.0).ok_or(DirectoryError::Contended)
        };
        self.sign_ins.salts.get_or_try_init(find).await
    }

    /// The reads that [`Directory::candidate`] makes for an account that is there.
    async fn take_as_long_as_a_candidate(&self) -> Result<(), DirectoryError> {
        let nobody = AccountKey::default();
        self.account_behind(nobody, Consistency::Strong).await?;
        let held_key = credential_key(nobody);
        let credential = self.read::<Credential>(&held_key, Consistency::Strong);
        futures::try_join!(credential, self.has_second_factor(nobody))?;
        Ok(())
    }

    /// Checks a password; what the attempt is about is told in `subject`.
    pub(crate) async fn check_password(
        &self,
        attempt: &Attempt,
        login: &str,
        password: &str,
        subject: &mut Subject,
    ) -> Checked<Standing> {
        if is_token(password) {
            // Programs that know nothing of bearer tokens can be given one as their password (CLI-08).
            return self.check_token(attempt, Some(login), password, subject).await;
        }
        let approach = or_refuse!(self.approach(attempt, login, subject).await?);
        // A longer one cannot be right; its prefix is hashed all the same to take the time.
        let is_too_long = password.len() > MAX_PASSWORD;
        let prepared = password::prepare(if is_too_long { "" } else { password });
        let candidate = if is_too_long { None } else { self.candidate(approach.account).await? };
        match candidate {
            Some(found) if self.remembers(&found, &prepared) => self.let_in(attempt, &approach, found).await,
            candidate => self.check_slowly(attempt, &approach, prepared, candidate, subject).await,
        }
    }

    fn remembers(&self, found: &Candidate, prepared: &str) -> bool {
        self.sign_ins.remembers(found.account.key, prepared, &found.credential.phc)
    }

    /// Whom a login names, may somebody at that address try, and is he neither locked nor slowed?
    pub(crate) async fn approach(
        &self,
        attempt: &Attempt,
        login: &str,
        subject: &mut Subject,
    ) -> Checked<Approach> {
        let (client, now) = (attempt.client, self.clock.now());
        let (tenant, account) = self.named(login, subject).await?;
        let nobody = AccountKey { tenant: tenant.unwrap_or_default(), account: AccountId::default() };
        let gate = self.gate(account.unwrap_or(nobody)).await?;
        if !self.admits(&gate, account, client).await? {
            return Ok(Err(SignInError::Elsewhere));
        }
        let whose = match (account, tenant) {
            (Some(account), _) => Whose::Account(account),
            (None, Some(tenant)) => Whose::Nobody(tenant, &subject.login),
            (None, None) => Whose::Unnamed,
        };
        let counters = Counters::new(whose, &gate, client, now);
        or_refuse!(self.unbarred(&counters).await?);
        let lane = account.map_or_else(|| subject.login.clone(), |account| account.to_string());
        Ok(Ok(Approach { gate, counters, account, lane }))
    }

    /// The tenant and the account that a login names.
    pub(crate) async fn named(
        &self,
        login: &str,
        subject: &mut Subject,
    ) -> Result<(Option<TenantId>, Option<AccountKey>), DirectoryError> {
        let Ok(address) = MailAddress::parse(login) else { return Ok((None, None)) };
        // The canonical form, so that writing it differently gives no further attempts.
        subject.login = address.to_string();
        let home = self.home_of(&address, Consistency::Strong).await?;
        let Some((tenant, address)) = home else { return Ok((None, None)) };
        subject.tenant = Some(tenant);
        // In an alias domain it is the login of the domain for which that stands.
        subject.login = address.to_string();
        let entry = self.entry(tenant, &address, Consistency::Strong).await?;
        subject.account = match entry.map(|held| held.value) {
            Some(Entry::Account(account)) => Some(account),
            Some(Entry::Alias(targets)) => match targets.as_slice() {
                [only] => Some(only.account),
                _ => None,
            },
            Some(Entry::Claimed(_) | Entry::Group { .. } | Entry::Free) | None => None,
        };
        Ok((Some(tenant), subject.account.map(|account| AccountKey { tenant, account })))
    }

    /// Is nothing in the way?
    pub(crate) async fn unbarred(&self, counters: &Counters) -> Checked<()> {
        Ok(match self.barrier(counters).await? {
            None => Ok(()),
            Some(Barrier::Slowed(retry_after)) => Err(SignInError::TooManyFailures { retry_after }),
            Some(Barrier::Locked(until)) => Err(SignInError::Locked { until: end_of(until) }),
        })
    }

    /// Compares the password with the stored hash, one attempt of a login after the other: else many at once
    /// would all pass before the first failure is counted.
    async fn check_slowly(
        &self,
        attempt: &Attempt,
        approach: &Approach,
        prepared: String,
        candidate: Option<Candidate>,
        subject: &mut Subject,
    ) -> Checked<Standing> {
        let lane = self.sign_ins.lane(&approach.lane).ok_or(DirectoryError::Busy)?;
        let turn = tokio::time::timeout(MAX_QUEUE, lane.lock()).await;
        let _turn = turn.map_err(|_| DirectoryError::Busy)?;
        or_refuse!(self.unbarred(&approach.counters).await?);
        let candidate = match candidate {
            Some(found) if self.remembers(&found, &prepared) => {
                return self.let_in(attempt, approach, found).await;
            }
            other => other,
        };
        let phc = candidate.as_ref().map(|found| found.credential.phc.clone());
        let is_right = self.sign_ins.verify(prepared.clone(), phc).await?;
        match candidate {
            Some(found) if is_right => {
                self.sign_ins.remember(found.account.key, &prepared, &found.credential.phc);
                self.forget_failures(&approach.counters).await?;
                if found.credential.scram.is_none() {
                    self.add_scram_keys(&found, prepared).await?;
                }
                self.let_in(attempt, approach, found).await
            }
            candidate => self.refuse(attempt, approach, candidate.is_some(), subject).await,
        }
    }

    /// A wrong password, or none that could be right: counted.
    async fn refuse<T>(
        &self,
        attempt: &Attempt,
        approach: &Approach,
        is_candidate: bool,
        subject: &mut Subject,
    ) -> Checked<T> {
        subject.outcome = Some(match (is_candidate, approach.account) {
            (true, _) => SignInOutcome::WrongPassword,
            (false, Some(_)) => SignInOutcome::NotActive,
            (false, None) => SignInOutcome::UnknownAccount,
        });
        subject.locked = self.count_failure(&approach.counters, attempt.client).await?;
        Ok(Err(SignInError::Denied))
    }

    /// The password is right: does it open what was asked for?
    async fn let_in(&self, attempt: &Attempt, approach: &Approach, found: Candidate) -> Checked<Standing> {
        let Candidate { account, tenant, credential, .. } = found;
        let password = self.password_state(&credential, &account, &approach.gate);
        let basis = Basis::Password(digest_of(&credential));
        let (now, gate) = (self.clock.now(), &approach.gate);
        let name = self.unified_name(&tenant, &account).await?;
        let mut standing = standing_of(account, &tenant, now, gate, attempt.client, password, basis);
        standing.unified_name = name;
        self.opened(attempt, gate, standing).await
    }

    /// What was shown is right: does it open what was asked for? If so, its network is noted.
    pub(crate) async fn opened(
        &self,
        attempt: &Attempt,
        gate: &Gate,
        standing: Standing,
    ) -> Checked<Standing> {
        if attempt.kind.is_client() && standing.closes_expired && standing.password == PasswordState::Expired
        {
            return Ok(Err(SignInError::Expired));
        }
        if attempt.kind.protocol().is_some_and(|protocol| !standing.opens(protocol)) {
            return Ok(Err(SignInError::Closed));
        }
        // A password whose code is still to come tells nothing of where the member is.
        if !(standing.has_factor && standing.is_by_password()) {
            self.note_network(standing.account.key, gate, attempt.client).await?;
        }
        Ok(Ok(standing))
    }

    fn password_state(&self, credential: &Credential, account: &Account, gate: &Gate) -> PasswordState {
        let days = i64::from(gate.rules.passwords.lifetime_days);
        let set = credential.set.unwrap_or(account.created);
        let is_over = days != 0 && self.clock.now() >= set.plus_millis(days * DAY);
        match (credential.must_change, is_over) {
            (true, _) => PasswordState::MustChange,
            (false, true) => PasswordState::Expired,
            (false, false) => PasswordState::Good,
        }
    }

    /// Adds the keys to a password that was set before there was SCRAM. Sessions that stand on it go on.
    async fn add_scram_keys(&self, found: &Candidate, prepared: String) -> Result<(), DirectoryError> {
        let scram = Some(self.sign_ins.scram_keys(prepared).await?);
        let credential = Credential { scram, ..found.credential.clone() };
        // Who changed it meanwhile knows better.
        self.write(&credential_key(found.account.key), &credential, Expected::Version(found.version)).await?;
        Ok(())
    }

    /// The account, if a password may open it at all.
    async fn candidate(&self, account: Option<AccountKey>) -> Result<Option<Candidate>, DirectoryError> {
        let Some(key) = account else { return Ok(None) };
        let Some(tenant) = self.active_tenant(key.tenant).await? else { return Ok(None) };
        let account = self.account_behind(key, Consistency::Strong).await?;
        // A business mailbox has no password (BIZ-01).
        let may =
            |account: &Account| account.is_open(self.clock.now()) && account.kind == AccountKind::Member;
        let Some(account) = account.filter(may) else {
            return Ok(None);
        };
        let credential = self.read::<Credential>(&credential_key(key), Consistency::Strong).await?;
        let candidate =
            |held: Held<_>| Candidate { account, tenant, credential: held.value, version: held.version };
        Ok(credential.map(candidate))
    }
}

/// What a session stands on, without the name that letters bear.
pub(crate) fn standing_of(
    account: Account,
    tenant: &Tenant,
    now: Timestamp,
    gate: &Gate,
    client: IpAddr,
    password: PasswordState,
    basis: Basis,
) -> Standing {
    let mut rules = ClientRules::of(&tenant.clients, &account.clients).limited(tenant, &account);
    // With a second factor the password alone opens no mail program (AUT-11).
    rules.passwords &= !gate.has_factor;
    let closes_expired = gate.rules.passwords.expires_in_clients;
    let (is_secure, has_factor) = (gate.is_secure(), gate.has_factor);
    Standing {
        account,
        rules,
        client,
        is_secure,
        has_factor,
        password,
        closes_expired,
        capacities: tenant.capacities(now),
        daily_messages: tenant.plan.as_ref().and_then(crate::Plan::daily_allowance),
        account_daily_messages: tenant.plan.as_ref().and_then(|plan| plan.account_daily_messages),
        unified_name: None,
        has_footers: tenant.has_footers,
        has_content_rules: tenant.has_content_rules,
        user: None,
        basis,
    }
}

/// Failures of ours are told apart from refusals in the log only.
pub(crate) fn flatten<T>(outcome: Checked<T>) -> Result<T, SignInError> {
    outcome.unwrap_or_else(|error| {
        tracing::warn!(%error, "sign-in could not be checked");
        Err(SignInError::Unavailable)
    })
}
