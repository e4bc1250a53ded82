//! `pennypost key …`: keys of the API.

use clap::{Args, Subcommand};
use pennypost_admin::{ApiKey, Book, Holder, KeyId, NewKey, Permission, Permissions};
use pennypost_directory::Page;
use serde_json::{Value, json};

use super::{OPERATOR, permissions, refused, shown, tenant};
use crate::office::Office;
use crate::print::{Output, clean};
use crate::text::Text;
use crate::{Failed, say};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;
/// Longest life of a key that has an end.
const MAX_DAYS: i64 = 3_650;

/// Whose keys.
#[derive(Debug, Args)]
pub struct Whose {
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long, conflicts_with = "operator")]
    tenant: Option<String>,
    /// Keys of operators, for the whole installation
    #[arg(long)]
    operator: bool,
}

/// Subcommands of `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key for a program; it is shown only once
    #[command(after_help = "Examples:
  pennypost key add hr --tenant acme --scope members:write,groups:write
  pennypost key add entra --tenant acme --scope provisioning:write --expires 365
  pennypost key add backup --operator --scope installation:read --expires 90
  pennypost key add own --tenant acme --account ann@acme.example
Scopes are AREA:read or AREA:write; areas: tenant domains members groups policies administrators keys log dangerous
sign-on notices, provisioning (another directory over SCIM), and installation for operators.")]
    Add {
        /// What it is for
        name: String,
        /// Whose it is
        #[command(flatten)]
        whose: Whose,
        /// What it may be used for, more than one separated by commas [default: everything that its holder may do]
        #[arg(long, value_name = "SCOPES", value_delimiter = ',')]
        scope: Vec<Permission>,
        /// The account as which it acts: with what the account may do, of its scopes
        #[arg(long, value_name = "ADDRESS", conflicts_with = "operator")]
        account: Option<String>,
        /// Days until it is worth nothing [default: no end]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=MAX_DAYS))]
        expires: Option<i64>,
    },
    /// List keys; the keys themselves are not told
    #[command(after_help = "Example:\n  pennypost key list --tenant acme")]
    List {
        /// Whose
        #[command(flatten)]
        whose: Whose,
    },
    /// Make a key worthless, from the next call on
    #[command(after_help = "Example:\n  pennypost key revoke 00c0ffee00c0ffee --tenant acme")]
    Revoke {
        /// Its number, as listed
        id: KeyId,
        /// Whose it is
        #[command(flatten)]
        whose: Whose,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &KeyCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        KeyCommand::Add { name, whose, scope, account, expires } => {
            let book = book(office, whose, text).await?;
            let holder = match account {
                None => Holder::Program,
                Some(address) => Holder::Account(office.account(address, text).await?.key.account),
            };
            let everything = if book.is_some() { Permissions::of_tenant() } else { Permissions::all() };
            let permissions = if scope.is_empty() { everything } else { permissions(scope) };
            let expires = expires.map(|days| office.clock.now().plus_millis(days * DAY_MILLIS));
            let new = NewKey { name: name.clone(), holder, permissions, expires };
            let made = office.administration().add_key(&OPERATOR, book, new).await;
            let (key, secret) = made.map_err(|error| refused(error, text))?;
            let mut document = document(&key);
            document["key"] = json!(secret);
            let (name, id) = (clean(&key.name), key.id.to_string());
            output.result(&say!(text, "key-added", name = name, id = id), &document)?;
            if !output.json {
                output.line(&say!(text, "key-once", key = secret))?;
            }
            Ok(())
        }
        KeyCommand::List { whose } => list(office, whose, text, output).await,
        KeyCommand::Revoke { id, whose } => {
            let book = book(office, whose, text).await?;
            let revoked = office.administration().revoke_key(&OPERATOR, book, *id).await;
            revoked.map_err(|error| refused(error, text))?;
            let id = id.to_string();
            let document = json!({ "id": id, "revoked": true });
            Ok(output.result(&say!(text, "key-revoked", id = id), &document)?)
        }
    }
}

async fn book(office: &Office, whose: &Whose, text: &Text) -> Result<Book, Failed> {
    if whose.operator {
        return Ok(None);
    }
    Ok(Some(tenant(office, whose.tenant.as_deref(), text).await?.id))
}

async fn list(office: &Office, whose: &Whose, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let book = book(office, whose, text).await?;
    let administration = office.administration();
    let (mut page, mut rows) = (Page::default(), Vec::new());
    loop {
        let listed = administration.keys(&OPERATOR, book, &page).await;
        let listed = listed.map_err(|error| refused(error, text))?;
        for key in &listed.items {
            let account = match key.holder {
                Holder::Program => "-".to_owned(),
                Holder::Account(account) => account.to_string(),
            };
            let time = |time: Option<pennypost_model::Timestamp>| {
                time.map_or_else(|| "-".to_owned(), crate::print::time)
            };
            let scopes = shown(&key.permissions).join(",");
            let cells = vec![
                key.id.to_string(),
                clean(&key.name),
                account,
                scopes,
                time(key.expires),
                time(key.used),
            ];
            rows.push((cells, document(key)));
        }
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let heads = vec![
        say!(text, "word-number"),
        say!(text, "word-name"),
        say!(text, "word-account"),
        say!(text, "word-scope"),
        say!(text, "word-expires"),
        say!(text, "word-used"),
    ];
    Ok(output.table(heads, rows, &say!(text, "keys-none"))?)
}

/// A key for programs, without its secret.
fn document(key: &ApiKey) -> Value {
    let account = match key.holder {
        Holder::Program => None,
        Holder::Account(account) => Some(account.to_string()),
    };
    json!({
        "id": key.id.to_string(),
        "name": key.name,
        "account": account,
        "permissions": shown(&key.permissions),
        "created": key.created.rfc3339(),
        "expires": key.expires.map(|end| end.rfc3339()),
        "used": key.used.map(|hour| hour.rfc3339()),
    })
}
