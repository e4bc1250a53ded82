//! Who has read what members sent, and whether that is told.

use pennypost_fold::State;
use pennypost_mailstore::{Incoming, Mailroom};
use pennypost_model::event::Verdict;
use pennypost_model::journal::{Actor, Protocol};
use pennypost_model::trace::{Outcome, Submitter, TraceRecipient, TraceRecord, TraceStep};
use pennypost_model::{AccountKey, EventId, FlagSet, MailboxId, Rid, Seq, Timestamp, Uid, codec};
use pennypost_ports::{Clock, Consistency, Ids, LogKind, LogRecord, RandomIds};
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant};

struct Bench {
    office: Office,
    home: Tenant,
}

impl Bench {
    async fn open() -> Bench {
        let office = Office::open().await;
        let home = office.tenant("home").await;
        Bench { office, home }
    }

    async fn say(&self, session: &str, seen: &str, begin: &str) -> Answer {
        let (path, body) = (format!("/tenants/{}/read-status", self.home.id), json!({ "begin": begin }));
        self.office.ask_with(session, "PUT", &path, &[("if-match", seen)], Some(&body)).await
    }

    async fn status(&self, session: &str) -> Answer {
        self.office.ask(session, "GET", &format!("/tenants/{}/read-status", self.home.id), None).await
    }

    async fn state(&self, key: AccountKey) -> State {
        self.office.store.load(key, Consistency::Strong).await.expect("state")
    }

    /// A letter in somebody's Inbox.
    async fn put(&self, key: AccountKey, id: EventId, flags: &[&str]) -> (Rid, Uid) {
        Mailroom::new(self.office.store.clone()).account(key).await.expect("journal");
        let mut set = FlagSet::default();
        assert!(flags.iter().all(|flag| set.insert_named(flag)));
        let letter =
            [Incoming::prepare(b"Subject: x\r\n\r\nx\r\n", id, set, Timestamp(77_000)).expect("prepares")];
        let (state, actor) = (self.state(key).await, Actor::Member(Protocol::Import));
        let storing = self.office.store.store(key, state, &actor, MailboxId::INBOX, &letter, |_| Ok(()));
        let uid = storing.await.expect("stores").value[0].uid;
        let state = self.state(key).await;
        let inbox = state.mailbox(MailboxId::INBOX).expect("an inbox");
        (inbox.rows.iter().find(|row| row.uid == uid).expect("there").rid, uid)
    }

    /// That the member has sent a letter to these, whose copies are there.
    async fn sent(&self, id: EventId, to: &[(&str, AccountKey, Rid)]) {
        let (now, member) = (self.office.clock.now(), self.home.member);
        let recipients = to.iter().map(|(local, account, rid)| TraceRecipient {
            address: format!("{local}@{}", self.home.domain),
            account: *account,
            reasons: Vec::new(),
            outcome: Outcome::Stored { seq: Seq(1), uid: Uid(1), rid: *rid, mailbox: "inbox".to_owned() },
        });
        let step = TraceStep::Delivered {
            accepted: now,
            peer: String::new(),
            reverse_path: format!("member@{}", self.home.domain),
            subject: "hello".to_owned(),
            message_id: "1@x".to_owned(),
            size: 7,
            auth: [Verdict::None; 3],
            recipients: recipients.collect(),
        };
        let submitter = Submitter {
            account: member,
            address: format!("member@{}", self.home.domain),
            protocol: "ESMTPSA".to_owned(),
        };
        let record =
            TraceRecord { submitter: Some(submitter), ..TraceRecord::new(self.home.id, id, now, step) };
        let value = codec::encode(&record);
        let record = LogRecord { tenant: self.home.id, kind: LogKind::Trace, id, time: now, value };
        self.office.log.append(&[record]).await.expect("traced");
    }
}

