//! Texts that the organisation puts into the messages of its members (BRD-09, BRD-12): before the durable step, so that the copy in
//! Sent, those here and those elsewhere are the same bytes, and signed with them.

use std::sync::Arc;

use pennypost_directory::Dress;
use pennypost_model::event::{Footers, Via};
use tokio::time::Instant;
use tracing::info;

use super::sender::unavailable;
use crate::smtp::accept::Judged;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;
use crate::smtp::transaction::Transaction;
use crate::smtp::without_delay;

impl Session {
    /// Puts into the message what stands in messages of its writer, and says what became of that. What is from nobody is a program's receipt,
    /// and stays as it is. Where the organisation has never said anything nothing is read.
    pub(in crate::smtp) async fn put_footers(
        &mut self,
        judged: &mut Judged,
        transaction: &Transaction,
    ) -> Result<Option<Footers>, Reply> {
        let Some(dress) = self.dress().await?.filter(|_| !transaction.reverse_path.is_empty()) else {
            return Ok(None);
        };
        let is_outside = |via: Via| via == Via::Outside;
        let groups = judged.kind.groups();
        let leaves = !groups.is_empty() || transaction.recipients.iter().any(|one| is_outside(one.via));
        let stays = transaction.recipients.iter().any(|one| !is_outside(one.via));
        let raw = std::mem::take(&mut judged.raw);
        let (raw, footers) = without_delay(raw.len(), || dress.put_into(raw, (stays, leaves)));
        let limit = self.adapter.limits.smtp.message_size;
        if footers == Some(Footers::PutIn) && raw.len() > limit {
            let text = format!(
                "with what your organisation puts into messages it is larger than the {limit} bytes that a message may have"
            );
            return Err(Reply::owned(552, "5.3.4", text));
        }
        judged.raw = raw;
        if let Some(footers) = footers {
            info!(footers = footers.name(), "the organisation has texts for this message");
        }
        Ok(footers)
    }

    /// What stands in the member's messages; `None` if nothing does. Asked as often as what the session stands on.
    async fn dress(&mut self) -> Result<Option<Arc<Dress>>, Reply> {
        let recheck = self.adapter.limits.recheck;
        let Some(member) = &self.member else { return Ok(None) };
        if !member.standing.has_footers {
            return Ok(None);
        }
        let dress = match &member.dress {
            Some((asked, dress)) if asked.elapsed() < recheck => Arc::clone(dress),
            _ => {
                let asked = Instant::now();
                let found = self.adapter.directory.dress(member.account()).await;
                let dress = Arc::new(found.map_err(|error| unavailable(&error))?);
                if let Some(member) = &mut self.member {
                    member.dress = Some((asked, Arc::clone(&dress)));
                }
                dress
            }
        };
        Ok(Some(dress).filter(|dress| !dress.pieces.is_empty()))
    }
}
