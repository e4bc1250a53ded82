//! The time at which somebody wants a letter to go, as it is written.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use pennypost_model::Timestamp;

/// Where somebody is who has not said where (SND-08).
pub const DEFAULT_ZONE: &str = "Asia/Shanghai";

fn zone_named(name: &str) -> Option<TimeZone> {
    // Names of the IANA, and nothing of what a machine calls its own.
    let is_name = name.len() <= 64 && name.is_ascii();
    let zone = is_name.then(|| TimeZone::get(name).ok()).flatten();
    zone.filter(|zone| zone.iana_name().is_some())
}

/// A time of RFC 3339, or one without an offset as a clock shows it in that zone. Gives the time, and the zone in which it is
/// thought of; `None` if it is none, or there is no such zone, or no clock there shows it.
#[must_use]
pub fn said_time(text: &str, zone: Option<&str>) -> Option<(Timestamp, String)> {
    let name = zone.unwrap_or(DEFAULT_ZONE);
    let zone = zone_named(name)?;
    let is_form = text.len() <= 40
        && text.get(..10).is_some_and(|day| day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"-+:.TtZz ".contains(&byte));
    if !is_form {
        return None;
    }
    let millis = match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.as_millisecond(),
        Err(_) => {
            let shown = text.parse::<DateTime>().ok()?;
            // An hour that is skipped in spring is shown by no clock; of one that comes twice the first is meant.
            let there = zone.to_ambiguous_zoned(shown);
            if matches!(there.offset(), AmbiguousOffset::Gap { .. }) {
                return None;
            }
            there.earlier().ok()?.timestamp().as_millisecond()
        }
    };
    Some((Timestamp(millis), name.to_owned()))
}

/// The time as a clock shows it in that zone: `2026-11-24 08:00:00`. `None` if there is no such zone.
#[must_use]
pub fn shown_time(time: Timestamp, zone: &str) -> Option<String> {
    let there = jiff::Timestamp::from_millisecond(time.0).ok()?.to_zoned(zone_named(zone)?);
    Some(there.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_where_they_are_thought_of() {
        let there = |text: &str, zone| said_time(text, zone).map(|(time, _)| time.rfc3339());
        let morning = Some("2026-11-24T00:00:00.000Z".to_owned());
        assert_eq!(there("2026-11-24T08:00", None), morning);
        assert_eq!(there("2026-11-24 08:00:00", Some("Asia/Shanghai")), morning);
        assert_eq!(there("2026-11-24T01:00", Some("Europe/Berlin")), morning);
        assert_eq!(there("2026-11-24T00:00:00Z", Some("Europe/Berlin")), morning);
        assert_eq!(there("2026-11-24T09:00:00+09:00", None), morning);
        assert_eq!(shown_time(Timestamp(0), "Asia/Shanghai").as_deref(), Some("1970-01-01 08:00:00"));
        // At half past two the clocks of that night show half past three.
        for (bad, zone) in [
            ("2027-03-28T02:30", Some("Europe/Berlin")),
            ("2026-11-24T08:00", Some("Asia/Nowhere")),
            ("2026-11-31T08:00", None),
            ("tomorrow", None),
            ("", None),
            ("2026-11-24T08:00[Asia/Tokyo]", None),
        ] {
            assert_eq!(said_time(bad, zone), None, "{bad}");
        }
        assert_eq!(shown_time(Timestamp(0), ""), None);
    }
}
