//! Playing a schedule against a register, in real time, faster, or at once.

use crate::run::{Facts, Run};
use crate::timeline::{Action, Device, Line, Schedule, What};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The register that a player plays against: whatever listens to its wires.
pub trait Register {
    /// A line of the drawer's connector has this level now.
    fn edge(&mut self, line: Line, high: bool);
    /// Bytes go to the printer.
    fn print(&mut self, bytes: &[u8]);
    /// The till publishes an event on `pos/events/{store}/{topic_kind}`.
    fn pos(&mut self, topic_kind: &str, json: &str);
    /// A plug is pulled or put in.
    fn plug(&mut self, device: Device, connected: bool);
}

/// Which levels the lines have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wiring {
    /// The sense switch is high while the drawer is open. Both kinds exist in the field.
    pub open_is_high: bool,
    /// The kick line is high while it is pulsed.
    pub pulse_is_high: bool,
}

impl Default for Wiring {
    fn default() -> Self {
        Self {
            open_is_high: true,
            pulse_is_high: true,
        }
    }
}

impl Wiring {
    /// The level of a line in a state.
    #[must_use]
    pub const fn level(self, line: Line, active: bool) -> bool {
        let active_is_high = match line {
            Line::Sense => self.open_is_high,
            Line::Kick => self.pulse_is_high,
        };
        active == active_is_high
    }
}

/// Stops a player, from any thread, also in the middle of a pause.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Not stopped yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops for good.
    pub fn stop(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits that long or until stopped.
    pub fn wait(&self, time: Duration) {
        let guard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A poisoned flag is still a flag.
        let _ = self
            .0
            .1
            .wait_timeout_while(guard, time, |stopped| !*stopped);
    }
}

/// Where a player takes its time from.
pub trait Clock {
    /// Monotonic time since any fixed moment.
    fn now(&self) -> Duration;
    /// Microseconds since 1970, UTC.
    fn utc_us(&self) -> i64;
    /// Returns at the moment `until` of [`now`](Self::now), or when stopped.
    fn wait_until(&mut self, until: Duration, stop: &Stop);
}

/// The system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn utc_us(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_micros()).ok())
            .unwrap_or(0)
    }

    fn wait_until(&mut self, until: Duration, stop: &Stop) {
        stop.wait(until.saturating_sub(self.now()));
    }
}

/// A clock that jumps to what it is asked to wait for.
#[derive(Debug, Clone, Copy)]
pub struct JumpClock {
    now: Duration,
    epoch_us: i64,
}

impl JumpClock {
    /// Begins at a moment in microseconds since 1970, UTC.
    #[must_use]
    pub const fn starting_at(utc_us: i64) -> Self {
        Self {
            now: Duration::ZERO,
            epoch_us: utc_us,
        }
    }
}

impl Default for JumpClock {
    /// Begins on 2025-10-04 at 14:34:15 UTC.
    fn default() -> Self {
        Self::starting_at(1_759_588_455_000_000)
    }
}

impl Clock for JumpClock {
    fn now(&self) -> Duration {
        self.now
    }

    fn utc_us(&self) -> i64 {
        self.epoch_us + i64::try_from(self.now.as_micros()).unwrap_or(0)
    }

    fn wait_until(&mut self, until: Duration, _stop: &Stop) {
        self.now = self.now.max(until);
    }
}

/// What a register was given, as a player tells those who watch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A line's level.
    Edge {
        /// Which line.
        line: Line,
        /// Its level.
        high: bool,
    },
    /// Bytes to the printer.
    Print(Vec<u8>),
    /// An event of the till.
    Pos {
        /// The last level of its topic.
        topic_kind: String,
        /// The body.
        json: String,
    },
    /// A plug.
    Plug {
        /// Whose.
        device: Device,
        /// Put in.
        connected: bool,
    },
}

/// How playing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Playing {
    /// Everything happened.
    Finished,
    /// It was stopped before.
    Stopped,
}

/// Plays schedules. Each one is a round with its own tickets, staff and event ids.
#[derive(Debug)]
pub struct Player<C> {
    run: Run,
    clock: C,
    speed: f64,
    wiring: Wiring,
    stop: Stop,
    round: u32,
    serial: u64,
}

impl<C: Clock> Player<C> {
    /// Plays at normal speed, with the default wiring.
    #[must_use]
    pub fn new(run: Run, clock: C) -> Self {
        Self {
            run,
            clock,
            speed: 1.0,
            wiring: Wiring::default(),
            stop: Stop::new(),
            round: 0,
            serial: 0,
        }
    }

    /// Plays faster (2.0: twice as fast) or slower. A rule's windows do not shrink with it, so
    /// expectations only hold at 1.0. Anything but a positive finite number counts as 1.0.
    #[must_use]
    pub fn with_speed(mut self, speed: f64) -> Self {
        self.speed = if speed.is_finite() && speed > 0.0 {
            speed
        } else {
            1.0
        };
        self
    }

