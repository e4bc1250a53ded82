//! Signing in with address and password: said, or proved by SCRAM (RFC 5802).
//!
//! A right password is remembered in memory for five minutes as a keyed hash together with the stored PHC
//! string, so that programs that open many connections do not each cost 20 ms. A changed password makes the
//! memory worthless at once, because the stored string is read at every sign-in and is part of the hash.
//!
//! With SCRAM an unknown login is answered like a known one, with a salt that is made up but stays the same.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountKey, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::address::Entry;
use crate::password::{self, Credential, MAX_PASSWORD, credential_key};
use crate::scram::{ITERATIONS, ScramKeys, salt_of_nobody};
use crate::store::Held;
use crate::throttle::Counters;
use crate::token::{TokenId, TokenScope, is_token};
use crate::{Account, AccountKind, ClientRules, Directory, DirectoryError, MailAddress};

/// How long a right password is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Passwords that are remembered at once.
const MAX_REMEMBERED: usize = 100_000;
/// Longest wait for one's turn to have a password hashed.
const MAX_QUEUE: Duration = Duration::from_secs(20);
/// Logins are sorted into so many lanes; attempts in one lane are looked at one after the other.
const LANES: usize = 1_024;
/// Partitions whose sweep position is remembered.
const MAX_SWEEPS: usize = 10_000;

/// Why a sign-in failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Unknown, disabled or suspended account, or wrong password: which one is not told.
    #[error("address or password is wrong")]
    Denied,
    /// The password is right, but does not open this protocol (CLI-08).
    #[error("this protocol is not open to you")]
    Closed,
    /// Too many failures; the password was not even looked at.
    #[error("too many failed sign-ins, try again in {} seconds", retry_after.as_secs().max(1))]
    TooManyFailures {
        /// When an attempt will be looked at again.
        retry_after: Duration,
    },
    /// Not now.
    #[error("signing in is not possible at the moment")]
    Unavailable,
}

/// A password that was right a moment ago.
struct Remembered {
    proof: [u8; 32],
    until: Instant,
}

/// What the directory keeps in memory about sign-ins.
pub(crate) struct SignIns {
    key: [u8; 32],
    remembered: Mutex<HashMap<AccountKey, Remembered>>,
    hashing: tokio::sync::Semaphore,
    lanes: Vec<tokio::sync::Mutex<()>>,
    sweeps: Mutex<HashMap<String, String>>,
    /// What passwords of unknown accounts are compared with, so that they take as long as others.
    nobody: Arc<OnceLock<Option<String>>>,
    /// What the salts of logins without keys are made of: kept in the control port, so that they stay.
    pub(crate) salts: tokio::sync::OnceCell<[u8; 32]>,
}

impl Default for SignIns {
    fn default() -> SignIns {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        SignIns {
            key: rand::random(),
            remembered: Mutex::default(),
            // More at once would take no less time, and 19 MiB each.
            hashing: tokio::sync::Semaphore::new(cores),
            lanes: (0..LANES).map(|_| tokio::sync::Mutex::new(())).collect(),
            sweeps: Mutex::default(),
            nobody: Arc::default(),
            salts: tokio::sync::OnceCell::new(),
        }
    }
}

impl SignIns {
    /// The keyed hash of a password together with the stored string that it was compared with.
    fn proof(&self, prepared: &str, phc: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(&(phc.len() as u64).to_le_bytes());
        mac.update(phc.as_bytes());
        mac.update(prepared.as_bytes());
        Some(mac)
    }

    fn remembers(&self, account: AccountKey, prepared: &str, phc: &str) -> bool {
        let Some(mac) = self.proof(prepared, phc) else { return false };
        let known = {
            let remembered = self.remembered.lock();
            remembered.get(&account).filter(|known| known.until > Instant::now()).map(|known| known.proof)
        };
        known.is_some_and(|proof| mac.verify_slice(&proof).is_ok())
    }

