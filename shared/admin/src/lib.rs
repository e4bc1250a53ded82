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
//! | `T` | `profile` | what the organisation says of itself (TEN-12) |
//! | `T/requests-for-second` | id | a [`Pending`] operation that waits for a second administrator ([`requests`]) |
//! | `T/tickets` | digest | a ticket with which a member is let in, for a minute (`tickets`) |
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
mod business;
mod call;
mod colleagues;
mod departments;
mod domain_keys;
mod domains;
mod error;
mod factors;
mod grants;
mod joining;
mod keys;
pub mod operations;
mod people;
mod permission;
mod plans;
mod profile;
pub mod requests;
mod roles;
mod secretaries;
mod security;
mod sessions;
mod sight;
mod sign_in;
mod sign_in_statistics;
mod statistics;
mod store;
mod tags;
mod tasks;
mod tenants;
mod tickets;
mod tls_policies;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_directory::Directory;
use pennypost_ports::{Clock, Control, Ids, Log, Objects, Queue, Secrets};
use tokio::sync::Semaphore;

pub use accounts::{AccountChange, NewAccount, NewToken};
pub use action::{Action, Target};
pub use authorise::{
    Actor, Authority, Decision, Granted, Means, Presence, Reach, Scope, Standing, Why, authorise,
};
pub use business::NewBusinessMailbox;
pub use call::Call;
pub use colleagues::Colleagues;
pub use departments::SeenDepartments;
pub use domains::{DomainRecords, DomainRules, Outside, REMOVED_AT_ONCE, removal_code};
pub use error::{AdminError, Conflict, Invalid};
pub use grants::{Grant, Grants, MAX_GRANTS, MAX_REACH};
pub use joining::{Accepted, Leads, SeenInvitation};
pub use keys::{ApiKey, Holder, KeyId, MAX_KEYS, NewKey, NotAuthentic};
pub use operations::{Book, By, Checked, Entry, Origin, Outcome, Record};
pub use pennypost_directory::DepartmentId;
pub use people::{Assignment, PersonChange};
pub use permission::{Area, Level, NoPermission, Permission, Permissions};
pub use plans::Seats;
pub use profile::{Logo, LogoKind, MAX_LOGO, OrganisationCounts, OrganisationProfile, SeenOrganisation};
pub use requests::{Order, Pending, RequestId};
pub use roles::{MAX_ROLES, Role, RoleId};
pub use secretaries::Deputy;
pub use security::{Required, SecurityRules};
pub use sessions::{NotSignedIn, SignIn, Visitor};
pub use sign_in::{AccountLock, AccountRulesChange, sign_ins_csv};
pub use sign_in_statistics::{Absent, DayOfSignIns};
pub use statistics::{
    Counts, DayOfMail, DayOfReport, Delivery, Journey, LetterKind, LetterQuery, MailboxUse, MemberOfMail,
    MemberOrder, MonthlyReport, Period, UsedBytes, days_csv, letters_csv, mailboxes_csv, members_csv,
    month_of, report_csv,
};
pub use tags::senders_name;
pub use tasks::{NewExport, NewImport, Swept, Task, TaskCounts, TaskKind, TaskProblem, TaskState, Worked};
pub use tenants::TenantChange;
pub use tickets::TICKET_LIFE;
pub use tls_policies::Policed;

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
    /// What seals private keys.
    secrets: Option<Arc<dyn Secrets>>,
    /// Where the files of long operations lie, and by which queue these are carried out.
    workshop: Option<tasks::Workshop>,
    /// Turns of those who read files.
    reading: Arc<Semaphore>,
    /// Where traces are.
    log: Option<Arc<dyn Log>>,
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
            log: None,
        }
    }

    /// The same with long operations: their files lie in `objects`, and housekeeping, to which `queue` leads, carries
    /// them out.
    #[must_use]
    pub fn with_tasks(self, objects: Arc<dyn Objects>, queue: Arc<dyn Queue>) -> Administration {
        Administration { workshop: Some((objects, queue)), ..self }
    }

    /// The directory on which it stands.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
}
