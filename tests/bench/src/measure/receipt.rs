//! The receipt tap: how fast bytes are read, that hostile ones cost no more than twice the steps,
//! what it keeps and allocates, and how soon a kick is reported through the serial source.
//!
//! The reference for time is SHA-256 over the same bytes, which also looks at each byte once. Times
//! of the parser are processor time.

use crate::allocations;
use crate::figures::{Report, Samples, count};
use crate::gateway::{Place, pause};
use crate::measure::events::shared;
use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillwatch::clock::monotonic_ns;
use tillwatch::intake;
use tillwatch::sources::device::Stop;
use tillwatch::sources::printer;
use tillwatch_drivers::printer::escpos::{Config, EscPos, MAX_STATE_BYTES};
use tillwatch_drivers::printer::receipt::{FramerConfig, ReceiptTap};
use tillwatch_protocol::EventBody;
use tillwatch_simulator::PrinterPty;

#[derive(clap::Args)]
pub struct Options {
    /// Kicks that are timed.
    #[arg(long, default_value_t = 500)]
    kicks: u32,
    /// Bytes of each stream, in MiB.
    #[arg(long, default_value_t = 8)]
    mib: usize,
}

/// Reads of this size, as the source makes them.
const CHUNK: usize = 4_096;
/// Best of this many runs: what disturbs only makes it slower.
const RUNS: usize = 5;

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let size = options.mib << 20;
    report.at_most(
        "state of the parser",
        count(size_of::<EscPos>()),
        count(MAX_STATE_BYTES),
        "bytes",
    );
    let mut ordinary = f64::NAN;
    match recorded() {
        Some(folder) => {
            let bytes = stream(&folder, size)?;
            ordinary = speed(report, "recorded receipts", &bytes);
            tap(report, &bytes);
        }
        None => report.note("no recorded receipts beside the checkout: skipped"),
    }
    let simulated = repeated(&till_receipt(), size);
    let of_till = speed(report, "simulated receipts", &simulated);
    if ordinary.is_nan() {
        ordinary = of_till;
    }
    let (mut slowest, mut steps, mut allocated, mut growth) = (f64::INFINITY, 0.0_f64, 0, 0.0_f64);
    for (name, bytes) in hostile(size) {
        let run = parse(&bytes);
        let quarter = parse(&bytes[..size / 4]);
        let times = run.time.as_secs_f64() / quarter.time.as_secs_f64();
        let rate = megabytes(&bytes, run.time);
        report.figure(&format!("hostile: {name}"), rate, "MB/s");
        slowest = slowest.min(rate);
        steps = steps.max(run.steps);
        allocated = allocated.max(run.allocations);
        growth = growth.max(times);
    }
    report.at_most("steps per byte, worst", steps, 2.0, "");
    report.at_most("allocations of the parser", count(allocated), 0.0, "");
    report.at_most(
        "four times the hostile bytes: times the time, worst",
        growth,
        5.0,
        "",
    );
    report.figure(
        "slowest hostile stream to ordinary receipts",
        slowest / ordinary,
        "",
    );
    kicks(options, place, report)
}

/// Of this thread, so that other programs do not count.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

struct Run {
    time: Duration,
    steps: f64,
    allocations: u64,
}

fn parse(bytes: &[u8]) -> Run {
    let mut best: Option<Run> = None;
    for _ in 0..RUNS {
        let mut parser = EscPos::new(Config::default());
        let mut items = 0_u64;
        let allocations = allocations::count();
        let start = processor_time();
        for chunk in bytes.chunks(CHUNK) {
            parser.feed(chunk, 1_000_000, &mut |item| {
                std::hint::black_box(&item);
                items += 1;
            });
        }
        let time = processor_time().saturating_sub(start);
        let allocations = allocations::count() - allocations;
        std::hint::black_box(items);
        let steps = count(parser.counters().steps) / count(bytes.len());
        if best.as_ref().is_none_or(|best| time < best.time) {
            best = Some(Run {
                time,
                steps,
                allocations,
            });
        }
    }
    best.unwrap_or(Run {
        time: Duration::MAX,
        steps: f64::NAN,
        allocations: u64::MAX,
    })
}

fn megabytes(bytes: &[u8], time: Duration) -> f64 {
    count(bytes.len()) / 1e6 / time.as_secs_f64()
}

fn speed(report: &Report, name: &str, bytes: &[u8]) -> f64 {
    let run = parse(bytes);
    let mut reference = Duration::MAX;
    for _ in 0..RUNS {
        let start = processor_time();
        std::hint::black_box(Sha256::digest(bytes));
        reference = reference.min(processor_time().saturating_sub(start));
    }
    let rate = megabytes(bytes, run.time);
    report.figure(&format!("parser: {name}"), rate, "MB/s");
    report.figure(
        "  ratio to SHA-256 of the same bytes",
        rate / megabytes(bytes, reference),
        "",
    );
    report.figure("  steps per byte", run.steps, "");
    rate
}

/// Parser and framer together, as the source uses them: lines and documents are allocated, bytes
/// are not.
fn tap(report: &Report, bytes: &[u8]) {
    let mut tap = ReceiptTap::new(Config::default(), FramerConfig::default());
    let mut documents = 0_u64;
    let allocations = allocations::count();
    let start = processor_time();
    for (at, chunk) in (1_u64..).zip(bytes.chunks(CHUNK)) {
        tap.feed(chunk, at * 1_000_000, &mut |event| {
            std::hint::black_box(&event);
            documents += 1;
        });
    }
    let time = processor_time().saturating_sub(start);
    let allocations = allocations::count() - allocations;
    report.figure(
        "parser and framer: recorded receipts",
        megabytes(bytes, time),
        "MB/s",
    );
    report.figure(
        "  allocations per 1,000 bytes (lines, documents)",
        count(allocations) * 1e3 / count(bytes.len()),
        "",
    );
    std::hint::black_box(documents);
}

