//! The cash drawer's wires.
//!
//! Two lines of the drawer connector are watched: the *sense* switch (pin 3), whose level
//! says open or closed, and the *kick* (pin 2 or 5), which the printer pulls to open the
//! drawer. An `EdgeSource` yields their raw edges with kernel times, [`debounce`] makes
//! changes of them, and `watch` drives both. Which level means open differs between
//! drawers and is configured.

pub mod debounce;
#[cfg(feature = "std")]
pub mod fifo;
#[cfg(feature = "gpiocdev")]
pub mod gpiocdev;
#[cfg(feature = "std")]
pub mod line;
#[cfg(feature = "std")]
pub mod replay;
#[cfg(feature = "rppal")]
pub mod rppal;
#[cfg(feature = "std")]
pub mod watch;

pub use debounce::{
    DrawerChange, DrawerState, KickChange, KickConfig, KickCounters, KickDetector, SenseConfig,
    SenseCounters, SenseDebouncer,
};

#[cfg(feature = "std")]
use crate::error::DriverError;

/// The level of a line. Backends that are told a line is active-low report it inverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Low (inactive).
    Low,
    /// High (active).
    High,
}

/// Which of the drawer's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineRole {
    /// The sense switch, pin 3.
    Sense,
    /// The kick, pin 2 or 5.
    Kick,
}

/// A raw edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The line.
    pub role: LineRole,
    /// Its level after the edge.
    pub level: Level,
    /// `CLOCK_MONOTONIC` in nanoseconds, taken by the kernel where the backend can.
    pub monotonic_ns: u64,
    /// Edges of this line that the kernel saw before this one and could not keep.
    pub lost_before: u32,
}

/// What came in instead of edges, between two silences.
#[cfg(feature = "std")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unreadable {
    /// Its beginning; the source bounds it.
    pub raw: Vec<u8>,
    /// Bytes that there were.
    pub size: u64,
    /// Lines that there were.
    pub lines: u64,
}

/// Where edges come from.
#[cfg(feature = "std")]
pub trait EdgeSource: Send {
    /// Waits up to `timeout` for the next edge of any line, in the order the kernel saw
    /// them. `None`: there was none.
    ///
    /// # Errors
    /// A chip that is gone is an error of kind [`Reopen`](crate::ErrorKind::Reopen).
    fn wait(&mut self, timeout: std::time::Duration) -> Result<Option<Edge>, DriverError>;

    /// The line's level now.
    ///
    /// # Errors
    /// The line is not configured, or the chip is gone.
    fn level(&mut self, role: LineRole) -> Result<Level, DriverError>;

    /// Whether the line is watched at all; the kick line is optional.
    fn has(&self, role: LineRole) -> bool {
        let _ = role;
        true
    }

    /// What came in instead of edges and was not handed out yet. Sources whose edges are no text
    /// have none.
    fn unreadable(&mut self) -> Option<Unreadable> {
        None
    }

    /// The time edges are stamped with, now.
    fn now_ns(&self) -> u64 {
        crate::clock::monotonic_ns()
    }
}

#[cfg(feature = "std")]
impl EdgeSource for Box<dyn EdgeSource> {
    fn wait(&mut self, timeout: std::time::Duration) -> Result<Option<Edge>, DriverError> {
        (**self).wait(timeout)
    }

    fn level(&mut self, role: LineRole) -> Result<Level, DriverError> {
        (**self).level(role)
    }

    fn has(&self, role: LineRole) -> bool {
        (**self).has(role)
    }

    fn unreadable(&mut self) -> Option<Unreadable> {
        (**self).unreadable()
    }

    fn now_ns(&self) -> u64 {
        (**self).now_ns()
    }
}
