//! The drawer was kicked open and nothing was sold.

use super::{
    cleared, evidence_of_paper, evidence_of_till, finding, points, seconds, state_as_snapshot,
};
use crate::detector::{Context, Cut, Detector, Findings};
use crate::feed::MAX_LAG_NS;
use crate::recent::{Pulse, Window};
use crate::till::{TillEvent, TillWord};
use crate::waiting::Waiting;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tillwatch_protocol::event::{DrawerState, Event, EventBody, Witness};
use tillwatch_protocol::finding::{Evidence, Finding};
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::time::{MonotonicNs, Stamp};

/// The rule's name.
pub const RULE: &str = "no_sale";
const KIND: &str = "no_sale";
/// Openings that wait for a sale.
pub const WAITING: usize = 64;
/// Openings that were found without a sale and may still be confirmed or explained.
pub const REMEMBERED: usize = 64;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Opening {
    opened: Evidence,
    window: Window,
    /// The slow feed was given its time.
    waited_for_feed: bool,
}

/// An opening that was found to be without a sale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Found {
    opening: Opening,
    finding: Finding,
    /// The till said so itself: nothing explains it away any more.
    confirmed: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    waiting: Waiting<Opening, WAITING>,
    found: VecDeque<Found>,
}

/// A kick opened the drawer, and no paper and no till event within −10…+20 s tells of a sale or of
/// any other reason. A no-sale slip or the till's own `no_sale_opened` says so at once, and shares
/// its record with this finding, so that there is one alert.
///
/// Silence counts only if every configured witness that could have told was alive: under the
/// receipt policy `always` the paper decides; otherwise the till's feed, if it was not caught
/// losing events lately.
///
/// @algorithm No sale | Finds a drawer that is opened by the till without a sale
#[derive(Debug, Default)]
pub struct NoSale {
    state: State,
}

/// What is known about an opening's reason.
enum Reason {
    /// A sale, or another transaction.
    Known,
    /// Something was printed that nobody can read.
    Unreadable,
    /// Nothing.
    None,
}

/// The pulse that opened the drawer: on the kick line, or where that is not watched, on the wire.
fn cause<'a>(opening: &Opening, context: &Context<'a>) -> Option<&'a Pulse> {
    let rules = &context.settings.witness;
    let at = opening.opened.stamp.monotonic_ns;
    let kick_window = Window::around(at, at, rules.kick_before_opening_ms, 0);
    if let Some(kick) = context.recent.kick_in(kick_window) {
        return Some(kick);
    }
    let kick_line = context
        .witnesses
        .alive_through(Witness::KickLine, kick_window.from_ns, at, at);
    if kick_line.is_ok() {
        return None;
    }
    let wire_window = Window::around(at, at, rules.command_before_opening_ms, 0);
    context
        .recent
        .commands_in(wire_window)
        .find(|command| command.confirmed)
}

fn reason(opening: &Opening, context: &Context<'_>) -> Reason {
    let mut result = Reason::None;
    for paper in context.recent.papers_in(opening.window) {
        match paper.kind {
            Some(kind) if paper.readable && kind.explains_opening() => return Reason::Known,
            Some(_) if paper.readable => {}
            _ => result = Reason::Unreadable,
        }
    }
    let told = context.recent.till_events().any(|event| {
        let (happened, arrived) = event.span();
        event.word.explains_opening() && opening.window.meets(happened, arrived)
    });
    if told { Reason::Known } else { result }
}

impl NoSale {
    fn find(
        &mut self,
        opening: Opening,
        confirmation: Option<Evidence>,
        context: &Context<'_>,
        out: &mut Findings,
    ) {
        let rules = &context.settings.witness;
        let mut evidence = vec![opening.opened.clone()];
        if let Some(pulse) = cause(&opening, context) {
            evidence.push(Evidence {
                seq: pulse.seq,
                stamp: pulse.stamp,
                what: "kick".into(),
            });
        }
        let confirmed = confirmation.is_some();
        let text = match &confirmation {
            Some(by) => format!(
                "drawer opened by a kick without a sale, as the {} says",
                by.what
            ),
            None => format!(
                "drawer opened by a kick, no sale within {} before and {} after",
                seconds(rules.sale_before_opening_ms),
                seconds(rules.sale_after_opening_ms)
            ),
        };
        evidence.extend(confirmation);
        let finding = finding(
            RULE,
            KIND,
            vec![points(RULE, rules.no_sale_score, text)],
            evidence,
        );
        out.alert(finding.clone());
        if self.state.found.len() == REMEMBERED {
            self.state.found.pop_front();
        }
        self.state.found.push_back(Found {
            opening,
            finding,
            confirmed,
        });
    }

