use super::*;
use PubAckReason::{
    ImplementationSpecificError, NoMatchingSubscribers, NotAuthorized, PacketIdentifierInUse,
    PayloadFormatInvalid, QuotaExceeded, Success, TopicNameInvalid, UnspecifiedError,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn key(lane_seq: u64) -> Key {
    Key {
        lane: Lane::Business,
        lane_seq,
    }
}

fn entry(lane_seq: u64) -> Cargo {
    Cargo::Entry(key(lane_seq))
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pump(window: u16) -> Pump {
    Pump::new(Limits::new(window, None, Patience::default()))
}

fn acknowledged(answer: Answer) -> Option<Cargo> {
    match answer {
        Answer::Acknowledged { cargo, .. } => Some(cargo),
        _ => None,
    }
}

#[test]
fn the_window_is_the_smallest_of_wish_bound_and_receive_maximum() {
    let window =
        |wish, receive_maximum| Limits::new(wish, receive_maximum, Patience::default()).window;
    assert_eq!(window(50, None), 50);
    assert_eq!(window(0, None), 1);
    assert_eq!(window(1_000, None), WINDOW_MAX);
    assert_eq!(window(50, Some(20)), 20);
    assert_eq!(window(50, Some(0)), 1);
}

#[test]
fn packet_ids_are_given_in_channel_order() {
    let mut pump = pump(50);
    for n in 1..=3 {
        pump.hand_over(entry(n), s(0));
    }
    // Ids need not start at 1, and QoS 0 shows up as 0 in between.
    pump.sent(7, s(1)).unwrap();
    pump.sent(0, s(1)).unwrap();
    pump.sent(8, s(1)).unwrap();
    assert_eq!(
        pump.answered(8, Success, s(3)),
        Answer::Acknowledged {
            cargo: entry(2),
            took: s(2)
        }
    );
    assert_eq!(pump.unanswered(), [key(1), key(3)]);
    assert_eq!(pump.in_flight(), 2);
}

#[test]
fn an_answer_to_what_has_no_packet_id_yet_is_stray() {
    let mut pump = pump(50);
    pump.hand_over(entry(1), s(0));
    assert_eq!(pump.answered(1, Success, s(0)), Answer::Stray);
    assert_eq!((pump.stray(), pump.acknowledged()), (1, 0));
    assert_eq!(pump.unanswered(), [key(1)]);
}

#[test]
fn a_second_answer_is_counted_and_ignored() {
    let mut pump = pump(50);
    pump.hand_over(entry(1), s(0));
    pump.sent(1, s(0)).unwrap();
    assert_eq!(
        acknowledged(pump.answered(1, Success, s(0))),
        Some(entry(1))
    );
    assert_eq!(pump.answered(1, Success, s(0)), Answer::Stray);
    assert_eq!((pump.stray(), pump.acknowledged()), (1, 1));
}

#[test]
fn every_reason_has_its_reaction_and_only_success_acknowledges() {
    for (reason, expected) in [
        (Success, None),
        (NoMatchingSubscribers, Some(Refusal::NoConsumer)),
        (UnspecifiedError, Some(Refusal::Later)),
        (ImplementationSpecificError, Some(Refusal::Later)),
        (PacketIdentifierInUse, Some(Refusal::Later)),
        (QuotaExceeded, Some(Refusal::Later)),
        (NotAuthorized, Some(Refusal::Denied)),
        (TopicNameInvalid, Some(Refusal::Unusable)),
        (PayloadFormatInvalid, Some(Refusal::Unusable)),
    ] {
        let mut pump = pump(50);
        pump.hand_over(entry(1), s(0));
        pump.sent(1, s(0)).unwrap();
        let answer = pump.answered(1, reason, s(0));
        match expected {
            None => assert_eq!(acknowledged(answer), Some(entry(1))),
            Some(refusal) => assert_eq!(
                answer,
                Answer::Refused {
                    cargo: entry(1),
                    refusal
                }
            ),
        }
        assert_eq!(pump.acknowledged(), u64::from(expected.is_none()));
        assert_eq!(pump.in_flight(), 0, "a refusal frees its place");
    }
}

#[test]
fn a_broken_correlation_is_a_breach() {
    let mut pump = pump(50);
    assert_eq!(pump.sent(1, s(0)), Err(Breach::Unknown(1)));
    pump.hand_over(entry(1), s(0));
    pump.hand_over(entry(2), s(0));
    pump.sent(1, s(0)).unwrap();
    assert_eq!(pump.sent(1, s(0)), Err(Breach::Reused(1)));
    assert_eq!(pump.unanswered(), [key(1), key(2)]);
}

#[test]
fn what_the_channel_does_not_take_is_as_if_it_never_was() {
    let mut pump = pump(2);
    pump.hand_over(entry(1), s(0));
    pump.hand_over(entry(2), s(0));
    assert_eq!(pump.room(), 0);
    pump.take_back();
    assert_eq!((pump.room(), pump.per_lane()), (1, [0, 1, 0]));
    pump.sent(1, s(0)).unwrap();
    assert_eq!(pump.unanswered(), [key(1)]);
}

#[test]
fn a_client_that_takes_nothing_and_a_broker_that_answers_nothing_are_overdue() {
    let mut pump = pump(50);
    assert_eq!(pump.deadline(), None);
    pump.hand_over(entry(1), s(0));
    assert_eq!(pump.deadline(), Some(HAND_OVER_TIMEOUT));
    assert_eq!(pump.overdue(HAND_OVER_TIMEOUT), Some(Overdue::HandOver));

    pump.sent(1, s(10)).unwrap();
    assert_eq!(pump.deadline(), Some(s(10) + ACK_TIMEOUT));
    assert_eq!(pump.overdue(HAND_OVER_TIMEOUT), None);
    // Answers to younger ones do not excuse the oldest.
    pump.hand_over(entry(2), s(20));
    pump.sent(2, s(20)).unwrap();
    pump.answered(2, Success, s(39));
    assert_eq!(pump.overdue(s(39)), None);
    assert_eq!(pump.overdue(s(40)), Some(Overdue::Answer));
}

#[test]
fn nothing_is_sent_while_the_oldest_is_a_rotation_behind() {
    let mut pump = pump(50);
    pump.hand_over(entry(0), s(0));
    pump.sent(1, s(0)).unwrap();
    // The first is never answered, everything after it is, at once.
    let mut pkid = 1;
    let mut sent = 1;
    while pump.room() > 0 {
        pump.hand_over(entry(sent), s(0));
        pkid = pkid % ROTATION + 1;
        pump.sent(pkid, s(0)).unwrap();
        pump.answered(pkid, Success, s(0));
        sent += 1;
    }
    assert_eq!(
        sent,
        u64::from(ROTATION),
        "the next id would be the first's"
    );
    assert_eq!(pump.in_flight(), 1);
    pump.answered(1, Success, s(1));
    assert_eq!(pump.room(), 50);
}

/// What a client library, a network and a broker may do to one connection.
#[derive(Debug, Clone)]
enum Step {
    HandOver,
    TakeBack,
    Send,
    /// Answers the n-th of what is on the wire.
    Answer(usize, bool),
    /// Repeats the n-th answer given on this connection, if its id is not in use again.
    Repeat(usize),
    /// Answers an id that is not on the wire.
    Wrong(u16),
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::HandOver),
        1 => Just(Step::TakeBack),
        6 => Just(Step::Send),
        5 => (0..10_usize, prop::bool::weighted(0.8)).prop_map(|(n, ok)| Step::Answer(n, ok)),
        2 => (0..10_usize).prop_map(Step::Repeat),
        1 => (1..=ROTATION).prop_map(Step::Wrong),
        1 => Just(Step::Reconnect),
    ]
}

