//! With whom accounts exchange mail, and single functions that the operator blocks.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pennypost_directory::{Blockable, DepartmentId, MailPermission, MailReach, NameForm};

use crate::office::{Office, PASSWORD, settings};
use crate::wire::{Client, stuffed};

pub const ADA: &str = "ada@acme.example";
pub const BOB: &str = "bob@acme.example";

pub async fn member(office: &Office, address: &str) -> Client {
    let mut client = Client::smtp(office.submission).await;
    let login = STANDARD.encode(format!("\0{address}\0{PASSWORD}"));
    client.command(&format!("AUTH PLAIN {login}"), "235 2.7.0").await;
    client
}

/// The reply that ends an envelope, to its last step.
pub async fn envelope(client: &mut Client, sender: &str, recipient: &str) -> String {
    client.say("RSET").await;
    client.line().await.expect("reply");
    client.say(&format!("MAIL FROM:<{sender}>")).await;
    let reply = client.line().await.expect("reply");
    if !reply.starts_with("250") {
        return reply;
    }
    client.say(&format!("RCPT TO:<{recipient}>")).await;
    client.line().await.expect("reply")
}

fn only(functions: &[Blockable]) -> BTreeSet<Blockable> {
    functions.iter().copied().collect()
}

/// Feature ORG-07: who an account may send to and receive from, each unrestricted, inside only or nobody
#[tokio::test(flavor = "multi_thread")]
async fn each_account_exchanges_mail_with_whom_it_may() {
    let mut chosen = settings();
    chosen.limits.recheck = Duration::ZERO;
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let ada = directory.account_at(ADA).await.expect("looked").expect("an account");
    let mut known = MailPermission::default();
    let mut outside = Client::smtp(office.smtp).await;
    let mut bob = member(&office, BOB).await;
    let mut of_ada = member(&office, ADA).await;
    use MailReach::{Anyone, Inside, Nobody};
    for (receive, from_outside, from_inside) in
        [(Anyone, "250", "250"), (Inside, "550 5.2.1", "250"), (Nobody, "550 5.2.1", "550 5.2.1")]
    {
        let permission = MailPermission { receive, ..known };
        assert_eq!(directory.change_mail_permission(ada.key, known, permission).await, Ok(true));
        known = permission;
        let reply = envelope(&mut outside, "x@elsewhere.example", ADA).await;
        assert!(reply.starts_with(from_outside), "{receive:?} {reply}");
        let reply = envelope(&mut bob, BOB, ADA).await;
        assert!(reply.starts_with(from_inside), "{receive:?} {reply}");
        // Of several behind an address those get it who take it.
        let reply = envelope(&mut outside, "x@elsewhere.example", "all@acme.example").await;
        assert!(reply.starts_with("250"), "{receive:?} {reply}");
        let reply = envelope(&mut outside, "x@elsewhere.example", "postmaster@acme.example").await;
        assert!(reply.starts_with("250"), "{receive:?} {reply}");
    }
    for (send, inside, far) in [
        (Anyone, "250", "550 5.7.1 this"),
        (Inside, "250", "550 5.7.1 your account may send within"),
        (Nobody, "550 5.7.1 sending has been closed", "550 5.7.1 sending has been closed"),
    ] {
        let permission = MailPermission { send, ..known };
        assert_eq!(directory.change_mail_permission(ada.key, known, permission).await, Ok(true));
        known = permission;
        let reply = envelope(&mut of_ada, ADA, BOB).await;
        assert!(reply.starts_with(inside), "{send:?} {reply}");
        let reply = envelope(&mut of_ada, ADA, "x@elsewhere.example").await;
        assert!(reply.starts_with(far), "{send:?} {reply}");
    }
    assert_eq!(directory.change_mail_permission(ada.key, MailPermission::default(), known).await, Ok(false));
}

/// Feature TEN-10 (part): the operator suspends tenants, domains and accounts, and blocks sending, receiving from outside, mail programs, and functions of plans one by one, with a reason that administrators see
#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_blocks_is_closed_at_once() {
    let mut chosen = settings();
    chosen.limits.recheck = Duration::ZERO;
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let ada = directory.account_at(ADA).await.expect("looked").expect("an account").key;
    for of_tenant in [false, true] {
        let block = async |functions: &[Blockable]| {
            let block = directory.block(only(functions), "spam").expect("a block");
            match of_tenant {
                true => {
                    let tenant = directory.tenant(office.tenant).await.expect("looked").expect("a tenant");
                    let blocked = directory.set_tenant_block(office.tenant, tenant.block.as_ref(), block);
                    assert_eq!(blocked.await, Ok(true));
                    // Of two at once the second sees that he has not seen what the first has made.
                    if tenant.block.is_some() {
                        let late = directory.set_tenant_block(office.tenant, tenant.block.as_ref(), None);
                        assert_eq!(late.await, Ok(false));
                    }
                }
                false => directory.set_account_block(ada, block).await.expect("blocked"),
            }
        };
        let mut client = member(&office, ADA).await;
        let mut outside = Client::smtp(office.smtp).await;
        block(&[Blockable::Sending]).await;
        let reply = envelope(&mut client, ADA, BOB).await;
        assert!(reply.starts_with("550 5.7.1 sending has been closed"), "{reply}");
        assert!(envelope(&mut outside, "x@elsewhere.example", ADA).await.starts_with("250"));
        block(&[Blockable::ReceivingFromOutside]).await;
        assert!(envelope(&mut client, ADA, ADA).await.starts_with("250"));
        // A whole tenant may be let in again soon: who sends waits.
        let expected = if of_tenant { "450 4.2.1" } else { "550 5.2.1" };
        let reply = envelope(&mut outside, "x@elsewhere.example", ADA).await;
        assert!(reply.starts_with(expected), "{reply}");
        block(&[Blockable::MailPrograms]).await;
        assert!(envelope(&mut client, ADA, BOB).await.starts_with("530 5.7.0"));
        let mut pop3 = Client::connect(office.pop3).await;
        pop3.line().await.expect("greeting");
        pop3.command(&format!("USER {ADA}"), "+OK").await;
        pop3.command(&format!("PASS {PASSWORD}"), "-ERR").await;
        block(&[]).await;
        let mut client = member(&office, ADA).await;
        assert!(envelope(&mut client, ADA, BOB).await.starts_with("250"));
    }
}

