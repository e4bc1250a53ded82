//! What mail is stored in: a data directory, or the services of a cloud.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use pennypost_backend_aws::{Aws, Settings};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_ports::{Control, Journal, Log, Objects, Queue};
use tokio::sync::watch;

use crate::Failed;

/// Which backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// SQLite and files in the data directory
    Embedded,
    /// S3, DynamoDB and SQS, as the AWS environment and PENNYPOST_STACK name them
    Aws,
}

/// Where a post office is.
#[derive(Debug, Clone)]
pub struct Place {
    /// In what its mail is stored.
    pub kind: Kind,
    /// The data directory: all of a post office on the embedded backend, the server's certificate on the other.
    pub data: PathBuf,
}

/// An open backend.
pub enum Backend {
    /// A data directory.
    Embedded(Embedded),
    /// A stack in a cloud.
    Aws(Box<Aws>),
}

impl Place {
    /// A data directory.
    #[must_use]
    pub fn directory(data: &Path) -> Place {
        Place { kind: Kind::Embedded, data: data.to_owned() }
    }

    /// Opens the backend. What the options say of a directory is left out for the other backend, whose tables, queues
    /// and bucket are there or not.
    ///
    /// # Errors
    /// [`Failed::Open`], [`Failed::Cloud`].
    pub async fn open(&self, options: &Options) -> Result<Backend, Failed> {
        match self.kind {
            Kind::Embedded => Ok(Backend::Embedded(Embedded::open(&self.data, options)?)),
            Kind::Aws => Ok(Backend::Aws(Box::new(Aws::connect(Settings::from_env()?).await?))),
        }
    }

    /// Makes what the backend needs, where it is missing.
    ///
    /// # Errors
    /// As for [`Place::open`]; what could not be made.
    pub async fn create(&self) -> Result<(), Failed> {
        let options = Options { create: true, ..Options::tool() };
        let backend = self.open(&options).await?;
        if let Backend::Aws(aws) = &backend {
            aws.create_missing().await?;
        }
        backend.shutdown().await;
        Ok(())
    }

    /// Makes the data directory, for the server's certificate.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_directory(&self) -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.data)
    }
}

impl Backend {
    /// The control port.
    #[must_use]
    pub fn control(&self) -> Arc<dyn Control> {
        match self {
            Backend::Embedded(embedded) => embedded.control(),
            Backend::Aws(aws) => aws.control(),
        }
    }

    /// The journal port.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        match self {
            Backend::Embedded(embedded) => embedded.journal(),
            Backend::Aws(aws) => aws.journal(),
        }
    }

    /// The log port.
    #[must_use]
    pub fn log(&self) -> Arc<dyn Log> {
        match self {
            Backend::Embedded(embedded) => embedded.log(),
            Backend::Aws(aws) => aws.log(),
        }
    }

    /// The object port.
    #[must_use]
    pub fn objects(&self) -> Arc<dyn Objects> {
        match self {
            Backend::Embedded(embedded) => embedded.objects(),
            Backend::Aws(aws) => aws.objects(),
        }
    }

    /// Where mail lies that another service has received for us, and the bucket that its notifications name: the one that
    /// is configured. In a data directory it lies beside everything else, whatever bucket they name.
    #[must_use]
    pub fn raw_mail(&self) -> Option<(Arc<dyn Objects>, Option<String>)> {
        match self {
            Backend::Embedded(embedded) => Some((embedded.objects(), None)),
            Backend::Aws(aws) => Some((aws.raw_mail()?, aws.settings().raw_bucket.clone())),
        }
    }

    /// The queue port.
    #[must_use]
    pub fn queue(&self) -> Arc<dyn Queue> {
        match self {
            Backend::Embedded(embedded) => embedded.queue(),
            Backend::Aws(aws) => aws.queue(),
        }
    }

    /// Ticks when another process has changed the data directory. `None` where only messages tell.
    #[must_use]
    pub fn foreign_changes(&self) -> Option<watch::Receiver<u64>> {
        match self {
            Backend::Embedded(embedded) => Some(embedded.foreign_changes()),
            Backend::Aws(_) => None,
        }
    }

    /// Ends what is open, in order.
    pub async fn shutdown(&self) {
        match self {
            Backend::Embedded(embedded) => embedded.shutdown().await,
            // Each call was answered when it returned: nothing is held back here.
            Backend::Aws(_) => {}
        }
    }
}
