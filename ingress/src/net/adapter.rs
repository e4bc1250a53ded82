//! What all sessions share.

use std::sync::{Arc, OnceLock};

use pennypost_directory::{Directory, DirectoryError, Resolved};
use pennypost_feedback::DmarcTally;
use pennypost_held::HeldLetters;
use pennypost_mailings::Mailings;
use pennypost_mailstore::Mailroom;
use pennypost_mailstore::fresh::Fresh;
use pennypost_ports::{Clock, Ids, Objects, Queue};
use prometheus::Registry;
use serde::{Deserialize, Serialize};

use super::accept::Door;
use super::client_account::Sights;
use super::{Limits, Memory, Metrics, Shutdown, Tls, occupancy};
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
    /// Who gets mail to `<postmaster>` without a domain, where neither `hostname` nor a domain above it is one of
    /// ours.
    pub postmaster: Option<String>,
    /// Every bound.
    pub limits: Limits,
    /// Where SPF, DKIM and DMARC ask.
    pub dns: Dns,
    /// Members may write to other servers: somebody sends there. Not for a configuration to say, but for whoever sends.
    #[serde(skip)]
    pub is_sending: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            hostname: "localhost".to_owned(),
            postmaster: None,
            limits: Limits::default(),
            dns: Dns::default(),
            is_sending: false,
        }
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
    /// Messages of members that go later.
    pub held: HeldLetters,
    /// Messages of members that go to each of their recipients alone.
    pub mailings: Mailings,
    /// What was accepted a moment ago, for whoever parses it in this process.
    pub fresh: Fresh,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// Every bound.
    pub limits: Limits,
    /// The name in greetings, Received and Authentication-Results fields.
    pub hostname: String,
    /// Who gets mail to `<postmaster>` where the name tells nobody.
    postmaster: Option<String>,
    /// Certificate and key.
    pub tls: Tls,
    /// Counters.
    pub metrics: Metrics,
    /// Members may write to other servers.
    pub is_sending: bool,
    /// What counts for reports of DMARC, if there are any.
    pub dmarc: OnceLock<Arc<DmarcTally>>,
    /// Ends all sessions.
    pub shutdown: Shutdown,
    pub(super) door: Door,
    pub(crate) sights: Sights,
    pub(crate) memory: Memory,
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
        tls: Tls,
        registry: &Registry,
    ) -> Result<Arc<Adapter>, AdapterError> {
        let Ports { directory, mailroom, queue, objects, clock, ids } = ports;
        let Settings { hostname, postmaster, limits, dns, is_sending } = settings;
        let is_host = !hostname.is_empty() && hostname.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_host {
            return Err(AdapterError::Setting(format!("{hostname:?} is no host name")));
        }
        let metrics = Metrics::new(registry)?;
        occupancy::register(&mailroom, registry)?;
        let largest = limits.smtp.message_size.max(limits.imap.message_size);
        let memory = Memory::new(limits.bytes_in_flight, largest, metrics.bytes_in_flight.clone());
        let smtp = smtp::Shared::new(&limits, &dns).map_err(AdapterError::Setting)?;
        Ok(Arc::new(Adapter {
            held: HeldLetters::new(directory.control()),
            mailings: Mailings::new(directory.control(), Arc::clone(&objects)),
            directory,
            mailroom,
            queue,
            objects,
            fresh: Fresh::default(),
            clock,
            ids,
            limits,
            hostname,
            postmaster,
            tls,
            metrics,
            is_sending,
            dmarc: OnceLock::new(),
            shutdown: Shutdown::default(),
            door: Door::default(),
            sights: Sights::default(),
            memory,
            smtp,
        }))
    }

    /// Whom `<postmaster>` without a domain leads to (RFC 5321 section 4.5.1): the postmaster of the host's name,
    /// or of the nearest domain above it that is ours; else whom the settings name.
    pub(crate) async fn postmaster(&self) -> Result<Resolved, DirectoryError> {
        let mut domain = &*self.hostname;
        loop {
            match self.directory.resolve(&format!("postmaster@{domain}")).await? {
                Resolved::UnknownDomain => {}
                resolved => return Ok(resolved),
            }
            match domain.split_once('.') {
                Some((_, above)) if !above.is_empty() => domain = above,
                _ => break,
            }
        }
        match &self.postmaster {
            Some(address) => self.directory.resolve(address).await,
            None => Ok(Resolved::UnknownDomain),
        }
    }
}
