//! A drawer event behind a backlog of POS events: the program in this process with a real
//! Mosquitto. The drawer's debounced edge is handed to the intake, as the driver's thread does.
//!
//! Idle and loaded samples take turns. A loaded sample begins when every POS event has been offered:
//! the lane is full, and the rest waits for places in it.

use crate::broker::Mosquitto;
use crate::figures::{Report, Samples, count};
use crate::gateway::{Place, Register, wait_for};
use crate::inside::Inside;
use crate::mqtt::Subscriber;
use crate::till;
use anyhow::{Result, ensure};
use futures_util::future::join_all;
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tillwatch::Shared;
use tillwatch::clock::{monotonic_ns, wall_us};
use tillwatch::intake::Taken;
use tillwatch_protocol::pos::{ParseContext, parse_pos_event};
use tillwatch_protocol::{EventBody, Lane, PosEvent, Seq};
use tokio::sync::Notify;

#[derive(clap::Args)]
pub struct Options {
    /// Samples of each kind.
    #[arg(long, default_value_t = 200)]
    samples: u32,
    /// POS events in the backlog.
    #[arg(long, default_value_t = 5_000)]
    backlog: u64,
}

const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let broker = Mosquitto::start("")?;
    let register = Register::prepare(place, Some(&broker), "", "")?;
    let subscriber = Subscriber::start(broker.port, "#", 0, None)?;
    let inside = Inside::start(&register)?;
    let shared = &inside.shared;
    let (mut idle, mut loaded, mut waiting) =
        (Samples::default(), Samples::default(), Samples::default());
    let (mut idle_log, mut loaded_log) = (Samples::default(), Samples::default());
    let mut number = 0;
    for _ in 0..options.samples {
        quiet(shared)?;
        let sample = opening(&inside, &subscriber)?;
        idle.push_ms(sample.packet);
        idle_log.push_ms(sample.durable);

        let events = events(&mut number, options.backlog)?;
        quiet(shared)?;
        let backlog = Backlog::start(&inside, events);
        let before = backlog.taken();
        let sample = opening(&inside, &subscriber)?;
        waiting.push(count(options.backlog - backlog.taken()));
        inside.runtime.block_on(backlog.done())?;
        ensure!(
            before * 2 < options.backlog,
            "{before} events were taken before the edge: no backlog"
        );
        loaded.push_ms(sample.packet);
        loaded_log.push_ms(sample.durable);
    }
    inside.stop()?;
    report.note(&format!(
        "{} samples each; when the packet arrived, {:.0} of {} POS events still waited (median; fewest {:.0})",
        options.samples,
        waiting.median(),
        options.backlog,
        waiting.quantile(0.0)
    ));
    report.spread("idle: debounced edge to packet", &idle, "ms");
    report.spread(
        "behind the backlog: debounced edge to packet",
        &loaded,
        "ms",
    );
    report.spread("idle: debounced edge to alert on disk", &idle_log, "ms");
    report.spread(
        "behind the backlog: debounced edge to alert on disk",
        &loaded_log,
        "ms",
    );
    report.figure(
        "ratio of the medians, packet",
        loaded.median() / idle.median(),
        "",
    );
    report.figure(
        "ratio of the p99, alert on disk",
        loaded_log.p99() / idle_log.p99(),
        "",
    );
    report.at_most(
        "ratio of the p99, packet",
        loaded.p99() / idle.p99(),
        1.5,
        "",
    );
    Ok(())
}

/// Nothing waits: neither for the disk, nor for the index, nor for the broker.
fn quiet(shared: &Shared) -> Result<()> {
    wait_for(PATIENCE, "the gateway to have nothing to do", || {
        let usage = shared.store.usage();
        let quiet =
            usage.waiting_bytes == 0 && usage.index_lag == 0 && usage.outbox_depth == [0; 3];
        Ok(quiet.then_some(()))
    })
}

struct Sample {
    packet: Duration,
    durable: Duration,
}

fn opening(inside: &Inside, subscriber: &Subscriber) -> Result<Sample> {
    // The alert is on disk when its message is pending, which is what the uplink waits for.
    let number = inside.shared.store.outbox().next_numbers()[0];
    let durable = inside
        .runtime
        .spawn(pending(inside.shared.clone(), number, monotonic_ns()));
    let packet = inside.open_drawer(subscriber)?;
    let durable = inside.runtime.block_on(durable)?;
    inside.close_drawer()?;
    Ok(Sample { packet, durable })
}

/// Time until the message with this number of the urgent lane is on disk.
async fn pending(shared: Shared, number: u64, began: u64) -> Duration {
    let mut changed = shared.store.outbox().changed();
    loop {
        changed.mark_unchanged();
        let there = !shared
            .store
            .outbox()
            .pending(Lane::Urgent, number - 1, 1)
            .is_empty();
        // Acknowledged already: it came and went between two looks.
        let gone = shared.store.outbox().next_numbers()[0] > number
            && shared.store.outbox().depth()[0] == 0;
        if there || gone || changed.changed().await.is_err() {
            return Duration::from_nanos(monotonic_ns() - began);
        }
    }
}

/// Payments only: alerts of the till's own would stand before the drawer's, and rightly so.
fn events(number: &mut u64, count: u64) -> Result<Vec<PosEvent>> {
    let context = ParseContext {
        zone: TimeZone::UTC,
        minor_digits: 2,
    };
    let mut events = Vec::new();
    while (events.len() as u64) < count {
        let event = parse_pos_event(till::event(*number, wall_us()).as_bytes(), &context)?;
        *number += 1;
        if event.event_type.name() == "payment_cleared" {
            events.push(event);
        }
    }
    Ok(events)
}

/// POS events that all wait for the pipeline.
struct Backlog {
    taken: Arc<AtomicU64>,
    all: tokio::task::JoinHandle<()>,
    shared: Shared,
    last: Arc<AtomicU64>,
}

impl Backlog {
    /// Every event has been offered when this returns: the lane is full, and the rest waits for
    /// places in it.
    fn start(inside: &Inside, events: Vec<PosEvent>) -> Self {
        let (taken, last) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (offered, ready) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let total = events.len();
        let offers = events.into_iter().map(|event| {
            let (taken, last) = (taken.clone(), last.clone());
            let (offered, ready) = (offered.clone(), ready.clone());
            let shared = inside.shared.clone();
            async move {
                let body = EventBody::Pos(Box::new(event));
                let offer = shared.intake.bulk(shared.clock.stamp(), body);
                if offered.fetch_add(1, Ordering::Relaxed) + 1 == total {
                    ready.notify_one();
                }
                let Ok(answer) = offer.await else { return };
                if let Ok(Taken::New(seq)) = answer.await {
                    last.fetch_max(seq.0, Ordering::Relaxed);
                }
                taken.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Without the runtime's budget, so that all are offered at once.
        let all = tokio::task::unconstrained(join_all(offers.collect::<Vec<_>>()));
        let all = inside.runtime.spawn(async move {
            all.await;
        });
        inside.runtime.block_on(ready.notified());
        Self {
            taken,
            all,
            shared: inside.shared.clone(),
            last,
        }
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    async fn done(self) -> Result<()> {
        self.all.await?;
        self.shared
            .store
            .durable_through(Seq(self.last.load(Ordering::Relaxed)))
            .await?;
        Ok(())
    }
}
