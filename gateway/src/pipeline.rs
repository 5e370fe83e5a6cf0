//! The one task that owns all detector state: every event is appended to the log, judged, and
//! what follows from it is appended too. It never waits for the disk.
//!
//! What survives a power cut: an event is durable when its group is. Its alert and the message
//! for head office are appended together, all or none, and asked for at once, so one `fdatasync`
//! covers edge, alert and message. A cut between event and alert loses nothing: [`restore`]
//! judges the event again from the log, and alert ids depend on log positions only.

mod outcome;
mod owed;
mod poison;
mod redelivery;
pub mod restore;
mod till;
mod told;

use crate::clips::recorder::Told;
use crate::clips::suspicion::Suspicion;
use crate::intake::Lanes;
use crate::{Shared, live};
use outcome::Messages;
use redelivery::Redelivery;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tillwatch_detect::{Engine, Outcome};
use tillwatch_protocol::{Event, EventBody, Lane, Record, Seq, Stamp};
use tillwatch_store::{AppendError, StoreError, Urgency, failpoint};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// A tick travels through pipeline and store this often, so that an idle night is alive and a
/// hang is not. Less than half of the unit's `WatchdogSec=60`.
pub const HEARTBEAT: Duration = Duration::from_secs(20);
/// Most outcomes in one atomic group of the log.
const OUTCOMES_AT_ONCE: usize = 64;
/// Detector state is saved after this many events …
const SNAPSHOT_EVENTS: u64 = 10_000;
/// … or this much time with at least one event.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(300);

