//! The register's box: sources, pipeline, uplink, web, console.
//!
//! Arrows point down only:
//! `main → run → {web, console, uplink, clips, pipeline} → sources → {store, detect, drivers} → protocol`.
//!
//! | module | what |
//! | --- | --- |
//! | [`config`] | one TOML file, environment, flags; where each value comes from |
//! | [`mode`] | what the command line and this machine ask for |
//! | [`clock`] | reads the clocks of this machine |
//! | [`health`] | what works and what does not |
//! | [`intake`] | the two bounded lanes into the pipeline |
//! | [`sources`] | one file per way in |
//! | [`pipeline`] | the one task that appends, detects and queues |
//! | [`clips`] | footage around alerts: memory, recording, export |
//! | [`logins`] | who may come in, and who is in |
//! | [`live`] | what just became durable, for the live feed |
//! | [`uplink`] | from the outbox to head office's broker |
//! | [`web`] | HTTP and the control socket |
//! | [`console`] | the technician's commands |
//! | [`run`] | wires it all and takes it down again |
//! | [`start`] | flags, configuration, demo, signals, terminal |

pub mod broker;
pub mod clips;
pub mod clock;
pub mod config;
pub mod console;
#[cfg(feature = "demo")]
pub mod demo;
pub mod health;
pub mod intake;
pub mod live;
pub mod logins;
pub mod mode;
pub mod pipeline;
pub mod run;
pub mod sources;
pub mod start;
pub mod terminal;
pub mod uplink;
pub mod web;

use config::Config;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tillwatch_protocol::{RegisterId, StoreCode};
use tillwatch_store::Store;
use tokio::sync::{broadcast, watch};

/// What the parts of a running gateway share. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    /// The configuration in force; changes whole or not at all.
    pub config: watch::Receiver<Arc<Config>>,
    /// Who we are towards head office.
    pub identity: Arc<Identity>,
    /// Log, index, outbox, quarantine.
    pub store: Store,
    /// Makes stamps.
    pub clock: clock::Clocks,
    /// What works.
    pub health: Arc<health::Health>,
    /// Who may come in, and who is in.
    pub logins: logins::Logins,
    /// The way in.
    pub intake: intake::Intake,
    /// What just became durable.
    pub live: broadcast::Sender<live::LiveItem>,
    /// Cameras and their footage; `None` on a register without a camera.
    pub clips: Option<clips::Clips>,
}

impl Shared {
    /// Camera frames that were lost on the way from the camera, or for want of memory before their
    /// time was over; since the start.
    #[must_use]
    pub fn frames_dropped(&self) -> u64 {
        let on_the_way = self.health.frames_lost.load(Ordering::Relaxed);
        let in_memory = self.clips.as_ref().map(|clips| clips.cameras.counters());
        on_the_way + in_memory.map_or(0, |ring| ring.dropped)
    }
}

/// Who a gateway is: exactly one register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The store; `S01` until one is configured.
    pub store: StoreCode,
    /// The register; `reg_01` until one is configured.
    pub register: RegisterId,
    /// Demo records are marked.
    pub demo: bool,
}
