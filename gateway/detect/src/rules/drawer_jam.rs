//! The drawer was kicked and did not open.

use super::{evidence_of, state_as_snapshot};
use crate::detector::{Context, Cut, Detector, Findings};
use crate::recent::ms;
use crate::waiting::Waiting;
use serde::{Deserialize, Serialize};
use tillwatch_protocol::event::{DrawerState, Event, EventBody, Witness};
use tillwatch_protocol::finding::Evidence;
use tillwatch_protocol::time::{MILLISECOND_NS, MonotonicNs, Stamp};

/// The rule's name and the notice's code.
pub const RULE: &str = "drawer_jam";
/// After this many in a row without any opening it is rather the sense line that is at fault.
pub const SENSE_FAULT_AFTER: u32 = 3;
/// Kicks that wait for their opening.
const KICKS: usize = 8;
/// An opening is told this much later than it happens: the sense line is debounced.
const DEBOUNCE_NS: u64 = 100 * MILLISECOND_NS;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kicked {
    kick: Evidence,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    waiting: Waiting<Kicked, KICKS>,
    in_a_row: u32,
}

/// A kick while the drawer is closed, and no opening within 1 s. Without a kick line a command on
/// the printer's wire counts, which may act up to 15 s later. No risk: a notice for the technician.
///
/// @algorithm Drawer jam | Finds a drawer that does not open when it is kicked
#[derive(Debug, Default)]
pub struct DrawerJam {
    state: State,
}

impl DrawerJam {
    fn kicked(&mut self, event: &Event, what: &str, within_ns: u64, context: &Context<'_>) {
        // One attempt may be several pulses; the first one counts.
        let is_closed = context.recent.drawer() == Some(DrawerState::Closed);
        if is_closed && self.state.waiting.deadline().is_none() {
            let due = event
                .stamp
                .monotonic_ns
                .saturating_add(within_ns)
                .saturating_add(DEBOUNCE_NS);
            self.state.waiting.add(
                due,
                event.seq,
                Kicked {
                    kick: evidence_of(event, what),
                },
            );
        }
    }
}

impl Detector for DrawerJam {
    state_as_snapshot!(RULE, 1);

    fn on_event(&mut self, event: &Event, context: &Context<'_>, _: &mut Findings) {
        let rules = &context.settings.witness;
        match &event.body {
            EventBody::Kick => self.kicked(event, "kick", ms(rules.jam_after_ms), context),
            EventBody::DrawerCommand(command)
                if command.confirmed && context.witnesses.is_absent(Witness::KickLine) =>
            {
                let within = ms(rules.command_before_opening_ms) + ms(rules.jam_after_ms);
                self.kicked(event, "drawer command", within, context);
            }
            EventBody::Drawer {
                state: DrawerState::Open,
                ..
            } => {
                self.state.waiting = Waiting::default();
                self.state.in_a_row = 0;
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<MonotonicNs> {
        self.state.waiting.deadline()
    }

    fn on_tick(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        while let Some(Kicked { kick }) = self.state.waiting.take_due(now.monotonic_ns) {
            let at = kick.stamp.monotonic_ns;
            let sense = Witness::DrawerSense;
            if let Err(doubt) = context
                .witnesses
                .alive_through(sense, at, at, now.monotonic_ns)
            {
                out.not_judged(RULE, doubt.reason(), doubt.text(sense), kick);
                continue;
            }
            self.state.in_a_row = self.state.in_a_row.saturating_add(1);
            if self.state.in_a_row < SENSE_FAULT_AFTER {
                let text = "the drawer was kicked and did not open: is it jammed or locked?";
                out.notice(RULE, RULE, text, kick.stamp);
            } else if self.state.in_a_row == SENSE_FAULT_AFTER {
                let text = format!(
                    "the drawer's sense line did not change over {SENSE_FAULT_AFTER} kicks: check \
                     its switch and lead, or unlock the drawer"
                );
                out.notice(RULE, "drawer_sense_fault", text, kick.stamp);
            }
        }
    }

    fn on_cut(&mut self, _: Cut, _: &Context<'_>, _: &mut Findings) {
        self.state = State::default();
    }
}
