use super::*;
use proptest::prelude::*;

const LOOK_NS: u64 = 200_000_000;
const SECOND: u64 = 1_000_000_000;
const COLUMNS: usize = 40;
const ROWS: usize = 30;

const LEFT: Region = Region {
    left: 0,
    top: 0,
    width: 500,
    height: 1000,
};
const RIGHT: Region = Region { left: 500, ..LEFT };

/// A picture of `light` with a bright block of 6 × 10 cells at a column.
fn picture(light: u8, block: Option<usize>) -> Luma {
    let cells = (0..COLUMNS * ROWS).map(|at| {
        let (column, row) = (at % COLUMNS, at / COLUMNS);
        let in_block = |left: usize| (left..left + 6).contains(&column) && (8..18).contains(&row);
        if block.is_some_and(in_block) {
            255 - light
        } else {
            light + (column * 3 % 20) as u8
        }
    });
    Luma::new(COLUMNS, ROWS, cells.collect())
}

struct Watched {
    detector: MotionDetector,
    now_ns: u64,
    changes: Vec<(u64, u8, Motion)>,
}

impl Watched {
    fn new() -> Self {
        Self {
            detector: MotionDetector::new(&[LEFT, RIGHT], MotionConfig::default()),
            now_ns: 0,
            changes: Vec::new(),
        }
    }

    fn look(&mut self, luma: &Luma) {
        self.now_ns += LOOK_NS;
        let changes = &mut self.changes;
        self.detector.observe(luma, self.now_ns, &mut |change| {
            changes.push((change.at_ns, change.region, change.motion));
        });
    }

    fn quiet(&mut self, seconds: u64) {
        for _ in 0..seconds * 5 {
            self.look(&picture(60, None));
        }
    }

    /// A block walks through the left half.
    fn walk(&mut self, seconds: u64) {
        for step in 0..seconds as usize * 5 {
            self.look(&picture(60, Some(step * 2 % 14)));
        }
    }

    fn now(&self) -> [Motion; 2] {
        [0, 1].map(|region| self.detector.motion(region).expect("a region"))
    }
}

use Motion::{Moving, Still, Unjudged};

#[test]
fn what_moves_is_told_and_where() {
    let mut watched = Watched::new();
    assert_eq!(watched.now(), [Unjudged, Unjudged]);
    watched.quiet(3);
    assert_eq!(watched.now(), [Still, Still]);
    watched.walk(2);
    assert_eq!(watched.now(), [Moving, Still]);
    watched.quiet(5);
    let told: Vec<_> = watched
        .changes
        .iter()
        .map(|(_, region, motion)| (*region, *motion))
        .collect();
    assert_eq!(told, [(0, Still), (1, Still), (0, Moving), (0, Still)]);
}

#[test]
fn one_look_is_no_motion_nor_are_two_cells() {
    let mut watched = Watched::new();
    watched.quiet(3);
    let mut spot = picture(60, None).cells().to_vec();
    spot[5 * COLUMNS + 5] = 255;
    spot[5 * COLUMNS + 6] = 255;
    let spot = Luma::new(COLUMNS, ROWS, spot);
    let empty = picture(60, None);
    for number in 0..50 {
        watched.look([&spot, &empty][number % 2]);
    }
    assert_eq!(watched.now(), [Still, Still]);
}

#[test]
fn the_light_moves_nobody_and_leaves_a_time_without_judgement() {
    let mut watched = Watched::new();
    watched.quiet(3);
    for light in [20, 120, 60] {
        for _ in 0..5 {
            watched.look(&picture(light, None));
            assert_eq!(watched.now(), [Unjudged, Unjudged]);
        }
        for _ in 0..20 {
            watched.look(&picture(light, None));
        }
        assert_eq!(watched.now(), [Still, Still]);
    }
    assert_eq!(watched.detector.whole_changes(), 3);
    assert!(
        watched
            .changes
            .iter()
            .all(|(_, _, motion)| *motion != Moving)
    );
}

