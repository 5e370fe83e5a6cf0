//! What a newcomer sees after one command.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod support;

use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::gateway::program;

#[test]
fn the_demo_tells_its_five_stories() {
    let started = Instant::now();
    let mut command = program();
    command
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut seen = String::new();
    let blocks = [
        ("void", "0.40"),
        ("void", "0.70"),
        ("forced", "0.80"),
        ("no_sale", "0.60"),
        ("suppressed", "0.50"),
    ];
    let is_told = |seen: &str, (kind, score): (&str, &str)| {
        let of_kind = format!("Type:          {kind}\n");
        let scored = format!("Risk score:    {score} / 1.00");
        let mut alerts = seen.split("=== ALERT");
        alerts.any(|block| block.contains(&of_kind) && block.contains(&scored))
    };
    for line in BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
    {
        seen.push_str(&line);
        seen.push('\n');
        if blocks.iter().all(|block| is_told(&seen, *block))
            || started.elapsed() > Duration::from_secs(150)
        {
            break;
        }
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for block in blocks {
        assert!(is_told(&seen, block), "no {block:?} in:\n{seen}");
    }
}
