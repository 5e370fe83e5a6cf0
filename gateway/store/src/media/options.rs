//! What can be set about the footage.

use super::MediaError;
use super::format::{ENTRY, SEGMENT_HEADER, record_size};
use std::time::Duration;

/// What can be set about the footage.
#[derive(Debug, Clone)]
pub struct MediaOptions {
    /// Bytes that segments may take; at least four of them.
    pub budget_bytes: u64,
    /// Size of one segment in bytes, a multiple of 4096, from 256 KiB to 256 MiB.
    pub segment_bytes: u64,
    /// Bytes of the disk that the reservation leaves free for everybody else.
    pub keep_free_bytes: u64,
    /// Most bytes of pictures that wait for the disk; beyond it they are refused.
    pub queue_bytes: usize,
    /// How many bytes are written without waiting for more.
    pub group_bytes: usize,
    /// How long a picture may wait for company before it is written.
    pub group_delay: Duration,
    /// How long footage is kept that no clip asks for.
    pub provisional_for: Duration,
    /// How long a reader can keep a segment from being used again.
    pub pin_for: Duration,
    /// Most readers at once.
    pub max_pins: usize,
    /// Most clips that are being recorded at once.
    pub max_claims: usize,
    /// Most clips.
    pub max_clips: usize,
    /// Pause between tries while nothing can be written.
    pub retry: Duration,
}

impl Default for MediaOptions {
    fn default() -> Self {
        Self {
            budget_bytes: 1 << 30,
            segment_bytes: 16 << 20,
            keep_free_bytes: 256 << 20,
            queue_bytes: 8 << 20,
            group_bytes: 4 << 20,
            group_delay: Duration::from_secs(1),
            provisional_for: Duration::from_secs(600),
            pin_for: Duration::from_secs(600),
            max_pins: 16,
            max_claims: 64,
            max_clips: 2_048,
            retry: Duration::from_secs(1),
        }
    }
}

impl MediaOptions {
    /// Small footage for tests: eight segments of 256 KiB, nothing provisional is kept.
    #[must_use]
    pub fn small() -> Self {
        Self {
            budget_bytes: 2 << 20,
            segment_bytes: 256 << 10,
            keep_free_bytes: 0,
            queue_bytes: 128 << 10,
            group_bytes: 32 << 10,
            group_delay: Duration::from_millis(5),
            provisional_for: Duration::ZERO,
            retry: Duration::from_millis(5),
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), MediaError> {
        let segment = self.segment_bytes;
        if !(256 << 10..=256 << 20).contains(&segment) || !segment.is_multiple_of(4096) {
            let text = format!(
                "segment_bytes is {segment}; it must be a multiple of 4096 from 256 KiB to 256 MiB"
            );
            return Err(MediaError::Options(text));
        }
        if self.budget_bytes / segment < 4 {
            let text = format!(
                "budget_bytes is {}; it must hold four segments",
                self.budget_bytes
            );
            return Err(MediaError::Options(text));
        }
        Ok(())
    }

    /// Segments within the budget.
    pub(crate) fn segments(&self) -> u64 {
        self.budget_bytes / self.segment_bytes
    }

    /// Most bytes that the table of clips may take at the head of a segment: 1/16 of it.
    pub(crate) fn table_bytes(&self) -> usize {
        usize::try_from(self.segment_bytes / 16)
            .unwrap_or(usize::MAX)
            .min(super::format::MAX_BODY)
    }

    /// Clips that were given up and are still told of.
    pub(crate) fn tombstones(&self) -> usize {
        (self.table_bytes() / 4096).clamp(4, 256)
    }

    /// Bytes of a segment that pictures leave to the records of clips, so that these can be
    /// written when there is no other segment.
    pub(crate) fn clip_reserve(&self) -> u64 {
        self.segment_bytes / 32
    }

    /// Largest picture: that fits into a segment with everything else that must be in it.
    pub(crate) fn max_frame(&self) -> usize {
        let other = SEGMENT_HEADER + record_size(self.table_bytes()) + 2 * record_size(4 * ENTRY);
        let room = self.segment_bytes - self.clip_reserve();
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        room.saturating_sub(other).min(super::format::MAX_BODY)
    }

    /// Bytes taken from the queue at once: one group never needs more than one new segment.
    pub(crate) fn taken_bytes(&self) -> usize {
        let quarter = usize::try_from(self.segment_bytes / 4).unwrap_or(usize::MAX);
        self.group_bytes.min(quarter)
    }
}
