//! The items and their rows.

use std::sync::Arc;

use pennypost_model::codec::{self, CodecError};
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Consistency, Control, ControlKey, Expected, PortError, Put, crash};

use crate::{Outbound, Pause, Pauses, pauses};

/// Partition of the control table with the rows. They are the installation's, no tenant's.
const DUE: &str = "outbound-due";
/// Items that are read at once.
const PAGE: usize = 200;
/// Milliseconds for which an item is kept when it is over: an event that comes late finds that all is done.
pub const KEPT: i64 = 7 * 24 * 3_600_000;
/// Milliseconds of a day.
const DAY: i64 = 24 * 3_600_000;
/// Milliseconds after which a row without an item is nobody's any more.
const ORPHANED: i64 = 10 * 60_000;

/// Why an item was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboxError {
    /// The port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The item is damaged.
    #[error(transparent)]
    Item(#[from] CodecError),
}

impl OutboxError {
    /// Can the same call succeed later?
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            OutboxError::Port(error) => error.is_temporary(),
            OutboxError::Item(_) => false,
        }
    }

    /// Was the item written by a newer program? Then one of those can do something with it: beside this one, or after it.
    #[must_use]
    pub fn is_of_newer(&self) -> bool {
        matches!(self, OutboxError::Item(CodecError::Version { found, known, .. }) if found > known)
    }
}

/// Where to look, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its time: an item that is to be tried then, or was meant to be.
    pub at: Timestamp,
    /// The tenant.
    pub tenant: TenantId,
    /// The message.
    pub message: EventId,
    /// The destination.
    pub destination: String,
    /// The part of its recipients.
    pub part: u16,
    /// Bytes of the message.
    pub size: u64,
    sort: String,
    version: u64,
}

impl Due {
    /// Is it so old that no item will follow?
    #[must_use]
    pub const fn is_orphan(&self, now: Timestamp) -> bool {
        self.at.plus_millis(ORPHANED).0 < now.0
    }

    fn read(sort: String, value: &[u8], version: u64) -> Option<Due> {
        let mut parts = sort.splitn(5, '/');
        let at = parts.next()?.parse().ok().map(Timestamp)?;
        let (tenant, message) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (destination, part) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        let size = u64::from_be_bytes(value.try_into().ok()?);
        Some(Due { at, tenant, message, destination, part, size, sort, version })
    }
}

fn row(item: &Outbound, at: Timestamp) -> ControlKey {
    let Outbound { tenant, message, destination, part, .. } = item;
    ControlKey::new(DUE, format!("{:014}/{tenant}/{message}/{destination}/{part}", at.0.max(0)))
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/outbound")
}

fn key(tenant: TenantId, message: EventId, destination: &str, part: u16) -> ControlKey {
    ControlKey::new(partition(tenant), format!("{message}/{destination}/{part}"))
}

fn key_of(item: &Outbound) -> ControlKey {
    key(item.tenant, item.message, &item.destination, item.part)
}

/// What is on its way. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    control: Arc<dyn Control>,
}

impl Outbox {
    /// Over that port.
    #[must_use]
    pub fn new(control: Arc<dyn Control>) -> Outbox {
        Outbox { control }
    }

