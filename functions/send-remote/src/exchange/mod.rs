//! The way to other servers: DNS, SMTP (RFC 5321), TLS where the peer offers it.

mod client;
mod reply;
mod route;
#[cfg(test)]
mod tests;
mod tls;

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use pennypost_model::EventId;
use pennypost_model::trace::{RemoteAnswer, RemoteOutcome};
use pennypost_ports::Dns;
use serde::Deserialize;
use tokio::io::DuplexStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use client::{End, How, Timing, converse, converse_at_home, ours};
use route::{Hop, route};

/// What became of a recipient, and what was said.
pub type Verdict = (RemoteOutcome, RemoteAnswer);

/// How far the way goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// To public addresses only.
    #[default]
    Public,
    /// To this machine and private networks, too.
    Everything,
}

/// How the way goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Everything goes to this host and port, whatever DNS says.
    pub smart_host: Option<(String, u16)>,
    /// The port of other servers.
    pub port: u16,
    /// Which addresses are tried.
    pub reach: Reach,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { smart_host: None, port: 25, reach: Reach::Public }
    }
}

/// A message for one destination.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// The same for each attempt with the same recipients, and no other: who keeps it knows what has come before.
    pub id: EventId,
    /// The domain, in A-labels.
    pub destination: &'a str,
    /// Reverse-path; empty for `<>`.
    pub reverse_path: &'a str,
    /// Addresses, their domains in A-labels.
    pub recipients: &'a [String],
    /// What goes in front of the message: whole fields.
    pub head: &'a [u8],
    /// As it goes out: lines end with CRLF.
    pub message: &'a [u8],
    /// It has bytes above 127.
    pub is_eight_bit: bool,
    /// An address of its envelope or its header has.
    pub is_utf8: bool,
}

impl Parcel<'_> {
    /// The bytes that go out.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.head.len() + self.message.len()
    }
}

/// What came of a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// The host whose word it is, with its address; empty if none was reached.
    pub host: String,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
    verdicts: Vec<Option<Verdict>>,
    /// What was said first of those who were put off, and may have better luck elsewhere.
    put_off: Vec<Option<Verdict>>,
}

impl Handed {
    /// Nothing is known of so many recipients.
    #[must_use]
    pub fn open(recipients: usize) -> Handed {
        let none = vec![None; recipients];
        Handed { host: String::new(), tls: None, verdicts: none.clone(), put_off: none }
    }

    /// Says what became of a recipient. Whom one server has put off the next one can't refuse for ever: it may be one that
    /// knows nobody.
    pub fn settle(&mut self, index: usize, verdict: Verdict) {
        if verdict.0 == RemoteOutcome::Failed && matches!(self.put_off.get(index), Some(Some(_))) {
            return;
        }
        if let Some(place) = self.verdicts.get_mut(index) {
            *place = Some(verdict);
        }
    }

    fn is_open(&self, index: usize) -> bool {
        matches!(self.verdicts.get(index), Some(None))
    }

    fn settled(&self) -> usize {
        self.verdicts.iter().flatten().count()
    }

    fn put_off(&mut self, index: usize, verdict: &Verdict) {
        if let Some(place) = self.put_off.get_mut(index) {
            place.get_or_insert_with(|| verdict.clone());
        }
    }

    /// Those who were put off have no other chance today.
    fn close(&mut self) {
        for (place, put_off) in self.verdicts.iter_mut().zip(&mut self.put_off) {
            if place.is_none() {
                *place = put_off.take();
            }
        }
    }

    /// Says it of all of whom nothing is known yet.
    pub fn settle_open(&mut self, verdict: &Verdict) {
        for index in 0..self.verdicts.len() {
            if self.is_open(index) {
                self.settle(index, verdict.clone());
            }
        }
    }

    /// What became of each, in the order of the parcel.
    #[must_use]
    pub fn verdicts(self) -> Vec<Verdict> {
        let unknown = || ours(RemoteOutcome::Deferred, "4.4.7", "it took too long");
        self.verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(unknown)).collect()
    }
}

/// What hands parcels over. Never fails as a whole: what can't be done is a verdict.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Hands a parcel to a server of its destination.
    async fn hand_over(&self, parcel: &Parcel<'_>) -> Handed;
}

/// The post office itself: to the domains that it keeps no way leads through the world.
#[async_trait]
pub trait Home: Send + Sync {
    /// Does mail for this domain come in here?
    ///
    /// # Errors
    /// Why that can't be told at present.
    async fn keeps(&self, domain: &str) -> Result<bool, String>;

    /// A connection to where other servers' mail comes in. What is handed in over several of them under the same id is
    /// delivered once.
    fn connect(&self, id: EventId) -> DuplexStream;
}

