//! The ESC/POS stream parser: bytes in, [`Item`]s out.
//!
//! A tap may join in the middle and may lose bytes, so the parser holds to these rules:
//!
//! 1. It never keeps more than a line, a symbol and a command's fixed part (under
//!    [`MAX_STATE_BYTES`]); images are counted and forgotten; nothing is allocated.
//! 2. Every byte costs a bounded number of steps ([`Counters::steps`]).
//! 3. The result does not depend on how the bytes were cut into reads.
//! 4. A command or payload is never carried across a pause of [`Config::gap_ns`]. Inside a
//!    payload, a cut directly followed by `ESC @` (five or six exact bytes) also ends it.
//! 5. Real-time commands (`DLE …`) act when a printer receives them, even inside another
//!    command's data, but their bytes also occur there by chance: a kick found there is
//!    reported as unconfirmed, and only the electrical kick line can confirm it.
//! 6. Text for the customer display (`ESC =`) is kept apart. A command no display knows
//!    shows that the change back to the printer was lost, and undoes it.
//!
//! Layout: `lengths` is the table, this file the machine that walks from command to
//! command, `payload` what it does in data, `effects` what a complete command does, `line`
//! the text of a line and what is in force for it.

mod effects;
mod item;
mod lengths;
mod line;
mod payload;
#[cfg(test)]
mod tests;

pub use item::{Counters, ImageKind, Item, Kick, KickPin, ResyncCause, SymbolKind};
pub use line::{Charset, Line, MAX_LINE_BYTES, MAX_LINE_SPANS, Segment, TextMode};

use heapless::Vec;
use lengths::{CAN, CR, DLE, Data, ESC, FF, FS, GS, HT, LF, MAX_HEAD, Step, US};
use line::LineBuffer;

/// Bytes of a bar code or two-dimensional symbol that are kept; the rest is dropped and
/// the symbol marked truncated. A German fiscal QR code has under 500.
pub const MAX_SYMBOL_BYTES: usize = 1024;
/// A bar code that ends with NUL has fewer bytes than this, or its NUL was lost.
pub const MAX_NUL_BARCODE_BYTES: usize = 255;
/// Tab stops of one `ESC D` (Epson: 32).
const MAX_TAB_STOPS: u8 = 32;
/// Upper bound of the parser's whole state, checked at compile time.
pub const MAX_STATE_BYTES: usize = 8 * 1024;
const _: () = assert!(size_of::<EscPos>() <= MAX_STATE_BYTES);

/// Pause on the line, in nanoseconds, after which no command is carried on.
pub const DEFAULT_GAP_NS: u64 = 1_000_000_000;

/// What differs between printer models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Resynchronisation gap in nanoseconds (default [`DEFAULT_GAP_NS`]).
    pub gap_ns: u64,
    /// Code page (number of `ESC t`) after power-on and `ESC @`.
    pub page: u8,
    /// International character set (number of `ESC R`) after power-on and `ESC @`.
    pub national: u8,
    /// How text is encoded after power-on and `ESC @`; double-byte models (Chinese,
    /// Korean, Taiwanese) start in [`Charset::DoubleByte`].
    pub charset: Charset,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            gap_ns: DEFAULT_GAP_NS,
            page: 0,
            national: 0,
            charset: Charset::SingleByte,
        }
    }
}

impl Config {
    fn text_mode(&self) -> TextMode {
        TextMode {
            page: self.page,
            national: self.national,
            charset: self.charset,
        }
    }
}

/// A payload that runs through.
#[derive(Debug, Clone, Copy)]
struct Payload {
    left: u64,
    seen: u64,
    data: Data,
    /// The first bytes: function codes.
    lead: [u8; 3],
}

/// Records of variable size: user-defined characters, stored images.
#[derive(Debug, Clone, Copy)]
struct Records {
    left: u16,
    /// Bytes per column for characters; 0 for stored images.
    height: u8,
    head: [u8; 4],
    head_len: u8,
    skip: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Ground,
    Head,
    Payload(Payload),
    BarcodeToNul,
    Tabs { count: u8, last: u8 },
    Records(Records),
}

/// What decides between single bytes and characters of several.
#[derive(Debug, Clone, Copy)]
struct Kanji {
    utf8: bool,
    /// `FS &` is in force.
    double: bool,
    system: KanjiSystem,
}

/// Which double-byte encoding `FS C` chose, on models that have the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KanjiSystem {
    Model,
    Jis,
    ShiftJis,
}

