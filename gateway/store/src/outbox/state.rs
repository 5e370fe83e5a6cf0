//! The outbox's state in memory, apart from any input and output.

use super::{DeadLetter, OutboxRef};
use crate::error::{AppendError, StoreError};
use crate::log::{KIND_LANE_NUMBERS, RawRecord};
use crate::options::OutboxLimits;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use tillwatch_protocol::lane::OutboxFate;
use tillwatch_protocol::{Lane, LogId, Record, RecordError, Seq, Stamp};

/// Dead letters kept for showing; the oldest go first.
const MAX_DEAD_LETTERS: usize = 1_000;
const STATE_VERSION: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    seq: Seq,
    bytes: u32,
    stamp: Stamp,
    attempts: u32,
}

/// What becomes of an entry once it is durable.
#[derive(Debug)]
pub(super) enum Operation {
    /// A new entry.
    Add(OutboxRef),
    /// A copy of an entry, further on in the log.
    Move { lane: Lane, lane_seq: u64, seq: Seq },
}

impl Operation {
    fn seq(&self) -> Seq {
        match self {
            Self::Add(entry) => entry.seq,
            Self::Move { seq, .. } => *seq,
        }
    }
}

/// What became of an entry.
#[derive(Debug)]
pub(super) enum Fate {
    Acknowledged,
    Abandoned(String),
    Suspected(u32),
}

impl Fate {
    pub(super) fn of(fate: &OutboxFate) -> Fate {
        match fate {
            OutboxFate::Acknowledged => Self::Acknowledged,
            OutboxFate::Abandoned { reason } => Self::Abandoned(reason.clone()),
            OutboxFate::Suspected { attempts } => Self::Suspected(*attempts),
        }
    }
}

/// The outbox's state.
#[derive(Debug)]
pub(crate) struct State {
    /// The next number of each lane, entries not yet durable included.
    pub(super) next: [u64; 3],
    /// The same without them: this is what a state file may say.
    durable_next: [u64; 3],
    /// Position up to which `pending` reflects the log.
    applied: Seq,
    pending: [BTreeMap<u64, Entry>; 3],
    waiting: VecDeque<Operation>,
    /// Entries in `waiting`, by lane, and their bytes with those of `pending`.
    waiting_entries: [u64; 3],
    bytes: u64,
    dead: VecDeque<DeadLetter>,
}

impl Default for State {
    fn default() -> Self {
        State {
            next: [1; 3],
            durable_next: [1; 3],
            applied: Seq(0),
            pending: Default::default(),
            waiting: VecDeque::new(),
            waiting_entries: [0; 3],
            bytes: 0,
            dead: VecDeque::new(),
        }
    }
}

impl State {
    pub(super) fn pending(&self, lane: Lane, after: u64, max: usize) -> Vec<OutboxRef> {
        let entries = self.pending[lane.index()].range(after.saturating_add(1)..);
        entries
            .take(max)
            .map(|(lane_seq, entry)| entry.reference(lane, *lane_seq))
            .collect()
    }

    /// Where a pending entry lies.
    pub(super) fn place(&self, lane: Lane, lane_seq: u64) -> Option<Seq> {
        self.pending[lane.index()]
            .get(&lane_seq)
            .map(|entry| entry.seq)
    }

    pub(super) fn attempts(&self, lane: Lane, lane_seq: u64) -> u32 {
        self.pending[lane.index()]
            .get(&lane_seq)
            .map_or(0, |entry| entry.attempts)
    }

