//! Personalised mass mail: a table with a letter for each of its rows, and bodies that are kept for it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_admin::{
    Action, Attachment, Fate, Mailing as Stored, MailingLetter, MailingRules, NewBody, NewMailing, Preview,
    Saved,
};
use pennypost_directory::Listed;
use pennypost_model::{AccountKey, EventId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, numbered, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::details::{bad_parameter, both, no_such};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// Letters of a page at most: of each is told what became of it.
const MOST_LETTERS: usize = 200;

/// A file that goes with every letter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailingAttachment {
    /// What it is called.
    name: String,
    /// Its media type, such as `application/pdf`.
    media_type: String,
    /// Its bytes in base64.
    content: String,
}

/// A mailing that is to be made: a letter for each row of a table.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewMailing")]
pub(crate) struct New {
    /// What the table is called, for people.
    file_name: String,
    /// CSV in UTF-8, UTF-16 or GB18030, or a workbook (XLSX) with one sheet, in base64; 3 MB at most before that, with 1,000
    /// recipients at most. Its first line names the columns; one of them is `邮箱地址`, `地址`, `email` or `address`.
    table: String,
    /// The subject; `{{name}}` stands for what the row has in the column of that name. With `template` it may be left out.
    #[serde(default)]
    subject: Option<String>,
    /// The body as HTML, with the same variables. Without `html`, `text` and `template` each gets the headings and his row.
    #[serde(default)]
    html: Option<String>,
    /// The body as text.
    #[serde(default)]
    text: Option<String>,
    /// The id of a body that is kept, in the place of `html` and `text`.
    #[serde(default)]
    template: Option<String>,
    /// What goes with every letter: 10 files of 2 MB together at most.
    #[serde(default)]
    attachments: Vec<MailingAttachment>,
}

/// A mailing.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Mailing {
    /// Its id.
    id: String,
    /// `table` (the headings and the row), `template`, or `individual`: a letter that was handed in for several, each of whom
    /// sees himself alone.
    kind: &'static str,
    /// Its subject, with variables, cut to 200 bytes.
    subject: String,
    /// `draft`, `going`, `stopping`, `done`, `stopped`, or `failed`: its content was lost.
    state: &'static str,
    /// To how many it goes.
    recipients: u32,
    /// Letters that were handed in.
    sent: u32,
    /// Letters that can't go.
    refused: u32,
    /// Letters that were stopped.
    stopped: u32,
    /// Why it waits though it goes: `allowance-used-up`.
    waits: Option<&'static str>,
    /// When it goes on, if it waits.
    until: Option<String>,
    /// When it was made.
    created: String,
    /// When it was let go.
    ordered: Option<String>,
    /// When it ended.
    ended: Option<String>,
}

page_of!(Mailings, Mailing);

/// A letter of a mailing, and what became of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MailingLetter")]
pub(crate) struct Letter {
    /// Its number, from 1.
    row: u32,
    /// The line of the table on which it stands; null: it has none.
    line: Option<u64>,
    /// To whom it goes.
    to: String,
    /// `waiting`, `handed-in`, `refused` or `stopped`.
    state: &'static str,
    /// The id of the letter that was handed in.
    letter: Option<String>,
    /// What has become of that: `processing`, `redelivering`, `delivered` (in the mailbox), `reached-server`, `refused`, `failed`.
    delivery: Option<&'static str>,
    /// Why it did not go, or why some of a group did not get it: as of letters that go later, and `subject-refused` or `suppressed`.
    why: Option<&'static str>,
    /// When that was decided.
    at: Option<String>,
}

page_of!(MailingLetters, Letter);

/// A letter of a mailing as it will be.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MailingPreview")]
pub(crate) struct Shown {
    /// Its number, from 1.
    row: u32,
    /// To whom it goes.
    to: String,
    /// Its subject.
    subject: String,
    /// Its body as HTML.
    html: Option<String>,
    /// Its body as text.
    text: Option<String>,
    /// The whole message (RFC 5322) in base64.
    message: String,
}

/// Which letter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailingTrial {
    /// Its number, from 1.
    row: u32,
}

/// Where a letter goes that is tried.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MailingTried {
    /// The member's own address.
    to: String,
}

