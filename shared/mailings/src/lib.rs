//! Many letters of one member: personalised mass mail (PMG-01 to PMG-08), and letters to each of several recipients alone (SND-04).
//!
//! Owns these control items; `T` is the tenant's id, `A` an account's:
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `T/mailings` | `A`, id, the newest first | a [`Mailing`]: whose it is, how far it has come |
//! | `T/mailing-letters` | id, row | a [`Fate`]: what became of one letter of it |
//! | `T/mail-templates` | `A`, id | a body that a member keeps ([`Saved`]) |
//! | `T` | `mailing-rules` | what the organisation says of mailings ([`MailingRules`]) |
//! | `mailing-due` | time, `T`, `A`, id | where to look and when; the installation's |
//!
//! and one object for each mailing in `T/spool`: its [`Content`].
//!
//! Invariants: a mailing that goes has a row at its time or earlier. What becomes of a letter is decided by one conditional write,
//! before it goes; its id is made of the mailing's and its place in it, so what is sent twice is one letter. Each letter is asked
//! what is asked at submission, when it goes ([`pennypost_held::Releaser::judge`]). Nothing of a table gets into a header but as text.
//!
//! If the process dies at any line: before the item, nobody was told that it goes. Behind it whoever looks next begins with the first
//! letter that was not known to be over, and sends again, under the same ids, what was decided.

mod content;
mod item;
mod letter;
mod message;
mod run;
mod store;
mod table;
mod template;

pub use content::{Attachment, Body, Content, Individual, MAX_ATTACHED, MAX_ATTACHMENTS, MAX_BODY, Personal};
pub use item::{Counts, Fate, Kind, Mailing, MailingRules, Saved, State};
pub use message::{Said, Stamp, for_one};
pub use run::{Looked, Runner};
pub use store::{DRAFT_KEPT, Due, KEPT, MAX_KEPT, MAX_OPEN, MAX_SAVED, Mailings};
pub use table::{MAX_RECIPIENTS, MAX_TABLE, Recipients, Row, RowProblem, TableProblem, say_row};
pub use template::{Fill, MAX_FILLED, Template, TemplateProblem, escaped};
