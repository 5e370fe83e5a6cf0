//! The text of a receipt: understood without a panic, and never with a card number in it.

use std::ops::Range;
use tillwatch_drivers::printer::mask::mask_card_numbers;
use tillwatch_drivers::printer::transaction::{read, trailing_amount};

/// Longest number or cashier.
const LONGEST_FIELD: usize = 64;

/// The input is the receipt's lines.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let lines: Vec<String> = text.split('\n').map(masked).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for minor_digits in [0, 2, 3] {
        for line in text.split('\n') {
            if let Some(amount) = trailing_amount(line, minor_digits) {
                assert!(
                    line.get(amount.starts_at..)
                        .is_some_and(|text| text.contains(|c: char| c.is_ascii_digit()))
                );
                assert!(amount.minor.abs() < 1_000_000_000_000, "{line:?}");
            }
        }
        let transaction = read(&lines, minor_digits);
        assert!(transaction.marks.is_sorted_by_key(|mark| mark.line));
        assert!(transaction.marks.iter().all(|mark| mark.line < lines.len()));
        for field in [&transaction.number, &transaction.cashier]
            .into_iter()
            .flatten()
        {
            assert!(!field.is_empty() && field.len() <= LONGEST_FIELD);
            assert_eq!(card_number(field), None, "{field:?}");
        }
    }
}

fn masked(line: &str) -> String {
    let masked = mask_card_numbers(line);
    assert_eq!(card_number(&masked), None, "{line:?} as {masked:?}");
    assert_eq!(mask_card_numbers(&masked), masked, "masked twice: {line:?}");
    let mut before = line.chars();
    for after in masked.chars() {
        let before = before.next().expect("as long as before");
        assert!(
            before == after || (before.is_ascii_digit() && after == '*'),
            "{line:?} as {masked:?}"
        );
    }
    assert_eq!(before.next(), None, "as long as before");
    masked
}

/// A card number as cards print it: 13 to 19 digits in one run, in groups of four with a last one
/// of one to seven, or in 4-6-4 and 4-6-5; single spaces or hyphens between groups.
fn card_number(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, _) in bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| byte.is_ascii_digit())
    {
        match groups.last_mut() {
            Some(group) if group.end == at => group.end += 1,
            _ => groups.push(at..at + 1),
        }
    }
    for first in 0..groups.len() {
        for last in first..groups.len() {
            let window = &groups[first..=last];
            let apart = |pair: &[Range<usize>]| {
                pair[1].start == pair[0].end + 1 && matches!(bytes[pair[0].end], b' ' | b'-')
            };
            if !window.windows(2).all(apart) {
                break;
            }
            let lengths: Vec<usize> = window.iter().map(ExactSizeIterator::len).collect();
            let digits: Vec<u32> = window
                .iter()
                .flat_map(|group| &bytes[group.clone()])
                .map(|byte| u32::from(byte - b'0'))
                .collect();
            if digits.len() > 19 {
                break;
            }
            if digits.len() >= 13 && printed_as_a_card(&lengths) && passes_luhn(&digits) {
                return text.get(window[0].start..window[window.len() - 1].end);
            }
        }
    }
    None
}

fn printed_as_a_card(lengths: &[usize]) -> bool {
    match lengths {
        [_] | [4, 6, 4 | 5] => true,
        [fours @ .., last] => {
            fours.len() >= 3 && fours.iter().all(|length| *length == 4) && *last <= 7
        }
        [] => false,
    }
}

/// ISO/IEC 7812-1, annex B; a row of zeros is nobody's card.
fn passes_luhn(digits: &[u32]) -> bool {
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            if place % 2 == 1 {
                DOUBLED[*digit as usize]
            } else {
                *digit
            }
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}
