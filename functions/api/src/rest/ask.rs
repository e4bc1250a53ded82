//! A request that was let in: who asks, for what, with what.

use std::net::{IpAddr, Ipv6Addr};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pennypost_admin::{Administration, Call, Origin, Permission, Permissions};
use pennypost_directory::{Directory, Listed, Page};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::rest::operation::Query;
use crate::rest::problem::details::{
    bad_id, bad_parameter, bad_time, missing_field, no_object, no_permission, no_such, of_reader,
    unknown_parameter,
};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::tag_of;

/// Rows of a page, if nothing is said.
const DEFAULT_LIMIT: usize = 100;
/// Rows of a page at most.
const MAX_LIMIT: usize = 500;
/// Bytes of what a cursor stands for.
const MAX_CURSOR: usize = 1_024;

/// A request that was let in.
pub(crate) struct Ask {
    pub(crate) administration: Administration,
    pub(crate) call: Call,
    /// What stood at the names in braces.
    pub(crate) words: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) if_match: Option<String>,
    pub(crate) accept: String,
    /// What names this request among all others of the caller, if it has an Idempotency-Key.
    pub(crate) once: Option<[u8; 32]>,
}

/// A page of a list, as it is answered.
#[derive(Serialize)]
pub(crate) struct Rows<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// A page, each row shown.
pub(crate) fn rows<T, R>(listed: Listed<T>, show: impl Fn(T) -> R) -> Rows<R> {
    let next = listed.next.map(|next| BASE64_URL_SAFE_NO_PAD.encode(next));
    Rows { items: listed.items.into_iter().map(show).collect(), next }
}

/// A number as a cursor.
pub(crate) fn cursor(after: u64) -> String {
    cursor_of(&after.to_string())
}

/// A text as a cursor.
pub(crate) fn cursor_of(after: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(after)
}

/// The same for a list whose cursor is a number.
pub(crate) fn numbered<T, R>(items: Vec<T>, next: Option<u64>, show: impl Fn(T) -> R) -> Rows<R> {
    rows(Listed { items, next: next.map(|next| next.to_string()) }, show)
}

impl Ask {
    pub(crate) fn directory(&self) -> &Directory {
        self.administration.directory()
    }

    /// What stood at a name in braces.
    pub(crate) fn word(&self, name: &str) -> &str {
        self.words.iter().find(|(known, _)| known == name).map_or("", |(_, word)| word)
    }

    /// An id in the path. What is none names nothing.
    pub(crate) fn id<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, Refusal> {
        let word = self.word(name);
        let is_id = word.len() == 16 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let id = if is_id { word.parse().ok() } else { None };
        id.ok_or_else(|| Refusal::new(Kind::NotFound, no_such(name)))
    }

