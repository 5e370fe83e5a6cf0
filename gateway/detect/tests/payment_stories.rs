//! Payments and their paper, and everything that makes silence worth nothing.
#![allow(clippy::unwrap_used)]

mod stage;

use stage::*;
use tillwatch_protocol::Clock;
use tillwatch_protocol::event::Witness;
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::settings::ReceiptPolicy;
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
        name: "suppressed: a payment and no paper, right after the first start",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .tells(till("payment_cleared").order("O1").amount(900));
        },
        stands: &[("receipt_suppressed", 500)],
        not_judged: &[],
    },
    Story {
        name: "suppressed: nobody has set our clock, but it agrees with the till's",
        absent: NONE,
        play: |s| {
            s.clock = Clock::Unsynced;
            s.at(0.0).tells(
                till("payment_cleared")
                    .order("O1")
                    .amount(900)
                    .said_at(-0.2),
            );
        },
        stands: &[("receipt_suppressed", 500)],
        not_judged: &[],
    },
    Story {
        name: "suppressed: the till's clock is a year behind, which no queue is",
        absent: NONE,
        play: |s| {
            s.at(0.0).tells(
                till("payment_cleared")
                    .order("O1")
                    .amount(900)
                    .said_at(-365.0 * 86_400.0),
            );
        },
        stands: &[("receipt_suppressed", 500)],
        not_judged: &[],
    },
    Story {
        name: "not judged: the first payment is an hour old by its own account, and its lag is not known",
        absent: NONE,
        play: |s| {
            s.at(0.0).tells(
                till("payment_cleared")
                    .order("O1")
                    .amount(900)
                    .said_at(-3_600.0),
            );
        },
        stands: &[],
        not_judged: &[("receipt_suppressed", "pos_lag_unknown")],
    },
    Story {
        name: "near miss: printed 29 s later",
        absent: NONE,
        play: |s| {
            s.at(0.0)
                .tells(till("payment_cleared").order("O1").amount(900));
            s.at(29.0).prints(receipt(SALE).total(900));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "near miss: printed 29 s earlier, a picture only",
        absent: NONE,
        play: |s| {
            s.at(5.0).prints(receipt(SALE).pictured());
            s.at(34.0).tells(till("payment_cleared").order("O1"));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "near miss: the long receipt has only begun",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .tells(till("payment_cleared").order("O1"))
                .at(34.0)
                .paper_started();
            s.at(70.0).prints(receipt(SALE).lasting(36));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "suppressed between two that were printed",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .tells(till("payment_cleared").order("O1").amount(100));
            s.at(6.0).prints(receipt(SALE).total(100));
            s.at(20.0)
                .tells(till("payment_cleared").order("O2").amount(200));
            s.at(35.0)
                .tells(till("payment_cleared").order("O3").amount(300));
            s.at(36.0).prints(receipt(SALE).total(300));
        },
        stands: &[("receipt_suppressed", 500)],
        not_judged: &[],
    },
    Story {
        name: "near miss: two payments of one order, one receipt",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .tells(till("payment_cleared").order("O1").amount(100));
            s.at(12.0)
                .tells(till("payment_cleared").order("O1").amount(50));
            s.at(13.0).prints(receipt(SALE).total(150));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "near miss: the second payment of the order comes minutes later, and then the receipt",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .tells(till("payment_cleared").order("O1").amount(100));
            s.at(120.0)
                .tells(till("payment_cleared").order("O1").amount(50));
            s.at(121.0).prints(receipt(SALE).total(150));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "each paper serves one order, whichever way round they come",
        absent: NONE,
        play: |s| {
            // The first payment could take either paper, the second only the earlier one.
            s.at(5.0)
                .prints(receipt(SALE))
                .at(30.0)
                .tells(till("payment_cleared").order("O1"));
            s.at(34.0).tells(till("payment_cleared").order("O2"));
            s.at(58.0).prints(receipt(SALE));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "nothing has to be printed on request",
        absent: NONE,
        play: |s| {
            s.settings(|to| to.receipt_policy = ReceiptPolicy::OnRequest);
            s.at(5.0)
                .tells(till("payment_cleared").order("O1").amount(900));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "a payment from before the policy changed",
        absent: NONE,
        play: |s| {
            s.settings(|to| to.receipt_policy = ReceiptPolicy::OnRequest);
            trade(s, 8, 0.0);
            let now = s.now_s;
            s.at(now + 40.0)
                .settings(|to| to.receipt_policy = ReceiptPolicy::Always);
            s.at(now + 50.0)
                .tells(till("payment_cleared").order("O1").said_at(now + 20.0));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "the printer was unplugged for a moment",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .tells(till("payment_cleared").order("O1").amount(900));
            s.at(10.0)
                .loses(Witness::Printer)
                .at(12.0)
                .regains(Witness::Printer);
        },
        stands: &[],
        not_judged: &[("receipt_suppressed", "witness_lost")],
    },
    Story {
        name: "bytes were lost just before",
        absent: NONE,
        play: |s| {
            s.at(5.0).gap(Witness::Printer);
            s.at(20.0)
                .tells(till("payment_cleared").order("O1").amount(900));
        },
        stands: &[],
        not_judged: &[("receipt_suppressed", "witness_gap")],
    },
    Story {
        name: "restarted between the receipt and the payment: what was seen was seen",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .prints(receipt(SALE).total(900))
                .at(7.0)
                .start(&[]);
            s.at(9.0)
                .tells(till("payment_cleared").order("O1").amount(900));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "restarted just before the payment: the receipt may have been missed",
        absent: NONE,
        play: |s| {
            s.at(7.0)
                .start(&[])
                .at(9.0)
                .tells(till("payment_cleared").order("O1").amount(900));
        },
        stands: &[],
        not_judged: &[("receipt_suppressed", "pos_lag_unknown")],
    },
    Story {
        name: "a payment that arrives four minutes late, from a till eight minutes ahead",
        absent: NONE,
        play: |s| {
            trade(s, 8, 480.0);
            let now = s.now_s;
            s.at(now + 50.0).prints(receipt(SALE).total(900));
            s.at(now + 290.0);
            s.tells(
                till("payment_cleared")
                    .order("O1")
                    .amount(900)
                    .said_at(now + 50.0 + 480.0),
            );
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "suppressed, told late by a till ten minutes behind",
        absent: NONE,
        play: |s| {
            trade(s, 8, -600.0);
            let now = s.now_s;
            s.at(now + 290.0);
            s.tells(
                till("payment_cleared")
                    .order("O1")
                    .amount(900)
                    .said_at(now + 100.0 - 600.0),
            );
        },
        stands: &[("receipt_suppressed", 500)],
        not_judged: &[],
    },
    Story {
        name: "while skew and lag are not known, a late payment accuses nobody",
        absent: NONE,
        play: |s| {
            s.at(50.0)
                .tells(till("payment_cleared").order("O1").said_at(-300.0));
        },
        stands: &[],
        not_judged: &[("receipt_suppressed", "pos_lag_unknown")],
    },
];

#[test]
fn stories_end_as_they_should() {
    play_all(STORIES);
}

#[test]
fn the_suppressed_sale_is_named_not_its_neighbour() {
    let mut stage = Stage::fresh();
    stage
        .at(5.0)
        .tells(till("payment_cleared").order("O1").ticket("T1").amount(200));
    stage
        .at(20.0)
        .tells(till("payment_cleared").order("O2").ticket("T2").amount(300));
    stage.at(21.0).prints(receipt(SALE).total(300)).at(100.0);
    assert_eq!(stage.alerts()[0].subject.ticket_no.as_deref(), Some("T1"));
}

#[test]
fn a_tap_that_hears_nothing_is_deaf_and_accuses_nobody() {
    let mut stage = Stage::fresh();
    stage.at(0.0).sale("T1", 500);
    for n in 2..=6 {
        stage.at(f64::from(n) * 100.0);
        stage.tells(till("payment_cleared").ticket(&format!("T{n}")).amount(500));
    }
    stage.at(1_000.0);
    assert_eq!(stage.standing(), []);
    assert_eq!(stage.notices(), ["tap_silent"]);
    assert_eq!(stage.not_judged().len(), 3);
    // It hears again: judged again.
    stage
        .sale("T7", 500)
        .at(1_100.0)
        .tells(till("payment_cleared").ticket("T8").amount(500));
    stage.at(1_200.0);
    assert_eq!(stage.standing(), [("receipt_suppressed".to_owned(), 500)]);
}
