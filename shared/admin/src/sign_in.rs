//! Rules of signing in, locked accounts, members' own passwords, and the record of sign-ins (AUT rows, LOG-05, LOG-11).

use std::net::IpAddr;
use std::sync::Arc;

use pennypost_directory::{
    AccountRules, AddressRule, Attempt, ChangePasswordError, DirectoryError, Function, Listed, Lock, Page,
    PasswordAge, SignInKind, SignInLog, SignInQuery, SignInRecord, SignInRules,
};
use pennypost_model::{AccountKey, EventId, TenantId};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::{Actor, Scope, Why};
use crate::call::{About, Call};
use crate::operations::{Origin, quoted};
use crate::{AdminError, Administration, Conflict};

/// What is to be different about the rules of one account; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountRulesChange {
    /// A rule of addresses of its own; `Some(None)` takes it away.
    pub addresses: Option<Option<AddressRule>>,
    /// Is secure sign-in forced?
    pub secure_forced: Option<bool>,
}

/// A lock, with the address of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLock {
    /// Of the account.
    pub address: String,
    /// The lock.
    pub lock: Lock,
}

fn addresses(rule: &AddressRule) -> Value {
    let shown = |list: &[pennypost_directory::Network]| -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    };
    json!({
        "allow": shown(&rule.allow),
        "deny": shown(&rule.deny),
        "others": rule.others,
    })
}

fn rules_shown(rules: &SignInRules) -> Value {
    let trusted: Vec<String> = rules.lock.trusted.iter().map(ToString::to_string).collect();
    let accounts: Vec<String> = rules.exempt.accounts.iter().map(ToString::to_string).collect();
    json!({
        "passwords": rules.passwords,
        "lock": {
            "count": rules.lock.count, "window_minutes": rules.lock.window_minutes,
            "minutes": rules.lock.minutes, "trusted": trusted,
        },
        "addresses": addresses(&rules.addresses),
        "exempt": { "accounts": accounts, "departments": rules.exempt.departments },
        "secure": rules.secure,
    })
}

fn account_rules_shown(rules: &AccountRules) -> Value {
    json!({
        "addresses": rules.addresses.as_ref().map(addresses),
        "secure": rules.secure,
        "secure_forced": rules.secure_forced,
    })
}

/// From where a call of the API comes.
const fn address_of(call: &Call) -> Option<IpAddr> {
    match call.origin {
        Origin::Api(address) => address,
        Origin::Command | Origin::Schedule => None,
    }
}

