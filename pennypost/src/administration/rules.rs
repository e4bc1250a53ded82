//! `pennypost rules …`: what a member says of the letters that he receives: rules (RUL-01 … RUL-05) and lists of senders
//! (RCV-07, RCV-08), and how they are answered and forwarded by themselves (RUL-06, RUL-07). Files hold what the API takes and
//! shows.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::{AdminError, MAX_TRIED, SeenAutomatic, SeenRules, Tried, way_names};
use pennypost_api::{AutomaticDocument, RuleDocument, RulesDocument};
use pennypost_directory::rules::{AutoForward, AutoReply, Automatic, Period, RulesError, RulesFault};
use pennypost_directory::{DirectoryError, MailAddress, MemberRules, SenderPattern};
use pennypost_model::{AccountKey, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::rules_script::{self, ScriptCommand};
use super::{OPERATOR, refused};
use crate::office::Office;
use crate::print::{Output, clean, time};
use crate::text::Text;
use crate::{Failed, say};

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is asked
    On,
    /// It stays, and is not asked
    Off,
}

/// Senders for a list.
#[derive(Debug, Args)]
pub struct Senders {
    /// The address of the member
    member: String,
    /// Addresses and domains; a domain means those below it, too
    #[arg(required = true)]
    senders: Vec<String>,
    /// Take them out of the list
    #[arg(long)]
    lift: bool,
}

/// How letters are answered.
#[derive(Debug, Args)]
pub struct ReplyArgs {
    /// The address of the member
    member: String,
    /// What they are answered with, 400 characters at most
    #[arg(long)]
    text: Option<String>,
    /// What the answer is about; what the letter is about, if nothing is said
    #[arg(long, requires = "text")]
    subject: Option<String>,
    /// What members of the organisation are answered
    #[arg(long, requires = "text")]
    to_colleagues: Option<String>,
    /// Answer members of the organisation only
    #[arg(long, requires = "text")]
    only_colleagues: bool,
    /// From then on, in the time zone
    #[arg(long, requires_all = ["text", "zone"])]
    from: Option<String>,
    /// Until then, in the time zone
    #[arg(long, requires_all = ["text", "zone"])]
    until: Option<String>,
    /// The time zone
    #[arg(long, requires = "text")]
    zone: Option<String>,
    #[command(flatten)]
    state: State,
}

/// What becomes of what was said before.
#[derive(Debug, Args)]
pub struct State {
    /// Go on with what was said before
    #[arg(long)]
    on: bool,
    /// Stop, and keep what was said
    #[arg(long, conflicts_with = "on")]
    off: bool,
    /// Forget what was said
    #[arg(long, conflicts_with_all = ["on", "off"])]
    remove: bool,
}

/// Where letters are forwarded.
#[derive(Debug, Args)]
pub struct ForwardArgs {
    /// The address of the member
    member: String,
    /// Addresses, 3 at most
    to: Vec<String>,
    /// They do not stay in the mailbox, but lie in Trash
    #[arg(long, requires = "to")]
    away: bool,
    #[command(flatten)]
    state: State,
}

/// Subcommands of `rules`.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// List a member's rules, in the order in which they are asked
    #[command(after_help = "Example:\n  pennypost rules list ann@example.com")]
    List {
        /// The address of the member
        member: String,
    },
    /// Print rules and lists as a file for `set`
    #[command(after_help = "Example:\n  pennypost rules show ann@example.com > ann.json")]
    Show {
        /// The address of the member
        member: String,
    },
    /// Say rules and lists anew, as a file has them: what it leaves out is said no more
    #[command(after_help = "Example:\n  pennypost rules set ann@example.com ann.json
A file:
  { \"blacklist\": [\"spam.example\"], \"rules\": [{
      \"name\": \"Bills\", \"match\": \"all\",
      \"conditions\": [\"to-me\", { \"subject\": { \"words\": [\"invoice\", \"bill\"] } }],
      \"actions\": [{ \"move\": { \"folder\": \"Bills\" } }, { \"label\": \"unpaid\" }], \"stop\": true }] }")]
    Set {
        /// The address of the member
        member: String,
        /// A file of JSON
        file: PathBuf,
    },
    /// Add a rule behind the others
    #[command(after_help = "Example:\n  pennypost rules add ann@example.com bills.json --first
