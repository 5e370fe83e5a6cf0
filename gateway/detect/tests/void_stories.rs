//! Voids and refunds that only one of paper and till tells of.
#![allow(clippy::unwrap_used)]

mod stage;

use stage::*;
use tillwatch_protocol::event::Witness;
use tillwatch_protocol::receipt::ReceiptKind;

const VOID: ReceiptKind = ReceiptKind::PostVoid;
const REFUND: ReceiptKind = ReceiptKind::Return;
const SALE: ReceiptKind = ReceiptKind::Sale;

/// Ordinary trade with a till whose clock is off, so that skew and lag become known.
fn trade(s: &mut Stage, sales: u32, skew_s: f64) {
    for n in 0..sales {
        let at = s.now_s + 60.0;
        let ticket = format!("P{n}");
        s.at(at).prints(receipt(SALE).total(700).number(&ticket));
        s.at(at + 1.0).tells(
            till("payment_cleared")
                .ticket(&ticket)
                .amount(700)
                .said_at(at + skew_s),
        );
    }
}

const STORIES: &[Story] = &[
    Story {
        name: "unreported void, right after the first start",
        absent: NONE,
        play: |s| {
            s.at(0.0).prints(receipt(VOID).total(500).number("V1"));
        },
        stands: &[("unreported_void", 600)],
        not_judged: &[],
    },
    Story {
        name: "near miss: reported 30 s later",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .prints(receipt(VOID).total(500))
                .at(30.0)
                .tells(till("void_transaction"));
        },
        stands: &[("pos_score", 400)],
        not_judged: &[],
    },
    Story {
        name: "near miss: reported 25 s before",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .tells(till("void_transaction"))
                .at(30.0)
                .prints(receipt(VOID).total(500));
        },
        stands: &[("pos_score", 400)],
        not_judged: &[],
    },
    Story {
        name: "unreported refund: the till tells of a void only, which is not printed",
        absent: NONE,
        play: |s| {
            s.at(0.0).prints(receipt(REFUND).total(-500).number("R1"));
            s.at(1.0).tells(till("void_transaction").ticket("V1"));
        },
        stands: &[("pos_score", 600), ("unreported_refund", 700)],
        not_judged: &[],
    },
    Story {
        name: "near miss: a suspicious return is a refund, too",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .prints(receipt(REFUND).total(-500))
                .tells(till("suspicious_return"));
        },
        stands: &[("pos_score", 700)],
        not_judged: &[],
    },
    Story {
        name: "near miss: only a line of the sale was voided",
        absent: NONE,
        play: |s| {
            s.at(0.0).prints(receipt(ReceiptKind::ItemVoid).total(500));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "the copy for the merchant is no second void",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .prints(receipt(VOID).number("V1"))
                .at(5.0)
                .prints(receipt(VOID).number("V1"));
            s.at(40.0).prints(receipt(VOID).number("V1"));
        },
        stands: &[("unreported_void", 600)],
        not_judged: &[],
    },
    Story {
        name: "a damaged receipt may say anything",
        absent: NONE,
        play: |s| {
            s.at(0.0).prints(receipt(VOID).damaged());
        },
        stands: &[],
        not_judged: &[("unreported_void", "receipt_unreadable")],
    },
    Story {
        name: "the till's feed was away for a moment",
        absent: NONE,
        play: |s| {
            s.at(0.0).prints(receipt(VOID)).at(20.0).loses(Witness::Pos);
            s.at(21.0).regains(Witness::Pos);
        },
        stands: &[],
        not_judged: &[("unreported_void", "witness_lost")],
    },
    Story {
        name: "the feed came back just before the void",
        absent: NONE,
        play: |s| {
            s.at(0.0).loses(Witness::Pos).at(5.0).regains(Witness::Pos);
            s.at(10.0).prints(receipt(VOID));
        },
        stands: &[],
        not_judged: &[("unreported_void", "witness_lost")],
    },
    Story {
        name: "the feed was caught losing a payment",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .prints(receipt(SALE).total(500))
                .at(100.0)
                .prints(receipt(VOID));
        },
        stands: &[],
        not_judged: &[("unreported_void", "feed_unreliable")],
    },
    Story {
        name: "the feed is caught losing a payment afterwards: taken back",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .prints(receipt(VOID))
                .at(100.0)
                .prints(receipt(SALE).total(500));
            // Noticed with the next event.
            s.at(140.0).closes();
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "after trade in which every sale was reported it stands",
        absent: NONE,
        play: |s| {
            trade(s, 1_010, 200.0);
            s.prints(receipt(VOID).total(500).number("V1"));
            trade(s, 20, 200.0);
        },
        stands: &[("unreported_void", 600)],
        not_judged: &[],
    },
    Story {
        name: "not judged: after a few sales the feed still has to prove that it loses nothing",
        absent: NONE,
        play: |s| {
            trade(s, 20, 200.0);
            s.prints(receipt(VOID).total(500).number("V1"));
            trade(s, 20, 200.0);
        },
        stands: &[],
        not_judged: &[("unreported_void", "feed_unproven")],
    },
    Story {
        name: "whoever installs a box can try it out: a sale, then its void that nobody reported",
        absent: NONE,
        play: |s| {
            trade(s, 1, 0.0);
            let now = s.now_s + 60.0;
            s.at(now).prints(receipt(VOID).total(700).number("V1"));
        },
        stands: &[("unreported_void", 600)],
        not_judged: &[],
    },
    Story {
        name: "near miss: once trade has begun, a void of something else is no trial",
        absent: NONE,
        play: |s| {
            trade(s, 1, 0.0);
            let now = s.now_s + 60.0;
            s.at(now).prints(receipt(VOID).total(500).number("V1"));
        },
        stands: &[],
        not_judged: &[("unreported_void", "feed_unproven")],
    },
    Story {
        name: "a feed that was caught delaying gets its time, and uses it",
        absent: NONE,
        play: |s| {
            trade(s, 8, 0.0);
            let now = s.now_s + 60.0;
            s.at(now).prints(receipt(SALE).total(900));
            s.at(now + 90.0)
                .tells(till("payment_cleared").amount(900).said_at(now));
            trade(s, 1_010, 0.0);
            let later = s.now_s + 60.0;
            s.at(later).prints(receipt(VOID).total(500));
            s.at(later + 300.0)
                .tells(till("void_transaction").said_at(later));
        },
        // By then it is night.
        stands: &[("pos_score", 500)],
        not_judged: &[],
    },
    Story {
        name: "a feed that was caught delaying gets its time, and nothing comes",
        absent: NONE,
        play: |s| {
            trade(s, 8, 0.0);
            let now = s.now_s + 60.0;
            s.at(now).prints(receipt(SALE).total(900));
            s.at(now + 90.0)
                .tells(till("payment_cleared").amount(900).said_at(now));
            trade(s, 1_010, 0.0);
            let later = s.now_s + 60.0;
            s.at(later)
                .prints(receipt(VOID).total(500))
                .at(later + 700.0);
        },
        stands: &[("unreported_void", 600)],
        not_judged: &[],
    },
    Story {
        name: "unprinted void: one alert, 0.2 on top of the till event's score",
        absent: NONE,
        play: |s| {
            s.at(0.0).tells(till("void_transaction").ticket("V1"));
        },
        stands: &[("pos_score", 600)],
        not_judged: &[],
    },
    Story {
        name: "unprinted refund",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .prints(receipt(SALE))
                .tells(till("payment_cleared"));
            s.tells(till("refund_issued").ticket("R1"));
        },
        stands: &[("pos_score", 700)],
        not_judged: &[],
    },
    Story {
        name: "near miss: printed 30 s before",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .prints(receipt(REFUND).total(-100))
                .at(30.0)
                .tells(till("refund_issued"));
        },
        stands: &[("pos_score", 500)],
        not_judged: &[],
    },
    Story {
        name: "a receipt that nobody can read may be the refund's",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .prints(receipt(SALE).pictured())
                .at(9.0)
                .tells(till("refund_issued"));
        },
        stands: &[("pos_score", 500)],
        not_judged: &[("unprinted_refund", "receipt_unreadable")],
    },
    Story {
        name: "the printer was not there",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .loses(Witness::Printer)
                .at(9.0)
                .tells(till("refund_issued"));
        },
        stands: &[("pos_score", 500)],
        not_judged: &[("unprinted_refund", "witness_lost")],
    },
];

