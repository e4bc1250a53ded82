//! The policy for TLS that this post office publishes for a domain (MTA-STS: RFC 8461 section 3.2).

use pennypost_model::codec::Versioned;
use serde::{Deserialize, Serialize};

use crate::Service;

/// What senders do where mail can't be brought over TLS to a host with a valid certificate. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsMode {
    /// There is no policy any more: what they remember of one ends (section 8.3).
    None,
    /// They bring it all the same, and report it.
    Testing,
    /// They do not bring it.
    Enforce,
}

impl TlsMode {
    /// Every one.
    pub const ALL: [TlsMode; 3] = [TlsMode::None, TlsMode::Testing, TlsMode::Enforce];

    /// Its name, as the policy has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TlsMode::None => "none",
            TlsMode::Testing => "testing",
            TlsMode::Enforce => "enforce",
        }
    }
}

/// The policy of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsPolicy {
    /// What senders do.
    pub mode: TlsMode,
    /// Seconds for which they remember it: a day to 31,557,600, a year.
    pub max_age: u32,
}

impl Versioned for TlsPolicy {
    const KIND: &'static str = "policy for TLS";
}

/// A policy that can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a policy for TLS is remembered for 86400 to 31557600 seconds")]
pub struct BadTlsPolicy;

impl TlsPolicy {
    /// Can it be?
    ///
    /// # Errors
    /// [`BadTlsPolicy`].
    pub fn check(&self) -> Result<(), BadTlsPolicy> {
        if (86_400..=31_557_600).contains(&self.max_age) { Ok(()) } else { Err(BadTlsPolicy) }
    }

    /// As it is served at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`.
    #[must_use]
    pub fn text(&self, service: &Service) -> String {
        let TlsPolicy { mode, max_age } = self;
        let mut text = format!("version: STSv1\r\nmode: {}\r\n", mode.name());
        if *mode != TlsMode::None {
            for mx in &service.mx {
                text.push_str(&format!("mx: {}\r\n", mx.host));
            }
        }
        text.push_str(&format!("max_age: {max_age}\r\n"));
        text
    }

    /// The name of this policy in the record of the domain: another one with each other text, so that senders fetch it.
    #[must_use]
    pub fn id(&self, service: &Service) -> String {
        // FNV-1a, 64 bits.
        let step = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        format!("{:016x}", self.text(service).bytes().fold(0xcbf2_9ce4_8422_2325, step))
    }
}
