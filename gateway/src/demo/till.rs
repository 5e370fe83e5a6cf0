//! A till in software: publishes POS events by MQTT as real ones do.

use crate::broker;
use crate::config::Mqtt;
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use std::time::Duration;
use tillwatch_simulator::pos_cycle::INTERVAL;
use tillwatch_simulator::{PosCycle, Run};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Events that wait for the broker.
pub const QUEUE: usize = 256;
/// Pause before the till tries its broker again.
const AGAIN: Duration = Duration::from_secs(1);

/// Publishes what comes through `events` (last topic level, JSON) on `pos/events/{store}/…`.
pub async fn publish(
    mqtt: Mqtt,
    store: String,
    mut events: mpsc::Receiver<(String, String)>,
    shutdown: CancellationToken,
) {
    let client_id = format!("till-{}", uuid::Uuid::new_v4().simple());
    let options = match broker::options(&mqtt, &client_id) {
        Ok(options) => options,
        Err(why) => {
            tracing::error!(%why, "the simulated till has no broker");
            return;
        }
    };
    let address = broker::address(&mqtt);
    let (client, mut connection) = AsyncClient::new(options, QUEUE);
    let publishing = async {
        while let Some((kind, json)) = events.recv().await {
            let topic = format!("pos/events/{store}/{kind}");
            if client
                .publish(topic, QoS::AtLeastOnce, false, json)
                .await
                .is_err()
            {
                return;
            }
        }
    };
    let connected = async {
        loop {
            if let Err(why) = connection.poll().await {
                tracing::warn!("simulated till: {}", broker::explain(&why, &address).text);
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = publishing => {}
        () = connected => {}
    }
}

/// Every 10 s one of discount, void, refund, payment cleared, until `shutdown`.
pub async fn cycle(
    store: String,
    register: String,
    events: mpsc::Sender<(String, String)>,
    shutdown: CancellationToken,
) {
    let mut cycle = PosCycle::new(Run::fresh(&store, &register));
    let mut every = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = every.tick() => {}
        }
        let message = cycle.next_event(crate::clock::wall_us());
        tracing::info!(kind = message.topic_kind, "simulated till publishes");
        if events
            .send((message.topic_kind.to_owned(), message.json))
            .await
            .is_err()
        {
            return;
        }
    }
}
