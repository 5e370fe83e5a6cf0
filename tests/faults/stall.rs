//! The disk hangs for a while, and goes on as if nothing had been. Tills, the drawer and two cameras
//! go on meanwhile. What was accepted is in the log once, nothing that a witness saw is missing, and
//! of the pictures that alerts ask for each is on disk or counted as lost.
//!
//! The store waits at its named points while a file is there. As root it can be the kernel itself that
//! lets every write to the data wait: `TILLWATCH_TEST_FREEZE` names the mount point of a file system
//! that nobody else uses, and `fsfreeze` does it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

#[path = "../system/support/mod.rs"]
mod support;

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::film::Film;
use support::gateway::Gateway;
use support::mosquitto::Mosquitto;
use support::subscriber::Subscriber;
use support::{wait_for, wait_for_within};
use tempfile::TempDir;
use tillwatch_protocol::{ClipRequest, EventBody, Record, Seq};
use tillwatch_store::media::{MediaOptions, Pin};
use tillwatch_store::{IndexKind, Store, StoreOptions};

const FPS: u64 = 25;
const PERIOD_NS: u64 = 40_000_000;
const WINDOW_S: u64 = 2;
const MEDIA_MIB: u64 = 256;
/// What the program may take beside the pictures in memory, of its own and without its file's pages.
const BESIDE_MIB: f64 = 64.0;
/// Between two events of a till, and two edges of the drawer: fewer alerts within half a minute than
/// clips can be recorded at once.
const PACE: Duration = Duration::from_millis(300);
const CAMERAS: [&str; 2] = ["counter", "door"];

/// The ordinary form.
#[test]
fn a_disk_that_hangs_for_three_seconds_loses_nothing() {
    hang_for(Duration::from_secs(3), 64);
}

/// `tests/run --run-ignored only thirty_seconds`
#[test]
#[ignore = "takes a minute"]
fn a_disk_that_hangs_for_thirty_seconds_loses_nothing() {
    hang_for(Duration::from_secs(30), 64);
}

/// The smallest memory for pictures is full after three of the thirty seconds.
#[test]
#[ignore = "takes a minute"]
fn what_memory_has_no_room_for_within_thirty_seconds_is_counted() {
    hang_for(Duration::from_secs(30), 8);
}

/// What holds the data, and can hang.
struct Disk {
    /// The store waits while it is there.
    hung: PathBuf,
    /// A file system of its own, and the data's folder there.
    mount: Option<(PathBuf, TempDir)>,
}

impl Disk {
    /// For a gateway that was not started yet.
    fn of(gateway: &mut Gateway, folder: &Path) -> Self {
        let hung = folder.join("the disk hangs");
        let mount = std::env::var_os("TILLWATCH_TEST_FREEZE").map(PathBuf::from);
        let mount = mount.map(|mount| {
            let data = tempfile::tempdir_in(&mount).unwrap();
            std::os::unix::fs::symlink(data.path(), gateway.data()).unwrap();
            (mount, data)
        });
        if mount.is_none() {
            gateway.set_env("TILLWATCH_FAILPOINT", &format!("stall={}", hung.display()));
        }
        Self { hung, mount }
    }

    fn hang(&self) {
        match &self.mount {
            Some((mount, _)) => fsfreeze("--freeze", mount),
            None => std::fs::write(&self.hung, "").unwrap(),
        }
    }

    fn go_on(&self) {
        match &self.mount {
            Some((mount, _)) => fsfreeze("--unfreeze", mount),
            None => std::fs::remove_file(&self.hung).unwrap(),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if std::thread::panicking() && self.mount.is_some() {
            self.go_on();
        }
    }
}

fn fsfreeze(what: &str, mount: &Path) {
    let done = Command::new("fsfreeze").arg(what).arg(mount).status();
    assert!(done.unwrap().success() || std::thread::panicking());
}

/// What was accepted from tills, and how often the drawer went.
#[derive(Default)]
struct Day {
    over: AtomicBool,
    accepted: Mutex<BTreeSet<String>>,
    edges: Mutex<u64>,
}

impl Day {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Acquire)
    }

    fn accept(&self, id: String) {
        self.accepted.lock().unwrap().insert(id);
    }

    fn accepted(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }
}

fn void(id: &str) -> String {
    json!({"event_id": id, "event_type": "void_transaction", "staff_id": id, "amount": 9.5})
        .to_string()
}

/// A till of the shop's broker: accepted is what the broker acknowledged.
fn publish(broker: &Mosquitto, day: &Day) {
    for n in 0.. {
        if !day.goes_on() {
            return;
        }
        let id = format!("mqtt-{n}");
        broker.publish("pos/events/S03/void", &void(&id));
        day.accept(id);
        std::thread::park_timeout(PACE);
    }
}

