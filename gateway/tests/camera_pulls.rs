//! A camera that is pulled in the middle of clips, twenty times, in the whole program: what it showed
//! until then and afterwards is kept, what is missing shows as a gap, and nothing stays behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

use bytes::Bytes;
use jpeg_encoder::{ColorType, Encoder};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tillwatch::Shared;
use tillwatch::clock::monotonic_ns;
use tillwatch::config::layers::Given;
use tillwatch::config::{Config, Layers};
use tillwatch::run::footage::BroughtCamera;
use tillwatch::run::{self, Devices, RunError, Started};
use tillwatch::sources::camera::OpenCamera;
use tillwatch_drivers::DriverError;
use tillwatch_drivers::camera::replay::{CameraHandle, ChannelCamera};
use tillwatch_drivers::camera::{CameraFormat, Encoding, Frame};
use tillwatch_protocol::{
    ClipId, ClipRequest, ClipState, ClipTrack, EventBody, Record, Seq, Witness, WitnessState,
};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PULLS: usize = 20;
const PERIOD: Duration = Duration::from_millis(20);
const PERIOD_NS: u64 = 20_000_000;
/// A device is in use again so soon after its return.
const BACK: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);
/// The window and what a rule may take to conclude.
const HORIZON_NS: u64 = 48_000_000_000;
const WIDTH: u16 = 64;
const HEIGHT: u16 = 48;

fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What a camera's plug is in.
#[derive(Default)]
enum Plug {
    /// It delivers as soon as it is opened.
    #[default]
    In,
    /// It can be opened and delivers nothing.
    Silent,
    /// There is no such device.
    Out,
    /// Somebody else has it.
    Busy,
}

/// A camera of the test's own behind the trait that all cameras have.
#[derive(Clone, Default)]
struct Camera(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    plug: Plug,
    /// While it is open.
    handle: Option<CameraHandle>,
    opened: usize,
    /// Every picture that it delivered, by its time.
    shown: BTreeMap<u64, Bytes>,
}

impl Camera {
    fn open(&self) -> OpenCamera {
        let camera = self.clone();
        Box::new(move || {
            let mut inside = camera.0.lock().unwrap();
            let device = "the test's camera".to_owned();
            match inside.plug {
                Plug::Out => return Err(DriverError::NotFound { device }),
                Plug::Busy => {
                    let source = std::io::Error::from_raw_os_error(nix::libc::EBUSY);
                    return Err(DriverError::Io {
                        device,
                        call: "open",
                        source,
                    });
                }
                Plug::In | Plug::Silent => {}
            }
            let format = CameraFormat {
                width: WIDTH,
                height: HEIGHT,
                millihertz: 50_000,
                encoding: Encoding::Mjpeg,
            };
            let (handle, source) = ChannelCamera::new(&device, format);
            inside.handle = Some(handle);
            inside.opened += 1;
            Ok(Box::new(source) as _)
        })
    }

    /// Delivers a picture now, when it is open and has something to show.
    fn show(&self, jpeg: &Bytes) {
        let mut inside = self.0.lock().unwrap();
        let (Plug::In, Some(handle)) = (&inside.plug, &inside.handle) else {
            return;
        };
        let monotonic_ns = monotonic_ns();
        handle.frame(Frame {
            jpeg: jpeg.clone(),
            monotonic_ns,
            width: WIDTH,
            height: HEIGHT,
        });
        inside.shown.insert(monotonic_ns, jpeg.clone());
    }

    fn plug(&self, plug: Plug) {
        let mut inside = self.0.lock().unwrap();
        if matches!(plug, Plug::Out | Plug::Busy)
            && let Some(handle) = inside.handle.take()
        {
            handle.fail(DriverError::Gone {
                device: "the test's camera".to_owned(),
                call: "poll",
            });
        }
        inside.plug = plug;
    }

    fn shown(&self) -> BTreeMap<u64, Bytes> {
        self.0.lock().unwrap().shown.clone()
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().shown.len()
    }

