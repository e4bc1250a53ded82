//! The address item: what an address is. One item per address makes addresses unique.

use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{AccountId, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::alias::Target;
use crate::store::Held;
use crate::{Directory, DirectoryError, DomainState, MailAddress, Member};

/// What an address is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// Claimed for an account that is being added, perhaps by a process that has died.
    Claimed(AccountId),
    /// An account's own address.
    Account(AccountId),
    /// Another address of accounts.
    Alias(Vec<Target>),
    /// A group.
    Group { name: String, members: Vec<Member> },
    /// Free again. The item stays, so that its version goes on: a process that was held up between claiming
    /// the address and making it an account's must not find its version once more.
    Free,
}

impl Versioned for Entry {
    const KIND: &'static str = "address";
    const VERSION: u8 = 2;

    /// Without members elsewhere a group is what it was before there were any.
    fn version(&self) -> u8 {
        let is_outside = |member: &Member| matches!(member, Member::Outside { .. });
        match self {
            Entry::Group { members, .. } if members.iter().any(is_outside) => 2,
            _ => 1,
        }
    }

    fn upgrade(found: u8, bytes: &[u8]) -> Result<Entry, CodecError> {
        match found {
            1 => decode_plain(Self::KIND, bytes),
            _ => Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        }
    }
}

pub(crate) fn addresses_partition(tenant: TenantId) -> String {
    format!("{tenant}/addresses")
}

pub(crate) fn address_key(tenant: TenantId, address: &MailAddress) -> ControlKey {
    ControlKey::new(addresses_partition(tenant), format!("{}/{}", address.domain(), address.local()))
}

/// The address in the sort key of an address item.
pub(crate) fn address_of_sort(sort: &str) -> Option<MailAddress> {
    let (domain, local) = sort.split_once('/')?;
    let quoted = local.replace('\\', "\\\\").replace('"', "\\\"");
    MailAddress::parse(&format!("\"{quoted}\"@{domain}")).ok()
}

/// Can an address that is to be given away begin with this, whatever its domain?
#[must_use]
pub fn is_suitable_prefix(prefix: &str) -> bool {
    MailAddress::parse(&format!("{prefix}@example.com")).is_ok_and(|address| is_suitable(&address))
}

fn is_suitable(address: &MailAddress) -> bool {
    // A `+` in it could never be told from a tag of the base address.
    address.is_dot_atom() && !address.local().contains('+') && !is_deceptive(address.local())
}

impl Directory {
    pub(crate) async fn entry(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        consistency: Consistency,
    ) -> Result<Option<Held<Entry>>, DirectoryError> {
        self.read(&address_key(tenant, address), consistency).await
    }

    /// Parses an address that is to be given away, and finds the tenant of its domain.
    pub(crate) async fn place_for(&self, address: &str) -> Result<(TenantId, MailAddress), DirectoryError> {
        let address = MailAddress::parse(address)?;
        if !is_suitable(&address) {
            return Err(DirectoryError::UnsuitableAddress { address: address.to_string() });
        }
        let no_domain = || DirectoryError::NoDomain(address.domain().to_string());
        let tenant = self.owner(address.domain(), Consistency::Strong).await?.ok_or_else(no_domain)?;
        let domain = self.domain_of(tenant, address.domain(), Consistency::Strong).await?;
        let domain = domain.ok_or_else(no_domain)?;
        if domain.alias_of.is_some() {
            return Err(DirectoryError::AliasDomain(domain.name.to_string()));
        }
        if domain.state == DomainState::Removing {
            return Err(DirectoryError::DomainState(domain.name.to_string()));
        }
        Ok((tenant, address))
    }

    /// Gives a free address to an alias or group.
    pub(crate) async fn give_address(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        entry: &Entry,
    ) -> Result<(), DirectoryError> {
        let key = address_key(tenant, address);
        if self.write(&key, entry, Expected::Absent).await?.is_some() {
            return Ok(());
        }
        self.take_over(tenant, address, entry).await.map(|_version| ())
    }

