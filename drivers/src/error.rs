//! What can go wrong with a device, and what to do about it.

use std::io;

use nix::errno::Errno;

/// How the owner of a device reacts to an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nothing is broken: call again.
    Retry,
    /// The device is gone or in other hands: close it, and open it again with
    /// [`Backoff`](crate::backoff::Backoff).
    Reopen,
    /// Trying again cannot help: the configuration names something that cannot work.
    Fatal,
}

/// An error of a device. Every variant names the device and what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// A system call failed.
    #[error("{device}: {call} failed")]
    Io {
        /// Path or line name.
        device: String,
        /// The call.
        call: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The device does not exist (now).
    #[error("{device}: not found")]
    NotFound {
        /// Path or line name.
        device: String,
    },
    /// The device was there and disappeared (unplugged, hung up).
    #[error("{device}: gone during {call}")]
    Gone {
        /// Path or line name.
        device: String,
        /// The call.
        call: &'static str,
    },
    /// The device cannot do what the configuration asks for.
    #[error("{device}: cannot {what}: {reason}")]
    Unsupported {
        /// Path or line name.
        device: String,
        /// What was asked for.
        what: &'static str,
        /// The device's or kernel's answer.
        reason: String,
    },
    /// The configuration itself is wrong.
    #[error("{device}: {reason}")]
    Config {
        /// Path or line name.
        device: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A replayed device has no more to say.
    #[error("{device}: the recording is over")]
    Ended {
        /// Name of the recording.
        device: String,
    },
}

impl DriverError {
    /// How to react.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::Gone { .. } => ErrorKind::Reopen,
            Self::Unsupported { .. } | Self::Config { .. } | Self::Ended { .. } => ErrorKind::Fatal,
            Self::Io { source, .. } => kind_of(source),
        }
    }

    /// The path or line name the error is about.
    pub fn device(&self) -> &str {
        match self {
            Self::Io { device, .. }
            | Self::NotFound { device }
            | Self::Gone { device, .. }
            | Self::Unsupported { device, .. }
            | Self::Config { device, .. }
            | Self::Ended { device } => device,
        }
    }

    pub(crate) fn io(device: &str, call: &'static str, source: io::Error) -> Self {
        let device = device.to_owned();
        match source.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT) => Self::NotFound { device },
            Some(Errno::ENODEV | Errno::ENXIO | Errno::EIO | Errno::EPIPE) => {
                Self::Gone { device, call }
            }
            _ => Self::Io {
                device,
                call,
                source,
            },
        }
    }

    #[cfg(any(feature = "gpiocdev", feature = "serial", feature = "v4l", test))]
    pub(crate) fn errno(device: &str, call: &'static str, errno: Errno) -> Self {
        Self::io(device, call, errno.into())
    }
}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EINTR | Errno::EAGAIN | Errno::ETIMEDOUT | Errno::ENOMEM) => ErrorKind::Retry,
        Some(Errno::ENOTTY | Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => ErrorKind::Fatal,
        Some(_) => ErrorKind::Reopen,
        None => match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ErrorKind::Retry
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => ErrorKind::Fatal,
            // Permission included: udev sets it a moment after the device appears.
            _ => ErrorKind::Reopen,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errno_decides_the_reaction() {
        let kind = |errno| DriverError::errno("/dev/ttyUSB0", "read", errno).kind();
        for errno in [Errno::EINTR, Errno::EAGAIN] {
            assert_eq!(kind(errno), ErrorKind::Retry, "{errno}");
        }
        for errno in [
            Errno::ENODEV,
            Errno::EIO,
            Errno::ENOENT,
            Errno::EBUSY,
            Errno::EACCES,
        ] {
            assert_eq!(kind(errno), ErrorKind::Reopen, "{errno}");
        }
        for errno in [Errno::ENOTTY, Errno::EINVAL] {
            assert_eq!(kind(errno), ErrorKind::Fatal, "{errno}");
        }
    }
}
