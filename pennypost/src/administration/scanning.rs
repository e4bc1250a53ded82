//! `pennypost scanning …`: what is done with what scanners find (RCV-13, RCV-15).

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::{RecipientsGet, ScanPolicy, Unanswered, VirusAction};
use pennypost_model::scan::Points;
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

/// What is done with a virus.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnVirus {
    /// It lies in quarantine for seven days
    Quarantine,
    /// It is deleted
    Delete,
}

/// What is done without a scanner's word.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnSilence {
    /// Letters wait
    Hold,
    /// Letters go on with a mark
    Pass,
}

/// What recipients get who are told of a virus.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Gets {
    /// A few words
    Notice,
    /// The rest of the letter beside them, without the attachments that hold the virus
    Rest,
}

/// What is said.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// A virus in a letter that comes in
    #[arg(long)]
    virus: Option<OnVirus>,
    /// As long as no scanner for viruses answers
    #[arg(long)]
    without_virus_scanner: Option<OnSilence>,
    /// As long as no scanner for spam answers
    #[arg(long)]
    without_spam_scanner: Option<OnSilence>,
    /// From so many points on into the junk folder; 0: never
    #[arg(long, value_name = "POINTS")]
    junk: Option<f64>,
    /// From so many points on into quarantine; 0: never
    #[arg(long, value_name = "POINTS")]
    quarantine: Option<f64>,
    /// From so many points on deleted; 0: never
    #[arg(long, value_name = "POINTS")]
    delete: Option<f64>,
    /// Are recipients told of a letter with a virus?
    #[arg(long)]
    tell_recipients: Option<bool>,
    /// What they get with that
    #[arg(long)]
    recipients_get: Option<Gets>,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Subcommands of `scanning`.
#[derive(Debug, Subcommand)]
pub enum ScanningCommand {
    /// Show what is done with what scanners find
    #[command(after_help = "Example:\n  pennypost scanning show --tenant acme")]
    Show {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say what is done; what is left out stays
    #[command(after_help = "Examples:
  pennypost scanning set --quarantine 15 --tenant acme
  pennypost scanning set --virus delete --without-virus-scanner pass
  pennypost scanning set --recipients-get rest
Which scanners there are the operator says: scanner.clamav and scanner.rspamd of serve.")]
    Set(SetArgs),
}

impl From<OnSilence> for Unanswered {
    fn from(said: OnSilence) -> Unanswered {
        match said {
            OnSilence::Hold => Unanswered::Hold,
            OnSilence::Pass => Unanswered::Pass,
        }
    }
}

fn points(said: Option<f64>, before: Option<Points>, text: &Text) -> Result<Option<Points>, Failed> {
    match said {
        None => Ok(before),
        Some(0.0) => Ok(None),
        Some(number) => {
            let wrong = || Failed::Said(say!(text, "scanning-points"));
            Points::of(number).map(Some).ok_or_else(wrong)
        }
    }
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &ScanningCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    let policy = match command {
        ScanningCommand::Show { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            administration.scan_policy(&OPERATOR, tenant.id).await.map_err(told)?
        }
        ScanningCommand::Set(args) => {
            let tenant = tenant(office, args.tenant.as_deref(), text).await?;
            let seen = administration.scan_policy(&OPERATOR, tenant.id).await.map_err(told)?;
            let virus = args.virus.map(|virus| match virus {
                OnVirus::Quarantine => VirusAction::Quarantine,
                OnVirus::Delete => VirusAction::Delete,
            });
            let said = |said: Option<OnSilence>, before| said.map_or(before, Unanswered::from);
            let policy = ScanPolicy {
                virus: virus.unwrap_or(seen.virus),
                without_virus_scanner: said(args.without_virus_scanner, seen.without_virus_scanner),
                without_spam_scanner: said(args.without_spam_scanner, seen.without_spam_scanner),
                junk: points(args.junk, seen.junk, text)?,
                quarantine: points(args.quarantine, seen.quarantine, text)?,
                delete: points(args.delete, seen.delete, text)?,
                tell_recipients: args.tell_recipients.unwrap_or(seen.tell_recipients),
                recipients_get: match args.recipients_get {
                    Some(Gets::Notice) => RecipientsGet::Notice,
                    Some(Gets::Rest) => RecipientsGet::Rest,
                    None => seen.recipients_get,
                },
            };
            administration.change_scan_policy(&OPERATOR, tenant.id, &seen, &policy).await.map_err(told)?;
            policy
        }
    };
    Ok(output.result(&sentences(&policy, text), &document(&policy))?)
}

fn sentences(policy: &ScanPolicy, text: &Text) -> String {
    let virus = match policy.virus {
        VirusAction::Quarantine => say!(text, "scanning-virus-quarantine"),
        VirusAction::Delete => say!(text, "scanning-virus-delete"),
    };
    let silence = |said| match said {
        Unanswered::Hold => say!(text, "scanning-hold"),
        Unanswered::Pass => say!(text, "scanning-pass"),
    };
    let from = |points: Option<Points>| match points {
        Some(points) => say!(text, "scanning-from", points = points.to_string()),
        None => say!(text, "scanning-never"),
    };
    let told = if policy.tell_recipients { say!(text, "word-yes") } else { say!(text, "word-no") };
    let gets = match policy.recipients_get {
        RecipientsGet::Notice => say!(text, "scanning-gets-notice"),
        RecipientsGet::Rest => say!(text, "scanning-gets-rest"),
    };
    let (no_virus_scanner, no_spam_scanner) =
        (silence(policy.without_virus_scanner), silence(policy.without_spam_scanner));
    let (junk, quarantine, delete) = (from(policy.junk), from(policy.quarantine), from(policy.delete));
    [
        say!(text, "scanning-virus", what = virus, told = told),
        gets,
        say!(text, "scanning-spam", junk = junk, quarantine = quarantine, delete = delete),
        say!(text, "scanning-silence", virus = no_virus_scanner, spam = no_spam_scanner),
    ]
    .join("\n")
}

fn document(policy: &ScanPolicy) -> Value {
    let silence = |said: Unanswered| if said == Unanswered::Hold { "hold" } else { "pass" };
    json!({
        "virus": if policy.virus == VirusAction::Quarantine { "quarantine" } else { "delete" },
        "without_virus_scanner": silence(policy.without_virus_scanner),
        "without_spam_scanner": silence(policy.without_spam_scanner),
        "junk": policy.junk.map(Points::number),
        "quarantine": policy.quarantine.map(Points::number),
        "delete": policy.delete.map(Points::number),
        "tell_recipients": policy.tell_recipients,
        "recipients_get": if policy.recipients_get == RecipientsGet::Rest { "rest" } else { "notice" },
    })
}
