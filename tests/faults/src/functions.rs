//! Functions, which a service invokes with batches of a queue's messages and whose answers say what must come again.

use std::sync::Arc;

use pennypost_model::event::Stage as Step;
use pennypost_runtime::Fusing;
use pennypost_runtime::batch::{Acknowledgement, Desk};
use pennypost_runtime_lambda::{Function, Invocation, QueueFunction, Takeover};
use pennypost_simulation::executor::turn;
use pennypost_simulation::stage::Stage;

use crate::outside::Outside;
use crate::post::{Driver, some_queue};
use crate::services::Services;

/// The functions of all queues in one process, with the service that invokes them. If it dies, the service hears nothing
/// and deletes nothing.
#[derive(Clone)]
pub struct Functions {
    stage: Stage,
    desk: Desk,
    takeover: Arc<dyn Takeover>,
    services: Arc<Services>,
}

impl Functions {
    /// Functions that have just been started.
    #[must_use]
    pub fn new(
        stage: Stage,
        takeover: Arc<dyn Takeover>,
        services: Arc<Services>,
        fusing: Fusing,
        outside: &Outside,
    ) -> Functions {
        let desk = Driver::new(stage.clone(), Acknowledgement::ByTheCaller, fusing, outside).desk();
        Functions { stage, desk, takeover, services }
    }

    /// Is invoked some times, with messages of any queue.
    pub async fn work(self, invocations: usize) {
        for _ in 0..invocations {
            let (step, max) = some_queue(&self.stage);
            self.invoke(step, max).await;
            turn().await;
        }
    }

    async fn invoke(&self, step: Step, max: usize) {
        let Some(batch) = self.services.batch(step, max) else { return };
        turn().await;
        let function = QueueFunction::new(step, self.desk.clone(), Arc::clone(&self.takeover));
        let finished = function.invoke(batch.clone(), Invocation { deadline: None }).await;
        turn().await;
        let answer = match finished {
            Ok(finished) => finished.answer,
            Err(error) => return self.stage.broken(format!("an invocation failed: {error}")),
        };
        for record in &batch.records {
            let is_open =
                |item: &pennypost_runtime_lambda::ItemFailure| item.item_identifier == record.message_id;
            if !answer.batch_item_failures.iter().any(is_open) {
                self.services.delete(step, record);
            }
        }
    }
}
