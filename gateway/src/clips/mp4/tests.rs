use super::*;
use proptest::prelude::*;
use shiguredo_mp4::boxes::{FtypBox, MoovBox, StszBox};
use shiguredo_mp4::{BoxHeader, Decode, Either};

/// 2026-11-21 08:15:30 UTC.
const ZERO_UTC_S: i64 = 1_795_248_930;

const TRACK: Track<'_> = Track {
    name: "front",
    width: 768,
    height: 576,
    zero_utc_s: ZERO_UTC_S,
};

fn samples(times: &[(u64, u32)]) -> Vec<Sample> {
    let sample = |&(at_us, bytes): &(u64, u32)| Sample { bytes, at_us };
    times.iter().map(sample).collect()
}

fn layout(times: &[(u64, u32)]) -> Result<Mp4Layout, Mp4Error> {
    Mp4Layout::new(&TRACK, &samples(times))
}

/// What a player reads from the header.
struct Read {
    moov: MoovBox,
    /// Length of the pictures, as `mdat` says.
    payload: u64,
}

impl Read {
    fn of(layout: &Mp4Layout) -> Read {
        let mut at = 0;
        FtypBox::decode_at(layout.header(), &mut at).unwrap();
        let moov = MoovBox::decode_at(layout.header(), &mut at).unwrap();
        let mdat = BoxHeader::decode_at(layout.header(), &mut at).unwrap();
        assert_eq!(at, layout.header().len(), "pictures follow at once");
        let payload = mdat.box_size.get() - mdat.external_size() as u64;
        Read { moov, payload }
    }

    fn stands(&self) -> Vec<(u32, u32)> {
        let stbl = &self.moov.trak_boxes[0].mdia_box.minf_box.stbl_box;
        let entries = stbl.stts_box.entries.iter();
        entries.map(|e| (e.sample_count, e.sample_delta)).collect()
    }

    /// Length of the edit, and where in the media it begins.
    fn edits(&self) -> Vec<(u64, i64)> {
        let elst = self.moov.trak_boxes[0].edts_box.as_ref().unwrap();
        let entries = elst.elst_box.as_ref().unwrap().entries.iter();
        entries.map(|e| (e.edit_duration, e.media_time)).collect()
    }

    fn places(&self) -> Vec<u64> {
        let stbl = &self.moov.trak_boxes[0].mdia_box.minf_box.stbl_box;
        match &stbl.stco_or_co64_box {
            Either::A(stco) => stco.chunk_offsets.iter().copied().map(u64::from).collect(),
            Either::B(co64) => co64.chunk_offsets.clone(),
        }
    }

    fn is_large(&self) -> bool {
        let stbl = &self.moov.trak_boxes[0].mdia_box.minf_box.stbl_box;
        matches!(stbl.stco_or_co64_box, Either::B(_))
    }
}

#[test]
fn each_picture_stands_until_the_next_and_a_gap_is_a_long_stand() {
    let times = [
        (250_000, 100),
        (316_667, 90),
        (383_333, 80),
        (9_383_333, 70),
        (9_450_000, 60),
    ];
    let layout = layout(&times).unwrap();
    let read = Read::of(&layout);
    // The last one stands as long as most: not as long as the gap.
    assert_eq!(
        read.stands(),
        [(1, 66_667), (1, 66_666), (1, 9_000_000), (2, 66_667)]
    );
    assert_eq!(read.edits(), [(250_000, -1), (9_266_667, 0)]);
    assert_eq!(read.moov.mvhd_box.timescale.get(), 1_000_000);
    assert_eq!(read.moov.mvhd_box.duration, 9_516_667);
    assert_eq!(read.payload, 400);
    assert_eq!(layout.len(), layout.header().len() as u64 + 400);
}

#[test]
fn a_clip_that_begins_at_once_has_no_empty_edit() {
    let read = Read::of(&layout(&[(0, 1), (40_000, 1)]).unwrap());
    assert_eq!(read.edits(), [(80_000, 0)]);
}

