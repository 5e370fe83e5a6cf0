//! Two cameras and many alerts at once: what a clip shows is what the cameras played, picture by
//! picture, at the times at which they played it, and each picture is on the disk once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod support;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::film::Film;
use support::gateway::Gateway;
use support::mosquitto::Mosquitto;
use support::subscriber::Subscriber;
use support::wait_for;

const FPS: u32 = 10;
/// Between two pictures of a camera.
const PERIOD_US: i64 = 100_000;
const CAMERAS: [&str; 2] = ["counter", "door"];
/// What tills tell of; each is an alert on its own.
const KINDS: [(&str, &str); 4] = [
    ("void", "void_transaction"),
    ("refund", "refund_issued"),
    ("general", "suspicious_return"),
    ("discount", "discount_applied"),
];

/// A register with two cameras that play a film, the second one from its middle on.
fn register(
    broker: &Mosquitto,
    folder: &Path,
    film: &Film,
    window_s: u32,
    ring_mib: u32,
) -> Gateway {
    let mut more = format!("[clips]\nring_mib = {ring_mib}\n[storage]\nmedia_mib = 256\n");
    for (name, first) in CAMERAS.into_iter().zip([0, film.pictures() / 2]) {
        let recording = folder.join(name);
        film.write(&recording, first);
        more += &format!(
            "[cameras.{name}]\nreplay = \"{}\"\nfps = {FPS}\n",
            recording.display()
        );
    }
    let mut gateway = Gateway::prepare(broker.port(), &more);
    gateway.set_env("CORRELATION_WINDOW", &window_s.to_string());
    gateway.run();
    gateway.ready();
    // A clip can only be complete when the cameras were seen for as long as it looks back.
    let seen = f64::from((window_s + 1) * FPS * 2);
    wait_for("pictures of the cameras", || {
        (gateway.metric("frames_captured_total") > seen).then_some(())
    });
    gateway
}

/// The n-th event of a till.
fn tell(broker: &Mosquitto, n: usize) -> String {
    let (topic, kind) = KINDS[n % KINDS.len()];
    let id = format!("e-{n}");
    let body = json!({
        "event_id": id, "event_type": kind, "staff_id": format!("E{n:03}"),
        "amount": 40.0, "original_amount": 100.0, "discount_percent": 60.0,
    });
    broker.publish(&format!("pos/events/S03/{topic}"), &body.to_string());
    id
}

/// Microseconds since 1970.
fn us(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_microsecond()
}

/// The clip of each till event, once none is being recorded.
fn clips(gateway: &Gateway, events: &[String]) -> Vec<Value> {
    let clip = |id: &String| {
        wait_for("the clip of a till event", || {
            let found = gateway.json(&format!("/api/correlations/{id}"));
            let clip = found.get(0)?.get("clip")?.clone();
            (clip.is_object() && clip["state"] != "recording").then_some(clip)
        })
    };
    events.iter().map(clip).collect()
}

/// A stored picture.
struct Shown {
    /// Which one it is, over all clips.
    key: String,
    captured_us: i64,
    jpeg: Vec<u8>,
}

fn pictures(gateway: &Gateway, clip: &Value, track: &Value) -> Vec<Shown> {
    let frames = track["frames"].as_u64().unwrap();
    let (id, camera) = (clip["clip_id"].as_str().unwrap(), &track["camera"]);
    let shown = |n| {
        let path = format!("/api/clips/{id}/frames/{n}.jpg?camera={camera}");
        let mut response = ureq::get(&gateway.url(&path)).call().unwrap();
        let header = |name| response.headers()[name].to_str().unwrap().to_owned();
        let (key, at) = (header("etag"), header("tillwatch-captured-at"));
        let jpeg = response.body_mut().read_to_vec().unwrap();
        Shown {
            key,
            captured_us: us(&Value::from(at)),
            jpeg,
        }
    };
    (0..frames).map(shown).collect()
}

