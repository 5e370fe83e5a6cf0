//! Money: an integer of minor units. No floating point anywhere on its way.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An amount in minor units (cents, pence) of the configured currency.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(pub i64);

/// How exactly a decimal could be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMoney {
    /// The amount, rounded half away from zero.
    pub money: Money,
    /// False when digits beyond the minor unit were rounded away.
    pub exact: bool,
}

impl Money {
    /// The absolute amount.
    #[must_use]
    pub fn abs(self) -> Money {
        Money(self.0.saturating_abs())
    }

    /// Reads a JSON number or a plain decimal text (`150.0`, `-1.5e2`, `"12.50"` without the
    /// quotes) exactly, with `minor_digits` decimals (2 for most currencies, 0 for yen).
    /// `None` when it is no number or does not fit.
    #[must_use]
    pub fn read_decimal(text: &str, minor_digits: u8) -> Option<ReadMoney> {
        let text = text.trim();
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if digits().next().is_none() || !digits().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // Digits that stay left of the minor unit's end; the rest decides about rounding.
        let keep = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(minor_digits);
        let mut minor: i64 = 0;
        let mut exact = true;
        let mut round_up = false;
        for (position, byte) in (0_i64..).zip(digits()) {
            let digit = i64::from(byte - b'0');
            if position < keep {
                minor = minor.checked_mul(10)?.checked_add(digit)?;
            } else {
                round_up |= position == keep && digit >= 5;
                exact &= digit == 0;
            }
        }
        let missing = keep - i64::try_from(whole.len() + fraction.len()).ok()?;
        if minor != 0 {
            for _ in 0..missing.max(0) {
                minor = minor.checked_mul(10)?;
            }
        }
        if round_up {
            minor = minor.checked_add(1)?;
        }
        Some(ReadMoney {
            money: Money(if negative { -minor } else { minor }),
            exact,
        })
    }

    /// With `minor_digits` decimals: `Money(15000)` and 2 give `150.00`.
    #[must_use]
    pub fn display(self, minor_digits: u8) -> MoneyText {
        MoneyText {
            money: self,
            minor_digits,
        }
    }
}

/// Shows money with its decimals.
#[derive(Debug, Clone, Copy)]
pub struct MoneyText {
    money: Money,
    minor_digits: u8,
}

impl fmt::Display for MoneyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.money.0 < 0 { "-" } else { "" };
        let minor = self.money.0.unsigned_abs();
        if self.minor_digits == 0 {
            return write!(f, "{sign}{minor}");
        }
        let unit = 10_u64.pow(u32::from(self.minor_digits.min(18)));
        let width = usize::from(self.minor_digits.min(18));
        write!(f, "{sign}{}.{:0width$}", minor / unit, minor % unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cents(text: &str) -> Option<(i64, bool)> {
        Money::read_decimal(text, 2).map(|r| (r.money.0, r.exact))
    }

    #[test]
    fn decimals_are_converted_exactly() {
        assert_eq!(cents("150.0"), Some((15_000, true)));
        assert_eq!(cents("0.1"), Some((10, true)));
        assert_eq!(cents("-1.00"), Some((-100, true)));
        assert_eq!(cents("1e3"), Some((100_000, true)));
        assert_eq!(cents("1.5E-1"), Some((15, true)));
        assert_eq!(
            cents("12.345"),
            Some((1_235, false)),
            "a third decimal is rounded, and said"
        );
        assert_eq!(cents("12.340"), Some((1_234, true)));
        assert_eq!(cents("-0.005"), Some((-1, false)));
        assert_eq!(cents("1e-9"), Some((0, false)));
        assert_eq!(
            Money::read_decimal("500", 0).map(|r| r.money),
            Some(Money(500))
        );
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1,5",
            "NaN",
            "0x10",
            "1e",
            "99999999999999999999",
            "1e400",
        ] {
            assert_eq!(cents(text), None, "{text}");
        }
        assert_eq!(cents("0e2000000000"), Some((0, true)));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(minor in any::<i64>().prop_filter("abs", |m| *m != i64::MIN), digits in 0_u8..5) {
            let text = Money(minor).display(digits).to_string();
            let read = Money::read_decimal(&text, digits).unwrap();
            prop_assert_eq!((read.money, read.exact), (Money(minor), true));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}", digits in 0_u8..5) {
            let _ = Money::read_decimal(&text, digits);
        }
    }
}
