//! What becomes of the recycle bin by itself (ORG-23): accounts whose time is over are erased with their mail.

use pennypost_directory::{Account, DirectoryError, Erased, Listed, Page};
use pennypost_model::{TenantId, Timestamp};
use serde_json::json;

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::Call;
use crate::operations::{By, Entry, Origin, Outcome};
use crate::{AdminError, Administration, Mail, Worked};

impl Administration {
    /// Accounts that were erased within the last 180 days: what the recycle bin still tells of them.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn erased_accounts(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Erased>, AdminError> {
        // In which departments they were is not known any more: that is for who sees all.
        call.may(Action::AccountErasedRead, &Scope::Tenant(tenant))?;
        Ok(self.directory.erased(tenant, page).await?)
    }

    /// Erases accounts whose time in the recycle bin is over, with their mail, until `until` has passed; and forgets what is
    /// told of those that were erased long ago. What waits for a backup waits here, too. An account that can't be erased
    /// keeps no other from it.
    ///
    /// # Errors
    /// [`AdminError`]: the first temporary one, for another try. What could be erased is erased.
    #[pennypost_ports::compiled_here]
    pub async fn empty_recycle_bin(&self, tenant: TenantId, until: Timestamp) -> Result<Worked, AdminError> {
        let Some(mail) = &self.mail else { return Ok(Worked::Over) };
        self.directory.forget_erased(tenant).await?;
        let waiting = self.waiting_for_backup(tenant).await?;
        let mut page = Page::default();
        let mut failed = None;
        loop {
            let Listed { items, next } = self.directory.binned(tenant, &page).await?;
            let now = self.clock.now();
            let is_over = |account: &Account| account.binned.is_some_and(|binned| binned.is_over(now));
            for account in items.iter().filter(|account| is_over(account)) {
                if waiting.contains(&account.key.account) {
                    continue;
                }
                match self.erase_with_mail(&**mail, account, until).await {
                    Ok(Worked::More) => return Ok(Worked::More),
                    Ok(Worked::Over) => {}
                    Err(error) if error.is_temporary() => {
                        tracing::warn!(account = %account.key, %error, "an account can't be erased yet");
                        failed.get_or_insert(error);
                    }
                    Err(error) => {
                        tracing::error!(account = %account.key, %error, "an account can't be erased");
                    }
                }
            }
            let Some(next) = next else { return failed.map_or(Ok(Worked::Over), Err) };
            page.after = Some(next);
        }
    }

    /// From the beginning of it nothing leads out of the bin. Then the mail: what is cut off is still found in the bin.
    async fn erase_with_mail(
        &self,
        mail: &dyn Mail,
        account: &Account,
        until: Timestamp,
    ) -> Result<Worked, AdminError> {
        if self.clock.now() >= until {
            return Ok(Worked::More);
        }
        // Of what somebody has ordered, or was begun before, the log tells already.
        if !account.binned.is_some_and(|binned| binned.is_being_erased()) {
            self.record_erasing(account).await?;
        }
        match self.directory.begin_erasing(account.key).await {
            // Restored, or gone, since it was listed.
            Err(DirectoryError::NotInBin(_) | DirectoryError::NoAccount(_)) => return Ok(Worked::Over),
            begun => begun?,
        }
        loop {
            if self.clock.now() >= until {
                return Ok(Worked::More);
            }
            if !mail.erase_some(account.key).await? {
                break;
            }
        }
        self.directory.erase_account(account.key).await?;
        Ok(Worked::Over)
    }

    async fn record_erasing(&self, account: &Account) -> Result<(), AdminError> {
        let entry = Entry {
            by: By::Schedule,
            origin: Origin::Schedule,
            action: Action::AccountErase.name().to_owned(),
            object: account.address.to_string(),
            before: None,
            after: Some(json!({}).to_string()),
            outcome: Outcome::Ordered,
        };
        self.append(Some(account.key.tenant), entry).await.map(drop)
    }
}
