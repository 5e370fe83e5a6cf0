//! What the routes answer.

use super::tills::pos_body;
use super::*;
use crate::health::{PartState, part};
use crate::web::{openapi, routes};
use serde_json::json;
use std::sync::atomic::Ordering;
use tillwatch_protocol::Receipt;
use tillwatch_protocol::pos::{ParseContext, parse_pos_event};
use tillwatch_protocol::receipt::{ReceiptEnd, ReceiptKind};
use tillwatch_store::IndexKind;

fn pos_record(seconds: i64, id: &str) -> Record {
    let context = ParseContext {
        zone: jiff::tz::TimeZone::UTC,
        minor_digits: 2,
    };
    let pos = parse_pos_event(pos_body(id).to_string().as_bytes(), &context).unwrap();
    event(seconds, EventBody::Pos(Box::new(pos)))
}

#[tokio::test]
async fn the_newest_events_come_first_with_their_scores() {
    let gateway = Gateway::new();
    let first = gateway
        .append(&[
            pos_record(0, "a1"),
            event(1, EventBody::Tick),
            event(2, EventBody::Kick),
        ])
        .await;
    gateway.append(&[Record::Alert(alert(first, 0, 700))]).await;

    let answer = get(gateway.page(), "/api/events/recent").await;
    let items = answer.json();
    let kinds: Vec<_> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["alert", "kick", "pos"], "ticks are shown to nobody");
    let void = &items[2];
    assert_eq!(void["seq"], first.0);
    assert_eq!(
        (&void["event_id"], &void["order_id"], &void["ticket_no"]),
        (&json!("a1"), &json!("ORD48592"), &json!("T8923"))
    );
    assert_eq!(
        (&void["score"], &void["severity"]),
        (&json!(0.7), &json!("critical"))
    );
    assert_eq!(
        void["contributions"],
        json!([{"rule": "void_transaction", "text": "transaction voided", "points": 0.7}])
    );
    assert_eq!(void["alert_id"], items[0]["alert_id"]);
    assert_eq!(void["pos"]["amount"], json!(150.0));
    assert_eq!(items[1]["score"], Value::Null);

    let same = get(gateway.page(), "/api/events?limit=1").await.json();
    assert_eq!(same, json!([items[0]]));
}

#[tokio::test]
async fn a_range_is_read_page_by_page() {
    let gateway = Gateway::new();
    let records: Vec<_> = (0..5).map(|n| event(n / 2, EventBody::Kick)).collect();
    gateway.append(&records).await;
    let mut uri = "/api/events/range?start=2025-10-04&end=2025-10-04&limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let answer = get(gateway.page(), &uri).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let items = answer.json();
        seen.extend(
            items
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["seq"].as_u64().unwrap()),
        );
        let Some(link) = answer.headers.get(header::LINK) else {
            break;
        };
        let link = link.to_str().unwrap();
        assert!(link.ends_with("; rel=\"next\""), "{link}");
        uri = link[1..link.find('>').unwrap()].to_owned();
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted());
    let none = get(
        gateway.page(),
        "/api/events/range?start=2025-10-05&end=2025-10-06",
    )
    .await
    .json();
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn receipts_are_found_by_their_words() {
    let gateway = Gateway::new();
    let receipt = |line: &str| {
        let receipt = Receipt {
            kind: ReceiptKind::Sale,
            lines: vec!["Corner Shop".into(), line.into()],
            marks: vec![],
            number: Some("T8923".into()),
            cashier: None,
            total: None,
            kicks: 1,
            images: 0,
            bytes: 80,
            began_ns: 0,
            ended_ns: 0,
            end: ReceiptEnd::Cut,
            damaged: false,
        };
        event(0, EventBody::Receipt(Box::new(receipt)))
    };
    gateway
        .append(&[receipt("Oat milk 2.10"), receipt("Rye bread 3.40")])
        .await;
    let found = get(gateway.page(), "/api/receipts?q=bread").await.json();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["receipt"]["lines"][1], "Rye bread 3.40");
    assert_eq!(found[0]["ticket_no"], "T8923");
    let all = get(gateway.page(), "/api/receipts").await.json();
    assert_eq!(all, get(gateway.page(), "/api/receipts?q=%20").await.json());
    assert!(
        all[0]["seq"].as_u64() > all[1]["seq"].as_u64(),
        "without words the newest come first"
    );
    let long = format!("/api/receipts?q={}", "a".repeat(201));
    assert_eq!(get(gateway.page(), &long).await.problem(400), "parameter");
}

