//! Footers, disclaimers and cards in letters: handed in by SMTP, read by IMAP, and as another server gets them, signed.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey as Published;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};
use pennypost_admin::{AdminError, Administration, Call};
use pennypost_directory::{Card, CardChoice, DepartmentId, FooterFault, FooterRules, Plan, Wording};
use pennypost_held::{Change, Ports as HeldPorts, Releaser};
use pennypost_mailings::Runner;
use pennypost_outbound::Outbox;
use pennypost_ports::Secrets;
use pennypost_sealing::Keyring;
use pennypost_signing::{Algorithm, KeyStore, Seen, SigningError};

use super::*;

const OPERATOR: Call = Call::of_operator();

struct Zone(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Zone {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// A key of the town's domain that others know, and what they know.
async fn publish(it: &Town, ring: &Keyring) -> Zone {
    let store = KeyStore::new(it.office.backend.control());
    let (of, now) = ((it.office.tenant, "t.test"), it.office.adapter.clock.now());
    store.add(ring, of, Algorithm::Rsa, now).await.unwrap();
    let published = store.change(of.0, of.1, |keys| {
        keys.observe(|_| Seen::Published, now);
        Ok::<_, SigningError>(())
    });
    published.await.unwrap();
    let keys = store.keys(of.0, of.1).await.unwrap().keys;
    let rows = keys.iter().map(|key| {
        let record = Txt::DomainKey(Arc::new(Published::parse(key.record().as_bytes()).unwrap()));
        (format!("{}._domainkey.t.test.", key.selector).into_boxed_str(), record)
    });
    Zone(rows.collect())
}

/// What another server says of the signatures.
async fn is_signed(zone: &Zone, letter: &str) -> bool {
    let config = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
    let asker = MessageAuthenticator::new(config, ResolverOpts::default()).unwrap();
    let message = AuthenticatedMessage::parse(letter.as_bytes()).unwrap();
    let outputs = asker.verify_dkim(Parameters::new(&message).with_txt_cache(zone)).await;
    !outputs.is_empty() && outputs.iter().all(|output| *output.result() == DkimResult::Pass)
}

fn wording(text: &str) -> Wording {
    Wording { text: text.to_owned(), html: None }
}

fn footers(text: &str) -> FooterRules {
    let footer = pennypost_directory::Footer {
        name: "main".to_owned(),
        wording: wording(text),
        is_above: false,
        inside: true,
        outside: true,
    };
    FooterRules {
        footers: vec![footer],
        in_force: Some("main".to_owned()),
        disclaimer: Some(wording("This is confidential.")),
        ..FooterRules::default()
    }
}

fn card(name: &str, text: &str, compulsory: bool) -> Card {
    let departments = [DepartmentId::ROOT].into();
    let assigned = Timestamp(0);
    Card { name: name.to_owned(), wording: wording(text), departments, published: true, compulsory, assigned }
}

impl Town {
    pub(super) fn staff(&self) -> Administration {
        let (office, backend) = (&self.office, &self.office.backend);
        let (clock, ids) = (Arc::clone(&office.adapter.clock), Arc::clone(&office.adapter.ids));
        Administration::new(office.directory.clone(), backend.control(), clock, ids)
            .with_tasks(backend.objects(), backend.queue())
            .sending_out()
    }

    async fn foot(&self, rules: &FooterRules) {
        let seen = self.staff().footers(&OPERATOR, self.office.tenant).await.unwrap();
        self.staff().change_footers(&OPERATOR, self.office.tenant, &seen, rules).await.unwrap();
    }

    async fn give(&self, cards: Vec<Card>) -> Result<Vec<Card>, AdminError> {
        let seen = self.staff().cards(&OPERATOR, self.office.tenant).await.unwrap();
        self.staff().change_cards(&OPERATOR, self.office.tenant, &seen, cards).await
    }

    /// Lets go what waits, and then each letter of mailings.
    pub(super) async fn let_go(&self) {
        let office = &self.office;
        let ports = HeldPorts {
            directory: office.directory.clone(),
            objects: Arc::clone(&office.adapter.objects),
            queue: Arc::clone(&office.adapter.queue),
            clock: Arc::clone(&office.adapter.clock),
            ids: Arc::clone(&office.adapter.ids),
        };
        let releaser = Releaser::new(office.adapter.held.clone(), ports, "mx.t.test");
        releaser.look(None).await.unwrap();
        let outbox = Outbox::new(office.backend.control());
        Runner::new(office.adapter.mailings.clone(), outbox, releaser, true).work(None).await.unwrap();
    }

    /// The last message in a mailbox, from its own first field on.
    pub(super) async fn last(&self, name: &str, mailbox: &str) -> String {
        let mut client = Client::connect(self.office.imap).await;
        client.say(&format!("a LOGIN {name}@t.test \"{PASSWORD}\""), "a ").await;
        client.say(&format!("b EXAMINE {mailbox}"), "b ").await;
        client.say("c FETCH * (BODY.PEEK[])", "c ").await.join("\n")
    }
}

/// The message itself: what is behind the fields that were added on its way.
fn message(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let (_, message) = text.split_once("\nDate: ").unwrap();
    let end = message.find("\n)\n").unwrap_or(message.len());
    message[..end].trim_end().to_owned()
}

const HELLO: &str = "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nFrom: Ann <ann@t.test>\r\nTo: bob@t.test, You@far.test\r\nSubject: hello\r\n\
                     Message-ID: <7@t.test>\r\n\r\nHello\r\n-- \r\nAnn";

/// Feature BRD-09: an organisation's footers, above or below the personal signature, and a disclaimer outside; exceptions by department; no page
#[tokio::test(flavor = "multi_thread")]
async fn footers_stand_in_all_copies_alike_and_are_signed_with_them() {
    let ring = Arc::new(Keyring::parse(&Keyring::fresh().unwrap()).unwrap());
    let it = Town::open_with(Some(Arc::clone(&ring) as Arc<dyn Secrets>)).await;
    let zone = publish(&it, &ring).await;
    let reach = ["bob@t.test", "You@far.test"];
    hand_in(&it.office, "ann@t.test", &reach, HELLO).await;
    it.work().await;
    let all = it.given();
    let [given] = &all[..] else { panic!("{all:?}") };
    assert!(given.text.ends_with("Hello\r\n-- \r\nAnn\r\n"), "nothing is put in where nothing is said");
    assert!(!it.reasons().await.iter().any(|reason| reason.starts_with("footers:")));

    it.foot(&footers("{company}: {email}\n{title}\n北京")).await;
    hand_in(&it.office, "ann@t.test", &reach, HELLO).await;
    it.work().await;
    let all = it.given();
    let [given] = &all[..] else { panic!("{all:?}") };
    assert!(is_signed(&zone, &given.text).await, "{}", given.text);
    assert!(!is_signed(&zone, &given.text.replace("Hello", "Goodbye")).await);
    let (here, sent) = (it.last("bob", "INBOX").await, it.last("ann", "Sent").await);
    assert_eq!((message(&here), message(&sent)), (message(&given.text), message(&given.text)));
    // A text that its charset could not tell is in UTF-8.
    assert!(given.text.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{}", given.text);
    let body =
        "Hello\r\n-- \r\nAnn\r\n\r\nt: ann@t.test\r\n=E5=8C=97=E4=BA=AC\r\n\r\nThis is confidential.\r\n";
    let coded = given.text.replace("--=20", "-- ");
    assert!(coded.ends_with(body), "{}", given.text);
    assert!(it.reasons().await.contains(&"footers:put-in".to_owned()), "{:?}", it.reasons().await);

    // What stays inside has no disclaimer; what has them already is not changed; what is signed is not, either.
    let once = given.text.split_once("Content-Type: text/plain").unwrap().1;
    let once =
        format!("From: ann@t.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain{}", once.trim_end());
    let signed = "From: ann@t.test\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nsigned\r\n--b\r\n\
                  Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--";
    let answer = "From: ann@t.test\r\nAuto-Submitted: auto-replied\r\n\r\naway";
    for (to, letter, reason, count) in [
        ("bob@t.test", HELLO, "footers:put-in", (1, 0)),
        ("You@far.test", &*once, "footers:there-before", (1, 1)),
        ("bob@t.test", signed, "footers:signed", (0, 0)),
        ("bob@t.test", answer, "footers:automatic", (0, 0)),
    ] {
        hand_in(&it.office, "ann@t.test", &[to], letter).await;
        it.work().await;
        let sent = it.last("ann", "Sent").await;
        let found = (sent.matches("t: ann@t.test").count(), sent.matches("confidential").count());
        assert_eq!(found, count, "{reason} {sent}");
        assert!(it.reasons().await.contains(&reason.to_owned()), "{:?}", it.reasons().await);
    }
    // A program's receipt is from nobody.
    hand_in(&it.office, "", &["bob@t.test"], "From: ann@t.test\r\n\r\nread").await;
    it.work().await;
    assert!(!it.last("bob", "INBOX").await.contains("t: ann@t.test"));
}

/// Feature BRD-09: in letters that go later, each alone, and as a mailing, as it stands when they go
#[tokio::test(flavor = "multi_thread")]
async fn footers_stand_in_what_goes_later_and_in_mailings() {
    let it = Town::open().await;
    it.foot(&footers("before")).await;
    let ann = it.key("ann").await;
    let mut client = Client::connect(it.office.submission).await;
    client.say("EHLO laptop.t.test", "250 ").await;
    client.say(&format!("AUTH PLAIN {ANN}"), "235 ").await;
    client.say("MAIL FROM:<ann@t.test> HOLDFOR=3600", "250 ").await;
    client.say("RCPT TO:<bob@t.test>", "250 ").await;
    client.say("DATA", "354 ").await;
    client.say("From: ann@t.test\r\nSubject: later\r\n\r\nhello\r\n.", "250 2.0.0 queued as ").await;
    let alone = "From: ann@t.test\r\nX-Pennypost-Individual: yes\r\nSubject: alone\r\n\r\nhello";
    hand_in(&it.office, "ann@t.test", &["eve@t.test", "You@far.test"], alone).await;
    it.foot(&footers("after")).await;
    let held = &it.office.adapter.held;
    let (letters, _) = held.of_account(ann, None, 10).await.unwrap();
    let (now, ids) = (it.office.adapter.clock.now(), &*it.office.adapter.ids);
    held.change(ann, letters[0].id(), &Change::Now, now, ids).await.unwrap();
    it.let_go().await;
    it.work().await;
    for (name, mailbox) in [("bob", "INBOX"), ("eve", "INBOX"), ("ann", "Sent")] {
        let text = it.last(name, mailbox).await;
        assert!(text.contains("\nafter\n") && !text.contains("before"), "{name}: {text}");
        assert!(!text.contains("confidential"), "{name}: {text}");
    }
    let all = it.given();
    let [given] = &all[..] else { panic!("{all:?}") };
    assert!(given.text.ends_with("hello\r\n\r\nafter\r\n\r\nThis is confidential.\r\n"), "{}", given.text);

    let new = pennypost_admin::NewMailing {
        file: "pay.csv".to_owned(),
        table: "email,name\nbob@t.test,Bob\nyou@far.test,You\n".into(),
        subject: "to {{name}}".to_owned(),
        body: Some(pennypost_admin::NewBody { html: Some("<p>{{name}}</p>".to_owned()), text: None }),
        ..pennypost_admin::NewMailing::default()
    };
    let staff = it.staff();
    let mailing = staff.add_mailing(&OPERATOR, ann, new).await.unwrap();
    staff.send_mailing(&OPERATOR, ann, mailing.id).await.unwrap();
    it.let_go().await;
    it.work().await;
    let all = it.given();
    let [given] = &all[..] else { panic!("{all:?}") };
    let (structure, _) = pennypost_mime::parse(given.text.as_bytes());
    let text = pennypost_mime::decode_text(&structure, given.text.as_bytes(), 10_000);
    assert!(text.contains("You") && text.contains("after") && text.contains("confidential"), "{text}");
    assert!(it.reasons().await.contains(&"footers:put-in".to_owned()), "{:?}", it.reasons().await);
}

/// Feature BRD-12 (part): cards for departments, published or not, one of them compulsory; more than one where the plan has it; no page
/// Feature BRD-13 (part): compulsory, it is always used; optional, the member chooses; who gets or loses one is told
/// Feature SND-10 (part): a member puts the card that he has chosen into all of his letters; locked where one is compulsory; no signatures of his own
/// Feature NTF-09 (part): members are told of a card that was assigned or stopped
#[tokio::test(flavor = "multi_thread")]
async fn cards_stand_in_letters_whatever_members_want_or_as_they_choose() {
    let it = Town::open().await;
    let (ann, staff) = (it.key("ann").await, it.staff());
    let optional = card("optional", "{email}, t", false);
    assert_eq!(it.give(vec![optional.clone()]).await.unwrap()[0].name, "optional");
    it.work().await;
    let told = it.last("bob", "INBOX").await;
    let (structure, facts) = pennypost_mime::parse(told.as_bytes());
    assert_eq!((it.count("bob", "INBOX").await, structure.parts.len()), (1, 1), "{facts:?}");
    assert!(told.contains("Auto-Submitted: auto-generated"), "{told}");
    // Told once, whoever tells again.
    assert_eq!(staff.tell_of_cards(it.office.tenant).await, Ok(0));

    // Chosen is not always.
    let choice = |always: bool| CardChoice { card: "Optional".to_owned(), always };
    for (seen, chosen, count) in [
        (None, Some(choice(false)), 0),
        (Some(choice(false)), Some(choice(true)), 1),
        (Some(choice(true)), None, 0),
    ] {
        staff.choose_card(&OPERATOR, ann, seen.as_ref(), chosen).await.unwrap();
        hand_in(&it.office, "ann@t.test", &["bob@t.test"], HELLO).await;
        it.work().await;
        let sent = it.last("ann", "Sent").await;
        assert_eq!(sent.matches("ann@t.test, t").count(), count, "{sent}");
    }
    let unknown = CardChoice { card: "other".to_owned(), always: true };
    let refused = staff.choose_card(&OPERATOR, ann, None, Some(unknown)).await;
    assert!(
        matches!(&refused, Err(AdminError::Footer(problem)) if problem.fault == FooterFault::NoCard),
        "{refused:?}"
    );

    // Compulsory it is put in, and nobody chooses.
    it.foot(&FooterRules { disclaimer: None, ..footers("company") }).await;
    let compulsory = card("staff", "staff of t", true);
    it.give(vec![optional.clone(), compulsory.clone()]).await.unwrap();
    let refused = staff.choose_card(&OPERATOR, ann, None, Some(choice(true))).await;
    assert!(
        matches!(&refused, Err(AdminError::Footer(problem)) if problem.fault == FooterFault::Locked),
        "{refused:?}"
    );
    hand_in(&it.office, "ann@t.test", &["bob@t.test"], HELLO).await;
    it.work().await;
    let sent = it.last("ann", "Sent").await;
    assert!(sent.contains("\nAnn\n\nstaff of t\n\ncompany\n"), "{sent}");
    let second = it.give(vec![optional.clone(), compulsory, card("other", "x", true)]).await;
    let is_second = |problem: &pennypost_directory::FooterProblem| problem.pointer == "/cards/2/departments";
    assert!(matches!(&second, Err(AdminError::Footer(problem)) if is_second(problem)), "{second:?}");

    // A card that is gone is told of, and stands nowhere any more.
    let before = it.count("bob", "INBOX").await;
    it.give(Vec::new()).await.unwrap();
    it.work().await;
    assert_eq!(it.count("bob", "INBOX").await, before + 2);
    assert_eq!(staff.own_cards(&OPERATOR, ann).await.unwrap().offered, vec![]);

    // The basic edition has one.
    it.office.directory.set_plan(it.office.tenant, None, &Plan::basic()).await.unwrap();
    assert!(it.give(vec![card("a", "a", false)]).await.is_ok());
    let two = it.give(vec![card("a", "a", false), card("b", "b", false)]).await;
    assert!(matches!(two, Err(AdminError::Conflict(pennypost_admin::Conflict::NotInPlan(_)))), "{two:?}");
}
