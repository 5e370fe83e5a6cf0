//! What happened at the register in the last minutes: the memory that the witness rules share.
//!
//! Evidence is remembered across a restart of the daemon within one boot: what was seen was seen.
//! Only silence is worth nothing then, and that is the [`crate::WitnessLedger`]'s matter.

use crate::feed::Placed;
use crate::till::{TillEvent, TillWord};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tillwatch_protocol::Money;
use tillwatch_protocol::Seq;
use tillwatch_protocol::event::{DrawerCommand, DrawerState};
use tillwatch_protocol::pos::PosEvent;
use tillwatch_protocol::receipt::{Receipt, ReceiptKind};
use tillwatch_protocol::time::{MonotonicNs, SECOND_NS, Stamp};

/// Kicks that are remembered.
pub const KICKS: usize = 128;
/// Drawer commands that are remembered.
pub const COMMANDS: usize = 128;
/// Papers that are remembered.
pub const PAPERS: usize = 256;
/// Till events that are remembered (those that tell of a transaction).
pub const TILL_EVENTS: usize = 512;
/// How long things are remembered: the longest patience with a slow feed, and a margin.
pub const MEMORY_NS: u64 = 15 * 60 * SECOND_NS;
/// A document cannot have begun longer ago than this.
const LONGEST_DOCUMENT_NS: u64 = 10 * 60 * SECOND_NS;
/// `PaperStarted` and the receipt's own beginning name the same byte, stamped by two threads.
const SAME_BYTE_NS: u64 = 2 * SECOND_NS;

/// Times around something, in monotonic nanoseconds of the current boot, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its begin.
    pub from_ns: MonotonicNs,
    /// Its end.
    pub to_ns: MonotonicNs,
}

impl Window {
    /// From `before_ms` before `begin_ns` to `after_ms` after `end_ns`.
    #[must_use]
    pub fn around(begin_ns: u64, end_ns: u64, before_ms: u32, after_ms: u32) -> Window {
        Window {
            from_ns: begin_ns.saturating_sub(ms(before_ms)),
            to_ns: end_ns.saturating_add(ms(after_ms)),
        }
    }

    /// Whether a moment lies within.
    #[must_use]
    pub fn holds(&self, at_ns: MonotonicNs) -> bool {
        (self.from_ns..=self.to_ns).contains(&at_ns)
    }

    /// Whether some moment of `begin_ns..=end_ns` lies within.
    #[must_use]
    pub fn meets(&self, begin_ns: MonotonicNs, end_ns: MonotonicNs) -> bool {
        begin_ns <= self.to_ns && self.from_ns <= end_ns
    }
}

/// Milliseconds in nanoseconds.
#[must_use]
pub(crate) const fn ms(milliseconds: u32) -> u64 {
    milliseconds as u64 * tillwatch_protocol::time::MILLISECOND_NS
}

/// An electrical pulse, or a drawer command on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// Its place in the log.
    pub seq: Seq,
    /// When.
    pub stamp: Stamp,
    /// Beyond chance: always for the kick line; for the wire as the tap says.
    pub confirmed: bool,
}

/// A printed document, or one that is being printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paper {
    /// Stable while the document grows: the place of the first record that told of it.
    pub id: Seq,
    /// The place of the newest record that tells of it.
    pub seq: Seq,
    /// When that record was made.
    pub stamp: Stamp,
    /// First printed byte.
    pub began_ns: MonotonicNs,
    /// Last byte so far.
    pub ended_ns: MonotonicNs,
    /// What it is; `None` while only its first byte is known.
    pub kind: Option<ReceiptKind>,
    /// Its total.
    pub total: Option<Money>,
    /// Its number.
    pub number: Option<String>,
    /// Whether what it is can be relied upon: finished, undamaged, with text, recognised.
    pub readable: bool,
    /// It says somewhere that something was voided.
    pub mentions_void: bool,
    /// It says somewhere that something came back.
    pub mentions_refund: bool,
}

impl Paper {
    /// For evidence: `receipt T8923, total 11.52`.
    #[must_use]
    pub fn what(&self, minor_digits: u8) -> String {
        let mut what = String::from(if self.kind.is_some() {
            "receipt"
        } else {
            "paper started"
        });
        if let Some(number) = &self.number {
            what.push(' ');
            what.push_str(number);
        }
        if let Some(total) = self.total {
            what.push_str(&format!(", total {}", total.display(minor_digits)));
        }
        what
    }
}

/// The last minutes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    kicks: VecDeque<Pulse>,
    commands: VecDeque<Pulse>,
    papers: VecDeque<Paper>,
    till: VecDeque<TillEvent>,
    drawer: Option<DrawerState>,
    /// When it was seen to close last.
    closed_ns: Option<MonotonicNs>,
    last_byte_ns: Option<MonotonicNs>,
    /// Nothing before this is complete: something younger than [`MEMORY_NS`] had to be forgotten.
    crowded_until_ns: MonotonicNs,
    crowded_out: u64,
}

