//! SORT (RFC 5256 section 3) with SORT=DISPLAY (RFC 5957), ESORT (RFC 5267 section 3) and windows (RFC 9394); THREAD
//! (RFC 5256 section 3).

use std::cmp::Ordering;

use pennypost_fold::Row;
use pennypost_mailstore::segment::SortFacts;
use pennypost_model::message::Contact;
use pennypost_model::{Uid, UidSet};

use super::letters::{letter, sent};
use crate::imap::collation;
use crate::imap::grammar::{self, Algorithm, Criterion, Search, Sort, Thread};
use crate::imap::print;
use crate::imap::response::{Kind, Reply};
use crate::imap::session::{Done, End, Session};
use crate::imap::threads::{Letter, Threads};

/// Octets that are written before output is sent in between.
const OUTPUT: usize = 16 * 1024;
/// From so many messages on they are put in order on another thread.
const MANY: usize = 5_000;

/// What a message is compared by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    Text(Box<str>),
}

/// A message to be put in its place.
struct Sorted {
    keys: Box<[Key]>,
    position: usize,
    uid: Uid,
    modseq: u64,
}

impl Criterion {
    /// Needs more than the row.
    const fn reads(self) -> bool {
        !matches!(self, Criterion::Arrival | Criterion::Date | Criterion::Size)
    }

    /// Times count by the second, as they are told (RFC 5256 section 3).
    fn key(self, row: &Row, facts: &SortFacts) -> Key {
        Key::Text(match self {
            Criterion::Arrival => return Key::Number(row.internal_date.seconds()),
            Criterion::Date => return Key::Number(sent(row).seconds()),
            Criterion::Size => return Key::Number(i64::try_from(row.size).unwrap_or(i64::MAX)),
            Criterion::Cc => collation::key(&facts.cc).into(),
            Criterion::From => collation::key(&facts.from).into(),
            Criterion::To => collation::key(&facts.to).into(),
            Criterion::DisplayFrom => display(&facts.display_from),
            Criterion::DisplayTo => display(&facts.display_to),
            Criterion::Subject => collation::key(&facts.base_subject).into(),
        })
    }
}

fn display(contact: &Contact) -> Box<str> {
    collation::key(if contact.name.is_empty() { &contact.address } else { &contact.name }).into()
}

fn compare(a: &Sorted, b: &Sorted, criteria: &[(Criterion, bool)]) -> Ordering {
    for ((a, b), (_, reverse)) in a.keys.iter().zip(&b.keys).zip(criteria) {
        let order = if *reverse { b.cmp(a) } else { a.cmp(b) };
        if order.is_ne() {
            return order;
        }
    }
    a.position.cmp(&b.position)
}

impl Session {
    pub(super) async fn sort(&mut self, sort: Sort, bytes: &[u8]) -> Done {
        let tag = grammar::tag(bytes).unwrap_or_default();
        match Box::pin(self.sorted(&sort, tag)).await {
            Ok(sorted) => self.tell_sorted(&sort.search, &sorted, tag).await,
            Err(refused) => {
                if refused.kind == Kind::No {
                    self.save_found(&sort.search, None);
                }
                Ok(refused)
            }
        }
    }

    async fn sorted(&mut self, sort: &Sort, tag: &str) -> Result<Vec<Sorted>, Reply> {
        let uids = self.found_uids(&sort.search, tag).await?;
        let criteria = sort.criteria.clone();
        let reads = criteria.iter().any(|(criterion, _)| criterion.reads());
        let make = |position: usize, row: Row, facts: &SortFacts| {
            let keys = criteria.iter().map(|(criterion, _)| criterion.key(&row, facts)).collect();
            Sorted { keys, position, uid: row.uid, modseq: row.modseq.0 }
        };
        let octets = |sorted: &Sorted| {
            let texts = sorted.keys.iter().map(|key| match key {
                Key::Number(_) => 0,
                Key::Text(text) => text.len(),
            });
            size_of::<Sorted>() + sorted.keys.len() * size_of::<Key>() + texts.sum::<usize>()
        };
        let (mut all, share) = self.read_each(&uids, tag, reads, make, octets).await?;
        let criteria = sort.criteria.clone();
        let all = in_background(all.len() > MANY, move || {
            all.sort_unstable_by(|a, b| compare(a, b, &criteria));
            all
        })
        .await?;
        drop(share);
        Ok(all)
    }

    /// The UIDs of the messages that a search finds.
    async fn found_uids(&mut self, search: &Search, tag: &str) -> Result<UidSet, Reply> {
        let by_uid = Search { by_uid: true, ..search.clone() };
        Ok(self.find(&by_uid, tag).await?.set)
    }

