//! The expressions that the backend uses: conditions, conditions on keys, updates.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::value::{Item, Value};
use crate::services::fields::{Answer, Fields, refused, strange};

/// Names and values that an expression refers to. All must be used, and all that is used be there.
pub(super) struct Scope {
    names: BTreeMap<String, String>,
    values: BTreeMap<String, Value>,
    used: BTreeSet<String>,
}

impl Scope {
    pub(super) fn take(fields: &mut Fields) -> Answer<Scope> {
        let mut scope = Scope { names: BTreeMap::new(), values: BTreeMap::new(), used: BTreeSet::new() };
        if let Some(names) = fields.take("ExpressionAttributeNames") {
            for (name, value) in Fields::of(names)?.all() {
                let Some(value) = value.as_str() else { return strange(format!("a name {value}")) };
                scope.names.insert(name, value.to_owned());
            }
        }
        if let Some(values) = fields.take("ExpressionAttributeValues") {
            for (name, value) in Fields::of(values)?.all() {
                scope.values.insert(name, Value::read(value)?);
            }
        }
        Ok(scope)
    }

    fn name(&mut self, token: &str) -> Answer<String> {
        self.used.insert(token.to_owned());
        self.names.get(token).cloned().map_or_else(|| strange(format!("the name {token}")), Ok)
    }

    /// The attributes of a projection; `None`: all of them.
    pub(super) fn projection(&mut self, fields: &mut Fields) -> Answer<Option<BTreeSet<String>>> {
        match fields.take("ProjectionExpression") {
            None => Ok(None),
            Some(Json::String(text)) => {
                text.split(", ").map(|token| self.name(token)).collect::<Answer<_>>().map(Some)
            }
            Some(other) => strange(format!("the projection {other}")),
        }
    }

    fn value(&mut self, token: &str) -> Answer<Value> {
        self.used.insert(token.to_owned());
        self.values.get(token).cloned().map_or_else(|| strange(format!("the value {token}")), Ok)
    }

    /// The service refuses names and values that no expression uses.
    pub(super) fn done(self) -> Answer<()> {
        let all = self.names.keys().chain(self.values.keys());
        match all.into_iter().find(|name| !self.used.contains(*name)) {
            None => Ok(()),
            Some(name) => strange(format!("{name} is not used in any expression")),
        }
    }
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Absent(String),
    Compare(String, &'static str, Value),
    BeginsWith(String, Value),
    Between(String, Value, Value),
}

struct Tokens<'a> {
    tokens: Vec<&'a str>,
    next: usize,
}

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Tokens<'a> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let len = match first {
                '(' | ')' | ',' => 1,
                '<' | '>' | '=' => rest.find(|c| !matches!(c, '<' | '>' | '=')).unwrap_or(rest.len()),
                _ => rest.find(|c: char| c.is_whitespace() || "(),<>=".contains(c)).unwrap_or(rest.len()),
            };
            tokens.push(&rest[..len]);
            rest = rest[len..].trim_start();
        }
        Tokens { tokens, next: 0 }
    }

    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.next).copied()
    }

    fn next(&mut self) -> Answer<&'a str> {
        let token = self.peek();
        self.next += 1;
        token.map_or_else(|| strange("an expression that is cut short"), Ok)
    }

    fn is_next(&mut self, token: &str) -> bool {
        let is = self.peek() == Some(token);
        self.next += usize::from(is);
        is
    }

    fn need(&mut self, wanted: &str) -> Answer<()> {
        let token = self.next()?;
        if token == wanted { Ok(()) } else { strange(format!("{token} where {wanted} must be")) }
    }
}

impl Condition {
    pub(super) fn read(text: &str, scope: &mut Scope) -> Answer<Condition> {
        let mut tokens = Tokens::of(text);
        let condition = any(&mut tokens, scope)?;
        match tokens.peek() {
            None => Ok(condition),
            Some(token) => strange(format!("{token} in the expression {text}")),
        }
    }

