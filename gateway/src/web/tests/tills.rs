//! Tills that post their events.

use super::*;
use crate::web::{BODY_BYTES, pos};
use serde_json::json;
use std::time::Duration;

pub fn pos_body(id: &str) -> Value {
    json!({"event_id": id, "event_type": "void_transaction", "order_id": "ORD48592", "ticket_no": "T8923",
           "amount": 150.0, "timestamp": "2025-10-04T14:34:15Z"})
}

#[tokio::test]
async fn a_till_is_told_what_is_on_disk() {
    let gateway = Gateway::new();
    let one = post(gateway.page(), "/api/pos-events", pos_body("a").to_string()).await;
    assert_eq!(
        (one.status, one.json()),
        (
            StatusCode::OK,
            json!({"accepted": 1, "duplicates": 0, "not_ours": 0, "refused": []})
        )
    );
    let durable = *gateway.shared.store.durable().borrow();
    assert_eq!(durable, gateway.shared.store.last_seq());

    let array = json!([pos_body("a"), pos_body("b"), {"event_id": "c"}]).to_string();
    let mixed = post(gateway.page(), "/api/pos-events", array).await;
    assert_eq!(mixed.status, StatusCode::MULTI_STATUS, "{}", mixed.text);
    let receipt = mixed.json();
    assert_eq!(
        (&receipt["accepted"], &receipt["duplicates"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (
            &receipt["refused"][0]["index"],
            &receipt["refused"][0]["reason"]
        ),
        (&json!(2), &json!("field_missing"))
    );

    assert_eq!(
        post(gateway.page(), "/api/pos-events", "[]").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn what_no_till_can_mean_is_quarantined_and_refused() {
    let gateway = Gateway::new();
    for body in [
        "nonsense",
        "[{\"event_id\":",
        "[{}]",
        "{\"event_id\":\"\",\"event_type\":\"x\"}",
    ] {
        assert_eq!(
            post(gateway.page(), "/api/pos-events", body)
                .await
                .problem(422),
            "content",
            "{body}"
        );
    }
    // They are answered as soon as they are taken, and readable once they are on disk.
    let shown = async {
        loop {
            let items = get(gateway.page(), "/api/quarantine").await.json();
            if items.as_array().unwrap().len() == 4 {
                return items;
            }
            tokio::task::yield_now().await;
        }
    };
    let items = tokio::time::timeout(Duration::from_secs(10), shown)
        .await
        .unwrap();
    let raw: Vec<_> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["raw"].as_str().unwrap())
        .collect();
    assert_eq!(
        raw,
        [
            "{\"event_id\":\"\",\"event_type\":\"x\"}",
            "{}",
            "[{\"event_id\":",
            "nonsense"
        ]
    );
    assert_eq!(items[0]["source"], "pos.http");
    assert_eq!(
        get(gateway.page(), "/api/status").await.json()["quarantine"]["total"],
        4
    );
}

#[tokio::test]
async fn events_of_another_register_are_counted_and_not_kept() {
    let gateway = Gateway::new();
    let config = Config {
        register_id: Some(RegisterId::new("reg_02").unwrap()),
        ..Config::default()
    };
    gateway.config.send(Arc::new(config)).unwrap();
    let mut body = pos_body("a");
    body["register_id"] = "reg_09".into();
    let answer = post(gateway.page(), "/api/pos-events", body.to_string()).await;
    assert_eq!(
        (answer.status, &answer.json()["not_ours"]),
        (StatusCode::OK, &json!(1))
    );
    assert_eq!(gateway.shared.store.last_seq(), Seq(0));
}

#[tokio::test]
async fn bodies_are_bounded_and_typed() {
    let gateway = Gateway::new();
    let large = post(
        gateway.page(),
        "/api/pos-events",
        vec![b' '; BODY_BYTES + 1],
    )
    .await;
    assert_eq!(large.problem(413), "too-large");
    let many = format!("[{}1]", "1,".repeat(pos::MOST_EVENTS));
    assert_eq!(
        post(gateway.page(), "/api/pos-events", many)
            .await
            .problem(413),
        "too-large"
    );
    let form = request("POST", "/api/pos-events").header(header::CONTENT_TYPE, "text/plain");
    let form = form.body(Body::from(pos_body("a").to_string())).unwrap();
    assert_eq!(send(gateway.page(), form).await.problem(415), "media-type");
    let curl = request("POST", "/api/pos-events")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let curl = curl.body(Body::from(pos_body("c").to_string())).unwrap();
    assert_eq!(
        send(gateway.page(), curl).await.status,
        StatusCode::OK,
        "what curl -d says unless it is told otherwise"
    );
    let untyped = request("POST", "/api/pos-events")
        .body(Body::from(pos_body("a").to_string()))
        .unwrap();
    assert_eq!(
        send(gateway.page(), untyped).await.status,
        StatusCode::OK,
        "an old till names no type"
    );
}
