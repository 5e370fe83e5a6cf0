//! The bits of a compressed picture.

use crate::camera::jpeg::Refused;

/// Bits that are there after [`Bits::fill`] unless the picture ends: a code and what it
/// announces are at most 31.
pub(super) const FILLED: u32 = 32;

/// Reads bits, the highest first, over stuffed bytes and up to the next marker.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, from the top; below `have` lies nothing of meaning.
    window: u64,
    have: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            window: 0,
            have: 0,
        }
    }

    /// At least [`FILLED`] bits, or all that are left.
    #[inline]
    pub(super) fn fill(&mut self) {
        if self.have >= FILLED {
            return;
        }
        const LOW: u64 = 0x0101_0101_0101_0101;
        if let Some(Ok(next)) = self
            .bytes
            .get(self.at..self.at + 8)
            .map(<[u8; 8]>::try_from)
        {
            let next = u64::from_be_bytes(next);
            // Zero unless one of the eight bytes is FF.
            if (!next).wrapping_sub(LOW) & next & (LOW << 7) == 0 {
                self.window |= next >> self.have;
                self.at += ((63 - self.have) >> 3) as usize;
                self.have |= 56;
                return;
            }
        }
        self.fill_slowly();
    }

    #[cold]
    fn fill_slowly(&mut self) {
        // What an earlier, faster filling left below.
        if self.have < 64 {
            self.window &= !(u64::MAX >> self.have);
        }
        while self.have <= 56 {
            let Some(byte) = self.bytes.get(self.at) else {
                return;
            };
            if *byte == 0xFF {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.window |= u64::from(*byte) << (56 - self.have);
            self.have += 8;
        }
    }

    /// The next `count` bits, 1 to 32, without taking them; zeros behind the end.
    #[inline]
    pub(super) fn peek(&self, count: u32) -> usize {
        (self.window >> (64 - count)) as usize
    }

    /// Takes bits.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> Result<(), Refused> {
        self.have = self.have.checked_sub(count).ok_or(Refused::BadPicture)?;
        self.window <<= count;
        Ok(())
    }

    /// To behind the next restart marker, which must be here.
    pub(super) fn restart(&mut self) -> Result<(), Refused> {
        // Up to seven bits fill the last byte up.
        if self.have >= 8 {
            return Err(Refused::BadPicture);
        }
        (self.window, self.have) = (0, 0);
        if self.bytes.get(self.at) != Some(&0xFF) {
            return Err(Refused::BadPicture);
        }
        while self.bytes.get(self.at) == Some(&0xFF) {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(0xD0..=0xD7) => {
                self.at += 1;
                Ok(())
            }
            _ => Err(Refused::BadPicture),
        }
    }
}
