//! What the letters of a day count to, by member and by domain.

use std::collections::BTreeMap;
use std::ops::{AddAssign, ControlFlow};

use pennypost_model::trace::Outcome;
use pennypost_model::{AccountId, EventId, TenantId, Timestamp};
use pennypost_ports::{Log, PortResult};
use serde::{Deserialize, Serialize};

use crate::{Journey, read};

/// Milliseconds of a day.
pub const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The number of the day in which a time lies, in UTC.
#[must_use]
pub const fn day_of(time: Timestamp) -> i64 {
    time.0.div_euclid(DAY_MILLIS)
}

/// Letters and their bytes. A letter that a mailbox got is received once by its member; one that a member handed in is sent
/// once, however many it goes to, and the copy in Sent is not received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Letters that came into mailboxes.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Letters that members sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.received += other.received;
        self.received_bytes += other.received_bytes;
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
    }
}

impl Counts {
    const fn of_received(bytes: u64) -> Counts {
        Counts { received: 1, received_bytes: bytes, sent: 0, sent_bytes: 0 }
    }

    const fn of_sent(bytes: u64) -> Counts {
        Counts { received: 0, received_bytes: 0, sent: 1, sent_bytes: bytes }
    }
}

/// What letters count to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Letters, whatever became of them.
    pub letters: u64,
    /// All together.
    pub total: Counts,
    /// By the domain to which, or from which, they went.
    pub domains: BTreeMap<String, Counts>,
    /// By member.
    pub members: BTreeMap<AccountId, Counts>,
}

impl Counted {
    /// Counts a letter.
    pub fn take(&mut self, journey: &Journey) {
        self.letters += 1;
        let Some(delivery) = &journey.delivery else { return };
        // What is a mailing's copy in Sent alone was not sent: its letters were.
        let mut is_to_anybody = false;
        for recipient in journey.recipients() {
            is_to_anybody = true;
            if matches!(recipient.outcome, Outcome::Stored { .. }) {
                let counts = Counts::of_received(delivery.size);
                self.add(recipient.account.account, &recipient.address, counts);
            }
        }
        if let Some(submitter) = delivery.submitter.as_ref().filter(|_| is_to_anybody) {
            self.add(submitter.account.account, &submitter.address, Counts::of_sent(delivery.size));
        }
    }

    fn add(&mut self, account: AccountId, address: &str, counts: Counts) {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase();
        self.total += counts;
        *self.domains.entry(domain).or_default() += counts;
        *self.members.entry(account).or_default() += counts;
    }
}

/// Counts the letters that were accepted on a day: the same however often and in whatever order their records stand in the
/// log. `None` if there are more than `most`.
///
/// # Errors
/// The port's.
#[pennypost_ports::compiled_here]
pub async fn count_day(log: &dyn Log, tenant: TenantId, day: i64, most: u64) -> PortResult<Option<Counted>> {
    let begin = Timestamp(day.saturating_mul(DAY_MILLIS));
    let end = begin.plus_millis(DAY_MILLIS - 1);
    let mut counted = Counted::default();
    let mut is_more = false;
    read(log, tenant, EventId::from_parts(begin, 0), EventId::from_parts(end, u128::MAX), &mut |journey| {
        is_more = counted.letters >= most;
        if is_more {
            return ControlFlow::Break(());
        }
        counted.take(&journey);
        ControlFlow::Continue(())
    })
    .await?;
    Ok((!is_more).then_some(counted))
}
