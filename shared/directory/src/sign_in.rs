//! Signing in with address and password.
//!
//! A right password is remembered in memory for five minutes as a keyed hash together with the stored PHC
//! string, so that programs that open many connections do not each cost 20 ms. A changed password makes the
//! memory worthless at once, because the stored string is read at every sign-in and is part of the hash.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use pennypost_model::{AccountKey, TenantId};
use pennypost_ports::Consistency;
use sha2::{Digest, Sha256};

use crate::address::Entry;
use crate::password::{self, Credential, MAX_PASSWORD, credential_key};
use crate::throttle::Counters;
use crate::{Account, AccountState, Directory, DirectoryError, MailAddress, TenantState};

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
    nobody: Arc<OnceLock<Option<Credential>>>,
}

impl Default for SignIns {
    fn default() -> SignIns {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        SignIns {
            key: rand::random(),
            remembered: Mutex::default(),
            hashing: tokio::sync::Semaphore::new(2 * cores),
            lanes: (0..LANES).map(|_| tokio::sync::Mutex::new(())).collect(),
            sweeps: Mutex::default(),
            nobody: Arc::default(),
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
        self.slowly(move || password::hash(&prepared)).await?.ok_or(DirectoryError::Busy)
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
                    password::verify(&prepared, &nobody.phc);
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
struct Candidate {
    account: Account,
    phc: String,
    credential: u64,
}

/// What a session of a member stands on: the account, and the password as it was at sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The account as it was when last looked at.
    pub account: Account,
    /// Version of the credential.
    credential: u64,
}

impl Candidate {
    fn standing(self) -> Standing {
        Standing { account: self.account, credential: self.credential }
    }
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
        match self.try_authenticate(login, password, client).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::warn!(%error, "sign-in could not be checked");
                Err(SignInError::Unavailable)
            }
        }
    }

    /// The session's standing as it is now; `None` if it has to end, because the account is disabled or gone,
    /// its tenant suspended, or the password set anew since the sign-in.
    ///
    /// # Errors
    /// The port's.
    pub async fn still_stands(&self, standing: &Standing) -> Result<Option<Standing>, DirectoryError> {
        let key = standing.account.key;
        if self.tenant_state(key.tenant, Consistency::Strong).await? != Some(TenantState::Active) {
            return Ok(None);
        }
        let account = self.account(key).await?.filter(|account| account.state == AccountState::Active);
        let credential = self.read::<Credential>(&credential_key(key), Consistency::Strong).await?;
        let is_same = credential.is_some_and(|held| held.version == standing.credential);
        Ok(account.filter(|_| is_same).map(|account| Standing { account, ..standing.clone() }))
    }

    async fn try_authenticate(
        &self,
        login: &str,
        password: &str,
        client: IpAddr,
    ) -> Result<Result<Standing, SignInError>, DirectoryError> {
        let address = MailAddress::parse(login).ok();
        let tenant = match &address {
            Some(address) => self.owner(address.domain(), Consistency::Strong).await?,
            None => None,
        };
        // The canonical form, so that writing it differently gives no further attempts.
        let canonical = address.as_ref().map(ToString::to_string).unwrap_or_default();
        let counters = Counters::new(tenant.map(|tenant| (tenant, canonical.as_str())), client);
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
            && self.sign_ins.remembers(found.account.key, &prepared, &found.phc)
        {
            return Ok(candidate.map(Candidate::standing).ok_or(SignInError::Denied));
        }
        self.check_slowly(&counters, &canonical, prepared, candidate).await
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
            && self.sign_ins.remembers(found.account.key, &prepared, &found.phc)
        {
            return Ok(candidate.map(Candidate::standing).ok_or(SignInError::Denied));
        }
        let phc = candidate.as_ref().map(|found| found.phc.clone());
        let is_right = self.sign_ins.verify(prepared.clone(), phc).await?;
        match candidate {
            Some(found) if is_right => {
                self.sign_ins.remember(found.account.key, &prepared, &found.phc);
                self.forget_failures(counters).await?;
                Ok(Ok(found.standing()))
            }
            _ => {
                self.count_failure(counters).await?;
                Ok(Err(SignInError::Denied))
            }
        }
    }

    /// The account that a login names, if it may sign in at all.
    async fn candidate(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<Option<Candidate>, DirectoryError> {
        if self.tenant_state(tenant, Consistency::Strong).await? != Some(TenantState::Active) {
            return Ok(None);
        }
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
        let Some(account) = account.filter(|account| account.state == AccountState::Active) else {
            return Ok(None);
        };
        let credential = self.read::<Credential>(&credential_key(key), Consistency::Strong).await?;
        Ok(credential.map(|held| Candidate { account, phc: held.value.phc, credential: held.version }))
    }
}
