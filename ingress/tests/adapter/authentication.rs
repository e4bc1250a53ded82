//! SPF, DKIM and DMARC from end to end, with a DNS server of our own.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use pennypost_ingress::net::Settings;
use pennypost_ingress::smtp::DnsServers;
use pennypost_model::event::{DmarcPolicy, Verdict};

use crate::dns::Zone;
use crate::office::{Office, sample, untrusting};
use crate::wire::{Client, stuffed};

pub fn key() -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../samplemail/dkim/test._domainkey.sample.test.txt");
    std::fs::read_to_string(path).expect("key").trim().to_owned()
}

pub fn asking(server: SocketAddr) -> Settings {
    let mut settings = untrusting();
    settings.dns.servers = DnsServers::These(vec![server]);
    settings.dns.timeout = Duration::from_secs(2);
    settings
}

pub async fn deliver(office: &Office, sender: &str, message: &[u8]) -> String {
    let mut client = Client::connect(office.smtp).await;
    client.expect("220").await;
    client.command("HELO mx.sample.test", "250").await;
    client.command(&format!("MAIL FROM:<{sender}>"), "250").await;
    client.command("RCPT TO:<ada@acme.example>", "250").await;
    client.command("DATA", "354").await;
    client.send(&stuffed(message)).await;
    client.line().await.expect("reply")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_mail_passes_and_a_forged_one_is_refused() {
    let zone = Zone::new()
        .txt("test._domainkey.sample.test", &key())
        .txt("sample.test", "v=spf1 ip4:192.0.2.1 -all")
        .txt("_dmarc.sample.test", "v=DMARC1; p=reject; adkim=s; aspf=s")
        .txt("good.test", "v=spf1 ip4:127.0.0.0/8 -all")
        .a("good.test", [192, 0, 2, 1]);
    let office = Office::open(asking(zone.serve().await)).await;

    for name in ["dkim-relaxed.eml", "dkim-simple.eml"] {
        let reply = deliver(&office, "ada@sample.test", &sample(name)).await;
        assert!(reply.starts_with("250 2.0.0"), "{name}: {reply}");
        let (accepted, raw) = office.accepted().await.pop().expect("accepted");
        assert_eq!(raw, sample(name));
        assert_eq!(accepted.auth.dkim, Verdict::Pass, "{name}: {}", accepted.receipt);
        assert_eq!(accepted.auth.dkim_domains, ["sample.test"]);
        assert_eq!(accepted.auth.spf, Verdict::Fail);
        assert_eq!((accepted.auth.dmarc, accepted.auth.dmarc_policy), (Verdict::Pass, DmarcPolicy::Reject));
        assert!(!accepted.auth.trusted);
        assert!(
            accepted.receipt.starts_with(
                "Received: from mx.sample.test ([127.0.0.1])\r\n\tby post.example with SMTP id "
            )
        );
        let results = accepted.receipt.split("Authentication-Results: post.example;").nth(1).expect("field");
        assert!(
            results.contains("dkim=pass") && results.contains("spf=fail") && results.contains("dmarc=pass")
        );
        assert!(accepted.receipt.ends_with("\r\n") && !accepted.receipt.contains("\r\n\r\n"));
    }

    let reply = deliver(&office, "ada@sample.test", &sample("dkim-body-changed.eml")).await;
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    let forged = b"From: ada@sample.test\r\nSubject: money\r\n\r\nsend it\r\n";
    let reply = deliver(&office, "x@good.test", forged).await;
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    assert!(office.accepted().await.is_empty(), "what was refused is in the queue");

    let honest = b"From: x@good.test\r\nSubject: hello\r\n\r\nhello\r\n";
    let reply = deliver(&office, "x@good.test", honest).await;
    assert!(reply.starts_with("250"), "{reply}");
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    assert_eq!((accepted.auth.spf, accepted.auth.dkim), (Verdict::Pass, Verdict::None));
    assert_eq!((accepted.auth.dmarc, accepted.auth.dmarc_policy), (Verdict::None, DmarcPolicy::None));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_dns_is_a_temperror_and_blocks_nobody() {
    // Bound, and never answered.
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("port");
    let mut settings = asking(silent.local_addr().expect("address"));
    settings.dns.timeout = Duration::from_millis(300);
    settings.limits.smtp.authentication = Duration::from_secs(1);
    let office = Office::open(settings).await;
    let begun = Instant::now();
    let reply = deliver(&office, "ada@sample.test", &sample("dkim-relaxed.eml")).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    assert_eq!((accepted.auth.spf, accepted.auth.dkim), (Verdict::TempError, Verdict::TempError));
    assert_eq!(accepted.auth.dmarc, Verdict::TempError);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_peer_is_not_tested() {
    let office = Office::open(crate::office::settings()).await;
    let reply = deliver(&office, "ada@sample.test", &sample("dkim-body-changed.eml")).await;
    assert!(reply.starts_with("250"), "{reply}");
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    assert!(accepted.auth.trusted && accepted.auth.dkim == Verdict::None);
    assert!(accepted.receipt.ends_with("Authentication-Results: post.example; none\r\n"));
    assert_eq!(accepted.source.ip, Some(IpAddr::from([127, 0, 0, 1])));
    assert_eq!(accepted.source.helo, "mx.sample.test");
}
