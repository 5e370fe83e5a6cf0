//! A register on which stories are played: things happen at seconds, time passes in between.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

mod story;

pub use story::*;

use std::collections::BTreeMap;
use tillwatch_detect::{Engine, Outcome};
use tillwatch_protocol::alert::{Alert, AlertState};
use tillwatch_protocol::clip::{Motion, PictureState};
use tillwatch_protocol::event::{
    DrawerCommand, DrawerState, Event, EventBody, KickPin, Witness, WitnessState,
};
use tillwatch_protocol::ids::{AlertId, LogId, RegisterId, Seq, StoreCode};
use tillwatch_protocol::money::Money;
use tillwatch_protocol::pos::{PosEvent, PosEventType};
use tillwatch_protocol::receipt::{Receipt, ReceiptEnd, ReceiptKind};
use tillwatch_protocol::settings::DetectionSettings;
use tillwatch_protocol::time::{Clock, ForeignTime, SECOND_NS, Stamp};

/// Noon of 2025-10-04 UTC, when the stage's clock shows 0 s.
pub const NOON_US: i64 = 1_759_579_200_000_000;
/// The box runs for a while already when a story begins.
pub const UPTIME_S: f64 = 1_000.0;

pub const ALL: [Witness; 4] = [
    Witness::DrawerSense,
    Witness::KickLine,
    Witness::Printer,
    Witness::Pos,
];

pub fn log() -> LogId {
    LogId(uuid::Uuid::from_u128(0x7111))
}

pub struct Stage {
    pub engine: Engine,
    pub boot: u64,
    pub now_s: f64,
    pub clock: Clock,
    /// Our wall clock is ahead by this, in seconds.
    pub wall_offset_s: f64,
    next: u64,
    /// Everything that came out, with the second.
    pub outcomes: Vec<(f64, Outcome)>,
    /// Every event that went in, for replays.
    pub events: Vec<Event>,
}

impl Stage {
    /// A box that never ran before and has not said anything yet.
    pub fn empty() -> Stage {
        Stage {
            engine: Engine::new(log()),
            boot: 1,
            now_s: 0.0,
            clock: Clock::Synced,
            wall_offset_s: 0.0,
            next: 1,
            outcomes: Vec::new(),
            events: Vec::new(),
        }
    }

    /// A fresh box with everything wired, one second before the story begins.
    pub fn fresh() -> Stage {
        Stage::without(&[])
    }

    /// The same with some witnesses not wired.
    pub fn without(absent: &[Witness]) -> Stage {
        let mut stage = Stage::empty();
        stage.now_s = -1.0;
        stage.start(absent);
        stage
    }

    pub fn stamp(&self) -> Stamp {
        // Nanoseconds of a few days fit a double's mantissa.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let monotonic_ns = ((self.now_s + UPTIME_S) * SECOND_NS as f64).round() as u64;
        #[allow(clippy::cast_possible_truncation)]
        let utc_us = NOON_US + ((self.now_s + self.wall_offset_s) * 1e6).round() as i64;
        Stamp {
            boot: self.boot,
            monotonic_ns,
            utc_us,
            clock: self.clock,
        }
    }

    pub fn feed(&mut self, stamp: Stamp, body: EventBody) -> Seq {
        let event = Event {
            seq: Seq(self.next),
            stamp,
            body,
        };
        self.next += 1;
        let mut out = Vec::new();
        self.engine.on_event(&event, &mut out);
        self.outcomes
            .extend(out.into_iter().map(|outcome| (self.now_s, outcome)));
        self.events.push(event);
        Seq(self.next - 1)
    }

    pub fn happen(&mut self, body: EventBody) -> Seq {
        self.feed(self.stamp(), body)
    }

    /// Lets time pass; ticks come when they are due.
    pub fn at(&mut self, second: f64) -> &mut Self {
        while let Some(due) = self.engine.deadline() {
            #[allow(clippy::cast_precision_loss)]
            let due_s = due as f64 / SECOND_NS as f64 - UPTIME_S;
            if due_s > second {
                break;
            }
            self.now_s = self.now_s.max(due_s);
            let now = self.stamp();
            // Exactly then, which a double cannot say.
            let monotonic_ns = now.monotonic_ns.max(due);
            self.feed(
                Stamp {
                    monotonic_ns,
                    ..now
                },
                EventBody::Tick,
            );
            assert_ne!(
                self.engine.deadline(),
                Some(due),
                "a tick must move the deadline"
            );
        }
        self.now_s = second;
        self
    }

