//! What changes nothing: SELECT, FETCH, SEARCH.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Measuring, Operation};
use crate::BenchError;
use crate::append::is_seen;
use crate::corpus::{Chance, Corpus, Marked};
use crate::error::expect;
use crate::imap::{Imap, Look, Seen};
use crate::processor::Held;

/// Operations on all messages, and the item that each answer must have.
const FETCHES: [(&str, &str); 3] = [
    ("FETCH 1:* (FLAGS)", "FLAGS ("),
    ("FETCH 1:* (UID FLAGS ENVELOPE INTERNALDATE RFC822.SIZE)", "ENVELOPE ("),
    ("FETCH 1:* BODYSTRUCTURE", "BODYSTRUCTURE ("),
];
const BODIES: u64 = 100;

impl Measuring<'_> {
    pub(super) async fn reads(&mut self) -> Result<(), BenchError> {
        // Always: it also shows whether the mailbox is as it was filled.
        self.selects().await?;
        if self.wants(Operation::Fetch) {
            self.fetches().await?;
        }
        if self.wants(Operation::Bodies) {
            self.bodies_together("FETCH BODY.PEEK[] of 100, one command").await?;
            self.bodies("FETCH BODY.PEEK[] (100), one by one").await?;
            if let Some(_held) = Held::new(&self.server) {
                self.bodies("FETCH BODY.PEEK[] (100), one by one, one processor").await?;
            }
        }
        if self.wants(Operation::Search) {
            self.searches().await?;
        }
        Ok(())
    }

    async fn fetches(&mut self) -> Result<(), BenchError> {
        for (command, item) in FETCHES {
            let mut session = self.selected().await?;
            for time in 0..self.times() {
                let (taken, seen) = timed(&mut session, command, Look { item, literal: false }).await?;
                expect(command, self.args.messages, seen.fetched)?;
                self.note(command, time, taken);
            }
        }
        Ok(())
    }

    async fn searches(&mut self) -> Result<(), BenchError> {
        let total = self.args.messages;
        let unseen = (0..total).filter(|number| !is_seen(*number)).count() as u64;
        self.search("SEARCH SUBJECT", Marked::Subject.word(), Corpus::count(Marked::Subject, total)).await?;
        self.search("SEARCH BODY", Marked::Body.word(), Corpus::count(Marked::Body, total)).await?;
        self.search("SEARCH BODY (中文)", Marked::Chinese.word(), Corpus::count(Marked::Chinese, total))
            .await?;
        self.search("SEARCH UNSEEN", "", unseen).await
    }

    async fn selects(&mut self) -> Result<(), BenchError> {
        for time in 0..self.times() {
            let began = Instant::now();
            let mut session = self.session().await?;
            // A server may load here what SELECT would have to.
            self.note("LOGIN", time, began.elapsed());
            let began = Instant::now();
            let seen = session.select(&self.args.mailbox).await?;
            self.note("SELECT", time, began.elapsed());
            self.untouched = seen.uid_next == Some(session.exists + 1);
            expect("messages of the mailbox", self.args.messages, session.exists)?;
            session.run("LOGOUT").await?;
        }
        Ok(())
    }

    /// Random messages, all asked for at once.
    async fn bodies_together(&mut self, operation: &'static str) -> Result<(), BenchError> {
        let mut session = self.selected().await?;
        let mut chance = Chance::new(self.args.mail.seed);
        for time in 0..self.times() {
            let mut numbers = BTreeSet::new();
            while (numbers.len() as u64) < BODIES {
                numbers.insert(chance.below(self.args.messages) + 1);
            }
            let set = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            let command = format!("FETCH {set} (BODY.PEEK[])");
            let (taken, seen) =
                timed(&mut session, &command, Look { item: "BODY[]", literal: false }).await?;
            expect(operation, BODIES, seen.fetched)?;
            if self.untouched {
                let octets = numbers.iter().map(|number| self.corpus.letter(number - 1).len() as u64).sum();
                expect("octets of the letters", octets, seen.octets)?;
            }
            self.note(operation, time, taken);
        }
        Ok(())
    }

    /// Random messages, each asked for when the one before has come.
    async fn bodies(&mut self, operation: &'static str) -> Result<(), BenchError> {
        let mut session = self.selected().await?;
        let mut chance = Chance::new(self.args.mail.seed);
        for time in 0..self.times() {
            let mut taken = Duration::ZERO;
            for _ in 0..BODIES {
                let number = chance.below(self.args.messages) + 1;
                let command = format!("FETCH {number} (BODY.PEEK[])");
                let look = Look { item: "BODY[]", literal: true };
                let (one, seen) = timed(&mut session, &command, look).await?;
                expect(&command, 1, seen.fetched)?;
                if self.untouched && seen.literal != self.corpus.letter(number - 1) {
                    return Err(BenchError::wrong(&command, &"the letter that was stored", &"another text"));
                }
                taken += one;
            }
            self.note(operation, time, taken);
        }
        Ok(())
    }

    /// An empty `word` searches for what the operation itself says.
    async fn search(&mut self, operation: &'static str, word: &str, expected: u64) -> Result<(), BenchError> {
        let mut session = self.selected().await?;
        let key = operation.split(' ').nth(1).unwrap_or_default();
        let command = match word {
            "" => format!("SEARCH {key}"),
            word if word.is_ascii() => format!("SEARCH {key} {word}"),
            word => format!("SEARCH CHARSET UTF-8 {key} {{{}+}}\r\n{word}", word.len()),
        };
        for time in 0..self.times() {
            let (taken, seen) = timed(&mut session, &command, Look::default()).await?;
            if self.untouched {
                expect(&command, expected, seen.found)?;
            } else if seen.found == 0 {
                return Err(BenchError::wrong(&command, &"some messages", &0));
            }
            self.note(operation, time, taken);
        }
        Ok(())
    }
}

pub(super) async fn timed(
    session: &mut Imap,
    command: &str,
    look: Look<'_>,
) -> Result<(Duration, Seen), BenchError> {
    let began = Instant::now();
    let seen = session.look(command, look).await?;
    Ok((began.elapsed(), seen))
}
