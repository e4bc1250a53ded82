//! Administration as a service: who may do what, and the log of what was done. The API and the command line both go
//! through here.
//!
//! Owns these control items; `T` is the tenant's id, `A` an account's:
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `T` | `creator` | the account that is the tenant's creator (ADM-06) |
//! | `T/roles` | id | a [`Role`]: a name and permissions (ADM-09) |
//! | `T/grants` | `A` | what that account was made: super admin, roles with their reach (ADM-07, ADM-08, ADM-10) |
//! | `T/keys`, `installation/keys` | id | an [`ApiKey`] and the hash of its secret |
//! | `T/key-uses`, `installation/key-uses` | id | when the key was last used, to the hour |
//! | `T/operations`, `installation/operations` | number | a [`Record`] of the log ([`operations`]) |
//! | `T`, `installation` | `operations-end` | a hint where that log ends |
//! | `T` | `security` | the [`SecurityRules`] of sessions, second factors and four eyes |
//! | `T`, `installation` | `contact` | whom administrators turn to (`contact`) |
//! | `T` | `last-week` | the figures of the week before the day on which they were made (`home`) |
//! | `T` | `profile` | what the organisation says of itself (TEN-12) |
//! | `T/requests-for-second` | id | a [`Pending`] operation that waits for a second administrator ([`requests`]) |
//! | `T/tickets` | digest | a ticket with which a member is let in, for a minute (`tickets`) |
//! | `T` | `routes` | by which servers its letters go to other servers (`pennypost_outbound`, `routes`) |
//! | `T` | `providers` | the providers of identities, with sealed secrets (`providers`) |
//! | `T/provider-requests` | digest | a browser that a provider is to send back (`provider_sign_in`) |
//! | `T` | `subscriptions` | the subscriptions to notices of new mail (`pennypost_hooks`) |
//! | `T/purchases` | id, the newest first | a [`Purchase`]: an order of a plan (PLN-08) |
//! | `T/terms-accepted` | version, account | who has accepted which [`Terms`] of service (TEN-08) |
//! | `installation/terms` | version | [`Terms`] of service |
//! | `installation/bulletins`, `installation/bulletins-for-some` | id | a [`Bulletin`] of the operator (`bulletins`) |
//! | `T/bulletins`, `T/bulletins-read` | id, `A/ID`, `A` | which are for the tenant, and who has read which |
//! | `T` | `trial-domain` | its [`Trial`] domain (DOM-01) |
//! | `T` | `readdressed-creator` | that its creator has changed the own address (ORG-03) |
//! | `installation/choices` | digest | who chooses between organisations, for five minutes (`choosing`) |
//! | `installation/sign-ups` | digest | who signs up, until there is a tenant (`sign_up`) |
//! | `T/tasks` | id, the newest first | a [`Task`]: a long operation and how far it has come (`tasks`) |
//! | `T/mail-days` | day | what the tenant and its domains received and sent on a day (`statistics`) |
//! | `T/mail-day-members` | day, sheet, number | what its members did |
//! | `T/mailbox-use-days` | day | what all mailboxes held on a day |
//! | `T/mailbox-use` | sheet, number | what each of them held when it was looked at last |
//!
//! and the objects `T/task/ID/…`, which a task reads, and which it leaves to be read.
//!
//! Invariants:
//! - Everything that is done here for an [`Actor`] was allowed by [`authorise()`], which says no unless a rule says yes;
//!   everything that changes something was recorded before it was done.
//! - Nobody gives away what he has not, and nobody gets at the credentials of an account that can do more than he.
//! - What belongs to another tenant is told to be not there.
//! - A tenant has one creator at most. The secret of a key is stored as its hash only.
//!
//! If the process dies at any line: what was answered is durable; what was ordered in the log may not have been done.

mod accounts;
mod action;
mod addresses;
mod authorise;
mod automatic;
mod bulletins;
mod business;
mod call;
mod choosing;
mod colleagues;
mod contact;
mod contents;
mod departments;
mod digest;
mod domain_keys;
mod domains;
mod ending;
mod erasing;
mod error;
mod factors;
mod footers;
mod friends;
mod grants;
mod held;
mod home;
mod inviting;
mod joining;
mod keys;
mod last_week;
mod limits;
mod mail;
mod mail_reports;
mod mailings;
mod members;
mod mobiles;
mod notices;
pub mod operations;
mod orders;
mod own_letters;
mod own_prefix;
mod own_received;
mod passkeys;
mod people;
mod permission;
mod picker;
mod plans;
mod profile;
mod provider_sign_in;
mod providers;
mod provisioning;
mod purchases;
mod quarantine;
mod read_status;
mod reads;
mod receiving;
mod recovery;
mod recycle_bin;
pub mod requests;
mod roles;
mod routes;
mod secretaries;
mod security;
mod sending;
mod ses;
mod sessions;
mod sight;
mod sign_in;
mod sign_in_statistics;
mod sign_up;
mod statistics;
mod store;
mod subscriptions;
mod suppressed;
mod tags;
mod tasks;
mod telling;
mod tenants;
mod terms;
mod tickets;
mod tls_policies;
mod trial;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_directory::{Directory, DomainName};
use pennypost_ports::{Clock, Control, Ids, Log, Objects, Queue, Secrets};
use tokio::sync::Semaphore;

