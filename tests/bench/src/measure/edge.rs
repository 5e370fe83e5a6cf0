//! From the debounced drawer edge to the alert's packet at a subscriber, through the whole program
//! as a process and a real Mosquitto.
//!
//! The edge is stamped here right before it is written into the drawer's FIFO; the configured
//! debounce time is subtracted, and nothing else: waking the driver, its timer, judging, the sync,
//! the uplink and the broker all count. Beside each sample: one append of the same size and
//! `fdatasync` to a preallocated file on the same disk, then one message through the same broker to
//! the same subscriber.
//!
//! A second, short run under strace counts the syncs between each edge and its packet.

use crate::broker::Mosquitto;
use crate::disk::BareFile;
use crate::figures::{Report, Samples, count};
use crate::gateway::{Gateway, Place, Register, pause};
use crate::inside::is_forced_alert;
use crate::mqtt::{Message, Publisher, Subscriber};
use crate::trace;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::time::Duration;
use tillwatch::clock::{monotonic_ns, wall_us};

#[derive(clap::Args)]
pub struct Options {
    /// Openings that are timed.
    #[arg(long, default_value_t = 500)]
    samples: u32,
    /// Openings under strace.
    #[arg(long, default_value_t = 30)]
    traced: u32,
}

/// The gateway's default.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// The kick line must have been watched for two seconds before an opening.
const WATCHED: Duration = Duration::from_secs(3);
/// From an alert to the next stimulus: closing, the broker's answer and their group (50 ms) are on
/// disk by then, as they are in a shop, where openings are seconds apart.
const QUIET: Duration = Duration::from_millis(150);
/// Event, alert and message of one opening are about as large in the log.
const RECORDS: usize = 2_560;
/// An alert's message is about as large.
const MESSAGE: usize = 1_400;

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    report.note(&format!(
        "{} openings; the debounce time of {DEBOUNCE:?} is subtracted",
        options.samples
    ));
    timed(options, place, report)?;
    traced(options, place, report)
}

fn timed(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let broker = Mosquitto::start("")?;
    let register = Register::with_drawer(place, Some(&broker))?;
    let subscriber = Subscriber::start(broker.port, "#", 0, None)?;
    let gateway = Gateway::start(place, &register.config, &[])?;
    let mut drawer = register.drawer()?;
    let mut file = BareFile::create(&register.folder.path().join("bare"), 8 << 20)?;
    let mut publisher = Publisher::connect(broker.port)?;
    let (records, message) = (vec![b'r'; RECORDS], vec![b'm'; MESSAGE]);
    let (mut ours, mut reference) = (Samples::default(), Samples::default());
    let (mut sync, mut trip) = (Samples::default(), Samples::default());
    pause(WATCHED);
    for _ in 0..options.samples {
        let (began, packet) = opening(&mut drawer, &subscriber)?;
        ours.push_ms(Duration::from_nanos(packet.at_ns - began).saturating_sub(DEBOUNCE));
        pause(QUIET);

        let began = monotonic_ns();
        file.append(&records)?;
        let synced = monotonic_ns();
        publisher.send("bench/reference", &message)?;
        let packet =
            subscriber.wait_for("the reference's message", |m| m.topic == "bench/reference")?;
        sync.push_ms(Duration::from_nanos(synced - began));
        trip.push_ms(Duration::from_nanos(packet.at_ns - synced));
        reference.push_ms(Duration::from_nanos(packet.at_ns - began));
        publisher.acknowledged()?;
        pause(QUIET);
    }
    gateway.stop()?;
    report.spread("debounced edge to packet", &ours, "ms");
    report.spread("reference: fdatasync and one MQTT trip", &reference, "ms");
    report.spread("  of it the fdatasync", &sync, "ms");
    report.spread("  of it the trip", &trip, "ms");
    report.figure(
        "ratio of the medians",
        ours.median() / reference.median(),
        "",
    );
    report.at_most("ratio of the p99", ours.p99() / reference.p99(), 2.0, "");
    Ok(())
}

/// Opens and closes the drawer; when the edge was written, and the alert's packet.
fn opening(drawer: &mut File, subscriber: &Subscriber) -> Result<(u64, Message)> {
    let began = monotonic_ns();
    drawer.write_all(b"sense high\n")?;
    let packet = subscriber.wait_for("the alert", is_forced_alert)?;
    drawer.write_all(b"sense low\n")?;
    Ok((began, packet))
}

fn traced(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let broker = Mosquitto::start("")?;
    let register = Register::with_drawer(place, Some(&broker))?;
    let subscriber = Subscriber::start(broker.port, "#", 0, None)?;
    let output = register.folder.path().join("strace");
    let gateway = Gateway::start(place, &register.config, &trace::command(&output)?)?;
    let mut drawer = register.drawer()?;
    pause(WATCHED);
    let mut spans = Vec::new();
    for _ in 0..options.traced {
        let offset_us = wall_us() - i64::try_from(monotonic_ns() / 1_000)?;
        let (began, packet) = opening(&mut drawer, &subscriber)?;
        let seconds =
            |ns: u64| -> Result<f64> { Ok(micros(offset_us + i64::try_from(ns / 1_000)?)) };
        spans.push((seconds(began)?, seconds(packet.at_ns)?));
        pause(QUIET);
    }
    gateway.stop()?;
    let syncs = trace::read(&output)?;
    let folder = register.folder.path().display().to_string();
    ensure!(!syncs.is_empty(), "strace saw no sync at all");
    let (mut fewest, mut most) = (usize::MAX, 0);
    let mut others: BTreeMap<String, u64> = BTreeMap::new();
    for (from, to) in &spans {
        let within: Vec<_> = syncs
            .iter()
            .filter(|sync| (*from..=*to).contains(&sync.at))
            .collect();
        let log = within.iter().filter(|sync| sync.is_log()).count();
        fewest = fewest.min(log);
        most = most.max(log);
        for sync in within.iter().filter(|sync| !sync.is_log()) {
            let path = sync.path.strip_prefix(&folder).unwrap_or(&sync.path);
            *others.entry(format!("{}({path})", sync.call)).or_default() += 1;
        }
    }
    report.note(&format!("{} openings under strace", spans.len()));
    report.at_least(
        "log syncs between edge and packet, fewest",
        count(fewest),
        1.0,
        "",
    );
    report.at_most(
        "log syncs between edge and packet, most",
        count(most),
        1.0,
        "",
    );
    report.note(&format!(
        "other syncs meanwhile, all openings together: {others:?}"
    ));
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds since 1970 fit a double's 53 bits"
)]
fn micros(us: i64) -> f64 {
    us as f64 / 1e6
}
