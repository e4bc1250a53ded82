//! Checks of domains whose zones are the test's.

use std::collections::HashMap;
use std::net::IpAddr;

use async_trait::async_trait;
use pennypost_domains::{
    Challenge, DkimRecord, Fault, Proof, Question, Report, Service, Subject, TlsMode, TlsPolicy, Verdict,
    check, prove, wanted,
};
use pennypost_model::Timestamp;
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord, FetchError, Https, HttpsRequest};

#[derive(Default)]
struct Zone {
    records: HashMap<(String, DnsKind), Vec<DnsRecord>>,
    policy: Option<String>,
    silent: Option<&'static str>,
}

impl Zone {
    /// Lines as `NAME KIND VALUE`.
    fn of(lines: &[&str]) -> Zone {
        let mut zone = Zone::default();
        for line in lines {
            let mut words = line.splitn(3, ' ');
            let [name, kind, value] = [(); 3].map(|()| words.next().expect("three words"));
            let mut parts = value.split(' ');
            let mut number = || parts.next().and_then(|part| part.parse().ok()).expect("a number");
            let (kind, record) = match kind {
                "A" => (DnsKind::Address, DnsRecord::Address(value.parse::<IpAddr>().expect("an address"))),
                "CNAME" => (DnsKind::Cname, DnsRecord::Cname(value.to_owned())),
                "TXT" => (DnsKind::Txt, DnsRecord::Txt(value.to_owned())),
                "MX" => {
                    let preference = number();
                    (
                        DnsKind::Mx,
                        DnsRecord::Mx { preference, host: parts.next().unwrap_or_default().to_owned() },
                    )
                }
                "SRV" => {
                    let (priority, weight, port) = (number(), number(), number());
                    let host = parts.next().expect("a host").to_owned();
                    (DnsKind::Srv, DnsRecord::Srv { priority, weight, port, host })
                }
                other => panic!("what is {other}?"),
            };
            zone.records.entry((name.to_owned(), kind)).or_default().push(record);
        }
        zone
    }
}

#[async_trait]
impl Dns for Zone {
    async fn look_up(&self, name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        if self.silent.is_some_and(|silent| name.ends_with(silent)) {
            return Err(DnsError("timed out".to_owned()));
        }
        Ok(self.records.get(&(name.to_owned(), kind)).cloned().unwrap_or_default())
    }
}

#[async_trait]
impl Https for Zone {
    async fn fetch(&self, host: &str, path: &str) -> Result<Vec<u8>, FetchError> {
        assert_eq!((host, path), ("mta-sts.acme.example", "/.well-known/mta-sts.txt"));
        self.policy.clone().map(String::into_bytes).ok_or(FetchError::Status(404))
    }

    async fn ask(&self, _request: &HttpsRequest<'_>) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::NoHost)
    }
}

const OURS: &str = "mx.post.example A 192.0.2.10";

fn service() -> Service {
    let spf = "include:spf.post.example".to_owned();
    let reports = Some("reports@post.example".to_owned());
    Service { spf, reports, setup: Some("mx.post.example".to_owned()), ..Service::at("mx.post.example") }
}

async fn report(zone: &Zone, keys: &[DkimRecord]) -> Report {
    with_policy(zone, keys, None).await
}

async fn with_policy(zone: &Zone, keys: &[DkimRecord], policy: Option<&TlsPolicy>) -> Report {
    let service = service();
    let question = Question { domain: "acme.example", service: &service, keys, policy };
    check(zone, zone, question, Timestamp(7)).await
}

fn one(report: &Report, subject: Subject) -> (Verdict, Vec<Fault>) {
    let checked = report.checked.iter().find(|checked| checked.subject == subject).expect("looked at");
    (checked.verdict, checked.faults.clone())
}

fn key() -> DkimRecord {
    let value = "v=DKIM1; k=ed25519; p=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned();
    DkimRecord { selector: "pp1".to_owned(), value, is_needed: true }
}

