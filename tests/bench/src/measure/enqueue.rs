//! Durable enqueue into the outbox by 64 producers, each of which waits until its message is on
//! disk before it enqueues the next.
//!
//! Beside it in every round: a bare file with the same producers, the same bytes and a writer
//! thread that does nothing but gather what waits, write and sync it; and `rumqttc`, which keeps
//! its queue in memory, publishing the same payloads with QoS 1 to a Mosquitto (window 20).

use crate::broker::Mosquitto;
use crate::disk::BareFile;
use crate::figures::{Report, Samples, count, per_second};
use crate::gateway::Place;
use anyhow::{Context, Result};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;
use tillwatch_protocol::{Clock, Lane, MessageId, OutboxEntry, Record, Stamp};
use tillwatch_store::{Store, StoreOptions, Urgency};
use tokio::runtime::Runtime;
use tokio::sync::watch;

#[derive(clap::Args)]
pub struct Options {
    /// Messages of one round.
    #[arg(long, default_value_t = 64_000)]
    messages: usize,
    /// Rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Producers.
    #[arg(long, default_value_t = 64)]
    producers: usize,
}

const PAYLOAD: usize = 1_024;
const TOPIC: &str = "stores/S03/events";
/// Place for everything that one round writes into the bare file.
const FILE: u64 = 128 << 20;

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let broker = Mosquitto::start("")?;
    let folder = place.folder()?;
    let (mut now, mut normal, mut bare) =
        (Samples::default(), Samples::default(), Samples::default());
    let (mut v4, mut v5) = (Samples::default(), Samples::default());
    let (mut to_memory, mut to_bare) = (Samples::default(), Samples::default());
    let (mut group, mut bare_group) = (Samples::default(), Samples::default());
    for round in 0..options.rounds {
        let (rate, per_group) = store(
            options,
            &runtime,
            &folder.path().join(format!("store-{round}")),
            Urgency::Now,
        )?;
        let (bare_rate, bare_per_group) = bare_file(
            options,
            &runtime,
            &folder.path().join(format!("bare-{round}")),
        )?;
        let v5_rate = runtime.block_on(publish_v5(options, broker.port))?;
        let v4_rate = runtime.block_on(publish_v4(options, broker.port))?;
        let fewer = Options {
            messages: options.messages / 8,
            ..*options
        };
        let (patient, _) = store(
            &fewer,
            &runtime,
            &folder.path().join(format!("patient-{round}")),
            Urgency::Normal,
        )?;
        now.push(rate);
        normal.push(patient);
        bare.push(bare_rate);
        v5.push(v5_rate);
        v4.push(v4_rate);
        group.push(per_group);
        bare_group.push(bare_per_group);
        to_memory.push(rate / v5_rate.max(v4_rate));
        to_bare.push(rate / bare_rate);
    }
    report.note(&format!(
        "{} producers, {} messages of {PAYLOAD} bytes a round, {} rounds; medians",
        options.producers, options.messages, options.rounds
    ));
    report.figure(
        "outbox, durable, each asks for it at once",
        now.median(),
        "messages/s",
    );
    report.figure("  messages per fdatasync", group.median(), "");
    report.figure(
        "outbox, durable, groups of up to 50 ms or 64 KiB",
        normal.median(),
        "messages/s",
    );
    report.figure("bare file, the same producers", bare.median(), "messages/s");
    report.figure("  messages per fdatasync", bare_group.median(), "");
    report.figure(
        "rumqttc in memory, MQTT 5, acknowledged",
        v5.median(),
        "messages/s",
    );
    report.figure(
        "rumqttc in memory, MQTT 3.1.1, acknowledged",
        v4.median(),
        "messages/s",
    );
    report.at_least(
        "ratio to rumqttc in memory (the faster one)",
        to_memory.median(),
        0.6,
        "",
    );
    report.at_least("ratio to the bare file", to_bare.median(), 0.8, "");
    Ok(())
}

/// Rate, and messages per sync.
fn store(
    options: &Options,
    runtime: &Runtime,
    folder: &std::path::Path,
    urgency: Urgency,
) -> Result<(f64, f64)> {
    let (store, _) = Store::open(folder, StoreOptions::default())?;
    // The first group also begins the first segment, once in the life of a store.
    runtime.block_on(produce(store.clone(), 1, urgency))?;
    let before = store.usage().fdatasyncs;
    let start = Instant::now();
    let each = options.messages / options.producers;
    let producers: Vec<_> = (0..options.producers)
        .map(|_| runtime.spawn(produce(store.clone(), each, urgency)))
        .collect();
    for producer in producers {
        runtime.block_on(producer)??;
    }
    let rate = per_second(each * options.producers, start.elapsed());
    let syncs = store.usage().fdatasyncs - before;
    store.close();
    Ok((rate, count(each * options.producers) / count(syncs)))
}

