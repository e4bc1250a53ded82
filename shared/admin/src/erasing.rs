//! Erasing a tenant that has ended (TEN-11), as far as administration keeps it: what stands in the control table and in the
//! logs. Mail is erased by whoever keeps it (housekeeping); [`crate::ending`] says when.
//!
//! Every step removes what it finds: it can be done again, and by several at once. The tenant's own item goes last, some weeks
//! after the rest, in a pass over everything once more: what was in a queue when erasing began has been dealt with by then.
//! Until then the tenant is found by the daily round, which goes on with what was cut off.
//!
//! What is kept: the orders of plans (`T/purchases`), which are the operator's books; what work used
//! ([`LogKind::Usage`]), numbers by which the last bill is made and which expire by themselves; the item of
//! [`crate::ending`], and the operator's own log of operations.

use pennypost_directory::TenantState;
use pennypost_model::codec::{Versioned, encode};
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected, LogKind, Outgoing};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::action::Action;
use crate::ending::{EndCause, ErasedCounts, Item};
use crate::operations::{By, Entry, Origin, Outcome};
use crate::orders::open_key;
use crate::purchases::{MAX_PURCHASES, partition as orders_of};
use crate::{AdminError, Administration, Worked};

/// What follows the tenant's id in the names of its partitions, but for [`KEPT`]. A test looks for others in the sources.
pub const PARTITIONS: &[&str] = &[
    "accounts",
    "addresses",
    "aliases",
    "answered",
    "applications",
    "bin",
    "bulletins",
    "bulletins-read",
    "card-choices",
    "credentials",
    "departments",
    "domain-checks",
    "domain-keys",
    "erased",
    "forward-targets",
    "friends",
    "gc",
    "grants",
    "groups",
    "held",
    "intents",
    "invitations",
    "joining-numbers",
    "key-uses",
    "keys",
    "locks",
    "mail-day-members",
    "mail-days",
    "mail-templates",
    "mailbox-use",
    "mailbox-use-days",
    "mailbox-users",
    "mailboxes-used",
    "mailing-letters",
    "mailings",
    "member-invitations",
    "members",
    "mobile-numbers",
    "mobiles",
    "mta-sts",
    "names",
    "notices",
    "operations",
    "outbound",
    "passkey-challenges",
    "passkeys",
    "password-recoveries",
    "password-reminders",
    "provider-bindings",
    "provider-cuts",
    "provider-requests",
    "provider-subjects",
    "provisioned",
    "quarantine",
    "quarantine-digests",
    "quarantine-releases",
    "quarantined-letters",
    "readdressed",
    "recovery",
    "requests",
    "requests-for-second",
    "roles",
    "rules",
    "second-factors",
    "secretaries",
    "secretary-of",
    "sent-today",
    "session-beginnings",
    "sessions",
    "shares",
    "sign-in",
    "sign-in-accounts",
    "sms",
    "subscription-states",
    "suppressed",
    "tags",
    "tasks",
    "terms-accepted",
    "tickets",
    "token-uses",
    "tokens",
    "undo-windows",
    "user-tokens",
    "vip",
];

/// Whose journals were erased: they are erased once more before the tenant is forgotten, which is when this goes, too.
const JOURNALS: &str = "erased-journals";
/// Partitions of a tenant that outlive it.
pub const KEPT: &[&str] = &["purchases"];

/// Records of a tenant that do not outlive it.
const LOGS: [LogKind; 4] = [LogKind::Trace, LogKind::Login, LogKind::Audit, LogKind::Heard];
/// Items that are read at once.
const PAGE: usize = 200;
/// The tenant's item in its own partition.
const ITSELF: &str = "tenant";

/// That the journal of an account was erased.
#[derive(Debug, Serialize, Deserialize)]
struct ErasedJournal;

impl Versioned for ErasedJournal {
    const KIND: &'static str = "erased journal";
}

fn journals_of(tenant: TenantId) -> String {
    format!("{tenant}/{JOURNALS}")
}

fn journal_key(account: AccountKey) -> ControlKey {
    ControlKey::new(journals_of(account.tenant), account.account.to_string())
}

