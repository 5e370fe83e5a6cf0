use super::*;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Picture {
    width: u16,
    height: u16,
    sampling: SamplingFactor,
    quality: u8,
    restart: u16,
    grey: bool,
    optimized: bool,
    seed: u32,
}

impl Picture {
    fn jpeg(&self) -> Vec<u8> {
        let (width, height) = (usize::from(self.width), usize::from(self.height));
        let mut numbers = self.seed;
        let mut pixels = Vec::new();
        for at in 0..width * height {
            numbers = numbers.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // A slope, some noise (the finest fills blocks to their last coefficient), and a
            // dark corner.
            let slope = (at % width) * 200 / width;
            let value = (slope + (numbers >> (27 + self.seed % 5)) as usize).min(255) as u8;
            let value = if at % width < width / 3 && at < width * height / 3 {
                value / 8
            } else {
                value
            };
            pixels.extend([value, value.wrapping_add(30), 255 - value]);
            if self.grey {
                pixels.truncate(at + 1);
                pixels.resize(at + 1, value);
            }
        }
        let mut jpeg = Vec::new();
        let mut encoder = Encoder::new(&mut jpeg, self.quality);
        encoder.set_sampling_factor(self.sampling);
        // The encoder fails at both together.
        if self.optimized {
            encoder.set_optimized_huffman_tables(true);
        } else {
            encoder.set_restart_interval(self.restart);
        }
        let kind = if self.grey {
            ColorType::Luma
        } else {
            ColorType::Rgb
        };
        encoder
            .encode(&pixels, self.width, self.height, kind)
            .expect("it encodes");
        jpeg
    }
}

/// The means of whole 8 × 8 blocks as a decoder shows them.
fn decoded(jpeg: &[u8]) -> Vec<Option<i32>> {
    let mut decoder = jpeg_decoder::Decoder::new(jpeg);
    decoder.read_info().expect("a header");
    if decoder.info().map(|info| info.pixel_format) == Some(jpeg_decoder::PixelFormat::RGB24) {
        // Left as it is coded: brightness first, then the two colours.
        decoder.set_color_transform(jpeg_decoder::ColorTransform::RGB);
    }
    let pixels = decoder.decode().expect("it decodes");
    let info = decoder.info().expect("decoded");
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let step = pixels.len() / (width * height);
    let mut means = Vec::new();
    for top in (0..height).step_by(SCALE) {
        for left in (0..width).step_by(SCALE) {
            let whole = top + SCALE <= height && left + SCALE <= width;
            let sum = |row: usize| -> i32 {
                (left..left + SCALE)
                    .map(|column| i32::from(pixels[(row * width + column) * step]))
                    .sum()
            };
            means.push(whole.then(|| (top..top + SCALE).map(sum).sum::<i32>() / 64));
        }
    }
    means
}

fn read(jpeg: &[u8]) -> Result<Luma, Refused> {
    let mut luma = Luma::default();
    LumaReader::new().read(jpeg, &mut luma).map(|()| luma)
}

fn pictures() -> impl Strategy<Value = Picture> {
    let sampling = prop::sample::select(vec![
        SamplingFactor::R_4_4_4,
        SamplingFactor::R_4_2_2,
        SamplingFactor::R_4_2_0,
        SamplingFactor::R_4_4_0,
        SamplingFactor::R_4_1_1,
    ]);
    let size = (1_u16..90, 1_u16..90);
    (
        size,
        sampling,
        5_u8..=100,
        0_u16..5,
        any::<bool>(),
        any::<bool>(),
        any::<u32>(),
    )
        .prop_map(
            |((width, height), sampling, quality, restart, grey, optimized, seed)| Picture {
                width,
                height,
                sampling,
                quality,
                restart,
                grey,
                optimized,
                seed,
            },
        )
}

