//! A register in software for newcomers: drawer edges, ESC/POS bytes through a real pseudo
//! terminal and POS events by MQTT, played from the simulator's stories into the same drivers and
//! brokers that a shop has. Never in images.

pub mod broker;
pub mod camera;
pub mod till;

use crate::config::Config;
use crate::run::Devices;
use crate::sources::drawer::OpenLines;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tillwatch_drivers::drawer::replay::{ReplayClock, ReplayEdges, ReplayHandle};
use tillwatch_drivers::drawer::{EdgeSource, Level, LineRole};
use tillwatch_drivers::{DriverError, monotonic_ns};
use tillwatch_simulator::{
    Day, Device, Line, Player, Playing, PrinterPort, Register, Run, Stop, StoryError, SystemClock,
};
use tokio::sync::mpsc;

/// Why the demo cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A story cannot be read.
    #[error("a story of the demo cannot be played: {0}")]
    Story(#[from] StoryError),
    /// No pseudo terminal for the printer.
    #[error("the demo's printer line cannot be made: {0}")]
    Printer(#[from] tillwatch_simulator::pty::PtyError),
    /// No embedded broker.
    #[error("the embedded broker cannot start: {0}")]
    Broker(String),
    /// No threads.
    #[error("the demo's thread cannot start: {0}")]
    Thread(std::io::Error),
}

/// The simulated wires of one register.
pub struct Wires {
    edges: SharedEdges,
    printer: PrinterPort,
    counter: camera::Counter,
    pos: mpsc::Sender<(String, String)>,
}

type SharedEdges = Arc<Mutex<Edges>>;

struct Edges {
    handle: Option<ReplayHandle>,
    sense: Level,
    kick: Level,
    plugged: bool,
}

impl Wires {
    /// Makes the wires; the printer's line appears at `printer`. POS events go to `pos`.
    ///
    /// # Errors
    /// [`DemoError::Printer`] when there is no pseudo terminal.
    pub fn new(printer: &Path, pos: mpsc::Sender<(String, String)>) -> Result<Self, DemoError> {
        let edges = Edges {
            handle: None,
            sense: Level::Low,
            kick: Level::Low,
            plugged: true,
        };
        Ok(Self {
            edges: Arc::new(Mutex::new(edges)),
            printer: PrinterPort::create(printer)?,
            counter: camera::Counter::default(),
            pos,
        })
    }

    /// The drawer's lines, as the gateway opens them.
    #[must_use]
    pub fn devices(&self) -> Devices {
        let edges = self.edges.clone();
        let open: OpenLines = Box::new(move || {
            let mut edges = edges.lock().unwrap_or_else(PoisonError::into_inner);
            if !edges.plugged {
                return Err(DriverError::NotFound {
                    device: "simulated drawer".into(),
                });
            }
            let (handle, source) =
                ReplayEdges::new(ReplayClock::Monotonic, edges.sense, edges.kick);
            edges.handle = Some(handle);
            Ok(Box::new(source) as Box<dyn EdgeSource>)
        });
        Devices {
            drawer: Some((open, true)),
            cameras: vec![self.counter.camera()],
        }
    }
}

impl Register for Wires {
    fn edge(&mut self, line: Line, high: bool) {
        let level = if high { Level::High } else { Level::Low };
        if line == Line::Sense {
            self.counter.drawer(high);
        }
        let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        let role = match line {
            Line::Sense => {
                edges.sense = level;
                LineRole::Sense
            }
            Line::Kick => {
                edges.kick = level;
                LineRole::Kick
            }
        };
        if let Some(handle) = &edges.handle {
            handle.edge(role, level, monotonic_ns());
        }
    }

    fn print(&mut self, bytes: &[u8]) {
        if let Err(why) = self.printer.send(bytes) {
            tracing::warn!(%why, "the simulated printer line is gone");
        }
    }

    fn pos(&mut self, topic_kind: &str, json: &str) {
        self.counter.told(topic_kind, json);
        // A full queue means that the broker is away, as it may be in a shop.
        if self
            .pos
            .try_send((topic_kind.to_owned(), json.to_owned()))
            .is_err()
        {
            tracing::warn!(topic_kind, "the simulated till could not publish an event");
        }
    }

    fn plug(&mut self, device: Device, connected: bool) {
        match device {
            Device::Printer => {
                let done = if connected {
                    self.printer.plug()
                } else {
                    self.printer.unplug()
                };
                if let Err(why) = done {
                    tracing::warn!(%why, "the simulated printer line cannot be plugged");
                }
            }
            Device::Sense | Device::Kick => {
                let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
                edges.plugged = connected;
                if !connected && let Some(handle) = edges.handle.take() {
                    handle.fail(DriverError::Gone {
                        device: "simulated drawer".into(),
                        call: "read",
                    });
                }
            }
            Device::Pos | Device::Camera => {}
        }
    }
}

/// Plays the demo day again and again on a thread of its own.
///
/// # Errors
/// [`DemoError`] when a story cannot be read or there is no thread.
pub fn live(
    config: &Config,
    mut wires: Wires,
    stop: Stop,
    tell: impl Fn(&str, &str) + Send + 'static,
) -> Result<JoinHandle<()>, DemoError> {
    let day = Day::demo()?;
    let store = config
        .store_code
        .as_ref()
        .map_or("S01", |code| code.as_str());
    let register = config
        .register_id
        .as_ref()
        .map_or("reg_01", |id| id.as_str());
    let run = Run::fresh(store, register);
    let thread = std::thread::Builder::new().name("demo".into());
    let handle = thread.spawn(move || {
        let mut player = Player::new(run, SystemClock::default()).with_stop(stop);
        player.rest(&mut wires);
        let schedule = day.schedule();
        // Witnesses first have to come alive.
        let mut playing = player.pause(WITNESSES_READY);
        while playing == Playing::Finished {
            let mut told = None;
            playing = player.play_watched(&schedule, &mut wires, &mut |_, action, _| {
                if told != Some(action.occasion) {
                    told = Some(action.occasion);
                    let occasion = usize::try_from(action.occasion).unwrap_or(usize::MAX);
                    if let Some((_, story)) = day.stories().get(occasion) {
                        tell(&story.title, &story.description);
                    }
                }
            });
            if playing == Playing::Finished {
                playing = player.pause(Day::DEMO_PERIOD);
            }
        }
    });
    handle.map_err(DemoError::Thread)
}

/// Time for the devices to be opened and the subscriptions to be made: the first story says nothing
/// that has to be heard in its first two seconds, and somebody is waiting for the second one.
const WITNESSES_READY: std::time::Duration = std::time::Duration::from_secs(1);
