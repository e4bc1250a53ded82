//! Bulletins: what the operator tells the administrators of tenants (LOG-09, ADM-05): maintenance, notices, warnings.
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `installation/bulletins` | id, the one that is told last first | a [`Bulletin`] for all tenants |
//! | `installation/bulletins-for-some` | id | one for tenants that are named in it |
//! | `T/bulletins` | id | a mark: one of these is for `T` |
//! | `T/bulletins-read` | `A/ID`, `A` | that an administrator has read one; up to which one he has read all |
//!
//! Marks are written before the bulletin that they lead to, and a mark that leads to none tells nothing: a bulletin is there
//! for all its tenants at once. If the process dies before that, nobody has been told anything, and it is published again.

use std::collections::BTreeSet;

use pennypost_directory::{DirectoryError, Listed, MAX_PAGE, Page};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::action::Action;
use crate::authorise::{Actor, Scope};
use crate::call::{About, Call};
use crate::store::MAX_ATTEMPTS;
use crate::{AdminError, Administration, Invalid, Why};

/// Characters of a title.
pub const MAX_BULLETIN_TITLE: usize = 100;
/// Characters of a text.
pub const MAX_BULLETIN_TEXT: usize = 4_000;
/// Tenants that a bulletin names.
pub const MAX_BULLETIN_TENANTS: usize = 100;
/// Rows of a page: of the longest that there are it is still an answer that a cloud's function can give.
const MAX_ROWS: usize = 100;
/// Bulletins for all tenants.
const FOR_ALL: &str = "installation/bulletins";
/// Bulletins for those that are named in them.
const FOR_SOME: &str = "installation/bulletins-for-some";

/// What a bulletin is about. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulletinKind {
    /// Something that the operator has to tell.
    Notice,
    /// The post office, or a part of it, is not there for a while.
    Maintenance,
    /// Something that the tenant has to change.
    Warning,
}

impl BulletinKind {
    /// Every kind.
    pub const ALL: [BulletinKind; 3] =
        [BulletinKind::Notice, BulletinKind::Maintenance, BulletinKind::Warning];

    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            BulletinKind::Notice => "notice",
            BulletinKind::Maintenance => "maintenance",
            BulletinKind::Warning => "warning",
        }
    }
}

/// What is said in a language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulletinText {
    /// The title.
    pub title: String,
    /// The text.
    pub text: String,
}

impl BulletinText {
    /// Without blanks around it, if it can be.
    fn checked(&self) -> Option<BulletinText> {
        let (title, text) = (self.title.trim(), self.text.trim());
        let is_title =
            (1..=MAX_BULLETIN_TITLE).contains(&title.chars().count()) && !title.chars().any(char::is_control);
        let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        let is_text = (1..=MAX_BULLETIN_TEXT).contains(&text.chars().count()) && !text.chars().any(is_odd);
        (is_title && is_text).then(|| BulletinText { title: title.to_owned(), text: text.to_owned() })
    }
}

/// A bulletin that is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBulletin {
    /// What it is about.
    pub kind: BulletinKind,
    /// In English.
    pub english: BulletinText,
    /// In Chinese.
    pub chinese: BulletinText,
    /// From when on it is told; `None`: at once.
    pub from: Option<Timestamp>,
    /// Until when it stands on the first page; `None`: as long as it was not read.
    pub until: Option<Timestamp>,
    /// For whom; nobody named: for all tenants.
    pub tenants: BTreeSet<TenantId>,
}

/// A bulletin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulletin {
    /// The later it is told, the lower.
    pub id: u64,
    /// What it is about.
    pub kind: BulletinKind,
    /// In English.
    pub english: BulletinText,
    /// In Chinese.
    pub chinese: BulletinText,
    /// From when on it is told.
    pub from: Timestamp,
    /// Until when it stands on the first page.
    pub until: Option<Timestamp>,
    /// For whom; nobody named: for all tenants.
    pub tenants: BTreeSet<TenantId>,
    /// When it was published.
    pub published: Timestamp,
}

impl Versioned for Bulletin {
    const KIND: &'static str = "bulletin";
}

