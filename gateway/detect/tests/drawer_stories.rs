//! What the drawer, the kick line and the wire tell, and what may be concluded from it.
#![allow(clippy::unwrap_used)]

mod stage;

use stage::*;
use tillwatch_protocol::event::{DrawerState, EventBody, Witness, WitnessState};
use tillwatch_protocol::finding::Severity;
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::time::Stamp;

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
        name: "forced: again and again, as fast as hands can",
        absent: NONE,
        play: |s| {
            s.at(0.0).opens().at(0.4).closes();
            s.at(0.8).opens().at(1.2).closes();
        },
        stands: &[("drawer_forced", 800), ("drawer_forced", 800)],
        not_judged: &[],
    },
    Story {
        name: "near miss: slammed, not latched, and sprung back within a second",
        absent: NONE,
        play: |s| {
            s.at(10.0).sale("T1", 500);
            s.at(15.9).opens().at(17.0).closes();
        },
        stands: &[],
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
    play_all(STORIES);
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
