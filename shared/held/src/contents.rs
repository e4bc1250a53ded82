//! What rules of an organisation say of what stands in letters that go later (decision 0059).

use std::sync::Arc;

use pennypost_directory::content::{ContentFilter, ContentVerdict};
use pennypost_directory::{content_letter, look_into};
use pennypost_mailstore::{StoreError, compress};
use pennypost_model::event::{Accepted, Via};
use pennypost_model::{AccountId, AccountKey};

use crate::{Held, HeldError, Releaser};

impl Releaser {
    /// The rules about what stands in the letters of an account, where that member perhaps uses it. To be asked for where its
    /// organisation has any ([`crate::Judgement::Go`]).
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn content_filter(
        &self,
        account: AccountKey,
        user: Option<AccountId>,
    ) -> Result<Arc<ContentFilter>, HeldError> {
        let directory = &self.ports.directory;
        let Some(found) = directory.account(account).await? else { return Ok(Arc::default()) };
        let user = match user {
            Some(user) => directory.mailbox_user(user, account).await?,
            None => None,
        };
        Ok(directory.content_filter(&found, user.as_ref()).await?)
    }

    /// What rules say of what stands in a letter; `None` if its bytes are gone or damaged. Where it can't be looked at, that is an
    /// error, and it waits.
    pub(crate) async fn contents(
        &self,
        letter: &Held,
        filter: Arc<ContentFilter>,
    ) -> Result<Option<ContentVerdict>, HeldError> {
        let outside = outside(&letter.accepted);
        if filter.is_nothing_for(outside > 0) {
            return Ok(Some(ContentVerdict::default()));
        }
        let _alone = self.alone(letter).await;
        let Some(stored) = self.stored(letter).await? else { return Ok(None) };
        let asked = look_into(letter.sender.0.tenant, move || {
            let raw = compress::decompress(&stored)?;
            Ok::<_, StoreError>(filter.judge(&content_letter(&raw, outside)))
        });
        // The letter itself may be whole: whoever mends what failed lets it go.
        let asked = asked.await.map_err(|error| StoreError::Damaged(error.to_string()))?;
        match asked {
            Ok(verdict) => Ok(Some(verdict)),
            Err(error) => {
                tracing::error!(letter = %letter.id(), %error, "a letter that waits is damaged");
                Ok(None)
            }
        }
    }
}

/// Recipients outside the organisation, those elsewhere of groups among them.
fn outside(accepted: &Accepted) -> usize {
    let direct = accepted.recipients.iter().filter(|one| one.via == Via::Outside).count();
    let elsewhere = accepted.source.kind.groups().iter().map(|group| group.members.len());
    direct + elsewhere.sum::<usize>()
}
