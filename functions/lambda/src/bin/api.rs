//! The function that is asked over HTTP: what mail programs need to set themselves up.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pennypost_lambda::serve_api().await
}
