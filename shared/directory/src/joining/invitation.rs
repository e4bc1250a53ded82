//! Open invitations: links by which people become members (ORG-10).

use std::fmt;
use std::str::FromStr;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use super::apply::Outcome;
use super::{DAY, InvitationEnd, MAX_INVITATION_LIFE, OPEN, fresh_secret, hash, parts};
use crate::store::{Held, MAX_ATTEMPTS, name_for_people};
use crate::{DepartmentId, Directory, DirectoryError, DomainName, MailAddress, Tenant};

/// How often the invitation of a member is accepted, and for how long it is good.
const USES_OF_COLLEAGUE: u32 = 20;
const LIFE_OF_COLLEAGUE: i64 = 7 * DAY;
/// Members who have an invitation at a time.
const MAX_OF_COLLEAGUES: usize = 1_000;
/// Invitations of administrators that a tenant has at a time, with those that ended within 30 days.
pub const MAX_INVITATIONS: usize = 100;
/// How often one may be accepted at most.
pub const MAX_INVITATION_USES: u32 = 1_000;
/// Characters of what an invitation is called.
const MAX_NAME: usize = 100;
/// For how long one that has ended is still listed, and may be renewed.
const KEPT: i64 = 30 * DAY;
/// Age of a place that is being taken, from which others look what became of it.
pub(super) const ABANDONED: i64 = 60 * 1000;
/// Places that may be on their way at once.
const MAX_PENDING: usize = 50;

/// The number of an invitation within its tenant. Text form: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InvitationId(pub u64);

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for InvitationId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<InvitationId, Self::Err> {
        u64::from_str_radix(text, 16).map(InvitationId)
    }
}

/// An invitation as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its number.
    pub id: InvitationId,
    /// What whoever made it calls it.
    pub name: String,
    /// In which domain those who accept it get an address.
    pub domain: DomainName,
    /// Into which department they come; if that is no longer there, directly into the organisation.
    pub department: DepartmentId,
    /// Does an administrator have to approve each?
    pub approval: bool,
    /// How often it may be accepted.
    pub most: u32,
    /// How often it was, with what is on its way.
    pub used: u32,
    /// When it was made, or last renewed.
    pub created: Timestamp,
    /// From then on it is good for nothing.
    pub until: Timestamp,
    /// It was revoked.
    pub revoked: bool,
    /// The member who has made it; `None`: an administrator.
    pub by: Option<AccountId>,
}

impl Invitation {
    /// Why it is good for nothing at that time; `None`: it is good.
    #[must_use]
    pub fn end(&self, now: Timestamp) -> Option<InvitationEnd> {
        if self.revoked {
            return Some(InvitationEnd::Revoked);
        }
        if self.until <= now {
            return Some(InvitationEnd::Past);
        }
        (self.used >= self.most).then_some(InvitationEnd::UsedUp)
    }
}

/// An invitation that is wished for. What it does not say, the rules of the tenant say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewInvitation {
    /// What it is called; may be empty.
    pub name: String,
    /// In which domain.
    pub domain: Option<String>,
    /// Into which department.
    pub department: Option<DepartmentId>,
    /// Does an administrator have to approve each?
    pub approval: Option<bool>,
    /// How often it may be accepted: 1 to [`MAX_INVITATION_USES`].
    pub most: u32,
    /// Until when it is good: [`MAX_INVITATION_LIFE`] at most from now on.
    pub until: Timestamp,
}

/// A place that is being taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    place: u64,
    address: MailAddress,
    since: Timestamp,
}

/// An invitation as stored. Has no `Debug`, so that it gets into no log.
#[derive(Serialize, Deserialize)]
struct InvitationItem {
    hash: [u8; 32],
    name: String,
    domain: DomainName,
    department: DepartmentId,
    approval: bool,
    most: u32,
    /// How often it was accepted.
    used: u32,
    pending: Vec<Pending>,
    created: Timestamp,
    until: Timestamp,
    revoked: bool,
    /// The member who has made it.
    by: Option<AccountId>,
}

impl Versioned for InvitationItem {
    const KIND: &'static str = "invitation";
}

impl InvitationItem {
    fn shown(&self, id: InvitationId) -> Invitation {
        let on_their_way = u32::try_from(self.pending.len()).unwrap_or(u32::MAX);
        Invitation {
            id,
            name: self.name.clone(),
            domain: self.domain.clone(),
            department: self.department,
            approval: self.approval,
            most: self.most,
            used: self.used.saturating_add(on_their_way),
            created: self.created,
            until: self.until,
            revoked: self.revoked,
            by: self.by,
        }
    }

