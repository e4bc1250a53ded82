//! Mail that members hand in (RFC 6409): who may, as whom, where to, and what becomes of it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pennypost_directory::{
    Account, AccountState, AddressRule, Attempt, Directory, GroupRules, MailAddress, MailboxUsers,
    NewAccount, Plan, SecretaryScope, SecretaryTerm, Senders, SignInKind, SignInQuery, SignInRules,
    TokenScope, Verification,
};
use pennypost_model::event::{Accepted, SourceKind, Via};

use crate::office::{Office, PASSWORD, settings};
use crate::scram::Scram;
use crate::wire::{Client, stuffed};

const ADA: &str = "ada@acme.example";
const BOB: &str = "bob@acme.example";

fn plain(login: &str, password: &str) -> String {
    format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{login}\0{password}")))
}

fn oauthbearer(token: &str) -> String {
    let message = format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}");
    format!("AUTH OAUTHBEARER {}", STANDARD.encode(message))
}

/// The code of the reply to a sign-in.
async fn auth(office: &Office, command: &str) -> String {
    let mut client = Client::smtp(office.submission).await;
    client.say(command).await;
    let mut reply = client.line().await.expect("reply");
    if reply.starts_with("334 ") {
        // A mechanism tells why in JSON, and the client has read it.
        client.say("AQ==").await;
        reply = client.line().await.expect("reply");
    }
    reply.chars().take(9).collect()
}

async fn signed_in(office: &Office, login: &str) -> Client {
    let mut client = Client::smtp(office.submission).await;
    client.command(&plain(login, PASSWORD), "235 2.7.0").await;
    client
}

async fn account(directory: &Directory, address: &str) -> Account {
    directory.account_at(address).await.expect("directory").expect("an account")
}

/// Sends a letter; the reply that ended it.
async fn send(client: &mut Client, sender: &str, recipients: &[&str], letter: &str) -> String {
    client.say(&format!("MAIL FROM:<{sender}>")).await;
    let reply = client.line().await.expect("reply");
    if !reply.starts_with("250") {
        return reply;
    }
    for recipient in recipients {
        client.say(&format!("RCPT TO:<{recipient}>")).await;
        let reply = client.line().await.expect("reply");
        if !reply.starts_with("250") {
            client.command("RSET", "250").await;
            return reply;
        }
    }
    client.command("DATA", "354").await;
    client.send(&stuffed(letter.as_bytes())).await;
    client.line().await.expect("reply")
}

/// Feature AUT-08: a token sends if that is among what it opens
/// Feature CLI-08 (part): sending is open to whoever may fetch, and to tokens alone where passwords are closed; read status not yet
#[tokio::test(flavor = "multi_thread")]
async fn what_opens_mailboxes_opens_sending_too() {
    let office = Office::open(settings()).await;
    let directory = &office.adapter.directory;
    let ada = account(directory, ADA).await.key;
    let (_, all) = directory.add_token(ada, "laptop", TokenScope::ALL, None).await.expect("token");
    let fetching = TokenScope { smtp: false, ..TokenScope::ALL };
    let (_, fetching) = directory.add_token(ada, "phone", fetching, None).await.expect("token");
    let xoauth2 = STANDARD.encode(format!("user={ADA}\u{1}auth=Bearer {all}\u{1}\u{1}"));
    let right = ["235 2.7.0"; 5];
    let said = [
        auth(&office, &plain(ADA, PASSWORD)).await,
        auth(&office, &plain("info@acme.example", PASSWORD)).await,
        auth(&office, &plain(ADA, &all)).await,
        auth(&office, &oauthbearer(&all)).await,
        auth(&office, &format!("AUTH XOAUTH2 {xoauth2}")).await,
    ];
    assert_eq!(said, right);
    for wrong in [
        plain(ADA, &fetching),
        oauthbearer(&fetching),
        oauthbearer("ppt_no"),
        plain(BOB, &all),
        format!("AUTH PLAIN {}", STANDARD.encode(format!("{BOB}\0{ADA}\0{PASSWORD}"))),
    ] {
        assert_eq!(auth(&office, &wrong).await, "535 5.7.8", "{wrong}");
    }

    let mut client = Client::connect(office.submissions).await;
    client.tls(&office.certificate()).await;
    client.expect("220 ").await;
    client.command("EHLO client.example", "250-").await;
    while client.line().await.expect("EHLO reply").starts_with("250-") {}
    let scram = Scram::new("n,,", b"", ADA, PASSWORD);
    let challenge = client.command(&format!("AUTH SCRAM-SHA-256 {}", scram.first()), "334 ").await;
    let (last, expected) = scram.last(challenge.strip_prefix("334 ").expect("a challenge"));
    assert_eq!(client.command(&last, "334 ").await, format!("334 {expected}"));
    client.command("", "235 2.7.0").await;

    // POP3 alone is enough to send; nothing is not.
    let change = |imap, pop3, passwords| {
        directory.change_client_settings(ada, move |said| {
            (said.imap.open, said.pop3.open, said.passwords) = (Some(imap), Some(pop3), Some(passwords));
        })
    };
    change(false, true, true).await.expect("changed");
    assert_eq!(auth(&office, &plain(ADA, PASSWORD)).await, "235 2.7.0");
    change(true, true, false).await.expect("changed");
    assert_eq!(auth(&office, &plain(ADA, PASSWORD)).await, "535 5.7.8");
    assert_eq!(auth(&office, &plain(ADA, &all)).await, "235 2.7.0");
    change(false, false, true).await.expect("changed");
    assert_eq!(auth(&office, &plain(ADA, &all)).await, "535 5.7.8");
}

