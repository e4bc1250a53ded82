use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_model::{EventId, Timestamp, codec};
use pennypost_ports::{Clock, Control, Dns, DnsError, DnsKind, DnsRecord};
use serde_json::Value;

use super::letter::{TlsReport, is_report};
use super::sums::{Policy, PolicyKind, Sums, TlsFailure, TlsFault};
use super::tally::{PARTITION, Tally, places};

const DAY: i64 = 86_400_000;
/// Noon of a day.
const NOON: i64 = 20_776 * DAY + DAY / 2;

struct World(AtomicI64);

#[async_trait]
impl Dns for World {
    async fn look_up(&self, name: &str, _kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        match name {
            "_smtp._tls.d.example" => {
                let text = "v=TLSRPTv1; rua=mailto:tls@d.example,https://d.example/tls";
                Ok(vec![DnsRecord::Txt(text.to_owned())])
            }
            "_smtp._tls.silent.example" => Err(DnsError("test".to_owned())),
            _ => Ok(Vec::new()),
        }
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _duration: Duration) {}
}

fn failure(fault: TlsFault) -> TlsFailure {
    let (host, cause) = ("mx.d.example".to_owned(), "why".to_owned());
    TlsFailure { fault, host, ip: IpAddr::from([192, 0, 2, 7]), cause }
}

fn dane() -> Policy {
    let strings = vec!["3 1 1 07".to_owned()];
    Policy { kind: PolicyKind::Tlsa, strings, hosts: vec!["mx.d.example".to_owned()] }
}

async fn items(control: &dyn Control) -> Vec<(String, Sums)> {
    let found = control.query(PARTITION, "", None, 100).await.expect("read");
    found.into_iter().map(|(sort, item)| (sort, codec::decode(&item.value).expect("sums"))).collect()
}

#[tokio::test]
async fn what_processes_count_comes_together_for_whoever_wants_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let control = Embedded::open(folder.path(), &Options::server()).expect("opens").control();
    let world = Arc::new(World(AtomicI64::new(NOON)));
    let tally = || {
        let (dns, clock) = (Arc::clone(&world) as _, Arc::clone(&world) as _);
        Tally::new(Arc::clone(&control), dns, clock, Duration::from_secs(86_400))
    };
    let (one, other) = (tally(), tally());
    for tally in [&one, &other] {
        for domain in ["d.example", "nobody.example", "silent.example"] {
            tally.note(domain, dane(), None);
            tally.note(domain, dane(), Some(failure(TlsFault::NotTrusted)));
            tally.note(domain, Policy::none(), Some(failure(TlsFault::NotSupported)));
        }
        tally.put_down().await;
        // Nothing is counted twice.
        tally.put_down().await;
    }
    let found = items(&*control).await;
    let [(sort, sums)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(*sort, format!("{:014}/d.example", NOON - DAY / 2));
    let numbers: Vec<_> =
        sums.policies.iter().map(|one| (one.policy.kind, one.successes, one.failed)).collect();
    assert_eq!(numbers, [(PolicyKind::Tlsa, 2, 2), (PolicyKind::None, 0, 2)]);
    assert_eq!(sums.policies[0].failures, [(failure(TlsFault::NotTrusted), 2)]);
    // Whoever does not answer may want it tomorrow, and on no later day.
    world.0.fetch_add(3 * DAY, Ordering::SeqCst);
    one.put_down().await;
    one.note("d.example", dane(), None);
    one.put_down().await;
    assert_eq!(items(&*control).await.len(), 2);
}

#[test]
fn who_gets_reports_is_said_by_one_record() {
    let named = |texts: &[&'static str]| {
        places(texts.iter().copied()).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(named(&["v=TLSRPTv1;rua=mailto:a@d.example"]), ["a@d.example"]);
    let several = "v=TLSRPTv1; rua=https://d.example/x, mailto:a@d.example?subject=x,mailto:b@e.example;";
    assert_eq!(named(&["v=spf1 -all", several]), ["a@d.example", "b@e.example"]);
    for none in [&[][..], &["v=TLSRPTv2; rua=mailto:a@d.example"], &["v=TLSRPTv1"], &[several, several]] {
        assert!(named(none).is_empty(), "{none:?}");
    }
    assert!(named(&["v=TLSRPTv1; rua=mailto:nobody"]).is_empty());
}

#[test]
fn a_report_has_what_was_counted() {
    let mut sums = Sums::default();
    sums.add(dane(), None);
    sums.add(dane(), Some(failure(TlsFault::DnssecInvalid)));
    let (start, end) = (Timestamp(NOON - DAY / 2), Timestamp(NOON + DAY / 2 - 1_000));
    let to = ["tls@d.example".to_owned()];
    let report = TlsReport {
        id: EventId::from_parts(end, 7),
        domain: "d.example",
        from: "postmaster@own.example",
        to: &to,
        period: (start, end),
        now: end,
        sums: &sums,
    };
    let letter = report.message().expect("a letter");
    assert!(
        is_report(&letter)
            && !is_report(b"Subject: TLS-Report-Submitter: x\r\n\r\nTLS-Report-Submitter: x\r\n")
    );
    let text = String::from_utf8(letter).expect("text");
    for part in [
        "TLS-Report-Domain: d.example\r\nTLS-Report-Submitter: own.example\r\n",
        "report-type=\"tlsrpt\"",
        "Content-Type: application/tlsrpt+gzip\r\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let (_, rest) = text.split_once("json.gz\"\r\n\r\n").expect("an attachment");
    let (body, _) = rest.split_once("\r\n--").expect("an end");
    use base64::Engine;
    let gzip = base64::engine::general_purpose::STANDARD.decode(body.replace("\r\n", "")).expect("base64");
    let mut json = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut json).expect("gzip");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["date-range"]["start-datetime"], start.rfc3339());
    let policy = &json["policies"][0];
    assert_eq!(policy["policy"]["policy-type"], "tlsa");
    assert_eq!(policy["policy"]["policy-string"][0], "3 1 1 07");
    assert_eq!(policy["summary"]["total-successful-session-count"], 1);
    assert_eq!(policy["failure-details"][0]["result-type"], "dnssec-invalid");
    assert_eq!(policy["failure-details"][0]["receiving-ip"], "192.0.2.7");
}
