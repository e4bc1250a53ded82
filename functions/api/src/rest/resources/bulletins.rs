//! Bulletins of the operator: published by him, read by administrators (LOG-09).

use std::collections::BTreeSet;

use pennypost_admin::{Action, BulletinText, NewBulletin, ReadBulletins, SeenBulletin};
use pennypost_model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, id_in, rows, time};
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::details::{bad_id, no_such};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// What a bulletin says in a language.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BulletinText")]
pub(crate) struct Words {
    /// The title: 1 to 100 characters.
    title: String,
    /// The text: 1 to 4,000 characters.
    text: String,
}

/// What a bulletin is about.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum BulletinKind {
    /// Something that the operator has to tell.
    Notice,
    /// The post office, or a part of it, is not there for a while.
    Maintenance,
    /// Something that the tenant has to change.
    Warning,
}

/// A bulletin.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Bulletin {
    /// 16 hex digits.
    id: String,
    /// What it is about.
    kind: BulletinKind,
    /// In English.
    en: Words,
    /// In Chinese.
    zh: Words,
    /// From when on it is told.
    from: String,
    /// Until when it stands on the first page; null: as long as it was not read.
    until: Option<String>,
    /// When it was published.
    published: String,
}

/// A bulletin as the operator sees it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PublishedBulletin {
    /// The bulletin.
    #[serde(flatten)]
    bulletin: Bulletin,
    /// For which tenants; none: for all.
    tenants: Vec<String>,
}

/// A bulletin as an administrator sees it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReceivedBulletin {
    /// The bulletin.
    #[serde(flatten)]
    bulletin: Bulletin,
    /// He has read it; null: a program asks.
    read: Option<bool>,
}

/// A bulletin to be published.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulletinWish {
    /// What it is about.
    kind: BulletinKind,
    /// In English.
    en: Words,
    /// In Chinese.
    zh: Words,
    /// From when on it is told; if nothing is said, at once.
    from: Option<String>,
    /// Until when it stands on the first page; null: as long as it was not read.
    until: Option<String>,
    /// For which tenants, 100 at most; none: for all.
    #[serde(default)]
    tenants: Vec<String>,
}

/// Up to where somebody has read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadUpTo {
    /// The id of the newest bulletin that he was shown: it and all before it.
    newest: String,
}

page_of!(PublishedBulletins, PublishedBulletin);
page_of!(ReceivedBulletins, ReceivedBulletin);

impl From<BulletinKind> for pennypost_admin::BulletinKind {
    fn from(kind: BulletinKind) -> pennypost_admin::BulletinKind {
        match kind {
            BulletinKind::Notice => pennypost_admin::BulletinKind::Notice,
            BulletinKind::Maintenance => pennypost_admin::BulletinKind::Maintenance,
            BulletinKind::Warning => pennypost_admin::BulletinKind::Warning,
        }
    }
}

impl From<pennypost_admin::BulletinKind> for BulletinKind {
    fn from(kind: pennypost_admin::BulletinKind) -> BulletinKind {
        match kind {
            pennypost_admin::BulletinKind::Notice => BulletinKind::Notice,
            pennypost_admin::BulletinKind::Maintenance => BulletinKind::Maintenance,
            pennypost_admin::BulletinKind::Warning => BulletinKind::Warning,
        }
    }
}

fn show(bulletin: &pennypost_admin::Bulletin) -> Bulletin {
    let words = |text: &BulletinText| Words { title: text.title.clone(), text: text.text.clone() };
    Bulletin {
        id: format!("{:016x}", bulletin.id),
        kind: bulletin.kind.into(),
        en: words(&bulletin.english),
        zh: words(&bulletin.chinese),
        from: bulletin.from.rfc3339(),
        until: bulletin.until.map(Timestamp::rfc3339),
        published: bulletin.published.rfc3339(),
    }
}

