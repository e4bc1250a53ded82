//! `pennypost secretary …`: members who act for another one (DLG-01 … DLG-04).

use clap::{Subcommand, ValueEnum};
use pennypost_admin::Deputy;
use pennypost_directory::{SecretaryScope, SecretaryTerm};
use serde_json::{Value, json};

use super::{OPERATOR, refused};
use crate::office::Office;
use crate::print::{Output, clean, time};
use crate::text::Text;
use crate::{Failed, say};

/// What a secretary may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Scope {
    /// Send mail that shows the owner as its sender
    SendAs,
    /// Send mail that shows who has sent it for the owner
    SendOnBehalf,
    /// All that the owner may do in his mailboxes
    Full,
}

/// For how long.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Term {
    /// 1 day
    #[value(name = "1-day")]
    Day,
    /// 7 days
    #[value(name = "1-week")]
    Week,
    /// 30 days
    #[value(name = "1-month")]
    Month,
    /// 90 days
    #[value(name = "3-months")]
    ThreeMonths,
    /// 180 days
    #[value(name = "6-months")]
    SixMonths,
}

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
    /// Make somebody a member's secretary, from now on
    #[command(
        after_help = "Example:\n  pennypost secretary grant chief@acme.example ann@acme.example --scope full --term 1-month"
    )]
    Grant {
        /// The address of the member
        owner: String,
        /// The address of the secretary
        secretary: String,
        /// What the secretary may do
        #[arg(long)]
        scope: Scope,
        /// For how long
        #[arg(long)]
        term: Term,
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

impl From<Scope> for SecretaryScope {
    fn from(scope: Scope) -> SecretaryScope {
        match scope {
            Scope::SendAs => SecretaryScope::SendAs,
            Scope::SendOnBehalf => SecretaryScope::SendOnBehalf,
            Scope::Full => SecretaryScope::Full,
        }
    }
}

impl From<Term> for SecretaryTerm {
    fn from(term: Term) -> SecretaryTerm {
        match term {
            Term::Day => SecretaryTerm::Day,
            Term::Week => SecretaryTerm::Week,
            Term::Month => SecretaryTerm::Month,
            Term::ThreeMonths => SecretaryTerm::ThreeMonths,
            Term::SixMonths => SecretaryTerm::SixMonths,
        }
    }
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
            list(listed.map_err(|error| refused(error, text))?, text, output)
        }
        SecretaryCommand::Of { secretary } => {
            let secretary = office.account(secretary, text).await?.key;
            let listed = administration.secretary_of(&OPERATOR, secretary).await;
            list(listed.map_err(|error| refused(error, text))?, text, output)
        }
        SecretaryCommand::Grant { owner, secretary, scope, term } => {
            let (owner, secretary) =
                (office.account(owner, text).await?, office.account(secretary, text).await?);
            if owner.key.tenant != secretary.key.tenant {
                let address = secretary.address.to_string();
                return Err(Failed::Said(say!(text, "error-no-account", name = address)));
            }
            let what = ((*scope).into(), (*term).into());
            let granting = administration.grant_secretary(&OPERATOR, owner.key, secretary.key.account, what);
            let deputy = granting.await.map_err(|error| refused(error, text))?;
            let until = deputy.granted.map(|granted| time(granted.until)).unwrap_or_default();
            let sentence = say!(
                text,
                "secretary-granted",
                owner = owner.address.to_string(),
                secretary = secretary.address.to_string(),
                until = until
            );
            Ok(output.result(&sentence, &document(&deputy))?)
        }
        SecretaryCommand::End { owner, secretary } => {
            let (owner, secretary) =
                (office.account(owner, text).await?, office.account(secretary, text).await?);
            let ending = administration.end_secretary(&OPERATOR, owner.key, secretary.key.account);
            ending.await.map_err(|error| refused(error, text))?;
            let (owner, secretary) = (owner.address.to_string(), secretary.address.to_string());
            let document = json!({ "owner": &owner, "secretary": &secretary, "ended": true });
            let sentence = say!(text, "secretary-ended", owner = owner, secretary = secretary);
            Ok(output.result(&sentence, &document)?)
        }
    }
}

fn list(deputies: Vec<Deputy>, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let row = |deputy: &Deputy| {
        let (scope, until) = match (deputy.granted, deputy.applied) {
            (Some(granted), _) => (granted.scope.name(), time(granted.until)),
            (None, Some(applied)) => (applied.scope.name(), say!(text, "secretary-applies")),
            (None, None) => ("-", String::new()),
        };
        let address = deputy.address.as_ref().map_or_else(|| deputy.account.to_string(), ToString::to_string);
        (vec![address, clean(&deputy.name), scope.to_owned(), until], document(deputy))
    };
    let rows = deputies.iter().map(row).collect();
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
