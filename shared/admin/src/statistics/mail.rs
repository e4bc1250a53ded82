//! What was received and sent: by day, by domain, by member (LOG-01).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use pennypost_directory::Account;
use pennypost_journeys::{Counted, Counts, count_day};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::ControlKey;

use super::rollup::{DayHead, Heads, heads_partition, members_partition, members_prefix};
use super::{beginning, day_of, page_of};
use crate::action::Action;
use crate::authorise::Scope;
use crate::call::Call;
use crate::sight::Sight;
use crate::{AdminError, Administration};

/// Letters of a day that are counted while somebody waits: of a day that is not over, or was not counted yet.
const AT_ONCE: u64 = 20_000;
/// Days before today that are counted while somebody waits.
const NOT_COUNTED_YET: i64 = 2;
/// How often the sheet of a day is looked for anew because it was replaced.
const ATTEMPTS: usize = 4;

/// From the beginning of a day to the end of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// From then on.
    pub from: Timestamp,
    /// Before then.
    pub until: Timestamp,
}

/// What was received and sent on a day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayOfMail {
    /// Its beginning.
    pub day: Timestamp,
    /// When it was counted; `None`: it was not, and nothing is known of it.
    pub counted: Option<Timestamp>,
    /// What it came to.
    pub counts: Counts,
}

/// What a member received and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberOfMail {
    /// Which account.
    pub id: AccountId,
    /// The account, unless it is gone.
    pub account: Option<Account>,
    /// What it received and sent.
    pub counts: Counts,
}

/// By what members are ordered, the most first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MemberOrder {
    /// Letters received.
    #[default]
    Received,
    /// Their bytes.
    ReceivedBytes,
    /// Letters sent.
    Sent,
    /// Their bytes.
    SentBytes,
}

impl MemberOrder {
    /// Every order.
    pub const ALL: [MemberOrder; 4] =
        [MemberOrder::Received, MemberOrder::ReceivedBytes, MemberOrder::Sent, MemberOrder::SentBytes];

    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            MemberOrder::Received => "received",
            MemberOrder::ReceivedBytes => "received-bytes",
            MemberOrder::Sent => "sent",
            MemberOrder::SentBytes => "sent-bytes",
        }
    }

    const fn of(self, counts: &Counts) -> u64 {
        match self {
            MemberOrder::Received => counts.received,
            MemberOrder::ReceivedBytes => counts.received_bytes,
            MemberOrder::Sent => counts.sent,
            MemberOrder::SentBytes => counts.sent_bytes,
        }
    }
}

