//! Who asks for TLS with a certificate that holds.

use std::fmt;

use pennypost_domains::{PublishedPolicy, TlsMode};
use pennypost_model::trace::{TlsDemand, TlsReason};

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
}

impl Demand {
    /// Is nothing sent without it?
    pub(super) fn is_enforced(&self) -> bool {
        match self {
            Demand::SmartHost => true,
            Demand::Policy(policy) => policy.mode == TlsMode::Enforce,
        }
    }

    /// May that host take the mail?
    pub(super) fn names(&self, host: &str) -> bool {
        match self {
            Demand::SmartHost => true,
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
        }
    }

    /// What came of it, for the trace.
    pub(super) fn told(&self, failure: Option<String>) -> TlsDemand {
        let reason = match self {
            Demand::SmartHost => TlsReason::SmartHost,
            Demand::Policy(_) => TlsReason::MtaSts,
        };
        TlsDemand { reason, is_enforced: self.is_enforced(), failure }
    }
}
