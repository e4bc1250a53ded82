//! For how long a member's letters wait so that he can take them back (SND-08).
//!
//! `T/undo-windows`/`A` holds what a member has said; who has said nothing has none. It is read when he hands something in.

use pennypost_model::AccountKey;
use pennypost_model::codec::Versioned;
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError};

/// Seconds for which a member's letters wait, so that he can take them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoWindow(u16);

impl Versioned for UndoWindow {
    const KIND: &'static str = "undo window";
}

impl UndoWindow {
    /// Seconds that it has at least, and at most.
    pub const RANGE: (u16, u16) = (5, 120);

    /// A window of so many seconds; `None` outside of [`UndoWindow::RANGE`].
    #[must_use]
    pub const fn new(seconds: u16) -> Option<UndoWindow> {
        let (least, most) = UndoWindow::RANGE;
        if seconds < least || seconds > most { None } else { Some(UndoWindow(seconds)) }
    }

    /// Its seconds.
    #[must_use]
    pub const fn seconds(self) -> u16 {
        self.0
    }
}

fn key_of(account: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/undo-windows", account.tenant), account.account.to_string())
}

impl Directory {
    /// For how long the letters of an account wait; `None`: not at all. May miss what was said a moment ago.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn undo_window(&self, account: AccountKey) -> Result<Option<UndoWindow>, DirectoryError> {
        let held = self.read::<UndoWindow>(&key_of(account), Consistency::Eventual).await?;
        Ok(held.map(|held| held.value))
    }

    /// The same, of what was said last.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn undo_window_now(&self, account: AccountKey) -> Result<Option<UndoWindow>, DirectoryError> {
        let held = self.read::<UndoWindow>(&key_of(account), Consistency::Strong).await?;
        Ok(held.map(|held| held.value))
    }

    /// Says another window, or none, if what holds is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::InBin`], [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn change_undo_window(
        &self,
        account: AccountKey,
        expected: Option<UndoWindow>,
        window: Option<UndoWindow>,
    ) -> Result<bool, DirectoryError> {
        let found = self.account(account).await?;
        let found = found.ok_or_else(|| DirectoryError::NoAccount(account.account.to_string()))?;
        if found.binned.is_some() {
            return Err(DirectoryError::InBin(found.address.to_string()));
        }
        let key = key_of(account);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<UndoWindow>(&key, Consistency::Strong).await?;
            let version = held.as_ref().map(|held| held.version);
            if held.map(|held| held.value) != expected {
                return Ok(false);
            }
            let is_done = match (version, window) {
                (None, None) => true,
                (Some(version), None) => self.control.delete_if(&key, version).await?,
                (version, Some(window)) => {
                    let expected = version.map_or(Expected::Absent, Expected::Version);
                    self.write(&key, &window, expected).await?.is_some()
                }
            };
            if is_done {
                return Ok(true);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Forgets what somebody has said who has the account no more.
    pub(crate) async fn forget_undo_window(&self, account: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&key_of(account)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_five_seconds_to_two_minutes() {
        for (seconds, is_one) in [(0, false), (4, false), (5, true), (120, true), (121, false)] {
            assert_eq!(UndoWindow::new(seconds).is_some(), is_one, "{seconds}");
        }
    }
}
