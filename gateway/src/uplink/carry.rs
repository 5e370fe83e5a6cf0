//! What outlives a connection.

use super::gauges;
use super::holds::{Holds, Refused, Why};
use super::live::{Guard, Live};
use super::pump::{Key, Refusal};
use super::suspicion::{Lost, Suspicion, Verdict};
use std::collections::BTreeSet;
use std::time::Duration;
use tillwatch_store::Store;
use tokio::time::Instant;

/// Sent entries that are remembered, to count what is sent again.
const SENT_BEFORE_MAX: usize = 10_000;

/// State that outlives connections.
#[derive(Debug)]
pub(super) struct Carry {
    origin: Instant,
    /// Topics that wait.
    pub(super) holds: Holds,
    /// Who is suspected.
    pub(super) suspicion: Suspicion,
    live: [Guard; Live::ALL.len()],
    /// Sent without an acknowledgement, on an earlier connection or refused on this one.
    sent_before: BTreeSet<Key>,
}

impl Carry {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            holds: Holds::default(),
            suspicion: Suspicion::default(),
            live: Default::default(),
            sent_before: BTreeSet::new(),
        }
    }

    /// Time as the pure parts see it: since the uplink started.
    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// The moment that is called `at` there.
    pub(super) fn instant(&self, at: Duration) -> Instant {
        self.origin + at
    }

    /// The broker has it. A note that the log does not take costs a second sending after the next
    /// start, nothing else.
    pub(super) fn acknowledged(&mut self, store: &Store, key: Key) {
        gauges::acknowledged(key.lane);
        self.sent_before.remove(&key);
        self.suspicion.cleared(key);
        if let Err(error) = store.outbox().acknowledge(key.lane, key.lane_seq) {
            tracing::debug!(%error, "the log does not take the note");
        }
    }

    /// It is about to be sent.
    pub(super) fn sending(&mut self, key: Key) {
        if self.sent_before.remove(&key) {
            gauges::resent(key.lane);
        }
    }

    /// It was sent, and has to be sent again.
    pub(super) fn unsent(&mut self, key: Key) {
        if self.sent_before.len() < SENT_BEFORE_MAX {
            self.sent_before.insert(key);
        }
    }

    /// It will never be sent: to the dead letters.
    pub(super) fn abandon(&mut self, store: &Store, key: Key, reason: &str) {
        tracing::error!(
            lane = key.lane.word(),
            lane_seq = key.lane_seq,
            "given up and moved to the dead letters: {reason}"
        );
        gauges::abandoned(key.lane);
        self.gone(key);
        if let Err(error) = store.outbox().abandon(key.lane, key.lane_seq, reason) {
            // The entry stays in the outbox and comes by here again on the next connection.
            tracing::warn!(%error, "the log does not take the note");
        }
    }

    /// The outbox does not have it any more.
    pub(super) fn gone(&mut self, key: Key) {
        self.holds.gone(key);
        self.suspicion.cleared(key);
        self.sent_before.remove(&key);
    }

    /// The broker refused it because of its topic.
    pub(super) fn refused(&mut self, store: &Store, key: Key, topic: &str, why: Why) {
        self.unsent(key);
        match self.holds.refused(key, topic, why, self.now()) {
            Refused::Parked => {}
            Refused::Paused(pause) => match why {
                Why::Denied => tracing::error!(
                    topic,
                    "the broker does not let us publish here; paused for {pause:?}. Check the broker's access list"
                ),
                Why::NoConsumer => tracing::warn!(
                    topic,
                    "nobody subscribes to this topic, the broker throws it away; held, tried again in {pause:?}. Check head office's ingest"
                ),
            },
            Refused::GiveUp => {
                self.abandon(
                    store,
                    key,
                    "the broker does not let us publish to its topic",
                );
            }
        }
    }

    /// Whether a live message may be sent.
    pub(super) fn allows(&self, live: Live) -> bool {
        self.live[live as usize].allows(self.now())
    }

    /// A live message was answered.
    pub(super) fn live_answered(&mut self, live: Live, refusal: Option<Refusal>) {
        let now = self.now();
        let guard = &mut self.live[live as usize];
        if refusal == Some(Refusal::Denied) {
            let pause = guard.denied(now);
            tracing::error!(
                "the broker does not let us publish our {}; paused for {pause:?}. Check the broker's access list",
                live.word()
            );
        } else {
            guard.answered();
        }
    }

    /// A connection broke with a live message in flight.
    pub(super) fn live_lost(&mut self, live: Live) {
        let now = self.now();
        if let Some(pause) = self.live[live as usize].lost(now) {
            tracing::warn!(
                "connections break with our {} in flight; paused for {pause:?}",
                live.word()
            );
        }
    }

    /// A connection broke.
    pub(super) fn connection_lost(&mut self, store: &Store, lost: &Lost, topic: Option<&str>) {
        for key in &lost.unanswered {
            self.unsent(*key);
        }
        self.holds.connection_lost(self.now());
        let was_alone = self.suspicion.alone();
        match self.suspicion.connection_lost(lost) {
            Verdict::Innocent => {}
            Verdict::Suspect { key, attempts } => {
                tracing::warn!(
                    lane = key.lane.word(),
                    lane_seq = key.lane_seq,
                    attempts,
                    "the connection breaks when this message is sent alone"
                );
                if let Err(error) = store.outbox().suspect(key.lane, key.lane_seq, attempts) {
                    tracing::warn!(%error, "the log does not take the note");
                }
            }
            Verdict::Guilty { key, attempts } => {
                let reason = format!(
                    "the broker closed the connection {attempts} times when it was sent alone"
                );
                self.abandon(store, key, &reason);
            }
            Verdict::Forbidden { key } => {
                if let Some(topic) = topic {
                    self.refused(store, key, topic, Why::Denied);
                }
            }
        }
        if self.suspicion.alone() && !was_alone {
            tracing::warn!(
                "the connection breaks with the same message again and again; messages go one by one to find the cause"
            );
        }
    }
}
