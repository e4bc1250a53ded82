//! What members are told by a letter into their mailboxes that others have done: who may use a business mailbox from now on
//! (BIZ-02, NTF-09), who would like to be one's secretary, and what became of one's own wish (DLG-02); and that a password
//! expires soon (AUT-12).
//!
//! What a letter tells is done when it is written. So a letter that can't be written is no failure of what it tells: it is in
//! the program's log. If the process dies before it is in the queue, there is none.

use std::collections::{BTreeMap, BTreeSet};

use pennypost_directory::{Account, DepartmentId, MailAddress, MailboxUsers, Page, Secretary};
use pennypost_model::event::{Recipient, SourceKind, Via};
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_text::say;

use crate::notices::{Envelope, Notice, NoticePlace, NoticeSent, both};
use crate::{AdminError, Administration};

/// Recipients of one letter, whose event is to stay small.
const RECIPIENTS: usize = 500;
/// Users of a business mailbox that are told. Of more it is the administrator's to tell them.
const MOST_TOLD: usize = 5_000;
/// People of a department that are read at once.
const PAGE: usize = 500;

fn domain_of(address: &str) -> &str {
    address.rsplit('@').next().unwrap_or_default()
}

/// What a letter calls somebody.
fn named(account: &Account) -> String {
    let address = account.address.to_string();
    match account.display_name.as_str() {
        "" => address,
        name => format!("{name} <{address}>"),
    }
}

impl Administration {
    /// Writes to the own mailbox of an account.
    async fn write_to(&self, key: AccountKey, to: &MailAddress, subject: &str, text: &str) {
        // Where there is no queue nobody is told anything.
        if self.workshop.is_none() {
            return;
        }
        if let Err(error) = self.try_to_write_to(key, to, subject, text).await {
            tracing::warn!(account = %key, %error, "a notice did not go");
        }
    }

    /// The same; was it written?
    async fn try_to_write_to(
        &self,
        key: AccountKey,
        to: &MailAddress,
        subject: &str,
        text: &str,
    ) -> Result<bool, AdminError> {
        let to = to.to_string();
        let place = NoticePlace::Mailbox(key);
        let notice = Notice { domain: domain_of(&to), to: &to, place, subject, text };
        let is_sent = self.send_notice(&notice).await? == NoticeSent::Sent;
        if !is_sent {
            tracing::info!(account = %key, "the account takes no letters");
        }
        Ok(is_sent)
    }

    /// Tells the account itself by which mobile number it signs in from now on: whoever has not said it learns so.
    pub(crate) async fn tell_of_mobile(&self, key: AccountKey, login: &str, number: Option<&str>) {
        let Ok(to) = MailAddress::parse(login) else { return };
        let subject = both(|text| say!(text, "letter-mobile-subject"), " / ");
        let body = both(
            |text| match number {
                Some(number) => say!(text, "letter-mobile-set", login = login, number = number),
                None => say!(text, "letter-mobile-removed", login = login),
            },
            "\n\n",
        );
        self.write_to(key, &to, &subject, &body).await;
    }

    /// Tells members of a tenant whose passwords expire soon, each once of each end (AUT-12); how many.
    ///
    /// # Errors
    /// [`AdminError`]; who was told before it stays so.
    #[pennypost_ports::compiled_here]
    pub async fn remind_of_passwords(&self, tenant: TenantId) -> Result<usize, AdminError> {
        // Where no letters go nobody is to count as told.
        self.workshop()?;
        let (mut told, mut page) = (0, Page { after: None, limit: PAGE });
        loop {
            let listed = self.directory.expiring_passwords(tenant, &page).await?;
            for (account, expires) in listed.items {
                if !self.directory.note_password_reminder(account.key, expires).await? {
                    continue;
                }
                let (login, end) = (account.address.to_string(), expires.rfc5322());
                let subject = both(|text| say!(text, "letter-password-expires-subject"), " / ");
                let body = both(
                    |text| {
                        let (login, end) = (login.as_str(), end.as_str());
                        say!(text, "letter-password-expires", login = login, end = end)
                    },
                    "\n\n",
                );
                match self.try_to_write_to(account.key, &account.address, &subject, &body).await {
                    Ok(is_sent) => told += usize::from(is_sent),
                    Err(error) if !error.is_temporary() => {
                        tracing::warn!(account = %account.key, %error, "a notice did not go");
                    }
                    Err(error) => {
                        // He and those after him are told by the next run.
                        self.directory.take_back_password_reminder(account.key, expires).await?;
                        return Err(error);
                    }
                }
            }
            page.after = listed.next;
            if page.after.is_none() {
                return Ok(told);
            }
        }
    }

