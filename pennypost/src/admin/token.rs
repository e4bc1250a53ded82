//! `pennypost account token …`: passwords for one program each (CLI-08).

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::Action;
use pennypost_directory::{Token, TokenId, TokenScope};
use pennypost_ports::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::admin::output::Table;
use crate::admin::{AdminContext, AdminError};
use crate::say;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;
/// Longest life of a token that has an end.
const MAX_DAYS: i64 = 3_650;

/// Subcommands of `account token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is shown only once
    #[command(after_help = "Examples:\n  \
        pennypost account token create alice@example.com --name phone\n  \
        pennypost account token create alice@example.com --name backup --scope pop3 --expires 90")]
    Create(CreateArgs),
    /// List the tokens of an account; the tokens themselves are not told
    #[command(after_help = "Example:\n  pennypost account token list alice@example.com")]
    List {
        /// Address of the account
        address: String,
    },
    /// Make a token worthless; sessions that stand on it end
    #[command(after_help = "Example:\n  pennypost account token revoke alice@example.com 00c0ffee00c0ffee")]
    Revoke {
        /// Address of the account
        address: String,
        /// Number of the token, as listed
        id: TokenId,
    },
}

/// Arguments of `account token create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Address of the account
    pub address: String,
    /// What the token is for
    #[arg(long)]
    pub name: String,
    /// Days until it is worth nothing [default: no end]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=MAX_DAYS))]
    pub expires: Option<i64>,
    /// What it opens, more than one separated by commas [default: everything]
    #[arg(long, value_name = "PROTOCOLS", value_delimiter = ',')]
    pub scope: Vec<Protocol>,
}

/// What a token can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Protocol {
    /// IMAP
    Imap,
    /// POP3
    Pop3,
    /// SMTP: sending
    Smtp,
}

impl CreateArgs {
    fn token_scope(&self) -> TokenScope {
        let named: BTreeSet<Protocol> = self.scope.iter().copied().collect();
        if named.is_empty() {
            return TokenScope::ALL;
        }
        let opens = |protocol| named.contains(&protocol);
        TokenScope { imap: opens(Protocol::Imap), pop3: opens(Protocol::Pop3), smtp: opens(Protocol::Smtp) }
    }
}

impl TokenCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            TokenCommand::Create(arguments) => create(context, arguments).await,
            TokenCommand::List { address } => list(context, address).await,
            TokenCommand::Revoke { address, id } => revoke(context, address, *id).await,
        }
    }
}

async fn create(context: &AdminContext<'_>, arguments: &CreateArgs) -> Result<(), AdminError> {
    let account = context.account(&arguments.address).await?;
    let expires = arguments.expires.map(|days| SystemClock.now().plus_millis(days * DAY_MILLIS));
    let scope = arguments.token_scope();
    let after = json!({
        "name": arguments.name, "imap": scope.imap, "pop3": scope.pop3, "smtp": scope.smtp,
        "expires": expires.map(|end| end.rfc3339()),
    });
    let adding = context.directory.add_token(account.key, &arguments.name, scope, expires);
    let (token, secret) = context.recorded_of(&account, Action::TokenAdd, after, adding).await?;
    let (address, name) = (account.address.to_string(), token.name.clone());
    let mut document = document(&token);
    document["token"] = json!(secret);
    let sentence = say!(context.text, "token-created", address = address, name = name);
    context.print(&sentence, &document)?;
    if context.json { Ok(()) } else { context.line(&say!(context.text, "token-once", token = secret)) }
}

async fn list(context: &AdminContext<'_>, address: &str) -> Result<(), AdminError> {
    let text = &context.text;
    let account = context.account(address).await?;
    let heads = vec![
        say!(text, "word-number"),
        say!(text, "word-name"),
        say!(text, "word-scope"),
        say!(text, "word-created"),
        say!(text, "word-expires"),
        say!(text, "word-last-use"),
    ];
    let mut table = Table::new(context, heads);
    for token in context.directory.tokens(account.key).await? {
        let expires = token.expires.map_or_else(|| "-".to_owned(), |end| end.rfc3339());
        let (scope, created) = (scope_names(token.scope).join(","), token.created.rfc3339());
        let used = token.used.map_or_else(
            || say!(text, "word-never"),
            |used| format!("{} {} {}", crate::print::time(used.time), used.kind.name(), used.client),
        );
        let row = vec![token.id.to_string(), token.name.clone(), scope, created, expires, used];
        table.row(row, &document(&token))?;
    }
    table.finish(&say!(text, "tokens-none"))
}

async fn revoke(context: &AdminContext<'_>, address: &str, id: TokenId) -> Result<(), AdminError> {
    let account = context.account(address).await?;
    let address = account.address.to_string();
    let revoking = context.directory.revoke_token(account.key, id);
    let after = json!({ "token": id.to_string() });
    if !context.recorded_of(&account, Action::TokenRevoke, after, revoking).await? {
        let id = id.to_string();
        return Err(AdminError::Said(say!(context.text, "error-no-token", address = address, id = id)));
    }
    let sentence = say!(context.text, "token-revoked", address = &address, id = id.to_string());
    context.print(&sentence, &json!({ "address": address, "id": id.to_string(), "revoked": true }))
}

fn scope_names(scope: TokenScope) -> Vec<&'static str> {
    [("imap", scope.imap), ("pop3", scope.pop3), ("smtp", scope.smtp)]
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name)
        .collect()
}

/// A token for programs, without its secret.
fn document(token: &Token) -> Value {
    json!({
        "id": token.id.to_string(),
        "name": token.name,
        "scope": scope_names(token.scope),
        "created": token.created.rfc3339(),
        "expires": token.expires.map(|end| end.rfc3339()),
        "used": token.used.map(|used| json!({
            "time": used.time.rfc3339(),
            "address": used.client.to_string(),
            "kind": used.kind.name(),
        })),
    })
}
