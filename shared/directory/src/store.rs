//! Typed access to the control port: keys, items with versions, pages, compare-and-set loops.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::{Versioned, decode, encode};
use pennypost_ports::{Consistency, ControlKey, Expected, Put};
use serde::{Deserialize, Serialize};

use crate::{Directory, DirectoryError};

/// An item of an index. Its key says it all.
#[derive(Debug, Serialize, Deserialize)]
struct Mark;

impl Versioned for Mark {
    const KIND: &'static str = "mark";
}

/// Items that a page holds at most.
pub const MAX_PAGE: usize = 1_000;

/// Marks of an index that are written at once.
const MARKS: usize = 16;

/// How often a compare-and-set loop begins again before it gives up.
pub(crate) const MAX_ATTEMPTS: usize = 32;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// [`Listed::next`] of the page before.
    pub after: Option<String>,
    /// Items wanted, at most [`MAX_PAGE`].
    pub limit: usize,
}

impl Default for Page {
    fn default() -> Page {
        Page { after: None, limit: MAX_PAGE }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The items. May be fewer than wanted, even none, though more follow.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<String>,
}

/// A value with the version of its item.
#[derive(Debug, Clone)]
pub(crate) struct Held<T> {
    pub(crate) value: T,
    pub(crate) version: u64,
}

impl Directory {
    pub(crate) async fn read<T: Versioned>(
        &self,
        key: &ControlKey,
        consistency: Consistency,
    ) -> Result<Option<Held<T>>, DirectoryError> {
        let Some(item) = self.control.get(key, consistency).await? else { return Ok(None) };
        Ok(Some(Held { value: decode(&item.value)?, version: item.version }))
    }

    /// Writes; the version if the condition held, else `None`.
    pub(crate) async fn write<T: Versioned>(
        &self,
        key: &ControlKey,
        value: &T,
        expected: Expected,
    ) -> Result<Option<u64>, DirectoryError> {
        match self.control.put_if(key, &encode(value), expected).await? {
            Put::Stored(version) => Ok(Some(version)),
            Put::Conflict(_) => Ok(None),
        }
    }

