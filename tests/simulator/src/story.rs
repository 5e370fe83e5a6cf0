//! Stories: what happens at a register, and what a gateway should say about it.
//!
//! A story is a TOML file. Times are milliseconds from its beginning, money in minor units on
//! receipts and as the till writes it in events. A drawer is closed at the beginning and at the
//! end. Expectations hold inside opening hours, with default settings except for the story's own.

use crate::escpos::KickPin;
use crate::pos::PosTemplate;
use crate::receipt::{KICK_ON_MS, KickAt, Receipt};
use crate::run::Template;
use crate::timeline::{self, Device};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// Some rules look back (15 s for a drawer command, 10 s for a sale) and judge nothing unless the
/// witnesses were alive all that time: leave this long between the start of a register and a
/// story whose expectations are checked.
pub const WARM_UP: Duration = Duration::from_secs(30);
/// How long after its last step every rule has decided (the longest window is 30 s).
pub const SETTLE: Duration = Duration::from_secs(31);

/// What happens at a register, and what should be said about it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// Short, lower case, with hyphens; the name of its file.
    pub name: String,
    /// For headings.
    pub title: String,
    /// One sentence: what one sees here.
    pub description: String,
    /// Whether the kick line is wired.
    #[serde(default = "yes")]
    pub kick_line: bool,
    /// Detection settings that differ from the defaults, by their configuration names.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// What happens.
    pub steps: Vec<Step>,
    /// Alerts as they stand when everything is decided, highest revision only.
    #[serde(default)]
    pub expect: Vec<Expected>,
    /// No alert at all.
    #[serde(default)]
    pub expect_none: bool,
    /// Codes of notices to the technician.
    #[serde(default)]
    pub notices: Vec<String>,
    /// Rules that could not be judged, because a witness was missing.
    #[serde(default)]
    pub not_judged: Vec<String>,
}

/// An alert that should be raised.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Its short word: `void`, `no_sale`, `forced`.
    pub kind: String,
    /// A rule among its contributions or its own; `None` when several could come first.
    #[serde(default)]
    pub rule: Option<String>,
    /// Its risk score, 0 to 1.
    pub score: f64,
    /// Its highest revision is at least this.
    #[serde(default = "one")]
    pub revisions: u32,
    /// From the story's beginning, in milliseconds, until it stands with this score.
    #[serde(default)]
    pub by_ms: Option<u64>,
}

impl Expected {
    /// The score in thousandths.
    #[must_use]
    pub fn score_milli(&self) -> u16 {
        // Checked when the story was read: 0 to 1.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let milli = (self.score * 1_000.0).round() as u16;
        milli
    }
}

/// Something that happens at a time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Step {
    /// Milliseconds from the story's beginning.
    pub at_ms: u64,
    /// What happens.
    #[serde(flatten)]
    pub what: What,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// The drawer is kicked without a receipt.
    Kick(Kick),
    /// The drawer opens by itself, by key or by force.
    DrawerOpen {},
    /// The drawer is pushed shut.
    DrawerClose {},
    /// A receipt is printed.
    Print(Print),
    /// The customer display shows a text.
    Display {
        /// The text.
        text: Template,
    },
    /// The till reports an event.
    Pos {
        /// The event, as JSON with placeholders.
        event: PosTemplate,
    },
    /// The last event of the till comes once more.
    PosAgain {},
    /// A plug is pulled.
    Unplug {
        /// Whose.
        device: Device,
    },
    /// A plug is put in.
    Replug {
        /// Whose.
        device: Device,
    },
}

/// A kick without a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kick {
    /// The command goes over the printer's wire; `false`: a second kicker.
    #[serde(default = "yes")]
    pub command: bool,
    /// The line is pulsed; `false`: a cut lead.
    #[serde(default = "yes")]
    pub pulse: bool,
    /// The drawer opens; `false`: it is jammed, or opens by a step of its own.
    #[serde(default = "yes")]
    pub opens: bool,
    /// `DLE DC4` instead of `ESC p`.
    #[serde(default)]
    pub real_time: bool,
    /// Connector pin, 2 or 5.
    #[serde(default)]
    pub pin: KickPin,
    /// Length of the pulse in milliseconds.
    #[serde(default = "usual_pulse")]
    pub on_ms: u16,
    /// From the end of the pulse until the switch moves, in milliseconds.
    #[serde(default = "usual_travel")]
    pub travel_ms: u16,
}

/// A receipt to print.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Print {
    /// What stands on it.
    pub receipt: Box<Receipt>,
    /// Whether its job kicks the drawer, and where.
    #[serde(default)]
    pub kick: KickAt,
    /// From the end of that pulse until the switch moves, in milliseconds.
    #[serde(default = "usual_travel")]
    pub travel_ms: u16,
    /// Whether the paper is cut.
    #[serde(default = "yes")]
    pub cut: bool,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn usual_pulse() -> u16 {
    KICK_ON_MS
}

