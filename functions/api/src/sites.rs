//! Places at which the post office is reached under hosts of their own (AUT-20): whoever comes from the networks of one is told
//! its hosts, by mail programs' pages and when he signs in. Where he goes is his.

use std::convert::Infallible;
use std::net::IpAddr;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pennypost_directory::Network;
use serde::{Deserialize, Deserializer};

use crate::rest::Client;
use crate::settings::{BadSetting, is_host};

/// Sites that an installation has at most.
const MAX_SITES: usize = 50;
/// Networks of a site.
const MAX_NETWORKS: usize = 1_000;
/// Characters of a name.
const MAX_NAME: usize = 50;

/// A place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// What people call it.
    pub name: String,
    /// Whoever comes from one of these is told its hosts; of several sites that of the smallest network.
    #[serde(deserialize_with = "networks")]
    pub networks: Vec<Network>,
    /// The host of IMAP; that of the installation, if nothing is said.
    #[serde(default)]
    pub imap: Option<String>,
    /// The host of POP3.
    #[serde(default)]
    pub pop3: Option<String>,
    /// The host of the server for sending.
    #[serde(default)]
    pub smtp: Option<String>,
    /// The host of the pages for people.
    #[serde(default)]
    pub https: Option<String>,
}

fn networks<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(reader)?;
    texts.iter().map(|text| Network::from_str(text).map_err(serde::de::Error::custom)).collect()
}

/// The sites of an installation; as a rule there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Site>")]
pub struct Sites(Vec<Site>);

impl TryFrom<Vec<Site>> for Sites {
    type Error = BadSetting;

    fn try_from(sites: Vec<Site>) -> Result<Sites, BadSetting> {
        if sites.len() > MAX_SITES {
            return Err(BadSetting::Site(format!("there may be {MAX_SITES} at most")));
        }
        for (number, site) in sites.iter().enumerate() {
            let wrong = |cause: &str| Err(BadSetting::Site(format!("{:?}: {cause}", site.name)));
            let is_name = (1..=MAX_NAME).contains(&site.name.chars().count());
            if !is_name || site.name.chars().any(char::is_control) {
                return wrong("a name has 1 to 50 characters");
            }
            if sites.iter().skip(number + 1).any(|other| other.name == site.name) {
                return wrong("there are two of that name");
            }
            if site.networks.is_empty() || site.networks.len() > MAX_NETWORKS {
                return wrong("a site has 1 to 1000 networks");
            }
            let hosts = [&site.imap, &site.pop3, &site.smtp, &site.https];
            if hosts.iter().all(|host| host.is_none()) {
                return wrong("a site has a host of its own");
            }
            if let Some(bad) = hosts.into_iter().flatten().find(|host| !is_host(host)) {
                return Err(BadSetting::Host(bad.clone()));
            }
        }
        Ok(Sites(sites))
    }
}

impl Sites {
    /// The best one for whoever comes from there, if one is better than the installation's own hosts.
    #[must_use]
    pub fn best(&self, client: Option<IpAddr>) -> Option<&Site> {
        let client = client?;
        let holding = self.0.iter().flat_map(|site| site.networks.iter().map(move |network| (network, site)));
        let holding = holding.filter(|(network, _)| network.contains(client));
        holding.min_by_key(|(network, _)| network.span()).map(|(_, site)| site)
    }
}

/// From where a page is asked for, if it is known.
pub(crate) struct Asker(pub(crate) Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Asker, Infallible> {
        Ok(Asker(parts.extensions.get::<Client>().map(|client| client.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Sites, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_smallest_network_decides() {
        let sites = read(
            r#"[{ "name": "Europe", "networks": ["198.51.0.0/16", "2001:db8::/32"], "imap": "imap.eu.post.example" },
                { "name": "Frankfurt", "networks": ["198.51.100.0/24"], "https": "fra.post.example" }]"#,
        );
        let sites = sites.expect("sites");
        let best = |address: &str| sites.best(address.parse().ok()).map(|site| site.name.as_str());
        assert_eq!(best("198.51.100.7"), Some("Frankfurt"));
        assert_eq!(best("::ffff:198.51.100.7"), Some("Frankfurt"));
        assert_eq!((best("198.51.7.7"), best("2001:db8::1")), (Some("Europe"), Some("Europe")));
        assert_eq!((best("192.0.2.1"), sites.best(None)), (None, None));
    }

    #[test]
    fn what_can_be_no_site_is_told() {
        for (bad, told) in [
            (r#"[{ "name": "", "networks": ["192.0.2.0/24"], "imap": "a.example" }]"#, "characters"),
            (r#"[{ "name": "x", "networks": [], "imap": "a.example" }]"#, "networks"),
            (r#"[{ "name": "x", "networks": ["192.0.2.0/24"] }]"#, "host of its own"),
            (r#"[{ "name": "x", "networks": ["192.0.2.0/24"], "imap": "a b" }]"#, "host name"),
            (r#"[{ "name": "x", "networks": ["192.0.2.1/24"], "imap": "a.example" }]"#, "first address"),
            (r#"[{ "name": "x", "networks": ["192.0.2.0/24"], "port": 1 }]"#, "port"),
        ] {
            let refused = read(bad).expect_err(bad);
            assert!(refused.contains(told), "{refused}");
        }
        let one = r#"{ "name": "x", "networks": ["192.0.2.0/24"], "imap": "a.example" }"#;
        assert!(read(&format!("[{one}, {one}]")).expect_err("twice").contains("two"));
    }
}
