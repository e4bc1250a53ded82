//! Who has read what members sent: handed in by SMTP, read by IMAP, receipts in by SMTP and submission, and what the sender is told.

use pennypost_admin::{Administration, Call, OwnLetter, ReadState, ReadStatusWish};
use pennypost_housekeep::KeptMail;
use pennypost_model::trace::WasRead;

use super::*;

const OUT: &str = "From: Ann <ann@t.test>\r\nTo: You@far.test, bob@t.test, eve@t.test\r\nSubject: hello\r\nMessage-ID: <9@t.test>\r\n\
                   Disposition-Notification-To: ann@t.test\r\n\r\nhello";
/// `\0bob@t.test\0a long password`
const BOB: &str = "AGJvYkB0LnRlc3QAYSBsb25nIHBhc3N3b3Jk";

/// What a mail program says of a letter that was displayed.
fn receipt(message_id: &str, address: &str, disposition: &str, returned: &str) -> String {
    format!(
        "From: {address}\r\nTo: ann@t.test\r\nSubject: read\r\n\
         Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b\r\n\r\nRead.\r\n--b\r\n\
         Content-Type: message/disposition-notification\r\n\r\nReporting-UA: laptop; Mail 1.0\r\n\
         Final-Recipient: rfc822;{address}\r\nOriginal-Message-ID: <{message_id}>\r\n\
         Disposition: manual-action/MDN-sent-manually; {disposition}\r\n--b\r\n\
         Content-Type: text/rfc822-headers\r\n\r\n{returned}\r\n--b--"
    )
}

impl Town {
    fn office_administration(&self) -> Administration {
        let (office, backend) = (&self.office, &self.office.backend);
        let (clock, ids) = (Arc::clone(&office.adapter.clock), Arc::clone(&office.adapter.ids));
        Administration::new(office.directory.clone(), backend.control(), clock, ids)
            .with_tasks(backend.objects(), backend.queue())
            .upon_mail(Arc::new(KeptMail::new(office.store.clone(), backend.control())))
            .reading(backend.log())
    }

    pub(super) async fn own(&self) -> Vec<OwnLetter> {
        let ann = self.key("ann").await;
        self.office_administration().own_letters(&Call::of_operator(), ann, None, None, 50).await.unwrap().0
    }

    /// Of the newest letter that Ann has sent, whether each recipient has read it.
    pub(super) async fn reads(&self) -> Vec<Option<ReadState>> {
        self.own().await[0].recipients.iter().map(|one| one.read).collect()
    }

    pub(super) async fn begin(&self, wish: ReadStatusWish) {
        let (administration, call, tenant) =
            (self.office_administration(), Call::of_operator(), self.office.tenant);
        let seen = administration.read_status(&call, tenant).await.unwrap();
        administration.change_read_status(&call, tenant, &seen, wish).await.unwrap();
    }

    /// Says something to IMAP with the Inbox of somebody open.
    pub(super) async fn imap(&self, name: &str, command: &str) -> Vec<String> {
        let mut client = Client::connect(self.office.imap).await;
        client.say(&format!("a LOGIN {name}@t.test \"{PASSWORD}\""), "a OK").await;
        client.say("b SELECT INBOX", "b OK").await;
        client.say(&format!("c {command}"), "c OK").await
    }

    async fn was_read(&self) -> Vec<WasRead> {
        let (from, to) = (EventId::from_parts(Timestamp(0), 0), EventId::from_parts(Timestamp(1 << 46), 0));
        let query = LogQuery { tenant: self.office.tenant, kind: LogKind::Trace, from, to, limit: 1_000 };
        let records = self.office.backend.log().query(&query).await.unwrap();
        let traces = records.iter().map(|record| codec::decode::<TraceRecord>(&record.value).unwrap());
        let read = traces.filter_map(|trace| match trace.step {
            TraceStep::WasRead(read) => Some(read),
            _ => None,
        });
        read.collect()
    }
}