The file holds one rule, as `set` has several.")]
    Add {
        /// The address of the member
        member: String,
        /// A file of JSON
        file: PathBuf,
        /// Before all others
        #[arg(long)]
        first: bool,
    },
    /// Remove a rule
    #[command(after_help = "Example:\n  pennypost rules remove ann@example.com Bills")]
    Remove {
        /// The address of the member
        member: String,
        /// What the rule is called
        name: String,
    },
    /// Switch a rule on or off
    #[command(after_help = "Example:\n  pennypost rules switch ann@example.com Bills off")]
    Switch {
        /// The address of the member
        member: String,
        /// What the rule is called
        name: String,
        /// What it is to be
        to: Switch,
    },
    /// Put senders into a member's blacklist: their letters go to Junk
    #[command(after_help = "Example:\n  pennypost rules refuse ann@example.com spam.example")]
    Refuse(Senders),
    /// Put senders into a member's whitelist: their letters are not taken for spam
    #[command(after_help = "Example:\n  pennypost rules trust ann@example.com friend@example.org")]
    Trust(Senders),
    /// Show how a member's letters are answered and forwarded by themselves, and what of it is carried out
    #[command(after_help = "Example:\n  pennypost rules automatic ann@example.com")]
    Automatic {
        /// The address of the member
        member: String,
    },
    /// Answer a member's letters by themselves: each sender once in seven days
    #[command(after_help = "Examples:
  pennypost rules reply ann@example.com --text 'I am away until Monday.'
  pennypost rules reply ann@example.com --text 'At the sea.' --from 2026-12-24T18:00 --until 2027-01-04 --zone Asia/Shanghai
  pennypost rules reply ann@example.com --off")]
    Reply(ReplyArgs),
    /// Forward a member's letters by themselves; an address elsewhere gets them when its owner has agreed
    #[command(after_help = "Examples:
  pennypost rules forward ann@example.com bob@example.com
  pennypost rules forward ann@example.com ann@elsewhere.example --away
  pennypost rules forward ann@example.com --off
An organisation lets its members forward by `pennypost sending forwarding`.")]
    Forward(ForwardArgs),
    // Each of its commands says what it is.
    #[allow(missing_docs)]
    #[command(flatten)]
    Script(ScriptCommand),
    /// Show what rules would do to a member's last letters; nothing is changed
    #[command(after_help = "Examples:
  pennypost rules check ann@example.com
  pennypost rules check ann@example.com --file new.json --letters 20")]
    Check {
        /// The address of the member
        member: String,
        /// Rules as for `set`; if nothing is said, those of the member
        #[arg(long)]
        file: Option<PathBuf>,
        /// How many letters, 100 at most
        #[arg(long, default_value_t = MAX_TRIED)]
        letters: usize,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &RulesCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        RulesCommand::List { member } => {
            let key = office.account(member, text).await?.key;
            list(&seen(office, key, text).await?, text, output)
        }
        RulesCommand::Show { member } => {
            let key = office.account(member, text).await?.key;
            let document = document(&seen(office, key, text).await?);
            let shown = serde_json::to_string_pretty(&document).unwrap_or_default();
            Ok(output.result(&shown, &document)?)
        }
        RulesCommand::Set { member, file } => {
            let rules = rules_in(file, text)?;
            let replace = |said: &mut MemberRules| {
                *said = rules;
                Ok(())
            };
            change(office, member, replace, text, output).await
        }
        RulesCommand::Add { member, file, first } => {
            let rule: RuleDocument = read(file, text)?;
            let add = |said: &mut MemberRules| {
                let place = if *first { 0 } else { said.rules.len() };
                said.rules
                    .insert(place, rule.meant_at(&format!("/rules/{place}")).map_err(|e| bad(e, text))?);
                Ok(())
            };
            change(office, member, add, text, output).await
        }
        RulesCommand::Remove { member, name } => {
            let remove = |said: &mut MemberRules| {
                let place = place_of(said, name, text)?;
                said.rules.remove(place);
                Ok(())
            };
            change(office, member, remove, text, output).await
        }
        RulesCommand::Switch { member, name, to } => {
            let switch = |said: &mut MemberRules| {
                let place = place_of(said, name, text)?;
                said.rules[place].enabled = *to == Switch::On;
                Ok(())
            };
            change(office, member, switch, text, output).await
        }
        RulesCommand::Refuse(senders) => {
            let put = |said: &mut MemberRules| senders.put(&mut said.blacklist, "blacklist", text);
            change(office, &senders.member, put, text, output).await
        }
        RulesCommand::Trust(senders) => {
            let put = |said: &mut MemberRules| senders.put(&mut said.whitelist, "whitelist", text);
            change(office, &senders.member, put, text, output).await
        }
        RulesCommand::Automatic { member } => {
            let seen = seen_automatic(office, office.account(member, text).await?.key, text).await?;
            show_automatic(member, &seen, text, output)
        }
        RulesCommand::Reply(args) => {
            let say = |automatic: &mut Automatic| args.say(&mut automatic.reply, text);
            change_automatic(office, &args.member, say, text, output).await
        }
        RulesCommand::Forward(args) => {
            let say = |automatic: &mut Automatic| args.say(&mut automatic.forward, text);
            change_automatic(office, &args.member, say, text, output).await
        }
        RulesCommand::Script(command) => rules_script::run(office, command, text, output).await,
        RulesCommand::Check { member, file, letters } => {
            let key = office.account(member, text).await?.key;
            let rules = file.as_deref().map(|file| rules_in(file, text)).transpose()?;
            let tried = office.administration().try_member_rules(&OPERATOR, key, rules, *letters).await;
            check(&tried.map_err(|error| refused(error, text))?, text, output)
        }
    }
}

