//! A letter's way from one member's mail program to another's, in one process: handed in by SMTP, carried by the queue and
//! the pipeline, read by IMAP.

#![allow(clippy::unwrap_used)] // a test may panic

#[path = "automatic/mod.rs"]
mod automatic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pennypost_backend_embedded::{Embedded, Options};
use pennypost_deliver::Deliver;
use pennypost_directory::{Directory, GroupRules, Senders};
use pennypost_inbound_parse::InboundParse;
use pennypost_ingress::net::{Adapter, Ports, Settings, TlsMode, load_or_create_tls};
use pennypost_ingress::{imap, smtp};
use pennypost_mailstore::{Mailroom, Mailstore};
use pennypost_model::event::{Event, Stage};
use pennypost_model::trace::{TraceRecord, TraceStep};
use pennypost_model::{EventId, TenantId, Timestamp, codec};
use pennypost_policy_filter::PolicyFilter;
use pennypost_ports::{Clock, Ids, LogKind, LogQuery, RandomIds, SystemClock};
use pennypost_runtime::{Fusing, Handler, Pipeline};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const PASSWORD: &str = "a long password";
/// `\0ann@t.test\0a long password`
const ANN: &str = "AGFubkB0LnRlc3QAYSBsb25nIHBhc3N3b3Jk";

struct Office {
    _dir: tempfile::TempDir,
    backend: Embedded,
    directory: Directory,
    store: Mailstore,
    tenant: TenantId,
    adapter: Arc<Adapter>,
    submission: SocketAddr,
    imap: SocketAddr,
}

impl Office {
    async fn open() -> Office {
        let dir = tempfile::tempdir().unwrap();
        let backend = Embedded::open(&dir.path().join("data"), &Options::server()).unwrap();
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(RandomIds));
        let directory = Directory::new(backend.control(), Arc::clone(&clock), Arc::clone(&ids));
        let tenant = directory.add_tenant("t").await.unwrap().id;
        directory.add_domain(tenant, "t.test").await.unwrap();
        for name in ["ann", "bob", "eve"] {
            directory.add_account(&format!("{name}@t.test"), PASSWORD, "", None).await.unwrap();
        }
        let rules = GroupRules { senders: Senders::Members, ..GroupRules::default() };
        let members = ["ann@t.test", "bob@t.test"];
        directory.add_group_with("staff@t.test", "Staff", &members, &rules).await.unwrap();
        let store =
            Mailstore::new(backend.journal(), backend.objects(), Arc::clone(&clock), Arc::clone(&ids));
        let settings = Settings { hostname: "mx.t.test".to_owned(), is_sending: true, ..Settings::default() };
        let tls = load_or_create_tls(&dir.path().join("tls"), "mx.t.test").unwrap();
        let ports = Ports {
            directory: directory.clone(),
            mailroom: Mailroom::new(store.clone()),
            queue: backend.queue(),
            objects: backend.objects(),
            clock,
            ids,
        };
        let adapter = Adapter::new(ports, settings, tls, &prometheus::Registry::new()).unwrap();
        let bind = async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            (listener.local_addr().unwrap(), listener)
        };
        let ((submission, members), (imap, readers)) = (bind().await, bind().await);
        tokio::spawn(smtp::run_submission(Arc::clone(&adapter), members, TlsMode::StartTls));
        tokio::spawn(imap::run(Arc::clone(&adapter), readers, TlsMode::StartTls));
        Office { _dir: dir, backend, directory, store, tenant, adapter, submission, imap }
    }

    /// The events that were accepted since the last time.
    async fn accepted(&self) -> Vec<Event> {
        let (queue, brief) = (self.backend.queue(), Duration::from_millis(1));
        let mut events = Vec::new();
        loop {
            let received =
                queue.receive(Stage::InboundParse, 10, Duration::from_secs(60), brief).await.unwrap();
            if received.is_empty() {
                return events;
            }
            for message in received {
                queue.ack(Stage::InboundParse, &[message.receipt]).await.unwrap();
                events.push(codec::decode(&message.body).unwrap());
            }
        }
    }

    /// Handles events as a process does that knows nothing of what others did.
    async fn handle(&self, events: Vec<Event>) {
        let handlers: [Arc<dyn Handler>; 3] = [
            Arc::new(InboundParse::new(self.backend.objects(), self.backend.log())),
            Arc::new(PolicyFilter::new(Arc::new(self.directory.clone()))),
            Arc::new(Deliver::new(self.store.clone(), self.backend.log())),
        ];
        let pipeline = Pipeline::new(handlers, Fusing::fused(), self.backend.queue());
        for result in pipeline.run(Stage::InboundParse, events).await {
            assert_eq!(result, Ok(()));
        }
    }

    /// How many messages are in a mailbox, and the flags of the last.
    async fn mailbox(&self, name: &str, mailbox: &str) -> (usize, String) {
        let mut client = Client::connect(self.imap).await;
        client.say(&format!("a LOGIN {name}@t.test \"{PASSWORD}\""), "a ").await;
        let opened = client.say(&format!("b EXAMINE {mailbox}"), "b ").await;
        let exists = opened.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
        let count = exists.unwrap().parse().unwrap();
        let fetched = client.say("c FETCH * (FLAGS)", "c ").await;
        (count, fetched.first().filter(|_| count > 0).cloned().unwrap_or_default())
    }

    /// The text of the only message in a mailbox.
    async fn text(&self, name: &str, mailbox: &str) -> String {
        let mut client = Client::connect(self.imap).await;
        client.say(&format!("a LOGIN {name}@t.test \"{PASSWORD}\""), "a ").await;
        client.say(&format!("b EXAMINE {mailbox}"), "b ").await;
        client.say("c FETCH 1 (BODY.PEEK[])", "c ").await.join("\n")
    }
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

