//! What sends the reports.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use pennypost_directory::{Directory, Resolved};
use pennypost_mailstore::accept;
use pennypost_model::event::{Accepted, AuthResults, Body, Recipient, Source, SourceKind, Stage, Via};
use pennypost_model::{AccountKey, EventId, Timestamp, codec};
use pennypost_ports::{ControlKey, DnsError, Item, Objects, Outgoing, PortError, PortResult, Queue};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::letter::DmarcReport;
use super::published::{Published, places, published};
use super::seen::Sums;
use super::tally::{DmarcTally, PARTITION, key};

/// Items that are read at once.
const PAGE: usize = 20;
/// Between two times that what was counted is added to the items, at most.
const PAUSE: Duration = Duration::from_secs(600);
/// How long the last time takes at most, when the process stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// Reports that are sent at the same time.
const AT_ONCE: usize = 16;
/// How long one report takes at most; then it waits for the next time.
const PATIENCE: Duration = Duration::from_secs(20);
/// After so many periods nobody wants to hear of one any more.
const TOO_OLD: i64 = 4;

/// What counts, and tells.
#[derive(Clone)]
pub struct DmarcReports {
    tally: Arc<DmarcTally>,
    directory: Directory,
    queue: Arc<dyn Queue>,
    objects: Arc<dyn Objects>,
    /// The address of an account here, in whose name reports are written.
    from: String,
}

impl DmarcReports {
    /// Reports of what is counted there, in the name of that address, which is an account's here: the keys of its domain sign.
    #[must_use]
    pub fn new(
        tally: Arc<DmarcTally>,
        directory: Directory,
        (queue, objects): (Arc<dyn Queue>, Arc<dyn Objects>),
        from: &str,
    ) -> DmarcReports {
        DmarcReports { tally, directory, queue, objects, from: from.to_owned() }
    }

    /// Adds what was counted from time to time, and sends what is to be sent, until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let period = Duration::from_millis(u64::try_from(self.tally.period()).unwrap_or(u64::MAX));
        let pause = PAUSE.min(period / 8);
        let end = async {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        // What is counted does not wait until every domain has its report.
        tokio::select! {
            biased;
            () = end => {}
            () = self.add(pause) => {}
            () = self.tell(pause) => {}
        }
        let _ = tokio::time::timeout(FAREWELL, self.tally.put_down()).await;
    }

    /// Adds what was counted, again and again.
    async fn add(&self, pause: Duration) {
        loop {
            tokio::time::sleep(pause).await;
            self.tally.put_down().await;
        }
    }

    /// Sends what is to be sent, again and again.
    async fn tell(&self, pause: Duration) {
        loop {
            tokio::time::sleep(pause).await;
            if let Err(error) = self.send_due().await {
                tracing::warn!(%error, "reports of DMARC wait");
            }
        }
    }

    /// Sends a report of each domain whose period is over, a while after it: what other processes have counted comes first, and
    /// not all reports of the world go at the same time.
    ///
    /// # Errors
    /// [`PortError`], where the items can't be read.
    pub async fn send_due(&self) -> PortResult<()> {
        let (now, period) = (self.tally.now(), self.tally.period());
        let mut after: Option<String> = None;
        loop {
            let page = self.tally.control().query(PARTITION, "", after.as_deref(), PAGE).await?;
            let mut is_last = page.len() < PAGE;
            let mut due: Vec<(i64, String, Item)> = Vec::new();
            for (sort, item) in page {
                after = Some(sort.clone());
                let parts =
                    sort.split_once('/').and_then(|(start, domain)| Some((start.parse().ok()?, domain)));
                let Some((start, domain)) = parts else { continue };
                let start: i64 = start;
                if start + period > now.0 {
                    is_last = true;
                    break;
                }
                let [byte, ..] = <[u8; 32]>::from(Sha256::digest(domain));
                if start + period + delay(period, byte) > now.0 {
                    continue;
                }
                due.push((start, domain.to_owned(), item));
            }
            let sent = futures::stream::iter(due).map(|one| self.send_in_time(one));
            sent.buffer_unordered(AT_ONCE).collect::<()>().await;
            if is_last {
                return Ok(());
            }
        }
    }

    async fn send_in_time(&self, (start, domain, item): (i64, String, Item)) {
        match tokio::time::timeout(PATIENCE, self.send(start, &domain, &item)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(domain, %error, "a report of DMARC waits"),
            Err(_) => tracing::warn!(domain, "a report of DMARC takes too long, and waits"),
        }
    }

