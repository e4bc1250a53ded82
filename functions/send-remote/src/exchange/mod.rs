//! The way to other servers: DNS, SMTP (RFC 5321), TLS where the peer offers it, and nothing but TLS where somebody asks for it.

mod client;
mod dane;
mod demand;
mod gate;
mod open;
mod parcel;
mod private;
mod reply;
mod route;
mod session;
mod sts;
#[cfg(test)]
mod tests;
mod tls;
mod way_out;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_lookup::Authorities;
use pennypost_model::EventId;
use pennypost_model::trace::{RemoteAnswer, RemoteOutcome, TlsDemand};
use pennypost_ports::{Dns, ProvingDns};
use serde::Deserialize;
use tokio::io::DuplexStream;
use tokio::time::Instant;

pub(crate) use client::ours;
use client::{End, How, Timing, converse, converse_at_home};
use demand::Demand;
pub use demand::Login;
use gate::Gate;
use open::Open;
pub use parcel::{Parcel, Requests};
use route::{Hop, Names, NoRoute, route};
use session::Session;
pub use sts::StsPolicies;
use tls::{Finding, Privacy, Trust};
pub use way_out::{Probed, WayOut};

use crate::slots::Mood;
use crate::tlsrpt::{Tally, TlsFault};

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

/// A server that takes everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SmartHost {
    /// Its name, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it wants to know: it is told over TLS with a certificate that holds for the host, and not otherwise.
    pub login: Option<Login>,
    /// TLS begins with the connection, and its certificate has to hold, too.
    pub is_wrapped: bool,
}

impl SmartHost {
    /// One that takes mail without a password.
    #[must_use]
    pub fn open(host: &str, port: u16) -> SmartHost {
        SmartHost { host: host.to_owned(), port, login: None, is_wrapped: false }
    }
}

/// How the way goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Everything goes to this host, whatever DNS says.
    pub smart_host: Option<SmartHost>,
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

/// What came of a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// The host whose word it is, with its address; empty if none was reached.
    pub host: String,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
    /// Who asked for TLS with a certificate that holds, and whether it was had.
    pub demand: Option<TlsDemand>,
    /// Why there was none, where it need not be.
    in_the_clear: Option<String>,
    /// What became of TLS in the conversation that was begun last.
    session: Option<Session>,
    /// What the smart host has said last to user and password; an error, where it refused them.
    admission: Option<Result<(), Verdict>>,
    verdicts: Vec<Option<Verdict>>,
    /// What was said first of those who were put off, and may have better luck elsewhere.
    put_off: Vec<Option<Verdict>>,
    /// Recipients whose server has the message and tells nothing of what becomes of it, by their places.
    pub relayed: Vec<usize>,
    /// Recipients whose server has had all of the message, perhaps, and did not say whether it has taken it, by their places.
    pub unconfirmed: Vec<usize>,
    /// What it says of the destination, if anything.
    pub(crate) mood: Option<Mood>,
}

