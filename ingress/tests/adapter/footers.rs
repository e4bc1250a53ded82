//! Footers in what members hand in: in open sessions, by department, and as large as a message may be.

use std::time::Duration;

use pennypost_directory::{DepartmentId, Footer, FooterRules, Wording};
use pennypost_model::event::Footers;

use crate::office::{Office, settings};
use crate::reach::{ADA, member};
use crate::wire::{Client, stuffed};

fn footer(name: &str, text: &str) -> Footer {
    let wording = Wording { text: text.to_owned(), html: None };
    Footer { name: name.to_owned(), wording, is_above: false, inside: true, outside: true }
}

async fn hand_in(client: &mut Client, letter: &str, reply: &str) {
    client.command("MAIL FROM:<ada@acme.example>", "250").await;
    client.command("RCPT TO:<bob@acme.example>", "250").await;
    client.command("DATA", "354").await;
    client.send(&stuffed(letter.as_bytes())).await;
    client.expect(reply).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn footers_of_departments_stand_in_letters_of_open_sessions() {
    let mut chosen = settings();
    chosen.limits.recheck = Duration::ZERO;
    chosen.limits.smtp.message_size = 2_000;
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let ada = directory.account_at(ADA).await.expect("looked").expect("an account").key;
    directory.set_display_name(ada, "Ada").await.expect("named");
    let mut client = member(&office, ADA).await;
    let letter = "From: ada@acme.example\r\nSubject: x\r\n\r\nhello\r\n";
    hand_in(&mut client, letter, "250").await;
    let (accepted, raw) = office.accepted().await.pop().expect("a letter");
    assert!(raw.ends_with(b"\r\n\r\nhello\r\n") && accepted.source.kind.footers().is_none());

    let sales =
        directory.add_department(office.tenant, DepartmentId::ROOT, "Sales", "").await.expect("added");
    let rules = FooterRules {
        footers: vec![footer("main", "{name}"), footer("sales", "{department}")],
        in_force: Some("main".to_owned()),
        departments: [(sales.id, Some("sales".to_owned()))].into(),
        disclaimer: None,
    };
    let said = directory.change_footer_rules(office.tenant, &FooterRules::default(), &rules).await;
    assert_eq!(said, Ok(true));
    for (departments, expected) in [(vec![], "Ada"), (vec![sales.id], "Sales")] {
        directory.set_departments(ada, &departments).await.expect("said");
        hand_in(&mut client, letter, "250").await;
        let (accepted, raw) = office.accepted().await.pop().expect("a letter");
        let text = String::from_utf8(raw).expect("text");
        assert!(text.ends_with(&format!("\r\n\r\nhello\r\n\r\n{expected}\r\n")), "{text}");
        assert_eq!(accepted.source.kind.footers(), Some(Footers::PutIn));
    }
    // The word of a sender about reports stands beside it.
    client.command("MAIL FROM:<ada@acme.example> ENVID=x", "250").await;
    client.command("RCPT TO:<bob@acme.example> NOTIFY=NEVER", "250").await;
    client.command("DATA", "354").await;
    client.send(&stuffed(letter.as_bytes())).await;
    client.expect("250").await;
    let (accepted, _) = office.accepted().await.pop().expect("a letter");
    let wishes = accepted.source.kind.wishes().expect("wishes");
    assert_eq!(
        (wishes.envelope_id.as_deref(), accepted.source.kind.footers()),
        (Some("x"), Some(Footers::PutIn))
    );
    // With it, a message is no larger than without.
    let long = FooterRules {
        footers: vec![footer("sales", &"x".repeat(1_500)), footer("main", "x")],
        ..rules.clone()
    };
    assert_eq!(directory.change_footer_rules(office.tenant, &rules, &long).await, Ok(true));
    let filled = format!("{letter}{}", "more\r\n".repeat(60));
    hand_in(&mut client, &filled, "552 5.3.4").await;
    assert_eq!(office.accepted().await.len(), 0);
    hand_in(&mut client, letter, "250").await;
}
