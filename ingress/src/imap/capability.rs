//! What the client may use, and when it is told so (RFC 3501 section 6.1.1, RFC 9051 section 6.1.1).
//!
//! One line for each capability. Everything here has its line in `docs/rfc/index.toml`.

/// When a capability is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Before and after sign-in.
    Always,
    /// Before sign-in, on a connection that is not encrypted.
    Unencrypted,
    /// Before sign-in, on a connection over which passwords may go.
    Private,
    /// Before sign-in, where there is a channel binding.
    Bound,
    /// Before sign-in, on one over which they may not.
    Exposed,
    /// After sign-in.
    SignedIn,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Over TLS.
    pub tls: bool,
    /// Over TLS, or from this machine.
    pub private: bool,
    /// There is a channel binding.
    pub bound: bool,
    /// Somebody has signed in.
    pub signed_in: bool,
}

/// The capabilities in the order in which they are told.
const CAPABILITIES: &[(&str, When)] = &[
    ("IMAP4rev1", When::Always),
    ("IMAP4rev2", When::Always),
    ("LITERAL+", When::Always),
    ("ID", When::Always),
    ("ENABLE", When::Always),
    ("SASL-IR", When::Always),
    ("STARTTLS", When::Unencrypted),
    ("LOGINDISABLED", When::Exposed),
    ("AUTH=SCRAM-SHA-256-PLUS", When::Bound),
    ("AUTH=SCRAM-SHA-256", When::Private),
    ("AUTH=OAUTHBEARER", When::Private),
    ("AUTH=XOAUTH2", When::Private),
    ("AUTH=PLAIN", When::Private),
    ("AUTH=LOGIN", When::Private),
    ("COMPRESS=DEFLATE", When::SignedIn),
    ("UNAUTHENTICATE", When::SignedIn),
    ("IDLE", When::SignedIn),
    ("NAMESPACE", When::SignedIn),
    ("CHILDREN", When::SignedIn),
    ("UNSELECT", When::SignedIn),
    ("UIDPLUS", When::SignedIn),
    ("MOVE", When::SignedIn),
    ("SPECIAL-USE", When::SignedIn),
    ("CREATE-SPECIAL-USE", When::SignedIn),
    ("LIST-MYRIGHTS", When::SignedIn),
    ("LIST-METADATA", When::SignedIn),
    ("METADATA", When::SignedIn),
    ("NOTIFY", When::SignedIn),
    ("QUOTA", When::SignedIn),
    ("QUOTA=RES-STORAGE", When::SignedIn),
    ("QUOTA=RES-MESSAGE", When::SignedIn),
    ("ACL", When::SignedIn),
    ("RIGHTS=kxte", When::SignedIn),
    ("CONDSTORE", When::SignedIn),
    ("QRESYNC", When::SignedIn),
    ("UIDONLY", When::SignedIn),
    ("ESEARCH", When::SignedIn),
    ("SEARCHRES", When::SignedIn),
    ("PARTIAL", When::SignedIn),
    ("SORT", When::SignedIn),
    ("SORT=DISPLAY", When::SignedIn),
    ("ESORT", When::SignedIn),
    ("THREAD=ORDEREDSUBJECT", When::SignedIn),
    ("THREAD=REFERENCES", When::SignedIn),
    ("INPROGRESS", When::SignedIn),
    ("WITHIN", When::SignedIn),
    ("SAVEDATE", When::SignedIn),
    ("PREVIEW", When::SignedIn),
    ("BINARY", When::SignedIn),
    ("CATENATE", When::SignedIn),
    ("REPLACE", When::SignedIn),
    ("UTF8=ACCEPT", When::SignedIn),
    ("LIST-EXTENDED", When::SignedIn),
    ("LIST-STATUS", When::SignedIn),
    ("STATUS=SIZE", When::SignedIn),
    ("OBJECTID", When::SignedIn),
    ("MULTIAPPEND", When::SignedIn),
];

impl When {
    const fn holds(self, standing: Standing) -> bool {
        match self {
            When::Always => true,
            When::Unencrypted => !standing.signed_in && !standing.tls,
            When::Private => !standing.signed_in && standing.private,
            When::Bound => !standing.signed_in && standing.bound,
            When::Exposed => !standing.signed_in && !standing.private,
            When::SignedIn => standing.signed_in,
        }
    }
}

/// The list that a client is told; `append_limit`: octets of a message (RFC 7889).
pub(super) fn list(standing: Standing, append_limit: usize) -> String {
    let mut list = String::with_capacity(512);
    for (name, when) in CAPABILITIES {
        if when.holds(standing) {
            list.push_str(name);
            list.push(' ');
        }
    }
    if standing.signed_in {
        list.push_str(&format!("APPENDLIMIT={append_limit} "));
    }
    list.pop();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_asked_for_where_nobody_listens() {
        let before = |tls, private| list(Standing { tls, private, bound: tls, signed_in: false }, 1);
        assert!(before(false, false).contains(" STARTTLS LOGINDISABLED"));
        assert!(!before(false, false).contains("AUTH="));
        assert!(before(true, true).contains(" AUTH=PLAIN"));
        assert!(!before(true, true).contains("STARTTLS"));
        assert!(before(true, true).contains(" AUTH=SCRAM-SHA-256-PLUS "));
        assert!(!before(false, true).contains("-PLUS"));
        let after = list(Standing { tls: true, private: true, bound: true, signed_in: true }, 1_000);
        assert!(after.starts_with("IMAP4rev1 ") && after.ends_with(" APPENDLIMIT=1000"), "{after}");
        assert!(!after.contains("AUTH="));
    }

    #[test]
    fn each_is_told_once() {
        for (index, (name, _)) in CAPABILITIES.iter().enumerate() {
            assert!(!CAPABILITIES[..index].iter().any(|(other, _)| other == name), "{name}");
        }
    }
}
