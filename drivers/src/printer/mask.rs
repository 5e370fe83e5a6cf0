//! Card numbers do not leave the tap: 13 to 19 digits that pass the Luhn check (ISO/IEC 7812-1)
//! are masked to the last four before anything is stored, logged or sent.

use std::ops::Range;

/// Fewest digits of a card number.
const SHORTEST: usize = 13;
/// Most digits of a card number.
const LONGEST: usize = 19;
/// Digits that stay.
const KEPT: usize = 4;

/// Masks every card number in `text`: digits in one run, or in the groups that cards are printed
/// in (4-4-4-4, 4-6-5 …), separated by single spaces or hyphens. Dates and times in a row are no
/// such groups.
#[must_use]
pub fn mask_card_numbers(text: &str) -> String {
    let mut masked: Vec<char> = text.chars().collect();
    let mut groups = digit_groups(&masked);
    let mut first = 0;
    while first < groups.len() {
        let Some(places) = card_from(&masked, &groups[first..]) else {
            first += 1;
            continue;
        };
        let (hidden, kept) = places.split_at(places.len() - KEPT);
        for place in hidden {
            masked[*place] = '*';
        }
        // The digits that stay may begin another number, together with what follows them.
        while groups[first].end <= kept[0] {
            first += 1;
        }
        groups[first].start = kept[0];
    }
    masked.into_iter().collect()
}

/// Every run of digits, as a range of places.
fn digit_groups(text: &[char]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (place, c) in text.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if c.is_ascii_digit() && group.end == place => group.end += 1,
            _ if c.is_ascii_digit() => groups.push(place..place + 1),
            _ => {}
        }
    }
    groups
}

/// The longest card number that begins with the first of `groups`: its places.
fn card_from(text: &[char], groups: &[Range<usize>]) -> Option<Vec<usize>> {
    let mut places: Vec<usize> = Vec::new();
    let mut found = None;
    for (index, group) in groups.iter().enumerate() {
        let joined = index == 0
            || (group.start == groups[index - 1].end + 1
                && matches!(text[group.start - 1], ' ' | '-'));
        if !joined || places.len() + group.len() > LONGEST {
            break;
        }
        places.extend(group.clone());
        let printed_so = match index {
            0 => true,
            _ => groups[0].len() == 4 && (group.len() == 4 || is_last_group(groups, index)),
        };
        if !printed_so {
            // The second group of 4-6-5 is allowed, if the third follows.
            if index == 1 && groups[0].len() == 4 && group.len() == 6 {
                continue;
            }
            break;
        }
        if places.len() >= SHORTEST && luhn(text, &places) {
            found = Some(places.clone());
        }
    }
    found
}

/// The last group of 4-4-4-4-x or of 4-6-5 has another length.
fn is_last_group(groups: &[Range<usize>], index: usize) -> bool {
    let length = groups[index].len();
    let after_six = index == 2 && groups[1].len() == 6 && (4..=5).contains(&length);
    after_six || (index >= 3 && length <= 7)
}

fn luhn(text: &[char], places: &[usize]) -> bool {
    let mut sum = 0;
    let mut any = false;
    for (index, place) in places.iter().rev().enumerate() {
        let digit = text[*place].to_digit(10).unwrap_or(0);
        any |= digit != 0;
        sum += match (index % 2, digit * 2) {
            (0, _) => digit,
            (_, double @ 10..) => double - 9,
            (_, double) => double,
        };
    }
    any && sum % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn card_numbers_keep_their_last_four_digits() {
        assert_eq!(
            mask_card_numbers("VISA 4111 1111 1111 1111 OK"),
            "VISA **** **** **** 1111 OK"
        );
        assert_eq!(
            mask_card_numbers("4111-1111-1111-1111"),
            "****-****-****-1111"
        );
        assert_eq!(
            mask_card_numbers("AMEX 378282246310005"),
            "AMEX ***********0005"
        );
    }

    #[test]
    fn no_number_hides_behind_another_one() {
        // The last group of the first number is the first group of the second.
        let printed = "4111 1111 1111 1111 2222 3333 4444";
        assert_eq!(
            mask_card_numbers(printed),
            "**** **** **** **** **** **** 4444"
        );
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "4006381333931",
            "TRN 004512 2026-03-14 15:09:26",
            "0000000000000",
            "12 34",
            "4111 1111 1111 1112",
        ] {
            assert_eq!(mask_card_numbers(text), text);
        }
    }

    proptest! {
        #[test]
        fn every_printed_card_number_is_masked(
            digits in proptest::collection::vec(0_u32..10, 12..19),
            separator in prop_oneof![Just(""), Just(" "), Just("-")],
            before in "[A-Z:]{0,8}", after in "[A-Z*]{0,8}",
        ) {
            // The check digit that makes it a card number.
            let sum: u32 = digits.iter().rev().enumerate().map(|(i, d)| match (i % 2, d * 2) {
                (1, _) => *d,
                (_, double @ 10..) => double - 9,
                (_, double) => double,
            }).sum();
            prop_assume!(digits.iter().any(|d| *d != 0));
            let check = (10 - sum % 10) % 10;
            let number: Vec<String> = digits.iter().chain([&check]).map(u32::to_string).collect();
            let printed = number.chunks(4).map(<[String]>::concat).collect::<Vec<_>>().join(separator);
            let masked = mask_card_numbers(&format!("{before}{printed}{after}"));
            let shown = masked.chars().filter(char::is_ascii_digit).count();
            prop_assert_eq!(shown, KEPT, "{} from {}", masked, printed);
        }

        #[test]
        fn any_text_keeps_its_length(text in "\\PC{0,60}") {
            prop_assert_eq!(mask_card_numbers(&text).chars().count(), text.chars().count());
        }
    }
}
