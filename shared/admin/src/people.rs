//! People: what the directory says of them, and the life of their accounts (ORG-15 … ORG-23).

use pennypost_directory::{
    Account, BinCause, Binned, DepartmentId, DirectoryError, Listed, MAX_DEPARTMENTS_OF_ACCOUNT, NewOwner,
    Page, Profile, ProfileField,
};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use serde_json::{Value, json};

use crate::accounts::may_see;
use crate::action::Action;
use crate::authorise::{Scope, Standing};
use crate::call::{About, Call};
use crate::{AdminError, Administration, Conflict, Invalid};

/// What is to be different about a person; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonChange {
    /// Name.
    pub display_name: Option<String>,
    /// Fields of the profile with what they are to hold.
    pub fields: Vec<(ProfileField, String)>,
    /// Departments, the main one first; none: directly in the organisation.
    pub departments: Option<Vec<DepartmentId>>,
}

/// To whom an account in the recycle bin is to be given.
#[derive(Debug, Clone, Default)]
pub struct Assignment {
    /// Name of the new owner.
    pub display_name: String,
    /// Password; `None`: nobody can sign in until one is set.
    pub password: Option<String>,
    /// Departments of the new owner, the main one first.
    pub departments: Vec<DepartmentId>,
    /// What the directory says of the new owner.
    pub profile: Profile,
}

fn shown(name: &str, profile: &Profile, departments: &[DepartmentId]) -> Value {
    let fields =
        ProfileField::ALL.iter().map(|field| (field.name().to_owned(), profile.field(*field).into()));
    let mut shown: serde_json::Map<String, Value> = fields.collect();
    shown.insert("display_name".to_owned(), name.into());
    shown.insert("departments".to_owned(), departments.iter().map(|id| id.0).collect());
    shown.into()
}

