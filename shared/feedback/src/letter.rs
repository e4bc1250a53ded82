//! The report as a letter (RFC 7489 section 7.2.1.1).

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use mail_auth::report::{
    ActionDisposition, AuthResult, DKIMAuthResult, DkimResult, DmarcResult, Identifier, PolicyEvaluated,
    PolicyOverride, PolicyOverrideReason, PolicyPublished, Record, Report, Row, SPFAuthResult,
    SPFDomainScope, SpfResult,
};
use pennypost_model::event::Verdict;
use pennypost_model::{EventId, Timestamp};
use pennypost_text::{Lang, Text, say};

use super::published::Published;
use super::seen::{Disposition, Reason, Seen, Sums};

/// Characters of a line of base64.
const LINE: usize = 76;

/// A report.
pub(crate) struct DmarcReport<'a> {
    pub id: EventId,
    pub published: &'a Published,
    /// In whose name it is written: an address here.
    pub from: &'a str,
    pub to: &'a [String],
    /// First and last second of the period.
    pub period: (Timestamp, Timestamp),
    pub now: Timestamp,
    pub sums: &'a Sums,
}

const fn spf(verdict: Verdict) -> SpfResult {
    match verdict {
        Verdict::None => SpfResult::None,
        Verdict::Pass => SpfResult::Pass,
        Verdict::Fail => SpfResult::Fail,
        Verdict::SoftFail => SpfResult::SoftFail,
        Verdict::Neutral => SpfResult::Neutral,
        Verdict::TempError => SpfResult::TempError,
        Verdict::PermError => SpfResult::PermError,
    }
}

const fn dkim(verdict: Verdict) -> DkimResult {
    match verdict {
        Verdict::None => DkimResult::None,
        Verdict::Pass => DkimResult::Pass,
        Verdict::Fail | Verdict::SoftFail => DkimResult::Fail,
        Verdict::Neutral => DkimResult::Neutral,
        Verdict::TempError => DkimResult::TempError,
        Verdict::PermError => DkimResult::PermError,
    }
}

const fn aligned(is_aligned: bool) -> DmarcResult {
    if is_aligned { DmarcResult::Pass } else { DmarcResult::Fail }
}

fn record(seen: &Seen, count: u64) -> Record {
    let reason = seen.reason.map(|reason| PolicyOverrideReason {
        type_: match reason {
            Reason::LocalPolicy => PolicyOverride::LocalPolicy,
            Reason::TrustedForwarder => PolicyOverride::TrustedForwarder,
        },
        comment: None,
    });
    // What is said of an EHLO name is left out by the document's writer, unless its scope is.
    let scope =
        if seen.envelope_from.is_empty() { SPFDomainScope::Unspecified } else { SPFDomainScope::MailFrom };
    Record {
        row: Row {
            source_ip: Some(seen.source),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            policy_evaluated: PolicyEvaluated {
                disposition: match seen.disposition {
                    Disposition::None => ActionDisposition::None,
                    Disposition::Quarantine => ActionDisposition::Quarantine,
                    Disposition::Reject => ActionDisposition::Reject,
                },
                dkim: aligned(seen.is_dkim_aligned),
                spf: aligned(seen.is_spf_aligned),
                reason: reason.into_iter().collect(),
            },
        },
        identifiers: Identifier {
            envelope_to: None,
            envelope_from: seen.envelope_from.clone(),
            header_from: seen.author.clone(),
        },
        auth_results: AuthResult {
            dkim: seen
                .signatures
                .iter()
                .map(|one| DKIMAuthResult {
                    domain: one.domain.clone(),
                    selector: one.selector.clone(),
                    result: dkim(one.result),
                    human_result: None,
                })
                .collect(),
            spf: vec![SPFAuthResult {
                domain: seen.spf_domain.clone(),
                scope,
                result: spf(seen.spf),
                human_result: None,
            }],
        },
        extensions: Vec::new(),
    }
}

impl DmarcReport<'_> {
    fn submitter(&self) -> &str {
        self.from.rsplit_once('@').map_or(self.from, |(_, domain)| domain)
    }

    /// The document (RFC 7489 appendix C, as its successor has it).
    fn document(&self) -> String {
        let seconds = |time: Timestamp| u64::try_from(time.0 / 1_000).unwrap_or_default();
        let Published { domain, record: policy } = self.published;
        let mut report = Report::new()
            .with_version(1.0)
            .with_org_name(self.submitter())
            .with_email(self.from)
            .with_report_id(self.id.to_string())
            .with_date_range_begin(seconds(self.period.0))
            .with_date_range_end(seconds(self.period.1))
            .with_policy_published(PolicyPublished::from_record(domain, policy));
        if self.sums.left_out > 0 {
            report = report.with_error(format!("{} more messages are not listed", self.sums.left_out));
        }
        for (seen, count) in &self.sums.rows {
            report.add_record(record(seen, *count));
        }
        report.to_xml()
    }

    fn compressed(&self) -> std::io::Result<Vec<u8>> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(self.document().as_bytes())?;
        gzip.finish()
    }

    /// The letter.
    ///
    /// # Errors
    /// None but of memory.
    pub(crate) fn message(&self) -> std::io::Result<Vec<u8>> {
        let DmarcReport { id, from, period: (start, end), .. } = self;
        let (domain, submitter) = (self.published.domain.as_str(), self.submitter());
        let boundary = format!("=_{id}");
        let total = |is_wanted: fn(&Seen) -> bool| {
            let counts = self.sums.rows.iter().filter(|(seen, _)| is_wanted(seen)).map(|(_, count)| count);
            counts.sum::<u64>().to_string()
        };
        let (good, bad) = (total(Seen::has_passed), total(|seen| !seen.has_passed()));
        let said = [Lang::En, Lang::ZhCn].map(|lang| {
            let (start, end) = (start.rfc3339(), end.rfc3339());
            let (good, bad) = (good.as_str(), bad.as_str());
            let text = Text::new(lang);
            say!(text, "dmarc-report", domain = domain, start = start, end = end, good = good, bad = bad)
        });
        let body = STANDARD.encode(self.compressed()?);
        let lines: Vec<&str> =
            (0..body.len()).step_by(LINE).filter_map(|at| body.get(at..body.len().min(at + LINE))).collect();
        let to: Vec<String> = self.to.iter().map(|address| format!("<{address}>")).collect();
        let (first, last) = (start.0 / 1_000, end.0 / 1_000);
        Ok(format!(
            "From: <{from}>\r\nTo: {to}\r\nSubject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{id}@{submitter}>\r\n\
             Date: {date}\r\nMessage-ID: <{id}@{submitter}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             {said}\r\n\r\n\
             --{boundary}\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n\tfilename=\"{submitter}!{domain}!{first}!{last}!{id}.xml.gz\"\r\n\r\n\
             {body}\r\n--{boundary}--\r\n",
            to = to.join(",\r\n "),
            date = self.now.rfc5322(),
            said = said.join("\r\n\r\n"),
            body = lines.join("\r\n"),
        )
        .into_bytes())
    }
}
