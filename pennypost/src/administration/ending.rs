//! `pennypost ending …`: when tenants end, what is erased then, and what stands in the way of it (TEN-11).

use clap::Subcommand;
use pennypost_admin::{Ending, EndingRules};
use pennypost_directory::Page;
use pennypost_model::Timestamp;
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, aligned, clean, time};
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `ending`.
#[derive(Debug, Subcommand)]
pub enum EndingCommand {
    /// Show whether a tenant has ended, and from when on everything of it is erased
    #[command(after_help = "Example:\n  pennypost ending show acme")]
    Show {
        /// Name or id
        name: String,
    },
    /// List tenants that have ended, are held, are to be erased or were
    #[command(after_help = "Example:\n  pennypost ending list")]
    List,
    /// Order that everything of a tenant is erased, for good: accounts, mail, items, logs; its domains become free
    #[command(after_help = "Example:
  pennypost ending erase acme --confirm acme --reason 'fraud' --days 7
Until it begins it can be withdrawn. The orders of its plans are kept.")]
    Erase {
        /// Name or id
        name: String,
        /// The tenant's name once more
        #[arg(long, value_name = "NAME")]
        confirm: String,
        /// Why; its administrators read it
        #[arg(long)]
        reason: String,
        /// Days until it is carried out
        #[arg(long, default_value_t = 7)]
        days: u32,
    },
    /// Withdraw such an order, until it begins to be carried out
    #[command(after_help = "Example:\n  pennypost ending withdraw acme")]
    Withdraw {
        /// Name or id
        name: String,
    },
    /// Hold what there is of a tenant, whatever ends or is ordered
    #[command(after_help = "Example:\n  pennypost ending hold acme --reason 'a court'")]
    Hold {
        /// Name or id
        name: String,
        /// Why; its administrators read it
        #[arg(long)]
        reason: String,
    },
    /// Hold it no longer
    #[command(after_help = "Example:\n  pennypost ending release acme")]
    Release {
        /// Name or id
        name: String,
    },
    /// Show, or say, for how many days tenants that have ended are kept
    #[command(
        after_help = "Examples:\n  pennypost ending rules\n  pennypost ending rules --grace-days 60\n  \
        pennypost ending rules --grace-days never"
    )]
    Rules {
        /// Days, 14 to 3650; "never": everything is erased at an order only
        #[arg(long, value_name = "DAYS", value_parser = grace)]
        grace_days: Option<Grace>,
    },
}

/// Days of grace, or none.
#[derive(Debug, Clone, Copy)]
pub struct Grace(Option<u32>);

fn grace(text: &str) -> Result<Grace, String> {
    if text == "never" {
        return Ok(Grace(None));
    }
    text.parse().map(|days| Grace(Some(days))).map_err(|_| "a number of days, or \"never\"".to_owned())
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &EndingCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let it = office.administration();
    let failed = |error| refused(error, text);
    let id = async |name: &str| Ok::<_, Failed>(tenant(office, Some(name), text).await?.id);
    let ending = match command {
        EndingCommand::List => return list(office, text, output).await,
        EndingCommand::Rules { grace_days } => return rules(office, *grace_days, text, output).await,
        EndingCommand::Show { name } => it.ending(&OPERATOR, id(name).await?).await.map_err(failed)?,
        EndingCommand::Erase { name, confirm, reason, days } => {
            let ordered = it.order_erasure(&OPERATOR, id(name).await?, confirm, reason, *days).await;
            ordered.map_err(failed)?
        }
        EndingCommand::Withdraw { name } => {
            let id = id(name).await?;
            it.withdraw_erasure(&OPERATOR, id).await.map_err(failed)?;
            it.ending(&OPERATOR, id).await.map_err(failed)?
        }
        EndingCommand::Hold { name, reason } => {
            it.hold_tenant(&OPERATOR, id(name).await?, Some(reason)).await.map_err(failed)?
        }
        EndingCommand::Release { name } => {
            it.hold_tenant(&OPERATOR, id(name).await?, None).await.map_err(failed)?
        }
    };
    if output.json {
        return Ok(output.line(&document(&ending).to_string())?);
    }
    let lines = [
        [say!(text, "word-name"), clean(&ending.name)],
        [say!(text, "word-number"), ending.tenant.to_string()],
        [say!(text, "word-state"), state(&ending, text)],
        [say!(text, "ending-ended"), ending.ended.map_or_else(nothing, time)],
        [say!(text, "ending-from"), ending.erased_from.map_or_else(nothing, time)],
        [say!(text, "ending-held"), ending.hold.as_ref().map_or_else(nothing, |hold| clean(&hold.reason))],
        [
            say!(text, "ending-order"),
            ending.order.as_ref().map_or_else(nothing, |order| clean(&order.reason)),
        ],
    ];
    Ok(aligned(&lines).iter().try_for_each(|line| output.line(line))?)
}

fn nothing() -> String {
    "-".to_owned()
}

fn state(ending: &Ending, text: &Text) -> String {
    say!(text, "ending-state", state = ending.state.name())
}

async fn rules(
    office: &Office,
    grace_days: Option<Grace>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let it = office.administration();
    let mut rules = it.ending_rules(&OPERATOR).await.map_err(|error| refused(error, text))?;
    if let Some(Grace(grace_days)) = grace_days {
        let changed = it.change_ending_rules(&OPERATOR, rules, EndingRules { grace_days }).await;
        rules = changed.map_err(|error| refused(error, text))?;
    }
    if output.json {
        return Ok(output.line(&json!({ "grace_days": rules.grace_days }).to_string())?);
    }
    Ok(output.line(&match rules.grace_days {
        Some(days) => say!(text, "ending-kept", days = days),
        None => say!(text, "ending-kept-always"),
    })?)
}

async fn list(office: &Office, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let it = office.administration();
    let (mut rows, mut page) = (Vec::new(), Page::default());
    loop {
        let listed = it.endings(&OPERATOR, &page).await.map_err(|error| refused(error, text))?;
        rows.extend(listed.items.iter().map(|ending| {
            let from = ending.erased_from.map_or_else(nothing, time);
            let erased = ending.erased.map_or_else(nothing, time);
            let cells =
                vec![clean(&ending.name), ending.tenant.to_string(), state(ending, text), from, erased];
            (cells, document(ending))
        }));
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let heads = vec![
        say!(text, "word-name"),
        say!(text, "word-number"),
        say!(text, "word-state"),
        say!(text, "ending-from"),
        say!(text, "ending-erased"),
    ];
    Ok(output.table(heads, rows, &say!(text, "endings-none"))?)
}

fn document(ending: &Ending) -> Value {
    let time = |time: Option<Timestamp>| time.map(Timestamp::rfc3339);
    let counts = ending.counts;
    json!({
        "tenant": ending.tenant.to_string(),
        "name": ending.name,
        "state": ending.state.name(),
        "cause": ending.cause.map(pennypost_admin::EndCause::name),
        "ended": time(ending.ended),
        "erased_from": time(ending.erased_from),
        "hold": ending.hold.as_ref().map(|hold| json!({ "reason": hold.reason, "since": hold.since.rfc3339() })),
        "order": ending.order.as_ref().map(|order| json!({
            "reason": order.reason, "at": order.at.rfc3339(), "from": order.from.rfc3339(),
        })),
        "begun": time(ending.begun),
        "erased": time(ending.erased),
        "counts": {
            "domains": counts.domains, "accounts": counts.accounts, "objects": counts.objects,
            "letters": counts.letters, "items": counts.items, "records": counts.records,
        },
    })
}
