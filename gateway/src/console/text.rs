//! Text for a terminal.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Text that came from a till, a printer or a broker, without anything that a terminal would act
/// on: control characters show as `·`.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' { '·' } else { c })
        .collect()
}

/// The same on one line.
#[must_use]
pub fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// An RFC 3339 time in the store's zone, to the second; the text itself when it is no time.
#[must_use]
pub fn local(at: &str, zone: &TimeZone) -> String {
    match at.parse::<Timestamp>() {
        Ok(at) => zone
            .to_datetime(at)
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => one_line(at),
    }
}

/// Seconds as people say them: `42 s`, `5 min`, `3 h 20 min`, `2 d 4 h`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Bytes as people say them: `812 B`, `1.5 KiB`, `8.0 MiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mut unit = "B";
    let mut tenths = bytes.saturating_mul(10);
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1_024;
        unit = next;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_cannot_take_over_the_terminal() {
        assert_eq!(
            printable("total\u{1b}[2J 5\u{9b}31m\u{7}"),
            "total·[2J 5·31m·"
        );
        assert_eq!(one_line("a\nb\r"), "a b·");
    }

    #[test]
    fn times_and_sizes_read_as_people_say_them() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(
            local("2025-10-04T14:34:15.250000Z", &berlin),
            "2025-10-04 16:34:15"
        );
        assert_eq!(local("yesterday", &berlin), "yesterday");
        let said: Vec<_> = [42, 300, 12_000, 187_200].map(duration).into();
        assert_eq!(said, ["42 s", "5 min", "3 h 20 min", "2 d 4 h"]);
        let said: Vec<_> = [812, 1_536, 8 << 20, 3 << 30].map(bytes).into();
        assert_eq!(said, ["812 B", "1.5 KiB", "8.0 MiB", "3.0 GiB"]);
    }
}
