//! Tokens as commands and tests (RFC 5228 section 8.2), whatever they are called.

use std::vec::IntoIter;

use super::fault::{Position, SieveError, SieveFault};
use super::lexer::{Kind, Note, Token, tokens};

/// Tests in tests, and blocks in blocks.
pub(super) const MAX_DEPTH: usize = 16;

/// A string of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) at: Position,
}

/// What an argument is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    /// With its colon.
    Tag(String),
    /// One string, or a list of them.
    Texts(Vec<Piece>),
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) value: Value,
    pub(super) at: Position,
    pub(super) notes: Vec<Note>,
}

/// A test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) arguments: Vec<Argument>,
    pub(super) tests: Vec<Test>,
}

/// Commands in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) commands: Vec<Command>,
    /// Comments before its brace.
    pub(super) notes: Vec<Note>,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) notes: Vec<Note>,
    pub(super) arguments: Vec<Argument>,
    pub(super) tests: Vec<Test>,
    pub(super) block: Option<Block>,
}

struct Parser {
    rest: std::iter::Peekable<IntoIter<Token>>,
    /// Where the last token stood.
    last: Position,
}

/// The commands of a script.
pub(super) fn commands(script: &str) -> Result<Vec<Command>, SieveError> {
    let mut parser = Parser::of(tokens(script, Position::FIRST)?, Position::FIRST);
    let commands = parser.commands(0)?;
    match parser.rest.next() {
        Some(token) => Err(unexpected(&token)),
        None => Ok(commands),
    }
}

/// A test that stands in a comment.
pub(super) fn test_in(note: &Note) -> Result<Test, SieveError> {
    let mut parser = Parser::of(tokens(&note.text, note.at)?, note.at);
    let test = parser.test(0)?;
    match parser.rest.next() {
        Some(token) => Err(unexpected(&token)),
        None => Ok(test),
    }
}

fn unexpected(token: &Token) -> SieveError {
    SieveFault::Unexpected(token.shown()).at(token.at)
}

impl Parser {
    fn of(tokens: Vec<Token>, last: Position) -> Parser {
        Parser { rest: tokens.into_iter().peekable(), last }
    }

    fn next(&mut self) -> Result<Token, SieveError> {
        let token = self.rest.next().ok_or(SieveFault::Ended.at(self.last))?;
        self.last = token.at;
        Ok(token)
    }

    fn is_mark(&mut self, mark: char) -> bool {
        self.rest.peek().is_some_and(|token| token.kind == Kind::Mark(mark))
    }

    fn is_word(&mut self) -> bool {
        self.rest.peek().is_some_and(|token| matches!(token.kind, Kind::Word(_)))
    }

    fn mark(&mut self, mark: char) -> Result<Token, SieveError> {
        let token = self.next()?;
        if token.kind == Kind::Mark(mark) { Ok(token) } else { Err(unexpected(&token)) }
    }

    fn commands(&mut self, depth: usize) -> Result<Vec<Command>, SieveError> {
        let mut commands = Vec::new();
        while self.is_word() {
            commands.push(self.command(depth)?);
        }
        Ok(commands)
    }

    fn command(&mut self, depth: usize) -> Result<Command, SieveError> {
        let (name, token) = self.name(depth)?;
        let (arguments, tests) = (self.arguments()?, self.tests(depth)?);
        let block = if self.is_mark('{') {
            let notes = self.mark('{')?.notes;
            let commands = self.commands(depth + 1)?;
            self.mark('}')?;
            Some(Block { commands, notes })
        } else {
            self.mark(';')?;
            None
        };
        Ok(Command { name, at: token.at, notes: token.notes, arguments, tests, block })
    }

    fn name(&mut self, depth: usize) -> Result<(String, Token), SieveError> {
        let token = self.next()?;
        if depth > MAX_DEPTH {
            return Err(SieveFault::Depth.at(token.at));
        }
        match &token.kind {
            Kind::Word(name) => Ok((name.clone(), token)),
            _ => Err(unexpected(&token)),
        }
    }

    fn test(&mut self, depth: usize) -> Result<Test, SieveError> {
        let (name, token) = self.name(depth)?;
        let (arguments, tests) = (self.arguments()?, self.tests(depth)?);
        Ok(Test { name, at: token.at, arguments, tests })
    }

    /// No test, one, or several in parentheses.
    fn tests(&mut self, depth: usize) -> Result<Vec<Test>, SieveError> {
        if self.is_word() {
            return Ok(vec![self.test(depth + 1)?]);
        }
        if !self.is_mark('(') {
            return Ok(Vec::new());
        }
        self.mark('(')?;
        let mut tests = vec![self.test(depth + 1)?];
        while self.is_mark(',') {
            self.mark(',')?;
            tests.push(self.test(depth + 1)?);
        }
        self.mark(')')?;
        Ok(tests)
    }

    fn arguments(&mut self) -> Result<Vec<Argument>, SieveError> {
        let mut arguments = Vec::new();
        loop {
            let is_argument = self.rest.peek().is_some_and(|token| {
                matches!(token.kind, Kind::Tag(_) | Kind::Number(_) | Kind::Text(_) | Kind::Mark('['))
            });
            if !is_argument {
                return Ok(arguments);
            }
            let Token { kind, at, notes } = self.next()?;
            let value = match kind {
                Kind::Tag(name) => Value::Tag(name),
                Kind::Number(number) => Value::Number(number),
                Kind::Text(text) => Value::Texts(vec![Piece { text, at }]),
                Kind::Mark(_) | Kind::Word(_) => Value::Texts(self.list()?),
            };
            arguments.push(Argument { value, at, notes });
        }
    }

    /// The strings of a list behind its bracket.
    fn list(&mut self) -> Result<Vec<Piece>, SieveError> {
        let mut pieces = Vec::new();
        loop {
            let token = self.next()?;
            match token.kind {
                Kind::Text(text) => pieces.push(Piece { text, at: token.at }),
                _ => return Err(unexpected(&token)),
            }
            let token = self.next()?;
            match token.kind {
                Kind::Mark(',') => {}
                Kind::Mark(']') => return Ok(pieces),
                _ => return Err(unexpected(&token)),
            }
        }
    }
}
