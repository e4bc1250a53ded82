//! What comes of an invitation: an application, and an account (ORG-10, ORG-11).

use pennypost_model::codec::{Versioned, decode, encode};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use super::invitation::{ABANDONED, Invitation, InvitationId};
use super::{DAY, InvitationEnd, RECEIPT, fresh_secret, hash, parts};
use crate::address::Entry;
use crate::password::Credential;
use crate::password_rules::Names;
use crate::store::{Held, name_for_people};
use crate::{
    DepartmentId, Directory, DirectoryError, Listed, MailAddress, NewAccount, Page, Profile, ProfileField,
};

/// Characters of a name.
const MAX_NAME: usize = 200;
/// Characters of the reason of a refusal.
const MAX_REASON: usize = 200;
/// For how long an application waits, and what was decided can still be read.
const WAITING: i64 = 30 * DAY;
/// Age of an attempt to add the account, from which the same request goes on with it.
const RESUMED: i64 = 20 * 1000;
/// Old ones that are looked at for each new one.
const SWEEP: usize = 2;
/// Local parts that speak for the organisation or its servers, by which certificates are given out, or that people believe:
/// an administrator gives them, nobody takes them.
const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "hostmaster",
    "mailer-daemon",
    "no-reply",
    "noc",
    "noreply",
    "postmaster",
    "root",
    "security",
    "webmaster",
];

/// Somebody who would like to join.
#[derive(Clone, Copy)]
pub struct NewApplication<'a> {
    /// What is to stand before the @.
    pub local: &'a str,
    /// The name.
    pub name: &'a str,
    /// Mobile number; may be empty.
    pub mobile: &'a str,
    /// The password that the account is to have.
    pub password: &'a str,
    /// What tells this request, sent again, from any other.
    pub request: Option<[u8; 32]>,
}

/// What was applied for at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The address.
    pub address: MailAddress,
    /// The name of whoever applies.
    pub name: String,
    /// Mobile number; may be empty.
    pub mobile: String,
    /// By which invitation.
    pub invitation: InvitationId,
    /// Into which department.
    pub department: DepartmentId,
    /// When.
    pub applied: Timestamp,
    /// What has become of it.
    pub state: ApplicationState,
}

/// What has become of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationState {
    /// An administrator has to decide.
    Waiting,
    /// The account is being added; or that was cut off, and the same again goes on with it.
    Joining,
    /// There is the account.
    Joined(AccountId),
    /// An administrator has said no, for this reason.
    Refused(String),
}

impl ApplicationState {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            ApplicationState::Waiting => "waiting",
            ApplicationState::Joining => "joining",
            ApplicationState::Joined(_) => "joined",
            ApplicationState::Refused(_) => "refused",
        }
    }
}

/// What whoever applied is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// What was applied for, and what has become of it.
    pub application: Application,
    /// By this it may be looked at later. Never told again.
    pub receipt: String,
}

/// Has a place in an invitation been used?
pub(super) enum Outcome {
    Used,
    Nothing,
    /// It is not known yet.
    Open,
}

/// Stored: new ones at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Waiting,
    /// The account is being added, with this id.
    Adding {
        account: AccountId,
        /// An administrator has approved it: it counts in its invitation already.
        is_approved: bool,
    },
    Joined(AccountId),
    Refused(String),
    /// Nothing has come of it: it is as if it were not there. The item stays, so that its version goes on: a process that
    /// was held up must not find its version once more.
    Void,
}

/// An application as stored. Has no `Debug`, so that it gets into no log.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ApplicationItem {
    invitation: InvitationId,
    /// Which place in it.
    place: u64,
    address: MailAddress,
    name: String,
    mobile: String,
    department: DepartmentId,
    /// The stored form of the password; nothing once it is decided.
    credential: Vec<u8>,
    stage: Stage,
    applied: Timestamp,
    /// When it came to this stage, or the account was tried to be added again.
    changed: Timestamp,
    request: Option<[u8; 32]>,
    receipt: [u8; 32],
}

