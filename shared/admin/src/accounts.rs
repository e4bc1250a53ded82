//! Accounts, their passwords, tokens, and what they say about mail programs.

use pennypost_directory::{
    Account, AccountState, ClientSettings, DepartmentId, DepartmentTree, DirectoryError, Domain, Listed,
    MAX_DEPARTMENT_LEVELS, MailAddress, Page, Token, TokenId, TokenScope,
};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::{Actor, Authority, Decision, Reach, Scope, authorise};
use crate::call::{About, Call};
use crate::tenants::clients;
use crate::{AdminError, Administration, Invalid};

/// An account that is wished for.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its address, in a domain of the tenant.
    pub address: String,
    /// Its password.
    pub password: String,
    /// The name of its owner; may be empty.
    pub display_name: String,
    /// Bytes that it may hold; `None`: what the plan, or the directory, gives without a word.
    pub quota_bytes: Option<u64>,
    /// The departments that its owner is in, the main one first; none: directly in the organisation.
    pub departments: Vec<DepartmentId>,
}

/// What is to be different about an account; `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Bytes that it may hold; `Some(None)`: what the plan gives.
    pub quota_bytes: Option<Option<u64>>,
    /// May it be used?
    pub state: Option<AccountState>,
}

/// A token that is wished for.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What its owner calls it.
    pub name: String,
    /// What it is to open.
    pub scope: TokenScope,
    /// From when on it is to be worth nothing.
    pub expires: Option<Timestamp>,
}

/// Where the departments of accounts lie, if the actor is somebody who reaches only some of them.
pub(crate) struct Places(Option<DepartmentTree>);

impl Places {
    pub(crate) const fn with(tree: DepartmentTree) -> Places {
        Places(Some(tree))
    }

    /// Departments and all above them, up to the organisation itself.
    pub(crate) fn of(&self, departments: &[DepartmentId]) -> Vec<DepartmentId> {
        let mut found = vec![DepartmentId::ROOT];
        let Some(tree) = &self.0 else { return found };
        for department in departments {
            let mut next = *department;
            for _ in 0..MAX_DEPARTMENT_LEVELS {
                let Some(stored) = tree.department(next) else { break };
                found.push(next);
                next = stored.parent;
            }
        }
        found
    }
}

pub(crate) const fn state_name(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::Disabled => "disabled",
    }
}

fn shown(quota_bytes: Option<u64>, state: AccountState) -> Value {
    json!({ "quota_bytes": quota_bytes, "state": state_name(state) })
}

