//! The printer tap: bytes in, receipts and drawer commands out, on one blocking thread.
//!
//! Bytes are stamped when they are read, before anything is made of them.

use super::device::{PATIENCE, Reporter, Stop, keep_open};
use super::transaction::receipt;
use crate::Shared;
use crate::config::Config;
use crate::health::part;
use std::thread::JoinHandle;
use std::time::Duration;
use tillwatch_drivers::backoff::Backoff;
use tillwatch_drivers::printer::ByteTap;
use tillwatch_drivers::printer::escpos::{self, KickPin};
use tillwatch_drivers::printer::receipt::{FramerConfig, FramerEvent, ReceiptTap, TimedKick};
use tillwatch_drivers::printer::serial::{SerialConfig, SerialTap};
use tillwatch_drivers::printer::text::DoubleByteSet;
use tillwatch_drivers::{DriverError, ErrorKind};
use tillwatch_protocol::event::DrawerCommand;
use tillwatch_protocol::{EventBody, QUARANTINE_BYTES, Quarantined, Witness, event};

/// Opens the port; called again after every loss.
pub type OpenTap = Box<dyn FnMut() -> Result<Box<dyn ByteTap>, DriverError> + Send>;

/// Bytes read at once.
const CHUNK: usize = 4_096;

/// How the bytes are understood.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The parser.
    pub parser: escpos::Config,
    /// Where receipts end.
    pub framer: FramerConfig,
    /// Decimals of the currency.
    pub minor_digits: u8,
}

impl Reading {
    /// As configured.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let double_byte = match config.printer.kanji.as_str() {
            "gb18030" => DoubleByteSet::Gb18030,
            "euc-kr" => DoubleByteSet::Ks,
            "big5" => DoubleByteSet::Big5,
            _ => DoubleByteSet::ShiftJis,
        };
        let idle_ns = u64::from(config.printer.idle_ms) * 1_000_000;
        let mut parser = escpos::Config {
            page: config.printer.code_page,
            ..escpos::Config::default()
        };
        // A payload is never carried across the silence that ends a receipt.
        parser.gap_ns = parser.gap_ns.min(idle_ns);
        Self {
            parser,
            framer: FramerConfig {
                idle_ns,
                double_byte,
            },
            minor_digits: config.minor_digits(),
        }
    }
}

/// The serial port of the configuration; `None` without one.
#[must_use]
pub fn configured(config: &Config) -> Option<OpenTap> {
    let port = config.printer.port.clone()?;
    let serial = SerialConfig::new(port).baud(config.printer.baud);
    Some(Box::new(move || {
        Ok(Box::new(SerialTap::open(&serial)?) as Box<dyn ByteTap>)
    }))
}

/// Starts the thread.
///
/// # Errors
/// The system has no more threads.
pub fn start(
    shared: Shared,
    what: String,
    reading: Reading,
    mut open: OpenTap,
    stop: Stop,
) -> std::io::Result<JoinHandle<()>> {
    let reporter = Reporter::new(shared, vec![(Witness::Printer, part::PRINTER, what)]);
    std::thread::Builder::new()
        .name("printer".into())
        .spawn(move || {
            keep_open(reporter, &stop, |reporter, backoff| {
                session(reporter, reading, &mut open, backoff, &stop)
            });
        })
}

