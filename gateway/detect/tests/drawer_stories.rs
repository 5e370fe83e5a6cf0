//! What the drawer, the kick line and the wire tell, and what may be concluded from it.

mod stage;

use stage::*;
use tillwatch_protocol::event::{DrawerState, EventBody, Witness, WitnessState};
use tillwatch_protocol::finding::{Score, Severity};
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::settings::ReceiptPolicy;
use tillwatch_protocol::time::Stamp;

type Play = fn(&mut Stage);

/// One story: what is not wired, what happens, which alerts stand in the end, what is not judged.
struct Story {
    name: &'static str,
    absent: &'static [Witness],
    play: Play,
    stands: &'static [(&'static str, u16)],
    not_judged: &'static [(&'static str, &'static str)],
}

const NONE: &[Witness] = &[];
const NO_KICK_LINE: &[Witness] = &[Witness::KickLine];

const STORIES: &[Story] = &[
    Story {
        name: "forced: opened without a kick, right after the first start",
        absent: NONE,
        play: |s| {
            s.at(0.0).opens().at(4.0).closes();
        },
        stands: &[("drawer_forced", 800)],
        not_judged: &[],
    },
    Story {
        name: "near miss: a kick 2 s before",
        absent: NONE,
        play: |s| {
            s.settings(|to| to.witness.jam_after_ms = 3_000);
            s.at(10.0)
                .kick()
                .at(12.0)
                .opens()
                .prints(receipt(ReceiptKind::Sale));
            s.tells(till("payment_cleared")).at(14.0).closes();
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "forced: the kick was 2.5 s before and opened the drawer already",
        absent: NONE,
        play: |s| {
            s.at(10.0)
                .kick()
                .at(10.1)
                .opens()
                .prints(receipt(ReceiptKind::Sale));
            s.tells(till("payment_cleared"))
                .at(11.0)
                .closes()
                .at(12.5)
                .opens()
                .at(14.0)
                .closes();
        },
        stands: &[("drawer_forced", 800)],
        not_judged: &[],
    },
    Story {
        name: "forced, by the printer's wire alone",
        absent: NO_KICK_LINE,
        play: |s| {
            s.at(20.0).opens().at(24.0).closes();
        },
        stands: &[("drawer_forced", 500)],
        not_judged: &[],
    },
    Story {
        name: "near miss: the command came 15 s before, behind a long receipt",
        absent: NO_KICK_LINE,
        play: |s| {
            s.at(20.0)
                .command(true)
                .at(34.0)
                .prints(receipt(ReceiptKind::Sale).lasting(14));
            s.tells(till("payment_cleared"))
                .at(35.0)
                .opens()
                .at(40.0)
                .closes();
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "a command inside a payload may be chance: nobody is accused",
        absent: NO_KICK_LINE,
        play: |s| {
            s.at(20.0).command(false).at(21.0).opens().at(24.0).closes();
        },
        stands: &[],
        not_judged: &[("drawer_forced", "unconfirmed_command")],
    },
    Story {
        name: "with the kick line, a command inside a payload is no excuse",
        absent: NONE,
        play: |s| {
            s.at(20.0).command(false).at(21.0).opens().at(24.0).closes();
        },
        stands: &[("drawer_forced", 800)],
        not_judged: &[],
    },
    Story {
        name: "a command on the wire and no pulse: the kick line's lead may be cut",
        absent: NONE,
        play: |s| {
            s.at(20.0).command(true).at(20.2).opens().at(24.0).closes();
        },
        stands: &[],
        not_judged: &[("drawer_forced", "kick_lead_cut")],
    },
    Story {
        name: "kick line lost: the wire stands in for it",
        absent: NONE,
        play: |s| {
            s.at(5.0)
                .loses(Witness::KickLine)
                .at(30.0)
                .opens()
                .at(33.0)
                .closes();
        },
        stands: &[("drawer_forced", 500)],
        not_judged: &[],
    },
    Story {
        name: "neither kick line nor wire watched",
        absent: NONE,
        play: |s| {
            s.at(5.0).loses(Witness::KickLine).loses(Witness::Printer);
            s.at(30.0).opens().at(33.0).closes();
        },
        stands: &[],
        not_judged: &[("drawer_forced", "witness_lost")],
    },
    Story {
        name: "kick line came back a second ago, the wire 10 s ago",
        absent: NONE,
        play: |s| {
            s.at(5.0).loses(Witness::KickLine).loses(Witness::Printer);
            s.at(20.0)
                .regains(Witness::Printer)
                .at(29.0)
                .regains(Witness::KickLine);
            s.at(30.0).opens().at(33.0).closes();
        },
        stands: &[],
        not_judged: &[("drawer_forced", "witness_lost")],
    },
    Story {
        name: "edges were lost on the kick line and the tap restarted",
        absent: NONE,
        play: |s| {
            s.at(29.0).gap(Witness::KickLine).gap(Witness::Printer);
            s.at(30.0).opens().at(33.0).closes();
        },
        stands: &[],
        not_judged: &[("drawer_forced", "witness_gap")],
    },
    Story {
        name: "pulses without commands: the wire is not what opens this drawer",
        absent: NONE,
        play: |s| {
            s.at(20.0)
                .kick()
                .at(20.1)
                .opens()
                .prints(receipt(ReceiptKind::Sale));
            s.tells(till("payment_cleared")).at(22.0).closes();
            s.at(40.0)
                .loses(Witness::KickLine)
                .at(60.0)
                .opens()
                .prints(receipt(ReceiptKind::Sale));
            s.tells(till("payment_cleared")).at(63.0).closes();
        },
        stands: &[],
        not_judged: &[("drawer_forced", "second_kicker")],
    },
    Story {
        name: "the level at start is no opening",
        absent: NONE,
        play: |s| {
            s.at(1.0).happen(EventBody::Drawer {
                state: DrawerState::Open,
                initial: true,
            });
            s.at(200.0).closes();
        },
        stands: &[],
        not_judged: &[],
    },
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
                .prints(receipt(ReceiptKind::Sale).as_picture());
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
    Story {
        name: "left open: 0.3 after a minute, 0.1 more each minute",
        absent: NONE,
        play: |s| {
            s.sale("T1", 500).at(50.0).command(true).kick().opens();
            s.prints(receipt(ReceiptKind::Sale))
                .tells(till("payment_cleared"));
            s.at(50.0 + 181.0).closes();
        },
        stands: &[("drawer_left_open", 500)],
        not_judged: &[],
    },
    Story {
        name: "left open for an hour: 0.7 at most",
        absent: NONE,
        play: |s| {
            s.at(50.0).kick().opens().prints(receipt(ReceiptKind::Sale));
            s.tells(till("payment_cleared")).at(3_600.0).closes();
        },
        stands: &[("drawer_left_open", 700)],
        not_judged: &[],
    },
    Story {
        name: "near miss: closed after 60 s",
        absent: NONE,
        play: |s| {
            s.at(50.0).kick().opens().prints(receipt(ReceiptKind::Sale));
            s.tells(till("payment_cleared")).at(110.0).closes();
        },
        stands: &[],
        not_judged: &[],
    },
    Story {
        name: "the sense line was lost while the drawer was open",
        absent: NONE,
        play: |s| {
            s.at(50.0).kick().opens().prints(receipt(ReceiptKind::Sale));
            s.tells(till("payment_cleared"))
                .at(100.0)
                .loses(Witness::DrawerSense);
            s.at(150.0).regains(Witness::DrawerSense);
            s.happen(EventBody::Drawer {
                state: DrawerState::Open,
                initial: true,
            });
        },
        stands: &[],
        not_judged: &[],
    },
];

#[test]
fn stories_end_as_they_should() {
    for story in STORIES {
        let mut stage = Stage::without(story.absent);
        (story.play)(&mut stage);
        let end = stage.now_s + 120.0;
        stage.at(end);
        let stands: Vec<_> = stage.standing();
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
        assert_eq!(stage.notices(), Vec::<String>::new(), "{}", story.name);
    }
}

#[test]
fn a_forced_drawer_is_told_at_the_edge() {
    let mut stage = Stage::fresh();
    stage.at(7.25).opens();
    let alert = stage.alerts()[0].clone();
    assert_eq!(stage.first_alert_at("drawer_forced"), Some(7.25));
    assert_eq!(
        (alert.kind.as_ref(), alert.severity),
        ("forced", Severity::Critical)
    );
    assert_eq!(alert.evidence[0].what, "drawer opened");
    assert_eq!(alert.stamp, stage.stamp());
}

#[test]
fn a_pulse_that_is_logged_late_clears_the_forced_drawer_and_the_opening_is_judged_as_kicked() {
    let mut stage = Stage::fresh();
    stage.at(7.0).opens();
    let edge = stage.stamp();
    stage.at(7.05);
    stage.feed(
        Stamp {
            monotonic_ns: edge.monotonic_ns - 100_000_000,
            ..edge
        },
        EventBody::Kick,
    );
    assert_eq!(stage.standing(), []);
    assert_eq!(stage.alerts()[0].revision, 2);
    stage.at(60.0);
    // One opening, one alert: the same one stands again, for another reason.
    assert_eq!(stage.alerts().len(), 1);
    assert_eq!(stage.alerts()[0].contributions[0].rule.as_str(), "no_sale");
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

#[test]
fn a_jam_is_the_technicians_matter() {
    let mut stage = Stage::fresh();
    stage.at(10.0).kick().at(20.0);
    assert_eq!(
        (stage.notices(), stage.standing()),
        (vec!["drawer_jam".to_owned()], vec![])
    );
    // Opens in time: no jam, even when the debounced edge is logged a little late.
    stage.at(30.0).kick().at(31.05);
    let edge = Stamp {
        monotonic_ns: stage.stamp().monotonic_ns - 60_000_000,
        ..stage.stamp()
    };
    stage.feed(
        edge,
        EventBody::Drawer {
            state: DrawerState::Open,
            initial: false,
        },
    );
    stage
        .prints(receipt(ReceiptKind::Sale))
        .tells(till("payment_cleared"))
        .at(33.0)
        .closes();
    // Without a view of the drawer nothing is said.
    stage
        .at(50.0)
        .kick()
        .at(50.5)
        .loses(Witness::DrawerSense)
        .at(60.0);
    assert_eq!(stage.notices().len(), 1);
    assert_eq!(
        stage.not_judged(),
        [("drawer_jam".to_owned(), "witness_lost".to_owned())]
    );
}

#[test]
fn a_sense_line_that_never_changes_is_told_once() {
    let mut stage = Stage::fresh();
    for n in 1..=6 {
        stage.at(f64::from(n) * 20.0).kick();
    }
    stage.at(200.0);
    assert_eq!(
        stage.notices(),
        ["drawer_jam", "drawer_jam", "drawer_sense_fault"]
    );
}

#[test]
fn without_kick_line_a_command_has_time_to_print_before_it_jams() {
    let mut stage = Stage::without(NO_KICK_LINE);
    stage
        .at(20.0)
        .command(true)
        .at(34.0)
        .prints(receipt(ReceiptKind::Sale))
        .opens();
    stage
        .tells(till("payment_cleared"))
        .at(37.0)
        .closes()
        .at(60.0)
        .command(true)
        .at(100.0);
    assert_eq!(stage.notices(), ["drawer_jam"]);
}

#[test]
fn a_restart_closes_windows_without_accusing() {
    let mut stage = Stage::fresh();
    stage.at(10.0).kick().opens().at(15.0).start(NONE).at(300.0);
    assert_eq!(stage.standing(), []);
    assert_eq!(
        stage.not_judged(),
        [("no_sale".to_owned(), "window_cut_by_start".to_owned())]
    );
    stage.at(310.0).kick().opens().at(315.0);
    stage.boot = 2;
    stage.start(NONE).at(400.0);
    assert_eq!(stage.not_judged()[1].1, "window_cut_by_boot");
    assert_eq!(stage.standing(), []);
    // After a restart the time before it was not watched; later openings are judged again.
    stage
        .at(401.0)
        .witness(Witness::KickLine, WitnessState::Alive)
        .at(420.0)
        .opens();
    assert_eq!(stage.standing(), [("drawer_forced".to_owned(), 800)]);
}
