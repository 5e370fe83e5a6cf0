//! Which lane sends next. No I/O; time is passed in.
//!
//! Urgent messages go first, always, and the last places of the window are theirs: a backlog in
//! flight never makes an alert wait for an answer. The backlog of the bulk lane passes a token
//! bucket, so that a resume after an outage does not saturate the line; what the lower lanes have
//! in flight is bounded to what the line carries in [`QUEUE_TARGET`]. Nothing starves: after
//! [`URGENT_RUN`] urgent and [`BUSINESS_RUN`] business messages in a row, a lane below that waits
//! gets one turn.

use std::time::Duration;
use tillwatch_protocol::Lane;

/// Urgent messages in a row before a lower lane gets a turn.
pub const URGENT_RUN: u32 = 31;
/// Business messages in a row before the bulk lane gets a turn.
pub const BUSINESS_RUN: u32 = 7;
/// How much longer than on an idle line an answer may take because of our own backlog.
pub const QUEUE_TARGET: Duration = Duration::from_millis(250);
/// Fewest places of the lower lanes, however slow the line is.
const PLACES_MIN: f64 = 2.0;
/// Bytes of backlog that a message of the configured rate stands for.
const BYTES_PER_MESSAGE: f64 = 1_024.0;

/// The next message of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its size.
    pub bytes: u32,
    /// Accepted before this connection came up.
    pub historical: bool,
}

/// Tokens that come at a rate and are kept for a quarter of a second at most.
#[derive(Debug, Clone)]
pub struct Bucket {
    per_second: f64,
    most: f64,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    /// Empty at `now`; `per_second` 0 means without limit.
    #[must_use]
    pub fn new(per_second: f64, now: Duration) -> Self {
        Self {
            per_second,
            most: (per_second / 4.0).max(1.0),
            tokens: 0.0,
            filled: now,
        }
    }

    fn fill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.most);
    }

    /// Whether something may pass. A large message may overdraw; the next ones wait for it.
    pub fn open(&mut self, now: Duration) -> bool {
        self.fill(now);
        self.per_second == 0.0 || self.tokens >= 1.0
    }

    /// Takes tokens.
    pub fn take(&mut self, tokens: f64) {
        if self.per_second > 0.0 {
            self.tokens -= tokens;
        }
    }

    /// When it opens again.
    #[must_use]
    pub fn opens(&self) -> Option<Duration> {
        (self.per_second > 0.0 && self.tokens < 1.0).then(|| {
            let wait = (1.0 - self.tokens) / self.per_second;
            // Rounded up: a timer that fires a moment early would spin.
            self.filled + Duration::from_secs_f64(wait) + Duration::from_micros(100)
        })
    }
}

/// How many places the lower lanes may use: additive increase, multiplicative decrease by the time
/// that answers take beyond the shortest seen on this connection.
#[derive(Debug, Clone)]
pub struct Pace {
    places: f64,
    most: f64,
    shortest: Option<Duration>,
    /// Answers to wait for before the next decrease: those were under way already.
    settle: u32,
}

impl Pace {
    fn new(most: usize) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a window has at most 100 places"
        )]
        let most = (most as f64).max(1.0);
        Self {
            places: most.min(16.0),
            most,
            shortest: None,
            settle: 0,
        }
    }

    /// An answer of a lower lane came after `took`.
    pub fn answered(&mut self, took: Duration) {
        let shortest = self.shortest.map_or(took, |shortest| shortest.min(took));
        self.shortest = Some(shortest);
        self.settle = self.settle.saturating_sub(1);
        if took.saturating_sub(shortest) <= QUEUE_TARGET {
            self.places = (self.places + 1.0 / self.places).min(self.most);
        } else if self.settle == 0 {
            self.places = (self.places * 0.7).max(PLACES_MIN.min(self.most));
            self.settle = self.places() as u32;
        }
    }

    /// Places now.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 100"
    )]
    pub fn places(&self) -> usize {
        self.places as usize
    }
}