/// From opening to the next loss; `Ok` when the program ends.
fn session(
    reporter: &mut Reporter,
    reading: Reading,
    open: &mut OpenTap,
    backoff: &mut Backoff,
    stop: &Stop,
) -> Result<(), DriverError> {
    let mut port = open()?;
    let mut tap = ReceiptTap::new(reading.parser, reading.framer);
    backoff.opened(crate::clock::monotonic_ns());
    if !reporter.alive() {
        return Ok(());
    }
    let mut buffer = [0; CHUNK];
    let mut burst = Burst::default();
    let mut open_still = true;
    let result = loop {
        if stop.is_stopped() || !open_still {
            break Ok(());
        }
        let now = crate::clock::monotonic_ns();
        let wait = tap.deadline().map_or(PATIENCE, |deadline| {
            PATIENCE.min(Duration::from_nanos(deadline.saturating_sub(now)))
        });
        let mut pass = |happened| open_still &= report(reporter, happened, reading.minor_digits);
        match port.read(&mut buffer, wait) {
            Ok(0) => {
                tap.idle(crate::clock::monotonic_ns(), &mut pass);
                if tap.deadline().is_none() {
                    burst.end(reporter, tap.parser_counters().unknown);
                }
            }
            Ok(count) => {
                burst.add(&buffer[..count]);
                metrics::counter!("printer_bytes_total")
                    .increment(u64::try_from(count).unwrap_or(0));
                tap.feed(&buffer[..count], crate::clock::monotonic_ns(), &mut pass);
            }
            Err(error) if error.kind() == ErrorKind::Retry => {
                std::thread::sleep(Duration::from_millis(1))
            }
            Err(error) => break Err(error),
        }
    };
    burst.end(reporter, tap.parser_counters().unknown);
    // What was printed before the port went away was printed.
    tap.close(crate::clock::monotonic_ns(), &mut |happened| {
        open_still &= report(reporter, happened, reading.minor_digits);
    });
    if open_still { result } else { Ok(()) }
}

/// The bytes between two silences. Where they hold commands that the parser does not know, their
/// beginning goes to the quarantine, so that somebody can see what this printer speaks.
#[derive(Default)]
struct Burst {
    raw: Vec<u8>,
    size: u64,
    unknown_before: u64,
}

impl Burst {
    fn add(&mut self, bytes: &[u8]) {
        let room = QUARANTINE_BYTES.saturating_sub(self.raw.len());
        self.raw.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.size += u64::try_from(bytes.len()).unwrap_or(0);
    }

    fn end(&mut self, reporter: &Reporter, unknown: u64) {
        let count = unknown.saturating_sub(self.unknown_before);
        self.unknown_before = unknown;
        let raw = std::mem::take(&mut self.raw);
        let size = std::mem::take(&mut self.size);
        if count == 0 {
            return;
        }
        let shared = reporter.shared().clone();
        let item = Quarantined {
            stamp: shared.clock.stamp(),
            source: "printer".into(),
            reason: "unknown_command".into(),
            text: format!(
                "{count} commands that are not ESC/POS; what could be read of it was used"
            ),
            origin: shared
                .config
                .borrow()
                .printer
                .port
                .as_ref()
                .map_or_else(String::new, |port| port.display().to_string()),
            raw,
            size,
        };
        reporter.spawn(async move {
            if let Err(why) = super::pos::quarantine(&shared, item).await {
                tracing::warn!(%why, "printer bytes could not be quarantined");
            }
        });
    }
}

/// False when the pipeline has stopped.
fn report(reporter: &Reporter, happened: FramerEvent, minor_digits: u8) -> bool {
    let shared = reporter.shared();
    let (at_ns, body) = match happened {
        FramerEvent::PaperStarted { at_ns } => (at_ns, EventBody::PaperStarted),
        FramerEvent::Kick(TimedKick { kick, at_ns }) => {
            let pin = match kick.pin {
                KickPin::Two => event::KickPin::Two,
                KickPin::Five => event::KickPin::Five,
            };
            let command = DrawerCommand {
                pin,
                on_ms: kick.on_ms,
                real_time: kick.real_time,
                confirmed: kick.confirmed,
            };
            (at_ns, EventBody::DrawerCommand(command))
        }
        // A live feed of items comes with the cameras' page; nothing is concluded from it yet.
        FramerEvent::DisplayText { .. } => return true,
        FramerEvent::Document(document) => {
            let ended_ns = document.ended_ns;
            (
                ended_ns,
                EventBody::Receipt(Box::new(receipt(&document, minor_digits))),
            )
        }
    };
    shared
        .intake
        .witness(shared.clock.stamp().at_monotonic(at_ns), body)
        .is_ok()
}
