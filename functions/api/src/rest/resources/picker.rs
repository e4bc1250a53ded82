//! Picking people: what can be picked, and whom a selection means (ADM-15).

use std::collections::BTreeSet;

use pennypost_admin::{Action, DepartmentId, Named, PickKind, Selection};
use pennypost_directory::{Listed, TagId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::people::{Person, show as show_person};
use crate::rest::ask::{Ask, cursor_of, id_in};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::details::bad_parameter;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A department that can be picked.
#[derive(Serialize, JsonSchema)]
struct PickableDepartment {
    /// Its number.
    number: u32,
    /// The names from the top down to it.
    path: Vec<String>,
}

/// A tag that can be picked.
#[derive(Serialize, JsonSchema)]
struct PickableTag {
    /// Its number.
    number: u32,
    /// Its name.
    name: String,
}

/// A group or a business mailbox that can be picked.
#[derive(Serialize, JsonSchema)]
struct PickableAddress {
    /// Its address.
    address: String,
    /// Its name; may be empty.
    name: String,
    /// The id of the account; null: it is a group.
    account: Option<String>,
}

/// What can be picked.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Pickable {
    /// Departments.
    departments: Vec<PickableDepartment>,
    /// Members.
    members: Vec<Person>,
    /// Tags.
    tags: Vec<PickableTag>,
    /// Groups.
    groups: Vec<PickableAddress>,
    /// Business mailboxes.
    business_mailboxes: Vec<PickableAddress>,
}

/// Whom somebody names.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Picked")]
struct Picked {
    /// Departments by their numbers, with all below them; 1: every member.
    #[serde(default)]
    departments: Vec<u32>,
    /// Tags by their numbers: whom they mark.
    #[serde(default)]
    tags: Vec<u32>,
    /// Groups by their addresses: all to whom they lead.
    #[serde(default)]
    groups: Vec<String>,
    /// Accounts by their ids.
    #[serde(default)]
    accounts: Vec<String>,
}

/// A selection: 1,000 of everything at most, 50 tags and 50 groups.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectionWish {
    /// Departments by their numbers, with all below them; 1: every member.
    #[serde(default)]
    departments: Vec<u32>,
    /// Tags by their numbers: whom they mark.
    #[serde(default)]
    tags: Vec<u32>,
    /// Groups by their addresses: all to whom they lead.
    #[serde(default)]
    groups: Vec<String>,
    /// Accounts by their ids.
    #[serde(default)]
    accounts: Vec<String>,
    /// Without these.
    #[serde(default)]
    except: Picked,
}

/// Somebody whom a selection means.
#[derive(Serialize, JsonSchema)]
struct SelectedAccount {
    /// The id of the account.
    account: String,
    /// The address.
    address: String,
    /// The name; may be empty.
    display_name: String,
    /// The numbers of the departments, the main one first; none: directly in the organisation.
    departments: Vec<u32>,
    /// It may be used: neither disabled nor suspended nor expired.
    active: bool,
}

/// A page of those whom a selection means.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Selected {
    /// The rows, by their addresses.
    items: Vec<SelectedAccount>,
    /// What `after` is for the next page; null at the end of the list.
    next: Option<String>,
    /// How many there are on all pages.
    count: usize,
}

const FIND: &[Query] = &[
    Query {
        name: "q",
        about: "How the name begins, in characters, pinyin or initials, from any of its words or characters on; or the address.",
        is_number: false,
    },
    Query {
        name: "kinds",
        about: "Of these kinds, with commas: `departments`, `members`, `tags`, `groups`, `business-mailboxes`; of all, if nothing \
                is said.",
        is_number: false,
    },
    Query {
        name: "limit",
        about: "How many of each kind at most: 1 to 500; 100, if nothing is said.",
        is_number: true,
    },
];

fn kinds(ask: &Ask) -> Result<BTreeSet<PickKind>, Refusal> {
    let Some(text) = ask.parameter("kinds") else { return Ok(PickKind::ALL.into()) };
    let wrong = || Refusal::new(Kind::BadParameter, bad_parameter("kinds"));
    let kind = |name: &str| PickKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(wrong);
    text.split(',').map(kind).collect()
}

fn named(picked: &Picked, pointer: &str) -> Result<Named, Refusal> {
    let accounts = picked.accounts.iter().enumerate();
    let accounts: Result<BTreeSet<_>, Refusal> =
        accounts.map(|(index, id)| id_in(id, &format!("{pointer}/accounts/{index}"))).collect();
    Ok(Named {
        departments: picked.departments.iter().map(|number| DepartmentId(*number)).collect(),
        tags: picked.tags.iter().map(|number| TagId(*number)).collect(),
        groups: picked.groups.iter().cloned().collect(),
        accounts: accounts?,
    })
}

fn selection(wish: SelectionWish) -> Result<Selection, Refusal> {
    let SelectionWish { departments, tags, groups, accounts, except } = wish;
    let picked = Picked { departments, tags, groups, accounts };
    Ok(Selection { named: named(&picked, "")?, except: named(&except, "/except")? })
}

fn show(found: pennypost_admin::Pickable) -> Pickable {
    let tag = |(id, name): (TagId, String)| PickableTag { number: id.0, name };
    Pickable {
        departments: found
            .departments
            .into_iter()
            .map(|(id, path)| PickableDepartment { number: id.0, path })
            .collect(),
        members: found.members.into_iter().map(show_person).collect(),
        tags: found.tags.into_iter().map(tag).collect(),
        groups: found
            .groups
            .into_iter()
            .map(|group| PickableAddress {
                address: group.address.to_string(),
                name: group.name,
                account: None,
            })
            .collect(),
        business_mailboxes: found
            .business
            .into_iter()
            .map(|mailbox| PickableAddress {
                address: mailbox.address.to_string(),
                name: mailbox.display_name,
                account: Some(mailbox.key.account.to_string()),
            })
            .collect(),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/pickable", "find-pickable"),
        Action::DepartmentRead,
        "Find what can be picked, by name or address: departments, members, tags, groups, business mailboxes",
        Good::told(shape::<Pickable>),
        |ask| {
            Box::pin(async move {
                let missing = || Refusal::new(Kind::BadParameter, bad_parameter("q"));
                let text = ask.parameter("q").ok_or_else(missing)?;
                let (tenant, kinds, limit) = (ask.tenant()?, kinds(ask)?, ask.page()?.limit);
                let found = ask.administration.pickable(&ask.call, tenant, text, &kinds, limit).await?;
                Ok(Reply::document(&show(found)))
            })
        },
    )
    .asking(FIND),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/selection", "resolve-selection"),
        Action::DepartmentRead,
        "Tell whom a selection means: members of departments with those below, tags, groups and accounts, without others; changes \
         nothing",
        Good::told(shape::<Selected>),
        |ask| {
            Box::pin(async move {
                let (selection, tenant, page) = (selection(ask.body()?)?, ask.tenant()?, ask.page()?);
                let (listed, count) =
                    ask.administration.selected(&ask.call, tenant, &selection, &page).await?;
                let (Listed { items, next }, now) = (listed, ask.administration.directory().now());
                let items = items.into_iter().map(|account| SelectedAccount {
                    active: account.is_open(now),
                    account: account.key.account.to_string(),
                    address: account.address.to_string(),
                    display_name: account.display_name,
                    departments: account.departments.iter().map(|department| department.0).collect(),
                });
                let next = next.map(|next| cursor_of(&next));
                Ok(Reply::document(&Selected { items: items.collect(), next, count }))
            })
        },
    )
    .with(shape::<SelectionWish>)
    .asking(PAGE)
    .refusing(&[Kind::Invalid]),
];