/// The code of an authenticator (RFC 6238), from its secret in base32.
fn code(secret: &str, now: i64) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = secret.bytes().flat_map(|letter| {
        let five = alphabet.iter().position(|known| *known == letter).expect("base32");
        (0..5).rev().map(move |bit| five >> bit & 1 == 1)
    });
    let bits: Vec<bool> = bits.collect();
    let key: Vec<u8> = bits
        .chunks_exact(8)
        .map(|eight| eight.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
        .collect();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = ring::hmac::sign(&key, &(now / 30_000).to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 15);
    let word: [u8; 4] = tag.as_ref()[offset..offset + 4].try_into().expect("four");
    format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000)
}

/// Feature AUT-14: rules of addresses hold for sending, too
/// Feature AUT-16: a locked account sends nothing
#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_signing_in_hold() {
    let office = Office::open(settings()).await;
    let directory = &office.adapter.directory;
    let ada = account(directory, ADA).await.key;
    let attempt = Attempt::new(SignInKind::Web, "code", [127, 0, 0, 1].into());
    let secret = directory.begin_authenticator(ada).await.expect("begun").secret;
    let shown = code(&secret, office.now().0);
    directory.finish_authenticator(ada, &shown, &attempt).await.expect("set up");
    assert_eq!(auth(&office, &plain(ADA, PASSWORD)).await, "535 5.7.8");
    let (_, token) = directory.add_token(ada, "laptop", TokenScope::ALL, None).await.expect("token");
    assert_eq!(auth(&office, &plain(ADA, &token)).await, "235 2.7.0");

    let rules = directory.sign_in_rules(office.tenant).await.expect("rules");
    let secure = SignInRules { secure: true, ..rules.clone() };
    directory.set_sign_in_rules(office.tenant, &secure).await.expect("valid").expect("stored");
    assert_eq!(auth(&office, &plain(BOB, PASSWORD)).await, "535 5.7.8", "by its password alone");
    let stored = directory.sign_in_rules(office.tenant).await.expect("rules");
    let mut changed = SignInRules { secure: false, ..stored };
    changed.lock.count = 3;
    directory.set_sign_in_rules(office.tenant, &changed).await.expect("valid").expect("stored");
    for _ in 0..3 {
        assert_eq!(auth(&office, &plain(BOB, "a wrong password")).await, "535 5.7.8");
    }
    let mut client = Client::smtp(office.submission).await;
    client.command(&plain(BOB, PASSWORD), "535 5.7.8 too many wrong passwords: the account is locked").await;

    let stored = directory.sign_in_rules(office.tenant).await.expect("rules");
    let elsewhere =
        AddressRule { deny: vec!["127.0.0.0/8".parse().expect("network")], ..AddressRule::default() };
    let elsewhere = SignInRules { addresses: elsewhere, ..stored };
    directory.set_sign_in_rules(office.tenant, &elsewhere).await.expect("valid").expect("stored");
    client.command(&plain(ADA, &token), "535 5.7.8 signing in from your address is not allowed").await;

    // What is recorded says by what way.
    let log = directory.sign_in_log().expect("a record");
    log.finish().await;
    let query = SignInQuery { kinds: vec![SignInKind::Smtp], ..SignInQuery::default() };
    let (found, _) = log.find(office.tenant, &query, None, 100).await.expect("read");
    let mut outcomes: Vec<&str> = found.iter().map(|record| record.outcome.name()).collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    assert_eq!(outcomes, ["closed", "elsewhere", "lock-began", "locked", "ok", "wrong-password"]);
}

