//! A post office in a temporary folder, for tests: one tenant, one account, and messages as they are needed.

use std::time::Duration;

use pennypost_backend_embedded::Options;
use pennypost_directory::Account;
use pennypost_mailstore::compress::compress;
use pennypost_mailstore::{Incoming, Mailroom, Placed};
use pennypost_model::event::{
    Accepted, AuthResults, Body, Event, Recipient, Source, SourceKind, Stage, Verdict, Via,
};
use pennypost_model::journal::{Actor, Protocol};
use pennypost_model::{EventId, FlagSet, MailboxId, Timestamp, UidSet};
use pennypost_ports::Consistency;

use crate::office::Office;
use crate::print::Output;
use crate::text::{Lang, Text};

/// The time at which the messages of a test arrived: 2026-11-19 08:15:30.
pub(crate) const TIME: Timestamp = Timestamp(1_795_076_130_000);

pub(crate) struct TestOffice {
    /// As the commands open it: beside the server.
    pub office: Office,
    /// As the server opens it.
    pub server: Office,
    pub account: Account,
    pub text: Text,
    pub dir: tempfile::TempDir,
    /// What is asked about letters before they are placed.
    pub scanners: Vec<std::sync::Arc<dyn pennypost_ports::Scanner>>,
}

pub(crate) async fn office() -> TestOffice {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let server = Office::open(&dir.path().join("data"), &Options::server()).expect("opens");
    let office = Office::open(&dir.path().join("data"), &Options::tool()).expect("opens");
    let tenant = office.directory.add_tenant("acme").await.expect("tenant");
    office.directory.add_domain(tenant.id, "acme.example").await.expect("domain");
    let account = office.directory.add_account("ann@acme.example", "correct horse", "", None).await;
    let account = account.expect("account");
    Mailroom::new(office.store.clone()).account(account.key).await.expect("journal");
    TestOffice { office, server, account, text: Text::new(Lang::En), dir, scanners: Vec::new() }
}

impl TestOffice {
    /// A second account of the tenant.
    pub(crate) async fn account(&self, address: &str) -> Account {
        let account = self.office.directory.add_account(address, "correct horse", "", None).await;
        let account = account.expect("account");
        Mailroom::new(self.office.store.clone()).account(account.key).await.expect("journal");
        account
    }

    pub(crate) async fn mailbox(&self, name: &str) -> MailboxId {
        let room = Mailroom::new(self.office.store.clone());
        let live = room.account(self.account.key).await.expect("account");
        let actor = Actor::Member(Protocol::Imap);
        let made = live.change(&actor, |draft| draft.create_mailbox(name, None)).await;
        made.expect("mailbox").1
    }

    pub(crate) async fn store(&self, mailbox: MailboxId, raw: &[u8], flags: &[&str]) -> Placed {
        let mut set = FlagSet::default();
        assert!(flags.iter().all(|flag| set.insert_named(flag)));
        let event = self.office.ids.event(self.office.clock.now());
        let incoming = Incoming::prepare(raw, event, set, TIME).expect("prepares");
        let (store, key) = (&self.office.store, self.account.key);
        let state = store.load(key, Consistency::Strong).await.expect("state");
        let actor = Actor::Member(Protocol::Import);
        store.store(key, state, &actor, mailbox, &[incoming], |_| Ok(())).await.expect("stores").value[0]
    }

    pub(crate) async fn delete(&self, mailbox: MailboxId, placed: Placed) {
        let room = Mailroom::new(self.office.store.clone());
        let live = room.account(self.account.key).await.expect("account");
        let uids: UidSet = [placed.uid].into_iter().collect();
        let reason = pennypost_model::journal::DeleteReason::Expunge;
        let actor = Actor::Member(Protocol::Imap);
        live.change(&actor, |draft| draft.delete_messages(mailbox, &uids, reason)).await.expect("deletes");
    }

