//! From the outbox to the client, and from PUBACK to the outbox: everything of one connection that
//! is up.

mod sending;

use super::carry::Carry;
use super::feed::{Feed, Want};
use super::gauges;
use super::holds::Why;
use super::lanes::Scheduler;
use super::live::Live;
use super::pump::{Answer, Breach, Cargo, Key, Limits, Patience, Pump, Refusal};
use super::reading::{self, Batch};
use super::suspicion::Lost;
use crate::config::Uplink;
use rumqttc::Outgoing;
use rumqttc::v5::Event;
use rumqttc::v5::mqttbytes::v5::Packet;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tillwatch_protocol::{Lane, LogId, Stamp};
use tillwatch_store::Store;
use tokio::sync::mpsc;

/// First and longest pause after "not now" (0x80, 0x83, 0x97).
const LATER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often the gauges of what is held are brought up to date.
const GAUGES_EVERY: Duration = Duration::from_secs(1);
/// Reads under way, one per lane.
pub(super) const READS: usize = Lane::ALL.len();

#[derive(Debug)]
struct InFlight {
    topic: Arc<str>,
    bytes: usize,
}

/// Where the birth message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Birth {
    NotSent,
    Sent,
    Answered,
}

/// One connection's traffic.
pub(super) struct Traffic<'a> {
    store: &'a Store,
    carry: &'a mut Carry,
    epoch: LogId,
    /// When the connection came up.
    connected: Stamp,
    birth: Birth,
    state_topic: String,
    max_packet: usize,
    pump: Pump,
    scheduler: Scheduler,
    feeds: [Feed; 3],
    reads: mpsc::Sender<Batch>,
    in_flight: BTreeMap<Key, InFlight>,
    in_flight_bytes: usize,
    later: (u32, Duration),
    gauges_at: Duration,
}

/// What the broker said in its CONNACK.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BrokerLimits {
    pub(super) receive_maximum: Option<u16>,
    pub(super) max_packet: Option<u32>,
}

/// What one connection goes by.
pub(super) struct Terms<'t> {
    pub(super) uplink: &'t Uplink,
    pub(super) broker: BrokerLimits,
    pub(super) patience: Patience,
    /// When the connection came up.
    pub(super) connected: Stamp,
    /// Where the birth message goes.
    pub(super) state_topic: String,
    /// Where reads are delivered.
    pub(super) reads: mpsc::Sender<Batch>,
}