/// A bulletin as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenBulletin {
    /// The bulletin.
    pub bulletin: Bulletin,
    /// He has read it; `None`: whoever asks is nobody who reads.
    pub is_read: Option<bool>,
}

/// An item that says all by its key.
#[derive(Serialize, Deserialize)]
struct Mark;

impl Versioned for Mark {
    const KIND: &'static str = "mark of a bulletin";
}

/// Up to which bulletin somebody has read all.
#[derive(Serialize, Deserialize)]
struct ReadAll {
    newest: u64,
}

impl Versioned for ReadAll {
    const KIND: &'static str = "bulletins that were read";
}

/// What somebody has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBulletins {
    /// This one.
    One(u64),
    /// This one and all that were told before it: it was the newest that he was shown.
    UpTo(u64),
}

fn sort(id: u64) -> String {
    format!("{id:016x}")
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/bulletins")
}

fn read_partition(tenant: TenantId) -> String {
    format!("{tenant}/bulletins-read")
}

/// Rows of two lists in one order, no more than are known to be complete, with what stands behind them.
fn merged(lists: [Listed<(String, Bulletin)>; 2], limit: usize) -> Listed<Bulletin> {
    // Behind the end of a list that goes on nothing is known of it.
    let horizon = lists.iter().filter_map(|list| list.next.clone()).min();
    let mut rows: Vec<_> = lists.into_iter().flat_map(|list| list.items).collect();
    rows.retain(|(sort, _)| horizon.as_ref().is_none_or(|horizon| sort <= horizon));
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|(sort, _)| sort.clone());
    let next = if is_cut { last } else { horizon };
    Listed { items: rows.into_iter().map(|(_, bulletin)| bulletin).collect(), next }
}

