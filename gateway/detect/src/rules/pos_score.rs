//! The risk score of a till event.

use super::{evidence_of_pos, points, state_as_snapshot, subject_of_pos};
use crate::detector::{Context, Cut, Detector, Findings, Line};
use crate::recent::ms;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use tillwatch_protocol::Money;
use tillwatch_protocol::event::{Event, EventBody};
use tillwatch_protocol::finding::{Contribution, Finding, Rule, Score, Weight};
use tillwatch_protocol::pos::{PosEvent, PosEventType};
use tillwatch_protocol::settings::{AlertPolicy, DetectionSettings};
use tillwatch_protocol::time::{Clock, MonotonicNs, Stamp, local_time};

/// The rule's name.
pub const RULE: &str = "pos_score";
/// People that are remembered; who was seen longest ago is forgotten.
pub const STAFF: usize = 256;
/// Alert-worthy events that are remembered per person.
pub const EVENTS_PER_PERSON: usize = 64;
/// Of a high-value transaction whose amount is missing, and per multiple of the threshold.
const HIGH_VALUE_STEP_MILLI: i128 = 100;

/// One person at this register.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Person {
    arrivals_ns: VecDeque<MonotonicNs>,
    /// Year, month, day in the store's zone.
    day: Option<(i16, i8, i8)>,
    alerts_today: u32,
    last_seen: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    people: BTreeMap<String, Person>,
    counter: u64,
    forgotten: u64,
}

/// Base by type, modifiers by circumstances, the sum capped at 1 (detection specification §1).
///
/// @algorithm Risk score of a POS event | Says how suspicious each event of the till is, and why
#[derive(Debug, Default)]
pub struct PosScore {
    state: State,
}

/// The score of an event without its history.
struct Scored {
    contributions: Vec<Contribution>,
    alert_worthy: bool,
}

fn is_high_value(pos: &PosEvent, settings: &DetectionSettings) -> bool {
    pos.amount
        .is_some_and(|amount| amount.abs() > settings.high_value_threshold)
}

/// The discount that counts: a discount's own, else only what the till states, because on other
/// events the two amounts may mean something else.
fn is_large_discount(pos: &PosEvent, settings: &DetectionSettings) -> bool {
    let discount = match pos.event_type {
        PosEventType::DiscountApplied => pos.discount(),
        _ => pos.discount_percent,
    };
    discount.is_some_and(|discount| discount > settings.discount_threshold)
}

/// `min(base, 0.1 × amount / threshold)`, rounded half up to thousandths.
fn high_value_base(amount: Option<Money>, threshold: Money, base: Score) -> Score {
    let Some(amount) = amount.filter(|_| threshold.0 > 0) else {
        return base.min(Score::from_milli(100));
    };
    let (amount, threshold) = (i128::from(amount.abs().0), i128::from(threshold.0));
    let milli = (2 * HIGH_VALUE_STEP_MILLI * amount + threshold) / (2 * threshold);
    base.min(Score::from_milli(u16::try_from(milli).unwrap_or(u16::MAX)))
}

fn base_text(pos: &PosEvent, settings: &DetectionSettings) -> String {
    let money = |amount: Money| amount.display(settings.minor_digits).to_string();
    match &pos.event_type {
        PosEventType::VoidTransaction => "transaction voided".into(),
        PosEventType::RefundIssued => "refund issued".into(),
        PosEventType::SuspiciousReturn => "return that the till finds suspicious".into(),
        PosEventType::NoSaleOpened => "drawer opened by the no-sale key".into(),
        PosEventType::DiscountApplied => "discount given".into(),
        PosEventType::PriceOverride => "price keyed over".into(),
        PosEventType::CashDrawerOpened => "drawer opened by the till".into(),
        PosEventType::HighValueTransaction => match pos.amount {
            Some(amount) => format!(
                "transaction of {}, {} is of high value",
                money(amount),
                money(settings.high_value_threshold)
            ),
            None => "transaction of high value".into(),
        },
        PosEventType::PaymentCleared => "payment".into(),
        PosEventType::QuantityChanged => "quantity changed".into(),
        PosEventType::Other(name) => format!("till event {name}"),
    }
}

