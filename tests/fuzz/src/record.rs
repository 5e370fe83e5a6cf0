//! Records of the log: a body that passes its checksum may still be anything.

use tillwatch_protocol::{EventBody, Record, RecordError, Seq};

/// One above the highest type number that is tried; the highest is not in use.
const KINDS: u8 = 10;

/// The input is the type number and the body.
pub fn run(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else {
        return;
    };
    let kind = u16::from(kind % KINDS);
    let newer = Record::decode(Seq(9), kind, 2, body);
    assert!(
        matches!(newer, Err(RecordError::Unknown { .. })),
        "a newer version is passed over"
    );
    let record = match Record::decode(Seq(9), kind, 1, body) {
        Ok(record) => record,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(record.kind(), kind);
    let mut bytes = Vec::new();
    record
        .encode_into(&mut bytes)
        .expect("what was read can be written");
    let again = Record::decode(Seq(9), kind, record.version(), &bytes)
        .expect("what was written can be read");
    assert_eq!(again, record);
    shown(&record);
}

/// What pages, head office and the command line make of it.
fn shown(record: &Record) {
    let json = match record {
        Record::Event(event) => {
            assert!(!event.body.word().is_empty());
            let _ = event.stamp.to_rfc3339();
            if let EventBody::Pos(pos) = &event.body {
                let _ = (
                    pos.discount().map(|percent| percent.to_string()),
                    pos.repeat_offender_reported(),
                );
            }
            if let EventBody::Receipt(receipt) = &event.body {
                let _ = receipt.is_image_only();
            }
            serde_json::to_value(event)
        }
        Record::Alert(alert) => {
            for digits in [0, 2, 255] {
                assert!(alert.text_block(digits).contains("Timestamp:"));
            }
            serde_json::to_value(alert)
        }
        Record::Finding(finding) => serde_json::to_value(finding),
        Record::NotJudged(not_judged) => serde_json::to_value(not_judged),
        Record::Notice(notice) => serde_json::to_value(notice),
        Record::Outbox(entry) => serde_json::to_value(entry),
        Record::OutboxMark(mark) => serde_json::to_value(mark),
        Record::Quarantined(item) => serde_json::to_value(item),
        Record::ClipRequest(request) => serde_json::to_value(request),
        Record::ClipReport(report) => serde_json::to_value(report),
        Record::Look(look) => serde_json::to_value(look),
    };
    json.expect("every record has a JSON form");
}
