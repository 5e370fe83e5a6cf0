//! A POS broker that does not grant everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod uplink_harness;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tillwatch::health::{PartState, part};
use tillwatch::intake::{self, Lanes, Taken};
use tillwatch::sources::pos_mqtt;
use tillwatch::{Shared, config};
use tillwatch_protocol::{EventBody, Witness, WitnessState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use uplink_harness::{Gateway, eventually};

/// Filters that the broker refuses.
type Refused = Arc<Mutex<BTreeSet<String>>>;

/// Serves one client; publishes one void on every filter that it grants.
async fn broker(listener: TcpListener, refused: Refused, connections: Arc<Mutex<u32>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        *connections.lock().unwrap() += 1;
        // Err: the client went.
        let _ = serve(stream, &refused).await;
    }
}

async fn serve(mut stream: TcpStream, refused: &Refused) -> std::io::Result<()> {
    let mut published = 0_u16;
    loop {
        let header = stream.read_u8().await?;
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = stream.read_u8().await?;
            length |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        match header >> 4 {
            1 => stream.write_all(&[0x20, 3, 0, 0, 0]).await?,
            8 => {
                let filters = filters(&body[3..]);
                let mut answer = vec![0x90, 3 + u8::try_from(filters.len()).unwrap()];
                answer.extend_from_slice(&[body[0], body[1], 0]);
                let granted: Vec<bool> = {
                    let refused = refused.lock().unwrap();
                    filters.iter().map(|f| !refused.contains(f)).collect()
                };
                answer.extend(
                    granted
                        .iter()
                        .map(|granted| if *granted { 1 } else { 0x87 }),
                );
                stream.write_all(&answer).await?;
                for (filter, _) in filters.iter().zip(granted).filter(|(_, granted)| *granted) {
                    published += 1;
                    stream.write_all(&void(filter, published)).await?;
                }
            }
            12 => stream.write_all(&[0xD0, 0]).await?,
            _ => {}
        }
    }
}

/// The filters of a SUBSCRIBE, behind packet id and properties.
fn filters(mut rest: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let [high, low, text @ ..] = rest {
        let (text, options) = text.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        found.push(String::from_utf8(text.to_vec()).unwrap());
        rest = &options[1..];
    }
    found
}

/// A PUBLISH of QoS 1 whose event is named after its topic.
fn void(topic: &str, pkid: u16) -> Vec<u8> {
    let payload = format!(r#"{{"event_id":"{topic}","event_type":"void_transaction"}}"#);
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(&pkid.to_be_bytes());
    body.push(0);
    body.extend_from_slice(payload.as_bytes());
    let mut packet = vec![0x32, u8::try_from(body.len()).unwrap()];
    packet.extend(body);
    packet
}

/// What came out of the source so far.
#[derive(Default)]
struct Seen {
    events: BTreeSet<String>,
    witness: Vec<&'static str>,
    notices: Vec<String>,
}

async fn take(mut lanes: Lanes, seen: Arc<Mutex<Seen>>) {
    loop {
        let incoming = tokio::select! {
            Some(incoming) = lanes.witnesses.recv() => incoming,
            Some(incoming) = lanes.bulk.recv() => incoming,
            else => return,
        };
        if let Some(answer) = incoming.answer {
            // Nothing to wait for.
            answer.send(Taken::NotOurs).unwrap();
        }
        let mut seen = seen.lock().unwrap();
        match incoming.body {
            EventBody::Pos(event) => drop(seen.events.insert(event.event_id.clone())),
            EventBody::Witness { witness, state } => {
                assert_eq!(witness, Witness::Pos);
                seen.witness.push(match state {
                    WitnessState::Alive => "alive",
                    WitnessState::Lost { .. } => "lost",
                    _ => "other",
                });
            }
            EventBody::Notice(notice) => {
                assert_eq!(notice.code, "pos_subscription_refused");
                seen.notices.push(notice.text);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn part_state(shared: &Shared, name: &str) -> Option<PartState> {
    shared
        .health
        .parts()
        .get(name)
        .map(|part| part.state.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_is_told_and_the_granted_topics_go_on() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let voids = "pos/events/S03/void".to_owned();
    let refused = Refused::new(Mutex::new([voids.clone()].into()));
    let connections = Arc::default();
    tokio::spawn(broker(listener, refused.clone(), Arc::clone(&connections)));

    let gateway = Gateway::new(port, |config| {
        config.pos.enabled = true;
        config.store_code = Some(tillwatch_protocol::StoreCode::new("S03").unwrap());
        config.pos.mqtt = config::Mqtt {
            host: Some("127.0.0.1".into()),
            port: Some(port),
            ..config::Mqtt::default()
        };
    });
    let mut shared = gateway.shared.clone();
    let (intake, lanes) = intake::lanes();
    shared.intake = intake;
    shared
        .health
        .accepting
        .store(true, std::sync::atomic::Ordering::Release);
    let seen = Arc::new(Mutex::new(Seen::default()));
    tokio::spawn(take(lanes, seen.clone()));
    let shutdown = CancellationToken::new();
    let again = Duration::from_millis(50);
    let task = pos_mqtt::start_with(shared.clone(), shutdown.clone(), again);

    let others = ["discount", "refund", "drawer", "general"];
    let others: BTreeSet<_> = others.map(|kind| format!("pos/events/S03/{kind}")).into();
    eventually("the granted topics", || {
        seen.lock().unwrap().events == others
    })
    .await;
    eventually("the refused one to be told", || {
        seen.lock().unwrap().notices.len() == 1
    })
    .await;
    assert!(seen.lock().unwrap().notices[0].contains(&voids));
    assert_eq!(part_state(&shared, part::POS_MQTT), Some(PartState::Up));
    match part_state(&shared, part::POS_TOPICS) {
        Some(PartState::Down { reason }) => assert!(reason.contains(&voids), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(!shared.health.ready());
    assert_eq!(
        seen.lock().unwrap().witness,
        ["lost"],
        "its silence means nothing"
    );

    // Somebody mends the access rules.
    refused.lock().unwrap().clear();
    eventually("the topic that is granted now", || {
        seen.lock().unwrap().events.contains(&voids)
    })
    .await;
    eventually("ready", || shared.health.ready()).await;
    eventually("the witness", || {
        seen.lock().unwrap().witness == ["lost", "alive"]
    })
    .await;
    assert_eq!(seen.lock().unwrap().notices.len(), 1, "told once");
    assert_eq!(*connections.lock().unwrap(), 1, "on the same connection");
    shutdown.cancel();
    task.await.unwrap();
}
