//! Reports of other organisations about the tenant's mail: where they come in, and what they say.

use std::collections::BTreeSet;

use pennypost_admin::{
    Action, HeardAbout, HeardCounts, HeardKind, HeardQuery, HeardReport, SourceCounts, TlsFailed,
    heard_reports_csv,
};
use pennypost_directory::{Listed, MailAddress, ReportAddresses};
use pennypost_model::EventId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use super::sign_ins::{day, wrong};
use crate::rest::ask::{Ask, cursor_of, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// Where reports come in.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReportAddresses")]
pub(crate) struct Addresses {
    /// Addresses of the organisation at which somebody gets mail, 10 at most: these are told to others in records of DMARC (`rua`) and TLSRPT, and
    /// to feedback loops. A report stays a letter there.
    addresses: Vec<String>,
}

fn show_addresses(addresses: &ReportAddresses) -> Addresses {
    Addresses { addresses: addresses.0.iter().map(ToString::to_string).collect() }
}

/// Messages.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[schemars(rename = "MailReportCounts")]
pub(crate) struct ShownCounts {
    /// DMARC passed.
    passed: u64,
    /// It did not.
    failed: u64,
    /// Of all, those with a signature of the domain that held.
    dkim: u64,
    /// Of all, those for which SPF held for the domain.
    spf: u64,
    /// Of all, those that were put where junk goes.
    quarantined: u64,
    /// Of all, those that were refused.
    rejected: u64,
}

fn counts(counts: &HeardCounts) -> ShownCounts {
    let HeardCounts { passed, failed, dkim, spf, quarantined, rejected } = *counts;
    ShownCounts { passed, failed, dkim, spf, quarantined, rejected }
}

/// What an address has sent in the domain's name.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MailReportSource")]
pub(crate) struct Source {
    /// The address of the server; null where the report does not say.
    source: Option<String>,
    /// The author's domain.
    author: String,
    /// How many messages.
    counts: ShownCounts,
}

/// Conversations without the TLS that there should have been.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MailReportTlsFailure")]
pub(crate) struct Failure {
    /// What was wrong, as RFC 8460 calls it: `certificate-expired`.
    what: String,
    /// The domain's server; may be empty.
    host: String,
    /// Who sent; null where the report does not say.
    source: Option<String>,
    /// How many.
    count: u64,
}

/// What a report of DMARC says.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DmarcReport")]
pub(crate) struct Dmarc {
    /// All messages.
    counts: ShownCounts,
    /// The hundred sources with the most messages.
    sources: Vec<Source>,
    /// How many sources there are beside.
    more: u64,
}

/// What a report of TLS says.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TlsReport")]
pub(crate) struct Tls {
    /// Conversations with the TLS that there should have been.
    good: u64,
    /// Conversations without.
    bad: u64,
    /// What was wrong: the hundred most frequent.
    failures: Vec<Failure>,
    /// How many there are beside.
    more: u64,
}

/// A complaint.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MailComplaint")]
pub(crate) struct Complaint {
    /// `abuse`, `fraud`, `virus`, `not-spam`, `auth-failure` or `other`.
    what: String,
    /// Where the letter came from; null where the report does not say.
    source: Option<String>,
    /// To whom it was written; null where the report does not say.
    address: Option<String>,
    /// Its Message-ID; null where the report does not say.
    message_id: Option<String>,
}

/// A report of another organisation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MailReport")]
pub(crate) struct Report {
    /// Its id here.
    id: String,
    /// `dmarc`, `tls` or `complaint`.
    kind: &'static str,
    /// The domain that it is about.
    domain: String,
    /// Who reports, as it calls itself.
    reporter: String,
    /// Its address, as it says; may be empty.
    contact: String,
    /// The domain of who has written the letter that brought it.
    author: String,
    /// What it calls the report.
    name: String,
    /// The begin of its period.
    begin: String,
    /// The end.
    end: String,
    /// The id of the letter that has brought it.
    letter: String,
    /// When that came.
    received: String,
    /// Neither a signature nor SPF says that it is from whom it says.
    unproved: bool,
    /// Of one of DMARC, what it says.
    dmarc: Option<Dmarc>,
    /// Of one of TLS, what it says.
    tls: Option<Tls>,
    /// Of a complaint, what it says.
    complaint: Option<Complaint>,
}

page_of!(Reports, Report);

fn show(report: HeardReport) -> Report {
    let (id, kind) = (report.id().to_string(), report.about.kind().name());
    let HeardReport {
        name,
        reporter,
        contact,
        author,
        domain,
        begin,
        end,
        about,
        letter,
        received,
        is_unproved,
    } = report;
    let ip = |ip: Option<std::net::IpAddr>| ip.map(|ip| ip.to_string());
    let (mut dmarc, mut tls, mut complaint) = (None, None, None);
    match about {
        HeardAbout::Dmarc { counts: all, sources, more } => {
            let show = |one: SourceCounts| Source {
                source: ip(one.source),
                author: one.author,
                counts: counts(&one.counts),
            };
            dmarc =
                Some(Dmarc { counts: counts(&all), sources: sources.into_iter().map(show).collect(), more });
        }
        HeardAbout::Tls { good, bad, failures, more } => {
            let show = |one: TlsFailed| {
                let TlsFailed { what, host, source, count } = one;
                Failure { what, host, source: ip(source), count }
            };
            tls = Some(Tls { good, bad, failures: failures.into_iter().map(show).collect(), more });
        }
        HeardAbout::Complaint { what, source, address, message_id, .. } => {
            complaint = Some(Complaint { what, source: ip(source), address, message_id });
        }
    }
    Report {
        id,
        kind,
        domain,
        reporter,
        contact,
        author,
        name,
        begin: begin.rfc3339(),
        end: end.rfc3339(),
        letter: letter.to_string(),
        received: received.rfc3339(),
        unproved: is_unproved,
        dmarc,
        tls,
        complaint,
    }
}

const LIST: &[Query] = &[
    PAGE[0],
    PAGE[1],
    Query { name: "from", about: "The first day, in UTC: 2026-11-20.", is_number: false },
    Query { name: "to", about: "The last day, in UTC.", is_number: false },
    Query { name: "domain", about: "The domain that it is about.", is_number: false },
    Query { name: "kind", about: "`dmarc`, `tls` or `complaint`.", is_number: false },
];

fn query(ask: &Ask) -> Result<HeardQuery, Refusal> {
    let kind = ask.parameter("kind").map(|name| {
        let kind = HeardKind::ALL.into_iter().find(|kind| kind.name() == name);
        kind.ok_or_else(|| wrong("kind"))
    });
    Ok(HeardQuery {
        from: day(ask, "from")?,
        until: day(ask, "to")?.map(|last| last.plus_millis(24 * 60 * 60 * 1000)),
        domain: ask.parameter("domain").map(str::to_owned),
        kind: kind.transpose()?,
    })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/report-addresses", "read-report-addresses"),
        Action::ReportAddressesRead,
        "Where reports of others about the organisation's mail come in",
        Good::one(shape::<Addresses>),
        |ask| {
            Box::pin(async move {
                let addresses = ask.administration.report_addresses(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show_addresses(&addresses)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/report-addresses", "change-report-addresses"),
        Action::ReportAddressesChange,
        "Say where reports of others about the organisation's mail come in: what comes in there from then on is read",
        Good::one(shape::<Addresses>),
        |ask| {
            Box::pin(async move {
                let (tenant, said): (_, Addresses) = (ask.tenant()?, ask.body()?);
                let mut addresses = ReportAddresses(BTreeSet::new());
                for (index, text) in said.addresses.iter().enumerate() {
                    let parsed = MailAddress::parse(text).map_err(pennypost_directory::DirectoryError::from);
                    addresses.0.insert(parsed.map_err(|error| {
                        let refusal = Refusal::from(error);
                        match refusal.detail.clone() {
                            Some(detail) => refusal.at(format!("/addresses/{index}"), detail),
                            None => refusal,
                        }
                    })?);
                }
                let seen = ask.administration.report_addresses(&ask.call, tenant).await?;
                ask.must_match(&show_addresses(&seen))?;
                ask.administration.change_report_addresses(&ask.call, tenant, &seen, &addresses).await?;
                Ok(Reply::tagged(&show_addresses(&addresses)))
            })
        },
    )
    .with(shape::<Addresses>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation {
        name: "list-mail-reports",
        method: Method::Get,
        path: "/tenants/{tenant}/mail-reports",
        action: Some(Action::HeardReportRead),
        summary: "Read what others report of the organisation's mail (DMARC, TLS, complaints), by the begin of their periods, of 180 or 90 days, as the plan says",
        query: LIST,
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<Reports>), is_tagged: false, has_csv: true },
        problems: &[Kind::OtherState],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, query, page) = (ask.tenant()?, query(ask)?, ask.page()?);
                let after = page.after.map(|text| text.parse::<EventId>().map_err(|_| wrong("after")));
                let (after, limit) = (after.transpose()?, page.limit);
                let found = ask.administration.heard_reports(&ask.call, tenant, &query, after, limit);
                let (reports, next) = found.await?;
                let next = next.map(|next| next.to_string());
                if ask.accept.contains("text/csv") {
                    return Ok(Reply::csv(heard_reports_csv(&reports), next.as_deref().map(cursor_of)));
                }
                Ok(Reply::document(&rows(Listed { items: reports, next }, show)))
            })
        },
    },
];
