//! POS events by MQTT: a persistent session with manual acknowledgement.
//!
//! A message is acknowledged to the broker when its event (or its quarantine entry) is on disk.
//! What was not acknowledged comes again after a reconnect and is recognised as a redelivery.
//! Every connection is a fresh client: nothing of a dead connection is reused.
//!
//! A broker that grants only some of the filters is listened to all the same. What it refuses is
//! told and asked for again; until it is granted the feed is no witness, because then its silence
//! means nothing.

mod subscriptions;

use super::pos::{Origin, Pending, Refused, settled, submit};
use crate::Shared;
use crate::broker::{self, BrokerErrorKind};
use crate::health::{PartState, part};
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use std::time::Duration;
use subscriptions::Subscriptions;
use tillwatch_protocol::topics::{self, POS_KINDS, Upstream};
use tillwatch_protocol::{EventBody, Notice, Witness, WitnessState};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Unacknowledged messages that the broker may send; more wait there.
const RECEIVE_MAXIMUM: u16 = 100;
/// Requests (subscribe, acknowledge) that wait for the connection.
const REQUESTS: usize = 256;
/// Events that wait for the disk before they are acknowledged. Only a broker that disregards
/// [`RECEIVE_MAXIMUM`] fills it (Mosquitto 2.0.11 does in a burst). What comes then is not taken: it
/// stays with the broker, and a new connection asks for it.
const UNSETTLED: usize = 1_024;
/// How long a message that the broker does not keep waits for that.
const FOR_ROOM: Duration = Duration::from_secs(2);
/// How long the broker keeps messages for us while we are away.
const SESSION_EXPIRY_S: u32 = 24 * 3_600;
/// First and longest pause between connections.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// A pause for what only a person can mend.
const CONFIGURATION_PAUSE: Duration = Duration::from_secs(30);

/// Why a connection ended.
enum Ended {
    /// The program ends.
    Shutdown,
    /// In words, and how long to wait at least.
    Broken {
        reason: String,
        pause: Option<Duration>,
        worked: bool,
    },
}

/// Starts the task; without `pos.enabled` it only says so.
#[must_use]
pub fn start(shared: Shared, shutdown: CancellationToken) -> JoinHandle<()> {
    start_with(shared, shutdown, CONFIGURATION_PAUSE)
}

/// The same, asking again for what is refused after `again`.
#[must_use]
pub fn start_with(shared: Shared, shutdown: CancellationToken, again: Duration) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut source = Source {
            shared,
            again,
            alive: false,
            refused: Vec::new(),
        };
        source.run(&shutdown).await;
    })
}

struct Source {
    shared: Shared,
    /// When to ask again for what the broker refuses.
    again: Duration,
    alive: bool,
    /// Filters of which it was told that the broker refuses them.
    refused: Vec<String>,
}

impl Source {
    async fn run(&mut self, shutdown: &CancellationToken) {
        let mut pause = BACKOFF.0;
        loop {
            let config = self.shared.config.borrow().clone();
            if !config.pos.enabled {
                self.shared
                    .health
                    .set(part::POS_MQTT, "", PartState::Absent);
                self.witness(WitnessState::Absent).await;
                return;
            }
            let what = broker::address(&config.pos.mqtt);
            self.shared
                .health
                .set(part::POS_MQTT, &what, PartState::Starting);
            match self.session(&what, shutdown).await {
                Ended::Shutdown => return,
                Ended::Broken {
                    reason,
                    pause: at_least,
                    worked,
                } => {
                    metrics::gauge!("mqtt_connection_status", "broker" => "pos").set(0.0);
                    self.shared.health.set(
                        part::POS_MQTT,
                        &what,
                        PartState::Down {
                            reason: reason.clone(),
                        },
                    );
                    if self.alive {
                        self.alive = false;
                        self.witness(WitnessState::Lost { reason }).await;
                    }
                    if worked {
                        pause = BACKOFF.0;
                    }
                    let wait = at_least.unwrap_or(pause);
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                    pause = (pause * 2).min(BACKOFF.1);
                }
            }
        }
    }

    async fn witness(&self, state: WitnessState) {
        let body = EventBody::Witness {
            witness: Witness::Pos,
            state,
        };
        // A stopped pipeline wants no news.
        let _ = self
            .shared
            .intake
            .witness_async(self.shared.clock.stamp(), body)
            .await;
    }

    fn topics(&self) -> Vec<String> {
        let config = self.shared.config.borrow();
        if !config.pos.topics.is_empty() {
            return config.pos.topics.clone();
        }
        let mut stores: Vec<Option<&str>> = config
            .pos
            .store_aliases
            .iter()
            .map(|alias| Some(alias.as_str()))
            .collect();
        match &config.store_code {
            Some(code) => stores.push(Some(code.as_str())),
            None => stores = vec![None],
        }
        stores
            .iter()
            .flat_map(|store| {
                POS_KINDS
                    .iter()
                    .map(|kind| topics::pos_subscription(*store, kind))
            })
            .collect()
    }

