//! The process is killed, at random and at every named point between two durable steps, while tills
//! post by HTTP and publish by MQTT and the line to head office comes and goes. What was accepted
//! reaches head office, once: checked at a durable subscriber by message id and by the gapless
//! numbers of each lane. Without its index the register shows the same as before, only later.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod accounts;
mod film;
mod footage;
mod load;
mod shop;
#[path = "../system/support/mod.rs"]
mod support;

use accounts::Shown;
use load::Load;
use serde_json::{Value, json};
use shop::{RECEIPT, Shop};
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use support::gateway::Gateway;
use support::wait_for_within;
use tillwatch_simulator::random::XorShift64Star;
use tillwatch_store::failpoint;

/// How many random kills.
const KILLS: u32 = 50;
/// How long one life may take to come to the point where it ends.
const LIFE: Duration = Duration::from_secs(60);

#[test]
fn fifty_random_kills_under_load_lose_and_double_nothing() {
    let seed = std::env::var("TILLWATCH_TEST_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20_261_121);
    eprintln!("seed {seed} (TILLWATCH_TEST_SEED repeats it)");
    let mut random = XorShift64Star::new(seed);
    let mut shop = Shop::new();
    // The first life makes the session at the shop's broker that later ones go on with.
    shop.gateway.run();
    shop.gateway.ready();
    let load = Load::start(&shop, 3);
    for round in 0..KILLS {
        load.goes_on(1);
        if round % 10 == 5 {
            // Stopped in order in between: the next lives begin with the detectors' saved state.
            assert!(shop.gateway.stop().success());
            shop.run(&load);
            load.goes_on(1);
        }
        std::thread::park_timeout(Duration::from_millis(random.below(400)));
        if random.below(4) == 0 {
            shop.line_to_head_office(!shop.is_online());
        }
        shop.gateway.kill();
        load.sells_to_the_dead();
        shop.run(&load);
    }
    load.goes_on(1);
    shop.gateway.kill();
    let accepted = shop.close_the_day(load);
    eprintln!("{} events accepted", accepted.len());

    let before = shop.open_matters();
    accounts::register_has_each_once(&before, &accepted);
    std::fs::remove_dir_all(shop.gateway.data().join("index")).unwrap();
    shop.gateway.run();
    shop.gateway.listening();
    // What a till sends again while the index is still being rebuilt is no new event.
    let again: Vec<&Value> = accepted.values().map(|sent| &sent.body).take(200).collect();
    for again in again.chunks(20) {
        let body = json!(again).to_string();
        let (status, answer) = shop.gateway.post("/api/pos-events", &body);
        assert_eq!(
            (status, answer["duplicates"].as_u64()),
            (200, Some(20)),
            "{answer}"
        );
    }
    before.must_equal(&Shown::by(&shop.gateway, RECEIPT, Some(before.last())));

    shop.close_matters();
    accounts::head_office_has_each_once(&shop.head_office, &accepted);
    assert!(shop.gateway.stop().success());
    accounts::no_kill_changed_a_judgement(&shop.gateway.data(), &shop.head_office);
}

/// In which order the procedures get their kills, and at which hits of a life. New segments are made
/// only until the log is full, and its tail is torn while nothing but zeros lies behind it.
const PROCEDURES: [(&str, &[u32]); 10] = [
    ("identity.", &[1]),
    ("prepare.", &[1]),
    ("recover.", &[1]),
    ("group.", &[1, 30]),
    ("rotate.", &[1, 3]),
    ("recycle.", &[1, MOVED]),
    ("outbox_state.", &[1, 3]),
    ("snapshot.", &[1, 3]),
    ("index.", &[1, 9]),
    ("close.", &[1]),
];
/// Lines of a long sale in a small log: so many that what waits for head office stays well below the
/// half of the log that it may take.
const LINES: u64 = 240;
/// By this segment, recycling has come to those that were written without a line to head office.
const MOVED: u32 = 18;

#[test]
fn a_kill_at_every_named_point_loses_and_doubles_nothing() {
    let mut shop = Shop::new();
    let names_of = |procedure: &'static str| {
        let names = failpoint::NAMES.iter().copied();
        names.filter(move |name| name.starts_with(procedure))
    };
    let mut hit = BTreeSet::new();
    for name in names_of("identity.") {
        // There is an identity to write at the very first start only.
        if shop.gateway.data().exists() {
            std::fs::remove_dir_all(shop.gateway.data()).unwrap();
        }
        arm(&mut shop.gateway, Some((name, 1)));
        shop.gateway.run();
        ends_at(name, &mut shop.gateway, |_| {});
        hit.insert(name);
    }
    arm(&mut shop.gateway, None);
    shop.gateway.run();
    shop.gateway.ready();
    let load = Load::start(&shop, LINES);
    load.goes_on(20);
    shop.gateway.kill();
    for (procedure, hits) in PROCEDURES.into_iter().skip(1) {
        for (name, at) in
            names_of(procedure).flat_map(|name| hits.iter().map(move |at| (name, *at)))
        {
            match (procedure, at) {
                ("recover.", _) => {
                    die_at(&mut shop, &load, "group.written", 5);
                    tear_the_tail(&shop.gateway);
                    die_at(&mut shop, &load, name, at);
                }
                ("recycle.", MOVED) => {
                    nothing_is_owed(&mut shop, &load);
                    shop.line_to_head_office(false);
                    die_at(&mut shop, &load, name, at);
                    let moved = accounts::moved_messages(&shop.gateway.data());
                    assert!(moved > 0, "{name}: no message was in the way of recycling");
                    shop.line_to_head_office(true);
                }
                _ => die_at(&mut shop, &load, name, at),
            }
            hit.insert(name);
        }
    }
    for name in failpoint::NAMES {
        assert!(hit.contains(name), "no kill at {name}");
    }
    // From here on the log has room as usual: what is compared is not recycled meanwhile.
    shop.gateway.unset_env("TILLWATCH_FAILPOINT");
    let accepted = shop.close_the_day(load);
    eprintln!("{} events accepted", accepted.len());

    let before = shop.open_matters();
    std::fs::remove_dir_all(shop.gateway.data().join("index")).unwrap();
    shop.gateway.run();
    shop.gateway.listening();
    before.must_equal(&Shown::by(&shop.gateway, RECEIPT, Some(before.last())));
    shop.close_matters();
    accounts::head_office_has_each_once(&shop.head_office, &accepted);
}