impl Administration {
    /// What a tenant says about signing in.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn sign_in_rules(&self, call: &Call, tenant: TenantId) -> Result<SignInRules, AdminError> {
        call.may(Action::SignInRulesRead, &Scope::Tenant(tenant))?;
        Ok(self.directory.sign_in_rules(tenant).await?)
    }

    /// Replaces what a tenant says about signing in, if it still says what is `expected`. A rule that would not let in
    /// whoever makes it, from where he is, is refused unless it is forced.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_sign_in_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &SignInRules,
        rules: &SignInRules,
        is_forced: bool,
    ) -> Result<SignInRules, AdminError> {
        let about = About::new(Some(tenant), Action::SignInRulesChange, "sign-in rules")
            .from(rules_shown(expected))
            .to(rules_shown(rules));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        rules.check().map_err(DirectoryError::from)?;
        // Whoever has a rule already may go on with a better one.
        let is_first = expected.addresses == AddressRule::default();
        if is_first && rules.addresses != expected.addresses {
            self.needs_function(tenant, Function::AddressRules).await?;
        }
        let tree = if rules.exempt.departments.is_empty() {
            None
        } else {
            Some(self.directory.departments(tenant).await?)
        };
        if let Some(missing) = rules
            .exempt
            .departments
            .iter()
            .find(|department| tree.as_ref().is_some_and(|tree| tree.department(**department).is_none()))
        {
            return Err(DirectoryError::NoDepartment(missing.to_string()).into());
        }
        for account in &rules.exempt.accounts {
            let key = AccountKey { tenant, account: *account };
            if self.directory.account(key).await?.is_none() {
                return Err(crate::Invalid::NoAccount.into());
            }
        }
        if !is_forced {
            self.lets_in(call, tenant, rules).await?;
        }
        let next = SignInRules { version: expected.version, ..rules.clone() };
        let changed = async {
            let stored = self.directory.set_sign_in_rules(tenant, &next).await?;
            stored.ok_or(AdminError::Changed)
        };
        self.act(call, &about, changed).await
    }

    /// Would whoever calls be let in by these rules, from where he calls?
    async fn lets_in(&self, call: &Call, tenant: TenantId, rules: &SignInRules) -> Result<(), AdminError> {
        let Some(client) = address_of(call) else { return Ok(()) };
        let is_let_in = match &call.actor {
            Actor::Operator | Actor::Service { tenant: None, .. } => true,
            Actor::Service { .. } => self.directory.would_admit(rules, None, client).await?,
            Actor::Person { account, .. } if account.tenant == tenant => {
                let own = self.directory.account_rules(*account).await?;
                self.directory.would_admit(rules, Some((*account, &own)), client).await?
            }
            Actor::Person { .. } => true,
        };
        if is_let_in { Ok(()) } else { Err(AdminError::Conflict(Conflict::ExcludesYou)) }
    }

    /// What holds for the sign-in of an account beside what its tenant says.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn account_rules(&self, call: &Call, key: AccountKey) -> Result<AccountRules, AdminError> {
        self.seen(call, Action::AccountSignInRulesRead, key).await?;
        Ok(self.directory.account_rules(key).await?)
    }

    /// Changes the rules of an account, if they are still as `expected`. An administrator does not exclude himself from
    /// where he is, unless it is forced.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_account_rules(
        &self,
        call: &Call,
        key: AccountKey,
        expected: &AccountRules,
        change: &AccountRulesChange,
        is_forced: bool,
    ) -> Result<AccountRules, AdminError> {
        let mut next = expected.clone();
        if let Some(addresses) = &change.addresses {
            next.addresses.clone_from(addresses);
        }
        next.secure_forced = change.secure_forced.unwrap_or(expected.secure_forced);
        let is_ones_own = matches!(&call.actor, Actor::Person { account, .. } if *account == key);
        if let (true, false, Some(client)) = (is_ones_own, is_forced, address_of(call)) {
            let rules = self.directory.sign_in_rules(key.tenant).await?;
            if !self.directory.would_admit(&rules, Some((key, &next)), client).await? {
                return Err(AdminError::Conflict(Conflict::ExcludesYou));
            }
        }
        self.store_account_rules(call, Action::AccountSignInRulesChange, key, expected, next).await
    }

    /// Turns a member's own secure sign-in on or off. What an administrator has forced stays.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn set_secure_sign_in(
        &self,
        call: &Call,
        key: AccountKey,
        expected: &AccountRules,
        secure: bool,
    ) -> Result<AccountRules, AdminError> {
        if !secure && (expected.secure_forced || self.directory.sign_in_rules(key.tenant).await?.secure) {
            return Err(AdminError::Conflict(Conflict::Forced));
        }
        let next = AccountRules { secure, ..expected.clone() };
        self.store_account_rules(call, Action::AccountSecureSignIn, key, expected, next).await
    }

    async fn store_account_rules(
        &self,
        call: &Call,
        action: Action,
        key: AccountKey,
        expected: &AccountRules,
        next: AccountRules,
    ) -> Result<AccountRules, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), action, &object)
            .from(account_rules_shown(expected))
            .to(account_rules_shown(&next));
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        if let Some(addresses) = &next.addresses {
            addresses.check().map_err(DirectoryError::from)?;
            if expected.addresses.is_none() {
                self.needs_function(key.tenant, Function::AddressRules).await?;
            }
        }
        let changed = async {
            let is_as_expected = self.directory.set_account_rules(key, expected, &next).await?;
            if is_as_expected { Ok(()) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, changed).await?;
        Ok(next)
    }

    /// Accounts that wrong passwords have locked, of those that the actor may see.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn locks(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<AccountLock>, AdminError> {
        call.may(Action::LockRead, &Scope::SomeAccount(tenant))?;
        let Listed { items, next } = self.directory.locks(tenant, page).await?;
        let mut shown = Vec::with_capacity(items.len());
        for lock in items {
            let key = AccountKey { tenant, account: lock.account };
            match self.seen(call, Action::LockRead, key).await {
                Ok((account, _)) => shown.push(AccountLock { address: account.address.to_string(), lock }),
                Err(AdminError::Denied(_) | AdminError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Listed { items: shown, next })
    }

    /// Unlocks an account.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn unlock(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::LockRemove, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        let unlocked = self.act(call, &about, self.directory.unlock(key)).await?;
        if unlocked > 0 {
            self.directory.record_unlocked(key, &address);
        }
        Ok(())
    }

    /// How old the password of an account is, if it has one.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn password_age(
        &self,
        call: &Call,
        key: AccountKey,
    ) -> Result<Option<PasswordAge>, AdminError> {
        self.seen(call, Action::AccountSignInRulesRead, key).await?;
        Ok(self.directory.password_age(key).await?)
    }

    /// Unlocks several accounts, if all of them are there and within reach.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn unlock_all(&self, call: &Call, keys: &[AccountKey]) -> Result<(), AdminError> {
        for key in keys {
            self.seen(call, Action::LockRemove, *key).await?;
        }
        for key in keys {
            self.unlock(call, *key).await?;
        }
        Ok(())
    }

    /// A member sets another password in the place of the one that he knows (AUT-05, LOG-07).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_own_password(
        &self,
        call: &Call,
        key: AccountKey,
        old: Option<&str>,
        new: &str,
    ) -> Result<(), AdminError> {
        let Some(old) = old else { return self.set_first_password(call, key, new).await };
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::AccountOwnPassword, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        let client = address_of(call).unwrap_or(IpAddr::from([127, 0, 0, 1]));
        let attempt = Attempt::new(SignInKind::Api, "change-password", client);
        let changed = Box::pin(async {
            self.directory.change_own_password(&attempt, key, old, new).await.map_err(|error| match error {
                ChangePasswordError::Old(error) => AdminError::OldPassword(error),
                ChangePasswordError::New(error) => error.into(),
            })
        });
        self.act(call, &about, changed).await
    }

    /// The owner, who has no password yet and has just signed in otherwise, sets the first one (AUT-05).
    async fn set_first_password(&self, call: &Call, key: AccountKey, new: &str) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::AccountOwnPassword, &object);
        if call.actor.presence().is_none() {
            self.permitted(call, &about, key).await?;
            self.note_denied(call, &about, Why::Unconfirmed).await?;
            return Err(AdminError::Denied(Why::Unconfirmed));
        }
        let (address, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &address, ..about }.to(json!({ "password": "the first" }));
        let set = async {
            let is_first = self.directory.set_first_password(key, new).await?;
            if is_first { Ok(()) } else { Err(AdminError::Conflict(Conflict::PasswordSet)) }
        };
        self.act(call, &about, set).await
    }

    pub(crate) fn sign_in_record(&self) -> Result<Arc<SignInLog>, AdminError> {
        self.directory.sign_in_log().cloned().ok_or(AdminError::Conflict(Conflict::NoRecord))
    }

    /// Records of sign-ins of a tenant, as far back as its plan shows them, oldest first, behind an id; perhaps fewer than asked for, even none, though more
    /// follow. With the id behind which the next ones are.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn sign_ins(
        &self,
        call: &Call,
        tenant: TenantId,
        query: &SignInQuery,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<SignInRecord>, Option<EventId>), AdminError> {
        match query.account {
            Some(account) => {
                let key = AccountKey { tenant, account };
                self.seen(call, Action::AccountSignInRead, key).await?;
            }
            None => call.may(Action::SignInRead, &Scope::Tenant(tenant))?,
        }
        let since = self.shown_since(tenant).await?;
        let query =
            SignInQuery { from: Some(query.from.map_or(since, |from| from.max(since))), ..query.clone() };
        Ok(self.sign_in_record()?.find(tenant, &query, after, limit).await?)
    }
}

/// Records as CSV with a line of names.
#[must_use]
pub fn sign_ins_csv(records: &[SignInRecord]) -> String {
    let mut text =
        String::from("first,last,count,login,account,address,kind,mechanism,program,by,outcome\r\n");
    for record in records {
        let by = match (record.token, record.kind) {
            (Some(token), _) => format!("token {token}"),
            (None, SignInKind::Sso) => "ticket".to_owned(),
            (None, _) => "password".to_owned(),
        };
        let cells = [
            record.first.rfc3339(),
            record.last.rfc3339(),
            record.count.to_string(),
            record.login.clone(),
            record.account.map(|account| account.to_string()).unwrap_or_default(),
            record.client.to_string(),
            record.kind.name().to_owned(),
            record.mechanism.clone(),
            record.program.clone().unwrap_or_default(),
            by,
            record.outcome.name().to_owned(),
        ];
        text.push_str(&cells.map(|cell| quoted(&cell)).join(","));
        text.push_str("\r\n");
    }
    text
}
