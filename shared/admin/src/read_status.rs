//! Whether members see who of their colleagues has read what they sent (DLV-07).
//!
//! It begins at once, or after 48 hours of which all members are told by a letter. That it begins is written first, with the id
//! of the letter; then the letter goes to all, under that id; then it is noted that all were told. Who dies in between leaves a
//! letter that goes on when the same is said again, or with the daily housekeeping; each member gets it once.

use pennypost_directory::{Account, Page, ReadStatus};
use pennypost_model::event::{Recipient, SourceKind, Via};
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_text::say;
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::notices::{Envelope, both};
use crate::{AdminError, Administration};

/// Hours after which it begins where members are told.
pub const READ_STATUS_HOURS: i64 = 48;
/// Accounts that are read at once, and recipients of one event.
const PAGE: usize = 500;

/// What is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadStatusWish {
    /// Members do not see it.
    Off,
    /// They do, from now on.
    AtOnce,
    /// They do after 48 hours, and all are told so.
    Later,
}

fn document(status: &ReadStatus) -> Value {
    json!({ "since": status.since.map(Timestamp::rfc3339) })
}

impl Administration {
    /// Whether members see who has read what they sent.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn read_status(&self, call: &Call, tenant: TenantId) -> Result<ReadStatus, AdminError> {
        call.may(Action::ReadStatusRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        Ok(self.directory.read_status(tenant).await?)
    }

    /// Says whether they do, if what holds is still as `expected`. What holds already stays as it is: where it is on it does not
    /// begin anew.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_read_status(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &ReadStatus,
        wish: ReadStatusWish,
    ) -> Result<ReadStatus, AdminError> {
        let now = self.clock.now();
        let status = match wish {
            ReadStatusWish::Off => ReadStatus::default(),
            _ if expected.began(now).is_some() => expected.clone(),
            ReadStatusWish::AtOnce => ReadStatus { since: Some(now), telling: None, told: expected.told },
            ReadStatusWish::Later if expected.since.is_some() => expected.clone(),
            ReadStatusWish::Later => ReadStatus {
                since: Some(now.plus_millis(READ_STATUS_HOURS * 3_600_000)),
                telling: Some(self.ids.event(now)),
                told: None,
            },
        };
        let about = About::new(Some(tenant), Action::ReadStatusChange, "read-status")
            .from(document(expected))
            .to(document(&status));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        self.act(call, &about, async {
            match self.directory.change_read_status(tenant, expected, &status).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(AdminError::Changed),
                Err(error) => Err(error.into()),
            }
        })
        .await?;
        // It holds; who is not told now is told by housekeeping.
        if self.workshop.is_some()
            && let Err(error) = self.tell_of_read_status(tenant).await
        {
            tracing::warn!(%tenant, %error, "not all members were told of read status");
        }
        Ok(self.directory.read_status(tenant).await?)
    }

    /// Tells those members of a tenant who have not been told yet that they will see who has read what they sent; how many
    /// letters went.
    ///
    /// # Errors
    /// [`AdminError`]; whoever was told before gets no second letter.
    #[pennypost_ports::compiled_here]
    pub async fn tell_of_read_status(&self, tenant: TenantId) -> Result<usize, AdminError> {
        let status = self.directory.read_status(tenant).await?;
        let (Some(since), Some(letter)) = (status.since, status.telling) else { return Ok(0) };
        let (mut told, mut page) = (0, Page { after: None, limit: PAGE });
        loop {
            let listed = self.directory.accounts(tenant, &page).await?;
            told += self.write_of_read_status(tenant, letter, since, listed.items).await?;
            page.after = listed.next;
            if page.after.is_none() {
                break;
            }
        }
        let done = ReadStatus { since: Some(since), telling: None, told: Some(self.clock.now()) };
        // Whoever has said something else meanwhile has said the last word.
        self.directory.change_read_status(tenant, &status, &done).await?;
        Ok(told)
    }

    /// The letter to some accounts.
    async fn write_of_read_status(
        &self,
        tenant: TenantId,
        letter: EventId,
        since: Timestamp,
        accounts: Vec<Account>,
    ) -> Result<usize, AdminError> {
        let now = self.clock.now();
        let recipients: Vec<Recipient> = accounts
            .into_iter()
            .filter(|account| account.is_open(now))
            .map(|account| Recipient {
                account: account.key,
                address: account.address.to_string(),
                via: Via::Direct,
            })
            .collect();
        let Some(first) = recipients.first() else { return Ok(0) };
        let domain = first.address.rsplit('@').next().unwrap_or_default().to_owned();
        let subject = both(|text| say!(text, "letter-read-status-subject"), " / ");
        let body = both(
            |text| {
                let since = since.rfc5322();
                say!(text, "letter-read-status", since = since)
            },
            "\n\n",
        );
        let told = recipients.len();
        let envelope = Envelope { tenant, recipients, kind: SourceKind::System };
        self.post_as(letter, (&domain, "undisclosed-recipients:;"), (&subject, &body), envelope).await?;
        Ok(told)
    }
}
