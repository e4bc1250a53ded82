//! What one organisation of a post office writes to another: it comes in as from another server, whose sender is known.

use pennypost_directory::Senders;
use pennypost_ingress::smtp::{DnsServers, connect_at_home};
use pennypost_model::event::{SourceKind, Verdict};
use pennypost_model::{EventId, Timestamp};

use crate::dns::Zone;
use crate::office::{Office, untrusting};
use crate::wire::Client;

const LETTER: &[u8] = b"From: you@theirs.example\r\nSubject: hello\r\n\r\nhello\r\n";

async fn at_home(office: &Office, id: EventId) -> (Client, String) {
    let mut client = Client::over(connect_at_home(&office.adapter, id));
    client.expect("220").await;
    client.say("EHLO mx.acme.example").await;
    let mut offers = String::new();
    loop {
        let line = client.line().await.expect("reply");
        offers += &line;
        if line.starts_with("250 ") {
            return (client, offers);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organisation_is_known_and_has_no_other_rights() {
    let mut chosen = untrusting();
    let zone = Zone::new().txt("_dmarc.theirs.example", "v=DMARC1; p=reject");
    chosen.dns.servers = DnsServers::These(vec![zone.serve().await]);
    let office = Office::open(chosen).await;
    let group = "all@acme.example";
    let members = |rules: &mut pennypost_directory::GroupRules| rules.senders = Senders::Members;
    office.adapter.directory.change_group_rules(group, members).await.expect("changed");

    let id = EventId::from_parts(Timestamp(1_790_000_000_000), 7);
    let (mut client, offers) = at_home(&office, id).await;
    assert!(!offers.contains("STARTTLS") && !offers.contains("AUTH"), "{offers}");
    client.command("MAIL FROM:<you@theirs.example>", "250").await;
    client.command(&format!("RCPT TO:<{group}>"), "550 5.7.2").await;
    client.command("RCPT TO:<nobody@acme.example>", "550 5.1.1").await;
    client.command("RCPT TO:<you@far.example>", "550 5.7.1").await;
    client.command("RCPT TO:<bob@acme.example>", "250").await;
    client.command("DATA", "354").await;
    client.send(&[LETTER, b".\r\n"].concat()).await;
    client.expect("250").await;
    // The id is that of one message.
    client.command("MAIL FROM:<you@theirs.example>", "451").await;

    let [(accepted, _)] = &*office.accepted().await else { panic!("one message") };
    assert_eq!((accepted.id, &accepted.source.kind), (id, &SourceKind::Smtp));
    assert_eq!((accepted.auth.spf, accepted.auth.dmarc), (Verdict::Pass, Verdict::Pass));
    assert!(!accepted.auth.trusted && accepted.receipt.contains("spf=pass"), "{}", accepted.receipt);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_vouched_for_and_limits_of_strangers_are_not_used_up() {
    let mut chosen = untrusting();
    chosen.limits.smtp.messages_per_minute_and_ip = 1;
    let zone = Zone::new().txt("b.example", "v=spf1 ip4:192.0.2.1 -all");
    chosen.dns.servers = DnsServers::These(vec![zone.serve().await]);
    let office = Office::open(chosen).await;
    for number in 0..3 {
        let (mut client, _) = at_home(&office, EventId::from_parts(Timestamp(5), number)).await;
        client.command("MAIL FROM:<you@theirs.example>", "250").await;
        client.command("RCPT TO:<bob@acme.example>", "250").await;
        client.command("DATA", "354").await;
        client.send(&[LETTER, b".\r\n"].concat()).await;
        client.expect("250").await;
    }
    let mut stranger = Client::smtp(office.smtp).await;
    stranger.letter("bob@acme.example", LETTER).await;
    let found = office.accepted().await;
    assert_eq!(found.len(), 4);
    assert_eq!(found[3].0.auth.spf, Verdict::Fail, "a stranger is not vouched for");
}
