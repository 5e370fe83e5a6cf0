//! From the feeds to the client: what may go now, and how it goes.

use super::{Birth, InFlight, Traffic};
use crate::uplink::feed::Loaded;
use crate::uplink::gauges;
use crate::uplink::holds::Admission;
use crate::uplink::lanes::Head;
use crate::uplink::live::Live;
use crate::uplink::pump::{Cargo, Key};
use crate::uplink::wire::{packet_size, properties, publishable};
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use std::time::Duration;
use tillwatch_protocol::{Lane, Stamp};
use tillwatch_store::OutboxRef;

/// Retained on the register's state topic while the gateway is connected.
const ONLINE: &str = "online";
/// Bytes in flight beyond which nothing more is handed over.
const IN_FLIGHT_BYTES: usize = 4 << 20;
/// What is accepted before the connection came up, and older than this when it is sent, is marked
/// `historical`.
const HISTORICAL_AFTER_S: f64 = 10.0;

impl Traffic<'_> {
    /// Hands over what may go now.
    pub(in crate::uplink) fn fill(&mut self, client: &AsyncClient) {
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
    pub(in crate::uplink) fn may_report(&self) -> bool {
        self.announced()
            && !self.carry.suspicion.alone()
            && self.carry.allows(Live::Health)
            && self.pump.room() > 0
    }

    /// Sends a live message; `false` when the client or the window has no place.
    pub(in crate::uplink) fn send_live(
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
}

/// Whether an entry was accepted before this connection came up.
fn before(place: &OutboxRef, connected: &Stamp) -> bool {
    place.stamp.boot != connected.boot || place.stamp.monotonic_ns < connected.monotonic_ns
}
