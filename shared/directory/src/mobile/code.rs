//! Codes that go to mobile numbers.

use pennypost_model::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{MINUTE, MobilePurpose};

/// Minutes that a code waits, and how often it is looked at.
pub const MOBILE_CODE_MINUTES: i64 = 10;
const TRIES: u8 = 5;
/// Digits of a code.
pub(crate) const MOBILE_CODE_DIGITS: usize = 8;
/// Codes for one purpose that wait at once: one that strangers ask for leaves the one before good.
const CODES_EACH: usize = 2;

/// A code that waits. Has no `Debug`, so that it gets into no log.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Code {
    salt: [u8; 16],
    pub(super) hash: [u8; 32],
    pub(super) until: Timestamp,
    pub(super) tries: u8,
}

impl Code {
    /// A fresh one, with its text.
    pub(super) fn fresh(now: Timestamp) -> (Code, String) {
        let text = format!("{:0MOBILE_CODE_DIGITS$}", rand::random_range(0..100_000_000_u32));
        let salt = rand::random();
        let until = now.plus_millis(MOBILE_CODE_MINUTES * MINUTE);
        (Code { salt, hash: hash(&salt, &text), until, tries: 0 }, text)
    }

    /// May it still be said?
    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        self.until > now && self.tries < TRIES
    }

    /// Is it that? `None`: it is over, whatever is said.
    pub(super) fn is(&self, said: &str, now: Timestamp) -> Option<bool> {
        self.is_good(now).then(|| hash(&self.salt, said.trim()) == self.hash)
    }
}

/// Is it one of those for a purpose that wait? A wrong one counts for each of them. With whether anything has changed.
pub(super) fn look(
    codes: &mut [(MobilePurpose, Code)],
    purpose: MobilePurpose,
    said: &str,
    now: Timestamp,
) -> (bool, bool) {
    if codes.iter().any(|(of, code)| *of == purpose && code.is(said, now) == Some(true)) {
        return (true, false);
    }
    let mut is_changed = false;
    for (_, code) in codes.iter_mut().filter(|(of, code)| *of == purpose && code.is_good(now)) {
        code.tries += 1;
        is_changed = true;
    }
    (false, is_changed)
}

/// Puts a code to those that wait.
pub(super) fn put(
    codes: &mut Vec<(MobilePurpose, Code)>,
    purpose: MobilePurpose,
    code: Code,
    now: Timestamp,
) {
    codes.retain(|(_, code)| code.is_good(now));
    let of_it = codes.iter().filter(|(of, _)| *of == purpose).count();
    if of_it >= CODES_EACH
        && let Some(oldest) = codes.iter().position(|(of, _)| *of == purpose)
    {
        codes.remove(oldest);
    }
    codes.push((purpose, code));
}

fn hash(salt: &[u8; 16], text: &str) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(text.as_bytes()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_looked_at_five_times_within_ten_minutes() {
        let now = Timestamp(1_000);
        let (mut code, text) = Code::fresh(now);
        assert_eq!((text.len(), code.is(&text, now)), (8, Some(true)));
        assert_eq!(code.is("x", now), Some(false));
        let end = now.plus_millis(MOBILE_CODE_MINUTES * MINUTE);
        assert_eq!((code.is(&text, Timestamp(end.0 - 1)), code.is(&text, end)), (Some(true), None));
        code.tries = TRIES;
        assert_eq!(code.is(&text, now), None);
    }

    #[test]
    fn a_wrong_code_counts_for_each_that_waits_and_the_one_before_stays_good() {
        let now = Timestamp(1_000);
        let mut codes = Vec::new();
        let texts: Vec<String> = (0..3)
            .map(|_| {
                let (code, text) = Code::fresh(now);
                put(&mut codes, MobilePurpose::SignIn, code, now);
                text
            })
            .collect();
        let mut said = |text: &str| look(&mut codes, MobilePurpose::SignIn, text, now);
        assert_eq!(said(&texts[0]).0, texts[1..].contains(&texts[0]));
        assert_eq!((said(&texts[1]), said(&texts[2])), ((true, false), (true, false)));
        while said("no code").1 {}
        assert_eq!((said(&texts[1]), said(&texts[2])), ((false, false), (false, false)));
        assert!(codes.iter().all(|(_, code)| code.tries == TRIES));
    }
}
