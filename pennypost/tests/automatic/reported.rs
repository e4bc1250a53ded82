//! Reports of other organisations that come in by SMTP: delivered as letters, and read, each once.

use std::io::Write;

use base64::Engine;
use flate2::Compression;
use flate2::write::GzEncoder;
use pennypost_admin::{
    Administration, Call, HeardAbout, HeardKind, HeardQuery, HeardReport, heard_reports_csv,
};
use pennypost_directory::ReportAddresses;

use super::*;

const OPERATOR: Call = Call::of_operator();

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A letter with something attached.
fn attached(kind: &str, name: &str, bytes: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(bytes);
    let lines: Vec<&str> =
        body.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!(
        "From: reports@far.test\r\nTo: bob@t.test\r\nSubject: Report Domain: t.test\r\nMessage-ID: <r@far.test>\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nA report.\r\n--b\r\nContent-Type: {kind}\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{}\r\n--b--",
        lines.join("\r\n")
    )
}

fn record(source: &str, count: u32, dkim: &str, spf: &str, disposition: &str) -> String {
    format!(
        "<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated><disposition>{disposition}</disposition>\
         <dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row><identifiers><header_from>t.test</header_from></identifiers>\
         <auth_results><spf><domain>t.test</domain><result>{spf}</result></spf></auth_results></record>"
    )
}

fn dmarc(domain: &str, id: &str, begin: i64) -> Vec<u8> {
    let records = [
        record("192.0.2.1", 5, "pass", "fail", "none"),
        record("192.0.2.1", 2, "fail", "pass", "none"),
        record("2001:db8::7", 9, "fail", "fail", "reject"),
    ];
    let text = format!(
        "<?xml version=\"1.0\"?><feedback><report_metadata><org_name>Far</org_name><email>reports@far.test</email>\
         <report_id>{id}</report_id><date_range><begin>{begin}</begin><end>{}</end></date_range></report_metadata>\
         <policy_published><domain>{domain}</domain><p>reject</p></policy_published>{}</feedback>",
        begin + 86_399,
        records.concat()
    );
    text.into_bytes()
}

impl Town {
    fn administration(&self) -> Administration {
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
        Administration::new(self.office.directory.clone(), self.office.backend.control(), clock, ids)
            .reading(self.office.backend.log())
    }

    async fn heard(&self, query: &HeardQuery) -> Vec<HeardReport> {
        let heard = self.administration();
        heard.heard_reports(&OPERATOR, self.office.tenant, query, None, 100).await.unwrap().0
    }