/// A till that posts, and posts again what got no answer.
fn post(url: &str, day: &Day) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(2)))
        .build()
        .into();
    for n in 0.. {
        let id = format!("http-{n}");
        loop {
            if !day.goes_on() {
                return;
            }
            let request = agent.post(url).header("content-type", "application/json");
            if request
                .send(void(&id))
                .is_ok_and(|answer| answer.status().is_success())
            {
                break;
            }
            std::thread::park_timeout(PACE);
        }
        day.accept(id);
        std::thread::park_timeout(PACE);
    }
}

/// The drawer opens and closes; nobody kicks it.
fn open_and_close(gateway: &Gateway, day: &Day) {
    for state in ["high", "low"].into_iter().cycle() {
        if !day.goes_on() && state == "high" {
            return;
        }
        gateway.edge(&format!("sense {state}"));
        *day.edges.lock().unwrap() += 1;
        std::thread::park_timeout(PACE);
    }
}

/// Memory of the program's own, in MiB.
fn memory_mib(gateway: &Gateway) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let found = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: f64 = found
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kib / 1024.0
}

fn hang_for(stall: Duration, ring_mib: u32) {
    let (broker, folder, film) = (
        Mosquitto::start(""),
        tempfile::tempdir().unwrap(),
        Film::new(),
    );
    let head_office = Subscriber::start(broker.port(), "stores/#");
    let mut more = format!("[clips]\nring_mib = {ring_mib}\n[storage]\nmedia_mib = {MEDIA_MIB}\n");
    for name in CAMERAS {
        let recording = folder.path().join(name);
        film.write(&recording, 0);
        more += &format!(
            "[cameras.{name}]\nreplay = \"{}\"\nfps = {FPS}\n",
            recording.display()
        );
    }
    let mut gateway = Gateway::prepare(broker.port(), &more);
    gateway.set_env("CORRELATION_WINDOW", &WINDOW_S.to_string());
    let disk = Disk::of(&mut gateway, folder.path());
    gateway.run();
    gateway.ready();
    wait_for("pictures of the cameras", || {
        (gateway.metric("frames_captured_total") > 150.0).then_some(())
    });

    let day = Day::default();
    let (url, seen) = (
        gateway.url("/api/pos-events"),
        gateway.metric("frames_captured_total"),
    );
    std::thread::scope(|shop| {
        shop.spawn(|| publish(&broker, &day));
        shop.spawn(|| post(&url, &day));
        shop.spawn(|| open_and_close(&gateway, &day));
        wait_for("events before", || (day.accepted() > 6).then_some(()));
        disk.hang();
        let (begun, before) = (Instant::now(), gateway.metric("log_groups_total"));
        let (mut slowest, mut most_mib) = (Duration::ZERO, 0.0_f64);
        while begun.elapsed() < stall {
            // Who watches gets an answer meanwhile.
            let asked = Instant::now();
            let in_memory = gateway.metric("frames_memory_bytes");
            slowest = slowest.max(asked.elapsed());
            assert!(in_memory <= f64::from(ring_mib << 20), "{in_memory}");
            most_mib = most_mib.max(memory_mib(&gateway));
            std::thread::park_timeout(Duration::from_millis(50));
        }
        // One group was being written, or the next was taken.
        assert!(
            gateway.metric("log_groups_total") - before <= 2.0,
            "it did hang"
        );
        let (edges, tills) = (*day.edges.lock().unwrap(), day.accepted());
        disk.go_on();
        wait_for("events afterwards", || {
            let (more, opened) = (day.accepted() - tills, *day.edges.lock().unwrap() - edges);
            (more > 10 && opened > 6).then_some(())
        });
        day.over.store(true, Ordering::Release);
        eprintln!("hung for {stall:?}: slowest answer {slowest:?}, at most {most_mib:.1} MiB");
        assert!(
            most_mib <= f64::from(ring_mib) + BESIDE_MIB,
            "{most_mib} MiB"
        );
        assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    });
    assert!(gateway.metric("frames_captured_total") - seen > 40.0 * stall.as_secs_f64());

    let accepted = day.accepted.into_inner().unwrap();
    let arrived = || -> BTreeMap<String, BTreeSet<String>> {
        let mut alerts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for alert in head_office.by_message_id().values() {
            if let (Some(event), Some(id)) =
                (alert["event_id"].as_str(), alert["alert_id"].as_str())
            {
                alerts
                    .entry(event.to_owned())
                    .or_default()
                    .insert(id.to_owned());
            }
        }
        alerts
    };
    wait_for("an alert for each event", || {
        let arrived = arrived();
        accepted
            .iter()
            .all(|id| arrived.contains_key(id))
            .then_some(())
    });
    assert!(arrived().values().all(|ids| ids.len() == 1), "each once");
    // What the recorder still has to do is over with the last window.
    wait_for_within(Duration::from_secs(90), "the clips", || {
        let clips = gateway.json("/api/clips?limit=1000");
        let clips = clips.as_array().unwrap();
        (clips.len() >= accepted.len() && clips.iter().all(|clip| clip["state"] != "recording"))
            .then_some(())
    });
    let metric = |name| gateway.metric(name) as u64;
    let lost = metric("frames_dropped_total")
        + metric("frames_thinned_total")
        + metric("media_lost_total");
    assert_eq!(
        metric("clips_left_out_total") + metric("clip_requests_missed_total"),
        0
    );
    assert!(gateway.stop().success());
    the_log_has_each_once(
        &gateway.data(),
        &accepted,
        *day.edges.lock().unwrap(),
        lost,
        &film,
    );
}

