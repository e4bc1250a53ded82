//! `role`, `key`, `log`, `statistics`, `plan`, `sign-in`, `session`, `second-factor`, `security`, `service`, `task`,
//! `business`, `secretary`, `invitation`, `profile`, `sending`, `footer`, `card`, `route`, `rules`, `later`: who may administer what, how people and programs come in, the log of
//! operations, statistics of mail, plans of tenants, long operations, business mailboxes and secretaries. All go through
//! [`pennypost_admin`] as the operator, whom everything is permitted, and what changes something is recorded.

mod bulletin;
mod business;
mod card;
mod contact;
mod content;
mod doctor;
mod domain;
mod domain_keys;
mod ending;
mod footer;
mod held;
mod invitation;
mod key;
mod letter;
mod log;
mod mail_reports;
mod mailing;
mod names;
mod notice;
mod order;
mod plan;
mod profile;
mod quarantine;
mod read_status;
mod role;
mod route;
mod rules;
mod rules_script;
mod scanning;
mod second_factor;
mod secretary;
mod security;
mod sending;
mod service;
mod session;
mod sign_in;
mod sign_ins;
mod statistics;
mod suppressed;
mod task;
mod terms;
#[cfg(test)]
mod tests;

use pennypost_admin::{AdminError, BadPoints, Call, Conflict, Invalid, Permission, Permissions};
use pennypost_directory::{DirectoryError, Page, Tenant};

use crate::office::Office;
use crate::text::Text;
use crate::{Failed, say};

