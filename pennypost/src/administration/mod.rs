//! `role`, `key`, `log`, `statistics`, `plan`, `sign-in`, `session`, `second-factor`, `security`, `service`, `task`,
//! `business`, `secretary`, `invitation`, `profile`: who may administer what, how people and programs come in, the log of
//! operations, statistics of mail, plans of tenants, long operations, business mailboxes and secretaries. All go through
//! [`pennypost_admin`] as the operator, whom everything is permitted, and what changes something is recorded.

mod business;
mod domain;
mod domain_keys;
mod invitation;
mod key;
mod log;
mod plan;
mod profile;
mod role;
mod second_factor;
mod secretary;
mod security;
mod service;
mod session;
mod sign_in;
mod sign_ins;
mod statistics;
mod task;
#[cfg(test)]
mod tests;

use pennypost_admin::{AdminError, Call, Conflict, Invalid, Permission, Permissions};
use pennypost_directory::{DirectoryError, Page, Tenant};

use crate::office::Office;
use crate::text::Text;
use crate::{Failed, say};

pub use business::BusinessCommand;
pub use domain::RecordsCommand;
pub(crate) use domain::run as domain;
pub use domain_keys::DkimCommand;
pub use invitation::InvitationCommand;
pub use key::KeyCommand;
pub use log::LogCommand;
pub use plan::PlanCommand;
pub use profile::ProfileCommand;
pub use role::RoleCommand;
pub use second_factor::SecondFactorCommand;
pub use secretary::SecretaryCommand;
pub use security::SecurityCommand;
pub use service::ServiceCommand;
pub use session::SessionCommand;
pub use sign_in::SignInCommand;
pub use statistics::StatisticsCommand;
pub use task::TaskCommand;

const OPERATOR: Call = Call::of_operator();

/// The tenant of that name or id, or the only one there is.
async fn tenant(office: &Office, name: Option<&str>, text: &Text) -> Result<Tenant, Failed> {
    if let Some(name) = name {
        let found = office.directory.tenant_named(name).await?;
        return found.ok_or_else(|| Failed::Said(say!(text, "error-no-tenant", name = name)));
    }
    let mut tenants = office.directory.tenants(&Page { after: None, limit: 2 }).await?.items;
    match (tenants.pop(), tenants.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Failed::Said(say!(text, "error-which-tenant"))),
        (None, _) => Err(Failed::Said(say!(text, "error-no-tenant-yet"))),
    }
}

fn permissions(texts: &[Permission]) -> Permissions {
    texts.iter().copied().collect()
}

fn shown(permissions: &Permissions) -> Vec<String> {
    permissions.iter().map(|one| one.to_string()).collect()
}

/// Why administration refused, in the person's language.
fn refused(error: AdminError, text: &Text) -> Failed {
    Failed::Said(match error {
        AdminError::Directory(error) => return error.into(),
        AdminError::NotFound(what) => say!(text, "administration-missing", what = what),
        // The operator may everything: only somebody else's work at the same time stands in the way.
        AdminError::Denied(_) | AdminError::Changed => return DirectoryError::Contended.into(),
        AdminError::Conflict(Conflict::RoleTaken) => say!(text, "role-taken"),
        AdminError::Conflict(Conflict::RoleHeld) => say!(text, "role-held"),
        AdminError::Conflict(Conflict::ExcludesYou) => say!(text, "sign-in-excludes-you"),
        AdminError::Conflict(Conflict::NoRecord) => say!(text, "sign-ins-no-record"),
        AdminError::Conflict(Conflict::Forced) => say!(text, "sign-in-secure-forced"),
        AdminError::OldPassword(_) => say!(text, "sign-in-old-password"),
        AdminError::Invalid(Invalid::Name { limit }) => say!(text, "error-name", limit = limit),
        AdminError::Invalid(Invalid::Permissions) => say!(text, "role-permissions"),
        AdminError::Invalid(Invalid::NoRole) => say!(text, "administration-missing", what = "role"),
        AdminError::Invalid(Invalid::NoAccount) => say!(text, "administration-missing", what = "account"),
        AdminError::Invalid(Invalid::TooMany { limit }) => say!(text, "error-too-many", limit = limit),
        AdminError::Invalid(Invalid::Past) => say!(text, "key-past"),
        AdminError::Conflict(Conflict::ServiceUnsaid) => say!(text, "service-unsaid"),
        AdminError::Conflict(Conflict::DomainOwned) => say!(text, "domain-owned"),
        AdminError::Conflict(Conflict::DomainLocked) => say!(text, "domain-locked"),
        AdminError::Conflict(Conflict::NotConfirmed) => say!(text, "not-confirmed"),
        AdminError::Conflict(Conflict::TaskOver) => say!(text, "task-over"),
        AdminError::Conflict(Conflict::NoResult) => say!(text, "task-no-result"),
        AdminError::File { name, error } => error.message(text, &name),
        AdminError::Invalid(Invalid::NoRows) => say!(text, "task-no-rows"),
        AdminError::NoTasks => say!(text, "task-nowhere"),
        AdminError::NoTraces => say!(text, "statistics-nowhere"),
        AdminError::Conflict(Conflict::CreatorLeaves) => say!(text, "creator-leaves"),
        AdminError::Conflict(Conflict::NotInPlan(function)) => {
            say!(text, "plan-not-in", function = function.name())
        }
        AdminError::NoLookUps => say!(text, "no-look-ups"),
        AdminError::NoSealing => say!(text, "no-sealing"),
        AdminError::NoKeyMade(cause) => say!(text, "domain-key-not-made", cause = cause),
        AdminError::Conflict(Conflict::KeyWaits) => say!(text, "domain-key-waits"),
        AdminError::Invalid(Invalid::TlsPolicy) => say!(text, "domain-tls-bad"),
        AdminError::Invalid(Invalid::KeyRotation) => say!(text, "domain-key-rotation-bad"),
        AdminError::Service(cause) => say!(text, "service-bad", cause = cause),
        AdminError::Invalid(Invalid::SessionLife) => say!(text, "session-life"),
        AdminError::Invalid(Invalid::NoFactor) => say!(text, "second-factor-none"),
        AdminError::Invalid(Invalid::OwnRequest) | AdminError::NeedsSecond => {
            say!(text, "second-administrator")
        }
        AdminError::Invalid(Invalid::LargeOrder { limit }) => say!(text, "order-large", limit = limit),
        AdminError::Invalid(Invalid::Contact { limit }) => say!(text, "profile-contact", limit = limit),
        AdminError::Invalid(Invalid::Logo { limit }) => say!(text, "profile-logo", limit = limit),
        AdminError::Code(_) => say!(text, "code-wrong"),
    })
}

