//! Replies (RFC 5321 section 4.2) with enhanced status codes (RFC 2034).

use std::borrow::Cow;

use pennypost_policy::Acceptance;

/// A reply of one line. The text is ASCII and ours alone, or an organisation's own word to its members: nothing that the client sent is
/// given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub code: u16,
    /// Empty where RFC 2034 section 4 wants none: greeting, HELO, EHLO, 354.
    pub enhanced: &'static str,
    pub text: Cow<'static, str>,
    /// As what a refusal of a message is counted, where that is more than its code says.
    pub reason: Option<&'static str>,
}

impl Reply {
    pub const fn new(code: u16, enhanced: &'static str, text: &'static str) -> Reply {
        Reply { code, enhanced, text: Cow::Borrowed(text), reason: None }
    }

    pub const fn owned(code: u16, enhanced: &'static str, text: String) -> Reply {
        Reply { code, enhanced, text: Cow::Owned(text), reason: None }
    }

    /// The same, counted as that.
    pub fn counted_as(self, reason: &'static str) -> Reply {
        Reply { reason: Some(reason), ..self }
    }

    /// 503: a command at the wrong time.
    pub const fn bad_sequence(text: &'static str) -> Reply {
        Reply::new(503, "5.5.1", text)
    }

    /// 451: not now.
    pub const fn later() -> Reply {
        Reply::new(451, "4.3.0", "temporary failure, try again later")
    }

    /// The refusal, if it is one.
    pub fn refusal(acceptance: &Acceptance) -> Option<Reply> {
        match acceptance {
            Acceptance::Accept => None,
            Acceptance::Refuse { code, enhanced, text, .. } => Some(Reply::new(*code, enhanced, text)),
        }
    }

    /// Did it say no for good?
    pub const fn is_permanent_failure(&self) -> bool {
        self.code >= 500
    }

    /// The line with its end.
    pub fn line(&self) -> String {
        match self.enhanced {
            "" => format!("{} {}\r\n", self.code, self.text),
            enhanced => format!("{} {enhanced} {}\r\n", self.code, self.text),
        }
    }
}
