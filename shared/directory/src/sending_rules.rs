//! What an organisation says of its members' letters to others: who may send none (SND-22), and how many within which time
//! the others may (SND-21). Departments, tags and accounts are named (ORG-25).
//!
//! `T`/`sending-rules` holds all of it; without it nothing is forbidden. It is read when a letter to somebody outside is handed
//! in, so that what is said holds at once. Ids are never given again: what is left over of a department, a tag or an account
//! that is gone holds nobody.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::{Account, AccountKind, DepartmentId, DepartmentTree, Directory, DirectoryError, Standing, TagId};

/// Those who may send nothing outside, and those of whom it is said how often they may, each.
pub const MAX_SENDING_RULES: usize = 1_000;
/// Tags among all of them: each is read when a letter goes out.
pub const MAX_SENDING_TAGS: usize = 50;
/// Messages of a limit.
const MAX_MESSAGES: u32 = 1_000_000;
/// Minutes of a limit: 31 days.
const MAX_MINUTES: u32 = 31 * 24 * 60;
/// Reads at once.
const AT_ONCE: usize = 16;

/// Of whom something is said. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SendingTarget {
    /// The members of a department and of those below it.
    Department(DepartmentId),
    /// Whom a tag marks, and the members in and below the departments that it marks.
    Tag(TagId),
    /// An account: a member, or a business mailbox.
    Account(AccountId),
}

/// So many messages within so many minutes, counted from the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frequency {
    messages: u32,
    minutes: u32,
}

/// A limit that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a limit is 1 to {MAX_MESSAGES} messages within 1 to {MAX_MINUTES} minutes")]
pub struct BadFrequency;

impl BadFrequency {
    /// Messages, and minutes, that a limit has at most.
    pub const MOST: (u32, u32) = (MAX_MESSAGES, MAX_MINUTES);
}

impl Frequency {
    /// So many messages within so many minutes.
    ///
    /// # Errors
    /// [`BadFrequency`].
    pub fn new(messages: u32, minutes: u32) -> Result<Frequency, BadFrequency> {
        let is_good = (1..=MAX_MESSAGES).contains(&messages) && (1..=MAX_MINUTES).contains(&minutes);
        if is_good { Ok(Frequency { messages, minutes }) } else { Err(BadFrequency) }
    }

    /// How many messages.
    #[must_use]
    pub const fn messages(self) -> u32 {
        self.messages
    }

    /// Within how many minutes.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.minutes
    }

    /// The one that lets fewer through in the long run, or else at once, is less.
    fn compare(&self, other: &Frequency) -> Ordering {
        let rate = |one: &Frequency, by: &Frequency| u64::from(one.messages) * u64::from(by.minutes);
        rate(self, other).cmp(&rate(other, self)).then(self.messages.cmp(&other.messages))
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.messages, self.minutes)
    }
}

/// What an organisation says of letters to others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendingRules {
    /// They send nothing outside (SND-22).
    pub forbidden: BTreeSet<SendingTarget>,
    /// How often each account may that nothing else is said of (SND-21).
    pub everybody: Option<Frequency>,
    /// How often these may; `None`: as often as they like.
    pub limits: BTreeMap<SendingTarget, Option<Frequency>>,
}

impl Versioned for SendingRules {
    const KIND: &'static str = "sending rules";
}

/// What holds for an account's letters to others outside the organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outward {
    /// It sends none.
    Forbidden,
    /// It may, so often; `None`: as often as it likes.
    Open(Option<Frequency>),
}

/// Where an account stands among those whom rules can name.
pub(crate) struct Place {
    account: AccountId,
    /// Its departments, each with those above it, the organisation last. Business mailboxes are in none.
    departments: Vec<Vec<DepartmentId>>,
    tags: BTreeSet<TagId>,
}

impl Place {
    pub(crate) fn is_held_by(&self, target: SendingTarget) -> bool {
        match target {
            SendingTarget::Department(id) => self.departments.iter().flatten().any(|one| *one == id),
            SendingTarget::Tag(id) => self.tags.contains(&id),
            SendingTarget::Account(id) => self.account == id,
        }
    }
}

