//! `pennypost rules export`, `import` and `run`: a member's rules as a script of Sieve, and on mail that lies in a folder (RUL-04).

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use pennypost_admin::{AdminError, Administration, NewRulesRun, TaskState};
use pennypost_api::RulesDocument;
use pennypost_directory::DirectoryError;
use pennypost_directory::rules::RuleAction;
use pennypost_directory::rules::sieve::{self, SieveError};
use pennypost_model::Timestamp;
use serde_json::json;

use super::{OPERATOR, refused};
use crate::office::Office;
use crate::print::{Output, clean};
use crate::text::{Lang, Text};
use crate::{Failed, say};

/// Rules on mail that lies in a folder.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The address of the member
    member: String,
    /// The full name of a folder, with / between levels
    folder: String,
    /// A rule, by its name, whether or not it is on; all that are on, if none is named
    #[arg(long = "rule")]
    rules: Vec<String>,
}

/// Subcommands of `rules` about scripts and old mail.
#[derive(Debug, Subcommand)]
pub enum ScriptCommand {
    /// Print a member's rules as a script of Sieve, without lists of senders
    #[command(after_help = "Example:\n  pennypost rules export ann@example.com > ann.sieve")]
    Export {
        /// The address of the member
        member: String,
    },
    /// Say a member's rules anew by a script of Sieve; what they can't say of it is named, and then nothing is taken
    #[command(after_help = "Example:\n  pennypost rules import ann@example.com ann.sieve")]
    Import {
        /// The address of the member
        member: String,
        /// The script
        file: PathBuf,
    },
    /// Run rules on the mail that lies in a folder: nothing is forwarded or answered
    #[command(after_help = "Examples:
  pennypost rules run ann@example.com INBOX
  pennypost rules run ann@example.com Lists/2025 --rule Bills --rule Team
`pennypost task cancel` stops it; run again, it changes nothing more.")]
    Run(RunArgs),
}

/// Does what was asked.
pub(super) async fn run(
    office: &Office,
    command: &ScriptCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        ScriptCommand::Export { member } => export(office, member, text, output).await,
        ScriptCommand::Import { member, file } => import(office, member, file, text, output).await,
        ScriptCommand::Run(args) => args.run(office, text, output).await,
    }
}

async fn export(office: &Office, member: &str, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let administration = office.administration();
    let seen = administration.member_rules(&OPERATOR, key).await.map_err(|error| refused(error, text))?;
    let own = administration.directory().own_addresses(key).await?;
    let script = administration.rules_script(&seen, &own);
    Ok(output.result(script.trim_end(), &json!({ "script": script }))?)
}

async fn import(
    office: &Office,
    member: &str,
    file: &Path,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let path = file.display().to_string();
    let script = std::fs::read_to_string(file).map_err(|error| {
        Failed::Said(say!(text, "error-file", path = path.clone(), cause = error.to_string()))
    })?;
    let administration = office.administration();
    let seen = administration.member_rules(&OPERATOR, key).await.map_err(|error| refused(error, text))?;
    let own = administration.directory().own_addresses(key).await?;
    let read = sieve::read(&script, &own).map_err(|errors| told(&errors, text))?;
    let rules = Administration::by_script(&seen, read.rules.clone());
    let changed = administration.change_member_rules(&OPERATOR, key, &seen, rules).await;
    let changed = changed.map_err(|error| match error {
        AdminError::Directory(DirectoryError::MemberRules(error)) => told(&[read.error(error)], text),
        other => refused(other, text),
    })?;
    let count = changed.rules.rules.len();
    let sentence = say!(text, "rules-imported", member = member, rules = count, path = path);
    Ok(output.result(&sentence, &json!(RulesDocument::from(&changed)))?)
}

/// What a script can't say, a line for each.
fn told(errors: &[SieveError], text: &Text) -> Failed {
    let line = |error: &SieveError| match text.lang() {
        Lang::ZhCn => clean(&error.chinese()),
        Lang::En => clean(&error.to_string()),
    };
    Failed::Said(errors.iter().map(line).collect::<Vec<_>>().join("\n"))
}

