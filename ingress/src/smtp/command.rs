//! The grammar of command lines (RFC 5321 section 4.1 and extensions). Pure: from bytes to a command or the
//! exact reply. Strict where leniency would be guessing, except for a space behind `FROM:` and `TO:`, which
//! real clients send.

use pennypost_model::event::Notify;

use super::parameters::{self, Hold};
use super::path::{self, PathError};
use super::reply::Reply;

/// A command line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Helo(String),
    Ehlo(String),
    Mail(Mail),
    Rcpt(Rcpt),
    Data,
    Bdat { len: u64, last: bool },
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth(Auth),
    Quit,
}

/// AUTH (RFC 4954).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Auth {
    pub mechanism: String,
    /// The first response as it was sent, if it came with the command.
    pub initial: Option<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The response holds a password.
        f.debug_struct("Auth").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// MAIL FROM with its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mail {
    /// Empty for `<>`.
    pub reverse_path: String,
    /// SIZE (RFC 1870).
    pub size: Option<u64>,
    /// BODY=8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub utf8: bool,
    /// AUTH (RFC 4954 section 5): who handed it in elsewhere. It is not believed.
    pub auth: bool,
    /// RET (RFC 3461): the whole message comes back, or its header alone.
    pub whole: Option<bool>,
    /// ENVID (RFC 3461).
    pub envelope_id: Option<String>,
    /// HOLDFOR, HOLDUNTIL (RFC 4865).
    pub hold: Option<Hold>,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// There was any parameter.
    pub extended: bool,
}

impl Mail {
    /// Is there a parameter that only members' programs use?
    pub const fn is_members(&self) -> bool {
        self.auth || self.whole.is_some() || self.envelope_id.is_some() || self.hold.is_some()
    }
}

/// RCPT TO with its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rcpt {
    pub address: String,
    /// NOTIFY (RFC 3461).
    pub notify: Option<Notify>,
    /// ORCPT (RFC 3461).
    pub original: Option<String>,
}

impl Rcpt {
    /// Was anything said but the address?
    pub const fn is_extended(&self) -> bool {
        self.notify.is_some() || self.original.is_some()
    }
}

impl Command {
    /// Its verb for metrics and logs.
    pub const fn verb(&self) -> &'static str {
        match self {
            Command::Helo(_) => "HELO",
            Command::Ehlo(_) => "EHLO",
            Command::Mail(_) => "MAIL",
            Command::Rcpt(_) => "RCPT",
            Command::Data => "DATA",
            Command::Bdat { .. } => "BDAT",
            Command::Rset => "RSET",
            Command::Noop => "NOOP",
            Command::Vrfy => "VRFY",
            Command::Expn => "EXPN",
            Command::Help => "HELP",
            Command::StartTls => "STARTTLS",
            Command::Auth(_) => "AUTH",
            Command::Quit => "QUIT",
        }
    }

    /// Reads a line without its end.
    pub fn parse(line: &[u8]) -> Result<Command, Reply> {
        if line.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err(Reply::new(500, "5.5.2", "a command line can't contain NUL or a bare CR"));
        }
        let (verb, rest) = match memchr::memchr(b' ', line) {
            Some(space) => (&line[..space], &line[space + 1..]),
            None => (line, &line[line.len()..]),
        };
        if verb.len() > 12 {
            return Err(unknown());
        }
        let rest = rest.trim_ascii();
        let alone = |command: Command| {
            if rest.is_empty() {
                Ok(command)
            } else {
                Err(Reply::owned(501, "5.5.4", format!("{} takes no argument", command.verb())))
            }
        };
        match &*verb.to_ascii_uppercase() {
            b"EHLO" => client_name(rest).map(Command::Ehlo),
            b"HELO" => client_name(rest).map(Command::Helo),
            b"MAIL" => mail(rest).map(Command::Mail),
            b"RCPT" => rcpt(rest).map(Command::Rcpt),
            b"DATA" => alone(Command::Data),
            b"BDAT" => bdat(rest),
            b"RSET" => alone(Command::Rset),
            b"NOOP" => Ok(Command::Noop),
            b"VRFY" if rest.is_empty() => Err(Reply::new(501, "5.5.4", "VRFY takes an address")),
            b"VRFY" => Ok(Command::Vrfy),
            b"EXPN" => Ok(Command::Expn),
            b"HELP" => Ok(Command::Help),
            b"STARTTLS" => alone(Command::StartTls),
            b"QUIT" => alone(Command::Quit),
            b"LHLO" => Err(Reply::new(500, "5.5.1", "this is SMTP, not LMTP: say EHLO")),
            b"AUTH" => auth(rest).map(Command::Auth),
            b"" => Err(Reply::new(500, "5.5.2", "the line is empty")),
            _ => Err(unknown()),
        }
    }
}

