//! The brightness of a JPEG at an eighth of its size, without decoding it.
//!
//! A JPEG stores the mean of every 8 × 8 block by itself (its DC coefficient). Only that is
//! read; the other coefficients' codes are stepped over, several at a time where a table
//! knows them. Nothing is transformed, no colour computed, nothing allocated once the
//! picture's size is known, which makes this a fraction of a decoder's work.
//!
//! Baseline JPEGs only, which is what cameras send; others are
//! [`Refused::Unsupported`].

mod bits;
mod huffman;
#[cfg(test)]
mod tests;

use bits::Bits;
use huffman::Tables;

use super::jpeg::{DHT, DQT, DRI, Header, Refused, STANDARD_HUFFMAN, Segments};

/// Pixels of the picture per cell, in each direction.
pub const SCALE: usize = 8;

/// A grey picture of an eighth of the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Luma {
    columns: usize,
    rows: usize,
    cells: Vec<u8>,
}

impl Luma {
    /// Of cells, row by row.
    ///
    /// # Panics
    /// Never: cells that are missing are black, ones too many are dropped.
    pub fn new(columns: usize, rows: usize, mut cells: Vec<u8>) -> Self {
        cells.resize(columns * rows, 0);
        Self {
            columns,
            rows,
            cells,
        }
    }

    /// Cells in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Mean brightness of each cell, 0 to 255, row by row.
    pub fn cells(&self) -> &[u8] {
        &self.cells
    }

    fn clear(&mut self, columns: usize, rows: usize) {
        self.columns = columns;
        self.rows = rows;
        self.cells.clear();
        self.cells.resize(columns * rows, 0);
    }
}

