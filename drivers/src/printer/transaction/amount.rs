//! Amounts as receipts write them: `-1.00`, `1.00-`, `(1.00)`, `1.00CR`, `1.234,56 €`, `￥1,280`.

/// An amount at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Minor units, negative for money that goes out.
    pub minor: i64,
    /// Byte offset where the amount begins in the line.
    pub starts_at: usize,
}

/// Most digits of an amount; more are a card or bar code number.
const MAX_DIGITS: usize = 12;

/// The amount that ends `line`, if one does. With `minor_digits` of 2 an amount needs two
/// decimals; with 0 (yen) it needs a currency sign, a sign, a thousands separator, or white space
/// before it.
#[must_use]
pub fn trailing_amount(line: &str, minor_digits: u8) -> Option<Amount> {
    let trimmed = line.trim_end();
    let trimmed = trimmed
        .trim_end_matches(['€', '$', '£', '¥', '￥', '円', '元', '₩', '원'])
        .trim_end();
    let trimmed = ["EUR", "USD", "GBP", "CHF", "PLN", "JPY"]
        .iter()
        .find_map(|code| trimmed.strip_suffix(code))
        .map_or(trimmed, str::trim_end);
    let (trimmed, credit) = match trimmed.strip_suffix("CR") {
        Some(rest) => (rest.trim_end(), true),
        None => (trimmed, false),
    };
    let (trimmed, trailing_minus) = match trimmed.strip_suffix('-') {
        Some(rest) => (rest, true),
        None => (trimmed, false),
    };
    let (trimmed, closing) = match trimmed.strip_suffix(')') {
        Some(rest) => (rest, true),
        None => (trimmed, false),
    };
    let digits_from = trimmed
        .char_indices()
        .rev()
        .take_while(|(_, c)| c.is_ascii_digit() || matches!(c, '.' | ',' | '\''))
        .last()
        .map(|(at, _)| at)?;
    let number = &trimmed[digits_from..];
    let mut before = &trimmed[..digits_from];
    let mut negative = credit || trailing_minus;
    let mut signs = 0;
    // Sign, currency and bracket may stand in any order before the digits.
    while let Some(c) = before.chars().next_back() {
        match c {
            '-' | '−' => negative = true,
            '(' if closing => negative = true,
            '+' | '€' | '$' | '£' | '¥' | '￥' | '₩' | '\\' => {}
            _ => break,
        }
        signs += 1;
        before = &before[..before.len() - c.len_utf8()];
    }
    let stands_alone =
        before.is_empty() || before.ends_with(|c: char| c.is_whitespace() || c == ':');
    if !stands_alone {
        return None;
    }
    let minor = read_number(
        number,
        minor_digits,
        signs > 0 || credit || trailing_minus || before.ends_with("  "),
    )?;
    Some(Amount {
        minor: if negative { -minor } else { minor },
        starts_at: before.len(),
    })
}

fn read_number(number: &str, minor_digits: u8, marked: bool) -> Option<i64> {
    let decimals = usize::from(minor_digits);
    let (whole, fraction) = if decimals == 0 {
        (number, "")
    } else {
        let point = number.rfind(['.', ','])?;
        (&number[..point], &number[point + 1..])
    };
    if fraction.len() != decimals
        || whole.is_empty()
        || !whole.starts_with(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let grouped = whole.contains(['.', ',', '\'']);
    if grouped
        && !whole
            .split(['.', ',', '\''])
            .skip(1)
            .all(|group| group.len() == 3)
    {
        return None;
    }
    if decimals == 0 && !grouped && !marked {
        return None;
    }
    let digits: String = whole
        .chars()
        .filter(char::is_ascii_digit)
        .chain(fraction.chars())
        .collect();
    if digits.len() > MAX_DIGITS {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minor(line: &str) -> Option<i64> {
        trailing_amount(line, 2).map(|amount| amount.minor)
    }

    #[test]
    fn amounts_are_read_in_every_style() {
        for (line, expected) in [
            ("MILK 1L              1.29", 129),
            ("HEADPHONES BT      -79.99", -7_999),
            ("Item 1.00-", -100),
            ("Item (1.00)", -100),
            ("Item 1.00CR", -100),
            ("Sofortstorno Käse   -4,49 €", -449),
            ("SUMME EUR 1.234,56", 123_456),
            ("TOTAL $1,234.56", 123_456),
            ("Total: 5,00 EUR", 500),
            ("TOTAL 1'234.50 CHF", 123_450),
        ] {
            assert_eq!(minor(line), Some(expected), "{line}");
        }
        assert_eq!(
            trailing_amount("返品             -1,280", 0).unwrap().minor,
            -1_280
        );
        assert_eq!(
            trailing_amount("お釣               ￥520", 0)
                .unwrap()
                .minor,
            520
        );
    }

    #[test]
    fn what_only_looks_like_an_amount_is_none() {
        for line in [
            "14.03.2026",
            "16:02",
            "TAX 7%",
            "Bon-Nr. 1187",
            "v1.2",
            "4111111111111111.00",
            "",
            "0,3 L",
            "1.2.3",
        ] {
            assert_eq!(minor(line), None, "{line}");
        }
        assert_eq!(trailing_amount("No.004512", 0), None);
        assert_eq!(trailing_amount("レジ 03", 0), None);
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_panic(line in "\\PC{0,60}", digits in 0_u8..4) {
            if let Some(amount) = trailing_amount(&line, digits) {
                prop_assert!(line.is_char_boundary(amount.starts_at));
            }
        }

        #[test]
        fn a_printed_amount_is_read_back(minor_units in -9_999_999_i64..9_999_999) {
            let sign = if minor_units < 0 { "-" } else { "" };
            let abs = minor_units.abs();
            let line = format!("X {sign}{}.{:02}", abs / 100, abs % 100);
            prop_assert_eq!(minor(&line), Some(minor_units));
        }
    }
}