/// Why the pipeline had to stop.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The log refuses records for good.
    #[error("the log cannot take records any more: {0}")]
    Append(#[from] AppendError),
    /// The log cannot be read back.
    #[error("the log cannot be read: {0}")]
    Store(#[from] StoreError),
    /// Detector state cannot be written.
    #[error("the detectors' state cannot be saved: {0}")]
    Snapshot(String),
}

/// The pipeline, restored and ready to run.
pub struct Pipeline {
    shared: Shared,
    engine: Engine,
    messages: Messages,
    /// `None` until the end of the log is read.
    redelivery: Option<Redelivery>,
    asked: Option<till::Asked>,
    live: mpsc::Sender<live::LiveItem>,
    suspicion: Suspicion,
    outcomes: Vec<Outcome>,
    /// Told when alerts are logged without a message, because the outbox is full.
    refused: Arc<Notify>,
    snapshot: SnapshotState,
}

/// Topic and fields of a message.
type Message = (String, serde_json::Map<String, serde_json::Value>);

/// What it was about is kept and shown here; alerts are told later (`owed`), the rest is missed by
/// head office. Bulk goes first and alerts have a reserve, so this takes a very long outage.
fn outbox_refuses(lane: Lane) {
    tracing::error!(
        lane = lane.word(),
        "the outbox is full: a message for head office is not made now"
    );
    metrics::counter!("outbox_refused_total", "lane" => lane.word()).increment(1);
}

struct SnapshotState {
    events: u64,
    at: Instant,
    running: Option<tokio::task::JoinHandle<()>>,
    /// The log would like to recycle what only a replay still needs.
    wanted: watch::Receiver<Seq>,
}

impl Pipeline {
    /// Takes a restored engine. Records that `restore` found missing are appended by the first
    /// thing that [`Self::run`] does.
    #[must_use]
    pub fn new(shared: Shared, restored: restore::Restored) -> Self {
        let messages = Messages::new(&shared, restored.told);
        let live = live::publisher(shared.store.clone(), shared.live.clone());
        Self {
            engine: restored.engine,
            outcomes: restored.missing,
            refused: Arc::default(),
            messages,
            redelivery: None,
            asked: None,
            live,
            suspicion: Suspicion::default(),
            snapshot: SnapshotState {
                events: 0,
                at: Instant::now(),
                running: None,
                wanted: shared.store.snapshot_wanted(),
            },
            shared,
        }
    }

    /// Runs until `shutdown`; then takes what already waits in the lanes, saves the detectors'
    /// state and returns.
    ///
    /// # Errors
    /// [`PipelineError`] when the log takes or gives no records any more.
    pub async fn run(
        mut self,
        mut lanes: Lanes,
        shutdown: CancellationToken,
    ) -> Result<(), PipelineError> {
        let stamp = self.shared.clock.stamp();
        self.conclude(stamp).await?;
        self.start().await?;
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut config = self.shared.config.clone();
        // Until it is known who was seen before a crash, tills wait; witnesses do not.
        let remembered = till::remember(self.shared.store.clone(), stamp);
        tokio::pin!(remembered);
        let owed = owed::run(self.shared.clone(), self.refused.clone());
        tokio::pin!(owed);
        loop {
            let due = self.due();
            let takes_bulk = self.redelivery.is_some() && self.asked.is_none();
            // An alert is written behind what waits already: bulk does not run ahead of the disk.
            let calm = self.shared.store.is_calm();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(incoming) = lanes.witnesses.recv() => self.take(incoming).await?,
                () = tokio::time::sleep_until(due) => self.tick().await?,
                _ = heartbeat.tick() => self.heartbeat().await?,
                Ok(()) = config.changed() => self.settings().await?,
                memory = &mut remembered, if self.redelivery.is_none() => {
                    self.redelivery = Some(memory);
                }
                of_index = till::answered(&mut self.asked) => self.answer_came(of_index).await?,
                () = self.shared.store.calm(), if takes_bulk && !calm => {}
                Some(incoming) = lanes.bulk.recv(), if takes_bulk && calm => {
                    self.take(incoming).await?;
                }
                never = &mut owed => match never {},
            }
            self.maybe_snapshot()?;
        }
        lanes.witnesses.close();
        lanes.bulk.close();
        while let Some(incoming) = lanes.witnesses.recv().await {
            self.take(incoming).await?;
        }
        self.answer_of_index().await?;
        // What is left here otherwise was not answered, and comes again.
        while self.redelivery.is_some()
            && let Some(incoming) = lanes.bulk.recv().await
        {
            self.take(incoming).await?;
            self.answer_of_index().await?;
        }
        self.stop().await
    }

    async fn answer_of_index(&mut self) -> Result<(), PipelineError> {
        if self.asked.is_none() {
            return Ok(());
        }
        let of_index = till::answered(&mut self.asked).await;
        self.answer_came(of_index).await
    }

    async fn start(&mut self) -> Result<(), PipelineError> {
        let identity = &self.shared.identity;
        let started = EventBody::Started {
            version: env!("CARGO_PKG_VERSION").into(),
            store: identity.store.clone(),
            register: identity.register.clone(),
            demo: identity.demo,
        };
        let stamp = self.shared.clock.stamp();
        self.event(stamp, started).await?;
        // Said at every start, so that a replay that begins here judges by them.
        self.say_settings().await?;
        self.shared.health.accepting.store(true, Ordering::Release);
        Ok(())
    }

    async fn stop(mut self) -> Result<(), PipelineError> {
        let stamp = self.shared.clock.stamp();
        let reason = "stopped in order".to_owned();
        let seq = self.event(stamp, EventBody::Stopped { reason }).await?;
        if let Some(running) = self.snapshot.running.take() {
            // Its result was logged by the task itself.
            let _ = running.await;
        }
        self.shared.store.durable_through(seq).await?;
        self.save_snapshot()?;
        if let Some(running) = self.snapshot.running.take() {
            let _ = running.await;
        }
        Ok(())
    }

    /// Settings that differ from those in force become an event, so that a replay judges alike.
    async fn settings(&mut self) -> Result<(), PipelineError> {
        let config = self.shared.config.borrow().clone();
        // Checked when it was loaded.
        let Ok(settings) = config.detection_settings() else {
            return Ok(());
        };
        self.messages.minor_digits = settings.minor_digits;
        if *self.engine.settings() != settings {
            self.say_settings().await?;
        }
        Ok(())
    }

    async fn say_settings(&mut self) -> Result<(), PipelineError> {
        let config = self.shared.config.borrow().clone();
        // Checked when it was loaded.
        let Ok(settings) = config.detection_settings() else {
            return Ok(());
        };
        self.messages.minor_digits = settings.minor_digits;
        let stamp = self.shared.clock.stamp();
        let said = EventBody::Settings(Box::new(settings));
        self.event(stamp, said).await.map(drop)
    }

    /// When the detectors want to be asked again.
    fn due(&self) -> Instant {
        match self.engine.deadline() {
            Some(deadline) => {
                let wait = deadline.saturating_sub(crate::clock::monotonic_ns());
                Instant::now() + Duration::from_nanos(wait)
            }
            None => Instant::now() + Duration::from_secs(3_600),
        }
    }

    async fn tick(&mut self) -> Result<(), PipelineError> {
        let stamp = self.shared.clock.stamp();
        self.event(stamp, EventBody::Tick).await.map(drop)
    }

    async fn heartbeat(&mut self) -> Result<(), PipelineError> {
        let stamp = self.shared.clock.stamp();
        let seq = self.event(stamp, EventBody::Tick).await?;
        let store = self.shared.store.clone();
        tokio::spawn(async move {
            if store.durable_through(seq).await.is_ok() {
                // Outside systemd there is nobody to tell.
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
            }
        });
        Ok(())
    }

    /// Appends one event, judges it, appends what follows.
    async fn event(&mut self, stamp: Stamp, body: EventBody) -> Result<Seq, PipelineError> {
        let message = self.messages.of_event(&body);
        let mut event = Event {
            seq: Seq(0),
            stamp,
            body,
        };
        let records = vec![Record::Event(event)];
        match message {
            Some(message) => {
                self.append_with_message(&records[0], message, stamp)
                    .await?
            }
            None => self.append(&records).await?,
        }
        let Some(Record::Event(appended)) = records.into_iter().next() else {
            return Ok(Seq(0));
        };
        event = appended;
        event.seq = self.messages.last_event;
        if matches!(event.body, EventBody::Pos(_)) {
            self.shared
                .health
                .pos_events
                .fetch_add(1, Ordering::Relaxed);
            metrics::counter!("pos_events_total").increment(1);
        }
        let seq = event.seq;
        self.engine.on_event(&event, &mut self.outcomes);
        self.tell_recorder(&event);
        self.snapshot.events += 1;
        self.publish(seq, Record::Event(event));
        if !self.outcomes.is_empty() {
            self.conclude(stamp).await?;
        }
        Ok(seq)
    }

    /// What footage is worth keeping for, before any alert or after a verdict.
    fn tell_recorder(&mut self, event: &Event) {
        let Some(clips) = &self.shared.clips else {
            return;
        };
        if let Some(span) = self.suspicion.on_event(&event.stamp, &event.body)
            && clips.records()
        {
            clips.requests.tell(Told::Suspicion(span));
        }
        if let EventBody::Review(review) = &event.body {
            clips.requests.tell(Told::Reviewed(review.alert_id));
        }
    }

    async fn append(&mut self, records: &[Record]) -> Result<(), PipelineError> {
        loop {
            match self.shared.store.append(records, Urgency::Normal) {
                Ok(range) => {
                    self.messages.last_event = range.first;
                    return Ok(());
                }
                Err(AppendError::Full { .. }) => self.shared.store.room().await,
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// An event and its message to head office, all or none.
    async fn append_with_message(
        &mut self,
        event: &Record,
        message: Message,
        stamp: Stamp,
    ) -> Result<(), PipelineError> {
        loop {
            let messages = &self.messages;
            let appended = self.shared.store.append_with(Urgency::Now, |numbers| {
                let message = messages.urgent(message.clone(), stamp, numbers);
                vec![event.clone(), message]
            });
            match appended {
                Ok(range) => {
                    self.messages.last_event = range.first;
                    return Ok(());
                }
                Err(AppendError::Full { .. }) => self.shared.store.room().await,
                Err(AppendError::OutboxFull { lane }) => {
                    outbox_refuses(lane);
                    return self.append(std::slice::from_ref(event)).await;
                }
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// Appends what the detectors concluded, with the messages for head office, all or none.
    async fn conclude(&mut self, stamp: Stamp) -> Result<(), PipelineError> {
        if self.outcomes.is_empty() {
            return Ok(());
        }
        let mut outcomes = std::mem::take(&mut self.outcomes);
        // One atomic group has a size; what a replay found missing may be much.
        let later = outcomes.split_off(outcomes.len().min(OUTCOMES_AT_ONCE));
        for outcome in &outcomes {
            self.messages.count(outcome, &self.shared);
        }
        let urgency = if outcomes.iter().any(|o| matches!(o, Outcome::Alert(_))) {
            Urgency::Now
        } else {
            Urgency::Normal
        };
        let errors = self.messages.errors_to_send(&outcomes);
        let mut with_messages = true;
        let (first, records) = loop {
            let mut kept = Vec::new();
            let messages = &self.messages;
            let appended = self.shared.store.append_with(urgency, |numbers| {
                let records = messages.records(&outcomes, &errors, stamp, numbers, with_messages);
                kept.clone_from(&records);
                records
            });
            match appended {
                Ok(range) => break (range.first, kept),
                Err(AppendError::Full { .. }) => self.shared.store.room().await,
                Err(AppendError::OutboxFull { lane }) if with_messages => {
                    outbox_refuses(lane);
                    with_messages = false;
                }
                Err(other) => return Err(other.into()),
            }
        };
        if !with_messages {
            self.refused.notify_one();
        }
        for (offset, record) in (0..).zip(records) {
            if let (Record::ClipRequest(request), Some(clips)) = (&record, &self.shared.clips) {
                clips.requests.tell(Told::Clip(Box::new(request.clone())));
            }
            if !matches!(record, Record::Outbox(_)) {
                self.publish(Seq(first.0 + offset), record);
            }
        }
        self.outcomes = later;
        if self.outcomes.is_empty() {
            // The allocation is used again.
            outcomes.clear();
            self.outcomes = outcomes;
            return Ok(());
        }
        Box::pin(self.conclude(stamp)).await
    }

    fn publish(&self, seq: Seq, record: Record) {
        if self.shared.live.receiver_count() == 0 || !live::is_shown(&record) {
            return;
        }
        let item = live::LiveItem {
            seq,
            record: Arc::new(record),
        };
        if self.live.try_send(item).is_err() {
            metrics::counter!("live_items_dropped_total").increment(1);
        }
    }

    fn maybe_snapshot(&mut self) -> Result<(), PipelineError> {
        if self
            .snapshot
            .running
            .as_ref()
            .is_some_and(|task| !task.is_finished())
        {
            return Ok(());
        }
        let often = self.snapshot.events >= failpoint::snapshot_events(SNAPSHOT_EVENTS);
        let old = self.snapshot.events > 0 && self.snapshot.at.elapsed() >= SNAPSHOT_EVERY;
        if often || old || self.snapshot.wanted.has_changed().unwrap_or(false) {
            self.save_snapshot()?;
        }
        Ok(())
    }

    /// Everything appended so far is judged: the state covers the log up to its last record.
    fn save_snapshot(&mut self) -> Result<(), PipelineError> {
        let through = self.shared.store.last_seq();
        let mut bytes = self
            .engine
            .snapshot()
            .map_err(|why| PipelineError::Snapshot(why.to_string()))?;
        self.messages.told.save(&mut bytes);
        let store = self.shared.store.clone();
        self.snapshot.events = 0;
        self.snapshot.at = Instant::now();
        self.snapshot.wanted.mark_unchanged();
        self.snapshot.running = Some(tokio::task::spawn_blocking(move || {
            if let Err(why) = store.save_snapshot(through, &bytes) {
                tracing::error!(%why, "the detectors' state was not saved; a restart replays more of the log");
            }
        }));
        Ok(())
    }
}
