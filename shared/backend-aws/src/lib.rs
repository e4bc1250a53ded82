//! All ports on S3, DynamoDB and SQS, or on services that speak their protocols.

mod attempts;
mod clients;
mod control;
mod failure;
pub mod schema;
mod seal;
mod settings;
mod table;
mod units;

pub use settings::{Retention, Settings};

use std::sync::Arc;

use aws_config::SdkConfig;
use pennypost_meter::Unit;
use pennypost_ports::Control;

use crate::clients::Clients;
use crate::control::AwsControl;
use crate::table::Table;

/// The services of one installation. Clone the ports out of it.
pub struct Aws {
    settings: Settings,
    clients: Clients,
}

impl Aws {
    /// Takes region, credentials and endpoints from the standard AWS environment. Asks no service: what is wrong
    /// there is told by the first call that needs it.
    ///
    /// # Errors
    /// [`Error::NoRegion`] when the environment names none.
    pub async fn connect(settings: Settings) -> Result<Aws, Error> {
        let configuration = clients::configuration().await?;
        Ok(Aws::with_configuration(settings, &configuration))
    }

    /// As [`Aws::connect`], with a configuration of the SDK that the caller has made.
    #[must_use]
    pub fn with_configuration(settings: Settings, configuration: &SdkConfig) -> Aws {
        let clients = Clients::new(&settings, configuration);
        Aws { settings, clients }
    }

    /// The control port.
    #[must_use]
    pub fn control(&self) -> Arc<dyn Control> {
        AwsControl::shared(Table {
            client: self.clients.dynamodb.clone(),
            name: self.settings.control_table.clone(),
            port: control::PORT,
            reads: Unit::ControlRead,
            writes: Unit::ControlWrite,
        })
    }

    /// The names that it was opened with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
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
