//! The start of a function: its environment, its ports, its handlers, then invocations.

use std::process::ExitCode;

use pennypost_model::event::Stage;
use pennypost_runtime::needs::{self, API, Needs, SCHEDULE};
use pennypost_runtime_lambda::{Function, serve, start_logging};

use crate::{Environment, FunctionError, Ports, api_function, api_settings, queue_function, tick_function};

/// Serves the function of a queue until the service ends the process.
pub async fn serve_queue(stage: Stage) -> ExitCode {
    ended(stage.queue(), start_queue(stage).await)
}

/// Serves the function that the clock starts.
pub async fn serve_schedule() -> ExitCode {
    ended(SCHEDULE.name, start_schedule().await)
}

/// Serves the function that is asked over HTTP.
pub async fn serve_api() -> ExitCode {
    ended(API.name, start_api().await)
}

fn ended(function: &str, result: Result<(), FunctionError>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    tracing::error!(function, %error, "the function does not start");
    ExitCode::FAILURE
}

async fn start_queue(stage: Stage) -> Result<(), FunctionError> {
    start_logging();
    let environment = Environment::read()?;
    let needs = needs::of_queue(stage, &environment.fusing);
    let ports = Ports::on_aws(&needs).await?;
    run(&needs, queue_function(stage, &needs, &ports, &environment)?).await
}

async fn start_schedule() -> Result<(), FunctionError> {
    start_logging();
    let environment = Environment::read()?;
    run(&SCHEDULE, tick_function(&Ports::on_aws(&SCHEDULE).await?, &environment)?).await
}

async fn start_api() -> Result<(), FunctionError> {
    start_logging();
    Environment::read()?;
    let settings = api_settings(|name| std::env::var(name).ok())?;
    run(&API, api_function(&Ports::on_aws(&API).await?, settings)?).await
}

async fn run(needs: &Needs, function: impl Function) -> Result<(), FunctionError> {
    serve(needs.name, function).await.map_err(|error| FunctionError::Runtime(error.to_string()))
}
