//! What a tenant says about signing in, and what holds for one account beside it.

use std::collections::BTreeSet;

use pennypost_admin::{AccountRulesChange, Action};
use pennypost_directory as directory;
use pennypost_directory::{DepartmentId, Network, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::ask::{Ask, id_in};
use crate::rest::operation::{Good, Method, Operation, Query, shape};
use crate::rest::problem::details::{bad_parameter, no_network};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// What passwords have to be.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordRules {
    /// Least number of characters: 8 to 64.
    min_length: u16,
    /// Most characters: 16 to 1024, not below `min_length`; 0: as many as can be stored.
    max_length: u16,
    /// Of capital letters, small letters, digits and other characters so many kinds: 1 to 4.
    classes: u8,
    /// A capital letter is among them.
    capital: bool,
    /// No three letters or digits in a row that are alike or follow each other, up or down.
    no_sequences: bool,
    /// Neither the account's name nor its owner's is in it.
    no_account_name: bool,
    /// It is none of the last so many: 0 to 24.
    history: u16,
    /// Days after which it has expired: 1 to 3650; 0: it does not.
    lifetime_days: u16,
    /// One that has expired opens mail programs no more, either.
    expires_in_clients: bool,
    /// Whoever was given one by an administrator sets another one at the first sign-in in a browser.
    change_first: bool,
}

/// When wrong passwords lock an account.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockRules {
    /// Wrong passwords that lock: 3 to 100; 0: none ever do.
    count: u16,
    /// Minutes within which they are counted together: 1 to 1440.
    window_minutes: u16,
    /// Minutes for which it stays locked: 1 to 10080; 0: until somebody unlocks it.
    minutes: u16,
    /// Networks from which wrong passwords never lock, 200 at most: `192.0.2.1`, `192.0.2.0/24`,
    /// `192.0.2.10-192.0.2.20`, and the like with IPv6.
    trusted: Vec<String>,
}

/// May somebody sign in?
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AddressVerdict")]
pub(crate) enum Others {
    /// Yes.
    Allow,
    /// No.
    Deny,
}

/// From where somebody may sign in. What is denied is denied, though it be allowed, too.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressRule {
    /// From these networks: 200 at most.
    allow: Vec<String>,
    /// Not from these networks: 200 at most.
    deny: Vec<String>,
    /// From everywhere else?
    others: Others,
}

/// Whom the tenant's rule of addresses does not limit.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exempt {
    /// These accounts, by their ids: 500 at most.
    accounts: Vec<String>,
    /// Who is in these departments, or below them: 500 at most.
    departments: Vec<u32>,
}

/// What a tenant says about signing in.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInRules {
    /// What passwords have to be.
    passwords: PasswordRules,
    /// When accounts are locked.
    lock: LockRules,
    /// From where members may sign in.
    addresses: AddressRule,
    /// Whom that does not limit.
    exempt: Exempt,
    /// A password alone signs nobody in: mail programs need a token, browsers a second factor.
    secure: bool,
}

/// What holds for the sign-in of an account beside what its tenant says.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AccountSignInRules {
    /// A rule of its own in the place of the tenant's; null: none.
    addresses: Option<AddressRule>,
    /// Its owner wants a password alone to sign nobody in.
    secure: bool,
    /// An administrator wants it, and the owner can't undo it.
    secure_forced: bool,
}

/// What an administrator says of that.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountSignInRulesUpdate {
    /// A rule of its own in the place of the tenant's; null: none.
    addresses: Option<AddressRule>,
    /// A password alone signs nobody in, and the owner can't undo it.
    secure_forced: bool,
}

/// What a member says of the own sign-in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecureSignIn {
    /// A password alone is to sign nobody in.
    secure: bool,
}

/// A member's own password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnPassword {
    /// The one that holds; none: there is none yet, and the session has just been opened, or confirmed.
    old: Option<String>,
    /// The one that is to hold.
    new: String,
}

/// The age of a password.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PasswordAge {
    /// There is one.
    is_set: bool,
    /// Since when it holds.
    since: Option<String>,
    /// When its life is over; null: never.
    expires: Option<String>,
    /// Its owner has to set another one at the next sign-in in a browser.
    must_change: bool,
}

