//! People: found by name, and what the directory says of them.

use pennypost_admin::{Action, DepartmentId, PersonChange};
use pennypost_directory::{AccountState, ProfileField};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::details::bad_parameter;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A person, as lists of the directory tell.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Person {
    /// The id of the account.
    account: String,
    /// The address.
    address: String,
    /// The name; may be empty.
    display_name: String,
    /// Position; may be empty.
    title: String,
    /// Landline number; may be empty.
    phone: String,
    /// The numbers of the departments, the main one first; none: directly in the organisation.
    departments: Vec<u32>,
    /// Neither disabled nor suspended.
    active: bool,
}

page_of!(People, Person);

pub(super) fn show(person: pennypost_directory::Person) -> Person {
    Person {
        account: person.account.to_string(),
        address: person.address.to_string(),
        display_name: person.display_name,
        title: person.title,
        phone: person.phone,
        departments: person.departments.iter().map(|department| department.0).collect(),
        active: person.is_active,
    }
}

/// What the directory says of a person.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Profile {
    /// The name; may be empty.
    display_name: String,
    /// Position.
    title: String,
    /// Landline number.
    phone: String,
    /// Mobile number.
    mobile: String,
    /// Number that the organisation has given.
    number: String,
    /// A note of the administrators.
    note: String,
    /// The numbers of the departments, the main one first; none: directly in the organisation.
    departments: Vec<u32>,
    /// Can the account be used at the moment?
    active: bool,
}

/// What is to be different; what is not named stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfilePatch {
    /// The name: up to 200 characters.
    display_name: Option<String>,
    /// Position: up to 64 characters.
    title: Option<String>,
    /// Landline number: up to 32 characters.
    phone: Option<String>,
    /// Mobile number: up to 32 characters.
    mobile: Option<String>,
    /// Number that the organisation has given: up to 32 characters.
    number: Option<String>,
    /// A note of the administrators: up to 200 characters.
    note: Option<String>,
    /// The numbers of all departments, the main one first: up to 20.
    departments: Option<Vec<u32>>,
}

fn profile_of(account: &pennypost_directory::Account) -> Profile {
    let profile = account.profile.clone();
    Profile {
        display_name: account.display_name.clone(),
        title: profile.title,
        phone: profile.phone,
        mobile: profile.mobile,
        number: profile.number,
        note: profile.note,
        departments: account.departments.iter().map(|department| department.0).collect(),
        active: account.state == AccountState::Active && !account.suspended && account.binned.is_none(),
    }
}

const SEARCH: &[Query] = &[
    PAGE[0],
    PAGE[1],
    Query {
        name: "q",
        about: "The beginning of a name in characters, pinyin or initials, from any of its words on, or of an address.",
        is_number: false,
    },
];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/people", "search-people"),
        Action::DepartmentRead,
        "Find people by name or address",
        Good::list(shape::<People>),
        |ask| {
            Box::pin(async move {
                let missing = || Refusal::new(Kind::BadParameter, bad_parameter("q"));
                let text = ask.parameter("q").ok_or_else(missing)?;
                let (tenant, page) = (ask.tenant()?, ask.page()?);
                let people = ask.administration.search_people(&ask.call, tenant, text, &page).await?;
                Ok(Reply::document(&rows(people, show)))
            })
        },
    )
    .asking(SEARCH),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/profile", "read-profile"),
        Action::AccountRead,
        "What the directory says of a person",
        Good::one(shape::<Profile>),
        |ask| {
            Box::pin(async move {
                let account = ask.administration.account(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&profile_of(&account)))
            })
        },
    ),
    Operation::new(
        (Method::Patch, "/tenants/{tenant}/accounts/{account}/profile", "change-profile"),
        Action::PersonChange,
        "Change what the directory says of a person, and in which departments they are",
        Good::one(shape::<Profile>),
        |ask| {
            Box::pin(async move {
                let patch: ProfilePatch = ask.body()?;
                let seen =
                    ask.administration.account_for(Action::PersonChange, &ask.call, ask.account()?).await?;
                ask.must_match(&profile_of(&seen))?;
                let fields = [
                    (ProfileField::Title, patch.title),
                    (ProfileField::Phone, patch.phone),
                    (ProfileField::Mobile, patch.mobile),
                    (ProfileField::Number, patch.number),
                    (ProfileField::Note, patch.note),
                ];
                let departments =
                    patch.departments.map(|all| all.into_iter().map(DepartmentId).collect::<Vec<_>>());
                let change = PersonChange {
                    display_name: patch.display_name,
                    fields: fields.into_iter().filter_map(|(field, text)| Some((field, text?))).collect(),
                    departments,
                };
                let changed = ask.administration.change_person(&ask.call, &seen, &change).await?;
                Ok(Reply::tagged(&profile_of(&changed)))
            })
        },
    )
    .with(shape::<ProfilePatch>)
    .update()
    .refusing(&[Kind::Unknown, Kind::Invalid]),
];
