//! Preparing the messages of an APPEND (parsing, compressing) on other threads, and packing them, while the rest of the
//! command still comes, where it brings many (MULTIAPPEND, RFC 3502).
//!
//! What comes faster than it is compressed is stored as it is: nobody waits for the compressor. That takes a sender with
//! more than some 200 MB/s, on the same machine or in the same rack, or a server that had other things to do for a
//! moment; what comes over the Internet is compressed.
//!
//! Invariant: nothing refers to what is packed here before the command's entry does. A command that is refused, or breaks
//! off, leaves packs behind that housekeeping removes: at most as many octets as the account had room for. A message that
//! was not prepared ahead, because too much is under way or for whatever reason, is prepared when the command is carried
//! out.
//!
//! Memory: the copies that threads work on, [`MOST_AT_ONCE`] in the process. What is prepared belongs to the command,
//! whose literals have their share.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use pennypost_mailstore::{Effort, Mailstore, Prepared};
use pennypost_mime::without_binary_nul;
use pennypost_model::AccountKey;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Octets of messages that are given to a thread together. A command with less than this is not worth it.
const GROUP: usize = 128 * 1024;
/// Octets of messages that are packed together before the command is complete.
const PACK: usize = 2 << 20;
/// Larger messages are prepared by themselves, later.
const LARGE: usize = 1 << 20;
/// Octets that threads work on at a time, of all sessions.
const MOST_AT_ONCE: usize = 16 << 20;

static UNDER_WAY: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST_AT_ONCE)));

/// Messages, by where they begin in the command.
type Made = Vec<(usize, Prepared)>;

/// Messages of one command that are being prepared.
pub(super) struct Ahead {
    store: Mailstore,
    /// Whose session it is; the messages of another account are not packed ahead.
    account: AccountKey,
    /// Octets that may be packed before anybody looks at the quota.
    room: u64,
    /// Literals that came and were not given to a thread yet.
    waiting: Vec<Range<usize>>,
    waiting_octets: usize,
    /// Given to threads, and not to be packed yet.
    groups: Vec<JoinHandle<Made>>,
    group_octets: usize,
    packs: Vec<JoinHandle<Made>>,
    /// Each group that is not done has a clone.
    not_done: Arc<()>,
    ready: HashMap<usize, Prepared>,
}

impl Ahead {
    /// For a command of this account's session, which has room for so many octets.
    pub(super) fn new(store: Mailstore, account: AccountKey, room: u64) -> Ahead {
        Ahead {
            store,
            account,
            room,
            waiting: Vec::new(),
            waiting_octets: 0,
            groups: Vec::new(),
            group_octets: 0,
            packs: Vec::new(),
            not_done: Arc::new(()),
            ready: HashMap::new(),
        }
    }

    /// A literal has come: these of the command's `bytes`.
    pub(super) fn came(&mut self, range: Range<usize>, bytes: &[u8]) {
        if range.len() > LARGE {
            return;
        }
        self.waiting_octets += range.len();
        self.waiting.push(range);
        if self.waiting_octets >= GROUP {
            self.prepare_waiting(bytes);
        }
        if self.group_octets >= PACK && self.group_octets as u64 <= self.room {
            self.pack_groups();
        }
    }

    /// The command is complete: what is still waiting is prepared, too, if it is a large one.
    pub(super) fn complete(&mut self, bytes: &[u8]) {
        if !self.groups.is_empty() || !self.packs.is_empty() {
            self.prepare_waiting(bytes);
        }
    }

    /// The message that begins there, to be stored in this account, if it was prepared.
    pub(super) async fn take(&mut self, start: usize, account: AccountKey) -> Option<Prepared> {
        for made in std::mem::take(&mut self.packs).into_iter().chain(std::mem::take(&mut self.groups)) {
            // A thread that panicked has prepared nothing.
            self.ready.extend(made.await.unwrap_or_default());
        }
        self.ready.remove(&start).filter(|prepared| prepared.is_for(account))
    }

    fn prepare_waiting(&mut self, bytes: &[u8]) {
        let octets = std::mem::take(&mut self.waiting_octets);
        let group = std::mem::take(&mut self.waiting);
        let Ok(permits) = u32::try_from(octets) else { return };
        let Ok(permit) = Arc::clone(&UNDER_WAY).try_acquire_many_owned(permits) else { return };
        let literal = |range: Range<usize>| Some((range.start, bytes.get(range)?.to_vec()));
        let copies: Vec<(usize, Vec<u8>)> = group.into_iter().filter_map(literal).collect();
        // Whoever sends faster than this does not wait for it.
        let is_behind = Arc::strong_count(&self.not_done) > 1;
        let effort = if is_behind { Effort::AsItIs } else { Effort::Compressed };
        let not_done = Arc::clone(&self.not_done);
        self.group_octets += octets;
        self.groups.push(tokio::task::spawn_blocking(move || {
            let prepare = |(at, raw): (usize, Vec<u8>)| {
                Some((at, Prepared::with(&without_binary_nul(&raw), effort).ok()?))
            };
            let made = copies.into_iter().filter_map(prepare).collect();
            drop((permit, not_done));
            made
        }));
    }

    fn pack_groups(&mut self) {
        self.room = self.room.saturating_sub(std::mem::take(&mut self.group_octets) as u64);
        let groups = std::mem::take(&mut self.groups);
        let (store, account) = (self.store.clone(), self.account);
        self.packs.push(tokio::spawn(async move {
            let (mut starts, mut prepared) = (Vec::new(), Vec::new());
            for group in groups {
                let made = group.await.unwrap_or_default();
                for (start, message) in made {
                    starts.push(start);
                    prepared.push(message);
                }
            }
            match store.put_ahead(account, prepared).await {
                Ok(packed) => starts.into_iter().zip(packed).collect(),
                Err(error) => {
                    // The command meets the same trouble when it is carried out, and tells the client.
                    tracing::warn!(%account, %error, "messages can't be packed ahead of their command");
                    Vec::new()
                }
            }
        }));
    }
}
