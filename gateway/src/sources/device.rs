//! What the device threads share: reopening with backoff, and telling everybody that a witness
//! fell silent before anything is concluded from its silence.

use crate::Shared;
use crate::health::PartState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tillwatch_drivers::{Backoff, DriverError, ErrorKind};
use tillwatch_protocol::{EventBody, Witness, WitnessState};
use tokio::runtime::Handle;

/// A device thread looks at the stop flag at least this often.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// A device that only another configuration can mend is tried this often.
const FATAL_PAUSE_NS: u64 = 30_000_000_000;

/// Tells a device thread to end.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Reports one witness and the part of the same device.
pub struct Reporter {
    shared: Shared,
    runtime: Handle,
    witnesses: Vec<(Witness, &'static str, String)>,
    /// That it cannot report was told.
    lost: bool,
}

impl Reporter {
    /// For witnesses with the part's name and what they are (path, line). Made on a task, then
    /// moved to the device's thread.
    #[must_use]
    pub fn new(shared: Shared, witnesses: Vec<(Witness, &'static str, String)>) -> Self {
        for (_, part, what) in &witnesses {
            shared.health.set(part, what, PartState::Starting);
        }
        Self {
            shared,
            runtime: Handle::current(),
            witnesses,
            lost: false,
        }
    }

    /// Runs something that waits, beside the device's thread.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Its end is its own business.
        drop(self.runtime.spawn(task));
    }

    /// The shared parts.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The device is open and reports from now on. False when the pipeline has stopped.
    #[must_use]
    pub fn alive(&mut self) -> bool {
        self.lost = false;
        self.each(|_| WitnessState::Alive, |_| PartState::Up)
    }

    /// The device cannot report. Told once until it is alive again; also of one that could not be
    /// opened since the start.
    #[must_use]
    pub fn lost(&mut self, error: &DriverError) -> bool {
        let reason = chain(error);
        let first = !std::mem::replace(&mut self.lost, true);
        for (_, part, what) in &self.witnesses {
            self.shared.health.set(
                part,
                what,
                PartState::Down {
                    reason: reason.clone(),
                },
            );
        }
        !first
            || self.each(
                |_| WitnessState::Lost {
                    reason: reason.clone(),
                },
                |_| PartState::Down {
                    reason: reason.clone(),
                },
            )
    }

    fn each(
        &self,
        state: impl Fn(Witness) -> WitnessState,
        part: impl Fn(Witness) -> PartState,
    ) -> bool {
        self.witnesses.iter().all(|(witness, name, what)| {
            self.shared.health.set(name, what, part(*witness));
            let stamp = self.shared.clock.stamp();
            let body = EventBody::Witness {
                witness: *witness,
                state: state(*witness),
            };
            self.shared.intake.witness(stamp, body).is_ok()
        })
    }
}

/// An error with what lies behind it, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

/// Runs `session` (from opening a device to its loss) again and again until it ends in order.
pub fn keep_open(
    mut reporter: Reporter,
    stop: &Stop,
    mut session: impl FnMut(&mut Reporter, &mut Backoff) -> Result<(), DriverError>,
) {
    let mut backoff = Backoff::new();
    while !stop.is_stopped() {
        let Err(error) = session(&mut reporter, &mut backoff) else {
            return;
        };
        if !reporter.lost(&error) {
            return;
        }
        let until = backoff.failed(crate::clock::monotonic_ns());
        pause(until, &error, stop);
    }
}

/// Waits until a device should be tried again, or the stop flag.
fn pause(until_ns: u64, error: &DriverError, stop: &Stop) {
    let until_ns = match error.kind() {
        ErrorKind::Fatal => crate::clock::monotonic_ns() + FATAL_PAUSE_NS,
        ErrorKind::Retry | ErrorKind::Reopen => until_ns,
    };
    while !stop.is_stopped() {
        let left = until_ns.saturating_sub(crate::clock::monotonic_ns());
        if left == 0 {
            return;
        }
        std::thread::sleep(Duration::from_nanos(left).min(PATIENCE));
    }
}
