//! What the directory keeps in memory about sign-ins: right passwords as keyed hashes, turns for slow hashing, where sweeps
//! are. Nothing of it is missed by a process that starts.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use pennypost_model::AccountKey;
use sha2::{Digest, Sha256};

use crate::DirectoryError;
use crate::password;
use crate::scram::ScramKeys;
use crate::token::TokenId;

/// How long a right password is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Passwords that are remembered at once.
const MAX_REMEMBERED: usize = 100_000;
/// Longest wait for one's turn to have a password hashed.
pub(crate) const MAX_QUEUE: Duration = Duration::from_secs(20);
/// Logins are sorted into so many lanes; attempts in one lane are looked at one after the other.
const LANES: usize = 1_024;
/// Tokens of which it is remembered that their use of today is noted.
const MAX_USES: usize = 100_000;
/// Partitions whose sweep position is remembered.
const MAX_SWEEPS: usize = 10_000;

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
    /// The day for which the use of a token is noted.
    token_uses: Mutex<HashMap<(AccountKey, TokenId), i64>>,
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
            token_uses: Mutex::default(),
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

    pub(crate) fn remembers(&self, account: AccountKey, prepared: &str, phc: &str) -> bool {
        let Some(mac) = self.proof(prepared, phc) else { return false };
        let known = {
            let remembered = self.remembered.lock();
            remembered.get(&account).filter(|known| known.until > Instant::now()).map(|known| known.proof)
        };
        known.is_some_and(|proof| mac.verify_slice(&proof).is_ok())
    }

    pub(crate) fn remember(&self, account: AccountKey, prepared: &str, phc: &str) {
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
    pub(crate) fn lane(&self, login: &str) -> Option<&tokio::sync::Mutex<()>> {
        let digest = Sha256::digest(login.as_bytes());
        let number = usize::from(u16::from_le_bytes([digest[0], digest[1]])) % LANES;
        self.lanes.get(number)
    }

    /// Runs slow hashing outside the workers, a bounded number at a time.
    pub(crate) async fn slowly<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, DirectoryError> {
        let turn = tokio::time::timeout(MAX_QUEUE, self.hashing.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(DirectoryError::Busy) };
        tokio::task::spawn_blocking(work).await.map_err(|_| DirectoryError::Busy)
    }

    /// What is stored of a new password: the PHC string and the keys of SCRAM.
    pub(crate) async fn hash(&self, prepared: String) -> Result<(String, ScramKeys), DirectoryError> {
        self.slowly(move || password::hashed(&prepared)).await?.ok_or(DirectoryError::Busy)
    }

    /// Is it one of those behind these stored strings?
    pub(crate) async fn is_one_of(
        &self,
        prepared: String,
        stored: Vec<String>,
    ) -> Result<bool, DirectoryError> {
        self.slowly(move || stored.iter().any(|phc| password::verify(&prepared, phc))).await
    }

    /// The SCRAM keys of a password that was found right.
    pub(crate) async fn scram_keys(&self, prepared: String) -> Result<ScramKeys, DirectoryError> {
        self.slowly(move || ScramKeys::derive(&prepared)).await
    }

    /// Compares with the stored string, or with nobody's when there is none: never right, but as slow.
    pub(crate) async fn verify(&self, prepared: String, phc: Option<String>) -> Result<bool, DirectoryError> {
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

    /// Is it the first use of a token on that day, as far as this process knows?
    pub(crate) fn is_first_use(&self, account: AccountKey, token: TokenId, day: i64) -> bool {
        let mut uses = self.token_uses.lock();
        if uses.len() >= MAX_USES {
            uses.clear();
        }
        uses.insert((account, token), day) != Some(day)
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
