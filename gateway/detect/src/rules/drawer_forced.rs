//! The drawer opened with no cause.

use super::{cleared, evidence_of, finding, points, seconds, state_as_snapshot};
use crate::detector::{Context, Cut, Detector, Findings};
use crate::recent::Window;
use crate::witness::{Doubt, Standing};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tillwatch_protocol::event::{DrawerState, Event, EventBody, Witness};
use tillwatch_protocol::finding::{Evidence, Score};
use tillwatch_protocol::time::{MonotonicNs, SECOND_NS, Stamp};

/// The rule's name.
pub const RULE: &str = "drawer_forced";
const KIND: &str = "forced";
/// Openings that a pulse which is logged late may still explain.
pub const REMEMBERED: usize = 32;
/// What may be concluded from the printer's wire alone, at most (detection specification §2).
const WIRE_ALONE_AT_MOST: Score = Score::from_milli(500);
/// A command and the pulse that it causes are stamped by different threads.
const SKEW_BETWEEN_WIRES_NS: u64 = SECOND_NS / 2;
/// A drawer that was forced so long ago is open, or was left alone.
const FORCED_LATELY_NS: u64 = 60 * SECOND_NS;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Accused {
    opening: Evidence,
    window: Window,
    by_wire: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    accused: VecDeque<Accused>,
    /// Pulses in a row without a command on the printer's wire: something else kicks too.
    pulses_without_command: u32,
}

/// With the kick line wired: no pulse within −2 s…0. Without it: no drawer command on the printer's
/// wire within −15 s…0, because a kick in print order comes after a long receipt; then at most 0.5.
/// Decided at the edge. A pulse or command that is logged later but happened earlier clears it.
///
/// Not concluded: when the drawer closed less than a second before and sprang back; when neither wire was watched; when a command was seen but its pulse was not (the
/// kick line's lead may be cut); when the wire's command may be chance; when pulses come without
/// commands, so that the printer's wire is not what opens this drawer.
///
/// @algorithm Drawer forced | Finds a drawer that opens without having been kicked
#[derive(Debug, Default)]
pub struct DrawerForced {
    state: State,
}

impl DrawerForced {
    fn judge(&mut self, opening: Evidence, context: &Context<'_>, out: &mut Findings) {
        let rules = &context.settings.witness;
        let at = opening.stamp.monotonic_ns;
        let kick_window = Window::around(at, at, rules.kick_before_opening_ms, 0);
        let wire_window = Window::around(at, at, rules.command_before_opening_ms, 0);
        if context.recent.kick_in(kick_window).is_some()
            || (context.drawer_sprang_back(at) && !self.was_forced_before(at, context))
        {
            return;
        }
        let watched = |witness, window: Window| {
            context
                .witnesses
                .alive_through(witness, window.from_ns, at, window.to_ns)
        };
        let kick_line = watched(Witness::KickLine, kick_window);
        let commanded = self.commanded(wire_window, kick_line.is_ok(), context);
        match (kick_line, commanded) {
            (Ok(()), Commanded::Yes) => out.not_judged(
                RULE,
                "kick_lead_cut",
                "a drawer command was on the wire but no pulse on the kick line: is its lead cut?",
                opening,
            ),
            (Ok(()), _) => {
                let before = seconds(rules.kick_before_opening_ms);
                let text = format!("no pulse on the kick line within {before} before the opening");
                self.accuse(opening, kick_window, false, rules.forced_score, text, out);
            }
            (Err(_), Commanded::Yes) => {}
            (Err(_), Commanded::Perhaps) => out.not_judged(
                RULE,
                "unconfirmed_command",
                "a drawer command was found inside a payload, where it may be chance",
                opening,
            ),
            (Err(doubt), Commanded::No) => {
                if let Err(wire_doubt) = watched(Witness::Printer, wire_window) {
                    let text = format!(
                        "{}; {}",
                        doubt.text(Witness::KickLine),
                        wire_doubt.text(Witness::Printer)
                    );
                    let reason = if doubt == Doubt::Absent {
                        wire_doubt
                    } else {
                        doubt
                    };
                    out.not_judged(RULE, reason.reason(), text, opening);
                } else if self.state.pulses_without_command > 0 {
                    out.not_judged(
                        RULE,
                        "second_kicker",
                        "this drawer is also kicked by something else than the printer's wire",
                        opening,
                    );
                } else {
                    let why = match doubt {
                        Doubt::Absent => "no kick line is wired",
                        Doubt::Unknown | Doubt::Lost | Doubt::Gap => {
                            "the kick line was not watched"
                        }
                    };
                    let before = seconds(rules.command_before_opening_ms);
                    let text = format!(
                        "no drawer command on the printer's wire within {before} before the \
                         opening; {why}: judged by the printer's wire alone"
                    );
                    let score = rules.forced_without_kick_line_score.min(WIRE_ALONE_AT_MOST);
                    self.accuse(opening, wire_window, true, score, text, out);
                }
            }
        }
    }