    pub(super) fn depth(&self) -> [u64; 3] {
        Lane::ALL.map(|lane| {
            self.pending[lane.index()].len() as u64 + self.waiting_entries[lane.index()]
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn oldest(&self) -> Option<Stamp> {
        let firsts = self
            .pending
            .iter()
            .filter_map(|lane| lane.first_key_value());
        firsts
            .map(|(_, entry)| entry.stamp)
            .min_by_key(|stamp| (stamp.boot, stamp.monotonic_ns))
    }

    pub(super) fn dead_letters(&self) -> Vec<DeadLetter> {
        self.dead.iter().cloned().collect()
    }

    pub(crate) fn applied(&self) -> Seq {
        self.applied
    }

    /// Pending entries between two positions, in log order.
    pub(super) fn between(&self, first: Seq, last: Seq) -> Vec<OutboxRef> {
        let mut found = Vec::new();
        for lane in Lane::ALL {
            let entries = self.pending[lane.index()].iter();
            let within = entries.filter(|(_, entry)| entry.seq >= first && entry.seq <= last);
            found.extend(within.map(|(lane_seq, entry)| entry.reference(lane, *lane_seq)));
        }
        found.sort_by_key(|entry| entry.seq);
        found
    }

    /// Which bulk entries must go so that `added` fits; refuses when that is not enough. The
    /// reserve is for the urgent lane alone, in entries and, in proportion, in bytes.
    pub(super) fn make_room(
        &self,
        limits: &OutboxLimits,
        added: &[OutboxRef],
    ) -> Result<Vec<(Lane, u64)>, AppendError> {
        // The most urgent of a group decides: an alert takes what comes with it along.
        let Some(lane) = added.iter().map(|entry| entry.lane).min() else {
            return Ok(Vec::new());
        };
        let reserve = limits.alert_reserve.min(limits.max_entries);
        let reserved_bytes = limits.max_bytes / limits.max_entries.max(1) * reserve;
        let (most, most_bytes) = match lane {
            Lane::Urgent => (limits.max_entries, limits.max_bytes),
            _ => (
                limits.max_entries - reserve,
                limits.max_bytes - reserved_bytes,
            ),
        };
        let depth: u64 = self.depth().iter().sum();
        let urgent = self.depth()[Lane::Urgent.index()].min(reserve);
        let counted = if lane == Lane::Urgent {
            depth
        } else {
            depth - urgent
        };
        let mut over = (counted + added.len() as u64).saturating_sub(most);
        let added_bytes: u64 = added.iter().map(|entry| u64::from(entry.bytes)).sum();
        let mut over_bytes = (self.bytes + added_bytes).saturating_sub(most_bytes);
        let mut gone = Vec::new();
        for (lane_seq, entry) in &self.pending[Lane::Bulk.index()] {
            if over == 0 && over_bytes == 0 {
                break;
            }
            over = over.saturating_sub(1);
            over_bytes = over_bytes.saturating_sub(u64::from(entry.bytes));
            gone.push((Lane::Bulk, *lane_seq));
        }
        if over > 0 || over_bytes > 0 {
            Err(AppendError::OutboxFull { lane })
        } else {
            Ok(gone)
        }
    }

    /// Notes what was appended and waits to become durable.
    pub(super) fn begin(&mut self, operation: Operation) {
        if let Operation::Add(entry) = &operation {
            self.waiting_entries[entry.lane.index()] += 1;
            self.bytes += u64::from(entry.bytes);
        }
        self.waiting.push_back(operation);
    }

    /// Everything up to `seq` is durable; true when entries became pending.
    pub(super) fn durable(&mut self, seq: Seq) -> bool {
        let mut any = false;
        while self
            .waiting
            .front()
            .is_some_and(|operation| operation.seq() <= seq)
        {
            match self.waiting.pop_front() {
                Some(Operation::Add(entry)) => {
                    let lane = entry.lane.index();
                    self.waiting_entries[lane] -= 1;
                    self.durable_next[lane] = entry.lane_seq + 1;
                    self.pending[lane].insert(entry.lane_seq, Entry::of(&entry));
                    any = true;
                }
                Some(Operation::Move {
                    lane,
                    lane_seq,
                    seq,
                }) => self.relocate(lane, lane_seq, seq),
                None => {}
            }
        }
        self.applied = self.applied.max(seq);
        any
    }

    fn relocate(&mut self, lane: Lane, lane_seq: u64, seq: Seq) {
        if let Some(entry) = self.pending[lane.index()].get_mut(&lane_seq) {
            entry.seq = entry.seq.max(seq);
        }
    }

    /// Applies what became of an entry; false when it is not pending.
    pub(super) fn settle(&mut self, lane: Lane, lane_seq: u64, fate: &Fate) -> bool {
        let pending = &mut self.pending[lane.index()];
        if let Fate::Suspected(attempts) = fate {
            return pending
                .get_mut(&lane_seq)
                .map(|entry| entry.attempts = *attempts)
                .is_some();
        }
        let Some(entry) = pending.remove(&lane_seq) else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(u64::from(entry.bytes));
        if let Fate::Abandoned(reason) = fate {
            self.bury(DeadLetter {
                lane,
                lane_seq,
                seq: entry.seq,
                reason: reason.clone(),
            });
        }
        true
    }

    fn bury(&mut self, letter: DeadLetter) {
        while self.dead.len() >= MAX_DEAD_LETTERS {
            self.dead.pop_front();
        }
        self.dead.push_back(letter);
    }

    /// Applies a record of the log while opening.
    pub(super) fn replay(&mut self, raw: &RawRecord<'_>) -> Result<(), RecordError> {
        let seq = Seq(raw.seq);
        self.applied = seq;
        if raw.kind == KIND_LANE_NUMBERS && raw.version == 1 {
            for (next, bytes) in self.next.iter_mut().zip(raw.body.chunks_exact(8)) {
                let number = bytes.try_into().map(u64::from_le_bytes).unwrap_or(0);
                *next = (*next).max(number);
            }
            return Ok(());
        }
        // Only these two types are decoded: the rest of the log is other people's.
        if !matches!(raw.kind, 6 | 7) {
            return Ok(());
        }
        match Record::decode(seq, raw.kind, raw.version, raw.body)? {
            Record::Outbox(entry) => {
                // An entry that is in the log here was pending here: copies are made under the
                // lock that settles entries.
                let next = &mut self.next[entry.lane.index()];
                *next = (*next).max(entry.lane_seq + 1);
                let entries = &mut self.pending[entry.lane.index()];
                match entries.get_mut(&entry.lane_seq) {
                    Some(held) => held.seq = seq,
                    None => {
                        let (bytes, stamp) = (raw.size, entry.stamp);
                        self.bytes += u64::from(bytes);
                        entries.insert(
                            entry.lane_seq,
                            Entry {
                                seq,
                                bytes,
                                stamp,
                                attempts: 0,
                            },
                        );
                    }
                }
            }
            Record::OutboxMark(mark) => {
                self.settle(mark.lane, mark.lane_seq, &Fate::of(&mark.fate));
            }
            _ => {}
        }
        Ok(())
    }

    /// Replaying is done: the log reaches up to `last`. Entries that it does not hold were lost
    /// with a damaged part of it.
    pub(super) fn replayed(&mut self, last: Seq, holds: impl Fn(Seq) -> bool) {
        self.applied = last;
        self.durable_next = self.next;
        for lane in Lane::ALL {
            let entries = self.pending[lane.index()].iter();
            let lost: Vec<u64> = entries
                .filter(|(_, entry)| !holds(entry.seq))
                .map(|(lane_seq, _)| *lane_seq)
                .collect();
            for lane_seq in lost {
                let reason = "lost with a damaged part of the log".to_owned();
                self.settle(lane, lane_seq, &Fate::Abandoned(reason));
            }
        }
    }

    pub(super) fn encode(&self, log_id: LogId) -> Result<(Seq, Vec<u8>), StoreError> {
        let file = StateFile {
            log_id,
            applied: self.applied,
            next: self.durable_next,
            pending: self.pending.clone(),
            dead: self
                .dead
                .iter()
                .map(|d| (d.lane, d.lane_seq, d.seq, d.reason.clone()))
                .collect(),
        };
        let body = postcard::to_extend(&file, vec![STATE_VERSION]);
        let body = body.map_err(|why| unreadable(&why.to_string()))?;
        Ok((self.applied, body))
    }

    /// Reads a state file's body; an error when it is of another log or version.
    pub(crate) fn decode(body: &[u8], log_id: LogId) -> Result<State, StoreError> {
        let Some((&STATE_VERSION, body)) = body.split_first() else {
            return Err(unreadable("its version is not known"));
        };
        let file: StateFile =
            postcard::from_bytes(body).map_err(|why| unreadable(&why.to_string()))?;
        if file.log_id != log_id {
            return Err(unreadable("it belongs to another log"));
        }
        let bytes = file
            .pending
            .iter()
            .flat_map(BTreeMap::values)
            .map(|entry| u64::from(entry.bytes))
            .sum();
        let dead = file.dead.into_iter();
        Ok(State {
            next: file.next,
            durable_next: file.next,
            applied: file.applied,
            pending: file.pending,
            bytes,
            dead: dead
                .map(|(lane, lane_seq, seq, reason)| DeadLetter {
                    lane,
                    lane_seq,
                    seq,
                    reason,
                })
                .collect(),
            ..State::default()
        })
    }
}

fn unreadable(why: &str) -> StoreError {
    StoreError::StateFile {
        path: PathBuf::from("outbox.state"),
        why: why.to_owned(),
    }
}

impl Entry {
    fn of(entry: &OutboxRef) -> Entry {
        Entry {
            seq: entry.seq,
            bytes: entry.bytes,
            stamp: entry.stamp,
            attempts: entry.attempts,
        }
    }

    fn reference(&self, lane: Lane, lane_seq: u64) -> OutboxRef {
        let Entry {
            seq,
            bytes,
            stamp,
            attempts,
        } = *self;
        OutboxRef {
            lane,
            lane_seq,
            seq,
            bytes,
            stamp,
            attempts,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    log_id: LogId,
    applied: Seq,
    next: [u64; 3],
    pending: [BTreeMap<u64, Entry>; 3],
    dead: Vec<(Lane, u64, Seq, String)>,
}
