//! Preparing segments ahead of need, and using old ones again.

use super::format::SegmentHeader;
use super::recover::segment_path;
use super::segment::Segment;
use super::{LogInner, Prepared};
use crate::disk::DiskFile;
use crate::failpoint;
use crate::reserve::is_full;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const AWAY: &str = "recycled.tmp";

impl LogInner {
    /// Makes a segment file with a synced header and a synced name. Leaves nothing when it fails.
    pub(super) fn prepare(&self) -> io::Result<Prepared> {
        let ordinal = self.next_ordinal.fetch_add(1, Ordering::Relaxed);
        let path = segment_path(&self.options.dir, ordinal);
        let temporary = path.with_extension("tmp");
        let prepared = self.prepare_in(&temporary, &path, ordinal);
        if prepared.is_err() {
            for remains in [&temporary, &path] {
                // Whichever of the two exists; on a disk that fails, maybe neither goes.
                let _ = self.disk.remove(remains);
            }
        }
        prepared
    }

    fn prepare_in(&self, temporary: &Path, path: &Path, ordinal: u64) -> io::Result<Prepared> {
        let file_len = self.options.segment_bytes;
        let file = match self.disk.create(temporary, file_len) {
            // The reserve is for this: the log goes before everything else on the disk.
            Err(error) if is_full(&error) && self.give_reserve(file_len) => {
                self.disk.create(temporary, file_len)?
            }
            created => created?,
        };
        failpoint::hit("prepare.created")?;
        self.put_prepared_header(file.as_ref(), ordinal)?;
        failpoint::hit("prepare.header_synced")?;
        self.disk.rename(temporary, path)?;
        failpoint::hit("prepare.renamed")?;
        self.disk.sync_dir(&self.options.dir)?;
        failpoint::hit("prepare.folder_synced")?;
        self.counters.other_syncs.add(1);
        Ok(Prepared {
            ordinal,
            path: path.to_owned(),
            file,
            file_len,
        })
    }

    fn give_reserve(&self, bytes: u64) -> bool {
        let reserve = self.options.reserve.as_ref();
        reserve.is_some_and(|reserve| reserve.give_to_log(bytes))
    }

    fn put_prepared_header(&self, file: &dyn DiskFile, ordinal: u64) -> io::Result<()> {
        let log_id = *self.options.log_id.0.as_bytes();
        let area = SegmentHeader {
            log_id,
            ordinal,
            base_seq: 0,
            nonce: 0,
            gap_from: 0,
        }
        .encode();
        file.write_all_at(&area, 0)?;
        file.sync_data()?;
        self.counters.other_syncs.add(1);
        self.counters.bytes_written.add(area.len() as u64);
        Ok(())
    }

    /// Whether the writer has nothing prepared.
    pub(crate) fn wants_spare(&self) -> bool {
        crate::lock(&self.spare).is_none()
    }

    /// Segments on disk, the prepared one included.
    pub(crate) fn segment_count(&self) -> u64 {
        let spare = u64::from(!self.wants_spare());
        crate::read(&self.segments).len() as u64 + spare
    }

    /// Bytes that its budget and `more` segments still allow.
    pub(crate) fn to_come(&self, more: u64) -> u64 {
        let segments = self.options.budget_segments + more;
        segments.saturating_sub(self.segment_count()) * self.options.segment_bytes
    }

    /// Prepares the next segment from free space.
    pub(crate) fn prepare_spare(&self) -> io::Result<()> {
        let _preparing = crate::lock(&self.preparing);
        if !self.wants_spare() {
            return Ok(());
        }
        let prepared = self.prepare()?;
        self.keep_spare(prepared)
    }

    fn keep_spare(&self, prepared: Prepared) -> io::Result<()> {
        let replaced = crate::lock(&self.spare).replace(prepared);
        match replaced {
            Some(old) => self.disk.remove(&old.path),
            None => Ok(()),
        }
    }

    /// The oldest segment, unless it is the one being written.
    pub(crate) fn oldest(&self) -> Option<Arc<Segment>> {
        let segments = crate::read(&self.segments);
        (segments.len() > 1)
            .then(|| segments.first().map(Arc::clone))
            .flatten()
    }

    /// Uses a segment again, in which nothing is owed any more. Readers that are still in it keep
    /// the old file; then its space comes free when they are done, and a new file is made.
    pub(crate) fn recycle(&self, segment: Arc<Segment>) -> io::Result<()> {
        crate::write(&self.segments).retain(|kept| kept.ordinal != segment.ordinal);
        let away = self.options.dir.join(AWAY);
        self.disk.rename(&segment.path, &away)?;
        failpoint::hit("recycle.renamed_away")?;
        self.disk.sync_dir(&self.options.dir)?;
        failpoint::hit("recycle.renamed_away_synced")?;
        self.counters.other_syncs.add(1);
        let alone = Arc::strong_count(&segment) == 1;
        if !alone || segment.file_len != self.options.segment_bytes || !self.wants_spare() {
            return self.disk.remove(&away);
        }
        let _preparing = crate::lock(&self.preparing);
        let ordinal = self.next_ordinal.fetch_add(1, Ordering::Relaxed);
        let path = segment_path(&self.options.dir, ordinal);
        self.put_prepared_header(segment.file.as_ref(), ordinal)?;
        failpoint::hit("recycle.header_synced")?;
        self.disk.rename(&away, &path)?;
        failpoint::hit("recycle.renamed_back")?;
        self.disk.sync_dir(&self.options.dir)?;
        failpoint::hit("recycle.folder_synced")?;
        self.counters.other_syncs.add(1);
        self.counters.recycled_segments.add(1);
        let (file, file_len) = (Arc::clone(&segment.file), segment.file_len);
        self.keep_spare(Prepared {
            ordinal,
            path,
            file,
            file_len,
        })
    }

    /// Keeps the budget by giving up the oldest segments, whatever is in them.
    pub(super) fn maintain_self(&self) {
        while self.segment_count() > self.options.budget_segments.saturating_sub(1) {
            let Some(oldest) = self.oldest() else { return };
            if let Err(error) = self.recycle(oldest) {
                tracing::warn!(%error, dir = %self.options.dir.display(), "old segment not recycled");
                return;
            }
        }
    }
}
