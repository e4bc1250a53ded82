//! All ports on S3, DynamoDB and SQS, or on services that speak their protocols.
//!
//! Owns, by the names in [`Settings`]:
//!
//! ```text
//! table  <stack>-journal   entries, head hints, lists of accounts        `journal`
//! table  <stack>-control   items with versions                           `control`
//! table  <stack>-log       records, packed; they expire by themselves    `log`
//! bucket <stack>-mail      objects under their names                     `objects`
//! bucket by its name       mail that another service has received        `objects`
//! queues <stack>-inbound … one for each stage
//! ```
//!
//! [`schema`] describes the tables, `docs/decisions/0010-aws-backend.md` says why they are so and what a call costs.
//!
//! Invariants: what a port has answered with success is durable at the service; two processes that race are decided by a
//! condition that the service checks, never by a lock or a clock; stored values carry a version and a checksum. Every call
//! has a time-out, is tried again after pauses of random length, and is counted in `pennypost_meter` with the units that
//! the service says (or, where it says none, that its rules give). An attempt whose answer was lost may have taken effect:
//! writes carry a mark by which their repetition knows it.
//!
//! If the process dies at any line: each call is one write at the service, or a row of writes of which the last one makes
//! the others count. The modules say what is left of a row that was cut off.

mod clients;
mod control;
mod create;
mod doubt;
mod failure;
mod journal;
mod log;
mod missing;
mod objects;
pub mod queue;
pub mod reckon;
pub mod schema;
mod seal;
mod settings;
mod table;
mod units;
pub mod wakeups;

pub use missing::Needed;
pub use settings::{Retention, Settings};

use std::sync::Arc;

use aws_config::SdkConfig;
use pennypost_meter::Unit;
use pennypost_ports::{Control, Journal, Log, Objects, PortResult};

use crate::clients::Clients;
use crate::control::AwsControl;
use crate::journal::AwsJournal;
use crate::log::AwsLog;
use crate::objects::AwsObjects;
use crate::queue::SqsQueue;
use crate::table::Table;
use crate::wakeups::{AwsWakeups, Bell};

/// The services of one installation. Clone the ports out of it.
pub struct Aws {
    settings: Settings,
    clients: Clients,
    queue: Arc<SqsQueue>,
}

impl Aws {
    /// Takes region, credentials and endpoints from the standard AWS environment. Asks no service: what is wrong
    /// there is told by the first call that needs it.
    ///
    /// # Errors
    /// [`Error::NoRegion`] when the environment names none.
    #[pennypost_ports::compiled_here]
    pub async fn connect(settings: Settings) -> Result<Aws, Error> {
        let configuration = clients::configuration().await?;
        Ok(Aws::with_configuration(settings, &configuration))
    }

    /// A configuration of the SDK with the time-outs and retries of [`Aws::connect`], whose requests go to `http`: what is
    /// at its other end may be a test's.
    #[must_use]
    pub fn tuned(
        configuration: aws_types::sdk_config::Builder,
        http: aws_types::sdk_config::SharedHttpClient,
    ) -> aws_types::sdk_config::Builder {
        clients::tuned(configuration, http)
    }

    /// As [`Aws::connect`], with a configuration of the SDK that the caller has made.
    #[must_use]
    pub fn with_configuration(settings: Settings, configuration: &SdkConfig) -> Aws {
        let clients = Clients::new(&settings, configuration);
        let control = control(&settings, &clients);
        let queue = Arc::new(SqsQueue::new(clients.sqs.clone(), &settings, control));
        Aws { settings, clients, queue }
    }

    /// Makes the tables, the queues and the bucket that are missing; what is there stays as it is. For tests and small
    /// installations: the template gives larger ones more (alarms, encryption by an own key, backups).
    ///
    /// # Errors
    /// [`pennypost_ports::PortError`] of the port whose table, queue or bucket could not be made.
    #[pennypost_ports::compiled_here]
    pub async fn create_missing(&self) -> PortResult<()> {
        create::create_missing(&self.settings, &self.clients).await
    }

