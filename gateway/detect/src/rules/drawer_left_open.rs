//! The drawer stays open.

use super::{evidence_of, finding, points, state_as_snapshot};
use crate::detector::{Context, Cut, Detector, Findings};
use crate::recent::ms;
use serde::{Deserialize, Serialize};
use tillwatch_protocol::event::{DrawerState, Event, EventBody, Witness, WitnessState};
use tillwatch_protocol::finding::{Evidence, Score};
use tillwatch_protocol::time::{MonotonicNs, Stamp};

/// The rule's name.
pub const RULE: &str = "drawer_left_open";
const KIND: &str = "left_open";
const MINUTE_MS: u32 = 60_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Opening {
    opened: Evidence,
    /// Findings so far.
    steps: u32,
    /// When the next is due; none when the score cannot rise any more.
    due_ns: Option<MonotonicNs>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    opening: Option<Opening>,
}

/// Longer than 60 s, rising with every further minute up to a limit; one alert with revisions.
/// Closing ends it; whatever takes away the view of the drawer ends it silently.
///
/// @algorithm Drawer left open | Finds a drawer that stays open longer than serving a customer takes
#[derive(Debug, Default)]
pub struct DrawerLeftOpen {
    state: State,
}

impl Detector for DrawerLeftOpen {
    state_as_snapshot!(RULE, 1);

    fn on_event(&mut self, event: &Event, context: &Context<'_>, _: &mut Findings) {
        match &event.body {
            EventBody::Drawer {
                state: DrawerState::Open,
                initial: false,
            } => {
                let limit_ns = ms(context.settings.witness.left_open_after_ms);
                // One nanosecond more: *longer* than the limit.
                let due = event
                    .stamp
                    .monotonic_ns
                    .saturating_add(limit_ns)
                    .saturating_add(1);
                self.state.opening = Some(Opening {
                    opened: evidence_of(event, "drawer opened"),
                    steps: 0,
                    due_ns: Some(due),
                });
            }
            EventBody::Drawer { .. } => self.state.opening = None,
            EventBody::Witness {
                witness: Witness::DrawerSense,
                state,
            } if *state != WitnessState::Alive => {
                self.state.opening = None;
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<MonotonicNs> {
        self.state
            .opening
            .as_ref()
            .and_then(|opening| opening.due_ns)
    }

    fn on_tick(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        let rules = &context.settings.witness;
        let Some(opening) = &mut self.state.opening else {
            return;
        };
        let mut raised = None;
        while let Some(due) = opening.due_ns.filter(|due| *due <= now.monotonic_ns) {
            let rise = u32::from(rules.left_open_step.milli()).saturating_mul(opening.steps);
            let most = rules.left_open_max_score.max(rules.left_open_score);
            let score = u32::from(rules.left_open_score.milli())
                .saturating_add(rise)
                .min(u32::from(most.milli()));
            let score = Score::from_milli(u16::try_from(score).unwrap_or(u16::MAX));
            raised = Some((score, opening.steps));
            opening.steps = opening.steps.saturating_add(1);
            let can_rise = score < most && rules.left_open_step > Score::ZERO;
            opening.due_ns = can_rise.then(|| due.saturating_add(ms(MINUTE_MS)));
        }
        if let Some((score, minutes)) = raised {
            let open_ms = rules
                .left_open_after_ms
                .saturating_add(minutes.saturating_mul(MINUTE_MS));
            let text = format!("drawer open for more than {}", super::seconds(open_ms));
            let evidence = vec![opening.opened.clone()];
            out.alert(finding(
                RULE,
                KIND,
                vec![points(RULE, score, text)],
                evidence,
            ));
        }
    }

    fn on_cut(&mut self, _: Cut, _: &Context<'_>, _: &mut Findings) {
        self.state.opening = None;
    }
}
