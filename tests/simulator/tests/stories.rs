//! What every story promises, whoever plays it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tillwatch_protocol::pos::{ParseContext, PosEventType, PosFlag, parse_pos_event};
use tillwatch_simulator::{
    Day, Happened, JumpClock, Line, Player, Playing, PosCycle, Recorder, Run, Schedule, Stop,
    Story, StoryError, What, Wiring,
};

fn run() -> Run {
    Run::new("store_001", "reg_01", 42)
}

fn context() -> ParseContext {
    ParseContext {
        zone: jiff::tz::TimeZone::UTC,
        minor_digits: 2,
    }
}

fn played(schedule: &Schedule) -> Recorder {
    let mut register = Recorder::default();
    let mut player = Player::new(run(), JumpClock::default());
    assert_eq!(player.play(schedule, &mut register), Playing::Finished);
    register
}

#[test]
fn every_file_is_a_built_in_story_of_its_own_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let stories = Story::all().unwrap();
    let names: BTreeSet<String> = stories.iter().map(|story| story.name.clone()).collect();
    assert_eq!(names, files);
    assert_eq!(names.len(), stories.len());
    for story in &stories {
        assert_eq!(Story::built_in(&story.name).unwrap(), *story);
        assert!(story.description.ends_with('.'), "{}", story.name);
    }
}

#[test]
fn schedules_ascend_and_hold_every_step() {
    for story in Story::all().unwrap() {
        let schedule = story.schedule();
        assert!(
            schedule.is_sorted_by_key(|(at, _)| *at),
            "{} goes back in time",
            story.name
        );
        assert!(schedule.len() >= story.steps.len(), "{}", story.name);
    }
}

#[test]
fn the_demo_day_happens_within_30_seconds() {
    let day = Day::demo().unwrap();
    assert_eq!(day.stories().len(), 5);
    let schedule = day.schedule();
    assert!(schedule.is_sorted_by_key(|(at, _)| *at));
    assert!(schedule.last().unwrap().0 <= Duration::from_secs(30));
    assert!(day.settled_after() <= Day::DEMO_PERIOD);
    let happened: BTreeSet<u32> = schedule.iter().map(|(_, action)| action.occasion).collect();
    assert_eq!(happened, (0..5).collect());
}

#[test]
fn stories_of_the_demo_day_do_not_explain_one_another() {
    let day = Day::demo().unwrap();
    let schedule = day.schedule();
    let when = |story: &str, wanted: fn(&What) -> bool| -> Vec<Duration> {
        let found = schedule
            .iter()
            .filter(|(_, action)| &*action.story == story && wanted(&action.what));
        found.map(|(at, _)| *at).collect()
    };
    let opens = |what: &What| {
        matches!(
            what,
            What::Edge {
                line: Line::Sense,
                active: true
            }
        )
    };
    let is_kick_pulse = |what: &What| {
        matches!(
            what,
            What::Edge {
                line: Line::Kick,
                active: true
            }
        )
    };
    let is_sale = |what: &What| match what {
        What::Pos(event) => event.event_type() == "payment_cleared",
        What::Print(job) => matches!(job, tillwatch_simulator::timeline::PrintJob::Receipt { .. }),
        _ => false,
    };
    let seconds = Duration::from_secs;

    let no_sale = when("no-sale", opens)[0];
    let forced = when("forced-opening", opens)[0];
    let payment = when("paperless-payment", is_sale)[0];
    for (at, action) in &schedule {
        if is_sale(&action.what) {
            assert!(*at + seconds(10) < no_sale, "a sale explains the no-sale");
            assert!(*at <= payment, "paper explains the payment without any");
        }
        if is_kick_pulse(&action.what) {
            let before = *at + seconds(2) < forced;
            assert!(before || *at > forced, "a kick explains the forced drawer");
        }
    }
}

/// The drawer of a whole day opens and closes in turn, whatever stories it is made of.
#[test]
fn the_drawer_of_the_demo_day_opens_and_closes_in_turn() {
    let mut open = false;
    for (at, opens) in Day::demo().unwrap().drawer_movements() {
        assert_ne!(opens, open, "at {at:?}");
        open = opens;
    }
    assert!(!open);
}

