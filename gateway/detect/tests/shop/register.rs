//! The box in the shop: it sees only what its witnesses can see.

use super::eyes::CAMERAS;
use super::{Fact, Shop};
use crate::stage::*;
use std::collections::BTreeMap;
use tillwatch_detect::Engine;
use tillwatch_protocol::clip::{Motion, PictureState};
use tillwatch_protocol::event::{
    DrawerCommand, DrawerState, EventBody, KickPin, Witness, WitnessState,
};
use tillwatch_protocol::ids::{RegisterId, StoreCode};
use tillwatch_protocol::pos::PosEvent;
use tillwatch_protocol::receipt::Receipt;
use tillwatch_protocol::settings::ReceiptPolicy;
use tillwatch_protocol::time::Clock;

/// Events between two saved states.
const SAVED_EVERY: usize = 1_000;

struct Watching {
    stage: Stage,
    absent: Vec<Witness>,
    up: bool,
    drawer: DrawerState,
    /// Breaks of a witness that are under way.
    away: BTreeMap<Witness, u32>,
    /// What waits in the broker while the feed is away.
    queued: Vec<PosEvent>,
    lost_while_printing: bool,
    policy: Option<ReceiptPolicy>,
    /// What cameras would say now, whether or not anybody listens.
    shown: BTreeMap<u8, (Motion, PictureState)>,
    /// The newest saved state, and how many events it covers.
    saved: (Vec<u8>, usize),
}

/// Plays the facts of a shop that began with `policy`.
pub fn watch(shop: &Shop, policy: ReceiptPolicy) -> Stage {
    let mut absent = Vec::new();
    if !shop.habits.kick_line {
        absent.push(Witness::KickLine);
    }
    let mut stage = Stage::empty();
    stage.now_s = -1.0;
    stage.wall_offset_s = shop.habits.our_clock_s;
    if !shop.habits.clock_set_at_s.is_nan() {
        stage.clock = Clock::Unsynced;
    }
    stage.start(&absent);
    for camera in CAMERAS {
        stage.camera(camera);
    }
    stage.settings(|to| {
        to.receipt_policy = policy;
        to.timezone = "Europe/Berlin".into();
    });
    let mut watching = Watching {
        saved: (stage.engine.snapshot().unwrap(), stage.events.len()),
        stage,
        absent,
        up: true,
        drawer: DrawerState::Closed,
        away: BTreeMap::new(),
        queued: Vec::new(),
        lost_while_printing: false,
        policy: None,
        shown: CAMERAS
            .iter()
            .map(|camera| (*camera, (Motion::Still, PictureState::Clear)))
            .collect(),
    };
    for ((at_us, _), fact) in &shop.facts {
        #[allow(clippy::cast_precision_loss)]
        watching.see(*at_us as f64 / 1e6, fact.clone());
    }
    let mut stage = watching.stage;
    let end = stage.now_s + 1_200.0;
    stage.at(end);
    stage
}

impl Watching {
    fn sees(&self, witness: Witness) -> bool {
        self.up
            && !self.absent.contains(&witness)
            && self.away.get(&witness).copied().unwrap_or(0) == 0
    }

