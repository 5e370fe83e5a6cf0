//! The drawer's two lines: any edges, at any distance, looked at in any rhythm.

use arbitrary::{Result, Unstructured};
use tillwatch_drivers::drawer::debounce::{
    CHATTER_NS, KICK_HELD_NS, KICK_MIN_NS, KickChanges, MAX_KICK_CHANGES,
};
use tillwatch_drivers::drawer::{
    DrawerChange, KickChange, KickConfig, KickDetector, Level, SenseConfig, SenseDebouncer,
};

const MICROSECOND: u64 = 1_000;
/// Steps that one input may take.
const MOST_STEPS: usize = 4_096;

/// The input is a byte of configuration, then steps of three bytes: what happens, and a `u16` of
/// time that passes before it. The unit is 1 µs, 100 µs, 10 ms or 1 s, by the two high bits of the
/// first byte; its three low bits say what:
///
/// 0 to 3: an edge of the sense line up, down, of the kick line up, down; 4, 5: the sense level is
/// read high, low; 6: the kick level is read low; 7: nothing but a look.
pub fn run(input: &[u8]) {
    let mut input = Unstructured::new(input);
    // An input that ends in the middle of a step ends there.
    let _ = played(&mut input);
}

fn played(input: &mut Unstructured<'_>) -> Result<()> {
    let config: u8 = input.arbitrary()?;
    let level = |high: bool| if high { Level::High } else { Level::Low };
    let sense = SenseConfig {
        open_level: level(config & 1 != 0),
        debounce_ns: u64::from(config >> 2) * 1_000 * MICROSECOND,
    };
    let mut sense = SenseDebouncer::new(sense);
    let mut kick = KickDetector::new(KickConfig {
        active_level: level(config & 2 != 0),
    });
    let mut seen = Seen::default();
    let mut now = 0;
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        let step: u8 = input.arbitrary()?;
        let unit = [1, 100, 10_000, 1_000_000][usize::from(step >> 6)] * MICROSECOND;
        now += u64::from(input.arbitrary::<u16>()?) * unit;
        let (change, kicks) = match step & 7 {
            up @ (0 | 1) => (sense.edge(level(up == 0), now), kick.poll(now)),
            up @ (2 | 3) => (sense.poll(now), kick.edge(level(up == 2), now)),
            up @ (4 | 5) => (sense.found(level(up == 4), now), kick.poll(now)),
            6 => (sense.poll(now), kick.found(Level::Low, now)),
            _ => (sense.poll(now), kick.poll(now)),
        };
        seen.sense(&sense, change, now);
        seen.kick(&kick, kicks, now);
        // Once more at the same time: an edge that continues a pulse can make a kick of it, which a
        // look tells at once. After that everything was said.
        assert_eq!(sense.poll(now), None);
        let kicks = kick.poll(now);
        seen.kick(&kick, kicks, now);
        assert!(kick.poll(now).is_empty());
        for deadline in [sense.deadline(), kick.deadline()].into_iter().flatten() {
            assert!(deadline > now, "a deadline stays in the past");
        }
    }
    assert_eq!(kick.counters().kicks, seen.kicks);
    Ok(())
}

/// What was reported before.
#[derive(Default)]
struct Seen {
    changes: u64,
    last: Option<DrawerChange>,
    kicks: u64,
    running: Option<u64>,
    kick_ended: u64,
}

impl Seen {
    fn sense(&mut self, sense: &SenseDebouncer, change: Option<DrawerChange>, now: u64) {
        if let Some(change) = change {
            assert!(change.at_ns <= now);
            if let Some(last) = self.last {
                assert_ne!(last.state, change.state, "changes alternate");
                assert!(
                    last.at_ns <= change.at_ns,
                    "times never go back: {last:?} {change:?}"
                );
            }
            if !change.initial {
                self.changes += 1;
            }
            self.last = Some(change);
        }
        assert_eq!(sense.state(), self.last.map(|last| last.state));
        assert_eq!(sense.counters().changes, self.changes);
        // A restless switch is given half a second.
        assert!(
            sense
                .deadline()
                .is_none_or(|deadline| deadline <= now + CHATTER_NS)
        );
    }

    fn kick(&mut self, kick: &KickDetector, changes: KickChanges, now: u64) {
        assert!(changes.len() <= MAX_KICK_CHANGES);
        for change in changes {
            match change {
                KickChange::Started { at_ns } => {
                    assert_eq!(
                        self.running, None,
                        "a kick begins when the last one is over"
                    );
                    assert!(self.kick_ended <= at_ns && at_ns + KICK_MIN_NS <= now);
                    self.running = Some(at_ns);
                    self.kicks += 1;
                }
                KickChange::Ended {
                    at_ns,
                    ended_ns,
                    active_ns,
                    pulses,
                } => {
                    assert_eq!(self.running.take(), Some(at_ns), "what ends has begun");
                    assert!(at_ns < ended_ns && ended_ns <= now);
                    assert!(active_ns >= KICK_MIN_NS && active_ns <= ended_ns - at_ns);
                    assert!(pulses > 0);
                    self.kick_ended = ended_ns;
                }
                KickChange::Held { at_ns } => {
                    let began = self.running.expect("what is held has begun");
                    assert!(began <= at_ns && at_ns + KICK_HELD_NS <= now);
                }
            }
        }
        assert!(kick.deadline().is_none() || kick.counters().edges > 0);
    }
}
