//! Reports of DMARC from end to end: letters come in by SMTP, the day passes, and those whose names they bear are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mail_auth::report::{ActionDisposition, DkimResult, DmarcResult, PolicyOverride, Report, SpfResult};
use pennypost_feedback::{DmarcReports, DmarcTally};
use pennypost_model::Timestamp;
use pennypost_model::event::{Accepted, SourceKind, Via};
use pennypost_ports::Clock;

use crate::authentication::{asking, deliver, key};
use crate::dns::Zone;
use crate::office::{Office, sample};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Noon of a day.
const NOON: i64 = 20_776 * DAY + DAY / 2;

/// The clock of what counts.
struct Hands(AtomicI64);

#[async_trait]
impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _duration: Duration) {}
}

struct Place {
    office: Office,
    hands: Arc<Hands>,
    tally: Arc<DmarcTally>,
    reports: DmarcReports,
}

impl Place {
    async fn open(zone: Zone) -> Place {
        let server = zone.serve().await;
        let office = Office::open(asking(server)).await;
        let hands = Arc::new(Hands(AtomicI64::new(NOON)));
        let (tally, reports) = Place::process(&office, &hands, server);
        let _ = office.adapter.dmarc.set(Arc::clone(&tally));
        Place { office, hands, tally, reports }
    }

    /// What counts and tells in one process.
    fn process(
        office: &Office,
        hands: &Arc<Hands>,
        server: std::net::SocketAddr,
    ) -> (Arc<DmarcTally>, DmarcReports) {
        let (dns, _) = pennypost_lookup::over(&[server]).expect("DNS");
        let (control, clock) = (office.store.control(), Arc::clone(hands) as Arc<dyn Clock>);
        let tally = Arc::new(DmarcTally::new(control, dns, clock, Duration::from_secs(86_400)));
        let ways = (office.store.queue(), office.store.objects());
        let directory = office.adapter.directory.clone();
        (Arc::clone(&tally), DmarcReports::new(tally, directory, ways, "ada@acme.example"))
    }

    async fn sent(&self) -> Vec<(Accepted, Report, String)> {
        self.reports.send_due().await.expect("sent");
        let letters = self.office.accepted().await.into_iter().map(|(accepted, raw)| {
            let report = Report::parse_rfc5322(&raw, 1 << 20).expect("a report");
            (accepted, report, String::from_utf8(raw).expect("text"))
        });
        letters.collect()
    }
}

