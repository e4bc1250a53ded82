//! How smart hosts of tenants are tried: by the client that sends letters.

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use pennypost_admin::{RouteFound, RouteProbe, ToProbe};
use pennypost_lookup::Authorities;
use pennypost_ports::Dns;
use pennypost_send_remote::exchange::{Exchange, Login, Probed, Settings, SmartHost, WayOut};

/// The client, without anything to send.
pub(crate) struct Probing(Exchange);

impl Probing {
    /// Under that name, believing these authorities.
    pub(crate) fn new(
        dns: Arc<dyn Dns>,
        hostname: &str,
        authorities: Authorities,
        haste: NonZeroU32,
    ) -> Probing {
        Probing(Exchange::new(dns, hostname, Settings::default()).believing(authorities).in_haste(haste))
    }
}

#[async_trait]
impl RouteProbe for Probing {
    async fn probe(&self, smart_host: &ToProbe) -> RouteFound {
        let ToProbe { tenant, host, port, is_wrapped, login, identity } = smart_host.clone();
        let login = login.map(|(user, password)| Login { user, password });
        let smart_host = SmartHost { host, port, login, is_wrapped };
        let (name, address) = (identity.name, identity.address);
        let way_out = WayOut { tenant, smart_host: Some(smart_host.clone()), name, address };
        let Probed { host, tls, is_let_in, problem } = self.0.probe(&way_out, &smart_host).await;
        RouteFound { host, tls, is_let_in, problem }
    }
}
