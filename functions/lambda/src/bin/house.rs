//! The function of the queue `house`: keeps house.

use std::process::ExitCode;

use pennypost_model::event::Stage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pennypost_lambda::serve_queue(Stage::Housekeep).await
}
