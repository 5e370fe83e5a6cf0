//! Cameras, their memory and the recorder: opened, started and taken down again.

use super::RunError;
use super::devices::absent;
use crate::Shared;
use crate::clips::Clips;
use crate::clips::cameras::Cameras;
use crate::clips::recorder::{Recorder, Requests, Told};
use crate::clips::ring::RingLimits;
use crate::clock::{Clocks, monotonic_ns};
use crate::config::Config;
use crate::config::cameras::Part;
use crate::health::part;
use crate::sources::camera::{self, News, OpenCamera};
use crate::sources::device::Stop;
use std::thread::JoinHandle;
use tillwatch_protocol::Witness;
use tillwatch_protocol::time::SECOND_NS;
use tillwatch_store::media::{Media, MediaError, MediaOptions};
use tillwatch_store::{Store, failpoint};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The longest that a rule takes to conclude (30 s), and what it may wait for a till that is late.
const LONGEST_DECISION_NS: u64 = 45 * SECOND_NS;

/// A camera that brings its own pictures, for the demo.
pub struct BroughtCamera {
    /// What people call it.
    pub name: String,
    /// Where customers stand.
    pub customer_side: Option<Part>,
    /// Opens it.
    pub open: OpenCamera,
}

/// Footage that was opened, before the recorder runs.
pub struct Opened {
    /// For everybody.
    pub clips: Clips,
    /// For the recorder.
    told: mpsc::Receiver<Told>,
    /// Sentences for the technician.
    pub notices: Vec<String>,
}

/// What people call the cameras, by their numbers.
#[must_use]
pub fn names(config: &Config, brought: &[BroughtCamera]) -> Vec<String> {
    let configured = config.cameras.keys().cloned();
    let brought = brought.iter().map(|camera| camera.name.clone());
    configured.chain(brought).collect()
}

/// Opens the footage when there is a camera, or was one: what it saw stays within reach. Blocks.
///
/// # Errors
/// [`MediaError`].
pub fn open(
    config: &Config,
    brought: &[BroughtCamera],
    store: &Store,
) -> Result<Option<Opened>, MediaError> {
    let names = names(config, brought);
    if names.is_empty() && !store.has_media() {
        return Ok(None);
    }
    let options = MediaOptions {
        budget_bytes: u64::from(config.storage.media_mib) << 20,
        ..MediaOptions::default()
    };
    let (media, found) = store.open_media(failpoint::media_options(options))?;
    let mut notices = found.notices;
    if !found.lost.is_empty() {
        notices.push(format!(
            "the footage of {} clips was lost when the disk failed",
            found.lost.len()
        ));
    }
    let window_ns = u64::from(config.clips.window_s) * SECOND_NS;
    let mebibytes = usize::try_from(config.clips.ring_mib).unwrap_or(usize::MAX);
    let limits = RingLimits {
        bytes: mebibytes.saturating_mul(1 << 20),
        horizon_ns: window_ns + LONGEST_DECISION_NS,
    };
    let (requests, told) = Requests::channel();
    let clips = Clips {
        media,
        cameras: Cameras::new(names, store.boot_ordinal(), monotonic_ns(), limits),
        requests,
        window_ns,
    };
    Ok(Some(Opened {
        clips,
        told,
        notices,
    }))
}

impl Opened {
    /// Starts the recorder.
    pub fn start(
        self,
        store: Store,
        clock: Clocks,
        stop: CancellationToken,
    ) -> tokio::task::JoinHandle<()> {
        let recorder = Recorder::new(store, self.clips.media, self.clips.cameras, clock);
        tokio::spawn(recorder.run(self.told, stop))
    }
}

/// Closes the footage, before the store.
pub fn close(media: Media) {
    media.close();
}

/// Starts a thread for every camera.
///
/// # Errors
/// The system has no more threads.
pub async fn start_cameras(
    shared: &Shared,
    config: &Config,
    brought: Vec<BroughtCamera>,
    stop: &Stop,
) -> Result<Vec<JoinHandle<()>>, RunError> {
    let Some(clips) = shared.clips.as_ref().filter(|clips| clips.records()) else {
        absent(shared, Witness::Camera(0), part::CAMERAS[0]).await;
        return Ok(Vec::new());
    };
    let configured = config.cameras.values().map(|camera| {
        let path = camera.replay.as_ref().or(camera.device.as_ref());
        let what = path.map(|path| path.display().to_string());
        // The configuration was checked.
        let customer_side = camera.customer_side().ok().flatten();
        let open = camera::configured(camera);
        (what.unwrap_or_default(), customer_side, open)
    });
    let brought = brought
        .into_iter()
        .map(|camera| ("simulated".to_owned(), camera.customer_side, camera.open));
    let mut threads = Vec::new();
    for (number, (what, customer_side, open)) in (0_u8..).zip(configured.chain(brought)) {
        let cameras = clips.cameras.clone();
        let sink = Box::new(move |news| match news {
            News::Opened(period_ns) => cameras.working(number, period_ns),
            News::Frame(frame) => {
                // What finds no room is counted there.
                let _ = cameras.push(number, frame.monotonic_ns, frame.jpeg);
            }
            News::Lost => cameras.lost(number),
        });
        let started = camera::start(
            shared.clone(),
            number,
            what,
            customer_side,
            open,
            sink,
            stop.clone(),
        );
        let thread = "camera";
        threads.push(started.map_err(|why| RunError::Thread { thread, why })?);
    }
    Ok(threads)
}
