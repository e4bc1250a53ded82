//! The keys of a domain and what becomes of them: pure functions over what DNS shows and the time.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_model::Timestamp;
use pennypost_model::codec::Versioned;
use serde::{Deserialize, Serialize};

use crate::SigningError;

/// Keys of a domain at most, in all states.
pub const MAX_KEYS: usize = 8;
const DAY: i64 = 86_400_000;
/// For so long a removed key is kept after its record is gone: others may remember the record for a day, and its selector
/// is not given again meanwhile.
const REMEMBERED: i64 = 2 * DAY;

/// A kind of key. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSA with 2,048 bits and SHA-256: what everybody can check (RFC 8301).
    Rsa,
    /// Ed25519 with SHA-256: small and fast; who can't check it counts the other signature (RFC 8463).
    Ed25519,
}

impl Algorithm {
    /// Every one.
    pub const ALL: [Algorithm; 2] = [Algorithm::Rsa, Algorithm::Ed25519];

    /// Its name for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Rsa => "rsa-2048",
            Algorithm::Ed25519 => "ed25519",
        }
    }

    /// That of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The value of the tag `k` of its record (RFC 6376 section 3.6.1).
    const fn tag(self) -> &'static str {
        match self {
            Algorithm::Rsa => "rsa",
            Algorithm::Ed25519 => "ed25519",
        }
    }
}

/// How far a key is. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    /// Its record has to be set; nothing is signed with it.
    Waiting,
    /// Letters are signed with it.
    Active,
    /// Another one has taken its place; its record is still needed for what it has signed.
    Retiring,
    /// It is no longer used, and its private half is gone: its record may be deleted.
    Removed,
}

impl KeyState {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            KeyState::Waiting => "waiting",
            KeyState::Active => "active",
            KeyState::Retiring => "retiring",
            KeyState::Removed => "removed",
        }
    }
}

/// A key of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainKey {
    /// Under which name below `_domainkey` its record stands.
    pub selector: String,
    /// Which kind.
    pub algorithm: Algorithm,
    /// How far it is.
    pub state: KeyState,
    /// Its public half, as the record has it.
    pub public: Vec<u8>,
    /// Its private half (PKCS #8), sealed; none of a removed key.
    pub(crate) private: Option<Vec<u8>>,
    /// When it was made.
    pub made: Timestamp,
    /// Since when it has been in its state.
    pub since: Timestamp,
}

impl DomainKey {
    /// The value of its record.
    #[must_use]
    pub fn record(&self) -> String {
        format!("v=DKIM1; k={}; p={}", self.algorithm.tag(), BASE64_STANDARD.encode(&self.public))
    }

    /// Must its record be there?
    #[must_use]
    pub const fn needs_record(&self) -> bool {
        !matches!(self.state, KeyState::Removed)
    }

    fn become_state(&mut self, state: KeyState, now: Timestamp) {
        (self.state, self.since) = (state, now);
        if state == KeyState::Removed {
            self.private = None;
        }
    }
}

/// When keys are to be changed for new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Days for which a key is used before a new one is made: 7 to 3,650. `None`: nobody makes one by himself.
    pub after_days: Option<u16>,
    /// Days for which the record of a key stays after another one has taken its place: 1 to 90.
    pub publish_days: u16,
}

impl Default for Rotation {
    fn default() -> Rotation {
        Rotation { after_days: Some(180), publish_days: 7 }
    }
}

/// A rule of rotation that can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("keys are used for 7 to 3650 days, and stay published for 1 to 90 days after that")]
pub struct BadRotation;

impl Rotation {
    /// Can it be?
    ///
    /// # Errors
    /// [`BadRotation`].
    pub fn check(&self) -> Result<(), BadRotation> {
        let is_good = self.after_days.is_none_or(|days| (7..=3_650).contains(&days))
            && (1..=90).contains(&self.publish_days);
        if is_good { Ok(()) } else { Err(BadRotation) }
    }
}

/// What DNS shows at the place of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Its record, and nothing else.
    Published,
    /// Nothing.
    Absent,
    /// Something else.
    Other,
    /// DNS did not answer.
    Unknown,
}

/// What has become of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Which.
    pub selector: String,
    /// Its state from now on; `None`: nothing of it is kept.
    pub to: Option<KeyState>,
}

/// All keys of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainKeys {
    /// When they are to be changed.
    pub rotation: Rotation,
    /// In the order in which they were made.
    pub keys: Vec<DomainKey>,
}

impl Versioned for DomainKeys {
    const KIND: &'static str = "domain keys";
}

impl DomainKeys {
    /// Those with which letters are signed.
    pub fn active(&self) -> impl Iterator<Item = &DomainKey> {
        self.keys.iter().filter(|key| key.state == KeyState::Active)
    }

