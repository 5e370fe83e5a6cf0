//! A refund or a no sale, and nobody on the customer's side.

use super::{cleared, finding, no_sale, points, pos_score, seconds, state_as_snapshot, unreported};
use crate::customer_side::{PICTURE_TOLD_WITHIN_NS, Seen};
use crate::detector::{Context, Cut, Detector, Findings};
use crate::feed::MAX_LAG_NS;
use crate::recent::Window;
use crate::till::TillWord;
use crate::waiting::Waiting;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tillwatch_protocol::event::{Event, Witness};
use tillwatch_protocol::finding::{Evidence, Finding, Score, Weight};
use tillwatch_protocol::ids::Seq;
use tillwatch_protocol::time::{MonotonicNs, Stamp};

/// The rule's name.
pub const RULE: &str = "nobody_there";
const KIND: &str = "nobody_there";
/// Refunds and no sales that wait for their window's end.
pub const WAITING: usize = 64;
/// Causes that are remembered so that each counts once, and that may be taken back.
pub const REMEMBERED: usize = 256;
/// Events by which one cause is known.
const EVENTS_PER_CAUSE: usize = 8;
/// Nothing may move from this long before to this long after, in milliseconds.
const AROUND_MS: u32 = 20_000;
/// What it adds.
const ADDED: Score = Score::from_milli(200);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pending {
    cause: Evidence,
    window: Window,
}

/// Something that was, or is to be, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Known {
    cause: Evidence,
    /// The events that other rules named for it.
    seqs: Vec<Seq>,
    /// This rule has a finding for it.
    found: bool,
    /// What it rests on may be taken back.
    may_fall: bool,
}

impl Known {
    fn shares_an_event(&self, finding: &Finding) -> bool {
        finding.evidence.iter().any(|e| self.seqs.contains(&e.seq))
    }

