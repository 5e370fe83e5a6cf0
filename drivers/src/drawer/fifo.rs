//! A drawer whose edges are written into a FIFO as text, for demonstrations and for tests of the
//! whole program: `sense high`, `kick low`, one edge a line, stamped when it is read. What is no
//! such line is handed out as [`Unreadable`] and changes nothing.

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

use super::{Edge, EdgeSource, Level, LineRole, Unreadable};
use crate::clock::monotonic_ns;
use crate::error::DriverError;

/// Longest line; a longer one is unreadable.
const LINE: usize = 64;
/// The beginning of what is unreadable that is kept, in bytes.
const KEPT: usize = 4_096;
/// A line without its end is waited for so long; then what comes next is a line of its own.
const LINE_TIME_NS: u64 = 250_000_000;
/// What is unreadable is handed out at the first silence, and after so long in any case.
const BURST_TIME_NS: u64 = 1_000_000_000;
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
    /// The line is too long already.
    skipping: bool,
    /// When something was read last, nanoseconds.
    read_ns: u64,
    /// Nothing waits to be read.
    silent: bool,
    ready: VecDeque<Edge>,
    refused: Unreadable,
    /// When the first of what was refused came, nanoseconds.
    refused_ns: u64,
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
            read_ns: 0,
            silent: true,
            ready: VecDeque::new(),
            refused: Unreadable::default(),
            refused_ns: 0,
        })
    }

    fn take(&mut self, bytes: &[u8]) {
        self.read_ns = monotonic_ns();
        for byte in bytes {
            if *byte == b'\n' {
                self.end_of_line();
            } else if self.skipping {
                self.refuse(&[*byte]);
            } else if self.text.len() < LINE {
                self.text.push(*byte);
            } else {
                self.skipping = true;
                self.refuse_text();
                self.refuse(&[*byte]);
            }
        }
    }

    fn end_of_line(&mut self) {
        if !std::mem::take(&mut self.skipping) {
            match self.edge() {
                Some(edge) => {
                    match edge.role {
                        LineRole::Sense => self.sense = edge.level,
                        LineRole::Kick => self.kick = edge.level,
                    }
                    self.ready.push_back(edge);
                    self.text.clear();
                    return;
                }
                None => self.refuse_text(),
            }
        }
        self.refuse(b"\n");
    }

    /// What the line says.
    fn edge(&self) -> Option<Edge> {
        let mut words = std::str::from_utf8(&self.text).ok()?.split_whitespace();
        let role = match words.next()? {
            "sense" => LineRole::Sense,
            "kick" if self.has_kick => LineRole::Kick,
            _ => return None,
        };
        let level = match words.next()? {
            "high" => Level::High,
            "low" => Level::Low,
            _ => return None,
        };
        words.next().is_none().then(|| Edge {
            role,
            level,
            monotonic_ns: monotonic_ns(),
            lost_before: 0,
        })
    }

    /// The line so far is no edge and never will be.
    fn refuse_text(&mut self) {
        if self.refused.lines == 0 {
            self.refused_ns = self.read_ns;
        }
        self.refused.lines += 1;
        let text = std::mem::take(&mut self.text);
        self.refuse(&text);
    }

    fn refuse(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.refused.raw.len());
        self.refused
            .raw
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.refused.size += bytes.len() as u64;
    }

    /// Nothing more came: a line without its end must not swallow the beginning of the next.
    fn quiet(&mut self) {
        self.silent = true;
        let late = monotonic_ns().saturating_sub(self.read_ns) >= LINE_TIME_NS;
        if late && std::mem::take(&mut self.skipping) {
            self.text.clear();
        } else if late && !self.text.is_empty() {
            self.refuse_text();
        }
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
            Ok(0) => {
                self.quiet();
                return Ok(None);
            }
            Err(Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(errno) => return Err(gone("poll")(errno.into())),
        }
        let mut buffer = [0; READY];
        let count = match self.file.read(&mut buffer) {
            Ok(count) => count,
            Err(why) if why.kind() == IoKind::WouldBlock => return Ok(None),
            Err(why) => return Err(gone("read")(why)),
        };
        self.silent = false;
        self.take(&buffer[..count]);
        Ok(self.ready.pop_front())
    }

    fn unreadable(&mut self) -> Option<Unreadable> {
        let old = || monotonic_ns().saturating_sub(self.refused_ns) >= BURST_TIME_NS;
        let complete = self.refused.lines > 0 && (self.silent || old());
        complete.then(|| std::mem::take(&mut self.refused))
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

    /// A FIFO, both ends of it.
    fn drawer(folder: &tempfile::TempDir) -> (std::fs::File, FifoEdges) {
        let path = folder.path().join("drawer");
        let mode = nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR;
        nix::unistd::mkfifo(&path, mode).unwrap();
        let mut edges = FifoEdges::open(&path, true).unwrap();
        assert_eq!(edges.wait(Duration::ZERO).unwrap(), None);
        let writer = OpenOptions::new().write(true).open(&path).unwrap();
        (writer, edges)
    }

    fn next(edges: &mut FifoEdges) -> Option<(LineRole, Level)> {
        (0..50)
            .find_map(|_| edges.wait(Duration::from_millis(100)).unwrap())
            .map(|edge| (edge.role, edge.level))
    }

    /// What is handed out as unreadable, once it is; edges meanwhile are a mistake.
    fn unreadable(edges: &mut FifoEdges) -> Unreadable {
        let found = (0..50).find_map(|_| {
            assert_eq!(edges.wait(Duration::from_millis(100)).unwrap(), None);
            edges.unreadable()
        });
        found.expect("something unreadable")
    }

    #[test]
    fn edges_are_read_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, mut edges) = drawer(&folder);
        write!(writer, "kick high\nsense hi").unwrap();
        assert_eq!(next(&mut edges), Some((LineRole::Kick, Level::High)));
        writeln!(writer, "gh").unwrap();
        assert_eq!(next(&mut edges), Some((LineRole::Sense, Level::High)));
        assert_eq!(edges.level(LineRole::Sense).unwrap(), Level::High);
        assert_eq!(edges.wait(Duration::ZERO).unwrap(), None);
        assert_eq!(edges.unreadable(), None);
    }

    #[test]
    fn what_is_no_edge_is_handed_out_once_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, mut edges) = drawer(&folder);
        writer
            .write_all(b"sense up\n\xff\0\nsense high now\n")
            .unwrap();
        let refused = unreadable(&mut edges);
        assert_eq!(refused.raw, b"sense up\n\xff\0\nsense high now\n");
        assert_eq!((refused.lines, refused.size), (3, 27));
        assert_eq!(edges.unreadable(), None);
        assert_eq!(edges.level(LineRole::Sense).unwrap(), Level::Low);
        writeln!(writer, "sense high").unwrap();
        assert_eq!(next(&mut edges), Some((LineRole::Sense, Level::High)));
    }

    #[test]
    fn a_long_line_is_one_and_only_its_beginning_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, mut edges) = drawer(&folder);
        write!(writer, "{}\nsense high\n", "x".repeat(2 * KEPT)).unwrap();
        assert_eq!(next(&mut edges), Some((LineRole::Sense, Level::High)));
        let refused = unreadable(&mut edges);
        assert_eq!((refused.lines, refused.raw.len()), (1, KEPT));
        assert_eq!(refused.size, 2 * KEPT as u64 + 1);
    }

    #[test]
    fn a_line_without_an_end_does_not_swallow_the_next_edge() {
        let folder = tempfile::tempdir().unwrap();
        for garbage in ["kick hi".to_owned(), "x".repeat(LINE + 1)] {
            let folder = tempfile::tempdir_in(folder.path()).unwrap();
            let (mut writer, mut edges) = drawer(&folder);
            write!(writer, "{garbage}").unwrap();
            while edges.skipping || !edges.text.is_empty() || edges.refused.lines == 0 {
                assert_eq!(edges.wait(Duration::from_millis(20)).unwrap(), None);
            }
            assert_eq!(unreadable(&mut edges).raw, garbage.as_bytes());
            writeln!(writer, "sense high").unwrap();
            assert_eq!(next(&mut edges), Some((LineRole::Sense, Level::High)));
        }
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
