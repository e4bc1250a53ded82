//! Which way a tenant's letters go: what its operator has said, read once and remembered for a minute.
//!
//! What can't be known, since the table does not answer or a password can't be opened, keeps a letter here: by another way it might
//! go out as somebody else, or to whom it must not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pennypost_model::TenantId;
use pennypost_model::codec::decode;
use pennypost_model::trace::{RemoteAnswer, RemoteOutcome};
use pennypost_outbound::{Relay, Route, Routes};
use pennypost_ports::{Consistency, Secrets};
use tokio::sync::OnceCell;

use crate::SendRemote;
use crate::exchange::{Login, SmartHost, Verdict, WayOut};

/// For so long what was read is believed.
const BELIEVED: Duration = Duration::from_secs(60);
/// Tenants that are remembered.
const KNOWN: usize = 10_000;

/// What is said of a tenant, with what its passwords are.
#[derive(Default)]
struct Said {
    routes: Routes,
    /// For each of the routes.
    ways: Vec<Result<WayOut, Verdict>>,
}

impl Said {
    fn to(&self, destination: &str) -> Option<&Result<WayOut, Verdict>> {
        let route = self.routes.to(destination)?;
        let place = self.routes.routes.iter().position(|known| known.to == route.to)?;
        self.ways.get(place)
    }
}

/// Filled by whoever comes first: the others wait for the same read.
type Place = Arc<OnceCell<Said>>;

/// What this process remembers.
#[derive(Default)]
pub(crate) struct Ways(Mutex<HashMap<TenantId, (Instant, Place)>>);

impl Ways {
    fn place(&self, tenant: TenantId, believed: Duration) -> Place {
        let mut known = self.0.lock();
        if let Some((since, place)) = known.get(&tenant)
            && since.elapsed() < believed
        {
            return Arc::clone(place);
        }
        if known.len() >= KNOWN {
            known.clear();
        }
        let place = Place::default();
        known.insert(tenant, (Instant::now(), Arc::clone(&place)));
        place
    }

    /// By which server a letter of that tenant goes, as far as that is remembered: all that go there have a lane of their own.
    pub(crate) fn lane(&self, tenant: TenantId, destination: &str) -> Option<String> {
        let place = self.0.lock().get(&tenant).map(|(_, place)| Arc::clone(place))?;
        lane_of(place.get()?.to(destination)?.as_ref().ok()?)
    }

    /// Does a letter of that tenant go another way than the installation's, as far as that is remembered?
    pub(crate) fn is_own(&self, tenant: TenantId, destination: &str) -> bool {
        let place = self.0.lock().get(&tenant).map(|(_, place)| Arc::clone(place));
        place.is_some_and(|place| place.get().is_some_and(|said| said.to(destination).is_some()))
    }

    /// Nothing is remembered any more.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }
}

/// What goes by a tenant's own server is in the way of nothing else that goes to the same domain, and what becomes of it says nothing
/// of that domain.
pub(crate) fn lane_of(way_out: &WayOut) -> Option<String> {
    let SmartHost { host, port, .. } = way_out.smart_host.as_ref()?;
    Some(format!("{}/{host}:{port}", way_out.tenant))
}

fn waits(status: &str, text: &str) -> Verdict {
    let (status, text) = (status.to_owned(), text.to_owned());
    (RemoteOutcome::Deferred, RemoteAnswer { code: None, status, text })
}

async fn login(
    secrets: Option<&dyn Secrets>,
    tenant: TenantId,
    relay: &Relay,
) -> Result<Option<Login>, Verdict> {
    let Some(sealed) = &relay.login else { return Ok(None) };
    let place = Relay::place(tenant, (&relay.host, relay.port), &sealed.user);
    let opened = match secrets {
        Some(secrets) => secrets.open(&place, &sealed.password).await.map_err(|error| error.to_string()),
        None => Err("this process has nothing that opens it".to_owned()),
    };
    let password = opened.and_then(|opened| String::from_utf8(opened).map_err(|error| error.to_string()));
    match password {
        Ok(password) => Ok(Some(Login { user: sealed.user.clone(), password })),
        Err(cause) => {
            tracing::error!(%tenant, place, cause, "the password of a smart host can't be opened: letters wait");
            Err(waits("4.3.5", "the password of the smart host can't be opened"))
        }
    }
}

async fn way_out(secrets: Option<&dyn Secrets>, tenant: TenantId, route: &Route) -> Result<WayOut, Verdict> {
    let smart_host = match &route.relay {
        Some(relay) => {
            let login = login(secrets, tenant, relay).await?;
            let Relay { host, port, is_wrapped, .. } = relay;
            Some(SmartHost { host: host.clone(), port: *port, login, is_wrapped: *is_wrapped })
        }
        None => None,
    };
    let (name, address) = (route.identity.name.clone(), route.identity.address);
    Ok(WayOut { tenant, smart_host, name, address })
}

impl SendRemote {
    /// Is it known, and young enough, which way a tenant's letters go?
    pub(crate) fn remembers_way_out(&self, tenant: TenantId) -> bool {
        let believed = self.hurried(BELIEVED);
        let known = self.0.ways.0.lock();
        known.get(&tenant).is_some_and(|(since, place)| since.elapsed() < believed && place.get().is_some())
    }

    /// The way of a tenant's letter to that destination; none, where nothing is said. One read for a tenant and a minute.
    ///
    /// # Errors
    /// Why it waits.
    pub(crate) async fn way_out(
        &self,
        tenant: TenantId,
        destination: &str,
    ) -> Result<Option<WayOut>, Verdict> {
        let place = self.0.ways.place(tenant, self.hurried(BELIEVED));
        let said = place.get_or_try_init(|| self.said(tenant)).await?;
        let way_out = said.to(destination).cloned().transpose();
        if way_out.is_err() {
            // Whoever mends it need not wait: the next one looks again.
            let mut known = self.0.ways.0.lock();
            if known.get(&tenant).is_some_and(|(_, known)| Arc::ptr_eq(known, &place)) {
                known.remove(&tenant);
            }
        }
        way_out
    }

    async fn said(&self, tenant: TenantId) -> Result<Said, Verdict> {
        let unknown = |cause: String| {
            // What the backend says is the operator's; the text is for whoever has written.
            tracing::warn!(%tenant, cause, "what is said of a tenant's way out can't be read");
            waits("4.3.0", "by which way it goes can't be read at present")
        };
        let ports = &self.0.ports;
        let found = ports.control.get(&Routes::key(tenant), Consistency::Eventual).await;
        let Some(item) = found.map_err(|error| unknown(error.to_string()))? else {
            return Ok(Said::default());
        };
        let routes = decode::<Routes>(&item.value).map_err(|error| unknown(error.to_string()))?;
        let mut ways = Vec::with_capacity(routes.routes.len());
        for route in &routes.routes {
            ways.push(way_out(ports.secrets.as_deref(), tenant, route).await);
        }
        Ok(Said { routes, ways })
    }
}