#[tokio::test]
async fn the_review_queue_is_ranked_capped_and_emptied_by_verdicts() {
    let gateway = Gateway::new();
    let mut config = Config::default();
    config.detection.review_queue_per_day = 2;
    gateway.config.send(Arc::new(config)).unwrap();
    let alerts = [(1, 400), (2, 900), (3, 700)];
    let records: Vec<_> = alerts
        .iter()
        .map(|(cause, milli)| Record::Alert(alert(Seq(*cause), 0, *milli)))
        .collect();
    gateway.append(&records).await;

    let answer = get(gateway.page(), "/api/alerts/pending").await;
    assert_eq!(answer.headers["tillwatch-left-out"], "1");
    let pending = answer.json();
    let scores: Vec<_> = pending
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| alert["score"].clone())
        .collect();
    assert_eq!(scores, [json!(0.9), json!(0.7)]);

    let id = pending[0]["alert_id"].as_str().unwrap();
    let verdict = json!({"verdict": "legitimate", "note": "manager was there"});
    let judged = post(
        gateway.page(),
        &format!("/api/alerts/{id}/review"),
        verdict.to_string(),
    )
    .await;
    assert_eq!(judged.status, StatusCode::OK, "{}", judged.text);
    let expected = json!({"alert_id": id, "verdict": "legitimate", "note": "manager was there", "reviewer": "local page"});
    assert_eq!(judged.json()["review"], expected);

    let one = get(gateway.page(), &format!("/api/alerts/{id}"))
        .await
        .json();
    assert_eq!(one["review"], expected);
    assert!(
        one["text"]
            .as_str()
            .unwrap()
            .contains("Order ID:      ORD48592"),
        "{one}"
    );
    let left = get(gateway.page(), "/api/alerts/pending").await.json();
    let scores: Vec<_> = left
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| alert["score"].clone())
        .collect();
    assert_eq!(scores, [json!(0.7), json!(0.4)]);
    assert_eq!(
        get(gateway.page(), "/api/alerts")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        get(gateway.page(), "/api/alerts?pending=true")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn a_verdict_that_makes_no_sense_changes_nothing() {
    let gateway = Gateway::new();
    gateway
        .append(&[Record::Alert(alert(Seq(1), 0, 700))])
        .await;
    let before = gateway.shared.store.last_seq();
    let id = alert(Seq(1), 0, 700).alert_id;
    let uri = format!("/api/alerts/{id}/review");
    let long = json!({"verdict": "confirmed", "note": "x".repeat(2_001)}).to_string();
    let cases = [
        (uri.as_str(), r#"{"verdict":"guilty"}"#, 422, "content"),
        (uri.as_str(), r#"{"note":"?"}"#, 422, "content"),
        (uri.as_str(), long.as_str(), 422, "content"),
        (uri.as_str(), r#"{"verdict":"#, 400, "request"),
        (
            "/api/alerts/12/review",
            r#"{"verdict":"confirmed"}"#,
            400,
            "parameter",
        ),
        (
            "/api/alerts/00000000-0000-0000-0000-000000000000/review",
            r#"{"verdict":"confirmed"}"#,
            404,
            "not-found",
        ),
    ];
    for (uri, body, status, kind) in cases {
        assert_eq!(
            post(gateway.page(), uri, body.to_owned())
                .await
                .problem(status),
            kind,
            "{body}"
        );
    }
    let untyped = request("POST", &uri)
        .body(Body::from(r#"{"verdict":"confirmed"}"#))
        .unwrap();
    assert_eq!(
        send(gateway.page(), untyped).await.problem(415),
        "media-type"
    );
    assert_eq!(gateway.shared.store.last_seq(), before);
}

#[tokio::test]
async fn bad_requests_are_problem_documents() {
    let gateway = Gateway::new();
    let parameters = [
        "/api/events/recent?limit=0",
        "/api/events/recent?limit=1001",
        "/api/events/range?start=2025-10-04",
        "/api/events/range?end=2025-10-04",
        "/api/events/range?start=yesterday&end=2025-10-04",
        "/api/events/range?start=2025-10-05&end=2025-10-04",
        "/api/events/range?start=2025-10-04&end=2025-10-04&cursor=x",
        "/api/alerts/not-a-uuid",
    ];
    for uri in parameters {
        assert_eq!(
            get(gateway.page(), uri).await.problem(400),
            "parameter",
            "{uri}"
        );
    }
    for uri in [
        "/api/events/recent?limit=many",
        "/api/events/recent?page=2",
        "/api/alerts?pending=perhaps",
    ] {
        assert_eq!(
            get(gateway.page(), uri).await.problem(400),
            "request",
            "{uri}"
        );
    }
    assert_eq!(
        get(gateway.page(), "/nowhere").await.problem(404),
        "not-found"
    );
    let wrong = post(gateway.page(), "/api/status", "").await;
    assert_eq!(wrong.problem(405), "method");
    assert!(
        wrong.headers[header::ALLOW]
            .to_str()
            .unwrap()
            .contains("GET")
    );
}

#[tokio::test]
async fn ready_says_what_is_missing() {
    let gateway = Gateway::new();
    assert_eq!(
        get(gateway.page(), "/healthz").await.json(),
        json!({"status": "serving"})
    );
    let health = &gateway.shared.health;
    health.set(part::DRAWER, "", PartState::Absent);
    health.set(
        part::POS_MQTT,
        "192.0.2.10:1883",
        PartState::Down {
            reason: "no route; check the cable".into(),
        },
    );
    let answer = get(gateway.page(), "/readyz").await;
    assert_eq!(answer.problem(503), "not-ready");
    let missing = answer.json()["missing"].clone();
    assert_eq!(missing["pos_mqtt"], "no route; check the cable");
    assert!(
        missing["log"].is_string() && missing["drawer"].is_null(),
        "{missing}"
    );
    assert!(answer.headers.contains_key(header::RETRY_AFTER));

    health.accepting.store(true, Ordering::Release);
    health.set(part::POS_MQTT, "192.0.2.10:1883", PartState::Up);
    assert_eq!(
        get(gateway.page(), "/readyz").await.json(),
        json!({"status": "ready"})
    );
    let status = get(gateway.page(), "/api/status").await.json();
    assert_eq!(
        (&status["ready"], &status["parts"]["pos_mqtt"]["state"]),
        (&json!(true), &json!("up"))
    );
    assert_eq!(
        (&status["store_code"], &status["register_id"]),
        (&json!("S03"), &json!("reg_02"))
    );
}

#[tokio::test]
async fn metrics_are_rendered_with_what_the_store_says() {
    crate::web::metrics::install();
    let gateway = Gateway::new();
    let answer = get(gateway.page(), "/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer.text.contains("outbox_depth{lane=\"urgent\"} 0"),
        "{}",
        answer.text
    );
    for name in [
        "outbox_oldest_seconds",
        "pos_events_total",
        "alerts_triggered_total",
        "frames_captured_total",
        "frames_dropped_total",
        "catalog_version",
        "log_writable",
    ] {
        assert!(
            answer
                .text
                .lines()
                .any(|line| line.starts_with(&format!("{name} "))),
            "{name} is missing: {}",
            answer.text
        );
    }
    assert!(
        answer.headers[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
}

#[tokio::test]
async fn the_contract_has_every_route_and_no_other() {
    let gateway = Gateway::new();
    let document = get(gateway.page(), "/api/openapi.json").await.json();
    assert_eq!(document, serde_json::to_value(openapi::contract()).unwrap());
    let documented: BTreeMap<&str, Vec<String>> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, methods)| {
            (
                path.as_str(),
                methods
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(|m| m.to_uppercase())
                    .collect(),
            )
        })
        .collect();
    let mut served = BTreeMap::new();
    for (path, _) in routes() {
        // No route answers this method, so each says which ones it does.
        let uri = path.replace(['{', '}'], "");
        let answer = send(
            gateway.page(),
            request("PATCH", &uri).body(Body::empty()).unwrap(),
        )
        .await;
        assert_eq!(answer.problem(405), "method", "{path}");
        let allow = answer.headers[header::ALLOW].to_str().unwrap().to_owned();
        let methods: Vec<_> = allow
            .split(',')
            .filter(|method| *method != "HEAD")
            .map(str::to_owned)
            .collect();
        served.insert(path, methods);
    }
    assert_eq!(served, documented);
}

#[tokio::test]
async fn while_the_index_is_rebuilt_nothing_incomplete_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let alert = alert(Seq(1), 0, 700);
    let (store, _) = Store::open(folder.path(), StoreOptions::small()).unwrap();
    let records = [event(0, EventBody::Kick), Record::Alert(alert.clone())];
    let last = store.append(&records, Urgency::Now).unwrap().last;
    store.durable_through(last).await.unwrap();
    store.close();
    // An index that cannot be made as long as these are files.
    let aside = folder.path().join("aside");
    std::fs::write(folder.path().join("index"), b"").unwrap();
    std::fs::write(&aside, b"").unwrap();
    let options = StoreOptions {
        index: IndexKind::Sled,
        ..StoreOptions::small()
    };
    let gateway = Gateway::over(folder, options);

    let one = format!("/api/alerts/{}", alert.alert_id);
    let verdict = format!("{one}/review");
    let get = |uri| get(gateway.page(), uri);
    let asked = tokio::join!(
        get("/api/alerts/pending"),
        get("/api/alerts"),
        get(&one),
        get("/api/events/recent"),
        get("/api/events/range?start=2025-10-04&end=2025-10-04"),
        get("/api/receipts?q=milk"),
        post(gateway.page(), &verdict, r#"{"verdict":"legitimate"}"#),
    );
    let asked: [Answer; 7] = asked.into();
    for answer in asked {
        assert_eq!(answer.problem(503), "index");
        assert_eq!(answer.headers[header::RETRY_AFTER], "1");
        let detail = answer.json()["detail"].to_string();
        assert!(
            detail.contains("the index is being rebuilt: 0 of 2 records"),
            "{detail}"
        );
    }

    std::fs::remove_file(&aside).unwrap();
    let answer = get(&one).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let pending = get("/api/alerts/pending").await.json();
    assert_eq!(pending.as_array().unwrap().len(), 1);
}
