//! Outlook's Autodiscover as plain old XML (MS-OXDSCLI sections 2.2.3 and 2.2.4): a POST with an address, an answer with
//! the servers of IMAP, POP3 and SMTP.

use std::io;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::domain::{Address, MAX_ADDRESS};
use crate::language::Language;
use crate::problem::{Kind, Problem};
use crate::settings::{Security, Settings};
use crate::sites::Asker;
use crate::xml::{self, Out};
use crate::{Api, document};

const RESPONSE: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
const OUTLOOK: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

pub(crate) async fn page(
    State(api): State<Api>,
    Asker(client): Asker,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let language = Language::of(&headers, uri.query());
    let problem = |kind| Problem::new(kind, language);
    let body = body.map_err(|rejection| {
        let is_too_large = rejection.status() == StatusCode::PAYLOAD_TOO_LARGE;
        problem(if is_too_large { Kind::TooLarge } else { Kind::BadRequest })
    })?;
    let asked = asked(&body).ok_or_else(|| problem(Kind::BadRequest))?;
    let address = Address::parse(&asked).ok_or_else(|| problem(Kind::NoAddress))?;
    api.admit(&address.domain, language).await?;
    let told = api.settings.told(client);
    let settings = &*told;
    if settings.imaps.is_none() && settings.pop3s.is_none() {
        return Err(problem(Kind::NoProtocol));
    }
    Ok(document("text/xml; charset=utf-8", None, written(settings, &address)))
}

/// Some programs look with GET whether anybody is there.
pub(crate) async fn not_by_get(headers: HeaderMap, uri: Uri) -> Response {
    let problem = Problem::new(Kind::OtherMethod, Language::of(&headers, uri.query()));
    let mut response = problem.into_response();
    response.headers_mut().insert(axum::http::header::ALLOW, axum::http::HeaderValue::from_static("POST"));
    response
}

/// The text of the first `EMailAddress`. Only the five entities of XML itself are known, so nothing grows.
fn asked(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut is_inside = false;
    let mut found = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == b"EMailAddress" => is_inside = true,
            Event::End(end) if is_inside && end.local_name().as_ref() == b"EMailAddress" => {
                return Some(found);
            }
            Event::Text(text) if is_inside => found.push_str(&text.decode().ok()?),
            Event::GeneralRef(name) if is_inside => {
                let known = quick_xml::escape::resolve_xml_entity(&name.decode().ok()?)?;
                found.push_str(known);
            }
            Event::Eof => return None,
            _ => {}
        }
        if found.len() > 2 * MAX_ADDRESS {
            return None;
        }
    }
}

fn written(settings: &Settings, address: &Address) -> Vec<u8> {
    xml::document(|out| {
        let whole = out.create_element("Autodiscover").with_attribute(("xmlns", RESPONSE));
        whole.write_inner_content(|out| response(out, settings, address)).map(drop)
    })
}

fn response(out: &mut Out, settings: &Settings, address: &Address) -> io::Result<()> {
    let response = out.create_element("Response").with_attribute(("xmlns", OUTLOOK));
    let written = response.write_inner_content(|out| {
        let account = out.create_element("Account").write_inner_content(|out| {
            xml::text(out, "AccountType", "email")?;
            xml::text(out, "Action", "settings")?;
            let incoming = [
                ("IMAP", &settings.imap_host, settings.imaps),
                ("POP3", &settings.pop3_host, settings.pop3s),
            ];
            for (kind, host, port) in incoming {
                if let Some(port) = port {
                    protocol(out, kind, (host, port, Security::Tls), address)?;
                }
            }
            match &settings.outgoing {
                Some(outgoing) => {
                    protocol(out, "SMTP", (&outgoing.host, outgoing.port, outgoing.security), address)
                }
                None => Ok(()),
            }
        });
        account.map(drop)
    });
    written.map(drop)
}

fn protocol(
    out: &mut Out,
    kind: &str,
    (host, port, security): (&str, u16, Security),
    address: &Address,
) -> io::Result<()> {
    let written = out.create_element("Protocol").write_inner_content(|out| {
        xml::text(out, "Type", kind)?;
        xml::text(out, "Server", host)?;
        xml::text(out, "Port", &port.to_string())?;
        xml::text(out, "DomainRequired", "off")?;
        xml::text(out, "LoginName", &address.whole)?;
        xml::text(out, "SPA", "off")?;
        xml::text(out, "SSL", "on")?;
        xml::text(
            out,
            "Encryption",
            match security {
                Security::Tls => "SSL",
                Security::StartTls => "TLS",
            },
        )?;
        xml::text(out, "AuthRequired", "on")
    });
    written.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_address_is_found_and_nothing_grows() {
        for (body, expected) in [
            (
                "<Autodiscover><Request><EMailAddress>a@b.example</EMailAddress></Request></Autodiscover>",
                Some("a@b.example"),
            ),
            (
                "\u{feff}<?xml version=\"1.0\"?><x:A xmlns:x=\"y\"><x:EMailAddress>a&amp;b@c.example</x:EMailAddress></x:A>",
                Some("a&b@c.example"),
            ),
            ("<A><EMailAddress/></A>", None),
            ("<A><EMailAddress>a@b.example", None),
            ("<A><EMailAddress>a@b.example</B></A>", None),
            ("<!DOCTYPE a [<!ENTITY x \"a@b.example\">]><A><EMailAddress>&x;</EMailAddress></A>", None),
            ("", None),
            ("{}", None),
        ] {
            assert_eq!(asked(body.as_bytes()).as_deref(), expected, "{body}");
        }
        assert_eq!(asked(b"\xff"), None);
        let long = format!("<A><EMailAddress>{}</EMailAddress></A>", "a".repeat(10_000));
        assert_eq!(asked(long.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,100}") {
            let _ = asked(&body);
            let _ = asked(format!("<A><EMailAddress>{text}").as_bytes());
        }
    }
}
