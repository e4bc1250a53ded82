//! One letter: its header, its kind, its text.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Chance, Corpus, Marked, THREAD, in_lines, rare_word, words};

/// 2024-01-01, the day of the first letter, in Unix seconds; letters come every seven minutes from then on.
const BEGIN: u64 = 1_704_067_200;
const PACE: u64 = 420;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

pub(super) fn write(corpus: &Corpus, number: u64) -> Vec<u8> {
    let mut chance = Chance::new(corpus.seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
    let size = corpus.size_of(&mut chance);
    let chinese = chance.below(10) < 3;
    let mut letter = Vec::with_capacity(size + 1024);
    header(&mut letter, corpus.seed, number, &mut chance);
    let pool = if chinese { &corpus.chinese } else { &corpus.english };
    match chance.below(10) {
        0..6 => plain(&mut letter, pool, chinese, number, size, &mut chance),
        6..8 => alternative(&mut letter, pool, number, size, &mut chance),
        _ => attachment(&mut letter, corpus, pool, number, size, &mut chance),
    }
    letter
}

fn message_id(seed: u64, number: u64) -> String {
    format!("<{number}.{:x}@mail.bench.example>", Chance::new(seed ^ (number << 20)).next())
}

fn header(letter: &mut Vec<u8>, seed: u64, number: u64, chance: &mut Chance) {
    let mut text = String::with_capacity(1024);
    let date = date(BEGIN + number * PACE);
    let (from, to) = (chance.below(words::PEOPLE.len() as u64), chance.below(words::PEOPLE.len() as u64));
    let received = chance.next();
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "Received: from mx{}.bench.example (mx.bench.example [192.0.2.{}])\r\n\tby relay.bench.example with ESMTPS \
         id {received:x};\r\n\t{date}\r\nFrom: {} <person{from}@bench.example>\r\nTo: {} \
         <person{to}@bench.example>\r\n",
        number % 7,
        number % 250,
        in_header(words::PEOPLE[from as usize]),
        in_header(words::PEOPLE[to as usize]),
    );
    if chance.below(4) == 0 {
        let _ = write!(text, "Cc: team@bench.example, Archive <archive@bench.example>\r\n");
    }
    let root = number - number % THREAD;
    let reply = if number == root { "" } else { "Re: " };
    let _ = write!(text, "Subject: {reply}{}", subject(seed, root));
    if Marked::Subject.is_in(number) {
        let _ = write!(text, " {}", Marked::Subject.word());
    }
    let _ = write!(text, "\r\nMessage-ID: {}\r\nDate: {date}\r\n", message_id(seed, number));
    if number > root {
        let _ = write!(text, "In-Reply-To: {}\r\nReferences:", message_id(seed, number - 1));
        for earlier in root..number {
            let _ = write!(text, " {}\r\n", message_id(seed, earlier));
        }
    }
    text.push_str("MIME-Version: 1.0\r\n");
    letter.extend_from_slice(text.as_bytes());
}

fn subject(seed: u64, root: u64) -> String {
    let mut chance = Chance::new(seed ^ root ^ 0x5_0b1e);
    let chinese = chance.below(3) == 0;
    let list = if chinese { words::CHINESE } else { words::ENGLISH };
    let list: Vec<&str> = list.split_ascii_whitespace().collect();
    let picked: Vec<&str> = (0..3 + chance.below(4)).map(|_| *chance.of(&list)).collect();
    if chinese { in_header(&picked.concat()) } else { format!("{} {root}", picked.join(" ")) }
}

/// The text, as an encoded word if it is not ASCII (RFC 2047).
fn in_header(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { format!("=?utf-8?B?{}?=", STANDARD.encode(text)) }
}

/// Paragraphs of about `size` octets with the marked words of this letter, ending in a line end.
fn text(pool: &[String], number: u64, size: usize, chance: &mut Chance) -> String {
    let mut text = String::with_capacity(size + 256);
    let _ = write!(text, "{}{number} {}", rare_word(number), chance.below(1_000_000));
    for marked in [Marked::Body, Marked::Chinese] {
        if marked.is_in(number) {
            let _ = write!(text, " {}", marked.word());
        }
    }
    text.push_str("\r\n\r\n");
    while text.len() < size {
        let paragraph = chance.of(pool);
        let end = paragraph.floor_char_boundary(size - text.len());
        text.push_str(&paragraph[..end]);
        if end == 0 {
            break;
        }
    }
    text.truncate(text.trim_end().len());
    text + "\r\n"
}

fn base64_text(text: &str) -> Vec<u8> {
    in_lines(&STANDARD.encode(text))
}

/// Octets of text that become so many in Base64.
const fn before_base64(size: usize) -> usize {
    size * 35 / 48
}