    fn remember(&self, account: AccountKey, prepared: &str, phc: &str) {
        let Some(mac) = self.proof(prepared, phc) else { return };
        let now = Instant::now();
        let mut remembered = self.remembered.lock();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, known| known.until > now);
        }
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        let known = Remembered { proof: mac.finalize().into_bytes().into(), until: now + REMEMBERED };
        remembered.insert(account, known);
    }

    /// The lane of a login.
    fn lane(&self, login: &str) -> Option<&tokio::sync::Mutex<()>> {
        let digest = Sha256::digest(login.as_bytes());
        let number = usize::from(u16::from_le_bytes([digest[0], digest[1]])) % LANES;
        self.lanes.get(number)
    }

    /// Runs slow hashing outside the workers, a bounded number at a time.
    async fn slowly<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, DirectoryError> {
        let turn = tokio::time::timeout(MAX_QUEUE, self.hashing.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(DirectoryError::Busy) };
        tokio::task::spawn_blocking(work).await.map_err(|_| DirectoryError::Busy)
    }

    /// The credential of a new password.
    pub(crate) async fn hash(&self, password: &str) -> Result<Credential, DirectoryError> {
        let prepared = password::prepare_new(password)?;
        self.slowly(move || password::credential(&prepared)).await?.ok_or(DirectoryError::Busy)
    }

    /// The SCRAM keys of a password that was found right.
    async fn scram_keys(&self, prepared: String) -> Result<ScramKeys, DirectoryError> {
        self.slowly(move || ScramKeys::derive(&prepared)).await
    }

    /// Compares with the stored string, or with nobody's when there is none: never right, but as slow.
    async fn verify(&self, prepared: String, phc: Option<String>) -> Result<bool, DirectoryError> {
        let nobody = Arc::clone(&self.nobody);
        self.slowly(move || match phc {
            Some(phc) => password::verify(&prepared, &phc),
            None => {
                let nobody =
                    nobody.get_or_init(|| password::hash(&format!("{:032x}", rand::random::<u128>())));
                if let Some(nobody) = nobody {
                    password::verify(&prepared, nobody);
                }
                false
            }
        })
        .await
    }

    pub(crate) fn sweep_position(&self, partition: &str) -> Option<String> {
        self.sweeps.lock().get(partition).cloned()
    }

    pub(crate) fn set_sweep_position(&self, partition: &str, position: Option<String>) {
        let mut sweeps = self.sweeps.lock();
        if sweeps.len() >= MAX_SWEEPS {
            sweeps.clear();
        }
        match position {
            Some(position) => sweeps.insert(partition.to_owned(), position),
            None => sweeps.remove(partition),
        };
    }
}

/// An account that may sign in, if the password is right.
pub(crate) struct Candidate {
    pub(crate) account: Account,
    rules: ClientRules,
    credential: Credential,
    /// Version of the credential's item.
    version: u64,
}

/// What a session of a member stands on: the account, and what was shown at sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The account as it was when last looked at.
    pub account: Account,
    /// What held for its mail programs then.
    pub rules: ClientRules,
    pub(crate) basis: Basis,
}

/// What was shown at sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The password behind the stored string with this digest.
    Password([u8; 32]),
    /// A token, and what it opens.
    Token(TokenId, TokenScope),
}

/// What mail programs of members speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProtocol {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
}

impl ClientProtocol {
    /// Its name in logs and metrics, and of its scope.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ClientProtocol::Imap => "imap",
            ClientProtocol::Pop3 => "pop3",
        }
    }
}

impl Standing {
    /// Was it the account's password that was shown?
    #[must_use]
    pub const fn is_by_password(&self) -> bool {
        matches!(self.basis, Basis::Password(_))
    }

    /// May it be used with that protocol? What was shown has to open it, and neither tenant nor member may have
    /// closed it.
    #[must_use]
    pub fn opens(&self, protocol: ClientProtocol) -> bool {
        let is_shown = match self.basis {
            Basis::Password(_) => true,
            Basis::Token(_, scope) => scope.holds(protocol),
        };
        is_shown && self.rules.admit(self, protocol)
    }
}

