use super::*;
use crate::camera::blinding::{BlindingDetector, Look, Sight};
use crate::camera::jpeg::fingerprint;
use crate::camera::luma::{Luma, LumaReader};
use crate::camera::motion::{Motion, MotionConfig, MotionDetector};

const SECOND: u64 = 1_000_000_000;

/// A camera with its judges, looked at five times a second.
struct Watched {
    scene: Scene,
    reader: LumaReader,
    luma: Luma,
    motion: MotionDetector,
    sight: BlindingDetector,
    now_ns: u64,
}

impl Watched {
    fn new() -> Self {
        Self {
            scene: Scene::new(320, 240),
            reader: LumaReader::new(),
            luma: Luma::default(),
            motion: MotionDetector::new(&[CUSTOMER_SIDE, DRAWER], MotionConfig::default()),
            sight: BlindingDetector::new(),
            now_ns: 0,
        }
    }

    /// What customer's side and drawer are said to do after so many seconds of `state`.
    fn after(&mut self, seconds: u64, state: SceneState) -> [Option<Motion>; 2] {
        for _ in 0..seconds * 5 {
            self.now_ns += SECOND / 5;
            let second = (self.now_ns / SECOND % 60) as u8;
            let frame = self.scene.draw(state, [14, 34, second], self.now_ns);
            let frame = frame.expect("a frame");
            self.reader
                .read(&frame.jpeg, &mut self.luma)
                .expect("a JPEG");
            self.motion.observe(&self.luma, self.now_ns, &mut |_| {});
            self.sight
                .observe(&self.luma, fingerprint(&frame.jpeg), self.now_ns);
        }
        [0, 1].map(|region| self.motion.motion(region))
    }
}

#[test]
fn the_scene_shows_to_the_judges_what_it_is_told() {
    use Motion::{Moving, Still};
    let mut camera = Watched::new();
    let empty = SceneState::default();
    assert_eq!(camera.after(12, empty), [Some(Still), Some(Still)]);
    // The clock goes on, so it is not frozen.
    assert_eq!(camera.sight.sight(), Some(Sight::Clear));

    let customer = SceneState {
        customer: true,
        ..empty
    };
    assert_eq!(camera.after(4, customer), [Some(Moving), Some(Still)]);
    let taking = SceneState {
        drawer_open: true,
        hands: Hands::Drawer,
        ..empty
    };
    camera.after(3, empty);
    assert_eq!(camera.after(3, taking), [Some(Still), Some(Moving)]);
    assert_eq!(camera.after(4, empty), [Some(Still), Some(Still)]);

    let dark = SceneState {
        light: false,
        ..empty
    };
    camera.after(6, dark);
    assert_eq!(camera.sight.sight(), Some(Sight::Dark));
    let covered = SceneState {
        covered: true,
        ..empty
    };
    camera.after(6, covered);
    assert_eq!(camera.sight.sight(), Some(Sight::Covered));
    camera.after(6, empty);
    assert_eq!(camera.sight.sight(), Some(Sight::Clear));
    assert!(Look::of(&camera.luma).edges > 50);
}

#[test]
fn every_size_is_drawn() {
    for (width, height) in [(1, 1), (320, 240), (641, 479), (1920, 1080)] {
        let mut scene = Scene::new(width, height);
        let all = SceneState {
            customer: true,
            drawer_open: true,
            hands: Hands::Drawer,
            ..SceneState::default()
        };
        for now_ns in [0, 20 * SECOND] {
            let frame = scene.draw(all, [23, 59, 59], now_ns).expect("a frame");
            let info = crate::camera::jpeg::check(&frame.jpeg).expect("a JPEG");
            assert_eq!((info.width, info.height), (frame.width, frame.height));
        }
    }
}

#[test]
fn a_scene_is_a_camera_whose_picture_is_set_from_outside() {
    let (handle, mut camera) = SceneCamera::new(320, 240, 50, || [12, 0, 0]);
    let mut next = || loop {
        let frame = camera.next(Duration::from_secs(5)).expect("no end");
        if let Some(frame) = frame {
            return frame;
        }
    };
    let before = next();
    handle.update(|state| state.covered = true);
    assert!(handle.state().covered);
    let after = next();
    assert_ne!(fingerprint(&before.jpeg), fingerprint(&after.jpeg));
    assert!(after.monotonic_ns > before.monotonic_ns);
    assert_eq!(camera.counters().delivered, 2);
}
