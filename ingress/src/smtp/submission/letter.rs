//! A message that has come from a member: looked at, put in order, counted.

use pennypost_directory::{Account, DirectoryError, MemberLimits, Tally, TenantPolicy, Voice};
use pennypost_model::event::{AuthResults, Recipient, Submission, Via};
use pennypost_model::trace::Submitter;
use pennypost_model::{EventId, Timestamp};
use tracing::{info, warn};

use super::from::from_field;
use super::groups::{ToGroup, is_sent_on, source};
use super::header::{Additions, Header, put_in_order};
use super::outward::Open;
use super::sender::{Checked, unavailable};
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
        (recipients, groups): (&[Recipient], &[ToGroup]),
        raw: Vec<u8>,
    ) -> Result<Judged, Reply> {
        let Some(member) = &self.member else { return Err(self.sign_in_first()) };
        let account = member.account();
        let header = without_delay(raw.len(), || Header::read(&raw))?;
        if is_sent_on(&raw, groups) {
            let text =
                "the message has come from this group, or answers by itself: it does not go there again";
            return Err(Reply::new(554, "5.4.6", text));
        }
        let Checked { needs_sender, voices } = self.check_header(&header).await?;
        let acceptance = pennypost_policy::submit(policy, &header.subject);
        if let Some(reply) = Reply::refusal(&acceptance) {
            info!(account = %account.key, ?acceptance, "message is refused");
            return Err(reply);
        }
        let additions = Additions {
            date: (!header.has_date).then(|| time.rfc5322()),
            message_id: (!header.has_message_id).then(|| format!("<{id}@{}>", account.address.domain())),
            sender: needs_sender.then(|| account.address.to_string()),
            from: self.unified_from(&header, &voices),
            is_for_list: groups.iter().any(|(_, reached)| !reached.is_empty()),
        };
        let address = account.address.to_string();
        let submitter =
            Submitter { account: account.key, address: address.clone(), protocol: protocol.to_owned() };
        let sent = Recipient { account: account.key, address, via: Via::Sent };
        Ok(Judged {
            raw: without_delay(raw.len(), || put_in_order(&raw, &additions)),
            kind: source(Submission { submitter, bcc: header.bcc }, id, (recipients, groups)),
            auth: AuthResults::default(),
            results: results_field(&self.adapter.hostname, account),
            sent: member.standing.rules.sent_copies.then_some(sent),
            subject: header.subject,
            is_individual: header.is_individual,
        })
    }

    /// The From field with the name that an administrator has given, where the organisation wants it so (ORG-27): of every
    /// author who is the member. Others keep what was written; where he is none of them, the field stays as it is.
    fn unified_from(&self, header: &Header, voices: &[Voice]) -> Option<String> {
        let name = self.member.as_ref()?.standing.unified_name.as_deref()?;
        if !voices.contains(&Voice::Own) {
            return None;
        }
        let names = header.names.iter().zip(voices).map(|(written, voice)| match voice {
            Voice::Own => name,
            Voice::Group | Voice::InNameOf | Voice::OnBehalfOf => written.as_str(),
        });
        Some(from_field(names.zip(header.from.iter().map(String::as_str))))
    }

    /// Counts the message against the day's allowance of whoever has signed in, and of the organisation (PLN-11), and against
    /// how often he may send outside, if it goes there (SND-21). Tells against what of his it was counted.
    pub(in crate::smtp) async fn count_against_allowance(
        &self,
        id: EventId,
        open: Option<Open>,
    ) -> Result<MemberLimits, Reply> {
        let Some(member) = &self.member else { return Ok(MemberLimits::default()) };
        let (key, directory) = (member.key(), &self.adapter.directory);
        let outside = self.limit_of(open).await?;
        let of_account = MemberLimits { daily: member.standing.account_daily_messages, outside };
        let of_tenant = member.standing.daily_messages;
        let counted = async {
            // The account first: who has sent too much takes nothing from the others.
            if of_account != MemberLimits::default() {
                match directory.count_sent_by(key, id, of_account).await? {
                    Tally::Counted => {}
                    Tally::DayOver => {
                        let text = "you have sent as many messages today as you may, try again tomorrow";
                        return Ok(Some(Reply::new(452, "4.7.1", text)));
                    }
                    Tally::OutsideOver { until } => {
                        return Ok(of_account.outside.map(|limit| self.too_often(limit, until)));
                    }
                }
            }
            if let Some(limit) = of_tenant
                && !directory.count_sent(key.tenant, id, limit).await?
            {
                let text = "your organisation has sent as many messages today as it may, try again tomorrow";
                return Ok(Some(Reply::new(452, "4.7.1", text)));
            }
            Ok::<_, DirectoryError>(None)
        };
        match counted.await {
            Ok(None) => Ok(of_account),
            Ok(Some(reply)) => {
                info!(account = %key, ?of_account, ?of_tenant, "an allowance is used up");
                self.give_allowance_back(id, of_account).await;
                Err(reply)
            }
            Err(error) => {
                // It may have been counted.
                self.give_allowance_back(id, of_account).await;
                Err(unavailable(&error))
            }
        }
    }

    /// A counted message was not accepted after all.
    pub(in crate::smtp) async fn give_allowance_back(&self, id: EventId, of_account: MemberLimits) {
        let Some(member) = &self.member else { return };
        let (key, directory) = (member.key(), &self.adapter.directory);
        let given = async {
            if of_account != MemberLimits::default() {
                directory.uncount_sent_by(key, id).await?;
            }
            if member.standing.daily_messages.is_some() {
                directory.uncount_sent(key.tenant, id).await?;
            }
            Ok::<_, DirectoryError>(())
        };
        if let Err(error) = given.await {
            warn!(account = %key, message = %id, %error, "a message counts that was not accepted");
        }
    }
}

/// The Authentication-Results field (RFC 8601 section 2.7.4), with its end.
fn results_field(hostname: &str, account: &Account) -> String {
    let address = &account.address;
    let login = if address.is_dot_atom() { format!(" smtp.auth={address}") } else { String::new() };
    format!("Authentication-Results: {hostname}; auth=pass{login}\r\n")
}