pub use accounts::{AccountChange, NewAccount, NewToken};
pub use action::{Action, Target};
pub use authorise::{
    Actor, Authority, Decision, Granted, Means, Presence, Reach, Scope, Standing, Why, authorise,
};
pub use automatic::{SeenAutomatic, way_names};
pub use bulletins::{
    Bulletin, BulletinKind, BulletinText, MAX_BULLETIN_TENANTS, MAX_BULLETIN_TEXT, MAX_BULLETIN_TITLE,
    NewBulletin, ReadBulletins, SeenBulletin,
};
pub use business::NewBusinessMailbox;
pub use call::Call;
pub use choosing::{Choice, Chosen};
pub use colleagues::Colleagues;
pub use contact::Contact;
pub use contents::{MAX_CONTENT_TRIAL, TriedContents, TriedRule, content_condition, say_content};
pub use departments::SeenDepartments;
pub use domains::{DomainRecords, DomainRules, Outside, REMOVED_AT_ONCE, removal_code};
pub use ending::{
    EndCause, EndState, Ending, EndingRules, ErasedCounts, ErasureOrder, LEAST_GRACE_DAYS, LegalHold,
};
pub use erasing::{KEPT as KEPT_PARTITIONS, PARTITIONS};
pub use error::{AdminError, Conflict, Invalid};
pub use footers::say_footer;
pub use friends::SeenFriend;
pub use grants::{Grant, Grants, MAX_GRANTS, MAX_REACH};
pub use held::SeenHeld;
pub use home::{Before, BulletinsOnHome, DomainOnHome, EditionCard, GuideStep, Home, PlanCard, Reminder};
pub use inviting::{InvitationWay, MAX_INVITED};
pub use joining::{Accepted, Leads, SeenInvitation};
pub use keys::{ApiKey, Holder, KeyId, MAX_KEYS, NewKey, NotAuthentic};
pub use last_week::LastWeek;
pub use limits::Names;
pub use mail::{
    Copied, Copying, FoundLetter, LetterHead, LettersDone, Mail, MailboxCount, RulesRan, RulesRun, RunPlace,
    SeenLetter, ToCopy,
};
pub use mail_reports::{HeardQuery, heard_reports_csv};
pub use mailings::{MailingLetter, MailingProblem, NewBody, NewMailing, Preview};
pub use members::{MadeMember, NewMember};
pub use mobiles::MobileLogin;
pub use notices::NoticeSender;
pub use operations::{Book, By, Checked, Entry, Origin, Outcome, Record};
pub use orders::{Approval, NewOrder};
pub use own_letters::{DeliveryState, OwnLetter, RecipientState};
pub use own_received::{PutAt, ReceivedLetter};
pub use passkeys::{PasskeyOffer, PasskeyRequest};
pub use pennypost_connector::SmsError;
pub use pennypost_directory::DepartmentId;
pub use pennypost_feedback::{HeardAbout, HeardCounts, HeardKind, HeardReport, SourceCounts, TlsFailed};
pub use pennypost_hooks::{
    Attempted, NoticeKind, Pause, PauseCause, State as NoticeState, SubscriptionId, Whose,
};
pub use pennypost_mailings::{Attachment, Fate, Mailing, MailingRules, Saved, TableProblem, say_row};
pub use pennypost_outbound::{Destinations, Identity as RouteIdentity, Relay, Route, Routes};
pub use pennypost_policy::{BadPoints, RecipientsGet, ScanPolicy, Unanswered, VirusAction};
pub use pennypost_quarantine::{HeldLetter, HeldState};
pub use people::{Assignment, PersonChange};
pub use permission::{Area, Level, NoPermission, Permission, Permissions};
pub use picker::{MAX_PICKED, Named, PickKind, Pickable, Selection};
pub use plans::Seats;
pub use profile::{Logo, LogoKind, MAX_LOGO, OrganisationCounts, OrganisationProfile, SeenOrganisation};
pub use provider_sign_in::{
    NamedBinding, PROVIDER_REQUEST_LIFE, ProviderError, ProviderRequest, ProviderReturn, SIGN_IN_RETURN,
};
pub use providers::{Matching, NewProvider, Provider, ProviderChange, ProviderId};
pub use provisioning::Provisioner;
pub use purchases::{
    Application, OrderState, OrderTerms, Paper, PaperState, Purchase, PurchaseChange, PurchaseKind,
};
pub use quarantine::SeenHeldLetter;
pub use read_status::{READ_STATUS_HOURS, ReadStatusWish};
pub use reads::ReadState;
pub use receiving::{MAX_TRIED, SeenRules, Tried};
pub use requests::{Order, Pending, RequestId};
pub use roles::{MAX_ROLES, Role, RoleId};
pub use routes::{MAX_ROUTES, RouteFound, RouteProbe, RouteProblem, RouteWish, SesKey, ToProbe};
pub use secretaries::Deputy;
pub use security::{Required, SecurityRules};
pub use sending::Sending;
pub use sessions::{NotSignedIn, SignIn, Visitor};
pub use sign_in::{AccountLock, AccountRulesChange, sign_ins_csv};
pub use sign_in_statistics::{Absent, DayOfSignIns};
pub use sign_up::{NewSignUp, SignUpEdition, SignUpOffer, SignUpSettings, SignUpState, SignedUp};
pub use statistics::{
    Counts, DayOfMail, DayOfReport, Delivery, Journey, LetterKind, LetterQuery, MailboxUse, MemberOfMail,
    MemberOrder, MonthlyReport, Period, UsedBytes, days_csv, letters_csv, mailboxes_csv, members_csv,
    month_of, report_csv,
};
pub use subscriptions::{NewSubscription, SeenSubscription, SubscriptionChange, Unread};
pub use suppressed::{MAX_SUPPRESSED_AT_ONCE, suppressed_csv};
pub use tags::senders_name;
pub use tasks::{
    LetterDeed, MAX_LETTERS_AT_ONCE, NamedByUid, NamedLetter, NewBackup, NewExport, NewImport, NewLetterDeed,
    NewRulesRun, ReceiptRequest, ReceiptState, Swept, Table, Task, TaskCounts, TaskKind, TaskProblem,
    TaskState, Worked,
};
pub use tenants::TenantChange;
pub use terms::{Acceptance, MAX_TERMS, Terms};
pub use tickets::TICKET_LIFE;
pub use tls_policies::Policed;
pub use trial::{TRIAL_TRANSITION_DAYS, Trial};