/// Names the point where the next life ends, if any; the store stays small.
fn arm(gateway: &mut Gateway, point: Option<(&str, u32)>) {
    let text = match point {
        Some((name, at)) => format!("small,{name}:{at}"),
        None => "small".to_owned(),
    };
    gateway.set_env("TILLWATCH_FAILPOINT", &text);
}

/// One life under load that ends at a point; then the tills sell to the dead.
fn die_at(shop: &mut Shop, load: &Load, name: &str, at: u32) {
    arm(&mut shop.gateway, Some((name, at)));
    shop.gateway.run();
    let enough = load.count() + 5;
    let mut asked = false;
    ends_at(name, &mut shop.gateway, |gateway| {
        if let Some(address) = gateway.try_address() {
            load.aim(&address);
        }
        if name.starts_with("close.") && !asked && load.count() >= enough {
            asked = true;
            gateway.signal(nix::sys::signal::Signal::SIGTERM);
        }
    });
    load.sells_to_the_dead();
}

/// Waits until the armed point ends the gateway.
fn ends_at(name: &str, gateway: &mut Gateway, mut meanwhile: impl FnMut(&Gateway)) {
    let limit = Instant::now() + LIFE;
    let ended = loop {
        if let Some(ended) = gateway.try_ended() {
            break ended;
        }
        meanwhile(gateway);
        assert!(
            Instant::now() < limit,
            "{name} was not reached:\n{}",
            gateway.output()
        );
        std::thread::park_timeout(Duration::from_millis(5));
    };
    let aborted = ended.signal() == Some(nix::libc::SIGABRT);
    assert!(aborted, "{name}: {ended}\n{}", gateway.output());
}

/// One life in which head office gets what waits for it; ended by a kill.
fn nothing_is_owed(shop: &mut Shop, load: &Load) {
    arm(&mut shop.gateway, None);
    shop.run(load);
    wait_for_within(LIFE, "head office to get what waits", || {
        let depth = shop.gateway.json("/api/status")["outbox"]["depth"].as_u64();
        (depth.unwrap() < 10).then_some(())
    });
    shop.gateway.kill();
}

/// A power cut takes the end of a write that was not synced: the last byte of the log is gone.
fn tear_the_tail(gateway: &Gateway) {
    const HEADER: usize = 4096;
    let folder = std::fs::read_dir(gateway.data().join("log")).unwrap();
    let mut segments: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    let torn = segments.iter().rev().any(|path| {
        let bytes = std::fs::read(path).unwrap();
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else {
            return false;
        };
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        last >= HEADER && file.write_at(&[0], last as u64).is_ok()
    });
    assert!(torn, "the log holds nothing yet");
}
