//! Commands printed and read back, and arbitrary bytes.

use pennypost_model::{FlagSet, Keyword, SystemFlags};
use proptest::prelude::*;

use super::date::Day;
use super::search::{HeaderKey, When};
use super::*;

fn parse(text: &str) -> Parse<Command> {
    command(text.as_bytes())
}

/// A string in one of the three forms, chosen by `form`.
fn print_string(text: &str, form: u8) -> String {
    let is_atom = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let can_be_quoted = !text.contains(['\r', '\n']);
    match form % 3 {
        0 if is_atom && !text.eq_ignore_ascii_case("NIL") => text.to_owned(),
        1 if can_be_quoted => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        _ => format!("{{{}+}}\r\n{text}", text.len()),
    }
}

fn print_key(key: &SearchKey, form: u8) -> String {
    let text = |text: &str| print_string(text, form);
    let not = |key: &SearchKey| format!("NOT {}", print_key(key, form));
    let day = |prefix: &str, when: &When, day: &Day| {
        let name = match when {
            When::Before => "BEFORE",
            When::On => "ON",
            When::Since => "SINCE",
        };
        format!("{prefix}{name} {}", day.print())
    };
    match key {
        SearchKey::All => "ALL".to_owned(),
        SearchKey::Sequence(set) => set.to_string(),
        SearchKey::Uids(set) => format!("UID {set}"),
        SearchKey::Flag(SystemFlags::SEEN) => "SEEN".to_owned(),
        SearchKey::Flag(_) => "FLAGGED".to_owned(),
        SearchKey::Keyword(keyword) => format!("KEYWORD {}", keyword.as_ref().map_or("x", Keyword::as_str)),
        SearchKey::Recent => "RECENT".to_owned(),
        SearchKey::Internal(when, with) => day("", when, with),
        SearchKey::Sent(when, with) => day("SENT", when, with),
        SearchKey::Larger(size) => format!("LARGER {size}"),
        SearchKey::Smaller(size) => format!("smaller {size}"),
        SearchKey::Younger(seconds) => format!("YOUNGER {seconds}"),
        SearchKey::Older(seconds) => format!("OLDER {seconds}"),
        SearchKey::Header(HeaderKey { field, text: value }) => {
            format!("HEADER {} {}", print_string(field, form), text(value))
        }
        SearchKey::Body(value) => format!("BODY {}", text(value)),
        SearchKey::Text(value) => format!("TEXT {}", text(value)),
        SearchKey::ModSeq(modseq) => format!("MODSEQ {modseq}"),
        SearchKey::EmailId(id) => format!("EMAILID {id}"),
        SearchKey::Saved(when, with) => day("SAVED", when, with),
        SearchKey::ThreadId(id) => format!("THREADID {id}"),
        SearchKey::Not(key) => not(key),
        SearchKey::Or(first, second) => {
            format!("OR {} {}", print_key(first, form), print_key(second, form))
        }
        SearchKey::And(keys) => {
            let keys: Vec<String> = keys.iter().map(|key| print_key(key, form)).collect();
            format!("({})", keys.join(" "))
        }
    }
}

fn print_path(path: &[u32]) -> String {
    path.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

fn print_item(item: &FetchItem) -> String {
    match item {
        FetchItem::Flags => "FLAGS".to_owned(),
        FetchItem::Uid => "UID".to_owned(),
        FetchItem::InternalDate => "InternalDate".to_owned(),
        FetchItem::Size => "RFC822.SIZE".to_owned(),
        FetchItem::Envelope => "envelope".to_owned(),
        FetchItem::Body => "BODY".to_owned(),
        FetchItem::BodyStructure => "BODYSTRUCTURE".to_owned(),
        FetchItem::ModSeq => "MODSEQ".to_owned(),
        FetchItem::EmailId => "EMAILID".to_owned(),
        FetchItem::ThreadId => "THREADID".to_owned(),
        FetchItem::SaveDate => "SAVEDATE".to_owned(),
        FetchItem::Preview => "PREVIEW (LAZY)".to_owned(),
        FetchItem::BinarySize(path) => format!("BINARY.SIZE[{}]", print_path(path)),
        FetchItem::Binary { path, partial, peek } => {
            let peek = if *peek { ".PEEK" } else { "" };
            let partial = partial.map_or(String::new(), |(first, len)| format!("<{first}.{len}>"));
            format!("BINARY{peek}[{}]{partial}", print_path(path))
        }
        FetchItem::Section { name: Some(name), .. } => (*name).to_owned(),
        FetchItem::Section { section, partial, peek, name: None } => {
            let peek = if *peek { ".PEEK" } else { "" };
            let partial = partial.map_or(String::new(), |(first, len)| format!("<{first}.{len}>"));
            format!("BODY{peek}[{section}]{partial}")
        }
    }
}

fn set() -> impl Strategy<Value = SequenceSet> {
    let number = || prop_oneof![(1..=u32::MAX).prop_map(SeqNumber::Value), Just(SeqNumber::Last)];
    proptest::collection::vec((number(), number()), 1..5).prop_map(SequenceSet::from)
}

fn day() -> impl Strategy<Value = (When, Day)> {
    (prop_oneof![Just(When::Before), Just(When::On), Just(When::Since)], (0..60_000_i64).prop_map(Day))
}

fn key() -> impl Strategy<Value = SearchKey> {
    let text = || "[^\0]{0,12}";
    let leaf = prop_oneof![
        Just(SearchKey::All),
        set().prop_map(SearchKey::Sequence),
        set().prop_map(SearchKey::Uids),
        Just(SearchKey::Flag(SystemFlags::SEEN)),
        Just(SearchKey::Flag(SystemFlags::FLAGGED)),
        Just(SearchKey::Recent),
        "[a-z]{1,9}".prop_map(|name| SearchKey::Keyword(Keyword::parse(&name))),
        day().prop_map(|(when, day)| SearchKey::Internal(when, day)),
        day().prop_map(|(when, day)| SearchKey::Sent(when, day)),
        (0..u64::MAX / 2).prop_map(SearchKey::Larger),
        (1..u32::MAX).prop_map(SearchKey::Older),
        ("[a-z-]{1,9}", text()).prop_map(|(field, text)| SearchKey::Header(HeaderKey { field, text })),
        text().prop_map(SearchKey::Body),
        text().prop_map(SearchKey::Text),
        (0..u64::MAX / 2).prop_map(SearchKey::ModSeq),
    ];
    leaf.prop_recursive(5, 30, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| SearchKey::Not(Box::new(key))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| SearchKey::Or(Box::new(a), Box::new(b))),
            proptest::collection::vec(inner, 2..4).prop_map(SearchKey::And),
        ]
    })
}

