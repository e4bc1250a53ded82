//! The pages: `/healthz` and `/metrics`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pennypost_model::event::Stage;
use pennypost_ports::{Control, ControlKey, Expected, Queue};
use prometheus::{Encoder, IntGaugeVec, Opts, Registry, TextEncoder};
use tokio::sync::Mutex;

/// How long the result of a look at the store is good for: looking costs an fsync.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// Free bytes below which the disk counts as full. A small write may still find room in a file that is there
/// already when no message does.
const LEAST_FREE: u64 = 16 << 20;

/// What the pages look at.
#[derive(Clone)]
pub(crate) struct Monitor {
    data: PathBuf,
    queue: Arc<dyn Queue>,
    control: Arc<dyn Control>,
    registry: Registry,
    depth: IntGaugeVec,
    /// When the store was last looked at, and whether it was well. Locked while somebody looks.
    last: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Monitor {
    /// A monitor of a data directory, whose gauges go into `registry`.
    pub(crate) fn new(
        data: &Path,
        queue: Arc<dyn Queue>,
        control: Arc<dyn Control>,
        registry: Registry,
    ) -> Result<Monitor, prometheus::Error> {
        let options = Opts::new("pennypost_queue_depth", "Events in each queue, waiting or in flight.");
        let depth = IntGaugeVec::new(options, &["queue", "state"])?;
        registry.register(Box::new(depth.clone()))?;
        let data = data.to_owned();
        Ok(Monitor { data, queue, control, registry, depth, last: Arc::default() })
    }

    /// Can mail be accepted and stored? Looks at most every [`GOOD_FOR`], however often it is asked.
    async fn is_well(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, well)) = *last
            && at.elapsed() < GOOD_FOR
        {
            return well;
        }
        let found = self.look().await;
        if let Err(cause) = &found {
            tracing::error!(%cause, "not well");
        }
        *last = Some((Instant::now(), found.is_ok()));
        found.is_ok()
    }

    async fn look(&self) -> Result<(), String> {
        // Only a write shows that the disk takes one.
        let key = ControlKey::new("health", "probe");
        self.control.put_if(&key, b"well", Expected::Any).await.map_err(|error| error.to_string())?;
        self.queue.depth(Stage::InboundParse).await.map_err(|error| error.to_string())?;
        let disk = rustix::fs::statvfs(&self.data).map_err(|error| error.to_string())?;
        match disk.f_bavail.saturating_mul(disk.f_frsize) {
            free if free < LEAST_FREE => Err(format!("the disk is full: {free} bytes are free")),
            _ => Ok(()),
        }
    }
}

/// The pages by their paths.
pub(crate) fn router(monitor: Monitor) -> Router {
    Router::new().route("/healthz", get(health)).route("/metrics", get(metrics)).with_state(monitor)
}

/// 200 when the store takes a write, the queue answers and the disk has room, 503 otherwise.
async fn health(State(monitor): State<Monitor>) -> Response {
    let (status, page) = if monitor.is_well().await {
        (StatusCode::OK, r#"{"status":"ok"}"#)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"unavailable"}"#)
    };
    (status, [(header::CONTENT_TYPE, "application/json")], page).into_response()
}

/// The Prometheus text format, version 0.0.4.
async fn metrics(State(monitor): State<Monitor>) -> Response {
    for stage in Stage::ALL {
        if let Ok(depth) = monitor.queue.depth(stage).await {
            let gauge = |state| monitor.depth.with_label_values(&[stage.queue(), state]);
            gauge("waiting").set(i64::try_from(depth.waiting).unwrap_or(i64::MAX));
            gauge("in_flight").set(i64::try_from(depth.in_flight).unwrap_or(i64::MAX));
        }
    }
    let encoder = TextEncoder::new();
    let mut page = Vec::new();
    match encoder.encode(&monitor.registry.gather(), &mut page) {
        Ok(()) => ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_backend_embedded::{Embedded, Options};
    use pennypost_ports::Consistency;

    async fn probes(control: &Arc<dyn Control>) -> u64 {
        let probe = control.get(&ControlKey::new("health", "probe"), Consistency::Strong).await;
        probe.expect("read").map_or(0, |item| item.version)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_that_takes_no_write_is_not_well() {
        let dir = tempfile::tempdir().expect("folder");
        let store = Embedded::open(dir.path(), &Options::server()).expect("opens");
        let control = store.control();
        let monitor = |registry| Monitor::new(dir.path(), store.queue(), store.control(), registry);
        let first = monitor(Registry::new()).expect("monitor");
        assert!(first.is_well().await && first.is_well().await);
        assert_eq!(probes(&control).await, 1, "one write for many questions");
        assert_eq!(health(State(first.clone())).await.status(), StatusCode::OK);
        let later = monitor(Registry::new()).expect("monitor");
        // Reading goes on, writing does not: as on a full disk.
        store.shutdown().await;
        assert_eq!(probes(&control).await, 1);
        assert_eq!(health(State(later)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
