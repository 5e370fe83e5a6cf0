//! Text of one line, with what was in force for each part of it.

use heapless::Vec;

/// Bytes of a line before it is split.
pub const MAX_LINE_BYTES: usize = 256;
/// Changes of code page within a line before it is split.
pub const MAX_LINE_SPANS: usize = 32;

/// How bytes make characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Charset {
    /// One byte each, upper half by code page.
    #[default]
    SingleByte,
    /// `FS &`: the double-byte set of the model (configured, see the text module).
    DoubleByte,
    /// `FS C 0` with `FS &`: JIS X 0208 in seven bits.
    Jis,
    /// `FS C 1`: Shift-JIS, in force whatever `FS &` says.
    ShiftJis,
    /// `FS ( C`: UTF-8.
    Utf8,
}

/// Everything that decides what a text byte means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TextMode {
    /// Code page, the number of `ESC t`.
    pub page: u8,
    /// International character set, the number of `ESC R`.
    pub national: u8,
    /// How bytes make characters.
    pub charset: Charset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u16,
    mode: TextMode,
}

/// A printed line. A tab byte (0x09) stands for a jump to another column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    /// The line was longer than the buffer and goes on in the next item.
    pub split: bool,
}

/// A part of a line that has one text mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The bytes as sent.
    pub bytes: &'a [u8],
    /// What was in force for them.
    pub mode: TextMode,
}

impl<'a> Line<'a> {
    /// The bytes as sent, without what switched the text mode.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The line in parts of one text mode each.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + use<'a> {
        let Line { bytes, spans, .. } = *self;
        (0..spans.len()).map(move |index| {
            let start = usize::from(spans[index].start);
            let end = spans
                .get(index + 1)
                .map_or(bytes.len(), |next| usize::from(next.start));
            Segment {
                bytes: &bytes[start..end],
                mode: spans[index].mode,
            }
        })
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct LineBuffer {
    bytes: Vec<u8, MAX_LINE_BYTES>,
    spans: Vec<Span, MAX_LINE_SPANS>,
    visible: bool,
    /// 0 between characters; see [`still_open`].
    open: u8,
}

/// Most bytes of a character in any charset (UTF-8, GB18030).
const MAX_CHARACTER_BYTES: usize = 4;
const COLUMN_GAP: u8 = 0x09;

impl LineBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether anything but blanks is in it.
    pub(super) fn is_visible(&self) -> bool {
        self.visible
    }

    /// Whether a byte in this mode still fits. A character of several bytes is not torn: it
    /// is begun only where the longest one has room.
    pub(super) fn fits(&self, mode: TextMode) -> bool {
        let same = self.spans.last().is_some_and(|span| span.mode == mode);
        let begins = !same || self.open == 0;
        let room = if begins && mode.charset != Charset::SingleByte {
            MAX_CHARACTER_BYTES
        } else {
            1
        };
        self.bytes.len() + room <= MAX_LINE_BYTES && (same || !self.spans.is_full())
    }

    /// Adds a text byte; tells whether it is the line's first visible one.
    pub(super) fn push(&mut self, byte: u8, mode: TextMode) -> bool {
        if self.spans.last().is_none_or(|span| span.mode != mode) {
            let start = u16::try_from(self.bytes.len()).unwrap_or(u16::MAX);
            // `fits` was asked before.
            let _ = self.spans.push(Span { start, mode });
            self.open = 0;
        }
        let _ = self.bytes.push(byte);
        self.open = still_open(mode.charset, self.open, byte);
        let first = !self.visible && byte > b' ';
        self.visible |= first;
        first
    }

    /// A jump to another column: separates, unless nothing stands before it.
    pub(super) fn column_gap(&mut self) {
        if self.visible && self.bytes.last() != Some(&COLUMN_GAP) && !self.bytes.is_full() {
            let _ = self.bytes.push(COLUMN_GAP);
            self.open = 0;
        }
    }

    pub(super) fn line(&self, split: bool) -> Line<'_> {
        Line {
            bytes: &self.bytes,
            spans: &self.spans,
            split,
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.visible = false;
        self.open = 0;
    }
}

/// Where `byte` leads within a character, from `open`: 0 when the next byte begins another
/// one. In UTF-8 it is the number of bytes still to come, in double-byte sets the number of
/// bytes so far.
///
/// The model's double-byte set is not known here: a lead byte of any of them counts, and a
/// digit behind it makes it one of GB18030's characters of four bytes. A wrong guess (a
/// half-width katakana) splits a line of over 250 bytes somewhere else, no more.
fn still_open(charset: Charset, open: u8, byte: u8) -> u8 {
    match (charset, open) {
        (Charset::Utf8, 1..) if byte & 0xC0 == 0x80 => open - 1,
        (Charset::Utf8, _) => match byte {
            0xC2..=0xDF => 1,
            0xE0..=0xEF => 2,
            0xF0..=0xF4 => 3,
            _ => 0,
        },
        (Charset::DoubleByte, 1) if byte.is_ascii_digit() => 2,
        (Charset::DoubleByte, 2) => 3,
        (Charset::SingleByte, _) | (_, 1..) => 0,
        (Charset::Jis, 0) => u8::from(byte > b' '),
        (Charset::ShiftJis, 0) => u8::from(matches!(byte, 0x81..=0x9F | 0xE0..=0xFC)),
        (Charset::DoubleByte, 0) => u8::from(matches!(byte, 0x81..=0xFE)),
    }
}
