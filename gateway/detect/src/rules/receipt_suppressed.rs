//! The till reports a payment and nothing is printed.

use super::{
    cleared, evidence_of_pos, finding, points, seconds, state_as_snapshot, subject_of_pos,
};
use crate::detector::{Context, Cut, Detector, Findings};
use crate::feed::{MAX_LAG_NS, Placed};
use crate::recent::{MEMORY_NS, Paper, Window, ms};
use crate::till::TillEvent;
use crate::waiting::Waiting;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tillwatch_protocol::event::{Event, EventBody, Witness};
use tillwatch_protocol::finding::{Evidence, Subject};
use tillwatch_protocol::ids::Seq;
use tillwatch_protocol::money::Money;
use tillwatch_protocol::pos::PosEventType;
use tillwatch_protocol::settings::ReceiptPolicy;
use tillwatch_protocol::time::{MonotonicNs, Stamp};

/// The rule's name.
pub const RULE: &str = "receipt_suppressed";
const KIND: &str = "suppressed";
/// Payments that wait for paper or are remembered for it; the oldest is forgotten.
pub const PAYMENTS: usize = 128;

/// The reason of something not judged, as a word and in words.
type Doubtful = (&'static str, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Waiting,
    Printed,
    Suppressed,
    Unjudged,
}

/// One payment, or all payments of one order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sale {
    first: TillEvent,
    evidence: Evidence,
    subject: Subject,
    window: Window,
    amount: Option<Money>,
    /// It happened within the window before its arrival, as far as known.
    is_prompt: bool,
    state: State,
    /// The paper that is its receipt.
    claims: Option<Seq>,
}

impl Sale {
    /// Nobody can tell which paper belongs to a payment without any number.
    fn is_anonymous(&self) -> bool {
        self.first.order.is_none() && self.first.ticket.is_none()
    }

    /// How plainly a paper is this sale's: its number is on it, it is known when the sale happened,
    /// the totals agree. `None` when it is not.
    fn fit(&self, paper: &Paper) -> Option<(bool, bool, bool)> {
        let named = self.first.names(paper);
        if self.is_anonymous() || !(named || self.window.meets(paper.began_ns, paper.ended_ns)) {
            return None;
        }
        let equal = self.amount.is_some() && paper.total == self.amount;
        Some((named, self.is_prompt, equal))
    }