    /// Waits until so many more pictures were delivered.
    fn goes_on(&self, more: usize) {
        let before = self.count();
        wait_for("pictures", || (self.count() >= before + more).then_some(()));
    }
}

/// Pictures that differ, so that nobody takes the camera for frozen.
fn pictures() -> Vec<Bytes> {
    let picture = |number: usize| {
        let (width, height) = (usize::from(WIDTH), usize::from(HEIGHT));
        let luma: Vec<u8> = (0..width * height)
            .map(|at| if at % width / 4 == number { 220 } else { 90 })
            .collect();
        let mut jpeg = Vec::new();
        let encoder = Encoder::new(&mut jpeg, 80);
        encoder
            .encode(&luma, WIDTH, HEIGHT, ColorType::Luma)
            .unwrap();
        Bytes::from(jpeg)
    };
    (0..16).map(picture).collect()
}

/// The whole program in this process, with two cameras that are played as long as it runs.
struct Register {
    runtime: Runtime,
    shared: Shared,
    web: std::net::SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
    player: std::thread::JoinHandle<()>,
    _config: watch::Sender<Arc<Config>>,
}

impl Register {
    fn start(folder: &Path, cameras: &[Camera; 2]) -> Self {
        let config = format!(
            "store_code = \"S03\"\nregister_id = \"reg_02\"\ndata = \"{}\"\n\
             [web]\nlisten = \"127.0.0.1:0\"\n[storage]\nmedia_mib = 64\n[clips]\nwindow_s = 3\nring_mib = 8\n",
            folder.join("data").display()
        );
        let file = folder.join("tillwatch.toml");
        std::fs::write(&file, config).unwrap();
        let layers = Layers::load(&Given {
            file: Some(file),
            ..Given::default()
        })
        .unwrap();
        let brought = cameras
            .iter()
            .zip(["counter", "door"])
            .map(|(camera, name)| BroughtCamera {
                name: name.to_owned(),
                customer_side: None,
                open: camera.open(),
            });
        let devices = Devices {
            cameras: brought.collect(),
            ..Devices::default()
        };
        let runtime = Runtime::new().unwrap();
        let (config, reload) = watch::channel(Arc::new(layers.config().clone()));
        let shutdown = CancellationToken::new();
        let (started, up) = oneshot::channel();
        let stop = shutdown.clone();
        let running = runtime.spawn(run::run(layers, false, devices, stop, reload, |up| {
            let _ = started.send(up);
        }));
        let Started { web, shared } = runtime.block_on(up).unwrap();
        let (played, ended) = (cameras.clone(), shutdown.clone());
        let player = std::thread::spawn(move || {
            for picture in pictures().iter().cycle() {
                if ended.is_cancelled() {
                    return;
                }
                played.iter().for_each(|camera| camera.show(picture));
                std::thread::park_timeout(PERIOD);
            }
        });
        Self {
            runtime,
            shared,
            web,
            shutdown,
            running,
            player,
            _config: config,
        }
    }

    fn void(&self, n: usize) {
        let body = json!({"event_id": format!("v-{n}"), "event_type": "void_transaction"});
        let mut answer = ureq::post(format!("http://{}/api/pos-events", self.web))
            .header("content-type", "application/json")
            .header("connection", "close")
            .send(body.to_string())
            .unwrap();
        assert_eq!(
            answer.status(),
            200,
            "{:?}",
            answer.body_mut().read_to_string()
        );
    }

