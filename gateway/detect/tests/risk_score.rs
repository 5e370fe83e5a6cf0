//! The risk score of till events: the specification's examples, and what must hold for all.
#![allow(clippy::unwrap_used)]

mod stage;

use proptest::prelude::*;
use stage::*;
use tillwatch_detect::Outcome;
use tillwatch_protocol::alert::Alert;
use tillwatch_protocol::finding::Finding;
use tillwatch_protocol::pos::PosEvent;
use tillwatch_protocol::time::Clock;

/// The score of an event as an alert or as a finding below the line; nothing is 0.
fn score_of(stage: &mut Stage, pos: PosEvent) -> u16 {
    let before = stage.outcomes.len();
    stage.tells(pos);
    let told = stage.outcomes[before..]
        .iter()
        .find_map(|(_, outcome)| match outcome {
            Outcome::Alert(Alert {
                score,
                contributions,
                ..
            })
            | Outcome::Finding(Finding {
                score,
                contributions,
                ..
            }) => {
                assert_eq!(*score, Finding::sum(contributions), "contributions add up");
                Some(score.milli())
            }
            _ => None,
        });
    told.unwrap_or(0)
}

fn score(pos: PosEvent) -> u16 {
    // Without printer, so that nothing but the till event is judged.
    score_of(&mut Stage::fresh(), pos)
}

fn is_alert(pos: PosEvent) -> bool {
    let mut stage = Stage::fresh();
    stage.tells(pos);
    !stage.alerts().is_empty()
}

#[test]
fn bases_and_modifiers_are_the_specifications() {
    let cases: [(PosEvent, u16); 22] = [
        (till("void_transaction"), 400),
        (till("refund_issued"), 500),
        (till("suspicious_return"), 700),
        (till("no_sale_opened"), 600),
        (till("discount_applied"), 200),
        (till("price_override"), 300),
        (till("cash_drawer_opened"), 300),
        (till("quantity_changed"), 100),
        (till("something_new"), 100),
        (till("payment_cleared"), 0),
        (till("discount_applied").percent(35), 500),
        (till("discount_applied").percent(30), 200),
        (till("discount_applied").amount(6_000).was(10_000), 500),
        (till("void_transaction").amount(0).was(10_000), 400),
        (till("refund_issued").amount(150_000), 700),
        (till("refund_issued").amount(-150_000), 700),
        (till("refund_issued").amount(100_000), 500),
        (till("void_transaction").said_at(11.5 * 3600.0), 500),
        (
            till("void_transaction").said_at(10.0 * 3600.0 + 59.0 * 60.0),
            400,
        ),
        (till("high_value_transaction").amount(150_000), 150 + 200),
        (till("high_value_transaction").amount(10_000_000), 600 + 200),
        (till("high_value_transaction").amount(500), 1),
    ];
    for (pos, expected) in cases {
        let name = format!("{pos:?}");
        assert_eq!(score(pos), expected, "{name}");
    }
}

#[test]
fn the_alert_policy_is_the_specifications() {
    for always in [
        "void_transaction",
        "refund_issued",
        "suspicious_return",
        "no_sale_opened",
    ] {
        assert!(is_alert(till(always)), "{always}");
    }
    assert!(!is_alert(till("discount_applied").percent(30)));
    assert!(is_alert(till("discount_applied").percent(31)));
    assert!(!is_alert(till("price_override").amount(100_000)));
    assert!(is_alert(till("price_override").amount(100_001)));
    assert!(is_alert(till("high_value_transaction").amount(100_001)));
    assert!(!is_alert(till("cash_drawer_opened")));
    assert!(!is_alert(till("payment_cleared")));
    assert!(!is_alert(till("something_new").amount(200_000)));
}

