//! The stories' expectations, judged by the detectors themselves: wires through the drivers,
//! events through the engine, every tick at its time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;
use tillwatch_detect::{Engine, Outcome};
use tillwatch_drivers::drawer::{
    self, KickChange, KickConfig, KickDetector, Level, SenseConfig, SenseDebouncer,
};
use tillwatch_drivers::printer::escpos::{self, KickPin as WirePin};
use tillwatch_drivers::printer::receipt::{End, FramerConfig, FramerEvent, ReceiptTap};
use tillwatch_drivers::printer::transaction::{self, DocumentKind};
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::event::{DrawerCommand, DrawerState, KickPin};
use tillwatch_protocol::pos::{ParseContext, parse_pos_event};
use tillwatch_protocol::receipt::{ReceiptEnd, ReceiptKind};
use tillwatch_protocol::{
    Alert, AlertId, Clock, DetectionSettings, Event, EventBody, LogId, Money, Receipt, RegisterId,
    Seq, Stamp, StoreCode, Witness, WitnessState,
};
use tillwatch_simulator::story::WARM_UP;
use tillwatch_simulator::{
    Day, Device, Expected, Happened, JumpClock, Line, Player, Recorder, Run, Schedule, Story,
};

/// 2025-10-04 14:34:15 UTC, inside opening hours.
const EPOCH_US: i64 = 1_759_588_455_000_000;
/// How finely time passes.
const STEP_NS: u64 = 5_000_000;

/// A register: drivers and engine, and what came out.
struct Gateway {
    engine: Engine,
    seq: u64,
    now_ns: u64,
    tap: ReceiptTap,
    sense: SenseDebouncer,
    kick: KickDetector,
    /// The newest revision, and when it came.
    alerts: BTreeMap<AlertId, (Alert, u64)>,
    begin_ns: u64,
    notices: Vec<String>,
    not_judged: Vec<String>,
}

fn level(high: bool) -> Level {
    if high { Level::High } else { Level::Low }
}

impl Gateway {
    fn start(settings: DetectionSettings, kick_line: bool) -> Self {
        let mut gateway = Self {
            engine: Engine::new(LogId(uuid::Uuid::nil())),
            seq: 0,
            now_ns: 1_000_000_000,
            tap: ReceiptTap::new(escpos::Config::default(), FramerConfig::default()),
            sense: SenseDebouncer::new(SenseConfig::new(Level::High)),
            kick: KickDetector::new(KickConfig {
                active_level: Level::High,
            }),
            alerts: BTreeMap::new(),
            begin_ns: 0,
            notices: Vec::new(),
            not_judged: Vec::new(),
        };
        gateway.event(EventBody::Started {
            version: "0".into(),
            store: StoreCode::new("S03").unwrap(),
            register: RegisterId::new("R1").unwrap(),
            demo: true,
        });
        gateway.event(EventBody::Settings(Box::new(settings)));
        for (witness, wired) in [
            (Witness::DrawerSense, true),
            (Witness::KickLine, kick_line),
            (Witness::Printer, true),
            (Witness::Pos, true),
        ] {
            let state = if wired {
                WitnessState::Alive
            } else {
                WitnessState::Absent
            };
            gateway.event(EventBody::Witness { witness, state });
        }
        let found = gateway.sense.found(Level::Low, gateway.now_ns).unwrap();
        gateway.drawer(found);
        gateway
    }

    fn event(&mut self, body: EventBody) {
        self.event_at(body, self.now_ns);
    }

    fn event_at(&mut self, body: EventBody, at_ns: u64) {
        self.seq += 1;
        let event = Event {
            seq: Seq(self.seq),
            stamp: Stamp {
                boot: 1,
                monotonic_ns: at_ns,
                utc_us: EPOCH_US + i64::try_from(at_ns / 1_000).unwrap(),
                clock: Clock::Synced,
            },
            body,
        };
        let mut outcomes = Vec::new();
        self.engine.on_event(&event, &mut outcomes);
        for outcome in outcomes {
            match outcome {
                Outcome::Alert(alert) => {
                    self.alerts.insert(alert.alert_id, (alert, self.now_ns));
                }
                Outcome::Notice(notice) => self.notices.push(notice.code.into_owned()),
                Outcome::NotJudged(it) => self.not_judged.push(it.rule.as_str().to_owned()),
                Outcome::Finding(_) => {}
            }
        }
    }

    fn drawer(&mut self, change: drawer::DrawerChange) {
        let state = match change.state {
            drawer::DrawerState::Open => DrawerState::Open,
            drawer::DrawerState::Closed => DrawerState::Closed,
        };
        let initial = change.initial;
        self.event_at(EventBody::Drawer { state, initial }, change.at_ns);
    }

