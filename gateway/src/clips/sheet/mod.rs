//! A clip at one glance: a dozen of its pictures on one, each with its time in UTC.
//!
//! One picture is decoded at a time and at a reduced scale: beside the sheet itself, 3 MB with the
//! default sizes, no more than that is held. A picture that cannot be read leaves a tile that says
//! so: the others are worth seeing all the more.

mod font;
#[cfg(test)]
mod tests;

use super::footage::{Footage, FootageFrame};
use super::picture::{Pixels, thumbnail};
use jiff::Timestamp;
use jpeg_encoder::{ColorType, Encoder, EncodingError};
use std::collections::BTreeSet;
use tillwatch_drivers::camera::jpeg;
use tillwatch_protocol::clip::FrameKey;
use tillwatch_protocol::time::MonotonicNs;

/// How a sheet looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SheetStyle {
    /// Most pictures; 3 at least, [`MAX_TILES`] at most.
    pub tiles: usize,
    /// Pictures beside one another.
    pub columns: usize,
    /// Width of a picture, in pixels; [`MAX_TILE_WIDTH`] at most.
    pub tile_width: u16,
    /// Quality of the JPEG, 1 to 100.
    pub quality: u8,
}

/// Most pictures on a sheet.
pub const MAX_TILES: usize = 24;
/// Widest picture on a sheet, in pixels.
pub const MAX_TILE_WIDTH: u16 = 640;

impl Default for SheetStyle {
    fn default() -> Self {
        Self {
            tiles: 12,
            columns: 4,
            tile_width: 320,
            quality: 80,
        }
    }
}

/// A sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// As JPEG.
    pub jpeg: Vec<u8>,
    /// Which pictures are on it, in the order in which they came.
    pub shown: Vec<FrameKey>,
    /// Those among them that could not be read.
    pub unreadable: Vec<FrameKey>,
}

/// Why there is no sheet.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// The clip has no pictures.
    #[error("there are no pictures")]
    NoFrames,
    /// The sheet cannot be encoded.
    #[error("cannot be encoded: {0}")]
    Encode(#[from] EncodingError),
}

/// Around the tiles, in pixels.
const BORDER: usize = 4;
/// The title's letters: dots become squares of so many pixels.
const TITLE_SCALE: usize = 2;
const TITLE_HEIGHT: usize = font::HEIGHT * TITLE_SCALE + 2 * BORDER;

const BACKGROUND: [u8; 3] = [24, 24, 24];
const WHITE: [u8; 3] = [255, 255, 255];
const BLACK: [u8; 3] = [0, 0, 0];
/// Around the picture of the cause.
const CAUSE: [u8; 3] = [255, 160, 0];

/// Draws the sheet of a camera's pictures. `cause_ns` is when the alert's cause happened, in
/// monotonic nanoseconds of the pictures' boot: the picture nearest to it is framed. `title` comes
/// behind the day. Blocks.
///
/// # Errors
/// There are no pictures.
pub fn draw(
    footage: &impl Footage,
    title: &str,
    cause_ns: MonotonicNs,
    style: SheetStyle,
) -> Result<Sheet, SheetError> {
    let frames = footage.frames();
    let times: Vec<MonotonicNs> = frames.iter().map(|frame| frame.monotonic_ns).collect();
    let chosen = choose(&times, cause_ns, style.tiles.clamp(3, MAX_TILES));
    let Some(first) = chosen.first().map(|at| &frames[*at]) else {
        return Err(SheetError::NoFrames);
    };
    let cause = nearest(&times, cause_ns);

    let mut sheet: Option<Canvas> = None;
    let mut waiting = Vec::new();
    let mut unreadable = Vec::new();
    for (place, at) in chosen.iter().enumerate() {
        let frame = &frames[*at];
        let jpeg = footage.read(frame.key).ok();
        // The first picture that can be read says how high a tile is; until then nothing is drawn.
        if sheet.is_none()
            && let Some(size) = jpeg.as_deref().and_then(|bytes| jpeg::size(bytes).ok())
        {
            sheet = Some(Canvas::new(style, size, chosen.len()));
        }
        let picture = match (&sheet, &jpeg) {
            (Some(sheet), Some(jpeg)) => {
                thumbnail(jpeg, narrow(sheet.tile_width), narrow(sheet.tile_height)).ok()
            }
            _ => None,
        };
        if picture.is_none() {
            unreadable.push(frame.key);
        }
        match &mut sheet {
            Some(sheet) => sheet.tile(place, frame, picture.as_ref(), cause == Some(*at)),
            None => waiting.push((place, *at)),
        }
    }
    let mut sheet = sheet.unwrap_or_else(|| Canvas::new(style, (4, 3), chosen.len()));
    for (place, at) in waiting {
        sheet.tile(place, &frames[at], None, cause == Some(at));
    }
    let title = format!("{} UTC  {title}", time(first.utc_us, "%Y-%m-%d"));
    sheet.text(BORDER, BORDER, &title, TITLE_SCALE);

    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, style.quality.clamp(1, 100)).encode(
        &sheet.pixels.rgb,
        narrow(sheet.pixels.width),
        narrow(sheet.pixels.height),
        ColorType::Rgb,
    )?;
    let shown = chosen.iter().map(|at| frames[*at].key).collect();
    Ok(Sheet {
        jpeg,
        shown,
        unreadable,
    })
}

