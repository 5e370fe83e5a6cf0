//! Refunds and no sales, with and without a customer before the camera.
#![allow(clippy::unwrap_used)]

mod stage;

use stage::*;
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::clip::{Motion, PictureState};
use tillwatch_protocol::event::{EventBody, Witness};
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::settings::ReceiptPolicy;

/// When it happens: the camera looks for long enough by then.
const REFUND_S: f64 = 40.0;

fn refund(stage: &mut Stage) {
    stage.settings(|to| to.receipt_policy = ReceiptPolicy::Never);
    let refund = till("refund_issued").ticket("R1").said_at(REFUND_S);
    stage.at(REFUND_S).tells(refund);
}

fn no_sale(stage: &mut Stage) {
    stage.at(REFUND_S).command(true).kick();
    stage.at(REFUND_S + 0.1).opens();
    stage.at(REFUND_S + 4.0).closes();
}

/// Payments by which the till's clock and lag become known.
fn show_the_tills_clock(stage: &mut Stage) {
    for n in 1..7 {
        let at = f64::from(n);
        let payment = till("payment_cleared").ticket(&format!("T{n}"));
        stage.at(at).tells(payment.said_at(at));
    }
}

const STORIES: &[Story] = &[
    Story {
        name: "a refund before an empty customer's side",
        absent: NONE,
        play: |s| {
            s.camera(0);
            refund(s);
        },
        stands: &[("pos_score", 700)],
        not_judged: &[],
    },
    Story {
        name: "a return that the till finds suspicious, likewise",
        absent: NONE,
        play: |s| {
            s.camera(0);
            s.at(REFUND_S)
                .tells(till("suspicious_return").said_at(REFUND_S));
        },
        stands: &[("pos_score", 900)],
        not_judged: &[],
    },
    Story {
        name: "a no sale that only the drawer shows",
        absent: NONE,
        play: |s| {
            s.camera(0);
            no_sale(s);
        },
        stands: &[("no_sale", 800)],
        not_judged: &[],
    },
    Story {
        name: "a no sale that the till tells at once: one cause, added once",
        absent: NONE,
        play: |s| {
            s.camera(0);
            no_sale(s);
            s.tells(till("no_sale_opened").said_at(REFUND_S + 4.0));
        },
        stands: &[("pos_score", 800)],
        not_judged: &[],
    },
    Story {
        name: "a no sale that the till tells when it was found and judged: added once",
        absent: NONE,
        play: |s| {
            s.camera(0);
            no_sale(s);
            s.at(90.0)
                .tells(till("no_sale_opened").said_at(REFUND_S + 1.0));
        },
        stands: &[("no_sale", 800)],
        not_judged: &[],
    },
    Story {
        name: "a refund of two cameras, both still",
        absent: NONE,
        play: |s| {
            s.camera(0).camera(1);
            refund(s);
        },
        stands: &[("pos_score", 700)],
        not_judged: &[],
    },
    Story {
        name: "near miss: a void needs no customer, nor does a payment",
        absent: NONE,
        play: |s| {
            s.settings(|to| to.receipt_policy = ReceiptPolicy::Never);
            s.camera(0);
            s.at(REFUND_S)
                .tells(till("void_transaction").said_at(REFUND_S));
            s.at(REFUND_S + 1.0)
                .tells(till("payment_cleared").said_at(REFUND_S));
        },
        stands: &[("pos_score", 400)],
        not_judged: &[],
    },
    Story {
        name: "near miss: somebody left 20 s before",
        absent: NONE,
        play: |s| {
            s.camera(0).motion(0, Motion::Moving);
            s.at(REFUND_S - 19.9).motion(0, Motion::Still);
            refund(s);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[],
    },
    Story {
        name: "somebody had left when the window began",
        absent: NONE,
        play: |s| {
            s.camera(0).motion(0, Motion::Moving);
            s.at(REFUND_S - 20.1).motion(0, Motion::Still);
            refund(s);
        },
        stands: &[("pos_score", 700)],
        not_judged: &[],
    },
    Story {
        name: "near miss: somebody comes at its end and is told a little later",
        absent: NONE,
        play: |s| {
            s.camera(0);
            refund(s);
            s.at(REFUND_S + 22.4).motion(0, Motion::Moving);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[],
    },
    Story {
        name: "near miss: the second camera sees somebody",
        absent: NONE,
        play: |s| {
            s.camera(0).camera(1);
            s.at(REFUND_S - 5.0).motion(1, Motion::Moving);
            refund(s);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[],
    },
    Story {
        name: "near miss: no camera has a customer's side",
        absent: NONE,
        play: |s| {
            s.regains(Witness::Camera(0))
                .picture(0, PictureState::Clear);
            refund(s);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[],
    },
    Story {
        name: "near miss: nothing moves in another region",
        absent: NONE,
        play: |s| {
            s.regains(Witness::Camera(0))
                .picture(0, PictureState::Clear);
            s.happen(EventBody::CameraMotion {
                camera: 0,
                region: 1,
                motion: Motion::Still,
            });
            refund(s);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[],
    },
    Story {
        name: "the light was switched: not judged",
        absent: NONE,
        play: |s| {
            s.camera(0);
            s.at(REFUND_S - 10.0).motion(0, Motion::Unjudged);
            s.at(REFUND_S - 6.0).motion(0, Motion::Still);
            refund(s);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[("nobody_there", "motion_unjudged")],
    },
    Story {
        name: "still was told within the window only: not judged",
        absent: NONE,
        play: |s| {
            s.regains(Witness::Camera(0))
                .picture(0, PictureState::Clear)
                .motion(0, Motion::Unjudged);
            s.at(REFUND_S - 19.9).motion(0, Motion::Still);
            refund(s);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[("nobody_there", "motion_unjudged")],
    },
    Story {
        name: "the camera was unplugged for a moment: not judged, whatever it said before",
        absent: NONE,
        play: |s| {
            s.camera(0);
            s.at(REFUND_S - 10.0).loses(Witness::Camera(0));
            s.at(REFUND_S - 8.0).camera(0);
            refund(s);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[("nobody_there", "witness_lost")],
    },
    Story {
        name: "one of two cameras is away: not judged",
        absent: NONE,
        play: |s| {
            s.camera(0).camera(1).loses(Witness::Camera(1));
            refund(s);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[("nobody_there", "witness_lost")],
    },
    Story {
        name: "the camera lost something: not judged",
        absent: NONE,
        play: |s| {
            s.camera(0);
            s.at(REFUND_S - 10.0).gap(Witness::Camera(0));
            refund(s);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[("nobody_there", "witness_gap")],
    },
    Story {
        name: "the picture hung at the end of the window, which is told ten seconds later",
        absent: NONE,
        play: |s| {
            s.camera(0);
            refund(s);
            s.at(REFUND_S + 30.1).picture(0, PictureState::Frozen);
        },
        stands: &[("pos_score", 500), ("camera_blinded", 500)],
        not_judged: &[("nobody_there", "picture_unclear")],
    },
    Story {
        name: "the gateway was restarted within the window: not judged",
        absent: NONE,
        play: |s| {
            s.camera(0);
            refund(s);
            s.at(REFUND_S + 5.0).start(&[]).camera(0);
        },
        stands: &[("pos_score", 500)],
        not_judged: &[("nobody_there", "window_cut_by_start")],
    },
    Story {
        name: "near miss: a refund without a time may be of any time, and somebody was there",
        absent: NONE,
        play: |s| {
            s.settings(|to| to.receipt_policy = ReceiptPolicy::Never);
            s.camera(0).motion(0, Motion::Moving);
            s.at(10.0).motion(0, Motion::Still);
            s.at(500.0).tells(till("refund_issued").ticket("R1"));
        },
        stands: &[("pos_score", 500)],
        not_judged: &[],
    },
];

/// Some of these are also the technician's matter, which another test looks at.
#[test]
fn stories_end_as_they_should() {
    for story in STORIES {
        let mut stage = Stage::without(story.absent);
        (story.play)(&mut stage);
        let end = stage.now_s + 120.0;
        stage.at(end);
        let stands = stage.standing();
        let stands: Vec<_> = stands.iter().map(|(r, s)| (r.as_str(), *s)).collect();
        let name = story.name;
        assert_eq!(stands, story.stands, "{name}: {:#?}", stage.outcomes);
        // Of this rule only: paper and till have stories of their own.
        let not_judged: Vec<_> = stage.not_judged();
        let not_judged: Vec<_> = not_judged
            .iter()
            .map(|(rule, why)| (rule.as_str(), why.as_str()))
            .filter(|(rule, _)| *rule == "nobody_there")
            .collect();
        assert_eq!(not_judged, story.not_judged, "{name}");
    }
}

#[test]
fn it_raises_the_alert_that_is_there_once_a_blind_picture_would_have_been_told() {
    let mut stage = Stage::fresh();
    stage.camera(0);
    refund(&mut stage);
    stage.at(REFUND_S + 30.4);
    assert_eq!(stage.alerts()[0].revision, 1);
    stage.at(REFUND_S + 30.6);
    assert_eq!(stage.alerts().len(), 1);
    let alert = stage.alerts()[0];
    assert_eq!((alert.revision, alert.score.milli()), (2, 700));
    let last = alert.contributions.last().unwrap();
    assert_eq!(
        (last.rule.as_str(), last.points.milli()),
        ("nobody_there", 200)
    );
    assert_eq!(
        last.text,
        "nothing moved on the customer's side within 20 s before and after, as camera 0 saw"
    );
}

#[test]
fn a_payment_that_explains_the_opening_takes_all_of_it_back() {
    let mut stage = Stage::fresh();
    stage.settings(|to| to.receipt_policy = ReceiptPolicy::OnRequest);
    stage.camera(0);
    show_the_tills_clock(&mut stage);
    no_sale(&mut stage);
    stage.at(100.0);
    assert_eq!(stage.standing(), [("no_sale".to_owned(), 800)]);
    stage.tells(till("payment_cleared").ticket("T9").said_at(REFUND_S));
    assert_eq!(stage.standing(), []);
    // Also one that comes before it is decided.
    let mut stage = Stage::fresh();
    stage.settings(|to| to.receipt_policy = ReceiptPolicy::OnRequest);
    stage.camera(0);
    show_the_tills_clock(&mut stage);
    no_sale(&mut stage);
    stage.at(REFUND_S + 25.0);
    stage.tells(till("payment_cleared").ticket("T9").said_at(REFUND_S));
    stage.at(200.0);
    assert_eq!(stage.standing(), []);
    assert!(stage.not_judged().is_empty());
}

#[test]
fn a_refund_that_the_till_keeps_silent_about_is_raised_too() {
    let mut stage = Stage::fresh();
    stage.camera(0);
    stage
        .at(REFUND_S)
        .prints(receipt(ReceiptKind::Return).total(-500).number("R1"));
    stage.at(200.0);
    // 0.5 for the refund, 0.2 for the silence, 0.2 for the empty place.
    assert_eq!(stage.standing(), [("unreported_refund".to_owned(), 900)]);
    // The late report takes all of it back, and is a refund of its own whose time is not known.
    stage.tells(till("refund_issued").ticket("R1").said_at(REFUND_S));
    stage.at(400.0);
    let alerts = stage.alerts();
    assert!(matches!(alerts[0].state, AlertState::Cleared { .. }));
    assert_eq!(stage.standing(), [("pos_score".to_owned(), 500)]);
    let unknown = ("nobody_there".to_owned(), "pos_lag_unknown".to_owned());
    assert!(stage.not_judged().contains(&unknown));
}

#[test]
fn where_the_other_rule_is_switched_off_it_has_nothing_to_add_to() {
    for silent in [false, true] {
        let mut stage = Stage::fresh();
        stage.settings(|to| {
            let rules = if silent {
                &mut to.silent_rules
            } else {
                &mut to.disabled_rules
            };
            rules.insert(tillwatch_protocol::Rule::of("no_sale"));
        });
        stage.camera(0);
        no_sale(&mut stage);
        stage.at(200.0);
        assert_eq!(stage.standing(), []);
        let found = stage.outcomes.iter().filter(|(_, outcome)| {
            matches!(outcome, tillwatch_detect::Outcome::Finding(f) if f.rule.as_str() == "nobody_there")
        });
        assert_eq!(found.count(), 0, "silent: {silent}");
    }
}
