//! The start of a function: its environment, its ports, its handlers, then invocations.

use std::process::ExitCode;

use pennypost_model::event::Stage;
use pennypost_runtime::needs;
use pennypost_runtime_lambda::{serve, start_logging};

use crate::{Environment, FunctionError, Ports, queue_function};

/// Serves the function of a queue until the service ends the process.
pub async fn serve_queue(stage: Stage) -> ExitCode {
    start_logging();
    let Err(error) = start(stage).await else { return ExitCode::SUCCESS };
    tracing::error!(function = stage.queue(), %error, "the function does not start");
    ExitCode::FAILURE
}

async fn start(stage: Stage) -> Result<(), FunctionError> {
    let environment = Environment::read()?;
    let needs = needs::of_queue(stage, &environment.fusing);
    let ports = Ports::on_aws(&needs).await?;
    let function = queue_function(stage, &needs, &ports, &environment)?;
    serve(needs.name, function).await.map_err(|error| FunctionError::Runtime(error.to_string()))
}
