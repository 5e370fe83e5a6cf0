//! What the drivers read from the simulated wires is what the stories say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;
use tillwatch_drivers::drawer::debounce::{
    DEFAULT_SENSE_DEBOUNCE_NS, MAX_SENSE_DEBOUNCE_NS, MIN_SENSE_DEBOUNCE_NS,
};
use tillwatch_drivers::drawer::{
    DrawerState, KickConfig, KickDetector, Level, SenseConfig, SenseDebouncer,
};
use tillwatch_drivers::printer::escpos;
use tillwatch_drivers::printer::receipt::{
    End, FramerConfig, FramerEvent, PaperDocument, ReceiptTap,
};
use tillwatch_simulator::{Day, Happened, JumpClock, Line, Player, Recorder, Run, Story, What};

fn ns(at: Duration) -> u64 {
    at.as_nanos().try_into().unwrap()
}

/// Everything that is printed in a story, with its time.
fn wire(story: &Story) -> Vec<(u64, Vec<u8>)> {
    let mut jobs = Vec::new();
    let mut player = Player::new(Run::new("store_001", "reg_01", 42), JumpClock::default());
    player.play_watched(
        &story.schedule(),
        &mut Recorder::default(),
        &mut |at, _, happened| {
            if let Happened::Print(bytes) = happened {
                jobs.push((ns(at), bytes.clone()));
            }
        },
    );
    jobs
}

fn tapped(jobs: &[(u64, Vec<u8>)]) -> Vec<FramerEvent> {
    let mut tap = ReceiptTap::new(escpos::Config::default(), FramerConfig::default());
    let mut events = Vec::new();
    for (at, bytes) in jobs {
        tap.idle(*at, &mut |event| events.push(event));
        tap.feed(bytes, *at, &mut |event| events.push(event));
    }
    let end = jobs.last().map_or(0, |(at, _)| *at);
    tap.close(end, &mut |event| events.push(event));
    assert_eq!(tap.parser_counters().unknown, 0);
    assert_eq!(tap.parser_counters().resyncs, 0);
    events
}

fn documents(events: &[FramerEvent]) -> Vec<&PaperDocument> {
    let documents = events.iter().filter_map(|event| match event {
        FramerEvent::Document(document) => Some(document),
        _ => None,
    });
    documents.collect()
}

#[test]
fn the_ordinary_sale_is_read_back_from_its_bytes() {
    let events = tapped(&wire(&Story::built_in("ordinary-sale").unwrap()));
    let documents = documents(&events);
    let [document] = documents[..] else {
        panic!("one document, not {}", documents.len());
    };
    let lines: Vec<&str> = document.lines.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(lines[0], "HARBOUR STORES");
    assert!(
        lines.contains(&"Crème brûlée                          3.45"),
        "{lines:#?}"
    );
    assert!(
        lines.contains(&"CHANGE                                4.35"),
        "{lines:#?}"
    );
    assert_eq!(document.images, 1, "the logo");
    assert_eq!(document.kicks.len(), 1);
    assert_eq!(document.kicks[0].kick.on_ms, 100);
    assert_eq!(document.end, End::Cut);
    assert!(!document.damaged);

    let shown = events.iter().filter_map(|event| match event {
        FramerEvent::DisplayText { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "Whole milk 1 l      1.10",
            "Crème brûlée        3.45",
            "TOTAL               5.65"
        ],
        "what the display shows stays off the receipt"
    );
}

#[test]
fn the_drawer_of_the_demo_day_is_debounced_to_what_it_did() {
    let day = Day::demo().unwrap();
    let did = day.drawer_movements();
    for debounce_ns in [
        MIN_SENSE_DEBOUNCE_NS,
        DEFAULT_SENSE_DEBOUNCE_NS,
        MAX_SENSE_DEBOUNCE_NS,
    ] {
        let config = SenseConfig {
            open_level: Level::High,
            debounce_ns,
        };
        let mut sense = SenseDebouncer::new(config);
        sense.found(Level::Low, 0);
        let mut seen = Vec::new();
        let mut kick = KickDetector::new(KickConfig {
            active_level: Level::High,
        });
        for (at, action) in day.schedule() {
            let What::Edge { line, active } = action.what else {
                continue;
            };
            let level = if active { Level::High } else { Level::Low };
            match line {
                Line::Kick => drop(kick.edge(level, ns(at))),
                Line::Sense => seen.extend(sense.edge(level, ns(at))),
            }
        }
        let end = ns(Duration::from_secs(60));
        seen.extend(sense.poll(end));
        kick.poll(end);
        let seen: Vec<(u64, bool)> = seen
            .iter()
            .map(|change| (change.at_ns, change.state == DrawerState::Open))
            .collect();
        let did: Vec<(u64, bool)> = did.iter().map(|(at, open)| (ns(*at), *open)).collect();
        assert_eq!(seen, did, "with {debounce_ns} ns");
        assert_eq!(kick.counters().kicks, 2, "the sale's and the no-sale's");
        assert_eq!(kick.counters().noise, 0);
    }
}
