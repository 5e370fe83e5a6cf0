//! A camera that is played: from a file of concatenated JPEGs, or from a channel.
//!
//! A file's JPEGs are delivered byte for byte. Only their places are kept in memory.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use bytes::Bytes;

use super::jpeg::{self, Scanner, Seen};
use super::pace::Pace;
use super::{CameraCounters, CameraFormat, Encoding, Frame, FrameSource};
use crate::error::DriverError;

/// Frames of a file, at most: two and a half hours at 15 a second.
pub const MAX_FRAMES: usize = 150_000;

/// How a file is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Playing {
    /// Frames per 1000 seconds.
    pub millihertz: u32,
    /// From the beginning again at the end; otherwise the recording ends there.
    pub looping: bool,
    /// At its rate, losing frames as a camera does when nobody fetches them; otherwise as
    /// fast as it is asked, every frame, with the times of its rate.
    pub paced: bool,
}

/// A camera that plays a file.
#[derive(Debug)]
pub struct ReplayCamera {
    name: String,
    file: File,
    /// Where each JPEG is, and how long.
    places: Vec<(u64, u32)>,
    next: usize,
    playing: Playing,
    pace: Pace,
    format: CameraFormat,
    counters: CameraCounters,
    started_ns: u64,
    /// Frames whose time has come, lost ones included.
    passed: u64,
}

impl ReplayCamera {
    /// Opens a file and finds its JPEGs. Damaged ones are left out and counted as refused.
    ///
    /// # Errors
    /// It cannot be read, or there is no whole JPEG in it.
    pub fn open(path: &Path, playing: Playing) -> Result<Self, DriverError> {
        let name = path.display().to_string();
        let failed = |error| DriverError::io(&name, "read", error);
        let mut file = File::open(path).map_err(failed)?;
        let (places, refused) = find(&mut file).map_err(failed)?;
        let mut format = CameraFormat {
            width: 0,
            height: 0,
            millihertz: playing.millihertz.max(1),
            encoding: Encoding::Mjpeg,
        };
        let mut camera = Self {
            pace: Pace::new(format.period_ns()),
            name,
            file,
            places,
            next: 0,
            playing,
            format,
            counters: CameraCounters {
                refused,
                ..CameraCounters::default()
            },
            started_ns: crate::clock::monotonic_ns(),
            passed: 0,
        };
        let first = match camera.places.first() {
            Some(place) => camera.read(*place)?,
            None => None,
        };
        let Some(first) = first else {
            return Err(DriverError::Config {
                device: camera.name,
                reason: "there is no whole JPEG in it".to_owned(),
            });
        };
        (format.width, format.height) = (first.width, first.height);
        camera.format = format;
        Ok(camera)
    }

    /// JPEGs in the file.
    pub fn frames(&self) -> usize {
        self.places.len()
    }

    /// One allocation of the JPEG's size. `None`: it cannot be taken.
    fn read(&mut self, (at, length): (u64, u32)) -> Result<Option<Frame>, DriverError> {
        let mut bytes = vec![0; length as usize];
        self.file
            .read_exact_at(&mut bytes, at)
            .map_err(|error| DriverError::io(&self.name, "read", error))?;
        let Ok(info) = jpeg::check(&bytes) else {
            return Ok(None);
        };
        let (jpeg, repaired) = if info.has_huffman {
            (Bytes::from(bytes), false)
        } else {
            match jpeg::take(&bytes) {
                Ok(taken) => (taken.jpeg, taken.repaired),
                Err(_) => return Ok(None),
            }
        };
        self.counters.repaired += u64::from(repaired);
        Ok(Some(Frame {
            jpeg,
            monotonic_ns: 0,
            width: info.width,
            height: info.height,
        }))
    }
}

