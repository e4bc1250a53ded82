//! The combined form (ORG-03 … ORG-06): an account with aliases, groups, permissions and a first password or an invitation, by
//! one call.
//!
//! What can be known to fail is asked before anything is done. Then the account is added, and after it what belongs to it,
//! each as an operation of its own with its record. What fails nevertheless is told, and the account stays: the rest is made
//! up for by single calls. So it is if the process dies in between.

use pennypost_directory::{
    Account, AccountState, DepartmentId, DirectoryError, MAX_ALIASES, MailAddress, MailPermission, Profile,
    ProfileField,
};
use pennypost_model::{TenantId, Timestamp};
use serde_json::json;

use crate::accounts::state_name;
use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::limits::permission_document;
use crate::{AdminError, Administration, Conflict, Invalid};

/// Groups that a new member is put into at once.
const MAX_GROUPS: usize = 50;
/// How often a group is read again that others change at the same time.
const TRIES: usize = 5;

/// A member who is wished for.
#[derive(Debug, Clone, Default)]
pub struct NewMember {
    /// The address; if it is empty, the name in pinyin, with a number behind it where that is taken, in `domain`.
    pub address: String,
    /// A domain of the tenant, for whom nobody has given an address to.
    pub domain: String,
    /// The name of the owner; may be empty.
    pub display_name: String,
    /// Fields of the profile.
    pub fields: Vec<(ProfileField, String)>,
    /// Bytes that the account may hold.
    pub quota_bytes: Option<u64>,
    /// Departments, the main one first.
    pub departments: Vec<DepartmentId>,
    /// Further addresses.
    pub aliases: Vec<String>,
    /// Addresses of groups.
    pub groups: Vec<String>,
    /// With whom mail is exchanged.
    pub mail: MailPermission,
    /// The first password.
    pub password: Option<String>,
    /// The owner sets another one at the first sign-in that can ask for it.
    pub must_change: bool,
    /// Until when an invitation is good, by which the owner sets the first password.
    pub invitation: Option<Timestamp>,
    /// The owner is the tenant's creator, who is not known yet.
    pub is_creator: bool,
    /// May it be used from the beginning?
    pub state: AccountState,
}

/// What came of it.
#[derive(Debug)]
pub struct MadeMember {
    /// The account.
    pub account: Account,
    /// The invitation, told once.
    pub invitation: Option<String>,
    /// What could not be done of what belongs to it, each by its name, and why.
    pub left: Vec<(String, AdminError)>,
}

impl Administration {
    /// Adds a member with all that belongs to it.
    ///
    /// # Errors
    /// [`AdminError`]: then there is no account.
    #[pennypost_ports::compiled_here]
    pub async fn add_member(
        &self,
        call: &Call,
        tenant: TenantId,
        new: &NewMember,
    ) -> Result<MadeMember, AdminError> {
        let address = self.address_of(tenant, new).await?;
        let mut after = json!({
            "display_name": new.display_name, "quota_bytes": new.quota_bytes, "departments": new.departments,
            "aliases": new.aliases, "groups": new.groups, "mail": permission_document(new.mail),
            "must_change": new.must_change, "invitation": new.invitation.map(Timestamp::rfc3339),
        });
        if new.state == AccountState::Disabled {
            after["state"] = state_name(new.state).into();
        }
        let about = About::new(Some(tenant), Action::AccountAdd, &address).to(after);
        self.permit_new(call, tenant, &new.departments, &about).await?;
        let profile = self.check_member(call, tenant, new, &address).await?;
        let wished = wished(new, &address, profile);
        self.directory.check_new(tenant, &wished).await?;
        // On the heap: it is large.
        let account = self.act(call, &about, Box::pin(self.directory.add_account_with(&wished))).await?;
        Box::pin(self.complete(call, account, new)).await
    }

    /// Could a member be added, as far as that can be known before? Departments are not looked at.
    ///
    /// # Errors
    /// Those of [`Administration::add_member`].
    #[pennypost_ports::compiled_here]
    pub async fn check_new_member(
        &self,
        call: &Call,
        tenant: TenantId,
        new: &NewMember,
    ) -> Result<(), AdminError> {
        let address = self.address_of(tenant, new).await?;
        let about = About::new(Some(tenant), Action::AccountAdd, &address);
        self.permit_new(call, tenant, &[], &about).await?;
        let profile = self.check_member(call, tenant, new, &address).await?;
        Ok(self.directory.check_new(tenant, &wished(new, &address, profile)).await?)
    }

