//! The first page of an administrator (ADM-03, ADM-04, ADM-05): what is to be done, what happened in the last week, what the
//! organisation has, what its domains lack, what the operator tells, and what concerns whoever looks.
//!
//! Each part is there for who may look at what it is made of by itself; who may look at nothing sees what concerns himself.

use std::net::IpAddr;

use pennypost_directory::{
    AccountKind, Capacities, Domain, DomainState, Function, Limits, MAX_PAGE, Page, Plan, SeatUse,
    SessionBeginning, Verification,
};
use pennypost_model::{AccountKey, TenantId, Timestamp};

use crate::action::Action;
use crate::authorise::{Actor, Authority, Scope};
use crate::bulletins::SeenBulletin;
use crate::call::Call;
use crate::contact::Contact;
use crate::last_week::LastWeek;
use crate::operations::Origin;
use crate::profile::{OrganisationProfile, profile_key};
use crate::{AdminError, Administration};

/// Bulletins that are looked at.
const BULLETINS: usize = 100;
/// Days before the end of a term from which on it is told.
const TERM_DAYS: i64 = 30;
const DAY: i64 = 24 * 60 * 60 * 1000;

/// A step of those by which an organisation begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuideStep {
    /// A domain of its own is added, and it is known that it is the organisation's.
    AddDomain,
    /// Mail for a domain is brought here.
    PointDomain,
    /// There is a member besides the first one.
    AddMembers,
    /// Somebody was invited to join.
    InviteMembers,
    /// The organisation says where it is, or shows a logo.
    FillProfile,
}

impl GuideStep {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            GuideStep::AddDomain => "add-domain",
            GuideStep::PointDomain => "point-domain",
            GuideStep::AddMembers => "add-members",
            GuideStep::InviteMembers => "invite-members",
            GuideStep::FillProfile => "fill-profile",
        }
    }
}

/// What the organisation has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditionCard {
    /// When it was opened.
    pub opened: Timestamp,
    /// Is it known who it is?
    pub verification: Verification,
    /// Its plan as it stands; `None`: it is limited by nothing.
    pub plan: Option<PlanCard>,
}

/// What a plan says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanCard {
    /// What it is called.
    pub edition: String,
    /// When service began.
    pub starts: Option<Timestamp>,
    /// When it ends.
    pub ends: Option<Timestamp>,
    /// It was not paid in time, and is no more than basic.
    pub is_lowered: bool,
    /// How many there may be.
    pub limits: Limits,
    /// How many there are.
    pub taken: SeatUse,
    /// What mailboxes may hold.
    pub capacities: Capacities,
}

/// A domain, and whether its mail goes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainOnHome {
    /// The domain.
    pub domain: Domain,
    /// The last look found that mail for it is not brought here.
    pub lacks_mail: bool,
}

/// What whoever looks should know of himself or of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reminder {
    /// He has no second factor.
    SecondFactorMissing,
    /// He has no mobile number here.
    MobileMissing,
    /// He has no recovery address.
    RecoveryMissing,
    /// His password ends then, or has ended.
    PasswordEnds(Timestamp),
    /// The plan is to be paid until then.
    PayBy(Timestamp),
    /// The plan was not paid in time, and is no more than basic.
    PlanLowered,
    /// The term of the plan ends then.
    TermEnds(Timestamp),
}

impl Reminder {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reminder::SecondFactorMissing => "second-factor-missing",
            Reminder::MobileMissing => "mobile-missing",
            Reminder::RecoveryMissing => "recovery-missing",
            Reminder::PasswordEnds(_) => "password-ends",
            Reminder::PayBy(_) => "pay-by",
            Reminder::PlanLowered => "plan-lowered",
            Reminder::TermEnds(_) => "term-ends",
        }
    }

    /// When, if it has a time.
    #[must_use]
    pub const fn at(self) -> Option<Timestamp> {
        match self {
            Reminder::PasswordEnds(at) | Reminder::PayBy(at) | Reminder::TermEnds(at) => Some(at),
            _ => None,
        }
    }
}