fn find(file: &mut File) -> std::io::Result<(Vec<(u64, u32)>, u64)> {
    let mut scanner = Scanner::default();
    let mut places = Vec::new();
    let (mut refused, mut begun, mut at) = (0, 0, 0_u64);
    let mut buffer = vec![0; 64 * 1024];
    while places.len() < MAX_FRAMES {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            refused += u64::from(!scanner.is_outside());
            break;
        }
        let mut bytes = &buffer[..count];
        while !bytes.is_empty() {
            let (used, seen) = scanner.scan(bytes);
            bytes = &bytes[used..];
            at += used as u64;
            match seen {
                Seen::More => {}
                Seen::Begin => begun = at - 2,
                Seen::BeginAgain => {
                    refused += 1;
                    begun = at - 2;
                }
                Seen::End => match u32::try_from(at - begun) {
                    Ok(length) if length as usize <= jpeg::MAX_BYTES => {
                        places.push((begun, length));
                    }
                    _ => refused += 1,
                },
                Seen::Refused(_) => refused += 1,
            }
        }
    }
    places.truncate(MAX_FRAMES);
    Ok((places, refused))
}

impl FrameSource for ReplayCamera {
    fn next(&mut self, timeout: Duration) -> Result<Option<Frame>, DriverError> {
        if self.next >= self.places.len() && !self.playing.looping {
            return Err(DriverError::Ended {
                device: self.name.clone(),
            });
        }
        let monotonic_ns = if self.playing.paced {
            let Some(due) = self.pace.wait(timeout) else {
                return Ok(None);
            };
            self.counters.lost += due.lost;
            self.next = self.next.saturating_add(due.lost as usize);
            due.at_ns
        } else {
            let at = self.started_ns + self.passed * self.format.period_ns();
            self.passed += 1;
            at
        };
        if self.playing.looping {
            self.next %= self.places.len().max(1);
        }
        // Behind the end after a pause: the next call says so.
        let Some(place) = self.places.get(self.next).copied() else {
            return Ok(None);
        };
        self.next += 1;
        let frame = self.read(place)?;
        match &frame {
            Some(_) => self.counters.delivered += 1,
            None => self.counters.refused += 1,
        }
        Ok(frame.map(|frame| Frame {
            monotonic_ns,
            ..frame
        }))
    }

    fn format(&self) -> &CameraFormat {
        &self.format
    }

    fn counters(&self) -> CameraCounters {
        self.counters
    }
}

/// The playing side of a [`ChannelCamera`]. Dropping every handle ends the recording.
#[derive(Debug, Clone)]
pub struct CameraHandle {
    sender: Sender<Result<Frame, DriverError>>,
}

impl CameraHandle {
    /// Delivers a frame. Nobody listening is no error.
    pub fn frame(&self, frame: Frame) {
        let _ = self.sender.send(Ok(frame));
    }

    /// The next call fails: a pulled plug.
    pub fn fail(&self, error: DriverError) {
        let _ = self.sender.send(Err(error));
    }
}

/// A camera that yields what its handle sends.
#[derive(Debug)]
pub struct ChannelCamera {
    name: String,
    receiver: Receiver<Result<Frame, DriverError>>,
    format: CameraFormat,
    delivered: u64,
}

impl ChannelCamera {
    /// A camera of the given format, which is not checked against the frames.
    pub fn new(name: &str, format: CameraFormat) -> (CameraHandle, Self) {
        let (sender, receiver) = channel();
        let camera = Self {
            name: name.to_owned(),
            receiver,
            format,
            delivered: 0,
        };
        (CameraHandle { sender }, camera)
    }
}

impl FrameSource for ChannelCamera {
    fn next(&mut self, timeout: Duration) -> Result<Option<Frame>, DriverError> {
        match self.receiver.recv_timeout(timeout) {
            Ok(frame) => {
                let frame = frame?;
                self.delivered += 1;
                Ok(Some(frame))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(DriverError::Ended {
                device: self.name.clone(),
            }),
        }
    }

    fn format(&self) -> &CameraFormat {
        &self.format
    }

    fn counters(&self) -> CameraCounters {
        CameraCounters {
            delivered: self.delivered,
            ..CameraCounters::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use jpeg_encoder::{ColorType, Encoder};

    fn picture(grey: u8) -> Vec<u8> {
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, 80)
            .encode(&[grey; 16 * 8], 16, 8, ColorType::Luma)
            .expect("it encodes");
        jpeg
    }

    fn recording(parts: &[&[u8]]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), parts.concat()).expect("it is written");
        file
    }

