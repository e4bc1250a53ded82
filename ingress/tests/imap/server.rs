//! An IMAP server on the embedded backend, with two accounts in it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::Directory;
use pennypost_ingress::imap;
use pennypost_ingress::net::{Adapter, Limits, Ports, Settings, TlsMode, load_or_create_tls};
use pennypost_mailstore::{Mailroom, Mailstore};
use pennypost_ports::{RandomIds, SystemClock};
use tokio::net::TcpListener;

/// The accounts' password.
pub const PASSWORD: &str = "correct horse battery";
/// The account that most tests use.
pub const ALICE: &str = "alice@example.test";
/// Another one, with room for 2,000 bytes only.
pub const BOB: &str = "bob@example.test";

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub tls_address: SocketAddr,
    pub adapter: Arc<Adapter>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    dir: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Server {
        Server::with_limits(Limits::default()).await
    }

    pub async fn with_limits(limits: Limits) -> Server {
        let dir = tempfile::tempdir().expect("directory");
        let adapter = open(dir.path(), limits).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
        let tls_listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
        let (address, tls_address) =
            (listener.local_addr().expect("address"), tls_listener.local_addr().expect("address"));
        let tasks = vec![
            tokio::spawn(imap::run(Arc::clone(&adapter), listener, TlsMode::StartTls)),
            tokio::spawn(imap::run(Arc::clone(&adapter), tls_listener, TlsMode::Implicit)),
        ];
        Server { address, tls_address, adapter, tasks, dir }
    }

    /// The server's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("tls/cert.pem")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The files of all packs.
    pub fn packs(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.dir.path().join("data/objects")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("folder") {
                let path = entry.expect("entry").path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.retain(|path| path.to_string_lossy().contains("/pk/"));
        files
    }

    /// Stops it; every session has ended when this returns.
    pub async fn stop(self) {
        self.adapter.shutdown.begin();
        for task in self.tasks {
            task.await.expect("listener");
        }
        assert_eq!(self.adapter.metrics.panics.get(), 0, "a session panicked");
    }
}

async fn open(dir: &Path, limits: Limits) -> Arc<Adapter> {
    let backend = Embedded::open(&dir.join("data"), &Options::server()).expect("backend");
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
    let directory = Directory::new(backend.control(), Arc::clone(&clock) as _, Arc::clone(&ids) as _);
    let tenant = directory.add_tenant("test").await.expect("tenant");
    directory.add_domain(tenant.id, "example.test").await.expect("domain");
    directory.add_account(ALICE, PASSWORD, "Alice", None).await.expect("account");
    directory.add_account(BOB, PASSWORD, "Bob", Some(2_000)).await.expect("account");
    let store =
        Mailstore::new(backend.journal(), backend.objects(), Arc::clone(&clock) as _, Arc::clone(&ids) as _);
    let ports = Ports {
        directory,
        mailroom: Mailroom::with_room(store, limits.live_bytes),
        queue: backend.queue(),
        objects: backend.objects(),
        clock,
        ids,
    };
    let tls = load_or_create_tls(&dir.join("tls"), "localhost").expect("certificate");
    let settings = Settings { limits, ..Settings::default() };
    Adapter::new(ports, settings, tls, &prometheus::Registry::new()).expect("adapter")
}
