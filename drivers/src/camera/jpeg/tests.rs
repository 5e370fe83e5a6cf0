use super::*;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

/// A JPEG of our own: a gradient with a pattern.
fn picture(width: u16, height: u16, seed: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height))
        .map(|at| (at % usize::from(width)) as u8 ^ (at / usize::from(width)) as u8 ^ seed)
        .collect();
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 80);
    encoder.set_restart_interval(u16::from(seed % 3));
    encoder
        .encode(&pixels, width, height, ColorType::Luma)
        .expect("it encodes");
    jpeg
}

fn colour(width: u16, height: u16, sampling: SamplingFactor) -> Vec<u8> {
    let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height) * 3)
        .map(|at| (at / 3) as u8 ^ (at % 3 * 40) as u8)
        .collect();
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 70);
    encoder.set_sampling_factor(sampling);
    encoder
        .encode(&pixels, width, height, ColorType::Rgb)
        .expect("it encodes");
    jpeg
}

fn pixels(jpeg: &[u8]) -> Vec<u8> {
    jpeg_decoder::Decoder::new(jpeg)
        .decode()
        .expect("it decodes")
}

/// As cameras send them: without the segments that define Huffman tables.
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut left = jpeg[..2].to_vec();
    let mut segments = Segments::of(jpeg).expect("a JPEG");
    loop {
        let (marker, at, _) = segments.next().expect("a segment");
        if marker == SOS {
            left.extend_from_slice(&jpeg[at..]);
            return left;
        }
        if marker != DHT {
            left.extend_from_slice(&jpeg[at..segments.position()]);
        }
    }
}

fn split(pieces: &[&[u8]], max_bytes: usize) -> (Vec<Result<Bytes, Refused>>, u64) {
    let mut splitter = Splitter::new(max_bytes);
    let mut found = Vec::new();
    for piece in pieces {
        splitter.feed(piece, &mut |one| found.push(one));
        assert!(splitter.held() <= max_bytes, "one JPEG is held at most");
    }
    splitter.end(&mut |one| found.push(one));
    (found, splitter.skipped())
}

#[test]
fn a_whole_jpeg_is_taken_byte_for_byte_and_its_padding_left() {
    let jpeg = colour(64, 48, SamplingFactor::R_4_2_2);
    let mut buffer = jpeg.clone();
    buffer.resize(jpeg.len() + 100, 0);
    let taken = take(&buffer).expect("a JPEG");
    assert_eq!((taken.width, taken.height, taken.repaired), (64, 48, false));
    assert_eq!(taken.jpeg, jpeg);
}

#[test]
fn the_size_stands_in_the_header_whatever_follows_it() {
    let jpeg = colour(64, 48, SamplingFactor::R_4_2_2);
    assert_eq!(size(&jpeg), Ok((64, 48)));
    assert_eq!(size(&without_tables(&jpeg)), Ok((64, 48)));
    let header = Header::read(&jpeg).expect("a JPEG").scan_at;
    assert_eq!(size(&jpeg[..header + 14]), Ok((64, 48)));
    assert_eq!(size(&jpeg[..header]), Err(Refused::CutOff));
    assert_eq!(size(b"GIF89a"), Err(Refused::NoStart));
}

/// The tables that encoders write are the standard's, too.
#[test]
fn the_tables_that_cameras_leave_out_are_put_in() {
    let jpeg = colour(64, 48, SamplingFactor::R_4_2_0);
    let bare = without_tables(&jpeg);
    let complaint = jpeg_decoder::Decoder::new(&bare[..]).decode().err();
    assert!(complaint.is_some(), "there is something to repair");
    let taken = take(&bare).expect("a JPEG");
    assert!(taken.repaired);
    assert_eq!(taken.jpeg.len(), bare.len() + STANDARD_HUFFMAN.len());
    assert_eq!(pixels(&taken.jpeg), pixels(&jpeg));
}

#[test]
fn what_is_no_jpeg_is_refused_with_its_reason() {
    let jpeg = picture(32, 32, 1);
    assert_eq!(take(b""), Err(Refused::NoStart));
    assert_eq!(take(&[0; 64]), Err(Refused::NoStart));
    assert_eq!(take(&jpeg[1..]), Err(Refused::NoStart));
    for end in 2..jpeg.len() {
        assert_eq!(take(&jpeg[..end]), Err(Refused::CutOff), "{end} bytes");
    }
    assert_eq!(take(&[0xFF, SOI, 0xFF, EOI]), Err(Refused::Empty));
    assert_eq!(take(&[0xFF, SOI, 7, 7]), Err(Refused::Damaged));

    // The next picture begins where this one should have gone on.
    let mut torn = jpeg[..jpeg.len() - 9].to_vec();
    torn.extend_from_slice(&jpeg);
    assert_eq!(take(&torn), Err(Refused::CutOff));

    let frame = jpeg.windows(2).position(|two| two == [0xFF, 0xC0]);
    let size = frame.expect("a frame header") + 5;
    let mut nothing = jpeg.clone();
    nothing[size..size + 4].copy_from_slice(&[0, 32, 0, 0]);
    let (width, height) = (0, 32);
    assert_eq!(take(&nothing), Err(Refused::Size { width, height }));
    let mut huge = jpeg;
    huge[size..size + 4].copy_from_slice(&[0xFF; 4]);
    assert!(matches!(take(&huge), Err(Refused::Size { .. })));
}

