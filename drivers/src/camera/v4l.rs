//! A camera through Video4Linux.
//!
//! Frames are copied once, out of the driver's buffer into an allocation of their size, and
//! the buffer goes back to the driver with the next call. Waiting is our own: crate `v4l`
//! waits for ever unless told otherwise, and after a timeout would hand the same buffer to the
//! driver twice. It also panics where a driver answers something unknown, which is caught
//! while the camera is opened.

use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use v4l::buffer::{Flags, Metadata, Type};
use v4l::capability::Flags as Capability;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC, Fraction};

use super::encode::Compressor;
use super::negotiate::{self, Interval, Rates, Sizes, Wanted};
use super::{CameraCounters, CameraFormat, Encoding, Frame, FrameSource, jpeg};
use crate::clock::monotonic_ns;
use crate::error::DriverError;

/// Buffers the driver is asked for: one is read while three are filled.
const BUFFERS: u32 = 4;
/// No driver has more.
const MAX_BUFFERS: usize = 32;
/// `POLLIN`, as crate `v4l` wants it.
const READABLE: i16 = 1;
/// A camera that delivers nothing usable for this long is closed and opened again.
const STALLED: Duration = Duration::from_secs(5);

/// Which camera, and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V4lConfig {
    /// Device, best by a stable name (`/dev/v4l/by-id/…-video-index0`).
    pub path: PathBuf,
    /// Size and rate; the nearest that is not above is taken.
    pub wanted: Wanted,
}

impl V4lConfig {
    /// 640 × 480 at 15 frames a second.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let wanted = Wanted {
            width: 640,
            height: 480,
            fps: 15,
        };
        Self {
            path: path.into(),
            wanted,
        }
    }
}

/// An open camera.
pub struct V4lCamera {
    /// `None` only while it is closed.
    stream: Option<Stream<'static>>,
    device: Device,
    name: String,
    format: CameraFormat,
    stride: usize,
    compressor: Compressor,
    counters: CameraCounters,
    last_sequence: Option<u32>,
    last_ns: u64,
    last_delivery: Instant,
}

