//! By which servers the letters of a tenant go to other servers.

use std::net::IpAddr;

use pennypost_admin::{Action, RouteFound, RouteIdentity, RouteWish, SesKey};
use pennypost_directory::Listed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, rows};
use crate::rest::operation::{Answering, Good, Method, Operation, shape};
use crate::rest::problem::details::both;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// How TLS begins. There is none without a certificate that holds for the host.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "RouteTls")]
pub(crate) enum Tls {
    /// By STARTTLS.
    Starttls,
    /// With the connection.
    Implicit,
}

impl Tls {
    const fn of(is_wrapped: bool) -> Tls {
        if is_wrapped { Tls::Implicit } else { Tls::Starttls }
    }

    /// As it is said, or as it is usual at that port.
    const fn is_wrapped(said: Option<Tls>, port: u16) -> bool {
        match said {
            Some(Tls::Implicit) => true,
            Some(Tls::Starttls) => false,
            None => matches!(port, 465 | 2465),
        }
    }
}

/// Which way letters go.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RouteWay")]
pub(crate) enum Way {
    /// As those of the installation do: nothing is said.
    Default,
    /// By the servers that DNS names for the destination.
    Mx,
    /// By the server that is named.
    SmartHost,
    /// By Amazon SES.
    Ses,
}

/// Who this post office is to the servers.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RouteIdentity")]
pub(crate) struct Identity {
    /// The name with which they are greeted; null: the installation's.
    #[serde(default)]
    name: Option<String>,
    /// The address of the machine from which they are called; null: whichever it takes.
    #[serde(default)]
    address: Option<IpAddr>,
}

/// By which way letters go to some destinations.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Route {
    /// `*` for all, a domain, or `*.` and a domain for all below it. Of several the closest holds.
    destinations: String,
    /// Which way.
    way: Way,
    /// The server; null where none is named.
    host: Option<String>,
    /// Its port.
    port: Option<u16>,
    /// How TLS begins with it.
    tls: Option<Tls>,
    /// The region of Amazon SES.
    region: Option<String>,
    /// Who signs in there; null: nobody. The password is never told.
    user: Option<String>,
    /// Who this post office is there.
    identity: Identity,
}

page_of!(Routes, Route);

/// A way that is wished for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoutePut {
    /// Which: `mx`, `smart-host`, `ses`.
    way: Way,
    /// The server, for a smart host: its name or its address.
    #[serde(default)]
    host: Option<String>,
    /// Its port; 587 if nothing is said, for SES 465.
    #[serde(default)]
    port: Option<u16>,
    /// How TLS begins; if nothing is said, with the connection at 465 and 2465, by STARTTLS at others.
    #[serde(default)]
    tls: Option<Tls>,
    /// The region of Amazon SES.
    #[serde(default)]
    region: Option<String>,
    /// Who signs in; for SES the id of an access key. Null: nobody.
    #[serde(default)]
    user: Option<String>,
    /// The password; null: as before, if host, port and user are.
    #[serde(default)]
    password: Option<String>,
    /// For SES, in the place of a password: the secret key from which it follows. It is not kept.
    #[serde(default)]
    secret_key: Option<String>,
    /// Who this post office is there.
    #[serde(default)]
    identity: Identity,
}

/// How a smart host was found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RouteTested {
    /// It was reached over TLS with a certificate that holds, and whoever signs in was let in.
    good: bool,
    /// Which server has spoken, with its address; null if none was reached.
    host: Option<String>,
    /// TLS version and cipher suite.
    tls: Option<String>,
    /// The reply code of what is in the way, if it is the server's word.
    code: Option<u16>,
    /// Its status (RFC 3463).
    status: Option<String>,
    /// Its text.
    text: Option<String>,
}

fn show(destinations: String, route: Option<&pennypost_admin::Route>) -> Route {
    let relay = route.and_then(|route| route.relay.as_ref());
    let way = match (route, relay) {
        (None, _) => Way::Default,
        (Some(_), None) => Way::Mx,
        (_, Some(relay)) if relay.region.is_some() => Way::Ses,
        (_, Some(_)) => Way::SmartHost,
    };
    let identity = route.map(|route| route.identity.clone()).unwrap_or_default();
    Route {
        destinations,
        way,
        host: relay.map(|relay| relay.host.clone()),
        port: relay.map(|relay| relay.port),
        tls: relay.map(|relay| Tls::of(relay.is_wrapped)),
        region: relay.and_then(|relay| relay.region.clone()),
        user: relay.and_then(|relay| relay.login.as_ref()).map(|login| login.user.clone()),
        identity: Identity { name: identity.name, address: identity.address },
    }
}

fn show_tested(found: RouteFound) -> RouteTested {
    let RouteFound { host, tls, is_let_in, problem } = found;
    let (code, status, text) = match problem {
        Some(problem) => (problem.code, Some(problem.status), Some(problem.text)),
        None => (None, None, None),
    };
    RouteTested { good: is_let_in, host: Some(host).filter(|host| !host.is_empty()), tls, code, status, text }
}

