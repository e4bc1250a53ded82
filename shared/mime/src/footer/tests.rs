use proptest::prelude::*;

use super::*;
use crate::{decode_part, parse};

const FOOTER: Addition<'_> = Addition {
    text: "Acme Ltd\nhttps://acme.example",
    html: "<b>Acme Ltd</b><br><a href=\"https://acme.example\">acme</a>",
    is_above: false,
};
const CHINESE: Addition<'_> =
    Addition {
        text: "北京艾克米有限公司", html: "<p>北京艾克米有限公司</p>", is_above: false
    };

fn put(raw: &str, additions: &[Addition<'_>]) -> String {
    let put =
        with_additions(raw.as_bytes(), additions).expect("a letter that may be changed").expect("changed");
    // Once more it is the same.
    assert_eq!(with_additions(&put, additions), Ok(None), "{}", String::from_utf8_lossy(&put));
    String::from_utf8(put).expect("text")
}

/// What a reader sees of each text.
fn texts(raw: &[u8]) -> Vec<String> {
    let (structure, _) = parse(raw);
    let leaves = structure.parts.iter().filter(|part| part.media_type.0 == "text");
    leaves
        .map(|part| {
            let label = crate::parameter::find(&part.parameters, "charset").unwrap_or(b"utf-8");
            crate::charset::decode(label, &decode_part(part, bytes(raw, part.body)))
        })
        .collect()
}

#[test]
fn plain_text_gets_it_at_its_end_or_above_its_signature() {
    let raw = "Subject: hi\r\n\r\nHello\r\n-- \r\nAnn\r\n";
    assert_eq!(
        put(raw, &[FOOTER]),
        "Subject: hi\r\n\r\nHello\r\n-- \r\nAnn\r\n\r\nAcme Ltd\r\nhttps://acme.example\r\n"
    );
    let above = Addition { is_above: true, ..FOOTER };
    assert_eq!(
        put(raw, &[above]),
        "Subject: hi\r\n\r\nHello\r\n\r\nAcme Ltd\r\nhttps://acme.example\r\n\r\n-- \r\nAnn\r\n"
    );
    // Without a signature, and without a body.
    assert_eq!(put("a: b\r\n\r\nx", &[above]), "a: b\r\n\r\nx\r\n\r\nAcme Ltd\r\nhttps://acme.example");
    assert_eq!(put("a: b\r\n", &[FOOTER]), "a: b\r\n\r\nAcme Ltd\r\nhttps://acme.example");
    // What is quoted has not got it.
    let quoted = "a: b\r\n\r\nYes.\r\n> Acme Ltd\r\n> https://acme.example\r\n";
    assert!(put(quoted, &[FOOTER]).ends_with("\r\n\r\nAcme Ltd\r\nhttps://acme.example\r\n"));
}

#[test]
fn flowed_lines_stay_lines() {
    let raw = "Content-Type: text/plain; format=flowed\r\n\r\nHello \r\nyou\r\n";
    let odd = Addition { text: " indented\nFrom us \n> sign", ..FOOTER };
    assert!(put(raw, &[odd]).ends_with("you\r\n\r\n  indented\r\n From us\r\n > sign\r\n"));
}

#[test]
fn html_gets_it_before_the_end_of_its_body() {
    let head = "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n";
    for (html, before) in [
        ("<html><body><p>Hi</p></body></html>\r\n", "</body></html>\r\n"),
        ("<p>Hi<br>\r\n", ""),
        ("<p>Hi</p><!-- </body> --><script>'</body>'</script><p title=\"</body>\">x</p></BODY >", "</BODY >"),
        ("<p>Hi</p></html>", "</html>"),
    ] {
        let changed = put(&format!("{head}{html}"), &[FOOTER]);
        let end = format!("{}\r\n</div>\r\n{before}", FOOTER.html);
        assert!(changed.ends_with(&end), "{changed}");
    }
    let above = Addition { is_above: true, ..FOOTER };
    for (html, container, is_above) in [
        ("<body>Hi<div class=\"moz-signature\">Ann</div></body>", "moz-signature", true),
        (
            "<body>Hi<div class=\"gmail_quote\"><div class=\"gmail_signature\">Bob</div></div></body>",
            "gmail_quote",
            false,
        ),
    ] {
        let changed = put(&format!("{head}{html}"), &[above]);
        assert_eq!(changed.find("Acme Ltd") < changed.find(container), is_above, "{changed}");
    }
    for open in ["<p>Hi<!-- ", "<p>Hi<a href=\"", "<script>x", "<plaintext>"] {
        let raw = format!("{head}{open}");
        assert_eq!(with_additions(raw.as_bytes(), &[FOOTER]), Err(Untouched::Unknown), "{open}");
    }
}

#[test]
fn both_forms_get_it_and_attachments_stay_byte_for_byte() {
    let attachment = "Content-Type: application/pdf; name=x.pdf\r\nContent-Disposition: attachment\r\n\
                      Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n /w==  junk\r\n";
    let raw = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\npreamble\r\n--o\r\n\
         Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n5L2g5aW9\r\n--i\r\nContent-Type: multipart/related; boundary=r\r\n\r\n\
         --r\r\nContent-Type: text/html; charset=gb2312\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         <p>=C4=E3=BA=C3</p>\r\n--r\r\nContent-Type: image/png\r\n\r\n\u{1}png\r\n--r--\r\n--i--\r\n--o\r\n{attachment}\
         --o\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nnotes\r\n--o--\r\nepilogue\r\n"
    );
    let changed = put(&raw, &[CHINESE]);
    assert!(changed.contains(attachment), "{changed}");
    assert!(changed.contains("preamble\r\n--o\r\n") && changed.ends_with("--o--\r\nepilogue\r\n"));
    let all = texts(changed.as_bytes());
    let [plain, html, notes] = &all[..] else { panic!("{changed}") };
    assert!(plain.starts_with("你好\r\n\r\n北京艾克米有限公司"), "{plain}");
    assert!(html.contains("你好") && html.contains("北京艾克米有限公司"), "{html}");
    assert_eq!(notes, "notes");
}

