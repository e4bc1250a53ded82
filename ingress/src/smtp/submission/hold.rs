//! Messages that do not go at once: their writer wants them to go later (SND-08, RFC 4865), or has some seconds to take them
//! back.

use std::time::Duration;

use pennypost_held::{Cause, Held, HeldError, MAX_HELD, MAX_HELD_BYTES, State};
use pennypost_mailstore::names;
use pennypost_model::event::{Accepted, Body};
use pennypost_model::message::cut;
use pennypost_model::{Timestamp, codec};
use pennypost_ports::{Created, PortError, crash};
use tokio::time::Instant;
use tracing::{info, warn};

use super::sender::unavailable;
use crate::smtp::parameters::Hold;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;

/// Bytes of a subject that are kept beside a message that waits.
const SUBJECT: usize = 200;

/// That a message waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::smtp) struct Waits {
    pub cause: Cause,
    pub until: Timestamp,
}

impl Session {
    /// Does a message wait that was handed in at that time? Nothing waits that is from nobody, but by its sender's word: it is
    /// a program's receipt.
    pub(in crate::smtp) async fn waits(
        &mut self,
        hold: Option<Hold>,
        reverse_path: &str,
        time: Timestamp,
    ) -> Result<Option<Waits>, Reply> {
        let window = if reverse_path.is_empty() { None } else { self.undo_window().await? };
        let undo = window.map(|window| Waits { cause: Cause::Undo, until: later(time, window) });
        let scheduled = hold.map(|hold| Waits { cause: Cause::Scheduled, until: hold.time(time) });
        let scheduled = scheduled.filter(|waits| waits.until > time);
        Ok(match (scheduled, undo) {
            (Some(scheduled), Some(undo)) if undo.until >= scheduled.until => Some(undo),
            (scheduled, undo) => scheduled.or(undo),
        })
    }

    /// How long the member's messages wait so that he can take them back. Asked as often as what the session stands on.
    async fn undo_window(&mut self) -> Result<Option<Duration>, Reply> {
        let recheck = self.adapter.limits.recheck;
        let Some(member) = &self.member else { return Ok(None) };
        if let Some((asked, window)) = member.window
            && asked.elapsed() < recheck
        {
            return Ok(window);
        }
        let (asked, found) = (Instant::now(), self.adapter.directory.undo_window(member.key()).await);
        let window = found.map_err(|error| unavailable(&error))?;
        let window = window.map(|window| Duration::from_secs(u64::from(window.seconds())));
        if let Some(member) = &mut self.member {
            member.window = Some((asked, window));
        }
        Ok(window)
    }

    /// Has the member room for one more message of so many bytes that waits?
    pub(in crate::smtp) async fn has_room_to_wait(&self, size: usize) -> Result<(), Reply> {
        let Some(member) = &self.member else { return Err(self.sign_in_first()) };
        let (count, bytes) =
            self.adapter.held.waiting(member.key()).await.map_err(|error| later_reply(&error))?;
        if count >= MAX_HELD || bytes.saturating_add(size as u64) > MAX_HELD_BYTES {
            let text = format!(
                "as many messages of yours wait to be sent later as may: {MAX_HELD}, or {} MB",
                MAX_HELD_BYTES >> 20
            );
            return Err(Reply::owned(452, "4.3.1", text));
        }
        Ok(())
    }

    /// Puts a message down until its time has come. When this returns it is durable.
    pub(in crate::smtp) async fn hold(
        &self,
        mut accepted: Accepted,
        subject: &str,
        waits: Waits,
    ) -> Result<(), Reply> {
        let Some(member) = &self.member else { return Err(self.sign_in_first()) };
        let (tenant, id) = (accepted.tenant, accepted.id);
        let stored = async {
            if let Body::Inline(stored) = &accepted.body {
                // Whoever sweeps old objects goes by the time in their name: it waits longer than others lie.
                let object = names::spool(tenant, self.adapter.ids.event(waits.until));
                let size = stored.size;
                let put = self.adapter.objects.put_unique(&object, codec::encode(stored).into()).await?;
                if put == Created::Exists {
                    let cause = "a fresh id was taken".to_owned();
                    return Err(PortError::Unavailable { port: "objects", cause }.into());
                }
                accepted.body = Body::Spooled { object, size };
            }
            crash::point("held.after-bytes");
            let held = Held {
                sender: (member.key(), member.account().address.to_string()),
                subject: cut(subject, SUBJECT).to_owned(),
                cause: waits.cause,
                zone: String::new(),
                wanted: waits.until,
                due: waits.until,
                waits: None,
                refused: Vec::new(),
                state: State::Waiting,
                user: member.standing.user(),
                is_counted: waits.cause == Cause::Undo,
                is_settled: false,
                accepted,
            };
            self.adapter.held.add(&held).await
        };
        stored.await.map_err(|error: HeldError| later_reply(&error))?;
        info!(%tenant, message = %id, until = %waits.until.rfc3339(), cause = waits.cause.name(), "waits");
        Ok(())
    }
}

fn later(time: Timestamp, window: Duration) -> Timestamp {
    time.plus_millis(i64::try_from(window.as_millis()).unwrap_or(i64::MAX))
}

fn later_reply(error: &HeldError) -> Reply {
    warn!(%error, "a message can't be put down for later");
    Reply::later()
}