impl Handed {
    /// Nothing is known of so many recipients.
    #[must_use]
    pub fn open(recipients: usize) -> Handed {
        let none = vec![None; recipients];
        Handed {
            host: String::new(),
            tls: None,
            demand: None,
            in_the_clear: None,
            session: None,
            admission: None,
            verdicts: none.clone(),
            put_off: none,
            relayed: Vec::new(),
            unconfirmed: Vec::new(),
            mood: None,
        }
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
    /// What does where nobody asks for more.
    any: Privacy,
    trust: Trust,
    policies: Option<StsPolicies>,
    /// Who says what is proved of servers.
    proving: Option<Arc<dyn ProvingDns>>,
    /// What became of TLS is counted here.
    tally: Option<Arc<Tally>>,
    timing: Timing,
    home: Option<Arc<dyn Home>>,
    /// Smart hosts that have let nobody in, with these words. They are left alone for a while.
    shut: Mutex<HashMap<Gate, (Instant, Verdict, By)>>,
    /// Conversations between two messages.
    open: Open,
}

/// Who has spoken, over which TLS, and whether that was what somebody asked for.
#[derive(Debug, Clone, Default)]
struct By {
    host: String,
    tls: Option<String>,
    demand: Option<TlsDemand>,
}

impl Exchange {
    /// Under that name.
    #[must_use]
    pub fn new(dns: Arc<dyn Dns>, own_name: &str, settings: Settings) -> Exchange {
        let (own_name, timing) = (own_name.to_owned(), Timing::default());
        Exchange {
            dns,
            own_name,
            settings,
            any: Privacy::with_any(),
            trust: Trust::default(),
            policies: None,
            proving: None,
            tally: None,
            timing,
            home: None,
            shut: Mutex::default(),
            open: Open::default(),
        }
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

    /// Certificates that have to hold are judged by these authorities.
    #[must_use]
    pub fn believing(self, authorities: Authorities) -> Exchange {
        Exchange { trust: Trust::new(authorities), ..self }
    }

    /// What other domains' policies ask for is done. Without them TLS is a matter of luck.
    #[must_use]
    pub fn with_policies(self, policies: StsPolicies) -> Exchange {
        Exchange { policies: Some(policies), ..self }
    }

    /// Servers are known by what their domains have published and these name servers say is proved (DANE: RFC 7672).
    #[must_use]
    pub fn proving(self, dns: Arc<dyn ProvingDns>) -> Exchange {
        Exchange { proving: Some(dns), ..self }
    }

    /// What becomes of TLS is counted there.
    #[must_use]
    pub fn counting(self, tally: Arc<Tally>) -> Exchange {
        Exchange { tally: Some(tally), ..self }
    }

    /// Who asks for TLS on the way to that destination. To a smart host it is the smart host, or the policy of its own name
    /// (RFC 8461 section 3.4).
    async fn demand(&self, parcel: &Parcel<'_>) -> Result<Option<Demand>, String> {
        let domain = match self.smart_host(parcel) {
            // What is said of a tenant is said with TLS.
            Some(SmartHost { login, is_wrapped, .. })
                if login.is_some() || *is_wrapped || parcel.way_out.is_some() =>
            {
                return Ok(Some(Demand::SmartHost));
            }
            Some(SmartHost { host, .. }) => host,
            None => parcel.destination,
        };
        let is_literal = domain.starts_with('[') || domain.parse::<std::net::IpAddr>().is_ok();
        let Some(policies) = self.policies.as_ref().filter(|_| !is_literal) else { return Ok(None) };
        let policy = policies.of(domain).await.map_err(|error| {
            // What the backend says is the operator's; the text is for whoever has written.
            tracing::warn!(domain, %error, "what is remembered of a domain's policy for TLS can't be read");
            "the policies for TLS can't be read at present".to_owned()
        })?;
        Ok(policy.map(Demand::Policy))
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
        if let Some((verdict, by)) = self.shut(parcel) {
            by.tell(handed);
            return handed.settle_open(&verdict);
        }
        let smart_host = self.smart_host(parcel);
        let demand = match parcel.ignores_policies && smart_host.is_none() {
            true => Ok(Ok(None)),
            false => tokio::time::timeout_at(deadline, self.demand(parcel)).await,
        };
        let demand = match demand {
            Ok(Ok(demand)) => demand,
            // Perhaps it must not go in the clear.
            Ok(Err(why)) => return handed.settle_open(&ours(RemoteOutcome::Deferred, "4.3.0", &why)),
            Err(_) => return,
        };
        let demand = demand.as_ref();
        let proving = self.proving.as_deref().filter(|_| !parcel.ignores_policies);
        let names = Names { dns: &*self.dns, proving };
        let ways = (&self.settings, smart_host);
        let route = route(names, ways, &self.own_name, parcel.destination, demand);
        let hops = match tokio::time::timeout_at(deadline, route).await {
            Ok(Ok(hops)) => hops,
            Ok(Err(why)) => {
                if matches!(why, NoRoute::Unnamed(_)) {
                    handed.demand = demand.map(|demand| demand.told(Some(why.to_string())));
                    self.count_uncalled(parcel, demand);
                }
                if parcel.is_bound() && matches!(why, NoRoute::Unnamed(_)) {
                    return handed.settle_open(&private::refused(&why.to_string()));
                }
                let temporary = why.is_temporary();
                let outcome = if temporary { RemoteOutcome::Deferred } else { RemoteOutcome::Failed };
                return handed.settle_open(&ours(outcome, why.status(), &why.to_string()));
            }
            Err(_) => return,
        };
        // What is said of those who stay open, and by whom.
        let mut best: Option<(Verdict, By)> = None;
        let mut decided = None;
        for hop in &hops {
            if Instant::now() >= deadline {
                break;
            }
            let settled = handed.settled();
            By::default().tell(handed);
            let end = self.try_hop(hop, parcel, (demand, deadline), handed).await;
            let by = By::of(handed);
            if let Some(admission) = handed.admission.take() {
                self.note_admission(parcel, admission, &by);
            }
            if handed.settled() > settled {
                decided = Some(by.clone());
            }
            let Some(verdict) = end else { break };
            if best.as_ref().is_none_or(|(known, ..)| weight(&verdict) > weight(known)) {
                best = Some((verdict, by));
            }
        }
        handed.close();
        let by = match best {
            Some((verdict, by)) => {
                handed.settle_open(&verdict);
                Some(by)
            }
            None => None,
        };
        if let Some(by) = decided.or(by) {
            by.tell(handed);
        }
    }

    async fn carry_home(&self, home: &dyn Home, parcel: &Parcel<'_>, deadline: Instant, handed: &mut Handed) {
        let how = self.how(None, deadline, None);
        let end = converse_at_home(home.connect(parcel.id), parcel, how, handed).await;
        handed.close();
        // What comes again under its id is delivered once.
        handed.unconfirmed.clear();
        if let End::Elsewhere(verdict) = end {
            handed.settle_open(&verdict);
        }
    }

    fn how<'a>(
        &'a self,
        tls: Option<&'a Privacy>,
        deadline: Instant,
        way_out: Option<&'a WayOut>,
    ) -> How<'a> {
        let own_name = way_out.and_then(|way_out| way_out.name.as_deref()).unwrap_or(&self.own_name);
        let (owner, source) =
            (way_out.map(|way_out| way_out.tenant), way_out.and_then(|way_out| way_out.address));
        let (timing, is_wrapped, is_sure) = (self.timing, false, false);
        How { own_name, owner, source, tls, is_wrapped, is_sure, login: None, timing, deadline }
    }

