//! The organisation of a tenant: its departments, who is in them, tags, and finding people by name (ORG-01 … ORG-28).
//!
//! Items; `T` is the tenant's id, `A` an account's, `D` a department's in 8 hex digits:
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `T/departments` | `tree` | [`DepartmentTree`]: every department, so that a change is one compare-and-set |
//! | `T/members` | `D/ORDER/A` | a card of the account, for the page of a department |
//! | `T/names` | `TERM/A` | a card of the account, for searches by name |
//! | `T/intents` | `A/ID` | cards of this account are being written |
//! | `T/tags` | `tags`, `m/ID` | names of tags; whom a tag marks |
//! | `T` | `people` | the cards of all accounts have been written once |
//!
//! The account's item says in which departments it is; **cards** are derived from it, so that a page or a search is one
//! query and reads nothing else. A card carries the revision of the account that it was made of and is never
//! overwritten by an older one; one that is no longer wanted stays as an empty card, for the same reason. Whoever
//! changes an account notes an intent first and takes it back when all cards stand: what a process left behind when it
//! died is found by the next page or search, a minute later, and completed.

mod amend;
mod cards;
mod department;
mod people;
mod profile;
pub(crate) mod spelling;
mod tag;
mod tree;

pub use amend::TagChange;
pub(crate) use cards::{ABANDONED, CardPlace, Intent, members_partition, members_prefix, places_of};
pub(crate) use department::check_departments;
pub use department::{DepartmentPage, EnsuredDepartments};
pub use people::{MAX_FOUND, Person};
pub use profile::{MAX_DEPARTMENTS_OF_ACCOUNT, Profile, ProfileField};
pub use spelling::is_found_by;
pub use tag::{MAX_TAGGED, MAX_TAGS, Tag, TagId};
pub use tree::{
    Department, DepartmentChange, DepartmentId, DepartmentTree, MAX_DEPARTMENT_LEVELS, MAX_DEPARTMENT_NAME,
    MAX_DEPARTMENTS, MAX_DESCRIPTION, NewDepartment, Place,
};
