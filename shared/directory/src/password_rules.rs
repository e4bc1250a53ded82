//! What a tenant asks of passwords (AUT-06, AUT-12, AUT-13). Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::password::{MAX_PASSWORD, MIN_PASSWORD};
use crate::sign_in_rules::SignInRulesError;

/// Most characters that a tenant may ask for.
const MOST_MIN: u16 = 64;
/// Least number of characters that a tenant may allow at most.
const LEAST_MAX: u16 = 16;
/// Passwords that are remembered so that they do not come again.
const MOST_HISTORY: u16 = 24;
/// Longest life of a password.
const MOST_DAYS: u16 = 3_650;
/// Characters of a name that count as one.
const SHORTEST_NAME: usize = 3;
/// So many characters in a row are a sequence.
const SEQUENCE: usize = 3;

/// What a tenant asks of passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordRules {
    /// Least number of characters.
    pub min_length: u16,
    /// Most characters; 0: as many as can be stored.
    pub max_length: u16,
    /// Of capital letters, small letters, digits and other characters so many kinds.
    pub classes: u8,
    /// A capital letter is among them.
    pub capital: bool,
    /// No three letters or digits in a row that are alike or follow each other, up or down.
    pub no_sequences: bool,
    /// Neither the account's name nor its owner's is in it.
    pub no_account_name: bool,
    /// It is none of the last so many.
    pub history: u16,
    /// Days after which it has expired; 0: it does not.
    pub lifetime_days: u16,
    /// One that has expired opens mail programs no more, either.
    pub expires_in_clients: bool,
    /// Whoever was given one by an administrator sets another one at the first sign-in.
    pub change_first: bool,
}

impl Default for PasswordRules {
    fn default() -> PasswordRules {
        PasswordRules {
            min_length: u16::try_from(MIN_PASSWORD).unwrap_or(8),
            max_length: 0,
            classes: 1,
            capital: false,
            no_sequences: false,
            no_account_name: false,
            history: 0,
            lifetime_days: 0,
            expires_in_clients: false,
            change_first: false,
        }
    }
}

/// A rule that a password breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Too few characters.
    TooShort {
        /// Least number.
        min: usize,
    },
    /// Too many characters, or bytes where no tenant says how many.
    TooLong {
        /// Most.
        max: usize,
    },
    /// Control characters.
    Control,
    /// Too few kinds of characters.
    Classes {
        /// How many kinds.
        wanted: u8,
    },
    /// No capital letter.
    Capital,
    /// A sequence of characters.
    Sequence,
    /// The name of the account or of its owner.
    AccountName,
    /// One of the last ones.
    Used {
        /// How many are looked at.
        history: u16,
    },
}

impl Broken {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Broken::TooShort { .. } => "too-short",
            Broken::TooLong { .. } => "too-long",
            Broken::Control => "control-characters",
            Broken::Classes { .. } => "classes",
            Broken::Capital => "capital",
            Broken::Sequence => "sequence",
            Broken::AccountName => "account-name",
            Broken::Used { .. } => "used-before",
        }
    }

    /// For people, in English.
    #[must_use]
    pub fn english(self) -> String {
        match self {
            Broken::TooShort { min } => format!("it has fewer than {min} characters"),
            Broken::TooLong { max } => format!("it is longer than {max}"),
            Broken::Control => "it holds control characters".to_owned(),
            Broken::Classes { wanted } => format!(
                "of capital letters, small letters, digits and other characters it has fewer than {wanted} kinds"
            ),
            Broken::Capital => "it has no capital letter".to_owned(),
            Broken::Sequence => {
                "it has three characters in a row that are alike or follow each other, such as 123 or aaa"
                    .to_owned()
            }
            Broken::AccountName => "it holds the name of the account or of its owner".to_owned(),
            Broken::Used { history } => format!("it is one of the last {history}"),
        }
    }

    /// For people, in Chinese.
    #[must_use]
    pub fn chinese(self) -> String {
        match self {
            Broken::TooShort { min } => format!("少于 {min} 个字符"),
            Broken::TooLong { max } => format!("超过 {max} 个字符"),
            Broken::Control => "含有控制字符".to_owned(),
            Broken::Classes { wanted } => {
                format!("大写字母、小写字母、数字、其他字符中至少要有 {wanted} 种")
            }
            Broken::Capital => "没有大写字母".to_owned(),
            Broken::Sequence => "含有三个相同或连续的字符，例如 123 或 aaa".to_owned(),
            Broken::AccountName => "含有帐号名或使用者姓名".to_owned(),
            Broken::Used { history } => format!("与最近 {history} 个密码之一相同"),
        }
    }
}

