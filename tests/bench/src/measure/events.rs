//! POS events as bytes in; read, scored and in the log, and what the detectors concluded with
//! them, on one core (`taskset` in the run script), as the pipeline does it.
//!
//! The reference, the same bytes read by `serde_json` into a `Value`, is measured between the
//! rounds. A round counts until its last record is on disk. Stamps are three seconds apart, so that
//! windows and deadlines of the detectors pass as on a busy day.

use crate::figures::{Report, Samples, count, per_second};
use crate::gateway::Place;
use crate::till;
use anyhow::{Result, ensure};
use jiff::tz::TimeZone;
use std::collections::VecDeque;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tillwatch::config::Config;
use tillwatch::health::Health;
use tillwatch::intake::{self, Taken};
use tillwatch::pipeline::{Pipeline, restore};
use tillwatch::sources::pos::{self, Origin, Pending};
use tillwatch::{Identity, Shared, clock::Clocks};
use tillwatch_detect::{Engine, Outcome};
use tillwatch_protocol::pos::{ParseContext, parse_pos_event};
use tillwatch_protocol::time::SECOND_NS;
use tillwatch_protocol::{
    Clock, Event, EventBody, Lane, OutboxEntry, Record, RegisterId, Seq, Stamp, StoreCode, Witness,
    WitnessState,
};
use tillwatch_store::{AppendError, Store, StoreOptions, Urgency};
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;

#[derive(clap::Args)]
pub struct Options {
    /// Events of one round.
    #[arg(long, default_value_t = 4_000)]
    round: u64,
    /// Rounds.
    #[arg(long, default_value_t = 25)]
    rounds: u64,
    /// Only this part, without the others (for counting instructions).
    #[arg(long, value_enum)]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Read, score, append.
    Judge,
    /// The reference.
    Json,
    /// The whole pipeline.
    Pipeline,
    /// Neither: only making the events, to subtract it.
    Nothing,
}

/// 2026-06-01, 08:00 UTC.
const BEGIN_US: i64 = 1_780_300_800_000_000;

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bodies: Vec<String> = (0..options.round * options.rounds)
        .map(|number| {
            till::event(
                number,
                BEGIN_US + i64::try_from(number).unwrap_or(0) * 3_000_000,
            )
        })
        .collect();
    let size = bodies.iter().map(String::len).sum::<usize>() / bodies.len();
    if options.only == Some(Part::Nothing) {
        return Ok(());
    }
    if options.only == Some(Part::Json) {
        for body in &bodies {
            read_json(body)?;
        }
        return Ok(());
    }
    if options.only == Some(Part::Pipeline) {
        let folder = place.folder()?;
        let rate = whole_pipeline(&runtime, folder.path(), &bodies)?;
        report.figure(
            "the whole pipeline with its index, accept to durable",
            rate,
            "events/s",
        );
        return Ok(());
    }
    let folder = place.folder()?;
    let mut register = Register::open(folder.path())?;
    let (mut ours, mut json) = (Samples::default(), Samples::default());
    let began = Instant::now();
    let mut judging = Duration::ZERO;
    for round in bodies.chunks(usize::try_from(options.round)?) {
        let start = Instant::now();
        for body in round {
            register.take(body.as_bytes(), &runtime)?;
        }
        register.durable(&runtime)?;
        judging += start.elapsed();
        ours.push(per_second(round.len(), start.elapsed()));
        if options.only.is_none() {
            let start = Instant::now();
            for body in round {
                read_json(body)?;
            }
            json.push(per_second(round.len(), start.elapsed()));
        }
    }
    if options.only.is_some() {
        return Ok(());
    }
    let reading = Duration::from_secs_f64(json_time(&json, options.round));
    runtime.block_on(register.store.index().caught_up(register.store.last_seq()));
    let with_index = began.elapsed() - reading;
    let usage = register.store.usage();
    report.note(&format!(
        "{} events of {size} bytes in rounds of {}; {} outcomes, {} alerts; {} groups, {} fdatasyncs",
        bodies.len(), options.round, register.outcomes, register.alerts, usage.groups, usage.fdatasyncs
    ));
    let sustained = per_second(bodies.len(), judging);
    report.at_least(
        "scored and in the log, sustained",
        sustained,
        20_000.0,
        "events/s",
    );
    report.figure("  median of the rounds", ours.median(), "events/s");
    report.figure("  slowest round", ours.quantile(0.0), "events/s");
    report.figure(
        "scored, in the log, and in the index",
        per_second(bodies.len(), with_index),
        "events/s",
    );
    report.figure(
        "serde_json, the same bytes (median of the rounds)",
        json.median(),
        "events/s",
    );
    report.figure(
        "ratio to serde_json (median of the rounds)",
        ours.median() / json.median(),
        "",
    );
    report.figure(
        "bytes to disk per event, index not counted",
        count(usage.bytes_written) / count(bodies.len()),
        "bytes",
    );
    register.store.close();

    // In a process of its own: what the first store left in memory and in the disk's queue is not
    // the pipeline's.
    let (round, rounds) = (options.round.to_string(), options.rounds.to_string());
    let mut pipeline = Command::new(std::env::current_exe()?);
    pipeline.args([
        "events", "--only", "pipeline", "--round", &round, "--rounds", &rounds,
    ]);
    ensure!(
        place.pass_on(&mut pipeline).status()?.success(),
        "the whole pipeline was not measured"
    );
    Ok(())
}