fn recorded() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("TILLWATCH_TEST_DATA").map_or(beside, PathBuf::from);
    Some(data.join("receipts")).filter(|folder| folder.is_dir())
}

/// All recorded streams, one after another, until it is `size` bytes.
fn stream(folder: &Path, size: usize) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for path in crate::disk::files(folder)? {
        if path
            .extension()
            .is_some_and(|end| end == "bin" || end == "thermal")
        {
            all.extend(std::fs::read(&path)?);
        }
    }
    ensure!(!all.is_empty(), "no streams below {}", folder.display());
    Ok(repeated(&all, size))
}

fn repeated(bytes: &[u8], size: usize) -> Vec<u8> {
    bytes.iter().copied().cycle().take(size).collect()
}

fn till_receipt() -> Vec<u8> {
    let mut bytes = b"\x1b@\x1ba\x01CORNER SHOP\n\x1ba\x00".to_vec();
    for line in 0..20 {
        bytes.extend(
            format!(
                "Ground coffee 500 g      1 x {:>3}.99  {:>3}.99\n",
                line, line
            )
            .bytes(),
        );
    }
    bytes.extend(
        b"\x1bE\x01TOTAL                          199.80\x1bE\x00\n\x1bp\x00\x32\x32\x1dV\x42\x00",
    );
    bytes
}

/// Streams made to cost as much as possible.
fn hostile(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let mut random = tillwatch_simulator::random::XorShift64Star::new(7);
    let noise: Vec<u8> = (0..size)
        .map(|_| u8::try_from(random.below(256)).unwrap_or(0))
        .collect();
    let controls: Vec<u8> = noise
        .iter()
        .map(|byte| [0x1b, 0x1d, 0x1c, 0x10, 0x14, 0x01][usize::from(byte % 6)])
        .collect();
    let of = |pattern: &[u8]| repeated(pattern, size);
    vec![
        ("noise", noise),
        ("command prefixes only", controls),
        ("ESC without end", of(b"\x1b")),
        ("real-time kicks", of(b"\x10\x14\x01\x00\x01")),
        ("kicks inside a payload", {
            let mut bytes = b"\x1d8L\xff\xff\xff\x7f0p".to_vec();
            bytes.extend(of(b"\x10\x14\x01\x00\x01"));
            bytes.truncate(size);
            bytes
        }),
        ("one line without end", of(b"A")),
        ("a code page before each letter", of(b"\x1bt\x10A")),
        ("bar codes without NUL", of(b"\x1dk\x04AAAAAAAA")),
        ("tab stops", of(b"\x1bD\x01\x02\x03\x02")),
        ("large symbols", of(b"\x1d(k\xff\xff1P0AAAAAAAAAAAAAAAA")),
        ("user-defined characters", of(b"\x1b&\x03\x20\x7e\x0c")),
    ]
}

/// The times that a till needs between two kicks do not matter; this keeps the line from batching.
const BETWEEN: Duration = Duration::from_millis(3);

/// From the last byte of a kick on the line to its event in the pipeline's lane.
fn kicks(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let folder = place.folder()?;
    let (intake, mut lanes) = intake::lanes();
    let (mut shared, sender) = shared(&folder.path().join("data"), intake)?;
    let mut pty = PrinterPty::open()?;
    let mut config = (**sender.borrow()).clone();
    config.printer.port = Some(pty.path().to_owned());
    let reading = printer::Reading::of(&config);
    let open = printer::configured(&config).context("a port is configured")?;
    let (_sender, reload) = tokio::sync::watch::channel(std::sync::Arc::new(config));
    shared.config = reload;
    // The source tells tasks what it hears of its device.
    let runtime = tokio::runtime::Runtime::new()?;
    let context = runtime.enter();
    let stop = Stop::default();
    let thread = printer::start(shared.clone(), "bench".into(), reading, open, stop.clone())?;
    drop(context);
    // Its first word is that it is alive.
    lanes
        .witnesses
        .blocking_recv()
        .context("the source starts")?;
    let (mut simple, mut in_receipt) = (Samples::default(), Samples::default());
    for number in 0..options.kicks {
        pause(BETWEEN);
        // Every other kick ends a receipt's text, as tills print it.
        let with_text = number % 2 == 1;
        if with_text {
            let text = till_receipt();
            let end = text.len() - 9;
            pty.send(&text[..end])?;
            pause(BETWEEN);
        }
        pty.send(b"\x1bp\x00\x32")?;
        let began = monotonic_ns();
        pty.send(b"\x32")?;
        loop {
            let incoming = lanes.witnesses.blocking_recv().context("the source runs")?;
            if matches!(incoming.body, EventBody::DrawerCommand(_)) {
                break;
            }
        }
        let took = Duration::from_nanos(monotonic_ns() - began);
        if with_text {
            in_receipt.push_ms(took)
        } else {
            simple.push_ms(took)
        }
    }
    stop.stop();
    // Nothing more is wanted from it.
    drop(lanes);
    let _ = thread.join();
    shared.store.clone().close();
    report.spread("kick: last byte to event, alone", &simple, "ms");
    report.spread(
        "kick: last byte to event, after a receipt's text",
        &in_receipt,
        "ms",
    );
    report.at_most(
        "kick: last byte to event, p99",
        simple.p99().max(in_receipt.p99()),
        1.0,
        "ms",
    );
    Ok(())
}