#[test]
fn contacts_bounce_and_then_hold() {
    let story = Story::built_in("no-sale-reported-after").unwrap();
    let schedule = story.schedule();
    let edges = |wanted: Line| -> Vec<(Duration, bool)> {
        let edge = |(at, action): &(Duration, tillwatch_simulator::Action)| match action.what {
            What::Edge { line, active } if line == wanted => Some((*at, active)),
            _ => None,
        };
        schedule.iter().filter_map(edge).collect()
    };
    let ms = Duration::from_millis;
    assert_eq!(edges(Line::Kick), [(ms(20), true), (ms(120), false)]);

    let sense = edges(Line::Sense);
    assert!(
        sense.windows(2).all(|pair| pair[0].1 != pair[1].1),
        "every edge changes the level"
    );
    let (opening, closing): (Vec<_>, Vec<(Duration, bool)>) =
        sense.iter().copied().partition(|(at, _)| *at < ms(2_000));
    assert_eq!(opening[0], (ms(200), true), "80 ms after the pulse's end");
    assert!(opening.len() > 1 && closing.len() > 1, "bounce");
    assert!(opening.last().unwrap().1 && !closing.last().unwrap().1);
    for movement in [opening, closing] {
        let first = movement[0].0;
        assert!(movement.last().unwrap().0 - first < ms(10));
        // No level holds as long as the shortest debouncing time in use, 5 ms.
        assert!(
            movement
                .windows(2)
                .all(|pair| pair[1].0 - pair[0].0 < ms(5))
        );
    }
}

#[test]
fn the_till_speaks_as_the_event_specification_says() {
    for story in Story::all().unwrap() {
        for (topic, json) in played(&story.schedule()).pos_events() {
            let event = parse_pos_event(json.as_bytes(), &context()).unwrap();
            assert_eq!(event.flags, Vec::<PosFlag>::new(), "{}: {json}", story.name);
            assert_eq!(event.store_id.as_deref(), Some("store_001"));
            assert_eq!(event.register_id.as_deref(), Some("reg_01"));
            let expected_topic = match event.event_type {
                PosEventType::VoidTransaction => "void",
                PosEventType::RefundIssued => "refund",
                PosEventType::NoSaleOpened => "drawer",
                PosEventType::DiscountApplied => "discount",
                _ => "general",
            };
            assert_eq!(topic, expected_topic);
            if let Some(amount) = event.amount.filter(|_| !event.items.is_empty()) {
                let sum: i64 = event.items.iter().map(|i| i.total_price.unwrap().0).sum();
                assert_eq!(sum, amount.0, "{}: {json}", story.name);
            }
        }
    }
}

#[test]
fn paper_and_till_name_the_same_tickets_and_amounts() {
    for story in Story::all().unwrap() {
        let register = played(&story.schedule());
        let printed = String::from_utf8_lossy(&register.printed()).into_owned();
        for (_, json) in register.pos_events() {
            let event = parse_pos_event(json.as_bytes(), &context()).unwrap();
            let Some(ticket) = event.ticket_no else {
                continue;
            };
            let Some((_, paper)) = printed.split_once(&format!("RECEIPT {ticket} ")) else {
                continue;
            };
            let paper = paper.split("RECEIPT ").next().unwrap();
            let amount = event.amount.unwrap().display(2).to_string();
            assert!(
                paper.contains(&amount),
                "{}: {amount} in {paper}",
                story.name
            );
            assert!(paper.contains(&event.staff_id.unwrap()), "{}", story.name);
        }
    }
}

#[test]
fn a_second_round_brings_new_ids_tickets_and_people() {
    let schedule = Day::demo().unwrap().schedule();
    let mut player = Player::new(run(), JumpClock::default());
    let mut seen = BTreeSet::new();
    let mut people: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..20 {
        let mut register = Recorder::default();
        player.play(&schedule, &mut register);
        for (_, json) in register.pos_events() {
            let event = parse_pos_event(json.as_bytes(), &context()).unwrap();
            assert!(seen.insert(event.event_id), "an event id came twice");
            if let Some(ticket) = event.ticket_no {
                assert!(seen.insert(ticket), "a ticket came twice");
            }
            let before = people.insert(event.staff_id.unwrap(), round);
            assert!(before.is_none_or(|before| before == round));
        }
    }
}

#[test]
fn a_redelivered_event_is_the_same_byte_for_byte() {
    let story = Story::built_in("void-redelivered").unwrap();
    let register = played(&story.schedule());
    let bodies: Vec<_> = register.pos_events().collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
}

#[test]
fn a_story_without_a_kick_line_has_no_kick_edges() {
    let story = Story::built_in("no-sale").unwrap();
    let mut unwired = story.clone();
    unwired.kick_line = false;
    let kicks = |story: &Story| {
        let is_kick = |what: &What| {
            matches!(
                what,
                What::Edge {
                    line: Line::Kick,
                    ..
                }
            )
        };
        let schedule = story.schedule();
        schedule.iter().filter(|(_, a)| is_kick(&a.what)).count()
    };
    assert_eq!((kicks(&story), kicks(&unwired)), (2, 0));
}

