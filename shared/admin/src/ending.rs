//! The end of tenants (TEN-11): when it has come, when everything of a tenant is erased, what stands in the way of it, and how
//! far it is.
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `installation` | `ending-rules` | the [`EndingRules`]: how long a tenant that has ended is kept |
//! | `installation/endings` | tenant | what was said and done about the end of a tenant; it outlives the tenant |
//!
//! A tenant has ended when its term is over, or when it is a free one and its domains have brought no mail for 30 days in a
//! row. That is computed from what is known; what is stored is since when administrators could read of it, the operator's
//! words, and that erasing has begun. Erasing itself is [`crate::erasing`].
//!
//! Of holding, withdrawing and beginning, all of which write the one item by compare-and-set, one is first. What has begun
//! is a state of the tenant, from which nothing leads back.

use pennypost_directory::{Listed, Page, Tenant, TenantState};
use pennypost_model::codec::Versioned;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::By;
use crate::store::MAX_ATTEMPTS;
use crate::{AdminError, Administration, Conflict, Invalid};

/// Days for which a tenant that has ended is kept at least, counted from when its administrators could read of it: as long as
/// deleted mail can be restored.
pub const LEAST_GRACE_DAYS: u32 = 14;
/// Days for which it can be kept by the rule.
const MOST_GRACE_DAYS: u32 = 3_650;
/// Days until an order of the operator is carried out, at most.
const MOST_ORDER_DAYS: u32 = 365;
/// Days in a row without mail after which a free tenant has ended (TEN-11).
const DAYS_WITHOUT_MAIL: i64 = 30;
/// A look at a domain that is older says nothing of today.
const LOOK_LASTS: i64 = 3 * DAY;
/// A look at a domain upon which a tenant is erased for bringing no mail is no older: it may have been mended since.
const LOOK_IS_FRESH: i64 = 6 * HOUR;
/// So long after somebody was about to begin erasing he has begun, or died.
const BEGINNING_LASTS: i64 = HOUR;
/// Characters of a reason.
const MAX_REASON: usize = 500;
const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;

/// How long tenants that have ended are kept: the operator's word. As long as he has said nothing, nothing is erased by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndingRules {
    /// Days from the end until everything is erased; `None`: it is erased at the operator's order only.
    pub grace_days: Option<u32>,
}

impl Versioned for EndingRules {
    const KIND: &'static str = "ending rules";
}

/// Why a tenant has ended. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndCause {
    /// Its term is over.
    Term,
    /// A free one, to whose domains mail has not been brought for 30 days in a row.
    NoMail,
    /// The operator has ordered that it is erased.
    Ordered,
}

impl EndCause {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EndCause::Term => "term",
            EndCause::NoMail => "no-mail",
            EndCause::Ordered => "ordered",
        }
    }
}

/// How far the end of a tenant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndState {
    /// It has not come.
    Open,
    /// It has come; all is there still.
    Ended,
    /// It has come, and the operator holds what there is.
    Held,
    /// What there is is being erased.
    Erasing,
    /// Nothing is there any more.
    Erased,
}

impl EndState {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EndState::Open => "open",
            EndState::Ended => "ended",
            EndState::Held => "held",
            EndState::Erasing => "erasing",
            EndState::Erased => "erased",
        }
    }
}

/// Since when administrators could read of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Noticed {
    cause: EndCause,
    since: Timestamp,
    at: Timestamp,
}

/// An order of the operator that a tenant is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureOrder {
    /// Who has ordered it.
    pub by: By,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Not before then.
    pub from: Timestamp,
}

/// The operator holds what there is of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegalHold {
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// What was erased of a tenant: at least so many, since what a process has erased before it died is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedCounts {
    /// Domains that others may have now.
    pub domains: u64,
    /// Accounts with mail.
    pub accounts: u64,
    /// Objects: packs, bases, segments, spooled letters, files.
    pub objects: u64,
    /// Letters that waited to be sent, and such as could not be dealt with.
    pub letters: u64,
    /// Items of the control table.
    pub items: u64,
    /// Pieces of logs.
    pub records: u64,
}

