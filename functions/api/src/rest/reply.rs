//! Answers that are none of a problem.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An answer. Kept for whoever sends the same request again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    status: u16,
    media_type: String,
    body: String,
    tag: Option<String>,
    location: Option<String>,
    /// `after` of the next page, where the body has no place for it.
    next: Option<String>,
    /// A cookie to be set.
    #[serde(default)]
    cookie: Option<String>,
}

/// What is said of a representation that may be changed: its digest.
pub(crate) fn tag_of<T: Serialize>(representation: &T) -> String {
    let text = serde_json::to_string(representation).unwrap_or_default();
    let digest = Sha256::digest(text.as_bytes());
    let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

impl Reply {
    fn json<T: Serialize>(status: StatusCode, document: &T) -> Reply {
        let body = serde_json::to_string(document).unwrap_or_default();
        let media_type = "application/json".to_owned();
        Reply {
            status: status.as_u16(),
            media_type,
            body,
            tag: None,
            location: None,
            next: None,
            cookie: None,
        }
    }

    /// A list, or something that nobody changes.
    pub(crate) fn document<T: Serialize>(document: &T) -> Reply {
        Reply::json(StatusCode::OK, document)
    }

    /// Something that may be changed.
    pub(crate) fn tagged<T: Serialize>(document: &T) -> Reply {
        Reply { tag: Some(tag_of(document)), ..Reply::document(document) }
    }

    /// Something that was made.
    pub(crate) fn made<T: Serialize>(document: &T, location: String) -> Reply {
        Reply { location: Some(location), ..Reply::json(StatusCode::CREATED, document) }
    }

    /// The same with a cookie.
    pub(crate) fn with_cookie(self, cookie: String) -> Reply {
        Reply { cookie: Some(cookie), ..self }
    }

    /// It is put down, for a second administrator to decide or for housekeeping to carry out: where it is.
    pub(crate) fn accepted<T: Serialize>(document: &T, location: String) -> Reply {
        Reply { location: Some(location), ..Reply::json(StatusCode::ACCEPTED, document) }
    }

    /// Its status and its document.
    pub(crate) fn parts(&self) -> (u16, serde_json::Value) {
        (self.status, serde_json::from_str(&self.body).unwrap_or_default())
    }

    pub(crate) fn nothing() -> Reply {
        let status = StatusCode::NO_CONTENT.as_u16();
        Reply {
            status,
            media_type: String::new(),
            body: String::new(),
            tag: None,
            location: None,
            next: None,
            cookie: None,
        }
    }

    pub(crate) fn csv(body: String, next: Option<String>) -> Reply {
        let media_type = "text/csv; charset=utf-8; header=present".to_owned();
        Reply {
            status: StatusCode::OK.as_u16(),
            media_type,
            body,
            tag: None,
            location: None,
            next,
            cookie: None,
        }
    }

    /// A script of Sieve (RFC 5228 section 7), which may be changed.
    pub(crate) fn script(body: String) -> Reply {
        let media_type = "application/sieve; charset=utf-8".to_owned();
        let status = StatusCode::OK.as_u16();
        Reply { status, tag: Some(tag_of(&body)), media_type, body, ..Reply::nothing() }
    }

    pub(crate) fn into_response(self, is_repeated: bool) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.body).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        let mut insert = |name: HeaderName, text: &str| {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        };
        if !self.media_type.is_empty() {
            insert(header::CONTENT_TYPE, &self.media_type);
        }
        insert(header::CACHE_CONTROL, "no-store");
        if let Some(tag) = &self.tag {
            insert(header::ETAG, tag);
        }
        if let Some(location) = &self.location {
            insert(header::LOCATION, location);
        }
        if let Some(cookie) = &self.cookie {
            insert(header::SET_COOKIE, cookie);
        }
        if let Some(next) = &self.next {
            insert(header::LINK, &format!("<?after={next}>; rel=\"next\""));
        }
        if is_repeated {
            insert(HeaderName::from_static("idempotent-replayed"), "true");
        }
        response
    }
}
