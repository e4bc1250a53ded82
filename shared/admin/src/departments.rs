//! Departments of a tenant, and who is in them. Who administers some departments sees those with all below them, and of
//! what is above them that it is there.

use std::collections::{HashMap, HashSet};

use pennypost_directory::{
    Department, DepartmentChange, DepartmentId, DepartmentTree, DirectoryError, Group, Listed, Page, Person,
    Place,
};
use pennypost_model::TenantId;
use serde_json::{Value, json};

use crate::accounts::Places;
use crate::action::Action;
use crate::authorise::{Decision, Scope, authorise};
use crate::call::{About, Call};
use crate::{AdminError, Administration};

/// Departments as somebody sees them.
#[derive(Debug, Clone)]
pub struct SeenDepartments {
    /// All of them.
    pub tree: DepartmentTree,
    /// Those that are seen, from the top, each before those below it, with its level; the organisation itself first, 0.
    pub seen: Vec<(usize, Department)>,
    /// How many accounts are directly in each that has any, if that was asked for.
    pub people: Option<HashMap<DepartmentId, usize>>,
}

fn shown(department: &Department) -> Value {
    json!({
        "name": department.name, "description": department.description, "parent": department.parent.0,
    })
}

fn changed(department: &Department, change: &DepartmentChange) -> Value {
    let mut after = json!({
        "name": change.name.as_ref().unwrap_or(&department.name),
        "description": change.description.as_ref().unwrap_or(&department.description),
        "parent": change.parent.unwrap_or(department.parent).0,
    });
    match change.place {
        Some(Place::At(place)) => after["place"] = place.into(),
        Some(Place::Last) => after["place"] = "last".into(),
        None => {}
    }
    after
}

fn label(tree: &DepartmentTree, id: DepartmentId) -> String {
    if id == DepartmentId::ROOT { "/".to_owned() } else { tree.path(id).join("/") }
}

/// A department and all above it.
pub(crate) fn with_those_above(tree: &DepartmentTree, id: DepartmentId) -> Vec<DepartmentId> {
    Places::with(tree.clone()).of(&[id])
}

fn missing() -> AdminError {
    AdminError::NotFound("department")
}

