//! What programs that provision accounts over SCIM call them (ORG-26): ids of their own, and names in parts.
//!
//! `T/provisioned` holds what a source has said (`a/ACCOUNT/SOURCE`, `g/TAG/SOURCE`), which is the truth, and an index of its
//! ids (`x/SOURCE/a/DIGEST`), which may say too much: what it leads to is asked whether it is so. A row of the index is written
//! before the truth and goes after it; one that another thing of the same id has taken along is put back by the next word of
//! the source, and when the account comes back from the recycle bin. A source is known by the digest of its name, so that no name is too long for a key.

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Directory, DirectoryError, TagId};

/// Characters that an external id may have.
const MAX_EXTERNAL_ID: usize = 256;
/// Characters that a part of a name may have.
const MAX_PART: usize = 200;

/// Something that is provisioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provided {
    /// An account.
    Account(AccountId),
    /// A tag.
    Tag(TagId),
}

/// Of which kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvidedKind {
    /// An account.
    Account,
    /// A tag.
    Tag,
}

impl ProvidedKind {
    const fn letter(self) -> char {
        match self {
            ProvidedKind::Account => 'a',
            ProvidedKind::Tag => 'g',
        }
    }
}

impl Provided {
    const fn kind(self) -> ProvidedKind {
        match self {
            Provided::Account(_) => ProvidedKind::Account,
            Provided::Tag(_) => ProvidedKind::Tag,
        }
    }

    fn place(self) -> String {
        match self {
            Provided::Account(account) => format!("a/{account}/"),
            Provided::Tag(tag) => format!("g/{:08x}/", tag.0),
        }
    }
}

/// What a source has said of something beyond what the directory has of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioned {
    /// Its id there; may be empty.
    pub external_id: String,
    /// Given name; may be empty.
    pub given_name: String,
    /// Family name; may be empty.
    pub family_name: String,
    /// The name that the account had by it. Where it has another one now, the parts are no longer those of its name.
    pub display_name: String,
}

impl Versioned for Provisioned {
    const KIND: &'static str = "provisioned";
}

/// To what an external id leads.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Leads(Provided);

impl Versioned for Leads {
    const KIND: &'static str = "external id";
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/provisioned")
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// By the digest of a source: that is what keys hold.
fn truth_key(tenant: TenantId, source: &str, what: Provided) -> ControlKey {
    ControlKey::new(partition(tenant), format!("{}{source}", what.place()))
}

/// By the digest of a source, too.
fn index_key(tenant: TenantId, source: &str, kind: ProvidedKind, external_id: &str) -> ControlKey {
    let sort = format!("x/{source}/{}/{}", kind.letter(), digest(external_id));
    ControlKey::new(partition(tenant), sort)
}

fn check(text: &str, name: &'static str, limit: usize) -> Result<(), DirectoryError> {
    let is_good = text.chars().count() <= limit && !text.chars().any(char::is_control);
    if is_good { Ok(()) } else { Err(DirectoryError::Field { name, limit }) }
}

impl Directory {
    /// What a source has said of something.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn provisioned(
        &self,
        tenant: TenantId,
        source: &str,
        what: Provided,
    ) -> Result<Option<Provisioned>, DirectoryError> {
        let held =
            self.read::<Provisioned>(&truth_key(tenant, &digest(source), what), Consistency::Strong).await?;
        Ok(held.map(|held| held.value))
    }