#[test]
fn a_stream_is_cut_at_its_jpegs_and_says_what_was_lost_of_it() {
    let (one, two) = (picture(40, 24, 1), colour(16, 16, SamplingFactor::R_4_4_4));
    let stream = [
        b"--part\r\n",
        &one[..],
        b"\r\n",
        &two[..30],
        &one[..],
        &two[..],
        b"\xff",
    ]
    .concat();
    let (found, skipped) = split(&[&stream], MAX_BYTES);
    let whole = |jpeg: &[u8]| Ok(Bytes::copy_from_slice(jpeg));
    assert_eq!(found[0], whole(&one));
    assert!(found[1].is_err(), "a torn one");
    assert_eq!(found.last(), Some(&whole(&two)));
    let kept: usize = found.iter().flatten().map(Bytes::len).sum();
    assert_eq!(skipped, (stream.len() - kept) as u64);
}

#[test]
fn a_jpeg_that_never_ends_is_given_up_at_the_bound() {
    let jpeg = picture(40, 24, 1);
    let endless = [&jpeg[..jpeg.len() - 2], &[0x55; 5000], &jpeg[..]].concat();
    let (found, _) = split(&[&endless], 4000);
    assert_eq!(found[0], Err(Refused::TooLong));
    assert_eq!(found[1], Ok(Bytes::from(jpeg)));
}

#[test]
fn a_fingerprint_is_the_pictures_not_the_headers() {
    let (one, two) = (picture(40, 24, 3), picture(40, 24, 6));
    let bare = take(&without_tables(&one)).expect("a JPEG").jpeg;
    assert_ne!(bare, one, "the tables stand elsewhere");
    assert_eq!(fingerprint(&bare), fingerprint(&one));
    assert_ne!(fingerprint(&one), fingerprint(&two));
}

/// A stream of JPEGs, garbage, and JPEGs with a damaged byte.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        (1_u16..40, 1_u16..40, any::<u8>())
            .prop_map(|(width, height, seed)| picture(width, height, seed)),
        prop::collection::vec(
            prop_oneof![Just(0xFF), Just(SOI), Just(EOI), any::<u8>()],
            0..40
        ),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| {
            let mut jpeg = colour(17, 9, SamplingFactor::R_4_2_0);
            let at = at.index(jpeg.len());
            jpeg[at] = byte;
            jpeg
        }),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        stream in streams(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        max_bytes in prop_oneof![Just(MAX_BYTES), 10_usize..900],
    ) {
        let whole = split(&[&stream], max_bytes);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        prop_assert_eq!(split(&pieces, max_bytes), whole.clone());
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(split(&single, max_bytes), whole);
    }

    #[test]
    fn whatever_comes_is_taken_or_refused(bytes in streams()) {
        if let Ok(taken) = take(&bytes) {
            let again = take(&taken.jpeg).expect("what was taken is a JPEG");
            prop_assert!(!again.repaired);
            prop_assert_eq!(again.jpeg, taken.jpeg);
        }
        fingerprint(&bytes);
    }

    #[test]
    fn what_the_splitter_finds_is_a_jpeg(stream in streams()) {
        for jpeg in split(&[&stream], MAX_BYTES).0.into_iter().flatten() {
            // Its size may still be of no sense.
            match check(&jpeg) {
                Ok(info) => prop_assert_eq!(info.len, jpeg.len()),
                Err(reason) => prop_assert!(
                    matches!(reason, Refused::Damaged | Refused::Size { .. }),
                    "{}", reason
                ),
            }
        }
    }

    #[test]
    fn repaired_jpegs_show_what_the_whole_ones_did(
        width in 1_u16..70, height in 1_u16..70, fine in any::<bool>(),
    ) {
        let sampling = if fine { SamplingFactor::R_4_4_4 } else { SamplingFactor::R_4_2_2 };
        let jpeg = colour(width, height, sampling);
        let taken = take(&without_tables(&jpeg)).expect("a JPEG");
        prop_assert_eq!(pixels(&taken.jpeg), pixels(&jpeg));
    }
}
