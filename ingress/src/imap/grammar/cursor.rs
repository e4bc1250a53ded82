//! Reading the tokens of RFC 3501 section 9 from the bytes of one command.
//!
//! The bytes are as they came: a literal stands in them as `{4}`, CRLF and its four octets. Invariants: never
//! looks outside of the bytes, never goes back over what it has taken, allocates no more than it was given.

use std::ops::Range;

use super::utf7::Names;

/// Why a command can't be read; the text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SyntaxError(pub &'static str);

/// What a reader gives.
pub type Parse<T> = Result<T, SyntaxError>;

/// A place in the bytes of a command.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    names: Names,
}

/// `ATOM-CHAR`, with 8-bit bytes tolerated.
fn is_atom_byte(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !b"(){%*\"\\]".contains(&byte)
}

/// `ASTRING-CHAR`.
fn is_astring_byte(byte: u8) -> bool {
    is_atom_byte(byte) || byte == b']'
}

impl<'a> Cursor<'a> {
    /// At the beginning of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0, names: Names::Utf7 }
    }

    /// With mailbox names written so.
    #[must_use]
    pub const fn with_names(self, names: Names) -> Cursor<'a> {
        Cursor { names, ..self }
    }

    /// How mailbox names are written.
    #[must_use]
    pub const fn names(&self) -> Names {
        self.names
    }

    /// The byte that comes next.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Everything that is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Nothing is left.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Takes `byte` if it comes next.
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `byte`, which must come next.
    ///
    /// # Errors
    /// `otherwise`.
    pub fn expect(&mut self, byte: u8, otherwise: &'static str) -> Parse<()> {
        if self.take(byte) { Ok(()) } else { Err(SyntaxError(otherwise)) }
    }

    /// One space.
    ///
    /// # Errors
    /// There is none.
    pub fn space(&mut self) -> Parse<()> {
        self.expect(b' ', "expected a space")
    }

    /// The end of the command.
    ///
    /// # Errors
    /// Something is left.
    pub fn end(&mut self) -> Parse<()> {
        if self.is_at_end() { Ok(()) } else { Err(SyntaxError("too many arguments")) }
    }

    /// Takes bytes as long as they are `wanted`; perhaps none.
    pub fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Takes `word` in any case if it comes next and no letter, digit, dot or hyphen follows it.
    pub fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let found = rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()));
        let ends =
            rest.get(word.len()).is_none_or(|next| !(next.is_ascii_alphanumeric() || b".-=".contains(next)));
        if found && ends {
            self.at += word.len();
        }
        found && ends
    }

    /// `tag`.
    ///
    /// # Errors
    /// There is none.
    pub fn tag(&mut self) -> Parse<&'a str> {
        let tag = self.take_while(|byte| is_astring_byte(byte) && byte.is_ascii() && byte != b'+');
        match std::str::from_utf8(tag) {
            Ok(tag) if !tag.is_empty() && tag.len() <= 255 => Ok(tag),
            _ => Err(SyntaxError("expected a tag")),
        }
    }

    /// `atom`, of ASCII only.
    ///
    /// # Errors
    /// There is none.
    pub fn atom(&mut self) -> Parse<&'a str> {
        let atom = self.take_while(|byte| is_atom_byte(byte) && byte.is_ascii());
        match std::str::from_utf8(atom) {
            Ok(atom) if !atom.is_empty() => Ok(atom),
            _ => Err(SyntaxError("expected an atom")),
        }
    }

    /// `number` of 32 bits.
    ///
    /// # Errors
    /// There is none, or it is too large.
    pub fn number(&mut self) -> Parse<u32> {
        u32::try_from(self.number64()?).map_err(|_| SyntaxError("the number is too large"))
    }

    /// `number64`: below 2^63 (RFC 9051 section 9).
    ///
    /// # Errors
    /// There is none, or it is too large.
    pub fn number64(&mut self) -> Parse<u64> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err(SyntaxError("expected a number"));
        }
        if digits.len() > 20 {
            return Err(SyntaxError("the number is too large"));
        }
        let value = digits
            .iter()
            .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        value.filter(|value| *value < 1 << 63).ok_or(SyntaxError("the number is too large"))
    }

    /// `astring`.
    ///
    /// # Errors
    /// There is none.
    pub fn astring(&mut self) -> Parse<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => {
                let atom = self.take_while(is_astring_byte);
                if atom.is_empty() { Err(SyntaxError("expected a string")) } else { Ok(atom.to_vec()) }
            }
        }
    }

    /// `list-mailbox`: as `astring`, with wildcards.
    ///
    /// # Errors
    /// There is none.
    pub fn list_mailbox(&mut self) -> Parse<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => {
                let atom = self.take_while(|byte| is_astring_byte(byte) || byte == b'*' || byte == b'%');
                if atom.is_empty() {
                    Err(SyntaxError("expected a mailbox pattern"))
                } else {
                    Ok(atom.to_vec())
                }
            }
        }
    }

    /// `nstring`.
    ///
    /// # Errors
    /// There is none.
    pub fn nstring(&mut self) -> Parse<Option<Vec<u8>>> {
        if self.take_word("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// `string`, quoted or literal. 8-bit bytes are tolerated; NUL, CR and LF are not, but for CR and LF in
    /// literals.
    ///
    /// # Errors
    /// There is none, or it does not end.
    pub fn string(&mut self) -> Parse<Vec<u8>> {
        if self.peek() == Some(b'{') {
            let range = self.literal()?;
            let octets = &self.bytes[range];
            if octets.contains(&0) {
                return Err(SyntaxError("a string can't contain NUL"));
            }
            return Ok(octets.to_vec());
        }
        self.expect(b'"', "expected a string")?;
        let mut text = Vec::new();
        loop {
            text.extend_from_slice(self.take_while(|byte| !b"\"\\\r\n\0".contains(&byte)));
            if self.take(b'"') {
                return Ok(text);
            }
            let escaped = self.take(b'\\');
            match self.peek() {
                Some(byte @ (b'"' | b'\\')) if escaped => {
                    self.at += 1;
                    text.push(byte);
                }
                _ => return Err(SyntaxError("a quoted string is broken")),
            }
        }
    }

    /// `literal` or `literal8`: where its octets are.
    ///
    /// # Errors
    /// There is none, or fewer octets than it says.
    pub fn literal(&mut self) -> Parse<Range<usize>> {
        self.take(b'~');
        self.expect(b'{', "expected a literal")?;
        let len = self.number64()?;
        self.take(b'+');
        self.expect(b'}', "a literal is broken")?;
        self.expect(b'\r', "a literal is broken")?;
        self.expect(b'\n', "a literal is broken")?;
        let len = usize::try_from(len).map_err(|_| SyntaxError("a literal is too long"))?;
        if len > self.bytes.len() - self.at {
            return Err(SyntaxError("a literal is cut"));
        }
        let start = self.at;
        self.at += len;
        Ok(start..self.at)
    }

    /// The octets of a `literal` or `literal8`, whatever they are.
    ///
    /// # Errors
    /// There is none, or it is broken.
    pub fn octets(&mut self) -> Parse<&'a [u8]> {
        let range = self.literal()?;
        Ok(&self.bytes[range])
    }

    /// `(` items with one space between them `)`, at least one and at most `most`.
    ///
    /// # Errors
    /// The list is broken or too long.
    pub fn list<T>(&mut self, most: usize, item: impl FnMut(&mut Cursor<'a>) -> Parse<T>) -> Parse<Vec<T>> {
        let items = self.list_or_empty(most, item)?;
        if items.is_empty() { Err(SyntaxError("a list can't be empty")) } else { Ok(items) }
    }

    /// As [`Cursor::list`], perhaps empty.
    ///
    /// # Errors
    /// The list is broken or too long.
    pub fn list_or_empty<T>(
        &mut self,
        most: usize,
        mut item: impl FnMut(&mut Cursor<'a>) -> Parse<T>,
    ) -> Parse<Vec<T>> {
        self.expect(b'(', "expected a list")?;
        let mut items = Vec::new();
        if self.take(b')') {
            return Ok(items);
        }
        loop {
            if items.len() >= most {
                return Err(SyntaxError("a list is too long"));
            }
            items.push(item(self)?);
            if self.take(b')') {
                return Ok(items);
            }
            self.space()?;
        }
    }
}
