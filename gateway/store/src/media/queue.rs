//! What waits for the disk, within bounds.

use super::error::{MediaError, MediaFull, Refusal};
use super::{Commit, Mark, Step, StoredFrame};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;
use tillwatch_protocol::{ClipId, ClipReport, ClipRequest};
use tokio::sync::oneshot;

/// Most changes of clips that wait.
const MAX_CHANGES: usize = 1_024;

/// A change of one clip.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// It is there now.
    Commit(Box<(ClipRequest, ClipReport)>),
    /// What people and head office say of it.
    Mark(ClipId, Mark),
    /// Somebody wants it kept, or no longer.
    Hold(ClipId, Option<String>),
    /// It goes.
    Drop(ClipId, Step),
    /// What it has in this segment was copied forward, as far as it stays.
    Thin(Box<Thinned>),
}

/// What becomes of a clip's part in one segment.
#[derive(Debug, Clone)]
pub(crate) struct Thinned {
    pub(crate) clip_id: ClipId,
    pub(crate) ordinal: u64,
    /// Copies were made; otherwise there was nothing to gain, and it stays where it is.
    pub(crate) moved: bool,
    /// By camera: frames and bytes that are not there any more.
    pub(crate) gone: BTreeMap<u8, (u32, u64)>,
}

impl Change {
    pub(crate) fn clip_id(&self) -> ClipId {
        match self {
            Self::Commit(clip) => clip.0.clip_id,
            Self::Mark(id, _) | Self::Hold(id, _) | Self::Drop(id, _) => *id,
            Self::Thin(thinned) => thinned.clip_id,
        }
    }
}

pub(crate) type Done = oneshot::Sender<Result<(), MediaError>>;

/// Something for the writer, in order.
#[derive(Debug)]
pub(crate) enum Item {
    Frame(StoredFrame),
    /// A frame that is stored already and moves.
    Copy(StoredFrame),
    Change(Change, Option<Done>),
}

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    items: VecDeque<Item>,
    /// Bytes of the pictures that wait.
    bytes: usize,
    /// Bytes of the pictures that the writer has.
    pub(crate) in_flight: usize,
    changes: usize,
    /// When the oldest of it came.
    pub(crate) since: Option<Instant>,
    pub(crate) urgent: bool,
    pub(crate) closing: bool,
    /// The last frame taken, by camera.
    last: BTreeMap<u8, (u64, u64)>,
    /// Frames taken since the opening.
    taken: u64,
}

impl Queue {
    /// After these, per camera, the next frames come.
    pub(crate) fn new(last: BTreeMap<u8, (u64, u64)>) -> Queue {
        Queue {
            last,
            ..Queue::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn waiting(&self) -> usize {
        self.bytes + self.in_flight
    }

    pub(crate) fn last_of(&self, camera: u8) -> Option<(u64, u64)> {
        self.last.get(&camera).copied()
    }

    pub(crate) fn put(
        &mut self,
        frame: StoredFrame,
        late: bool,
        most_bytes: usize,
        max_frame: usize,
    ) -> Result<u64, Box<MediaFull>> {
        let number = (frame.key.boot, frame.key.seq);
        let why = if self.closing {
            Refusal::Closed
        } else if frame.jpeg.is_empty() || frame.jpeg.len() > max_frame {
            Refusal::Size
        } else if !late
            && self
                .last_of(frame.key.camera)
                .is_some_and(|last| last >= number)
        {
            Refusal::Order
        } else if self.waiting() + frame.jpeg.len() > most_bytes {
            Refusal::Queue
        } else {
            let last = self.last.entry(frame.key.camera).or_insert(number);
            *last = number.max(*last);
            self.taken += 1;
            self.bytes += frame.jpeg.len();
            self.since.get_or_insert_with(Instant::now);
            self.items.push_back(Item::Frame(frame));
            return Ok(self.taken);
        };
        Err(Box::new(MediaFull { frame, why }))
    }

    pub(crate) fn change(&mut self, change: Change, urgent: bool) -> Result<Commit, MediaError> {
        if self.closing {
            return Err(MediaError::Closed);
        }
        if self.changes >= MAX_CHANGES {
            return Err(MediaError::Busy(self.changes));
        }
        let (done, commit) = oneshot::channel();
        self.changes += 1;
        self.urgent |= urgent;
        self.since.get_or_insert_with(Instant::now);
        self.items.push_back(Item::Change(change, Some(done)));
        Ok(Commit(commit))
    }

    /// Takes what comes first, up to so many bytes of pictures, at least one item.
    pub(crate) fn take(&mut self, most: usize) -> VecDeque<Item> {
        let mut taken = VecDeque::new();
        let mut bytes = 0;
        while let Some(item) = self.items.front() {
            let len = match item {
                Item::Frame(frame) | Item::Copy(frame) => frame.jpeg.len(),
                Item::Change(..) => 0,
            };
            if bytes + len > most && !taken.is_empty() {
                break;
            }
            bytes += len;
            if len == 0 {
                self.changes = self.changes.saturating_sub(1);
            }
            taken.extend(self.items.pop_front());
        }
        self.bytes -= bytes;
        self.in_flight = bytes;
        if self.items.is_empty() {
            self.urgent = false;
            self.since = None;
        } else {
            // What is left has waited as long as what was taken.
            self.since.get_or_insert_with(Instant::now);
        }
        taken
    }
}
