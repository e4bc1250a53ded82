//! SEARCH (RFC 3501 section 6.4.4) with the return options of RFC 4731, MODSEQ of RFC 7162, YOUNGER and OLDER
//! of RFC 5032 and the object ids of RFC 8474.

use pennypost_model::{Keyword, SystemFlags};

use super::cursor::{Cursor, Parse, SyntaxError};
use super::date::Day;
use super::partial::Partial;
use super::set::SequenceSet;

/// SEARCH and UID SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The answer has UIDs.
    pub by_uid: bool,
    /// What to answer with ESEARCH; `None` for the plain SEARCH answer.
    pub returns: Option<Returns>,
    /// CHARSET is named.
    pub names_charset: bool,
    /// The condition.
    pub key: SearchKey,
}

/// The return options (RFC 4731 section 3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Returns {
    /// MIN
    pub min: bool,
    /// MAX
    pub max: bool,
    /// ALL; also when none is given.
    pub all: bool,
    /// COUNT
    pub count: bool,
    /// SAVE (RFC 5182)
    pub save: bool,
    /// PARTIAL (RFC 9394)
    pub partial: Option<Partial>,
}

impl Returns {
    /// There is something to tell: SAVE alone tells nothing.
    #[must_use]
    pub const fn tells(&self) -> bool {
        self.min || self.max || self.all || self.count || self.partial.is_some()
    }
}

/// A header that a key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderKey {
    /// The field's name.
    pub field: String,
    /// What its value must contain.
    pub text: String,
}

/// How a day is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Earlier than the day.
    Before,
    /// On the day.
    On,
    /// On the day or later.
    Since,
}

/// A condition. Texts are in Unicode, decoded from the charset that the command names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey {
    /// Every message.
    All,
    /// Message sequence numbers.
    Sequence(SequenceSet),
    /// UIDs.
    Uids(SequenceSet),
    /// A system flag is set.
    Flag(SystemFlags),
    /// A keyword is set. `None`: not a keyword that a message could have.
    Keyword(Option<Keyword>),
    /// `\Recent` is set.
    Recent,
    /// INTERNALDATE.
    Internal(When, Day),
    /// The Date header.
    Sent(When, Day),
    /// When it came into the mailbox (RFC 8514).
    Saved(When, Day),
    /// RFC822.SIZE above this.
    Larger(u64),
    /// RFC822.SIZE below this.
    Smaller(u64),
    /// INTERNALDATE within this many seconds.
    Younger(u32),
    /// INTERNALDATE this many seconds ago or more.
    Older(u32),
    /// A header field.
    Header(HeaderKey),
    /// The body.
    Body(String),
    /// Header or body.
    Text(String),
    /// MODSEQ at least this.
    ModSeq(u64),
    /// EMAILID.
    EmailId(String),
    /// THREADID.
    ThreadId(String),
    /// The contrary.
    Not(Box<SearchKey>),
    /// One of the two.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// All of these.
    And(Vec<SearchKey>),
}

/// Levels of NOT, OR and parentheses.
const MAX_DEPTH: usize = 60;
/// Keys of one command.
const MAX_KEYS: usize = 2_000;

/// A charset in which search texts can come.
#[derive(Debug, Clone, Copy)]
pub struct Charset(&'static encoding_rs::Encoding);

impl Charset {
    /// The charsets that are told to clients that name another one.
    pub const KNOWN: &'static str = "US-ASCII UTF-8 GB18030 GBK BIG5";

    fn named(name: &[u8]) -> Option<Charset> {
        let upper = name.to_ascii_uppercase();
        match upper.as_slice() {
            b"US-ASCII" | b"ASCII" | b"UTF-8" => Some(Charset(encoding_rs::UTF_8)),
            b"GB18030" | b"GBK" | b"GB2312" => Some(Charset(encoding_rs::GB18030)),
            b"BIG5" => Some(Charset(encoding_rs::BIG5)),
            _ => None,
        }
    }

    fn decode(self, octets: &[u8]) -> String {
        self.0.decode_without_bom_handling(octets).0.into_owned()
    }
}

/// Why a SEARCH is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchError {
    /// It can't be read.
    Syntax(SyntaxError),
    /// NO [BADCHARSET].
    BadCharset {
        /// It has RETURN (SAVE).
        saves: bool,
    },
}

impl From<SyntaxError> for SearchError {
    fn from(error: SyntaxError) -> SearchError {
        SearchError::Syntax(error)
    }
}