impl Senders {
    fn put(&self, list: &mut Vec<SenderPattern>, name: &str, text: &Text) -> Result<(), Failed> {
        for (number, sender) in self.senders.iter().enumerate() {
            let wrong = |error| bad(RulesFault::Sender(error).at(format!("/{name}/{number}")), text);
            let sender = SenderPattern::parse(sender).map_err(wrong)?;
            list.retain(|listed| *listed != sender);
            if !self.lift {
                list.push(sender);
            }
        }
        Ok(())
    }
}

impl ReplyArgs {
    fn say(&self, reply: &mut Option<AutoReply>, text: &Text) -> Result<(), Failed> {
        if let Some(said) = &self.text {
            let period = match &self.zone {
                None => None,
                Some(zone) => {
                    let moment = |moment: &Option<String>, name: &str| {
                        let wrong = || bad(RulesFault::Period.at(format!("/reply/period/{name}")), text);
                        moment.as_ref().map(|it| Period::moment(it, zone).ok_or_else(wrong)).transpose()
                    };
                    let (from, until) = (moment(&self.from, "from")?, moment(&self.until, "until")?);
                    Some(Period { from, until, zone: zone.clone() })
                }
            };
            *reply = Some(AutoReply {
                enabled: true,
                subject: self.subject.clone().unwrap_or_default(),
                text: said.trim().to_owned(),
                to_colleagues: self.to_colleagues.clone(),
                only_colleagues: self.only_colleagues,
                period,
            });
        }
        self.state.say(reply, self.text.is_some(), |reply, on| reply.enabled = on, text)
    }
}

impl ForwardArgs {
    fn say(&self, forward: &mut Option<AutoForward>, text: &Text) -> Result<(), Failed> {
        if !self.to.is_empty() {
            let target = |(number, to): (usize, &String)| {
                let wrong = |error| bad(RulesFault::Target(error).at(format!("/forward/to/{number}")), text);
                MailAddress::parse(to).map_err(wrong)
            };
            let to = self.to.iter().enumerate().map(target).collect::<Result<_, Failed>>()?;
            *forward = Some(AutoForward { enabled: true, to, keep: !self.away });
        }
        self.state.say(forward, !self.to.is_empty(), |forward, on| forward.enabled = on, text)
    }
}

impl State {
    fn say<T>(
        &self,
        said: &mut Option<T>,
        is_said: bool,
        switch: impl FnOnce(&mut T, bool),
        text: &Text,
    ) -> Result<(), Failed> {
        if self.remove {
            *said = None;
            return Ok(());
        }
        if self.on || self.off {
            let said = said.as_mut().ok_or_else(|| Failed::Said(say!(text, "automatic-nothing")))?;
            switch(said, self.on);
        } else if !is_said {
            return Err(Failed::Said(say!(text, "automatic-nothing")));
        }
        Ok(())
    }
}

