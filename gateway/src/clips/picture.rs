//! A small picture of a JPEG: decoded at a reduced scale, in bounded memory.

use jpeg_decoder::{CodingProcess, Decoder, PixelFormat};

/// Largest picture that is decoded, in pixels.
pub const MAX_PIXELS: usize = 4096 * 4096;
/// Largest picture that is decoded when it comes in several passes, in pixels: those are kept whole
/// until the last pass. No camera sends them.
pub const MAX_PROGRESSIVE_PIXELS: usize = 1920 * 1080;
/// Most bytes of decoded pixels.
const MAX_DECODED: usize = 8 << 20;

/// Why a JPEG is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// It is none, or a damaged one.
    #[error("not a readable picture: {0}")]
    Damaged(String),
    /// Larger than [`MAX_PIXELS`] or [`MAX_PROGRESSIVE_PIXELS`].
    #[error("{width} × {height} pixels are too many")]
    TooLarge {
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
    },
    /// A kind of JPEG that no camera sends: lossless, or with four colours.
    #[error("a kind of picture that is not shown")]
    Unsupported,
}

impl From<jpeg_decoder::Error> for PictureError {
    fn from(error: jpeg_decoder::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Pixels as red, green, blue, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pixels {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgb: Vec<u8>,
}

/// The largest picture of that shape within so many pixels; never larger than the JPEG.
pub(super) fn thumbnail(jpeg: &[u8], width: u16, height: u16) -> Result<Pixels, PictureError> {
    let mut decoder = Decoder::new(jpeg);
    decoder.read_info()?;
    let info = decoder
        .info()
        .ok_or_else(|| PictureError::Damaged("no frame".into()))?;
    let most = match info.coding_process {
        CodingProcess::DctSequential => MAX_PIXELS,
        CodingProcess::DctProgressive => MAX_PROGRESSIVE_PIXELS,
        CodingProcess::Lossless => return Err(PictureError::Unsupported),
    };
    let bytes_per_pixel = match info.pixel_format {
        PixelFormat::L8 => 1,
        PixelFormat::RGB24 => 3,
        PixelFormat::L16 | PixelFormat::CMYK32 => return Err(PictureError::Unsupported),
    };
    if usize::from(info.width) * usize::from(info.height) > most {
        return Err(PictureError::TooLarge {
            width: info.width,
            height: info.height,
        });
    }
    let (to_width, to_height) = fit(info.width, info.height, width, height);
    decoder.set_max_decoding_buffer_size(MAX_DECODED);
    let (from_width, from_height) = decoder.scale(to_width, to_height)?;
    let decoded = decoder.decode()?;
    let from = Source {
        pixels: &decoded,
        bytes_per_pixel,
        width: from_width.into(),
        height: from_height.into(),
    };
    if decoded.len() < from.width * from.height * bytes_per_pixel {
        return Err(PictureError::Damaged("too few pixels".into()));
    }
    Ok(from.shrunk(to_width.into(), to_height.into()))
}

/// The size within `most_width` × `most_height` of that shape, at least one pixel, never larger.
fn fit(width: u16, height: u16, most_width: u16, most_height: u16) -> (u16, u16) {
    let (w, h) = (u32::from(width.max(1)), u32::from(height.max(1)));
    let (most_w, most_h) = (u32::from(most_width.max(1)), u32::from(most_height.max(1)));
    if w <= most_w && h <= most_h {
        return (width.max(1), height.max(1));
    }
    let (to_w, to_h) = if w * most_h > h * most_w {
        (most_w, h * most_w / w)
    } else {
        (w * most_h / h, most_h)
    };
    // Within `most`, which are 16 bits.
    let narrow = |size: u32| u16::try_from(size.max(1)).unwrap_or(u16::MAX);
    (narrow(to_w), narrow(to_h))
}

struct Source<'a> {
    pixels: &'a [u8],
    bytes_per_pixel: usize,
    width: usize,
    height: usize,
}

impl Source<'_> {
    /// Each pixel is the mean of those that it stands for.
    fn shrunk(&self, width: usize, height: usize) -> Pixels {
        let mut rgb = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            let rows = span(y, height, self.height);
            for x in 0..width {
                let columns = span(x, width, self.width);
                for colour in 0..3 {
                    rgb.push(self.mean(rows.clone(), columns.clone(), colour));
                }
            }
        }
        Pixels { width, height, rgb }
    }

    fn mean(
        &self,
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
        colour: usize,
    ) -> u8 {
        let count = rows.len() * columns.len();
        let colour = colour.min(self.bytes_per_pixel - 1);
        let mut sum = 0_usize;
        for y in rows {
            for x in columns.clone() {
                let at = (y * self.width + x) * self.bytes_per_pixel + colour;
                sum += usize::from(self.pixels[at]);
            }
        }
        u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX)
    }
}

