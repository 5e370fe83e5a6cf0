//! The recorder over real footage on disk: what was asked for is there, frame by frame, once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tillwatch::clips::cameras::Cameras;
use tillwatch::clips::plan::{MOST_CLIPS, Span};
use tillwatch::clips::recorder::{Recorder, Requests, Told};
use tillwatch::clips::ring::RingLimits;
use tillwatch::clock::{Clocks, monotonic_ns};
use tillwatch_protocol::clip::{ClipId, ClipRequest, ClipState};
use tillwatch_protocol::{AlertId, FrameKey, Record, Score, Seq};
use tillwatch_store::media::{Clip, Media, MediaOptions, MediaState, ReserveState};
use tillwatch_store::{Store, StoreOptions, Urgency};
use tokio_util::sync::CancellationToken;

const MS: u64 = 1_000_000;
const PERIOD: Duration = Duration::from_millis(10);

/// A register's footage from its opening to its end.
struct Register {
    store: Store,
    media: Media,
    cameras: Cameras,
    requests: Requests,
    clock: Clocks,
    stop: CancellationToken,
    recorder: tokio::task::JoinHandle<()>,
}

impl Register {
    fn open(dir: &Path, ring_bytes: usize) -> Self {
        Self::with(dir, ring_bytes, ["counter", "door"])
    }

    fn with(dir: &Path, ring_bytes: usize, names: [&str; 2]) -> Self {
        let names: Vec<String> = names.map(str::to_owned).into();
        let options = StoreOptions {
            boot_id: Some("one boot".into()),
            cameras: Some(names.clone()),
            ..StoreOptions::small()
        };
        let (store, _) = Store::open(dir, options).unwrap();
        let options = MediaOptions {
            budget_bytes: 64 << 20,
            segment_bytes: 4 << 20,
            group_delay: Duration::from_millis(50),
            ..MediaOptions::default()
        };
        let (media, _) = store.open_media(options).unwrap();
        let limits = RingLimits {
            bytes: ring_bytes,
            horizon_ns: 60_000 * MS,
        };
        let cameras = Cameras::new(names, store.boot_ordinal(), monotonic_ns(), limits);
        // Much longer than it is: a busy machine's pauses are no gaps here.
        let period = u64::try_from(PERIOD.as_nanos()).unwrap() * 50;
        (0..2).for_each(|camera| cameras.working(camera, period));
        let clock = Clocks::new(store.boot_ordinal());
        let (requests, told) = Requests::channel();
        let stop = CancellationToken::new();
        let recorder = Recorder::new(store.clone(), media.clone(), cameras.clone(), clock);
        let recorder = tokio::spawn(recorder.run(told, stop.clone()));
        Self {
            store,
            media,
            cameras,
            requests,
            clock,
            stop,
            recorder,
        }
    }

    /// As the pipeline does it: into the log, then to the recorder.
    fn want(&self, n: u128, before_ms: u64, after_ms: u64) -> ClipRequest {
        let alert_id = AlertId(uuid::Uuid::from_u128(n));
        let cause = self.clock.stamp();
        let request = ClipRequest {
            clip_id: ClipId::of(alert_id),
            alert_id,
            cause,
            from_ns: cause.monotonic_ns - before_ms * MS,
            to_ns: cause.monotonic_ns + after_ms * MS,
            score: Score::from_milli(600),
            kind: "void".into(),
            staff_id: None,
        };
        let record = Record::ClipRequest(request.clone());
        self.store.append(&[record], Urgency::Now).unwrap();
        self.requests.tell(Told::Clip(Box::new(request.clone())));
        request
    }

