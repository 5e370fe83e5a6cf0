//! Writes to disk what cameras saw around alerts, and makes clips of it.
//!
//! One task. It is told of clips by the pipeline, which has put the request into the log together
//! with the alert; a request without a report is found again at the next start, so a power cut
//! leaves a clip with what there is. Frames go from the ring to the media without a copy; while the
//! disk stalls they wait in the ring, under its cap, and nothing here waits for them.

use super::cameras::Cameras;
use super::finish::{Interruption, finish};
use super::plan::{Plan, Span};
use crate::clock::{Clocks, monotonic_ns};
use std::collections::VecDeque;
use std::time::Duration;
use tillwatch_protocol::clip::{ClipReport, ClipRequest, ClipState};
use tillwatch_protocol::time::Stamp;
use tillwatch_protocol::{AlertId, ClipId, FrameKey, Record};
use tillwatch_store::media::{Mark, Media, MediaError, MediaEvent, Refusal, StoredFrame};
use tillwatch_store::{Store, Urgency};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Requests that wait for the recorder; a pipeline that finds no room goes on, and the recorder
/// looks the log up instead.
pub const WAITING: usize = 256;
/// Frames handed over at once, so that the ring's lock is held shortly.
const AT_ONCE: usize = 32;
/// While something is recorded, the plan is looked at this often at least.
const LOOK: Duration = Duration::from_millis(100);
/// At the end, clips that have all their pictures get this long to be finished: a disk that takes
/// nothing any more does not keep the program from ending.
const LAST: Duration = Duration::from_secs(5);
/// Clips without a report that are looked up at once.
const UNFINISHED: usize = 1_024;

/// What the recorder is told.
#[derive(Debug, Clone)]
pub enum Told {
    /// An alert wants footage.
    Clip(Box<ClipRequest>),
    /// Something opened that nothing explains yet.
    Suspicion(Span),
    /// A person has judged an alert.
    Reviewed(AlertId),
}

/// Tells the recorder. Cheap to clone; never waits.
#[derive(Debug, Clone)]
pub struct Requests(mpsc::Sender<Told>);

impl Requests {
    /// With the end that the recorder takes.
    #[must_use]
    pub fn channel() -> (Requests, mpsc::Receiver<Told>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Requests(sender), receiver)
    }

    /// Tells it. What finds no room is counted; a clip is found in the log at the next start.
    pub fn tell(&self, told: Told) {
        if self.0.try_send(told).is_err() {
            metrics::counter!("clip_requests_missed_total").increment(1);
        }
    }
}

/// The recorder.
pub struct Recorder {
    store: Store,
    media: Media,
    cameras: Cameras,
    clock: Clocks,
    plan: Plan,
    /// Frames that were put and are not on disk yet, by their place.
    underway: VecDeque<(u64, FrameKey)>,
    /// The place of the last frame that was put.
    last: u64,
    finishing: JoinSet<()>,
}

impl Recorder {
    /// A recorder that records nothing yet.
    #[must_use]
    pub fn new(store: Store, media: Media, cameras: Cameras, clock: Clocks) -> Self {
        Self {
            store,
            media,
            cameras,
            clock,
            plan: Plan::default(),
            underway: VecDeque::new(),
            last: 0,
            finishing: JoinSet::new(),
        }
    }

