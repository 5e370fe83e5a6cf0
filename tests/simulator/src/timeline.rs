//! When what happens: actions, schedules, days, and the physics of a drawer.

use crate::escpos::{Job, KickPin};
use crate::pos::PosTemplate;
use crate::receipt::{self, KICK_OFF_MS, KickAt, Receipt};
use crate::run::{Facts, Template};
use crate::story::{Step, Story, StoryError, What as Do};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// From a command on the wire to the printer acting on it.
pub const PRINTER_LATENCY: Duration = Duration::from_millis(20);
/// What one line of paper takes (150 mm/s).
pub const LINE_TIME: Duration = Duration::from_millis(28);
/// Contact edges of an opening drawer, microseconds after the first; odd in number, so that the
/// last one holds.
const OPENING_BOUNCE_US: [u64; 5] = [0, 600, 1_300, 2_100, 3_900];
/// A drawer pushed shut springs back more.
const CLOSING_BOUNCE_US: [u64; 7] = [0, 400, 1_500, 1_900, 3_200, 4_100, 6_500];

/// A line of the drawer's connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// The sense switch, pin 3. Active while the drawer is open.
    Sense,
    /// The kick line, pin 2. Active while it is pulsed.
    Kick,
}

/// What can be unplugged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The printer's line.
    Printer,
    /// The drawer's sense switch.
    Sense,
    /// The kick line.
    Kick,
    /// The till's feed of events.
    Pos,
    /// The camera.
    Camera,
}

/// What is sent to the printer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrintJob {
    /// A receipt.
    Receipt {
        /// What stands on it.
        receipt: Box<Receipt>,
        /// Where its job kicks the drawer.
        kick: KickAt,
        /// Whether the paper is cut.
        cut: bool,
    },
    /// A kick and nothing else.
    Kick {
        /// Which drawer.
        pin: KickPin,
        /// The pulse in milliseconds.
        on_ms: u16,
        /// `DLE DC4` instead of `ESC p`.
        real_time: bool,
    },
    /// A text for the customer display on the same wire.
    Display(Template),
}

impl PrintJob {
    /// Its bytes, as of now.
    #[must_use]
    pub fn bytes(&self, facts: &mut Facts<'_>) -> Vec<u8> {
        match self {
            Self::Receipt { receipt, kick, cut } => receipt::job(receipt, *kick, *cut, facts),
            Self::Kick {
                pin,
                on_ms,
                real_time: false,
            } => Job::new().kick(*pin, *on_ms, KICK_OFF_MS).into_bytes(),
            Self::Kick { pin, on_ms, .. } => Job::new().kick_now(*pin, *on_ms).into_bytes(),
            Self::Display(text) => Job::new().display(&text.fill(facts)).into_bytes(),
        }
    }
}

/// One thing that happens at the register.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A line changes.
    Edge {
        /// Which.
        line: Line,
        /// Open, or pulsed. The level depends on the wiring.
        active: bool,
    },
    /// Bytes go to the printer.
    Print(PrintJob),
    /// The till reports something.
    Pos(PosTemplate),
    /// The story's last event of the till comes once more, byte for byte, as a broker sends it
    /// again.
    PosAgain,
    /// A plug is pulled or put in.
    Plug {
        /// Whose.
        device: Device,
        /// Put in.
        connected: bool,
    },
}

/// What happens, with the story it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// The story's name.
    pub story: Arc<str>,
    /// Which story of the day, from 0.
    pub occasion: u32,
    /// What happens.
    pub what: What,
}

/// Times since the start and what happens then, ascending.
pub type Schedule = Vec<(Duration, Action)>;

/// How a drawer moves: when it settles open (`true`) or closed.
pub(crate) type Movements = Vec<(Duration, bool)>;

/// Everything a step leads to.
#[derive(Debug, Default)]
struct Physics {
    happens: Vec<(Duration, What)>,
    movements: Movements,
}

impl Physics {
    fn push(&mut self, at: Duration, what: What) {
        self.happens.push((at, what));
    }

    fn drawer(&mut self, at: Duration, open: bool) {
        let bounce: &[u64] = if open {
            &OPENING_BOUNCE_US
        } else {
            &CLOSING_BOUNCE_US
        };
        let mut active = open;
        for us in bounce {
            let edge = What::Edge {
                line: Line::Sense,
                active,
            };
            self.push(at + Duration::from_micros(*us), edge);
            active = !active;
        }
        self.movements.push((at, open));
    }

    /// The pulse, and the drawer that springs open `travel` after its end.
    fn pulse(&mut self, at: Duration, on: Duration, travel: Option<Duration>) {
        for (at, active) in [(at, true), (at + on, false)] {
            let line = Line::Kick;
            self.push(at, What::Edge { line, active });
        }
        if let Some(travel) = travel {
            self.drawer(at + on + travel, true);
        }
    }