    /// Sends one, and removes its item. One that is too old is removed, and nobody asked.
    async fn send(&self, start: i64, domain: &str, item: &Item) -> PortResult<()> {
        let key = key(start, domain);
        let (now, period) = (self.tally.now(), self.tally.period());
        if start + TOO_OLD * period < now.0 {
            return self.remove(&key, item).await;
        }
        let sums = codec::decode::<Sums>(&item.value).map_err(|error| damaged("control", &error))?;
        let unknown = |error: DnsError| unavailable("dns", error.to_string());
        let policy = published(self.tally.dns(), domain).await.map_err(unknown)?;
        // Where the domain has no policy of its own any more, nobody is told.
        let Some(policy) = policy.filter(|policy| policy.domain == domain) else {
            return self.remove(&key, item).await;
        };
        let places = places(self.tally.dns(), &policy).await.map_err(unknown)?;
        if places.is_empty() {
            return self.remove(&key, item).await;
        }
        let account = self.writer().await?;
        let all: Vec<String> = places.iter().map(|place| place.address.to_string()).collect();
        let mut raw = self.letter(start, &policy, &all, &sums)?;
        // Who takes only smaller ones gets none (RFC 7489 section 6.2).
        let length = raw.len();
        let has_room = places.iter().filter(|place| place.max_size.is_none_or(|max| length <= max));
        let to: Vec<String> = has_room.map(|place| place.address.to_string()).collect();
        if to.len() < all.len() {
            tracing::info!(domain, length, "a report of DMARC is too large for some");
            raw = self.letter(start, &policy, &to, &sums)?;
        }
        if !to.is_empty() {
            self.hand_in(account, id(start, period, domain), raw, to).await?;
        }
        self.remove(&key, item).await
    }

    fn letter(&self, start: i64, policy: &Published, to: &[String], sums: &Sums) -> PortResult<Vec<u8>> {
        let period = self.tally.period();
        let report = DmarcReport {
            id: id(start, period, &policy.domain),
            published: policy,
            from: &self.from,
            to,
            period: (Timestamp(start), Timestamp(start + period - 1_000)),
            now: self.tally.now(),
            sums,
        };
        report.message().map_err(|error| damaged("queue", &error))
    }

    async fn hand_in(
        &self,
        account: AccountKey,
        id: EventId,
        raw: Vec<u8>,
        to: Vec<String>,
    ) -> PortResult<()> {
        let now = self.tally.now();
        let stored = accept::compressed(raw).await.map_err(|error| damaged("queue", &error))?;
        let recipient = |address| Recipient { account, address, via: Via::Outside };
        let accepted = Accepted {
            id,
            time: now,
            tenant: account.tenant,
            source: Source { kind: SourceKind::Notice(account), ip: None, helo: String::new(), tls: None },
            auth: AuthResults::default(),
            reverse_path: String::new(),
            recipients: to.into_iter().map(recipient).collect(),
            body: Body::Inline(stored),
            receipt: format!("Received: by {} id {id};\r\n\t{}\r\n", self.domain(), now.rfc5322()),
        };
        let body = accept::again_for_the_queue(&*self.objects, accepted).await?;
        let outgoing = Outgoing { tenant: account.tenant, body, delay: Duration::ZERO };
        for sent in self.queue.send_batch(Stage::InboundParse, vec![outgoing]).await {
            sent?;
        }
        Ok(())
    }

    async fn remove(&self, key: &ControlKey, item: &Item) -> PortResult<()> {
        self.tally.control().delete_if(key, item.version).await?;
        Ok(())
    }

    fn domain(&self) -> &str {
        self.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
    }

    /// The account in whose name they go.
    async fn writer(&self) -> PortResult<AccountKey> {
        let found = self.directory.resolve(&self.from).await;
        match found.map_err(|error| unavailable("directory", error.to_string()))? {
            Resolved::Local { recipients, .. } if recipients.len() == 1 => {
                Ok(recipients.first().map(|one| one.account).unwrap_or_default())
            }
            _ => {
                let cause = format!("{} is no account's address here", self.from);
                Err(unavailable("directory", cause))
            }
        }
    }
}

fn unavailable(port: &'static str, cause: String) -> PortError {
    PortError::Unavailable { port, cause }
}

fn damaged(port: &'static str, error: &dyn std::fmt::Display) -> PortError {
    PortError::Damaged { port, cause: error.to_string() }
}

/// How long behind the end of its period a report is sent: from an hour up to four of those of a day.
fn delay(period: i64, byte: u8) -> i64 {
    period / 24 + period / 8 * i64::from(byte) / 256
}

/// The id of the report about a domain and a period: the same whoever sends it.
fn id(start: i64, period: i64, domain: &str) -> EventId {
    let mut hash = Sha256::new();
    hash.update(b"dmarc-report");
    hash.update(start.to_be_bytes());
    hash.update(period.to_be_bytes());
    hash.update(domain);
    let [a, b, c, d, e, f, g, h, i, j, ..] = <[u8; 32]>::from(hash.finalize());
    let random = u128::from_be_bytes([0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h, i, j]);
    EventId::from_parts(Timestamp(start + period), random)
}
