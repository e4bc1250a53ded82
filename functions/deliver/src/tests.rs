//! Which objects a delivery writes and deletes: a pack once, however often the event comes; the object that a message was
//! spooled in, and nothing where there was none.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_mailstore::compress::compress;
use pennypost_model::event::{
    Accepted, AuthResults, Decision, GroupElsewhere, MemberElsewhere, Recipient, Source, SourceKind,
    Submission, Target, ToGroups, Via,
};
use pennypost_model::message::Sidecar;
use pennypost_model::trace::Submitter;
use pennypost_model::{AccountId, FlagSet, MailboxId, MailboxRole};
use pennypost_ports::{
    Clock, Created, Etag, Ids, LogQuery, ObjectInfo, Objects, PortResult, RandomIds, Replaced, SystemClock,
};

use super::*;

const ANN: AccountKey = AccountKey { tenant: TenantId(7), account: AccountId(1) };

/// Notes what is written and deleted.
struct Watched {
    inner: Arc<dyn Objects>,
    written: Mutex<Vec<String>>,
    deleted: Mutex<Vec<String>>,
}

impl Watched {
    fn new(backend: &Embedded) -> Arc<Watched> {
        let (written, deleted) = (Mutex::default(), Mutex::default());
        Arc::new(Watched { inner: backend.objects(), written, deleted })
    }
}

#[async_trait]
impl Objects for Watched {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        self.written.lock().push(name.to_owned());
        self.inner.put_unique(name, bytes).await
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        self.inner.get(name).await
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        self.inner.get_range(name, start, len).await
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        self.inner.put_if_match(name, bytes, etag).await
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.deleted.lock().push(name.to_owned());
        self.inner.delete(name).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        self.inner.list(prefix, after, limit).await
    }
}

fn decided(subject: &str) -> (Decided, StoredMessage) {
    let time = SystemClock.now();
    let raw = format!("Subject: {subject}\r\n\r\ntext\r\n");
    let id = RandomIds.event(time);
    let message = compress(raw.as_bytes()).unwrap();
    let (structure, facts) = pennypost_mime::parse(raw.as_bytes());
    let sidecar = Sidecar { structure, facts, receipt: String::new() };
    let recipient = Recipient { account: ANN, address: "ann@t.test".to_owned(), via: Via::Direct };
    let target = Target::Mailbox(MailboxId::INBOX);
    let accepted = Accepted {
        id,
        time,
        tenant: ANN.tenant,
        source: Source { kind: SourceKind::Smtp, ip: None, helo: String::new(), tls: None },
        auth: AuthResults::default(),
        reverse_path: String::new(),
        recipients: vec![recipient],
        body: Body::Inline(message.clone()),
        receipt: String::new(),
    };
    let decisions = vec![Decision { target, flags: FlagSet::default(), reasons: Vec::new() }];
    (Decided { accepted, sidecar, decisions }, message)
}

#[tokio::test]
async fn only_a_spooled_message_has_an_object_to_delete() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
    let objects = Watched::new(&backend);
    let watched = Arc::clone(&objects) as _;
    let store = Mailstore::new(backend.journal(), watched, Arc::new(SystemClock), Arc::new(RandomIds));
    let deliver = Deliver::new(store, backend.log());

    let (inline, _) = decided("in the event");
    let (mut spooled, message) = decided("spooled");
    let object = format!("{}/spool/1", ANN.tenant);
    objects.put_unique(&object, codec::encode(&message).into()).await.unwrap();
    spooled.accepted.body = Body::Spooled { object: object.clone(), size: message.size };
    let events = [inline, spooled].map(|decided| Event::Decided(Box::new(decided)));
    for outcome in deliver.handle(events.to_vec()).await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    assert_eq!(*objects.deleted.lock(), [object]);
}