    fn step(&mut self, step: &Step) {
        let at = Duration::from_millis(step.at_ms);
        match &step.what {
            Do::Kick(kick) => {
                let on = Duration::from_millis(u64::from(kick.on_ms));
                if kick.command {
                    let job = PrintJob::Kick {
                        pin: kick.pin,
                        on_ms: kick.on_ms,
                        real_time: kick.real_time,
                    };
                    self.push(at, What::Print(job));
                }
                if kick.pulse {
                    let travel = Duration::from_millis(u64::from(kick.travel_ms));
                    self.pulse(at + PRINTER_LATENCY, on, kick.opens.then_some(travel));
                }
            }
            Do::DrawerOpen {} => self.drawer(at, true),
            Do::DrawerClose {} => self.drawer(at, false),
            Do::Print(print) => {
                let job = PrintJob::Receipt {
                    receipt: print.receipt.clone(),
                    kick: print.kick,
                    cut: print.cut,
                };
                self.push(at, What::Print(job));
                let lines = u32::try_from(print.receipt.items.len()).unwrap_or(u32::MAX);
                let after = match print.kick {
                    KickAt::Never => return,
                    KickAt::Start => Duration::ZERO,
                    // Header, totals and footer take about twelve lines.
                    KickAt::End => LINE_TIME.saturating_mul(lines.saturating_add(12)),
                };
                let on = Duration::from_millis(u64::from(receipt::KICK_ON_MS));
                let travel = Duration::from_millis(u64::from(print.travel_ms));
                self.pulse(at + PRINTER_LATENCY + after, on, Some(travel));
            }
            Do::Display { text } => self.push(at, What::Print(PrintJob::Display(text.clone()))),
            Do::Pos { event } => self.push(at, What::Pos(event.clone())),
            Do::PosAgain {} => self.push(at, What::PosAgain),
            Do::Unplug { device } => self.plug(at, *device, false),
            Do::Replug { device } => self.plug(at, *device, true),
        }
    }

    fn plug(&mut self, at: Duration, device: Device, connected: bool) {
        self.push(at, What::Plug { device, connected });
    }
}

fn physics(story: &Story) -> Physics {
    let mut all = Physics::default();
    for step in &story.steps {
        all.step(step);
    }
    if !story.kick_line {
        all.happens.retain(|(_, what)| {
            !matches!(
                what,
                What::Edge {
                    line: Line::Kick,
                    ..
                }
            )
        });
    }
    all.movements.sort_by_key(|(at, _)| *at);
    all
}

/// When a story's drawer opens and closes.
pub(crate) fn movements(story: &Story) -> Movements {
    physics(story).movements
}

/// A story's schedule as the `occasion`-th of a day, `start` after the day's beginning.
fn schedule_from(story: &Story, start: Duration, occasion: u32) -> Schedule {
    let name: Arc<str> = story.name.as_str().into();
    let mut schedule: Schedule = physics(story)
        .happens
        .into_iter()
        .map(|(at, what)| {
            let action = Action {
                story: Arc::clone(&name),
                occasion,
                what,
            };
            (start + at, action)
        })
        .collect();
    // Stable: what happens at the same time stays in the story's order.
    schedule.sort_by_key(|(at, _)| *at);
    schedule
}

impl Story {
    /// What happens when.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        schedule_from(self, Duration::ZERO, 0)
    }
}

/// Stories on one timeline.
#[derive(Debug, Clone, Default)]
pub struct Day {
    stories: Vec<(Duration, Story)>,
}

/// When each story of the demo day begins, in milliseconds.
///
/// The rules that conclude from something missing look around: a no-sale is one only without any
/// sale from 10 s before to 20 s after it, a payment is unprinted only when nothing was printed
/// in the 30 s after it. So everything printed comes first, then the unprinted payment, then the
/// forced drawer (more than 15 s after the last kick command, for registers without a wired kick
/// line), and the no-sale last.
const DEMO_DAY_MS: [(&str, u64); 5] = [
    ("ordinary-sale", 0),
    ("void-repeat", 5_200),
    ("paperless-payment", 12_200),
    ("forced-opening", 19_200),
    ("no-sale", 23_700),
];

impl Day {
    /// How long to leave between two starts of the demo day, so that no rule of one sees the
    /// next.
    pub const DEMO_PERIOD: Duration = Duration::from_secs(60);

    /// A day without anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a story that begins at `start`.
    #[must_use]
    pub fn with(mut self, start: Duration, story: Story) -> Self {
        self.stories.push((start, story));
        self
    }

    /// Five stories within 30 seconds; see the names in [`Story::built_in`].
    ///
    /// # Errors
    /// [`StoryError`] of a built-in story; the tests read them all.
    pub fn demo() -> Result<Self, StoryError> {
        DEMO_DAY_MS.iter().try_fold(Self::new(), |day, (name, ms)| {
            Ok(day.with(Duration::from_millis(*ms), Story::built_in(name)?))
        })
    }

    /// The stories with their beginnings, in the order they were added: a story's place is the
    /// `occasion` of its actions.
    #[must_use]
    pub fn stories(&self) -> &[(Duration, Story)] {
        &self.stories
    }

    /// What happens when.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let mut schedule: Schedule = self
            .stories
            .iter()
            .zip(0..)
            .flat_map(|((start, story), occasion)| schedule_from(story, *start, occasion))
            .collect();
        schedule.sort_by_key(|(at, _)| *at);
        schedule
    }

    /// From the start until every rule has decided about every story.
    #[must_use]
    pub fn settled_after(&self) -> Duration {
        self.stories
            .iter()
            .map(|(start, story)| *start + story.settled_after())
            .max()
            .unwrap_or_default()
    }

    /// When the drawer moves, over all stories: `true` for open.
    #[must_use]
    pub fn drawer_movements(&self) -> Vec<(Duration, bool)> {
        let mut all: Movements = self
            .stories
            .iter()
            .flat_map(|(start, story)| {
                movements(story)
                    .into_iter()
                    .map(move |(at, open)| (*start + at, open))
            })
            .collect();
        all.sort_by_key(|(at, _)| *at);
        all
    }
}