async fn produce(store: Store, messages: usize, urgency: Urgency) -> Result<()> {
    let stamp = Stamp {
        boot: 1,
        monotonic_ns: 1,
        utc_us: 1_780_300_800_000_000,
        clock: Clock::Synced,
    };
    for _ in 0..messages {
        let appended = store.append_with(urgency, |numbers| {
            let lane_seq = numbers.next(Lane::Bulk);
            vec![Record::Outbox(OutboxEntry {
                lane: Lane::Bulk,
                lane_seq,
                message_id: MessageId::derive(store.log_id(), Lane::Bulk, lane_seq),
                topic: TOPIC.into(),
                content_type: "application/json".into(),
                stamp,
                payload: vec![b'x'; PAYLOAD],
            })]
        })?;
        store.durable_through(appended.last).await?;
    }
    Ok(())
}

/// What waits for the bare file's writer.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    last: u64,
    closed: bool,
}

struct Bare {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    durable: watch::Sender<u64>,
}

impl Bare {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bare_file(options: &Options, runtime: &Runtime, path: &std::path::Path) -> Result<(f64, f64)> {
    let mut file = BareFile::create(path, FILE)?;
    let bare = Arc::new(Bare {
        waiting: Mutex::default(),
        wake: Condvar::new(),
        durable: watch::Sender::new(0),
    });
    let writing = bare.clone();
    let writer = std::thread::spawn(move || -> Result<u64> {
        let (mut group, mut syncs) = (Vec::new(), 0);
        loop {
            let mut waiting = writing.waiting();
            while waiting.bytes.is_empty() {
                if waiting.closed {
                    return Ok(syncs);
                }
                waiting = writing
                    .wake
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut waiting.bytes, &mut group);
            let last = waiting.last;
            drop(waiting);
            file.append(&group)?;
            group.clear();
            syncs += 1;
            writing.durable.send_replace(last);
        }
    });
    let start = Instant::now();
    let each = options.messages / options.producers;
    let producers: Vec<_> = (0..options.producers)
        .map(|_| {
            let bare = bare.clone();
            runtime.spawn(async move {
                let mut durable = bare.durable.subscribe();
                // Header, id, topic and the like of the outbox's records.
                let record = vec![b'x'; PAYLOAD + 128];
                for _ in 0..each {
                    let number = {
                        let mut waiting = bare.waiting();
                        waiting.bytes.extend(&record);
                        waiting.last += 1;
                        bare.wake.notify_one();
                        waiting.last
                    };
                    // The sender lives as long as `bare`.
                    let _ = durable.wait_for(|through| *through >= number).await;
                }
            })
        })
        .collect();
    for producer in producers {
        runtime.block_on(producer)?;
    }
    let rate = per_second(each * options.producers, start.elapsed());
    bare.waiting().closed = true;
    bare.wake.notify_one();
    let syncs = writer.join().ok().context("the writer does not panic")??;
    Ok((rate, count(each * options.producers) / count(syncs)))
}

const WINDOW: u16 = 20;

async fn publish_v5(options: &Options, port: u16) -> Result<f64> {
    use rumqttc::v5::mqttbytes::{QoS, v5::Packet};
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let mut mqtt = MqttOptions::new("bench-v5", "127.0.0.1", port);
    mqtt.set_outgoing_inflight_upper_limit(WINDOW);
    let mut network = rumqttc::NetworkOptions::new();
    network.set_tcp_nodelay(true);
    mqtt.set_network_options(network);
    let (client, mut eventloop) = AsyncClient::new(mqtt, 64);
    while !matches!(eventloop.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
    let start = Instant::now();
    let each = options.messages / options.producers;
    for _ in 0..options.producers {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..each {
                if client
                    .publish("bench/memory", QoS::AtLeastOnce, false, vec![b'x'; PAYLOAD])
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
    }
    let mut acknowledged = 0;
    while acknowledged < each * options.producers {
        acknowledged += usize::from(matches!(
            eventloop.poll().await?,
            Event::Incoming(Packet::PubAck(_))
        ));
    }
    Ok(per_second(acknowledged, start.elapsed()))
}

async fn publish_v4(options: &Options, port: u16) -> Result<f64> {
    use rumqttc::{AsyncClient, Event, MqttOptions, NetworkOptions, Packet, QoS};
    let mut mqtt = MqttOptions::new("bench-v4", "127.0.0.1", port);
    mqtt.set_inflight(WINDOW);
    let (client, mut eventloop) = AsyncClient::new(mqtt, 64);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    eventloop.set_network_options(network);
    while !matches!(eventloop.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
    let start = Instant::now();
    let each = options.messages / options.producers;
    for _ in 0..options.producers {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..each {
                if client
                    .publish("bench/memory", QoS::AtLeastOnce, false, vec![b'x'; PAYLOAD])
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
    }
    let mut acknowledged = 0;
    while acknowledged < each * options.producers {
        acknowledged += usize::from(matches!(
            eventloop.poll().await?,
            Event::Incoming(Packet::PubAck(_))
        ));
    }
    Ok(per_second(acknowledged, start.elapsed()))
}
