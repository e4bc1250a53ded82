//! How long parsing takes: structure and facts of a mail of 10 KB of each usual kind, and of large ones.
//! `cargo bench -p pennypost-mime` prints microseconds per mail and megabytes per second.

use std::hint::black_box;
use std::time::Instant;

use pennypost_mime::parse;

const HEADER: &str = "Return-Path: <lin@northwind.test>\r\n\
    Received: from mx.northwind.test (mx.northwind.test [192.0.2.7])\r\n\tby mail.sample.test with ESMTPS id 4T1;\r\n\
    \tSat, 21 Nov 2026 08:00:00 +0800\r\n\
    DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=northwind.test; s=s1;\r\n\
    \th=from:to:subject:date; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSb\r\n\
    From: =?utf-8?B?5p6X5pmT6Zuo?= <lin@northwind.test>\r\n\
    To: \"Ada Verne\" <ada@sample.test>, =?gb2312?B?1cXI/Q==?= <zhang@sample.test>\r\n\
    Cc: Bob Quill <bob@harbour.example>\r\n\
    Subject: =?utf-8?B?5YWz5LqO5Y+s5byA5bm05bqm5bel5L2c5Lya6K6u55qE6YCa55+l?=\r\n\
    Date: Sat, 21 Nov 2026 08:00:00 +0800\r\nMessage-ID: <1234@northwind.test>\r\n\
    References: <1@sample.test> <2@sample.test>\r\nMIME-Version: 1.0\r\n";

fn main() {
    let line = "The quick brown fox jumps over the lazy dog, and it does so again and again.\r\n";
    let plain = |size: usize| line.repeat(size / line.len());
    let html = |size: usize| {
        let row = "<tr><td class=\"cell\" style=\"padding:4px\">&nbsp;row of <b>text</b></td></tr>\r\n";
        format!(
            "<html><head><style>td {{ margin: 0 }}</style></head><body>{}</body>",
            row.repeat(size / row.len())
        )
    };
    let base64 = |size: usize| {
        "5YWz5LqO5Y+s5byA5bm05bqm5bel5L2c5Lya6K6u55qE6YCa55+l5YWz5LqO5Y+s5byA5bm0\r\n".repeat(size / 74)
    };
    let alternative = |size: usize| {
        format!(
            "Content-Type: multipart/alternative; boundary=\"=_1\"\r\n\r\n--=_1\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}--=_1\r\n\
             Content-Type: text/html; charset=utf-8\r\n\r\n{}\r\n--=_1--\r\n",
            base64(size / 2),
            html(size / 2)
        )
    };
    let attachment = |size: usize| {
        format!(
            "Content-Type: multipart/mixed; boundary=\"=_1\"\r\n\r\n--=_1\r\n\
             Content-Type: text/plain; charset=gbk\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
             =C4=E3=BA=C3\r\n--=_1\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment;\r\n \
             filename*=utf-8''%E6%8A%A5.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{}--=_1--\r\n",
            base64(size)
        )
    };
    for (name, body) in [
        ("plain, 10 KB", format!("Content-Type: text/plain\r\n\r\n{}", plain(9_000))),
        ("html, 10 KB", format!("Content-Type: text/html; charset=utf-8\r\n\r\n{}", html(9_000))),
        ("alternative, 10 KB", alternative(9_000)),
        ("attachment, 10 KB", attachment(9_000)),
        ("attachment, 25 MB", attachment(25_000_000)),
    ] {
        let raw = format!("{HEADER}{body}").into_bytes();
        let rounds = (200_000_000 / raw.len()).clamp(5, 20_000);
        let start = Instant::now();
        for _ in 0..rounds {
            black_box(parse(black_box(&raw)));
        }
        let each = start.elapsed().as_secs_f64() / rounds as f64;
        let rate = raw.len() as f64 / each / 1e6;
        println!("{name:20} {:>9} bytes {:>9.1} us {rate:>8.0} MB/s", raw.len(), each * 1e6);
    }
}