fn section() -> impl Strategy<Value = Section> {
    let text = prop_oneof![
        Just(SectionText::Whole),
        Just(SectionText::Header),
        Just(SectionText::Text),
        (any::<bool>(), proptest::collection::vec("[A-Za-z-]{1,8}|a b|\"\\\\", 1..4))
            .prop_map(|(not, names)| SectionText::HeaderFields { not, names }),
    ];
    (proptest::collection::vec(1..=u32::MAX, 0..4), text).prop_map(|(path, text)| Section { path, text })
}

fn item() -> impl Strategy<Value = FetchItem> {
    prop_oneof![
        Just(FetchItem::Flags),
        Just(FetchItem::InternalDate),
        Just(FetchItem::Size),
        Just(FetchItem::Envelope),
        Just(FetchItem::Body),
        Just(FetchItem::BodyStructure),
        Just(FetchItem::EmailId),
        Just(FetchItem::SaveDate),
        Just(FetchItem::Preview),
        proptest::collection::vec(1..=u32::MAX, 0..4).prop_map(FetchItem::BinarySize),
        (
            proptest::collection::vec(1..=u32::MAX, 0..4),
            proptest::option::of((0..9_u64, 1..9_u64)),
            any::<bool>()
        )
            .prop_map(|(path, partial, peek)| FetchItem::Binary { path, partial, peek }),
        (section(), proptest::option::of((0..u64::MAX / 2, 1..u64::MAX / 2)), any::<bool>())
            .prop_map(|(section, partial, peek)| FetchItem::Section { section, partial, peek, name: None }),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = command(&bytes);
        let _ = (tag(&bytes), takes_messages(&bytes));
    }

    #[test]
    fn broken_commands_are_harmless(
        verb in "(UID )?(FETCH|STORE|SEARCH|APPEND|LIST|STATUS|SELECT|COPY|ID|ENABLE|LOGIN|AUTHENTICATE)",
        rest in "[ -~&&[^a-z]]{0,60}|[0-9:*, (){}\\[\\]<>.\"\\\\A-Z+\r\n]{0,60}",
    ) {
        let _ = parse(&format!("a {verb} {rest}"));
    }

    #[test]
    fn a_search_is_read_back(key in key(), by_uid: bool, form in 0..3_u8) {
        let printed = print_key(&key, form);
        let printed = printed.strip_prefix('(').and_then(|p| p.strip_suffix(')'))
            .filter(|_| matches!(key, SearchKey::And(_))).unwrap_or(&printed);
        let line = format!("a {}SEARCH CHARSET UTF-8 {printed}", if by_uid { "UID " } else { "" });
        let expected = Command::Search(Search { by_uid, returns: None, names_charset: true, key });
        prop_assert_eq!(parse(&line), Ok(expected), "{}", line);
    }

    #[test]
    fn a_fetch_is_read_back(set in set(), items in proptest::collection::vec(item(), 1..5), since in proptest::option::of(0..u64::MAX / 2)) {
        let printed: Vec<String> = items.iter().map(print_item).collect();
        let modifier = since.map_or(String::new(), |since| format!(" (CHANGEDSINCE {since})"));
        let line = format!("a FETCH {set} ({}){modifier}", printed.join(" "));
        let mut items = items;
        if since.is_some() {
            items.push(FetchItem::ModSeq);
        }
        let expected = Command::Fetch(Fetch {
            by_uid: false,
            set,
            items,
            changed_since: since,
            vanished: false,
            partial: None,
        });
        prop_assert_eq!(parse(&line), Ok(expected), "{}", line);
    }

    #[test]
    fn names_are_read_back(name in "\\PC{0,30}", to in "\\PC{0,30}", form in 1..3_u8) {
        let (wire, wire_to) = (utf7::encode(&name), utf7::encode(&to));
        let line = format!("a RENAME {} {}", print_string(&wire, form), print_string(&wire_to, form + 1));
        prop_assert_eq!(parse(&line), Ok(Command::Rename { from: Some(name), to: Some(to) }));
    }

    #[test]
    fn an_append_is_read_back(octets in proptest::collection::vec(any::<u8>(), 0..100), seen: bool) {
        let flags = if seen { "(\\Seen $x) " } else { "" };
        let head = format!("a APPEND INBOX {flags}{{{}}}\r\n", octets.len());
        let bytes = [head.as_bytes(), &octets].concat();
        let Ok(Command::Append { messages, .. }) = command(&bytes) else { panic!("{head}") };
        prop_assert_eq!(messages.len(), 1);
        let AppendData::Octets(range) = &messages[0].data else { panic!("{:?}", messages[0]) };
        prop_assert_eq!(&bytes[range.clone()], &octets[..]);
        prop_assert_eq!(messages[0].flags.is_empty(), !seen);
    }
}

