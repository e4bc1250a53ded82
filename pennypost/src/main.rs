//! The program: reads the command line, runs the command, says what went wrong.

use std::process::ExitCode;

use clap::Parser;
use pennypost::cli::Cli;

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
