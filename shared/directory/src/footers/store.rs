//! What is said of footers and cards, as it is kept.

use std::collections::BTreeSet;

use pennypost_model::codec::encode;
use pennypost_model::{EventId, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};

use super::{Card, CardNews, FooterFault, FooterProblem, FooterRules, MAX_BYTES, Said, assigned_anew, at};
use crate::store::MAX_ATTEMPTS;
use crate::{DepartmentId, Directory, DirectoryError};

fn key_of(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "footers")
}

impl Said {
    fn check_size(&self) -> Result<(), FooterProblem> {
        if encode(self).len() > MAX_BYTES { Err(at("", FooterFault::TooLarge)) } else { Ok(()) }
    }

    fn named(&self) -> BTreeSet<DepartmentId> {
        let of_cards = self.cards.iter().flat_map(|card| &card.departments);
        self.rules.departments.keys().chain(of_cards).copied().collect()
    }
}

/// Why something is not said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FooterError {
    /// It can't be.
    #[error(transparent)]
    Problem(#[from] FooterProblem),
    /// The directory's.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl Directory {
    pub(super) async fn said_of_footers(
        &self,
        tenant: TenantId,
        consistency: Consistency,
    ) -> Result<Option<Said>, DirectoryError> {
        Ok(self.read::<Said>(&key_of(tenant), consistency).await?.map(|held| held.value))
    }

    /// All that an organisation says of footers and cards.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn footers(&self, tenant: TenantId) -> Result<Said, DirectoryError> {
        Ok(self.said_of_footers(tenant, Consistency::Strong).await?.unwrap_or_default())
    }

    /// Says something else of footers, if what holds is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// [`FooterProblem`]; [`DirectoryError::NoDepartment`] for one that was not named before and is not there; or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn change_footer_rules(
        &self,
        tenant: TenantId,
        expected: &FooterRules,
        rules: &FooterRules,
    ) -> Result<bool, FooterError> {
        rules.check()?;
        let (before, version) = self.stored_footers(tenant).await?;
        if before.rules != *expected {
            return Ok(false);
        }
        let said = Said { rules: rules.clone(), ..before.clone() };
        self.say_footers(tenant, (&before, version), &said).await
    }

    /// Says other cards, if what holds is still as expected; `None` if it is not, else the cards as they are now. Since when each is whose
    /// it is follows from the change, and so do the letters by which members are told.
    ///
    /// # Errors
    /// As for [`Directory::change_footer_rules`].
    #[pennypost_ports::compiled_here]
    pub async fn change_cards(
        &self,
        tenant: TenantId,
        expected: &[Card],
        cards: Vec<Card>,
    ) -> Result<Option<Vec<Card>>, FooterError> {
        super::check_cards(&cards)?;
        let (before, version) = self.stored_footers(tenant).await?;
        if before.cards != expected {
            return Ok(None);
        }
        let now = self.now();
        let (cards, news) = assigned_anew(&before.cards, cards, now, || self.ids.event(now));
        let said = Said {
            cards: cards.clone(),
            news: before.news.iter().cloned().chain(news).collect(),
            ..before.clone()
        };
        let is_said = self.say_footers(tenant, (&before, version), &said).await?;
        Ok(is_said.then_some(cards))
    }

    /// Members have been told of that.
    ///
    /// # Errors
    /// [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn told_of_card(&self, tenant: TenantId, letter: EventId) -> Result<(), DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let (mut said, version) = self.stored_footers(tenant).await?;
            let is_told = |news: &CardNews| news.letter == letter;
            if !said.news.iter().any(is_told) {
                return Ok(());
            }
            said.news.retain(|news| !is_told(news));
            if self.write(&key_of(tenant), &said, version).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    async fn stored_footers(&self, tenant: TenantId) -> Result<(Said, Expected), DirectoryError> {
        let held = self.read::<Said>(&key_of(tenant), Consistency::Strong).await?;
        Ok(held.map_or((Said::default(), Expected::Absent), |held| {
            (held.value, Expected::Version(held.version))
        }))
    }

    async fn say_footers(
        &self,
        tenant: TenantId,
        (before, version): (&Said, Expected),
        said: &Said,
    ) -> Result<bool, FooterError> {
        said.check_size()?;
        if before == said {
            return Ok(true);
        }
        let known = before.named();
        let fresh: Vec<DepartmentId> = said.named().difference(&known).copied().collect();
        if !fresh.is_empty() {
            let tree = self.departments(tenant).await?;
            if let Some(missing) = fresh.into_iter().find(|id| !tree.holds(*id)) {
                return Err(DirectoryError::NoDepartment(format!("#{missing}")).into());
            }
        }
        // Whoever hands a letter in knows by that that there is something to be read.
        let stored = self.tenant(tenant).await?;
        let stored = stored.ok_or_else(|| DirectoryError::NoTenant(tenant.to_string()))?;
        if !stored.has_footers {
            self.change_tenant(tenant, |tenant| tenant.has_footers = true).await?;
        }
        Ok(self.write(&key_of(tenant), said, version).await?.is_some())
    }
}
