//! A post office in a directory that goes away: two tenants, a few accounts, SMTP, submission and POP3 on free ports.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{Directory, SignInLog};
use pennypost_ingress::net::{Adapter, Ports, Settings, TlsMode, load_or_create_tls};
use pennypost_ingress::smtp::DnsServers;
use pennypost_ingress::{pop3, smtp};
use pennypost_mailstore::{Mailroom, Mailstore, compress::decompress};
use pennypost_model::event::{Accepted, Body, Event, Stage};
use pennypost_model::message::StoredMessage;
use pennypost_model::{TenantId, codec};
use pennypost_ports::{Clock, Ids, RandomIds, SystemClock};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const PASSWORD: &str = "correct horse battery";

pub struct Office {
    pub dir: tempfile::TempDir,
    pub adapter: Arc<Adapter>,
    pub store: Embedded,
    pub tenant: TenantId,
    pub smtp: SocketAddr,
    pub submission: SocketAddr,
    pub submissions: SocketAddr,
    pub pop3: SocketAddr,
    pub pop3s: SocketAddr,
    pub servers: Vec<JoinHandle<()>>,
}

/// Settings for tests: no DNS, no waiting.
pub fn settings() -> Settings {
    let mut settings = Settings { hostname: "post.example".to_owned(), ..Settings::default() };
    settings.dns.servers = DnsServers::Off;
    settings.limits.smtp.tar_pit = Duration::ZERO;
    settings.limits.drain = Duration::from_secs(2);
    settings
}

/// The same, for a peer that nobody trusts.
pub fn untrusting() -> Settings {
    let mut settings = settings();
    settings.limits.trusted_networks.clear();
    settings
}

impl Office {
    pub async fn open(settings: Settings) -> Office {
        let dir = tempfile::tempdir().expect("directory");
        let store = Embedded::open(&dir.path().join("data"), &Options::server()).expect("opens");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn Ids> = Arc::new(RandomIds);
        let log = SignInLog::new(store.log(), Arc::clone(&clock), Arc::clone(&ids));
        let directory = Directory::new(store.control(), Arc::clone(&clock), Arc::clone(&ids)).recording(log);
        let mailstore =
            Mailstore::new(store.journal(), store.objects(), Arc::clone(&clock), Arc::clone(&ids));
        let tls = load_or_create_tls(&dir.path().join("tls"), &settings.hostname).expect("certificate");
        let ports = Ports {
            directory: directory.clone(),
            mailroom: Mailroom::new(mailstore),
            queue: store.queue(),
            objects: store.objects(),
            clock,
            ids,
        };
        let adapter = Adapter::new(ports, settings, tls, &prometheus::Registry::new()).expect("adapter");
        let tenant = people(&directory).await;
        let mut office = Office {
            dir,
            adapter: Arc::clone(&adapter),
            store,
            tenant,
            smtp: SocketAddr::from(([0, 0, 0, 0], 0)),
            submission: SocketAddr::from(([0, 0, 0, 0], 0)),
            submissions: SocketAddr::from(([0, 0, 0, 0], 0)),
            pop3: SocketAddr::from(([0, 0, 0, 0], 0)),
            pop3s: SocketAddr::from(([0, 0, 0, 0], 0)),
            servers: Vec::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        office.smtp = listener.local_addr().expect("address");
        office.servers.push(tokio::spawn(smtp::run(Arc::clone(&adapter), listener)));
        for mode in [TlsMode::StartTls, TlsMode::Implicit] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
            let address = listener.local_addr().expect("address");
            match mode {
                TlsMode::StartTls => office.pop3 = address,
                TlsMode::Implicit => office.pop3s = address,
            }
            office.servers.push(tokio::spawn(pop3::run(Arc::clone(&adapter), listener, mode)));
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
            let address = listener.local_addr().expect("address");
            match mode {
                TlsMode::StartTls => office.submission = address,
                TlsMode::Implicit => office.submissions = address,
            }
            office.servers.push(tokio::spawn(smtp::run_submission(Arc::clone(&adapter), listener, mode)));
        }
        office
    }

    pub fn certificate(&self) -> std::path::PathBuf {
        self.dir.path().join("tls/cert.pem")
    }

    pub fn now(&self) -> pennypost_model::Timestamp {
        self.adapter.clock.now()
    }

    /// Takes what was accepted since the last time out of the queue, with its bytes.
    pub async fn accepted(&self) -> Vec<(Accepted, Vec<u8>)> {
        let queue = self.store.queue();
        let mut all = Vec::new();
        loop {
            let wait = Duration::from_millis(1);
            let received = queue.receive(Stage::InboundParse, 100, Duration::from_secs(60), wait).await;
            let received = received.expect("queue");
            if received.is_empty() {
                return all;
            }
            for message in received {
                queue.ack(Stage::InboundParse, &[message.receipt]).await.expect("acknowledged");
                let Event::Accepted(accepted) = codec::decode(&message.body).expect("event") else {
                    panic!("not an accepted message");
                };
                let stored = match &accepted.body {
                    Body::Inline(stored) => stored.clone(),
                    Body::Spooled { object, size } => {
                        let (bytes, _) = self.store.objects().get(object).await.expect("object");
                        let stored: StoredMessage = codec::decode(&bytes).expect("message");
                        assert_eq!(stored.size, *size);
                        stored
                    }
                };
                all.push((*accepted, decompress(&stored).expect("bytes")));
            }
        }
    }
}

async fn people(directory: &Directory) -> TenantId {
    let tenant = directory.add_tenant("Acme").await.expect("tenant").id;
    directory.add_domain(tenant, "acme.example").await.expect("domain");
    for name in ["ada", "bob", "full"] {
        let quota = (name == "full").then_some(0);
        let address = format!("{name}@acme.example");
        directory.add_account(&address, PASSWORD, "", quota).await.expect("account");
    }
    directory.add_alias("info@acme.example", &["ada@acme.example"]).await.expect("alias");
    directory
        .add_group("all@acme.example", "All", &["ada@acme.example", "bob@acme.example"])
        .await
        .expect("group");
    let change = |policy: &mut pennypost_directory::TenantPolicy| policy.add_to_blacklist("spam.example");
    directory.update_policy(tenant, change).await.expect("policy");
    let filter = |policy: &mut pennypost_directory::TenantPolicy| policy.add_to_subject_filter("lottery");
    directory.update_policy(tenant, filter).await.expect("policy");

    let other = directory.add_tenant("Other").await.expect("tenant").id;
    directory.add_domain(other, "other.example").await.expect("domain");
    directory.add_account("olga@other.example", PASSWORD, "", None).await.expect("account");
    let asleep = directory.add_tenant("Asleep").await.expect("tenant").id;
    directory.add_domain(asleep, "asleep.example").await.expect("domain");
    directory.add_account("zoe@asleep.example", PASSWORD, "", None).await.expect("account");
    let suspended = pennypost_directory::TenantState::Suspended;
    directory.set_tenant_state(asleep, suspended).await.expect("suspended");
    tenant
}

pub fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samplemail/mails").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