    /// Tries one server. A verdict, if another one may do better.
    async fn try_hop(
        &self,
        hop: &Hop,
        parcel: &Parcel<'_>,
        (demand, deadline): (Option<&Demand>, Instant),
        handed: &mut Handed,
    ) -> Option<Verdict> {
        let of_server = match &hop.dane {
            Some(Ok(dane)) => Some(Demand::Dane(Arc::clone(dane))),
            Some(Err(why)) => {
                // Perhaps it must not go in the clear, nor to whoever is there (RFC 7672 section 2.1.2).
                let demand = Demand::UnknownDane;
                handed.demand = Some(demand.told(Some(why.clone())));
                let session = Session::failed(TlsFault::DnssecInvalid, why);
                self.count((hop, parcel), Some(&demand), Some(session), None);
                return Some(ours(RemoteOutcome::Deferred, "4.7.5", why));
            }
            None => None,
        };
        handed.session = None;
        let demand = of_server.as_ref().or(demand);
        if parcel.is_bound() {
            return self.try_privately(hop, parcel, (demand, deadline), handed).await;
        }
        let is_sure = parcel.is_private && private::may_promise(hop, demand);
        let Some(demand) = demand else {
            // Whoever is to promise something has to be known.
            let judged = if is_sure { self.trust.privacy(false).ok() } else { None };
            let privacy = judged.as_ref().unwrap_or(&self.any);
            let (verdict, _) = self.speak(hop, parcel, (privacy, is_sure, deadline), handed).await;
            self.count((hop, parcel), None, handed.session.take(), None);
            return verdict;
        };
        let unnamed = || {
            let text = format!("the policy does not name {}", hop.host);
            (!demand.names(&hop.host)).then_some(Finding { fault: TlsFault::Validation, text })
        };
        let privacy = match demand {
            Demand::Dane(dane) => Ok(dane.privacy()),
            _ => self.trust.privacy(demand.is_enforced()),
        };
        let (verdict, failure) = match privacy {
            Ok(privacy) => {
                let (verdict, failure) = self.speak(hop, parcel, (&privacy, is_sure, deadline), handed).await;
                let failure = failure.or_else(|| handed.in_the_clear.take());
                let finding = privacy.finding().or_else(unnamed);
                self.count((hop, parcel), Some(demand), handed.session.take(), finding.as_ref());
                (verdict, failure.or_else(|| finding.map(|finding| finding.text)))
            }
            // Where certificates can't be judged nothing goes that they would have to protect.
            Err(why) if demand.is_enforced() => {
                (Some(ours(RemoteOutcome::Deferred, "4.7.5", &why)), Some(why))
            }
            Err(why) => (self.speak(hop, parcel, (&self.any, false, deadline), handed).await.0, Some(why)),
        };
        handed.demand = Some(demand.told(failure.clone()));
        match (verdict, failure) {
            (Some((outcome, mut answer)), Some(why)) if demand.is_enforced() => {
                let who = demand.who();
                answer.text =
                    format!("nothing is sent without TLS with a valid certificate, as {who} asks for: {why}");
                Some((outcome, answer))
            }
            (verdict, _) => verdict,
        }
    }