/// The departments and tags that have to be known to tell whom rules hold.
#[derive(Default)]
pub(crate) struct Known {
    tree: DepartmentTree,
    tags: Vec<(TagId, BTreeSet<DepartmentId>, BTreeSet<AccountId>)>,
}

impl Known {
    pub(crate) fn place(&self, account: &Account) -> Place {
        let root = [DepartmentId::ROOT];
        let own: &[DepartmentId] = match account.kind {
            AccountKind::Member if account.departments.is_empty() => &root,
            AccountKind::Member => &account.departments,
            _ => &[],
        };
        let upwards = |id: &DepartmentId| {
            let mut line = self.tree.with_above(*id);
            line.push(DepartmentId::ROOT);
            line
        };
        let departments: Vec<Vec<DepartmentId>> = own.iter().map(upwards).collect();
        let is_marked = |marked: &BTreeSet<DepartmentId>, accounts: &BTreeSet<AccountId>| {
            accounts.contains(&account.key.account)
                || departments.iter().flatten().any(|department| marked.contains(department))
        };
        let tags = self.tags.iter().filter(|(_, marked, accounts)| is_marked(marked, accounts));
        Place { account: account.key.account, tags: tags.map(|(id, ..)| *id).collect(), departments }
    }
}

impl SendingRules {
    /// Everybody whom it names.
    fn targets(&self) -> impl Iterator<Item = SendingTarget> {
        self.forbidden.iter().chain(self.limits.keys()).copied()
    }

    fn tags(&self) -> BTreeSet<TagId> {
        let tag = |target| if let SendingTarget::Tag(id) = target { Some(id) } else { None };
        self.targets().filter_map(tag).collect()
    }

    fn forbids(&self, place: &Place) -> bool {
        self.forbidden.iter().any(|target| place.is_held_by(*target))
    }

    /// What is said of the account itself, else of its tags, else of the nearest of its departments, else of everybody. Of
    /// several tags, and of several departments, the least holds.
    fn limit(&self, place: &Place) -> Option<Frequency> {
        let said = |target| self.limits.get(&target).copied();
        let nearest =
            |line: &Vec<DepartmentId>| line.iter().find_map(|id| said(SendingTarget::Department(*id)));
        said(SendingTarget::Account(place.account))
            .or_else(|| least(place.tags.iter().filter_map(|id| said(SendingTarget::Tag(*id)))))
            .or_else(|| least(place.departments.iter().filter_map(nearest)))
            .unwrap_or(self.everybody)
    }

    /// Is nothing to be looked up to know what holds for the account?
    fn is_clear_for(&self, account: AccountId) -> bool {
        let itself = SendingTarget::Account(account);
        let is_account = |target: &SendingTarget| matches!(target, SendingTarget::Account(_));
        self.forbidden.contains(&itself)
            || self.forbidden.iter().all(is_account)
                && (self.limits.contains_key(&itself) || self.limits.keys().all(is_account))
    }
}

/// The one that lets the fewest through; none lets all through.
fn least(said: impl Iterator<Item = Option<Frequency>>) -> Option<Option<Frequency>> {
    said.min_by(|one, other| match (one, other) {
        (Some(one), Some(other)) => one.compare(other),
        (one, other) => one.is_none().cmp(&other.is_none()),
    })
}

fn rules_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "sending-rules")
}

