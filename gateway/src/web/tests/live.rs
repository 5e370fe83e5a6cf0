//! The live feed.

use super::*;
use crate::web::LIVE_READERS;
use axum::body::BodyDataStream;
use futures_util::StreamExt as _;
use std::time::Duration;
use tillwatch_protocol::Notice;

/// Reads the feed event by event.
struct Reader {
    stream: BodyDataStream,
    buffer: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    id: Option<u64>,
    event: String,
    data: String,
}

impl Reader {
    async fn open(router: Router, last: Option<&str>) -> Self {
        let mut request = request("GET", "/api/live");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        Self {
            stream: response.into_body().into_data_stream(),
            buffer: String::new(),
        }
    }

    async fn next(&mut self) -> Option<Seen> {
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let block: String = self.buffer.drain(..end + 2).collect();
                let field = |name: &str| {
                    block.lines().find_map(|line| {
                        line.strip_prefix(name)?
                            .strip_prefix(": ")
                            .map(str::to_owned)
                    })
                };
                let id = field("id").map(|id| id.parse().unwrap());
                return Some(Seen {
                    id,
                    event: field("event")?,
                    data: field("data").unwrap(),
                });
            }
            let bytes = tokio::time::timeout(Duration::from_secs(10), self.stream.next())
                .await
                .unwrap()?
                .unwrap();
            self.buffer.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.push(self.next().await.unwrap().id.unwrap());
        }
        ids
    }
}

fn notice(text: &str) -> EventBody {
    EventBody::Notice(Notice {
        code: "test".into(),
        text: text.into(),
        stamp: stamp(0),
    })
}

impl Gateway {
    /// By the front door, so that it goes to the live feed too.
    async fn happen(&self, body: EventBody) -> Seq {
        let taken = self
            .shared
            .intake
            .bulk(self.shared.clock.stamp(), body)
            .await
            .unwrap()
            .await
            .unwrap();
        let Taken::New(seq) = taken else {
            panic!("{taken:?}")
        };
        seq
    }
}

#[tokio::test]
async fn what_happens_is_told_with_its_place_in_the_log() {
    let gateway = Gateway::new();
    gateway.append(&[event(0, EventBody::Kick)]).await;
    let mut reader = Reader::open(gateway.page(), None).await;
    let seq = gateway.happen(notice("paper is low")).await;
    let seen = reader.next().await.unwrap();
    assert_eq!(
        (seen.id, seen.event.as_str()),
        (Some(seq.0), "notice"),
        "what was before is not repeated"
    );
    let item: Value = serde_json::from_str(&seen.data).unwrap();
    assert_eq!(
        (&item["seq"], &item["text"]),
        (&Value::from(seq.0), &Value::from("paper is low"))
    );
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_what_it_missed_once() {
    let gateway = Gateway::new();
    let mut records = vec![event(0, EventBody::Kick); 600];
    records[300] = event(0, EventBody::Tick);
    for some in records.chunks(200) {
        gateway.append(some).await;
    }
    let mut reader = Reader::open(gateway.page(), Some("2")).await;
    let later = gateway.happen(EventBody::Kick).await;
    let ids = reader.ids(598).await;
    let expected: Vec<u64> = (3..=601).filter(|seq| *seq != 301).collect();
    assert_eq!(later, Seq(601));
    assert_eq!(
        ids, expected,
        "several pages of the log, then what happens; no tick"
    );
}

#[tokio::test]
async fn a_slow_reader_is_told_and_reads_the_rest_from_the_log() {
    let gateway = Gateway::new();
    let mut reader = Reader::open(gateway.page(), None).await;
    // More than the feed holds for a reader that does not read.
    let total = LIVE_BACKLOG + 50;
    let sent = gateway.shared.live.subscribe();
    for _ in 0..total {
        gateway.happen(EventBody::Kick).await;
    }
    while sent.len() < total {
        tokio::task::yield_now().await;
    }
    let (mut ids, mut lost) = (Vec::new(), 0);
    while ids.len() < total {
        let seen = reader.next().await.unwrap();
        match seen.id {
            Some(id) => ids.push(id),
            None => {
                assert_eq!(seen.event, "lagged");
                lost += serde_json::from_str::<Value>(&seen.data).unwrap()["lost"]
                    .as_u64()
                    .unwrap();
            }
        }
    }
    let expected: Vec<u64> = (1..=total as u64).collect();
    assert_eq!(ids, expected, "nothing is left out and nothing comes twice");
    assert!(lost > 0);
}

#[tokio::test]
async fn positions_that_cannot_be_are_refused_or_begin_now() {
    let gateway = Gateway::new();
    let odd = request("GET", "/api/live")
        .header("last-event-id", "yesterday")
        .body(Body::empty())
        .unwrap();
    assert_eq!(send(gateway.page(), odd).await.problem(400), "parameter");
    // A position of another log: the data directory was replaced.
    let mut reader = Reader::open(gateway.page(), Some("9999")).await;
    let seq = gateway.happen(EventBody::Kick).await;
    assert_eq!(reader.ids(1).await, [seq.0]);
}

#[tokio::test]
async fn readers_are_bounded_and_their_places_come_back() {
    let gateway = Gateway::new();
    let router = gateway.page();
    let mut readers = Vec::new();
    for _ in 0..LIVE_READERS {
        readers.push(Reader::open(router.clone(), None).await);
    }
    assert_eq!(
        get(router.clone(), "/api/live").await.problem(503),
        "readers"
    );
    readers.pop();
    Reader::open(router, None).await;
}