    fn kicked(&mut self, changes: impl IntoIterator<Item = KickChange>) {
        for change in changes {
            if let KickChange::Started { at_ns } = change {
                self.event_at(EventBody::Kick, at_ns);
            }
        }
    }

    fn paper(&mut self, events: Vec<FramerEvent>) {
        for event in events {
            match event {
                FramerEvent::PaperStarted { at_ns } => {
                    self.event_at(EventBody::PaperStarted, at_ns);
                }
                FramerEvent::Kick(kick) => {
                    let pin = match kick.kick.pin {
                        WirePin::Two => KickPin::Two,
                        WirePin::Five => KickPin::Five,
                    };
                    let command = DrawerCommand {
                        pin,
                        on_ms: kick.kick.on_ms,
                        real_time: kick.kick.real_time,
                        confirmed: kick.kick.confirmed,
                    };
                    self.event_at(EventBody::DrawerCommand(command), kick.at_ns);
                }
                FramerEvent::DisplayText { .. } => {}
                FramerEvent::Document(document) => {
                    let lines: Vec<String> =
                        document.lines.iter().map(|l| l.text.clone()).collect();
                    let borrowed: Vec<&str> = lines.iter().map(String::as_str).collect();
                    let read = transaction::read(&borrowed, 2);
                    let kind = match read.kind {
                        DocumentKind::Sale => ReceiptKind::Sale,
                        DocumentKind::TransactionVoid => ReceiptKind::TransactionVoid,
                        DocumentKind::Return => ReceiptKind::Return,
                        DocumentKind::NoSale => ReceiptKind::NoSale,
                        DocumentKind::Reprint => ReceiptKind::Reprint,
                        other => panic!("no story prints a {other:?}"),
                    };
                    let receipt = Receipt {
                        kind,
                        lines,
                        marks: Vec::new(),
                        number: read.number,
                        cashier: read.cashier,
                        total: read.total.map(Money),
                        kicks: 0,
                        images: document.images,
                        bytes: document.bytes,
                        began_ns: document.started_ns,
                        ended_ns: document.ended_ns,
                        end: match document.end {
                            End::Cut => ReceiptEnd::Cut,
                            _ => ReceiptEnd::Idle,
                        },
                        damaged: document.damaged,
                    };
                    self.event(EventBody::Receipt(Box::new(receipt)));
                }
            }
        }
    }

    fn pass(&mut self, until_ns: u64) {
        while self.now_ns < until_ns {
            self.now_ns = (self.now_ns + STEP_NS).min(until_ns);
            let now = self.now_ns;
            let mut events = Vec::new();
            self.tap.idle(now, &mut |event| events.push(event));
            self.paper(events);
            if let Some(change) = self.sense.poll(now) {
                self.drawer(change);
            }
            let changes = self.kick.poll(now);
            self.kicked(changes);
            while self.engine.deadline().is_some_and(|due| due <= now) {
                let before = self.engine.deadline();
                self.event(EventBody::Tick);
                assert_ne!(self.engine.deadline(), before, "a tick does not end");
            }
        }
    }

    fn happened(&mut self, happened: &Happened) {
        let now = self.now_ns;
        match happened {
            Happened::Edge { line, high } => match line {
                Line::Sense => {
                    if let Some(change) = self.sense.edge(level(*high), now) {
                        self.drawer(change);
                    }
                }
                Line::Kick => {
                    let changes = self.kick.edge(level(*high), now);
                    self.kicked(changes);
                }
            },
            Happened::Print(bytes) => {
                let mut events = Vec::new();
                self.tap.feed(bytes, now, &mut |event| events.push(event));
                self.paper(events);
            }
            Happened::Pos { json, .. } => {
                let context = ParseContext {
                    zone: jiff::tz::TimeZone::UTC,
                    minor_digits: 2,
                };
                let event = parse_pos_event(json.as_bytes(), &context).unwrap();
                self.event(EventBody::Pos(Box::new(event)));
            }
            Happened::Plug { device, connected } => {
                let witness = match device {
                    Device::Printer => Witness::Printer,
                    Device::Sense => Witness::DrawerSense,
                    Device::Kick => Witness::KickLine,
                    Device::Pos => Witness::Pos,
                    Device::Camera => Witness::Camera(0),
                };
                let state = if *connected {
                    WitnessState::Alive
                } else {
                    let reason = "unplugged".into();
                    WitnessState::Lost { reason }
                };
                self.event(EventBody::Witness { witness, state });
            }
        }
    }

