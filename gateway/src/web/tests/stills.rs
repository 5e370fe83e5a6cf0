//! The picture of an alert.

use super::clips::{filmed_by, gateway, raw};
use super::*;
use crate::clips::picture::tests::picture;
use crate::config::cameras::Camera;
use tillwatch_protocol::ClipState;

/// The cause lies one second behind the first picture.
const NEAREST: usize = 10;

#[tokio::test]
async fn an_alert_is_shown_by_the_picture_nearest_to_its_cause() {
    let pictures: Vec<Vec<u8>> = (0..20).map(|shade| picture(64, 48, shade)).collect();
    let (gateway, _, pictures) = filmed_by(pictures, |gateway, pictures| {
        gateway.film_at(0, pictures, |n| n * 100_000_000);
    })
    .await;
    let alert = gateway.footage().media.clips()[0].request.alert_id;
    let uri = format!("/api/alerts/{alert}/still.jpg");
    let (status, headers, jpeg) = raw(&gateway, &uri, &[]).await;
    assert_eq!(
        (status, &jpeg[..]),
        (StatusCode::OK, &pictures[NEAREST][..])
    );
    assert_eq!(
        headers["tillwatch-captured-at"],
        "2025-10-04T14:35:56.000000Z"
    );
    let other = get(gateway.page(), &format!("{uri}?camera=door")).await;
    assert_eq!(other.problem(404), "not-found");
    let nobody = format!("/api/alerts/{}/still.jpg", Uuid::from_u128(5));
    let nobody = get(gateway.page(), &nobody).await;
    assert_eq!(nobody.problem(404), "not-found");
    assert!(nobody.text.contains("there is no alert"), "{}", nobody.text);
}

#[tokio::test]
async fn the_camera_that_sees_the_customers_comes_first() {
    let gateway = gateway();
    let request = gateway.void("v1").await;
    let pictures: Vec<Vec<u8>> = (0..20).map(|shade| picture(64, 48, shade)).collect();
    gateway.film_at(0, &pictures[..10], |_| 1_000_000_000);
    gateway.film_at(1, &pictures[10..], |_| 1_200_000_000);
    gateway.footage().media.flush();
    let mut written = gateway.footage().media.written();
    written.wait_for(|written| *written >= 20).await.unwrap();
    let tracks = gateway.tracks(&["counter", "door"]);
    gateway.finish(&request, tracks, ClipState::Complete).await;
    let uri = format!("/api/alerts/{}/still.jpg", request.alert_id);
    let (_, _, jpeg) = raw(&gateway, &uri, &[]).await;
    assert_eq!(&jpeg[..], &pictures[0][..], "the nearest of all");
    let mut config = Config::default();
    for (name, side) in [("counter", None), ("door", Some("0,0,100,40".to_owned()))] {
        let camera = Camera {
            customer_side: side,
            ..Camera::default()
        };
        config.cameras.insert(name.to_owned(), camera);
    }
    gateway.config.send(Arc::new(config)).unwrap();
    let (_, _, jpeg) = raw(&gateway, &uri, &[]).await;
    assert_eq!(&jpeg[..], &pictures[10][..]);
    let (_, _, jpeg) = raw(&gateway, &format!("{uri}?camera=counter"), &[]).await;
    assert_eq!(&jpeg[..], &pictures[0][..]);
}

#[tokio::test]
async fn while_it_is_recorded_the_picture_is_yet_to_come() {
    let gateway = gateway();
    let request = gateway.void("v1").await;
    let uri = format!("/api/alerts/{}/still.jpg", request.alert_id);
    assert_eq!(get(gateway.page(), &uri).await.problem(503), "recording");
}