impl std::fmt::Debug for V4lCamera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("V4lCamera")
            .field("name", &self.name)
            .field("format", &self.format)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl V4lCamera {
    /// Opens the camera, agrees on a format, and lets it begin.
    ///
    /// # Errors
    /// Missing, busy, not permitted: kind `Reopen`. No camera, or one that offers neither MJPEG
    /// nor YUYV: kind `Fatal`.
    pub fn open(config: &V4lConfig) -> Result<Self, DriverError> {
        let name = config.path.display().to_string();
        let device = open_device(&config.path, &name)?;
        guarded(&name, || Self::start(device, name.clone(), config.wanted))?
    }

    fn start(device: Device, name: String, wanted: Wanted) -> Result<Self, DriverError> {
        check_captures(&device, &name)?;
        let failed = |call| {
            let name = name.clone();
            move |error| DriverError::io(&name, call, error)
        };
        let offered = device.enum_formats().map_err(failed("list its formats"))?;
        let offered: Vec<(Encoding, FourCC)> = offered
            .iter()
            .filter_map(|format| Some((encoding_of(format.fourcc)?, format.fourcc)))
            .collect();
        let encodings: Vec<Encoding> = offered.iter().map(|(encoding, _)| *encoding).collect();
        let chosen = negotiate::encoding(&encodings);
        let chosen = offered
            .iter()
            .find(|(encoding, _)| Some(*encoding) == chosen);
        let Some((encoding, fourcc)) = chosen.copied() else {
            return Err(unsupported(&name, "it offers neither MJPEG nor YUYV"));
        };

        let sizes = device.enum_framesizes(fourcc).unwrap_or_default();
        let sizes: Vec<Sizes> = sizes.into_iter().map(|size| sizes_of(size.size)).collect();
        let asked = negotiate::size(&sizes, wanted).unwrap_or(negotiate::Size {
            width: wanted.width,
            height: wanted.height,
        });
        let format = device
            .set_format(&Format::new(asked.width, asked.height, fourcc))
            .map_err(failed("set its format"))?;
        if encoding_of(format.fourcc) != Some(encoding) {
            return Err(unsupported(
                &name,
                "it answers with a format that it was not asked for",
            ));
        }
        let (Ok(width), Ok(height)) = (u16::try_from(format.width), u16::try_from(format.height))
        else {
            return Err(unsupported(&name, "its pictures are too large"));
        };

        let rates = device.enum_frameintervals(fourcc, format.width, format.height);
        let rates: Vec<Rates> = rates
            .unwrap_or_default()
            .into_iter()
            .map(|rate| rates_of(rate.interval))
            .collect();
        let interval = negotiate::interval(&rates, wanted);
        let fraction = Fraction::new(interval.numerator, interval.denominator);
        // Some drivers have no rate to set; then it is what was asked for as far as is known.
        let agreed = device
            .set_params(&Parameters::new(fraction))
            .map_or(interval, |params| Interval {
                numerator: params.interval.numerator,
                denominator: params.interval.denominator,
            });

        let mut stream = Stream::with_buffers(&device, Type::VideoCapture, BUFFERS)
            .map_err(failed("get its buffers"))?;
        // Buffer 0 is the one that crate `v4l` believes to be in our hands and returns first.
        let queued = (1..MAX_BUFFERS)
            .take_while(|index| CaptureStream::queue(&mut stream, *index).is_ok())
            .count();
        if queued == 0 {
            return Err(unsupported(&name, "it has less than two buffers"));
        }
        stream.start().map_err(failed("begin"))?;
        Ok(Self {
            stream: Some(stream),
            device,
            name,
            format: CameraFormat {
                width,
                height,
                millihertz: agreed.millihertz(),
                encoding,
            },
            stride: format.stride as usize,
            compressor: Compressor::default(),
            counters: CameraCounters::default(),
            last_sequence: None,
            last_ns: 0,
            last_delivery: Instant::now(),
        })
    }

    /// The next buffer as a frame. `None`: it was of no use.
    fn fetch(&mut self) -> Result<Option<Frame>, DriverError> {
        let Some(stream) = &mut self.stream else {
            return Err(gone(&self.name, "wait"));
        };
        // Every failure ends the stream: which buffer is whose is not known any more.
        let (buffer, metadata) = stream
            .next()
            .map_err(|_| gone(&self.name, "fetch a frame"))?;
        let metadata = *metadata;
        self.counters.lost += lost(&mut self.last_sequence, metadata.sequence);
        let bytes = &buffer[..(metadata.bytesused as usize).min(buffer.len())];
        if metadata.flags.contains(Flags::ERROR) || bytes.is_empty() {
            self.counters.lost += 1;
            return Ok(None);
        }
        let jpeg = match self.format.encoding {
            Encoding::Mjpeg => jpeg::take(bytes).ok().map(|taken| {
                self.counters.repaired += u64::from(taken.repaired);
                (taken.jpeg, taken.width, taken.height)
            }),
            Encoding::YuyvEncodedHere => {
                let (width, height) = (self.format.width, self.format.height);
                let jpeg: Option<Bytes> = self.compressor.yuyv(bytes, self.stride, width, height);
                jpeg.map(|jpeg| (jpeg, width, height))
            }
        };
        let Some((jpeg, width, height)) = jpeg else {
            self.counters.refused += 1;
            return Ok(None);
        };
        self.last_ns = captured_ns(&metadata, monotonic_ns()).max(self.last_ns);
        self.last_delivery = Instant::now();
        self.counters.delivered += 1;
        Ok(Some(Frame {
            jpeg,
            monotonic_ns: self.last_ns,
            width,
            height,
        }))
    }
}

impl FrameSource for V4lCamera {
    fn next(&mut self, timeout: Duration) -> Result<Option<Frame>, DriverError> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Rounded up: a last wait of 0 ms after another would spin.
            let wait = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
            let ready = match self.device.handle().poll(READABLE, wait) {
                Ok(ready) => ready > 0,
                Err(error) if error.raw_os_error() == Some(Errno::EINTR as i32) => false,
                Err(error) => return Err(DriverError::io(&self.name, "poll", error)),
            };
            if ready {
                if let Some(frame) = self.fetch()? {
                    return Ok(Some(frame));
                }
            } else if self.last_delivery.elapsed() >= STALLED {
                return Err(gone(&self.name, "wait: it delivers nothing"));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }

