//! What members and tenants have said about mail programs (CLI-04 to CLI-08, SND-16).
//!
//! A tenant's word and a member's are kept apart, and each may be silent. What opens the mailbox is open only if
//! neither has closed it: what an administrator closes, no member opens. How much of their mail programs see, and
//! whether POP3 may delete, is a member's own choice, for which the tenant's is the default.
//!
//! The words are a part of the tenant's and of the account's item, which a sign-in reads anyhow: they hold from the
//! next sign-in on and cost no further read.

use pennypost_model::{AccountKey, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{ClientProtocol, Directory, DirectoryError, MailReach, Standing};

/// How far back mail programs see (CLI-04), by the date on which a message was received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientRange {
    /// Everything.
    #[default]
    All,
    /// The last two years.
    TwoYears,
    /// The last year.
    Year,
    /// The last three months.
    ThreeMonths,
    /// The last 30 days.
    Month,
    /// The last seven days.
    Week,
}

impl ClientRange {
    const fn days(self) -> Option<i64> {
        // Of months and years the longest.
        match self {
            ClientRange::All => None,
            ClientRange::TwoYears => Some(731),
            ClientRange::Year => Some(366),
            ClientRange::ThreeMonths => Some(92),
            ClientRange::Month => Some(30),
            ClientRange::Week => Some(7),
        }
    }

    /// The first moment that it holds, seen from `now`: a midnight (UTC), so that all sessions of a day see the
    /// same. `None`: everything.
    #[must_use]
    pub fn since(self, now: Timestamp) -> Option<Timestamp> {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        let today = now.0.div_euclid(DAY);
        self.days().map(|days| Timestamp(today.saturating_sub(days).saturating_mul(DAY)))
    }
}

/// What one side has said about one protocol; `None` where it has said nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolSettings {
    /// It is open.
    pub open: Option<bool>,
    /// How far back it sees.
    pub range: Option<ClientRange>,
    /// It sees own folders.
    pub folders: Option<bool>,
    /// It sees the junk folder.
    pub junk: Option<bool>,
    /// How often the range was changed.
    pub(crate) range_changes: u32,
}

impl ProtocolSettings {
    fn note_change(&mut self, before: &ProtocolSettings) {
        let is_changed = self.range != before.range;
        self.range_changes = before.range_changes.saturating_add(u32::from(is_changed));
    }
}

/// What one side has said; `None` where it has said nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSettings {
    /// About IMAP.
    pub imap: ProtocolSettings,
    /// About POP3.
    pub pop3: ProtocolSettings,
    /// The password opens the mailbox; if not, only tokens do.
    pub passwords: Option<bool>,
    /// What a POP3 client deletes is deleted.
    pub pop3_deletes: Option<bool>,
    /// What a mail program sends is kept in Sent.
    pub sent_copies: Option<bool>,
}

/// As stored before mail programs could send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientSettingsV1 {
    pub(crate) imap: ProtocolSettings,
    pub(crate) pop3: ProtocolSettings,
    pub(crate) passwords: Option<bool>,
    pub(crate) pop3_deletes: Option<bool>,
}

impl ClientSettingsV1 {
    pub(crate) const fn upgraded(self) -> ClientSettings {
        let ClientSettingsV1 { imap, pop3, passwords, pop3_deletes } = self;
        ClientSettings { imap, pop3, passwords, pop3_deletes, sent_copies: None }
    }
}

impl ClientSettings {
    /// Those that say what others say, to be put in the place of these.
    #[must_use]
    pub fn saying(&self, others: &ClientSettings) -> ClientSettings {
        let mut changed = *self;
        changed.change(|settings| {
            let (imap, pop3) = (settings.imap.range_changes, settings.pop3.range_changes);
            *settings = *others;
            (settings.imap.range_changes, settings.pop3.range_changes) = (imap, pop3);
        });
        changed
    }

    /// Changes them.
    pub(crate) fn change(&mut self, change: impl Fn(&mut ClientSettings)) {
        let before = *self;
        change(self);
        self.imap.note_change(&before.imap);
        self.pop3.note_change(&before.pop3);
    }
}

