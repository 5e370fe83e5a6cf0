//! What an outbox entry looks like on the wire.

use super::feed::Loaded;
use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use tillwatch_protocol::LogId;

/// The MQTT 5 properties of an outbox entry: what a consumer needs to know without reading the
/// payload.
pub(super) fn properties(loaded: &Loaded, epoch: LogId, historical: bool) -> PublishProperties {
    let place = &loaded.place;
    let mut user_properties = vec![
        ("message_id".to_owned(), loaded.message_id.to_string()),
        ("epoch".to_owned(), epoch.to_string()),
        ("lane".to_owned(), place.lane.number().to_string()),
        ("seq".to_owned(), place.lane_seq.to_string()),
    ];
    if historical {
        user_properties.push(("historical".to_owned(), "true".to_owned()));
    }
    PublishProperties {
        content_type: Some(loaded.content_type.as_ref().to_owned()),
        user_properties,
        ..PublishProperties::default()
    }
}

/// Size of a PUBLISH packet with these properties, at most four bytes too large.
pub(super) fn packet_size(topic: &str, payload: &Bytes, properties: &PublishProperties) -> usize {
    let content_type = properties
        .content_type
        .as_ref()
        .map_or(0, |text| 3 + text.len());
    let user: usize = properties
        .user_properties
        .iter()
        .map(|(name, value)| 5 + name.len() + value.len())
        .sum();
    // Fixed header at most 5, packet id 2, length of the properties at most 4.
    5 + 2 + topic.len() + 2 + 4 + content_type + user + payload.len()
}

/// MQTT 5 §4.7: no wildcards, no NUL, not empty, at most 65,535 bytes.
pub(super) fn publishable(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= usize::from(u16::MAX) && !topic.contains(['+', '#', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::Publish;
    use std::borrow::Cow;
    use tillwatch_protocol::{Clock, Lane, MessageId, Seq, Stamp};
    use tillwatch_store::OutboxRef;

    fn loaded(topic: &str, payload: usize) -> Loaded {
        let stamp = Stamp {
            boot: 1,
            monotonic_ns: 0,
            utc_us: 0,
            clock: Clock::Synced,
        };
        let lane = Lane::Urgent;
        Loaded {
            place: OutboxRef {
                lane,
                lane_seq: 7,
                seq: Seq(9),
                bytes: 10,
                stamp,
                attempts: 0,
            },
            topic: topic.into(),
            message_id: MessageId::derive(LogId(uuid::Uuid::nil()), lane, 7),
            content_type: Cow::Borrowed("application/json"),
            payload: vec![b'x'; payload].into(),
        }
    }

    #[test]
    fn a_consumer_learns_id_epoch_lane_and_number_without_the_payload() {
        let epoch = LogId(uuid::Uuid::nil());
        let properties = properties(&loaded("stores/S03/alerts", 1), epoch, true);
        let names: Vec<_> = properties
            .user_properties
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["message_id", "epoch", "lane", "seq", "historical"]);
        assert_eq!(properties.user_properties[2].1, "1");
        assert_eq!(properties.user_properties[3].1, "7");
        assert_eq!(properties.content_type.as_deref(), Some("application/json"));
    }

    #[test]
    fn the_size_is_never_less_than_what_goes_on_the_wire() {
        for payload in [0, 1, 127, 128, 16_000, 16_383, 100_000, 2_097_152] {
            let loaded = loaded("stores/S03/alerts", payload);
            let properties = properties(&loaded, LogId(uuid::Uuid::nil()), false);
            let told = packet_size(&loaded.topic, &loaded.payload, &properties);
            let mut publish = Publish::new(
                loaded.topic.as_ref(),
                QoS::AtLeastOnce,
                loaded.payload.clone(),
                Some(properties),
            );
            publish.pkid = 1;
            let mut wire = BytesMut::new();
            publish.write(&mut wire).unwrap();
            assert!(
                (wire.len()..=wire.len() + 6).contains(&told),
                "{told} {}",
                wire.len()
            );
        }
    }

    #[test]
    fn wildcards_and_nothing_are_no_topics() {
        assert!(publishable("stores/S03/alerts"));
        for topic in ["", "stores/+/alerts", "stores/#", "a\0b"] {
            assert!(!publishable(topic), "{topic:?}");
        }
        assert!(!publishable(&"x".repeat(65_536)));
    }
}
