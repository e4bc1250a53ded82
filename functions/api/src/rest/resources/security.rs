//! The rules of sessions, second factors and confirmation.

use pennypost_admin::{Action, Required, SecurityRules};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// Of whom a second factor is wished.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Of {
    Nobody,
    /// Whoever may administer anything.
    Administrators,
    Everybody,
}

/// The rules. They hold for sessions that are opened from then on.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Security {
    /// Minutes without use after which a session is over: 5 at least.
    idle_minutes: u32,
    /// Minutes after which a session is over in any case: 15 to 129,600.
    session_minutes: u32,
    /// Of whom a second factor is wished: without one nothing can be done but setting it up.
    second_factor: Of,
    /// What can't be made undone takes a second administrator.
    four_eyes: bool,
}

fn show(rules: &SecurityRules) -> Security {
    Security {
        idle_minutes: rules.idle_minutes,
        session_minutes: rules.session_minutes,
        second_factor: match rules.second_factor {
            Required::Nobody => Of::Nobody,
            Required::Administrators => Of::Administrators,
            Required::Everybody => Of::Everybody,
        },
        four_eyes: rules.four_eyes,
    }
}

fn rules(said: &Security) -> SecurityRules {
    SecurityRules {
        idle_minutes: said.idle_minutes,
        session_minutes: said.session_minutes,
        second_factor: match said.second_factor {
            Of::Nobody => Required::Nobody,
            Of::Administrators => Required::Administrators,
            Of::Everybody => Required::Everybody,
        },
        four_eyes: said.four_eyes,
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "read-security",
        method: Method::Get,
        path: "/tenants/{tenant}/security",
        action: Some(Action::SecurityRead),
        summary: "The rules of sessions, second factors and confirmation",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Security>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let rules = ask.administration.security_rules(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(&rules)))
            })
        },
    },
    Operation {
        name: "change-security",
        method: Method::Put,
        path: "/tenants/{tenant}/security",
        action: Some(Action::SecurityChange),
        summary: "Change the rules of sessions, second factors and confirmation",
        query: &[],
        body: Some(shape::<Security>),
        is_update: true,
        good: Good::one(shape::<Security>),
        problems: &[Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let said: Security = ask.body()?;
                let tenant = ask.tenant()?;
                let seen = ask.administration.security_rules_for(&ask.call, tenant).await?;
                ask.must_match(&show(&seen))?;
                let changed =
                    ask.administration.change_security_rules(&ask.call, tenant, &seen, rules(&said)).await?;
                Ok(Reply::tagged(&show(&changed)))
            })
        },
    },
];