fn networks(list: &[Network]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn read_networks(list: &[String], pointer: &str) -> Result<Vec<Network>, Refusal> {
    let read = |(index, text): (usize, &String)| {
        text.parse().map_err(|error| {
            let detail = no_network(&error);
            Refusal::new(Kind::Invalid, detail.clone()).at(format!("{pointer}/{index}"), detail)
        })
    };
    list.iter().enumerate().map(read).collect()
}

fn show_rule(rule: &directory::AddressRule) -> AddressRule {
    let others = match rule.others {
        Verdict::Allow => Others::Allow,
        Verdict::Deny => Others::Deny,
    };
    AddressRule { allow: networks(&rule.allow), deny: networks(&rule.deny), others }
}

fn read_rule(rule: &AddressRule) -> Result<directory::AddressRule, Refusal> {
    Ok(directory::AddressRule {
        allow: read_networks(&rule.allow, "/addresses/allow")?,
        deny: read_networks(&rule.deny, "/addresses/deny")?,
        others: match rule.others {
            Others::Allow => Verdict::Allow,
            Others::Deny => Verdict::Deny,
        },
    })
}

fn show(rules: &directory::SignInRules) -> SignInRules {
    let (passwords, lock) = (&rules.passwords, &rules.lock);
    SignInRules {
        passwords: PasswordRules {
            min_length: passwords.min_length,
            max_length: passwords.max_length,
            classes: passwords.classes,
            capital: passwords.capital,
            no_sequences: passwords.no_sequences,
            no_account_name: passwords.no_account_name,
            history: passwords.history,
            lifetime_days: passwords.lifetime_days,
            expires_in_clients: passwords.expires_in_clients,
            change_first: passwords.change_first,
        },
        lock: LockRules {
            count: lock.count,
            window_minutes: lock.window_minutes,
            minutes: lock.minutes,
            trusted: networks(&lock.trusted),
        },
        addresses: show_rule(&rules.addresses),
        exempt: Exempt {
            accounts: rules.exempt.accounts.iter().map(ToString::to_string).collect(),
            departments: rules.exempt.departments.iter().map(|department| department.0).collect(),
        },
        secure: rules.secure,
    }
}

fn read(rules: &SignInRules) -> Result<directory::SignInRules, Refusal> {
    let (passwords, lock) = (&rules.passwords, &rules.lock);
    let accounts = rules.exempt.accounts.iter().enumerate();
    let accounts: Result<BTreeSet<_>, Refusal> =
        accounts.map(|(index, id)| id_in(id, &format!("/exempt/accounts/{index}"))).collect();
    Ok(directory::SignInRules {
        version: 0,
        passwords: directory::PasswordRules {
            min_length: passwords.min_length,
            max_length: passwords.max_length,
            classes: passwords.classes,
            capital: passwords.capital,
            no_sequences: passwords.no_sequences,
            no_account_name: passwords.no_account_name,
            history: passwords.history,
            lifetime_days: passwords.lifetime_days,
            expires_in_clients: passwords.expires_in_clients,
            change_first: passwords.change_first,
        },
        lock: directory::LockRules {
            count: lock.count,
            window_minutes: lock.window_minutes,
            minutes: lock.minutes,
            trusted: read_networks(&lock.trusted, "/lock/trusted")?,
        },
        addresses: read_rule(&rules.addresses)?,
        exempt: directory::Exempt {
            accounts: accounts?,
            departments: rules.exempt.departments.iter().copied().map(DepartmentId).collect(),
        },
        secure: rules.secure,
    })
}

fn show_account(rules: &directory::AccountRules) -> AccountSignInRules {
    AccountSignInRules {
        addresses: rules.addresses.as_ref().map(show_rule),
        secure: rules.secure,
        secure_forced: rules.secure_forced,
    }
}

/// Though it excludes whoever asks.
const FORCE: &[Query] = &[Query {
    name: "force",
    about: "`true`: also if the rule would not let you in from where you are.",
    is_number: false,
}];

fn is_forced(ask: &Ask) -> Result<bool, Refusal> {
    match ask.parameter("force") {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Refusal::new(Kind::BadParameter, bad_parameter("force"))),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "read-sign-in-rules",
        method: Method::Get,
        path: "/tenants/{tenant}/sign-in-rules",
        action: Some(Action::SignInRulesRead),
        summary: "What the tenant says about signing in",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<SignInRules>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let rules = ask.administration.sign_in_rules(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(&rules)))
            })
        },
    },
    Operation {
        name: "change-sign-in-rules",
        method: Method::Put,
        path: "/tenants/{tenant}/sign-in-rules",
        action: Some(Action::SignInRulesChange),
        summary: "Change passwords, locks, addresses and secure sign-in; sessions that are no longer let in end",
        query: FORCE,
        body: Some(shape::<SignInRules>),
        is_update: true,
        good: Good::one(shape::<SignInRules>),
        problems: &[Kind::Invalid, Kind::Unknown, Kind::PlanLimit],
        handler: |ask| {
            Box::pin(async move {
                let rules = read(&ask.body()?)?;
                let (tenant, is_forced) = (ask.tenant()?, is_forced(ask)?);
                let seen = ask.directory().sign_in_rules(tenant).await?;
                ask.must_match(&show(&seen))?;
                let changed = ask
                    .administration
                    .change_sign_in_rules(&ask.call, tenant, &seen, &rules, is_forced)
                    .await?;
                Ok(Reply::tagged(&show(&changed)))
            })
        },
    },
    Operation {
        name: "read-account-sign-in-rules",
        method: Method::Get,
        path: "/tenants/{tenant}/accounts/{account}/sign-in-rules",
        action: Some(Action::AccountSignInRulesRead),
        summary: "What holds for the sign-in of an account beside what its tenant says",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<AccountSignInRules>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let rules = ask.administration.account_rules(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&show_account(&rules)))
            })
        },
    },
    Operation {
        name: "change-account-sign-in-rules",
        method: Method::Put,
        path: "/tenants/{tenant}/accounts/{account}/sign-in-rules",
        action: Some(Action::AccountSignInRulesChange),
        summary: "Give an account a rule of addresses of its own, and force secure sign-in",
        query: FORCE,
        body: Some(shape::<AccountSignInRulesUpdate>),
        is_update: true,
        good: Good::one(shape::<AccountSignInRules>),
        problems: &[Kind::Invalid, Kind::PlanLimit],
        handler: |ask| {
            Box::pin(async move {
                let AccountSignInRulesUpdate { addresses, secure_forced } = ask.body()?;
                let addresses = addresses.as_ref().map(read_rule).transpose()?;
                let (key, is_forced) = (ask.account()?, is_forced(ask)?);
                let action = Action::AccountSignInRulesChange;
                ask.administration.account_for(action, &ask.call, key).await?;
                let seen = ask.directory().account_rules(key).await?;
                ask.must_match(&show_account(&seen))?;
                let change =
                    AccountRulesChange { addresses: Some(addresses), secure_forced: Some(secure_forced) };
                let changed = ask
                    .administration
                    .change_account_rules(&ask.call, key, &seen, &change, is_forced)
                    .await?;
                Ok(Reply::tagged(&show_account(&changed)))
            })
        },
    },
    Operation {
        name: "set-secure-sign-in",
        method: Method::Put,
        path: "/tenants/{tenant}/accounts/{account}/secure-sign-in",
        action: Some(Action::AccountSecureSignIn),
        summary: "Turn a member's own secure sign-in on or off; what is forced stays",
        query: &[],
        body: Some(shape::<SecureSignIn>),
        is_update: false,
        good: Good {
            status: 200,
            shape: Some(shape::<AccountSignInRules>),
            is_tagged: false,
            has_csv: false,
        },
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let SecureSignIn { secure } = ask.body()?;
                let key = ask.account()?;
                let action = Action::AccountSecureSignIn;
                ask.administration.account_for(action, &ask.call, key).await?;
                let seen = ask.directory().account_rules(key).await?;
                let changed = ask.administration.set_secure_sign_in(&ask.call, key, &seen, secure).await?;
                Ok(Reply::document(&show_account(&changed)))
            })
        },
    },
    Operation {
        name: "read-password",
        method: Method::Get,
        path: "/tenants/{tenant}/accounts/{account}/password",
        action: Some(Action::AccountSignInRulesRead),
        summary: "Since when and until when the password of an account holds; never the password",
        query: &[],
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<PasswordAge>), is_tagged: false, has_csv: false },
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let age = ask.administration.password_age(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&PasswordAge {
                    is_set: age.is_some(),
                    since: age.map(|age| age.since.rfc3339()),
                    expires: age.and_then(|age| age.expires).map(|end| end.rfc3339()),
                    must_change: age.is_some_and(|age| age.must_change),
                }))
            })
        },
    },
    Operation {
        name: "change-own-password",
        method: Method::Post,
        path: "/tenants/{tenant}/accounts/{account}/password",
        action: Some(Action::AccountOwnPassword),
        summary: "Set another password in the place of the one that is said, or the first one; sessions that stand on it end",
        query: &[],
        body: Some(shape::<OwnPassword>),
        is_update: false,
        good: Good::NOTHING,
        problems: &[Kind::Invalid, Kind::WrongPassword, Kind::OtherState],
        handler: |ask| {
            Box::pin(async move {
                let OwnPassword { old, new } = ask.body()?;
                ask.administration
                    .change_own_password(&ask.call, ask.account()?, old.as_deref(), &new)
                    .await?;
                Ok(Reply::nothing())
            })
        },
    },
];
