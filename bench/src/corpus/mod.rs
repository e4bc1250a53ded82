//! Made-up mail, realistic in what costs a server work, and the same for the same seed.
//!
//! Of ten letters four are plain English text, two plain Chinese, two HTML with a text alternative, two have an
//! attachment. Words follow Zipf's law and have a long tail; subjects, threads (six letters, each with the
//! References of those before it), names in both scripts; every Message-ID is unique. Three words stand in a known
//! share of the letters and nowhere else, so that a search can be checked: see [`Corpus::count`].

pub(crate) mod letter;
mod words;

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How large letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// About so many octets each.
    Octets(usize),
    /// 2 KB to 100 KB: 45 % of 2 KB, 27 % of 4 KB, 18 % of 10 KB, 7 % of 30 KB, 3 % of 100 KB.
    Mix,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        if text == "mix" {
            return Ok(Size::Mix);
        }
        let (digits, factor) = match text.to_ascii_lowercase().strip_suffix('k') {
            Some(digits) => (digits.to_owned(), 1024),
            None => (text.to_owned(), 1),
        };
        let octets = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(factor));
        match octets {
            Some(octets) if (1024..=64 << 20).contains(&octets) => Ok(Size::Octets(octets)),
            _ => Err("a size is mix or 1k to 65536k".to_owned()),
        }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Size::Octets(octets) => write!(f, "{octets}"),
            Size::Mix => f.write_str("mix"),
        }
    }
}

/// Words that stand in a known share of the letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// In the subject of one letter in a hundred.
    Subject,
    /// In the text of one letter in a hundred.
    Body,
    /// A Chinese word in the text of one letter in two hundred.
    Chinese,
}

impl Marked {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Marked::Subject => "zanzibarite",
            Marked::Body => "quixotically",
            Marked::Chinese => "麒麟阁",
        }
    }

    /// Does letter `number` have it?
    #[must_use]
    pub const fn is_in(self, number: u64) -> bool {
        match self {
            Marked::Subject => number % 100 == 7,
            Marked::Body => number % 100 == 13,
            Marked::Chinese => number % 200 == 31,
        }
    }
}

/// Letters of a thread.
const THREAD: u64 = 6;
const PARAGRAPHS: usize = 1_500;
const RARE_WORDS: u64 = 6_000;
const ATTACHED: usize = 768 * 1024;

/// The mail: any letter at any time, without the others.
#[derive(Debug)]
pub struct Corpus {
    seed: u64,
    size: Size,
    english: Vec<String>,
    chinese: Vec<String>,
    /// Random octets in Base64, in lines with their ends.
    attached: Vec<u8>,
}

impl Corpus {
    /// The mail of this seed.
    #[must_use]
    pub fn new(seed: u64, size: Size) -> Corpus {
        let mut chance = Chance::new(seed);
        let english_words: Vec<&str> = words::ENGLISH.split_ascii_whitespace().collect();
        let chinese_words: Vec<&str> = words::CHINESE.split_ascii_whitespace().collect();
        let english = (0..PARAGRAPHS).map(|_| english_paragraph(&mut chance, &english_words)).collect();
        let chinese = (0..PARAGRAPHS).map(|_| chinese_paragraph(&mut chance, &chinese_words)).collect();
        let octets: Vec<u8> = (0..ATTACHED).map(|_| chance.next().to_le_bytes()[0]).collect();
        Corpus { seed, size, english, chinese, attached: in_lines(&STANDARD.encode(octets)) }
    }

    /// Letter `number` as it travels: lines end in CR LF, the last one too; not dot-stuffed.
    #[must_use]
    pub fn letter(&self, number: u64) -> Vec<u8> {
        letter::write(self, number)
    }

    /// How many of the letters `0..letters` have the word.
    #[must_use]
    pub fn count(marked: Marked, letters: u64) -> u64 {
        (0..letters).filter(|number| marked.is_in(*number)).count() as u64
    }

    fn size_of(&self, chance: &mut Chance) -> usize {
        match self.size {
            Size::Octets(octets) => octets,
            Size::Mix => match chance.below(100) {
                0..45 => 2 * 1024,
                45..72 => 4 * 1024,
                72..90 => 10 * 1024,
                90..97 => 30 * 1024,
                _ => 100 * 1024,
            },
        }
    }
}

/// Lines of 76 characters, as MIME wants them (RFC 2045 section 6.8).
fn in_lines(base64: &str) -> Vec<u8> {
    let mut lines = Vec::with_capacity(base64.len() + base64.len() / 38 + 2);
    for line in base64.as_bytes().chunks(76) {
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

fn rare_word(number: u64) -> String {
    let mut chance = Chance::new(number ^ 0x9e37);
    (0..2 + number % 3).map(|_| *chance.of(words::SYLLABLES)).collect()
}

fn english_word(chance: &mut Chance, common: &[&str]) -> String {
    // One word in eight is rare; of the common ones, the first are by far the commonest.
    if chance.below(8) == 0 {
        return rare_word(chance.below(RARE_WORDS));
    }
    let place = chance.below(common.len() as u64) * chance.below(common.len() as u64) / common.len() as u64;
    common[place as usize].to_owned()
}

fn english_paragraph(chance: &mut Chance, common: &[&str]) -> String {
    let mut text = String::new();
    let mut column = 0;
    for _ in 0..40 + chance.below(80) {
        let word = english_word(chance, common);
        let separator = match (column, column + word.len() > 68) {
            (0, _) => "",
            (_, true) => {
                column = 0;
                "\r\n"
            }
            _ => " ",
        };
        text.push_str(separator);
        text.push_str(&word);
        if chance.below(11) == 0 {
            text.push(if chance.below(2) == 0 { '.' } else { ',' });
        }
        column += word.len() + 1;
    }
    text + ".\r\n\r\n"
}

fn chinese_paragraph(chance: &mut Chance, common: &[&str]) -> String {
    let mut text = String::new();
    for _ in 0..2 + chance.below(6) {
        for _ in 0..12 {
            text.push_str(common[chance.below(common.len() as u64) as usize]);
            if chance.below(6) == 0 {
                text.push('，');
            }
        }
        text.push_str("。\r\n");
    }
    text + "\r\n"
}

/// Random numbers that are the same everywhere and for ever (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(0x1234_5678_9abc_def1))
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `limit` - 1; 0 for a limit of 0.
    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        let random = self.next();
        if limit == 0 { 0 } else { random % limit }
    }

    pub(crate) fn of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests;
