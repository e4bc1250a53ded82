//! Identities and units. Each is a newtype: a UID can't be taken for a sequence number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name in an id's text form could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {text:?}")]
pub struct ParseIdError {
    what: &'static str,
    text: String,
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let failed = || ParseIdError { what: stringify!($name), text: text.chars().take(40).collect() };
                if text.len() != 16 { return Err(failed()); }
                u64::from_str_radix(text, 16).map(Self).map_err(|_| failed())
            }
        }
    };
}

hex_id!(
    /// A tenant: random, never reused, the first component of every key, object name, queue group and log
    /// line (architecture, invariant 7). Text form: 16 hex digits.
    TenantId
);
hex_id!(
    /// An account (a member's, a shared one, an archive): random, never reused, never derived from an
    /// address. Text form: 16 hex digits.
    AccountId
);
hex_id!(
    /// A long operation of administration. Text form: 16 hex digits.
    TaskId
);
hex_id!(
    /// A conversation: hash of the base subject and the first reference; the same on every path.
    ThreadId
);

/// The full key of an account. Whoever holds one has been handed the tenant with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountKey {
    /// The tenant that owns the account.
    pub tenant: TenantId,
    /// The account within the tenant.
    pub account: AccountId,
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.account)
    }
}

/// Number of a journal entry: 1 for the first entry of an account, without holes. It is at once the MODSEQ
/// of RFC 7162 and the JMAP state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The number before the first entry: an account without history.
    pub const ZERO: Seq = Seq(0);

    /// The number of the entry that follows.
    #[must_use]
    pub const fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A UID (RFC 3501 section 2.3.1.1): ascending over the whole account, hence in each mailbox; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(pub u32);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// UIDVALIDITY (RFC 3501 section 2.3.1.1) of a mailbox: rising and unique within the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UidValidity(pub u32);

impl fmt::Display for UidValidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A mailbox within an account. Ids are given in order of creation and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MailboxId(pub u32);

impl MailboxId {
    /// The Inbox exists in every account from the beginning.
    pub const INBOX: MailboxId = MailboxId(1);
    /// `\Junk`, from the beginning.
    pub const JUNK: MailboxId = MailboxId(2);
    /// `\Trash`, from the beginning.
    pub const TRASH: MailboxId = MailboxId(3);
    /// `\Sent`, from the beginning.
    pub const SENT: MailboxId = MailboxId(4);
    /// `\Drafts`, from the beginning.
    pub const DRAFTS: MailboxId = MailboxId(5);
    /// `\Archive`, from the beginning.
    pub const ARCHIVE: MailboxId = MailboxId(6);
}

/// What a mailbox is for (RFC 6154).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MailboxRole {
    /// INBOX.
    Inbox,
    /// `\Junk`.
    Junk,
    /// `\Trash`.
    Trash,
    /// `\Sent`.
    Sent,
    /// `\Drafts`.
    Drafts,
    /// `\Archive`.
    Archive,
    /// Mail to unknown addresses of the domain (RCV-17).
    Transfer,
}

/// The identity of a message in its account: `seq * 65_536 + index in the entry`. It survives a move, is the
/// JMAP email id and IMAP's EMAILID (RFC 8474).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rid(pub u64);

impl Rid {
    /// The messages that one entry can add at most.
    pub const PER_ENTRY: usize = 65_536;

    /// The id of the `index`-th message added by entry `seq`.
    #[must_use]
    pub const fn new(seq: Seq, index: u16) -> Rid {
        Rid(seq.0 * 65_536 + index as u64)
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This time plus `millis` milliseconds (which may be negative).
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(millis))
    }

    /// The UTC calendar day as `(year, month, day)`.
    #[must_use]
    pub const fn civil_day(self) -> (i64, u32, u32) {
        // Days to civil, after the proleptic Gregorian calendar with years that begin in March.
        let days = self.0.div_euclid(86_400_000) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }

    /// The UTC day as `yyyymmdd`, as it stands in object names.
    #[must_use]
    pub fn day(self) -> String {
        let (year, month, day) = self.civil_day();
        format!("{year:04}{month:02}{day:02}")
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-20T08:15:30.123Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let (year, month, day) = self.civil_day();
        let millis = self.0.rem_euclid(86_400_000);
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, millis) = (millis / 1000 % 60, millis % 1000);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

