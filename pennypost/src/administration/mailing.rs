//! `pennypost mailing …`: personalised mass mail of a member, from a table (PMG-01 to PMG-08).

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use pennypost_admin::{
    Attachment, DeliveryState, Fate, Mailing, MailingLetter, MailingRules, NewBody, NewMailing, Saved,
};
use pennypost_model::{EventId, Timestamp};
use serde_json::{Value, json};

use super::held::delivery_state;
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, clean, fitting, time};
use crate::text::Text;
use crate::{Failed, say};

/// Columns of a subject, and of an address.
const WIDTH: usize = 40;
/// Mailings, and letters, that are read at once.
const PAGE: usize = 200;

/// What is sent.
#[derive(Debug, Args)]
pub struct Said {
    /// The subject; {{name}} stands for what the row has in the column of that name
    #[arg(long)]
    subject: Option<String>,
    /// A file with the body as HTML, with the same variables
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A file with the body as text
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
}

/// A mailing.
#[derive(Debug, Args)]
pub struct Which {
    /// The address of the member
    member: String,
    /// The id of the mailing, as the list tells it
    mailing: String,
}

/// Subcommands of `mailing`.
#[derive(Debug, Subcommand)]
pub enum MailingCommand {
    /// List the mailings of a member, the newest first
    #[command(after_help = "Example:\n  pennypost mailing list ann@example.com")]
    List {
        /// The address of the member
        member: String,
    },
    /// Show each recipient of a mailing, and what became of his letter
    #[command(after_help = "Example:\n  pennypost mailing show ann@example.com 01KAQ…")]
    Show(Which),
    /// Make a mailing of a table (CSV or XLSX) with a column 邮箱地址, 地址, “email” or “address”: nothing is sent yet
    #[command(after_help = "Examples:
  pennypost mailing add ann@example.com --table pay.xlsx --subject '{{姓名}}的工资单'
  pennypost mailing add ann@example.com --table guests.csv --subject 'Dear {{name}}' --html letter.html
  pennypost mailing add ann@example.com --table guests.csv --template 01KAQ… --attach map.pdf:application/pdf")]
    Add {
        /// The address of the member in whose name it goes
        member: String,
        /// The table
        #[arg(long, value_name = "FILE")]
        table: PathBuf,
        /// What is sent; without a body each gets the headings and his row
        #[command(flatten)]
        said: Said,
        /// The id of a body that is kept
        #[arg(long, conflicts_with_all = ["html", "text"])]
        template: Option<String>,
        /// A file that goes with every letter, with its media type
        #[arg(long, value_name = "FILE:TYPE")]
        attach: Vec<String>,
    },
    /// Print the letter of a row as it will be, from 1
    #[command(after_help = "Example:\n  pennypost mailing preview ann@example.com 01KAQ… 1")]
    Preview {
        /// Which mailing
        #[command(flatten)]
        which: Which,
        /// Which row
        row: u32,
    },
    /// Send the letter of a row to the member alone
    #[command(after_help = "Example:\n  pennypost mailing try ann@example.com 01KAQ… 1")]
    Try {
        /// Which mailing
        #[command(flatten)]
        which: Which,
        /// Which row
        row: u32,
    },
    /// Let a mailing go
    #[command(after_help = "Example:\n  pennypost mailing send ann@example.com 01KAQ…")]
    Send(Which),
    /// Stop a mailing: what is not handed in does not go
    #[command(after_help = "Example:\n  pennypost mailing stop ann@example.com 01KAQ…")]
    Stop(Which),
    /// Show, or say, how many recipients a mailing of an organisation has at most
    #[command(
        after_help = "Examples:\n  pennypost mailing limit\n  pennypost mailing limit --recipients 200"
    )]
    Limit {
        /// So many, 1 to 1,000
        #[arg(long)]
        recipients: Option<u32>,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// List the bodies that a member keeps for mailings
    #[command(after_help = "Example:\n  pennypost mailing templates ann@example.com")]
    Templates {
        /// The address of the member
        member: String,
    },
    /// Keep a body for mailings
    #[command(after_help = "Example:
  pennypost mailing keep ann@example.com Invitation --subject 'Dear {{name}}' --html letter.html")]
    Keep {
        /// The address of the member
        member: String,
        /// What it is called
        name: String,
        /// What is kept
        #[command(flatten)]
        said: Said,
    },
    /// Keep a body no longer
    #[command(after_help = "Example:\n  pennypost mailing forget ann@example.com 01KAQ…")]
    Forget {
        /// The address of the member
        member: String,
        /// The id of the body, as the list tells it
        template: String,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &MailingCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        MailingCommand::List { member } => list(office, member, text, output).await,
        MailingCommand::Show(which) => show(office, which, text, output).await,
        MailingCommand::Add { member, table, said, template, attach } => {
            add(office, member, (table.as_path(), said, template.as_deref(), attach.as_slice()), text, output)
                .await
        }
        MailingCommand::Preview { which, row } => preview(office, which, *row, text, output).await,
        MailingCommand::Try { which, row } => {
            let (key, id) = named(office, which, text).await?;
            let tried = office.administration().try_mailing(&OPERATOR, key, id, *row).await;
            let to = tried.map_err(|error| refused(error, text))?;
            let sentence = say!(text, "mailing-tried", row = *row, address = &to);
            Ok(output.result(&sentence, &json!({ "to": to }))?)
        }
        MailingCommand::Send(which) => {
            let (key, id) = named(office, which, text).await?;
            let mailing = office.administration().send_mailing(&OPERATOR, key, id).await;
            let mailing = mailing.map_err(|error| refused(error, text))?;
            let sentence = say!(text, "mailing-goes", id = id.to_string(), count = mailing.rows);
            Ok(output.result(&sentence, &document(&mailing))?)
        }
        MailingCommand::Stop(which) => {
            let (key, id) = named(office, which, text).await?;
            let mailing = office.administration().stop_mailing(&OPERATOR, key, id).await;
            let mailing = mailing.map_err(|error| refused(error, text))?;
            let sentence = say!(text, "mailing-stopped", id = id.to_string());
            Ok(output.result(&sentence, &document(&mailing))?)
        }
        MailingCommand::Limit { recipients, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            let administration = office.administration();
            let seen = administration.mailing_rules(&OPERATOR, tenant.id).await;
            let mut rules = seen.map_err(|error| refused(error, text))?;
            if let Some(recipients) = *recipients {
                let meant = MailingRules { recipients };
                let changed = administration.change_mailing_rules(&OPERATOR, tenant.id, rules, meant).await;
                rules = changed.map_err(|error| refused(error, text))?;
            }
            let sentence = say!(text, "mailing-limit", limit = rules.recipients);
            Ok(output.result(&sentence, &json!({ "recipients": rules.recipients }))?)
        }
        MailingCommand::Templates { member } => templates(office, member, text, output).await,
        MailingCommand::Keep { member, name, said } => {
            let key = office.account(member, text).await?.key;
            let subject = said.subject.clone().unwrap_or_default();
            let body = body_of(said, text)?.unwrap_or_default();
            let kept = office.administration().keep_mail_template(&OPERATOR, key, name, &subject, body).await;
            let kept = kept.map_err(|error| refused(error, text))?;
            let sentence = say!(text, "mailing-saved", id = kept.id.to_string());
            Ok(output.result(&sentence, &saved_document(&kept))?)
        }
        MailingCommand::Forget { member, template } => {
            let key = office.account(member, text).await?.key;
            let id = id_of(template, text)?;
            let forgotten = office.administration().forget_mail_template(&OPERATOR, key, id).await;
            forgotten.map_err(|error| refused(error, text))?;
            let sentence = say!(text, "mailing-forgotten", id = id.to_string());
            Ok(output.result(&sentence, &json!({ "id": id.to_string() }))?)
        }
    }
}

