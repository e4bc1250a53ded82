//! Reports of other servers about letters that these had taken: from SMTP in to what the sender is shown.

use pennypost_journeys::{Journey, journey};
use pennypost_model::trace::CameBack;

use super::*;

const OUT: &str = "From: Ann <ann@t.test>\r\nTo: You@far.test, friend@far.test, bob@t.test\r\nSubject: hello\r\nMessage-ID: <9@t.test>\r\n\r\nhello";

/// A report of a server behind the first.
fn report(envelope_id: &str, address: &str, action: &str, returned: &str) -> String {
    format!(
        "From: MAILER-DAEMON@inner.far.test\r\nTo: ann@t.test\r\nSubject: failed\r\nAuto-Submitted: auto-replied\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\n\
         Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; inner.far.test\r\n{envelope_id}\r\n\
         Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: 5.1.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 nobody is called so\r\n\r\n--b\r\n\
         Content-Type: text/rfc822-headers\r\n\r\n{returned}\r\n--b--"
    )
}

impl Town {
    async fn traces(&self) -> Vec<TraceRecord> {
        let (from, to) = (EventId::from_parts(Timestamp(0), 0), EventId::from_parts(Timestamp(1 << 46), 0));
        let query = LogQuery { tenant: self.office.tenant, kind: LogKind::Trace, from, to, limit: 1_000 };
        let records = self.office.backend.log().query(&query).await.unwrap();
        records.iter().map(|record| codec::decode(&record.value).unwrap()).collect()
    }

    /// What came back, each as often as it is written.
    async fn came_back(&self) -> Vec<CameBack> {
        let backs = self.traces().await.into_iter().filter_map(|trace| match trace.step {
            TraceStep::CameBack(back) => Some(back),
            _ => None,
        });
        backs.collect()
    }

    async fn sent(&self) -> Journey {
        let traces = self.traces().await;
        let is_it = |trace: &&TraceRecord| matches!(&trace.step, TraceStep::Delivered { message_id, .. } if message_id == "9@t.test");
        let id = traces.iter().find(is_it).unwrap().message;
        journey(&*self.office.backend.log(), self.office.tenant, id).await.unwrap().unwrap()
    }

    pub(super) async fn report(&self, from: &str, to: &str, report: &str) {
        assert!(self.come_in(from, to, report).await.starts_with("250 2.0.0 "));
        self.work().await;
    }
}

/// Feature DLV-02 (part): what another server had taken and reports as failed later is refused by it, for that recipient, and nobody makes that up
#[tokio::test(flavor = "multi_thread")]
async fn letters_that_come_back_later_are_known_by_their_reports() {
    let it = Town::open().await;
    hand_in(&it.office, "ann@t.test", &["You@far.test", "friend@far.test", "bob@t.test"], OUT).await;
    it.work().await;
    let given = it.given();
    let [sent] = &given[..] else { panic!("{given:?}") };
    let header = sent.text.split_once("\r\n\r\n").unwrap().0;
    let outcome = async |address: &str| it.sent().await.remote(address).unwrap().outcome;
    assert_eq!(outcome("You@far.test").await, RemoteOutcome::Sent);

    // Made up: it does not know the letter, is somebody else's, comes from somebody, or says nothing of an address that has failed
    // elsewhere.
    let other = header.replace("<9@t.test>", "<8@t.test>");
    let unknown =
        header.replace(&it.sent().await.id.to_string(), &EventId::from_parts(Timestamp(1), 1).to_string());
    let named = |id: &str| format!("Original-Envelope-Id: {id}\r\n");
    let envelope = sent.envelope_id.clone().unwrap();
    let (rest, last) = envelope.split_at(envelope.len() - 1);
    let forged = format!("{rest}{}", if last == "x" { "y" } else { "x" });
    for (from, to, report) in [
        ("", "ann@t.test", report("", "you@far.test", "failed", &other)),
        ("", "ann@t.test", report("", "you@far.test", "failed", &unknown)),
        ("", "ann@t.test", report("", "you@far.test", "failed", "Subject: hello")),
        ("", "ann@t.test", report(&named(&forged), "you@far.test", "failed", "Subject: hello")),
        ("", "eve@t.test", report(&named(&envelope), "you@far.test", "failed", header)),
        ("foe@far.test", "ann@t.test", report(&named(&envelope), "you@far.test", "failed", header)),
        ("", "ann@t.test", report(&named(&envelope), "bob@t.test", "failed", header)),
        ("", "ann@t.test", report(&named(&envelope), "them@far.test", "failed", header)),
        ("", "ann@t.test", report(&named(&envelope), "you@far.test", "delayed", header)),
        ("", "ann@t.test", report(&named(&envelope), "you@far.test", "delivered", header)),
    ] {
        it.report(from, to, &report).await;
        assert_eq!(it.came_back().await, [], "{from} {to} {report}");
    }

    // By what the letter says of itself, and by what its envelope is called; each twice, and each counts once.
    for _ in 0..2 {
        it.report("", "ann@t.test", &report("", "you@FAR.test", "failed", header)).await;
        it.report(
            "",
            "ann+x@t.test",
            &report(&named(&envelope), "friend@far.test", "failed", "Subject: hello"),
        )
        .await;
    }
    let back = it.came_back().await;
    let [first, second] = &back[..] else { panic!("{back:?}") };
    assert_eq!((first.address.as_str(), second.address.as_str()), ("You@far.test", "friend@far.test"));
    assert_eq!((first.reporter.as_str(), first.answer.code), ("inner.far.test", Some(550)));
    assert_eq!(first.answer.text, "nobody is called so");
    for address in ["You@far.test", "friend@far.test"] {
        assert_eq!(outcome(address).await, RemoteOutcome::Failed);
    }
    // Nobody has these addresses: mailings don't go there any more.
    let page = pennypost_directory::Page::default();
    let listed = it.office.directory.suppressed(it.office.tenant, "", &page).await.unwrap().items;
    let listed: Vec<_> = listed.iter().map(|one| (one.address.as_str(), one.by.name(), one.letter)).collect();
    let letter = Some(it.sent().await.id);
    assert_eq!(listed, [("friend@far.test", "bounce", letter), ("you@far.test", "bounce", letter)]);
    // All of them are letters to her, too.
    assert_eq!((it.count("ann", "INBOX").await, it.count("eve", "INBOX").await), (9 + 4, 1));
    assert!(it.given().is_empty(), "nobody is written to");
}

/// A server that did not take it has said so, and reports change nothing of that.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_taken_does_not_come_back() {
    let it = Town::open().await;
    it.world.refusing.lock().push("friend@far.test".to_owned());
    hand_in(&it.office, "ann@t.test", &["friend@far.test"], OUT).await;
    it.work().await;
    let given = it.given();
    let header = given[0].text.split_once("\r\n\r\n").unwrap().0;
    it.report("", "ann@t.test", &report("", "friend@far.test", "failed", header)).await;
    assert_eq!(it.came_back().await, []);
    let sent = it.sent().await;
    assert_eq!(sent.remote("friend@far.test").unwrap().answer.text, "said");
}
