//! Business mailboxes: who uses them, and what their users do with them themselves (BIZ-01, BIZ-02, BIZ-04, BIZ-06, BIZ-07).

use pennypost_directory::{Account, AccountKind, Listed, MailAddress, MailboxUsers, Page, Token, TokenId};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use serde_json::{Value, json};

use crate::accounts::NewToken;
use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Invalid};

/// A business mailbox that is wished for.
#[derive(Debug, Clone, Default)]
pub struct NewBusinessMailbox {
    /// Its address, in a domain of the tenant.
    pub address: String,
    /// Its name; may be empty.
    pub name: String,
    /// Bytes that it may hold; `None`: what the plan, or the directory, gives without a word.
    pub quota_bytes: Option<u64>,
    /// Who uses it.
    pub users: MailboxUsers,
}

fn shown(users: &MailboxUsers) -> Value {
    let accounts: Vec<String> = users.accounts.iter().map(ToString::to_string).collect();
    json!({ "accounts": accounts, "departments": users.departments })
}

impl Administration {
    /// Adds a business mailbox to a domain of the tenant, with its users (BIZ-02).
    ///
    /// # Errors
    /// [`AdminError`]. Of a call that was cut off nothing is left, or the mailbox with its users.
    #[pennypost_ports::compiled_here]
    pub async fn add_business_mailbox(
        &self,
        call: &Call,
        tenant: TenantId,
        new: &NewBusinessMailbox,
    ) -> Result<Account, AdminError> {
        new.users.check_number()?;
        let address =
            MailAddress::parse(&new.address).map_or_else(|_| new.address.clone(), |it| it.to_string());
        let about = About::new(Some(tenant), Action::BusinessAdd, &address).to(json!({
            "name": new.name, "quota_bytes": new.quota_bytes, "users": shown(&new.users),
        }));
        // It is in no department.
        let departments = self.places(call, tenant).await?.of(&[]);
        self.permit(call, &Scope::NewAccount { tenant, departments: &departments }, &about).await?;
        let domain = self.own_domain(tenant, &new.address).await?;
        self.check_lock(tenant, &domain).await?;
        let wished = pennypost_directory::NewAccount {
            address: &new.address,
            display_name: &new.name,
            quota_bytes: new.quota_bytes,
            is_business: true,
            ..pennypost_directory::NewAccount::default()
        };
        // What can be known before is no operation.
        self.directory.check_new(tenant, &wished).await?;
        self.directory.check_users(tenant, &new.users).await?;
        let made = self.act(call, &about, self.directory.add_business_mailbox(&wished, &new.users)).await?;
        self.tell_users(&made, &new.users).await;
        Ok(made)
    }

