//! Paper and till must agree: payments without paper, voids and refunds that only one of them
//! tells of, and everything that makes their silence worth nothing.

mod stage;

use stage::*;
use tillwatch_protocol::event::Witness;
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::settings::ReceiptPolicy;

type Play = fn(&mut Stage);

/// One story: what happens, which alerts stand in the end, what is not judged.
struct Story {
    name: &'static str,
    play: Play,
    stands: &'static [(&'static str, u16)],
    not_judged: &'static [(&'static str, &'static str)],
}

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
        name: "suppressed: a payment and no paper, right after the first start",
        play: |s| {
            s.at(0.0)
                .tells(till("payment_cleared").order("O1").amount(900));
        },
        stands: &[("receipt_suppressed", 500)],
        not_judged: &[],
    },
    Story {
        name: "near miss: printed 29 s later",
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
        play: |s| {
            s.at(5.0).prints(receipt(SALE).as_picture());
            s.at(34.0).tells(till("payment_cleared").order("O1"));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "near miss: the long receipt has only begun",
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
        play: |s| {
            s.at(50.0)
                .tells(till("payment_cleared").order("O1").said_at(-300.0));
        },
        stands: &[],
        not_judged: &[("receipt_suppressed", "pos_lag_unknown")],
    },
    Story {
        name: "unreported void, right after the first start",
        play: |s| {
            s.at(0.0).prints(receipt(VOID).total(500).number("V1"));
        },
        stands: &[("unreported_void", 600)],
        not_judged: &[],
    },
    Story {
        name: "near miss: reported 30 s later",
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
        play: |s| {
            s.at(0.0).prints(receipt(REFUND).total(-500).number("R1"));
            s.at(1.0).tells(till("void_transaction").ticket("V1"));
        },
        stands: &[("pos_score", 600), ("unreported_refund", 700)],
        not_judged: &[],
    },
    Story {
        name: "near miss: a suspicious return is a refund, too",
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
        play: |s| {
            s.at(0.0).prints(receipt(ReceiptKind::ItemVoid).total(500));
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "the copy for the merchant is no second void",
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
        play: |s| {
            s.at(0.0).prints(receipt(VOID).damaged());
        },
        stands: &[],
        not_judged: &[("unreported_void", "receipt_unreadable")],
    },
    Story {
        name: "the till's feed was away for a moment",
        play: |s| {
            s.at(0.0).prints(receipt(VOID)).at(20.0).loses(Witness::Pos);
            s.at(21.0).regains(Witness::Pos);
        },
        stands: &[],
        not_judged: &[("unreported_void", "witness_lost")],
    },
    Story {
        name: "the feed came back just before the void",
        play: |s| {
            s.at(0.0).loses(Witness::Pos).at(5.0).regains(Witness::Pos);
            s.at(10.0).prints(receipt(VOID));
        },
        stands: &[],
        not_judged: &[("unreported_void", "witness_lost")],
    },
    Story {
        name: "the feed was caught losing a payment",
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
        play: |s| {
            trade(s, 20, 200.0);
            s.prints(receipt(VOID).total(500).number("V1"));
            trade(s, 20, 200.0);
        },
        stands: &[("unreported_void", 600)],
        not_judged: &[],
    },
    Story {
        name: "a feed that was caught delaying gets its time, and uses it",
        play: |s| {
            trade(s, 8, 0.0);
            let now = s.now_s + 60.0;
            s.at(now).prints(receipt(SALE).total(900));
            s.at(now + 90.0)
                .tells(till("payment_cleared").amount(900).said_at(now));
            s.at(now + 100.0).prints(receipt(VOID).total(500));
            s.at(now + 400.0)
                .tells(till("void_transaction").said_at(now + 100.0));
        },
        stands: &[("pos_score", 400)],
        not_judged: &[],
    },
    Story {
        name: "a feed that was caught delaying gets its time, and nothing comes",
        play: |s| {
            trade(s, 8, 0.0);
            let now = s.now_s + 60.0;
            s.at(now).prints(receipt(SALE).total(900));
            s.at(now + 90.0)
                .tells(till("payment_cleared").amount(900).said_at(now));
            s.at(now + 100.0)
                .prints(receipt(VOID).total(500))
                .at(now + 800.0);
        },
        stands: &[("unreported_void", 600)],
        not_judged: &[],
    },
    Story {
        name: "unprinted void: one alert, 0.2 on top of the till event's score",
        play: |s| {
            s.at(0.0).tells(till("void_transaction").ticket("V1"));
        },
        stands: &[("pos_score", 600)],
        not_judged: &[],
    },
    Story {
        name: "unprinted refund",
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
        play: |s| {
            s.at(0.0)
                .prints(receipt(SALE).as_picture())
                .at(9.0)
                .tells(till("refund_issued"));
        },
        stands: &[("pos_score", 500)],
        not_judged: &[("unprinted_refund", "receipt_unreadable")],
    },
    Story {
        name: "the printer was not there",
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
    for story in STORIES {
        let mut stage = Stage::fresh();
        (story.play)(&mut stage);
        let end = stage.now_s + 120.0;
        stage.at(end);
        let stands = stage.standing();
        let stands: Vec<_> = stands.iter().map(|(r, s)| (r.as_str(), *s)).collect();
        assert_eq!(
            stands, story.stands,
            "{}: {:#?}",
            story.name, stage.outcomes
        );
        let not_judged = stage.not_judged();
        let not_judged: Vec<_> = not_judged
            .iter()
            .map(|(r, w)| (r.as_str(), w.as_str()))
            .collect();
        assert_eq!(not_judged, story.not_judged, "{}", story.name);
    }
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
