//! Smart hosts that let nobody in, and whose they are.

use std::time::Duration;

use pennypost_model::TenantId;
use tokio::time::Instant;

use super::{By, Exchange, Parcel, SmartHost, Verdict};

/// Who asks which smart host to be let in: what it says to one is nothing to another.
pub(super) type Gate = (Option<TenantId>, SmartHost);

/// How long a smart host is left alone that refuses user and password: some lock whoever goes on trying.
pub(super) const SHUT: Duration = Duration::from_secs(60);
/// Smart hosts that are remembered for that.
const GATES: usize = 1_000;

impl Exchange {
    /// The server that takes everything on the way of that parcel.
    pub(super) fn smart_host<'a>(&'a self, parcel: &Parcel<'a>) -> Option<&'a SmartHost> {
        match parcel.way_out {
            Some(way_out) => way_out.smart_host.as_ref(),
            None => self.settings.smart_host.as_ref(),
        }
    }

    fn gate(&self, parcel: &Parcel<'_>) -> Option<Gate> {
        Some((parcel.way_out.map(|way_out| way_out.tenant), self.smart_host(parcel)?.clone()))
    }

    /// What the smart host has said to user and password, while it is left alone. Then one goes, and the others wait for what it
    /// hears.
    pub(super) fn shut(&self, parcel: &Parcel<'_>) -> Option<(Verdict, By)> {
        let gate = self.gate(parcel)?;
        let mut shut = self.shut.lock();
        let (since, verdict, by) = shut.get_mut(&gate)?;
        if since.elapsed() >= SHUT {
            *since = Instant::now();
            return None;
        }
        Some((verdict.clone(), by.clone()))
    }

    /// Notes what the smart host has said to user and password.
    pub(super) fn note_admission(&self, parcel: &Parcel<'_>, admission: Result<(), Verdict>, by: &By) {
        let Some(gate) = self.gate(parcel) else { return };
        let mut shut = self.shut.lock();
        match admission {
            Ok(()) => drop(shut.remove(&gate)),
            Err(verdict) => {
                if shut.len() >= GATES {
                    shut.retain(|_, (since, ..)| since.elapsed() < SHUT);
                }
                if shut.len() < GATES {
                    shut.insert(gate, (Instant::now(), verdict, by.clone()));
                }
            }
        }
    }
}
