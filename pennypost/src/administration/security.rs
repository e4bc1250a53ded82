//! `pennypost security …`: how long sessions last, of whom a second factor is wanted, four eyes (ADM-13, AUT-11).

use clap::{Args, Subcommand};
use pennypost_admin::{Required, SecurityRules};
use serde_json::json;

use super::second_factor::OfWhom;
use super::sign_in::{Switch, word};
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `security`.
#[derive(Debug, Subcommand)]
pub enum SecurityCommand {
    /// Show what a tenant says about sessions, second factors and second administrators
    #[command(after_help = "Example:\n  pennypost security show --tenant acme")]
    Show {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say something else; it holds for sessions that are opened from then on
    #[command(after_help = "Examples:
  pennypost security set --idle 30 --whole 720 --tenant acme
  pennypost security set --second-factor administrators --four-eyes on")]
    Set(SetArgs),
}

/// Arguments of `security set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// What is said
    #[command(flatten)]
    what: What,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// What can be said.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct What {
    /// Minutes without use after which a session is over: 5 at least
    #[arg(long, value_name = "MINUTES")]
    idle: Option<u32>,
    /// Minutes after which it is over in any case: 15 to 129600
    #[arg(long, value_name = "MINUTES")]
    whole: Option<u32>,
    /// Of whom a second factor is wanted
    #[arg(long, value_name = "WHOM")]
    second_factor: Option<OfWhom>,
    /// What can't be made undone takes a second administrator
    #[arg(long)]
    four_eyes: Option<Switch>,
}

impl What {
    fn apply(&self, rules: &mut SecurityRules) {
        rules.idle_minutes = self.idle.unwrap_or(rules.idle_minutes);
        rules.session_minutes = self.whole.unwrap_or(rules.session_minutes);
        rules.second_factor = self.second_factor.map_or(rules.second_factor, Required::from);
        rules.four_eyes = self.four_eyes.map_or(rules.four_eyes, |state| state == Switch::On);
    }
}

/// Does what was asked.
pub(super) async fn run(
    office: &Office,
    command: &SecurityCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        SecurityCommand::Show { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            let rules = office.administration().security_rules(&OPERATOR, tenant.id).await;
            show(&rules.map_err(|error| refused(error, text))?, text, output)
        }
        SecurityCommand::Set(args) => {
            change(office, args.tenant.as_deref(), |rules| args.what.apply(rules), text, output).await
        }
    }
}

/// Changes the rules of a tenant, and shows what they are then.
pub(super) async fn change(
    office: &Office,
    name: Option<&str>,
    change: impl FnOnce(&mut SecurityRules),
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, name, text).await?;
    let administration = office.administration();
    let seen = administration.security_rules_for(&OPERATOR, tenant.id).await;
    let seen = seen.map_err(|error| refused(error, text))?;
    let mut rules = seen.clone();
    change(&mut rules);
    let changed = administration.change_security_rules(&OPERATOR, tenant.id, &seen, rules).await;
    show(&changed.map_err(|error| refused(error, text))?, text, output)
}

fn show(rules: &SecurityRules, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let SecurityRules { idle_minutes, session_minutes, second_factor, four_eyes } = rules;
    if output.json {
        let document = json!({
            "idle_minutes": idle_minutes,
            "session_minutes": session_minutes,
            "second_factor": second_factor.name(),
            "four_eyes": four_eyes,
        });
        return Ok(output.line(&document.to_string())?);
    }
    let of_whom = match second_factor {
        Required::Nobody => say!(text, "second-factor-of-nobody"),
        Required::Administrators => say!(text, "second-factor-of-administrators"),
        Required::Everybody => say!(text, "second-factor-of-everybody"),
    };
    for (name, value) in [
        (say!(text, "security-idle"), idle_minutes.to_string()),
        (say!(text, "security-whole"), session_minutes.to_string()),
        (say!(text, "security-second-factor"), of_whom),
        (say!(text, "security-four-eyes"), word(*four_eyes, text)),
    ] {
        output.line(&format!("{name}: {value}"))?;
    }
    Ok(())
}