    /// Takes an address whose item is there but stands in nobody's way: a free one, or one claimed for an
    /// account whose adding was cut off. Gives the version of the item.
    pub(crate) async fn take_over(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        entry: &Entry,
    ) -> Result<u64, DirectoryError> {
        let key = address_key(tenant, address);
        let taken = || DirectoryError::AddressTaken(address.to_string());
        let held = self.read::<Entry>(&key, Consistency::Strong).await?.ok_or_else(taken)?;
        let abandoned = match held.value {
            Entry::Claimed(account) => Some(account),
            Entry::Free => None,
            Entry::Account(_) | Entry::Alias(_) | Entry::Group { .. } => return Err(taken()),
        };
        let version = self.write(&key, entry, Expected::Version(held.version)).await?.ok_or_else(taken)?;
        if let Some(account) = abandoned {
            self.erase_account_items(tenant, account).await?;
        }
        Ok(version)
    }

    /// Frees the address of an alias or group.
    pub(crate) async fn free_address(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        version: u64,
    ) -> Result<(), DirectoryError> {
        let freed =
            self.write(&address_key(tenant, address), &Entry::Free, Expected::Version(version)).await?;
        freed.map(|_version| ()).ok_or(DirectoryError::Contended)
    }
}

/// Small letters of other scripts that are taken for Latin ones.
const TAKEN_FOR_LATIN: &str = "\u{430}\u{435}\u{43e}\u{440}\u{441}\u{443}\u{445}\u{455}\u{456}\u{458}\u{4bb}\u{501}\u{51b}\u{51d}\
    \u{3b1}\u{3b9}\u{3ba}\u{3bd}\u{3bf}\u{3c1}\u{3c4}\u{3c5}\u{3c7}\u{3f2}\u{3f3}\u{563}\u{570}\u{578}\u{57d}\u{581}\u{585}";

/// Would people take this local part for another one: because it mixes letters of scripts that look alike, holds nothing
/// but such letters, or is written in forms that have a plainer one?
fn is_deceptive(local: &str) -> bool {
    use unicode_normalization::UnicodeNormalization;
    if local.is_ascii() {
        return false;
    }
    let is_alike = |c: char| {
        let greek_to_armenian = matches!(c, '\u{370}'..='\u{58f}');
        greek_to_armenian
            || matches!(c, '\u{13a0}'..='\u{13ff}' | '\u{1d00}'..='\u{1d7f}' | '\u{ab30}'..='\u{abbf}')
    };
    let letters = || local.chars().filter(|c| c.is_alphabetic());
    let is_mixed = letters().any(|c| c.is_ascii()) && letters().any(is_alike);
    let is_all_alike = letters().any(is_alike) && letters().all(|c| TAKEN_FOR_LATIN.contains(c));
    let has_plainer = !local.nfkc().eq(local.chars());
    is_mixed || is_all_alike || has_plainer || local.chars().any(crate::store::is_unseen)
}

#[cfg(test)]
mod tests {
    use super::{is_deceptive, is_suitable_prefix};

    #[test]
    fn what_no_address_can_begin_with_is_known_before_there_is_a_domain() {
        for good in ["ann", "ann.lee", "张三"] {
            assert!(is_suitable_prefix(good), "{good}");
        }
        for bad in ["", "a b", "a+b", "a@b", "\u{430}nn", &"a".repeat(65)] {
            assert!(!is_suitable_prefix(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_that_pass_for_others_are_known() {
        for honest in ["ann", "a.b-c_1", "用户", "王xm", "привет", "müller", "αβγδ", "ユーザー", "user1"]
        {
            assert!(!is_deceptive(honest), "{honest}");
        }
        for deceptive in [
            "\u{430}nn",
            "\u{430}\u{441}\u{435}",
            "ａｎｎ",
            "p\u{430}yp\u{430}l",
            "\u{3bf}",
            "zero\u{200b}",
            "ﬁ",
        ] {
            assert!(is_deceptive(deceptive), "{deceptive}");
        }
    }
}
