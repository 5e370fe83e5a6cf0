//! The printer line: whatever runs over it, in whatever pieces.

use crate::Numbers;
use tillwatch_drivers::printer::escpos::{
    Config, EscPos, Item, Line, MAX_LINE_BYTES, MAX_LINE_SPANS, MAX_SYMBOL_BYTES, Sink,
};
use tillwatch_drivers::printer::text::{DoubleByteSet, decode_line};

/// The input is the bytes on the wire.
pub fn run(input: &[u8]) {
    let mut numbers = Numbers::of(input);
    let whole = parsed(input, true, |_| usize::MAX);
    let single = parsed(input, false, |_| 1);
    assert_eq!(whole, single, "byte by byte");
    let pieces = parsed(input, false, |left| {
        1 + numbers.below(left.min(64)) as usize
    });
    assert_eq!(whole, pieces, "in pieces");
    read_again_after_silence(input);
}

/// Everything that was reported, written down, and the counters. Lines are decoded, too, if wanted.
fn parsed(input: &[u8], decode: bool, mut piece: impl FnMut(u64) -> usize) -> (Vec<u8>, String) {
    let mut parser = EscPos::new(Config::default());
    let mut notes = Notes {
        decode,
        ..Notes::default()
    };
    let mut rest = input;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece(rest.len() as u64).min(rest.len()));
        parser.feed(now, 0, &mut |item| notes.item(&item));
        rest = later;
    }
    parser.end_line(&mut |item| notes.item(&item));
    let counters = *parser.counters();
    assert_eq!(counters.bytes, input.len() as u64);
    assert!(
        counters.steps <= 2 * counters.bytes,
        "a byte costs at most two steps: {counters:?}"
    );
    assert!(
        notes.printed <= notes.begun,
        "paper was used before anybody was told"
    );
    assert!(notes.image_bytes <= counters.bytes);
    (notes.bytes, format!("{counters:?}"))
}

/// No bytes, however broken, spoil the receipt after the next pause.
fn read_again_after_silence(input: &[u8]) {
    let config = Config::default();
    let mut parser = EscPos::new(config);
    let nobody: &mut Sink<'_> = &mut |_| {};
    parser.feed(input, 0, nobody);
    parser.end_line(nobody);
    parser.idle(config.gap_ns, nobody);
    assert!(parser.is_at_rest() && parser.deadline().is_none());
    let mut lines = Vec::new();
    parser.feed(b"\x1b=\x01\x1b@TOTAL 1.00\n", config.gap_ns, &mut |item| {
        if let Item::Line(line) = item {
            lines.push(decode_line(&line, DoubleByteSet::default()));
        }
    });
    assert_eq!(lines, ["TOTAL 1.00"]);
}

/// Items, written down so that two runs can be compared, and checked on the way.
#[derive(Default)]
struct Notes {
    decode: bool,
    bytes: Vec<u8>,
    begun: u64,
    printed: u64,
    image_bytes: u64,
}

impl Notes {
    fn item(&mut self, item: &Item<'_>) {
        match item {
            Item::PrintBegins => self.begun += 1,
            Item::Line(_) | Item::Image { .. } | Item::Barcode { .. } | Item::Symbol { .. } => {
                self.printed += 1
            }
            _ => {}
        }
        match item {
            Item::Line(line) => {
                self.put("line", &[u8::from(line.split)]);
                self.line(line);
                assert!(
                    line.bytes().iter().any(|byte| *byte > b' '),
                    "an empty line is a feed"
                );
            }
            Item::DisplayText(line) => {
                self.put("display", &[u8::from(line.split)]);
                self.line(line);
            }
            Item::Barcode { system, data } => {
                assert!((1..=MAX_SYMBOL_BYTES).contains(&data.len()));
                self.put("bar code", &[*system]);
                self.put("data", data);
            }
            Item::Symbol {
                kind,
                data,
                truncated,
            } => {
                assert!(data.len() <= MAX_SYMBOL_BYTES);
                self.put("symbol", format!("{kind:?} {truncated}").as_bytes());
                self.put("data", data);
            }
            Item::Kick(kick) => {
                assert!(kick.on_ms <= 800 && kick.off_ms <= 800, "{kick:?}");
                assert!(kick.confirmed || kick.real_time, "{kick:?}");
                self.put("kick", format!("{kick:?}").as_bytes());
            }
            Item::Image { bytes, .. } => {
                self.image_bytes += bytes;
                self.put("image", format!("{item:?}").as_bytes());
            }
            other => self.put("item", format!("{other:?}").as_bytes()),
        }
    }

    fn line(&mut self, line: &Line<'_>) {
        assert!((1..=MAX_LINE_BYTES).contains(&line.bytes().len()));
        let no_command = |byte: &u8| *byte >= b' ' || *byte == b'\t';
        assert!(line.bytes().iter().all(no_command), "{:?}", line.bytes());
        let mut joined = Vec::new();
        for (number, segment) in line.segments().enumerate() {
            assert!(number < MAX_LINE_SPANS);
            self.put("segment", format!("{:?}", segment.mode).as_bytes());
            joined.extend_from_slice(segment.bytes);
        }
        assert_eq!(joined, line.bytes(), "segments are the line");
        self.put("bytes", &joined);
        if !self.decode {
            return;
        }
        for set in [
            DoubleByteSet::ShiftJis,
            DoubleByteSet::Gb18030,
            DoubleByteSet::Ks,
            DoubleByteSet::Big5,
        ] {
            let text = decode_line(line, set);
            assert!(
                !text.contains(char::is_control) && text.len() <= 4 * MAX_LINE_BYTES,
                "{text:?}"
            );
        }
    }

    fn put(&mut self, what: &str, bytes: &[u8]) {
        self.bytes.extend_from_slice(what.as_bytes());
        self.bytes
            .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }
}