    /// Tells those who use a business mailbox from now on.
    pub(crate) async fn tell_users(&self, mailbox: &Account, users: &MailboxUsers) {
        if self.workshop.is_none() || users.is_empty() {
            return;
        }
        if let Err(error) = self.write_to_users(mailbox, users).await {
            tracing::warn!(account = %mailbox.key, %error, "users of a business mailbox were not told");
        }
    }

    /// The own addresses of those who are meant, each once.
    async fn addresses_of(
        &self,
        mailbox: &Account,
        users: &MailboxUsers,
    ) -> Result<BTreeMap<AccountId, MailAddress>, AdminError> {
        let (tenant, directory) = (mailbox.key.tenant, &self.directory);
        let mut found = BTreeMap::new();
        for account in &users.accounts {
            let key = AccountKey { tenant, account: *account };
            if let Some(account) = directory.account(key).await?.filter(|one| one.is_open(self.clock.now())) {
                found.insert(account.key.account, account.address);
            }
        }
        let mut departments = BTreeSet::new();
        if !users.departments.is_empty() {
            let tree = directory.departments(tenant).await?;
            departments.extend(users.departments.iter().flat_map(|id| tree.within(*id)));
            if users.departments.contains(&DepartmentId::ROOT) {
                departments.insert(DepartmentId::ROOT);
            }
        }
        'departments: for department in departments {
            let mut page = Page { after: None, limit: PAGE };
            loop {
                let listed = directory.members(tenant, department, &page).await?;
                let active = listed.items.into_iter().filter(|person| person.is_active);
                found.extend(active.map(|person| (person.account, person.address)));
                page.after = listed.next;
                if found.len() >= MOST_TOLD {
                    break 'departments;
                }
                if page.after.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }

    async fn write_to_users(&self, mailbox: &Account, users: &MailboxUsers) -> Result<(), AdminError> {
        let found = self.addresses_of(mailbox, users).await?;
        let address = mailbox.address.to_string();
        let name = if mailbox.display_name.is_empty() { &address } else { &mailbox.display_name };
        let subject = both(|text| say!(text, "letter-business-subject", name = name.as_str()), " / ");
        let body = both(
            |text| {
                let (name, address) = (name.as_str(), address.as_str());
                say!(text, "letter-business", name = name, address = address)
            },
            "\n\n",
        );
        let tenant = mailbox.key.tenant;
        let mut recipients = found.into_iter().take(MOST_TOLD).map(|(account, address)| Recipient {
            account: AccountKey { tenant, account },
            address: address.to_string(),
            via: Via::Direct,
        });
        loop {
            let some: Vec<Recipient> = recipients.by_ref().take(RECIPIENTS).collect();
            if some.is_empty() {
                return Ok(());
            }
            // Who else is told is nobody's business.
            let to = "undisclosed-recipients:;";
            let envelope = Envelope { tenant, recipients: some, kind: SourceKind::System };
            self.post((domain_of(&address), to), (&subject, &body), envelope).await?;
        }
    }

    /// Tells a member that a colleague would like to be his secretary.
    pub(crate) async fn tell_of_application(&self, owner: &Account, applicant: &Account) {
        // He may take it back and say it again as often as he likes; the owner finds it where wishes are.
        match self.directory.count_wish_letter(applicant.key).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(account = %owner.key, %error, "a notice did not go");
                return;
            }
        }
        let subject = both(|text| say!(text, "letter-secretary-wish-subject"), " / ");
        let body = both(
            |text| {
                let who = named(applicant);
                say!(text, "letter-secretary-wish", who = who)
            },
            "\n\n",
        );
        self.write_to(owner.key, &owner.address, &subject, &body).await;
    }

    /// Tells a colleague what a member has answered: what he is from now on, or that it is no.
    pub(crate) async fn tell_of_answer(
        &self,
        owner: &Account,
        secretary: &Account,
        entry: Option<&Secretary>,
    ) {
        let granted = entry.and_then(|entry| entry.granted);
        let subject = both(
            |text| match granted {
                Some(_) => say!(text, "letter-secretary-granted-subject"),
                None => say!(text, "letter-secretary-refused-subject"),
            },
            " / ",
        );
        let body = both(
            |text| {
                let who = named(owner);
                match granted {
                    Some(granted) => {
                        let until = granted.until.rfc5322();
                        say!(text, "letter-secretary-granted", who = who, until = until)
                    }
                    None => say!(text, "letter-secretary-refused", who = who),
                }
            },
            "\n\n",
        );
        self.write_to(secretary.key, &secretary.address, &subject, &body).await;
    }
}
