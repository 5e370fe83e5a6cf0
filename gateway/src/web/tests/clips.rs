//! Footage as a client sees it, over media in a temporary directory.

use super::tills::pos_body;
use super::*;
use crate::clips::Clips;
use crate::clips::cameras::Cameras;
use crate::clips::picture::tests::picture;
use crate::clips::recorder::Requests;
use crate::clips::ring::RingLimits;
use crate::clock::monotonic_ns;
use bytes::Bytes;
use serde_json::json;
use std::sync::atomic::Ordering;
use tillwatch_protocol::pos::{ParseContext, parse_pos_event};
use tillwatch_protocol::{ClipId, ClipReport, ClipRequest, ClipState, ClipTrack, FrameKey};
use tillwatch_store::media::{ClipDescriptor, MediaOptions, StoredFrame};

const S: u64 = 1_000_000_000;
/// When the pictures begin, in nanoseconds and in seconds behind [`AT_US`].
const BEGIN_NS: u64 = 100 * S;

pub(super) fn gateway() -> Gateway {
    with_cameras(Gateway::new())
}

/// With two cameras, and what its folder has of them.
pub(super) fn with_cameras(mut gateway: Gateway) -> Gateway {
    let (media, _) = gateway
        .shared
        .store
        .open_media(MediaOptions::small())
        .unwrap();
    let (requests, _) = Requests::channel();
    let limits = RingLimits {
        bytes: 1 << 20,
        horizon_ns: 60 * S,
    };
    let names = vec!["counter".to_owned(), "door".to_owned()];
    gateway.shared.clips = Some(Clips {
        media,
        cameras: Cameras::new(names, 1, monotonic_ns(), limits),
        requests,
        window_ns: 2 * S,
    });
    gateway
}

impl Gateway {
    pub(super) fn footage(&self) -> &Clips {
        self.shared.clips.as_ref().unwrap()
    }

    /// Puts pictures that come every 10 ms, the last one 3 s after the one before it.
    fn film(&self, camera: u8, pictures: &[Vec<u8>]) {
        let last = pictures.len() as u64 - 1;
        self.film_at(camera, pictures, |n| {
            n * S / 100 + if n == last { 3 * S } else { 0 }
        });
    }

    /// Puts pictures that come so many nanoseconds after the beginning.
    pub(super) fn film_at(&self, camera: u8, pictures: &[Vec<u8>], at: impl Fn(u64) -> u64) {
        for (n, jpeg) in (0_u64..).zip(pictures) {
            let at = at(n);
            let frame = StoredFrame {
                key: FrameKey {
                    camera,
                    boot: 1,
                    seq: 1 + n,
                },
                monotonic_ns: BEGIN_NS + at,
                utc_us: stamp(100).utc_us + i64::try_from(at / 1_000).unwrap(),
                jpeg: jpeg.clone().into(),
            };
            self.footage().media.put(frame).unwrap();
        }
    }

    /// An alert about a void of the till, and the clip that it asks for.
    pub(super) async fn void(&self, event_id: &str) -> ClipRequest {
        let context = ParseContext {
            zone: jiff::tz::TimeZone::UTC,
            minor_digits: 2,
        };
        let body = pos_body(event_id).to_string();
        let pos = parse_pos_event(body.as_bytes(), &context).unwrap();
        let cause = self
            .append(&[event(101, EventBody::Pos(Box::new(pos)))])
            .await;
        let mut alert = alert(cause, 101, 700);
        alert.subject.event_id = Some(event_id.into());
        let request = self.footage().request_of(&alert).unwrap();
        let records = [Record::Alert(alert), Record::ClipRequest(request.clone())];
        self.append(&records).await;
        request
    }

    pub(super) async fn finish(
        &self,
        request: &ClipRequest,
        tracks: Vec<ClipTrack>,
        state: ClipState,
    ) {
        let report = ClipReport {
            clip_id: request.clip_id,
            state,
            cameras: tracks,
            stamp: stamp(110),
        };
        let clip = ClipDescriptor {
            request: request.clone(),
            report: report.clone(),
        };
        self.footage().media.commit(clip).unwrap().await.unwrap();
        self.append(&[Record::ClipReport(report)]).await;
    }

