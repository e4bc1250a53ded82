use std::collections::BTreeSet;

use super::*;

fn text(letter: &[u8]) -> String {
    String::from_utf8_lossy(letter).into_owned()
}

#[test]
fn the_same_seed_makes_the_same_letters() {
    let (one, again) = (Corpus::new(1, Size::Mix), Corpus::new(1, Size::Mix));
    let other = Corpus::new(2, Size::Mix);
    for number in [0, 7, 999] {
        assert_eq!(one.letter(number), again.letter(number));
        assert_ne!(one.letter(number), other.letter(number));
    }
}

#[test]
fn letters_are_about_as_large_as_asked_and_well_formed() {
    for octets in [2048, 10_240, 102_400] {
        let corpus = Corpus::new(1, Size::Octets(octets));
        for number in 0..60 {
            let letter = corpus.letter(number);
            assert!(
                letter.len() * 10 > octets * 6 && letter.len() < octets * 13 / 10 + 900,
                "{}",
                letter.len()
            );
            assert!(letter.ends_with(b"\r\n"));
            for line in letter.split_inclusive(|byte| *byte == b'\n') {
                assert!(line.ends_with(b"\r\n") && line.len() < 600, "{}", text(line));
                assert_eq!(line.iter().filter(|byte| **byte == b'\r').count(), 1);
            }
        }
    }
}

#[test]
fn message_ids_are_unique_and_references_name_earlier_letters() {
    let corpus = Corpus::new(1, Size::Octets(2048));
    let mut ids = BTreeSet::new();
    for number in 0..300 {
        let letter = text(&corpus.letter(number));
        let id = letter.lines().find_map(|line| line.strip_prefix("Message-ID: ")).expect("an id").to_owned();
        if number % THREAD != 0 {
            let parent =
                letter.lines().find_map(|line| line.strip_prefix("In-Reply-To: ")).expect("a parent");
            assert!(ids.contains(parent));
        }
        assert!(ids.insert(id));
    }
}

/// As a server sees it: the decoded text parts, the decoded subject.
#[test]
fn marked_words_stand_where_they_are_said_to_and_nowhere_else() {
    let corpus = Corpus::new(1, Size::Octets(2048));
    let plain = |number: u64| {
        let letter = text(&corpus.letter(number));
        let encoded = letter.contains("Content-Transfer-Encoding: base64") && letter.contains("text/plain");
        (letter, encoded)
    };
    let mut seen = 0;
    for number in 0..400 {
        let (letter, encoded) = plain(number);
        let subject = letter.lines().find(|line| line.starts_with("Subject: ")).expect("a subject");
        assert_eq!(subject.contains(Marked::Subject.word()), Marked::Subject.is_in(number));
        if !encoded {
            assert_eq!(letter.contains(Marked::Body.word()), Marked::Body.is_in(number), "{letter}");
            seen += 1;
        }
    }
    assert!(seen > 200);
    assert_eq!(Corpus::count(Marked::Subject, 10_000), 100);
    assert_eq!(Corpus::count(Marked::Chinese, 10_000), 50);
}

#[test]
fn sizes_are_read() {
    assert_eq!("10k".parse(), Ok(Size::Octets(10_240)));
    assert_eq!("2000".parse(), Ok(Size::Octets(2000)));
    assert_eq!("mix".parse(), Ok(Size::Mix));
    for wrong in ["", "k", "0", "99999999k", "-1", "18446744073709551615k"] {
        assert!(wrong.parse::<Size>().is_err(), "{wrong}");
    }
}

#[test]
fn dates_are_dates() {
    assert_eq!(letter::internal_date(0), " 1-Jan-2024 00:00:00 +0000");
    let corpus = Corpus::new(1, Size::Octets(2048));
    assert!(text(&corpus.letter(0)).contains("Date: Mon, 01 Jan 2024 00:00:00 +0000\r\n"));
    // 12,137 times seven minutes are 58 days, 23 hours and 59 minutes.
    assert_eq!(letter::internal_date(12_137), "28-Feb-2024 23:59:00 +0000");
}
