//! The questions.

use super::projection::{Step, StoredAlert};
use super::{AlertFilter, AlertRow, Delivery, Index, SeenPos, keys};
use crate::log::read;
use std::collections::BTreeSet;
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::{
    Alert, AlertId, Event, EventBody, Lane, Look, PosEvent, Record, Review, Seq,
};

/// Rows of one answer at most.
const MAX_ROWS: usize = 10_000;
/// Places looked at for one word search at most.
const MAX_POSTINGS: usize = 20_000;
/// Keys read at once of what is looked through as a whole.
const PAGE: usize = 1_000;
/// Records with one event id that are looked at for a redelivery: a till that counts from 1 every
/// day uses an id once a day, and older repetitions do not matter.
const MAX_SAME_ID: usize = 64;
/// Alerts of an answer when the filter names no limit.
const DEFAULT_ALERTS: usize = 100;

impl Index {
    /// Keys from `from` up to `to` (excluded); `take` says whether to go on.
    pub(super) fn collect(
        &self,
        from: &[u8],
        to: &[u8],
        backwards: bool,
        mut take: impl FnMut(&[u8]) -> bool,
    ) {
        let engine = self.shared.ready();
        let result = engine.range(from, to, backwards, &mut |key, _| take(key));
        self.shared.or_broken(result);
    }

    /// Positions at the ends of keys, at most `limit`.
    fn positions(&self, from: &[u8], to: &[u8], backwards: bool, limit: usize) -> Vec<Seq> {
        let mut found = Vec::new();
        let limit = limit.min(MAX_ROWS);
        if limit == 0 {
            return found;
        }
        // What a power cut brought back points to records that are gone.
        let first = self.shared.log.first_seq();
        self.collect(from, to, backwards, |key| {
            let seq = Seq(keys::tail_seq(key));
            if seq >= first {
                found.push(seq);
            }
            found.len() < limit
        });
        found
    }

    /// The record, unless it was recycled meanwhile or cannot be read.
    pub(super) fn record(&self, seq: Seq) -> Option<Record> {
        read(&self.shared.log, seq).unwrap_or_else(|error| {
            tracing::warn!(%error, "record not readable");
            None
        })
    }

    fn records(&self, positions: Vec<Seq>) -> Vec<(Seq, Record)> {
        positions
            .into_iter()
            .filter_map(|seq| Some((seq, self.record(seq)?)))
            .collect()
    }

    /// Newest first: events (without ticks and settings), alerts, findings, notices.
    #[must_use]
    pub fn recent_events(&self, limit: usize) -> Vec<(Seq, Record)> {
        self.catch_up();
        self.records(self.positions(b"t", b"u", true, limit))
    }

    /// The same kinds with wall time from `start_us` up to `end_us` (excluded), oldest first.
    #[must_use]
    pub fn events_between(&self, start_us: i64, end_us: i64, limit: usize) -> Vec<(Seq, Record)> {
        self.catch_up();
        let (from, to) = (keys::timed(start_us, 0), keys::timed(end_us, 0));
        self.records(self.positions(&from, &to, false, limit))
    }

    /// Alerts, newest first by when they were first raised.
    #[must_use]
    pub fn alerts(&self, filter: AlertFilter) -> Vec<AlertRow> {
        self.catch_up();
        let limit = if filter.limit == 0 {
            DEFAULT_ALERTS
        } else {
            filter.limit.min(MAX_ROWS)
        };
        let end = match filter.before {
            None => b"t".to_vec(),
            Some(id) => match self.stored(id) {
                Some(before) => keys::alert_order(before.first_seq.0, id),
                None => return Vec::new(),
            },
        };
        let mut ids = Vec::new();
        self.collect(b"s", &end, true, |key| {
            ids.extend(keys::alert_of_order(key));
            ids.len() < MAX_ROWS
        });
        let wanted = |row: &AlertRow| {
            let open = row.alert.state == AlertState::Open && row.review.is_none();
            (open || !filter.pending_only)
                && filter
                    .since_us
                    .is_none_or(|since| row.alert.stamp.utc_us >= since)
        };
        ids.into_iter()
            .filter_map(|id| self.row(id))
            .filter(wanted)
            .take(limit)
            .collect()
    }

    /// Alerts whose newest revision lies at or before `through` and has no message: that revision,
    /// the alerts raised first first, at most `limit`.
    #[must_use]
    pub fn alerts_without_message(&self, through: Seq, limit: usize) -> Vec<Alert> {
        let mut found = Vec::new();
        let mut from = b"s".to_vec();
        loop {
            let mut page = Vec::new();
            self.collect(&from, b"t", false, |key| {
                page.push(key.to_vec());
                page.len() < PAGE
            });
            let Some(last) = page.last() else {
                return found;
            };
            from = keys::after(last);
            let engine = self.shared.engine();
            let step = Step::new(engine.as_ref());
            for id in page.iter().filter_map(|key| keys::alert_of_order(key)) {
                let stored = self.shared.or_broken(step.alert(id));
                let owed =
                    stored.filter(|alert| alert.delivery == Delivery::None && alert.seq <= through);
                if let Some(Record::Alert(alert)) = owed.and_then(|alert| self.record(alert.seq)) {
                    found.push(alert);
                }
                if found.len() >= limit {
                    return found;
                }
            }
        }
    }

