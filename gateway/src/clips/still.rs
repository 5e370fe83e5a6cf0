//! The one picture that is shown of an alert.

use super::footage::FootageFrame;
use super::picture::{PictureError, thumbnail};
use bytes::Bytes;
use jpeg_encoder::{ColorType, Encoder};
use tillwatch_protocol::time::{MonotonicNs, SECOND_NS};

/// Most bytes of a still picture.
pub const STILL_BYTES: usize = 32_000;
/// A picture within this time of the cause shows it, in nanoseconds.
const NEAR_NS: u64 = SECOND_NS;
/// Width, height and quality that are tried, best first; whatever is on the picture, the last one
/// is small enough.
const TRIES: [(u16, u16, u8); 6] = [
    (640, 480, 80),
    (640, 480, 60),
    (480, 360, 60),
    (320, 240, 50),
    (160, 120, 40),
    (80, 60, 40),
];

/// Of all cameras' pictures the one nearest to the cause. A camera that is `preferred` comes first
/// when it has one within a second of the cause.
#[must_use]
pub fn choose(
    frames: &[FootageFrame],
    cause_ns: MonotonicNs,
    preferred: impl Fn(u8) -> bool,
) -> Option<FootageFrame> {
    let order = |frame: &&FootageFrame| {
        let away_ns = frame.monotonic_ns.abs_diff(cause_ns);
        let far = away_ns > NEAR_NS;
        (
            far,
            !far && !preferred(frame.key.camera),
            away_ns,
            frame.key,
        )
    };
    frames.iter().min_by_key(order).copied()
}

/// A picture of at most [`STILL_BYTES`]: the camera's own bytes when they are few enough, else a
/// smaller copy.
///
/// # Errors
/// It cannot be shown.
pub fn small(jpeg: Bytes) -> Result<Bytes, PictureError> {
    if jpeg.len() <= STILL_BYTES {
        return Ok(jpeg);
    }
    for (width, height, quality) in TRIES {
        let pixels = thumbnail(&jpeg, width, height)?;
        let size = |size: usize| u16::try_from(size).unwrap_or(u16::MAX);
        let mut copy = Vec::new();
        Encoder::new(&mut copy, quality)
            .encode(
                &pixels.rgb,
                size(pixels.width),
                size(pixels.height),
                ColorType::Rgb,
            )
            .map_err(|why| PictureError::Damaged(why.to_string()))?;
        if copy.len() <= STILL_BYTES {
            return Ok(copy.into());
        }
    }
    Err(PictureError::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clips::footage::tests::shot;
    use crate::clips::picture::tests::picture;
    use tillwatch_drivers::camera::jpeg::size;

    fn seen(camera: u8, at_us: u64) -> FootageFrame {
        let mut frame = shot(at_us, at_us, 1);
        frame.key.camera = camera;
        frame
    }

    #[test]
    fn the_nearest_picture_is_shown_and_a_preferred_camera_comes_first_when_it_was_there() {
        let frames = [
            seen(0, 1_000_000),
            seen(0, 5_000_000),
            seen(1, 4_500_000),
            seen(1, 9_000_000),
        ];
        let cause_ns = seen(0, 4_900_000).monotonic_ns;
        let chosen = |preferred: Option<u8>| {
            let preferred = |camera| preferred == Some(camera);
            choose(&frames, cause_ns, preferred)
        };
        assert_eq!(chosen(None), Some(frames[1]));
        assert_eq!(chosen(Some(1)), Some(frames[2]));
        let away_ns = seen(0, 2_000_000).monotonic_ns;
        let of_another = choose(&frames, away_ns, |camera| camera == 1);
        assert_eq!(of_another, Some(frames[0]), "it was looking elsewhere");
        assert_eq!(choose(&[], cause_ns, |_| true), None);
    }

    #[test]
    fn a_small_picture_stays_as_the_camera_made_it() {
        let own = Bytes::from(picture(320, 240, 7));
        assert_eq!(small(own.clone()), Ok(own));
    }

    #[test]
    fn a_large_picture_becomes_one_that_fits_whatever_it_shows() {
        let mut seed = 7_u32;
        let noise: Vec<u8> = (0..1280 * 960 * 3)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed.to_be_bytes()[0]
            })
            .collect();
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, 95)
            .encode(&noise, 1280, 960, ColorType::Rgb)
            .unwrap();
        let still = small(jpeg.into()).unwrap();
        assert!(still.len() <= STILL_BYTES, "{}", still.len());
        let (width, height) = size(&still).unwrap();
        assert_eq!(u32::from(width) * 3, u32::from(height) * 4, "its shape");
        assert!(small(Bytes::from(vec![0; STILL_BYTES + 1])).is_err());
    }
}
