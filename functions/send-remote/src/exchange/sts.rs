//! Policies of other domains for TLS (MTA-STS: RFC 8461), found and remembered.
//!
//! Owns the partition `tls-policies` of the control table, the installation's: an item for each domain that has a policy, as it
//! was fetched last. What one process has found holds for all, and for as long as the policy says, whatever becomes of its
//! record and its document meanwhile (section 5.1). What is in memory only spares reading. If the process dies, the policy is
//! fetched again; an item that is over is removed by whoever writes one near it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_domains::{POLICY_PATH, PublishedPolicy, TlsMode, policy_id};
use pennypost_model::Timestamp;
use pennypost_model::codec::{self, Versioned};
use pennypost_ports::{
    Clock, Consistency, Control, ControlKey, Dns, DnsKind, DnsRecord, Expected, Https, Item, PortError,
    PortResult, Put,
};
use serde::{Deserialize, Serialize};

/// The partition of the control table.
const PARTITION: &str = "tls-policies";
/// Milliseconds after which a policy is fetched anew, though its record says that it is the same (section 3.3).
const REFRESH: i64 = 24 * 3_600_000;
/// Milliseconds for which the same policy is not fetched again after that failed (section 3.3), and for which nobody asks the
/// table again that had none.
const PAUSE: i64 = 5 * 60_000;
/// Domains that are kept in memory.
const MOST: usize = 2_000;
/// Items behind one that is written that are looked at: those that are over go.
const NEIGHBOURS: usize = 20;
/// How often a policy is written again that another process has overtaken.
const TRIES: usize = 3;

/// A policy as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    /// By its record.
    id: String,
    fetched: Timestamp,
    policy: PublishedPolicy,
}

impl Versioned for Remembered {
    const KIND: &'static str = "policy of another domain";
}

impl Remembered {
    fn is_over(&self, now: Timestamp) -> bool {
        self.fetched.plus_millis(1_000 * i64::from(self.policy.max_age)) <= now
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        self.is_over(now) || self.fetched.plus_millis(REFRESH) <= now
    }
}

/// What this process knows of a domain.
#[derive(Default)]
struct Known {
    remembered: Option<Remembered>,
    /// The version of its item; none, where there is none.
    version: Option<u64>,
    /// There is one that can't be read: nobody knows what it forbids.
    is_unreadable: bool,
    /// When the table was asked last.
    asked: Option<Timestamp>,
    /// The policy that could not be fetched, and when.
    failed: Option<(String, Timestamp)>,
}

impl Known {
    /// Is it what the record says, and fresh? Without a record it is what the table says.
    fn is_settled(&self, id: Option<&str>, now: Timestamp) -> bool {
        match (&self.remembered, id) {
            (Some(known), Some(id)) => known.id == id && !known.is_stale(now),
            (Some(known), None) => !known.is_over(now),
            (None, _) => false,
        }
    }

    fn has_just_failed(&self, id: &str, now: Timestamp) -> bool {
        self.failed.as_ref().is_some_and(|(failed, at)| failed == id && now < at.plus_millis(PAUSE))
    }
}

/// The id of the policy that these records name.
fn id_of(records: &[DnsRecord]) -> Option<String> {
    policy_id(records.iter().filter_map(|record| match record {
        DnsRecord::Txt(text) => Some(text.as_str()),
        _ => None,
    }))
}

/// What finds policies.
pub struct StsPolicies {
    dns: Arc<dyn Dns>,
    https: Arc<dyn Https>,
    control: Arc<dyn Control>,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Known>>>>,
}

impl StsPolicies {
    /// Over these ports: `https` fetches the policies.
    #[must_use]
    pub fn new(
        dns: Arc<dyn Dns>,
        https: Arc<dyn Https>,
        control: Arc<dyn Control>,
        clock: Arc<dyn Clock>,
    ) -> StsPolicies {
        StsPolicies { dns, https, control, clock, known: Mutex::default() }
    }

    /// The policy that holds for a domain now; none, if it has none, or one that asks for nothing. A domain whose record or
    /// document can't be had, and of which nothing is remembered, has none (sections 3.3 and 5).
    ///
    /// # Errors
    /// [`PortError`]: what is remembered can't be read. It may forbid to send in the clear.
    pub(super) async fn of(&self, domain: &str) -> PortResult<Option<PublishedPolicy>> {
        let id = self.id(domain).await;
        let place = self.place(domain);
        // One at a time fetches it; the others find what it has found.
        let mut known = place.lock().await;
        let now = self.clock.now();
        if !known.is_settled(id.as_deref(), now)
            && known.asked.is_none_or(|asked| asked.plus_millis(PAUSE) <= now)
        {
            self.read(domain, &mut known, now).await?;
        }
        if let Some(id) = id
            && !known.is_settled(Some(&id), now)
            && !known.has_just_failed(&id, now)
        {
            self.fetch(domain, id, &mut known, now).await;
        }
        let holding = known.remembered.as_ref().filter(|known| !known.is_over(now));
        if holding.is_none() && known.is_unreadable {
            let cause = format!("the policy of {domain}");
            return Err(PortError::Damaged { port: "control", cause });
        }
        Ok(holding.map(|known| known.policy.clone()).filter(|policy| policy.mode != TlsMode::None))
    }

