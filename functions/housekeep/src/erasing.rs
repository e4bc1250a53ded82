//! Erasing a tenant that has ended (TEN-11): a pass over everything that there is of it, in pieces, a part of them on one
//! event.
//!
//! Each step removes what it finds, and a pass begins anew with each event: whoever dies in it leaves nothing but a rest for
//! the next one. Nothing is found but by names that begin with the tenant's id, or say that it is the tenant's.

use std::sync::Arc;

use pennypost_admin::{ErasedCounts, Worked};
use pennypost_model::event::House;
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_outbound::{Outbox, OutboxError};
use pennypost_runtime::Failure;
use pennypost_runtime::needs::Kind;

use crate::Housekeep;
use crate::tasks::{WORKS, failed};

/// Accounts, objects and letters that are taken at once.
const PAGE: usize = 200;
/// Entries of a journal that are erased at once.
const ENTRIES: usize = 500;
/// Dead letters that are taken at once. Each is a whole event of up to 256 KB.
const LETTERS: usize = 50;

impl Housekeep {
    /// Begins to erase a tenant if it is time, or goes on with it. What is left of a pass is another event's.
    pub(crate) async fn erase_tenant(&self, tenant: TenantId) -> Result<(), Failure> {
        let administration = self.administration()?;
        if !administration.begin_erasing(tenant).await.map_err(|error| failed(&error))? {
            return Ok(());
        }
        let began = self.store.clock().now();
        let until = began.plus_millis(WORKS);
        let settles = (self.settings.min_age_days * 86_400_000.0) as i64;
        let is_last = administration.is_last_pass(tenant, began, settles).await;
        let is_last = is_last.map_err(|error| failed(&error))?;
        let mut counts = ErasedCounts::default();
        let worked = self.erase_all(tenant, (until, is_last), &mut counts).await;
        // Of what could be erased is told, also where the rest could not.
        administration.count_erased(tenant, counts).await.map_err(|error| failed(&error))?;
        match worked? {
            Worked::More => self.send(tenant, House::Erase(tenant)).await,
            Worked::Over => {
                let ended = administration.end_erasing(tenant, began, settles).await;
                let is_gone = ended.map_err(|error| failed(&error))?;
                tracing::info!(%tenant, ?counts, is_gone, "nothing is left of a tenant");
                Ok(())
            }
        }
    }

    /// Is the tenant there, and not being erased? Where nobody could know, it is.
    pub(crate) async fn is_kept(&self, tenant: TenantId) -> Result<bool, Failure> {
        let Some(administration) = &self.administration else { return Ok(true) };
        administration.is_kept(tenant).await.map_err(|error| failed(&error))
    }

    /// The daily look whether a tenant has ended.
    pub(crate) async fn look_at_end(&self, tenant: TenantId) -> Result<(), Failure> {
        // Nobody else could do it: what is left here is done tomorrow.
        let Some(administration) = &self.administration else { return Ok(()) };
        if administration.look_at_end(tenant).await.map_err(|error| failed(&error))? {
            self.send(tenant, House::Erase(tenant)).await?;
        }
        Ok(())
    }

    async fn erase_all(
        &self,
        tenant: TenantId,
        (until, is_last): (Timestamp, bool),
        counts: &mut ErasedCounts,
    ) -> Result<Worked, Failure> {
        let administration = self.administration()?;
        // First nothing comes in or goes out any more.
        counts.domains += administration.release_domains(tenant).await.map_err(|error| failed(&error))?;
        let is_mail_gone = self.erase_waiting(tenant, until, counts).await?
            && self.erase_journals(tenant, until, counts).await?
            && (!is_last || self.erase_journals_again(tenant, until).await?)
            && self.erase_objects(tenant, until, counts).await?;
        if !is_mail_gone {
            return Ok(Worked::More);
        }
        let worked = administration.erase_records(tenant, until, counts).await;
        match worked.map_err(|error| failed(&error))? {
            Worked::More => Ok(Worked::More),
            // Last, since those of everybody are read for it.
            Worked::Over => {
                let is_over = self.erase_dead_letters(tenant, until, counts).await?;
                Ok(if is_over { Worked::Over } else { Worked::More })
            }
        }
    }

