//! From line bytes to UTF-8.
//!
//! Code pages are numbered as Epson numbers them in `ESC t n`. Single-byte pages come from
//! `oem_cp`, ISO, Windows and the double-byte sets from `encoding_rs`. What no table
//! explains becomes U+FFFD: it is shown, not hidden.

use super::escpos::{Charset, Line, Segment};
use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, ISO_8859_2, ISO_8859_7, ISO_8859_15, SHIFT_JIS,
    WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254,
    WINDOWS_1255, WINDOWS_1256, WINDOWS_1257, WINDOWS_1258,
};
use oem_cp::code_table as cp;

/// The double-byte set of a printer model, in force after `FS &`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DoubleByteSet {
    /// Japanese models.
    #[default]
    ShiftJis,
    /// Chinese models, simplified.
    Gb18030,
    /// Korean models (KS X 1001).
    Ks,
    /// Chinese models, traditional.
    Big5,
}

impl DoubleByteSet {
    fn encoding(self) -> &'static Encoding {
        match self {
            Self::ShiftJis => SHIFT_JIS,
            Self::Gb18030 => GB18030,
            Self::Ks => EUC_KR,
            Self::Big5 => BIG5,
        }
    }
}

/// What separates two columns in decoded text: more than a word space, so that patterns
/// can tell.
const COLUMN_GAP: &str = "  ";

/// Decodes a line: every segment by its own mode, column jumps as two spaces, control
/// characters removed, trailing spaces trimmed.
pub fn decode_line(line: &Line<'_>, double_byte: DoubleByteSet) -> String {
    let mut text = String::with_capacity(line.bytes().len());
    for segment in line.segments() {
        decode_segment(&segment, double_byte, &mut text);
    }
    text.truncate(text.trim_end().len());
    text
}

fn decode_segment(segment: &Segment<'_>, double_byte: DoubleByteSet, text: &mut String) {
    let mode = segment.mode;
    let bytes = segment.bytes;
    let mut put = |character: char| match character {
        '\t' => text.push_str(COLUMN_GAP),
        character if character.is_control() => {}
        // Only single bytes become ASCII here, so a double-byte character whose second
        // byte is 0x5C is not touched.
        character if character.is_ascii() => text.push(national(mode.national, character)),
        character => text.push(character),
    };
    match mode.charset {
        Charset::SingleByte => {
            let table = page(mode.page);
            for &byte in bytes {
                put(if byte < 0x80 {
                    char::from(byte)
                } else {
                    table.decode(byte)
                });
            }
        }
        Charset::DoubleByte => decode_with(double_byte.encoding(), bytes, put),
        Charset::ShiftJis => decode_with(SHIFT_JIS, bytes, put),
        Charset::Utf8 => decode_with(encoding_rs::UTF_8, bytes, put),
        Charset::Jis => {
            // Seven-bit JIS is EUC-JP without its high bits.
            let euc: Vec<u8> = bytes
                .iter()
                .map(|&byte| if byte > b' ' { byte | 0x80 } else { byte })
                .collect();
            decode_with(EUC_JP, &euc, put);
        }
    }
}

fn decode_with(encoding: &'static Encoding, bytes: &[u8], put: impl FnMut(char)) {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    text.chars().for_each(put);
}

