//! Films: downloaded, played, seen at one glance.

use super::clips::{filmed, filmed_at, filmed_by, raw};
use super::*;
use crate::clips::picture::tests::picture;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_film_has_the_pictures_and_comes_in_any_pieces() {
    let (gateway, base, pictures) = filmed().await;
    let uri = format!("{base}/video.mp4");
    let (status, headers, film) = raw(&gateway, &uri, &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "video/mp4");
    assert_eq!(headers[header::ACCEPT_RANGES], "bytes");
    assert_eq!(headers[header::CONTENT_LENGTH], film.len().to_string());
    assert_eq!(
        headers[header::CONTENT_DISPOSITION],
        "inline; filename=\"14-35-56_void_unknown.mp4\""
    );
    assert_eq!(&film[4..8], b"ftyp");
    assert!(
        film.ends_with(&pictures.concat()),
        "the pictures lie behind one another"
    );

    let etag = headers[header::ETAG].to_str().unwrap();
    let last = film.len() - 1;
    for (asked, from, to) in [
        ("bytes=0-0", 0, 0),
        ("bytes=700-9999", 700, 9_999),
        ("bytes=-5", last - 4, last),
    ] {
        let (status, headers, piece) =
            raw(&gateway, &uri, &[("range", asked), ("if-range", etag)]).await;
        assert_eq!(
            (status, &piece[..]),
            (StatusCode::PARTIAL_CONTENT, &film[from..=to]),
            "{asked}"
        );
        assert_eq!(
            headers[header::CONTENT_RANGE],
            format!("bytes {from}-{to}/{}", film.len())
        );
        assert_eq!(headers[header::CONTENT_TYPE], "video/mp4");
    }
    let other = [("range", "bytes=0-0"), ("if-range", "\"another\"")];
    assert_eq!(
        raw(&gateway, &uri, &other).await.2,
        film,
        "a range of another film"
    );
    let behind = [("range", "bytes=9999999-")];
    let (status, headers, _) = raw(&gateway, &uri, &behind).await;
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(
        headers[header::CONTENT_RANGE],
        format!("bytes */{}", film.len())
    );
    let (status, ..) = raw(&gateway, &uri, &[("if-none-match", etag)]).await;
    assert_eq!(status, StatusCode::NOT_MODIFIED);
    assert_eq!(
        get(gateway.page(), &format!("{uri}?form=h264"))
            .await
            .problem(400),
        "request"
    );
}

#[tokio::test]
async fn a_clip_is_played_at_its_pace_and_long_gaps_are_shortened() {
    let (gateway, base, pictures) = filmed().await;
    let began = Instant::now();
    let (status, headers, body) = raw(&gateway, &format!("{base}/stream"), &[]).await;
    let took = began.elapsed();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        headers[header::CONTENT_TYPE],
        "multipart/x-mixed-replace; boundary=tillwatch"
    );
    // 18 × 10 ms and a gap of 3 s that is shown as 2 s.
    assert!(took >= Duration::from_millis(2_180), "{took:?}");
    let mut rest = &body[..];
    rest = rest.strip_prefix(b"--tillwatch\r\n").unwrap();
    for (n, picture) in pictures.iter().enumerate() {
        let head = rest.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
        let text = std::str::from_utf8(&rest[..head]).unwrap();
        assert!(
            text.contains(&format!("Content-Length: {}", picture.len())),
            "{text}"
        );
        rest = rest[head + 4..].strip_prefix(&picture[..]).unwrap();
        let end: &[u8] = if n + 1 == pictures.len() {
            b"\r\n--tillwatch--\r\n"
        } else {
            b"\r\n--tillwatch\r\n"
        };
        rest = rest.strip_prefix(end).unwrap();
    }
    assert!(rest.is_empty());
}

/// The order is the camera's, whatever its clock says.
#[tokio::test]
async fn a_clip_whose_times_stand_still_or_jump_back_is_played_and_downloaded() {
    let at = |n| if n < 10 { 500_000_000 } else { n * 10_000_000 };
    let (gateway, base, pictures) = filmed_at(at).await;
    let (status, _, film) = raw(&gateway, &format!("{base}/video.mp4"), &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(film.ends_with(&pictures.concat()));
    let (status, _, played) = raw(&gateway, &format!("{base}/stream"), &[]).await;
    assert_eq!(status, StatusCode::OK);
    let mut rest = &played[..];
    for picture in &pictures {
        let at = rest.windows(picture.len()).position(|at| at == picture);
        rest = &rest[at.unwrap() + picture.len()..];
    }
    let (status, _, _) = raw(&gateway, &format!("{base}/sheet.jpg"), &[]).await;
    assert_eq!(status, StatusCode::OK);
}

/// A gateway with a clip that is larger than what connections hold, and its base address.
pub(in crate::web) async fn long_film() -> (Gateway, String) {
    let pictures: Vec<Vec<u8>> = (0..20).map(|shade| picture(480, 360, shade)).collect();
    assert!(pictures.concat().len() > 64 << 10);
    let film = |gateway: &Gateway, pictures: &[Vec<u8>]| gateway.film_at(0, pictures, |_| 0);
    let (gateway, base, _) = filmed_by(pictures, film).await;
    (gateway, base)
}

#[tokio::test]
async fn only_so_many_watch_at_once() {
    let (gateway, base, _) = filmed().await;
    let page = gateway.page();
    let uri = format!("{base}/video.mp4");
    let ask = || request("GET", &uri).body(Body::empty()).unwrap();
    let mut watching = Vec::new();
    for _ in 0..crate::web::WATCHERS {
        watching.push(page.clone().oneshot(ask()).await.unwrap());
    }
    assert_eq!(send(page.clone(), ask()).await.problem(503), "watchers");
    watching.pop();
    let again = page.oneshot(ask()).await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_clip_is_seen_at_one_glance() {
    let (gateway, base, _) = filmed().await;
    let (status, headers, sheet) = raw(&gateway, &format!("{base}/sheet.jpg"), &[]).await;
    assert_eq!(
        (status, &headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"image/jpeg".parse().unwrap())
    );
    let (width, _) = tillwatch_drivers::camera::jpeg::size(&sheet).unwrap();
    assert!(width > 4 * 64, "{width}");
}
