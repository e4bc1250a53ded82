//! Departments: the organisation as a tree.

use pennypost_admin::{Action, DepartmentId};
use pennypost_directory::{DepartmentChange, DepartmentTree, Place};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::people::{People, show as show_person};
use super::{groups, page_of};
use crate::rest::ask::{numbered, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A department, or the organisation itself.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Department {
    /// Its number; 1 is the organisation itself. Never given again.
    id: u32,
    /// What it is a part of; null for the organisation.
    parent: Option<u32>,
    /// Its name, unique among its siblings. Of the organisation: empty as long as it has the tenant's.
    name: String,
    /// What it is for; may be empty.
    description: String,
    /// Its name with those of all above it, the topmost first.
    path: Vec<String>,
    /// Departments directly below it.
    departments: usize,
}

/// A department in a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DepartmentRow {
    /// The department.
    #[serde(flatten)]
    department: Department,
    /// How deep it lies: 0 for the organisation, 15 at most.
    level: usize,
    /// Accounts directly in it; null unless `counts=true`.
    people: Option<usize>,
}

page_of!(Departments, DepartmentRow);

/// A department to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDepartment {
    /// The number of what it is to be a part of; the organisation, if nothing is said.
    parent: Option<u32>,
    /// 1 to 50 characters, no `/`, not beginning with `#`.
    name: String,
    /// What it is for: up to 200 characters.
    #[serde(default)]
    description: String,
}

/// What is to be different; what is not named stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DepartmentPatch {
    /// Another name.
    name: Option<String>,
    /// Another description.
    description: Option<String>,
    /// Another parent, behind whose departments it then stands.
    parent: Option<u32>,
    /// Another place among its siblings, 0 the first; a large number is the last one.
    place: Option<u32>,
}

/// The group of a department to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DepartmentGroup {
    /// The domain of its address: what stands before the @ is the department's name in pinyin.
    domain: String,
}

fn show(tree: &DepartmentTree, department: &pennypost_directory::Department) -> Department {
    let id = department.id;
    Department {
        id: id.0,
        parent: (id != DepartmentId::ROOT).then_some(department.parent.0),
        name: department.name.clone(),
        description: department.description.clone(),
        path: tree.path(id).into_iter().map(str::to_owned).collect(),
        departments: tree.children(id).count(),
    }
}

const LIST: &[Query] = &[
    PAGE[0],
    PAGE[1],
    Query { name: "counts", about: "true: with how many accounts are in each.", is_number: false },
];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/departments", "list-departments"),
        Action::DepartmentRead,
        "List departments from the top, each before those below it",
        Good::list(shape::<Departments>),
        |ask| {
            Box::pin(async move {
                let (after, limit) = ask.numbered_page()?;
                let counted = ask.is_wanted("counts")?;
                let found = ask.administration.departments(&ask.call, ask.tenant()?, counted).await?;
                let begin = usize::try_from(after).unwrap_or(usize::MAX).min(found.seen.len());
                let page = &found.seen[begin..found.seen.len().min(begin.saturating_add(limit))];
                let end = begin + page.len();
                let next = (end < found.seen.len()).then_some(end as u64);
                let row = |(level, department): &(usize, pennypost_directory::Department)| DepartmentRow {
                    department: show(&found.tree, department),
                    level: *level,
                    people: found
                        .people
                        .as_ref()
                        .map(|people| people.get(&department.id).copied().unwrap_or(0)),
                };
                Ok(Reply::document(&numbered(page.iter().collect(), next, row)))
            })
        },
    )
    .asking(LIST),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/departments", "add-department"),
        Action::DepartmentAdd,
        "Add a department",
        Good::made(shape::<Department>),
        |ask| {
            Box::pin(async move {
                let NewDepartment { parent, name, description } = ask.body()?;
                let parent = parent.map_or(DepartmentId::ROOT, DepartmentId);
                let tenant = ask.tenant()?;
                let adding =
                    ask.administration.add_department(&ask.call, tenant, parent, &name, &description);
                let (department, tree) = adding.await?;
                let location = format!("/api/v1/tenants/{tenant}/departments/{}", department.id);
                Ok(Reply::made(&show(&tree, &department), location))
            })
        },
    )
    .with(shape::<NewDepartment>)
    .refusing(&[Kind::Taken, Kind::Unknown, Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/departments/{department}", "read-department"),
        Action::DepartmentRead,
        "A department; 1 is the organisation itself",
        Good::one(shape::<Department>),
        |ask| {
            Box::pin(async move {
                let id = DepartmentId(ask.number("department")?);
                let (department, tree) = ask.administration.department(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::tagged(&show(&tree, &department)))
            })
        },
    ),
    Operation::new(
        (Method::Patch, "/tenants/{tenant}/departments/{department}", "change-department"),
        Action::DepartmentChange,
        "Rename, describe, move or order a department",
        Good::one(shape::<Department>),
        |ask| {
            Box::pin(async move {
                let DepartmentPatch { name, description, parent, place } = ask.body()?;
                let (tenant, id) = (ask.tenant()?, DepartmentId(ask.number("department")?));
                let (seen, tree) = ask.administration.department(&ask.call, tenant, id).await?;
                ask.must_match(&show(&tree, &seen))?;
                let place = place.map(|place| Place::At(usize::try_from(place).unwrap_or(usize::MAX)));
                let parent = parent.map(DepartmentId);
                let change = DepartmentChange { name, description, parent, place };
                let changing = ask.administration.change_department(&ask.call, tenant, &seen, &change);
                let (changed, tree) = changing.await?;
                Ok(Reply::tagged(&show(&tree, &changed)))
            })
        },
    )
    .with(shape::<DepartmentPatch>)
    .update()
    .refusing(&[Kind::Taken, Kind::Unknown, Kind::Invalid]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/departments/{department}", "remove-department"),
        Action::DepartmentRemove,
        "Remove a department without members and departments below it",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let id = DepartmentId(ask.number("department")?);
                ask.administration.remove_department(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .refusing(&[Kind::Held, Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/departments/{department}/people", "list-people-of-department"),
        Action::DepartmentRead,
        "List who is directly in a department, as names are read",
        Good::list(shape::<People>),
        |ask| {
            Box::pin(async move {
                let id = DepartmentId(ask.number("department")?);
                let people = ask.administration.people_in(&ask.call, ask.tenant()?, id, &ask.page()?).await?;
                Ok(Reply::document(&rows(people, show_person)))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/departments/{department}/group", "add-department-group"),
        Action::GroupAdd,
        "Make the group of a department, whose members are the department's at any time",
        Good::made(shape::<groups::Group>),
        |ask| {
            Box::pin(async move {
                let DepartmentGroup { domain } = ask.body()?;
                let (tenant, id) = (ask.tenant()?, DepartmentId(ask.number("department")?));
                let group = ask.administration.add_department_group(&ask.call, tenant, id, &domain).await?;
                let location = format!("/api/v1/tenants/{tenant}/groups/{}", group.address);
                Ok(Reply::made(&groups::show(group), location))
            })
        },
    )
    .with(shape::<DepartmentGroup>)
    .refusing(&[Kind::Taken, Kind::Unknown, Kind::Invalid]),
];