    /// What a source calls by this id. Of an account that is gone it is still said.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn provided_as(
        &self,
        tenant: TenantId,
        source: &str,
        kind: ProvidedKind,
        external_id: &str,
    ) -> Result<Option<Provided>, DirectoryError> {
        let key = index_key(tenant, &digest(source), kind, external_id);
        let Some(held) = self.read::<Leads>(&key, Consistency::Strong).await? else { return Ok(None) };
        let Leads(what) = held.value;
        let said = self.provisioned(tenant, source, what).await?;
        Ok(said.filter(|said| said.external_id == external_id).map(|_| what))
    }

    /// Keeps what a source says of something of which it has said `expected` until now; `false` if that is otherwise. Of two
    /// things of the same id the last one is found by it. What differs in nothing is found by its id again, if nothing else is.
    ///
    /// # Errors
    /// [`DirectoryError::Field`] for what is too long or can't be seen, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_provisioned(
        &self,
        tenant: TenantId,
        source: &str,
        what: Provided,
        expected: &Provisioned,
        said: &Provisioned,
    ) -> Result<bool, DirectoryError> {
        check(&said.external_id, "externalId", MAX_EXTERNAL_ID)?;
        check(&said.given_name, "givenName", MAX_PART)?;
        check(&said.family_name, "familyName", MAX_PART)?;
        let source = &digest(source);
        let key = truth_key(tenant, source, what);
        let held = self.read::<Provisioned>(&key, Consistency::Strong).await?;
        let version = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
        if held.map(|held| held.value).unwrap_or_default() != *expected {
            return Ok(false);
        }
        if said.external_id == expected.external_id {
            self.lead_if_nowhere(tenant, source, what, &said.external_id).await?;
            return Ok(said == expected || self.write(&key, said, version).await?.is_some());
        }
        let index = index_key(tenant, source, what.kind(), &said.external_id);
        let mut led = None;
        if !said.external_id.is_empty() {
            let before = self.read::<Leads>(&index, Consistency::Strong).await?;
            led = self.write(&index, &Leads(what), Expected::Any).await?.map(|version| (before, version));
        }
        if self.write(&key, said, version).await?.is_none() {
            // Somebody was faster: the id leads where it has led.
            match led {
                Some((Some(before), version)) => {
                    self.write(&index, &before.value, Expected::Version(version)).await?;
                }
                Some((None, version)) => {
                    self.control.delete_if(&index, version).await?;
                    self.lead_if_said(tenant, source, what, &said.external_id).await?;
                }
                None => {}
            }
            return Ok(false);
        }
        self.forget_external_id(tenant, source, what, &expected.external_id).await?;
        Ok(true)
    }

    /// Makes an id lead to what is called so, unless it leads to something else that is.
    async fn lead_if_nowhere(
        &self,
        tenant: TenantId,
        source: &str,
        what: Provided,
        external_id: &str,
    ) -> Result<(), DirectoryError> {
        if external_id.is_empty() {
            return Ok(());
        }
        let key = index_key(tenant, source, what.kind(), external_id);
        let held = self.read::<Leads>(&key, Consistency::Strong).await?;
        let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
        if let Some(held) = held {
            let Leads(there) = held.value;
            if there == what {
                return Ok(());
            }
            let truth = truth_key(tenant, source, there);
            let said = self.read::<Provisioned>(&truth, Consistency::Strong).await?;
            if said.is_some_and(|said| said.value.external_id == external_id) {
                return Ok(());
            }
        }
        // Whoever was faster leads to what is called so, too.
        self.write(&key, &Leads(what), expected).await.map(drop)
    }

    /// The same, if it is called so.
    async fn lead_if_said(
        &self,
        tenant: TenantId,
        source: &str,
        what: Provided,
        external_id: &str,
    ) -> Result<(), DirectoryError> {
        let truth = truth_key(tenant, source, what);
        let said = self.read::<Provisioned>(&truth, Consistency::Strong).await?;
        if said.is_some_and(|said| said.value.external_id == external_id) {
            self.lead_if_nowhere(tenant, source, what, external_id).await?;
        }
        Ok(())
    }

    /// Makes the ids of an account that is back from the recycle bin lead to it: another one may have had them meanwhile.
    pub(crate) async fn lead_to_again(&self, key: AccountKey) -> Result<(), DirectoryError> {
        let (tenant, what) = (key.tenant, Provided::Account(key.account));
        let place = what.place();
        for sort in self.sorts(&partition(tenant), &place).await? {
            let source = sort.strip_prefix(&place).unwrap_or_default().to_owned();
            let truth = ControlKey::new(partition(tenant), sort);
            if let Some(held) = self.read::<Provisioned>(&truth, Consistency::Strong).await? {
                self.lead_if_nowhere(tenant, &source, what, &held.value.external_id).await?;
            }
        }
        Ok(())
    }

    /// Removes a row of the index, unless it leads to something else by now, or this is called so again.
    async fn forget_external_id(
        &self,
        tenant: TenantId,
        source: &str,
        what: Provided,
        external_id: &str,
    ) -> Result<(), DirectoryError> {
        if external_id.is_empty() {
            return Ok(());
        }
        let key = index_key(tenant, source, what.kind(), external_id);
        match self.read::<Leads>(&key, Consistency::Strong).await? {
            Some(held) if held.value.0 == what => {
                self.control.delete_if(&key, held.version).await?;
                self.lead_if_said(tenant, source, what, external_id).await
            }
            _ => Ok(()),
        }
    }

    /// Forgets what all sources have said of something: it is another's, or gone.
    pub(crate) async fn forget_provisioned(
        &self,
        tenant: TenantId,
        what: Provided,
    ) -> Result<(), DirectoryError> {
        let place = what.place();
        for sort in self.sorts(&partition(tenant), &place).await? {
            let source = sort.strip_prefix(&place).unwrap_or_default().to_owned();
            let key = ControlKey::new(partition(tenant), sort);
            let held = self.read::<Provisioned>(&key, Consistency::Strong).await?;
            let external_id = held.map(|held| held.value.external_id).unwrap_or_default();
            // The row first: what is said leads to it if this is cut off.
            if !external_id.is_empty() {
                let row = index_key(tenant, &source, what.kind(), &external_id);
                if let Some(held) = self.read::<Leads>(&row, Consistency::Strong).await?
                    && held.value.0 == what
                {
                    self.control.delete_if(&row, held.version).await?;
                }
            }
            self.erase(&key).await?;
        }
        Ok(())
    }

    /// The same of an account.
    pub(crate) async fn forget_provisioned_account(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.forget_provisioned(key.tenant, Provided::Account(key.account)).await
    }
}