impl Directory {
    /// What an organisation says of letters to others.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn sending_rules(&self, tenant: TenantId) -> Result<SendingRules, DirectoryError> {
        let held = self.read::<SendingRules>(&rules_key(tenant), Consistency::Strong).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// Says something else, if what holds is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// [`DirectoryError::TooMany`]; [`DirectoryError::NoDepartment`], [`DirectoryError::NoTag`] or
    /// [`DirectoryError::NoAccount`] for somebody who was not named before and is not there; or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn change_sending_rules(
        &self,
        tenant: TenantId,
        expected: &SendingRules,
        rules: &SendingRules,
    ) -> Result<bool, DirectoryError> {
        if rules.forbidden.len().max(rules.limits.len()) > MAX_SENDING_RULES {
            return Err(DirectoryError::TooMany { what: "sending rules", limit: MAX_SENDING_RULES });
        }
        if rules.tags().len() > MAX_SENDING_TAGS {
            return Err(DirectoryError::TooMany { what: "tags of sending rules", limit: MAX_SENDING_TAGS });
        }
        let key = rules_key(tenant);
        let held = self.read::<SendingRules>(&key, Consistency::Strong).await?;
        let (stored, version) = match held {
            Some(held) => (held.value, Expected::Version(held.version)),
            None => (SendingRules::default(), Expected::Absent),
        };
        if stored != *expected {
            return Ok(false);
        }
        if stored == *rules {
            return Ok(true);
        }
        let known: BTreeSet<SendingTarget> = stored.targets().collect();
        self.check_targets(tenant, rules.targets().filter(|target| !known.contains(target)).collect())
            .await?;
        Ok(self.write(&key, rules, version).await?.is_some())
    }

    /// Are all of them there?
    pub(crate) async fn check_targets(
        &self,
        tenant: TenantId,
        targets: BTreeSet<SendingTarget>,
    ) -> Result<(), DirectoryError> {
        let (mut departments, mut tags, mut accounts) = (Vec::new(), Vec::new(), Vec::new());
        for target in targets {
            match target {
                SendingTarget::Department(id) => departments.push(id),
                SendingTarget::Tag(id) => tags.push(id),
                SendingTarget::Account(account) => accounts.push(AccountKey { tenant, account }),
            }
        }
        if !departments.is_empty() {
            let tree = self.departments(tenant).await?;
            if let Some(missing) = departments.into_iter().find(|id| !tree.holds(*id)) {
                return Err(DirectoryError::NoDepartment(format!("#{missing}")));
            }
        }
        if !tags.is_empty() {
            let there = self.tags(tenant).await?;
            if let Some(missing) = tags.into_iter().find(|id| !there.iter().any(|(known, _)| known == id)) {
                return Err(DirectoryError::NoTag(format!("#{}", missing.0)));
            }
        }
        let looked = accounts.into_iter().map(|key| async move {
            let missing = || DirectoryError::NoAccount(key.account.to_string());
            self.account(key).await?.map(drop).ok_or_else(missing)
        });
        let looked: Vec<_> = looked.collect();
        stream::iter(looked).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// What holds for the letters of an account to others outside its organisation.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn outward(&self, account: &Account) -> Result<Outward, DirectoryError> {
        self.outward_with(account, None).await
    }

    /// The same for what a session stands on. Where somebody uses a business mailbox, what is forbidden to him is forbidden
    /// there, too; how often, is said of the mailbox.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn outward_of(&self, standing: &Standing) -> Result<Outward, DirectoryError> {
        self.outward_with(&standing.account, standing.user.as_deref()).await
    }

    /// The same for an account, where somebody else perhaps uses it.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn outward_for(
        &self,
        account: &Account,
        user: Option<&Account>,
    ) -> Result<Outward, DirectoryError> {
        self.outward_with(account, user).await
    }

    async fn outward_with(
        &self,
        account: &Account,
        user: Option<&Account>,
    ) -> Result<Outward, DirectoryError> {
        let tenant = account.key.tenant;
        let rules = self.sending_rules(tenant).await?;
        let is_clear =
            [Some(account), user].into_iter().flatten().all(|one| rules.is_clear_for(one.key.account));
        let known = if is_clear { Known::default() } else { self.known_for(tenant, rules.tags()).await? };
        let place = known.place(account);
        let is_forbidden =
            rules.forbids(&place) || user.is_some_and(|user| rules.forbids(&known.place(user)));
        if is_forbidden { Ok(Outward::Forbidden) } else { Ok(Outward::Open(rules.limit(&place))) }
    }

    /// What has to be known where departments are named, and these tags.
    pub(crate) async fn known_for(
        &self,
        tenant: TenantId,
        tags: BTreeSet<TagId>,
    ) -> Result<Known, DirectoryError> {
        let marks = tags.into_iter().map(|id| async move {
            let (departments, accounts) = self.marks_of(tenant, id).await?;
            Ok::<_, DirectoryError>((id, departments, accounts))
        });
        let marks: Vec<_> = marks.collect();
        let marks = stream::iter(marks).buffer_unordered(AT_ONCE).try_collect();
        let (tree, tags) = tokio::try_join!(self.departments(tenant), marks)?;
        Ok(Known { tree, tags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: AccountId = AccountId(7);

    fn often(messages: u32, minutes: u32) -> Option<Frequency> {
        Some(Frequency::new(messages, minutes).expect("a limit"))
    }

    /// In departments 3 (below 2) and 5, marked by the tags 1 and 2.
    fn place() -> Place {
        let line = |ids: &[u32]| ids.iter().map(|id| DepartmentId(*id)).collect();
        let departments = vec![line(&[3, 2, 1]), line(&[5, 1])];
        Place { account: ME, departments, tags: [TagId(1), TagId(2)].into() }
    }

    #[test]
    fn who_is_named_in_any_way_is_forbidden_to_send() {
        use SendingTarget::{Account, Department, Tag};
        for (target, is_held) in [
            (Account(ME), true),
            (Account(AccountId(8)), false),
            (Tag(TagId(2)), true),
            (Tag(TagId(3)), false),
            (Department(DepartmentId(3)), true),
            (Department(DepartmentId(2)), true),
            (Department(DepartmentId::ROOT), true),
            (Department(DepartmentId(4)), false),
        ] {
            let rules = SendingRules { forbidden: [target].into(), ..SendingRules::default() };
            assert_eq!(rules.forbids(&place()), is_held, "{target:?}");
        }
    }

    #[test]
    fn the_nearest_word_holds_and_of_several_the_least() {
        use SendingTarget::{Account, Department, Tag};
        let mut rules = SendingRules { everybody: often(100, 60), ..SendingRules::default() };
        assert_eq!(rules.limit(&place()), often(100, 60));
        for (target, said, expected) in [
            (Department(DepartmentId::ROOT), often(90, 60), often(90, 60)),
            (Department(DepartmentId(2)), often(95, 60), often(90, 60)),
            (Department(DepartmentId(5)), None, often(95, 60)),
            (Department(DepartmentId(3)), often(2000, 60), often(2000, 60)),
            (Department(DepartmentId(4)), often(1, 60), often(2000, 60)),
            (Tag(TagId(2)), None, None),
            // Of the same rate the one that lets fewer through at once.
            (Tag(TagId(1)), often(20, 20), often(20, 20)),
            (Account(AccountId(8)), often(1, 1), often(20, 20)),
            (Account(ME), None, None),
        ] {
            rules.limits.insert(target, said);
            assert_eq!(rules.limit(&place()), expected, "{target:?}");
        }
        let same_rate = [often(40, 40), often(20, 20), None, often(30, 30)];
        assert_eq!(least(same_rate.into_iter()), Some(often(20, 20)));
    }

    #[test]
    fn nothing_is_looked_up_for_accounts_alone() {
        use SendingTarget::{Account, Department};
        let of = |forbidden: &[SendingTarget], limited: &[SendingTarget]| SendingRules {
            forbidden: forbidden.iter().copied().collect(),
            everybody: often(1, 1),
            limits: limited.iter().map(|target| (*target, None)).collect(),
        };
        let (me, other, department) = (Account(ME), Account(AccountId(8)), Department(DepartmentId(2)));
        for (rules, is_clear) in [
            (of(&[], &[]), true),
            (of(&[other], &[other]), true),
            (of(&[me, department], &[department]), true),
            (of(&[department], &[]), false),
            (of(&[], &[department]), false),
            (of(&[], &[department, me]), true),
        ] {
            assert_eq!(rules.is_clear_for(ME), is_clear, "{rules:?}");
        }
    }

    #[test]
    fn limits_have_bounds() {
        let (messages, minutes) = BadFrequency::MOST;
        assert!(Frequency::new(messages, minutes).is_ok() && Frequency::new(1, 1).is_ok());
        for (messages, minutes) in [(0, 1), (1, 0), (messages + 1, 1), (1, minutes + 1)] {
            assert_eq!(Frequency::new(messages, minutes), Err(BadFrequency));
        }
    }
}
