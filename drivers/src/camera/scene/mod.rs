//! A drawn checkout in place of a camera, for demonstrations.
//!
//! Seen from above the cashier: the wall and the customer's side, the counter, the till's drawer
//! and the cashier's hands. What happens is set from outside through a [`SceneHandle`], so that
//! it agrees with what the other simulated devices do; the clock on the wall shows the time it
//! is given. All drawing is our own.

mod canvas;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::encode::Compressor;
use super::pace::Pace;
use super::{CameraCounters, CameraFormat, Encoding, Frame, FrameSource, Region};
use crate::error::DriverError;
use canvas::{Canvas, Colour};

/// The part of the picture where customers stand; the clock is outside of it.
pub const CUSTOMER_SIDE: Region = Region {
    left: 40,
    top: 150,
    width: 760,
    height: 350,
};
/// The part of the picture with the drawer.
pub const DRAWER: Region = Region {
    left: 560,
    top: 620,
    width: 400,
    height: 360,
};

/// Drawn at this size, shown at any.
const WIDTH: i32 = 640;
const HEIGHT: i32 = 480;
/// A customer walks in or out in this time.
const WALK_NS: u64 = 1_500_000_000;
/// A drawer slides out or in in this time.
const SLIDE_NS: u64 = 300_000_000;

/// Where the cashier's hands are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hands {
    /// Not in the picture.
    #[default]
    Away,
    /// On the counter.
    Counter,
    /// In the drawer, if it is open.
    Drawer,
}

/// What is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SceneState {
    /// Somebody stands on the customer's side.
    pub customer: bool,
    /// The drawer is open.
    pub drawer_open: bool,
    /// The cashier's hands.
    pub hands: Hands,
    /// The light is on.
    pub light: bool,
    /// Something covers the lens.
    pub covered: bool,
}

impl Default for SceneState {
    /// An empty shop with its light on.
    fn default() -> Self {
        Self {
            customer: false,
            drawer_open: false,
            hands: Hands::Away,
            light: true,
            covered: false,
        }
    }
}

/// Sets what a [`SceneCamera`] shows.
#[derive(Debug, Clone)]
pub struct SceneHandle {
    state: Arc<Mutex<SceneState>>,
}

impl SceneHandle {
    /// Changes it, seen from the next frame on.
    pub fn update(&self, change: impl FnOnce(&mut SceneState)) {
        change(&mut lock(&self.state));
    }

    /// What is to be seen now.
    pub fn state(&self) -> SceneState {
        *lock(&self.state)
    }
}

fn lock(state: &Mutex<SceneState>) -> MutexGuard<'_, SceneState> {
    // A state is whole after every change, whoever panicked.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hour, minute and second.
pub type ClockFace = [u8; 3];

/// Draws the scene. Time is passed in.
#[derive(Debug)]
pub struct Scene {
    width: u16,
    height: u16,
    background: Canvas,
    canvas: Canvas,
    compressor: Compressor,
    /// Per mille of the way that customer and drawer have gone.
    customer: i32,
    drawer: i32,
    last_ns: Option<u64>,
}

impl Scene {
    /// Of a size in pixels; at least 64 × 48, at most 1920 × 1440.
    pub fn new(width: u16, height: u16) -> Self {
        let (width, height) = (width.clamp(64, 1920), height.clamp(48, 1440));
        let mut background = Canvas::new(width, height, (WIDTH, HEIGHT));
        shop(&mut background);
        Self {
            width,
            height,
            canvas: background.clone(),
            background,
            compressor: Compressor::default(),
            customer: 0,
            drawer: 0,
            last_ns: None,
        }
    }

    /// The scene at `now_ns`, as a JPEG. Customer and drawer move towards what `state` says.
    pub fn draw(&mut self, state: SceneState, clock: ClockFace, now_ns: u64) -> Option<Frame> {
        let passed = self.last_ns.map_or(0, |last| now_ns.saturating_sub(last));
        self.last_ns = Some(now_ns);
        approach(&mut self.customer, state.customer, passed, WALK_NS);
        approach(&mut self.drawer, state.drawer_open, passed, SLIDE_NS);

        let canvas = &mut self.canvas;
        canvas.copy_from(&self.background);
        let [hour, minute, second] = clock;
        canvas.text(512, 28, &format!("{hour:02}:{minute:02}:{second:02}"));
        if self.customer > 0 {
            customer(canvas, self.customer, now_ns);
        }
        counter(canvas);
        drawer(canvas, self.drawer);
        hands(canvas, state.hands, self.drawer, now_ns);
        if !state.light {
            canvas.scale_light(24);
        }
        if state.covered {
            canvas.fill(Colour(92, 78, 70));
        }
        let (width, height) = (self.width, self.height);
        let jpeg = self.compressor.rgb(canvas.pixels(), width, height)?;
        Some(Frame {
            jpeg,
            monotonic_ns: now_ns,
            width,
            height,
        })
    }
}

fn approach(way: &mut i32, wanted: bool, passed_ns: u64, whole_ns: u64) {
    let step = i32::try_from(passed_ns.min(whole_ns) * 1000 / whole_ns).unwrap_or(1000);
    *way = (*way + if wanted { step } else { -step }).clamp(0, 1000);
}

/// -1000 to 1000 and back in `period_ns`.
fn swing(now_ns: u64, period_ns: u64) -> i32 {
    let phase = i32::try_from(now_ns % period_ns * 4000 / period_ns).unwrap_or(0);
    match phase {
        0..1000 => phase,
        1000..3000 => 2000 - phase,
        _ => phase - 4000,
    }
}