/// Upper half of a single-byte code page.
enum Page {
    Complete(&'static [char; 128]),
    Partial(&'static [Option<char>; 128]),
    /// PC857, whose free place 0xD5 later took the euro sign.
    Turkish,
    /// A table with a few places changed.
    Patched(&'static [char; 128], &'static [(u8, char)]),
    /// Windows and ISO pages.
    Encoding(&'static Encoding),
    Katakana,
}

impl Page {
    /// `byte` is 0x80 or more.
    fn decode(&self, byte: u8) -> char {
        let index = usize::from(byte & 0x7F);
        match self {
            Self::Complete(table) => table[index],
            Self::Partial(table) => table[index].unwrap_or(char::REPLACEMENT_CHARACTER),
            Self::Turkish => cp::DECODING_TABLE_CP857[index].unwrap_or(match byte {
                0xD5 => '€',
                _ => char::REPLACEMENT_CHARACTER,
            }),
            Self::Patched(table, patches) => patches
                .iter()
                .find(|(at, _)| *at == byte)
                .map_or(table[index], |(_, character)| *character),
            Self::Encoding(encoding) => {
                let bytes = [byte];
                let (text, _) = encoding.decode_without_bom_handling(&bytes);
                text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Self::Katakana => match byte {
                0xA1..=0xDF => char::from_u32(0xFF61 + u32::from(byte - 0xA1))
                    .unwrap_or(char::REPLACEMENT_CHARACTER),
                _ => char::REPLACEMENT_CHARACTER,
            },
        }
    }
}

/// PC1125 is PC866 with the Ukrainian letters in the last column.
const PC1125: &[(u8, char)] = &[
    (0xF2, 'Ґ'),
    (0xF3, 'ґ'),
    (0xF4, 'Є'),
    (0xF5, 'є'),
    (0xF6, 'І'),
    (0xF7, 'і'),
    (0xF8, 'Ї'),
    (0xF9, 'ї'),
    (0xFA, '·'),
    (0xFB, '√'),
    (0xFC, '№'),
    (0xFD, '¤'),
];

/// The page behind `ESC t n` in Epson's numbering. Unknown numbers are read as page 0,
/// which is what most clones do.
fn page(number: u8) -> Page {
    match number {
        1 => Page::Katakana,
        2 => Page::Complete(&cp::DECODING_TABLE_CP850),
        3 => Page::Complete(&cp::DECODING_TABLE_CP860),
        4 => Page::Complete(&cp::DECODING_TABLE_CP863),
        5 => Page::Complete(&cp::DECODING_TABLE_CP865),
        13 => Page::Turkish,
        14 => Page::Complete(&cp::DECODING_TABLE_CP737),
        15 => Page::Encoding(ISO_8859_7),
        16 => Page::Encoding(WINDOWS_1252),
        17 => Page::Complete(&cp::DECODING_TABLE_CP866),
        18 => Page::Complete(&cp::DECODING_TABLE_CP852),
        19 => Page::Complete(&cp::DECODING_TABLE_CP858),
        20..=26 => Page::Encoding(WINDOWS_874),
        32 => Page::Complete(&cp::DECODING_TABLE_CP720),
        33 => Page::Complete(&cp::DECODING_TABLE_CP775),
        34 => Page::Complete(&cp::DECODING_TABLE_CP855),
        35 => Page::Complete(&cp::DECODING_TABLE_CP861),
        36 => Page::Complete(&cp::DECODING_TABLE_CP862),
        37 => Page::Partial(&cp::DECODING_TABLE_CP864),
        38 => Page::Complete(&cp::DECODING_TABLE_CP869),
        39 => Page::Encoding(ISO_8859_2),
        40 => Page::Encoding(ISO_8859_15),
        44 => Page::Patched(&cp::DECODING_TABLE_CP866, PC1125),
        45 => Page::Encoding(WINDOWS_1250),
        46 => Page::Encoding(WINDOWS_1251),
        47 => Page::Encoding(WINDOWS_1253),
        48 => Page::Encoding(WINDOWS_1254),
        49 => Page::Encoding(WINDOWS_1255),
        50 => Page::Encoding(WINDOWS_1256),
        51 => Page::Encoding(WINDOWS_1257),
        52 => Page::Encoding(WINDOWS_1258),
        _ => Page::Complete(&cp::DECODING_TABLE_CP437),
    }
}

/// The twelve places the international character sets change.
const NATIONAL_PLACES: &str = "#$@[\\]^`{|}~";

/// `ESC R n`, n from 0 to 16, in the order of [`NATIONAL_PLACES`].
const NATIONAL_SETS: [&str; 17] = [
    "#$@[\\]^`{|}~", // U.S.A.
    "#$à°ç§^`éùè¨",  // France
    "#$§ÄÖÜ^`äöüß",  // Germany
    "£$@[\\]^`{|}~", // U.K.
    "#$@ÆØÅ^`æøå~",  // Denmark I
    "#¤ÉÄÖÅÜéäöåü",  // Sweden
    "#$@°\\é^ùàòèì", // Italy
    "₧$@¡Ñ¿^`¨ñ}~",  // Spain I
    "#$@[¥]^`{|}~",  // Japan
    "#¤ÉÆØÅÜéæøåü",  // Norway
    "#$ÉÆØÅÜéæøåü",  // Denmark II
    "#$á¡Ñ¿é`íñóú",  // Spain II
    "#$á¡Ñ¿éüíñóú",  // Latin America
    "#$@[₩]^`{|}~",  // Korea
    "#$ŽŠĐĆČžšđćč",  // Slovenia, Croatia
    "#¥@[\\]^`{|}~", // China
    "#₫@[\\]^`{|}~", // Vietnam
];

fn national(set: u8, character: char) -> char {
    if set == 0 {
        return character;
    }
    NATIONAL_PLACES
        .chars()
        .position(|place| place == character)
        .and_then(|place| NATIONAL_SETS.get(usize::from(set))?.chars().nth(place))
        .unwrap_or(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::escpos::{Config, EscPos, Item};

    fn text_of(bytes: &[u8], double_byte: DoubleByteSet) -> String {
        let mut parser = EscPos::new(Config::default());
        let mut text = String::new();
        let mut sink = |item: Item<'_>| {
            if let Item::Line(line) = item {
                text.push_str(&decode_line(&line, double_byte));
            }
        };
        parser.feed(bytes, 0, &mut sink);
        parser.end_line(&mut sink);
        text
    }

    fn latin(bytes: &[u8]) -> String {
        text_of(bytes, DoubleByteSet::ShiftJis)
    }

    #[test]
    fn code_pages_change_within_a_line() {
        assert_eq!(
            latin(b"K\x1bt\x00\x84se 2,99 \x1bt\x10\x80\n"),
            "Käse 2,99 €"
        );
        assert_eq!(
            latin(b"\x1bt\x13\xd5 \x1bt\x0f\xa4 \x1bt\x0d\xd5\n"),
            "€ € €"
        );
        assert_eq!(latin(b"\x1bt\x11\x8c\xae\xab\xae\xaa\xae\n"), "Молоко");
        assert_eq!(latin(b"\x1bt\x2c\xf6\xf8\n"), "ІЇ");
        assert_eq!(latin(b"\x1bt\x01\xca\xdf\xdd\n"), "ﾊﾟﾝ");
    }

    #[test]
    fn national_sets_replace_ascii_places_but_never_half_of_a_double_byte_character() {
        assert_eq!(latin(b"\x1bR\x02Gr|~e {l\n"), "Größe äl");
        assert_eq!(latin(b"\x1bR\x03#5\n"), "£5");
        assert_eq!(latin(b"\x1bR\x08\\100\n"), "¥100");
        // 0x83 0x5C is ソ.
        assert_eq!(latin(b"\x1bR\x08\x1cC1\x83\x5c \\1\n"), "ソ ¥1");
    }

    #[test]
    fn every_national_set_fills_every_place() {
        for set in NATIONAL_SETS {
            assert_eq!(
                set.chars().count(),
                NATIONAL_PLACES.chars().count(),
                "{set}"
            );
        }
    }

    #[test]
    fn double_byte_text_follows_the_model() {
        assert_eq!(
            text_of(b"\x1c&\xbb\xb6\xd3\xad\n", DoubleByteSet::Gb18030),
            "欢迎"
        );
        assert_eq!(
            text_of(b"\x1c&\xc7\xd5\xb0\xe8\n", DoubleByteSet::Ks),
            "합계"
        );
        assert_eq!(
            text_of(b"\x1c&\xa6\x58\xad\x70\n", DoubleByteSet::Big5),
            "合計"
        );
        assert_eq!(latin(b"\x1c&\x8d\x87\x8cv\x1c.\x81\n"), "合計ü");
        // JIS needs FS & even when FS C 0 chose it.
        assert_eq!(latin(b"\x1cC0No \x1c&\x39\x67\x37\x57\x1c.!\n"), "No 合計!");
        assert_eq!(
            latin("\u{1c}(C\u{2}\0\u{30}\u{32}Zażółć\n".as_bytes()),
            "Zażółć"
        );
    }

    #[test]
    fn a_long_line_is_not_split_within_a_character() {
        let jis = b"\x1cC0\x1c&";
        for (begin, character, set) in [
            (&b"\x1cC1"[..], &b"\x8d\x87"[..], DoubleByteSet::ShiftJis),
            (&jis[..], b"\x39\x67", DoubleByteSet::ShiftJis),
            (b"\x1c&", b"\xba\xcf", DoubleByteSet::Gb18030),
            (b"\x1c&", b"\x81\x30\x89\x38", DoubleByteSet::Gb18030),
            (b"\x1c&", b"\xc7\xd5", DoubleByteSet::Ks),
            (b"\x1c&", b"\xa6\x58", DoubleByteSet::Big5),
            (
                b"\x1c(C\x02\x00\x30\x32",
                "合".as_bytes(),
                DoubleByteSet::ShiftJis,
            ),
            (
                b"\x1c(C\x02\x00\x30\x32",
                "😀".as_bytes(),
                DoubleByteSet::ShiftJis,
            ),
        ] {
            let one = text_of(&[begin, character, b"\n"].concat(), set);
            assert_eq!(one.chars().count(), 1, "{one}");
            for before in ["", "A", "AB", "ABC"] {
                let line = [before.as_bytes(), begin, &character.repeat(200), b"\n"].concat();
                let text = text_of(&line, set);
                assert_eq!(
                    text.matches(&one).count(),
                    200,
                    "{one} after {before:?}: {text}"
                );
            }
        }
    }

    #[test]
    fn columns_stay_apart_and_trailing_blanks_go() {
        assert_eq!(
            latin(b"\x1b$\x20\x00Milk\x1b$\x00\x011.29   \n"),
            "Milk  1.29"
        );
        assert_eq!(latin(b"Milk\t1.29\r\n"), "Milk  1.29");
    }
}