#[test]
fn levels_follow_the_wiring() {
    let wiring = Wiring {
        open_is_high: false,
        pulse_is_high: true,
    };
    let mut player = Player::new(run(), JumpClock::default()).with_wiring(wiring);
    let mut register = Recorder::default();
    player.rest(&mut register);
    let schedule = Story::built_in("forced-opening").unwrap().schedule();
    player.play(&schedule, &mut register);
    let sense = register.happened.iter().filter_map(|h| match h {
        Happened::Edge {
            line: Line::Sense,
            high,
        } => Some(*high),
        _ => None,
    });
    let sense: Vec<bool> = sense.collect();
    assert_eq!(sense[..2], [true, false], "closed is high, open is low");
    assert_eq!(sense.last(), Some(&true));
}

#[test]
fn a_player_stops_in_the_middle_of_a_pause() {
    let stop = Stop::new();
    let mut player =
        Player::new(run(), tillwatch_simulator::SystemClock::default()).with_stop(stop.clone());
    let schedule = Story::built_in("drawer-left-open").unwrap().schedule();
    let player = std::thread::spawn(move || player.play(&schedule, &mut Recorder::default()));
    stop.stop();
    // The story takes 75 s; the test runner would notice.
    assert_eq!(player.join().unwrap(), Playing::Stopped);
}

#[test]
fn speed_shortens_the_times_between() {
    let schedule = Day::demo().unwrap().schedule();
    let mut player = Player::new(run(), JumpClock::default()).with_speed(10.0);
    player.play(&schedule, &mut Recorder::default());
    let last = schedule.last().unwrap().0;
    let clock: &JumpClock = player.clock();
    assert_eq!(tillwatch_simulator::Clock::now(clock), last.div_f64(10.0));
}

#[test]
fn what_cannot_happen_is_refused() {
    let head = "name='x'\ntitle='x'\ndescription='x.'\n";
    let read = |rest: &str| Story::read("x", &format!("{head}{rest}"));
    let open = "[[steps]]\nat_ms=5\ndo='drawer_open'\n";
    let close = "[[steps]]\nat_ms=9\ndo='drawer_close'\n";
    let none = "expect_none=true\n";
    assert!(read(&format!("{none}{open}{close}")).is_ok());
    for (what, story) in [
        ("nothing happens", format!("{none}steps=[]\n")),
        ("time goes back", format!("{none}{close}{open}")),
        ("opens twice", format!("{none}{open}{open}{close}")),
        ("stays open", format!("{none}{open}")),
        ("expects nothing in particular", format!("{open}{close}")),
        (
            "expects something and nothing",
            format!("{none}expect=[{{kind='forced',score=0.8}}]\n{open}{close}"),
        ),
        (
            "a score above one",
            format!("expect=[{{kind='forced',score=1.8}}]\n{open}{close}"),
        ),
    ] {
        let error = read(&story).unwrap_err();
        assert!(
            matches!(error, StoryError::Contradiction { .. }),
            "{what}: {error:?}"
        );
    }
    for (what, story) in [
        (
            "unknown key",
            format!("{none}[[steps]]\nat_ms=5\ndo='kick'\nlout=3\n"),
        ),
        (
            "unknown step",
            format!("{none}[[steps]]\nat_ms=5\ndo='explode'\n"),
        ),
        (
            "unknown placeholder",
            format!(
                "{none}[[steps]]\nat_ms=5\ndo='pos'\nevent={{event_type='x',staff_id='{{stuff}}'}}\n"
            ),
        ),
        (
            "event without type",
            format!("{none}[[steps]]\nat_ms=5\ndo='pos'\nevent={{amount=1}}\n"),
        ),
        (
            "no such pin",
            format!("{none}[[steps]]\nat_ms=5\ndo='kick'\npin=3\nopens=false\n"),
        ),
    ] {
        let error = read(&story).unwrap_err();
        assert!(
            matches!(error, StoryError::Format { .. }),
            "{what}: {error:?}"
        );
    }
}

#[test]
fn the_cycle_is_discount_void_refund_payment() {
    let mut cycle = PosCycle::new(run());
    let events: Vec<_> = (0..8).map(|n| cycle.next_event(n * 10_000_000)).collect();
    let topics: Vec<_> = events.iter().map(|event| event.topic_kind).collect();
    let once = ["discount", "void", "refund", "general"];
    assert_eq!(topics, [once, once].concat());
}

proptest! {
    #[test]
    fn the_cycle_is_readable_whatever_the_seed(seed: u64) {
        let mut cycle = PosCycle::new(Run::new("store_001", "reg_01", seed));
        let mut ids = BTreeSet::new();
        for n in 0..40 {
            let message = cycle.next_event(1_759_588_455_000_000 + n * 10_000_000);
            let event = parse_pos_event(message.json.as_bytes(), &context()).unwrap();
            prop_assert_eq!(&event.flags, &vec![]);
            prop_assert!(ids.insert(event.event_id.clone()));
            prop_assert!(event.amount.unwrap().0 > 0);
            if event.event_type == PosEventType::DiscountApplied {
                prop_assert!(event.original_amount.unwrap() > event.amount.unwrap());
            }
        }
    }
}
