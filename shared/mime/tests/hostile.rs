//! Mail that is made to hurt: caps hold and all of it ends. What would be quadratic would not end within the
//! time that the test runner grants.

mod shape;

use pennypost_mime::{decode_header, decode_text, parse};
use pennypost_model::structure::{Content, Structure};
use shape::checked;

#[test]
fn ten_million_header_lines() {
    let mut raw = b"Subject: there\r\n".to_vec();
    raw.extend(b"A: b\r\n".repeat(10_000_000));
    raw.extend(b"From: a@b.test\r\n\r\nbody");
    let (structure, facts) = parse(&raw);
    assert_eq!((facts.subject.as_str(), facts.preview.as_str()), ("there", "body"));
    assert_eq!(structure.envelope.from.len(), 1);
}

#[test]
fn a_hundred_thousand_parts() {
    let mut raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    raw.extend(b"--b\r\nContent-Disposition: attachment; filename=x\r\n\r\n\r\n".repeat(100_000));
    raw.extend(b"--b--\r\n");
    let (structure, facts) = checked(&raw);
    assert_eq!(structure.parts.len(), Structure::MAX_PARTS);
    assert_eq!(facts.attachments.len(), 100);
    assert_eq!(structure.parts[0].body.end, raw.len() as u64);
    // The last part that is told apart still ends where it ends.
    assert_eq!(structure.parts.last().map(|part| part.body.len()), Some(0));
}

#[test]
fn one_line_of_64_megabytes() {
    let line = vec![b'x'; 64 << 20];
    let (structure, facts) = checked(&line);
    assert_eq!((structure.parts[0].header.end, structure.parts.len()), (64 << 20, 1));
    assert_eq!(facts.preview, "");
    let body = [b"Subject: s\r\n\r\n".as_slice(), &line].concat();
    let (structure, facts) = checked(&body);
    assert_eq!((structure.parts[0].lines, facts.preview.len()), (0, 256));
    let header = [b"Subject: ".as_slice(), &line, b"\r\nTo: ", &line].concat();
    let (structure, facts) = checked(&header);
    assert_eq!(facts.subject.len(), 1_000);
    let kept = structure.envelope.subject.map_or(0, |subject| subject.len());
    assert!((1_000..=16 * 1024).contains(&kept), "{kept}");
}

#[test]
fn ten_thousand_levels() {
    let mut multiparts = Vec::new();
    let mut messages = Vec::new();
    for level in 0..10_000 {
        let boundary =
            format!("Content-Type: multipart/mixed; boundary=\"b{level:05}\"\r\n\r\n--b{level:05}\r\n");
        multiparts.extend(boundary.into_bytes());
        messages.extend(b"Subject: s\r\nContent-Type: message/rfc822\r\n\r\n");
    }
    let (structure, _) = checked(&multiparts);
    assert_eq!(structure.parts.len(), Structure::MAX_DEPTH);
    assert!(
        matches!(structure.parts.last().map(|part| &part.content), Some(Content::Multipart(none)) if none.is_empty())
    );
    let (structure, _) = checked(&messages);
    assert_eq!(structure.parts.len(), Structure::MAX_DEPTH);
    assert!(matches!(structure.parts.last().map(|part| &part.content), Some(Content::Leaf)));
}

#[test]
fn millions_of_boundary_lines_under_many_boundaries() {
    let mut raw = Vec::new();
    for level in 0..60 {
        let boundary = format!("{}{level:02}", "b".repeat(60));
        raw.extend(
            format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n")
                .into_bytes(),
        );
    }
    raw.extend(format!("\r\n{}", format!("--{}\r\n", "b".repeat(60)).repeat(300_000)).into_bytes());
    let (structure, _) = checked(&raw);
    assert_eq!(structure.parts.len(), Structure::MAX_DEPTH);
    let dashes =
        [b"Content-Type: multipart/mixed; boundary=x\r\n\r\n".as_slice(), &b"--\n".repeat(5_000_000)]
            .concat();
    assert_eq!(checked(&dashes).0.parts.len(), 1);
}

#[test]
fn a_million_addresses() {
    let mut raw = b"To: ".to_vec();
    raw.extend(b"A <a@b.test>,\r\n ".repeat(1_000_000));
    raw.extend(b"x\r\nCc: ");
    raw.extend(b"a@b.test\r\nCc: ".repeat(1_000_000));
    let (structure, facts) = checked(&raw);
    assert_eq!((structure.envelope.to.len(), structure.envelope.cc.len()), (1_000, 100));
    assert_eq!((facts.to.len(), facts.cc.len()), (100, 100));
}

/// Beginnings without ends, each of which would make a reader look for the end again and again.
#[test]
fn beginnings_without_ends() {
    for beginning in [
        "=?a?Q?",
        "=?a?B?=",
        "=?a?X?",
        "=?",
        "=?utf-8?Q?a?=",
        "(",
        "((a)",
        "\"",
        "\"a\\",
        "<",
        "<@",
        "a:",
        "[",
        "&",
        "&#1",
        "<a ",
        "<a title=\"",
        "<style>",
        "<!--",
        "</",
        "\\",
        "'",
        "%",
        "+A",
        "~{",
        "\u{1b}$B",
        "\u{4f60}",
        "re:",
        "[a]",
        "[fwd:",
        ";a=",
        ";a*0=",
        ";a*0*=%",
        "=",
        "=\r\n",
        "--",
        "\r\n--",
        "\r\n ",
        "\r\n\t\r\n",
    ] {
        let many = beginning.repeat(2_000_000 / beginning.len());
        let _ = decode_header(many.as_bytes());
        for before in [
            "",
            "Subject: ",
            "To: ",
            "Message-ID: ",
            "References: <",
            "Date: ",
            "Content-Type: text/plain; name=",
            "Content-Type: multipart/mixed; boundary=",
            "Content-Disposition: attachment; filename=\"",
            "Content-Type: text/html\r\n\r\n",
            "Content-Type: text/html; charset=utf-7\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
            "Content-Transfer-Encoding: base64\r\n\r\n",
            "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n",
        ] {
            let raw = format!("{before}{many}");
            let (structure, _) = checked(raw.as_bytes());
            assert!(decode_text(&structure, raw.as_bytes(), 1 << 20).len() <= 1 << 20);
        }
    }
}

#[test]
fn texts_kept_of_many_parts_are_bounded() {
    let filler = "x".repeat(20_000);
    let mut raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for _ in 0..1_500 {
        let part =
            format!("--b\r\nContent-ID: {filler}\r\nContent-Type: text/plain; name={filler}\r\n\r\n\r\n");
        raw.extend(part.into_bytes());
    }
    let (structure, _) = checked(&raw);
    let kept: usize = structure
        .parts
        .iter()
        .map(|part| {
            part.id.as_ref().map_or(0, Vec::len)
                + part.parameters.iter().map(|(_, value)| value.len()).sum::<usize>()
        })
        .sum();
    assert_eq!(structure.parts.len(), 1_501);
    assert!(kept <= 2 << 20, "{kept}");
}
