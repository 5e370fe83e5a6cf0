//! The paper tells of a void or refund, the till does not.

use super::{cleared, evidence_of_paper, finding, points, seconds, state_as_snapshot};
use crate::detector::{Context, Cut, Detector, Findings};
use crate::feed::MAX_LAG_NS;
use crate::recent::{Paper, Window};
use crate::till::{TillEvent, TillWord};
use crate::waiting::Waiting;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tillwatch_protocol::Money;
use tillwatch_protocol::event::{Event, EventBody, Witness};
use tillwatch_protocol::finding::{Evidence, Subject};
use tillwatch_protocol::receipt::Receipt;
use tillwatch_protocol::time::{MonotonicNs, SECOND_NS, Stamp};

/// The rule about voids.
pub const VOID: &str = "unreported_void";
/// The rule about refunds.
pub const REFUND: &str = "unreported_refund";
const NAME: &str = "unreported";
/// Papers that wait for the till.
pub const WAITING: usize = 64;
/// Findings that a late till event may still explain, or a loss of the feed take back.
pub const REMEMBERED: usize = 64;
/// A second paper with the same number this soon is the other copy.
const COPY_NS: u64 = 120 * SECOND_NS;

/// Which of the two rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Which {
    Void,
    Refund,
}

impl Which {
    fn of(paper: &Paper) -> Option<Which> {
        let kind = paper.kind?;
        if kind.is_void() {
            Some(Self::Void)
        } else if kind.is_refund() {
            Some(Self::Refund)
        } else {
            None
        }
    }

    fn rule(self) -> &'static str {
        match self {
            Self::Void => VOID,
            Self::Refund => REFUND,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }

    /// The till's type that should have come, whose base score counts.
    fn event_type(self) -> &'static str {
        match self {
            Self::Void => "void_transaction",
            Self::Refund => "refund_issued",
        }
    }

    fn base_text(self) -> &'static str {
        match self {
            Self::Void => "the receipt says that a transaction was voided",
            Self::Refund => "the receipt says that money was paid back",
        }
    }

    fn is_told_by(self, event: &TillEvent) -> bool {
        event.word
            == if self == Self::Void {
                TillWord::Void
            } else {
                TillWord::Refund
            }
    }
}

/// A paper that the till should tell of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Printed {
    which: Which,
    paper: Paper,
    evidence: Evidence,
    cashier: Option<String>,
    window: Window,
    waited_for_feed: bool,
}

impl Printed {
    fn is_explained_by(&self, event: &TillEvent) -> bool {
        let (happened, arrived) = event.span();
        self.which.is_told_by(event)
            && (self.window.meets(happened, arrived) || event.names(&self.paper))
    }

    /// Whether somebody tries the rule out on a new box: nothing was sold here yet, or hardly
    /// anything, and the paper takes back a payment that the feed did report.
    fn is_a_trial(&self, context: &Context<'_>) -> bool {
        let takes_back = |event: &TillEvent| {
            let equal = self.paper.total.is_some()
                && self.paper.total.map(Money::abs) == event.amount.map(Money::abs);
            event.word == TillWord::Payment && (equal || event.names(&self.paper))
        };
        context.feed.is_before_trade()
            || (context.feed.is_on_trial() && context.recent.till_events().any(takes_back))
    }

    /// An event of that kind whose own time is not known may be the late one.
    fn may_be_explained_by(&self, event: &TillEvent) -> bool {
        self.is_explained_by(event)
            || (self.which.is_told_by(event)
                && !event.placed.is_stated()
                && self.window.from_ns <= event.stamp.monotonic_ns
                && event.stamp.monotonic_ns <= self.window.to_ns.saturating_add(MAX_LAG_NS))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    waiting: Waiting<Printed, WAITING>,
    found: VecDeque<Printed>,
    /// Losses of the feed that were known when the findings were made.
    misses: u64,
}

/// A receipt says void or refund, and no till event of that kind comes within 30 s: the base of
/// that kind and 0.2 on top.
///
/// The feed's silence counts only if it was connected through the window, was not caught losing
/// events lately, and has proven over many sales that it carries what happens (see
/// [`crate::proof`]; before trade begins, the rule can be tried out); one that was caught delaying
/// is waited for longer. An event that comes late all the same clears the alert, and so does a loss
/// that is noticed afterwards: the first event that a good feed ever loses may be a void.
///
/// @algorithm Unreported void or refund | Finds voids and refunds on paper that the till keeps silent about
#[derive(Debug, Default)]
pub struct Unreported {
    state: State,
}

impl Unreported {
    fn printed(
        &mut self,
        paper: &Paper,
        receipt: &Receipt,
        context: &Context<'_>,
        out: &mut Findings,
    ) {
        let Some(which) = Which::of(paper) else {
            return;
        };
        let evidence = evidence_of_paper(paper, context);
        if context.witnesses.is_absent(Witness::Pos) {
            return;
        }
        if !paper.readable {
            let text = "the receipt is damaged";
            return out.not_judged(which.rule(), "receipt_unreadable", text, evidence);
        }
        let is_copy = |known: &Printed| {
            known.which == which
                && paper.number.is_some()
                && known.paper.number == paper.number
                && paper.began_ns.abs_diff(known.paper.ended_ns) <= COPY_NS
        };
        if self
            .state
            .waiting
            .iter()
            .chain(&self.state.found)
            .any(is_copy)
        {
            return;
        }
        let agree = context.settings.witness.paper_and_pos_ms;
        let window = Window::around(paper.began_ns, paper.ended_ns, agree, agree);
        let cashier = receipt.cashier.clone();
        let paper = paper.clone();
        let printed = Printed {
            which,
            paper,
            evidence,
            cashier,
            window,
            waited_for_feed: false,
        };
        self.wait(window.to_ns, printed, out);
    }

