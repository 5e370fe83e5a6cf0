//! What goes first when there is no room.
//!
//! Each segment stands on the rung of whatever in it is worth most; the lowest rung goes first, and
//! on a rung the oldest. So nothing is given up for nothing: what goes makes a segment free.

use super::options::MediaOptions;
use super::pool::Pool;
use super::table::{Clip, Table};
use std::time::Duration;
use tillwatch_protocol::{ClipId, Severity};

/// Why footage went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// No clip has it, and its time as provisional footage is over.
    Unneeded,
    /// Of what came before the alerts one frame a second stays.
    Thin,
    /// Clips of alerts with a low or medium score.
    LowScore,
    /// Clips of alerts that a person judged.
    Reviewed,
    /// Clips that head office has.
    Sent,
    /// Provisional footage before its time.
    Provisional,
    /// Clips of high alerts that nobody has seen.
    Unsent,
    /// Clips that somebody wanted kept.
    Held,
}

/// One rung.
pub(crate) struct Rung {
    pub(crate) step: Step,
    /// For metrics.
    pub(crate) word: &'static str,
    /// What a dropped clip's report says.
    pub(crate) reason: &'static str,
    /// Clips that stand here, unless a rung below takes them.
    takes: fn(&Clip) -> bool,
}

const fn rung(
    step: Step,
    word: &'static str,
    reason: &'static str,
    takes: fn(&Clip) -> bool,
) -> Rung {
    Rung {
        step,
        word,
        reason,
        takes,
    }
}

fn none(_: &Clip) -> bool {
    false
}

/// The rungs, lowest first.
pub(crate) const LADDER: [Rung; 8] = [
    rung(Step::Unneeded, "unneeded", "no clip needs it", none),
    // Not a matter of the clip alone: see `choose`.
    rung(Step::Thin, "thin", "thinned before the alert", none),
    rung(
        Step::LowScore,
        "low_score",
        "the footage was full: low scores go first",
        |clip| clip.held.is_none() && clip.request.score.severity() < Severity::High,
    ),
    rung(
        Step::Reviewed,
        "reviewed",
        "the footage was full, and this was reviewed",
        |clip| clip.held.is_none() && clip.reviewed,
    ),
    rung(
        Step::Sent,
        "sent",
        "the footage was full, and head office has this",
        |clip| clip.held.is_none() && clip.sent,
    ),
    rung(
        Step::Provisional,
        "provisional",
        "the footage was full, even of what is minutes old",
        none,
    ),
    rung(
        Step::Unsent,
        "unsent",
        "the footage was full of what nobody has seen yet",
        |clip| clip.held.is_none(),
    ),
    rung(
        Step::Held,
        "held",
        "the footage was full of what is held",
        |_| true,
    ),
];

impl Step {
    /// Every step, in the order in which they are taken.
    pub const ALL: [Step; 8] = [
        Step::Unneeded,
        Step::Thin,
        Step::LowScore,
        Step::Reviewed,
        Step::Sent,
        Step::Provisional,
        Step::Unsent,
        Step::Held,
    ];

    /// A short word for metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        LADDER[self as usize].word
    }

    /// In words, for the report of a clip.
    #[must_use]
    pub fn reason(self) -> &'static str {
        LADDER[self as usize].reason
    }
}

/// The rung of a clip.
pub(crate) fn step_of(clip: &Clip) -> Step {
    let rung = LADDER.iter().find(|rung| (rung.takes)(clip));
    rung.map_or(Step::Held, |rung| rung.step)
}

/// What is to be done for one more free segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) ordinal: u64,
    pub(crate) step: Step,
    /// The clips that have something in it.
    pub(crate) clips: Vec<ClipId>,
}

/// Chooses the next segment to go; `None` when each is being read, recorded or written.
pub(crate) fn choose(
    pool: &Pool,
    table: &Table,
    options: &MediaOptions,
    now: Duration,
    may_thin: bool,
) -> Option<Choice> {
    let needs = table.needs();
    let none = Vec::new();
    let mut best = None;
    for (ordinal, used) in &pool.used {
        if pool.current == Some(*ordinal)
            || pool.pinned(*ordinal, now, options.pin_for)
            || pool.claimed(used)
        {
            continue;
        }
        let clips = needs.get(ordinal).unwrap_or(&none);
        let fresh = now.saturating_sub(used.written) < options.provisional_for;
        let thins = |clip: &Clip| {
            let mut here = clip.places.iter().filter(|place| place.ordinal == *ordinal);
            clip.held.is_none() && here.all(|place| place.pre && !place.thinned)
        };
        let step = match clips.iter().map(|clip| step_of(clip)).max() {
            None if fresh => Step::Provisional,
            None => Step::Unneeded,
            // Beside a clip there may be more of the same hour that none has asked for yet.
            Some(step) if fresh => step.max(Step::Provisional),
            Some(_) if may_thin && clips.iter().all(|clip| thins(clip)) => Step::Thin,
            Some(step) => step,
        };
        let age = clips.iter().map(|clip| clip.order).max().unwrap_or(0);
        let key = (step, used.suspect, age, *ordinal);
        if best.as_ref().is_none_or(|(held, _)| key < *held) {
            best = Some((key, clips));
        }
    }
    best.map(|((step, _, _, ordinal), clips)| Choice {
        ordinal,
        step,
        clips: clips.iter().map(|clip| clip.request.clip_id).collect(),
    })
}
