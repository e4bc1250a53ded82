//! Names of objects. The tenant's id is the first component of every name (architecture, invariant 7).

use pennypost_model::{AccountKey, EventId, Seq, TenantId};

/// A pack of messages.
#[must_use]
pub fn pack(tenant: TenantId, pack: EventId) -> String {
    format!("{tenant}/pk/{}/{pack}", pack.time().day())
}

/// All packs of a tenant, for listing.
#[must_use]
pub fn packs(tenant: TenantId) -> String {
    format!("{tenant}/pk/")
}

/// A message too large for its event.
#[must_use]
pub fn spool(tenant: TenantId, message: EventId) -> String {
    format!("{tenant}/spool/{}/{message}", message.time().day())
}

/// All spooled messages of a tenant, for listing.
#[must_use]
pub fn spools(tenant: TenantId) -> String {
    format!("{tenant}/spool/")
}

/// A message in quarantine.
#[must_use]
pub fn quarantined(tenant: TenantId, message: EventId) -> String {
    format!("{tenant}/qn/{}/{message}", message.time().day())
}

/// A base of an account.
#[must_use]
pub fn base(account: AccountKey, seq: Seq, nonce: EventId) -> String {
    format!("{}/ix/{}/{:020}-{nonce}", account.tenant, account.account, seq.0)
}

/// All bases of an account, for listing; ascending names are ascending sequence numbers.
#[must_use]
pub fn bases(account: AccountKey) -> String {
    format!("{}/ix/{}/", account.tenant, account.account)
}

/// Runs of list cards, which programs up to version 0.1 wrote beside the bases of a tenant's accounts, for listing.
#[must_use]
pub fn card_runs(tenant: TenantId) -> String {
    format!("{tenant}/cd/")
}

/// A segment of an account, of the entries after `low` up to `high`. A segment that is made anew for the same
/// entries has another name.
#[must_use]
pub fn segment(account: AccountKey, low: Seq, high: Seq, nonce: EventId) -> String {
    format!("{}/sg/{}/{:020}-{:020}-{nonce}", account.tenant, account.account, low.0, high.0)
}

/// All segments of an account, for listing.
#[must_use]
pub fn segments(account: AccountKey) -> String {
    format!("{}/sg/{}/", account.tenant, account.account)
}

/// The id at the end of a segment's or base's name.
#[must_use]
pub fn nonce_of(name: &str) -> Option<EventId> {
    name.rsplit('-').next()?.parse().ok()
}

/// The id at the end of a pack's or spooled message's name.
#[must_use]
pub fn id_of(name: &str) -> Option<EventId> {
    name.rsplit('/').next()?.parse().ok()
}