impl std::ops::AddAssign for ErasedCounts {
    fn add_assign(&mut self, more: ErasedCounts) {
        self.domains += more.domains;
        self.accounts += more.accounts;
        self.objects += more.objects;
        self.letters += more.letters;
        self.items += more.items;
        self.records += more.records;
    }
}

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) opened: Timestamp,
    noticed: Option<Noticed>,
    pub(crate) order: Option<ErasureOrder>,
    hold: Option<LegalHold>,
    /// Erasing has begun, or is about to: nobody withdraws or holds it any more.
    pub(crate) begun: Option<(EndCause, Timestamp)>,
    /// When nothing was left.
    pub(crate) erased: Option<Timestamp>,
    /// When the tenant itself was forgotten.
    pub(crate) gone: Option<Timestamp>,
    pub(crate) counts: ErasedCounts,
}

impl Versioned for Item {
    const KIND: &'static str = "ending of a tenant";
}

impl Item {
    fn of(tenant: &Tenant) -> Item {
        Item {
            name: tenant.name.clone(),
            opened: tenant.created,
            noticed: None,
            order: None,
            hold: None,
            begun: None,
            erased: None,
            gone: None,
            counts: ErasedCounts::default(),
        }
    }

    /// Is nothing said in it that is not known without it?
    fn is_empty(&self) -> bool {
        self.noticed.is_none() && self.order.is_none() && self.hold.is_none() && self.begun.is_none()
    }
}

/// The end of a tenant, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The tenant.
    pub tenant: TenantId,
    /// What it is called, or was.
    pub name: String,
    /// How far it is.
    pub state: EndState,
    /// Why it has ended, or will.
    pub cause: Option<EndCause>,
    /// When it has ended, or will; `None`: it does not end by itself.
    pub ended: Option<Timestamp>,
    /// From then on everything is erased; `None`: not by itself.
    pub erased_from: Option<Timestamp>,
    /// The operator holds it.
    pub hold: Option<LegalHold>,
    /// The operator has ordered it.
    pub order: Option<ErasureOrder>,
    /// When erasing began.
    pub begun: Option<Timestamp>,
    /// When nothing was left.
    pub erased: Option<Timestamp>,
    /// What was erased so far.
    pub counts: ErasedCounts,
}

impl Ending {
    /// Is it time? Only of what administrators could read for long enough, or the operator has ordered.
    fn is_due(&self, item: &Item, now: Timestamp) -> bool {
        let is_told = self.order.is_some() || item.noticed.is_some_and(|noticed| self.is(noticed));
        let is_time = self.erased_from.is_some_and(|from| from <= now);
        self.state == EndState::Ended && is_told && is_time
    }

    fn is(&self, noticed: Noticed) -> bool {
        self.cause == Some(noticed.cause) && self.ended == Some(noticed.since)
    }
}

/// Why and when a tenant ends by itself, if that is known. `without_mail`: since when no domain of it has brought mail.
fn end_of(tenant: &Tenant, without_mail: Option<Timestamp>, now: Timestamp) -> Option<(EndCause, Timestamp)> {
    let plan = tenant.plan.as_ref()?;
    if let Some(ends) = plan.term_ends(now) {
        return Some((EndCause::Term, ends));
    }
    let since = without_mail.filter(|_| plan.is_free(now))?;
    Some((EndCause::NoMail, since.plus_millis(DAYS_WITHOUT_MAIL * DAY)))
}