async fn seen_automatic(office: &Office, key: AccountKey, text: &Text) -> Result<SeenAutomatic, Failed> {
    office.administration().automatic(&OPERATOR, key).await.map_err(|error| refused(error, text))
}

/// Changes how letters are answered and forwarded, and shows it.
async fn change_automatic(
    office: &Office,
    member: &str,
    change: impl FnOnce(&mut Automatic) -> Result<(), Failed>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let seen = seen_automatic(office, key, text).await?;
    let mut automatic = seen.automatic.clone();
    change(&mut automatic)?;
    let changed = office.administration().change_automatic(&OPERATOR, key, &seen, &automatic).await;
    show_automatic(member, &changed.map_err(|error| refused(error, text))?, text, output)
}

fn show_automatic(
    member: &str,
    seen: &SeenAutomatic,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let Automatic { reply, forward } = &seen.automatic;
    let state = |on: Option<bool>| match on {
        None => say!(text, "automatic-none"),
        Some(true) => say!(text, "word-on"),
        Some(false) => say!(text, "word-off"),
    };
    let answered = state(reply.as_ref().map(|reply| reply.enabled));
    let mut lines = vec![format!("{}: {answered}", say!(text, "automatic-reply"))];
    if let Some(period) = reply.as_ref().and_then(|reply| reply.period.as_ref()) {
        let shown = |moment: Option<Timestamp>| moment.map_or_else(|| "–".to_owned(), |it| period.shown(it));
        let (from, until, zone) = (shown(period.from), shown(period.until), period.zone.as_str());
        lines.push(say!(text, "automatic-period", from = from, until = until, zone = zone));
    }
    lines.extend(reply.iter().map(|reply| clean(&reply.text)));
    let forwarded = state(forward.as_ref().map(|forward| forward.enabled));
    let is_kept = forward.as_ref().is_some_and(|forward| forward.enabled && forward.keep);
    let kept = if is_kept { format!(" {}", say!(text, "automatic-kept")) } else { String::new() };
    lines.push(format!("{}: {forwarded}{kept}", say!(text, "automatic-forward")));
    for (address, state) in way_names(&seen.ways) {
        lines.push(say!(text, "automatic-target", address = address, state = state));
    }
    if forward.is_some() && !seen.may_forward {
        lines.push(say!(text, "automatic-may-not", member = member));
    }
    Ok(output.result(&lines.join("\n"), &json!(AutomaticDocument::from(seen)))?)
}

fn bad(error: RulesError, text: &Text) -> Failed {
    refused(AdminError::Directory(DirectoryError::MemberRules(error)), text)
}

/// What a file of JSON says.
pub(super) fn read<T: DeserializeOwned>(file: &Path, text: &Text) -> Result<T, Failed> {
    let path = file.display().to_string();
    let read = std::fs::read(file).map_err(|error| {
        Failed::Said(say!(text, "error-file", path = path.clone(), cause = error.to_string()))
    })?;
    serde_json::from_slice(&read)
        .map_err(|error| Failed::Said(say!(text, "rules-file", path = path, cause = error.to_string())))
}

fn rules_in(file: &Path, text: &Text) -> Result<MemberRules, Failed> {
    read::<RulesDocument>(file, text)?.meant().map_err(|error| bad(error, text))
}

fn place_of(said: &MemberRules, name: &str, text: &Text) -> Result<usize, Failed> {
    let is_called = |called: &str| called.to_lowercase() == name.trim().to_lowercase();
    let place = said.rules.iter().position(|rule| is_called(&rule.name));
    place.ok_or_else(|| Failed::Said(say!(text, "rules-no-rule", name = name)))
}

async fn seen(office: &Office, key: AccountKey, text: &Text) -> Result<SeenRules, Failed> {
    office.administration().member_rules(&OPERATOR, key).await.map_err(|error| refused(error, text))
}

