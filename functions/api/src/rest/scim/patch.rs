//! Changes of a document (RFC 7644 section 3.5.2), with what Entra ID and Okta write otherwise: names of operations in any case,
//! attributes as keys of a value without a path, members to be removed in the value, a value that is filtered for and not there.
//!
//! The document is changed as a whole, and then read as one that was sent: attributes that this post office has not are put into
//! it and fall away.

use scim_v2::filter::{PatchPath, ValFilter};
use serde_json::{Map, Value};

use super::super::problem::details::both;
use super::answer::{Failure, Type};
use super::filter::{matches_value, said};
use super::value::{ENTERPRISE, field, flag, is_extension, key_of, wrong};

/// Attributes of many values: one that is said alone is one of them.
const MANY: [&str; 9] = [
    "emails",
    "phoneNumbers",
    "members",
    "addresses",
    "ims",
    "photos",
    "roles",
    "entitlements",
    "x509Certificates",
];
/// What nobody changes. Which schemas a document names says nothing by itself.
const FIXED: [&str; 3] = ["id", "meta", "schemas"];

/// Operations of one request: each may look at every member of a group.
const MOST_OPERATIONS: usize = 200;
/// Members that the operations of one request look at: 50 operations upon a group of the largest.
const MOST_LOOKS: usize = 500_000;
/// Values that an attribute has, but for members: what is said once may be put into each of them.
const MOST_VALUES: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Replace,
    Remove,
}

/// What is to be changed.
enum Target {
    /// The extension as a whole.
    Extension,
    Attribute {
        in_extension: bool,
        name: String,
        sub: Option<String>,
    },
    Values {
        in_extension: bool,
        name: String,
        filter: ValFilter,
        sub: Option<String>,
    },
}

/// Makes all changes of a body to a document.
pub(super) fn apply(document: &mut Map<String, Value>, body: &Map<String, Value>) -> Result<(), Failure> {
    let missing = || {
        let detail = both("a PatchOp has Operations", "PatchOp 须包含 Operations");
        Failure::of(Type::InvalidSyntax, detail)
    };
    let operations = field(body, "Operations").and_then(Value::as_array).ok_or_else(missing)?;
    // A value without a path is as many as it has keys.
    let count = |operation: &Value| match operation.as_object().and_then(|said| field(said, "value")) {
        Some(Value::Object(values)) => values.len().max(1),
        _ => 1,
    };
    if operations.iter().map(count).sum::<usize>() > MOST_OPERATIONS {
        let detail =
            both(format!("{MOST_OPERATIONS} operations at most"), format!("最多 {MOST_OPERATIONS} 个操作"));
        return Err(Failure::of(Type::InvalidValue, detail));
    }
    let mut looks = 0_usize;
    for operation in operations {
        let operation = operation.as_object().ok_or_else(missing)?;
        looks = looks.saturating_add(looked_at(document, operation));
        if looks > MOST_LOOKS {
            let detail = both(
                "too many operations for a group of this size: send fewer at once",
                "对于这么大的群组，操作过多：请减少每次的操作数",
            );
            return Err(Failure::of(Type::InvalidValue, detail));
        }
        one(document, operation)?;
    }
    Ok(())
}

/// How many members an operation looks at: all, once for each path, and for long ones, which may ask much, several times.
fn looked_at(document: &Map<String, Value>, operation: &Map<String, Value>) -> usize {
    let members = field(document, "members").and_then(Value::as_array).map_or(0, Vec::len);
    let times = |path: &str| 1 + path.len() / 40;
    let times = match (field(operation, "path"), field(operation, "value")) {
        (Some(Value::String(path)), _) if !path.trim().is_empty() => times(path),
        (_, Some(Value::Object(values))) => values.keys().map(|key| times(key)).sum(),
        _ => 1,
    };
    members.saturating_mul(times)
}

