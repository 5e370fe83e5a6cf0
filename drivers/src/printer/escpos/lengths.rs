//! The length of every ESC/POS command, as one pure function.
//!
//! Sources: the Epson ESC/POS command reference, the DM-D customer display reference
//! (`US …`), and what clones add (`ESC 4`, `ESC 5`, `GS k` 7–10). A command that is not
//! in the table is [`Step::Unknown`]: its prefix and one byte are skipped, what follows
//! is taken as text until the next prefix.

/// Horizontal tab, line feed, form feed, carriage return, cancel.
pub(super) const HT: u8 = 0x09;
pub(super) const LF: u8 = 0x0A;
pub(super) const FF: u8 = 0x0C;
pub(super) const CR: u8 = 0x0D;
pub(super) const CAN: u8 = 0x18;
/// The prefixes a command begins with. `US` belongs to customer displays.
pub(super) const DLE: u8 = 0x10;
pub(super) const ESC: u8 = 0x1B;
pub(super) const FS: u8 = 0x1C;
pub(super) const GS: u8 = 0x1D;
pub(super) const US: u8 = 0x1F;

/// Longest fixed part of any command (`DLE DC4 8`, `ESC W`, `FS g`).
pub(super) const MAX_HEAD: usize = 12;

/// Dots of a column image mode from here on are sent as three bytes per column.
const COLUMN_24_DOTS: u8 = 32;
/// Last column mode known to any dialect (ESC/P's 24-dot family).
const COLUMN_MODE_MAX: u8 = 40;

/// What a payload that follows a command's fixed part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// Of no interest: fonts, macros, logos stored for later.
    Skip,
    /// `ESC *`: dots in columns.
    ColumnImage,
    /// `GS v 0`, `GS Q 0`.
    RasterImage,
    /// `GS ( L`, `GS 8 L`: graphics functions; the payload's second byte says which.
    Graphics,
    /// `GS ( k`: two-dimensional symbols; the payload's second byte says which function.
    Symbol,
    /// `GS k` with a counted length.
    Barcode,
    /// `FS ( A`: kanji font selection (it sets how long `FS 2` is).
    KanjiFont,
    /// `FS ( C`: character encoding.
    CharacterEncoding,
}

/// What the bytes of a command seen so far ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The fixed part goes on.
    More,
    /// The command is complete.
    Complete,
    /// The fixed part is complete, so many bytes of payload follow.
    Payload(u64, Data),
    /// A bar code up to NUL follows (`GS k` 0–10).
    BarcodeToNul,
    /// Tab stops up to NUL follow (`ESC D`).
    Tabs,
    /// So many records follow, each a width byte and `height × width` bytes (`ESC &`).
    Glyphs {
        /// Characters defined.
        count: u16,
        /// Bytes per column.
        height: u8,
    },
    /// So many records follow, each four bytes of size and the picture (`FS q`).
    StoredImages(u8),
    /// Not in the table.
    Unknown,
}

fn fixed(head: &[u8], total: usize) -> Step {
    if head.len() < total {
        Step::More
    } else {
        Step::Complete
    }
}

fn word(low: u8, high: u8) -> u64 {
    u64::from(low) | u64::from(high) << 8
}

/// `prefix ( X pL pH d…`: the one shape that carries its own length.
fn counted(head: &[u8], data: Data) -> Step {
    match head {
        [_, _, _, low, high, ..] => Step::Payload(word(*low, *high), data),
        _ => Step::More,
    }
}

/// Judges the command bytes `head` (the prefix included, at least two bytes).
///
/// `display` is true while only the customer display listens, where `ESC W` and `ESC Q`
/// are other commands. `kanji_glyph` is the payload of `FS 2` for the selected font.
pub(super) fn step(head: &[u8], display: bool, kanji_glyph: u8) -> Step {
    match head[0] {
        ESC => esc(head, display),
        GS => gs(head),
        FS => fs(head, kanji_glyph),
        DLE => dle(head),
        US => us(head),
        _ => Step::Unknown,
    }
}

