//! What members have done with their letters by themselves: from SMTP in through the pipeline to IMAP, and to what goes to other
//! servers.

mod came_back;
mod contents;
mod copies;
mod footers;
mod full_text;
mod given;
mod read;
mod reported;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_directory::rules::{
    AutoForward, AutoReply, Automatic, Condition, Join, Moment, Rule, RuleAction, Words,
};
use pennypost_directory::{ForwardingRules, MailAddress, MemberRules, SendingRules, SendingTarget};
use pennypost_model::AccountKey;
use pennypost_model::trace::{RemoteAnswer, RemoteOutcome};
use pennypost_send_remote::exchange::{Handed, Parcel};
use pennypost_send_remote::{Carrier, SendRemote};

use super::*;

/// What another server was given.
#[derive(Debug, Clone)]
struct Given {
    reverse_path: String,
    to: Vec<String>,
    text: String,
    /// What its envelope is called, for servers that hear of that.
    envelope_id: Option<String>,
}

/// Other servers: they take everything but what is for these.
#[derive(Default)]
struct World {
    given: Mutex<Vec<Given>>,
    refusing: Mutex<Vec<String>>,
}

#[async_trait]
impl Carrier for World {
    async fn hand_over(&self, parcel: &Parcel<'_>) -> Handed {
        let text = String::from_utf8([parcel.head, parcel.message].concat()).unwrap();
        let (reverse_path, to) = (parcel.reverse_path.to_owned(), parcel.recipients.to_vec());
        let is_refused = to.iter().any(|to| self.refusing.lock().contains(to));
        let envelope_id = parcel.asked.and_then(|asked| asked.envelope_id).map(str::to_owned);
        self.given.lock().push(Given { reverse_path, to, text, envelope_id });
        let mut handed = Handed::open(parcel.recipients.len());
        handed.host = "mx.far.test".to_owned();
        let (outcome, code, status) = match is_refused {
            true => (RemoteOutcome::Failed, 550, "5.1.1"),
            false => (RemoteOutcome::Sent, 250, "2.0.0"),
        };
        handed.settle_open(&(
            outcome,
            RemoteAnswer { code: Some(code), status: status.to_owned(), text: "said".to_owned() },
        ));
        handed
    }
}

struct Town {
    office: Office,
    world: Arc<World>,
    sender: SendRemote,
}

fn address(text: &str) -> MailAddress {
    MailAddress::parse(text).unwrap()
}

impl Town {
    async fn open() -> Town {
        Town::open_with(None).await
    }