const READ: Option<ReadState> = Some(ReadState::Read);
const UNREAD: Option<ReadState> = Some(ReadState::Unread);
const UNKNOWN: Option<ReadState> = Some(ReadState::Unknown);

/// Feature DLV-06 (part): for each recipient inside the organisation read or unread, as his mailbox says when one asks; outside unknown; no page, and no calendar items, announcements and confidential mail yet
#[tokio::test(flavor = "multi_thread")]
async fn who_has_read_a_letter_is_told_to_whoever_sent_it() {
    let it = Town::open().await;
    // Another organisation of the same post office is outside.
    let other = it.office.directory.add_tenant("other").await.unwrap().id;
    it.office.directory.add_domain(other, "o.test").await.unwrap();
    it.office.directory.add_account("you@o.test", PASSWORD, "", None).await.unwrap();
    hand_in(&it.office, "ann@t.test", &["bob@t.test", "eve@t.test", "You@far.test", "you@o.test"], OUT).await;
    it.work().await;
    assert_eq!(it.reads().await, [UNREAD, UNREAD, UNKNOWN, UNKNOWN]);

    it.imap("bob", "STORE 1 +FLAGS (\\Seen)").await;
    it.imap("eve", "FETCH 1 (BODY.PEEK[])").await;
    assert_eq!(it.reads().await[..2], [READ, UNREAD], "looking ahead is not reading");
    it.imap("eve", "FETCH 1 (BODY[])").await;
    it.imap("bob", "STORE 1 -FLAGS (\\Seen)").await;
    assert_eq!(it.reads().await[..2], [UNREAD, READ]);

    // Wherever it is moved or copied, and after it was deleted.
    it.imap("bob", "STORE 1 +FLAGS (\\Seen)").await;
    it.imap("bob", "COPY 1 Archive").await;
    it.imap("bob", "MOVE 1 Trash").await;
    it.imap("eve", "STORE 1 +FLAGS (\\Deleted)").await;
    it.imap("eve", "EXPUNGE").await;
    assert_eq!(it.reads().await[..2], [READ, READ]);
    assert_eq!((it.count("bob", "INBOX").await, it.count("eve", "INBOX").await), (0, 0));

    // Who deletes it unread has not read it.
    hand_in(&it.office, "ann@t.test", &["bob@t.test"], OUT).await;
    it.work().await;
    it.imap("bob", "STORE 1 +FLAGS (\\Deleted)").await;
    it.imap("bob", "EXPUNGE").await;
    assert_eq!(it.reads().await, [UNREAD]);

    // Of a group all have to have read it; its members are not told.
    hand_in(&it.office, "ann@t.test", &["staff@t.test"], OUT).await;
    it.work().await;
    it.imap("bob", "STORE 1 +FLAGS (\\Seen)").await;
    assert_eq!(it.reads().await, [UNREAD]);
    it.imap("ann", "STORE 1 +FLAGS (\\Seen)").await;
    assert_eq!(it.reads().await, [READ]);

    // To whom a colleague forwards it nobody has written.
    it.forward("bob", &["eve@t.test"], true).await;
    hand_in(&it.office, "ann@t.test", &["bob@t.test"], OUT).await;
    it.work().await;
    it.imap("eve", "STORE 1 +FLAGS (\\Seen)").await;
    assert_eq!(it.reads().await, [UNREAD, UNKNOWN]);

    // Off, nothing is told; on again, nothing of what was sent before.
    it.begin(ReadStatusWish::Off).await;
    assert_eq!(it.reads().await, [None, None]);
    it.begin(ReadStatusWish::AtOnce).await;
    assert_eq!(it.reads().await, [None, None]);
    hand_in(&it.office, "ann@t.test", &["eve@t.test"], OUT).await;
    it.work().await;
    assert_eq!(it.reads().await, [UNREAD]);
    it.begin(ReadStatusWish::Off).await;
    it.begin(ReadStatusWish::Later).await;
    it.work().await;
    assert_eq!(it.own().await[0].recipients[0].read, None, "it has not begun");
    assert_eq!(it.count("eve", "INBOX").await, 3, "but she was told");
}

