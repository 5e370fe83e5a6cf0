//! Counts a day's records; pure.

use super::{
    Bounds, DayAlertView, DayView, HourView, MotionView, OpeningView, PaperView, StaffView,
    TillView, time,
};
use crate::web::view::{self, ViewContext};
use std::collections::BTreeMap;
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::clip::Motion;
use tillwatch_protocol::event::DrawerState;
use tillwatch_protocol::pos::PosEventType;
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::{Alert, AlertId, EventBody, Money, PosEvent, Record, Seq};

/// Entries of one list; more are counted only.
const LISTED: usize = 5_000;
/// People that are counted by name; those who come later are left out.
const PEOPLE: usize = 500;
/// One hour.
const HOUR_US: i64 = 3_600_000_000;
/// A kick explains an opening for so long.
const KICKED_US: i64 = 2_000_000;
/// A drawer command on the printer's line does, which prints first.
const COMMANDED_US: i64 = 15_000_000;
/// A sale lies so long before an opening at most …
const SALE_BEFORE_US: i64 = 10_000_000;
/// … or behind it.
const SALE_BEHIND_US: i64 = 20_000_000;

#[derive(Debug, Clone, Copy, Default)]
struct Hour {
    sales: u32,
    taken: i64,
    receipts: u32,
    openings: u32,
    alerts: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Person {
    sales: u32,
    voids: u32,
    refunds: u32,
    no_sales: u32,
    discounts: u32,
    alerts: u32,
}

#[derive(Debug)]
struct Opening {
    seq: Seq,
    from_us: i64,
    to_us: Option<i64>,
    kicked: bool,
    before: bool,
}

/// What is known of a day so far.
#[derive(Debug)]
pub(super) struct Tally {
    bounds: Bounds,
    context: ViewContext,
    openings: Vec<Opening>,
    open: bool,
    kicked_us: i64,
    commanded_us: i64,
    /// Also those just outside the day: they explain openings at its ends.
    sales_us: Vec<i64>,
    receipts: Vec<PaperView>,
    till: Vec<TillView>,
    alerts: BTreeMap<AlertId, Alert>,
    motion: Vec<MotionView>,
    moving: BTreeMap<(u8, u8), usize>,
    hours: Vec<Hour>,
    people: BTreeMap<String, Person>,
    left_out: u64,
    complete: bool,
}

impl Tally {
    pub(super) fn new(bounds: Bounds, context: ViewContext) -> Self {
        let hours = (bounds.to_us - bounds.from_us + HOUR_US - 1).div_euclid(HOUR_US);
        Self {
            bounds,
            context,
            openings: Vec::new(),
            open: false,
            kicked_us: i64::MIN,
            commanded_us: i64::MIN,
            sales_us: Vec::new(),
            receipts: Vec::new(),
            till: Vec::new(),
            alerts: BTreeMap::new(),
            motion: Vec::new(),
            moving: BTreeMap::new(),
            hours: vec![Hour::default(); usize::try_from(hours).unwrap_or(0)],
            people: BTreeMap::new(),
            left_out: 0,
            complete: true,
        }
    }

    /// The day has more than is looked at.
    pub(super) fn cut_off(&mut self) {
        self.complete = false;
    }

    /// Takes a record, in the order of the log. False when it does not lie before the day's end.
    pub(super) fn add(&mut self, seq: Seq, record: &Record) -> bool {
        let at_us = view::wall_us(record);
        match record {
            Record::Event(event) => self.event(seq, at_us, &event.body),
            Record::Alert(alert) if self.inside(at_us) => self.alert(alert),
            _ => {}
        }
        at_us < self.bounds.to_us
    }

    fn inside(&self, at_us: i64) -> bool {
        (self.bounds.from_us..self.bounds.to_us).contains(&at_us)
    }

    fn hour(&mut self, at_us: i64) -> Option<&mut Hour> {
        let hour = usize::try_from((at_us - self.bounds.from_us).div_euclid(HOUR_US)).ok()?;
        self.hours.get_mut(hour)
    }

