//! A configuration profile for programs of Apple: a property list with one payload `com.apple.mail.managed`
//! (`developer.apple.com/documentation/devicemanagement/mail`). The password is asked for by the device.

use std::io;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use quick_xml::events::{BytesText, Event};
use sha2::{Digest, Sha256};

use crate::domain::Address;
use crate::language::Language;
use crate::problem::{Kind, Problem};
use crate::settings::{Outgoing, Settings};
use crate::sites::Asker;
use crate::xml::{self, Out};
use crate::{Api, address_in, document};

const DOCTYPE: &str =
    "plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\"";

pub(crate) async fn page(
    State(api): State<Api>,
    Asker(client): Asker,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let language = Language::of(&headers, uri.query());
    let problem = |kind| Problem::new(kind, language);
    let address = address_in(uri.query(), "email", language)?.ok_or_else(|| problem(Kind::NoAddress))?;
    api.admit(&address.domain, language).await?;
    let told = api.settings.told(client);
    let settings = &*told;
    let outgoing = settings.outgoing.as_ref().ok_or_else(|| problem(Kind::NoOutgoing))?;
    let incoming = match (settings.imaps, settings.pop3s) {
        (Some(port), _) => ("EmailTypeIMAP", settings.imap_host.as_str(), port),
        (None, Some(port)) => ("EmailTypePOP", settings.pop3_host.as_str(), port),
        (None, None) => return Err(problem(Kind::NoProtocol)),
    };
    let profile = Profile { settings, address: &address, incoming, outgoing, language };
    let text = xml::document(|out| profile.write(out));
    let mut response = document("application/x-apple-aspen-config; charset=utf-8", Some(language), text);
    let disposition = HeaderValue::from_static("attachment; filename=\"mail.mobileconfig\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

struct Profile<'a> {
    settings: &'a Settings,
    address: &'a Address,
    incoming: (&'static str, &'a str, u16),
    outgoing: &'a Outgoing,
    language: Language,
}

/// A value of a property list.
enum Value<'a> {
    Text(&'a str),
    Number(u64),
    True,
}

fn entry(out: &mut Out, key: &str, value: &Value<'_>) -> io::Result<()> {
    xml::text(out, "key", key)?;
    match value {
        Value::Text(value) => xml::text(out, "string", value),
        Value::Number(value) => xml::text(out, "integer", &value.to_string()),
        Value::True => out.create_element("true").write_empty().map(drop),
    }
}

impl Profile<'_> {
    fn write(&self, out: &mut Out) -> io::Result<()> {
        out.write_event(Event::DocType(BytesText::from_escaped(DOCTYPE)))?;
        let plist = out.create_element("plist").with_attribute(("version", "1.0"));
        let written = plist.write_inner_content(|out| {
            out.create_element("dict").write_inner_content(|out| self.whole(out)).map(drop)
        });
        written.map(drop)
    }

    /// The profile. The same address has the same names: installing it again replaces it.
    fn whole(&self, out: &mut Out) -> io::Result<()> {
        xml::text(out, "key", "PayloadContent")?;
        out.create_element("array").write_inner_content(|out| {
            out.create_element("dict").write_inner_content(|out| self.mail(out)).map(drop)
        })?;
        let domain = self.address.domain.as_str();
        let (title, description) = match self.language {
            Language::English => (
                format!("Mail of {domain}"),
                format!(
                    "Sets up the mail account {}. The password is asked for on the device.",
                    self.address.whole
                ),
            ),
            Language::Chinese => {
                (format!("{domain} 邮箱"), format!("设置邮件账户 {}。密码在设备上输入。", self.address.whole))
            }
        };
        for (key, value) in [
            ("PayloadDisplayName", Value::Text(&title)),
            ("PayloadDescription", Value::Text(&description)),
            ("PayloadOrganization", Value::Text(domain)),
            ("PayloadIdentifier", Value::Text(&self.identifier())),
            ("PayloadType", Value::Text("Configuration")),
            ("PayloadUUID", Value::Text(&self.uuid("profile"))),
            ("PayloadVersion", Value::Number(1)),
        ] {
            entry(out, key, &value)?;
        }
        Ok(())
    }

    /// The account.
    fn mail(&self, out: &mut Out) -> io::Result<()> {
        let (kind, host, port) = self.incoming;
        let (address, outgoing) = (self.address.whole.as_str(), self.outgoing);
        for (key, value) in [
            ("EmailAccountDescription", Value::Text(address)),
            ("EmailAccountType", Value::Text(kind)),
            ("EmailAddress", Value::Text(address)),
            ("IncomingMailServerAuthentication", Value::Text("EmailAuthPassword")),
            ("IncomingMailServerHostName", Value::Text(host)),
            ("IncomingMailServerPortNumber", Value::Number(port.into())),
            ("IncomingMailServerUseSSL", Value::True),
            ("IncomingMailServerUsername", Value::Text(address)),
            ("OutgoingMailServerAuthentication", Value::Text("EmailAuthPassword")),
            ("OutgoingMailServerHostName", Value::Text(&outgoing.host)),
            ("OutgoingMailServerPortNumber", Value::Number(outgoing.port.into())),
            ("OutgoingMailServerUseSSL", Value::True),
            ("OutgoingMailServerUsername", Value::Text(address)),
            ("PayloadIdentifier", Value::Text(&format!("{}.account", self.identifier()))),
            ("PayloadType", Value::Text("com.apple.mail.managed")),
            ("PayloadUUID", Value::Text(&self.uuid("account"))),
            ("PayloadVersion", Value::Number(1)),
        ] {
            entry(out, key, &value)?;
        }
        Ok(())
    }

    fn identifier(&self) -> String {
        format!("pennypost.{}", self.uuid("identifier").to_ascii_lowercase())
    }

    /// A name made of the address and the installation, whatever site it is told of, in the form of RFC 9562 section 5.8.
    fn uuid(&self, what: &str) -> String {
        let named = format!("{what}\0{}\0{}", self.settings.host, self.address.whole);
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&Sha256::digest(named.as_bytes())[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}
