//! Which segments there are, what they hold, and who needs them.

use super::format::Entry;
use super::table::{Clip, Place};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillwatch_protocol::{ClipId, FrameKey};

/// Largest distance of frame numbers within a run.
const MAX_JUMP: u64 = 64;

/// Frames of one camera that lie close together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) camera: u8,
    pub(crate) frames: u32,
    pub(crate) boot: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
}

impl Run {
    fn of(key: FrameKey, ns: u64) -> Run {
        Run {
            camera: key.camera,
            frames: 1,
            boot: key.boot,
            first_seq: key.seq,
            last_seq: key.seq,
            first_ns: ns,
            last_ns: ns,
        }
    }

    fn takes(&self, key: FrameKey) -> bool {
        let near = self.first_seq.saturating_sub(MAX_JUMP)..=self.last_seq.saturating_add(MAX_JUMP);
        self.camera == key.camera && self.boot == key.boot && near.contains(&key.seq)
    }

    fn touches_time(&self, boot: u64, from_ns: u64, to_ns: u64) -> bool {
        self.boot == boot && self.first_ns <= to_ns && self.last_ns >= from_ns
    }
}

/// Adds a frame to runs.
pub(crate) fn add_to_runs(runs: &mut Vec<Run>, key: FrameKey, ns: u64) {
    match runs.iter_mut().rev().find(|run| run.takes(key)) {
        Some(run) => {
            run.frames = run.frames.saturating_add(1);
            run.first_seq = run.first_seq.min(key.seq);
            run.last_seq = run.last_seq.max(key.seq);
            run.first_ns = run.first_ns.min(ns);
            run.last_ns = run.last_ns.max(ns);
        }
        None => runs.push(Run::of(key, ns)),
    }
}

/// A segment that holds records.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    pub(crate) slot: u32,
    pub(crate) salt: u32,
    pub(crate) bytes: u64,
    pub(crate) runs: Vec<Run>,
    /// What lies where, while there is no index on the disk.
    pub(crate) entries: Vec<Entry>,
    /// Where the index begins, in a sealed one.
    pub(crate) index_at: Option<u32>,
    /// When its newest frame was written, since the opening.
    pub(crate) written: Duration,
    /// A write or sync of it failed: not written on.
    pub(crate) suspect: bool,
}

/// Footage that is being recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) boot: u64,
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
}

/// A reader's segments.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) ordinals: BTreeSet<u64>,
    pub(crate) since: Duration,
}

/// All segments, with who needs them.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) dir: PathBuf,
    /// By ordinal.
    pub(crate) used: BTreeMap<u64, Used>,
    /// Files that hold nothing that is needed.
    pub(crate) free: VecDeque<u32>,
    /// Files on the way from one to the other.
    pub(crate) busy: BTreeSet<u32>,
    pub(crate) next_ordinal: u64,
    /// The one being written.
    pub(crate) current: Option<u64>,
    pub(crate) claims: BTreeMap<ClipId, Claim>,
    pub(crate) pins: BTreeMap<u64, Pinned>,
    pub(crate) next_pin: u64,
}

impl Pool {
    /// Files that there are.
    pub(crate) fn files(&self) -> u64 {
        (self.used.len() + self.free.len() + self.busy.len()) as u64
    }

    /// The lowest number that no file has.
    pub(crate) fn next_slot(&self) -> u32 {
        let mut held: BTreeSet<u32> = self.used.values().map(|used| used.slot).collect();
        held.extend(self.free.iter().chain(&self.busy));
        (0..).find(|slot| !held.contains(slot)).unwrap_or(u32::MAX)
    }

    pub(crate) fn path(&self, slot: u32) -> PathBuf {
        slot_path(&self.dir, slot)
    }

    /// Whether somebody reads a segment, whose patience is not over.
    pub(crate) fn pinned(&self, ordinal: u64, now: Duration, pin_for: Duration) -> bool {
        self.pins
            .values()
            .any(|pin| pin.ordinals.contains(&ordinal) && now.saturating_sub(pin.since) < pin_for)
    }

    pub(crate) fn claimed(&self, used: &Used) -> bool {
        self.claims.values().any(|claim| {
            let touches = |run: &Run| run.touches_time(claim.boot, claim.from_ns, claim.to_ns);
            used.runs.iter().any(touches)
        })
    }

    /// Segments that hold frames of a time.
    pub(crate) fn of_time(&self, boot: u64, from_ns: u64, to_ns: u64) -> BTreeSet<u64> {
        let touches = |used: &Used| {
            let mut runs = used.runs.iter();
            runs.any(|run| run.touches_time(boot, from_ns, to_ns))
        };
        let touched = self.used.iter().filter(|(_, used)| touches(used));
        touched.map(|(ordinal, _)| *ordinal).collect()
    }

    /// Where the frames of a clip lie. `more` is what is about to be written to the segment with
    /// that ordinal.
    pub(crate) fn places(&self, clip: &Clip, more: (u64, &[Run])) -> Vec<Place> {
        let mut places = Vec::new();
        let known = self
            .used
            .iter()
            .map(|(at, used)| (*at, used.runs.as_slice()));
        for (ordinal, runs) in known.chain([more]) {
            let here = runs.iter().filter(|run| clip.has_of(run));
            // Not of this cause's boot: nothing is known of before and after.
            let pre = |run: &Run| {
                run.boot == clip.request.cause.boot && run.last_ns < clip.request.cause.monotonic_ns
            };
            let found = here.map(pre).reduce(|all, one| all && one);
            let Some(pre) = found else { continue };
            match places
                .iter_mut()
                .find(|place: &&mut Place| place.ordinal == ordinal)
            {
                Some(place) => place.pre &= pre,
                None => places.push(Place {
                    ordinal,
                    pre,
                    thinned: false,
                }),
            }
        }
        places
    }

    /// The highest frame of each camera.
    pub(crate) fn newest(&self) -> BTreeMap<u8, FrameKey> {
        let mut newest: BTreeMap<u8, FrameKey> = BTreeMap::new();
        for run in self.used.values().flat_map(|used| &used.runs) {
            let (camera, boot, seq) = (run.camera, run.boot, run.last_seq);
            let key = FrameKey { camera, boot, seq };
            let held = newest.entry(camera).or_insert(key);
            *held = key.max(*held);
        }
        newest
    }
}

pub(crate) fn slot_path(dir: &Path, slot: u32) -> PathBuf {
    dir.join(format!("{slot:05}.vid"))
}

pub(crate) fn slot_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".vid")?;
    (digits.len() == 5).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(camera: u8, seq: u64) -> FrameKey {
        FrameKey {
            camera,
            boot: 1,
            seq,
        }
    }

    #[test]
    fn frames_of_two_cameras_become_two_runs_and_a_pause_begins_another() {
        let mut runs = Vec::new();
        for seq in 1..=100 {
            add_to_runs(&mut runs, key(0, seq), seq * 10);
            add_to_runs(&mut runs, key(1, seq), seq * 10);
        }
        add_to_runs(&mut runs, key(0, 100 + MAX_JUMP + 1), 9_000);
        let told: Vec<_> = runs
            .iter()
            .map(|run| (run.camera, run.first_seq, run.last_seq, run.frames))
            .collect();
        assert_eq!(told, [(0, 1, 100, 100), (1, 1, 100, 100), (0, 165, 165, 1)]);
    }
}
