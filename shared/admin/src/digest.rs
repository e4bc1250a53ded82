//! Once a day members who want it are told what suspected spam lies in quarantine for them, each letter once, with a link that
//! releases it (RCV-11), and what went to Junk, which POP3 does not fetch (RCV-12). If the process dies while a summary is written it is written once more, under the same id, and comes once.
//!
//! A link holds tenant, account, letter and the time until which it is good, sealed: nobody can make one who has not the keys of the installation, and it opens
//! nothing else. Looking at it does nothing, since programs open links in letters on their own: it is a page with a button. Letters with a
//! virus are not told of here: their recipients were told when they came, and only administrators release them.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pennypost_directory::{Account, DigestWish, MailAddress, Page, QuarantineTold};
use pennypost_model::codec::{Versioned, decode, encode};
use pennypost_model::scan::HeldFor;
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp};
use pennypost_ports::PortError;
use pennypost_quarantine::{HeldLetter, HeldState};
use pennypost_text::{plain, say};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::action::Action;
use crate::call::{About, Call};
use crate::mail::SeenLetter;
use crate::notices::{Notice, NoticePlace, NoticeSent, both};
use crate::operations::{By, Entry, Origin, Outcome};
use crate::{AdminError, Administration};

/// Accounts that are looked after at once.
const PAGE: usize = 200;
/// Letters that a summary tells of; of the others, how many.
const MOST_TOLD: usize = 100;
/// What is younger is not told yet: what others write at the same time may be seen a little later, and their clocks differ.
const SETTLED_MS: i64 = 600_000;
/// What came longer ago is not told by the first summary of Junk.
const DAY_MS: i64 = 86_400_000;
/// What the ids of summaries have beside the time and the account.
const ID_BASE: u128 = 0xd16e57 << 56;
/// For which place links are sealed.
const SEALED_FOR: &str = "quarantine-release";
/// Bytes of a link's last part at most.
const MAX_LINK: usize = 1_024;

/// What there is to tell.
#[derive(Default)]
struct News {
    /// In quarantine.
    kept: Vec<HeldLetter>,
    /// In Junk: the newest, and how many there are.
    junk: Vec<SeenLetter>,
    all_junk: usize,
}

impl News {
    const fn is_none(&self) -> bool {
        self.kept.is_empty() && self.all_junk == 0
    }
}

/// What a summary says of Junk.
fn junk(address: &str, news: &News) -> String {
    let count = news.all_junk;
    let mut text = both(|text| say!(text, "digest-junk-head", address = address, count = count), "\n\n");
    text.push('\n');
    for letter in &news.junk {
        let (from, subject) = (plain(&letter.card.from.address, 320), plain(&letter.card.subject, 200));
        text.push_str(&format!("\n{}  {from}\n  {subject}\n", letter.time.rfc5322()));
    }
    if count > news.junk.len() {
        let more = count - news.junk.len();
        text.push('\n');
        text.push_str(&both(|text| say!(text, "digest-more", more = more), "\n"));
    }
    text
}

/// What a link releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    account: AccountKey,
    letter: EventId,
    until: Timestamp,
}

impl Versioned for Link {
    const KIND: &'static str = "link to a letter in quarantine";
}