    /// Is nothing of it to be seen any more?
    fn is_forgotten(&self, now: Timestamp) -> bool {
        self.pending.is_empty() && self.until.plus_millis(KEPT) <= now
    }
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/invitations")
}

fn invitation_key(tenant: TenantId, id: InvitationId) -> ControlKey {
    ControlKey::new(partition(tenant), id.to_string())
}

/// The tenant, the id and the hash of the secret in an invitation.
fn said(text: &str) -> Result<(TenantId, InvitationId, [u8; 32]), DirectoryError> {
    let (tenant, id, secret) = parts(text, OPEN).ok_or(DirectoryError::NoInvitation)?;
    let id = id.parse().map_err(|_| DirectoryError::NoInvitation)?;
    Ok((tenant, id, hash(secret)))
}

impl Directory {
    /// Is the text an invitation by which people become members?
    #[must_use]
    pub fn is_open_invitation(text: &str) -> bool {
        text.starts_with(OPEN)
    }

    /// The invitations of a tenant, by number: all of them.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn invitations(&self, tenant: TenantId) -> Result<Vec<Invitation>, DirectoryError> {
        let items = self.list_all::<InvitationItem>(&partition(tenant), "").await?.into_iter();
        Ok(items.filter_map(|(id, item)| Some(item.shown(id.parse().ok()?))).collect())
    }

    /// An invitation.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn invitation(
        &self,
        tenant: TenantId,
        id: InvitationId,
    ) -> Result<Option<Invitation>, DirectoryError> {
        let held = self.read::<InvitationItem>(&invitation_key(tenant, id), Consistency::Strong).await?;
        Ok(held.map(|held| held.value.shown(id)))
    }

    /// What would be written of an invitation that is wished for.
    async fn wished(&self, tenant: TenantId, new: &NewInvitation) -> Result<InvitationItem, DirectoryError> {
        let rules = self.joining_rules(tenant).await?;
        if !rules.open {
            return Err(DirectoryError::InvitationOver(InvitationEnd::Closed));
        }
        let now = self.clock.now();
        check_terms(new.most, new.until, now)?;
        let name = match new.name.trim() {
            "" => String::new(),
            name => name_for_people(name, MAX_NAME)?,
        };
        let domain = match &new.domain {
            Some(domain) => DomainName::parse(domain)?,
            None => rules.domain.ok_or(DirectoryError::JoiningDomain)?,
        };
        self.check_joining_domain(tenant, &domain).await?;
        let department = new.department.unwrap_or(rules.department);
        self.check_joining_department(tenant, department).await?;
        Ok(InvitationItem {
            hash: [0; 32],
            name,
            domain,
            department,
            approval: rules.approval || new.approval.unwrap_or(false),
            most: new.most,
            used: 0,
            pending: Vec::new(),
            created: now,
            until: new.until,
            revoked: false,
            by: None,
        })
    }

    /// Could it be made? Changes nothing.
    ///
    /// # Errors
    /// Those of [`Directory::invite`].
    #[pennypost_ports::compiled_here]
    pub async fn check_invitation(
        &self,
        tenant: TenantId,
        new: &NewInvitation,
    ) -> Result<(), DirectoryError> {
        self.wished(tenant, new).await.map(drop)
    }

    /// Makes an invitation: its description, and the invitation itself, which is never told again.
    ///
    /// # Errors
    /// [`DirectoryError::InvitationOver`] where nobody may be invited, [`DirectoryError::InvitationTerms`],
    /// [`DirectoryError::Name`], [`DirectoryError::JoiningDomain`], [`DirectoryError::NoDomain`],
    /// [`DirectoryError::AliasDomain`], [`DirectoryError::NoDepartment`], [`DirectoryError::TooMany`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn invite(
        &self,
        tenant: TenantId,
        new: &NewInvitation,
    ) -> Result<(Invitation, String), DirectoryError> {
        let wished = self.wished(tenant, new).await?;
        self.keep_invitation(tenant, wished).await
    }

    async fn keep_invitation(
        &self,
        tenant: TenantId,
        wished: InvitationItem,
    ) -> Result<(Invitation, String), DirectoryError> {
        self.forget_invitations(tenant).await?;
        let (secret, hash) = fresh_secret();
        let item = InvitationItem { hash, ..wished };
        let id = InvitationId(self.ids.random());
        let key = invitation_key(tenant, id);
        self.write(&key, &item, Expected::Absent).await?.ok_or(DirectoryError::Contended)?;
        // Of several that are made at once, too.
        let all = self.list_all::<InvitationItem>(&partition(tenant), "").await?;
        let alike = all.iter().filter(|(_, one)| one.by.is_some() == item.by.is_some()).count();
        let limit = if item.by.is_some() { MAX_OF_COLLEAGUES } else { MAX_INVITATIONS };
        if alike > limit {
            self.erase(&key).await?;
            return Err(DirectoryError::TooMany { what: "the list of invitations", limit });
        }
        Ok((item.shown(id), format!("{OPEN}{tenant}{id}{secret}")))
    }

    /// A member invites colleagues (ORG-14): 20 within 7 days, each of whom an administrator approves. He has one invitation;
    /// the one before is worth nothing from here on.
    ///
    /// # Errors
    /// [`DirectoryError::InvitationOver`] where members invite nobody, those of [`Directory::invite`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn invite_colleagues(
        &self,
        member: AccountKey,
    ) -> Result<(Invitation, String), DirectoryError> {
        let tenant = member.tenant;
        if !self.joining_rules(tenant).await?.colleagues {
            return Err(DirectoryError::InvitationOver(InvitationEnd::Closed));
        }
        let until = self.clock.now().plus_millis(LIFE_OF_COLLEAGUE);
        let mine = self.invitations(tenant).await?.into_iter().find(|one| one.by == Some(member.account));
        if let Some(mine) = mine
            && let Some(renewed) = self.renew_invitation(tenant, mine.id, (USES_OF_COLLEAGUE, until)).await?
        {
            return Ok(renewed);
        }
        let approval = Some(true);
        let new = NewInvitation { approval, most: USES_OF_COLLEAGUE, until, ..NewInvitation::default() };
        let wished = self.wished(tenant, &new).await?;
        self.keep_invitation(tenant, InvitationItem { by: Some(member.account), ..wished }).await
    }

    /// Removes what has ended long ago.
    async fn forget_invitations(&self, tenant: TenantId) -> Result<(), DirectoryError> {
        let now = self.clock.now();
        for (id, item) in self.list_all::<InvitationItem>(&partition(tenant), "").await? {
            if item.is_forgotten(now)
                && let Ok(id) = id.parse::<InvitationId>()
            {
                self.erase(&invitation_key(tenant, id)).await?;
            }
        }
        Ok(())
    }

    /// Gives an invitation another secret, from now on and as often as is said; what was given out before is worth nothing
    /// from here on. One that was revoked is good again. `None`: there is none.
    ///
    /// # Errors
    /// [`DirectoryError::InvitationOver`] where nobody may be invited, [`DirectoryError::InvitationTerms`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn renew_invitation(
        &self,
        tenant: TenantId,
        id: InvitationId,
        (most, until): (u32, Timestamp),
    ) -> Result<Option<(Invitation, String)>, DirectoryError> {
        if !self.joining_rules(tenant).await?.open {
            return Err(DirectoryError::InvitationOver(InvitationEnd::Closed));
        }
        let now = self.clock.now();
        check_terms(most, until, now)?;
        let (secret, hash) = fresh_secret();
        let renewed = self
            .change(&invitation_key(tenant, id), |item: &mut InvitationItem| {
                (item.hash, item.most, item.until, item.created) = (hash, most, until, now);
                (item.used, item.revoked) = (0, false);
                Ok(item.shown(id))
            })
            .await?;
        Ok(renewed.map(|renewed| (renewed, format!("{OPEN}{tenant}{id}{secret}"))))
    }

    /// Makes an invitation worthless; `None`: there is none. What was applied for by it stays.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn revoke_invitation(
        &self,
        tenant: TenantId,
        id: InvitationId,
    ) -> Result<Option<Invitation>, DirectoryError> {
        self.change(&invitation_key(tenant, id), |item: &mut InvitationItem| {
            item.revoked = true;
            Ok(item.shown(id))
        })
        .await
    }

    /// What an invitation leads to, for whoever holds it: the tenant, and the invitation as it is now. Whether it is still
    /// good is another question ([`Invitation::end`]).
    ///
    /// # Errors
    /// [`DirectoryError::NoInvitation`] for a text that is none or no longer one, [`DirectoryError::InvitationOver`] where
    /// nobody joins, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn invitation_behind(&self, text: &str) -> Result<(Tenant, Invitation), DirectoryError> {
        let (tenant, id, hash) = said(text)?;
        let (_, item) = self.invitation_held(tenant, id, hash).await?;
        let open = self.joining_tenant(tenant).await?;
        let rules = self.joining_rules(tenant).await?;
        if !rules.open {
            return Err(DirectoryError::InvitationOver(InvitationEnd::Closed));
        }
        if item.by.is_some() && !rules.colleagues {
            return Err(DirectoryError::InvitationOver(InvitationEnd::Closed));
        }
        let mut shown = item.shown(id);
        shown.approval |= rules.approval;
        Ok((open, shown))
    }

    /// The tenant, if people may join it now: its members may sign in.
    pub(super) async fn joining_tenant(&self, tenant: TenantId) -> Result<Tenant, DirectoryError> {
        let open = self.active_tenant(tenant).await?;
        open.ok_or(DirectoryError::InvitationOver(InvitationEnd::Closed))
    }

    async fn invitation_held(
        &self,
        tenant: TenantId,
        id: InvitationId,
        hash: [u8; 32],
    ) -> Result<(u64, InvitationItem), DirectoryError> {
        let held = self.read::<InvitationItem>(&invitation_key(tenant, id), Consistency::Strong).await?;
        // Digests of 256 random bits: the time of the comparison tells nothing that could be used.
        let held = held.filter(|held| held.value.hash == hash).ok_or(DirectoryError::NoInvitation)?;
        Ok((held.version, held.value))
    }

    /// Takes a place in an invitation for an address, durably: `place` is a number that nobody else has. Whoever takes it
    /// ends it ([`Directory::end_place`]); if he dies, somebody else does.
    pub(super) async fn take_place(
        &self,
        text: &str,
        place: u64,
        address: &MailAddress,
    ) -> Result<(), DirectoryError> {
        let (tenant, id, hash) = said(text)?;
        for _ in 0..MAX_ATTEMPTS {
            let (version, mut item) = self.invitation_held(tenant, id, hash).await?;
            let now = self.clock.now();
            match item.shown(id).end(now) {
                None => {}
                Some(InvitationEnd::UsedUp) if self.settle_places(tenant, id, &item, now).await? => continue,
                Some(end) => return Err(DirectoryError::InvitationOver(end)),
            }
            if item.pending.len() >= MAX_PENDING && !self.settle_places(tenant, id, &item, now).await? {
                return Err(DirectoryError::Contended);
            }
            item.pending.push(Pending { place, address: address.clone(), since: now });
            let key = invitation_key(tenant, id);
            if self.write(&key, &item, Expected::Version(version)).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Ends places of an invitation whose takers have most likely died; `true` if there was one.
    pub(super) async fn settle_invitation(
        &self,
        tenant: TenantId,
        id: InvitationId,
    ) -> Result<bool, DirectoryError> {
        let held = self.read::<InvitationItem>(&invitation_key(tenant, id), Consistency::Strong).await?;
        let Some(held) = held else { return Ok(false) };
        self.settle_places(tenant, id, &held.value, self.clock.now()).await
    }

    async fn settle_places(
        &self,
        tenant: TenantId,
        id: InvitationId,
        item: &InvitationItem,
        now: Timestamp,
    ) -> Result<bool, DirectoryError> {
        let is_old = |one: &&Pending| now.0.saturating_sub(one.since.0) >= ABANDONED;
        let mut has_ended = false;
        for Pending { place, address, .. } in item.pending.iter().filter(is_old) {
            let is_used = match self.outcome(tenant, *place, address).await? {
                Outcome::Used => true,
                Outcome::Nothing => false,
                Outcome::Open => continue,
            };
            self.end_place(tenant, (id, *place), is_used).await?;
            has_ended = true;
        }
        Ok(has_ended)
    }

    /// Ends a place that was taken: it counts for good, or is free again. One that has ended stays as it is.
    pub(super) async fn end_place(
        &self,
        tenant: TenantId,
        (id, place): (InvitationId, u64),
        is_used: bool,
    ) -> Result<(), DirectoryError> {
        let key = invitation_key(tenant, id);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<InvitationItem>(&key, Consistency::Strong).await?;
            let Some(Held { value: mut item, version }) = held else { return Ok(()) };
            let before = item.pending.len();
            item.pending.retain(|one| one.place != place);
            if item.pending.len() == before {
                return Ok(());
            }
            item.used = item.used.saturating_add(u32::from(is_used));
            if self.write(&key, &item, Expected::Version(version)).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }
}

/// How often, and until when.
pub(super) fn check_terms(most: u32, until: Timestamp, now: Timestamp) -> Result<(), DirectoryError> {
    let is_good = (1..=MAX_INVITATION_USES).contains(&most)
        && until > now
        && until <= now.plus_millis(MAX_INVITATION_LIFE);
    if is_good { Ok(()) } else { Err(DirectoryError::InvitationTerms) }
}
