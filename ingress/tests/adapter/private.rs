//! What senders do not want to be read on its way (REQUIRETLS: RFC 8689).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pennypost_ingress::smtp::connect_at_home;
use pennypost_model::event::SourceKind;
use pennypost_model::{EventId, Timestamp};

use crate::office::{Office, PASSWORD, settings};
use crate::wire::Client;

const ADA: &str = "ada@acme.example";
const BOB: &str = "bob@acme.example";

async fn offers(client: &mut Client) -> Vec<String> {
    client.say("EHLO client.example").await;
    let mut offers = Vec::new();
    loop {
        let line = client.line().await.expect("a reply");
        offers.push(line[4..].to_owned());
        if line.starts_with("250 ") {
            return offers;
        }
    }
}

fn promises(offers: &[String]) -> bool {
    offers.iter().any(|line| line == "REQUIRETLS")
}

async fn letter(client: &mut Client, from: &str, parameters: &str) {
    client.command(&format!("MAIL FROM:<{from}>{parameters}"), "250 2.1.0").await;
    client.command(&format!("RCPT TO:<{BOB}>"), "250 ").await;
    client.command("DATA", "354 ").await;
    client.send(format!("From: {from}\r\n\r\nhello\r\n.\r\n").as_bytes()).await;
    client.expect("250 ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_promised_under_tls_only_and_stands_in_the_event() {
    let office = Office::open(settings()).await;
    for (port, from) in [(office.smtp, "you@far.example"), (office.submission, ADA)] {
        let is_member = from == ADA;
        let mut client = Client::connect(port).await;
        client.expect("220 ").await;
        assert!(!promises(&offers(&mut client).await));
        let plain = STANDARD.encode(format!("\0{ADA}\0{PASSWORD}"));
        if is_member {
            client.command(&format!("AUTH PLAIN {plain}"), "235 ").await;
        }
        client.command(&format!("MAIL FROM:<{from}> REQUIRETLS"), "530 5.7.10").await;
        let mut client = Client::connect(port).await;
        client.expect("220 ").await;
        offers(&mut client).await;
        client.command("STARTTLS", "220 ").await;
        client.tls(&office.certificate()).await;
        assert!(promises(&offers(&mut client).await));
        if is_member {
            client.command(&format!("AUTH PLAIN {plain}"), "235 ").await;
        }
        client.command(&format!("MAIL FROM:<{from}> REQUIRETLS=yes"), "501 5.5.4").await;
        letter(&mut client, from, " REQUIRETLS").await;
        letter(&mut client, from, " SIZE=100").await;
        let found = office.accepted().await;
        let private: Vec<bool> = found.iter().map(|(one, _)| one.source.kind.is_private()).collect();
        assert_eq!(private, [true, false]);
        assert!(found.iter().all(|(one, _)| one.source.kind.submission().is_some() == is_member));
    }
    // What senders want to hear stands beside it.
    let mut client = Client::connect(office.submissions).await;
    client.tls(&office.certificate()).await;
    client.expect("220 ").await;
    assert!(promises(&offers(&mut client).await));
    let plain = STANDARD.encode(format!("\0{ADA}\0{PASSWORD}"));
    client.command(&format!("AUTH PLAIN {plain}"), "235 ").await;
    letter(&mut client, ADA, " RET=FULL REQUIRETLS ENVID=x").await;
    let [(accepted, _)] = &*office.accepted().await else { panic!("one message") };
    let kind = &accepted.source.kind;
    assert_eq!((kind.is_private(), kind.wishes().and_then(|wishes| wishes.full)), (true, Some(true)));
    // What waits is private when it goes.
    letter(&mut client, ADA, " HOLDFOR=3600 REQUIRETLS").await;
    let ada = office.adapter.directory.account_at(ADA).await.expect("directory").expect("an account").key;
    let [held] = &office.adapter.held.of_account(ada, None, 9).await.expect("read").0[..] else {
        panic!("one letter")
    };
    assert!(held.accepted.source.kind.is_private());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organisation_here_is_asked_for_it_too() {
    let office = Office::open(settings()).await;
    let id = EventId::from_parts(Timestamp(1_790_000_000_000), 7);
    let mut client = Client::over(connect_at_home(&office.adapter, id));
    client.expect("220").await;
    assert!(promises(&offers(&mut client).await));
    letter(&mut client, "you@theirs.example", " REQUIRETLS").await;
    let [(accepted, _)] = &*office.accepted().await else { panic!("one message") };
    assert_eq!(accepted.source.kind, SourceKind::Smtp.private(true));
}