/// The mail exchangers of the world.
pub struct Exchange {
    dns: Arc<dyn Dns>,
    own_name: String,
    settings: Settings,
    tls: TlsConnector,
    timing: Timing,
    home: Option<Arc<dyn Home>>,
}

impl Exchange {
    /// Under that name.
    #[must_use]
    pub fn new(dns: Arc<dyn Dns>, own_name: &str, settings: Settings) -> Exchange {
        let (own_name, timing) = (own_name.to_owned(), Timing::default());
        Exchange { dns, own_name, settings, tls: tls::connector(), timing, home: None }
    }

    /// What is for domains kept here goes there, whatever DNS says, and a smart host gets none of it.
    #[must_use]
    pub fn with_home(self, home: Arc<dyn Home>) -> Exchange {
        Exchange { home: Some(home), ..self }
    }

    /// Waits for nothing longer than a part of the usual time: for tests.
    #[must_use]
    pub fn in_haste(self, haste: NonZeroU32) -> Exchange {
        Exchange { timing: self.timing.divided_by(haste.get()), ..self }
    }

    async fn carry(&self, parcel: &Parcel<'_>, handed: &mut Handed) {
        let deadline = Instant::now() + self.timing.whole;
        if let Some(home) = &self.home {
            match home.keeps(parcel.destination).await {
                Ok(true) => return self.carry_home(&**home, parcel, deadline, handed).await,
                Ok(false) => {}
                Err(why) => return handed.settle_open(&ours(RemoteOutcome::Deferred, "4.3.0", &why)),
            }
        }
        let route = route(&*self.dns, &self.settings, &self.own_name, parcel.destination);
        let hops = match tokio::time::timeout_at(deadline, route).await {
            Ok(Ok(hops)) => hops,
            Ok(Err(why)) => {
                let temporary = why.is_temporary();
                let outcome = if temporary { RemoteOutcome::Deferred } else { RemoteOutcome::Failed };
                return handed.settle_open(&ours(outcome, why.status(), &why.to_string()));
            }
            Err(_) => return,
        };
        // What is said of those who stay open, and by whom.
        let mut best: Option<(Verdict, String, Option<String>)> = None;
        let mut decided = None;
        for hop in &hops {
            if Instant::now() >= deadline {
                break;
            }
            let settled = handed.settled();
            (handed.host, handed.tls) = (String::new(), None);
            let end = self.try_hop(hop, parcel, deadline, handed).await;
            let by = (std::mem::take(&mut handed.host), handed.tls.take());
            if handed.settled() > settled {
                decided = Some(by.clone());
            }
            let Some(verdict) = end else { break };
            if best.as_ref().is_none_or(|(known, ..)| weight(&verdict) > weight(known)) {
                best = Some((verdict, by.0, by.1));
            }
        }
        handed.close();
        let by = match best {
            Some((verdict, host, tls)) => {
                handed.settle_open(&verdict);
                Some((host, tls))
            }
            None => None,
        };
        if let Some((host, tls)) = decided.or(by) {
            (handed.host, handed.tls) = (host, tls);
        }
    }

    async fn carry_home(&self, home: &dyn Home, parcel: &Parcel<'_>, deadline: Instant, handed: &mut Handed) {
        let how = How { own_name: &self.own_name, tls: None, timing: self.timing, deadline };
        let end = converse_at_home(home.connect(parcel.id), parcel, how, handed).await;
        handed.close();
        if let End::Elsewhere(verdict) = end {
            handed.settle_open(&verdict);
        }
    }

    /// Tries one server. A verdict, if another one may do better.
    async fn try_hop(
        &self,
        hop: &Hop,
        parcel: &Parcel<'_>,
        deadline: Instant,
        handed: &mut Handed,
    ) -> Option<Verdict> {
        let (own_name, timing) = (&*self.own_name, self.timing);
        for tls in [Some(&self.tls), None] {
            match converse(hop, parcel, How { own_name, tls, timing, deadline }, handed).await {
                End::Over => return None,
                End::Elsewhere(verdict) => return Some(verdict),
                End::WithoutTls => {}
            }
        }
        None
    }
}

/// Which of two verdicts is told. Where one of the servers may be better tomorrow, nothing is decided today; and what a
/// server has said says more than that none was reached.
fn weight((outcome, answer): &Verdict) -> (bool, bool) {
    (*outcome == RemoteOutcome::Deferred, answer.code.is_some())
}

#[async_trait]
impl Carrier for Exchange {
    async fn hand_over(&self, parcel: &Parcel<'_>) -> Handed {
        let mut handed = Handed::open(parcel.recipients.len());
        self.carry(parcel, &mut handed).await;
        handed
    }
}
