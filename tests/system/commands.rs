//! The program as a person meets it: commands, exit codes, stopping, reloading.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod support;

use nix::sys::signal::Signal;
use std::process::Output;
use std::time::Duration;
use support::gateway::{Gateway, program};
use support::mosquitto::Mosquitto;
use support::subscriber::Subscriber;
use support::wait_for;

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn status_events_and_alerts_come_from_the_running_gateway() {
    let broker = Mosquitto::start("");
    let head_office = Subscriber::start(broker.port(), "stores/#");
    let gateway = Gateway::start(broker.port());
    broker.publish(
        "pos/events/S03/void",
        r#"{"event_id":"c-1","event_type":"void_transaction","staff_id":"emp_3"}"#,
    );
    head_office.alert("the void", |alert| alert["event_id"] == "c-1");
    let status = gateway.command(&["status"]);
    assert_eq!(
        status.status.code(),
        Some(0),
        "{}{}",
        out(&status),
        err(&status)
    );
    assert!(out(&status).contains("printer"), "{}", out(&status));
    let alerts = gateway.command(&["alerts"]);
    assert!(
        out(&alerts).contains("Risk score:") && out(&alerts).contains("emp_3"),
        "{}",
        out(&alerts)
    );
    let events = gateway.command(&["events"]);
    assert!(
        out(&events).contains("void transaction, emp_3"),
        "{}",
        out(&events)
    );
    let lines = out(&gateway.command(&["alerts", "--json"]));
    let json: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let id = json["alert_id"].as_str().unwrap().to_owned();
    let review = gateway.command(&[
        "alerts",
        "review",
        &id,
        "--verdict",
        "legitimate",
        "--note",
        "training",
    ]);
    assert_eq!(review.status.code(), Some(0), "{}", err(&review));
    let sent = wait_for("the verdict at head office", || {
        head_office.on("/reviews").pop()
    });
    assert_eq!(
        (sent["alert_id"].as_str(), sent["verdict"].as_str()),
        (Some(id.as_str()), Some("legitimate"))
    );
    let pending = wait_for("an empty queue", || {
        let pending = gateway.json("/api/alerts/pending");
        (pending.as_array().unwrap().is_empty()).then_some(pending)
    });
    assert_eq!(pending.as_array().unwrap().len(), 0);
}

#[test]
fn with_the_gateway_down_status_tells_the_last_state() {
    let broker = Mosquitto::start("");
    let mut gateway = Gateway::start(broker.port());
    assert!(gateway.stop().success());
    let status = gateway.command(&["status"]);
    assert_eq!(status.status.code(), Some(1));
    let text = out(&status) + &err(&status);
    assert!(text.to_lowercase().contains("not running"), "{text}");
    let check = gateway.command(&["store", "check"]);
    assert_eq!(
        check.status.code(),
        Some(0),
        "{}{}",
        out(&check),
        err(&check)
    );
}

#[test]
fn a_second_gateway_on_the_same_data_names_the_first() {
    let broker = Mosquitto::start("");
    let gateway = Gateway::start(broker.port());
    let second = gateway.command(&["run"]);
    assert_eq!(second.status.code(), Some(2), "{}", err(&second));
    assert!(
        err(&second).contains(&gateway.pid().to_string()),
        "{}",
        err(&second)
    );
}