    /// Who uses a business mailbox.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mailbox_users(&self, call: &Call, key: AccountKey) -> Result<MailboxUsers, AdminError> {
        self.seen(call, Action::MailboxUsersRead, key).await?;
        Ok(self.directory.mailbox_users(key).await?)
    }

    /// Says who uses a business mailbox, if it is still who was `expected` (BIZ-04).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_mailbox_users(
        &self,
        call: &Call,
        key: AccountKey,
        expected: &MailboxUsers,
        users: &MailboxUsers,
    ) -> Result<MailboxUsers, AdminError> {
        users.check_number()?;
        let after = json!({ "in": shown(&users.without(expected)), "out": shown(&expected.without(users)) });
        self.among_users(call, key, after, |stored| {
            let is_as_expected = stored == expected;
            if is_as_expected {
                stored.clone_from(users);
            }
            is_as_expected
        })
        .await
    }

    /// Lets more use a business mailbox, whoever else does.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_mailbox_users(
        &self,
        call: &Call,
        key: AccountKey,
        more: &MailboxUsers,
    ) -> Result<MailboxUsers, AdminError> {
        more.check_number()?;
        self.among_users(call, key, json!({ "in": shown(more) }), |stored| {
            stored.accounts.extend(&more.accounts);
            stored.departments.extend(&more.departments);
            true
        })
        .await
    }

    /// Lets these use a business mailbox no more, from here on and in open sessions, too. Who does not use it anyhow is no
    /// error.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_mailbox_users(
        &self,
        call: &Call,
        key: AccountKey,
        fewer: &MailboxUsers,
    ) -> Result<MailboxUsers, AdminError> {
        fewer.check_number()?;
        self.among_users(call, key, json!({ "out": shown(fewer) }), |stored| {
            *stored = stored.without(fewer);
            true
        })
        .await
    }

    async fn among_users(
        &self,
        call: &Call,
        key: AccountKey,
        after: Value,
        change: impl Fn(&mut MailboxUsers) -> bool + Send + Sync,
    ) -> Result<MailboxUsers, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MailboxUsersChange, &object);
        let mailbox = self.permitted(call, &about, key).await?;
        let mut before = MailboxUsers::default();
        if mailbox.kind == AccountKind::Business {
            // What is so already is no operation.
            let stored = self.directory.mailbox_users(key).await?;
            before.clone_from(&stored);
            let mut wished = stored.clone();
            if change(&mut wished) && wished == stored {
                return Ok(stored);
            }
        }
        let address = mailbox.address.to_string();
        let about = About { object: &address, ..about }.to(after);
        let changing = async {
            let changed = self.directory.change_mailbox_users(key, change).await?;
            changed.ok_or(AdminError::Changed)
        };
        let users = self.act(call, &about, changing).await?;
        self.tell_users(&mailbox, &users.without(&before)).await;
        Ok(users)
    }

    /// The business mailboxes that an account uses and that are open (BIZ-06).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn business_mailboxes(
        &self,
        call: &Call,
        key: AccountKey,
        page: &Page,
    ) -> Result<Listed<Account>, AdminError> {
        let (account, _) = self.seen(call, Action::BusinessRead, key).await?;
        Ok(self.directory.mailboxes_used(&account, page).await?)
    }

    /// The open business mailbox that an account uses; none other is there.
    async fn used_mailbox(&self, user: AccountKey, mailbox: AccountId) -> Result<Account, AdminError> {
        let key = AccountKey { tenant: user.tenant, account: mailbox };
        let missing = || AdminError::NotFound("mailbox");
        let mailbox = self.directory.account(key).await?.ok_or_else(missing)?;
        let is_his =
            self.directory.is_open_business(&mailbox) && self.directory.uses_mailbox(user, key).await?;
        if is_his { Ok(mailbox) } else { Err(missing()) }
    }

    /// A business mailbox with the tokens that an account has made for it. One that the account neither uses nor has tokens
    /// for is not there; of one that is closed for the time being they can be seen and revoked.
    async fn own_tokens(
        &self,
        user: AccountKey,
        mailbox: AccountId,
    ) -> Result<(Account, Vec<Token>), AdminError> {
        let key = AccountKey { tenant: user.tenant, account: mailbox };
        let missing = || AdminError::NotFound("mailbox");
        let mailbox = self.directory.account(key).await?.ok_or_else(missing)?;
        let mut tokens = self.directory.tokens(key).await?;
        tokens.retain(|token| token.user == Some(user.account));
        let is_his = !tokens.is_empty()
            || (self.directory.is_open_business(&mailbox) && self.directory.uses_mailbox(user, key).await?);
        if is_his { Ok((mailbox, tokens)) } else { Err(missing()) }
    }

    /// The tokens that an account has made for a business mailbox.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn business_tokens(
        &self,
        call: &Call,
        user: AccountKey,
        mailbox: AccountId,
    ) -> Result<Vec<Token>, AdminError> {
        self.seen(call, Action::BusinessTokenRead, user).await?;
        Ok(self.own_tokens(user, mailbox).await?.1)
    }

    /// Makes a token with which an account's mail program opens a business mailbox that the account uses (BIZ-07): its
    /// description, and the token itself, which is never told again. It holds as long as the account uses the mailbox.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_business_token(
        &self,
        call: &Call,
        user: AccountKey,
        mailbox: AccountId,
        new: &NewToken,
    ) -> Result<(Token, String), AdminError> {
        let object = user.account.to_string();
        let about = About::new(Some(user.tenant), Action::BusinessTokenAdd, &object);
        let account = self.permitted(call, &about, user).await?;
        let mailbox = self.used_mailbox(user, mailbox).await?;
        if new.expires.is_some_and(|end| end <= self.clock.now()) {
            return Err(Invalid::Past.into());
        }
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.to(json!({
            "mailbox": mailbox.address.to_string(), "name": new.name, "imap": new.scope.imap,
            "pop3": new.scope.pop3, "smtp": new.scope.smtp, "expires": new.expires.map(Timestamp::rfc3339),
        }));
        let pair = (user.account, mailbox.key);
        self.act(call, &about, self.directory.add_user_token(pair, &new.name, new.scope, new.expires)).await
    }

    /// Makes a token worthless that an account has made for a business mailbox.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn revoke_business_token(
        &self,
        call: &Call,
        user: AccountKey,
        mailbox: AccountId,
        id: TokenId,
    ) -> Result<(), AdminError> {
        let object = user.account.to_string();
        let about = About::new(Some(user.tenant), Action::BusinessTokenRevoke, &object);
        let account = self.permitted(call, &about, user).await?;
        let (mailbox, tokens) = self.own_tokens(user, mailbox).await?;
        let missing = || AdminError::NotFound("token");
        let token = tokens.iter().find(|token| token.id == id).ok_or_else(missing)?;
        let address = account.address.to_string();
        let before = json!({
            "mailbox": mailbox.address.to_string(), "token": id.to_string(), "name": token.name,
        });
        let about = About { object: &address, ..about }.from(before);
        self.act(call, &about, self.directory.revoke_token(mailbox.key, id)).await.map(drop)
    }
}
