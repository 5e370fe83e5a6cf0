//! The parser against recorded and rendered printer streams.
//!
//! The streams are not part of this repository (each has its own licence). They are looked
//! for in `TILLWATCH_TEST_DATA`, else in `shared/data` beside the repository; where they
//! are absent these tests say so and pass.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's helpers may fail it"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tillwatch_drivers::printer::escpos::{Charset, Config, EscPos, Item};
use tillwatch_drivers::printer::receipt::{
    FramerConfig, FramerEvent, PaperDocument, ReceiptTap, TimedKick,
};
use tillwatch_drivers::printer::text::DoubleByteSet;

fn receipts() -> Option<PathBuf> {
    let data = std::env::var_os("TILLWATCH_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let receipts = data.join("receipts");
    if receipts.is_dir() {
        return Some(receipts);
    }
    println!("skipped: no receipts at {}", receipts.display());
    None
}

/// One rendered stream and what is in it.
#[derive(Deserialize)]
struct Expected {
    file: String,
    doc: String,
    lines: Vec<String>,
    #[serde(alias = "command", alias = "impl")]
    language: String,
    #[serde(default)]
    pulse: bool,
    #[serde(default)]
    cut: bool,
}

fn expected(folder: &Path) -> Vec<Expected> {
    let json = std::fs::read(folder.join("expected.json")).expect("expected.json is readable");
    serde_json::from_slice(&json).expect("expected.json has its shape")
}

#[derive(Default)]
struct Read {
    documents: Vec<PaperDocument>,
    kicks: Vec<TimedKick>,
}

impl Read {
    fn lines(&self) -> Vec<&str> {
        self.documents
            .iter()
            .flat_map(|document| &document.lines)
            // Line printers centre with spaces; the expectation has the text alone.
            .map(|line| line.text.trim_start())
            .collect()
    }
}

fn read(bytes: &[u8], parser: Config, framer: FramerConfig) -> Read {
    let mut tap = ReceiptTap::new(parser, framer);
    let mut read = Read::default();
    let mut out = |event| match event {
        FramerEvent::Document(document) => read.documents.push(document),
        FramerEvent::Kick(kick) => read.kicks.push(kick),
        FramerEvent::PaperStarted { .. } | FramerEvent::DisplayText { .. } => {}
    };
    tap.feed(bytes, 0, &mut out);
    tap.close(0, &mut out);
    read
}

fn cuts(bytes: &[u8]) -> usize {
    let mut count = 0;
    EscPos::default().feed(bytes, 0, &mut |item| {
        count += usize::from(matches!(item, Item::Cut { .. }));
    });
    count
}

/// Compares every stream of a set for which `by` gives a configuration; how many per
/// language have exactly the expected lines.
fn right_lines(
    folder: &Path,
    by: impl Fn(&Expected) -> Option<(Config, FramerConfig)>,
) -> BTreeMap<String, usize> {
    let mut right: BTreeMap<String, usize> = BTreeMap::new();
    for case in expected(folder) {
        let Some((parser, framer)) = by(&case) else {
            continue;
        };
        let bytes = std::fs::read(folder.join(&case.file)).expect("the stream is readable");
        let read = read(&bytes, parser, framer);
        let lines = read.lines();
        // A ruled line is drawn with characters and is not in the expectation.
        let is_rule = |line: &str| line.chars().all(|character| character == '─');
        let got: Vec<&str> = lines
            .iter()
            .copied()
            .filter(|line| !is_rule(line))
            .collect();
        let count = right.entry(case.language.clone()).or_default();
        if got == case.lines {
            *count += 1;
        } else {
            println!("{}: {got:#?}\ninstead of {:#?}", case.file, case.lines);
        }
        assert!(
            !read.documents.iter().any(|document| document.damaged),
            "{}",
            case.file
        );
        if case.pulse {
            assert!(
                read.kicks.iter().any(|kick| kick.kick.confirmed),
                "{}",
                case.file
            );
        }
        if case.cut {
            assert_eq!(cuts(&bytes), 1, "{}", case.file);
        }
    }
    right
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected
        .into_iter()
        .map(|(language, count)| (language.to_owned(), count))
        .collect()
}

/// Star dialects and SII (which ends with a status request of its own, `DC2 q`) are not
/// ESC/POS and have no parser yet.
#[test]
fn every_esc_pos_rendering_of_receiptline_gives_its_lines() {
    let Some(receipts) = receipts() else { return };
    let esc_pos = ["escpos", "epson", "citizen", "fit", "generic", "impact"];
    let right = right_lines(&receipts.join("synthetic/receiptline"), |case| {
        esc_pos
            .contains(&case.language.as_str())
            .then(Default::default)
    });
    assert_eq!(right, counts(esc_pos.map(|language| (language, 7))));
}

#[test]
fn every_esc_pos_rendering_of_receipt_printer_encoder_gives_its_lines_kick_and_cut() {
    let Some(receipts) = receipts() else { return };
    let folder = receipts.join("synthetic/receipt-printer-encoder");
    let right = right_lines(&folder, |case| {
        (case.language == "esc-pos").then(Default::default)
    });
    assert_eq!(right, counts([("esc-pos", 6)]));
}

#[test]
fn every_rendering_of_python_escpos_gives_its_lines() {
    let Some(receipts) = receipts() else { return };
    let folder = receipts.join("synthetic/python-escpos");
    let right = right_lines(&folder, |case| {
        (case.doc != "ja_modori").then(Default::default)
    });
    let methods = ["bitImageColumn", "bitImageRaster", "graphics"];
    assert_eq!(right, counts(methods.map(|method| (method, 18))));
}

/// It sent the Japanese text to a printer that starts in GB18030, and could not encode
/// the first line at all.
#[test]
fn a_printer_that_starts_in_double_byte_mode_is_read_as_configured() {
    let Some(receipts) = receipts() else { return };
    let folder = receipts.join("synthetic/python-escpos");
    let parser = Config {
        charset: Charset::DoubleByte,
        ..Config::default()
    };
    let framer = FramerConfig {
        double_byte: DoubleByteSet::Gb18030,
        ..FramerConfig::default()
    };
    let mut seen = 0;
    for case in expected(&folder) {
        if case.doc == "ja_modori" {
            let bytes = std::fs::read(folder.join(&case.file)).expect("the stream is readable");
            let read = read(&bytes, parser, framer);
            let lines = read.lines();
            assert_eq!(lines[0], "???????", "{}", case.file);
            assert_eq!(lines[1..], case.lines[1..], "{}", case.file);
            seen += 1;
        }
    }
    assert_eq!(seen, 9);
}

/// What each stream of python-escpos does besides text: one kick, one cut, one logo, a bar
/// code and symbol or two; the logo is one image however it was sent.
#[test]
fn what_is_not_text_is_counted() {
    let Some(receipts) = receipts() else { return };
    let folder = receipts.join("synthetic/python-escpos");
    for case in expected(&folder) {
        let bytes = std::fs::read(folder.join(&case.file)).expect("the stream is readable");
        let read = read(&bytes, Config::default(), FramerConfig::default());
        assert_eq!(cuts(&bytes), 1, "{}", case.file);
        assert_eq!(read.kicks.len(), 1, "{}", case.file);
        let [document] = &read.documents[..] else {
            panic!("{}: {} documents", case.file, read.documents.len());
        };
        assert_eq!(document.images, 1, "{}", case.file);
        assert!(document.image_bytes > 500, "{}", case.file);
        assert_eq!(document.bytes, bytes.len() as u64, "{}", case.file);
        let url = format!("https://example.com/{}", case.doc);
        assert_eq!(document.symbols.last(), Some(&url), "{}", case.file);
        assert_eq!(document.symbols[0], "123456789012", "{}", case.file);
    }
}

fn streams(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            streams(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| ["bin", "hex", "thermal"].iter().any(|e| extension == *e))
        {
            found.push(path);
        }
    }
}