    pub(super) fn tracks(&self, names: &[&str]) -> Vec<ClipTrack> {
        let pin = self.footage().media.pin_time(1, 0, u64::MAX).unwrap();
        let track = |(camera, name): (u8, &&str)| pin.track(camera, name, S / 100).unwrap();
        (0..).zip(names).map(track).collect()
    }
}

fn pictures() -> Vec<Vec<u8>> {
    (0..20).map(|shade| picture(64, 48, shade)).collect()
}

/// A gateway with one clip that is complete: its base address, and its pictures.
pub(super) async fn filmed() -> (Gateway, String, Vec<Vec<u8>>) {
    filmed_by(pictures(), |gateway, pictures| gateway.film(0, pictures)).await
}

/// The same with pictures that come so many nanoseconds after the beginning.
pub(super) async fn filmed_at(at: impl Fn(u64) -> u64) -> (Gateway, String, Vec<Vec<u8>>) {
    filmed_by(pictures(), |gateway, pictures| {
        gateway.film_at(0, pictures, at)
    })
    .await
}

/// The same with these 20 pictures.
pub(super) async fn filmed_by(
    pictures: Vec<Vec<u8>>,
    film: impl FnOnce(&Gateway, &[Vec<u8>]),
) -> (Gateway, String, Vec<Vec<u8>>) {
    let gateway = gateway();
    let request = gateway.void("v1").await;
    film(&gateway, &pictures);
    gateway.footage().media.flush();
    let mut written = gateway.footage().media.written();
    written.wait_for(|written| *written >= 20).await.unwrap();
    let tracks = gateway.tracks(&["counter"]);
    gateway.finish(&request, tracks, ClipState::Complete).await;
    let base = format!("/api/clips/{}", request.clip_id);
    (gateway, base, pictures)
}