/// The parser. See the [module documentation](self).
#[derive(Debug, Clone)]
pub struct EscPos {
    config: Config,
    state: State,
    head: Vec<u8, MAX_HEAD>,
    /// The last eight bytes, newest lowest, and which of them the parser itself took as
    /// part of a `DLE` command.
    history: u64,
    history_dle: u8,
    last_byte_ns: Option<u64>,
    /// `ESC =`: bit 0 printer, bit 1 customer display.
    selected: u8,
    mode: TextMode,
    display_mode: TextMode,
    kanji: Kanji,
    kanji_glyph: u8,
    line: LineBuffer,
    display: LineBuffer,
    after_cr: bool,
    after_column_image: bool,
    barcode_system: u8,
    symbol: Vec<u8, MAX_SYMBOL_BYTES>,
    symbol_truncated: bool,
    counters: Counters,
}

/// Where items go.
pub type Sink<'s> = dyn FnMut(Item<'_>) + 's;

const PRINTER: u8 = 1;
const DISPLAY: u8 = 2;
/// Payload of `FS 2` for a 24 × 24 kanji.
const KANJI_GLYPH_24: u8 = 72;

impl EscPos {
    /// A parser in the state of a printer that was just switched on.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State::Ground,
            head: Vec::new(),
            history: 0,
            history_dle: 0,
            last_byte_ns: None,
            selected: PRINTER,
            mode: config.text_mode(),
            display_mode: config.text_mode(),
            kanji: Kanji::power_on(config.charset),
            kanji_glyph: KANJI_GLYPH_24,
            line: LineBuffer::default(),
            display: LineBuffer::default(),
            after_cr: false,
            after_column_image: false,
            barcode_system: 0,
            symbol: Vec::new(),
            symbol_truncated: false,
            counters: Counters::default(),
        }
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// True between commands, with no text waiting for its line end.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Ground) && self.line.is_empty() && self.display.is_empty()
    }

    /// Takes bytes that arrived at `at_ns` (monotonic nanoseconds, never going back).
    pub fn feed(&mut self, bytes: &[u8], at_ns: u64, sink: &mut Sink<'_>) {
        if bytes.is_empty() {
            return;
        }
        self.idle(at_ns, sink);
        self.last_byte_ns = Some(at_ns);
        for &byte in bytes {
            self.counters.bytes += 1;
            self.step(byte, sink);
            self.watch_raw(byte, sink);
        }
    }

    /// Tells the parser the time while nothing arrives. After the gap an unfinished
    /// command is given up; text that waits for its line end stays.
    pub fn idle(&mut self, at_ns: u64, sink: &mut Sink<'_>) {
        let Some(last) = self.last_byte_ns else {
            return;
        };
        if at_ns.saturating_sub(last) >= self.config.gap_ns {
            self.history = 0;
            self.history_dle = 0;
            if !matches!(self.state, State::Ground) {
                self.give_up(ResyncCause::Gap, sink);
            }
        }
    }

    /// When [`idle`](Self::idle) next has something to do, in the time of `feed`.
    pub fn deadline(&self) -> Option<u64> {
        match self.state {
            State::Ground => None,
            _ => self
                .last_byte_ns
                .map(|last| last.saturating_add(self.config.gap_ns)),
        }
    }

    /// Hands out text that still waits for a line end, because the document is over.
    pub fn end_line(&mut self, sink: &mut Sink<'_>) {
        self.flush_line(sink);
        self.flush_display(sink);
    }

    /// Ends what is unfinished and reports it.
    fn give_up(&mut self, cause: ResyncCause, sink: &mut Sink<'_>) {
        let pending = match self.state {
            State::Payload(payload) => {
                if let Some(kind) = Self::image_kind(&payload) {
                    self.image(kind, payload.seen, sink);
                }
                payload.left
            }
            State::Records(records) => records.skip,
            _ => 0,
        };
        self.state = State::Ground;
        self.head.clear();
        self.counters.resyncs += 1;
        sink(Item::Resync { cause, pending });
    }

    fn step(&mut self, byte: u8, sink: &mut Sink<'_>) {
        self.counters.steps += 1;
        self.history = self.history << 8 | u64::from(byte);
        self.history_dle <<= 1;
        match self.state {
            State::Ground => self.ground(byte, sink),
            State::Head => self.head_byte(byte, sink),
            State::Payload(payload) => self.payload_byte(payload, byte, sink),
            State::BarcodeToNul => self.barcode_byte(byte, sink),
            State::Tabs { count, last } => {
                if byte == 0 {
                    self.state = State::Ground;
                } else if count >= MAX_TAB_STOPS || byte <= last {
                    // Epson: a stop that does not ascend ends the list and is data again.
                    self.state = State::Ground;
                    self.again(byte, sink);
                } else {
                    self.state = State::Tabs {
                        count: count + 1,
                        last: byte,
                    };
                }
            }
            State::Records(records) => self.record_byte(records, byte),
        }
    }

    /// Looks at a byte a second time, now between commands. Only `Ground` consumes
    /// without coming back here, so that a byte costs at most two steps.
    fn again(&mut self, byte: u8, sink: &mut Sink<'_>) {
        self.counters.steps += 1;
        self.ground(byte, sink);
    }

    fn ground(&mut self, byte: u8, sink: &mut Sink<'_>) {
        let after_cr = core::mem::take(&mut self.after_cr);
        match byte {
            ESC | GS | FS | DLE | US => {
                self.after_cr = after_cr;
                self.start_head(byte);
            }
            0x20.. => self.text(byte, sink),
            HT => self.column_gap(),
            LF if self.to_printer() => {
                // CR LF is one line end, LF CR too.
                if !self.line.is_empty() {
                    self.flush_line(sink);
                } else if !after_cr {
                    self.feed_paper(sink);
                }
            }
            CR if self.to_printer() && !self.line.is_empty() => {
                self.flush_line(sink);
                self.after_cr = true;
            }
            FF if self.to_printer() => self.flush_line(sink),
            LF | CR | FF | CAN | 0x0B => self.flush_display(sink),
            _ => {}
        }
    }

    fn start_head(&mut self, prefix: u8) {
        self.head.clear();
        // Capacity is MAX_HEAD and the vector was just cleared.
        let _ = self.head.push(prefix);
        self.history_dle |= u8::from(prefix == DLE);
        self.state = State::Head;
    }

    fn head_byte(&mut self, byte: u8, sink: &mut Sink<'_>) {
        if self.head.push(byte).is_err() {
            // Not reachable while MAX_HEAD covers the table; a lost command, no panic.
            self.give_up(ResyncCause::Malformed, sink);
            return;
        }
        let prefix = self.head[0];
        if self.head.len() == 2
            && !self.to_printer()
            && !lengths::display_understands(prefix, byte)
            && lengths::step(&self.head, false, self.kanji_glyph) != Step::Unknown
        {
            self.flush_display(sink);
            self.selected = PRINTER;
            self.counters.resyncs += 1;
            sink(Item::Resync {
                cause: ResyncCause::PrinterImplied,
                pending: 0,
            });
        }
        let display_only = !self.to_printer();
        match lengths::step(&self.head, display_only, self.kanji_glyph) {
            Step::More => self.history_dle |= u8::from(prefix == DLE),
            Step::Complete => {
                self.history_dle |= u8::from(prefix == DLE);
                self.state = State::Ground;
                self.command(sink);
            }
            Step::Payload(left, data) => self.start_payload(left, data, sink),
            Step::BarcodeToNul => {
                self.start_symbol(byte);
                self.state = State::BarcodeToNul;
            }
            Step::Tabs => self.state = State::Tabs { count: 0, last: 0 },
            Step::Glyphs { count: 0, .. } | Step::StoredImages(0) => self.state = State::Ground,
            Step::Glyphs { count, height } => self.start_records(count, height),
            Step::StoredImages(count) => self.start_records(u16::from(count), 0),
            Step::Unknown => {
                self.state = State::Ground;
                self.counters.unknown += 1;
                let op = self.head[1];
                sink(Item::Unknown { prefix, byte: op });
                // A control byte is no command's name: it is what comes next.
                if self.head.len() == 2 && (byte < 0x20 || prefix == DLE) {
                    self.again(byte, sink);
                }
            }
        }
    }

    /// The second scanner: real-time kicks among bytes that were taken as something else.
    fn watch_raw(&mut self, byte: u8, sink: &mut Sink<'_>) {
        const OWN: u8 = 0b1_1111;
        if !(1..=effects::REAL_TIME_PULSE_MAX).contains(&byte) || self.history_dle & OWN == OWN {
            return;
        }
        if let [.., DLE, 0x14, 1, pin, time] = self.history.to_be_bytes()
            && let Some(kick) = effects::real_time_kick(pin, time, false)
        {
            self.counters.unconfirmed_kicks += 1;
            sink(Item::Kick(kick));
        }
    }
}

impl Default for EscPos {
    fn default() -> Self {
        Self::new(Config::default())
    }
}
