//! Values of attributes: the three types that the backend uses.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use crate::services::fields::{Answer, Fields, strange};

/// A value; values of a type are ordered as the service orders them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Binary(Vec<u8>),
    /// Whole numbers from 0 on: no others are written.
    Number(u128),
    Text(String),
}

pub(super) type Item = BTreeMap<String, Value>;

impl Value {
    pub(super) fn read(json: Json) -> Answer<Value> {
        let mut fields = Fields::of(json)?.all().into_iter();
        match (fields.next(), fields.next()) {
            (Some((kind, Json::String(text))), None) => match kind.as_str() {
                "B" => {
                    STANDARD.decode(&text).map(Value::Binary).or_else(|_| strange(format!("bytes {text}")))
                }
                "S" => Ok(Value::Text(text)),
                "N" => match text.parse::<u128>() {
                    Ok(number) if number.to_string() == text => Ok(Value::Number(number)),
                    _ => strange(format!("a number {text}")),
                },
                other => strange(format!("a value of type {other}")),
            },
            other => strange(format!("a value {other:?}")),
        }
    }

    pub(super) fn write(&self) -> Json {
        match self {
            Value::Binary(bytes) => json!({ "B": STANDARD.encode(bytes) }),
            Value::Number(number) => json!({ "N": number.to_string() }),
            Value::Text(text) => json!({ "S": text }),
        }
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Value::Binary(_) => "B",
            Value::Number(_) => "N",
            Value::Text(_) => "S",
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Value::Binary(bytes) => bytes.len(),
            Value::Number(number) => number.to_string().len().div_ceil(2) + 1,
            Value::Text(text) => text.len(),
        }
    }
}

pub(super) fn read_item(json: Json) -> Answer<Item> {
    Fields::of(json)?.all().into_iter().map(|(name, value)| Ok((name, Value::read(value)?))).collect()
}

pub(super) fn write_item(item: &Item) -> Json {
    Json::Object(item.iter().map(|(name, value)| (name.clone(), value.write())).collect::<Map<_, _>>())
}

pub(super) fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size()).sum()
}