    fn get(&self, path: &str) -> Value {
        let request = ureq::get(format!("http://{}{path}", self.web)).header("connection", "close");
        let text = request.call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn log(&self) -> Vec<Record> {
        let records = self.shared.store.scan(Seq(0)).unwrap();
        records.map(|record| record.unwrap().1).collect()
    }

    fn requests(&self) -> Vec<ClipRequest> {
        let log = self.log().into_iter();
        log.filter_map(|record| match record {
            Record::ClipRequest(request) => Some(request),
            _ => None,
        })
        .collect()
    }

    /// What was told of the pulled camera: how often it was lost and how often alive.
    fn told(&self) -> (usize, usize) {
        let (mut lost, mut alive) = (0, 0);
        for record in self.log() {
            if let Record::Event(event) = record
                && let EventBody::Witness {
                    witness: Witness::Camera(0),
                    state,
                } = event.body
            {
                lost += usize::from(matches!(state, WitnessState::Lost { .. }));
                alive += usize::from(state == WitnessState::Alive);
            }
        }
        (lost, alive)
    }

    fn stop(self) {
        self.shutdown.cancel();
        self.runtime.block_on(self.running).unwrap().unwrap();
        self.player.join().unwrap();
    }
}

/// Threads by name, but for those of pools, which come and go with the work, and open files.
fn held() -> (Vec<String>, usize) {
    let mut threads: Vec<String> = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .filter(|name| !name.starts_with("tokio") && !name.starts_with("sled"))
        .collect();
    threads.sort();
    (threads, std::fs::read_dir("/proc/self/fd").unwrap().count())
}

/// A track shows what the camera showed in the window, and every time without pictures as a gap.
fn is_what_was_shown(
    register: &Register,
    request: &ClipRequest,
    track: &ClipTrack,
    shown: &BTreeMap<u64, Bytes>,
) -> BTreeSet<u64> {
    let pin = register
        .shared
        .clips
        .as_ref()
        .unwrap()
        .media
        .pin_clip(request.clip_id)
        .unwrap();
    let frames = pin.of(track.camera).to_vec();
    let there: BTreeMap<u64, Bytes> = frames
        .iter()
        .map(|frame| (frame.monotonic_ns, pin.read(frame.key).unwrap()))
        .collect();
    assert_eq!(there.len(), frames.len());
    let wanted: BTreeMap<u64, Bytes> = shown
        .range(request.from_ns..=request.to_ns)
        .map(|(at, jpeg)| (*at, jpeg.clone()))
        .collect();
    assert_eq!(
        there.keys().collect::<Vec<_>>(),
        wanted.keys().collect::<Vec<_>>(),
        "{}: every picture, in order, once",
        track.name
    );
    assert!(there == wanted, "{}: the camera's own pictures", track.name);
    let times: Vec<u64> = wanted.into_keys().collect();
    let gaps: Vec<(u64, u64)> = times
        .windows(2)
        .map(|pair| (pair[0], pair[1]))
        .filter(|(from, to)| to - from > 3 * PERIOD_NS)
        .collect();
    assert_eq!(track.gaps, gaps);
    times.into_iter().collect()
}

#[test]
fn twenty_pulls_leave_gaps_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let cameras = [Camera::default(), Camera::default()];
    let register = Register::start(folder.path(), &cameras);
    let pulled = &cameras[0];
    cameras.iter().for_each(|camera| camera.goes_on(50));
    let mut lost = 0;
    let mut before = None;
    for n in 0..PULLS {
        register.void(n);
        pulled.goes_on(10);
        let silent = n % 4 == 3;
        let pull = match n % 4 {
            3 => Plug::Silent,
            2 => Plug::Busy,
            _ => Plug::Out,
        };
        pulled.plug(pull);
        if !silent {
            lost += 1;
            wait_for("the loss to be told", || {
                (register.told().0 == lost).then_some(())
            });
        }
        // The other one does not care.
        cameras[1].goes_on(25);
        let opened = pulled.0.lock().unwrap().opened;
        let returned = Instant::now();
        if n % 4 == 1 {
            // Back, and still silent when it is opened.
            pulled.plug(Plug::Silent);
            wait_for("it to be opened", || {
                (pulled.0.lock().unwrap().opened > opened).then_some(())
            });
            assert!(returned.elapsed() < BACK, "{:?}", returned.elapsed());
            assert_eq!(register.told(), (lost, lost), "silent is not alive");
        }
        pulled.plug(Plug::In);
        pulled.goes_on(1);
        assert!(
            returned.elapsed() < BACK,
            "pull {n}: back after {:?}",
            returned.elapsed()
        );
        wait_for("its return to be told", || {
            (register.told() == (lost, lost + 1)).then_some(())
        });
        if n == 3 {
            before = Some(held());
        }
    }
    let clips = register.shared.clips.as_ref().unwrap();
    let requests = register.requests();
    assert_eq!(requests.len(), PULLS);
    let finished = |id: ClipId| wait_for("a clip", || clips.media.clip(id));
    let mut stored = [BTreeSet::new(), BTreeSet::new()];
    let recorded: Vec<_> = requests
        .iter()
        .map(|request| (request, finished(request.clip_id)))
        .collect();
    let shown = cameras.each_ref().map(Camera::shown);
    for (request, clip) in recorded {
        let tracks = &clip.report.cameras;
        assert_eq!(tracks.len(), 2);
        let ClipState::Partial { reason } = &clip.report.state else {
            panic!("{:?}", clip.report);
        };
        assert!(reason.contains("counter has"), "{reason}");
        assert!(!tracks[0].gaps.is_empty());
        for ((track, shown), stored) in tracks.iter().zip(&shown).zip(&mut stored) {
            stored.extend(is_what_was_shown(&register, request, track, shown));
        }
    }
    // It is counted.
    let status = register.get("/api/status");
    let part = &status["parts"]["camera0"];
    assert_eq!(
        (&part["state"], &part["reopened"]),
        (&json!("up"), &json!(lost))
    );
    assert_eq!(status["parts"]["camera1"]["reopened"], 0);
    let told = register.get("/api/events/range?start=2000-01-01&end=2200-01-01&limit=1000");
    let of_camera = |state: &str| {
        let rows = told.as_array().unwrap().iter();
        rows.filter(|row| row.to_string().contains("camera 0") && row.to_string().contains(state))
            .count()
    };
    assert_eq!((of_camera("lost"), of_camera("alive")), (lost, lost + 1));
    assert_eq!(register.shared.frames_dropped(), 0);

