//! One connection's life: connect, announce, send, and leave or break.
//!
//! Birth (`online`) and health are live messages, but of QoS 1 and through the pump, like
//! everything else: see [`super::live`]. Only the farewell (`offline`) is of QoS 0, right before
//! DISCONNECT; when the connection breaks, the last will says the same.

use super::carry::Carry;
use super::gauges;
use super::health;
use super::live::Live;
use super::pump::{Overdue, Patience, ROTATION, WINDOW_MAX};
use super::reading::Batch;
use super::traffic::{BrokerLimits, READS, Terms, Traffic};
use crate::Shared;
use crate::broker::{Reaction, Trouble, explain};
use crate::config::Uplink;
use crate::health::{PartState, part};
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, LastWill, Packet};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, MqttState};
use std::pin::{Pin, pin};
use std::time::Duration;
use tillwatch_protocol::topics::Upstream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::ReusableBoxFuture;

/// Retained on the register's state topic by the last will, and by the gateway when it leaves.
const OFFLINE: &str = "offline";
/// Places in the client's channel: the window, and the live messages beside it.
const CHANNEL: usize = WINDOW_MAX as usize + 8;
/// How long a leaving gateway waits for answers, and then for its farewell to be written.
const FAREWELL: Duration = Duration::from_secs(1);
/// A connection that held this long was a good one, even if there was nothing to send.
const HELD: Duration = Duration::from_secs(120);
/// What a keep-alive may be late.
const SLACK: Duration = Duration::from_secs(5);
/// Longest sleep of the loop.
const IDLE: Duration = Duration::from_secs(1);

/// How a connection ended.
pub(super) enum End {
    /// We left.
    Stopped,
    /// It broke.
    Lost {
        /// How to react.
        reaction: Reaction,
        /// Messages were acknowledged, or it held for long.
        progress: bool,
    },
}

/// What one connection needs.
pub(super) struct Session<'a> {
    pub(super) shared: &'a Shared,
    pub(super) topics: &'a Upstream,
    pub(super) uplink: &'a Uplink,
    /// `host:port`.
    pub(super) address: String,
    pub(super) patience: Patience,
}

/// `poll()` is not cancel-safe: it lives in a future of its own, which is only ever finished or
/// dropped with the whole connection.
async fn poll(mut eventloop: EventLoop) -> (EventLoop, Result<Event, ConnectionError>) {
    let event = eventloop.poll().await;
    (eventloop, event)
}

type Polling = ReusableBoxFuture<'static, (EventLoop, Result<Event, ConnectionError>)>;

/// Where the session stands.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Up,
    /// Nothing new is sent; waiting for answers until then.
    Closing(Duration),
    /// The farewell is on its way; gone by then in any case.
    Left(Duration),
}

impl Session<'_> {
    /// Connects and sends until `stop` resolves or the connection breaks.
    pub(super) async fn run(
        &self,
        mut options: MqttOptions,
        carry: &mut Carry,
        stop: impl Future<Output = ()>,
    ) -> End {
        let state_topic = self.topics.state();
        let will = LastWill::new(state_topic.as_str(), OFFLINE, QoS::AtLeastOnce, true, None);
        options
            .set_clean_start(true)
            .set_outgoing_inflight_upper_limit(ROTATION)
            .set_last_will(will);
        if carry.now() == Duration::ZERO {
            self.set(PartState::Starting);
        }
        let (client, eventloop) = AsyncClient::new(options, CHANNEL);
        let mut polling = Polling::new(poll(eventloop));
        let mut stop = pin!(stop);
        let (mut eventloop, event) = tokio::select! {
            () = stop.as_mut() => return End::Stopped,
            connected = &mut polling => connected,
        };
        let connack = match event {
            Ok(Event::Incoming(Packet::ConnAck(connack))) => connack,
            Ok(_) => {
                let text = format!("{} sent something before CONNACK", self.address);
                return self.down(broken("protocol", text), false);
            }
            Err(error) => return self.down(explain(&error, &self.address), false),
        };
        let limits = greet(&connack, &mut eventloop);
        let silence = eventloop.options.keep_alive().mul_f32(1.5) + SLACK;
        polling.set(poll(eventloop));
        self.set(PartState::Up);
        gauges::connected(true);
        tracing::info!(broker = %self.address, ?limits, "connected");

        let (reads, batches) = mpsc::channel(READS);
        let terms = Terms {
            uplink: self.uplink,
            broker: limits,
            patience: self.patience,
            connected: self.shared.clock.stamp(),
            state_topic,
            reads,
        };
        let traffic = Traffic::new(&self.shared.store, carry, terms);
        let up_since = traffic.now();
        let mut line = Line {
            session: self,
            client,
            traffic,
            phase: Phase::Up,
            heard: up_since,
            silence,
            health_at: up_since,
        };
        match line.serve(polling, batches, stop).await {
            Ok(()) => End::Stopped,
            Err(trouble) => {
                let held = line.traffic.now().saturating_sub(up_since) >= HELD;
                let progress = line.traffic.lost(trouble.denied) || held;
                self.down(trouble, progress)
            }
        }
    }

    fn set(&self, state: PartState) {
        self.shared.health.set(part::UPLINK, &self.address, state);
    }

    fn down(&self, trouble: Trouble, progress: bool) -> End {
        gauges::publish_error(trouble.word);
        self.set(PartState::Down {
            reason: trouble.text,
        });
        End::Lost {
            reaction: trouble.reaction,
            progress,
        }
    }
}

