//! The OpenAPI 3.1 document, made of the table of operations and of the types that are read and written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use pennypost_admin::Action;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::language::Language;
use crate::rest::doors::{self, Door};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::resources::{self, requests};

/// The document as text, made once.
pub(super) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_string())
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in resources::operations() {
        let methods = paths.entry(operation.path).or_default();
        methods.insert(operation.method.name().to_owned(), described(operation, &mut generator));
    }
    for door in doors::DOORS {
        let methods = paths.entry(door.path).or_default();
        methods.insert("post".to_owned(), described_door(door, &mut generator));
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pennypost admin API",
            "version": "1",
            "description": INTRODUCTION,
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "key": [] }, { "cookie": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http", "scheme": "bearer",
                    "description": "A key (`pennypost key add`), or a session.",
                },
                "cookie": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-pennypost",
                    "description": "A session in a browser. What changes something comes with `Pennypost-Page: 1`.",
                },
            },
            "schemas": schemas,
        },
    })
}

const INTRODUCTION: &str = "Resources of a post office. Every call shows a key as a bearer token; what the key is not for \
is answered by 403, what is another tenant's by 404 as if it were not there. Refusals are problems of RFC 9457: `type` is \
for programs and stays, `title` and `detail` are in the language of Accept-Language (English or Chinese). Lists have pages: \
`next` is what `after` is for the following one. Updates take If-Match with the ETag that was read. A POST with an \
Idempotency-Key is done once within a day.";

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "Why something was refused (RFC 9457).",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string", "format": "uri", "description": "What is wrong, for programs." },
            "title": { "type": "string", "description": "What is wrong, for people." },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What exactly is wrong." },
            "errors": {
                "type": "array",
                "description": "Parts of the body that are wrong.",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": { "type": "string", "description": "JSON pointer." },
                        "detail": { "type": "string" },
                    },
                },
            },
        },
    })
}

fn described(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = operation.parameters().map(path_parameter).collect();
    for query in operation.query {
        let schema = if query.is_number {
            json!({ "type": "integer", "minimum": 1, "maximum": 500, "default": 100 })
        } else if query.name == "counts" {
            json!({ "type": "boolean", "default": false })
        } else {
            json!({ "type": "string" })
        };
        parameters
            .push(json!({ "name": query.name, "in": "query", "description": query.about, "schema": schema }));
    }
    if operation.is_update {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": true, "schema": { "type": "string" },
            "description": "The ETag that was read, or `*`.",
        }));
    }
    if operation.method == Method::Post {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "schema": { "type": "string", "pattern": "^[!-~]{1,200}$" },
            "description": "With the same one the same request is done once within a day.",
        }));
    }
    let tag = operation.path.rsplit('/').find(|part| !part.starts_with('{')).unwrap_or_default();
    let mut described = json!({
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [tag],
        "parameters": parameters,
        "responses": responses(&operation.good, operation.kinds(), generator),
    });
    if operation.action.is_some_and(|action| action.is_dangerous() && action != Action::RequestConfirm) {
        described["responses"]["202"] = json!({
            "description": "It waits for a second administrator.",
            "headers": { "Location": { "description": "Where it waits.", "schema": { "type": "string" } } },
            "content": { "application/json": { "schema": shape::<requests::Pending>(generator) } },
        });
    }
    if let Some(action) = operation.action {
        described["x-pennypost-action"] = action.name().into();
    }
    if let Some(shape) = operation.body {
        let schema = shape(generator);
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": schema } },
        });
    }
    if operation.is_script() {
        let script = json!({ "application/sieve": { "schema": { "type": "string" } } });
        if operation.body.is_some() {
            described["requestBody"]["content"] = script.clone();
        }
        described["responses"]["200"]["content"] = script;
    }
    described
}

fn described_door(door: &Door, generator: &mut SchemaGenerator) -> Value {
    let schema = (door.body)(generator);
    json!({
        "operationId": door.name,
        "summary": door.summary,
        "tags": [door.path.trim_start_matches('/')],
        "parameters": [],
        "security": [],
        "requestBody": { "required": true, "content": { "application/json": { "schema": schema } } },
        "responses": responses(&door.good, door.kinds(), generator),
    })
}

fn path_parameter(name: &str) -> Value {
    let (schema, about) = match name {
        "destinations" => {
            (json!({ "type": "string" }), "`*` for all, a domain, or `*.` and a domain for all below it.")
        }
        "domain" => (json!({ "type": "string" }), "The name of a domain."),
        "department" | "tag" => {
            (json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }), "The number of it.")
        }
        "alias" | "group" | "application" => (json!({ "type": "string" }), "An address."),
        _ => (json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" }), "An id."),
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema, "description": about })
}

fn responses(good: &Good, kinds: Vec<Kind>, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    let mut answer = json!({ "description": "Done." });
    let mut content = Map::new();
    if let Some(shape) = good.shape {
        content.insert("application/json".to_owned(), json!({ "schema": shape(generator) }));
    }
    if good.has_csv {
        content.insert("text/csv".to_owned(), json!({ "schema": { "type": "string" } }));
    }
    if !content.is_empty() {
        answer["content"] = content.into();
    }
    let mut headers = Map::new();
    let header = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    if good.is_tagged {
        headers.insert("ETag".to_owned(), header("What was read, for If-Match."));
    }
    if matches!(good.status, 201 | 202) {
        headers.insert("Location".to_owned(), header("Where it is."));
    }
    if good.has_csv {
        headers.insert("Link".to_owned(), header("The next page of text/csv."));
    }
    if !headers.is_empty() {
        answer["headers"] = headers.into();
    }
    responses.insert(good.status.to_string(), answer);
    let mut by_status: BTreeMap<u16, BTreeSet<Kind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status().as_u16()).or_default().insert(kind);
    }
    for (status, kinds) in by_status {
        let told: Vec<String> =
            kinds.iter().map(|kind| format!("`{}`: {}", kind.uri(), kind.title(Language::English))).collect();
        let answer = json!({
            "description": told.join("; "),
            "content": {
                "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
            },
        });
        responses.insert(status.to_string(), answer);
    }
    responses.into()
}