pub(super) async fn raw(
    gateway: &Gateway,
    uri: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap, Bytes) {
    let mut request = request("GET", uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = gateway
        .page()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    (
        parts.status,
        parts.headers,
        body.collect().await.unwrap().to_bytes(),
    )
}

#[tokio::test]
async fn without_a_camera_there_is_no_footage_and_that_is_said() {
    let gateway = Gateway::new();
    assert_eq!(get(gateway.page(), "/api/clips").await.json(), json!([]));
    assert_eq!(get(gateway.page(), "/api/cameras").await.json(), json!([]));
    let id = Uuid::from_u128(1);
    for uri in [
        format!("/api/clips/{id}"),
        "/api/cameras/0/snapshot.jpg".into(),
    ] {
        assert_eq!(get(gateway.page(), &uri).await.problem(404), "not-found");
    }
    assert_eq!(
        get(gateway.page(), "/api/clips/x").await.problem(400),
        "parameter"
    );
}

#[tokio::test]
async fn a_clip_is_recording_then_complete_then_given_up() {
    let gateway = gateway();
    let request = gateway.void("v1").await;
    let uri = format!("/api/clips/{}", request.clip_id);
    let clip = get(gateway.page(), &uri).await.json();
    assert_eq!(clip["state"], "recording");
    assert_eq!(clip["at"], "2025-10-04T14:35:56.000000Z");
    assert_eq!(clip["from"], "2025-10-04T14:35:54.000000Z");
    assert_eq!(clip["cameras"], json!([]));
    let frame = get(gateway.page(), &format!("{uri}/frames/0.jpg")).await;
    assert_eq!(frame.problem(503), "recording");
    assert_eq!(
        get(gateway.page(), "/api/clips").await.json(),
        json!([clip])
    );

    gateway.film(0, &pictures());
    gateway.footage().media.flush();
    let mut written = gateway.footage().media.written();
    written.wait_for(|written| *written >= 20).await.unwrap();
    let tracks = gateway.tracks(&["counter"]);
    gateway.finish(&request, tracks, ClipState::Complete).await;
    let clip = get(gateway.page(), &uri).await.json();
    assert_eq!(
        (&clip["state"], &clip["frames"]),
        (&json!("complete"), &json!(20))
    );
    let track = &clip["cameras"][0];
    assert_eq!(
        (&track["name"], &track["frames"]),
        (&json!("counter"), &json!(20))
    );
    assert_eq!(track["first_at"], "2025-10-04T14:35:55.000000Z");
    assert_eq!(
        track["gaps"],
        json!([{"from": "2025-10-04T14:35:55.180000Z", "to": "2025-10-04T14:35:58.190000Z", "seconds": 3.01}])
    );

    let reason = "too little room".to_owned();
    gateway
        .finish(&request, vec![], ClipState::Dropped { reason })
        .await;
    let gone = get(gateway.page(), &uri).await;
    assert_eq!(gone.problem(410), "dropped");
    assert_eq!(gone.json()["reason"], "too little room");
    assert_eq!(gone.json()["alert_id"], request.alert_id.to_string());
    let frame = get(gateway.page(), &format!("{uri}/frames/0.jpg")).await;
    assert_eq!(frame.problem(410), "dropped");
    let list = get(gateway.page(), "/api/clips").await.json();
    assert_eq!(
        (&list[0]["state"], &list[0]["reason"]),
        (&json!("dropped"), &json!("too little room"))
    );
}

#[tokio::test]
async fn a_clip_that_is_prolonged_shows_what_it_has_until_then() {
    let (gateway, base, pictures) = filmed().await;
    let id = gateway.footage().media.clips()[0].request.clip_id;
    let mut longer = gateway.footage().media.clip(id).unwrap().request.clone();
    longer.to_ns += 5 * S;
    gateway.append(&[Record::ClipRequest(longer.clone())]).await;
    let clip = get(gateway.page(), &base).await.json();
    assert_eq!(
        (&clip["state"], &clip["frames"]),
        (&json!("recording"), &json!(20))
    );
    assert_eq!(clip["to"], "2025-10-04T14:36:03.000000Z");
    let version = clip["version"].as_str().unwrap();
    let uri = format!("{base}/frames/0.jpg?version={version}");
    let (_, headers, jpeg) = raw(&gateway, &uri, &[]).await;
    assert_eq!(&jpeg[..], &pictures[0][..]);
    assert_eq!(headers[header::CACHE_CONTROL], "private, no-cache");
    let tracks = gateway.tracks(&["counter"]);
    gateway.finish(&longer, tracks, ClipState::Complete).await;
    assert_eq!(get(gateway.page(), &base).await.json()["state"], "complete");
}

#[tokio::test]
async fn several_cameras_are_told_apart_by_name_or_number() {
    let gateway = gateway();
    let request = gateway.void("v1").await;
    let pictures = pictures();
    gateway.film(0, &pictures[..5]);
    gateway.film(1, &pictures[10..]);
    gateway.footage().media.flush();
    let mut written = gateway.footage().media.written();
    written.wait_for(|written| *written >= 15).await.unwrap();
    let tracks = gateway.tracks(&["counter", "door"]);
    gateway.finish(&request, tracks, ClipState::Complete).await;
    let base = format!("/api/clips/{}", request.clip_id);
    for (camera, wanted) in [
        ("", &pictures[0]),
        ("?camera=counter", &pictures[0]),
        ("?camera=door", &pictures[10]),
        ("?camera=1", &pictures[10]),
    ] {
        let uri = format!("{base}/frames/0.jpg{camera}");
        assert_eq!(raw(&gateway, &uri, &[]).await.2, wanted[..], "{uri}");
    }
    let uri = format!("{base}/video.mp4?camera=door");
    let (_, headers, film) = raw(&gateway, &uri, &[]).await;
    assert!(film.ends_with(&pictures[10..].concat()));
    assert_eq!(
        headers[header::CONTENT_DISPOSITION],
        "inline; filename=\"14-35-56_void_unknown_door.mp4\""
    );
}

#[tokio::test]
async fn the_newest_clip_is_listed_first() {
    let (gateway, base, _) = filmed().await;
    let mut later = gateway.void("v2").await;
    later.clip_id = ClipId(Uuid::from_u128(9));
    later.cause = stamp(200);
    gateway.append(&[Record::ClipRequest(later.clone())]).await;
    let list = get(gateway.page(), "/api/clips?limit=1").await.json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["clip_id"], later.clip_id.to_string());
    let all = get(gateway.page(), "/api/clips").await.json();
    assert!(base.ends_with(all[1]["clip_id"].as_str().unwrap()), "{all}");
    assert_eq!(
        get(gateway.page(), "/api/clips?limit=0").await.problem(400),
        "parameter"
    );
}