impl Versioned for ApplicationItem {
    const KIND: &'static str = "application";
}

impl ApplicationItem {
    fn shown(&self) -> Application {
        Application {
            address: self.address.clone(),
            name: self.name.clone(),
            mobile: self.mobile.clone(),
            invitation: self.invitation,
            department: self.department,
            applied: self.applied,
            state: match &self.stage {
                Stage::Waiting => ApplicationState::Waiting,
                Stage::Adding { .. } => ApplicationState::Joining,
                Stage::Joined(account) => ApplicationState::Joined(*account),
                Stage::Refused(reason) => ApplicationState::Refused(reason.clone()),
                // Not shown to anybody.
                Stage::Void => ApplicationState::Refused(String::new()),
            },
        }
    }

    /// Is it the same request once more?
    fn is_of(&self, invitation: InvitationId, request: Option<[u8; 32]>) -> bool {
        let is_there = self.stage != Stage::Void;
        is_there && self.invitation == invitation && request.is_some() && self.request == request
    }

    /// Nothing has come of it.
    fn make_void(&mut self, now: Timestamp) {
        self.stage = Stage::Void;
        self.changed = now;
        self.credential.clear();
        self.name.clear();
        self.mobile.clear();
    }

    pub(super) fn mobile(&self) -> &str {
        &self.mobile
    }

    /// Does it keep everybody else from the address?
    pub(super) fn is_in_the_way(&self, now: Timestamp) -> bool {
        match self.stage {
            Stage::Waiting => !self.is_over(now),
            Stage::Adding { is_approved, .. } => {
                is_approved || now.0.saturating_sub(self.changed.0) < ABANDONED
            }
            Stage::Joined(_) | Stage::Refused(_) | Stage::Void => false,
        }
    }

    /// Is nothing of it to be seen any more?
    fn is_over(&self, now: Timestamp) -> bool {
        let since = match self.stage {
            Stage::Waiting => self.applied,
            // It is finished first, by whoever wants its place or its address.
            Stage::Adding { .. } => return false,
            Stage::Joined(_) | Stage::Refused(_) => self.changed,
            Stage::Void => return true,
        };
        since.plus_millis(WAITING) <= now
    }

    /// Is its item needed by nobody any more?
    fn is_swept(&self, now: Timestamp) -> bool {
        match self.stage {
            Stage::Void => self.changed.plus_millis(DAY) <= now,
            Stage::Waiting | Stage::Adding { .. } | Stage::Joined(_) | Stage::Refused(_) => self.is_over(now),
        }
    }
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/applications")
}

pub(super) fn application_key(tenant: TenantId, address: &MailAddress) -> ControlKey {
    ControlKey::new(partition(tenant), format!("{}/{}", address.domain(), address.local()))
}

fn name_of(text: &str) -> Result<String, DirectoryError> {
    name_for_people(text, MAX_NAME)
}

fn profile_of(mobile: &str) -> Result<Profile, DirectoryError> {
    let mut profile = Profile::default();
    profile.set(ProfileField::Mobile, mobile)?;
    Ok(profile)
}

/// What is asked for by an invitation, if it can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// In which tenant.
    pub tenant: TenantId,
    /// At which address.
    pub address: MailAddress,
    /// By which invitation.
    pub invitation: Invitation,
    /// The same request was begun before, and is gone on with.
    pub is_repeated: bool,
    /// Something may be added: not by a repetition that only tells what has come of it.
    pub adds: bool,
}

/// What the same request, sent again, comes to.
enum Repetition {
    /// It tells what has come of it.
    Tells,
    /// The account is still to be added.
    Adds,
    /// Nothing has come of it, and its place is free.
    Begins,
}