    /// Goes on with every key as far as DNS and the time allow.
    pub fn observe(&mut self, seen: impl Fn(&str) -> Seen, now: Timestamp) -> Vec<Moved> {
        let mut moved = Vec::new();
        let mut go = |key: &mut DomainKey, state| {
            key.become_state(state, now);
            moved.push(Moved { selector: key.selector.clone(), to: Some(state) });
        };
        for algorithm in Algorithm::ALL {
            let of_kind = |key: &&mut DomainKey| key.algorithm == algorithm;
            let is_ready = |key: &&mut DomainKey| {
                key.state == KeyState::Waiting && seen(&key.selector) == Seen::Published
            };
            // The newest, if there should be several.
            let Some(ready) = self.keys.iter_mut().rev().filter(of_kind).find(is_ready) else { continue };
            let chosen = ready.selector.clone();
            go(ready, KeyState::Active);
            let others = self.keys.iter_mut().filter(of_kind);
            for key in others.filter(|key| key.state == KeyState::Active && key.selector != chosen) {
                go(key, KeyState::Retiring);
            }
        }
        let published = i64::from(self.rotation.publish_days) * DAY;
        let is_over = |since: Timestamp, millis: i64| now.0.saturating_sub(since.0) >= millis;
        for key in self.keys.iter_mut().filter(|key| key.state == KeyState::Retiring) {
            if is_over(key.since, published) {
                go(key, KeyState::Removed);
            }
        }
        self.keys.retain(|key| {
            let is_forgotten = key.state == KeyState::Removed
                && is_over(key.since, REMEMBERED)
                && seen(&key.selector) == Seen::Absent;
            if is_forgotten {
                moved.push(Moved { selector: key.selector.clone(), to: None });
            }
            !is_forgotten
        });
        moved
    }