/// Feature SND-09 (part): what a recipient's mail program says of a letter that was displayed (RFC 8098) is known of him, inside and outside, once, and nobody else makes that up; mail programs ask and answer, there is no page that does
#[tokio::test(flavor = "multi_thread")]
async fn receipts_tell_who_has_read_a_letter() {
    let it = Town::open().await;
    it.begin(ReadStatusWish::Off).await;
    hand_in(&it.office, "ann@t.test", &["You@far.test", "friend@far.test", "bob@t.test", "eve@t.test"], OUT)
        .await;
    it.work().await;
    let given = it.given();
    let header = given[0].text.split_once("\r\n\r\n").unwrap().0.to_owned();
    assert!(header.contains("Disposition-Notification-To: ann@t.test"), "the wish goes along: {header}");

    // Made up: somebody else's letter, another letter, not by nobody, not for her, an address to which she did not write, not
    // displayed, a colleague's.
    let other = EventId::from_parts(Timestamp(1), 1).to_string();
    let id = it.own().await[0].id.to_string();
    for (from, to, text) in [
        ("", "ann@t.test", receipt("8@t.test", "you@far.test", "displayed", &header)),
        ("", "ann@t.test", receipt("9@t.test", "you@far.test", "displayed", &header.replace(&id, &other))),
        ("", "ann@t.test", receipt("9@t.test", "you@far.test", "displayed", "Subject: hello")),
        ("foe@far.test", "ann@t.test", receipt("9@t.test", "you@far.test", "displayed", &header)),
        ("", "eve@t.test", receipt("9@t.test", "you@far.test", "displayed", &header)),
        ("", "ann@t.test", receipt("9@t.test", "them@far.test", "displayed", &header)),
        ("", "ann@t.test", receipt("9@t.test", "you@far.test", "deleted", &header)),
        ("", "ann@t.test", receipt("9@t.test", "bob@t.test", "displayed", &header)),
    ] {
        assert!(
            it.come_in(from, to, &text.replace("From: bob@t.test", "From: x@far.test"))
                .await
                .starts_with("250 ")
        );
        it.work().await;
        assert_eq!(it.was_read().await, [], "{from} {to} {text}");
    }
    assert_eq!(it.reads().await, [None, None, None, None]);

    // It comes twice, and counts once.
    for _ in 0..2 {
        let text = receipt("9@t.test", "you@FAR.test", "Displayed", &header);
        assert!(it.come_in("", "ann@t.test", &text).await.starts_with("250 "));
        it.work().await;
    }
    let [read] = &it.was_read().await[..] else { panic!("one") };
    assert_eq!((read.address.as_str(), read.program.as_str()), ("You@far.test", "laptop; Mail 1.0"));
    assert_eq!(it.reads().await, [READ, None, None, None]);

    // A colleague's own mail program; of another colleague he says nothing.
    for (address, expected) in [("eve@t.test", None), ("bob@t.test", READ)] {
        let text = receipt("9@t.test", address, "displayed", &header);
        let text = text.replace(&format!("From: {address}"), "From: bob@t.test");
        let mut client = Client::connect(it.office.submission).await;
        client.say("EHLO laptop.t.test", "250 ").await;
        client.say(&format!("AUTH PLAIN {BOB}"), "235 ").await;
        client.say("MAIL FROM:<>", "250 ").await;
        client.say("RCPT TO:<ann@t.test>", "250 ").await;
        client.say("DATA", "354 ").await;
        client.say(&format!("{text}\r\n."), "250 2.0.0 queued as ").await;
        it.work().await;
        assert_eq!(it.reads().await, [READ, None, expected, None]);
    }
    assert!(it.given().is_empty(), "nobody is written to");
}