#[test]
fn the_same_person_again_within_five_minutes_adds_to_it() {
    let mut stage = Stage::fresh();
    assert_eq!(
        score_of(&mut stage, till("refund_issued").staff("ann")),
        500
    );
    stage.at(10.0);
    // Not alert-worthy: neither counted nor raised.
    assert_eq!(
        score_of(&mut stage, till("cash_drawer_opened").staff("ann")),
        300
    );
    assert_eq!(
        score_of(&mut stage, till("void_transaction").staff("bob")),
        400
    );
    assert_eq!(score_of(&mut stage, till("void_transaction")), 400);
    stage.at(299.0);
    assert_eq!(
        score_of(&mut stage, till("void_transaction").staff("ann")),
        700
    );
    stage.at(700.0);
    assert_eq!(
        score_of(&mut stage, till("void_transaction").staff("ann")),
        400
    );
    let today: Vec<_> = stage
        .alerts()
        .iter()
        .map(|a| a.subject.staff_alerts_today)
        .collect();
    assert_eq!(today, [Some(1), Some(1), None, Some(2), Some(3)]);
    // The next day the count begins anew.
    stage.at(24.0 * 3600.0);
    score_of(&mut stage, till("void_transaction").staff("ann"));
    assert_eq!(
        stage.alerts().last().unwrap().subject.staff_alerts_today,
        Some(1)
    );
}

#[test]
fn while_nobody_has_set_our_clock_the_day_is_the_tills_or_goes_on() {
    let mut stage = Stage::fresh();
    stage.clock = tillwatch_protocol::Clock::Unsynced;
    stage.wall_offset_s = -40_000_000.0;
    let void = || till("void_transaction").staff("ann");
    let mut today = |second: f64, pos| {
        stage.at(second);
        stage.tells(pos);
        let alerts = stage.alerts();
        alerts.last().unwrap().subject.staff_alerts_today
    };
    assert_eq!(today(0.0, void()), Some(1));
    assert_eq!(today(1_000.0, void().said_at(1_000.0)), Some(2));
    assert_eq!(today(2_000.0, void()), Some(3));
    assert_eq!(today(3_000.0, void().said_at(3_000.0)), Some(4));
    let day_s = 86_400.0;
    assert_eq!(
        today(day_s, void().said_at(day_s)),
        Some(1),
        "the till says so"
    );
    assert_eq!(today(day_s + 60.0, void()), Some(2));
    // NTP answers: the day stays what the till said it was.
    stage.clock = tillwatch_protocol::Clock::Synced;
    stage.wall_offset_s = 0.0;
    stage.at(day_s + 120.0);
    stage.tells(void());
    let alerts = stage.alerts();
    assert_eq!(alerts.last().unwrap().subject.staff_alerts_today, Some(3));
}

#[test]
fn the_till_may_call_somebody_a_repeat_offender() {
    let mut pos = till("void_transaction").staff("ann");
    pos.metadata.0.insert("repeat_offender".into(), true.into());
    assert_eq!(score(pos.clone()), 700);
    assert_eq!(
        score(PosEvent {
            staff_id: None,
            ..pos.clone()
        }),
        400
    );
    pos.metadata
        .0
        .insert("repeat_offender".into(), false.into());
    assert_eq!(score(pos), 400);
}

#[test]
fn without_a_clock_only_the_events_own_time_tells_of_opening_hours() {
    let mut stage = Stage::fresh();
    stage.at(11.5 * 3600.0);
    assert_eq!(score_of(&mut stage, till("void_transaction")), 500);
    stage.clock = Clock::Unsynced;
    assert_eq!(score_of(&mut stage, till("void_transaction")), 400);
    assert_eq!(
        score_of(
            &mut stage,
            till("void_transaction").said_at(stage_time(23, 30))
        ),
        500
    );
    assert_eq!(
        score_of(
            &mut stage,
            till("void_transaction").said_at(stage_time(13, 0))
        ),
        400
    );
}

fn stage_time(hour: i32, minute: i32) -> f64 {
    f64::from((hour - 12) * 3600 + minute * 60)
}

