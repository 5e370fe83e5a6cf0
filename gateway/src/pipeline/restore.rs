//! Restart by replay: the newest detector state that can be read, then the log behind it.
//!
//! What the detectors conclude during the replay and what the log already holds are compared;
//! only what is missing is appended. Alerts are known by id and revision, the rest by its bytes.

use super::PipelineError;
use super::poison::PoisonGuard;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tillwatch_detect::{Engine, Outcome};
use tillwatch_protocol::{AlertId, Record, Seq};
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
    /// Events that were left out because they killed the process before.
    pub poisoned: Vec<Seq>,
}

/// What the log holds, for comparison.
#[derive(Default)]
struct Logged {
    alerts: BTreeMap<(AlertId, u32), u32>,
    others: HashMap<Vec<u8>, u32>,
}

impl Logged {
    fn note(&mut self, record: &Record) {
        match record {
            Record::Alert(alert) => {
                *self
                    .alerts
                    .entry((alert.alert_id, alert.revision))
                    .or_default() += 1
            }
            Record::Finding(_) | Record::NotJudged(_) | Record::Notice(_) => {
                *self.others.entry(bytes(record)).or_default() += 1;
            }
            _ => {}
        }
    }

    /// Takes one out if it is there.
    fn take(&mut self, outcome: &Outcome) -> bool {
        let count = match outcome {
            Outcome::Alert(alert) => self.alerts.get_mut(&(alert.alert_id, alert.revision)),
            other => self.others.get_mut(&bytes(&record_of(other))),
        };
        match count {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
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
    let (mut engine, from) = newest_state(store)?;
    let mut guard = PoisonGuard::open(&data.join("replay.state"));
    let mut logged = Logged::default();
    let mut concluded = Vec::new();
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
                    poisoned.push(seq);
                    continue;
                }
                guard.enter(seq);
                engine.on_event(&event, &mut step);
                concluded.append(&mut step);
                replayed += 1;
            }
            other => logged.note(&other),
        }
    }
    guard.done();
    let missing = concluded
        .into_iter()
        .filter(|outcome| !logged.take(outcome))
        .collect();
    Ok(Restored {
        engine,
        missing,
        replayed,
        from,
        poisoned,
    })
}

fn newest_state(store: &Store) -> Result<(Engine, Seq), PipelineError> {
    for (through, bytes) in store.snapshots()? {
        let mut engine = Engine::new(store.log_id());
        match engine.restore(&bytes) {
            Ok(()) => return Ok((engine, through.next())),
            Err(why) => {
                tracing::warn!(%through, %why, "saved detector state is of no use; an older one is tried")
            }
        }
    }
    Ok((Engine::new(store.log_id()), store.first_seq()))
}