#[tokio::test]
async fn a_picture_is_the_cameras_own_and_is_not_sent_twice() {
    let (gateway, base, pictures) = filmed().await;
    for (n, picture) in pictures.iter().enumerate() {
        let (status, headers, body) = raw(&gateway, &format!("{base}/frames/{n}.jpg"), &[]).await;
        assert_eq!((status, &body[..]), (StatusCode::OK, &picture[..]));
        assert_eq!(headers[header::CONTENT_TYPE], "image/jpeg");
        assert_eq!(headers[header::CACHE_CONTROL], "private, no-cache");
    }
    let version = get(gateway.page(), &base).await.json()["version"].clone();
    let version = version.as_str().unwrap();
    let uri = format!("{base}/frames/3.jpg?camera=0&version={version}");
    let (_, headers, _) = raw(&gateway, &uri, &[]).await;
    assert_eq!(
        headers["tillwatch-captured-at"],
        "2025-10-04T14:35:55.030000Z"
    );
    assert_eq!(
        headers[header::CACHE_CONTROL],
        "private, max-age=31536000, immutable"
    );
    let etag = headers[header::ETAG].to_str().unwrap();
    let (status, _, body) = raw(&gateway, &uri, &[("if-none-match", etag)]).await;
    assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    let other = format!("{base}/frames/3.jpg?version=other");
    let (_, headers, _) = raw(&gateway, &other, &[("if-none-match", "\"x\"")]).await;
    assert_eq!(headers[header::CACHE_CONTROL], "private, no-cache");

    for uri in [
        "frames/20.jpg",
        "frames/0.jpg?camera=door",
        "frames/0.jpg?camera=1",
    ] {
        let answer = get(gateway.page(), &format!("{base}/{uri}")).await;
        assert_eq!(answer.problem(404), "not-found", "{uri}");
    }
    for uri in ["frames/0", "frames/x.jpg", "frames/-1.jpg"] {
        let answer = get(gateway.page(), &format!("{base}/{uri}")).await;
        assert_eq!(answer.problem(400), "parameter", "{uri}");
    }
}

#[tokio::test]
async fn an_event_leads_to_its_clips() {
    let (gateway, base, _) = filmed().await;
    let harmless = gateway.append(&[event(300, EventBody::Kick)]).await;
    let by_till = get(gateway.page(), "/api/correlations/v1").await.json();
    let found = by_till.as_array().unwrap();
    assert_eq!(found.len(), 1);
    assert!(base.ends_with(found[0]["clip"]["clip_id"].as_str().unwrap()));
    assert_eq!(found[0]["clip"]["state"], "complete");
    assert_eq!(
        (&found[0]["kind"], &found[0]["score"]),
        (&json!("void"), &json!(0.7))
    );
    let event = found[0]["events"][0].as_u64().unwrap();
    let alert = found[0]["alert_id"].as_str().unwrap();
    let by_place = get(gateway.page(), &format!("/api/correlations/{event}"))
        .await
        .json();
    assert_eq!(by_place, by_till);
    let by_alert = get(gateway.page(), &format!("/api/correlations/{alert}"))
        .await
        .json();
    assert_eq!(by_alert[0]["clip"], by_till[0]["clip"]);

    let none = get(gateway.page(), &format!("/api/correlations/{harmless}")).await;
    assert_eq!(none.json(), json!([]));
    let unknown = get(gateway.page(), "/api/correlations/nobody").await;
    assert_eq!(unknown.problem(404), "not-found");
}

