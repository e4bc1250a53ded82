//! Runs of list cards that older programs wrote beside bases: segments hold more, and nobody reads them any more.

use pennypost_mailstore::{StoreError, names};
use pennypost_model::TenantId;

use crate::Housekeep;

/// Names that are taken at once.
const PAGE: usize = 500;

impl Housekeep {
    /// Removes all of a tenant.
    pub(crate) async fn drop_card_runs(&self, tenant: TenantId) -> Result<(), StoreError> {
        loop {
            let page = self.store.objects().list(&names::card_runs(tenant), None, PAGE).await?;
            for object in &page {
                self.store.objects().delete(&object.name).await?;
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }
}
