//! The whole program inside this process, its drawer's edges handed to the intake as the driver's
//! thread does.

use crate::gateway::{Register, pause};
use crate::mqtt::{Message, Subscriber};
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;
use tillwatch::Shared;
use tillwatch::clock::monotonic_ns;
use tillwatch::config::layers::Given;
use tillwatch::config::{Config, Layers};
use tillwatch::run::{self, Devices, RunError};
use tillwatch_protocol::event::DrawerState;
use tillwatch_protocol::{EventBody, Witness, WitnessState};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The kick line must have been watched for two seconds before an opening.
const WATCHED: Duration = Duration::from_secs(3);

pub struct Inside {
    pub runtime: Runtime,
    pub shared: Shared,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
    _config: watch::Sender<Arc<Config>>,
}

impl Inside {
    /// Up, with drawer and kick line watched long enough to judge an opening.
    pub fn start(register: &Register) -> Result<Self> {
        let runtime = Runtime::new()?;
        let layers = Layers::load(&Given {
            file: Some(register.config.clone()),
            ..Given::default()
        })?;
        let (config, reload) = watch::channel(Arc::new(layers.config().clone()));
        let shutdown = CancellationToken::new();
        let (started, up) = oneshot::channel();
        let running = runtime.spawn(run::run(
            layers,
            false,
            Devices::default(),
            shutdown.clone(),
            reload,
            |up| {
                // Nobody waits any more only when the measurement has failed.
                let _ = started.send(up.shared);
            },
        ));
        let shared = runtime.block_on(up).context("the gateway starts")?;
        let inside = Self {
            runtime,
            shared,
            shutdown,
            running,
            _config: config,
        };
        for witness in [Witness::DrawerSense, Witness::KickLine] {
            inside.witness(EventBody::Witness {
                witness,
                state: WitnessState::Alive,
            })?;
        }
        pause(WATCHED);
        Ok(inside)
    }

    fn witness(&self, body: EventBody) -> Result<()> {
        let stamp = self.shared.clock.stamp();
        Ok(self
            .runtime
            .block_on(self.shared.intake.witness_async(stamp, body))?)
    }

    /// Opens the drawer without a kick; returns when the alert's packet arrived, with the time since
    /// the edge.
    pub fn open_drawer(&self, subscriber: &Subscriber) -> Result<Duration> {
        let began = monotonic_ns();
        self.witness(EventBody::Drawer {
            state: DrawerState::Open,
            initial: false,
        })?;
        let packet = subscriber.wait_for("the alert", is_forced_alert)?;
        Ok(Duration::from_nanos(packet.at_ns - began))
    }

    pub fn close_drawer(&self) -> Result<()> {
        self.witness(EventBody::Drawer {
            state: DrawerState::Closed,
            initial: false,
        })
    }

    pub fn stop(self) -> Result<()> {
        self.shutdown.cancel();
        Ok(self.runtime.block_on(self.running)??)
    }
}

/// The alert of an opening without a kick, as it is raised first.
pub fn is_forced_alert(message: &Message) -> bool {
    message.topic.ends_with("/alerts")
        && serde_json::from_slice::<serde_json::Value>(&message.payload)
            .is_ok_and(|alert| alert["revision"] == 1 && alert["rule"] == "drawer_forced")
}