#[test]
fn what_a_charset_has_not_makes_the_text_utf8() {
    for (charset, hello) in [("us-ascii", "Hi"), ("iso-8859-1", "=FCber"), ("utf-16le", "H=00i=00")] {
        let raw = format!(
            "Content-Type: text/plain; charset={charset}; format=flowed\r\n\
             Content-Transfer-Encoding: quoted-printable\r\nContent-MD5: x\r\n\r\n{hello}\r\n"
        );
        // The end of a line is two bytes there.
        let raw = if charset == "utf-16le" { raw.replace("i=00\r\n", "i=00") } else { raw };
        let before = texts(raw.as_bytes());
        let changed = put(&raw, &[CHINESE]);
        assert!(changed.contains("charset=utf-8;\r\n format=\"flowed\""), "{changed}");
        assert!(!changed.contains("Content-MD5"));
        let after = texts(changed.as_bytes());
        assert!(
            after[0].starts_with(before[0].trim_end()) && after[0].contains("北京艾克米有限公司"),
            "{after:?}"
        );
    }
    // One that has it keeps its charset; so does HTML, where characters have numbers.
    let raw =
        "Content-Type: text/plain; charset=gb18030\r\nContent-Transfer-Encoding: base64\r\n\r\nxOO6ww==\r\n";
    let changed = put(raw, &[CHINESE]);
    assert!(changed.contains("charset=gb18030\r\n"), "{changed}");
    assert!(texts(changed.as_bytes())[0].contains("你好\r\n\r\n北京艾克米有限公司"), "{changed}");
    let changed = put("Content-Type: text/html; charset=iso-8859-1\r\n\r\n<p>Hi</p>\r\n", &[CHINESE]);
    assert!(changed.contains("charset=iso-8859-1") && changed.contains("&#21271;"), "{changed}");
    // Where nothing is said, it is said then.
    let changed = put("Subject: x\r\n\r\nHi\r\n", &[CHINESE]);
    assert!(
        changed.contains("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"),
        "{changed}"
    );
}

#[test]
fn what_is_signed_encrypted_or_not_understood_stays() {
    let multipart = |kind: &str| {
        format!(
            "Content-Type: multipart/{kind}; boundary=b\r\n\r\n--b\r\n\r\nHi\r\n--b\r\nContent-Type: a/b\r\n\r\nx\r\n--b--\r\n"
        )
    };
    for (raw, why) in [
        (multipart("signed"), Untouched::Signed),
        (multipart("encrypted"), Untouched::Encrypted),
        (multipart("report"), Untouched::Automatic),
        (multipart("odd"), Untouched::Unknown),
        (
            "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\nx".to_owned(),
            Untouched::Signed,
        ),
        ("Content-Type: application/pkcs7-mime\r\n\r\nx".to_owned(), Untouched::Encrypted),
        ("Content-Type: application/pdf\r\n\r\nx".to_owned(), Untouched::NoText),
        ("DKIM-Signature: v=1\r\n\r\nHi\r\n".to_owned(), Untouched::Signed),
        ("Auto-Submitted: auto-replied\r\n\r\nHi\r\n".to_owned(), Untouched::Automatic),
        ("a: b\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nx\r\n".to_owned(), Untouched::Signed),
        ("a: b\r\n\r\n-----BEGIN PGP MESSAGE-----\r\nx\r\n".to_owned(), Untouched::Encrypted),
        ("Content-Type: text/plain; charset=utf-7\r\n\r\nx".to_owned(), Untouched::Unknown),
        ("Content-Transfer-Encoding: base64\r\n\r\nx".to_owned(), Untouched::Unknown),
        ("Content-Transfer-Encoding: uuencode\r\n\r\nx".to_owned(), Untouched::Unknown),
    ] {
        assert_eq!(with_additions(raw.as_bytes(), &[FOOTER]), Err(why), "{raw}");
    }
    assert!(with_additions(b"Auto-Submitted: no\r\n\r\nHi\r\n", &[FOOTER]).is_ok_and(|put| put.is_some()));
    assert_eq!(with_additions(b"Content-Type: application/pdf\r\n\r\nx", &[]), Ok(None));
}