    /// Kinds of which a new key is to be made: the one that is used is old, and no other waits for its record.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<Algorithm> {
        let Some(days) = self.rotation.after_days else { return Vec::new() };
        let old = i64::from(days) * DAY;
        let is_due = |algorithm: &Algorithm| {
            let of_kind = || self.keys.iter().filter(|key| key.algorithm == *algorithm);
            let is_old =
                |key: &DomainKey| key.state == KeyState::Active && now.0.saturating_sub(key.since.0) >= old;
            of_kind().any(is_old) && !of_kind().any(|key| key.state == KeyState::Waiting)
        };
        let room = MAX_KEYS.saturating_sub(self.keys.len());
        Algorithm::ALL.into_iter().filter(is_due).take(room).collect()
    }

    /// Ends the use of a key at once: its private half is gone, letters are no longer signed with it.
    ///
    /// # Errors
    /// [`SigningError::NoKey`], also of one that is removed already.
    pub fn withdraw(&mut self, selector: &str, now: Timestamp) -> Result<(), SigningError> {
        let is_it = |key: &&mut DomainKey| key.selector == selector && key.state != KeyState::Removed;
        let key = self.keys.iter_mut().find(is_it);
        key.ok_or_else(|| SigningError::NoKey(selector.to_owned()))?.become_state(KeyState::Removed, now);
        Ok(())
    }

    /// May another key of that kind be made?
    pub(crate) fn has_room(&self, algorithm: Algorithm) -> Result<(), SigningError> {
        let waits = |key: &DomainKey| key.algorithm == algorithm && key.state == KeyState::Waiting;
        if self.keys.iter().any(waits) {
            return Err(SigningError::Waits(algorithm));
        }
        if self.keys.len() >= MAX_KEYS { Err(SigningError::TooMany) } else { Ok(()) }
    }

    /// A selector of the day that no key of the domain has.
    pub(crate) fn free_selector(&self, algorithm: Algorithm, now: Timestamp) -> String {
        let letter = match algorithm {
            Algorithm::Rsa => 'r',
            Algorithm::Ed25519 => 'e',
        };
        let first = format!("{letter}{}", now.day());
        let is_free = |name: &String| self.keys.iter().all(|key| key.selector != *name);
        let mut names = std::iter::once(first.clone()).chain((2..).map(|n| format!("{first}-{n}")));
        names.find(is_free).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-22.
    const NOW: Timestamp = Timestamp(1_795_305_600_000);

    fn days(days: i64) -> Timestamp {
        NOW.plus_millis(days * DAY)
    }

    fn add(keys: &mut DomainKeys, algorithm: Algorithm, now: Timestamp) -> String {
        keys.has_room(algorithm).expect("room");
        let selector = keys.free_selector(algorithm, now);
        keys.keys.push(DomainKey {
            selector: selector.clone(),
            algorithm,
            state: KeyState::Waiting,
            public: vec![1],
            private: Some(vec![2]),
            made: now,
            since: now,
        });
        selector
    }

    fn states(keys: &DomainKeys) -> Vec<(&str, KeyState)> {
        keys.keys.iter().map(|key| (key.selector.as_str(), key.state)).collect()
    }

    #[test]
    fn a_key_takes_the_place_of_another_when_dns_has_it() {
        let mut keys = DomainKeys::default();
        let old = add(&mut keys, Algorithm::Rsa, NOW);
        assert_eq!(old, "r20261122");
        assert_eq!(keys.has_room(Algorithm::Rsa), Err(SigningError::Waits(Algorithm::Rsa)));
        for seen in [Seen::Absent, Seen::Other, Seen::Unknown] {
            assert_eq!(keys.observe(|_| seen, NOW), []);
        }
        keys.observe(|_| Seen::Published, NOW);
        assert_eq!(states(&keys), [("r20261122", KeyState::Active)]);
        // Another kind stands beside it.
        add(&mut keys, Algorithm::Ed25519, NOW);
        keys.observe(|_| Seen::Published, NOW);
        assert_eq!(keys.active().count(), 2);

        assert_eq!(keys.due(days(179)), []);
        assert_eq!(keys.due(days(180)), Algorithm::ALL);
        let new = add(&mut keys, Algorithm::Rsa, days(180));
        assert_eq!(keys.due(days(180)), [Algorithm::Ed25519]);
        // What vanishes from DNS is still all that there is.
        keys.observe(|_| Seen::Absent, days(181));
        assert_eq!(keys.keys[0].state, KeyState::Active);
        let moved = keys.observe(|_| Seen::Published, days(181));
        assert_eq!(
            moved,
            [
                Moved { selector: new.clone(), to: Some(KeyState::Active) },
                Moved { selector: old.clone(), to: Some(KeyState::Retiring) },
            ]
        );
        assert!(keys.keys[0].private.is_some(), "it could be needed again");
        assert_eq!(keys.observe(|_| Seen::Published, days(187)), []);
        keys.observe(|_| Seen::Published, days(188));
        assert_eq!((keys.keys[0].state, &keys.keys[0].private), (KeyState::Removed, &None));
        // Kept until its record is gone, and a while longer.
        assert_eq!(keys.observe(|_| Seen::Published, days(300)), []);
        let gone = Moved { selector: old.clone(), to: None };
        let absent = |name: &str| if name == old { Seen::Absent } else { Seen::Published };
        assert_eq!(keys.observe(absent, days(189)), []);
        assert_eq!(keys.observe(absent, days(190)), [gone]);
        assert_eq!(keys.keys.len(), 2);
    }

    #[test]
    fn a_withdrawn_key_signs_nothing_and_its_selector_is_not_given_again() {
        let mut keys = DomainKeys::default();
        let first = add(&mut keys, Algorithm::Ed25519, NOW);
        keys.observe(|_| Seen::Published, NOW);
        keys.withdraw(&first, NOW).expect("withdrawn");
        assert_eq!((keys.active().count(), &keys.keys[0].private), (0, &None));
        assert_eq!(keys.withdraw(&first, NOW), Err(SigningError::NoKey(first.clone())));
        keys.observe(|_| Seen::Absent, NOW);
        assert_eq!(add(&mut keys, Algorithm::Ed25519, NOW), "e20261122-2");
        while keys.keys.len() < MAX_KEYS {
            let waiting = keys.keys.last().expect("a key").selector.clone();
            keys.withdraw(&waiting, NOW).expect("withdrawn");
            add(&mut keys, Algorithm::Ed25519, NOW);
        }
        assert_eq!(keys.has_room(Algorithm::Rsa), Err(SigningError::TooMany));
    }

    #[test]
    fn rules_have_ranges() {
        assert_eq!(Rotation::default().check(), Ok(()));
        for (after_days, publish_days) in [(Some(6), 7), (Some(3_651), 7), (None, 0), (None, 91)] {
            assert_eq!(Rotation { after_days, publish_days }.check(), Err(BadRotation));
        }
    }

    proptest! {
        /// Whatever DNS says in whatever order: never two active keys of a kind, and no private half of a removed one.
        #[test]
        fn at_most_one_of_a_kind_is_active(steps in proptest::collection::vec((0..4_u8, any::<u8>()), 1..60)) {
            let mut keys = DomainKeys::default();
            for (day, (step, shown)) in steps.into_iter().enumerate() {
                let now = days(day as i64);
                let algorithm = Algorithm::ALL[usize::from(shown) % 2];
                match step {
                    0 if keys.has_room(algorithm).is_ok() => { add(&mut keys, algorithm, now); }
                    1 => if let Some(key) = keys.keys.get(usize::from(shown)).cloned() {
                        let _ = keys.withdraw(&key.selector, now);
                    },
                    _ => {
                        let all = [Seen::Published, Seen::Absent, Seen::Other, Seen::Unknown];
                        let seen = |name: &str| all[(name.len() + usize::from(shown)) % 4];
                        keys.observe(seen, now);
                    }
                }
                for algorithm in Algorithm::ALL {
                    prop_assert!(keys.active().filter(|key| key.algorithm == algorithm).count() <= 1);
                }
                for key in &keys.keys {
                    prop_assert_eq!(key.private.is_none(), key.state == KeyState::Removed);
                }
                prop_assert!(keys.keys.len() <= MAX_KEYS);
            }
        }
    }
}
