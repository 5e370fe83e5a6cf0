//! Which witness was provably alive through a window.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use tillwatch_protocol::event::{Witness, WitnessState};
use tillwatch_protocol::time::MonotonicNs;

/// Unbroken spans that are remembered per witness; the oldest are forgotten.
pub const SPANS_PER_WITNESS: usize = 16;

/// What a witness can say at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It said nothing since the start.
    Unknown,
    /// Not configured on this register.
    Absent,
    /// Able to report.
    Alive,
    /// Unable to report.
    Lost,
}

/// Why a witness's silence proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Not configured.
    Absent,
    /// It has not said anything since the start.
    Unknown,
    /// It was unable to report during some of the window.
    Lost,
    /// Something was lost on the way during the window.
    Gap,
}

impl Doubt {
    /// The reason for a [`tillwatch_protocol::finding::NotJudged`].
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Absent => "witness_absent",
            Self::Unknown => "witness_unknown",
            Self::Lost => "witness_lost",
            Self::Gap => "witness_gap",
        }
    }

    /// In words.
    #[must_use]
    pub fn text(self, witness: Witness) -> String {
        match self {
            Self::Absent => format!("there is no {witness}"),
            Self::Unknown => format!("the {witness} has not reported since the start"),
            Self::Lost => format!("the {witness} was not there through the whole window"),
            Self::Gap => format!("the {witness} lost something within the window"),
        }
    }
}

/// A time without interruption, both ends in monotonic time of the current boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    since_ns: MonotonicNs,
    until_ns: MonotonicNs,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    standing: Standing,
    /// Start of the running span while alive.
    since_ns: MonotonicNs,
    /// The first life of this witness in this log: nobody watched before it, so nothing that was
    /// under way then was missed by us.
    first_life: bool,
    /// The running span began with a gap.
    after_gap: bool,
    lives: u32,
    losses: u32,
    gaps: u32,
    spans: VecDeque<Span>,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            standing: Standing::Unknown,
            since_ns: 0,
            first_life: false,
            after_gap: false,
            lives: 0,
            losses: 0,
            gaps: 0,
            spans: VecDeque::new(),
        }
    }
}

impl Entry {
    fn end_span(&mut self, now_ns: MonotonicNs) {
        if self.standing == Standing::Alive {
            if self.spans.len() == SPANS_PER_WITNESS {
                self.spans.pop_front();
            }
            self.spans.push_back(Span {
                since_ns: self.since_ns,
                until_ns: now_ns,
            });
        }
    }
}

/// Keeps, for every witness, when it was able to report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessLedger {
    entries: BTreeMap<Witness, Entry>,
    starts: u32,
}

impl WitnessLedger {
    /// What the witness can say now.
    #[must_use]
    pub fn standing(&self, witness: Witness) -> Standing {
        self.entries
            .get(&witness)
            .map_or(Standing::Unknown, |entry| entry.standing)
    }

    /// Whether the witness is configured here, as far as it is known.
    #[must_use]
    pub fn is_absent(&self, witness: Witness) -> bool {
        self.standing(witness) == Standing::Absent
    }

    /// Since when the witness is alive without a break; `None` when it is not.
    #[must_use]
    pub fn alive_since(&self, witness: Witness) -> Option<MonotonicNs> {
        let entry = self.entries.get(&witness)?;
        (entry.standing == Standing::Alive).then_some(entry.since_ns)
    }

    /// Whether the witness lives its first life in this log.
    #[must_use]
    pub fn in_first_life(&self, witness: Witness) -> bool {
        self.entries
            .get(&witness)
            .is_some_and(|entry| entry.first_life)
    }

