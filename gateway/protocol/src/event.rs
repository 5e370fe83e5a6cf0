//! Everything that happens at a register, in one ordered stream.

use crate::alert::Review;
use crate::clip::{Motion, PictureState};
use crate::finding::Notice;
use crate::ids::{RegisterId, Seq, StoreCode};
use crate::pos::PosEvent;
use crate::receipt::Receipt;
use crate::settings::DetectionSettings;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its position in the log. Not part of the stored body: the log knows it.
    #[serde(skip)]
    pub seq: Seq,
    /// When it happened; for edges the kernel's own time.
    pub stamp: Stamp,
    /// What happened.
    pub body: EventBody,
}

/// Where an event comes from, and what can fall silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// The drawer's sense switch.
    DrawerSense,
    /// The electrical kick line.
    KickLine,
    /// The printer tap.
    Printer,
    /// The till's own events.
    Pos,
    /// A camera, by its place in the configuration.
    Camera(u8),
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DrawerSense => f.write_str("drawer sense line"),
            Self::KickLine => f.write_str("kick line"),
            Self::Printer => f.write_str("printer tap"),
            Self::Pos => f.write_str("POS feed"),
            Self::Camera(n) => write!(f, "camera {n}"),
        }
    }
}

/// Whether a witness can be believed when it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WitnessState {
    /// Not configured on this register.
    Absent,
    /// Open, connected and able to report from this moment on.
    Alive,
    /// Cannot report: unplugged, disconnected, failing.
    Lost {
        /// What failed, in a few words.
        reason: String,
    },
    /// It reported, but something was lost on the way at this moment (GPIO edges, bytes).
    Gap {
        /// What was lost.
        reason: String,
    },
}

/// The two positions of a drawer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawerState {
    /// UnifiedPOS `DrawerOpened` true, `CASH_SUE_DRAWEROPEN`.
    Open,
    /// `CASH_SUE_DRAWERCLOSED`.
    Closed,
}

/// The connector pin that is pulsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KickPin {
    /// Drawer 1.
    Two,
    /// Drawer 2.
    Five,
}

/// A drawer command seen on the printer's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawerCommand {
    /// Which drawer.
    pub pin: KickPin,
    /// Length of the pulse asked for, in milliseconds.
    pub on_ms: u16,
    /// `DLE DC4`: acts at once. Otherwise in print order, up to 15 s later.
    pub real_time: bool,
    /// False when it was found inside a payload, where it may be chance.
    pub confirmed: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventBody {
    /// The daemon started. Every witness is unknown until it says otherwise.
    Started {
        /// Version of the program.
        version: String,
        /// The store.
        store: StoreCode,
        /// The register.
        register: RegisterId,
        /// Demo records are marked.
        demo: bool,
    },
    /// The daemon stopped in order.
    Stopped {
        /// Why.
        reason: String,
    },
    /// From here on these settings hold.
    Settings(Box<DetectionSettings>),
    /// A witness appeared or fell silent.
    Witness {
        /// Which.
        witness: Witness,
        /// What it can say now.
        state: WitnessState,
    },
    /// The drawer's sense switch settled on another level.
    Drawer {
        /// Open or closed.
        state: DrawerState,
        /// Its level when the witness came alive, not a change.
        initial: bool,
    },
    /// An electrical pulse on the kick line.
    Kick,
    /// A drawer command on the printer's wire.
    DrawerCommand(DrawerCommand),
    /// The first printable byte of a document.
    PaperStarted,
    /// A document was printed.
    Receipt(Box<Receipt>),
    /// The till reported something.
    Pos(Box<PosEvent>),
    /// Time passed for those who wait: the detectors' deadlines are due.
    Tick,
    /// A person judged an alert.
    Review(Review),
    /// The wall clock was set, or moved.
    ClockCorrection {
        /// How far wall time moved, in microseconds.
        offset_us: i64,
        /// How sure the clock is now, in microseconds.
        error_us: u64,
    },
    /// A notice for the technician that was raised outside the detectors.
    Notice(Notice),
    /// A camera's picture became something else.
    CameraPicture {
        /// The camera, by its place in the configuration.
        camera: u8,
        /// What can be seen on it now.
        state: PictureState,
    },
    /// Movement began or ended before a camera.
    CameraMotion {
        /// The camera, by its place in the configuration.
        camera: u8,
        /// The region, by its place in that camera's configuration.
        region: u8,
        /// Whether something moves there now.
        motion: Motion,
    },
}

impl EventBody {
    /// A short word for logs and metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Stopped { .. } => "stopped",
            Self::Settings(_) => "settings",
            Self::Witness { .. } => "witness",
            Self::Drawer { .. } => "drawer",
            Self::Kick => "kick",
            Self::DrawerCommand(_) => "drawer_command",
            Self::PaperStarted => "paper_started",
            Self::Receipt(_) => "receipt",
            Self::Pos(_) => "pos",
            Self::Tick => "tick",
            Self::Review(_) => "review",
            Self::ClockCorrection { .. } => "clock_correction",
            Self::Notice(_) => "notice",
            Self::CameraPicture { .. } => "camera_picture",
            Self::CameraMotion { .. } => "camera_motion",
        }
    }
}
