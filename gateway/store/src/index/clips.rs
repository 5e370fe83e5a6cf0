//! Questions about clips.

use super::projection::{Step, StoredReport};
use super::{Index, keys};
use tillwatch_protocol::{ClipId, ClipReport, ClipRequest, Record, Seq};

/// What a clip was asked for, and the newest word on what became of it.
pub type Reported = (ClipRequest, ClipReport);

impl Index {
    /// Clips that were asked for and have no report yet, at most `limit`.
    #[must_use]
    pub fn clips_unfinished(&self, limit: usize) -> Vec<ClipRequest> {
        self.catch_up();
        let engine = self.shared.ready();
        let mut keys = Vec::new();
        self.collect(b"c", b"d", false, |key| {
            keys.push(key.to_vec());
            keys.len() < limit
        });
        let request = |key: Vec<u8>| {
            let value = self.shared.or_broken(engine.get(&key))?;
            self.request_at(postcard::from_bytes(&value).ok()?)
        };
        keys.into_iter().filter_map(request).collect()
    }

    /// What a clip that has no report yet was asked for.
    #[must_use]
    pub fn clip_unfinished(&self, id: ClipId) -> Option<ClipRequest> {
        self.catch_up();
        let engine = self.shared.ready();
        let value = self
            .shared
            .or_broken(engine.get(&keys::of_clip(b'c', id)))?;
        self.request_at(postcard::from_bytes(&value).ok()?)
    }

    /// What became of a clip, as the newest report says, as long as the log has it and its request.
    #[must_use]
    pub fn clip_reported(&self, id: ClipId) -> Option<Reported> {
        self.catch_up();
        self.reported(id)
    }

    /// Clips of which the newest report says that there is not a picture, the newest report first,
    /// at most `limit`.
    #[must_use]
    pub fn clips_not_recorded(&self, limit: usize) -> Vec<Reported> {
        self.catch_up();
        let mut ids = Vec::new();
        self.collect(b"n", b"o", true, |key| {
            ids.extend(keys::clip_of_order(key));
            ids.len() < limit
        });
        ids.into_iter().filter_map(|id| self.reported(id)).collect()
    }

    fn reported(&self, id: ClipId) -> Option<Reported> {
        let engine = self.shared.ready();
        let found = Step::new(engine.as_ref()).report(id);
        let StoredReport { request, report } = self.shared.or_broken(found)?;
        match (self.record(request)?, self.record(report)?) {
            (Record::ClipRequest(request), Record::ClipReport(report)) => Some((request, report)),
            _ => None,
        }
    }

    fn request_at(&self, seq: Seq) -> Option<ClipRequest> {
        match self.record(seq)? {
            Record::ClipRequest(request) => Some(request),
            _ => None,
        }
    }
}