impl Administration {
    /// The departments that the actor may see; with `counted`, how many accounts are in each, which reads a card of
    /// every member.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn departments(
        &self,
        call: &Call,
        tenant: TenantId,
        counted: bool,
    ) -> Result<SeenDepartments, AdminError> {
        call.may(Action::DepartmentRead, &Scope::SomeAccount(tenant))?;
        let (tree, people) = if counted {
            let page = self.directory.departments_counted(tenant).await?;
            (page.tree, Some(page.members))
        } else {
            (self.directory.departments(tenant).await?, None)
        };
        let seen = visible(call, tenant, &tree);
        let root = tree.shown(DepartmentId::ROOT).map(|root| (0, root));
        let walked = tree.walk().into_iter().map(|(level, department)| (level, department.clone()));
        let rows = root.into_iter().chain(walked).filter(|(_, department)| seen.contains(&department.id));
        Ok(SeenDepartments { seen: rows.collect(), tree, people })
    }

    /// A department, and the tree that it is in.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn department(
        &self,
        call: &Call,
        tenant: TenantId,
        id: DepartmentId,
    ) -> Result<(Department, DepartmentTree), AdminError> {
        self.reached_department(call, Action::DepartmentRead, tenant, id).await
    }

    async fn reached_department(
        &self,
        call: &Call,
        action: Action,
        tenant: TenantId,
        id: DepartmentId,
    ) -> Result<(Department, DepartmentTree), AdminError> {
        call.may(action, &Scope::SomeAccount(tenant))?;
        let tree = self.directory.departments(tenant).await?;
        let department = tree.shown(id).ok_or_else(missing)?;
        let departments = with_those_above(&tree, id);
        call.may(action, &Scope::Department { tenant, departments: &departments })?;
        Ok((department, tree))
    }

    /// Adds a department as the last of those below `parent`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_department(
        &self,
        call: &Call,
        tenant: TenantId,
        parent: DepartmentId,
        name: &str,
        description: &str,
    ) -> Result<(Department, DepartmentTree), AdminError> {
        let after = json!({ "name": name, "description": description, "parent": parent.0 });
        let about = About::new(Some(tenant), Action::DepartmentAdd, name).to(after);
        self.permit(call, &Scope::SomeAccount(tenant), &about).await?;
        let tree = self.directory.departments(tenant).await?;
        let departments = with_those_above(&tree, parent);
        self.permit(call, &Scope::Department { tenant, departments: &departments }, &about).await?;
        if !tree.holds(parent) {
            return Err(DirectoryError::NoDepartment(format!("#{parent}")).into());
        }
        let adding = self.directory.add_department(tenant, parent, name, description);
        let department = self.act(call, &about, adding).await?;
        Ok((department, self.directory.departments(tenant).await?))
    }

    /// Renames, describes, moves or orders a department that is still as `expected`. To move it takes somebody who reaches
    /// where it is and where it goes.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_department(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &Department,
        change: &DepartmentChange,
    ) -> Result<(Department, DepartmentTree), AdminError> {
        let tree = self.directory.departments(tenant).await?;
        let object = label(&tree, expected.id);
        let about = About::new(Some(tenant), Action::DepartmentChange, &object)
            .from(shown(expected))
            .to(changed(expected, change));
        let mut concerned = vec![expected.id];
        if change.parent.is_some() || change.place.is_some() {
            concerned.push(expected.parent);
        }
        concerned.extend(change.parent);
        for department in concerned {
            let departments = with_those_above(&tree, department);
            self.permit(call, &Scope::Department { tenant, departments: &departments }, &about).await?;
        }
        let amending = async {
            let amended = self.directory.amend_department(tenant, expected, change).await?;
            amended.ok_or(AdminError::Changed)
        };
        let tree = self.act(call, &about, amending).await?;
        let department = tree.shown(expected.id).ok_or_else(missing)?;
        Ok((department, tree))
    }

    /// Removes a department that has neither members nor departments below it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_department(
        &self,
        call: &Call,
        tenant: TenantId,
        id: DepartmentId,
    ) -> Result<(), AdminError> {
        let tree = self.directory.departments(tenant).await?;
        let object = tree.department(id).map_or_else(|| format!("#{id}"), |_| label(&tree, id));
        let about = About::new(Some(tenant), Action::DepartmentRemove, &object);
        self.permit(call, &Scope::SomeAccount(tenant), &about).await?;
        let department = tree.shown(id).ok_or_else(missing)?;
        // Whoever removes it changes what is above it.
        for concerned in [id, department.parent] {
            let departments = with_those_above(&tree, concerned);
            self.permit(call, &Scope::Department { tenant, departments: &departments }, &about).await?;
        }
        if id == DepartmentId::ROOT {
            return Err(DirectoryError::DepartmentCycle("/".to_owned()).into());
        }
        let about = about.from(shown(&department));
        self.act(call, &about, self.directory.remove_department(tenant, id)).await
    }

    /// Who is directly in a department, in the order in which names are read.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn people_in(
        &self,
        call: &Call,
        tenant: TenantId,
        id: DepartmentId,
        page: &Page,
    ) -> Result<Listed<Person>, AdminError> {
        self.reached_department(call, Action::DepartmentRead, tenant, id).await?;
        Ok(self.directory.members(tenant, id, page).await?)
    }

    /// People by the beginning of their name, in characters, pinyin or initials, or of their address: those whom the
    /// actor reaches.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn search_people(
        &self,
        call: &Call,
        tenant: TenantId,
        text: &str,
        page: &Page,
    ) -> Result<Listed<Person>, AdminError> {
        call.may(Action::DepartmentRead, &Scope::SomeAccount(tenant))?;
        let Listed { items, next } = self.directory.search_people(tenant, text, page).await?;
        let places = self.places(call, tenant).await?;
        let reaches = |person: &Person| {
            let departments = places.of(&person.departments);
            let scope = Scope::Department { tenant, departments: &departments };
            authorise(&call.actor, Action::DepartmentRead, &scope) == Decision::Allow
        };
        Ok(Listed { items: items.into_iter().filter(reaches).collect(), next })
    }

    /// Makes the group of a department (GRP-06).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_department_group(
        &self,
        call: &Call,
        tenant: TenantId,
        id: DepartmentId,
        domain: &str,
    ) -> Result<Group, AdminError> {
        let about = About::new(Some(tenant), Action::GroupAdd, domain)
            .to(json!({ "department": id.0, "domain": domain }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.own_domain(tenant, &format!("x@{domain}")).await?;
        let tree = self.directory.departments(tenant).await?;
        tree.department(id).ok_or_else(missing)?;
        self.act(call, &about, self.directory.add_department_group(tenant, id, domain)).await
    }
}

/// The departments that the actor reaches, and all above them.
fn visible(call: &Call, tenant: TenantId, tree: &DepartmentTree) -> HashSet<DepartmentId> {
    let reached = |departments: &[DepartmentId]| {
        let scope = Scope::Department { tenant, departments };
        authorise(&call.actor, Action::DepartmentRead, &scope) == Decision::Allow
    };
    let mut seen = HashSet::from([DepartmentId::ROOT]);
    // Those above the one that is walked over, it included.
    let mut path = vec![DepartmentId::ROOT];
    for (level, department) in tree.walk() {
        path.truncate(level);
        path.push(department.id);
        if reached(&path) {
            seen.extend(path.iter().copied());
        }
    }
    seen
}