    /// One alert.
    #[must_use]
    pub fn alert(&self, id: AlertId) -> Option<AlertRow> {
        self.catch_up();
        self.row(id)
    }

    fn stored(&self, id: AlertId) -> Option<StoredAlert> {
        let engine = self.shared.ready();
        self.shared.or_broken(Step::new(engine.as_ref()).alert(id))
    }

    fn row(&self, id: AlertId) -> Option<AlertRow> {
        let stored = self.stored(id)?;
        let engine = self.shared.ready();
        let Record::Alert(alert) = self.record(stored.seq)? else {
            return None;
        };
        let review = self.shared.or_broken(engine.get(&keys::of_alert(b'r', id)));
        let review = review.and_then(|bytes| postcard::from_bytes::<(Seq, Review)>(&bytes).ok());
        Some(AlertRow {
            alert,
            review: review.map(|(_, review)| review),
            seq: stored.seq,
            accepted: true,
            delivery: stored.delivery,
        })
    }

    /// All records with this id, oldest first: the till's event id (of events, and of alerts and
    /// findings about them), an alert's UUID, or a log position as text.
    #[must_use]
    pub fn by_event_id(&self, id: &str) -> Vec<Seq> {
        self.catch_up();
        let mut found = BTreeSet::new();
        if id.len() <= keys::MAX_ID {
            let prefix = keys::text_prefix(b'i', id);
            found.extend(self.positions(&prefix, &keys::after_prefix(&prefix), false, MAX_ROWS));
        }
        if let Some(seq) = id
            .parse()
            .ok()
            .map(Seq)
            .filter(|seq| *seq <= self.through())
            && self.record(seq).is_some()
        {
            found.insert(seq);
        }
        found.into_iter().collect()
    }

    /// Receipts that have all words of `q`, newest first; the longest word may be the beginning of
    /// one, the others may be anywhere in a line. Without a word: the newest receipts.
    #[must_use]
    pub fn receipts(&self, q: &str, limit: usize) -> Vec<(Seq, Event)> {
        self.catch_up();
        let words: Vec<String> = keys::words(q).collect();
        let found = match words.iter().max_by_key(|word| word.len()) {
            None => self.positions(b"q", b"r", true, limit),
            Some(longest) => {
                let mut prefix = vec![b'w'];
                prefix.extend_from_slice(longest.as_bytes());
                let mut places = BTreeSet::new();
                let mut looked = 0;
                self.collect(&prefix, &keys::after_prefix(&prefix), true, |key| {
                    places.insert(Seq(keys::tail_seq(key)));
                    looked += 1;
                    looked < MAX_POSTINGS
                });
                places.into_iter().rev().collect()
            }
        };
        let events = found.into_iter().filter_map(|seq| match self.record(seq)? {
            Record::Event(event) => Some((seq, event)),
            _ => None,
        });
        let has_all = |event: &Event| match &event.body {
            EventBody::Receipt(receipt) => {
                let text = receipt.lines.join("\n").to_lowercase();
                words.iter().all(|word| text.contains(word.as_str()))
            }
            _ => false,
        };
        events
            .filter(|(_, event)| has_all(event))
            .take(limit)
            .collect()
    }

    /// Looks at footage, newest first; only those before a position where one is given.
    #[must_use]
    pub fn looks(&self, before: Option<Seq>, limit: usize) -> Vec<(Seq, Look)> {
        self.catch_up();
        let end = keys::numbered(b'k', before.map_or(u64::MAX, |before| before.0));
        let found = self.positions(b"k", &end, true, limit);
        let looks = found.into_iter().filter_map(|seq| match self.record(seq)? {
            Record::Look(look) => Some((seq, look)),
            _ => None,
        });
        looks.collect()
    }

    /// What the log holds of an event of the till, as far as the index reflects it. How long that
    /// counts is the caller's rule. Reads the records with its event id, the newest 64.
    #[must_use]
    pub fn seen_pos(&self, event: &PosEvent) -> SeenPos {
        let prefix = keys::text_prefix(b'i', &event.event_id);
        let mut seen = SeenPos::default();
        let places = self.positions(&prefix, &keys::after_prefix(&prefix), true, MAX_SAME_ID);
        for seq in places {
            let Some(Record::Event(Event {
                body: EventBody::Pos(held),
                stamp,
                ..
            })) = self.record(seq)
            else {
                continue;
            };
            let same_id = held.event_id == event.event_id
                && held.store_id == event.store_id
                && held.register_id == event.register_id;
            if !same_id {
                continue;
            }
            seen.id.get_or_insert((seq, stamp));
            if held.body_hash == event.body_hash {
                seen.same = Some((seq, stamp));
                break;
            }
        }
        seen
    }

    /// Where an outbox entry lies, acknowledged ones included, as long as the log keeps it: for
    /// replaying what head office misses.
    #[must_use]
    pub fn outbox_entry(&self, lane: Lane, lane_seq: u64) -> Option<Seq> {
        let engine = self.shared.ready();
        let value = self
            .shared
            .or_broken(engine.get(&keys::outbox(b'o', lane, lane_seq)))?;
        postcard::from_bytes(&value).ok()
    }
}
