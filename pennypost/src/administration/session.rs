//! `pennypost session …`: who is signed in over HTTP (AUT-21).

use clap::{Args, Subcommand};
use pennypost_directory::{Session, SessionId};
use serde_json::{Value, json};

use super::{OPERATOR, refused};
use crate::office::Office;
use crate::print::{Output, fitting, time};
use crate::text::Text;
use crate::{Failed, say};

/// Columns of what a client says that it is.
const COLUMNS: usize = 30;

/// Subcommands of `session`.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List the sessions of an account, the newest first
    #[command(after_help = "Example:\n  pennypost session list ann@acme.example")]
    List {
        /// Address of the account
        address: String,
    },
    /// End sessions of an account
    #[command(after_help = "Examples:
  pennypost session end ann@acme.example 00000000000000aa
  pennypost session end ann@acme.example --all")]
    End(EndArgs),
}

/// Arguments of `session end`.
#[derive(Debug, Args)]
pub struct EndArgs {
    /// Address of the account
    address: String,
    /// Their numbers, as `session list` tells them
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    sessions: Vec<SessionId>,
    /// All of them
    #[arg(long)]
    all: bool,
}

/// Does what was asked.
pub(super) async fn run(
    office: &Office,
    command: &SessionCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        SessionCommand::List { address } => {
            let key = office.account(address, text).await?.key;
            let sessions = office.administration().sessions(&OPERATOR, key).await;
            let sessions = sessions.map_err(|error| refused(error, text))?;
            let heads = vec![
                say!(text, "word-number"),
                say!(text, "word-since"),
                say!(text, "word-last-use"),
                say!(text, "word-expires"),
                say!(text, "word-from"),
                say!(text, "word-by"),
                say!(text, "word-program"),
            ];
            Ok(output.table(heads, sessions.iter().map(row).collect(), &say!(text, "sessions-none"))?)
        }
        SessionCommand::End(args) => end(office, args, text, output).await,
    }
}

fn row(session: &Session) -> (Vec<String>, Value) {
    let from = session.address.map(|address| address.to_string());
    let cells = vec![
        session.id.to_string(),
        time(session.created),
        time(session.used),
        time(session.expires),
        from.clone().unwrap_or_else(|| "-".to_owned()),
        session.by.name().to_owned(),
        fitting(&session.client, COLUMNS),
    ];
    let document = json!({
        "id": session.id.to_string(),
        "signed_in_by": session.by.name(),
        "client": session.client,
        "from": from,
        "created": session.created.rfc3339(),
        "used": session.used.rfc3339(),
        "expires": session.expires.rfc3339(),
        "confirmed": session.confirmed.map(|confirmed| confirmed.rfc3339()),
    });
    (cells, document)
}

async fn end(office: &Office, args: &EndArgs, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let account = office.account(&args.address, text).await?;
    let administration = office.administration();
    let ended = if args.all {
        let ended = administration.end_sessions(&OPERATOR, account.key).await;
        ended.map_err(|error| refused(error, text))?
    } else {
        for session in &args.sessions {
            let ended = administration.end_session(&OPERATOR, account.key, *session).await;
            ended.map_err(|error| refused(error, text))?;
        }
        args.sessions.len()
    };
    let address = account.address.to_string();
    let said = say!(text, "sessions-ended", address = address.as_str(), count = ended);
    Ok(output.result(&said, &json!({ "address": address, "ended": ended }))?)
}
