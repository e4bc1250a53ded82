//! The sums of a period and a domain.

use std::net::IpAddr;

use pennypost_model::codec::Versioned;
use pennypost_model::message::cut;
use rustls::CertificateError;
use serde::{Deserialize, Serialize};

/// Policies of a domain that are told apart in a period; one more is not counted.
const MAX_POLICIES: usize = 32;
/// Failures of a policy that are told apart; of more the numbers count alone.
const MAX_FAILURES: usize = 64;
/// Bytes of what is said of a failure.
const MAX_CAUSE: usize = 200;

/// What is wrong with TLS (section 4.3). Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TlsFault {
    /// The server offers none.
    NotSupported,
    /// The certificate is one for other names.
    HostMismatch,
    /// The certificate is too old, or too new.
    Expired,
    /// Nobody whose word counts vouches for the certificate.
    NotTrusted,
    /// Anything else.
    Validation,
    /// What is published of the server can't be proved, nor that there is nothing.
    DnssecInvalid,
}

impl TlsFault {
    pub(crate) fn of(error: &rustls::Error) -> TlsFault {
        let rustls::Error::InvalidCertificate(error) = error else { return TlsFault::Validation };
        match error {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::HostMismatch
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsFault::Expired,
            _ => TlsFault::NotTrusted,
        }
    }

    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            TlsFault::NotSupported => "starttls-not-supported",
            TlsFault::HostMismatch => "certificate-host-mismatch",
            TlsFault::Expired => "certificate-expired",
            TlsFault::NotTrusted => "certificate-not-trusted",
            TlsFault::Validation => "validation-failure",
            TlsFault::DnssecInvalid => "dnssec-invalid",
        }
    }
}

/// Kinds of policies. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PolicyKind {
    /// TLSA records (DANE).
    Tlsa,
    /// A policy of MTA-STS.
    Sts,
    /// There is none.
    None,
}

impl PolicyKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            PolicyKind::Tlsa => "tlsa",
            PolicyKind::Sts => "sts",
            PolicyKind::None => "no-policy-found",
        }
    }
}

/// By what TLS was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub kind: PolicyKind,
    /// Its lines, or the records.
    pub strings: Vec<String>,
    /// The hosts that it names.
    pub hosts: Vec<String>,
}

impl Policy {
    pub(crate) const fn none() -> Policy {
        Policy { kind: PolicyKind::None, strings: Vec::new(), hosts: Vec::new() }
    }
}

/// A conversation that had not the TLS that it should have had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TlsFailure {
    pub fault: TlsFault,
    /// The server.
    pub host: String,
    pub ip: IpAddr,
    /// For people.
    pub cause: String,
}

impl TlsFailure {
    fn is_like(&self, other: &TlsFailure) -> bool {
        (self.fault, &self.host, self.ip) == (other.fault, &other.host, other.ip)
    }
}

/// What came of conversations under a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PolicySums {
    pub policy: Policy,
    pub successes: u64,
    pub failed: u64,
    pub failures: Vec<(TlsFailure, u64)>,
}

/// What came of conversations with the servers of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub policies: Vec<PolicySums>,
}

impl Versioned for Sums {
    const KIND: &'static str = "results of TLS";
}

impl Sums {
    /// One more conversation.
    pub(super) fn add(&mut self, policy: Policy, failure: Option<TlsFailure>) {
        let failures = failure.map(|mut failure| {
            failure.cause.truncate(cut(&failure.cause, MAX_CAUSE).len());
            (failure, 1)
        });
        let failures: Vec<_> = failures.into_iter().collect();
        let failed = failures.len() as u64;
        self.merge(Sums { policies: vec![PolicySums { policy, successes: 1 - failed, failed, failures }] });
    }

    /// One more conversation that there would have been with any of the servers.
    pub(super) fn add_failed(&mut self, policy: Policy) {
        let failed = PolicySums { policy, successes: 0, failed: 1, failures: Vec::new() };
        self.merge(Sums { policies: vec![failed] });
    }

    /// Those of another process.
    pub(super) fn merge(&mut self, other: Sums) {
        for new in other.policies {
            let Some(known) = self.policies.iter_mut().find(|known| known.policy == new.policy) else {
                if self.policies.len() < MAX_POLICIES {
                    self.policies.push(new);
                }
                continue;
            };
            known.successes = known.successes.saturating_add(new.successes);
            known.failed = known.failed.saturating_add(new.failed);
            for (failure, count) in new.failures {
                let has_room = known.failures.len() < MAX_FAILURES;
                match known.failures.iter_mut().find(|(known, _)| known.is_like(&failure)) {
                    Some((_, known)) => *known = known.saturating_add(count),
                    None if has_room => known.failures.push((failure, count)),
                    None => {}
                }
            }
        }
    }
}
