//! JPEGs as cameras send them: whole, cut off, padded, without their Huffman tables.
//!
//! [`take`] makes a JPEG that any viewer opens of what a camera's buffer holds, or says why
//! that is none. [`Splitter`] finds JPEGs in a stream. Only the structure is read (ITU-T
//! T.81, annex B); whether the picture in it can be decoded is seen when it is decoded.

mod scan;
mod split;
mod tables;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub(crate) use scan::{Scanner, Seen};
pub use split::Splitter;
pub use tables::STANDARD_HUFFMAN;

/// The largest JPEG that is taken, in bytes.
pub const MAX_BYTES: usize = 4 << 20;
/// The largest picture that is taken, in pixels.
pub const MAX_PIXELS: u32 = 4096 * 4096;

/// Start of image.
const SOI: u8 = 0xD8;
/// End of image.
const EOI: u8 = 0xD9;
/// Start of scan.
const SOS: u8 = 0xDA;
/// Quantization tables.
pub(crate) const DQT: u8 = 0xDB;
/// Restart interval.
pub(crate) const DRI: u8 = 0xDD;
/// Huffman tables.
pub(crate) const DHT: u8 = 0xC4;

/// Why bytes are not taken for a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// They do not begin like a JPEG.
    #[error("does not begin like a JPEG")]
    NoStart,
    /// They end before the JPEG does.
    #[error("cut off before its end")]
    CutOff,
    /// A part of it has no sense.
    #[error("damaged header")]
    Damaged,
    /// It ends before any picture came.
    #[error("no picture in it")]
    Empty,
    /// A size of nothing, or larger than [`MAX_PIXELS`].
    #[error("a picture of {width} × {height} pixels")]
    Size {
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
    },
    /// Longer than [`MAX_BYTES`] (or the splitter's bound).
    #[error("longer than allowed")]
    TooLong,
    /// A kind of JPEG that no camera sends: only seen by who decodes it.
    #[error("a kind of JPEG that cannot be read here")]
    Unsupported,
    /// The compressed picture has no sense: only seen by who decodes it.
    #[error("damaged picture")]
    BadPicture,
}

/// What a JPEG's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
    /// Whether it brings Huffman tables.
    pub has_huffman: bool,
    /// Where its first scan header begins.
    scan_at: usize,
    /// Where it ends; what follows is padding.
    len: usize,
}

/// Reads the structure of a JPEG that begins with the first byte. Bytes behind its end are
/// no error.
///
/// # Errors
/// Why it is none.
pub fn check(bytes: &[u8]) -> Result<Info, Refused> {
    let header = Header::read(bytes)?;
    let mut scanner = Scanner::default();
    let mut at = 0;
    loop {
        let (used, seen) = scanner.scan(&bytes[at..]);
        at += used;
        match seen {
            Seen::Begin if at == 2 => {}
            Seen::End => break,
            Seen::Refused(reason) => return Err(reason),
            Seen::Begin | Seen::BeginAgain | Seen::More => return Err(Refused::CutOff),
        }
    }
    if at > MAX_BYTES {
        return Err(Refused::TooLong);
    }
    Ok(Info {
        width: header.width,
        height: header.height,
        has_huffman: header.has_huffman,
        scan_at: header.scan_at,
        len: at,
    })
}

/// Width and height in pixels, as a JPEG's header says; nothing behind the header is read.
///
/// # Errors
/// Why it is none.
pub fn size(bytes: &[u8]) -> Result<(u16, u16), Refused> {
    let header = Header::read(bytes)?;
    Ok((header.width, header.height))
}

/// A JPEG out of a camera's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The JPEG without padding, with Huffman tables.
    pub jpeg: Bytes,
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
    /// Whether the tables had to be put in.
    pub repaired: bool,
}

