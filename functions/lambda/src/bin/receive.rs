//! The function of the queue `receive`: takes in mail that another service has received for us.

use std::process::ExitCode;

use pennypost_model::event::Stage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pennypost_lambda::serve_queue(Stage::Receive).await
}
