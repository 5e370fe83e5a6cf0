//! Who saw footage.

use super::clips::filmed;
use super::*;
use serde_json::json;

impl Gateway {
    /// What the audit says, without what differs from run to run.
    async fn looks(&self, query: &str) -> Vec<Value> {
        self.settle(self.shared.store.last_seq()).await;
        let answer = get(self.page(), &format!("/api/audit{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let Value::Array(mut looks) = answer.json() else {
            panic!("{}", answer.text)
        };
        for look in &mut looks {
            let look = look.as_object_mut().unwrap();
            for name in ["seq", "at", "clock"] {
                assert!(look.remove(name).is_some());
            }
        }
        looks
    }

    /// As somebody's page asks, which is one router for all its requests.
    async fn see(&self, page: &Router, uri: &str) -> StatusCode {
        let request = request("GET", uri).body(Body::empty()).unwrap();
        let response = page.clone().oneshot(request).await.unwrap();
        // On disk before the first byte: nothing of the body was read yet.
        let store = &self.shared.store;
        assert_eq!(*store.durable().borrow(), store.last_seq());
        response.status()
    }
}

#[tokio::test]
async fn every_look_at_a_clip_is_on_disk_before_it_is_shown_and_once_for_each_way() {
    let (gateway, clip, _) = filmed().await;
    let page = gateway.page();
    for _ in 0..3 {
        for path in [
            "frames/0.jpg",
            "frames/7.jpg",
            "sheet.jpg",
            "video.mp4",
            "stream",
        ] {
            let status = gateway.see(&page, &format!("{clip}/{path}")).await;
            assert_eq!(status, StatusCode::OK, "{path}");
        }
    }
    let id = clip.rsplit('/').next().unwrap();
    let look = |what| {
        json!({
            "who": "local page", "role": null, "from": "this machine", "what": what,
            "clip": id, "camera": "counter",
        })
    };
    let expected = ["stream", "video", "sheet", "frames"].map(look);
    assert_eq!(gateway.looks("").await, expected);
    assert_eq!(gateway.looks("?limit=1").await, expected[..1]);
}

#[tokio::test]
async fn the_audit_is_read_page_by_page() {
    let (gateway, clip, _) = filmed().await;
    let page = gateway.page();
    for path in ["frames/0.jpg", "sheet.jpg"] {
        gateway.see(&page, &format!("{clip}/{path}")).await;
    }
    gateway.settle(gateway.shared.store.last_seq()).await;
    let newest = get(gateway.page(), "/api/audit?limit=1").await.json();
    let before = gateway
        .looks(&format!("?before={}", newest[0]["seq"]))
        .await;
    assert_eq!(
        (newest[0]["what"].as_str(), before.len()),
        (Some("sheet"), 1)
    );
    assert_eq!(before[0]["what"], "frames");
    for wrong in ["?limit=0", "?before=x"] {
        let answer = get(gateway.page(), &format!("/api/audit{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn what_is_not_shown_was_not_seen_and_what_says_nothing_is_no_look() {
    let (gateway, clip, _) = filmed().await;
    let page = gateway.page();
    for path in ["/frames/999.jpg", "/video.mp4?camera=attic", "/frames", ""] {
        gateway.see(&page, &format!("{clip}{path}")).await;
    }
    gateway.see(&page, "/api/clips").await;
    assert!(gateway.looks("").await.is_empty());
}

#[tokio::test]
async fn a_look_carries_the_login_its_role_and_what_the_proxy_says() {
    let (gateway, clip, _) = filmed().await;
    let body = json!({"name": "ann", "password": "korrekt horse"}).to_string();
    let answer = post(gateway.page(), "/api/setup", body).await;
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let request = |uri: &str| {
        let request = request("GET", uri).header("cookie", cookie);
        let request = request.header("x-forwarded-for", "203.0.113.9");
        request.body(Body::empty()).unwrap()
    };
    let seen = gateway
        .page()
        .oneshot(request(&format!("{clip}/video.mp4")))
        .await;
    assert_eq!(seen.unwrap().status(), StatusCode::OK);
    gateway.settle(gateway.shared.store.last_seq()).await;
    let look = &send(gateway.page(), request("/api/audit")).await.json()[0];
    assert_eq!(
        (&look["who"], &look["role"], &look["from"]),
        (
            &"ann".into(),
            &"manager".into(),
            &"this machine, for 203.0.113.9".into()
        )
    );
}

#[tokio::test]
async fn footage_that_nobody_would_know_was_seen_is_not_shown() {
    let (gateway, clip, _) = filmed().await;
    let page = gateway.page();
    gateway.shared.store.clone().close();
    for path in ["frames/0.jpg", "video.mp4"] {
        let answer = get(page.clone(), &format!("{clip}/{path}")).await;
        assert_eq!(answer.problem(503), "audit", "{path}");
    }
}

#[tokio::test]
async fn a_look_through_a_camera_is_recorded_and_goes_on_without_a_disk() {
    let gateway = super::clips::gateway();
    let cameras = &gateway.footage().cameras;
    cameras.working(1, 100_000_000);
    let now_ns = crate::clock::monotonic_ns();
    cameras.push(1, now_ns, vec![0xff, 0xd8].into()).unwrap();
    let page = gateway.page();
    let uri = "/api/cameras/door/snapshot.jpg";
    assert_eq!(gateway.see(&page, uri).await, StatusCode::OK);
    let looks = gateway.looks("").await;
    assert_eq!(
        (
            looks.len(),
            &looks[0]["what"],
            &looks[0]["clip"],
            &looks[0]["camera"]
        ),
        (1, &"snapshot".into(), &Value::Null, &"door".into())
    );
    gateway.shared.store.clone().close();
    // Another router, which remembers no look.
    let request = request("GET", uri).body(Body::empty()).unwrap();
    let shown = gateway.page().oneshot(request).await.unwrap();
    assert_eq!(shown.status(), StatusCode::OK);
}
