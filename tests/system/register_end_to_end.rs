//! One register, end to end: drawer, printer and till come in by their real ways, alerts go out
//! to a real Mosquitto.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::gateway::{Gateway, recorded_receipts};
use support::mosquitto::Mosquitto;
use support::subscriber::Subscriber;
use support::wait_for;

struct Shop {
    gateway: Gateway,
    head_office: Subscriber,
    broker: Mosquitto,
}

fn open_shop() -> Shop {
    let broker = Mosquitto::start("");
    let head_office = Subscriber::start(broker.port(), "stores/#");
    let gateway = Gateway::start(broker.port());
    Shop {
        gateway,
        head_office,
        broker,
    }
}

fn score_of(alert: &Value) -> f64 {
    alert["score"].as_f64().unwrap()
}

fn is_about(event_id: &'static str) -> impl Fn(&Value) -> bool {
    move |alert| alert["event_id"] == event_id
}

#[test]
fn till_events_by_mqtt_are_scored_explained_and_sent() {
    let shop = open_shop();
    let publish = |kind: &str, body: Value| {
        shop.broker
            .publish(&format!("pos/events/store_001/{kind}"), &body.to_string());
    };
    publish(
        "discount",
        json!({"event_id": "d-35", "event_type": "discount_applied", "timestamp": "2025-10-04T14:34:15Z",
        "store_id": "store_001", "register_id": "reg_02", "staff_id": "emp_1", "order_id": "ORD48592", "ticket_no": "T8923",
        "amount": 65.0, "original_amount": 100.0, "discount_percent": 35.0, "items": [], "metadata": {}}),
    );
    let discount = shop.head_office.alert("the discount", is_about("d-35"));
    assert_eq!(score_of(&discount), 0.5);
    assert_eq!(discount["severity"], "high");
    assert_eq!(discount["order_id"], "ORD48592");
    let points: f64 = discount["contributions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["points"].as_f64().unwrap())
        .sum();
    assert!((points - 0.5).abs() < 1e-9, "{discount}");
    assert!(
        discount["contributions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|c| !c["text"].as_str().unwrap().is_empty())
    );
    for field in [
        "message_id",
        "store_code",
        "register_id",
        "epoch",
        "lane",
        "seq",
        "at",
        "boot",
        "clock",
        "schema",
    ] {
        assert!(!discount[field].is_null(), "{field} is missing");
    }
    assert_eq!(
        (&discount["store_code"], &discount["register_id"]),
        (&json!("S03"), &json!("reg_02"))
    );

    publish(
        "void",
        json!({"event_id": "v-1", "event_type": "void_transaction", "staff_id": "emp_7", "amount": 12}),
    );
    publish(
        "void",
        json!({"event_id": "v-2", "event_type": "void_transaction", "staff_id": "emp_7", "amount": 12}),
    );
    assert_eq!(
        score_of(&shop.head_office.alert("the first void", is_about("v-1"))),
        0.4
    );
    let again = shop.head_office.alert("the second void", is_about("v-2"));
    assert_eq!(score_of(&again), 0.7);
    assert_eq!(again["staff_alerts_today"], 2);

    publish(
        "refund",
        json!({"event_id": "r-1", "event_type": "refund_issued", "staff_id": "emp_8", "amount": 1500.0}),
    );
    assert_eq!(
        score_of(&shop.head_office.alert("the refund", is_about("r-1"))),
        0.7
    );
    assert_eq!(shop.gateway.metric("pos_events_total"), 4.0);
    assert_eq!(shop.gateway.metric("alerts_triggered_total"), 4.0);
}

#[test]
fn odd_events_are_used_redelivered_ones_counted_once_and_garbage_is_quarantined() {
    let shop = open_shop();
    let topic = "pos/events/S03/void";
    let bare = r#"{"event_id":"123","event_type":"void_transaction"}"#;
    shop.broker.publish(topic, bare);
    shop.broker.publish(topic, bare);
    shop.broker.publish(
        topic,
        r#"{"event_id":"123","event_type":"void_transaction","amount":5}"#,
    );
    for garbage in ["", "not json", "[]", r#"{"event_id":"x"}"#, "\u{0}\u{1}"] {
        shop.broker.publish(
            topic,
            if garbage.is_empty() {
                " "
            } else {
                garbage.trim_matches('\u{0}')
            },
        );
    }
    shop.broker.publish(
        "pos/events/S03/general",
        r#"{"event_id":"late-1","event_type":"refund_issued","timestamp":"yesterday"}"#,
    );
    shop.head_office
        .alert("the oddly stamped refund", is_about("late-1"));
    wait_for("five in quarantine", || {
        (shop.gateway.metric("events_quarantined_total") == 5.0).then_some(())
    });
    assert_eq!(
        shop.gateway.metric("pos_events_total"),
        3.0,
        "two with the id 123 and the refund"
    );
    let quarantined = shop.gateway.json("/api/quarantine");
    let items = quarantined
        .as_array()
        .or_else(|| quarantined["items"].as_array())
        .expect("a list");
    assert_eq!(items.len(), 5);
    assert!(
        items
            .iter()
            .all(|item| item["source"] == "pos.mqtt"
                && !item["text"].as_str().unwrap_or("").is_empty()),
        "{items:?}"
    );
    let ids: Vec<Value> = shop
        .head_office
        .alerts()
        .iter()
        .map(|alert| alert["event_id"].clone())
        .collect();
    assert_eq!(
        ids.iter().filter(|id| **id == "123").count(),
        2,
        "once per body: {ids:?}"
    );
}

#[test]
fn events_of_other_registers_are_counted_and_not_joined() {
    let shop = open_shop();
    let body = r#"{"event_id":"o-1","event_type":"void_transaction","register_id":"reg_01"}"#;
    shop.broker.publish("pos/events/S03/void", body);
    wait_for("it to be counted", || {
        (shop.gateway.metric("pos_events_not_ours_total") == 1.0).then_some(())
    });
    assert_eq!(shop.gateway.metric("pos_events_total"), 0.0);
}

#[test]
fn till_events_by_http_are_answered_when_they_are_on_disk() {
    let shop = open_shop();
    let one = json!({"event_id": "h-1", "event_type": "void_transaction", "staff_id": "emp_9"});
    let (status, _) = shop.gateway.post("/api/pos-events", &one.to_string());
    assert!((200..300).contains(&status), "{status}");
    shop.head_office.alert("the void by HTTP", is_about("h-1"));
    let many = json!([one, {"event_id": "h-2", "event_type": "refund_issued"}, {"no": "event"}]);
    let (status, body) = shop.gateway.post("/api/pos-events", &many.to_string());
    assert!((200..300).contains(&status), "{status}: {body}");
    shop.head_office
        .alert("the refund by HTTP", is_about("h-2"));
    assert_eq!(shop.gateway.metric("pos_events_total"), 2.0);
    assert_eq!(shop.gateway.metric("events_quarantined_total"), 1.0);
    let (status, problem) = shop.gateway.post("/api/pos-events", "garbage");
    assert!((400..500).contains(&status), "{status}: {problem}");
    let recent = shop.gateway.json("/api/events/recent");
    assert!(recent.to_string().contains("h-2"));
}

#[test]
fn a_forced_drawer_is_an_alert_at_once_and_a_kicked_one_is_not() {
    let shop = open_shop();
    // The rule looks back 2 s, and judges nothing before the witnesses lived that long.
    wait_for("the witnesses to be old enough", || {
        // How long it stays open is the stimulus; nobody waits for anything here.
        shop.gateway.edge("sense high");
        std::thread::park_timeout(Duration::from_millis(100));
        shop.gateway.edge("sense low");
        std::thread::park_timeout(Duration::from_millis(400));
        shop.head_office
            .alerts()
            .into_iter()
            .find(|alert| alert["kind"] == "forced")
    });
    let forced = shop
        .head_office
        .alert("the forced drawer", |alert| alert["kind"] == "forced");
    assert_eq!(score_of(&forced), 0.8);
    let before = shop.head_office.alerts().len();
    shop.gateway.kick();
    shop.gateway.edge("sense high");
    std::thread::park_timeout(Duration::from_millis(100));
    shop.gateway.edge("sense low");
    // The kicked opening has been judged when the till's later event has.
    shop.broker.publish(
        "pos/events/S03/void",
        r#"{"event_id":"after","event_type":"void_transaction"}"#,
    );
    shop.head_office.alert("the later event", is_about("after"));
    let forced: Vec<_> = shop.head_office.alerts().split_off(before);
    assert!(
        forced.iter().all(|alert| alert["kind"] != "forced"),
        "{forced:?}"
    );
}

/// A receipt as our own printer builder makes it.
fn job(lines: &[&str]) -> Vec<u8> {
    use tillwatch_simulator::escpos::{CodePage, Job};
    let job = Job::new().initialize().code_page(CodePage::Pc858);
    let printed = lines.iter().fold(job, |job, line| job.line(line));
    printed.cut(3).into_bytes()
}

fn found(gateway: &Gateway, query: &str) -> String {
    gateway
        .json(&format!("/api/receipts?q={query}"))
        .to_string()
}

#[test]
fn receipts_through_a_terminal_line_are_read_and_found() {
    let mut shop = open_shop();
    // A sale that the till does not report would say that its feed loses events, and then nothing
    // is concluded from its silence: the refund comes first.
    let refund = [
        "CORNER SHOP",
        "*** REFUND ***",
        "HEADPHONES  -79.99",
        "TOTAL  -79.99",
    ];
    shop.gateway.printer.send(&job(&refund)).unwrap();
    shop.gateway
        .printer
        .send(&job(&["MÜLLER", "KEIN VERKAUF - Schublade geöffnet"]))
        .unwrap();
    wait_for("the refund", || {
        found(&shop.gateway, "HEADPHONES")
            .contains("79.99")
            .then_some(())
    });
    wait_for("umlauts", || {
        found(&shop.gateway, "Schublade")
            .contains("geöffnet")
            .then_some(())
    });
    // The paper says refund and the till says nothing.
    let limit = Duration::from_secs(90);
    let unreported = shop
        .head_office
        .alert_within(limit, "the unreported refund", |alert| {
            alert["rule"] == "unreported_refund"
        });
    assert_eq!(score_of(&unreported), 0.7);
    let sale = [
        "CORNER SHOP",
        "COFFEE  6.99",
        "TOTAL  6.99",
        "CARD 4111 1111 1111 1111",
    ];
    shop.gateway.printer.send(&job(&sale)).unwrap();
    wait_for("the sale", || {
        found(&shop.gateway, "COFFEE")
            .contains("6.99")
            .then_some(())
    });
    let kept = found(&shop.gateway, "COFFEE");
    assert!(
        kept.contains("**** **** **** 1111"),
        "masked before it is kept: {kept}"
    );
}

#[test]
fn recorded_receipts_of_public_encoders_are_read() {
    let Some(folder) = recorded_receipts() else {
        return;
    };
    let mut shop = open_shop();
    let synthetic = folder.join("synthetic/receipt-printer-encoder");
    for name in ["en_refund", "de_nullbon", "de_storno", "en_sale"] {
        let bytes = std::fs::read(synthetic.join(format!("{name}.esc-pos.bin"))).unwrap();
        shop.gateway.printer.send(&bytes).unwrap();
    }
    let lines = [
        ("HEADPHONES", "79.99"),
        ("Schublade", "geöffnet"),
        ("Sofortstorno", "4,49"),
        ("COFFEE", "11.52"),
    ];
    for (query, line) in lines {
        wait_for(query, || {
            found(&shop.gateway, query).contains(line).then_some(())
        });
    }
}

#[test]
fn a_payment_without_paper_is_told_after_thirty_seconds() {
    let mut shop = open_shop();
    let sale = tillwatch_simulator::escpos::Job::new()
        .initialize()
        .line("SHOP")
        .line("TOTAL 5.00")
        .cut(3)
        .into_bytes();
    shop.gateway.printer.send(&sale).unwrap();
    wait_for("the receipt", || {
        shop.gateway
            .json("/api/receipts?q=SHOP")
            .to_string()
            .contains("5.00")
            .then_some(())
    });
    let pay = |id: &str, amount: u32| {
        let body = json!({"event_id": id, "event_type": "payment_cleared", "order_id": id, "amount": amount});
        shop.broker
            .publish("pos/events/S03/general", &body.to_string());
    };
    pay("printed", 5);
    pay("paperless", 21);
    let limit = Duration::from_secs(90);
    let is_suppressed = |alert: &Value| alert["rule"] == "receipt_suppressed";
    let suppressed = shop
        .head_office
        .alert_within(limit, "the suppressed receipt", is_suppressed);
    assert_eq!(suppressed["event_id"], "paperless");
    assert_eq!(score_of(&suppressed), 0.5);
    assert_eq!(
        shop.head_office
            .alerts()
            .into_iter()
            .filter(is_suppressed)
            .count(),
        1
    );
}

#[test]
fn the_outbox_empties_and_says_so() {
    let shop = open_shop();
    shop.broker.publish(
        "pos/events/S03/void",
        r#"{"event_id":"o","event_type":"void_transaction"}"#,
    );
    shop.head_office.alert("the void", is_about("o"));
    wait_for("an empty outbox", || {
        (shop.gateway.metric("outbox_depth") == 0.0).then_some(())
    });
    assert_eq!(
        shop.gateway.metric("mqtt_connection_status"),
        2.0,
        "POS side and head office"
    );
    let birth = wait_for("birth", || {
        shop.head_office
            .messages()
            .into_iter()
            .find(|m| m.topic.ends_with("registers/reg_02/state"))
    });
    assert!(birth.topic.starts_with("stores/S03/"));
    let health = wait_for("health", || shop.head_office.on("/telemetry/health").pop());
    for field in [
        "uptime_s",
        "app_version",
        "outbox_depth",
        "drivers",
        "clock",
    ] {
        assert!(!health[field].is_null(), "{field}: {health}");
    }
}

#[test]
fn what_tills_published_while_the_box_was_off_arrives_once() {
    let mut shop = open_shop();
    shop.gateway.kill();
    let sent: Vec<String> = (0..10).map(|n| format!("off-{n}")).collect();
    for id in &sent {
        let body = json!({"event_id": id, "event_type": "void_transaction"});
        shop.broker
            .publish("pos/events/S03/void", &body.to_string());
    }
    shop.gateway.run();
    shop.gateway.ready();
    for id in &sent {
        shop.head_office
            .alert("a void of the time without us", |alert| {
                alert["event_id"] == id.as_str()
            });
    }
    let alerts: std::collections::BTreeSet<String> = shop
        .head_office
        .alerts()
        .iter()
        .map(|alert| alert["alert_id"].to_string())
        .collect();
    assert_eq!(alerts.len(), sent.len());
}

/// All but `correlation_latency_ms`, which needs clips.
#[test]
fn every_metric_that_is_promised_is_recorded() {
    let mut shop = open_shop();
    shop.broker.publish("pos/events/S03/void", "no event");
    shop.broker.publish(
        "pos/events/S03/void",
        r#"{"event_id":"m","event_type":"void_transaction"}"#,
    );
    shop.head_office.alert("the void", is_about("m"));
    // The broken connection is what publishing can fail of here.
    shop.broker.kill();
    let promised = [
        ("pos_events_total", 1.0),
        ("alerts_triggered_total", 1.0),
        ("risk_score_histogram_count", 1.0),
        ("mqtt_connection_status", 0.0),
        ("mqtt_publish_errors_total", 1.0),
        ("outbox_depth", 0.0),
        ("outbox_oldest_seconds", 0.0),
        ("events_quarantined_total", 1.0),
        ("frames_captured_total", 0.0),
        ("frames_dropped_total", 0.0),
        ("driver_up", 1.0),
        ("catalog_version", 0.0),
    ];
    for (name, least) in promised {
        wait_for(name, || {
            let (_, text) = shop.gateway.get("/metrics").unwrap();
            let series = text.lines().filter_map(|line| {
                let rest = line.strip_prefix(name)?;
                rest.starts_with([' ', '{']).then_some(rest)
            });
            let values = series.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
            let sum = values.reduce(|sum, value| sum + value)?;
            (sum >= least).then_some(())
        });
    }
}
