//! Preparing the messages of an APPEND (parsing, compressing) on other threads while the rest of the command still
//! comes, where it brings many (MULTIAPPEND, RFC 3502).
//!
//! What is prepared is the same as without; a message that was not prepared ahead, because too much is under way or
//! for whatever reason, is prepared when the command is carried out. Nothing is stored here: a command that is
//! refused leaves nothing behind.
//!
//! Memory: the copies that threads work on, [`MOST_AT_ONCE`] of them in the process, each little more than
//! [`GROUP`]. What is prepared belongs to the command, whose literals have their share.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use pennypost_mailstore::Prepared;
use pennypost_mime::without_binary_nul;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Octets of messages that are given to a thread together. A command with less than this is not worth it.
const GROUP: usize = 128 * 1024;
/// Larger messages are prepared by themselves, later.
const LARGE: usize = 64 * 1024;
/// Groups under way at a time, of all sessions.
const MOST_AT_ONCE: usize = 16;

static UNDER_WAY: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST_AT_ONCE)));

/// Messages of one command that are being prepared, by where they begin in it.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Literals that came and were not given to a thread yet.
    waiting: Vec<Range<usize>>,
    octets: usize,
    under_way: Vec<JoinHandle<Vec<(usize, Prepared)>>>,
    ready: HashMap<usize, Prepared>,
}

impl Ahead {
    /// A literal has come: these of the command's `bytes`.
    pub(super) fn came(&mut self, range: Range<usize>, bytes: &[u8]) {
        if range.len() > LARGE {
            return;
        }
        self.octets += range.len();
        self.waiting.push(range);
        if self.octets < GROUP {
            return;
        }
        self.octets = 0;
        let group = std::mem::take(&mut self.waiting);
        let Ok(permit) = Arc::clone(&UNDER_WAY).try_acquire_owned() else { return };
        let literal = |range: Range<usize>| Some((range.start, bytes.get(range)?.to_vec()));
        let copies: Vec<(usize, Vec<u8>)> = group.into_iter().filter_map(literal).collect();
        self.under_way.push(tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let prepare =
                |(at, raw): (usize, Vec<u8>)| Some((at, Prepared::new(&without_binary_nul(&raw)).ok()?));
            copies.into_iter().filter_map(prepare).collect()
        }));
    }

    /// Was the message that begins there prepared?
    pub(super) async fn take(&mut self, start: usize) -> Option<Prepared> {
        for group in std::mem::take(&mut self.under_way) {
            // A thread that panicked has prepared nothing.
            self.ready.extend(group.await.unwrap_or_default());
        }
        self.ready.remove(&start)
    }
}
