//! Who may write as whom (SND-23): as oneself, for a group that one represents (GRP-05), for a member whose secretary one
//! is (DLG-03). A business mailbox writes as itself, by a token of it (BIZ-07).

use pennypost_model::AccountKey;
use pennypost_ports::Consistency;

use crate::address::Entry;
use crate::{Account, AccountKind, Directory, DirectoryError, MailAddress, MailReach, SecretaryScope};

/// What lets an account write as an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// It is the account's own address, or an alias of it.
    Own,
    /// It is the address of a group that the account represents.
    Group,
    /// It is a member's in whose name the account may write.
    InNameOf,
    /// It is a member's on whose behalf the account may write, if the message tells who wrote it.
    OnBehalfOf,
}

impl Directory {
    /// As what an account may write as that address; `None`: not at all. Of its own address nothing is read.
    ///
    /// # Errors
    /// The port's. What is no address at all is no error: nobody writes as it.
    #[pennypost_ports::compiled_here]
    pub async fn voice(&self, account: &Account, address: &str) -> Result<Option<Voice>, DirectoryError> {
        let Ok(address) = MailAddress::parse(address) else { return Ok(None) };
        if address == account.address || address.without_tag().as_ref() == Some(&account.address) {
            return Ok(Some(Voice::Own));
        }
        let (tenant, key) = (account.key.tenant, account.key);
        let owner = self.ownership(address.domain(), Consistency::Strong).await?;
        let Some(owner) = owner.filter(|owner| owner.tenant == tenant && !owner.is_closed) else {
            return Ok(None);
        };
        let home = owner.alias_of.map_or(address.clone(), |domain| address.in_domain(&domain));
        for candidate in std::iter::once(home.clone()).chain(home.without_tag()) {
            let entry = self.entry(tenant, &candidate, Consistency::Strong).await?.map(|held| held.value);
            return match entry {
                None | Some(Entry::Claimed(_) | Entry::Free) => continue,
                Some(Entry::Account(own)) if own == key.account => Ok(Some(Voice::Own)),
                Some(Entry::Account(other)) => {
                    self.voice_of_secretary(key, AccountKey { account: other, ..key }).await
                }
                Some(Entry::Alias(targets)) => match targets.as_slice() {
                    targets if targets.iter().any(|target| target.account == key.account) => {
                        Ok(Some(Voice::Own))
                    }
                    [only] => self.voice_of_secretary(key, AccountKey { account: only.account, ..key }).await,
                    _ => Ok(None),
                },
                Some(Entry::Group { .. }) => {
                    let rules = self.rules_of(tenant, &candidate, Consistency::Strong).await?;
                    let may = rules.representatives.contains(&key.account) && !rules.is_disabled;
                    Ok(may.then_some(Voice::Group))
                }
            };
        }
        Ok(None)
    }

    /// As what somebody may write as a member, whose account is open, and who may send himself.
    async fn voice_of_secretary(
        &self,
        secretary: AccountKey,
        owner: AccountKey,
    ) -> Result<Option<Voice>, DirectoryError> {
        let account = self.account(owner).await?;
        let is_meant = |owner: &Account| {
            owner.kind == AccountKind::Member
                && owner.is_open(self.clock.now())
                && owner.sends() != MailReach::Nobody
        };
        if !account.as_ref().is_some_and(is_meant) {
            return Ok(None);
        }
        let his = self.secretaries(owner).await?;
        let granted =
            his.into_iter().find(|one| one.account == secretary.account).and_then(|one| one.granted);
        Ok(granted.map(|granted| match granted.scope {
            SecretaryScope::SendAs | SecretaryScope::Full => Voice::InNameOf,
            SecretaryScope::SendOnBehalf => Voice::OnBehalfOf,
        }))
    }
}
