//! What an ordinary day writes: the log's and the index's part as the kernel counts it, and the
//! footage that the recorder keeps of it.
//!
//! The day is the innocent shop of the detectors' own tests, with a camera on the customers and one
//! on the drawer, judged by the engine as the pipeline does. Between two events of a shop lie
//! seconds, so each record is waited for until it is on disk, and none shares a write with
//! the next. Footage is what the recorder's own plan asks for: the windows of alerts, and openings
//! that nothing explains yet, each moment once.

use crate::broker::Mosquitto;
use crate::disk::written_by_this_process;
use crate::figures::{Report, Samples, count};
use crate::gateway::{Gateway, Place, Register, pause};
use crate::shop::{Habits, Shop, watch};
use crate::stage::Stage;
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::Duration;
use tillwatch::clips::plan::Span;
use tillwatch::clips::request_of;
use tillwatch::clips::suspicion::Suspicion;
use tillwatch_detect::Outcome;
use tillwatch_protocol::settings::ReceiptPolicy;
use tillwatch_protocol::time::SECOND_NS;
use tillwatch_protocol::{Lane, Record, Stamp};
use tillwatch_store::{Store, StoreOptions, Urgency};

#[derive(clap::Args)]
pub struct Options {
    /// Transactions of a day.
    #[arg(long, default_value_t = 400)]
    transactions: u64,
    /// Shops, each for a day.
    #[arg(long, default_value_t = 30)]
    shops: u64,
    /// Footage before and after a cause, in seconds.
    #[arg(long, default_value_t = 60)]
    window: u64,
    /// Cameras.
    #[arg(long, default_value_t = 1)]
    cameras: u64,
    /// Pictures a second.
    #[arg(long, default_value_t = 15)]
    fps: u64,
    /// Bytes of a picture: what a recorded one of 768×576 has.
    #[arg(long, default_value_t = 36_000)]
    picture: u64,
    /// How long the program is watched while nothing happens.
    #[arg(long, default_value_t = 180)]
    idle_seconds: u64,
    /// Budget of footage, in MiB: its default.
    #[arg(long, default_value_t = 2_048)]
    media_mib: u64,
    /// Size of the card, in GB.
    #[arg(long, default_value_t = 32)]
    card_gb: u64,
}

/// What starting causes is over by then.
const SETTLED: Duration = Duration::from_secs(10);
/// How often each cell of a card may be written: assumed, as makers of cheap cards name no figure.
const CARD_WRITES: f64 = 500.0;
/// What a card writes for each byte it is given: assumed; footage comes in large pieces.
const CARD_FACTOR: f64 = 2.0;

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    report.note(&format!(
        "{} shops, {} transactions a day each; window {} s, {} camera(s), {} pictures of {} bytes a second",
        options.shops, options.transactions, options.window, options.cameras, options.fps, options.picture
    ));
    let (mut alerts, mut footage) = (Samples::default(), Samples::default());
    let (mut events, mut hours) = (Samples::default(), Samples::default());
    let mut typical: Vec<(f64, Stage)> = Vec::new();
    let policies = [
        ReceiptPolicy::Always,
        ReceiptPolicy::OnRequest,
        ReceiptPolicy::Never,
    ];
    for seed in 1..=options.shops {
        let policy = policies[usize::try_from(seed % 3)?];
        let habits = Habits {
            // Somebody who sleeps over it is another day.
            mishaps: 2,
            ..Habits::of_a_good_shop(seed)
        };
        let shop = Shop::new(seed, policy, habits).trade(options.transactions);
        let stage = watch(&shop, policy);
        let seconds = recorded_s(&stage, options.window * SECOND_NS);
        alerts.push(count(stage.alerts().len()));
        events.push(count(stage.events.len()));
        hours.push(stage.now_s / 3_600.0);
        footage.push(seconds);
        typical.push((seconds, stage));
    }
    report.spread("hours", &hours, "h");
    report.spread("events", &events, "");
    report.spread("alerts", &alerts, "");
    report.spread("footage recorded", &footage, "s a camera");
    let per_second = count(options.cameras * options.fps * options.picture);
    let media = footage.median() * per_second;
    let worst = footage.max() * per_second;
    report.figure("footage written on the median day", media / 1e6, "MB");
    report.figure("footage written on the worst day", worst / 1e6, "MB");

    typical.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (_, stage) = &typical[typical.len() / 2];
    let written = log_of(stage, place)?;
    let records = count(stage.events.len() + stage.outcomes.len());
    report.figure("log and index written that day", written.all / 1e6, "MB");
    report.figure("  of it asked for by the log", written.log / 1e6, "MB");
    report.figure("  written for a record", written.all / records, "bytes");

    let idle = idle_day(options, place)?;
    report.figure("the program by itself in 24 hours", idle / 1e6, "MB");

    let day = media + written.all + idle;
    report.figure("bytes of an ordinary day", day / 1e6, "MB");
    let life = count(options.card_gb) * 1e9 * CARD_WRITES / (day * CARD_FACTOR) / 365.0;
    report.note(&format!(
        "a card of {} GB, {CARD_WRITES} writes a cell, {CARD_FACTOR} bytes written by it for each",
        options.card_gb
    ));
    report.figure("life of such a card", life, "years");
    let kept = count(options.media_mib << 20) / media;
    report.figure("days of footage that its budget holds", kept, "days");
    Ok(())
}

