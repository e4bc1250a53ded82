//! Preparing the messages of an APPEND (parsing, compressing) on other threads, and packing them, while the rest of the
//! command still comes, where it brings many (MULTIAPPEND, RFC 3502).
//!
//! What comes faster than it is compressed is stored as it is: nobody waits for the compressor. That takes a sender with
//! more than some 200 MB/s, on the same machine or in the same rack, or a server that had other things to do for a
//! moment; what comes over the Internet is compressed.
//!
//! From the second group on, literals don't become part of the command's text: they are read into the group's own
//! buffer, which goes to the thread as it is, and an empty literal stands for each in the text.
//!
//! Invariant: nothing refers to what is packed here before the command's entry does. A command that is refused, or breaks
//! off, leaves packs behind that housekeeping removes: at most as many octets as the account had room for. A message that
//! stands in the text and was not prepared ahead, because too much is under way or for whatever reason, is prepared when
//! the command is carried out; one that stands apart and can't be prepared or packed makes the command fail.
//!
//! Memory: what threads work on, [`MOST_AT_ONCE`] in the process. What is prepared belongs to the command, whose literals
//! have their share.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use pennypost_mailstore::{Effort, Mailstore, Prepared, StoreError, Writing};
use pennypost_mime::without_binary_nul;
use pennypost_model::AccountKey;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// Octets of messages that are given to a thread together. A command with less than this is not worth it.
const GROUP: usize = 128 * 1024;
/// Octets of messages that are packed together before the command is complete.
const PACK: usize = 2 << 20;
/// Larger messages are prepared by themselves, later.
const LARGE: usize = 1 << 20;
/// Octets that threads work on at a time, of all sessions.
const MOST_AT_ONCE: usize = 16 << 20;
/// What a buffer of a group has room for at first: the last message of a group reaches beyond it.
const BUFFER: usize = GROUP + GROUP / 2;

static UNDER_WAY: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST_AT_ONCE)));

/// Messages, by where they begin in the command.
type Made = Vec<(usize, Prepared)>;
/// A pack that is on its way to the disk.
type Written = JoinHandle<Result<(), StoreError>>;

/// Messages of one command that are being prepared.
pub(super) struct Ahead {
    store: Mailstore,
    /// Whose session it is; the messages of another account are not packed ahead.
    account: AccountKey,
    /// Octets that may be packed before anybody looks at the quota.
    room: u64,
    /// Literals of the text that came and were not given to a thread yet.
    waiting: Vec<Range<usize>>,
    waiting_octets: usize,
    /// Literals that came apart from the text, by where they would begin in it, and not given to a thread yet.
    apart: Group,
    /// All that came apart, with their lengths.
    lengths: HashMap<usize, u64>,
    /// Given to threads, and not to be packed yet.
    groups: Vec<JoinHandle<Made>>,
    group_octets: usize,
    packs: Vec<JoinHandle<(Made, Option<Written>)>>,
    written: Vec<Written>,
    /// Each group that is not done has a clone.
    not_done: Arc<()>,
    ready: HashMap<usize, Prepared>,
}

