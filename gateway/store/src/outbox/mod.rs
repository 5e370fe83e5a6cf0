//! The outbox: messages accepted for head office, and what became of them.
//!
//! An entry is a record of the log; its state is kept in memory, bounded, and is what the log says:
//! `outbox.state` (an atomic file) has it as of one log position, opening replays the log from
//! there. Without that file the whole log is replayed.
//!
//! Numbers of a lane are taken under the append lock and become used only together with their
//! entry. An entry that a power cut takes before it was durable takes its number back with it, so
//! numbers are gapless, and one that was durable is never given again with other content.

mod state;

pub(crate) use state::State;

use crate::error::{AppendError, StoreError};
use crate::log::{KIND_LANE_NUMBERS, LogInner, RawScan, SeqRange, Urgency, read};
use crate::options::OutboxLimits;
use crate::usage::Counters;
use state::{Fate, Operation};
use std::sync::{Arc, Mutex};
use tillwatch_protocol::lane::{OutboxFate, OutboxMark};
use tillwatch_protocol::{Lane, OutboxEntry, Record, Seq, Stamp};
use tokio::sync::watch;

/// Entries copied forward in one atomic group at most.
const FORWARD_AT_ONCE: usize = 16;
/// Pause before another try while the log is full.
const FORWARD_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
const TRIMMED: &str = "outbox full: the oldest bulk message made room";

/// Where a pending outbox entry lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRef {
    /// Its lane.
    pub lane: Lane,
    /// Its number in that lane.
    pub lane_seq: u64,
    /// Its position in the log. It changes when the entry is copied forward.
    pub seq: Seq,
    /// Bytes of its record in the log: payload, topic and header.
    pub bytes: u32,
    /// When it was accepted.
    pub stamp: Stamp,
    /// How often the connection broke with it as the oldest in flight.
    pub attempts: u32,
}

/// An entry that will never be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its lane.
    pub lane: Lane,
    /// Its number in that lane.
    pub lane_seq: u64,
    /// Where it lay in the log when it was given up.
    pub seq: Seq,
    /// Why.
    pub reason: String,
}

/// Numbers for records that are being built under the append lock.
#[derive(Debug)]
pub struct Numbers {
    first_seq: Seq,
    next: [u64; 3],
}

impl Numbers {
    /// Takes the next number of a lane.
    pub fn next(&mut self, lane: Lane) -> u64 {
        let slot = &mut self.next[lane.index()];
        let number = *slot;
        *slot += 1;
        number
    }

    /// The position that the first record will have.
    #[must_use]
    pub fn first_seq(&self) -> Seq {
        self.first_seq
    }
}

/// The messages accepted for head office.
#[derive(Debug)]
pub struct Outbox {
    log: Arc<LogInner>,
    limits: OutboxLimits,
    counters: Arc<Counters>,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

impl Outbox {
    pub(crate) fn new(
        log: Arc<LogInner>,
        limits: OutboxLimits,
        state: State,
        counters: Arc<Counters>,
    ) -> Outbox {
        Outbox {
            log,
            limits,
            counters,
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
        }
    }

    /// Durable entries of a lane that are not acknowledged, with numbers above `after`, in order,
    /// at most `max`.
    #[must_use]
    pub fn pending(&self, lane: Lane, after: u64, max: usize) -> Vec<OutboxRef> {
        crate::lock(&self.state).pending(lane, after, max)
    }

    /// Reads an entry, wherever it lies now. A bounded blocking read.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEntry`] when it is not pending any more and its segment was recycled,
    /// [`StoreError::Damaged`] when it cannot be read.
    pub fn entry(&self, r: &OutboxRef) -> Result<OutboxEntry, StoreError> {
        let place = || crate::lock(&self.state).place(r.lane, r.lane_seq);
        let mut seq = place().unwrap_or(r.seq);
        loop {
            let read = self.entry_at(seq, r.lane, r.lane_seq);
            // Copied forward, and its segment recycled, between the look and the read. A copy is
            // further on in the log, so this ends.
            match place() {
                Some(now) if read.is_err() && now > seq => seq = now,
                _ => return read,
            }
        }
    }

