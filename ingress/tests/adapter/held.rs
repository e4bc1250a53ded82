//! Messages that do not go at once (SND-08, RFC 4865), and what senders want to hear of (RFC 3461).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pennypost_directory::UndoWindow;
use pennypost_held::{Change, Changed, Held, Ports, Releaser};
use pennypost_model::AccountKey;
use pennypost_model::event::{Notify, Via};

use crate::office::{Office, PASSWORD, settings};
use crate::wire::Client;

const ADA: &str = "ada@acme.example";
const BOB: &str = "bob@acme.example";

async fn signed_in(office: &Office, login: &str) -> Client {
    let mut client = Client::smtp(office.submission).await;
    let plain = STANDARD.encode(format!("\0{login}\0{PASSWORD}"));
    client.command(&format!("AUTH PLAIN {plain}"), "235 2.7.0").await;
    client
}

async fn key(office: &Office, address: &str) -> AccountKey {
    office.adapter.directory.account_at(address).await.expect("directory").expect("an account").key
}

/// What is offered, a line each.
async fn offers(address: std::net::SocketAddr) -> Vec<String> {
    let mut client = Client::connect(address).await;
    client.expect("220 ").await;
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

async fn hand_in(client: &mut Client, parameters: &str, recipients: &[&str]) -> String {
    client.command(&format!("MAIL FROM:<{ADA}>{parameters}"), "250 ").await;
    for recipient in recipients {
        client.command(&format!("RCPT TO:<{recipient}>"), "250 ").await;
    }
    client.command("DATA", "354 ").await;
    let letter = format!(
        "From: Ada <{ADA}>\r\nSubject: =?utf-8?q?sp=C3=A4ter?=\r\nBcc: x@y.example\r\n\r\nhello\r\n.\r\n"
    );
    client.send(letter.as_bytes()).await;
    client.line().await.expect("a reply")
}

impl Office {
    fn releaser(&self) -> Releaser {
        let ports = Ports {
            directory: self.adapter.directory.clone(),
            objects: Arc::clone(&self.adapter.objects),
            queue: Arc::clone(&self.adapter.queue),
            clock: Arc::clone(&self.adapter.clock),
            ids: Arc::clone(&self.adapter.ids),
        };
        Releaser::new(self.adapter.held.clone(), ports, "post.example")
    }

    async fn held(&self) -> Vec<Held> {
        let ada = key(self, ADA).await;
        self.adapter.held.of_account(ada, None, 100).await.expect("read").0
    }
}

/// Feature SND-08 (part): a mail program hands in what is to go later (RFC 4865); it goes then, with that date; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_go_later_goes_later() {
    let office = Office::open(settings()).await;
    let shown = offers(office.submission).await;
    assert!(shown.iter().any(|line| line == "DSN"), "{shown:?}");
    let future = shown.iter().find_map(|line| line.strip_prefix("FUTURERELEASE ")).expect("offered");
    let (seconds, latest) = future.split_once(' ').expect("two");
    assert_eq!((seconds, latest.len()), ("2592000", "2030-01-31T08:00:00Z".len()));
    let others = offers(office.smtp).await;
    assert!(!others.iter().any(|line| line.contains("DSN") || line.contains("FUTURE")), "{others:?}");

    let mut client = signed_in(&office, ADA).await;
    for (parameters, reply) in [
        (" HOLDFOR=2592060", "501 5.5.4 messages are held for 30 days"),
        (" HOLDUNTIL=2099-01-01T00:00:00Z", "501 5.5.4"),
        (" HOLDUNTIL=tomorrow", "501 5.5.4"),
        (" HOLDFOR=1 HOLDFOR=1", "501 5.5.4"),
    ] {
        client.command(&format!("MAIL FROM:<{ADA}>{parameters}"), reply).await;
    }
    let mut stranger = Client::smtp(office.smtp).await;
    stranger.command("MAIL FROM:<a@b.example> HOLDFOR=1", "555 5.5.4").await;
    stranger.command("MAIL FROM:<a@b.example> RET=FULL", "555 5.5.4").await;
    stranger.command("MAIL FROM:<a@b.example>", "250").await;
    stranger.command(&format!("RCPT TO:<{BOB}> NOTIFY=NEVER"), "555 5.5.4").await;

    let reply = hand_in(&mut client, " HOLDFOR=1", &[BOB]).await;
    let id = reply.strip_prefix("250 2.0.0 queued as ").expect("taken").to_owned();
    assert_eq!(office.accepted().await.len(), 0);
    let [held] = &office.held().await[..] else { panic!("one letter") };
    assert_eq!(
        (held.id().to_string(), held.subject.as_str(), held.state.name()),
        (id.clone(), "später", "scheduled")
    );
    let releaser = office.releaser();
    let mut sent = office.accepted().await;
    while sent.is_empty() {
        releaser.look(None).await.expect("looked");
        tokio::time::sleep(Duration::from_millis(50)).await;
        sent = office.accepted().await;
    }
    releaser.look(None).await.expect("looked");
    assert_eq!(office.accepted().await.len(), 0, "it goes once");
    let (accepted, raw) = &sent[0];
    let raw = String::from_utf8_lossy(raw);
    let date = format!("Date: {}\r\n", accepted.time.rfc5322());
    assert!(raw.contains(&date) && raw.matches("Date:").count() == 1 && !raw.contains("Bcc"), "{date} {raw}");
    assert!(accepted.id.to_string() != id && accepted.time.0 >= held.due.0, "{accepted:?}");
    let vias: Vec<Via> = accepted.recipients.iter().map(|one| one.via).collect();
    assert_eq!(vias, [Via::Direct, Via::Sent]);
    assert_eq!(office.held().await[0].state.name(), "sent");
    // What is past goes at once.
    hand_in(&mut client, " HOLDUNTIL=2020-01-01T08:00:00+08:00", &[BOB]).await;
    assert_eq!(office.accepted().await.len(), 1);
}