fn plain(
    letter: &mut Vec<u8>,
    pool: &[String],
    chinese: bool,
    number: u64,
    size: usize,
    chance: &mut Chance,
) {
    let left = size.saturating_sub(letter.len() + 90);
    let encoded = chinese && chance.below(2) == 0;
    let encoding = match (chinese, encoded) {
        (false, _) if !Marked::Chinese.is_in(number) => "7bit",
        (_, true) => "base64",
        _ => "8bit",
    };
    let _ = std::io::Write::write_fmt(
        letter,
        format_args!(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        ),
    );
    if encoding == "base64" {
        letter.extend(base64_text(&text(pool, number, before_base64(left), chance)));
    } else {
        letter.extend_from_slice(text(pool, number, left, chance).as_bytes());
    }
}

fn alternative(letter: &mut Vec<u8>, pool: &[String], number: u64, size: usize, chance: &mut Chance) {
    let boundary = format!("=_alt{number:x}_{:x}", chance.next());
    let left = size.saturating_sub(letter.len() + 480);
    // HTML repeats the text and needs more room for it; a Chinese character is nine octets of quoted-printable.
    let mut text = text(pool, number, left * 2 / 5, chance);
    let dense = text.is_ascii();
    if !dense {
        let end = text.floor_char_boundary(text.len() / 2);
        text.truncate(text[..end].trim_end().len());
        text.push_str("\r\n");
    }
    let html = format!(
        "<html><body style=\"font-family: sans-serif\">\r\n<p class=\"text\">{}</p>\r\n</body></html>\r\n",
        text.trim_end().replace("\r\n\r\n", "</p>\r\n<p class=\"text\">")
    );
    let _ = std::io::Write::write_fmt(
        letter,
        format_args!(
            "Content-Type: multipart/alternative;\r\n boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\nContent-Type: \
             text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        ),
    );
    quoted_printable(letter, &text);
    let _ = std::io::Write::write_fmt(
        letter,
        format_args!(
            "\r\n--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: {}\r\n\r\n",
            if dense { "quoted-printable" } else { "base64" }
        ),
    );
    if dense {
        quoted_printable(letter, &html);
    } else {
        letter.extend(base64_text(&html));
    }
    let _ = std::io::Write::write_fmt(letter, format_args!("\r\n--{boundary}--\r\n"));
}

fn attachment(
    letter: &mut Vec<u8>,
    corpus: &Corpus,
    pool: &[String],
    number: u64,
    size: usize,
    chance: &mut Chance,
) {
    let boundary = format!("=_mix{number:x}_{:x}", chance.next());
    let left = size.saturating_sub(letter.len() + 480);
    let said = text(pool, number, (left / 3).min(2_500), chance);
    let (kind, ending) = *chance.of(&[
        ("application/pdf", "pdf"),
        ("image/jpeg", "jpg"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ]);
    let _ = std::io::Write::write_fmt(
        letter,
        format_args!(
            "Content-Type: multipart/mixed;\r\n boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\nContent-Type: \
             text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{said}\r\n--{boundary}\r\n\
             Content-Type: {kind}; name=\"file{number}.{ending}\"\r\nContent-Disposition: attachment; \
             filename=\"file{number}.{ending}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        ),
    );
    let mut lines = left.saturating_sub(said.len()) / 78 + 1;
    let all = corpus.attached.len() / 78;
    while lines > 0 {
        let begin = chance.below(all as u64) as usize;
        let here = lines.min(all - begin);
        letter.extend_from_slice(&corpus.attached[begin * 78..(begin + here) * 78]);
        lines -= here;
    }
    let _ = std::io::Write::write_fmt(letter, format_args!("--{boundary}--\r\n"));
}

/// RFC 2045 section 6.7, for text whose lines end in CR LF.
fn quoted_printable(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut column = 0;
    for byte in text.bytes() {
        match byte {
            b'\r' | b'\n' => {
                out.push(byte);
                column = 0;
                continue;
            }
            _ if column > 72 => {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            _ => {}
        }
        if (b' '..=b'~').contains(&byte) && byte != b'=' {
            out.push(byte);
            column += 1;
        } else {
            out.extend([b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            column += 3;
        }
    }
}

/// The day and second as mail writes it (RFC 5322 section 3.3), UTC.
fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} +0000",
        DAYS[((days + 3) % 7) as usize],
        MONTHS[month as usize - 1],
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month, day of a number of days since 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The day and second as an IMAP `date-time` (RFC 9051 section 9), for letter `number`.
pub(crate) fn internal_date(number: u64) -> String {
    let seconds = BEGIN + number * PACE;
    let (year, month, day) = civil(seconds / 86_400);
    let second = seconds % 86_400;
    format!(
        "{day:2}-{}-{year} {:02}:{:02}:{:02} +0000",
        MONTHS[month as usize - 1],
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}
