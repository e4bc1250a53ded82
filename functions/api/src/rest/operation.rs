//! What an operation of the API is. The table of operations is the router, the OpenAPI document and the first question of
//! authorisation at once: what is not in it is not there.

use std::pin::Pin;

use axum::http;
use pennypost_admin::Action;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::rest::ask::Ask;
use crate::rest::front::MOST_BODY;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Post => "post",
            Method::Put => "put",
            Method::Patch => "patch",
            Method::Delete => "delete",
        }
    }

    pub(crate) const fn http(self) -> http::Method {
        match self {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        }
    }
}

/// The answer that is on its way.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send + 'a>>;

/// The shape of a type.
pub(crate) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The schema of a field that has to be there and may be null: by itself, one that has to be there is never null.
pub(crate) fn or_null<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Option<T>>()
}

/// The shape of `T`.
pub(crate) fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A parameter behind the question mark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) is_number: bool,
}

/// How many, and from where on: of every list.
pub(crate) const PAGE: &[Query] = &[
    Query { name: "limit", about: "How many at most: 1 to 500; 100, if nothing is said.", is_number: true },
    Query { name: "after", about: "`next` of the page before.", is_number: false },
];

/// What comes back if it goes well.
#[derive(Clone, Copy)]
pub(crate) struct Good {
    pub(crate) status: u16,
    pub(crate) shape: Option<Shape>,
    /// It comes with an ETag.
    pub(crate) is_tagged: bool,
    /// It can be had as text/csv, too.
    pub(crate) has_csv: bool,
}

impl Good {
    pub(crate) const NOTHING: Good = Good { status: 204, shape: None, is_tagged: false, has_csv: false };

    pub(crate) const fn list(shape: Shape) -> Good {
        Good { status: 200, shape: Some(shape), is_tagged: false, has_csv: false }
    }

    pub(crate) const fn one(shape: Shape) -> Good {
        Good { status: 200, shape: Some(shape), is_tagged: true, has_csv: false }
    }

    /// Something that is told without being a resource that is changed by If-Match.
    pub(crate) const fn told(shape: Shape) -> Good {
        Good::list(shape)
    }

    pub(crate) const fn made(shape: Shape) -> Good {
        Good { status: 201, shape: Some(shape), is_tagged: false, has_csv: false }
    }

    /// Something that is put down to be carried out.
    pub(crate) const fn accepted(shape: Shape) -> Good {
        Good { status: 202, shape: Some(shape), is_tagged: false, has_csv: false }
    }
}

/// Bytes of a body that holds a file, in base64: below what the service hands to a function.
const MOST_FILE: usize = 5_400 * 1024;

/// An operation.
pub(crate) struct Operation {
    /// Its name in the document.
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    /// Below `/api/v1`; parameters stand in braces.
    pub(crate) path: &'static str,
    /// What it does, as authorisation knows it. `None`: whoever has a key may ask about himself.
    pub(crate) action: Option<Action>,
    pub(crate) summary: &'static str,
    pub(crate) query: &'static [Query],
    pub(crate) body: Option<Shape>,
    /// It takes If-Match.
    pub(crate) is_update: bool,
    pub(crate) good: Good,
    /// What may be wrong, beside what may be wrong with each.
    pub(crate) problems: &'static [Kind],
    pub(crate) handler: for<'a> fn(&'a Ask) -> Answering<'a>,
}

/// What is done for a request.
pub(crate) type Done = for<'a> fn(&'a Ask) -> Answering<'a>;

impl Operation {
    /// An operation without body and query.
    pub(crate) const fn new(
        (method, path, name): (Method, &'static str, &'static str),
        action: Action,
        summary: &'static str,
        good: Good,
        handler: Done,
    ) -> Operation {
        let (query, body, is_update, problems) = (&[] as &[Query], None, false, &[] as &[Kind]);
        let action = Some(action);
        Operation { name, method, path, action, summary, query, body, is_update, good, problems, handler }
    }

    /// The same with parameters behind the question mark.
    pub(crate) const fn asking(self, query: &'static [Query]) -> Operation {
        Operation { query, ..self }
    }

    /// The same with a body.
    pub(crate) const fn with(self, body: Shape) -> Operation {
        Operation { body: Some(body), ..self }
    }

    /// The same with If-Match.
    pub(crate) const fn update(self) -> Operation {
        Operation { is_update: true, ..self }
    }

    /// The same with what may be wrong, beside what may be wrong with each.
    pub(crate) const fn refusing(self, problems: &'static [Kind]) -> Operation {
        Operation { problems, ..self }
    }

    /// Bytes that its body has at most.
    pub(crate) fn most_body(&self) -> usize {
        match self.action {
            Some(Action::OrganisationImport | Action::MailingAdd) => MOST_FILE,
            _ => MOST_BODY,
        }
    }

    /// Is it about a script of Sieve, and not about a document?
    pub(crate) fn is_script(&self) -> bool {
        self.path.ends_with(".sieve")
    }

    /// The names in braces.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Every kind of problem that it may answer with.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut kinds = vec![
            Kind::Unauthorised,
            Kind::Elsewhere,
            Kind::TooManyRequests,
            Kind::Damaged,
            Kind::Unavailable,
        ];
        kinds.push(Kind::BadParameter);
        if self.action.is_some() {
            kinds.extend([Kind::NoPermission, Kind::OutOfReach, Kind::AboveActor]);
            kinds.extend([Kind::ConfirmationNeeded, Kind::FactorMissing, Kind::PasswordOver]);
        }
        if self.parameters().next().is_some() {
            kinds.push(Kind::NotFound);
        }
        if self.body.is_some() {
            kinds.extend([Kind::BadBody, Kind::TooLarge, Kind::OtherMedia]);
        }
        if self.is_update {
            kinds.extend([Kind::Changed, Kind::PreconditionRequired]);
        }
        if self.method == Method::Post {
            kinds.extend([Kind::InProgress, Kind::KeyReused]);
        }
        if self.method != Method::Get {
            kinds.extend([Kind::OtherState, Kind::OtherPage]);
        }
        kinds.extend_from_slice(self.problems);
        kinds
    }
}