/// Changes what is said, and lists the rules.
async fn change(
    office: &Office,
    member: &str,
    change: impl FnOnce(&mut MemberRules) -> Result<(), Failed>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let seen = seen(office, key, text).await?;
    let mut rules = seen.rules.clone();
    change(&mut rules)?;
    let changed = office.administration().change_member_rules(&OPERATOR, key, &seen, rules).await;
    let changed = changed.map_err(|error| refused(error, text))?;
    let said = &changed.rules;
    let (rules, refused, trusted) = (said.rules.len(), said.blacklist.len(), said.whitelist.len());
    let sentence =
        say!(text, "rules-said", member = member, rules = rules, refused = refused, trusted = trusted);
    Ok(output.result(&sentence, &document(&changed))?)
}

fn document(seen: &SeenRules) -> Value {
    json!(RulesDocument::from(seen))
}

fn list(seen: &SeenRules, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let document = document(seen);
    let rows = document["rules"].as_array().into_iter().flatten();
    let rows = rows.map(|rule| {
        let state =
            if rule["enabled"] == json!(true) { say!(text, "word-on") } else { say!(text, "word-off") };
        let name = clean(rule["name"].as_str().unwrap_or_default());
        let cells = vec![name, state, briefly(&rule["conditions"]), briefly(&rule["actions"])];
        (cells, rule.clone())
    });
    let heads = vec![
        say!(text, "word-name"),
        say!(text, "word-state"),
        say!(text, "rules-asks"),
        say!(text, "rules-does"),
    ];
    let none = if seen.unreadable { say!(text, "rules-unreadable") } else { say!(text, "rules-none") };
    Ok(output.table(heads, rows.collect(), &none)?)
}

/// Conditions or actions, as the file calls them.
fn briefly(items: &Value) -> String {
    let told = |item: &Value| match item {
        Value::String(name) => name.clone(),
        Value::Object(item) => item.iter().map(|(name, what)| format!("{name} {}", of(what))).collect(),
        _ => String::new(),
    };
    let told: Vec<String> = items.as_array().into_iter().flatten().map(told).collect();
    clean(&told.join(", "))
}

fn of(what: &Value) -> String {
    match what {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(of).collect::<Vec<_>>().join("|"),
        Value::Object(fields) => {
            let told = fields.iter().filter(|(name, _)| *name != "match").map(|(_, value)| of(value));
            told.collect::<Vec<_>>().join("–")
        }
        other => other.to_string(),
    }
}

fn check(tried: &[Tried], text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let row = |tried: &Tried| {
        let letter = &tried.letter;
        let by: Vec<&str> = tried.list.into_iter().chain(tried.fired.iter().map(String::as_str)).collect();
        let folder = match &tried.folder {
            None if tried.refused => say!(text, "rules-refused"),
            None => "INBOX".to_owned(),
            Some(folder) => folder.clone(),
        };
        let cells = vec![
            time(letter.time),
            clean(&letter.card.from.address),
            clean(&letter.card.subject),
            clean(&by.join(", ")),
            clean(&folder),
        ];
        let document = json!({
            "mailbox": letter.mailbox, "uid": letter.uid.0, "time": letter.time.rfc3339(), "size": letter.size,
            "from": letter.card.from.address, "subject": letter.card.subject, "list": tried.list,
            "rules": tried.fired, "folder": tried.folder, "labels": tried.labels, "read": tried.read,
            "flagged": tried.flagged, "refused": tried.refused, "partly": tried.partly,
        });
        (cells, document)
    };
    let heads = vec![
        say!(text, "word-time"),
        say!(text, "word-from"),
        say!(text, "word-subject"),
        say!(text, "rules-by"),
        say!(text, "rules-into"),
    ];
    Ok(output.table(heads, tried.iter().map(row).collect(), &say!(text, "rules-no-letters"))?)
}

#[cfg(test)]
mod tests {
    use pennypost_model::MailboxId;
    use serde_json::json;

    use super::super::tests::done;
    use crate::test_office::{self, documents};