    /// Runs until `stop`. Clips that are not finished then are finished at the next start.
    pub async fn run(mut self, mut told: mpsc::Receiver<Told>, stop: CancellationToken) {
        let mut written = self.media.written();
        let mut events = self.media.events();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.leftovers().await;
        loop {
            let busy = !self.plan.is_idle() || !self.underway.is_empty();
            self.cameras.watch(busy);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                heard = told.recv() => match heard {
                    Some(heard) => self.hear(heard),
                    None => break,
                },
                Ok(()) = written.changed() => {}
                event = events.recv() => self.footage_event(event),
                () = self.cameras.fresh(), if busy => {}
                _ = look.tick(), if busy => {}
                Some(_) = self.finishing.join_next() => {}
            }
            self.release(*written.borrow_and_update());
            let all_put = self.record();
            self.finish_due(all_put);
        }
        self.cameras.watch(false);
        self.media.flush();
        let finished = async { while self.finishing.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST, finished).await.is_err() {
            tracing::warn!("clips wait for the disk; the next start finishes them");
        }
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Clip(request) => self.want(*request),
            Told::Suspicion(span) => self.plan.suspect(span),
            Told::Reviewed(alert) => {
                // A clip that is not there needs no mark.
                let _ = self.media.mark(ClipId::of(alert), Mark::Reviewed);
            }
        }
    }

    fn want(&mut self, request: ClipRequest) {
        let (id, boot) = (request.clip_id, request.cause.boot);
        if let Err(why) = self.media.claim(id, boot, request.from_ns, request.to_ns) {
            // Fresh footage is the last to go anyway.
            tracing::warn!(%why, clip = %id, "footage is recorded without a claim on its room");
        }
        if let Some(left_out) = self.plan.want(request) {
            metrics::counter!("clips_left_out_total").increment(1);
            self.media.release(left_out.clip_id);
            let reason = "not recorded: too many clips were being recorded at once".to_owned();
            self.report(left_out.clip_id, ClipState::Empty { reason });
        }
    }

    /// Clips that the last run was asked for and did not finish.
    async fn leftovers(&mut self) {
        self.store.index().caught_up(self.store.last_seq()).await;
        let index = self.store.clone();
        let unfinished =
            tokio::task::spawn_blocking(move || index.index().clips_unfinished(UNFINISHED)).await;
        let now = self.clock.stamp();
        for request in unfinished.unwrap_or_default() {
            let same_boot = request.cause.boot == now.boot;
            if same_boot && request.to_ns > now.monotonic_ns {
                // The rest of its window is still to come.
                self.want(request);
            } else if let Some(clip) = self.media.clip(request.clip_id)
                && clip.request.to_ns >= request.to_ns
            {
                tell_log(&self.store, clip.report.clone());
            } else {
                self.finish(request, Interruption::Restart);
            }
        }
    }

    /// Hands frames over; true when none of what is wanted is left in the ring.
    fn record(&mut self) -> bool {
        let now = self.clock.stamp();
        for span in self.plan.spans() {
            for camera in 0..self.cameras.cameras() {
                if !self.record_span(camera, span, &now) {
                    return false;
                }
            }
        }
        true
    }

    fn record_span(&mut self, camera: u8, span: Span, now: &Stamp) -> bool {
        loop {
            let frames = self
                .cameras
                .ring()
                .take(camera, span.from_ns, span.to_ns, AT_ONCE);
            if frames.is_empty() {
                return true;
            }
            let mut frames = frames.into_iter();
            while let Some(frame) = frames.next() {
                let ago_us = now.monotonic_ns.saturating_sub(frame.monotonic_ns) / 1_000;
                let stored = StoredFrame {
                    key: frame.key,
                    monotonic_ns: frame.monotonic_ns,
                    utc_us: now.utc_us.saturating_sub_unsigned(ago_us),
                    jpeg: frame.jpeg,
                };
                match self.media.put_late(stored) {
                    Ok(place) => {
                        self.last = place;
                        self.underway.push_back((place, frame.key));
                    }
                    Err(full) if full.why == Refusal::Size => {
                        // It is counted there; the camera is misbehaving.
                        self.cameras.ring().written(frame.key);
                    }
                    Err(_) => {
                        let mut ring = self.cameras.ring();
                        ring.refused(frame.key);
                        frames.for_each(|frame| ring.refused(frame.key));
                        return false;
                    }
                }
            }
        }
    }

    /// Frames that are on disk leave memory.
    fn release(&mut self, written: u64) {
        if self
            .underway
            .front()
            .is_none_or(|(place, _)| *place > written)
        {
            return;
        }
        let mut ring = self.cameras.ring();
        while let Some((_, key)) = self.underway.pop_front_if(|(place, _)| *place <= written) {
            ring.written(key);
        }
    }

    fn finish_due(&mut self, all_put: bool) {
        if self.plan.is_idle() || !all_put {
            return;
        }
        let seen = self.cameras.seen_ns();
        for request in self.plan.due(monotonic_ns(), &seen) {
            self.finish(request, Interruption::None);
        }
    }

    fn finish(&mut self, request: ClipRequest, interruption: Interruption) {
        let (media, store, cameras) =
            (self.media.clone(), self.store.clone(), self.cameras.clone());
        let (claimed, log) = (self.media.clone(), self.store.clone());
        let (last, stamp) = (self.last, self.clock.stamp());
        self.media.flush();
        self.finishing.spawn(async move {
            let mut written = media.written();
            if written.wait_for(|written| *written >= last).await.is_err() {
                return;
            }
            let done = tokio::task::spawn_blocking(move || {
                let done = finish(&media, &store, &cameras, &request, stamp, interruption);
                (done, request)
            });
            match done.await {
                Ok((Ok(report), request)) => told_finished(&report, &request, interruption),
                Ok((Err(MediaError::Closed), _)) => {}
                Ok((Err(why @ (MediaError::TooLong(_) | MediaError::NoRoom)), request)) => {
                    metrics::counter!("clips_left_out_total").increment(1);
                    claimed.release(request.clip_id);
                    let reason = format!("not recorded: {why}");
                    tracing::warn!(%why, clip = %request.clip_id, "a clip was left out");
                    tell_log(&log, not_there(request.clip_id, ClipState::Empty { reason }, stamp));
                }
                Ok((Err(why), request)) => {
                    metrics::counter!("clips_failed_total").increment(1);
                    tracing::error!(%why, clip = %request.clip_id, "a clip was not finished; the next start tries again");
                }
                Err(why) => tracing::error!(%why, "finishing a clip panicked"),
            }
        });
    }

    fn footage_event(&mut self, event: Result<MediaEvent, broadcast::error::RecvError>) {
        match event {
            Ok(MediaEvent::Dropped {
                clip_id, reason, ..
            }) => {
                metrics::counter!("clips_dropped_total").increment(1);
                self.report(clip_id, ClipState::Dropped { reason });
            }
            Ok(MediaEvent::Thinned { clip_id, .. }) => {
                if let Some(clip) = self.media.clip(clip_id) {
                    tell_log(&self.store, clip.report.clone());
                }
            }
            Ok(MediaEvent::State(state)) => tracing::warn!(?state, "footage"),
            Ok(MediaEvent::Reserve(state)) => tracing::info!(?state, "room for footage"),
            // What was missed stands in the media themselves.
            Err(_) => {}
        }
    }

    fn report(&self, clip_id: ClipId, state: ClipState) {
        tell_log(&self.store, not_there(clip_id, state, self.clock.stamp()));
    }
}