impl Administration {
    /// Of what an account wants a summary.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn quarantine_digest(&self, call: &Call, key: AccountKey) -> Result<DigestWish, AdminError> {
        self.seen(call, Action::QuarantineRead, key).await?;
        Ok(self.directory.wants_quarantine_digest(key).await?)
    }

    /// Says of what it wants one.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_quarantine_digest(
        &self,
        call: &Call,
        key: AccountKey,
        wish: DigestWish,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::QuarantineDigest, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let said = json!({ "enabled": wish.quarantine, "junk": wish.junk });
        let about = About { object: &address, ..about }.to(said);
        self.act(call, &about, self.directory.want_quarantine_digest(key, wish)).await
    }

    /// Tells those who want it what has come into quarantine for them, or into Junk, since they were told last; how many were told. What is
    /// younger than [`SETTLED_MS`] is told next time. Whose items are damaged is in nobody else's way.
    ///
    /// # Errors
    /// [`AdminError`]; who was told before it stays so, and the others are by the next run.
    #[pennypost_ports::compiled_here]
    pub async fn send_quarantine_digests(&self, tenant: TenantId) -> Result<usize, AdminError> {
        let (mut told, mut page) = (0, Page { after: None, limit: PAGE });
        loop {
            let listed = self.directory.quarantine_digests(tenant, &page).await?;
            for (key, wish, before) in listed.items {
                match self.send_quarantine_digest(key, wish, before).await {
                    Ok(is_told) => told += usize::from(is_told),
                    Err(error) if error.is_temporary() => return Err(error),
                    Err(error) => tracing::warn!(account = %key, %error, "a summary did not go"),
                }
            }
            page.after = listed.next;
            if page.after.is_none() {
                return Ok(told);
            }
        }
    }

    async fn send_quarantine_digest(
        &self,
        key: AccountKey,
        wish: DigestWish,
        before: QuarantineTold,
    ) -> Result<bool, AdminError> {
        let now = self.clock.now();
        let Some(account) = self.directory.account(key).await?.filter(|account| account.is_open(now)) else {
            return Ok(false);
        };
        // One that is perhaps written already is written once more, of the same time.
        let until = before.telling.unwrap_or(now.plus_millis(-SETTLED_MS));
        let (mut news, mut page) = (News::default(), Page { after: None, limit: PAGE });
        if let Some(mail) = self.mail.as_ref().filter(|_| wish.junk) {
            let since = before.told.unwrap_or(until.plus_millis(-DAY_MS));
            (news.junk, news.all_junk) = mail.junk_letters(key, (since, until), MOST_TOLD).await?;
        }
        let mut is_looking = wish.quarantine;
        while is_looking {
            let found = self.account_quarantine(&Call::of_operator(), key, &page).await?;
            let is_news = |held: &HeldLetter| {
                let is_spam = held.held_for == HeldFor::Spam && held.state == HeldState::Held;
                is_spam && held.kept <= until && before.told.is_none_or(|told| held.kept > told)
            };
            news.kept.extend(found.items.into_iter().filter(is_news));
            page.after = found.next;
            is_looking = page.after.is_some();
        }
        if news.is_none() && before.telling.is_none() {
            return Ok(false);
        }
        if !self.directory.begin_quarantine_digest(key, before, until).await? {
            return Ok(false);
        }
        let is_told = !news.is_none() && self.write_digest(&account, until, &news).await?;
        self.directory.end_quarantine_digest(key, before, until).await?;
        Ok(is_told)
    }

    /// Writes a summary, under an id that is the account's and that time's alone; `false` if the account takes no letters.
    async fn write_digest(
        &self,
        account: &Account,
        until: Timestamp,
        news: &News,
    ) -> Result<bool, AdminError> {
        let (key, to) = (account.key, account.address.to_string());
        let id = EventId::from_parts(until, ID_BASE | u128::from(key.account.0));
        let (subject, mut text) = match news.kept.len() {
            0 => {
                let subject = both(|text| say!(text, "digest-junk-subject", count = news.all_junk), " / ");
                (subject, String::new())
            }
            _ => self.digest(&account.address, &news.kept).await?,
        };
        if news.all_junk > 0 {
            text.push_str(if text.is_empty() { "" } else { "\n\n" });
            text.push_str(&junk(&to, news));
        }
        let domain = to.rsplit('@').next().unwrap_or_default();
        let place = NoticePlace::Mailbox(key);
        let notice = Notice { domain, to: &to, place, subject: &subject, text: &text };
        Ok(self.send_notice_as(id, &notice).await? == NoticeSent::Sent)
    }

    async fn digest(
        &self,
        address: &MailAddress,
        news: &[HeldLetter],
    ) -> Result<(String, String), AdminError> {
        let (count, address) = (news.len(), address.to_string());
        let subject = both(|text| say!(text, "digest-subject", count = count), " / ");
        let pages = match self.said_service().await {
            Ok(service) => service.web.filter(|_| self.secrets.is_some()),
            Err(AdminError::Conflict(_)) => None,
            Err(error) => return Err(error),
        };
        let mut text =
            both(|text| say!(text, "digest-head", address = address.as_str(), count = count), "\n\n");
        text.push_str("\n\n");
        text.push_str(&match &pages {
            Some(_) => both(|text| say!(text, "digest-links"), "\n"),
            // Where there are no pages it is released where mail is administered.
            None => both(|text| say!(text, "digest-no-links"), "\n"),
        });
        text.push('\n');
        for held in news.iter().take(MOST_TOLD) {
            let from = if held.from.address.is_empty() { &held.reverse_path } else { &held.from.address };
            text.push_str(&format!(
                "\n{}  {}\n  {}\n",
                held.accepted.rfc5322(),
                plain(from, 320),
                plain(&held.subject, 200)
            ));
            if let Some(pages) = &pages {
                let link = Link { account: held.account, letter: held.letter, until: held.expires() };
                let sealed = self.secrets()?.seal(SEALED_FOR, &encode(&link)).await?;
                text.push_str(&format!(
                    "  https://{pages}/quarantine/{}\n",
                    BASE64_URL_SAFE_NO_PAD.encode(sealed)
                ));
            }
        }
        if count > MOST_TOLD {
            let more = count - MOST_TOLD;
            text.push('\n');
            text.push_str(&both(|text| say!(text, "digest-more", more = more), "\n"));
        }
        Ok((subject, text))
    }

    /// What a link releases, as it stands now.
    async fn behind_link(&self, text: &str) -> Result<HeldLetter, AdminError> {
        let missing = || AdminError::NotFound("letter");
        if text.len() > MAX_LINK {
            return Err(missing());
        }
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| missing())?;
        let opened = match self.secrets()?.open(SEALED_FOR, &sealed).await {
            Ok(opened) => opened,
            // What nobody here has sealed.
            Err(PortError::NotFound { .. } | PortError::Damaged { .. } | PortError::Refused { .. }) => {
                return Err(missing());
            }
            Err(error) => return Err(error.into()),
        };
        let link: Link = decode(&opened).map_err(|_| missing())?;
        if link.until <= self.clock.now() {
            return Err(missing());
        }
        // Nothing goes to an account that is closed, or gone, by now.
        let account = self.directory.account(link.account).await?;
        account.filter(|account| account.is_open(self.clock.now())).ok_or_else(missing)?;
        let held = self.held(link.account, link.letter).await?;
        if held.held_for == HeldFor::Spam { Ok(held) } else { Err(missing()) }
    }

    /// The letter that a link of a summary releases. Looking does nothing.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for what is no such link, or one that is over.
    #[pennypost_ports::compiled_here]
    pub async fn letter_behind_link(&self, text: &str) -> Result<HeldLetter, AdminError> {
        self.behind_link(text).await
    }

    /// Releases it. Once more comes to the same.
    ///
    /// # Errors
    /// As for [`Administration::letter_behind_link`].
    #[pennypost_ports::compiled_here]
    pub async fn release_by_link(
        &self,
        text: &str,
        client: Option<IpAddr>,
    ) -> Result<HeldLetter, AdminError> {
        let held = self.behind_link(text).await?;
        if matches!(held.state, HeldState::Released { .. }) {
            return Ok(held);
        }
        // Whoever has the link reads the mailbox; who it is was not shown.
        let entry = Entry {
            by: By::Invited { invitation: None },
            origin: Origin::Api(client),
            action: Action::QuarantineRelease.name().to_owned(),
            object: held.address.clone(),
            before: Some(json!({ "letter": held.letter.to_string(), "by": "link" }).to_string()),
            after: None,
            outcome: Outcome::Ordered,
        };
        let tenant = held.account.tenant;
        let of = self.append(Some(tenant), entry.clone()).await?;
        match self.release_held(held.account, held.letter).await {
            Ok(held) => Ok(held),
            Err(error) => {
                let outcome = Outcome::Failed { of, cause: error.to_string() };
                self.append(Some(tenant), Entry { after: None, outcome, ..entry }).await?;
                Err(error)
            }
        }
    }
}
