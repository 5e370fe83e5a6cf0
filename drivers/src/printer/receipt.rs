//! From printed items to paper documents.
//!
//! A document ends with a cut, with silence, with `ESC @` once something was printed, or
//! when it grows beyond its bounds. What has neither text nor image nor symbol (a kick, a
//! feed, an initialization) is no document. Kicks and the first sign of paper are told at
//! once: the drawer is open long before the receipt is complete.

use super::escpos::{self, EscPos, ImageKind, Item, Kick, Line};
use super::text::{DoubleByteSet, decode_line};

/// Lines of one document; the next line closes it with [`End::Overflow`].
pub const MAX_DOCUMENT_LINES: usize = 512;
/// Bar codes and symbols of one document; more are counted as
/// [`FramerCounters::symbols_dropped`].
pub const MAX_DOCUMENT_SYMBOLS: usize = 32;
/// Kicks remembered with one document; more are counted as
/// [`FramerCounters::kicks_dropped`] (each was reported when it came).
pub const MAX_DOCUMENT_KICKS: usize = 32;
/// Silence that ends a document, in nanoseconds.
pub const DEFAULT_IDLE_NS: u64 = 3_000_000_000;

/// How paper is told apart and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramerConfig {
    /// Silence that ends a document, in nanoseconds (default [`DEFAULT_IDLE_NS`]). Must be
    /// at least the parser's gap.
    pub idle_ns: u64,
    /// The double-byte set of the printer model.
    pub double_byte: DoubleByteSet,
}

impl Default for FramerConfig {
    fn default() -> Self {
        Self {
            idle_ns: DEFAULT_IDLE_NS,
            double_byte: DoubleByteSet::default(),
        }
    }
}

/// Why a document ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The paper was cut.
    Cut,
    /// Nothing came for the idle time.
    Idle,
    /// `ESC @` began the next one.
    Initialize,
    /// More than [`MAX_DOCUMENT_LINES`]; what follows is a document of its own.
    Overflow,
    /// The tap was closed.
    Closed,
}

/// One line of text on paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrintedLine {
    /// UTF-8, trailing blanks trimmed, never empty.
    pub text: String,
    /// When the line was complete, monotonic nanoseconds.
    pub at_ns: u64,
    /// Empty space stands above it: receipts separate their parts so.
    pub blank_before: bool,
    /// It was longer than the parser's buffer and goes on in the next line.
    pub split: bool,
}

/// A kick and when its bytes were complete. The electrical pulse is the kick's time; this
/// is a bound (`ESC p` acts in print order, `DLE DC4` at once).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedKick {
    /// The command.
    pub kick: Kick,
    /// Monotonic nanoseconds.
    pub at_ns: u64,
}

/// One piece of paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaperDocument {
    /// Text, in print order, without empty lines.
    pub lines: Vec<PrintedLine>,
    /// Kicks since the document before it ended.
    pub kicks: Vec<TimedKick>,
    /// Pictures (strips of columns that follow one another are one).
    pub images: u32,
    /// Bytes of dots in them.
    pub image_bytes: u64,
    /// Data of bar codes and two-dimensional symbols, as text.
    pub symbols: Vec<String>,
    /// Raw bytes since the document before it ended.
    pub bytes: u64,
    /// First visible byte, monotonic nanoseconds.
    pub started_ns: u64,
    /// Last byte that belonged to it, monotonic nanoseconds.
    pub ended_ns: u64,
    /// Why it ended.
    pub end: End,
    /// Bytes were lost or a command was broken: it may be incomplete.
    pub damaged: bool,
    /// Commands that were not understood.
    pub unknown_commands: u32,
}

impl PaperDocument {
    /// Text was sent as dots only: a receipt whose total is unknown.
    pub fn is_raster_only(&self) -> bool {
        self.lines.is_empty() && self.images > 0
    }
}

/// What the framer reports, in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FramerEvent {
    /// The first visible thing of a document is being printed.
    PaperStarted {
        /// Monotonic nanoseconds.
        at_ns: u64,
    },
    /// A drawer kick was commanded.
    Kick(TimedKick),
    /// Text for the customer display.
    DisplayText {
        /// UTF-8, trailing blanks trimmed.
        text: String,
        /// Monotonic nanoseconds.
        at_ns: u64,
    },
    /// A document is complete.
    Document(PaperDocument),
}

/// What the framer counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FramerCounters {
    /// Documents handed out.
    pub documents: u64,
    /// Of these, damaged ones.
    pub damaged: u64,
    /// Of these, ones closed because they were too long.
    pub overflows: u64,
    /// Symbols beyond [`MAX_DOCUMENT_SYMBOLS`].
    pub symbols_dropped: u64,
    /// Kicks beyond [`MAX_DOCUMENT_KICKS`], missing in the document only.
    pub kicks_dropped: u64,
}

