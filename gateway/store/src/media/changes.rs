//! What a change makes of a clip.

use super::batch::Batch;
use super::ladder::{Step, step_of};
use super::options::MediaOptions;
use super::pool::Pool;
use super::queue::Change;
use super::table::{Clip, MAX_CLIP, Place, Table};
use super::{Mark, MediaError};
use std::collections::{BTreeMap, BTreeSet};
use tillwatch_protocol::{ClipId, ClipReport, ClipRequest, ClipState, FrameKey};

/// Cameras and boots whose lost frames are remembered.
const MAX_LOST: usize = 64;

/// What readers, the writer and the reservation share.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) pool: Pool,
    pub(crate) table: Table,
    /// By camera and boot: the first and last frame that was taken and found no segment.
    lost: BTreeMap<(u8, u64), (u64, u64)>,
    /// Segments that took copies of the frames that are being thinned.
    pub(crate) copied_to: BTreeSet<u64>,
}

impl Held {
    pub(crate) fn new(pool: Pool, table: Table) -> Held {
        Held {
            pool,
            table,
            lost: BTreeMap::new(),
            copied_to: BTreeSet::new(),
        }
    }

    /// Frames that were taken will not be stored.
    pub(crate) fn lose(&mut self, frames: &[FrameKey]) {
        for key in frames {
            let range = self.lost.entry((key.camera, key.boot));
            let range = range.or_insert((key.seq, key.seq));
            *range = (range.0.min(key.seq), range.1.max(key.seq));
        }
        while self.lost.len() > MAX_LOST {
            self.lost.pop_first();
        }
    }

    fn lost_some_of(&self, report: &ClipReport) -> bool {
        report.cameras.iter().any(|track| {
            let lost = self.lost.get(&(track.camera, track.boot));
            lost.is_some_and(|(first, last)| track.first_seq <= *last && track.last_seq >= *first)
        })
    }

    /// A clip as it will be after what is in the batch.
    fn clip(&self, id: ClipId, batch: &Batch) -> Option<Clip> {
        let changed = batch.clips.iter().rev();
        let changed = changed.into_iter().find(|clip| clip.request.clip_id == id);
        changed
            .or_else(|| self.table.get(id).map(AsRef::as_ref))
            .cloned()
    }

    fn known(&self, id: ClipId, batch: &Batch) -> Result<Clip, MediaError> {
        let clip = self.clip(id, batch).ok_or(MediaError::NoSuchClip(id))?;
        match clip.dropped() {
            None => Ok(clip),
            Some(reason) => Err(MediaError::Dropped {
                clip_id: id,
                reason: reason.to_owned(),
            }),
        }
    }

    /// The clips that a change replaces, given that it is written to segment `ordinal` behind what
    /// is in the batch. Others come first when they have to make room in the table.
    pub(crate) fn change(
        &self,
        change: &Change,
        ordinal: u64,
        batch: &Batch,
        options: &MediaOptions,
    ) -> Result<Vec<Clip>, MediaError> {
        let mut clip = match change {
            Change::Commit(commit) => return self.commit(commit, ordinal, batch, options),
            Change::Mark(id, _) | Change::Hold(id, _) | Change::Drop(id, _) => {
                self.known(*id, batch)?
            }
            Change::Thin(thinned) => self.known(thinned.clip_id, batch)?,
        };
        match change {
            Change::Commit(_) => {}
            Change::Mark(_, Mark::Reviewed) => clip.reviewed = true,
            Change::Mark(_, Mark::Sent) => clip.sent = true,
            Change::Mark(_, Mark::Score(score)) => clip.request.score = *score,
            Change::Hold(_, by) => clip.held.clone_from(by),
            Change::Drop(_, step) => clip = clip.given_up(step.reason()),
            Change::Thin(thinned) => {
                for place in &mut clip.places {
                    if place.ordinal == thinned.ordinal {
                        place.thinned = true;
                    }
                }
                if thinned.moved {
                    clip.places.retain(|place| place.ordinal != thinned.ordinal);
                    // Not wherever such frames lie: what was left behind may be there still.
                    for at in self.copied_to.iter().copied().chain([ordinal]) {
                        let mut known = clip.places.iter_mut();
                        match known.find(|place| place.ordinal == at) {
                            Some(place) => place.thinned = true,
                            None => clip.places.push(Place {
                                ordinal: at,
                                pre: true,
                                thinned: true,
                            }),
                        }
                    }
                    clip.thinned = true;
                    for track in &mut clip.report.cameras {
                        if let Some((frames, bytes)) = thinned.gone.get(&track.camera) {
                            track.frames = track.frames.saturating_sub(*frames);
                            track.bytes = track.bytes.saturating_sub(*bytes);
                        }
                    }
                }
            }
        }
        Ok(vec![clip])
    }

