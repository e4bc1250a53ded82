//! What an organisation says of what scanners find (RCV-13, RCV-15), and what lies in quarantine because of it (RCV-11).
//!
//! Members see and release what is kept from themselves, and administrators what is kept from others; a letter with a virus is released
//! by administrators only. That a letter is released is said first, and then it is sent: see [`pennypost_quarantine`].

use std::sync::Arc;

use pennypost_directory::{Listed, Page};
use pennypost_mailstore::compress::decompress_header;
use pennypost_model::scan::HeldFor;
use pennypost_model::{AccountKey, EventId, TenantId};
use pennypost_policy::{RecipientsGet, ScanPolicy, Unanswered, VirusAction};
use pennypost_ports::{Consistency, PortError, Queue};
use pennypost_quarantine::{HeldLetter, HeldState, Quarantine, QuarantineError};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Invalid};

/// Bytes of the header of a letter that are shown.
const MAX_HEADER: usize = 32 * 1024;

/// A letter in quarantine, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHeldLetter {
    /// What lists tell of it.
    pub held: HeldLetter,
    /// Its header, cut; empty, if its bytes are gone.
    pub header: String,
}

impl From<QuarantineError> for AdminError {
    fn from(error: QuarantineError) -> AdminError {
        match error {
            QuarantineError::Port(error) => error.into(),
            QuarantineError::Item(error) => error.into(),
            QuarantineError::Contended => pennypost_directory::DirectoryError::Contended.into(),
        }
    }
}

fn policy_document(policy: &ScanPolicy) -> Value {
    let answer = |said: Unanswered| if said == Unanswered::Hold { "hold" } else { "pass" };
    json!({
        "virus": if policy.virus == VirusAction::Quarantine { "quarantine" } else { "delete" },
        "without_virus_scanner": answer(policy.without_virus_scanner),
        "without_spam_scanner": answer(policy.without_spam_scanner),
        "junk": policy.junk.map(|points| points.number()),
        "quarantine": policy.quarantine.map(|points| points.number()),
        "delete": policy.delete.map(|points| points.number()),
        "tell_recipients": policy.tell_recipients,
        "recipients_get": if policy.recipients_get == RecipientsGet::Rest { "rest" } else { "notice" },
    })
}

fn told(held: &HeldLetter) -> Value {
    json!({ "letter": held.letter.to_string(), "held_for": held.held_for.name(), "state": held.state.name() })
}

impl Administration {
    /// What an organisation says of what scanners find.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn scan_policy(&self, call: &Call, tenant: TenantId) -> Result<ScanPolicy, AdminError> {
        call.may(Action::ScanPolicyRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        Ok(self.directory.scan_policy(tenant, Consistency::Strong).await?)
    }