/// How somebody came here before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// How the session before began.
    pub session: SessionBeginning,
    /// It began at another address.
    pub other_address: bool,
    /// It began in another network.
    pub other_network: bool,
}

/// Bulletins that stand on the first page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BulletinsOnHome {
    /// Those that are not read, or whose end is still to come.
    pub shown: Vec<SeenBulletin>,
    /// How many are not read, of the newest hundred; `None`: whoever asks is nobody who reads.
    pub unread: Option<usize>,
}

/// The first page. A part is `None` for who may not look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// What the organisation is called.
    pub organisation: String,
    /// Steps of a beginning, and whether each is done.
    pub guide: Option<Vec<(GuideStep, bool)>>,
    /// Figures of the last week; `None` also where nothing is counted.
    pub week: Option<LastWeek>,
    /// What the organisation has.
    pub edition: Option<EditionCard>,
    /// Functions that there are, and whether the organisation has each.
    pub functions: Option<Vec<(Function, bool)>>,
    /// Its domains.
    pub domains: Option<Vec<DomainOnHome>>,
    /// What the operator tells.
    pub bulletins: Option<BulletinsOnHome>,
    /// Whom to turn to.
    pub contact: Option<Contact>,
    /// The session before this one; `None` also where there was none.
    pub before: Option<Before>,
    /// What is to be known.
    pub reminders: Vec<Reminder>,
}

fn plan_reminders(plan: &Plan, now: Timestamp) -> Vec<Reminder> {
    let mut reminders = Vec::new();
    if plan.is_lowered(now) {
        reminders.push(Reminder::PlanLowered);
    } else {
        reminders.extend(plan.pay_by.filter(|_| plan.payment.days().is_some()).map(Reminder::PayBy));
    }
    let soon = now.plus_millis(TERM_DAYS * DAY);
    reminders.extend(plan.term_ends(now).filter(|ends| *ends <= soon).map(Reminder::TermEnds));
    reminders
}