    fn see(&mut self, at_s: f64, fact: Fact) {
        if self.up {
            self.stage.at(at_s);
        } else {
            self.stage.now_s = at_s;
        }
        match fact {
            Fact::Command if self.sees(Witness::Printer) => {
                self.stage.happen(EventBody::DrawerCommand(DrawerCommand {
                    pin: KickPin::Two,
                    on_ms: 100,
                    real_time: false,
                    confirmed: true,
                }));
            }
            Fact::Kick if self.sees(Witness::KickLine) => {
                self.stage.kick();
            }
            Fact::Drawer(state) => {
                let changed = self.drawer != state;
                self.drawer = state;
                if changed && self.sees(Witness::DrawerSense) {
                    let initial = false;
                    self.stage.happen(EventBody::Drawer { state, initial });
                }
            }
            Fact::PaperStarted => {
                self.lost_while_printing = false;
                if self.sees(Witness::Printer) {
                    self.stage.paper_started();
                }
            }
            Fact::Printed(receipt) if self.sees(Witness::Printer) => {
                let damaged = self.lost_while_printing;
                self.stage.prints(Receipt {
                    damaged,
                    ..*receipt
                });
            }
            Fact::Told(event) if self.sees(Witness::Pos) => {
                self.stage.tells(*event);
            }
            Fact::Told(event) => self.queued.push(*event),
            Fact::Loses(witness) if !self.absent.contains(&witness) => {
                *self.away.entry(witness).or_default() += 1;
                self.lost_while_printing |= witness == Witness::Printer;
                if self.up {
                    self.stage.loses(witness);
                }
            }
            Fact::Regains(witness) if !self.absent.contains(&witness) => {
                let count = self.away.entry(witness).or_default();
                *count = count.saturating_sub(1);
                if *count == 0 && self.up {
                    self.regains(witness);
                }
            }
            Fact::Gap(witness) if self.sees(witness) => {
                self.lost_while_printing |= witness == Witness::Printer;
                self.stage.gap(witness);
                if witness == Witness::DrawerSense {
                    self.tell_drawer();
                }
            }
            Fact::Picture(camera, state) => {
                self.shown.entry(camera).and_modify(|shown| shown.1 = state);
                if self.sees(Witness::Camera(camera)) {
                    self.stage.picture(camera, state);
                }
            }
            Fact::Motion(camera, motion) => {
                self.shown
                    .entry(camera)
                    .and_modify(|shown| shown.0 = motion);
                if self.sees(Witness::Camera(camera)) {
                    self.stage.motion(camera, motion);
                }
            }
            Fact::Stops if self.up => {
                let reason = "test".into();
                self.stage.happen(EventBody::Stopped { reason });
                self.up = false;
                self.lost_while_printing = true;
            }
            Fact::Starts { new_boot } if !self.up => self.start(new_boot),
            Fact::OurClock { steps_s } => self.stage.wall_offset_s += steps_s,
            Fact::OurClockIsSet => {
                self.stage.wall_offset_s = 0.0;
                self.stage.clock = Clock::Synced;
            }
            // Told at the next start when the box is down.
            Fact::Policy(policy) => self.policy = Some(policy),
            _ => {}
        }
        if self.up
            && let Some(policy) = self.policy.take()
        {
            self.stage.settings(|to| to.receipt_policy = policy);
        }
        if self.stage.events.len() >= self.saved.1 + SAVED_EVERY {
            self.saved = (
                self.stage.engine.snapshot().unwrap(),
                self.stage.events.len(),
            );
        }
    }

    fn start(&mut self, new_boot: bool) {
        self.up = true;
        self.stage.boot += u64::from(new_boot);
        // From the saved state and the log behind it, which concluded already.
        let mut engine = Engine::new(log());
        engine.restore(&self.saved.0).unwrap();
        let mut concluded = Vec::new();
        for event in &self.stage.events[self.saved.1..] {
            engine.on_event(event, &mut concluded);
        }
        self.stage.engine = engine;
        self.stage.happen(EventBody::Started {
            version: "test".into(),
            store: StoreCode::new("S03").unwrap(),
            register: RegisterId::new("reg_02").unwrap(),
            demo: false,
        });
        for camera in CAMERAS {
            self.stage.motion(camera, Motion::Unjudged);
        }
        for witness in ALL.into_iter().chain(CAMERAS.map(Witness::Camera)) {
            if self.absent.contains(&witness) {
                self.stage.witness(witness, WitnessState::Absent);
            } else if self.sees(witness) {
                self.regains(witness);
            } else {
                self.stage.loses(witness);
            }
        }
    }

    fn tell_drawer(&mut self) {
        self.stage.happen(EventBody::Drawer {
            state: self.drawer,
            initial: true,
        });
    }

    fn regains(&mut self, witness: Witness) {
        self.stage.witness(witness, WitnessState::Alive);
        match witness {
            Witness::DrawerSense => self.tell_drawer(),
            Witness::Camera(camera) => {
                let (motion, picture) = self.shown[&camera];
                self.stage.motion(camera, motion).picture(camera, picture);
            }
            Witness::Pos => {
                for event in std::mem::take(&mut self.queued) {
                    self.stage.tells(event);
                }
            }
            _ => {}
        }
    }
}