#[test]
fn opening_hours_are_the_stores_own() {
    let mut stage = Stage::fresh();
    stage.settings(|to| to.timezone = "America/New_York".into());
    // Noon UTC is 08:00 there, 09:59 UTC is 05:59.
    assert_eq!(
        score_of(&mut stage, till("void_transaction").said_at(0.0)),
        400
    );
    assert_eq!(
        score_of(
            &mut stage,
            till("void_transaction").said_at(stage_time(9, 59))
        ),
        500
    );
}

#[test]
fn a_configured_type_has_its_base_and_policy() {
    let mut stage = Stage::fresh();
    stage.settings(|to| {
        let mut of_void = to.event_types["void_transaction"];
        of_void.base = tillwatch_protocol::Score::from_milli(250);
        to.event_types.insert("paid_out".into(), of_void);
    });
    assert_eq!(score_of(&mut stage, till("paid_out")), 250);
    assert_eq!(stage.alerts()[0].contributions[0].rule.as_str(), "paid_out");
}

#[test]
fn silent_rules_are_kept_and_disabled_ones_are_not() {
    let rule = tillwatch_protocol::Rule::of("pos_score");
    let mut stage = Stage::fresh();
    stage.settings(|to| {
        to.silent_rules.insert(rule.clone());
    });
    assert_eq!(score_of(&mut stage, till("void_transaction")), 400);
    assert!(stage.alerts().is_empty());
    stage.settings(|to| {
        to.disabled_rules.insert(rule.clone());
    });
    assert_eq!(score_of(&mut stage, till("void_transaction")), 0);
}

const TYPES: [&str; 11] = [
    "void_transaction",
    "refund_issued",
    "suspicious_return",
    "no_sale_opened",
    "discount_applied",
    "price_override",
    "cash_drawer_opened",
    "high_value_transaction",
    "payment_cleared",
    "quantity_changed",
    "something_new",
];

fn any_event() -> impl Strategy<Value = PosEvent> {
    let amounts = proptest::option::of(-1_000_000_i64..1_000_000);
    let staff = proptest::option::of("[ab]");
    (
        0..TYPES.len(),
        amounts,
        proptest::option::of(0_i64..100),
        0_i32..24,
        staff,
    )
        .prop_map(|(kind, amount, percent, hour, staff)| {
            let mut pos = till(TYPES[kind]).said_at(stage_time(hour, 15));
            pos.amount = amount.map(tillwatch_protocol::Money);
            pos.discount_percent = percent.map(|p| tillwatch_protocol::pos::Percent(p * 1000));
            pos.staff_id = staff;
            pos
        })
}

proptest! {
    #[test]
    fn never_above_one_and_contributions_add_up(events in prop::collection::vec(any_event(), 1..12)) {
        let mut stage = Stage::fresh();
        for pos in events {
            // `score_of` compares the sum.
            prop_assert!(score_of(&mut stage, pos) <= 1000);
        }
    }

    #[test]
    fn more_money_or_discount_is_never_less_suspicious(pos in any_event(), more in 0_i64..1_000_000) {
        let mut larger = pos.clone();
        larger.amount = pos.amount.map(|a| tillwatch_protocol::Money(a.0.abs() + more));
        larger.discount_percent =
            pos.discount_percent.map(|p| tillwatch_protocol::pos::Percent(p.0 + more));
        prop_assert!(score(larger) >= score(pos));
    }

    #[test]
    fn modifiers_do_not_touch_one_another(pos in any_event()) {
        prop_assume!(pos.event_type.name() != "high_value_transaction");
        let plain = score(till(pos.event_type.name()).said_at(0.0));
        let one = |change: fn(&PosEvent, PosEvent) -> PosEvent| {
            score(change(&pos, till(pos.event_type.name()).said_at(0.0))) - plain
        };
        let amount = one(|from, to| PosEvent { amount: from.amount, ..to });
        let discount = one(|from, to| PosEvent { discount_percent: from.discount_percent, ..to });
        let time = one(|from, to| PosEvent { timestamp: from.timestamp, ..to });
        prop_assert_eq!(score(pos), (plain + amount + discount + time).min(1000));
    }
}