impl RunArgs {
    /// Orders it and does it, beside a server that may be doing it, too.
    async fn run(&self, office: &Office, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
        let key = office.account(&self.member, text).await?.key;
        let (administration, failed) = (office.administration(), |error| refused(error, text));
        let seen = administration.member_rules(&OPERATOR, key).await.map_err(failed)?;
        let is_sent = |action: &RuleAction| {
            matches!(action, RuleAction::Forward(_) | RuleAction::Reply(_) | RuleAction::Refuse(_))
        };
        let sends = seen.rules.rules.iter().flat_map(|rule| &rule.actions).any(is_sent);
        let new = NewRulesRun { account: key, folder: self.folder.clone(), rules: self.rules.clone() };
        let id = administration.order_rules_run(&OPERATOR, new, None).await.map_err(failed)?.id;
        administration.work_on(key.tenant, id, Timestamp(i64::MAX)).await.map_err(failed)?;
        let task = administration.task(&OPERATOR, key.tenant, id).await.map_err(failed)?;
        if let Some(problem) = &task.problem {
            let [english, chinese] = problem.messages();
            return Err(Failed::Said(if text.lang() == Lang::ZhCn { chinese } else { english }));
        }
        let folder = task.kind.rules_run().map_or_else(String::new, |(folder, _)| clean(folder));
        let (looked, damaged) = (task.done, task.counts.refused);
        let changed = looked.saturating_sub(task.counts.skipped + damaged);
        let mut lines = match task.state {
            TaskState::Done => {
                let (folder, looked, changed) = (folder.as_str(), looked.to_string(), changed.to_string());
                vec![say!(text, "rules-run", folder = folder, looked = looked, changed = changed)]
            }
            _ => vec![say!(text, "rules-run-later", folder = folder.as_str(), id = id.to_string())],
        };
        if damaged > 0 {
            lines.push(say!(text, "rules-run-damaged", damaged = damaged.to_string()));
        }
        if sends {
            lines.push(say!(text, "rules-not-repeated"));
        }
        let document = json!({
            "task": id.to_string(), "state": task.state.name(), "folder": folder, "looked_at": looked,
            "changed": changed, "damaged": damaged,
        });
        Ok(output.result(&lines.join("\n"), &document)?)
    }
}

#[cfg(test)]
mod tests {
    use pennypost_fold::State;
    use pennypost_model::MailboxId;
    use pennypost_ports::Consistency;
    use serde_json::{Value, json};

    use super::super::tests::done;
    use crate::test_office::{self, TestOffice, documents};

    async fn state(it: &TestOffice) -> State {
        it.office.store.load(it.account.key, Consistency::Strong).await.expect("state")
    }

    async fn run(it: &TestOffice, line: &str) -> Result<Vec<Value>, String> {
        done(it, &format!("rules {line}"), true).await.map(|lines| documents(&lines))
    }

    fn file(it: &TestOffice, name: &str, content: &str) -> String {
        let path = it.dir.path().join(name);
        std::fs::write(&path, content).expect("written");
        path.display().to_string()
    }

