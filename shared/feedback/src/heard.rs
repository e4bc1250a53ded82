//! Reports of others that come in: what they say, within bounds. Without I/O.
//!
//! Aggregate reports of DMARC (RFC 7489 section 7.2), reports of TLS (RFC 8460 section 5) and complaints (RFC 5965). Each part is
//! found in the structure that the letter has anyway; what is compressed is taken out of its cover up to a size, and of an archive
//! only the single file that it may have: so what is read is bounded by what is there, whatever it claims to be.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::net::IpAddr;

use flate2::read::GzDecoder;
use mail_auth::report::tlsrpt::{ResultType, TlsReport};
use mail_auth::report::{ActionDisposition, DmarcResult, Feedback, FeedbackType, Report};
use pennypost_mime::decode_part;
use pennypost_model::codec::Versioned;
use pennypost_model::message::cut;
use pennypost_model::structure::{Content, Part, Structure};
use pennypost_model::{EventId, Timestamp};
use pennypost_policy::DomainName;
use pennypost_reports::returned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of a letter that may be a report.
pub const MAX_LETTER: u64 = 2 << 20;
/// Bytes of a report when it is taken out of its cover.
const MAX_DOCUMENT: usize = 4 << 20;
/// Records of a report of DMARC.
const MAX_RECORDS: usize = 20_000;
/// Sources, or failures, of a report that are kept.
const MAX_ROWS: usize = 100;
/// Bytes of a name.
const MAX_NAME: usize = 200;
/// Milliseconds that a report's period may lie back, and ahead: servers' clocks differ.
const OLDEST: i64 = 60 * 24 * 3_600_000;
const AHEAD: i64 = 24 * 3_600_000;

/// What a report is about. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeardKind {
    /// What came in the domain's name (DMARC).
    Dmarc,
    /// What became of TLS with the domain's servers.
    Tls,
    /// Somebody complains of a letter.
    Complaint,
}

impl HeardKind {
    /// All of them.
    pub const ALL: [HeardKind; 3] = [HeardKind::Dmarc, HeardKind::Tls, HeardKind::Complaint];

    /// Its name, as documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            HeardKind::Dmarc => "dmarc",
            HeardKind::Tls => "tls",
            HeardKind::Complaint => "complaint",
        }
    }
}

/// Messages of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardCounts {
    /// DMARC passed.
    pub passed: u64,
    /// It did not.
    pub failed: u64,
    /// Of all: a signature of the domain held.
    pub dkim: u64,
    /// Of all: SPF held for the domain.
    pub spf: u64,
    /// Of all: put where junk goes.
    pub quarantined: u64,
    /// Of all: refused.
    pub rejected: u64,
}

impl HeardCounts {
    const fn all(&self) -> u64 {
        self.passed.saturating_add(self.failed)
    }

    fn add(&mut self, other: &HeardCounts) {
        for (own, other) in [
            (&mut self.passed, other.passed),
            (&mut self.failed, other.failed),
            (&mut self.dkim, other.dkim),
            (&mut self.spf, other.spf),
            (&mut self.quarantined, other.quarantined),
            (&mut self.rejected, other.rejected),
        ] {
            *own = own.saturating_add(other);
        }
    }
}

/// What an address has sent in the domain's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCounts {
    /// Where it came from; none, where the report does not say.
    pub source: Option<IpAddr>,
    /// The author's domain.
    pub author: String,
    /// How many.
    pub counts: HeardCounts,
}