    /// Whether the drawer was forced lately and nothing has opened it since: who forces it again
    /// and again is not to be taken for a spring.
    fn was_forced_before(&self, at: u64, context: &Context<'_>) -> bool {
        let forced = self.state.accused.back();
        forced.is_some_and(|forced| {
            let from_ns = forced.opening.stamp.monotonic_ns;
            let since = Window { from_ns, to_ns: at };
            at.saturating_sub(from_ns) <= FORCED_LATELY_NS
                && context.recent.kick_in(since).is_none()
                && context.recent.commands_in(since).next().is_none()
        })
    }

    fn commanded(
        &self,
        window: Window,
        kick_line_watched: bool,
        context: &Context<'_>,
    ) -> Commanded {
        let mut result = Commanded::No;
        for command in context.recent.commands_in(window) {
            let since = command
                .stamp
                .monotonic_ns
                .saturating_sub(SKEW_BETWEEN_WIRES_NS);
            let pulse = Window {
                from_ns: since,
                to_ns: window.to_ns,
            };
            match (command.confirmed, kick_line_watched) {
                // Its pulse came, and so it explains an earlier opening, not this one.
                (true, true) if context.recent.kick_in(pulse).is_some() => {}
                (true, _) => return Commanded::Yes,
                // Only the kick line confirms it, and the kick line says no.
                (false, true) => {}
                (false, false) => result = Commanded::Perhaps,
            }
        }
        result
    }

    fn accuse(
        &mut self,
        opening: Evidence,
        window: Window,
        by_wire: bool,
        score: Score,
        text: String,
        out: &mut Findings,
    ) {
        if self.state.accused.len() == REMEMBERED {
            self.state.accused.pop_front();
        }
        self.state.accused.push_back(Accused {
            opening: opening.clone(),
            window,
            by_wire,
        });
        out.alert(finding(
            RULE,
            KIND,
            vec![points(RULE, score, text)],
            vec![opening],
        ));
    }

    /// Takes back accusations that a pulse or command at `at` explains.
    fn explain(&mut self, at: MonotonicNs, by_wire_only: bool, why: &str, out: &mut Findings) {
        let explained =
            |accused: &Accused| accused.window.holds(at) && (accused.by_wire || !by_wire_only);
        for accused in self
            .state
            .accused
            .iter()
            .filter(|accused| explained(accused))
        {
            out.alert(cleared(RULE, KIND, accused.opening.clone(), why));
        }
        self.state.accused.retain(|accused| !explained(accused));
    }

    fn note_pulse(&mut self, at: MonotonicNs, context: &Context<'_>) {
        let before = context.settings.witness.command_before_opening_ms;
        let mut window = Window::around(at, at, before, 0);
        window.to_ns = window.to_ns.saturating_add(SKEW_BETWEEN_WIRES_NS);
        if context.recent.commands_in(window).next().is_some() {
            self.state.pulses_without_command = 0;
        } else if context
            .witnesses
            .alive_through(Witness::Printer, window.from_ns, window.from_ns, at)
            .is_ok()
        {
            self.state.pulses_without_command = self.state.pulses_without_command.saturating_add(1);
        }
    }
}

/// Whether a drawer command was on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commanded {
    Yes,
    Perhaps,
    No,
}

impl Detector for DrawerForced {
    state_as_snapshot!(RULE, 1);

    fn on_event(&mut self, event: &Event, context: &Context<'_>, out: &mut Findings) {
        let at = event.stamp.monotonic_ns;
        match &event.body {
            EventBody::Drawer {
                state: DrawerState::Open,
                initial: false,
            } => {
                self.judge(evidence_of(event, "drawer opened"), context, out);
            }
            EventBody::Kick => {
                self.note_pulse(at, context);
                self.explain(at, false, "a pulse on the kick line opened the drawer", out);
            }
            EventBody::DrawerCommand(_) => {
                self.state.pulses_without_command = 0;
                self.explain(at, true, "a drawer command opened the drawer", out);
            }
            EventBody::Witness {
                witness: Witness::Printer,
                ..
            } if context.witnesses.standing(Witness::Printer) != Standing::Alive => {
                // Whether pulses come without commands must be seen anew.
                self.state.pulses_without_command = 0;
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<MonotonicNs> {
        None
    }

    fn on_tick(&mut self, _: &Stamp, _: &Context<'_>, _: &mut Findings) {}

    fn on_cut(&mut self, cut: Cut, _: &Context<'_>, _: &mut Findings) {
        if cut == Cut::Boot {
            self.state.accused.clear();
        }
        self.state.pulses_without_command = 0;
    }
}
