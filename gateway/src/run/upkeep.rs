//! What is done every few seconds as long as the gateway runs.

use crate::Shared;
use crate::console;
use crate::terminal::{self, FrameRate};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The state file for commands that find no daemon is written this often.
const STATE_EVERY: Duration = Duration::from_secs(10);

/// Metrics that nobody else sets, the state file and the status line of the log.
pub(super) async fn housekeeping(shared: Shared, data: PathBuf, parts: CancellationToken) {
    let mut every = tokio::time::interval(STATE_EVERY);
    let mut rate = FrameRate::default();
    loop {
        tokio::select! {
            () = parts.cancelled() => return,
            _ = every.tick() => {}
        }
        tracing::info!("{}", terminal::status_line(&shared, rate.now(&shared)));
        let (shared, data) = (shared.clone(), data.clone());
        let written =
            tokio::task::spawn_blocking(move || console::state_file::write(&data, &shared)).await;
        if let Ok(Err(why)) = written {
            tracing::warn!(%why, "the state file was not written");
        }
    }
}
