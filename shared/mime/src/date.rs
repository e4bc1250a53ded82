//! Date and time (RFC 5322 section 3.3, obsolete forms of section 4.3).

use pennypost_model::Timestamp;

/// Bytes of a Date field that are read.
const MAX_DATE: usize = 256;

/// Reads a Date value; weekday, seconds and zone may be missing, two- and three-digit years are mended.
/// Nothing if there is no day, month, year and time in it.
pub(crate) fn timestamp(value: &[u8]) -> Option<Timestamp> {
    let value = crate::header::unfold(value, MAX_DATE);
    let text = String::from_utf8_lossy(&value);
    let mut words = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '-' | '(' | ')'))
        .filter(|word| !word.is_empty())
        .skip_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()))
        .peekable();
    let first = number(words.next()?)?;
    let second = words.next()?;
    // ISO 8601 `2026-11-21 …` has been seen; the zone of it would be lost to the split, so it counts as UTC.
    let (year, month, day) = match number(second) {
        Some(month) if first > 1_000 => (first, month, number(words.next()?)?),
        Some(_) => return None,
        None => (full_year(words.next_if(|next| number(next).is_some())?)?, month(second)?, first),
    };
    let mut clock = words.next()?.split([':', '.']);
    let hour = number(clock.next()?)?;
    let minute = number(clock.next()?)?;
    let second = clock.next().map_or(Some(0), number)?;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60;
    if !in_range || second > 60 || year > 9_999 {
        return None;
    }
    // A minus was split away above, so the zone is read from the text.
    let offset = zone(&text);
    let days = days_from_civil(year, month, day);
    Some(Timestamp(((days * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1_000))
}

fn number(text: &str) -> Option<i64> {
    (text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// RFC 5322 section 4.3.
fn full_year(text: &str) -> Option<i64> {
    let year = number(text)?;
    Some(match (text.len(), year) {
        (1 | 2, 0..=49) => year + 2000,
        (1..=3, _) => year + 1900,
        _ => year,
    })
}

fn month(text: &str) -> Option<i64> {
    let names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let beginning = text.get(..3)?.to_ascii_lowercase();
    names.iter().position(|name| *name == beginning).map(|index| index as i64 + 1)
}

/// Minutes east of UTC; 0 where nothing sensible is said.
fn zone(text: &str) -> i64 {
    let Some((_, behind)) = text.rsplit_once(':') else { return 0 };
    let mut words = behind.split_whitespace().skip(1);
    let Some(zone) = words.next() else { return 0 };
    let zone = zone.split('(').next().unwrap_or(zone);
    let signed = zone.strip_prefix('+').map(|digits| (1, digits)).or(zone.strip_prefix('-').map(|d| (-1, d)));
    if let Some((sign, digits)) = signed {
        let Some(value) = number(digits).filter(|_| digits.len() == 4) else { return 0 };
        let minutes = value / 100 * 60 + value % 100;
        return if value / 100 < 24 && value % 100 < 60 { sign * minutes } else { 0 };
    }
    match zone.to_ascii_uppercase().as_str() {
        "EDT" => -240,
        "EST" | "CDT" => -300,
        "CST" | "MDT" => -360,
        "MST" | "PDT" => -420,
        "PST" => -480,
        _ => 0,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (text, expected) in [
            ("Fri, 21 Nov 1997 09:55:06 -0600", Some("1997-11-21T15:55:06.000Z")),
            ("21 Nov 97 09:55 GMT", Some("1997-11-21T09:55:00.000Z")),
            ("Sat,\r\n 21 Nov 2026 08:00:00 +0800 (CST)", Some("2026-11-21T00:00:00.000Z")),
            ("Thu, 29 Feb 2024 23:59:60 +0000", Some("2024-03-01T00:00:00.000Z")),
            ("Mon, 1 Jan 00 00:00:00 EST", Some("2000-01-01T05:00:00.000Z")),
            ("1 january 1970 00:00:00 Z", Some("1970-01-01T00:00:00.000Z")),
            ("Sat, 21-Nov-2026 08:00:00 -0130", Some("2026-11-21T09:30:00.000Z")),
            ("2026-11-21 08:00:00", Some("2026-11-21T08:00:00.000Z")),
            ("Sat, 21 Nov 2026", None),
            ("Sat, 32 Nov 2026 08:00:00", None),
            ("Sat, 21 Nov 2026 25:00:00", None),
            ("99999999999 Nov 2026 25:00:00", None),
            ("tomorrow", None),
            ("", None),
        ] {
            let read = timestamp(text.as_bytes()).map(Timestamp::rfc3339);
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
