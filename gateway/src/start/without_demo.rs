//! Builds for shops hold no simulation.

use super::{Chosen, Mode, Options, Simulated, StartError};
use crate::config::Config;
use crate::run::Devices;
use std::path::Path;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Nothing beside the gateway.
pub(super) fn simulate(
    _: Mode,
    _: &Options,
    _: &Config,
    _: Option<&Path>,
    _: &mpsc::Sender<String>,
    _: &CancellationToken,
) -> Result<Simulated, StartError> {
    Ok(Simulated {
        devices: Devices::default(),
        stop: Box::new(|| {}),
    })
}

/// Nothing chosen; without a configuration there is nothing to run.
pub(super) fn chosen_by_demo(mode: Mode, _: &Options) -> Result<Chosen, StartError> {
    match mode {
        Mode::Register => Ok((Vec::new(), None)),
        Mode::Demo | Mode::PosOnly | Mode::Publisher => Err(StartError::NoDemo),
    }
}

/// There is no simulated till.
pub(super) async fn publisher(_: &Config, _: &CancellationToken) -> Result<(), StartError> {
    Err(StartError::NoDemo)
}
