//! What one lane has to send next: reads ahead of the window, in order, and takes back what has
//! to go again. No I/O: says what to read, and is told what was read.

use bytes::Bytes;
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tillwatch_protocol::{Lane, MessageId, OutboxEntry};
use tillwatch_store::OutboxRef;

/// Entries read at once.
pub const BATCH: usize = 32;
/// Bytes read at once; the last entry may go beyond.
pub const BATCH_BYTES: u64 = 256 * 1024;
/// Fewer entries than this at hand: read on.
const LOW: usize = 16;
/// Pause after a read error of the disk.
const RETRY: Duration = Duration::from_secs(1);

/// An entry at hand.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Where it lies.
    pub place: OutboxRef,
    /// The MQTT topic.
    pub topic: Arc<str>,
    /// The de-duplication key.
    pub message_id: MessageId,
    /// MQTT 5 content type.
    pub content_type: Cow<'static, str>,
    /// The payload; shared with the client library.
    pub payload: Bytes,
}

impl Loaded {
    /// An entry as it was read.
    #[must_use]
    pub fn new(place: OutboxRef, entry: OutboxEntry) -> Self {
        Self {
            place,
            topic: entry.topic.into(),
            message_id: entry.message_id,
            content_type: entry.content_type,
            payload: entry.payload.into(),
        }
    }
}

/// One lane of one connection.
#[derive(Debug)]
pub struct Feed {
    lane: Lane,
    /// Everything up to here was looked at on this connection.
    cursor: u64,
    /// To be read again; all at or below `cursor`.
    again: BTreeSet<u64>,
    ready: VecDeque<Loaded>,
    reading: bool,
    /// Nothing behind `cursor` when last looked.
    exhausted: bool,
    not_before: Duration,
}

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The lane.
    pub lane: Lane,
    /// These first, in order.
    pub again: Vec<u64>,
    /// Then what follows this number; `None`: nothing.
    pub after: Option<u64>,
}

impl Feed {
    /// Starts with the oldest entry that is not acknowledged.
    #[must_use]
    pub fn new(lane: Lane) -> Self {
        Self {
            lane,
            cursor: 0,
            again: BTreeSet::new(),
            ready: VecDeque::new(),
            reading: false,
            exhausted: false,
            not_before: Duration::ZERO,
        }
    }

    /// The next entry.
    #[must_use]
    pub fn head(&self) -> Option<&Loaded> {
        self.ready.front()
    }

    /// Takes the next entry.
    pub fn take(&mut self) -> Option<Loaded> {
        self.ready.pop_front()
    }

    /// Puts the entry taken last back.
    pub fn put_back(&mut self, loaded: Loaded) {
        self.ready.push_front(loaded);
    }

    /// New entries may have become durable.
    pub fn refresh(&mut self) {
        self.exhausted = false;
    }

    /// Whether nothing followed when last looked.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// This entry has to go again. One that was not looked at yet comes by anyway.
    pub fn again(&mut self, lane_seq: u64) {
        if lane_seq <= self.cursor {
            self.again.insert(lane_seq);
        }
    }

    /// What to read now, if anything. A read is under way until [`Feed::read`] or
    /// [`Feed::failed`].
    pub fn want(&mut self, now: Duration) -> Option<Want> {
        let something = !self.again.is_empty() || !self.exhausted;
        if self.reading || !something || self.ready.len() >= LOW || now < self.not_before {
            return None;
        }
        let mut again: Vec<u64> = Vec::new();
        while again.len() < BATCH {
            match self.again.pop_first() {
                Some(lane_seq) => again.push(lane_seq),
                None => break,
            }
        }
        let after = (again.len() < BATCH && !self.exhausted).then_some(self.cursor);
        Some(Want {
            lane: self.lane,
            again,
            after,
        })
    }

    /// A read has begun. `looked_through` is the highest number that was looked at, `exhausted`
    /// whether nothing follows it.
    pub fn began(&mut self, looked_through: u64, exhausted: bool) {
        self.reading = true;
        self.cursor = self.cursor.max(looked_through);
        self.exhausted = exhausted;
    }