    /// Feature RUL-01: rules are exported as a script of Sieve and imported from one, by commands
    #[tokio::test(flavor = "multi_thread")]
    async fn rules_go_out_as_a_script_and_come_back() {
        let it = test_office::office().await;
        let address = it.account.address.to_string();
        it.mailbox("Bills").await;
        let script = "require [\"fileinto\", \"imap4flags\"];\n# rule:[Bills]\n\
            if header :contains \"subject\" \"bill\" { addflag \"unpaid\"; fileinto \"Bills\"; stop; }\n\
            if address :is [\"to\", \"cc\"] \"ann@acme.example\" { addflag \"\\\\Flagged\"; }\n";
        run(&it, &format!("refuse {address} spam.example")).await.expect("refused");
        let said = run(&it, &format!("import {address} {}", file(&it, "good.sieve", script))).await;
        let said = said.expect("imported");
        let rule = json!({
            "name": "Bills", "enabled": true, "moment": "receive", "match": "all",
            "conditions": [{ "subject": { "words": ["bill"], "match": "any" } }],
            "actions": [{ "label": "unpaid" }, { "move": { "folder": "Bills" } }], "stop": true,
        });
        assert_eq!(said[0]["rules"][0], rule);
        assert_eq!(said[0]["rules"][1]["conditions"], json!(["to-me"]));
        assert_eq!(said[0]["blacklist"], json!(["spam.example"]), "lists stay");
        let exported = run(&it, &format!("export {address}")).await.expect("exported");
        let exported = exported[0]["script"].as_str().expect("a script").to_owned();
        assert!(
            exported.contains("# rule:[Bills]\r\n") && exported.contains("fileinto \"Bills\";"),
            "{exported}"
        );
        let again = run(&it, &format!("import {address} {}", file(&it, "again.sieve", &exported))).await;
        assert_eq!(again.expect("imported"), said);
        // Nothing is half taken, and all that is wrong is told with its place.
        let bad = "if true { discard; }\nif header :is \"from\" \"x\" { notify \"no\"; }";
        let refused = run(&it, &format!("import {address} {}", file(&it, "bad.sieve", bad))).await;
        let refused = refused.expect_err("refused");
        assert!(refused.contains("line 2, column 11") && refused.contains("notify"), "{refused}");
        let nowhere = "if true {\n fileinto \"Nowhere\"; }";
        let refused = run(&it, &format!("import {address} {}", file(&it, "nowhere.sieve", nowhere))).await;
        let refused = refused.expect_err("refused");
        assert!(refused.contains("line 2, column 11") && refused.contains("no such folder"), "{refused}");
        let listed = run(&it, &format!("show {address}")).await.expect("shown");
        assert_eq!(listed[0]["rules"], said[0]["rules"]);
    }

    /// Feature RUL-02: the full text is looked into on old mail, too; a trial, which reads no letters, says that it saw a part
    #[tokio::test(flavor = "multi_thread")]
    async fn rules_on_texts_are_said_tried_and_run() {
        let it = test_office::office().await;
        let address = it.account.address.to_string();
        let bills = it.mailbox("Bills").await;
        let letter = |subject: &str, text: &str| {
            format!(
                "From: Shop <shop@shop.example>\r\nTo: {address}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
                 Content-Type: text/html; charset=utf-8\r\n\r\n<style>secret</style><p>{text}</p>\r\n"
            )
            .into_bytes()
        };
        it.store(MailboxId::INBOX, &letter("one", "the <b>SECRET</b>\r\nplan"), &[]).await;
        it.store(MailboxId::INBOX, &letter("two", "hello"), &[]).await;
        it.store(MailboxId::INBOX, &letter("The secret plan", "hello"), &[]).await;
        it.store(MailboxId::INBOX, &letter("four", &format!("{} secret plan", "x ".repeat(200_000))), &[])
            .await;
        let script = "require [\"body\", \"fileinto\", \"reject\"];\n# rule:[No]\nif header :contains \"from\" \"shop\" { reject \"No.\"; }\n\
            # rule:[Text]\nif anyof (header :contains \"subject\" \"secret plan\", body :text :contains \"secret plan\") { fileinto \"Bills\"; }\n";
        let said = run(&it, &format!("import {address} {}", file(&it, "text.sieve", script))).await;
        let said = said.expect("imported");
        let words = json!({ "full-text": { "words": ["secret plan"], "match": "any" } });
        assert_eq!(said[0]["rules"][1]["conditions"], json!([words]));
        assert_eq!(said[0]["rules"][0]["actions"], json!([{ "refuse": "No." }]));
        let tried = run(&it, &format!("check {address}")).await.expect("tried");
        for one in &tried {
            // The subject is a part of the text.
            let is_told = one["subject"] == json!("The secret plan");
            assert_eq!((&one["partly"], &one["refused"]), (&json!(!is_told), &json!(true)), "{one}");
        }
        assert_eq!(tried.len(), 4);
        let ran = run(&it, &format!("run {address} INBOX")).await.expect("run");
        // Beyond the first 256 KB nobody looks, and nothing of old mail is refused.
        assert_eq!((&ran[0]["looked_at"], &ran[0]["changed"]), (&json!(4), &json!(2)));
        let after = state(&it).await;
        let rows = |id| after.mailbox(id).expect("a folder").rows.len();
        assert_eq!((rows(MailboxId::INBOX), rows(bills)), (2, 2));
    }