    /// All witnesses that ever said something, with what they can say now, how often they were
    /// lost and how often something was lost on the way.
    pub fn all(&self) -> impl Iterator<Item = (Witness, Standing, u32, u32)> + '_ {
        self.entries
            .iter()
            .map(|(w, entry)| (*w, entry.standing, entry.losses, entry.gaps))
    }

    /// Whether the witness could have reported anything between `from_ns` and `to_ns`, both
    /// included. `cause_ns` is when the thing happened that is judged; the time before it is
    /// looked at because witnesses do not report in a fixed order. On a fresh installation that
    /// look back may reach beyond the first sign of life, the cause itself may not.
    ///
    /// # Errors
    /// Why its silence proves nothing.
    pub fn alive_through(
        &self,
        witness: Witness,
        from_ns: MonotonicNs,
        cause_ns: MonotonicNs,
        to_ns: MonotonicNs,
    ) -> Result<(), Doubt> {
        let Some(entry) = self.entries.get(&witness) else {
            return Err(Doubt::Unknown);
        };
        match entry.standing {
            Standing::Absent => return Err(Doubt::Absent),
            Standing::Unknown => return Err(Doubt::Unknown),
            Standing::Alive | Standing::Lost => {}
        }
        let current = (entry.standing == Standing::Alive).then_some(entry.since_ns);
        if let Some(since) = current {
            let from = if entry.first_life && cause_ns >= since {
                from_ns.max(since)
            } else {
                from_ns
            };
            if since <= from {
                return Ok(());
            }
        }
        if entry
            .spans
            .iter()
            .any(|span| span.since_ns <= from_ns && to_ns < span.until_ns)
        {
            return Ok(());
        }
        Err(if current.is_some() && entry.after_gap {
            Doubt::Gap
        } else {
            Doubt::Lost
        })
    }

    /// A witness said what it can.
    pub(crate) fn report(&mut self, witness: Witness, state: &WitnessState, now_ns: MonotonicNs) {
        let first_start = self.starts <= 1;
        let entry = self.entries.entry(witness).or_default();
        match state {
            WitnessState::Absent => {
                entry.end_span(now_ns);
                entry.standing = Standing::Absent;
            }
            WitnessState::Alive => {
                // Said twice, it is no new life: it was able to report all along.
                if entry.standing != Standing::Alive {
                    entry.standing = Standing::Alive;
                    entry.since_ns = now_ns;
                    entry.after_gap = false;
                    entry.first_life = first_start && entry.lives == 0;
                    entry.lives = entry.lives.saturating_add(1);
                }
            }
            WitnessState::Lost { .. } => {
                entry.end_span(now_ns);
                entry.standing = Standing::Lost;
                entry.first_life = false;
                entry.losses = entry.losses.saturating_add(1);
            }
            WitnessState::Gap { .. } => {
                entry.end_span(now_ns);
                entry.first_life = false;
                entry.since_ns = now_ns.saturating_add(1);
                entry.after_gap = true;
                entry.gaps = entry.gaps.saturating_add(1);
            }
        }
    }

    /// The daemon started: nobody has said anything yet.
    pub(crate) fn started(&mut self) {
        self.starts = self.starts.saturating_add(1);
        for entry in self.entries.values_mut() {
            entry.standing = Standing::Unknown;
            entry.first_life = false;
            entry.spans.clear();
        }
    }

    /// Another boot: times cannot be compared any more.
    pub(crate) fn new_boot(&mut self) {
        for entry in self.entries.values_mut() {
            entry.standing = Standing::Unknown;
            entry.first_life = false;
            entry.spans.clear();
            entry.since_ns = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTER: Witness = Witness::Printer;

    fn lost() -> WitnessState {
        WitnessState::Lost {
            reason: "unplugged".into(),
        }
    }

    #[test]
    fn silence_counts_only_within_one_life() {
        let mut ledger = WitnessLedger::default();
        assert_eq!(ledger.alive_through(PRINTER, 0, 0, 0), Err(Doubt::Unknown));
        ledger.report(PRINTER, &WitnessState::Alive, 100);
        ledger.report(PRINTER, &lost(), 200);
        ledger.report(PRINTER, &WitnessState::Alive, 300);
        assert_eq!(ledger.alive_through(PRINTER, 110, 120, 190), Ok(()));
        assert_eq!(
            ledger.alive_through(PRINTER, 110, 120, 200),
            Err(Doubt::Lost)
        );
        assert_eq!(
            ledger.alive_through(PRINTER, 250, 310, 320),
            Err(Doubt::Lost)
        );
        assert_eq!(ledger.alive_through(PRINTER, 300, 310, 320), Ok(()));
        ledger.report(
            PRINTER,
            &WitnessState::Gap {
                reason: "overrun".into(),
            },
            400,
        );
        assert_eq!(
            ledger.alive_through(PRINTER, 390, 395, 410),
            Err(Doubt::Gap)
        );
        assert_eq!(ledger.alive_through(PRINTER, 401, 405, 410), Ok(()));
        ledger.started();
        assert_eq!(
            ledger.alive_through(PRINTER, 401, 405, 410),
            Err(Doubt::Unknown)
        );
    }

    #[test]
    fn only_on_a_fresh_installation_a_look_back_may_reach_before_the_first_sign_of_life() {
        let mut ledger = WitnessLedger::default();
        ledger.started();
        ledger.report(PRINTER, &WitnessState::Alive, 100);
        assert_eq!(ledger.alive_through(PRINTER, 70, 101, 130), Ok(()));
        assert_eq!(ledger.alive_through(PRINTER, 70, 99, 130), Err(Doubt::Lost));
        ledger.started();
        ledger.report(PRINTER, &WitnessState::Alive, 200);
        assert_eq!(
            ledger.alive_through(PRINTER, 170, 201, 230),
            Err(Doubt::Lost)
        );
    }

    #[test]
    fn the_memory_of_spans_is_bounded() {
        let mut ledger = WitnessLedger::default();
        for n in 0..100 {
            ledger.report(PRINTER, &WitnessState::Alive, n * 10);
            ledger.report(PRINTER, &lost(), n * 10 + 5);
        }
        assert_eq!(ledger.entries[&PRINTER].spans.len(), SPANS_PER_WITNESS);
        assert_eq!(
            ledger.all().collect::<Vec<_>>(),
            [(PRINTER, Standing::Lost, 100, 0)]
        );
    }
}