/// What administration does as a service.
#[derive(Debug, clap::Subcommand)]
pub enum AdministrationCommand {
    /// Keys with which programs call the admin API
    #[command(subcommand)]
    Key(KeyCommand),
    /// Roles of administrators, and who holds them
    #[command(subcommand)]
    Role(RoleCommand),
    /// Business mailboxes: for functions, used by members
    #[command(subcommand)]
    Business(BusinessCommand),
    /// Secretaries: members who act for another one
    #[command(subcommand)]
    Secretary(SecretaryCommand),
    /// Joining by invitation: rules, invitations, who applies, members without a password
    #[command(subcommand)]
    Invitation(InvitationCommand),
    /// The log of what administrators did, and of sign-ins
    #[command(subcommand)]
    Log(LogCommand),
    /// Statistics of mail: what was received and sent, what mailboxes hold, the report of a month
    #[command(subcommand)]
    Statistics(StatisticsCommand),
    /// Passwords, locks, addresses from which to sign in, secure sign-in
    #[command(subcommand, name = "sign-in")]
    SignIn(SignInCommand),
    /// Sessions over HTTP
    #[command(subcommand)]
    Session(SessionCommand),
    /// Second factors of members
    #[command(subcommand, name = "second-factor")]
    SecondFactor(SecondFactorCommand),
    /// How long sessions last, of whom a second factor is wanted, when it takes two administrators
    #[command(subcommand)]
    Security(SecurityCommand),
    /// Plans of tenants: editions, seats, capacities, what was paid; who has a VIP seat
    #[command(subcommand)]
    Plan(PlanCommand),
    /// What an organisation says of itself: contact address and logo
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Under which names the world reaches this post office: what domains have to point at
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Long operations: how far they have come, and what came of them
    #[command(subcommand)]
    Task(TaskCommand),
}

/// Does what was asked.
pub(crate) async fn run(
    office: &Office,
    command: &AdministrationCommand,
    text: &Text,
    output: &mut crate::print::Output<'_>,
) -> Result<(), Failed> {
    match command {
        AdministrationCommand::Key(command) => key::run(office, command, text, output).await,
        AdministrationCommand::Role(command) => role::run(office, command, text, output).await,
        AdministrationCommand::Business(command) => business::run(office, command, text, output).await,
        AdministrationCommand::Secretary(command) => secretary::run(office, command, text, output).await,
        AdministrationCommand::Invitation(command) => invitation::run(office, command, text, output).await,
        AdministrationCommand::Log(command) => log::run(office, command, text, output).await,
        AdministrationCommand::Statistics(command) => statistics::run(office, command, text, output).await,
        AdministrationCommand::SignIn(command) => sign_in::run(office, command, text, output).await,
        AdministrationCommand::Session(command) => session::run(office, command, text, output).await,
        AdministrationCommand::SecondFactor(command) => {
            second_factor::run(office, command, text, output).await
        }
        AdministrationCommand::Security(command) => security::run(office, command, text, output).await,
        AdministrationCommand::Plan(command) => plan::run(office, command, text, output).await,
        AdministrationCommand::Profile(command) => profile::run(office, command, text, output).await,
        AdministrationCommand::Service(command) => service::run(office, command, text, output).await,
        AdministrationCommand::Task(command) => task::run(office, command, text, output).await,
    }
}
