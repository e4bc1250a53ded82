//! POP3 against a mailbox with awkward messages in it.
//!
//! Feature CLI-06 (part): no deletion by POP clients, by member or tenant; set likewise
//! Feature CLI-08 (part): protocols switched by tenant and member; only tokens instead of the password; read status not yet

use pennypost_directory::{ClientRange, ClientSettings, TokenScope};
use pennypost_fold::Draft;
use pennypost_mailstore::Incoming;
use pennypost_model::journal::Actor;
use pennypost_model::{AccountKey, FlagSet, MailboxId, Timestamp};

use crate::office::{Office, PASSWORD, sample, settings};
use crate::wire::Client;

pub async fn fill(office: &Office, messages: &[Vec<u8>]) -> AccountKey {
    let ada = office.adapter.directory.account_at("ada@acme.example").await.expect("directory").expect("ada");
    let live = office.adapter.mailroom.account(ada.key).await.expect("account");
    for raw in messages {
        let id = office.adapter.ids.event(office.now());
        let incoming = Incoming::prepare(raw, id, FlagSet::default(), office.now()).expect("prepared");
        let stored = live.store_messages(&Actor::Delivery, MailboxId::INBOX, &[incoming], |_| Ok(())).await;
        stored.expect("stored");
    }
    ada.key
}