/// Chooses the lane of the next message, for one connection.
#[derive(Debug, Clone)]
pub struct Scheduler {
    pace: Pace,
    messages: Bucket,
    bytes: Bucket,
    urgent_run: u32,
    business_run: u32,
}

impl Scheduler {
    /// `window` places, of which `reserve`, but at most half, are for the urgent lane;
    /// `backlog_per_second` messages of the bulk backlog, 0 without limit.
    #[must_use]
    pub fn new(window: u16, reserve: u16, backlog_per_second: u32, now: Duration) -> Self {
        let rate = f64::from(backlog_per_second);
        // Receive Maximum may have made the window small.
        let reserve = reserve.min(window / 2);
        Self {
            pace: Pace::new(usize::from(window.saturating_sub(reserve))),
            messages: Bucket::new(rate, now),
            bytes: Bucket::new(rate * BYTES_PER_MESSAGE, now),
            urgent_run: 0,
            business_run: 0,
        }
    }

    /// The lane whose head goes next, or none. `in_flight` by [`Lane::index`]; `room` is what the
    /// window has left.
    pub fn choose(
        &mut self,
        now: Duration,
        in_flight: [usize; 3],
        room: usize,
        heads: [Option<Head>; 3],
    ) -> Option<Lane> {
        if room == 0 {
            return None;
        }
        let [urgent, business, bulk] = heads;
        let lower_in_flight = in_flight[Lane::Business.index()] + in_flight[Lane::Bulk.index()];
        let lower_has_place = lower_in_flight < self.pace.places().max(1);
        let bulk = bulk.filter(|head| lower_has_place && self.passes(*head, now));
        let business = business.filter(|_| lower_has_place);

        let lower_waits = business.is_some() || bulk.is_some();
        let lane = if urgent.is_some() && !(lower_waits && self.urgent_run >= URGENT_RUN) {
            Lane::Urgent
        } else if business.is_some() && !(bulk.is_some() && self.business_run >= BUSINESS_RUN) {
            Lane::Business
        } else if bulk.is_some() {
            Lane::Bulk
        } else {
            return None;
        };
        self.note(lane, bulk);
        Some(lane)
    }

    /// An answer of `lane` came after `took`.
    pub fn answered(&mut self, lane: Lane, took: Duration) {
        if lane != Lane::Urgent {
            self.pace.answered(took);
        }
    }

    /// When a bulk head that is waiting for tokens may pass.
    #[must_use]
    pub fn wake(&mut self, now: Duration) -> Option<Duration> {
        self.messages.fill(now);
        self.bytes.fill(now);
        self.messages.opens().max(self.bytes.opens())
    }

    fn passes(&mut self, head: Head, now: Duration) -> bool {
        !head.historical || (self.messages.open(now) && self.bytes.open(now))
    }