    async fn address_of(&self, tenant: TenantId, new: &NewMember) -> Result<String, AdminError> {
        if new.address.is_empty() {
            // Whoever may not add accounts there learns it at the next question.
            self.own_domain(tenant, &format!("x@{}", new.domain)).await?;
            return Ok(self.directory.address_for(tenant, &new.display_name, &new.domain).await?);
        }
        Ok(MailAddress::parse(&new.address).map_or_else(|_| new.address.clone(), |it| it.to_string()))
    }

    /// Whatever can be known to fail; the profile.
    async fn check_member(
        &self,
        call: &Call,
        tenant: TenantId,
        new: &NewMember,
        address: &str,
    ) -> Result<Profile, AdminError> {
        let domain = self.own_domain(tenant, address).await?;
        self.check_lock(tenant, &domain).await?;
        if new.aliases.len() > MAX_ALIASES {
            return Err(Invalid::TooMany { limit: MAX_ALIASES }.into());
        }
        if new.groups.len() > MAX_GROUPS {
            return Err(Invalid::TooMany { limit: MAX_GROUPS }.into());
        }
        let whole = Scope::Tenant(tenant);
        for alias in &new.aliases {
            self.permit(call, &whole, &About::new(Some(tenant), Action::AliasAdd, alias)).await?;
            let domain = self.own_domain(tenant, alias).await?;
            self.check_lock(tenant, &domain).await?;
            self.directory.check_new_address(tenant, alias).await?;
        }
        for group in &new.groups {
            self.permit(call, &whole, &About::new(Some(tenant), Action::GroupChange, group)).await?;
            match self.group(call, tenant, group).await {
                Err(AdminError::NotFound(_)) => return Err(DirectoryError::NoGroup(group.clone()).into()),
                other => other?,
            };
        }
        if new.is_creator {
            let about = About::new(Some(tenant), Action::CreatorChange, address);
            self.permit(call, &whole, &about).await?;
            if self.creator(call, tenant).await?.is_some() {
                return Err(AdminError::Changed);
            }
        }
        match (&new.password, new.invitation) {
            // Who has a password sets no first one.
            (Some(_), Some(_)) => return Err(AdminError::Conflict(Conflict::PasswordAndInvitation)),
            (_, Some(until)) => self.directory.check_invitation_term(until)?,
            _ => {}
        }
        let mut profile = Profile::default();
        for (field, text) in &new.fields {
            profile.set(*field, text)?;
        }
        Ok(profile)
    }

    /// Does what belongs to an account that has been added.
    async fn complete(
        &self,
        call: &Call,
        account: Account,
        new: &NewMember,
    ) -> Result<MadeMember, AdminError> {
        let (key, tenant, address) = (account.key, account.key.tenant, account.address.to_string());
        let mut left = Vec::new();
        let mut note = |what: String, done: Result<(), AdminError>| {
            if let Err(error) = done {
                left.push((what, error));
            }
        };
        for alias in &new.aliases {
            let adding = self.add_alias(call, tenant, alias, std::slice::from_ref(&address)).await;
            note(format!("alias {alias}"), adding.map(drop));
        }
        for group in &new.groups {
            note(format!("group {group}"), self.put_into_group(call, tenant, group, &address).await);
        }
        if new.is_creator {
            note("creator".to_owned(), self.change_creator(call, tenant, None, key.account).await);
        }
        let mut invitation = None;
        if let Some(until) = new.invitation {
            let invited = self.invite_member(call, key, until).await;
            note("invitation".to_owned(), invited.map(|invited| invitation = Some(invited.text)));
        }
        Ok(MadeMember { account, invitation, left })
    }

    async fn put_into_group(
        &self,
        call: &Call,
        tenant: TenantId,
        group: &str,
        address: &str,
    ) -> Result<(), AdminError> {
        for _ in 0..TRIES {
            let seen = self.group(call, tenant, group).await?;
            let mut members: Vec<String> =
                seen.members.iter().map(|member| member.address().to_string()).collect();
            members.push(address.to_owned());
            match self.change_group(call, tenant, &seen, &members).await {
                Err(AdminError::Changed) => {}
                other => return other.map(drop),
            }
        }
        Err(AdminError::Changed)
    }
}

/// The account of a new member.
fn wished<'a>(new: &'a NewMember, address: &'a str, profile: Profile) -> pennypost_directory::NewAccount<'a> {
    pennypost_directory::NewAccount {
        address,
        password: new.password.as_deref(),
        must_change: new.must_change,
        display_name: &new.display_name,
        quota_bytes: new.quota_bytes,
        departments: &new.departments,
        profile,
        is_business: false,
        mail: new.mail,
        state: new.state,
    }
}
