//! How many messages go: to a number, for a member, of a tenant on a day; and how many sign up.

use std::net::IpAddr;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{DAY, MINUTE, MobileNumber};
use crate::store::MAX_ATTEMPTS;
use crate::throttle::{network, site};
use crate::{Directory, DirectoryError, MailAddress};

/// Messages to one number: within how long, and how many.
const OF_NUMBER: [(i64, usize); 2] = [(10 * MINUTE, 3), (DAY, 10)];
/// Messages that a member has sent to whatever numbers he says to be his, letters with an invitation of one, and letters that
/// tell others what one wishes for.
const OF_ACCOUNT: [(i64, usize); 2] = [(60 * MINUTE, 3), (DAY, 10)];
/// Sign-ups that begin from one network.
const OF_NETWORK: [(i64, usize); 2] = [(60 * MINUTE, 10), (DAY, 30)];
/// Those from a site with many networks.
const OF_SITE: [(i64, usize); 2] = [(60 * MINUTE, 20), (DAY, 60)];
/// Letters with invitations that a tenant sends on a day.
const LETTERS_PER_DAY: u32 = 10_000;
/// Old counts that are looked at for each message, so that they do not pile up.
const SWEEP: usize = 2;

/// Who has a text message sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmsAsker {
    /// Whoever may have messages sent to members.
    Administrator,
    /// A member, to a number that is to be his.
    Member(AccountId),
    /// A member who has shown his password, to the number that he has proved: what strangers have sent there takes nothing from
    /// him.
    Owner(AccountId),
    /// Somebody who has shown nothing yet. All of them have half of what the tenant sends on a day.
    Stranger,
}

/// When messages went to a number.
#[derive(Default, Serialize, Deserialize)]
struct SentItem(Vec<Timestamp>);

impl Versioned for SentItem {
    const KIND: &'static str = "text messages of a number";
}

/// How many messages a tenant has sent on a day.
#[derive(Default, Serialize, Deserialize)]
struct DayItem {
    day: i64,
    count: u32,
    /// Those for which strangers asked.
    strangers: u32,
}

impl DayItem {
    /// May another one go? Strangers have half of the day: they leave the rest to members and administrators.
    fn one_more(&mut self, now: Timestamp, most: u32, is_strangers: bool) -> bool {
        let today = now.0.div_euclid(DAY);
        if self.day != today {
            *self = DayItem { day: today, ..DayItem::default() };
        }
        let may = self.count < most && !(is_strangers && self.strangers >= most.div_ceil(2));
        self.count += u32::from(may);
        self.strangers += u32::from(may && is_strangers);
        may
    }
}

impl Versioned for DayItem {
    const KIND: &'static str = "text messages of a day";
}

fn sms_partition(tenant: TenantId) -> String {
    format!("{tenant}/sms")
}

/// May another message go now? Forgets what does not matter any more.
fn another(sent: &mut Vec<Timestamp>, now: Timestamp, limits: &[(i64, usize)]) -> bool {
    let within = |time: &Timestamp, span: i64| now.0.saturating_sub(time.0) < span;
    sent.retain(|time| within(time, DAY));
    let is_full =
        |(span, most): &(i64, usize)| sent.iter().filter(|time| within(time, *span)).count() >= *most;
    if limits.iter().any(is_full) {
        return false;
    }
    sent.push(now);
    true
}

