//! The shapes are pinned: whoever reads the API may rely on them.

use super::*;
use serde_json::{Value, json};
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::event::{DrawerCommand, KickPin};
use tillwatch_protocol::finding::{Evidence, NotJudged, Subject, Weight};
use tillwatch_protocol::pos::{ParseContext, parse_pos_event};
use tillwatch_protocol::receipt::{LineMark, ReceiptEnd, ReceiptKind};
use tillwatch_protocol::{
    AlertId, Contribution, LogId, Notice, PictureState, Receipt, Review, Rule, Score, Severity,
    Verdict, Witness,
};
use tillwatch_store::{AlertRow, Delivery};
use uuid::Uuid;

const CONTEXT: ViewContext = ViewContext { minor_digits: 2 };
const STAMP: Stamp = Stamp {
    boot: 1,
    monotonic_ns: 5,
    utc_us: 1_759_588_455_000_000,
    clock: Clock::Synced,
};

fn shown(record: &Record) -> Value {
    serde_json::to_value(item(Seq(7), record, &Judgements::default(), CONTEXT).unwrap()).unwrap()
}

fn event(body: EventBody) -> Record {
    Record::Event(Event {
        seq: Seq(7),
        stamp: STAMP,
        body,
    })
}

/// What every item has, and these.
fn expected(kind: &str, text: &str, more: Value) -> Value {
    let mut item = json!({"seq": 7, "at": "2025-10-04T14:34:15.000000Z", "clock": "synced", "kind": kind, "text": text});
    item.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    item
}

#[test]
fn an_event_of_the_till_is_pinned() {
    let body = br#"{"event_id":"a1","event_type":"discount_applied","timestamp":"2025-10-04T14:34:15",
        "store_id":"store_001","register_id":"reg_02","staff_id":"emp_12345","order_id":"ORD48592","ticket_no":"T8923",
        "amount":150.0,"original_amount":300.10,"discount_percent":50.0,"color":"red",
        "items":[{"sku":"SKU123","name":"Apples","quantity":0.25,"unit_price":100.0,"total_price":25,"discount":0.1}]}"#;
    let context = ParseContext {
        zone: jiff::tz::TimeZone::UTC,
        minor_digits: 2,
    };
    let pos = parse_pos_event(body, &context).unwrap();
    let more = json!({
        "event_id": "a1", "order_id": "ORD48592", "ticket_no": "T8923", "staff_id": "emp_12345",
        "pos": {
            "event_type": "discount_applied", "timestamp": "2025-10-04T14:34:15.000000Z",
            "store_id": "store_001", "register_id": "reg_02",
            "amount": 150.0, "original_amount": 300.1, "discount_percent": 50.0,
            "items": [{"sku": "SKU123", "name": "Apples", "quantity": 0.25, "unit_price": 100.0, "total_price": 25.0, "discount": 0.1}],
            "metadata": {"color": "red"}, "flags": ["timestamp_zone_assumed"],
        },
    });
    let text = "discount applied 150.00, order ORD48592, emp_12345";
    assert_eq!(
        shown(&event(EventBody::Pos(Box::new(pos)))),
        expected("pos", text, more)
    );
}

#[test]
fn a_receipt_is_pinned() {
    let receipt = Receipt {
        kind: ReceiptKind::TransactionVoid,
        lines: vec!["VOID 1.50".into()],
        marks: vec![LineMark {
            line: 0,
            kind: ReceiptKind::ItemVoid,
            amount: Some(Money(-150)),
        }],
        number: Some("T1".into()),
        cashier: Some("Kim".into()),
        total: Some(Money(0)),
        kicks: 1,
        images: 2,
        bytes: 99,
        began_ns: 1,
        ended_ns: 2,
        end: ReceiptEnd::Cut,
        damaged: false,
    };
    let more = json!({
        "ticket_no": "T1", "staff_id": "Kim",
        "receipt": {
            "kind": "transaction_void", "began_at": "2025-10-04T14:34:15.000000Z", "total": 0.0, "lines": ["VOID 1.50"],
            "marks": [{"line": 0, "kind": "item_void", "amount": -1.5}],
            "kicks": 1, "images": 2, "end": "cut", "damaged": false,
        },
    });
    let text = "receipt: transaction void T1, total 0.00";
    assert_eq!(
        shown(&event(EventBody::Receipt(Box::new(receipt)))),
        expected("receipt", text, more)
    );
}