    fn decide(
        &mut self,
        mut opening: Opening,
        now: &Stamp,
        context: &Context<'_>,
        out: &mut Findings,
    ) {
        let Window { from_ns, to_ns } = opening.window;
        let at = opening.opened.stamp.monotonic_ns;
        if cause(&opening, context).is_none() {
            // Not opened by a kick: that is the matter of another rule.
            return;
        }
        match reason(&opening, context) {
            Reason::Known => return,
            Reason::Unreadable => {
                let text = "something was printed around it that could not be read";
                return out.not_judged(RULE, "receipt_unreadable", text, opening.opened);
            }
            Reason::None => {}
        }
        // The till may say so itself.
        let said = context.recent.till_events().find(|event| {
            let (happened, arrived) = event.span();
            event.word == TillWord::NoSale
                && opening.window.meets(happened, arrived)
                && !self.is_used(event)
        });
        if let Some(event) = said {
            let confirmation = evidence_of_till(event, "no_sale_opened");
            return self.find(opening, Some(confirmation), context, out);
        }
        let mut asked = 0;
        for witness in [Witness::Printer, Witness::Pos] {
            if context.witnesses.is_absent(witness) {
                continue;
            }
            asked += 1;
            let until = if witness == Witness::Pos {
                now.monotonic_ns.max(to_ns)
            } else {
                to_ns
            };
            if let Err(doubt) = context.witnesses.alive_through(witness, from_ns, at, until) {
                return out.not_judged(RULE, doubt.reason(), doubt.text(witness), opening.opened);
            }
        }
        if asked == 0 {
            let text = "neither printer nor till can tell of a sale";
            return out.not_judged(RULE, "no_witness", text, opening.opened);
        }
        if !context.recent.is_complete_since(from_ns, now.monotonic_ns) {
            let text = "too much happened to remember all of it";
            return out.not_judged(RULE, "memory_full", text, opening.opened);
        }
        let paper_tells =
            context.always_printed_since(from_ns) && !context.witnesses.is_absent(Witness::Printer);
        if !paper_tells {
            if context.witnesses.is_absent(Witness::Pos) {
                let text = "sales are not always printed, and the till reports nothing";
                return out.not_judged(RULE, "paper_not_required", text, opening.opened);
            }
            if context.feed.loses_events() {
                let text = "the till's feed was caught losing events lately";
                return out.not_judged(RULE, "feed_unreliable", text, opening.opened);
            }
            let patience = context.feed.patience_ns();
            if patience > 0 && !opening.waited_for_feed {
                opening.waited_for_feed = true;
                return self.wait(to_ns.saturating_add(patience), opening, out);
            }
        }
        self.find(opening, None, context, out);
    }

    fn wait(&mut self, due: MonotonicNs, opening: Opening, out: &mut Findings) {
        let evicted = self.state.waiting.add(due, opening.opened.seq, opening);
        if let Some(evicted) = evicted {
            let text = "too many openings at once";
            out.not_judged(RULE, "memory_full", text, evicted.opened);
        }
    }

    fn is_used(&self, event: &TillEvent) -> bool {
        self.state
            .found
            .iter()
            .any(|f| f.finding.evidence.iter().any(|e| e.seq == event.seq))
    }

    /// A no-sale slip or the till names the nearest opening that nothing explains.
    fn named(
        &mut self,
        window_of: (MonotonicNs, MonotonicNs),
        by: &Evidence,
        context: &Context<'_>,
        out: &mut Findings,
    ) -> bool {
        let (begin, end) = window_of;
        let distance = |opening: &Opening| {
            let at = opening.opened.stamp.monotonic_ns;
            if at < begin {
                begin - at
            } else {
                at.saturating_sub(end)
            }
        };
        let nearest = self
            .state
            .waiting
            .iter()
            .filter(|opening| opening.window.meets(begin, end) && cause(opening, context).is_some())
            .min_by_key(|opening| (distance(opening), opening.opened.seq));
        let Some(nearest) = nearest else { return false };
        if !matches!(reason(nearest, context), Reason::None) {
            return false;
        }
        let Some(opening) = self.state.waiting.take(nearest.opened.seq) else {
            return false;
        };
        self.find(opening, Some(by.clone()), context, out);
        true
    }

