//! The drawer's sense and kick line: edges in, openings and kicks out, on one blocking thread.

use super::device::{PATIENCE, Reporter, Stop, keep_open};
use crate::Shared;
use crate::config::{Config, GpioBackend, LineBias, LineLevel};
use crate::health::part;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;
use tillwatch_drivers::backoff::Backoff;
use tillwatch_drivers::drawer::fifo::FifoEdges;
use tillwatch_drivers::drawer::line::{Bias, DrawerLines, LineConfig};
use tillwatch_drivers::drawer::watch::{DrawerEvent, DrawerWatch};
use tillwatch_drivers::drawer::{
    DrawerState, EdgeSource, KickChange, KickConfig, Level, LineRole, SenseConfig, Unreadable,
};
use tillwatch_drivers::{DriverError, ErrorKind};
use tillwatch_protocol::{EventBody, Notice, Quarantined, Witness, WitnessState, event};

/// Opens the lines; called again after every loss.
pub type OpenLines = Box<dyn FnMut() -> Result<Box<dyn EdgeSource>, DriverError> + Send>;

/// How the lines are read.
#[derive(Debug, Clone, Copy)]
pub struct Wiring {
    /// The sense line.
    pub sense: SenseConfig,
    /// The kick line.
    pub kick: KickConfig,
    /// Whether the kick line is wired.
    pub has_kick: bool,
}

impl Wiring {
    /// As configured.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let mut sense = SenseConfig::new(level(config.drawer.open_level));
        sense.debounce_ns = u64::from(config.drawer.debounce_ms) * 1_000_000;
        Self {
            sense,
            kick: KickConfig {
                active_level: level(config.kick.active_level),
            },
            has_kick: config.kick.line.is_some(),
        }
    }
}

fn level(level: LineLevel) -> Level {
    match level {
        LineLevel::High => Level::High,
        LineLevel::Low => Level::Low,
    }
}

/// The real lines of the configuration; `None` without a sense line.
///
/// # Errors
/// [`DriverError`] when a line is named in a way that no line can be.
pub fn configured(config: &Config) -> Result<Option<OpenLines>, DriverError> {
    let Some(sense) = &config.drawer.line else {
        return Ok(None);
    };
    let line = |spec: &str| -> Result<LineConfig, DriverError> {
        let mut line = LineConfig::new(spec.parse()?);
        line.bias = match config.drawer.bias {
            LineBias::AsIs => Bias::AsIs,
            LineBias::Up => Bias::PullUp,
            LineBias::Down => Bias::PullDown,
            LineBias::None => Bias::Disabled,
        };
        Ok(line)
    };
    let backend = config.drawer.backend;
    if backend == GpioBackend::Fifo {
        let (path, has_kick) = (PathBuf::from(sense), config.kick.line.is_some());
        return Ok(Some(Box::new(move || {
            Ok(Box::new(FifoEdges::open(&path, has_kick)?) as Box<dyn EdgeSource>)
        })));
    }
    let lines = DrawerLines {
        sense: line(sense)?,
        kick: config.kick.line.as_deref().map(line).transpose()?,
    };
    Ok(Some(Box::new(move || open(backend, &lines))))
}

fn open(backend: GpioBackend, lines: &DrawerLines) -> Result<Box<dyn EdgeSource>, DriverError> {
    match backend {
        GpioBackend::Gpiocdev | GpioBackend::Fifo => {
            let edges = tillwatch_drivers::drawer::gpiocdev::GpiocdevEdges::open(lines)?;
            Ok(Box::new(edges))
        }
        #[cfg(feature = "rppal")]
        GpioBackend::Rppal => Ok(Box::new(
            tillwatch_drivers::drawer::rppal::RppalEdges::open(lines)?,
        )),
        #[cfg(not(feature = "rppal"))]
        GpioBackend::Rppal => Err(DriverError::Config {
            device: lines.sense.line.to_string(),
            reason: "this build has no rppal backend; set drawer.backend = \"gpiocdev\"".into(),
        }),
    }
}

