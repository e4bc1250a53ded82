//! Which card a member has chosen (SND-10): `T/card-choices`/`A`.

use pennypost_model::AccountKey;
use pennypost_model::codec::Versioned;
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use super::Card;
use crate::store::{MAX_ATTEMPTS, fold_name};
use crate::{Directory, DirectoryError};

/// A card that a member has chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardChoice {
    /// Its name.
    pub card: String,
    /// It stands in all of his letters; else it is only chosen.
    pub always: bool,
}

impl CardChoice {
    /// Is it that card?
    #[must_use]
    pub fn is_of(&self, card: &Card) -> bool {
        fold_name(&self.card) == fold_name(&card.name)
    }
}

impl Versioned for CardChoice {
    const KIND: &'static str = "chosen card";
}

fn key_of(account: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/card-choices", account.tenant), account.account.to_string())
}

impl Directory {
    pub(super) async fn card_choice(
        &self,
        account: AccountKey,
        consistency: Consistency,
    ) -> Result<Option<CardChoice>, DirectoryError> {
        Ok(self.read::<CardChoice>(&key_of(account), consistency).await?.map(|held| held.value))
    }

    /// Chooses a card, or none. Whether it is offered is asked before.
    ///
    /// # Errors
    /// [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn choose_card(
        &self,
        account: AccountKey,
        choice: Option<CardChoice>,
    ) -> Result<(), DirectoryError> {
        let key = key_of(account);
        let Some(choice) = choice else { return self.erase(&key).await };
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<CardChoice>(&key, Consistency::Strong).await?;
            let version = held.map_or(Expected::Absent, |held| Expected::Version(held.version));
            if self.write(&key, &choice, version).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Forgets what somebody has chosen who has the account no more.
    pub(crate) async fn forget_card_choice(&self, account: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&key_of(account)).await
    }
}
