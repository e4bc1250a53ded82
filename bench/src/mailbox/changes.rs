//! What changes the mailbox: STORE, COPY, MOVE, APPEND, EXPUNGE. Whatever is taken out is put back or made good, so
//! that each time meets as many messages.

use std::time::Instant;

use super::reads::timed;
use super::{Measuring, Operation};
use crate::BenchError;
use crate::append::{argument, command};
use crate::error::expect;
use crate::imap::{Imap, Look};

/// Where copies and moved messages go; deleted afterwards.
const ASIDE: &str = "bench-aside";

impl Measuring<'_> {
    pub(super) async fn changes(&mut self) -> Result<(), BenchError> {
        let batch = self.args.batch.min(self.args.messages);
        if self.wants(Operation::Store) {
            self.stores(batch).await?;
        }
        let mut session = self.session().await?;
        // Left over by a run that was broken off.
        let _ = session.run(&format!("DELETE {ASIDE}")).await;
        if self.wants(Operation::Copy) {
            self.copies(batch).await?;
        }
        if self.wants(Operation::Move) {
            self.moves(batch).await?;
        }
        if self.wants(Operation::Append) {
            self.appends(batch).await?;
        }
        if self.wants(Operation::Multiappend) && session.offers("MULTIAPPEND").await? {
            self.multiappends(batch).await?;
        }
        Ok(())
    }

    async fn stores(&mut self, batch: u64) -> Result<(), BenchError> {
        let mut session = self.selected().await?;
        for time in 0..self.times() {
            let sign = if time % 2 == 0 { '+' } else { '-' };
            let command = format!("STORE 1:{batch} {sign}FLAGS (\\Flagged)");
            let (taken, seen) =
                timed(&mut session, &command, Look { item: "FLAGS (", literal: false }).await?;
            expect(&command, batch, seen.fetched)?;
            self.note("STORE", time, taken);
        }
        Ok(())
    }

    async fn copies(&mut self, batch: u64) -> Result<(), BenchError> {
        let mut session = self.selected().await?;
        for time in 0..self.times() {
            session.run(&format!("CREATE {ASIDE}")).await?;
            let command = format!("COPY 1:{batch} {ASIDE}");
            let (taken, _) = timed(&mut session, &command, Look::default()).await?;
            expect(&command, batch, session.count(ASIDE).await?)?;
            self.note("COPY", time, taken);
            session.run(&format!("DELETE {ASIDE}")).await?;
        }
        Ok(())
    }

    async fn moves(&mut self, batch: u64) -> Result<(), BenchError> {
        let mut session = self.selected().await?;
        if !session.offers("MOVE").await? {
            return Ok(());
        }
        self.untouched = false;
        for time in 0..self.times() {
            session.run(&format!("CREATE {ASIDE}")).await?;
            let command = format!("MOVE 1:{batch} {ASIDE}");
            let (taken, seen) = timed(&mut session, &command, Look::default()).await?;
            expect(&command, batch, seen.expunged)?;
            expect(&command, batch, session.count(ASIDE).await?)?;
            self.note("MOVE", time, taken);
            let mut back = self.session().await?;
            back.select(ASIDE).await?;
            back.run(&format!("MOVE 1:* {}", self.mailbox())).await?;
            session.run("NOOP").await?;
            expect("messages moved back", self.args.messages, session.exists)?;
            back.run("LOGOUT").await?;
            session.run(&format!("DELETE {ASIDE}")).await?;
        }
        Ok(())
    }

    async fn appends(&mut self, batch: u64) -> Result<(), BenchError> {
        let mut session = self.selected().await?;
        if !session.offers("LITERAL+").await? {
            return Err(BenchError::Missing("LITERAL+"));
        }
        let total = self.args.messages;
        for time in 0..self.times() {
            // Made before the clock starts.
            let begin = total + time as u64 * batch;
            let letters: Vec<Vec<u8>> =
                (begin..begin + batch).map(|number| self.corpus.letter(number)).collect();
            let began = Instant::now();
            for (number, letter) in (begin..).zip(&letters) {
                let tag = session.tag();
                let mut octets = command(&tag, &self.args.mailbox);
                argument(&mut octets, number, letter);
                octets.extend_from_slice(b"\r\n");
                session.send(&octets).await?;
                session.finish(&tag, "APPEND", Look::default()).await?;
            }
            self.note("APPEND", time, began.elapsed());
            self.expunge(&mut session, batch, time, true).await?;
        }
        Ok(())
    }

    async fn multiappends(&mut self, batch: u64) -> Result<(), BenchError> {
        let mut session = self.selected().await?;
        for time in 0..self.times() {
            let begin = self.args.messages + (time + 100) as u64 * batch;
            let tag = session.tag();
            let mut octets = command(&tag, &self.args.mailbox);
            for number in begin..begin + batch {
                argument(&mut octets, number, &self.corpus.letter(number));
            }
            octets.extend_from_slice(b"\r\n");
            let began = Instant::now();
            session.send(&octets).await?;
            session.finish(&tag, "APPEND", Look::default()).await?;
            self.note("MULTIAPPEND", time, began.elapsed());
            self.expunge(&mut session, batch, time, false).await?;
        }
        Ok(())
    }

    /// Takes the first `batch` messages out again; notes it if asked to.
    async fn expunge(
        &mut self,
        session: &mut Imap,
        batch: u64,
        time: usize,
        noted: bool,
    ) -> Result<(), BenchError> {
        self.untouched = false;
        session.run("NOOP").await?;
        expect("messages after APPEND", self.args.messages + batch, session.exists)?;
        session.run(&format!("STORE 1:{batch} +FLAGS.SILENT (\\Deleted)")).await?;
        let (taken, seen) = timed(session, "EXPUNGE", Look::default()).await?;
        expect("EXPUNGE", batch, seen.expunged)?;
        expect("messages after EXPUNGE", self.args.messages, session.exists)?;
        if noted {
            self.note("EXPUNGE", time, taken);
        }
        Ok(())
    }
}