/// Conversations that had not the TLS that they should have had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFailed {
    /// What was wrong, as RFC 8460 section 4.3 calls it.
    pub what: String,
    /// The server of the domain; may be empty.
    pub host: String,
    /// Who sent; none, where the report does not say.
    pub source: Option<IpAddr>,
    /// How many.
    pub count: u64,
}

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeardAbout {
    /// Of DMARC.
    Dmarc {
        /// All messages.
        counts: HeardCounts,
        /// Those with the most messages.
        sources: Vec<SourceCounts>,
        /// Sources that are not among them.
        more: u64,
    },
    /// Of TLS.
    Tls {
        /// Conversations with the TLS that they should have had.
        good: u64,
        /// Conversations without.
        bad: u64,
        /// What was wrong, the most frequent first.
        failures: Vec<TlsFailed>,
        /// Failures that are not among them.
        more: u64,
    },
    /// A complaint.
    Complaint {
        /// Its kind: `abuse`, `fraud`, `virus`, `not-spam`, `auth-failure` or `other`.
        what: String,
        /// Where the letter came from.
        source: Option<IpAddr>,
        /// To whom it was written, where the report says so.
        address: Option<String>,
        /// Its Message-ID.
        message_id: Option<String>,
        /// What servers on its way have called it that may be ids of ours.
        ids: Vec<EventId>,
    },
}

impl HeardAbout {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> HeardKind {
        match self {
            HeardAbout::Dmarc { .. } => HeardKind::Dmarc,
            HeardAbout::Tls { .. } => HeardKind::Tls,
            HeardAbout::Complaint { .. } => HeardKind::Complaint,
        }
    }
}

/// A report that has come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardReport {
    /// What the reporter calls it.
    pub name: String,
    /// Who reports, as it calls itself.
    pub reporter: String,
    /// Its address, as it says; may be empty.
    pub contact: String,
    /// The domain of who has written the letter that brought it.
    pub author: String,
    /// The domain that it is about, in A-labels.
    pub domain: String,
    /// The begin of its period; of a complaint when it came.
    pub begin: Timestamp,
    /// The end.
    pub end: Timestamp,
    /// What it says.
    pub about: HeardAbout,
    /// The letter that has brought it.
    pub letter: EventId,
    /// When that came.
    pub received: Timestamp,
    /// Nothing speaks for who has sent it: no signature, nor SPF, of the author's domain that DMARC believes.
    pub is_unproved: bool,
}

impl Versioned for HeardReport {
    const KIND: &'static str = "report of another organisation";
}

impl HeardReport {
    /// Its id: the same of a report that comes twice. Its time is the begin of the period.
    #[must_use]
    pub fn id(&self) -> EventId {
        let mut hash = Sha256::new();
        // Whoever writes in another's name does not stand in the way of what that one writes.
        let proof = if self.is_unproved { "unproved" } else { "" };
        let reporter = self.reporter.to_lowercase();
        for part in [self.about.kind().name(), &self.domain, &self.author, proof, &reporter, &self.name] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let [a, b, c, d, e, f, g, h, i, j, ..] = <[u8; 32]>::from(hash.finalize());
        // A complaint has no period of its own: one that comes again within the day is the same.
        let day = self.begin.0 - self.begin.0.rem_euclid(24 * 3_600_000);
        let time = if self.about.kind() == HeardKind::Complaint { Timestamp(day) } else { self.begin };
        EventId::from_parts(time, u128::from_be_bytes([0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h, i, j]))
    }
}

/// The letter that has brought a report.
#[derive(Debug, Clone, Copy)]
pub struct Hearing<'a> {
    /// Its id.
    pub letter: EventId,
    /// When it came.
    pub received: Timestamp,
    /// Its Message-ID.
    pub message_id: Option<&'a str>,
    /// The first author.
    pub author: &'a str,
    /// Nothing speaks for that.
    pub is_unproved: bool,
}

/// May a letter be a report, by what it is made of? Costs no look into it.
#[must_use]
pub fn may_be_report(structure: &Structure) -> bool {
    covered(structure).is_some()
}

/// What a part may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Covered {
    Dmarc,
    Tls,
    Complaint,
}

fn parameter<'a>(parameters: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let found = parameters.iter().find(|(known, _)| known == name);
    found.and_then(|(_, value)| std::str::from_utf8(value).ok())
}

fn file_name(part: &Part) -> &str {
    let of_disposition = part.disposition.as_ref().and_then(|(_, own)| parameter(own, "filename"));
    of_disposition.or_else(|| parameter(&part.parameters, "name")).unwrap_or_default()
}