    fn event(&mut self, seq: Seq, at_us: i64, body: &EventBody) {
        match body {
            EventBody::Kick => self.kicked_us = at_us,
            EventBody::DrawerCommand(_) => self.commanded_us = at_us,
            EventBody::Drawer { state, initial } => {
                self.drawer(seq, at_us, *state == DrawerState::Open, *initial);
            }
            EventBody::Receipt(receipt) => {
                if receipt.kind == ReceiptKind::Sale {
                    self.sale(at_us);
                }
                if self.inside(at_us) {
                    if let Some(hour) = self.hour(at_us) {
                        hour.receipts += 1;
                    }
                    let paper = PaperView {
                        seq: seq.0,
                        at: time(at_us),
                        kind: receipt.kind,
                        total: self.context.amount(receipt.total),
                        ticket_no: receipt.number.clone(),
                    };
                    list(&mut self.receipts, paper, &mut self.left_out);
                }
            }
            EventBody::Pos(pos) => {
                if pos.event_type == PosEventType::PaymentCleared {
                    self.sale(at_us);
                }
                if self.inside(at_us) {
                    self.told(seq, at_us, pos);
                }
            }
            EventBody::CameraMotion {
                camera,
                region,
                motion,
            } => self.motion(at_us, (*camera, *region), *motion == Motion::Moving),
            _ => {}
        }
    }

    fn sale(&mut self, at_us: i64) {
        let near = self.bounds.from_us - SALE_BEFORE_US..self.bounds.to_us + SALE_BEHIND_US;
        if near.contains(&at_us) && self.sales_us.len() < 4 * LISTED {
            self.sales_us.push(at_us);
        }
    }

    fn drawer(&mut self, seq: Seq, at_us: i64, open: bool, initial: bool) {
        let was_open = std::mem::replace(&mut self.open, open);
        if at_us >= self.bounds.to_us {
            if !open && was_open {
                self.close(at_us);
            }
            return;
        }
        if open {
            // It was open already: a new watch began meanwhile.
            if was_open {
                self.close(at_us);
            }
            let kicked = at_us - self.kicked_us.max(i64::MIN / 2) <= KICKED_US
                || at_us - self.commanded_us.max(i64::MIN / 2) <= COMMANDED_US;
            if let Some(hour) = self.hour(at_us).filter(|_| !initial) {
                hour.openings += 1;
            }
            let opening = Opening {
                seq,
                from_us: at_us,
                to_us: None,
                kicked,
                before: initial,
            };
            list(&mut self.openings, opening, &mut self.left_out);
        } else if was_open {
            self.close(at_us);
        }
    }

    fn close(&mut self, at_us: i64) {
        if let Some(last) = self.openings.last_mut()
            && last.to_us.is_none()
        {
            last.to_us = Some(at_us);
        }
    }

    fn told(&mut self, seq: Seq, at_us: i64, pos: &PosEvent) {
        let paid = pos.event_type == PosEventType::PaymentCleared;
        let amount = pos.amount.filter(|_| paid).map_or(0, |money| money.0);
        if let Some(hour) = self.hour(at_us).filter(|_| paid) {
            hour.sales += 1;
            hour.taken = hour.taken.saturating_add(amount);
        }
        if let Some(person) = self.person(pos.staff_id.as_deref()) {
            match pos.event_type {
                PosEventType::PaymentCleared => person.sales += 1,
                PosEventType::VoidTransaction => person.voids += 1,
                PosEventType::RefundIssued | PosEventType::SuspiciousReturn => person.refunds += 1,
                PosEventType::NoSaleOpened => person.no_sales += 1,
                PosEventType::DiscountApplied | PosEventType::PriceOverride => {
                    person.discounts += 1;
                }
                _ => {}
            }
        }
        let told = TillView {
            seq: seq.0,
            at: time(at_us),
            event_type: pos.event_type.name().to_owned(),
            amount: self.context.amount(pos.amount),
            staff_id: pos.staff_id.clone(),
        };
        list(&mut self.till, told, &mut self.left_out);
    }

    fn person(&mut self, name: Option<&str>) -> Option<&mut Person> {
        let name = name?;
        if !self.people.contains_key(name) {
            if self.people.len() >= PEOPLE {
                self.left_out += 1;
                return None;
            }
            self.people.insert(name.to_owned(), Person::default());
        }
        self.people.get_mut(name)
    }

    fn alert(&mut self, alert: &Alert) {
        let known = self.alerts.get(&alert.alert_id);
        if known.is_none() && self.alerts.len() >= LISTED {
            self.left_out += 1;
        } else if known.is_none_or(|known| known.revision < alert.revision) {
            self.alerts.insert(alert.alert_id, alert.clone());
        }
    }

