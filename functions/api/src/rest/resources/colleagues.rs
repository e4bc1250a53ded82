//! What a member sees of the organisation: departments, colleagues, shared groups.

use pennypost_admin::{Action, Colleagues, DepartmentId};
use pennypost_directory::{Group, Listed};
use schemars::JsonSchema;
use serde::Serialize;

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::details::bad_parameter;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A department, as members see it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SeenDepartment")]
pub(crate) struct Department {
    /// Its number; 1 is the organisation itself.
    number: u32,
    /// Its name; that of the organisation may be empty.
    name: String,
    /// The number of the department in which it is; of the organisation its own.
    parent: u32,
    /// How far below the organisation, which is at 0.
    level: usize,
}

page_of!(SeenDepartments, Department);

/// A colleague.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Colleague {
    /// The address.
    address: String,
    /// The name; may be empty.
    name: String,
    /// Position; may be empty.
    title: String,
    /// Landline number; may be empty.
    phone: String,
    /// The numbers of the departments, the main one first; none: directly in the organisation.
    departments: Vec<u32>,
}

page_of!(ColleagueRows, Colleague);

/// A group that is shared.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SharedGroup {
    /// The address.
    address: String,
    /// The name; may be empty.
    name: String,
}

page_of!(SharedGroups, SharedGroup);

const FIND: Query = Query {
    name: "q",
    about: "The beginning of a name in characters, pinyin or initials, from any of its words on, or of an address.",
    is_number: false,
};

const PEOPLE: &[Query] = &[
    PAGE[0],
    PAGE[1],
    FIND,
    Query {
        name: "department",
        about: "The number of a department: who is directly in it. 1, the organisation itself, if neither this nor `q` is said.",
        is_number: false,
    },
];

const GROUPS: &[Query] = &[PAGE[0], PAGE[1], FIND];

fn colleague(person: pennypost_directory::Person) -> Colleague {
    Colleague {
        address: person.address.to_string(),
        name: person.display_name,
        title: person.title,
        phone: person.phone,
        departments: person.departments.iter().map(|department| department.0).collect(),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (
            Method::Get,
            "/tenants/{tenant}/accounts/{account}/directory/departments",
            "list-directory-departments",
        ),
        Action::DirectoryRead,
        "The departments of a member's organisation: all of them, each behind the one in which it is",
        Good::list(shape::<SeenDepartments>),
        |ask| {
            Box::pin(async move {
                let items = ask.administration.departments_seen_by(&ask.call, ask.account()?).await?;
                let row = |(level, department): (usize, pennypost_directory::Department)| Department {
                    number: department.id.0,
                    name: department.name,
                    parent: department.parent.0,
                    level,
                };
                Ok(Reply::document(&rows(Listed { items, next: None }, row)))
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/directory/people", "list-directory-people"),
        Action::DirectoryRead,
        "A member's colleagues: found by name or address, or of a department; a page may hold few rows though more follow",
        Good::list(shape::<ColleagueRows>),
        |ask| {
            Box::pin(async move {
                let wrong = || Refusal::new(Kind::BadParameter, bad_parameter("department"));
                let which = match (ask.parameter("q"), ask.parameter("department")) {
                    (Some(_), Some(_)) => return Err(wrong()),
                    (Some(text), None) => Colleagues::Found(text),
                    (None, Some(number)) => {
                        Colleagues::In(DepartmentId(number.parse().map_err(|_| wrong())?))
                    }
                    (None, None) => Colleagues::In(DepartmentId::ROOT),
                };
                let (key, page) = (ask.account()?, ask.page()?);
                let found = ask.administration.colleagues(&ask.call, key, which, &page);
                Ok(Reply::document(&rows(found.await?, colleague)))
            })
        },
    )
    .asking(PEOPLE)
    .refusing(&[Kind::Unknown]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/directory/groups", "list-directory-groups"),
        Action::DirectoryRead,
        "Groups that are shared with members, without whom they name; a page may hold few rows though more follow",
        Good::list(shape::<SharedGroups>),
        |ask| {
            Box::pin(async move {
                let (key, page) = (ask.account()?, ask.page()?);
                let listed = ask.administration.groups_seen_by(&ask.call, key, ask.parameter("q"), &page).await?;
                let row = |group: Group| SharedGroup { address: group.address.to_string(), name: group.name };
                Ok(Reply::document(&rows(listed, row)))
            })
        },
    )
    .asking(GROUPS),
];
