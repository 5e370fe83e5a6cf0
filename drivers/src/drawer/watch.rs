//! One drawer, watched: a source of edges and the debouncers, driven together.

use std::collections::VecDeque;
use std::time::Duration;

use super::debounce::KickChanges;
use super::{
    DrawerChange, EdgeSource, KickChange, KickConfig, KickCounters, KickDetector, LineRole,
    SenseConfig, SenseCounters, SenseDebouncer, Unreadable,
};
use crate::error::DriverError;

/// What happened at the drawer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawerEvent {
    /// It opened, closed, or was found in a state.
    Changed(DrawerChange),
    /// A kick.
    Kick(KickChange),
    /// The kernel could not keep edges.
    EdgesLost {
        /// The line.
        role: LineRole,
        /// How many.
        count: u32,
        /// When it was noticed, nanoseconds.
        at_ns: u64,
    },
}

/// A watched drawer. Keep the debouncers over a reopening with [`reopened`](Self::reopened).
#[derive(Debug)]
pub struct DrawerWatch<S> {
    source: S,
    sense: SenseDebouncer,
    kick: KickDetector,
    ready: VecDeque<DrawerEvent>,
}

impl<S: EdgeSource> DrawerWatch<S> {
    /// Reads the levels; the first event is the state the drawer was found in.
    ///
    /// # Errors
    /// Those of [`EdgeSource::level`].
    pub fn new(source: S, sense: SenseConfig, kick: KickConfig) -> Result<Self, DriverError> {
        let mut watch = Self {
            source,
            sense: SenseDebouncer::new(sense),
            kick: KickDetector::new(kick),
            ready: VecDeque::new(),
        };
        watch.read_levels()?;
        Ok(watch)
    }

    /// Goes on with a source that was opened again; what differs from before is reported.
    ///
    /// # Errors
    /// Those of [`EdgeSource::level`].
    pub fn reopened(&mut self, source: S) -> Result<(), DriverError> {
        self.source = source;
        self.read_levels()
    }

    /// What was counted on the two lines.
    pub fn counters(&self) -> (&SenseCounters, &KickCounters) {
        (self.sense.counters(), self.kick.counters())
    }

    /// What came in instead of edges, once it is complete.
    pub fn unreadable(&mut self) -> Option<Unreadable> {
        self.source.unreadable()
    }

    fn read_levels(&mut self) -> Result<(), DriverError> {
        for role in [LineRole::Sense, LineRole::Kick] {
            self.read_level(role)?;
        }
        Ok(())
    }

    fn read_level(&mut self, role: LineRole) -> Result<(), DriverError> {
        if self.source.has(role) {
            let level = self.source.level(role)?;
            let now = self.source.now_ns();
            match role {
                LineRole::Sense => {
                    let change = self.sense.found(level, now);
                    self.report(change, KickChanges::new());
                }
                LineRole::Kick => {
                    let kicks = self.kick.found(level, now);
                    self.report(None, kicks);
                }
            }
        }
        Ok(())
    }

    fn report(&mut self, change: Option<DrawerChange>, kicks: KickChanges) {
        self.ready.extend(kicks.into_iter().map(DrawerEvent::Kick));
        self.ready.extend(change.map(DrawerEvent::Changed));
    }

