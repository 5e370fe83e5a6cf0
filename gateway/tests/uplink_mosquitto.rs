//! The uplink against a real Mosquitto, with a durable subscriber as head office.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod mosquitto;
mod uplink_harness;

use mosquitto::Mosquitto;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tillwatch::health::PartState;
use tillwatch_protocol::Lane;
use tokio::task::JoinHandle;
use uplink_harness::{DEADLINE, Gateway, eventually};

/// One message as head office sees it.
#[derive(Debug, Clone)]
struct Arrived {
    topic: String,
    payload: String,
    retained: bool,
    properties: BTreeMap<String, String>,
    content_type: Option<String>,
    at: Instant,
}

impl Arrived {
    fn of(publish: &Publish) -> Self {
        let properties = publish.properties.clone().unwrap_or_default();
        Self {
            topic: String::from_utf8(publish.topic.to_vec()).unwrap(),
            payload: String::from_utf8(publish.payload.to_vec()).unwrap(),
            retained: publish.retain,
            properties: properties.user_properties.into_iter().collect(),
            content_type: properties.content_type,
            at: Instant::now(),
        }
    }

    fn place(&self) -> Option<(u8, u64)> {
        let lane = self.properties.get("lane")?.parse().ok()?;
        let seq = self.properties.get("seq")?.parse().ok()?;
        Some((lane, seq))
    }
}

/// A subscriber with a session that survives broker and network.
struct HeadOffice {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    task: JoinHandle<()>,
}