/// What is asked for is enough: a zone with exactly the records that are wanted is good in every point.
#[tokio::test]
async fn what_is_wanted_is_what_is_checked() {
    let keys = [key()];
    let policy = TlsPolicy { mode: TlsMode::Enforce, max_age: 604_800 };
    let wanted = wanted("acme.example", &service(), &keys, Some(&policy));
    let lines: Vec<String> =
        wanted.iter().map(|record| format!("{} {} {}", record.name, record.kind, record.value)).collect();
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.extend([OURS, "spf.post.example TXT v=spf1 ip4:192.0.2.0/24 -all"]);
    let mut zone = Zone::of(&lines);
    zone.policy =
        Some("version: STSv1\r\nmode: enforce\r\nmx: mx.post.example\r\nmax_age: 604800\r\n".to_owned());
    assert_eq!(zone.policy, Some(policy.text(&service())));
    let report = with_policy(&zone, &keys, Some(&policy)).await;
    assert!(report.checked.len() >= 12, "{report:?}");
    for checked in &report.checked {
        assert_eq!((checked.verdict, &*checked.faults), (Verdict::Good, &[][..]), "{checked:?}");
    }
    assert!(report.takes_mail() == Some(true) && report.is_protected());
    let line = wanted.iter().map(|record| record.line()).find(|line| line.contains("_imaps")).expect("SRV");
    assert_eq!(line, "_imaps._tcp.acme.example. 3600 IN SRV 0 1 993 mx.post.example.");
}

#[tokio::test]
async fn an_empty_zone_lacks_everything_and_a_silent_one_is_unknown() {
    let empty = report(&Zone::default(), &[key()]).await;
    assert!(empty.checked.iter().all(|checked| checked.verdict == Verdict::Missing), "{empty:?}");
    assert_eq!(empty.takes_mail(), Some(false));
    let silent = Zone { silent: Some("example"), ..Zone::default() };
    let silent = report(&silent, &[key()]).await;
    assert!(silent.checked.iter().all(|checked| checked.verdict == Verdict::Unknown), "{silent:?}");
    assert_eq!(silent.takes_mail(), None);
}

#[tokio::test]
async fn exchangers() {
    for (lines, expected) in [
        (&["acme.example MX 10 mx.post.example"][..], (Verdict::Good, vec![])),
        (&["acme.example MX 0 "], (Verdict::Wrong, vec![Fault::NullMx])),
        (&["acme.example MX 10 mx.old.example"], (Verdict::Wrong, vec![Fault::NoHostOfOurs])),
        (
            &["acme.example MX 10 mx.old.example", "acme.example MX 20 mx.post.example"],
            (Verdict::Wrong, vec![Fault::OthersFirst("mx.old.example".to_owned())]),
        ),
        (
            &["acme.example MX 20 mx.old.example", "acme.example MX 10 mx.post.example"],
            (Verdict::Warning, vec![Fault::OthersToo("mx.old.example".to_owned())]),
        ),
    ] {
        assert_eq!(one(&report(&Zone::of(lines), &[]).await, Subject::Mx), expected, "{lines:?}");
    }
}

#[tokio::test]
async fn senders() {
    let passes = "spf.post.example TXT v=spf1 ip4:192.0.2.10 -all";
    let chain: Vec<String> = (0..12)
        .map(|n| format!("i{n}.example TXT v=spf1 include:i{}.example ?all", n + 1))
        .chain(["i12.example TXT v=spf1 ip4:198.51.100.1 ?all".to_owned()])
        .collect();
    let with = |record: &str| -> Vec<String> {
        let mut lines = vec![OURS.to_owned(), passes.to_owned(), format!("acme.example TXT {record}")];
        lines.extend(chain.iter().cloned());
        lines
    };
    let ours = "mx.post.example (192.0.2.10)".to_owned();
    for (record, verdict, faults) in [
        ("v=spf1 include:spf.post.example ~all", Verdict::Good, vec![]),
        ("v=spf1 redirect=spf.post.example", Verdict::Good, vec![]),
        ("v=spf1 ip4:192.0.2.0/28 -all", Verdict::Good, vec![]),
        ("v=spf1 include:spf.post.example", Verdict::Warning, vec![Fault::NoEnd]),
        ("v=spf1 +all", Verdict::Wrong, vec![Fault::LetsEverybody]),
        ("v=spf1 -all", Verdict::Wrong, vec![Fault::DoesNotPass(ours.clone())]),
        ("v=spf1 ip4:192.0.2.300 -all", Verdict::Wrong, vec![Fault::Syntax("ip4:192.0.2.300".to_owned())]),
        (
            "v=spf1 include:nowhere.example -all",
            Verdict::Wrong,
            vec![Fault::IncludesNothing("nowhere.example".to_owned())],
        ),
        (
            "v=spf1 include:i0.example include:spf.post.example -all",
            Verdict::Wrong,
            vec![Fault::TooManyLookUps(14)],
        ),
        (
            "v=spf1 a:a.example a:b.example a:c.example include:spf.post.example -all",
            Verdict::Wrong,
            vec![Fault::TooManyVoid(3)],
        ),
        ("v=spf1 exists:%{i}.x.example -all", Verdict::Warning, vec![Fault::Macros]),
    ] {
        let lines = with(record);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(one(&report(&Zone::of(&lines), &[]).await, Subject::Spf), (verdict, faults), "{record}");
    }
    let two = ["acme.example TXT v=spf1 -all", "acme.example TXT v=spf1 mx -all", "acme.example TXT other"];
    assert_eq!(
        one(&report(&Zone::of(&two), &[]).await, Subject::Spf),
        (Verdict::Wrong, vec![Fault::Several(2)])
    );
    // Two that include each other end.
    let circle = ["acme.example TXT v=spf1 include:acme.example -all", OURS];
    let (verdict, faults) = one(&report(&Zone::of(&circle), &[]).await, Subject::Spf);
    assert!(verdict == Verdict::Wrong && matches!(faults[..], [Fault::TooManyLookUps(_), ..]), "{faults:?}");
}

