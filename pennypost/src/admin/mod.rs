//! The subcommands with which an administrator looks after tenants, domains, accounts, aliases, groups and
//! policies. They act on the directory, through the control port, and work while the server runs.
//!
//! Each entity has a file with its clap enum and a `run`. What is printed for people comes from the
//! catalogue in [`crate::text`]; with `--json` the same facts go out as one JSON document, lists as JSON
//! lines. If the process dies, what was reported is durable and everything else may be repeated.

pub mod account;
pub mod alias;
pub mod client_setup;
pub mod clients;
pub mod context;
mod csv_import;
pub mod department;
pub mod domain;
pub mod error;
pub mod group;
pub mod life;
pub mod limits;
pub mod organisation;
mod output;
mod password;
pub mod policy;
pub mod tag;
pub mod tenant;
pub mod token;

#[cfg(test)]
mod tests;

use clap::Subcommand;

pub use context::{AdminContext, Console, EmptyAccount, OpenAccount, Terminal};
pub use error::AdminError;

/// The administrator's subcommands, to be flattened into the program's.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Tenants: organisations with domains and accounts of their own
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Mail domains
    #[command(subcommand)]
    Domain(domain::DomainCommand),
    /// Accounts: add, list, import, change
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Aliases: further addresses of accounts
    #[command(subcommand)]
    Alias(alias::AliasCommand),
    /// Departments of an organisation, and who is in them
    #[command(subcommand, visible_alias = "ou")]
    Department(department::DepartmentCommand),
    /// A whole organisation: import it from tables, export it into tables
    #[command(subcommand)]
    Organisation(organisation::OrganisationCommand),
    /// Tags over departments and accounts
    #[command(subcommand)]
    Tag(tag::TagCommand),
    /// Groups: addresses of many accounts
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// What a tenant lets in: black and white list, subject filter, DMARC, junk
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
}

impl AdminCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`]; say it with [`AdminError::message`] and exit with 1.
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            AdminCommand::Tenant(command) => Box::pin(command.run(context)).await,
            AdminCommand::Domain(command) => Box::pin(command.run(context)).await,
            AdminCommand::Account(command) => Box::pin(command.run(context)).await,
            AdminCommand::Alias(command) => Box::pin(command.run(context)).await,
            AdminCommand::Department(command) => Box::pin(command.run(context)).await,
            AdminCommand::Organisation(command) => Box::pin(command.run(context)).await,
            AdminCommand::Tag(command) => Box::pin(command.run(context)).await,
            AdminCommand::Group(command) => Box::pin(command.run(context)).await,
            AdminCommand::Policy(command) => Box::pin(command.run(context)).await,
        }
    }
}