proptest! {
    /// Whatever happens: an entry counts as acknowledged only when the broker said Success for
    /// exactly that entry on the same connection; nothing is lost; a lane is sent in order on
    /// each connection; the window is kept.
    #[test]
    fn acknowledged_is_only_what_was(window in 1..12_u16, steps in prop::collection::vec(step(), 1..400)) {
        let limits = Limits { rotation: 64, ..Limits::new(window, None, Patience::default()) };
        let mut pump = Pump::new(limits);
        // The model: a lane of entries, and a wire that knows which id carries which entry.
        let mut outbox: BTreeSet<u64> = (1..=150).collect();
        let mut cursor = 0;
        let mut channel: VecDeque<u64> = VecDeque::new();
        let mut wire: Vec<(u16, u64)> = Vec::new();
        let mut answered: Vec<u16> = Vec::new();
        let mut refused: BTreeSet<u64> = BTreeSet::new();
        let mut pkid = 0_u16;
        let mut strays = 0;

        for step in steps {
            match step {
                Step::HandOver => {
                    let next = outbox.range(cursor + 1..).next().copied();
                    if let Some(next) = next.filter(|_| pump.room() > 0) {
                        pump.hand_over(entry(next), s(0));
                        channel.push_back(next);
                        cursor = next;
                    }
                }
                Step::TakeBack => {
                    if let Some(last) = channel.pop_back() {
                        pump.take_back();
                        cursor = last - 1;
                    }
                }
                Step::Send => if let Some(next) = channel.pop_front() {
                    pkid = pkid % limits.rotation + 1;
                    prop_assert!(wire.iter().all(|(id, _)| *id != pkid), "an id in use would be used again");
                    prop_assert!(wire.last().is_none_or(|(_, before)| *before < next), "order");
                    wire.push((pkid, next));
                    prop_assert_eq!(pump.sent(pkid, s(0)), Ok(()));
                },
                Step::Answer(n, ok) => if !wire.is_empty() {
                    let (id, carried) = wire.remove(n % wire.len());
                    answered.push(id);
                    let reason = if ok { Success } else { QuotaExceeded };
                    match pump.answered(id, reason, s(0)) {
                        Answer::Acknowledged { cargo, .. } => {
                            prop_assert!(ok);
                            prop_assert_eq!(cargo, entry(carried));
                            outbox.remove(&carried);
                        }
                        Answer::Refused { cargo, .. } => {
                            prop_assert!(!ok);
                            prop_assert_eq!(cargo, entry(carried));
                            refused.insert(carried);
                        }
                        Answer::Stray => prop_assert!(false, "id {} was on the wire", id),
                    }
                },
                Step::Repeat(n) => if !answered.is_empty() {
                    let id = answered[n % answered.len()];
                    // What the rotation makes impossible within a window's worth of messages.
                    if wire.iter().all(|(on_wire, _)| *on_wire != id) {
                        prop_assert_eq!(pump.answered(id, Success, s(0)), Answer::Stray);
                        strays += 1;
                    }
                },
                Step::Wrong(id) => if wire.iter().all(|(on_wire, _)| *on_wire != id) {
                    prop_assert_eq!(pump.answered(id, Success, s(0)), Answer::Stray);
                    strays += 1;
                },
                Step::Reconnect => {
                    let unanswered: Vec<u64> = wire.drain(..).map(|(_, n)| n).chain(channel.drain(..)).collect();
                    let told: Vec<u64> = pump.unanswered().iter().map(|key| key.lane_seq).collect();
                    prop_assert_eq!(told, unanswered);
                    pump = Pump::new(limits);
                    (cursor, pkid, strays) = (0, 0, 0);
                    answered.clear();
                    refused.clear();
                }
            }
            prop_assert!(pump.in_flight() <= usize::from(window));
            prop_assert_eq!(pump.in_flight(), wire.len() + channel.len());
            prop_assert_eq!(pump.stray(), strays);
            // Everything looked at is acknowledged, refused or still here.
            let here: BTreeSet<u64> = pump.unanswered().iter().map(|key| key.lane_seq).collect();
            for n in outbox.range(..=cursor) {
                prop_assert!(here.contains(n) || refused.contains(n), "{} is lost", n);
            }
        }
    }
}