impl Recent {
    /// The drawer's position, `None` while it is not known.
    #[must_use]
    pub fn drawer(&self) -> Option<DrawerState> {
        self.drawer
    }

    /// When the drawer was seen to close last.
    #[must_use]
    pub fn drawer_closed_ns(&self) -> Option<MonotonicNs> {
        self.closed_ns
    }

    /// The newest kick in a window.
    #[must_use]
    pub fn kick_in(&self, window: Window) -> Option<&Pulse> {
        self.kicks
            .iter()
            .rev()
            .find(|kick| window.holds(kick.stamp.monotonic_ns))
    }

    /// Drawer commands in a window, newest first.
    pub fn commands_in(&self, window: Window) -> impl Iterator<Item = &Pulse> {
        self.commands
            .iter()
            .rev()
            .filter(move |c| window.holds(c.stamp.monotonic_ns))
    }

    /// Papers that were printed during some of a window, oldest first.
    pub fn papers_in(&self, window: Window) -> impl Iterator<Item = &Paper> {
        self.papers
            .iter()
            .filter(move |paper| window.meets(paper.began_ns, paper.ended_ns))
    }

    /// All papers that are remembered, oldest first.
    pub fn papers(&self) -> impl DoubleEndedIterator<Item = &Paper> {
        self.papers.iter()
    }

    /// All till events that are remembered, in order of arrival.
    pub fn till_events(&self) -> impl DoubleEndedIterator<Item = &TillEvent> {
        self.till.iter()
    }

    /// The till event with this place in the log, if it tells of a transaction.
    #[must_use]
    pub fn till_event(&self, seq: Seq) -> Option<&TillEvent> {
        self.till
            .iter()
            .rev()
            .take_while(|e| e.seq >= seq)
            .find(|e| e.seq == seq)
    }

    /// The paper that the record at `seq` told of last.
    #[must_use]
    pub fn paper(&self, seq: Seq) -> Option<&Paper> {
        self.papers.iter().rev().find(|paper| paper.seq == seq)
    }

    /// When anything was printed last.
    #[must_use]
    pub fn last_byte_ns(&self) -> Option<MonotonicNs> {
        self.last_byte_ns
    }

    /// How many payments in a row happened since `since_ns` and more than `apart_ns` after the last
    /// byte that the printer tap heard, counting each order once, at most `most`.
    #[must_use]
    pub fn payments_in_silence(&self, since_ns: MonotonicNs, apart_ns: u64, most: usize) -> usize {
        let heard = self.last_byte_ns;
        let silent_since = heard.map_or(since_ns, |at| {
            since_ns.max(at.saturating_add(apart_ns).saturating_add(1))
        });
        let mut counted: Vec<&TillEvent> = Vec::new();
        for event in self.till.iter().rev() {
            if counted.len() >= most || event.stamp.monotonic_ns < silent_since {
                break;
            }
            let happened_since = event
                .placed
                .happened_ns()
                .is_some_and(|at| at >= silent_since);
            if event.word == TillWord::Payment
                && happened_since
                && !counted.iter().any(|other| other.same_order(event))
            {
                counted.push(event);
            }
        }
        counted.len()
    }

    /// Whether everything since `from_ns` is still remembered.
    #[must_use]
    pub fn is_complete_since(&self, from_ns: MonotonicNs, now_ns: MonotonicNs) -> bool {
        (self.crowded_until_ns == 0 || from_ns > self.crowded_until_ns)
            && from_ns.saturating_add(MEMORY_NS) >= now_ns
    }

    /// How many things had to be forgotten before their time.
    #[must_use]
    pub fn crowded_out(&self) -> u64 {
        self.crowded_out
    }

    /// `closed_ns` is given when it was seen to close.
    pub(crate) fn note_drawer(
        &mut self,
        state: Option<DrawerState>,
        closed_ns: Option<MonotonicNs>,
    ) {
        self.drawer = state;
        self.closed_ns = closed_ns.or(self.closed_ns.filter(|_| state.is_some()));
    }

    pub(crate) fn note_kick(&mut self, seq: Seq, stamp: Stamp) {
        let crowded = make_room(
            &mut self.kicks,
            KICKS,
            |k| k.stamp.monotonic_ns,
            stamp.monotonic_ns,
        );
        self.crowd(crowded);
        self.kicks.push_back(Pulse {
            seq,
            stamp,
            confirmed: true,
        });
    }

