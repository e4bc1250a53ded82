//! INPROGRESS (RFC 9585): what takes long says now and then how far it is.

use std::time::Duration;

use tokio::time::Instant;

/// Between two notices; RFC 9585 section 4.1 asks for ten seconds at least.
const INTERVAL: Duration = Duration::from_secs(10);

/// How far a command is.
pub(super) struct Progress {
    tag: String,
    goal: usize,
    last: Instant,
}

impl Progress {
    /// Begins a command that goes through `goal` messages.
    pub fn new(tag: &str, goal: usize) -> Progress {
        // A tag that is longer is left out.
        let tag = if tag.is_empty() || tag.len() > 64 { "NIL".to_owned() } else { format!("\"{tag}\"") };
        Progress { tag, goal, last: Instant::now() }
    }

    /// What is to be said after `done` messages, if it is time to say something.
    pub fn notice(&mut self, done: usize) -> Option<String> {
        if self.last.elapsed() < INTERVAL || done >= self.goal {
            return None;
        }
        self.last = Instant::now();
        Some(format!("* OK [INPROGRESS ({} {done} {})] still working\r\n", self.tag, self.goal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_notice_comes_every_ten_seconds() {
        let mut progress = Progress::new("A001", 1_000);
        assert_eq!(progress.notice(10), None);
        tokio::time::advance(Duration::from_secs(11)).await;
        let notice = "* OK [INPROGRESS (\"A001\" 175 1000)] still working\r\n";
        assert_eq!(progress.notice(175).as_deref(), Some(notice));
        assert_eq!(progress.notice(180), None);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(progress.notice(1_000), None, "the answer itself comes next");
        assert!(progress.notice(999).is_some());
    }
}
