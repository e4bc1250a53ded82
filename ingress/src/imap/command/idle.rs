//! IDLE (RFC 2177).

use std::sync::Arc;
use std::time::Duration;

use pennypost_fold::State;
use tokio::time::Instant;

use crate::imap::response::Reply;
use crate::imap::session::{Done, End, Session};
use crate::imap::view::{Movement, Told};
use crate::net::{Line, NetError};

/// Where nothing happens, the account is looked at every so many times `limits.recheck`.
const SILENT_RECHECKS: u32 = 10;
/// Bytes of the line that ends it.
const MAX_LINE: usize = 1_000;

impl Session {
    /// Tells what has changed in the selected mailbox.
    fn tell_movement(&mut self, state: &Arc<State>) {
        let Some(view) = &mut self.view else { return };
        let mut out = Vec::new();
        view.advance(state, Movement::Full, &Told::default(), self.modes.condstore, &mut out);
        self.stream.write(&out);
    }

    /// Tells every change as it comes, until the client says DONE.
    pub(in crate::imap) async fn idle(&mut self) -> Done {
        let live = match self.selected() {
            Ok(live) => live,
            Err(refused) => return Ok(refused),
        };
        // Before the look at the journal, so that nothing falls between.
        let mut news = live.news();
        self.stream.write(b"+ idling\r\n");
        let deadline = Instant::now() + self.adapter.limits.imap.idle;
        let look = (self.adapter.limits.recheck * SILENT_RECHECKS).max(Duration::from_millis(100));
        loop {
            self.recheck().await?;
            match live.refresh().await {
                Ok(state) => {
                    if let Some(view) = &mut self.view {
                        view.learn(&state);
                    }
                    // Before anything is told: who is out of the mailbox hears no more of it.
                    match self.recheck_rights().await {
                        Ok(()) => self.tell_movement(&state),
                        Err(refused) => tracing::warn!(text = %refused.text, "rights can't be looked at"),
                    }
                }
                // The next change or the next command shows it.
                Err(error) => tracing::warn!(%error, "the journal can't be read"),
            }
            self.tell_news().await?;
            self.stream.flush().await?;
            let patience = deadline.saturating_duration_since(Instant::now());
            let line = tokio::select! {
                // Also for whoever was disabled and hears nothing any more.
                () = tokio::time::sleep(look) => continue,
                line = self.stream.read_line(MAX_LINE, patience) => line,
                changed = news.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Err(End::Bye("[UNAVAILABLE] the account is gone")),
                },
            };
            // That was a while ago.
            self.knows_rights = false;
            return match line {
                Ok(Line::Text(line) | Line::BareLf(line)) if line.eq_ignore_ascii_case(b"DONE") => {
                    Ok(Reply::ok("no longer idle"))
                }
                Ok(Line::Text(_) | Line::BareLf(_) | Line::TooLong) => Ok(Reply::bad("expected DONE")),
                Ok(Line::Eof) => Err(End::Net(NetError::Closed)),
                Err(error) => Err(error.into()),
            };
        }
    }
}
