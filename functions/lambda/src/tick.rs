//! The function that the clock starts.

use pennypost_runtime_lambda::{Finished, Function, Invocation, InvocationError};
use pennypost_schedule::{Schedule, Ticked};
use serde::{Deserialize, Serialize};

/// What the scheduler sends. Nothing in it matters: what is due is in the control table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Tick {}

/// The function.
pub struct TickFunction(pub Schedule);

impl Function for TickFunction {
    type Event = Tick;
    type Answer = Ticked;
    type Done = Ticked;

    async fn invoke(
        &self,
        _event: Tick,
        invocation: Invocation,
    ) -> Result<Finished<Ticked, Ticked>, InvocationError> {
        let ticked = self.0.tick(invocation.deadline).await;
        let ticked = ticked.map_err(|error| InvocationError::Failed(error.to_string()))?;
        Ok(Finished { answer: ticked, done: ticked, units: None })
    }
}