    fn format(&self) -> &CameraFormat {
        &self.format
    }

    fn counters(&self) -> CameraCounters {
        self.counters
    }
}

impl Drop for V4lCamera {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        // Crate `v4l` panics when a camera cannot be stopped for another reason than being gone,
        // and once more for its buffers, which would end the process. Rather leak them.
        let stopped = stream.stop();
        let gone = |error: &std::io::Error| error.raw_os_error() == Some(Errno::ENODEV as i32);
        if stopped.as_ref().err().is_none_or(gone) {
            drop(stream);
        } else {
            std::mem::forget(stream);
        }
    }
}

/// Whether the device is a camera that could be opened now. Opens it for a moment.
///
/// # Errors
/// As [`V4lCamera::open`].
pub fn probe(path: &Path) -> Result<(), DriverError> {
    let name = path.display().to_string();
    let device = open_device(path, &name)?;
    guarded(&name, || check_captures(&device, &name))?
}

#[allow(unsafe_code)]
fn open_device(path: &Path, name: &str) -> Result<Device, DriverError> {
    use std::os::unix::fs::FileTypeExt;
    let metadata = std::fs::metadata(path).map_err(|error| DriverError::io(name, "stat", error))?;
    // Opening a FIFO would block, and a terminal would answer in odd ways.
    if !metadata.file_type().is_char_device() {
        return Err(unsupported(name, "it is no camera"));
    }
    let device = Device::with_path(path).map_err(|error| DriverError::io(name, "open", error))?;
    let handle = device.handle();
    // SAFETY: the handle owns the descriptor and closes it only when dropped; it lives until
    // the end of this function.
    let descriptor = unsafe { BorrowedFd::borrow_raw(handle.fd()) };
    // Otherwise every child process would keep the camera busy.
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
        .map_err(|errno| DriverError::errno(name, "fcntl", errno))?;
    Ok(device)
}

fn check_captures(device: &Device, name: &str) -> Result<(), DriverError> {
    let capabilities = match device.query_caps() {
        Ok(capabilities) => capabilities.capabilities,
        Err(error) if error.raw_os_error() == Some(Errno::ENOTTY as i32) => {
            return Err(unsupported(name, "it is no camera"));
        }
        Err(error) => return Err(DriverError::io(name, "query", error)),
    };
    if capabilities.contains(Capability::VIDEO_CAPTURE | Capability::STREAMING) {
        Ok(())
    } else {
        Err(unsupported(
            name,
            "it takes no pictures (another node of the same camera may)",
        ))
    }
}

/// Turns a panic of crate `v4l` into an error.
fn guarded<T>(name: &str, open: impl FnOnce() -> T) -> Result<T, DriverError> {
    catch_unwind(AssertUnwindSafe(open))
        .map_err(|_| unsupported(name, "its driver answers in a way that is not understood"))
}

fn unsupported(name: &str, reason: &str) -> DriverError {
    DriverError::Unsupported {
        device: name.to_owned(),
        what: "deliver pictures",
        reason: reason.to_owned(),
    }
}

fn gone(name: &str, call: &'static str) -> DriverError {
    DriverError::Gone {
        device: name.to_owned(),
        call,
    }
}

fn encoding_of(fourcc: FourCC) -> Option<Encoding> {
    match &fourcc.repr {
        b"MJPG" | b"JPEG" => Some(Encoding::Mjpeg),
        b"YUYV" => Some(Encoding::YuyvEncodedHere),
        _ => None,
    }
}

fn sizes_of(size: FrameSizeEnum) -> Sizes {
    match size {
        FrameSizeEnum::Discrete(one) => Sizes::One {
            width: one.width,
            height: one.height,
        },
        FrameSizeEnum::Stepwise(any) => Sizes::Any {
            widths: (any.min_width, any.max_width, any.step_width),
            heights: (any.min_height, any.max_height, any.step_height),
        },
    }
}