/// A body that is to be kept.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMailTemplate {
    /// What it is called: 1 to 100 characters.
    name: String,
    /// The subject, with variables.
    subject: String,
    /// As HTML: 150 KB at most.
    #[serde(default)]
    html: Option<String>,
    /// As text: 150 KB at most.
    #[serde(default)]
    text: Option<String>,
}

/// A body that a member keeps for mailings.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MailTemplate {
    /// Its id.
    id: String,
    /// What it is called.
    name: String,
    /// The subject.
    subject: String,
    /// As HTML.
    html: Option<String>,
    /// As text.
    text: Option<String>,
    /// When it was kept.
    saved: String,
}

page_of!(MailTemplates, MailTemplate);

/// What an organisation says of mailings.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MailingRules")]
pub(crate) struct Rules {
    /// Recipients that a mailing has at most: 1 to 1,000.
    recipients: u32,
}

fn show(mailing: &Stored) -> Mailing {
    let waits = mailing.waits.filter(|_| !mailing.state.is_over());
    Mailing {
        id: mailing.id.to_string(),
        kind: mailing.kind.name(),
        subject: mailing.subject.clone(),
        state: mailing.state.name(),
        recipients: mailing.rows,
        sent: mailing.counts.sent,
        refused: mailing.counts.refused,
        stopped: mailing.counts.stopped,
        waits: waits.map(|why| why.name()),
        until: waits.map(|_| mailing.due.rfc3339()),
        created: mailing.created.rfc3339(),
        ordered: mailing.ordered.map(Timestamp::rfc3339),
        ended: mailing.ended.map(Timestamp::rfc3339),
    }
}

fn show_letter(letter: MailingLetter) -> Letter {
    let (state, at) = match &letter.fate {
        None => ("waiting", None),
        Some(Fate::Sent { at, .. }) => ("handed-in", Some(*at)),
        Some(Fate::Refused { at, .. }) => ("refused", Some(*at)),
        Some(Fate::Stopped) => ("stopped", None),
    };
    Letter {
        row: letter.row,
        line: Some(letter.line).filter(|line| *line > 0),
        to: letter.to,
        state,
        letter: letter.letter.map(|id| id.to_string()),
        delivery: letter.state.map(pennypost_admin::DeliveryState::name),
        why: letter.why.map(|why| why.name()),
        at: at.map(Timestamp::rfc3339),
    }
}

fn show_preview(preview: Preview) -> Shown {
    Shown {
        row: preview.row,
        to: preview.to,
        subject: preview.said.subject,
        html: preview.said.html,
        text: preview.said.text,
        message: BASE64_STANDARD.encode(preview.message),
    }
}

fn show_saved(saved: Saved) -> MailTemplate {
    let Saved { id, name, subject, html, text, saved } = saved;
    MailTemplate { id: id.to_string(), name, subject, html, text, saved: saved.rfc3339() }
}

fn bytes(content: &str, pointer: &str) -> Result<Vec<u8>, Refusal> {
    BASE64_STANDARD.decode(content).map_err(|_| {
        let detail = both("this is not base64", "不是有效的 base64");
        Refusal::new(Kind::BadBody, detail.clone()).at(pointer.to_owned(), detail)
    })
}

fn named(ask: &Ask) -> Result<(AccountKey, EventId), Refusal> {
    let wrong = |_| Refusal::new(Kind::NotFound, no_such("mailing"));
    Ok((ask.account()?, ask.word("mailing").parse().map_err(wrong)?))
}