    /// Deletes whatever is there.
    pub(crate) async fn erase(&self, key: &ControlKey) -> Result<(), DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(item) = self.control.get(key, Consistency::Strong).await? else { return Ok(()) };
            if self.control.delete_if(key, item.version).await? {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Changes an item that is there by compare-and-set; `None` if there is none. `change` may be called
    /// several times, each time with what is stored then.
    pub(crate) async fn change<T: Versioned, R>(
        &self,
        key: &ControlKey,
        mut change: impl FnMut(&mut T) -> Result<R, DirectoryError>,
    ) -> Result<Option<R>, DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(mut held) = self.read::<T>(key, Consistency::Strong).await? else { return Ok(None) };
            let result = change(&mut held.value)?;
            if self.write(key, &held.value, Expected::Version(held.version)).await?.is_some() {
                return Ok(Some(result));
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Puts marks at these places of an index: before what it tells of is written, so that the index says too much at most.
    pub(crate) async fn mark_index(
        &self,
        partition: &str,
        places: impl Iterator<Item = &String>,
    ) -> Result<(), DirectoryError> {
        let marks: Vec<_> = places.map(|place| self.put_mark(ControlKey::new(partition, place))).collect();
        stream::iter(marks).buffer_unordered(MARKS).try_collect().await
    }

    async fn put_mark(&self, key: ControlKey) -> Result<(), DirectoryError> {
        self.write(&key, &Mark, Expected::Any).await.map(drop)
    }

    /// The sort keys of a partition that begin with `prefix`: all of them.
    pub(crate) async fn sorts(&self, partition: &str, prefix: &str) -> Result<Vec<String>, DirectoryError> {
        let mut sorts: Vec<String> = Vec::new();
        loop {
            let after = sorts.last().map(String::as_str);
            let rows = self.control.query(partition, prefix, after, MAX_PAGE).await?;
            let is_full = rows.len() >= MAX_PAGE;
            sorts.extend(rows.into_iter().map(|(sort, _)| sort));
            if !is_full {
                return Ok(sorts);
            }
        }
    }

    /// Makes an index say at these places what an item says, until that has not changed meanwhile: of two at once the later
    /// look sees what the other has made.
    pub(crate) async fn settle_index<T: Versioned>(
        &self,
        truth: &ControlKey,
        partition: &str,
        places: &BTreeSet<String>,
        wanted: impl Fn(&T) -> BTreeSet<String>,
    ) -> Result<(), DirectoryError> {
        let mut held = self.read::<T>(truth, Consistency::Strong).await?;
        for _ in 0..MAX_ATTEMPTS {
            let seen = held.as_ref().map(|held| held.version);
            let wanted = held.map(|held| wanted(&held.value)).unwrap_or_default();
            let settle =
                |place: &String| self.settle_mark(ControlKey::new(partition, place), wanted.contains(place));
            let marks: Vec<_> = places.iter().map(settle).collect();
            stream::iter(marks).buffer_unordered(MARKS).try_collect::<()>().await?;
            held = self.read::<T>(truth, Consistency::Strong).await?;
            if held.as_ref().map(|held| held.version) == seen {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    async fn settle_mark(&self, key: ControlKey, is_wanted: bool) -> Result<(), DirectoryError> {
        if !is_wanted {
            return self.erase(&key).await;
        }
        match self.read::<Mark>(&key, Consistency::Strong).await? {
            Some(_) => Ok(()),
            None => self.put_mark(key).await,
        }
    }

    /// All of a partition: sort keys without `prefix`, and values.
    pub(crate) async fn list_all<T: Versioned>(
        &self,
        partition: &str,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, DirectoryError> {
        let (mut page, mut all) = (Page::default(), Vec::new());
        loop {
            let Listed { items, next } = self.list::<T>(partition, prefix, &page).await?;
            all.extend(items);
            let Some(next) = next else { return Ok(all) };
            page.after = Some(next);
        }
    }

    /// A page of a partition: sort keys without `prefix`, and values.
    pub(crate) async fn list<T: Versioned>(
        &self,
        partition: &str,
        prefix: &str,
        page: &Page,
    ) -> Result<Listed<(String, T)>, DirectoryError> {
        let limit = page.limit.clamp(1, MAX_PAGE);
        let after = page.after.as_ref().map(|after| format!("{prefix}{after}"));
        let rows = self.control.query(partition, prefix, after.as_deref(), limit).await?;
        let is_full = rows.len() >= limit;
        let mut items = Vec::with_capacity(rows.len());
        for (sort, item) in rows {
            let name = sort.strip_prefix(prefix).unwrap_or(&sort).to_owned();
            items.push((name, decode(&item.value)?));
        }
        let next = if is_full { items.last().map(|(name, _)| name.clone()) } else { None };
        Ok(Listed { items, next })
    }
}

/// A name for people: trimmed, NFC, no control characters, nothing that cannot be seen.
pub(crate) fn name_for_people(name: &str, limit: usize) -> Result<String, DirectoryError> {
    use unicode_normalization::UnicodeNormalization;
    let failed = DirectoryError::Name { limit };
    if name.len() > 16 * limit {
        return Err(failed);
    }
    let name: String = name.trim().nfc().collect();
    let length = name.chars().count();
    let valid = length > 0 && length <= limit && !name.chars().any(|c| c.is_control() || is_unseen(c));
    if valid { Ok(name) } else { Err(failed) }
}

/// Characters that make two names that look alike differ, or turn the writing of what follows around.
pub(crate) const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// A name as it is compared with others.
#[must_use]
pub fn fold_name(name: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    name.trim().nfkc().flat_map(char::to_lowercase).collect()
}
