//! From raw edges to openings, closings and kicks. Pure: time is passed in, nanoseconds
//! of any monotonic clock.

use super::Level;

/// Contact bounce of the sense switch, nanoseconds.
pub const DEFAULT_SENSE_DEBOUNCE_NS: u64 = 10_000_000;
/// Shortest sense debounce that filters anything, nanoseconds.
pub const MIN_SENSE_DEBOUNCE_NS: u64 = 5_000_000;
/// Longest sense debounce that delays nobody, nanoseconds.
pub const MAX_SENSE_DEBOUNCE_NS: u64 = 20_000_000;
/// A switch that has not come to rest after this long is taken as open, nanoseconds: a
/// closed drawer does not chatter, and a witness must not be silenced by a loose contact.
pub const CHATTER_NS: u64 = 500_000_000;

/// Bounce of the kick line, nanoseconds.
pub const KICK_DEBOUNCE_NS: u64 = 1_000_000;
/// A pulse shorter than this moves no solenoid, nanoseconds.
pub const KICK_MIN_NS: u64 = 5_000_000;
/// Pulses that follow one another within this belong to one kick, nanoseconds: a drawer
/// needs 30–300 ms to open, and nobody closes it meanwhile.
pub const KICK_TRAIN_NS: u64 = 300_000_000;
/// A pulse longer than this is no command of any printer (`ESC p` 510 ms, `DLE DC4` 800
/// ms) but a stuck or shorted line, nanoseconds.
pub const KICK_HELD_NS: u64 = 1_000_000_000;

/// Open or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DrawerState {
    /// The drawer is open.
    Open,
    /// The drawer is closed.
    Closed,
}

/// The drawer changed, or was found in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawerChange {
    /// The new state.
    pub state: DrawerState,
    /// The first edge of the change, or the time it was found, nanoseconds.
    pub at_ns: u64,
    /// Read from the line's level (at start, after a reopening), not seen happening.
    pub initial: bool,
}

/// The sense line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenseConfig {
    /// The level that means open.
    pub open_level: Level,
    /// Time the level must rest, nanoseconds; brought into 5–20 ms.
    pub debounce_ns: u64,
}

impl SenseConfig {
    /// Default debounce (10 ms).
    pub fn new(open_level: Level) -> Self {
        Self {
            open_level,
            debounce_ns: DEFAULT_SENSE_DEBOUNCE_NS,
        }
    }
}

/// What the sense debouncer counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SenseCounters {
    /// Raw edges.
    pub edges: u64,
    /// Settled openings and closings.
    pub changes: u64,
    /// Bursts of edges that ended in the state they began with.
    pub glitches: u64,
    /// Times the switch did not come to rest within [`CHATTER_NS`].
    pub chatter: u64,
}

#[derive(Debug, Clone, Copy)]
struct Burst {
    first_ns: u64,
    last_ns: u64,
    level: Level,
}

/// Debounces the sense line.
#[derive(Debug, Clone)]
pub struct SenseDebouncer {
    open_level: Level,
    debounce_ns: u64,
    settled: Option<DrawerState>,
    burst: Option<Burst>,
    counters: SenseCounters,
}

impl SenseDebouncer {
    /// Nothing is known until [`found`](Self::found) or an edge.
    pub fn new(config: SenseConfig) -> Self {
        Self {
            open_level: config.open_level,
            debounce_ns: config
                .debounce_ns
                .clamp(MIN_SENSE_DEBOUNCE_NS, MAX_SENSE_DEBOUNCE_NS),
            settled: None,
            burst: None,
            counters: SenseCounters::default(),
        }
    }