struct Client(BufReader<Box<dyn Socket>>);

impl Client {
    /// Connects, and takes the greeting.
    async fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).await.unwrap()).await
    }

    async fn over(socket: impl Socket + 'static) -> Client {
        let mut client = Client(BufReader::new(Box::new(socket)));
        client.line().await;
        client
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let reading = self.0.read_line(&mut line);
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the server hangs").unwrap();
        assert!(!line.is_empty(), "closed");
        line.trim_end().to_owned()
    }

    /// Says a line and takes what comes up to the line that begins so, itself included.
    async fn say(&mut self, line: &str, end: &str) -> Vec<String> {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        let mut said = Vec::new();
        while !said.last().is_some_and(|last: &String| last.starts_with(end)) {
            said.push(self.line().await);
        }
        said
    }
}

/// Ann hands a letter in.
async fn hand_in(office: &Office, sender: &str, recipients: &[&str], letter: &str) {
    let mut client = Client::connect(office.submission).await;
    client.say("EHLO laptop.t.test", "250 ").await;
    client.say(&format!("AUTH PLAIN {ANN}"), "235 ").await;
    client.say(&format!("MAIL FROM:<{sender}>"), "250 ").await;
    for recipient in recipients {
        client.say(&format!("RCPT TO:<{recipient}>"), "250 ").await;
    }
    client.say("DATA", "354 ").await;
    client.say(&format!("{letter}\r\n."), "250 2.0.0 queued as ").await;
}

/// The reply to the first attempt was not heard.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_organisation_hands_over_again_comes_once() {
    let office = Office::open().await;
    let id = EventId::from_parts(office.adapter.clock.now(), 7);
    let letter = "From: you@theirs.test\r\nSubject: hello\r\n\r\nhello";
    for _ in 0..2 {
        let mut client = Client::over(smtp::connect_at_home(&office.adapter, id)).await;
        client.say("EHLO mx.t.test", "250 ").await;
        client.say("MAIL FROM:<you@theirs.test>", "250 ").await;
        client.say("RCPT TO:<bob@t.test>", "250 ").await;
        client.say("DATA", "354 ").await;
        client.say(&format!("{letter}\r\n."), "250 2.0.0 queued as ").await;
    }
    let [first, mut again] = <[Event; 2]>::try_from(office.accepted().await).unwrap();
    office.handle(vec![first]).await;
    // The claim of the first attempt was over by then, and much had come meanwhile.
    for _ in 0..6 {
        hand_in(&office, "ann@t.test", &["bob@t.test"], "From: Ann <ann@t.test>\r\n\r\nhello").await;
        office.handle(office.accepted().await).await;
    }
    let Event::Accepted(accepted) = &mut again else { panic!("an accepted message") };
    accepted.time = accepted.time.plus_millis(36 * 60_000);
    office.handle(vec![again]).await;
    assert_eq!(office.mailbox("bob", "INBOX").await.0, 7);
}

