//! Counters of the adapter, in the registry that `/metrics` prints.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Cheap to clone: all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// The registry that all of these are in.
    pub registry: Registry,
    /// Open connections, by protocol.
    pub connections: IntGaugeVec,
    /// Connections taken, by protocol.
    pub connections_total: IntCounterVec,
    /// Connections refused at the door, by protocol and reason.
    pub connections_refused: IntCounterVec,
    /// Commands, by protocol and verb (a verb that is not ours is `other`).
    pub commands: IntCounterVec,
    /// Messages accepted by SMTP.
    pub accepted: IntCounter,
    /// Bytes of them.
    pub accepted_bytes: IntCounter,
    /// Recipients and messages refused by SMTP, by reason.
    pub refused: IntCounterVec,
    /// Memory taken by messages on their way in or out, over all protocols.
    pub bytes_in_flight: IntGauge,
    /// Seconds from the end of a message to its reply.
    pub accept_seconds: Histogram,
    /// Sign-ins, by protocol, mechanism and result.
    pub sign_ins: IntCounterVec,
    /// Bytes from peers, by protocol.
    pub bytes_in: IntCounterVec,
    /// Bytes to peers, by protocol.
    pub bytes_out: IntCounterVec,
    /// Sessions that ended in a panic: each is a defect.
    pub panics: IntCounter,
}

impl Metrics {
    /// Makes all metrics in the registry.
    ///
    /// # Errors
    /// If the registry has metrics of these names already.
    pub fn new(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let connections =
            IntGaugeVec::new(Opts::new("pennypost_connections", "open connections"), &["protocol"])?;
        registry.register(Box::new(connections.clone()))?;
        let bytes_in_flight =
            IntGauge::new("pennypost_bytes_in_flight", "memory taken by messages on their way")?;
        registry.register(Box::new(bytes_in_flight.clone()))?;
        let accept_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "pennypost_smtp_accept_seconds",
                "seconds from the end of a message to its reply",
            )
            .buckets(prometheus::exponential_buckets(0.0005, 2.0, 16)?),
        )?;
        registry.register(Box::new(accept_seconds.clone()))?;
        Ok(Metrics {
            connections,
            connections_total: counters("pennypost_connections_total", "connections taken", &["protocol"])?,
            connections_refused: counters(
                "pennypost_connections_refused_total",
                "connections refused at the door",
                &["protocol", "reason"],
            )?,
            commands: counters("pennypost_commands_total", "commands", &["protocol", "command"])?,
            accepted: counter("pennypost_smtp_accepted_total", "messages accepted")?,
            accepted_bytes: counter("pennypost_smtp_accepted_bytes_total", "bytes of accepted messages")?,
            refused: counters(
                "pennypost_smtp_refused_total",
                "recipients and messages refused",
                &["reason"],
            )?,
            bytes_in_flight,
            accept_seconds,
            sign_ins: counters("pennypost_sign_ins_total", "sign-ins", &["protocol", "mechanism", "result"])?,
            bytes_in: counters("pennypost_received_bytes_total", "bytes from peers", &["protocol"])?,
            bytes_out: counters("pennypost_sent_bytes_total", "bytes to peers", &["protocol"])?,
            panics: counter("pennypost_session_panics_total", "sessions that ended in a panic")?,
            registry: registry.clone(),
        })
    }
}
