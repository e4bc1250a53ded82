//! Any bytes, bytes that look like mail, and damaged sample mails: nothing panics, and the structure holds.

mod samples;
mod shape;

use std::sync::LazyLock;

use pennypost_mime::{decode_header, parse};
use proptest::prelude::*;
use proptest::sample::Index;

static MAILS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mails = samples::manifest().mails;
    mails.iter().map(samples::Mail::bytes).filter(|mail| mail.len() < 100_000).collect()
});

/// Pieces of which mail is made, so that random rows of them often make sense.
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    "--",
    "--a",
    "--a--",
    "--a\r\n",
    "--a--\r\n",
    "\r\n--b\r\n",
    "\r\n--b--\r\n",
    "--ab\r\n",
    "Content-Type: multipart/mixed; boundary=a\r\n",
    "Content-Type: multipart/digest; boundary=\"b\"\r\n",
    "Content-Type: multipart/alternative; boundary=ab\r\n",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: text/html; charset=gb2312\r\n",
    "Content-Type: ",
    "text/plain",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
    "Content-Disposition: attachment; filename*0*=utf-8''%e4; filename*1=b\r\n",
    ";",
    "=",
    "\"",
    "name*=",
    "''",
    "From: ",
    "To: ",
    "Subject: ",
    "Date: Sat, 21 Nov 2026 08:00:00 +0800\r\n",
    "References: <a@b>\r\n",
    "Message-ID: <",
    ">",
    "<",
    "@",
    ",",
    ":",
    "(",
    ")",
    "\\",
    "[",
    "]",
    "group: a@b;",
    "=?utf-8?B?5L2g?=",
    "=?gbk?Q?=C4?=",
    "=?iso-2022-jp?B?GyRC?=",
    "=?",
    "?=",
    "?Q?",
    "Re: ",
    "回复：",
    "[x]",
    "(fwd)",
    "[fwd: ",
    "<p>",
    "<style>",
    "</style>",
    "<!--",
    "-->",
    "<a title=\"",
    "&amp;",
    "&#",
    "\u{1b}$B",
    "你好",
    "aGVsbG8=",
    "=E4=BD",
    "=\r\n",
    "+ZeV-",
    "~{VP",
];

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => any::<Index>().prop_map(|index| PIECES[index.index(PIECES.len())].as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

/// One damage: bytes of the mail are replaced by others, by a piece, or by a stretch of itself.
#[derive(Debug, Clone)]
enum Damage {
    Bytes(Index, usize, Vec<u8>),
    Piece(Index, Index),
    Copy(Index, Index, usize),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..4);
    prop_oneof![
        (any::<Index>(), 0..30_usize, bytes).prop_map(|(at, length, with)| Damage::Bytes(at, length, with)),
        (any::<Index>(), any::<Index>()).prop_map(|(at, piece)| Damage::Piece(at, piece)),
        (any::<Index>(), any::<Index>(), 0..300_usize)
            .prop_map(|(to, from, length)| Damage::Copy(to, from, length)),
        any::<Index>().prop_map(Damage::Cut),
    ]
}

fn damaged(mail: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut mail = mail.to_vec();
    for damage in damages {
        let length = mail.len();
        let place = |index: &Index| index.index(length + 1);
        let until = |start: usize, count: usize| (start + count).min(length);
        match damage {
            Damage::Bytes(at, count, with) => {
                let at = place(at);
                mail.splice(at..until(at, *count), with.iter().copied());
            }
            Damage::Piece(at, piece) => {
                let at = place(at);
                mail.splice(at..at, PIECES[piece.index(PIECES.len())].bytes());
            }
            Damage::Copy(to, from, count) => {
                let (to, from) = (place(to), place(from));
                let stretch = mail[from..until(from, *count)].to_vec();
                mail.splice(to..to, stretch);
            }
            Damage::Cut(at) => mail.truncate(place(at)),
        }
    }
    mail
}

/// 3,000 rounds; more with PROPTEST_CASES.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(3_000), ..usual }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_bytes(raw in proptest::collection::vec(any::<u8>(), 0..600)) {
        shape::checked(&raw);
        let _ = decode_header(&raw);
    }

    #[test]
    fn bytes_like_mail(raw in soup()) {
        shape::checked(&raw);
        let _ = decode_header(&raw);
        prop_assert_eq!(parse(&raw), parse(&raw));
    }

    #[test]
    fn damaged_sample_mails(mail in any::<Index>(), damages in proptest::collection::vec(damage(), 1..8)) {
        shape::checked(&damaged(&MAILS[mail.index(MAILS.len())], &damages));
    }
}

#[test]
fn whole_sample_mails() {
    assert!(MAILS.len() > 150);
    for mail in MAILS.iter() {
        shape::checked(mail);
    }
}
