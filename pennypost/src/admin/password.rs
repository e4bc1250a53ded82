//! Passwords of commands: from standard input, asked for twice, or made up.

use clap::Args;
use pennypost_directory::PasswordRules;
use rand::Rng;

use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Where a password comes from; without either it is asked for at the terminal, twice.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct PasswordArgs {
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// Make a password up and print it once
    #[arg(long, conflicts_with = "password_stdin")]
    pub generate_password: bool,
}

/// A password, and whether it has to be shown because nobody knows it yet.
pub(crate) struct Chosen {
    pub(crate) password: String,
    pub(crate) is_generated: bool,
}

impl PasswordArgs {
    pub(crate) async fn choose(
        self,
        context: &AdminContext<'_>,
        address: &str,
        name: &str,
    ) -> Result<Chosen, AdminError> {
        if self.generate_password {
            let password = made_up(context, address, name).await?;
            return Ok(Chosen { password, is_generated: true });
        }
        let failed = |cause: std::io::Error| {
            AdminError::Said(say!(context.text, "error-password-input", cause = cause.to_string()))
        };
        if self.password_stdin {
            let line = context.console.read_line().map_err(failed)?;
            let missing = || AdminError::Said(say!(context.text, "error-password-stdin"));
            return Ok(Chosen { password: line.ok_or_else(missing)?, is_generated: false });
        }
        let failed = |cause: std::io::Error| {
            AdminError::Said(say!(context.text, "error-password-terminal", cause = cause.to_string()))
        };
        let prompt = format!("{} ", say!(context.text, "prompt-password", address = address));
        let password = context.console.ask_secret(&prompt).map_err(failed)?;
        let again = format!("{} ", say!(context.text, "prompt-password-again"));
        if context.console.ask_secret(&again).map_err(failed)? != password {
            return Err(AdminError::Said(say!(context.text, "error-password-twice")));
        }
        Ok(Chosen { password, is_generated: false })
    }
}

/// A fresh password that the rules of the address's tenant accept.
pub(crate) async fn made_up(
    context: &AdminContext<'_>,
    address: &str,
    name: &str,
) -> Result<String, AdminError> {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let rules = match context.directory.domain(domain).await {
        Ok(Some(domain)) => context.directory.sign_in_rules(domain.tenant).await?.passwords,
        // What is wrong with the address is told when it is used.
        _ => PasswordRules::default(),
    };
    Ok(generate(&rules, local, name))
}

/// Letters and digits that are not taken for each other.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// Capital letters that are not, either: for rules that ask for them.
const CAPITALS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
/// Characters of a password where rules ask for neither more nor fewer.
const LENGTH: usize = 24;
/// How often one is thrown away that breaks a rule by chance.
const TRIES: usize = 1_000;

/// A fresh password that follows the rules: where they leave room for it five groups of four characters, 99 bits.
fn generate(rules: &PasswordRules, local: &str, name: &str) -> String {
    let most = if rules.max_length == 0 { usize::MAX } else { usize::from(rules.max_length) };
    let length = LENGTH.max(usize::from(rules.min_length)).min(most);
    let has_capitals = rules.capital || rules.classes > 3;
    let mut password = String::new();
    for _ in 0..TRIES {
        password = random(length, has_capitals);
        if rules.accept(&password, local, name) {
            break;
        }
    }
    password
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
    use pennypost_directory::PasswordRules;

    use super::{ALPHABET, generate};

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let fresh = || generate(&PasswordRules::default(), "ann", "Ann");
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
                let password = generate(&rules, "ann", "Ann Lee");
                assert!(rules.accept(&password, "ann", "Ann Lee") && password.len() == length, "{password}");
            }
        }
    }
}