impl<'a> Traffic<'a> {
    pub(super) fn new(store: &'a Store, carry: &'a mut Carry, terms: Terms<'_>) -> Self {
        let now = carry.now();
        let Terms { uplink, broker, .. } = terms;
        let limits = Limits::new(uplink.window, broker.receive_maximum, terms.patience);
        Self {
            epoch: store.log_id(),
            store,
            connected: terms.connected,
            birth: Birth::NotSent,
            state_topic: terms.state_topic,
            max_packet: broker.max_packet.map_or(usize::MAX, |most| most as usize),
            pump: Pump::new(limits),
            scheduler: Scheduler::new(
                limits.window,
                uplink.urgent_reserve,
                uplink.backlog_per_second,
                now,
            ),
            feeds: Lane::ALL.map(Feed::new),
            reads: terms.reads,
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
            later: (0, Duration::ZERO),
            gauges_at: now,
            carry,
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.carry.now()
    }

    pub(super) fn pump(&self) -> &Pump {
        &self.pump
    }

    pub(super) fn carry(&self) -> &Carry {
        self.carry
    }

    /// The outbox changed.
    pub(super) fn refresh(&mut self) {
        for feed in &mut self.feeds {
            feed.refresh();
        }
    }

    /// The client library says what it did or got.
    pub(super) fn event(&mut self, event: &Event) -> Result<(), Breach> {
        let now = self.now();
        match event {
            Event::Outgoing(Outgoing::Publish(pkid)) => self.pump.sent(*pkid, now),
            Event::Incoming(Packet::PubAck(ack)) => {
                match self.pump.answered(ack.pkid, ack.reason, now) {
                    Answer::Acknowledged { cargo, took } => self.acknowledged(cargo, took),
                    Answer::Refused { cargo, refusal } => self.refused(cargo, refusal),
                    Answer::Stray => {
                        gauges::stray();
                        tracing::debug!(pkid = ack.pkid, "a PUBACK for nothing in flight");
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn landed(&mut self, key: Key) -> Option<Arc<str>> {
        let flight = self.in_flight.remove(&key)?;
        self.in_flight_bytes -= flight.bytes;
        Some(flight.topic)
    }

    fn acknowledged(&mut self, cargo: Cargo, took: Duration) {
        self.later.0 = 0;
        let key = match cargo {
            Cargo::Entry(key) => key,
            Cargo::Live(live) => return self.live_answered(live, None),
        };
        self.scheduler.answered(key.lane, took);
        let topic = self.landed(key);
        self.carry.acknowledged(self.store, key);
        if let Some(topic) = topic {
            let opened = self.carry.holds.succeeded(&topic);
            if !opened.is_empty() {
                tracing::info!(%topic, waiting = opened.len(), "the broker takes this topic again");
            }
            for key in opened {
                self.feeds[key.lane.index()].again(key.lane_seq);
            }
        }
    }

    fn refused(&mut self, cargo: Cargo, refusal: Refusal) {
        gauges::publish_error(refusal.word());
        let key = match cargo {
            Cargo::Entry(key) => key,
            Cargo::Live(live) => return self.live_answered(live, Some(refusal)),
        };
        let topic = self.landed(key).unwrap_or_default();
        self.carry.suspicion.cleared(key);
        match refusal {
            Refusal::NoConsumer => self.carry.refused(self.store, key, &topic, Why::NoConsumer),
            Refusal::Denied => self.carry.refused(self.store, key, &topic, Why::Denied),
            Refusal::Unusable => self.carry.abandon(
                self.store,
                key,
                "the broker can never take it: topic or payload are invalid to it",
            ),
            Refusal::Later => {
                self.carry.unsent(key);
                let now = self.now();
                if self.later.1 <= now {
                    let pause = LATER
                        .0
                        .saturating_mul(1 << self.later.0.min(16))
                        .min(LATER.1);
                    self.later = (self.later.0 + 1, now + pause);
                    tracing::warn!(%topic, "the broker takes nothing now; next try in {pause:?}");
                }
                self.feeds[key.lane.index()].again(key.lane_seq);
            }
        }
    }

    fn live_answered(&mut self, live: Live, refusal: Option<Refusal>) {
        if live == Live::Birth {
            self.birth = Birth::Answered;
        }
        self.carry.live_answered(live, refusal);
    }

    /// What has to happen as time goes by.
    pub(super) fn tick(&mut self) {
        let now = self.now();
        for key in self.carry.holds.due(now) {
            self.feeds[key.lane.index()].again(key.lane_seq);
        }
        if self.gauges_at <= now {
            self.gauges_at = now + GAUGES_EVERY;
            gauges::holds(&self.carry.holds);
        }
    }

    /// When [`Traffic::tick`], [`Traffic::load`] or [`Traffic::fill`] have something to do even if
    /// nothing else happens.
    pub(super) fn wake(&mut self) -> Option<Duration> {
        let now = self.now();
        let tokens = self.feeds[Lane::Bulk.index()]
            .head()
            .and_then(|_| self.scheduler.wake(now));
        let reads = self.feeds.iter().filter_map(|feed| feed.wake(now)).min();
        let later = (self.later.1 > now).then_some(self.later.1);
        [
            self.pump.deadline(),
            self.carry.holds.wake(),
            tokens,
            reads,
            later,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Reads ahead, on blocking threads.
    pub(super) fn load(&mut self) {
        let now = self.now();
        for lane in Lane::ALL {
            while let Some(want) = self.feeds[lane.index()].want(now) {
                self.begin_read(&want);
            }
        }
    }

    fn begin_read(&mut self, want: &Want) {
        let lane = want.lane;
        let feed = &mut self.feeds[lane.index()];
        let holds = &self.carry.holds;
        let plan = reading::plan(self.store, want, feed.exhausted(), |key| {
            holds.is_parked(key)
        });
        for lane_seq in plan.gone {
            self.carry.gone(Key { lane, lane_seq });
        }
        for lane_seq in plan.later {
            feed.again(lane_seq);
        }
        if plan.places.is_empty() {
            feed.nothing(plan.looked_through, plan.exhausted);
            return;
        }
        feed.began(plan.looked_through, plan.exhausted);
        let (store, reads) = (self.store.clone(), self.reads.clone());
        tokio::task::spawn_blocking(move || {
            // Err: the connection is gone, and with it who wanted this.
            let _ = reads.blocking_send(reading::read(&store, lane, plan.places));
        });
    }

    /// A read is done.
    pub(super) fn read(&mut self, batch: Batch) {
        let now = self.now();
        let key = |lane_seq| Key {
            lane: batch.lane,
            lane_seq,
        };
        for loaded in &batch.loaded {
            let place = &loaded.place;
            self.carry
                .suspicion
                .remember(key(place.lane_seq), place.attempts);
        }
        for lane_seq in batch.gone {
            self.carry.gone(key(lane_seq));
        }
        for (lane_seq, why) in batch.unreadable {
            self.carry.abandon(
                self.store,
                key(lane_seq),
                &format!("it can no longer be read from the log: {why}"),
            );
        }
        let feed = &mut self.feeds[batch.lane.index()];
        feed.read(batch.loaded);
        feed.failed(batch.failed, now);
    }

    /// The connection broke: what was in flight goes again on the next one. Returns whether
    /// anything was acknowledged on this one.
    pub(super) fn lost(&mut self, denied: bool) -> bool {
        for live in self.pump.unanswered_live() {
            self.carry.live_lost(live);
        }
        let lost = Lost {
            unanswered: self.pump.unanswered(),
            control_answered: self.birth == Birth::Answered,
            denied,
        };
        let oldest = lost.unanswered.first();
        let topic = oldest
            .and_then(|key| self.in_flight.get(key))
            .map(|flight| flight.topic.clone());
        self.carry
            .connection_lost(self.store, &lost, topic.as_deref());
        self.pump.acknowledged() > 0
    }
}