    /// Waits up to `timeout` for the next event. `None`: there was none.
    ///
    /// # Errors
    /// Those of [`EdgeSource::wait`].
    pub fn next(&mut self, timeout: Duration) -> Result<Option<DrawerEvent>, DriverError> {
        if let Some(event) = self.ready.pop_front() {
            return Ok(Some(event));
        }
        let now = self.source.now_ns();
        let deadline = [self.sense.deadline(), self.kick.deadline()]
            .into_iter()
            .flatten()
            .min();
        let wait = deadline.map_or(timeout, |deadline| {
            timeout.min(Duration::from_nanos(deadline.saturating_sub(now)))
        });
        match self.source.wait(wait)? {
            Some(edge) => {
                if edge.lost_before > 0 {
                    self.ready.push_back(DrawerEvent::EdgesLost {
                        role: edge.role,
                        count: edge.lost_before,
                        at_ns: edge.monotonic_ns,
                    });
                }
                // The other line's time passes too, or chatter on one would delay the other.
                let at_ns = edge.monotonic_ns;
                let (change, kicks) = match edge.role {
                    LineRole::Sense => (self.sense.edge(edge.level, at_ns), self.kick.poll(at_ns)),
                    LineRole::Kick => (self.sense.poll(at_ns), self.kick.edge(edge.level, at_ns)),
                };
                self.report(change, kicks);
            }
            // Only when no edge is waiting may time pass: an edge can be older than now.
            None => {
                let now = self.source.now_ns();
                let (change, kicks) = (self.sense.poll(now), self.kick.poll(now));
                self.report(change, kicks);
            }
        }
        Ok(self.ready.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawer::replay::{ReplayClock, ReplayEdges};
    use crate::drawer::{DrawerState, Level};

    const MS: u64 = 1_000_000;
    const WAIT: Duration = Duration::from_secs(5);

    fn watch() -> (
        crate::drawer::replay::ReplayHandle,
        DrawerWatch<ReplayEdges>,
    ) {
        let (handle, edges) = ReplayEdges::new(ReplayClock::Sent, Level::Low, Level::High);
        let watch = DrawerWatch::new(
            edges,
            SenseConfig::new(Level::High),
            KickConfig {
                active_level: Level::Low,
            },
        );
        (handle, watch.expect("a replayed drawer opens"))
    }

    fn until_the_end(watch: &mut DrawerWatch<ReplayEdges>) -> (Vec<DrawerEvent>, DriverError) {
        let mut events = Vec::new();
        loop {
            match watch.next(WAIT) {
                Ok(event) => events.extend(event),
                Err(error) => return (events, error),
            }
        }
    }

    #[test]
    fn a_kicked_drawer_opens_and_closes() {
        let (handle, mut watch) = watch();
        handle.edge(LineRole::Kick, Level::Low, 1000 * MS);
        handle.time(1005 * MS);
        handle.edge(LineRole::Kick, Level::High, 1100 * MS);
        handle.edge(LineRole::Sense, Level::High, 1150 * MS);
        handle.edge(LineRole::Sense, Level::Low, 9000 * MS);
        handle.time(9010 * MS);
        drop(handle);
        let (events, error) = until_the_end(&mut watch);
        let changed = |state, at, initial| {
            DrawerEvent::Changed(DrawerChange {
                state,
                at_ns: at * MS,
                initial,
            })
        };
        assert_eq!(
            events,
            [
                changed(DrawerState::Closed, 0, true),
                DrawerEvent::Kick(KickChange::Started { at_ns: 1000 * MS }),
                // Nothing was sent between these edges, so both waited for the last one.
                DrawerEvent::Kick(KickChange::Ended {
                    at_ns: 1000 * MS,
                    ended_ns: 1100 * MS,
                    active_ns: 100 * MS,
                    pulses: 1,
                }),
                changed(DrawerState::Open, 1150, false),
                changed(DrawerState::Closed, 9000, false),
            ]
        );
        assert!(matches!(error, DriverError::Ended { .. }));
    }

    #[test]
    fn a_pulled_device_is_reopened_and_what_changed_meanwhile_is_found() {
        let (handle, mut watch) = watch();
        handle.fail(DriverError::Gone {
            device: "/dev/gpiochip0".into(),
            call: "read",
        });
        let (events, error) = until_the_end(&mut watch);
        assert_eq!(events.len(), 1);
        assert_eq!(error.kind(), crate::ErrorKind::Reopen);

        let (handle, edges) = ReplayEdges::new(ReplayClock::Sent, Level::High, Level::High);
        watch.reopened(edges).expect("a replayed drawer opens");
        drop(handle);
        let (events, _) = until_the_end(&mut watch);
        assert!(
            matches!(
                events[..],
                [DrawerEvent::Changed(DrawerChange {
                    state: DrawerState::Open,
                    initial: true,
                    ..
                })]
            ),
            "{events:?}"
        );
    }

    #[test]
    fn lost_edges_are_told() {
        let (handle, mut watch) = watch();
        handle.edge_after_loss(LineRole::Sense, Level::High, 10 * MS, 3);
        drop(handle);
        let (events, _) = until_the_end(&mut watch);
        assert!(events.contains(&DrawerEvent::EdgesLost {
            role: LineRole::Sense,
            count: 3,
            at_ns: 10 * MS
        }));
    }
}
