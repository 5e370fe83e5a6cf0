//! From the outbox to the client, and from PUBACK to the outbox: everything of one connection that
//! is up.

use super::carry::Carry;
use super::feed::{Feed, Loaded, Want};
use super::gauges;
use super::holds::{Admission, Why};
use super::lanes::{Head, Scheduler};
use super::live::Live;
use super::pump::{Answer, Breach, Cargo, Key, Limits, Patience, Pump, Refusal};
use super::reading::{self, Batch};
use super::suspicion::Lost;
use super::wire::{packet_size, properties, publishable};
use crate::config::Uplink;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tillwatch_protocol::{Lane, LogId, Stamp};
use tillwatch_store::{OutboxRef, Store};
use tokio::sync::mpsc;

/// Retained on the register's state topic while the gateway is connected.
const ONLINE: &str = "online";
/// Bytes in flight beyond which nothing more is handed over.
const IN_FLIGHT_BYTES: usize = 4 << 20;
/// First and longest pause after "not now" (0x80, 0x83, 0x97).
const LATER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often the gauges of what is held are brought up to date.
const GAUGES_EVERY: Duration = Duration::from_secs(1);
/// What is accepted before the connection came up, and older than this when it is sent, is marked
/// `historical`.
const HISTORICAL_AFTER_S: f64 = 10.0;
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

    /// Hands over what may go now.
    pub(super) fn fill(&mut self, client: &AsyncClient) {
        let now = self.now();
        let mut blocked = [false; 3];
        self.announce(client);
        loop {
            let room = self.room(now);
            if room == 0 {
                return;
            }
            let heads = Lane::ALL.map(|lane| {
                let place = &self.feeds[lane.index()].head()?.place;
                (!blocked[lane.index()]).then(|| Head {
                    bytes: place.bytes,
                    historical: before(place, &self.connected),
                })
            });
            let per_lane = self.pump.per_lane();
            let Some(lane) = self.scheduler.choose(now, per_lane, room, heads) else {
                return;
            };
            let Some(loaded) = self.feeds[lane.index()].take() else {
                return;
            };
            let key = Key {
                lane,
                lane_seq: loaded.place.lane_seq,
            };
            match self.carry.holds.admit(key, &loaded.topic, now) {
                Admission::Send => {
                    if !self.send(client, key, loaded, now) {
                        return;
                    }
                }
                Admission::Parked => self.carry.suspicion.set_aside(key),
                Admission::Full => {
                    self.feeds[lane.index()].put_back(loaded);
                    blocked[lane.index()] = true;
                }
            }
            if self.feeds[lane.index()].head().is_none() {
                self.load();
            }
        }
    }

    /// Places for outbox entries now. When messages go alone: one, after the birth message.
    fn room(&self, now: Duration) -> usize {
        if self.later.1 > now || self.in_flight_bytes >= IN_FLIGHT_BYTES {
            return 0;
        }
        if !self.carry.suspicion.alone() {
            return self.pump.room();
        }
        let alone = self.pump.in_flight() == 0 && self.announced();
        self.pump.room().min(usize::from(alone))
    }

    /// Whether the birth message was answered, or may not be sent.
    fn announced(&self) -> bool {
        match self.birth {
            Birth::NotSent => !self.carry.allows(Live::Birth),
            Birth::Sent => false,
            Birth::Answered => true,
        }
    }

    /// Sends the birth message, once, as soon as it may go.
    fn announce(&mut self, client: &AsyncClient) {
        let alone = self.carry.suspicion.alone();
        let due = self.birth == Birth::NotSent && self.carry.allows(Live::Birth);
        if due && !(alone && self.pump.in_flight() > 0) {
            let topic = self.state_topic.clone();
            if self.send_live(client, Live::Birth, topic, ONLINE.into()) {
                self.birth = Birth::Sent;
            }
        }
    }

    /// Whether a health message may go now: after the birth message, not while messages go alone,
    /// and not while the broker forbids it.
    pub(super) fn may_report(&self) -> bool {
        self.announced()
            && !self.carry.suspicion.alone()
            && self.carry.allows(Live::Health)
            && self.pump.room() > 0
    }

    /// Sends a live message; `false` when the client or the window has no place.
    pub(super) fn send_live(
        &mut self,
        client: &AsyncClient,
        live: Live,
        topic: String,
        payload: Vec<u8>,
    ) -> bool {
        if self.pump.room() == 0 {
            return false;
        }
        let properties = PublishProperties {
            content_type: (live == Live::Health).then(|| "application/json".to_owned()),
            ..PublishProperties::default()
        };
        self.pump.hand_over(Cargo::Live(live), self.now());
        let (qos, retain) = (QoS::AtLeastOnce, live == Live::Birth);
        let handed = client.try_publish_with_properties(topic, qos, retain, payload, properties);
        if handed.is_err() {
            self.pump.take_back();
        }
        handed.is_ok()
    }

    /// `false`: the client takes nothing more now.
    fn send(&mut self, client: &AsyncClient, key: Key, loaded: Loaded, now: Duration) -> bool {
        let age = gauges::age_s(&loaded.place.stamp, &self.connected);
        let historical = before(&loaded.place, &self.connected) && age >= HISTORICAL_AFTER_S;
        let properties = properties(&loaded, self.epoch, historical);
        let size = packet_size(&loaded.topic, &loaded.payload, &properties);
        if size > self.max_packet {
            // Later: a stub with id, size and checksum instead, the body to be fetched.
            gauges::publish_error("too_large");
            let reason = format!(
                "its packet has {size} bytes, the broker takes {}",
                self.max_packet
            );
            self.carry.abandon(self.store, key, &reason);
            return true;
        }
        if !publishable(&loaded.topic) {
            gauges::publish_error("topic");
            let reason = format!("{:?} is no topic that can be published to", loaded.topic);
            self.carry.abandon(self.store, key, &reason);
            return true;
        }
        self.pump.hand_over(Cargo::Entry(key), now);
        let handed = client.try_publish_with_properties(
            loaded.topic.as_ref(),
            QoS::AtLeastOnce,
            false,
            loaded.payload.clone(),
            properties,
        );
        if handed.is_err() {
            self.pump.take_back();
            self.feeds[key.lane.index()].put_back(loaded);
            return false;
        }
        self.carry.sending(key);
        let bytes = loaded.payload.len();
        self.in_flight_bytes += bytes;
        let topic = loaded.topic;
        self.in_flight.insert(key, InFlight { topic, bytes });
        true
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

/// Whether an entry was accepted before this connection came up.
fn before(place: &OutboxRef, connected: &Stamp) -> bool {
    place.stamp.boot != connected.boot || place.stamp.monotonic_ns < connected.monotonic_ns
}