    /// One that signs what goes out.
    async fn open_with(secrets: Option<Arc<dyn pennypost_ports::Secrets>>) -> Town {
        let office = Office::open().await;
        let world = Arc::<World>::default();
        let ports = pennypost_send_remote::Ports {
            control: office.backend.control(),
            objects: office.backend.objects(),
            queue: office.backend.queue(),
            log: office.backend.log(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            secrets,
            carrier: Arc::clone(&world) as Arc<dyn Carrier>,
        };
        let settings = pennypost_send_remote::Settings {
            hostname: "mx.t.test".to_owned(),
            ..pennypost_send_remote::Settings::default()
        };
        let sender = SendRemote::new(ports, settings);
        let rules = ForwardingRules { everybody: true, ..ForwardingRules::default() };
        let none = ForwardingRules::default();
        let said = office.directory.change_forwarding_rules(office.tenant, &none, &rules).await;
        assert_eq!(said, Ok(true));
        Town { office, world, sender }
    }

    async fn key(&self, name: &str) -> AccountKey {
        self.office.directory.account_at(&format!("{name}@t.test")).await.unwrap().unwrap().key
    }

    async fn say(&self, name: &str, reply: Option<AutoReply>, forward: Option<AutoForward>) {
        let key = self.key(name).await;
        let before = self.office.directory.member_rules(key).await.unwrap().rules;
        let rules = MemberRules { automatic: Some(Automatic { reply, forward }), ..MemberRules::default() };
        assert_eq!(self.office.directory.change_member_rules(key, &before, &rules).await, Ok(true));
    }

    async fn forward(&self, name: &str, to: &[&str], keep: bool) {
        let to = to.iter().map(|to| address(to)).collect();
        self.say(name, None, Some(AutoForward { enabled: true, to, keep })).await;
    }

    async fn reply(&self, name: &str) {
        let reply = AutoReply {
            enabled: true,
            subject: String::new(),
            text: format!("{name} is away\n不在"),
            to_colleagues: None,
            only_colleagues: false,
            period: None,
        };
        self.say(name, Some(reply), None).await;
    }

    /// The owner of an address elsewhere has told the code that went there.
    async fn prove(&self, name: &str, to: &str) {
        let (key, directory) = (self.key(name).await, &self.office.directory);
        let code = directory.begin_forward_target(key, &address(to)).await.unwrap().unwrap();
        assert_eq!(directory.finish_forward_target(key, &code).await.unwrap(), Some(address(to)));
    }

    /// Another server's letter; the reply to RCPT, or to the message.
    async fn come_in(&self, from: &str, to: &str, letter: &str) -> String {
        let id = RandomIds.event(self.office.adapter.clock.now());
        let mut client = Client::over(smtp::connect_at_home(&self.office.adapter, id)).await;
        client.say("EHLO mx.theirs.test", "250 ").await;
        client.say(&format!("MAIL FROM:<{from}>"), "250 ").await;
        client.0.get_mut().write_all(format!("RCPT TO:<{to}>\r\n").as_bytes()).await.unwrap();
        let reply = client.line().await;
        if !reply.starts_with("250") {
            return reply;
        }
        client.say("DATA", "354 ").await;
        client.0.get_mut().write_all(format!("{letter}\r\n.\r\n").as_bytes()).await.unwrap();
        client.line().await
    }

    /// Handles what was accepted, twice, and all that follows, as processes do that know nothing of what others did.
    async fn work(&self) {
        loop {
            let events = self.office.accepted().await;
            if events.is_empty() {
                return;
            }
            for _ in 0..2 {
                let handlers: [Arc<dyn Handler>; 4] = [
                    Arc::new(InboundParse::new(self.office.backend.objects(), self.office.backend.log())),
                    Arc::new(
                        PolicyFilter::new(Arc::new(self.office.directory.clone()))
                            .sending_out(true)
                            .reading(self.office.backend.objects(), self.office.backend.log()),
                    ),
                    Arc::new(
                        Deliver::new(self.office.store.clone(), self.office.backend.log())
                            .knowing(self.office.directory.clone()),
                    ),
                    Arc::new(self.sender.clone()),
                ];
                let fused = Fusing::of([Stage::PolicyFilter, Stage::Deliver, Stage::SendRemote]);
                let pipeline = Pipeline::new(handlers, fused, self.office.backend.queue());
                for result in pipeline.run(Stage::InboundParse, events.clone()).await {
                    assert_eq!(result, Ok(()));
                }
            }
            self.sender.work_off().await.unwrap();
        }
    }

    async fn count(&self, name: &str, mailbox: &str) -> usize {
        self.office.mailbox(name, mailbox).await.0
    }

    fn given(&self) -> Vec<Given> {
        std::mem::take(&mut *self.world.given.lock())
    }

    /// The reasons for a letter's first recipient.
    async fn reasons(&self) -> Vec<String> {
        let (from, to) = (EventId::from_parts(Timestamp(0), 0), EventId::from_parts(Timestamp(1 << 46), 0));
        let query = LogQuery { tenant: self.office.tenant, kind: LogKind::Trace, from, to, limit: 100 };
        let records = self.office.backend.log().query(&query).await.unwrap();
        let last = records.iter().filter_map(|record| codec::decode::<TraceRecord>(&record.value).ok());
        let mut delivered = last.filter_map(|trace| match trace.step {
            TraceStep::Delivered { recipients, .. } => recipients.into_iter().next(),
            _ => None,
        });
        delivered.next_back().unwrap().reasons
    }
}

const LETTER: &str = "From: You <you@theirs.test>\r\nTo: bob@t.test\r\nSubject: hello\r\nMessage-ID: <1@theirs.test>\r\n\r\nhello";

/// Feature RUL-06 (part): forwarded to colleagues, and to addresses elsewhere that have agreed, each once; kept, or in Trash; no scan, no page
/// Feature RUL-08 (part): without the organisation's permission what was said is kept and not carried out
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_forwarded_to_colleagues_and_to_whoever_has_agreed() {
    let it = Town::open().await;
    it.prove("bob", "bob@far.test").await;
    it.forward("bob", &["eve@t.test", "bob@far.test", "stranger@far.test"], false).await;
    assert!(it.come_in("You@theirs.test", "bob@t.test", LETTER).await.starts_with("250 2.0.0 "));
    it.work().await;
    let (count, flags) = it.office.mailbox("bob", "Trash").await;
    assert_eq!((it.count("bob", "INBOX").await, count, flags.contains("\\Seen")), (0, 1, true), "{flags}");
    assert_eq!(it.count("eve", "INBOX").await, 1);
    let given = it.given();
    let [forwarded] = &given[..] else { panic!("{given:?}") };
    assert_eq!(forwarded.to, ["bob@far.test"]);
    let path = forwarded.reverse_path.clone();
    assert!(path.starts_with("srs0=") && path.ends_with("=theirs.test=you@t.test"), "{path}");
    let (head, message) = forwarded.text.split_once("From: You").unwrap();
    assert!(head.starts_with("Received: ") && head.ends_with("Delivered-To: bob@t.test\r\n"), "{head}");
    assert_eq!(format!("From: You{message}"), format!("{LETTER}\r\n"), "its bytes stay what they are");
    let reasons = it.reasons().await;
    for reason in ["forwarded:2", "not-forwarded:unconfirmed"] {
        assert!(reasons.contains(&reason.to_owned()), "{reasons:?}");
    }

    // A report finds its way back to the sender, and nobody else is written to by it.
    let report =
        "From: mailer-daemon@far.test\r\nAuto-Submitted: auto-replied\r\nSubject: failed\r\n\r\nfailed";
    assert!(it.come_in("foe@theirs.test", &path, report).await.starts_with("550 5.7.1"));
    let forged = path.replace("=you@", "=foe@");
    assert!(it.come_in("", &forged, report).await.starts_with("550 5.1.1"));
    assert!(it.come_in("", &path.to_uppercase(), report).await.starts_with("250 2.0.0 "));
    it.work().await;
    let given = it.given();
    let [returned] = &given[..] else { panic!("{given:?}") };
    assert_eq!((&returned.to[..], returned.reverse_path.as_str()), (&["you@theirs.test".to_owned()][..], ""));
    assert!(returned.text.contains("\r\nSubject: failed\r\n"), "{}", returned.text);

    // Nothing else goes that way, and not much of it.
    let refused = it.come_in("", &path, LETTER).await;
    assert!(refused.starts_with("550 5.7.1 only reports"), "{refused}");
    let long = format!("{report}{}", "\r\nagain and again".repeat(20_000));
    assert!(it.come_in("", &path, &long).await.starts_with("552 5.3.4"));
    let mut replies = Vec::new();
    for _ in 0..8 {
        replies.push(it.come_in("", &path, report).await);
    }
    let (last, others) = replies.split_last().unwrap();
    assert!(others.iter().all(|reply| reply.starts_with("250 ")), "{replies:?}");
    assert!(last.starts_with("451 4.7.1 too many reports"), "{replies:?}");
    it.work().await;
    assert_eq!(it.given().len(), 7);
    let block = pennypost_directory::Block {
        functions: [pennypost_directory::Blockable::Sending].into(),
        reason: "spam".to_owned(),
        since: Timestamp(0),
    };
    let tenant = it.office.tenant;
    it.office.directory.set_tenant_block(tenant, None, Some(block.clone())).await.unwrap();
    assert!(it.come_in("", &path, report).await.starts_with("450 4.2.1"));
    it.office.directory.set_tenant_block(tenant, Some(&block), None).await.unwrap();

    // The organisation forbids it, and what was said is kept.
    let (none, rules) = (ForwardingRules::default(), it.office.directory.forwarding_rules(it.office.tenant));
    let rules = rules.await.unwrap();
    let said = it.office.directory.change_forwarding_rules(it.office.tenant, &rules, &none).await;
    assert_eq!(said, Ok(true));
    assert!(it.come_in("you@theirs.test", "bob@t.test", LETTER).await.starts_with("250 2.0.0 "));
    it.work().await;
    assert_eq!((it.count("bob", "INBOX").await, it.count("eve", "INBOX").await, it.given().len()), (1, 1, 0));
    assert!(it.reasons().await.contains(&"not-forwarded:not-allowed".to_owned()));
}

/// Feature SND-22: who sends nothing outside forwards nothing there, and answers nobody
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_nothing_outside_forwards_and_answers_nobody_there() {
    let it = Town::open().await;
    it.prove("bob", "bob@far.test").await;
    it.forward("bob", &["eve@t.test", "bob@far.test"], true).await;
    it.reply("ann").await;
    let (bob, ann) = (it.key("bob").await.account, it.key("ann").await.account);
    let forbidden = [SendingTarget::Account(bob), SendingTarget::Account(ann)].into();
    let rules = SendingRules { forbidden, ..SendingRules::default() };
    let none = SendingRules::default();
    assert_eq!(it.office.directory.change_sending_rules(it.office.tenant, &none, &rules).await, Ok(true));
    assert!(it.come_in("you@theirs.test", "bob@t.test", LETTER).await.starts_with("250 2.0.0 "));
    assert!(
        it.come_in("you@theirs.test", "ann@t.test", &LETTER.replace("bob@", "ann@"))
            .await
            .starts_with("250 2.0.0 ")
    );
    it.work().await;
    assert_eq!((it.count("eve", "INBOX").await, it.given().len()), (1, 0));
}

/// Feature RUL-03 (part): forwarded, and answered with a text of its own, by a rule, also what it deletes
#[tokio::test(flavor = "multi_thread")]
async fn rules_forward_and_answer_too() {
    let it = Town::open().await;
    let eve = it.key("eve").await;
    let rule = Rule {
        name: "bills".to_owned(),
        enabled: true,
        moment: Moment::Receive,
        join: Join::Any,
        conditions: vec![Condition::Subject(Words { join: Join::Any, words: vec!["bill".to_owned()] })],
        actions: vec![
            RuleAction::Forward(vec![address("bob@t.test")]),
            RuleAction::Reply("Thank you.".to_owned()),
            RuleAction::Delete,
        ],
        stop: false,
    };
    let rules = MemberRules { rules: vec![rule], ..MemberRules::default() };
    let said = it.office.directory.change_member_rules(eve, &MemberRules::default(), &rules).await;
    assert_eq!(said, Ok(true));
    let letter = LETTER.replace("bob@", "eve@");
    assert!(it.come_in("you@theirs.test", "eve@t.test", &letter).await.starts_with("250 2.0.0 "));
    assert!(
        it.come_in("you@theirs.test", "eve@t.test", &letter.replace("hello\r\nM", "Your bill\r\nM"))
            .await
            .starts_with("250 2.0.0 ")
    );
    it.work().await;
    assert_eq!((it.count("eve", "INBOX").await, it.count("eve", "Trash").await), (1, 1));
    assert_eq!(it.count("bob", "INBOX").await, 1);
    let given = it.given();
    let [answered] = &given[..] else { panic!("{given:?}") };
    assert_eq!(answered.to, ["you@theirs.test"]);
    assert!(answered.text.contains("\r\nSubject: Auto: Your bill\r\n"), "{}", answered.text);
    assert!(answered.text.contains("\r\n\r\nVGhhbmsgeW91Lg=="), "{}", answered.text);
}

/// What fails is told to whoever has it forwarded, and to nobody who wrote it.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_forwards_is_told_of_what_fails() {
    let it = Town::open().await;
    it.prove("bob", "bob@far.test").await;
    it.forward("bob", &["bob@far.test"], true).await;
    it.world.refusing.lock().push("bob@far.test".to_owned());
    assert!(it.come_in("you@theirs.test", "bob@t.test", LETTER).await.starts_with("250 2.0.0 "));
    it.work().await;
    assert_eq!((it.given().len(), it.count("bob", "INBOX").await), (1, 2));
}