#[test]
fn what_is_put_in_ends_what_it_begins() {
    for good in [
        "Acme <b>Ltd</b><br><img src=\"https://acme.example/x.png\" alt='Acme \"A\"' width=100 />",
        "<table border=0><tr><td style=\"color: red\">x</td></tr></table> 1 < 2",
        "<a href=mailto:ann@acme.example>Ann</a>",
    ] {
        assert_eq!(check_markup(good), Ok(()), "{good}");
    }
    let named = str::to_owned;
    for (bad, problem) in [
        ("<b>x", MarkupProblem::Unbalanced(named("b"))),
        ("<b><i>x</b></i>", MarkupProblem::Unbalanced(named("b"))),
        ("x</div>", MarkupProblem::Unbalanced(named("div"))),
        ("<a href=\"x", MarkupProblem::Unbalanced(String::new())),
        ("<script>x</script>", MarkupProblem::Element(named("script"))),
        ("</body>", MarkupProblem::Element(named("body"))),
        ("<b onclick=x>x</b>", MarkupProblem::Attribute(named("onclick"))),
        ("<b style=\"background:url(http://x)\">x</b>", MarkupProblem::Attribute(named("style"))),
        ("<a href=\"javascript:x\">x</a>", MarkupProblem::Address),
        ("<!-- x -->", MarkupProblem::Comment),
    ] {
        assert_eq!(check_markup(bad), Err(problem), "{bad}");
    }
    assert_eq!(markup_of("a < b\nc & \"d\"\n"), "a &lt; b<br>\nc &amp; &quot;d&quot;");
}

fn letter() -> impl Strategy<Value = Vec<u8>> {
    let header = "(Content-Type: (text/(plain|html)|multipart/(mixed|alternative|related))(; charset=(utf-8|gbk|big5|us-ascii|x))?(; boundary=b)?\r\n)?(Content-Transfer-Encoding: (base64|quoted-printable|7bit|8bit)\r\n)?";
    let line = "(--b(--)?|Content-Type: text/(plain|html)|<p>.{0,5}</(p|body|html)>|<!--|-->|-- |=3D=|.{0,20})(\r\n|\n)";
    (header, proptest::collection::vec(line, 0..12), proptest::collection::vec(any::<u8>(), 0..20)).prop_map(
        |(header, lines, odd)| [header.as_bytes(), b"\r\n", lines.concat().as_bytes(), &odd[..]].concat(),
    )
}

proptest! {
    #[test]
    fn nothing_panics_and_twice_is_once(raw in letter(), is_above: bool) {
        let additions = [Addition { is_above, ..CHINESE }, FOOTER];
        if let Ok(Some(put)) = with_additions(&raw, &additions) {
            prop_assert_eq!(with_additions(&put, &additions), Ok(None), "{}", String::from_utf8_lossy(&put));
        }
    }

    #[test]
    fn any_bytes_are_taken(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = with_additions(&raw, &[FOOTER]);
        let _ = html::places(&raw);
        let _ = check_markup(&String::from_utf8_lossy(&raw));
    }

    #[test]
    fn attachments_stay(raw in letter(), attached in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assume!(!attached.windows(3).any(|window| window == b"--o"));
        let letter = [
            &b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"[..], &raw[..],
            b"\r\n--o\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment\r\n\r\n", &attached[..],
            b"\r\n--o--\r\n",
        ].concat();
        if let Ok(Some(put)) = with_additions(&letter, &[FOOTER, CHINESE]) {
            let end = [&b"Content-Disposition: attachment\r\n\r\n"[..], &attached[..], b"\r\n--o--\r\n"].concat();
            prop_assert!(put.ends_with(&end));
        }
    }

    #[test]
    fn quoted_printable_is_read_as_it_was(text in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), any::<u8>()], 0..300)) {
        let text = String::from_utf8_lossy(&text).replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
        let coded = part::quoted_printable(&text);
        prop_assert!(coded.split(|byte| *byte == b'\n').all(|line| line.len() <= 77));
        let part = Part { encoding: "quoted-printable".to_owned(), ..Part::default() };
        prop_assert_eq!(decode_part(&part, &coded).into_owned(), text);
    }
}