/// Copies the JPEG that `buffer` begins with, once, and completes it.
///
/// # Errors
/// Why there is none.
pub fn take(buffer: &[u8]) -> Result<Taken, Refused> {
    let info = check(buffer)?;
    let whole = &buffer[..info.len];
    let jpeg = if info.has_huffman {
        Bytes::copy_from_slice(whole)
    } else {
        let (before, after) = whole.split_at(info.scan_at);
        // Exactly as large as needed: `Bytes` takes it over without another allocation.
        let mut jpeg = Vec::with_capacity(whole.len() + STANDARD_HUFFMAN.len());
        jpeg.extend_from_slice(before);
        jpeg.extend_from_slice(&STANDARD_HUFFMAN);
        jpeg.extend_from_slice(after);
        Bytes::from(jpeg)
    };
    Ok(Taken {
        jpeg,
        width: info.width,
        height: info.height,
        repaired: !info.has_huffman,
    })
}

/// A number that differs when the compressed picture differs, whatever its header says. Not
/// for evidence: it is not made to resist forgery.
pub fn fingerprint(jpeg: &[u8]) -> u64 {
    let picture = Header::read(jpeg).map_or(jpeg, |header| &jpeg[header.scan_at..]);
    let mix = |hash: u64, word: u64| {
        (hash ^ word)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29)
    };
    let words = picture.chunks_exact(8);
    let rest = words.remainder().iter();
    let hash = rest.fold(picture.len() as u64, |hash, byte| {
        mix(hash, u64::from(*byte))
    });
    words.fold(hash, |hash, word| {
        mix(hash, word.try_into().map_or(0, u64::from_le_bytes))
    })
}

/// The header up to the first scan.
pub(crate) struct Header {
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) has_huffman: bool,
    /// Where the marker of the first scan is.
    pub(crate) scan_at: usize,
}

impl Header {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let mut size = None;
        let mut has_huffman = false;
        let mut segments = Segments::of(bytes)?;
        loop {
            let (marker, at, body) = segments.next()?;
            match marker {
                DHT => has_huffman = true,
                // Every start of frame; C4, C8 and CC among them are something else.
                0xC0..=0xCF if !matches!(marker, 0xC8 | 0xCC) => size = Some(frame_size(body)?),
                SOS => {
                    let (width, height) = size.ok_or(Refused::Damaged)?;
                    return Ok(Self {
                        width,
                        height,
                        has_huffman,
                        scan_at: at,
                    });
                }
                _ => {}
            }
        }
    }
}

fn frame_size(body: &[u8]) -> Result<(u16, u16), Refused> {
    let [_, high, low, wide, narrow, ..] = *body else {
        return Err(Refused::Damaged);
    };
    let (height, width) = (
        u16::from_be_bytes([high, low]),
        u16::from_be_bytes([wide, narrow]),
    );
    match u32::from(width) * u32::from(height) {
        1..=MAX_PIXELS => Ok((width, height)),
        _ => Err(Refused::Size { width, height }),
    }
}

/// The marker segments of a header, one after another.
pub(crate) struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, Refused> {
        match bytes {
            [0xFF, SOI, ..] => Ok(Self { bytes, at: 2 }),
            _ => Err(Refused::NoStart),
        }
    }

    /// The next segment: its marker, where that stands, and its body.
    pub(crate) fn next(&mut self) -> Result<(u8, usize, &'a [u8]), Refused> {
        loop {
            let at = self.at;
            if self.byte()? != 0xFF {
                return Err(Refused::Damaged);
            }
            let marker = self.byte()?;
            match marker {
                // Another FF is a filler.
                0xFF => self.at -= 1,
                0x01 | 0xD0..=0xD7 => {}
                0x00 => return Err(Refused::Damaged),
                SOI => return Err(Refused::CutOff),
                EOI => return Err(Refused::Empty),
                _ => {
                    let length = usize::from(u16::from_be_bytes([self.byte()?, self.byte()?]));
                    let length = length.checked_sub(2).ok_or(Refused::Damaged)?;
                    let body = self.bytes[self.at..].get(..length).ok_or(Refused::CutOff)?;
                    self.at += length;
                    return Ok((marker, at, body));
                }
            }
        }
    }

    /// Where the next segment, or the compressed picture, begins.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8, Refused> {
        let byte = *self.bytes.get(self.at).ok_or(Refused::CutOff)?;
        self.at += 1;
        Ok(byte)
    }
}
