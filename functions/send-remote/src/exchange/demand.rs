//! Who asks for TLS with a certificate that holds.

use std::fmt;
use std::sync::Arc;

use pennypost_domains::{PublishedPolicy, TlsMode};
use pennypost_model::trace::{TlsDemand, TlsReason};

use super::dane::Dane;
use crate::tlsrpt::{Policy, PolicyKind};

/// What a smart host wants to know before it takes anything. Told to nobody else, nor shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A demand on the way to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Demand {
    /// The smart host gets a password, or speaks nothing but TLS.
    SmartHost,
    /// The domain's policy.
    Policy(PublishedPolicy),
    /// What is published of the server; it goes before the domain's policy (RFC 8461 section 2).
    Dane(Arc<Dane>),
    /// What is published of the server can't be known at present.
    UnknownDane,
}

impl Demand {
    /// Is nothing sent without it?
    pub(super) fn is_enforced(&self) -> bool {
        match self {
            Demand::SmartHost | Demand::Dane(_) | Demand::UnknownDane => true,
            Demand::Policy(policy) => policy.mode == TlsMode::Enforce,
        }
    }

    /// May that host take the mail?
    pub(super) fn names(&self, host: &str) -> bool {
        match self {
            Demand::SmartHost | Demand::Dane(_) | Demand::UnknownDane => true,
            Demand::Policy(policy) => policy.names(host),
        }
    }

    /// Are hosts left out that it does not name?
    pub(super) fn leaves_out(&self, host: &str) -> bool {
        self.is_enforced() && !self.names(host)
    }

    /// Who asks, as answers name it.
    pub(super) const fn who(&self) -> &'static str {
        match self {
            Demand::SmartHost => "the smart host",
            Demand::Policy(_) => "the domain's policy (MTA-STS)",
            Demand::Dane(_) | Demand::UnknownDane => "DANE",
        }
    }

    /// What came of it, for the trace.
    pub(super) fn told(&self, failure: Option<String>) -> TlsDemand {
        let reason = match self {
            Demand::SmartHost => TlsReason::SmartHost,
            Demand::Policy(_) => TlsReason::MtaSts,
            Demand::Dane(_) | Demand::UnknownDane => TlsReason::Dane,
        };
        TlsDemand { reason, is_enforced: self.is_enforced(), failure }
    }

    /// As reports of TLS name it; none, where it is nobody's policy.
    pub(super) fn policy(&self, host: &str) -> Option<Policy> {
        let of_host = |strings| Policy { kind: PolicyKind::Tlsa, strings, hosts: vec![host.to_owned()] };
        match self {
            Demand::SmartHost => None,
            Demand::Policy(policy) => {
                let mut strings = vec!["version: STSv1".to_owned(), format!("mode: {}", policy.mode.name())];
                strings.extend(policy.hosts.iter().map(|host| format!("mx: {host}")));
                strings.push(format!("max_age: {}", policy.max_age));
                Some(Policy { kind: PolicyKind::Sts, strings, hosts: policy.hosts.clone() })
            }
            Demand::Dane(dane) => Some(of_host(dane.shown())),
            Demand::UnknownDane => Some(of_host(Vec::new())),
        }
    }
}