/// What is told of a tenant's end.
fn look(
    tenant: &Tenant,
    without_mail: Option<Timestamp>,
    item: &Item,
    rules: EndingRules,
    now: Timestamp,
) -> Ending {
    let by_itself = end_of(tenant, without_mail, now);
    let (cause, ended, erased_from) = match (&item.order, by_itself) {
        (Some(order), _) => (Some(EndCause::Ordered), Some(order.at), Some(order.from)),
        (None, Some((cause, since))) => {
            let noticed = item.noticed.filter(|noticed| noticed.cause == cause && noticed.since == since);
            let told = noticed.map_or(since.max(now), |noticed| noticed.at);
            let least = told.plus_millis(i64::from(LEAST_GRACE_DAYS) * DAY);
            let from = rules.grace_days.map(|days| since.plus_millis(i64::from(days) * DAY).max(least));
            (Some(cause), Some(since), from)
        }
        (None, None) => (None, None, None),
    };
    let has_ended = ended.is_some_and(|ended| ended <= now);
    let state = match (tenant.state, item.erased) {
        (TenantState::Erasing, Some(_)) => EndState::Erased,
        (TenantState::Erasing, None) => EndState::Erasing,
        _ if has_ended && item.hold.is_some() => EndState::Held,
        _ if has_ended => EndState::Ended,
        _ => EndState::Open,
    };
    Ending {
        tenant: tenant.id,
        name: tenant.name.clone(),
        state,
        cause: item.begun.map(|(cause, _)| cause).or(cause),
        ended,
        erased_from,
        hold: item.hold.clone(),
        order: item.order.clone(),
        begun: item.begun.map(|(_, at)| at),
        erased: item.erased,
        counts: item.counts,
    }
}

/// What is told of one that is not there any more.
fn look_back(tenant: TenantId, item: &Item) -> Ending {
    Ending {
        tenant,
        name: item.name.clone(),
        state: EndState::Erased,
        cause: item.begun.map(|(cause, _)| cause),
        ended: None,
        erased_from: None,
        hold: None,
        order: item.order.clone(),
        begun: item.begun.map(|(_, at)| at),
        erased: item.erased,
        counts: item.counts,
    }
}

const PARTITION: &str = "installation/endings";

fn key_of(tenant: TenantId) -> ControlKey {
    ControlKey::new(PARTITION, tenant.to_string())
}

fn rules_key() -> ControlKey {
    ControlKey::new("installation", "ending-rules")
}

pub(crate) fn said_reason(reason: &str) -> Result<String, AdminError> {
    let reason = reason.trim();
    let is_good = !reason.is_empty()
        && reason.chars().count() <= MAX_REASON
        && !reason.chars().any(|c| c.is_control() && c != '\n');
    if is_good { Ok(reason.to_owned()) } else { Err(Invalid::Reason { limit: MAX_REASON }.into()) }
}