#[tokio::test]
async fn cameras_show_their_newest_picture_while_they_deliver() {
    let gateway = gateway();
    let cameras = &gateway.footage().cameras;
    let snapshot = |camera: &str| format!("/api/cameras/{camera}/snapshot.jpg");
    assert_eq!(
        get(gateway.page(), &snapshot("door")).await.problem(503),
        "camera"
    );
    cameras.working(1, S / 10);
    assert_eq!(
        get(gateway.page(), &snapshot("door")).await.problem(503),
        "camera"
    );
    let (older, newer) = (picture(64, 48, 1), picture(64, 48, 2));
    let now = monotonic_ns();
    cameras.push(1, now - S, older.into()).unwrap();
    cameras.push(1, now, newer.clone().into()).unwrap();
    for name in ["door", "1"] {
        let (status, headers, jpeg) = raw(&gateway, &snapshot(name), &[]).await;
        assert_eq!((status, &jpeg[..]), (StatusCode::OK, &newer[..]));
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert!(headers.contains_key("tillwatch-captured-at"));
    }
    let list = get(gateway.page(), "/api/cameras").await.json();
    assert_eq!(
        (&list[0]["name"], &list[0]["delivering"]),
        (&json!("counter"), &json!(false))
    );
    assert_eq!(
        (&list[1]["name"], &list[1]["delivering"]),
        (&json!("door"), &json!(true))
    );
    assert_eq!(list[1]["fps"], 10.0);
    cameras.lost(1);
    assert_eq!(
        get(gateway.page(), &snapshot("door")).await.problem(503),
        "camera"
    );
    assert_eq!(
        get(gateway.page(), &snapshot("2")).await.problem(404),
        "not-found"
    );
}

#[tokio::test]
async fn a_player_is_told_when_every_picture_was_captured() {
    let (gateway, base, pictures) = filmed().await;
    let clip = get(gateway.page(), &base).await.json();
    let times = get(gateway.page(), &format!("{base}/frames")).await.json();
    assert_eq!(times["version"], clip["version"]);
    assert_eq!(times["from"], clip["from"]);
    assert_eq!(times["recording"], false);
    let track = &times["cameras"][0];
    assert_eq!(
        (&track["camera"], &track["name"]),
        (&json!(0), &json!("counter"))
    );
    let ms: Vec<i64> = serde_json::from_value(track["ms"].clone()).unwrap();
    assert_eq!(ms.len(), pictures.len());
    // The clip begins 2 s before its cause, which is 101 s; the pictures begin at 100 s.
    assert_eq!((ms[0], ms[1], ms[19]), (1_000, 1_010, 4_190));

    let none = format!("/api/clips/{}/frames", Uuid::from_u128(7));
    assert_eq!(get(gateway.page(), &none).await.problem(404), "not-found");
}

#[tokio::test]
async fn a_clip_that_is_being_recorded_has_no_times_yet() {
    let gateway = gateway();
    let request = gateway.void("v1").await;
    let uri = format!("/api/clips/{}/frames", request.clip_id);
    let times = get(gateway.page(), &uri).await.json();
    assert_eq!(
        (&times["recording"], &times["cameras"]),
        (&json!(true), &json!([]))
    );
}

#[tokio::test]
async fn what_memory_had_no_room_for_is_told() {
    crate::web::metrics::install();
    let gateway = gateway();
    // One MiB holds three of them: the newest of each camera stay, older ones go.
    let now = monotonic_ns();
    let jpeg = Bytes::from(vec![0; 300 << 10]);
    for n in 0..5 {
        let at_ns = now + n * S / 10;
        gateway
            .footage()
            .cameras
            .push(0, at_ns, jpeg.clone())
            .unwrap();
    }
    gateway
        .shared
        .health
        .frames_lost
        .store(7, Ordering::Relaxed);
    let status = get(gateway.page(), "/api/status").await.json();
    assert_eq!(status["frames_dropped"], 2 + 7);
    let metrics = get(gateway.page(), "/metrics").await.text;
    for line in ["frames_dropped_total 9", "frames_memory_bytes 921600"] {
        assert!(metrics.lines().any(|has| has == line), "{line}: {metrics}");
    }
    let line = crate::terminal::status_line(&gateway.shared, 0.0);
    assert!(line.ends_with("Drops: 9"), "{line}");
}