fn usual_travel() -> u16 {
    80
}

/// Why a story cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// There is none of that name.
    #[error("there is no story `{0}`; the command `stories list` shows them")]
    Unknown(String),
    /// Not TOML, or not a story.
    #[error("story `{name}`: {source}")]
    Format {
        /// Its file.
        name: String,
        /// What the reader says.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// It contradicts itself.
    #[error("story `{name}`: {why}")]
    Contradiction {
        /// Its name.
        name: String,
        /// What does not fit.
        why: String,
    },
}

macro_rules! stories {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../stories/", $name, ".toml")))),*]
    };
}

/// Names and sources of the built-in stories: first the demo day's, then by rule.
const BUILT_IN: &[(&str, &str)] = stories![
    "ordinary-sale",
    "no-sale",
    "void-repeat",
    "paperless-payment",
    "forced-opening",
    "discount-large",
    "discount-small",
    "drawer-jam",
    "drawer-left-open",
    "drawer-left-open-nearly",
    "forced-after-slow-kick",
    "forced-without-kick-line",
    "kick-just-in-time",
    "no-sale-late-receipt",
    "no-sale-reported-after",
    "no-sale-reprint",
    "no-sale-slip",
    "no-sale-unreported",
    "payment-on-request",
    "payment-printed-late",
    "payment-printed-too-late",
    "payment-printer-unplugged",
    "refund-high-value",
    "refund-printed-and-reported",
    "refund-unprinted",
    "refund-unreported",
    "second-kicker-sale",
    "void-once",
    "void-redelivered",
    "void-two-people",
    "void-unreported",
];

impl Story {
    /// Names of the built-in stories.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// One of the built-in stories.
    ///
    /// # Errors
    /// [`StoryError::Unknown`] when there is none of that name.
    pub fn built_in(name: &str) -> Result<Self, StoryError> {
        BUILT_IN
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| StoryError::Unknown(name.to_owned()))
            .and_then(|(name, source)| Self::read(name, source))
    }

    /// All built-in stories.
    ///
    /// # Errors
    /// [`StoryError`] of the first that cannot be read; the tests read them all.
    pub fn all() -> Result<Vec<Self>, StoryError> {
        Self::names().map(Self::built_in).collect()
    }

    /// Reads a story from TOML. `file` names it in errors.
    ///
    /// # Errors
    /// [`StoryError::Format`] when it is no story, [`StoryError::Contradiction`] when it cannot
    /// happen: times go back, a drawer opens twice, it expects both something and nothing.
    pub fn read(file: &str, toml: &str) -> Result<Self, StoryError> {
        let story: Self = toml::from_str(toml).map_err(|source| StoryError::Format {
            name: file.to_owned(),
            source: Box::new(source),
        })?;
        match story.contradiction() {
            None => Ok(story),
            Some(why) => Err(StoryError::Contradiction {
                name: file.to_owned(),
                why,
            }),
        }
    }

    /// The TOML of a built-in story.
    #[must_use]
    pub fn source(name: &str) -> Option<&'static str> {
        BUILT_IN
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, source)| *source)
    }

    /// When its last step begins.
    #[must_use]
    pub fn last_step(&self) -> Duration {
        Duration::from_millis(self.steps.last().map_or(0, |step| step.at_ms))
    }

    /// From its beginning until every rule has decided about it.
    #[must_use]
    pub fn settled_after(&self) -> Duration {
        let expected = self.expect.iter().filter_map(|expected| expected.by_ms);
        let expected = Duration::from_millis(expected.max().unwrap_or(0));
        (self.last_step() + SETTLE).max(expected)
    }

    fn contradiction(&self) -> Option<String> {
        if self.steps.is_empty() {
            return Some("nothing happens".into());
        }
        if let Some(pair) = self.steps.windows(2).find(|p| p[1].at_ms < p[0].at_ms) {
            return Some(format!(
                "a step at {} ms comes after one at {} ms",
                pair[1].at_ms, pair[0].at_ms
            ));
        }
        if self.expect_none != self.expect.is_empty() {
            return Some("it needs either `expect_none = true` or something to `expect`".into());
        }
        let odd = |e: &&Expected| !(0.0..=1.0).contains(&e.score) || e.revisions == 0;
        if let Some(expected) = self.expect.iter().find(odd) {
            return Some(format!("a score of {} cannot be", expected.score));
        }
        let mut open = false;
        for (at, opens) in timeline::movements(self) {
            if opens == open {
                let state = if open { "open" } else { "closed" };
                return Some(format!(
                    "at {} ms the drawer is {state} already",
                    at.as_millis()
                ));
            }
            open = opens;
        }
        open.then(|| "the drawer stays open at the end".into())
    }
}
