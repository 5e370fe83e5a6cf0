//! Huffman tables (ITU-T T.81, annexes C and F), and stepping over what they encode.

use super::bits::Bits;
use crate::camera::jpeg::Refused;

/// Codes up to this length are found at once.
const FAST_BITS: u32 = 10;
/// As many bits are looked at to step over several coefficients at once.
const SKIP_BITS: u32 = 12;

/// The tables that a JPEG defined, by number.
#[derive(Debug, Default)]
pub(super) struct Tables {
    dc: [Option<Box<Table>>; 4],
    ac: [Option<Box<Skipper>>; 4],
}

impl Tables {
    /// Takes the body of a segment. A table that was there already costs nothing.
    pub(super) fn take(&mut self, mut body: &[u8]) -> Result<(), Refused> {
        while let [kind, rest @ ..] = body {
            let counts = rest.get(..16).ok_or(Refused::Damaged)?;
            let symbols: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let definition = rest.get(..16 + symbols).ok_or(Refused::Damaged)?;
            if symbols > 256 {
                return Err(Refused::Damaged);
            }
            let number = usize::from(kind & 15);
            match kind >> 4 {
                0 => {
                    let slot = self.dc.get_mut(number).ok_or(Refused::Damaged)?;
                    if !slot.as_ref().is_some_and(|table| table.is(definition)) {
                        *slot = Some(Box::new(Table::new(definition)?));
                    }
                }
                1 => {
                    let slot = self.ac.get_mut(number).ok_or(Refused::Damaged)?;
                    if !slot
                        .as_ref()
                        .is_some_and(|skipper| skipper.table.is(definition))
                    {
                        *slot = Some(Box::new(Skipper::new(Table::new(definition)?)));
                    }
                }
                _ => return Err(Refused::Damaged),
            }
            body = &rest[definition.len()..];
        }
        Ok(())
    }

    #[inline]
    pub(super) fn dc(&self, number: usize) -> Result<&Table, Refused> {
        let table = self.dc.get(number).and_then(|table| table.as_deref());
        table.ok_or(Refused::Damaged)
    }

    #[inline]
    pub(super) fn ac(&self, number: usize) -> Result<&Skipper, Refused> {
        let table = self.ac.get(number).and_then(|table| table.as_deref());
        table.ok_or(Refused::Damaged)
    }
}

/// One table.
#[derive(Debug)]
pub(super) struct Table {
    definition: Vec<u8>,
    /// By the next bits: length of the code (0: longer than this, or none) and its symbol.
    fast: [(u8, u8); 1 << FAST_BITS],
    /// By length: one more than the largest code, moved to 16 bits.
    ends: [u32; 17],
    /// By length: what to add to a code for the place of its symbol.
    offsets: [i32; 17],
}

