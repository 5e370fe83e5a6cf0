//! What cameras said of the customer's side in the last minutes.

use crate::recent::Window;
use crate::witness::WitnessLedger;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use tillwatch_protocol::clip::{Motion, PictureState};
use tillwatch_protocol::event::Witness;
use tillwatch_protocol::time::{MILLISECOND_NS, MonotonicNs, SECOND_NS};

/// Cameras that are remembered; what further ones say is not heard, and counted.
pub const CAMERAS: usize = 8;
/// Changes that are remembered per camera, of motion and of the picture each: at least eight
/// minutes of motion, because one region is told of at most once in two seconds.
pub const CHANGES: usize = 256;
/// The region where customers stand.
const CUSTOMER_SIDE: u8 = 0;
/// Motion is told at most this long after it began: it has to last for two looks, and a region is
/// told of at most once in two seconds. The same holds for pictures that stay away.
pub const MOTION_TOLD_WITHIN_NS: u64 = 3 * SECOND_NS;
/// A blind picture is told at most this long after it began: one that repeats itself is called
/// frozen after ten seconds.
pub const PICTURE_TOLD_WITHIN_NS: u64 = 10 * SECOND_NS + 500 * MILLISECOND_NS;

/// What holds from when on; `None` where nothing holds any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct History<T> {
    changes: VecDeque<(MonotonicNs, Option<T>)>,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self {
            changes: VecDeque::new(),
        }
    }
}

impl<T: Copy + PartialEq> History<T> {
    fn tell(&mut self, at_ns: MonotonicNs, what: Option<T>) {
        // Threads stamp what they say before they are heard: order is that of the log.
        let at_ns = self.changes.back().map_or(at_ns, |(at, _)| at_ns.max(*at));
        if self.changes.back().is_some_and(|(_, last)| *last == what) {
            return;
        }
        if self.changes.len() == CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((at_ns, what));
    }

    /// What held at the beginning of a window, `None` when that is not known, and every change
    /// until its end.
    fn through(&self, window: Window) -> impl Iterator<Item = Option<T>> + '_ {
        let before = self
            .changes
            .iter()
            .rev()
            .find(|(at, _)| *at <= window.from_ns)
            .and_then(|(_, what)| *what);
        let within = self
            .changes
            .iter()
            .filter(move |(at, _)| *at > window.from_ns && *at <= window.to_ns)
            .map(|(_, what)| *what);
        std::iter::once(before).chain(within)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Camera {
    motion: History<Motion>,
    picture: History<PictureState>,
    /// Something was said of its customer's side since the start.
    has_side: bool,
}

/// Whether anybody was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Something moved before at least one camera.
    Somebody,
    /// These cameras watched through the whole window, and nothing moved before any of them.
    Nobody(Vec<u8>),
    /// No camera looks at the customer's side.
    NoCamera,
    /// A camera that looks at it was not able to see: a short word and why.
    Unable(&'static str, String),
}

/// What cameras said of the customer's side in the last minutes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomerSide {
    cameras: BTreeMap<u8, Camera>,
    unheard: u64,
}

impl CustomerSide {
    /// How much was said by cameras that are one too many.
    #[must_use]
    pub fn unheard(&self) -> u64 {
        self.unheard
    }

    fn camera(&mut self, number: u8) -> Option<&mut Camera> {
        if self.cameras.len() >= CAMERAS && !self.cameras.contains_key(&number) {
            self.unheard = self.unheard.saturating_add(1);
            return None;
        }
        Some(self.cameras.entry(number).or_default())
    }

    pub(crate) fn note_motion(
        &mut self,
        number: u8,
        region: u8,
        motion: Motion,
        at_ns: MonotonicNs,
    ) {
        if region == CUSTOMER_SIDE
            && let Some(camera) = self.camera(number)
        {
            camera.has_side = true;
            camera.motion.tell(at_ns, Some(motion));
        }
    }

