//! What a record means for the index.

use super::engine::{Batch, IndexEngine, IndexError};
use super::{Delivery, keys};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tillwatch_protocol::lane::OutboxFate;
use tillwatch_protocol::{
    AlertId, ClipId, ClipReport, ClipState, Event, EventBody, Lane, LogId, OutboxEntry, Record, Seq,
};

/// Changes when the keys do: an index of another version is rebuilt.
const VERSION: u8 = 5;
/// Words of one receipt that are indexed at most.
const MAX_WORDS: usize = 400;

/// An alert as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredAlert {
    /// Its highest revision.
    pub(crate) revision: u32,
    /// Position of that.
    pub(crate) seq: Seq,
    /// Position of the first revision that was seen.
    pub(crate) first_seq: Seq,
    /// What became of its latest message.
    pub(crate) delivery: Delivery,
    /// The number of that message in its lane.
    pub(crate) lane_seq: u64,
}

/// Where the log says what became of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredReport {
    /// Position of the newest request that was reported on.
    pub(crate) request: Seq,
    /// Position of the newest report.
    pub(crate) report: Seq,
}

/// Reads and changes of one step: a batch over an engine.
pub(crate) struct Step<'a> {
    engine: &'a dyn IndexEngine,
    pub(crate) batch: Batch,
    /// Bytes of the batch, roughly.
    pub(crate) bytes: usize,
}

