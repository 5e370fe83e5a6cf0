//! Measures what the gateway must reach. Each figure stands beside a reference that is measured in
//! the same run, because an absolute time says more about the machine than about the program.
//!
//! `tests/bench/run NAME` builds and runs one measurement as it is meant to be run; `README.md`
//! has the figures. With `--check` a missed budget makes the exit code 1.

#![allow(clippy::print_stdout, reason = "what is measured is printed")]

mod allocations;
mod broker;
mod disk;
mod figures;
mod gateway;
mod inside;
mod measure;
mod mqtt;
mod pictures;
mod till;
mod trace;

// The shop of the detectors' own tests, and the register that watches it.
#[path = "../../../gateway/detect/tests/shop/mod.rs"]
mod shop;
#[path = "../../../gateway/detect/tests/stage/mod.rs"]
mod stage;

use anyhow::Result;
use clap::{Parser, Subcommand};
use figures::Report;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Measures what the gateway must reach, beside a reference in the same run")]
struct Options {
    /// End with exit code 1 when a budget is missed.
    #[arg(long, global = true)]
    check: bool,
    /// The program, for measurements of the whole process.
    #[arg(long, global = true)]
    tillwatch: Option<PathBuf>,
    /// Where temporary data goes: a folder on the disk to be measured.
    #[arg(long, global = true)]
    scratch: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// POS event JSON in, scored and in the log, on one core.
    Events(measure::events::Options),
    /// From the debounced edge to the alert's packet at a subscriber.
    EdgeToPacket(measure::edge::Options),
    /// A drawer event behind 5,000 queued POS events.
    DrawerBehindBacklog(measure::backlog::Options),
    /// Durable enqueue of 64 producers.
    OutboxEnqueue(measure::enqueue::Options),
    /// 20,000 messages from disk to a subscriber.
    Drain(measure::drain::Options),
    /// An alert while those drain over a slow line.
    UrgentDuringDrain(measure::urgent::Options),
    /// The program with nothing to do.
    Idle(measure::idle::Options),
    /// The receipt tap's parser and its way into the pipeline.
    ReceiptTap(measure::receipt::Options),
    /// A start with a full log after a kill.
    Restart(measure::restart::Options),
    /// Footage: bytes written, clips, openings.
    Media(measure::media::Options),
    /// Ten minutes of a camera's JPEGs as an MP4 file.
    Remux(measure::remux::Options),
    /// Seeing motion and blinding in a camera's pictures.
    Motion(measure::motion::Options),
    /// What a day of an ordinary shop writes.
    OrdinaryDay(measure::day::Options),
    /// Fills a log and dies (part of `restart`).
    #[command(hide = true)]
    Fill(measure::restart::FillOptions),
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let place = gateway::Place::new(options.scratch, options.tillwatch)?;
    let mut report = Report::default();
    match &options.what {
        What::Events(o) => measure::events::run(o, &place, &mut report)?,
        What::EdgeToPacket(o) => measure::edge::run(o, &place, &mut report)?,
        What::DrawerBehindBacklog(o) => measure::backlog::run(o, &place, &mut report)?,
        What::OutboxEnqueue(o) => measure::enqueue::run(o, &place, &mut report)?,
        What::Drain(o) => measure::drain::run(o, &place, &mut report)?,
        What::UrgentDuringDrain(o) => measure::urgent::run(o, &place, &mut report)?,
        What::Idle(o) => measure::idle::run(o, &place, &mut report)?,
        What::ReceiptTap(o) => measure::receipt::run(o, &place, &mut report)?,
        What::Restart(o) => measure::restart::run(o, &place, &mut report)?,
        What::Media(o) => measure::media::run(o, &place, &mut report)?,
        What::Remux(o) => measure::remux::run(o, &place, &mut report)?,
        What::Motion(o) => measure::motion::run(o, &mut report)?,
        What::OrdinaryDay(o) => measure::day::run(o, &place, &mut report)?,
        What::Fill(o) => measure::restart::fill(o)?,
    }
    Ok(if options.check && report.missed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