fn json_time(samples: &Samples, round: u64) -> f64 {
    // Rounds are equal, so their times add up from their rates.
    count(samples.len()) * count(round) / samples.median()
}

fn read_json(body: &str) -> Result<()> {
    let value: serde_json::Value = serde_json::from_slice(body.as_bytes())?;
    std::hint::black_box(value);
    Ok(())
}

/// What the pipeline's one task owns, with time passed in.
struct Register {
    store: Store,
    engine: Engine,
    context: ParseContext,
    found: Vec<Outcome>,
    now: Stamp,
    outcomes: u64,
    alerts: u64,
}

impl Register {
    fn open(folder: &std::path::Path) -> Result<Self> {
        let (store, _) = Store::open(folder, StoreOptions::default())?;
        let now = Stamp {
            boot: 1,
            monotonic_ns: SECOND_NS,
            utc_us: BEGIN_US,
            clock: Clock::Synced,
        };
        let engine = Engine::new(store.log_id());
        let context = ParseContext {
            zone: TimeZone::UTC,
            minor_digits: 2,
        };
        let mut register = Self {
            store,
            engine,
            context,
            found: Vec::new(),
            now,
            outcomes: 0,
            alerts: 0,
        };
        let witness = |witness, state| EventBody::Witness { witness, state };
        for body in [
            EventBody::Started {
                version: "bench".into(),
                store: StoreCode::new("S03")?,
                register: RegisterId::new("reg_02")?,
                demo: false,
            },
            EventBody::Settings(Box::default()),
            witness(Witness::DrawerSense, WitnessState::Alive),
            witness(Witness::KickLine, WitnessState::Alive),
            witness(Witness::Printer, WitnessState::Absent),
        ] {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            register.event(body, &runtime)?;
        }
        Ok(register)
    }

    fn take(&mut self, body: &[u8], runtime: &Runtime) -> Result<()> {
        let event = parse_pos_event(body, &self.context)?;
        self.now.monotonic_ns += 3 * SECOND_NS;
        self.now.utc_us += 3_000_000;
        self.event(EventBody::Pos(Box::new(event)), runtime)
    }

    fn event(&mut self, body: EventBody, runtime: &Runtime) -> Result<()> {
        let records = [Record::Event(Event {
            seq: Seq(0),
            stamp: self.now,
            body,
        })];
        let seq = self.append(&records, Urgency::Normal, runtime)?;
        let [Record::Event(mut event)] = records else {
            return Ok(());
        };
        event.seq = seq;
        self.engine.on_event(&event, &mut self.found);
        if self.found.is_empty() {
            return Ok(());
        }
        self.outcomes += count_of(self.found.len());
        let found = std::mem::take(&mut self.found);
        let urgent = found
            .iter()
            .any(|outcome| matches!(outcome, Outcome::Alert(_)));
        let urgency = if urgent {
            Urgency::Now
        } else {
            Urgency::Normal
        };
        let records: Vec<Record> = found
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Alert(alert) => {
                    self.alerts += 1;
                    Record::Alert(alert)
                }
                Outcome::Finding(finding) => Record::Finding(finding),
                Outcome::Notice(notice) => Record::Notice(notice),
                Outcome::NotJudged(not_judged) => Record::NotJudged(not_judged),
            })
            .collect();
        if !urgent {
            self.append(&records, urgency, runtime)?;
            return Ok(());
        }
        loop {
            let appended = self.store.append_with(urgency, |numbers| {
                let mut all = records.clone();
                let messages = records
                    .iter()
                    .filter(|record| matches!(record, Record::Alert(_)));
                all.extend(
                    messages.map(|_| message(&self.store, numbers.next(Lane::Urgent), self.now)),
                );
                all
            });
            match appended {
                Err(AppendError::Full { .. }) => runtime.block_on(self.store.room()),
                other => return Ok(other.map(drop)?),
            }
        }
    }

    fn append(&self, records: &[Record], urgency: Urgency, runtime: &Runtime) -> Result<Seq> {
        loop {
            match self.store.append(records, urgency) {
                Err(AppendError::Full { .. }) => runtime.block_on(self.store.room()),
                other => return Ok(other?.first),
            }
        }
    }

    /// Everything is on disk when this returns: the last record asks for it at once.
    fn durable(&mut self, runtime: &Runtime) -> Result<()> {
        let tick = [Record::Event(Event {
            seq: Seq(0),
            stamp: self.now,
            body: EventBody::Tick,
        })];
        let seq = self.append(&tick, Urgency::Now, runtime)?;
        Ok(runtime.block_on(self.store.durable_through(seq))?)
    }
}

