//! By which servers the letters of a tenant go to other servers ([`pennypost_outbound::Routes`]): the operator's word, since whoever
//! says it has this post office call any machine that it reaches, and gets all that the tenant writes. Its administrators see it.

use std::net::IpAddr;

use async_trait::async_trait;
use pennypost_directory::DomainName;
use pennypost_model::TenantId;
use pennypost_model::trace::RemoteAnswer;
use pennypost_outbound::{Destinations, Identity, Relay, Route, Routes, SealedLogin};
use pennypost_ports::Expected;
use pennypost_text::{Text, say};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration, ses};

/// Routes of a tenant.
pub const MAX_ROUTES: usize = 50;
/// Bytes of a user, and of a password.
const MAX_LOGIN: usize = 1_000;

/// What is wrong with a route, or in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteProblem {
    /// Its destinations.
    #[error("destinations are *, a domain, or *. and a domain")]
    Destinations,
    /// Its server.
    #[error("a smart host is a name or an address, and a port")]
    Host,
    /// The region of its server.
    #[error("no region of Amazon SES is called so")]
    Region,
    /// User, password or key.
    #[error("user and password have 1 to 1000 bytes and no control characters")]
    Login,
    /// A user without password, and none is known for him there.
    #[error("a user needs a password")]
    NoPassword,
    /// Who we are there.
    #[error("a name in greetings is a host's, an address one of this machine's")]
    Identity,
    /// There are as many as there may be.
    #[error("there are too many routes")]
    TooMany,
    /// There is no server to be tried.
    #[error("no smart host is said for that")]
    NoHost,
    /// Nothing is tried from here.
    #[error("servers can't be tried from here")]
    NotFromHere,
}

impl RouteProblem {
    /// As people read it.
    #[must_use]
    pub fn message(self, text: &Text) -> String {
        match self {
            RouteProblem::Destinations => say!(text, "route-bad-destinations"),
            RouteProblem::Host => say!(text, "route-bad-host"),
            RouteProblem::Region => say!(text, "route-bad-region"),
            RouteProblem::Login => say!(text, "route-bad-login", limit = MAX_LOGIN),
            RouteProblem::NoPassword => say!(text, "route-no-password"),
            RouteProblem::Identity => say!(text, "route-bad-identity"),
            RouteProblem::TooMany => say!(text, "route-too-many", limit = MAX_ROUTES),
            RouteProblem::NoHost => say!(text, "route-no-host"),
            RouteProblem::NotFromHere => say!(text, "route-not-from-here"),
        }
    }
}

/// A way that is wished for.
#[derive(Clone)]
pub enum RouteWish {
    /// By the servers that DNS names, whatever smart host the installation has.
    ByDns,
    /// By that server.
    SmartHost {
        /// Its name, or its address.
        host: String,
        /// Its port.
        port: u16,
        /// TLS begins with the connection; else by STARTTLS.
        is_wrapped: bool,
        /// The user, and the password; none: the one that is known for him there.
        login: Option<(String, Option<String>)>,
    },
    /// By Amazon SES.
    Ses {
        /// Its region.
        region: String,
        /// 465 or another port with TLS from the beginning, or 587 and others with STARTTLS.
        port: u16,
        /// TLS begins with the connection.
        is_wrapped: bool,
        /// The id of an access key.
        user: String,
        /// What shows whose it is; none: as before.
        key: Option<SesKey>,
    },
}

/// What shows SES who is there.
#[derive(Clone)]
pub enum SesKey {
    /// A password for SMTP.
    Password(String),
    /// The secret key, from which that follows. It is not kept.
    Secret(String),
}

/// A smart host that is to be tried.
#[derive(Clone)]
pub struct ToProbe {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS begins with the connection.
    pub is_wrapped: bool,
    /// User and password.
    pub login: Option<(String, String)>,
    /// Who we are there.
    pub identity: Identity,
}

/// How a smart host was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteFound {
    /// Which server has spoken last, with its address; empty if none was reached.
    pub host: String,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
    /// Letters would be taken from here: the user was let in, where there is one.
    pub is_let_in: bool,
    /// What is in the way.
    pub problem: Option<RemoteAnswer>,
}

/// What tries smart hosts: connects, begins TLS, signs in, and sends nothing.
#[async_trait]
pub trait RouteProbe: Send + Sync {
    /// Tries one.
    async fn probe(&self, smart_host: &ToProbe) -> RouteFound;
}

fn summary(route: &Route) -> Value {
    let identity = json!({ "name": route.identity.name, "address": route.identity.address });
    let Some(relay) = &route.relay else { return json!({ "way": "mx", "identity": identity }) };
    json!({
        "way": if relay.region.is_some() { "ses" } else { "smart-host" },
        "host": relay.host, "port": relay.port, "tls": if relay.is_wrapped { "implicit" } else { "starttls" },
        "user": relay.login.as_ref().map(|login| &login.user), "identity": identity,
    })
}

