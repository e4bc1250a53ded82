//! The function of the queue `inbound`: parses accepted messages, and joined to it by default decides and delivers them.

use std::process::ExitCode;

use pennypost_model::event::Stage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pennypost_lambda::serve_queue(Stage::InboundParse).await
}
