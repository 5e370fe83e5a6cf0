//! One connection's window: what was handed to the client, which packet id it got, what was
//! acknowledged. No I/O; time is passed in as the duration since any fixed moment.
//!
//! The client library has no completion token. The only correlation that it offers is the order:
//! what goes into its channel comes out as `Outgoing::Publish(pkid)` in the same order, and a
//! PUBACK names that packet id. So every message is pushed to a FIFO *before* it is handed over,
//! gets its packet id when the library says so, and counts as acknowledged only when a PUBACK
//! with Success names a packet id that is in **this** connection's map. A pump lives as long as
//! its connection; nothing of it is carried over.
//!
//! A duplicated or late PUBACK must never hit another message. Packet ids rotate through
//! [`ROTATION`] values, and nothing new is sent while the oldest message without an answer is a
//! whole rotation behind: an id is used again only after its last use was answered, and, with a
//! window of at most [`WINDOW_MAX`], only after at least `ROTATION - WINDOW_MAX` other answers.

use super::live::Live;
use rumqttc::v5::mqttbytes::v5::PubAckReason;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tillwatch_protocol::Lane;

/// Packet ids in rotation; the client library is set to the same number.
pub const ROTATION: u16 = 2_048;
/// Most messages in flight, whatever is configured.
pub const WINDOW_MAX: u16 = 100;
/// How long an answer may take before the connection is given up.
pub const ACK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the client library may leave a message in its channel: longer, and its `poll()` hangs
/// because the peer no longer reads.
pub const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(15);

/// Names an entry of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its lane.
    pub lane: Lane,
    /// Its number in that lane.
    pub lane_seq: u64,
}

/// What is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cargo {
    /// An entry of the outbox.
    Entry(Key),
    /// A message that is not queued.
    Live(Live),
}

/// When a connection that nobody closed counts as dead, and how long to wait for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// [`ACK_TIMEOUT`].
    pub ack: Duration,
    /// [`HAND_OVER_TIMEOUT`].
    pub hand_over: Duration,
    /// Longest pause between connections, whatever went wrong.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            ack: ACK_TIMEOUT,
            hand_over: HAND_OVER_TIMEOUT,
            pause: Duration::MAX,
        }
    }
}

/// Bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most messages in flight, at least 1.
    pub window: u16,
    /// Packet ids in rotation; larger than `window`.
    pub rotation: u16,
    /// Its watchdogs.
    pub patience: Patience,
}

impl Limits {
    /// The limits for a configured window and the broker's Receive Maximum (65,535 when it names
    /// none; 0 is a protocol error and taken as 1).
    #[must_use]
    pub fn new(window: u16, receive_maximum: Option<u16>, patience: Patience) -> Self {
        let window = window
            .clamp(1, WINDOW_MAX)
            .min(receive_maximum.unwrap_or(u16::MAX).max(1));
        Self {
            window,
            rotation: ROTATION,
            patience,
        }
    }
}

/// Why the broker did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 0x10: nobody subscribes. The broker threw it away.
    NoConsumer,
    /// 0x80, 0x83, 0x91, 0x97: not now.
    Later,
    /// 0x87: we may not publish to that topic.
    Denied,
    /// 0x90, 0x99: never, in this form.
    Unusable,
}

impl Refusal {
    /// For `mqtt_publish_errors_total{reason}`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoConsumer => "no_consumer",
            Self::Later => "later",
            Self::Denied => "not_authorized",
            Self::Unusable => "unusable",
        }
    }
}

/// The reaction to a PUBACK's reason code; `None` is Success.
#[must_use]
pub fn refusal(reason: PubAckReason) -> Option<Refusal> {
    match reason {
        PubAckReason::Success => None,
        PubAckReason::NoMatchingSubscribers => Some(Refusal::NoConsumer),
        PubAckReason::UnspecifiedError
        | PubAckReason::ImplementationSpecificError
        | PubAckReason::PacketIdentifierInUse
        | PubAckReason::QuotaExceeded => Some(Refusal::Later),
        PubAckReason::NotAuthorized => Some(Refusal::Denied),
        PubAckReason::TopicNameInvalid | PubAckReason::PayloadFormatInvalid => {
            Some(Refusal::Unusable)
        }
    }
}

/// What a PUBACK meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The broker has it.
    Acknowledged {
        /// What.
        cargo: Cargo,
        /// Since it was put on the wire.
        took: Duration,
    },
    /// The broker does not want it.
    Refused {
        /// What.
        cargo: Cargo,
        /// Why.
        refusal: Refusal,
    },
    /// It names nothing that is in flight on this connection: counted and ignored.
    Stray,
}

/// The client library does not do what the correlation rests on: the connection must be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// A publish left that was not handed over here.
    #[error("the client sent packet {0} that nobody handed over")]
    Unknown(u16),
    /// A packet id was used again before it was answered.
    #[error("the client used packet id {0} again before it was answered")]
    Reused(u16),
}

/// Why a connection counts as dead although nobody closed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// The oldest message in flight got no answer.
    Answer,
    /// The client library does not take messages from its channel.
    HandOver,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    cargo: Cargo,
    /// How many were handed over before it on this connection.
    ordinal: u64,
    since: Duration,
}

/// One connection's window.
#[derive(Debug)]
pub struct Pump {
    limits: Limits,
    next_ordinal: u64,
    /// Handed over, not numbered yet; in channel order.
    handed: VecDeque<Flight>,
    numbered: BTreeMap<u16, Flight>,
    per_lane: [usize; 3],
    acknowledged: u64,
    stray: u64,
}