    async fn all(&self) -> Vec<HeardReport> {
        self.heard(&HeardQuery::default()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_others_are_read_once_and_stay_letters() {
    let it = Town::open().await;
    let begin = (SystemClock.now().0 / 1_000 / 86_400 - 1) * 86_400;
    let name = format!("far.test!t.test!{begin}!{}.xml.gz", begin + 86_399);
    let report = attached("application/gzip", &name, &gzip(&dmarc("t.test", "1", begin)));

    // Where nobody has said that reports come in, they are letters and no more.
    it.report("reports@far.test", "bob@t.test", &report).await;
    assert_eq!(it.all().await, []);
    let addresses = ReportAddresses([address("bob@t.test")].into());
    let (none, nobody) = (ReportAddresses::default(), ReportAddresses([address("no@t.test")].into()));
    let (administration, tenant) = (it.administration(), it.office.tenant);
    assert!(administration.change_report_addresses(&OPERATOR, tenant, &none, &nobody).await.is_err());
    administration.change_report_addresses(&OPERATOR, tenant, &none, &addresses).await.unwrap();

    for _ in 0..2 {
        it.report("reports@far.test", "bob@t.test", &report).await;
    }
    let heard = it.all().await;
    let [one] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((one.domain.as_str(), one.reporter.as_str(), one.name.as_str()), ("t.test", "Far", "1"));
    assert_eq!((one.begin.0, one.end.0), (begin * 1_000, (begin + 86_399) * 1_000));
    let HeardAbout::Dmarc { counts, sources, more } = &one.about else { panic!("{one:?}") };
    assert_eq!((counts.passed, counts.failed, counts.dkim, counts.spf, counts.rejected), (7, 9, 5, 2, 9));
    let of: Vec<_> = sources
        .iter()
        .map(|one| (one.source.unwrap().to_string(), one.counts.passed, one.counts.failed))
        .collect();
    assert_eq!(of, [("2001:db8::7".to_owned(), 0, 9), ("192.0.2.1".to_owned(), 7, 0)]);
    assert_eq!(*more, 0);
    let csv = heard_reports_csv(&heard);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.contains(",192.0.2.1,t.test,7,0,5,2,0,0,,,"), "{csv}");

    // One of TLS, and a complaint.
    let tls = format!(
        r#"{{"organization-name":"Far","date-range":{{"start-datetime":"{0}","end-datetime":"{0}"}},"contact-info":"x","report-id":"2",
        "policies":[{{"policy":{{"policy-type":"sts","policy-domain":"t.test"}},
        "summary":{{"total-successful-session-count":7,"total-failure-session-count":3}},
        "failure-details":[{{"result-type":"certificate-expired","sending-mta-ip":"192.0.2.9","receiving-mx-hostname":"mx.t.test","failed-session-count":3}}]}}]}}"#,
        Timestamp(begin * 1_000).rfc3339()
    );
    let tls = attached("application/tlsrpt+gzip", "far.test!t.test!1!2!x.json.gz", &gzip(tls.as_bytes()));
    it.report("reports@far.test", "bob@t.test", &tls).await;
    let complaint = "From: fbl@far.test\r\nTo: bob@t.test\r\nSubject: FW: hello\r\nMessage-ID: <c@far.test>\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\nSpam.\r\n--b\r\n\
         Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\n\
         Original-Rcpt-To: <you@far.test>\r\nSource-IP: 192.0.2.1\r\nReported-Domain: t.test\r\n\r\n--b\r\n\
         Content-Type: text/rfc822-headers\r\n\r\nFrom: ann@t.test\r\nMessage-ID: <9@t.test>\r\n\r\n--b--";
    for _ in 0..2 {
        it.report("fbl@far.test", "bob@t.test", complaint).await;
    }
    let heard = it.all().await;
    assert_eq!(heard.len(), 3, "{heard:?}");
    let of = async |kind| it.heard(&HeardQuery { kind: Some(kind), ..HeardQuery::default() }).await;
    let (tls, complaints) = (of(HeardKind::Tls).await, of(HeardKind::Complaint).await);
    let HeardAbout::Tls { good: 7, bad: 3, failures, .. } = &tls[0].about else { panic!("{tls:?}") };
    assert_eq!(
        (failures[0].what.as_str(), failures[0].host.as_str(), failures[0].count),
        ("certificate-expired", "mx.t.test", 3)
    );
    let HeardAbout::Complaint { what, address, message_id, .. } = &complaints[0].about else {
        panic!("{complaints:?}")
    };
    assert_eq!(
        (what.as_str(), address.as_deref(), message_id.as_deref()),
        ("abuse", Some("you@far.test"), Some("9@t.test"))
    );
    let query = HeardQuery { domain: Some("other.test".to_owned()), ..HeardQuery::default() };
    assert_eq!(it.heard(&query).await, []);
    // All of them are letters to him, too.
    assert_eq!(it.count("bob", "INBOX").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_report_of_ours_is_a_letter_and_no_more() {
    let it = Town::open().await;
    let addresses = ReportAddresses([address("bob@t.test")].into());
    let none = ReportAddresses::default();
    it.office.directory.change_report_addresses(it.office.tenant, &none, &addresses).await.unwrap();
    let begin = SystemClock.now().0 / 1_000 - 86_400;
    let name = "far.test!t.test!1!2.xml.gz";
    let good = dmarc("t.test", "1", begin);
    let mut cut_off = gzip(&good);
    cut_off.truncate(cut_off.len() / 2);
    // 16 MB of blanks in front of what would be read.
    let bomb = gzip(&[&vec![b' '; 16 << 20][..], &good].concat());
    assert!(bomb.len() < 1 << 20);
    let records = "<record></record>".repeat(30_000);
    let many =
        String::from_utf8(good.clone()).unwrap().replace("</feedback>", &format!("{records}</feedback>"));
    let letters = [
        ("bob@t.test", attached("application/gzip", name, &bomb)),
        ("bob@t.test", attached("application/gzip", name, &cut_off)),
        ("bob@t.test", attached("application/gzip", name, &gzip(many.as_bytes()))),
        ("bob@t.test", attached("application/gzip", name, b"\x1f\x8bnonsense")),
        ("bob@t.test", attached("application/zip", "a!b!c!d.zip", b"PK\x03\x04nonsense")),
        ("bob@t.test", attached("text/xml", "a!b!c!d.xml", b"<feedback><report_metadata>")),
        ("bob@t.test", attached("application/tlsrpt+json", "x.json", b"{}")),
        ("bob@t.test", attached("message/feedback-report", "x", b"nothing")),
        ("bob@t.test", attached("application/gzip", name, &gzip(&dmarc("far.test", "1", begin)))),
        ("bob@t.test", attached("application/gzip", name, &gzip(&dmarc("not a domain", "1", begin)))),
        (
            "bob@t.test",
            attached("application/gzip", name, &gzip(&dmarc("t.test", "1", begin - 100 * 86_400))),
        ),
        (
            "bob@t.test",
            attached("application/gzip", name, &gzip(&dmarc("t.test", "1", begin + 100 * 86_400))),
        ),
        ("bob@t.test", attached("application/gzip", "photos.gz", &gzip(&good))),
        ("eve@t.test", attached("application/gzip", name, &gzip(&good))),
    ];
    let count = letters.len();
    for (to, letter) in letters {
        it.report("reports@far.test", to, &letter).await;
        assert_eq!(it.all().await, [], "{letter:.300}");
    }
    assert_eq!(it.count("bob", "INBOX").await + it.count("eve", "INBOX").await, count);
    it.report("reports@far.test", "bob@t.test", &attached("application/gzip", name, &gzip(&good))).await;
    assert_eq!(it.all().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_complains_of_a_letter_of_ours_gets_no_mailings_any_more() {
    let it = Town::open().await;
    let addresses = ReportAddresses([address("bob@t.test")].into());
    let none = ReportAddresses::default();
    it.office.directory.change_report_addresses(it.office.tenant, &none, &addresses).await.unwrap();
    let out =
        "From: Ann <ann@t.test>\r\nTo: you@far.test, friend@far.test\r\nMessage-ID: <7@t.test>\r\n\r\nhello";
    hand_in(&it.office, "ann@t.test", &["you@far.test", "friend@far.test"], out).await;
    it.work().await;
    let given = it.given();
    let header = given[0].text.split_once("\r\n\r\n").unwrap().0.to_owned();
    let complaint = |number: u32, who: &str, header: &str| {
        format!(
            "From: fbl@far.test\r\nTo: bob@t.test\r\nSubject: FW: hello\r\nMessage-ID: <c{number}@far.test>\r\n\
             Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\nSpam.\r\n--b\r\n\
             Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\n{who}\r\n\
             --b\r\nContent-Type: text/rfc822-headers\r\n\r\n{header}\r\n\r\n--b--"
        )
    };
    let listed = async || {
        let page = pennypost_directory::Page::default();
        let listed = it.office.directory.suppressed(it.office.tenant, "", &page).await.unwrap().items;
        listed.into_iter().map(|one| (one.address, one.by.name())).collect::<Vec<_>>()
    };
    let you = "Original-Rcpt-To: you@far.test\r\n";
    for (number, who, header) in [
        // It was not written to him, the letter is no letter of ours, or nobody knows who complains.
        (1, "Original-Rcpt-To: them@far.test\r\n", header.clone()),
        (2, you, header.replace("<7@t.test>", "<8@t.test>")),
        (3, you, "From: ann@t.test\r\nMessage-ID: <7@t.test>".to_owned()),
        (4, "", header.clone()),
    ] {
        it.report("fbl@far.test", "bob@t.test", &complaint(number, who, &header)).await;
        assert_eq!(listed().await, [], "{number}");
    }
    for _ in 0..2 {
        it.report("fbl@far.test", "bob@t.test", &complaint(5, you, &header)).await;
    }
    assert_eq!(listed().await, [("you@far.test".to_owned(), "complaint")]);
    assert_eq!(it.all().await.len(), 5);
    // He is written to by members all the same.
    hand_in(&it.office, "ann@t.test", &["you@far.test"], &out.replace("<7@", "<6@")).await;
    it.work().await;
    assert_eq!(it.given().len(), 1);
}