/// The part that holds a report, if one of the letter's own does.
fn covered(structure: &Structure) -> Option<(&Part, Covered)> {
    let root = structure.root()?;
    let inner: Vec<&Part> = match &root.content {
        Content::Multipart(parts) => {
            parts.iter().filter_map(|at| structure.parts.get(usize::try_from(*at).ok()?)).collect()
        }
        Content::Leaf => vec![root],
        Content::Message(..) => return None,
    };
    inner.into_iter().find_map(|part| Some((part, kind_of(part)?)))
}

fn kind_of(part: &Part) -> Option<Covered> {
    let (kind, subtype) = (part.media_type.0.as_str(), part.media_type.1.as_str());
    let name = file_name(part).to_ascii_lowercase();
    // RFC 7489 section 7.2.1.1: receiver, policy domain, begin and end.
    let is_named = name.matches('!').count() >= 3;
    match (kind, subtype) {
        ("message", "feedback-report") => Some(Covered::Complaint),
        ("application", "tlsrpt+gzip" | "tlsrpt+json") => Some(Covered::Tls),
        ("application", _) if is_named && (name.ends_with(".json.gz") || name.ends_with(".json")) => {
            Some(Covered::Tls)
        }
        ("application" | "text", _)
            if is_named && [".xml", ".xml.gz", ".gz", ".zip"].iter().any(|end| name.ends_with(end)) =>
        {
            Some(Covered::Dmarc)
        }
        _ => None,
    }
}

/// Why a letter that might be a report is none that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread(pub String);

fn unread(cause: impl std::fmt::Display) -> Unread {
    Unread(cut(&cause.to_string(), MAX_NAME).to_owned())
}

/// What the report in a letter says.
///
/// # Errors
/// [`Unread`]: there is none in it, it is damaged, or larger than what is read, or its period is not of these days.
pub fn heard(raw: &[u8], structure: &Structure, hearing: &Hearing<'_>) -> Result<HeardReport, Unread> {
    let (part, covered) = covered(structure).ok_or_else(|| unread("there is none"))?;
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(raw.len());
    let body = raw.get(place(part.body.start)..place(part.body.end)).unwrap_or_default();
    let body = decode_part(part, body);
    let report = match covered {
        Covered::Dmarc => of_dmarc(&uncovered(&body)?, hearing)?,
        Covered::Tls => of_tls(&uncovered(&body)?, hearing)?,
        Covered::Complaint => of_complaint(&body, raw, structure, hearing)?,
    };
    let is_of_these_days = report.begin >= hearing.received.plus_millis(-OLDEST)
        && report.begin <= report.end
        && report.end <= hearing.received.plus_millis(AHEAD);
    if is_of_these_days { Ok(report) } else { Err(unread("its period is not of these days")) }
}

/// What is in a cover, which is known by how it begins: gzip, an archive with one file, or none.
fn uncovered(bytes: &[u8]) -> Result<Vec<u8>, Unread> {
    match bytes {
        [0x1f, 0x8b, ..] => bounded(GzDecoder::new(bytes)),
        [b'P', b'K', 3, 4, ..] => {
            if !has_one_file(bytes) {
                return Err(unread("an archive with more than one file"));
            }
            let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(unread)?;
            if archive.len() != 1 {
                return Err(unread("an archive with more than one file"));
            }
            bounded(archive.by_index(0).map_err(unread)?)
        }
        _ => bounded(bytes),
    }
}

/// Does an archive say of itself that it has one file, and that once? Whoever opens it tries each end that stands in it, with all files
/// that this names.
fn has_one_file(bytes: &[u8]) -> bool {
    const END: &[u8] = b"PK\x05\x06";
    const LARGE: &[u8] = &[0xff; 4];
    let mut ends = bytes.windows(END.len()).enumerate().filter(|(_, four)| *four == END).map(|(at, _)| at);
    let (Some(end), None) = (ends.next(), ends.next()) else { return false };
    let says_one = bytes.get(end + 8..end + 12) == Some(&[1, 0, 1, 0][..]);
    let is_small = |at: usize| bytes.get(at..at + 4).is_some_and(|size| size != LARGE);
    says_one && is_small(end + 12) && is_small(end + 16)
}

