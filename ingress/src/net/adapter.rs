//! What all sessions share.

use std::net::IpAddr;
use std::sync::Arc;

use pennypost_directory::{Account, Directory, SignInError};
use pennypost_mailstore::Mailroom;
use pennypost_ports::{Clock, Ids, Objects, Queue};
use prometheus::Registry;
use rustls::ServerConfig;
use tracing::info;

use super::accept::Door;
use super::{Limits, Metrics, Shutdown};

/// What the adapter works on: the ports, and what stands on them.
#[derive(Clone)]
pub struct Ports {
    /// Who is here.
    pub directory: Directory,
    /// The live accounts.
    pub mailroom: Mailroom,
    /// Where accepted messages go.
    pub queue: Arc<dyn Queue>,
    /// Where large messages are spooled.
    pub objects: Arc<dyn Objects>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
}

/// The shared context of all sessions of all protocols. Always in an `Arc`.
pub struct Adapter {
    /// Who is here.
    pub directory: Directory,
    /// The live accounts.
    pub mailroom: Mailroom,
    /// Where accepted messages go.
    pub queue: Arc<dyn Queue>,
    /// Where large messages are spooled.
    pub objects: Arc<dyn Objects>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// Every bound.
    pub limits: Limits,
    /// The name in greetings, Received and Authentication-Results fields.
    pub hostname: String,
    /// Certificate and key.
    pub tls: Arc<ServerConfig>,
    /// Counters.
    pub metrics: Metrics,
    /// Ends all sessions.
    pub shutdown: Shutdown,
    pub(super) door: Door,
}

impl Adapter {
    /// A context over these ports; its metrics are made in `registry`.
    ///
    /// # Errors
    /// If `registry` has an adapter's metrics already.
    pub fn new(
        ports: Ports,
        limits: Limits,
        hostname: &str,
        tls: Arc<ServerConfig>,
        registry: &Registry,
    ) -> Result<Arc<Adapter>, prometheus::Error> {
        let Ports { directory, mailroom, queue, objects, clock, ids } = ports;
        Ok(Arc::new(Adapter {
            directory,
            mailroom,
            queue,
            objects,
            clock,
            ids,
            limits,
            hostname: hostname.to_owned(),
            tls,
            metrics: Metrics::new(registry)?,
            shutdown: Shutdown::default(),
            door: Door::default(),
        }))
    }

    /// Asks the directory who this is, and counts and logs the answer. The directory counts and slows failures.
    /// The caller has made sure that the connection is private ([`super::Stream::is_private`]).
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        protocol: &'static str,
        login: &str,
        password: &str,
        ip: IpAddr,
    ) -> Result<Account, SignInError> {
        let answer = self.directory.authenticate(login, password, ip).await;
        let result = match &answer {
            Ok(_) => "ok",
            Err(SignInError::Denied) => "denied",
            Err(SignInError::TooManyFailures { .. }) => "slowed",
            Err(_) => "unavailable",
        };
        self.metrics.sign_ins.with_label_values(&[protocol, result]).inc();
        match &answer {
            Ok(account) => {
                info!(protocol, tenant = %account.key.tenant, account = %account.key.account, %ip, "signed in");
            }
            // The login may be a password typed into the wrong field: it is not logged.
            Err(error) => info!(protocol, %ip, result, %error, "sign-in failed"),
        }
        answer
    }
}
