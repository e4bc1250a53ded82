//! What accounts forward to addresses elsewhere (RUL-06): for each an item of its own, since the reverse-path is the account's.
//!
//! Its bytes stay as they came, so that its signatures stay good; before them stands how it came here, and the mark of the account
//! (RFC 9228), by which it is known if it comes back: what bears the mark already is not sent again, and ends as a loop.

use pennypost_directory::{DomainName, ForwardKey, MailAddress};
use pennypost_mime::{header_end, header_fields};
use pennypost_model::event::{Accepted, Forward};
use pennypost_model::{AccountKey, TenantId};
use pennypost_outbound::{FIRST_FORWARD, Outbound};
use pennypost_runtime::Failure;

use crate::SendRemote;

/// The field of the mark.
const MARK: &str = "Delivered-To";
/// The reply to what has been here already (RFC 3463: routing loop detected).
pub(crate) const LOOP: (&str, &str) =
    ("5.4.6", "the message was forwarded by this account before: it is in a loop");

/// A message that an account forwards.
pub(crate) struct ToForward {
    pub(crate) account: AccountKey,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) reverse_path: String,
}

impl ToForward {
    /// The mark of the account.
    pub(crate) fn fields(&self) -> Vec<u8> {
        format!("{MARK}: {}\r\n", self.from).into_bytes()
    }
}

fn marks(header: &[u8]) -> impl Iterator<Item = String> {
    let marks = header_fields(header).filter(|(name, ..)| name.eq_ignore_ascii_case(MARK.as_bytes()));
    marks.map(|(_, value, _)| {
        let value = String::from_utf8_lossy(value);
        MailAddress::parse(&value).map_or_else(|_| value.trim().to_owned(), |address| address.to_string())
    })
}

/// Has the account forwarded the message before?
pub(crate) fn is_in_loop(item: &Outbound, lines: &[u8]) -> bool {
    let header = lines.get(..header_end(lines)).unwrap_or_default();
    item.is_forwarded() && marks(&item.head).any(|ours| marks(header).any(|mark| mark == ours))
}

impl SendRemote {
    /// What is forwarded and is no item yet, each with a part of its own: of what an earlier try has put down none has another
    /// one.
    pub(crate) async fn forwarded(
        &self,
        accepted: &Accepted,
        forwards: &[Forward],
        known: &[Outbound],
    ) -> Result<Vec<(u16, ToForward)>, Failure> {
        let known: Vec<&Outbound> = known.iter().filter(|item| item.is_forwarded()).collect();
        let is_known =
            |to: &str| known.iter().any(|item| item.recipients.iter().any(|one| one.address == to));
        let mut free = (FIRST_FORWARD..).filter(|part| !known.iter().any(|item| item.part == *part));
        let mut fresh = Vec::new();
        for Forward { account, from, to } in forwards.iter().filter(|forward| !is_known(&forward.to)) {
            let reverse_path = self.forwarded_path(accepted, from).await?;
            let (account, from, to) = (*account, from.clone(), to.clone());
            let Some(part) = free.next() else {
                tracing::error!(message = %accepted.id, "it is forwarded to too many");
                break;
            };
            fresh.push((part, ToForward { account, from, to, reverse_path }));
        }
        Ok(fresh)
    }

    /// The reverse-path of what an account forwards: a report goes back to whoever has written it. From nobody, where the
    /// message is so, or there is no such path.
    async fn forwarded_path(&self, accepted: &Accepted, from: &str) -> Result<String, Failure> {
        let domain: Result<DomainName, _> = MailAddress::domain_of(from);
        let Some(domain) = domain.ok().filter(|_| !accepted.reverse_path.is_empty()) else {
            return Ok(String::new());
        };
        let key = match self.forward_key(accepted.tenant).await {
            Ok(key) => key,
            // It arrives all the same, and so does what the event has beside it.
            Err(failure) if !failure.temporary => {
                tracing::error!(tenant = %accepted.tenant, cause = %failure.cause, "what marks reverse-paths can't be read");
                return Ok(String::new());
            }
            Err(failure) => return Err(failure),
        };
        Ok(key.forwarded(&accepted.reverse_path, &domain, accepted.time).unwrap_or_default())
    }

    pub(crate) async fn forward_key(&self, tenant: TenantId) -> Result<ForwardKey, Failure> {
        if let Some(known) = self.0.forward_keys.lock().get(&tenant).cloned() {
            return Ok(known);
        }
        let found = self.0.directory.forward_key(tenant).await;
        let key = found.map_err(|error| match error.is_temporary() {
            true => Failure::temporary(&error),
            false => Failure::permanent(&error),
        })?;
        let mut known = self.0.forward_keys.lock();
        if known.len() >= crate::MAX_OPEN {
            known.clear();
        }
        known.insert(tenant, key.clone());
        Ok(key)
    }
}
