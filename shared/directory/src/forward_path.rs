//! Reverse-paths of what is forwarded to other servers (SRS, the sender rewriting scheme): in a domain of ours, since SPF of
//! the sender's domain knows nothing of us, and such that a report about it finds its way back to the sender.
//!
//! Owns the control item `T`, `forward-key`: what these paths are marked by, and the names of envelopes (ENVID). It is made when
//! the first letter goes to another server, and stays. A path holds all that the way back takes, so that nothing is stored for a letter: the domain and the local part of the
//! sender, the day, and 40 bits of an HMAC over them, so that nobody makes one of another sender. What has been forwarded before
//! by somebody who does the same is named by whom to ask (SRS1), so that paths do not grow. All of it is compared in small
//! letters, as servers on the way may write it. Whatever does not fit into the 64 octets before the @ (RFC 5321 section
//! 4.5.3.1.1) has no such path.

use pennypost_model::codec::Versioned;
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, DomainName, MailAddress};

const DAY: i64 = 24 * 60 * 60 * 1000;
/// Days for which a report finds its way back: servers try for five, and may take longer.
const DAYS: i64 = 14;
/// Days after which the number of a day comes again.
const ROUND: i64 = 1_024;
/// Letters of a mark.
const MARK: usize = 8;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Marks reverse-paths of a tenant. Has no `Debug`, so that it gets into no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardKey {
    key: [u8; 32],
}

impl Versioned for ForwardKey {
    const KIND: &'static str = "forward key";
}

fn key_of(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "forward-key")
}

fn letter(number: i64) -> char {
    ALPHABET.get(usize::try_from(number.rem_euclid(32)).unwrap_or_default()).copied().map_or('0', char::from)
}

/// A day as two letters.
fn day_letters(time: Timestamp) -> String {
    let day = time.0.div_euclid(DAY).rem_euclid(ROUND);
    [letter(day / 32), letter(day)].into_iter().collect()
}

/// Is the day that these letters tell one of the last?
fn is_recent(letters: &str, now: Timestamp) -> bool {
    // Its clock may be a day ahead.
    (-1..=DAYS).any(|ago| day_letters(now.plus_millis(-ago * DAY)) == letters)
}

/// What is behind `SRS0` or `SRS1`, with the sign that follows it: other programs take others than `=`.
fn behind<'a>(local: &'a str, tag: &str) -> Option<&'a str> {
    let is_tagged = local.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
    let rest = local.get(tag.len()..).filter(|_| is_tagged)?;
    rest.starts_with(['=', '+', '-']).then_some(rest)
}

impl ForwardKey {
    fn mark(&self, what: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let tag = hmac::sign(&key, what.to_ascii_lowercase().as_bytes());
        let bits = tag.as_ref().iter().take(5).fold(0_i64, |bits, byte| bits << 8 | i64::from(*byte));
        (0..MARK).map(|at| letter(bits >> (35 - 5 * at))).collect()
    }

    /// The reverse-path of what is forwarded then in the name of a domain; `None` where the sender's does not fit into one.
    #[must_use]
    pub fn forwarded(&self, reverse_path: &str, domain: &DomainName, time: Timestamp) -> Option<String> {
        let sender = MailAddress::parse(reverse_path).ok().filter(MailAddress::is_dot_atom)?;
        let (host, local) = (sender.domain(), sender.local());
        // One of our own that has come back leads on to the same sender.
        if self.sender(local, time).is_some() {
            return Some(format!("{local}@{domain}"));
        }
        let local = if let Some(rest) = behind(local, "srs0") {
            format!("srs1={}={host}={rest}", self.mark(&format!("1 {host} {rest}")))
        } else if let Some((host, rest)) = behind(local, "srs1").and_then(srs1_parts) {
            format!("srs1={}={host}={rest}", self.mark(&format!("1 {host} {rest}")))
        } else {
            let day = day_letters(time);
            format!("srs0={}={day}={host}={local}", self.mark(&format!("0 {day} {host} {local}")))
        };
        (local.len() <= MailAddress::MAX_LOCAL).then(|| format!("{local}@{domain}"))
    }

