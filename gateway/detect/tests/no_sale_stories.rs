//! Openings by the till, with and without a reason.
#![allow(clippy::unwrap_used)]

mod stage;

use stage::*;
use tillwatch_protocol::event::Witness;
use tillwatch_protocol::finding::Score;
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::settings::ReceiptPolicy;

const STORIES: &[Story] = &[
    Story {
        name: "no sale: kicked, no paper, no payment",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .command(true)
                .kick()
                .at(5.1)
                .opens()
                .at(8.0)
                .closes();
        },
        stands: &[("no_sale", 600)],
        not_judged: &[],
    },
    Story {
        name: "no sale without kick line, by the command",
        absent: NO_KICK_LINE,
        play: |s| {
            s.at(20.0).command(true).at(20.3).opens().at(23.0).closes();
        },
        stands: &[("no_sale", 600)],
        not_judged: &[],
    },
    Story {
        name: "near miss: a receipt 20 s after",
        absent: NONE,
        play: |s| {
            s.at(5.0).kick().at(5.1).opens().at(8.0).closes();
            s.at(25.1).prints(receipt(ReceiptKind::Sale).lasting(0));
            s.tells(till("payment_cleared"));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "near miss: a payment 10 s before, on request nothing is printed",
        absent: NONE,
        play: |s| {
            s.settings(|to| to.receipt_policy = ReceiptPolicy::OnRequest);
            s.at(20.0)
                .tells(till("payment_cleared"))
                .at(29.9)
                .kick()
                .at(30.0)
                .opens();
            s.at(33.0).closes();
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "no sale where nothing is printed: the till alone tells",
        absent: NONE,
        play: |s| {
            s.settings(|to| to.receipt_policy = ReceiptPolicy::Never);
            s.at(29.9).kick().at(30.0).opens().at(33.0).closes();
        },
        stands: &[("no_sale", 600)],
        not_judged: &[],
    },
    Story {
        name: "where nothing is printed, a lost till feed leaves it unjudged",
        absent: NONE,
        play: |s| {
            s.settings(|to| to.receipt_policy = ReceiptPolicy::Never);
            s.at(29.9).kick().at(30.0).opens().at(33.0).closes();
            s.at(35.0).loses(Witness::Pos);
        },
        stands: &[],
        not_judged: &[("no_sale", "witness_lost")],
    },
    Story {
        name: "paper that nobody can read may have been the sale",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .kick()
                .at(5.1)
                .opens()
                .prints(receipt(ReceiptKind::Sale).pictured());
            s.at(8.0).closes();
        },
        stands: &[],
        not_judged: &[("no_sale", "receipt_unreadable")],
    },
    Story {
        name: "a refund opens the drawer rightly",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .tells(till("refund_issued").amount(500).ticket("R1"));
            s.prints(receipt(ReceiptKind::Return).total(-500))
                .kick()
                .at(5.1)
                .opens();
            s.at(8.0).closes();
        },
        stands: &[("pos_score", 500)],
        not_judged: &[],
    },
];

#[test]
fn stories_end_as_they_should() {
    play_all(STORIES);
}

#[test]
fn a_no_sale_slip_says_so_at_once() {
    let mut stage = Stage::fresh();
    stage
        .at(5.0)
        .kick()
        .at(5.1)
        .opens()
        .at(6.0)
        .prints(receipt(ReceiptKind::NoSale));
    assert_eq!(stage.first_alert_at("no_sale"), Some(6.0));
    assert_eq!(stage.alerts()[0].evidence.len(), 3);
}

#[test]
fn the_till_confirms_a_no_sale_and_there_is_one_alert_whoever_comes_first() {
    // The second at which the till says so; the drawer opens at 10 s.
    for said in [5.0, 12.0, 45.0, 400.0] {
        let mut stage = Stage::fresh();
        if said < 10.0 {
            stage.at(said).tells(till("no_sale_opened").staff("ann"));
        }
        stage
            .at(10.0)
            .command(true)
            .kick()
            .at(10.1)
            .opens()
            .at(13.0)
            .closes();
        if said >= 10.0 {
            stage.at(said).tells(till("no_sale_opened").staff("ann"));
        }
        stage.at(1_000.0);
        assert_eq!(
            stage.alerts().len(),
            1,
            "said at {said}: {:#?}",
            stage.outcomes
        );
        let alert = stage.alerts()[0];
        assert_eq!(
            (alert.kind.as_ref(), alert.score),
            ("no_sale", Score::from_milli(600))
        );
        assert_eq!(
            alert.subject.staff_id.as_deref(),
            Some("ann"),
            "said at {said}"
        );
        let rules: Vec<_> = alert
            .contributions
            .iter()
            .map(|c| (c.rule.as_str(), c.points.milli()))
            .collect();
        let sum: u16 = rules.iter().map(|(_, points)| points).sum();
        assert_eq!((sum, rules.len()), (600, 2), "said at {said}: {rules:?}");
        assert_eq!(alert.evidence.len(), 3, "opening, kick and till event");
    }
}

#[test]
fn a_payment_that_arrives_late_clears_the_no_sale() {
    let mut stage = Stage::fresh();
    stage.settings(|to| to.receipt_policy = ReceiptPolicy::OnRequest);
    for n in 0..6 {
        let at = 10.0 + f64::from(n) * 60.0;
        stage
            .at(at)
            .tells(till("payment_cleared").said_at(at).ticket(&format!("T{n}")));
    }
    stage.at(500.0).kick().opens().at(503.0).closes().at(540.0);
    assert_eq!(stage.standing(), [("no_sale".to_owned(), 600)]);
    stage
        .at(600.0)
        .tells(till("payment_cleared").said_at(502.0).ticket("T9"));
    assert_eq!(stage.standing(), []);
    // From now on such a feed is given more time.
    stage.at(700.0).kick().opens().at(703.0).closes().at(760.0);
    assert_eq!(stage.standing(), []);
    stage.at(1_500.0);
    assert_eq!(stage.standing(), [("no_sale".to_owned(), 600)]);
}