    fn commit(
        &self,
        commit: &(ClipRequest, ClipReport),
        ordinal: u64,
        batch: &Batch,
        options: &MediaOptions,
    ) -> Result<Vec<Clip>, MediaError> {
        let (request, report) = commit;
        let id = request.clip_id;
        if report.state == ClipState::Complete && self.lost_some_of(report) {
            return Err(MediaError::FramesLost(id));
        }
        let before = self.clip(id, batch).filter(|clip| clip.dropped().is_none());
        let next = batch.clips.iter().map(|clip| clip.order + 1).max();
        let next = next.unwrap_or(0).max(self.table.next_order);
        let mut clip = Clip {
            request: request.clone(),
            report: report.clone(),
            held: before.as_ref().and_then(|clip| clip.held.clone()),
            reviewed: before.as_ref().is_some_and(|clip| clip.reviewed),
            sent: false,
            thinned: before.as_ref().is_some_and(|clip| clip.thinned),
            order: before.as_ref().map_or(next, |clip| clip.order),
            places: Vec::new(),
        };
        clip.places = self.pool.places(&clip, (ordinal, &batch.runs));
        let size = clip.encode().len();
        if size > MAX_CLIP.min(options.table_bytes() / 2) {
            return Err(MediaError::TooLong(id));
        }
        let mut clips = self.make_room(&clip, size, batch, options)?;
        clips.push(clip);
        Ok(clips)
    }

    /// Clips that go so that another one finds room in the table.
    fn make_room(
        &self,
        new: &Clip,
        size: usize,
        batch: &Batch,
        options: &MediaOptions,
    ) -> Result<Vec<Clip>, MediaError> {
        let mut after = self.table.clone();
        for clip in &batch.clips {
            after.apply(clip.clone());
        }
        let mut gone = Vec::new();
        let full = |table: &Table| {
            let more = usize::from(table.get(new.request.clip_id).is_none());
            table.bytes() + size + 4 > options.table_bytes()
                || table.len() + more > options.max_clips
        };
        while full(&after) {
            let there = after.oldest_first().filter(|clip| clip.dropped().is_none());
            let lowest = there.min_by_key(|clip| (step_of(clip), clip.order));
            let Some(lowest) = lowest.filter(|clip| clip.held.is_none()) else {
                return Err(MediaError::NoRoom);
            };
            let clip = lowest.given_up("the table of clips was full");
            after.apply(clip.clone());
            gone.push(clip);
        }
        Ok(gone)
    }

    /// Bytes of the segments that held clips need.
    pub(crate) fn held_segment_bytes(&self, more: Option<ClipId>) -> u64 {
        let held = self
            .table
            .oldest_first()
            .filter(|clip| clip.held.is_some() || Some(clip.request.clip_id) == more);
        let ordinals: BTreeSet<u64> = held
            .flat_map(|clip| clip.places.iter().map(|place| place.ordinal))
            .collect();
        let used = ordinals.iter().filter_map(|at| self.pool.used.get(at));
        used.map(|used| used.bytes).sum()
    }
}

/// Clips that went for the table's sake are told of as low scores are: they are the first to go.
pub(crate) const TABLE_STEP: Step = Step::LowScore;