    /// What the envelope of a letter is called before other servers (ENVID: RFC 3461 section 4.4): their reports name it, and
    /// whoever has only seen the letter does not know it.
    #[must_use]
    pub fn envelope_id(&self, letter: EventId) -> String {
        format!("{letter}.{}", self.mark(&envelope(letter)))
    }

    /// The letter whose envelope is called so; `None`, if it is none of ours.
    fn letter_of(&self, envelope_id: &str) -> Option<EventId> {
        let (letter, mark) = split_envelope_id(envelope_id)?;
        (self.mark(&envelope(letter)) == mark.to_ascii_lowercase()).then_some(letter)
    }

    /// To whom a report goes on that comes to such a path; `None`, if it is none of ours, or too old.
    #[must_use]
    pub fn sender(&self, local: &str, now: Timestamp) -> Option<MailAddress> {
        let sender = if let Some(rest) = local.strip_prefix("srs0=") {
            let mut parts = rest.splitn(4, '=');
            let (mark, day, host, local) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            let is_ours = self.mark(&format!("0 {day} {host} {local}")) == mark && is_recent(day, now);
            is_ours.then(|| format!("{local}@{host}"))?
        } else {
            let rest = local.strip_prefix("srs1")?;
            let mark = rest.get(1..)?.split('=').next()?;
            let (host, rest) = srs1_parts(rest)?;
            (self.mark(&format!("1 {host} {rest}")) == mark).then(|| format!("srs0{rest}@{host}"))?
        };
        MailAddress::parse(&sender).ok()
    }
}

/// What is marked of an envelope.
fn envelope(letter: EventId) -> String {
    format!("envelope {letter}")
}

fn split_envelope_id(envelope_id: &str) -> Option<(EventId, &str)> {
    let (letter, mark) = envelope_id.trim().split_once('.')?;
    Some((letter.parse().ok()?, mark))
}

/// Host, and what is behind `SRS0` there, of what is behind `SRS1`.
fn srs1_parts(rest: &str) -> Option<(&str, &str)> {
    let mut parts = rest.get(1..)?.splitn(3, '=');
    let (_mark, host, rest) = (parts.next()?, parts.next()?, parts.next()?);
    rest.starts_with(['=', '+', '-']).then_some((host, rest))
}