/// Feature SND-23 (part): as oneself, for a group, for the owner of a mailbox, and as nobody else; in mail programs, no page yet
/// Feature GRP-05: representatives write in the group's name, others do not
/// Feature DLG-03 (part): a secretary sends as the owner, or on his behalf with Sender; calendar invitations not yet
#[tokio::test(flavor = "multi_thread")]
async fn members_write_as_whom_they_may() {
    let office = Office::open(settings()).await;
    let directory = &office.adapter.directory;
    let (ada, bob) = (account(directory, ADA).await.key, account(directory, BOB).await.key);
    let mut client = signed_in(&office, ADA).await;
    let letter = |header: &str| format!("{header}\r\nSubject: hello\r\n\r\nhello\r\n");
    let mut said = async |sender: &str, header: &str| {
        let reply = send(&mut client, sender, &[ADA], &letter(header)).await;
        reply.chars().take(9).collect::<String>()
    };
    let (yes, no) = ("250 2.0.0", "550 5.7.1");
    for (sender, header, expected) in [
        (ADA, "From: Ada <ada@acme.example>", yes),
        ("ADA@Acme.Example", "From: ada@ACME.example", yes),
        ("ada+list@acme.example", "From: info@acme.example", yes),
        ("", "From: ada@acme.example", yes),
        (BOB, "From: ada@acme.example", no),
        (ADA, "From: bob@acme.example", no),
        (ADA, "From: ada@acme.example, bob@acme.example", no),
        (ADA, "From: Us: ada@acme.example;", no),
        (ADA, "From: ada@acme.example\r\nSender: bob@acme.example", no),
        (ADA, "From: ada@acme.example\r\nSender: Ada <info@acme.example>", yes),
        ("all@acme.example", "From: ada@acme.example", no),
        (ADA, "From: all@acme.example", no),
        (ADA, "From: ada@elsewhere.example", no),
        (ADA, "From: olga@other.example", no),
        (ADA, "From: nobody@acme.example", no),
    ] {
        assert_eq!(said(sender, header).await, expected, "<{sender}> {header}");
    }

    // A group.
    let represent = |rules: &mut GroupRules| {
        rules.representatives.insert(ada.account);
    };
    directory.change_group_rules("all@acme.example", represent).await.expect("changed");
    assert_eq!(said("all@acme.example", "From: All <all@acme.example>").await, yes);
    directory
        .change_group_rules("all@acme.example", |rules| rules.is_disabled = true)
        .await
        .expect("changed");
    assert_eq!(said("all@acme.example", "From: all@acme.example").await, no);
    office.accepted().await;

    // A secretary.
    let (in_name, with_sender, by_another) = (
        "From: bob@acme.example",
        "From: bob@acme.example\r\nSender: ada@acme.example",
        "From: bob@acme.example\r\nSender: bob@acme.example",
    );
    for (scope, adds_sender, by_another_is) in [
        (SecretaryScope::SendAs, false, yes),
        (SecretaryScope::Full, false, yes),
        (SecretaryScope::SendOnBehalf, true, no),
    ] {
        directory.grant_secretary(bob, ada.account, (scope, SecretaryTerm::Day)).await.expect("granted");
        assert_eq!(said(BOB, in_name).await, yes, "{scope:?}");
        let (_, raw) = office.accepted().await.pop().expect("accepted");
        let raw = String::from_utf8(raw).expect("text");
        assert_eq!(raw.contains("Sender: ada@acme.example\r\n"), adds_sender, "{raw}");
        assert_eq!(said(ADA, with_sender).await, yes, "{scope:?}");
        assert_eq!(said(ADA, by_another).await, by_another_is, "{scope:?}");
        office.accepted().await;
    }
    directory.set_account_state(bob, AccountState::Disabled).await.expect("disabled");
    assert_eq!(said(ADA, with_sender).await, no, "nobody stands in for a closed account");
    directory.set_account_state(bob, AccountState::Active).await.expect("enabled");
    directory.end_secretary(bob, ada.account).await.expect("ended");
    assert_eq!(said(ADA, with_sender).await, no);
}