    fn note(&mut self, lane: Lane, bulk: Option<Head>) {
        match lane {
            Lane::Urgent => self.urgent_run += 1,
            Lane::Business => {
                self.urgent_run = 0;
                self.business_run += 1;
            }
            Lane::Bulk => {
                self.urgent_run = 0;
                self.business_run = 0;
                if let Some(head) = bulk.filter(|head| head.historical) {
                    self.messages.take(1.0);
                    self.bytes.take(f64::from(head.bytes));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Option<Head> = Some(Head {
        bytes: 1_000,
        historical: false,
    });
    const OLD: Option<Head> = Some(Head {
        bytes: 1_000,
        historical: true,
    });

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn widened(window: u16, reserve: u16) -> Scheduler {
        let mut scheduler = Scheduler::new(window, reserve, 0, ms(0));
        for _ in 0..10_000 {
            scheduler.answered(Lane::Bulk, ms(1));
        }
        scheduler
    }

    #[test]
    fn urgent_goes_first_and_has_places_of_its_own() {
        let mut scheduler = widened(50, 10);
        let choose = |scheduler: &mut Scheduler, in_flight, room, heads| {
            scheduler.choose(ms(0), in_flight, room, heads)
        };
        assert_eq!(
            choose(&mut scheduler, [0, 0, 0], 50, [FRESH, FRESH, FRESH]),
            Some(Lane::Urgent)
        );
        // The lower lanes fill 40 places, the other ten stay free.
        assert_eq!(
            choose(&mut scheduler, [0, 30, 9], 11, [None, FRESH, FRESH]),
            Some(Lane::Business)
        );
        assert_eq!(
            choose(&mut scheduler, [0, 30, 10], 10, [None, FRESH, FRESH]),
            None
        );
        assert_eq!(
            choose(&mut scheduler, [0, 30, 10], 10, [FRESH, FRESH, FRESH]),
            Some(Lane::Urgent)
        );
        assert_eq!(
            choose(&mut scheduler, [10, 30, 10], 0, [FRESH, FRESH, FRESH]),
            None
        );
    }

    #[test]
    fn a_window_smaller_than_the_reserve_still_moves_every_lane() {
        for (window, lower_in_flight) in [(1, 0), (5, 2), (20, 9)] {
            let mut scheduler = Scheduler::new(window, 50, 0, ms(0));
            let in_flight = [0, 0, lower_in_flight];
            assert_eq!(
                scheduler.choose(ms(0), in_flight, 1, [None, None, FRESH]),
                Some(Lane::Bulk)
            );
        }
    }

    #[test]
    fn nothing_starves() {
        let mut scheduler = widened(50, 10);
        let mut count = [0_u32; 3];
        for _ in 0..3_200 {
            if let Some(lane) = scheduler.choose(ms(0), [0, 0, 0], 50, [FRESH, FRESH, FRESH]) {
                count[lane.index()] += 1;
            }
        }
        assert_eq!(count[0], 3_100);
        assert!(count[1] >= 80 && count[2] >= 10, "{count:?}");
    }

    #[test]
    fn only_the_old_backlog_of_the_bulk_lane_is_rationed() {
        let mut scheduler = Scheduler::new(50, 10, 200, ms(0));
        let mut passed = 0;
        for now in 0..1_000 {
            while scheduler
                .choose(ms(now), [0; 3], 50, [None, None, OLD])
                .is_some()
            {
                passed += 1;
            }
        }
        assert!((195..=205).contains(&passed), "{passed} in one second");
        for _ in 0..1_000 {
            let lane = scheduler.choose(ms(1_000), [0; 3], 50, [None, None, FRESH]);
            assert_eq!(lane, Some(Lane::Bulk));
            let lane = scheduler.choose(ms(1_000), [0; 3], 50, [None, OLD, None]);
            assert_eq!(lane, Some(Lane::Business));
        }
    }

    #[test]
    fn a_closed_bucket_says_when_it_opens() {
        let mut scheduler = Scheduler::new(50, 10, 10, ms(0));
        assert_eq!(scheduler.choose(ms(0), [0; 3], 50, [None, None, OLD]), None);
        let wake = scheduler.wake(ms(0)).unwrap();
        assert!(wake > ms(99) && wake < ms(105), "{wake:?}");
        assert_eq!(
            scheduler.choose(wake, [0; 3], 50, [None, None, OLD]),
            Some(Lane::Bulk)
        );
    }

    #[test]
    fn large_messages_use_up_the_byte_rate() {
        let mut scheduler = Scheduler::new(50, 10, 100, ms(0));
        let large = Some(Head {
            bytes: 102_400,
            historical: true,
        });
        let mut passed = 0;
        for now in 0..10_000 {
            while scheduler
                .choose(ms(now), [0; 3], 50, [None, None, large])
                .is_some()
            {
                passed += 1;
            }
        }
        assert!((9..=11).contains(&passed), "{passed} in ten seconds");
    }

    #[test]
    fn a_slow_line_narrows_what_the_backlog_has_in_flight() {
        let mut pace = Pace::new(40);
        for _ in 0..2_000 {
            pace.answered(ms(20));
        }
        assert_eq!(pace.places(), 40);
        for _ in 0..400 {
            pace.answered(ms(900));
        }
        assert_eq!(pace.places(), 2);
        for _ in 0..2_000 {
            pace.answered(ms(100));
        }
        assert_eq!(pace.places(), 40);
    }
}