impl Administration {
    /// Changes name, profile or departments of a person whose account is still as `expected`. Into a department, and out
    /// of it, takes somebody who reaches it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_person(
        &self,
        call: &Call,
        expected: &Account,
        change: &PersonChange,
    ) -> Result<Account, AdminError> {
        let key = expected.key;
        let name = change.display_name.as_ref().unwrap_or(&expected.display_name);
        let departments = change.departments.as_ref().unwrap_or(&expected.departments);
        let mut profile = expected.profile.clone();
        for (field, text) in &change.fields {
            profile.set(*field, text)?;
        }
        let address = expected.address.to_string();
        let about = About::new(Some(key.tenant), Action::PersonChange, &address)
            .from(shown(&expected.display_name, &expected.profile, &expected.departments))
            .to(shown(name, &profile, departments));
        self.permitted(call, &about, key).await?;
        if change.departments.is_some() {
            let moved = difference(&expected.departments, departments);
            self.reaches_each(call, key.tenant, &moved, &about).await?;
        }
        let amending = async {
            let amended = self.directory.amend_person(expected, name, &profile, departments).await?;
            if amended { Ok(()) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, amending).await?;
        self.stored_account(key).await
    }

    /// Does the actor reach each of these departments?
    async fn reaches_each(
        &self,
        call: &Call,
        tenant: TenantId,
        departments: &[DepartmentId],
        about: &About<'_>,
    ) -> Result<(), AdminError> {
        if departments.len() > 2 * MAX_DEPARTMENTS_OF_ACCOUNT {
            return Err(Invalid::TooMany { limit: MAX_DEPARTMENTS_OF_ACCOUNT }.into());
        }
        let places = self.places(call, tenant).await?;
        for department in departments {
            let departments = places.of(&[*department]);
            self.permit(call, &Scope::NewAccount { tenant, departments: &departments }, about).await?;
        }
        Ok(())
    }

    /// Records an operation upon an account and does it.
    pub(crate) async fn upon<R>(
        &self,
        call: &Call,
        action: Action,
        key: AccountKey,
        after: Value,
        effect: impl Future<Output = Result<R, pennypost_directory::DirectoryError>> + Send,
    ) -> Result<R, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), action, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.to(after);
        self.act(call, &about, effect).await
    }

    /// Says from when on an account cannot be used; `None`: never (ORG-18).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn expire_account(
        &self,
        call: &Call,
        key: AccountKey,
        expires: Option<Timestamp>,
    ) -> Result<Account, AdminError> {
        let after = json!({ "expires": expires.map(Timestamp::rfc3339) });
        let setting = self.directory.set_expiry(key, expires);
        self.upon(call, Action::AccountExpire, key, after, setting).await?;
        self.stored_account(key).await
    }

    /// The operator suspends an account, or lets it in again (TEN-10).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn suspend_account(
        &self,
        call: &Call,
        key: AccountKey,
        suspended: bool,
    ) -> Result<Account, AdminError> {
        let setting = self.directory.set_suspended(key, suspended);
        self.upon(call, Action::AccountSuspend, key, json!({ "suspended": suspended }), setting).await?;
        self.stored_account(key).await
    }

    /// Puts an account into the recycle bin: a member's that was deleted, or a business mailbox that is withdrawn.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn delete_account(
        &self,
        call: &Call,
        key: AccountKey,
        cause: BinCause,
    ) -> Result<Binned, AdminError> {
        let action = match cause {
            BinCause::Unbound => Action::AccountUnbind,
            BinCause::Deleted | BinCause::Withdrawn => Action::AccountDelete,
        };
        self.upon(call, action, key, json!({ "days": cause.days() }), self.directory.bin_account(key, cause))
            .await
    }

    /// A member leaves (ORG-24): the account goes into the recycle bin, and only an administrator brings it back. The creator
    /// hands the tenant over first.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn leave(&self, call: &Call, key: AccountKey) -> Result<Binned, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::AccountLeave, &object);
        let (address, _) = self.permitted_owner(call, &about, key).await?;
        if self.authority(key).await?.standing == Standing::Creator {
            return Err(AdminError::Conflict(Conflict::CreatorLeaves));
        }
        let about = About { object: &address, ..about }.to(json!({ "days": BinCause::Deleted.days() }));
        self.act(call, &about, self.directory.bin_account(key, BinCause::Deleted)).await
    }

    /// Lets a member in again who has lost password and second factor (ORG-19): by the password that comes back, which he has
    /// to change at the first sign-in, and without a second factor, passkey, binding or recovery address: whoever had got in
    /// may have set them. Sessions end, locks are lifted. Repeating an interrupted call completes it, with another password. It is made up here, so that none lies with what waits for a second
    /// administrator.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn recover_account(&self, call: &Call, key: AccountKey) -> Result<String, AdminError> {
        let recovering = async {
            let missing = || DirectoryError::NoAccount(key.to_string());
            let account = self.directory.account(key).await?.ok_or_else(missing)?;
            let rules = self.directory.sign_in_rules(key.tenant).await?.passwords;
            let password = rules.fresh(account.address.local(), &account.display_name);
            self.directory.give_password(key, &password, true).await?;
            self.directory.remove_second_factor(key).await?;
            self.directory.remove_passkeys(key).await?;
            self.directory.cut_bindings(key).await?;
            let had_address = self.directory.remove_recovery_address(key).await?;
            self.directory.remove_mobile(key).await?;
            self.directory.end_sessions(key, None).await?;
            self.directory.unlock(key).await?;
            Ok((password, had_address.then(|| account.address.to_string())))
        };
        let after = json!({ "must_change": true });
        let (password, told) = self.upon(call, Action::AccountRecover, key, after, recovering).await?;
        if let Some(login) = told {
            self.tell_of_recovery(key, &login, None).await;
        }
        Ok(password)
    }

    /// Accounts in the recycle bin that the actor may see. A page may hold few though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn recycle_bin(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Account>, AdminError> {
        call.may(Action::AccountRead, &Scope::SomeAccount(tenant))?;
        let Listed { items, next } = self.directory.binned(tenant, page).await?;
        let places = self.places(call, tenant).await?;
        let items = items.into_iter().filter(|account| may_see(call, account, &places)).collect();
        Ok(Listed { items, next })
    }

    /// Takes an account out of the recycle bin as it was.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn restore_account(&self, call: &Call, key: AccountKey) -> Result<Account, AdminError> {
        let restoring = self.directory.restore_account(key);
        self.upon(call, Action::AccountRestore, key, json!({}), restoring).await?;
        self.stored_account(key).await
    }

    /// Gives an account in the recycle bin to another member.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn assign_account(
        &self,
        call: &Call,
        key: AccountKey,
        to: &Assignment,
    ) -> Result<Account, AdminError> {
        let object = key.account.to_string();
        let after = shown(&to.display_name, &to.profile, &to.departments);
        let about = About::new(Some(key.tenant), Action::AccountAssign, &object).to(after.clone());
        let account = self.permitted(call, &about, key).await?;
        let moved = difference(&account.departments, &to.departments);
        self.reaches_each(call, key.tenant, &moved, &about).await?;
        let owner = NewOwner {
            display_name: &to.display_name,
            password: to.password.as_deref(),
            departments: &to.departments,
            profile: to.profile.clone(),
        };
        // On the heap: it is large.
        let assigning = Box::pin(self.directory.assign_account(key, &owner));
        self.upon(call, Action::AccountAssign, key, after, assigning).await?;
        self.stored_account(key).await
    }

    /// Turns a member's account, or one that was unbound, into a business mailbox (BIZ-03).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn convert_account(
        &self,
        call: &Call,
        key: AccountKey,
        name: &str,
    ) -> Result<Account, AdminError> {
        // On the heap: it is large.
        let converting = Box::pin(self.directory.convert_to_business(key, name));
        self.upon(call, Action::AccountConvert, key, json!({ "name": name }), converting).await?;
        self.stored_account(key).await
    }

    /// Ends the time of an account in the recycle bin: nothing leads back, and housekeeping erases its mail and then
    /// itself.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn erase_account(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        self.upon(call, Action::AccountErase, key, json!({}), self.directory.begin_erasing(key)).await
    }
}

/// Departments that are in one of the two lists only; nobody's list is the organisation itself.
fn difference(before: &[DepartmentId], after: &[DepartmentId]) -> Vec<DepartmentId> {
    let root = [DepartmentId::ROOT];
    let whole = |list: &[DepartmentId]| if list.is_empty() { root.to_vec() } else { list.to_vec() };
    let (before, after) = (whole(before), whole(after));
    let gone = before.iter().filter(|id| !after.contains(id));
    let come = after.iter().filter(|id| !before.contains(id));
    gone.chain(come).copied().collect()
}