impl Administration {
    /// What the tenant, or one of its domains, received and sent on each day of a period, 92 days at most; days that the
    /// plan shows no more are left out.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mail_statistics(
        &self,
        call: &Call,
        tenant: TenantId,
        period: &Period,
        domain: Option<&str>,
    ) -> Result<Vec<DayOfMail>, AdminError> {
        call.may(Action::MailStatisticsRead, &Scope::Tenant(tenant))?;
        self.days_of_mail(tenant, period, domain).await
    }

    /// The same for whoever may see it.
    pub(crate) async fn days_of_mail(
        &self,
        tenant: TenantId,
        period: &Period,
        domain: Option<&str>,
    ) -> Result<Vec<DayOfMail>, AdminError> {
        let domain = domain.map(str::to_lowercase);
        let shown = |total: Counts, domains: &BTreeMap<String, Counts>| match &domain {
            None => total,
            Some(domain) => domains.get(domain).copied().unwrap_or_default(),
        };
        let days = self.shown_days(tenant, period).await?;
        let heads = self.mail_heads(tenant).await?;
        let mut found = Vec::with_capacity(days.clone().count());
        for day in days {
            let (counted, counts) = match heads.get(&day) {
                Some((head, _)) => (Some(head.counted), shown(head.total, &head.domains)),
                None => match self.count_at_once(tenant, day).await? {
                    Some((at, found)) => (Some(at), shown(found.total, &found.domains)),
                    None => (None, Counts::default()),
                },
            };
            found.push(DayOfMail { day: beginning(day), counted, counts });
        }
        Ok(found)
    }

    /// What the tenant received and sent in a period; `None`: a day of it is not counted yet, and has more letters than are
    /// counted while somebody waits.
    pub(crate) async fn mail_of(
        &self,
        tenant: TenantId,
        period: &Period,
    ) -> Result<Option<Counts>, AdminError> {
        let oldest = self.oldest_trace(tenant).await?;
        let days = self.days_of_mail(tenant, period, None).await?;
        let mut sum = Counts::default();
        for DayOfMail { day, counted, counts } in days {
            // Before the oldest letter there is nothing to count.
            if counted.is_none() && oldest.is_some_and(|oldest| oldest <= day_of(day)) {
                return Ok(None);
            }
            sum += counts;
        }
        Ok(Some(sum))
    }

    /// Counts a day of which nothing is noted yet, if it is one of the last and has not too many letters.
    async fn count_at_once(
        &self,
        tenant: TenantId,
        day: i64,
    ) -> Result<Option<(Timestamp, Counted)>, AdminError> {
        let now = self.clock.now();
        let today = day_of(now);
        if !(today - NOT_COUNTED_YET..=today).contains(&day) {
            return Ok(None);
        }
        let counted = count_day(&**self.traces()?, tenant, day, AT_ONCE).await?;
        Ok(counted.map(|counted| (now, counted)))
    }

    /// Members that the actor may see with what they received and sent in a period, the most first; those that received and
    /// sent nothing are left out. With where the next page begins.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn member_statistics(
        &self,
        call: &Call,
        tenant: TenantId,
        period: &Period,
        order: MemberOrder,
        (after, limit): (usize, usize),
    ) -> Result<(Vec<MemberOfMail>, Option<usize>), AdminError> {
        let mut sight = Sight::new(self, call, Action::MemberStatisticsRead, tenant).await?;
        let mut members: BTreeMap<AccountId, Counts> = BTreeMap::new();
        let days = self.shown_days(tenant, period).await?;
        let heads = self.mail_heads(tenant).await?;
        for day in days {
            for (account, counts) in self.members_of(tenant, day, &heads).await? {
                *members.entry(account).or_default() += counts;
            }
        }
        sight.look_up_all().await?;
        let mut rows = Vec::with_capacity(members.len());
        for (id, counts) in members {
            if order.of(&counts) > 0 && sight.sees(AccountKey { tenant, account: id }).await? {
                rows.push((id, counts));
            }
        }
        rows.sort_by_key(|(id, counts)| (Reverse(order.of(counts)), *id));
        let (page, next) = page_of(rows, after, limit);
        let mut found = Vec::with_capacity(page.len());
        for (id, counts) in page {
            let account = self.directory.account(AccountKey { tenant, account: id }).await?;
            found.push(MemberOfMail { id, account, counts });
        }
        Ok((found, next))
    }

    /// What members received and sent on a day.
    async fn members_of(
        &self,
        tenant: TenantId,
        day: i64,
        heads: &Heads,
    ) -> Result<Vec<(AccountId, Counts)>, AdminError> {
        let Some((head, _)) = heads.get(&day) else {
            let counted = self.count_at_once(tenant, day).await?;
            return Ok(counted.map(|(_, counted)| counted.members.into_iter().collect()).unwrap_or_default());
        };
        let (members, prefix) = (members_partition(tenant), members_prefix(day));
        let mut head = head.clone();
        for _ in 0..ATTEMPTS {
            if let Some(rows) = self.read_sheet((&members, &prefix), &head.sheet).await? {
                return Ok(rows);
            }
            // It was counted anew meanwhile.
            let key = ControlKey::new(heads_partition(tenant), beginning(day).day());
            let Some((next, _)) = self.read::<DayHead>(&key).await? else { return Ok(Vec::new()) };
            head = next;
        }
        Err(pennypost_directory::DirectoryError::Contended.into())
    }
}