    /// The settled state.
    pub fn state(&self) -> Option<DrawerState> {
        self.settled
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &SenseCounters {
        &self.counters
    }

    fn state_of(&self, level: Level) -> DrawerState {
        if level == self.open_level {
            DrawerState::Open
        } else {
            DrawerState::Closed
        }
    }

    /// The line's level was read: at start, after a reopening, after lost edges. Reports
    /// the state when it is the first or differs from the settled one.
    pub fn found(&mut self, level: Level, at_ns: u64) -> Option<DrawerChange> {
        let state = self.state_of(level);
        self.burst = None;
        if self.settled == Some(state) {
            return None;
        }
        self.settled = Some(state);
        Some(DrawerChange {
            state,
            at_ns,
            initial: true,
        })
    }

    /// An edge to `level`. May settle what came before it; at most one change each call.
    pub fn edge(&mut self, level: Level, at_ns: u64) -> Option<DrawerChange> {
        let change = self.poll(at_ns);
        self.counters.edges += 1;
        match &mut self.burst {
            Some(burst) => {
                burst.last_ns = at_ns;
                burst.level = level;
            }
            None => {
                self.burst = Some(Burst {
                    first_ns: at_ns,
                    last_ns: at_ns,
                    level,
                });
            }
        }
        change
    }

    /// When [`poll`](Self::poll) next has something to do.
    pub fn deadline(&self) -> Option<u64> {
        self.burst.map(|burst| {
            let rest = burst.last_ns.saturating_add(self.debounce_ns);
            rest.min(burst.first_ns.saturating_add(CHATTER_NS))
        })
    }

    /// Lets time pass.
    pub fn poll(&mut self, now_ns: u64) -> Option<DrawerChange> {
        let burst = self.burst?;
        let rested = now_ns >= burst.last_ns.saturating_add(self.debounce_ns);
        let state = if rested {
            self.state_of(burst.level)
        } else if now_ns >= burst.first_ns.saturating_add(CHATTER_NS) {
            self.counters.chatter += 1;
            DrawerState::Open
        } else {
            return None;
        };
        self.burst = if rested {
            None
        } else {
            // Still restless: what it does from here on is another story.
            Some(Burst {
                first_ns: now_ns,
                ..burst
            })
        };
        if self.settled == Some(state) {
            self.counters.glitches += u64::from(rested);
            return None;
        }
        self.settled = Some(state);
        self.counters.changes += 1;
        Some(DrawerChange {
            state,
            at_ns: burst.first_ns,
            initial: false,
        })
    }
}

/// The kick line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KickConfig {
    /// The level during a pulse. The printer's output is an open collector, so that an
    /// undisturbed tap sees low; an optocoupler may invert it.
    pub active_level: Level,
}

/// What happened on the kick line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KickChange {
    /// A kick: its pulse has lasted [`KICK_MIN_NS`]. Reported then, not at its end,
    /// because the drawer opens 30–300 ms after it began.
    Started {
        /// First edge of the pulse, nanoseconds.
        at_ns: u64,
    },
    /// The kick is over: no further pulse within [`KICK_TRAIN_NS`]. Several pulses that
    /// close together are one kick, because they can open the drawer only once.
    Ended {
        /// First edge of the first pulse, nanoseconds.
        at_ns: u64,
        /// Last edge of the last pulse, nanoseconds.
        ended_ns: u64,
        /// Time the line was active in total, nanoseconds.
        active_ns: u64,
        /// Valid pulses.
        pulses: u32,
    },
    /// The line has been active for [`KICK_HELD_NS`]: a fault or a shorted wire.
    Held {
        /// First edge of the pulse, nanoseconds.
        at_ns: u64,
    },
}

/// At most this many changes come of one call.
pub const MAX_KICK_CHANGES: usize = 4;
/// The changes of one call, in order.
pub type KickChanges = heapless::Vec<KickChange, MAX_KICK_CHANGES>;

/// What the kick detector counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KickCounters {
    /// Raw edges.
    pub edges: u64,
    /// Kicks (trains of pulses count once).
    pub kicks: u64,
    /// Valid pulses.
    pub pulses: u64,
    /// Pulses shorter than [`KICK_MIN_NS`].
    pub noise: u64,
}

#[derive(Debug, Clone, Copy)]
struct Pulse {
    start_ns: u64,
    /// The line went inactive; the pulse is over unless it returns within the debounce.
    end_ns: Option<u64>,
    valid: bool,
    held: bool,
}

#[derive(Debug, Clone, Copy)]
struct Train {
    start_ns: u64,
    end_ns: u64,
    active_ns: u64,
    pulses: u32,
}

/// Finds kicks on the kick line.
#[derive(Debug, Clone)]
pub struct KickDetector {
    active_level: Level,
    pulse: Option<Pulse>,
    train: Option<Train>,
    counters: KickCounters,
}

