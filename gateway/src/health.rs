//! What works and what does not, as everybody in the process sees it: status, health message,
//! metrics and page read it from here.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// State of one device or connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PartState {
    /// Not configured.
    Absent,
    /// Trying for the first time.
    Starting,
    /// Works.
    Up,
    /// Does not; what fails and what to do.
    Down {
        /// One sentence.
        reason: String,
    },
}

/// One device or connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its state.
    #[serde(flatten)]
    pub state: PartState,
    /// What it is: a path, a line, an address.
    pub what: String,
    /// Wall time of the last change, microseconds since 1970 UTC.
    pub since_us: i64,
    /// How often it came up again.
    pub reopened: u64,
}

/// Names of parts, as in `driver_up{driver}` and in the health message.
pub mod part {
    /// The drawer's sense line.
    pub const DRAWER: &str = "drawer";
    /// The kick line.
    pub const KICK: &str = "kick";
    /// The printer tap.
    pub const PRINTER: &str = "printer";
    /// The POS broker.
    pub const POS_MQTT: &str = "pos_mqtt";
    /// What the POS broker lets us listen to; told only when it is not everything.
    pub const POS_TOPICS: &str = "pos_topics";
    /// The listener for tills on the network.
    pub const INGEST: &str = "ingest";
    /// The socket of local commands.
    pub const CONTROL: &str = "control";
    /// Page and API with TLS, and their certificate.
    pub const WEB: &str = "web";
    /// Head office's broker.
    pub const UPLINK: &str = "uplink";
    /// The cameras, by number.
    pub const CAMERAS: [&str; 8] = [
        "camera0", "camera1", "camera2", "camera3", "camera4", "camera5", "camera6", "camera7",
    ];
}

/// Shared, cheap to read, never held across waiting.
#[derive(Debug, Default)]
pub struct Health {
    parts: Mutex<BTreeMap<&'static str, Part>>,
    /// The pipeline took its first event: the log accepts.
    pub accepting: AtomicBool,
    /// POS events taken.
    pub pos_events: AtomicU64,
    /// Alerts raised (first revisions).
    pub alerts: AtomicU64,
    /// Frames captured; none without cameras.
    pub frames: AtomicU64,
    /// Frames lost on the way from the cameras; [`crate::Shared::frames_dropped`] has all.
    pub frames_lost: AtomicU64,
}

impl Health {
    /// Notes the state of a part; logs and counts changes only.
    pub fn set(&self, name: &'static str, what: &str, state: PartState) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = parts.get(name);
        if before.is_some_and(|part| part.state == state && part.what == what) {
            return;
        }
        match &state {
            PartState::Down { reason } => tracing::warn!(part = name, what, "{reason}"),
            state => tracing::info!(part = name, what, ?state, "changed"),
        }
        let was_down = matches!(before.map(|part| &part.state), Some(PartState::Down { .. }));
        let reopened =
            before.map_or(0, |part| part.reopened) + u64::from(was_down && state == PartState::Up);
        metrics::gauge!("driver_up", "driver" => name)
            .set(f64::from(u8::from(state == PartState::Up)));
        let since_us = crate::clock::wall_us();
        parts.insert(
            name,
            Part {
                state,
                what: what.to_owned(),
                since_us,
                reopened,
            },
        );
    }

    /// All parts by name.
    #[must_use]
    pub fn parts(&self) -> BTreeMap<&'static str, Part> {
        self.parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ready: the log accepts, and every part is up or known to be absent. Head office may be away:
    /// a shop works without it, and what it is owed is kept.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.accepting.load(Ordering::Acquire)
            && self
                .parts()
                .iter()
                .filter(|(name, _)| **name != part::UPLINK)
                .all(|(_, part)| matches!(part.state, PartState::Up | PartState::Absent))
    }
}
