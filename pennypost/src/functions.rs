//! `functions`: what each function of the cloud needs, for whoever writes templates and permissions.

use std::io;

use clap::Args;
use pennypost_runtime::needs::{self, Needs, Stages, Trigger};
use pennypost_runtime::{Fusing, NoFusing};
use serde_json::json;

use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

/// What `functions` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pennypost functions                     the functions of the fused pipeline
  pennypost functions --fuse false        with a queue in front of every stage
  pennypost functions --json              one document for each, with everything that it needs")]
pub struct FunctionsArgs {
    /// Stages that run in the function of the stage before them: true (the default), false, or names of queues.
    #[arg(long, env = "PENNYPOST_FUSE", default_value = "true", value_name = "QUEUES", value_parser = fusing)]
    fuse: Fusing,
}

fn fusing(text: &str) -> Result<Fusing, NoFusing> {
    text.parse()
}

/// Prints the functions.
///
/// # Errors
/// [`Failed`] when nobody reads.
pub fn run(args: &FunctionsArgs, json: bool, text: &Text) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    let mut output = Output::new(&mut out, json);
    let heads = vec![
        say!(text, "word-function"),
        say!(text, "word-trigger"),
        say!(text, "word-stages"),
        say!(text, "word-sends"),
        say!(text, "word-memory"),
        say!(text, "word-time-limit"),
    ];
    let rows = needs::functions(&args.fuse).iter().map(|needs| (cells(needs, text), json!(needs))).collect();
    Ok(output.table(heads, rows, "")?)
}

fn cells(needs: &Needs, text: &Text) -> Vec<String> {
    let names = |stages: Stages| {
        let names: Vec<&str> = stages.iter().map(|stage| stage.queue()).collect();
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    };
    let trigger = match needs.trigger {
        Trigger::Queue { queue, batch, .. } => {
            say!(text, "function-queue", queue = queue.queue(), batch = batch)
        }
        Trigger::Http => say!(text, "function-http"),
        Trigger::Schedule { minutes } => say!(text, "function-schedule", minutes = minutes),
    };
    vec![
        needs.name.to_owned(),
        trigger,
        names(needs.stages),
        names(needs.sends),
        format!("{} MB", needs.memory_mb),
        format!("{} s", needs.timeout_seconds),
    ]
}