/// Where events go.
pub type FramerSink<'s> = dyn FnMut(FramerEvent) + 's;

/// Collects items of any dialect's parser into documents.
#[derive(Debug)]
pub struct ReceiptFramer {
    config: FramerConfig,
    lines: Vec<PrintedLine>,
    kicks: Vec<TimedKick>,
    images: u32,
    image_bytes: u64,
    symbols: Vec<String>,
    bytes: u64,
    started_ns: Option<u64>,
    last_ns: u64,
    blank: bool,
    in_column_image: bool,
    damaged: bool,
    unknown_commands: u32,
    /// Something since the last document: what idling has to clear.
    touched: bool,
    counters: FramerCounters,
}

impl ReceiptFramer {
    /// A framer with no paper in it.
    pub fn new(config: FramerConfig) -> Self {
        Self {
            config,
            lines: Vec::new(),
            kicks: Vec::new(),
            images: 0,
            image_bytes: 0,
            symbols: Vec::new(),
            bytes: 0,
            started_ns: None,
            last_ns: 0,
            blank: false,
            in_column_image: false,
            damaged: false,
            unknown_commands: 0,
            touched: false,
            counters: FramerCounters::default(),
        }
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &FramerCounters {
        &self.counters
    }

    /// True while a document is being printed.
    pub fn is_printing(&self) -> bool {
        self.started_ns.is_some()
    }

    /// Counts raw bytes towards the document they arrived with. Call before their items.
    pub fn arrived(&mut self, bytes: u64, at_ns: u64) {
        self.bytes += bytes;
        self.last_ns = at_ns;
        self.touched = true;
    }

    /// Takes what the parser found in bytes that arrived at `at_ns`.
    pub fn item(&mut self, item: Item<'_>, at_ns: u64, out: &mut FramerSink<'_>) {
        let column = matches!(
            item,
            Item::PrintBegins
                | Item::Image {
                    kind: ImageKind::Column,
                    ..
                }
        );
        match item {
            Item::PrintBegins => self.begin(at_ns, out),
            Item::Line(line) => self.line(&line, at_ns, out),
            Item::Feed => self.blank = true,
            Item::Cut { .. } => self.end(End::Cut, out),
            Item::Initialize => {
                if self.has_content() {
                    self.end(End::Initialize, out);
                }
            }
            Item::Kick(kick) => {
                let kick = TimedKick { kick, at_ns };
                if self.kicks.len() < MAX_DOCUMENT_KICKS {
                    self.kicks.push(kick);
                } else {
                    self.counters.kicks_dropped += 1;
                }
                out(FramerEvent::Kick(kick));
            }
            Item::Image { kind, bytes } => {
                self.begin(at_ns, out);
                if kind != ImageKind::Column || !self.in_column_image {
                    self.images = self.images.saturating_add(1);
                }
                self.image_bytes += bytes;
                self.in_column_image = kind == ImageKind::Column;
            }
            Item::Barcode { data, .. } | Item::Symbol { data, .. } => {
                self.begin(at_ns, out);
                if self.symbols.len() < MAX_DOCUMENT_SYMBOLS {
                    self.symbols
                        .push(String::from_utf8_lossy(data).into_owned());
                } else {
                    self.counters.symbols_dropped += 1;
                }
            }
            Item::DisplayText(line) => {
                let text = decode_line(&line, self.config.double_byte);
                out(FramerEvent::DisplayText { text, at_ns });
            }
            Item::Unknown { .. } => {
                self.unknown_commands = self.unknown_commands.saturating_add(1);
            }
            Item::Resync { .. } => self.damaged = true,
            Item::StatusRequest { .. } => {}
        }
        if !column {
            self.in_column_image = false;
        }
    }

    /// When [`idle`](Self::idle) next has something to do.
    pub fn deadline(&self) -> Option<u64> {
        self.touched
            .then(|| self.last_ns.saturating_add(self.config.idle_ns))
    }

    /// Tells the framer the time while nothing arrives.
    pub fn idle(&mut self, now_ns: u64, out: &mut FramerSink<'_>) {
        if self.deadline().is_some_and(|deadline| now_ns >= deadline) {
            self.end(End::Idle, out);
        }
    }

    /// Hands out what was printed so far; the tap is closed.
    pub fn close(&mut self, out: &mut FramerSink<'_>) {
        self.end(End::Closed, out);
    }

    fn has_content(&self) -> bool {
        !self.lines.is_empty() || self.images > 0 || !self.symbols.is_empty()
    }

    fn begin(&mut self, at_ns: u64, out: &mut FramerSink<'_>) {
        if self.started_ns.is_none() {
            self.started_ns = Some(at_ns);
            out(FramerEvent::PaperStarted { at_ns });
        }
    }

    fn line(&mut self, line: &Line<'_>, at_ns: u64, out: &mut FramerSink<'_>) {
        let text = decode_line(line, self.config.double_byte);
        if text.is_empty() {
            self.blank = true;
            return;
        }
        if self.lines.len() >= MAX_DOCUMENT_LINES {
            self.end(End::Overflow, out);
            // This line's bytes have arrived before, and silence ends it as any other.
            self.touched = true;
            self.begin(at_ns.min(self.last_ns), out);
        }
        self.begin(at_ns, out);
        let blank_before = core::mem::take(&mut self.blank) && !self.lines.is_empty();
        self.lines.push(PrintedLine {
            text,
            at_ns,
            blank_before,
            split: line.split,
        });
    }

    fn end(&mut self, end: End, out: &mut FramerSink<'_>) {
        let has_content = self.has_content();
        let document = PaperDocument {
            lines: core::mem::take(&mut self.lines),
            kicks: core::mem::take(&mut self.kicks),
            images: core::mem::take(&mut self.images),
            image_bytes: core::mem::take(&mut self.image_bytes),
            symbols: core::mem::take(&mut self.symbols),
            bytes: core::mem::take(&mut self.bytes),
            started_ns: self.started_ns.take().unwrap_or(self.last_ns),
            ended_ns: self.last_ns,
            end,
            damaged: core::mem::take(&mut self.damaged),
            unknown_commands: core::mem::take(&mut self.unknown_commands),
        };
        self.blank = false;
        self.in_column_image = false;
        self.touched = false;
        if has_content {
            self.counters.documents += 1;
            self.counters.damaged += u64::from(document.damaged);
            self.counters.overflows += u64::from(end == End::Overflow);
            out(FramerEvent::Document(document));
        }
    }
}

/// An ESC/POS parser and a framer, driven together. Other dialects put their parser in
/// front of [`ReceiptFramer`] in the same way.
#[derive(Debug)]
pub struct ReceiptTap {
    parser: EscPos,
    framer: ReceiptFramer,
}

impl ReceiptTap {
    /// A tap on a printer that was just switched on, with an empty paper path.
    pub fn new(parser: escpos::Config, framer: FramerConfig) -> Self {
        Self {
            parser: EscPos::new(parser),
            framer: ReceiptFramer::new(framer),
        }
    }