impl Administration {
    /// The first page of whoever looks at a tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn home(&self, call: &Call, tenant: TenantId) -> Result<Home, AdminError> {
        if call.actor.tenant().is_some_and(|own| own != tenant) {
            return Err(AdminError::NotFound("tenant"));
        }
        let is_own = self.sees_own(call)?;
        let stored = self.stored_tenant(tenant).await?;
        let now = self.clock.now();
        let may = |action: Action| call.may(action, &Scope::Tenant(tenant)).is_ok();
        let domains = async {
            if !may(Action::DomainRead) && !may(Action::TenantRead) {
                return Ok(None);
            }
            let page = Page { after: None, limit: MAX_PAGE };
            Ok::<_, AdminError>(Some(self.directory.domains(tenant, &page).await?.items))
        };
        let week = async {
            let may = may(Action::ReportRead);
            let found = if may { Box::pin(self.last_week(tenant)).await } else { Ok(None) };
            Ok::<_, AdminError>(found.unwrap_or_else(|error: AdminError| {
                tracing::warn!(%tenant, %error, "there are no figures of the week on the first page");
                None
            }))
        };
        let edition = async {
            if !may(Action::PlanRead) {
                return Ok(None);
            }
            let plan = match &stored.plan {
                Some(plan) => self.plan_card(tenant, plan).await?,
                None => None,
            };
            let verification = stored.plan.as_ref().map_or(Verification::Unverified, |it| it.verification);
            Ok::<_, AdminError>(Some(EditionCard { opened: stored.created, verification, plan }))
        };
        let bulletins = async {
            if may(Action::BulletinRead) {
                self.bulletins_on_home(call, tenant).await.map(Some)
            } else {
                Ok(None)
            }
        };
        let begun =
            async { if may(Action::TenantRead) { self.begun(tenant).await.map(Some) } else { Ok(None) } };
        let trial = async { if may(Action::TenantRead) { self.trial_of(tenant).await } else { Ok(None) } };
        let (domains, trial, week, edition, bulletins, begun, contact, before, mut reminders) = futures::try_join!(
            domains,
            trial,
            week,
            edition,
            bulletins,
            begun,
            self.contact_of(tenant),
            self.before(call),
            async { if is_own { self.own_reminders(call).await } else { Ok(Vec::new()) } },
        )?;
        if let Some(plan) = stored.plan.as_ref().filter(|_| may(Action::PlanRead)) {
            reminders.extend(plan_reminders(plan, now));
        }
        // A trial domain is none of its own (DOM-01).
        let is_trial = |domain: &Domain| trial.as_ref().is_some_and(|trial| trial.name == domain.name);
        let is_any =
            |holds: fn(&Domain) -> bool| domains.iter().flatten().any(|it| holds(it) && !is_trial(it));
        let guide = begun.map(|[members, invited, profile]| {
            vec![
                (GuideStep::AddDomain, is_any(|domain| domain.state.is_owned())),
                (GuideStep::PointDomain, is_any(|domain| domain.state == DomainState::Active)),
                (GuideStep::AddMembers, members),
                (GuideStep::InviteMembers, invited),
                (GuideStep::FillProfile, profile),
            ]
        });
        let functions = may(Action::PlanRead)
            .then(|| Function::ALL.iter().map(|function| (*function, stored.has(*function, now))).collect());
        let on_home = |domain: Domain| {
            let takes_none = domain.health.is_some_and(|health| health.takes_mail == Some(false));
            DomainOnHome { lacks_mail: takes_none && domain.state.is_owned(), domain }
        };
        let domains = domains.filter(|_| may(Action::DomainRead));
        Ok(Home {
            organisation: stored.name,
            guide,
            week,
            edition,
            functions,
            domains: domains.map(|domains| domains.into_iter().map(on_home).collect()),
            bulletins,
            contact,
            before,
            reminders,
        })
    }

    /// May whoever asks be told what is his own? A key of his may be for something else, and a program has nothing of its own.
    /// In a session that is for setting up alone nothing is told at all.
    fn sees_own(&self, call: &Call) -> Result<bool, AdminError> {
        let Actor::Person { account, .. } = &call.actor else { return Ok(false) };
        let authority = Authority::default();
        let scope = Scope::Account { key: *account, departments: &[], authority: &authority };
        let may = call.may(Action::RecoveryRead, &scope);
        if call.actor.presence().is_some() {
            may?;
            return Ok(true);
        }
        Ok(may.is_ok())
    }

    /// Is there a member besides the first one, was somebody invited, does the organisation say where it is?
    async fn begun(&self, tenant: TenantId) -> Result<[bool; 3], AdminError> {
        let page = Page { after: None, limit: 20 };
        let accounts = self.directory.accounts(tenant, &page).await?;
        let is_member = |account: &&pennypost_directory::Account| {
            account.kind == AccountKind::Member && account.binned.is_none()
        };
        let has_members = accounts.next.is_some() || accounts.items.iter().filter(is_member).count() > 1;
        let is_invited = !self.directory.invitations(tenant).await?.is_empty();
        let profile = self.read::<OrganisationProfile>(&profile_key(tenant)).await?;
        let says = |profile: OrganisationProfile| !profile.contact.is_empty() || profile.logo.is_some();
        Ok([has_members, is_invited, profile.is_some_and(|(profile, _)| says(profile))])
    }

    async fn plan_card(&self, tenant: TenantId, plan: &Plan) -> Result<Option<PlanCard>, AdminError> {
        let now = self.clock.now();
        let Some(taken) = self.directory.seat_use(tenant).await? else { return Ok(None) };
        let in_force = plan.in_force(now);
        Ok(Some(PlanCard {
            edition: plan.edition.clone(),
            starts: plan.starts,
            ends: plan.term_ends(now),
            is_lowered: plan.is_lowered(now),
            limits: in_force.limits(),
            taken,
            capacities: in_force.capacities,
        }))
    }

    async fn bulletins_on_home(&self, call: &Call, tenant: TenantId) -> Result<BulletinsOnHome, AdminError> {
        let now = self.clock.now();
        let page = Page { after: None, limit: BULLETINS };
        let mut shown = self.bulletins(call, tenant, &page).await?.items;
        let is_unread = |seen: &SeenBulletin| seen.is_read == Some(false);
        let unread = matches!(call.actor, Actor::Person { .. })
            .then(|| shown.iter().filter(|seen| is_unread(seen)).count());
        shown.retain(|seen| match seen.bulletin.until {
            Some(until) => now < until,
            None => seen.is_read != Some(true),
        });
        Ok(BulletinsOnHome { shown, unread })
    }

    /// How whoever is in a session came here before.
    async fn before(&self, call: &Call) -> Result<Option<Before>, AdminError> {
        let (Actor::Person { account, .. }, Some(presence)) = (&call.actor, call.actor.presence()) else {
            return Ok(None);
        };
        let found = self.directory.session_before(*account, presence.session).await?;
        let here: Option<IpAddr> = match call.origin {
            Origin::Api(Some(client)) => Some(client),
            _ => presence.from,
        };
        // Of a place that is not known nobody says that it is another one.
        let seen = |session: SessionBeginning| {
            let places = here.zip(session.address);
            Before {
                other_address: places.is_some_and(|(here, then)| here != then),
                other_network: places.is_some_and(|(here, _)| !session.is_in_network_of(here)),
                session,
            }
        };
        Ok(found.map(seen))
    }

    async fn own_reminders(&self, call: &Call) -> Result<Vec<Reminder>, AdminError> {
        let Actor::Person { account, .. } = &call.actor else { return Ok(Vec::new()) };
        let (key, directory): (AccountKey, _) = (*account, &self.directory);
        let (factor, passkeys, mobile, recovery, age) = futures::try_join!(
            directory.second_factor(key),
            directory.passkeys(key),
            directory.mobile(key),
            directory.recovery(key),
            directory.password_age(key),
        )?;
        let now = self.clock.now();
        let ends = age.filter(|age| age.ends_soon(now)).and_then(|age| age.expires);
        let found = [
            (factor.is_none() && passkeys.is_empty()).then_some(Reminder::SecondFactorMissing),
            // Without text messages no number can be shown to be his.
            (self.sends_sms() && mobile.number.is_none()).then_some(Reminder::MobileMissing),
            recovery.address.is_none().then_some(Reminder::RecoveryMissing),
            ends.map(Reminder::PasswordEnds),
        ];
        Ok(found.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use pennypost_directory::Payment;

    use super::*;

    #[test]
    fn a_plan_reminds_of_what_is_near() {
        let now = Timestamp(1_000 * DAY);
        let at = |days: i64| now.plus_millis(days * DAY);
        let plan = |payment, pay_by: Option<i64>, ends: Option<i64>| Plan {
            payment,
            pay_by: pay_by.map(at),
            ends: ends.map(at),
            ..Plan::pro()
        };
        assert_eq!(plan_reminders(&plan(Payment::Paid, None, Some(31)), now), []);
        assert_eq!(plan_reminders(&plan(Payment::Paid, None, Some(30)), now), [Reminder::TermEnds(at(30))]);
        assert_eq!(plan_reminders(&plan(Payment::Trial, Some(9), None), now), [Reminder::PayBy(at(9))]);
        assert_eq!(plan_reminders(&plan(Payment::Unpaid, Some(-1), None), now), [Reminder::PlanLowered]);
        assert_eq!(plan_reminders(&plan(Payment::Paid, Some(9), None), now), []);
    }
}