impl Administration {
    /// How long tenants that have ended are kept.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn ending_rules(&self, call: &Call) -> Result<EndingRules, AdminError> {
        call.may(Action::EndingRulesRead, &Scope::Installation)?;
        self.stored_ending_rules().await
    }

    async fn stored_ending_rules(&self) -> Result<EndingRules, AdminError> {
        Ok(self.read(&rules_key()).await?.map(|(rules, _)| rules).unwrap_or_default())
    }

    /// Says how long they are kept, if that is still as `expected`.
    ///
    /// # Errors
    /// [`Invalid::Grace`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_ending_rules(
        &self,
        call: &Call,
        expected: EndingRules,
        rules: EndingRules,
    ) -> Result<EndingRules, AdminError> {
        let about = About::new(None, Action::EndingRulesChange, "ending-rules")
            .from(json!({ "grace_days": expected.grace_days }))
            .to(json!({ "grace_days": rules.grace_days }));
        self.permit(call, &Scope::Installation, &about).await?;
        if rules.grace_days.is_some_and(|days| !(LEAST_GRACE_DAYS..=MOST_GRACE_DAYS).contains(&days)) {
            return Err(Invalid::Grace { least: LEAST_GRACE_DAYS, most: MOST_GRACE_DAYS }.into());
        }
        self.act(call, &about, async {
            let stored = self.read::<EndingRules>(&rules_key()).await?;
            if stored.map(|(stored, _)| stored).unwrap_or_default() != expected {
                return Err(AdminError::Changed);
            }
            let version = stored.map_or(Expected::Absent, |(_, version)| Expected::Version(version));
            if self.write(&rules_key(), &rules, version).await? {
                Ok(rules)
            } else {
                Err(AdminError::Changed)
            }
        })
        .await
    }

    /// Since when no domain of a tenant has brought mail; `None`: one does, or there is none, or it is not known by looks that
    /// are at most `lasts` milliseconds old.
    async fn without_mail(&self, tenant: &Tenant, lasts: i64) -> Result<Option<Timestamp>, AdminError> {
        let now = self.clock.now();
        if !tenant.plan.as_ref().is_some_and(|plan| plan.is_free(now)) {
            return Ok(None);
        }
        let (mut page, mut latest) = (Page::default(), None::<Timestamp>);
        loop {
            let Listed { items, next } = self.directory.domains(tenant.id, &page).await?;
            for domain in items.iter().filter(|domain| domain.state.is_owned()) {
                let health = domain.health.filter(|health| health.time.plus_millis(lasts) >= now);
                let Some(since) = health.and_then(|health| health.without_mail_since) else {
                    return Ok(None);
                };
                latest = latest.max(Some(since));
            }
            let Some(next) = next else { return Ok(latest) };
            page.after = Some(next);
        }
    }

    pub(crate) async fn stored_ending(&self, tenant: TenantId) -> Result<Option<(Item, u64)>, AdminError> {
        self.read::<Item>(&key_of(tenant)).await
    }

    async fn looked_at(&self, tenant: &Tenant, item: Option<&Item>) -> Result<Ending, AdminError> {
        let rules = self.stored_ending_rules().await?;
        let without_mail = self.without_mail(tenant, LOOK_LASTS).await?;
        let fresh = Item::of(tenant);
        Ok(look(tenant, without_mail, item.unwrap_or(&fresh), rules, self.clock.now()))
    }

    /// Is it time to erase a tenant, as it was looked at? One without mail may have been mended since the last look.
    async fn is_due(&self, tenant: &Tenant, ending: &Ending, item: &Item) -> Result<bool, AdminError> {
        if !ending.is_due(item, self.clock.now()) {
            return Ok(false);
        }
        Ok(ending.cause != Some(EndCause::NoMail)
            || self.without_mail(tenant, LOOK_IS_FRESH).await?.is_some())
    }

    /// The end of a tenant: has it come, when will everything be erased, how far is that.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn ending(&self, call: &Call, tenant: TenantId) -> Result<Ending, AdminError> {
        call.may(Action::TenantRead, &Scope::Tenant(tenant))?;
        let stored = self.stored_tenant(tenant).await?;
        let item = self.stored_ending(tenant).await?;
        self.looked_at(&stored, item.as_ref().map(|(item, _)| item)).await
    }

    /// Tenants of whose end there is something to be told: such as have ended, are held, are to be erased or were.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn endings(&self, call: &Call, page: &Page) -> Result<Listed<Ending>, AdminError> {
        call.may(Action::EndingList, &Scope::Installation)?;
        let Listed { items, next } = self.list::<Item>(PARTITION, page).await?;
        let mut endings = Vec::with_capacity(items.len());
        for (sort, item) in items {
            let Ok(tenant) = sort.parse::<TenantId>() else { continue };
            endings.push(match self.directory.tenant(tenant).await? {
                Some(stored) => self.looked_at(&stored, Some(&item)).await?,
                None => look_back(tenant, &item),
            });
        }
        Ok(Listed { items: endings, next })
    }

    /// Writes what is said of a tenant's end, unless erasing has begun.
    async fn change_ending(
        &self,
        tenant: &Tenant,
        change: impl Fn(&mut Item) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let key = key_of(tenant.id);
        for _ in 0..MAX_ATTEMPTS {
            let (mut item, expected) = match self.read::<Item>(&key).await? {
                Some((item, version)) => (item, Expected::Version(version)),
                None => (Item::of(tenant), Expected::Absent),
            };
            if item.begun.is_some() {
                return Err(AdminError::Conflict(Conflict::ErasingBegun));
            }
            change(&mut item)?;
            if self.write(&key, &item, expected).await? {
                return Ok(());
            }
        }
        Err(AdminError::Changed)
    }

    /// As the operator: orders that everything of a tenant is erased, after some days. Confirmed by its name.
    ///
    /// # Errors
    /// [`Conflict::NotConfirmed`], [`Conflict::ErasingBegun`], [`Invalid::Reason`], [`Invalid::OrderDays`], or others of
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn order_erasure(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
        reason: &str,
        days: u32,
    ) -> Result<Ending, AdminError> {
        let about = About::new(Some(tenant), Action::TenantErase, name)
            .to(json!({ "ordered": true, "reason": reason, "days": days }));
        self.permit_alone(call, &Scope::Tenant(tenant), &about).await?;
        let stored = self.stored_tenant(tenant).await?;
        let reason = said_reason(reason)?;
        if days > MOST_ORDER_DAYS {
            return Err(Invalid::OrderDays { most: MOST_ORDER_DAYS }.into());
        }
        if name != stored.name {
            return Err(AdminError::Conflict(Conflict::NotConfirmed));
        }
        self.permit_without_second(call, Some(tenant), Action::TenantErase).await?;
        let at = self.clock.now();
        let order =
            ErasureOrder { by: By::of(&call.actor), reason, at, from: at.plus_millis(i64::from(days) * DAY) };
        self.act(call, &about, async {
            self.change_ending(&stored, |item| {
                item.order = Some(order.clone());
                Ok(())
            })
            .await?;
            if days == 0
                && let Err(error) = self.tell_of_erasing(tenant).await
            {
                // It is ordered all the same, and the daily round carries it out.
                tracing::warn!(%tenant, %error, "housekeeping was not told that a tenant is to be erased");
            }
            Ok::<_, AdminError>(())
        })
        .await?;
        self.ending(call, tenant).await
    }

    /// Withdraws such an order, if there is one, until it has begun to be carried out.
    ///
    /// # Errors
    /// [`Conflict::ErasingBegun`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn withdraw_erasure(&self, call: &Call, tenant: TenantId) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::TenantErasureWithdraw, "erasure")
            .to(json!({ "ordered": false }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let stored = self.stored_tenant(tenant).await?;
        self.act(call, &about, async {
            self.change_ending(&stored, |item| {
                item.order = None;
                Ok(())
            })
            .await
        })
        .await
    }

    /// As the operator: holds what there is of a tenant, whatever ends or is ordered (`Some`: why), or no longer.
    ///
    /// # Errors
    /// [`Conflict::ErasingBegun`], [`Invalid::Reason`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn hold_tenant(
        &self,
        call: &Call,
        tenant: TenantId,
        reason: Option<&str>,
    ) -> Result<Ending, AdminError> {
        let about = About::new(Some(tenant), Action::TenantHold, "hold").to(json!({ "reason": reason }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let stored = self.stored_tenant(tenant).await?;
        let since = self.clock.now();
        let hold = reason.map(said_reason).transpose()?.map(|reason| LegalHold { reason, since });
        self.act(call, &about, async {
            self.change_ending(&stored, |item| {
                item.hold.clone_from(&hold);
                Ok(())
            })
            .await
        })
        .await?;
        self.ending(call, tenant).await
    }

    /// The daily look at a tenant's end: notes since when it could be read of, and forgets what is not so any more. `true`:
    /// it is to be erased, or is being so.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn look_at_end(&self, tenant: TenantId) -> Result<bool, AdminError> {
        let Some(stored) = self.directory.tenant(tenant).await? else { return Ok(false) };
        if stored.state == TenantState::Erasing {
            return Ok(true);
        }
        let found = self.stored_ending(tenant).await?;
        let mut item = found.as_ref().map_or_else(|| Item::of(&stored), |(item, _)| item.clone());
        let now = self.clock.now();
        let without_mail = self.without_mail(&stored, LOOK_LASTS).await?;
        let by_itself = end_of(&stored, without_mail, now).filter(|(_, since)| *since <= now);
        let is_known = |noticed: Noticed| by_itself == Some((noticed.cause, noticed.since));
        if !item.noticed.is_some_and(is_known) {
            item.noticed = by_itself.map(|(cause, since)| Noticed { cause, since, at: now });
        }
        // Somebody died when he was about to begin, and it has been renewed since.
        let ending = self.looked_at(&stored, Some(&item)).await?;
        let is_due = self.is_due(&stored, &ending, &item).await?;
        let is_dead = |at: Timestamp| at.plus_millis(BEGINNING_LASTS) <= now;
        // Whoever is still about to begin has to find that nobody holds or withdraws meanwhile.
        if !is_due && item.begun.is_some_and(|(_, at)| is_dead(at)) {
            item.begun = None;
        }
        let key = key_of(tenant);
        match found {
            Some((was, version)) if was != item && item.is_empty() => {
                self.control.delete_if(&key, version).await?;
            }
            // Of two that write at once the other one has seen what this one has.
            Some((was, version)) if was != item => {
                self.write(&key, &item, Expected::Version(version)).await?;
            }
            None if !item.is_empty() => {
                self.write(&key, &item, Expected::Absent).await?;
            }
            _ => {}
        }
        Ok(is_due)
    }

    /// Begins to erase a tenant if it is time, or says that somebody has begun: from then on nothing leads back.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn begin_erasing(&self, tenant: TenantId) -> Result<bool, AdminError> {
        let Some(stored) = self.directory.tenant(tenant).await? else { return Ok(false) };
        if stored.state == TenantState::Erasing {
            return Ok(true);
        }
        let Some((mut item, version)) = self.stored_ending(tenant).await? else { return Ok(false) };
        let now = self.clock.now();
        let ending = self.looked_at(&stored, Some(&item)).await?;
        let (Some(cause), true) = (ending.cause, self.is_due(&stored, &ending, &item).await?) else {
            return Ok(false);
        };
        item.begun = Some((cause, now));
        if !self.write(&key_of(tenant), &item, Expected::Version(version)).await? {
            // Held, withdrawn, or begun by another one: whoever comes next sees it.
            return Ok(false);
        }
        self.record_tenant_erasure(tenant, &item, cause).await?;
        if self.clock.now() >= now.plus_millis(BEGINNING_LASTS / 2) {
            // Taken for dead soon: another one begins anew.
            return Ok(false);
        }
        let is_to_be = |found: &Tenant| cause == EndCause::Ordered || found.plan == stored.plan;
        Ok(self.directory.begin_erasing_tenant(tenant, is_to_be).await?)
    }

    /// Some of the tenants that were forgotten, and where the next ones begin.
    pub(crate) async fn gone_tenants(
        &self,
        after: Option<&str>,
    ) -> Result<(Vec<TenantId>, Option<String>), AdminError> {
        let page = Page { after: after.map(str::to_owned), ..Page::default() };
        let Listed { items, next } = self.list::<Item>(PARTITION, &page).await?;
        let gone = items.into_iter().filter(|(_, item)| item.gone.is_some());
        Ok((gone.filter_map(|(sort, _)| sort.parse().ok()).collect(), next))
    }

    /// Writes what is told of a tenant that is being erased, or was.
    pub(crate) async fn change_erased(
        &self,
        tenant: TenantId,
        change: impl Fn(&mut Item),
    ) -> Result<(), AdminError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some((mut item, version)) = self.stored_ending(tenant).await? else { return Ok(()) };
            let was = item.clone();
            change(&mut item);
            if item == was || self.write(&key_of(tenant), &item, Expected::Version(version)).await? {
                return Ok(());
            }
        }
        Err(AdminError::Changed)
    }
}