/// The name of a type as a rule; unknown ones share one, unless they are configured.
fn rule_of(event_type: &PosEventType, settings: &DetectionSettings) -> Rule {
    match event_type {
        PosEventType::Other(name) if settings.event_types.contains_key(name) => {
            Rule(Cow::Owned(name.clone()))
        }
        PosEventType::Other(_) => Rule::of("other"),
        known => Rule(Cow::Owned(known.name().to_owned())),
    }
}

/// When the rule of opening hours takes the event to have happened: by its own readable timestamp,
/// else by its arrival, unless nobody has set our clock.
fn told_time_us(pos: &PosEvent, stamp: &Stamp) -> Option<i64> {
    match pos.timestamp {
        Some(at) => Some(at.utc_us),
        None => (stamp.clock == Clock::Synced).then_some(stamp.utc_us),
    }
}

/// When the day's count takes the event to have happened: at its arrival, because a till's clock may
/// show any day; while nobody has set ours, by the till's.
fn counted_time_us(pos: &PosEvent, stamp: &Stamp) -> Option<i64> {
    match stamp.clock {
        Clock::Synced => Some(stamp.utc_us),
        Clock::Unsynced => pos.timestamp.map(|at| at.utc_us),
    }
}

fn score(pos: &PosEvent, stamp: &Stamp, context: &Context<'_>) -> Scored {
    let settings = context.settings;
    let modifiers = &settings.modifiers;
    let of_type = settings.event_types.get(pos.event_type.name());
    let base = match (of_type, &pos.event_type) {
        (Some(known), PosEventType::HighValueTransaction) => {
            high_value_base(pos.amount, settings.high_value_threshold, known.base)
        }
        (Some(known), _) => known.base,
        (None, _) => settings.other_event_base,
    };
    let mut contributions = Vec::new();
    if base > Score::ZERO {
        contributions.push(Contribution {
            rule: rule_of(&pos.event_type, settings),
            text: base_text(pos, settings),
            points: base,
        });
    }
    let high_value = is_high_value(pos, settings);
    if high_value && modifiers.high_value > Score::ZERO {
        let text = format!(
            "amount over {}",
            settings.high_value_threshold.display(settings.minor_digits)
        );
        contributions.push(points("high_value", modifiers.high_value, text));
    }
    let large_discount = is_large_discount(pos, settings);
    if large_discount && modifiers.discount > Score::ZERO {
        let given = pos.discount().unwrap_or_default();
        let text = format!(
            "discount of {given} is over the limit of {}",
            settings.discount_threshold
        );
        contributions.push(points("large_discount", modifiers.discount, text));
    }
    if modifiers.outside_hours > Score::ZERO
        && let Some(at_us) = told_time_us(pos, stamp)
    {
        let local = local_time(at_us, context.zone);
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        if !settings.opening_hours.contains(minute) {
            let text = format!(
                "at {:02}:{:02}, outside opening hours",
                local.hour(),
                local.minute()
            );
            contributions.push(points("outside_hours", modifiers.outside_hours, text));
        }
    }
    let by_policy = match of_type.map_or(AlertPolicy::ScoreOnly, |known| known.policy) {
        AlertPolicy::Always => true,
        AlertPolicy::OverDiscountThreshold => large_discount,
        AlertPolicy::HighValue => high_value,
        AlertPolicy::ScoreOnly => false,
    };
    let alert_worthy = by_policy || Finding::sum(&contributions) > settings.alert_above;
    Scored {
        contributions,
        alert_worthy,
    }
}