    /// The names of the tables, the queues and the bucket that the services say are not there, of those that a process
    /// needs. Where a service does not answer, or the credentials do not open it, it is not said to be missing.
    #[pennypost_ports::compiled_here]
    pub async fn missing(&self, needed: &Needed) -> Vec<String> {
        let mut tables = vec![
            (self.journal_table(), schema::JOURNAL),
            (control_table(&self.settings, &self.clients), schema::CONTROL),
        ];
        if needed.log {
            tables.push((self.log_table(), schema::LOG));
        }
        missing::missing(&self.settings, &self.clients, &tables, &needed.queues).await
    }

    /// The journal port.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(AwsJournal { table: self.journal_table(), objects: self.bucket() })
    }

    fn journal_table(&self) -> Table {
        Table {
            client: self.clients.dynamodb.clone(),
            name: self.settings.journal_table.clone(),
            port: journal::PORT,
            reads: Unit::JournalRead,
            writes: Unit::JournalWrite,
        }
    }

    /// The control port.
    #[must_use]
    pub fn control(&self) -> Arc<dyn Control> {
        control(&self.settings, &self.clients)
    }

    /// The queue port. All that share it know of each other's receipts.
    #[must_use]
    pub fn queue(&self) -> Arc<SqsQueue> {
        Arc::clone(&self.queue)
    }

    /// Wakes the sessions of all adapters.
    #[must_use]
    pub fn wakeups(&self) -> Arc<AwsWakeups> {
        Arc::new(AwsWakeups::new(self.clients.sqs.clone(), self.control(), None))
    }

    /// Makes this process an adapter whose sessions others can wake. [`Bell::take_down`] ends it in order.
    ///
    /// # Errors
    /// [`pennypost_ports::PortError`] when its queue can't be made or the others can't be told.
    #[pennypost_ports::compiled_here]
    pub async fn bell(&self) -> PortResult<Bell> {
        Bell::hang(self.clients.sqs.clone(), self.control(), &self.settings.stack).await
    }

    /// The log port.
    #[must_use]
    pub fn log(&self) -> Arc<dyn Log> {
        Arc::new(AwsLog { table: self.log_table(), retention: self.settings.retention })
    }

    fn log_table(&self) -> Table {
        Table {
            client: self.clients.dynamodb.clone(),
            name: self.settings.log_table.clone(),
            port: log::PORT,
            reads: Unit::LogRead,
            writes: Unit::LogWrite,
        }
    }

    /// The object port.
    #[must_use]
    pub fn objects(&self) -> Arc<dyn Objects> {
        Arc::new(self.bucket())
    }

    /// The object port of the bucket into which another service puts mail that it has received for us, if there is one.
    #[must_use]
    pub fn raw_mail(&self) -> Option<Arc<dyn Objects>> {
        let bucket = self.settings.raw_bucket.clone()?;
        Some(Arc::new(AwsObjects { client: self.clients.s3.clone(), bucket }))
    }

    fn bucket(&self) -> AwsObjects {
        AwsObjects { client: self.clients.s3.clone(), bucket: self.settings.bucket.clone() }
    }

    /// The names that it was opened with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

fn control(settings: &Settings, clients: &Clients) -> Arc<dyn Control> {
    Arc::new(AwsControl { table: control_table(settings, clients) })
}

fn control_table(settings: &Settings, clients: &Clients) -> Table {
    Table {
        client: clients.dynamodb.clone(),
        name: settings.control_table.clone(),
        port: control::PORT,
        reads: Unit::ControlRead,
        writes: Unit::ControlWrite,
    }
}

/// Why the services can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A variable of the environment has a value that it can't have.
    #[error("{name} must be {wanted}")]
    BadSetting {
        /// Which variable.
        name: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// Nothing says in which region the tables are.
    #[error("no region: set AWS_REGION")]
    NoRegion,
}