pub use bulletin::BulletinCommand;
pub use business::BusinessCommand;
pub use card::CardCommand;
pub use contact::ContactCommand;
pub use doctor::DoctorArgs;
pub use domain::RecordsCommand;
pub(crate) use domain::run as domain;
pub use domain_keys::DkimCommand;
pub use ending::EndingCommand;
pub use footer::FooterCommand;
pub use held::HeldCommand;
pub use invitation::InvitationCommand;
pub use key::KeyCommand;
pub use letter::LetterCommand;
pub use log::LogCommand;
pub use mail_reports::MailReportCommand;
pub use mailing::MailingCommand;
pub use names::NamesCommand;
pub use notice::NoticeCommand;
pub use order::OrderCommand;
pub use plan::PlanCommand;
pub use profile::ProfileCommand;
pub use quarantine::QuarantineCommand;
pub use role::RoleCommand;
pub use route::RouteCommand;
pub use rules::RulesCommand;
pub use scanning::ScanningCommand;
pub use second_factor::SecondFactorCommand;
pub use secretary::SecretaryCommand;
pub use security::SecurityCommand;
pub use sending::SendingCommand;
pub use service::ServiceCommand;
pub use session::SessionCommand;
pub use sign_in::SignInCommand;
pub use statistics::StatisticsCommand;
pub use suppressed::SuppressedCommand;
pub use task::TaskCommand;
pub use terms::TermsCommand;

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
        AdminError::NotFound(what) => say!(text, "administration-missing", what = what.replace(' ', "-")),
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
        AdminError::Invalid(Invalid::Purchase) => say!(text, "order-bad"),
        AdminError::Invalid(Invalid::Bulletin { title, text: most }) => {
            say!(text, "bulletin-bad", title = title, most = most)
        }
        AdminError::Invalid(Invalid::ContactField { limit }) => say!(text, "contact-bad", limit = limit),
        AdminError::Invalid(Invalid::Terms { limit }) => say!(text, "terms-bad", limit = limit),
        AdminError::Conflict(Conflict::OrderOver) => say!(text, "order-over"),
        AdminError::Conflict(Conflict::OrderDecided) => say!(text, "order-decided"),
        AdminError::Conflict(Conflict::Tried) => say!(text, "order-tried"),
        AdminError::Conflict(Conflict::NoPlan) => say!(text, "order-no-plan"),
        AdminError::Invalid(Invalid::Order) => say!(text, "order-impossible"),
        AdminError::Invalid(Invalid::Approval) => say!(text, "order-approval"),
        AdminError::Conflict(Conflict::ErasingBegun) => say!(text, "ending-begun"),
        AdminError::Invalid(Invalid::Reason { limit }) => say!(text, "reason-bad", limit = limit),
        AdminError::Invalid(Invalid::Grace { least, most }) => {
            say!(text, "ending-grace", least = least, most = most)
        }
        AdminError::Invalid(Invalid::OrderDays { most }) => say!(text, "ending-days", most = most),
        AdminError::Invalid(Invalid::NoLetter) => say!(text, "letters-none"),
        AdminError::Invalid(Invalid::NotOfAccounts) => say!(text, "functions-of-accounts"),
        AdminError::Invalid(Invalid::Past) => say!(text, "key-past"),
        AdminError::Conflict(Conflict::ServiceUnsaid) => say!(text, "service-unsaid"),
        AdminError::Conflict(Conflict::DomainOwned) => say!(text, "domain-owned"),
        AdminError::Conflict(Conflict::DomainLocked) => say!(text, "domain-locked"),
        AdminError::Conflict(Conflict::NotConfirmed) => say!(text, "not-confirmed"),
        AdminError::Conflict(Conflict::TaskOver) => say!(text, "task-over"),
        AdminError::Conflict(Conflict::ReceiptAnswered) => say!(text, "receipt-answered"),
        AdminError::Conflict(Conflict::RulesRunning) => say!(text, "rules-running"),
        AdminError::Conflict(Conflict::LettersFull { letters, megabytes }) => {
            say!(text, "held-full", letters = letters, megabytes = megabytes)
        }
        AdminError::Conflict(Conflict::LetterGone) => say!(text, "held-gone"),
        AdminError::Conflict(Conflict::LetterBack) => say!(text, "held-back"),
        AdminError::Conflict(Conflict::LetterUnsent) => say!(text, "held-unsent"),
        AdminError::Invalid(Invalid::SendTime { days }) => say!(text, "held-time", days = days),
        AdminError::Invalid(Invalid::UndoWindow { least, most }) => {
            say!(text, "held-window", least = least, most = most)
        }
        AdminError::Conflict(Conflict::NoResult) => say!(text, "task-no-result"),
        AdminError::File { name, error } => error.message(text, &name),
        AdminError::Mailing(problem) => problem.message(text),
        AdminError::Route(problem) => problem.message(text),
        AdminError::Footer(problem) => pennypost_admin::say_footer(&problem.fault, text),
        AdminError::Content(problem) => {
            let cause = pennypost_admin::say_content(&problem.fault, text);
            match problem.pointer.as_str() {
                "" => cause,
                place => say!(text, "content-at", place = place, cause = cause),
            }
        }
        AdminError::Invalid(Invalid::NoRows) => say!(text, "task-no-rows"),
        AdminError::NoTasks => say!(text, "task-nowhere"),
        AdminError::NoTraces => say!(text, "statistics-nowhere"),
        AdminError::NoMail => say!(text, "notice-no-mail"),
        AdminError::Invalid(Invalid::Receiver) => say!(text, "notice-receiver"),
        AdminError::Invalid(Invalid::Subscription { limit }) => {
            say!(text, "notice-subscription", limit = limit)
        }
        AdminError::Conflict(Conflict::PasswordAndInvitation) => say!(text, "password-and-invitation"),
        AdminError::Conflict(Conflict::CreatorLeaves) => say!(text, "creator-leaves"),
        AdminError::Conflict(Conflict::NamesGiven) => say!(text, "names-given"),
        AdminError::Conflict(Conflict::NotInPlan(function)) => {
            say!(text, "plan-not-in", function = function.name())
        }
        AdminError::Conflict(Conflict::PlanDomains(limit)) => say!(text, "plan-domains", limit = limit),
        AdminError::NoLookUps => say!(text, "no-look-ups"),
        AdminError::NoSealing => say!(text, "no-sealing"),
        AdminError::NoKeyMade(cause) => say!(text, "domain-key-not-made", cause = cause),
        AdminError::Conflict(Conflict::KeyWaits) => say!(text, "domain-key-waits"),
        AdminError::Invalid(Invalid::ScanPoints(BadPoints::Range)) => say!(text, "scanning-points"),
        AdminError::Invalid(Invalid::ScanPoints(BadPoints::Order)) => say!(text, "scanning-order"),
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
        // Passkeys are shown in browsers only.
        AdminError::Passkey(_)
        | AdminError::Invalid(Invalid::Passkey(_) | Invalid::NoPasskey)
        | AdminError::Conflict(Conflict::PasskeyKnown) => say!(text, "passkey-wrong"),
        AdminError::Conflict(Conflict::BoundElsewhere) => say!(text, "binding-elsewhere"),
        AdminError::Provider(error) => say!(text, "provider-failed", cause = error.to_string()),
        AdminError::Invalid(Invalid::Issuer) => say!(text, "provider-issuer"),
        AdminError::Invalid(Invalid::ProviderSecret { limit }) => {
            say!(text, "provider-secret", limit = limit)
        }
        AdminError::Conflict(Conflict::NoMobile | Conflict::MobileIsFactor) => say!(text, "mobile-refused"),
        // These are done over HTTP only.
        AdminError::Conflict(
            Conflict::NoTrials | Conflict::TrialGiven | Conflict::NoSignUps | Conflict::Readdressed,
        )
        | AdminError::Invalid(Invalid::Label | Invalid::NotAccepted { .. } | Invalid::SignUp) => {
            say!(text, "sign-up-refused")
        }
        AdminError::Conflict(Conflict::TrialOnly) => say!(text, "trial-only"),
        AdminError::Conflict(Conflict::NoSms) => say!(text, "sms-none"),
        AdminError::Sms(cause) => say!(text, "sms-failed", cause = cause.to_string()),
        AdminError::NotTried => say!(text, "invitation-not-tried"),
        AdminError::Recovery(_) | AdminError::TooManyLetters | AdminError::TooManyMessages => {
            say!(text, "recovery-refused")
        }
        AdminError::Conflict(Conflict::NotFromHere) => say!(text, "recovery-elsewhere"),
        AdminError::Conflict(Conflict::MayNotForward) => say!(text, "forward-not-allowed"),
        AdminError::Conflict(Conflict::PasswordSet) => say!(text, "sign-in-old-password"),
        AdminError::Invalid(Invalid::NoMailbox) => say!(text, "recovery-no-mailbox"),
        AdminError::Invalid(Invalid::OwnAddress) => say!(text, "recovery-own-address"),
        AdminError::Conflict(Conflict::NeedsSeat) => say!(text, "friend-needs-seat"),
        AdminError::Conflict(Conflict::SendsInside) => say!(text, "friend-sends-inside"),
        AdminError::Conflict(Conflict::NotInGroup) => say!(text, "friend-not-in-group"),
        AdminError::Conflict(Conflict::WantsNoMore) => say!(text, "friend-wants-no-more"),
        AdminError::Conflict(Conflict::NoPages) => say!(text, "service-no-pages"),
    })
}