/// Feature BIZ-07: a user's token of a business mailbox writes as the mailbox, as long as he uses it; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn a_business_mailbox_writes_by_a_users_token() {
    let mut chosen = settings();
    chosen.limits.recheck = Duration::ZERO;
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let ada = account(directory, ADA).await.key;
    let new = NewAccount { address: "sales@acme.example", is_business: true, ..NewAccount::default() };
    let sales = directory.add_account_with(&new).await.expect("mailbox").key;
    let change = |uses: bool| {
        directory.change_mailbox_users(sales, move |users: &mut MailboxUsers| {
            if uses { users.accounts.insert(ada.account) } else { users.accounts.remove(&ada.account) }
        })
    };
    change(true).await.expect("changed").expect("changed");
    let (_, token) =
        directory.add_user_token((ada.account, sales), "laptop", TokenScope::ALL, None).await.expect("token");
    let letter = "From: Sales <sales@acme.example>\r\n\r\nhello\r\n";
    let mut own = signed_in(&office, ADA).await;
    assert!(
        send(&mut own, ADA, &[BOB], letter).await.starts_with("550 5.7.1"),
        "by the mailbox's token alone"
    );
    let mut client = Client::smtp(office.submission).await;
    client.command(&plain("sales@acme.example", &token), "235 2.7.0").await;
    assert!(send(&mut client, "sales@acme.example", &[BOB], letter).await.starts_with("250 2.0.0"));
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    assert_eq!(submitter(&accepted).0, "sales@acme.example");
    let from_ada = "From: ada@acme.example\r\n\r\nhello\r\n";
    assert!(send(&mut client, ADA, &[BOB], from_ada).await.starts_with("550 5.7.1"));
    change(false).await.expect("changed").expect("changed");
    assert!(send(&mut client, "sales@acme.example", &[BOB], letter).await.starts_with("530 5.7.0"));
}

fn submitter(accepted: &Accepted) -> (&str, &str) {
    match &accepted.source.kind {
        SourceKind::Submission(submission) => (&submission.submitter.address, &submission.submitter.protocol),
        other => panic!("{other:?}"),
    }
}

