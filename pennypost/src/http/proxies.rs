//! From where a request comes, when a proxy stands in front.

use std::net::IpAddr;

use axum::http::HeaderMap;
use serde::Deserialize;

/// Addresses of proxies: of a request from one of them the last address in X-Forwarded-For counts, which the proxy has
/// put there itself. Of every other request the header counts for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Proxies(Vec<IpAddr>);

impl Proxies {
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.0.iter().any(|proxy| proxy.to_canonical() == peer) {
            return peer;
        }
        let last = headers.get_all("x-forwarded-for").iter().next_back();
        let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        last.unwrap_or(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxy_is_believed_and_only_its_own_word() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let proxies = Proxies(vec![address("127.0.0.1")]);
        let mut headers = HeaderMap::new();
        assert_eq!(proxies.client(address("127.0.0.1"), &headers), address("127.0.0.1"));
        headers.append("x-forwarded-for", "203.0.113.9".parse().expect("a value"));
        headers.append("x-forwarded-for", "198.51.100.1, 192.0.2.7".parse().expect("a value"));
        for (peer, client) in [
            ("127.0.0.1", "192.0.2.7"),
            ("::ffff:127.0.0.1", "192.0.2.7"),
            ("127.0.0.2", "127.0.0.2"),
            ("192.0.2.99", "192.0.2.99"),
        ] {
            assert_eq!(proxies.client(address(peer), &headers), address(client), "{peer}");
        }
        headers.insert("x-forwarded-for", "unknown".parse().expect("a value"));
        assert_eq!(proxies.client(address("127.0.0.1"), &headers), address("127.0.0.1"));
    }
}
