//! A message that has come from a member: looked at, put in order, counted.

use pennypost_directory::{Account, TenantPolicy};
use pennypost_model::event::{AuthResults, Recipient, SourceKind, Submission, Via};
use pennypost_model::trace::Submitter;
use pennypost_model::{EventId, Timestamp};
use tracing::{info, warn};

use super::header::{Additions, Header, put_in_order};
use super::sender::{NeedsSender, unavailable};
use crate::smtp::accept::Judged;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;
use crate::smtp::without_delay;

impl Session {
    /// Says whether the member may send this, and puts it in order.
    pub(in crate::smtp) async fn prepare(
        &self,
        (id, time): (EventId, Timestamp),
        protocol: &str,
        policy: &TenantPolicy,
        raw: Vec<u8>,
    ) -> Result<Judged, Reply> {
        let Some(member) = &self.member else { return Err(self.sign_in_first()) };
        let account = member.account();
        let header = without_delay(raw.len(), || Header::read(&raw))?;
        let NeedsSender(needs_sender) = self.check_header(&header).await?;
        let acceptance = pennypost_policy::submit(policy, &header.subject);
        if let Some(reply) = Reply::refusal(&acceptance) {
            info!(account = %account.key, ?acceptance, "message is refused");
            return Err(reply);
        }
        let additions = Additions {
            date: (!header.has_date).then(|| time.rfc5322()),
            message_id: (!header.has_message_id).then(|| format!("<{id}@{}>", account.address.domain())),
            sender: needs_sender.then(|| account.address.to_string()),
        };
        let address = account.address.to_string();
        let submitter =
            Submitter { account: account.key, address: address.clone(), protocol: protocol.to_owned() };
        let sent = Recipient { account: account.key, address, via: Via::Sent };
        Ok(Judged {
            raw: without_delay(raw.len(), || put_in_order(&raw, &additions)),
            kind: SourceKind::Submission(Box::new(Submission { submitter, bcc: header.bcc })),
            auth: AuthResults::default(),
            results: results_field(&self.adapter.hostname, account),
            sent: member.standing.rules.sent_copies.then_some(sent),
        })
    }

    /// Counts the message against the day's allowance of whoever has signed in (PLN-11).
    pub(in crate::smtp) async fn count_against_allowance(&self, id: EventId) -> Result<(), Reply> {
        let Some((member, limit)) =
            self.member.as_ref().and_then(|member| Some((member, member.standing.daily_messages?)))
        else {
            return Ok(());
        };
        let tenant = member.key().tenant;
        match self.adapter.directory.count_sent(tenant, id, limit).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => {
                // It may have been counted.
                self.give_allowance_back(id).await;
                return Err(unavailable(&error));
            }
        }
        info!(%tenant, limit, "the day's allowance is used up");
        let text = "your organisation has sent as many messages today as it may, try again tomorrow";
        Err(Reply::new(452, "4.7.1", text))
    }

    /// A counted message was not accepted after all.
    pub(in crate::smtp) async fn give_allowance_back(&self, id: EventId) {
        let Some(member) = self.member.as_ref().filter(|member| member.standing.daily_messages.is_some())
        else {
            return;
        };
        let tenant = member.key().tenant;
        if let Err(error) = self.adapter.directory.uncount_sent(tenant, id).await {
            warn!(%tenant, message = %id, %error, "a message counts that was not accepted");
        }
    }
}

/// The Authentication-Results field (RFC 8601 section 2.7.4), with its end.
fn results_field(hostname: &str, account: &Account) -> String {
    let address = &account.address;
    let login = if address.is_dot_atom() { format!(" smtp.auth={address}") } else { String::new() };
    format!("Authentication-Results: {hostname}; auth=pass{login}\r\n")
}