impl Timestamp {
    /// RFC 5322 section 3.3 in UTC: `Fri, 20 Nov 2026 00:00:00 +0000`.
    #[must_use]
    pub fn rfc5322(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (year, month, day) = self.civil_day();
        let seconds = self.seconds();
        let weekday = DAYS[seconds.div_euclid(86_400).rem_euclid(7) as usize];
        let of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let month = MONTHS[(month as usize).saturating_sub(1) % 12];
        format!("{weekday}, {day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
    }

    /// From RFC 3339 in UTC, with or without a fraction of a second: what [`Timestamp::rfc3339`] writes, and what other
    /// services do.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
        let text = text.strip_suffix(['Z', 'z'])?;
        let (date, time) = text.split_once(['T', 't'])?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [year, month, day] = numbers(date, '-')?;
        let [hour, minute, second] = numbers(time, ':')?;
        let is_digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits || hour > 23 || minute > 59 || second > 60 || !(1..=12).contains(&month) {
            return None;
        }
        // Days from civil, as in `civil_day`.
        let year_of_march = if month <= 2 { year - 1 } else { year };
        let (era, year_of_era) = (year_of_march.div_euclid(400), year_of_march.rem_euclid(400));
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let found = Timestamp((days * 86_400 + hour * 3600 + minute * 60 + second) * 1000 + millis);
        // A day that there is not comes out as another one.
        let is_day = found.plus_millis(-(second / 60) * 1000).civil_day() == (year, month as u32, day as u32);
        is_day.then_some(found)
    }
}

/// Three numbers of two digits or four.
fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = text.split(between).map(|part| {
        let is_number = matches!(part.len(), 2 | 4) && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    });
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// The id of an event: a ULID made at acceptance and kept through retries, splits and replays. It is the
/// idempotency key of delivery. Its time part makes traces findable. Kept as bytes, big end first, so that rows
/// that hold one need no more room than its 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// From the acceptance time and 80 random bits.
    #[must_use]
    pub const fn from_parts(time: Timestamp, random: u128) -> EventId {
        EventId(ulid::Ulid::from_parts(if time.0 < 0 { 0 } else { time.0 as u64 }, random).to_bytes())
    }

    /// From its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> EventId {
        EventId(bytes)
    }

    /// Its 16 bytes; they are in the order of the ids.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The id of the writer's own copy of a message with this id: as new as it, and nobody else's but with the chance of any
    /// two ids to be the same.
    #[must_use]
    pub const fn sent_copy(self) -> EventId {
        let mut bytes = self.0;
        bytes[8] ^= 0x80;
        EventId(bytes)
    }

    /// The id of the report that a message with this id was delivered: as [`EventId::sent_copy`].
    #[must_use]
    pub const fn report(self) -> EventId {
        let mut bytes = self.0;
        bytes[8] ^= 0x40;
        EventId(bytes)
    }

    /// When the id was made.
    #[must_use]
    pub fn time(self) -> Timestamp {
        Timestamp(ulid::Ulid::from_bytes(self.0).timestamp_ms() as i64)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ulid::Ulid::from_bytes(self.0).fmt(f)
    }
}

impl FromStr for EventId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        ulid::Ulid::from_str(text)
            .map(|id| EventId(id.to_bytes()))
            .map_err(|_| ParseIdError { what: "event id", text: text.chars().take(40).collect() })
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(deserializer).map(EventId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_civil() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_219_199_999, "2026-11-20T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp(millis).rfc3339(), text);
        }
        assert_eq!(Timestamp(951_782_400_000).day(), "20000229");
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for millis in [0, 951_782_400_000, 1_795_219_199_999, 1_442_003_553_936] {
            let time = Timestamp(millis);
            assert_eq!(Timestamp::from_rfc3339(&time.rfc3339()), Some(time));
        }
        assert_eq!(Timestamp::from_rfc3339("2015-09-11T20:32:33Z"), Some(Timestamp(1_442_003_553_000)));
        assert_eq!(Timestamp::from_rfc3339("2015-09-11T20:32:33.5Z"), Some(Timestamp(1_442_003_553_500)));
        for bad in [
            "",
            "Z",
            "2015-09-11",
            "2015-09-11T20:32:33",
            "2015-02-29T00:00:00Z",
            "2015-13-01T00:00:00Z",
            "2015-09-00T00:00:00Z",
            "2015-09-11T24:00:00Z",
            "2015-09-11T20:32:33.Z",
            "2015-09-11T20:32:33.1é0Z",
            "2015-09-11-01T20:32:33Z",
            "+015-09-11T20:32:33Z",
        ] {
            assert_eq!(Timestamp::from_rfc3339(bad), None, "{bad}");
        }
        assert_eq!(Timestamp(951_782_399_000).rfc5322(), "Mon, 28 Feb 2000 23:59:59 +0000");
    }

    #[test]
    fn ids_round_trip_as_text() {
        let tenant = TenantId(0x1f);
        assert_eq!(tenant.to_string().parse::<TenantId>(), Ok(tenant));
        assert!("1f".parse::<TenantId>().is_err());
        let event = EventId::from_parts(Timestamp(1_795_132_800_000), 7);
        assert_eq!(event.to_string().parse::<EventId>(), Ok(event));
        assert_eq!(event.time(), Timestamp(1_795_132_800_000));
        assert_eq!(event.sent_copy().time(), event.time());
        assert!(event.sent_copy() != event && event.sent_copy().sent_copy() == event);
    }
}