    /// With other levels.
    #[must_use]
    pub fn with_wiring(mut self, wiring: Wiring) -> Self {
        self.wiring = wiring;
        self
    }

    /// Stops when this does.
    #[must_use]
    pub fn with_stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// What stops it.
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Its clock.
    pub fn clock(&self) -> &C {
        &self.clock
    }

    /// Waits between schedules.
    pub fn pause(&mut self, time: Duration) -> Playing {
        let until = self.clock.now() + time;
        self.clock.wait_until(until, &self.stop);
        self.ending()
    }

    /// Puts both lines at rest: drawer closed, no pulse. A register calls for this once, before
    /// the first schedule, so that it knows its levels.
    pub fn rest(&self, register: &mut dyn Register) {
        for line in [Line::Sense, Line::Kick] {
            register.edge(line, self.wiring.level(line, false));
        }
    }

    /// Plays a schedule to its end.
    pub fn play(&mut self, schedule: &Schedule, register: &mut dyn Register) -> Playing {
        self.play_watched(schedule, register, &mut |_, _, _| {})
    }

    /// The same, telling `watch` what happens: the time in the schedule, the action, and what the
    /// register was given.
    pub fn play_watched(
        &mut self,
        schedule: &Schedule,
        register: &mut dyn Register,
        watch: &mut dyn FnMut(Duration, &Action, &Happened),
    ) -> Playing {
        let start = self.clock.now();
        let mut said_last: BTreeMap<u32, (String, String)> = BTreeMap::new();
        for (at, action) in schedule {
            let until = start + at.div_f64(self.speed);
            self.clock.wait_until(until, &self.stop);
            if self.stop.is_stopped() {
                return Playing::Stopped;
            }
            let Some(happened) = self.happen(action, &mut said_last) else {
                continue;
            };
            match &happened {
                Happened::Edge { line, high } => register.edge(*line, *high),
                Happened::Print(bytes) => register.print(bytes),
                Happened::Pos { topic_kind, json } => register.pos(topic_kind, json),
                Happened::Plug { device, connected } => register.plug(*device, *connected),
            }
            watch(*at, action, &happened);
        }
        self.round += 1;
        self.ending()
    }

    fn ending(&self) -> Playing {
        if self.stop.is_stopped() {
            Playing::Stopped
        } else {
            Playing::Finished
        }
    }

    fn happen(
        &mut self,
        action: &Action,
        said_last: &mut BTreeMap<u32, (String, String)>,
    ) -> Option<Happened> {
        let mut facts = Facts {
            run: &self.run,
            round: self.round,
            occasion: action.occasion,
            utc_us: self.clock.utc_us(),
            serial: &mut self.serial,
        };
        Some(match &action.what {
            What::Edge { line, active } => Happened::Edge {
                line: *line,
                high: self.wiring.level(*line, *active),
            },
            What::Print(job) => Happened::Print(job.bytes(&mut facts)),
            What::Pos(template) => {
                let message = template.fill(&mut facts);
                let said = (message.topic_kind.to_owned(), message.json);
                said_last.insert(action.occasion, said.clone());
                Happened::Pos {
                    topic_kind: said.0,
                    json: said.1,
                }
            }
            What::PosAgain => {
                let (topic_kind, json) = said_last.get(&action.occasion)?.clone();
                Happened::Pos { topic_kind, json }
            }
            What::Plug { device, connected } => Happened::Plug {
                device: *device,
                connected: *connected,
            },
        })
    }
}

/// A register that only remembers, for tests. It grows with what is played.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    /// Everything, in order.
    pub happened: Vec<Happened>,
}

impl Recorder {
    /// All bytes for the printer, as one stream.
    #[must_use]
    pub fn printed(&self) -> Vec<u8> {
        let bytes = self.happened.iter().filter_map(|h| match h {
            Happened::Print(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        bytes.flatten().copied().collect()
    }

    /// All events of the till: topic and body.
    pub fn pos_events(&self) -> impl Iterator<Item = (&str, &str)> {
        self.happened.iter().filter_map(|h| match h {
            Happened::Pos { topic_kind, json } => Some((topic_kind.as_str(), json.as_str())),
            _ => None,
        })
    }
}

impl Register for Recorder {
    fn edge(&mut self, line: Line, high: bool) {
        self.happened.push(Happened::Edge { line, high });
    }

    fn print(&mut self, bytes: &[u8]) {
        self.happened.push(Happened::Print(bytes.to_owned()));
    }

    fn pos(&mut self, topic_kind: &str, json: &str) {
        self.happened.push(Happened::Pos {
            topic_kind: topic_kind.to_owned(),
            json: json.to_owned(),
        });
    }

    fn plug(&mut self, device: Device, connected: bool) {
        self.happened.push(Happened::Plug { device, connected });
    }
}
