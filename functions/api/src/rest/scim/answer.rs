//! What is answered: documents, and errors (RFC 7644 section 3.12).

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pennypost_admin::{AdminError, Why};
use pennypost_directory::DirectoryError;
use serde_json::{Map, Value, json};

use super::super::problem::details::{Detail, both};
use super::super::problem::{Kind, Refusal};
use crate::language::Language;

const MEDIA_TYPE: &str = "application/scim+json";

/// A document, or that it was done.
pub(super) struct Answer {
    status: StatusCode,
    document: Option<Value>,
    /// Weak (RFC 7644 section 3.14).
    version: Option<String>,
    location: Option<String>,
}

impl Answer {
    pub(super) const fn nothing() -> Answer {
        Answer { status: StatusCode::NO_CONTENT, document: None, version: None, location: None }
    }

    /// Whoever asks has it already.
    pub(super) fn unchanged(version: String) -> Answer {
        Answer { status: StatusCode::NOT_MODIFIED, version: Some(version), ..Answer::nothing() }
    }

    pub(super) fn document(document: Value) -> Answer {
        Answer { status: StatusCode::OK, document: Some(document), ..Answer::nothing() }
    }

    /// A resource, of which `shown` is what was asked for.
    pub(super) fn resource(resource: &Map<String, Value>, shown: Map<String, Value>) -> Answer {
        let of_meta = |name: &str| Some(resource.get("meta")?.get(name)?.as_str()?.to_owned());
        let (version, location) = (of_meta("version"), of_meta("location"));
        Answer { version, location, ..Answer::document(shown.into()) }
    }

    pub(super) fn made(self) -> Answer {
        Answer { status: StatusCode::CREATED, ..self }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Answer { status, document, version, location } = self;
        let body = document.map(|document| document.to_string());
        let has_body = body.is_some();
        let mut response = (status, body.unwrap_or_default()).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        let mut insert = |name: HeaderName, text: &str| {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        };
        if has_body {
            insert(header::CONTENT_TYPE, MEDIA_TYPE);
        }
        insert(header::CACHE_CONTROL, "no-store");
        for (name, text) in [(header::ETAG, version), (header::LOCATION, location)] {
            if let Some(text) = text {
                insert(name, &text);
            }
        }
        response
    }
}

/// The errors of status 400 and 409 that have names (RFC 7644 table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    InvalidFilter,
    TooMany,
    Uniqueness,
    Mutability,
    InvalidSyntax,
    InvalidPath,
    NoTarget,
    InvalidValue,
}

impl Type {
    const fn name(self) -> &'static str {
        match self {
            Type::InvalidFilter => "invalidFilter",
            Type::TooMany => "tooMany",
            Type::Uniqueness => "uniqueness",
            Type::Mutability => "mutability",
            Type::InvalidSyntax => "invalidSyntax",
            Type::InvalidPath => "invalidPath",
            Type::NoTarget => "noTarget",
            Type::InvalidValue => "invalidValue",
        }
    }
}

/// Why it was not done.
#[derive(Debug)]
pub(super) struct Failure {
    refusal: Refusal,
    status: StatusCode,
    kind: Option<Type>,
    /// The methods that there are, where another was meant.
    allow: Option<&'static str>,
}

impl Failure {
    /// One that has a name: status 400, or 409 for what is taken.
    pub(super) fn of(kind: Type, detail: Detail) -> Failure {
        let refusal = Refusal::new(Kind::Invalid, detail);
        let status = if kind == Type::Uniqueness { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST };
        Failure { refusal, status, kind: Some(kind), allow: None }
    }

    /// What the standard has, and this post office has not.
    pub(super) fn not_built() -> Failure {
        let detail = both(
            "not supported: see /scim/v2/ServiceProviderConfig",
            "不支持：请查看 /scim/v2/ServiceProviderConfig",
        );
        Failure { status: StatusCode::NOT_IMPLEMENTED, ..Failure::from(Refusal::new(Kind::NotFound, detail)) }
    }

    /// Was somebody else faster?
    pub(super) fn is_changed(&self) -> bool {
        self.refusal.kind == Kind::Changed
    }

    /// Is something else called so?
    pub(super) fn is_taken(&self) -> bool {
        self.refusal.kind == Kind::Taken
    }

    /// The answer, in a language.
    pub(super) fn say(self, language: Language) -> Response {
        let detail = match &self.refusal.detail {
            Some(detail) => detail.say(language),
            None => self.refusal.kind.title(language),
        };
        let mut document = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": self.status.as_u16().to_string(),
            "detail": detail,
        });
        if let Some(kind) = self.kind {
            document["scimType"] = kind.name().into();
        }
        let mut response = (self.status, document.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.refusal.kind == Kind::Unauthorised {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pennypost\""));
        }
        if let Some(methods) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        if let Some(seconds) = self.refusal.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let (status, kind) = match refusal.kind {
            Kind::Taken => (StatusCode::CONFLICT, Some(Type::Uniqueness)),
            Kind::Invalid | Kind::Unknown | Kind::BadParameter => {
                (StatusCode::BAD_REQUEST, Some(Type::InvalidValue))
            }
            // Nothing that another try would change: those are told from what is taken.
            Kind::PlanLimit => (StatusCode::FORBIDDEN, None),
            other => (other.status(), None),
        };
        Failure { refusal, status, kind, allow: None }
    }
}

impl From<Kind> for Failure {
    fn from(kind: Kind) -> Failure {
        Refusal::from(kind).into()
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Failure {
        if matches!(error, AdminError::Denied(Why::Above)) {
            let detail = both(
                "this member administers: change or delete the account here, or take its roles away first",
                "该成员是管理员：请在本系统中更改或删除其账号，或先撤销其角色",
            );
            return Refusal::new(Kind::AboveActor, detail).into();
        }
        Refusal::from(error).into()
    }
}

impl From<DirectoryError> for Failure {
    fn from(error: DirectoryError) -> Failure {
        Refusal::from(error).into()
    }
}

/// Another method is meant.
pub(super) fn no_method(allow: &'static str) -> Failure {
    Failure { allow: Some(allow), ..Failure::from(Kind::OtherMethod) }
}
