//! What two cameras show, picture by picture, and whether clips show just that.

use crate::support::gateway::Gateway;
use crate::support::{wait_for, wait_for_within};
use jpeg_encoder::{ColorType, Encoder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use tillwatch_simulator::random::XorShift64Star;

const CAMERAS: [&str; 2] = ["counter", "door"];
/// Pictures a second and camera: their times are whole milliseconds.
const FPS: u64 = 20;
const PERIOD_MS: i64 = 1_000 / FPS as i64;
/// Pictures of a camera; then they come again.
const PICTURES: usize = 97;
/// A camera that is opened again begins with its first picture: a clip sees that so often at most.
const REOPENED: usize = 2;
/// For what was being recorded to be finished after a start.
const FINISHED: Duration = Duration::from_secs(30);

/// What the cameras show.
pub struct Film {
    folder: TempDir,
    /// By camera: the place of each picture.
    places: Vec<BTreeMap<Vec<u8>, usize>>,
}

impl Film {
    /// Noise: large pictures, each other than all others.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut random = XorShift64Star::new(7);
        let mut picture = || {
            let luma: Vec<u8> = (0..160 * 120).map(|_| random.below(256) as u8).collect();
            let mut jpeg = Vec::new();
            let encoder = Encoder::new(&mut jpeg, 75);
            encoder.encode(&luma, 160, 120, ColorType::Luma).unwrap();
            assert!(jpeg_decoder::Decoder::new(&jpeg[..]).decode().is_ok());
            jpeg
        };
        let places = CAMERAS.map(|camera| {
            let pictures: Vec<Vec<u8>> = (0..PICTURES).map(|_| picture()).collect();
            std::fs::write(folder.path().join(camera), pictures.concat()).unwrap();
            pictures.into_iter().zip(0..).collect()
        });
        let places = places.into();
        Self { folder, places }
    }

    /// The cameras' sections of a configuration.
    pub fn config(&self) -> String {
        let section = |camera: &&str| {
            let path = self.folder.path().join(camera);
            let path = path.display();
            format!("[cameras.{camera}]\nreplay = \"{path}\"\nfps = {FPS}\n")
        };
        CAMERAS.iter().map(section).collect()
    }

    /// Waits until nothing is recorded any more; all clips, and none of them shows a picture that is
    /// not its camera's, whole, and of its time.
    pub fn check(&self, gateway: &Gateway) -> Vec<Value> {
        let clips = settled(gateway);
        for clip in clips.iter().filter(|clip| has_pictures(clip)) {
            self.check_clip(gateway, clip);
        }
        clips
    }

    fn check_clip(&self, gateway: &Gateway, clip: &Value) {
        let base = format!("/api/clips/{}", clip["clip_id"].as_str().unwrap());
        let times = gateway.json(&format!("{base}/frames"));
        for (track, times) in list(&clip["cameras"]).iter().zip(list(&times["cameras"])) {
            let camera = usize::try_from(track["camera"].as_u64().unwrap()).unwrap();
            let ms: Vec<i64> = list(&times["ms"])
                .iter()
                .map(|ms| ms.as_i64().unwrap())
                .collect();
            let frames = track["frames"].as_u64().unwrap();
            assert_eq!(ms.len() as u64, frames, "{clip}");
            let mut reopened = 0;
            let mut before: Option<(i64, usize)> = None;
            for (n, ms) in ms.into_iter().enumerate() {
                let uri = format!("{base}/frames/{n}.jpg?camera={camera}");
                let (status, jpeg) = gateway.bytes(&uri, ("accept", "*/*"));
                assert_eq!(status, 200, "{uri}: {}", String::from_utf8_lossy(&jpeg));
                let place = self.places[camera].get(&jpeg);
                let place = *place.unwrap_or_else(|| panic!("{uri} is none of its camera's"));
                if let Some((ms_before, place_before)) = before {
                    let passed = (ms - ms_before + PERIOD_MS / 2) / PERIOD_MS;
                    let expected = (place_before as i64 + passed) % PICTURES as i64;
                    reopened += usize::from(expected != place as i64);
                }
                before = Some((ms, place));
            }
            assert!(reopened <= REOPENED, "pictures of other times in {clip}");
        }
    }
}

fn has_pictures(clip: &Value) -> bool {
    clip["state"] == "complete" || clip["state"] == "partial"
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// All clips, once none is being recorded.
pub fn settled(gateway: &Gateway) -> Vec<Value> {
    wait_for_within(FINISHED, "all clips to be finished", || {
        // The index may still be on its way.
        let (status, body) = gateway.get("/api/clips?limit=1000").unwrap();
        let clips: Value = serde_json::from_str(&body).unwrap();
        let clips = (status == 200).then(|| list(&clips).to_vec())?;
        let recording = clips.iter().any(|clip| clip["state"] == "recording");
        (!recording).then_some(clips)
    })
}

/// Each clip as it is shown by itself.
pub fn one_by_one(gateway: &Gateway, clips: &[Value]) -> Vec<(u16, String)> {
    let one = |clip: &Value| {
        let uri = format!("/api/clips/{}", clip["clip_id"].as_str().unwrap());
        gateway.get(&uri).unwrap()
    };
    clips.iter().map(one).collect()
}

/// Waits until the cameras have been seen for so long that a clip has something before its cause.
pub fn seen_for_a_while(gateway: &Gateway) {
    wait_for("pictures of the cameras", || {
        let seen = gateway.metric("frames_captured_total");
        (seen > (CAMERAS.len() as u64 * FPS) as f64 * 1.2).then_some(())
    });
}