    fn has_time(&self, until: Timestamp) -> bool {
        self.store.clock().now() < until
    }

    /// Letters that wait to be sent.
    async fn erase_waiting(
        &self,
        tenant: TenantId,
        until: Timestamp,
        counts: &mut ErasedCounts,
    ) -> Result<bool, Failure> {
        let outbox = Outbox::new(Arc::clone(&self.control));
        loop {
            if !self.has_time(until) {
                return Ok(false);
            }
            let erased = outbox.erase(tenant, PAGE).await.map_err(|error| outside(&error))?;
            counts.letters += erased;
            if erased == 0 {
                return Ok(true);
            }
        }
    }

    /// Letters that could not be dealt with.
    async fn erase_dead_letters(
        &self,
        tenant: TenantId,
        until: Timestamp,
        counts: &mut ErasedCounts,
    ) -> Result<bool, Failure> {
        let mut after = None;
        loop {
            if !self.has_time(until) {
                return Ok(false);
            }
            let page =
                self.queue.dead_letters(after, LETTERS).await.map_err(|error| Failure::temporary(&error))?;
            for letter in page.iter().filter(|letter| letter.tenant == tenant) {
                let is_gone = self.queue.discard_dead_letter(letter.id).await;
                counts.letters += u64::from(is_gone.map_err(|error| Failure::temporary(&error))?);
            }
            match page.last() {
                Some(last) if page.len() == LETTERS => after = Some(last.id),
                _ => return Ok(true),
            }
        }
    }

    async fn erase_journals(
        &self,
        tenant: TenantId,
        until: Timestamp,
        counts: &mut ErasedCounts,
    ) -> Result<bool, Failure> {
        let (journal, administration) = (self.store.journal(), self.administration()?);
        loop {
            let accounts =
                journal.accounts(tenant, None, PAGE).await.map_err(|error| Failure::temporary(&error))?;
            if accounts.is_empty() {
                return Ok(true);
            }
            for account in accounts {
                let noted = administration.note_erased_journal(account).await;
                noted.map_err(|error| failed(&error))?;
                if !self.erase_journal(account, until).await? {
                    return Ok(false);
                }
                counts.accounts += 1;
            }
        }
    }

    /// What came into journals after they were erased, from somebody who had them open.
    async fn erase_journals_again(&self, tenant: TenantId, until: Timestamp) -> Result<bool, Failure> {
        let administration = self.administration()?;
        loop {
            let accounts = administration.erased_journals(tenant).await.map_err(|error| failed(&error))?;
            if accounts.is_empty() {
                return Ok(true);
            }
            for account in accounts {
                if !self.erase_journal(account, until).await? {
                    return Ok(false);
                }
                let forgotten = administration.forget_erased_journal(account).await;
                forgotten.map_err(|error| failed(&error))?;
            }
        }
    }

    async fn erase_journal(&self, account: AccountKey, until: Timestamp) -> Result<bool, Failure> {
        loop {
            if !self.has_time(until) {
                return Ok(false);
            }
            let is_more = self.store.journal().erase(account, ENTRIES).await;
            if !is_more.map_err(|error| Failure::temporary(&error))? {
                return Ok(true);
            }
        }
    }

    async fn erase_objects(
        &self,
        tenant: TenantId,
        until: Timestamp,
        counts: &mut ErasedCounts,
    ) -> Result<bool, Failure> {
        let objects = self.store.objects();
        for kind in Kind::ALL {
            let prefix = format!("{tenant}/{}/", kind.component());
            loop {
                let page =
                    objects.list(&prefix, None, PAGE).await.map_err(|error| Failure::temporary(&error))?;
                for object in &page {
                    if !self.has_time(until) {
                        return Ok(false);
                    }
                    objects.delete(&object.name).await.map_err(|error| Failure::temporary(&error))?;
                    counts.objects += 1;
                }
                if page.len() < PAGE {
                    break;
                }
            }
        }
        Ok(true)
    }
}

fn outside(error: &OutboxError) -> Failure {
    if error.is_temporary() { Failure::temporary(error) } else { Failure::permanent(error) }
}