impl Administration {
    /// Accounts of a tenant that the actor may see, in no order that means anything.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn accounts(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Account>, AdminError> {
        call.may(Action::AccountRead, &Scope::SomeAccount(tenant))?;
        let Listed { items, next } = self.directory.accounts(tenant, page).await?;
        let places = self.places(call, tenant).await?;
        let items = items.into_iter().filter(|account| may_see(call, account, &places)).collect();
        Ok(Listed { items, next })
    }

    /// The account of the tenant at an address, if there is one that the actor may see.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn account_at(
        &self,
        call: &Call,
        tenant: TenantId,
        address: &str,
    ) -> Result<Option<Account>, AdminError> {
        call.may(Action::AccountRead, &Scope::SomeAccount(tenant))?;
        let found = match self.directory.account_at(address).await {
            Ok(found) => found,
            Err(DirectoryError::Address(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let places = self.places(call, tenant).await?;
        Ok(found.filter(|account| account.key.tenant == tenant && may_see(call, account, &places)))
    }

    /// An account.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn account(&self, call: &Call, key: AccountKey) -> Result<Account, AdminError> {
        let (account, _) = self.seen(call, Action::AccountRead, key).await?;
        Ok(account)
    }

    /// An account to which the actor wants to do something.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn account_for(
        &self,
        action: Action,
        call: &Call,
        key: AccountKey,
    ) -> Result<Account, AdminError> {
        let object = key.account.to_string();
        self.permitted(call, &About::new(Some(key.tenant), action, &object), key).await
    }

    /// The account, if the actor may look at it by this action.
    pub(crate) async fn seen(
        &self,
        call: &Call,
        action: Action,
        key: AccountKey,
    ) -> Result<(Account, Authority), AdminError> {
        call.may(action, &Scope::SomeAccount(key.tenant))?;
        let account = self.stored_account(key).await?;
        let authority = Authority::default();
        let departments = self.places(call, key.tenant).await?.of(&account.departments);
        call.may(action, &Scope::Account { key, departments: &departments, authority: &authority })?;
        Ok((account, authority))
    }

    pub(crate) async fn stored_account(&self, key: AccountKey) -> Result<Account, AdminError> {
        self.directory.account(key).await?.ok_or(AdminError::NotFound("account"))
    }

    /// The account, if the actor may do this to it.
    pub(crate) async fn permitted(
        &self,
        call: &Call,
        about: &About<'_>,
        key: AccountKey,
    ) -> Result<Account, AdminError> {
        self.permit_alone(call, &Scope::SomeAccount(key.tenant), about).await?;
        let account = self.stored_account(key).await?;
        let authority = self.authority(key).await?;
        let departments = self.places(call, key.tenant).await?.of(&account.departments);
        let address = account.address.to_string();
        // The log tells addresses, which the actor has perhaps not said.
        let about = About { object: &address, before: None, after: None, ..*about };
        let scope = Scope::Account { key, departments: &departments, authority: &authority };
        self.permit(call, &scope, &about).await?;
        Ok(account)
    }

    /// Adds an account to a domain of the tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_account(
        &self,
        call: &Call,
        tenant: TenantId,
        new: &NewAccount,
    ) -> Result<Account, AdminError> {
        let address =
            MailAddress::parse(&new.address).map_or_else(|_| new.address.clone(), |it| it.to_string());
        let about = About::new(Some(tenant), Action::AccountAdd, &address).to(json!({
            "display_name": new.display_name, "quota_bytes": new.quota_bytes, "departments": new.departments,
        }));
        self.permit_new(call, tenant, &new.departments, &about).await?;
        let domain = self.own_domain(tenant, &new.address).await?;
        self.check_lock(tenant, &domain).await?;
        let wished = pennypost_directory::NewAccount {
            address: &new.address,
            password: Some(&new.password),
            display_name: &new.display_name,
            quota_bytes: new.quota_bytes,
            departments: &new.departments,
            ..pennypost_directory::NewAccount::default()
        };
        // What can be known before is no operation.
        self.directory.check_new(tenant, &wished).await?;
        self.act(call, &about, self.directory.add_account_with(&wished)).await
    }

    /// May the actor add an account in these departments? In several it takes somebody who reaches each.
    pub(crate) async fn permit_new(
        &self,
        call: &Call,
        tenant: TenantId,
        departments: &[DepartmentId],
        about: &About<'_>,
    ) -> Result<(), AdminError> {
        let places = self.places(call, tenant).await?;
        let each: Vec<&[DepartmentId]> = match departments {
            [] => vec![&[]],
            some => some.chunks(1).collect(),
        };
        for one in each {
            let departments = places.of(one);
            self.permit(call, &Scope::NewAccount { tenant, departments: &departments }, about).await?;
        }
        Ok(())
    }

    /// Departments are looked up only for whoever does not reach the whole tenant.
    pub(crate) async fn places(&self, call: &Call, tenant: TenantId) -> Result<Places, AdminError> {
        let is_bounded = match &call.actor {
            Actor::Person { authority, .. } => {
                authority.grants.iter().any(|grant| matches!(grant.reach, Reach::Departments(_)))
            }
            Actor::Operator | Actor::Service { .. } => false,
        };
        if !is_bounded {
            return Ok(Places(None));
        }
        Ok(Places(Some(self.directory.departments(tenant).await?)))
    }

    /// Is the domain of this address the tenant's? Of another's nobody learns that it is there.
    pub(crate) async fn own_domain(&self, tenant: TenantId, address: &str) -> Result<Domain, AdminError> {
        let address = MailAddress::parse(address).map_err(DirectoryError::from)?;
        let domain = address.domain().to_string();
        let found = self.directory.domain(&domain).await?;
        match found {
            Some(found) if found.tenant == tenant => Ok(found),
            _ => Err(DirectoryError::NoDomain(domain).into()),
        }
    }

    /// Changes an account that is still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_account(
        &self,
        call: &Call,
        expected: &Account,
        change: AccountChange,
    ) -> Result<Account, AdminError> {
        let quota_bytes = change.quota_bytes.unwrap_or(expected.quota_bytes);
        let state = change.state.unwrap_or(expected.state);
        let address = expected.address.to_string();
        let about = About::new(Some(expected.key.tenant), Action::AccountChange, &address)
            .from(shown(expected.quota_bytes, expected.state))
            .to(shown(quota_bytes, state));
        self.permitted(call, &about, expected.key).await?;
        let amended = async {
            let amend = |account: &mut Account| {
                account.quota_bytes = quota_bytes;
                account.state = state;
            };
            let is_as_expected = self.directory.amend_account(expected, amend).await?;
            if is_as_expected { Ok(()) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, amended).await?;
        if state == AccountState::Disabled {
            // Each ends when it is used, too; of one that is not, none is to be left when the account is enabled again.
            self.directory.end_sessions(expected.key, None).await?;
        }
        self.stored_account(expected.key).await
    }

    /// Replaces a password; with `must_change` its owner has to set another one at the next sign-in that can ask for it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn set_password(
        &self,
        call: &Call,
        key: AccountKey,
        password: &str,
        must_change: bool,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::AccountPassword, &object)
            .to(json!({ "must_change": must_change }));
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        self.act(call, &about, self.directory.give_password(key, password, must_change)).await
    }

    /// What an account says about mail programs.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn account_clients(&self, call: &Call, key: AccountKey) -> Result<Account, AdminError> {
        let (account, _) = self.seen(call, Action::AccountClientsRead, key).await?;
        Ok(account)
    }

    /// Changes what an account says about mail programs, if it is still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_account_clients(
        &self,
        call: &Call,
        expected: &Account,
        settings: &ClientSettings,
    ) -> Result<Account, AdminError> {
        let address = expected.address.to_string();
        let about = About::new(Some(expected.key.tenant), Action::AccountClientsChange, &address)
            .from(clients(&expected.clients))
            .to(clients(settings));
        self.permitted(call, &about, expected.key).await?;
        let amended = async {
            let amend = |account: &mut Account| account.clients = account.clients.saying(settings);
            let is_as_expected = self.directory.amend_account(expected, amend).await?;
            if is_as_expected { Ok(()) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, amended).await?;
        self.stored_account(expected.key).await
    }

    /// The tokens of an account.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn tokens(&self, call: &Call, key: AccountKey) -> Result<Vec<Token>, AdminError> {
        self.seen(call, Action::TokenRead, key).await?;
        Ok(self.directory.tokens(key).await?)
    }

    /// Makes a token: its description, and the token itself, which is never told again.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_token(
        &self,
        call: &Call,
        key: AccountKey,
        new: &NewToken,
    ) -> Result<(Token, String), AdminError> {
        let object = key.account.to_string();
        let expires = new.expires.map(Timestamp::rfc3339);
        let after = json!({
            "name": new.name, "imap": new.scope.imap, "pop3": new.scope.pop3, "smtp": new.scope.smtp,
            "expires": expires,
        });
        let about = About::new(Some(key.tenant), Action::TokenAdd, &object).to(after);
        let account = self.permitted(call, &about, key).await?;
        if new.expires.is_some_and(|end| end <= self.clock.now()) {
            return Err(Invalid::Past.into());
        }
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        self.act(call, &about, self.directory.add_token(key, &new.name, new.scope, new.expires)).await
    }

    /// Makes a token worthless.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn revoke_token(&self, call: &Call, key: AccountKey, id: TokenId) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::TokenRevoke, &object);
        let account = self.permitted(call, &about, key).await?;
        let missing = || AdminError::NotFound("token");
        let tokens = self.directory.tokens(key).await?;
        let token = tokens.iter().find(|token| token.id == id).ok_or_else(missing)?;
        let address = account.address.to_string();
        let before = json!({ "token": id.to_string(), "name": token.name });
        let about = About { object: &address, ..about }.from(before);
        self.act(call, &about, self.directory.revoke_token(key, id)).await.map(drop)
    }
}

pub(crate) fn may_see(call: &Call, account: &Account, places: &Places) -> bool {
    let authority = Authority::default();
    let departments = places.of(&account.departments);
    let scope = Scope::Account { key: account.key, departments: &departments, authority: &authority };
    authorise(&call.actor, Action::AccountRead, &scope) == Decision::Allow
}
