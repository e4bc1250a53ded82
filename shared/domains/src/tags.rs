//! Lists of tags: `name=value; name=value` (RFC 6376 section 3.2), as DKIM, DMARC, MTA-STS and TLS-RPT have them.

/// Tags in their order; `None` if it is no list of tags. Names are in lower case.
pub(crate) fn tags(text: &str) -> Option<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in text.split(';') {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        let (name, value) = part.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        if name.is_empty() || found.iter().any(|(known, _)| *known == name) {
            return None;
        }
        found.push((name, value.trim().to_owned()));
    }
    Some(found)
}

/// The value of a tag.
pub(crate) fn tag<'a>(tags: &'a [(String, String)], name: &str) -> Option<&'a str> {
    tags.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Does the text begin with that version, as the first tag has to (`v=DMARC1`)?
pub(crate) fn is_version(text: &str, version: &str) -> bool {
    let first = text.split(';').next().unwrap_or_default();
    first.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("v") && value.trim().eq_ignore_ascii_case(version)
    })
}