#[tokio::test]
async fn a_repetition_writes_no_pack_whoever_handles_it() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
    let objects = Watched::new(&backend);
    let (letter, _) = decided("once");
    let mut followed = Vec::new();
    let same = || {
        let watched = Arc::clone(&objects) as _;
        let store = Mailstore::new(backend.journal(), watched, Arc::new(SystemClock), Arc::new(RandomIds));
        Deliver::new(store, backend.log())
    };
    let (first, another) = (same(), same());
    for process in [&first, &first, &another] {
        let events = vec![Event::Decided(Box::new(letter.clone()))];
        followed.extend(process.handle(events).await);
    }
    assert!(followed[0].is_ok() && followed.iter().all(|outcome| *outcome == followed[0]), "{followed:?}");
    assert_eq!(packs(&backend).await, 1);
}

#[tokio::test]
async fn a_small_pack_for_one_account_goes_with_its_entry_and_others_before() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
    let objects = Watched::new(&backend);
    let watched = Arc::clone(&objects) as _;
    let store = Mailstore::new(backend.journal(), watched, Arc::new(SystemClock), Arc::new(RandomIds));
    let deliver = Deliver::new(store.clone(), backend.log());

    let bob = AccountKey { account: AccountId(2), ..ANN };
    let (first, second) = (decided("first").0, decided("second").0);
    let (mut bobs, mut large, mut both) = (decided("bob's").0, decided("large").0, decided("both").0);
    bobs.accepted.recipients[0].account = bob;
    let noise: Vec<u8> =
        (0..WITH_ENTRY as u32 / 2).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    large.accepted.body = Body::Inline(compress(&noise).unwrap());
    both.accepted.recipients.push(Recipient { account: bob, ..both.accepted.recipients[0].clone() });
    both.decisions.push(both.decisions[0].clone());
    let events = [first, second, bobs, large, both].map(|decided| Event::Decided(Box::new(decided)));
    for outcome in deliver.handle(events.to_vec()).await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    // One of Ann's two, one of Bob's, and one of the others, which alone is put before the entries.
    assert_eq!((packs(&backend).await, objects.written.lock().len()), (3, 1));
    for (account, copies) in [(ANN, 4), (bob, 2)] {
        let newest = store.journal().newest(account, 10, pennypost_ports::Consistency::Strong).await.unwrap();
        let added: Vec<BlobRef> =
            newest.entries.iter().flat_map(|entry| &entry.ops).filter_map(blob).collect();
        assert_eq!((newest.entries.len(), added.len()), (1, copies));
        for blob in added {
            store.open(account.tenant, blob).await.unwrap();
        }
    }
}

fn blob(op: &pennypost_model::journal::Op) -> Option<BlobRef> {
    match op {
        pennypost_model::journal::Op::Add(message) => Some(message.blob),
        _ => None,
    }
}

async fn packs(backend: &Embedded) -> usize {
    let all = backend.objects().list(&format!("{}/", ANN.tenant), None, 100).await.unwrap();
    all.iter().filter(|object| object.name.contains("/pk/")).count()
}

#[tokio::test]
async fn recipients_elsewhere_get_no_copy_here_and_keep_the_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
    let objects = Watched::new(&backend);
    let watched = Arc::clone(&objects) as _;
    let store = Mailstore::new(backend.journal(), watched, Arc::new(SystemClock), Arc::new(RandomIds));
    let deliver = Deliver::new(store.clone(), backend.log());
    let object = format!("{}/spool/1", ANN.tenant);
    let outside = Recipient { account: ANN, address: "you@other.example".to_owned(), via: Via::Outside };
    let decision = Decision { target: Target::Outside, flags: FlagSet::default(), reasons: Vec::new() };

    let (mut both, message) = decided("both");
    objects.put_unique(&object, codec::encode(&message).into()).await.unwrap();
    both.accepted.body = Body::Spooled { object, size: message.size };
    both.accepted.recipients.push(outside.clone());
    both.decisions.push(decision.clone());
    let (mut only, _) = decided("outside only");
    only.accepted.recipients = vec![outside];
    only.decisions = vec![decision];
    let ids = [both.accepted.id, only.accepted.id];
    let events: Vec<Event> = [both, only].map(|decided| Event::Decided(Box::new(decided))).into();
    for outcome in [deliver.handle(events.clone()).await, deliver.handle(events).await].concat() {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    assert_eq!(*objects.deleted.lock(), [""; 0]);
    let newest = store.journal().newest(ANN, 10, pennypost_ports::Consistency::Strong).await.unwrap();
    let added = newest.entries.iter().flat_map(|entry| &entry.ops);
    let added = added.filter(|op| matches!(op, pennypost_model::journal::Op::Add(_))).count();
    assert_eq!((packs(&backend).await, added), (1, 1));
    for (id, copies) in ids.into_iter().zip([1, 0]) {
        let query = LogQuery { tenant: ANN.tenant, kind: LogKind::Trace, from: id, to: id, limit: 10 };
        let record = backend.log().query(&query).await.unwrap().remove(0);
        let trace: TraceRecord = codec::decode(&record.value).unwrap();
        let TraceStep::Delivered { recipients, .. } = trace.step else { panic!("not delivered") };
        let is_stored = |one: &&TraceRecipient| matches!(one.outcome, Journey::Stored { .. });
        assert_eq!(recipients.iter().filter(is_stored).count(), copies);
        assert_eq!(recipients.last().map(|one| &one.outcome), Some(&Journey::Outside));
    }
}