    /// The outbox had nothing of what was wanted.
    pub fn nothing(&mut self, looked_through: u64, exhausted: bool) {
        self.cursor = self.cursor.max(looked_through);
        self.exhausted = exhausted;
    }

    /// What was read, in order, joins what is at hand. What goes again goes before what is new.
    pub fn read(&mut self, loaded: Vec<Loaded>) {
        self.reading = false;
        for item in loaded {
            let place = self
                .ready
                .partition_point(|other| other.place.lane_seq < item.place.lane_seq);
            self.ready.insert(place, item);
        }
    }

    /// These could not be read now; they go again after a moment.
    pub fn failed(&mut self, lane_seqs: impl IntoIterator<Item = u64>, now: Duration) {
        let before = self.again.len();
        self.again.extend(lane_seqs);
        if self.again.len() > before {
            self.not_before = now + RETRY;
        }
    }

    /// When [`Feed::want`] is worth asking again after a read error.
    #[must_use]
    pub fn wake(&self, now: Duration) -> Option<Duration> {
        (!self.again.is_empty() && !self.reading && now < self.not_before)
            .then_some(self.not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::{Clock, LogId, Seq, Stamp};

    fn loaded(lane_seq: u64) -> Loaded {
        let stamp = Stamp {
            boot: 1,
            monotonic_ns: 0,
            utc_us: 0,
            clock: Clock::Synced,
        };
        let lane = Lane::Bulk;
        Loaded {
            place: OutboxRef {
                lane,
                lane_seq,
                seq: Seq(lane_seq),
                bytes: 10,
                stamp,
                attempts: 0,
            },
            topic: "stores/S03/events".into(),
            message_id: MessageId::derive(LogId(uuid::Uuid::nil()), lane, lane_seq),
            content_type: Cow::Borrowed("application/json"),
            payload: Bytes::new(),
        }
    }

    fn take_all(feed: &mut Feed) -> Vec<u64> {
        std::iter::from_fn(|| feed.take().map(|item| item.place.lane_seq)).collect()
    }

    #[test]
    fn a_lane_is_read_once_in_order_and_then_only_when_something_is_new() {
        let mut feed = Feed::new(Lane::Bulk);
        let want = feed.want(Duration::ZERO).unwrap();
        assert_eq!((want.again.len(), want.after), (0, Some(0)));
        feed.began(3, true);
        assert_eq!(feed.want(Duration::ZERO), None, "one read at a time");
        feed.read((1..=3).map(loaded).collect());
        assert_eq!(take_all(&mut feed), [1, 2, 3]);
        assert_eq!(feed.want(Duration::ZERO), None);
        feed.refresh();
        assert_eq!(feed.want(Duration::ZERO).unwrap().after, Some(3));
    }

    #[test]
    fn what_goes_again_keeps_the_lanes_order() {
        let mut feed = Feed::new(Lane::Bulk);
        feed.began(5, true);
        feed.read(vec![loaded(4), loaded(5)]);
        feed.again(2);
        feed.again(1);
        let want = feed.want(Duration::ZERO).unwrap();
        assert_eq!((want.again, want.after), (vec![1, 2], None));
        feed.began(0, true);
        feed.read(vec![loaded(1), loaded(2)]);
        assert_eq!(take_all(&mut feed), [1, 2, 4, 5]);
    }

    #[test]
    fn what_was_not_looked_at_yet_does_not_come_twice() {
        let mut feed = Feed::new(Lane::Bulk);
        feed.again(3);
        let want = feed.want(Duration::ZERO).unwrap();
        assert_eq!((want.again, want.after), (vec![], Some(0)));
    }

    #[test]
    fn a_disk_that_cannot_read_is_asked_again_after_a_moment() {
        let mut feed = Feed::new(Lane::Bulk);
        feed.began(1, true);
        feed.read(Vec::new());
        feed.failed([1], Duration::ZERO);
        assert_eq!(feed.want(Duration::ZERO), None);
        let wake = feed.wake(Duration::ZERO).unwrap();
        assert_eq!(feed.want(wake).unwrap().again, [1]);
    }
}
