//! Whether, and how often, a member may send to others outside the organisation (SND-21, SND-22): asked at the first recipient
//! there, and again when the message is there and that was long ago.

use pennypost_directory::{Frequency, Outward};
use pennypost_model::Timestamp;
use tokio::time::Instant;
use tracing::info;

use super::sender::unavailable;
use crate::smtp::commands::Admitted;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;

/// That a transaction may go outside.
#[derive(Debug, Clone, Copy)]
pub(in crate::smtp) struct Open {
    /// How often its writer may send there.
    limit: Option<Frequency>,
    /// When that was looked up.
    looked: Instant,
}

impl Session {
    /// May the member send outside, at all and now? What it counts against is the message, when it is there.
    pub(in crate::smtp) async fn admit_outside(&mut self) -> Admitted {
        let Some(member) = &self.member else { return Ok(()) };
        if self.transaction.as_ref().is_some_and(|transaction| transaction.open.is_some()) {
            return Ok(());
        }
        let limit = self.outside_limit().await?;
        if let Some(limit) = limit {
            let used = self.adapter.directory.sent_outside(member.key(), limit).await;
            let used = used.map_err(|error| ("directory", unavailable(&error)))?;
            if let Some(until) = used.until
                && used.messages >= u64::from(limit.messages())
            {
                info!(account = %member.key(), %limit, "has sent outside as often as possible");
                return Err(("frequency", self.too_often(limit, until)));
            }
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.open = Some(Open { limit, looked: Instant::now() });
        }
        Ok(())
    }

    /// How often the writer of a message that goes outside may send there. What was found at RCPT holds as long as a session
    /// goes without being looked at.
    pub(in crate::smtp) async fn limit_of(&self, open: Option<Open>) -> Result<Option<Frequency>, Reply> {
        match open {
            None => Ok(None),
            Some(open) if open.looked.elapsed() < self.adapter.limits.recheck => Ok(open.limit),
            Some(_) => self.outside_limit().await.map_err(|(_, reply)| reply),
        }
    }

    async fn outside_limit(&self) -> Result<Option<Frequency>, (&'static str, Reply)> {
        let Some(member) = &self.member else { return Ok(None) };
        let outward = self.adapter.directory.outward_of(&member.standing).await;
        match outward.map_err(|error| ("directory", unavailable(&error)))? {
            Outward::Open(limit) => Ok(limit),
            Outward::Forbidden => {
                info!(account = %member.key(), "may not send outside");
                let text = "your organisation does not let you send to anybody outside it";
                Err(("reach", Reply::new(550, "5.7.1", text)))
            }
        }
    }

    /// The refusal of whoever has sent outside as often as possible, until then.
    pub(super) fn too_often(&self, limit: Frequency, until: Timestamp) -> Reply {
        let left = until.0.saturating_sub(self.adapter.clock.now().0).max(0);
        let (messages, minutes, wait) = (limit.messages(), limit.minutes(), left / 60_000 + 1);
        let text = format!(
            "you have sent {messages} messages outside your organisation within {minutes} minutes, as many as you may: try \
             again in {wait} minutes"
        );
        Reply::owned(450, "4.7.1", text)
    }
}
