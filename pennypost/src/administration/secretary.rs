//! `pennypost secretary …`: members who act for another one (DLG-01 … DLG-04). Members choose them themselves, over the API.

use clap::Subcommand;
use pennypost_admin::Deputy;
use serde_json::{Value, json};

use super::{OPERATOR, refused};
use crate::office::Office;
use crate::print::{Output, clean, time};
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `secretary`.
#[derive(Debug, Subcommand)]
pub enum SecretaryCommand {
    /// List a member's secretaries, and who applies for it
    #[command(after_help = "Example:\n  pennypost secretary list chief@acme.example")]
    List {
        /// The address of the member
        owner: String,
    },
    /// List whose secretary somebody is
    #[command(after_help = "Example:\n  pennypost secretary of ann@acme.example")]
    Of {
        /// The address of the secretary
        secretary: String,
    },
    /// End that somebody is a member's secretary, or refuse the application
    #[command(after_help = "Example:\n  pennypost secretary end chief@acme.example ann@acme.example")]
    End {
        /// The address of the member
        owner: String,
        /// The address of the secretary
        secretary: String,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &SecretaryCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    match command {
        SecretaryCommand::List { owner } => {
            let owner = office.account(owner, text).await?.key;
            let listed = administration.secretaries(&OPERATOR, owner).await;
            list(&listed.map_err(|error| refused(error, text))?, text, output)
        }
        SecretaryCommand::Of { secretary } => {
            let secretary = office.account(secretary, text).await?.key;
            let listed = administration.secretary_of(&OPERATOR, secretary).await;
            list(&listed.map_err(|error| refused(error, text))?, text, output)
        }
        SecretaryCommand::End { owner, secretary } => {
            let (owner, secretary) =
                (office.account(owner, text).await?, office.account(secretary, text).await?);
            let ended = administration.end_secretary(&OPERATOR, owner.key, secretary.key.account).await;
            ended.map_err(|error| refused(error, text))?;
            let (owner, secretary) = (owner.address.to_string(), secretary.address.to_string());
            let document = json!({ "owner": &owner, "secretary": &secretary, "ended": true });
            let sentence = say!(text, "secretary-ended", owner = owner, secretary = secretary);
            Ok(output.result(&sentence, &document)?)
        }
    }
}

fn list(deputies: &[Deputy], text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let row = |deputy: &Deputy| {
        let address = deputy.address.as_ref().map_or_else(|| deputy.account.to_string(), ToString::to_string);
        let row =
            |scope: &str, until: String| vec![address.clone(), clean(&deputy.name), scope.to_owned(), until];
        // Who is a secretary may apply for something else: that is a row of its own.
        let granted = deputy.granted.map(|granted| row(granted.scope.name(), time(granted.until)));
        let applied =
            deputy.applied.map(|applied| row(applied.scope.name(), say!(text, "secretary-applies")));
        granted.into_iter().chain(applied).map(|cells| (cells, document(deputy))).collect::<Vec<_>>()
    };
    let rows = deputies.iter().flat_map(row).collect();
    let heads = vec![
        say!(text, "word-address"),
        say!(text, "word-name"),
        say!(text, "word-permissions"),
        say!(text, "secretary-until"),
    ];
    Ok(output.table(heads, rows, &say!(text, "secretary-none"))?)
}

/// A secretary, or whose somebody is, for programs.
fn document(deputy: &Deputy) -> Value {
    json!({
        "account": deputy.account.to_string(),
        "address": deputy.address.as_ref().map(ToString::to_string),
        "name": deputy.name,
        "granted": deputy.granted.map(|granted| json!({
            "scope": granted.scope.name(), "since": granted.since.rfc3339(), "until": granted.until.rfc3339(),
        })),
        "applied": deputy.applied.map(|applied| json!({
            "scope": applied.scope.name(), "term": applied.term.name(), "since": applied.since.rfc3339(),
        })),
    })
}
