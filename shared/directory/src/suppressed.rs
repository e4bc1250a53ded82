//! Addresses elsewhere to which an organisation's mailings are not sent any more: their owners have complained, nobody has them, or an
//! administrator says so. Single letters of members go there all the same.
//!
//! | item | holds |
//! | --- | --- |
//! | `T`, `suppressed` | a digest of each of them: one read for all letters that go at once |
//! | `T/suppressed`, address | since when, why, and by which letter |
//!
//! The item of an address is written before its digest, and removed behind it: who dies in between leaves an address that is listed and
//! written to, until it is added or removed again. A digest that is there is looked up by its address.

use std::collections::BTreeSet;

use pennypost_model::codec::Versioned;
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, Listed, MailAddress, Page};

/// Addresses of an organisation.
pub const MAX_SUPPRESSED: usize = 10_000;

/// Why mailings are not sent there. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuppressedBy {
    /// An administrator says so.
    Administrator,
    /// Whoever has it has complained (RFC 5965).
    Complaint,
    /// Its server says that nobody has it (5.1.1).
    Bounce,
}

impl SuppressedBy {
    /// Its name, as documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SuppressedBy::Administrator => "administrator",
            SuppressedBy::Complaint => "complaint",
            SuppressedBy::Bounce => "bounce",
        }
    }
}

/// An address to which mailings are not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppressed {
    /// The address, in small letters.
    pub address: String,
    /// Why.
    pub by: SuppressedBy,
    /// Since when.
    pub since: Timestamp,
    /// The letter that was complained of, or that came back.
    pub letter: Option<EventId>,
}

impl Versioned for Suppressed {
    const KIND: &'static str = "suppressed address";
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Digests(BTreeSet<u64>);

impl Versioned for Digests {
    const KIND: &'static str = "suppressed addresses";
}

fn digests_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "suppressed")
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/suppressed")
}

fn key(tenant: TenantId, address: &str) -> ControlKey {
    ControlKey::new(partition(tenant), address)
}

fn digest(address: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(address));
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// As it is compared: the local part, too, in small letters.
fn compared(address: &str) -> Result<String, DirectoryError> {
    Ok(MailAddress::parse(address)?.to_string().to_lowercase())
}

impl Directory {
    /// Which of these addresses mailings are not sent to. One read, and one for each that it says may be among them.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn suppressed_among(
        &self,
        tenant: TenantId,
        addresses: &[String],
    ) -> Result<BTreeSet<String>, DirectoryError> {
        let mut found = BTreeSet::new();
        let known = self.read::<Digests>(&digests_key(tenant), Consistency::Eventual).await?;
        let Some(known) = known.filter(|known| !known.value.0.is_empty()) else { return Ok(found) };
        for address in addresses {
            let Ok(plain) = compared(address) else { continue };
            if known.value.0.contains(&digest(&plain))
                && self.read::<Suppressed>(&key(tenant, &plain), Consistency::Eventual).await?.is_some()
            {
                found.insert(address.clone());
            }
        }
        Ok(found)
    }

    /// Sends mailings there no more; `false` if that was so before, and stays as it was. Two reads and two writes.
    ///
    /// # Errors
    /// [`DirectoryError::Address`]; [`DirectoryError::TooMany`]; or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn suppress(
        &self,
        tenant: TenantId,
        address: &str,
        by: SuppressedBy,
        letter: Option<EventId>,
    ) -> Result<bool, DirectoryError> {
        let address = compared(address)?;
        let held = self.read::<Digests>(&digests_key(tenant), Consistency::Strong).await?;
        let is_known = held.as_ref().is_some_and(|held| held.value.0.contains(&digest(&address)));
        if !is_known && held.is_some_and(|held| held.value.0.len() >= MAX_SUPPRESSED) {
            return Err(DirectoryError::TooMany { what: "suppressed addresses", limit: MAX_SUPPRESSED });
        }
        let item = Suppressed { address: address.clone(), by, since: self.now(), letter };
        let is_new = self.write(&key(tenant, &address), &item, Expected::Absent).await?.is_some();
        if is_new || !is_known {
            self.change_digests(tenant, |digests| digests.insert(digest(&address))).await?;
        }
        Ok(is_new)
    }

    /// Sends mailings there again; `false` if they were sent there.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn release_suppressed(&self, tenant: TenantId, address: &str) -> Result<bool, DirectoryError> {
        let address = compared(address)?;
        self.change_digests(tenant, |digests| digests.remove(&digest(&address))).await?;
        let key = key(tenant, &address);
        let Some(held) = self.read::<Suppressed>(&key, Consistency::Strong).await? else { return Ok(false) };
        Ok(self.control.delete_if(&key, held.version).await?)
    }

    /// Addresses to which mailings are not sent, in their order; those that begin so, if that is said.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn suppressed(
        &self,
        tenant: TenantId,
        prefix: &str,
        page: &Page,
    ) -> Result<Listed<Suppressed>, DirectoryError> {
        let prefix = prefix.to_lowercase();
        // What is behind the prefix is the cursor of the list.
        let after = page.after.as_ref().map(|after| after.strip_prefix(&prefix).unwrap_or(after).to_owned());
        let page = Page { after, ..page.clone() };
        let listed = self.list::<Suppressed>(&partition(tenant), &prefix, &page).await?;
        let next = listed.next.map(|next| format!("{prefix}{next}"));
        Ok(Listed { items: listed.items.into_iter().map(|(_, item)| item).collect(), next })
    }
}

impl Directory {
    /// Changes the digests; `change` says whether there is anything to write.
    async fn change_digests(
        &self,
        tenant: TenantId,
        change: impl Fn(&mut BTreeSet<u64>) -> bool,
    ) -> Result<(), DirectoryError> {
        let key = digests_key(tenant);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<Digests>(&key, Consistency::Strong).await?;
            let (mut digests, version) = match held {
                Some(held) => (held.value, Expected::Version(held.version)),
                None => (Digests::default(), Expected::Absent),
            };
            if !change(&mut digests.0) || self.write(&key, &digests, version).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }
}