fn id_of(id: &str, text: &Text) -> Result<EventId, Failed> {
    id.parse().map_err(|_| Failed::Said(say!(text, "mailing-id")))
}

async fn named(
    office: &Office,
    which: &Which,
    text: &Text,
) -> Result<(pennypost_model::AccountKey, EventId), Failed> {
    let key = office.account(&which.member, text).await?.key;
    Ok((key, id_of(&which.mailing, text)?))
}

fn read(path: &Path, text: &Text) -> Result<Vec<u8>, Failed> {
    std::fs::read(path).map_err(|error| {
        let (path, cause) = (path.display().to_string(), error.to_string());
        Failed::Said(say!(text, "error-file", path = path, cause = cause))
    })
}

fn body_of(said: &Said, text: &Text) -> Result<Option<NewBody>, Failed> {
    let of = |path: &Option<PathBuf>| {
        let read = path.as_deref().map(|path| read(path, text)).transpose()?;
        Ok::<_, Failed>(read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let body = NewBody { html: of(&said.html)?, text: of(&said.text)? };
    Ok((body != NewBody::default()).then_some(body))
}

async fn add(
    office: &Office,
    member: &str,
    (table, said, template, attach): (&Path, &Said, Option<&str>, &[String]),
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let administration = office.administration();
    let (mut subject, mut body) = (said.subject.clone(), body_of(said, text)?);
    if let Some(template) = template {
        let found = administration.mail_template(&OPERATOR, key, id_of(template, text)?).await;
        let Saved { subject: kept, html, text: plain, .. } = found.map_err(|error| refused(error, text))?;
        subject = subject.or(Some(kept));
        body = Some(NewBody { html, text: plain });
    }
    let mut attachments = Vec::new();
    for one in attach {
        let (path, media_type) = one.rsplit_once(':').unwrap_or((one, "application/octet-stream"));
        let path = Path::new(path);
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        attachments.push(Attachment { name, media_type: media_type.to_owned(), bytes: read(path, text)? });
    }
    let new = NewMailing {
        file: table.display().to_string(),
        table: read(table, text)?,
        subject: subject.unwrap_or_default(),
        body,
        attachments,
    };
    let mailing = administration.add_mailing(&OPERATOR, key, new).await;
    let mailing = mailing.map_err(|error| refused(error, text))?;
    let sentence = say!(text, "mailing-added", id = mailing.id.to_string(), count = mailing.rows);
    Ok(output.result(&sentence, &document(&mailing))?)
}

async fn list(office: &Office, member: &str, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let (administration, mut after, mut rows) = (office.administration(), None, Vec::new());
    loop {
        let found = administration.mailings(&OPERATOR, key, after, PAGE).await;
        let (mailings, next) = found.map_err(|error| refused(error, text))?;
        for mailing in &mailings {
            let done = mailing.counts.sent + mailing.counts.refused + mailing.counts.stopped;
            let cells = vec![
                time(mailing.created),
                kind(mailing, text),
                state(mailing, text),
                format!("{done}/{}", mailing.rows),
                fitting(&mailing.subject, WIDTH),
                mailing.id.to_string(),
            ];
            rows.push((cells, document(mailing)));
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    let heads = vec![
        say!(text, "mailing-head-made"),
        say!(text, "mailing-head-kind"),
        say!(text, "mailing-head-state"),
        say!(text, "mailing-head-done"),
        say!(text, "mailing-head-subject"),
        say!(text, "mailing-head-id"),
    ];
    Ok(output.table(heads, rows, &say!(text, "mailing-none"))?)
}

fn kind(mailing: &Mailing, text: &Text) -> String {
    match mailing.kind.name() {
        "table" => say!(text, "mailing-kind-table"),
        "template" => say!(text, "mailing-kind-template"),
        _ => say!(text, "mailing-kind-individual"),
    }
}

fn state(mailing: &Mailing, text: &Text) -> String {
    let state = match mailing.state.name() {
        "draft" => say!(text, "mailing-state-draft"),
        "going" => say!(text, "mailing-state-going"),
        "stopping" => say!(text, "mailing-state-stopping"),
        "done" => say!(text, "mailing-state-done"),
        "stopped" => say!(text, "mailing-state-stopped"),
        _ => say!(text, "mailing-state-failed"),
    };
    match mailing.waits.filter(|_| !mailing.state.is_over()) {
        Some(why) => format!("{state}: {}", why.say(text)),
        None => state,
    }
}

fn document(mailing: &Mailing) -> Value {
    json!({
        "id": mailing.id.to_string(),
        "kind": mailing.kind.name(),
        "subject": mailing.subject,
        "state": mailing.state.name(),
        "recipients": mailing.rows,
        "sent": mailing.counts.sent,
        "refused": mailing.counts.refused,
        "stopped": mailing.counts.stopped,
        "created": mailing.created.rfc3339(),
        "ordered": mailing.ordered.map(Timestamp::rfc3339),
        "ended": mailing.ended.map(Timestamp::rfc3339),
    })
}

async fn show(office: &Office, which: &Which, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let (key, id) = named(office, which, text).await?;
    let (administration, mut from, mut rows) = (office.administration(), 0, Vec::new());
    loop {
        let found = administration.mailing_letters(&OPERATOR, key, id, from, PAGE).await;
        let (letters, next) = found.map_err(|error| refused(error, text))?;
        rows.extend(letters.iter().map(|letter| letter_row(letter, text)));
        let Some(next) = next else { break };
        from = next;
    }
    let heads = vec![
        say!(text, "mailing-head-row"),
        say!(text, "mailing-head-to"),
        say!(text, "mailing-head-state"),
        say!(text, "mailing-head-letter"),
    ];
    Ok(output.table(heads, rows, &say!(text, "mailing-none"))?)
}

fn letter_row(letter: &MailingLetter, text: &Text) -> (Vec<String>, Value) {
    let (name, mut said) = match &letter.fate {
        None => ("waiting", say!(text, "mailing-fate-waiting")),
        Some(Fate::Sent { .. }) => match letter.state {
            None | Some(DeliveryState::Processing) => ("handed-in", say!(text, "mailing-fate-sent")),
            Some(state) => ("handed-in", delivery_state(state, text)),
        },
        Some(Fate::Refused { .. }) => ("refused", say!(text, "mailing-fate-refused")),
        Some(Fate::Stopped) => ("stopped", say!(text, "mailing-fate-stopped")),
    };
    if let Some(why) = letter.why {
        said = format!("{said}: {}", why.say(text));
    }
    let id = letter.letter.map(|id| id.to_string());
    let document = json!({
        "row": letter.row,
        "line": letter.line,
        "to": letter.to,
        "state": name,
        "delivery": letter.state.map(DeliveryState::name),
        "letter": id,
        "why": letter.why.map(|why| why.name()),
    });
    let cells = vec![letter.row.to_string(), fitting(&letter.to, WIDTH), said, id.unwrap_or_default()];
    (cells, document)
}

async fn preview(
    office: &Office,
    which: &Which,
    row: u32,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let (key, id) = named(office, which, text).await?;
    let preview = office.administration().preview_mailing(&OPERATOR, key, id, row).await;
    let preview = preview.map_err(|error| refused(error, text))?;
    let said = preview.said;
    let body = said.text.as_deref().or(said.html.as_deref()).unwrap_or_default();
    let lines: Vec<String> = body.lines().map(clean).collect();
    let sentence = format!("{}\n{}\n\n{}", clean(&preview.to), clean(&said.subject), lines.join("\n"));
    let document = json!({
        "row": preview.row, "to": preview.to, "subject": said.subject, "html": said.html, "text": said.text,
        "message": String::from_utf8_lossy(&preview.message),
    });
    Ok(output.result(&sentence, &document)?)
}

async fn templates(
    office: &Office,
    member: &str,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let found = office.administration().mail_templates(&OPERATOR, key).await;
    let found = found.map_err(|error| refused(error, text))?;
    let rows = found.iter().map(|saved| {
        let cells = vec![
            time(saved.saved),
            fitting(&saved.name, WIDTH),
            fitting(&saved.subject, WIDTH),
            saved.id.to_string(),
        ];
        (cells, saved_document(saved))
    });
    let heads = vec![
        say!(text, "mailing-head-made"),
        say!(text, "mailing-head-name"),
        say!(text, "mailing-head-subject"),
        say!(text, "mailing-head-id"),
    ];
    Ok(output.table(heads, rows.collect(), &say!(text, "mailing-no-template"))?)
}

fn saved_document(saved: &Saved) -> Value {
    json!({
        "id": saved.id.to_string(),
        "name": saved.name,
        "subject": saved.subject,
        "html": saved.html,
        "text": saved.text,
        "saved": saved.saved.rfc3339(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::done;
    use crate::test_office::{self, documents};

    /// Feature PMG-01 (part): by commands, too; no page yet
    #[tokio::test(flavor = "multi_thread")]
    async fn mailings_are_made_looked_at_and_let_go_by_commands() {
        let it = test_office::office().await;
        let address = it.account.address.to_string();
        let file = |name: &str, text: &str| {
            let path = it.dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let table = file("guests.csv", &format!("name,email\nAnn,{address}\nBob,nobody@far.example\n"));
        let bad = file("bad.csv", &format!("name,email\nAnn,{address}\nBob,\n"));
        let html = file("letter.html", "<p>Dear {{name}}</p>");
        let none = done(&it, &format!("mailing list {address}"), false).await.expect("listed");
        assert!(none[0].contains("no mailing"), "{none:?}");
        let add = format!("mailing add {address} --subject Dear_{{{{name}}}} --table");
        for (more, why) in [
            (bad.clone(), "line 3"),
            (format!("{table} --html {table}x"), "guests.csvx"),
            (format!("{table} --attach {html}:text"), "media type"),
        ] {
            let refused = done(&it, &format!("{add} {more}"), false).await.expect_err(&more);
            assert!(refused.contains(why), "{refused}");
        }
        let added = done(&it, &format!("{add} {table} --html {html}"), true).await.expect("made");
        let added = documents(&added).remove(0);
        assert_eq!((&added["recipients"], &added["state"]), (&2.into(), &"draft".into()));
        let id = added["id"].as_str().expect("an id");
        let shown = done(&it, &format!("mailing preview {address} {id} 1"), false).await.expect("shown");
        assert!(shown.join("\n").contains("Dear Ann"), "{shown:?}");
        done(&it, &format!("mailing preview {address} {id} 3"), false).await.expect_err("no such row");
        let tried = done(&it, &format!("mailing try {address} {id} 1"), false).await.expect("tried");
        assert!(tried[0].contains(&address), "{tried:?}");
        let goes = done(&it, &format!("mailing send {address} {id}"), false).await.expect("goes");
        assert!(goes[0].contains("2 recipients"), "{goes:?}");
        let again = done(&it, &format!("mailing send {address} {id}"), false).await.expect_err("goes");
        assert!(again.contains("already"), "{again}");
        let listed = documents(&done(&it, &format!("mailing list {address}"), true).await.expect("listed"));
        assert_eq!((listed.len(), &listed[0]["state"]), (1, &"going".into()));
        done(&it, &format!("mailing stop {address} {id}"), false).await.expect("stopped");
        let letters =
            documents(&done(&it, &format!("mailing show {address} {id}"), true).await.expect("shown"));
        assert_eq!((letters.len(), &letters[1]["to"]), (2, &"nobody@far.example".into()));
        done(&it, "mailing limit --recipients 0", false).await.expect_err("too few");
        for line in ["mailing limit --recipients 1", "mailing limit"] {
            assert!(done(&it, line, false).await.expect("said")[0].ends_with("at most: 1"));
        }
        let refused = done(&it, &format!("{add} {table}"), false).await.expect_err("too many");
        assert!(refused.contains("2 recipients"), "{refused}");
        done(&it, "mailing limit --recipients 1000", false).await.expect("said");
        let keep = format!("mailing keep {address} Invitation --subject Dear_{{{{name}}}} --html {html}");
        let kept = documents(&done(&it, &keep, true).await.expect("kept")).remove(0);
        let template = kept["id"].as_str().expect("an id");
        done(&it, &format!("{add} {table} --template {template}"), false).await.expect("made");
        let listed = done(&it, &format!("mailing templates {address}"), false).await.expect("listed");
        assert!(listed[1].contains("Invitation"), "{listed:?}");
        done(&it, &format!("mailing forget {address} {template}"), false).await.expect("forgotten");
        done(&it, &format!("mailing forget {address} {template}"), false).await.expect_err("gone");
    }
}