#[tokio::test]
async fn members_elsewhere_of_groups_stand_in_the_trace_and_keep_the_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
    let objects = Watched::new(&backend);
    let watched = Arc::clone(&objects) as _;
    let store = Mailstore::new(backend.journal(), watched, Arc::new(SystemClock), Arc::new(RandomIds));
    let deliver = Deliver::new(store, backend.log());
    let object = format!("{}/spool/1", ANN.tenant);
    let (mut letter, message) = decided("to a group");
    objects.put_unique(&object, codec::encode(&message).into()).await.unwrap();
    letter.accepted.body = Body::Spooled { object, size: message.size };
    let submitter =
        Submitter { account: ANN, address: "ann@t.test".to_owned(), protocol: "ESMTPSA".to_owned() };
    let member = MemberElsewhere {
        address: "bea@other.example".to_owned(),
        reverse_path: String::new(),
        leave: String::new(),
    };
    let group = GroupElsewhere { address: "all@t.test".to_owned(), members: vec![member] };
    let submission = Submission { submitter: submitter.clone(), bcc: String::new() };
    letter.accepted.source.kind =
        SourceKind::ToGroups(Box::new(ToGroups { submission, groups: vec![group] }));
    let id = letter.accepted.id;
    // Also where nobody here gets it.
    let mut alone = letter.clone();
    alone.accepted.id = RandomIds.event(alone.accepted.time);
    (alone.accepted.recipients, alone.decisions) = (Vec::new(), Vec::new());
    let ids = [id, alone.accepted.id];
    let events = [letter, alone].map(|decided| Event::Decided(Box::new(decided)));
    for outcome in deliver.handle(events.to_vec()).await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    assert_eq!(*objects.deleted.lock(), [""; 0]);
    for (id, count) in ids.into_iter().zip([2, 1]) {
        let query = LogQuery { tenant: ANN.tenant, kind: LogKind::Trace, from: id, to: id, limit: 10 };
        let record = backend.log().query(&query).await.unwrap().remove(0);
        let trace: TraceRecord = codec::decode(&record.value).unwrap();
        assert_eq!(trace.submitter.as_ref(), Some(&submitter));
        let TraceStep::Delivered { recipients, .. } = trace.step else { panic!("not delivered") };
        assert_eq!(recipients.len(), count);
        let last = recipients.last().unwrap();
        assert_eq!((last.address.as_str(), &last.outcome), ("bea@other.example", &Journey::Outside));
        assert_eq!((last.account, &*last.reasons), (ANN, &["group:all@t.test".to_owned()][..]));
    }
}