/// Reads what the stopped gateway left.
fn the_log_has_each_once(
    data: &Path,
    accepted: &BTreeSet<String>,
    edges: u64,
    lost: u64,
    film: &Film,
) {
    let options = StoreOptions {
        index: IndexKind::Memory,
        ..StoreOptions::default()
    };
    let (store, opened) = Store::open(data, options).unwrap();
    assert_eq!(opened.damages, []);
    let (mut tills, mut drawer) = (Vec::new(), Vec::new());
    let (mut requests, mut reports) = (Vec::new(), BTreeSet::new());
    for item in store.scan(Seq(0)).unwrap() {
        match item.unwrap().1 {
            Record::Event(event) => match event.body {
                EventBody::Pos(pos) => tills.push(pos.event_id),
                EventBody::Drawer { state, initial } if !initial => {
                    drawer.push((event.stamp.monotonic_ns, state))
                }
                _ => {}
            },
            Record::ClipRequest(request) => requests.push(request),
            Record::ClipReport(report) => {
                reports.insert(report.clip_id);
            }
            _ => {}
        }
    }
    let once: BTreeSet<String> = tills.iter().cloned().collect();
    assert_eq!(tills.len(), once.len(), "no event of a till twice");
    let missing: Vec<_> = accepted.difference(&once).collect();
    assert!(missing.is_empty(), "accepted and not kept: {missing:?}");

    assert_eq!(drawer.len() as u64, edges, "every edge once");
    assert!(
        drawer.windows(2).all(|two| two[0].1 != two[1].1),
        "open and closed in turns"
    );
    // Stamped when they happened, not when the disk came back.
    let longest = drawer
        .windows(2)
        .map(|two| two[1].0 - two[0].0)
        .max()
        .unwrap();
    assert!(longest < 1_500_000_000, "{longest} ns between two edges");

    assert!(
        requests
            .iter()
            .all(|request| reports.contains(&request.clip_id))
    );
    let options = MediaOptions {
        budget_bytes: MEDIA_MIB << 20,
        ..MediaOptions::default()
    };
    let (media, opened) = store.open_media(options).unwrap();
    assert!(opened.lost.is_empty());
    let (from_ns, to_ns) = one_stretch(&mut requests);
    let pin = media
        .pin_time(requests[0].cause.boot, from_ns, to_ns)
        .unwrap();
    let missing: u64 = (0..2).map(|camera| missing_of(&pin, camera, film)).sum();
    eprintln!(
        "{} events, {edges} edges, {} clips, {} pictures; {missing} missing, {lost} counted as lost",
        accepted.len(),
        requests.len(),
        pin.frames().len()
    );
    assert!(
        missing <= lost,
        "{missing} pictures are missing and {lost} were counted"
    );
    drop(pin);
    media.close();
    store.close();
}

/// From the first to the last moment that clips ask for; they overlap without a break.
fn one_stretch(requests: &mut [ClipRequest]) -> (u64, u64) {
    requests.sort_by_key(|request| request.from_ns);
    let (from_ns, mut to_ns) = (requests[0].from_ns, requests[0].to_ns);
    for request in requests {
        assert!(
            request.from_ns <= to_ns,
            "the next one begins before the last one ends"
        );
        to_ns = to_ns.max(request.to_ns);
    }
    (from_ns, to_ns)
}

/// How many pictures of a camera are not there; those that are, are what it played, once and in order.
fn missing_of(pin: &Pin, camera: u8, film: &Film) -> u64 {
    let frames = pin.of(camera);
    let (first, last) = (frames[0], frames[frames.len() - 1]);
    let place = film.place(&pin.read(first.key).unwrap());
    for (n, frame) in frames.iter().enumerate() {
        let since_ns = frame.monotonic_ns - first.monotonic_ns;
        assert_eq!(since_ns % PERIOD_NS, 0, "the camera's pace");
        let turn = usize::try_from(since_ns / PERIOD_NS).unwrap();
        let wanted = (place + turn) % film.pictures();
        assert_eq!(
            film.place(&pin.read(frame.key).unwrap()),
            wanted,
            "picture {n} of camera {camera}"
        );
    }
    assert!(
        frames
            .windows(2)
            .all(|two| two[0].monotonic_ns < two[1].monotonic_ns)
    );
    (last.monotonic_ns - first.monotonic_ns) / PERIOD_NS + 1 - frames.len() as u64
}