    fn take(&mut self, finding: &Finding) {
        for evidence in &finding.evidence {
            if self.seqs.len() < EVENTS_PER_CAUSE && !self.seqs.contains(&evidence.seq) {
                self.seqs.push(evidence.seq);
            }
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    waiting: Waiting<Pending, WAITING>,
    known: VecDeque<Known>,
}

/// A refund or a no sale, told by the till or found by another rule, and within ±20 s nothing moved
/// on the customer's side of any camera: 0.2 on top of what was found, never an alert by itself.
///
/// Silence counts only if every camera that looks there was alive, with a clear picture, and said
/// *still* from before the window began to its end; one that saw anybody settles it. Cameras tell
/// late, a frozen picture by ten seconds: so much later it is decided. A till event that does not
/// say when it happened may have happened at any time within the longest lag of a feed, and nobody
/// may have been there in all of it. What takes back the refund or the no sale takes this back.
///
/// @algorithm Nobody there | Finds refunds and no sales that are made without a customer
#[derive(Debug, Default)]
pub struct NobodyThere {
    state: State,
}

/// When it happened; an error says why that is not known.
fn window_of(finding: &Finding, context: &Context<'_>) -> Result<Window, &'static str> {
    let cause = &finding.evidence[0];
    let at = cause.stamp.monotonic_ns;
    if let Some(told) = context.recent.till_event(cause.seq) {
        if told.placed.happened_ns().is_none() {
            return Err("the till's clock and lag are not known yet");
        }
        let (happened, arrived) = told.span();
        let earliest = if told.placed.is_stated() {
            happened
        } else {
            happened.saturating_sub(MAX_LAG_NS)
        };
        return Ok(Window::around(earliest, arrived, AROUND_MS, AROUND_MS));
    }
    let (began, ended) = context
        .recent
        .paper(cause.seq)
        .map_or((at, at), |paper| (paper.began_ns, paper.ended_ns));
    Ok(Window::around(began, ended, AROUND_MS, AROUND_MS))
}

/// What another rule found is a refund or a no sale.
fn is_about(finding: &Finding, context: &Context<'_>) -> bool {
    match finding.rule.as_str() {
        no_sale::RULE | unreported::REFUND => true,
        pos_score::RULE => finding
            .evidence
            .first()
            .and_then(|cause| context.recent.till_event(cause.seq))
            .is_some_and(|told| matches!(told.word, TillWord::Refund | TillWord::NoSale)),
        _ => false,
    }
}

impl NobodyThere {
    fn take(&mut self, finding: &Finding, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        let Some(cause) = finding.evidence.first() else {
            return;
        };
        let known = self.state.known.iter().position(|k| {
            k.shares_an_event(finding) && (finding.cleared.is_none() || k.cause.seq == cause.seq)
        });
        if let Some(why) = &finding.cleared {
            if let Some(gone) = known.and_then(|index| self.state.known.remove(index)) {
                self.state.waiting.take(gone.cause.seq);
                if gone.found {
                    out.scored(cleared(RULE, KIND, gone.cause, why.clone()));
                }
            }
            return;
        }
        if let Some(known) = known.and_then(|index| self.state.known.get_mut(index)) {
            return known.take(finding);
        }
        if cause.stamp.boot != now.boot || !context.customer_side.is_watched() {
            return;
        }
        let mut new = Known {
            cause: cause.clone(),
            seqs: Vec::new(),
            found: false,
            may_fall: finding.rule.as_str() != pos_score::RULE,
        };
        new.take(finding);
        if self.state.known.len() == REMEMBERED {
            let idle = |k: &Known| !(k.found && k.may_fall);
            let gone = self.state.known.iter().position(idle).unwrap_or(0);
            self.state.known.remove(gone);
        }
        self.state.known.push_back(new);
        let cause = cause.clone();
        let window = match window_of(finding, context) {
            Ok(window) => window,
            Err(why) => return out.not_judged(RULE, "pos_lag_unknown", why, cause),
        };
        let due = window.to_ns.saturating_add(PICTURE_TOLD_WITHIN_NS);
        let pending = Pending { cause, window };
        if let Some(evicted) = self.state.waiting.add(due, pending.cause.seq, pending) {
            let text = "too many refunds and no sales at once";
            out.not_judged(RULE, "memory_full", text, evicted.cause);
        }
    }

    fn decide(&mut self, pending: Pending, context: &Context<'_>, out: &mut Findings) {
        let Pending { cause, window } = pending;
        let cameras = match context.customer_side.seen(window, context.witnesses) {
            Seen::Somebody | Seen::NoCamera => return,
            Seen::Unable(reason, text) => return out.not_judged(RULE, reason, text, cause),
            Seen::Nobody(cameras) => cameras,
        };
        let known = self.state.known.iter_mut();
        for known in known.filter(|known| known.cause.seq == cause.seq) {
            known.found = true;
        }
        let cameras: Vec<String> = cameras
            .into_iter()
            .map(|number| Witness::Camera(number).to_string())
            .collect();
        let text = format!(
            "nothing moved on the customer's side within {} before and after, as {} saw",
            seconds(AROUND_MS),
            cameras.join(" and ")
        );
        let mut finding = finding(RULE, KIND, vec![points(RULE, ADDED, text)], vec![cause]);
        finding.weight = Weight::OnTop;
        out.scored(finding);
    }

    fn decide_due(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        while let Some(pending) = self.state.waiting.take_due(now.monotonic_ns) {
            self.decide(pending, context, out);
        }
    }
}

impl Detector for NobodyThere {
    state_as_snapshot!(RULE, 1);

    fn on_event(&mut self, _: &Event, _: &Context<'_>, _: &mut Findings) {}

    fn on_findings(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        let settings = context.settings;
        let counts = |finding: &Finding| {
            !settings.disabled_rules.contains(&finding.rule)
                && !settings.silent_rules.contains(&finding.rule)
                && is_about(finding, context)
        };
        let mut found: Vec<Finding> = out
            .findings
            .iter()
            .map(|(finding, _)| finding)
            .filter(|finding| counts(finding))
            .cloned()
            .collect();
        // What names the most events first: it connects a till event with an opening that is known.
        found.sort_by_key(|finding| std::cmp::Reverse(finding.evidence.len()));
        for finding in &found {
            self.take(finding, now, context, out);
        }
        self.decide_due(now, context, out);
    }

    fn deadline(&self) -> Option<MonotonicNs> {
        self.state.waiting.deadline()
    }

    fn on_tick(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        self.decide_due(now, context, out);
    }

    fn on_cut(&mut self, cut: Cut, context: &Context<'_>, out: &mut Findings) {
        for Pending { cause, window } in self.state.waiting.take_all() {
            match context.customer_side.seen(window, context.witnesses) {
                Seen::Somebody | Seen::NoCamera => {}
                Seen::Nobody(_) | Seen::Unable(..) => {
                    out.not_judged(RULE, cut.reason(), cut.text(), cause);
                }
            }
        }
    }
}