/// Feature SND-16 (part): what a mail program sends is kept in Sent, seen, once, also where its writer is a recipient; no webmail yet
/// Feature SND-02 (part): who stands in Bcc gets the message, and nobody sees it; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn colleagues_write_to_each_other_and_each_copy_comes_once() {
    let office = Office::open().await;
    let letter =
        "From: Ann <ann@t.test>\r\nTo: staff@t.test\r\nBcc: eve@t.test\r\nSubject: hello\r\n\r\nhello";
    hand_in(&office, "ann@t.test", &["staff@t.test", "eve@t.test"], letter).await;
    let events = office.accepted().await;
    assert_eq!(events.len(), 1);
    // Twice in one batch, and again by others who know nothing of it.
    office.handle([events.clone(), events.clone()].concat()).await;
    office.handle(events.clone()).await;
    for (name, mailbox, count, is_seen) in [
        ("ann", "INBOX", 1, false),
        ("ann", "Sent", 1, true),
        ("bob", "INBOX", 1, false),
        ("bob", "Sent", 0, false),
        ("eve", "INBOX", 1, false),
    ] {
        let (found, flags) = office.mailbox(name, mailbox).await;
        assert_eq!((found, flags.contains("\\Seen")), (count, is_seen), "{name} {mailbox}: {flags}");
    }
    for name in ["bob", "eve"] {
        let text = office.text(name, "INBOX").await;
        assert!(text.contains("Message-ID: <") && text.contains("Date: "), "{text}");
        assert!(!text.contains("Bcc") && !text.contains("eve@"), "{text}");
    }

    let (from, to) = (EventId::from_parts(Timestamp(0), 0), EventId::from_parts(Timestamp(1 << 46), 0));
    let query = LogQuery { tenant: office.tenant, kind: LogKind::Trace, from, to, limit: 100 };
    let records = office.backend.log().query(&query).await.unwrap();
    let trace: TraceRecord = codec::decode(&records.first().unwrap().value).unwrap();
    let submitter = trace.submitter.unwrap();
    assert_eq!((submitter.address.as_str(), submitter.protocol.as_str()), ("ann@t.test", "ESMTPA"));
    let TraceStep::Delivered { peer, recipients, .. } = trace.step else { panic!("not delivered") };
    assert_eq!((peer.as_str(), recipients.len()), ("127.0.0.1 laptop.t.test", 4));
    assert!(events.iter().all(|event| event.message() == Some(trace.message)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_to_oneself_is_there_twice_and_one_without_a_copy_once() {
    let office = Office::open().await;
    let letter = "From: ann@t.test\r\nSubject: note\r\n\r\nnote";
    hand_in(&office, "ann@t.test", &["ann@t.test"], letter).await;
    let ann = office.directory.account_at("ann@t.test").await.unwrap().unwrap().key;
    office.directory.change_client_settings(ann, |said| said.sent_copies = Some(false)).await.unwrap();
    hand_in(&office, "ann@t.test", &["ann@t.test"], letter).await;
    let events = office.accepted().await;
    office.handle(events.clone()).await;
    office.handle(events).await;
    assert_eq!(office.mailbox("ann", "INBOX").await.0, 2);
    assert_eq!(office.mailbox("ann", "Sent").await.0, 1);
}

/// Feature RUL-01: rules on receiving, several each, over SMTP in and IMAP out
/// Feature RUL-03 (part): moved to an own folder, deleted, labelled, read, flagged; no copy
/// Feature RCV-07 (part): what a member's blacklist names goes to Junk, also a colleague's; it is not refused
#[tokio::test(flavor = "multi_thread")]
async fn letters_go_where_their_readers_rules_say() {
    use pennypost_directory::MemberRules;
    use pennypost_directory::rules::{Condition, Folder, Join, Moment, Rule, RuleAction, Words};
    use pennypost_model::Keyword;
    use pennypost_model::journal::{Actor, Protocol};
    let office = Office::open().await;
    let key =
        async |name: &str| office.directory.account_at(&format!("{name}@t.test")).await.unwrap().unwrap().key;
    let (bob, eve) = (key("bob").await, key("eve").await);
    let live = Mailroom::new(office.store.clone()).account(bob).await.unwrap();
    let member = Actor::Member(Protocol::Imap);
    let id = live.change(&member, |draft| draft.create_mailbox("Bills", None)).await.unwrap().1;
    let rule = |name: &str, condition, actions, stop| {
        let (moment, join) = (Moment::Receive, Join::All);
        Rule {
            name: name.to_owned(),
            enabled: true,
            moment,
            join,
            conditions: vec![condition],
            actions,
            stop,
        }
    };
    let subject = |word: &str| Condition::Subject(Words { join: Join::Any, words: vec![word.to_owned()] });
    let folder = Folder { id, name: "Bills".to_owned() };
    let label = RuleAction::Label(Keyword::parse("unpaid").unwrap());
    let rules = MemberRules {
        rules: vec![
            rule("bills", subject("bill"), vec![RuleAction::Move(folder), label, RuleAction::MarkRead], true),
            rule("noise", subject("noise"), vec![RuleAction::Delete], false),
            rule("mine", Condition::OnlyToMe, vec![RuleAction::Flag], false),
        ],
        ..MemberRules::default()
    };
    let none = MemberRules::default();
    assert_eq!(office.directory.change_member_rules(bob, &none, &rules).await, Ok(true));
    assert_eq!(office.directory.change_member_rules(bob, &none, &rules).await, Ok(false), "seen before");
    let hates = MemberRules { blacklist: vec!["ann@t.test".parse().unwrap()], ..MemberRules::default() };
    assert_eq!(office.directory.change_member_rules(eve, &none, &hates).await, Ok(true));
    let letter = |subject: &str| {
        format!("From: Ann <ann@t.test>\r\nTo: bob@t.test\r\nSubject: {subject}\r\n\r\nhello")
    };
    for subject in ["Your bill", "More noise", "hello"] {
        hand_in(&office, "ann@t.test", &["bob@t.test", "eve@t.test"], &letter(subject)).await;
    }
    let events = office.accepted().await;
    // Twice at once, and again by others who know nothing of it.
    office.handle([events.clone(), events.clone()].concat()).await;
    office.handle(events.clone()).await;
    let (count, flags) = office.mailbox("bob", "Bills").await;
    assert_eq!((count, flags.contains("unpaid"), flags.contains("\\Seen")), (1, true, true), "{flags}");
    assert_eq!(office.mailbox("bob", "Trash").await.0, 1);
    let (count, flags) = office.mailbox("bob", "INBOX").await;
    assert_eq!((count, flags.contains("\\Flagged"), flags.contains("\\Seen")), (1, true, false), "{flags}");
    assert_eq!((office.mailbox("eve", "Junk").await.0, office.mailbox("eve", "INBOX").await.0), (3, 0));
    assert_eq!(office.mailbox("ann", "Sent").await.0, 3, "rules are not asked about what one sends");

    // What the folder was for comes to the Inbox when it is gone; the trace says by what rule.
    live.refresh().await.unwrap();
    live.change(&member, |draft| draft.delete_mailbox(id)).await.unwrap();
    hand_in(&office, "ann@t.test", &["bob@t.test"], &letter("Another bill")).await;
    let late = office.accepted().await;
    office.handle(late.clone()).await;
    assert_eq!(office.mailbox("bob", "INBOX").await.0, 2);
    let id = late[0].message().unwrap();
    let query = LogQuery { tenant: office.tenant, kind: LogKind::Trace, from: id, to: id, limit: 10 };
    let record = office.backend.log().query(&query).await.unwrap().remove(0);
    let trace: TraceRecord = codec::decode(&record.value).unwrap();
    let TraceStep::Delivered { recipients, .. } = trace.step else { panic!("not delivered") };
    let of_bob = recipients.iter().find(|one| one.account == bob).unwrap();
    let [.., by, version, rule] = &of_bob.reasons[..] else { panic!("{of_bob:?}") };
    assert_eq!([by, rule], ["rule:submission", "member-rule:bills"]);
    assert!(version.starts_with("member-rules:"), "{version}");
}

/// Feature RUL-01: a rule on sending puts the writer's copy into his own folder, over SMTP in and IMAP out
/// Feature RUL-03 (part): on sending: moved to an own folder, labelled, flagged
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_what_one_sends_go_where_ones_rules_say() {
    use pennypost_directory::MemberRules;
    use pennypost_directory::rules::{Condition, Folder, Join, Moment, Rule, RuleAction, Words};
    use pennypost_model::Keyword;
    use pennypost_model::journal::{Actor, Protocol};
    let office = Office::open().await;
    let ann = office.directory.account_at("ann@t.test").await.unwrap().unwrap().key;
    let live = Mailroom::new(office.store.clone()).account(ann).await.unwrap();
    let member = Actor::Member(Protocol::Imap);
    let id = live.change(&member, |draft| draft.create_mailbox("Clients", None)).await.unwrap().1;
    let rule = |moment, actions| Rule {
        name: format!("{moment:?}"),
        enabled: true,
        moment,
        join: Join::All,
        conditions: vec![Condition::Recipient(Words { join: Join::Any, words: vec!["bob@".to_owned()] })],
        actions,
        stop: true,
    };
    let label = RuleAction::Label(Keyword::parse("offer").unwrap());
    let folder = RuleAction::Move(Folder { id, name: "Clients".to_owned() });
    let rules = MemberRules {
        rules: vec![
            rule(Moment::Receive, vec![RuleAction::Delete]),
            rule(Moment::Send, vec![label, RuleAction::Flag, folder]),
        ],
        ..MemberRules::default()
    };
    assert_eq!(office.directory.change_member_rules(ann, &MemberRules::default(), &rules).await, Ok(true));
    for to in ["bob@t.test", "eve@t.test"] {
        let letter = format!("From: Ann <ann@t.test>\r\nTo: {to}\r\nSubject: offer\r\n\r\nhello");
        hand_in(&office, "ann@t.test", &[to], &letter).await;
    }
    let events = office.accepted().await;
    office.handle([events.clone(), events.clone()].concat()).await;
    office.handle(events).await;
    let (count, flags) = office.mailbox("ann", "Clients").await;
    let has = |flag: &str| flags.contains(flag);
    assert_eq!((count, has("offer"), has("\\Flagged"), has("\\Seen")), (1, true, true, true), "{flags}");
    assert_eq!((office.mailbox("ann", "Sent").await.0, office.mailbox("ann", "Trash").await.0), (1, 0));
    assert_eq!((office.mailbox("bob", "INBOX").await.0, office.mailbox("eve", "INBOX").await.0), (1, 1));
}

/// What is taken back comes into Drafts, once, and is no letter that anybody got; what goes comes to its reader, and senders
/// who want to hear that are told.
///
/// Feature SND-08 (part): from a mail program into the Drafts of the same one, and to its reader with a report; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn letters_that_go_later_come_to_their_readers_or_back_to_drafts() {
    use pennypost_held::{Change, Changed, Ports as HeldPorts, Releaser};
    let office = Office::open().await;
    let ann = office.directory.account_at("ann@t.test").await.unwrap().unwrap().key;
    let mut client = Client::connect(office.submission).await;
    client.say("EHLO laptop.t.test", "250 ").await;
    client.say(&format!("AUTH PLAIN {ANN}"), "235 ").await;
    for subject in ["back", "on"] {
        client.say("MAIL FROM:<ann@t.test> HOLDFOR=3600", "250 ").await;
        client.say("RCPT TO:<bob@t.test> NOTIFY=SUCCESS", "250 ").await;
        client.say("DATA", "354 ").await;
        let letter = format!("From: ann@t.test\r\nBcc: eve@t.test\r\nSubject: {subject}\r\n\r\nhello");
        client.say(&format!("{letter}\r\n."), "250 2.0.0 queued as ").await;
    }
    assert_eq!(office.accepted().await, []);
    let held = &office.adapter.held;
    let (letters, _) = held.of_account(ann, None, 10).await.unwrap();
    let (now, ids) = (office.adapter.clock.now(), &*office.adapter.ids);
    for letter in &letters {
        let change = if letter.subject == "back" { Change::TakeBack } else { Change::Now };
        let changed = held.change(ann, letter.id(), &change, now, ids).await.unwrap();
        assert!(matches!(changed, Changed::Done(_)), "{changed:?}");
    }
    let ports = HeldPorts {
        directory: office.directory.clone(),
        objects: Arc::clone(&office.adapter.objects),
        queue: Arc::clone(&office.adapter.queue),
        clock: Arc::clone(&office.adapter.clock),
        ids: Arc::clone(&office.adapter.ids),
    };
    Releaser::new(held.clone(), ports, "mx.t.test").look(None).await.unwrap();
    let events = office.accepted().await;
    assert_eq!(events.len(), 2);
    // What the one that goes is called on its way is what its trace is called.
    let is_named = |event: &&Event| match event {
        Event::Accepted(accepted) => accepted.receipt.contains(&format!(" id {}", accepted.id)),
        _ => false,
    };
    assert_eq!(events.iter().filter(is_named).count(), 1, "{events:?}");
    // Twice in one batch, and again by others who know nothing of it.
    office.handle([events.clone(), events.clone()].concat()).await;
    office.handle(events).await;
    // The reports, each of which is the same.
    office.handle(office.accepted().await).await;
    for (name, mailbox, count) in [
        ("bob", "INBOX", 1),
        ("ann", "Drafts", 1),
        ("ann", "Sent", 1),
        ("ann", "INBOX", 1),
        ("bob", "Drafts", 0),
    ] {
        assert_eq!(office.mailbox(name, mailbox).await.0, count, "{name} {mailbox}");
    }
    let (_, flags) = office.mailbox("ann", "Drafts").await;
    assert!(flags.contains("\\Draft") && flags.contains("\\Seen"), "{flags}");
    let draft = office.text("ann", "Drafts").await;
    assert!(draft.contains("Subject: back") && draft.contains("Bcc: eve@t.test"), "{draft}");
    let report = office.text("ann", "INBOX").await;
    assert!(report.contains("Action: delivered") && report.contains("Subject: on"), "{report}");
    let spooled = office.backend.objects().list("", None, 100).await.unwrap();
    // The bytes of the one of which its sender wanted to hear are left to housekeeping.
    assert_eq!(spooled.iter().filter(|object| object.name.contains("/spool/")).count(), 1, "{spooled:?}");
}

/// Feature SND-04 (part): a mail program says it by a field; each gets a letter of his own and sees himself alone; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn each_recipient_gets_a_letter_of_his_own() {
    use pennypost_held::{Ports as HeldPorts, Releaser};
    use pennypost_mailings::Runner;
    use pennypost_outbound::Outbox;
    let office = Office::open().await;
    let letter = "From: Ann <ann@t.test>\r\nTo: bob@t.test\r\nCc: eve@t.test\r\nX-Pennypost-Individual: Yes\r\nSubject: alone\r\n\r\nhello";
    hand_in(&office, "ann@t.test", &["bob@t.test", "eve@t.test", "x@far.example"], letter).await;
    assert_eq!(office.accepted().await, [], "nothing goes before it is its turn");
    let ports = HeldPorts {
        directory: office.directory.clone(),
        objects: Arc::clone(&office.adapter.objects),
        queue: Arc::clone(&office.adapter.queue),
        clock: Arc::clone(&office.adapter.clock),
        ids: Arc::clone(&office.adapter.ids),
    };
    let releaser = Releaser::new(office.adapter.held.clone(), ports, "mx.t.test");
    let outbox = Outbox::new(office.backend.control());
    let runner = Runner::new(office.adapter.mailings.clone(), outbox, releaser, true);
    runner.work(None).await.unwrap();
    let events = office.accepted().await;
    // Three letters, and the copy in Sent.
    assert_eq!(events.len(), 4);
    // Twice in one batch, and again by others who know nothing of it.
    office.handle([events.clone(), events.clone()].concat()).await;
    office.handle(events).await;
    for (name, mailbox) in [("bob", "INBOX"), ("eve", "INBOX"), ("ann", "Sent")] {
        assert_eq!(office.mailbox(name, mailbox).await.0, 1, "{name} {mailbox}");
        let text = office.text(name, mailbox).await;
        assert!(!text.contains("X-Pennypost-Individual"), "{text}");
        assert!(text.contains("Subject: alone") && text.contains("Date: "), "{text}");
        let named = ["bob@", "eve@", "far.example"].into_iter().filter(|word| text.contains(word));
        let named: Vec<&str> = named.collect();
        match name {
            "ann" => assert_eq!(named, ["bob@", "eve@"], "{text}"),
            name => assert_eq!(named, [format!("{name}@")], "{text}"),
        }
    }
    assert_eq!(office.mailbox("ann", "INBOX").await.0, 0, "nothing went wrong");

    // Said otherwise it is refused, or goes as any letter, without the field.
    let mut client = Client::connect(office.submission).await;
    client.say("EHLO laptop.t.test", "250 ").await;
    client.say(&format!("AUTH PLAIN {ANN}"), "235 ").await;
    for (word, reply) in [("maybe", "550 5.6.0 "), ("no", "250 2.0.0 ")] {
        client.say("MAIL FROM:<ann@t.test>", "250 ").await;
        client.say("RCPT TO:<bob@t.test>", "250 ").await;
        client.say("DATA", "354 ").await;
        let letter = format!("From: ann@t.test\r\nX-Pennypost-Individual: {word}\r\n\r\nhello");
        client.say(&format!("{letter}\r\n."), reply).await;
    }
    assert_eq!(office.accepted().await.len(), 1);
}