/// What does not belong together.
fn unfitting(pointer: &str) -> Refusal {
    let detail = both(
        "a smart host has a host, and perhaps a user with a password; SES has a region, and a user with a password or a secret key; by mx nothing of that",
        "中继服务器须有 host，可有 user 及 password；SES 须有 region、user 及 password 或 secret_key；mx 均不填",
    );
    Refusal::new(Kind::Invalid, detail.clone()).at(pointer.to_owned(), detail)
}

fn meant(put: RoutePut) -> Result<(RouteWish, RouteIdentity), Refusal> {
    let RoutePut { way, host, port, tls, region, user, password, secret_key, identity } = put;
    let identity = RouteIdentity { name: identity.name, address: identity.address };
    let foreign: &[(&str, bool)] = match way {
        Way::Default => return Err(unfitting("/way")),
        Way::Mx => &[
            ("/host", host.is_some()),
            ("/port", port.is_some()),
            ("/tls", tls.is_some()),
            ("/region", region.is_some()),
            ("/user", user.is_some()),
            ("/password", password.is_some()),
            ("/secret_key", secret_key.is_some()),
        ],
        Way::SmartHost => &[
            ("/host", host.is_none()),
            ("/region", region.is_some()),
            ("/password", user.is_none() && password.is_some()),
            ("/secret_key", secret_key.is_some()),
        ],
        Way::Ses => &[
            ("/host", host.is_some()),
            ("/region", region.is_none()),
            ("/user", user.is_none()),
            ("/secret_key", password.is_some() && secret_key.is_some()),
        ],
    };
    if let Some((pointer, _)) = foreign.iter().find(|(_, is_foreign)| *is_foreign) {
        return Err(unfitting(pointer));
    }
    let wish = match way {
        Way::Default | Way::Mx => RouteWish::ByDns,
        Way::SmartHost => {
            let port = port.unwrap_or(587);
            RouteWish::SmartHost {
                host: host.unwrap_or_default(),
                port,
                is_wrapped: Tls::is_wrapped(tls, port),
                login: user.map(|user| (user, password)),
            }
        }
        Way::Ses => {
            let port = port.unwrap_or(465);
            RouteWish::Ses {
                region: region.unwrap_or_default(),
                port,
                is_wrapped: Tls::is_wrapped(tls, port),
                user: user.unwrap_or_default(),
                key: password.map(SesKey::Password).or(secret_key.map(SesKey::Secret)),
            }
        }
    };
    Ok((wish, identity))
}

fn change(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let (wish, identity) = meant(ask.body()?)?;
        let (tenant, to) = (ask.tenant()?, ask.word("destinations"));
        let (destinations, seen) = ask.administration.route_to_change(&ask.call, tenant, to).await?;
        ask.must_match(&show(destinations.to_string(), seen.as_ref()))?;
        let wish = Some((&wish, &identity));
        let changed = ask.administration.change_route(&ask.call, tenant, to, seen.as_ref(), wish).await?;
        Ok(Reply::tagged(&show(destinations.to_string(), changed.as_ref())))
    })
}

const LIST: &str = "/tenants/{tenant}/routes";
const ONE: &str = "/tenants/{tenant}/routes/{destinations}";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, LIST, "list-routes"),
        Action::RouteRead,
        "By which servers the letters of a tenant go to other servers, where that is said",
        Good::list(shape::<Routes>),
        |ask| {
            Box::pin(async move {
                let items = ask.administration.routes(&ask.call, ask.tenant()?).await?.routes;
                let shown = |route: pennypost_admin::Route| show(route.to.to_string(), Some(&route));
                Ok(Reply::document(&rows(Listed { items, next: None }, shown)))
            })
        },
    ),
    Operation::new(
        (Method::Get, ONE, "read-route"),
        Action::RouteRead,
        "What is said of exactly these destinations",
        Good::one(shape::<Route>),
        |ask| {
            Box::pin(async move {
                let (tenant, to) = (ask.tenant()?, ask.word("destinations"));
                let (destinations, found) = ask.administration.route(&ask.call, tenant, to).await?;
                Ok(Reply::tagged(&show(destinations.to_string(), found.as_ref())))
            })
        },
    )
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Put, ONE, "change-route"),
        Action::RouteChange,
        "Say by which way letters go to these destinations: the operator's word; letters that wait go by it, too, within a minute",
        Good::one(shape::<Route>),
        change,
    )
    .with(shape::<RoutePut>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unavailable]),
    Operation::new(
        (Method::Delete, ONE, "remove-route"),
        Action::RouteChange,
        "Say nothing of these destinations any more",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (tenant, to) = (ask.tenant()?, ask.word("destinations"));
                let (_, seen) = ask.administration.route_to_change(&ask.call, tenant, to).await?;
                ask.administration.change_route(&ask.call, tenant, to, seen.as_ref(), None).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/routes/{destinations}/test", "test-route"),
        Action::RouteTest,
        "Try the smart host of these destinations: connect, begin TLS, sign in; nothing is sent",
        Good::told(shape::<RouteTested>),
        |ask| {
            Box::pin(async move {
                let (tenant, to) = (ask.tenant()?, ask.word("destinations"));
                let found = ask.administration.probe_route(&ask.call, tenant, to).await?;
                Ok(Reply::document(&show_tested(found)))
            })
        },
    )
    .refusing(&[Kind::Invalid, Kind::OtherState, Kind::Unavailable]),
];
