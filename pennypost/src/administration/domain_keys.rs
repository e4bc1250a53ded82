//! `pennypost domain dkim list|add|withdraw|rotation`: keys with which letters of a domain are signed.

use clap::{Subcommand, ValueEnum};
use pennypost_domains::DkimRecord;
use pennypost_signing::{Algorithm, DomainKey, Rotation};
use serde_json::{Value, json};

use super::domain::whose;
use super::{OPERATOR, refused};
use crate::office::Office;
use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// RSA with 2,048 bits: what every server can check
    #[value(name = "rsa-2048")]
    Rsa,
    /// Ed25519: small and fast, beside a key of RSA
    Ed25519,
}

/// Subcommands of `domain dkim`.
#[derive(Debug, Subcommand)]
pub enum DkimCommand {
    /// List the keys of a domain
    #[command(after_help = "Example:\n  pennypost domain dkim list example.com")]
    List {
        /// The domain
        name: String,
    },
    /// Make keys; each is used as soon as “domain check” finds its record
    #[command(after_help = "Examples:
  pennypost domain dkim add example.com                       a key of each kind
  pennypost domain dkim add example.com --algorithm rsa-2048
The one before it goes on signing until then, and its record has to stay for some days after that.")]
    Add {
        /// The domain
        name: String,
        /// Which kind; one of each if nothing is said
        #[arg(long, value_enum)]
        algorithm: Option<Kind>,
    },
    /// End the use of a key at once, as of one that somebody else has
    #[command(after_help = "Example:\n  pennypost domain dkim withdraw example.com r20261122")]
    Withdraw {
        /// The domain
        name: String,
        /// The name of the key, as it is listed
        selector: String,
    },
    /// Show or say when keys are changed for new ones
    #[command(after_help = "Examples:
  pennypost domain dkim rotation example.com
  pennypost domain dkim rotation example.com --after 180 --publish 7
  pennypost domain dkim rotation example.com --never")]
    Rotation {
        /// The domain
        name: String,
        /// Days for which a key is used before a new one is made by itself
        #[arg(long, value_name = "DAYS", conflicts_with = "never")]
        after: Option<u16>,
        /// None is made by itself
        #[arg(long)]
        never: bool,
        /// Days for which the record of a key stays after another one has taken its place
        #[arg(long, value_name = "DAYS")]
        publish: Option<u16>,
    },
}

/// Does what was asked.
pub(crate) async fn run(
    office: &Office,
    command: &DkimCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    match command {
        DkimCommand::List { name } => {
            let tenant = whose(office, name, None, text).await?;
            let (domain, keys) = administration.domain_keys(&OPERATOR, tenant, name).await.map_err(told)?;
            let heads = vec![
                say!(text, "word-selector"),
                say!(text, "word-algorithm"),
                say!(text, "word-state"),
                say!(text, "word-since"),
            ];
            let rows = keys.keys.iter().map(|key| {
                let state = say!(text, "domain-key-state", state = key.state.name());
                let cells = vec![
                    key.selector.clone(),
                    key.algorithm.name().to_owned(),
                    state,
                    key.since.rfc3339().chars().take(10).collect(),
                ];
                (cells, document(domain.name.as_str(), key))
            });
            Ok(output.table(heads, rows.collect(), &say!(text, "domain-keys-none"))?)
        }
        DkimCommand::Add { name, algorithm } => {
            let tenant = whose(office, name, None, text).await?;
            let wanted = match algorithm {
                Some(Kind::Rsa) => vec![Algorithm::Rsa],
                Some(Kind::Ed25519) => vec![Algorithm::Ed25519],
                None => Algorithm::ALL.to_vec(),
            };
            for algorithm in wanted {
                let made = administration.add_domain_key(&OPERATOR, tenant, name, algorithm).await;
                let (domain, key) = made.map_err(told)?;
                let name = domain.name.as_str();
                if output.json {
                    output.line(&document(name, &key).to_string())?;
                    continue;
                }
                let record = DkimRecord {
                    selector: key.selector.clone(),
                    value: key.record(),
                    is_needed: key.needs_record(),
                };
                output.line(&say!(text, "domain-key-made", key = key.selector.as_str()))?;
                output.line(&record.wanted(name, 3_600).line())?;
            }
            Ok(())
        }
        DkimCommand::Withdraw { name, selector } => {
            let tenant = whose(office, name, None, text).await?;
            let withdrawn = administration.withdraw_domain_key(&OPERATOR, tenant, name, selector).await;
            withdrawn.map_err(told)?;
            let sentence = say!(text, "domain-key-withdrawn", key = selector.as_str());
            Ok(output.result(&sentence, &json!({ "selector": selector, "state": "removed" }))?)
        }
        DkimCommand::Rotation { name, after, never, publish } => {
            let tenant = whose(office, name, None, text).await?;
            let (_, keys) = administration.domain_keys(&OPERATOR, tenant, name).await.map_err(told)?;
            let mut rotation = keys.rotation;
            if *never {
                rotation.after_days = None;
            }
            rotation.after_days = after.or(rotation.after_days);
            rotation.publish_days = publish.unwrap_or(rotation.publish_days);
            if rotation != keys.rotation {
                let seen = keys.rotation;
                let changed =
                    administration.change_key_rotation(&OPERATOR, tenant, name, seen, rotation).await;
                rotation = changed.map_err(told)?.rotation;
            }
            let Rotation { after_days, publish_days } = rotation;
            let sentence = match after_days {
                Some(after) => say!(text, "domain-key-rotation", after = after, publish = publish_days),
                None => say!(text, "domain-key-no-rotation", publish = publish_days),
            };
            let document = json!({ "after_days": after_days, "publish_days": publish_days });
            Ok(output.result(&sentence, &document)?)
        }
    }
}

fn document(domain: &str, key: &DomainKey) -> Value {
    json!({
        "selector": key.selector,
        "algorithm": key.algorithm.name(),
        "state": key.state.name(),
        "made": key.made.rfc3339(),
        "since": key.since.rfc3339(),
        "name": format!("{}._domainkey.{domain}", key.selector),
        "value": key.record(),
    })
}
