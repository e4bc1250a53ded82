//! Invitations that the post office itself brings to members who have no password yet (ORG-12).

use std::collections::HashSet;

use pennypost_admin::{Action, InvitationWay, MAX_INVITED};
use pennypost_model::{AccountId, AccountKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::ask::{id_in, said_time};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::details::{Detail, both};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// Members who are to be invited.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MembersToInvite")]
pub(crate) struct ToInvite {
    /// Until when the invitations are good: 90 days from now at most.
    until: String,
    /// Who: 1 to 100.
    members: Vec<OneToInvite>,
}

/// A member who is to be invited.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemberToInvite")]
pub(crate) struct OneToInvite {
    /// The id of the account.
    account: String,
    /// To which address the invitation goes: another member's, or one elsewhere, if this post office sends to other servers.
    /// Null: by SMS to the mobile number that the directory has of the member, if this post office sends text messages.
    mail: Option<String>,
}

/// What became of the invitations.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InvitedMembers")]
pub(crate) struct InvitedAll {
    /// As many as were asked for, in the same order.
    items: Vec<Invited>,
}

/// What became of one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InvitedMember")]
pub(crate) struct Invited {
    /// The id of the account.
    account: String,
    /// It is on its way.
    sent: bool,
    /// Why not: the type of the problem.
    problem: Option<&'static str>,
    /// What exactly.
    detail: Option<Said>,
}

/// A sentence in both languages.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SaidInBoth")]
pub(crate) struct Said {
    /// In English.
    en: String,
    /// In Chinese.
    #[serde(rename = "zh-CN")]
    zh_cn: String,
}

impl From<&Detail> for Said {
    fn from(detail: &Detail) -> Said {
        Said { en: detail.english().to_owned(), zh_cn: detail.chinese().to_owned() }
    }
}

pub(super) const OPERATIONS: &[Operation] = &[Operation::new(
    (Method::Post, "/tenants/{tenant}/member-invitations", "invite-members"),
    Action::MemberInvite,
    "Send invitations to members who have no password yet, by which each sets one: 100 at most, each once. What became of \
     each is said, also what was not tried since it took too long; an earlier invitation of one to whom it was sent is worth \
     nothing from here on",
    Good::told(shape::<InvitedAll>),
    |ask| {
        Box::pin(async move {
            let ToInvite { until: end, members } = ask.body()?;
            let (tenant, until) = (ask.tenant()?, said_time(&end, "/until")?);
            if !(1..=MAX_INVITED).contains(&members.len()) {
                let detail = both(
                    format!("1 to {MAX_INVITED} members at a time"),
                    format!("每次须为 1 至 {MAX_INVITED} 名成员"),
                );
                return Err(Refusal::new(Kind::Invalid, detail.clone()).at("/members".to_owned(), detail));
            }
            let (mut wanted, mut known) = (Vec::with_capacity(members.len()), HashSet::new());
            for (index, one) in members.into_iter().enumerate() {
                let place = format!("/members/{index}/account");
                let account: AccountId = id_in(&one.account, &place)?;
                if !known.insert(account) {
                    let detail = both("each member once", "每名成员只能出现一次");
                    return Err(Refusal::new(Kind::Invalid, detail.clone()).at(place, detail));
                }
                wanted.push((AccountKey { tenant, account }, one.mail.map_or(InvitationWay::Sms, InvitationWay::Mail)));
            }
            let sending = ask.administration.send_member_invitations(&ask.call, until, &wanted, ask.once);
            let mut items = Vec::with_capacity(wanted.len());
            for ((key, _), ended) in wanted.iter().zip(sending.await?) {
                let account = key.account.to_string();
                let refusal = ended.err().map(Refusal::from);
                let problem = refusal.as_ref().map(|refusal| refusal.kind.uri());
                let detail = refusal.as_ref().and_then(|refusal| refusal.detail.as_ref()).map(Said::from);
                items.push(Invited { account, sent: refusal.is_none(), problem, detail });
            }
            Ok(Reply::document(&InvitedAll { items }))
        })
    },
)
.with(shape::<ToInvite>)
.refusing(&[Kind::Invalid])];
