//! `pennypost second-factor …`: who has one, taking a lost one away, and of whom one is wanted (AUT-11).

use clap::{Subcommand, ValueEnum};
use pennypost_admin::Required;
use pennypost_directory::Passkey;
use serde_json::json;

use super::{OPERATOR, refused, security};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// Of whom a second factor is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OfWhom {
    /// Of nobody: whoever wants one sets one up
    Nobody,
    /// Of whoever may administer anything
    Administrators,
    /// Of everybody
    Everybody,
}

impl From<OfWhom> for Required {
    fn from(of: OfWhom) -> Required {
        match of {
            OfWhom::Nobody => Required::Nobody,
            OfWhom::Administrators => Required::Administrators,
            OfWhom::Everybody => Required::Everybody,
        }
    }
}

/// Subcommands of `second-factor`.
#[derive(Debug, Subcommand)]
pub enum SecondFactorCommand {
    /// Show whether an account has one, since when, how many recovery codes are left, and its passkeys
    #[command(after_help = "Example:\n  pennypost second-factor show ann@acme.example")]
    Show {
        /// Address of the account
        address: String,
    },
    /// Take away that of somebody who has lost it, with all passkeys; the password alone opens again
    #[command(after_help = "Example:\n  pennypost second-factor reset ann@acme.example")]
    Reset {
        /// Address of the account
        address: String,
    },
    /// Let somebody in again who has lost password and second factor: by a password that is shown once and to be changed
    #[command(after_help = "Example:\n  pennypost second-factor recover ann@acme.example")]
    Recover {
        /// Address of the account
        address: String,
    },
    /// Say of whom one is wanted: without it a session is for setting one up, and for nothing else
    #[command(after_help = "Examples:
  pennypost second-factor require administrators --tenant acme
  pennypost second-factor require nobody")]
    Require {
        /// Of whom
        of: OfWhom,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Does what was asked.
pub(super) async fn run(
    office: &Office,
    command: &SecondFactorCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    match command {
        SecondFactorCommand::Show { address } => {
            let account = office.account(address, text).await?;
            let found = administration.second_factor(&OPERATOR, account.key).await;
            let found = found.map_err(|error| refused(error, text))?;
            let passkeys = administration.passkeys(&OPERATOR, account.key).await;
            let passkeys = passkeys.map_err(|error| refused(error, text))?;
            let mut said = match &found {
                None => say!(text, "second-factor-none"),
                Some(found) => {
                    let (since, codes) = (time(found.since), found.recovery_codes);
                    let said = say!(text, "second-factor-on", since = since, codes = codes);
                    if found.sms { format!("{said}\n{}", say!(text, "second-factor-sms")) } else { said }
                }
            };
            for passkey in &passkeys {
                let used = passkey.used.map_or_else(|| say!(text, "passkey-unused"), time);
                let (name, made) = (passkey.name.as_str(), time(passkey.created));
                let row = say!(text, "passkey-row", name = name, made = made, used = used);
                said = format!("{said}\n{row}");
            }
            let shown = |passkey: &Passkey| {
                json!({
                    "id": passkey.id.to_string(),
                    "name": passkey.name,
                    "created": passkey.created.rfc3339(),
                    "used": passkey.used.map(|used| used.rfc3339()),
                    "synced": passkey.is_synced,
                })
            };
            let document = json!({
                "address": account.address.to_string(),
                "passkeys": passkeys.iter().map(shown).collect::<Vec<_>>(),
                "on": found.is_some(),
                "authenticator": found.is_some_and(|found| found.authenticator),
                "sms": found.is_some_and(|found| found.sms),
                "since": found.map(|found| found.since.rfc3339()),
                "recovery_codes": found.map_or(0, |found| found.recovery_codes),
            });
            Ok(output.result(&said, &document)?)
        }
        SecondFactorCommand::Reset { address } => {
            let account = office.account(address, text).await?;
            let reset = administration.reset_second_factor(&OPERATOR, account.key).await;
            reset.map_err(|error| refused(error, text))?;
            let address = account.address.to_string();
            let said = say!(text, "second-factor-gone", address = address.as_str());
            Ok(output.result(&said, &json!({ "address": address, "on": false }))?)
        }
        SecondFactorCommand::Recover { address } => {
            let account = office.account(address, text).await?;
            let recovered = administration.recover_account(&OPERATOR, account.key).await;
            let password = recovered.map_err(|error| refused(error, text))?;
            let address = account.address.to_string();
            let document = json!({ "address": address, "password": password });
            Ok(output.result(
                &say!(text, "account-recovered", address = address, password = password),
                &document,
            )?)
        }
        SecondFactorCommand::Require { of, tenant } => {
            let wanted = Required::from(*of);
            let change = |rules: &mut pennypost_admin::SecurityRules| rules.second_factor = wanted;
            security::change(office, tenant.as_deref(), change, text, output).await
        }
    }
}
