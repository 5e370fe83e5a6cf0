//! JPEGs out of a stream.

use bytes::{Bytes, BytesMut};

use super::{Refused, Scanner, Seen};

/// Cuts a stream of concatenated JPEGs at their ends, in whatever pieces it arrives. What is
/// between them is skipped; one that is damaged or too long is given up, and the next one
/// looked for behind the damage. Holds at most one JPEG; what is found has an allocation of its own.
#[derive(Debug)]
pub struct Splitter {
    scanner: Scanner,
    jpeg: BytesMut,
    max_bytes: usize,
    skipped: u64,
}

impl Splitter {
    /// Takes JPEGs of up to `max_bytes`, at least two.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            scanner: Scanner::default(),
            jpeg: BytesMut::new(),
            // What begins a JPEG is held before its length is known.
            max_bytes: max_bytes.max(2),
            skipped: 0,
        }
    }

    /// The next bytes of the stream. `found` gets every JPEG that ends in them, and for each
    /// that was given up the reason.
    pub fn feed(&mut self, mut bytes: &[u8], found: &mut dyn FnMut(Result<Bytes, Refused>)) {
        while !bytes.is_empty() {
            let inside = !self.scanner.is_outside();
            // One byte more than allowed is enough to see that it is too long.
            let room = (self.max_bytes + 1).saturating_sub(self.jpeg.len()).max(1);
            let limit = if inside {
                room.min(bytes.len())
            } else {
                bytes.len()
            };
            let (used, seen) = self.scanner.scan(&bytes[..limit]);
            let (now, later) = bytes.split_at(used);
            bytes = later;
            if inside {
                self.jpeg.extend_from_slice(now);
            } else {
                self.skipped += used as u64;
            }
            if inside && self.jpeg.len() > self.max_bytes {
                self.give_up(Refused::TooLong, found);
                // What the last byte began is no less worth looking at.
                if matches!(seen, Seen::More | Seen::End) {
                    self.scanner.give_up();
                    continue;
                }
            }
            match seen {
                Seen::More => {}
                Seen::Begin => self.begin(),
                Seen::BeginAgain => {
                    if !self.jpeg.is_empty() {
                        self.give_up(Refused::CutOff, found);
                    }
                    self.begin();
                }
                Seen::End => {
                    if !self.jpeg.is_empty() {
                        found(Ok(Bytes::copy_from_slice(&self.jpeg)));
                        self.jpeg.clear();
                    }
                }
                Seen::Refused(reason) => {
                    if !self.jpeg.is_empty() {
                        self.give_up(reason, found);
                    }
                }
            }
        }
    }

    /// The stream is over: a JPEG that has not ended is given up.
    pub fn end(&mut self, found: &mut dyn FnMut(Result<Bytes, Refused>)) {
        if !self.jpeg.is_empty() {
            self.give_up(Refused::CutOff, found);
        }
        self.scanner.give_up();
    }

    /// Bytes outside JPEGs so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Bytes of the JPEG that has not ended yet.
    pub fn held(&self) -> usize {
        self.jpeg.len()
    }

    fn begin(&mut self) {
        self.skipped = self.skipped.saturating_sub(2);
        self.jpeg.clear();
        self.jpeg.extend_from_slice(&[0xFF, super::SOI]);
    }

    fn give_up(&mut self, reason: Refused, found: &mut dyn FnMut(Result<Bytes, Refused>)) {
        self.skipped += self.jpeg.len() as u64;
        self.jpeg.clear();
        found(Err(reason));
    }
}