/// Feature RUL-06 (part): loops end, here and over other servers
#[tokio::test(flavor = "multi_thread")]
async fn forwards_that_lead_back_end() {
    let it = Town::open().await;
    it.forward("bob", &["eve@t.test"], true).await;
    it.forward("eve", &["bob@t.test", "ann@t.test"], true).await;
    it.forward("ann", &["bob@t.test"], true).await;
    assert!(it.come_in("you@theirs.test", "bob@t.test", LETTER).await.starts_with("250 2.0.0 "));
    it.work().await;
    for name in ["bob", "eve", "ann"] {
        assert_eq!(it.count(name, "INBOX").await, 1, "{name}");
    }
    // What they do not keep, one of them has, whoever was written to.
    it.forward("bob", &["eve@t.test"], false).await;
    it.forward("eve", &["bob@t.test"], false).await;
    assert!(it.come_in("you@theirs.test", "bob@t.test", LETTER).await.starts_with("250 2.0.0 "));
    it.work().await;
    assert_eq!((it.count("bob", "Trash").await, it.count("eve", "Trash").await), (1, 0));
    assert_eq!((it.count("bob", "INBOX").await, it.count("eve", "INBOX").await), (1, 2));
    // A server elsewhere sends it back.
    it.prove("bob", "bob@far.test").await;
    it.forward("bob", &["bob@far.test"], true).await;
    assert!(it.come_in("you@theirs.test", "bob@t.test", LETTER).await.starts_with("250 2.0.0 "));
    it.work().await;
    let given = it.given();
    let [forwarded] = &given[..] else { panic!("{given:?}") };
    assert!(
        it.come_in("back+1@far.test", "bob@t.test", forwarded.text.trim_end())
            .await
            .starts_with("250 2.0.0 ")
    );
    it.work().await;
    assert!(it.given().is_empty(), "not again");
    // The letter, the letter again, and the report.
    assert_eq!(it.count("bob", "INBOX").await, 1 + 3);
}