fn esc(head: &[u8], display: bool) -> Step {
    match head[1] {
        b'W' if display => match head.get(3) {
            None => Step::More,
            Some(0 | b'0') => Step::Complete,
            Some(_) => fixed(head, 8),
        },
        b'Q' if display => fixed(head, 3),
        FF | 0x0F | b'2' | b'4' | b'5' | b'<' | b'@' | b'L' | b'S' | b'i' | b'm' | b'q' | b'v' => {
            Step::Complete
        }
        b' ' | b'!' | b'%' | b'-' | b'3' | b'=' | b'?' | b'C' | b'E' | b'F' | b'G' | b'J'
        | b'K' | b'M' | b'R' | b'T' | b'U' | b'V' | b'a' | b'd' | b'e' | b'r' | b't' | b'u'
        | b'{' => fixed(head, 3),
        b'$' | b'\\' | b'f' => fixed(head, 4),
        b'c' => match head.get(2) {
            None => Step::More,
            Some(0 | 1 | 3 | 4 | 5 | b'0' | b'1' | b'3' | b'4' | b'5') => fixed(head, 4),
            Some(_) => Step::Unknown,
        },
        b'p' => fixed(head, 5),
        b'W' => fixed(head, 10),
        b'D' => Step::Tabs,
        b'&' => match head {
            [_, _, height, first, last, ..] => Step::Glyphs {
                count: if *height == 0 || last < first {
                    0
                } else {
                    u16::from(last - first) + 1
                },
                height: *height,
            },
            _ => Step::More,
        },
        b'*' => match head {
            [_, _, mode, low, high, ..] => {
                let columns = word(*low, *high);
                let bytes = match *mode {
                    0..COLUMN_24_DOTS => columns,
                    COLUMN_24_DOTS..=COLUMN_MODE_MAX => columns * 3,
                    _ => 0,
                };
                Step::Payload(bytes, Data::ColumnImage)
            }
            _ => Step::More,
        },
        b'(' => counted(head, Data::Skip),
        _ => Step::Unknown,
    }
}

fn gs(head: &[u8]) -> Step {
    match head[1] {
        b':' | b'c' | b';' => Step::Complete,
        b'!' | b'/' | b'B' | b'E' | b'H' | b'I' | b'T' | b'a' | b'b' | b'f' | b'h' | b'j'
        | b'r' | b'w' => fixed(head, 3),
        b'$' | b'L' | b'P' | b'W' | b'\\' => fixed(head, 4),
        b'^' | b'z' => fixed(head, 5),
        b'g' => fixed(head, 6),
        b'C' => match head.get(2) {
            None => Step::More,
            Some(0 | b'0' | 2 | b'2') => fixed(head, 5),
            Some(1 | b'1') => fixed(head, 9),
            Some(_) => Step::Unknown,
        },
        b'V' => match head.get(2) {
            None => Step::More,
            Some(0 | 1 | b'0' | b'1') => Step::Complete,
            Some(65 | 66 | 97 | 98 | 103 | 104) => fixed(head, 4),
            Some(_) => Step::Unknown,
        },
        b'k' => match head {
            [_, _] => Step::More,
            [_, _, 0..=10, ..] => Step::BarcodeToNul,
            [_, _, 65..=79] => Step::More,
            [_, _, 65..=79, count, ..] => Step::Payload(u64::from(*count), Data::Barcode),
            _ => Step::Unknown,
        },
        b'v' | b'Q' => match head {
            [_, _] => Step::More,
            [_, _, 0 | b'0'] => Step::More,
            [_, _, 0 | b'0', _, xl, xh, yl, yh, ..] => {
                Step::Payload(word(*xl, *xh) * word(*yl, *yh), Data::RasterImage)
            }
            [_, _, 0 | b'0', ..] => Step::More,
            _ => Step::Unknown,
        },
        b'*' => match head {
            [_, _, x, y, ..] => Step::Payload(u64::from(*x) * u64::from(*y) * 8, Data::Skip),
            _ => Step::More,
        },
        b'(' => match head.get(2) {
            Some(b'L') => counted(head, Data::Graphics),
            Some(b'k') => counted(head, Data::Symbol),
            _ => counted(head, Data::Skip),
        },
        b'8' => match head {
            [_, _] => Step::More,
            [_, _, b'L', a, b, c, d, ..] => Step::Payload(
                u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
                Data::Graphics,
            ),
            [_, _, b'L', ..] => Step::More,
            _ => Step::Unknown,
        },
        _ => Step::Unknown,
    }
}