/// What is said of `active`, whatever else is wrong with the changes: the last word.
pub(super) fn active(body: &Map<String, Value>) -> Option<bool> {
    let is_active = |path: &str| {
        path.trim().parse::<PatchPath>().is_ok_and(|path| {
            matches!(path, PatchPath::Attr(path) if path.sub_attr.is_none()
                && is_extension(path.uri.as_deref()) == Some(false)
                && path.name.eq_ignore_ascii_case("active"))
        })
    };
    let mut last = None;
    for operation in field(body, "Operations")?.as_array()?.iter().filter_map(Value::as_object) {
        let op = field(operation, "op").and_then(Value::as_str).unwrap_or_default();
        if !["add", "replace"].iter().any(|known| known.eq_ignore_ascii_case(op)) {
            continue;
        }
        let path = field(operation, "path").and_then(Value::as_str).filter(|path| !path.trim().is_empty());
        match (path, field(operation, "value")) {
            (Some(path), Some(value)) if is_active(path) => last = flag(value).or(last),
            (None, Some(Value::Object(values))) => {
                for (_, value) in values.iter().filter(|(name, _)| is_active(name)) {
                    last = flag(value).or(last);
                }
            }
            _ => {}
        }
    }
    last
}

fn one(document: &mut Map<String, Value>, said: &Map<String, Value>) -> Result<(), Failure> {
    let named = field(said, "op").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let operation = match named.as_str() {
        "add" => Operation::Add,
        "replace" => Operation::Replace,
        "remove" => Operation::Remove,
        _ => {
            let detail = both("op is add, replace or remove", "op 须为 add、replace 或 remove");
            return Err(Failure::of(Type::InvalidSyntax, detail));
        }
    };
    let value = said.iter().find(|(key, _)| key.eq_ignore_ascii_case("value")).map(|(_, value)| value);
    let path = match field(said, "path") {
        None => None,
        Some(Value::String(path)) if path.trim().is_empty() => None,
        Some(Value::String(path)) => Some(path.trim()),
        Some(_) => return Err(invalid_path("path")),
    };
    match (operation, path, value) {
        (Operation::Remove, None, _) => {
            Err(Failure::of(Type::NoTarget, both("remove needs a path", "remove 须指定 path")))
        }
        (Operation::Remove, Some(path), value) => match target(path)? {
            Some(target) => remove(document, &target, value),
            None => Ok(()),
        },
        (_, None, Some(Value::Object(values))) => {
            // One after the other; what can't be changed is what was read.
            for (name, value) in values.iter().filter(|(name, _)| !is_fixed(name)) {
                // Keys that are no paths are of what is not kept.
                if let Some(target) = parsed(name).and_then(|path| target_of(path).transpose()) {
                    set(document, operation, &target?, value)?;
                }
            }
            Ok(())
        }
        (_, Some(path), Some(value)) => match target(path)? {
            Some(target) => set(document, operation, &target, value),
            None => Ok(()),
        },
        (_, _, _) => Err(wrong("value")),
    }
}

fn is_fixed(name: &str) -> bool {
    FIXED.iter().any(|fixed| fixed.eq_ignore_ascii_case(name))
}

fn invalid_path(path: &str) -> Failure {
    let path: String = path.chars().take(200).collect();
    Failure::of(
        Type::InvalidPath,
        both(format!("this is no path here: {path}"), format!("不是可用的路径：{path}")),
    )
}

/// A path as it is written; `None`: of the extension as a whole.
type Parsed = Option<PatchPath>;

/// What a path says; `None` for what is no path.
fn parsed(path: &str) -> Option<Parsed> {
    if path.eq_ignore_ascii_case(ENTERPRISE) {
        return Some(None);
    }
    path.parse::<PatchPath>().ok().map(Some)
}

/// What a path leads to; `None`: to something that is not kept.
fn target(path: &str) -> Result<Option<Target>, Failure> {
    target_of(parsed(path).ok_or_else(|| invalid_path(path))?)
}

fn target_of(path: Parsed) -> Result<Option<Target>, Failure> {
    let (attribute, filtered) = match path {
        None => return Ok(Some(Target::Extension)),
        Some(PatchPath::Attr(path)) => (path, None),
        Some(PatchPath::Value(path)) => (path.attr, Some((path.filter, path.sub_attr))),
    };
    let Some(in_extension) = is_extension(attribute.uri.as_deref()) else { return Ok(None) };
    let name = attribute.name;
    if !in_extension && name.eq_ignore_ascii_case("schemas") {
        return Ok(None);
    }
    if !in_extension && is_fixed(&name) {
        return Err(Failure::of(
            Type::Mutability,
            both(format!("{name} can't be changed"), format!("{name} 不能更改")),
        ));
    }
    Ok(Some(match filtered {
        Some((filter, sub)) => Target::Values { in_extension, name, filter, sub },
        None => Target::Attribute { in_extension, name, sub: attribute.sub_attr },
    }))
}

