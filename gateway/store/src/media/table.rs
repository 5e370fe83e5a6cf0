//! The clips that there are. What is kept here is kept in the segments too: each begins with the
//! whole table, and every change is a record of its own.

use super::pool::Run;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tillwatch_protocol::{ClipId, ClipReport, ClipRequest, ClipState, ClipTrack};

/// First byte of the bodies; a body with another is passed over.
const VERSION: u8 = 1;
/// Longest encoding of one clip: eight cameras with all their gaps fit.
pub(crate) const MAX_CLIP: usize = 8 << 10;

/// Bytes of a table without clips: version, next order.
const TABLE_HEADER: usize = 9;

/// A part of a clip in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) ordinal: u64,
    /// Everything that the clip has there was captured before the alert's cause.
    pub(crate) pre: bool,
    /// It was thinned already.
    pub(crate) thinned: bool,
}

/// A clip as the media know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clip {
    /// What was asked for.
    pub request: ClipRequest,
    /// What is there. Of a clip that was given up the reason is left.
    pub report: ClipReport,
    /// Who wants it kept whatever happens.
    pub held: Option<String>,
    /// A person judged its alert.
    pub reviewed: bool,
    /// Head office has it.
    pub sent: bool,
    /// Of what came before the alert one frame a second is left.
    pub thinned: bool,
    /// Counts commits: what is lower is older.
    pub(crate) order: u64,
    pub(crate) places: Vec<Place>,
}

impl Clip {
    /// Why it was given up; `None` while it is there.
    #[must_use]
    pub fn dropped(&self) -> Option<&str> {
        match &self.report.state {
            ClipState::Dropped { reason } => Some(reason),
            _ => None,
        }
    }

    /// Bytes of its pictures.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.report.cameras.iter().map(|track| track.bytes).sum()
    }

    pub(crate) fn has_of(&self, run: &Run) -> bool {
        let touches = |track: &ClipTrack| {
            track.camera == run.camera
                && track.boot == run.boot
                && track.first_seq <= run.last_seq
                && track.last_seq >= run.first_seq
        };
        self.report.cameras.iter().any(touches)
    }

    /// The same clip, given up.
    pub(crate) fn given_up(&self, reason: &str) -> Clip {
        let mut clip = self.clone();
        clip.report.state = ClipState::Dropped {
            reason: reason.to_owned(),
        };
        clip.report.cameras.clear();
        clip.places.clear();
        clip
    }

    /// The body of its record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // These types always have a postcard form; an empty body is passed over when it is read.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Clip> {
        match body.split_first() {
            Some((&VERSION, rest)) => postcard::from_bytes(rest)
                .ok()
                .filter(|clip: &Clip| clip.order < ORDERS),
            _ => None,
        }
    }
}

/// Nobody has made so many clips: what says so was not written by us, and counting on would end.
const ORDERS: u64 = 1 << 63;

/// All clips.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    clips: BTreeMap<ClipId, Arc<Clip>>,
    /// Length of their encoding.
    sizes: BTreeMap<ClipId, usize>,
    /// Oldest first.
    order: BTreeSet<(u64, ClipId)>,
    /// Of them, those that were given up.
    gone: BTreeSet<(u64, ClipId)>,
    /// How many that were given up are remembered.
    pub(crate) tombstones: usize,
    pub(crate) next_order: u64,
}

impl Table {
    pub(crate) fn new(tombstones: usize) -> Table {
        Table {
            tombstones,
            next_order: 1,
            ..Table::default()
        }
    }

    /// Takes in a clip as it stands from here on. The same clips in the same order give the same
    /// table, so that a rebuilt one is the one that was lost.
    pub(crate) fn apply(&mut self, clip: Clip) {
        let id = clip.request.clip_id;
        self.next_order = self.next_order.max(clip.order + 1);
        if let Some(before) = self.clips.get(&id) {
            self.order.remove(&(before.order, id));
            self.gone.remove(&(before.order, id));
        }
        self.order.insert((clip.order, id));
        if clip.dropped().is_some() {
            self.gone.insert((clip.order, id));
        }
        self.sizes.insert(id, clip.encode().len());
        self.clips.insert(id, Arc::new(clip));
        while self.gone.len() > self.tombstones
            && let Some((order, id)) = self.gone.pop_first()
        {
            self.order.remove(&(order, id));
            self.clips.remove(&id);
            self.sizes.remove(&id);
        }
    }

    /// Length of the body of its record.
    pub(crate) fn bytes(&self) -> usize {
        TABLE_HEADER + self.sizes.values().map(|size| size + 4).sum::<usize>()
    }

    pub(crate) fn get(&self, id: ClipId) -> Option<&Arc<Clip>> {
        self.clips.get(&id)
    }

    pub(crate) fn oldest_first(&self) -> impl DoubleEndedIterator<Item = &Arc<Clip>> {
        self.order.iter().filter_map(|(_, id)| self.clips.get(id))
    }

    pub(crate) fn len(&self) -> usize {
        self.clips.len()
    }

    /// By segment, the clips that need it.
    pub(crate) fn needs(&self) -> BTreeMap<u64, Vec<&Arc<Clip>>> {
        let mut needs: BTreeMap<u64, Vec<&Arc<Clip>>> = BTreeMap::new();
        for clip in self.oldest_first() {
            for place in &clip.places {
                needs.entry(place.ordinal).or_default().push(clip);
            }
        }
        needs
    }

    /// The body of a record that holds all of it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = vec![VERSION];
        body.extend_from_slice(&self.next_order.to_le_bytes());
        for clip in self.oldest_first() {
            let clip = clip.encode();
            body.extend_from_slice(&(clip.len() as u32).to_le_bytes());
            body.extend_from_slice(&clip);
        }
        body
    }

    /// Reads such a body. What is not a clip is passed over.
    pub(crate) fn decode(body: &[u8], tombstones: usize) -> Option<Table> {
        let mut table = Table::new(tombstones);
        let (&version, mut rest) = body.split_first()?;
        if version != VERSION {
            return None;
        }
        let next_order = u64::from_le_bytes(rest.get(..8)?.try_into().ok()?);
        if next_order > ORDERS {
            return None;
        }
        rest = rest.get(8..)?;
        while !rest.is_empty() {
            let len = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize;
            if let Some(clip) = Clip::decode(rest.get(4..4 + len)?) {
                table.apply(clip);
            }
            rest = rest.get(4 + len..)?;
        }
        table.next_order = table.next_order.max(next_order);
        Some(table)
    }
}
