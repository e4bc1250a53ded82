//! Journeys of messages, put together from the trace records of the log, and what those of a day count to.
//!
//! Owns nothing that is stored. Records may stand twice (a retry after a crash) and in any order: a journey is the same
//! however its records come, and what is counted is counted of journeys, so that no letter counts twice.
//!
//! Whether a letter was sent by a member is said by the submitter in its record, and nothing else.

mod count;
mod journey;
mod read;

pub use count::{Counted, Counts, DAY_MILLIS, count_day, day_of};
pub use journey::{Delivery, Journey, Processing, Remote, Tried, contains, is_draft, is_sent_copy};
pub use read::{Backwards, journey, read};