/// Feature DLV-06 (part): a member sees over the API who of his colleagues has read what he sent; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn members_see_who_has_read_what_they_sent() {
    let it = Bench::open().await;
    let (chief, graded) = (it.home.chief, it.home.graded);
    let id = RandomIds.event(it.office.clock.now());
    let (read, _) = it.put(chief, id, &["\\Seen"]).await;
    let (unread, _) = it.put(graded, id, &[]).await;
    let gone = Rid(77 << 16);
    it.sent(id, &[("chief", chief, read), ("graded", graded, unread), ("creator", it.home.creator, gone)])
        .await;
    let session = it.office.session(it.home.member).await;
    let path = format!("/tenants/{}/accounts/{}/sent-letters", it.home.id, it.home.member.account);
    let reads = async || -> Vec<Value> {
        let listed = it.office.ask(&session, "GET", &path, None).await;
        assert_eq!(listed.status.as_u16(), 200, "{}", listed.text);
        let recipients = listed.json()["items"][0]["recipients"].clone();
        recipients.as_array().expect("some").iter().map(|one| one["read"].clone()).collect()
    };
    assert_eq!(reads().await, [json!("read"), json!("unread"), json!("unknown")]);
    // Nobody else of the organisation sees it.
    let colleague = it.office.session(it.home.leavers[0]).await;
    it.office.ask(&colleague, "GET", &path, None).await.assert_problem(403, "no-permission");
    let creator = it.office.session(it.home.creator).await;
    let on = it.status(&creator).await;
    it.say(&creator, on.header("etag"), "off").await;
    assert_eq!(reads().await, [Value::Null, Value::Null, Value::Null]);
}

/// Feature DLV-07 (part): on for new organisations; the creator and super admins say so over the API, at once or after 48 hours with a letter to all; POP and SMTP stay open; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn those_above_say_whether_members_see_it() {
    let it = Bench::open().await;
    let (creator, chief) = (it.office.session(it.home.creator).await, it.office.session(it.home.chief).await);
    let new = it.status(&creator).await;
    assert_eq!((&new.json()["state"], &new.json()["told"]), (&json!("on"), &Value::Null));
    let graded = it.office.session(it.home.graded).await;
    it.say(&graded, new.header("etag"), "off").await.assert_problem(403, "no-permission");
    let off = it.say(&chief, new.header("etag"), "off").await;
    assert_eq!((off.status.as_u16(), &off.json()["since"]), (200, &Value::Null), "{}", off.text);
    it.say(&creator, new.header("etag"), "at-once").await.assert_problem(412, "changed");
    let before = it.office.clock.now();
    let later = it.say(&creator, off.header("etag"), "after-48-hours").await;
    let shown = later.json();
    assert_eq!((&shown["state"], &shown["telling"]), (&json!("later"), &json!(false)), "{shown}");
    let since = shown["since"].as_str().and_then(Timestamp::from_rfc3339).expect("a time");
    assert!(since >= before.plus_millis(48 * 3_600_000 - 1_000), "{shown}");
    assert_ne!(shown["told"], Value::Null);
    let on = it.say(&creator, later.header("etag"), "at-once").await;
    assert_eq!(on.json()["state"], "on");
    let wrong = it.say(&creator, on.header("etag"), "tomorrow").await;
    assert_eq!(wrong.status.as_u16(), 400, "{}", wrong.text);
}

/// Feature DLV-07 (part): if the process dies before all were told, the others are told later, each once
#[tokio::test(flavor = "multi_thread")]
async fn all_members_are_told_though_the_process_dies() {
    let it = Bench::open().await;
    let creator = it.office.session(it.home.creator).await;
    let new = it.status(&creator).await;
    it.say(&creator, new.header("etag"), "off").await;
    let (administration, tenant) = (&it.office.administration, it.home.id);
    for writes in 0..4 {
        let seen = administration.directory().read_status(tenant).await.expect("read");
        it.office.dying.after(writes);
        let wish = pennypost_admin::ReadStatusWish::Later;
        let call = pennypost_admin::Call::of_operator();
        let _ = administration.change_read_status(&call, tenant, &seen, wish).await;
        it.office.dying.after(i64::MAX);
        let status = administration.directory().read_status(tenant).await.expect("read");
        administration.tell_of_read_status(tenant).await.expect("told");
        let told = administration.directory().read_status(tenant).await.expect("read");
        assert_eq!(told.since, status.since, "{writes}");
        assert_eq!((told.telling, told.told.is_some()), (None, status.since.is_some()), "{writes}");
        let call = pennypost_admin::Call::of_operator();
        let off = pennypost_admin::ReadStatusWish::Off;
        administration.change_read_status(&call, tenant, &told, off).await.expect("off");
    }
}
