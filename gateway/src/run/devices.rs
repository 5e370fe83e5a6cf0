//! The threads of drawer and printer.

use super::RunError;
use crate::Shared;
use crate::config::Config;
use crate::health::{PartState, part};
use crate::sources::device::Stop;
use crate::sources::{drawer, printer};
use std::thread::JoinHandle;
use tillwatch_protocol::{EventBody, Witness, WitnessState};

/// Tells that a register does not have this witness.
pub(super) async fn absent(shared: &Shared, witness: Witness, name: &'static str) {
    shared.health.set(name, "", PartState::Absent);
    let body = EventBody::Witness {
        witness,
        state: WitnessState::Absent,
    };
    let _ = shared
        .intake
        .witness_async(shared.clock.stamp(), body)
        .await;
}

/// Starts what is configured or brought.
pub(super) async fn start_devices(
    shared: &Shared,
    config: &Config,
    brought: Option<(drawer::OpenLines, bool)>,
    stop: &Stop,
) -> Result<Vec<JoinHandle<()>>, RunError> {
    let thread = |thread| move |why| RunError::Thread { thread, why };
    let mut threads = Vec::new();
    let mut wiring = drawer::Wiring::of(config);
    let open = match brought {
        Some((open, has_kick)) => {
            wiring.has_kick = has_kick;
            Some(open)
        }
        None => drawer::configured(config)?,
    };
    match open {
        Some(open) => {
            let sense = config
                .drawer
                .line
                .clone()
                .unwrap_or_else(|| "simulated".into());
            let kick = config
                .kick
                .line
                .clone()
                .or_else(|| Some("simulated".into()));
            if !wiring.has_kick {
                absent(shared, Witness::KickLine, part::KICK).await;
            }
            let handle = drawer::start(shared.clone(), (sense, kick), wiring, open, stop.clone());
            threads.push(handle.map_err(thread("drawer"))?);
        }
        None => {
            absent(shared, Witness::DrawerSense, part::DRAWER).await;
            absent(shared, Witness::KickLine, part::KICK).await;
        }
    }
    match (printer::configured(config), &config.printer.port) {
        (Some(open), Some(port)) => {
            let what = port.display().to_string();
            let handle = printer::start(
                shared.clone(),
                what,
                printer::Reading::of(config),
                open,
                stop.clone(),
            );
            threads.push(handle.map_err(thread("printer"))?);
        }
        _ => absent(shared, Witness::Printer, part::PRINTER).await,
    }
    Ok(threads)
}
