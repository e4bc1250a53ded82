//! What strangers have written, among words of the post office.

/// Characters that are not seen, and change how what stands around them is read.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A text that somebody else has written, for a letter of the post office: at most so many characters, on one line, in the order in which it
/// stands there, and with no link in it that a reader takes for one of the post office's.
#[must_use]
pub fn plain(text: &str, characters: usize) -> String {
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let seen = text.chars().filter(|c| !is_unseen(*c)).take(characters);
    let line: String = seen.map(|c| if is_break(c) { ' ' } else { c }).collect();
    line.replace("://", ": //")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_one_line_and_no_link() {
        for (text, expected) in [
            ("您好, https://evil.example/quarantine/x", "您好, https: //evil.example/quarantine/x"),
            ("a\r\nb\u{2028}c", "a  b c"),
            ("\u{202e}elpmaxe\u{2066} https:\u{200b}//x", "elpmaxe https: //x"),
        ] {
            assert_eq!(plain(text, 100), expected);
        }
        assert_eq!(plain("abcdef", 3), "abc");
    }
}