#[tokio::test]
async fn signatures_and_forgeries() {
    let wanted = key().value;
    let with = |tag: &str| format!("{wanted}; {tag}");
    for (value, expected) in [
        (wanted.as_str(), (Verdict::Good, vec![])),
        ("v=DKIM1; k=ed25519; p=", (Verdict::Wrong, vec![Fault::Revoked])),
        ("v=DKIM1; k=ed25519; p=AAAA", (Verdict::Wrong, vec![Fault::OtherKey])),
        ("v=DKIM1; k=ed25519; p=***", (Verdict::Wrong, vec![Fault::Syntax("p=".to_owned())])),
        ("v=DKIM1 k", (Verdict::Wrong, vec![Fault::Syntax("v=DKIM1 k".to_owned())])),
        (with("h=sha1").as_str(), (Verdict::Wrong, vec![Fault::Syntax("h=sha1".to_owned())])),
        (with("h=sha1:SHA256").as_str(), (Verdict::Good, vec![])),
        (with("s=calendar").as_str(), (Verdict::Wrong, vec![Fault::Syntax("s=calendar".to_owned())])),
    ] {
        let zone = Zone::of(&[&format!("pp1._domainkey.acme.example TXT {value}")]);
        assert_eq!(one(&report(&zone, &[key()]).await, Subject::Dkim), expected, "{value}");
    }
    assert_eq!(
        one(&report(&Zone::default(), &[]).await, Subject::Dkim),
        (Verdict::Missing, vec![Fault::NoKey])
    );
    // What is no longer used may be gone.
    let retired = DkimRecord { is_needed: false, ..key() };
    let retired = [retired];
    assert_eq!(one(&report(&Zone::default(), &retired).await, Subject::Dkim), (Verdict::Good, vec![]));
    let still = Zone::of(&["pp1._domainkey.acme.example TXT v=DKIM1; p="]);
    let told = (Verdict::Good, vec![Fault::NoLongerUsed]);
    assert_eq!(one(&report(&still, &retired).await, Subject::Dkim), told);
    for (value, verdict, faults, protected) in [
        ("v=DMARC1; p=reject; rua=mailto:a@b.example", Verdict::Good, vec![], true),
        ("v=DMARC1; p=quarantine", Verdict::Good, vec![Fault::NoReports], true),
        ("v=DMARC1; p=none; rua=mailto:a@b.example", Verdict::Warning, vec![Fault::OnlyWatches], false),
        (
            "v=DMARC1; p=reject; pct=50; rua=mailto:a@b.example",
            Verdict::Warning,
            vec![Fault::OnlyAPart(50)],
            true,
        ),
        ("v=DMARC1; p=refuse", Verdict::Wrong, vec![Fault::Syntax("refuse".to_owned())], false),
    ] {
        let zone = Zone::of(&[&format!("_dmarc.acme.example TXT {value}")]);
        let report = report(&zone, &[]).await;
        assert_eq!(one(&report, Subject::Dmarc), (verdict, faults), "{value}");
        assert_eq!(report.is_protected(), protected, "{value}");
    }
}