/// Feature CLI-07: a member and a tenant say whether what programs send is kept on the server
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_put_in_order_and_says_who_wrote_it() {
    let office = Office::open(settings()).await;
    let directory = &office.adapter.directory;
    let ada = account(directory, ADA).await.key;
    let mut client = Client::connect(office.submissions).await;
    client.tls(&office.certificate()).await;
    client.expect("220 ").await;
    client.command("EHLO laptop.example", "250-").await;
    while client.line().await.expect("EHLO reply").starts_with("250-") {}
    client.command(&plain("info@acme.example", PASSWORD), "235").await;
    let letter = "Return-Path: <bob@acme.example>\r\nFrom: info@acme.example\r\nTo: all@acme.example\r\n\
                  Bcc: Bob <bob@acme.example>\r\nSubject: hello\r\n\r\nBcc: hello\r\n";
    let reply = send(&mut client, "info@acme.example", &["all@acme.example", BOB], letter).await;
    let id = reply.strip_prefix("250 2.0.0 queued as ").expect("accepted").to_owned();
    let (accepted, raw) = office.accepted().await.pop().expect("accepted");
    let raw = String::from_utf8(raw).expect("text");
    let (date, rest) = raw.split_once("\r\n").expect("a field");
    assert!(date.starts_with("Date: ") && date.ends_with(" +0000"), "{date}");
    assert_eq!(
        rest,
        format!(
            "Message-ID: <{id}@acme.example>\r\nFrom: info@acme.example\r\nTo: all@acme.example\r\n\
             Subject: hello\r\n\r\nBcc: hello\r\n"
        )
    );
    assert_eq!(accepted.reverse_path, "info@acme.example");
    assert!(accepted.receipt.contains(" with ESMTPSA id "), "{}", accepted.receipt);
    assert!(!accepted.receipt.contains("\tfor <"), "{}", accepted.receipt);
    let results = "Authentication-Results: post.example; auth=pass smtp.auth=ada@acme.example\r\n";
    assert!(accepted.receipt.ends_with(results), "{}", accepted.receipt);
    assert_eq!(submitter(&accepted), (ADA, "ESMTPSA"));
    let SourceKind::Submission(submission) = &accepted.source.kind else { panic!("no submission") };
    assert_eq!(
        (submission.submitter.account, submission.bcc.as_str()),
        (ada, "Bcc: Bob <bob@acme.example>\r\n")
    );
    let ways: Vec<_> = accepted.recipients.iter().map(|one| (one.account == ada, one.via)).collect();
    assert_eq!(ways, [(true, Via::Group), (false, Via::Group), (true, Via::Sent)]);
    assert!(accepted.copy_id(&accepted.recipients[0]) != accepted.copy_id(&accepted.recipients[2]));

    // What is there stays as it is.
    let whole = "Message-ID: <x@acme.example>\r\nDate: Fri, 20 Nov 2026 00:00:00 +0000\r\n\
                 From: ada@acme.example\r\n\r\nhello\r\n";
    assert!(send(&mut client, ADA, &[BOB], whole).await.starts_with("250"));
    assert_eq!(office.accepted().await.pop().expect("accepted").1, whole.as_bytes());

    // The tenant's word, and the member's before it; from the next sign-in on.
    let sent = async |tenant: Option<bool>, member: Option<bool>| {
        let directory = &office.adapter.directory;
        directory
            .change_tenant_client_settings(office.tenant, move |said| said.sent_copies = tenant)
            .await
            .expect("changed");
        directory.change_client_settings(ada, move |said| said.sent_copies = member).await.expect("changed");
        let mut client = signed_in(&office, ADA).await;
        assert!(send(&mut client, ADA, &[BOB], whole).await.starts_with("250"));
        let (accepted, _) = office.accepted().await.pop().expect("accepted");
        accepted.recipients.iter().any(|recipient| recipient.via == Via::Sent)
    };
    assert!(!sent(Some(false), None).await);
    assert!(sent(Some(false), Some(true)).await);
    assert!(!sent(None, Some(false)).await);
}

/// Feature GRP-04: whoever has signed in needs no other proof
#[tokio::test(flavor = "multi_thread")]
async fn groups_know_who_has_signed_in() {
    let office = Office::open(settings()).await;
    let directory = &office.adapter.directory;
    directory.add_account("eve@acme.example", PASSWORD, "", None).await.expect("account");
    directory.add_group("board@acme.example", "Board", &[BOB]).await.expect("group");
    let ada = account(directory, ADA).await.key;
    let represent = |rules: &mut GroupRules| {
        rules.representatives.insert(ada.account);
    };
    directory.change_group_rules("all@acme.example", represent).await.expect("changed");
    for (senders, of_ada, of_eve) in [
        (Senders::Everyone, "250", "250"),
        (Senders::Inside, "250", "250"),
        (Senders::Members, "550 5.7.2", "550 5.7.2"),
        (Senders::Named, "550 5.7.2", "250"),
    ] {
        directory
            .change_group_rules("board@acme.example", |rules: &mut GroupRules| {
                rules.senders = senders;
                let eve = MailAddress::parse("eve@acme.example").expect("address");
                rules.named.clear();
                if senders == Senders::Named {
                    rules.named.insert(eve);
                }
            })
            .await
            .expect("changed");
        for (login, sender, expected) in [
            (ADA, ADA, of_ada),
            (ADA, "", of_ada),
            (ADA, "all@acme.example", of_ada),
            ("eve@acme.example", "eve@acme.example", of_eve),
        ] {
            let mut client = signed_in(&office, login).await;
            client.command(&format!("MAIL FROM:<{sender}>"), "250").await;
            client.command("RCPT TO:<board@acme.example>", expected).await;
        }
    }
}