impl Administration {
    pub(crate) async fn record_tenant_erasure(
        &self,
        tenant: TenantId,
        item: &Item,
        cause: EndCause,
    ) -> Result<(), AdminError> {
        let by = item.order.as_ref().map_or(By::Schedule, |order| order.by.clone());
        let after = json!({ "tenant": tenant.to_string(), "cause": cause.name() });
        let entry = Entry {
            by,
            origin: Origin::Schedule,
            action: Action::TenantErase.name().to_owned(),
            object: item.name.clone(),
            before: None,
            after: Some(after.to_string()),
            outcome: Outcome::Ordered,
        };
        // The tenant's own book goes with it.
        self.append(None, entry).await.map(drop)
    }

    /// Tells housekeeping that a tenant is to be erased. Where that can't be told, the daily round finds it.
    pub(crate) async fn tell_of_erasing(&self, tenant: TenantId) -> Result<(), AdminError> {
        let Ok((_, queue)) = self.workshop() else { return Ok(()) };
        let body = encode(&Event::House(House::Erase(tenant)));
        let message = Outgoing { tenant, body, delay: std::time::Duration::ZERO };
        for sent in queue.send_batch(Stage::Housekeep, vec![message]).await {
            sent?;
        }
        Ok(())
    }

    /// Frees the domains of a tenant that is being erased: nothing comes in any more.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn release_domains(&self, tenant: TenantId) -> Result<u64, AdminError> {
        Ok(self.directory.release_domains(tenant).await?)
    }

    /// Erases what stands of the tenant in the control table and in logs, until `until` has passed; counts it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn erase_records(
        &self,
        tenant: TenantId,
        until: Timestamp,
        counts: &mut ErasedCounts,
    ) -> Result<Worked, AdminError> {
        // The orders stay, and nobody decides on them any more.
        for (id, _) in self.control.query(&orders_of(tenant), "", None, MAX_PURCHASES).await? {
            if let Ok(id) = u64::from_str_radix(&id, 16) {
                counts.items += u64::from(self.erase(&open_key(tenant, id)).await?);
            }
        }
        // What leads to them from outside of the tenant goes before they do.
        while !self.directory.forget_numbers_of(tenant, PAGE).await? {
            if self.clock.now() >= until {
                return Ok(Worked::More);
            }
        }
        let own = PARTITIONS.iter().map(|name| format!("{tenant}/{name}"));
        for partition in own.chain([tenant.to_string()]) {
            loop {
                if self.clock.now() >= until {
                    return Ok(Worked::More);
                }
                let found = self.control.query(&partition, "", None, PAGE).await?;
                let is_last = found.len() < PAGE;
                let mut erased = 0;
                for (sort, item) in found {
                    if sort != ITSELF {
                        let key = ControlKey::new(partition.as_str(), sort);
                        // Written meanwhile: it is found again.
                        erased += u64::from(self.control.delete_if(&key, item.version).await?);
                    }
                }
                counts.items += erased;
                if is_last || erased == 0 {
                    break;
                }
            }
        }
        let Some(log) = &self.log else { return Ok(Worked::Over) };
        for kind in LOGS {
            loop {
                if self.clock.now() >= until {
                    return Ok(Worked::More);
                }
                match log.erase(tenant, kind, PAGE).await? {
                    0 => break,
                    erased => counts.records += erased,
                }
            }
        }
        Ok(Worked::Over)
    }

    /// Is it there, and not being erased? Nothing is made anew of one that is.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn is_kept(&self, tenant: TenantId) -> Result<bool, AdminError> {
        let stored = self.directory.tenant(tenant).await?;
        Ok(stored.is_some_and(|stored| stored.state != TenantState::Erasing))
    }

    /// Notes that the journal of an account is about to be erased. Somebody who has it open may put an entry behind the ones
    /// that are gone, or another head, and then nobody finds it but by this.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn note_erased_journal(&self, account: AccountKey) -> Result<(), AdminError> {
        self.write(&journal_key(account), &ErasedJournal, Expected::Any).await.map(drop)
    }

    /// Some of the accounts whose journals were erased.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn erased_journals(&self, tenant: TenantId) -> Result<Vec<AccountKey>, AdminError> {
        let found = self.control.query(&journals_of(tenant), "", None, PAGE).await?;
        let accounts = found.into_iter().filter_map(|(sort, _)| sort.parse::<AccountId>().ok());
        Ok(accounts.map(|account| AccountKey { tenant, account }).collect())
    }

    /// The journal of an account was erased once more, and nobody writes it any longer.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn forget_erased_journal(&self, account: AccountKey) -> Result<(), AdminError> {
        self.erase(&journal_key(account)).await.map(drop)
    }

    /// Would a pass that is begun at `began` be the last one? See [`Administration::end_erasing`].
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn is_last_pass(
        &self,
        tenant: TenantId,
        began: Timestamp,
        settles: i64,
    ) -> Result<bool, AdminError> {
        let erased = self.stored_ending(tenant).await?.and_then(|(item, _)| item.erased);
        Ok(erased.is_some_and(|erased| began >= erased.plus_millis(settles)))
    }

    /// Counts what was erased.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn count_erased(&self, tenant: TenantId, counts: ErasedCounts) -> Result<(), AdminError> {
        self.change_erased(tenant, |item| item.counts += counts).await
    }

    /// A pass over everything, begun at `began`, has come to its end. The tenant is forgotten by the first one that is begun
    /// `settles` milliseconds after the first of all was over; `true` if it is.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn end_erasing(
        &self,
        tenant: TenantId,
        began: Timestamp,
        settles: i64,
    ) -> Result<bool, AdminError> {
        let now = self.clock.now();
        let Some((item, _)) = self.stored_ending(tenant).await? else { return Ok(false) };
        match item.erased {
            None => {
                self.change_erased(tenant, |item| item.erased = Some(item.erased.unwrap_or(now))).await?;
                Ok(false)
            }
            Some(erased) if began < erased.plus_millis(settles) => Ok(false),
            Some(_) => {
                self.change_erased(tenant, |item| item.gone = Some(now)).await?;
                // When its chores were sent last.
                self.erase(&ControlKey::new("chores", format!("tenant/{tenant}"))).await?;
                self.directory.forget_tenant(tenant).await?;
                Ok(true)
            }
        }
    }

    /// Tenants that were erased and forgotten.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn erased_tenants(&self) -> Result<Vec<TenantId>, AdminError> {
        let (mut gone, mut after) = (Vec::new(), None::<String>);
        loop {
            let (some, next) = self.gone_tenants(after.as_deref()).await?;
            for tenant in some {
                // Somebody may have died between the two.
                if self.directory.tenant(tenant).await?.is_none() {
                    gone.push(tenant);
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(gone),
            }
        }
    }

    /// Items that are left of tenants that were forgotten: there should be none.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn left_of_erased(&self, erased: &[TenantId]) -> Result<Vec<(TenantId, String)>, AdminError> {
        let mut left = Vec::new();
        for tenant in erased {
            let own = PARTITIONS.iter().map(|name| format!("{tenant}/{name}"));
            for partition in own.chain([tenant.to_string(), journals_of(*tenant)]) {
                if !self.control.query(&partition, "", None, 1).await?.is_empty() {
                    left.push((*tenant, format!("items in {partition}")));
                }
            }
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    /// Names of partitions in a text: what follows a tenant's id in a string, to its end.
    fn named(text: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for begin in ["\"{tenant}/", "\"{}/", "\"{place}/"] {
            for (at, _) in text.match_indices(begin) {
                let rest = &text[at + begin.len()..];
                let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
                if !name.is_empty() && rest[name.len()..].starts_with('"') {
                    found.insert(name);
                }
            }
        }
        found
    }

    #[test]
    fn every_partition_of_a_tenant_is_known() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = Vec::new();
        for room in ["shared", "functions", "ingress", "pennypost"] {
            sources(&root.join(room), &mut files);
        }
        let is_program = |path: &PathBuf| {
            let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            parts.iter().any(|part| part == "src")
                && !parts.iter().any(|part| part == "tests" || part == "target")
        };
        let mut found = BTreeSet::new();
        for file in files.iter().filter(|path| is_program(path)) {
            found.extend(named(&std::fs::read_to_string(file).expect("a source")));
        }
        let known: BTreeSet<String> = PARTITIONS.iter().chain(KEPT).map(|name| (*name).to_owned()).collect();
        let unknown: Vec<&String> = found.difference(&known).collect();
        assert_eq!(unknown, Vec::<&String>::new(), "is it erased with its tenant?");
        let gone: Vec<&String> = known.difference(&found).collect();
        assert_eq!(gone, Vec::<&String>::new(), "nobody writes it any more");
    }
}
