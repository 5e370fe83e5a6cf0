//! Restart by replay: the newest detector state that can be read, then the log behind it.
//!
//! What the detectors conclude during the replay and what the log already holds are compared;
//! only what is missing is appended. Alerts are known by id and revision, the rest by its bytes.

use super::PipelineError;
use super::poison::PoisonGuard;
use super::told::Told;
use std::collections::VecDeque;
use std::path::Path;
use tillwatch_detect::{Engine, Outcome};
use tillwatch_protocol::{AlertId, Event, Record, Seq};
use tillwatch_store::Store;

/// An engine that has seen the whole log.
pub struct Restored {
    /// The engine.
    pub engine: Engine,
    /// What it concluded that the log does not hold yet.
    pub missing: Vec<Outcome>,
    /// Events replayed.
    pub replayed: u64,
    /// Where the replay began.
    pub from: Seq,
    /// Which notices head office was told of lately.
    pub(super) told: Told,
    /// Events that were left out because they killed the process before.
    pub poisoned: Vec<Event>,
}

/// What the detectors concluded and the log has not shown yet. An outcome always stands in the log
/// behind the event that it follows from, and mostly right behind it, so this stays short.
#[derive(Default)]
struct Awaited(VecDeque<(Key, Outcome)>);

/// What makes two outcomes the same: alerts by id and revision, the rest by its bytes.
#[derive(PartialEq, Eq)]
enum Key {
    Alert(AlertId, u32),
    Other(Vec<u8>),
}

impl Key {
    fn of(record: &Record) -> Option<Key> {
        match record {
            Record::Alert(alert) => Some(Key::Alert(alert.alert_id, alert.revision)),
            Record::Finding(_) | Record::NotJudged(_) | Record::Notice(_) => {
                Some(Key::Other(bytes(record)))
            }
            _ => None,
        }
    }
}

impl Awaited {
    fn add(&mut self, outcomes: &mut Vec<Outcome>) {
        for outcome in outcomes.drain(..) {
            if let Some(key) = Key::of(&record_of(&outcome)) {
                self.0.push_back((key, outcome));
            }
        }
    }

    /// The log holds this one.
    fn found(&mut self, record: &Record) {
        let Some(key) = Key::of(record) else { return };
        if let Some(place) = self.0.iter().position(|(awaited, _)| *awaited == key) {
            self.0.remove(place);
        }
    }
}

fn bytes(record: &Record) -> Vec<u8> {
    let mut body = vec![u8::try_from(record.kind()).unwrap_or(0)];
    // Every record has a postcard form; an empty body only makes the comparison coarser.
    let _ = record.encode_into(&mut body);
    body
}

fn record_of(outcome: &Outcome) -> Record {
    match outcome {
        Outcome::Alert(alert) => Record::Alert(alert.clone()),
        Outcome::Finding(finding) => Record::Finding(finding.clone()),
        Outcome::Notice(notice) => Record::Notice(notice.clone()),
        Outcome::NotJudged(not_judged) => Record::NotJudged(not_judged.clone()),
    }
}

/// Restores the engine from `store`. `data` is where the guard against events that kill the
/// process keeps its note.
///
/// # Errors
/// [`PipelineError::Store`] when the log cannot be read at all; damaged parts are left out and
/// were reported when the store was opened.
pub fn restore(store: &Store, data: &Path) -> Result<Restored, PipelineError> {
    let (mut engine, mut told, from) = newest_state(store)?;
    let mut guard = PoisonGuard::open(&data.join("replay.state"), store.boot_ordinal());
    // Without a saved state and without the beginning of the log nobody can say what the detectors
    // knew: they are brought up to date, and nobody is accused of what lies behind.
    let whole = from.0 > store.first_seq().0 || store.first_seq().0 <= 1;
    let mut awaited = Awaited::default();
    let mut step = Vec::new();
    let mut replayed = 0;
    let mut poisoned = Vec::new();
    for item in store.scan(from)? {
        let (seq, record) = match item {
            Ok(item) => item,
            Err(why) => {
                tracing::error!(%why, "a part of the log is left out of the replay");
                continue;
            }
        };
        match record {
            Record::Event(event) => {
                if guard.is_poison(seq) {
                    tracing::error!(%seq, "this event ended the program three times; it is left out");
                    poisoned.push(event);
                    continue;
                }
                guard.enter(seq);
                engine.on_event(&event, &mut step);
                guard.leave();
                awaited.add(&mut step);
                replayed += 1;
            }
            other => {
                told.found(&other);
                awaited.found(&other);
            }
        }
    }
    guard.done();
    if !whole && !awaited.0.is_empty() {
        tracing::warn!(
            left_out = awaited.0.len(),
            "no saved detector state and only a part of the log: what was not concluded then is not concluded now"
        );
        awaited.0.clear();
    }
    let missing = awaited.0.into_iter().map(|(_, outcome)| outcome).collect();
    Ok(Restored {
        engine,
        missing,
        replayed,
        from,
        told,
        poisoned,
    })
}

fn newest_state(store: &Store) -> Result<(Engine, Told, Seq), PipelineError> {
    for (through, bytes) in store.snapshots()? {
        let mut engine = Engine::new(store.log_id());
        let (state, told) = Told::split(&bytes);
        match engine.restore(state) {
            Ok(()) => return Ok((engine, told, through.next())),
            Err(why) => {
                tracing::warn!(%through, %why, "saved detector state is of no use; an older one is tried")
            }
        }
    }
    let told = Told::default();
    Ok((Engine::new(store.log_id()), told, store.first_seq()))
}