proptest! {
    /// The decoder cuts values below black and above white off before the mean, which moves
    /// it where a block has both sharp edges and extremes.
    #[test]
    fn cells_are_the_means_that_a_decoder_shows(picture in pictures()) {
        let jpeg = picture.jpeg();
        let luma = match read(&jpeg) {
            Ok(luma) => luma,
            // Optimized tables come with one scan for each colour, the first is read.
            Err(reason) => return Err(TestCaseError::fail(format!("{reason}"))),
        };
        let means = decoded(&jpeg);
        prop_assert_eq!(luma.cells().len(), means.len());
        for (cell, mean) in luma.cells().iter().zip(means) {
            if let Some(mean) = mean {
                let off = (i32::from(*cell) - mean).abs();
                prop_assert!(off <= 10, "{} instead of {}", cell, mean);
            }
        }
    }

    #[test]
    fn damage_is_refused_or_read_and_never_more(
        picture in pictures(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut jpeg = picture.jpeg();
        for (at, byte) in damage {
            let at = at.index(jpeg.len());
            jpeg[at] = byte;
        }
        if let Some(cut) = cut {
            jpeg.truncate(cut.index(jpeg.len()));
        }
        let mut reader = LumaReader::new();
        let mut luma = Luma::default();
        if reader.read(&jpeg, &mut luma).is_ok() {
            prop_assert_eq!(luma.cells().len(), luma.columns() * luma.rows());
        }
        // And the next one is read as if nothing had been.
        let whole = picture.jpeg();
        reader.read(&whole, &mut luma).expect("a whole JPEG");
        prop_assert_eq!(luma, read(&whole).expect("a whole JPEG"));
    }

    #[test]
    fn missing_tables_are_the_standards(width in 1_u16..60, height in 1_u16..60, seed in any::<u32>()) {
        let picture = Picture {
            width, height, seed, sampling: SamplingFactor::R_4_2_2, quality: 70, restart: 0, grey: false, optimized: false,
        };
        let jpeg = picture.jpeg();
        let mut bare = jpeg.clone();
        while let Some(at) = bare.windows(2).position(|two| two == [0xFF, DHT]) {
            let length = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
            bare.drain(at..at + 2 + length);
        }
        // After one that brought others.
        let mut reader = LumaReader::new();
        let mut luma = Luma::default();
        let other = Picture { optimized: true, ..picture };
        reader.read(&other.jpeg(), &mut luma).expect("a whole JPEG");
        for _ in 0..2 {
            reader.read(&bare, &mut luma).expect("standard tables");
            prop_assert_eq!(&luma, &read(&jpeg).expect("a whole JPEG"));
        }
    }
}

#[test]
fn a_cut_off_picture_is_refused() {
    let picture = Picture {
        width: 32,
        height: 32,
        sampling: SamplingFactor::R_4_2_0,
        quality: 80,
        restart: 2,
        grey: false,
        optimized: false,
        seed: 1,
    };
    let jpeg = picture.jpeg();
    let header = Header::read(&jpeg).expect("a header");
    for end in 0..jpeg.len() - 3 {
        let reason = read(&jpeg[..end]).expect_err("cut off");
        let in_header = end < header.scan_at + 14;
        assert_eq!(reason == Refused::BadPicture, !in_header, "{end}: {reason}");
    }
}

#[test]
fn a_progressive_jpeg_is_not_read() {
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 80);
    encoder.set_progressive(true);
    encoder
        .encode(&[90; 16 * 16], 16, 16, ColorType::Luma)
        .expect("it encodes");
    assert_eq!(read(&jpeg), Err(Refused::Unsupported));
}

#[test]
fn an_even_grey_is_read_as_it_is() {
    for grey in [1, 20, 127, 128, 200, 254] {
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, 90)
            .encode(&[grey; 24 * 16], 24, 16, ColorType::Luma)
            .expect("it encodes");
        let luma = read(&jpeg).expect("a JPEG");
        assert_eq!((luma.columns(), luma.rows()), (3, 2));
        let near = |cell: &u8| cell.abs_diff(grey) <= 1;
        assert!(luma.cells().iter().all(near), "{grey}: {:?}", luma.cells());
    }
}