/// A camera's own exposure follows the light slowly.
#[test]
fn a_slowly_changing_exposure_is_neither_motion_nor_a_reason_not_to_judge() {
    let mut watched = Watched::new();
    watched.quiet(3);
    for light in (60..160).chain((60..160).rev()) {
        watched.look(&picture(light, None));
        assert_eq!(watched.now(), [Still, Still], "at {light}");
    }
    // And who walks meanwhile is still seen.
    for light in 60..75 {
        watched.look(&picture(light, Some(usize::from(light) % 14)));
    }
    assert_eq!(watched.now(), [Moving, Still]);
}

#[test]
fn without_pictures_nothing_is_said_until_they_have_been_back_for_a_while() {
    let mut watched = Watched::new();
    watched.quiet(3);
    let changes = &mut watched.changes;
    let mut told =
        |change: MotionChange| changes.push((change.at_ns, change.region, change.motion));
    watched.detector.tick(4 * SECOND, &mut told);
    assert_eq!(watched.detector.motion(0), Some(Still));
    watched.detector.tick(6 * SECOND, &mut told);
    assert_eq!(watched.now(), [Unjudged, Unjudged]);
    watched.now_ns = 60 * SECOND;
    watched.quiet(1);
    assert_eq!(watched.now(), [Unjudged, Unjudged]);
    watched.quiet(2);
    assert_eq!(watched.now(), [Still, Still]);
    let last: Vec<_> = watched.changes[2..]
        .iter()
        .map(|(_, _, motion)| *motion)
        .collect();
    assert_eq!(last, [Unjudged, Unjudged, Still, Still]);
}

#[test]
fn pictures_that_come_too_fast_are_left_out_before_they_are_decoded() {
    let mut detector = MotionDetector::new(&[LEFT], MotionConfig::default());
    assert!(detector.is_due(SECOND));
    detector.observe(&picture(60, None), SECOND, &mut |_| {});
    assert!(!detector.is_due(SECOND + 66_000_000));
    assert!(detector.is_due(SECOND + MIN_SAMPLE_NS));
}

#[test]
fn another_size_of_picture_begins_anew() {
    let mut watched = Watched::new();
    watched.quiet(3);
    watched.look(&Luma::new(ROWS, COLUMNS, vec![60; ROWS * COLUMNS]));
    assert_eq!(watched.now(), [Unjudged, Unjudged]);
}

#[test]
fn regions_become_cells() {
    let region = |left, top, width, height| Region {
        left,
        top,
        width,
        height,
    };
    assert_eq!(Region::WHOLE.cells(80, 60), (0..80, 0..60));
    assert_eq!(region(500, 250, 250, 500).cells(80, 60), (40..60, 15..45));
    // Nothing is too small to be looked at, nor reaches over the edge.
    assert_eq!(region(999, 999, 1, 1).cells(80, 60), (79..80, 59..60));
    assert_eq!(region(900, 0, 900, 2).cells(80, 60), (72..80, 0..1));
    assert!(Region::WHOLE.is_valid() && region(999, 0, 1, 1).is_valid());
    assert!(!region(900, 0, 101, 1).is_valid() && !region(0, 0, 0, 1).is_valid());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is before the camera.
    #[test]
    fn a_region_is_reported_at_most_once_in_two_seconds(
        looks in prop::collection::vec((0_u8..200, prop::option::of(0_usize..34), 0_u64..4), 0..200),
    ) {
        let mut watched = Watched::new();
        for (light, block, pause) in looks {
            watched.now_ns += pause * pause * pause * LOOK_NS;
            watched.look(&picture(light / 80 * 80, block));
        }
        for region in [0, 1] {
            let told: Vec<_> = watched.changes.iter().filter(|change| change.1 == region).collect();
            for two in told.windows(2) {
                prop_assert!(two[1].0 - two[0].0 >= MIN_BETWEEN_NS);
                prop_assert_ne!(two[1].2, two[0].2);
            }
        }
    }
}
