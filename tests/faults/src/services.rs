//! A stand-in for DynamoDB, SQS and S3 at the HTTP connector of the SDK, in memory.
//!
//! It plays what the services document of the calls, fields, expressions and headers that `shared/backend-aws` uses, and
//! nothing else: what it does not know it refuses, and the run fails for it. Whoever changes the backend's calls teaches
//! it the new ones, from the services' documentation. `tests/contract.rs` holds the backend to its contracts on it.

mod dynamodb;
mod fields;
mod line;
mod s3;
mod sqs;

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_types::sdk_config::SharedHttpClient;
use parking_lot::Mutex;
use pennypost_backend_aws::{Aws, Settings, schema};
use pennypost_model::event::Stage;

use self::dynamodb::Dynamo;
pub use self::line::Alive;
use self::line::Lines;
use self::s3::Buckets;
use self::sqs::Queues;
use crate::hours::Hours;
use crate::source::Source;

const STACK: &str = "faults";

/// The names of the installation that [`Services::installed`] has.
#[must_use]
pub fn settings() -> Settings {
    let mut settings = Settings::of_stack(STACK);
    settings.s3_path_style = Some(true);
    settings
}

/// What an operator has to mend before calls are answered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// The credentials are no longer valid: no service answers.
    CredentialsExpired,
    /// The tables were deleted.
    TablesMissing,
    /// The tables take nothing that is written: they are at the limit of what they may take.
    TablesFull,
    /// The bucket was deleted.
    BucketMissing,
}

/// The services.
pub struct Services {
    source: Arc<Source>,
    hours: Hours,
    dynamo: Mutex<Dynamo>,
    queues: Mutex<Queues>,
    buckets: Mutex<Buckets>,
    misunderstood: Mutex<Vec<String>>,
    outage: Mutex<Option<Outage>>,
    sdk: SdkConfig,
}

impl Services {
    /// Services in which nothing is installed.
    #[must_use]
    pub fn new(source: Arc<Source>, hours: Hours) -> Arc<Services> {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
                Credentials::new("nobody", "nothing", None, None, "test"),
            ))
            .build();
        Arc::new(Services {
            source,
            hours,
            dynamo: Mutex::default(),
            queues: Mutex::default(),
            buckets: Mutex::default(),
            misunderstood: Mutex::default(),
            outage: Mutex::default(),
            sdk,
        })
    }

    /// Services with the tables, queues and the bucket of [`settings`].
    #[must_use]
    pub fn installed(source: Arc<Source>, hours: Hours) -> Arc<Services> {
        let services = Services::new(source, hours);
        let settings = settings();
        {
            let mut dynamo = services.dynamo.lock();
            for table in schema::TABLES {
                dynamo.install(&format!("{STACK}{}", table.suffix), &table);
            }
            let mut queues = services.queues.lock();
            for stage in Stage::ALL {
                queues.install(&settings.queue_name(stage), &settings.dead_queue_name(stage));
            }
            services.buckets.lock().install(&settings.bucket);
        }
        services
    }

    /// What the SDK needs to know, for a process that lives as long as `alive`.
    #[must_use]
    pub fn configuration(self: &Arc<Self>, alive: &Alive) -> SdkConfig {
        let lines = Lines { services: Arc::clone(self), alive: alive.clone() };
        Aws::tuned(self.sdk.to_builder(), SharedHttpClient::new(lines)).build()
    }

    /// Lets something be wrong until it is mended, which is told by `None`.
    pub fn set_outage(&self, outage: Option<Outage>) {
        *self.outage.lock() = outage;
    }

    /// What was asked that no service would have understood, or that this stand-in does not know.
    #[must_use]
    pub fn misunderstood(&self) -> Vec<String> {
        self.misunderstood.lock().clone()
    }
}