    /// A number in the path. What is none names nothing.
    pub(crate) fn number(&self, name: &'static str) -> Result<u32, Refusal> {
        let word = self.word(name);
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit()) && !word.starts_with('0');
        let number = if is_number { word.parse().ok() } else { None };
        number.ok_or_else(|| Refusal::new(Kind::NotFound, no_such(name)))
    }

    /// From where it is asked; of places that are not known one for all.
    pub(crate) fn client(&self) -> IpAddr {
        match self.call.origin {
            Origin::Api(Some(client)) => client,
            _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }

    pub(crate) fn tenant(&self) -> Result<TenantId, Refusal> {
        self.id("tenant")
    }

    pub(crate) fn account(&self) -> Result<AccountKey, Refusal> {
        Ok(AccountKey { tenant: self.tenant()?, account: self.id::<AccountId>("account")? })
    }

    /// Are all parameters behind the question mark known, and each said once?
    pub(crate) fn check_query(&self, known: &[Query]) -> Result<(), Refusal> {
        for (index, (name, _)) in self.query.iter().enumerate() {
            if name != "lang" && !known.iter().any(|query| query.name == name) {
                return Err(Refusal::new(Kind::BadParameter, unknown_parameter(name)));
            }
            if self.query.iter().skip(index + 1).any(|(other, _)| other == name) {
                return Err(Refusal::new(Kind::BadParameter, bad_parameter(name)));
            }
        }
        Ok(())
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Is a parameter that is a yes or no said to be yes?
    pub(crate) fn is_wanted(&self, name: &str) -> Result<bool, Refusal> {
        match self.parameter(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Refusal::new(Kind::BadParameter, bad_parameter(name))),
        }
    }

    fn limit(&self) -> Result<usize, Refusal> {
        let wrong = || Refusal::new(Kind::BadParameter, bad_parameter("limit"));
        match self.parameter("limit") {
            None => Ok(DEFAULT_LIMIT),
            Some(text) => text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n)).ok_or_else(wrong),
        }
    }

    fn cursor(&self) -> Result<Option<String>, Refusal> {
        let wrong = || Refusal::new(Kind::BadParameter, bad_parameter("after"));
        let Some(text) = self.parameter("after") else { return Ok(None) };
        if text.len() > MAX_CURSOR {
            return Err(wrong());
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let cursor = String::from_utf8(bytes).map_err(|_| wrong())?;
        let is_good = !cursor.is_empty() && cursor.len() <= 400 && !cursor.chars().any(char::is_control);
        if is_good { Ok(Some(cursor)) } else { Err(wrong()) }
    }

    /// Which page is wanted.
    pub(crate) fn page(&self) -> Result<Page, Refusal> {
        Ok(Page { after: self.cursor()?, limit: self.limit()? })
    }

    /// Which page of a list whose cursor is a number.
    pub(crate) fn numbered_page(&self) -> Result<(u64, usize), Refusal> {
        let wrong = || Refusal::new(Kind::BadParameter, bad_parameter("after"));
        let after = self.cursor()?.map(|text| text.parse().map_err(|_| wrong())).transpose()?;
        Ok((after.unwrap_or(0), self.limit()?))
    }

    /// The body as what it should be.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        document_in(&self.body)
    }

    /// Has whoever asks seen this? That he must say is asked for before (428).
    pub(crate) fn must_match<T: Serialize>(&self, representation: &T) -> Result<(), Refusal> {
        let Some(seen) = &self.if_match else { return Err(Kind::PreconditionRequired.into()) };
        let tag = tag_of(representation);
        let is_seen = seen.split(',').map(str::trim).any(|one| one == "*" || one == tag);
        if is_seen { Ok(()) } else { Err(Kind::Changed.into()) }
    }
}

/// A body as what it should be.
pub(crate) fn document_in<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // A reader would take a list for an object whose fields come in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::new(Kind::BadBody, no_object()));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let mut pointer = pointer(error.path());
        let detail = of_reader(error.inner());
        // The reader stands at the object that the field is missing in.
        if let Some(missing) = missing_field(&error.inner().to_string()) {
            pointer.push_str(&format!("/{missing}"));
        }
        Refusal::new(Kind::BadBody, detail.clone()).at(pointer, detail)
    })?;
    reader.end().map_err(|error| Refusal::new(Kind::BadBody, of_reader(&error)))?;
    Ok(read)
}

/// A JSON pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                let key: String = key.chars().take(100).collect();
                pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")));
            }
            // The value itself.
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Permissions by their names.
pub(crate) fn permissions(names: &[String], pointer: &str) -> Result<Permissions, Refusal> {
    let mut found = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let wrong = |_| {
            let detail = no_permission(name);
            Refusal::new(Kind::Invalid, detail.clone()).at(format!("{pointer}/{index}"), detail)
        };
        found.push(name.parse::<Permission>().map_err(wrong)?);
    }
    Ok(found.into_iter().collect())
}

/// A time in a body.
pub(crate) fn time(text: Option<&String>, pointer: &str) -> Result<Option<Timestamp>, Refusal> {
    text.map(|text| said_time(text, pointer)).transpose()
}

/// A time that has to be said.
pub(crate) fn said_time(text: &str, pointer: &str) -> Result<Timestamp, Refusal> {
    let wrong = || Refusal::new(Kind::Invalid, bad_time()).at(pointer.to_owned(), bad_time());
    Timestamp::from_rfc3339(text).ok_or_else(wrong)
}

/// An id in a body.
pub(crate) fn id_in<T: std::str::FromStr>(text: &str, pointer: &str) -> Result<T, Refusal> {
    let wrong = || Refusal::new(Kind::Invalid, bad_id()).at(pointer.to_owned(), bad_id());
    if text.len() != 16 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}
