//! The backends under test, as a run opens them.

use std::sync::Arc;

use pennypost_backend_aws::Aws;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_ports::{Control, Journal, Log, Objects, Queue};
use pennypost_runtime_lambda::Takeover;
use tempfile::TempDir;

use crate::hours::{Hours, Pace};
use crate::services::{self, Services};
use crate::source::Source;

/// Which backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// SQLite and files, in a directory in memory where there is one.
    Embedded,
    /// The backend for AWS over a stand-in for its services.
    Aws,
}

/// The ports of a backend.
pub struct Ports {
    /// The journal port.
    pub journal: Arc<dyn Journal>,
    /// The object port.
    pub objects: Arc<dyn Objects>,
    /// The control port.
    pub control: Arc<dyn Control>,
    /// The log port.
    pub log: Arc<dyn Log>,
    /// The queue port.
    pub queue: Arc<dyn Queue>,
    /// The same queue, for what a service hands to functions.
    pub takeover: Option<Arc<dyn Takeover>>,
}

/// A backend that is open for a run.
pub enum Open {
    /// The embedded one, with its directory.
    Embedded {
        /// The backend.
        store: Box<Embedded>,
        /// Goes away with it.
        _directory: TempDir,
    },
    /// The services of the other one.
    Aws(Arc<Services>),
}

impl Open {
    /// Opens an empty one.
    ///
    /// # Errors
    /// Why it can't be opened.
    pub fn new(backend: Backend, source: &Arc<Source>, hours: &Hours) -> Result<Open, String> {
        match backend {
            Backend::Embedded => {
                let memory = std::path::Path::new("/dev/shm");
                let directory = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
                let directory = directory.map_err(|error| error.to_string())?;
                let options = Options { readers: 1, ..Options::server() };
                let store = Embedded::open(directory.path(), &options).map_err(|error| error.to_string())?;
                Ok(Open::Embedded { store: Box::new(store), _directory: directory })
            }
            Backend::Aws => Ok(Open::Aws(Services::installed(Arc::clone(source), hours.clone()))),
        }
    }

    /// The ports as a new process opens them; `alive` is set to false when it dies.
    #[must_use]
    pub fn ports(&self, alive: &services::Alive) -> Ports {
        match self {
            Open::Embedded { store, .. } => Ports {
                journal: store.journal(),
                objects: store.objects(),
                control: store.control(),
                log: store.log(),
                queue: store.queue(),
                takeover: None,
            },
            Open::Aws(services) => {
                let aws = Aws::with_configuration(services::settings(), &services.configuration(alive));
                let queue = aws.queue();
                Ports {
                    takeover: Some(pennypost_lambda::takeover(Arc::clone(&queue))),
                    journal: aws.journal(),
                    objects: aws.objects(),
                    control: aws.control(),
                    log: aws.log(),
                    queue,
                }
            }
        }
    }

    /// The services, if there are any.
    #[must_use]
    pub fn services(&self) -> Option<Arc<Services>> {
        match self {
            Open::Embedded { .. } => None,
            Open::Aws(services) => Some(Arc::clone(services)),
        }
    }

    /// What was asked that no service would have understood.
    #[must_use]
    pub fn misunderstood(&self) -> Vec<String> {
        match self {
            Open::Embedded { .. } => Vec::new(),
            Open::Aws(services) => services.misunderstood(),
        }
    }

    /// Ends it.
    pub async fn close(self, pace: &Pace) {
        if let (Open::Embedded { store, .. }, Pace::Apart(runtime)) = (self, pace) {
            runtime.block_on(store.shutdown());
        }
    }
}