impl<'a> Step<'a> {
    pub(crate) fn new(engine: &'a dyn IndexEngine) -> Step<'a> {
        Step {
            engine,
            batch: Batch::new(),
            bytes: 0,
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        match self.batch.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.engine.get(key),
        }
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.batch.insert(key, Some(value));
    }

    fn remove(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.batch.insert(key, None);
    }

    fn value<T: for<'de> Deserialize<'de>>(&self, key: &[u8]) -> Result<Option<T>, IndexError> {
        Ok(self
            .get(key)?
            .and_then(|bytes| postcard::from_bytes(&bytes).ok()))
    }

    pub(crate) fn alert(&self, id: AlertId) -> Result<Option<StoredAlert>, IndexError> {
        self.value(&keys::of_alert(b'a', id))
    }

    fn put_alert(&mut self, id: AlertId, alert: &StoredAlert) {
        self.put_value(keys::of_alert(b'a', id), alert);
    }

    fn put_value<T: Serialize>(&mut self, key: Vec<u8>, value: &T) {
        // These types always have a postcard form; without a value the key is left out.
        if let Ok(bytes) = postcard::to_extend(value, Vec::new()) {
            self.put(key, bytes);
        }
    }

    /// Notes that the index reflects the log up to here.
    pub(crate) fn set_position(&mut self, log_id: LogId, seq: Seq) {
        let mut value = vec![VERSION];
        value.extend_from_slice(log_id.0.as_bytes());
        value.extend_from_slice(&seq.0.to_le_bytes());
        self.put(keys::POSITION.to_vec(), value);
    }

    /// Takes in a record.
    pub(crate) fn add(&mut self, seq: Seq, record: &Record) -> Result<(), IndexError> {
        let n = seq.0;
        for key in plain_keys(n, record) {
            self.put(key, Vec::new());
        }
        match record {
            Record::Event(Event {
                body: EventBody::Review(review),
                ..
            }) => {
                self.put_value(keys::of_alert(b'r', review.alert_id), &(seq, review));
            }
            Record::Alert(alert) => {
                let known = self.alert(alert.alert_id)?;
                if known
                    .as_ref()
                    .is_none_or(|known| alert.revision >= known.revision)
                {
                    let first_seq = known.as_ref().map_or(seq, |known| known.first_seq);
                    let (delivery, lane_seq) = (Delivery::None, 0);
                    let stored = StoredAlert {
                        revision: alert.revision,
                        seq,
                        first_seq,
                        delivery,
                        lane_seq,
                    };
                    self.put_alert(alert.alert_id, &stored);
                    self.put(keys::alert_order(first_seq.0, alert.alert_id), Vec::new());
                }
            }
            Record::Outbox(entry) => self.add_outbox(seq, entry)?,
            Record::ClipRequest(request) => {
                self.put_value(keys::of_clip(b'c', request.clip_id), &seq);
            }
            Record::ClipReport(report) => self.add_report(seq, report)?,
            Record::OutboxMark(mark) => {
                let delivery = match &mark.fate {
                    OutboxFate::Acknowledged => Delivery::Acknowledged,
                    OutboxFate::Abandoned { .. } => Delivery::Abandoned,
                    OutboxFate::Suspected { .. } => return Ok(()),
                };
                if let Some(id) = self.alert_of_message(mark.lane, mark.lane_seq)?
                    && let Some(mut alert) = self.alert(id)?
                    && alert.lane_seq == mark.lane_seq
                {
                    alert.delivery = delivery;
                    self.put_alert(id, &alert);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_outbox(&mut self, seq: Seq, entry: &OutboxEntry) -> Result<(), IndexError> {
        let Ok(value) = postcard::to_extend(&seq, Vec::new()) else {
            return Ok(());
        };
        self.put(keys::outbox(b'o', entry.lane, entry.lane_seq), value);
        if let Some(id) = alert_told_of(entry) {
            let link = keys::outbox(b'l', entry.lane, entry.lane_seq);
            // A copy of an entry, made when its segment was recycled, says nothing new.
            if self.get(&link)?.is_none()
                && let Some(mut alert) = self.alert(id)?
            {
                alert.delivery = Delivery::Accepted;
                alert.lane_seq = entry.lane_seq;
                self.put_alert(id, &alert);
            }
            self.put(link, id.0.as_bytes().to_vec());
        }
        Ok(())
    }

    fn add_report(&mut self, seq: Seq, report: &ClipReport) -> Result<(), IndexError> {
        let id = report.clip_id;
        let wanted = self.value::<Seq>(&keys::of_clip(b'c', id))?;
        let before = self.report(id)?;
        self.remove(keys::of_clip(b'c', id));
        if let Some(before) = before {
            self.remove(keys::not_recorded(before.report.0, id));
        }
        // A report on a request that left the log is of no use to anybody.
        if let Some(request) = wanted.or(before.map(|before| before.request)) {
            let stored = StoredReport {
                request,
                report: seq,
            };
            self.put_value(keys::of_clip(b'd', id), &stored);
            if matches!(report.state, ClipState::Empty { .. }) {
                self.put(keys::not_recorded(seq.0, id), Vec::new());
            }
        }
        Ok(())
    }

    pub(crate) fn report(&self, id: ClipId) -> Result<Option<StoredReport>, IndexError> {
        self.value(&keys::of_clip(b'd', id))
    }

    /// Takes a clip's report out when it, or its request, lies here.
    fn forget_report(&mut self, seq: Seq, id: ClipId) -> Result<(), IndexError> {
        let stored = self.report(id)?;
        if let Some(stored) = stored.filter(|stored| stored.request == seq || stored.report == seq)
        {
            self.remove(keys::of_clip(b'd', id));
            self.remove(keys::not_recorded(stored.report.0, id));
        }
        Ok(())
    }

    fn alert_of_message(&self, lane: Lane, lane_seq: u64) -> Result<Option<AlertId>, IndexError> {
        let id = self.get(&keys::outbox(b'l', lane, lane_seq))?;
        Ok(id
            .and_then(|bytes| uuid::Uuid::from_slice(&bytes).ok())
            .map(AlertId))
    }

    /// Takes out a record whose segment is about to be recycled.
    pub(crate) fn forget(&mut self, seq: Seq, record: &Record) -> Result<(), IndexError> {
        for key in plain_keys(seq.0, record) {
            self.remove(key);
        }
        match record {
            Record::Event(Event {
                body: EventBody::Review(review),
                ..
            }) => {
                let key = keys::of_alert(b'r', review.alert_id);
                self.forget_if::<(Seq, tillwatch_protocol::Review)>(key, |v| v.0 == seq)?;
            }
            Record::Alert(alert) => {
                if let Some(stored) = self
                    .alert(alert.alert_id)?
                    .filter(|stored| stored.seq == seq)
                {
                    self.remove(keys::of_alert(b'a', alert.alert_id));
                    self.remove(keys::alert_order(stored.first_seq.0, alert.alert_id));
                }
            }
            Record::ClipRequest(request) => {
                self.forget_if::<Seq>(keys::of_clip(b'c', request.clip_id), |v| *v == seq)?;
                self.forget_report(seq, request.clip_id)?;
            }
            Record::ClipReport(report) => self.forget_report(seq, report.clip_id)?,
            Record::Outbox(entry) => {
                let key = keys::outbox(b'o', entry.lane, entry.lane_seq);
                let held = self.get(&key)?;
                self.forget_if::<Seq>(key, |v| *v == seq)?;
                if held.and_then(|bytes| postcard::from_bytes::<Seq>(&bytes).ok()) == Some(seq) {
                    self.remove(keys::outbox(b'l', entry.lane, entry.lane_seq));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn forget_if<T: for<'de> Deserialize<'de>>(
        &mut self,
        key: Vec<u8>,
        same: impl FnOnce(&T) -> bool,
    ) -> Result<(), IndexError> {
        if self.value::<T>(&key)?.is_some_and(|value| same(&value)) {
            self.remove(key);
        }
        Ok(())
    }
}

/// How far an index reflects a log; `None` when it is another log's or another version's.
pub(crate) fn position(engine: &dyn IndexEngine, log_id: LogId) -> Result<Option<Seq>, IndexError> {
    let Some(value) = engine.get(keys::POSITION)? else {
        return Ok(None);
    };
    let right = value.len() == 25 && value[0] == VERSION && value[1..17] == *log_id.0.as_bytes();
    Ok(right.then(|| Seq(value.last_chunk().copied().map_or(0, u64::from_le_bytes))))
}

/// Wall time of what is shown as an event; `None` for what is not shown.
fn shown_at(record: &Record) -> Option<i64> {
    match record {
        Record::Event(Event {
            body: EventBody::Tick | EventBody::Settings(_) | EventBody::CameraMotion { .. },
            ..
        }) => None,
        Record::Event(event) => Some(event.stamp.utc_us),
        Record::Alert(alert) => Some(alert.stamp.utc_us),
        Record::Finding(finding) => finding
            .evidence
            .first()
            .map(|evidence| evidence.stamp.utc_us),
        Record::Notice(notice) => Some(notice.stamp.utc_us),
        _ => None,
    }
}

/// Keys of a record that have no value and belong to it alone.
fn plain_keys(seq: u64, record: &Record) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    if let Some(utc_us) = shown_at(record) {
        all.insert(keys::numbered(b't', seq));
        all.insert(keys::timed(utc_us, seq));
    }
    let mut id = |text: &str| {
        if text.len() <= keys::MAX_ID {
            all.insert(keys::text(b'i', text, seq));
        }
    };
    match record {
        Record::Event(Event {
            body: EventBody::Pos(pos),
            ..
        }) => id(&pos.event_id),
        Record::Alert(alert) => {
            id(&alert.alert_id.to_string());
            alert
                .subject
                .event_id
                .as_deref()
                .into_iter()
                .for_each(&mut id);
        }
        Record::Finding(finding) => finding
            .subject
            .event_id
            .as_deref()
            .into_iter()
            .for_each(&mut id),
        Record::Event(Event {
            body: EventBody::Receipt(receipt),
            ..
        }) => {
            all.insert(keys::numbered(b'q', seq));
            let words: BTreeSet<String> = receipt
                .lines
                .iter()
                .flat_map(|line| keys::words(line))
                .take(MAX_WORDS)
                .collect();
            all.extend(words.iter().map(|word| keys::text(b'w', word, seq)));
        }
        Record::Look(_) => {
            all.insert(keys::numbered(b'k', seq));
        }
        _ => {}
    }
    all
}

/// The alert that a message on `stores/{store}/alerts` tells of.
fn alert_told_of(entry: &OutboxEntry) -> Option<AlertId> {
    #[derive(Deserialize)]
    struct Told {
        alert_id: AlertId,
    }
    if !entry.topic.ends_with("/alerts") {
        return None;
    }
    serde_json::from_slice::<Told>(&entry.payload)
        .ok()
        .map(|told| told.alert_id)
}