    pub(crate) fn note_command(&mut self, seq: Seq, stamp: Stamp, command: &DrawerCommand) {
        let crowded = make_room(
            &mut self.commands,
            COMMANDS,
            |c| c.stamp.monotonic_ns,
            stamp.monotonic_ns,
        );
        self.crowd(crowded);
        self.last_byte_ns = self.last_byte_ns.max(Some(stamp.monotonic_ns));
        self.commands.push_back(Pulse {
            seq,
            stamp,
            confirmed: command.confirmed,
        });
    }

    pub(crate) fn note_paper_started(&mut self, seq: Seq, stamp: Stamp) {
        let at = stamp.monotonic_ns;
        self.add_paper(Paper {
            id: seq,
            seq,
            stamp,
            began_ns: at,
            ended_ns: at,
            kind: None,
            total: None,
            number: None,
            readable: false,
            mentions_void: false,
            mentions_refund: false,
        });
    }

    pub(crate) fn note_receipt(&mut self, seq: Seq, stamp: Stamp, receipt: &Receipt) {
        let now = stamp.monotonic_ns;
        let credible = |at: MonotonicNs| at != 0 && at <= now && now - at <= LONGEST_DOCUMENT_NS;
        let ended_ns = if credible(receipt.ended_ns) {
            receipt.ended_ns
        } else {
            now
        };
        let stated = credible(receipt.began_ns).then_some(receipt.began_ns.min(ended_ns));
        // The first byte of this document may have been told already.
        let started = self.papers.iter().rposition(|paper| {
            paper.kind.is_none()
                && paper.began_ns <= now
                && now - paper.began_ns <= LONGEST_DOCUMENT_NS
                && stated.is_none_or(|began| began.abs_diff(paper.began_ns) <= SAME_BYTE_NS)
        });
        let started = started.and_then(|index| self.papers.remove(index));
        let began_ns = stated
            .or(started.as_ref().map(|paper| paper.began_ns))
            .unwrap_or(ended_ns);
        let says = |wanted: fn(ReceiptKind) -> bool| {
            wanted(receipt.kind) || receipt.marks.iter().any(|mark| wanted(mark.kind))
        };
        self.add_paper(Paper {
            id: started.map_or(seq, |paper| paper.id),
            seq,
            stamp,
            began_ns,
            ended_ns: ended_ns.max(began_ns),
            kind: Some(receipt.kind),
            total: receipt.total,
            number: receipt.number.clone(),
            readable: !receipt.damaged
                && !receipt.is_image_only()
                && receipt.kind != ReceiptKind::Unknown,
            mentions_void: says(|kind| kind.is_void() || kind == ReceiptKind::ItemVoid),
            mentions_refund: says(|kind| kind.is_refund() || kind == ReceiptKind::Exchange)
                || receipt.total.is_some_and(|total| total.0 < 0),
        });
    }

    fn add_paper(&mut self, paper: Paper) {
        let crowded = make_room(
            &mut self.papers,
            PAPERS,
            |p| p.ended_ns,
            paper.stamp.monotonic_ns,
        );
        self.crowd(crowded);
        self.last_byte_ns = self.last_byte_ns.max(Some(paper.ended_ns));
        self.papers.push_back(paper);
    }

    pub(crate) fn note_till(&mut self, seq: Seq, stamp: Stamp, pos: &PosEvent, placed: Placed) {
        let Some(word) = TillWord::of(&pos.event_type) else {
            return;
        };
        let crowded = make_room(
            &mut self.till,
            TILL_EVENTS,
            |e| e.stamp.monotonic_ns,
            stamp.monotonic_ns,
        );
        self.crowd(crowded);
        self.till.push_back(TillEvent {
            seq,
            stamp,
            placed,
            word,
            amount: pos.amount,
            order: pos.order_id.clone(),
            ticket: pos.ticket_no.clone(),
        });
    }

    fn crowd(&mut self, crowded: Option<MonotonicNs>) {
        if let Some(at) = crowded {
            self.crowded_until_ns = self.crowded_until_ns.max(at);
            self.crowded_out = self.crowded_out.saturating_add(1);
        }
    }

    pub(crate) fn new_boot(&mut self) {
        *self = Self {
            crowded_out: self.crowded_out,
            ..Self::default()
        };
    }
}

/// Drops what is older than [`MEMORY_NS`], and the oldest when `cap` is reached. Gives the time of
/// the one that was dropped before its time.
fn make_room<T>(
    items: &mut VecDeque<T>,
    cap: usize,
    at: impl Fn(&T) -> MonotonicNs,
    now: MonotonicNs,
) -> Option<MonotonicNs> {
    while items
        .front()
        .is_some_and(|item| at(item).saturating_add(MEMORY_NS) < now)
    {
        items.pop_front();
    }
    if items.len() < cap {
        return None;
    }
    items.pop_front().map(|item| at(&item))
}