    /// Does the domain say that it has a policy, or can't that be known, and is none known? Then one may be had later.
    pub(super) async fn is_missing(&self, domain: &str) -> bool {
        let records = match self.dns.look_up(&format!("_mta-sts.{domain}"), DnsKind::Txt).await {
            Ok(records) => records,
            Err(_) => return true,
        };
        id_of(&records).is_some() && self.place(domain).lock().await.remembered.is_none()
    }

    fn place(&self, domain: &str) -> Arc<tokio::sync::Mutex<Known>> {
        let mut known = self.known.lock();
        if known.len() >= MOST && !known.contains_key(domain) {
            known.clear();
        }
        Arc::clone(known.entry(domain.to_owned()).or_default())
    }

    /// The id of the policy by its record; none, if there is none, or DNS does not say.
    async fn id(&self, domain: &str) -> Option<String> {
        match self.dns.look_up(&format!("_mta-sts.{domain}"), DnsKind::Txt).await {
            Ok(records) => id_of(&records),
            Err(error) => {
                tracing::debug!(domain, %error, "whether a domain has a policy for TLS is not known");
                None
            }
        }
    }

    /// What the table knows.
    async fn read(&self, domain: &str, known: &mut Known, now: Timestamp) -> PortResult<()> {
        let found = self.control.get(&ControlKey::new(PARTITION, domain), Consistency::Eventual).await?;
        known.take(domain, found);
        known.asked = Some(now);
        Ok(())
    }

    /// Fetches the policy with that id, and remembers it.
    async fn fetch(&self, domain: &str, id: String, known: &mut Known, now: Timestamp) {
        let document = self.https.fetch(&format!("mta-sts.{domain}"), POLICY_PATH).await;
        let policy = document.map_err(|error| error.to_string()).and_then(|bytes| {
            PublishedPolicy::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| error.to_string())
        });
        match policy {
            Ok(policy) => {
                (known.failed, known.is_unreadable) = (None, false);
                let new = Remembered { id, fetched: now, policy };
                known.remembered = Some(new.clone());
                match self.remember(domain, &new, known).await {
                    Ok(false) => {}
                    Ok(true) => {
                        if let Err(error) = self.tidy(domain).await {
                            tracing::warn!(domain, %error, "policies for TLS that are over were not removed");
                        }
                    }
                    Err(error) => {
                        tracing::warn!(domain, %error, "a policy for TLS holds in this process only");
                    }
                }
            }
            Err(error) => {
                let remembered = known.remembered.as_ref().filter(|known| !known.is_over(now));
                let held = remembered.map(|known| known.policy.mode.name());
                // Without one that holds it is as if there were none: who keeps us from it now keeps us from it for good.
                tracing::warn!(domain, id, error, held, "a domain's policy for TLS can't be fetched");
                known.failed = Some((id, now));
            }
        }
    }

    /// Writes it. `false` if another process has written one that is as new.
    async fn remember(&self, domain: &str, new: &Remembered, known: &mut Known) -> PortResult<bool> {
        let key = ControlKey::new(PARTITION, domain);
        let value = codec::encode(new);
        for _ in 0..TRIES {
            let expected = known.version.map_or(Expected::Absent, Expected::Version);
            match self.control.put_if(&key, &value, expected).await? {
                Put::Stored(version) => {
                    known.version = Some(version);
                    return Ok(true);
                }
                Put::Conflict(found) => {
                    known.version = found.as_ref().map(|item| item.version);
                    let other = found.and_then(|item| codec::decode::<Remembered>(&item.value).ok());
                    // Another process has fetched it, too, at the same time: what it has written stands.
                    if let Some(other) = other.filter(|other| other.fetched >= new.fetched) {
                        known.remembered = Some(other);
                        return Ok(false);
                    }
                }
            }
        }
        Err(PortError::Unavailable { port: "control", cause: "others write it all the time".to_owned() })
    }

    /// Removes what is over behind that domain.
    async fn tidy(&self, domain: &str) -> PortResult<()> {
        let mut found = self.control.query(PARTITION, "", Some(domain), NEIGHBOURS).await?;
        if found.is_empty() {
            found = self.control.query(PARTITION, "", None, NEIGHBOURS).await?;
        }
        let now = self.clock.now();
        for (sort, item) in found {
            if codec::decode::<Remembered>(&item.value).is_ok_and(|known| known.is_over(now)) {
                self.control.delete_if(&ControlKey::new(PARTITION, sort), item.version).await?;
            }
        }
        Ok(())
    }
}

impl Known {
    fn take(&mut self, domain: &str, found: Option<Item>) {
        self.version = found.as_ref().map(|item| item.version);
        self.is_unreadable = false;
        let Some(item) = found else { return };
        match codec::decode::<Remembered>(&item.value) {
            // What this process could not write may be newer.
            Ok(read) if self.remembered.as_ref().is_none_or(|own| own.fetched <= read.fetched) => {
                self.remembered = Some(read);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(domain, %error, "a policy that was remembered can't be read");
                self.is_unreadable = true;
            }
        }
    }
}