    fn entry_at(&self, seq: Seq, lane: Lane, lane_seq: u64) -> Result<OutboxEntry, StoreError> {
        match read(&self.log, seq)? {
            Some(Record::Outbox(entry)) if entry.lane == lane && entry.lane_seq == lane_seq => {
                Ok(entry)
            }
            _ => Err(StoreError::NoSuchEntry {
                lane,
                lane_seq,
                seq,
            }),
        }
    }

    /// Ticks whenever entries became durable and pending.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The broker said Success for exactly this entry. It leaves the pending ones at once; the mark
    /// goes into the log with the next group. A mark lost to a power cut, or to a log that takes
    /// nothing at the moment, causes a resend after the next start and nothing else.
    ///
    /// # Errors
    /// [`AppendError::Closed`] after the store was closed.
    pub fn acknowledge(&self, lane: Lane, lane_seq: u64) -> Result<(), AppendError> {
        let mut state = crate::lock(&self.state);
        if !state.settle(lane, lane_seq, &Fate::Acknowledged) {
            return Ok(());
        }
        match self.mark(lane, lane_seq, OutboxFate::Acknowledged, Urgency::Normal) {
            Err(AppendError::Full { .. }) => Ok(()),
            other => other,
        }
    }

    /// The entry will never be sent. Becomes a [`DeadLetter`].
    ///
    /// # Errors
    /// [`AppendError`] when the log does not take it; then the entry stays pending.
    pub fn abandon(&self, lane: Lane, lane_seq: u64, reason: &str) -> Result<(), AppendError> {
        let mut state = crate::lock(&self.state);
        if state.place(lane, lane_seq).is_none() {
            return Ok(());
        }
        let fate = OutboxFate::Abandoned {
            reason: reason.to_owned(),
        };
        self.mark(lane, lane_seq, fate, Urgency::Normal)?;
        state.settle(lane, lane_seq, &Fate::Abandoned(reason.to_owned()));
        Ok(())
    }

    /// The connection broke `attempts` times with this entry as the oldest in flight.
    ///
    /// # Errors
    /// [`AppendError`] when the log does not take it.
    pub fn suspect(&self, lane: Lane, lane_seq: u64, attempts: u32) -> Result<(), AppendError> {
        let mut state = crate::lock(&self.state);
        if state.place(lane, lane_seq).is_none() {
            return Ok(());
        }
        self.mark(
            lane,
            lane_seq,
            OutboxFate::Suspected { attempts },
            Urgency::Now,
        )?;
        state.settle(lane, lane_seq, &Fate::Suspected(attempts));
        Ok(())
    }

    fn mark(
        &self,
        lane: Lane,
        lane_seq: u64,
        fate: OutboxFate,
        urgency: Urgency,
    ) -> Result<(), AppendError> {
        let mut group = self.log.begin()?;
        group.add(&Record::OutboxMark(OutboxMark {
            lane,
            lane_seq,
            fate,
        }))?;
        group.finish(urgency).map(|_| ())
    }

    /// Entries not acknowledged, by [`Lane::index`], those not yet durable included.
    #[must_use]
    pub fn depth(&self) -> [u64; 3] {
        crate::lock(&self.state).depth()
    }

    /// Bytes of the entries that are not acknowledged.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        crate::lock(&self.state).bytes()
    }

    /// When the oldest pending entry was accepted.
    #[must_use]
    pub fn oldest(&self) -> Option<Stamp> {
        crate::lock(&self.state).oldest()
    }

