//! DNS and HTTPS as this machine reaches them: what the ports [`Dns`](pennypost_ports::Dns) and
//! [`Https`](pennypost_ports::Https) are outside of tests.
//!
//! Owns nothing but connections. What tenants name is asked, so: each look-up and each document has an end in time and in
//! bytes, and no host on a network that is not public is connected to.

mod authorities;
mod dns;
mod https;
mod proving;

use std::net::SocketAddr;
use std::sync::Arc;

pub use authorities::Authorities;
pub use dns::{BadServer, Resolver};
pub use https::{Documents, is_public};
pub use proving::{Believed, Proving};

/// Where the operator names hosts (`HOST[:PORT]`, 443 by default), separated by commas, that are asked on whatever network they are: providers of
/// identities within the organisation. Names of tenants are not among them unless somebody here has written them down.
pub const PRIVATE_HOSTS: &str = "PENNYPOST_PRIVATE_HOSTS";

/// Both, over the servers that are named (addresses, separated by commas), or over those of the machine.
///
/// # Errors
/// A text for the operator.
pub fn outside(servers: Option<&str>) -> Result<(Arc<Resolver>, Arc<Documents>), String> {
    match servers.filter(|text| !text.trim().is_empty()) {
        Some(text) => over(&Resolver::servers(text).map_err(|error| error.to_string())?),
        None => Ok(both(Resolver::of_system().map_err(|error| error.to_string())?)),
    }
}

/// Both, over these servers.
///
/// # Errors
/// A text for the operator.
pub fn over(servers: &[SocketAddr]) -> Result<(Arc<Resolver>, Arc<Documents>), String> {
    Ok(both(Resolver::over(servers).map_err(|error| error.to_string())?))
}

fn both(resolver: Resolver) -> (Arc<Resolver>, Arc<Documents>) {
    let resolver = Arc::new(resolver);
    let known = std::env::var(PRIVATE_HOSTS).unwrap_or_default();
    let documents = Arc::new(Documents::new(Arc::clone(&resolver) as _).knowing(&known));
    (resolver, documents)
}
