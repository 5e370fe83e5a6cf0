//! What is asked for lists, timelines and figures: pages of alerts, days, what the register is.

use super::tills::pos_body;
use super::*;
use serde_json::json;
use tillwatch_protocol::pos::{ParseContext, parse_pos_event};

fn pos_record(seconds: i64, id: &str) -> Record {
    let context = ParseContext {
        zone: jiff::tz::TimeZone::UTC,
        minor_digits: 2,
    };
    let pos = parse_pos_event(pos_body(id).to_string().as_bytes(), &context).unwrap();
    event(seconds, EventBody::Pos(Box::new(pos)))
}

#[tokio::test]
async fn alerts_are_read_page_by_page() {
    let gateway = Gateway::new();
    let seq = gateway.append(&[event(0, EventBody::Kick)]).await;
    let ids: Vec<_> = (0..5).map(|n| AlertId(Uuid::from_u128(9 - n))).collect();
    for (n, id) in (0..).zip(&ids) {
        let mut one = alert(seq, n, 400);
        one.alert_id = *id;
        gateway.append(&[Record::Alert(one)]).await;
    }
    let (mut uri, mut seen) = ("/api/alerts?limit=2".to_owned(), Vec::new());
    loop {
        let page = get(gateway.page(), &uri).await.json();
        let page = page.as_array().unwrap().clone();
        let Some(last) = page.last() else { break };
        uri = format!(
            "/api/alerts?limit=2&before={}",
            last["alert_id"].as_str().unwrap()
        );
        seen.extend(
            page.iter()
                .map(|of| of["alert_id"].as_str().unwrap().to_owned()),
        );
    }
    let newest_first: Vec<_> = ids.iter().rev().map(ToString::to_string).collect();
    assert_eq!(seen, newest_first);
    let unknown = format!("/api/alerts?before={}", Uuid::from_u128(77));
    assert_eq!(get(gateway.page(), &unknown).await.json(), json!([]));
    assert_eq!(
        get(gateway.page(), "/api/alerts?before=x")
            .await
            .problem(400),
        "parameter"
    );
}

#[tokio::test]
async fn a_day_is_shown_at_one_glance() {
    let gateway = Gateway::new();
    gateway
        .append(&[event(0, EventBody::Kick), pos_record(1, "a1")])
        .await;
    let day = get(gateway.page(), "/api/day?date=2025-10-04").await.json();
    assert_eq!(
        (&day["date"], &day["timezone"]),
        (&json!("2025-10-04"), &json!("UTC"))
    );
    assert_eq!(
        (&day["from"], &day["to"]),
        (
            &json!("2025-10-04T00:00:00.000000Z"),
            &json!("2025-10-05T00:00:00.000000Z")
        )
    );
    assert_eq!(day["till"][0]["event_type"], "void_transaction");
    assert_eq!(
        (day["hours"].as_array().unwrap().len(), &day["complete"]),
        (24, &json!(true))
    );
    let empty = get(gateway.page(), "/api/day?date=2025-10-05").await.json();
    assert_eq!(empty["till"], json!([]));
    for wrong in ["yesterday", "2025-13-01"] {
        let answer = get(gateway.page(), &format!("/api/day?date={wrong}")).await;
        assert_eq!(answer.problem(400), "parameter", "{wrong}");
    }
    let today = get(gateway.page(), "/api/day").await;
    assert_eq!(today.status, StatusCode::OK);
}

#[tokio::test]
async fn the_status_names_zone_and_money_of_the_register() {
    let gateway = Gateway::new();
    let status = get(gateway.page(), "/api/status").await.json();
    assert_eq!(
        (
            &status["timezone"],
            &status["currency"],
            &status["currency_digits"],
            &status["log_level"]
        ),
        (&json!("UTC"), &json!("EUR"), &json!(2), &json!("info"))
    );
    assert_eq!(status["media"], Value::Null, "there is no camera");
}