impl Table {
    fn new(definition: &[u8]) -> Result<Self, Refused> {
        let (counts, symbols) = definition.split_at(16);
        let mut table = Self {
            definition: definition.to_vec(),
            fast: [(0, 0); 1 << FAST_BITS],
            ends: [0; 17],
            offsets: [0; 17],
        };
        let (mut code, mut place) = (0_u32, 0_u32);
        for length in 1..=16_u32 {
            let count = u32::from(counts[length as usize - 1]);
            if code + count > 1 << length {
                return Err(Refused::Damaged);
            }
            table.offsets[length as usize] = place as i32 - code as i32;
            for _ in 0..count {
                if length <= FAST_BITS {
                    let first = (code << (FAST_BITS - length)) as usize;
                    let symbol = symbols[place as usize];
                    table.fast[first..first + (1 << (FAST_BITS - length))]
                        .fill((length as u8, symbol));
                }
                code += 1;
                place += 1;
            }
            table.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    fn is(&self, definition: &[u8]) -> bool {
        self.definition == definition
    }

    /// The length and symbol of the code that the next 16 bits begin with.
    #[inline]
    fn look_up(&self, next: usize) -> Result<(u32, u8), Refused> {
        let (length, symbol) = self.fast[next >> (16 - FAST_BITS)];
        if length != 0 {
            return Ok((u32::from(length), symbol));
        }
        for length in FAST_BITS as usize + 1..=16 {
            if (next as u32) < self.ends[length] {
                let place = (next >> (16 - length)) as i32 + self.offsets[length];
                let symbol = usize::try_from(place)
                    .ok()
                    .and_then(|place| self.definition.get(16 + place));
                return match symbol {
                    Some(symbol) => Ok((length as u32, *symbol)),
                    None => Err(Refused::BadPicture),
                };
            }
        }
        Err(Refused::BadPicture)
    }

    #[inline]
    fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, Refused> {
        bits.fill();
        let (length, symbol) = self.look_up(bits.peek(16))?;
        bits.take(length)?;
        Ok(symbol)
    }

    /// The next DC difference.
    #[inline]
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> Result<i32, Refused> {
        let size = u32::from(self.symbol(bits)?);
        match size {
            0 => Ok(0),
            1..=15 => {
                let value = bits.peek(size) as i32;
                bits.take(size)?;
                // The lower half of the values is negative.
                let half = 1 << (size - 1);
                Ok(if value < half {
                    value - 2 * half + 1
                } else {
                    value
                })
            }
            _ => Err(Refused::BadPicture),
        }
    }

    /// Steps over the next DC difference.
    #[inline]
    pub(super) fn skip(&self, bits: &mut Bits<'_>) -> Result<(), Refused> {
        match u32::from(self.symbol(bits)?) {
            size @ 0..=15 => bits.take(size),
            _ => Err(Refused::BadPicture),
        }
    }
}

/// A table of AC coefficients with what is needed to step over them.
#[derive(Debug)]
pub(super) struct Skipper {
    table: Table,
    steps: Box<[Step; 1 << SKIP_BITS]>,
}

/// Whole coefficients that lie in the next bits.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    /// How many bits they are; 0: not even the first is whole.
    bits: u8,
    /// How many coefficients they stand for, without the end of the block.
    coefficients: u8,
    /// Whether the block ends with them.
    ends: bool,
}

/// Coefficients of a block beside DC.
const LAST: u32 = 63;

impl Skipper {
    fn new(table: Table) -> Self {
        let mut steps = Box::new([Step::default(); 1 << SKIP_BITS]);
        for (window, step) in steps.iter_mut().enumerate() {
            // The bits of the window, as if nothing but zeros followed.
            let mut left = SKIP_BITS;
            while !step.ends && left > 0 {
                let next = (window << (16 - left)) & 0xFFFF;
                let Ok((length, symbol)) = table.look_up(next) else {
                    break;
                };
                let Some((zeros, size)) = coefficient(symbol) else {
                    break;
                };
                if length + size > left {
                    break;
                }
                left -= length + size;
                if (zeros, size) == (0, 0) {
                    step.ends = true;
                } else {
                    step.coefficients += zeros as u8 + 1;
                }
                step.bits = (SKIP_BITS - left) as u8;
            }
        }
        Self { table, steps }
    }

    /// Steps over the AC coefficients of a block.
    #[inline]
    pub(super) fn skip(&self, bits: &mut Bits<'_>) -> Result<(), Refused> {
        let mut done = 0;
        while done < LAST {
            bits.fill();
            let step = self.steps[bits.peek(SKIP_BITS)];
            let after = done + u32::from(step.coefficients);
            // A block that is full has no end, so what follows belongs to the next one.
            if step.bits > 0 && after + u32::from(step.ends) <= LAST {
                bits.take(u32::from(step.bits))?;
                if step.ends {
                    return Ok(());
                }
                done = after;
                continue;
            }
            let (length, symbol) = self.table.look_up(bits.peek(16))?;
            let (zeros, size) = coefficient(symbol).ok_or(Refused::BadPicture)?;
            bits.take(length + size)?;
            if (zeros, size) == (0, 0) {
                return Ok(());
            }
            done += zeros + 1;
        }
        if done == LAST {
            Ok(())
        } else {
            Err(Refused::BadPicture)
        }
    }
}

/// The zeros before a coefficient and its number of bits; (0, 0) ends the block. A run of 16
/// zeros is 15 before a coefficient of no bits.
#[inline]
fn coefficient(symbol: u8) -> Option<(u32, u32)> {
    let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
    (size > 0 || matches!(zeros, 0 | 15)).then_some((zeros, size))
}