/// Which of these pictures, at most `most` and in order: the first, the last, the one nearest to
/// the cause, and others evenly spread in time between them.
#[must_use]
pub fn choose(times: &[MonotonicNs], cause: MonotonicNs, most: usize) -> Vec<usize> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return Vec::new();
    };
    if times.len() <= most {
        return (0..times.len()).collect();
    }
    let steps = most.max(3) - 1;
    let moment = |step: usize| {
        let share = u128::from(last.saturating_sub(*first)) * step as u128 / steps as u128;
        first.saturating_add(u64::try_from(share).unwrap_or(u64::MAX))
    };
    let mut chosen: BTreeSet<usize> = (1..steps)
        .filter_map(|step| nearest(times, moment(step)))
        .collect();
    chosen.insert(times.len() - 1);
    chosen.insert(0);
    if let Some(cause) = nearest(times, cause)
        && chosen.insert(cause)
        && chosen.len() > most
    {
        // It takes the place of its nearest neighbour; ends stay.
        let neighbour = chosen
            .iter()
            .copied()
            .filter(|at| *at != cause && *at != 0 && *at != times.len() - 1)
            .min_by_key(|at| times[*at].abs_diff(times[cause]));
        if let Some(neighbour) = neighbour {
            chosen.remove(&neighbour);
        }
    }
    chosen.into_iter().collect()
}

/// The picture nearest to a moment; the earlier of two.
fn nearest(times: &[MonotonicNs], moment: MonotonicNs) -> Option<usize> {
    // Times may jump back: all are looked at.
    (0..times.len()).min_by_key(|at| times[*at].abs_diff(moment))
}

/// Of a moment out of range, as only a broken clock has it, the epoch.
fn time(utc_us: i64, format: &str) -> String {
    Timestamp::from_microsecond(utc_us)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .strftime(format)
        .to_string()
}

/// Sizes on a sheet are bounded far below this.
fn narrow(size: usize) -> u16 {
    u16::try_from(size).unwrap_or(u16::MAX)
}

/// What is drawn on.
struct Canvas {
    pixels: Pixels,
    columns: usize,
    tile_width: usize,
    tile_height: usize,
}

impl Canvas {
    fn new(style: SheetStyle, shape: (u16, u16), tiles: usize) -> Self {
        let tile_width = usize::from(style.tile_width.clamp(64, MAX_TILE_WIDTH));
        let (width, height) = (usize::from(shape.0.max(1)), usize::from(shape.1.max(1)));
        // A shape that no camera has is put into a square.
        let tile_height = (tile_width * height / width).clamp(tile_width / 4, tile_width);
        let columns = style.columns.clamp(1, tiles.max(1));
        let rows = tiles.div_ceil(columns);
        let width = BORDER + columns * (tile_width + BORDER);
        let height = TITLE_HEIGHT + rows * (tile_height + BORDER);
        let rgb = BACKGROUND.repeat(width * height);
        Self {
            pixels: Pixels { width, height, rgb },
            columns,
            tile_width,
            tile_height,
        }
    }

    /// The tile at this place; without a picture it says that there is none to be seen.
    fn tile(&mut self, place: usize, frame: &FootageFrame, picture: Option<&Pixels>, cause: bool) {
        let left = BORDER + place % self.columns * (self.tile_width + BORDER);
        let top = TITLE_HEIGHT + place / self.columns * (self.tile_height + BORDER);
        if cause {
            self.fill(
                (left - BORDER, top - BORDER),
                (self.tile_width + 2 * BORDER, self.tile_height + 2 * BORDER),
                CAUSE,
            );
        }
        self.fill((left, top), (self.tile_width, self.tile_height), BLACK);
        match picture {
            Some(picture) => {
                let x = left + self.tile_width.saturating_sub(picture.width) / 2;
                let y = top + self.tile_height.saturating_sub(picture.height) / 2;
                self.copy(x, y, picture);
            }
            None => {
                let middle = top + self.tile_height / 2;
                self.text(left + 2 * BORDER, middle, "not readable", 2);
            }
        }
        let label = time(frame.utc_us, "%H:%M:%S%.3f");
        // As large as fits, twice at most.
        let scale = (self.tile_width / ((label.len() + 1) * font::ADVANCE)).clamp(1, 2);
        let size = (
            label.len() * font::ADVANCE * scale + scale,
            (font::HEIGHT + 2) * scale,
        );
        let y = top + self.tile_height - size.1;
        self.fill((left, y), size, BLACK);
        self.text(left + scale, y + scale, &label, scale);
    }

    fn fill(&mut self, (left, top): (usize, usize), size: (usize, usize), colour: [u8; 3]) {
        for y in top..top + size.1 {
            for x in left..left + size.0 {
                self.dot(x, y, colour);
            }
        }
    }

    fn copy(&mut self, left: usize, top: usize, picture: &Pixels) {
        for (y, row) in picture.rgb.chunks_exact(picture.width * 3).enumerate() {
            for (x, pixel) in row.chunks_exact(3).enumerate() {
                self.dot(left + x, top + y, [pixel[0], pixel[1], pixel[2]]);
            }
        }
    }

    /// White; what does not fit is cut off.
    fn text(&mut self, left: usize, top: usize, text: &str, scale: usize) {
        for (place, letter) in text.chars().enumerate() {
            let x = left + place * font::ADVANCE * scale;
            if x + font::ADVANCE * scale > self.pixels.width {
                break;
            }
            for (row, bits) in font::rows(letter).into_iter().enumerate() {
                for column in (0..5).filter(|column| bits >> (4 - column) & 1 == 1) {
                    let corner = (x + column * scale, top + row * scale);
                    self.fill(corner, (scale, scale), WHITE);
                }
            }
        }
    }

    fn dot(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        if x < self.pixels.width && y < self.pixels.height {
            let at = (y * self.pixels.width + x) * 3;
            self.pixels.rgb[at..at + 3].copy_from_slice(&colour);
        }
    }
}
