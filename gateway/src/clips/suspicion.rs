//! When an opening of the drawer is recorded before any alert asks for it, so that pulling the
//! plug right after an opening proves nothing away. Pure: time is passed in.

use super::plan::Span;
use tillwatch_protocol::event::DrawerState;
use tillwatch_protocol::{EventBody, Stamp};

/// A kick explains an opening that follows within this time (the rule on forced openings has the
/// same figure), in nanoseconds.
const KICK_EXPLAINS_NS: u64 = 2_000_000_000;
/// A drawer command on the printer's wire explains an opening that follows within this time: a
/// command in print order comes after a long receipt.
const COMMAND_EXPLAINS_NS: u64 = 15_000_000_000;
/// Recorded before the opening …
const BEFORE_NS: u64 = 10_000_000_000;
/// … and after it, in nanoseconds: by then every rule on openings has concluded.
const AFTER_NS: u64 = 60_000_000_000;

/// Remembers what could explain the next opening.
#[derive(Debug, Default)]
pub struct Suspicion {
    kick_ns: Option<u64>,
    command_ns: Option<u64>,
}

impl Suspicion {
    /// What to record because of this event, if anything.
    pub fn on_event(&mut self, stamp: &Stamp, body: &EventBody) -> Option<Span> {
        let now = stamp.monotonic_ns;
        let within = |cause: Option<u64>, limit: u64| {
            cause.is_some_and(|cause| cause <= now && now - cause <= limit)
        };
        match body {
            EventBody::Kick => self.kick_ns = Some(now),
            EventBody::DrawerCommand(_) => self.command_ns = Some(now),
            EventBody::Drawer {
                state: DrawerState::Open,
                initial: false,
            } => {
                let explained = within(self.kick_ns, KICK_EXPLAINS_NS)
                    || within(self.command_ns, COMMAND_EXPLAINS_NS);
                return (!explained).then(|| Span {
                    from_ns: now.saturating_sub(BEFORE_NS),
                    to_ns: now.saturating_add(AFTER_NS),
                });
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::time::Clock;

    const S: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Stamp {
        Stamp {
            boot: 1,
            monotonic_ns: seconds * S,
            utc_us: 0,
            clock: Clock::Synced,
        }
    }

    fn opened() -> EventBody {
        EventBody::Drawer {
            state: DrawerState::Open,
            initial: false,
        }
    }

    #[test]
    fn an_opening_that_nothing_explains_is_recorded_from_before_it_on() {
        let mut suspicion = Suspicion::default();
        let span = suspicion.on_event(&at(100), &opened()).unwrap();
        assert_eq!((span.from_ns, span.to_ns), (90 * S, 160 * S));
    }

    #[test]
    fn a_kick_or_a_command_just_before_explains_it() {
        let mut suspicion = Suspicion::default();
        assert_eq!(suspicion.on_event(&at(100), &EventBody::Kick), None);
        assert_eq!(suspicion.on_event(&at(102), &opened()), None);
        assert!(suspicion.on_event(&at(103), &opened()).is_some());
    }

    #[test]
    fn the_level_at_the_start_is_no_opening() {
        let initial = EventBody::Drawer {
            state: DrawerState::Open,
            initial: true,
        };
        assert_eq!(Suspicion::default().on_event(&at(1), &initial), None);
    }
}
