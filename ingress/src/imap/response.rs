//! Writing what the server says (RFC 3501 section 7): strings, flags, mailbox names, tagged answers.
//!
//! Invariant: whatever the text, what is written is one well-formed token: CR, LF, NUL and quotes never get
//! out of it.

use std::borrow::Cow;

use pennypost_fold::{DraftError, State};
use pennypost_mailstore::{ChangeError, StoreError};
pub(super) use pennypost_mime::wire::string;
use pennypost_model::{FlagSet, Rights, SystemFlags};

use super::access::{no_right, permitted};
use super::grammar::utf7::{self, Names};
use super::view::Told;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// OK
    Ok,
    /// NO
    No,
    /// BAD
    Bad,
}

/// The tagged answer to a command.
#[derive(Debug)]
pub(super) struct Reply {
    /// OK, NO or BAD.
    pub kind: Kind,
    /// Perhaps a response code, and a text.
    pub text: Cow<'static, str>,
    /// Flags that the command's own answers have told already.
    pub told: Told,
}

impl Reply {
    /// OK.
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { kind: Kind::Ok, text: text.into(), told: Told::default() }
    }

    /// NO.
    pub fn no(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { kind: Kind::No, text: text.into(), told: Told::default() }
    }

    /// BAD.
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { kind: Kind::Bad, text: text.into(), told: Told::default() }
    }

    /// With flags told already.
    pub fn telling(self, told: Told) -> Reply {
        Reply { told, ..self }
    }

    /// The answer's line.
    pub fn line(&self, tag: &str) -> String {
        let kind = match self.kind {
            Kind::Ok => "OK",
            Kind::No => "NO",
            Kind::Bad => "BAD",
        };
        format!("{tag} {kind} {}\r\n", self.text)
    }
}

/// A change that is refused by the draft or by us.
#[derive(Debug)]
pub(super) enum Refusal {
    /// By the draft.
    Draft(DraftError),
    /// The account is full.
    OverQuota,
    /// The mailbox to copy to is not there.
    NoTarget,
    /// The member has no right to do it.
    NoRight,
    /// The mailbox holds messages that mail programs do not see.
    HoldsUnseen,
}

impl From<DraftError> for Refusal {
    fn from(error: DraftError) -> Refusal {
        Refusal::Draft(error)
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        match refusal {
            Refusal::Draft(error) => error.into(),
            Refusal::OverQuota => Reply::no("[OVERQUOTA] the account is full"),
            Refusal::NoRight => no_right(),
            Refusal::HoldsUnseen => Reply::no("[CANNOT] it holds older mail that mail programs do not see"),
            Refusal::NoTarget => Reply::no("[TRYCREATE] there is no such mailbox"),
        }
    }
}

impl From<DraftError> for Reply {
    /// With the response codes of RFC 5530.
    fn from(error: DraftError) -> Reply {
        let code = match &error {
            DraftError::NoMailbox => "NONEXISTENT",
            DraftError::MailboxExists => "ALREADYEXISTS",
            DraftError::BadName(_) | DraftError::Standard => "CANNOT",
            DraftError::TooManyKeywords
            | DraftError::TooManyMessages
            | DraftError::UidsExhausted
            | DraftError::TooManySubscriptions
            | DraftError::TooManyGrantees => "LIMIT",
            DraftError::TooManyAnnotations => "METADATA TOOMANY",
            DraftError::Outdated => "INUSE",
        };
        Reply::no(format!("[{code}] {error}"))
    }
}

impl From<StoreError> for Reply {
    /// The cause is for the log, not for the client.
    fn from(error: StoreError) -> Reply {
        if error.is_temporary() {
            tracing::warn!(%error, "the store can't answer now");
            Reply::no("[UNAVAILABLE] not possible at the moment, try again")
        } else {
            tracing::error!(%error, "the store is damaged");
            Reply::no("[CORRUPTION] the stored data is damaged")
        }
    }
}

