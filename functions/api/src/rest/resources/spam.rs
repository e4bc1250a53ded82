//! Letters that members report as spam (RCV-10), and senders whom they refuse by a letter (RCV-19).

use pennypost_admin::{Action, NamedByUid, Task as Stored, TaskKind};
use pennypost_model::Uid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use super::receiving::RulesDocument;
use super::tasks::{TaskState, state_of};
use crate::rest::ask::{Ask, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A letter that is reported.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpamLetter {
    /// The full name of its folder.
    folder: String,
    /// Its number there, as IMAP tells it.
    uid: u32,
    /// Put its author into the blacklist, too.
    #[serde(default)]
    refuse: bool,
}

/// A letter whose author is to be refused.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LetterOfSender {
    /// The full name of its folder.
    folder: String,
    /// Its number there, as IMAP tells it.
    uid: u32,
}

/// A report.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SpamReport {
    /// 16 hex digits.
    id: String,
    /// The address of who reported it.
    account: String,
    /// The address of its author, perhaps cut.
    from: String,
    /// Its subject, perhaps cut.
    subject: String,
    /// Its author was put into the blacklist.
    refused: bool,
    /// `done`: it lies in Junk.
    state: TaskState,
    /// When it was reported.
    reported: String,
}

page_of!(SpamReports, SpamReport);

fn show(task: Stored) -> SpamReport {
    let (account, from, subject, refused) = match task.kind {
        TaskKind::Spam { address, from, subject, refused, .. } => (address, from, subject, refused),
        _ => Default::default(),
    };
    SpamReport {
        id: task.id.to_string(),
        account,
        from,
        subject,
        refused,
        state: state_of(task.state),
        reported: task.created.rfc3339(),
    }
}

async fn list(ask: &Ask, is_own: bool) -> Result<Reply, Refusal> {
    let account = if is_own { Some(ask.account()?) } else { None };
    let listed = ask.administration.spam_reports(&ask.call, ask.tenant()?, account, &ask.page()?).await?;
    Ok(Reply::document(&rows(listed, show)))
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/spam-reports", "report-spam"),
        Action::SpamReport,
        "Report a letter of one's own as spam: it goes into Junk, and its author into the blacklist, if that is wished",
        Good::accepted(shape::<SpamReport>),
        |ask| {
            Box::pin(async move {
                let (account, SpamLetter { folder, uid, refuse }) = (ask.account()?, ask.body()?);
                let named = NamedByUid { account, folder, uid: Uid(uid) };
                let task = ask.administration.report_spam(&ask.call, &named, refuse, ask.once).await?;
                let (tenant, account) = (account.tenant, account.account);
                let location = format!("/api/v1/tenants/{tenant}/accounts/{account}/spam-reports");
                Ok(Reply::accepted(&show(task), location))
            })
        },
    )
    .with(shape::<SpamLetter>)
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/spam-reports", "list-own-spam-reports"),
        Action::SpamReportRead,
        "Letters that a member has reported as spam, of the last 180 days, the newest first",
        Good::list(shape::<SpamReports>),
        |ask| Box::pin(list(ask, true)),
    )
    .asking(PAGE),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/spam-reports", "list-spam-reports"),
        Action::SpamReportList,
        "Letters that members have reported as spam, of the last 180 days, the newest first",
        Good::list(shape::<SpamReports>),
        |ask| Box::pin(list(ask, false)),
    )
    .asking(PAGE),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/refused-senders", "refuse-sender"),
        Action::SpamReport,
        "Put the author of a letter into one's own blacklist",
        Good::told(shape::<RulesDocument>),
        |ask| {
            Box::pin(async move {
                let (account, LetterOfSender { folder, uid }) = (ask.account()?, ask.body()?);
                let named = NamedByUid { account, folder, uid: Uid(uid) };
                let seen = ask.administration.refuse_sender(&ask.call, &named).await?;
                Ok(Reply::document(&RulesDocument::from(&seen)))
            })
        },
    )
    .with(shape::<LetterOfSender>)
    .refusing(&[Kind::Invalid, Kind::Unknown]),
];
