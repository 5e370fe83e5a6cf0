use super::*;
use proptest::prelude::*;

const MS: u64 = 1_000_000;

fn sense() -> SenseDebouncer {
    let mut sense = SenseDebouncer::new(SenseConfig::new(Level::High));
    let found = sense.found(Level::Low, 0);
    assert_eq!(
        found,
        Some(DrawerChange {
            state: DrawerState::Closed,
            at_ns: 0,
            initial: true
        })
    );
    sense
}

fn opened(at_ns: u64) -> Option<DrawerChange> {
    Some(DrawerChange {
        state: DrawerState::Open,
        at_ns,
        initial: false,
    })
}

#[test]
fn an_opening_is_reported_once_the_bounce_rests_with_the_time_of_its_first_edge() {
    let mut sense = sense();
    for (level, at) in [(Level::High, 100), (Level::Low, 102), (Level::High, 104)] {
        assert_eq!(sense.edge(level, at * MS), None);
    }
    assert_eq!(sense.deadline(), Some(114 * MS));
    assert_eq!(sense.poll(114 * MS - 1), None);
    assert_eq!(sense.poll(114 * MS), opened(100 * MS));
    assert_eq!(sense.deadline(), None);
    assert_eq!(sense.poll(200 * MS), None);
}

#[test]
fn a_glitch_is_counted_and_silent() {
    let mut sense = sense();
    sense.edge(Level::High, 100 * MS);
    sense.edge(Level::Low, 101 * MS);
    assert_eq!(sense.poll(111 * MS), None);
    assert_eq!(sense.counters().glitches, 1);
    // It does not lend its time to the opening after it.
    sense.edge(Level::High, 150 * MS);
    assert_eq!(sense.poll(160 * MS), opened(150 * MS));
}

#[test]
fn an_edge_that_comes_late_settles_what_was_before_it() {
    let mut sense = sense();
    sense.edge(Level::High, 100 * MS);
    assert_eq!(sense.edge(Level::Low, 400 * MS), opened(100 * MS));
    let closed = sense.poll(410 * MS);
    assert_eq!(
        closed.map(|c| (c.state, c.at_ns)),
        Some((DrawerState::Closed, 400 * MS))
    );
}

#[test]
fn a_switch_that_never_rests_is_taken_as_open() {
    let mut sense = sense();
    let mut changes = Vec::new();
    for at in (100..1100).step_by(2) {
        let level = if at % 4 == 0 { Level::High } else { Level::Low };
        changes.extend(sense.edge(level, at * MS));
    }
    assert_eq!(changes, Vec::from_iter(opened(100 * MS)));
    assert!(sense.counters().chatter >= 1);
}

#[test]
fn after_a_reopening_only_a_difference_is_reported() {
    let mut sense = sense();
    assert_eq!(sense.found(Level::Low, 50 * MS), None);
    assert_eq!(
        sense.found(Level::High, 60 * MS),
        Some(DrawerChange {
            state: DrawerState::Open,
            at_ns: 60 * MS,
            initial: true
        })
    );
}

fn kick() -> KickDetector {
    KickDetector::new(KickConfig {
        active_level: Level::Low,
    })
}

#[test]
fn a_kick_is_reported_five_milliseconds_into_its_pulse() {
    let mut kick = kick();
    assert!(kick.edge(Level::Low, 100 * MS).is_empty());
    assert_eq!(kick.deadline(), Some(105 * MS));
    assert!(kick.poll(105 * MS - 1).is_empty());
    assert_eq!(
        kick.poll(105 * MS)[..],
        [KickChange::Started { at_ns: 100 * MS }]
    );
    assert!(kick.edge(Level::High, 200 * MS).is_empty());
    assert!(kick.poll(201 * MS).is_empty());
    assert_eq!(kick.deadline(), Some(500 * MS));
    assert_eq!(
        kick.poll(500 * MS)[..],
        [KickChange::Ended {
            at_ns: 100 * MS,
            ended_ns: 200 * MS,
            active_ns: 100 * MS,
            pulses: 1
        }]
    );
    assert_eq!(kick.deadline(), None);
}

