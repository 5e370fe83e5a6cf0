//! What the media have done and hold, for metrics, status and the health message.

use super::Step;
use crate::usage::Counter;

/// Whether footage can be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MediaState {
    /// It can.
    #[default]
    Writable,
    /// Nothing can be given up for more: all is being recorded or read.
    Full,
    /// The disk fails; tried again every second.
    Broken {
        /// The last error.
        why: String,
    },
}

/// Whether the budget's space was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ReserveState {
    /// Under way.
    #[default]
    Working,
    /// All of it.
    Done,
    /// The disk has not enough; tried again every minute.
    Short {
        /// Bytes set aside.
        have: u64,
        /// Bytes of the budget.
        want: u64,
        /// The system's answer.
        why: String,
    },
}

/// Numbers since the media were opened, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaUsage {
    /// Whether footage can be written.
    pub state: MediaState,
    /// Whether the budget's space was set aside.
    pub reserve: ReserveState,
    /// Bytes read to open: one header per segment, and what was not sealed.
    pub opening_bytes_read: u64,
    /// Frames taken.
    pub frames: u64,
    /// Bytes of their pictures that are on disk.
    pub payload_bytes: u64,
    /// All bytes written, files made ready included.
    pub bytes_written: u64,
    /// `fdatasync` calls that made frames or clips durable.
    pub fdatasyncs: u64,
    /// All other syncs.
    pub other_syncs: u64,
    /// Bytes of pictures that wait for the disk.
    pub waiting_bytes: u64,
    /// Frames refused because too much waited.
    pub refused_queue: u64,
    /// Frames refused because of their size or order.
    pub refused_other: u64,
    /// Frames given up on the way because there was no segment for them.
    pub lost_full: u64,
    /// Segments on disk.
    pub segments: u64,
    /// Of them, free.
    pub segments_free: u64,
    /// Of them, kept by readers.
    pub segments_pinned: u64,
    /// Segments given up for writing after a failed write or sync.
    pub suspect_segments: u64,
    /// Bytes that the segments take.
    pub bytes: u64,
    /// Bytes that they may take.
    pub budget_bytes: u64,
    /// Clips, those that were given up not counted.
    pub clips: u64,
    /// Of them, held.
    pub clips_held: u64,
    /// Bytes of pictures in held clips; footage that two clips share counts twice.
    pub held_bytes: u64,
    /// Clips being recorded.
    pub claims: u64,
    /// Readers.
    pub pins: u64,
    /// Readers whose time was over when their footage was needed.
    pub pins_expired: u64,
    /// Segments made free, by step of the ladder.
    pub recycled: [u64; Step::ALL.len()],
    /// Segments taken in a hurry: before the disk said of their clips that they were given up.
    pub hurried: u64,
    /// Clips given up, by step of the ladder.
    pub dropped: [u64; Step::ALL.len()],
    /// Frames copied forward when a clip was thinned.
    pub thinned_frames: u64,
    /// Records found damaged, or unreadable when somebody asked for them.
    pub damaged: u64,
}

/// What is counted while the media work.
#[derive(Debug, Default)]
pub(crate) struct MediaCounters {
    pub(crate) opening_bytes_read: Counter,
    pub(crate) frames: Counter,
    pub(crate) payload_bytes: Counter,
    pub(crate) bytes_written: Counter,
    pub(crate) fdatasyncs: Counter,
    pub(crate) other_syncs: Counter,
    pub(crate) refused_queue: Counter,
    pub(crate) refused_other: Counter,
    pub(crate) lost_full: Counter,
    pub(crate) suspect_segments: Counter,
    pub(crate) pins_expired: Counter,
    pub(crate) recycled: [Counter; Step::ALL.len()],
    pub(crate) hurried: Counter,
    pub(crate) dropped: [Counter; Step::ALL.len()],
    pub(crate) thinned_frames: Counter,
    pub(crate) damaged: Counter,
}

impl super::Media {
    /// What the media have done and hold.
    #[must_use]
    pub fn usage(&self) -> MediaUsage {
        let inner = self.inner();
        let (now, pin_for) = (inner.now(), inner.options.pin_for);
        let waiting_bytes = self.waiting_bytes();
        let counters = &inner.counters;
        let held = crate::lock(&inner.held);
        let pool = &held.pool;
        let there = || {
            let clips = held.table.oldest_first();
            clips.filter(|clip| clip.dropped().is_none())
        };
        let kept = || there().filter(|clip| clip.held.is_some());
        let pinned = pool.used.keys();
        let pinned = pinned.filter(|ordinal| pool.pinned(**ordinal, now, pin_for));
        let steps =
            |counted: &[Counter; Step::ALL.len()]| Step::ALL.map(|at| counted[at as usize].get());
        MediaUsage {
            state: inner.state.borrow().clone(),
            reserve: inner.reserve.borrow().clone(),
            opening_bytes_read: counters.opening_bytes_read.get(),
            frames: counters.frames.get(),
            payload_bytes: counters.payload_bytes.get(),
            bytes_written: counters.bytes_written.get(),
            fdatasyncs: counters.fdatasyncs.get(),
            other_syncs: counters.other_syncs.get(),
            waiting_bytes,
            refused_queue: counters.refused_queue.get(),
            refused_other: counters.refused_other.get(),
            lost_full: counters.lost_full.get(),
            segments: pool.files(),
            segments_free: pool.free.len() as u64,
            segments_pinned: pinned.count() as u64,
            suspect_segments: counters.suspect_segments.get(),
            bytes: pool.files() * inner.options.segment_bytes,
            budget_bytes: inner.options.budget_bytes,
            clips: there().count() as u64,
            clips_held: kept().count() as u64,
            held_bytes: kept().map(|clip| clip.bytes()).sum(),
            claims: pool.claims.len() as u64,
            pins: pool.pins.len() as u64,
            pins_expired: counters.pins_expired.get(),
            recycled: steps(&counters.recycled),
            hurried: counters.hurried.get(),
            dropped: steps(&counters.dropped),
            thinned_frames: counters.thinned_frames.get(),
            damaged: counters.damaged.get(),
        }
    }
}
