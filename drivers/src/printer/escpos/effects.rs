//! What a complete command does.

use super::item::{ImageKind, Item, Kick, KickPin};
use super::lengths::{DLE, Data, ESC, FF, FS, GS, LF, US};
use super::line::{Charset, TextMode};
use super::{DISPLAY, EscPos, KANJI_GLYPH_24, Kanji, KanjiSystem, PRINTER, Payload, Sink};

/// `GS ( k` function 80: store a symbol's data.
pub(super) const SYMBOL_STORE: u8 = 80;
/// `DLE DC4 1 m t`: t is 1 to 8.
pub(super) const REAL_TIME_PULSE_MAX: u8 = 8;
/// Unit of `t` in `DLE DC4 1 m t`, milliseconds.
const REAL_TIME_PULSE_MS: u16 = 100;
/// Unit of `t1` and `t2` in `ESC p m t1 t2`, milliseconds.
const PULSE_MS: u16 = 2;

/// Graphics functions (`GS ( L`, second byte) that carry a picture to print.
pub(super) fn draws(function: u8) -> bool {
    matches!(function, 112 | 113)
}

pub(super) fn real_time_kick(pin: u8, time: u8, confirmed: bool) -> Option<Kick> {
    let pin = match pin {
        0 => KickPin::Two,
        1 => KickPin::Five,
        _ => return None,
    };
    (1..=REAL_TIME_PULSE_MAX).contains(&time).then(|| Kick {
        pin,
        on_ms: u16::from(time) * REAL_TIME_PULSE_MS,
        off_ms: u16::from(time) * REAL_TIME_PULSE_MS,
        real_time: true,
        confirmed,
    })
}

impl Kanji {
    pub(super) fn power_on(charset: Charset) -> Self {
        Self {
            utf8: charset == Charset::Utf8,
            double: matches!(charset, Charset::DoubleByte | Charset::Jis),
            system: match charset {
                Charset::Jis => KanjiSystem::Jis,
                Charset::ShiftJis => KanjiSystem::ShiftJis,
                _ => KanjiSystem::Model,
            },
        }
    }

    fn charset(self) -> Charset {
        match (self.utf8, self.system, self.double) {
            (true, ..) => Charset::Utf8,
            // Shift-JIS needs no FS &: its lead bytes tell.
            (_, KanjiSystem::ShiftJis, _) => Charset::ShiftJis,
            (_, KanjiSystem::Jis, true) => Charset::Jis,
            (_, KanjiSystem::Model, true) => Charset::DoubleByte,
            (_, _, false) => Charset::SingleByte,
        }
    }
}

impl EscPos {
    /// Only a deselected printer ignores text; `ESC = 3` is for both.
    pub(super) fn to_printer(&self) -> bool {
        self.selected & PRINTER != 0
    }

    pub(super) fn text(&mut self, byte: u8, sink: &mut Sink<'_>) {
        if !self.to_printer() {
            if !self.display.fits(self.display_mode) {
                self.counters.split_lines += 1;
                sink(Item::DisplayText(self.display.line(true)));
                self.display.clear();
            }
            self.display.push(byte, self.display_mode);
            return;
        }
        if !self.line.fits(self.mode) {
            self.counters.split_lines += 1;
            if self.line.is_visible() {
                sink(Item::Line(self.line.line(true)));
            }
            self.line.clear();
        }
        if self.line.push(byte, self.mode) {
            sink(Item::PrintBegins);
        }
        self.after_column_image = false;
    }

    pub(super) fn column_gap(&mut self) {
        if self.to_printer() {
            self.line.column_gap();
        } else {
            self.display.column_gap();
        }
    }

    pub(super) fn flush_line(&mut self, sink: &mut Sink<'_>) {
        if self.line.is_visible() {
            sink(Item::Line(self.line.line(false)));
        } else if !self.line.is_empty() {
            sink(Item::Feed);
        }
        self.line.clear();
        self.after_column_image = false;
    }

    pub(super) fn flush_display(&mut self, sink: &mut Sink<'_>) {
        if self.display.is_visible() {
            sink(Item::DisplayText(self.display.line(false)));
        }
        self.display.clear();
    }

    /// A line end without text. After a strip of columns it is part of the picture.
    pub(super) fn feed_paper(&mut self, sink: &mut Sink<'_>) {
        if !core::mem::take(&mut self.after_column_image) {
            sink(Item::Feed);
        }
    }

    fn line_end(&mut self, sink: &mut Sink<'_>) {
        if self.line.is_empty() {
            self.feed_paper(sink);
        } else {
            self.flush_line(sink);
        }
    }

    pub(super) fn cut(&mut self, partial: bool, sink: &mut Sink<'_>) {
        self.flush_line(sink);
        sink(Item::Cut { partial });
    }

    /// `ESC @`: text without a line end would be discarded by a printer; a witness keeps it.
    pub(super) fn initialize(&mut self, sink: &mut Sink<'_>) {
        self.flush_line(sink);
        self.flush_display(sink);
        self.selected = PRINTER;
        self.mode = self.config.text_mode();
        self.kanji = Kanji::power_on(self.config.charset);
        self.kanji_glyph = KANJI_GLYPH_24;
        sink(Item::Initialize);
    }

    fn text_mode(&mut self) -> &mut TextMode {
        if self.to_printer() {
            &mut self.mode
        } else {
            &mut self.display_mode
        }
    }

    fn set_kanji(&mut self, kanji: Kanji) {
        self.kanji = kanji;
        self.mode.charset = kanji.charset();
    }

