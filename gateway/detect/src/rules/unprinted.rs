//! The till tells of a void or refund, the paper does not.

use super::{evidence_of_pos, finding, points, seconds, state_as_snapshot, subject_of_pos};
use crate::detector::{Context, Cut, Detector, Findings};
use crate::feed::MAX_LAG_NS;
use crate::recent::{Paper, Window};
use crate::till::TillEvent;
use crate::waiting::Waiting;
use serde::{Deserialize, Serialize};
use tillwatch_protocol::event::{Event, EventBody, Witness};
use tillwatch_protocol::finding::{Evidence, Subject, Weight};
use tillwatch_protocol::pos::{PosEvent, PosEventType};
use tillwatch_protocol::time::{MonotonicNs, Stamp};

/// The rule about voids.
pub const VOID: &str = "unprinted_void";
/// The rule about refunds.
pub const REFUND: &str = "unprinted_refund";
const NAME: &str = "unprinted";
/// Till events that wait for their paper.
pub const WAITING: usize = 64;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told {
    is_void: bool,
    event: TillEvent,
    evidence: Evidence,
    subject: Subject,
    window: Window,
}

impl Told {
    fn rule(&self) -> &'static str {
        if self.is_void { VOID } else { REFUND }
    }

    fn is_on(&self, paper: &Paper) -> bool {
        if self.is_void {
            paper.mentions_void
        } else {
            paper.mentions_refund
        }
    }

    /// Whether it is on paper; `None` when there is paper that cannot be read.
    fn is_printed(&self, context: &Context<'_>) -> Option<bool> {
        // An event that does not say when it happened may belong to any paper of the last minutes.
        let any_time = !self.event.placed.is_stated();
        let mut papers = context.recent.papers();
        if papers.any(|paper| self.is_on(paper) && (any_time || self.event.names(paper))) {
            return Some(true);
        }
        let mut within = self.window;
        if any_time {
            within.from_ns = within.from_ns.saturating_sub(MAX_LAG_NS);
        }
        let mut unreadable = false;
        for paper in context.recent.papers_in(within) {
            if self.is_on(paper) {
                return Some(true);
            }
            unreadable |= !paper.readable;
        }
        (!unreadable).then_some(false)
    }
}

/// The till reports a void or refund, every receipt has to be printed, and within ±30 s none of
/// that kind is: 0.2 on top of the till event's score.
///
/// @algorithm Unprinted void or refund | Finds voids and refunds that the till reports and nobody got on paper
#[derive(Debug, Default)]
pub struct Unprinted {
    state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    waiting: Waiting<Told, WAITING>,
}

impl Unprinted {
    fn told(&mut self, event: &Event, pos: &PosEvent, context: &Context<'_>, out: &mut Findings) {
        let is_void = match pos.event_type {
            PosEventType::VoidTransaction => true,
            PosEventType::RefundIssued => false,
            _ => return,
        };
        let Some(told) = context.recent.till_event(event.seq) else {
            return;
        };
        let agree = context.settings.witness.paper_and_pos_ms;
        let (happened, arrived) = told.span();
        let window = Window::around(happened, arrived, agree, agree);
        let told = Told {
            is_void,
            event: told.clone(),
            evidence: evidence_of_pos(event, pos),
            subject: subject_of_pos(pos),
            window,
        };
        if context.witnesses.is_absent(Witness::Printer)
            || !context.always_printed_since(window.from_ns)
        {
            return;
        }
        if let Some(evicted) = self.state.waiting.add(window.to_ns, event.seq, told) {
            let text = "too many till events at once";
            out.not_judged(evicted.rule(), "memory_full", text, evicted.evidence);
        }
    }

    fn decide(told: Told, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        let rule = told.rule();
        let Window { from_ns, to_ns } = told.window;
        match told.is_printed(context) {
            Some(true) => return,
            None => {
                let text = "something was printed around it that could not be read";
                return out.not_judged(rule, "receipt_unreadable", text, told.evidence);
            }
            Some(false) => {}
        }
        if !context.always_printed_since(from_ns) {
            return;
        }
        let Some(happened) = told.event.placed.happened_ns() else {
            let text = "the till's clock and lag are not known yet";
            return out.not_judged(rule, "pos_lag_unknown", text, told.evidence);
        };
        let printer = Witness::Printer;
        if let Err(doubt) = context
            .witnesses
            .alive_through(printer, from_ns, happened, to_ns)
        {
            return out.not_judged(rule, doubt.reason(), doubt.text(printer), told.evidence);
        }
        if !context.recent.is_complete_since(from_ns, now.monotonic_ns) {
            let text = "too much happened to remember all of it";
            return out.not_judged(rule, "memory_full", text, told.evidence);
        }
        if context.tap_is_deaf() {
            let text = "nothing was printed over several payments: is the printer tap deaf?";
            return out.not_judged(rule, "tap_silent", text, told.evidence);
        }
        let rules = &context.settings.witness;
        let within = seconds(rules.paper_and_pos_ms);
        let text = format!("nothing of it was printed within {within}");
        let kind = if told.is_void { "void" } else { "refund" };
        let mut finding = finding(
            rule,
            kind,
            vec![points(rule, rules.unreported_score, text)],
            vec![told.evidence],
        );
        finding.weight = Weight::OnTop;
        finding.subject = told.subject;
        out.alert(finding);
    }
}

impl Detector for Unprinted {
    state_as_snapshot!(NAME, 1);

    fn on_event(&mut self, event: &Event, context: &Context<'_>, out: &mut Findings) {
        if let EventBody::Pos(pos) = &event.body {
            self.told(event, pos, context, out);
        }
    }

    fn deadline(&self) -> Option<MonotonicNs> {
        self.state.waiting.deadline()
    }

    fn on_tick(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        while let Some(told) = self.state.waiting.take_due(now.monotonic_ns) {
            Self::decide(told, now, context, out);
        }
    }

    fn on_cut(&mut self, cut: Cut, context: &Context<'_>, out: &mut Findings) {
        for told in self.state.waiting.take_all() {
            if told.is_printed(context) != Some(true) {
                out.not_judged(told.rule(), cut.reason(), cut.text(), told.evidence);
            }
        }
    }
}