impl Administration {
    /// Publishes a bulletin.
    ///
    /// # Errors
    /// [`Invalid::Bulletin`], [`Invalid::TooMany`], [`DirectoryError::NoTenant`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn publish_bulletin(&self, call: &Call, new: &NewBulletin) -> Result<Bulletin, AdminError> {
        let published = self.clock.now();
        let from = new.from.map_or(published, |from| from.max(published));
        let id = self.free_id(from).await?;
        let object = sort(id);
        let tenants: Vec<String> = new.tenants.iter().map(ToString::to_string).collect();
        let about = About::new(None, Action::BulletinPublish, &object).to(json!({
            "kind": new.kind.name(), "english": new.english.title, "chinese": new.chinese.title,
            "from": from.rfc3339(), "until": new.until.map(Timestamp::rfc3339), "tenants": tenants,
        }));
        self.permit(call, &Scope::Installation, &about).await?;
        let wrong = Invalid::Bulletin { title: MAX_BULLETIN_TITLE, text: MAX_BULLETIN_TEXT };
        let (Some(english), Some(chinese)) = (new.english.checked(), new.chinese.checked()) else {
            return Err(wrong.into());
        };
        if new.until.is_some_and(|until| until <= from) {
            return Err(wrong.into());
        }
        if new.tenants.len() > MAX_BULLETIN_TENANTS {
            return Err(Invalid::TooMany { limit: MAX_BULLETIN_TENANTS }.into());
        }
        for tenant in &new.tenants {
            let missing = || DirectoryError::NoTenant(tenant.to_string());
            self.directory.tenant(*tenant).await?.ok_or_else(missing)?;
        }
        let (kind, until, tenants) = (new.kind, new.until, new.tenants.clone());
        let bulletin = Bulletin { id, kind, english, chinese, from, until, tenants, published };
        self.act(call, &about, async {
            if self.put_bulletin(&bulletin).await? { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await?;
        Ok(bulletin)
    }

    /// Puts a bulletin down for those whom it names; `false` if another one has got its id.
    pub(crate) async fn put_bulletin(&self, bulletin: &Bulletin) -> Result<bool, AdminError> {
        let mut marks = Vec::with_capacity(bulletin.tenants.len());
        for tenant in &bulletin.tenants {
            let key = ControlKey::new(partition(*tenant), sort(bulletin.id));
            if self.write(&key, &Mark, Expected::Absent).await? {
                marks.push((*tenant, key));
            }
        }
        let place = if bulletin.tenants.is_empty() { FOR_ALL } else { FOR_SOME };
        let key = ControlKey::new(place, sort(bulletin.id));
        if self.write(&key, bulletin, Expected::Absent).await? {
            return Ok(true);
        }
        // Another one got the id at the very moment: the marks of those whom it names are its own, too.
        let other = self.read::<Bulletin>(&key).await?.map(|(other, _)| other.tenants).unwrap_or_default();
        for (_, mark) in marks.iter().filter(|(tenant, _)| !other.contains(tenant)) {
            self.erase(mark).await?;
        }
        Ok(false)
    }

    /// The bulletin with that id.
    pub(crate) async fn bulletin_of(&self, id: u64) -> Result<Option<Bulletin>, AdminError> {
        let [all, some] = [FOR_ALL, FOR_SOME].map(|place| ControlKey::new(place, sort(id)));
        let (all, some) = futures::try_join!(self.read::<Bulletin>(&all), self.read::<Bulletin>(&some))?;
        Ok(all.or(some).map(|(bulletin, _)| bulletin))
    }

    /// An id that no bulletin has: of two that are told at the same moment each has its own.
    pub(crate) async fn free_id(&self, from: Timestamp) -> Result<u64, AdminError> {
        for _ in 0..MAX_ATTEMPTS {
            let id = self.order_at(from);
            if self.bulletin_of(id).await?.is_none() {
                return Ok(id);
            }
        }
        Err(DirectoryError::Contended.into())
    }

    /// Bulletins of the operator, the newest first, also those that are told later.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn published_bulletins(
        &self,
        call: &Call,
        page: &Page,
    ) -> Result<Listed<Bulletin>, AdminError> {
        call.may(Action::BulletinList, &Scope::Installation)?;
        let page = Page { after: page.after.clone(), limit: page.limit.clamp(1, MAX_ROWS) };
        let lists = [self.list(FOR_ALL, &page).await?, self.list(FOR_SOME, &page).await?];
        Ok(merged(lists, page.limit))
    }

    /// Withdraws a bulletin: nobody is told of it any more.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn withdraw_bulletin(&self, call: &Call, id: u64) -> Result<(), AdminError> {
        let object = sort(id);
        let about = About::new(None, Action::BulletinWithdraw, &object);
        self.permit(call, &Scope::Installation, &about).await?;
        let mut found = None;
        for place in [FOR_ALL, FOR_SOME] {
            let key = ControlKey::new(place, sort(id));
            if let Some((bulletin, _)) = self.read::<Bulletin>(&key).await? {
                found = Some((key, bulletin));
                break;
            }
        }
        let (key, bulletin) = found.ok_or(AdminError::NotFound("bulletin"))?;
        let about =
            about.from(json!({ "english": bulletin.english.title, "chinese": bulletin.chinese.title }));
        self.act(call, &about, async {
            self.erase(&key).await?;
            // Marks that are left lead to nothing.
            for tenant in &bulletin.tenants {
                self.erase(&ControlKey::new(partition(*tenant), sort(id))).await?;
            }
            Ok::<_, AdminError>(())
        })
        .await
    }

