//! The function that the clock starts: what is due is sent to housekeeping.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pennypost_lambda::serve_schedule().await
}