fn bounded(reader: impl Read) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    reader.take(MAX_DOCUMENT as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > MAX_DOCUMENT { Err(unread("it is too large")) } else { Ok(bytes) }
}

fn author_of(hearing: &Hearing<'_>) -> String {
    name(hearing.author.rsplit('@').next().unwrap_or_default()).to_lowercase()
}

fn name(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    cut(text.trim(), MAX_NAME).to_owned()
}

fn domain(text: &str) -> Result<String, Unread> {
    let parsed = DomainName::parse(text.trim().trim_end_matches('.'));
    parsed.map(|domain| domain.as_str().to_owned()).map_err(|_| unread("it names no domain"))
}

fn time(seconds: u64) -> Timestamp {
    Timestamp(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000))
}

fn of_dmarc(document: &[u8], hearing: &Hearing<'_>) -> Result<HeardReport, Unread> {
    // What is parsed takes more room than what is written.
    if document.windows(7).filter(|window| *window == b"<record").count() > MAX_RECORDS {
        return Err(unread("it has too many records"));
    }
    let report = Report::parse_xml(document).map_err(unread)?;
    let mut all = HeardCounts::default();
    let mut sources: BTreeMap<(Option<IpAddr>, String), HeardCounts> = BTreeMap::new();
    for record in &report.record {
        let (row, count) = (&record.row, u64::from(record.row.count));
        let dkim = row.policy_evaluated.dkim == DmarcResult::Pass;
        let spf = row.policy_evaluated.spf == DmarcResult::Pass;
        let has_passed = dkim || spf;
        let of = |is_so: bool| if is_so { count } else { 0 };
        let counts = HeardCounts {
            passed: of(has_passed),
            failed: of(!has_passed),
            dkim: of(dkim),
            spf: of(spf),
            quarantined: of(row.policy_evaluated.disposition == ActionDisposition::Quarantine),
            rejected: of(row.policy_evaluated.disposition == ActionDisposition::Reject),
        };
        all.add(&counts);
        let author = name(&record.identifiers.header_from).to_lowercase();
        sources.entry((row.source_ip, author)).or_default().add(&counts);
    }
    let mut sources: Vec<SourceCounts> = sources
        .into_iter()
        .map(|((source, author), counts)| SourceCounts { source, author, counts })
        .collect();
    sources.sort_by_key(|source| std::cmp::Reverse(source.counts.all()));
    let more = sources.len().saturating_sub(MAX_ROWS) as u64;
    sources.truncate(MAX_ROWS);
    Ok(HeardReport {
        name: name(report.report_id()),
        reporter: name(report.org_name()),
        contact: name(report.email()),
        author: author_of(hearing),
        domain: domain(report.domain())?,
        begin: time(report.date_range_begin()),
        end: time(report.date_range_end()),
        about: HeardAbout::Dmarc { counts: all, sources, more },
        letter: hearing.letter,
        received: hearing.received,
        is_unproved: hearing.is_unproved,
    })
}

/// As RFC 8460 section 4.3 calls it.
const fn fault(result: ResultType) -> &'static str {
    match result {
        ResultType::StartTlsNotSupported => "starttls-not-supported",
        ResultType::CertificateHostMismatch => "certificate-host-mismatch",
        ResultType::CertificateExpired => "certificate-expired",
        ResultType::CertificateNotTrusted => "certificate-not-trusted",
        ResultType::ValidationFailure => "validation-failure",
        ResultType::TlsaInvalid => "tlsa-invalid",
        ResultType::DnssecInvalid => "dnssec-invalid",
        ResultType::DaneRequired => "dane-required",
        ResultType::StsPolicyFetchError => "sts-policy-fetch-error",
        ResultType::StsPolicyInvalid => "sts-policy-invalid",
        ResultType::StsWebpkiInvalid => "sts-webpki-invalid",
        ResultType::Other => "other",
    }
}