    async fn session(&mut self, what: &str, shutdown: &CancellationToken) -> Ended {
        let config = self.shared.config.borrow().clone();
        let identity = &self.shared.identity;
        let client_id =
            Upstream::new(identity.store.clone(), identity.register.clone()).client_id("pos");
        let mut options = match broker::options(&config.pos.mqtt, &client_id) {
            Ok(options) => options,
            Err(why) => {
                let pause = match why.kind() {
                    BrokerErrorKind::Absent
                    | BrokerErrorKind::Files
                    | BrokerErrorKind::Configuration => CONFIGURATION_PAUSE,
                };
                return Ended::Broken {
                    reason: why.to_string(),
                    pause: Some(pause),
                    worked: false,
                };
            }
        };
        let mut properties = options
            .connect_properties()
            .unwrap_or_else(ConnectProperties::new);
        properties.session_expiry_interval = Some(SESSION_EXPIRY_S);
        properties.receive_maximum = Some(RECEIVE_MAXIMUM);
        options.set_connect_properties(properties);
        options.set_clean_start(false).set_manual_acks(true);
        let (client, events) = AsyncClient::new(options, REQUESTS);
        let (settle, unsettled) = mpsc::channel(UNSETTLED);
        let (failed, mut failure) = mpsc::channel(1);
        let acknowledger = tokio::spawn(acknowledge(
            self.shared.clone(),
            client.clone(),
            unsettled,
            failed,
        ));
        let ended = tokio::select! {
            () = shutdown.cancelled() => Ended::Shutdown,
            Some(reason) = failure.recv() => Ended::Broken { reason, pause: None, worked: true },
            ended = self.poll(what, client, events, settle) => ended,
        };
        acknowledger.abort();
        ended
    }

    async fn poll(
        &mut self,
        what: &str,
        client: AsyncClient,
        mut events: EventLoop,
        settle: mpsc::Sender<(Publish, Pending)>,
    ) -> Ended {
        let mut subscriptions = Subscriptions::new(self.topics());
        // Ends with the connection.
        let mut asking = JoinSet::new();
        // A ping goes out at every keep-alive; half as long again without any packet is silence.
        let keep_alive = u64::from(self.shared.config.borrow().pos.mqtt.keep_alive_s);
        let silence = Duration::from_secs(keep_alive * 3 / 2 + 5);
        let mut worked = false;
        let mut account = Account::default();
        loop {
            if let Some(reason) = account.closed(what) {
                return Ended::Broken {
                    reason,
                    pause: None,
                    worked,
                };
            }
            let packet = match tokio::time::timeout(silence, events.poll()).await {
                Ok(Ok(Event::Incoming(packet))) => packet,
                Ok(Ok(Event::Outgoing(Outgoing::PubAck(_)))) => {
                    account.acknowledged += 1;
                    continue;
                }
                Ok(Ok(Event::Outgoing(_))) => continue,
                // A peer that stops reading would hang the connection for ever; it is dropped
                // whole, so that nothing depends on where it was cut off.
                Err(_) => {
                    let reason = format!("{what} does not answer any more");
                    return Ended::Broken {
                        reason,
                        pause: None,
                        worked,
                    };
                }
                Ok(Err(why)) => {
                    let trouble = broker::explain(&why, what);
                    return Ended::Broken {
                        reason: trouble.text,
                        pause: None,
                        worked,
                    };
                }
            };
            match packet {
                Packet::ConnAck(_) => {
                    if let Err(why) = client.try_subscribe_many(subscriptions.ask()) {
                        let reason = format!("{what}: cannot subscribe: {why}");
                        return Ended::Broken {
                            reason,
                            pause: None,
                            worked,
                        };
                    }
                }
                Packet::SubAck(ack) => {
                    subscriptions.answered(&ack.return_codes);
                    let refused = refusal(what, subscriptions.refused(), &ack.return_codes);
                    if !subscriptions.any() {
                        return Ended::Broken {
                            reason: refused.unwrap_or_default(),
                            pause: Some(self.again),
                            worked,
                        };
                    }
                    worked = true;
                    if refused.is_some() {
                        let (client, again) = (client.clone(), self.again);
                        let filters = subscriptions.ask();
                        asking.spawn(async move {
                            tokio::time::sleep(again).await;
                            // Err: the connection is gone; the next one asks for everything.
                            let _ = client.subscribe_many(filters).await;
                        });
                    }
                    self.subscribed(what, &subscriptions, refused).await;
                }
                Packet::Publish(publish) => {
                    // Whoever waits here for room keeps acknowledgements from leaving, and so the
                    // room from coming.
                    let room = match publish.qos {
                        // Nobody keeps it for us: worth waiting, but not for ever.
                        QoS::AtMostOnce => {
                            let room = tokio::time::timeout(FOR_ROOM, settle.reserve()).await;
                            room.ok().and_then(Result::ok)
                        }
                        _ => settle.try_reserve().ok(),
                    };
                    let Some(room) = room else {
                        self.leave(what, &publish, &mut account).await;
                        continue;
                    };
                    account.taken += u64::from(publish.qos != QoS::AtMostOnce);
                    if let Err(reason) = self.take(publish, room).await {
                        return Ended::Broken {
                            reason,
                            pause: None,
                            worked,
                        };
                    }
                }
                Packet::Disconnect(bye) => {
                    let reason = format!("{what} ended the connection: {:?}", bye.reason_code);
                    return Ended::Broken {
                        reason,
                        pause: None,
                        worked,
                    };
                }
                _ => {}
            }
        }
    }

