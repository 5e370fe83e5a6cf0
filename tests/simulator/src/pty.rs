//! A pseudo terminal that stands for the printer's serial line.
//!
//! The reader opens the slave's path as it would open `/dev/ttyUSB0`. The slave is raw (`cfmakeraw`):
//! no echo, no CR/LF mapping, no byte with a meaning. Our own handle on the slave stays open, so
//! that the reader can close and open it again without a hangup and without losing the settings.
//!
//! A kernel pseudo terminal holds about 4 KiB for a reader who is away; a tap that is not there
//! hears nothing. So a write waits [`PATIENCE`] for room, then drops the rest and counts it.
//!
//! A reader that opened the line exclusively (`TIOCEXCL`) and was killed leaves it locked for
//! everybody without `CAP_SYS_ADMIN`, because our handle keeps the terminal alive. Use
//! [`PrinterPort::unplug`] and [`PrinterPort::plug`] then.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::{self, SetArg};
use nix::unistd::ttyname;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long one write waits for a reader.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// What failed with a pseudo terminal. All of it is final: there is no use in trying again.
#[derive(Debug, thiserror::Error)]
pub enum PtyError {
    /// A call on the terminal itself.
    #[error("{call} failed for a pseudo terminal")]
    Terminal {
        /// The call.
        call: &'static str,
        /// Its error.
        source: nix::Error,
    },
    /// The link with the stable name.
    #[error("the link {} cannot be made or removed", path.display())]
    Link {
        /// Its path.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
}

fn failed(call: &'static str) -> impl FnOnce(nix::Error) -> PtyError {
    move |source| PtyError::Terminal { call, source }
}

/// Both ends of a printer's line: ours to write to, and the path of the other one.
#[derive(Debug)]
pub struct PrinterPty {
    master: File,
    /// Kept, so that the terminal outlives its readers.
    _slave: OwnedFd,
    path: PathBuf,
    dropped: u64,
}

impl PrinterPty {
    /// A new pair.
    ///
    /// # Errors
    /// [`PtyError::Terminal`] when the kernel has none left, or no `/dev/pts`.
    pub fn open() -> Result<Self, PtyError> {
        let pair = openpty(None, None).map_err(failed("openpty"))?;
        let mut settings = termios::tcgetattr(&pair.slave).map_err(failed("tcgetattr"))?;
        termios::cfmakeraw(&mut settings);
        termios::tcsetattr(&pair.slave, SetArg::TCSANOW, &settings).map_err(failed("tcsetattr"))?;
        let path = ttyname(&pair.slave).map_err(failed("ttyname"))?;
        let flags = fcntl(&pair.master, FcntlArg::F_GETFL).map_err(failed("F_GETFL"))?;
        let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
        fcntl(&pair.master, FcntlArg::F_SETFL(flags)).map_err(failed("F_SETFL"))?;
        Ok(Self {
            master: File::from(pair.master),
            _slave: pair.slave,
            path,
            dropped: 0,
        })
    }

    /// The path that a reader opens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that nobody took.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Sends bytes down the line, at once. What does not fit within [`PATIENCE`] is dropped and
    /// counted.
    ///
    /// # Errors
    /// Whatever writing to the terminal answers, except that it is full.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.master.write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        self.dropped += rest.len() as u64;
                        return Ok(());
                    }
                    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
                    let mut room = [PollFd::new(self.master.as_fd(), PollFlags::POLLOUT)];
                    match poll(&mut room, timeout) {
                        Ok(_) | Err(nix::Error::EINTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A printer's line with a name that stays when the plug is pulled and put in again, as the links
/// in `/dev/serial/by-id` do.
#[derive(Debug)]
pub struct PrinterPort {
    link: PathBuf,
    pty: Option<PrinterPty>,
    dropped_before: u64,
}

impl PrinterPort {
    /// A plugged port whose name is `link`. A symbolic link that is already there is replaced,
    /// anything else is an error.
    ///
    /// # Errors
    /// [`PtyError`] when the terminal or the link cannot be made.
    pub fn create(link: &Path) -> Result<Self, PtyError> {
        let mut port = Self {
            link: link.to_owned(),
            pty: None,
            dropped_before: 0,
        };
        port.plug()?;
        Ok(port)
    }

    /// The name that a reader opens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.link
    }

    /// Puts the plug in: a new terminal under the old name. Nothing happens when it is in.
    ///
    /// # Errors
    /// [`PtyError`] when the terminal or the link cannot be made.
    pub fn plug(&mut self) -> Result<(), PtyError> {
        if self.pty.is_some() {
            return Ok(());
        }
        let failed = |source| PtyError::Link {
            path: self.link.clone(),
            source,
        };
        let pty = PrinterPty::open()?;
        self.remove_link().map_err(failed)?;
        symlink(pty.path(), &self.link).map_err(failed)?;
        self.pty = Some(pty);
        Ok(())
    }

    /// Pulls the plug: the name is gone, and who reads gets a hangup.
    ///
    /// # Errors
    /// [`PtyError::Link`] when the link cannot be removed; the line is dead all the same.
    pub fn unplug(&mut self) -> Result<(), PtyError> {
        if let Some(pty) = self.pty.take() {
            self.dropped_before += pty.dropped();
        }
        self.remove_link().map_err(|source| PtyError::Link {
            path: self.link.clone(),
            source,
        })
    }

    /// Whether the plug is in.
    #[must_use]
    pub const fn is_plugged(&self) -> bool {
        self.pty.is_some()
    }

    /// Bytes that nobody took.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped_before + self.pty.as_ref().map_or(0, PrinterPty::dropped)
    }

    /// Sends bytes down the line, as [`PrinterPty::send`]; without a plug they are dropped and
    /// counted.
    ///
    /// # Errors
    /// As [`PrinterPty::send`].
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.pty {
            Some(pty) => pty.send(bytes),
            None => {
                self.dropped_before += bytes.len() as u64;
                Ok(())
            }
        }
    }

    /// Removes our link; leaves anything that is no symbolic link alone.
    fn remove_link(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.link) {
            Ok(found) if found.is_symlink() => fs::remove_file(&self.link),
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for PrinterPort {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.unplug();
    }
}
