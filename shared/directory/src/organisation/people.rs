//! Who is in a department, and who is found by a name.

use std::collections::HashSet;

use pennypost_model::{AccountId, TenantId};
use serde::{Deserialize, Serialize};

use super::cards::{members_partition, members_prefix, names_partition};
use super::spelling;
use super::tree::DepartmentId;
use crate::{Directory, DirectoryError, Listed, MailAddress, Page};

/// People that one search finds at most.
pub const MAX_FOUND: usize = 100;
/// Cards that one search reads for each person wanted: a person may be found by several terms.
const CARDS_FOR_EACH: usize = 3;

/// What pages and searches tell of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The account.
    pub account: AccountId,
    /// Its own address.
    pub address: MailAddress,
    /// Name; may be empty.
    pub display_name: String,
    /// Position; may be empty.
    pub title: String,
    /// Landline number; may be empty.
    pub phone: String,
    /// The departments it is in, the main one first; empty: directly in the organisation.
    pub departments: Vec<DepartmentId>,
    /// May it be used?
    pub is_active: bool,
}

impl Directory {
    /// Who is directly in a department, in the order of how names are read (ORG-02). A page may hold few though more
    /// follow.
    ///
    /// # Errors
    /// The port's. A department that is not there has no members.
    #[pennypost_ports::compiled_here]
    pub async fn members(
        &self,
        tenant: TenantId,
        department: DepartmentId,
        page: &Page,
    ) -> Result<Listed<Person>, DirectoryError> {
        self.bring_cards_up_to_date(tenant).await?;
        let prefix = members_prefix(department);
        let listed = self.people_of(&members_partition(tenant), &prefix, page).await?;
        Ok(Listed { items: listed.items.into_iter().map(|(_, person)| person).collect(), next: listed.next })
    }

    /// People whose name begins like that in characters, pinyin or initials, from any of its words or characters on, or
    /// whose address does. At most `limit`, itself at most [`MAX_FOUND`]; in the order of what was found.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn find_people(
        &self,
        tenant: TenantId,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Person>, DirectoryError> {
        // Of an address what stands before the @ is enough to find it by; the rest is compared below.
        let (local, domain) = match text.trim().split_once('@') {
            Some((local, domain)) => (local, Some(domain.to_lowercase())),
            None => (text, None),
        };
        let Some(wanted) = spelling::wanted(local) else { return Ok(Vec::new()) };
        self.bring_cards_up_to_date(tenant).await?;
        let limit = limit.clamp(1, MAX_FOUND);
        let page = Page { after: None, limit: limit * CARDS_FOR_EACH };
        let listed = self.people_of(&names_partition(tenant), &wanted, &page).await?;
        let mut seen = HashSet::new();
        let mut found: Vec<Person> = listed.items.into_iter().map(|(_, person)| person).collect();
        found.retain(|person| {
            let at = |domain: &String| person.address.domain().as_str().starts_with(domain.as_str());
            domain.as_ref().is_none_or(at) && seen.insert(person.account)
        });
        found.truncate(limit);
        Ok(found)
    }
}