    /// Plays a schedule that begins `after` the start, and waits until everything is decided.
    fn play(&mut self, schedule: &Schedule, after: Duration, settled: Duration) {
        let begin = self.now_ns + u64::try_from(after.as_nanos()).unwrap();
        self.begin_ns = begin;
        let clock = JumpClock::starting_at(EPOCH_US + i64::try_from(begin / 1_000).unwrap());
        let mut player = Player::new(Run::new("store_001", "reg_01", 42), clock);
        let mut redelivered = std::collections::BTreeSet::new();
        player.play_watched(schedule, &mut Recorder::default(), &mut |at, _, what| {
            self.pass(begin + u64::try_from(at.as_nanos()).unwrap());
            // Redelivery is recognised before the log, not by the detectors.
            let again =
                matches!(what, Happened::Pos { json, .. } if !redelivered.insert(json.clone()));
            if !again {
                self.happened(what);
            }
        });
        self.pass(begin + u64::try_from(settled.as_nanos()).unwrap());
    }

    /// Alerts that stand, with the time since the beginning.
    fn standing(&self) -> Vec<(&Alert, Duration)> {
        let since = |at_ns: u64| Duration::from_nanos(at_ns.saturating_sub(self.begin_ns));
        let standing = self.alerts.values();
        let standing = standing.filter(|(alert, _)| alert.state == AlertState::Open);
        standing.map(|(alert, at)| (alert, since(*at))).collect()
    }
}

fn check(name: &str, gateway: &Gateway, expect: &[(Duration, &Expected)]) -> Result<(), String> {
    let mut left = gateway.standing();
    let shown = |alert: &Alert| {
        let rules: Vec<_> = alert
            .contributions
            .iter()
            .map(|c| c.rule.as_str())
            .collect();
        format!(
            "{} {} r{} by {} {rules:?}",
            alert.kind, alert.score, alert.revision, alert.rule
        )
    };
    let all: Vec<String> = left.iter().map(|(alert, _)| shown(alert)).collect();
    for (start, expected) in expect {
        let fits = |(alert, at): &(&Alert, Duration)| {
            let by = expected.by_ms.map(|ms| *start + Duration::from_millis(ms));
            let rule = expected.rule.as_deref();
            by.is_none_or(|by| *at <= by)
                && alert.kind == expected.kind
                && alert.score.milli() == expected.score_milli()
                && alert.revision >= expected.revisions
                && rule.is_none_or(|rule| {
                    alert.rule.as_str() == rule
                        || alert.contributions.iter().any(|c| c.rule.as_str() == rule)
                })
        };
        match left.iter().position(fits) {
            Some(index) => drop(left.remove(index)),
            None => return Err(format!("{name}: no {expected:?} in {all:#?}")),
        }
    }
    if !left.is_empty() {
        return Err(format!("{name}: more than expected: {all:#?}"));
    }
    Ok(())
}

fn settings(story: &Story) -> DetectionSettings {
    let settings = serde_json::Value::Object(story.settings.clone());
    serde_json::from_value(settings).unwrap()
}

#[test]
fn every_story_is_judged_as_it_expects() {
    let mut wrong = Vec::new();
    for story in Story::all().unwrap() {
        let mut gateway = Gateway::start(settings(&story), story.kick_line);
        gateway.play(&story.schedule(), WARM_UP, story.settled_after());
        let expected = story.expect.iter();
        let expect: Vec<_> = expected.map(|e| (Duration::ZERO, e)).collect();
        wrong.extend(check(&story.name, &gateway, &expect).err());
        if gateway.notices != story.notices {
            wrong.push(format!("{}: notices {:?}", story.name, gateway.notices));
        }
        if gateway.not_judged != story.not_judged {
            wrong.push(format!(
                "{}: not judged {:?}",
                story.name, gateway.not_judged
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_demo_day_of_a_fresh_register_is_judged_as_its_stories_expect() {
    let day = Day::demo().unwrap();
    let mut gateway = Gateway::start(DetectionSettings::default(), true);
    gateway.play(&day.schedule(), Duration::ZERO, day.settled_after());
    let expect: Vec<_> = day
        .stories()
        .iter()
        .flat_map(|(start, story)| story.expect.iter().map(|expected| (*start, expected)))
        .collect();
    check("demo day", &gateway, &expect).unwrap();
    assert_eq!(gateway.notices, Vec::<String>::new());
    assert_eq!(gateway.not_judged, Vec::<String>::new());
}