    /// Speaks with a server, of which it is sure that it is the destination's, or not: a verdict, if another one may do better; and why
    /// there was no TLS, where that was tried.
    async fn speak(
        &self,
        hop: &Hop,
        parcel: &Parcel<'_>,
        (privacy, is_sure, deadline): (&Privacy, bool, Instant),
        handed: &mut Handed,
    ) -> (Option<Verdict>, Option<String>) {
        let smart_host = self.smart_host(parcel);
        let login = smart_host.and_then(|host| host.login.as_ref());
        let is_wrapped = smart_host.is_some_and(|host| host.is_wrapped);
        let mut failure = None;
        for tls in [Some(privacy), None] {
            let how = How { is_wrapped, is_sure, login, ..self.how(tls, deadline, parcel.way_out) };
            match converse(hop, parcel, how, &self.open, handed).await {
                End::Over => return (None, failure),
                End::Elsewhere(verdict) => return (Some(verdict), failure),
                End::WithoutTls((outcome, answer)) => {
                    failure = Some(answer.text.clone());
                    if privacy.is_required {
                        // What speaks against this server today may be mended, and nobody has asked for a report at once.
                        let outcome = if parcel.is_bound() { outcome } else { RemoteOutcome::Deferred };
                        return (Some((outcome, answer)), failure);
                    }
                }
            }
        }
        (None, failure)
    }
}

impl By {
    fn of(handed: &Handed) -> By {
        let Handed { host, tls, demand, .. } = handed;
        By { host: host.clone(), tls: tls.clone(), demand: demand.clone() }
    }

    fn tell(self, handed: &mut Handed) {
        (handed.host, handed.tls, handed.demand) = (self.host, self.tls, self.demand);
    }
}

/// Which of two verdicts is told. Where one of the servers may be better tomorrow, nothing is decided today; and what a
/// server has said says more than that none was reached; that one was reached and not trusted, too.
fn weight((outcome, answer): &Verdict) -> (bool, bool, bool) {
    let is_of_trust = answer.status.starts_with("4.7.");
    (*outcome == RemoteOutcome::Deferred, answer.code.is_some(), is_of_trust)
}

#[async_trait]
impl Carrier for Exchange {
    async fn hand_over(&self, parcel: &Parcel<'_>) -> Handed {
        let mut handed = Handed::open(parcel.recipients.len());
        self.carry(parcel, &mut handed).await;
        handed
    }
}
