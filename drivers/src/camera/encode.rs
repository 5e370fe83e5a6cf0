//! Pictures that are compressed here. `jpeg-encoder` leaves Huffman tables and size to its
//! defaults: baseline, the standard's tables.

use bytes::Bytes;
#[cfg(feature = "scene")]
use jpeg_encoder::ColorType;
use jpeg_encoder::{Encoder, SamplingFactor};
#[cfg(any(feature = "v4l", test))]
use jpeg_encoder::{ImageBuffer, JpegColorType};

/// About what a camera does.
const QUALITY: u8 = 80;

/// Compresses pictures, one after another.
#[derive(Debug, Default)]
pub(super) struct Compressor {
    /// Each JPEG grows here, and is then copied once to an allocation of its exact size, so that
    /// what a ring of frames holds is what it counts.
    jpeg: Vec<u8>,
}

impl Compressor {
    /// Of two bytes a pixel (brightness and one of the colours, which two pixels share),
    /// `stride` bytes a row. `None`: too few bytes for the size.
    #[cfg(any(feature = "v4l", test))]
    pub(super) fn yuyv(
        &mut self,
        bytes: &[u8],
        stride: usize,
        width: u16,
        height: u16,
    ) -> Option<Bytes> {
        let row = usize::from(width) * 2;
        let stride = stride.max(row);
        let needed = stride * usize::from(height).checked_sub(1)? + row;
        let image = Yuyv {
            bytes: bytes.get(..needed)?,
            stride,
            width,
            height,
        };
        self.jpeg.clear();
        let mut encoder = Encoder::new(&mut self.jpeg, QUALITY);
        encoder.set_sampling_factor(SamplingFactor::R_4_2_2);
        encoder.encode_image(image).ok()?;
        Some(Bytes::copy_from_slice(&self.jpeg))
    }

    /// Of red, green and blue bytes.
    #[cfg(feature = "scene")]
    pub(super) fn rgb(&mut self, bytes: &[u8], width: u16, height: u16) -> Option<Bytes> {
        if bytes.len() != usize::from(width) * usize::from(height) * 3 {
            return None;
        }
        self.jpeg.clear();
        let mut encoder = Encoder::new(&mut self.jpeg, QUALITY);
        encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
        encoder.encode(bytes, width, height, ColorType::Rgb).ok()?;
        Some(Bytes::copy_from_slice(&self.jpeg))
    }
}

#[cfg(any(feature = "v4l", test))]
struct Yuyv<'a> {
    bytes: &'a [u8],
    stride: usize,
    width: u16,
    height: u16,
}

#[cfg(any(feature = "v4l", test))]
impl ImageBuffer for Yuyv<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let start = usize::from(y) * self.stride;
        let row = &self.bytes[start..start + usize::from(self.width) * 2];
        let [brightness, blue, red, _] = buffers;
        for pair in row.chunks(4) {
            // A row of an odd width ends in the middle of a pair.
            let (first, red_byte) = (pair[0], pair.get(3).copied().unwrap_or(128));
            brightness.push(first);
            blue.push(pair[1]);
            red.push(red_byte);
            if let Some(second) = pair.get(2) {
                brightness.push(*second);
                blue.push(pair[1]);
                red.push(red_byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::jpeg;

    #[test]
    fn a_yuyv_picture_keeps_its_brightness_and_colours() {
        // The left half is white, the right half pure blue, with padding behind each row.
        let (width, height, stride) = (32_u16, 16_u16, 80);
        let mut bytes = vec![0; stride * 16];
        for row in bytes.chunks_mut(stride) {
            row[..32].copy_from_slice(&[235, 128, 235, 128].repeat(8));
            row[32..64].copy_from_slice(&[41, 240, 41, 110].repeat(8));
        }
        let jpeg = Compressor::default()
            .yuyv(&bytes, stride, width, height)
            .expect("it compresses");
        let info = jpeg::check(&jpeg).expect("a JPEG");
        assert_eq!((info.width, info.height), (width, height));
        let pixels = jpeg_decoder::Decoder::new(&jpeg[..])
            .decode()
            .expect("it decodes");
        let pixel = |column: usize| &pixels[(5 * 32 + column) * 3..][..3];
        assert!(pixel(4).iter().all(|part| *part > 225), "{:?}", pixel(4));
        assert!(pixel(28)[2] > 200 && pixel(28)[0] < 50, "{:?}", pixel(28));
    }

    #[test]
    fn a_picture_with_too_few_bytes_is_none() {
        let mut compressor = Compressor::default();
        assert_eq!(compressor.yuyv(&[128; 31], 8, 4, 4), None);
        assert!(compressor.yuyv(&[128; 32], 8, 4, 4).is_some());
        assert_eq!(compressor.yuyv(&[], 0, 4, 0), None);
    }
}
