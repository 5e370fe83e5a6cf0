//! Amounts as tills write them: any text is read exactly, or refused.

use tillwatch_protocol::Money;

/// Decimals of currencies, and two that no currency has.
const MINOR_DIGITS: [u8; 6] = [0, 2, 3, 4, 18, 255];

/// The input is the text.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for digits in MINOR_DIGITS {
        let read = Money::read_decimal(&text, digits);
        if let Some(expected) = by_hand(text.trim(), digits) {
            assert_eq!(
                read.map(|read| (read.money.0, read.exact)),
                Some(expected),
                "{text:?} {digits}"
            );
        }
        let Some(read) = read else { continue };
        let shown = read.money.display(digits).to_string();
        if digits > 18 || read.money.0 == i64::MIN {
            continue;
        }
        let again = Money::read_decimal(&shown, digits);
        assert_eq!(
            again.map(|again| (again.money, again.exact)),
            Some((read.money, true)),
            "{text:?} as {shown}"
        );
        assert_eq!(read.money.abs().0, read.money.0.abs());
    }
}

/// The same by another way: one big integer, scaled and rounded half away from zero. `None` for
/// texts that are no plain decimals or too long for it.
fn by_hand(text: &str, minor_digits: u8) -> Option<(i64, bool)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    let plain =
        !digits.is_empty() && digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain || exponent.abs() > 15 || minor_digits > 4 {
        return None;
    }
    let number: i128 = digits.parse().ok()?;
    let shift = exponent + i32::from(minor_digits) - i32::try_from(fraction.len()).ok()?;
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    let (minor, exact) = if shift >= 0 {
        (number.checked_mul(power)?, true)
    } else {
        ((2 * number + power) / (2 * power), number % power == 0)
    };
    let minor = if mantissa.starts_with('-') {
        -minor
    } else {
        minor
    };
    Some((i64::try_from(minor).ok()?, exact))
}
