//! At what domains have to point: the operator's word, once for the installation.

use pennypost_admin::Action;
use pennypost_domains as domains;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A host that takes mail.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailHost {
    /// Lower ones come first.
    preference: u16,
    /// Its name.
    host: String,
}

/// A server for mail programs, over TLS.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServiceServer")]
pub(crate) struct Server {
    /// Its name.
    host: String,
    /// Its port.
    port: u16,
}

/// Under which names the world reaches this post office.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// Where mail is to be brought, 1 to 10 hosts.
    mx: Vec<MailHost>,
    /// The mechanism of SPF that names who sends, such as `include:spf.post.example`.
    spf: String,
    /// Is mail from elsewhere to fail (`-all`), or to be suspicious (`~all`)?
    #[serde(default)]
    spf_is_hard: bool,
    /// Hosts that send; none: those that take mail.
    #[serde(default)]
    senders: Vec<String>,
    /// The host at which a label of a claimed domain may point; null: ownership is shown by a text only.
    #[serde(default)]
    ownership_host: Option<String>,
    /// IMAP.
    #[serde(default)]
    imap: Option<Server>,
    /// POP3.
    #[serde(default)]
    pop3: Option<Server>,
    /// Submission.
    #[serde(default)]
    submission: Option<Server>,
    /// The host of the pages for people.
    #[serde(default)]
    web: Option<String>,
    /// The host that mail programs ask when they set themselves up.
    #[serde(default)]
    setup: Option<String>,
    /// The address to which reports of DMARC and TLS go.
    #[serde(default)]
    reports: Option<String>,
    /// Seconds for which records may be kept by others.
    #[serde(default = "an_hour")]
    ttl: u32,
}

const fn an_hour() -> u32 {
    3600
}

fn show(service: domains::Service) -> Service {
    let server = |server: domains::Server| Server { host: server.host, port: server.port };
    let host = |mx: domains::MailHost| MailHost { preference: mx.preference, host: mx.host };
    Service {
        mx: service.mx.into_iter().map(host).collect(),
        spf: service.spf,
        spf_is_hard: service.spf_is_hard,
        senders: service.senders,
        ownership_host: service.ownership_host,
        imap: service.imap.map(server),
        pop3: service.pop3.map(server),
        submission: service.submission.map(server),
        web: service.web,
        setup: service.setup,
        reports: service.reports,
        ttl: service.ttl,
    }
}

fn meant(service: Service) -> domains::Service {
    let server = |server: Server| domains::Server { host: server.host, port: server.port };
    let host = |mx: MailHost| domains::MailHost { preference: mx.preference, host: mx.host };
    domains::Service {
        mx: service.mx.into_iter().map(host).collect(),
        spf: service.spf,
        spf_is_hard: service.spf_is_hard,
        senders: service.senders,
        ownership_host: service.ownership_host,
        imap: service.imap.map(server),
        pop3: service.pop3.map(server),
        submission: service.submission.map(server),
        web: service.web,
        setup: service.setup,
        reports: service.reports,
        ttl: service.ttl,
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "read-service",
        method: Method::Get,
        path: "/service",
        action: Some(Action::ServiceRead),
        summary: "At what domains have to point; null as long as nobody has said it",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Option<Service>>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let service = ask.administration.service(&ask.call).await?;
                Ok(Reply::tagged(&service.map(show)))
            })
        },
    },
    Operation {
        name: "change-service",
        method: Method::Put,
        path: "/service",
        action: Some(Action::ServiceChange),
        summary: "Say at what domains have to point",
        query: &[],
        body: Some(shape::<Service>),
        is_update: true,
        good: Good::one(shape::<Option<Service>>),
        problems: &[Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let service: Service = ask.body()?;
                let seen = ask.administration.service(&ask.call).await?;
                ask.must_match(&seen.clone().map(show))?;
                let change = ask.administration.change_service(&ask.call, seen.as_ref(), meant(service));
                Ok(Reply::tagged(&Some(show(change.await?))))
            })
        },
    },
];