/// Seconds that are recorded of a day, each moment once.
fn recorded_s(stage: &Stage, window_ns: u64) -> f64 {
    let mut suspicion = Suspicion::default();
    let mut spans: BTreeMap<u64, Vec<Span>> = BTreeMap::new();
    for event in &stage.events {
        if let Some(span) = suspicion.on_event(&event.stamp, &event.body) {
            spans.entry(event.stamp.boot).or_default().push(span);
        }
    }
    let alerts = stage
        .outcomes
        .iter()
        .filter_map(|(_, outcome)| match outcome {
            Outcome::Alert(alert) => request_of(alert, window_ns),
            _ => None,
        });
    for request in alerts {
        let span = Span {
            from_ns: request.from_ns,
            to_ns: request.to_ns,
        };
        spans.entry(request.cause.boot).or_default().push(span);
    }
    let mut nanoseconds = 0;
    for spans in spans.values_mut() {
        spans.sort_by_key(|span| span.from_ns);
        let mut until = 0;
        for span in spans {
            nanoseconds += span
                .to_ns
                .max(until)
                .saturating_sub(span.from_ns.max(until));
            until = until.max(span.to_ns);
        }
    }
    count(nanoseconds) / 1e9
}

struct Written {
    all: f64,
    log: f64,
}

/// Puts a day into a log on the disk, record by record, with the index behind it.
fn log_of(stage: &Stage, place: &Place) -> Result<Written> {
    let folder = place.folder()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (store, _) = Store::open(folder.path(), StoreOptions::default())?;
    let index = store.index();
    runtime.block_on(index.caught_up(store.last_seq()));
    let before = written_by_this_process()?;
    let mut found = stage.outcomes.iter().peekable();
    for event in &stage.events {
        let appended = store.append(&[Record::Event(event.clone())], Urgency::Now)?;
        runtime.block_on(store.durable_through(appended.last))?;
        let second = stage_second(event.stamp);
        while let Some((_, outcome)) = found.next_if(|(at, _)| *at <= second) {
            let (record, urgent) = match outcome.clone() {
                Outcome::Alert(alert) => (Record::Alert(alert), true),
                Outcome::Finding(finding) => (Record::Finding(finding), false),
                Outcome::Notice(notice) => (Record::Notice(notice), false),
                Outcome::NotJudged(not_judged) => (Record::NotJudged(not_judged), false),
            };
            let appended = if urgent {
                store.append_with(Urgency::Now, |numbers| {
                    let lane_seq = numbers.next(Lane::Urgent);
                    let message = super::events::message(&store, lane_seq, event.stamp);
                    vec![record.clone(), message]
                })?
            } else {
                store.append(&[record], Urgency::Now)?
            };
            runtime.block_on(store.durable_through(appended.last))?;
        }
    }
    runtime.block_on(index.caught_up(store.last_seq()));
    let log = store.usage().bytes_written;
    store.close();
    Ok(Written {
        all: count(written_by_this_process()? - before),
        log: count(log),
    })
}

/// What the program writes in 24 hours in which nothing happens.
fn idle_day(options: &Options, place: &Place) -> Result<f64> {
    let broker = Mosquitto::start("")?;
    let register = Register::with_drawer(place, Some(&broker))?;
    let gateway = Gateway::start(place, &register.config, &[])?;
    pause(SETTLED);
    let before = gateway.written_to_disk()?;
    pause(Duration::from_secs(options.idle_seconds));
    let written = gateway.written_to_disk()? - before;
    gateway.stop()?;
    Ok(count(written) * 86_400.0 / count(options.idle_seconds))
}

/// When something is, on the stage's clock.
fn stage_second(stamp: Stamp) -> f64 {
    count(stamp.monotonic_ns) / 1e9 - crate::stage::UPTIME_S
}
