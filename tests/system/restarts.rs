//! What a restart must not forget.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::gateway::Gateway;
use support::mosquitto::Mosquitto;
use support::subscriber::Subscriber;
use support::wait_for;

#[test]
fn a_program_that_ends_again_and_again_does_not_flood_head_office_with_the_same_notice() {
    let broker = Mosquitto::start("");
    let head_office = Subscriber::start(broker.port(), "stores/#");
    let mut gateway = Gateway::prepare(broker.port(), "");
    gateway.run();
    gateway.ready();
    for start in 1..=4 {
        // In order once, so that what is saved then is believed too.
        if start == 2 {
            assert!(gateway.stop().success());
        } else {
            gateway.kill();
        }
        // Something to be told at every start.
        std::fs::write(gateway.data().join("outbox.state"), "spoilt").unwrap();
        gateway.run();
        gateway.ready();
        wait_for("the notice in the log", || {
            let events = gateway.json("/api/events/recent").to_string();
            (events.matches("the outbox's state is rebuilt").count() == start).then_some(())
        });
        wait_for("everything owed to be sent", || {
            (gateway.metric("outbox_depth") == 0.0).then_some(())
        });
    }
    let errors = head_office.on("/telemetry/errors");
    let told = errors
        .iter()
        .filter(|error| error["code"] == "store_opened");
    assert_eq!(told.count(), 1, "{errors:?}");
}
