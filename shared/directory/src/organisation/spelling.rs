//! How names are found: by their characters, their pinyin, their initials, and by what stands before the @.

use pinyin::ToPinyin;
use unicode_normalization::UnicodeNormalization;

use crate::MailAddress;

/// Characters of a term; what is longer is found by its beginning.
const MAX_TERM: usize = 24;
/// Terms of one person at most.
const MAX_TERMS: usize = 24;
/// Characters of a name that are spelt.
const MAX_SPELT: usize = 32;
/// Bytes of the key by which a list is sorted.
const MAX_ORDER: usize = 48;

/// Family names that are read otherwise than the character usually is.
const FAMILY_NAMES: [(char, &str); 24] = [
    ('单', "shan"),
    ('曾', "zeng"),
    ('仇', "qiu"),
    ('解', "xie"),
    ('查', "zha"),
    ('盖', "ge"),
    ('区', "ou"),
    ('朴', "piao"),
    ('任', "ren"),
    ('乐', "yue"),
    ('覃', "qin"),
    ('翟', "zhai"),
    ('缪', "miao"),
    ('燕', "yan"),
    ('纪', "ji"),
    ('员', "yun"),
    ('冼', "xian"),
    ('宓', "fu"),
    ('洗', "xian"),
    ('种', "chong"),
    ('黑', "he"),
    ('秘', "bi"),
    ('尉', "yu"),
    ('折', "she"),
];

/// A text as it is compared in searches: NFKC, lower case, without blanks.
pub(crate) fn fold(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace() && !c.is_control()).collect()
}

/// What is looked for: folded, as long as terms are. `None` if nothing is left to look for.
pub(crate) fn wanted(text: &str) -> Option<String> {
    // What is longer than every name and address is not worth folding.
    let head: String = text.chars().take(4 * MAX_TERM).collect();
    let folded: String = fold(&head).replace('/', "");
    let wanted: String = folded.chars().take(MAX_TERM).collect();
    (!wanted.is_empty()).then_some(wanted)
}

/// A piece of a name: a character that is read in syllables of its own, or letters up to the next such or a blank.
struct Piece {
    text: String,
    /// How it is read: letters as they are.
    reading: String,
    /// The other way in which it may be read.
    other: Option<String>,
    is_han: bool,
}

fn pieces(name: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut is_within = false;
    let normal: String = name.nfkc().flat_map(char::to_lowercase).take(MAX_SPELT).collect();
    for (index, c) in normal.chars().enumerate() {
        if let Some(reading) = c.to_pinyin() {
            let plain = reading.plain().replace('ü', "v");
            let family = FAMILY_NAMES.iter().find(|(known, _)| index == 0 && *known == c);
            let (reading, other) = match family {
                Some((_, family)) if *family != plain => ((*family).to_owned(), Some(plain)),
                _ => (plain, None),
            };
            pieces.push(Piece { text: c.to_string(), reading, other, is_han: true });
            is_within = false;
        } else if c.is_alphanumeric() {
            match pieces.last_mut() {
                Some(last) if is_within => {
                    last.text.push(c);
                    last.reading.push(c);
                }
                _ => {
                    let text = c.to_string();
                    pieces.push(Piece { reading: text.clone(), text, other: None, is_han: false });
                }
            }
            is_within = true;
        } else {
            is_within = false;
        }
    }
    pieces
}

/// The name in letters: `wangxiaoming`. What has no reading is left as it is.
pub(crate) fn letters(name: &str) -> String {
    pieces(name).into_iter().map(|piece| piece.reading).collect()
}

/// The terms by whose beginnings a person is found. None begins with another one.
pub(crate) fn terms(name: &str, address: &MailAddress) -> Vec<String> {
    terms_of(name, address.local())
}

fn terms_of(name: &str, local: &str) -> Vec<String> {
    let pieces = pieces(name);
    let has_han = pieces.iter().any(|piece| piece.is_han);
    let mut terms: Vec<String> = vec![fold(name)];
    for first in 0..pieces.len() {
        let rest = &pieces[first..];
        terms.push(rest.iter().map(|piece| piece.text.as_str()).collect());
        if has_han {
            terms.push(rest.iter().map(|piece| piece.reading.as_str()).collect());
            terms.push(rest.iter().filter_map(|piece| piece.reading.chars().next()).collect());
        }
        let other = rest.first().and_then(|piece| piece.other.as_ref());
        if let Some(other) = other {
            let tail = || rest.iter().skip(1);
            terms.push(other.chars().chain(tail().flat_map(|piece| piece.reading.chars())).collect());
            let initials =
                other.chars().take(1).chain(tail().filter_map(|piece| piece.reading.chars().next()));
            terms.push(initials.collect());
        }
    }
    if !has_han && pieces.len() > 1 {
        terms.push(pieces.iter().filter_map(|piece| piece.text.chars().next()).collect());
    }
    let local = fold(local);
    terms.extend(local.split(['.', '-', '_']).map(str::to_owned));
    terms.push(local);
    tidy(terms)
}