/// Every rule that a password breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness(pub Vec<Broken>);

impl Weakness {
    /// For people, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> String {
        self.0.iter().map(|broken| broken.chinese()).collect::<Vec<_>>().join("；")
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|broken| broken.english()).collect::<Vec<_>>().join("; "))
    }
}

/// Whose password it is to be: names that it must not hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Names<'a> {
    /// The part of the address in front of the `@`.
    pub(crate) local: &'a str,
    /// The owner's name.
    pub(crate) display: &'a str,
}

impl PasswordRules {
    /// Can they be stored?
    ///
    /// # Errors
    /// [`SignInRulesError`].
    pub fn check(&self) -> Result<(), SignInRulesError> {
        let range = |name, value: u16, least: u16, most: u16| {
            let (least32, most32) = (u32::from(least), u32::from(most));
            let is_within = (least..=most).contains(&value);
            if is_within {
                Ok(())
            } else {
                Err(SignInRulesError::Range { name, least: least32, most: most32 })
            }
        };
        range("min_length", self.min_length, u16::try_from(MIN_PASSWORD).unwrap_or(8), MOST_MIN)?;
        if self.max_length != 0 {
            range("max_length", self.max_length, LEAST_MAX.max(self.min_length), 1_024)?;
        }
        range("classes", u16::from(self.classes), 1, 4)?;
        range("history", self.history, 0, MOST_HISTORY)?;
        range("lifetime_days", self.lifetime_days, 0, MOST_DAYS)
    }

    /// Would this do as the password of an account with that name in front of the `@`, whose owner has that name? What
    /// came before is not looked at.
    #[must_use]
    pub fn accept(&self, password: &str, local: &str, display: &str) -> bool {
        self.broken_by(&crate::password::prepare(password), Names { local, display }).is_empty()
    }

    /// What a password, as it is hashed, breaks of this; what came before is not looked at.
    pub(crate) fn broken_by(&self, prepared: &str, names: Names<'_>) -> Vec<Broken> {
        let mut broken = Vec::new();
        let length = prepared.chars().count();
        let min = usize::from(self.min_length).max(MIN_PASSWORD);
        if length < min {
            broken.push(Broken::TooShort { min });
        }
        let max = usize::from(self.max_length);
        if max != 0 && length > max {
            broken.push(Broken::TooLong { max });
        } else if prepared.len() > MAX_PASSWORD {
            broken.push(Broken::TooLong { max: MAX_PASSWORD });
        }
        if prepared.chars().any(char::is_control) {
            broken.push(Broken::Control);
        }
        let kinds: [fn(char) -> bool; 4] = [char::is_uppercase, char::is_lowercase, char::is_numeric, |c| {
            !c.is_uppercase() && !c.is_lowercase() && !c.is_numeric()
        }];
        let found = kinds.into_iter().filter(|is_kind| prepared.chars().any(is_kind)).count();
        // Of an empty one there is nothing more to say.
        if found < usize::from(self.classes) && length > 0 {
            broken.push(Broken::Classes { wanted: self.classes });
        }
        if self.capital && !prepared.chars().any(char::is_uppercase) {
            broken.push(Broken::Capital);
        }
        if self.no_sequences && has_sequence(prepared) {
            broken.push(Broken::Sequence);
        }
        if self.no_account_name && holds_name(prepared, names) {
            broken.push(Broken::AccountName);
        }
        broken
    }
}