/// A rule's folder is named by its number, without looking; a letter for one that is gone comes to the Inbox for whoever
/// reads. Labels for which there is no room are left out, and the letter comes, by the short way and by the long one.
#[tokio::test]
async fn a_folder_of_ones_own_is_used_as_long_as_it_is_there() {
    use pennypost_model::Keyword;
    use pennypost_model::journal::Protocol;
    use pennypost_ports::Consistency;
    let dir = tempfile::tempdir().unwrap();
    let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
    let store =
        Mailstore::new(backend.journal(), backend.objects(), Arc::new(SystemClock), Arc::new(RandomIds));
    let deliver = Deliver::new(store.clone(), backend.log());
    let member = pennypost_model::journal::Actor::Member(Protocol::Imap);
    let load = async || store.load(ANN, Consistency::Strong).await.unwrap();
    let made = store.commit(ANN, load().await, &member, |draft| draft.create_mailbox("Bills", None)).await;
    let folder = made.unwrap().value;
    let letter = |name: &str, labels: &[&str]| {
        let (mut letter, _) = decided(name);
        letter.decisions[0].target = Target::Mailbox(folder);
        let labels = labels.iter().map(|label| Keyword::parse(label).unwrap());
        letter.decisions[0].flags.keywords = labels.collect();
        letter
    };
    let handle = async |letter: &Decided| {
        let outcome = deliver.handle(vec![Event::Decided(Box::new(letter.clone()))]).await.remove(0);
        assert!(outcome.is_ok(), "{outcome:?}");
        let id = letter.accepted.id;
        let query = LogQuery { tenant: ANN.tenant, kind: LogKind::Trace, from: id, to: id, limit: 10 };
        let record = backend.log().query(&query).await.unwrap().pop().unwrap();
        let trace: TraceRecord = codec::decode(&record.value).unwrap();
        let TraceStep::Delivered { mut recipients, .. } = trace.step else { panic!("not delivered") };
        let state = load().await;
        let count = |id| state.mailbox(id).map_or(0, |mailbox| mailbox.rows.len());
        (recipients.remove(0), (count(folder), count(MailboxId::INBOX)))
    };
    let at = |recipient: &TraceRecipient| {
        let Journey::Stored { mailbox, .. } = &recipient.outcome else { panic!("not stored") };
        mailbox.clone()
    };
    let bills = format!("#{}", folder.0);
    let first = letter("first", &["paid"]);
    let (placed, counts) = handle(&first).await;
    assert_eq!((at(&placed), counts), (bills.clone(), (1, 0)));
    let (placed, counts) = handle(&first).await;
    assert_eq!((at(&placed), counts), (bills.clone(), (1, 0)), "a repetition adds nothing");
    assert_eq!(placed.reasons, first.decisions[0].reasons);
    let mut elsewhere = first.clone();
    elsewhere.decisions[0].target = Target::Role(MailboxRole::Trash);
    let (_, counts) = handle(&elsewhere).await;
    assert_eq!(counts, (1, 0), "what is there stays where it is, whatever rules say by now");
    store.commit(ANN, load().await, &member, |draft| draft.rename_mailbox(folder, "Accounts")).await.unwrap();
    assert_eq!(handle(&letter("renamed", &[])).await.1, (2, 0));
    let gone = |draft: &mut pennypost_fold::Draft| draft.delete_mailbox(folder);
    store.commit(ANN, load().await, &member, gone).await.unwrap();
    assert_eq!(handle(&letter("late", &[])).await.1, (0, 1), "into the Inbox");

    let names: Vec<String> = (0..100).map(|number| format!("label{number}")).collect();
    for (number, names) in names.chunks(20).enumerate() {
        let labels: Vec<&str> = names.iter().map(String::as_str).collect();
        let labelled = letter("labelled", &labels);
        // The first of those who know nothing of the account has to look where what came by the catch-all goes.
        let fresh = Deliver::new(store.clone(), backend.log());
        let (mut stray, _) = decided("stray");
        stray.decisions[0].target = Target::Role(MailboxRole::Transfer);
        let letters = if number % 2 == 0 { vec![labelled] } else { vec![stray, labelled] };
        let events = letters.into_iter().map(|letter| Event::Decided(Box::new(letter))).collect();
        for outcome in fresh.handle(events).await {
            assert!(outcome.is_ok(), "{number}: {outcome:?}");
        }
    }
    let state = load().await;
    assert_eq!(state.mailbox(MailboxId::INBOX).map(|inbox| inbox.rows.len()), Some(6));
    assert_eq!(state.keywords().len(), 59);
}