impl Directory {
    /// Could somebody join so at the moment? Changes nothing, but for ending places whose takers have died.
    ///
    /// # Errors
    /// Those of [`Directory::join`].
    pub async fn check_joining(
        &self,
        text: &str,
        new: &NewApplication<'_>,
    ) -> Result<Joining, DirectoryError> {
        let (tenant, mut invitation) = self.invitation_behind(text).await?;
        let tenant = tenant.id;
        let address = MailAddress::parse(&format!("{}@{}", new.local.trim(), invitation.domain))?;
        let key = application_key(tenant, &address);
        let mut held = self.read::<ApplicationItem>(&key, Consistency::Strong).await?.map(|held| held.value);
        if let Some(item) = held.take_if(|item| item.is_of(invitation.id, new.request)) {
            let adds = match self.repetition(tenant, &invitation, &item).await? {
                Repetition::Tells => Some(false),
                Repetition::Adds => Some(true),
                Repetition::Begins => None,
            };
            if let Some(adds) = adds {
                return Ok(Joining { tenant, address, invitation, is_repeated: true, adds });
            }
            (_, invitation) = self.invitation_behind(text).await?;
        }
        match invitation.end(self.clock.now()) {
            None => {}
            Some(InvitationEnd::UsedUp) if self.settle_invitation(tenant, invitation.id).await? => {}
            Some(end) => return Err(DirectoryError::InvitationOver(end)),
        }
        let now = self.clock.now();
        if held.is_some_and(|item| item.is_in_the_way(now)) {
            return Err(DirectoryError::AddressTaken(address.to_string()));
        }
        if RESERVED.iter().any(|reserved| address.local().eq_ignore_ascii_case(reserved)) {
            return Err(DirectoryError::UnsuitableAddress { address: address.to_string() });
        }
        let name = name_of(new.name)?;
        profile_of(new.mobile)?;
        self.check_joining_number(tenant, &address, new.mobile).await?;
        let text = address.to_string();
        let wished = NewAccount {
            address: &text,
            password: Some(new.password),
            display_name: &name,
            ..NewAccount::default()
        };
        self.check_new(tenant, &wished).await?;
        Ok(Joining { tenant, address, invitation, is_repeated: false, adds: true })
    }

    /// What the same request comes to now. What was cut off before there was an account is no pass: an invitation that has
    /// ended since then lets nobody in, and where an administrator has to approve since then, it is applied for anew.
    async fn repetition(
        &self,
        tenant: TenantId,
        invitation: &Invitation,
        item: &ApplicationItem,
    ) -> Result<Repetition, DirectoryError> {
        let Stage::Adding { account, is_approved: false } = item.stage else {
            return Ok(Repetition::Tells);
        };
        let now = self.clock.now();
        // Its own place is among those that are used.
        let ended = invitation.end(now).filter(|end| *end != InvitationEnd::UsedUp);
        if ended.is_none() && !invitation.approval {
            if self.account(AccountKey { tenant, account }).await?.is_some() {
                return Ok(Repetition::Tells);
            }
            let is_begun = now.0.saturating_sub(item.changed.0) < RESUMED;
            return if is_begun { Err(DirectoryError::Contended) } else { Ok(Repetition::Adds) };
        }
        match self.outcome(tenant, item.place, &item.address).await? {
            Outcome::Used => return Ok(Repetition::Tells),
            Outcome::Open => return Err(DirectoryError::Contended),
            Outcome::Nothing => self.end_place(tenant, (item.invitation, item.place), false).await?,
        }
        ended.map_or(Ok(Repetition::Begins), |end| Err(DirectoryError::InvitationOver(end)))
    }

