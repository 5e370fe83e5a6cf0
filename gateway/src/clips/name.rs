//! What exported files are called: `{yyyy-mm-dd}/{hh-mm-ss}_{kind}_{staff}.mp4` in UTC, with the
//! camera behind when a clip has several, and `-2` when there is such a file already.
//!
//! Staff, kind and camera come from tills and from configurations: whatever they contain, a name has
//! two components, both printable, neither longer than file systems allow.

use jiff::{Timestamp, tz::TimeZone};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Longest part of a name, in bytes; the rest is cut off. Three of them, the time, the number and
/// the ending stay far below the 255 bytes of a file name.
pub const MAX_PART: usize = 64;

const UNKNOWN: &str = "unknown";

/// The name of an exported clip, or of one camera's part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClipName {
    folder: String,
    stem: String,
}

impl ClipName {
    /// `utc_us`: when the cause happened, in microseconds since 1970. `kind`: the short word of the
    /// event. Of `staff` letters and digits are kept, of the other two hyphens and underscores as
    /// well; `camera` only when there are several.
    #[must_use]
    pub fn new(utc_us: i64, kind: &str, staff: Option<&str>, camera: Option<&str>) -> Self {
        // Out of range only for a broken clock.
        let time = Timestamp::from_microsecond(utc_us)
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .to_zoned(TimeZone::UTC);
        let folder = format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.day());
        let mut stem = format!(
            "{:02}-{:02}-{:02}_{}_{}",
            time.hour(),
            time.minute(),
            time.second(),
            word(kind).unwrap_or_else(|| UNKNOWN.into()),
            staff
                .and_then(|staff| kept(staff, char::is_alphanumeric))
                .unwrap_or_else(|| UNKNOWN.into()),
        );
        if let Some(camera) = camera {
            stem.push('_');
            stem.push_str(&word(camera).unwrap_or_else(|| UNKNOWN.into()));
        }
        Self { folder, stem }
    }

    /// The folder of its day.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The file's name in that folder: the first choice for `nth` 0 and 1, then with `-2`, `-3`, ...
    #[must_use]
    pub fn file(&self, nth: u32, ending: &str) -> String {
        let mut name = self.stem.clone();
        if nth > 1 {
            // Writing into a string cannot fail.
            let _ = write!(name, "-{nth}");
        }
        name.push('.');
        name.push_str(ending);
        name
    }

    /// Folder and file, below the folder of all clips.
    #[must_use]
    pub fn path(&self, nth: u32, ending: &str) -> PathBuf {
        PathBuf::from(&self.folder).join(self.file(nth, ending))
    }
}

/// Letters, digits, and hyphens and underscores between them.
fn word(text: &str) -> Option<String> {
    kept(text, |letter| {
        letter.is_alphanumeric() || letter == '-' || letter == '_'
    })
    .filter(|word| word.chars().any(char::is_alphanumeric))
}

/// The letters that are allowed; nothing when there are none.
fn kept(text: &str, allowed: impl Fn(char) -> bool) -> Option<String> {
    let mut word = String::new();
    for letter in text.chars().filter(|letter| allowed(*letter)) {
        if word.len() + letter.len_utf8() > MAX_PART {
            break;
        }
        word.push(letter);
    }
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    /// 2026-11-21 08:15:30.250 UTC.
    const THEN: i64 = 1_795_248_930_250_000;

    fn name(kind: &str, staff: Option<&str>, camera: Option<&str>) -> String {
        let path = ClipName::new(THEN, kind, staff, camera).path(1, "mp4");
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_name_tells_when_what_and_who() {
        assert_eq!(
            name("void", Some("E042"), None),
            "2026-11-21/08-15-30_void_E042.mp4"
        );
        assert_eq!(
            name("void", None, None),
            "2026-11-21/08-15-30_void_unknown.mp4"
        );
        assert_eq!(
            name("no_sale", Some("7"), Some("front")),
            "2026-11-21/08-15-30_no_sale_7_front.mp4"
        );
    }

    #[test]
    fn of_staff_only_letters_and_digits_are_kept() {
        assert!(name("void", Some("Łu-ka_sz 2"), None).ends_with("_void_Łukasz2.mp4"));
        assert!(name("void", Some("../../etc/passwd"), None).ends_with("_void_etcpasswd.mp4"));
        assert!(name("void", Some("-_/ \0\n"), None).ends_with("_void_unknown.mp4"));
        assert!(name("void", Some(""), None).ends_with("_void_unknown.mp4"));
    }

    #[test]
    fn a_second_file_of_that_name_gets_a_number() {
        let name = ClipName::new(THEN, "void", Some("7"), Some("front"));
        let files = [0, 1, 2, 13].map(|nth| name.file(nth, "json"));
        assert_eq!(
            files,
            [
                "08-15-30_void_7_front.json",
                "08-15-30_void_7_front.json",
                "08-15-30_void_7_front-2.json",
                "08-15-30_void_7_front-13.json"
            ]
        );
    }

    #[test]
    fn a_broken_clock_gives_a_name_too() {
        for utc_us in [i64::MIN, i64::MAX] {
            let name = ClipName::new(utc_us, "void", None, None);
            assert_eq!(name.folder(), "1970-01-01");
        }
        let name = ClipName::new(-62_200_000_000_000_000, "void", None, None);
        assert_eq!(name.folder(), "-002-12-17");
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_folder_or_is_too_long(
            utc_us: i64, kind in ".{0,200}", staff in "\\PC{0,200}", camera in proptest::option::of(".{0,99}"),
            nth: u32,
        ) {
            let path = ClipName::new(utc_us, &kind, Some(&staff), camera.as_deref()).path(nth, "mp4");
            let parts: Vec<&str> = path
                .components()
                .map(|part| match part {
                    Component::Normal(part) => part.to_str().unwrap(),
                    other => panic!("{other:?}"),
                })
                .collect();
            prop_assert_eq!(parts.len(), 2);
            prop_assert!(parts[1].len() < 255 && !parts[1].starts_with('.'));
            prop_assert!(parts[1].ends_with(".mp4"));
            prop_assert!(parts.iter().all(|part| part
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))));
            prop_assert_eq!(parts[1].matches('.').count(), 1);
        }

        #[test]
        fn times_sort_as_names_do(a in 0_i64..4_000_000_000, b in 0_i64..4_000_000_000) {
            let name = |s: i64| ClipName::new(s * 1_000_000, "void", None, None).path(1, "mp4");
            prop_assert_eq!(a.cmp(&b), name(a).cmp(&name(b)));
        }
    }
}
