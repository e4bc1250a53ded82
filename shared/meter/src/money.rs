//! Money, exactly: whole millionths of a millionth of the currency's unit.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

/// An amount in 10⁻¹² of the currency's unit. Sums of it are exact; no float comes near it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pico(pub u128);

/// Digits behind the point.
const DIGITS: usize = 12;
/// In one unit of the currency.
const UNIT: u128 = 1_000_000_000_000;

/// A text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of money with at most 12 digits behind the point: {0:?}")]
pub struct NotMoney(String);

impl Pico {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Pico) -> Pico {
        Pico(self.0.saturating_add(other.0))
    }

    /// So much for `of` is how much for one million? Rounded half up; nothing for none.
    #[must_use]
    pub const fn per_million(self, of: u64) -> Pico {
        if of == 0 {
            return Pico(0);
        }
        let of = of as u128;
        Pico(self.0.saturating_mul(1_000_000).saturating_add(of / 2) / of)
    }

    /// As a decimal with so many digits behind the point, rounded half up.
    #[must_use]
    pub fn decimal(self, digits: usize) -> String {
        let digits = digits.min(DIGITS);
        let step = 10_u128.pow((DIGITS - digits) as u32);
        let steps = self.0.saturating_add(step / 2) / step;
        let unit = UNIT / step;
        let (whole, rest) = (steps / unit, steps % unit);
        if digits == 0 { whole.to_string() } else { format!("{whole}.{rest:0digits$}") }
    }
}

impl Sum for Pico {
    fn sum<I: Iterator<Item = Pico>>(amounts: I) -> Pico {
        amounts.fold(Pico(0), Pico::plus)
    }
}

impl fmt::Display for Pico {
    /// To the millionth.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.decimal(6))
    }
}

impl FromStr for Pico {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Pico, NotMoney> {
        let wrong = || NotMoney(text.chars().take(40).collect());
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_amount = !whole.is_empty()
            && is_number(whole)
            && is_number(rest)
            && rest.len() <= DIGITS
            && !(rest.is_empty() && text.contains('.'));
        if !is_amount {
            return Err(wrong());
        }
        let whole = whole.parse::<u128>().map_err(|_| wrong())?;
        let rest = format!("{rest:0<DIGITS$}").parse::<u128>().map_err(|_| wrong())?;
        whole.checked_mul(UNIT).and_then(|whole| whole.checked_add(rest)).map(Pico).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
        for (text, pico) in [
            ("0", 0),
            ("0.40", 400_000_000_000),
            ("0.0000133334", 13_333_400),
            ("0.000000000001", 1),
            ("12.5", 12_500_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Pico(pico)), "{text}");
        }
        for wrong in ["", ".5", "1.", "-1", "+1", "1e3", "1,5", "0.0000000000001", " 1", "1.2.3", "９"] {
            assert!(wrong.parse::<Pico>().is_err(), "{wrong:?}");
        }
        assert!("9".repeat(40).parse::<Pico>().is_err());
    }

    #[test]
    fn decimals_are_rounded_half_up() {
        assert_eq!(Pico(1_999_999_500_000).to_string(), "2.000000");
        assert_eq!(Pico(1_234_567_499_999).to_string(), "1.234567");
        assert_eq!(Pico(1_500_000_000_000).decimal(0), "2");
        assert_eq!(Pico(5).decimal(12), "0.000000000005");
        assert_eq!(Pico(20_000_000_000).per_million(10_000).decimal(2), "2.00");
        assert_eq!(Pico(7).per_million(0), Pico(0));
    }
}