impl<E: Into<Reply>> From<ChangeError<E>> for Reply {
    fn from(error: ChangeError<E>) -> Reply {
        match error {
            ChangeError::Store(error) => error.into(),
            ChangeError::Decided(refusal) => refusal.into(),
        }
    }
}

/// `mailbox`.
pub(super) fn mailbox_name(out: &mut Vec<u8>, name: &str, names: Names) {
    let wire = match names {
        Names::Utf7 => Cow::Owned(utf7::encode(name)),
        Names::Utf8 => Cow::Borrowed(name),
    };
    if !wire.is_ascii() && !wire.contains(['\r', '\n', '\0']) {
        // `quoted` with UTF8-2 to UTF8-4 (RFC 9051 section 9).
        out.push(b'"');
        out.extend_from_slice(wire.replace('\\', "\\\\").replace('"', "\\\"").as_bytes());
        return out.push(b'"');
    }
    let is_atom = !wire.is_empty()
        && !wire.eq_ignore_ascii_case("NIL")
        && wire.bytes().all(|byte| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte));
    if is_atom { out.extend_from_slice(wire.as_bytes()) } else { string(out, wire.as_bytes()) }
}

/// Flags in parentheses.
pub(super) fn flags(out: &mut Vec<u8>, flags: &FlagSet, recent: bool) {
    out.push(b'(');
    let mut space = "";
    let mut push = |name: &str| {
        out.extend_from_slice(space.as_bytes());
        out.extend_from_slice(name.as_bytes());
        space = " ";
    };
    for (flag, name) in SystemFlags::NAMED {
        if flags.system.contains(flag) {
            push(name);
        }
    }
    for keyword in &flags.keywords {
        push(keyword.as_str());
    }
    if recent {
        push("\\Recent");
    }
    out.push(b')');
}

/// The untagged FLAGS, and PERMANENTFLAGS for what can be stored.
pub(super) fn known_flags(out: &mut Vec<u8>, state: &State, read_only: bool, rights: Rights) {
    let all = FlagSet { system: SystemFlags(0x1f), keywords: state.keywords().to_vec() };
    out.extend_from_slice(b"* FLAGS ");
    flags(out, &all, false);
    out.extend_from_slice(b"\r\n* OK [PERMANENTFLAGS ");
    if read_only {
        out.extend_from_slice(b"()] no flags can be stored\r\n");
        return;
    }
    flags(out, &permitted(rights, &all), false);
    out.pop();
    let has_bits = state.keywords().len() < pennypost_fold::RowFlags::MAX_KEYWORDS;
    let room = has_bits && rights.contains(Rights::WRITE);
    out.extend_from_slice(if room { b" \\*)" } else { b")" });
    out.extend_from_slice(b"] these flags are stored\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_are_one_token() {
        let written = |text: &[u8]| {
            let mut out = Vec::new();
            string(&mut out, text);
            String::from_utf8_lossy(&out).into_owned()
        };
        assert_eq!(written(b"a\"b\\c"), "\"a\\\"b\\\\c\"");
        assert_eq!(written(b"a\r\nb"), "{4}\r\na\r\nb");
        assert_eq!(written(b"a\0b"), "{3}\r\na b");
        assert_eq!(written(b""), "\"\"");
    }

    proptest! {
        #[test]
        fn a_written_string_is_read_back(text in proptest::collection::vec(1..=255_u8, 0..2_000)) {
            let mut out = Vec::new();
            string(&mut out, &text);
            let mut cursor = super::super::grammar::cursor::Cursor::new(&out);
            prop_assert_eq!(cursor.string(), Ok(text));
            prop_assert!(cursor.is_at_end());
        }

        #[test]
        fn a_written_name_is_read_back(name in "\\PC{0,40}") {
            let mut out = Vec::new();
            for names in [Names::Utf7, Names::Utf8] {
                out.clear();
                mailbox_name(&mut out, &name, names);
                let wire = super::super::grammar::cursor::Cursor::new(&out).astring().expect("astring");
                prop_assert_eq!(names.decode(&wire), Some(name.clone()));
            }
        }
    }
}
