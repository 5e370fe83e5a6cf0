//! What the shop's two cameras see: customers, and what goes wrong with cameras.

use super::{Fact, Shop};
use tillwatch_protocol::clip::{Motion, PictureState};
use tillwatch_protocol::event::Witness;

pub const CAMERAS: [u8; 2] = [0, 1];
/// Motion is told this late at most.
const TOLD_WITHIN_S: f64 = 2.6;
/// A customer stays longer than any transaction takes.
const STAYS_S: (f64, f64) = (45.0, 70.0);

impl Shop {
    /// Cameras begin to see.
    pub(super) fn cameras_wake(&mut self, at_s: f64) {
        for camera in CAMERAS {
            self.fact(at_s, Fact::Motion(camera, Motion::Still));
            self.fact(at_s + 5.0, Fact::Picture(camera, PictureState::Clear));
        }
    }

    /// Somebody stands before the till when it is used, seen by one of the cameras at least, who
    /// now and then stands quite still for a few seconds.
    pub(super) fn customer(&mut self, began_s: f64) {
        let camera = self.eyes.of(&CAMERAS);
        let comes_s = began_s - self.eyes.between(0.0, 8.0);
        let goes_s = began_s + self.eyes.between(STAYS_S.0, STAYS_S.1);
        if comes_s > self.gone_s {
            let told_s = self.gone_s + self.eyes.between(2.0, 2.0 + TOLD_WITHIN_S);
            for camera in CAMERAS {
                self.fact(told_s.min(comes_s), Fact::Motion(camera, Motion::Still));
            }
        }
        self.gone_s = self.gone_s.max(goes_s);
        let mut at_s = comes_s;
        while at_s < goes_s {
            let told_s = at_s + self.eyes.between(0.0, TOLD_WITHIN_S);
            self.fact(told_s, Fact::Motion(camera, Motion::Moving));
            at_s += self.eyes.between(5.0, 20.0);
            if self.eyes.one_in(3) {
                let stands = self
                    .eyes
                    .of(&[Motion::Still, Motion::Still, Motion::Unjudged]);
                self.fact(at_s, Fact::Motion(camera, stands));
                at_s += self.eyes.between(2.0, 8.0);
            }
        }
        if self.eyes.one_in(60) {
            self.unplugged(began_s);
        }
    }

    /// A camera is away for a while, and shows something odd when it comes back.
    fn unplugged(&mut self, near_s: f64) {
        let camera = self.eyes.of(&CAMERAS);
        let at_s = near_s + self.eyes.between(-40.0, 40.0);
        let back_s = at_s + self.eyes.between(0.5, 300.0);
        self.fact(at_s, Fact::Loses(Witness::Camera(camera)));
        self.fact(back_s, Fact::Regains(Witness::Camera(camera)));
        let odd = self.eyes.of(&[PictureState::Dark, PictureState::Covered]);
        self.fact(back_s + 5.0, Fact::Picture(camera, odd));
        self.fact(back_s + 30.0, Fact::Picture(camera, PictureState::Clear));
    }
}