impl Directory {
    /// Notes that a message is to go to a number; `false` if as many went to it, for whoever asks, or of the tenant, as may.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn count_sms(
        &self,
        tenant: TenantId,
        number: &MobileNumber,
        asker: SmsAsker,
        most_per_day: u32,
    ) -> Result<bool, DirectoryError> {
        if let SmsAsker::Member(account) = asker
            && !self.count_for(tenant, ("a", &format!("a{account}")), &OF_ACCOUNT).await?
        {
            return Ok(false);
        }
        let may = match asker {
            SmsAsker::Owner(account) => {
                self.count_for(tenant, ("o", &format!("o{account}")), &OF_NUMBER).await?
            }
            SmsAsker::Administrator | SmsAsker::Member(_) | SmsAsker::Stranger => {
                self.count_for(tenant, ("+", number.as_str()), &OF_NUMBER).await?
            }
        };
        if !may {
            return Ok(false);
        }
        let (now, is_strangers) = (self.clock.now(), asker == SmsAsker::Stranger);
        let of_day = ControlKey::new(sms_partition(tenant), "day");
        self.count_in::<DayItem>(&of_day, |item| item.one_more(now, most_per_day, is_strangers)).await
    }

    /// Notes that a letter with an invitation of a member is to go; `false` if as many went for him, or of the tenant, as may.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn count_invitation_letter(&self, key: AccountKey) -> Result<bool, DirectoryError> {
        if !self.count_for(key.tenant, ("i", &format!("i{}", key.account)), &OF_ACCOUNT).await? {
            return Ok(false);
        }
        self.count_letter_of_day(key.tenant).await
    }

    /// Notes that an invitation goes out by a letter that no member is counted for; `false` if as many went as may on one day.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn count_letter_of_day(&self, tenant: TenantId) -> Result<bool, DirectoryError> {
        let now = self.clock.now();
        let of_day = ControlKey::new(sms_partition(tenant), "letters");
        self.count_in::<DayItem>(&of_day, |item| item.one_more(now, LETTERS_PER_DAY, false)).await
    }

    /// Notes that somebody is to be told by a letter of a wish of this member; `false` if as many went as may.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn count_wish_letter(&self, key: AccountKey) -> Result<bool, DirectoryError> {
        self.count_for(key.tenant, ("w", &format!("w{}", key.account)), &OF_ACCOUNT).await
    }

    /// Notes that somebody at `client` begins to sign up, to whom a letter goes, or a message; `false` if as many have begun from
    /// there, with that address, or on this day, as may.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn count_sign_up(
        &self,
        tenant: TenantId,
        client: IpAddr,
        mail: Option<&MailAddress>,
        most_per_day: u32,
    ) -> Result<bool, DirectoryError> {
        let (now, of_day) = (self.clock.now(), ControlKey::new(sms_partition(tenant), "sign-ups"));
        // Looked at first, so that nothing is written for those that come too late, and counted last, so that those that are
        // refused take nothing from others.
        let held = self.read::<DayItem>(&of_day, Consistency::Strong).await?;
        if !held.map(|held| held.value).unwrap_or_default().one_more(now, most_per_day, false) {
            return Ok(false);
        }
        if !self.count_for(tenant, ("n", &format!("n{}", network(client))), &OF_NETWORK).await? {
            return Ok(false);
        }
        if let Some(site) = site(client)
            && !self.count_for(tenant, ("n", &format!("n{site}")), &OF_SITE).await?
        {
            return Ok(false);
        }
        if let Some(address) = mail {
            // Tags are the same mailbox.
            let address = address.without_tag().unwrap_or_else(|| address.clone());
            let digest = Sha256::digest(address.to_string().as_bytes());
            let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            if !self.count_for(tenant, ("m", &format!("m{digits}")), &OF_NUMBER).await? {
                return Ok(false);
            }
        }
        self.count_in::<DayItem>(&of_day, |item| item.one_more(now, most_per_day, false)).await
    }

    /// Counts one more for what has that sort key, and removes others of its kind that do not matter any more.
    async fn count_for(
        &self,
        tenant: TenantId,
        (kind, sort): (&str, &str),
        limits: &[(i64, usize)],
    ) -> Result<bool, DirectoryError> {
        let now = self.clock.now();
        let key = ControlKey::new(sms_partition(tenant), sort);
        if !self.count_in::<SentItem>(&key, |item| another(&mut item.0, now, limits)).await? {
            return Ok(false);
        }
        for (sort, held) in self.control.query(&key.partition, kind, Some(&key.sort), SWEEP).await? {
            let sent = pennypost_model::codec::decode::<SentItem>(&held.value).map(|item| item.0);
            if sent.map_or(true, |sent| sent.iter().all(|time| now.0.saturating_sub(time.0) > DAY)) {
                self.control.delete_if(&ControlKey::new(&key.partition, sort), held.version).await?;
            }
        }
        Ok(true)
    }

    async fn count_in<T: Versioned + Default>(
        &self,
        key: &ControlKey,
        mut count: impl FnMut(&mut T) -> bool,
    ) -> Result<bool, DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<T>(key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut item = held.map(|held| held.value).unwrap_or_default();
            if !count(&mut item) {
                return Ok(false);
            }
            if self.write(key, &item, expected).await?.is_some() {
                return Ok(true);
            }
        }
        Err(DirectoryError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_gets_three_messages_in_ten_minutes_and_ten_in_a_day() {
        let at = |minute: i64| Timestamp(minute * MINUTE);
        let went = |limits: &[(i64, usize)]| -> Vec<i64> {
            let mut sent = Vec::new();
            (0..24 * 60).filter(|minute| another(&mut sent, at(*minute), limits)).collect()
        };
        assert_eq!(went(&OF_NUMBER), [0, 1, 2, 10, 11, 12, 20, 21, 22, 30]);
        assert_eq!(went(&OF_ACCOUNT), [0, 1, 2, 60, 61, 62, 120, 121, 122, 180]);
    }

    #[test]
    fn strangers_leave_half_of_a_day_to_others() {
        let mut day = DayItem::default();
        let now = Timestamp(5 * DAY);
        let went =
            |day: &mut DayItem, is_strangers| (0..9).filter(|_| day.one_more(now, 5, is_strangers)).count();
        assert_eq!((went(&mut day, true), went(&mut day, false)), (3, 2));
        assert!(day.one_more(Timestamp(6 * DAY), 5, true));
    }
}
