//! What `serve` lets people do who have no tenant yet.

use pennypost_admin::{SignUpEdition, SignUpSettings};
use pennypost_directory::{DomainName, MailAddress};
use serde::Deserialize;

/// Trial domains.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "TrialTable")]
pub struct Trials {
    /// Below what they are.
    pub domain: DomainName,
}

/// The same as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrialTable {
    domain: String,
}

impl TryFrom<TrialTable> for Trials {
    type Error = String;

    fn try_from(table: TrialTable) -> Result<Trials, String> {
        let domain = DomainName::parse(&table.domain).map_err(|error| error.to_string())?;
        Ok(Trials { domain })
    }
}

/// Who opens a tenant by himself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignUps {
    /// May anybody?
    pub enabled: bool,
    /// A mailbox here, in whose matter letters with codes go out, and with whose organisation messages are counted.
    pub mailbox: String,
    /// The editions that are offered.
    pub editions: Vec<SignUpEdition>,
    /// How many begin on a day.
    pub most_per_day: u32,
}

impl Default for SignUps {
    fn default() -> SignUps {
        let (mailbox, editions) = (String::new(), vec![SignUpEdition::Basic]);
        SignUps { enabled: false, mailbox, editions, most_per_day: 100 }
    }
}

impl SignUps {
    /// What is offered; `None`: nothing.
    ///
    /// # Errors
    /// What is missing, or can't be.
    pub fn settings(&self) -> Result<Option<SignUpSettings>, String> {
        if !self.enabled {
            return Ok(None);
        }
        let mailbox = MailAddress::parse(&self.mailbox).map_err(|error| format!("mailbox: {error}"))?;
        if self.editions.is_empty() {
            return Err("editions: none is offered".to_owned());
        }
        let (mailbox, editions) = (mailbox.to_string(), self.editions.clone());
        Ok(Some(SignUpSettings { mailbox, editions, most_per_day: self.most_per_day }))
    }
}