async fn add(ask: &Ask) -> Result<Reply, Refusal> {
    let key = ask.account()?;
    let New { file_name, table, subject, html, text, template, attachments } = ask.body()?;
    let table = bytes(&table, "/table")?;
    let mut files = Vec::with_capacity(attachments.len());
    for (number, MailingAttachment { name, media_type, content }) in attachments.into_iter().enumerate() {
        let bytes = bytes(&content, &format!("/attachments/{number}/content"))?;
        files.push(Attachment { name, media_type, bytes });
    }
    let (mut subject, mut body) = (subject, None);
    if let Some(template) = template {
        let detail = both("there is no such body", "没有这个模版");
        let missing =
            || Refusal::new(Kind::Unknown, detail.clone()).at("/template".to_owned(), detail.clone());
        let id: EventId = template.parse().map_err(|_| missing())?;
        let found = ask.administration.mail_template(&ask.call, key, id).await;
        let Saved { subject: said, html, text, .. } = match found {
            Err(pennypost_admin::AdminError::NotFound("template")) => return Err(missing()),
            found => found?,
        };
        subject = subject.or(Some(said));
        body = Some(NewBody { html, text });
    }
    if html.is_some() || text.is_some() {
        body = Some(NewBody { html, text });
    }
    let new =
        NewMailing { file: file_name, table, subject: subject.unwrap_or_default(), body, attachments: files };
    let mailing = ask.administration.add_mailing(&ask.call, key, new).await?;
    let location = format!("/api/v1/tenants/{}/accounts/{}/mailings/{}", key.tenant, key.account, mailing.id);
    Ok(Reply::made(&show(&mailing), location))
}

const LETTERS: &[Query] = &[
    Query { name: "limit", about: "How many at most: 1 to 200; 100, if nothing is said.", is_number: true },
    Query { name: "after", about: "`next` of the page before.", is_number: false },
];