/// Feature SND-08 (part): a member's letters wait for some seconds, in which he takes them back into Drafts; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn who_thinks_better_of_it_has_his_letter_back() {
    let office = Office::open(settings()).await;
    let ada = key(&office, ADA).await;
    let directory = &office.adapter.directory;
    let window = UndoWindow::new(5);
    assert_eq!(directory.change_undo_window(ada, None, window).await, Ok(true));
    assert_eq!(directory.change_undo_window(ada, None, window).await, Ok(false), "seen before");
    let mut client = signed_in(&office, ADA).await;
    let reply = hand_in(&mut client, "", &[BOB]).await;
    hand_in(&mut client, "", &[BOB]).await;
    assert_eq!(office.accepted().await.len(), 0);
    let held = office.held().await;
    assert_eq!((held.len(), held[0].cause.name()), (2, "undo"));
    assert!(reply.ends_with(&held[0].id().to_string()), "{reply}");
    let (first, second) = (held[0].id(), held[1].id());
    let change = async |letter, change| {
        let (now, ids) = (office.now(), &*office.adapter.ids);
        office.adapter.held.change(ada, letter, &change, now, ids).await.expect("changed")
    };
    assert!(matches!(change(first, Change::TakeBack).await, Changed::Done(_)));
    assert!(matches!(change(second, Change::Now).await, Changed::Done(_)));
    office.releaser().look(None).await.expect("looked");
    let sent = office.accepted().await;
    let (drafts, letters): (Vec<_>, Vec<_>) =
        sent.iter().partition(|(accepted, _)| accepted.recipients[0].via == Via::Drafts);
    assert_eq!((drafts.len(), letters.len()), (1, 1));
    let draft = String::from_utf8_lossy(&drafts[0].1);
    assert!(draft.contains("Bcc: x@y.example\r\n"), "{draft}");
    // The id that the program was told is that of the letter.
    assert_eq!(letters[0].0.id, second);
    assert!(matches!(change(second, Change::TakeBack).await, Changed::Over(_)));
    assert!(matches!(change(first, Change::Now).await, Changed::Over(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_senders_want_to_hear_stands_in_the_event() {
    let office = Office::open(settings()).await;
    let mut client = signed_in(&office, ADA).await;
    client.command(&format!("MAIL FROM:<{ADA}> RET=HDRS ENVID=QQ+2B1"), "250").await;
    client
        .command(&format!("RCPT TO:<{BOB}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob+2Bx@acme.example"), "250")
        .await;
    client.command("RCPT TO:<all@acme.example> NOTIFY=NEVER", "250").await;
    client.command("RCPT TO:<info@acme.example>", "250").await;
    client.command("DATA", "354 ").await;
    client.send(format!("From: {ADA}\r\n\r\nhello\r\n.\r\n").as_bytes()).await;
    client.expect("250 ").await;
    let (accepted, _) = office.accepted().await.remove(0);
    let wishes = accepted.source.kind.wishes().expect("asked for");
    assert_eq!((wishes.full, wishes.envelope_id.as_deref()), (Some(false), Some("QQ+1")));
    let of = |success, failure, delay| Notify { success, failure, delay };
    assert_eq!(wishes.notify(BOB), of(true, false, true));
    assert_eq!(wishes.notify("all@acme.example"), of(false, false, false));
    assert_eq!(wishes.notify("info@acme.example"), of(false, true, true));
    assert_eq!(wishes.of(BOB).and_then(|wish| wish.original.as_deref()), Some("rfc822;bob+x@acme.example"));
    // Without a word nothing is kept.
    hand_in(&mut client, "", &[BOB]).await;
    assert_eq!(office.accepted().await[0].0.source.kind.wishes(), None);
}