fn rates_of(interval: FrameIntervalEnum) -> Rates {
    let fraction = |fraction: Fraction| Interval {
        numerator: fraction.numerator,
        denominator: fraction.denominator,
    };
    match interval {
        FrameIntervalEnum::Discrete(one) => Rates::One(fraction(one)),
        FrameIntervalEnum::Stepwise(any) => Rates::Any {
            shortest: fraction(any.min),
            longest: fraction(any.max),
        },
    }
}

/// Frames between this one and the last. Drivers that do not count send zeros.
fn lost(last: &mut Option<u32>, sequence: u32) -> u64 {
    let missing = match last.replace(sequence) {
        Some(last) => sequence.wrapping_sub(last).saturating_sub(1),
        None => 0,
    };
    // A count that went back is one that began anew.
    if missing > u32::MAX / 2 {
        0
    } else {
        u64::from(missing)
    }
}

/// The kernel's time of a frame if it is of our clock, otherwise now.
fn captured_ns(metadata: &Metadata, now_ns: u64) -> u64 {
    let kind = metadata.flags & Flags::TIMESTAMP_MASK;
    let (seconds, micros) = (metadata.timestamp.sec, metadata.timestamp.usec);
    match (u64::try_from(seconds), u64::try_from(micros)) {
        (Ok(seconds), Ok(micros)) if kind == Flags::TIMESTAMP_MONOTONIC => {
            let at = seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(micros * 1000);
            // No frame is taken in the future.
            at.min(now_ns)
        }
        _ => now_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use v4l::Timestamp;

    fn refusal(path: &Path) -> (ErrorKind, String) {
        let error = V4lCamera::open(&V4lConfig::new(path)).expect_err("no camera");
        (error.kind(), error.to_string())
    }

    #[test]
    fn a_camera_that_is_missing_is_looked_for_again() {
        let path = Path::new("/dev/v4l/by-id/usb-none-video-index0");
        let (kind, text) = refusal(path);
        assert_eq!(kind, ErrorKind::Reopen);
        assert_eq!(text, format!("{}: not found", path.display()));
    }

    #[test]
    fn what_is_no_camera_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
        let file = folder.path().join("file");
        std::fs::write(&file, b"").expect("a file");
        for path in [Path::new("/dev/null"), &fifo, &file, folder.path()] {
            let (kind, text) = refusal(path);
            assert_eq!(kind, ErrorKind::Fatal, "{text}");
            let wanted = format!(
                "{}: cannot deliver pictures: it is no camera",
                path.display()
            );
            assert_eq!(text, wanted);
            assert!(probe(path).is_err());
        }
    }

    #[test]
    fn missing_numbers_are_lost_frames() {
        let mut last = None;
        let lost: Vec<u64> = [5, 6, 9, 9, 0, u32::MAX, 1]
            .map(|sequence| lost(&mut last, sequence))
            .to_vec();
        // 9 → 9 and 9 → 0 are counters that stand still or begin anew.
        assert_eq!(lost, [0, 0, 2, 0, 0, 0, 1]);
    }

    #[test]
    fn a_frame_has_the_kernels_time_if_that_is_of_our_clock() {
        let metadata = |flags| Metadata {
            flags,
            timestamp: Timestamp::new(2, 500_000),
            ..Metadata::default()
        };
        let monotonic = metadata(Flags::TIMESTAMP_MONOTONIC);
        assert_eq!(captured_ns(&monotonic, 9_000_000_000), 2_500_000_000);
        assert_eq!(captured_ns(&monotonic, 1_000_000_000), 1_000_000_000);
        let copied = metadata(Flags::TIMESTAMP_COPY);
        assert_eq!(captured_ns(&copied, 9_000_000_000), 9_000_000_000);
    }

    #[test]
    fn a_panic_while_opening_is_an_error() {
        let caught = guarded("camera", || -> () { panic!("Invalid colorspace") });
        assert_eq!(caught.expect_err("caught").kind(), ErrorKind::Fatal);
    }
}