    /// Feature RUL-04 (part): rules are run on the mail of a folder by a command: moved, deleted, labelled, marked; neither forwarded nor answered
    #[tokio::test(flavor = "multi_thread")]
    async fn rules_are_run_on_old_mail() {
        let it = test_office::office().await;
        let address = it.account.address.to_string();
        let bills = it.mailbox("Bills").await;
        let letter = |subject: &str| {
            format!("From: Shop <shop@shop.example>\r\nTo: b@x.example, c@x.example, {address}\r\nSubject: {subject}\r\n\r\nhello")
                .into_bytes()
        };
        for number in 0..5 {
            it.store(MailboxId::INBOX, &letter(&format!("Your bill {number}")), &[]).await;
            it.store(MailboxId::INBOX, &letter(&format!("News {number}")), &[]).await;
        }
        it.store(MailboxId::INBOX, &letter("Old"), &[]).await;
        let script = "# rule:[Bills]\nif allof (header :contains \"subject\" \"BILL\", address :is [\"to\", \"cc\"] \"ann@acme.example\")\
            { addflag \"unpaid\"; fileinto \"Bills\"; }\n\
            # rule:[Old]\nif header :contains \"subject\" \"old\" { discard; }\n\
            # rule:[Off]\nif false # header :contains \"subject\" \"news\"\n{ addflag \"\\\\Seen\"; }\n\
            # rule:[Send]\nif true { redirect :copy \"bob@far.example\"; }\n";
        run(&it, &format!("import {address} {}", file(&it, "rules.sieve", script))).await.expect("imported");
        let ran = run(&it, &format!("run {address} inbox")).await.expect("run");
        assert_eq!(
            (&ran[0]["state"], &ran[0]["folder"], &ran[0]["looked_at"], &ran[0]["changed"]),
            (&json!("done"), &json!("INBOX"), &json!(11), &json!(6))
        );
        let after = state(&it).await;
        let rows = |id| after.mailbox(id).expect("a folder").rows.len();
        assert_eq!((rows(MailboxId::INBOX), rows(bills), rows(MailboxId::TRASH)), (5, 5, 1));
        let label = |flags| after.flags(flags).keywords.iter().any(|keyword| keyword.as_str() == "unpaid");
        assert!(after.mailbox(bills).expect("a folder").rows.iter().all(|row| label(row.flags)));
        // Again, it changes nothing; and a rule that is off is run where it is named.
        let again = run(&it, &format!("run {address} INBOX")).await.expect("run");
        assert_eq!((&again[0]["looked_at"], &again[0]["changed"]), (&json!(5), &json!(0)));
        assert_eq!(state(&it).await.seq, after.seq, "nothing was written");
        let named = run(&it, &format!("run {address} INBOX --rule off")).await.expect("run");
        assert_eq!(named[0]["changed"], json!(5));
        let said = done(&it, &format!("rules run {address} Bills"), false).await.expect("run").join("\n");
        assert!(said.contains("5") && said.contains("neither forwarded nor answered"), "{said}");
        for (bad, why) in [
            (format!("run {address} Nowhere"), "no such folder"),
            (format!("run {address} INBOX --rule Other"), "no such rule"),
            (format!("run {address} INBOX --rule Send"), "neither forwarded"),
        ] {
            let refused = run(&it, &bad).await.expect_err(&bad);
            assert!(refused.contains(why), "{bad}: {refused}");
        }
        let listed = done(&it, "task list", false).await.expect("listed").join("\n");
        assert!(listed.contains("rules") && listed.contains(&address), "{listed}");
    }
}