    // Nothing stays behind: not in memory, not in the system.
    cameras.iter().for_each(|camera| camera.plug(Plug::Silent));
    let all: u64 = cameras.iter().map(|camera| camera.count() as u64).sum();
    wait_for("the last pictures", || {
        (register.shared.health.frames.load(Ordering::Relaxed) == all).then_some(())
    });
    let usage = clips.media.usage();
    assert_eq!(
        usage.frames,
        (stored[0].len() + stored[1].len()) as u64,
        "each once"
    );
    assert_eq!((usage.waiting_bytes, usage.pins, usage.claims), (0, 0, 0));
    // What no clip wanted and may still be asked for, and what each shows now.
    let shown = cameras.each_ref().map(Camera::shown);
    let newest = shown
        .each_ref()
        .map(|shown| *shown.keys().next_back().unwrap());
    let horizon_ns = newest.iter().max().unwrap() - HORIZON_NS;
    let mut left = 0;
    for ((shown, stored), newest) in shown.iter().zip(&stored).zip(newest) {
        let kept = shown
            .iter()
            .filter(|(at, _)| **at == newest || (**at >= horizon_ns && !stored.contains(at)));
        left += kept.map(|(_, jpeg)| jpeg.len()).sum::<usize>();
    }
    assert_eq!(clips.cameras.bytes(), left);
    let (threads, files) = before.unwrap();
    wait_for("threads and files to be as before", || {
        let now = held();
        (now.0 == threads && now.1 <= files).then_some(())
    });
    register.stop();
}

#[test]
fn a_camera_that_is_not_there_at_the_start_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let cameras = [Camera::default(), Camera::default()];
    cameras[0].plug(Plug::Out);
    let register = Register::start(folder.path(), &cameras);
    let told = |what: &str, so| wait_for(what, || (register.told() == so).then_some(()));
    told("that it is not there", (1, 0));
    // It is tried again meanwhile.
    cameras[1].goes_on(100);
    assert_eq!(register.told(), (1, 0));
    cameras[0].plug(Plug::In);
    told("that it came", (1, 1));
    register.stop();
}
