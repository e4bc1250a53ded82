//! Filters (RFC 7644 section 3.4.2.2). All of the grammar is read; what is answered is what leads to single resources: some
//! attribute by which they are found, alone or with whatever else is to hold of them, or several such.

use std::cmp::Ordering;

use scim_v2::filter::{AttrExp, AttrPath, CompValue, CompareOp, Filter, ValFilter};
use serde_json::{Map, Value};

use super::super::problem::details::both;
use super::answer::{Failure, Type};
use super::value::{field, is_extension, values_at};

/// Resources that one filter may look up.
const MOST_LOOKUPS: usize = 100;

/// By what single resources are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// By their id.
    Id(String),
    /// By the name that is theirs alone: an address, or the name of a tag.
    Name(String),
    /// By what the client calls them.
    External(String),
}

/// Which attribute finds what.
pub(super) type Finds = fn(&AttrPath) -> Option<fn(String) -> Lookup>;

pub(super) fn parse(text: &str) -> Result<Filter, Failure> {
    let wrong = |_| {
        let text: String = text.chars().take(200).collect();
        Failure::of(
            Type::InvalidFilter,
            both(format!("this is no filter: {text}"), format!("不是有效的过滤条件：{text}")),
        )
    };
    text.parse().map_err(wrong)
}

/// What is to be looked up for a filter; each may still not match it.
pub(super) fn lookups(filter: &Filter, finds: Finds, named: &str) -> Result<Vec<Lookup>, Failure> {
    let Some(mut found) = planned(filter, finds) else {
        return Err(Failure::of(
            Type::InvalidFilter,
            both(
                format!("filters have to name {named} by eq, alone or with others by and"),
                format!("过滤条件须以 eq 指定 {named}，可用 and 附加其他条件"),
            ),
        ));
    };
    let mut known: Vec<Lookup> = Vec::new();
    found.retain(|lookup| {
        let is_new = !known.contains(lookup);
        if is_new {
            known.push(lookup.clone());
        }
        is_new
    });
    if found.len() > MOST_LOOKUPS {
        let detail = both(
            format!("a filter finds {MOST_LOOKUPS} at most"),
            format!("一个过滤条件最多查找 {MOST_LOOKUPS} 个"),
        );
        return Err(Failure::of(Type::TooMany, detail));
    }
    Ok(found)
}

fn planned(filter: &Filter, finds: Finds) -> Option<Vec<Lookup>> {
    match filter {
        Filter::Attr(AttrExp::Comparison(path, CompareOp::Eq, CompValue::Str(text))) => {
            finds(path).map(|found| vec![found(text.clone())])
        }
        // emails[type eq "work" and value eq "…"]
        Filter::ValuePath(path) => {
            let whole = AttrPath { sub_attr: Some("value".to_owned()), ..path.attr.clone() };
            of_value(&path.filter).and_then(|text| finds(&whole).map(|found| vec![found(text)]))
        }
        Filter::And(all) => all.iter().filter_map(|one| planned(one, finds)).min_by_key(Vec::len),
        Filter::Or(any) => {
            let each: Option<Vec<Vec<Lookup>>> = any.iter().map(|one| planned(one, finds)).collect();
            each.map(|found| found.into_iter().flatten().collect())
        }
        Filter::Attr(_) | Filter::Not(_) => None,
    }
}

/// What `value` has to be for the filter to hold.
fn of_value(filter: &ValFilter) -> Option<String> {
    match filter {
        ValFilter::Attr(AttrExp::Comparison(path, CompareOp::Eq, CompValue::Str(text)))
            if path.uri.is_none() && path.sub_attr.is_none() && path.name.eq_ignore_ascii_case("value") =>
        {
            Some(text.clone())
        }
        ValFilter::And(all) => all.iter().find_map(of_value),
        _ => None,
    }
}

/// Is this what an attribute is to be, though it is written otherwise than it is shown? Addresses and names are found however
/// they are written, and what was found has to hold.
pub(super) type IsIt<'a> = &'a dyn Fn(&AttrPath, &str) -> bool;

/// Does it hold of a resource?
pub(super) fn matches(filter: &Filter, document: &Map<String, Value>, is_it: IsIt<'_>) -> bool {
    match filter {
        Filter::Attr(expression) => holds(expression, document, is_it),
        Filter::ValuePath(path) => {
            // No extension here has attributes of many values.
            let is_here = is_extension(path.attr.uri.as_deref()) == Some(false);
            let items = field(document, &path.attr.name).and_then(Value::as_array).filter(|_| is_here);
            items.is_some_and(|items| {
                // Within it, an attribute is the part of the whole that is called so.
                let is_part = |part: &AttrPath, text: &str| {
                    let whole = AttrPath { sub_attr: Some(part.name.clone()), ..path.attr.clone() };
                    is_it(&whole, text)
                };
                let mut items = items.iter().filter_map(Value::as_object);
                items.any(|item| holds_of_value(&path.filter, item, &is_part))
            })
        }
        Filter::Not(inner) => !matches(inner, document, is_it),
        Filter::And(all) => all.iter().all(|one| matches(one, document, is_it)),
        Filter::Or(any) => any.iter().any(|one| matches(one, document, is_it)),
    }
}

