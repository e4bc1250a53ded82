//! The report as a letter (section 5.3).

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use pennypost_mime::{header_end, header_fields};
use pennypost_model::{EventId, Timestamp};
use pennypost_text::{Lang, Text, say};
use serde_json::{Value, json};

use super::sums::{PolicySums, Sums};

/// The field by which a report is known.
const SUBMITTER: &str = "TLS-Report-Submitter";
/// Characters of a line of base64.
const LINE: usize = 76;

/// A report.
pub(super) struct TlsReport<'a> {
    pub id: EventId,
    /// The domain that it is about.
    pub domain: &'a str,
    /// In whose name it is written: an address here.
    pub from: &'a str,
    pub to: &'a [String],
    /// First and last second of the period.
    pub period: (Timestamp, Timestamp),
    pub now: Timestamp,
    pub sums: &'a Sums,
}

impl TlsReport<'_> {
    fn submitter(&self) -> &str {
        self.from.rsplit_once('@').map_or(self.from, |(_, domain)| domain)
    }

    /// The document (section 4.4).
    fn document(&self) -> Value {
        let policies: Vec<Value> = self.sums.policies.iter().map(|one| self.policy(one)).collect();
        json!({
            "organization-name": self.submitter(),
            "date-range": {
                "start-datetime": self.period.0.rfc3339(),
                "end-datetime": self.period.1.rfc3339(),
            },
            "contact-info": self.from,
            "report-id": self.id.to_string(),
            "policies": policies,
        })
    }

    fn policy(&self, PolicySums { policy, successes, failed, failures }: &PolicySums) -> Value {
        let mut about = json!({ "policy-type": policy.kind.name(), "policy-domain": self.domain });
        for (name, list) in [("policy-string", &policy.strings), ("mx-host", &policy.hosts)] {
            if !list.is_empty() {
                about[name] = json!(list);
            }
        }
        let failures: Vec<Value> = failures
            .iter()
            .map(|(failure, count)| {
                json!({
                    "result-type": failure.fault.name(),
                    "receiving-mx-hostname": failure.host,
                    "receiving-ip": failure.ip.to_string(),
                    "failed-session-count": count,
                    "failure-reason-code": failure.cause,
                })
            })
            .collect();
        let mut policy = json!({
            "policy": about,
            "summary": { "total-successful-session-count": successes, "total-failure-session-count": failed },
        });
        if !failures.is_empty() {
            policy["failure-details"] = failures.into();
        }
        policy
    }

    fn compressed(&self) -> std::io::Result<Vec<u8>> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(self.document().to_string().as_bytes())?;
        gzip.finish()
    }

    /// The letter.
    ///
    /// # Errors
    /// None but of memory.
    pub(super) fn message(&self) -> std::io::Result<Vec<u8>> {
        let TlsReport { id, domain, from, period: (start, end), .. } = self;
        let (submitter, boundary) = (self.submitter(), format!("=_{id}"));
        let total =
            |count: fn(&PolicySums) -> u64| self.sums.policies.iter().map(count).sum::<u64>().to_string();
        let (good, bad) = (total(|one| one.successes), total(|one| one.failed));
        let said = [Lang::En, Lang::ZhCn].map(|lang| {
            let (start, end) = (start.rfc3339(), end.rfc3339());
            let (good, bad) = (good.as_str(), bad.as_str());
            let text = Text::new(lang);
            say!(text, "tls-report", domain = *domain, start = start, end = end, good = good, bad = bad)
        });
        let body = STANDARD.encode(self.compressed()?);
        let lines: Vec<&str> =
            (0..body.len()).step_by(LINE).filter_map(|at| body.get(at..body.len().min(at + LINE))).collect();
        let to: Vec<String> = self.to.iter().map(|address| format!("<{address}>")).collect();
        let (first, last) = (start.0 / 1_000, end.0 / 1_000);
        Ok(format!(
            "From: <{from}>\r\nTo: {to}\r\nSubject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{id}@{submitter}>\r\n\
             Date: {date}\r\nMessage-ID: <{id}@{submitter}>\r\nTLS-Report-Domain: {domain}\r\n{SUBMITTER}: {submitter}\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             {said}\r\n\r\n\
             --{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n\tfilename=\"{submitter}!{domain}!{first}!{last}!{id}.json.gz\"\r\n\r\n\
             {body}\r\n--{boundary}--\r\n",
            to = to.join(",\r\n "),
            date = self.now.rfc5322(),
            said = said.join("\r\n\r\n"),
            body = lines.join("\r\n"),
        )
        .into_bytes())
    }
}

/// Is a letter of the post office itself such a report?
pub(crate) fn is_report(letter: &[u8]) -> bool {
    let header = letter.get(..header_end(letter)).unwrap_or_default();
    header_fields(header).any(|(name, ..)| name.eq_ignore_ascii_case(SUBMITTER.as_bytes()))
}
