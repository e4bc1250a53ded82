//! `pennypost sending content …`: which letters of members go by what stands in them (decision 0059).

use std::path::PathBuf;

use clap::Subcommand;
use pennypost_admin::{AdminError, TriedContents, content_condition};
use pennypost_api::ContentRulesDocument;
use pennypost_directory::content::ContentVerdict;
use pennypost_directory::{ContentRules, DirectoryError};
use serde_json::json;

use super::rules::read;
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, clean};
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `sending content`.
#[derive(Debug, Subcommand)]
pub enum ContentCommand {
    /// Show the rules, as they can be set
    #[command(after_help = "Example:\n  pennypost sending content show --tenant acme > rules.json")]
    Show {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say other rules, instead of all that there are
    #[command(after_help = "Example:
  pennypost sending content set rules.json --tenant acme
A file:
  { \"rules\": [{
      \"name\": \"Cards\", \"match\": \"any\", \"except\": [{ \"department\": 3 }],
      \"conditions\": [{ \"found\": { \"what\": \"bank-card\", \"least\": 3 } },
                     { \"words\": { \"in\": \"subject\", \"words\": [\"internal\", \"内部\"] } }],
      \"action\": { \"refuse\": { \"text\": \"Numbers of cards go by the portal only.\" } } }] }
Conditions: words, found (identity-card, bank-card, mobile, iban, mail-address), pattern, attachment, size, outside, encrypted, unread.
Actions: refuse, note.")]
    Set {
        /// A file of JSON
        file: PathBuf,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Tell what rules would say of a letter; nothing is changed
    #[command(after_help = "Examples:
  pennypost sending content check letter.eml
  pennypost sending content check letter.eml --rules new.json --sender ann@example.com --outside 3")]
    Check {
        /// A file with a letter: its header, an empty line, its text
        letter: PathBuf,
        /// Rules as for `set`; if nothing is said, those that hold
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
        /// Only the rules about letters of this account; if nothing is said, all that are on
        #[arg(long, value_name = "ADDRESS")]
        sender: Option<String>,
        /// To how many recipients outside it would go
        #[arg(long, default_value_t = 1)]
        outside: usize,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
}

fn rules_in(file: &std::path::Path, text: &Text) -> Result<ContentRules, Failed> {
    let meant = read::<ContentRulesDocument>(file, text)?.meant();
    meant.map_err(|problem| refused(AdminError::Content(problem), text))
}

fn show(rules: &ContentRules, output: &mut Output<'_>) -> Result<(), Failed> {
    let document = json!(ContentRulesDocument::from(rules));
    let shown = serde_json::to_string_pretty(&document).unwrap_or_default();
    Ok(output.result(&shown, &document)?)
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &ContentCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error: AdminError| refused(error, text);
    match command {
        ContentCommand::Show { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            let rules = administration.content_rules(&OPERATOR, tenant.id).await.map_err(told)?;
            show(&rules, output)
        }
        ContentCommand::Set { file, tenant: name } => {
            let rules = rules_in(file, text)?;
            let tenant = tenant(office, name.as_deref(), text).await?;
            let seen = administration.content_rules(&OPERATOR, tenant.id).await.map_err(told)?;
            administration.change_content_rules(&OPERATOR, tenant.id, &seen, &rules).await.map_err(told)?;
            show(&rules, output)
        }
        ContentCommand::Check { letter, rules, sender, outside, tenant: name } => {
            let path = letter.display().to_string();
            let raw = std::fs::read(letter).map_err(|error| {
                Failed::Said(say!(text, "error-file", path = path, cause = error.to_string()))
            })?;
            let rules = rules.as_deref().map(|file| rules_in(file, text)).transpose()?;
            let tenant = tenant(office, name.as_deref(), text).await?;
            let account = match sender {
                None => None,
                Some(address) => {
                    let key = office.account(address, text).await?.key;
                    if key.tenant != tenant.id {
                        return Err(DirectoryError::OtherTenant(address.clone()).into());
                    }
                    Some(key.account)
                }
            };
            let tried =
                administration.try_content_rules(&OPERATOR, tenant.id, rules, account, &raw, *outside).await;
            check(&tried.map_err(told)?, text, output)
        }
    }
}

fn check(tried: &TriedContents, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let mut rows = Vec::new();
    for tried in &tried.rules {
        for (condition, asked) in tried.rule.conditions.iter().zip(&tried.asked) {
            let word = |holds: bool| if holds { say!(text, "word-yes") } else { say!(text, "word-no") };
            let cells = vec![
                clean(&tried.rule.name),
                word(tried.holds),
                content_condition(condition).to_owned(),
                word(asked.holds),
                asked.found.map(|found| found.to_string()).unwrap_or_default(),
                asked.sample.as_deref().map(clean).unwrap_or_default(),
            ];
            let document = json!({
                "rule": tried.rule.name, "rule_holds": tried.holds, "condition": content_condition(condition),
                "holds": asked.holds, "found": asked.found, "sample": asked.sample,
            });
            rows.push((cells, document));
        }
    }
    let verdict = match &tried.verdict {
        ContentVerdict::Refused { rule, .. } => (say!(text, "content-refused"), clean(rule)),
        ContentVerdict::Goes { noted } => (say!(text, "content-goes"), clean(&noted.join(", "))),
    };
    let refused = match &tried.verdict {
        ContentVerdict::Refused { rule, .. } => Some(rule),
        ContentVerdict::Goes { .. } => None,
    };
    let document = json!({ "refused": refused, "encrypted": tried.is_encrypted, "unread": tried.is_unread });
    let none = || vec![String::new(); 4];
    rows.push(([vec![verdict.1, verdict.0], none()].concat(), document));
    let heads = vec![
        say!(text, "content-rule"),
        say!(text, "content-holds"),
        say!(text, "content-condition"),
        say!(text, "content-holds"),
        say!(text, "content-found"),
        say!(text, "content-sample"),
    ];
    Ok(output.table(heads, rows, "")?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::done;
    use crate::test_office;

    #[tokio::test(flavor = "multi_thread")]
    async fn rules_are_set_shown_and_tried_by_commands() {
        let it = test_office::office().await;
        let file = |name: &str, content: String| {
            let path = it.dir.path().join(name);
            std::fs::write(&path, content).expect("written");
            path.display().to_string()
        };
        let rules = |pattern: &str| {
            json!({ "rules": [{
                "name": "Cards", "match": "any",
                "conditions": [{ "found": { "what": "bank-card" } }, { "pattern": { "pattern": pattern } }],
                "action": { "refuse": { "text": "not by mail" } },
            }] })
            .to_string()
        };
        let (good, bad) = (file("good.json", rules("project-[0-9]+")), file("bad.json", rules("a(b")));
        let letter = file("letter.eml", "Subject: x\r\n\r\n4111 1111 1111 1111 and project-7\r\n".to_owned());
        let wrong = done(&it, &format!("sending content set {bad}"), false).await.expect_err("wrong");
        assert!(wrong.contains("character 2"), "{wrong}");
        let tried = done(&it, &format!("sending content check {letter} --rules {good}"), false).await;
        let tried = tried.expect("tried").join("\n");
        assert!(tried.contains("41****1") && tried.contains("pr****7") && !tried.contains("4111"), "{tried}");
        assert!(tried.contains("does not go"), "{tried}");
        let set = done(&it, &format!("sending content set {good}"), false).await.expect("set").join("\n");
        assert!(set.contains("\"not by mail\"") && set.contains("\"bank-card\""), "{set}");
        let shown = done(&it, "sending content show", false).await.expect("shown").join("\n");
        assert_eq!(shown, set);
        let address = it.account.address.to_string();
        let inside = format!("sending content check {letter} --sender {address} --outside 0");
        let inside = done(&it, &inside, false).await.expect("tried").join("\n");
        assert!(inside.contains("goes") && !inside.contains("41****1"), "{inside}");
    }
}
