//! What one camera shows in a clip, read from the disk.

use super::footage::{Footage, FootageFrame};
use bytes::Bytes;
use std::error::Error;
use std::sync::Arc;
use tillwatch_protocol::clip::FrameKey;
use tillwatch_store::media::{Pin, StoredRef};

/// One camera's part of footage that is pinned. Parts of several cameras share the pin, which ends
/// with the last of them; it protects the pictures for as long as the media allow a reader.
#[derive(Debug, Clone)]
pub struct Stored {
    pin: Arc<Pin>,
    camera: u8,
}

impl Stored {
    /// What `camera` has there; it may be nothing.
    #[must_use]
    pub fn new(pin: Arc<Pin>, camera: u8) -> Self {
        Self { pin, camera }
    }

    /// Every picture of every camera: a clip's files begin to count with the first of them.
    #[must_use]
    pub fn of_all(&self) -> Vec<FootageFrame> {
        self.pin.frames().iter().map(frame).collect()
    }
}

fn frame(stored: &StoredRef) -> FootageFrame {
    FootageFrame {
        key: stored.key,
        monotonic_ns: stored.monotonic_ns,
        utc_us: stored.utc_us,
        bytes: stored.bytes,
    }
}

impl Footage for Stored {
    fn frames(&self) -> Vec<FootageFrame> {
        self.pin.of(self.camera).iter().map(frame).collect()
    }

    fn read(&self, key: FrameKey) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        Ok(self.pin.read(key)?)
    }
}