impl Directory {
    /// What marks the reverse-paths of a tenant; made, where there is none.
    ///
    /// # Errors
    /// [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn forward_key(&self, tenant: TenantId) -> Result<ForwardKey, DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            if let Some(held) = self.read::<ForwardKey>(&key_of(tenant), Consistency::Strong).await? {
                return Ok(held.value);
            }
            let made = ForwardKey { key: rand::random() };
            if self.write(&key_of(tenant), &made, Expected::Absent).await?.is_some() {
                return Ok(made);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// The letter of a tenant whose envelope was called so before other servers; `None`, if it was none of ours. One read, of what
    /// looks like one.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn letter_of_envelope(
        &self,
        tenant: TenantId,
        envelope_id: &str,
    ) -> Result<Option<EventId>, DirectoryError> {
        if split_envelope_id(envelope_id).is_none() {
            return Ok(None);
        }
        let held = self.read::<ForwardKey>(&key_of(tenant), Consistency::Eventual).await?;
        Ok(held.and_then(|held| held.value.letter_of(envelope_id)))
    }

    /// To whom a report goes on that comes to this address, and whose address that is; `None`: it is an address like others.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn returns_to(&self, address: &str) -> Result<Option<(TenantId, MailAddress)>, DirectoryError> {
        let Ok(address) = MailAddress::parse(address) else { return Ok(None) };
        if !address.local().starts_with("srs0=") && !address.local().starts_with("srs1=") {
            return Ok(None);
        }
        let Some(tenant) = self.owner(address.domain(), Consistency::Strong).await? else { return Ok(None) };
        let held = self.read::<ForwardKey>(&key_of(tenant), Consistency::Strong).await?;
        let sender = held.and_then(|held| held.value.sender(address.local(), self.clock.now()));
        Ok(sender.map(|sender| (tenant, sender)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn domain(name: &str) -> DomainName {
        DomainName::parse(name).expect("a domain")
    }

    fn local(path: &str) -> String {
        MailAddress::parse(path).expect("an address").local().to_owned()
    }

    #[test]
    fn reports_find_their_way_back_and_nobody_makes_one_up() {
        let (ours, theirs) = (ForwardKey { key: [1; 32] }, ForwardKey { key: [2; 32] });
        let here = domain("acme.example");
        let path = ours.forwarded("Bea.Smith+x@Far.example", &here, NOW).expect("a path");
        assert!(
            path.starts_with("srs0=") && path.ends_with("=far.example=bea.smith+x@acme.example"),
            "{path}"
        );
        let back = |key: &ForwardKey, path: &str, days: i64| {
            key.sender(&local(path), NOW.plus_millis(days * DAY)).map(|sender| sender.to_string())
        };
        assert_eq!(back(&ours, &path, 0).as_deref(), Some("bea.smith+x@far.example"));
        assert_eq!(back(&ours, &path.to_uppercase(), DAYS).as_deref(), Some("bea.smith+x@far.example"));
        assert_eq!(back(&ours, &path, DAYS + 1), None, "too old");
        assert_eq!(back(&ours, &path, ROUND).as_deref(), Some("bea.smith+x@far.example"), "a round of days");
        assert_eq!(back(&theirs, &path, 0), None);
        assert_eq!(back(&ours, &path.replace("bea.smith", "eve"), 0), None);
        assert_eq!(back(&ours, &path.replace("far.example", "for.example"), 0), None);
        for other in
            ["srs0=x@acme.example", "srs0=a=b=c@acme.example", "srs1=a=b=c@acme.example", "ann@acme.example"]
        {
            assert_eq!(back(&ours, other, 0), None, "{other}");
        }
    }

    #[test]
    fn what_was_forwarded_before_is_named_by_whom_to_ask() {
        let (ours, theirs) = (ForwardKey { key: [1; 32] }, ForwardKey { key: [2; 32] });
        let (here, there) = (domain("acme.example"), domain("far.example"));
        let first = theirs.forwarded("a@b.example", &there, NOW).expect("a path");
        let second = ours.forwarded(&first, &here, NOW).expect("a path");
        assert!(second.starts_with("srs1="), "{second}");
        let back = ours.sender(&local(&second), NOW).expect("back");
        assert_eq!(back.to_string(), first);
        assert_eq!(theirs.sender(back.local(), NOW).expect("back").to_string(), "a@b.example");
        // A third one names the first, too.
        let third = theirs.forwarded(&second, &there, NOW).expect("a path");
        assert_eq!(third.len() - there.as_str().len(), second.len() - here.as_str().len());
        assert_eq!(theirs.sender(&local(&third), NOW).expect("back").to_string(), first);
        let again = ours.forwarded(&second.to_uppercase(), &there, NOW).expect("a path");
        assert_eq!(
            (local(&again), MailAddress::domain_of(&again)),
            (local(&second), Ok(there.clone())),
            "ours"
        );
        let forged = second.replace("far.example", "for.example");
        assert_eq!(ours.sender(&local(&forged), NOW), None);
    }

    #[test]
    fn envelopes_are_called_what_nobody_makes_up() {
        let (ours, theirs) = (ForwardKey { key: [1; 32] }, ForwardKey { key: [2; 32] });
        let letter = EventId::from_parts(NOW, 7);
        let id = ours.envelope_id(letter);
        assert!(
            id.len() <= 100 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'),
            "{id}"
        );
        assert_eq!(ours.letter_of(&format!(" {} ", id.to_uppercase())), Some(letter));
        assert_eq!(theirs.letter_of(&id), None);
        let other = id.replace(&letter.to_string(), &EventId::from_parts(NOW, 8).to_string());
        for wrong in [&*other, &letter.to_string(), "", ".", "QQ314159", "x.y"] {
            assert_eq!(ours.letter_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_does_not_fit_has_none() {
        let key = ForwardKey { key: [1; 32] };
        let here = domain("acme.example");
        let long = format!("{}@far.example", "x".repeat(40));
        for sender in ["", "not an address", "\"a b\"@far.example", long.as_str()] {
            assert_eq!(key.forwarded(sender, &here, NOW), None, "{sender}");
        }
        let path = key.forwarded(&format!("{}@far.example", "x".repeat(35)), &here, NOW).expect("fits");
        assert_eq!(local(&path).len(), MailAddress::MAX_LOCAL);
    }
}