    /// A command without payload is complete in `head`.
    pub(super) fn command(&mut self, sink: &mut Sink<'_>) {
        let head = self.head.clone();
        match head.as_slice() {
            [ESC, b'@'] if self.to_printer() => self.initialize(sink),
            [ESC, b'@'] => {
                self.flush_display(sink);
                self.display_mode = self.config.text_mode();
            }
            [ESC, b'=', select] => {
                self.flush_display(sink);
                self.selected = select & (PRINTER | DISPLAY);
            }
            [ESC, b't', page] => self.text_mode().page = *page,
            [ESC, b'R', national] => self.text_mode().national = *national,
            [ESC, b'd' | b'J' | b'K' | b'e', _] => self.line_end(sink),
            [ESC, FF] => self.flush_line(sink),
            [ESC, b'L' | b'S' | b'W', ..] | [GS, b'$' | b'\\', ..] => self.flush_line(sink),
            [ESC, b'$' | b'\\', ..] => self.column_gap(),
            [ESC, b'i'] => self.cut(false, sink),
            [ESC, b'm'] => self.cut(true, sink),
            [ESC, b'p', pin, on, off] => {
                let pin = match pin {
                    0 | b'0' => KickPin::Two,
                    1 | b'1' => KickPin::Five,
                    _ => return,
                };
                sink(Item::Kick(Kick {
                    pin,
                    on_ms: u16::from(*on) * PULSE_MS,
                    off_ms: u16::from(*off) * PULSE_MS,
                    real_time: false,
                    confirmed: true,
                }));
            }
            [ESC, b'u', _] | [ESC, b'v'] | [GS, b'I' | b'a' | b'r', _] => {
                sink(Item::StatusRequest { real_time: false });
            }
            [GS, b'V', kind, ..] => {
                let partial = matches!(kind, 1 | b'1' | 66 | 98 | 104);
                self.cut(partial, sink);
            }
            [GS, b'/', _] | [FS, b'p', ..] => {
                sink(Item::PrintBegins);
                self.image(ImageKind::Stored, 0, sink);
            }
            [FS, b'&' | b'.'] => self.set_kanji(Kanji {
                double: head[1] == b'&',
                ..self.kanji
            }),
            [FS, b'C', system] => self.set_kanji(Kanji {
                system: match system {
                    0 | b'0' => KanjiSystem::Jis,
                    _ => KanjiSystem::ShiftJis,
                },
                ..self.kanji
            }),
            [DLE, 0x04, ..] => sink(Item::StatusRequest { real_time: true }),
            [DLE, 0x14, 1, pin, time] => {
                if let Some(kick) = real_time_kick(*pin, *time, true) {
                    sink(Item::Kick(kick));
                }
            }
            // Cursor movements of a display separate its texts.
            [US, b'$' | b'B' | LF | 0x0D | b':', ..] => self.flush_display(sink),
            _ => {}
        }
    }

    pub(super) fn image(&mut self, kind: ImageKind, bytes: u64, sink: &mut Sink<'_>) {
        self.after_column_image = kind == ImageKind::Column;
        sink(Item::Image { kind, bytes });
    }

    /// What kind of printed image a payload is, if it is one.
    pub(super) fn image_kind(payload: &Payload) -> Option<ImageKind> {
        match payload.data {
            Data::RasterImage if payload.seen > 0 => Some(ImageKind::Raster),
            Data::ColumnImage if payload.seen > 0 => Some(ImageKind::Column),
            Data::Graphics if payload.seen >= 2 && draws(payload.lead[1]) => {
                Some(ImageKind::Graphics)
            }
            _ => None,
        }
    }

    pub(super) fn payload_done(&mut self, payload: &Payload, sink: &mut Sink<'_>) {
        if let Some(kind) = Self::image_kind(payload) {
            self.image(kind, payload.seen, sink);
            return;
        }
        match payload.data {
            Data::Graphics if payload.seen >= 2 && matches!(payload.lead[1], 69 | 85) => {
                sink(Item::PrintBegins);
                self.image(ImageKind::Stored, 0, sink);
            }
            Data::Barcode => self.barcode(sink),
            Data::Symbol if payload.seen > 3 && payload.lead[1] == SYMBOL_STORE => {
                self.flush_line(sink);
                sink(Item::PrintBegins);
                sink(Item::Symbol {
                    kind: payload.lead[0].into(),
                    data: &self.symbol,
                    truncated: self.symbol_truncated,
                });
            }
            // FS ( A pL pH 48 m: 24, 20 or 16 dots.
            Data::KanjiFont if payload.lead[0] == 48 => {
                self.kanji_glyph = match payload.lead[1] {
                    1 | b'1' => 60,
                    2 | b'2' => 32,
                    _ => KANJI_GLYPH_24,
                };
            }
            // FS ( C pL pH 48 m: 1 = one byte, 2 = UTF-8.
            Data::CharacterEncoding if payload.lead[0] == 48 => {
                self.set_kanji(Kanji {
                    utf8: matches!(payload.lead[1], 2 | b'2'),
                    ..self.kanji
                });
            }
            _ => {}
        }
    }

    pub(super) fn start_symbol(&mut self, system: u8) {
        self.barcode_system = system;
        self.symbol.clear();
        self.symbol_truncated = false;
    }

    pub(super) fn symbol_byte(&mut self, byte: u8) {
        if self.symbol.push(byte).is_err() {
            self.symbol_truncated = true;
            self.counters.symbol_bytes_dropped += 1;
        }
    }

    pub(super) fn barcode(&mut self, sink: &mut Sink<'_>) {
        if self.symbol.is_empty() {
            return;
        }
        self.flush_line(sink);
        sink(Item::PrintBegins);
        sink(Item::Barcode {
            system: self.barcode_system,
            data: &self.symbol,
        });
    }
}
