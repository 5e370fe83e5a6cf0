//! Findings about one cause are one alert.

mod stage;

use stage::*;
use tillwatch_detect::Outcome;
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::ids::AlertId;
use tillwatch_protocol::receipt::ReceiptKind;

fn revisions(stage: &Stage) -> usize {
    stage
        .outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Alert(_)))
        .count()
}

#[test]
fn what_is_on_top_raises_the_same_alert() {
    let mut stage = Stage::fresh();
    stage
        .at(5.0)
        .tells(till("void_transaction").ticket("V1").staff("ann"))
        .at(60.0);
    let alert = stage.alerts()[0];
    assert_eq!(
        (alert.revision, alert.score.milli(), alert.kind.as_ref()),
        (2, 600, "void")
    );
    let points: Vec<_> = alert
        .contributions
        .iter()
        .map(|c| (c.rule.as_str(), c.points.milli()))
        .collect();
    assert_eq!(points, [("void_transaction", 400), ("unprinted_void", 200)]);
    assert_eq!(alert.evidence.len(), 1, "both rest on the till event");
}

#[test]
fn a_forced_drawer_that_stays_open_is_one_alert_with_the_higher_score() {
    let mut stage = Stage::fresh();
    stage.at(5.0).opens().at(200.0).closes();
    assert_eq!(stage.standing(), [("drawer_forced".to_owned(), 800)]);
    let alert = stage.alerts()[0];
    let sum: u16 = alert.contributions.iter().map(|c| c.points.milli()).sum();
    assert_eq!(sum, alert.score.milli());
    assert!(
        alert.contributions[1]
            .text
            .contains("open for more than 180 s")
    );
}

#[test]
fn ids_come_from_log_rule_and_cause_and_nothing_changes_without_a_reason() {
    let mut stage = Stage::fresh();
    stage.at(5.0).opens().at(8.0).closes();
    let cause = stage.alerts()[0].evidence[0].seq;
    assert_eq!(
        stage.alerts()[0].alert_id,
        AlertId::derive(log(), "drawer_forced", &[cause])
    );
    stage.at(500.0).sale("T1", 500).at(900.0);
    assert_eq!(revisions(&stage), 1);
}

#[test]
fn a_cleared_alert_keeps_what_it_said_and_says_why_it_fell() {
    let mut stage = Stage::fresh();
    stage
        .at(5.0)
        .prints(receipt(ReceiptKind::PostVoid).number("V1"))
        .at(40.0);
    stage.tells(till("void_transaction").ticket("V1"));
    let alert = stage.alerts()[0];
    assert_eq!(
        (alert.rule.as_str(), alert.score.milli()),
        ("unreported_void", 600)
    );
    let AlertState::Cleared { reason } = &alert.state else {
        panic!("{alert:?}")
    };
    assert!(reason.contains("reported it late"), "{reason}");
}
