//! One register with a camera, end to end: a void at the till, and what the camera saw around it is
//! there to look at, to download and to export.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod support;

use jpeg_encoder::{ColorType, Encoder};
use serde_json::{Value, json};
use std::path::Path;
use support::gateway::Gateway;
use support::wait_for;

const WIDTH: u16 = 160;
const HEIGHT: u16 = 120;
const FPS: usize = 10;
/// Behind the camera's section.
const CAMERA_ENDS: &str = "\n# the camera ends here\n";

/// What the camera shows: a bar that wanders, every picture other than all others.
fn pictures() -> Vec<Vec<u8>> {
    let picture = |shown: u16| {
        let pixel = |x: u16| {
            if x / 8 == shown % 20 {
                230
            } else {
                60 + (shown % 50) as u8
            }
        };
        let row: Vec<u8> = (0..WIDTH).map(pixel).collect();
        let luma = row.repeat(usize::from(HEIGHT));
        let mut jpeg = Vec::new();
        let encoder = Encoder::new(&mut jpeg, 90);
        encoder
            .encode(&luma, WIDTH, HEIGHT, ColorType::Luma)
            .unwrap();
        jpeg
    };
    (0..50).map(picture).collect()
}

fn register_with_camera(folder: &Path, pictures: &[Vec<u8>]) -> Gateway {
    let recording = folder.join("counter.mjpeg");
    std::fs::write(&recording, pictures.concat()).unwrap();
    let camera = format!(
        "[cameras.counter]\nreplay = \"{}\"\nfps = {FPS}",
        recording.display()
    );
    // Nobody listens there: footage does not depend on brokers.
    let camera = format!("{camera}{CAMERA_ENDS}");
    let mut gateway = Gateway::prepare(1, &camera);
    gateway.set_env("CORRELATION_WINDOW", "2");
    gateway.run();
    gateway.listening();
    gateway
}

/// A clip can only be complete when the camera has been seen for as long as it looks back.
fn seen_for_a_while(gateway: &Gateway) {
    wait_for("pictures of the camera", || {
        let seen = gateway.metric("frames_captured_total");
        (seen > 3.0 * FPS as f64).then_some(())
    });
}

fn void(gateway: &Gateway, event_id: &str) {
    let body = json!({"event_id": event_id, "event_type": "void_transaction", "staff_id": "E042", "amount": 150.0});
    let (status, answer) = gateway.post("/api/pos-events", &body.to_string());
    assert_eq!(status, 200, "{answer}");
}

fn clip_of(gateway: &Gateway, event_id: &str) -> Value {
    wait_for("the clip of the void", || {
        let found = gateway.json(&format!("/api/correlations/{event_id}"));
        let clip = found.get(0)?.get("clip")?.clone();
        assert!(clip.is_object(), "{found}");
        (clip["state"] != "recording").then_some(clip)
    })
}

