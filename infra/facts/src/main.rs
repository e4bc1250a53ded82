//! Prints the facts, or writes them into the file that is named: `cargo run -p pennypost-infra-facts infra/facts.json`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let facts = format!("{:#}\n", pennypost_infra_facts::facts());
    match std::env::args_os().nth(1) {
        Some(file) => std::fs::write(file, facts),
        None => std::io::stdout().lock().write_all(facts.as_bytes()),
    }
}