/// Feature PLN-11: a tenant sends as many messages a day as its plan says, and what was refused does not count
#[tokio::test(flavor = "multi_thread")]
async fn limits_of_an_account_and_of_a_tenant_hold() {
    let mut chosen = settings();
    chosen.limits.submission.recipients = 2;
    chosen.limits.submission.messages_per_minute_and_account = 6;
    chosen.limits.recheck = Duration::ZERO;
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let letter = "From: ada@acme.example\r\n\r\nhello\r\n";
    let mut client = signed_in(&office, ADA).await;
    let three = send(&mut client, ADA, &[BOB, ADA, "info@acme.example"], letter).await;
    assert!(three.starts_with("452 4.5.3"), "{three}");

    let plan = Plan { daily_messages: Some(2), ..Plan::pro() };
    assert_eq!(directory.set_plan(office.tenant, None, &plan).await, Ok(true));
    let forged = "From: bob@acme.example\r\n\r\nhello\r\n";
    for (letter, expected) in [(letter, "250"), (forged, "550"), (letter, "250"), (letter, "452 4.7.1")] {
        let reply = send(&mut client, ADA, &[BOB], letter).await;
        assert!(reply.starts_with(expected), "{reply}");
    }
    assert_eq!(office.accepted().await.len(), 2);
    let more = Plan { daily_messages: Some(3), ..plan.clone() };
    let stored = directory.tenant(office.tenant).await.expect("tenant").expect("tenant").plan;
    assert_eq!(directory.set_plan(office.tenant, stored.as_ref(), &more).await, Ok(true));
    let reply = send(&mut client, ADA, &[BOB], letter).await;
    assert!(reply.starts_with("250"), "{reply}");
    // Six transactions have begun in this minute, of this account alone.
    let reply = send(&mut client, ADA, &[BOB], letter).await;
    assert!(reply.starts_with("451 4.7.1"), "{reply}");
    let mut other = signed_in(&office, BOB).await;
    let of_bob = "From: bob@acme.example\r\n\r\nhello\r\n";
    assert!(send(&mut other, BOB, &[ADA], of_bob).await.starts_with("452 4.7.1"));
}

