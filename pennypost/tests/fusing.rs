//! The unfused pipeline, with a queue in front of every stage, gives the same mailboxes as the fused one, byte for
//! byte: journals, packs and traces of the whole sample mail, with one clock and one source of ids.
//!
//! Feature RCV-17: mail to unknown addresses goes to one mailbox, into the folder “Mail transfer”

#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_deliver::Deliver;
use pennypost_directory::{Directory, Resolved};
use pennypost_hooks::Hooks;
use pennypost_housekeep::{Housekeep, Settings as HouseSettings};
use pennypost_inbound_parse::InboundParse;
use pennypost_mailstore::compress::compress;
use pennypost_mailstore::{Mailroom, Mailstore};
use pennypost_model::codec;
use pennypost_model::event::{
    Accepted, AuthResults, Body, Event, Recipient, Source, SourceKind, Stage, Verdict,
};
use pennypost_model::{AccountKey, EventId, Seq, TenantId, Timestamp};
use pennypost_notify::{Announcer, Notify};
use pennypost_policy_filter::PolicyFilter;
use pennypost_ports::{Clock, Consistency, Ids, LogKind, LogQuery, Outgoing, Queue};
use pennypost_runtime::local::{Driver, Settings};
use pennypost_runtime::{Fusing, Handler, Pipeline};

/// A clock that moves only when it is told to, and ids that are counted.
#[derive(Default)]
struct Fixed {
    now: AtomicI64,
    count: AtomicU64,
}

#[async_trait]
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_000_000_000 + self.now.load(Ordering::Relaxed))
    }

    async fn sleep(&self, _duration: Duration) {}
}

impl Ids for Fixed {
    fn event(&self, now: Timestamp) -> EventId {
        EventId::from_parts(now, u128::from(self.random()))
    }

