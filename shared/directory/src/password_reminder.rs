//! Who is to be reminded that his password expires (AUT-12).
//!
//! Owns the control items `T/password-reminders`, `A`: of which end of a password's life its owner was told last. An item is
//! written before the letter: who dies in between reminds nobody of that end, and nobody is told of one end twice.

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::password::{Credential, credential_key};
use crate::{Account, AccountKind, Directory, DirectoryError, Listed, Page, PasswordAge};

const DAY: i64 = 24 * 60 * 60 * 1000;
/// Days before the end of a password's life, or a quarter of that life, if it is short.
const DAYS_BEFORE: i64 = 7;
/// Credentials that are looked at at once.
const LOOKUPS: usize = 16;

#[derive(Serialize, Deserialize)]
struct ReminderItem {
    expires: Timestamp,
}

impl Versioned for ReminderItem {
    const KIND: &'static str = "reminder of a password";
}

fn reminder_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/password-reminders", key.tenant), key.account.to_string())
}

/// Days before the end from which on it is time to remind, of passwords that live so long.
const fn days_before(lifetime: i64) -> i64 {
    let quarter = lifetime / 4;
    if quarter < 1 {
        1
    } else if quarter < DAYS_BEFORE {
        quarter
    } else {
        DAYS_BEFORE
    }
}

impl PasswordAge {
    /// Is it time to remind its owner of when it ends?
    #[must_use]
    pub fn ends_soon(&self, now: Timestamp) -> bool {
        let Some(expires) = self.expires else { return false };
        let lifetime = expires.0.saturating_sub(self.since.0) / DAY;
        expires <= now.plus_millis(days_before(lifetime) * DAY)
    }
}

impl Directory {
    /// Members of a page whose passwords expire soon, with when; none, where passwords have no end.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn expiring_passwords(
        &self,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<(Account, Timestamp)>, DirectoryError> {
        let lifetime = i64::from(self.sign_in_rules(tenant).await?.passwords.lifetime_days);
        if lifetime == 0 {
            return Ok(Listed { items: Vec::new(), next: None });
        }
        let now = self.clock.now();
        let Listed { items, next } = self.accounts(tenant, page).await?;
        let may = |account: &Account| account.kind == AccountKind::Member && account.is_open(now);
        let looks = items.into_iter().filter(may).map(|account| async move {
            let held = self.read::<Credential>(&credential_key(account.key), Consistency::Strong).await?;
            let since = held.map(|held| held.value.set.unwrap_or(account.created));
            Ok::<_, DirectoryError>(since.map(|since| (account, since.plus_millis(lifetime * DAY))))
        });
        let looks: Vec<_> = looks.collect();
        let found: Vec<Option<(Account, Timestamp)>> =
            stream::iter(looks).buffered(LOOKUPS).try_collect().await?;
        let last = now.plus_millis(days_before(lifetime) * DAY);
        let is_soon = |(_, expires): &(Account, Timestamp)| now < *expires && *expires <= last;
        Ok(Listed { items: found.into_iter().flatten().filter(is_soon).collect(), next })
    }

    /// Notes that an owner is told of that end; `false` if he was before.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn note_password_reminder(
        &self,
        key: AccountKey,
        expires: Timestamp,
    ) -> Result<bool, DirectoryError> {
        let item_key = reminder_key(key);
        let held = self.read::<ReminderItem>(&item_key, Consistency::Strong).await?;
        let expected = match held {
            Some(held) if held.value.expires == expires => return Ok(false),
            Some(held) => Expected::Version(held.version),
            None => Expected::Absent,
        };
        // Who was faster tells him.
        Ok(self.write(&item_key, &ReminderItem { expires }, expected).await?.is_some())
    }

    /// He was not told of that end after all.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn take_back_password_reminder(
        &self,
        key: AccountKey,
        expires: Timestamp,
    ) -> Result<(), DirectoryError> {
        let item_key = reminder_key(key);
        let held = self.read::<ReminderItem>(&item_key, Consistency::Strong).await?;
        if let Some(held) = held.filter(|held| held.value.expires == expires) {
            self.control.delete_if(&item_key, held.version).await?;
        }
        Ok(())
    }

    /// Forgets it, with the account.
    pub(crate) async fn forget_password_reminder(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&reminder_key(key)).await
    }
}

#[cfg(test)]
mod tests {
    use super::days_before;

    #[test]
    fn short_lives_are_reminded_of_late() {
        let days: Vec<i64> = [1, 4, 7, 12, 28, 30, 90].into_iter().map(days_before).collect();
        assert_eq!(days, [1, 1, 1, 3, 7, 7, 7]);
    }
}
