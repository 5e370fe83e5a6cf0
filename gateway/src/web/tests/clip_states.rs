//! Clips without footage say why, and nothing is said to be missing by who cannot know.

use super::clips::{filmed, gateway, raw, with_cameras};
use super::*;
use serde_json::json;
use tillwatch_protocol::{ClipReport, ClipRequest, ClipState};
use tillwatch_store::IndexKind;

fn report(request: &ClipRequest, state: ClipState) -> Record {
    Record::ClipReport(ClipReport {
        clip_id: request.clip_id,
        state,
        cameras: Vec::new(),
        stamp: stamp(110),
    })
}

#[tokio::test]
async fn a_clip_that_was_not_recorded_says_why() {
    let gateway = gateway();
    let request = gateway.void("v1").await;
    let reason = "not recorded: too many at once";
    let state = ClipState::Empty {
        reason: reason.to_owned(),
    };
    gateway.append(&[report(&request, state)]).await;
    let base = format!("/api/clips/{}", request.clip_id);
    let clip = get(gateway.page(), &base).await.json();
    assert_eq!(
        (&clip["state"], &clip["reason"]),
        (&json!("empty"), &json!(reason))
    );
    assert_eq!(clip["alert_id"], request.alert_id.to_string());
    assert_eq!(clip["from"], "2025-10-04T14:35:54.000000Z");
    let listed = get(gateway.page(), "/api/clips").await.json();
    assert_eq!(listed, json!([clip]));
    let led_to = get(gateway.page(), "/api/correlations/v1").await.json();
    assert_eq!(led_to[0]["clip"], clip);
    for part in ["frames/0.jpg", "sheet.jpg", "stream", "video.mp4"] {
        let answer = get(gateway.page(), &format!("{base}/{part}")).await;
        assert_eq!(answer.problem(404), "not-found", "{part}");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains(reason), "{part}: {detail}");
    }
}

#[tokio::test]
async fn a_clip_that_the_footage_does_not_know_any_more_is_gone_and_says_why() {
    let gateway = gateway();
    for (event, state, reason) in [
        ("v1", ClipState::Complete, "its footage was lost"),
        (
            "v2",
            ClipState::Dropped {
                reason: "no room".into(),
            },
            "no room",
        ),
    ] {
        let request = gateway.void(event).await;
        gateway.append(&[report(&request, state)]).await;
        let base = format!("/api/clips/{}", request.clip_id);
        for uri in [base.clone(), format!("{base}/frames/0.jpg")] {
            let answer = get(gateway.page(), &uri).await;
            assert_eq!(answer.problem(410), "dropped");
            assert_eq!(answer.json()["reason"], reason);
        }
        let led_to = get(gateway.page(), &format!("/api/correlations/{event}")).await;
        assert_eq!(led_to.json()[0]["clip"]["state"], "dropped");
    }
}

/// What the media have is shown: evidence does not wait for an index.
#[tokio::test]
async fn while_the_index_is_rebuilt_no_clip_is_said_to_be_missing_and_pictures_are_shown() {
    let (gateway, base, pictures) = filmed().await;
    let unrecorded = gateway.void("v2").await;
    let Gateway { shared, folder, .. } = gateway;
    let closing = move || {
        shared.clips.unwrap().media.close();
        shared.store.close();
    };
    tokio::task::spawn_blocking(closing).await.unwrap();
    // An index that cannot be made as long as these are files.
    let aside = folder.path().join("aside");
    std::fs::write(folder.path().join("index"), b"").unwrap();
    std::fs::write(&aside, b"").unwrap();
    let options = StoreOptions {
        index: IndexKind::Sled,
        ..StoreOptions::small()
    };
    let gateway = with_cameras(Gateway::over(folder, options));

    let other = format!("/api/clips/{}", unrecorded.clip_id);
    let get = |uri: &str| {
        let (page, uri) = (gateway.page(), uri.to_owned());
        async move { super::get(page, &uri).await }
    };
    let asked: [Answer; 8] = tokio::join!(
        get("/api/clips"),
        get(&base),
        get(&other),
        get(&format!("{other}/frames/0.jpg")),
        get(&format!("{other}/sheet.jpg")),
        get(&format!("{other}/stream")),
        get(&format!("{other}/video.mp4")),
        get("/api/correlations/v1"),
    )
    .into();
    for answer in asked {
        assert_eq!(answer.problem(503), "index");
        assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    }
    let uri = format!("{base}/frames/3.jpg");
    let (status, headers, jpeg) = raw(&gateway, &uri, &[]).await;
    assert_eq!((status, &jpeg[..]), (StatusCode::OK, &pictures[3][..]));
    assert_eq!(headers[header::CACHE_CONTROL], "private, no-cache");

    std::fs::remove_file(&aside).unwrap();
    assert_eq!(get(&base).await.json()["state"], "complete");
    assert_eq!(get(&other).await.json()["state"], "recording");
}