fn zone() -> Zone {
    let wanted =
        "v=DMARC1; p=reject; rua=mailto:dmarc@sample.test!10m,mailto:d@agrees.test,mailto:d@stranger.test";
    Zone::new()
        .txt("test._domainkey.sample.test", &key())
        .txt("sample.test", "v=spf1 ip4:192.0.2.1 -all")
        .txt("_dmarc.sample.test", wanted)
        .txt("sample.test._report._dmarc.agrees.test", "v=DMARC1")
        .txt("good.test", "v=spf1 ip4:127.0.0.0/8 -all")
        .txt("_dmarc.good.test", "v=DMARC1; p=quarantine; rua=mailto:dmarc@good.test")
        .a("sub.good.test", [192, 0, 2, 1])
        .txt("_dmarc.tiny.test", "v=DMARC1; p=none; rua=mailto:dmarc@tiny.test!1k")
        .txt("_dmarc.silent.test", "v=DMARC1; p=none")
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_are_told_what_came_in_their_name() {
    let it = Place::open(zone()).await;
    let letter = |from: &str| format!("From: {from}\r\nSubject: hello\r\n\r\nhello\r\n").into_bytes();
    for _ in 0..2 {
        let reply = deliver(&it.office, "ada@sample.test", &sample("dkim-relaxed.eml")).await;
        assert!(reply.starts_with("250"), "{reply}");
    }
    for (path, author, code) in [
        ("x@good.test", "ada@sample.test", "550 5.7.1"),
        ("x@good.test", "x@sub.good.test", "250"),
        ("x@elsewhere.test", "x@good.test", "250"),
        ("x@elsewhere.test", "x@tiny.test", "250"),
        ("x@elsewhere.test", "x@silent.test", "250"),
        ("x@elsewhere.test", "x@nothing.test", "250"),
    ] {
        let reply = deliver(&it.office, path, &letter(author)).await;
        assert!(reply.starts_with(code), "{author}: {reply}");
    }
    assert_eq!(it.office.accepted().await.len(), 7);
    for _ in 0..2 {
        it.tally.put_down().await;
    }
    assert!(it.sent().await.is_empty(), "the day is not over");

    it.hands.0.fetch_add(DAY, Ordering::SeqCst);
    let mut sent = it.sent().await;
    sent.sort_by_key(|(_, report, _)| report.domain().to_owned());
    let [good, sample] = &sent[..] else { panic!("{sent:?}") };

    let (accepted, report, text) = sample;
    let to: Vec<&str> = accepted.recipients.iter().map(|one| one.address.as_str()).collect();
    assert_eq!(to, ["dmarc@sample.test", "d@agrees.test"], "whoever has not agreed gets none");
    assert!(accepted.recipients.iter().all(|one| one.via == Via::Outside));
    assert!(matches!(accepted.source.kind, SourceKind::Notice(_)) && accepted.reverse_path.is_empty());
    let (begin, end) = ((NOON - DAY / 2) / 1_000, (NOON + DAY / 2) / 1_000 - 1);
    let id = accepted.id;
    for part in [
        format!(
            "Subject: Report Domain: sample.test\r\n Submitter: acme.example\r\n Report-ID: <{id}@acme.example>\r\n"
        ),
        format!("filename=\"acme.example!sample.test!{begin}!{end}!{id}.xml.gz\""),
    ] {
        assert!(text.contains(&part), "{text}");
    }
    assert_eq!(
        (report.domain(), report.org_name(), report.email()),
        ("sample.test", "acme.example", "ada@acme.example")
    );
    assert_eq!((report.date_range_begin(), report.date_range_end()), (begin as u64, end as u64));
    assert_eq!(report.p(), mail_auth::report::Disposition::Reject);
    let mut rows: Vec<_> = report.records().to_vec();
    rows.sort_by_key(|row| row.row.count);
    let [refused, passed] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((passed.row.count, passed.row.source_ip), (2, Some([127, 0, 0, 1].into())));
    let evaluated = &passed.row.policy_evaluated;
    assert_eq!((evaluated.dkim, evaluated.spf), (DmarcResult::Pass, DmarcResult::Fail));
    assert_eq!(evaluated.disposition, ActionDisposition::None);
    let [signature] = &passed.auth_results.dkim[..] else { panic!("{passed:?}") };
    assert_eq!((signature.domain.as_str(), signature.selector.as_str()), ("sample.test", "test"));
    assert_eq!((signature.result, passed.auth_results.spf[0].result), (DkimResult::Pass, SpfResult::Fail));
    let evaluated = &refused.row.policy_evaluated;
    assert_eq!((refused.row.count, evaluated.disposition), (1, ActionDisposition::Reject));
    assert_eq!((evaluated.dkim, evaluated.spf), (DmarcResult::Fail, DmarcResult::Fail));
    assert_eq!(
        (refused.identifiers.envelope_from.as_str(), refused.identifiers.header_from.as_str()),
        ("good.test", "sample.test")
    );

    // One report for a policy, whosever names it holds for.
    let (accepted, report, text) = good;
    assert_eq!(accepted.recipients.len(), 1);
    let mut rows: Vec<_> = report
        .records()
        .iter()
        .map(|row| (row.identifiers.header_from.as_str(), row.row.policy_evaluated.disposition))
        .collect();
    rows.sort_by_key(|row| row.0);
    assert_eq!(
        rows,
        [("good.test", ActionDisposition::Quarantine), ("sub.good.test", ActionDisposition::None)]
    );
    // Neither who got them nor who wrote them is told.
    let xml = format!("{report:?}");
    assert!(!text.contains("x@") && !xml.contains("x@") && !xml.contains("acme.example\", header"), "{xml}");

    // They are told once, and where there is no room, not at all.
    assert!(it.sent().await.is_empty());
    assert!(it.office.store.control().query("dmarc-results", "", None, 10).await.expect("read").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_organisation_wants_otherwise_is_told_as_its_word() {
    let it = Place::open(zone()).await;
    let change = |policy: &mut pennypost_directory::TenantPolicy| {
        policy.dmarc_reject = false;
        policy.add_to_whitelist("good.test")
    };
    it.office.adapter.directory.update_policy(it.office.tenant, change).await.expect("policy");
    for (path, author) in [("x@elsewhere.test", "ada@sample.test"), ("x@elsewhere.test", "x@good.test")] {
        let letter = format!("From: {author}\r\nSubject: hello\r\n\r\nhello\r\n");
        let reply = deliver(&it.office, path, letter.as_bytes()).await;
        assert!(reply.starts_with("250"), "{reply}");
    }
    it.office.accepted().await;
    it.tally.put_down().await;
    it.hands.0.fetch_add(DAY, Ordering::SeqCst);
    let mut told: Vec<_> = Vec::new();
    for (_, report, _) in it.sent().await {
        let [row] = report.records() else { panic!("{report:?}") };
        let evaluated = row.row.policy_evaluated.clone();
        told.push((report.domain().to_owned(), evaluated.disposition, evaluated.reason[0].type_));
    }
    told.sort_by_key(|one| one.0.clone());
    let own = PolicyOverride::LocalPolicy;
    assert_eq!(
        told,
        [
            ("good.test".to_owned(), ActionDisposition::None, own),
            ("sample.test".to_owned(), ActionDisposition::Quarantine, own)
        ]
    );
}