/// Messages that go to a thread together.
#[derive(Default)]
struct Group {
    octets: Vec<u8>,
    /// By where they begin in the command; which of `octets` they are.
    messages: Vec<(usize, Range<usize>)>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Group {
    /// May so many octets more be worked on?
    fn admits(&mut self, octets: usize) -> bool {
        let Ok(permits) = u32::try_from(octets) else { return false };
        let Ok(more) = Arc::clone(&UNDER_WAY).try_acquire_many_owned(permits) else { return false };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        true
    }
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
            apart: Group::default(),
            lengths: HashMap::new(),
            groups: Vec::new(),
            group_octets: 0,
            packs: Vec::new(),
            written: Vec::new(),
            not_done: Arc::new(()),
            ready: HashMap::new(),
        }
    }

    /// Can the next literal of the command, of this length, come apart from its text?
    pub(super) fn takes(&mut self, len: u64) -> bool {
        let has_begun = !self.groups.is_empty() || !self.packs.is_empty();
        match usize::try_from(len) {
            Ok(len) => has_begun && len > 0 && len <= LARGE && self.apart.admits(len),
            Err(_) => false,
        }
    }

    /// Where the octets of a literal go that comes apart.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.apart.octets.capacity() == 0 {
            self.apart.octets.reserve_exact(BUFFER);
        }
        &mut self.apart.octets
    }

    /// A literal has come apart: the last `len` octets of the buffer; an empty one stands for it at `start`.
    pub(super) fn came_apart(&mut self, start: usize, len: u64) {
        let end = self.apart.octets.len();
        let before = end.saturating_sub(usize::try_from(len).unwrap_or(end));
        self.apart.messages.push((start, before..end));
        self.lengths.insert(start, len);
        if end >= GROUP {
            self.prepare_apart();
            self.pack_if_enough();
        }
    }

    /// A literal has come as part of the text: these of the command's `bytes`.
    pub(super) fn came(&mut self, range: Range<usize>, bytes: &[u8]) {
        if range.is_empty() || range.len() > LARGE {
            return;
        }
        self.waiting_octets += range.len();
        self.waiting.push(range);
        if self.waiting_octets >= GROUP {
            self.prepare_waiting(bytes);
            self.pack_if_enough();
        }
    }

    /// The command is complete: what is still waiting is prepared, too, if it is a large one.
    pub(super) fn complete(&mut self, bytes: &[u8]) {
        self.prepare_apart();
        if !self.groups.is_empty() || !self.packs.is_empty() {
            self.prepare_waiting(bytes);
        }
    }

    /// Octets of the literals that came apart.
    pub(super) fn octets_apart(&self) -> u64 {
        self.lengths.values().sum()
    }

    /// Did the message that begins there come apart?
    pub(super) fn came_apart_at(&self, start: usize) -> bool {
        self.lengths.contains_key(&start)
    }

    /// The message that begins there, to be stored in this account, if it was prepared.
    pub(super) async fn take(&mut self, start: usize, account: AccountKey) -> Option<Prepared> {
        for pack in std::mem::take(&mut self.packs) {
            // A thread that panicked has prepared nothing.
            if let Ok((made, written)) = pack.await {
                self.ready.extend(made);
                self.written.extend(written);
            }
        }
        for made in std::mem::take(&mut self.groups) {
            self.ready.extend(made.await.unwrap_or_default());
        }
        self.ready.remove(&start).filter(|prepared| prepared.is_for(account))
    }

    /// The packs that hold what was taken.
    pub(super) fn packs(&mut self) -> Option<Writing> {
        let packs = std::mem::take(&mut self.written);
        if packs.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            for pack in packs {
                pack.await.unwrap_or_else(|panicked| Err(StoreError::Damaged(panicked.to_string())))?;
            }
            Ok(())
        }))
    }

    fn prepare_waiting(&mut self, bytes: &[u8]) {
        let octets = std::mem::take(&mut self.waiting_octets);
        let waiting = std::mem::take(&mut self.waiting);
        let mut group = Group::default();
        if !group.admits(octets) {
            return;
        }
        group.octets.reserve_exact(octets);
        for range in waiting {
            let (start, before) = (range.start, group.octets.len());
            group.octets.extend_from_slice(bytes.get(range).unwrap_or_default());
            group.messages.push((start, before..group.octets.len()));
        }
        self.prepare(group);
    }

    fn prepare_apart(&mut self) {
        if !self.apart.messages.is_empty() {
            let group = std::mem::take(&mut self.apart);
            self.prepare(group);
        }
    }

    fn prepare(&mut self, group: Group) {
        // Whoever sends faster than this does not wait for it.
        let is_behind = Arc::strong_count(&self.not_done) > 1;
        let effort = if is_behind { Effort::AsItIs } else { Effort::Compressed };
        let not_done = Arc::clone(&self.not_done);
        self.group_octets += group.octets.len();
        self.groups.push(tokio::task::spawn_blocking(move || {
            let Group { octets, messages, permit } = group;
            let octets = Bytes::from(octets);
            let prepare = |(start, range): (usize, Range<usize>)| {
                let raw = octets.slice(range);
                let without = match without_binary_nul(&raw) {
                    std::borrow::Cow::Borrowed(_) => None,
                    std::borrow::Cow::Owned(without) => Some(Bytes::from(without)),
                };
                Some((start, Prepared::with(without.unwrap_or(raw), effort).ok()?))
            };
            let made = messages.into_iter().filter_map(prepare).collect();
            drop((permit, not_done));
            made
        }));
    }

    fn pack_if_enough(&mut self) {
        if self.group_octets < PACK || self.group_octets as u64 > self.room {
            return;
        }
        self.room = self.room.saturating_sub(std::mem::take(&mut self.group_octets) as u64);
        let groups = std::mem::take(&mut self.groups);
        let (store, account) = (self.store.clone(), self.account);
        self.packs.push(tokio::spawn(async move {
            let (mut starts, mut prepared) = (Vec::new(), Vec::new());
            for group in groups {
                for (start, message) in group.await.unwrap_or_default() {
                    starts.push(start);
                    prepared.push(message);
                }
            }
            match store.put_ahead(account, prepared) {
                Ok((packed, writing)) => {
                    (starts.into_iter().zip(packed).collect(), writing.map(tokio::spawn))
                }
                Err(error) => {
                    tracing::warn!(%account, %error, "messages can't be packed ahead of their command");
                    (Vec::new(), None)
                }
            }
        }));
    }
}
