//! Addresses to which a tenant's mailings are not sent any more.

use pennypost_directory::{Listed, Page, Suppressed, SuppressedBy};
use pennypost_model::TenantId;
use serde_json::json;

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::quoted;
use crate::{AdminError, Administration};

/// Addresses that are added at once.
pub const MAX_SUPPRESSED_AT_ONCE: usize = 500;

impl Administration {
    /// Addresses to which mailings are not sent, in their order; those that begin so, if that is said. A query.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn suppressed(
        &self,
        call: &Call,
        tenant: TenantId,
        prefix: &str,
        page: &Page,
    ) -> Result<Listed<Suppressed>, AdminError> {
        call.may(Action::SuppressedRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        Ok(self.directory.suppressed(tenant, prefix, page).await?)
    }

    /// Sends mailings to none of these any more; how many of them are new. For each two reads and two writes.
    ///
    /// # Errors
    /// [`AdminError`]; those before the one that is wrong are on the list then.
    #[pennypost_ports::compiled_here]
    pub async fn suppress(
        &self,
        call: &Call,
        tenant: TenantId,
        addresses: &[String],
    ) -> Result<usize, AdminError> {
        let about = About::new(Some(tenant), Action::SuppressedAdd, "suppressed-addresses")
            .to(json!({ "addresses": addresses }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        self.act(call, &about, async {
            let mut new = 0;
            for address in addresses {
                let by = SuppressedBy::Administrator;
                new += usize::from(self.directory.suppress(tenant, address, by, None).await?);
            }
            Ok::<usize, AdminError>(new)
        })
        .await
    }

    /// Sends mailings there again.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for an address to which they are sent, or others.
    #[pennypost_ports::compiled_here]
    pub async fn release_suppressed(
        &self,
        call: &Call,
        tenant: TenantId,
        address: &str,
    ) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::SuppressedRemove, address);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        self.act(call, &about, async {
            match self.directory.release_suppressed(tenant, address).await? {
                true => Ok(()),
                false => Err(AdminError::NotFound("suppressed address")),
            }
        })
        .await
    }
}

/// Addresses as CSV with a line of names.
#[must_use]
pub fn suppressed_csv(addresses: &[Suppressed]) -> String {
    let mut text = String::from("address,by,since,letter\r\n");
    for one in addresses {
        let letter = one.letter.map(|letter| letter.to_string()).unwrap_or_default();
        let cells = [one.address.clone(), one.by.name().to_owned(), one.since.rfc3339(), letter];
        text.push_str(&cells.map(|cell| quoted(&cell)).join(","));
        text.push_str("\r\n");
    }
    text
}