    pub fn start(&mut self, absent: &[Witness]) -> &mut Self {
        self.happen(EventBody::Started {
            version: "test".into(),
            store: StoreCode::new("S03").unwrap(),
            register: RegisterId::new("reg_02").unwrap(),
            demo: false,
        });
        for witness in ALL {
            let state = if absent.contains(&witness) {
                WitnessState::Absent
            } else {
                WitnessState::Alive
            };
            self.happen(EventBody::Witness { witness, state });
        }
        self.happen(EventBody::Drawer {
            state: DrawerState::Closed,
            initial: true,
        });
        self
    }

    pub fn settings(&mut self, change: impl FnOnce(&mut DetectionSettings)) -> &mut Self {
        let mut settings = self.engine.settings().clone();
        change(&mut settings);
        self.happen(EventBody::Settings(Box::new(settings)));
        self
    }

    pub fn witness(&mut self, witness: Witness, state: WitnessState) -> &mut Self {
        self.happen(EventBody::Witness { witness, state });
        self
    }

    pub fn loses(&mut self, witness: Witness) -> &mut Self {
        self.witness(
            witness,
            WitnessState::Lost {
                reason: "unplugged".into(),
            },
        )
    }

    pub fn regains(&mut self, witness: Witness) -> &mut Self {
        self.witness(witness, WitnessState::Alive)
    }

    pub fn gap(&mut self, witness: Witness) -> &mut Self {
        self.witness(
            witness,
            WitnessState::Gap {
                reason: "overrun".into(),
            },
        )
    }

    pub fn opens(&mut self) -> &mut Self {
        self.happen(EventBody::Drawer {
            state: DrawerState::Open,
            initial: false,
        });
        self
    }

    pub fn closes(&mut self) -> &mut Self {
        self.happen(EventBody::Drawer {
            state: DrawerState::Closed,
            initial: false,
        });
        self
    }

    pub fn picture(&mut self, camera: u8, state: PictureState) -> &mut Self {
        self.happen(EventBody::CameraPicture { camera, state });
        self
    }

    /// On the customer's side.
    pub fn motion(&mut self, camera: u8, motion: Motion) -> &mut Self {
        self.happen(EventBody::CameraMotion {
            camera,
            region: 0,
            motion,
        });
        self
    }

    /// A camera that looks at an empty customer's side.
    pub fn camera(&mut self, camera: u8) -> &mut Self {
        self.regains(Witness::Camera(camera))
            .motion(camera, Motion::Still)
            .picture(camera, PictureState::Clear)
    }

    pub fn kick(&mut self) -> &mut Self {
        self.happen(EventBody::Kick);
        self
    }

    pub fn command(&mut self, confirmed: bool) -> &mut Self {
        self.happen(EventBody::DrawerCommand(DrawerCommand {
            pin: KickPin::Two,
            on_ms: 100,
            real_time: false,
            confirmed,
        }));
        self
    }

    pub fn paper_started(&mut self) -> &mut Self {
        self.happen(EventBody::PaperStarted);
        self
    }

    pub fn prints(&mut self, receipt: Receipt) -> &mut Self {
        let stamp = self.stamp();
        let began_ns = stamp.monotonic_ns.saturating_sub(receipt.began_ns);
        let receipt = Receipt {
            began_ns,
            ended_ns: stamp.monotonic_ns,
            ..receipt
        };
        self.happen(EventBody::Receipt(Box::new(receipt)));
        self
    }

    pub fn tells(&mut self, pos: PosEvent) -> &mut Self {
        self.happen(EventBody::Pos(Box::new(pos)));
        self
    }

    /// An ordinary cash sale, from now on for 5 s.
    pub fn sale(&mut self, ticket: &str, total: i64) -> &mut Self {
        let now = self.now_s;
        self.prints(receipt(ReceiptKind::Sale).total(total).number(ticket));
        self.at(now + 0.5)
            .command(true)
            .kick()
            .at(now + 0.6)
            .opens();
        self.at(now + 1.0)
            .tells(till("payment_cleared").ticket(ticket).amount(total));
        self.at(now + 5.0).closes()
    }

    /// The newest revision of every alert, in order of their first appearance.
    pub fn alerts(&self) -> Vec<&Alert> {
        let mut order: Vec<AlertId> = Vec::new();
        let mut newest: BTreeMap<AlertId, &Alert> = BTreeMap::new();
        for (_, outcome) in &self.outcomes {
            if let Outcome::Alert(alert) = outcome {
                if !order.contains(&alert.alert_id) {
                    order.push(alert.alert_id);
                }
                let known = newest.insert(alert.alert_id, alert);
                assert_eq!(
                    known.map_or(0, |k| k.revision) + 1,
                    alert.revision,
                    "gapless revisions"
                );
            }
        }
        order.iter().map(|id| newest[id]).collect()
    }

    /// Rule and score in thousandths of the alerts that stand.
    pub fn standing(&self) -> Vec<(String, u16)> {
        self.alerts()
            .into_iter()
            .filter(|alert| alert.state == AlertState::Open)
            .map(|alert| (alert.rule.to_string(), alert.score.milli()))
            .collect()
    }

