//! `pennypost bulletin …`: what the operator tells administrators (LOG-09).

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::{Bulletin, BulletinKind, BulletinText, NewBulletin};
use pennypost_directory::Page;
use pennypost_model::Timestamp;
use serde_json::{Value, json};

use super::log::day;
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, fitting, time};
use crate::text::Text;
use crate::{Failed, say};

/// Columns of a title in a table.
const TITLE: usize = 40;

/// What a bulletin is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Something that the operator has to tell
    Notice,
    /// The post office, or a part of it, is not there for a while
    Maintenance,
    /// Something that the tenant has to change
    Warning,
}

/// What is told.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// What it is about
    #[arg(long, value_enum, default_value = "notice")]
    kind: Kind,
    /// Its title in English
    #[arg(long, value_name = "TITLE")]
    en_title: String,
    /// Its text in English
    #[arg(long, value_name = "TEXT")]
    en_text: String,
    /// Its title in Chinese
    #[arg(long, value_name = "TITLE")]
    zh_title: String,
    /// Its text in Chinese
    #[arg(long, value_name = "TEXT")]
    zh_text: String,
    /// From when on it is told, as 2026-11-20 or 2026-11-20T22:00:00Z [default: at once]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Timestamp>,
    /// Until when it stands on the first page [default: as long as it was not read]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Name or id of a tenant for which it is; may be repeated [default: all]
    #[arg(long = "tenant", value_name = "TENANT")]
    tenants: Vec<String>,
}

/// Subcommands of `bulletin`.
#[derive(Debug, Subcommand)]
pub enum BulletinCommand {
    /// List bulletins, also those that are told later
    #[command(after_help = "Example:\n  pennypost bulletin list")]
    List,
    /// Tell the administrators of all tenants, or of some
    #[command(after_help = "Example:
  pennypost bulletin publish --kind maintenance --en-title 'No mail on Sunday' --en-text 'From 2 to 3 h.' \\
    --zh-title 周日维护 --zh-text '2 点至 3 点' --until 2026-11-23")]
    Publish(Box<PublishArgs>),
    /// Withdraw a bulletin: nobody is told of it any more
    #[command(after_help = "Example:\n  pennypost bulletin withdraw fe6f4b3f0f7e9c1d")]
    Withdraw {
        /// Its number, as listed
        #[arg(value_parser = number)]
        id: u64,
    },
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::from_rfc3339(text).map_or_else(|| day(text), Ok)
}

fn number(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| "16 hex digits".to_owned())
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &BulletinCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    match command {
        BulletinCommand::List => {
            let (mut found, mut page) = (Vec::new(), Page::default());
            loop {
                let listed = administration.published_bulletins(&OPERATOR, &page).await.map_err(told)?;
                found.extend(listed.items);
                page.after = listed.next;
                if page.after.is_none() {
                    break;
                }
            }
            let rows = found.iter().map(|bulletin| {
                let until = bulletin.until.map_or_else(|| "-".to_owned(), time);
                let cells = vec![
                    format!("{:016x}", bulletin.id),
                    bulletin.kind.name().to_owned(),
                    fitting(&bulletin.english.title, TITLE),
                    time(bulletin.from),
                    until,
                ];
                (cells, document(bulletin))
            });
            let heads = vec![
                say!(text, "word-number"),
                say!(text, "word-kind"),
                say!(text, "word-name"),
                say!(text, "word-since"),
                say!(text, "word-ends"),
            ];
            Ok(output.table(heads, rows.collect(), &say!(text, "bulletins-none"))?)
        }
        BulletinCommand::Publish(args) => {
            let mut tenants = BTreeSet::new();
            for name in &args.tenants {
                tenants.insert(tenant(office, Some(name), text).await?.id);
            }
            let said =
                |title: &String, text: &String| BulletinText { title: title.clone(), text: text.clone() };
            let new = NewBulletin {
                kind: match args.kind {
                    Kind::Notice => BulletinKind::Notice,
                    Kind::Maintenance => BulletinKind::Maintenance,
                    Kind::Warning => BulletinKind::Warning,
                },
                english: said(&args.en_title, &args.en_text),
                chinese: said(&args.zh_title, &args.zh_text),
                from: args.from,
                until: args.until,
                tenants,
            };
            let published = administration.publish_bulletin(&OPERATOR, &new).await.map_err(told)?;
            let sentence = say!(text, "bulletin-published", number = format!("{:016x}", published.id));
            Ok(output.result(&sentence, &document(&published))?)
        }
        BulletinCommand::Withdraw { id } => {
            administration.withdraw_bulletin(&OPERATOR, *id).await.map_err(told)?;
            let number = format!("{id:016x}");
            let sentence = say!(text, "bulletin-withdrawn", number = number.clone());
            Ok(output.result(&sentence, &json!({ "withdrawn": number }))?)
        }
    }
}

fn document(bulletin: &Bulletin) -> Value {
    let said = |text: &BulletinText| json!({ "title": text.title, "text": text.text });
    let tenants: Vec<String> = bulletin.tenants.iter().map(ToString::to_string).collect();
    json!({
        "id": format!("{:016x}", bulletin.id), "kind": bulletin.kind.name(),
        "en": said(&bulletin.english), "zh": said(&bulletin.chinese),
        "from": bulletin.from.rfc3339(), "until": bulletin.until.map(Timestamp::rfc3339),
        "tenants": tenants, "published": bulletin.published.rfc3339(),
    })
}
