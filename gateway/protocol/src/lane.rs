//! Lanes, outbox entries and the envelope of every queued message.

use crate::ids::{LogId, MessageId, RegisterId, StoreCode};
use crate::time::{Clock, Stamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Version of the JSON shapes that leave the gateway (`schema` in the envelope).
pub const SCHEMA: u32 = 1;

/// Which queue a message leaves by. Sequence numbers are gapless per lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Alerts, reviews, errors: always first.
    Urgent,
    /// Orders, daily summaries, stills.
    Business,
    /// Findings, events, clips on request: trimmed first when space is short.
    Bulk,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Lane; 3] = [Lane::Urgent, Lane::Business, Lane::Bulk];

    /// Its number on the wire: 1 urgent, 2 business, 3 bulk (0 is live and never queued).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Urgent => 1,
            Self::Business => 2,
            Self::Bulk => 3,
        }
    }

    /// Its index in [`Lane::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.number() as usize - 1
    }

    /// From its number on the wire.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Lane> {
        Self::ALL.into_iter().find(|lane| lane.number() == number)
    }

    /// For metric labels.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Business => "business",
            Self::Bulk => "bulk",
        }
    }
}

/// A message that was accepted for head office. Its payload never changes afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Its lane.
    pub lane: Lane,
    /// Its number in that lane, from 1, gapless.
    pub lane_seq: u64,
    /// The de-duplication key.
    pub message_id: MessageId,
    /// The MQTT topic.
    pub topic: String,
    /// MQTT 5 content type, `application/json`.
    pub content_type: Cow<'static, str>,
    /// When it was accepted.
    pub stamp: Stamp,
    /// The whole payload, envelope included.
    #[serde(with = "crate::blob")]
    pub payload: Vec<u8>,
}

/// What became of an outbox entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxFate {
    /// The broker said Success for exactly this message.
    Acknowledged,
    /// It will never be sent; `reason` in words. A tombstone takes its number.
    Abandoned {
        /// Why.
        reason: String,
    },
    /// The connection broke this many times with it as the oldest in flight, without progress.
    Suspected {
        /// How often so far.
        attempts: u32,
    },
}

/// A change of an outbox entry's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxMark {
    /// Its lane.
    pub lane: Lane,
    /// Its number in that lane.
    pub lane_seq: u64,
    /// What became of it.
    pub fate: OutboxFate,
}

/// The fields that every queued message carries beside its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The store.
    pub store: &'a StoreCode,
    /// The register.
    pub register: &'a RegisterId,
    /// The outbox's life.
    pub epoch: LogId,
    /// The lane.
    pub lane: Lane,
    /// The number in that lane.
    pub lane_seq: u64,
    /// When the message was accepted.
    pub stamp: Stamp,
}

impl Envelope<'_> {
    /// The de-duplication key.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        MessageId::derive(self.epoch, self.lane, self.lane_seq)
    }

    /// Puts the envelope's fields before those of `body`. A field of `body` with the name of an
    /// envelope field is lost to the envelope's.
    #[must_use]
    pub fn wrap(&self, body: Map<String, Value>) -> Vec<u8> {
        let mut message = body;
        let clock = match self.stamp.clock {
            Clock::Synced => "synced",
            Clock::Unsynced => "unsynced",
        };
        let fields = [
            ("message_id", Value::from(self.message_id().to_string())),
            ("store_code", Value::from(self.store.as_str())),
            ("register_id", Value::from(self.register.as_str())),
            ("epoch", Value::from(self.epoch.to_string())),
            ("lane", Value::from(self.lane.number())),
            ("seq", Value::from(self.lane_seq)),
            ("at", Value::from(self.stamp.to_rfc3339())),
            ("boot", Value::from(self.stamp.boot)),
            ("clock", Value::from(clock)),
            ("schema", Value::from(SCHEMA)),
        ];
        for (name, value) in fields {
            message.insert(name.to_owned(), value);
        }
        Value::Object(message).to_string().into_bytes()
    }

    /// Makes the outbox entry of a message.
    #[must_use]
    pub fn entry(&self, topic: String, body: Map<String, Value>) -> OutboxEntry {
        OutboxEntry {
            lane: self.lane,
            lane_seq: self.lane_seq,
            message_id: self.message_id(),
            topic,
            content_type: Cow::Borrowed("application/json"),
            stamp: self.stamp,
            payload: self.wrap(body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_envelope_is_fixed() {
        let store = StoreCode::new("S03").unwrap();
        let register = RegisterId::new("reg_02").unwrap();
        let envelope = Envelope {
            store: &store,
            register: &register,
            epoch: LogId(Uuid::from_u128(0x1234)),
            lane: Lane::Urgent,
            lane_seq: 7,
            stamp: Stamp {
                boot: 4,
                monotonic_ns: 9,
                utc_us: 1_759_588_455_000_000,
                clock: Clock::Unsynced,
            },
        };
        let mut body = Map::new();
        body.insert("score".into(), 0.5.into());
        body.insert("seq".into(), "not the envelope's".into());
        let expected = concat!(
            r#"{"at":"2025-10-04T14:34:15.000000Z","boot":4,"clock":"unsynced","#,
            r#""epoch":"00000000-0000-0000-0000-000000001234","lane":1,"#,
            r#""message_id":"MESSAGE","register_id":"reg_02","schema":1,"score":0.5,"seq":7,"store_code":"S03"}"#,
        )
        .replace("MESSAGE", "a35ad538-2c60-5de6-94f2-8153a302e9d4");
        assert_eq!(String::from_utf8(envelope.wrap(body)).unwrap(), expected);
    }

    #[test]
    fn lanes_have_fixed_numbers() {
        assert_eq!(Lane::ALL.map(Lane::number), [1, 2, 3]);
        assert_eq!(Lane::from_number(2), Some(Lane::Business));
        assert_eq!(Lane::from_number(0), None);
    }
}