impl State {
    /// Counts an alert-worthy event of a person; gives the count within the window and that of the
    /// day. While nobody knows what day it is, the day goes on.
    fn count(
        &mut self,
        staff: &str,
        pos: &PosEvent,
        stamp: &Stamp,
        context: &Context<'_>,
    ) -> (u32, u32) {
        self.counter += 1;
        if !self.people.contains_key(staff) && self.people.len() >= STAFF {
            let longest_ago = self
                .people
                .iter()
                .min_by_key(|(_, person)| person.last_seen);
            if let Some(gone) = longest_ago.map(|(name, _)| name.clone()) {
                self.people.remove(&gone);
                self.forgotten = self.forgotten.saturating_add(1);
            }
        }
        let person = self.people.entry(staff.to_owned()).or_default();
        person.last_seen = self.counter;
        let now = stamp.monotonic_ns;
        let window_ns = ms(context.settings.repeat_staff_window_ms);
        person
            .arrivals_ns
            .retain(|at| at.saturating_add(window_ns) >= now);
        if person.arrivals_ns.len() == EVENTS_PER_PERSON {
            person.arrivals_ns.pop_front();
        }
        person.arrivals_ns.push_back(now);
        let in_window = u32::try_from(person.arrivals_ns.len()).unwrap_or(u32::MAX);
        if let Some(at_us) = counted_time_us(pos, stamp) {
            let today = local_time(at_us, context.zone).date();
            let today = (today.year(), today.month(), today.day());
            if person.day.is_some_and(|day| day != today) {
                person.alerts_today = 0;
            }
            person.day = Some(today);
        }
        person.alerts_today = person.alerts_today.saturating_add(1);
        (in_window, person.alerts_today)
    }
}

impl Detector for PosScore {
    state_as_snapshot!(RULE, 1);

    fn on_event(&mut self, event: &Event, context: &Context<'_>, out: &mut Findings) {
        let EventBody::Pos(pos) = &event.body else {
            return;
        };
        let Scored {
            mut contributions,
            alert_worthy,
        } = score(pos, &event.stamp, context);
        let mut subject = None;
        // Without a name nobody repeats anything.
        if let Some(staff) = &pos.staff_id {
            let settings = context.settings;
            let mut nth = 0;
            if alert_worthy {
                let (in_window, today) = self.state.count(staff, pos, &event.stamp, context);
                nth = in_window;
                subject
                    .get_or_insert_with(|| subject_of_pos(pos))
                    .staff_alerts_today = Some(today);
            }
            let least = usize::try_from(settings.repeat_staff_count)
                .unwrap_or(EVENTS_PER_PERSON)
                .clamp(1, EVENTS_PER_PERSON);
            let repeated = usize::try_from(nth).unwrap_or(0) >= least;
            let points_for = settings.modifiers.repeat_staff;
            if repeated && points_for > Score::ZERO {
                let window = super::seconds(settings.repeat_staff_window_ms);
                let text = format!("alert-worthy event {nth} of {staff} within {window}");
                contributions.push(points("repeat_staff", points_for, text));
            } else if pos.repeat_offender_reported() && points_for > Score::ZERO {
                let text = format!("the till calls {staff} a repeat offender");
                contributions.push(points("repeat_staff", points_for, text));
            }
        }
        let score = Finding::sum(&contributions);
        if score == Score::ZERO && !alert_worthy {
            return;
        }
        let finding = Finding {
            rule: Rule::of(RULE),
            kind: Cow::Borrowed(pos.event_type.short_word()),
            score,
            contributions,
            weight: Weight::Alone,
            evidence: vec![evidence_of_pos(event, pos)],
            subject: subject.unwrap_or_else(|| subject_of_pos(pos)),
            cleared: None,
        };
        out.findings.push((
            finding,
            if alert_worthy {
                Line::Always
            } else {
                Line::ByScore
            },
        ));
    }

    fn deadline(&self) -> Option<MonotonicNs> {
        None
    }

    fn on_tick(&mut self, _: &Stamp, _: &Context<'_>, _: &mut Findings) {}

    fn on_cut(&mut self, cut: Cut, _: &Context<'_>, _: &mut Findings) {
        if cut == Cut::Boot {
            for person in self.state.people.values_mut() {
                person.arrivals_ns.clear();
            }
        }
    }
}