#[test]
fn a_single_picture_stands_for_a_tenth_of_a_second() {
    let read = Read::of(&layout(&[(5, 1)]).unwrap());
    assert_eq!(read.stands(), [(1, 100_000)]);
}

#[test]
fn creation_time_and_camera_are_told() {
    let read = Read::of(&layout(&[(0, 1)]).unwrap());
    let since_1904 = u64::try_from(ZERO_UTC_S).unwrap() + 2_082_844_800;
    let trak = &read.moov.trak_boxes[0];
    assert_eq!(read.moov.mvhd_box.creation_time.as_secs(), since_1904);
    assert_eq!(trak.mdia_box.hdlr_box.name, b"front\0");
    assert_eq!(trak.tkhd_box.width.integer, 768);
}

#[test]
fn after_2040_creation_time_takes_64_bits() {
    let zero_utc_s = 2_300_000_000;
    let track = Track {
        zero_utc_s,
        ..TRACK
    };
    let layout = Mp4Layout::new(&track, &samples(&[(0, 1)])).unwrap();
    let created = Read::of(&layout).moov.mvhd_box.creation_time;
    assert_eq!(created.as_secs(), 2_300_000_000 + 2_082_844_800);
}

#[test]
fn above_4_gib_places_and_length_take_64_bits() {
    let times: Vec<(u64, u32)> = (0..2_000).map(|n| (n * 66_667, 4 << 20)).collect();
    let layout = layout(&times).unwrap();
    let read = Read::of(&layout);
    assert!(read.is_large());
    assert_eq!(read.payload, 2_000 * (4 << 20));
    let last = layout.len() - (4 << 20);
    assert_eq!(read.places().last(), Some(&last));
    let parts: Vec<Part> = layout.parts(last - 1..last + 1).collect();
    assert_eq!(
        parts,
        [
            Part::Sample {
                index: 1_998,
                bytes: (4 << 20) - 1..4 << 20
            },
            Part::Sample {
                index: 1_999,
                bytes: 0..1
            }
        ]
    );
    let just_below: Vec<(u64, u32)> = (0..1_000).map(|n| (n * 66_667, 4 << 20)).collect();
    assert!(!Read::of(&self::layout(&just_below).unwrap()).is_large());
}

#[test]
fn a_gap_too_long_for_microseconds_makes_the_ticks_longer() {
    let hour = 3_600_000_000;
    let read = Read::of(&layout(&[(0, 1), (hour, 1), (hour + 66_660, 1)]).unwrap());
    assert_eq!(read.moov.mvhd_box.timescale.get(), 100_000);
    assert_eq!(
        read.stands(),
        [(1, 360_000_000), (1, 6_666), (1, 360_000_000)]
    );
    let month = 31 * 24 * hour;
    assert_eq!(
        layout(&[(0, 1), (month, 1)]),
        Err(Mp4Error::TooLongGap { sample: 1 })
    );
}

/// A camera's clock stands still or jumps back: the order is that of the pictures, each is shown,
/// and behind the jump the times are their own again.
#[test]
fn pictures_that_are_not_later_stand_one_tick_each_and_hold_nobody_up() {
    let times = [
        (40_000, 1),
        (40_000, 1),
        (10_000, 1),
        (39_999, 1),
        (80_000, 1),
        (120_000, 1),
    ];
    let read = Read::of(&layout(&times).unwrap());
    assert_eq!(read.stands(), [(3, 1), (1, 39_997), (1, 40_000), (1, 1)]);
    assert_eq!(read.edits()[0], (40_000, -1));
    let month = 20 * 24 * 3_600_000_000;
    let coarse = Read::of(&layout(&[(month, 1), (0, 1), (2 * month, 1)]).unwrap());
    assert_eq!(coarse.moov.mvhd_box.timescale.get(), 1_000);
    assert_eq!(coarse.stands()[0], (1, 1));
}

