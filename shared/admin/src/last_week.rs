//! Figures of the week before, for the first page of administrators (ADM-03).
//!
//! They are made once a day, by whoever looks first, and kept in `T` / `last-week`: what was counted may be counted again, so
//! nothing is lost with it. Each has a bound and a time; one that is not found within them is not told, and the page stands
//! without it.

use std::time::Duration;

use pennypost_directory::{AccountKind, MAX_PAGE, Page};
use pennypost_model::codec::Versioned;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::statistics::{Period, beginning, day_of};
use crate::{AdminError, Administration};

/// Days of a week.
const WEEK: i64 = 7;
/// How long a figure may take while somebody waits for the page.
const PATIENCE: Duration = Duration::from_secs(5);
/// For so long figures of which one is missing stand before they are counted again.
const AGAIN: i64 = 15 * 60 * 1000;

/// The seven days before today, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWeek {
    /// Its first day.
    pub from: Timestamp,
    /// Today, the first day that is none of it.
    pub until: Timestamp,
    /// When it was counted.
    pub counted: Timestamp,
    /// Members' accounts that may be used; `None`: they were not counted in time.
    pub users: Option<u64>,
    /// Accounts that signed in; `None`: sign-ins are not recorded here, or there are too many to be counted at once.
    pub signed_in: Option<u64>,
    /// Letters that came into mailboxes; `None`: not every day is counted yet.
    pub received: Option<u64>,
    /// Letters that members handed in; the same.
    pub sent: Option<u64>,
    /// Nothing is missing that could be known later.
    is_final: bool,
}

impl Versioned for LastWeek {
    const KIND: &'static str = "figures of a week";
}

fn week_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "last-week")
}

/// A figure, if it is found in time. A page that lacks one is better than none.
async fn in_time<T>(what: &str, counting: impl Future<Output = Result<T, AdminError>>) -> Option<T> {
    match tokio::time::timeout(PATIENCE, counting).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::warn!(what, %error, "a figure is not on the first page");
            None
        }
        Err(_) => {
            tracing::warn!(what, "a figure is not on the first page: counting it takes too long");
            None
        }
    }
}

impl Administration {
    /// Figures of the seven days before today; `None` where letters are not traced.
    pub(crate) async fn last_week(&self, tenant: TenantId) -> Result<Option<LastWeek>, AdminError> {
        let now = self.clock.now();
        let today = day_of(now);
        let (key, until) = (week_key(tenant), beginning(today));
        let known = self.read::<LastWeek>(&key).await?;
        let expected = known.as_ref().map_or(Expected::Absent, |(_, version)| Expected::Version(*version));
        let stands =
            |week: &LastWeek| week.until == until && (week.is_final || now < week.counted.plus_millis(AGAIN));
        if let Some((week, _)) = known.filter(|(week, _)| stands(week)) {
            return Ok(Some(week));
        }
        if self.log.is_none() {
            return Ok(None);
        }
        let period = Period { from: beginning(today - WEEK), until };
        let (users, signed_in, mail) = futures::join!(
            in_time("members", self.users(tenant, now)),
            in_time("sign-ins", self.accounts_signed_in(tenant, period.from, until)),
            in_time("letters", self.mail_of(tenant, &period)),
        );
        let mail = mail.flatten();
        let week = LastWeek {
            from: period.from,
            until,
            counted: now,
            is_final: users.is_some() && signed_in.is_some() && mail.is_some(),
            users,
            signed_in: signed_in.flatten(),
            received: mail.map(|mail| mail.received),
            sent: mail.map(|mail| mail.sent),
        };
        // Whoever looked at the same moment has found the same.
        self.write(&key, &week, expected).await?;
        Ok(Some(week))
    }

    /// Members' accounts that may be used. Reads all of them.
    async fn users(&self, tenant: TenantId, now: Timestamp) -> Result<u64, AdminError> {
        let (mut users, mut page) = (0, Page { after: None, limit: MAX_PAGE });
        loop {
            let listed = self.directory.accounts(tenant, &page).await?;
            let is_user = |account: &&pennypost_directory::Account| {
                account.kind == AccountKind::Member && account.is_open(now)
            };
            users += listed.items.iter().filter(is_user).count() as u64;
            let Some(next) = listed.next else { return Ok(users) };
            page.after = Some(next);
        }
    }
}
