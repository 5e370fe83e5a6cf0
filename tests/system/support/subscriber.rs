//! A durable subscriber in head office's place: QoS 1, persistent session, and a memory of every
//! message that arrived.

use super::{wait_for, wait_for_within};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet};
use rumqttc::v5::{Client, Event, MqttOptions};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Message {
    pub topic: String,
    pub json: Value,
    pub retain: bool,
}

pub struct Subscriber {
    messages: Arc<Mutex<Vec<Message>>>,
    stop: Arc<AtomicBool>,
}

impl Subscriber {
    /// Subscribed when this returns.
    pub fn start(port: u16, filter: &str) -> Self {
        let messages: Arc<Mutex<Vec<Message>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let subscribed = Arc::new(AtomicBool::new(false));
        let (kept, stopping, ready) = (messages.clone(), stop.clone(), subscribed.clone());
        let filter = filter.to_owned();
        std::thread::spawn(move || {
            while !stopping.load(Ordering::Acquire) {
                let mut options = MqttOptions::new("head-office", "127.0.0.1", port);
                options
                    .set_clean_start(false)
                    .set_keep_alive(Duration::from_secs(10));
                options.set_max_packet_size(Some(1 << 20));
                let mut properties = ConnectProperties::new();
                properties.session_expiry_interval = Some(3_600);
                options.set_connect_properties(properties);
                let (client, mut connection) = Client::new(options, 64);
                for event in connection.iter() {
                    match event {
                        Ok(Event::Incoming(Packet::ConnAck(_))) => {
                            client
                                .try_subscribe(filter.clone(), QoS::AtLeastOnce)
                                .unwrap();
                        }
                        Ok(Event::Incoming(Packet::SubAck(_))) => {
                            ready.store(true, Ordering::Release)
                        }
                        Ok(Event::Incoming(Packet::Publish(publish))) => {
                            kept.lock().unwrap().push(Message {
                                topic: String::from_utf8(publish.topic.to_vec()).unwrap(),
                                json: serde_json::from_slice(&publish.payload).unwrap_or_else(
                                    |_| Value::from(String::from_utf8_lossy(&publish.payload)),
                                ),
                                retain: publish.retain,
                            })
                        }
                        Ok(_) => {}
                        Err(_) => break,
                    }
                    if stopping.load(Ordering::Acquire) {
                        return;
                    }
                }
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        wait_for("the subscription", || {
            subscribed.load(Ordering::Acquire).then_some(())
        });
        Self { messages, stop }
    }

    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }

    pub fn on(&self, topic_end: &str) -> Vec<Value> {
        self.messages()
            .into_iter()
            .filter(|m| m.topic.ends_with(topic_end))
            .map(|m| m.json)
            .collect()
    }

    pub fn alerts(&self) -> Vec<Value> {
        self.on("/alerts")
    }

    /// Waits for an alert that `is` accepts.
    pub fn alert(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || self.alerts().into_iter().find(|alert| is(alert)))
    }

    /// The same with another deadline.
    pub fn alert_within(&self, limit: Duration, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        wait_for_within(limit, what, || {
            self.alerts().into_iter().find(|alert| is(alert))
        })
    }

    /// Every queued message by its id; the same id with another body is an error.
    pub fn by_message_id(&self) -> BTreeMap<String, Value> {
        let mut by_id: BTreeMap<String, Value> = BTreeMap::new();
        for message in self.messages() {
            let Some(id) = message.json["message_id"].as_str() else {
                continue;
            };
            let before = by_id.insert(id.to_owned(), message.json.clone());
            assert!(
                before.is_none_or(|before| before == message.json),
                "{id} came with two bodies"
            );
        }
        by_id
    }

    /// Lane sequences that arrived, by epoch and lane.
    pub fn lane_sequences(&self) -> BTreeMap<(String, u64), BTreeSet<u64>> {
        let mut lanes: BTreeMap<(String, u64), BTreeSet<u64>> = BTreeMap::new();
        for json in self.by_message_id().values() {
            let epoch = json["epoch"].as_str().unwrap().to_owned();
            let lane = json["lane"].as_u64().unwrap();
            lanes
                .entry((epoch, lane))
                .or_default()
                .insert(json["seq"].as_u64().unwrap());
        }
        lanes
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