#[test]
fn what_wires_and_people_do_is_pinned() {
    let command = DrawerCommand {
        pin: KickPin::Five,
        on_ms: 50,
        real_time: true,
        confirmed: true,
    };
    let lost = WitnessState::Lost {
        reason: "unplugged".into(),
    };
    let id = AlertId(Uuid::from_u128(9));
    let review = Review {
        alert_id: id,
        verdict: Verdict::Confirmed,
        note: "n".into(),
        reviewer: "kim".into(),
    };
    let review_view =
        json!({"alert_id": id.to_string(), "verdict": "confirmed", "note": "n", "reviewer": "kim"});
    let notice = Notice {
        code: "edges_lost".into(),
        text: "edges were lost".into(),
        stamp: STAMP,
    };
    let cases = [
        (
            EventBody::Drawer {
                state: DrawerState::Open,
                initial: false,
            },
            "drawer",
            "drawer opened",
            json!({"drawer": {"state": "open", "initial": false}}),
        ),
        (
            EventBody::Drawer {
                state: DrawerState::Closed,
                initial: true,
            },
            "drawer",
            "drawer is closed",
            json!({"drawer": {"state": "closed", "initial": true}}),
        ),
        (EventBody::Kick, "kick", "drawer was kicked open", json!({})),
        (
            EventBody::DrawerCommand(command),
            "drawer_command",
            "drawer command on the printer's line",
            json!({"drawer_command": {"pin": 5, "on_ms": 50, "real_time": true, "confirmed": true}}),
        ),
        (
            EventBody::PaperStarted,
            "paper_started",
            "paper began to print",
            json!({}),
        ),
        (
            EventBody::Witness {
                witness: Witness::Printer,
                state: lost,
            },
            "witness",
            "printer tap: lost, unplugged",
            json!({"witness": {"witness": "printer tap", "state": "lost", "reason": "unplugged"}}),
        ),
        (
            EventBody::Review(review),
            "review",
            "kim judged an alert confirmed",
            json!({"alert_id": id.to_string(), "review": review_view}),
        ),
        (
            EventBody::Notice(notice),
            "notice",
            "edges were lost",
            json!({"notice": {"code": "edges_lost"}}),
        ),
        (
            EventBody::Stopped {
                reason: "asked".into(),
            },
            "stopped",
            "stopped: asked",
            json!({"stopped": {"reason": "asked"}}),
        ),
        (
            EventBody::ClockCorrection {
                offset_us: -2_000,
                error_us: 5,
            },
            "clock_correction",
            "the clock moved by -2 ms",
            json!({"clock_correction": {"offset_us": -2000, "error_us": 5}}),
        ),
        (
            EventBody::CameraPicture {
                camera: 1,
                state: PictureState::Covered,
            },
            "camera_picture",
            "camera 1: the picture is covered",
            json!({"camera_picture": {"camera": 1, "state": "covered"}}),
        ),
    ];
    for (body, kind, text, more) in cases {
        assert_eq!(shown(&event(body)), expected(kind, text, more));
    }
}

#[test]
fn ticks_movement_and_the_outbox_are_shown_to_nobody() {
    let movement = EventBody::CameraMotion {
        camera: 0,
        region: 0,
        motion: tillwatch_protocol::clip::Motion::Moving,
    };
    for body in [EventBody::Tick, movement] {
        let shown = item(Seq(1), &event(body), &Judgements::default(), CONTEXT);
        assert_eq!(shown, None);
    }
}

fn contribution() -> Contribution {
    Contribution {
        rule: Rule::of("drawer_forced"),
        text: "no kick".into(),
        points: Score::from_milli(800),
    }
}

fn evidence(seq: u64) -> Evidence {
    Evidence {
        seq: Seq(seq),
        stamp: STAMP,
        what: "drawer opened".into(),
    }
}

fn an_alert() -> Alert {
    Alert {
        alert_id: AlertId::derive(LogId(Uuid::nil()), "drawer_forced", &[Seq(3)]),
        revision: 2,
        state: AlertState::Cleared {
            reason: "a sale was printed".into(),
        },
        rule: Rule::of("drawer_forced"),
        kind: "forced".into(),
        score: Score::from_milli(800),
        severity: Severity::Critical,
        contributions: vec![contribution()],
        evidence: vec![evidence(3)],
        subject: Subject {
            staff_id: Some("emp_1".into()),
            amount: Some(Money(1_250)),
            pos_time_us: Some(0),
            ..Subject::default()
        },
        stamp: STAMP,
    }
}

