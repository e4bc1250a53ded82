//! What all sessions share.

use std::net::IpAddr;
use std::sync::Arc;

use pennypost_directory::{Account, Directory, SignInError};
use pennypost_mailstore::Mailroom;
use pennypost_ports::{Clock, Ids, Objects, Queue};
use prometheus::Registry;
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::accept::Door;
use super::{Limits, Metrics, Shutdown};
use crate::smtp::{self, Dns};

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

/// How the adapter is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The name in greetings, Received and Authentication-Results fields, and of `postmaster`.
    pub hostname: String,
    /// Every bound.
    pub limits: Limits,
    /// Where SPF, DKIM and DMARC ask.
    pub dns: Dns,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { hostname: "localhost".to_owned(), limits: Limits::default(), dns: Dns::default() }
    }
}

/// Why there is no adapter.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// The registry has an adapter's metrics already.
    #[error("metrics can't be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A setting can't be used.
    #[error("{0}")]
    Setting(String),
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
    pub(crate) smtp: smtp::Shared,
}

impl Adapter {
    /// A context over these ports; its metrics are made in `registry`.
    ///
    /// # Errors
    /// [`AdapterError`].
    pub fn new(
        ports: Ports,
        settings: Settings,
        tls: Arc<ServerConfig>,
        registry: &Registry,
    ) -> Result<Arc<Adapter>, AdapterError> {
        let Ports { directory, mailroom, queue, objects, clock, ids } = ports;
        let Settings { hostname, limits, dns } = settings;
        let is_host = !hostname.is_empty() && hostname.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_host {
            return Err(AdapterError::Setting(format!("{hostname:?} is no host name")));
        }
        let metrics = Metrics::new(registry)?;
        let smtp = smtp::Shared::new(&limits, &dns, &metrics).map_err(AdapterError::Setting)?;
        Ok(Arc::new(Adapter {
            directory,
            mailroom,
            queue,
            objects,
            clock,
            ids,
            limits,
            hostname,
            tls,
            metrics,
            shutdown: Shutdown::default(),
            door: Door::default(),
            smtp,
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
