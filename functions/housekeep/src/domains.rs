//! The daily look at the domains of a tenant, a part of them on one event.

use pennypost_admin::Worked;
use pennypost_model::TenantId;
use pennypost_model::event::House;
use pennypost_runtime::Failure;

use crate::Housekeep;
use crate::tasks::{WORKS, failed};

impl Housekeep {
    /// Looks after domains that nobody has looked at for a day. Those that are left are another event's: which they are
    /// follows from when each was looked at.
    pub(crate) async fn look_after_domains(&self, tenant: TenantId) -> Result<(), Failure> {
        // Nobody else could do it: what is missing here is missing tomorrow, too.
        let Some(administration) = &self.administration else { return Ok(()) };
        let until = self.store.clock().now().plus_millis(WORKS);
        let worked = administration.look_after_domains(tenant, until).await;
        match worked.map_err(|error| failed(&error))? {
            // A tenant without mail is erased upon a fresh look alone.
            Worked::Over => self.look_at_end(tenant).await,
            Worked::More => self.send(tenant, House::Domains(tenant)).await,
        }
    }
}
