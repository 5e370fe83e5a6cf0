//! The shapes on disk and on the wire, pinned: what one release wrote, the next must read.

#![allow(clippy::unwrap_used)]

use serde_json::json;
use std::borrow::Cow;
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::event::{DrawerCommand, DrawerState, KickPin};
use tillwatch_protocol::finding::{Evidence, NotJudged, Subject, Weight};
use tillwatch_protocol::lane::{OutboxFate, OutboxMark};
use tillwatch_protocol::pos::{ParseContext, parse_pos_event};
use tillwatch_protocol::receipt::{LineMark, ReceiptEnd};
use tillwatch_protocol::{
    Alert, AlertId, ClipId, ClipReport, ClipRequest, ClipState, ClipTrack, Clock, Contribution,
    DetectionSettings, Event, EventBody, Finding, Lane, LogId, Look, MessageId, Money, Notice,
    OutboxEntry, PictureState, Quarantined, Receipt, ReceiptKind, Record, RecordError, RegisterId,
    Review, Rule, Score, Seq, Severity, Shown, Stamp, StoreCode, Verdict, Witness, WitnessState,
};
use uuid::Uuid;

const STAMP: Stamp = Stamp {
    boot: 3,
    monotonic_ns: 5_000_000_000,
    utc_us: 1_759_588_455_000_000,
    clock: Clock::Synced,
};

fn event(body: EventBody) -> Record {
    Record::Event(Event {
        seq: Seq(9),
        stamp: STAMP,
        body,
    })
}

fn pos_event() -> EventBody {
    let context = ParseContext {
        zone: jiff::tz::TimeZone::UTC,
        minor_digits: 2,
    };
    let body = br#"{"event_id":"123","event_type":"void_transaction","timestamp":"2025-10-04T14:34:15Z","staff_id":"e1","amount":12.5,"shift":2}"#;
    EventBody::Pos(Box::new(parse_pos_event(body, &context).unwrap()))
}

fn contribution() -> Contribution {
    Contribution {
        rule: Rule::of("drawer_forced"),
        text: "no kick".into(),
        points: Score::from_milli(800),
    }
}

fn evidence() -> Evidence {
    Evidence {
        seq: Seq(9),
        stamp: STAMP,
        what: "drawer opened".into(),
    }
}

fn alert_id() -> AlertId {
    AlertId::derive(LogId(Uuid::from_u128(1)), "drawer_forced", &[Seq(9)])
}

fn finding() -> Finding {
    Finding {
        rule: Rule::of("drawer_forced"),
        kind: "forced".into(),
        score: Score::from_milli(800),
        contributions: vec![contribution()],
        weight: Weight::Alone,
        evidence: vec![evidence()],
        subject: Subject::default(),
        cleared: None,
    }
}

fn alert() -> Alert {
    Alert {
        alert_id: alert_id(),
        revision: 2,
        state: AlertState::Cleared {
            reason: "late kick".into(),
        },
        rule: Rule::of("drawer_forced"),
        kind: "forced".into(),
        score: Score::from_milli(800),
        severity: Severity::Critical,
        contributions: vec![contribution()],
        evidence: vec![evidence()],
        subject: Subject {
            staff_id: Some("e1".into()),
            ..Subject::default()
        },
        stamp: STAMP,
    }
}

fn receipt() -> EventBody {
    EventBody::Receipt(Box::new(Receipt {
        kind: ReceiptKind::Return,
        lines: vec!["RETOURE".into()],
        marks: vec![LineMark {
            line: 0,
            kind: ReceiptKind::Return,
            amount: Some(Money(-4_990)),
        }],
        number: Some("1188".into()),
        cashier: None,
        total: Some(Money(-4_990)),
        kicks: 1,
        images: 0,
        bytes: 99,
        began_ns: 4_000_000_000,
        ended_ns: 5_000_000_000,
        end: ReceiptEnd::Cut,
        damaged: false,
    }))
}