    /// Feature RUL-01: said and shown by commands, too
    /// Feature RUL-04 (part): what rules would do to the last letters is shown
    /// Feature RUL-05: the order is changed, a rule switched off and removed
    #[tokio::test(flavor = "multi_thread")]
    async fn rules_are_said_tried_and_taken_away_by_commands() {
        let it = test_office::office().await;
        let address = it.account.address.to_string();
        let bills = it.mailbox("Bills").await;
        let letter =
            b"From: Shop <shop@shop.example>\r\nTo: ann@acme.example\r\nSubject: Your bill\r\n\r\nhello";
        it.store(MailboxId::INBOX, letter, &[]).await;
        let file = |name: &str, content: &serde_json::Value| {
            let path = it.dir.path().join(name);
            std::fs::write(&path, content.to_string()).expect("written");
            path.display().to_string()
        };
        let rule = |name: &str, folder: &str| {
            json!({
                "name": name, "conditions": ["only-to-me", { "subject": { "words": ["BILL"] } }],
                "actions": [{ "move": { "folder": folder } }, { "label": "unpaid" }],
            })
        };
        let good = file("good.json", &rule("Bills", "Bills"));
        let flag = file(
            "flag.json",
            &json!({
                "name": "Flag", "conditions": [{ "size": { "at-least": 1 } }], "actions": ["flag"],
            }),
        );
        let run =
            async |line: &str| done(&it, &format!("rules {line}"), true).await.map(|lines| documents(&lines));
        run(&format!("add {address} {good}")).await.expect("added");
        let said = run(&format!("add {address} {flag} --first")).await.expect("added");
        let names = |said: &serde_json::Value| {
            said["rules"]
                .as_array()
                .expect("rules")
                .iter()
                .map(|rule| rule["name"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&said[0]), ["Flag", "Bills"]);
        let tried = run(&format!("check {address}")).await.expect("tried");
        assert_eq!(tried[0]["rules"], json!(["Flag", "Bills"]));
        assert_eq!((&tried[0]["folder"], &tried[0]["flagged"]), (&json!("Bills"), &json!(true)));
        assert_eq!((&tried[0]["mailbox"], &tried[0]["partly"]), (&json!("INBOX"), &json!(false)));
        run(&format!("switch {address} flag off")).await.expect("switched");
        let listed = done(&it, &format!("rules list {address}"), false).await.expect("listed").join("\n");
        assert!(
            listed.contains("Flag") && listed.contains("move Bills") && listed.contains("BILL"),
            "{listed}"
        );
        let tried = run(&format!("check {address}")).await.expect("tried");
        assert_eq!(tried[0]["rules"], json!(["Bills"]));
        // A folder that is renamed takes its rule along; one that is gone is told as gone, and may stay.
        let actor = pennypost_model::journal::Actor::Member(pennypost_model::journal::Protocol::Imap);
        let room = pennypost_mailstore::Mailroom::new(it.office.store.clone());
        let live = room.account(it.account.key).await.expect("account");
        live.change(&actor, |draft| draft.rename_mailbox(bills, "Accounts")).await.expect("renamed");
        let shown = run(&format!("show {address}")).await.expect("shown");
        assert_eq!(shown[0]["rules"][1]["actions"][0], json!({ "move": { "folder": "Accounts" } }));
        live.change(&actor, |draft| draft.delete_mailbox(bills)).await.expect("deleted");
        let shown = run(&format!("show {address}")).await.expect("shown");
        let gone = &shown[0]["rules"][1]["actions"][0]["move"];
        assert_eq!(gone, &json!({ "folder": "Bills", "gone": true }));
        let whole = file("whole.json", &shown[0]);
        run(&format!("set {address} {whole}")).await.expect("said again");
        let said = run(&format!("refuse {address} spam.example foe@other.example")).await.expect("refused");
        assert_eq!(said[0]["blacklist"], json!(["spam.example", "foe@other.example"]));
        let said = run(&format!("trust {address} shop@shop.example")).await.expect("trusted");
        assert_eq!(said[0]["whitelist"], json!(["shop@shop.example"]));
        run(&format!("refuse {address} spam.example --lift")).await.expect("lifted");
        let said = run(&format!("remove {address} bills")).await.expect("removed");
        assert_eq!(
            (names(&said[0]), &said[0]["blacklist"]),
            (vec![json!("Flag")], &json!(["foe@other.example"]))
        );
        let nowhere = file("nowhere.json", &rule("Nowhere", "Nowhere"));
        let zone = file(
            "zone.json",
            &json!({
                "name": "z", "conditions": [{ "hours": { "from": "08:00", "until": "09:00", "zone": "Mars" } }], "actions": ["flag"],
            }),
        );
        for (bad, why) in [
            (format!("add {address} {nowhere}"), "no such folder"),
            (format!("add {address} {zone}"), "Asia/Shanghai"),
            (format!("add {address} {flag}"), "another rule"),
            (format!("add {address} {whole}"), "whole.json"),
            (format!("remove {address} other"), "other"),
            (format!("refuse {address} not_a_sender"), "blacklist"),
            ("list nobody@acme.example".to_owned(), "nobody@acme.example"),
        ] {
            let refused = run(&bad).await.expect_err(&bad);
            assert!(refused.contains(why), "{bad}: {refused}");
        }
        let log = done(&it, "log list", false).await.expect("listed").join(" ");
        assert!(log.contains("rules.change") && !log.contains("foe@other.example"), "{log}");
    }

    /// Feature RUL-06 (part): said and shown by commands; only the owner confirms an address elsewhere
    /// Feature RUL-07 (part): said and shown by commands
    /// Feature RUL-08 (part): the organisation's permission by commands
    #[tokio::test(flavor = "multi_thread")]
    async fn answers_and_forwards_are_said_by_commands() {
        let it = test_office::office().await;
        let address = it.account.address.to_string();
        let run = async |line: &str| done(&it, line, true).await.map(|lines| documents(&lines));
        let line = format!("rules reply {address} --text Away. --from 2026-12-24T18:00 --zone Asia/Shanghai");
        let said = run(&line).await.expect("said");
        assert_eq!(
            (&said[0]["reply"]["text"], &said[0]["reply"]["enabled"]),
            (&json!("Away."), &json!(true))
        );
        assert_eq!(said[0]["reply"]["period"]["from"], "2026-12-24T18:00");
        let said = run(&format!("rules forward {address} me@far.example --away")).await.expect("said");
        assert_eq!(said[0]["forward"], json!({ "enabled": true, "to": ["me@far.example"], "keep": false }));
        assert_eq!(said[0]["targets"], json!([{ "address": "me@far.example", "state": "unconfirmed" }]));
        let allowed = run("sending forwarding --allow").await.expect("allowed");
        assert_eq!(allowed, [json!({ "of": "everybody", "allowed": true })]);
        let but = run(&format!("sending forwarding {address} --forbid")).await.expect("forbidden");
        assert_eq!(but[0], json!({ "of": { "account": address }, "allowed": false }));
        let shown = done(&it, &format!("rules automatic {address}"), false).await.expect("shown").join("\n");
        for part in ["Away.", "2026-12-24T18:00", "me@far.example: unconfirmed", "does not let"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        run(&format!("sending forwarding {address} --lift")).await.expect("lifted");
        let said = run(&format!("rules automatic {address}")).await.expect("shown");
        assert_eq!(said[0]["may_forward"], json!(true));
        let said = run(&format!("rules reply {address} --off")).await.expect("off");
        assert_eq!(said[0]["reply"]["enabled"], json!(false));
        let said = run(&format!("rules reply {address} --remove")).await.expect("removed");
        assert_eq!((&said[0]["reply"], &said[0]["forward"]["keep"]), (&json!(null), &json!(false)));
        // Rules are said beside it.
        run(&format!("rules refuse {address} spam.example")).await.expect("refused");
        let said = run(&format!("rules forward {address} --off")).await.expect("off");
        assert_eq!(said[0]["forward"]["enabled"], json!(false));
        for (bad, why) in [
            (format!("rules reply {address} --on"), "nothing"),
            (format!("rules forward {address} {address}"), "own"),
            (format!("rules forward {address} a@b.example a@b.example"), "twice"),
            (format!("rules forward {address} no_address"), "not a mail address"),
            (format!("rules reply {address} --text Away. --from soon --zone Asia/Shanghai"), "period"),
        ] {
            let refused = run(&bad).await.expect_err(&bad);
            assert!(refused.contains(why), "{bad}: {refused}");
        }
        let log = done(&it, "log list", false).await.expect("listed").join(" ");
        assert!(
            log.contains("automatic.change") && log.contains("forwarding.change") && !log.contains("Away"),
            "{log}"
        );
    }
}
