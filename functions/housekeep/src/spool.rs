//! Spooled messages: deliver removes them when they lie in a pack; what a crash left is removed here.

use std::collections::HashSet;
use std::sync::Arc;

use pennypost_held::{Held, HeldError, HeldLetters};
use pennypost_mailings::{Mailing, Mailings};
use pennypost_mailstore::{StoreError, names};
use pennypost_model::TenantId;
use pennypost_model::codec;
use pennypost_model::event::{Body, Event};
use pennypost_outbound::{Outbound, Outbox, OutboxError};

use crate::Housekeep;

/// Names that are taken at once.
const PAGE: usize = 500;
/// Dead letters that are taken at once. Each is a whole event of up to 256 KB.
const LETTERS: usize = 50;

impl Housekeep {
    /// Removes spooled messages that are old and that neither a dead letter nor another server needs, nor a letter that goes later. An event that is still tried is younger
    /// than that: one that is given up is a dead letter.
    pub(crate) async fn sweep_spool(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let Some(outside) = self.needed_outside(tenant).await? else {
            tracing::warn!(%tenant, "no spooled message is removed: what is on its way to other servers is not all known");
            return Ok(0);
        };
        let Some(held) = self.needed_later(tenant).await? else {
            tracing::warn!(%tenant, "no spooled message is removed: what goes later is not all known");
            return Ok(0);
        };
        let mut needed = self.needed_by_dead_letters(tenant).await?;
        let Some(mailings) = self.needed_by_mailings(tenant).await? else {
            tracing::warn!(%tenant, "no spooled message is removed: what mailings say is not all known");
            return Ok(0);
        };
        needed.extend(outside.into_iter().chain(held).chain(mailings));
        let mut removed = 0;
        let mut after: Option<String> = None;
        loop {
            let page = self.store.objects().list(&names::spools(tenant), after.as_deref(), PAGE).await?;
            for object in &page {
                let old = names::id_of(&object.name).is_some_and(|id| id.time() < self.old_enough());
                if old && !needed.contains(&object.name) {
                    self.store.objects().delete(&object.name).await?;
                    removed += 1;
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return Ok(removed),
            }
        }
    }

    /// Names of the tenant's messages that are on their way to other servers; none, where one of them can't be read, and may
    /// be of a newer program. What has been there for long is forgotten.
    async fn needed_outside(&self, tenant: TenantId) -> Result<Option<HashSet<String>>, StoreError> {
        let (mut needed, mut is_known) = (HashSet::new(), true);
        let keep = |item: Option<&Outbound>| match item {
            Some(item) if !item.is_over() => {
                needed.insert(item.object.clone());
            }
            Some(_) => {}
            None => is_known = false,
        };
        let outbox = Outbox::new(Arc::clone(&self.control));
        let swept = outbox.sweep(tenant, self.store.clock().now(), keep).await;
        swept.map_err(|error| match error {
            OutboxError::Port(error) => StoreError::Port(error),
            OutboxError::Item(error) => StoreError::Damaged(error.to_string()),
        })?;
        Ok(is_known.then_some(needed))
    }

    /// The same of letters that wait for their time, or have ended of late.
    async fn needed_later(&self, tenant: TenantId) -> Result<Option<HashSet<String>>, StoreError> {
        let (mut needed, mut is_known) = (HashSet::new(), true);
        let keep = |item: Option<&Held>| match item {
            Some(item) => needed.extend(item.object().map(str::to_owned)),
            None => is_known = false,
        };
        let held = HeldLetters::new(Arc::clone(&self.control));
        held.sweep(tenant, self.store.clock().now(), keep).await.map_err(|error| match error {
            HeldError::Port(error) => StoreError::Port(error),
            other => StoreError::Damaged(other.to_string()),
        })?;
        Ok(is_known.then_some(needed))
    }

    /// The same of what mailings say. What has been over for long is forgotten.
    async fn needed_by_mailings(&self, tenant: TenantId) -> Result<Option<HashSet<String>>, StoreError> {
        let (mut needed, mut is_known) = (HashSet::new(), true);
        let keep = |mailing: Option<&Mailing>| match mailing {
            Some(mailing) => {
                needed.insert(mailing.object.clone());
            }
            None => is_known = false,
        };
        let mailings = Mailings::new(Arc::clone(&self.control), self.store.shared_objects());
        mailings.sweep(tenant, self.store.clock().now(), keep).await.map_err(|error| match error {
            HeldError::Port(error) => StoreError::Port(error),
            other => StoreError::Damaged(other.to_string()),
        })?;
        Ok(is_known.then_some(needed))
    }

    /// Names of the tenant's spooled messages that dead letters refer to.
    async fn needed_by_dead_letters(&self, tenant: TenantId) -> Result<HashSet<String>, StoreError> {
        let ours = names::spools(tenant);
        let mut needed = HashSet::new();
        let mut after = None;
        loop {
            let page = self.queue.dead_letters(after, LETTERS).await?;
            for letter in &page {
                let body = match codec::decode::<Event>(&letter.body) {
                    Ok(Event::Accepted(accepted) | Event::Outbound(accepted)) => accepted.body,
                    Ok(Event::Forwarding(forwarding)) => forwarding.accepted.body,
                    Ok(Event::Parsed(parsed)) => parsed.accepted.body,
                    Ok(Event::Decided(decided)) => decided.accepted.body,
                    Ok(Event::Changed(_) | Event::House(_) | Event::Notified(_)) | Err(_) => continue,
                };
                if let Body::Spooled { object, .. } = body
                    && object.starts_with(&ours)
                {
                    needed.insert(object);
                }
            }
            match page.last() {
                Some(last) if page.len() == LETTERS => after = Some(last.id),
                _ => return Ok(needed),
            }
        }
    }
}
