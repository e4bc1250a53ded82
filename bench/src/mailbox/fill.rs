//! Filling the mailbox.

use std::time::Instant;

use super::{Fill, Measuring};
use crate::error::expect;
use crate::report::{Measure, Unit};
use crate::{BenchError, append};

impl Measuring<'_> {
    /// Brings the mailbox to the messages that are wanted: message `n` becomes letter `n - 1`.
    pub(super) async fn fill(&mut self) -> Result<(), BenchError> {
        if self.args.fill == Fill::None {
            // Not even a look at it: the first SELECT is to meet a server that knows nothing yet.
            return Ok(());
        }
        let mut session = self.session().await?;
        let (mailbox, wanted) = (&self.args.mailbox, self.args.messages);
        let multiappend = match self.args.fill {
            Fill::Auto => session.offers("MULTIAPPEND").await?,
            other => other == Fill::Multiappend,
        };
        if session.count(mailbox).await.is_err() {
            session.run(&format!("CREATE {}", self.mailbox())).await?;
        }
        let there = session.count(mailbox).await?;
        if there < wanted {
            let began = Instant::now();
            append::letters(&mut session, &self.corpus, mailbox, there..wanted, multiappend).await?;
            let rate = (wanted - there) as f64 / began.elapsed().as_secs_f64();
            self.report.add("APPEND", Measure::Accepted, Unit::PerSecond, rate);
        }
        expect("messages of the mailbox", wanted, session.count(mailbox).await?)
    }
}
