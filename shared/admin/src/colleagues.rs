//! What a member sees of the organisation: departments, colleagues, and groups that are shared (GRP-09, CON-01).

use pennypost_directory::{Department, DepartmentId, DirectoryError, Group, Listed, Page, Person};
use pennypost_model::AccountKey;

use crate::action::Action;
use crate::call::Call;
use crate::{AdminError, Administration};

/// Which colleagues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colleagues<'a> {
    /// Whose name or address begins like that.
    Found(&'a str),
    /// Who is directly in that department.
    In(DepartmentId),
}

impl Administration {
    /// The departments of a member's organisation, in their order, with their levels.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn departments_seen_by(
        &self,
        call: &Call,
        key: AccountKey,
    ) -> Result<Vec<(usize, Department)>, AdminError> {
        self.seen(call, Action::DirectoryRead, key).await?;
        let tree = self.directory.departments(key.tenant).await?;
        let root = tree.shown(DepartmentId::ROOT).map(|root| (0, root));
        let walked = tree.walk().into_iter().map(|(level, department)| (level, department.clone()));
        Ok(root.into_iter().chain(walked).collect())
    }

    /// Colleagues of a member whose accounts are open. A page may hold few though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn colleagues(
        &self,
        call: &Call,
        key: AccountKey,
        which: Colleagues<'_>,
        page: &Page,
    ) -> Result<Listed<Person>, AdminError> {
        self.seen(call, Action::DirectoryRead, key).await?;
        let Listed { items, next } = match which {
            Colleagues::Found(text) => self.directory.search_people(key.tenant, text, page).await?,
            Colleagues::In(department) => {
                if !self.directory.departments(key.tenant).await?.holds(department) {
                    return Err(DirectoryError::NoDepartment(format!("#{department}")).into());
                }
                self.directory.members(key.tenant, department, page).await?
            }
        };
        Ok(Listed { items: items.into_iter().filter(|person| person.is_active).collect(), next })
    }

    /// Groups that are shared with a member. A page may hold few though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn groups_seen_by(
        &self,
        call: &Call,
        key: AccountKey,
        text: Option<&str>,
        page: &Page,
    ) -> Result<Listed<Group>, AdminError> {
        self.seen(call, Action::DirectoryRead, key).await?;
        Ok(self.directory.shared_groups(key.tenant, text, page).await?)
    }
}
