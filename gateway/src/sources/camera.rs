//! A camera: frames to whoever keeps them, and what can be seen on them as events, on one blocking
//! thread.

use super::device::{PATIENCE, Reporter, Stop, keep_open};
use crate::Shared;
use crate::config;
use crate::config::cameras::Part;
use crate::health::part;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use tillwatch_drivers::backoff::Backoff;
use tillwatch_drivers::camera::blinding::{BlindingDetector, Sight};
use tillwatch_drivers::camera::jpeg::fingerprint;
use tillwatch_drivers::camera::luma::{Luma, LumaReader};
use tillwatch_drivers::camera::motion::{self, MotionConfig, MotionDetector};
use tillwatch_drivers::camera::negotiate::Wanted;
use tillwatch_drivers::camera::replay::{Playing, ReplayCamera};
use tillwatch_drivers::camera::v4l::{V4lCamera, V4lConfig};
use tillwatch_drivers::camera::{Frame, FrameSource, Region};
use tillwatch_drivers::{DriverError, ErrorKind};
use tillwatch_protocol::clip::{Motion, PictureState};
use tillwatch_protocol::{EventBody, Witness};

/// Opens the camera; called again after every loss.
pub type OpenCamera = Box<dyn FnMut() -> Result<Box<dyn FrameSource>, DriverError> + Send>;

/// What happens to a camera.
#[derive(Debug)]
pub enum News {
    /// It was opened; time between two frames in nanoseconds.
    Opened(u64),
    /// A frame.
    Frame(Frame),
    /// It is gone.
    Lost,
}

/// Who takes frames; must not wait, and counts what finds no room.
pub type Sink = Box<dyn FnMut(News) + Send>;

/// The camera of the configuration.
#[must_use]
pub fn configured(camera: &config::Camera) -> OpenCamera {
    let fps = u32::from(camera.fps);
    match (&camera.replay, &camera.device) {
        (Some(path), _) => {
            let path = path.clone();
            let playing = Playing {
                millihertz: fps * 1_000,
                looping: true,
                paced: true,
            };
            Box::new(move || Ok(Box::new(ReplayCamera::open(&path, playing)?) as _))
        }
        (None, device) => {
            // The configuration was checked: there is a device.
            let config = V4lConfig {
                path: device.clone().unwrap_or_default(),
                wanted: Wanted {
                    width: u32::from(camera.width),
                    height: u32::from(camera.height),
                    fps,
                },
            };
            Box::new(move || Ok(Box::new(V4lCamera::open(&config)?) as _))
        }
    }
}

/// Starts the thread of camera `number`.
///
/// # Errors
/// The system has no more threads.
pub fn start(
    shared: Shared,
    number: u8,
    what: String,
    customer_side: Option<Part>,
    mut open: OpenCamera,
    mut sink: Sink,
    stop: Stop,
) -> std::io::Result<JoinHandle<()>> {
    let name = part::CAMERAS
        .get(usize::from(number))
        .copied()
        .unwrap_or("camera");
    let reporter = Reporter::new(shared, vec![(Witness::Camera(number), name, what)]);
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            if customer_side.is_some() && !tell_the_side(&reporter, number) {
                return;
            }
            keep_open(reporter, &stop, |reporter, backoff| {
                let camera = open()?;
                let mut session = Session {
                    number,
                    camera,
                    sight: Seeing::new(customer_side),
                    lost: 0,
                };
                let ended = session.run(reporter, backoff, &mut sink, &stop);
                sink(News::Lost);
                ended
            });
        })
}

/// Says that this camera watches where customers stand, also while it cannot be opened: that nothing
/// was seen there proves nothing then. False when the pipeline has stopped.
fn tell_the_side(reporter: &Reporter, camera: u8) -> bool {
    let shared = reporter.shared();
    let body = EventBody::CameraMotion {
        camera,
        region: 0,
        motion: Motion::Unjudged,
    };
    shared.intake.witness(shared.clock.stamp(), body).is_ok()
}

struct Session {
    number: u8,
    camera: Box<dyn FrameSource>,
    sight: Seeing,
    /// Frames lost on the way from the camera, as counted so far.
    lost: u64,
}