    /// Somebody joins by an invitation: becomes a member at once, or applies for it where an administrator has to approve.
    /// The same request again goes on where it was cut off, and tells what has come of it.
    ///
    /// # Errors
    /// [`DirectoryError::NoInvitation`], [`DirectoryError::InvitationOver`], [`DirectoryError::AddressTaken`] also for an
    /// address for which somebody else applies, [`DirectoryError::UnsuitableAddress`] also for one that only an administrator
    /// gives, [`DirectoryError::Name`], [`DirectoryError::Field`], those of [`Directory::add_account_with`], or the port's.
    pub async fn join(&self, text: &str, new: &NewApplication<'_>) -> Result<Applied, DirectoryError> {
        let Joining { tenant, address, invitation, is_repeated, .. } = self.check_joining(text, new).await?;
        let key = application_key(tenant, &address);
        let held = self.read::<ApplicationItem>(&key, Consistency::Strong).await?;
        // Somebody else's may stand there since then.
        let is_same =
            |held: &&Held<ApplicationItem>| is_repeated && held.value.is_of(invitation.id, new.request);
        if let Some(held) = held.as_ref().filter(is_same) {
            return self.go_on(tenant, held).await;
        }
        let condition = self.make_way(tenant, &address, held).await?;
        let rules = self.sign_in_rules(tenant).await?.passwords;
        let name = name_of(new.name)?;
        let names = Names { local: address.local(), display: &name };
        let credential = self.own_credential(&rules, names, new.password).await?;
        self.take_joining_number(tenant, &address, new.mobile).await?;
        let place = self.ids.random();
        self.take_place(text, place, &address).await?;
        let now = self.clock.now();
        let (secret, receipt) = fresh_secret();
        let stage = if invitation.approval {
            Stage::Waiting
        } else {
            Stage::Adding { account: AccountId(self.ids.random()), is_approved: false }
        };
        let item = ApplicationItem {
            invitation: invitation.id,
            place,
            address,
            name,
            mobile: profile_of(new.mobile)?.mobile,
            department: invitation.department,
            credential: encode(&credential),
            stage,
            applied: now,
            changed: now,
            request: new.request,
            receipt,
        };
        let Some(version) = self.write(&key, &item, condition).await? else {
            // Somebody else was quicker.
            self.end_place(tenant, (invitation.id, place), false).await?;
            return Err(DirectoryError::AddressTaken(item.address.to_string()));
        };
        let receipt = format!("{RECEIPT}{tenant}{place:016x}{secret}");
        self.sweep_applications(&key, now).await?;
        if invitation.approval {
            self.end_place(tenant, (invitation.id, place), true).await?;
            return Ok(Applied { application: item.shown(), receipt });
        }
        let application = self.attempt(tenant, Held { value: item, version }, None).await?;
        Ok(Applied { application, receipt })
    }

    /// What is to be seen at an address, by whoever wants to apply for it: nothing that stands in the way, and under which
    /// condition it is written.
    async fn make_way(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        held: Option<Held<ApplicationItem>>,
    ) -> Result<Expected, DirectoryError> {
        let Some(Held { value: item, version }) = held else { return Ok(Expected::Absent) };
        let taken = || DirectoryError::AddressTaken(address.to_string());
        let now = self.clock.now();
        if item.is_in_the_way(now) {
            return Err(taken());
        }
        if matches!(item.stage, Stage::Adding { .. }) {
            return match self.outcome(tenant, item.place, address).await? {
                Outcome::Nothing => {
                    self.end_place(tenant, (item.invitation, item.place), false).await?;
                    self.nothing_at(tenant, address).await?.ok_or_else(taken)
                }
                Outcome::Used | Outcome::Open => Err(taken()),
            };
        }
        // Whoever applied may have died before it was counted.
        let is_used = item.stage != Stage::Void;
        self.end_place(tenant, (item.invitation, item.place), is_used).await?;
        Ok(Expected::Version(version))
    }

