//! The demo's camera: a drawn checkout that shows what the story does.

use crate::config::cameras::Part;
use crate::run::footage::BroughtCamera;
use std::sync::{Arc, Mutex, PoisonError};
use tillwatch_drivers::DriverError;
use tillwatch_drivers::camera::FrameSource;
use tillwatch_drivers::camera::scene::{ClockFace, Hands, SceneCamera, SceneHandle, SceneState};

/// Size and rate of the drawn pictures.
const SIZE: (u16, u16) = (640, 480);
const FPS: u16 = 10;
/// Where customers stand in the drawn pictures.
const CUSTOMER_SIDE: Part = Part {
    left: 4,
    top: 15,
    width: 76,
    height: 35,
};

/// Sets what the camera shows.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    state: Arc<Mutex<(SceneState, Option<SceneHandle>)>>,
}

impl Counter {
    /// The camera above it, as the gateway opens it.
    #[must_use]
    pub fn camera(&self) -> BroughtCamera {
        let counter = self.clone();
        let open = move || {
            let (handle, camera) = SceneCamera::new(SIZE.0, SIZE.1, FPS, now);
            let mut state = counter.state.lock().unwrap_or_else(PoisonError::into_inner);
            let shown = state.0;
            handle.update(|scene| *scene = shown);
            state.1 = Some(handle);
            Ok::<_, DriverError>(Box::new(camera) as Box<dyn FrameSource>)
        };
        BroughtCamera {
            name: "counter".into(),
            customer_side: Some(CUSTOMER_SIDE),
            open: Box::new(open),
        }
    }

    /// The drawer slides; the cashier's hands go with it. Who paid leaves when it shuts.
    pub fn drawer(&self, open: bool) {
        self.change(|scene| {
            scene.drawer_open = open;
            scene.hands = if open { Hands::Drawer } else { Hands::Counter };
            scene.customer &= open;
        });
    }

    /// The till reports something: a customer stands there, unless it is what nobody asked for.
    pub fn told(&self, topic_kind: &str, json: &str) {
        let customer = topic_kind == "discount" || json.contains("payment_cleared");
        self.change(|scene| {
            scene.customer |= customer;
            scene.hands = Hands::Counter;
        });
    }

    fn change(&self, change: impl Fn(&mut SceneState)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state.0);
        if let Some(handle) = &state.1 {
            handle.update(change);
        }
    }
}

/// The wall clock of the drawn shop: UTC.
fn now() -> ClockFace {
    let seconds = crate::clock::wall_us()
        .div_euclid(1_000_000)
        .rem_euclid(86_400);
    let part = |n: i64| u8::try_from(n).unwrap_or(0);
    [
        part(seconds / 3_600),
        part(seconds / 60 % 60),
        part(seconds % 60),
    ]
}
