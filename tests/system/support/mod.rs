//! What tests of the whole program share: a real Mosquitto, the real program, a real pseudo
//! terminal for the printer, a FIFO for the drawer's edges, and a durable subscriber.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

pub mod film;
pub mod gateway;
#[path = "../../../gateway/tests/mosquitto/mod.rs"]
pub mod mosquitto;
pub mod subscriber;

use std::time::{Duration, Instant};

/// Long enough for a busy machine with two cores; a condition is normally true much sooner.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something, looking every 20 ms; panics with `what` after
/// [`PATIENCE`].
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_for_within(PATIENCE, what, condition)
}

/// The same with another deadline.
pub fn wait_for_within<T>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {limit:?} in vain for: {what}"
        );
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
