//! Policies for TLS as any domain publishes them (MTA-STS: RFC 8461 sections 3.1 and 3.2), read as senders have to.

use serde::{Deserialize, Serialize};

use crate::TlsMode;
use crate::tags::{is_version, tag, tags};

/// Where a policy lies, at the host `mta-sts.` in front of its domain.
pub const POLICY_PATH: &str = "/.well-known/mta-sts.txt";
/// Seconds for which a policy is remembered at most (section 3.2).
const LONGEST: u32 = 31_557_600;
/// Hosts of a policy at most: it is kept in memory, and names what somebody else has written.
const MAX_HOSTS: usize = 100;
/// Bytes of a name of a host at most, with `*.` in front of it.
const MAX_HOST: usize = 255;

/// What is no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the policy has no good {0:?}")]
pub struct BadPolicy(pub &'static str);

/// A policy of another domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPolicy {
    /// What senders do.
    pub mode: TlsMode,
    /// Seconds for which they remember it.
    pub max_age: u32,
    /// The hosts that may take its mail: names in lower case, or `*.` and a name for each with one label in front of it.
    pub hosts: Vec<String>,
}

impl PublishedPolicy {
    /// Reads the document. What it does not know is passed over, and of what stands twice, but for `mx`, the first counts.
    ///
    /// # Errors
    /// [`BadPolicy`]: which field is missing, or wrong.
    pub fn parse(text: &str) -> Result<PublishedPolicy, BadPolicy> {
        let fields = fields(text);
        let first = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        if first("version") != Some("STSv1") {
            return Err(BadPolicy("version"));
        }
        let mode = TlsMode::ALL.into_iter().find(|mode| first("mode") == Some(mode.name()));
        let mode = mode.ok_or(BadPolicy("mode"))?;
        let is_number = |value: &&str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let max_age = first("max_age").filter(is_number).ok_or(BadPolicy("max_age"))?;
        // A number that is too large for this is too large for the RFC, too.
        let max_age = max_age.parse().unwrap_or(LONGEST).min(LONGEST);
        let hosts = fields.iter().filter(|(name, value)| *name == "mx" && !value.is_empty());
        let hosts: Vec<String> = hosts.map(|(_, value)| value.to_ascii_lowercase()).collect();
        let is_long = hosts.len() > MAX_HOSTS || hosts.iter().any(|host| host.len() > MAX_HOST);
        if is_long || hosts.is_empty() && mode != TlsMode::None {
            return Err(BadPolicy("mx"));
        }
        Ok(PublishedPolicy { mode, max_age, hosts })
    }

    /// May that host take the domain's mail? Names as DNS has them, without the dot at the end.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.hosts.iter().any(|pattern| is_host(pattern, &host))
    }
}

/// The id of the policy that a domain has, by the texts at `_mta-sts.` in front of it. None, unless exactly one of them is a
/// record of this kind, and a good one.
#[must_use]
pub fn policy_id<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut records = texts.into_iter().filter(|text| is_version(text, "STSv1"));
    let (only, None) = (records.next()?, records.next()) else { return None };
    let tags = tags(only)?;
    let is_id =
        |id: &&str| (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    tag(&tags, "id").filter(is_id).map(str::to_owned)
}

/// The lines of the document.
pub(crate) fn fields(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.trim(), value.trim())).collect()
}

/// Does the pattern of a policy stand for the host (section 4.1)?
pub(crate) fn is_host(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(label, above)| !label.is_empty() && above == rest),
        None => pattern == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "version: STSv1\r\nmode: enforce\nmx: MX.d.example\nmx:*.pool.example\r\nmax_age: 604800\r\n";

    #[test]
    fn policies_are_read_as_they_are_written() {
        let policy = PublishedPolicy::parse(GOOD).expect("a policy");
        assert_eq!((policy.mode, policy.max_age), (TlsMode::Enforce, 604_800));
        for (host, is_named) in [
            ("mx.d.example", true),
            ("Mx.D.Example", true),
            ("a.pool.example", true),
            ("a.b.pool.example", false),
            ("pool.example", false),
            (".pool.example", false),
            ("d.example", false),
            ("amx.d.example", false),
        ] {
            assert_eq!(policy.names(host), is_named, "{host}");
        }
        let none = PublishedPolicy::parse("version: STSv1\nmode: none\nmax_age: 99999999999\nother: x")
            .expect("none");
        assert_eq!((none.mode, none.max_age, none.names("mx.d.example")), (TlsMode::None, LONGEST, false));
        // Of what stands twice the first counts.
        let twice = PublishedPolicy::parse(&format!("{GOOD}mode: testing\nmax_age: 1\n")).expect("a policy");
        assert_eq!(twice, policy);
    }

    #[test]
    fn what_is_no_policy_is_none() {
        let without = |field: &str| {
            let kept: Vec<&str> = GOOD.lines().filter(|line| !line.starts_with(field)).collect();
            kept.join("\n")
        };
        for field in ["version", "mode", "max_age", "mx"] {
            assert_eq!(PublishedPolicy::parse(&without(field)), Err(BadPolicy(field)));
        }
        for (bad, field) in [
            (GOOD.replace("STSv1", "STSv2"), "version"),
            (GOOD.replace("enforce", "Enforce"), "mode"),
            (GOOD.replace("604800", "+1"), "max_age"),
            (GOOD.replace("604800", "a week"), "max_age"),
            (format!("{GOOD}{}", "mx: mx.d.example\n".repeat(99)), "mx"),
            (format!("{GOOD}mx: {}.example\n", "x".repeat(250)), "mx"),
            ("<html>".to_owned(), "version"),
            (String::new(), "version"),
        ] {
            assert_eq!(PublishedPolicy::parse(&bad), Err(BadPolicy(field)), "{bad}");
        }
    }

    #[test]
    fn a_domain_has_one_record_or_none() {
        let id = |texts: &[&str]| policy_id(texts.iter().copied());
        assert_eq!(id(&["v=STSv1; id=20261123T1;"]).as_deref(), Some("20261123T1"));
        assert_eq!(id(&["v=spf1 -all", "v=STSv1;id=a; new=x"]).as_deref(), Some("a"));
        for bad in [
            &["v=STSv1; id=a", "v=STSv1; id=a"][..],
            &["v=STSv1"],
            &["v=STSv1; id=a-b"],
            &["v=STSv1; id="],
            &["id=a; v=STSv1"],
            &["v=STSv1; id=123456789012345678901234567890123"],
            &[],
        ] {
            assert_eq!(id(bad), None, "{bad:?}");
        }
    }
}