impl Pump {
    /// For a new connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            next_ordinal: 0,
            handed: VecDeque::with_capacity(usize::from(limits.window)),
            numbered: BTreeMap::new(),
            per_lane: [0; 3],
            acknowledged: 0,
            stray: 0,
        }
    }

    /// Messages without an answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.handed.len() + self.numbered.len()
    }

    /// Outbox entries without an answer, by [`Lane::index`].
    #[must_use]
    pub fn per_lane(&self) -> [usize; 3] {
        self.per_lane
    }

    /// Outbox entries acknowledged on this connection.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// PUBACKs that named nothing in flight.
    #[must_use]
    pub fn stray(&self) -> u64 {
        self.stray
    }

    /// How many may be handed over now: places in the window, and none at all while the oldest
    /// message without an answer is a rotation behind.
    #[must_use]
    pub fn room(&self) -> usize {
        let span = self
            .oldest()
            .map_or(0, |oldest| self.next_ordinal - oldest.ordinal);
        let rotation = usize::from(self.limits.rotation)
            .saturating_sub(usize::try_from(span).unwrap_or(usize::MAX));
        usize::from(self.limits.window)
            .saturating_sub(self.in_flight())
            .min(rotation)
    }

    /// Notes a message; call it right before it goes into the client's channel.
    pub fn hand_over(&mut self, cargo: Cargo, now: Duration) {
        self.handed.push_back(Flight {
            cargo,
            ordinal: self.next_ordinal,
            since: now,
        });
        self.next_ordinal += 1;
        if let Cargo::Entry(key) = cargo {
            self.per_lane[key.lane.index()] += 1;
        }
    }

    /// Forgets the message noted last: the channel did not take it.
    pub fn take_back(&mut self) {
        if let Some(flight) = self.handed.pop_back() {
            self.next_ordinal -= 1;
            self.leave(flight.cargo);
        }
    }

    /// The client put a publish on the wire. Packet id 0 is one of QoS 0 and none of ours.
    ///
    /// # Errors
    /// [`Breach`] when the order does not hold; drop the connection.
    pub fn sent(&mut self, pkid: u16, now: Duration) -> Result<(), Breach> {
        if pkid == 0 {
            return Ok(());
        }
        if self.numbered.contains_key(&pkid) {
            return Err(Breach::Reused(pkid));
        }
        let flight = self.handed.pop_front().ok_or(Breach::Unknown(pkid))?;
        self.numbered.insert(
            pkid,
            Flight {
                since: now,
                ..flight
            },
        );
        Ok(())
    }

    /// The broker answered.
    pub fn answered(&mut self, pkid: u16, reason: PubAckReason, now: Duration) -> Answer {
        let Some(flight) = self.numbered.remove(&pkid) else {
            self.stray += 1;
            return Answer::Stray;
        };
        let cargo = flight.cargo;
        self.leave(cargo);
        match refusal(reason) {
            Some(refusal) => Answer::Refused { cargo, refusal },
            None => {
                self.acknowledged += u64::from(matches!(cargo, Cargo::Entry(_)));
                Answer::Acknowledged {
                    cargo,
                    took: now.saturating_sub(flight.since),
                }
            }
        }
    }

    /// When [`Pump::overdue`] is worth asking next.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let hand_over = self
            .handed
            .front()
            .map(|flight| flight.since + self.limits.patience.hand_over);
        let answer = self
            .numbered
            .values()
            .map(|flight| flight.since + self.limits.patience.ack)
            .min();
        hand_over.into_iter().chain(answer).min()
    }

    /// Whether the connection is dead.
    #[must_use]
    pub fn overdue(&self, now: Duration) -> Option<Overdue> {
        let hand_over = self
            .handed
            .front()
            .is_some_and(|flight| flight.since + self.limits.patience.hand_over <= now);
        let answer = self
            .numbered
            .values()
            .any(|flight| flight.since + self.limits.patience.ack <= now);
        match (hand_over, answer) {
            (true, _) => Some(Overdue::HandOver),
            (false, true) => Some(Overdue::Answer),
            (false, false) => None,
        }
    }

    /// Outbox entries without an answer, in the order they were handed over. All of them are sent
    /// again on the next connection.
    #[must_use]
    pub fn unanswered(&self) -> Vec<Key> {
        let mut flights: Vec<_> = self.numbered.values().chain(&self.handed).collect();
        flights.sort_unstable_by_key(|flight| flight.ordinal);
        flights
            .into_iter()
            .filter_map(|flight| match flight.cargo {
                Cargo::Entry(key) => Some(key),
                Cargo::Live(_) => None,
            })
            .collect()
    }

    /// Live messages without an answer.
    pub fn unanswered_live(&self) -> impl Iterator<Item = Live> {
        let flights = self.numbered.values().chain(&self.handed);
        flights.filter_map(|flight| match flight.cargo {
            Cargo::Entry(_) => None,
            Cargo::Live(live) => Some(live),
        })
    }

    fn oldest(&self) -> Option<&Flight> {
        let numbered = self.numbered.values().min_by_key(|flight| flight.ordinal);
        // Whatever has a number was handed over before whatever has none.
        numbered.or_else(|| self.handed.front())
    }

    fn leave(&mut self, cargo: Cargo) {
        if let Cargo::Entry(key) = cargo {
            self.per_lane[key.lane.index()] -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
