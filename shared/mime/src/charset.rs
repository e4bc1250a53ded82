//! Character sets: bytes to text, by the label that the message gives, or by a guess where it gives none or
//! a wrong one, as raw 8-bit headers and much mail of Chinese systems do.

use encoding_rs::{BIG5, Encoding, GB18030, ISO_2022_JP, WINDOWS_1252};

/// Decodes with the charset of this label; guesses where it is unknown or cannot be true.
pub(crate) fn decode(label: &[u8], bytes: &[u8]) -> String {
    let label = label.trim_ascii();
    if label.eq_ignore_ascii_case(b"utf-7") || label.eq_ignore_ascii_case(b"unicode-1-1-utf-7") {
        return crate::seven_bit::utf7(bytes);
    }
    if label.eq_ignore_ascii_case(b"hz-gb-2312") {
        return GB18030.decode_without_bom_handling(&crate::seven_bit::hz(bytes)).0.into_owned();
    }
    match encoding(label) {
        Some(encoding) => decode_as(encoding, bytes),
        None => guess(bytes),
    }
}

/// The encoding of a label: those of the WHATWG list and the code page names of Windows mailers. Nothing for
/// labels that say nothing, such as `us-ascii` (bytes with the high bit belie it) and `unknown-8bit`.
pub(crate) fn encoding(label: &[u8]) -> Option<&'static Encoding> {
    let lower = label.to_ascii_lowercase();
    let known: &[u8] = match lower.as_slice() {
        b"us-ascii" | b"ascii" | b"ansi_x3.4-1968" => return None,
        b"cp936" | b"ms936" | b"windows-936" | b"gb_2312" | b"gb2312-80" | b"gb18030-2000" => b"gb18030",
        b"cp950" | b"ms950" | b"windows-950" => b"big5",
        b"cp932" | b"windows-932" => b"shift_jis",
        b"cp949" | b"windows-949" => b"euc-kr",
        b"utf8mb4" | b"utf_8" => b"utf-8",
        other => other,
    };
    Encoding::for_label_no_replacement(known)
}

fn decode_as(encoding: &'static Encoding, bytes: &[u8]) -> String {
    let (text, malformed) = encoding.decode_with_bom_removal(bytes);
    // A wrong label on UTF-8 is common, and text that is valid UTF-8 by accident is not.
    if malformed
        && encoding != encoding_rs::UTF_8
        && let Some(text) = utf8(bytes)
    {
        return text.to_owned();
    }
    if malformed && encoding == encoding_rs::UTF_8 && utf8(bytes).is_none() && !mostly_utf8(bytes) {
        return guess(bytes);
    }
    text.into_owned()
}

/// Valid UTF-8 but for a character that the end cuts.
fn utf8(bytes: &[u8]) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

/// At least three quarters of the bytes with the high bit belong to well-formed characters.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    let good: usize =
        bytes.utf8_chunks().map(|chunk| chunk.valid().bytes().filter(|byte| !byte.is_ascii()).count()).sum();
    good * 4 >= high * 3
}

/// Decodes bytes of which nothing is said: ASCII and ISO-2022-JP escapes, UTF-8, else whichever of GB18030 and
/// Big5 makes everyday characters of it, else Windows-1252.
pub(crate) fn guess(bytes: &[u8]) -> String {
    if memchr::memmem::find(bytes, b"\x1b$").is_some() {
        let (text, malformed) = ISO_2022_JP.decode_without_bom_handling(bytes);
        if !malformed {
            return text.into_owned();
        }
    }
    if let Some(text) = utf8(bytes) {
        return text.to_owned();
    }
    if mostly_utf8(bytes) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let everyday = Everyday::of(bytes);
    let encoding = if everyday.simplified * 2 < everyday.pairs && everyday.traditional * 2 < everyday.pairs
        || everyday.pairs == 0
    {
        WINDOWS_1252
    } else if everyday.traditional > everyday.simplified {
        BIG5
    } else {
        GB18030
    };
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// Pairs of bytes that begin with the high bit, and how many of them are everyday characters: the first level
/// of GB 2312 and its punctuation, or the first level of Big5 and its punctuation.
#[derive(Default)]
struct Everyday {
    pairs: usize,
    simplified: usize,
    traditional: usize,
}

impl Everyday {
    fn of(bytes: &[u8]) -> Everyday {
        let mut counts = Everyday::default();
        let mut rest = bytes.iter().copied();
        while let Some(lead) = rest.next() {
            if lead.is_ascii() {
                continue;
            }
            counts.pairs += 1;
            let Some(trail) = rest.next() else {
                counts.pairs -= 1;
                break;
            };
            let in_gb = matches!(lead, 0xA1..=0xA3 | 0xB0..=0xD7) && trail >= 0xA1;
            let in_big5 = matches!(lead, 0xA1..=0xC6) && matches!(trail, 0x40..=0x7E | 0xA1..=0xFE);
            counts.simplified += usize::from(in_gb);
            counts.traditional += usize::from(in_big5);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bytes_are_guessed_sensibly() {
        let texts: &[(&'static Encoding, &str)] = &[
            (encoding_rs::UTF_8, "会议纪要"),
            (GB18030, "关于召开二零二六年度工作会议的通知"),
            (GB18030, "测试"),
            (GB18030, "发票 No.123（已开具）"),
            (BIG5, "關於召開年度工作會議的通知"),
            (BIG5, "測試郵件主旨"),
            (ISO_2022_JP, "日本語の件名"),
            (WINDOWS_1252, "Caf\u{e9} M\u{fc}ller"),
            (WINDOWS_1252, "Gr\u{fc}\u{df}e aus M\u{fc}nchen"),
        ];
        for (encoding, text) in texts {
            let (bytes, _, _) = encoding.encode(text);
            assert_eq!(guess(&bytes), *text, "{}", encoding.name());
        }
    }

    #[test]
    fn labels_decide_unless_they_lie() {
        let (gbk, _, _) = GB18030.encode("中文邮件");
        for label in ["gb2312", "GBK", "gb18030", "cp936", "x-gbk", "us-ascii", "unknown-8bit", "utf-8", ""] {
            assert_eq!(decode(label.as_bytes(), &gbk), "中文邮件", "{label}");
        }
        assert_eq!(decode(b"gb2312", "邮件附件，请查收。谢谢".as_bytes()), "邮件附件，请查收。谢谢");
        assert_eq!(decode(b"iso-8859-1", b"caf\xe9"), "café");
        assert_eq!(decode(b"utf-7", b"Hi +ZeVnLIqe-!"), "Hi 日本語!");
        assert_eq!(decode(b"hz-gb-2312", b"~{VPND~} ~~ok"), "中文 ~ok");
        assert_eq!(decode(b"utf-8", &"邮件".as_bytes()[..5]), "邮\u{fffd}");
    }
}
