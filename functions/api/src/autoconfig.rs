//! Thunderbird's autoconfiguration, format 1.1 (`wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat`;
//! draft-bucksch-autoconfig). Asked by the domain's own name, `autoconfig.DOMAIN`, or with `?emailaddress=`.

use std::io;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use crate::language::Language;
use crate::problem::{Kind, Problem};
use crate::settings::{Security, Settings};
use crate::sites::Asker;
use crate::xml::{self, Out};
use crate::{Api, address_in, document, domain};

pub(crate) async fn page(
    State(api): State<Api>,
    Asker(client): Asker,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let language = Language::of(&headers, uri.query());
    let asked = address_in(uri.query(), "emailaddress", language)?.map(|address| address.domain);
    let domain = asked.or_else(|| domain::called(&headers));
    let domain = domain.ok_or_else(|| Problem::new(Kind::NoAddress, language))?;
    api.admit(&domain, language).await?;
    let told = api.settings.told(client);
    let settings = &*told;
    if settings.imaps.is_none() && settings.pop3s.is_none() {
        return Err(Problem::new(Kind::NoProtocol, language));
    }
    Ok(document("text/xml; charset=utf-8", Some(language), written(settings, &domain, language)))
}

fn written(settings: &Settings, domain: &str, language: Language) -> Vec<u8> {
    xml::document(|out| {
        let config = out.create_element("clientConfig").with_attribute(("version", "1.1"));
        config.write_inner_content(|out| provider(out, settings, domain, language)).map(drop)
    })
}

fn provider(out: &mut Out, settings: &Settings, domain: &str, language: Language) -> io::Result<()> {
    let provider = out.create_element("emailProvider").with_attribute(("id", domain));
    let written = provider.write_inner_content(|out| {
        xml::text(out, "domain", domain)?;
        let name = match language {
            Language::English => format!("Mail of {domain}"),
            Language::Chinese => format!("{domain} 邮箱"),
        };
        xml::text(out, "displayName", &name)?;
        xml::text(out, "displayShortName", domain)?;
        let incoming =
            [("imap", &settings.imap_host, settings.imaps), ("pop3", &settings.pop3_host, settings.pop3s)];
        for (kind, host, port) in incoming {
            if let Some(port) = port {
                server(out, "incomingServer", kind, (host, port, Security::Tls))?;
            }
        }
        if let Some(outgoing) = &settings.outgoing {
            server(out, "outgoingServer", "smtp", (&outgoing.host, outgoing.port, outgoing.security))?;
        }
        Ok(())
    });
    written.map(drop)
}

fn server(
    out: &mut Out,
    element: &str,
    kind: &str,
    (host, port, security): (&str, u16, Security),
) -> io::Result<()> {
    let server = out.create_element(element).with_attribute(("type", kind));
    let written = server.write_inner_content(|out| {
        xml::text(out, "hostname", host)?;
        xml::text(out, "port", &port.to_string())?;
        xml::text(
            out,
            "socketType",
            match security {
                Security::Tls => "SSL",
                Security::StartTls => "STARTTLS",
            },
        )?;
        // The password goes through TLS.
        xml::text(out, "authentication", "password-cleartext")?;
        xml::text(out, "username", "%EMAILADDRESS%")
    });
    written.map(drop)
}