/// Feature ORG-27: one switch of the organisation: members' letters bear the names that administrators have given, as the directory does, in a form with departments and titles if wished, or a member's nickname, or what mail programs say
#[tokio::test(flavor = "multi_thread")]
async fn letters_bear_the_name_that_the_organisation_gives() {
    let mut chosen = settings();
    chosen.limits.recheck = Duration::ZERO;
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let ada = directory.account_at(ADA).await.expect("looked").expect("an account").key;
    directory.set_display_name(ada, "王 Ada").await.expect("named");
    let mut client = member(&office, ADA).await;
    let written = "From: \"The boss\" <ada@acme.example>\r\nSubject: x\r\n\r\nhello\r\n";
    for (nickname, unified, expected) in [
        ("", false, "\"The boss\" <ada@acme.example>"),
        ("Countess", false, "\"Countess\" <ada@acme.example>"),
        ("Countess", true, "=?utf-8?B?546LIEFkYQ==?= <ada@acme.example>"),
    ] {
        let before = directory.account(ada).await.expect("looked").expect("an account").nickname;
        assert_eq!(directory.set_nickname(ada, &before, nickname).await, Ok(true));
        if unified {
            assert_eq!(directory.set_unified_names(office.tenant, false, true).await, Ok(true));
            assert_eq!(directory.set_unified_names(office.tenant, false, true).await, Ok(false));
        }
        client.command("RSET", "250").await;
        client.command("MAIL FROM:<ada@acme.example>", "250").await;
        client.command("RCPT TO:<bob@acme.example>", "250").await;
        client.command("DATA", "354").await;
        client.send(&stuffed(written.as_bytes())).await;
        client.expect("250").await;
        let (_, raw) = office.accepted().await.pop().expect("a letter");
        let raw = String::from_utf8(raw).expect("text");
        assert!(raw.contains(&format!("From: {expected}\r\n")), "{raw}");
        assert!(raw.contains("Subject: x\r\n\r\nhello\r\n"), "{raw}");
    }
    // In the form that the organisation wishes, from now on and in open sessions.
    let form: NameForm = "{name} ({department})".parse().expect("a form");
    let sales =
        directory.add_department(office.tenant, DepartmentId::ROOT, "Sales", "").await.expect("added");
    for (department, expected) in
        [(None, "=?utf-8?B?546LIEFkYQ==?="), (Some(sales.id), "=?utf-8?B?546LIEFkYSAoU2FsZXMp?=")]
    {
        if department.is_none() {
            assert_eq!(directory.set_name_form(office.tenant, None, Some(form.clone())).await, Ok(true));
            assert_eq!(directory.set_name_form(office.tenant, None, None).await, Ok(false));
        }
        directory.set_departments(ada, &Vec::from_iter(department)).await.expect("said");
        client.command("MAIL FROM:<ada@acme.example>", "250").await;
        client.command("RCPT TO:<bob@acme.example>", "250").await;
        client.command("DATA", "354").await;
        client.send(&stuffed(written.as_bytes())).await;
        client.expect("250").await;
        let (_, raw) = office.accepted().await.pop().expect("a letter");
        let raw = String::from_utf8(raw).expect("text");
        assert!(raw.contains(&format!("From: {expected} <ada@acme.example>\r\n")), "{raw}");
    }
    // An address that has to be quoted stays the address that it is.
    let tagged = "From: \"ada+my tag\"@acme.example\r\nSubject: x\r\n\r\nhello\r\n";
    client.command("MAIL FROM:<ada@acme.example>", "250").await;
    client.command("RCPT TO:<bob@acme.example>", "250").await;
    client.command("DATA", "354").await;
    client.send(&stuffed(tagged.as_bytes())).await;
    client.expect("250").await;
    let (_, raw) = office.accepted().await.pop().expect("a letter");
    let raw = String::from_utf8(raw).expect("text");
    assert!(raw.contains(" <\"ada+my tag\"@acme.example>\r\n"), "{raw}");
}
