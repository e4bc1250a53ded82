//! The ways out of a tenant: by which servers its letters go to other servers, where the operator has said so.
//!
//! `T` / `routes` holds all that is said of a tenant, each with the password that its server wants to know, sealed for exactly that
//! server and user: whoever can write to the table can't have it told to another one.

use std::fmt;
use std::net::IpAddr;

use pennypost_model::TenantId;
use pennypost_model::codec::Versioned;
use pennypost_ports::ControlKey;
use serde::{Deserialize, Serialize};

/// Of which destinations something is said. Domains are in A-labels and lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Destinations {
    /// All of which nothing else is said; `*`.
    All,
    /// All below that domain; `*.example.com`.
    Below(String),
    /// That domain.
    One(String),
}

impl Destinations {
    /// How closely it says which destination is meant; none, where it is not.
    fn closeness(&self, destination: &str) -> Option<usize> {
        match self {
            Destinations::All => Some(0),
            Destinations::Below(domain) => {
                let below = destination.strip_suffix(domain.as_str())?;
                (below.len() > 1 && below.ends_with('.')).then_some(domain.len())
            }
            Destinations::One(domain) => (domain == destination).then_some(usize::MAX),
        }
    }
}

impl fmt::Display for Destinations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destinations::All => f.write_str("*"),
            Destinations::Below(domain) => write!(f, "*.{domain}"),
            Destinations::One(domain) => f.write_str(domain),
        }
    }
}

/// A user, and a password that is sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedLogin {
    /// The user.
    pub user: String,
    /// The password, sealed for [`Relay::place`].
    pub password: Vec<u8>,
}

impl fmt::Debug for SealedLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedLogin").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A server that takes what a tenant sends, over TLS with a certificate that holds for its name and no other way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// Its name, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS begins with the connection; else by STARTTLS.
    pub is_wrapped: bool,
    /// The region of Amazon SES whose server it is.
    pub region: Option<String>,
    /// What it wants to know, if it does.
    pub login: Option<SealedLogin>,
}

impl Relay {
    /// Where the password of a user of that server lies, for what seals it.
    #[must_use]
    pub fn place(tenant: TenantId, (host, port): (&str, u16), user: &str) -> String {
        format!("{tenant}/routes/{host}:{port}/{user}")
    }
}

/// Who we are to the servers of a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name with which they are greeted; none: the installation's.
    pub name: Option<String>,
    /// The address of this machine from which they are called; none: whichever the machine takes.
    pub address: Option<IpAddr>,
}

/// One way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// For which destinations.
    pub to: Destinations,
    /// By that server; none: by the servers that DNS names for the destination.
    pub relay: Option<Relay>,
    /// Who we are there.
    pub identity: Identity,
}

/// All that is said of a tenant. Where nothing is, its letters go as the installation's do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// In the order of their destinations, each of which is there once.
    pub routes: Vec<Route>,
}

impl Versioned for Routes {
    const KIND: &'static str = "routes";
}

impl Routes {
    /// Where they lie.
    #[must_use]
    pub fn key(tenant: TenantId) -> ControlKey {
        ControlKey::new(tenant.to_string(), "routes")
    }

    /// What holds for a destination in A-labels: what is said of itself, else of the nearest domain above it, else of all.
    #[must_use]
    pub fn to(&self, destination: &str) -> Option<&Route> {
        let fitting = self.routes.iter().filter_map(|route| Some((route.to.closeness(destination)?, route)));
        fitting.max_by_key(|(closeness, _)| *closeness).map(|(_, route)| route)
    }

    /// What is said of exactly these destinations.
    #[must_use]
    pub fn of(&self, destinations: &Destinations) -> Option<&Route> {
        self.routes.iter().find(|route| route.to == *destinations)
    }

    /// Says something else of its destinations.
    pub fn say(&mut self, route: Route) {
        self.forget(&route.to);
        let place = self.routes.partition_point(|known| known.to < route.to);
        self.routes.insert(place, route);
    }

    /// Says nothing of them any more.
    pub fn forget(&mut self, destinations: &Destinations) {
        self.routes.retain(|route| route.to != *destinations);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(host: &str, to: Destinations) -> Route {
        let relay = Relay { host: host.to_owned(), port: 465, is_wrapped: true, region: None, login: None };
        Route { to, relay: Some(relay), identity: Identity::default() }
    }

    #[test]
    fn the_nearest_word_holds() {
        let mut routes = Routes::default();
        assert_eq!(routes.to("a.example"), None);
        let below = |domain: &str| Destinations::Below(domain.to_owned());
        let one = |domain: &str| Destinations::One(domain.to_owned());
        routes.say(by("one", one("a.b.example")));
        routes.say(by("nearer", below("b.example")));
        routes.say(by("below", below("example")));
        let host = |routes: &Routes, destination: &str| {
            routes.to(destination).and_then(|route| Some(route.relay.as_ref()?.host.clone()))
        };
        for (destination, expected) in [
            ("a.b.example", Some("one")),
            ("c.b.example", Some("nearer")),
            ("x.a.b.example", Some("nearer")),
            ("b.example", Some("below")),
            ("cb.example", Some("below")),
            ("example", None),
            ("b.example.org", None),
        ] {
            assert_eq!(host(&routes, destination).as_deref(), expected, "{destination}");
        }
        routes.say(by("all", Destinations::All));
        assert_eq!(host(&routes, "b.example.org").as_deref(), Some("all"));
        routes.say(by("other", Destinations::All));
        assert_eq!((host(&routes, "x.org").as_deref(), routes.routes.len()), (Some("other"), 4));
        routes.forget(&Destinations::All);
        assert_eq!((routes.to("x.org"), routes.of(&below("example")).is_some()), (None, true));
        let shown: Vec<String> = routes.routes.iter().map(|route| route.to.to_string()).collect();
        assert_eq!(shown, ["*.b.example", "*.example", "a.b.example"]);
    }
}
