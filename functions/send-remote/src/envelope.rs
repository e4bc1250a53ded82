//! What envelopes are called before other servers (ENVID: RFC 3461 section 4.4).

use pennypost_outbound::Outbound;

use crate::SendRemote;

impl SendRemote {
    /// What the envelope is called: as its sender says, else so that a report about it is known by that, if there is a member who
    /// has sent it. It goes without where that can't be told now.
    pub(crate) async fn envelope_id(&self, item: &Outbound) -> Option<String> {
        let said = item.asked.as_ref().and_then(|asked| asked.wishes.envelope_id.clone());
        if said.is_some() || item.sender.1.is_empty() || item.reverse_path.is_empty() || item.is_forwarded() {
            return said;
        }
        match self.forward_key(item.tenant).await {
            Ok(key) => Some(key.envelope_id(item.message)),
            Err(failure) => {
                let (tenant, cause) = (item.tenant, failure.cause);
                tracing::warn!(%tenant, cause, "what names envelopes can't be read");
                None
            }
        }
    }
}
