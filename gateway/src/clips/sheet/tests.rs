use super::*;
use crate::clips::footage::tests::{Shots, ZERO_UTC_US};
use crate::clips::picture::tests::picture;
use bytes::Bytes;
use jpeg_decoder::Decoder;
use proptest::prelude::*;

fn film(frames: u64, width: u16, height: u16) -> Shots {
    let mut shots = Shots::default();
    for n in 0..frames {
        shots.push(
            n * 100_000,
            picture(width, height, u8::try_from(n % 200).unwrap()),
        );
    }
    shots
}

fn decoded(sheet: &Sheet) -> Pixels {
    let mut decoder = Decoder::new(&sheet.jpeg[..]);
    let rgb = decoder.decode().unwrap();
    let info = decoder.info().unwrap();
    Pixels {
        width: info.width.into(),
        height: info.height.into(),
        rgb,
    }
}

fn at(pixels: &Pixels, x: usize, y: usize) -> [u8; 3] {
    let at = (y * pixels.width + x) * 3;
    pixels.rgb[at..at + 3].try_into().unwrap()
}

fn is_near(colour: [u8; 3], wanted: [u8; 3]) -> bool {
    let far = |pair: (u8, u8)| pair.0.abs_diff(pair.1) > 24;
    !colour.into_iter().zip(wanted).any(far)
}

#[test]
fn a_minute_becomes_four_by_three_with_the_cause_framed() {
    let shots = film(300, 160, 120);
    let cause = shots.frames[151].monotonic_ns;
    let sheet = draw(&shots, "front", cause, SheetStyle::default()).unwrap();
    assert_eq!(sheet.shown.len(), 12);
    assert_eq!(sheet.unreadable, []);
    for needed in [0, 151, 299] {
        assert!(sheet.shown.contains(&shots.frames[needed].key), "{needed}");
    }
    let pixels = decoded(&sheet);
    assert_eq!(
        (pixels.width, pixels.height),
        (4 + 4 * 324, TITLE_HEIGHT + 3 * 244)
    );
    // Each picture lies in the middle of its tile, larger than it is never.
    for (place, key) in sheet.shown.iter().enumerate() {
        let shade = u8::try_from((key.seq - 1_000) % 200).unwrap();
        let x = 4 + place % 4 * 324;
        let y = TITLE_HEIGHT + place / 4 * 244;
        let middle = at(&pixels, x + 160, y + 120);
        assert!(
            is_near(middle, [shade, 128, 255 - shade]),
            "{place}: {middle:?} {shade}"
        );
        // Neighbours share the border between them.
        let framed = [x - 2, x + 322].map(|x| is_near(at(&pixels, x, y + 120), CAUSE));
        assert_eq!(framed == [true; 2], key.seq == 1_151, "{place}");
    }
}

#[test]
fn the_time_of_each_picture_is_written_on_it() {
    let mut canvas = Canvas::new(SheetStyle::default(), (4, 3), 1);
    let frame = crate::clips::footage::tests::shot(1, 0, 1);
    canvas.tile(0, &frame, None, false);
    assert_eq!(time(ZERO_UTC_US, "%H:%M:%S%.3f"), "08:15:30.250");
    // The label's letters, read back from the dots.
    let (left, top) = (BORDER + 2, TITLE_HEIGHT + 240 - 16);
    let seen: String = (0..12)
        .map(|place| {
            let rows: [u8; 7] = std::array::from_fn(|row| {
                (0..5).fold(0, |bits, column| {
                    let dot = at(
                        &canvas.pixels,
                        left + (place * font::ADVANCE + column) * 2,
                        top + row * 2,
                    );
                    bits << 1 | u8::from(dot == WHITE)
                })
            });
            "0123456789:."
                .chars()
                .find(|letter| font::rows(*letter) == rows)
                .unwrap_or('#')
        })
        .collect();
    assert_eq!(seen, "08:15:30.250");
}

#[test]
fn a_picture_that_cannot_be_read_leaves_a_tile_and_the_others_stay() {
    let mut shots = film(12, 160, 120);
    let (gone, garbage) = (shots.frames[0].key, shots.frames[5].key);
    shots.pictures.remove(&gone);
    shots.pictures.insert(garbage, Bytes::from_static(b"no"));
    let sheet = draw(&shots, "", 0, SheetStyle::default()).unwrap();
    assert_eq!(sheet.unreadable, [gone, garbage]);
    assert_eq!(sheet.shown.len(), 12);
    let pixels = decoded(&sheet);
    assert!(is_near(at(&pixels, 4 + 160, TITLE_HEIGHT + 60), BLACK));
    assert!(is_near(
        at(&pixels, 4 + 324 + 160, TITLE_HEIGHT + 120),
        [1, 128, 254]
    ));
}

#[test]
fn a_clip_of_garbage_still_says_when() {
    let mut shots = Shots::default();
    shots.push(0, &b"no"[..]);
    shots.push(100_000, &b"neither"[..]);
    let sheet = draw(&shots, "", 0, SheetStyle::default()).unwrap();
    assert_eq!(sheet.unreadable.len(), 2);
    assert!(jpeg::size(&sheet.jpeg).is_ok());
    let none = draw(&Shots::default(), "", 0, SheetStyle::default());
    assert_eq!(none.unwrap_err().to_string(), "there are no pictures");
}

#[test]
fn no_style_and_no_shape_makes_it_large() {
    for shape in [(u16::MAX, 1), (1, u16::MAX), (0, 0)] {
        let style = SheetStyle {
            tiles: usize::MAX,
            columns: usize::MAX,
            tile_width: u16::MAX,
            quality: 255,
        };
        let canvas = Canvas::new(style, shape, MAX_TILES);
        assert!(canvas.pixels.rgb.len() <= 32 << 20, "{shape:?}");
        assert!(canvas.pixels.width < 65_000 && canvas.pixels.height < 65_000);
    }
}

#[test]
fn chosen_pictures_are_spread_in_time_not_in_number() {
    // Ten a second, then one a second.
    let mut times: Vec<u64> = (0..100).map(|n| n * 100).collect();
    times.extend((0..11).map(|n| 10_000 + n * 1_000));
    let chosen: Vec<u64> = choose(&times, 0, 5).iter().map(|at| times[*at]).collect();
    assert_eq!(chosen, [0, 5_000, 10_000, 15_000, 20_000]);
}

proptest! {
    #[test]
    fn first_cause_and_last_are_always_chosen(
        mut times in proptest::collection::vec(0_u64..100_000, 1..200), cause in 0_u64..120_000, most in 3_usize..20,
    ) {
        times.sort_unstable();
        times.dedup();
        let chosen = choose(&times, cause, most);
        prop_assert!(chosen.len() <= most);
        prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(chosen[0], 0);
        prop_assert_eq!(chosen[chosen.len() - 1], times.len() - 1);
        let closest = times.iter().map(|time| time.abs_diff(cause)).min();
        let shown = chosen.iter().map(|at| times[*at].abs_diff(cause)).min();
        prop_assert_eq!(shown, closest);
    }
}