fn unknown() -> Reply {
    Reply::new(500, "5.5.1", "unknown command")
}

/// The name behind EHLO. Hosts call themselves many things; what matters is that it can stand in a header
/// field.
fn client_name(rest: &[u8]) -> Result<String, Reply> {
    let failed = || Reply::new(501, "5.5.4", "EHLO and HELO take the name or address literal of the client");
    let name = std::str::from_utf8(rest).map_err(|_| failed())?;
    let is_valid = path::is_domain(name) || path::is_literal_address(name) || {
        let is_harmless = |c: char| c.is_ascii_graphic() && !"()<>\\\"".contains(c);
        (1..=255).contains(&name.len()) && name.chars().all(is_harmless)
    };
    if is_valid { Ok(name.to_owned()) } else { Err(failed()) }
}

/// What follows `FROM:` or `TO:`.
fn after_keyword<'a>(rest: &'a [u8], keyword: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then(|| tail.trim_ascii_start())
}

fn auth(rest: &[u8]) -> Result<Auth, Reply> {
    let failed = || Reply::new(501, "5.5.4", "the syntax is AUTH mechanism [initial-response]");
    let mut words = rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let mut word = || words.next().map(|word| String::from_utf8_lossy(word).into_owned());
    let (mechanism, initial) = (word().ok_or_else(failed)?, word());
    // RFC 4422 section 3.1.
    let is_mechanism = mechanism.len() <= 20
        && mechanism.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !is_mechanism || word().is_some() {
        return Err(failed());
    }
    Ok(Auth { mechanism, initial })
}

fn mail(rest: &[u8]) -> Result<Mail, Reply> {
    let syntax = || Reply::new(501, "5.5.4", "the syntax is MAIL FROM:<address> [parameters]");
    let rest = after_keyword(rest, b"FROM:").ok_or_else(syntax)?;
    let (path, parameters) = path::split_path(rest).map_err(|_| syntax())?;
    let mut mail = Mail::default();
    if !path.is_empty() {
        let failed = |error: PathError| Reply::owned(553, "5.1.7", format!("bad sender address: {error}"));
        mail.reverse_path = path::mailbox(path).map_err(failed)?.to_owned();
    }
    for (name, value) in parameters_of(parameters)? {
        mail.extended = true;
        match (&*name.to_ascii_uppercase(), value) {
            (b"SIZE", Some(digits)) if mail.size.is_none() => mail.size = Some(number(digits)?),
            (b"BODY", Some(body)) => match &*body.to_ascii_uppercase() {
                b"7BIT" => {}
                b"8BITMIME" => mail.eight_bit = true,
                _ => return Err(Reply::new(555, "5.5.4", "BODY is 7BIT or 8BITMIME")),
            },
            (b"SMTPUTF8", None) => mail.utf8 = true,
            (b"REQUIRETLS", None) => mail.require_tls = true,
            (b"AUTH", Some(mailbox)) if !mailbox.is_empty() => mail.auth = true,
            (b"RET", Some(value)) if mail.whole.is_none() => mail.whole = Some(parameters::whole(value)?),
            (b"ENVID", Some(value)) if mail.envelope_id.is_none() => {
                mail.envelope_id = Some(parameters::envelope_id(value)?);
            }
            // One of both, and once (RFC 4865 section 4).
            (b"HOLDFOR", Some(value)) if mail.hold.is_none() => mail.hold = Some(Hold::read_for(value)?),
            (b"HOLDUNTIL", Some(value)) if mail.hold.is_none() => mail.hold = Some(Hold::read_until(value)?),
            (
                b"SIZE" | b"BODY" | b"SMTPUTF8" | b"AUTH" | b"RET" | b"ENVID" | b"HOLDFOR" | b"HOLDUNTIL"
                | b"REQUIRETLS",
                _,
            ) => {
                return Err(Reply::new(501, "5.5.4", "a MAIL parameter has a bad value"));
            }
            _ => return Err(Reply::new(555, "5.5.4", "unknown MAIL parameter")),
        }
    }
    if !mail.utf8 && !mail.reverse_path.is_ascii() {
        return Err(Reply::new(553, "5.6.7", "an address with non-ASCII characters needs SMTPUTF8"));
    }
    Ok(mail)
}