    /// Rule and reason of what was not judged.
    pub fn not_judged(&self) -> Vec<(String, String)> {
        self.outcomes
            .iter()
            .filter_map(|(_, outcome)| match outcome {
                Outcome::NotJudged(n) => Some((n.rule.to_string(), n.reason.to_string())),
                _ => None,
            })
            .collect()
    }

    pub fn notices(&self) -> Vec<String> {
        self.outcomes
            .iter()
            .filter_map(|(_, outcome)| match outcome {
                Outcome::Notice(notice) => Some(notice.code.to_string()),
                _ => None,
            })
            .collect()
    }

    /// The second at which the first alert of a rule came out.
    pub fn first_alert_at(&self, rule: &str) -> Option<f64> {
        self.outcomes
            .iter()
            .find_map(|(at, outcome)| match outcome {
                Outcome::Alert(alert) if alert.rule.as_str() == rule => Some(*at),
                _ => None,
            })
    }
}

/// A till event of a type, without anything else.
pub fn till(event_type: &str) -> PosEvent {
    PosEvent {
        event_id: "e-1".into(),
        event_type: PosEventType::from_name(event_type),
        timestamp: None,
        store_id: None,
        register_id: None,
        staff_id: None,
        order_id: None,
        ticket_no: None,
        amount: None,
        original_amount: None,
        discount_percent: None,
        items: vec![],
        metadata: tillwatch_protocol::pos::Metadata::default(),
        flags: vec![],
        body_hash: vec![0; 16],
    }
}

pub trait TillEventWith: Sized {
    fn staff(self, staff: &str) -> Self;
    fn ticket(self, ticket: &str) -> Self;
    fn order(self, order: &str) -> Self;
    fn amount(self, minor: i64) -> Self;
    fn was(self, minor: i64) -> Self;
    fn percent(self, percent: i64) -> Self;
    /// Its own time, in seconds of the stage.
    fn said_at(self, second: f64) -> Self;
}

impl TillEventWith for PosEvent {
    fn staff(self, staff: &str) -> Self {
        PosEvent {
            staff_id: Some(staff.into()),
            ..self
        }
    }
    fn ticket(self, ticket: &str) -> Self {
        PosEvent {
            ticket_no: Some(ticket.into()),
            ..self
        }
    }
    fn order(self, order: &str) -> Self {
        PosEvent {
            order_id: Some(order.into()),
            ..self
        }
    }
    fn amount(self, minor: i64) -> Self {
        PosEvent {
            amount: Some(Money(minor)),
            ..self
        }
    }
    fn was(self, minor: i64) -> Self {
        PosEvent {
            original_amount: Some(Money(minor)),
            ..self
        }
    }
    fn percent(self, percent: i64) -> Self {
        let percent = tillwatch_protocol::pos::Percent(percent * 1000);
        PosEvent {
            discount_percent: Some(percent),
            ..self
        }
    }
    fn said_at(self, second: f64) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        let utc_us = NOON_US + (second * 1e6).round() as i64;
        PosEvent {
            timestamp: Some(ForeignTime {
                utc_us,
                zoned: true,
            }),
            ..self
        }
    }
}

/// A receipt of a kind; [`Stage::prints`] fills in the times (`began_ns` is its duration here).
pub fn receipt(kind: ReceiptKind) -> Receipt {
    Receipt {
        kind,
        lines: vec!["WELCOME".into()],
        marks: vec![],
        number: None,
        cashier: None,
        total: None,
        kicks: 0,
        images: 0,
        bytes: 400,
        began_ns: SECOND_NS / 2,
        ended_ns: 0,
        end: ReceiptEnd::Cut,
        damaged: false,
    }
}

pub trait ReceiptWith: Sized {
    fn number(self, number: &str) -> Self;
    fn total(self, minor: i64) -> Self;
    fn lasting(self, seconds: u64) -> Self;
    fn damaged(self) -> Self;
    fn pictured(self) -> Self;
}

impl ReceiptWith for Receipt {
    fn number(self, number: &str) -> Self {
        Receipt {
            number: Some(number.into()),
            ..self
        }
    }
    fn total(self, minor: i64) -> Self {
        Receipt {
            total: Some(Money(minor)),
            ..self
        }
    }
    fn lasting(self, seconds: u64) -> Self {
        Receipt {
            began_ns: seconds * SECOND_NS,
            ..self
        }
    }
    fn damaged(self) -> Self {
        Receipt {
            damaged: true,
            ..self
        }
    }
    fn pictured(self) -> Self {
        Receipt {
            images: 1,
            lines: vec![],
            number: None,
            total: None,
            kind: ReceiptKind::Unknown,
            ..self
        }
    }
}