#[test]
fn depth_is_bounded() {
    for deep in [
        format!("a SEARCH {}ALL{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("a SEARCH {}ALL", "NOT ".repeat(10_000)),
        format!("a SEARCH {}ALL ALL", "OR ALL ".repeat(10_000)),
        format!("a SEARCH {}", "ALL ".repeat(10_000)),
        format!("a FETCH 1 BODY[{}1]", "1.".repeat(10_000)),
        format!("a FETCH 1 ({}FLAGS)", "FLAGS ".repeat(10_000)),
        format!("a STORE 1 FLAGS ({}x)", "x ".repeat(10_000)),
    ] {
        assert!(parse(&deep).is_err(), "{}", &deep[..40]);
    }
}

#[test]
fn forms_that_clients_use() {
    let flags = |system, keywords: &[&str]| FlagSet {
        system,
        keywords: keywords.iter().filter_map(|keyword| Keyword::parse(keyword)).collect(),
    };
    let seen = flags(SystemFlags::SEEN, &["$Junk"]);
    for line in [
        "a STORE 1 FLAGS (\\Seen $Junk)",
        "a store 1 flags \\seen $Junk",
        "a STORE 1 FLAGS (\\Recent \\Seen $Junk)",
    ] {
        match parse(line) {
            Ok(Command::Store(store)) => assert_eq!(store.flags, seen, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
    for line in [
        "a FETCH 1 ALL",
        "a FETCH 1 (UID RFC822.HEADER)",
        "a UID FETCH 1:* (FLAGS)",
        "a LIST \"\" %",
        "a LIST (SUBSCRIBED) \"\" \"*\" RETURN (SPECIAL-USE CHILDREN STATUS (UNSEEN))",
        "a ID (\"name\" \"x\" \"os\" NIL)",
        "a SEARCH CHARSET UTF-8 SUBJECT {3+}\r\n\u{4f60}",
        "a SELECT \"INBOX\" (CONDSTORE)",
        "a STATUS x (MESSAGES HIGHESTMODSEQ)",
        "a AUTHENTICATE PLAIN =",
        "a SEARCH UID 1:* UNDELETED",
        "a1.b-c_d NOOP",
    ] {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line));
    }
    for line in [
        "a NOOP ",
        "a NOOP x",
        " NOOP",
        "a UID NOOP",
        "a FETCH 1",
        "a FETCH 1 (ALL)",
        "a FETCH 1 BODY[MIME]",
        "a FETCH 1 BODY[]<0.0>",
        "a FETCH 1 BODY[1.]",
        "a STORE 1 FLAGS",
        "a LOGIN \"a b",
        "a LOGIN a\u{0}b c",
        "a APPEND x {5}\r\nabc",
        "a APPEND x (\\Seen)",
        "a SEARCH OR ALL",
        "a SEARCH ()",
        "a LIST \"\"",
        "a STATUS x ()",
        "a COPY 1",
        "a{b NOOP",
    ] {
        assert!(parse(line).is_err(), "{line}: {:?}", parse(line));
    }
}

/// RFC 4978 section 3, RFC 8437 section 3.1.
#[test]
fn commands_to_the_connection_are_read() {
    assert_eq!(parse("b COMPRESS deflate"), Ok(Command::Compress("DEFLATE".to_owned())));
    assert_eq!(parse("b UNAUTHENTICATE"), Ok(Command::Unauthenticate));
    for bad in ["b COMPRESS", "b COMPRESS ", "b COMPRESS DEFLATE 9", "b UNAUTHENTICATE x"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