/// The same, for commands that act on the directory.
pub(crate) fn message_of(error: AdminError, text: &Text) -> crate::admin::AdminError {
    match error {
        AdminError::Directory(error) => error.into(),
        other => crate::admin::AdminError::Said(refused(other, text).message(text)),
    }
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
    /// Notices of new mail for other programs: who is told, how that goes; unread letters of members
    #[command(subcommand)]
    Notice(NoticeCommand),
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
    /// When tenants end, what is erased then, and what stands in the way of it
    #[command(subcommand)]
    Ending(EndingCommand),
    /// What an organisation says of itself: contact address and logo
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Under which names the world reaches this post office: what domains have to point at
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Say what receivers dislike about the letters of a domain, and what to do about it
    Doctor(DoctorArgs),
    /// Long operations: how far they have come, and what came of them
    #[command(subcommand)]
    Task(TaskCommand),
    /// Terms of service: versions, and which tenants have accepted them
    #[command(subcommand)]
    Terms(TermsCommand),
    /// Bulletins for administrators: maintenance, notices, warnings
    #[command(subcommand)]
    Bulletin(BulletinCommand),
    /// Whom administrators turn to: the operator, or the reseller of a tenant
    #[command(subcommand)]
    Contact(ContactCommand),
    /// Orders of plans
    #[command(subcommand)]
    Order(OrderCommand),
    /// Letters of a member that the operator hides, shows again or deletes
    #[command(subcommand)]
    Letter(LetterCommand),
    /// Letters to others outside the organisation: who sends none, how often the others may
    #[command(subcommand)]
    Sending(SendingCommand),
    /// Footers and the disclaimer that stand in members' letters
    #[command(subcommand)]
    Footer(FooterCommand),
    /// Cards of members that stand in their letters
    #[command(subcommand)]
    Card(CardCommand),
    /// By which servers the letters of a tenant go to other servers: by DNS, a smart host, Amazon SES
    #[command(subcommand)]
    Route(RouteCommand),
    /// Letters of a member that go later, what became of those that he has sent, and for how long he can take them back
    #[command(subcommand)]
    Later(HeldCommand),
    /// Personalised mass mail of a member: a letter for each row of a table
    #[command(subcommand)]
    Mailing(MailingCommand),
    /// What other organisations report of the mail: DMARC, TLS, complaints
    #[command(subcommand)]
    MailReport(MailReportCommand),
    /// Addresses elsewhere to which no mass mail is sent any more
    #[command(subcommand)]
    Suppressed(SuppressedCommand),
    /// Rules and lists of senders of a member, for the letters that come in
    #[command(subcommand)]
    Rules(RulesCommand),
    /// What is done with what scanners for viruses and spam find
    #[command(subcommand)]
    Scanning(ScanningCommand),
    /// Letters in quarantine: list, look, release, delete
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Whose names members' letters bear, and in which form
    #[command(subcommand)]
    Names(NamesCommand),
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
        AdministrationCommand::Invitation(command) => {
            // On the heap: it is large.
            Box::pin(invitation::run(office, command, text, output)).await
        }
        AdministrationCommand::Notice(command) => notice::run(office, command, text, output).await,
        AdministrationCommand::Log(command) => log::run(office, command, text, output).await,
        AdministrationCommand::Statistics(command) => statistics::run(office, command, text, output).await,
        AdministrationCommand::SignIn(command) => sign_in::run(office, command, text, output).await,
        AdministrationCommand::Session(command) => session::run(office, command, text, output).await,
        AdministrationCommand::SecondFactor(command) => {
            second_factor::run(office, command, text, output).await
        }
        AdministrationCommand::Security(command) => security::run(office, command, text, output).await,
        AdministrationCommand::Plan(command) => Box::pin(plan::run(office, command, text, output)).await,
        AdministrationCommand::Ending(command) => ending::run(office, command, text, output).await,
        AdministrationCommand::Profile(command) => profile::run(office, command, text, output).await,
        AdministrationCommand::Service(command) => service::run(office, command, text, output).await,
        AdministrationCommand::Doctor(args) => Box::pin(doctor::run(office, args, text, output)).await,
        AdministrationCommand::Task(command) => task::run(office, command, text, output).await,
        AdministrationCommand::Terms(command) => terms::run(office, command, text, output).await,
        AdministrationCommand::Scanning(command) => scanning::run(office, command, text, output).await,
        AdministrationCommand::Quarantine(command) => quarantine::run(office, command, text, output).await,
        AdministrationCommand::Bulletin(command) => bulletin::run(office, command, text, output).await,
        AdministrationCommand::Contact(command) => contact::run(office, command, text, output).await,
        AdministrationCommand::Order(command) => order::run(office, command, text, output).await,
        AdministrationCommand::Letter(command) => Box::pin(letter::run(office, command, text, output)).await,
        AdministrationCommand::Sending(command) => {
            Box::pin(sending::run(office, command, text, output)).await
        }
        AdministrationCommand::Footer(command) => Box::pin(footer::run(office, command, text, output)).await,
        AdministrationCommand::Card(command) => Box::pin(card::run(office, command, text, output)).await,
        AdministrationCommand::Route(command) => Box::pin(route::run(office, command, text, output)).await,
        AdministrationCommand::Rules(command) => Box::pin(rules::run(office, command, text, output)).await,
        AdministrationCommand::Later(command) => Box::pin(held::run(office, command, text, output)).await,
        AdministrationCommand::Mailing(command) => {
            Box::pin(mailing::run(office, command, text, output)).await
        }
        AdministrationCommand::Suppressed(command) => {
            Box::pin(suppressed::run(office, command, text, output)).await
        }
        AdministrationCommand::MailReport(command) => {
            Box::pin(mail_reports::run(office, command, text, output)).await
        }
        AdministrationCommand::Names(command) => names::run(office, command, text, output).await,
    }
}