#[cfg(test)]
mod tests {
    use pennypost_directory::{ClientSettings, Payment, Plan};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000 * DAY);

    fn tenant(plan: Option<Plan>) -> Tenant {
        Tenant {
            id: TenantId(7),
            name: "acme".to_owned(),
            state: TenantState::Active,
            created: Timestamp(1),
            clients: ClientSettings::default(),
            plan,
            block: None,
            has_unified_names: false,
            has_footers: false,
            has_content_rules: false,
        }
    }

    fn days(days: i64) -> Timestamp {
        NOW.plus_millis(days * DAY)
    }

    fn ending_at(ends: Timestamp) -> Tenant {
        tenant(Some(Plan { ends: Some(ends), ..Plan::pro() }))
    }

    #[test]
    fn nothing_is_erased_that_nobody_could_read_of() {
        let over = ending_at(days(-400));
        // Nor at all, if the operator has said nothing.
        let unsaid = look(&over, None, &Item::of(&over), EndingRules::default(), NOW);
        assert_eq!((unsaid.state, unsaid.erased_from), (EndState::Ended, None));
        let rules = EndingRules { grace_days: Some(90) };
        let mut item = Item::of(&over);
        let unseen = look(&over, None, &item, rules, NOW);
        assert_eq!((unseen.state, unseen.erased_from), (EndState::Ended, Some(days(14))));
        assert!(!unseen.is_due(&item, days(20)));
        item.noticed = Some(Noticed { cause: EndCause::Term, since: days(-400), at: NOW });
        let at = |item: &Item, now| look(&over, None, item, rules, now).is_due(item, now);
        assert!(!at(&item, days(14).plus_millis(-1)) && at(&item, days(14)));
        // What was read of another term says nothing of this one.
        item.noticed = Some(Noticed { cause: EndCause::Term, since: days(-401), at: days(-300) });
        assert!(!at(&item, NOW));
        item.noticed = Some(Noticed { cause: EndCause::Term, since: days(-400), at: days(-300) });
        assert!(at(&item, NOW));
        item.hold = Some(LegalHold { reason: "a court".to_owned(), since: NOW });
        assert!(!at(&item, NOW));
        assert_eq!(look(&over, None, &item, rules, NOW).state, EndState::Held);
    }

    #[test]
    fn the_time_of_grace_is_told_before_the_end() {
        let running = ending_at(days(10));
        let item = Item::of(&running);
        for (grace, from) in [(Some(90), Some(days(100))), (Some(14), Some(days(24))), (None, None)] {
            let told = look(&running, None, &item, EndingRules { grace_days: grace }, NOW);
            assert_eq!((told.state, told.ended, told.erased_from), (EndState::Open, Some(days(10)), from));
        }
    }

    #[test]
    fn free_tenants_without_mail_end_and_no_others() {
        let free = tenant(Some(Plan::basic()));
        let since = Some(days(-31));
        let item = Item::of(&free);
        let rules = EndingRules::default();
        let ended = look(&free, since, &item, rules, NOW);
        assert_eq!(
            (ended.state, ended.cause, ended.ended),
            (EndState::Ended, Some(EndCause::NoMail), Some(days(-1)))
        );
        assert_eq!(look(&free, Some(days(-29)), &item, rules, NOW).state, EndState::Open);
        assert_eq!(look(&free, None, &item, rules, NOW).cause, None);
        // A trial that is over, and an order that was never paid, have left it a free one.
        let pay_by = Some(days(-1));
        for payment in [Payment::Trial, Payment::Unpaid] {
            let ends = (payment == Payment::Unpaid).then_some(days(300));
            let lowered = tenant(Some(Plan { payment, pay_by, ends, ..Plan::pro() }));
            let ended = look(&lowered, since, &Item::of(&lowered), rules, NOW);
            assert_eq!(ended.cause, Some(EndCause::NoMail), "{payment:?}");
        }
        let paid = tenant(Some(Plan { payment: Payment::Paid, ..Plan::pro() }));
        for other in [paid, tenant(None)] {
            assert_eq!(look(&other, since, &Item::of(&other), rules, NOW).cause, None);
        }
    }

    #[test]
    fn the_operators_order_needs_no_end() {
        let open = tenant(None);
        let order = ErasureOrder { by: By::Operator, reason: "fraud".to_owned(), at: NOW, from: days(7) };
        let item = Item { order: Some(order), ..Item::of(&open) };
        // Also where nothing is erased by itself.
        let at = |now| look(&open, None, &item, EndingRules { grace_days: None }, now).is_due(&item, now);
        assert!(!at(days(7).plus_millis(-1)) && at(days(7)));
    }
}