    /// The event of a message for these accounts, accepted now.
    pub(crate) fn accepted(&self, raw: &[u8], to: &[&Account]) -> Accepted {
        let time = self.office.clock.now();
        let recipient = |account: &&Account| Recipient {
            account: account.key,
            address: account.address.to_string(),
            via: Via::Direct,
        };
        Accepted {
            id: self.office.ids.event(time),
            time,
            tenant: self.account.key.tenant,
            source: Source {
                kind: SourceKind::Smtp,
                ip: Some([192, 0, 2, 1].into()),
                helo: "mx.sender.example".to_owned(),
                tls: None,
            },
            auth: AuthResults { spf: Verdict::Pass, dmarc: Verdict::Fail, ..AuthResults::default() },
            reverse_path: "Bob@sender.example".to_owned(),
            recipients: to.iter().map(recipient).collect(),
            body: Body::Inline(compress(raw).expect("compresses")),
            receipt: "Received: from a test\r\n".to_owned(),
        }
    }

    /// Delivers as the server does, in one process.
    pub(crate) async fn deliver(&self, accepted: Accepted) -> EventId {
        let id = accepted.id;
        let results =
            self.pipeline().run(Stage::InboundParse, vec![Event::Accepted(Box::new(accepted))]).await;
        assert_eq!(results, [Ok(())]);
        id
    }

    pub(crate) fn pipeline(&self) -> pennypost_runtime::Pipeline {
        use std::sync::Arc;
        let office = &self.server;
        let (raw, bucket) = office.backend.raw_mail().expect("in a directory");
        let ports = pennypost_receive::Ports {
            raw,
            objects: office.objects(),
            queue: office.queue(),
            log: office.log(),
            directory: office.directory.clone(),
            clock: Arc::clone(&office.clock),
            ids: Arc::clone(&office.ids),
        };
        let settings = pennypost_receive::Settings { bucket, hostname: "mx.acme.example".to_owned() };
        let quarantine = pennypost_quarantine::Quarantine::new(office.control(), office.objects());
        let screen = pennypost_policy_filter::Screen::new(
            self.scanners.clone(),
            quarantine.clone(),
            office.objects(),
            office.log(),
            Arc::clone(&office.clock),
        );
        let handlers: [Arc<dyn pennypost_runtime::Handler>; 4] = [
            Arc::new(pennypost_receive::Receive::new(ports, settings)),
            Arc::new(pennypost_inbound_parse::InboundParse::new(office.objects(), office.log())),
            Arc::new(
                pennypost_policy_filter::PolicyFilter::new(Arc::new(office.directory.clone()))
                    .screening(screen),
            ),
            Arc::new(pennypost_deliver::Deliver::new(office.store.clone(), office.log()).keeping(quarantine)),
        ];
        pennypost_runtime::Pipeline::new(handlers, pennypost_runtime::Fusing::fused(), office.queue())
    }

    /// Works as the server on everything in the queue of a stage; how many events there were.
    pub(crate) async fn work(&self, stage: Stage) -> usize {
        let queue = self.server.queue();
        let (mut count, mut wait) = (0, Duration::from_secs(10));
        loop {
            let received = queue.receive(stage, 100, Duration::from_secs(60), wait).await.expect("queue");
            for message in &received {
                let event = Event::read(stage, &message.body).expect("event");
                assert_eq!(self.pipeline().run(stage, vec![event]).await, [Ok(())]);
                queue.ack(stage, std::slice::from_ref(&message.receipt)).await.expect("acknowledged");
            }
            count += received.len();
            wait = Duration::from_millis(300);
            if received.is_empty() {
                return count;
            }
        }
    }

    /// Sends an event and gives it up, as the driver does; the dead letter's message.
    pub(crate) async fn kill(&self, accepted: Accepted, cause: &str) -> EventId {
        let id = accepted.id;
        crate::replay::put(&self.office, Stage::InboundParse, &Event::Accepted(Box::new(accepted)))
            .await
            .expect("sent");
        let queue = self.server.queue();
        let minute = Duration::from_secs(60);
        let received = queue.receive(Stage::InboundParse, 1, minute, minute).await.expect("queue");
        queue.dead_letter(Stage::InboundParse, &received[0].receipt, cause).await.expect("dead");
        id
    }
}

/// What `act` prints: lines.
pub(crate) async fn printed(json: bool, act: impl AsyncFnOnce(&mut Output<'_>)) -> Vec<String> {
    let mut out = Vec::new();
    act(&mut Output::new(&mut out, json)).await;
    String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// The documents in lines of JSON.
pub(crate) fn documents(lines: &[String]) -> Vec<serde_json::Value> {
    lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