    fn motion(&mut self, at_us: i64, place: (u8, u8), moves: bool) {
        if at_us >= self.bounds.to_us && moves {
            return;
        }
        if let Some(of) = self.moving.remove(&place)
            && let Some(motion) = self.motion.get_mut(of)
        {
            motion.to = Some(time(at_us));
        }
        if moves && self.inside(at_us) {
            let motion = MotionView {
                camera: place.0,
                region: place.1,
                from: time(at_us),
                to: None,
            };
            let of = self.motion.len();
            if list(&mut self.motion, motion, &mut self.left_out) {
                self.moving.insert(place, of);
            }
        }
    }

    /// The day as the API shows it.
    pub(super) fn view(mut self, date: String, timezone: String) -> DayView {
        let mut alerts: Vec<Alert> = std::mem::take(&mut self.alerts).into_values().collect();
        alerts.sort_by_key(|alert| (alert.stamp.utc_us, alert.alert_id));
        for alert in &alerts {
            if alert.state != AlertState::Open {
                continue;
            }
            if let Some(hour) = self.hour(alert.stamp.utc_us) {
                hour.alerts += 1;
            }
            if let Some(person) = self.person(alert.subject.staff_id.as_deref()) {
                person.alerts += 1;
            }
        }
        let mut blamed: BTreeMap<Seq, &Alert> = BTreeMap::new();
        for alert in &alerts {
            for evidence in &alert.evidence {
                let known = blamed.entry(evidence.seq).or_insert(alert);
                if known.score < alert.score {
                    *known = alert;
                }
            }
        }
        self.sales_us.sort_unstable();
        let from_us = self.bounds.from_us;
        let openings = self.openings.iter();
        // What closed before the day is yesterday's.
        let openings =
            openings.filter(|of| of.from_us >= from_us || of.to_us.is_none_or(|to| to > from_us));
        let openings = openings.map(|of| OpeningView {
            seq: of.seq.0,
            from: time(of.from_us.max(from_us)),
            to: of.to_us.map(time),
            cause: match of {
                of if of.before || of.from_us < from_us => "before",
                of if !of.kicked => "none",
                of if self.beside_a_sale(of.from_us) => "sale",
                _ => "kick",
            },
            alert_id: blamed.get(&of.seq).map(|alert| alert.alert_id.to_string()),
        });
        let openings = openings.collect();
        let amount = |minor: i64| self.context.of_minor(Money(minor));
        let hours = self.hours.iter().zip(0_i64..).map(|(hour, n)| HourView {
            from: time(from_us + n * HOUR_US),
            sales: hour.sales,
            taken: amount(hour.taken),
            receipts: hour.receipts,
            openings: hour.openings,
            alerts: hour.alerts,
        });
        let hours = hours.collect();
        let mut staff: Vec<StaffView> = self
            .people
            .iter()
            .map(|(name, of)| StaffView {
                staff_id: name.clone(),
                sales: of.sales,
                voids: of.voids,
                refunds: of.refunds,
                no_sales: of.no_sales,
                discounts: of.discounts,
                alerts: of.alerts,
            })
            .collect();
        staff.sort_by(|a, b| (b.alerts, &a.staff_id).cmp(&(a.alerts, &b.staff_id)));
        DayView {
            date,
            timezone,
            from: time(from_us),
            to: time(self.bounds.to_us),
            openings,
            receipts: self.receipts,
            till: self.till,
            alerts: alerts.iter().map(alert_view).collect(),
            motion: self.motion,
            hours,
            staff,
            left_out: self.left_out,
            complete: self.complete,
        }
    }

    fn beside_a_sale(&self, at_us: i64) -> bool {
        let first = self
            .sales_us
            .partition_point(|sale| *sale < at_us - SALE_BEFORE_US);
        let sale = self.sales_us.get(first);
        sale.is_some_and(|sale| *sale <= at_us + SALE_BEHIND_US)
    }
}

fn alert_view(alert: &Alert) -> DayAlertView {
    DayAlertView {
        alert_id: alert.alert_id.to_string(),
        at: time(alert.stamp.utc_us),
        kind: alert.kind.to_string(),
        score: view::fraction(alert.score),
        severity: alert.severity.to_string(),
        state: match alert.state {
            AlertState::Open => "open",
            AlertState::Cleared { .. } => "cleared",
        },
        staff_id: alert.subject.staff_id.clone(),
    }
}

/// Puts an entry on a list, or counts it as left out.
fn list<T>(entries: &mut Vec<T>, entry: T, left_out: &mut u64) -> bool {
    let room = entries.len() < LISTED;
    if room {
        entries.push(entry);
    } else {
        *left_out += 1;
    }
    room
}
