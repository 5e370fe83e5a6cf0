//! A till that was without network for a day sends everything at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::gateway::Gateway;
use support::mosquitto::Mosquitto;
use support::wait_for_within;

/// Well beyond what waits at once on its way to the disk. Some brokers send all of it whatever
/// Receive Maximum they were told (MQTT 5, 3.1.2.11.3).
const EVENTS: usize = 6_000;

#[test]
fn a_burst_of_a_till_is_taken_whole_and_once() {
    let broker = Mosquitto::start("max_queued_messages 20000\n");
    let gateway = Gateway::start(broker.port());
    let mut till = Command::new("mosquitto_pub")
        .args(["-V", "5", "-h", "127.0.0.1", "-p"])
        .arg(broker.port().to_string())
        .args(["-q", "1", "-l", "-t", "pos/events/store_001/void"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = String::new();
    for number in 0..EVENTS {
        events.push_str(&format!(
            "{{\"event_id\":\"burst-{number}\",\"event_type\":\"payment_cleared\",\"amount\":1.5}}\n"
        ));
    }
    let mut input = till.stdin.take().unwrap();
    input.write_all(events.as_bytes()).unwrap();
    drop(input);
    assert!(till.wait().unwrap().success());

    wait_for_within(Duration::from_secs(90), "the burst", || {
        (gateway.metric("pos_events_total") >= EVENTS as f64).then_some(())
    });
    assert_eq!(gateway.metric("pos_events_total"), EVENTS as f64);
    // And the feed is alive: what comes next is taken at once.
    broker.publish(
        "pos/events/store_001/void",
        r#"{"event_id":"after","event_type":"void_transaction","amount":2.0}"#,
    );
    wait_for_within(Duration::from_secs(30), "the event after it", || {
        (gateway.metric("pos_events_total") > EVENTS as f64).then_some(())
    });
}
