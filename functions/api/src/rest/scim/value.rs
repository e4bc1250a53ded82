//! Documents as they come: names of attributes whatever their case (RFC 7643 section 2.1), values as clients write them.

use scim_v2::filter::AttrPath;
use serde_json::{Map, Value};

use super::super::problem::details::both;
use super::answer::{Failure, Type};

pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The key of an object that is meant by a name.
pub(super) fn key_of(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
}

/// What an object has of a name.
pub(super) fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value).filter(|value| !value.is_null())
}

/// What stands at a name, in the object that stands at another one.
pub(super) fn sub_field<'a>(object: &'a Map<String, Value>, name: &str, sub: &str) -> Option<&'a Value> {
    field(field(object, name)?.as_object()?, sub)
}

/// A text; numbers are taken as they are written.
pub(super) fn text(value: &Value, name: &str) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Ok(String::new()),
        _ => Err(wrong(name)),
    }
}

/// The text of an attribute, if it is there.
pub(super) fn text_of(object: &Map<String, Value>, name: &str) -> Result<Option<String>, Failure> {
    field(object, name).map(|value| text(value, name)).transpose()
}

/// Yes or no; Entra ID writes them as texts, too.
pub(super) fn flag_of(object: &Map<String, Value>, name: &str) -> Result<Option<bool>, Failure> {
    field(object, name).map(|value| flag(value).ok_or_else(|| wrong(name))).transpose()
}

/// The same of a value.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A value that can't be.
pub(super) fn wrong(name: &str) -> Failure {
    let name: String = name.chars().take(100).collect();
    Failure::of(
        Type::InvalidValue,
        both(format!("{name} can't have this value"), format!("{name} 的取值不正确")),
    )
}

/// Does a document of these schemas hold what is meant?
pub(super) fn must_be(document: &Map<String, Value>, schema: &str) -> Result<(), Failure> {
    match field(document, "schemas") {
        None => Ok(()),
        Some(Value::Array(schemas)) => {
            let is_there =
                schemas.iter().any(|one| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(schema)));
            if is_there { Ok(()) } else { Err(wrong("schemas")) }
        }
        Some(_) => Err(wrong("schemas")),
    }
}

/// In which object an attribute lies: the document itself, or its extension; `None`: in one that there is not.
pub(super) fn is_extension(uri: Option<&str>) -> Option<bool> {
    match uri {
        None => Some(false),
        Some(uri) if uri.eq_ignore_ascii_case(USER) || uri.eq_ignore_ascii_case(GROUP) => Some(false),
        Some(uri) if uri.eq_ignore_ascii_case(ENTERPRISE) => Some(true),
        Some(_) => None,
    }
}

/// The values at a path: of an attribute with many, each, or what it has of the sub-attribute.
pub(super) fn values_at<'a>(document: &'a Map<String, Value>, path: &AttrPath) -> Vec<&'a Value> {
    let base = match is_extension(path.uri.as_deref()) {
        Some(false) => Some(document),
        Some(true) => field(document, ENTERPRISE).and_then(Value::as_object),
        None => None,
    };
    let Some(value) = base.and_then(|base| field(base, &path.name)) else { return Vec::new() };
    let sub = path.sub_attr.as_deref();
    match value {
        Value::Array(items) => {
            let each = items.iter().filter_map(|item| match item {
                Value::Object(item) => field(item, sub.unwrap_or("value")),
                other => Some(other).filter(|_| sub.is_none()),
            });
            each.collect()
        }
        Value::Object(object) => match sub {
            Some(sub) => field(object, sub).into_iter().collect(),
            None => vec![value],
        },
        other => Some(other).filter(|_| sub.is_none()).into_iter().collect(),
    }
}

/// What was asked for of a resource (RFC 7644 section 3.9): its id and its schemas always.
pub(super) fn shown(
    resource: &Map<String, Value>,
    wanted: Option<&str>,
    excluded: Option<&str>,
) -> Map<String, Value> {
    let mut shown = resource.clone();
    if let Some(wanted) = wanted {
        let paths: Vec<Vec<String>> = wanted.split(',').map(parts).collect();
        keep(&mut shown, &paths);
        for name in ["schemas", "id"] {
            if let Some(value) = resource.get(name) {
                shown.insert(name.to_owned(), value.clone());
            }
        }
    } else if let Some(excluded) = excluded {
        for path in
            excluded.split(',').map(parts).filter(|path| !matches!(path[0].as_str(), "schemas" | "id"))
        {
            leave_out(&mut shown, &path);
        }
    }
    shown
}

/// The names from the outside in, in small letters.
fn parts(path: &str) -> Vec<String> {
    let path = path.trim().to_ascii_lowercase();
    for core in [USER, GROUP] {
        if let Some(rest) = path.strip_prefix(&core.to_ascii_lowercase()) {
            return rest.trim_start_matches(':').split('.').map(str::to_owned).collect();
        }
    }
    if let Some(rest) = path.strip_prefix(&ENTERPRISE.to_ascii_lowercase()) {
        let rest = rest.trim_start_matches(':').split('.').filter(|name| !name.is_empty());
        return std::iter::once(ENTERPRISE.to_ascii_lowercase()).chain(rest.map(str::to_owned)).collect();
    }
    path.split('.').map(str::to_owned).collect()
}

fn keep(object: &mut Map<String, Value>, paths: &[Vec<String>]) {
    object.retain(|key, value| {
        let key = key.to_ascii_lowercase();
        let mine: Vec<&Vec<String>> = paths.iter().filter(|path| path.first() == Some(&key)).collect();
        if mine.iter().any(|path| path.len() == 1) {
            return true;
        }
        let below: Vec<Vec<String>> = mine.into_iter().map(|path| path[1..].to_vec()).collect();
        if below.is_empty() {
            return false;
        }
        match value {
            Value::Object(object) => keep(object, &below),
            Value::Array(items) => {
                items.iter_mut().filter_map(Value::as_object_mut).for_each(|item| keep(item, &below));
            }
            _ => return false,
        }
        true
    });
}

fn leave_out(object: &mut Map<String, Value>, path: &[String]) {
    let Some((name, rest)) = path.split_first() else { return };
    let Some(key) = key_of(object, name) else { return };
    if rest.is_empty() {
        object.remove(&key);
        return;
    }
    match object.get_mut(&key) {
        Some(Value::Object(inner)) => leave_out(inner, rest),
        Some(Value::Array(items)) => {
            items.iter_mut().filter_map(Value::as_object_mut).for_each(|item| leave_out(item, rest));
        }
        _ => {}
    }
}
