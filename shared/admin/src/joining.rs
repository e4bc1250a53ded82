//! Joining by invitation (ORG-10 … ORG-12): what administrators do about it, and what somebody does who holds an invitation.
//!
//! Who accepts an invitation is nobody yet, so no action of the table permits it: the invitation does. That it was accepted
//! is in the log of operations, as everything that changes a tenant is.

use std::net::IpAddr;

use pennypost_directory::{
    Account, Application, Applied, Directory, DirectoryError, Invitation, InvitationEnd, InvitationId,
    Joining, JoiningRules, Listed, MemberInvitation, NewApplication, NewInvitation, Page,
};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use serde_json::{Value, json};
use tracing::Instrument;

use crate::accounts::may_see;
use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::{By, Entry, Origin, Outcome};
use crate::{AdminError, Administration};

/// What the log calls it that somebody has accepted an invitation.
const ACCEPTED: &str = "invitation.accept";

/// What an invitation is for, as whoever holds it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenInvitation {
    /// The name of the organisation.
    pub organisation: String,
    /// To what it leads.
    pub leads: Leads,
    /// Until when it is good.
    pub until: Timestamp,
}

/// To what an invitation leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    /// A new account in this domain.
    Domain {
        /// Its name.
        domain: String,
        /// An administrator has to approve.
        approval: bool,
    },
    /// A member's account that has no password yet.
    Account(Box<Account>),
}

/// What has come of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Something was applied for, or there is an account.
    Applied(Applied),
    /// The member of this account has a password.
    Member(Box<Account>),
}

fn rules_shown(rules: &JoiningRules) -> Value {
    json!({
        "open": rules.open,
        "approval": rules.approval,
        "colleagues": rules.colleagues,
        "department": rules.department.0,
        "domain": rules.domain.as_ref().map(ToString::to_string),
    })
}

fn invitation_shown(invitation: &Invitation) -> Value {
    json!({
        "name": invitation.name,
        "domain": invitation.domain.to_string(),
        "department": invitation.department.0,
        "approval": invitation.approval,
        "most": invitation.most,
        "until": invitation.until.rfc3339(),
    })
}

