//! Looking at mailboxes until all letters are there.

use std::time::{Duration, Instant};

use crate::BenchError;
use crate::args::Users;
use crate::imap::Imap;
use crate::wire::Endpoint;

/// Longer than this, letters are lost.
const AT_MOST: Duration = Duration::from_secs(900);
const PAUSE: Duration = Duration::from_millis(10);

/// A session for each account, opened before the load.
pub(crate) struct Mailboxes(Vec<(Imap, u64)>);

impl Mailboxes {
    pub(crate) async fn open(host: &str, port: u16, users: &Users) -> Result<Mailboxes, BenchError> {
        let endpoint = Endpoint::Tcp(host.to_owned(), port);
        let mut mailboxes = Vec::new();
        for index in 0..users.users as usize {
            let mut session = Imap::login(&endpoint, &users.address(index), &users.password).await?;
            let there = session.count("INBOX").await?;
            mailboxes.push((session, there));
        }
        Ok(Mailboxes(mailboxes))
    }

    /// One more letter is to come to this account.
    pub(crate) fn expect_one(&mut self, index: usize) {
        if let Some((_, expected)) = self.0.get_mut(index) {
            *expected += 1;
        }
    }

    /// One mailbox after the other, so that looking costs the server next to nothing.
    pub(crate) async fn wait(&mut self) -> Result<(), BenchError> {
        let began = Instant::now();
        for (session, expected) in &mut self.0 {
            loop {
                let there = session.count("INBOX").await?;
                if there == *expected {
                    break;
                }
                if there > *expected || began.elapsed() > AT_MOST {
                    return Err(BenchError::wrong("letters in a mailbox", expected, &there));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }
}
