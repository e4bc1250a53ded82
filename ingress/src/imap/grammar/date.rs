//! `date` and `date-time` (RFC 3501 section 9).

use pennypost_model::Timestamp;

use super::cursor::{Cursor, Parse, SyntaxError};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const BROKEN: SyntaxError = SyntaxError("a date is broken");

/// A day as the number of days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i64);

impl Day {
    /// The day of a civil date. `None` if there is no such day.
    #[must_use]
    pub fn from_civil(year: i64, month: u32, day: u32) -> Option<Day> {
        let lengths = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let length = *lengths.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
        if day == 0 || day > length || !(0..=9999).contains(&year) {
            return None;
        }
        // Years that begin in March, as in `Timestamp::civil_day`.
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = i64::from((month + 9) % 12);
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Some(Day(era * 146_097 + day_of_era - 719_468))
    }

    /// The UTC day of a time.
    #[must_use]
    pub const fn of(time: Timestamp) -> Day {
        Day(time.0.div_euclid(86_400_000))
    }

    /// `date`: `1-Feb-1994`, perhaps in quotes.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(cursor: &mut Cursor<'_>) -> Parse<Day> {
        let quoted = cursor.take(b'"');
        let day = cursor.number()?;
        cursor.expect(b'-', BROKEN.0)?;
        let (month, year) = month_and_year(cursor)?;
        if quoted {
            cursor.expect(b'"', BROKEN.0)?;
        }
        Day::from_civil(year, month, day).ok_or(BROKEN)
    }

    /// As `date` is written.
    #[must_use]
    pub fn print(self) -> String {
        let (year, month, day) = Timestamp(self.0 * 86_400_000).civil_day();
        format!("{day}-{}-{year:04}", month_name(month))
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_name(month: u32) -> &'static str {
    MONTHS.get(month as usize - 1).copied().unwrap_or("Jan")
}

fn month_and_year(cursor: &mut Cursor<'_>) -> Parse<(u32, i64)> {
    let name = cursor.take_while(|byte| byte.is_ascii_alphabetic());
    let month = MONTHS.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name)).ok_or(BROKEN)?;
    cursor.expect(b'-', BROKEN.0)?;
    let year = cursor.number()?;
    Ok((month as u32 + 1, i64::from(year)))
}

/// The number of a month by the first three letters of its name.
#[must_use]
pub fn month_number(name: &[u8]) -> Option<u32> {
    let name = name.get(..3)?;
    MONTHS.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name)).map(|index| index as u32 + 1)
}

/// `date-time`: `"17-Jul-1996 02:44:25 -0700"`.
///
/// # Errors
/// It is not one.
pub fn date_time(cursor: &mut Cursor<'_>) -> Parse<Timestamp> {
    cursor.expect(b'"', BROKEN.0)?;
    cursor.take(b' ');
    let day = cursor.number()?;
    cursor.expect(b'-', BROKEN.0)?;
    let (month, year) = month_and_year(cursor)?;
    let day = Day::from_civil(year, month, day).ok_or(BROKEN)?;
    cursor.space()?;
    let hour = i64::from(cursor.number()?);
    cursor.expect(b':', BROKEN.0)?;
    let minute = i64::from(cursor.number()?);
    cursor.expect(b':', BROKEN.0)?;
    let second = i64::from(cursor.number()?);
    cursor.space()?;
    let sign = match () {
        () if cursor.take(b'+') => 1,
        () if cursor.take(b'-') => -1,
        () => return Err(BROKEN),
    };
    let digits = cursor.take_while(|byte| byte.is_ascii_digit());
    let [a, b, c, d] = digits else { return Err(BROKEN) };
    cursor.expect(b'"', BROKEN.0)?;
    let digit = |byte: &u8| i64::from(byte - b'0');
    let zone = sign * ((digit(a) * 10 + digit(b)) * 60 + digit(c) * 10 + digit(d));
    if hour > 23 || minute > 59 || second > 60 {
        return Err(BROKEN);
    }
    Ok(Timestamp((((day.0 * 24 + hour) * 60 + minute - zone) * 60 + second) * 1000))
}

/// A time as `date-time` with its quotes, in UTC.
#[must_use]
pub fn print_date_time(time: Timestamp) -> String {
    let mut out = Vec::with_capacity(30);
    write_date_time(&mut out, time);
    String::from_utf8_lossy(&out).into_owned()
}

/// As [`print_date_time`], onto `out`.
pub fn write_date_time(out: &mut Vec<u8>, time: Timestamp) {
    let (year, month, day) = time.civil_day();
    let seconds = time.seconds().rem_euclid(86_400) as u32;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let two = |number: u32| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    out.push(b'"');
    out.extend_from_slice(&if day < 10 { [b' ', b'0' + day as u8] } else { two(day) });
    out.push(b'-');
    out.extend_from_slice(month_name(month).as_bytes());
    out.push(b'-');
    match u32::try_from(year) {
        Ok(year) if year <= 9999 => {
            out.extend_from_slice(&two(year / 100));
            out.extend_from_slice(&two(year % 100));
        }
        _ => out.extend_from_slice(format!("{year:04}").as_bytes()),
    }
    for (mark, number) in [(b' ', hour), (b':', minute), (b':', second)] {
        out.push(mark);
        out.extend_from_slice(&two(number));
    }
    out.extend_from_slice(b" +0000\"");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_of_the_rfc() {
        let time = date_time(&mut Cursor::new(b"\"17-Jul-1996 02:44:25 -0700\"")).expect("date-time");
        assert_eq!(time.rfc3339(), "1996-07-17T09:44:25.000Z");
        assert_eq!(print_date_time(time), "\"17-Jul-1996 09:44:25 +0000\"");
        assert_eq!(Day::parse(&mut Cursor::new(b"\"1-feb-1994\"")), Ok(Day(8797)));
        for bad in ["30-Feb-2024", "0-Jan-2024", "1-Foo-2024", "1-Jan", "1-Jan-99999", "\"1-Jan-2024"] {
            assert!(Day::parse(&mut Cursor::new(bad.as_bytes())).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn date_times_round_trip(seconds in -60_000_000_000_i64..250_000_000_000) {
            let time = Timestamp(seconds * 1000);
            let printed = print_date_time(time);
            prop_assert_eq!(date_time(&mut Cursor::new(printed.as_bytes())), Ok(time));
            let day = Day::of(time);
            prop_assert_eq!(Day::parse(&mut Cursor::new(day.print().as_bytes())), Ok(day));
        }
    }
}