/// Of a clip of which there is no picture, or none any more.
fn not_there(clip_id: ClipId, state: ClipState, stamp: Stamp) -> ClipReport {
    ClipReport {
        clip_id,
        state,
        cameras: Vec::new(),
        stamp,
    }
}

fn tell_log(store: &Store, report: ClipReport) {
    let clip_id = report.clip_id;
    if let Err(why) = store.append(&[Record::ClipReport(report)], Urgency::Normal) {
        tracing::warn!(%why, clip = %clip_id, "the log does not tell of a clip yet");
    }
}

fn told_finished(report: &ClipReport, request: &ClipRequest, interruption: Interruption) {
    let state = match &report.state {
        ClipState::Complete => "complete",
        ClipState::Partial { .. } => "partial",
        ClipState::Empty { .. } => "empty",
        ClipState::Dropped { .. } => "dropped",
    };
    metrics::counter!("clips_total", "state" => state).increment(1);
    let last = report.cameras.iter().map(|track| track.last_ns).max();
    if let Some(last) = last.filter(|_| interruption == Interruption::None) {
        let latency_ns = monotonic_ns().saturating_sub(last);
        #[allow(clippy::cast_precision_loss)] // a time of milliseconds
        metrics::histogram!("correlation_latency_ms").record(latency_ns as f64 / 1e6);
    }
    tracing::info!(clip = %request.clip_id, alert = %request.alert_id, state, "clip");
}