    fn random(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Everything that a run leaves.
#[derive(PartialEq)]
struct Remains {
    journals: BTreeMap<AccountKey, Vec<Vec<u8>>>,
    objects: BTreeMap<String, Vec<u8>>,
    traces: Vec<Vec<u8>>,
}

async fn run(fusing: Fusing) -> Remains {
    let dir = tempfile::tempdir().unwrap();
    let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
    let fixed = Arc::new(Fixed::default());
    let clock: Arc<dyn Clock> = Arc::clone(&fixed) as _;
    let ids: Arc<dyn Ids> = Arc::clone(&fixed) as _;
    let directory = Directory::new(backend.control(), Arc::clone(&clock), Arc::clone(&ids));
    let tenant = directory.add_tenant("t").await.unwrap().id;
    directory.add_domain(tenant, "t.test").await.unwrap();
    for name in ["a", "b", "leavers"] {
        directory.add_account(&format!("{name}@t.test"), "a long password", "", None).await.unwrap();
    }
    directory.set_catch_all("t.test", Some("leavers@t.test")).await.unwrap();
    let store = Mailstore::new(backend.journal(), backend.objects(), Arc::clone(&clock), ids);
    let handlers: [Arc<dyn Handler>; 5] = [
        Arc::new(InboundParse::new(backend.objects(), backend.log())),
        Arc::new(PolicyFilter::new(Arc::new(directory.clone()))),
        Arc::new(Deliver::new(store.clone(), backend.log())),
        Arc::new(Notify::new(
            Arc::new(Mailroom::new(store.clone())),
            Announcer::new(Hooks::new(backend.control()), Arc::clone(&clock)),
        )),
        Arc::new(Housekeep::new(store.clone(), backend.control(), backend.queue(), HouseSettings::default())),
    ];
    let pipeline = Arc::new(Pipeline::new(handlers, fusing, backend.queue()));
    let registry = prometheus::Registry::new();
    let driver = Driver::new(
        pipeline,
        backend.queue(),
        backend.log(),
        backend.control(),
        clock,
        Settings::default(),
        &registry,
    )
    .unwrap();

    let queue = backend.queue();
    for (number, raw) in sample_mails().into_iter().enumerate() {
        fixed.now.fetch_add(1000, Ordering::Relaxed);
        let event = accepted(&directory, tenant, &fixed, number, &raw).await;
        let message = Outgoing { tenant, body: codec::encode(&event), delay: Duration::ZERO };
        queue.send_batch(Stage::InboundParse, vec![message]).await.remove(0).unwrap();
        drain(&*queue, &driver).await;
    }
    let remains = remains(&backend, tenant).await;
    backend.shutdown().await;
    remains
}

/// Letters to one, to two and to an unknown address; some of them suspicious, one twice.
async fn accepted(
    directory: &Directory,
    tenant: TenantId,
    fixed: &Fixed,
    number: usize,
    raw: &[u8],
) -> Event {
    let addresses: &[&str] = match number % 4 {
        0 => &["a@t.test"],
        1 => &["a@t.test", "b@t.test"],
        2 => &["b@t.test"],
        _ => &["nobody@t.test"],
    };
    let mut recipients: Vec<Recipient> = Vec::new();
    for address in addresses {
        match directory.resolve(address).await.unwrap() {
            Resolved::Local { recipients: found, .. } => recipients.extend(found),
            other => panic!("{address}: {other:?}"),
        }
    }
    let suspicious = number.is_multiple_of(5);
    let verdict = if suspicious { Verdict::Fail } else { Verdict::Pass };
    Event::Accepted(Box::new(Accepted {
        id: fixed.event(fixed.now()),
        time: fixed.now(),
        tenant,
        source: Source { kind: SourceKind::Smtp, ip: None, helo: "peer.test".to_owned(), tls: None },
        auth: AuthResults { spf: verdict, dkim: verdict, dmarc: verdict, ..AuthResults::default() },
        reverse_path: "sender@peer.test".to_owned(),
        recipients,
        body: Body::Inline(compress(raw).unwrap()),
        receipt: "Received: from peer.test\r\n".to_owned(),
    }))
}

/// Works every queue until all are empty.
async fn drain(queue: &dyn Queue, driver: &Driver) {
    loop {
        let mut idle = true;
        for stage in Stage::ALL {
            let messages = queue.receive(stage, 64, Duration::from_secs(60), Duration::ZERO).await.unwrap();
            if !messages.is_empty() {
                idle = false;
                driver.handle(stage, messages).await;
            }
        }
        if idle {
            return;
        }
    }
}

async fn remains(backend: &Embedded, tenant: TenantId) -> Remains {
    let mut journals = BTreeMap::new();
    for account in backend.journal().accounts(tenant, None, 100).await.unwrap() {
        let entries = backend.journal().since(account, Seq::ZERO, 10_000, Consistency::Strong).await.unwrap();
        journals.insert(account, entries.iter().map(codec::encode).collect());
    }
    let mut objects = BTreeMap::new();
    for object in backend.objects().list("", None, 10_000).await.unwrap() {
        objects.insert(object.name.clone(), backend.objects().get(&object.name).await.unwrap().0.to_vec());
    }
    let (from, to) = (EventId::from_parts(Timestamp(0), 0), EventId::from_parts(Timestamp(1 << 46), 0));
    let query = LogQuery { tenant, kind: LogKind::Trace, from, to, limit: 10_000 };
    let traces = backend.log().query(&query).await.unwrap().into_iter().map(|record| record.value);
    Remains { journals, objects, traces: traces.collect() }
}

fn sample_mails() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samplemail/mails");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fused_and_unfused_leave_the_same_bytes() {
    let fused = run(Fusing::fused()).await;
    let unfused = run(Fusing::unfused()).await;
    let partly = run(Fusing::of([Stage::Deliver])).await;
    let letters: usize = fused.journals.values().map(Vec::len).sum();
    assert!(fused.journals.len() == 3 && letters > 150 && fused.traces.len() > 150, "{letters} entries");
    assert!(fused.objects.len() > 150, "{} objects", fused.objects.len());
    assert!(fused == unfused, "the unfused pipeline left something else");
    assert!(fused == partly, "the partly fused pipeline left something else");
}