fn shop(canvas: &mut Canvas) {
    canvas.fill(Colour(196, 190, 178));
    canvas.rectangle(0, 240, WIDTH, 60, Colour(120, 112, 104));
    // A door and shelves with boxes.
    canvas.rectangle(24, 60, 92, 190, Colour(98, 74, 56));
    canvas.rectangle(34, 72, 72, 80, Colour(170, 196, 210));
    for shelf in 0..3 {
        let top = 66 + shelf * 58;
        canvas.rectangle(150, top + 40, 330, 8, Colour(110, 84, 60));
        for one in 0..9 {
            let (tone, height) = (
                (one * 53 + shelf * 91) % 150,
                22 + (one * 7 + shelf * 5) % 16,
            );
            let colour = Colour(90 + tone as u8, 200 - tone as u8, 80 + (tone / 2) as u8);
            canvas.rectangle(156 + one * 36, top + 40 - height, 28, height, colour);
        }
    }
    canvas.rectangle(500, 18, 124, 36, Colour(24, 24, 28));
}

fn customer(canvas: &mut Canvas, way: i32, now_ns: u64) {
    let x = -80 + way * 380 / 1000 + swing(now_ns, 2_600_000_000) * 10 / 1000;
    let arm = swing(now_ns, 1_700_000_000) * 16 / 1000;
    canvas.ellipse(x, 200, 62, 110, Colour(52, 66, 110));
    canvas.ellipse(x, 98, 30, 38, Colour(214, 170, 140));
    canvas.ellipse(x, 74, 31, 20, Colour(60, 42, 30));
    canvas.ellipse(x + 58, 214 + arm, 18, 40, Colour(44, 56, 94));
}

fn counter(canvas: &mut Canvas) {
    canvas.rectangle(0, 262, WIDTH, 42, Colour(150, 108, 70));
    canvas.rectangle(0, 304, WIDTH, HEIGHT - 304, Colour(84, 80, 78));
    canvas.rectangle(60, 250, 120, 40, Colour(40, 40, 44));
}

fn drawer(canvas: &mut Canvas, way: i32) {
    canvas.rectangle(380, 250, 230, 66, Colour(54, 56, 60));
    canvas.rectangle(400, 258, 110, 40, Colour(40, 120, 110));
    let length = way * 130 / 1000;
    canvas.rectangle(372, 316, 246, length + 16, Colour(30, 30, 34));
    for row in 0..2 {
        for column in 0..5 {
            let (x, y) = (382 + column * 46, 320 + row * 60);
            let height = (length - row * 60 - 8).clamp(0, 52);
            canvas.rectangle(x, y, 40, height, Colour(180, 176, 160));
            let notes = Colour(120, 160 - row as u8 * 60, 90 + column as u8 * 12);
            canvas.rectangle(x + 6, y + 6, 28, (height - 12).max(0), notes);
        }
    }
    canvas.rectangle(372, 316 + length, 246, 16, Colour(70, 72, 78));
}

fn hands(canvas: &mut Canvas, hands: Hands, drawer: i32, now_ns: u64) {
    let skin = Colour(206, 160, 130);
    let moved = swing(now_ns, 900_000_000) * 14 / 1000;
    let (x, y) = match hands {
        Hands::Away => return,
        Hands::Drawer if drawer > 500 => (490, 380),
        Hands::Counter | Hands::Drawer => (250, 330),
    };
    for (side, moved) in [(-34, moved), (34, -moved)] {
        canvas.rectangle(x + side - 14, y + moved, 28, HEIGHT, Colour(150, 40, 44));
        canvas.ellipse(x + side, y + moved, 20, 26, skin);
    }
}

/// A [`Scene`] as a camera.
pub struct SceneCamera {
    scene: Scene,
    state: Arc<Mutex<SceneState>>,
    clock: Box<dyn FnMut() -> ClockFace + Send>,
    pace: Pace,
    format: CameraFormat,
    counters: CameraCounters,
}

impl std::fmt::Debug for SceneCamera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SceneCamera")
            .field("format", &self.format)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl SceneCamera {
    /// A camera of a size in pixels (see [`Scene::new`]) and a rate in frames per second; `clock`
    /// says what the clock on the wall shows.
    pub fn new(
        width: u16,
        height: u16,
        fps: u16,
        clock: impl FnMut() -> ClockFace + Send + 'static,
    ) -> (SceneHandle, Self) {
        let scene = Scene::new(width, height);
        let state = Arc::new(Mutex::new(SceneState::default()));
        let format = CameraFormat {
            width: scene.width,
            height: scene.height,
            millihertz: u32::from(fps.max(1)) * 1000,
            encoding: Encoding::Mjpeg,
        };
        let camera = Self {
            scene,
            state: Arc::clone(&state),
            clock: Box::new(clock),
            pace: Pace::new(format.period_ns()),
            format,
            counters: CameraCounters::default(),
        };
        (SceneHandle { state }, camera)
    }
}

impl FrameSource for SceneCamera {
    fn next(&mut self, timeout: Duration) -> Result<Option<Frame>, DriverError> {
        let Some(due) = self.pace.wait(timeout) else {
            return Ok(None);
        };
        self.counters.lost += due.lost;
        let state = *lock(&self.state);
        let frame = self.scene.draw(state, (self.clock)(), due.at_ns);
        match &frame {
            Some(_) => self.counters.delivered += 1,
            None => self.counters.refused += 1,
        }
        Ok(frame)
    }

    fn format(&self) -> &CameraFormat {
        &self.format
    }

    fn counters(&self) -> CameraCounters {
        self.counters
    }
}

#[cfg(test)]
mod tests;