async fn sign_in(office: &Office) -> Client {
    let mut client = Client::connect(office.pop3s).await;
    client.tls(&office.certificate()).await;
    client.expect("+OK").await;
    client.command("USER ada@acme.example", "+OK").await;
    client.command(&format!("PASS {PASSWORD}"), "+OK").await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_back_byte_for_byte() {
    let office = Office::open(settings()).await;
    let mut messages: Vec<Vec<u8>> =
        ["plain", "dot-lines", "zh-gb18030", "long-line-20k", "header-60k-folded", "bare-lf"]
            .map(|name| sample(&format!("{name}.eml")))
            .to_vec();
    messages.push(Vec::new());
    messages.push(b"Subject: no end".to_vec());
    messages.push(b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\nno line end\r\n.".to_vec());
    messages
        .push([b"Subject: large\r\n\r\n".to_vec(), b"0123456789.\r\n.123456\r\n".repeat(60_000)].concat());
    fill(&office, &messages).await;

    let mut client = sign_in(&office).await;
    let sum: usize = messages.iter().map(Vec::len).sum();
    client.command("STAT", &format!("+OK {} {sum}", messages.len())).await;
    for (number, raw) in (1..).zip(&messages) {
        client.command(&format!("RETR {number}"), &format!("+OK {} octets", raw.len())).await;
        let back = client.multiline().await;
        let complete = raw.is_empty() || raw.ends_with(b"\r\n");
        let expected = if complete { raw.clone() } else { [raw, &b"\r\n"[..]].concat() };
        assert!(back == expected, "message {number} has changed");
        client.command(&format!("LIST {number}"), &format!("+OK {number} {}", raw.len())).await;
    }
    client.command("TOP 2 0", "+OK").await;
    let header = client.multiline().await;
    assert!(messages[1].starts_with(&header) && header.ends_with(b"\r\n\r\n"));
    client.command("TOP 2 2", "+OK").await;
    let top = client.multiline().await;
    assert!(messages[1].starts_with(&top) && top.len() > header.len());
    assert_eq!(top[header.len()..].iter().filter(|byte| **byte == b'\n').count(), 2);
    client.command("TOP 10 100000", "+OK").await;
    let top = client.multiline().await;
    assert!(messages[9].starts_with(&top) && top.len() > 1 << 20);
    // Everything at once.
    client.send(b"STAT\r\nRETR 1\r\nNOOP\r\n").await;
    client.expect("+OK").await;
    client.expect("+OK").await;
    assert_eq!(client.multiline().await, messages[0]);
    client.expect("+OK").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_waits_for_quit() {
    let office = Office::open(settings()).await;
    let messages: Vec<Vec<u8>> =
        (0..5).map(|n| format!("Subject: {n}\r\n\r\n{n}\r\n").into_bytes()).collect();
    let key = fill(&office, &messages[..4]).await;

    let mut client = sign_in(&office).await;
    client.command("UIDL", "+OK").await;
    let uidl = String::from_utf8(client.multiline().await).expect("text");
    let ids: std::collections::HashSet<&str> =
        uidl.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(ids.len(), 4);
    client.command("DELE 1", "+OK").await;
    client.command("DELE 1", "-ERR").await;
    client.command("RETR 1", "-ERR").await;
    client.command("STAT", "+OK 3 ").await;
    client.command("RSET", "+OK").await;
    client.command("STAT", "+OK 4 ").await;
    client.command("DELE 2", "+OK").await;
    drop(client);

    // It went without QUIT: nothing is deleted. Two sessions, and mail that comes in between.
    let (mut first, mut second) = (sign_in(&office).await, sign_in(&office).await);
    first.command("STAT", "+OK 4 ").await;
    fill(&office, &messages[4..]).await;
    for client in [&mut first, &mut second] {
        client.command("DELE 1", "+OK").await;
    }
    second.command("DELE 3", "+OK").await;
    first.command("QUIT", "+OK").await;
    second.command("QUIT", "+OK").await;
    second.expect_close().await;
    let state = office.adapter.mailroom.account(key).await.expect("account").state();
    assert_eq!(state.used.messages, 3);

    let mut client = sign_in(&office).await;
    client.command("UIDL", "+OK").await;
    let after = String::from_utf8(client.multiline().await).expect("text");
    let kept: Vec<&str> = after.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    let before: Vec<&str> = uidl.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(kept[..2], [before[1], before[3]]);
    assert_eq!(kept.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_passwords_is_slowed() {
    let office = Office::open(settings()).await;
    let mut client = Client::connect(office.pop3).await;
    client.expect("+OK").await;
    for _ in 0..15 {
        client.command("USER ada@acme.example", "+OK").await;
        let reply = client.command("PASS wrong", "-ERR").await;
        if reply.contains("too many failed sign-ins") {
            return;
        }
    }
    panic!("fifteen wrong passwords and no delay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_account() {
    let mut settings = settings();
    settings.limits.recheck = std::time::Duration::ZERO;
    let office = Office::open(settings).await;
    let key = fill(&office, &[b"Subject: x\r\n\r\n".to_vec()]).await;
    let mut client = sign_in(&office).await;
    client.command("DELE 1", "+OK").await;
    office.adapter.directory.set_password(key, "another password").await.expect("changed");
    client.command("QUIT", "-ERR [AUTH]").await;
    client.expect_close().await;
    office.adapter.directory.set_password(key, PASSWORD).await.expect("changed");
    let mut client = sign_in(&office).await;
    client.command("STAT", "+OK 1 ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_say_what_mail_programs_may_do() {
    let mut settings = settings();
    settings.limits.recheck = std::time::Duration::ZERO;
    let office = Office::open(settings).await;
    let key = fill(&office, &[b"Subject: x\r\n\r\n".to_vec()]).await;
    let directory = &office.adapter.directory;

    // CLI-06: what a client deletes stays, if the member or the tenant wants it so.
    let keep = |deletes| move |said: &mut ClientSettings| said.pop3_deletes = deletes;
    directory.change_tenant_client_settings(key.tenant, keep(Some(false))).await.expect("set");
    let mut client = sign_in(&office).await;
    client.command("DELE 1", "+OK").await;
    client.command("QUIT", "+OK bye, marked messages stay").await;
    directory.change_client_settings(key, keep(Some(true))).await.expect("set");
    let mut client = sign_in(&office).await;
    client.command("STAT", "+OK 1 ").await;

    // CLI-08: an open session ends, and no password opens another; a token does.
    let by_token = |said: &mut ClientSettings| said.passwords = Some(false);
    directory.change_client_settings(key, by_token).await.expect("set");
    client.command("STAT", "-ERR [AUTH]").await;
    client.expect_close().await;
    let (_, token) = directory.add_token(key, "test", TokenScope::ALL, None).await.expect("made");
    let mut client = Client::connect(office.pop3).await;
    client.expect("+OK").await;
    client.command("USER ada@acme.example", "+OK").await;
    client.command(&format!("PASS {PASSWORD}"), "-ERR [AUTH] POP3 is not open to you").await;
    client.command("USER ada@acme.example", "+OK").await;
    client.command(&format!("PASS {token}"), "+OK 1 messages").await;

    // What the tenant closes, the member does not open.
    let pop3 = |open| move |said: &mut ClientSettings| said.pop3.open = Some(open);
    directory.change_tenant_client_settings(key.tenant, pop3(false)).await.expect("set");
    directory.change_client_settings(key, pop3(true)).await.expect("set");
    client.command("STAT", "-ERR [AUTH]").await;
    client.expect_close().await;
}

/// CLI-04 and CLI-05: the maildrop is what the member wants POP3 to see, and what is deleted is deleted there.
#[tokio::test(flavor = "multi_thread")]
async fn members_say_what_pop3_sees() {
    let office = Office::open(settings()).await;
    let key = fill(&office, &[b"Subject: new\r\n\r\n".to_vec()]).await;
    let directory = &office.adapter.directory;
    let live = office.adapter.mailroom.account(key).await.expect("account");
    let create = |draft: &mut Draft| draft.create_mailbox("Mine", None);
    let (_, mine) = live.change(&Actor::System, create).await.expect("made");
    let store = async |mailbox: MailboxId, subject: &str, days: i64| {
        let id = office.adapter.ids.event(office.now());
        let raw = format!("Subject: {subject}\r\n\r\n");
        let date = Timestamp(office.now().0 - days * 24 * 60 * 60 * 1000);
        let incoming = Incoming::prepare(raw.as_bytes(), id, FlagSet::default(), date).expect("prepared");
        live.store_messages(&Actor::Delivery, mailbox, &[incoming], |_| Ok(())).await.expect("stored");
    };
    store(MailboxId::INBOX, "ten days", 10).await;
    store(MailboxId::INBOX, "two years", 800).await;
    store(mine, "mine", 0).await;
    store(mine, "mine, ten days", 10).await;
    store(MailboxId::JUNK, "junk", 0).await;
    store(MailboxId::SENT, "sent", 0).await;

    let subjects = async || {
        let mut client = sign_in(&office).await;
        client.command("LIST", "+OK").await;
        let listed = client.multiline().await.iter().filter(|byte| **byte == b'\n').count();
        let mut subjects = Vec::new();
        for number in 1..=listed {
            client.command(&format!("TOP {number} 0"), "+OK").await;
            let header = String::from_utf8(client.multiline().await).expect("text");
            subjects.push(header.trim().trim_start_matches("Subject: ").to_owned());
        }
        client.command(&format!("TOP {} 0", listed + 1), "-ERR").await;
        client.command("STAT", &format!("+OK {listed} ")).await;
        subjects
    };
    assert_eq!(subjects().await, ["new", "ten days", "two years"]);
    let set = async |change: fn(&mut ClientSettings)| {
        directory.change_client_settings(key, change).await.expect("set");
    };
    set(|said| said.pop3.range = Some(ClientRange::Month)).await;
    assert_eq!(subjects().await, ["new", "ten days"]);
    set(|said| said.pop3.range = Some(ClientRange::Week)).await;
    assert_eq!(subjects().await, ["new"]);
    set(|said| (said.pop3.folders, said.pop3.junk) = (Some(true), Some(true))).await;
    assert_eq!(subjects().await, ["new", "junk", "mine"]);
    set(|said| said.pop3.range = None).await;
    let all = ["new", "ten days", "two years", "junk", "mine", "mine, ten days"];
    assert_eq!(subjects().await, all);
    set(|said| said.pop3.junk = Some(false)).await;
    assert_eq!(subjects().await, ["new", "ten days", "two years", "mine", "mine, ten days"]);

    // The numbers of the marks are those of the list, whichever mailbox they are in.
    set(|said| said.pop3.range = Some(ClientRange::Month)).await;
    let mut client = sign_in(&office).await;
    client.command("STAT", "+OK 4 ").await;
    client.command("DELE 2", "+OK").await;
    client.command("DELE 3", "+OK").await;
    client.command("QUIT", "+OK bye, marked messages are deleted").await;
    set(|said| said.pop3 = ClientSettings::default().pop3).await;
    set(|said| said.pop3.folders = Some(true)).await;
    assert_eq!(subjects().await, ["new", "two years", "mine, ten days"]);
    let state = live.refresh().await.expect("state");
    assert_eq!(state.mailbox(MailboxId::JUNK).map(|junk| junk.rows.len()), Some(1));
}