/// Takes what the CONNACK says, and undoes what the client library makes of its Receive Maximum.
///
/// The library lets packet ids rotate through as many values as the broker allows in flight: 20
/// with Mosquitto's defaults. A late answer could then hit another message, and one lost answer
/// would block the rotation. Before anything was sent, its state is made anew, with the full
/// rotation; the Receive Maximum is kept by our own window.
fn greet(connack: &ConnAck, eventloop: &mut EventLoop) -> BrokerLimits {
    let mut state = MqttState::new(ROTATION, false);
    state.events.append(&mut eventloop.state.events);
    state.broker_topic_alias_max = eventloop.state.broker_topic_alias_max;
    eventloop.state = state;
    connack
        .properties
        .as_ref()
        .map_or_else(BrokerLimits::default, |properties| BrokerLimits {
            receive_maximum: properties.receive_max,
            max_packet: properties.max_packet_size,
        })
}

fn broken(word: &'static str, text: String) -> Trouble {
    Trouble {
        text,
        word,
        reaction: Reaction::Protocol,
        denied: false,
    }
}

/// A connection that is up.
struct Line<'a> {
    session: &'a Session<'a>,
    client: AsyncClient,
    traffic: Traffic<'a>,
    phase: Phase,
    /// When `poll()` returned last.
    heard: Duration,
    /// How long it may take at most: every keep-alive gives an event.
    silence: Duration,
    health_at: Duration,
}

impl Line<'_> {
    async fn serve(
        &mut self,
        mut polling: Polling,
        mut batches: mpsc::Receiver<Batch>,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), Trouble> {
        let mut changed = self.session.shared.store.outbox().changed();
        loop {
            self.step()?;
            if matches!(self.phase, Phase::Left(until) if until <= self.traffic.now()) {
                return Ok(());
            }
            let wake = self.wake();
            let closing = !matches!(self.phase, Phase::Up);
            tokio::select! {
                (eventloop, event) = &mut polling => {
                    match self.heard(eventloop, event)? {
                        Some(eventloop) => polling.set(poll(eventloop)),
                        None => return Ok(()),
                    }
                }
                Some(batch) = batches.recv() => self.traffic.read(batch),
                Ok(()) = changed.changed() => self.traffic.refresh(),
                () = stop.as_mut(), if !closing => {
                    self.phase = Phase::Closing(self.traffic.now() + FAREWELL);
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// What `poll()` said; `None` when we have left.
    fn heard(
        &mut self,
        mut eventloop: EventLoop,
        event: Result<Event, ConnectionError>,
    ) -> Result<Option<EventLoop>, Trouble> {
        self.heard = self.traffic.now();
        let event = match event {
            Ok(event) => event,
            Err(_) if matches!(self.phase, Phase::Left(_)) => return Ok(None),
            Err(error) => {
                // Answers that came on this connection before it broke are still in its queue:
                // the reason why Mosquitto closes is in the PUBACK right before.
                for event in std::mem::take(&mut eventloop.state.events) {
                    self.take(&event)?;
                }
                return Err(explain(&error, &self.session.address));
            }
        };
        self.take(&event)?;
        let left = matches!(event, Event::Outgoing(Outgoing::Disconnect));
        Ok((!left).then_some(eventloop))
    }

    fn take(&mut self, event: &Event) -> Result<(), Trouble> {
        self.traffic
            .event(event)
            .map_err(|breach| broken("breach", format!("{breach}; a new connection is made")))
    }

    /// Everything that may have to happen now.
    fn step(&mut self) -> Result<(), Trouble> {
        let now = self.traffic.now();
        let address = &self.session.address;
        match self.traffic.pump().overdue(now) {
            Some(Overdue::HandOver) => {
                let text =
                    format!("{address} no longer reads what we send; a new connection is made");
                return Err(broken("stalled", text));
            }
            Some(Overdue::Answer) => {
                let text =
                    format!("{address} left a message without an answer; a new connection is made");
                return Err(broken("ack_timeout", text));
            }
            None if self.heard + self.silence <= now => {
                let text = format!("the connection to {address} hangs; a new one is made");
                return Err(broken("stalled", text));
            }
            None => {}
        }
        self.traffic.tick();
        match self.phase {
            Phase::Up => {
                self.traffic.load();
                self.traffic.fill(&self.client);
                if self.health_at <= now && self.traffic.may_report() {
                    self.report(now);
                }
            }
            Phase::Closing(until) if self.traffic.pump().in_flight() == 0 || until <= now => {
                // Err: the channel is full because nobody reads; the last will says it then.
                let state = self.session.topics.state();
                let _ = self
                    .client
                    .try_publish(state, QoS::AtMostOnce, true, OFFLINE);
                let _ = self.client.try_disconnect();
                self.phase = Phase::Left(now + FAREWELL);
            }
            Phase::Closing(_) | Phase::Left(_) => {}
        }
        Ok(())
    }

    fn report(&mut self, now: Duration) {
        let session = self.session;
        let interval = session.uplink.health_interval_s.max(1);
        self.health_at = now + Duration::from_secs(u64::from(interval));
        let body = health::message(session.shared, self.traffic.carry());
        let topic = session.topics.health();
        self.traffic
            .send_live(&self.client, Live::Health, topic, body);
    }

    fn wake(&mut self) -> Instant {
        let now = self.traffic.now();
        let phase = match self.phase {
            Phase::Up => self.traffic.may_report().then_some(self.health_at),
            Phase::Closing(until) | Phase::Left(until) => Some(until),
        };
        let wake = [
            self.traffic.wake(),
            phase,
            Some(self.heard + self.silence),
            Some(now + IDLE),
        ];
        let wake = wake.into_iter().flatten().min().unwrap_or(now);
        self.traffic.carry().instant(wake)
    }
}