/// Does it hold of one of the values of an attribute that has many?
pub(super) fn matches_value(filter: &ValFilter, item: &Map<String, Value>) -> bool {
    holds_of_value(filter, item, &|_, _| false)
}

fn holds_of_value(filter: &ValFilter, item: &Map<String, Value>, is_it: IsIt<'_>) -> bool {
    match filter {
        ValFilter::Attr(expression) => holds(expression, item, is_it),
        ValFilter::Not(inner) => !holds_of_value(inner, item, is_it),
        ValFilter::And(all) => all.iter().all(|one| holds_of_value(one, item, is_it)),
        ValFilter::Or(any) => any.iter().any(|one| holds_of_value(one, item, is_it)),
    }
}

/// The attributes that an item has to have for the filter to hold, if it says just that.
pub(super) fn said(filter: &ValFilter) -> Option<Vec<(String, Value)>> {
    match filter {
        ValFilter::Attr(AttrExp::Comparison(path, CompareOp::Eq, value))
            if path.uri.is_none() && path.sub_attr.is_none() =>
        {
            let value = match value {
                CompValue::Str(text) => Value::String(text.clone()),
                CompValue::True => Value::Bool(true),
                CompValue::False => Value::Bool(false),
                CompValue::Number(number) => Value::Number(number.clone()),
                CompValue::Null => return None,
            };
            Some(vec![(path.name.clone(), value)])
        }
        ValFilter::And(all) => {
            let each: Option<Vec<Vec<(String, Value)>>> = all.iter().map(said).collect();
            each.map(|found| found.into_iter().flatten().collect())
        }
        _ => None,
    }
}

fn holds(expression: &AttrExp, document: &Map<String, Value>, is_it: IsIt<'_>) -> bool {
    match expression {
        AttrExp::Present(path) => values_at(document, path).into_iter().any(is_something),
        AttrExp::Comparison(path, operator, wanted) => {
            let values = values_at(document, path);
            // What a client calls something is compared as it is (RFC 7643 section 3.1).
            let is_exact = ["id", "externalId"].iter().any(|exact| path.name.eq_ignore_ascii_case(exact));
            let equals = |value: &&Value| compare(value, wanted, is_exact) == Some(Ordering::Equal);
            match (operator, wanted) {
                (CompareOp::Eq, CompValue::Null) => values.is_empty(),
                (CompareOp::Ne, CompValue::Null) => !values.is_empty(),
                (CompareOp::Ne | CompareOp::Eq, _) => {
                    let is_so = values.iter().any(equals)
                        || matches!(wanted, CompValue::Str(text) if is_it(path, text));
                    is_so == (*operator == CompareOp::Eq)
                }
                (operator, _) => values.iter().any(|value| by(operator, value, wanted, is_exact)),
            }
        }
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn folded(text: &str, is_exact: bool) -> String {
    if is_exact { text.to_owned() } else { text.to_lowercase() }
}

/// How a value stands to what is wanted; `None`: they can't be compared.
fn compare(value: &Value, wanted: &CompValue, is_exact: bool) -> Option<Ordering> {
    match (value, wanted) {
        (Value::String(value), CompValue::Str(wanted)) => {
            Some(folded(value, is_exact).cmp(&folded(wanted, is_exact)))
        }
        (Value::Bool(value), CompValue::True | CompValue::False) => {
            Some(value.cmp(&(*wanted == CompValue::True)))
        }
        // Entra ID writes them as texts.
        (Value::Bool(value), CompValue::Str(wanted)) => {
            let wanted = wanted.to_ascii_lowercase().parse::<bool>().ok()?;
            Some(value.cmp(&wanted))
        }
        (Value::Number(value), CompValue::Number(wanted)) => value.as_f64()?.partial_cmp(&wanted.as_f64()?),
        _ => None,
    }
}

fn by(operator: &CompareOp, value: &Value, wanted: &CompValue, is_exact: bool) -> bool {
    let order = || compare(value, wanted, is_exact);
    let texts = |holds: fn(&str, &str) -> bool| match (value, wanted) {
        (Value::String(value), CompValue::Str(wanted)) => {
            holds(&folded(value, is_exact), &folded(wanted, is_exact))
        }
        _ => false,
    };
    match operator {
        CompareOp::Co => texts(|value, wanted| value.contains(wanted)),
        CompareOp::Sw => texts(|value, wanted| value.starts_with(wanted)),
        CompareOp::Ew => texts(|value, wanted| value.ends_with(wanted)),
        CompareOp::Gt => order() == Some(Ordering::Greater),
        CompareOp::Lt => order() == Some(Ordering::Less),
        CompareOp::Ge => order().is_some_and(Ordering::is_ge),
        CompareOp::Le => order().is_some_and(Ordering::is_le),
        CompareOp::Eq => order() == Some(Ordering::Equal),
        CompareOp::Ne => order() != Some(Ordering::Equal),
    }
}