/// Three letters or digits in a row that are alike, or each one above or below the one before.
fn has_sequence(password: &str) -> bool {
    let folded: Vec<u32> = password.chars().flat_map(char::to_lowercase).map(u32::from).collect();
    folded.windows(SEQUENCE).any(|row| {
        let is_word = row.iter().all(|code| char::from_u32(*code).is_some_and(char::is_alphanumeric));
        let step = |by: i64| row.windows(2).all(|pair| i64::from(pair[1]) - i64::from(pair[0]) == by);
        is_word && (step(0) || step(1) || step(-1))
    })
}

fn holds_name(password: &str, names: Names<'_>) -> bool {
    let folded = password.to_lowercase();
    let words = names.display.split(|c: char| !c.is_alphanumeric()).chain([names.local]);
    words.map(str::to_lowercase).any(|word| {
        // A name in characters of which each is a word counts from two on.
        let shortest = if word.is_ascii() { SHORTEST_NAME } else { 2 };
        word.chars().count() >= shortest && folded.contains(&word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: PasswordRules = PasswordRules {
        min_length: 10,
        max_length: 16,
        classes: 3,
        capital: true,
        no_sequences: true,
        no_account_name: true,
        history: 3,
        lifetime_days: 90,
        expires_in_clients: false,
        change_first: true,
    };

    fn broken(password: &str) -> Vec<&'static str> {
        let names = Names { local: "ann.lee", display: "Ann Lee 李安娜" };
        STRICT.broken_by(password, names).into_iter().map(Broken::name).collect()
    }

    #[test]
    fn each_rule_is_named_that_is_broken() {
        for (password, expected) in [
            ("Rx7!kQm9zW", vec![]),
            ("Rx7!kQm9z", vec!["too-short"]),
            ("Rx7!kQm9zWRx7!kQm", vec!["too-long"]),
            ("rx7!kqm9zw", vec!["capital"]),
            ("RxekQmozWy", vec!["classes"]),
            ("rxekqmozwy", vec!["classes", "capital"]),
            ("Rx7!kQm123", vec!["sequence"]),
            ("Rx7!kQm9cBa", vec!["sequence"]),
            ("Rx7!kQm777", vec!["sequence"]),
            ("Rx7!kQann9", vec!["account-name"]),
            ("Rx7!ANN.LEE", vec!["account-name"]),
            ("Rx7!k李安娜qm9", vec!["account-name"]),
            ("a\tb", vec!["too-short", "control-characters", "classes", "capital"]),
        ] {
            assert_eq!(broken(password), expected, "{password}");
        }
        assert!(PasswordRules::default().broken_by("a good password", Names::default()).is_empty());
        // Three of other characters are no sequence.
        assert!(!has_sequence("a---b") && has_sequence("xyz") && has_sequence("XyZ") && has_sequence("321"));
    }

    #[test]
    fn each_rule_has_a_sentence_in_both_languages() {
        let every = [
            Broken::TooShort { min: 8 },
            Broken::TooLong { max: 16 },
            Broken::Control,
            Broken::Classes { wanted: 3 },
            Broken::Capital,
            Broken::Sequence,
            Broken::AccountName,
            Broken::Used { history: 5 },
        ];
        let mut sentences: Vec<String> = every.iter().flat_map(|b| [b.english(), b.chinese()]).collect();
        sentences.sort();
        sentences.dedup();
        assert_eq!(sentences.len(), 2 * every.len());
        assert_eq!(
            Weakness(every[..2].to_vec()).to_string(),
            "it has fewer than 8 characters; it is longer than 16"
        );
    }

    #[test]
    fn rules_that_cannot_be_kept_are_refused() {
        assert!(STRICT.check().is_ok() && PasswordRules::default().check().is_ok());
        for bad in [
            PasswordRules { min_length: 7, ..STRICT },
            PasswordRules { min_length: 20, max_length: 18, ..STRICT },
            PasswordRules { max_length: 8, ..STRICT },
            PasswordRules { classes: 5, ..STRICT },
            PasswordRules { classes: 0, ..STRICT },
            PasswordRules { history: 25, ..STRICT },
            PasswordRules { lifetime_days: 4_000, ..STRICT },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
