//! The way out of a tenant of which its operator has said which it is, and how it is tried without a message.

use std::net::IpAddr;

use pennypost_model::TenantId;
use pennypost_model::trace::RemoteAnswer;
use tokio::time::Instant;

use super::client::{End, How, enter};
use super::route::hops;
use super::{Exchange, Handed, Reach, SmartHost, Verdict};

/// A tenant's own way. Its conversations are nobody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayOut {
    /// Whose it is.
    pub tenant: TenantId,
    /// Everything goes to this host, over TLS with a certificate that holds for it; none: to the servers that DNS names.
    pub smart_host: Option<SmartHost>,
    /// The name with which servers are greeted; none: the installation's.
    pub name: Option<String>,
    /// The address of this machine from which servers are called; none: whichever the machine takes.
    pub address: Option<IpAddr>,
}

/// How the way to a smart host was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Which server has spoken last, with its address; empty if none was reached.
    pub host: String,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
    /// The user was let in; also where there is none.
    pub is_let_in: bool,
    /// What is in the way, if anything is.
    pub problem: Option<RemoteAnswer>,
}

impl Probed {
    fn stopped(handed: &Handed, (_, problem): Verdict) -> Probed {
        let Handed { host, tls, .. } = handed;
        Probed { host: host.clone(), tls: tls.clone(), is_let_in: false, problem: Some(problem) }
    }
}

impl Exchange {
    /// Goes as far as a message would, up to MAIL: connects, begins TLS, signs in. Its addresses are tried one after the other, until
    /// one lets in, or says that it does not.
    pub async fn probe(&self, way_out: &WayOut, smart_host: &SmartHost) -> Probed {
        let deadline = Instant::now() + self.timing.command;
        let mut handed = Handed::open(0);
        let hosts = vec![smart_host.host.clone()];
        let found = hops(&*self.dns, hosts, (smart_host.port, true), Reach::Everything);
        let hops = match tokio::time::timeout_at(deadline, found).await {
            Ok(Ok(hops)) => hops,
            Ok(Err(why)) => {
                let why = super::ours(super::RemoteOutcome::Deferred, why.status(), &why.to_string());
                return Probed::stopped(&handed, why);
            }
            Err(_) => return Probed::stopped(&handed, late()),
        };
        let mut last = late();
        for hop in &hops {
            // Each has a judge of its own.
            let privacy = match self.trust.privacy(true) {
                Ok(privacy) => privacy,
                Err(why) => {
                    let why = super::ours(super::RemoteOutcome::Deferred, "4.7.5", &why);
                    return Probed::stopped(&handed, why);
                }
            };
            let how = How {
                is_wrapped: smart_host.is_wrapped,
                login: smart_host.login.as_ref(),
                ..self.how(Some(&privacy), deadline, Some(way_out))
            };
            (handed.host, handed.tls) = (String::new(), None);
            last = match enter(hop, how, &mut handed).await {
                Ok((conversation, _)) => {
                    conversation.quit().await;
                    let Handed { host, tls, .. } = handed;
                    return Probed { host, tls, is_let_in: true, problem: None };
                }
                Err(End::Elsewhere(verdict) | End::WithoutTls(verdict)) => verdict,
                Err(End::Over) => match handed.admission.take() {
                    Some(Err(verdict)) => return Probed::stopped(&handed, verdict),
                    Some(Ok(())) | None => late(),
                },
            };
        }
        Probed::stopped(&handed, last)
    }
}

fn late() -> Verdict {
    super::ours(super::RemoteOutcome::Deferred, "4.4.7", "it took too long")
}
