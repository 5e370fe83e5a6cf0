//! A shop that makes logins, restarts, and loses a password.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use support::gateway::{Gateway, program};

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Runs a command that is meant to go well.
fn done(gateway: &Gateway, arguments: &[&str], input: &str) -> String {
    let output = gateway.command_with(arguments, input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    text(&output)
}

/// Logs in at the page; the cookie.
fn log_in(gateway: &Gateway, password: &str) -> Option<String> {
    let mut response = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent()
        .post(gateway.url("/api/session"))
        .header("content-type", "application/json")
        .send(format!(r#"{{"name":"ann","password":"{password}"}}"#))
        .unwrap();
    let _ = response.body_mut().read_to_string();
    let cookie = response.headers().get("set-cookie")?.to_str().unwrap();
    Some(cookie.split(';').next().unwrap().to_owned())
}

fn status(gateway: &Gateway, cookie: &str) -> u16 {
    gateway.bytes("/api/status", ("cookie", cookie)).0
}

#[test]
fn a_lost_password_is_reset_at_the_register_and_a_restart_logs_nobody_out() {
    // Nobody listens there: brokers are not what this is about.
    let mut gateway = Gateway::prepare(1, "");
    gateway.run();
    gateway.listening();
    assert_eq!(status(&gateway, ""), 200, "open until somebody is set up");
    let screen = done(&gateway, &["status"], "");
    assert!(screen.contains("nobody is set up yet"), "{screen}");
    assert!(screen.contains("Set-up code"), "{screen}");

    let add = ["logins", "add", "ann", "--role", "manager"];
    let made = done(&gateway, &add, "korrekt horse\n");
    assert!(made.contains("ann may log in as manager"), "{made}");
    assert_eq!(status(&gateway, ""), 401);
    let screen = done(&gateway, &["status"], "");
    assert!(!screen.contains("Set-up code"), "{screen}");
    assert_eq!(log_in(&gateway, "wrong horse"), None);
    let cookie = log_in(&gateway, "korrekt horse").unwrap();
    assert_eq!(status(&gateway, &cookie), 200);

    assert!(gateway.stop().success());
    for name in ["logins.json", "sessions.json"] {
        let file = gateway.data().join("access").join(name);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    gateway.run();
    gateway.listening();
    assert_eq!(
        status(&gateway, &cookie),
        200,
        "the restart kept the session"
    );

    done(&gateway, &["logins", "reset", "ANN"], "another horse\n");
    assert_eq!(status(&gateway, &cookie), 401);
    assert_eq!(log_in(&gateway, "korrekt horse"), None);
    assert!(log_in(&gateway, "another horse").is_some());
    let list = done(&gateway, &["logins", "list"], "");
    assert!(list.contains("ann") && list.contains("manager"), "{list}");
    let removed = gateway.command_with(&["logins", "remove", "ann"], "");
    assert_eq!(removed.status.code(), Some(1));
    assert!(
        text(&removed).contains("last manager"),
        "{}",
        text(&removed)
    );
    let short = gateway.command_with(&["logins", "reset", "ann"], "short\n");
    assert_eq!(short.status.code(), Some(1));
    assert!(text(&short).contains("8 characters"), "{}", text(&short));
    let none = gateway.command_with(&["logins", "reset", "ann"], "");
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn beyond_loopback_there_is_no_page_without_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tillwatch.toml");
    let data = folder.path().join("data");
    let keys = format!(
        "data = \"{}\"\n[web]\nlisten = \"0.0.0.0:0\"\n[web.tls]\ncert_file = \"{0}/gone.pem\"\nkey_file = \"{0}/gone.key\"\n",
        data.display()
    );
    std::fs::write(&config, keys).unwrap();
    let refused = program().args(["run", "--config"]).arg(&config).output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let why = text(&refused);
    assert!(
        why.contains("without a certificate") && why.contains("gone.pem"),
        "{why}"
    );
}