impl HeadOffice {
    /// Subscribes to `filter` and waits until that is in force.
    async fn open(port: u16, filter: &str) -> Self {
        let mut options = MqttOptions::new("head-office", "127.0.0.1", port);
        options
            .set_clean_start(false)
            .set_session_expiry_interval(Some(3_600))
            .set_max_packet_size(Some(1 << 20));
        let (client, mut eventloop) = AsyncClient::new(options, 10);
        client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let (subscribed, in_force) = tokio::sync::oneshot::channel();
        let task = tokio::spawn({
            let arrived = arrived.clone();
            async move {
                let _client = client;
                let mut subscribed = Some(subscribed);
                loop {
                    match eventloop.poll().await {
                        Ok(Event::Incoming(Packet::Publish(publish))) => {
                            arrived.lock().unwrap().push(Arrived::of(&publish));
                        }
                        Ok(Event::Incoming(Packet::SubAck(_))) => {
                            if let Some(subscribed) = subscribed.take() {
                                subscribed.send(()).unwrap();
                            }
                        }
                        Ok(_) => {}
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
            }
        });
        tokio::time::timeout(DEADLINE, in_force)
            .await
            .unwrap()
            .unwrap();
        Self { arrived, task }
    }

    fn all(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// Lane and number of every queued message, as often as it came, in order.
    fn places(&self) -> Vec<(u8, u64)> {
        let arrived = self.arrived.lock().unwrap();
        arrived.iter().filter_map(Arrived::place).collect()
    }

    /// Waits until each lane is there from 1 to `count`, and checks that the de-duplication key
    /// tells the same as lane and number.
    async fn has_all(&self, count: u64) {
        let expected: BTreeSet<_> = (1..=3_u8)
            .flat_map(|lane| (1..=count).map(move |seq| (lane, seq)))
            .collect();
        eventually("every message of every lane arrived", || {
            BTreeSet::from_iter(self.places()) == expected
        })
        .await;
        let mut ids = BTreeMap::new();
        for message in self.all() {
            if let Some(place) = message.place() {
                let id = message.properties["message_id"].clone();
                assert_eq!(*ids.entry(id).or_insert(place), place);
            }
        }
        assert_eq!(ids.len(), expected.len());
    }
}

impl Drop for HeadOffice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_arrives_once_in_its_lanes_order() {
    let broker = Mosquitto::start("");
    let office = HeadOffice::open(broker.port(), "stores/#").await;
    let mut gateway = Gateway::new(broker.port(), |config| config.uplink.backlog_per_second = 0);
    gateway.queue_in_all_lanes(400).await;
    gateway = gateway.start();
    gateway.emptied().await;
    office.has_all(400).await;

    let places = office.places();
    assert_eq!(places.len(), 1_200, "nothing came twice");
    for lane in 1..=3 {
        let order: Vec<_> = places.iter().filter(|place| place.0 == lane).collect();
        assert!(order.is_sorted(), "lane {lane} came out of order");
    }
    let one = office
        .all()
        .into_iter()
        .find(|message| message.place() == Some((1, 7)))
        .unwrap();
    assert_eq!(one.topic, "stores/S03/alerts");
    assert_eq!(one.content_type.as_deref(), Some("application/json"));
    let payload: serde_json::Value = serde_json::from_str(&one.payload).unwrap();
    assert_eq!(payload["message_id"], one.properties["message_id"]);
    assert_eq!(payload["epoch"], one.properties["epoch"]);
    assert_eq!(payload["seq"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn birth_health_and_farewell_are_seen() {
    let broker = Mosquitto::start("");
    let office = HeadOffice::open(broker.port(), "stores/#").await;
    let mut gateway = Gateway::new(broker.port(), |_| ()).start();
    let states = |office: &HeadOffice| -> Vec<String> {
        let all = office.all().into_iter();
        all.filter(|message| message.topic == "stores/S03/registers/reg_02/state")
            .map(|message| message.payload)
            .collect()
    };
    eventually("the gateway is online", || states(&office) == ["online"]).await;
    let is_health = |message: &Arrived| message.topic == "stores/S03/telemetry/health";
    eventually("health came", || office.all().iter().any(is_health)).await;
    let health = office.all().into_iter().find(is_health).unwrap();
    let health: serde_json::Value = serde_json::from_str(&health.payload).unwrap();
    assert_eq!(health["drivers"]["uplink"]["state"], "up");
    assert_eq!(health["outbox_depth"], 0);
    assert!(health["uptime_s"].is_u64() && health["disk"]["free_bytes"].is_u64());

    gateway.stop().await;
    eventually("the gateway said goodbye", || {
        states(&office) == ["online", "offline"]
    })
    .await;
    let late = HeadOffice::open(broker.port(), "stores/+/registers/+/state").await;
    eventually("the last state is retained", || {
        late.all()
            .iter()
            .any(|message| message.retained && message.payload == "offline")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_restarted_under_load_loses_and_breaks_nothing() {
    let mut broker = Mosquitto::start("");
    let office = HeadOffice::open(broker.port(), "stores/#").await;
    let gateway =
        Gateway::new(broker.port(), |config| config.uplink.backlog_per_second = 0).start();
    let load = async { gateway.queue_in_all_lanes(1_500).await };
    let restarts = async {
        for arrived in [300, 1_500] {
            eventually("messages flow", || office.places().len() > arrived).await;
            tokio::task::block_in_place(|| {
                broker.stop();
                broker.resume();
            });
        }
    };
    tokio::join!(load, restarts);
    gateway.emptied().await;
    office.has_all(1_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_broker_did_not_acknowledge_is_sent_again() {
    let mut broker = Mosquitto::start("");
    let office = HeadOffice::open(broker.port(), "stores/#").await;
    let gateway =
        Gateway::new(broker.port(), |config| config.uplink.backlog_per_second = 0).start();
    gateway.queue_in_all_lanes(1_000).await;
    eventually("messages flow", || office.places().len() > 300).await;
    tokio::task::block_in_place(|| broker.kill());
    gateway.down().await;
    let owed: Vec<_> = Lane::ALL
        .into_iter()
        .flat_map(|lane| gateway.shared.store.outbox().pending(lane, 0, usize::MAX))
        .map(|place| (place.lane.number(), place.lane_seq))
        .collect();
    assert!(!owed.is_empty(), "the kill came too late to show anything");
    // Its memory is gone, sessions included: head office subscribes again.
    drop(office);
    tokio::task::block_in_place(|| broker.resume());
    let office = HeadOffice::open(broker.port(), "stores/#").await;
    gateway.emptied().await;
    eventually("what was owed arrived", || {
        let places = BTreeSet::from_iter(office.places());
        owed.iter().all(|place| places.contains(place))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_topic_holds_up_nothing_but_itself() {
    let broker = Mosquitto::start_with("acl_file {dir}/acl", |dir| {
        std::fs::write(
            dir.join("acl"),
            "topic read #\n\
             topic write stores/S03/events\n\
             topic write stores/S03/orders\n\
             topic write stores/S03/registers/#\n\
             topic write stores/S03/telemetry/#\n",
        )
        .unwrap();
    });
    let office = HeadOffice::open(broker.port(), "stores/#").await;
    let gateway = Gateway::new(broker.port(), |config| config.uplink.backlog_per_second = 0);
    gateway.queue_in_all_lanes(300).await;
    let gateway = gateway.start();
    eventually("the other lanes are through", || {
        gateway.shared.store.outbox().depth() == [300, 0, 0]
    })
    .await;
    eventually("and arrived", || {
        BTreeSet::from_iter(office.places()).len() == 600
    })
    .await;
    assert_eq!(gateway.shared.store.outbox().dead_letters(), []);
    // Mosquitto 2.0 closes on each refusal, and its answer does not always arrive before that.
    // Three strikes, one connection to find the cause: one forbidden topic must not flap the
    // connection for the others for ever.
    let connections = broker.log().matches("as tw-S03-reg_02-up").count();
    assert!(connections <= 6, "{connections} connections");
    gateway.connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_birth_and_health_do_not_break_the_connection_for_alerts() {
    let broker = Mosquitto::start_with("acl_file {dir}/acl", |dir| {
        std::fs::write(
            dir.join("acl"),
            "topic read #\ntopic write stores/S03/alerts\n",
        )
        .unwrap();
    });
    let office = HeadOffice::open(broker.port(), "stores/#").await;
    let gateway = Gateway::new(broker.port(), |_| ()).start();
    for n in 1..=100 {
        gateway.queue(Lane::Urgent, &gateway.topics.alerts(), n);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gateway.emptied().await;
    assert_eq!(BTreeSet::from_iter(office.places()).len(), 100);
    eventually("the connection settles", || {
        broker.log().matches("Denied PUBLISH").count() >= 2
    })
    .await;
    gateway.connected().await;
    let connections = broker.log().matches("as tw-S03-reg_02-up").count();
    assert!(connections <= 6, "{connections} connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_consumer_messages_are_held_until_there_is_one() {
    let broker = Mosquitto::start("");
    let gateway = Gateway::new(broker.port(), |config| config.uplink.backlog_per_second = 0);
    gateway.queue_in_all_lanes(100).await;
    let gateway = gateway.start();
    gateway.connected().await;
    eventually("the broker throws messages away", || {
        broker.log().contains("rc16")
    })
    .await;
    assert_eq!(gateway.depth(), 300, "none of them counts as acknowledged");
    let office = HeadOffice::open(broker.port(), "stores/#").await;
    gateway.emptied().await;
    office.has_all(100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_overtakes_a_backlog() {
    let broker = Mosquitto::start("");
    let office = HeadOffice::open(broker.port(), "stores/#").await;
    let gateway = Gateway::new(broker.port(), |_| ());
    for n in 1..=2_000 {
        gateway.shared.store.room().await;
        gateway.queue(Lane::Bulk, &gateway.topics.events(), n);
    }
    let gateway = gateway.start();
    eventually("the backlog flows", || office.places().len() > 50).await;
    let mut waits: Vec<Duration> = Vec::new();
    for n in 1..=20 {
        let queued = Instant::now();
        let lane_seq = gateway.queue(Lane::Urgent, &gateway.topics.alerts(), n);
        let mut arrived = None;
        eventually("the alert arrived", || {
            let all = office.arrived.lock().unwrap();
            let alert = |message: &&Arrived| message.place() == Some((1, lane_seq));
            arrived = all.iter().rev().find(alert).map(|message| message.at);
            arrived.is_some()
        })
        .await;
        waits.push(arrived.unwrap().saturating_duration_since(queued));
    }
    waits.sort_unstable();
    assert!(waits[10] < Duration::from_millis(150), "{waits:?}");
    assert!(gateway.depth() > 500, "the backlog was rationed meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_host_everything_is_kept_and_a_new_configuration_is_taken_at_once() {
    let broker = Mosquitto::start("");
    let office = HeadOffice::open(broker.port(), "stores/#").await;
    let gateway = Gateway::new(broker.port(), |config| config.uplink.mqtt.host = None).start();
    eventually("the uplink is absent", || {
        gateway.state() == Some(PartState::Absent)
    })
    .await;
    gateway.queue_in_all_lanes(10).await;
    assert_eq!(gateway.depth(), 30);
    gateway.configure(|config| config.uplink.mqtt.host = Some("127.0.0.1".into()));
    gateway.emptied().await;
    office.has_all(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_named_with_the_remedy() {
    let mut broker = Mosquitto::start("");
    broker.stop();
    let gateway = Gateway::new(broker.port(), |_| ()).start();
    let why = gateway.down().await;
    let address = format!("127.0.0.1:{}", broker.port());
    assert!(
        why.contains(&address) && why.contains("nothing listens"),
        "{why}"
    );
    tokio::task::block_in_place(|| broker.resume());
    gateway.connected().await;
}
