//! `status`

use super::cli::StatusArgs;
use super::control::ControlError;
use super::{Failure, Gateway, Out, state_file, text};
use crate::web::AccessView;
use crate::web::status::{PartStatus, Status};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Exits 1 while the gateway is down: scripts ask this command.
pub(super) async fn run(args: &StatusArgs, gateway: &Gateway, out: Out<'_>) -> Result<(), Failure> {
    match gateway.control.get::<Status>("/api/status").await {
        Ok(status) if args.json => writeln!(out, "{}", with_running(&status, true))?,
        Ok(status) => {
            out.write_all(render(&status, &gateway.zone).as_bytes())?;
            // Of another version, it may not know.
            if let Ok(access) = gateway.control.get::<AccessView>("/api/access").await {
                out.write_all(render_access(&access).as_bytes())?;
            }
        }
        Err(why @ ControlError::Down(_)) => return down(args, gateway, &why, out),
        Err(why) => return Err(why.into()),
    }
    Ok(())
}

fn down(
    args: &StatusArgs,
    gateway: &Gateway,
    why: &ControlError,
    out: Out<'_>,
) -> Result<(), Failure> {
    let last = match state_file::read(gateway.data()) {
        Ok(last) => last,
        Err(unreadable) => {
            super::complain(&format!(
                "{why}; the last state cannot be read either: {unreadable}"
            ));
            return Err(Failure::Told);
        }
    };
    let Some(last) = last else {
        return Err(Failure::Failed(format!(
            "{why}, and {} has no state of an earlier run; start it, or name its --data or --config",
            gateway.data().display()
        )));
    };
    if args.json {
        writeln!(out, "{}", with_running(&last, false))?;
    } else {
        let now_us = crate::clock::wall_us();
        out.write_all(render_down(&last, now_us, &gateway.zone).as_bytes())?;
    }
    Err(Failure::Told)
}

/// The status with `running`, so that programs need not look at the exit code.
fn with_running(status: &Status, running: bool) -> Value {
    let mut value = serde_json::to_value(status).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("running".into(), json!(running));
    }
    value
}

/// Who gets in at the page.
fn render_access(access: &AccessView) -> String {
    let mut out = String::new();
    let mut row = |label: &str, value: String| {
        let _ = writeln!(out, "{label:<12} {}", text::one_line(&value));
    };
    let said = match (&access.damaged, access.login.as_str(), access.logins) {
        (Some(why), ..) => format!("NOBODY GETS IN: {why}"),
        (None, "demo", _) => "not asked for in the demo".into(),
        (None, "always", 0) => "nobody is set up yet; do it at the page".into(),
        (None, _, 0) => "nobody is set up yet: whoever is at this machine sees everything".into(),
        (None, _, logins) => format!("{logins} may log in; `tillwatch logins list` says who"),
    };
    row("Login", said);
    if let Some(code) = &access.setup_code {
        row(
            "Set-up code",
            format!("{code}, for a set-up from elsewhere"),
        );
    }
    out
}

fn render_down(last: &Status, now_us: i64, zone: &TimeZone) -> String {
    let mut out = format!("NOT RUNNING since {}", text::local(&last.at, zone));
    if let Ok(at) = last.at.parse::<Timestamp>() {
        let seconds = now_us
            .saturating_sub(at.as_microsecond())
            .max(0)
            .unsigned_abs()
            / 1_000_000;
        let _ = write!(out, " ({} ago)", text::duration(seconds));
    }
    out.push_str("\nWhat it wrote last:\n\n");
    out.push_str(&render(last, zone));
    out
}

/// One screen for a person.
fn render(status: &Status, zone: &TimeZone) -> String {
    let mut out = String::new();
    let mut row = |label: &str, value: String| {
        let _ = writeln!(out, "{label:<12} {}", text::one_line(&value));
    };
    let demo = if status.demo {
        ", DEMO: everything is simulated"
    } else {
        ""
    };
    row(
        "Register",
        format!("{} / {}{demo}", status.store_code, status.register_id),
    );
    let up = text::duration(status.uptime_s);
    row(
        "Version",
        format!("{}, pid {}, up {up}", status.version, status.pid),
    );
    let unsynced = if status.clock == "synced" {
        ""
    } else {
        ", NOT synchronised"
    };
    row(
        "Clock",
        format!(
            "{}{unsynced}, boot {}",
            text::local(&status.at, zone),
            status.boot
        ),
    );
    row(
        "Ready",
        if status.ready {
            "yes".into()
        } else {
            "NO".into()
        },
    );
    let counts = (status.pos_events, status.alerts);
    row(
        "Counted",
        format!(
            "{} POS events, {} alerts since the start",
            counts.0, counts.1
        ),
    );
    let outbox = &status.outbox;
    let oldest = match outbox.depth {
        0 => String::new(),
        _ => format!(", the oldest {} old", text::duration(outbox.oldest_s)),
    };
    let trimmed = if outbox.trimmed > 0 {
        format!(", {} given up", outbox.trimmed)
    } else {
        String::new()
    };
    row(
        "Outbox",
        format!("{} not acknowledged{oldest}{trimmed}", outbox.depth),
    );
    let log = &status.log;
    let state = match &log.why {
        Some(why) => format!("NOT WRITABLE: {why}"),
        None => "writable".into(),
    };
    row(
        "Log",
        format!(
            "{state}, {} of {}, records to {}",
            text::bytes(log.bytes),
            text::bytes(log.budget_bytes),
            log.durable_seq
        ),
    );
    if log.suspect_segments + log.damaged_ranges > 0 {
        row(
            "",
            format!(
                "{} suspect segments, {} damaged ranges: check the disk",
                log.suspect_segments, log.damaged_ranges
            ),
        );
    }
    if status.quarantine.total > 0 {
        row(
            "Quarantine",
            format!("{} inputs could not be used", status.quarantine.total),
        );
    }
    out.push('\n');
    for (name, part) in &status.parts {
        let _ = writeln!(out, "{}", part_line(name, part, zone));
    }
    out
}