/// The object in which an attribute lies, made where it is missing.
fn container(document: &mut Map<String, Value>, in_extension: bool) -> &mut Map<String, Value> {
    if in_extension { object_at(document, ENTERPRISE) } else { document }
}

/// What stands at a name, as an object.
fn object_at<'a>(object: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let key = key_of(object, name).unwrap_or_else(|| name.to_owned());
    let value = object.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was made one")
}

fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    let key = key_of(object, name).unwrap_or_else(|| name.to_owned());
    if value.is_null() {
        object.remove(&key);
    } else {
        object.insert(key, value);
    }
}

fn is_many(name: &str) -> bool {
    MANY.iter().any(|many| many.eq_ignore_ascii_case(name))
}

/// The values that are said of an attribute of many.
fn each(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        other => vec![other.clone()],
    }
}

/// What an item is told from others by.
fn mark(item: &Value) -> &Value {
    item.as_object().and_then(|item| field(item, "value")).unwrap_or(item)
}

fn set(
    document: &mut Map<String, Value>,
    operation: Operation,
    target: &Target,
    value: &Value,
) -> Result<(), Failure> {
    match target {
        Target::Extension => {
            let Some(values) = value.as_object() else { return Err(wrong(ENTERPRISE)) };
            for (name, value) in values {
                put(container(document, true), name, value.clone());
            }
            Ok(())
        }
        Target::Attribute { in_extension, name, sub: None } => {
            let object = container(document, *in_extension);
            if is_many(name) {
                add_each(object, operation, name, each(value))?;
            } else if let (Some(Value::Object(_)), Value::Object(said)) = (field(object, name), value) {
                // Of what is made of parts, those that are named.
                let parts = object_at(object, name);
                for (part, value) in said {
                    put(parts, part, value.clone());
                }
            } else {
                put(object, name, value.clone());
            }
            Ok(())
        }
        Target::Attribute { in_extension, name, sub: Some(sub) } => {
            let object = container(document, *in_extension);
            if is_many(name) {
                must_have_parts(name)?;
                let key = key_of(object, name);
                let Some(Value::Array(items)) = key.and_then(|key| object.get_mut(&key)) else {
                    return Ok(());
                };
                items
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|item| put(item, sub, value.clone()));
            } else {
                put(object_at(object, name), sub, value.clone());
            }
            Ok(())
        }
        Target::Values { in_extension, name, filter, sub } => {
            set_values(container(document, *in_extension), name, filter, sub.as_deref(), value)
        }
    }
}

/// Adds values that are not there yet, or puts them in the place of all.
fn add_each(
    object: &mut Map<String, Value>,
    operation: Operation,
    name: &str,
    values: Vec<Value>,
) -> Result<(), Failure> {
    let key = key_of(object, name).unwrap_or_else(|| name.to_owned());
    let mut items = match (operation, object.remove(&key)) {
        (Operation::Add, Some(Value::Array(items))) => items,
        _ => Vec::new(),
    };
    if name.eq_ignore_ascii_case("phoneNumbers") {
        // Of each type one is kept: the one that is said now.
        items.retain(|item| !values.iter().any(|value| is_of_type(value, item)));
    }
    let mut known: std::collections::HashSet<String> =
        items.iter().map(|item| mark(item).to_string()).collect();
    for value in values {
        if known.insert(mark(&value).to_string()) {
            items.push(value);
        }
    }
    if items.len() > MOST_VALUES && !is_members(name) {
        return Err(wrong(name));
    }
    if !items.is_empty() {
        object.insert(key, Value::Array(items));
    }
    Ok(())
}

/// Are two values of the same type, which both say?
fn is_of_type(one: &Value, other: &Value) -> bool {
    let kind = |value: &Value| Some(field(value.as_object()?, "type")?.as_str()?.to_ascii_lowercase());
    kind(one).is_some_and(|one| kind(other) == Some(one))
}

fn is_members(name: &str) -> bool {
    name.eq_ignore_ascii_case("members")
}

