//! The printer line with time in it: documents, their bounds, and when they end.

use arbitrary::{Result, Unstructured};
use tillwatch_drivers::printer::escpos::{self, Charset, MAX_LINE_BYTES};
use tillwatch_drivers::printer::receipt::{
    End, FramerConfig, FramerEvent, MAX_DOCUMENT_KICKS, MAX_DOCUMENT_LINES, MAX_DOCUMENT_SYMBOLS,
    PaperDocument, ReceiptTap,
};
use tillwatch_drivers::printer::text::DoubleByteSet;

const MILLISECOND: u64 = 1_000_000;
/// Bytes that one input may put on the wire, repetitions included.
const MOST_BYTES: usize = 64 << 10;

/// The input is two bytes of configuration, then steps: a byte that says which, and its operands
/// (integers little-endian).
///
/// | step mod 4 | operands | what |
/// | --- | --- | --- |
/// | 0 | `u16` length, bytes | the bytes arrive |
/// | 1 | `u16` milliseconds | time passes, and nobody looks |
/// | 2 | `u16` milliseconds | time passes, and the tap is told when it asked for it |
/// | 3 | `u8` times | the bytes of the last step 0 arrive again, so often |
pub fn run(input: &[u8]) {
    let mut input = Unstructured::new(input);
    // An input that ends in the middle of a step ends there.
    let _ = played(&mut input);
}

fn played(input: &mut Unstructured<'_>) -> Result<()> {
    let [model, page] = input.arbitrary()?;
    let charset = match model % 4 {
        0 => Charset::SingleByte,
        1 => Charset::DoubleByte,
        2 => Charset::ShiftJis,
        _ => Charset::Utf8,
    };
    let double_byte = match model / 4 % 4 {
        0 => DoubleByteSet::ShiftJis,
        1 => DoubleByteSet::Gb18030,
        2 => DoubleByteSet::Ks,
        _ => DoubleByteSet::Big5,
    };
    let parser = escpos::Config {
        page,
        national: page % 17,
        charset,
        ..escpos::Config::default()
    };
    let framer = FramerConfig {
        double_byte,
        ..FramerConfig::default()
    };
    let mut tap = ReceiptTap::new(parser, framer);
    let mut seen = Seen {
        idle_ns: framer.idle_ns,
        ..Seen::default()
    };
    let result = steps(input, &mut tap, &mut seen);
    let now = seen.now;
    tap.close(now, &mut |event| seen.event(event));
    assert_eq!(tap.framer_counters().documents, seen.documents);
    assert_eq!(tap.parser_counters().bytes, seen.fed);
    assert!(
        seen.document_bytes <= seen.fed,
        "a byte belongs to one document at most"
    );
    assert!(
        seen.document_kicks <= seen.kicks,
        "every kick was told at once"
    );
    result
}

fn steps(input: &mut Unstructured<'_>, tap: &mut ReceiptTap, seen: &mut Seen) -> Result<()> {
    let mut last: &[u8] = &[];
    let mut sent = 0;
    while !input.is_empty() {
        match input.arbitrary::<u8>()? % 4 {
            0 => {
                let length = usize::from(input.arbitrary::<u16>()?).min(input.len());
                last = input.bytes(length)?;
                sent += last.len();
                seen.feed(tap, last);
            }
            1 => seen.now += u64::from(input.arbitrary::<u16>()?) * MILLISECOND,
            2 => {
                let until = seen.now + u64::from(input.arbitrary::<u16>()?) * MILLISECOND;
                seen.wait(tap, until);
            }
            _ => {
                for _ in 0..input.arbitrary::<u8>()? {
                    if sent + last.len() > MOST_BYTES {
                        break;
                    }
                    sent += last.len();
                    seen.feed(tap, last);
                }
            }
        }
    }
    Ok(())
}

/// The time, and what came out.
#[derive(Default)]
struct Seen {
    idle_ns: u64,
    now: u64,
    last_fed: u64,
    fed: u64,
    told: u64,
    kicks: u64,
    documents: u64,
    document_bytes: u64,
    document_kicks: u64,
    paper: bool,
}

impl Seen {
    fn feed(&mut self, tap: &mut ReceiptTap, bytes: &[u8]) {
        self.fed += bytes.len() as u64;
        let now = self.now;
        tap.feed(bytes, now, &mut |event| self.event(event));
        if !bytes.is_empty() {
            self.last_fed = now;
        }
    }

    /// Waits as a thread does that sleeps until the tap's deadline: it must not be woken for nothing.
    fn wait(&mut self, tap: &mut ReceiptTap, until: u64) {
        let mut wakes = 0;
        while let Some(deadline) = tap.deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            let now = self.now;
            tap.idle(now, &mut |event| self.event(event));
            wakes += 1;
            assert!(wakes <= 2, "one deadline of the parser, one of the framer");
        }
        self.now = until;
        tap.idle(until, &mut |event| self.event(event));
        assert!(
            tap.deadline().is_none_or(|deadline| deadline > until),
            "a deadline stays in the past"
        );
    }

    fn event(&mut self, event: FramerEvent) {
        match event {
            FramerEvent::PaperStarted { at_ns } => {
                self.at(at_ns);
                // Twice in a row is possible: what looked visible as bytes may be blank as text (0xFF in
                // PC437), and a cut without anything before it ends no document.
                self.paper = true;
            }
            FramerEvent::Kick(kick) => {
                self.at(kick.at_ns);
                self.kicks += 1;
            }
            FramerEvent::DisplayText { text, at_ns } => {
                self.at(at_ns);
                assert!(text.len() <= 4 * MAX_LINE_BYTES);
            }
            FramerEvent::Document(document) => self.document(&document),
        }
    }

    /// Times never go back, and never lie ahead.
    fn at(&mut self, at_ns: u64) {
        assert!(
            self.told <= at_ns && at_ns <= self.now,
            "{} {at_ns} {}",
            self.told,
            self.now
        );
        self.told = at_ns;
    }

    fn document(&mut self, document: &PaperDocument) {
        assert!(self.paper, "a document without its beginning");
        self.paper = false;
        self.documents += 1;
        self.document_bytes += document.bytes;
        self.document_kicks += document.kicks.len() as u64;
        assert!(document.lines.len() <= MAX_DOCUMENT_LINES);
        assert!(document.symbols.len() <= MAX_DOCUMENT_SYMBOLS);
        assert!(document.kicks.len() <= MAX_DOCUMENT_KICKS);
        assert!(!document.lines.is_empty() || document.images > 0 || !document.symbols.is_empty());
        assert!(document.started_ns <= document.ended_ns, "{document:?}");
        assert!(document.ended_ns <= self.now);
        if document.end == End::Idle {
            assert!(self.now >= document.ended_ns + self.idle_ns);
        }
        let mut before = document.started_ns;
        for line in &document.lines {
            assert!(
                before <= line.at_ns && line.at_ns <= self.now,
                "lines in order"
            );
            before = line.at_ns;
            assert!(
                !line.text.is_empty() && line.text.trim_end() == line.text,
                "{:?}",
                line.text
            );
            assert!(!line.text.contains(char::is_control));
        }
        let mut before = 0;
        for kick in &document.kicks {
            assert!(
                before <= kick.at_ns && kick.at_ns <= self.now,
                "kicks in order"
            );
            before = kick.at_ns;
        }
    }
}
