//! Sizes as people write them.

/// Reads `500MB`, `10GB` (no fractions); units are decimal (`KB`, `MB`, `GB`, `TB`) or binary (`KiB` …),
/// in any case; without a unit bytes are meant.
///
/// # Errors
/// A text for the user.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let failed = || format!("{text:?} is no size; examples: 500MB, 10GB");
    let trimmed = text.trim();
    let digits = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = trimmed.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(failed()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(failed)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("0", 0), ("10GB", 10_000_000_000), (" 5 mib ", 5 << 20), ("7k", 7_000)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "GB", "-1", "1.5GB", "1 XB", "99999999999TB", "1e9"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
