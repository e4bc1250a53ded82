//! What members see of groups: those that are shared (GRP-09).

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::TenantId;
use pennypost_ports::Consistency;

use crate::address::{Entry, address_of_sort};
use crate::group_rules::rules_partition;
use crate::organisation::spelling;
use crate::{Directory, DirectoryError, Group, GroupRules, Listed, MailAddress, Page};

/// Groups that are looked up at once.
const LOOKUPS: usize = 16;

impl Directory {
    /// Groups that are shared and take mail, by domain and local part; with `text` those whose name or address begins like
    /// that, as people are found. Whom they name is not told. A page may hold few though more follow.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn shared_groups(
        &self,
        tenant: TenantId,
        text: Option<&str>,
        page: &Page,
    ) -> Result<Listed<Group>, DirectoryError> {
        let listed = self.list::<GroupRules>(&rules_partition(tenant), "", page).await?;
        let is_seen = |rules: &GroupRules| rules.is_shared && !rules.is_disabled;
        let shared = listed.items.into_iter().filter(|(_, rules)| is_seen(rules));
        let looks: Vec<_> = shared
            .filter_map(|(sort, rules)| Some(self.shared_group(tenant, address_of_sort(&sort)?, rules)))
            .collect();
        let found: Vec<Option<Group>> = stream::iter(looks).buffered(LOOKUPS).try_collect().await?;
        let wanted = text.map(spelling::wanted);
        let is_wanted = |group: &Group| match &wanted {
            None => true,
            Some(None) => false,
            Some(Some(wanted)) => {
                let terms = spelling::terms(&group.name, &group.address);
                terms.iter().any(|term| term.starts_with(wanted.as_str()))
            }
        };
        let items = found.into_iter().flatten().filter(is_wanted).collect();
        Ok(Listed { items, next: listed.next })
    }

    /// The group at an address, under the name of the department that it follows.
    async fn shared_group(
        &self,
        tenant: TenantId,
        address: MailAddress,
        rules: GroupRules,
    ) -> Result<Option<Group>, DirectoryError> {
        let entry = self.entry(tenant, &address, Consistency::Strong).await?.map(|held| held.value);
        let Some(Entry::Group { name, .. }) = entry else { return Ok(None) };
        let followed = match rules.follows {
            Some(department) => {
                let tree = self.departments(tenant).await?;
                tree.department(department).map(|department| department.name.clone())
            }
            None => None,
        };
        Ok(Some(Group { address, name: followed.unwrap_or(name), members: Vec::new() }))
    }
}