/// Members come and go; of them there is nothing to be changed.
fn must_have_parts(name: &str) -> Result<(), Failure> {
    if !is_members(name) {
        return Ok(());
    }
    Err(Failure::of(
        Type::Mutability,
        both("members are added and removed, not changed", "成员只能添加或移除，不能更改"),
    ))
}

fn set_values(
    object: &mut Map<String, Value>,
    name: &str,
    filter: &ValFilter,
    sub: Option<&str>,
    value: &Value,
) -> Result<(), Failure> {
    let key = key_of(object, name).unwrap_or_else(|| name.to_owned());
    let items = object.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(items) = items else { return Err(invalid_path(name)) };
    must_have_parts(name)?;
    // One more may come.
    if items.len() >= MOST_VALUES {
        return Err(wrong(name));
    }
    let change = |item: &mut Map<String, Value>| -> Result<(), Failure> {
        match (sub, value) {
            (Some(sub), value) => put(item, sub, value.clone()),
            (None, Value::Object(said)) => {
                for (part, value) in said {
                    put(item, part, value.clone());
                }
            }
            (None, _) => return Err(wrong(name)),
        }
        Ok(())
    };
    let mut is_found = false;
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        if matches_value(filter, item) {
            is_found = true;
            change(item)?;
        }
    }
    if is_found {
        return Ok(());
    }
    // Entra ID means one that is to be there from now on.
    let Some(said) = said(filter) else {
        let detail = both(format!("no value of {name} is meant"), format!("{name} 中没有符合条件的值"));
        return Err(Failure::of(Type::NoTarget, detail));
    };
    let mut item: Map<String, Value> = said.into_iter().collect();
    change(&mut item)?;
    items.push(item.into());
    Ok(())
}