impl Session {
    /// From opening to the next loss; `Ok` when the program ends.
    fn run(
        &mut self,
        reporter: &mut Reporter,
        backoff: &mut Backoff,
        sink: &mut Sink,
        stop: &Stop,
    ) -> Result<(), DriverError> {
        sink(News::Opened(self.camera.format().period_ns()));
        // Alive once it has delivered: many a camera opens and stays silent.
        let mut delivered = false;
        while !stop.is_stopped() {
            match self.camera.next(PATIENCE) {
                Ok(Some(frame)) => {
                    if !delivered {
                        delivered = true;
                        backoff.opened(crate::clock::monotonic_ns());
                        if !reporter.alive() {
                            return Ok(());
                        }
                    }
                    let said = self.sight.look(&frame);
                    sink(News::Frame(frame));
                    self.count(reporter);
                    if !self.say(reporter, said) {
                        return Ok(());
                    }
                }
                Ok(None) => {
                    let said = self.sight.silence();
                    if !self.say(reporter, said) {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Retry => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn count(&mut self, reporter: &Reporter) {
        let health = &reporter.shared().health;
        let lost = self.camera.counters().lost;
        health.frames.fetch_add(1, Ordering::Relaxed);
        let newly = lost.saturating_sub(self.lost);
        health.frames_lost.fetch_add(newly, Ordering::Relaxed);
        self.lost = lost;
    }

    /// False when the pipeline has stopped.
    fn say(&self, reporter: &Reporter, said: Said) -> bool {
        let shared = reporter.shared();
        let camera = self.number;
        let picture = said
            .picture
            .map(|state| EventBody::CameraPicture { camera, state });
        let motion = said.motion.map(|motion| EventBody::CameraMotion {
            camera,
            region: 0,
            motion,
        });
        picture
            .into_iter()
            .chain(motion)
            .all(|body| shared.intake.witness(shared.clock.stamp(), body).is_ok())
    }
}

/// What changed on the picture.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    picture: Option<PictureState>,
    motion: Option<Motion>,
}

/// Judges a camera's pictures.
struct Seeing {
    reader: LumaReader,
    luma: Luma,
    motion: MotionDetector,
    blinding: BlindingDetector,
}

impl Seeing {
    fn new(customer_side: Option<Part>) -> Self {
        let per_mille = |percent: u8| u16::from(percent) * 10;
        let regions: Vec<Region> = customer_side
            .map(|part| Region {
                left: per_mille(part.left),
                top: per_mille(part.top),
                width: per_mille(part.width),
                height: per_mille(part.height),
            })
            .into_iter()
            .collect();
        Self {
            reader: LumaReader::new(),
            luma: Luma::default(),
            motion: MotionDetector::new(&regions, MotionConfig::default()),
            blinding: BlindingDetector::new(),
        }
    }

    fn look(&mut self, frame: &Frame) -> Said {
        let mut said = Said::default();
        let at_ns = frame.monotonic_ns;
        if !self.motion.is_due(at_ns) {
            return said;
        }
        if self.reader.read(&frame.jpeg, &mut self.luma).is_err() {
            metrics::counter!("frames_unreadable_total").increment(1);
            // Pictures that nobody can read are none: what was still is so no longer.
            return self.unseen(at_ns);
        }
        self.motion.observe(&self.luma, at_ns, &mut |change| {
            said.motion = Some(motion_of(change.motion));
        });
        let sight = self
            .blinding
            .observe(&self.luma, fingerprint(&frame.jpeg), at_ns);
        said.picture = sight.map(|change| picture_of(change.sight));
        said
    }

    /// No frame came for a while.
    fn silence(&mut self) -> Said {
        self.unseen(crate::clock::monotonic_ns())
    }

    fn unseen(&mut self, now_ns: u64) -> Said {
        let mut said = Said::default();
        self.motion.tick(now_ns, &mut |change| {
            said.motion = Some(motion_of(change.motion));
        });
        said
    }
}

fn motion_of(motion: motion::Motion) -> Motion {
    match motion {
        motion::Motion::Unjudged => Motion::Unjudged,
        motion::Motion::Still => Motion::Still,
        motion::Motion::Moving => Motion::Moving,
    }
}

fn picture_of(sight: Sight) -> PictureState {
    match sight {
        Sight::Clear => PictureState::Clear,
        Sight::Dark => PictureState::Dark,
        Sight::Covered => PictureState::Covered,
        Sight::Frozen => PictureState::Frozen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK_NS: u64 = 200_000_000;

    #[test]
    fn frames_that_cannot_be_read_leave_nothing_still() {
        let whole = Part {
            left: 0,
            top: 0,
            width: 100,
            height: 100,
        };
        let mut seeing = Seeing::new(Some(whole));
        let wall = Luma::new(40, 30, vec![100; 40 * 30]);
        let mut told = Vec::new();
        for n in 1..=20 {
            seeing.motion.observe(&wall, n * LOOK_NS, &mut |change| {
                told.push(motion_of(change.motion));
            });
        }
        assert_eq!(told, [Motion::Still]);
        let mut look = |n: u64| {
            let frame = Frame {
                jpeg: b"no picture"[..].into(),
                monotonic_ns: n * LOOK_NS,
                width: 640,
                height: 480,
            };
            seeing.look(&frame).motion
        };
        let said: Vec<Motion> = (21..40).filter_map(&mut look).collect();
        assert_eq!(said, [Motion::Unjudged]);
    }
}