/// Reads [`Luma`] from JPEGs. Keeps the tables of the last one: a camera's are all alike.
#[derive(Debug, Default)]
pub struct LumaReader {
    tables: Tables,
    standard: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Component {
    id: u8,
    horizontal: u8,
    vertical: u8,
    quantization: u8,
}

#[derive(Debug, Default)]
struct Frame {
    components: [Component; 4],
    count: usize,
}

impl LumaReader {
    /// Without tables yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `jpeg` into `luma`, whose memory is used again. After an error `luma` holds
    /// nothing of sense.
    ///
    /// # Errors
    /// The JPEG is damaged, cut off, or of a kind that cameras do not send.
    pub fn read(&mut self, jpeg: &[u8], luma: &mut Luma) -> Result<(), Refused> {
        let header = Header::read(jpeg)?;
        if !header.has_huffman && !self.standard {
            self.tables.take(&STANDARD_HUFFMAN[4..])?;
        }
        // Tables of its own replace them.
        self.standard = !header.has_huffman;
        let mut quantizers = [0_u16; 4];
        let mut frame = Frame::default();
        let mut restart = 0_usize;
        let mut segments = Segments::of(jpeg)?;
        loop {
            let (marker, _, body) = segments.next()?;
            match marker {
                DQT => dc_quantizers(body, &mut quantizers)?,
                DHT => self.tables.take(body)?,
                DRI => {
                    let [high, low, ..] = *body else {
                        return Err(Refused::Damaged);
                    };
                    restart = usize::from(u16::from_be_bytes([high, low]));
                }
                // Baseline, and the same with more precision in its tables.
                0xC0 | 0xC1 => frame = components(body)?,
                0xC2..=0xCF if !matches!(marker, 0xC8 | 0xCC) => return Err(Refused::Unsupported),
                0xDA => {
                    let scan = Scan::new(&frame, body, &quantizers)?;
                    luma.clear(
                        usize::from(header.width).div_ceil(SCALE),
                        usize::from(header.height).div_ceil(SCALE),
                    );
                    let picture = &jpeg[segments.position()..];
                    return scan.read(&self.tables, picture, restart, luma);
                }
                _ => {}
            }
        }
    }
}

/// The first entry of each quantization table.
fn dc_quantizers(mut body: &[u8], quantizers: &mut [u16; 4]) -> Result<(), Refused> {
    while let [kind, rest @ ..] = body {
        let wide = kind >> 4 != 0;
        let length = if wide { 128 } else { 64 };
        let table = rest.get(..length).ok_or(Refused::Damaged)?;
        let slot = quantizers
            .get_mut(usize::from(kind & 15))
            .ok_or(Refused::Damaged)?;
        *slot = if wide {
            u16::from_be_bytes([table[0], table[1]])
        } else {
            u16::from(table[0])
        };
        body = &rest[length..];
    }
    Ok(())
}

fn components(body: &[u8]) -> Result<Frame, Refused> {
    let [precision, _, _, _, _, count, rest @ ..] = body else {
        return Err(Refused::Damaged);
    };
    if *precision != 8 {
        return Err(Refused::Unsupported);
    }
    let mut frame = Frame {
        count: usize::from(*count),
        ..Frame::default()
    };
    if !(1..=4).contains(&frame.count) || rest.len() < 3 * frame.count {
        return Err(Refused::Damaged);
    }
    for (component, bytes) in frame.components.iter_mut().zip(rest.chunks_exact(3)) {
        *component = Component {
            id: bytes[0],
            horizontal: bytes[1] >> 4,
            vertical: bytes[1] & 15,
            quantization: bytes[2],
        };
    }
    let used = &frame.components[..frame.count];
    let fits = |factor: u8| (1..=4).contains(&factor);
    if !used
        .iter()
        .all(|one| fits(one.horizontal) && fits(one.vertical))
    {
        return Err(Refused::Damaged);
    }
    // Luma is the finest one; otherwise its blocks were no eighth of the picture.
    if used
        .iter()
        .any(|one| one.horizontal > used[0].horizontal || one.vertical > used[0].vertical)
    {
        return Err(Refused::Unsupported);
    }
    Ok(frame)
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    blocks: usize,
    dc: usize,
    ac: usize,
}

/// How the compressed picture is laid out.
#[derive(Debug)]
struct Scan {
    parts: [Part; 4],
    count: usize,
    across: usize,
    down: usize,
    quantizer: i32,
}

impl Scan {
    fn new(frame: &Frame, body: &[u8], quantizers: &[u16; 4]) -> Result<Self, Refused> {
        let (count, rest) = body.split_first().ok_or(Refused::Damaged)?;
        let count = usize::from(*count);
        if !(1..=4).contains(&count) || rest.len() < 2 * count || frame.count == 0 {
            return Err(Refused::Damaged);
        }
        let luma = frame.components[0];
        if rest[0] != luma.id {
            return Err(Refused::Unsupported);
        }
        let mut parts = [Part::default(); 4];
        for (part, bytes) in parts.iter_mut().zip(rest.chunks_exact(2).take(count)) {
            let component = frame.components[..frame.count]
                .iter()
                .find(|component| component.id == bytes[0])
                .ok_or(Refused::Damaged)?;
            *part = Part {
                blocks: usize::from(component.horizontal) * usize::from(component.vertical),
                dc: usize::from(bytes[1] >> 4),
                ac: usize::from(bytes[1] & 15),
            };
        }
        let (mut across, mut down) = (usize::from(luma.horizontal), usize::from(luma.vertical));
        if count == 1 {
            // A component by itself comes block by block, in rows.
            parts[0].blocks = 1;
            (across, down) = (1, 1);
        }
        let quantizer = quantizers
            .get(usize::from(luma.quantization))
            .ok_or(Refused::Damaged)?;
        Ok(Self {
            parts,
            count,
            across,
            down,
            quantizer: i32::from(*quantizer),
        })
    }

    fn read(
        &self,
        tables: &Tables,
        picture: &[u8],
        restart: usize,
        luma: &mut Luma,
    ) -> Result<(), Refused> {
        let mut bits = Bits::new(picture);
        let mut dc = 0_i32;
        let mut until_restart = restart;
        let parts = &self.parts[..self.count];
        for top in (0..luma.rows).step_by(self.down) {
            for left in (0..luma.columns).step_by(self.across) {
                if restart > 0 {
                    if until_restart == 0 {
                        bits.restart()?;
                        dc = 0;
                        until_restart = restart;
                    }
                    until_restart -= 1;
                }
                for block in 0..parts[0].blocks {
                    dc = dc.wrapping_add(tables.dc(parts[0].dc)?.read(&mut bits)?);
                    tables.ac(parts[0].ac)?.skip(&mut bits)?;
                    let (column, row) = (left + block % self.across, top + block / self.across);
                    if column < luma.columns && row < luma.rows {
                        // The coefficient is eight times the mean, around grey.
                        let mean = (dc.saturating_mul(self.quantizer) >> 3).saturating_add(128);
                        luma.cells[row * luma.columns + column] = mean.clamp(0, 255) as u8;
                    }
                }
                for part in &parts[1..] {
                    let (dc, ac) = (tables.dc(part.dc)?, tables.ac(part.ac)?);
                    for _ in 0..part.blocks {
                        dc.skip(&mut bits)?;
                        ac.skip(&mut bits)?;
                    }
                }
            }
        }
        Ok(())
    }
}