impl KickDetector {
    /// The line is taken as inactive until an edge says otherwise.
    pub fn new(config: KickConfig) -> Self {
        Self {
            active_level: config.active_level,
            pulse: None,
            train: None,
            counters: KickCounters::default(),
        }
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &KickCounters {
        &self.counters
    }

    /// The line's level was read: at start, after a reopening, after lost edges. An active
    /// line begins a pulse now, so that a line that is stuck is noticed.
    pub fn found(&mut self, level: Level, at_ns: u64) -> KickChanges {
        let active = level == self.active_level;
        let in_pulse = self.pulse.is_some_and(|pulse| pulse.end_ns.is_none());
        if active == in_pulse {
            self.poll(at_ns)
        } else {
            self.edge(level, at_ns)
        }
    }

    /// An edge to `level`.
    pub fn edge(&mut self, level: Level, at_ns: u64) -> KickChanges {
        let changes = self.poll(at_ns);
        self.counters.edges += 1;
        if level == self.active_level {
            match &mut self.pulse {
                // Back within the debounce (poll would have ended it otherwise).
                Some(pulse) => pulse.end_ns = None,
                None => {
                    self.pulse = Some(Pulse {
                        start_ns: at_ns,
                        end_ns: None,
                        valid: false,
                        held: false,
                    });
                }
            }
        } else if let Some(pulse) = &mut self.pulse {
            pulse.end_ns.get_or_insert(at_ns);
        }
        changes
    }

    /// When [`poll`](Self::poll) next has something to do.
    pub fn deadline(&self) -> Option<u64> {
        match (self.pulse, self.train) {
            (None, None) => None,
            (None, Some(train)) => Some(train.end_ns.saturating_add(KICK_TRAIN_NS)),
            (Some(pulse), _) => match pulse.end_ns {
                Some(end) => Some(end.saturating_add(KICK_DEBOUNCE_NS)),
                None if !pulse.valid => Some(pulse.start_ns.saturating_add(KICK_MIN_NS)),
                None if !pulse.held => Some(pulse.start_ns.saturating_add(KICK_HELD_NS)),
                None => None,
            },
        }
    }

    /// Lets time pass.
    pub fn poll(&mut self, now_ns: u64) -> KickChanges {
        let mut changes = KickChanges::new();
        // Capacity: a train's end, a pulse's start, held, the train's end again.
        let mut report = |change| {
            let _ = changes.push(change);
        };
        if let Some(mut pulse) = self.pulse {
            let until = pulse.end_ns.unwrap_or(now_ns);
            let lasted = until.saturating_sub(pulse.start_ns);
            if lasted >= KICK_MIN_NS && !pulse.valid {
                pulse.valid = true;
                self.counters.pulses += 1;
                let continues = self.train.is_some_and(|train| {
                    pulse.start_ns < train.end_ns.saturating_add(KICK_TRAIN_NS)
                });
                if !continues {
                    if let Some(train) = self.train.take() {
                        report(train.ended());
                    }
                    self.counters.kicks += 1;
                    self.train = Some(Train {
                        start_ns: pulse.start_ns,
                        end_ns: pulse.start_ns,
                        active_ns: 0,
                        pulses: 0,
                    });
                    report(KickChange::Started {
                        at_ns: pulse.start_ns,
                    });
                }
            }
            if lasted >= KICK_HELD_NS && !pulse.held {
                pulse.held = true;
                report(KickChange::Held {
                    at_ns: pulse.start_ns,
                });
            }
            self.pulse = Some(pulse);
            if let Some(end) = pulse.end_ns
                && now_ns >= end.saturating_add(KICK_DEBOUNCE_NS)
            {
                self.pulse = None;
                if !pulse.valid {
                    self.counters.noise += 1;
                } else if let Some(train) = &mut self.train {
                    train.end_ns = end;
                    train.active_ns += lasted;
                    train.pulses += 1;
                }
            }
        }
        if self.pulse.is_none()
            && let Some(train) = self.train
            && now_ns >= train.end_ns.saturating_add(KICK_TRAIN_NS)
        {
            self.train = None;
            report(train.ended());
        }
        changes
    }
}

impl Train {
    fn ended(&self) -> KickChange {
        KickChange::Ended {
            at_ns: self.start_ns,
            ended_ns: self.end_ns,
            active_ns: self.active_ns,
            pulses: self.pulses,
        }
    }
}

#[cfg(test)]
mod tests;