fn rcpt(rest: &[u8]) -> Result<Rcpt, Reply> {
    let syntax = || Reply::new(501, "5.5.4", "the syntax is RCPT TO:<address> [parameters]");
    let rest = after_keyword(rest, b"TO:").ok_or_else(syntax)?;
    let (path, parameters) = path::split_path(rest).map_err(|_| syntax())?;
    let mut rcpt = Rcpt::default();
    for (name, value) in parameters_of(parameters)? {
        match (&*name.to_ascii_uppercase(), value) {
            (b"NOTIFY", Some(value)) if rcpt.notify.is_none() => {
                rcpt.notify = Some(parameters::notify(value)?)
            }
            (b"ORCPT", Some(value)) if rcpt.original.is_none() => {
                rcpt.original = Some(parameters::original(value)?);
            }
            (b"NOTIFY" | b"ORCPT", _) => {
                return Err(Reply::new(501, "5.5.4", "an RCPT parameter has a bad value"));
            }
            _ => return Err(Reply::new(555, "5.5.4", "unknown RCPT parameter")),
        }
    }
    let failed = |error: PathError| Reply::owned(553, "5.1.3", format!("bad recipient address: {error}"));
    rcpt.address = match path::is_postmaster(path) {
        true => "postmaster".to_owned(),
        false => path::mailbox(path).map_err(failed)?.to_owned(),
    };
    Ok(rcpt)
}

/// `SP name[=value]` …; the part behind the path must be empty or begin with a space.
fn parameters_of(text: &[u8]) -> Result<impl Iterator<Item = (&[u8], Option<&[u8]>)>, Reply> {
    if !text.is_empty() && text[0] != b' ' {
        return Err(Reply::new(501, "5.5.4", "a space must stand between address and parameters"));
    }
    let words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    Ok(words.map(|word| match memchr::memchr(b'=', word) {
        Some(equals) => (&word[..equals], Some(&word[equals + 1..])),
        None => (word, None),
    }))
}

fn bdat(rest: &[u8]) -> Result<Command, Reply> {
    let failed = || Reply::new(501, "5.5.4", "the syntax is BDAT length [LAST]");
    let mut words = rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let len = number(words.next().ok_or_else(failed)?)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"LAST") => true,
        Some(_) => return Err(failed()),
    };
    if words.next().is_some() {
        return Err(failed());
    }
    Ok(Command::Bdat { len, last })
}

