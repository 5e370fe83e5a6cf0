use super::*;
use proptest::prelude::*;

const COLUMNS: usize = 40;
const ROWS: usize = 30;
const SECOND: u64 = 1_000_000_000;

/// Shelves and boxes, so bright.
fn shop(light: u8) -> Luma {
    let cells = (0..COLUMNS * ROWS)
        .map(|at| {
            if (at / 3 + at / COLUMNS).is_multiple_of(3) {
                light
            } else {
                light / 3
            }
        })
        .collect();
    Luma::new(COLUMNS, ROWS, cells)
}

/// Light through tape: a slope without an edge.
fn tape() -> Luma {
    let cells = (0..COLUMNS * ROWS)
        .map(|at| 60 + (at % COLUMNS) as u8)
        .collect();
    Luma::new(COLUMNS, ROWS, cells)
}

#[derive(Default)]
struct Watched {
    detector: BlindingDetector,
    now_ns: u64,
    pictures: u64,
    changes: Vec<SightChange>,
}

impl Watched {
    fn look(&mut self, luma: &Luma, fingerprint: u64) {
        self.now_ns += SECOND / 5;
        let change = self.detector.observe(luma, fingerprint, self.now_ns);
        self.changes.extend(change);
    }

    /// Pictures of a living sensor.
    fn show(&mut self, luma: &Luma, seconds: u64) -> Option<Sight> {
        for _ in 0..seconds * 5 {
            self.pictures += 1;
            self.look(luma, self.pictures);
        }
        self.detector.sight()
    }

    fn repeat(&mut self, luma: &Luma, seconds: u64) -> Option<Sight> {
        for _ in 0..seconds * 5 {
            self.look(luma, 0);
        }
        self.detector.sight()
    }
}

#[test]
fn each_way_to_be_blind_has_its_name() {
    let mut watched = Watched::default();
    assert_eq!(watched.show(&shop(200), 4), None);
    assert_eq!(watched.show(&shop(200), 2), Some(Sight::Clear));
    assert_eq!(watched.show(&shop(12), 6), Some(Sight::Dark));
    assert_eq!(watched.show(&tape(), 6), Some(Sight::Covered));
    assert_eq!(watched.show(&shop(200), 6), Some(Sight::Clear));
    assert_eq!(watched.repeat(&shop(200), 11), Some(Sight::Frozen));
    assert_eq!(watched.show(&shop(200), 6), Some(Sight::Clear));
}

#[test]
fn a_moment_is_not_believed() {
    let mut watched = Watched::default();
    watched.show(&shop(200), 6);
    for _ in 0..5 {
        watched.show(&shop(12), 4);
        watched.show(&tape(), 4);
        watched.repeat(&shop(200), 4);
    }
    assert_eq!(watched.changes.len(), 1, "{:?}", watched.changes);
}

#[test]
fn a_blind_camera_that_repeats_itself_keeps_its_better_name() {
    let mut watched = Watched::default();
    assert_eq!(watched.repeat(&shop(0), 30), Some(Sight::Dark));
    assert_eq!(watched.repeat(&tape(), 30), Some(Sight::Covered));
}

#[test]
fn the_time_told_is_when_it_began() {
    let mut watched = Watched::default();
    watched.show(&shop(200), 10);
    watched.repeat(&shop(200), 12);
    let frozen = watched.changes.last().expect("frozen");
    assert_eq!(frozen.sight, Sight::Frozen);
    assert_eq!(frozen.since_ns, 10 * SECOND + SECOND / 5);
    assert_eq!(frozen.at_ns, frozen.since_ns + FROZEN_NS);
}

#[test]
fn time_without_pictures_does_not_count() {
    let mut watched = Watched::default();
    watched.show(&shop(200), 6);
    watched.show(&shop(12), 3);
    watched.now_ns += 60 * SECOND;
    assert_eq!(watched.show(&shop(12), 4), Some(Sight::Clear));
    assert_eq!(watched.show(&shop(12), 2), Some(Sight::Dark));
}

#[test]
fn a_small_lamp_in_a_dark_shop_is_no_light() {
    let mut cells = shop(12).cells().to_vec();
    cells[400..410].fill(255);
    assert!(Look::of(&Luma::new(COLUMNS, ROWS, cells)).bright < DARK_BELOW);
    let nothing = Look::of(&Luma::default());
    assert_eq!((nothing.bright, nothing.edges), (0, 0));
}

#[test]
fn between_two_thresholds_a_state_stays_what_it_was() {
    let dusk = shop((DARK_BELOW + LIGHT_FROM) / 2);
    let mut watched = Watched::default();
    assert_eq!(watched.show(&dusk, 6), Some(Sight::Clear));
    watched.show(&shop(0), 6);
    assert_eq!(watched.show(&dusk, 6), Some(Sight::Dark));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_camera_is_reported_at_most_once_in_five_seconds(
        parts in prop::collection::vec((0_u8..4, 1_u64..14), 0..20),
    ) {
        let mut watched = Watched::default();
        for (kind, seconds) in parts {
            match kind {
                0 => watched.show(&shop(200), seconds),
                1 => watched.show(&shop(0), seconds),
                2 => watched.show(&tape(), seconds),
                _ => watched.repeat(&shop(200), seconds),
            };
        }
        for two in watched.changes.windows(2) {
            prop_assert!(two[1].at_ns - two[0].at_ns >= SETTLED_NS);
            prop_assert_ne!(two[1].sight, two[0].sight);
        }
    }
}
