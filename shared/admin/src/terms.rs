//! The terms of service (TEN-08): versions that the operator keeps, and who of a tenant has accepted which.
//!
//! `installation/terms` holds the versions by number, each written once and never changed: what was accepted stays readable.
//! `T/terms-accepted` holds what was accepted, by version and person, with the digest of the text.

use pennypost_directory::{Listed, MAX_PAGE, Page};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::{By, Origin};
use crate::store::MAX_ATTEMPTS;
use crate::{AdminError, Administration, Invalid};

/// Bytes of a version.
pub const MAX_TERMS: usize = 100_000;
/// Characters of a title.
const MAX_TITLE: usize = 200;
/// Versions that there may be.
const MAX_VERSIONS: usize = 500;

/// A version of the terms of service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// 1, 2, …: the highest is what holds.
    pub number: u32,
    /// What it is called.
    pub title: String,
    /// The text.
    pub text: String,
    /// Since when it holds.
    pub published: Timestamp,
}

impl Versioned for Terms {
    const KIND: &'static str = "terms of service";
}

impl Terms {
    /// SHA-256 of the text, in hex digits.
    #[must_use]
    pub fn digest(&self) -> String {
        Sha256::digest(&self.text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// That somebody has accepted a version for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// Which version.
    pub number: u32,
    /// SHA-256 of its text, in hex digits.
    pub sha256: String,
    /// Who.
    pub by: By,
    /// From where.
    pub origin: Origin,
    /// When.
    pub at: Timestamp,
}

impl Versioned for Acceptance {
    const KIND: &'static str = "acceptance of terms";
}

fn terms_key(number: u32) -> ControlKey {
    ControlKey::new("installation/terms".to_owned(), format!("{number:08}"))
}

fn acceptances(tenant: TenantId) -> String {
    format!("{tenant}/terms-accepted")
}

impl Administration {
    async fn all_terms(&self) -> Result<Vec<Terms>, AdminError> {
        let page = Page { after: None, limit: MAX_PAGE };
        let items = self.list::<Terms>("installation/terms", &page).await?.items;
        Ok(items.into_iter().map(|(_, terms)| terms).collect())
    }

    /// The version that holds.
    pub(crate) async fn last_terms(&self) -> Result<Option<Terms>, AdminError> {
        Ok(self.all_terms().await?.pop())
    }

    /// Keeps what somebody has accepted who has opened a tenant. Once is enough.
    pub(crate) async fn keep_acceptance(
        &self,
        account: AccountKey,
        acceptance: &Acceptance,
    ) -> Result<(), AdminError> {
        let sort = format!("{:08}/{}", acceptance.number, account.account);
        let key = ControlKey::new(acceptances(account.tenant), sort);
        self.write(&key, acceptance, Expected::Absent).await.map(drop)
    }

    /// Publishes a version: it holds from now on.
    ///
    /// # Errors
    /// [`Invalid::Name`] for a title that can't be, [`Invalid::Terms`] for a text that is empty or too long; or others of
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn publish_terms(&self, call: &Call, title: &str, text: &str) -> Result<Terms, AdminError> {
        let title = title.trim();
        let is_title =
            (1..=MAX_TITLE).contains(&title.chars().count()) && !title.chars().any(char::is_control);
        let about = About::new(None, Action::TermsPublish, title);
        self.permit(call, &Scope::Installation, &about).await?;
        if !is_title {
            return Err(Invalid::Name { limit: MAX_TITLE }.into());
        }
        if text.trim().is_empty() || text.len() > MAX_TERMS {
            return Err(Invalid::Terms { limit: MAX_TERMS }.into());
        }
        let (title, text) = (title.to_owned(), text.to_owned());
        let mut terms = Terms { number: 0, title: title.clone(), text, published: self.clock.now() };
        let about = About { object: &title, ..about }.to(json!({ "sha256": terms.digest() }));
        self.act(call, &about, async {
            for _ in 0..MAX_ATTEMPTS {
                let known = self.all_terms().await?;
                if known.len() >= MAX_VERSIONS {
                    return Err(AdminError::from(Invalid::TooMany { limit: MAX_VERSIONS }));
                }
                terms.number = known.last().map_or(1, |last| last.number + 1);
                if self.write(&terms_key(terms.number), &terms, Expected::Absent).await? {
                    return Ok(());
                }
            }
            Err(AdminError::Changed)
        })
        .await?;
        Ok(terms)
    }

    /// All versions, the first one first, for the operator.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn published_terms(&self, call: &Call) -> Result<Vec<Terms>, AdminError> {
        call.may(Action::TermsManage, &Scope::Installation)?;
        self.all_terms().await
    }

    /// All versions, the first one first, for a tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn terms(&self, call: &Call, tenant: TenantId) -> Result<Vec<Terms>, AdminError> {
        call.may(Action::TermsRead, &Scope::Tenant(tenant))?;
        self.all_terms().await
    }

    /// Accepts the version that holds for the tenant: `number` is what was read.
    ///
    /// # Errors
    /// [`AdminError::Changed`] if another version holds by now; or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn accept_terms(
        &self,
        call: &Call,
        tenant: TenantId,
        number: u32,
    ) -> Result<Acceptance, AdminError> {
        let object = format!("terms of service {number}");
        let about = About::new(Some(tenant), Action::TermsAccept, &object);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let last = self.all_terms().await?.pop().ok_or(AdminError::NotFound("terms"))?;
        if number == 0 || number > last.number {
            return Err(AdminError::NotFound("terms"));
        }
        if number < last.number {
            return Err(AdminError::Changed);
        }
        let by = By::of(&call.actor);
        let who = match &by {
            By::Session { account, .. } | By::Person { account, .. } => account.account.to_string(),
            // An operator accepts nothing in a tenant's place, nor does a program.
            _ => return Err(AdminError::Denied(crate::Why::NoPermission)),
        };
        let acceptance =
            Acceptance { number, sha256: last.digest(), by, origin: call.origin, at: self.clock.now() };
        let key = ControlKey::new(acceptances(tenant), format!("{number:08}/{who}"));
        let about = about.to(json!({ "sha256": acceptance.sha256 }));
        let is_first =
            self.act(call, &about, async { self.write(&key, &acceptance, Expected::Absent).await }).await?;
        if is_first {
            return Ok(acceptance);
        }
        // Once is enough: the first time counts.
        Ok(self.read::<Acceptance>(&key).await?.map_or(acceptance, |(first, _)| first))
    }

    /// Who has accepted what, the first version first.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn accepted_terms(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Acceptance>, AdminError> {
        call.may(Action::TermsRead, &Scope::Tenant(tenant))?;
        let Listed { items, next } = self.list::<Acceptance>(&acceptances(tenant), page).await?;
        Ok(Listed { items: items.into_iter().map(|(_, acceptance)| acceptance).collect(), next })
    }
}
