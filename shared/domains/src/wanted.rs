//! What is to be set: exact records, to be copied.

use crate::report::Subject;
use crate::{DkimRecord, Server, Service, TlsPolicy};

/// How much depends on a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Without it no mail arrives.
    Required,
    /// Without it mail arrives badly elsewhere, or anybody forges it.
    Recommended,
    /// It spares people some work, or makes the way safer.
    Optional,
}

impl Importance {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Importance::Required => "required",
            Importance::Recommended => "recommended",
            Importance::Optional => "optional",
        }
    }
}

/// A record to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// For what.
    pub subject: Subject,
    /// The whole name, without a dot at the end.
    pub name: String,
    /// `MX`, `TXT`, `CNAME` or `SRV`.
    pub kind: &'static str,
    /// The value, as registrars ask for it: a text without quotation marks.
    pub value: String,
    /// Seconds.
    pub ttl: u32,
    /// How much depends on it.
    pub importance: Importance,
}

impl Wanted {
    /// As a line of a zone (RFC 1035 section 5.1).
    #[must_use]
    pub fn line(&self) -> String {
        let Wanted { name, kind, value, ttl, .. } = self;
        let value = match *kind {
            "TXT" => quoted(value),
            _ => format!("{value}."),
        };
        format!("{name}. {ttl} IN {kind} {value}")
    }
}

/// A text in pieces of 255 bytes.
fn quoted(text: &str) -> String {
    let escaped = |piece: &[u8]| String::from_utf8_lossy(piece).replace('\\', "\\\\").replace('"', "\\\"");
    let pieces = text.as_bytes().chunks(255).map(|piece| format!("\"{}\"", escaped(piece)));
    pieces.collect::<Vec<_>>().join(" ")
}

/// The value of the SPF record.
pub(crate) fn spf(service: &Service) -> String {
    let end = if service.spf_is_hard { "-all" } else { "~all" };
    format!("v=spf1 {} {end}", service.spf)
}

/// Services of mail programs: their subject, the name of the service, the server.
pub(crate) fn services(service: &Service) -> [(Subject, &'static str, Option<&Server>); 3] {
    [
        (Subject::ImapService, "_imaps._tcp", service.imap.as_ref()),
        (Subject::Pop3Service, "_pop3s._tcp", service.pop3.as_ref()),
        (Subject::SubmissionService, "_submissions._tcp", service.submission.as_ref()),
    ]
}

/// Host names of the domain: their subject, the label, the host that they stand for.
pub(crate) fn hosts<'a>(
    service: &'a Service,
    policy: Option<&TlsPolicy>,
) -> [(Subject, &'static str, Option<&'a str>); 7] {
    fn of(server: Option<&Server>) -> Option<&str> {
        server.map(|server| server.host.as_str())
    }
    [
        (Subject::Autoconfig, "autoconfig", service.setup.as_deref()),
        (Subject::Autodiscover, "autodiscover", service.setup.as_deref()),
        (Subject::ImapHost, "imap", of(service.imap.as_ref())),
        (Subject::Pop3Host, "pop", of(service.pop3.as_ref())),
        (Subject::SmtpHost, "smtp", of(service.submission.as_ref())),
        (Subject::WebHost, "webmail", service.web.as_deref()),
        (Subject::MtaStsHost, "mta-sts", service.setup.as_deref().filter(|_| policy.is_some())),
    ]
}

impl DkimRecord {
    /// As it is to be set in the zone of the domain.
    #[must_use]
    pub fn wanted(&self, domain: &str, ttl: u32) -> Wanted {
        Wanted {
            subject: Subject::Dkim,
            name: format!("{}._domainkey.{domain}", self.selector),
            kind: "TXT",
            value: self.value.clone(),
            ttl,
            importance: Importance::Recommended,
        }
    }
}

/// Everything that the zone of a domain should have, beside what proves whose it is.
#[must_use]
pub fn wanted(
    domain: &str,
    service: &Service,
    keys: &[DkimRecord],
    policy: Option<&TlsPolicy>,
) -> Vec<Wanted> {
    use Importance::{Optional, Recommended, Required};
    let ttl = service.ttl;
    let record = |subject, name: String, kind, value: String, importance| Wanted {
        subject,
        name,
        kind,
        value,
        ttl,
        importance,
    };
    let mut all = Vec::new();
    for mx in &service.mx {
        let value = format!("{} {}", mx.preference, mx.host);
        all.push(record(Subject::Mx, domain.to_owned(), "MX", value, Required));
    }
    all.push(record(Subject::Spf, domain.to_owned(), "TXT", spf(service), Recommended));
    all.extend(keys.iter().filter(|key| key.is_needed).map(|key| key.wanted(domain, ttl)));
    let reports =
        service.reports.as_ref().map(|address| format!("; rua=mailto:{address}")).unwrap_or_default();
    let dmarc = format!("v=DMARC1; p=quarantine{reports}");
    all.push(record(Subject::Dmarc, format!("_dmarc.{domain}"), "TXT", dmarc, Recommended));
    if let Some(policy) = policy {
        let sts = format!("v=STSv1; id={}", policy.id(service));
        all.push(record(Subject::MtaSts, format!("_mta-sts.{domain}"), "TXT", sts, Optional));
    }
    if let Some(address) = &service.reports {
        let value = format!("v=TLSRPTv1; rua=mailto:{address}");
        all.push(record(Subject::TlsReports, format!("_smtp._tls.{domain}"), "TXT", value, Optional));
    }
    for (subject, label, host) in hosts(service, policy) {
        if let Some(host) = host {
            all.push(record(subject, format!("{label}.{domain}"), "CNAME", host.to_owned(), Optional));
        }
    }
    for (subject, label, server) in services(service) {
        if let Some(server) = server {
            let value = format!("0 1 {} {}", server.port, server.host);
            all.push(record(subject, format!("{label}.{domain}"), "SRV", value, Optional));
        }
    }
    all.sort_by_key(|wanted| wanted.subject);
    all
}