    fn due_ns(&self) -> MonotonicNs {
        self.window.to_ns
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sales {
    by_seq: BTreeMap<Seq, Sale>,
    waiting: Waiting<Seq, PAYMENTS>,
    /// The technician was told that the tap is deaf.
    told_deaf: bool,
}

/// A payment that had to be printed, and no paper within ±30 s. Any paper will do (sale, copy,
/// picture, unreadable, only begun) that does not carry the number of another order, but each paper
/// serves one order; which serves which is chosen
/// so that as many as possible are served. Payments of one order need one receipt.
///
/// The window reaches back to when the payment happened, by the till's own clock corrected for its
/// skew. After three payments in a row without a single byte on the wire the tap is deaf: that is a
/// notice, and the accusations that rest on this silence are taken back.
///
/// @algorithm Receipt suppressed | Finds payments for which the customer got no receipt
#[derive(Debug, Default)]
pub struct ReceiptSuppressed {
    state: Sales,
}

impl Sales {
    fn add(&mut self, event: &Event, told: &TillEvent, context: &Context<'_>, out: &mut Findings) {
        let agree = context.settings.witness.paper_and_pos_ms;
        let (happened, arrived) = told.span();
        let window = Window::around(happened, arrived, agree, agree);
        let earlier = self
            .by_seq
            .values_mut()
            .rev()
            .find(|sale| sale.first.same_order(told));
        if let Some(sale) = earlier {
            sale.window.from_ns = sale.window.from_ns.min(window.from_ns);
            sale.window.to_ns = sale.window.to_ns.max(window.to_ns);
            sale.amount = match (sale.amount, told.amount) {
                (Some(a), Some(b)) => Some(Money(a.0.saturating_add(b.0))),
                _ => None,
            };
            let (seq, due, state) = (sale.first.seq, sale.due_ns(), sale.state);
            if state == State::Waiting {
                self.waiting.take(seq);
                self.waiting.add(due, seq, seq);
            }
            return;
        }
        let EventBody::Pos(pos) = &event.body else {
            return;
        };
        let now = arrived;
        self.by_seq.retain(|_, sale| {
            sale.state == State::Waiting || sale.window.to_ns.saturating_add(MEMORY_NS) >= now
        });
        if self.by_seq.len() >= PAYMENTS
            && let Some((seq, gone)) = self.by_seq.pop_first()
        {
            self.waiting.take(seq);
            if gone.state == State::Waiting {
                let text = "too many payments at once";
                out.not_judged(RULE, "memory_full", text, gone.evidence);
            }
        }
        let sale = Sale {
            first: told.clone(),
            evidence: evidence_of_pos(event, pos),
            subject: subject_of_pos(pos),
            window,
            amount: told.amount,
            is_prompt: told.placed != Placed::Unknown && arrived - happened <= ms(agree),
            state: State::Waiting,
            claims: None,
        };
        self.waiting.add(sale.due_ns(), event.seq, event.seq);
        self.by_seq.insert(event.seq, sale);
    }

    /// Claims a free paper that carries the sale's number, or its total within its window.
    fn claim_own(&mut self, seq: Seq, context: &Context<'_>) -> bool {
        let Some(sale) = self.by_seq.get(&seq) else {
            return false;
        };
        if sale.claims.is_some() {
            return true;
        }
        if sale.is_anonymous() {
            return false;
        }
        let is_free = |id: Seq| self.owner_of(id).is_none();
        let is_own = |paper: &&Paper| {
            sale.first.names(paper)
                || (sale.window.meets(paper.began_ns, paper.ended_ns)
                    && sale.amount.is_some()
                    && paper.total == sale.amount)
        };
        let own = context
            .recent
            .papers()
            .filter(is_own)
            .find(|paper| is_free(paper.id));
        let claims = own.map(|paper| paper.id);
        if let Some(sale) = self.by_seq.get_mut(&seq) {
            sale.claims = claims;
        }
        claims.is_some()
    }

    /// Finds a paper for a sale, moving other sales to other papers of theirs where that helps.
    fn claim(&mut self, seq: Seq, context: &Context<'_>, tried: &mut Vec<Seq>) -> bool {
        let Some(sale) = self.by_seq.get(&seq) else {
            return false;
        };
        // A paper that carries the number of another order (a void, the next customer's sale) is
        // that order's.
        let is_anothers = |paper: &&Paper| {
            let mut others = context
                .recent
                .till_events()
                .filter(|other| !other.same_order(&sale.first));
            others.any(|other| other.names(paper))
        };
        let mut candidates: Vec<&Paper> = context
            .recent
            .papers_in(sale.window)
            .filter(|paper| sale.first.names(paper) || !is_anothers(paper))
            .collect();
        // By its number wherever it is; else an equal total first; else the nearest.
        candidates.extend(context.recent.papers().filter(|paper| {
            sale.first.names(paper) && !sale.window.meets(paper.began_ns, paper.ended_ns)
        }));
        let at = sale.first.stamp.monotonic_ns;
        candidates.sort_by_key(|paper| {
            let equal = sale.amount.is_some() && paper.total == sale.amount;
            (
                !sale.first.names(paper),
                !equal,
                paper.ended_ns.abs_diff(at),
                paper.id,
            )
        });
        let candidates: Vec<Seq> = candidates.into_iter().map(|paper| paper.id).collect();
        if sale.is_anonymous() {
            let nearest = candidates.first().copied();
            if let Some(sale) = self.by_seq.get_mut(&seq) {
                sale.claims = nearest;
            }
            return nearest.is_some();
        }
        for paper in candidates {
            if tried.contains(&paper) {
                continue;
            }
            tried.push(paper);
            let owner = self.owner_of(paper);
            let free = match owner {
                None => true,
                Some(owner) => self.claim(owner, context, tried),
            };
            if free {
                if let Some(sale) = self.by_seq.get_mut(&seq) {
                    sale.claims = Some(paper);
                }
                return true;
            }
        }
        false
    }

    /// Finds any paper for a sale that nobody else has a better right to.
    fn claim_any(&mut self, seq: Seq, context: &Context<'_>) -> bool {
        // Others that still wait keep what is plainly theirs, so that the right one is named.
        let waiting: Vec<Seq> = self.waiting.iter().copied().collect();
        for other in waiting {
            self.claim_own(other, context);
        }
        self.claim(seq, context, &mut Vec::new()) || self.take_over(seq, context)
    }

    fn owner_of(&self, paper: Seq) -> Option<Seq> {
        let mut sales = self.by_seq.iter();
        // Where nothing has a number, papers are shared.
        let owner = sales.find(|(_, sale)| sale.claims == Some(paper) && !sale.is_anonymous());
        owner.map(|(seq, _)| *seq)
    }

    /// Takes a paper from a sale to which it belongs less plainly in any respect; that one is not
    /// judged then. Who decides later must not pay for what was decided before.
    fn take_over(&mut self, seq: Seq, context: &Context<'_>) -> bool {
        let Some(sale) = self.by_seq.get(&seq) else {
            return false;
        };
        let weaker = context.recent.papers().find_map(|paper| {
            let mine = sale.fit(paper)?;
            let owner = self.owner_of(paper.id)?;
            let theirs = self.by_seq.get(&owner).and_then(|other| other.fit(paper));
            let (named, prompt, equal) = theirs.unwrap_or_default();
            let plainer = (mine.0 && !named) || (mine.1 && !prompt) || (mine.2 && !equal);
            plainer.then_some((paper.id, owner))
        });
        let Some((paper, owner)) = weaker else {
            return false;
        };
        if let Some(other) = self.by_seq.get_mut(&owner) {
            other.claims = None;
            if other.state == State::Printed {
                other.state = State::Unjudged;
            }
        }
        if let Some(sale) = self.by_seq.get_mut(&seq) {
            sale.claims = Some(paper);
        }
        true
    }

    /// Why the absence of paper would prove nothing; `Some(None)` when the rule does not apply.
    fn doubt(&self, sale: &Sale, now: &Stamp, context: &Context<'_>) -> Option<Option<Doubtful>> {
        let Window { from_ns, to_ns } = sale.window;
        let printer = Witness::Printer;
        if context.witnesses.is_absent(printer) || !context.always_printed_since(from_ns) {
            return Some(None);
        }
        let because = |reason, text: &str| Some(Some((reason, text.to_owned())));
        let Some(happened) = sale.first.placed.happened_ns() else {
            return because(
                "pos_lag_unknown",
                "the till's clock and lag are not known yet",
            );
        };
        if let Err(doubt) = context
            .witnesses
            .alive_through(printer, from_ns, happened, to_ns)
        {
            return because(doubt.reason(), &doubt.text(printer));
        }
        if !context.recent.is_complete_since(from_ns, now.monotonic_ns) {
            return because("memory_full", "too much happened to remember all of it");
        }
        None
    }

    fn decide(&mut self, seq: Seq, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        let own = self.claim_own(seq, context);
        let Some(sale) = self.by_seq.get(&seq) else {
            return;
        };
        let first = sale.first.clone();
        let (cause, subject) = (sale.evidence.clone(), sale.subject.clone());
        let doubt = self.doubt(sale, now, context);
        let some_paper = context.recent.papers_in(sale.window).next().is_some();
        // Whose receipt may have been missed takes no paper that others need.
        let printed = own || (doubt.is_none() && self.claim_any(seq, context));
        let Some(sale) = self.by_seq.get_mut(&seq) else {
            return;
        };
        sale.state = if printed {
            State::Printed
        } else {
            State::Unjudged
        };
        if printed {
            return;
        }
        if let Some(doubt) = doubt {
            if let Some((reason, text)) = doubt.filter(|_| !some_paper) {
                out.not_judged(RULE, reason, text, cause);
            }
            return;
        }
        if !first.placed.is_stated() && self.has_stray_paper(first.stamp.monotonic_ns, context) {
            let text =
                "the till does not say when it was, and there is paper that may be its receipt";
            return out.not_judged(RULE, "pos_lag_unknown", text, cause);
        }
        if self.may_be_a_repeat(seq) {
            let text = "the till does not say which sale it was nor when, and has reported the \
                        same amount just before";
            return out.not_judged(RULE, "pos_lag_unknown", text, cause);
        }
        if context.tap_is_deaf() {
            let text = "nothing was printed over several payments: is the printer tap deaf?";
            out.not_judged(RULE, "tap_silent", text, cause);
            self.deaf(now, context, out);
            return;
        }
        if let Some(sale) = self.by_seq.get_mut(&seq) {
            sale.state = State::Suppressed;
        }
        let rules = &context.settings.witness;
        let within = seconds(rules.paper_and_pos_ms);
        let text = format!("a payment was reported and nothing was printed within {within}");
        let contributions = vec![points(RULE, rules.receipt_suppressed_score, text)];
        let mut finding = finding(RULE, KIND, contributions, vec![cause]);
        finding.subject = subject;
        out.alert(finding);
    }

    /// Whether there is paper of the last minutes that belongs to no payment, or is not paid for in
    /// full by payments without a number: the rest of a split payment may come late.
    fn has_stray_paper(&self, until_ns: MonotonicNs, context: &Context<'_>) -> bool {
        let lately = Window {
            from_ns: until_ns.saturating_sub(MAX_LAG_NS),
            to_ns: until_ns,
        };
        let is_settled = |paper: &Paper| {
            let claims = || {
                let sales = self.by_seq.values();
                sales.filter(|sale| sale.claims == Some(paper.id))
            };
            let paid = claims().try_fold(0_i64, |sum, sale| {
                sale.amount.map(|amount| sum.saturating_add(amount.0))
            });
            claims().any(|sale| !sale.is_anonymous())
                || matches!((paid, paper.total), (Some(paid), Some(total)) if paid > 0 && paid >= total.0)
        };
        context
            .recent
            .papers_in(lately)
            .any(|paper| !is_settled(paper))
    }

    /// Whether it is without number and time and of the same amount as another: tills send again
    /// what was not answered, some with a new id.
    fn may_be_a_repeat(&self, seq: Seq) -> bool {
        let nameless = |sale: &Sale| sale.is_anonymous() && !sale.first.placed.is_stated();
        let mine = self.by_seq.get(&seq).filter(|sale| nameless(sale));
        mine.is_some_and(|mine| {
            let mut others = self.by_seq.range(..seq).map(|(_, sale)| sale);
            others.any(|other| nameless(other) && other.amount == mine.amount)
        })
    }

    /// The tap is deaf: tells the technician once, and takes back what rests on this silence.
    fn deaf(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        if self.told_deaf {
            return;
        }
        self.told_deaf = true;
        let text = "several payments and not a single byte from the printer: check the tap's lead \
                    and port, or the receipt policy";
        out.notice(RULE, "tap_silent", text, *now);
        let heard = context.recent.last_byte_ns().unwrap_or(0);
        for sale in self.by_seq.values_mut() {
            if sale.state == State::Suppressed && sale.first.stamp.monotonic_ns > heard {
                sale.state = State::Unjudged;
                let why = "the printer tap heard nothing at all since: its silence proves nothing";
                out.alert(cleared(RULE, KIND, sale.evidence.clone(), why));
            }
        }
    }

    /// Paper came: perhaps it explains what was concluded too early.
    fn paper(&mut self, context: &Context<'_>, out: &mut Findings) {
        self.told_deaf = false;
        let suppressed = self
            .by_seq
            .iter()
            .filter(|(_, sale)| sale.state == State::Suppressed);
        for seq in suppressed.map(|(seq, _)| *seq).collect::<Vec<_>>() {
            if self.claim(seq, context, &mut Vec::new())
                && let Some(sale) = self.by_seq.get_mut(&seq)
            {
                sale.state = State::Printed;
                let why = "its receipt was printed after all";
                out.alert(cleared(RULE, KIND, sale.evidence.clone(), why));
            }
        }
    }
}

impl Detector for ReceiptSuppressed {
    state_as_snapshot!(RULE, 1);

    fn on_event(&mut self, event: &Event, context: &Context<'_>, out: &mut Findings) {
        match &event.body {
            EventBody::Pos(pos)
                if pos.event_type == PosEventType::PaymentCleared
                    && context.settings.receipt_policy == ReceiptPolicy::Always =>
            {
                if let Some(told) = context.recent.till_event(event.seq) {
                    self.state.add(event, told, context, out);
                }
            }
            EventBody::PaperStarted | EventBody::Receipt(_) => self.state.paper(context, out),
            EventBody::DrawerCommand(_) => self.state.told_deaf = false,
            _ => {}
        }
    }

    fn deadline(&self) -> Option<MonotonicNs> {
        self.state.waiting.deadline()
    }

    fn on_tick(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        while let Some(seq) = self.state.waiting.take_due(now.monotonic_ns) {
            self.state.decide(seq, now, context, out);
        }
    }

    fn on_cut(&mut self, cut: Cut, context: &Context<'_>, out: &mut Findings) {
        let waiting: Vec<Seq> = self.state.waiting.take_all().collect();
        for seq in waiting {
            let own = self.state.claim_own(seq, context);
            let Some(sale) = self.state.by_seq.get_mut(&seq) else {
                continue;
            };
            let printed = own || context.recent.papers_in(sale.window).next().is_some();
            sale.state = if printed {
                State::Printed
            } else {
                State::Unjudged
            };
            if !printed {
                out.not_judged(RULE, cut.reason(), cut.text(), sale.evidence.clone());
            }
        }
        if cut == Cut::Boot {
            self.state.by_seq.clear();
        }
    }
}