fn of_tls(document: &[u8], hearing: &Hearing<'_>) -> Result<HeardReport, Unread> {
    let report = TlsReport::parse_json(document).map_err(|error| unread(format!("{error:?}")))?;
    let first = report.policies.first().ok_or_else(|| unread("it has no policy"))?;
    let domain = domain(&first.policy.policy_domain)?;
    let (mut good, mut bad) = (0_u64, 0_u64);
    let mut failures: BTreeMap<(String, String, Option<IpAddr>), u64> = BTreeMap::new();
    for policy in &report.policies {
        good = good.saturating_add(policy.summary.total_success.into());
        bad = bad.saturating_add(policy.summary.total_failure.into());
        for failure in &policy.failure_details {
            let what = fault(failure.result_type).to_owned();
            let host = name(failure.receiving_mx_hostname.as_deref().unwrap_or_default()).to_lowercase();
            let count = failures.entry((what, host, failure.sending_mta_ip)).or_default();
            *count = count.saturating_add(failure.failed_session_count.into());
        }
    }
    let mut failures: Vec<TlsFailed> = failures
        .into_iter()
        .map(|((what, host, source), count)| TlsFailed { what, host, source, count })
        .collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    let more = failures.len().saturating_sub(MAX_ROWS) as u64;
    failures.truncate(MAX_ROWS);
    let reporter = report.organization_name.as_deref().unwrap_or_default();
    Ok(HeardReport {
        name: name(&report.report_id),
        reporter: name(if reporter.is_empty() { hearing.author } else { reporter }),
        contact: name(report.contact_info.as_deref().unwrap_or_default()),
        author: author_of(hearing),
        domain,
        begin: Timestamp(report.date_range.start_datetime.to_timestamp().saturating_mul(1_000)),
        end: Timestamp(report.date_range.end_datetime.to_timestamp().saturating_mul(1_000)),
        about: HeardAbout::Tls { good, bad, failures, more },
        letter: hearing.letter,
        received: hearing.received,
        is_unproved: hearing.is_unproved,
    })
}

fn of_complaint(
    body: &[u8],
    raw: &[u8],
    structure: &Structure,
    hearing: &Hearing<'_>,
) -> Result<HeardReport, Unread> {
    let feedback = Feedback::parse_arf(body).ok_or_else(|| unread("it is no complaint"))?;
    let returned = returned(raw, structure).unwrap_or_default();
    let of_author = returned.author.as_deref().and_then(|author| author.rsplit_once('@'));
    let named = feedback.reported_domain().first().map(|named| named.as_ref());
    let about = named.or_else(|| of_author.map(|(_, domain)| domain)).unwrap_or_default();
    let what = match feedback.feedback_type() {
        FeedbackType::Abuse => "abuse",
        FeedbackType::AuthFailure => "auth-failure",
        FeedbackType::Fraud => "fraud",
        FeedbackType::NotSpam => "not-spam",
        FeedbackType::Virus => "virus",
        FeedbackType::Other => "other",
    };
    let address = feedback.original_rcpt_to().map(|said| {
        let said = said.split_once(';').map_or(said, |(_, said)| said);
        name(said.trim().trim_matches(['<', '>']))
    });
    let reporter = match feedback.reporting_mta() {
        Some(said) => name(said.split_once(';').map_or(said, |(_, said)| said)),
        None => name(hearing.author.rsplit_once('@').map_or(hearing.author, |(_, domain)| domain)),
    };
    let digest = || Sha256::digest(raw).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(HeardReport {
        name: hearing.message_id.map_or_else(digest, name),
        reporter,
        contact: name(hearing.author),
        author: author_of(hearing),
        domain: domain(about)?,
        begin: hearing.received,
        end: hearing.received,
        about: HeardAbout::Complaint {
            what: what.to_owned(),
            source: feedback.source_ip(),
            address: address.filter(|address| address.contains('@')),
            message_id: returned.message_id,
            ids: returned.ids,
        },
        letter: hearing.letter,
        received: hearing.received,
        is_unproved: hearing.is_unproved,
    })
}
