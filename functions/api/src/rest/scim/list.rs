//! Lists, page by page (RFC 7644 section 3.4.2).

use serde_json::{Map, Value, json};

use super::answer::{Answer, Failure};
use super::value::shown;
use super::{Ask, number};

/// Rows of a page, if nothing is said.
const DEFAULT_COUNT: usize = 100;
/// Rows of a page at most: what is left is asked for from where it ends.
pub(super) const MAX_COUNT: usize = 200;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// From 1.
    start: usize,
    count: usize,
}

impl Window {
    pub(super) fn of(ask: &Ask) -> Result<Window, Failure> {
        let start = number(ask, "startIndex")?.unwrap_or(1).max(1);
        let count = number(ask, "count")?.map_or(DEFAULT_COUNT, |count| usize::try_from(count).unwrap_or(0));
        Ok(Window { start: usize::try_from(start).unwrap_or(1), count: count.min(MAX_COUNT) })
    }

    /// How many rows come before the page, and how many are in it.
    pub(super) const fn part(self) -> (usize, usize) {
        (self.start - 1, self.count)
    }

    /// The rows of the page.
    pub(super) fn rows<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.start - 1).take(self.count).collect()
    }

    /// The page, of `total` rows.
    pub(super) fn answer(self, ask: &Ask, total: usize, rows: Vec<Map<String, Value>>) -> Answer {
        let rows: Vec<Value> = rows.into_iter().map(|row| ask.shown(&row).into()).collect();
        Answer::document(json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total,
            "startIndex": self.start,
            "itemsPerPage": rows.len(),
            "Resources": rows,
        }))
    }
}

impl Ask {
    /// What was asked for of a resource.
    pub(super) fn shown(&self, resource: &Map<String, Value>) -> Map<String, Value> {
        shown(resource, self.parameter("attributes"), self.parameter("excludedAttributes"))
    }

    /// The resource, as it was asked for.
    pub(super) fn answer(&self, resource: &Map<String, Value>) -> Answer {
        Answer::resource(resource, self.shown(resource))
    }
}