/// Feature PLN-11: each account has an allowance by the plan, or one of its own, and takes nothing from the others when it is used up
#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_an_allowance_of_its_own() {
    let mut chosen = settings();
    chosen.limits.recheck = Duration::ZERO;
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let plan = Plan { daily_messages: Some(4), account_daily_messages: Some(1), ..Plan::pro() };
    assert_eq!(directory.set_plan(office.tenant, None, &plan).await, Ok(true));
    let (ada, bob) = (account(directory, ADA).await.key, account(directory, BOB).await.key);
    directory.set_account_allowance(bob, Some(2)).await.expect("said");
    let of = |who: &str| format!("From: {who}\r\n\r\nhello\r\n");
    let (mut one, mut other) = (signed_in(&office, ADA).await, signed_in(&office, BOB).await);
    for expected in ["250", "452 4.7.1", "452 4.7.1"] {
        let reply = send(&mut one, ADA, &[BOB], &of(ADA)).await;
        assert!(reply.starts_with(expected), "{reply}");
    }
    for expected in ["250", "250", "452 4.7.1"] {
        let reply = send(&mut other, BOB, &[ADA], &of(BOB)).await;
        assert!(reply.starts_with(expected), "{reply}");
    }
    assert_eq!(directory.account_allowance(ada).await.expect("read").sent, 1);
    assert_eq!(directory.account_allowance(bob).await.expect("read").sent, 2);
    assert_eq!(directory.sent_today(office.tenant).await, Ok(3), "what was refused counts for nobody");
    directory.set_account_allowance(ada, Some(9)).await.expect("said");
    let reply = send(&mut one, ADA, &[BOB], &of(ADA)).await;
    assert!(reply.starts_with("250"), "{reply}");
    // Now the organisation's is used up, and that is no message of hers.
    let reply = send(&mut one, ADA, &[BOB], &of(ADA)).await;
    assert!(reply.starts_with("452 4.7.1"), "{reply}");
    assert_eq!(directory.account_allowance(ada).await.expect("read").sent, 2);
    // Who it is is known: more a day.
    let seen = directory.tenant(office.tenant).await.expect("tenant").expect("tenant").plan;
    let verified =
        Plan { verification: Verification::Verified, verified_daily_messages: Some(5), ..plan.clone() };
    assert_eq!(directory.set_plan(office.tenant, seen.as_ref(), &verified).await, Ok(true));
    assert!(send(&mut one, ADA, &[BOB], &of(ADA)).await.starts_with("250"));
    assert!(send(&mut one, ADA, &[BOB], &of(ADA)).await.starts_with("452 4.7.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_closed_out_sends_no_more() {
    let mut chosen = settings();
    chosen.limits.recheck = Duration::ZERO;
    let office = Office::open(chosen).await;
    let ada = account(&office.adapter.directory, ADA).await.key;
    let letter = "From: ada@acme.example\r\n\r\nhello\r\n";
    let mut client = signed_in(&office, ADA).await;
    assert!(send(&mut client, ADA, &[BOB], letter).await.starts_with("250"));
    office.adapter.directory.set_account_state(ada, AccountState::Disabled).await.expect("disabled");
    assert!(send(&mut client, ADA, &[BOB], letter).await.starts_with("530 5.7.0"));
    assert_eq!(office.accepted().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_to_other_servers_writes_where_mail_can_go() {
    let mut chosen = settings();
    chosen.is_sending = true;
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let theirs = directory.add_tenant("theirs").await.expect("tenant");
    directory.add_domain(theirs.id, "theirs.example").await.expect("domain");
    let mut client = signed_in(&office, ADA).await;
    let letter = "From: ada@acme.example\r\n\r\nhello\r\n";
    for (address, refused) in [
        ("you@localhost", "550 5.1.2"),
        ("you@[127.0.0.1]", "550 5.1.2"),
        ("nobody@acme.example", "550 5.1.1"),
    ] {
        let reply = send(&mut client, ADA, &[address], letter).await;
        assert!(reply.starts_with(refused), "{address}: {reply}");
    }
    // Whether somebody of another organisation has the address is not told here.
    let to = [
        BOB,
        "you@far.example",
        "You@far.example",
        "you@far.example",
        "b\u{fc}@x.example",
        "you@theirs.example",
    ];
    client.say(&format!("MAIL FROM:<{ADA}> SMTPUTF8")).await;
    client.expect("250").await;
    for address in to {
        client.command(&format!("RCPT TO:<{address}>"), "250").await;
    }
    client.command("DATA", "354").await;
    client.send(&stuffed(letter.as_bytes())).await;
    client.expect("250").await;
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    let ada = account(directory, ADA).await.key;
    let outside: Vec<_> = accepted.recipients.iter().filter(|one| one.via == Via::Outside).collect();
    assert!(outside.iter().all(|one| one.account == ada), "they are the writer's");
    let outside: Vec<&str> = outside.into_iter().map(|one| one.address.as_str()).collect();
    let expected = ["you@far.example", "You@far.example", "b\u{fc}@x.example", "you@theirs.example"];
    assert_eq!(outside, expected, "each once");
    assert_eq!(accepted.recipients.len(), 6, "Bob, four outside, Sent");
    // Nobody but members goes anywhere.
    let mut stranger = Client::smtp(office.smtp).await;
    let reply = send(&mut stranger, "x@elsewhere.example", &["you@far.example"], letter).await;
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
}