/// Cut, each once, without those with which another one begins.
fn tidy(terms: Vec<String>) -> Vec<String> {
    let cut = |term: String| -> String { term.replace('/', "").chars().take(MAX_TERM).collect() };
    let mut terms: Vec<String> = terms.into_iter().map(cut).filter(|term| !term.is_empty()).collect();
    terms.sort_unstable();
    terms.dedup();
    let is_covered = |index: usize| terms.get(index + 1).is_some_and(|next| next.starts_with(&terms[index]));
    (0..terms.len())
        .filter(|index| !is_covered(*index))
        .map(|index| terms[index].clone())
        .take(MAX_TERMS)
        .collect()
}

/// Is what bears that name found by what somebody looks for? As people are: by the characters of the name, their pinyin,
/// their initials, or by what stands before the @ of its address.
#[must_use]
pub fn is_found_by(name: &str, local: &str, text: &str) -> bool {
    let Some(wanted) = wanted(text) else { return false };
    terms_of(name, local).iter().any(|term| term.starts_with(&wanted))
}

/// What people are sorted by in a list: how the name is read, or the address of who has none.
pub(crate) fn order(name: &str, address: &MailAddress) -> String {
    let mut order = letters(name);
    if order.is_empty() {
        order = fold(address.local());
    }
    let mut end = MAX_ORDER.min(order.len());
    while !order.is_char_boundary(end) {
        end -= 1;
    }
    order.truncate(end);
    order.replace('/', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_by(name: &str, address: &str, query: &str) -> bool {
        let address = MailAddress::parse(address).expect("address");
        let wanted = wanted(query).expect("something");
        terms(name, &address).iter().any(|term| term.starts_with(&wanted))
    }

    #[test]
    fn people_are_found_as_people_look() {
        let address = "xm.wang@acme.example";
        for query in [
            "王小明",
            "王",
            "小明",
            "明",
            "wangxiaoming",
            "wang xiao",
            "WANGX",
            "xiaoming",
            "ming",
            "wxm",
            "WX",
            "xm",
            "xm.w",
        ] {
            assert!(found_by("王小明", address, query), "{query}");
        }
        for query in ["小王", "wxx", "iaoming", "王明", "acme"] {
            assert!(!found_by("王小明", address, query), "{query}");
        }
        for query in ["ann", "Smith", "ann smith", "as", "boss"] {
            assert!(found_by("Ann Smith", "boss@acme.example", query), "{query}");
        }
        for query in ["zengli", "cengli", "zl", "cl", "曾"] {
            assert!(found_by("曾丽", "x@acme.example", query), "{query}");
        }
        for query in ["lvbu", "吕", "lb"] {
            assert!(found_by("吕布", "x@acme.example", query), "{query}");
        }
        for query in ["张三abc", "zhangsan", "zsa", "abc"] {
            assert!(found_by("张三ABC", "x@acme.example", query), "{query}");
        }
        assert_eq!((wanted("  "), wanted("/")), (None, None));
    }

    #[test]
    fn terms_are_few_and_bounded() {
        let address = MailAddress::parse("a.b-c_d@acme.example").expect("address");
        for name in ["", "/", "王", &"王".repeat(200), &"ab ".repeat(60), &"é/".repeat(100)] {
            let terms = terms(name, &address);
            assert!(!terms.is_empty() && terms.len() <= MAX_TERMS, "{name}");
            assert!(
                terms.iter().all(|term| term.chars().count() <= MAX_TERM && !term.contains('/')),
                "{terms:?}"
            );
            assert!(order(name, &address).len() <= MAX_ORDER);
        }
        let terms = terms("王小明", &MailAddress::parse("wxm@acme.example").expect("address"));
        assert!(terms.len() <= 9, "{terms:?}");
    }

    #[test]
    fn lists_are_sorted_as_names_are_read() {
        let address = MailAddress::parse("x@acme.example").expect("address");
        let mut names = ["张三", "Bob", "李四", "曾丽", "阿明", "anna"];
        names.sort_by_key(|name| order(name, &address));
        assert_eq!(names, ["阿明", "anna", "Bob", "李四", "曾丽", "张三"]);
    }
}
