//! Passwords of commands: from standard input, asked for twice, or made up.

use clap::Args;
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
    pub(crate) fn choose(self, context: &AdminContext<'_>, address: &str) -> Result<Chosen, AdminError> {
        if self.generate_password {
            return Ok(Chosen { password: generate(), is_generated: true });
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

/// Letters and digits that are not taken for each other.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// A fresh password: five groups of four characters, 99 bits.
pub(crate) fn generate() -> String {
    let mut random = rand::rng();
    let mut group = || -> String {
        (0..4).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
    };
    (0..5).map(|_| group()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::generate;

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let (one, other) = (generate(), generate());
        assert_eq!(one.len(), 24);
        assert_ne!(one, other);
        assert!(one.bytes().all(|byte| byte == b'-' || super::ALPHABET.contains(&byte)));
    }
}
