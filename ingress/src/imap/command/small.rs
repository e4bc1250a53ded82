//! CAPABILITY, NOOP, CHECK, ID, NAMESPACE, STARTTLS: those that need a few lines.

use pennypost_directory::SignInKind;

use super::Answer;
use crate::imap::response::Reply;
use crate::imap::session::Session;

/// Characters of what a program calls itself.
const MAX_PROGRAM: usize = 100;

impl Session {
    pub(super) fn capability(&mut self) -> Reply {
        let line = format!("* CAPABILITY {}\r\n", self.capabilities());
        self.stream.write(line.as_bytes());
        Reply::ok("that is all")
    }

    /// RFC 3501 section 6.1.2; the view moves after it. CHECK is the same here: everything is durable already.
    pub(super) async fn noop(&mut self) -> Answer {
        if self.signed_in.is_some() {
            self.refreshed().await?;
        }
        Ok(Reply::ok("done"))
    }

    /// RFC 2971. What the program calls itself stands in the record of the sign-in (LOG-05).
    pub(super) fn id(&mut self, said: &[(String, Option<String>)]) -> Reply {
        let value = |name: &str| {
            let field = said.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
            field.and_then(|(_, value)| value.as_deref()).filter(|value| !value.trim().is_empty())
        };
        let name = match (value("name"), value("version")) {
            (Some(name), Some(version)) => Some(format!("{name} {version}")),
            (Some(name), None) => Some(name.to_owned()),
            (None, _) => None,
        };
        if let Some(name) = name {
            if let Some(signed_in) = &self.signed_in {
                self.adapter.directory.name_program(&signed_in.standing, SignInKind::Imap, &name);
            }
            self.program = Some(name.chars().take(MAX_PROGRAM).collect::<String>().into());
        }
        let line = format!("* ID (\"name\" \"Pennypost\" \"version\" \"{}\")\r\n", env!("CARGO_PKG_VERSION"));
        self.stream.write(line.as_bytes());
        Reply::ok("pleased to meet you")
    }

    /// RFC 2342: the member's own mailboxes, and those of others of the tenant that are shared.
    pub(super) fn namespace(&mut self) -> Answer {
        self.live()?;
        self.stream.write(b"* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL\r\n");
        Ok(Reply::ok("done"))
    }

    /// RFC 3501 section 6.2.1; the handshake follows the answer.
    pub(super) fn may_start_tls(&mut self) -> Reply {
        if self.stream.is_tls() {
            return Reply::bad("the connection is encrypted already");
        }
        if self.signed_in.is_some() {
            return Reply::bad("too late, you have signed in");
        }
        if self.stream.is_compressed() {
            return Reply::bad("too late, the connection is compressed");
        }
        Reply::ok("go ahead")
    }
}