    /// Puts a new item down, with a row at its time, which is about now. `false` if there is one already.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn add(&self, item: &Outbound, now: impl Fn() -> Timestamp) -> Result<bool, OutboxError> {
        self.remind(item, item.next).await?;
        crash::point("send-remote.after-row");
        let key = key_of(item);
        let put = self.control.put_if(&key, &codec::encode(item), Expected::Absent).await?;
        // Had it taken so long, the row could have been taken for an orphan.
        if now().0 >= item.next.plus_millis(ORPHANED / 2).0 {
            self.remind(item, item.next).await?;
        }
        Ok(matches!(put, Put::Stored(_)))
    }

    /// The rows whose time has come, those that have waited longest first, behind the last one of the page before.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn due(
        &self,
        now: Timestamp,
        after: Option<&Due>,
        limit: usize,
    ) -> Result<Vec<Due>, OutboxError> {
        let after = after.map(|due| due.sort.as_str());
        let rows = self.control.query(DUE, "", after, limit).await?;
        let due = rows.into_iter().filter_map(|(sort, item)| {
            let due = Due::read(sort.clone(), &item.value, item.version);
            if due.is_none() {
                tracing::warn!(sort, "a row of what is due can't be read");
            }
            due
        });
        Ok(due.take_while(|due| due.at <= now).collect())
    }

    /// Removes a row. One that was written anew meanwhile stays.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn forget(&self, due: &Due) -> Result<(), OutboxError> {
        self.control.delete_if(&ControlKey::new(DUE, &*due.sort), due.version).await?;
        Ok(())
    }

    /// Writes a row: the item will be looked at then.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn remind(&self, item: &Outbound, at: Timestamp) -> Result<Due, OutboxError> {
        let Outbound { tenant, message, part, size, .. } = *item;
        let key = row(item, at);
        let put = self.control.put_if(&key, &size.to_be_bytes(), Expected::Any).await?;
        let version = match put {
            Put::Stored(version) => version,
            // Nothing was asked for.
            Put::Conflict(found) => found.map_or(0, |found| found.version),
        };
        let (destination, sort) = (item.destination.clone(), key.sort);
        Ok(Due { at, tenant, message, destination, part, size, sort, version })
    }

    /// The item to which a row leads, with its version.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn item(&self, due: &Due) -> Result<Option<(Outbound, u64)>, OutboxError> {
        self.read(&key(due.tenant, due.message, &due.destination, due.part)).await
    }

    /// The item as it stands now, with its version.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn again(&self, item: &Outbound) -> Result<Option<(Outbound, u64)>, OutboxError> {
        self.read(&key_of(item)).await
    }

    /// The item of a message for a part of a destination, as it stands now.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn at(
        &self,
        (tenant, message): (TenantId, EventId),
        (destination, part): (&str, u16),
    ) -> Result<Option<Outbound>, OutboxError> {
        Ok(self.read(&key(tenant, message, destination, part)).await?.map(|(item, _)| item))
    }

    async fn read(&self, key: &ControlKey) -> Result<Option<(Outbound, u64)>, OutboxError> {
        let found = self.control.get(key, Consistency::Strong).await?;
        found.map(|item| Ok((codec::decode(&item.value)?, item.version))).transpose()
    }

    /// The row of an item at that time, if there is one.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn row(&self, item: &Outbound, at: Timestamp) -> Result<Option<Due>, OutboxError> {
        let key = row(item, at);
        let found = self.control.get(&key, Consistency::Strong).await?;
        Ok(found.and_then(|found| Due::read(key.sort.clone(), &found.value, found.version)))
    }

    /// Writes an item over the version that was read: its new version. `None` if somebody else has written it since.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn save(&self, item: &Outbound, version: u64) -> Result<Option<u64>, OutboxError> {
        let key = key_of(item);
        let put = self.control.put_if(&key, &codec::encode(item), Expected::Version(version)).await?;
        Ok(match put {
            Put::Stored(version) => Some(version),
            Put::Conflict(_) => None,
        })
    }

    /// Writes the end of an attempt, and before it the row of the next one. `false` if somebody else has written it since.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn end(&self, item: &Outbound, version: u64) -> Result<bool, OutboxError> {
        if !item.is_over() {
            self.remind(item, item.next).await?;
            crash::point("send-remote.after-next-row");
        }
        Ok(self.save(item, version).await?.is_some())
    }

    /// Which destinations are left alone, by what any process has found. One that is not remembered any more is left out.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn pauses(&self, now: Timestamp) -> Result<Pauses, OutboxError> {
        pauses::read(&*self.control, now).await
    }

    /// Leaves a destination alone, where that version of its item is known: the pause that holds then, which may be another process's
    /// that is as long.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn pause(
        &self,
        destination: &str,
        pause: Pause,
        known: Option<u64>,
    ) -> Result<Option<(Pause, u64)>, OutboxError> {
        pauses::write(&*self.control, destination, pause, known).await
    }

    /// Leaves a destination alone no more, if nobody has found anything else since.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn resume(&self, destination: &str, version: u64) -> Result<(), OutboxError> {
        pauses::remove(&*self.control, destination, version).await
    }

    /// The items of a message.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn of_message(&self, tenant: TenantId, message: EventId) -> Result<Vec<Outbound>, OutboxError> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let prefix = format!("{message}/");
            let page = self.control.query(&partition(tenant), &prefix, after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for (sort, item) in page {
                found.push(codec::decode(&item.value)?);
                after = Some(sort);
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    /// Hands out every item of a tenant, nothing for one that can't be read, and removes those that have been over for [`KEPT`]. One that should have been tried
    /// a day ago gets another row: somebody has removed the one that it had.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn sweep(
        &self,
        tenant: TenantId,
        now: Timestamp,
        mut each: impl FnMut(Option<&Outbound>),
    ) -> Result<u64, OutboxError> {
        let mut removed = 0;
        let mut after: Option<String> = None;
        loop {
            let page = self.control.query(&partition(tenant), "", after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for (sort, stored) in page {
                let key = ControlKey::new(partition(tenant), &*sort);
                after = Some(sort);
                let item: Outbound = match codec::decode(&stored.value) {
                    Ok(item) => item,
                    Err(error) => {
                        tracing::warn!(%tenant, sort = key.sort, %error, "an outbound message can't be read");
                        each(None);
                        continue;
                    }
                };
                each(Some(&item));
                let ended = item.last.as_ref().map_or(item.next, |(ended, _)| *ended);
                if item.is_over() && ended.plus_millis(KEPT) < now {
                    removed += u64::from(self.control.delete_if(&key, stored.version).await?);
                } else if !item.is_over() && item.next.plus_millis(DAY) < now {
                    self.remind(&item, item.next).await?;
                }
            }
            if is_last {
                return Ok(removed);
            }
        }
    }

    /// Erases up to `limit` items of a tenant with their rows, whether they are over or not; how many. An attempt under way goes
    /// on, and then finds nothing to note its end in. A row of an earlier attempt that somebody died upon is an orphan.
    ///
    /// # Errors
    /// [`OutboxError`].
    #[pennypost_ports::compiled_here]
    pub async fn erase(&self, tenant: TenantId, limit: usize) -> Result<u64, OutboxError> {
        let mut erased = 0;
        for (sort, stored) in self.control.query(&partition(tenant), "", None, limit).await? {
            if let Ok(item) = codec::decode::<Outbound>(&stored.value) {
                for at in [item.next, item.claim] {
                    if let Some(due) = self.row(&item, at).await? {
                        self.forget(&due).await?;
                    }
                }
            }
            let key = ControlKey::new(partition(tenant), sort);
            erased += u64::from(self.control.delete_if(&key, stored.version).await?);
        }
        Ok(erased)
    }
}

#[cfg(test)]
mod tests {
    use pennypost_backend_embedded::{Embedded, Options};
    use pennypost_model::event::Wishes;
    use pennypost_model::trace::{RemoteAnswer, RemoteOutcome, TlsDemand, TlsReason};
    use pennypost_model::{AccountId, AccountKey};

    use super::*;
    use crate::{Addressee, Asked};

    fn item(number: u128, next: i64) -> Outbound {
        let tenant = TenantId(1);
        let address = "you@other.example".to_owned();
        Outbound {
            tenant,
            message: EventId::from_parts(Timestamp(5), number),
            destination: "other.example".to_owned(),
            part: 0,
            items: 1,
            size: 9,
            accepted: Timestamp(5),
            reverse_path: "me@t.example".to_owned(),
            sender: (AccountKey { tenant, account: AccountId(1) }, "me@t.example".to_owned()),
            object: String::new(),
            is_shared: false,
            head: Vec::new(),
            recipients: vec![Addressee {
                address,
                outcome: RemoteOutcome::Deferred,
                answer: RemoteAnswer::default(),
                said: None,
            }],
            attempts: 0,
            claimed: false,
            next: Timestamp(next),
            claim: Timestamp::default(),
            ended: 0,
            delay_told: false,
            last: None,
            demand: None,
            asked: None,
            is_private: false,
            doubts: Vec::new(),
        }
    }

    fn outbox(dir: &tempfile::TempDir) -> Outbox {
        Outbox::new(Embedded::open(dir.path(), &Options::server()).expect("opens").control())
    }

    #[test]
    fn items_of_the_version_before_are_read() {
        let before = item(1, 2);
        let written = codec::encode(&before);
        assert_eq!(codec::decode(&written), Ok(before.clone()));
        // As it was written when there were no demands, when nobody asked for anything, and when nothing was private and nothing in
        // doubt: without the last fields.
        let (fields, none) = written.split_at(written.len() - 4);
        assert_eq!((written[0], none), (1, &[0, 0, 0, 0][..]));
        for missing in 0..=4 {
            assert_eq!(codec::decode(&written[..written.len() - missing]), Ok(before.clone()));
        }
        let demand = Some(TlsDemand { reason: TlsReason::SmartHost, is_enforced: true, failure: None });
        let wishes = Wishes { envelope_id: Some("QQ".to_owned()), ..Wishes::default() };
        let asked = Some(Asked { wishes, relayed: Vec::new() });
        let now = Outbound { demand, asked, ..before };
        let written = codec::encode(&now);
        // Programs of that time go on reading it: the fields that they know stand first.
        assert!(written.starts_with(fields) && written.len() > fields.len());
        assert_eq!(codec::decode(&written), Ok(now.clone()));
        // What they would take for damage they leave to this one.
        let demand = Some(TlsDemand { reason: TlsReason::Dane, is_enforced: true, failure: None });
        let now = Outbound { demand, ..now };
        let written = codec::encode(&now);
        assert_eq!((written[0], codec::decode(&written)), (4, Ok(now.clone())));
        assert_eq!(codec::decode(&written[..written.len() - 2]), Ok(now.clone()));
        assert_eq!(codec::decode(&[&[3][..], &written[1..written.len() - 2]].concat()), Ok(now.clone()));
        // What is in doubt they find, too, and count for nothing.
        let mut doubted = now.clone();
        doubted.doubt(0);
        let written = codec::encode(&doubted);
        assert_eq!(
            (written[0], doubted.is_doubtful(0), codec::decode(&written)),
            (4, false, Ok(doubted.clone()))
        );
        doubted.doubt(0);
        assert!(doubted.is_doubtful(0) && !doubted.is_doubtful(1));
        // So they do with what they would send to anybody.
        let now = Outbound { is_private: true, ..now };
        let written = codec::encode(&now);
        assert_eq!((written[0], codec::decode(&written)), (5, Ok(now)));
    }

    #[tokio::test]
    async fn what_is_due_is_found_in_its_order_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let outbox = outbox(&dir);
        for (number, next) in [(1, 2_000), (2, 1_000), (3, 100_000_000_000), (4, 999)] {
            assert!(outbox.add(&item(number, next), || Timestamp(0)).await.expect("added"));
        }
        assert!(!outbox.add(&item(1, 2_000), || Timestamp(0)).await.expect("known"));
        let due = outbox.due(Timestamp(2_000), None, 10).await.expect("due");
        let times = |due: &[Due]| due.iter().map(|due| due.at.0).collect::<Vec<_>>();
        assert_eq!(times(&due), [999, 1_000, 2_000]);
        let behind = outbox.due(Timestamp(2_000), due.first(), 10).await.expect("due");
        assert_eq!(times(&behind), [1_000, 2_000]);
        assert_eq!((due[2].message, due[2].destination.as_str()), (item(1, 0).message, "other.example"));
        let (found, _) = outbox.item(&due[2]).await.expect("read").expect("there");
        assert_eq!((found, due[2].size), (item(1, 2_000), 9));
        // Each part is an item of its own.
        let second = Outbound { part: 1, ..item(1, 200_000_000_000) };
        assert!(outbox.add(&second, || Timestamp(0)).await.expect("added"));
        assert_eq!(outbox.of_message(TenantId(1), second.message).await.expect("read").len(), 2);
        // One that was written anew stays.
        outbox.remind(&item(4, 999), Timestamp(999)).await.expect("written");
        for row in &due {
            outbox.forget(row).await.expect("removed");
        }
        assert_eq!(times(&outbox.due(Timestamp(2_000), None, 10).await.expect("due")), [999]);
    }

    #[tokio::test]
    async fn of_two_that_try_one_has_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let outbox = outbox(&dir);
        outbox.add(&item(1, 0), || Timestamp(0)).await.expect("added");
        let due = outbox.due(Timestamp(1), None, 10).await.expect("due").remove(0);
        let (mut first, version) = outbox.item(&due).await.expect("read").expect("there");
        let mut second = first.clone();
        (first.claimed, first.attempts) = (true, 1);
        let claimed = outbox.save(&first, version).await.expect("written").expect("has it");
        (second.claimed, second.attempts) = (true, 1);
        assert_eq!(outbox.save(&second, version).await, Ok(None));
        // Its end leaves a row at the next time, and is found there.
        (first.claimed, first.next) = (false, Timestamp(9_000));
        assert!(outbox.end(&first, claimed).await.expect("ended"));
        outbox.forget(&due).await.expect("removed");
        assert_eq!(outbox.due(Timestamp(8_999), None, 10).await, Ok(Vec::new()));
        assert_eq!(outbox.due(Timestamp(9_000), None, 10).await.expect("due").len(), 1);
    }

    #[tokio::test]
    async fn what_is_over_is_forgotten_and_what_lost_its_row_gets_another() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let outbox = outbox(&dir);
        let mut over = item(1, 100);
        over.recipients[0].outcome = RemoteOutcome::Sent;
        for item in [&over, &item(2, 100), &item(3, 2 * DAY)] {
            outbox.add(item, || Timestamp(0)).await.expect("added");
        }
        for row in outbox.due(Timestamp(10_000), None, 10).await.expect("due") {
            outbox.forget(&row).await.expect("removed");
        }
        let mut seen = 0;
        let swept =
            |outbox: Outbox, at| async move { outbox.sweep(TenantId(1), Timestamp(at), |_| {}).await };
        assert_eq!(outbox.sweep(TenantId(1), Timestamp(DAY), |_| seen += 1).await, Ok(0));
        assert_eq!(seen, 3);
        assert_eq!(swept(outbox.clone(), DAY + 101).await, Ok(0));
        assert_eq!(swept(outbox.clone(), KEPT + 101).await, Ok(1));
        let due = outbox.due(Timestamp(10_000), None, 10).await.expect("due");
        assert_eq!(due.iter().map(|due| due.message).collect::<Vec<_>>(), [item(2, 0).message]);
    }
}