    /// Says something else, if what holds is still as `expected`. It holds within some seconds.
    ///
    /// # Errors
    /// [`Invalid::ScanPoints`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_scan_policy(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &ScanPolicy,
        policy: &ScanPolicy,
    ) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::ScanPolicyChange, "scan-policy")
            .from(policy_document(expected))
            .to(policy_document(policy));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        policy.check().map_err(Invalid::ScanPoints)?;
        self.act(call, &about, async {
            match self.directory.change_scan_policy(tenant, expected, policy).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(AdminError::Changed),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    fn quarantine(&self) -> Result<(Quarantine, &Arc<dyn Queue>), AdminError> {
        let (objects, queue) = self.workshop()?;
        Ok((Quarantine::new(Arc::clone(&self.control), Arc::clone(objects)), queue))
    }

    /// What lies in quarantine of a whole organisation: account after account, the oldest of each first.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn quarantined(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<HeldLetter>, AdminError> {
        call.may(Action::QuarantineList, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        let (quarantine, _) = self.quarantine()?;
        let found =
            quarantine.list(tenant, None, page.after.as_deref(), (self.clock.now(), page.limit)).await?;
        Ok(Listed { items: found.letters, next: found.next })
    }

    /// What is kept from an account, the oldest first.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn account_quarantine(
        &self,
        call: &Call,
        key: AccountKey,
        page: &Page,
    ) -> Result<Listed<HeldLetter>, AdminError> {
        self.seen(call, Action::QuarantineRead, key).await?;
        let (quarantine, _) = self.quarantine()?;
        let account = Some(key.account);
        let asked = (self.clock.now(), page.limit);
        let found = quarantine.list(key.tenant, account, page.after.as_deref(), asked).await?;
        Ok(Listed { items: found.letters, next: found.next })
    }

    /// A letter that is kept from an account, with its header.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn quarantined_letter(
        &self,
        call: &Call,
        key: AccountKey,
        letter: EventId,
    ) -> Result<SeenHeldLetter, AdminError> {
        self.seen(call, Action::QuarantineRead, key).await?;
        let held = self.held(key, letter).await?;
        let (quarantine, _) = self.quarantine()?;
        let damaged = |cause: pennypost_mailstore::StoreError| PortError::Damaged {
            port: "objects",
            cause: cause.to_string(),
        };
        let header = match quarantine.message(key.tenant, letter).await? {
            Some(message) => decompress_header(&message).map_err(damaged)?,
            None => Vec::new(),
        };
        let header = String::from_utf8_lossy(&header);
        let header = pennypost_model::message::cut(&header, MAX_HEADER).to_owned();
        Ok(SeenHeldLetter { held, header })
    }

    /// The row of a letter that is still shown.
    pub(crate) async fn held(&self, key: AccountKey, letter: EventId) -> Result<HeldLetter, AdminError> {
        let (quarantine, _) = self.quarantine()?;
        let held = quarantine.letter(key, letter).await?;
        let is_shown = |held: &HeldLetter| {
            !matches!(held.state, HeldState::Deleted { .. }) && held.expires() > self.clock.now()
        };
        held.filter(is_shown).ok_or(AdminError::NotFound("letter"))
    }

    /// Releases a letter that is kept from an account: it comes there, whatever scanners say. What was released stays so.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn release_quarantined(
        &self,
        call: &Call,
        key: AccountKey,
        letter: EventId,
    ) -> Result<HeldLetter, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::QuarantineRelease, &object);
        let account = self.permitted(call, &about, key).await?;
        let held = self.held(key, letter).await?;
        let action = match held.held_for {
            HeldFor::Spam => Action::QuarantineRelease,
            HeldFor::Virus => Action::QuarantineReleaseVirus,
        };
        let about = About::new(Some(key.tenant), action, &object);
        if held.held_for == HeldFor::Virus {
            self.permitted(call, &about, key).await?;
        }
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.from(told(&held));
        self.act(call, &about, self.release_held(key, letter)).await
    }

    /// Releases it, whoever has permitted that.
    pub(crate) async fn release_held(
        &self,
        key: AccountKey,
        letter: EventId,
    ) -> Result<HeldLetter, AdminError> {
        let (quarantine, queue) = self.quarantine()?;
        let now = self.clock.now();
        let spool = self.ids.event(now);
        let released = quarantine.release(key, letter, &**queue, (now, spool)).await?;
        released.ok_or(AdminError::NotFound("letter"))
    }

    /// Deletes a letter that is kept from an account: nobody sees it any more. What was released stays so.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn delete_quarantined(
        &self,
        call: &Call,
        key: AccountKey,
        letter: EventId,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::QuarantineDelete, &object);
        let account = self.permitted(call, &about, key).await?;
        let (quarantine, _) = self.quarantine()?;
        // Of one that was deleted already nothing is told again.
        let Some(held) = quarantine.letter(key, letter).await? else {
            return Err(AdminError::NotFound("letter"));
        };
        if held.state != HeldState::Held {
            return Ok(());
        }
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.from(told(&held));
        let now = self.clock.now();
        self.act(call, &about, async {
            let deleted = quarantine.delete(key, letter, now).await?;
            deleted.map(drop).ok_or(AdminError::NotFound("letter"))
        })
        .await
    }

    /// Removes what has lain in quarantine for its time, and sends what was released and is perhaps not on its way; how many were
    /// removed.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn look_after_quarantine(&self, tenant: TenantId) -> Result<u64, AdminError> {
        let (quarantine, queue) = self.quarantine()?;
        let now = self.clock.now();
        let fresh = || self.ids.event(now);
        Ok(quarantine.look_after(tenant, &**queue, now, fresh).await?)
    }
}
