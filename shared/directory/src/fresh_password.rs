//! Passwords that are made up for somebody.

use rand::Rng;

use crate::PasswordRules;

/// Letters and digits that are not taken for each other.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// Capital letters that are not, either: for rules that ask for them.
const CAPITALS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
/// Characters of a password where rules ask for neither more nor fewer.
const LENGTH: usize = 24;
/// How often one is thrown away that breaks a rule by chance.
const TRIES: usize = 1_000;

impl PasswordRules {
    /// A fresh password that follows the rules: where they leave room for it five groups of four characters, 99 bits.
    #[must_use]
    pub fn fresh(&self, local: &str, name: &str) -> String {
        let most = if self.max_length == 0 { usize::MAX } else { usize::from(self.max_length) };
        let length = LENGTH.max(usize::from(self.min_length)).min(most);
        let has_capitals = self.capital || self.classes > 3;
        let mut password = String::new();
        for _ in 0..TRIES {
            password = random(length, has_capitals);
            if self.accept(&password, local, name) {
                break;
            }
        }
        password
    }
}

fn random(length: usize, has_capitals: bool) -> String {
    let mut random = rand::rng();
    let capitals = if has_capitals { CAPITALS } else { &[] };
    let mut character = |place: usize| match place % 5 {
        4 => '-',
        _ => {
            let at = random.random_range(0..ALPHABET.len() + capitals.len());
            ALPHABET.iter().chain(capitals).nth(at).map_or('-', |byte| char::from(*byte))
        }
    };
    (0..length).map(&mut character).collect()
}

#[cfg(test)]
mod tests {
    use super::ALPHABET;
    use crate::PasswordRules;

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let fresh = || PasswordRules::default().fresh("ann", "Ann");
        let (one, other) = (fresh(), fresh());
        assert_eq!(one.len(), 24);
        assert_ne!(one, other);
        assert!(one.bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)));
    }

    #[test]
    fn generated_passwords_follow_the_rules() {
        let short = PasswordRules { min_length: 8, max_length: 16, ..PasswordRules::default() };
        let long = PasswordRules { min_length: 64, ..PasswordRules::default() };
        let strict = PasswordRules {
            classes: 4,
            capital: true,
            no_sequences: true,
            no_account_name: true,
            ..PasswordRules::default()
        };
        for (rules, length) in [(short, 16), (long, 64), (strict, 24)] {
            for _ in 0..200 {
                let password = rules.fresh("ann", "Ann Lee");
                assert!(rules.accept(&password, "ann", "Ann Lee") && password.len() == length, "{password}");
            }
        }
    }
}
