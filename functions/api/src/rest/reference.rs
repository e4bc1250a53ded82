//! A page that shows the operations, for people: no script, nothing from elsewhere.

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::language::Language;
use crate::rest::doors::DOORS;
use crate::rest::operation::Method;
use crate::rest::resources;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px \
solid #ddd}code{font:14px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}.m{font-weight:600}\
@media(prefers-color-scheme:dark){body{background:#16181c;color:#ddd}td,th{border-color:#333}a{color:#8ab4ff}}";

/// The page.
pub(super) async fn page(headers: HeaderMap, uri: Uri) -> Response {
    let language = Language::of(&headers, uri.query());
    let say = |english, chinese| language.say(english, chinese);
    let mut rows = String::new();
    for operation in resources::operations() {
        let action = operation.action.map_or("", |action| action.name());
        rows.push_str(&row(operation.method, operation.path, action, operation.summary));
    }
    for door in DOORS {
        rows.push_str(&row(Method::Post, door.path, "", door.summary));
    }
    let title = say("Pennypost admin API", "Pennypost 管理接口");
    let intro = say(
        "Every call shows a key as a bearer token. All of it, with bodies and answers, for programs:",
        "每次调用都以 Bearer 方式出示密钥。完整的接口描述（含请求与响应格式）：",
    );
    let (method, path, action, does) =
        (say("Method", "方法"), say("Path", "路径"), say("Action", "操作"), say("Does", "说明"));
    let tag = language.tag();
    let page = format!(
        "<!doctype html><html lang=\"{tag}\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><link rel=\"stylesheet\" href=\"reference.css\">\
         <h1>{title}</h1><p>{intro} <a href=\"openapi.json\">openapi.json</a></p><table><thead><tr><th>{method}\
         <th>{path}<th>{action}<th>{does}</thead><tbody>{rows}</tbody></table></html>"
    );
    let mut response = page.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(tag));
    headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Only what stands in the table, which holds no mark-up.
fn row(method: Method, path: &str, action: &str, summary: &str) -> String {
    let method = method.http();
    format!("<tr><td class=\"m\">{method}<td><code>{path}</code><td><code>{action}</code><td>{summary}</tr>")
}

/// Its looks.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")], STYLE)
        .into_response()
}