#[test]
fn stories_end_as_they_should() {
    play_all(STORIES);
}

#[test]
fn decisions_fall_when_the_window_ends() {
    let mut stage = Stage::fresh();
    stage.at(10.0).prints(receipt(VOID).total(500)).at(100.0);
    assert_eq!(stage.first_alert_at("unreported_void"), Some(40.0));
    let mut stage = Stage::fresh();
    stage
        .at(10.0)
        .tells(till("payment_cleared").order("O1"))
        .at(100.0);
    assert_eq!(stage.first_alert_at("receipt_suppressed"), Some(40.0));
}

#[test]
fn a_late_till_event_clears_the_unreported_void_and_is_an_alert_of_its_own() {
    let mut stage = Stage::fresh();
    stage
        .at(10.0)
        .prints(receipt(VOID).total(500).number("V1"))
        .at(60.0);
    assert_eq!(stage.standing(), [("unreported_void".to_owned(), 600)]);
    stage
        .at(100.0)
        .tells(till("void_transaction").ticket("V1").said_at(10.0))
        .at(200.0);
    assert_eq!(stage.standing(), [("pos_score".to_owned(), 400)]);
    assert_eq!(stage.alerts()[0].revision, 2);
}

#[test]
fn a_register_without_printer_or_till_feed_is_not_judged_by_them() {
    let mut stage = Stage::without(&[Witness::Printer]);
    stage
        .at(0.0)
        .tells(till("payment_cleared").order("O1"))
        .tells(till("refund_issued"))
        .at(90.0);
    assert_eq!(stage.standing(), [("pos_score".to_owned(), 500)]);
    let mut stage = Stage::without(&[Witness::Pos]);
    stage.at(0.0).prints(receipt(VOID)).at(90.0);
    assert_eq!(stage.standing(), []);
    assert_eq!(stage.not_judged(), []);
}