/// Name, record, and its type number, version and body as hexadecimal.
fn every_record() -> Vec<(&'static str, Record)> {
    let store = StoreCode::new("S03").unwrap();
    let register = RegisterId::new("reg_02").unwrap();
    let outbox = OutboxEntry {
        lane: Lane::Urgent,
        lane_seq: 7,
        message_id: MessageId::derive(LogId(Uuid::from_u128(1)), Lane::Urgent, 7),
        topic: "stores/S03/alerts".into(),
        content_type: "application/json".into(),
        stamp: STAMP,
        payload: b"{}".to_vec(),
    };
    let command = DrawerCommand {
        pin: KickPin::Two,
        on_ms: 100,
        real_time: false,
        confirmed: true,
    };
    let notice = Notice {
        code: "drawer_jam".into(),
        text: "look".into(),
        stamp: STAMP,
    };
    let review = Review {
        alert_id: alert_id(),
        verdict: Verdict::Legitimate,
        note: "ok".into(),
        reviewer: "manager".into(),
    };
    let lost = WitnessState::Lost {
        reason: "unplugged".into(),
    };
    vec![
        (
            "started",
            event(EventBody::Started {
                version: "0.1.0".into(),
                store,
                register,
                demo: true,
            }),
        ),
        (
            "stopped",
            event(EventBody::Stopped {
                reason: "SIGTERM".into(),
            }),
        ),
        ("settings", event(EventBody::Settings(Box::default()))),
        (
            "witness",
            event(EventBody::Witness {
                witness: Witness::Printer,
                state: lost,
            }),
        ),
        (
            "drawer",
            event(EventBody::Drawer {
                state: DrawerState::Open,
                initial: false,
            }),
        ),
        ("kick", event(EventBody::Kick)),
        ("drawer_command", event(EventBody::DrawerCommand(command))),
        ("paper_started", event(EventBody::PaperStarted)),
        ("receipt", event(receipt())),
        ("pos", event(pos_event())),
        ("tick", event(EventBody::Tick)),
        ("review", event(EventBody::Review(review))),
        (
            "clock_correction",
            event(EventBody::ClockCorrection {
                offset_us: -5,
                error_us: 9,
            }),
        ),
        ("event_notice", event(EventBody::Notice(notice.clone()))),
        ("alert", Record::Alert(alert())),
        ("finding", Record::Finding(finding())),
        (
            "not_judged",
            Record::NotJudged(NotJudged {
                rule: Rule::of("drawer_forced"),
                reason: Cow::Borrowed("witness_lost"),
                text: "the kick line was lost".into(),
                cause: evidence(),
            }),
        ),
        ("notice", Record::Notice(notice)),
        ("outbox", Record::Outbox(outbox)),
        (
            "outbox_mark",
            Record::OutboxMark(OutboxMark {
                lane: Lane::Urgent,
                lane_seq: 7,
                fate: OutboxFate::Acknowledged,
            }),
        ),
        (
            "quarantined",
            Record::Quarantined(Quarantined {
                stamp: STAMP,
                source: "pos.mqtt".into(),
                reason: "not_json_object".into(),
                text: "not JSON".into(),
                origin: "pos/events/x/void".into(),
                raw: b"?".to_vec(),
                size: 1,
            }),
        ),
        (
            "camera_picture",
            event(EventBody::CameraPicture {
                camera: 1,
                state: PictureState::Covered,
            }),
        ),
        (
            "camera_motion",
            event(EventBody::CameraMotion {
                camera: 1,
                region: 2,
                motion: tillwatch_protocol::clip::Motion::Moving,
            }),
        ),
        (
            "clip_request",
            Record::ClipRequest(ClipRequest {
                clip_id: ClipId::of(alert_id()),
                alert_id: alert_id(),
                cause: STAMP,
                from_ns: 4_000_000_000,
                to_ns: 6_000_000_000,
                score: Score::from_milli(800),
                kind: "forced".into(),
                staff_id: Some("e1".into()),
            }),
        ),
        ("clip_report", clip_report(ClipState::Complete)),
        (
            "clip_partial",
            clip_report(ClipState::Partial { reason: why() }),
        ),
        (
            "clip_empty",
            clip_report(ClipState::Empty { reason: why() }),
        ),
        (
            "clip_dropped",
            clip_report(ClipState::Dropped { reason: why() }),
        ),
        ("look", Record::Look(look(true))),
        ("look_now", Record::Look(look(false))),
    ]
}

