//! Messages that nobody may read on their way (REQUIRETLS: RFC 8689): they go to servers only of which it is sure that they are the
//! destination's, over TLS with a certificate that holds, and that promise the same.
//!
//! Where each server of a destination is reached and one of this is missing, the message has failed, and its sender is told at once
//! (section 4.2.1). What could not be known, or broke off, is tried again.

use pennypost_model::trace::{RemoteAnswer, RemoteOutcome, TlsDemand, TlsReason};
use tokio::time::Instant;

use super::client::ours;
use super::demand::Demand;
use super::route::Hop;
use super::{Exchange, Handed, Parcel, Verdict};

/// There is no TLS with a server that is known.
const NO_TLS: &str = "5.7.10";
/// The server promises nothing.
const NO_PROMISE: &str = "5.7.30";

/// Is it sure that the server is the destination's? By DNSSEC, or by a policy of the domain, whether or not that is enforced (RFC 8461
/// section 4.1).
pub(super) fn is_sure(hop: &Hop, demand: Option<&Demand>) -> bool {
    match demand {
        Some(Demand::Policy(policy)) => hop.is_sure || policy.names(&hop.host),
        _ => hop.is_sure,
    }
}

/// The same of a message from nobody, with a certificate that is judged as for any other one: it may be anybody's, where TLSA records
/// name nobody.
pub(super) fn may_promise(hop: &Hop, demand: Option<&Demand>) -> bool {
    let is_anybody = matches!(demand, Some(Demand::Dane(dane)) if !dane.names_somebody());
    is_sure(hop, demand) && !is_anybody
}

/// Nothing is sent to such a server.
pub(super) fn refused(why: &str) -> Verdict {
    ours(RemoteOutcome::Failed, NO_TLS, &text(why))
}

/// It speaks TLS, and promises nothing.
pub(super) fn promises_nothing() -> Verdict {
    let text = "REQUIRETLS support required: the sender wants the message to be kept private on its whole way, which the server \
                does not offer";
    ours(RemoteOutcome::Failed, NO_PROMISE, text)
}

fn text(why: &str) -> String {
    format!(
        "the sender wants the message to go over TLS and to servers that are known (REQUIRETLS) only: {why}"
    )
}

impl Exchange {
    /// Tries one server with such a message. A verdict, if another one may do better.
    pub(super) async fn try_privately(
        &self,
        hop: &Hop,
        parcel: &Parcel<'_>,
        (demand, deadline): (Option<&Demand>, Instant),
        handed: &mut Handed,
    ) -> Option<Verdict> {
        let told = |failure| Some(TlsDemand { reason: TlsReason::Sender, is_enforced: true, failure });
        if !is_sure(hop, demand) {
            let (host, domain) = (&hop.host, parcel.destination);
            let why =
                format!("neither DNSSEC nor a policy (MTA-STS) says that {host} is a server of {domain}");
            handed.demand = told(Some(why.clone()));
            let is_missing = match &self.policies {
                Some(policies) => policies.is_missing(domain).await,
                None => false,
            };
            return Some(match is_missing {
                true => ours(
                    RemoteOutcome::Deferred,
                    "4.7.10",
                    &text(&format!("{why}; the policy can't be had at present")),
                ),
                false => refused(&why),
            });
        }
        let privacy = match demand {
            Some(Demand::Dane(dane)) if dane.names_somebody() => Ok(dane.privacy()),
            _ => self.trust.privacy(true),
        };
        let privacy = match privacy {
            Ok(privacy) => privacy,
            Err(why) => {
                handed.demand = told(Some(why.clone()));
                return Some(ours(RemoteOutcome::Deferred, "4.7.5", &why));
            }
        };
        let (verdict, failure) = self.speak(hop, parcel, (&privacy, true, deadline), handed).await;
        let finding = privacy.finding();
        self.count((hop, parcel), demand, handed.session.take(), finding.as_ref());
        let failure = failure.or_else(|| finding.map(|finding| finding.text));
        handed.demand = told(failure.clone());
        match (verdict, failure) {
            (Some((RemoteOutcome::Failed, _)), Some(why)) => Some(refused(&why)),
            (Some((outcome, answer)), Some(why)) => {
                Some((outcome, RemoteAnswer { text: text(&why), ..answer }))
            }
            (verdict, _) => verdict,
        }
    }
}
