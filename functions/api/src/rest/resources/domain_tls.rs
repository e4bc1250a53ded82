//! Whether mail for a domain may be brought without TLS (MTA-STS).

use pennypost_admin::{Action, Policed};
use pennypost_domains::{TlsMode, TlsPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::ask::Ask;
use crate::rest::operation::{Answering, Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// What senders do where mail can't be brought over TLS to a host with a valid certificate.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "TlsMode")]
pub(crate) enum Mode {
    /// There is no policy any more; what they remember of one ends.
    None,
    /// They bring it all the same, and report it.
    Testing,
    /// They do not bring it.
    Enforce,
}

/// The policy for TLS of a domain, and what the world is told by it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DomainTls")]
pub(crate) struct Tls {
    /// What senders do; null: nothing is published.
    mode: Option<Mode>,
    /// Seconds for which they remember it.
    max_age: Option<u32>,
    /// The name of the policy in the TXT record `_mta-sts` of the domain, which is to be set anew with each change.
    id: Option<String>,
    /// Where the policy lies: the name has to lead here, with a certificate for it.
    url: String,
    /// The policy, as it is served there.
    text: Option<String>,
}

/// A policy that is to hold.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainTlsPut {
    /// What senders are to do.
    mode: Mode,
    /// Seconds for which they are to remember it: 86,400 to 31,557,600; a week, if nothing is said.
    #[serde(default = "week")]
    max_age: u32,
}

const fn week() -> u32 {
    604_800
}

fn show(found: Policed) -> Tls {
    let (text, id) = found.published.unzip();
    Tls {
        mode: found.policy.map(|policy| match policy.mode {
            TlsMode::None => Mode::None,
            TlsMode::Testing => Mode::Testing,
            TlsMode::Enforce => Mode::Enforce,
        }),
        max_age: found.policy.map(|policy| policy.max_age),
        id,
        url: format!("https://mta-sts.{}/.well-known/mta-sts.txt", found.domain.name),
        text,
    }
}

fn read(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let found = ask.administration.domain_tls(&ask.call, ask.tenant()?, ask.word("domain")).await?;
        Ok(Reply::tagged(&show(found)))
    })
}

fn change(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let DomainTlsPut { mode, max_age } = ask.body()?;
        let (tenant, name) = (ask.tenant()?, ask.word("domain"));
        let seen = ask.administration.domain_tls(&ask.call, tenant, name).await?;
        let expected = seen.policy;
        ask.must_match(&show(seen))?;
        let mode = match mode {
            Mode::None => TlsMode::None,
            Mode::Testing => TlsMode::Testing,
            Mode::Enforce => TlsMode::Enforce,
        };
        let policy = TlsPolicy { mode, max_age };
        let change = ask.administration.change_domain_tls(&ask.call, tenant, name, expected, policy);
        Ok(Reply::tagged(&show(change.await?)))
    })
}

const PATH: &str = "/tenants/{tenant}/domains/{domain}/mta-sts";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, PATH, "read-domain-tls"),
        Action::DomainRead,
        "The policy for TLS of a domain (MTA-STS), and what the world is told by it",
        Good::one(shape::<Tls>),
        read,
    ),
    Operation::new(
        (Method::Put, PATH, "change-domain-tls"),
        Action::DomainTls,
        "Publish another policy for TLS; its record in the zone has to follow",
        Good::one(shape::<Tls>),
        change,
    )
    .with(shape::<DomainTlsPut>)
    .update()
    .refusing(&[Kind::Invalid]),
];
