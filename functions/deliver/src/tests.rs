//! Which objects a delivery writes and deletes: a pack once, however often the event comes; the object that a message was
//! spooled in, and nothing where there was none.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_mailstore::compress::compress;
use pennypost_model::event::{Accepted, AuthResults, Decision, Recipient, Source, SourceKind, Target, Via};
use pennypost_model::message::Sidecar;
use pennypost_model::{AccountId, FlagSet, MailboxId};
use pennypost_ports::{
    Clock, Created, Etag, Ids, ObjectInfo, Objects, PortResult, RandomIds, Replaced, SystemClock,
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
    let written = objects.written.lock();
    assert_eq!(written.iter().filter(|name| name.contains("/pk/")).count(), 1, "{written:?}");
}