#[test]
fn a_void_can_be_seen_downloaded_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures();
    let gateway = register_with_camera(folder.path(), &pictures);
    seen_for_a_while(&gateway);
    void(&gateway, "v-1");
    let clip = clip_of(&gateway, "v-1");
    assert_eq!(clip["state"], "complete", "{clip}");
    assert_eq!(
        (&clip["kind"], &clip["staff_id"]),
        (&json!("void"), &json!("E042"))
    );
    let id = clip["clip_id"].as_str().unwrap();
    let base = format!("/api/clips/{id}");
    assert_eq!(gateway.json(&base), clip);
    assert_eq!(gateway.json("/api/clips"), json!([clip]));

    let frames = usize::try_from(clip["cameras"][0]["frames"].as_u64().unwrap()).unwrap();
    assert!(frames >= 3 * FPS, "{clip}");
    let shown: Vec<Vec<u8>> = (0..frames)
        .map(|n| {
            let (status, jpeg) =
                gateway.bytes(&format!("{base}/frames/{n}.jpg"), ("accept", "*/*"));
            assert_eq!(status, 200);
            jpeg
        })
        .collect();
    let first = pictures.iter().position(|picture| *picture == shown[0]);
    let mut expected = pictures
        .iter()
        .cycle()
        .skip(first.expect("the camera's own picture"));
    for (n, jpeg) in shown.iter().enumerate() {
        // A busy machine may lose one on the way, as a camera does; what came is in order.
        let found = expected
            .by_ref()
            .take(pictures.len() / 2)
            .any(|picture| picture == jpeg);
        assert!(found, "picture {n} is not the camera's");
    }

    let video = format!("{base}/video.mp4");
    let (status, film) = gateway.bytes(&video, ("accept", "*/*"));
    assert_eq!((status, &film[4..8]), (200, &b"ftyp"[..]));
    assert!(film.ends_with(&shown.concat()));
    let (status, part) = gateway.bytes(&video, ("range", "bytes=100-1099"));
    assert_eq!((status, &part[..]), (206, &film[100..1_100]));
    let (status, sheet) = gateway.bytes(&format!("{base}/sheet.jpg"), ("accept", "*/*"));
    assert_eq!((status, &sheet[..2]), (200, &[0xff, 0xd8][..]));
    let (status, now) = gateway.bytes("/api/cameras/counter/snapshot.jpg", ("accept", "*/*"));
    assert_eq!(status, 200);
    assert!(pictures.contains(&now));
    assert_eq!(gateway.metric("correlation_latency_ms_count"), 1.0);

    let list = gateway.command(&["clips", "list"]);
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.starts_with(id) && list.contains("complete"), "{list}");
    let to = folder.path().join("clips").display().to_string();
    for number in ["", "-2"] {
        let done = gateway.command(&["clips", "export", id, "--to", &to]);
        let said = String::from_utf8(done.stdout).unwrap();
        assert_eq!(
            done.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let path = said.split("  ").next().unwrap();
        assert!(path.ends_with(&format!("_void_E042{number}.mp4")), "{said}");
        assert_eq!(std::fs::read(path).unwrap(), film);
    }
    for (arguments, code) in [
        (
            vec!["clips", "export", id, "--camera", "door", "--to", &to],
            1,
        ),
        (
            vec![
                "clips",
                "export",
                "00000000-0000-4000-8000-000000000001",
                "--to",
                &to,
            ],
            1,
        ),
        (vec!["clips", "export", "nonsense"], 2),
    ] {
        let refused = gateway.command(&arguments);
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}");
        assert!(!refused.stderr.is_empty());
    }
}

/// The camera is sold, and what it saw is still there.
#[test]
fn clips_outlive_the_camera_that_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = register_with_camera(folder.path(), &pictures());
    seen_for_a_while(&gateway);
    void(&gateway, "v-1");
    let clip = clip_of(&gateway, "v-1");
    let id = clip["clip_id"].as_str().unwrap();
    let video = format!("/api/clips/{id}/video.mp4");
    let (status, film) = gateway.bytes(&video, ("accept", "*/*"));
    assert_eq!(status, 200);
    assert!(gateway.stop().success());

    let config = std::fs::read_to_string(gateway.config_file()).unwrap();
    let from = config.find("[cameras.counter]").unwrap();
    let to = config.find(CAMERA_ENDS).unwrap();
    let without = format!("{}{}", &config[..from], &config[to..]);
    std::fs::write(gateway.config_file(), without).unwrap();
    gateway.run();
    gateway.listening();
    assert_eq!(gateway.json("/api/cameras"), json!([]));
    assert_eq!(gateway.json("/api/clips"), json!([clip]));
    assert_eq!(
        gateway.bytes(&video, ("accept", "*/*")),
        (200, film.clone())
    );
    let to = folder.path().join("clips").display().to_string();
    let done = gateway.command(&["clips", "export", id, "--to", &to]);
    let said = String::from_utf8(done.stdout).unwrap();
    let path = said.split("  ").next().unwrap();
    assert_eq!(std::fs::read(path).unwrap(), film);
    // What happens now asks for no footage.
    void(&gateway, "v-2");
    let found = wait_for("the alert", || {
        let found = gateway.json("/api/correlations/v-2");
        found.get(0).cloned()
    });
    assert_eq!(found["clip"], Value::Null, "{found}");
    assert!(gateway.stop().success());
}