fn count_of(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A message of an alert's usual size.
pub(super) fn message(store: &Store, lane_seq: u64, stamp: Stamp) -> Record {
    Record::Outbox(OutboxEntry {
        lane: Lane::Urgent,
        lane_seq,
        message_id: tillwatch_protocol::MessageId::derive(store.log_id(), Lane::Urgent, lane_seq),
        topic: "stores/S03/alerts".into(),
        content_type: "application/json".into(),
        stamp,
        payload: vec![b'x'; 1_500],
    })
}

/// How many POS events wait for the pipeline's answer at once; as many as an MQTT source has.
const WINDOW: usize = 100;

/// Accept, pipeline and store as the program runs them, with the clock of this machine.
fn whole_pipeline(runtime: &Runtime, folder: &std::path::Path, bodies: &[String]) -> Result<f64> {
    runtime.block_on(async {
        let running = Running::start(folder)?;
        let shared = &running.shared;
        let start = Instant::now();
        let mut waiting: VecDeque<oneshot::Receiver<Taken>> = VecDeque::new();
        let mut last = Seq(0);
        for body in bodies {
            let origin = Origin {
                source: "pos.mqtt",
                place: "pos/events/general",
                store: None,
            };
            if let Pending::Sent(taken) = pos::submit(shared, origin, body.as_bytes()).await? {
                waiting.push_back(taken);
            }
            while waiting.len() >= WINDOW {
                let Some(oldest) = waiting.pop_front() else {
                    break;
                };
                if let Taken::New(seq) = oldest.await? {
                    last = seq;
                }
            }
        }
        for taken in waiting {
            if let Taken::New(seq) = taken.await? {
                last = seq;
            }
        }
        shared.store.durable_through(last).await?;
        let rate = per_second(bodies.len(), start.elapsed());
        running.stop().await?;
        Ok(rate)
    })
}

/// A pipeline in this process.
pub struct Running {
    pub shared: Shared,
    stop: CancellationToken,
    pipeline: tokio::task::JoinHandle<Result<(), tillwatch::pipeline::PipelineError>>,
    _config: watch::Sender<Arc<Config>>,
}

impl Running {
    pub fn start(folder: &std::path::Path) -> Result<Self> {
        let (intake, lanes) = intake::lanes();
        let (shared, config) = shared(folder, intake)?;
        let restored = restore::restore(&shared.store, folder)?;
        let stop = CancellationToken::new();
        let pipeline =
            tokio::spawn(Pipeline::new(shared.clone(), restored).run(lanes, stop.clone()));
        Ok(Self {
            shared,
            stop,
            pipeline,
            _config: config,
        })
    }

    pub async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.pipeline.await??;
        self.shared.store.clone().close();
        Ok(())
    }
}

/// What the parts of a gateway share, over a store in `folder`.
pub fn shared(
    folder: &std::path::Path,
    intake: intake::Intake,
) -> Result<(Shared, watch::Sender<Arc<Config>>)> {
    let (store, _) = Store::open(folder, StoreOptions::default())?;
    let config = Config {
        data: folder.to_owned(),
        store_code: Some(StoreCode::new("S03")?),
        register_id: Some(RegisterId::new("reg_02")?),
        opening_hours: "00:00-23:59".into(),
        ..Config::default()
    };
    let (sender, config) = watch::channel(Arc::new(config));
    let (live, _) = broadcast::channel(tillwatch::live::LIVE_BACKLOG);
    let identity = Identity {
        store: StoreCode::new("S03")?,
        register: RegisterId::new("reg_02")?,
        demo: false,
    };
    let shared = Shared {
        config,
        identity: Arc::new(identity),
        clock: Clocks::new(store.boot_ordinal()),
        store,
        health: Arc::new(Health::default()),
        logins: Default::default(),
        intake,
        live,
        clips: None,
    };
    Ok((shared, sender))
}