/// What holds for one protocol of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolRules {
    /// It is open.
    pub open: bool,
    /// How far back it sees.
    pub range: ClientRange,
    /// It sees own folders.
    pub folders: bool,
    /// It sees the junk folder.
    pub junk: bool,
    /// How often the range was changed: messages may have come to light that lie before others that a program
    /// knows.
    pub range_changes: u32,
}

impl ProtocolRules {
    fn of(tenant: &ProtocolSettings, account: &ProtocolSettings, sees_folders: bool) -> ProtocolRules {
        ProtocolRules {
            open: is_open(tenant.open, account.open),
            range: account.range.or(tenant.range).unwrap_or_default(),
            folders: account.folders.or(tenant.folders).unwrap_or(sees_folders),
            junk: account.junk.or(tenant.junk).unwrap_or(sees_folders),
            range_changes: tenant.range_changes.saturating_add(account.range_changes),
        }
    }

    /// Does a session that began by these rules see what one sees that begins by the others?
    #[must_use]
    pub fn sees_as(&self, others: &ProtocolRules) -> bool {
        ProtocolRules { open: others.open, ..*self } == *others
    }
}

/// What holds for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientRules {
    /// For IMAP.
    pub imap: ProtocolRules,
    /// For POP3: without a word the Inbox alone.
    pub pop3: ProtocolRules,
    /// The password opens the mailbox; if not, only tokens do.
    pub passwords: bool,
    /// What a POP3 client deletes is deleted.
    pub pop3_deletes: bool,
    /// What a mail program sends is kept in Sent (SND-16, CLI-07).
    pub sent_copies: bool,
    /// To whom its owner may send (ORG-07), if the operator has not blocked it (TEN-10).
    pub send: MailReach,
}

fn is_open(tenant: Option<bool>, account: Option<bool>) -> bool {
    tenant != Some(false) && account != Some(false)
}

impl ClientRules {
    pub(crate) fn of(tenant: &ClientSettings, account: &ClientSettings) -> ClientRules {
        ClientRules {
            imap: ProtocolRules::of(&tenant.imap, &account.imap, true),
            pop3: ProtocolRules::of(&tenant.pop3, &account.pop3, false),
            passwords: is_open(tenant.passwords, account.passwords),
            pop3_deletes: account.pop3_deletes.or(tenant.pop3_deletes).unwrap_or(true),
            sent_copies: account.sent_copies.or(tenant.sent_copies).unwrap_or(true),
            send: MailReach::default(),
        }
    }

    /// Is the protocol open? Sending is opened and closed with those that fetch (CLI-08): who has one of them may send.
    #[must_use]
    pub const fn opens(&self, protocol: ClientProtocol) -> bool {
        match protocol {
            ClientProtocol::Imap => self.imap.open,
            ClientProtocol::Pop3 => self.pop3.open,
            ClientProtocol::Smtp => self.imap.open || self.pop3.open,
        }
    }

    /// May a session with this standing speak this protocol?
    pub(crate) fn admit(&self, standing: &Standing, protocol: ClientProtocol) -> bool {
        self.opens(protocol) && (self.passwords || !standing.is_by_password())
    }
}

