//! When and from where somebody signed in before (ADM-05): the beginnings of the last sessions of an account.
//!
//! Owns the control items `T/session-beginnings`, `A`. An item is written after the session: if the process dies in between,
//! that session is not told of to the next one.

use std::net::IpAddr;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountKey, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::sign_in_rules::network_of;
use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, Session, SessionId, SignedInBy};

/// Beginnings that are kept: somebody may be signed in at several places at once.
const KEPT: usize = 10;

/// How a session began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionBeginning {
    session: u64,
    /// When.
    pub at: Timestamp,
    /// From where, if it is known.
    pub address: Option<IpAddr>,
    /// How its owner signed in.
    pub by: SignedInBy,
}

impl SessionBeginning {
    /// Did it begin in the network of that address?
    #[must_use]
    pub fn is_in_network_of(&self, address: IpAddr) -> bool {
        self.address.is_some_and(|own| network_of(own).contains(address))
    }
}

/// The oldest first.
#[derive(Serialize, Deserialize)]
struct Beginnings(Vec<SessionBeginning>);

impl Versioned for Beginnings {
    const KIND: &'static str = "beginnings of sessions";
}

fn beginnings_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/session-beginnings", key.tenant), key.account.to_string())
}

impl Directory {
    /// Notes that a session has begun.
    pub(crate) async fn note_beginning(&self, session: &Session) -> Result<(), DirectoryError> {
        let key = beginnings_key(session.account);
        let Session { id, created, address, by, .. } = session;
        let begun = SessionBeginning { session: id.0, at: *created, address: *address, by: *by };
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<Beginnings>(&key, Consistency::Strong).await?;
            let (mut known, expected) = match held {
                Some(held) => (held.value.0, Expected::Version(held.version)),
                None => (Vec::new(), Expected::Absent),
            };
            known.push(begun.clone());
            let surplus = known.len().saturating_sub(KEPT);
            known.drain(..surplus);
            if self.write(&key, &Beginnings(known), expected).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// How the session before this one began; `None`: there was none, or it is not known any more.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn session_before(
        &self,
        key: AccountKey,
        session: SessionId,
    ) -> Result<Option<SessionBeginning>, DirectoryError> {
        let held = self.read::<Beginnings>(&beginnings_key(key), Consistency::Strong).await?;
        let known = held.map(|held| held.value.0).unwrap_or_default();
        let own = known.iter().position(|begun| begun.session == session.0);
        Ok(own.and_then(|own| known.into_iter().take(own).next_back()))
    }

    /// Another owner is told nothing of it.
    pub(crate) async fn forget_beginnings(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&beginnings_key(key)).await
    }
}