    /// Bulletins for a tenant, the newest first. A page may hold few though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn bulletins(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<SeenBulletin>, AdminError> {
        call.may(Action::BulletinRead, &Scope::Tenant(tenant))?;
        let Listed { items, next } = self.bulletins_for(tenant, page).await?;
        let read = match &call.actor {
            Actor::Person { account, .. } => Some(self.read_of(*account, &items).await?),
            Actor::Operator | Actor::Service { .. } => None,
        };
        let seen = items.into_iter().map(|bulletin| {
            let is_read = read.as_ref().map(|read| read.contains(&bulletin.id));
            SeenBulletin { bulletin, is_read }
        });
        Ok(Listed { items: seen.collect(), next })
    }

    async fn bulletins_for(&self, tenant: TenantId, page: &Page) -> Result<Listed<Bulletin>, AdminError> {
        let page = Page { after: page.after.clone(), limit: page.limit.clamp(1, MAX_ROWS) };
        let of_tenant = partition(tenant);
        let (stored, all, marks) = futures::try_join!(
            self.stored_tenant(tenant),
            self.list::<Bulletin>(FOR_ALL, &page),
            self.list::<Mark>(&of_tenant, &page),
        )?;
        let meant = marks.items.into_iter().map(|(sort, _)| async move {
            let found = self.read::<Bulletin>(&ControlKey::new(FOR_SOME, &*sort)).await?;
            // A mark only leads there: whom it is for stands in the bulletin.
            let found = found.filter(|(bulletin, _)| bulletin.tenants.contains(&tenant));
            Ok::<_, AdminError>(found.map(|(bulletin, _)| (sort, bulletin)))
        });
        let own = futures::future::try_join_all(meant).await?.into_iter().flatten().collect();
        let Listed { mut items, next } = merged([all, Listed { items: own, next: marks.next }], page.limit);
        let now = self.clock.now();
        // What was told before there was the tenant was told to others.
        items.retain(|bulletin| stored.created <= bulletin.from && bulletin.from <= now);
        Ok(Listed { items, next })
    }

    /// Which of these somebody has read.
    async fn read_of(&self, key: AccountKey, rows: &[Bulletin]) -> Result<BTreeSet<u64>, AdminError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(BTreeSet::new()) };
        let partition = read_partition(key.tenant);
        let all = self.read::<ReadAll>(&ControlKey::new(&*partition, key.account.to_string())).await?;
        let newest = all.map_or(u64::MAX, |(all, _)| all.newest);
        // What was told before he came is nothing that he has left unread.
        let since = self.directory.account(key).await?.map(|account| account.created);
        let is_old = |one: &&Bulletin| one.id >= newest || since.is_some_and(|since| one.from < since);
        let mut read: BTreeSet<u64> = rows.iter().filter(is_old).map(|one| one.id).collect();
        let prefix = format!("{}/", key.account);
        let (end, mut after) = (format!("{prefix}{}", sort(last.id)), before(&prefix, first.id));
        loop {
            let found = self.control.query(&partition, &prefix, after.as_deref(), MAX_PAGE).await?;
            let numbers = found.iter().filter_map(|(sort, _)| sort.strip_prefix(prefix.as_str()));
            read.extend(numbers.filter_map(|number| u64::from_str_radix(number, 16).ok()));
            after = found.last().map(|(sort, _)| sort.clone());
            let is_over = found.len() < MAX_PAGE || after.as_ref().is_none_or(|after| *after >= end);
            if is_over {
                return Ok(read);
            }
        }
    }

    /// Notes that whoever asks has read a bulletin, or all up to one. Done again it changes nothing.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for a bulletin that is not for the tenant, or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mark_bulletins(
        &self,
        call: &Call,
        tenant: TenantId,
        which: ReadBulletins,
    ) -> Result<(), AdminError> {
        call.may(Action::BulletinMark, &Scope::Tenant(tenant))?;
        // An operator reads nothing in a tenant's place.
        let Actor::Person { account, .. } = &call.actor else {
            return Err(AdminError::Denied(Why::NoPermission));
        };
        let partition = read_partition(tenant);
        let id = match which {
            ReadBulletins::One(id) => id,
            ReadBulletins::UpTo(shown) => {
                let Some(newest) = self.newest_bulletin(tenant).await? else { return Ok(()) };
                // What came after it he has not seen, and of what is to come nobody has.
                let line = shown.max(newest);
                return self.mark_all(&ControlKey::new(partition, account.account.to_string()), line).await;
            }
        };
        if !self.is_for(tenant, id).await? {
            return Err(AdminError::NotFound("bulletin"));
        }
        let key = ControlKey::new(partition, format!("{}/{}", account.account, sort(id)));
        self.write(&key, &Mark, Expected::Absent).await?;
        Ok(())
    }

    async fn mark_all(&self, key: &ControlKey, newest: u64) -> Result<(), AdminError> {
        for _ in 0..MAX_ATTEMPTS {
            let expected = match self.read::<ReadAll>(key).await? {
                Some((all, _)) if all.newest <= newest => return Ok(()),
                Some((_, version)) => Expected::Version(version),
                None => Expected::Absent,
            };
            if self.write(key, &ReadAll { newest }, expected).await? {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended.into())
    }

    /// The one that was told last.
    async fn newest_bulletin(&self, tenant: TenantId) -> Result<Option<u64>, AdminError> {
        let mut page = Page { after: None, limit: 20 };
        loop {
            // A page may hold none that is told already.
            let Listed { items, next } = self.bulletins_for(tenant, &page).await?;
            if let Some(first) = items.first() {
                return Ok(Some(first.id));
            }
            let Some(next) = next else { return Ok(None) };
            page.after = Some(next);
        }
    }

    /// Is there such a bulletin, for that tenant, that is told already?
    async fn is_for(&self, tenant: TenantId, id: u64) -> Result<bool, AdminError> {
        let now = self.clock.now();
        let is_told = |bulletin: &Bulletin| {
            bulletin.from <= now && (bulletin.tenants.is_empty() || bulletin.tenants.contains(&tenant))
        };
        for place in [FOR_ALL, FOR_SOME] {
            let found = self.read::<Bulletin>(&ControlKey::new(place, sort(id))).await?;
            if found.is_some_and(|(bulletin, _)| is_told(&bulletin)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Behind what stands before a number.
fn before(prefix: &str, id: u64) -> Option<String> {
    id.checked_sub(1).map(|id| format!("{prefix}{}", sort(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: &[u64], next: Option<u64>) -> Listed<(String, Bulletin)> {
        let text = || BulletinText { title: "t".to_owned(), text: "t".to_owned() };
        let row = |id: &u64| {
            let bulletin = Bulletin {
                id: *id,
                kind: BulletinKind::Notice,
                english: text(),
                chinese: text(),
                from: Timestamp(0),
                until: None,
                tenants: BTreeSet::new(),
                published: Timestamp(0),
            };
            (sort(*id), bulletin)
        };
        Listed { items: ids.iter().map(row).collect(), next: next.map(sort) }
    }

    fn ids(listed: Listed<Bulletin>) -> (Vec<u64>, Option<String>) {
        (listed.items.into_iter().map(|bulletin| bulletin.id).collect(), listed.next)
    }

    #[test]
    fn two_lists_are_told_in_one_order_and_nothing_is_skipped() {
        let all = merged([rows(&[1, 4], None), rows(&[2, 3], None)], 10);
        assert_eq!(ids(all), (vec![1, 2, 3, 4], None));
        // What stands between 2 and 9 in the first list is not known yet.
        let some = merged([rows(&[1, 2], Some(2)), rows(&[9], None)], 2);
        assert_eq!(ids(some), (vec![1, 2], Some(sort(2))));
        let cut = merged([rows(&[1, 3], Some(3)), rows(&[2, 4], Some(4))], 2);
        assert_eq!(ids(cut), (vec![1, 2], Some(sort(2))));
        // Marks that lead to nothing, and more behind them.
        let gone = merged([rows(&[], None), rows(&[], Some(7))], 2);
        assert_eq!(ids(gone), (Vec::new(), Some(sort(7))));
    }

    #[test]
    fn a_bulletin_says_something_in_lines_that_can_be_shown() {
        let of = |title: &str, text: &str| BulletinText { title: title.to_owned(), text: text.to_owned() };
        assert_eq!(of(" a ", "b\nc ").checked(), Some(of("a", "b\nc")));
        for bad in [of("", "b"), of("a", " "), of("a\nb", "c"), of("a", "\u{1b}[2J")] {
            assert_eq!(bad.checked(), None, "{bad:?}");
        }
        assert_eq!(of(&"a".repeat(MAX_BULLETIN_TITLE + 1), "b").checked(), None);
        assert_eq!(of("a", &"b".repeat(MAX_BULLETIN_TEXT + 1)).checked(), None);
    }
}