fn published(bulletin: &pennypost_admin::Bulletin) -> PublishedBulletin {
    let tenants = bulletin.tenants.iter().map(ToString::to_string).collect();
    PublishedBulletin { bulletin: show(bulletin), tenants }
}

pub(super) fn received(seen: &SeenBulletin) -> ReceivedBulletin {
    ReceivedBulletin { bulletin: show(&seen.bulletin), read: seen.is_read }
}

fn wish(said: BulletinWish) -> Result<NewBulletin, Refusal> {
    let text = |words: Words| BulletinText { title: words.title, text: words.text };
    let tenants = said.tenants.iter().enumerate();
    let tenants: Result<BTreeSet<_>, Refusal> =
        tenants.map(|(index, id)| id_in(id, &format!("/tenants/{index}"))).collect();
    Ok(NewBulletin {
        kind: said.kind.into(),
        english: text(said.en),
        chinese: text(said.zh),
        from: time(said.from.as_ref(), "/from")?,
        until: time(said.until.as_ref(), "/until")?,
        tenants: tenants?,
    })
}

fn id_of(word: &str) -> Option<u64> {
    let is_id = word.len() == 16 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_id { u64::from_str_radix(word, 16).ok() } else { None }
}

fn number(ask: &Ask) -> Result<u64, Refusal> {
    id_of(ask.word("bulletin")).ok_or_else(|| Refusal::new(Kind::NotFound, no_such("bulletin")))
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/bulletins", "list-published-bulletins"),
        Action::BulletinList,
        "As the operator: list bulletins, the one that is told last first, also those that are not told yet",
        Good::list(shape::<PublishedBulletins>),
        |ask| {
            Box::pin(async move {
                let listed = ask.administration.published_bulletins(&ask.call, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, |bulletin| published(&bulletin))))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Post, "/bulletins", "publish-bulletin"),
        Action::BulletinPublish,
        "As the operator: publish a bulletin for the administrators of all tenants, or of some",
        Good::told(shape::<PublishedBulletin>),
        |ask| {
            Box::pin(async move {
                let wish = wish(ask.body()?)?;
                let bulletin = ask.administration.publish_bulletin(&ask.call, &wish).await?;
                Ok(Reply::document(&published(&bulletin)))
            })
        },
    )
    .with(shape::<BulletinWish>)
    .refusing(&[Kind::Invalid, Kind::NotFound]),
    Operation::new(
        (Method::Delete, "/bulletins/{bulletin}", "withdraw-bulletin"),
        Action::BulletinWithdraw,
        "As the operator: withdraw a bulletin; nobody is told of it any more",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.withdraw_bulletin(&ask.call, number(ask)?).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/bulletins", "list-bulletins"),
        Action::BulletinRead,
        "List the bulletins of the operator, the newest first, and which of them one has read",
        Good::list(shape::<ReceivedBulletins>),
        |ask| {
            Box::pin(async move {
                let (tenant, page) = (ask.tenant()?, ask.page()?);
                let listed = ask.administration.bulletins(&ask.call, tenant, &page).await?;
                Ok(Reply::document(&rows(listed, |seen| received(&seen))))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/bulletins/{bulletin}/read", "mark-bulletin"),
        Action::BulletinMark,
        "Note that one has read a bulletin, in a session",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (tenant, which) = (ask.tenant()?, number(ask)?);
                ask.administration.mark_bulletins(&ask.call, tenant, ReadBulletins::One(which)).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/bulletins-read", "mark-bulletins"),
        Action::BulletinMark,
        "Note that one has read all bulletins up to the newest that one was shown, in a session",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (said, tenant): (ReadUpTo, _) = (ask.body()?, ask.tenant()?);
                let wrong = || Refusal::new(Kind::Invalid, bad_id()).at("/newest".to_owned(), bad_id());
                let newest = id_of(&said.newest).ok_or_else(wrong)?;
                ask.administration.mark_bulletins(&ask.call, tenant, ReadBulletins::UpTo(newest)).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .with(shape::<ReadUpTo>)
    .refusing(&[Kind::Invalid]),
];