/// Bytes of a stream; `.hex` files hold them as text.
fn bytes_of(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).expect("the stream is readable");
    if path.extension().is_none_or(|extension| extension != "hex") {
        return bytes;
    }
    String::from_utf8_lossy(&bytes)
        .split_whitespace()
        .map_while(|pair| u8::from_str_radix(pair, 16).ok())
        .collect()
}

/// Every stream, whatever its dialect: no panic, bounded work, nothing depends on how it
/// was read, and an ordinary receipt sent after a pause is read whole.
#[test]
fn no_stream_harms_the_receipt_after_it() {
    let Some(receipts) = receipts() else { return };
    let mut found = Vec::new();
    streams(&receipts, &mut found);
    assert!(found.len() > 200, "{} streams", found.len());
    for path in found {
        let bytes = bytes_of(&path);
        let mut tap = ReceiptTap::new(Config::default(), FramerConfig::default());
        let mut documents = Vec::new();
        let mut out = |event| {
            if let FramerEvent::Document(document) = event {
                documents.push(document);
            }
        };
        tap.feed(&bytes, 0, &mut out);
        tap.feed(b"\x1b@NEXT RECEIPT\n\x1dV\x00", 5_000_000_000, &mut out);
        let steps = tap.parser_counters().steps;
        assert!(
            steps <= 2 * tap.parser_counters().bytes,
            "{}",
            path.display()
        );
        let last = documents.last().expect("a document");
        let lines: Vec<&str> = last.lines.iter().map(|line| line.text.as_str()).collect();
        // A stream that leaves a customer display selected keeps it, gap or not.
        assert_eq!(lines, ["NEXT RECEIPT"], "{}", path.display());
        assert!(!last.damaged, "{}", path.display());
    }
}

/// 255 bytes are missing from a graphics payload of this capture; a parser that obeys the
/// declared length swallows what follows, here the bar code and the cut.
#[test]
fn bytes_lost_in_an_image_cost_one_receipt_at_most() {
    let Some(receipts) = receipts() else { return };
    let path = receipts.join("zachzurn+thermal/sample_files/in/retail.bin");
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    let mut tap = ReceiptTap::new(Config::default(), FramerConfig::default());
    let mut copy = |at_ns: u64| {
        let mut documents = Vec::new();
        let mut out = |event| {
            if let FramerEvent::Document(document) = event {
                documents.push(document);
            }
        };
        tap.feed(&bytes, at_ns, &mut out);
        tap.idle(at_ns + 3_000_000_000, &mut out);
        documents
    };
    let (first, second) = (copy(0), copy(4_000_000_000));
    let text = |documents: &[PaperDocument]| -> Vec<String> {
        let lines = documents.iter().flat_map(|document| &document.lines);
        lines.map(|line| line.text.clone()).collect()
    };
    assert!(first.iter().any(|document| document.damaged));
    assert!(!text(&first).is_empty());
    assert_eq!(
        text(&first),
        text(&second),
        "the second copy reads like the first"
    );
}
