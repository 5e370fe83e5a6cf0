//! `receipt FILE`: what a capture of a receipt printer's bytes says.

use super::cli::{Options, ReceiptArgs};
use super::{Failure, Out, find, text};
use crate::config::Layers;
use crate::sources::printer::Reading;
use crate::sources::transaction;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use tillwatch_drivers::printer::escpos::{Kick, KickPin};
use tillwatch_drivers::printer::receipt::{FramerEvent, ReceiptTap, TimedKick};
use tillwatch_protocol::Receipt;

/// Largest capture that is read.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// What a capture says, in order.
#[derive(Debug)]
enum Seen {
    Kick(Kick),
    Display(String),
    Document(Box<Receipt>),
}

pub(super) fn run(args: &ReceiptArgs, options: &Options, out: Out<'_>) -> Result<(), Failure> {
    let layers = Layers::load(&find::given(options)?)?;
    let reading = Reading::of(layers.config());
    let bytes = read(&args.file)?;
    let seen = parse(&bytes, reading);
    for one in &seen {
        if args.json {
            writeln!(out, "{}", as_json(one))?;
        } else {
            out.write_all(block(one, reading.minor_digits).as_bytes())?;
        }
    }
    let documents = seen
        .iter()
        .filter(|one| matches!(one, Seen::Document(_)))
        .count();
    if documents == 0 {
        let path = args.file.display();
        return Err(Failure::Failed(format!(
            "{path} has {} bytes and no printed document in them",
            bytes.len()
        )));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |why: &dyn std::fmt::Display| Failure::Failed(format!("{}: {why}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|why| failed(&why))?;
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|why| failed(&why))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(failed(&format!("is larger than {MOST_BYTES} bytes")));
    }
    Ok(bytes)
}

/// A capture has no times: all of it is one moment, and ends where the file ends.
fn parse(bytes: &[u8], reading: Reading) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut take = |event: FramerEvent| match event {
        FramerEvent::PaperStarted { .. } => {}
        FramerEvent::Kick(TimedKick { kick, .. }) => seen.push(Seen::Kick(kick)),
        FramerEvent::DisplayText { text, .. } => seen.push(Seen::Display(text)),
        FramerEvent::Document(document) => {
            seen.push(Seen::Document(Box::new(transaction::receipt(
                &document,
                reading.minor_digits,
            ))));
        }
    };
    let mut tap = ReceiptTap::new(reading.parser, reading.framer);
    tap.feed(bytes, 0, &mut take);
    tap.close(0, &mut take);
    seen
}

fn pin(kick: Kick) -> u8 {
    match kick.pin {
        KickPin::Two => 2,
        KickPin::Five => 5,
    }
}

fn as_json(seen: &Seen) -> serde_json::Value {
    match seen {
        Seen::Kick(kick) => json!({"kick": {
            "pin": pin(*kick), "on_ms": kick.on_ms, "real_time": kick.real_time, "confirmed": kick.confirmed,
        }}),
        Seen::Display(text) => json!({ "display": text }),
        Seen::Document(receipt) => json!({ "document": receipt }),
    }
}

fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn block(seen: &Seen, minor_digits: u8) -> String {
    let receipt = match seen {
        Seen::Kick(kick) => {
            let how = if kick.real_time {
                "at once"
            } else {
                "in print order"
            };
            let doubt = if kick.confirmed {
                ""
            } else {
                ", inside a payload: perhaps chance"
            };
            return format!(
                "kick: pin {}, {} ms, {how}{doubt}\n",
                pin(*kick),
                kick.on_ms
            );
        }
        Seen::Display(shown) => return format!("display: {}\n", text::one_line(shown)),
        Seen::Document(receipt) => receipt,
    };
    let mut out = format!("document: {}", word(receipt.kind));
    if let Some(number) = &receipt.number {
        let _ = write!(out, ", number {number}");
    }
    if let Some(cashier) = &receipt.cashier {
        let _ = write!(out, ", cashier {cashier}");
    }
    if let Some(total) = receipt.total {
        let _ = write!(out, ", total {}", total.display(minor_digits));
    }
    out = text::one_line(&out);
    out.push('\n');
    for (index, line) in (0_u32..).zip(&receipt.lines) {
        let _ = write!(out, "  | {}", text::one_line(line));
        for mark in receipt.marks.iter().filter(|mark| mark.line == index) {
            let _ = write!(out, "   <- {}", word(mark.kind));
            if let Some(amount) = mark.amount {
                let _ = write!(out, " {}", amount.display(minor_digits));
            }
        }
        out.push('\n');
    }
    let damaged = if receipt.damaged {
        ", DAMAGED: bytes are missing"
    } else {
        ""
    };
    let _ = writeln!(
        out,
        "end: {}; {} kicks, {} images, {} bytes{damaged}",
        word(receipt.end),
        receipt.kicks,
        receipt.images,
        receipt.bytes
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_capture_shows_lines_kicks_and_the_cut() {
        let capture = b"\x1b@\x1bp\x00\x19\xfaCorner Shop\nTOTAL   11.52\nCASH    20.00\n\x1dV\x00";
        let reading = Reading::of(&Config::default());
        let text: String = parse(capture, reading)
            .iter()
            .map(|seen| block(seen, 2))
            .collect();
        assert!(
            text.starts_with("kick: pin 2, 50 ms, in print order\n"),
            "{text}"
        );
        assert!(text.contains("  | Corner Shop\n"), "{text}");
        assert!(text.contains(", total 11.52\n"), "{text}");
        assert!(text.contains("end: cut; 1 kicks, 0 images, "), "{text}");
    }

    #[test]
    fn what_prints_nothing_is_no_document() {
        assert!(parse(b"\x1b@\x00\x00", Reading::of(&Config::default())).is_empty());
    }
}