#[test]
fn short_pulses_are_noise_and_short_gaps_are_bounce() {
    let mut kick = kick();
    kick.edge(Level::Low, 10 * MS);
    kick.edge(Level::High, 14 * MS);
    assert!(kick.poll(20 * MS).is_empty());
    assert_eq!(kick.counters().noise, 1);
    // A gap of half a millisecond does not end a pulse.
    kick.edge(Level::Low, 100 * MS);
    kick.edge(Level::High, 103 * MS);
    kick.edge(Level::Low, 103 * MS + MS / 2);
    assert_eq!(
        kick.poll(105 * MS)[..],
        [KickChange::Started { at_ns: 100 * MS }]
    );
    assert_eq!(kick.counters().noise, 1);
}

#[test]
fn a_train_of_pulses_is_one_kick_and_a_later_pulse_another() {
    let mut kick = kick();
    let mut changes = Vec::new();
    for start in [100, 300, 500] {
        changes.extend(kick.edge(Level::Low, start * MS));
        changes.extend(kick.edge(Level::High, (start + 100) * MS));
    }
    changes.extend(kick.edge(Level::Low, 2000 * MS));
    changes.extend(kick.poll(2005 * MS));
    assert_eq!(
        changes,
        [
            KickChange::Started { at_ns: 100 * MS },
            KickChange::Ended {
                at_ns: 100 * MS,
                ended_ns: 600 * MS,
                active_ns: 300 * MS,
                pulses: 3
            },
            KickChange::Started { at_ns: 2000 * MS },
        ]
    );
    assert_eq!(kick.counters().kicks, 2);
}

#[test]
fn a_line_stuck_active_is_reported_once() {
    let mut kick = kick();
    assert!(kick.found(Level::Low, 0).is_empty());
    assert_eq!(
        kick.poll(1000 * MS)[..],
        [
            KickChange::Started { at_ns: 0 },
            KickChange::Held { at_ns: 0 }
        ]
    );
    assert!(kick.poll(9000 * MS).is_empty());
    assert_eq!(kick.deadline(), None);
}

proptest! {
    /// Whatever the line does, states alternate, times do not go back, and the last
    /// reported state is the line's once it has rested.
    #[test]
    fn changes_alternate_and_end_in_the_line_s_state(
        steps in proptest::collection::vec((any::<bool>(), 0u64..40), 1..200)
    ) {
        let mut sense = sense();
        let (mut now, mut level) = (0, Level::Low);
        let mut changes = Vec::new();
        for (high, wait) in steps {
            now += wait * MS;
            level = if high { Level::High } else { Level::Low };
            changes.extend(sense.edge(level, now));
        }
        while let Some(deadline) = sense.deadline() {
            changes.extend(sense.poll(deadline));
        }
        let expected = if level == Level::High { DrawerState::Open } else { DrawerState::Closed };
        prop_assert_eq!(sense.state(), Some(expected));
        let mut last = (DrawerState::Closed, 0);
        for change in changes {
            prop_assert_ne!(change.state, last.0);
            prop_assert!(change.at_ns >= last.1);
            last = (change.state, change.at_ns);
        }
    }

    /// The kick detector never reports a pulse under 5 ms, and Started and Ended alternate.
    #[test]
    fn kicks_begin_and_end_in_turn(
        steps in proptest::collection::vec((any::<bool>(), 0u64..200), 1..200)
    ) {
        let mut kick = kick();
        let mut now = 0;
        let mut changes = Vec::new();
        for (low, wait) in steps {
            now += wait * MS;
            changes.extend(kick.edge(if low { Level::Low } else { Level::High }, now));
        }
        changes.extend(kick.edge(Level::High, now + MS));
        while let Some(deadline) = kick.deadline() {
            changes.extend(kick.poll(deadline));
        }
        let mut running = false;
        for change in changes {
            match change {
                KickChange::Started { .. } => {
                    prop_assert!(!running);
                    running = true;
                }
                KickChange::Ended { active_ns, pulses, .. } => {
                    prop_assert!(running && pulses > 0 && active_ns >= 5 * MS);
                    running = false;
                }
                KickChange::Held { .. } => prop_assert!(running),
            }
        }
        prop_assert!(!running);
    }
}