    async fn tell_sorted(&mut self, search: &Search, sorted: &[Sorted], tag: &str) -> Done {
        let number = |sorted: &Sorted| {
            if search.by_uid { sorted.uid.0 } else { sorted.position as u32 + 1 }
        };
        let modseq = sorted.iter().map(|sorted| sorted.modseq).max().filter(|_| search.key.names_modseq());
        let Some(returns) = search.returns else {
            let mut out = b"* SORT".to_vec();
            for sorted in sorted {
                out.push(b' ');
                print::number(&mut out, u64::from(number(sorted)));
                self.send_if_much(&mut out).await?;
            }
            if let Some(modseq) = modseq {
                out.extend_from_slice(format!(" (MODSEQ {modseq})").as_bytes());
            }
            out.extend_from_slice(b"\r\n");
            self.stream.write(&out);
            return Ok(Reply::ok("sorted"));
        };
        let window = returns.partial.map(|partial| {
            let range = partial.of(sorted.len() as u64);
            &sorted[range.start as usize..range.end as usize]
        });
        if returns.save
            && let Some(view) = &mut self.view
        {
            let is_part = !returns.all && !returns.count && returns.tells();
            view.saved = if is_part {
                let ends = sorted.first().filter(|_| returns.min).into_iter();
                let ends = ends.chain(sorted.last().filter(|_| returns.max));
                ends.chain(window.unwrap_or_default()).map(|sorted| sorted.uid).collect()
            } else {
                sorted.iter().map(|sorted| sorted.uid).collect()
            };
        }
        if !returns.tells() {
            return Ok(Reply::ok("sorted, and saved"));
        }
        let uid = if search.by_uid { " UID" } else { "" };
        let mut out = format!("* ESEARCH (TAG \"{tag}\"){uid}").into_bytes();
        if let (Some(first), Some(last)) = (sorted.first(), sorted.last()) {
            if returns.min {
                out.extend_from_slice(format!(" MIN {}", number(first)).as_bytes());
            }
            if returns.max {
                out.extend_from_slice(format!(" MAX {}", number(last)).as_bytes());
            }
            if returns.all {
                out.extend_from_slice(b" ALL ");
                self.write_order(&mut out, sorted.iter().map(number)).await?;
            }
        }
        if let (Some(partial), Some(window)) = (returns.partial, window) {
            out.extend_from_slice(format!(" PARTIAL ({partial} ").as_bytes());
            if window.is_empty() {
                out.extend_from_slice(b"NIL");
            }
            self.write_order(&mut out, window.iter().map(number)).await?;
            out.push(b')');
        }
        if returns.count {
            out.extend_from_slice(format!(" COUNT {}", sorted.len()).as_bytes());
        }
        if let Some(modseq) = modseq {
            out.extend_from_slice(format!(" MODSEQ {modseq}").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        self.stream.write(&out);
        Ok(Reply::ok("sorted"))
    }

    /// Numbers in their order, ascending runs as ranges.
    async fn write_order(
        &mut self,
        out: &mut Vec<u8>,
        numbers: impl Iterator<Item = u32>,
    ) -> Result<(), End> {
        let mut numbers = numbers.peekable();
        let mut comma = false;
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if(|next| last.checked_add(1) == Some(*next)) {
                last = next;
            }
            if std::mem::replace(&mut comma, true) {
                out.push(b',');
            }
            print::number(out, u64::from(first));
            if first != last {
                out.push(b':');
                print::number(out, u64::from(last));
            }
            self.send_if_much(out).await?;
        }
        Ok(())
    }

    async fn send_if_much(&mut self, out: &mut Vec<u8>) -> Result<(), End> {
        if out.len() >= OUTPUT {
            self.stream.write(out);
            out.clear();
            self.stream.relieve().await?;
        }
        Ok(())
    }

    pub(super) async fn thread(&mut self, thread: Thread, bytes: &[u8]) -> Done {
        let tag = grammar::tag(bytes).unwrap_or_default();
        let (letters, threads) = match Box::pin(self.threads(&thread, tag)).await {
            Ok(threads) => threads,
            Err(refused) => return Ok(refused),
        };
        self.stream.write(b"* THREAD");
        if !letters.is_empty() {
            self.stream.write(b" ");
        }
        for piece in threads.pieces(&letters, OUTPUT) {
            self.stream.write(&piece);
            self.stream.relieve().await?;
        }
        self.stream.write(b"\r\n");
        Ok(Reply::ok("threaded"))
    }

    async fn threads(&mut self, thread: &Thread, tag: &str) -> Result<(Vec<Letter>, Threads), Reply> {
        let uids = self.found_uids(&thread.search, tag).await?;
        let by_uid = thread.search.by_uid;
        let make = |position: usize, row: Row, facts: &SortFacts| {
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            let name = if by_uid { row.uid.0 } else { position.saturating_add(1) };
            letter(&row, facts, name, position)
        };
        // What threads are made of takes about as much again.
        let octets = |letter: &Letter| {
            2 * (size_of::<Letter>() + letter.subject.len() + letter.references.len() * size_of::<u64>()) + 64
        };
        let (letters, share) = self.read_each(&uids, tag, true, make, octets).await?;
        let algorithm = thread.algorithm;
        let made = in_background(letters.len() > MANY, move || {
            let threads = match algorithm {
                Algorithm::OrderedSubject => Threads::by_subject(&letters),
                Algorithm::References => Threads::by_references(&letters),
            };
            (letters, threads)
        })
        .await?;
        drop(share);
        Ok(made)
    }
}

/// Does work here, or on a thread for long work.
async fn in_background<T: Send + 'static>(
    is_long: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Reply> {
    if !is_long {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|panicked| {
        tracing::error!(%panicked, "messages can't be put in order");
        Reply::no("[SERVERBUG] the messages can't be put in order")
    })
}