fn fs(head: &[u8], kanji_glyph: u8) -> Step {
    match head[1] {
        b'&' | b'.' | b'L' | b'b' | b'c' => Step::Complete,
        b'!' | b'-' | b'C' | b'W' => fixed(head, 3),
        b'?' | b'S' | b'p' => fixed(head, 4),
        b'2' => match head {
            [_, _, _, _, ..] => Step::Payload(u64::from(kanji_glyph), Data::Skip),
            _ => Step::More,
        },
        b'a' => match head.get(2) {
            None => Step::More,
            Some(0 | b'0') => fixed(head, 4),
            Some(_) => Step::Complete,
        },
        // FS g 1 m a1 a2 a3 a4 nL nH d…: write user memory; FS g 2 …: read it.
        b'g' => match head {
            [_, _] => Step::More,
            [_, _, 1 | b'1', _, _, _, _, _, low, high, ..] => {
                Step::Payload(word(*low, *high), Data::Skip)
            }
            [_, _, 1 | b'1', ..] => Step::More,
            [_, _, 2 | b'2', ..] => fixed(head, 10),
            _ => Step::Unknown,
        },
        b'q' => match head.get(2) {
            None => Step::More,
            Some(count) => Step::StoredImages(*count),
        },
        b'(' => match head.get(2) {
            Some(b'A') => counted(head, Data::KanjiFont),
            Some(b'C') => counted(head, Data::CharacterEncoding),
            _ => counted(head, Data::Skip),
        },
        _ => Step::Unknown,
    }
}

fn dle(head: &[u8]) -> Step {
    const EOT: u8 = 0x04;
    const ENQ: u8 = 0x05;
    const DC4: u8 = 0x14;
    match (head[1], head.get(2)) {
        (EOT | ENQ | DC4, None) => Step::More,
        (EOT, Some(0 | 7 | 8 | 18)) => fixed(head, 4),
        (EOT | ENQ, Some(_)) => Step::Complete,
        (DC4, Some(1 | 2)) => fixed(head, 5),
        (DC4, Some(3)) => fixed(head, 8),
        (DC4, Some(7)) => fixed(head, 4),
        (DC4, Some(8)) => fixed(head, 10),
        _ => Step::Unknown,
    }
}

/// Customer displays (DM-D family).
fn us(head: &[u8]) -> Step {
    match head[1] {
        0x01..=0x03 | HT | LF | CR | b'@' | b'B' | b'U' => Step::Complete,
        b'X' | b'E' | b'C' | b'v' | b'a' | b'r' | b',' | b'.' | b';' | b'#' => fixed(head, 3),
        b'$' | b'^' | b'T' => fixed(head, 4),
        b':' => Step::Complete,
        b'(' => counted(head, Data::Skip),
        _ => Step::Unknown,
    }
}

/// Whether a command makes sense for a customer display. Any other one shows that the
/// `ESC =` that gave the line back to the printer was lost.
pub(super) fn display_understands(prefix: u8, op: u8) -> bool {
    match prefix {
        ESC => matches!(
            op,
            b'=' | b'@' | b't' | b'R' | b'%' | b'&' | b'?' | b'W' | b'Q'
        ),
        GS => matches!(op, b'I' | b'a' | b'r'),
        DLE | US => true,
        _ => false,
    }
}