    /// Under which condition it is written, where nothing has come of what was applied for at an address; `None`: something
    /// is there.
    async fn nothing_at(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<Option<Expected>, DirectoryError> {
        let key = application_key(tenant, address);
        let held = self.read::<ApplicationItem>(&key, Consistency::Strong).await?;
        Ok(match held {
            None => Some(Expected::Absent),
            Some(held) => (held.value.stage == Stage::Void).then_some(Expected::Version(held.version)),
        })
    }

    /// What has come of a place that was taken for an address. An attempt that was most likely cut off is ended: the claim
    /// of the address is freed first, so that it fails if it was only held up.
    pub(super) async fn outcome(
        &self,
        tenant: TenantId,
        place: u64,
        address: &MailAddress,
    ) -> Result<Outcome, DirectoryError> {
        let key = application_key(tenant, address);
        let held = self.read::<ApplicationItem>(&key, Consistency::Strong).await?;
        let is_its =
            |held: &Held<ApplicationItem>| held.value.place == place && held.value.stage != Stage::Void;
        let Some(held) = held.filter(is_its) else { return Ok(Outcome::Nothing) };
        let Stage::Adding { account, is_approved: false } = held.value.stage else {
            return Ok(Outcome::Used);
        };
        if self.account(AccountKey { tenant, account }).await?.is_some() {
            self.note_joined(tenant, held, account).await?;
            return Ok(Outcome::Used);
        }
        if self.clock.now().0.saturating_sub(held.value.changed.0) < ABANDONED {
            return Ok(Outcome::Open);
        }
        let entry = self.entry(tenant, address, Consistency::Strong).await?;
        if let Some(claim) = entry.filter(|entry| entry.value == Entry::Claimed(account)) {
            self.free_address(tenant, address, claim.version).await?;
            self.erase_account_items(tenant, account).await?;
        }
        let Held { value: mut item, version } = held;
        item.make_void(self.clock.now());
        let is_void = self.write(&key, &item, Expected::Version(version)).await?.is_some();
        Ok(if is_void { Outcome::Nothing } else { Outcome::Open })
    }

    /// The same request again.
    async fn go_on(&self, tenant: TenantId, held: &Held<ApplicationItem>) -> Result<Applied, DirectoryError> {
        let (secret, hash) = fresh_secret();
        let mut item = held.value.clone();
        item.receipt = hash;
        let receipt = format!("{RECEIPT}{tenant}{:016x}{secret}", item.place);
        if matches!(item.stage, Stage::Adding { is_approved: false, .. }) {
            let held = Held { value: item, version: held.version };
            let application = self.try_again(tenant, held, false).await?;
            return Ok(Applied { application, receipt });
        }
        let key = application_key(tenant, &item.address);
        let written = self.write(&key, &item, Expected::Version(held.version)).await?;
        written.ok_or(DirectoryError::Contended)?;
        Ok(Applied { application: item.shown(), receipt })
    }

    /// Adds the account, with an id of its own, unless an attempt before has done so. One that has just begun is left in
    /// peace.
    async fn try_again(
        &self,
        tenant: TenantId,
        held: Held<ApplicationItem>,
        is_approved: bool,
    ) -> Result<Application, DirectoryError> {
        let Held { value: mut item, version } = held;
        let former = match item.stage {
            Stage::Adding { account, .. } => Some(account),
            Stage::Waiting | Stage::Joined(_) | Stage::Refused(_) | Stage::Void => None,
        };
        let now = self.clock.now();
        if let Some(former) = former {
            if self.account(AccountKey { tenant, account: former }).await?.is_some() {
                return self.note_joined(tenant, Held { value: item, version }, former).await;
            }
            if now.0.saturating_sub(item.changed.0) < RESUMED {
                return Err(DirectoryError::Contended);
            }
        }
        item.stage = Stage::Adding { account: AccountId(self.ids.random()), is_approved };
        item.changed = now;
        let key = application_key(tenant, &item.address);
        let version = self.write(&key, &item, Expected::Version(version)).await?;
        let version = version.ok_or(DirectoryError::Contended)?;
        self.attempt(tenant, Held { value: item, version }, former).await
    }

    /// Adds the account that stands in the application. If it can't be, the application is as before there was an attempt.
    async fn attempt(
        &self,
        tenant: TenantId,
        held: Held<ApplicationItem>,
        former: Option<AccountId>,
    ) -> Result<Application, DirectoryError> {
        let Stage::Adding { account, is_approved } = held.value.stage else {
            return Ok(held.value.shown());
        };
        let item = &held.value;
        let is_open = self.check_joining_department(tenant, item.department).await;
        let departments = match is_open {
            Ok(()) if item.department != DepartmentId::ROOT => vec![item.department],
            // It has gone meanwhile.
            Ok(()) | Err(DirectoryError::NoDepartment(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        let address = item.address.to_string();
        let new = NewAccount {
            address: &address,
            display_name: &item.name,
            departments: &departments,
            profile: profile_of(&item.mobile)?,
            ..NewAccount::default()
        };
        let credential: Credential = decode(&item.credential)?;
        // The domain may be another tenant's by now.
        let added = self.add_account_as(account, &new, Some(credential), Some(tenant)).await;
        let Err(error) = added else { return self.note_joined(tenant, held, account).await };
        if error.is_temporary() {
            return Err(error);
        }
        // The address is perhaps taken by an attempt that was only held up.
        for made in std::iter::once(account).chain(former) {
            if self.account(AccountKey { tenant, account: made }).await?.is_some() {
                return self.note_joined(tenant, held, made).await;
            }
        }
        self.take_attempt_back(tenant, held, is_approved).await?;
        Err(error)
    }

    async fn take_attempt_back(
        &self,
        tenant: TenantId,
        held: Held<ApplicationItem>,
        is_approved: bool,
    ) -> Result<(), DirectoryError> {
        let Held { value: mut item, version } = held;
        let key = application_key(tenant, &item.address);
        if is_approved {
            item.stage = Stage::Waiting;
            // Lost: somebody else has begun another attempt.
            self.write(&key, &item, Expected::Version(version)).await?;
            return Ok(());
        }
        item.make_void(self.clock.now());
        if self.write(&key, &item, Expected::Version(version)).await?.is_some() {
            self.end_place(tenant, (item.invitation, item.place), false).await?;
        }
        Ok(())
    }

    /// Notes that there is the account.
    async fn note_joined(
        &self,
        tenant: TenantId,
        held: Held<ApplicationItem>,
        account: AccountId,
    ) -> Result<Application, DirectoryError> {
        let Held { value: mut item, version } = held;
        item.stage = Stage::Joined(account);
        item.credential.clear();
        item.changed = self.clock.now();
        // Lost: somebody else has noted it.
        self.write(&application_key(tenant, &item.address), &item, Expected::Version(version)).await?;
        self.end_place(tenant, (item.invitation, item.place), true).await?;
        Ok(item.shown())
    }

    /// Removes what was decided long ago.
    async fn sweep_applications(&self, made: &ControlKey, now: Timestamp) -> Result<(), DirectoryError> {
        let rows = self.control.query(&made.partition, "", Some(&made.sort), SWEEP).await?;
        for (sort, row) in rows {
            let item: ApplicationItem = decode(&row.value)?;
            if item.is_swept(now) {
                self.control.delete_if(&ControlKey::new(&made.partition, sort), row.version).await?;
            }
        }
        Ok(())
    }

    /// What was applied for in a tenant, by address. A page may hold few though more follow.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn applications(
        &self,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Application>, DirectoryError> {
        let now = self.clock.now();
        let Listed { items, next } = self.list::<ApplicationItem>(&partition(tenant), "", page).await?;
        let items = items.into_iter().filter(|(_, item)| !item.is_over(now));
        Ok(Listed { items: items.map(|(_, item)| item.shown()).collect(), next })
    }

    /// What was applied for at an address.
    ///
    /// # Errors
    /// [`DirectoryError::NoApplication`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn application(&self, tenant: TenantId, address: &str) -> Result<Application, DirectoryError> {
        self.application_held(tenant, address).await.map(|held| held.value.shown())
    }

    async fn application_held(
        &self,
        tenant: TenantId,
        address: &str,
    ) -> Result<Held<ApplicationItem>, DirectoryError> {
        let missing = || DirectoryError::NoApplication(address.to_owned());
        let key = application_key(tenant, &MailAddress::parse(address).map_err(|_| missing())?);
        let held = self.read::<ApplicationItem>(&key, Consistency::Strong).await?;
        let now = self.clock.now();
        held.filter(|held| !held.value.is_over(now)).ok_or_else(missing)
    }

    /// What has become of an application, for whoever has its receipt.
    ///
    /// # Errors
    /// [`DirectoryError::NoInvitation`] where it leads to nothing, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn application_behind(
        &self,
        address: &str,
        receipt: &str,
    ) -> Result<Application, DirectoryError> {
        let (tenant, _, secret) = parts(receipt, RECEIPT).ok_or(DirectoryError::NoInvitation)?;
        match self.application_held(tenant, address).await {
            Ok(held) if held.value.receipt == hash(secret) => Ok(held.value.shown()),
            Ok(_) | Err(DirectoryError::NoApplication(_)) => Err(DirectoryError::NoInvitation),
            Err(error) => Err(error),
        }
    }

    /// An administrator approves: the account is added. Where it can't be, the application waits on.
    ///
    /// # Errors
    /// [`DirectoryError::NoApplication`], [`DirectoryError::Decided`], those of [`Directory::add_account_with`], or the
    /// port's.
    #[pennypost_ports::compiled_here]
    pub async fn approve_application(
        &self,
        tenant: TenantId,
        address: &str,
    ) -> Result<Application, DirectoryError> {
        let held = self.application_held(tenant, address).await?;
        match held.value.stage {
            Stage::Waiting | Stage::Adding { is_approved: true, .. } => {
                self.try_again(tenant, held, true).await
            }
            Stage::Adding { is_approved: false, .. } | Stage::Joined(_) | Stage::Refused(_) | Stage::Void => {
                Err(DirectoryError::Decided(held.value.address.to_string()))
            }
        }
    }

    /// An administrator refuses, and says why: what waits, or what was cut off before there was an account.
    ///
    /// # Errors
    /// [`DirectoryError::NoApplication`], [`DirectoryError::Decided`], [`DirectoryError::Name`] for a reason that is none,
    /// [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn refuse_application(
        &self,
        tenant: TenantId,
        address: &str,
        reason: &str,
    ) -> Result<Application, DirectoryError> {
        let reason = name_for_people(reason, MAX_REASON)?;
        let Held { value: mut item, version } = self.application_held(tenant, address).await?;
        let decided = || DirectoryError::Decided(item.address.to_string());
        let condition = match item.stage {
            Stage::Waiting => Expected::Version(version),
            Stage::Adding { is_approved: false, .. } => {
                match self.outcome(tenant, item.place, &item.address).await? {
                    Outcome::Used => return Err(decided()),
                    Outcome::Open => return Err(DirectoryError::Contended),
                    Outcome::Nothing => {}
                }
                self.end_place(tenant, (item.invitation, item.place), false).await?;
                self.nothing_at(tenant, &item.address).await?.ok_or(DirectoryError::Contended)?
            }
            Stage::Adding { is_approved: true, .. } | Stage::Joined(_) | Stage::Refused(_) | Stage::Void => {
                return Err(decided());
            }
        };
        item.stage = Stage::Refused(reason);
        item.credential.clear();
        item.changed = self.clock.now();
        let key = application_key(tenant, &item.address);
        let written = self.write(&key, &item, condition).await?;
        written.ok_or(DirectoryError::Contended)?;
        Ok(item.shown())
    }
}