/// Starts the thread.
///
/// # Errors
/// The system has no more threads.
pub fn start(
    shared: Shared,
    what: (String, Option<String>),
    wiring: Wiring,
    mut open: OpenLines,
    stop: Stop,
) -> std::io::Result<JoinHandle<()>> {
    let mut witnesses = vec![(Witness::DrawerSense, part::DRAWER, what.0)];
    if wiring.has_kick {
        witnesses.push((Witness::KickLine, part::KICK, what.1.unwrap_or_default()));
    }
    let reporter = Reporter::new(shared, witnesses);
    std::thread::Builder::new()
        .name("drawer".into())
        .spawn(move || {
            let mut watch = None;
            keep_open(reporter, &stop, |reporter, backoff| {
                session(reporter, wiring, &mut open, &mut watch, backoff, &stop)
            });
        })
}

/// From opening to the next loss; `Ok` when the program ends.
fn session(
    reporter: &mut Reporter,
    wiring: Wiring,
    open: &mut OpenLines,
    watch: &mut Option<DrawerWatch<Box<dyn EdgeSource>>>,
    backoff: &mut Backoff,
    stop: &Stop,
) -> Result<(), DriverError> {
    let source = open()?;
    let watch = match watch {
        Some(watch) => {
            watch.reopened(source)?;
            watch
        }
        None => watch.insert(DrawerWatch::new(source, wiring.sense, wiring.kick)?),
    };
    backoff.opened(crate::clock::monotonic_ns());
    if !reporter.alive() {
        return Ok(());
    }
    while !stop.is_stopped() {
        match watch.next(PATIENCE) {
            Ok(Some(happened)) => {
                if !report(reporter, happened) {
                    return Ok(());
                }
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Retry => {
                std::thread::sleep(Duration::from_millis(1))
            }
            Err(error) => return Err(error),
        }
        if let Some(unreadable) = watch.unreadable() {
            quarantine(reporter, unreadable);
        }
    }
    Ok(())
}

/// Keeps what was no edge, so that somebody can see what was written there.
fn quarantine(reporter: &Reporter, unreadable: Unreadable) {
    let Unreadable { raw, size, lines } = unreadable;
    let shared = reporter.shared().clone();
    let line = shared.config.borrow().drawer.line.clone();
    let item = Quarantined {
        stamp: shared.clock.stamp(),
        source: "drawer".into(),
        reason: "unknown_line".into(),
        text: format!("{lines} lines that are no edges; write them like `sense high`"),
        origin: line.unwrap_or_default(),
        raw,
        size,
    };
    reporter.spawn(async move {
        if let Err(why) = super::pos::quarantine(&shared, item).await {
            tracing::warn!(%why, "lines of the drawer could not be quarantined");
        }
    });
}

/// False when the pipeline has stopped.
fn report(reporter: &Reporter, happened: DrawerEvent) -> bool {
    let shared = reporter.shared();
    let now = shared.clock.stamp();
    let (at_ns, body) = match happened {
        DrawerEvent::Changed(change) => {
            let state = match change.state {
                DrawerState::Open => event::DrawerState::Open,
                DrawerState::Closed => event::DrawerState::Closed,
            };
            (
                change.at_ns,
                EventBody::Drawer {
                    state,
                    initial: change.initial,
                },
            )
        }
        DrawerEvent::Kick(KickChange::Started { at_ns }) => (at_ns, EventBody::Kick),
        DrawerEvent::Kick(KickChange::Ended { .. }) => return true,
        DrawerEvent::Kick(KickChange::Held { at_ns }) => {
            let text = "the kick line is active all the time; look for a shorted wire or a wrong kick.active_level";
            let stamp = now.at_monotonic(at_ns);
            (
                at_ns,
                EventBody::Notice(Notice {
                    code: "kick_held".into(),
                    text: text.into(),
                    stamp,
                }),
            )
        }
        DrawerEvent::EdgesLost { role, count, at_ns } => {
            metrics::counter!("gpio_edges_lost_total").increment(u64::from(count));
            let witness = match role {
                LineRole::Sense => Witness::DrawerSense,
                LineRole::Kick => Witness::KickLine,
            };
            let reason = format!("the kernel lost {count} edges");
            (
                at_ns,
                EventBody::Witness {
                    witness,
                    state: WitnessState::Gap { reason },
                },
            )
        }
    };
    shared.intake.witness(now.at_monotonic(at_ns), body).is_ok()
}