    fn on_till_event(&mut self, event: &TillEvent, context: &Context<'_>, out: &mut Findings) {
        let span = event.span();
        if event.word == TillWord::NoSale {
            let by = evidence_of_till(event, "no_sale_opened");
            if self.named(span, &by, context, out) {
                return;
            }
            // Late: it confirms what was found already.
            let arrived = event.stamp.monotonic_ns;
            let unconfirmed = self.state.found.iter_mut().filter(|f| !f.confirmed);
            let nearest = unconfirmed
                .filter(|f| {
                    if event.placed.is_stated() {
                        return f.opening.window.meets(span.0, span.1);
                    }
                    let at = f.opening.opened.stamp.monotonic_ns;
                    f.opening.window.from_ns <= arrived && arrived <= at.saturating_add(MAX_LAG_NS)
                })
                .min_by_key(|f| {
                    (
                        f.opening.opened.stamp.monotonic_ns.abs_diff(span.0),
                        f.opening.opened.seq,
                    )
                });
            if let Some(found) = nearest {
                found.confirmed = true;
                found.finding.evidence.push(by);
                out.alert(found.finding.clone());
            }
        } else {
            // A sale that was reported late.
            self.explain(span, "a sale that was reported late explains it", out);
        }
    }

    fn explain(&mut self, (begin, end): (MonotonicNs, MonotonicNs), why: &str, out: &mut Findings) {
        let explained = |f: &Found| !f.confirmed && f.opening.window.meets(begin, end);
        for found in self.state.found.iter().filter(|f| explained(f)) {
            out.alert(cleared(RULE, KIND, found.opening.opened.clone(), why));
        }
        self.state.found.retain(|f| !explained(f));
    }
}

impl Detector for NoSale {
    state_as_snapshot!(RULE, 1);

    fn on_event(&mut self, event: &Event, context: &Context<'_>, out: &mut Findings) {
        match &event.body {
            EventBody::Drawer {
                state: DrawerState::Open,
                initial: false,
            } => {
                let rules = &context.settings.witness;
                let at = event.stamp.monotonic_ns;
                if context.drawer_sprang_back(at) {
                    return;
                }
                let window = Window::around(
                    at,
                    at,
                    rules.sale_before_opening_ms,
                    rules.sale_after_opening_ms,
                );
                let opened = super::evidence_of(event, "drawer opened");
                let opening = Opening {
                    opened,
                    window,
                    waited_for_feed: false,
                };
                self.wait(window.to_ns, opening, out);
            }
            EventBody::Receipt(_) => {
                let Some(paper) = context.recent.paper(event.seq) else {
                    return;
                };
                let span = (paper.began_ns, paper.ended_ns);
                match paper.kind {
                    Some(ReceiptKind::NoSale) if paper.readable => {
                        let by = evidence_of_paper(paper, context);
                        self.named(span, &by, context, out);
                    }
                    Some(kind) if kind.explains_opening() => {
                        self.explain(span, "paper that was printed around it explains it", out);
                    }
                    _ => {}
                }
            }
            EventBody::Pos(_) => {
                if let Some(told) = context.recent.till_event(event.seq) {
                    self.on_till_event(told, context, out);
                }
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<MonotonicNs> {
        self.state.waiting.deadline()
    }

    fn on_tick(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        while let Some(opening) = self.state.waiting.take_due(now.monotonic_ns) {
            self.decide(opening, now, context, out);
        }
    }

    fn on_cut(&mut self, cut: Cut, context: &Context<'_>, out: &mut Findings) {
        for opening in self.state.waiting.take_all() {
            let settled = cause(&opening, context).is_none()
                || matches!(reason(&opening, context), Reason::Known);
            if !settled {
                out.not_judged(RULE, cut.reason(), cut.text(), opening.opened);
            }
        }
        if cut == Cut::Boot {
            self.state.found.clear();
        }
    }
}