#[tokio::test]
async fn policies_for_tls() {
    let record = "_mta-sts.acme.example TXT v=STSv1; id=20261121T000000";
    for (policy, verdict, faults) in [
        (None, Verdict::Wrong, vec![Fault::PolicyNotThere("HTTP status 404".to_owned())]),
        (
            Some("version: STSv1\r\nmode: testing\r\nmx: mx.post.example\r\nmax_age: 86400\r\n"),
            Verdict::Warning,
            vec![Fault::PolicyTests],
        ),
        (
            Some("version: STSv1\nmode: enforce\nmx: *.example\nmax_age: 60\n"),
            Verdict::Wrong,
            vec![Fault::PolicyIsShort, Fault::PolicyLacks("mx.post.example".to_owned())],
        ),
        (Some("<html>"), Verdict::Wrong, vec![Fault::Syntax("version:".to_owned())]),
    ] {
        let zone = Zone { policy: policy.map(str::to_owned), ..Zone::of(&[record]) };
        assert_eq!(one(&report(&zone, &[]).await, Subject::MtaSts), (verdict, faults), "{policy:?}");
    }
    // One that nobody publishes is not looked for; one that is set here has to be there, and no other.
    let none = report(&Zone::default(), &[]).await;
    assert!(none.checked.iter().all(|checked| checked.subject != Subject::MtaSts));
    let own = TlsPolicy { mode: TlsMode::Testing, max_age: 86_400 };
    let other = TlsPolicy { mode: TlsMode::Enforce, ..own };
    assert!(own.check().is_ok() && TlsPolicy { max_age: 86_399, ..own }.check().is_err());
    let missing = with_policy(&Zone::default(), &[], Some(&own)).await;
    assert_eq!(one(&missing, Subject::MtaSts), (Verdict::Missing, vec![Fault::NoRecord]));
    assert_eq!(one(&missing, Subject::MtaStsHost), (Verdict::Missing, vec![Fault::NoRecord]));
    let record = format!("_mta-sts.acme.example TXT v=STSv1; id={}", own.id(&service()));
    let served = |policy: TlsPolicy| Zone { policy: Some(policy.text(&service())), ..Zone::of(&[&record]) };
    let good = with_policy(&served(own), &[], Some(&own)).await;
    assert_eq!(one(&good, Subject::MtaSts), (Verdict::Warning, vec![Fault::PolicyTests]));
    let stale = with_policy(&served(own), &[], Some(&other)).await;
    let faults = vec![Fault::OldPolicy, Fault::OtherPolicy, Fault::PolicyTests];
    assert_eq!(one(&stale, Subject::MtaSts), (Verdict::Wrong, faults));
    // Hosts that are others now are another policy.
    let moved = Service { mx: vec![], ..service() };
    assert_ne!(own.id(&moved), own.id(&service()));
}

#[tokio::test]
async fn whose_a_domain_is() {
    let service = Service { ownership_host: Some("verify.post.example".to_owned()), ..service() };
    let challenge = Challenge::of(1, 2, 3);
    let wanted = challenge.wanted("acme.example", &service);
    assert_eq!(wanted[1].name, "pennypost00000003.acme.example");
    for record in &wanted {
        let zone = Zone::of(&[&format!("{} {} {}", record.name, record.kind, record.value)]);
        assert!(
            matches!(prove(&zone, "acme.example", &challenge, &service).await, Proof::Shown(_)),
            "{record:?}"
        );
    }
    let not = async |zone: Zone| match prove(&zone, "acme.example", &challenge, &service).await {
        Proof::NotShown(checked) => (checked.verdict, checked.faults),
        Proof::Shown(checked) => panic!("{checked:?}"),
    };
    assert_eq!(not(Zone::default()).await, (Verdict::Missing, vec![Fault::NoRecord]));
    let other = Zone::of(&["_pennypost-challenge.acme.example TXT pennypost-verification=00"]);
    assert_eq!(not(other).await, (Verdict::Wrong, vec![Fault::OtherToken]));
    let wild = Zone::of(&[
        "pennypost00000003.acme.example CNAME verify.post.example",
        "pennypost-no-00000003.acme.example CNAME verify.post.example",
    ]);
    assert_eq!(not(wild).await, (Verdict::Wrong, vec![Fault::Wildcard]));
    let silent = Zone { silent: Some("acme.example"), ..Zone::default() };
    assert_eq!(not(silent).await.0, Verdict::Unknown);
}
