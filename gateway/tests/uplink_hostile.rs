//! The uplink against brokers that lose, repeat, confuse and break.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake_broker;
mod uplink_harness;

use fake_broker::{FakeBroker, Reply, Seen, ok, puback};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tillwatch::health::PartState;
use tillwatch::uplink::suspicion::ATTEMPTS;
use tillwatch_protocol::Lane;
use uplink_harness::{Gateway, eventually};

/// Places that a script acknowledged with Success for exactly that message.
type Accepted = Arc<Mutex<BTreeSet<(u64, u64)>>>;

/// A gateway with `count` messages in each lane, and no rationing.
async fn loaded(broker: &FakeBroker, count: u64) -> Gateway {
    let gateway = Gateway::new(broker.port, |config| config.uplink.backlog_per_second = 0);
    gateway.queue_in_all_lanes(count).await;
    gateway.impatient()
}

fn all(count: u64) -> BTreeSet<(u64, u64)> {
    (1..=3)
        .flat_map(|lane| (1..=count).map(move |seq| (lane, seq)))
        .collect()
}

/// Runs the uplink against a script until the outbox is empty, and checks that whatever counts as
/// acknowledged was accepted, and that everything was.
async fn nothing_is_lost(
    count: u64,
    mut script: impl FnMut(&Seen) -> (Reply, bool) + Send + 'static,
) -> FakeBroker {
    let accepted = Accepted::default();
    let broker = FakeBroker::start(&[], {
        let accepted = accepted.clone();
        move |seen| {
            let (reply, accepts) = script(seen);
            if let Some(place) = seen.place().filter(|_| accepts) {
                accepted.lock().unwrap().insert(place);
            }
            reply
        }
    })
    .await;
    let gateway = loaded(&broker, count).await.start();
    eventually("the outbox is empty", || {
        let outbox = gateway.shared.store.outbox();
        let pending: BTreeSet<_> = Lane::ALL
            .into_iter()
            .flat_map(|lane| outbox.pending(lane, 0, usize::MAX))
            .map(|place| (u64::from(place.lane.number()), place.lane_seq))
            .collect();
        let accepted = accepted.lock().unwrap();
        for place in all(count).difference(&pending) {
            assert!(accepted.contains(place), "{place:?} was never accepted");
        }
        pending.is_empty()
    })
    .await;
    assert_eq!(*accepted.lock().unwrap(), all(count));
    assert_eq!(gateway.shared.store.outbox().dead_letters(), []);
    broker
}

