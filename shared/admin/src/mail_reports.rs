//! Reports of other organisations about a tenant's mail: at which of its addresses they come in, and what they say.

use std::collections::BTreeSet;

use pennypost_directory::{DirectoryError, ReportAddresses};
use pennypost_feedback::{HeardAbout, HeardCounts, HeardKind, HeardReport};
use pennypost_model::{EventId, TenantId, Timestamp, codec};
use pennypost_ports::{LogKind, LogQuery};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::quoted;
use crate::{AdminError, Administration, Conflict, Invalid};

/// Records that are read for a page, at most: of one that wants few of many there may be fewer than asked for.
const READ: usize = 1_000;

/// Which reports are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeardQuery {
    /// Whose period begins then or later.
    pub from: Option<Timestamp>,
    /// Whose period begins before that.
    pub until: Option<Timestamp>,
    /// About that domain.
    pub domain: Option<String>,
    /// Of that kind.
    pub kind: Option<HeardKind>,
}

impl HeardQuery {
    fn wants(&self, report: &HeardReport) -> bool {
        self.from.is_none_or(|from| report.begin >= from)
            && self.until.is_none_or(|until| report.begin < until)
            && self.domain.as_ref().is_none_or(|domain| report.domain.eq_ignore_ascii_case(domain))
            && self.kind.is_none_or(|kind| report.about.kind() == kind)
    }
}

fn shown(addresses: &ReportAddresses) -> Value {
    json!(addresses.0.iter().map(ToString::to_string).collect::<Vec<_>>())
}

impl Administration {
    /// The addresses at which reports come in.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn report_addresses(
        &self,
        call: &Call,
        tenant: TenantId,
    ) -> Result<ReportAddresses, AdminError> {
        call.may(Action::ReportAddressesRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        Ok(self.directory.report_addresses(tenant).await?)
    }

    /// Says other ones, if those that hold are still as `expected`. What comes in from then on is read.
    ///
    /// # Errors
    /// [`Invalid::NoAccount`] for an address at which nobody gets mail in this organisation, or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_report_addresses(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &ReportAddresses,
        addresses: &ReportAddresses,
    ) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::ReportAddressesChange, "report-addresses")
            .from(shown(expected))
            .to(shown(addresses));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        self.act(call, &about, async {
            match self.directory.change_report_addresses(tenant, expected, addresses).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(AdminError::Changed),
                Err(DirectoryError::NoAccount(_)) => Err(Invalid::NoAccount.into()),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Reports that have come in, as far back as the plan shows, by the begin of their periods, the earliest first, behind an id;
    /// perhaps fewer than asked for, even none, though more follow. With the id behind which the next ones are. A query of the log.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn heard_reports(
        &self,
        call: &Call,
        tenant: TenantId,
        query: &HeardQuery,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<HeardReport>, Option<EventId>), AdminError> {
        call.may(Action::HeardReportRead, &Scope::Tenant(tenant))?;
        let since = self.shown_since(tenant).await?;
        let Some(log) = &self.log else { return Err(AdminError::Conflict(Conflict::NoRecord)) };
        let begin = EventId::from_parts(query.from.map_or(since, |from| from.max(since)), 0);
        let next = |id: EventId| {
            let id = u128::from_be_bytes(id.to_bytes()).saturating_add(1);
            EventId::from_bytes(id.to_be_bytes())
        };
        let from = after.map_or(begin, |after| next(after).max(begin));
        let to = query.until.map_or(Timestamp(i64::MAX >> 16), |until| until);
        let to = EventId::from_parts(to, 0);
        let found = log.query(&LogQuery { tenant, kind: LogKind::Heard, from, to, limit: READ }).await?;
        let (mut reports, mut last, mut seen) = (Vec::new(), None, BTreeSet::new());
        let is_whole = found.len() < READ;
        for record in found {
            if reports.len() >= limit {
                return Ok((reports, last));
            }
            last = Some(record.id);
            // One that was noted twice, by two who did so at once, stands twice.
            if !seen.insert(record.id) {
                continue;
            }
            match codec::decode::<HeardReport>(&record.value) {
                Ok(report) if query.wants(&report) => reports.push(report),
                Ok(_) => {}
                Err(error) => tracing::warn!(%tenant, %error, "a report that has come in can't be read"),
            }
        }
        Ok((reports, last.filter(|_| !is_whole)))
    }
}

/// Reports as CSV with a line of names: a line for each source of one of DMARC, for each failure of one of TLS (or one without any),
/// and for each complaint.
#[must_use]
pub fn heard_reports_csv(reports: &[HeardReport]) -> String {
    let mut text = String::from(
        "kind,domain,reporter,report,begin,end,source,author,passed,failed,dkim,spf,quarantined,rejected,what,host,address\r\n",
    );
    for report in reports {
        for rest in rows(&report.about) {
            let first = [
                report.about.kind().name().to_owned(),
                report.domain.clone(),
                report.reporter.clone(),
                report.name.clone(),
                report.begin.rfc3339(),
                report.end.rfc3339(),
            ];
            let cells: Vec<String> = first.iter().chain(&rest).map(|cell| quoted(cell)).collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
    }
    text
}

/// What stands behind the sixth column.
fn rows(about: &HeardAbout) -> Vec<[String; 11]> {
    let ip = |source: &Option<std::net::IpAddr>| source.map(|ip| ip.to_string()).unwrap_or_default();
    let cells = |[source, author]: [String; 2],
                 counts: [Option<u64>; 6],
                 [what, host, address]: [String; 3]| {
        let [a, b, c, d, e, f] = counts.map(|count| count.map(|count| count.to_string()).unwrap_or_default());
        [source, author, a, b, c, d, e, f, what, host, address]
    };
    let none = String::new;
    match about {
        HeardAbout::Dmarc { sources, .. } => sources
            .iter()
            .map(|one| {
                let HeardCounts { passed, failed, dkim, spf, quarantined, rejected } = one.counts;
                let counts = [passed, failed, dkim, spf, quarantined, rejected].map(Some);
                cells([ip(&one.source), one.author.clone()], counts, [none(), none(), none()])
            })
            .collect(),
        HeardAbout::Tls { good, bad, failures, .. } => {
            let mut rows = vec![cells(
                [none(), none()],
                [Some(*good), Some(*bad), None, None, None, None],
                [none(), none(), none()],
            )];
            rows.extend(failures.iter().map(|one| {
                let counts = [None, Some(one.count), None, None, None, None];
                cells([ip(&one.source), none()], counts, [one.what.clone(), one.host.clone(), none()])
            }));
            rows
        }
        HeardAbout::Complaint { what, source, address, .. } => {
            let said = [what.clone(), none(), address.clone().unwrap_or_default()];
            vec![cells([ip(source), none()], [None; 6], said)]
        }
    }
}
