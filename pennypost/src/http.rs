//! HTTP: is the post office well, what is it doing, what do mail programs need to set themselves up; and the admin API.
//!
//! Bounded: so many connections at a time, and so long each, requests and replies and all.

mod pages;
mod proxies;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pennypost_api::{Api, Client, Rest};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

pub(crate) use pages::{Monitor, router};
pub use proxies::Proxies;

/// How much one may ask of this port.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Connections at a time; further ones wait in the backlog of the listener.
    connections: usize,
    /// Wait for the head of a request.
    head: Duration,
    /// A connection with all its requests at most. Whoever reads slowly or says nothing loses it.
    connection: Duration,
}

const LIMITS: Limits =
    Limits { connections: 64, head: Duration::from_secs(10), connection: Duration::from_secs(60) };
/// After an error of accepting: there may be no free file for the moment.
const PAUSE: Duration = Duration::from_millis(100);

/// What is asked over HTTP beside the monitor.
pub(crate) struct Pages {
    /// What mail programs ask for.
    pub(crate) setup: Option<Api>,
    /// The admin API.
    pub(crate) rest: Rest,
    /// Who is believed from where requests come.
    pub(crate) proxies: Proxies,
}

/// Serves until `stop` says so, and then until the requests under way are answered.
pub(crate) async fn run(listener: TcpListener, monitor: Monitor, pages: Pages, stop: watch::Receiver<bool>) {
    let Pages { setup, rest, proxies } = pages;
    let mut router = router(monitor).merge(pennypost_api::admin_routes(rest));
    if let Some(setup) = setup {
        router = router.merge(pennypost_api::routes(setup));
    }
    serve(listener, router, proxies, LIMITS, stop).await;
}

async fn serve(
    listener: TcpListener,
    pages: Router,
    proxies: Proxies,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    let proxies = Arc::new(proxies);
    let permits = Arc::new(Semaphore::new(limits.connections));
    let stopping = stop.clone();
    let accept = async {
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (pages, stop) = (pages.clone(), stopping.clone());
                    let caller = Caller { peer: peer.ip(), proxies: Arc::clone(&proxies) };
                    tokio::spawn(async move {
                        let _permit = permit;
                        let _ = tokio::time::timeout(
                            limits.connection,
                            talk(stream, caller, pages, limits, stop),
                        )
                        .await;
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "no connection accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = stopped(stop) => {}
    }
    drop(listener);
    // Whoever has a permit is still being answered.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let _ = permits.acquire_many(all).await;
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// From where the requests of a connection come.
#[derive(Clone)]
struct Caller {
    peer: IpAddr,
    proxies: Arc<Proxies>,
}

async fn talk(stream: TcpStream, caller: Caller, pages: Router, limits: Limits, stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(pages.map_request(move |mut request: Request<Incoming>| {
        let client = caller.proxies.client(caller.peer, request.headers());
        request.extensions_mut().insert(Client(client));
        request
    }));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A peer that goes away is no event.
        _ = connection.as_mut() => {}
        () = stopped(stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::future::pending;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const REQUEST: &[u8] = b"GET /fast HTTP/1.1\r\nHost: x\r\n\r\n";

    struct Running {
        address: std::net::SocketAddr,
        stop: watch::Sender<bool>,
        task: tokio::task::JoinHandle<()>,
    }

    async fn start(limits: Limits) -> Running {
        let pages = Router::new()
            .route("/fast", get(async || "fast"))
            .route("/never", get(async || pending::<&'static str>().await));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, pages, Proxies::default(), limits, stopped));
        Running { address, stop, task }
    }

    async fn send(address: std::net::SocketAddr, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(bytes).await.expect("sent");
        stream
    }

    /// What comes until the server hangs up.
    async fn all(mut stream: TcpStream) -> String {
        let mut reply = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut reply)).await;
        let _ = read.expect("the server hangs up");
        String::from_utf8_lossy(&reply).into_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn mail_programs_are_answered_beside_the_monitor() {
        let it = crate::test_office::office().await;
        let told = pennypost_api::Settings::new("mx.acme.example", Some(993), None, None).expect("settings");
        let monitor =
            |registry| Monitor::new(it.dir.path(), it.office.queue(), it.office.control(), registry);
        let monitor = monitor(prometheus::Registry::new()).expect("monitor");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let (stop, stopped) = watch::channel(false);
        let setup = Api::new(it.office.directory.clone(), told);
        let pages = Pages { setup: Some(setup), rest: it.office.rest(), proxies: Proxies::default() };
        let task = tokio::spawn(run(listener, monitor, pages, stopped));
        let ask = async |path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            all(send(address, request.as_bytes()).await).await
        };
        let answer = ask("/mail/config-v1.1.xml?emailaddress=nobody@acme.example").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("mx.acme.example"), "{answer}");
        let stranger = ask("/mail/config-v1.1.xml?emailaddress=nobody@elsewhere.example").await;
        assert!(stranger.starts_with("HTTP/1.1 404") && stranger.contains("unknown-domain"), "{stranger}");
        for path in ["/healthz", "/metrics", "/health"] {
            assert!(ask(path).await.starts_with("HTTP/1.1 200"), "{path}");
        }
        let nobody = ask("/api/v1/me").await;
        assert!(nobody.starts_with("HTTP/1.1 401") && nobody.contains("urn:pennypost:problem"), "{nobody}");
        let key = pennypost_admin::NewKey {
            name: "ops".to_owned(),
            holder: pennypost_admin::Holder::Program,
            permissions: pennypost_admin::Permissions::all(),
            expires: None,
        };
        let operator = pennypost_admin::Call::of_operator();
        let (_, key) = it.office.administration().add_key(&operator, None, key).await.expect("a key");
        let with_key = async |method: &str, path: &str, body: &str| {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            all(send(address, request.as_bytes()).await).await
        };
        let made = with_key("POST", "/api/v1/tenants", r#"{"name":"beta"}"#).await;
        assert!(made.starts_with("HTTP/1.1 201") && made.contains("location: /api/v1/tenants/"), "{made}");
        let log = with_key("GET", "/api/v1/operations", "").await;
        assert!(log.contains(r#""origin":"127.0.0.1""#) && log.contains("tenant.add"), "{log}");
        stop.send(true).expect("running");
        task.await.expect("ends");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn silent_and_slow_peers_are_cut_off() {
        let short = Duration::from_millis(200);
        let limits = Limits { connections: 8, head: short, connection: Duration::from_secs(1) };
        let Running { address, stop, task } = start(limits).await;
        assert!(all(send(address, REQUEST).await).await.ends_with("fast"));
        for request in [&b""[..], b"GET /fast HT", b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n"] {
            assert!(!all(send(address, request).await).await.contains("200"));
        }
        stop.send(true).expect("running");
        task.await.expect("ends");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn beyond_the_limit_connections_wait() {
        let minute = Duration::from_secs(60);
        let limits = Limits { connections: 2, head: minute, connection: Duration::from_millis(700) };
        let Running { address, stop, task } = start(limits).await;
        let held = [send(address, b"").await, send(address, b"").await];
        let mut waiting = send(address, REQUEST).await;
        let mut byte = [0];
        let early = tokio::time::timeout(Duration::from_millis(200), waiting.read(&mut byte)).await;
        assert!(early.is_err(), "answered beyond the limit");
        assert!(all(waiting).await.starts_with("HTTP/1.1 200"));
        drop(held);
        stop.send(true).expect("running");
        task.await.expect("ends");
    }
}