    async fn finished(&self, request: &ClipRequest) -> std::sync::Arc<Clip> {
        let begin = Instant::now();
        loop {
            if let Some(clip) = self.media.clip(request.clip_id) {
                return clip;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "never finished");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn close(self) {
        self.stop.cancel();
        self.recorder.await.unwrap();
        let (media, store) = (self.media, self.store);
        tokio::task::spawn_blocking(move || {
            media.close();
            store.close();
        })
        .await
        .unwrap();
    }
}

/// Plays two cameras until stopped; what they showed, by camera and time.
struct Film {
    stop: CancellationToken,
    playing: tokio::task::JoinHandle<BTreeMap<(u8, u64), Bytes>>,
}

impl Film {
    fn play(cameras: &Cameras) -> Self {
        let (cameras, stop) = (cameras.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let playing = tokio::spawn(async move {
            let mut shown = BTreeMap::new();
            let mut every = tokio::time::interval(PERIOD);
            while !stopped.is_cancelled() {
                every.tick().await;
                for camera in 0..2 {
                    let at = monotonic_ns();
                    let jpeg = Bytes::from(format!("camera {camera} at {at} {}", "x".repeat(500)));
                    if cameras.push(camera, at, jpeg.clone()).is_some() {
                        shown.insert((camera, at), jpeg);
                    }
                }
            }
            shown
        });
        Self { stop, playing }
    }

    async fn end(self) -> BTreeMap<(u8, u64), Bytes> {
        self.stop.cancel();
        self.playing.await.unwrap()
    }
}

/// What a clip shows, by camera and time.
fn footage(media: &Media, request: &ClipRequest) -> BTreeMap<(u8, u64), Bytes> {
    let pin = media.pin_clip(request.clip_id).unwrap();
    let frames = pin.frames().to_vec();
    let numbers: Vec<FrameKey> = frames.iter().map(|frame| frame.key).collect();
    assert!(numbers.is_sorted(), "in order");
    frames
        .iter()
        .map(|frame| {
            let jpeg = pin.read(frame.key).unwrap();
            ((frame.key.camera, frame.monotonic_ns), jpeg)
        })
        .collect()
}

/// What was shown in a clip's window.
fn wanted(shown: &BTreeMap<(u8, u64), Bytes>, request: &ClipRequest) -> BTreeMap<(u8, u64), Bytes> {
    let window = request.from_ns..=request.to_ns;
    let inside = shown.iter().filter(|((_, at), _)| window.contains(at));
    inside.map(|(key, jpeg)| (*key, jpeg.clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_clips_show_exactly_what_the_cameras_showed_and_each_frame_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let register = Register::open(dir.path(), 8 << 20);
    let film = Film::play(&register.cameras);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut requests = Vec::new();
    for n in 0..30 {
        requests.push(register.want(n, 200, 200));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for request in &requests {
        register.finished(request).await;
    }
    let shown = film.end().await;
    let mut all = BTreeMap::new();
    for request in &requests {
        let clip = register.media.clip(request.clip_id).unwrap();
        assert_eq!(clip.report.state, ClipState::Complete);
        let there = footage(&register.media, request);
        assert_eq!(there, wanted(&shown, request));
        all.extend(there);
    }
    assert_eq!(register.media.usage().frames, all.len() as u64, "once");
    register.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_concludes_late_still_gets_what_came_before_stored_footage() {
    let dir = tempfile::tempdir().unwrap();
    let register = Register::open(dir.path(), 8 << 20);
    let film = Film::play(&register.cameras);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let first = register.want(1, 100, 100);
    register.finished(&first).await;
    let late = register.want(2, 500, 100);
    register.finished(&late).await;
    let shown = film.end().await;
    assert_eq!(footage(&register.media, &late), wanted(&shown, &late));
    register.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clip_that_a_restart_interrupts_is_finished_with_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let register = Register::open(dir.path(), 8 << 20);
    let film = Film::play(&register.cameras);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let request = register.want(1, 100, 400);
    tokio::time::sleep(Duration::from_millis(150)).await;
    let shown = film.end().await;
    register.close().await;

    tokio::time::sleep(Duration::from_millis(400)).await;
    let register = Register::open(dir.path(), 8 << 20);
    let clip = register.finished(&request).await;
    let ClipState::Partial { reason } = &clip.report.state else {
        panic!("{:?}", clip.report.state);
    };
    assert!(reason.contains("restart"), "{reason}");
    let there = footage(&register.media, &request);
    assert!(there.len() > 20);
    let wanted = wanted(&shown, &request);
    assert!(
        there
            .iter()
            .all(|frame| wanted.get(frame.0) == Some(frame.1))
    );
    // It is told once: the log has its report.
    let begin = Instant::now();
    loop {
        let records = register.store.scan(Seq(0)).unwrap();
        let reports = records.filter(|record| matches!(record, Ok((_, Record::ClipReport(_)))));
        if reports.count() == 1 {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let store = register.store.clone();
    let left = tokio::task::spawn_blocking(move || store.index().clips_unfinished(10));
    assert_eq!(left.await.unwrap(), []);
    register.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_was_put_before_another_never_shows_the_others_pictures_as_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let register = Register::with(dir.path(), 8 << 20, ["counter", "door"]);
    let film = Film::play(&register.cameras);
    tokio::time::sleep(Duration::from_millis(150)).await;
    let cut_off = register.want(1, 100, 60_000);
    tokio::time::sleep(Duration::from_millis(150)).await;
    let before = film.end().await;
    register.close().await;

    let register = Register::with(dir.path(), 8 << 20, ["aisle", "counter"]);
    let film = Film::play(&register.cameras);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let later = register.want(2, 10_000, 50);
    let named = |clip: &Clip| -> Vec<(u8, String)> {
        let tracks = clip.report.cameras.iter();
        tracks
            .map(|track| (track.camera, track.name.clone()))
            .collect()
    };
    let clip = register.finished(&cut_off).await;
    assert_eq!(named(&clip), [(0, "counter".into()), (1, "door".into())]);
    let pictures = register.media.pin_clip(cut_off.clip_id).unwrap();
    assert!(pictures.frames().iter().all(|frame| {
        let at = (frame.key.camera, frame.monotonic_ns);
        before.contains_key(&at)
    }));
    drop(pictures);

    let clip = register.finished(&later).await;
    assert_eq!(named(&clip), [(0, "aisle".into()), (1, "counter".into())]);
    let after = film.end().await;
    let pictures = register.media.pin_clip(later.clip_id).unwrap();
    assert!(pictures.frames().iter().all(|frame| {
        let at = (frame.key.camera, frame.monotonic_ns);
        after.contains_key(&at)
    }));
    drop(pictures);
    register.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_no_footage_any_more_does_not_keep_the_program_from_ending() {
    let dir = tempfile::tempdir().unwrap();
    let register = Register::open(dir.path(), 8 << 20);
    let mut reserve = register.media.reserve();
    let made = reserve.wait_for(|state| *state != ReserveState::Working);
    let _ = made.await.unwrap();
    std::fs::remove_dir_all(dir.path().join("media")).unwrap();
    let film = Film::play(&register.cameras);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let _never = register.want(1, 50, 50);
    let begin = Instant::now();
    // Behind its end it waits for pictures that the disk does not take.
    let broken = || matches!(*register.media.state().borrow(), MediaState::Broken { .. });
    while !broken() || begin.elapsed() < Duration::from_secs(2) {
        assert!(begin.elapsed() < Duration::from_secs(20), "it is written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    film.end().await;
    let closed = tokio::time::timeout(Duration::from_secs(20), register.close());
    assert!(closed.await.is_ok(), "it does not end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unexplained_opening_is_on_disk_before_any_alert_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let register = Register::open(dir.path(), 8 << 20);
    let film = Film::play(&register.cameras);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let now = monotonic_ns();
    let span = Span {
        from_ns: now - 100 * MS,
        to_ns: now + 100 * MS,
    };
    register.requests.tell(Told::Suspicion(span));
    tokio::time::sleep(Duration::from_millis(150)).await;
    let shown = film.end().await;
    let begin = Instant::now();
    let window = span.from_ns..=span.to_ns;
    let wanted = shown.keys().filter(|(_, at)| window.contains(at)).count();
    let stored = || {
        let boot = register.store.boot_ordinal();
        let pin = register.media.pin_time(boot, span.from_ns, span.to_ns);
        pin.map_or(0, |pin| pin.frames().len())
    };
    while stored() != wanted {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "{} of {wanted}",
            stored()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(register.media.clips().len(), 0);
    register.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clip_that_is_left_out_is_told_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let register = Register::open(dir.path(), 8 << 20);
    let waiting = 600_000;
    for n in 0..=MOST_CLIPS as u128 {
        register.want(n, 100, waiting);
        // The recorder takes them one by one.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let begin = Instant::now();
    let (request, report) = loop {
        let store = register.store.clone();
        let read = move || store.index().clips_not_recorded(10);
        let mut found = tokio::task::spawn_blocking(read).await.unwrap();
        assert!(found.len() <= 1, "one too many was asked for");
        if let Some(found) = found.pop() {
            break found;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "never told");
    };
    let newest = AlertId(uuid::Uuid::from_u128(MOST_CLIPS as u128));
    assert_eq!(request.alert_id, newest, "of the same score, the newest");
    let reason = "not recorded: too many clips were being recorded at once".to_owned();
    assert_eq!(report.state, ClipState::Empty { reason });
    register.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_below_its_cap_whatever_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let cap = 40_000;
    let register = Register::open(dir.path(), cap);
    let film = Film::play(&register.cameras);
    let mut requests = Vec::new();
    for n in 0..200 {
        requests.push(register.want(n, 100, 50));
        assert!(register.cameras.bytes() <= cap);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for request in &requests {
        register.finished(request).await;
        assert!(register.cameras.bytes() <= cap);
    }
    film.end().await;
    register.close().await;
}