/// Which of `from` pixels the pixel `at` of `to` stands for: at least one.
fn span(at: usize, to: usize, from: usize) -> std::ops::Range<usize> {
    let begin = (at * from / to).min(from - 1);
    let end = ((at + 1) * from / to).clamp(begin + 1, from);
    begin..end
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use jpeg_encoder::{ColorType, Encoder};
    use proptest::prelude::*;

    /// A JPEG of one colour with a bright corner, so that each `shade` gives other bytes.
    pub(crate) fn picture(width: u16, height: u16, shade: u8) -> Vec<u8> {
        let mut rgb = [shade, 128, 255 - shade].repeat(usize::from(width) * usize::from(height));
        for y in 0..usize::from(height) / 8 {
            let row = y * usize::from(width) * 3;
            rgb[row..row + usize::from(width) / 8 * 3].fill(255);
        }
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, 90)
            .encode(&rgb, width, height, ColorType::Rgb)
            .unwrap();
        jpeg
    }

    #[test]
    fn a_thumbnail_keeps_the_shape() {
        let cases = [
            ((640, 480), (320, 240), (320, 240)),
            ((768, 576), (320, 240), (320, 240)),
            ((1920, 1080), (320, 240), (320, 180)),
            ((480, 640), (320, 240), (180, 240)),
            ((100, 80), (320, 240), (100, 80)),
            ((8192, 1), (320, 240), (320, 1)),
        ];
        for ((w, h), (most_w, most_h), wanted) in cases {
            assert_eq!(fit(w, h, most_w, most_h), wanted, "{w} × {h}");
        }
        let jpeg = picture(641, 479, 9);
        let small = thumbnail(&jpeg, 320, 240).unwrap();
        assert_eq!((small.width, small.height), (320, 239));
        assert_eq!(small.rgb.len(), 320 * 239 * 3);
    }

    #[test]
    fn a_grey_picture_is_shown() {
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, 90)
            .encode(&[200; 64 * 64], 64, 64, ColorType::Luma)
            .unwrap();
        let small = thumbnail(&jpeg, 8, 8).unwrap();
        assert!(small.rgb.iter().all(|level| (198..=202).contains(level)));
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused_before_anything_is_decoded() {
        let mut jpeg = picture(64, 64, 1);
        let at = jpeg
            .windows(2)
            .position(|pair| pair == [0xFF, 0xC0])
            .unwrap();
        jpeg[at + 5..at + 9].copy_from_slice(&[0xFF, 0xDC, 0xFF, 0xDC]);
        assert_eq!(
            thumbnail(&jpeg, 320, 240),
            Err(PictureError::TooLarge {
                width: 0xFFDC,
                height: 0xFFDC
            })
        );
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_an_error_or_a_picture_and_nothing_worse(
            damage in proptest::collection::vec((0_usize..2_000, any::<u8>()), 1..20), cut in 0_usize..2_000,
        ) {
            let mut jpeg = picture(64, 48, 5);
            for (at, byte) in damage {
                if let Some(place) = jpeg.get_mut(at) {
                    *place = byte;
                }
            }
            jpeg.truncate(cut.max(1));
            if let Ok(small) = thumbnail(&jpeg, 32, 32) {
                prop_assert!(small.width <= 32 && small.height <= 32);
                prop_assert_eq!(small.rgb.len(), small.width * small.height * 3);
            }
        }
    }
}
