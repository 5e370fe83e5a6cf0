//! Tills that work on while the gateway is killed under them. What was accepted is remembered here,
//! outside of what is killed.

use crate::shop::Shop;
use crate::support::wait_for_within;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet, PubAckReason};
use rumqttc::v5::{Client, Event, MqttOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Tills that post by HTTP at once; one more publishes by MQTT.
const TILLS: u64 = 4;
/// Each till rests this long after an accepted event: a busy shop, not a flood.
const PACE: Duration = Duration::from_millis(20);
/// Pause before an event is sent again.
const AGAIN: Duration = Duration::from_millis(20);
/// How long an event may take to be accepted, restart included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Everyone at the tills: few, so that what the gateway knows of each matters.
const STAFF: u64 = 5;

/// An event of a till.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Its id is in the body as well.
    pub id: String,
    pub topic: &'static str,
    pub body: Value,
}

impl Sent {
    /// The n-th event of a till: voids, which always become an alert, and now and then a changed
    /// quantity of a sale with so many `lines`, which never does and fills the log.
    fn new(till: &str, n: u64, lines: u64) -> Self {
        let id = format!("{till}-{n}");
        let (topic, kind) = if n % 4 == 3 {
            ("pos/events/S03/general", "quantity_changed")
        } else {
            ("pos/events/S03/void", "void_transaction")
        };
        let mut body = json!({
            "event_id": id, "event_type": kind, "amount": n % 1_500,
            "staff_id": format!("emp_{}", n % STAFF), "order_id": format!("ORD-{id}"),
        });
        if kind == "quantity_changed" {
            let line = |place| {
                json!({"sku": format!("SKU{place}"), "name": "a thing with a rather long name that a label has no room for",
                    "quantity": 2, "unit_price": 100.0, "total_price": 200.0})
            };
            body["items"] = (0..lines).map(line).collect();
        }
        Self { id, topic, body }
    }

    pub fn alarms(&self) -> bool {
        self.body["event_type"] == "void_transaction"
    }
}

/// What the tills share.
#[derive(Debug, Default)]
struct Counter {
    /// Address of the gateway's door for tills; empty while it is not known.
    url: Mutex<String>,
    accepted: Mutex<BTreeMap<String, Sent>>,
    /// The gateway is known to be dead.
    dead: AtomicBool,
    /// Messages that the broker took from the first byte to the acknowledgement while it was.
    while_dead: AtomicU64,
    stop: AtomicBool,
}

impl Counter {
    fn accept(&self, sent: Sent) {
        self.accepted.lock().unwrap().insert(sent.id.clone(), sent);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

pub struct Load {
    counter: Arc<Counter>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    /// Begins. The gateway's session at the broker must exist: what the broker takes for nobody
    /// is no promise to anybody. A long sale has so many `lines`.
    pub fn start(shop: &Shop, lines: u64) -> Self {
        let counter: Arc<Counter> = Arc::default();
        let mut threads = Vec::new();
        for till in 0..TILLS {
            let counter = counter.clone();
            threads.push(std::thread::spawn(move || {
                post(&format!("http{till}"), lines, &counter)
            }));
        }
        let (publishing, broker_port) = (counter.clone(), shop.broker.port());
        threads.push(std::thread::spawn(move || {
            publish(broker_port, lines, &publishing)
        }));
        let load = Self { counter, threads };
        load.aim(&shop.gateway.url(""));
        load
    }

    /// Where the gateway listens now.
    pub fn aim(&self, address: &str) {
        *self.counter.url.lock().unwrap() = format!("{address}/api/pos-events");
    }

    /// Events accepted so far.
    pub fn count(&self) -> usize {
        self.counter.accepted.lock().unwrap().len()
    }

    /// Waits until `more` events were accepted.
    pub fn goes_on(&self, more: usize) {
        let before = self.count();
        wait_for_within(PATIENCE, "events to be accepted", || {
            (self.count() >= before + more).then_some(())
        });
    }

    /// The gateway is dead: waits until the broker has taken a message for it all the same.
    pub fn sells_to_the_dead(&self) {
        let counter = &self.counter;
        let before = counter.while_dead.load(Ordering::Acquire);
        counter.dead.store(true, Ordering::Release);
        wait_for_within(PATIENCE, "the broker to take a message", || {
            (counter.while_dead.load(Ordering::Acquire) > before).then_some(())
        });
        counter.dead.store(false, Ordering::Release);
    }

    /// Sends the tills home; what was accepted, by id.
    pub fn end(mut self) -> BTreeMap<String, Sent> {
        self.counter.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        self.counter.accepted.lock().unwrap().clone()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.counter.stop.store(true, Ordering::Release);
    }
}

/// Posts until told to stop. An event that got no answer is posted again, unchanged, as a till does.
fn post(till: &str, lines: u64, counter: &Counter) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .into();
    for n in 0.. {
        let sent = Sent::new(till, n, lines);
        loop {
            if counter.stopped() {
                return;
            }
            let url = counter.url.lock().unwrap().clone();
            let request = agent.post(&url).header("content-type", "application/json");
            match request.send(sent.body.to_string()) {
                Ok(response) if response.status().is_success() => break,
                // Dead, or not up again yet.
                _ => std::thread::park_timeout(AGAIN),
            }
        }
        counter.accept(sent);
        std::thread::park_timeout(PACE);
    }
}

/// Publishes with QoS 1 until told to stop, one message after the other; accepted is what the broker
/// acknowledged, whether the gateway lives or not.
fn publish(port: u16, lines: u64, counter: &Counter) {
    let mut options = MqttOptions::new("till", "127.0.0.1", port);
    options
        .set_clean_start(false)
        .set_keep_alive(Duration::from_secs(10));
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(3_600);
    options.set_connect_properties(properties);
    let (client, mut connection) = Client::new(options, 8);
    let mut numbers = 0..;
    let mut sent = Sent::new("mqtt", 0, lines);
    let mut dead = false;
    let send = |sent: &Sent| {
        let dead = counter.dead.load(Ordering::Acquire);
        let body = sent.body.to_string();
        let sending = client.try_publish(sent.topic, QoS::AtLeastOnce, false, body);
        sending.unwrap();
        dead
    };
    for event in connection.iter() {
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {}
            Ok(Event::Incoming(Packet::PubAck(ack))) => {
                assert_eq!(
                    ack.reason,
                    PubAckReason::Success,
                    "the broker knows nobody who wants {}",
                    sent.topic
                );
                counter.accept(sent);
                if dead && counter.dead.load(Ordering::Acquire) {
                    counter.while_dead.fetch_add(1, Ordering::AcqRel);
                }
                std::thread::park_timeout(PACE);
            }
            Ok(_) => continue,
            // The broker outlives the till, unless the test has failed.
            Err(_) if counter.stopped() => return,
            Err(why) => panic!("the shop's broker is gone: {why}"),
        }
        if counter.stopped() {
            return;
        }
        sent = Sent::new("mqtt", numbers.next().unwrap(), lines);
        dead = send(&sent);
    }
}