    /// The broker grants something; `refused` says what it does not.
    async fn subscribed(
        &mut self,
        what: &str,
        subscriptions: &Subscriptions,
        refused: Option<String>,
    ) {
        metrics::gauge!("mqtt_connection_status", "broker" => "pos").set(1.0);
        let health = self.shared.health.clone();
        health.set(part::POS_MQTT, what, PartState::Up);
        let news = self.refused != subscriptions.refused();
        self.refused = subscriptions.refused().to_vec();
        let Some(reason) = refused else {
            if news {
                health.set(part::POS_TOPICS, what, PartState::Up);
            }
            if !self.alive {
                self.alive = true;
                self.witness(WitnessState::Alive).await;
            }
            return;
        };
        self.alive = false;
        if news {
            let state = PartState::Down {
                reason: reason.clone(),
            };
            health.set(part::POS_TOPICS, what, state);
            self.witness(WitnessState::Lost {
                reason: reason.clone(),
            })
            .await;
            let stamp = self.shared.clock.stamp();
            let notice = Notice {
                code: "pos_subscription_refused".into(),
                text: reason,
                stamp,
            };
            // A stopped pipeline wants no news.
            let _ = self
                .shared
                .intake
                .witness_async(stamp, EventBody::Notice(notice))
                .await;
        }
    }

    /// Leaves a message with the broker. Until it is asked for again nobody may conclude anything
    /// from what the till did not say.
    async fn leave(&mut self, what: &str, publish: &Publish, account: &mut Account) {
        account.left += 1;
        let name = match publish.qos {
            QoS::AtMostOnce => "pos_messages_lost_total",
            _ => "pos_messages_left_total",
        };
        metrics::counter!(name).increment(1);
        if account.left > 1 {
            return;
        }
        let reason = format!(
            "{what} sends more than the {RECEIVE_MAXIMUM} messages it may; the rest is asked for again"
        );
        tracing::warn!(%reason, "POS events wait at the broker");
        if self.alive {
            self.alive = false;
            self.witness(WitnessState::Lost { reason }).await;
        }
    }

    /// Sends one message on its way; its acknowledgement follows when it is on disk.
    async fn take(
        &self,
        publish: Publish,
        room: mpsc::Permit<'_, (Publish, Pending)>,
    ) -> Result<(), String> {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        let origin = Origin {
            source: "pos.mqtt",
            place: &topic,
            store: topics::pos_topic_store(&topic),
        };
        let submitted = submit(&self.shared, origin, &publish.payload).await;
        let pending = submitted.map_err(|why| why.to_string())?;
        room.send((publish, pending));
        Ok(())
    }
}

/// Messages of one connection.
#[derive(Default)]
struct Account {
    /// Taken, and to be acknowledged.
    taken: u64,
    /// Their acknowledgements that have left.
    acknowledged: u64,
    /// Left with the broker, for which only a new connection can ask.
    left: u64,
}

impl Account {
    /// Why the connection should be made anew, once nothing of it is owed any more.
    fn closed(&self, what: &str) -> Option<String> {
        let settled = self.acknowledged >= self.taken;
        (self.left > 0 && settled)
            .then(|| format!("{what}: {} messages are asked for again", self.left))
    }
}

/// What the broker refuses, in a sentence with the remedy; `None` when that is nothing.
fn refusal(what: &str, refused: &[String], codes: &[SubscribeReasonCode]) -> Option<String> {
    if refused.is_empty() {
        return None;
    }
    let why = codes
        .iter()
        .find(|code| !matches!(code, SubscribeReasonCode::Success(_)));
    let why = why.map_or_else(|| "no answer".to_owned(), |code| format!("{code:?}"));
    Some(format!(
        "{what} refuses a subscription ({why}); allow {} in its access rules",
        refused.join(", ")
    ))
}

/// Acknowledges messages in the order they came, each when it is on disk.
async fn acknowledge(
    shared: Shared,
    client: AsyncClient,
    mut unsettled: mpsc::Receiver<(Publish, Pending)>,
    failed: mpsc::Sender<String>,
) {
    while let Some((publish, pending)) = unsettled.recv().await {
        let done = match settled(&shared, pending).await {
            // On disk in the quarantine, and of no further use to anybody.
            Ok(_) | Err(Refused::Quarantined(_)) => Ok(()),
            Err(unavailable) => Err(unavailable),
        };
        let acknowledged = match done {
            Ok(()) if publish.qos == QoS::AtMostOnce => Ok(()),
            Ok(()) => client.ack(&publish).await.map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        if let Err(why) = acknowledged {
            // Without a listener the session is over anyway.
            let _ = failed.send(why).await;
            return;
        }
    }
}
