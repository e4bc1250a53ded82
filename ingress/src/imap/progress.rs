//! INPROGRESS (RFC 9585): what takes long says now and then how far it is, or at least that it goes on.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use super::session::Session;
use crate::net::{NetError, Stream};

/// How far a command is.
pub(super) struct Progress {
    tag: String,
    done: usize,
    goal: usize,
    interval: Duration,
    last: Instant,
}

impl Progress {
    /// Begins a command that goes through `goal` messages.
    pub fn new(tag: &str, goal: usize, interval: Duration) -> Progress {
        Progress { tag: quoted(tag), done: 0, goal, interval, last: Instant::now() }
    }

    /// Is it time to say something? Then whole responses only may be in the output buffer.
    pub fn is_due(&self) -> bool {
        self.last.elapsed() >= self.interval
    }

    /// So many more messages are done: if it is time to say so, it is said and sent.
    pub async fn went_on(&mut self, stream: &mut Stream, messages: usize) -> Result<(), NetError> {
        self.done += messages;
        let Some(notice) = self.notice() else { return Ok(()) };
        stream.write(notice.as_bytes());
        stream.flush().await
    }

    fn notice(&mut self) -> Option<String> {
        if !self.is_due() || self.done >= self.goal {
            return None;
        }
        self.last = Instant::now();
        Some(format!("* OK [INPROGRESS ({} {} {})] still working\r\n", self.tag, self.done, self.goal))
    }
}

/// A tag that is longer than others is left out.
fn quoted(tag: &str) -> String {
    if tag.is_empty() || tag.len() > 64 { "NIL".to_owned() } else { format!("\"{tag}\"") }
}

impl Session {
    /// Begins a command that goes through `goal` messages.
    pub(super) fn progress(&self, tag: &str, goal: usize) -> Progress {
        Progress::new(tag, goal, self.adapter.limits.imap.progress)
    }

    /// Waits for what can't tell how far it is.
    pub(super) async fn patiently<T>(&mut self, tag: &str, work: impl Future<Output = T>) -> T {
        patiently(&mut self.stream, tag, self.adapter.limits.imap.progress, work).await
    }
}

/// Sends a notice now and then until the work is done. A client that does not read, or is gone, does not hold the work
/// up, which others may wait for: what it was not sent is left in the output buffer.
pub(super) async fn patiently<T>(
    stream: &mut Stream,
    tag: &str,
    interval: Duration,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    // With no time between two notices nothing else would be done.
    let interval = interval.max(Duration::from_millis(1));
    let notice = format!("* OK [INPROGRESS ({} NIL NIL)] still working\r\n", quoted(tag));
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(interval) => {}
        }
        stream.write(notice.as_bytes());
        tokio::select! {
            biased;
            done = &mut work => return done,
            sent = stream.flush() => if sent.is_err() {
                return work.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_notice_comes_every_ten_seconds() {
        let mut progress = Progress::new("A001", 1_000, Duration::from_secs(10));
        progress.done = 10;
        assert_eq!(progress.notice(), None);
        tokio::time::advance(Duration::from_secs(11)).await;
        progress.done = 175;
        let notice = "* OK [INPROGRESS (\"A001\" 175 1000)] still working\r\n";
        assert_eq!(progress.notice().as_deref(), Some(notice));
        assert_eq!(progress.notice(), None);
        tokio::time::advance(Duration::from_secs(11)).await;
        progress.done = 1_000;
        assert_eq!(progress.notice(), None, "the answer itself comes next");
        progress.done = 999;
        assert!(progress.notice().is_some());
    }
}
