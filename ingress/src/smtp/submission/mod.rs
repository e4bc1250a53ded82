//! What is particular to mail that members hand in (RFC 6409): who may write as whom, where it can go, and what is put in
//! order in its header.
//!
//! Nothing of a message is taken before somebody has signed in. The reverse-path and every author in From must be addresses
//! that the account may write as ([`pennypost_directory::Voice`]). A message is counted against the tenant's allowance, the
//! account's, and how often the account may send outside, before it is accepted.

mod contents;
mod destination;
mod footers;
mod from;
mod groups;
mod header;
mod hold;
mod individual;
mod letter;
mod outward;
mod reach;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use pennypost_directory::content::ContentFilter;
use pennypost_directory::{Account, Dress, Standing};
use pennypost_model::AccountKey;
use tokio::time::Instant;

pub(super) use destination::{Destination, destination};
pub(super) use individual::Alone;
pub(super) use outward::Open;

/// A member who has signed in.
pub(crate) struct Member {
    /// The account, and what the session stands on.
    pub standing: Standing,
    /// When that was looked at.
    checked: Instant,
    /// For how long his messages wait, and when that was asked.
    window: Option<(Instant, Option<Duration>)>,
    /// What stands in his messages, and when that was asked.
    dress: Option<(Instant, Arc<Dress>)>,
    /// The rules about what stands in them, and when these were asked for.
    contents: Option<(Instant, Arc<ContentFilter>)>,
}

impl Member {
    pub fn new(standing: Standing) -> Member {
        Member { standing, checked: Instant::now(), window: None, dress: None, contents: None }
    }

    pub const fn key(&self) -> AccountKey {
        self.standing.account.key
    }

    const fn account(&self) -> &Account {
        &self.standing.account
    }
}