impl Directory {
    /// What holds for mail programs of an account.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::NoTenant`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn client_rules(&self, key: AccountKey) -> Result<ClientRules, DirectoryError> {
        let tenant = self.tenant(key.tenant).await?;
        let tenant = tenant.ok_or_else(|| DirectoryError::NoTenant(key.tenant.to_string()))?;
        let account = self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        Ok(ClientRules::of(&tenant.clients, &account.clients).limited(&tenant, &account))
    }

    /// Changes what an account says; `change` may be called several times, each time with what is stored then.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::Contended`], or the port's.
    pub async fn change_client_settings(
        &self,
        key: AccountKey,
        change: impl Fn(&mut ClientSettings),
    ) -> Result<(), DirectoryError> {
        self.change_account(key, |account| account.clients.change(&change)).await
    }

    /// Changes what a tenant says.
    ///
    /// # Errors
    /// [`DirectoryError::NoTenant`], [`DirectoryError::Contended`], or the port's.
    pub async fn change_tenant_client_settings(
        &self,
        tenant: TenantId,
        change: impl Fn(&mut ClientSettings),
    ) -> Result<(), DirectoryError> {
        self.change_tenant(tenant, |stored| stored.clients.change(&change)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(word: bool) -> ClientSettings {
        let (passwords, pop3_deletes, sent_copies) = (Some(word), Some(word), Some(word));
        let mut settings = ClientSettings { passwords, pop3_deletes, sent_copies, ..silent() };
        settings.change(|settings| {
            for protocol in [&mut settings.imap, &mut settings.pop3] {
                let range = if word { ClientRange::Year } else { ClientRange::Week };
                (protocol.open, protocol.folders, protocol.junk) = (Some(word), Some(word), Some(word));
                protocol.range = Some(range);
            }
        });
        settings
    }

    fn silent() -> ClientSettings {
        ClientSettings::default()
    }

    #[test]
    fn what_a_tenant_closes_no_member_opens() {
        for (tenant, account, expected) in [
            (silent(), silent(), true),
            (silent(), says(false), false),
            (says(false), silent(), false),
            (says(false), says(true), false),
            (says(true), says(false), false),
            (says(true), says(true), true),
        ] {
            let rules = ClientRules::of(&tenant, &account);
            let open = (rules.imap.open, rules.pop3.open, rules.passwords);
            assert_eq!(open, (expected, expected, expected), "{tenant:?} {account:?}");
            assert_eq!(rules.opens(ClientProtocol::Smtp), expected);
        }
    }

    #[test]
    fn who_may_fetch_in_some_way_may_send() {
        for (imap, pop3) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut tenant = silent();
            (tenant.imap.open, tenant.pop3.open) = (Some(imap), Some(pop3));
            assert_eq!(ClientRules::of(&tenant, &silent()).opens(ClientProtocol::Smtp), imap || pop3);
        }
    }

    #[test]
    fn copies_are_kept_unless_somebody_says_otherwise() {
        for (tenant, account, expected) in [
            (silent(), silent(), true),
            (says(false), silent(), false),
            (says(false), says(true), true),
            (says(true), says(false), false),
        ] {
            assert_eq!(ClientRules::of(&tenant, &account).sent_copies, expected);
        }
    }

    #[test]
    fn what_is_seen_is_the_members_choice() {
        let seen = |tenant, account| {
            let rules = ClientRules::of(&tenant, &account);
            let of = |rules: ProtocolRules| (rules.range, rules.folders, rules.junk);
            (of(rules.imap), of(rules.pop3), rules.pop3_deletes)
        };
        let yes = (ClientRange::Year, true, true);
        let no = (ClientRange::Week, false, false);
        let untold = ((ClientRange::All, true, true), (ClientRange::All, false, false), true);
        assert_eq!(seen(silent(), silent()), untold);
        assert_eq!(seen(says(false), silent()), (no, no, false));
        assert_eq!(seen(says(false), says(true)), (yes, yes, true));
        assert_eq!(seen(says(true), says(false)), (no, no, false));
    }

    #[test]
    fn changes_of_the_range_are_counted() {
        let mut account = says(true);
        account.change(|settings| settings.imap.folders = Some(false));
        account.change(|settings| settings.imap.range = Some(ClientRange::Year));
        assert_eq!((account.imap.range_changes, account.pop3.range_changes), (1, 1));
        account.change(|settings| *settings = ClientSettings::default());
        assert_eq!((account.imap.range_changes, account.imap.range), (2, None));
        assert_eq!(ClientRules::of(&says(true), &account).imap.range_changes, 3);
    }

    #[test]
    fn ranges_begin_at_midnight() {
        // 2026-11-21T06:25:22Z
        let now = Timestamp(1_795_242_322_000);
        assert_eq!(ClientRange::All.since(now), None);
        assert_eq!(
            ClientRange::Week.since(now).map(Timestamp::rfc3339).as_deref(),
            Some("2026-11-14T00:00:00.000Z")
        );
        assert_eq!(
            ClientRange::Year.since(now).map(Timestamp::rfc3339).as_deref(),
            Some("2025-11-20T00:00:00.000Z")
        );
        assert_eq!(ClientRange::Week.since(Timestamp(i64::MIN)).map(|since| since.0), Some(i64::MIN));
    }
}
