//! HTTP: is the post office well, and what is it doing?

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pennypost_model::event::Stage;
use pennypost_ports::{Consistency, Control, ControlKey, Queue};
use prometheus::{Encoder, IntGaugeVec, Opts, Registry, TextEncoder};
use tokio::net::TcpListener;

/// What the pages look at.
#[derive(Clone)]
pub struct Monitor {
    queue: Arc<dyn Queue>,
    control: Arc<dyn Control>,
    registry: Registry,
    depth: IntGaugeVec,
}

impl Monitor {
    /// A monitor whose gauges go into `registry`.
    pub fn new(
        queue: Arc<dyn Queue>,
        control: Arc<dyn Control>,
        registry: Registry,
    ) -> Result<Monitor, prometheus::Error> {
        let options = Opts::new("pennypost_queue_depth", "Events in each queue, waiting or in flight.");
        let depth = IntGaugeVec::new(options, &["queue", "state"])?;
        registry.register(Box::new(depth.clone()))?;
        Ok(Monitor { queue, control, registry, depth })
    }
}

/// Serves until `stop` is ready.
pub async fn run(
    listener: TcpListener,
    monitor: Monitor,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let pages = Router::new().route("/healthz", get(health)).route("/metrics", get(metrics));
    axum::serve(listener, pages.with_state(monitor)).with_graceful_shutdown(stop).await
}

/// 200 when the store and the queue answer, 503 otherwise.
async fn health(State(monitor): State<Monitor>) -> Response {
    let key = ControlKey::new("health", "probe");
    let store = monitor.control.get(&key, Consistency::Eventual).await.map(drop);
    let queue = monitor.queue.depth(Stage::InboundParse).await.map(drop);
    match store.and(queue) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#)
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "not well");
            (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"unavailable"}"#).into_response()
        }
    }
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
