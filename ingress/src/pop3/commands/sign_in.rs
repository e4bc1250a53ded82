//! USER, PASS and AUTH (RFC 1939 section 7, RFC 5034).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pennypost_directory::SignInError;
use tracing::warn;

use crate::net::{Line, NetError, wire};
use crate::pop3::session::{Maildrop, Session};

const NOT_PRIVATE: &str = "[AUTH] passwords are taken over TLS only: use STLS";
const MAX_RESPONSE: usize = 8 * 1024;

impl Session {
    pub(super) fn user(&mut self, name: String) {
        if self.maildrop.is_some() {
            return self.mistake("you are signed in");
        }
        if !self.stream.is_private() {
            return self.mistake(NOT_PRIVATE);
        }
        self.user = Some(name);
        self.ok("now the password");
    }

    pub(super) async fn pass(&mut self, password: &str) {
        let Some(user) = self.user.take() else { return self.mistake("say USER first") };
        self.sign_in(&user, password).await;
    }

    pub(super) async fn auth(&mut self, mechanism: Option<(String, Option<String>)>) -> Result<(), NetError> {
        let Some((mechanism, initial)) = mechanism else {
            self.ok("mechanisms follow");
            if self.stream.is_private() {
                self.line("PLAIN");
                self.line("LOGIN");
            }
            self.line(".");
            return Ok(());
        };
        if self.maildrop.is_some() {
            self.mistake("you are signed in");
            return Ok(());
        }
        if !self.stream.is_private() {
            self.mistake(NOT_PRIVATE);
            return Ok(());
        }
        let credentials = match &*mechanism {
            "PLAIN" => self.plain(initial).await?,
            "LOGIN" => self.login(initial).await?,
            _ => {
                self.mistake("unknown mechanism: there are PLAIN and LOGIN");
                return Ok(());
            }
        };
        match credentials {
            Some((user, password)) => self.sign_in(&user, &password).await,
            None => self.mistake("[AUTH] the exchange was cancelled or is not as the mechanism has it"),
        }
        Ok(())
    }

    /// RFC 4616.
    async fn plain(&mut self, initial: Option<String>) -> Result<Option<(String, String)>, NetError> {
        let response = match initial {
            Some(initial) => decoded(initial.as_bytes()),
            None => self.ask("").await?,
        };
        let Some(response) = response else { return Ok(None) };
        let mut fields = response.split('\0');
        let (authorize, user, password) = (fields.next(), fields.next(), fields.next());
        let (Some(authorize), Some(user), Some(password), None) = (authorize, user, password, fields.next())
        else {
            return Ok(None);
        };
        // Nobody may act for somebody else here.
        let is_self = authorize.is_empty() || authorize == user;
        Ok(is_self.then(|| (user.to_owned(), password.to_owned())))
    }

    async fn login(&mut self, initial: Option<String>) -> Result<Option<(String, String)>, NetError> {
        let user = match initial {
            Some(initial) => decoded(initial.as_bytes()),
            None => self.ask("Username:").await?,
        };
        let Some(user) = user else { return Ok(None) };
        Ok(self.ask("Password:").await?.map(|password| (user, password)))
    }

    /// Sends a challenge; `None` when the client cancels with `*` or answers nonsense.
    async fn ask(&mut self, challenge: &str) -> Result<Option<String>, NetError> {
        self.line(&format!("+ {}", STANDARD.encode(challenge)));
        self.stream.flush().await?;
        let patience = self.adapter.limits.pop3.login;
        match self.stream.read_line(MAX_RESPONSE, patience).await? {
            Line::Text(line) | Line::BareLf(line) => {
                wire::received_bytes("secret", line.len());
                Ok(decoded(&line))
            }
            Line::TooLong => Ok(None),
            Line::Eof => Err(NetError::Closed),
        }
    }

    async fn sign_in(&mut self, user: &str, password: &str) {
        if self.maildrop.is_some() {
            return self.mistake("you are signed in");
        }
        let ip = self.stream.peer().ip();
        let standing = match self.adapter.sign_in("pop3", user, password, ip).await {
            Ok(standing) => standing,
            Err(SignInError::Denied) => return self.mistake("[AUTH] address or password is wrong"),
            Err(error @ SignInError::TooManyFailures { .. }) => {
                return self.mistake(&format!("[SYS/TEMP] {error}"));
            }
            Err(SignInError::Unavailable) => {
                return self.err("[SYS/TEMP] signing in is not possible at the moment");
            }
        };
        match self.adapter.mailroom.account(standing.account.key).await {
            Ok(live) => {
                let maildrop = Maildrop::new(live, standing);
                let count = maildrop.deleted.len();
                self.maildrop = Some(maildrop);
                self.ok(&format!("{count} messages"));
            }
            Err(error) => {
                warn!(account = %standing.account.key, %error, "a mailbox can't be opened");
                self.err("[SYS/TEMP] the mailbox can't be opened at the moment");
            }
        }
    }
}

fn decoded(base64: &[u8]) -> Option<String> {
    if base64 == b"=" {
        return Some(String::new());
    }
    String::from_utf8(STANDARD.decode(base64.trim_ascii()).ok()?).ok()
}