/// Administration. Cheap to clone; clones share what the process remembers.
#[derive(Clone)]
pub struct Administration {
    directory: Directory,
    control: Arc<dyn Control>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    /// Where books end, as far as this process knows.
    ends: Arc<Mutex<HashMap<Book, operations::End>>>,
    uses: Arc<keys::Uses>,
    outside: Option<Outside>,
    /// What seals private keys, and secrets of clients.
    secrets: Option<Arc<dyn Secrets>>,
    /// Where the files of long operations lie, and by which queue these are carried out.
    workshop: Option<tasks::Workshop>,
    /// Turns of those who read files.
    reading: Arc<Semaphore>,
    /// The turn of who tries rules about contents.
    trying: Arc<Semaphore>,
    /// Where traces are.
    log: Option<Arc<dyn Log>>,
    /// What is done to mail.
    mail: Option<Arc<dyn Mail>>,
    /// Letters to other servers are sent.
    sends_out: bool,
    /// In whose name letters are written.
    sender: NoticeSender,
    /// By what text messages go.
    texting: Option<mobiles::Texting>,
    /// Below what trial domains are.
    trials: Option<DomainName>,
    /// Who signs up by himself, and to what.
    sign_ups: Option<SignUpSettings>,
    /// By what smart hosts of tenants are tried.
    probe: Option<Arc<dyn RouteProbe>>,
}

impl Administration {
    /// Administration over these ports.
    #[must_use]
    pub fn new(
        directory: Directory,
        control: Arc<dyn Control>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Administration {
        Administration {
            directory,
            control,
            clock,
            ids,
            ends: Arc::default(),
            uses: Arc::default(),
            outside: None,
            secrets: None,
            workshop: None,
            reading: Arc::new(Semaphore::new(tasks::READ_AT_ONCE)),
            trying: Arc::new(Semaphore::new(1)),
            log: None,
            mail: None,
            sends_out: false,
            sender: NoticeSender::default(),
            texting: None,
            trials: None,
            sign_ups: None,
            probe: None,
        }
    }

    /// The same with long operations: their files lie in `objects`, and housekeeping, to which `queue` leads, carries
    /// them out.
    #[must_use]
    pub fn with_tasks(self, objects: Arc<dyn Objects>, queue: Arc<dyn Queue>) -> Administration {
        Administration { workshop: Some((objects, queue)), ..self }
    }

    /// The same, where mail can be copied and erased.
    #[must_use]
    pub fn upon_mail(self, mail: Arc<dyn Mail>) -> Administration {
        Administration { mail: Some(mail), ..self }
    }

    /// The directory on which it stands.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
}
