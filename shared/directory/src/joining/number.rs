//! Mobile numbers of those who join: each is one person's of the organisation (ORG-10).
//!
//! `T/joining-numbers`, number: the address for which somebody has applied who has said it. It is no truth: it counts only as long
//! as what was applied for waits, or the account there has that number in its profile, or it was noted a moment ago. So nothing has to be taken away, and a
//! process that dies in between keeps nobody out.

use pennypost_model::codec::Versioned;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use super::apply::{ApplicationItem, application_key};
use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, MailAddress, MobileNumber};

/// For how long after it was noted somebody may be about to apply.
const ABOUT_TO: i64 = 60 * 1000;

#[derive(Serialize, Deserialize)]
struct JoiningNumber(MailAddress, Timestamp);

impl Versioned for JoiningNumber {
    const KIND: &'static str = "mobile number of who joins";
}

fn number_key(tenant: TenantId, number: &MobileNumber) -> ControlKey {
    ControlKey::new(format!("{tenant}/joining-numbers"), number.as_str())
}

impl Directory {
    /// Is the number that somebody says who applies for an address nobody else's? One that can't be read as a number with its
    /// country could be compared with nothing: it is refused.
    pub(super) async fn check_joining_number(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        mobile: &str,
    ) -> Result<(), DirectoryError> {
        if mobile.trim().is_empty() {
            return Ok(());
        }
        let number = MobileNumber::parse(mobile)?;
        self.number_condition(tenant, address, &number).await.map(drop)
    }

    /// Notes that it is said for this address. Of two who say it at once one does.
    pub(super) async fn take_joining_number(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        mobile: &str,
    ) -> Result<(), DirectoryError> {
        if mobile.trim().is_empty() {
            return Ok(());
        }
        let number = MobileNumber::parse(mobile)?;
        for _ in 0..MAX_ATTEMPTS {
            let Some(condition) = self.number_condition(tenant, address, &number).await? else {
                return Ok(());
            };
            let item = JoiningNumber(address.clone(), self.clock.now());
            if self.write(&number_key(tenant, &number), &item, condition).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Under which condition the number is noted for the address; `None`: it is.
    async fn number_condition(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        number: &MobileNumber,
    ) -> Result<Option<Expected>, DirectoryError> {
        if self.mobile_owner(tenant, number).await?.is_some() {
            return Err(DirectoryError::MobileTaken);
        }
        let held = self.read::<JoiningNumber>(&number_key(tenant, number), Consistency::Strong).await?;
        let Some(held) = held else { return Ok(Some(Expected::Absent)) };
        let JoiningNumber(other, noted) = held.value;
        if other == *address {
            return Ok(None);
        }
        let is_it = |mobile: &str| MobileNumber::parse(mobile).as_ref() == Ok(number);
        let application =
            self.read::<ApplicationItem>(&application_key(tenant, &other), Consistency::Strong).await?;
        let now = self.clock.now();
        let account = self.account_at(&other.to_string()).await?.filter(|account| account.binned.is_none());
        let is_taken = match (&application, &account) {
            // Whoever has noted it may not have applied yet.
            (None, None) => (0..ABOUT_TO).contains(&now.0.saturating_sub(noted.0)),
            (application, account) => {
                let is_waiting = |item: &ApplicationItem| item.is_in_the_way(now) && is_it(item.mobile());
                application.as_ref().is_some_and(|held| is_waiting(&held.value))
                    || account.as_ref().is_some_and(|account| is_it(&account.profile.mobile))
            }
        };
        if is_taken {
            return Err(DirectoryError::MobileTaken);
        }
        Ok(Some(Expected::Version(held.version)))
    }
}
