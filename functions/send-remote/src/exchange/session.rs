//! What became of TLS with a server, and how that is counted for the report to its domain (RFC 8460).

use super::demand::Demand;
use super::route::Hop;
use super::tls::Finding;
use super::{Exchange, Parcel};
use crate::tlsrpt::{Policy, Tally, TlsFailure, TlsFault};

/// What became of TLS in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Session {
    Private,
    Failed(Finding),
}

impl Session {
    pub(super) fn failed(fault: TlsFault, text: &str) -> Session {
        Session::Failed(Finding { fault, text: text.to_owned() })
    }
}

impl Exchange {
    /// Counts what became of TLS with a server, for the report to its domain. What goes by a smart host says nothing of it.
    pub(super) fn count(
        &self,
        (hop, parcel): (&Hop, &Parcel<'_>),
        demand: Option<&Demand>,
        session: Option<Session>,
        complaint: Option<&Finding>,
    ) {
        let Some((tally, session)) = self.tally_of(parcel).zip(session) else { return };
        let policy = demand.map_or_else(|| Some(Policy::none()), |demand| demand.policy(&hop.host));
        let Some(policy) = policy else { return };
        let finding = match &session {
            Session::Private => complaint,
            Session::Failed(finding) => Some(finding),
        };
        let failure = finding.map(|Finding { fault, text }| TlsFailure {
            fault: *fault,
            host: hop.host.clone(),
            ip: hop.address.ip(),
            cause: text.clone(),
        });
        tally.note(parcel.destination, policy, failure);
    }

    /// Counts that the policy names no server of the domain, so that none is called: there is none to tell of.
    pub(super) fn count_uncalled(&self, parcel: &Parcel<'_>, demand: Option<&Demand>) {
        let policy = demand.and_then(|demand| demand.policy(parcel.destination));
        if let Some((tally, policy)) = self.tally_of(parcel).zip(policy) {
            tally.note_uncalled(parcel.destination, policy);
        }
    }

    /// Where a parcel is counted.
    fn tally_of(&self, parcel: &Parcel<'_>) -> Option<&Tally> {
        let is_told = self.smart_host(parcel).is_none() && !parcel.ignores_policies;
        self.tally.as_deref().filter(|_| is_told)
    }
}
