//! Bindings: who of a provider of identities is which member (AUT-01, AUT-19).
//!
//! Owns two control items for each: `T/provider-bindings`, `A/PROVIDER`, which is the truth: what the provider calls the
//! member; and `T/provider-subjects`, `PROVIDER/DIGEST`, which leads from that name to the account, and is believed only if
//! the account says the same. So a binding that was cut opens nothing, whatever became of the other item, and a process that
//! dies between the two has bound nobody. A member has one binding with each provider; a name of a provider leads to one
//! member at most. Owns besides `T/provider-cuts`, `A/PROVIDER`: that a binding was cut. It is written before the binding goes,
//! and goes when there is another one: whose binding was cut is not found by his address meanwhile.

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, Page};

/// Providers that a tenant may have.
pub const MAX_PROVIDERS: usize = 10;

/// A binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The number of the provider.
    pub provider: u64,
    /// What the provider calls the member.
    pub subject: String,
    /// The address that the provider knew when it was made.
    pub email: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

impl Versioned for Binding {
    const KIND: &'static str = "binding with a provider";
}

/// That a binding was cut.
#[derive(Serialize, Deserialize)]
struct Cut {
    since: Timestamp,
}

impl Versioned for Cut {
    const KIND: &'static str = "cut of a binding with a provider";
}

/// Who a name of a provider is.
#[derive(Serialize, Deserialize)]
struct Subject {
    account: AccountId,
}

impl Versioned for Subject {
    const KIND: &'static str = "subject of a provider";
}

fn bindings(tenant: TenantId) -> String {
    format!("{tenant}/provider-bindings")
}

fn binding_key(key: AccountKey, provider: u64) -> ControlKey {
    ControlKey::new(bindings(key.tenant), format!("{}/{provider:016x}", key.account))
}

fn cuts(tenant: TenantId) -> String {
    format!("{tenant}/provider-cuts")
}

fn cut_key(key: AccountKey, provider: u64) -> ControlKey {
    ControlKey::new(cuts(key.tenant), format!("{}/{provider:016x}", key.account))
}

fn subject_key(tenant: TenantId, provider: u64, subject: &str) -> ControlKey {
    let digest: String =
        Sha256::digest(subject.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    ControlKey::new(format!("{tenant}/provider-subjects"), format!("{provider:016x}/{digest}"))
}

impl Directory {
    /// The bindings of an account.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn bindings(&self, key: AccountKey) -> Result<Vec<Binding>, DirectoryError> {
        let page = Page { after: None, limit: 4 * MAX_PROVIDERS };
        let listed = self.list::<Binding>(&bindings(key.tenant), &format!("{}/", key.account), &page).await?;
        Ok(listed.items.into_iter().map(|(_, binding)| binding).collect())
    }

    /// Whose a name of a provider is.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn bound(
        &self,
        tenant: TenantId,
        provider: u64,
        subject: &str,
    ) -> Result<Option<AccountKey>, DirectoryError> {
        let found =
            self.read::<Subject>(&subject_key(tenant, provider, subject), Consistency::Strong).await?;
        let Some(found) = found else { return Ok(None) };
        let key = AccountKey { tenant, account: found.value.account };
        let binding = self.read::<Binding>(&binding_key(key, provider), Consistency::Strong).await?;
        Ok(binding.filter(|held| held.value.subject == subject).map(|_| key))
    }

    /// Binds an account, in the place of its binding with that provider; `false` if the name is another member's.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn bind(&self, key: AccountKey, binding: &Binding) -> Result<bool, DirectoryError> {
        let (provider, subject) = (binding.provider, binding.subject.as_str());
        let leading = subject_key(key.tenant, provider, subject);
        let ours = Subject { account: key.account };
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<Subject>(&leading, Consistency::Strong).await?;
            let bound = self.bound(key.tenant, provider, subject).await?;
            if bound.is_some_and(|other| other != key) {
                return Ok(false);
            }
            let expected = held.map_or(Expected::Absent, |held| Expected::Version(held.version));
            if self.write(&leading, &ours, expected).await?.is_none() {
                continue;
            }
            let own = binding_key(key, provider);
            self.write(&own, binding, Expected::Any).await?;
            // Of two who bind the same name at once, the one to whom it leads is bound.
            let is_ours = self.bound(key.tenant, provider, subject).await? == Some(key);
            let is_over = if is_ours { cut_key(key, provider) } else { own };
            self.erase(&is_over).await?;
            return Ok(is_ours);
        }
        Err(DirectoryError::Contended)
    }

    /// May a provider's word that an address is somebody's let him in as this account? Not as one that is bound to somebody
    /// there, nor as one whose binding was cut.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn is_found_by_address(&self, key: AccountKey, provider: u64) -> Result<bool, DirectoryError> {
        let (own, cut) = (binding_key(key, provider), cut_key(key, provider));
        let bound = self.read::<Binding>(&own, Consistency::Strong);
        let (bound, cut) = futures::try_join!(bound, self.read::<Cut>(&cut, Consistency::Strong))?;
        Ok(bound.is_none() && cut.is_none())
    }

    /// Cuts a binding; `false` if there was none.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn cut_binding(&self, key: AccountKey, provider: u64) -> Result<bool, DirectoryError> {
        let own = binding_key(key, provider);
        let Some(held) = self.read::<Binding>(&own, Consistency::Strong).await? else { return Ok(false) };
        let cut = Cut { since: self.clock.now() };
        self.write(&cut_key(key, provider), &cut, Expected::Any).await?;
        self.erase(&own).await?;
        let leading = subject_key(key.tenant, provider, &held.value.subject);
        let found = self.read::<Subject>(&leading, Consistency::Strong).await?;
        if let Some(found) = found.filter(|found| found.value.account == key.account) {
            // Who has written it anew meanwhile has bound somebody else.
            self.control.delete_if(&leading, found.version).await?;
        }
        Ok(true)
    }

    /// Cuts all bindings of an account.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn cut_bindings(&self, key: AccountKey) -> Result<(), DirectoryError> {
        // More than the providers that there are: such as were removed.
        let bound = self.list_all::<Binding>(&bindings(key.tenant), &format!("{}/", key.account)).await?;
        for (_, binding) in bound {
            self.cut_binding(key, binding.provider).await?;
        }
        Ok(())
    }

    /// Forgets what was cut, with the account.
    pub(crate) async fn forget_cuts(&self, key: AccountKey) -> Result<(), DirectoryError> {
        let (partition, prefix) = (cuts(key.tenant), format!("{}/", key.account));
        for (provider, _) in self.list_all::<Cut>(&partition, &prefix).await? {
            self.erase(&ControlKey::new(partition.as_str(), format!("{prefix}{provider}"))).await?;
        }
        Ok(())
    }
}
