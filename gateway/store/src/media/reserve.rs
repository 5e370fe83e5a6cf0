//! Setting the budget's space aside, in the background.

use super::Inner;
use super::format::SEGMENT_HEADER;
use super::usage::ReserveState;
use crate::failpoint;
use std::io;

/// Tries while the disk is full, in [`super::MediaOptions::retry`]: a minute.
const RETRY: u32 = 60;

impl Inner {
    /// Makes segment files until the budget is reached, or the media are closed.
    pub(super) fn run_reserve(&self) {
        while !self.closing() {
            let have = crate::lock(&self.held).pool.files();
            let want = self.options.segments();
            if have >= want {
                self.set_reserve(ReserveState::Done);
                return;
            }
            let Err(error) = self.reserve_one() else {
                continue;
            };
            let short = ReserveState::Short {
                have: have * self.options.segment_bytes,
                want: want * self.options.segment_bytes,
                why: error.to_string(),
            };
            tracing::warn!(%error, have, want, "the space for footage is not all there");
            self.set_reserve(short);
            let queue = crate::lock(&self.queue);
            let pause = self.options.retry.saturating_mul(RETRY);
            drop(crate::wait_until(
                &self.reserve_wake,
                queue,
                pause,
                |queue| queue.closing,
            ));
        }
    }

    fn reserve_one(&self) -> io::Result<()> {
        let bytes = self.options.segment_bytes;
        let needed = bytes.saturating_add(self.options.keep_free_bytes);
        if self.disk.free_bytes(&self.dir) < needed {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the disk would be too full for everything else",
            ));
        }
        let slot = {
            let mut held = crate::lock(&self.held);
            let slot = held.pool.next_slot();
            held.pool.busy.insert(slot);
            slot
        };
        let made = self.make(slot);
        let mut held = crate::lock(&self.held);
        held.pool.busy.remove(&slot);
        if made.is_ok() {
            held.pool.free.push_back(slot);
        }
        drop(held);
        self.made.notify_all();
        made
    }

    fn make(&self, slot: u32) -> io::Result<()> {
        let path = self.path(slot);
        let temporary = path.with_extension("tmp");
        let made = (|| {
            let file = self.disk.create(&temporary, self.options.segment_bytes)?;
            failpoint::hit("media.reserve.created")?;
            file.write_all_at(&self.header(0).encode(), 0)?;
            file.sync_data()?;
            self.counters.bytes_written.add(SEGMENT_HEADER as u64);
            failpoint::hit("media.reserve.header_synced")?;
            self.disk.rename(&temporary, &path)?;
            failpoint::hit("media.reserve.renamed")?;
            self.disk.sync_dir(&self.dir)?;
            self.counters.other_syncs.add(2);
            failpoint::hit("media.reserve.folder_synced")
        })();
        if made.is_err() {
            for remains in [&temporary, &path] {
                // Whichever of the two exists; on a disk that fails, maybe neither goes.
                let _ = self.disk.remove(remains);
            }
        }
        made
    }
}