/// What ffprobe says of a film: each picture's time and how long it stands, and the whole length,
/// in microseconds.
fn probe(film: &Path) -> (Vec<(i64, i64)>, i64) {
    let done = Command::new("ffprobe")
        .args(["-hide_banner", "-v", "warning", "-of", "json"])
        .args([
            "-show_entries",
            "packet=pts,duration:stream=time_base,nb_frames:format=duration",
        ])
        .arg(film)
        .output()
        .expect("ffprobe must be installed: apt-get install ffmpeg");
    let complaints = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(said["streams"][0]["time_base"], "1/1000000");
    let packets = said["packets"].as_array().unwrap().iter();
    let packets: Vec<_> = packets
        .map(|packet| {
            (
                packet["pts"].as_i64().unwrap(),
                packet["duration"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(said["streams"][0]["nb_frames"], packets.len().to_string());
    let seconds: f64 = said["format"]["duration"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "some seconds")]
    (packets, (seconds * 1e6).round() as i64)
}

/// One camera's part of a clip against the film that the camera played. Gives how many pictures are
/// missing in its window.
fn is_what_was_played(
    film: &Film,
    clip: &Value,
    track: &Value,
    shown: &[Shown],
    exported: &Path,
) -> i64 {
    let (packets, length_us) = probe(exported);
    assert_eq!(packets.len(), shown.len(), "{clip}");
    let (first_us, first_at) = (packets[0].0, us(&track["first_at"]));
    let first_place = film.place(&shown[0].jpeg);
    let mut before = -1;
    for (n, (packet, picture)) in packets.iter().zip(shown).enumerate() {
        let since_us = packet.0 - first_us;
        assert_eq!(
            since_us % PERIOD_US,
            0,
            "picture {n} keeps the camera's pace"
        );
        let turn = since_us / PERIOD_US;
        assert!(turn > before, "picture {n} comes after the one before it");
        before = turn;
        let place = (first_place + usize::try_from(turn).unwrap()) % film.pictures();
        assert_eq!(
            film.place(&picture.jpeg),
            place,
            "picture {n} at {since_us} µs"
        );
        // As the wall clock was believed then, to the moment between reading two clocks.
        let captured_us = picture.captured_us - first_at;
        assert!(
            (captured_us - since_us).abs() < PERIOD_US / 2,
            "picture {n}: {captured_us}"
        );
    }
    for (two, (_, stands)) in packets.windows(2).zip(&packets) {
        assert_eq!(two[1].0 - two[0].0, *stands, "each stands until the next");
    }
    let last_us = packets[packets.len() - 1].0;
    assert_eq!(
        length_us,
        last_us + PERIOD_US,
        "the last one stands as long as most"
    );
    // Wall times are rounded towards the cause.
    let told_us = us(&track["last_at"]) - first_at;
    assert!((told_us - (last_us - first_us)).abs() <= 1, "{told_us}");
    // Whole pictures of the window's ends that are not there.
    let ends_us = [
        first_at - us(&clip["from"]),
        us(&clip["to"]) - us(&track["last_at"]),
    ];
    assert!(
        ends_us.iter().all(|end| *end >= 0),
        "inside the window: {clip}"
    );
    let at_the_ends: i64 = ends_us.iter().map(|end| end / PERIOD_US).sum();
    at_the_ends + (before + 1) - i64::try_from(shown.len()).unwrap()
}

#[test]
fn thirty_overlapping_alerts_show_what_two_cameras_played_and_each_picture_is_stored_once() {
    let (broker, folder, film) = (
        Mosquitto::start(""),
        tempfile::tempdir().unwrap(),
        Film::new(),
    );
    let head_office = Subscriber::start(broker.port(), "stores/#");
    let gateway = register(&broker, folder.path(), &film, 2, 64);
    let mut events = Vec::new();
    for n in 0..30 {
        events.push(tell(&broker, n));
        // The stimulus: about eight a second, while a clip takes four.
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let clips = clips(&gateway, &events);

    let mut stored: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let (mut missing, mut overlapping) = (BTreeSet::new(), 0);
    for (event, clip) in events.iter().zip(&clips) {
        let id = clip["clip_id"].as_str().unwrap();
        let alert = head_office.alert("the alert at head office", |alert| {
            alert["event_id"] == **event
        });
        assert_eq!(alert["alert_id"], clip["alert_id"]);
        let named = json!({"clip_id": id, "from": clip["from"], "to": clip["to"]});
        assert_eq!(alert["clip"], named);

        let to = folder.path().join(event);
        let done = gateway.command(&["clips", "export", id, "--to", &to.display().to_string()]);
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let said = String::from_utf8(done.stdout).unwrap();
        let tracks = clip["cameras"].as_array().unwrap();
        assert_eq!((tracks.len(), said.lines().count()), (2, 2), "{said}");
        for ((track, line), name) in tracks.iter().zip(said.lines()).zip(CAMERAS) {
            assert_eq!(track["name"], name);
            let exported = Path::new(line.split("  ").next().unwrap());
            assert!(
                exported
                    .display()
                    .to_string()
                    .ends_with(&format!("_{name}.mp4")),
                "{line}"
            );
            let video = format!("/api/clips/{id}/video.mp4?camera={name}");
            let (status, bytes) = gateway.bytes(&video, ("accept", "*/*"));
            assert_eq!(status, 200);
            assert!(std::fs::read(exported).unwrap() == bytes, "the same film");
            let shown = pictures(&gateway, clip, track);
            let pictures: Vec<&[u8]> = shown.iter().map(|shown| &shown.jpeg[..]).collect();
            assert!(bytes.ends_with(&pictures.concat()), "the same pictures");
            let lost = is_what_was_played(&film, clip, track, &shown, exported);
            if lost > 0 {
                missing.insert((id.to_owned(), name, lost));
            }
            for shown in shown {
                let this = (film.place(&shown.jpeg), shown.jpeg.len());
                let other = stored.insert(shown.key, this);
                overlapping += u32::from(other.is_some());
                assert!(
                    other.is_none_or(|other| other == this),
                    "one key, one picture"
                );
            }
        }
        if missing.is_empty() {
            assert_eq!(clip["state"], "complete", "{clip}");
        }
    }
    // A busy machine may lose a picture on the way, as a camera does: it is counted.
    let dropped = gateway.metric("frames_dropped_total");
    for (id, name, lost) in &missing {
        assert!(
            f64::from(u32::try_from(*lost).unwrap()) <= dropped,
            "{id} lacks {lost} of {name}"
        );
    }
    eprintln!(
        "{} pictures stored, shown {overlapping} times more; {dropped} lost on the way",
        stored.len()
    );
    assert!(overlapping > 30, "clips share pictures");
    let payload: usize = stored.values().map(|(_, bytes)| bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
    let wanted = (stored.len() as f64, payload as f64);
    let written = (
        gateway.metric("media_frames_total"),
        gateway.metric("media_payload_bytes_total"),
    );
    assert_eq!(written, wanted, "each picture is on the disk once");
    assert_eq!(gateway.metric("media_clips"), 30.0);
    assert_eq!(gateway.metric("media_lost_total"), 0.0);
}

/// Memory of a process's own, in MiB, without the pages of its program file: those of a build for
/// tests are as many again.
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

#[test]
fn two_hundred_clips_take_no_more_memory_than_fifty() {
    /// The smallest that can be configured.
    const RING_MIB: u32 = 8;
    /// What the program has beside the ring, whatever it records; half of it is the index.
    const BESIDE_MIB: f64 = 48.0;
    /// What the index and the allocator may still move by: less than a picture a clip.
    const FLAT_MIB: f64 = 4.0;
    let (broker, folder, film) = (
        Mosquitto::start(""),
        tempfile::tempdir().unwrap(),
        Film::new(),
    );
    let gateway = register(&broker, folder.path(), &film, 1, RING_MIB);
    let mut highest = BTreeMap::new();
    let (mut told, mut most_in_ring) = (0, 0.0_f64);
    for stage in [50, 100, 150, 200] {
        let mut stage_mib = 0.0_f64;
        wait_for("clips", || {
            if told < 200 {
                tell(&broker, told);
                told += 1;
            }
            // The stimulus: about six a second, while a clip takes two.
            std::thread::park_timeout(Duration::from_millis(100));
            most_in_ring = most_in_ring.max(gateway.metric("frames_memory_bytes"));
            stage_mib = stage_mib.max(memory_mib(&gateway));
            (gateway.metric("clips_total") >= f64::from(stage)).then_some(())
        });
        highest.insert(stage, stage_mib);
    }
    eprintln!("MiB by clips: {highest:.1?}; at most {most_in_ring} bytes of pictures");
    assert!(most_in_ring <= f64::from(RING_MIB << 20), "{most_in_ring}");
    let most = f64::from(RING_MIB) + BESIDE_MIB;
    assert!(highest[&200] <= most, "{highest:?}");
    assert!(highest[&200] <= highest[&50] + FLAT_MIB, "{highest:?}");
    wait_for("all clips", || {
        (gateway.metric("media_clips") == 200.0).then_some(())
    });
    assert_eq!(gateway.metric("media_readers"), 0.0);
}