    /// What the parser counted.
    pub fn parser_counters(&self) -> &escpos::Counters {
        self.parser.counters()
    }

    /// What the framer counted.
    pub fn framer_counters(&self) -> &FramerCounters {
        self.framer.counters()
    }

    /// Takes bytes that arrived at `at_ns` (monotonic nanoseconds, never going back).
    pub fn feed(&mut self, bytes: &[u8], at_ns: u64, out: &mut FramerSink<'_>) {
        // The silence before these bytes counts even if nobody called `idle` in it.
        self.idle(at_ns, out);
        let Self { parser, framer } = self;
        // One at a time, so that each byte is counted to the document it belongs to.
        for byte in bytes {
            framer.arrived(1, at_ns);
            parser.feed(core::slice::from_ref(byte), at_ns, &mut |item| {
                framer.item(item, at_ns, out);
            });
        }
    }

    /// When [`idle`](Self::idle) next has something to do, in the time of `feed`.
    pub fn deadline(&self) -> Option<u64> {
        match (self.parser.deadline(), self.framer.deadline()) {
            (Some(parser), Some(framer)) => Some(parser.min(framer)),
            (one, other) => one.or(other),
        }
    }

    /// Tells the tap the time while nothing arrives.
    pub fn idle(&mut self, now_ns: u64, out: &mut FramerSink<'_>) {
        let Self { parser, framer } = self;
        parser.idle(now_ns, &mut |item| framer.item(item, now_ns, out));
        if framer.deadline().is_some_and(|deadline| now_ns >= deadline) {
            parser.end_line(&mut |item| framer.item(item, now_ns, out));
            framer.idle(now_ns, out);
        }
    }

    /// Hands out what is unfinished; the tap is closed.
    pub fn close(&mut self, now_ns: u64, out: &mut FramerSink<'_>) {
        let Self { parser, framer } = self;
        parser.end_line(&mut |item| framer.item(item, now_ns, out));
        framer.close(out);
    }
}

#[cfg(test)]
mod tests;
