//! The program: reads the command line, runs the command, says what went wrong.

use std::process::ExitCode;

use clap::Parser;
use pennypost::cli::Cli;

/// Thousands of small futures and buffers come and go on every thread: what is freed goes back to the system and does
/// not stay in the arena of the thread that happened to have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let text = cli.text();
    match cli.run(&text) {
        Ok(code) => code,
        Err(error) => {
            pennypost::complain(&text, &error.message(&text));
            ExitCode::FAILURE
        }
    }
}
