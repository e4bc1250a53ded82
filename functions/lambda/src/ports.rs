//! The ports of a function.

use std::sync::Arc;

use async_trait::async_trait;

use pennypost_backend_aws::queue::{Record, SqsQueue};
use pennypost_backend_aws::{Aws, Settings};
use pennypost_model::event::Stage;
use pennypost_ports::{
    Clock, Control, Ids, Journal, Log, Objects, PortResult, Queue, RandomIds, Receipt, Received, SystemClock,
    Wakeups,
};
use pennypost_runtime::needs::{Access, Needs, ObjectAccess};
use pennypost_runtime_lambda::{Delivered, Takeover};

use crate::FunctionError;

/// The ports of a function. Those that every function with a queue has stand by themselves.
#[derive(Clone)]
pub struct Ports {
    /// Whose they are.
    pub function: &'static str,
    /// Where events go, are delayed, and given up.
    pub queue: Arc<dyn Queue>,
    /// Takes over what the service hands out.
    pub takeover: Arc<dyn Takeover>,
    /// The control table.
    pub control: Arc<dyn Control>,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// The journals, if it needs them.
    pub journal: Option<Arc<dyn Journal>>,
    /// The objects, if it needs them.
    pub objects: Option<Arc<dyn Objects>>,
    /// The bucket of raw mail, if it takes from it.
    pub raw_mail: Option<RawMail>,
    /// Who watches, if it wakes.
    pub wakeups: Option<Arc<dyn Wakeups>>,
}

/// The bucket into which another service puts mail that it has received for us.
#[derive(Clone)]
pub struct RawMail {
    /// What lies in it.
    pub objects: Arc<dyn Objects>,
    /// Its name; `None` where there is one place only.
    pub bucket: Option<String>,
}

impl Ports {
    /// Those that a function needs, on the services that the environment names. None is asked yet.
    ///
    /// # Errors
    /// [`FunctionError::Services`] when the environment does not say where they are.
    pub async fn on_aws(needs: &Needs) -> Result<Ports, FunctionError> {
        let aws = Aws::connect(Settings::from_env()?).await?;
        let queue = aws.queue();
        Ok(Ports {
            function: needs.name,
            takeover: takeover(Arc::clone(&queue)),
            queue,
            control: aws.control(),
            log: aws.log(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            journal: (needs.journal != Access::None).then(|| aws.journal()),
            objects: (needs.objects != ObjectAccess::NONE).then(|| aws.objects()),
            raw_mail: aws.raw_mail().filter(|_| needs.raw_mail).map(|objects| {
                let bucket = aws.settings().raw_bucket.clone();
                RawMail { objects, bucket }
            }),
            wakeups: needs.wakes.then(|| aws.wakeups() as Arc<dyn Wakeups>),
        })
    }

    pub(crate) fn journal(&self) -> Result<Arc<dyn Journal>, FunctionError> {
        self.journal.clone().ok_or(self.missing("journal"))
    }

    pub(crate) fn objects(&self) -> Result<Arc<dyn Objects>, FunctionError> {
        self.objects.clone().ok_or(self.missing("objects"))
    }

    pub(crate) fn raw_mail(&self) -> Result<RawMail, FunctionError> {
        self.raw_mail.clone().ok_or_else(|| FunctionError::Environment {
            name: "PENNYPOST_RAW_BUCKET",
            cause: "not set: it names the bucket of raw mail".to_owned(),
        })
    }

    pub(crate) fn wakeups(&self) -> Result<Arc<dyn Wakeups>, FunctionError> {
        self.wakeups.clone().ok_or(self.missing("wakeups"))
    }

    const fn missing(&self, port: &'static str) -> FunctionError {
        FunctionError::NoPort { function: self.function, port }
    }
}

/// What the service hands to a function lies in the queue's hands from then on.
#[must_use]
pub fn takeover(queue: Arc<SqsQueue>) -> Arc<dyn Takeover> {
    Arc::new(FromSqs(queue))
}

struct FromSqs(Arc<SqsQueue>);

#[async_trait]
impl Takeover for FromSqs {
    async fn take_over(&self, stage: Stage, delivered: Delivered) -> PortResult<Vec<Received>> {
        let Delivered { message, handle, text, group, tries, sent } = delivered;
        self.0.take_over(stage, &Record { message, handle, text, tries, sent, group }).await
    }

    fn must_return(&self, stage: Stage, receipt: &Receipt) -> bool {
        self.0.must_return(stage, receipt)
    }

    fn let_go(&self, stage: Stage, receipts: &[Receipt]) {
        self.0.let_go(stage, receipts);
    }
}