    /// Entries that will never be sent, oldest first; the newest 1,000 are kept.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        crate::lock(&self.state).dead_letters()
    }

    /// The numbers that the next entries will get, by [`Lane::index`].
    #[must_use]
    pub fn next_numbers(&self) -> [u64; 3] {
        crate::lock(&self.state).next
    }

    /// Appends records of which some are outbox entries or marks.
    pub(crate) fn append(
        &self,
        records: &[Record],
        urgency: Urgency,
    ) -> Result<SeqRange, AppendError> {
        let mut state = crate::lock(&self.state);
        self.append_locked(&mut state, None, records, urgency)
    }

    /// Appends records that are built under the lock.
    pub(crate) fn append_with<F>(&self, urgency: Urgency, build: F) -> Result<SeqRange, AppendError>
    where
        F: FnOnce(&mut Numbers) -> Vec<Record>,
    {
        let mut state = crate::lock(&self.state);
        // The append lock is held while the closure runs, so that the position stays true.
        let group = self.log.begin()?;
        let mut numbers = Numbers {
            first_seq: Seq(group.next_seq()),
            next: state.next,
        };
        let records = build(&mut numbers);
        for lane in Lane::ALL {
            let entries = records
                .iter()
                .filter(|record| matches!(record, Record::Outbox(e) if e.lane == lane));
            let expected = state.next[lane.index()] + entries.count() as u64;
            let got = numbers.next[lane.index()];
            if got != expected {
                return Err(AppendError::Number {
                    lane,
                    expected,
                    got,
                });
            }
        }
        self.append_locked(&mut state, Some(group), &records, urgency)
    }

    fn append_locked(
        &self,
        state: &mut State,
        group: Option<crate::log::Appender<'_>>,
        records: &[Record],
        urgency: Urgency,
    ) -> Result<SeqRange, AppendError> {
        let mut group = match group {
            Some(group) => group,
            None => self.log.begin()?,
        };
        let mut next = state.next;
        let mut added = Vec::new();
        let mut fates = Vec::new();
        for record in records {
            let seq = Seq(group.next_seq());
            let size = group.add(record)?;
            match record {
                Record::Outbox(entry) => {
                    let expected = &mut next[entry.lane.index()];
                    if entry.lane_seq != *expected {
                        let (lane, expected, got) = (entry.lane, *expected, entry.lane_seq);
                        return Err(AppendError::Number {
                            lane,
                            expected,
                            got,
                        });
                    }
                    *expected += 1;
                    added.push(OutboxRef {
                        lane: entry.lane,
                        lane_seq: entry.lane_seq,
                        seq,
                        // A record is at most 1 MiB and its header.
                        bytes: size as u32,
                        stamp: entry.stamp,
                        attempts: 0,
                    });
                }
                Record::OutboxMark(mark) => {
                    fates.push((mark.lane, mark.lane_seq, Fate::of(&mark.fate)))
                }
                _ => {}
            }
        }
        for (lane, lane_seq) in state.make_room(&self.limits, &added)? {
            let fate = OutboxFate::Abandoned {
                reason: TRIMMED.to_owned(),
            };
            group.add(&Record::OutboxMark(OutboxMark {
                lane,
                lane_seq,
                fate,
            }))?;
            fates.push((lane, lane_seq, Fate::Abandoned(TRIMMED.to_owned())));
            self.counters.outbox_trimmed.add(1);
        }
        let range = group.finish(urgency)?;
        state.next = next;
        for entry in added {
            state.begin(Operation::Add(entry));
        }
        for (lane, lane_seq, fate) in &fates {
            state.settle(*lane, *lane_seq, fate);
        }
        Ok(range)
    }

    /// Everything up to `seq` is durable: entries among it become pending.
    pub(crate) fn durable(&self, seq: Seq) {
        if crate::lock(&self.state).durable(seq) {
            self.changed.send_modify(|tick| *tick += 1);
        }
    }

    /// Appends the lanes' next numbers.
    pub(crate) fn append_numbers(&self) -> Result<SeqRange, AppendError> {
        let state = crate::lock(&self.state);
        let mut body = [0; 24];
        for (slot, number) in body.chunks_exact_mut(8).zip(state.next) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        let mut group = self.log.begin()?;
        group.add_raw(KIND_LANE_NUMBERS, 1, &body)?;
        group.finish(Urgency::Now)
    }

    /// Copies what is still owed between two positions to the end of the log, with the lanes' next
    /// numbers, and waits until the copies are durable. False when the log was closed meanwhile.
    pub(crate) fn copy_forward(&self, first: u64, last: u64) -> Result<bool, StoreError> {
        let owed = crate::lock(&self.state).between(Seq(first), Seq(last));
        for some in owed.chunks(FORWARD_AT_ONCE) {
            for r in some {
                if !self.copy_one(r)? {
                    return Ok(false);
                }
            }
        }
        let Some(range) = self.keep_trying(|| self.append_numbers().map(Some)) else {
            return Ok(false);
        };
        let Some(range) = range else { return Ok(true) };
        while self.log.through() < range.last.0 {
            if self.log.stopped() {
                return Ok(false);
            }
            self.log.wait_above(range.last.0 - 1, FORWARD_PAUSE);
        }
        Ok(true)
    }

    fn copy_one(&self, r: &OutboxRef) -> Result<bool, StoreError> {
        let entry = match self.entry_at(r.seq, r.lane, r.lane_seq) {
            Ok(entry) => entry,
            Err(error @ StoreError::Io { .. }) => return Err(error),
            Err(error) => {
                tracing::error!(%error, lane = r.lane.word(), lane_seq = r.lane_seq, "outbox entry lost");
                let reason = format!("it can no longer be read: {error}");
                let given_up =
                    self.keep_trying(|| self.abandon(r.lane, r.lane_seq, &reason).map(Some));
                return Ok(given_up.is_some());
            }
        };
        let copied = self.keep_trying(|| {
            let mut state = crate::lock(&self.state);
            if state.place(r.lane, r.lane_seq) != Some(r.seq) {
                return Ok(None);
            }
            let mut group = self.log.begin()?;
            let seq = Seq(group.next_seq());
            group.add(&Record::Outbox(entry.clone()))?;
            let attempts = state.attempts(r.lane, r.lane_seq);
            if attempts > 0 {
                let fate = OutboxFate::Suspected { attempts };
                group.add(&Record::OutboxMark(OutboxMark {
                    lane: r.lane,
                    lane_seq: r.lane_seq,
                    fate,
                }))?;
            }
            group.finish(Urgency::Normal)?;
            state.begin(Operation::Move {
                lane: r.lane,
                lane_seq: r.lane_seq,
                seq,
            });
            Ok(Some(()))
        });
        if copied.flatten().is_some() {
            self.counters.copied_forward.add(1);
        }
        Ok(copied.is_some())
    }

    /// Tries until the log takes it; `None` when the log was closed or refuses for good.
    fn keep_trying<T>(&self, mut attempt: impl FnMut() -> Result<T, AppendError>) -> Option<T> {
        loop {
            match attempt() {
                Ok(done) => return Some(done),
                Err(AppendError::Full { .. }) => {
                    self.log.wait_above(self.log.through(), FORWARD_PAUSE);
                }
                Err(AppendError::Closed) => return None,
                Err(error) => {
                    tracing::error!(%error, "not copied forward");
                    return None;
                }
            }
        }
    }

    /// The state file's body as of the durable position, and that position.
    pub(crate) fn encode_state(&self) -> Result<(Seq, Vec<u8>), StoreError> {
        let state = crate::lock(&self.state);
        state.encode(self.log.options.log_id)
    }
}

/// Replays the log into a state that reflects it up to `state.applied()`.
pub(crate) fn replay(log: &Arc<LogInner>, state: &mut State) {
    let mut scan = RawScan::new(log, state.applied().next());
    while let Some(step) = scan.step() {
        match step {
            Ok(raw) => {
                if let Err(error) = state.replay(&raw) {
                    tracing::error!(%error, "outbox record not readable");
                }
            }
            Err(error) => tracing::error!(%error, "part of the outbox's log not readable"),
        }
    }
    state.replayed(Seq(log.through()), |seq| log.holds(seq.0));
}
