//! A tap on a serial port.
//!
//! The port is opened without becoming the controlling terminal (a session leader that
//! did would die of SIGHUP when the adapter is pulled), exclusively, raw, ignoring modem
//! lines, and closing it does not drop DTR. Opening raises DTR and RTS, which no program
//! can prevent; nothing toggles them afterwards. A pseudo-terminal works as a port.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{ControlFlags, SetArg, tcgetattr, tcsetattr};
use serialport::TTYPort;

use super::ByteTap;
use crate::error::DriverError;

/// Data bits of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DataBits {
    /// Seven.
    Seven,
    /// Eight.
    #[default]
    Eight,
}

/// Parity of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Parity {
    /// No parity bit.
    #[default]
    None,
    /// Even parity.
    Even,
    /// Odd parity.
    Odd,
}

/// How a port is set. The default is 9600 8N1, what most printers leave the factory with.
/// There is no flow control: a tap has nothing to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialConfig {
    /// Device path, best a stable one (`/dev/serial/by-id/…`).
    pub path: PathBuf,
    /// Bits per second, 300 to 4 000 000.
    pub baud: u32,
    /// Data bits.
    pub data_bits: DataBits,
    /// Parity.
    pub parity: Parity,
    /// Two stop bits instead of one.
    pub two_stop_bits: bool,
}

impl SerialConfig {
    /// 9600 8N1 on `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            baud: 9600,
            data_bits: DataBits::default(),
            parity: Parity::default(),
            two_stop_bits: false,
        }
    }

    /// With another speed.
    #[must_use]
    pub fn baud(mut self, baud: u32) -> Self {
        self.baud = baud;
        self
    }
}

/// An open port.
#[derive(Debug)]
pub struct SerialTap {
    port: TTYPort,
    device: String,
}

const BAUD_RANGE: std::ops::RangeInclusive<u32> = 300..=4_000_000;

impl SerialTap {
    /// Opens the port.
    ///
    /// # Errors
    /// Missing, busy, not permitted: kind `Reopen`. Not a terminal, a speed outside
    /// 300–4 000 000: kind `Fatal`.
    pub fn open(config: &SerialConfig) -> Result<Self, DriverError> {
        let device = config.path.display().to_string();
        if !BAUD_RANGE.contains(&config.baud) {
            return Err(DriverError::Config {
                device,
                reason: format!("{} bits per second is no speed of a printer", config.baud),
            });
        }
        check_is_device(&config.path, &device)?;
        let builder = serialport::new(device.as_str(), config.baud)
            .data_bits(match config.data_bits {
                DataBits::Seven => serialport::DataBits::Seven,
                DataBits::Eight => serialport::DataBits::Eight,
            })
            .parity(match config.parity {
                Parity::None => serialport::Parity::None,
                Parity::Even => serialport::Parity::Even,
                Parity::Odd => serialport::Parity::Odd,
            })
            .stop_bits(if config.two_stop_bits {
                serialport::StopBits::Two
            } else {
                serialport::StopBits::One
            })
            .flow_control(serialport::FlowControl::None)
            .exclusive(true);
        // serialport opens with O_NOCTTY and touches DTR only when told to.
        let port = TTYPort::open(&builder).map_err(|error| open_error(&device, &error))?;
        let tap = Self { port, device };
        tap.keep_modem_lines_on_close()?;
        Ok(tap)
    }

    fn keep_modem_lines_on_close(&self) -> Result<(), DriverError> {
        let fd = borrow(&self.port);
        let mut settings =
            tcgetattr(fd).map_err(|errno| DriverError::errno(&self.device, "tcgetattr", errno))?;
        settings.control_flags.remove(ControlFlags::HUPCL);
        tcsetattr(fd, SetArg::TCSANOW, &settings)
            .map_err(|errno| DriverError::errno(&self.device, "tcsetattr", errno))
    }
}

#[allow(unsafe_code)]
fn borrow(port: &TTYPort) -> BorrowedFd<'_> {
    // SAFETY: `TTYPort` owns its descriptor and closes it only when dropped; the returned
    // borrow keeps `port` alive.
    unsafe { BorrowedFd::borrow_raw(port.as_raw_fd()) }
}

/// Opening a FIFO or a file would block or succeed in odd ways: look first.
fn check_is_device(path: &Path, device: &str) -> Result<(), DriverError> {
    use std::os::unix::fs::FileTypeExt;
    let metadata =
        std::fs::metadata(path).map_err(|error| DriverError::io(device, "stat", error))?;
    if metadata.file_type().is_char_device() {
        Ok(())
    } else {
        Err(DriverError::Config {
            device: device.to_owned(),
            reason: "not a serial port".to_owned(),
        })
    }
}

fn open_error(device: &str, error: &serialport::Error) -> DriverError {
    let device = device.to_owned();
    let source = match error.kind() {
        // serialport says NoDevice for EBUSY.
        serialport::ErrorKind::NoDevice => Errno::EBUSY.into(),
        serialport::ErrorKind::InvalidInput => {
            return DriverError::Unsupported {
                device,
                what: "set the line parameters",
                reason: error.description.clone(),
            };
        }
        serialport::ErrorKind::Io(std::io::ErrorKind::NotFound) => Errno::ENOENT.into(),
        serialport::ErrorKind::Io(std::io::ErrorKind::PermissionDenied) => Errno::EACCES.into(),
        serialport::ErrorKind::Io(kind) => std::io::Error::new(kind, error.description.clone()),
        // Everything else arrives as its text; "not a tty" is the one that matters.
        serialport::ErrorKind::Unknown if error.description == Errno::ENOTTY.desc() => {
            Errno::ENOTTY.into()
        }
        serialport::ErrorKind::Unknown => std::io::Error::other(error.description.clone()),
    };
    DriverError::io(&device, "open", source)
}

impl ByteTap for SerialTap {
    fn read(&mut self, buf: &mut [u8], timeout: Duration) -> Result<usize, DriverError> {
        let fd = borrow(&self.port);
        // Not serialport's own read: it reports a hangup before what is still buffered, and
        // loses the errno.
        let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(0),
            Ok(_) => {}
            Err(errno) => return Err(DriverError::errno(&self.device, "poll", errno)),
        }
        match nix::unistd::read(fd, buf) {
            // A terminal that is readable and has nothing is hung up.
            Ok(0) if !buf.is_empty() => Err(DriverError::Gone {
                device: self.device.clone(),
                call: "read",
            }),
            Ok(count) => Ok(count),
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(0),
            Err(errno) => Err(DriverError::errno(&self.device, "read", errno)),
        }
    }
}