fn look(at_clip: bool) -> Look {
    Look {
        stamp: STAMP,
        who: "ann".into(),
        role: at_clip.then(|| "manager".into()),
        from: "192.0.2.7".into(),
        what: if at_clip {
            Shown::Video
        } else {
            Shown::Snapshot
        },
        clip: at_clip.then(|| ClipId::of(alert_id())),
        camera: "counter".into(),
    }
}

fn why() -> String {
    "the power went".into()
}

fn clip_report(state: ClipState) -> Record {
    let track = ClipTrack {
        camera: 1,
        name: "counter".into(),
        boot: 3,
        first_seq: 60,
        last_seq: 90,
        frames: 29,
        bytes: 1_740_000,
        first_ns: 4_000_000_000,
        last_ns: 6_000_000_000,
        gaps: vec![(4_500_000_000, 4_900_000_000)],
    };
    Record::ClipReport(ClipReport {
        clip_id: ClipId::of(alert_id()),
        state,
        cameras: vec![track],
        stamp: STAMP,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn records_on_disk_are_these_bytes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/records.hex");
    let written: String = every_record()
        .iter()
        .map(|(name, record)| {
            let mut body = Vec::new();
            record.encode_into(&mut body).unwrap();
            format!(
                "{name} {} {} {}\n",
                record.kind(),
                record.version(),
                hex(&body)
            )
        })
        .collect();
    if std::env::var_os("TILLWATCH_PIN_RECORDS").is_some() {
        std::fs::write(path, &written).unwrap();
    }
    let pinned = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        written, pinned,
        "a record's bytes changed: give it a new version that reads the old one too, then pin with TILLWATCH_PIN_RECORDS=1"
    );
}

#[test]
fn records_are_read_back_as_they_were_written() {
    for (name, record) in every_record() {
        let mut body = Vec::new();
        record.encode_into(&mut body).unwrap();
        let read = Record::decode(Seq(9), record.kind(), record.version(), &body).unwrap();
        assert_eq!(read, record, "{name}");
        for cut in 0..body.len() {
            // A short body is an error or, by luck of the encoding, another value: never a panic.
            let _ = Record::decode(Seq(9), record.kind(), record.version(), &body[..cut]);
        }
    }
}

#[test]
fn types_and_versions_of_other_programs_are_named() {
    let unknown = Record::decode(Seq(4), 999, 1, b"").unwrap_err();
    assert_eq!(
        unknown,
        RecordError::Unknown {
            seq: Seq(4),
            kind: 999,
            version: 1
        }
    );
    assert!(matches!(
        Record::decode(Seq(4), 1, 2, b""),
        Err(RecordError::Unknown { version: 2, .. })
    ));
}

#[test]
fn an_alert_on_the_wire_has_these_fields() {
    let expected = json!({
        "alert_id": alert_id().to_string(), "revision": 2, "state": {"cleared": {"reason": "late kick"}},
        "rule": "drawer_forced", "kind": "forced", "score": 0.8, "severity": "critical",
        "contributions": [{"rule": "drawer_forced", "text": "no kick", "points": 0.8}],
        "evidence": [{"seq": 9, "what": "drawer opened", "stamp": {
            "boot": 3, "monotonic_ns": 5_000_000_000_u64, "utc_us": 1_759_588_455_000_000_i64, "clock": "synced"}}],
        "subject": {"event_id": null, "order_id": null, "ticket_no": null, "staff_id": "e1",
            "staff_alerts_today": null, "amount": null, "original_amount": null, "pos_time_us": null},
        "stamp": {"boot": 3, "monotonic_ns": 5_000_000_000_u64, "utc_us": 1_759_588_455_000_000_i64, "clock": "synced"},
    });
    assert_eq!(serde_json::to_value(alert()).unwrap(), expected);
}

#[test]
fn settings_in_json_may_leave_out_what_stays_at_its_default() {
    let settings: DetectionSettings =
        serde_json::from_str(r#"{"timezone":"Europe/Berlin"}"#).unwrap();
    assert_eq!(
        settings.receipt_policy,
        DetectionSettings::default().receipt_policy
    );
    assert!(serde_json::from_str::<DetectionSettings>(r#"{"time_zone":"x"}"#).is_err());
}
