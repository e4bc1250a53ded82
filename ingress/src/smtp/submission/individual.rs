//! Messages of which each recipient gets a letter of his own (SND-04): they are put down as a mailing, which makes the letters when
//! they go.

use pennypost_held::HeldError;
use pennypost_mailings::{Content, Counts, Individual, Kind, MAX_KEPT, MAX_OPEN, Mailing, Mailings, State};
use pennypost_model::event::SourceKind;
use pennypost_model::message::cut;
use pennypost_model::{EventId, TenantId, Timestamp};
use tracing::{info, warn};

use super::hold::Waits;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;
use crate::smtp::transaction::Transaction;

/// Bytes of a subject that are kept beside a mailing.
const SUBJECT: usize = 200;

/// A message that is to go to each of its recipients alone.
pub(in crate::smtp) struct Alone {
    pub id: EventId,
    pub time: Timestamp,
    pub tenant: TenantId,
    pub raw: Vec<u8>,
    pub receipt: String,
    pub kind: SourceKind,
    pub subject: String,
}

impl Session {
    /// Puts the message down. When this returns it is durable; each letter counts when it goes.
    pub(in crate::smtp) async fn set_out(
        &self,
        letter: Alone,
        transaction: &mut Transaction,
        keeps_copy: bool,
        waits: Option<Waits>,
    ) -> Result<(), Reply> {
        let Some(member) = &self.member else { return Err(self.sign_in_first()) };
        let Alone { id, time, tenant, raw, receipt, kind, subject } = letter;
        let key = member.key();
        let (protocol, bcc) = match kind.submission() {
            Some(submission) => (submission.submitter.protocol.clone(), submission.bcc.clone()),
            None => (String::new(), String::new()),
        };
        let mailings = &self.adapter.mailings;
        let has_room = mailings.has_room(key).await.map_err(|error| later(&error))?;
        if !has_room {
            let text = format!(
                "as many messages to each recipient alone wait or are kept as may: {MAX_OPEN}, {MAX_KEPT}"
            );
            return Err(Reply::owned(452, "4.3.1", text));
        }
        let direct = transaction.recipients.iter().map(|recipient| recipient.address.clone());
        let groups = transaction.groups.iter().map(|(group, _)| group.to_string());
        let mut addresses: Vec<String> = Vec::new();
        for address in direct.chain(groups) {
            if !addresses.iter().any(|known| known.eq_ignore_ascii_case(&address)) {
                addresses.push(address);
            }
        }
        let due = waits.map_or(time, |waits| waits.until);
        let rows = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let mailing = Mailing {
            id,
            sender: (key, member.account().address.to_string()),
            user: member.standing.user(),
            kind: Kind::Individual,
            subject: cut(&subject, SUBJECT).to_owned(),
            object: Mailings::object(tenant, self.adapter.ids.event(due)),
            state: State::Going,
            rows,
            next: 0,
            counts: Counts::default(),
            keeps_copy,
            created: time,
            // Its letters are as old as that.
            ordered: Some(due),
            due,
            waits: None,
            moved: due,
            busy: (Timestamp(0), 0),
            ended: None,
        };
        let helo = self.hello.as_ref().map(|hello| hello.name.clone()).unwrap_or_default();
        let content = Content::Individual(Individual {
            raw,
            addresses,
            reverse_path: std::mem::take(&mut transaction.reverse_path),
            protocol,
            bcc,
            receipt,
            from: (helo, self.stream.tls().map(str::to_owned)),
            subject,
            wishes: std::mem::take(&mut transaction.wishes),
            is_private: transaction.is_private,
        });
        mailings.add(&mailing, &content).await.map_err(|error| later(&error))?;
        info!(%tenant, message = %id, recipients = rows, "accepted, for each recipient alone");
        Ok(())
    }
}

fn later(error: &HeldError) -> Reply {
    warn!(%error, "a message can't be put down for each of its recipients");
    Reply::later()
}
