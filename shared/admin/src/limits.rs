//! With whom an account exchanges mail (ORG-07), and single functions that the operator blocks (TEN-10).

use std::collections::BTreeSet;

use pennypost_directory::{Account, Block, Blockable, MailPermission, NameForm, Tenant};
use pennypost_model::{AccountKey, TenantId};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Conflict, Invalid};

pub(crate) fn permission_document(permission: MailPermission) -> Value {
    json!({ "send": permission.send.name(), "receive": permission.receive.name() })
}

fn block_document(block: Option<&Block>) -> Value {
    let names = block.iter().flat_map(|block| block.names());
    json!({ "blocked": names.collect::<Vec<_>>(), "reason": block.map(|block| block.reason.as_str()) })
}

/// Whose names members' letters bear (ORG-27).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Those that administrators have given.
    pub unified: bool,
    /// In which form; `None`: as they are.
    pub form: Option<NameForm>,
}

fn names_document(names: &Names) -> Value {
    json!({ "unified": names.unified, "form": names.form.as_ref().map(ToString::to_string) })
}

impl Administration {
    /// Says with whom an account exchanges mail, if what holds is still as expected.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_mail_permission(
        &self,
        call: &Call,
        key: AccountKey,
        expected: MailPermission,
        permission: MailPermission,
    ) -> Result<Account, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::AccountMailChange, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about }
            .from(permission_document(expected))
            .to(permission_document(permission));
        let changing = async {
            let changed = self.directory.change_mail_permission(key, expected, permission).await?;
            if changed { Ok(()) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, changing).await?;
        self.stored_account(key).await
    }

    /// Do members' letters bear the names that administrators have given, and in which form?
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn names(&self, call: &Call, tenant: TenantId) -> Result<Names, AdminError> {
        call.may(Action::NamesRead, &Scope::Tenant(tenant))?;
        let unified = self.stored_tenant(tenant).await?.has_unified_names;
        Ok(Names { unified, form: self.directory.name_form(tenant).await? })
    }

    /// Says whether they do and in which form, if what holds is still as expected. If the process dies in between the form
    /// holds, and what it is a form of is as it was.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_names(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &Names,
        names: &Names,
    ) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::NamesChange, "names")
            .from(names_document(expected))
            .to(names_document(names));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.act(call, &about, async {
            if self.stored_tenant(tenant).await?.has_unified_names != expected.unified {
                return Err(AdminError::Changed);
            }
            let form = self.directory.set_name_form(tenant, expected.form.as_ref(), names.form.clone());
            let changed = form.await?
                && self.directory.set_unified_names(tenant, expected.unified, names.unified).await?;
            if changed { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await
    }

    /// What a member wants to be called in letters, and whether administrators give the names, so that it is not told.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn nickname(&self, call: &Call, key: AccountKey) -> Result<(String, bool), AdminError> {
        let (account, _) = self.seen(call, Action::NicknameRead, key).await?;
        Ok((account.nickname, self.stored_tenant(key.tenant).await?.has_unified_names))
    }

    /// Says what the member in this session wants to be called in letters, if it is still as `expected`. The directory goes on
    /// showing the name that administrators have given.
    ///
    /// # Errors
    /// [`Conflict::NamesGiven`] where administrators give the names, or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_nickname(
        &self,
        call: &Call,
        key: AccountKey,
        expected: &str,
        nickname: &str,
    ) -> Result<String, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::NicknameChange, &object);
        let (address, _) = self.permitted_owner(call, &about, key).await?;
        if self.stored_tenant(key.tenant).await?.has_unified_names {
            return Err(AdminError::Conflict(Conflict::NamesGiven));
        }
        let about = About { object: &address, ..about }
            .from(json!({ "nickname": expected }))
            .to(json!({ "nickname": nickname }));
        self.act(call, &about, async {
            let changed = self.directory.set_nickname(key, expected, nickname).await?;
            if changed { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await?;
        Ok(self.stored_account(key).await?.nickname)
    }

    /// The operator blocks these functions of a tenant, and no others; none: all are open again. Only if what is blocked is
    /// still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn block_tenant(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: Option<&Block>,
        functions: BTreeSet<Blockable>,
        reason: &str,
    ) -> Result<Tenant, AdminError> {
        let stored = self.stored_tenant(tenant).await?;
        let block = self.directory.block(functions, reason)?;
        let about = About::new(Some(tenant), Action::TenantBlock, &stored.name)
            .from(block_document(expected))
            .to(block_document(block.as_ref()));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.act(call, &about, async {
            let changed = self.directory.set_tenant_block(tenant, expected, block).await?;
            if changed { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await?;
        self.stored_tenant(tenant).await
    }

    /// The operator blocks these functions of an account, and no others; none: all are open again.
    ///
    /// # Errors
    /// [`Invalid::NotOfAccounts`] for functions that only a tenant has; or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn block_account(
        &self,
        call: &Call,
        key: AccountKey,
        functions: BTreeSet<Blockable>,
        reason: &str,
    ) -> Result<Account, AdminError> {
        if functions.iter().any(|function| !function.is_of_accounts()) {
            return Err(Invalid::NotOfAccounts.into());
        }
        let block = self.directory.block(functions, reason)?;
        let after = block_document(block.as_ref());
        self.upon(call, Action::AccountBlock, key, after, self.directory.set_account_block(key, block))
            .await?;
        self.stored_account(key).await
    }
}