impl Candidate {
    fn standing(self) -> Standing {
        let basis = Basis::Password(digest_of(&self.credential));
        Standing { account: self.account, rules: self.rules, basis }
    }
}

/// What tells passwords apart over time: keys that are added to one do not change it.
fn digest_of(credential: &Credential) -> [u8; 32] {
    Sha256::digest(credential.phc.as_bytes()).into()
}

/// A SCRAM exchange between the server's first message and the client's last (RFC 5802 section 5).
pub struct ScramExchange {
    /// For the server's first message.
    pub salt: [u8; 16],
    /// For the server's first message.
    pub iterations: u32,
    counters: Counters,
    login: String,
    candidate: Option<Candidate>,
}

/// What the made-up salts are made of.
#[derive(Serialize, Deserialize)]
struct SaltKey([u8; 32]);

impl Versioned for SaltKey {
    const KIND: &'static str = "salt key";
}

impl Directory {
    /// Checks address and password of somebody at `client`. The login is the account's own address or an
    /// alias of it alone.
    ///
    /// Failures are counted durably for the login and for the client's network; from the 5th (network: the
    /// 20th) within 15 minutes on, attempts are refused unseen for 1, 2, 4 … 300 s. A success resets the
    /// login's count. An unknown account takes as long as a wrong password.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn authenticate(
        &self,
        login: &str,
        password: &str,
        client: IpAddr,
    ) -> Result<Account, SignInError> {
        Ok(self.open_session(login, password, client).await?.account)
    }

    /// As [`Directory::authenticate`], for a session that lasts and is to end with what it stands on
    /// ([`Directory::still_stands`]).
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn open_session(
        &self,
        login: &str,
        password: &str,
        client: IpAddr,
    ) -> Result<Standing, SignInError> {
        flatten(self.try_authenticate(login, password, client).await)
    }

    /// The session's standing as it is now; `None` if it has to end, because the account is disabled or gone,
    /// its tenant suspended, or the password set anew since the sign-in. Whether it still opens its protocol is to
    /// be asked of it.
    ///
    /// # Errors
    /// The port's.
    pub async fn still_stands(&self, standing: &Standing) -> Result<Option<Standing>, DirectoryError> {
        let key = standing.account.key;
        let Some(tenant) = self.active_tenant(key.tenant).await? else { return Ok(None) };
        let account = self.account(key).await?.filter(|account| account.is_open(self.clock.now()));
        let is_same = match &standing.basis {
            Basis::Password(digest) => {
                let credential = self.read::<Credential>(&credential_key(key), Consistency::Strong).await?;
                credential.is_some_and(|held| digest_of(&held.value) == *digest)
            }
            Basis::Token(token, _) => self.token_holds(key, *token).await?,
        };
        Ok(account.filter(|_| is_same).map(|account| {
            let rules = ClientRules::of(&tenant.clients, &account.clients);
            Standing { account, rules, basis: standing.basis.clone() }
        }))
    }

    /// Begins a SCRAM exchange for somebody at `client`. A login that is unknown, may not sign in or has no
    /// keys yet looks like any other until [`Directory::finish_scram`].
    ///
    /// # Errors
    /// [`SignInError::TooManyFailures`], [`SignInError::Unavailable`].
    pub async fn begin_scram(&self, login: &str, client: IpAddr) -> Result<ScramExchange, SignInError> {
        flatten(self.try_begin_scram(login, client).await)
    }

    /// Ends a SCRAM exchange: what the session stands on, and the server's signature (`v=`). Failures count as
    /// those of [`Directory::open_session`] do.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn finish_scram(
        &self,
        exchange: ScramExchange,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<(Standing, [u8; 32]), SignInError> {
        flatten(self.try_finish_scram(exchange, auth_message, proof).await)
    }

    async fn try_begin_scram(
        &self,
        login: &str,
        client: IpAddr,
    ) -> Result<Result<ScramExchange, SignInError>, DirectoryError> {
        let Named { tenant, address, login, counters } = self.named(login, client).await?;
        if let Some(retry_after) = self.wait_of(&counters).await? {
            return Ok(Err(SignInError::TooManyFailures { retry_after }));
        }
        let nobody = salt_of_nobody(self.salt_key().await?, &login);
        let candidate = match (tenant, &address) {
            (Some(tenant), Some(address)) => self.candidate(tenant, address).await?,
            _ => None,
        };
        if candidate.is_none() {
            self.take_as_long_as_a_candidate().await?;
        }
        let keys = candidate.as_ref().and_then(|found| found.credential.scram.as_ref());
        let (salt, iterations) = keys.map_or((nobody, ITERATIONS), |keys| (keys.salt, keys.iterations));
        Ok(Ok(ScramExchange { salt, iterations, counters, login, candidate }))
    }

    async fn try_finish_scram(
        &self,
        exchange: ScramExchange,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<Result<(Standing, [u8; 32]), SignInError>, DirectoryError> {
        let ScramExchange { counters, login, candidate, .. } = exchange;
        let lane = self.sign_ins.lane(&login).ok_or(DirectoryError::Busy)?;
        let turn = tokio::time::timeout(MAX_QUEUE, lane.lock()).await;
        let _turn = turn.map_err(|_| DirectoryError::Busy)?;
        if let Some(retry_after) = self.wait_of(&counters).await? {
            return Ok(Err(SignInError::TooManyFailures { retry_after }));
        }
        let signature = candidate
            .as_ref()
            .and_then(|found| found.credential.scram.as_ref())
            .and_then(|keys| keys.check(auth_message, proof));
        match (candidate, signature) {
            (Some(found), Some(signature)) => {
                self.forget_failures(&counters).await?;
                Ok(Ok((found.standing(), signature)))
            }
            _ => {
                self.count_failure(&counters).await?;
                Ok(Err(SignInError::Denied))
            }
        }
    }

    /// The key of the made-up salts: of two processes that make one, the first wins.
    async fn salt_key(&self) -> Result<&[u8; 32], DirectoryError> {
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
        self.read::<Credential>(&credential_key(nobody), Consistency::Strong).await?;
        Ok(())
    }

    async fn try_authenticate(
        &self,
        login: &str,
        password: &str,
        client: IpAddr,
    ) -> Result<Result<Standing, SignInError>, DirectoryError> {
        if is_token(password) {
            // Programs that know nothing of bearer tokens can be given one as their password (CLI-08).
            return self.try_token(Some(login), password, client).await;
        }
        let Named { tenant, address, login: canonical, counters } = self.named(login, client).await?;
        if let Some(retry_after) = self.wait_of(&counters).await? {
            return Ok(Err(SignInError::TooManyFailures { retry_after }));
        }
        // A longer one cannot be right; its prefix is hashed all the same to take the time.
        let is_too_long = password.len() > MAX_PASSWORD;
        let prepared = password::prepare(if is_too_long { "" } else { password });
        let candidate = match (tenant, &address) {
            (Some(tenant), Some(address)) if !is_too_long => self.candidate(tenant, address).await?,
            _ => None,
        };
        if let Some(found) = &candidate
            && self.sign_ins.remembers(found.account.key, &prepared, &found.credential.phc)
        {
            return Ok(candidate.map(Candidate::standing).ok_or(SignInError::Denied));
        }
        self.check_slowly(&counters, &canonical, prepared, candidate).await
    }

    /// Whom a login names, and where its failures are counted.
    pub(crate) async fn named(&self, login: &str, client: IpAddr) -> Result<Named, DirectoryError> {
        let address = MailAddress::parse(login).ok();
        let tenant = match &address {
            Some(address) => self.owner(address.domain(), Consistency::Strong).await?,
            None => None,
        };
        // The canonical form, so that writing it differently gives no further attempts.
        let login = address.as_ref().map(ToString::to_string).unwrap_or_default();
        let counters = Counters::new(tenant.map(|tenant| (tenant, login.as_str())), client);
        Ok(Named { tenant, address, login, counters })
    }

    /// Compares the password with the stored hash, one attempt of a login after the other: else many at once
    /// would all pass before the first failure is counted.
    async fn check_slowly(
        &self,
        counters: &Counters,
        login: &str,
        prepared: String,
        candidate: Option<Candidate>,
    ) -> Result<Result<Standing, SignInError>, DirectoryError> {
        let lane = self.sign_ins.lane(login).ok_or(DirectoryError::Busy)?;
        let turn = tokio::time::timeout(MAX_QUEUE, lane.lock()).await;
        let _turn = turn.map_err(|_| DirectoryError::Busy)?;
        if let Some(retry_after) = self.wait_of(counters).await? {
            return Ok(Err(SignInError::TooManyFailures { retry_after }));
        }
        if let Some(found) = &candidate
            && self.sign_ins.remembers(found.account.key, &prepared, &found.credential.phc)
        {
            return Ok(candidate.map(Candidate::standing).ok_or(SignInError::Denied));
        }
        let phc = candidate.as_ref().map(|found| found.credential.phc.clone());
        let is_right = self.sign_ins.verify(prepared.clone(), phc).await?;
        match candidate {
            Some(found) if is_right => {
                self.sign_ins.remember(found.account.key, &prepared, &found.credential.phc);
                self.forget_failures(counters).await?;
                if found.credential.scram.is_none() {
                    self.add_scram_keys(&found, prepared).await?;
                }
                Ok(Ok(found.standing()))
            }
            _ => {
                self.count_failure(counters).await?;
                Ok(Err(SignInError::Denied))
            }
        }
    }

    /// Adds the keys to a password that was set before there was SCRAM. Sessions that stand on it go on.
    async fn add_scram_keys(&self, found: &Candidate, prepared: String) -> Result<(), DirectoryError> {
        let scram = Some(self.sign_ins.scram_keys(prepared).await?);
        let credential = Credential { phc: found.credential.phc.clone(), scram };
        // Who changed it meanwhile knows better.
        self.write(&credential_key(found.account.key), &credential, Expected::Version(found.version)).await?;
        Ok(())
    }

    /// The account that a login names, if it may sign in at all.
    pub(crate) async fn candidate(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<Option<Candidate>, DirectoryError> {
        let Some(found) = self.active_tenant(tenant).await? else { return Ok(None) };
        let account = match self.entry(tenant, address, Consistency::Strong).await?.map(|held| held.value) {
            Some(Entry::Account(account)) => account,
            Some(Entry::Alias(targets)) => match targets.as_slice() {
                [only] => only.account,
                _ => return Ok(None),
            },
            Some(Entry::Claimed(_) | Entry::Group { .. } | Entry::Free) | None => return Ok(None),
        };
        let key = AccountKey { tenant, account };
        let account = self.account_behind(key, Consistency::Strong).await?;
        // A business mailbox has no password (BIZ-01).
        let may =
            |account: &Account| account.is_open(self.clock.now()) && account.kind == AccountKind::Member;
        let Some(account) = account.filter(may) else {
            return Ok(None);
        };
        let credential = self.read::<Credential>(&credential_key(key), Consistency::Strong).await?;
        let rules = ClientRules::of(&found.clients, &account.clients);
        let candidate =
            |held: Held<_>| Candidate { account, rules, credential: held.value, version: held.version };
        Ok(credential.map(candidate))
    }
}

/// A login, looked up.
pub(crate) struct Named {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) address: Option<MailAddress>,
    /// In its canonical form.
    pub(crate) login: String,
    pub(crate) counters: Counters,
}

/// Failures of ours are told apart from refusals in the log only.
pub(crate) fn flatten<T>(outcome: Result<Result<T, SignInError>, DirectoryError>) -> Result<T, SignInError> {
    outcome.unwrap_or_else(|error| {
        tracing::warn!(%error, "sign-in could not be checked");
        Err(SignInError::Unavailable)
    })
}
