use super::*;
use tillwatch_protocol::Clock;

fn at(seconds: u64) -> Stamp {
    Stamp {
        boot: 1,
        monotonic_ns: seconds * SECOND_NS,
        utc_us: 0,
        clock: Clock::Synced,
    }
}

/// An event with this id and body.
fn keys(id: u64, body: u64) -> Keys {
    let short = |text: String| {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(text);
        digest.first_chunk().copied().unwrap()
    };
    Keys {
        with_body: short(format!("{id} {body}")),
        id: short(format!("{id}")),
    }
}

fn filled(events: u64) -> Redelivery {
    let mut memory = Redelivery::default();
    for n in 1..=events {
        memory.remember(keys(n, 0), &at(n), Seq(n), Seq(n));
    }
    memory
}

#[test]
fn an_event_is_known_by_its_id_and_body_for_a_day() {
    let memory = filled(3);
    assert_eq!(memory.seen(&keys(4, 0), &at(10)), Seen::New);
    assert_eq!(memory.seen(&keys(2, 0), &at(10)), Seen::Again(Seq(2)));
    assert_eq!(memory.seen(&keys(2, 1), &at(10)), Seen::IdReused);
    let tomorrow = at(24 * 3_600 + 2);
    assert_eq!(memory.seen(&keys(2, 0), &tomorrow), Seen::New);
    assert_eq!(memory.seen(&keys(3, 0), &tomorrow), Seen::Again(Seq(3)));
}

#[test]
fn only_about_what_left_the_memory_the_index_is_asked() {
    let events = RECENT as u64 + 100;
    let memory = filled(events);
    let now = at(events);
    assert_eq!(
        memory.seen(&keys(events, 0), &now),
        Seen::Again(Seq(events))
    );
    assert_eq!(memory.seen(&keys(100, 0), &now), Seen::AskIndex);
    let new = |n: u64| memory.seen(&keys(1_000_000 + n, 0), &now) == Seen::New;
    assert!((0..1_000).all(new), "nobody is asked about a new event");
    let same = SeenPos {
        same: Some((Seq(100), at(100))),
        id: Some((Seq(100), at(100))),
    };
    assert_eq!(
        memory.judge(&keys(100, 0), &now, same),
        Seen::Again(Seq(100))
    );
    let reused = SeenPos { same: None, ..same };
    assert_eq!(memory.judge(&keys(100, 1), &now, reused), Seen::IdReused);
    let too_old = at(100 + 24 * 3_600);
    assert_eq!(memory.judge(&keys(100, 0), &too_old, same), Seen::New);
}

#[test]
fn what_the_index_does_not_show_yet_stays_up_to_a_bound() {
    let mut memory = Redelivery::default();
    let most = RECENT_MOST as u64;
    for n in 1..=most {
        memory.remember(keys(n, 0), &at(n), Seq(n), Seq(0));
    }
    assert_eq!(memory.seen(&keys(1, 0), &at(most)), Seen::Again(Seq(1)));
    memory.remember(keys(most + 1, 0), &at(most), Seq(most + 1), Seq(0));
    assert_eq!(memory.seen(&keys(1, 0), &at(most)), Seen::AskIndex);
    memory.remember(keys(most + 2, 0), &at(most), Seq(most + 2), Seq(most));
    assert_eq!(memory.order.len(), RECENT);
}

#[test]
fn a_memory_that_does_not_reach_back_a_day_asks_until_the_day_is_over() {
    let mut memory = Redelivery::unknown(at(100));
    memory.remember(keys(1, 0), &at(101), Seq(1), Seq(1));
    assert_eq!(memory.seen(&keys(1, 0), &at(110)), Seen::Again(Seq(1)));
    assert_eq!(memory.seen(&keys(2, 0), &at(110)), Seen::AskIndex);
    let later = at(100 + 24 * 3_600);
    assert!(memory.is_complete(&later));
    assert_eq!(memory.seen(&keys(2, 0), &later), Seen::New);
}
