//! HTTP: is the post office well, what is it doing, and what do mail programs need to set themselves up?
//!
//! Bounded: so many connections at a time, and so long each, requests and replies and all.

mod pages;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pennypost_api::Api;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

pub(crate) use pages::{Monitor, router};

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

/// Serves until `stop` says so, and then until the requests under way are answered.
pub(crate) async fn run(
    listener: TcpListener,
    monitor: Monitor,
    setup: Option<Api>,
    stop: watch::Receiver<bool>,
) {
    serve(listener, with(router(monitor), setup), LIMITS, stop).await;
}

/// The pages, and beside them what mail programs ask for.
fn with(pages: Router, setup: Option<Api>) -> Router {
    match setup {
        Some(api) => pages.merge(pennypost_api::routes(api)),
        None => pages,
    }
}

async fn serve(listener: TcpListener, pages: Router, limits: Limits, stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let stopping = stop.clone();
    let accept = async {
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (pages, stop) = (pages.clone(), stopping.clone());
                    tokio::spawn(async move {
                        let _permit = permit;
                        let _ =
                            tokio::time::timeout(limits.connection, talk(stream, pages, limits, stop)).await;
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

async fn talk(stream: TcpStream, pages: Router, limits: Limits, stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(pages);
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
        let task = tokio::spawn(serve(listener, pages, limits, stopped));
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
        let task = tokio::spawn(run(listener, monitor, Some(setup), stopped));
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
