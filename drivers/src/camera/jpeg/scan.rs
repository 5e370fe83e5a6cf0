//! Where a JPEG begins and ends in a stream of bytes that arrives in any pieces.

use super::{EOI, Refused, SOI, SOS};

/// What was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The bytes ended.
    More,
    /// The last two bytes begin a JPEG.
    Begin,
    /// The last two bytes begin a JPEG, and the one before never ended.
    BeginAgain,
    /// The last byte ends the JPEG.
    End,
    /// The last byte makes no sense; the next JPEG is looked for.
    Refused(Refused),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Between JPEGs.
    #[default]
    Outside,
    /// Between JPEGs, the last byte was FF.
    OutsideFf,
    /// A marker is due.
    Marker,
    /// A marker's FF was there.
    Code,
    /// The length of a segment is due.
    Length(u8),
    /// Its second byte.
    Length2(u8, u8),
    /// In the body of a segment.
    Body(u8, u16),
    /// In the compressed picture.
    Picture,
    /// In the compressed picture, the last byte was FF.
    PictureFf,
}

/// Follows the structure from byte to byte.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scanner {
    state: State,
    pictures: bool,
}

impl Scanner {
    /// Reads until something is met; returns how many bytes that took.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> (usize, Seen) {
        let mut at = 0;
        while at < bytes.len() {
            // Over what needs no look at each byte.
            match self.state {
                State::Outside | State::Picture => {
                    let next = bytes[at..].iter().position(|byte| *byte == 0xFF);
                    at += next.unwrap_or(bytes.len() - at);
                }
                State::Body(marker, left) => {
                    let skipped = usize::from(left).min(bytes.len() - at);
                    at += skipped;
                    // At most `left`, hence it fits.
                    let left = left - skipped as u16;
                    self.state = State::Body(marker, left);
                    if left == 0 {
                        self.state = self.behind(marker);
                    }
                    continue;
                }
                _ => {}
            }
            let Some(byte) = bytes.get(at) else { break };
            at += 1;
            match self.step(*byte) {
                Seen::More => {}
                seen => return (at, seen),
            }
        }
        (at, Seen::More)
    }

    /// Whether it is between two JPEGs.
    pub(crate) fn is_outside(&self) -> bool {
        matches!(self.state, State::Outside | State::OutsideFf)
    }

    /// Gives the JPEG up.
    pub(crate) fn give_up(&mut self) {
        *self = Self::default();
    }

    fn behind(&mut self, marker: u8) -> State {
        if marker != SOS {
            return State::Marker;
        }
        self.pictures = true;
        State::Picture
    }

    fn step(&mut self, byte: u8) -> Seen {
        let (state, seen) = match (self.state, byte) {
            (State::Outside, 0xFF) | (State::OutsideFf, 0xFF) => (State::OutsideFf, Seen::More),
            (State::OutsideFf, SOI) => (self.begin(), Seen::Begin),
            (State::Outside | State::OutsideFf, _) => (State::Outside, Seen::More),

            (State::Marker, 0xFF) | (State::Code, 0xFF) => (State::Code, Seen::More),
            (State::Marker, _) | (State::Code, 0x00) => self.refuse(Refused::Damaged),
            (State::Code | State::PictureFf, SOI) => (self.begin(), Seen::BeginAgain),
            (State::Code, EOI) if !self.pictures => self.refuse(Refused::Empty),
            (State::Code | State::PictureFf, EOI) => (State::Outside, Seen::End),
            (State::Code, 0x01 | 0xD0..=0xD7) => (State::Marker, Seen::More),
            (State::Code, marker) => (State::Length(marker), Seen::More),

            (State::Length(marker), high) => (State::Length2(marker, high), Seen::More),
            (State::Length2(marker, high), low) => {
                match u16::from_be_bytes([high, low]).checked_sub(2) {
                    None => self.refuse(Refused::Damaged),
                    Some(0) => (self.behind(marker), Seen::More),
                    Some(left) => (State::Body(marker, left), Seen::More),
                }
            }
            // Bodies are skipped without looking.
            (State::Body(..), _) => self.refuse(Refused::Damaged),

            (State::Picture, 0xFF) | (State::PictureFf, 0xFF) => (State::PictureFf, Seen::More),
            // A stuffed FF, or a restart marker.
            (State::Picture, _) | (State::PictureFf, 0x00 | 0x01 | 0xD0..=0xD7) => {
                (State::Picture, Seen::More)
            }
            (State::PictureFf, marker) => (State::Length(marker), Seen::More),
        };
        self.state = state;
        seen
    }

    fn begin(&mut self) -> State {
        self.pictures = false;
        State::Marker
    }

    fn refuse(&mut self, reason: Refused) -> (State, Seen) {
        self.pictures = false;
        (State::Outside, Seen::Refused(reason))
    }
}
