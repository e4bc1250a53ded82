//! The grammar of command lines (RFC 1939 section 3, RFC 2449 section 4). Pure.

/// A command line, understood. Message numbers are as written, from 1.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Command {
    Capa,
    User(String),
    Pass(String),
    /// SASL mechanism in upper case and initial response; `None` asks for the list of mechanisms.
    Auth(Option<(String, Option<String>)>),
    Stls,
    Utf8,
    /// A language range; `None` asks for the list of languages.
    Lang(Option<String>),
    Stat,
    List(Option<u32>),
    Uidl(Option<u32>),
    Retr(u32),
    Top(u32, u64),
    Dele(u32),
    Rset,
    Noop,
    Quit,
}

impl Command {
    /// Its verb for metrics and logs.
    pub const fn verb(&self) -> &'static str {
        match self {
            Command::Capa => "CAPA",
            Command::User(_) => "USER",
            Command::Pass(_) => "PASS",
            Command::Auth(_) => "AUTH",
            Command::Stls => "STLS",
            Command::Utf8 => "UTF8",
            Command::Lang(_) => "LANG",
            Command::Stat => "STAT",
            Command::List(_) => "LIST",
            Command::Uidl(_) => "UIDL",
            Command::Retr(_) => "RETR",
            Command::Top(..) => "TOP",
            Command::Dele(_) => "DELE",
            Command::Rset => "RSET",
            Command::Noop => "NOOP",
            Command::Quit => "QUIT",
        }
    }

    /// Reads a line without its end; an error is a text for the client.
    pub fn parse(line: &[u8]) -> Result<Command, &'static str> {
        let text = std::str::from_utf8(line).map_err(|_| "the line is not valid UTF-8")?;
        if text.contains(['\0', '\r', '\n']) {
            return Err("a line can't contain NUL or a bare CR");
        }
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        if verb.len() > 8 {
            return Err("unknown command");
        }
        let argument = rest.trim();
        let alone = |command: Command| {
            if argument.is_empty() { Ok(command) } else { Err("this command takes no argument") }
        };
        match &*verb.to_ascii_uppercase() {
            "CAPA" => alone(Command::Capa),
            "STLS" => alone(Command::Stls),
            "UTF8" => alone(Command::Utf8),
            "LANG" if argument.contains(' ') => Err("LANG takes one language"),
            "LANG" => Ok(Command::Lang((!argument.is_empty()).then(|| argument.to_owned()))),
            "STAT" => alone(Command::Stat),
            "RSET" => alone(Command::Rset),
            "NOOP" => alone(Command::Noop),
            "QUIT" => alone(Command::Quit),
            "USER" if argument.is_empty() => Err("USER takes a mail address"),
            "USER" => Ok(Command::User(argument.to_owned())),
            // Spaces belong to the password (RFC 1939 section 7).
            "PASS" => Ok(Command::Pass(rest.to_owned())),
            "AUTH" => auth(argument),
            "LIST" => optional_number(argument).map(Command::List),
            "UIDL" => optional_number(argument).map(Command::Uidl),
            "RETR" => number(argument).map(Command::Retr),
            "DELE" => number(argument).map(Command::Dele),
            "TOP" => {
                let (message, lines) =
                    argument.split_once(' ').ok_or("TOP takes a message number and a number of lines")?;
                Ok(Command::Top(number(message)?, lines_of(lines.trim())?))
            }
            "APOP" => Err("APOP is not offered: use USER and PASS over TLS"),
            "LAST" => Err("LAST is not offered: use UIDL"),
            _ => Err("unknown command"),
        }
    }
}

fn auth(argument: &str) -> Result<Command, &'static str> {
    let mut words = argument.split_ascii_whitespace();
    let Some(mechanism) = words.next() else { return Ok(Command::Auth(None)) };
    let initial = words.next().map(str::to_owned);
    if words.next().is_some() {
        return Err("AUTH takes a mechanism and an initial response");
    }
    Ok(Command::Auth(Some((mechanism.to_ascii_uppercase(), initial))))
}

fn optional_number(argument: &str) -> Result<Option<u32>, &'static str> {
    if argument.is_empty() { Ok(None) } else { number(argument).map(Some) }
}

fn number(text: &str) -> Result<u32, &'static str> {
    let failed = "a message number is expected";
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(failed);
    }
    text.parse().ok().filter(|number| *number > 0).ok_or(failed)
}

/// More lines than fit are all lines.
fn lines_of(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a number of lines is expected");
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_understood() {
        let user = |name: &str| Command::User(name.to_owned());
        for (line, command) in [
            ("USER a@b.example", user("a@b.example")),
            ("user  a@b.example ", user("a@b.example")),
            ("PASS  two words ", Command::Pass(" two words ".to_owned())),
            ("AUTH", Command::Auth(None)),
            ("AUTH plain", Command::Auth(Some(("PLAIN".to_owned(), None)))),
            ("LIST", Command::List(None)),
            ("LIST 3", Command::List(Some(3))),
            ("TOP 1 0", Command::Top(1, 0)),
            ("TOP 1 99999999999999999999999", Command::Top(1, u64::MAX)),
            ("utf8", Command::Utf8),
            ("LANG", Command::Lang(None)),
            ("LANG zh-Hans", Command::Lang(Some("zh-Hans".to_owned()))),
            ("quit", Command::Quit),
        ] {
            assert!(Command::parse(line.as_bytes()) == Ok(command), "{line}");
        }
        for line in [
            "",
            " ",
            "RETR",
            "RETR 0",
            "RETR -1",
            "RETR +1",
            "RETR x",
            "RETR 4294967296",
            "RETR 1 2",
            "TOP 1",
            "TOP 1 x",
            "TOP x 1",
            "STAT 1",
            "USER",
            "FROBNICATE",
            "AUTH A B C",
            "QUIT now",
            "UTF8 x",
            "LANG a b",
            "NO\0OP",
        ] {
            assert!(Command::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Command::parse(&bytes);
        }

        #[test]
        fn near_misses_do_not_panic(line in "(?i)(TOP|RETR|LIST|AUTH|PASS|USER) ?[0-9a-z ]{0,30}") {
            let _ = Command::parse(line.as_bytes());
        }
    }
}
