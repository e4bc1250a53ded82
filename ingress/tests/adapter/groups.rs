//! Who may send to a group (GRP-04): said at RCPT, never afterwards.
//!
//! Feature GRP-04: all scopes; refused at RCPT, a claim confirmed by SPF first

use std::time::Duration;

use pennypost_directory::Senders;
use pennypost_ingress::smtp::DnsServers;

use crate::dns::Zone;
use crate::office::{Office, settings, untrusting};
use crate::wire::Client;

async fn rcpt(office: &Office, sender: &str, group: &str) -> String {
    let mut client = Client::smtp(office.smtp).await;
    client.command(&format!("MAIL FROM:<{sender}>"), "250").await;
    client.send(format!("RCPT TO:<{group}>\r\n").as_bytes()).await;
    client.line().await.expect("reply").chars().take(9).collect()
}

async fn scope(office: &Office, senders: Senders) {
    let change = |rules: &mut pennypost_directory::GroupRules| {
        rules.senders = senders;
        rules.named = ["x@good.test", "x@bad.test", "x@late.test"]
            .map(|address| pennypost_directory::MailAddress::parse(address).expect("address"))
            .into();
    };
    office.adapter.directory.change_group_rules("all@acme.example", change).await.expect("changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_and_a_claim_is_confirmed_by_spf() {
    let zone = Zone::new()
        .txt("good.test", "v=spf1 ip4:127.0.0.0/8 -all")
        .txt("bad.test", "v=spf1 ip4:192.0.2.1 -all")
        .txt("acme.example", "v=spf1 ip4:192.0.2.1 -all");
    let mut chosen = untrusting();
    chosen.dns.servers = DnsServers::These(vec![zone.serve().await]);
    chosen.dns.timeout = Duration::from_secs(2);
    let office = Office::open(chosen).await;
    let group = "all@acme.example";
    for (senders, sender, expected) in [
        (Senders::Everyone, "stranger@elsewhere.test", "250 2.1.5"),
        (Senders::Named, "stranger@elsewhere.test", "550 5.7.2"),
        (Senders::Named, "x@good.test", "250 2.1.5"),
        // Named, but anybody could say so.
        (Senders::Named, "x@bad.test", "550 5.7.2"),
        (Senders::Members, "ada@acme.example", "550 5.7.2"),
        (Senders::Members, "", "550 5.7.2"),
        (Senders::Inside, "x@good.test", "550 5.7.2"),
    ] {
        scope(&office, senders).await;
        assert_eq!(rcpt(&office, sender, group).await, expected, "{sender} {senders:?}");
        // Others of the same transaction are not touched by it.
        assert_eq!(rcpt(&office, sender, "bob@acme.example").await, "250 2.1.5");
    }

    // The answer that was waited for is that of the message.
    scope(&office, Senders::Named).await;
    let mut client = Client::connect(office.smtp).await;
    client.expect("220").await;
    client.command("HELO mx.good.test", "250").await;
    client.command("MAIL FROM:<x@good.test>", "250").await;
    client.command("RCPT TO:<all@acme.example>", "250").await;
    client.command("DATA", "354").await;
    client.send(b"From: x@good.test\r\nSubject: hello\r\n\r\nhello\r\n.\r\n").await;
    assert!(client.line().await.expect("reply").starts_with("250"));
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    assert_eq!(accepted.auth.spf, pennypost_model::event::Verdict::Pass);
    assert_eq!(accepted.recipients.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn unconfirmed_is_not_refused_for_good_and_trusted_needs_no_proof() {
    // Bound, and never answered.
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("port");
    let mut chosen = untrusting();
    chosen.dns.servers = DnsServers::These(vec![silent.local_addr().expect("address")]);
    chosen.dns.timeout = Duration::from_millis(300);
    chosen.limits.smtp.authentication = Duration::from_secs(1);
    let office = Office::open(chosen).await;
    scope(&office, Senders::Named).await;
    assert_eq!(rcpt(&office, "x@late.test", "all@acme.example").await, "451 4.4.3");

    // Without DNS nothing can be confirmed.
    let office = Office::open(untrusting()).await;
    scope(&office, Senders::Named).await;
    assert_eq!(rcpt(&office, "x@good.test", "all@acme.example").await, "550 5.7.2");

    let office = Office::open(settings()).await;
    scope(&office, Senders::Members).await;
    assert_eq!(rcpt(&office, "ada@acme.example", "all@acme.example").await, "250 2.1.5");
    assert_eq!(rcpt(&office, "stranger@elsewhere.test", "all@acme.example").await, "550 5.7.2");
}