    /// Does it hold for an item? For none, `None`.
    pub(super) fn holds(&self, item: Option<&Item>) -> Answer<bool> {
        let attribute = |name: &String| item.and_then(|item| item.get(name));
        match self {
            Condition::Or(all) => {
                for one in all {
                    if one.holds(item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Condition::And(all) => {
                for one in all {
                    if !one.holds(item)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Condition::Absent(name) => Ok(attribute(name).is_none()),
            Condition::Compare(name, operator, wanted) => match attribute(name) {
                // What this means is said nowhere plainly.
                None if *operator == "<>" => strange(format!("{name} <> a value, of an item without {name}")),
                None => Ok(false),
                Some(found) if found.kind() != wanted.kind() => {
                    strange(format!("{name} compared with another type"))
                }
                Some(found) => Ok(match *operator {
                    "=" => found == wanted,
                    "<>" => found != wanted,
                    "<" => found < wanted,
                    _ => found >= wanted,
                }),
            },
            Condition::BeginsWith(name, prefix) => match (attribute(name), prefix) {
                (Some(Value::Text(text)), Value::Text(prefix)) => Ok(text.starts_with(prefix.as_str())),
                (None, _) => Ok(false),
                _ => strange("begins_with of what is no text"),
            },
            Condition::Between(name, low, high) => {
                if low > high {
                    // "The BETWEEN operator requires upper bound to be greater than or equal to lower bound".
                    return refused("ValidationException");
                }
                Ok(attribute(name).is_some_and(|value| low <= value && value <= high))
            }
        }
    }
}

fn any(tokens: &mut Tokens<'_>, scope: &mut Scope) -> Answer<Condition> {
    let mut conditions = vec![all(tokens, scope)?];
    while tokens.is_next("OR") {
        conditions.push(all(tokens, scope)?);
    }
    Ok(if conditions.len() == 1 { conditions.remove(0) } else { Condition::Or(conditions) })
}

fn all(tokens: &mut Tokens<'_>, scope: &mut Scope) -> Answer<Condition> {
    let mut conditions = vec![one(tokens, scope)?];
    while tokens.is_next("AND") {
        conditions.push(one(tokens, scope)?);
    }
    Ok(if conditions.len() == 1 { conditions.remove(0) } else { Condition::And(conditions) })
}

fn one(tokens: &mut Tokens<'_>, scope: &mut Scope) -> Answer<Condition> {
    let first = tokens.next()?;
    match first {
        "attribute_not_exists" => {
            tokens.need("(")?;
            let name = scope.name(tokens.next()?)?;
            tokens.need(")")?;
            Ok(Condition::Absent(name))
        }
        "begins_with" => {
            tokens.need("(")?;
            let name = scope.name(tokens.next()?)?;
            tokens.need(",")?;
            let prefix = scope.value(tokens.next()?)?;
            tokens.need(")")?;
            Ok(Condition::BeginsWith(name, prefix))
        }
        name if name.starts_with('#') => {
            let name = scope.name(name)?;
            match tokens.next()? {
                "BETWEEN" => {
                    let low = scope.value(tokens.next()?)?;
                    tokens.need("AND")?;
                    Ok(Condition::Between(name, low, scope.value(tokens.next()?)?))
                }
                operator => match ["=", "<>", "<", ">="].into_iter().find(|known| *known == operator) {
                    Some(operator) => Ok(Condition::Compare(name, operator, scope.value(tokens.next()?)?)),
                    None => strange(format!("the operator {operator}")),
                },
            }
        }
        other => strange(format!("{other} in an expression")),
    }
}

/// `SET #a = :a, … ADD #n :n`, applied to an item. The names that it has written.
pub(super) fn update(text: &str, scope: &mut Scope, item: &mut Item) -> Answer<BTreeSet<String>> {
    let mut tokens = Tokens::of(text);
    let mut written = BTreeSet::new();
    while let Some(clause) = tokens.peek() {
        tokens.next()?;
        loop {
            let name = scope.name(tokens.next()?)?;
            match clause {
                "SET" => {
                    tokens.need("=")?;
                    item.insert(name.clone(), scope.value(tokens.next()?)?);
                }
                "ADD" => {
                    let (more, there) = (scope.value(tokens.next()?)?, item.get(&name));
                    let sum = match (there, more) {
                        (None, Value::Number(more)) => more,
                        (Some(Value::Number(there)), Value::Number(more)) => there + more,
                        _ => return strange("ADD to what is no number"),
                    };
                    item.insert(name.clone(), Value::Number(sum));
                }
                other => return strange(format!("the clause {other}")),
            }
            if !written.insert(name) {
                return strange("an attribute that is updated twice");
            }
            if !tokens.is_next(",") {
                break;
            }
        }
    }
    Ok(written)
}