impl Search {
    /// Reads the arguments.
    ///
    /// # Errors
    /// They are broken, or name an unknown charset.
    pub fn parse(cursor: &mut Cursor<'_>, by_uid: bool) -> Result<Search, SearchError> {
        let mut returns = None;
        if cursor.take_word("RETURN") {
            cursor.space()?;
            returns = Some(return_options(cursor)?);
            cursor.space()?;
        }
        let mut charset = Charset(encoding_rs::UTF_8);
        let mut names_charset = false;
        if cursor.take_word("CHARSET") {
            cursor.space()?;
            let saves = returns.is_some_and(|returns: Returns| returns.save);
            names_charset = true;
            charset = Charset::named(&cursor.astring()?).ok_or(SearchError::BadCharset { saves })?;
            cursor.space()?;
        }
        let key = keys(cursor, charset)?;
        Ok(Search { by_uid, returns, names_charset, key })
    }

    /// Reads the charset, which must be there, and the keys: the end of SORT and THREAD.
    ///
    /// # Errors
    /// They are broken, or name an unknown charset.
    pub(super) fn parse_with_charset(
        cursor: &mut Cursor<'_>,
        by_uid: bool,
        returns: Option<Returns>,
    ) -> Result<Search, SearchError> {
        let saves = returns.is_some_and(|returns| returns.save);
        let charset = Charset::named(&cursor.astring()?).ok_or(SearchError::BadCharset { saves })?;
        cursor.space()?;
        Ok(Search { by_uid, returns, names_charset: false, key: keys(cursor, charset)? })
    }
}

pub(super) fn return_options(cursor: &mut Cursor<'_>) -> Parse<Returns> {
    let mut returns = Returns::default();
    let options = cursor.list_or_empty(10, |cursor| {
        if cursor.take_word("PARTIAL") {
            cursor.space()?;
            if returns.partial.replace(Partial::parse(cursor)?).is_some() {
                return Err(SyntaxError("PARTIAL can be asked for once"));
            }
            return Ok(());
        }
        let option = match () {
            () if cursor.take_word("MIN") => &mut returns.min,
            () if cursor.take_word("MAX") => &mut returns.max,
            () if cursor.take_word("ALL") => &mut returns.all,
            () if cursor.take_word("COUNT") => &mut returns.count,
            () if cursor.take_word("SAVE") => &mut returns.save,
            () => return Err(SyntaxError("unknown return option of SEARCH")),
        };
        *option = true;
        Ok(())
    })?;
    returns.all |= options.is_empty();
    // RFC 9394 section 3.1.
    if returns.all && returns.partial.is_some() {
        return Err(SyntaxError("ALL and PARTIAL exclude each other"));
    }
    Ok(returns)
}

/// Keys up to the end of the command, all of which must hold.
fn keys(cursor: &mut Cursor<'_>, charset: Charset) -> Parse<SearchKey> {
    let mut reader = KeyReader { charset, left: MAX_KEYS };
    let mut keys = vec![reader.key(cursor, 0)?];
    while cursor.take(b' ') {
        keys.push(reader.key(cursor, 0)?);
    }
    cursor.end()?;
    Ok(all_of(keys))
}

fn all_of(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.len() {
        1 => keys.pop().unwrap_or(SearchKey::All),
        _ => SearchKey::And(keys),
    }
}

struct KeyReader {
    charset: Charset,
    left: usize,
}

impl KeyReader {
    fn key(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Parse<SearchKey> {
        if depth > MAX_DEPTH {
            return Err(SyntaxError("the search is nested too deeply"));
        }
        self.left = self.left.checked_sub(1).ok_or(SyntaxError("the search has too many keys"))?;
        match cursor.peek() {
            Some(b'(') => {
                let keys = cursor.list(MAX_KEYS, |cursor| self.key(cursor, depth + 1))?;
                return Ok(all_of(keys));
            }
            Some(b'0'..=b'9' | b'*' | b'$') => return SequenceSet::parse(cursor).map(SearchKey::Sequence),
            _ => {}
        }
        let name = cursor.atom()?.to_ascii_uppercase();
        if let Some(key) = simple_key(&name) {
            return Ok(key);
        }
        cursor.space()?;
        self.argument(cursor, &name, depth)
    }

    fn argument(&mut self, cursor: &mut Cursor<'_>, name: &str, depth: usize) -> Parse<SearchKey> {
        Ok(match name {
            "BEFORE" => SearchKey::Internal(When::Before, Day::parse(cursor)?),
            "ON" => SearchKey::Internal(When::On, Day::parse(cursor)?),
            "SINCE" => SearchKey::Internal(When::Since, Day::parse(cursor)?),
            "SENTBEFORE" => SearchKey::Sent(When::Before, Day::parse(cursor)?),
            "SENTON" => SearchKey::Sent(When::On, Day::parse(cursor)?),
            "SENTSINCE" => SearchKey::Sent(When::Since, Day::parse(cursor)?),
            "SAVEDBEFORE" => SearchKey::Saved(When::Before, Day::parse(cursor)?),
            "SAVEDON" => SearchKey::Saved(When::On, Day::parse(cursor)?),
            "SAVEDSINCE" => SearchKey::Saved(When::Since, Day::parse(cursor)?),
            "LARGER" => SearchKey::Larger(cursor.number64()?),
            "SMALLER" => SearchKey::Smaller(cursor.number64()?),
            "YOUNGER" => SearchKey::Younger(seconds(cursor)?),
            "OLDER" => SearchKey::Older(seconds(cursor)?),
            "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => {
                SearchKey::Header(HeaderKey { field: name.to_owned(), text: self.text(cursor)? })
            }
            "HEADER" => {
                let field = String::from_utf8_lossy(&cursor.astring()?).into_owned();
                cursor.space()?;
                SearchKey::Header(HeaderKey { field, text: self.text(cursor)? })
            }
            "BODY" => SearchKey::Body(self.text(cursor)?),
            "TEXT" => SearchKey::Text(self.text(cursor)?),
            "KEYWORD" => SearchKey::Keyword(Keyword::parse(cursor.atom()?)),
            "UNKEYWORD" => not(SearchKey::Keyword(Keyword::parse(cursor.atom()?))),
            "UID" => SearchKey::Uids(SequenceSet::parse(cursor)?),
            "MODSEQ" => SearchKey::ModSeq(mod_sequence(cursor)?),
            "EMAILID" => SearchKey::EmailId(cursor.atom()?.to_owned()),
            "THREADID" => SearchKey::ThreadId(cursor.atom()?.to_owned()),
            "NOT" => not(self.key(cursor, depth + 1)?),
            "OR" => {
                let first = self.key(cursor, depth + 1)?;
                cursor.space()?;
                let second = self.key(cursor, depth + 1)?;
                SearchKey::Or(Box::new(first), Box::new(second))
            }
            _ => return Err(SyntaxError("unknown search key")),
        })
    }

