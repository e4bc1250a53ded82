//! The logo that others show beside letters of a domain (BIMI, draft-brand-indicators-for-message-identification).

use pennypost_ports::{Dns, DnsKind, DnsRecord, Https};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::report::{Checked, Fault, Report, Subject, Verdict};
use crate::tags::{is_version, tag, tags};

/// Bytes of a picture that others take.
const MAX_PICTURE: usize = 32_768;

pub(crate) async fn check(dns: &dyn Dns, https: &dyn Https, domain: &str, report: &Report) -> Checked {
    let name = format!("default._bimi.{domain}");
    let checked = Checked::new(Subject::Bimi, &name);
    let found = match dns.look_up(&name, DnsKind::Txt).await {
        Ok(found) => found,
        Err(error) => return checked.with(Verdict::Unknown, Fault::NoAnswer(error.0)),
    };
    let found: Vec<String> = found
        .into_iter()
        .filter_map(|record| match record {
            DnsRecord::Txt(text) if is_version(&text, "BIMI1") => Some(text),
            _ => None,
        })
        .collect();
    let checked = checked.finding(found.iter().cloned());
    let one = match found.as_slice() {
        [] => return checked.with(Verdict::Missing, Fault::NoRecord),
        [one] => one,
        several => return checked.with(Verdict::Wrong, Fault::Several(several.len())),
    };
    let Some(tags) = tags(one) else {
        return checked.with(Verdict::Wrong, Fault::Syntax(one.chars().take(100).collect()));
    };
    let (logo, certificate) = (tag(&tags, "l"), tag(&tags, "a").filter(|at| !at.is_empty()));
    let logo = match logo {
        Some("") if certificate.is_none() => return checked.with(Verdict::Good, Fault::LogoDeclined),
        Some(logo) if !logo.is_empty() => Some(logo),
        // The certificate has the picture in it.
        _ if certificate.is_some() => None,
        _ => return checked.with(Verdict::Wrong, Fault::Syntax("l=".to_owned())),
    };
    let mut checked =
        if is_enforced(report) { checked } else { checked.with(Verdict::Wrong, Fault::LogoNeedsDmarc) };
    if certificate.is_none() {
        checked = checked.with(Verdict::Warning, Fault::NoCertificate);
    }
    let Some(logo) = logo else { return checked };
    let Some((host, path)) =
        logo.strip_prefix("https://").map(|rest| rest.split_once('/').unwrap_or((rest, "")))
    else {
        return checked.with(Verdict::Wrong, Fault::Syntax(logo.chars().take(100).collect()));
    };
    match https.fetch(host, &format!("/{path}")).await {
        Ok(picture) => judged(checked, &picture),
        Err(error) => checked.with(Verdict::Wrong, Fault::LogoNotThere(error.to_string())),
    }
}

/// Is forged mail not delivered, of all the mail?
fn is_enforced(report: &Report) -> bool {
    let dmarc = report.checked.iter().find(|checked| checked.subject == Subject::Dmarc);
    dmarc.is_some_and(|dmarc| {
        let is_weak = |fault: &Fault| matches!(fault, Fault::OnlyWatches | Fault::OnlyAPart(_));
        matches!(dmarc.verdict, Verdict::Good | Verdict::Warning) && !dmarc.faults.iter().any(is_weak)
    })
}

fn judged(mut checked: Checked, picture: &[u8]) -> Checked {
    if picture.len() > MAX_PICTURE {
        checked = checked.with(Verdict::Warning, Fault::LogoIsLarge(picture.len()));
    }
    match lacks(picture) {
        None => checked,
        Some(cause) => checked.with(Verdict::Wrong, Fault::LogoNotShown(cause)),
    }
}

/// What a picture lacks to be SVG Tiny PS; `None`: nothing that can be seen here.
fn lacks(picture: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(picture) else { return Some("UTF-8".to_owned()) };
    let mut reader = Reader::from_str(text);
    let (mut is_first, mut has_title) = (true, false);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
                if is_first {
                    if name != "svg" {
                        return Some(format!("<{name}>"));
                    }
                    let wanted = [("version", "1.2"), ("baseProfile", "tiny-ps")];
                    if let Some((name, value)) =
                        wanted.into_iter().find(|(name, value)| !says(&tag, name, value))
                    {
                        return Some(format!("{name}=\"{value}\""));
                    }
                    is_first = false;
                }
                if matches!(name.as_str(), "script" | "image" | "animate" | "foreignObject" | "a") {
                    return Some(format!("<{name}>"));
                }
                has_title |= name == "title";
            }
            Ok(Event::Eof) if is_first => return Some("<svg>".to_owned()),
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => return Some(error.to_string()),
        }
    }
    (!has_title).then(|| "<title>".to_owned())
}

fn says(tag: &BytesStart<'_>, name: &str, value: &str) -> bool {
    tag.try_get_attribute(name).ok().flatten().is_some_and(|found| found.value.as_ref() == value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_says_what_it_lacks() {
        let svg =
            |attributes: &str, inside: &str| lacks(format!("<svg {attributes}>{inside}</svg>").as_bytes());
        let right = "version=\"1.2\" baseProfile=\"tiny-ps\" xmlns=\"http://www.w3.org/2000/svg\"";
        assert_eq!(svg(right, "<title>Acme</title><path d=\"M0 0\"/>"), None);
        assert_eq!(svg("version=\"1.1\"", "<title>Acme</title>").as_deref(), Some("version=\"1.2\""));
        assert_eq!(svg("version=\"1.2\"", "").as_deref(), Some("baseProfile=\"tiny-ps\""));
        assert_eq!(svg(right, "<path d=\"M0 0\"/>").as_deref(), Some("<title>"));
        assert_eq!(svg(right, "<title>Acme</title><script/>").as_deref(), Some("<script>"));
        assert_eq!(lacks(b"<html></html>").as_deref(), Some("<html>"));
        assert_eq!(lacks(b"").as_deref(), Some("<svg>"));
        assert_eq!(lacks(b"\xff\xfe").as_deref(), Some("UTF-8"));
        assert!(lacks(b"<svg version=\"1.2\" baseProfile=\"tiny-ps\"><title></svg>").is_some());
    }
}