#[test]
fn the_trace_says_that_a_copy_was_placed_before() {
    let decision = |target| Decision {
        target,
        flags: FlagSet::default(),
        reasons: vec!["member-rule:bills".to_owned()],
    };
    let copy = |mailbox| Copy {
        seq: pennypost_model::Seq(1),
        uid: pennypost_model::Uid(1),
        rid: pennypost_model::Rid::new(pennypost_model::Seq(1), 0),
        mailbox,
        wants_housekeeping: false,
    };
    let (bills, inbox) = (Target::Mailbox(MailboxId(9)), Target::Role(MailboxRole::Inbox));
    let told = |target, copy: Option<Copy>| reasons(&decision(target), copy.as_ref()).len();
    assert_eq!(told(bills, Some(copy(MailboxId(9)))), 1);
    assert_eq!(told(bills, None), 1);
    assert_eq!(told(Target::Role(MailboxRole::Transfer), Some(copy(MailboxId(9)))), 1);
    assert_eq!(told(inbox, Some(copy(MailboxId(9)))), 2);
    let again = reasons(&decision(bills), Some(&copy(MailboxId::INBOX)));
    assert_eq!(again, ["member-rule:bills", PLACED_BEFORE_REASON]);
}

#[tokio::test]
async fn senders_hear_of_deliveries_if_they_asked_for_it_and_hear_the_same_again() {
    use pennypost_model::event::{Notify, Requested, Wish, Wishes};
    let dir = tempfile::tempdir().unwrap();
    let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
    let store =
        Mailstore::new(backend.journal(), backend.objects(), Arc::new(SystemClock), Arc::new(RandomIds));
    let deliver = || Deliver::new(store.clone(), backend.log()).reporting_as("mx.t.test");
    let (mut letter, _) = decided("asked for");
    let submitter =
        Submitter { account: ANN, address: "ann@t.test".to_owned(), protocol: "ESMTPSA".to_owned() };
    let asking = |success| {
        let notify = Some(Notify { success, failure: true, delay: false });
        let wish = |address: &str| Wish {
            address: address.to_owned(),
            notify,
            original: Some("rfc822;ann+x@t.test".to_owned()),
        };
        let wishes = Wishes {
            envelope_id: Some("QQ".to_owned()),
            recipients: vec![wish("ann@t.test"), wish("you@far.example")],
            ..Wishes::default()
        };
        let submission = Submission { submitter: submitter.clone(), bcc: String::new() };
        let to = ToGroups { submission, groups: Vec::new() };
        SourceKind::Requested(Box::new(Requested { to, wishes }))
    };
    letter.accepted.reverse_path = "ann@t.test".to_owned();
    let mut told = Vec::new();
    for success in [true, true, false] {
        let mut letter = letter.clone();
        letter.accepted.source.kind = asking(success);
        let events = deliver().handle(vec![Event::Decided(Box::new(letter))]).await.remove(0).unwrap();
        told.push(events.into_iter().find_map(|event| match event {
            Event::Accepted(report) => Some(*report),
            _ => None,
        }));
    }
    let [Some(report), Some(again), None] = &told[..] else { panic!("{told:?}") };
    assert_eq!((report.id, report), (letter.accepted.id.report(), again));
    assert_eq!((report.reverse_path.as_str(), report.recipients[0].account), ("", ANN));
    let Body::Inline(message) = &report.body else { panic!("too large") };
    let text = String::from_utf8(compress::decompress(message).unwrap()).unwrap();
    for part in [
        "Original-Envelope-Id: QQ\r\nReporting-MTA: dns; mx.t.test",
        "Original-Recipient: rfc822; ann+x@t.test\r\nFinal-Recipient: rfc822; ann@t.test\r\nAction: delivered\r\nStatus: 2.1.5",
        "Subject: asked for",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("far.example"), "{text}");
}