fn part_line(name: &str, part: &PartStatus, zone: &TimeZone) -> String {
    let mut line = format!("{name:<12} {:<9}", part.state);
    match &part.reason {
        Some(reason) => line.push_str(reason),
        None if part.what.is_empty() => {}
        None => line.push_str(&part.what),
    }
    if matches!(part.state.as_str(), "up" | "down") {
        let _ = write!(line, " (since {})", text::local(&part.since, zone));
    }
    if part.reopened > 0 {
        let _ = write!(line, ", came back {} times", part.reopened);
    }
    text::one_line(&line).trim_end().to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::web::status::{LogStatus, OutboxStatus, QuarantineStatus};
    use std::collections::BTreeMap;

    pub(in crate::console) fn status() -> Status {
        let part = |state: &str, what: &str, reason: Option<&str>| PartStatus {
            state: state.into(),
            what: what.into(),
            reason: reason.map(str::to_owned),
            since: "2025-10-04T06:00:00.000000Z".into(),
            reopened: 0,
        };
        Status {
            version: "0.1.0".into(),
            pid: 42,
            store_code: "S03".into(),
            register_id: "reg_02".into(),
            demo: false,
            at: "2025-10-04T14:34:15.000000Z".into(),
            clock: "synced".into(),
            boot: 7,
            uptime_s: 3_700,
            timezone: "UTC".into(),
            currency: "EUR".into(),
            currency_digits: 2,
            log_level: "info".into(),
            ready: false,
            parts: BTreeMap::from([
                ("drawer".into(), part("up", "GPIO17", None)),
                ("kick".into(), part("absent", "", None)),
                (
                    "printer".into(),
                    part("down", "/dev/ttyUSB0", Some("the port is gone; plug it in")),
                ),
            ]),
            pos_events: 42,
            alerts: 3,
            frames: 0,
            frames_dropped: 0,
            outbox: OutboxStatus {
                depth: 5,
                lanes: BTreeMap::from([("urgent".into(), 5)]),
                oldest_s: 90,
                trimmed: 0,
            },
            log: LogStatus {
                id: "e".into(),
                writable: true,
                why: None,
                first_seq: 1,
                durable_seq: 900,
                bytes: 8 << 20,
                budget_bytes: 512 << 20,
                waiting_bytes: 0,
                written_bytes: 0,
                syncs: 0,
                suspect_segments: 0,
                damaged_ranges: 0,
                index_lag: 0,
                index_rebuilds: 0,
            },
            quarantine: QuarantineStatus {
                total: 1,
                evicted: 0,
            },
            media: None,
        }
    }

    #[test]
    fn one_screen_says_what_works_and_what_does_not() {
        let expected = "\
Register     S03 / reg_02
Version      0.1.0, pid 42, up 1 h 1 min
Clock        2025-10-04 14:34:15, boot 7
Ready        NO
Counted      42 POS events, 3 alerts since the start
Outbox       5 not acknowledged, the oldest 1 min old
Log          writable, 8.0 MiB of 512.0 MiB, records to 900
Quarantine   1 inputs could not be used

drawer       up       GPIO17 (since 2025-10-04 06:00:00)
kick         absent
printer      down     the port is gone; plug it in (since 2025-10-04 06:00:00)
";
        assert_eq!(render(&status(), &TimeZone::UTC), expected);
    }

    #[test]
    fn a_gateway_that_is_down_says_since_when() {
        let now_us = "2025-10-04T16:34:15Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_microsecond();
        let text = render_down(&status(), now_us, &TimeZone::UTC);
        assert!(
            text.starts_with("NOT RUNNING since 2025-10-04 14:34:15 (2 h 0 min ago)\n"),
            "{text}"
        );
        assert_eq!(with_running(&status(), false)["running"], json!(false));
    }

    #[test]
    fn the_last_state_survives_the_disk_and_a_cut_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(state_file::read(folder.path()).unwrap(), None);
        let bytes = state_file::content(&status());
        std::fs::write(state_file::path(folder.path()), &bytes).unwrap();
        assert_eq!(state_file::read(folder.path()).unwrap(), Some(status()));
        std::fs::write(state_file::path(folder.path()), &bytes[..bytes.len() / 2]).unwrap();
        let why = state_file::read(folder.path()).unwrap_err().to_string();
        assert!(why.contains("state.json"), "{why}");
    }
}