    fn text(&self, cursor: &mut Cursor<'_>) -> Parse<String> {
        cursor.astring().map(|octets| self.charset.decode(&octets))
    }
}

fn simple_key(name: &str) -> Option<SearchKey> {
    let flag = |flag| Some(SearchKey::Flag(flag));
    let no_flag = |flag| Some(not(SearchKey::Flag(flag)));
    match name {
        // Every mailbox keeps when messages came (RFC 8514 section 4.4).
        "ALL" | "SAVEDATESUPPORTED" => Some(SearchKey::All),
        "ANSWERED" => flag(SystemFlags::ANSWERED),
        "DELETED" => flag(SystemFlags::DELETED),
        "DRAFT" => flag(SystemFlags::DRAFT),
        "FLAGGED" => flag(SystemFlags::FLAGGED),
        "SEEN" => flag(SystemFlags::SEEN),
        "UNANSWERED" => no_flag(SystemFlags::ANSWERED),
        "UNDELETED" => no_flag(SystemFlags::DELETED),
        "UNDRAFT" => no_flag(SystemFlags::DRAFT),
        "UNFLAGGED" => no_flag(SystemFlags::FLAGGED),
        "UNSEEN" => no_flag(SystemFlags::SEEN),
        "NEW" => Some(SearchKey::And(vec![SearchKey::Recent, not(SearchKey::Flag(SystemFlags::SEEN))])),
        "OLD" => Some(not(SearchKey::Recent)),
        "RECENT" => Some(SearchKey::Recent),
        _ => None,
    }
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

fn seconds(cursor: &mut Cursor<'_>) -> Parse<u32> {
    match cursor.number()? {
        0 => Err(SyntaxError("0 seconds are no interval")),
        seconds => Ok(seconds),
    }
}

/// `search-modsequence`: the entry name and type are for servers that keep a MODSEQ per flag.
fn mod_sequence(cursor: &mut Cursor<'_>) -> Parse<u64> {
    if cursor.peek() == Some(b'"') {
        cursor.string()?;
        cursor.space()?;
        cursor.atom()?;
        cursor.space()?;
    }
    cursor.number64()
}

impl SearchKey {
    /// Names message sequence numbers somewhere.
    #[must_use]
    pub fn names_numbers(&self) -> bool {
        match self {
            SearchKey::Sequence(set) => !set.ranges.is_empty(),
            SearchKey::Not(key) => key.names_numbers(),
            SearchKey::Or(first, second) => first.names_numbers() || second.names_numbers(),
            SearchKey::And(keys) => keys.iter().any(SearchKey::names_numbers),
            _ => false,
        }
    }

    /// Names MODSEQ somewhere: the answer then tells the highest one (RFC 7162 section 3.1.5).
    #[must_use]
    pub fn names_modseq(&self) -> bool {
        match self {
            SearchKey::ModSeq(_) => true,
            SearchKey::Not(key) => key.names_modseq(),
            SearchKey::Or(first, second) => first.names_modseq() || second.names_modseq(),
            SearchKey::And(keys) => keys.iter().any(SearchKey::names_modseq),
            _ => false,
        }
    }
}
