//! Prints the facts: `cargo run -p pennypost-infra-facts > infra/facts.json`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{:#}", pennypost_infra_facts::facts())
}
