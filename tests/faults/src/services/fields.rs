//! Requests and answers in JSON, read strictly.

use serde_json::{Map, Value, json};

/// Why a request is not answered as it was wished.
#[derive(Debug)]
pub(super) enum Fault {
    /// The service refuses it, as documented: status, code, and what comes with it.
    Refused(u16, &'static str, Value),
    /// Nobody would ask that, or this stand-in does not know it.
    Strange(String),
}

pub(super) type Answer<T = Value> = Result<T, Fault>;

pub(super) fn strange<T>(what: impl Into<String>) -> Answer<T> {
    Err(Fault::Strange(what.into()))
}

pub(super) fn refused<T>(code: &'static str) -> Answer<T> {
    Err(Fault::Refused(400, code, json!({})))
}

/// The fields of an object: each is taken once, and none may be left.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn of(value: Value) -> Answer<Fields> {
        match value {
            Value::Object(map) => Ok(Fields(map)),
            other => strange(format!("{other} is no object")),
        }
    }

    pub(super) fn read(body: &[u8]) -> Answer<Fields> {
        match serde_json::from_slice(body) {
            Ok(value) => Fields::of(value),
            Err(error) => strange(format!("a body that is no JSON: {error}")),
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    pub(super) fn object(&mut self, name: &str) -> Answer<Fields> {
        Fields::of(self.need(name)?)
    }

    pub(super) fn need(&mut self, name: &str) -> Answer {
        self.take(name).map_or_else(|| strange(format!("no {name}")), Ok)
    }

    pub(super) fn text(&mut self, name: &str) -> Answer<String> {
        match self.need(name)? {
            Value::String(text) => Ok(text),
            other => strange(format!("{name} is {other}")),
        }
    }

    /// A whole number, if it is there.
    pub(super) fn number(&mut self, name: &str) -> Answer<Option<u64>> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => strange(format!("{name} is {value}")),
            },
        }
    }

    pub(super) fn yes(&mut self, name: &str, otherwise: bool) -> Answer<bool> {
        match self.take(name) {
            None => Ok(otherwise),
            Some(Value::Bool(yes)) => Ok(yes),
            Some(other) => strange(format!("{name} is {other}")),
        }
    }

    /// The field must have this value.
    pub(super) fn must_be(&mut self, name: &str, wanted: &str) -> Answer<()> {
        let found = self.text(name)?;
        if found == wanted { Ok(()) } else { strange(format!("{name} is {found}, not {wanted}")) }
    }

    pub(super) fn list(&mut self, name: &str) -> Answer<Vec<Value>> {
        match self.need(name)? {
            Value::Array(list) => Ok(list),
            other => strange(format!("{name} is {other}")),
        }
    }

    pub(super) fn all(self) -> Map<String, Value> {
        self.0
    }

    /// Nothing may be left.
    pub(super) fn done(self) -> Answer<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => strange(format!("a field {name}")),
        }
    }
}
