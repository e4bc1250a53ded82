//! What there is (RFC 7643 sections 5 to 7, RFC 7644 section 4): only what is kept stands in the schemas.

use serde_json::{Value, json};

use super::super::problem::Kind;
use super::answer::{Answer, Failure};
use super::list::MAX_COUNT;
use super::value::{ENTERPRISE, GROUP, USER};

pub(super) fn config(base: &str) -> Answer {
    Answer::document(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": "https://datatracker.ietf.org/doc/html/rfc7644",
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": MAX_COUNT },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A key of the organisation with the permission provisioning:write",
            "specUri": "https://datatracker.ietf.org/doc/html/rfc6750",
            "primary": true,
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    }))
}

/// All of a kind, or the one that is named.
fn of(all: Vec<Value>, words: &[&str]) -> Result<Answer, Failure> {
    match words {
        [] => {
            let total = all.len();
            Ok(Answer::document(json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
                "totalResults": total, "startIndex": 1, "itemsPerPage": total, "Resources": all,
            })))
        }
        [id] => {
            let is_meant =
                |one: &Value| one["id"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(id));
            let found = all.into_iter().find(is_meant).ok_or(Kind::NotFound)?;
            Ok(Answer::document(found))
        }
        _ => Err(Kind::NotFound.into()),
    }
}

pub(super) fn resource_types(base: &str, words: &[&str]) -> Result<Answer, Failure> {
    let one = |name: &str, endpoint: &str, about: &str, schema: &str, extensions: Value| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": name, "name": name, "endpoint": endpoint, "description": about, "schema": schema,
            "schemaExtensions": extensions,
            "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{name}") },
        })
    };
    let enterprise = json!([{ "schema": ENTERPRISE, "required": false }]);
    let all = vec![
        one("User", "/Users", "Members", USER, enterprise),
        one("Group", "/Groups", "Tags", GROUP, json!([])),
    ];
    of(all, words)
}

/// An attribute of one text.
fn text(name: &str, about: &str, mutability: &str) -> Value {
    json!({
        "name": name, "type": "string", "multiValued": false, "description": about, "required": false,
        "caseExact": false, "mutability": mutability, "returned": "default", "uniqueness": "none",
    })
}

/// The same with other characteristics.
fn with(mut attribute: Value, others: &[(&str, Value)]) -> Value {
    for (name, value) in others {
        attribute[*name] = value.clone();
    }
    attribute
}

/// One that is made of others.
fn complex(name: &str, about: &str, many: bool, parts: Vec<Value>) -> Value {
    let many = [("type", "complex".into()), ("multiValued", many.into()), ("subAttributes", parts.into())];
    let mut attribute = with(text(name, about, "readWrite"), &many);
    if let Some(attribute) = attribute.as_object_mut() {
        attribute.remove("caseExact");
    }
    attribute
}

pub(super) fn schemas(base: &str, words: &[&str]) -> Result<Answer, Failure> {
    let one = |id: &str, name: &str, about: &str, attributes: Vec<Value>| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": id, "name": name, "description": about, "attributes": attributes,
            "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{id}") },
        })
    };
    let yes = || Value::Bool(true);
    let external = with(text("externalId", "What the client calls it", "readWrite"), &[("caseExact", yes())]);
    let kinds = |kinds: Value| with(text("type", "Which", "readWrite"), &[("canonicalValues", kinds)]);
    let name = vec![
        text("formatted", "The whole name", "readWrite"),
        text("givenName", "The given name", "readWrite"),
        text("familyName", "The family name", "readWrite"),
    ];
    let email = vec![
        text("value", "The address", "readOnly"),
        text("type", "Which", "readOnly"),
        with(text("primary", "Is it the one?", "readOnly"), &[("type", "boolean".into())]),
    ];
    let phone = vec![text("value", "The number", "readWrite"), kinds(json!(["work", "mobile"]))];
    let user = vec![
        with(
            text(
                "userName",
                "The address of the mailbox, in a domain of the organisation; it stays",
                "immutable",
            ),
            &[("required", yes()), ("uniqueness", "server".into())],
        ),
        external.clone(),
        text("displayName", "The name that is shown", "readWrite"),
        complex("name", "The name in its parts", false, name),
        text("title", "Position", "readWrite"),
        with(text("active", "May the mailbox be used?", "readWrite"), &[("type", "boolean".into())]),
        with(complex("emails", "The address again", true, email), &[("mutability", "readOnly".into())]),
        complex("phoneNumbers", "Numbers at work and under way", true, phone),
    ];
    let enterprise = vec![
        text("employeeNumber", "The number that the organisation has given", "readWrite"),
        text("department", "The main department as a path: Research/Compilers", "readWrite"),
    ];
    let member = vec![
        with(text("value", "The id of a user", "immutable"), &[("caseExact", yes())]),
        text("type", "User", "immutable"),
        with(
            text("$ref", "Where the user is", "readOnly"),
            &[("type", "reference".into()), ("referenceTypes", json!(["User"]))],
        ),
    ];
    let group = vec![
        with(
            text("displayName", "The name of the tag, 50 characters at most", "readWrite"),
            &[("required", yes()), ("uniqueness", "server".into())],
        ),
        external,
        complex("members", "Whom the tag marks", true, member),
    ];
    let all = vec![
        one(USER, "User", "Members", user),
        one(ENTERPRISE, "EnterpriseUser", "What organisations say of members", enterprise),
        one(GROUP, "Group", "Tags", group),
    ];
    of(all, words)
}
