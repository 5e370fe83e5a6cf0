//! Events of the till, by MQTT or HTTP: what is taken can be kept, sent and read again.

use jiff::tz::TimeZone;
use serde_json::value::RawValue;
use std::sync::LazyLock;
use tillwatch_protocol::pos::{
    MAX_EVENT_BYTES, MAX_ITEMS, ParseContext, PosFlag, Refusal, parse_pos_event,
};
use tillwatch_protocol::time::Clock;
use tillwatch_protocol::topics::pos_topic_store;
use tillwatch_protocol::{Event, EventBody, PosEvent, PosEventType, Record, Seq, Stamp};

static CONTEXT: LazyLock<ParseContext> = LazyLock::new(|| ParseContext {
    zone: TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone by rule"),
    minor_digits: 2,
});

/// Longest text that a field may have.
const LONGEST_TEXT: usize = 256;
/// Largest body that one record of the log takes.
const LARGEST_RECORD: usize = 1 << 20;

/// The input is the body: one event, or an array of them as HTTP takes it. Its text is tried as a
/// topic, too.
pub fn run(input: &[u8]) {
    let _ = pos_topic_store(&String::from_utf8_lossy(input));
    one(input);
    if let Ok(elements) = serde_json::from_slice::<Vec<&RawValue>>(input) {
        for element in elements {
            one(element.get().as_bytes());
        }
    }
}

fn one(body: &[u8]) {
    match parse_pos_event(body, &CONTEXT) {
        Ok(event) => {
            assert!(body.len() <= MAX_EVENT_BYTES);
            bounds(&event);
            kept_and_sent(event);
        }
        Err(refusal) => {
            assert_eq!(
                body.len() > MAX_EVENT_BYTES,
                matches!(refusal, Refusal::TooLarge { .. })
            );
            assert!(!refusal.reason().is_empty() && !refusal.to_string().is_empty());
        }
    }
}

fn bounds(event: &PosEvent) {
    assert!((1..=128).contains(&event.event_id.len()) && !event.event_id.trim().is_empty());
    let texts = [
        &event.store_id,
        &event.register_id,
        &event.staff_id,
        &event.order_id,
        &event.ticket_no,
    ];
    let of_items = event.items.iter().flat_map(|item| [&item.sku, &item.name]);
    for text in texts.into_iter().chain(of_items).flatten() {
        assert!(
            text.len() <= LONGEST_TEXT && !text.trim().is_empty(),
            "{text:?}"
        );
    }
    assert!(event.items.len() <= MAX_ITEMS);
    assert_eq!(event.body_hash.len(), 16);
    let flagged = |flag| event.flags.contains(&flag);
    assert!(
        event.timestamp.is_some()
            || flagged(PosFlag::TimestampMissing)
            || flagged(PosFlag::TimestampOdd)
    );
    assert_eq!(
        flagged(PosFlag::TypeUnknown),
        matches!(event.event_type, PosEventType::Other(_))
    );
    assert_eq!(
        PosEventType::from_name(event.event_type.name()),
        event.event_type
    );
    let _ = (
        event.discount().map(|percent| percent.to_string()),
        event.repeat_offender_reported(),
    );
}

/// An event that was accepted comes back from the log and from JSON as it was.
fn kept_and_sent(event: PosEvent) {
    let json = serde_json::to_vec(&event).expect("an event has a JSON form");
    let again: PosEvent = serde_json::from_slice(&json).expect("its own JSON is read");
    assert_eq!(again, event, "JSON");
    let stamp = Stamp {
        boot: 1,
        monotonic_ns: 2,
        utc_us: 3,
        clock: Clock::Synced,
    };
    let record = Record::Event(Event {
        seq: Seq(7),
        stamp,
        body: EventBody::Pos(Box::new(event)),
    });
    let mut bytes = Vec::new();
    record
        .encode_into(&mut bytes)
        .expect("an event has a form on disk");
    assert!(bytes.len() <= LARGEST_RECORD, "{} bytes", bytes.len());
    let again = Record::decode(Seq(7), record.kind(), record.version(), &bytes)
        .expect("its own bytes are read");
    assert_eq!(again, record, "postcard");
}