impl Administration {
    /// What a tenant says about joining.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn joining_rules(&self, call: &Call, tenant: TenantId) -> Result<JoiningRules, AdminError> {
        call.may(Action::JoiningRead, &Scope::Tenant(tenant))?;
        Ok(self.directory.joining_rules(tenant).await?)
    }

    /// The same for somebody who wants to say something else.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn joining_rules_for(&self, call: &Call, tenant: TenantId) -> Result<JoiningRules, AdminError> {
        call.may(Action::JoiningChange, &Scope::Tenant(tenant))?;
        Ok(self.directory.joining_rules(tenant).await?)
    }

    /// Says something else about joining, if what is said is still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_joining_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &JoiningRules,
        rules: &JoiningRules,
    ) -> Result<JoiningRules, AdminError> {
        let about = About::new(Some(tenant), Action::JoiningChange, "joining")
            .from(rules_shown(expected))
            .to(rules_shown(rules));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.act(call, &about, async {
            let is_as_expected = self.directory.set_joining_rules(tenant, expected, rules).await?;
            if is_as_expected { Ok(rules.clone()) } else { Err(AdminError::Changed) }
        })
        .await
    }

    /// The invitations of a tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn invitations(&self, call: &Call, tenant: TenantId) -> Result<Vec<Invitation>, AdminError> {
        call.may(Action::InvitationRead, &Scope::Tenant(tenant))?;
        Ok(self.directory.invitations(tenant).await?)
    }

    /// An invitation.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn invitation(
        &self,
        call: &Call,
        tenant: TenantId,
        id: InvitationId,
    ) -> Result<Invitation, AdminError> {
        call.may(Action::InvitationRead, &Scope::Tenant(tenant))?;
        self.stored_invitation(tenant, id).await
    }

    async fn stored_invitation(&self, tenant: TenantId, id: InvitationId) -> Result<Invitation, AdminError> {
        self.directory.invitation(tenant, id).await?.ok_or(AdminError::NotFound("invitation"))
    }

    /// Makes an invitation by which people become members: its description, and the invitation itself, which is never told
    /// again.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn invite(
        &self,
        call: &Call,
        tenant: TenantId,
        new: &NewInvitation,
    ) -> Result<(Invitation, String), AdminError> {
        let after = json!({
            "domain": new.domain, "department": new.department.map(|department| department.0),
            "approval": new.approval, "most": new.most, "until": new.until.rfc3339(),
        });
        let about = About::new(Some(tenant), Action::InvitationAdd, &new.name).to(after);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.directory.check_invitation(tenant, new).await?;
        self.act(call, &about, self.directory.invite(tenant, new)).await
    }

    /// A member invites colleagues (ORG-14): the invitation that was made, or made anew, and itself, which is never told again.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn invite_colleagues(
        &self,
        call: &Call,
        key: AccountKey,
    ) -> Result<(Invitation, String), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::ColleagueInvite, &object);
        let account = self.permitted(call, &about, key).await?;
        let rules = self.directory.joining_rules(key.tenant).await?;
        if !(rules.open && rules.colleagues) {
            return Err(DirectoryError::InvitationOver(InvitationEnd::Closed).into());
        }
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        self.act(call, &about, self.directory.invite_colleagues(key)).await
    }

    /// Gives an invitation another secret, and lets it be accepted so often from now on; what was given out before is worth
    /// nothing from here on.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn renew_invitation(
        &self,
        call: &Call,
        tenant: TenantId,
        id: InvitationId,
        (most, until): (u32, Timestamp),
    ) -> Result<(Invitation, String), AdminError> {
        let object = id.to_string();
        let about = About::new(Some(tenant), Action::InvitationRenew, &object)
            .to(json!({ "most": most, "until": until.rfc3339() }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let stored = self.stored_invitation(tenant, id).await?;
        let about = about.from(invitation_shown(&stored));
        let renewing = async {
            let renewed = self.directory.renew_invitation(tenant, id, (most, until)).await?;
            renewed.ok_or(AdminError::NotFound("invitation"))
        };
        self.act(call, &about, renewing).await
    }

    /// Makes an invitation worthless. What was applied for by it stays.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn revoke_invitation(
        &self,
        call: &Call,
        tenant: TenantId,
        id: InvitationId,
    ) -> Result<Invitation, AdminError> {
        let object = id.to_string();
        let about = About::new(Some(tenant), Action::InvitationRevoke, &object);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let stored = self.stored_invitation(tenant, id).await?;
        let about = about.from(invitation_shown(&stored));
        let revoking = async {
            let revoked = self.directory.revoke_invitation(tenant, id).await?;
            revoked.ok_or(AdminError::NotFound("invitation"))
        };
        self.act(call, &about, revoking).await
    }

    /// What was applied for, by address. A page may hold few though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn applications(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Application>, AdminError> {
        call.may(Action::ApplicationRead, &Scope::Tenant(tenant))?;
        Ok(self.directory.applications(tenant, page).await?)
    }

    /// Approves what was applied for at an address: the account is added.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn approve_application(
        &self,
        call: &Call,
        tenant: TenantId,
        address: &str,
    ) -> Result<Application, AdminError> {
        let about = About::new(Some(tenant), Action::ApplicationApprove, address);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let found = self.directory.application(tenant, address).await?;
        let domain = self.own_domain(tenant, address).await?;
        self.check_lock(tenant, &domain).await?;
        let after = json!({ "name": found.name, "department": found.department.0 });
        let about = about.to(after);
        self.act(call, &about, self.directory.approve_application(tenant, address)).await
    }

    /// Refuses what was applied for at an address, and says why.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn refuse_application(
        &self,
        call: &Call,
        tenant: TenantId,
        address: &str,
        reason: &str,
    ) -> Result<Application, AdminError> {
        let about =
            About::new(Some(tenant), Action::ApplicationRefuse, address).to(json!({ "reason": reason }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.directory.application(tenant, address).await?;
        self.act(call, &about, self.directory.refuse_application(tenant, address, reason)).await
    }

    /// Members that have no password yet and whom the actor may see (ORG-12). A page may hold few though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn not_joined(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Account>, AdminError> {
        call.may(Action::AccountRead, &Scope::SomeAccount(tenant))?;
        let Listed { items, next } = self.directory.not_joined(tenant, page).await?;
        let places = self.places(call, tenant).await?;
        let items = items.into_iter().filter(|account| may_see(call, account, &places)).collect();
        Ok(Listed { items, next })
    }

    /// Invites a member who has no password yet to set one. An invitation that he has is worth nothing from here on.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn invite_member(
        &self,
        call: &Call,
        key: AccountKey,
        until: Timestamp,
    ) -> Result<MemberInvitation, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MemberInvite, &object);
        let account = self.permitted(call, &about, key).await?;
        self.directory.check_member_invitation(key, until).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.to(json!({ "until": until.rfc3339() }));
        self.act(call, &about, self.directory.invite_member(key, until)).await
    }

    /// What an invitation is for, for whoever holds it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn seen_invitation(&self, text: &str) -> Result<SeenInvitation, AdminError> {
        if Directory::is_member_invitation(text) {
            let (account, until) = self.directory.invited_member(text).await?;
            let organisation = self.stored_tenant(account.key.tenant).await?.name;
            return Ok(SeenInvitation { organisation, leads: Leads::Account(Box::new(account)), until });
        }
        let (tenant, invitation) = self.directory.invitation_behind(text).await?;
        if let Some(end) = invitation.end(self.clock.now()) {
            return Err(DirectoryError::InvitationOver(end).into());
        }
        let leads = Leads::Domain { domain: invitation.domain.to_string(), approval: invitation.approval };
        Ok(SeenInvitation { organisation: tenant.name, leads, until: invitation.until })
    }

    /// Somebody joins by an invitation: gets an account, applies for one, or sets the first password of the one that he has.
    /// It is done even if whoever waits for the answer has gone.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn join(
        &self,
        text: &str,
        new: &NewApplication<'_>,
        client: Option<IpAddr>,
    ) -> Result<Accepted, AdminError> {
        let (administration, text) = (self.clone(), text.to_owned());
        let (local, name, mobile) = (new.local.to_owned(), new.name.to_owned(), new.mobile.to_owned());
        let (password, request) = (new.password.to_owned(), new.request);
        let joining = async move {
            let new =
                NewApplication { local: &local, name: &name, mobile: &mobile, password: &password, request };
            Box::pin(administration.join_whole(&text, &new, client)).await
        };
        // A closed socket drops what waits for the answer.
        match tokio::spawn(joining.in_current_span()).await {
            Ok(accepted) => accepted,
            Err(_) => Err(DirectoryError::Contended.into()),
        }
    }

    async fn join_whole(
        &self,
        text: &str,
        new: &NewApplication<'_>,
        client: Option<IpAddr>,
    ) -> Result<Accepted, AdminError> {
        if Directory::is_member_invitation(text) {
            let joined = self.join_as_member(text, new.password, client).await?;
            return Ok(Accepted::Member(Box::new(joined)));
        }
        let Joining { tenant, address, invitation, adds, .. } =
            self.directory.check_joining(text, new).await?;
        if !adds {
            // It is recorded already.
            return Ok(Accepted::Applied(self.directory.join(text, new).await?));
        }
        let address = address.to_string();
        let domain = self.own_domain(tenant, &address).await?;
        self.check_lock(tenant, &domain).await?;
        let after = json!({
            "name": new.name.trim(), "department": invitation.department.0, "approval": invitation.approval,
        });
        let entry = accepted(Some(invitation.id), client, address, &after);
        let joining = self.directory.join(text, new);
        Ok(Accepted::Applied(Box::pin(self.recorded(tenant, entry, joining)).await?))
    }

    async fn join_as_member(
        &self,
        text: &str,
        password: &str,
        client: Option<IpAddr>,
    ) -> Result<Account, AdminError> {
        let account = self.directory.check_joining_as_member(text, password).await?;
        let entry = accepted(None, client, account.address.to_string(), &json!({ "password": "set" }));
        let joining = self.directory.join_as_member(text, password);
        self.recorded(account.key.tenant, entry, joining).await
    }

    /// Records what somebody does who is nobody yet, does it, and records if it failed.
    pub(crate) async fn recorded<R>(
        &self,
        tenant: TenantId,
        entry: Entry,
        effect: impl Future<Output = Result<R, DirectoryError>> + Send,
    ) -> Result<R, AdminError> {
        let of = self.append(Some(tenant), entry.clone()).await?;
        match effect.await {
            Ok(result) => Ok(result),
            Err(error) => {
                let outcome = Outcome::Failed { of, cause: error.to_string() };
                self.append(Some(tenant), Entry { after: None, outcome, ..entry }).await?;
                Err(error.into())
            }
        }
    }

    /// What has become of an application, for whoever has its receipt.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn application_behind(&self, address: &str, receipt: &str) -> Result<Application, AdminError> {
        Ok(self.directory.application_behind(address, receipt).await?)
    }
}

fn accepted(
    invitation: Option<InvitationId>,
    client: Option<IpAddr>,
    object: String,
    after: &Value,
) -> Entry {
    Entry {
        by: By::Invited { invitation },
        origin: Origin::Api(client),
        action: ACCEPTED.to_owned(),
        object,
        before: None,
        after: Some(after.to_string()),
        outcome: Outcome::Ordered,
    }
}