/// Destinations as they are written.
fn destinations(text: &str) -> Result<Destinations, RouteProblem> {
    let domain = |text: &str| {
        DomainName::parse(text).map(|name| name.to_string()).map_err(|_| RouteProblem::Destinations)
    };
    match text.strip_prefix("*.") {
        _ if text == "*" => Ok(Destinations::All),
        Some(below) => domain(below).map(Destinations::Below),
        None => domain(text).map(Destinations::One),
    }
}

fn host(text: &str, port: u16) -> Result<String, RouteProblem> {
    let literal = text.parse::<IpAddr>().ok().map(|ip| ip.to_string());
    let name = || DomainName::parse(text).ok().map(|name| name.to_string());
    literal.or_else(name).filter(|_| port > 0).ok_or(RouteProblem::Host)
}

fn words(text: &str) -> Result<&str, RouteProblem> {
    let is_good = (1..=MAX_LOGIN).contains(&text.len()) && !text.chars().any(char::is_control);
    if is_good { Ok(text) } else { Err(RouteProblem::Login) }
}

fn identity(said: &Identity) -> Result<Identity, RouteProblem> {
    let name = said.name.as_deref().map(DomainName::parse).transpose();
    let name = name.map_err(|_| RouteProblem::Identity)?.map(|name| name.to_string());
    if said.address.is_some_and(|address| address.is_unspecified() || address.is_multicast()) {
        return Err(RouteProblem::Identity);
    }
    Ok(Identity { name, address: said.address })
}

impl Administration {
    /// The same, where smart hosts can be tried.
    #[must_use]
    pub fn probing_routes(self, probe: std::sync::Arc<dyn RouteProbe>) -> Administration {
        Administration { probe: Some(probe), ..self }
    }

    async fn stored_routes(&self, tenant: TenantId) -> Result<(Routes, Expected), AdminError> {
        self.stored_tenant(tenant).await?;
        Ok(match self.read::<Routes>(&Routes::key(tenant)).await? {
            Some((routes, version)) => (routes, Expected::Version(version)),
            None => (Routes::default(), Expected::Absent),
        })
    }

