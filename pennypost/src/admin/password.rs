//! Passwords of commands: from standard input, asked for twice, or made up.

use clap::Args;
use pennypost_directory::PasswordRules;

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
    Ok(rules.fresh(local, name))
}
