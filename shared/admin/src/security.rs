//! What a tenant wishes of sessions, second factors and confirmation.

use pennypost_directory::SessionLife;
use pennypost_model::TenantId;
use pennypost_model::codec::Versioned;
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::{Authority, Scope};
use crate::call::{About, Call};
use crate::{AdminError, Administration, Invalid};

/// Minutes that sessions last, and may be idle.
const LIFE: std::ops::RangeInclusive<u32> = 15..=90 * 24 * 60;
const LEAST_IDLE: u32 = 5;

/// Of whom a second factor is wished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Required {
    /// Of nobody: whoever wants one sets one up.
    #[default]
    Nobody,
    /// Of whoever may administer anything.
    Administrators,
    /// Of everybody.
    Everybody,
}

impl Required {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Required::Nobody => "nobody",
            Required::Administrators => "administrators",
            Required::Everybody => "everybody",
        }
    }

    /// Is one wished of somebody who may do this?
    pub(crate) fn holds_for(self, authority: &Authority) -> bool {
        match self {
            Required::Nobody => false,
            Required::Administrators => *authority != Authority::default(),
            Required::Everybody => true,
        }
    }
}

/// The rules of a tenant. They hold for sessions that are opened from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityRules {
    /// Minutes without use after which a session is over.
    pub idle_minutes: u32,
    /// Minutes after which it is over in any case.
    pub session_minutes: u32,
    /// Of whom a second factor is wished.
    pub second_factor: Required,
    /// What can't be made undone takes a second administrator (ADM-13).
    pub four_eyes: bool,
}

impl Default for SecurityRules {
    fn default() -> SecurityRules {
        SecurityRules {
            idle_minutes: 2 * 60,
            session_minutes: 7 * 24 * 60,
            second_factor: Required::Nobody,
            four_eyes: false,
        }
    }
}

impl Versioned for SecurityRules {
    const KIND: &'static str = "security rules";
}

impl SecurityRules {
    pub(crate) fn life(&self) -> SessionLife {
        let millis = |minutes: u32| i64::from(minutes) * 60 * 1000;
        SessionLife { idle: millis(self.idle_minutes), whole: millis(self.session_minutes) }
    }

    fn check(&self) -> Result<(), Invalid> {
        let is_good = LIFE.contains(&self.session_minutes)
            && (LEAST_IDLE..=self.session_minutes).contains(&self.idle_minutes);
        if is_good { Ok(()) } else { Err(Invalid::SessionLife) }
    }

    fn summary(&self) -> Value {
        json!({
            "idle_minutes": self.idle_minutes,
            "session_minutes": self.session_minutes,
            "second_factor": self.second_factor.name(),
            "four_eyes": self.four_eyes,
        })
    }
}

fn rules_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "security")
}

impl Administration {
    pub(crate) async fn rules_of(&self, tenant: TenantId) -> Result<SecurityRules, AdminError> {
        Ok(self.read::<SecurityRules>(&rules_key(tenant)).await?.map(|(rules, _)| rules).unwrap_or_default())
    }

    /// The rules of a tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn security_rules(&self, call: &Call, tenant: TenantId) -> Result<SecurityRules, AdminError> {
        call.may(Action::SecurityRead, &Scope::Tenant(tenant))?;
        self.rules_of(tenant).await
    }

    /// The rules of a tenant, for somebody who wants to change them.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn security_rules_for(
        &self,
        call: &Call,
        tenant: TenantId,
    ) -> Result<SecurityRules, AdminError> {
        call.may(Action::SecurityChange, &Scope::Tenant(tenant))?;
        self.rules_of(tenant).await
    }

    /// Changes the rules, if they are still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_security_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &SecurityRules,
        rules: SecurityRules,
    ) -> Result<SecurityRules, AdminError> {
        rules.check()?;
        let about = About::new(Some(tenant), Action::SecurityChange, "security")
            .from(expected.summary())
            .to(rules.summary());
        self.permit_alone(call, &Scope::Tenant(tenant), &about).await?;
        let key = rules_key(tenant);
        let stored = self.read::<SecurityRules>(&key).await?;
        let (held, condition) = match stored {
            Some((held, version)) => (held, Expected::Version(version)),
            None => (SecurityRules::default(), Expected::Absent),
        };
        if held != *expected {
            return Err(AdminError::Changed);
        }
        self.permit_without_second(call, Some(tenant), Action::SecurityChange).await?;
        self.act(call, &about, async {
            let is_written = self.write(&key, &rules, condition).await?;
            if is_written { Ok(rules.clone()) } else { Err(AdminError::Changed) }
        })
        .await
    }
}
