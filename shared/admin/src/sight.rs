//! Which accounts an actor sees, where many are asked for one after the other.

use std::collections::HashMap;

use pennypost_directory::{Account, MAX_PAGE, Page};
use pennypost_model::{AccountId, AccountKey, TenantId};

use crate::accounts::Places;
use crate::action::Action;
use crate::authorise::{Authority, Decision, Scope, authorise};
use crate::call::Call;
use crate::{AdminError, Administration};

/// Which accounts of a tenant an actor may do something to. Accounts are looked up for those only who do not reach all.
pub(crate) struct Sight<'a> {
    administration: &'a Administration,
    call: &'a Call,
    action: Action,
    tenant: TenantId,
    places: Places,
    /// Does the actor see all there is?
    sees_all: bool,
    known: HashMap<AccountId, bool>,
    /// Were all of the tenant looked up?
    is_complete: bool,
}

/// Accounts that are looked up by themselves; then all are.
const ONE_BY_ONE: usize = 100;

impl<'a> Sight<'a> {
    /// If the actor may do it to any account of the tenant.
    pub(crate) async fn new(
        administration: &'a Administration,
        call: &'a Call,
        action: Action,
        tenant: TenantId,
    ) -> Result<Sight<'a>, AdminError> {
        call.may(action, &Scope::SomeAccount(tenant))?;
        let places = administration.places(call, tenant).await?;
        let nobody = AccountKey { tenant, account: AccountId(0) };
        let authority = Authority::default();
        // Of what lies in no department: whoever reaches only some does not reach it.
        let scope = Scope::Account { key: nobody, departments: &[], authority: &authority };
        let sees_all = authorise(&call.actor, action, &scope) == Decision::Allow;
        Ok(Sight {
            administration,
            call,
            action,
            tenant,
            places,
            sees_all,
            known: HashMap::new(),
            is_complete: false,
        })
    }

    /// Does the actor see what is nobody's, too?
    pub(crate) const fn sees_all(&self) -> bool {
        self.sees_all
    }

    /// Looks all accounts of the tenant up, page by page, if they have to be looked up: many are going to be asked for.
    pub(crate) async fn look_up_all(&mut self) -> Result<(), AdminError> {
        let mut page = Page { after: None, limit: MAX_PAGE };
        while !self.sees_all {
            let listed = self.administration.directory().accounts(self.tenant, &page).await?;
            for account in &listed.items {
                let is_seen = self.is_within(account);
                self.known.insert(account.key.account, is_seen);
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
        self.is_complete = true;
        Ok(())
    }

    fn is_within(&self, account: &Account) -> bool {
        let (authority, departments) = (Authority::default(), self.places.of(&account.departments));
        let scope = Scope::Account { key: account.key, departments: &departments, authority: &authority };
        authorise(&self.call.actor, self.action, &scope) == Decision::Allow
    }

    /// Does the actor see this account? One that is gone is seen by those only who see all.
    pub(crate) async fn sees(&mut self, key: AccountKey) -> Result<bool, AdminError> {
        if self.sees_all || key.tenant != self.tenant {
            return Ok(key.tenant == self.tenant);
        }
        if let Some(known) = self.known.get(&key.account) {
            return Ok(*known);
        }
        if self.is_complete {
            return Ok(false);
        }
        if self.known.len() >= ONE_BY_ONE {
            self.look_up_all().await?;
            return Ok(self.known.get(&key.account).copied().unwrap_or(false));
        }
        let account = self.administration.directory().account(key).await?;
        let is_seen = account.is_some_and(|account| self.is_within(&account));
        self.known.insert(key.account, is_seen);
        Ok(is_seen)
    }
}
