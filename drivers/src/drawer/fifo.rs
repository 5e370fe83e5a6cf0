//! A drawer whose edges are written into a FIFO as text, for demonstrations and for tests of the
//! whole program: `sense high`, `kick low`, one edge a line, stamped when it is read.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as IoKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Edge, EdgeSource, Level, LineRole};
use crate::clock::monotonic_ns;
use crate::error::DriverError;

/// Longest line; a longer one is left out and counted.
const LINE: usize = 64;
/// Edges that wait to be taken; the FIFO itself holds more.
const READY: usize = 256;

/// The reading end.
#[derive(Debug)]
pub struct FifoEdges {
    file: File,
    device: String,
    has_kick: bool,
    sense: Level,
    kick: Level,
    text: Vec<u8>,
    skipping: bool,
    ready: VecDeque<Edge>,
    /// Lines that were no edges.
    pub refused: u64,
}

impl FifoEdges {
    /// Opens the FIFO at `path`. Both lines are low until somebody says otherwise.
    ///
    /// # Errors
    /// [`DriverError`] when there is none, or when `path` is something else.
    pub fn open(path: &Path, has_kick: bool) -> Result<Self, DriverError> {
        let device = path.display().to_string();
        let io = |call| {
            let device = device.clone();
            move |source: std::io::Error| match source.kind() {
                IoKind::NotFound => DriverError::NotFound { device },
                _ => DriverError::Io {
                    device,
                    call,
                    source,
                },
            }
        };
        let kind = std::fs::metadata(path).map_err(io("stat"))?.file_type();
        if !kind.is_fifo() {
            return Err(DriverError::Config {
                device,
                reason: "is no FIFO; make one with mkfifo".into(),
            });
        }
        // Open for writing too: without it the end of one writer would be the end of all.
        let flags = (OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path)
            .map_err(io("open"))?;
        Ok(Self {
            file,
            device,
            has_kick,
            sense: Level::Low,
            kick: Level::Low,
            text: Vec::with_capacity(LINE),
            skipping: false,
            ready: VecDeque::new(),
            refused: 0,
        })
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    if !std::mem::take(&mut self.skipping) {
                        self.line();
                    }
                    self.text.clear();
                }
                _ if self.text.len() < LINE => self.text.push(*byte),
                _ => {
                    self.refused += u64::from(!self.skipping);
                    self.skipping = true;
                }
            }
        }
    }

    fn line(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        let mut words = text.split_whitespace();
        let role = match words.next() {
            Some("sense") => LineRole::Sense,
            Some("kick") if self.has_kick => LineRole::Kick,
            _ => {
                self.refused += 1;
                return;
            }
        };
        let level = match words.next() {
            Some("high") => Level::High,
            Some("low") => Level::Low,
            _ => {
                self.refused += 1;
                return;
            }
        };
        match role {
            LineRole::Sense => self.sense = level,
            LineRole::Kick => self.kick = level,
        }
        self.ready.push_back(Edge {
            role,
            level,
            monotonic_ns: monotonic_ns(),
            lost_before: 0,
        });
    }
}

impl EdgeSource for FifoEdges {
    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, DriverError> {
        if let Some(edge) = self.ready.pop_front() {
            return Ok(Some(edge));
        }
        let gone = |call| {
            let device = self.device.clone();
            move |source: std::io::Error| DriverError::Io {
                device,
                call,
                source,
            }
        };
        let millis = timeout.as_micros().div_ceil(1_000);
        let timeout = PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX));
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(errno) => return Err(gone("poll")(errno.into())),
        }
        let mut buffer = [0; READY];
        let count = match self.file.read(&mut buffer) {
            Ok(count) => count,
            Err(why) if why.kind() == IoKind::WouldBlock => return Ok(None),
            Err(why) => return Err(gone("read")(why)),
        };
        self.take(&buffer[..count]);
        Ok(self.ready.pop_front())
    }

    fn level(&mut self, role: LineRole) -> Result<Level, DriverError> {
        Ok(match role {
            LineRole::Sense => self.sense,
            LineRole::Kick => self.kick,
        })
    }

    fn has(&self, role: LineRole) -> bool {
        role == LineRole::Sense || self.has_kick
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn edges_are_read_as_they_are_written_and_nonsense_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drawer");
        nix::unistd::mkfifo(
            &path,
            nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR,
        )
        .unwrap();
        let mut edges = FifoEdges::open(&path, true).unwrap();
        assert_eq!(edges.wait(Duration::ZERO).unwrap(), None);
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        write!(writer, "kick high\nsense up\n{}\nsense hi", "x".repeat(500)).unwrap();
        let next = |edges: &mut FifoEdges| {
            (0..50)
                .find_map(|_| edges.wait(Duration::from_millis(100)).unwrap())
                .map(|edge| (edge.role, edge.level))
        };
        assert_eq!(next(&mut edges), Some((LineRole::Kick, Level::High)));
        writeln!(writer, "gh").unwrap();
        assert_eq!(next(&mut edges), Some((LineRole::Sense, Level::High)));
        assert_eq!(edges.refused, 2);
        assert_eq!(edges.level(LineRole::Sense).unwrap(), Level::High);
    }

    #[test]
    fn what_is_no_fifo_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            FifoEdges::open(folder.path(), true),
            Err(DriverError::Config { .. })
        ));
        let missing = folder.path().join("missing");
        assert!(matches!(
            FifoEdges::open(&missing, true),
            Err(DriverError::NotFound { .. })
        ));
    }
}
