//! A printer line that is played: from bytes at a line's speed, or from a channel.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::ByteTap;
use crate::error::DriverError;

/// Bits on the wire per byte at 8N1.
const BITS_PER_BYTE: u64 = 10;

/// A tap that plays.
#[derive(Debug)]
pub struct ReplayTap {
    name: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Bytes {
        bytes: Vec<u8>,
        position: usize,
        baud: Option<u32>,
        started: Option<Instant>,
    },
    Channel {
        receiver: Receiver<Result<Vec<u8>, DriverError>>,
        rest: Vec<u8>,
    },
}

impl ReplayTap {
    /// Plays bytes as fast as `baud` would carry them, or at once without one.
    pub fn bytes(name: &str, bytes: Vec<u8>, baud: Option<u32>) -> Self {
        Self {
            name: name.to_owned(),
            source: Source::Bytes {
                bytes,
                position: 0,
                baud,
                started: None,
            },
        }
    }

    /// Plays a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn file(path: &Path, baud: Option<u32>) -> Result<Self, DriverError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| DriverError::io(&name, "read", error))?;
        Ok(Self::bytes(&name, bytes, baud))
    }

    /// A tap that yields what its handle writes.
    pub fn channel(name: &str) -> (ReplayPrinter, Self) {
        let (sender, receiver) = channel();
        let tap = Self {
            name: name.to_owned(),
            source: Source::Channel {
                receiver,
                rest: Vec::new(),
            },
        };
        (ReplayPrinter { sender }, tap)
    }

    fn ended(&self) -> DriverError {
        DriverError::Ended {
            device: self.name.clone(),
        }
    }
}

/// The writing end of [`ReplayTap::channel`]. Dropping it ends the recording.
#[derive(Debug, Clone)]
pub struct ReplayPrinter {
    sender: Sender<Result<Vec<u8>, DriverError>>,
}

impl ReplayPrinter {
    /// Puts bytes on the line. Nobody listening is no error.
    pub fn write(&self, bytes: &[u8]) {
        let _ = self.sender.send(Ok(bytes.to_vec()));
    }

    /// Makes the tap's next read fail: a pulled plug.
    pub fn fail(&self, error: DriverError) {
        let _ = self.sender.send(Err(error));
    }
}

impl ByteTap for ReplayTap {
    fn read(&mut self, buf: &mut [u8], timeout: Duration) -> Result<usize, DriverError> {
        match &mut self.source {
            Source::Bytes {
                bytes,
                position,
                baud,
                started,
            } => {
                let left = bytes.len() - *position;
                if left == 0 {
                    return Err(self.ended());
                }
                let due = match baud {
                    None => left,
                    Some(baud) => {
                        let rate = u64::from(*baud).max(BITS_PER_BYTE) / BITS_PER_BYTE;
                        let started = started.get_or_insert_with(Instant::now);
                        // The next byte's time; as a line would, the tap is silent until then.
                        let next = Duration::from_nanos(
                            (*position as u64 + 1).saturating_mul(1_000_000_000) / rate,
                        );
                        let wait = next.saturating_sub(started.elapsed());
                        if wait > timeout {
                            std::thread::sleep(timeout);
                            return Ok(0);
                        }
                        std::thread::sleep(wait);
                        let carried =
                            started.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000;
                        usize::try_from(carried)
                            .unwrap_or(usize::MAX)
                            .saturating_sub(*position)
                            .clamp(1, left)
                    }
                };
                let count = due.min(buf.len());
                buf[..count].copy_from_slice(&bytes[*position..*position + count]);
                *position += count;
                Ok(count)
            }
            Source::Channel { receiver, rest } => {
                if rest.is_empty() {
                    match receiver.recv_timeout(timeout) {
                        Ok(Ok(bytes)) => *rest = bytes,
                        Ok(Err(error)) => return Err(error),
                        Err(RecvTimeoutError::Timeout) => return Ok(0),
                        Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                    }
                }
                let count = rest.len().min(buf.len());
                buf[..count].copy_from_slice(&rest[..count]);
                rest.drain(..count);
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const NONE: Duration = Duration::ZERO;

    #[test]
    fn bytes_are_played_to_their_end_and_no_further() {
        let mut tap = ReplayTap::bytes("receipt", b"TOTAL".to_vec(), None);
        let mut buf = [0; 3];
        assert_eq!(tap.read(&mut buf, NONE).expect("bytes"), 3);
        assert_eq!(tap.read(&mut buf, NONE).expect("bytes"), 2);
        let end = tap.read(&mut buf, NONE).expect_err("the end");
        assert!(matches!(end, DriverError::Ended { .. }));
    }

    #[test]
    fn a_speed_is_kept() {
        // 50 bytes at 9600 bits per second are 52 ms.
        let started = Instant::now();
        let mut tap = ReplayTap::bytes("receipt", vec![b'x'; 50], Some(9600));
        let mut count = 0;
        while count < 50 {
            count += tap
                .read(&mut [0; 64], Duration::from_millis(500))
                .expect("bytes");
        }
        assert!(started.elapsed() >= Duration::from_millis(52));
    }

    #[test]
    fn a_channel_carries_bytes_and_failures_in_order() {
        let (printer, mut tap) = ReplayTap::channel("demo");
        let mut buf = [0; 8];
        assert_eq!(tap.read(&mut buf, NONE).expect("silence"), 0);
        printer.write(b"TOTAL");
        printer.fail(DriverError::Gone {
            device: "demo".into(),
            call: "read",
        });
        assert_eq!(tap.read(&mut buf, NONE).expect("bytes"), 5);
        let error = tap.read(&mut buf, NONE).expect_err("pulled");
        assert_eq!(error.kind(), ErrorKind::Reopen);
        drop(printer);
        let end = tap.read(&mut buf, NONE).expect_err("the end");
        assert_eq!(end.kind(), ErrorKind::Fatal);
    }
}