    fn wait(&mut self, due: MonotonicNs, printed: Printed, out: &mut Findings) {
        if let Some(evicted) = self.state.waiting.add(due, printed.evidence.seq, printed) {
            let text = "too many receipts at once";
            out.not_judged(evicted.which.rule(), "memory_full", text, evicted.evidence);
        }
    }

    fn decide(
        &mut self,
        mut printed: Printed,
        now: &Stamp,
        context: &Context<'_>,
        out: &mut Findings,
    ) {
        if context
            .recent
            .till_events()
            .any(|event| printed.is_explained_by(event))
        {
            return;
        }
        let rule = printed.which.rule();
        let Window { from_ns, to_ns } = printed.window;
        let until = now.monotonic_ns.max(to_ns);
        let watched =
            context
                .witnesses
                .alive_through(Witness::Pos, from_ns, printed.paper.began_ns, until);
        if let Err(doubt) = watched {
            return out.not_judged(
                rule,
                doubt.reason(),
                doubt.text(Witness::Pos),
                printed.evidence,
            );
        }
        if !context.recent.is_complete_since(from_ns, now.monotonic_ns) {
            let text = "too much happened to remember all of it";
            return out.not_judged(rule, "memory_full", text, printed.evidence);
        }
        if context.feed.loses_events() {
            let text = "the till's feed was caught losing events lately";
            return out.not_judged(rule, "feed_unreliable", text, printed.evidence);
        }
        if !context.feed.is_proven() && !printed.is_a_trial(context) {
            let text = "the till's feed has not shown yet, over enough sales in a row, that it loses nothing";
            return out.not_judged(rule, "feed_unproven", text, printed.evidence);
        }
        let patience = context.feed.patience_ns();
        if patience > 0 && !printed.waited_for_feed {
            printed.waited_for_feed = true;
            return self.wait(to_ns.saturating_add(patience), printed, out);
        }
        if context
            .recent
            .till_events()
            .any(|event| printed.may_be_explained_by(event))
        {
            let text = "a till event of that kind came, but when it happened is not known";
            return out.not_judged(rule, "pos_lag_unknown", text, printed.evidence);
        }
        self.find(printed, context, out);
    }

    fn find(&mut self, printed: Printed, context: &Context<'_>, out: &mut Findings) {
        let which = printed.which;
        let settings = context.settings;
        let name = which.event_type();
        let base = settings
            .event_types
            .get(name)
            .map_or(settings.other_event_base, |t| t.base);
        let waited = seconds(settings.witness.paper_and_pos_ms);
        let contributions = vec![
            points(name, base, which.base_text()),
            points(
                which.rule(),
                settings.witness.unreported_score,
                format!("the till did not report it within {waited}"),
            ),
        ];
        let mut finding = finding(
            which.rule(),
            which.kind(),
            contributions,
            vec![printed.evidence.clone()],
        );
        finding.subject = Subject {
            ticket_no: printed.paper.number.clone(),
            staff_id: printed.cashier.clone(),
            amount: printed.paper.total,
            ..Subject::default()
        };
        out.alert(finding);
        if self.state.found.is_empty() {
            self.state.misses = context.feed.misses();
        }
        if self.state.found.len() == REMEMBERED {
            self.state.found.pop_front();
        }
        self.state.found.push_back(printed);
    }

    fn clear(&mut self, explained: impl Fn(&Printed) -> bool, why: &str, out: &mut Findings) {
        for found in self.state.found.iter().filter(|found| explained(found)) {
            let which = found.which;
            out.alert(cleared(
                which.rule(),
                which.kind(),
                found.evidence.clone(),
                why,
            ));
        }
        self.state.found.retain(|found| !explained(found));
    }
}

impl Detector for Unreported {
    state_as_snapshot!(NAME, 1);

    fn on_event(&mut self, event: &Event, context: &Context<'_>, out: &mut Findings) {
        if !self.state.found.is_empty() && context.feed.misses() != self.state.misses {
            let why = "the till's feed was caught losing another event: its silence proves nothing";
            self.clear(|_| true, why, out);
        }
        match &event.body {
            EventBody::Receipt(receipt) => {
                if let Some(paper) = context.recent.paper(event.seq) {
                    self.printed(paper, receipt, context, out);
                }
            }
            EventBody::Pos(_) if !self.state.found.is_empty() => {
                let Some(told) = context.recent.till_event(event.seq) else {
                    return;
                };
                let why = format!("the till reported it late (record {})", told.seq);
                self.clear(|found| found.may_be_explained_by(told), &why, out);
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<MonotonicNs> {
        self.state.waiting.deadline()
    }

    fn on_tick(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        while let Some(printed) = self.state.waiting.take_due(now.monotonic_ns) {
            self.decide(printed, now, context, out);
        }
    }

    fn on_cut(&mut self, cut: Cut, context: &Context<'_>, out: &mut Findings) {
        for printed in self.state.waiting.take_all() {
            if !context
                .recent
                .till_events()
                .any(|event| printed.is_explained_by(event))
            {
                out.not_judged(
                    printed.which.rule(),
                    cut.reason(),
                    cut.text(),
                    printed.evidence,
                );
            }
        }
        if cut == Cut::Boot {
            // A loss of the feed or a till event with its number can still take it back.
            for found in &mut self.state.found {
                found.window = Window {
                    from_ns: MonotonicNs::MAX,
                    to_ns: 0,
                };
            }
        }
    }
}