fn remove(document: &mut Map<String, Value>, target: &Target, value: Option<&Value>) -> Result<(), Failure> {
    match target {
        Target::Extension => put(document, ENTERPRISE, Value::Null),
        Target::Attribute { in_extension, name, sub: None } => {
            let object = container(document, *in_extension);
            match value {
                // Those that are named, and no others.
                Some(value) if is_many(name) && !value.is_null() => {
                    let gone: std::collections::HashSet<String> =
                        each(value).iter().map(|item| mark(item).to_string()).collect();
                    retain(object, name, |item| !gone.contains(&mark(item).to_string()));
                }
                _ => put(object, name, Value::Null),
            }
        }
        Target::Attribute { in_extension, name, sub: Some(sub) } => {
            let object = container(document, *in_extension);
            let key = key_of(object, name);
            match key.and_then(|key| object.get_mut(&key)) {
                Some(Value::Object(parts)) => put(parts, sub, Value::Null),
                Some(Value::Array(items)) => {
                    items
                        .iter_mut()
                        .filter_map(Value::as_object_mut)
                        .for_each(|item| put(item, sub, Value::Null));
                }
                _ => {}
            }
        }
        Target::Values { in_extension, name, filter, sub } => {
            let object = container(document, *in_extension);
            let is_meant = |item: &Value| item.as_object().is_some_and(|item| matches_value(filter, item));
            match sub {
                None => retain(object, name, |item| !is_meant(item)),
                Some(sub) => {
                    let key = key_of(object, name);
                    if let Some(Value::Array(items)) = key.and_then(|key| object.get_mut(&key)) {
                        for item in items.iter_mut().filter(|item| is_meant(item)) {
                            if let Value::Object(item) = item {
                                put(item, sub, Value::Null);
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Keeps these values; an attribute without any is not there.
fn retain(object: &mut Map<String, Value>, name: &str, keep: impl Fn(&Value) -> bool) {
    let Some(key) = key_of(object, name) else { return };
    if let Some(Value::Array(items)) = object.get_mut(&key) {
        items.retain(keep);
        if items.is_empty() {
            object.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("no object: {value}") };
        object
    }

    fn person() -> Map<String, Value> {
        object(json!({
            "id": "1", "userName": "ann@acme.example", "displayName": "Ann", "active": true,
            "name": { "formatted": "Ann", "givenName": "Ann" },
            "phoneNumbers": [{ "type": "work", "value": "1" }, { "type": "mobile", "value": "2" }],
            ENTERPRISE: { "department": "Research" },
        }))
    }

    fn patched(of: Map<String, Value>, operations: Value) -> Result<Value, Failure> {
        let mut document = of;
        apply(&mut document, &Map::from_iter([("Operations".to_owned(), operations)]))?;
        Ok(document.into())
    }

    #[test]
    fn a_document_is_changed_as_the_standard_says_and_as_clients_write() {
        for (operations, pointer, expected) in [
            (json!([{ "op": "Replace", "path": "active", "value": "False" }]), "/active", json!("False")),
            (json!([{ "op": "replace", "value": { "displayName": "B" } }]), "/displayName", json!("B")),
            (json!([{ "op": "replace", "value": { "name.givenName": "B" } }]), "/name/givenName", json!("B")),
            (
                json!([{ "op": "Add", "path": "name", "value": { "familyName": "Z" } }]),
                "/name/givenName",
                json!("Ann"),
            ),
            (json!([{ "op": "REMOVE", "path": "name.givenName" }]), "/name", json!({ "formatted": "Ann" })),
            (
                json!([{ "op": "Replace", "path": "phoneNumbers[type eq \"work\"].value", "value": "9" }]),
                "/phoneNumbers/0/value",
                json!("9"),
            ),
            (
                json!([{ "op": "Add", "path": "addresses[type eq \"work\"].formatted", "value": "x" }]),
                "/addresses",
                json!([{ "type": "work", "formatted": "x" }]),
            ),
            (
                json!([{ "op": "remove", "path": "phoneNumbers[type eq \"work\"]" }]),
                "/phoneNumbers",
                json!([{ "type": "mobile", "value": "2" }]),
            ),
            (
                json!([{ "op": "add", "value": { format!("{ENTERPRISE}:department"): "Sales" } }]),
                &*format!("/{ENTERPRISE}/department"),
                json!("Sales"),
            ),
            (
                json!([{ "op": "replace", "value": { ENTERPRISE: { "employeeNumber": "7" } } }]),
                &*format!("/{ENTERPRISE}"),
                json!({ "department": "Research", "employeeNumber": "7" }),
            ),
            (json!([{ "op": "replace", "path": "TITLE", "value": "head" }]), "/TITLE", json!("head")),
        ] {
            let document = patched(person(), operations.clone()).expect("patched");
            assert_eq!(document.pointer(pointer), Some(&expected), "{operations}");
        }
    }

    #[test]
    fn members_come_once_and_go_in_every_way_that_names_them() {
        let group = object(json!({ "members": [{ "value": "1" }, { "value": "2" }, { "value": "3" }] }));
        let left = |operations| patched(group.clone(), operations).expect("patched")["members"].clone();
        assert_eq!(
            left(json!([{ "op": "Add", "path": "members", "value": [{ "value": "3" }, { "value": "4" }] }])),
            json!([{ "value": "1" }, { "value": "2" }, { "value": "3" }, { "value": "4" }])
        );
        for removal in [
            json!({ "op": "Remove", "path": "members[value eq \"2\"]" }),
            json!({ "op": "Remove", "path": "members", "value": [{ "value": "2" }] }),
            json!({ "op": "Remove", "path": "members", "value": { "value": "2" } }),
            json!({ "op": "Remove", "path": "members", "value": "2" }),
        ] {
            assert_eq!(left(json!([removal])), json!([{ "value": "1" }, { "value": "3" }]));
        }
        assert_eq!(left(json!([{ "op": "remove", "path": "members" }])), Value::Null);
        assert_eq!(left(json!([{ "op": "replace", "path": "members", "value": [] }])), Value::Null);
    }

    #[test]
    fn what_is_no_change_is_refused_by_its_name() {
        for (operations, status) in [
            (json!("x"), "invalidSyntax"),
            (json!([{ "op": "move", "path": "title" }]), "invalidSyntax"),
            (json!([{ "op": "remove" }]), "noTarget"),
            (json!([{ "op": "replace", "path": "id", "value": "2" }]), "mutability"),
            (json!([{ "op": "replace", "path": "phoneNumbers[type eq", "value": "2" }]), "invalidPath"),
            (json!([{ "op": "replace", "path": "title" }]), "invalidValue"),
            (json!([{ "op": "add", "path": "members[value eq \"1\"].display", "value": "x" }]), "mutability"),
            (json!([{ "op": "add", "path": "members.display", "value": "x" }]), "mutability"),
            (
                json!([{ "op": "add", "path": "emails", "value": (0..101).collect::<Vec<u8>>() }]),
                "invalidValue",
            ),
            (Value::Array(vec![json!({ "op": "remove", "path": "title" }); 201]), "invalidValue"),
            (
                json!([{ "op": "add", "value": (0..201).map(|n| (format!("a{n}"), json!(n))).collect::<Map<_, _>>() }]),
                "invalidValue",
            ),
            (json!([{ "op": "replace", "value": "head" }]), "invalidValue"),
            (
                json!([{ "op": "replace", "path": "phoneNumbers[value co \"9\"].value", "value": "2" }]),
                "noTarget",
            ),
        ] {
            let failure = patched(person(), operations.clone()).expect_err("refused");
            assert!(
                format!("{failure:?}").to_lowercase().contains(&status.to_lowercase()),
                "{operations}: {failure:?}"
            );
        }
    }

    #[test]
    fn what_is_not_kept_is_no_fault() {
        let other = "urn:ietf:params:scim:schemas:extension:contoso:2.0:User";
        let operations = json!([
            { "op": "add", "path": format!("{other}:badge"), "value": "7" },
            { "op": "remove", "path": format!("{other}:badge") },
            { "op": "add", "path": "schemas", "value": [other] },
            { "op": "replace", "value": { other: { "badge": "7" }, "$ref": "x", "_x": 1 } },
        ]);
        assert_eq!(patched(person(), operations).expect("patched"), Value::from(person()));
    }

    #[test]
    fn one_number_of_a_type_is_kept() {
        let operations =
            json!([{ "op": "add", "path": "phoneNumbers", "value": [{ "type": "Work", "value": "9" }] }]);
        let numbers = json!([{ "type": "mobile", "value": "2" }, { "type": "Work", "value": "9" }]);
        assert_eq!(patched(person(), operations).expect("patched")["phoneNumbers"], numbers);
    }

    #[test]
    fn large_groups_take_fewer_operations() {
        let members: Vec<Value> = (0..10_000).map(|n| json!({ "value": n.to_string() })).collect();
        let group = object(json!({ "members": members }));
        let operation = json!({ "op": "remove", "path": "members[value eq \"x\"]" });
        assert!(patched(group.clone(), Value::Array(vec![operation.clone(); 50])).is_ok());
        assert!(patched(group.clone(), Value::Array(vec![operation; 51])).is_err());
        let long = format!("members[{}]", ["value eq \"x\""; 200].join(" or "));
        assert!(patched(group, json!([{ "op": "remove", "path": long }])).is_err());
    }

    #[test]
    fn what_is_said_of_active_is_read_whatever_else_is_said() {
        let core = super::super::value::USER;
        for (operations, said) in [
            (
                json!([{ "op": "swap" }, 7, { "op": "Replace", "path": "Active", "value": "False" }]),
                Some(false),
            ),
            (json!([{ "op": "add", "value": { "active": false, "title[": 1 } }]), Some(false)),
            (json!([{ "op": "replace", "path": format!("{core}:active"), "value": false }]), Some(false)),
            (
                json!([
                    { "op": "replace", "path": "active", "value": false },
                    { "op": "replace", "value": { "active": "true" } },
                ]),
                Some(true),
            ),
            (json!([{ "op": "remove", "path": "active" }]), None),
            (json!([{ "op": "replace", "path": "active", "value": "perhaps" }]), None),
            (json!([{ "op": "replace", "path": format!("{ENTERPRISE}:active"), "value": false }]), None),
            (json!("x"), None),
        ] {
            let body = Map::from_iter([("Operations".to_owned(), operations.clone())]);
            assert_eq!(active(&body), said, "{operations}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(path in ".{0,60}", value in ".{0,20}", op in "(add|replace|remove)") {
            let _ = patched(person(), json!([{ "op": op, "path": path, "value": value }]));
            let operations = json!([{ "op": op, "value": { path: value } }]);
            let _ = active(&Map::from_iter([("Operations".to_owned(), operations.clone())]));
            let _ = patched(person(), operations);
        }
    }
}
