//! A script as tokens (RFC 5228 section 8.1), each with where it stands and the comments before it.

use super::fault::{Position, SieveError, SieveFault};

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// What it says, without its marks.
    pub(super) text: String,
    /// Where that begins.
    pub(super) at: Position,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, in lower case.
    Word(String),
    /// A name behind a colon, in lower case, with the colon.
    Tag(String),
    /// A number.
    Number(u64),
    /// A string.
    Text(String),
    /// One of `( ) { } [ ] , ;`.
    Mark(char),
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: Position,
    /// Comments between the token before and this one.
    pub(super) notes: Vec<Note>,
}

impl Token {
    /// As it is told to people.
    pub(super) fn shown(&self) -> String {
        match &self.kind {
            Kind::Word(name) | Kind::Tag(name) => name.chars().take(40).collect(),
            Kind::Number(number) => number.to_string(),
            Kind::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Kind::Mark(mark) => mark.to_string(),
        }
    }
}

/// What is left of a script, and where that begins.
struct Reader<'a> {
    rest: &'a str,
    at: Position,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        if c == '\n' {
            self.at = Position { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    fn take_if(&mut self, is_wanted: impl Fn(char) -> bool) -> Option<char> {
        self.peek().filter(|c| is_wanted(*c))?;
        self.next()
    }

    fn take_while(&mut self, is_wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.take_if(&is_wanted) {
            taken.push(c);
        }
        taken
    }

    /// A string behind its first quotation mark.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.next()?),
                c => text.push(c),
            }
        }
    }

    /// A string behind `text:`: its lines up to one with a dot alone.
    fn multiline(&mut self) -> Result<String, SieveError> {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r'));
        if self.peek() == Some('#') {
            self.take_while(|c| c != '\n');
        }
        let at = self.at;
        match self.next() {
            Some('\n') => {}
            Some(other) => return Err(SieveFault::Unexpected(other.to_string()).at(at)),
            None => return Err(SieveFault::OpenText.at(at)),
        }
        let mut text = String::new();
        loop {
            let line = self.take_while(|c| c != '\n');
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line == "." {
                return Ok(text);
            }
            if self.next().is_none() {
                return Err(SieveFault::OpenText.at(at));
            }
            text.push_str(line.strip_prefix('.').filter(|rest| rest.starts_with('.')).unwrap_or(line));
            text.push('\n');
        }
    }

    fn number(&mut self) -> Option<u64> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        let factor = match self.take_if(|c| matches!(c.to_ascii_lowercase(), 'k' | 'm' | 'g')) {
            None => 1,
            Some('k' | 'K') => 1 << 10,
            Some('m' | 'M') => 1 << 20,
            Some(_) => 1 << 30,
        };
        let number = digits.parse::<u64>().ok()?.checked_mul(factor)?;
        if self.peek().is_some_and(is_of_word) { None } else { Some(number) }
    }
}

const fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The tokens of a script whose first character stands there.
pub(super) fn tokens(script: &str, at: Position) -> Result<Vec<Token>, SieveError> {
    let mut reader = Reader { rest: script, at };
    let (mut tokens, mut notes) = (Vec::new(), Vec::new());
    while let Some(c) = reader.peek() {
        let at = reader.at;
        let kind = match c {
            ' ' | '\t' | '\r' | '\n' => {
                reader.next();
                continue;
            }
            '#' => {
                reader.next();
                let at = reader.at;
                notes.push(Note { text: reader.take_while(|c| c != '\n'), at });
                continue;
            }
            '/' if reader.rest.starts_with("/*") => {
                reader.next();
                reader.next();
                let begin = reader.at;
                let Some(end) = reader.rest.find("*/") else { return Err(SieveFault::OpenComment.at(at)) };
                let text = reader.rest[..end].to_owned();
                for _ in 0..text.chars().count() + 2 {
                    reader.next();
                }
                notes.push(Note { text, at: begin });
                continue;
            }
            '"' => {
                reader.next();
                Kind::Text(reader.quoted().ok_or(SieveFault::OpenText.at(at))?)
            }
            ':' => {
                reader.next();
                let name = reader.take_while(is_of_word).to_ascii_lowercase();
                if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(SieveFault::Character(':').at(at));
                }
                Kind::Tag(format!(":{name}"))
            }
            '(' | ')' | '{' | '}' | '[' | ']' | ',' | ';' => {
                reader.next();
                Kind::Mark(c)
            }
            '0'..='9' => Kind::Number(reader.number().ok_or(SieveFault::Number.at(at))?),
            c if is_of_word(c) => {
                let name = reader.take_while(is_of_word).to_ascii_lowercase();
                if name == "text" && reader.take_if(|c| c == ':').is_some() {
                    Kind::Text(reader.multiline()?)
                } else {
                    Kind::Word(name)
                }
            }
            other => return Err(SieveFault::Character(other).at(at)),
        };
        tokens.push(Token { kind, at, notes: std::mem::take(&mut notes) });
    }
    Ok(tokens)
}