    /// By which ways the letters of a tenant go.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn routes(&self, call: &Call, tenant: TenantId) -> Result<Routes, AdminError> {
        call.may(Action::RouteRead, &Scope::Tenant(tenant))?;
        Ok(self.stored_routes(tenant).await?.0)
    }

    /// What is said of exactly these destinations, and how they are written.
    ///
    /// # Errors
    /// [`RouteProblem`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn route(
        &self,
        call: &Call,
        tenant: TenantId,
        to: &str,
    ) -> Result<(Destinations, Option<Route>), AdminError> {
        call.may(Action::RouteRead, &Scope::Tenant(tenant))?;
        self.route_to(tenant, to).await
    }

    /// The same, for whoever changes it.
    ///
    /// # Errors
    /// As for [`Administration::route`].
    #[pennypost_ports::compiled_here]
    pub async fn route_to_change(
        &self,
        call: &Call,
        tenant: TenantId,
        to: &str,
    ) -> Result<(Destinations, Option<Route>), AdminError> {
        call.may(Action::RouteChange, &Scope::Tenant(tenant))?;
        self.route_to(tenant, to).await
    }

    async fn route_to(
        &self,
        tenant: TenantId,
        to: &str,
    ) -> Result<(Destinations, Option<Route>), AdminError> {
        let to = destinations(to)?;
        let found = self.stored_routes(tenant).await?.0.of(&to).cloned();
        Ok((to, found))
    }

    async fn sealed(
        &self,
        (tenant, expected): (TenantId, Option<&Route>),
        (host, port): (&str, u16),
        (user, password): (&str, Option<&str>),
    ) -> Result<SealedLogin, AdminError> {
        let user = words(user)?.to_owned();
        let Some(password) = password else {
            let known = expected.and_then(|route| route.relay.as_ref());
            let known = known.filter(|relay| relay.host == host && relay.port == port);
            let known = known.and_then(|relay| relay.login.as_ref()).filter(|login| login.user == user);
            return known.cloned().ok_or_else(|| RouteProblem::NoPassword.into());
        };
        let place = Relay::place(tenant, (host, port), &user);
        let password = self.secrets()?.seal(&place, words(password)?.as_bytes()).await?;
        Ok(SealedLogin { user, password })
    }

    async fn relay(
        &self,
        tenant: TenantId,
        expected: Option<&Route>,
        wish: &RouteWish,
    ) -> Result<Option<Relay>, AdminError> {
        let of = (tenant, expected);
        Ok(match wish {
            RouteWish::ByDns => None,
            RouteWish::SmartHost { host: named, port, is_wrapped, login } => {
                let (host, port) = (host(named, *port)?, *port);
                let login = match login {
                    Some((user, password)) => {
                        Some(self.sealed(of, (&host, port), (user, password.as_deref())).await?)
                    }
                    None => None,
                };
                Some(Relay { host, port, is_wrapped: *is_wrapped, region: None, login })
            }
            RouteWish::Ses { region, port, is_wrapped, user, key } => {
                let named = ses::host(region).ok_or(RouteProblem::Region)?;
                let (host, port) = (host(&named, *port)?, *port);
                let password = match key {
                    Some(SesKey::Password(password)) => Some(password.clone()),
                    Some(SesKey::Secret(secret)) => Some(ses::password(words(secret)?, region)),
                    None => None,
                };
                let login = self.sealed(of, (&host, port), (user, password.as_deref())).await?;
                let (is_wrapped, region) = (*is_wrapped, Some(region.clone()));
                Some(Relay { host, port, is_wrapped, region, login: Some(login) })
            }
        })
    }

    /// Says by which way letters go to these destinations, if what is said is still as `expected`; none: nothing is said of them any
    /// more. Letters that wait go by it, too: within a minute.
    ///
    /// # Errors
    /// [`RouteProblem`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_route(
        &self,
        call: &Call,
        tenant: TenantId,
        to: &str,
        expected: Option<&Route>,
        wish: Option<(&RouteWish, &Identity)>,
    ) -> Result<Option<Route>, AdminError> {
        let about = About::new(Some(tenant), Action::RouteChange, to);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let to = destinations(to)?;
        let (mut routes, version) = self.stored_routes(tenant).await?;
        if routes.of(&to) != expected {
            return Err(AdminError::Changed);
        }
        let route = match wish {
            Some((wish, said)) => {
                let (identity, relay) = (identity(said)?, self.relay(tenant, expected, wish).await?);
                Some(Route { to: to.clone(), relay, identity })
            }
            None => None,
        };
        let login = |route: Option<&Route>| route?.relay.as_ref()?.login.clone();
        let mut after = route.as_ref().map(summary).unwrap_or_default();
        if route.is_some() && login(route.as_ref()) != login(expected) {
            after["password"] = "changed".into();
        }
        let object = to.to_string();
        let before = expected.map(summary).unwrap_or_default();
        let about = About::new(Some(tenant), Action::RouteChange, &object).from(before).to(after);
        match &route {
            Some(route) => routes.say(route.clone()),
            None => routes.forget(&to),
        }
        if routes.routes.len() > MAX_ROUTES {
            return Err(RouteProblem::TooMany.into());
        }
        self.act(call, &about, async {
            let is_written = self.write(&Routes::key(tenant), &routes, version).await?;
            if is_written { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await?;
        Ok(route)
    }

    /// Tries the smart host that is said for exactly these destinations: connects, begins TLS, signs in. Nothing is sent.
    ///
    /// # Errors
    /// [`RouteProblem`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn probe_route(
        &self,
        call: &Call,
        tenant: TenantId,
        to: &str,
    ) -> Result<RouteFound, AdminError> {
        let about = About::new(Some(tenant), Action::RouteTest, to);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let to = destinations(to)?;
        let routes = self.stored_routes(tenant).await?.0;
        let route = routes.of(&to).ok_or(RouteProblem::NoHost)?;
        let relay = route.relay.as_ref().ok_or(RouteProblem::NoHost)?;
        let probe = self.probe.as_ref().ok_or(RouteProblem::NotFromHere)?;
        let login = match &relay.login {
            Some(SealedLogin { user, password }) => {
                let place = Relay::place(tenant, (&relay.host, relay.port), user);
                let opened = self.secrets()?.open(&place, password).await?;
                let password = String::from_utf8(opened).map_err(|_| AdminError::NoSealing)?;
                Some((user.clone(), password))
            }
            None => None,
        };
        let Relay { host, port, is_wrapped, .. } = relay.clone();
        let smart_host = ToProbe { tenant, host, port, is_wrapped, login, identity: route.identity.clone() };
        let probing = async { Ok::<_, AdminError>(probe.probe(&smart_host).await) };
        self.act(call, &about, probing).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_looked_at() {
        let shown = |text| destinations(text).map(|to| to.to_string());
        for good in ["*", "b.example", "*.b.example"] {
            assert_eq!(shown(good).as_deref(), Ok(good));
        }
        assert_eq!(shown("*.Bücher.example").as_deref(), Ok("*.xn--bcher-kva.example"));
        for bad in ["", "*.", "**", "b", "a*.example", "*.*.example", "me@b.example"] {
            assert_eq!(shown(bad), Err(RouteProblem::Destinations), "{bad}");
        }
        assert_eq!(host("Relay.Example", 587).as_deref(), Ok("relay.example"));
        assert_eq!(host("2001:DB8::1", 465).as_deref(), Ok("2001:db8::1"));
        for (bad, port) in [("", 25), ("relay", 25), ("relay.example", 0), ("a b.example", 25)] {
            assert_eq!(host(bad, port), Err(RouteProblem::Host), "{bad}");
        }
        assert!(words("a").is_ok() && words("").is_err() && words("a\nb").is_err());
        let named = |name: &str, address: &str| {
            identity(&Identity { name: Some(name.to_owned()), address: address.parse().ok() })
        };
        assert!(named("mail.a.example", "192.0.2.1").is_ok());
        assert!(named("mail", "192.0.2.1").is_err() && named("mail.a.example", "0.0.0.0").is_err());
    }
}
