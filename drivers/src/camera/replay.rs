//! A camera that is played: from a file of concatenated JPEGs, or from a channel.
//!
//! A file's JPEGs are delivered byte for byte. Only their places are kept in memory.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::jpeg::{self, Scanner, Seen};
use super::pace::Pace;
use super::{CameraCounters, CameraFormat, Encoding, Frame, FrameSource};
use crate::error::DriverError;

/// Frames of a file, at most: two and a half hours at 15 a second.
pub const MAX_FRAMES: usize = 150_000;

/// A file that is played as a camera is looked for this often: taken away, it is a pulled camera.
const LOOK: Duration = Duration::from_millis(500);

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
    path: PathBuf,
    file: File,
    /// The file as it was when it was opened.
    opened: Identity,
    looked: Instant,
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

/// Device, inode, size and time of change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64, u64, (i64, i64));

impl Identity {
    fn of(file: &std::fs::Metadata) -> Self {
        let changed = (file.mtime(), file.mtime_nsec());
        Self(file.dev(), file.ino(), file.len(), changed)
    }
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
        let opened = Identity::of(&file.metadata().map_err(failed)?);
        if opened.2 == 0 {
            // Somebody has only begun to write it.
            let empty = io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty");
            return Err(failed(empty));
        }
        let Found {
            places,
            refused,
            too_long,
        } = find(&mut file).map_err(failed)?;
        let mut format = CameraFormat {
            width: 0,
            height: 0,
            millihertz: playing.millihertz.max(1),
            encoding: Encoding::Mjpeg,
        };
        let mut camera = Self {
            pace: Pace::new(format.period_ns()),
            name,
            path: path.to_owned(),
            file,
            opened,
            looked: Instant::now(),
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
        let mut first = None;
        for at in 0..camera.places.len() {
            first = camera.read(camera.places[at])?;
            if first.is_some() {
                break;
            }
        }
        let Some(first) = first else {
            let reason = if too_long > 0 {
                let most = jpeg::MAX_BYTES >> 20;
                format!("its pictures are too large; at most {most} MiB each are taken")
            } else {
                "there is no whole JPEG in it".to_owned()
            };
            let device = camera.name;
            return Err(DriverError::Config { device, reason });
        };
        (format.width, format.height) = (first.width, first.height);
        camera.format = format;
        Ok(camera)
    }

    /// That the file is still there, and still the same one: its pictures lie elsewhere otherwise.
    fn look(&mut self) -> Result<(), DriverError> {
        if self.looked.elapsed() < LOOK {
            return Ok(());
        }
        self.looked = Instant::now();
        let failed = |error| DriverError::io(&self.name, "look at", error);
        let now = std::fs::metadata(&self.path).map_err(failed)?;
        if Identity::of(&now) == self.opened {
            return Ok(());
        }
        Err(DriverError::Gone {
            device: self.name.clone(),
            call: "playing: the file was changed",
        })
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

/// What is in a file.
struct Found {
    places: Vec<(u64, u32)>,
    /// Damaged or too long.
    refused: u64,
    /// Too long.
    too_long: u64,
}

fn find(file: &mut File) -> io::Result<Found> {
    let mut scanner = Scanner::default();
    let mut places = Vec::new();
    let (mut refused, mut too_long, mut begun, mut at) = (0, 0, 0, 0_u64);
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
                    _ => {
                        refused += 1;
                        too_long += 1;
                    }
                },
                Seen::Refused(_) => refused += 1,
            }
        }
    }
    places.truncate(MAX_FRAMES);
    Ok(Found {
        places,
        refused,
        too_long,
    })
}

impl FrameSource for ReplayCamera {
    fn next(&mut self, timeout: Duration) -> Result<Option<Frame>, DriverError> {
        if self.next >= self.places.len() && !self.playing.looping {
            return Err(DriverError::Ended {
                device: self.name.clone(),
            });
        }
        let monotonic_ns = if self.playing.paced {
            self.look()?;
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