#[test]
fn what_cannot_be_shown_is_refused_by_its_place() {
    assert_eq!(layout(&[]), Err(Mp4Error::NoSamples));
    assert_eq!(
        layout(&[(0, 9), (1, 0)]),
        Err(Mp4Error::Empty { sample: 1 })
    );
    let many: Vec<(u64, u32)> = (0..=MAX_SAMPLES as u64).map(|n| (n, 1)).collect();
    assert_eq!(layout(&many), Err(Mp4Error::TooMany(MAX_SAMPLES + 1)));
    assert!(layout(&many[1..]).is_ok());
}

#[test]
fn a_hostile_name_is_cut_and_stays_text() {
    let name = format!("a\0b\u{1b}[31m{}", "é".repeat(100));
    let track = Track {
        name: &name,
        ..TRACK
    };
    let layout = Mp4Layout::new(&track, &samples(&[(0, 1)])).unwrap();
    let read = Read::of(&layout);
    let shown = &read.moov.trak_boxes[0].mdia_box.hdlr_box.name;
    assert!(shown.len() <= MAX_NAME + 1);
    assert!(shown.starts_with(b"ab[31m\xC3\xA9"));
    let end = shown.iter().position(|byte| *byte == 0);
    assert_eq!(end, Some(shown.len() - 1));
    assert!(std::str::from_utf8(shown).is_ok());
}

fn any_samples() -> impl Strategy<Value = Vec<Sample>> {
    let one = (0_u64..200_000, 1_u32..5_000);
    proptest::collection::vec(one, 1..60).prop_map(|steps| {
        let mut at_us = 0;
        let mut samples = Vec::new();
        for (step, bytes) in steps {
            at_us += step;
            samples.push(Sample { bytes, at_us });
        }
        samples
    })
}

proptest! {
    #[test]
    fn times_sizes_and_places_are_read_back_exactly(samples in any_samples()) {
        let layout = Mp4Layout::new(&TRACK, &samples).unwrap();
        let read = Read::of(&layout);
        let mut at = read.edits()[0].0;
        let mut shown = Vec::new();
        for (count, stand) in read.stands() {
            for _ in 0..count {
                shown.push(at);
                at += u64::from(stand);
            }
        }
        let mut earliest = 0;
        let wanted = samples.iter().map(|sample| {
            let at = sample.at_us.max(earliest);
            earliest = at + 1;
            at
        });
        prop_assert_eq!(shown, wanted.collect::<Vec<_>>());
        prop_assert_eq!(read.moov.mvhd_box.duration, at);
        let stbl = &read.moov.trak_boxes[0].mdia_box.minf_box.stbl_box;
        let sizes = match &stbl.stsz_box {
            StszBox::Variable { entry_sizes } => entry_sizes.clone(),
            StszBox::Fixed { sample_size, sample_count } => vec![sample_size.get(); *sample_count as usize],
        };
        prop_assert_eq!(&sizes, &samples.iter().map(|s| s.bytes).collect::<Vec<_>>());
        let mut place = layout.header().len() as u64;
        for (index, (found, size)) in read.places().into_iter().zip(sizes).enumerate() {
            prop_assert_eq!(found, place);
            prop_assert_eq!(layout.sample_bytes(index), size as usize);
            place += u64::from(size);
        }
        prop_assert_eq!(layout.len(), place);
    }

    #[test]
    fn the_parts_of_a_range_are_that_range_and_no_more(
        samples in any_samples(), from in 0.0_f64..1.2, length in 0_u64..20_000,
    ) {
        let layout = Mp4Layout::new(&TRACK, &samples).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let start = (layout.len() as f64 * from) as u64;
        let mut at = start;
        for part in layout.parts(start..start + length) {
            let (begin, size, bytes) = match part {
                Part::Header(bytes) => (0, layout.header().len(), bytes),
                Part::Sample { index, bytes } => (layout.begin(index), layout.sample_bytes(index), bytes),
            };
            prop_assert!(!bytes.is_empty() && bytes.end <= size);
            prop_assert_eq!(begin + bytes.start as u64, at);
            at += bytes.len() as u64;
        }
        prop_assert_eq!(at, (start + length).min(layout.len()).max(start));
    }
}
