//! Why there is no answer: `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::language::Language;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No address, or none that is one.
    NoAddress,
    /// The body is none that could be understood.
    BadRequest,
    /// Nobody here has that domain. The same for every address of it.
    UnknownDomain,
    /// Apple's profiles need a server for sending.
    NoOutgoing,
    /// The adapter offers no protocol that the program could use.
    NoProtocol,
    /// No such path.
    NoSuchPage,
    /// Another method is meant.
    OtherMethod,
    /// The body is longer than any that is meant.
    TooLarge,
    /// The directory does not answer.
    Unavailable,
}

impl Kind {
    const fn status(self) -> StatusCode {
        match self {
            Kind::NoAddress | Kind::BadRequest => StatusCode::BAD_REQUEST,
            Kind::UnknownDomain | Kind::NoOutgoing | Kind::NoProtocol | Kind::NoSuchPage => {
                StatusCode::NOT_FOUND
            }
            Kind::OtherMethod => StatusCode::METHOD_NOT_ALLOWED,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Kind::NoAddress => "no-address",
            Kind::BadRequest => "bad-request",
            Kind::UnknownDomain => "unknown-domain",
            Kind::NoOutgoing => "no-outgoing-server",
            Kind::NoProtocol => "no-protocol",
            Kind::NoSuchPage => "no-such-page",
            Kind::OtherMethod => "other-method",
            Kind::TooLarge => "too-large",
            Kind::Unavailable => "unavailable",
        }
    }

    const fn title(self, language: Language) -> &'static str {
        match self {
            Kind::NoAddress => language.say("a mail address is needed", "需要一个邮件地址"),
            Kind::BadRequest => language.say("the request can't be understood", "无法理解该请求"),
            Kind::UnknownDomain => language.say("this domain has no mail here", "此处不提供该域的邮件服务"),
            Kind::NoOutgoing => language.say("no outgoing server is configured", "没有配置发信服务器"),
            Kind::NoProtocol => {
                language.say("the server offers nothing for this program", "服务器没有提供该客户端可用的协议")
            }
            Kind::NoSuchPage => language.say("there is nothing here", "这里没有内容"),
            Kind::OtherMethod => language.say("not by this method", "不支持该方法"),
            Kind::TooLarge => language.say("the request is too large", "请求过大"),
            Kind::Unavailable => language.say("not now, try again later", "暂时不可用，请稍后再试"),
        }
    }

    const fn detail(self, language: Language) -> &'static str {
        match self {
            Kind::NoAddress => language.say(
                "give a whole address, or ask at a name of the domain",
                "请给出完整的邮件地址，或使用该域的主机名访问",
            ),
            Kind::BadRequest => language.say(
                "an Autodiscover request is XML with an EMailAddress in its Request",
                "Autodiscover 请求应为 XML，Request 中含有 EMailAddress",
            ),
            Kind::UnknownDomain => language.say(
                "ask whoever runs the domain's mail where it is",
                "请向该域的邮件管理员询问服务器地址",
            ),
            Kind::NoOutgoing => language.say(
                "programs of Apple take no profile without one: enter the servers by hand",
                "Apple 的邮件程序不接受没有发信服务器的描述文件：请手动填写服务器",
            ),
            Kind::NoProtocol => language.say(
                "neither IMAP nor POP3 over TLS is offered to the world",
                "未对外提供基于 TLS 的 IMAP 或 POP3",
            ),
            Kind::NoSuchPage => language.say(
                "see /.well-known/autoconfig/mail/config-v1.1.xml, /autodiscover/autodiscover.xml, /mobileconfig",
                "可用路径：/.well-known/autoconfig/mail/config-v1.1.xml、/autodiscover/autodiscover.xml、/mobileconfig",
            ),
            Kind::OtherMethod => language.say("Autodiscover is asked by POST, the others by GET", "Autodiscover 使用 POST，其余使用 GET"),
            Kind::TooLarge => language.say("16 KB at most", "最多 16 KB"),
            Kind::Unavailable => language.say("the directory does not answer", "目录服务没有响应"),
        }
    }
}

/// A problem, to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: Kind,
    language: Language,
}

impl Problem {
    pub(crate) const fn new(kind: Kind, language: Language) -> Problem {
        Problem { kind, language }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Problem { kind, language } = self;
        let status = kind.status();
        let document = json!({
            "type": format!("urn:pennypost:problem:{}", kind.name()),
            "title": kind.title(language),
            "status": status.as_u16(),
            "detail": kind.detail(language),
        });
        let mut response = (status, document.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if kind == Kind::Unavailable {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        }
        response
    }
}