/// Up to 20 digits (RFC 1870 section 5); what is too large for 64 bits is the largest number.
fn number(digits: &[u8]) -> Result<u64, Reply> {
    let is_number = (1..=20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    if !is_number {
        return Err(Reply::new(501, "5.5.4", "a number is expected"));
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Ok(digits.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_understood() {
        let mail = |reverse_path: &str| Mail { reverse_path: reverse_path.to_owned(), ..Mail::default() };
        let rcpt = |address: &str| Rcpt { address: address.to_owned(), ..Rcpt::default() };
        let auth = |mechanism: &str, initial: Option<&str>| {
            Command::Auth(Auth { mechanism: mechanism.to_owned(), initial: initial.map(str::to_owned) })
        };
        for (line, command) in [
            ("EHLO mx.example", Command::Ehlo("mx.example".to_owned())),
            ("ehlo [192.0.2.1]", Command::Ehlo("[192.0.2.1]".to_owned())),
            ("HELO my_pc", Command::Helo("my_pc".to_owned())),
            ("MAIL FROM:<>", Command::Mail(mail(""))),
            ("mail from: <a@b.example>", Command::Mail(mail("a@b.example"))),
            (
                "MAIL FROM:<a@b.example> SIZE=99999999999999999999 BODY=8BITMIME",
                Command::Mail(Mail {
                    size: Some(u64::MAX),
                    eight_bit: true,
                    extended: true,
                    ..mail("a@b.example")
                }),
            ),
            (
                "MAIL FROM:<a@b.example> RequireTLS",
                Command::Mail(Mail { require_tls: true, extended: true, ..mail("a@b.example") }),
            ),
            (
                "MAIL FROM:<用@b.example> smtputf8",
                Command::Mail(Mail { utf8: true, extended: true, ..mail("用@b.example") }),
            ),
            (
                "MAIL FROM:<a@b.example> AUTH=<>",
                Command::Mail(Mail { auth: true, extended: true, ..mail("a@b.example") }),
            ),
            ("auth LOGIN", auth("LOGIN", None)),
            ("AUTH SCRAM-SHA-256-PLUS =", auth("SCRAM-SHA-256-PLUS", Some("="))),
            (
                "MAIL FROM:<a@b.example> RET=HDRS ENVID=QQ+2B1 HOLDFOR=60",
                Command::Mail(Mail {
                    whole: Some(false),
                    envelope_id: Some("QQ+1".to_owned()),
                    hold: Some(Hold::For(60)),
                    extended: true,
                    ..mail("a@b.example")
                }),
            ),
            ("RCPT TO:<a@b.example>", Command::Rcpt(rcpt("a@b.example"))),
            ("RCPT TO:<PostMaster>", Command::Rcpt(rcpt("postmaster"))),
            (
                "RCPT TO:<a@b.example> NOTIFY=NEVER ORCPT=rfc822;x@y.example",
                Command::Rcpt(Rcpt {
                    notify: Some(Notify { success: false, failure: false, delay: false }),
                    original: Some("rfc822;x@y.example".to_owned()),
                    ..rcpt("a@b.example")
                }),
            ),
            ("DATA", Command::Data),
            ("DATA ", Command::Data),
            ("BDAT 0 LAST", Command::Bdat { len: 0, last: true }),
            ("bdat 17", Command::Bdat { len: 17, last: false }),
            ("NOOP what ever", Command::Noop),
            ("QUIT", Command::Quit),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn mistakes_get_their_reply() {
        for (line, code, enhanced) in [
            ("", 500, "5.5.2"),
            ("FROB", 500, "5.5.1"),
            ("LHLO x", 500, "5.5.1"),
            ("AUTH", 501, "5.5.4"),
            ("AUTH PLAIN x y", 501, "5.5.4"),
            ("AUTH PLAIN\u{e9}", 501, "5.5.4"),
            ("EHLO", 501, "5.5.4"),
            ("EHLO a b", 501, "5.5.4"),
            ("EHLO a(b", 501, "5.5.4"),
            ("QUIT now", 501, "5.5.4"),
            ("DATA x", 501, "5.5.4"),
            ("MAIL", 501, "5.5.4"),
            ("MAIL FROM a@b.example", 501, "5.5.4"),
            ("MAIL FROM:a@b.example", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example>SIZE=1", 501, "5.5.4"),
            ("MAIL FROM:<a b@c.example>", 553, "5.1.7"),
            ("MAIL FROM:<用@b.example>", 553, "5.6.7"),
            ("MAIL FROM:<a@b.example> SIZE=", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example> SIZE=-1", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example> SIZE=1 SIZE=2", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example> SMTPUTF8=1", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example> BODY=BINARYMIME", 555, "5.5.4"),
            ("MAIL FROM:<a@b.example> AUTH", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example> AUTH=", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example> RET=ALL", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example> RET=FULL RET=FULL", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example> ENVID=+", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example> HOLDFOR=1 HOLDUNTIL=2030-01-01T00:00:00Z", 501, "5.5.4"),
            ("MAIL FROM:<a@b.example> HOLDFOR=soon", 501, "5.5.4"),
            ("RCPT TO:<a@b.example> NOTIFY=SOMETIMES", 501, "5.5.4"),
            ("RCPT TO:<a@b.example> NOTIFY", 501, "5.5.4"),
            ("RCPT TO:<a@b.example> ORCPT=a@b.example", 501, "5.5.4"),
            ("RCPT TO:<a@b.example> NOTIFY=NEVER NOTIFY=NEVER", 501, "5.5.4"),
            ("RCPT TO:<a@b.example> FROB=1", 555, "5.5.4"),
            ("RCPT TO:<>", 553, "5.1.3"),
            ("RCPT TO:<a>", 553, "5.1.3"),
            ("BDAT", 501, "5.5.4"),
            ("BDAT x", 501, "5.5.4"),
            ("BDAT 1 FIRST", 501, "5.5.4"),
            ("BDAT 1 LAST x", 501, "5.5.4"),
            ("NO\0OP", 500, "5.5.2"),
            ("NOOP \r", 500, "5.5.2"),
        ] {
            let reply = Command::parse(line.as_bytes()).expect_err(line);
            assert_eq!((reply.code, reply.enhanced), (code, enhanced), "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(reply) = Command::parse(&bytes) {
                prop_assert!(reply.is_permanent_failure());
                let line = reply.line();
                prop_assert!(line.is_ascii() && line.find('\r') == Some(line.len() - 2));
            }
        }

        #[test]
        fn near_misses_do_not_panic(line in "(?i)(MAIL FROM:|RCPT TO:|BDAT |EHLO |VRFY )[<>a@.\"\\\\ =0-9SIZEBODY\\[\\]用]{0,60}") {
            let _ = Command::parse(line.as_bytes());
        }
    }
}