#[test]
fn wrong_configuration_and_usage_end_with_two_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.toml");
    std::fs::write(&path, "[pos.mqtt]\nhots = \"x\"\n").unwrap();
    for arguments in [["run", "--config"], ["check", "--config"]] {
        let output = program().args(arguments).arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        let said = out(&output) + &err(&output);
        assert!(said.contains("did you mean `pos.mqtt.host`?"), "{said}");
    }
    let missing = program()
        .args(["run", "--config", "/nonexistent/tillwatch.toml"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).contains("/nonexistent/tillwatch.toml"));
    assert_eq!(
        program()
            .arg("--no-such-flag")
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn config_show_tells_where_each_value_comes_from_and_hides_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tillwatch.toml");
    std::fs::write(&path, "store_code = \"S09\"\n").unwrap();
    let mut command = program();
    command
        .args(["config", "show", "--origin", "--config"])
        .arg(&path);
    command
        .env("MQTT_HOST", "broker.example")
        .env("MQTT_PASSWORD", "geheim")
        .env("DISCOUNT_THRESHOLD", "20");
    let output = command.output().unwrap();
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let line = |key: &str| {
        text.lines()
            .find(|line| line.trim_start().starts_with(key))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(line("store_code").contains("tillwatch.toml"), "{text}");
    assert!(
        line("detection.discount_threshold").contains("DISCOUNT_THRESHOLD"),
        "{text}"
    );
    assert!(line("uplink.mqtt.host").contains("MQTT_HOST"), "{text}");
    assert!(!text.contains("geheim"));
}

#[test]
fn a_stop_is_orderly_and_a_reload_is_whole_or_nothing() {
    let broker = Mosquitto::start("");
    let head_office = Subscriber::start(broker.port(), "stores/#");
    let mut gateway = Gateway::start(broker.port());
    let config = std::fs::read_to_string(gateway.config_file()).unwrap();
    let discount = |id: &str| {
        let body = serde_json::json!({"event_id": id, "event_type": "discount_applied", "discount_percent": 20});
        broker.publish("pos/events/S03/discount", &body.to_string());
    };
    std::fs::write(
        gateway.config_file(),
        format!("{config}\n[detection]\ndiscount_thresold = 10\n"),
    )
    .unwrap();
    gateway.signal(Signal::SIGHUP);
    wait_for("the refusal", || {
        gateway.output().contains("stays as it was").then_some(())
    });
    std::fs::write(
        gateway.config_file(),
        format!("{config}\n[detection]\ndiscount_threshold = 10\n"),
    )
    .unwrap();
    gateway.signal(Signal::SIGHUP);
    wait_for("the reload", || {
        gateway
            .output()
            .contains("the configuration is reloaded")
            .then_some(())
    });
    discount("small");
    let alert = head_office.alert("a discount over the new limit", |alert| {
        alert["event_id"] == "small"
    });
    assert_eq!(alert["score"], 0.5);
    assert_eq!(gateway.stop().code(), Some(0));
    let state = wait_for("the farewell", || {
        let states = head_office
            .messages()
            .into_iter()
            .filter(|m| m.topic.ends_with("reg_02/state"));
        states.rev().find(|m| m.json == "offline")
    });
    assert!(state.topic.starts_with("stores/S03/"));
}

#[test]
fn the_service_manager_is_told_of_readiness_life_and_end() {
    let broker = Mosquitto::start("");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let mut gateway = Gateway::prepare(broker.port(), "");
    gateway.set_env("NOTIFY_SOCKET", &path.display().to_string());
    gateway.run();
    let mut told = String::new();
    let mut hear = |what: &str| {
        let mut buffer = [0; 512];
        while !told.contains(what) {
            let count = socket
                .recv(&mut buffer)
                .unwrap_or_else(|why| panic!("{what} in vain: {why}"));
            told.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    hear("READY=1");
    // A tick that went through pipeline and store.
    hear("WATCHDOG=1");
    gateway.signal(Signal::SIGTERM);
    hear("STOPPING=1");
    assert!(gateway.ended(Duration::from_secs(40)).success());
}

#[test]
fn a_listener_that_cannot_serve_is_part_of_readiness_and_of_check() {
    let broker = Mosquitto::start("");
    let token = "\n[ingest]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"/nonexistent/token\"\n";
    let mut gateway = Gateway::prepare(broker.port(), "");
    let path = gateway.config_file();
    let config = std::fs::read_to_string(&path).unwrap() + token;
    std::fs::write(&path, config).unwrap();
    // Something lies where the control socket belongs.
    std::fs::create_dir_all(gateway.data()).unwrap();
    std::fs::write(gateway.data().join("control.sock"), "mine").unwrap();
    gateway.run();
    gateway.listening();
    let missing = wait_for("both to be missing and nothing else", || {
        let (status, body) = gateway.get("/readyz").ok()?;
        let problem: serde_json::Value = serde_json::from_str(&body).ok()?;
        let missing = problem["missing"].as_object()?.clone();
        (status == 503 && missing.len() == 2).then_some(missing)
    });
    assert!(
        missing["ingest"]
            .as_str()
            .unwrap()
            .contains("/nonexistent/token")
    );
    assert!(
        missing["control"]
            .as_str()
            .unwrap()
            .contains("is no socket")
    );
    let check = gateway.command(&["check"]);
    assert_eq!(check.status.code(), Some(1), "{}", out(&check));
    let failed: Vec<String> = out(&check)
        .lines()
        .filter(|line| line.starts_with("FAIL"))
        .map(str::to_owned)
        .collect();
    let fails = |name: &str, why: &str| {
        failed
            .iter()
            .any(|line| line.contains(name) && line.contains(why))
    };
    assert!(fails("gateway", &gateway.pid().to_string()), "{failed:#?}");
    assert!(fails("ingest", "/nonexistent/token"), "{failed:#?}");
}
