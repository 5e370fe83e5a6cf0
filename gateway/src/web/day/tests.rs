//! Days as the tally sees them.

use super::*;
use crate::web::tests::{AT_US, alert, event};
use tillwatch_protocol::clip::Motion;
use tillwatch_protocol::event::DrawerState;
use tillwatch_protocol::pos::{ParseContext, parse_pos_event};
use tillwatch_protocol::{EventBody, Record};

const CONTEXT: ViewContext = ViewContext { minor_digits: 2 };

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

/// 2025-10-04 in UTC.
fn bounds() -> Bounds {
    Bounds::of("2025-10-04".parse().unwrap(), &TimeZone::UTC).unwrap()
}

fn drawer(at_s: i64, open: bool) -> Record {
    let state = if open {
        DrawerState::Open
    } else {
        DrawerState::Closed
    };
    let initial = false;
    event(at_s, EventBody::Drawer { state, initial })
}

fn told(at_s: i64, event_type: &str, staff: &str, amount: f64) -> Record {
    let body = serde_json::json!({
        "event_id": format!("e{at_s}"), "event_type": event_type, "staff_id": staff, "amount": amount,
    });
    let context = ParseContext {
        zone: TimeZone::UTC,
        minor_digits: 2,
    };
    let pos = parse_pos_event(body.to_string().as_bytes(), &context).unwrap();
    event(at_s, EventBody::Pos(Box::new(pos)))
}

fn view(records: &[Record]) -> DayView {
    let mut tally = Tally::new(bounds(), CONTEXT);
    for (seq, record) in (1_u64..).zip(records) {
        tally.add(Seq(seq), record);
    }
    tally.view("2025-10-04".into(), "UTC".into())
}

#[test]
fn an_opening_has_its_cause_and_its_alert() {
    let day = view(&[
        event(0, EventBody::Kick),
        drawer(0, true),
        told(3, "payment_cleared", "a", 5.65),
        drawer(4, false),
        event(100, EventBody::Kick),
        drawer(101, true),
        drawer(103, false),
        drawer(200, true),
        Record::Alert(alert(Seq(8), 200, 800)),
    ]);
    let causes: Vec<_> = day.openings.iter().map(|of| of.cause).collect();
    assert_eq!(causes, ["sale", "kick", "none"]);
    assert_eq!(day.openings[0].to, Some(time(AT_US + 4_000_000)));
    assert_eq!(day.openings[2].to, None, "it is open still");
    assert_eq!(day.openings[0].alert_id, None);
    assert_eq!(
        day.openings[2].alert_id.as_deref(),
        Some(day.alerts[0].alert_id.as_str())
    );
}

#[test]
fn hours_and_people_are_counted() {
    let day = view(&[
        told(0, "payment_cleared", "a", 5.65),
        told(1, "payment_cleared", "a", 4.35),
        told(2, "void_transaction", "b", 3.0),
        told(3_600, "refund_issued", "b", 2.0),
        Record::Alert(alert(Seq(3), 2, 400)),
    ]);
    assert_eq!(day.hours.len(), 24);
    let hour = &day.hours[14];
    assert_eq!(hour.from, "2025-10-04T14:00:00.000000Z");
    assert_eq!((hour.sales, hour.alerts), (2, 1));
    assert_eq!(serde_json::to_value(hour.taken).unwrap(), 10.0);
    let people: Vec<_> = day
        .staff
        .iter()
        .map(|of| (of.staff_id.as_str(), of.sales, of.voids, of.refunds))
        .collect();
    assert_eq!(people, [("a", 2, 0, 0), ("b", 0, 1, 1)]);
    assert_eq!(day.till.len(), 4);
}

#[test]
fn the_newest_revision_of_an_alert_counts_and_an_explained_one_does_not() {
    let mut second = alert(Seq(1), 0, 700);
    second.revision = 2;
    second.state = tillwatch_protocol::alert::AlertState::Cleared {
        reason: "the receipt came".into(),
    };
    let day = view(&[
        drawer(0, true),
        Record::Alert(second.clone()),
        Record::Alert(alert(Seq(1), 0, 400)),
    ]);
    assert_eq!(day.alerts.len(), 1);
    assert_eq!((day.alerts[0].state, day.alerts[0].score), ("cleared", 0.7));
    assert_eq!(day.hours[14].alerts, 0);
}

#[test]
fn motion_lasts_until_it_is_said_to_end() {
    let moves = |at_s, motion| {
        let body = EventBody::CameraMotion {
            camera: 1,
            region: 0,
            motion,
        };
        event(at_s, body)
    };
    let day = view(&[
        moves(0, Motion::Still),
        moves(5, Motion::Moving),
        moves(9, Motion::Unjudged),
        moves(20, Motion::Moving),
    ]);
    let spans: Vec<_> = day
        .motion
        .iter()
        .map(|of| (of.from.clone(), of.to.clone()))
        .collect();
    let at = |s: i64| time(AT_US + s * 1_000_000);
    assert_eq!(spans, [(at(5), Some(at(9))), (at(20), None)]);
}

#[test]
fn what_lies_outside_the_day_is_not_in_it() {
    let yesterday = -15 * 3_600;
    let tomorrow = 10 * 3_600;
    let day = view(&[
        told(yesterday, "payment_cleared", "a", 1.0),
        drawer(yesterday, true),
        drawer(0, false),
        drawer(1, true),
        told(tomorrow, "payment_cleared", "a", 1.0),
        drawer(tomorrow, false),
    ]);
    assert_eq!((day.till.len(), day.staff.len()), (0, 0));
    let spans: Vec<_> = day
        .openings
        .iter()
        .map(|of| (of.cause, of.from.as_str()))
        .collect();
    assert_eq!(
        spans,
        [
            ("before", "2025-10-04T00:00:00.000000Z"),
            ("none", "2025-10-04T14:34:16.000000Z")
        ],
        "one that was open at midnight begins with the day"
    );
    assert_eq!(
        day.openings[1].to,
        Some(time(AT_US + tomorrow * 1_000_000)),
        "it was closed the next day"
    );
}

#[test]
fn a_list_has_an_end_and_the_counts_go_on() {
    let many: Vec<_> = (0..6_000)
        .map(|n| told(n, "payment_cleared", "a", 1.0))
        .collect();
    let day = view(&many);
    assert_eq!((day.till.len(), day.left_out), (5_000, 1_000));
    let sales: u32 = day.hours.iter().map(|hour| hour.sales).sum();
    assert_eq!((sales, day.staff[0].sales), (6_000, 6_000));
}

#[test]
fn the_day_on_which_summer_time_ends_has_25_hours() {
    let bounds = Bounds::of("2025-10-26".parse().unwrap(), &berlin()).unwrap();
    let day = Tally::new(bounds, CONTEXT).view(String::new(), String::new());
    assert_eq!(day.hours.len(), 25);
}
