//! 20,000 messages of 1 KB that gathered while head office's broker was away, from disk to a
//! durable subscriber; and the same with a Mosquitto bridge whose queue has no limit.
//!
//! Both know head office's broker, and find it gone for the same time; the clock runs from its
//! return to the last message. Nothing may be missing.

use crate::broker::Mosquitto;
use crate::figures::{Report, Samples, count, per_second};
use crate::gateway::{Gateway, Place, Register, pause};
use crate::mqtt::{self, Publisher, Subscriber};
use anyhow::{Context, Result};
use std::collections::HashSet;
use std::time::Duration;
use tillwatch::clock::monotonic_ns;
use tillwatch_protocol::{Clock, Lane, MessageId, OutboxEntry, Record, Stamp};
use tillwatch_store::{Store, StoreOptions, Urgency};

#[derive(clap::Args)]
pub struct Options {
    /// Messages that wait.
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
    /// How often both are measured, in turns.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
}

const PAYLOAD: usize = 1_024;
const SESSION: &str = "head-office";
const FILTER: &str = "stores/#";
/// How long head office's broker is away after everything waits for it. Both try again at times of
/// their own, so what part of a pause is left when it returns is chance: each round is longer.
const AWAY: Duration = Duration::from_secs(5);
const LONGER: Duration = Duration::from_millis(1_300);
/// No message for this long: what is missing does not come any more.
const SILENCE: Duration = Duration::from_secs(45);

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let (mut ours, mut bridge) = (Samples::default(), Samples::default());
    let (mut our_flow, mut bridge_flow) = (Samples::default(), Samples::default());
    let mut memory = Samples::default();
    let (mut our_missing, mut bridge_missing, mut twice) = (0, 0, 0);
    for round in 0..options.rounds {
        let away = AWAY + LONGER * round;
        let seen = gateway(options, place, away)?;
        ours.push(seen.total.as_secs_f64());
        our_flow.push(seen.flow);
        our_missing += options.messages - seen.distinct;
        twice += seen.twice;
        memory.push(count(seen.memory_kb) / 1024.0);
        let seen = mosquitto_bridge(options, away)?;
        bridge.push(seen.total.as_secs_f64());
        bridge_flow.push(seen.flow);
        bridge_missing += options.messages - seen.distinct;
    }
    report.note(&format!(
        "{} messages of {PAYLOAD} bytes, {} rounds; medians",
        options.messages, options.rounds
    ));
    report.spread("gateway: broker's return to last message", &ours, "s");
    report.figure(
        "  from the first message to the last",
        our_flow.median(),
        "messages/s",
    );
    report.figure("  memory right after", memory.median(), "MiB");
    report.figure("  came twice, all rounds", count(twice), "messages");
    report.spread("bridge: broker's return to last message", &bridge, "s");
    report.figure(
        "  from the first message to the last",
        bridge_flow.median(),
        "messages/s",
    );
    report.figure("  missing, all rounds", count(bridge_missing), "messages");
    report.figure(
        "ratio of the flows, gateway to bridge",
        our_flow.median() / bridge_flow.median(),
        "",
    );
    report.at_most("missing, all rounds", count(our_missing), 0.0, "messages");
    report.at_most(
        "ratio of the times, gateway to bridge",
        ours.median() / bridge.median(),
        1.0,
        "",
    );
    Ok(())
}

struct Seen {
    total: Duration,
    flow: f64,
    distinct: u64,
    twice: u64,
    memory_kb: u64,
}

fn body(number: u64) -> Vec<u8> {
    let mut body = format!("{{\"n\":{number},\"x\":\"").into_bytes();
    body.resize(PAYLOAD - 2, b'x');
    body.extend(b"\"}");
    body
}

fn number(body: &[u8]) -> Option<u64> {
    let rest = body.strip_prefix(b"{\"n\":")?;
    let digits = rest.split(|byte| *byte == b',').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads until everything is there or silence says that the rest is lost.
fn collect(subscriber: &Subscriber, messages: u64, returned: u64) -> Seen {
    let mut distinct = HashSet::new();
    let (mut first, mut last, mut twice) = (None, returned, 0);
    while (distinct.len() as u64) < messages {
        let Ok(message) = subscriber.next(SILENCE) else {
            break;
        };
        let Some(number) = number(&message.payload) else {
            continue;
        };
        first.get_or_insert(message.at_ns);
        last = message.at_ns;
        twice += u64::from(!distinct.insert(number));
    }
    let flowing = Duration::from_nanos(last - first.unwrap_or(last));
    let flow = per_second(distinct.len(), flowing);
    let total = Duration::from_nanos(last - returned);
    Seen {
        total,
        flow,
        distinct: distinct.len() as u64,
        twice,
        memory_kb: 0,
    }
}

fn gateway(options: &Options, place: &Place, away: Duration) -> Result<Seen> {
    let mut office = Mosquitto::start("")?;
    mqtt::leave_session(office.port, FILTER, SESSION)?;
    office.stop()?;
    let register = Register::prepare(
        place,
        Some(&office),
        "",
        "[uplink]\nbacklog_per_second = 0\n",
    )?;
    fill(&register.data(), options.messages)?;
    let gateway = Gateway::start(place, &register.config, &[])?;
    pause(away);
    office.run()?;
    let returned = monotonic_ns();
    let subscriber = Subscriber::start(office.port, FILTER, 1, Some(SESSION))?;
    let mut seen = collect(&subscriber, options.messages, returned);
    seen.memory_kb = gateway.status("VmRSS")?;
    gateway.stop()?;
    Ok(seen)
}

/// Fills an outbox with messages of the bulk lane.
pub fn fill(data: &std::path::Path, messages: u64) -> Result<()> {
    let (store, _) = Store::open(data, StoreOptions::default())?;
    let stamp = Stamp {
        boot: 1,
        monotonic_ns: 1,
        utc_us: 1_780_300_800_000_000,
        clock: Clock::Synced,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut last = None;
    for number in 0..messages {
        runtime.block_on(store.room());
        let appended = store.append_with(Urgency::Normal, |numbers| {
            let lane_seq = numbers.next(Lane::Bulk);
            vec![Record::Outbox(OutboxEntry {
                lane: Lane::Bulk,
                lane_seq,
                message_id: MessageId::derive(store.log_id(), Lane::Bulk, lane_seq),
                topic: "stores/S03/events".into(),
                content_type: "application/json".into(),
                stamp,
                payload: body(number),
            })]
        })?;
        last = Some(appended.last);
    }
    runtime.block_on(store.durable_through(last.context("there are messages")?))?;
    store.close();
    Ok(())
}

fn mosquitto_bridge(options: &Options, away: Duration) -> Result<Seen> {
    let mut office = Mosquitto::start("")?;
    mqtt::leave_session(office.port, FILTER, SESSION)?;
    office.stop()?;
    let bridge = Mosquitto::start(&format!(
        "connection head-office\naddress 127.0.0.1:{}\ntopic {FILTER} out 1\ncleansession false\n",
        office.port
    ))?;
    let mut publisher = Publisher::connect(bridge.port)?;
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < options.messages {
        if sent < options.messages && sent - acknowledged < 20 {
            publisher.send("stores/S03/events", &body(sent))?;
            sent += 1;
        } else {
            publisher.acknowledged()?;
            acknowledged += 1;
        }
    }
    pause(away);
    office.run()?;
    let returned = monotonic_ns();
    let subscriber = Subscriber::start(office.port, FILTER, 1, Some(SESSION))?;
    Ok(collect(&subscriber, options.messages, returned))
}