#[test]
fn an_alert_is_pinned() {
    let alert = an_alert();
    let contributions = json!([{"rule": "drawer_forced", "text": "no kick", "points": 0.8}]);
    let at = "2025-10-04T14:34:15.000000Z";
    let evidence = json!([{"seq": 3, "at": at, "what": "drawer opened"}]);
    let more = json!({
        "alert_id": alert.alert_id.to_string(), "staff_id": "emp_1", "score": 0.8, "severity": "critical",
        "contributions": contributions,
        "alert": {
            "revision": 2, "state": "cleared", "cleared_because": "a sale was printed", "rule": "drawer_forced",
            "kind": "forced", "amount": 12.5, "evidence": evidence, "text": alert.text_block(2),
        },
    });
    let text = "forced cleared: a sale was printed, emp_1, 12.50";
    assert_eq!(
        shown(&Record::Alert(alert.clone())),
        expected("alert", text, more)
    );

    let review = Review {
        alert_id: alert.alert_id,
        verdict: Verdict::Legitimate,
        note: String::new(),
        reviewer: "kim".into(),
    };
    let row = AlertRow {
        alert: alert.clone(),
        review: Some(review),
        seq: Seq(7),
        accepted: true,
        delivery: Delivery::Acknowledged,
    };
    let id = alert.alert_id.to_string();
    let expected = json!({
        "alert_id": id, "revision": 2, "seq": 7, "at": at, "state": "cleared", "cleared_because": "a sale was printed",
        "rule": "drawer_forced", "kind": "forced", "score": 0.8, "severity": "critical",
        "contributions": contributions, "evidence": evidence,
        "clip_id": tillwatch_protocol::ClipId::of(alert.alert_id).to_string(),
        "event_id": null, "order_id": null, "ticket_no": null, "staff_id": "emp_1", "staff_alerts_today": null,
        "amount": 12.5, "original_amount": null, "timestamp": "1970-01-01T00:00:00.000000Z",
        "delivery": "acknowledged",
        "review": {"alert_id": id, "verdict": "legitimate", "note": "", "reviewer": "kim"},
        "text": alert.text_block(2),
    });
    assert_eq!(
        serde_json::to_value(super::alert(&row, CONTEXT)).unwrap(),
        expected
    );
}

#[test]
fn findings_and_what_was_not_judged_are_pinned() {
    let finding = Finding {
        rule: Rule::of("pos_score"),
        kind: "void".into(),
        score: Score::from_milli(400),
        contributions: vec![],
        weight: Weight::Alone,
        evidence: vec![evidence(3), evidence(4)],
        subject: Subject::default(),
        cleared: None,
    };
    let more = json!({
        "score": 0.4, "severity": "medium", "contributions": [],
        "finding": {"rule": "pos_score", "kind": "void", "evidence": [3, 4], "cleared": null},
    });
    assert_eq!(
        shown(&Record::Finding(finding)),
        expected("finding", "pos_score: void (0.40)", more)
    );
    let not_judged = NotJudged {
        rule: Rule::of("drawer_forced"),
        reason: "witness_lost".into(),
        text: "the printer tap was away".into(),
        cause: evidence(3),
    };
    let more =
        json!({"not_judged": {"rule": "drawer_forced", "reason": "witness_lost", "cause": 3}});
    let text = "drawer_forced was not judged: the printer tap was away";
    assert_eq!(
        shown(&Record::NotJudged(not_judged)),
        expected("not_judged", text, more)
    );
}

#[test]
fn of_several_judgements_an_alert_is_shown_and_of_those_the_highest() {
    let mut judgements = Judgements::default();
    let finding = Finding {
        rule: Rule::of("other"),
        kind: "void".into(),
        score: Score::MAX,
        contributions: vec![],
        weight: Weight::Alone,
        evidence: vec![evidence(3)],
        subject: Subject::default(),
        cleared: None,
    };
    let weaker = Alert {
        score: Score::from_milli(300),
        ..an_alert()
    };
    judgements.add_alert(&weaker);
    judgements.add_alert(&an_alert());
    judgements.add_finding(&finding);
    let drawer = event(EventBody::Drawer {
        state: DrawerState::Open,
        initial: false,
    });
    let item = item(Seq(3), &drawer, &judgements, CONTEXT).unwrap();
    assert_eq!(
        (item.score, item.severity.as_deref()),
        (Some(0.8), Some("critical"))
    );
    assert_eq!(item.alert_id, Some(an_alert().alert_id.to_string()));
}

#[test]
fn money_keeps_its_decimals_in_every_currency() {
    let number = |minor, digits| serde_json::to_string(&Amount(Money(minor), digits)).unwrap();
    assert_eq!(number(15_000, 2), "150.0");
    assert_eq!(number(-5, 2), "-0.05");
    assert_eq!(number(500, 0), "500.0");
    assert_eq!(number(1_234_567_890_123, 3), "1234567890.123");
}
