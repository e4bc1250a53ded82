//! `pennypost sign-in provider …`: providers of identities by which members sign in (AUT-01).

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::{Matching, NewProvider, Provider, ProviderChange, ProviderId};
use serde_json::{Value, json};

use super::super::{OPERATOR, refused, tenant};
use super::{Switch, Whose};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// Whom a provider lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Match {
    /// Members who have bound themselves to it
    Bound,
    /// These, and whose address it says that it has verified
    Email,
}

impl From<Match> for Matching {
    fn from(matching: Match) -> Matching {
        match matching {
            Match::Bound => Matching::Bound,
            Match::Email => Matching::Email,
        }
    }
}

/// Subcommands of `sign-in provider`.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// List them
    #[command(after_help = "Example:\n  pennypost sign-in provider list --tenant acme")]
    List(Whose),
    /// Add one; its secret is read from a file
    #[command(after_help = "Example:
  pennypost sign-in provider add 'Acme ID' --issuer https://id.acme.example --client pennypost --secret-file secret")]
    Add(AddArgs),
    /// Change one
    #[command(after_help = "Examples:
  pennypost sign-in provider change 00c5a1b2d3e4f506 --state off
  pennypost sign-in provider change 00c5a1b2d3e4f506 --secret-file secret")]
    Change(ChangeArgs),
    /// Remove one: it lets nobody in any more
    #[command(after_help = "Example:\n  pennypost sign-in provider remove 00c5a1b2d3e4f506")]
    Remove {
        /// Its number, as `list` tells it
        id: ProviderId,
        /// Whose it is
        #[command(flatten)]
        whose: Whose,
    },
}

/// Arguments of `sign-in provider add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// What members call it
    name: String,
    /// Its issuer, as it stands in its ID tokens
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// As whom this post office is known to it
    #[arg(long, value_name = "ID")]
    client: String,
    /// The file with the client secret, which is sealed
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// Whom it lets in
    #[arg(long, value_name = "WHOM", default_value = "bound")]
    matching: Match,
    /// Whose it is
    #[command(flatten)]
    whose: Whose,
}

/// Arguments of `sign-in provider change`.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// Its number, as `list` tells it
    id: ProviderId,
    /// What members call it
    #[arg(long)]
    name: Option<String>,
    /// As whom this post office is known to it
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// The file with another client secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Whom it lets in
    #[arg(long, value_name = "WHOM")]
    matching: Option<Match>,
    /// Does it let anybody in at all?
    #[arg(long)]
    state: Option<Switch>,
    /// Whose it is
    #[command(flatten)]
    whose: Whose,
}

fn secret(path: &Path, text: &Text) -> Result<String, Failed> {
    let read = std::fs::read_to_string(path).map(|secret| secret.trim_end_matches(['\r', '\n']).to_owned());
    read.map_err(|error| {
        let (file, cause) = (path.display().to_string(), error.to_string());
        Failed::Said(say!(text, "error-file", path = file, cause = cause))
    })
}

/// Does what was asked.
pub(super) async fn run(
    office: &Office,
    command: &ProviderCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    match command {
        ProviderCommand::List(whose) => {
            let tenant = tenant(office, whose.tenant.as_deref(), text).await?;
            let found = administration.providers(&OPERATOR, tenant.id).await.map_err(told)?;
            let rows = found.iter().map(|provider| row(provider, text)).collect();
            let heads = vec![
                say!(text, "word-number"),
                say!(text, "word-name"),
                say!(text, "word-issuer"),
                say!(text, "word-lets-in"),
                say!(text, "word-since"),
            ];
            Ok(output.table(heads, rows, &say!(text, "providers-none"))?)
        }
        ProviderCommand::Add(args) => {
            let tenant = tenant(office, args.whose.tenant.as_deref(), text).await?;
            let new = NewProvider {
                name: args.name.clone(),
                issuer: args.issuer.clone(),
                client: args.client.clone(),
                secret: secret(&args.secret_file, text)?,
                matching: args.matching.into(),
            };
            let added = administration.add_provider(&OPERATOR, tenant.id, &new).await.map_err(told)?;
            let id = added.id.to_string();
            Ok(output.result(&say!(text, "provider-added", id = id), &document(&added))?)
        }
        ProviderCommand::Change(args) => {
            let tenant = tenant(office, args.whose.tenant.as_deref(), text).await?;
            let seen = administration.provider(&OPERATOR, tenant.id, args.id).await.map_err(told)?;
            let change = ProviderChange {
                name: args.name.clone().unwrap_or_else(|| seen.name.clone()),
                client: args.client.clone().unwrap_or_else(|| seen.client.clone()),
                secret: args.secret_file.as_deref().map(|path| secret(path, text)).transpose()?,
                matching: args.matching.map_or(seen.matching, Matching::from),
                on: args.state.map_or(seen.on, |state| state == Switch::On),
            };
            let changed = administration.change_provider(&OPERATOR, tenant.id, &seen, &change).await;
            let changed = changed.map_err(told)?;
            let id = changed.id.to_string();
            Ok(output.result(&say!(text, "provider-changed", id = id), &document(&changed))?)
        }
        ProviderCommand::Remove { id, whose } => {
            let tenant = tenant(office, whose.tenant.as_deref(), text).await?;
            administration.remove_provider(&OPERATOR, tenant.id, *id).await.map_err(told)?;
            let id = id.to_string();
            Ok(output.result(&say!(text, "provider-removed", id = id.as_str()), &json!({ "id": id }))?)
        }
    }
}

fn row(provider: &Provider, text: &Text) -> (Vec<String>, Value) {
    let lets_in = match (provider.on, provider.matching) {
        (false, _) => say!(text, "provider-off"),
        (true, Matching::Bound) => say!(text, "provider-bound"),
        (true, Matching::Email) => say!(text, "provider-email"),
    };
    let Provider { id, name, issuer, created, .. } = provider;
    let cells = vec![id.to_string(), name.clone(), issuer.clone(), lets_in, time(*created)];
    (cells, document(provider))
}

fn document(provider: &Provider) -> Value {
    json!({
        "id": provider.id.to_string(),
        "name": provider.name,
        "issuer": provider.issuer,
        "client_id": provider.client,
        "matching": provider.matching.name(),
        "on": provider.on,
        "created": provider.created.rfc3339(),
    })
}
