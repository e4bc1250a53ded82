//! The combined form: a member with all that belongs to it, by one call.

use pennypost_admin::{Action, DepartmentId};
use pennypost_directory::{AccountState, ProfileField};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accounts::{Account, shown};
use super::limits::{Permission, permission_meant};
use crate::language::Language;
use crate::rest::ask::time;
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A member to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMember {
    /// In a domain of the tenant. Without one the name in pinyin is taken, with a number behind it where that is taken.
    #[serde(default)]
    address: String,
    /// The domain of an address that is made of the name.
    #[serde(default)]
    domain: String,
    /// The name: up to 200 characters.
    #[serde(default)]
    display_name: String,
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
    /// Bytes of messages that the account may hold; if nothing is said, what the plan gives, or 10 GB without one.
    quota_bytes: Option<u64>,
    /// The numbers of the departments, the main one first: up to 20.
    #[serde(default)]
    departments: Vec<u32>,
    /// Further addresses: up to 50. Takes the permission to write members of the whole tenant.
    #[serde(default)]
    aliases: Vec<String>,
    /// Addresses of groups: up to 50. Takes the permission for groups.
    #[serde(default)]
    groups: Vec<String>,
    /// With whom mail is exchanged.
    #[serde(default)]
    mail: Permission,
    /// The first password: 8 characters at least, 1,024 bytes at most.
    password: Option<String>,
    /// Its owner sets another one at the first sign-in in a browser.
    #[serde(default = "yes")]
    must_change: bool,
    /// In the place of a password: until when an invitation is good, by which its owner sets one. RFC 3339, in UTC.
    invitation_until: Option<String>,
    /// Its owner is the tenant's creator, who is not known yet.
    #[serde(default)]
    creator: bool,
}

const fn yes() -> bool {
    true
}

/// What could not be done of what belongs to the account.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Left {
    /// Of what: `alias ADDRESS`, `group ADDRESS`, `creator`, `invitation`.
    what: String,
    /// Why, in English.
    english: String,
    /// Why, in Chinese.
    chinese: String,
}

/// A member who was added.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Member {
    /// The account.
    account: Account,
    /// The invitation, to be handed to its owner. It is never told again.
    invitation: Option<String>,
    /// What is still to be done by single calls, because it failed after the account was there.
    left: Vec<Left>,
}

fn left((what, error): (String, pennypost_admin::AdminError)) -> Left {
    let cause = error.to_string();
    let refusal = Refusal::from(error);
    let say = |language| refusal.detail.as_ref().map(|detail| detail.say(language).to_owned());
    Left {
        what,
        english: say(Language::English).unwrap_or_else(|| cause.clone()),
        chinese: say(Language::Chinese).unwrap_or(cause),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[Operation::new(
    (Method::Post, "/tenants/{tenant}/members", "add-member"),
    Action::AccountAdd,
    "Add a member with profile, aliases, groups, permissions, and a first password or an invitation",
    Good::made(shape::<Member>),
    |ask| {
        Box::pin(async move {
            let new: NewMember = ask.body()?;
            let fields = [
                (ProfileField::Title, new.title),
                (ProfileField::Phone, new.phone),
                (ProfileField::Mobile, new.mobile),
                (ProfileField::Number, new.number),
                (ProfileField::Note, new.note),
            ];
            let new = pennypost_admin::NewMember {
                address: new.address,
                domain: new.domain,
                display_name: new.display_name,
                fields: fields.into_iter().filter_map(|(field, text)| Some((field, text?))).collect(),
                quota_bytes: new.quota_bytes,
                departments: new.departments.into_iter().map(DepartmentId).collect(),
                aliases: new.aliases,
                groups: new.groups,
                mail: permission_meant(new.mail),
                password: new.password,
                must_change: new.must_change,
                invitation: time(new.invitation_until.as_ref(), "/invitation_until")?,
                is_creator: new.creator,
                state: AccountState::Active,
            };
            let tenant = ask.tenant()?;
            let made = ask.administration.add_member(&ask.call, tenant, &new).await?;
            let location = format!("/api/v1/tenants/{tenant}/accounts/{}", made.account.key.account);
            let member = Member {
                account: shown(ask, made.account).await?,
                invitation: made.invitation,
                left: made.left.into_iter().map(left).collect(),
            };
            Ok(Reply::made(&member, location))
        })
    },
)
.with(shape::<NewMember>)
.refusing(&[Kind::Taken, Kind::Unknown, Kind::Invalid, Kind::PlanLimit, Kind::OtherState])];
