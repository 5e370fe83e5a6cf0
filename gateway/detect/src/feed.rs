//! How far the till's own feed can be trusted: clock skew, lag, losses.
//!
//! The till's clock is wrong by an unknown amount (the *skew*) and its events take an unknown time
//! to arrive (the *lag*). Arrival minus timestamp is the sum of both. Lag is never negative and
//! most events are prompt, so the smallest sum of the recent past is taken as the skew; what an
//! event has more than that is its lag. The sums are taken in monotonic time: a step of our own
//! wall clock does not touch them.
//!
//! Losses are measured where paper tells of them: a sale receipt for which no payment came although
//! the feed was connected is a *miss*. A payment that came after the window is *late*.

use crate::proof::{Proof, TRIAL_SALES};
use crate::recent::{Paper, Window, ms};
use crate::skew::Skew;
use crate::till::{TillEvent, TillWord};
use crate::witness::WitnessLedger;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tillwatch_protocol::Money;
use tillwatch_protocol::event::Witness;
use tillwatch_protocol::pos::PosEvent;
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::settings::DetectionSettings;
use tillwatch_protocol::time::{Clock, MonotonicNs, SECOND_NS, Stamp};

/// The longest lag that is waited for.
pub const MAX_LAG_NS: u64 = 10 * 60 * SECOND_NS;
/// While the skew is unknown, a sum of skew and lag below this is taken as neither.
const LOOKS_PROMPT_US: i64 = 30 * 1_000_000;
/// The longest that a broker keeps an event for us; what is older by its own account comes from a
/// clock that is wrong.
const LONGEST_QUEUE_US: i64 = 25 * 3_600 * 1_000_000;
/// After the feed came back, queued events may arrive for this long.
pub const BACKLOG_NS: u64 = 60 * SECOND_NS;
/// A caught loss or delay is held against the feed for this long of uptime …
pub const GRUDGE_NS: u64 = 24 * 3600 * SECOND_NS;
/// … and until this many sale receipts in a row had their payment.
pub const GRUDGE_SALES: u32 = 500;
/// Sale receipts and payments that wait for each other.
const WAITING: usize = 64;

/// When a till event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placed {
    /// At this monotonic time, which may lie before the boot's begin (then 0).
    At {
        /// Monotonic time.
        happened_ns: MonotonicNs,
    },
    /// It does not say when, and nothing speaks against its arrival.
    Assumed {
        /// Monotonic time.
        happened_ns: MonotonicNs,
    },
    /// Before its arrival; how long is not known.
    Unknown,
}

impl Placed {
    /// When it happened, if known.
    #[must_use]
    pub fn happened_ns(self) -> Option<MonotonicNs> {
        match self {
            Self::At { happened_ns } | Self::Assumed { happened_ns } => Some(happened_ns),
            Self::Unknown => None,
        }
    }

    /// Whether the event itself says when it happened.
    #[must_use]
    pub fn is_stated(self) -> bool {
        matches!(self, Self::At { .. })
    }
}

/// Something that was caught, and how the feed did since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Grudge {
    uptime_ns: u64,
    good_sales: u32,
}

impl Grudge {
    const FRESH: Grudge = Grudge {
        uptime_ns: 0,
        good_sales: 0,
    };

