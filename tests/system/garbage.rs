//! Garbage on every way in: it is kept with its reason, and nothing else changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::gateway::Gateway;
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

/// A receipt as our own printer builder makes it.
fn sale() -> Vec<u8> {
    let job = tillwatch_simulator::escpos::Job::new().initialize();
    job.line("CORNER SHOP")
        .line("TOTAL 5.00")
        .cut(3)
        .into_bytes()
}

#[test]
fn garbage_on_the_printers_line_is_quarantined_and_the_next_receipt_is_read() {
    let mut shop = open_shop();
    let garbage: Vec<u8> = (0..600_u32)
        .map(|n| {
            if n % 3 == 0 {
                0x1b
            } else {
                (n * 7 % 251) as u8 | 0x80
            }
        })
        .collect();
    shop.gateway.printer.send(&garbage).unwrap();
    wait_for("the garbage in quarantine", || {
        (shop.gateway.metric("events_quarantined_total") >= 1.0).then_some(())
    });
    let items = shop.gateway.json("/api/quarantine");
    assert_eq!(
        (&items[0]["source"], &items[0]["reason"]),
        (&json!("printer"), &json!("unknown_command"))
    );
    shop.gateway.printer.send(&sale()).unwrap();
    wait_for("the next receipt", || {
        shop.gateway
            .json("/api/receipts?q=CORNER")
            .to_string()
            .contains("5.00")
            .then_some(())
    });
    assert_eq!(shop.gateway.metric("alerts_triggered_total"), 0.0);
}

#[test]
fn garbage_on_every_way_in_ends_in_quarantine_with_its_reason_and_changes_nothing_else() {
    let mut shop = open_shop();
    let shown = |shop: &Shop| shop.gateway.json("/api/events/recent").to_string();
    let before = wait_for("the feed to be shown as alive", || {
        let events = shown(&shop);
        events.contains("POS feed").then_some(events)
    });
    let parts = |shop: &Shop| {
        let status = shop.gateway.json("/api/status");
        let parts = status["parts"].as_object().unwrap().clone();
        let states = parts
            .into_iter()
            .map(|(name, part)| (name, (part["state"].clone(), part["since"].clone())));
        states.collect::<BTreeMap<_, _>>()
    };
    let parts_before = parts(&shop);

    shop.gateway.edge("sense perhaps");
    shop.gateway
        .printer
        .send(&[0x1b, 0xf7, 0x1b, 0xf8])
        .unwrap();
    shop.broker
        .publish("pos/events/S03/void", "\u{1b}[2J no event");
    let (status, problem) = shop.gateway.post("/api/pos-events", "\u{1} no event");
    assert!((400..500).contains(&status), "{status}: {problem}");

    let expected = BTreeMap::from([
        ("drawer", ("unknown_line", "sense perhaps")),
        ("pos.http", ("not_json_object", "no event")),
        ("pos.mqtt", ("not_json_object", "no event")),
        ("printer", ("unknown_command", "")),
    ]);
    wait_for("all four in quarantine", || {
        (shop.gateway.metric("events_quarantined_total") >= 4.0).then_some(())
    });
    let items = shop.gateway.json("/api/quarantine");
    let items = items.as_array().unwrap();
    assert_eq!(items.len(), expected.len(), "{items:?}");
    for item in items {
        let source = item["source"].as_str().unwrap();
        let (reason, raw) = expected.get(source).unwrap_or_else(|| panic!("{item}"));
        assert_eq!(item["reason"], *reason, "{item}");
        assert!(item["raw"].as_str().unwrap().contains(raw), "{item}");
        assert!(!item["text"].as_str().unwrap().is_empty(), "{item}");
    }

    // Nothing is judged or told, no device fell silent for it, and every way in goes on.
    assert_eq!(shown(&shop), before);
    assert_eq!(parts(&shop), parts_before);
    assert_eq!(shop.head_office.alerts(), Vec::<Value>::new());
    shop.gateway.kick();
    shop.gateway.edge("sense high");
    shop.gateway.printer.send(&sale()).unwrap();
    let (status, _) = shop.gateway.post(
        "/api/pos-events",
        r#"{"event_id":"h-1","event_type":"payment_cleared","amount":5}"#,
    );
    assert!((200..300).contains(&status), "{status}");
    shop.broker.publish(
        "pos/events/S03/void",
        r#"{"event_id":"m-1","event_type":"void_transaction"}"#,
    );
    shop.head_office
        .alert("the void", |alert| alert["event_id"] == "m-1");
    wait_for("drawer, paper and payment", || {
        let events = shown(&shop);
        let seen = |what: &str| events.contains(what);
        (seen("drawer") && seen("TOTAL 5.00") && seen("h-1")).then_some(())
    });
    assert_eq!(shop.gateway.metric("events_quarantined_total"), 4.0);
}