const ROW: &[Query] = &[Query { name: "row", about: "Which letter, from 1.", is_number: true }];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/mailing-rules", "read-mailing-rules"),
        Action::MailingRulesRead,
        "How many recipients a mailing of the organisation has at most",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let found = ask.administration.mailing_rules(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&Rules { recipients: found.recipients }))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/mailing-rules", "change-mailing-rules"),
        Action::MailingRulesChange,
        "Say how many recipients a mailing of the organisation has at most",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let (tenant, said): (_, Rules) = (ask.tenant()?, ask.body()?);
                let seen = ask.administration.mailing_rules(&ask.call, tenant).await?;
                ask.must_match(&Rules { recipients: seen.recipients })?;
                let meant = MailingRules { recipients: said.recipients };
                let changed = ask.administration.change_mailing_rules(&ask.call, tenant, seen, meant).await?;
                Ok(Reply::tagged(&Rules { recipients: changed.recipients }))
            })
        },
    )
    .with(shape::<Rules>)
    .update()
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/mailings", "list-mailings"),
        Action::MailingRead,
        "Mailings of a member, the newest first, for 90 days; letters to each of several alone are kept for 30",
        Good::list(shape::<Mailings>),
        |ask| {
            Box::pin(async move {
                let (key, page) = (ask.account()?, ask.page()?);
                let wrong = |_| Refusal::new(Kind::BadParameter, bad_parameter("after"));
                let after = page.after.map(|text| text.parse::<EventId>().map_err(wrong)).transpose()?;
                let found = ask.administration.mailings(&ask.call, key, after, page.limit).await?;
                let (items, next) = found;
                let next = next.map(|next| next.to_string());
                Ok(Reply::document(&rows(Listed { items, next }, |mailing| show(&mailing))))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/mailings", "add-mailing"),
        Action::MailingAdd,
        "Make a mailing of a table: nothing is sent yet, and nothing is made as long as a row is wrong",
        Good::made(shape::<Mailing>),
        |ask| Box::pin(add(ask)),
    )
    .with(shape::<New>)
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/mailings/{mailing}", "read-mailing"),
        Action::MailingRead,
        "A mailing, and how far it has come",
        Good::told(shape::<Mailing>),
        |ask| {
            Box::pin(async move {
                let (key, id) = named(ask)?;
                Ok(Reply::document(&show(&ask.administration.mailing(&ask.call, key, id).await?)))
            })
        },
    ),
    Operation::new(
        (
            Method::Get,
            "/tenants/{tenant}/accounts/{account}/mailings/{mailing}/letters",
            "list-mailing-letters",
        ),
        Action::MailingRead,
        "Each recipient of a mailing, and what has become of his letter",
        Good::list(shape::<MailingLetters>),
        |ask| {
            Box::pin(async move {
                let ((key, id), (after, limit)) = (named(ask)?, ask.numbered_page()?);
                let wrong = |_| Refusal::new(Kind::BadParameter, bad_parameter("after"));
                let from = u32::try_from(after).map_err(wrong)?;
                let limit = limit.min(MOST_LETTERS);
                let found = ask.administration.mailing_letters(&ask.call, key, id, from, limit).await?;
                let (items, next) = found;
                Ok(Reply::document(&numbered(items, next.map(u64::from), show_letter)))
            })
        },
    )
    .asking(LETTERS)
    .refusing(&[Kind::OtherState]),
    Operation::new(
        (
            Method::Get,
            "/tenants/{tenant}/accounts/{account}/mailings/{mailing}/preview",
            "preview-mailing",
        ),
        Action::MailingPreview,
        "The letter of a row as it will be",
        Good::told(shape::<Shown>),
        |ask| {
            Box::pin(async move {
                let (key, id) = named(ask)?;
                let wrong = || Refusal::new(Kind::BadParameter, bad_parameter("row"));
                let row = ask.parameter("row").unwrap_or("1").parse().map_err(|_| wrong())?;
                let preview = ask.administration.preview_mailing(&ask.call, key, id, row).await?;
                Ok(Reply::document(&show_preview(preview)))
            })
        },
    )
    .asking(ROW)
    .refusing(&[Kind::Invalid, Kind::OtherState]),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/mailings/{mailing}/trials",
            "try-mailing",
        ),
        Action::MailingTry,
        "Send the letter of a row to the member alone, into the own mailbox",
        Good::told(shape::<MailingTried>),
        |ask| {
            Box::pin(async move {
                let ((key, id), MailingTrial { row }) = (named(ask)?, ask.body()?);
                let to = ask.administration.try_mailing(&ask.call, key, id, row).await?;
                Ok(Reply::document(&MailingTried { to }))
            })
        },
    )
    .with(shape::<MailingTrial>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/mailings/{mailing}/sent",
            "send-mailing",
        ),
        Action::MailingSend,
        "Let a mailing go: each of its letters once, behind single letters",
        Good::accepted(shape::<Mailing>),
        |ask| {
            Box::pin(async move {
                let (key, id) = named(ask)?;
                let mailing = ask.administration.send_mailing(&ask.call, key, id).await?;
                let AccountKey { tenant, account } = key;
                let location = format!("/api/v1/tenants/{tenant}/accounts/{account}/mailings/{id}");
                Ok(Reply::accepted(&show(&mailing), location))
            })
        },
    )
    .refusing(&[Kind::Changed]),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/mailings/{mailing}/stopped",
            "stop-mailing",
        ),
        Action::MailingStop,
        "Stop a mailing: what is not handed in does not go",
        Good::told(shape::<Mailing>),
        |ask| {
            Box::pin(async move {
                let (key, id) = named(ask)?;
                Ok(Reply::document(&show(&ask.administration.stop_mailing(&ask.call, key, id).await?)))
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/mail-templates", "list-mail-templates"),
        Action::MailTemplateRead,
        "Bodies that a member keeps for mailings, the oldest first",
        Good::list(shape::<MailTemplates>),
        |ask| {
            Box::pin(async move {
                let items = ask.administration.mail_templates(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&rows(Listed { items, next: None }, show_saved)))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/mail-templates", "add-mail-template"),
        Action::MailTemplateChange,
        "Keep a body for other mailings",
        Good::made(shape::<MailTemplate>),
        |ask| {
            Box::pin(async move {
                let (key, new): (_, NewMailTemplate) = (ask.account()?, ask.body()?);
                let NewMailTemplate { name, subject, html, text } = new;
                let body = NewBody { html, text };
                let kept =
                    ask.administration.keep_mail_template(&ask.call, key, &name, &subject, body).await?;
                let AccountKey { tenant, account } = key;
                let location =
                    format!("/api/v1/tenants/{tenant}/accounts/{account}/mail-templates/{}", kept.id);
                Ok(Reply::made(&show_saved(kept), location))
            })
        },
    )
    .with(shape::<NewMailTemplate>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (
            Method::Delete,
            "/tenants/{tenant}/accounts/{account}/mail-templates/{template}",
            "remove-mail-template",
        ),
        Action::MailTemplateChange,
        "Keep a body no longer",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let key = ask.account()?;
                let wrong = |_| Refusal::new(Kind::NotFound, no_such("template"));
                let id = ask.word("template").parse::<EventId>().map_err(wrong)?;
                ask.administration.forget_mail_template(&ask.call, key, id).await?;
                Ok(Reply::nothing())
            })
        },
    ),
];