/// Feature RUL-07 (part): each sender is answered once, colleagues and others, and two who are away do not answer each other; address books are missing
#[tokio::test(flavor = "multi_thread")]
async fn senders_are_answered_once() {
    let it = Town::open().await;
    it.reply("bob").await;
    it.reply("ann").await;
    let letter =
        "From: Ann <ann@t.test>\r\nTo: bob@t.test\r\nSubject: 你好\r\nMessage-ID: <7@t.test>\r\n\r\nhello";
    for _ in 0..2 {
        hand_in(&it.office, "ann@t.test", &["bob@t.test"], letter).await;
        it.work().await;
    }
    assert_eq!((it.count("bob", "INBOX").await, it.count("ann", "INBOX").await), (2, 1));
    let answer = it.office.text("ann", "INBOX").await;
    for field in [
        "From: bob@t.test",
        "To: <ann@t.test>",
        "Subject: Auto: =?utf-8?B?5L2g5aW9?=",
        "In-Reply-To: <7@t.test>",
        "References: <7@t.test>",
        "Auto-Submitted: auto-replied",
        "Ym9iIGlzIGF3YXkNCuS4jeWcqA==",
    ] {
        assert!(answer.lines().any(|line| line == field), "{field}: {answer}");
    }
    assert!(it.come_in("you@theirs.test", "bob@t.test", LETTER).await.starts_with("250 2.0.0 "));
    assert!(it.come_in("you@theirs.test", "bob@t.test", LETTER).await.starts_with("250 2.0.0 "));
    it.work().await;
    let given = it.given();
    let [answered] = &given[..] else { panic!("{given:?}") };
    assert_eq!((&answered.to[..], answered.reverse_path.as_str()), (&["you@theirs.test".to_owned()][..], ""));
    // Their own answer, a list, and a letter that does not name him.
    let list = LETTER.replace("Subject", "List-Unsubscribe: <mailto:x@theirs.test>\r\nSubject");
    assert!(
        it.come_in("", "bob@t.test", &answered.text.replace("To: <you@theirs.test>", "To: <bob@t.test>"))
            .await
            .starts_with("250 2.0.0 ")
    );
    assert!(it.come_in("list@theirs.test", "bob@t.test", &list).await.starts_with("250 2.0.0 "));
    assert!(
        it.come_in("other@theirs.test", "bob@t.test", &LETTER.replace("bob@", "all@"))
            .await
            .starts_with("250 2.0.0 ")
    );
    it.work().await;
    assert!(it.given().is_empty());
}
