//! Conversations that stay open for the next message: a connection, its TLS and a password cost more than a small message does.
//!
//! One stays open where the message before it went the same way a moment ago: a single letter leaves no connection behind. It
//! begins anew with EHLO (RFC 5321 section 4.1.4), whose reply must offer what it offered: who has said one reply too many
//! in between would be misunderstood from then on.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pennypost_model::TenantId;
use tokio::time::Instant;

use super::client::{Conversation, How, Offers};
use super::dane::Dane;
use super::route::Hop;
use super::{Handed, Login};

/// For so long one stays open without a message.
const IDLE: Duration = Duration::from_secs(2);
/// For so long it is used.
const LONGEST: Duration = Duration::from_secs(60);
/// For so many messages.
const MOST: u32 = 100;
/// So many stay open in all.
const ALL: usize = 64;
/// Ways that are remembered.
const WAYS: usize = 4096;

/// Which connections are as good as each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Way {
    address: SocketAddr,
    /// Whose way out it is; none: the installation's.
    owner: Option<TenantId>,
    /// Who we are there.
    own_name: String,
    source: Option<IpAddr>,
    host: String,
    is_wrapped: bool,
    login: Option<Login>,
    /// TLS was tried, with a certificate that was judged, without which nothing would have been said, and which had to hold for the
    /// name.
    tls: Option<(bool, bool, bool)>,
    /// By what the certificate was judged, where that was published.
    dane: Option<Arc<Dane>>,
}

impl Way {
    pub(super) fn of(hop: &Hop, how: How<'_>) -> Way {
        Way {
            address: hop.address,
            owner: how.owner,
            own_name: how.own_name.to_owned(),
            source: how.source,
            host: hop.host.clone(),
            is_wrapped: how.is_wrapped,
            login: how.login.cloned(),
            tls: how.tls.map(|tls| (tls.judged.is_some(), tls.is_required, tls.needs_name)),
            dane: hop.dane.as_ref().and_then(|dane| dane.as_ref().ok()).cloned(),
        }
    }
}

/// A conversation between two messages.
pub(super) struct Parked {
    pub conversation: Conversation,
    pub offers: Offers,
    pub tls: Option<String>,
    pub in_the_clear: Option<String>,
    begun: Instant,
    messages: u32,
    number: u64,
}

impl Parked {
    pub(super) fn new(conversation: Conversation, offers: Offers, handed: &Handed) -> Parked {
        let (tls, in_the_clear) = (handed.tls.clone(), handed.in_the_clear.clone());
        Parked { conversation, offers, tls, in_the_clear, begun: Instant::now(), messages: 0, number: 0 }
    }
}

#[derive(Default)]
struct Ways {
    /// When each was used last.
    used: HashMap<Way, Instant>,
    /// The one that was used last comes last.
    parked: Vec<(Way, Parked)>,
    next: u64,
}

/// The conversations that are open. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Open(Arc<Mutex<Ways>>);

impl Open {
    /// One that goes that way.
    pub(super) fn take(&self, way: &Way) -> Option<Parked> {
        let mut ways = self.0.lock();
        let place = ways.parked.iter().rposition(|(known, _)| known == way)?;
        Some(ways.parked.remove(place).1)
    }

    /// Notes that a message goes that way. Did another one a moment ago?
    pub(super) fn is_busy(&self, way: &Way) -> bool {
        let (mut ways, now) = (self.0.lock(), Instant::now());
        if ways.used.len() >= WAYS {
            ways.used.retain(|_, used| now.duration_since(*used) < IDLE);
        }
        if ways.used.len() >= WAYS {
            return false;
        }
        let before = ways.used.insert(way.clone(), now);
        before.is_some_and(|before| now.duration_since(before) < IDLE)
    }

    /// Leaves one open for the next message, or ends it.
    pub(super) async fn park(&self, way: Way, mut parked: Parked) {
        parked.messages += 1;
        if parked.messages >= MOST || parked.begun.elapsed() >= LONGEST {
            return parked.conversation.quit().await;
        }
        let (number, oldest) = {
            let mut ways = self.0.lock();
            let oldest = if ways.parked.len() >= ALL { Some(ways.parked.remove(0)) } else { None };
            ways.next += 1;
            parked.number = ways.next;
            let number = parked.number;
            ways.parked.push((way, parked));
            (number, oldest)
        };
        if let Some((_, oldest)) = oldest {
            oldest.conversation.quit().await;
        }
        // Whoever is gone by then has closed it.
        let known = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            let left = known.upgrade().and_then(|ways| {
                let mut ways = ways.lock();
                let place = ways.parked.iter().position(|(_, parked)| parked.number == number)?;
                Some(ways.parked.remove(place).1)
            });
            if let Some(left) = left {
                left.conversation.quit().await;
            }
        });
    }
}