/// Feature PMG-01 (part): each row comes to its reader alone, and the first one's to Sent, once
#[tokio::test(flavor = "multi_thread")]
async fn each_row_of_a_table_comes_to_its_reader() {
    use pennypost_admin::{Administration, Call, NewBody, NewMailing};
    use pennypost_held::{Ports as HeldPorts, Releaser};
    use pennypost_mailings::Runner;
    use pennypost_outbound::Outbox;
    let office = Office::open().await;
    let ann = office.directory.account_at("ann@t.test").await.unwrap().unwrap().key;
    let (clock, ids) = (Arc::clone(&office.adapter.clock), Arc::clone(&office.adapter.ids));
    let ports = HeldPorts {
        directory: office.directory.clone(),
        objects: Arc::clone(&office.adapter.objects),
        queue: Arc::clone(&office.adapter.queue),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
    };
    let control = office.backend.control();
    let administration = Administration::new(office.directory.clone(), Arc::clone(&control), clock, ids)
        .with_tasks(office.backend.objects(), office.backend.queue());
    let new = NewMailing {
        file: "pay.csv".to_owned(),
        table: "邮箱地址,姓名,pay\nbob@t.test,Bob,2000\neve@t.test,Eve,3000\n".into(),
        subject: "Pay of {{姓名}}".to_owned(),
        body: Some(NewBody { html: None, text: Some("{{姓名}}: {{pay}}".to_owned()) }),
        ..NewMailing::default()
    };
    let operator = Call::of_operator();
    let mailing = administration.add_mailing(&operator, ann, new).await.unwrap();
    administration.try_mailing(&operator, ann, mailing.id, 2).await.unwrap();
    administration.send_mailing(&operator, ann, mailing.id).await.unwrap();
    let releaser = Releaser::new(office.adapter.held.clone(), ports, "mx.t.test");
    let runner = Runner::new(office.adapter.mailings.clone(), Outbox::new(control), releaser, true);
    runner.work(None).await.unwrap();
    let events = office.accepted().await;
    assert_eq!(events.len(), 4, "one that was tried, the copy, two letters");
    office.handle([events.clone(), events.clone()].concat()).await;
    office.handle(events).await;
    for (name, mailbox, subject) in [
        ("bob", "INBOX", "Pay of Bob"),
        ("eve", "INBOX", "Pay of Eve"),
        ("ann", "INBOX", "Pay of Eve"),
        ("ann", "Sent", "Pay of Bob"),
    ] {
        assert_eq!(office.mailbox(name, mailbox).await.0, 1, "{name} {mailbox}");
        let text = office.text(name, mailbox).await;
        assert!(text.contains(&format!("Subject: {subject}\n")), "{name}: {text}");
    }
    let (letters, _) = administration
        .reading(office.backend.log())
        .mailing_letters(&operator, ann, mailing.id, 0, 9)
        .await
        .unwrap();
    let states: Vec<_> = letters.iter().map(|letter| letter.state.map(|state| state.name())).collect();
    assert_eq!(states, [Some("delivered"), Some("delivered")]);
}