    const ALL: Playing = Playing {
        millihertz: 10_000,
        looping: false,
        paced: false,
    };

    #[test]
    fn a_recording_is_played_byte_for_byte_to_its_end() {
        let (one, two) = (picture(10), picture(200));
        let file = recording(&[&one, b"between", &two[..two.len() - 3], &two]);
        let mut camera = ReplayCamera::open(file.path(), ALL).expect("it opens");
        let format = *camera.format();
        assert_eq!(
            (format.width, format.height, format.millihertz),
            (16, 8, 10_000)
        );
        let mut next = || camera.next(Duration::ZERO);
        let first = next().expect("a frame").expect("a frame");
        let second = next().expect("a frame").expect("a frame");
        assert_eq!((&first.jpeg[..], &second.jpeg[..]), (&one[..], &two[..]));
        assert_eq!(second.monotonic_ns - first.monotonic_ns, 100_000_000);
        assert_eq!(next().expect_err("the end").kind(), ErrorKind::Fatal);
        let counters = camera.counters();
        assert_eq!((counters.delivered, counters.refused), (2, 1));
    }

    #[test]
    fn a_loop_begins_again_and_time_goes_on() {
        let file = recording(&[&picture(10), &picture(200)]);
        let playing = Playing {
            looping: true,
            ..ALL
        };
        let mut camera = ReplayCamera::open(file.path(), playing).expect("it opens");
        let frames: Vec<Frame> = (0..5)
            .filter_map(|_| camera.next(Duration::ZERO).expect("no end"))
            .collect();
        assert_eq!(frames[0].jpeg, frames[2].jpeg);
        assert_eq!(frames[4].monotonic_ns - frames[0].monotonic_ns, 400_000_000);
    }

    #[test]
    fn a_rate_is_kept() {
        let file = recording(&[&picture(10), &picture(200)]);
        let playing = Playing {
            millihertz: 50_000,
            looping: true,
            paced: true,
        };
        let mut camera = ReplayCamera::open(file.path(), playing).expect("it opens");
        let started = std::time::Instant::now();
        let mut times = Vec::new();
        while times.len() < 4 {
            let frame = camera.next(Duration::from_secs(5)).expect("no end");
            times.extend(frame.map(|frame| frame.monotonic_ns));
        }
        assert!(started.elapsed() >= Duration::from_millis(60));
        // Frames lost on a busy machine leave gaps of whole periods.
        let even = |two: &[u64]| two[1] > two[0] && (two[1] - two[0]).is_multiple_of(20_000_000);
        assert!(times.windows(2).all(even), "{times:?}");
    }

    #[test]
    fn a_file_without_a_picture_is_refused() {
        let missing = ReplayCamera::open(Path::new("/nonexistent.mjpeg"), ALL);
        assert_eq!(missing.expect_err("missing").kind(), ErrorKind::Reopen);
        let file = recording(&[b"no picture"]);
        let error = ReplayCamera::open(file.path(), ALL).expect_err("no picture");
        assert_eq!(error.kind(), ErrorKind::Fatal);
    }

    #[test]
    fn a_channel_carries_frames_and_failures_in_order() {
        let format = CameraFormat {
            width: 16,
            height: 8,
            millihertz: 15_000,
            encoding: Encoding::Mjpeg,
        };
        let (handle, mut camera) = ChannelCamera::new("camera", format);
        assert_eq!(camera.next(Duration::ZERO).expect("silence"), None);
        let frame = Frame {
            jpeg: Bytes::from(picture(10)),
            monotonic_ns: 7,
            width: 16,
            height: 8,
        };
        handle.frame(frame.clone());
        handle.fail(DriverError::Gone {
            device: "camera".into(),
            call: "poll",
        });
        assert_eq!(camera.next(Duration::ZERO).expect("a frame"), Some(frame));
        let pulled = camera.next(Duration::ZERO).expect_err("pulled");
        assert_eq!(pulled.kind(), ErrorKind::Reopen);
        drop(handle);
        let end = camera.next(Duration::ZERO).expect_err("the end");
        assert_eq!(end.kind(), ErrorKind::Fatal);
    }
}