    fn is_over(self) -> bool {
        self.uptime_ns >= GRUDGE_NS && self.good_sales >= GRUDGE_SALES
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SaleReceipt {
    began_ns: MonotonicNs,
    ended_ns: MonotonicNs,
    total: Option<Money>,
    number: Option<String>,
    state: SaleState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum SaleState {
    /// No payment yet.
    Waiting,
    /// It has its payment.
    Paid,
    /// The window passed without one.
    Missed,
    /// The feed could not be judged meanwhile.
    Excused,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Payment {
    arrived_ns: MonotonicNs,
    amount: Option<Money>,
    order: Option<String>,
    ticket: Option<String>,
    used: bool,
}

/// What is known of the till's feed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PosFeed {
    skew: Skew,
    /// The skew as seen on our wall clock, kept across boots.
    wall_skew_us: Option<i64>,
    miss: Option<Grudge>,
    /// Misses of the present grudge that did not turn out to be late only.
    unpaid: u32,
    late: Option<Grudge>,
    misses: u64,
    lates: u64,
    proof: Proof,
    sales: VecDeque<SaleReceipt>,
    payments: VecDeque<Payment>,
    now_ns: MonotonicNs,
}

impl PosFeed {
    /// The till's clock behind ours, in microseconds (negative: ahead), once it is known.
    #[must_use]
    pub fn skew_us(&self) -> Option<i64> {
        self.wall_skew_us
    }

    /// Whether the feed was recently caught losing events: then its silence proves nothing.
    #[must_use]
    pub fn loses_events(&self) -> bool {
        self.miss.is_some()
    }

    /// Whether the feed has shown, over enough sales in a row, that it loses and delays nothing.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proof.is_proven()
    }

    /// Sale receipts in a row that had their payment in time, and how many prove the feed.
    #[must_use]
    pub fn run_of_sales(&self) -> (u32, u32) {
        (self.proof.run(), self.proof.needed())
    }

    /// Whether neither paper nor till has told of any sale yet: trade has not begun here, and who
    /// prints a void now is trying the box out.
    #[must_use]
    pub fn is_before_trade(&self) -> bool {
        self.proof.sales() == 0
    }

    /// Whether so little was sold here that it may still be a trial.
    #[must_use]
    pub fn is_on_trial(&self) -> bool {
        self.proof.sales() <= TRIAL_SALES
    }

    /// How long to wait for an event beyond its window, in nanoseconds: nothing for a feed that is
    /// prompt, [`MAX_LAG_NS`] for one that was recently caught delaying.
    #[must_use]
    pub fn patience_ns(&self) -> u64 {
        if self.late.is_some() { MAX_LAG_NS } else { 0 }
    }

    /// Sale receipts that never got their payment, ever.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses
    }

    /// Events that came later than the window, ever.
    #[must_use]
    pub fn lates(&self) -> u64 {
        self.lates
    }

    /// Time passes: sale receipts that waited too long become misses.
    pub(crate) fn advance(
        &mut self,
        now_ns: MonotonicNs,
        ledger: &WitnessLedger,
        settings: &DetectionSettings,
    ) {
        let Some(passed) = now_ns.checked_sub(self.now_ns).filter(|passed| *passed > 0) else {
            return;
        };
        self.now_ns = now_ns;
        for grudge in [&mut self.miss, &mut self.late] {
            if let Some(held) = grudge {
                held.uptime_ns = held.uptime_ns.saturating_add(passed);
                if held.is_over() {
                    *grudge = None;
                }
            }
        }
        if self.miss.is_none() {
            self.unpaid = 0;
        }
        let agree_ms = settings.witness.paper_and_pos_ms;
        while self
            .sales
            .front()
            .is_some_and(|s| s.ended_ns.saturating_add(2 * MAX_LAG_NS) < now_ns)
        {
            self.sales.pop_front();
        }
        while self
            .payments
            .front()
            .is_some_and(|p| p.arrived_ns.saturating_add(2 * ms(agree_ms)) < now_ns)
        {
            self.payments.pop_front();
        }
        for sale in &mut self.sales {
            let window = Window::around(sale.began_ns, sale.ended_ns, agree_ms, agree_ms);
            if sale.state != SaleState::Waiting || now_ns <= window.to_ns {
                continue;
            }
            let watched =
                ledger.alive_through(Witness::Pos, window.from_ns, sale.began_ns, window.to_ns);
            if watched.is_ok() {
                sale.state = SaleState::Missed;
                self.misses = self.misses.saturating_add(1);
                self.proof.failed();
                self.miss = Some(Grudge::FRESH);
                self.unpaid = self.unpaid.saturating_add(1);
            } else {
                sale.state = SaleState::Excused;
            }
        }
    }

    /// A till event arrived: when did it happen?
    pub(crate) fn place(
        &mut self,
        pos: &PosEvent,
        stamp: &Stamp,
        ledger: &WitnessLedger,
        settings: &DetectionSettings,
    ) -> Placed {
        let arrival_ns = stamp.monotonic_ns;
        let alive_since = ledger.alive_since(Witness::Pos);
        let backlog = !ledger.in_first_life(Witness::Pos)
            && alive_since.is_none_or(|since| arrival_ns < since.saturating_add(BACKLOG_NS));
        let Some(stated) = pos.timestamp else {
            return if backlog || self.late.is_some() {
                Placed::Unknown
            } else {
                Placed::Assumed {
                    happened_ns: arrival_ns,
                }
            };
        };
        let arrival_us = i64::try_from(arrival_ns / 1_000).unwrap_or(i64::MAX);
        let sum_us = arrival_us.saturating_sub(stated.utc_us);
        let wall_sum_us = stamp.utc_us.saturating_sub(stated.utc_us);
        let synced = stamp.clock == Clock::Synced;
        let ahead_of = |skew: i64| skew.saturating_sub(wall_sum_us) > LOOKS_PROMPT_US;
        if self.skew.is_set_forward(sum_us)
            || (!self.skew.is_known() && synced && self.wall_skew_us.is_some_and(ahead_of))
        {
            // One of the clocks was set.
            self.wall_skew_us = None;
        }
        if let Some(since_ns) = self.skew.sample(arrival_ns, sum_us, !backlog) {
            self.was_the_clock(arrival_ns.saturating_sub(since_ns));
        }
        let floor = self.skew.floor_us().unwrap_or(sum_us);
        // However little is known of the skew, it is at least this late.
        let looks_prompt =
            !backlog && !self.skew.was_set() && sum_us.saturating_sub(floor) <= LOOKS_PROMPT_US;
        let lag_us = if self.skew.is_known() {
            if synced {
                let wall = stamp.utc_us.saturating_sub(arrival_us);
                self.wall_skew_us = Some(floor.saturating_add(wall));
            }
            sum_us.saturating_sub(floor)
        } else if let Some(skew) = self.wall_skew_us.filter(|_| synced) {
            wall_sum_us.saturating_sub(skew)
        } else if looks_prompt && wall_sum_us.saturating_abs() <= LOOKS_PROMPT_US {
            // Two clocks do not agree by chance, whether somebody set ours or not.
            wall_sum_us
        } else if looks_prompt && wall_sum_us.saturating_abs() > LONGEST_QUEUE_US {
            // No broker keeps an event that long: the till's clock is wrong.
            0
        } else {
            return Placed::Unknown;
        };
        let lag_ns = u64::try_from(lag_us.max(0))
            .unwrap_or(0)
            .saturating_mul(1_000);
        let happened_ns = arrival_ns.saturating_sub(lag_ns);
        // What waited for the link is no fault of the feed while the link is there.
        let link_was_up = alive_since.is_some_and(|since| since <= happened_ns);
        if lag_ns > ms(settings.witness.paper_and_pos_ms) && link_was_up {
            self.caught_late(lag_ns);
        }
        Placed::At { happened_ns }
    }

    /// The till's clock was set `for_ns` ago: what looked late since then was not.
    fn was_the_clock(&mut self, for_ns: u64) {
        for grudge in [&mut self.miss, &mut self.late] {
            *grudge = grudge.filter(|held| held.uptime_ns > for_ns);
        }
        if self.miss.is_none() {
            self.unpaid = 0;
        }
    }

    fn caught_late(&mut self, lag_ns: u64) {
        self.lates = self.lates.saturating_add(1);
        self.late = Some(Grudge::FRESH);
        if lag_ns > MAX_LAG_NS {
            self.miss = Some(Grudge::FRESH);
            self.unpaid = self.unpaid.saturating_add(1);
        }
    }

    fn good_sale(&mut self) {
        self.proof.good_sale();
        for grudge in [&mut self.miss, &mut self.late].into_iter().flatten() {
            grudge.good_sales = grudge.good_sales.saturating_add(1);
        }
    }

    /// A payment arrived: which sale receipt does it belong to?
    pub(crate) fn payment(&mut self, event: &TillEvent, settings: &DetectionSettings) {
        if event.word != TillWord::Payment {
            return;
        }
        self.proof.payment();
        let arrived_ns = event.stamp.monotonic_ns;
        let agree_ns = ms(settings.witness.paper_and_pos_ms);
        let part_of_known_order = self.payments.iter().any(|p| {
            p.used
                && ((p.order.is_some() && p.order == event.order)
                    || (p.ticket.is_some() && p.ticket == event.ticket))
        });
        let (happened_ns, _) = event.span();
        let open = |sale: &SaleReceipt| match sale.state {
            SaleState::Waiting => true,
            SaleState::Missed if !event.placed.is_stated() => {
                sale.total.is_some() && sale.total == event.amount
            }
            SaleState::Missed => Window {
                from_ns: sale.began_ns.saturating_sub(agree_ns),
                to_ns: sale.ended_ns.saturating_add(agree_ns),
            }
            .meets(happened_ns, arrived_ns),
            SaleState::Paid | SaleState::Excused => false,
        };
        let fits = |sale: &SaleReceipt| {
            let named = sale.number.is_some()
                && (sale.number == event.ticket || sale.number == event.order);
            let equal = sale.total.map(Money::abs) == event.amount.map(Money::abs);
            // The best is the highest; among equals the oldest that still waits.
            (
                named,
                equal && sale.total.is_some(),
                sale.state == SaleState::Waiting,
            )
        };
        let mut best: Option<usize> = None;
        if !part_of_known_order {
            for (index, sale) in self.sales.iter().enumerate().filter(|(_, sale)| open(sale)) {
                if best.is_none_or(|b| fits(sale) > fits(&self.sales[b])) {
                    best = Some(index);
                }
            }
        }
        let mut caught = None;
        if let Some(sale) = best.and_then(|index| self.sales.get_mut(index)) {
            if sale.state == SaleState::Missed {
                // Not lost, only late.
                self.unpaid = self.unpaid.saturating_sub(1);
                if self.unpaid == 0 {
                    self.miss = None;
                }
                caught = Some(arrived_ns.saturating_sub(sale.ended_ns));
            }
            sale.state = SaleState::Paid;
            match caught {
                Some(lag_ns) => self.caught_late(lag_ns),
                None => self.good_sale(),
            }
        }
        if self.payments.len() == WAITING {
            self.payments.pop_front();
        }
        self.payments.push_back(Payment {
            arrived_ns,
            amount: event.amount,
            order: event.order.clone(),
            ticket: event.ticket.clone(),
            used: best.is_some() || part_of_known_order,
        });
    }

    /// A receipt was printed: if it is a sale, it should have its payment.
    pub(crate) fn receipt(&mut self, paper: &Paper, settings: &DetectionSettings) {
        if paper.kind != Some(ReceiptKind::Sale) || !paper.readable {
            return;
        }
        self.proof.receipt();
        let agree_ns = ms(settings.witness.paper_and_pos_ms);
        let copy = self.sales.iter().any(|sale| {
            sale.ended_ns.saturating_add(2 * agree_ns) >= paper.began_ns
                && match (&sale.number, &paper.number) {
                    (Some(a), Some(b)) => a == b,
                    _ => sale.total.is_some() && sale.total == paper.total,
                }
        });
        let since = paper.began_ns.saturating_sub(agree_ns);
        let candidates = self
            .payments
            .iter_mut()
            .filter(|p| !p.used && p.arrived_ns >= since);
        let payment = candidates.max_by_key(|p| {
            let equal =
                p.amount.is_some() && p.amount.map(Money::abs) == paper.total.map(Money::abs);
            (equal, std::cmp::Reverse(p.arrived_ns))
        });
        let state = if let Some(payment) = payment {
            payment.used = true;
            SaleState::Paid
        } else if copy {
            return;
        } else {
            SaleState::Waiting
        };
        if state == SaleState::Paid {
            self.good_sale();
        }
        if self.sales.len() == WAITING {
            self.sales.pop_front();
        }
        self.sales.push_back(SaleReceipt {
            began_ns: paper.began_ns,
            ended_ns: paper.ended_ns,
            total: paper.total,
            number: paper.number.clone(),
            state,
        });
    }

    /// The daemon started: what waited cannot be judged.
    pub(crate) fn started(&mut self) {
        for sale in &mut self.sales {
            if sale.state == SaleState::Waiting {
                sale.state = SaleState::Excused;
            }
        }
    }

    /// Another boot: monotonic times begin anew; what is known of the till's wall clock stays.
    pub(crate) fn new_boot(&mut self) {
        *self = Self {
            wall_skew_us: self.wall_skew_us,
            miss: self.miss,
            unpaid: self.unpaid,
            late: self.late,
            misses: self.misses,
            lates: self.lates,
            proof: self.proof,
            ..Self::default()
        };
    }
}