    pub(crate) fn note_picture(&mut self, number: u8, state: PictureState, at_ns: MonotonicNs) {
        if let Some(camera) = self.camera(number) {
            camera.picture.tell(at_ns, Some(state));
        }
    }

    /// A camera came, went, or lost something: what it said before holds no longer.
    pub(crate) fn note_break(&mut self, number: u8, at_ns: MonotonicNs) {
        if let Some(camera) = self.cameras.get_mut(&number) {
            camera.motion.tell(at_ns, None);
            camera.picture.tell(at_ns, None);
        }
    }

    /// The gateway started: every camera has to say anew what it sees, and whether it has a
    /// customer's side.
    pub(crate) fn started(&mut self) {
        self.cameras.clear();
    }

    /// Whether any camera looks at the customer's side, as far as is known.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.cameras.values().any(|camera| camera.has_side)
    }

    /// Whether somebody was there in a window. Known for good only
    /// [`PICTURE_TOLD_WITHIN_NS`] after its end.
    #[must_use]
    pub fn seen(&self, window: Window, witnesses: &WitnessLedger) -> Seen {
        let looking = || self.cameras.iter().filter(|(_, camera)| camera.has_side);
        let told_late = |late_ns: u64| Window {
            from_ns: window.from_ns,
            to_ns: window.to_ns.saturating_add(late_ns),
        };
        let motions = told_late(MOTION_TOLD_WITHIN_NS);
        let moving = |camera: &Camera| {
            let mut motions = camera.motion.through(motions);
            motions.any(|motion| motion == Some(Motion::Moving))
        };
        if looking().any(|(_, camera)| moving(camera)) {
            return Seen::Somebody;
        }
        let mut watched = Vec::new();
        for (number, camera) in looking() {
            let witness = Witness::Camera(*number);
            // No look back beyond its first sign of life: it has to have watched.
            let Window { from_ns, to_ns } = motions;
            if let Err(doubt) = witnesses.alive_through(witness, from_ns, from_ns, to_ns) {
                return Seen::Unable(doubt.reason(), doubt.text(witness));
            }
            let mut pictures = camera.picture.through(told_late(PICTURE_TOLD_WITHIN_NS));
            if pictures.any(|picture| picture != Some(PictureState::Clear)) {
                let text =
                    format!("the picture of {witness} was not clear through the whole window");
                return Seen::Unable("picture_unclear", text);
            }
            let mut motions = camera.motion.through(motions);
            if motions.any(|motion| motion != Some(Motion::Still)) {
                let text = format!("{witness} could not judge motion through the whole window");
                return Seen::Unable("motion_unjudged", text);
            }
            watched.push(*number);
        }
        if watched.is_empty() {
            Seen::NoCamera
        } else {
            Seen::Nobody(watched)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::event::WitnessState;

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_not_known() {
        let mut side = CustomerSide::default();
        let mut ledger = WitnessLedger::default();
        ledger.report(Witness::Camera(0), &WitnessState::Alive, 0);
        side.note_picture(0, PictureState::Clear, 0);
        for n in 0..1_000 {
            let motion = [Motion::Unjudged, Motion::Still][usize::from(n % 2 == 1)];
            side.note_motion(0, 0, motion, n);
        }
        assert_eq!(side.cameras[&0].motion.changes.len(), CHANGES);
        let window = |from_ns, to_ns| Window { from_ns, to_ns };
        assert_eq!(
            side.seen(window(999, 2_000), &ledger),
            Seen::Nobody(vec![0])
        );
        let forgotten = side.seen(window(10, 20), &ledger);
        assert!(matches!(forgotten, Seen::Unable("motion_unjudged", _)));
        for number in 0..=255 {
            side.note_motion(number, 0, Motion::Still, 1_000);
        }
        assert_eq!((side.cameras.len(), side.unheard()), (CAMERAS, 248));
    }
}