/// On each connection, a lane's messages come in order.
fn lanes_are_in_order(broker: &FakeBroker) {
    let mut last = BTreeMap::new();
    for seen in broker.seen() {
        if let Some((lane, seq)) = seen.place() {
            let before = last.insert((seen.connection, lane), seq).unwrap_or(0);
            assert!(before < seq, "{seq} after {before} in lane {lane}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgets_answers() {
    let mut n = 0;
    let broker = nothing_is_lost(60, move |seen| {
        n += 1;
        match n % 40 {
            0 => (Reply::Bytes(Vec::new()), false),
            _ => (ok(seen), true),
        }
    })
    .await;
    lanes_are_in_order(&broker);
    assert!(broker.connections() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_answers_twice() {
    let broker = nothing_is_lost(20, |seen| {
        let once = puback(seen.pkid, 0);
        let twice = seen.ordinal % 10 == 9;
        let bytes = if twice { once.repeat(2) } else { once };
        (Reply::Bytes(bytes), true)
    })
    .await;
    lanes_are_in_order(&broker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_confuses_packet_ids() {
    nothing_is_lost(20, |seen| match seen.connection {
        1..=3 => (Reply::Bytes(puback(seen.pkid + 1_000, 0)), false),
        _ => (ok(seen), true),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_answers_in_reverse_order() {
    let mut held: Vec<u16> = Vec::new();
    nothing_is_lost(100, move |seen| {
        held.push(seen.pkid);
        // The last group may be short: then each one is answered at once.
        let bytes = if held.len() >= 10 || seen.ordinal >= 290 {
            held.drain(..)
                .rev()
                .flat_map(|pkid| puback(pkid, 0))
                .collect()
        } else {
            Vec::new()
        };
        (Reply::Bytes(bytes), true)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_closes_after_a_few() {
    nothing_is_lost(20, |seen| match seen.ordinal {
        0..12 => (ok(seen), true),
        12 => (Reply::Close(Vec::new()), false),
        _ => (Reply::Bytes(Vec::new()), false),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_breaks_off_in_the_middle_of_an_answer() {
    nothing_is_lost(10, |seen| match (seen.connection, seen.ordinal) {
        (1..=2, 5) => (Reply::Close(vec![0x40, 2, 0]), false),
        (1..=2, 6..) => (Reply::Bytes(Vec::new()), false),
        _ => (ok(seen), true),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stops_reading() {
    nothing_is_lost(40, |seen| match seen.connection {
        1 if seen.ordinal == 3 => (Reply::Deaf, false),
        _ => (ok(seen), true),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_speaks_nonsense() {
    nothing_is_lost(10, |seen| match (seen.connection, seen.ordinal) {
        (1, 4) => (Reply::Bytes(vec![0xF7, 3, 0, 0xFF, 0xFF]), false),
        (2, 4) => (
            Reply::Bytes(vec![0x32, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            false,
        ),
        (1..=2, 4..) => (Reply::Bytes(Vec::new()), false),
        _ => (ok(seen), true),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_short_of_room_is_asked_again() {
    let mut refused = 0;
    nothing_is_lost(10, move |seen| {
        refused += 1;
        match refused {
            4..=6 => (Reply::Bytes(puback(seen.pkid, 0x97)), false),
            _ => (ok(seen), true),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receive_maximum_is_kept_and_packet_ids_rotate_far_beyond_it() {
    // Receive Maximum 5; answers come when three are in flight.
    let most = Arc::new(Mutex::new((0_usize, Vec::<u16>::new())));
    let broker = FakeBroker::start(&[0x21, 0, 5], {
        let most = most.clone();
        move |seen| {
            let mut state = most.lock().unwrap();
            state.1.push(seen.pkid);
            state.0 = state.0.max(state.1.len());
            // The last ones may be fewer.
            if state.1.len() >= 3 || seen.ordinal >= 295 {
                let held = std::mem::take(&mut state.1);
                return Reply::Bytes(held.into_iter().flat_map(|pkid| puback(pkid, 0)).collect());
            }
            Reply::Bytes(Vec::new())
        }
    })
    .await;
    let gateway = loaded(&broker, 100).await.start();
    gateway.emptied().await;
    assert!(most.lock().unwrap().0 <= 5);
    let ids: BTreeSet<u16> = broker.seen().iter().map(|seen| seen.pkid).collect();
    assert!(ids.len() > 250, "only {} packet ids", ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_can_never_take_becomes_a_dead_letter_and_blocks_nothing() {
    let broker = FakeBroker::start(&[], |seen| match seen.place() {
        Some((1, 3)) => Reply::Bytes(puback(seen.pkid, 0x90)),
        Some((2, 4)) => Reply::Bytes(puback(seen.pkid, 0x99)),
        _ => ok(seen),
    })
    .await;
    let gateway = loaded(&broker, 10).await.start();
    gateway.emptied().await;
    let dead: Vec<_> = gateway
        .shared
        .store
        .outbox()
        .dead_letters()
        .into_iter()
        .map(|letter| (letter.lane, letter.lane_seq))
        .collect();
    assert_eq!(
        BTreeSet::from_iter(dead),
        [(Lane::Urgent, 3), (Lane::Business, 4)].into()
    );
    assert_eq!(broker.seen().iter().filter_map(Seen::place).count(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_larger_than_the_broker_takes_is_not_even_sent() {
    // Maximum Packet Size 1,000.
    let broker = FakeBroker::start(&[0x27, 0, 0, 0x03, 0xE8], ok).await;
    let gateway = loaded(&broker, 3).await;
    gateway.queue(Lane::Urgent, &format!("stores/S03/{}", "x".repeat(900)), 0);
    gateway.queue(Lane::Urgent, &gateway.topics.alerts(), 0);
    let gateway = gateway.start();
    gateway.emptied().await;
    let dead = gateway.shared.store.outbox().dead_letters();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].reason.contains("1000"), "{}", dead[0].reason);
    assert_eq!(broker.connections(), 1, "no reconnect because of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_message_that_breaks_the_broker_is_found_and_given_up() {
    let broker = FakeBroker::start(&[], |seen| match seen.place() {
        Some((2, 5)) => Reply::Close(Vec::new()),
        _ => ok(seen),
    })
    .await;
    let gateway = loaded(&broker, 12).await.start();
    gateway.emptied().await;
    let dead = gateway.shared.store.outbox().dead_letters();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!((dead[0].lane, dead[0].lane_seq), (Lane::Business, 5));
    let culprit = |seen: &&Seen| seen.place() == Some((2, 5));
    let sent = broker.seen().iter().filter(culprit).count();
    assert!(sent >= ATTEMPTS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_simply_broken_costs_no_message() {
    // Every connection breaks at its first message, for 12 connections.
    nothing_is_lost(5, |seen| match seen.connection {
        1..=9 => (Reply::Close(Vec::new()), false),
        _ => (ok(seen), true),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_disconnects_for_a_forbidden_topic_is_understood() {
    let broker = FakeBroker::start(&[], |seen| match seen.topic.as_str() {
        // DISCONNECT 0x87, and no PUBACK.
        "stores/S03/orders" => Reply::Close(vec![0xE0, 2, 0x87, 0]),
        _ => ok(seen),
    })
    .await;
    let gateway = loaded(&broker, 30).await.start();
    eventually("the other lanes are through", || {
        gateway.shared.store.outbox().depth() == [0, 30, 0]
    })
    .await;
    assert_eq!(gateway.shared.store.outbox().dead_letters(), []);
    // One more of the forbidden topic, which is looked at before the second of the others goes out:
    // both of those come on one connection when it is left waiting.
    let mut waiting = 30;
    let mut holds = async || {
        waiting += 1;
        gateway.queue(Lane::Business, "stores/S03/orders", waiting);
        let mut came_by = Vec::new();
        for _ in 0..2 {
            let alert = gateway.queue(Lane::Urgent, &gateway.topics.alerts(), 0);
            eventually("the others go on", || {
                gateway.shared.store.outbox().depth() == [0, waiting, 0]
            })
            .await;
            let seen = broker.seen();
            let last = seen.iter().rfind(|seen| seen.place() == Some((1, alert)));
            came_by.push(last.unwrap().connection);
        }
        came_by.dedup();
        (came_by.len() == 1).then(|| came_by[0])
    };
    let mut connection = None;
    for _ in 0..10 {
        if connection.is_none() {
            connection = holds().await;
        }
    }
    // Understood for good: it is the same one, and it was not left since.
    assert!(connection.is_some());
    assert_eq!(holds().await, connection);
    assert_eq!(Some(broker.connections()), connection);
    assert_eq!(gateway.state(), Some(PartState::Up));
}
