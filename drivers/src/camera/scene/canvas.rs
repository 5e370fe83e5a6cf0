//! Rectangles, ellipses and digits.

/// Red, green, blue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Colour(pub(super) u8, pub(super) u8, pub(super) u8);

/// Pixels, drawn upon in units that do not depend on their number. What lies outside is left out.
#[derive(Debug, Clone)]
pub(super) struct Canvas {
    width: i32,
    height: i32,
    units: (i32, i32),
    pixels: Vec<u8>,
}

/// 3 × 5 dots for 0 to 9, and the colon.
const GLYPHS: [[u8; 5]; 11] = [
    [0b111, 0b101, 0b101, 0b101, 0b111],
    [0b010, 0b110, 0b010, 0b010, 0b111],
    [0b111, 0b001, 0b111, 0b100, 0b111],
    [0b111, 0b001, 0b111, 0b001, 0b111],
    [0b101, 0b101, 0b111, 0b001, 0b001],
    [0b111, 0b100, 0b111, 0b001, 0b111],
    [0b111, 0b100, 0b111, 0b101, 0b111],
    [0b111, 0b001, 0b010, 0b010, 0b010],
    [0b111, 0b101, 0b111, 0b101, 0b111],
    [0b111, 0b101, 0b111, 0b001, 0b111],
    [0b000, 0b010, 0b000, 0b010, 0b000],
];
/// Units a dot.
const DOT: i32 = 4;
const LIT: Colour = Colour(255, 96, 64);

impl Canvas {
    pub(super) fn new(width: u16, height: u16, units: (i32, i32)) -> Self {
        Self {
            width: i32::from(width),
            height: i32::from(height),
            units,
            pixels: vec![0; usize::from(width) * usize::from(height) * 3],
        }
    }

    pub(super) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    pub(super) fn copy_from(&mut self, other: &Self) {
        self.pixels.clone_from(&other.pixels);
    }

    pub(super) fn fill(&mut self, colour: Colour) {
        let (width, height) = self.units;
        self.rectangle(0, 0, width, height, colour);
    }

    /// Light of so many of 256.
    pub(super) fn scale_light(&mut self, of_256: u16) {
        for part in &mut self.pixels {
            *part = (u16::from(*part) * of_256.min(256) / 256) as u8;
        }
    }

    pub(super) fn rectangle(&mut self, x: i32, y: i32, width: i32, height: i32, colour: Colour) {
        let (left, right) = (self.column(x), self.column(x + width));
        for row in self.row(y)..self.row(y + height) {
            self.line(row, left, right, colour);
        }
    }

    pub(super) fn ellipse(&mut self, x: i32, y: i32, across: i32, down: i32, colour: Colour) {
        let (top, bottom) = (self.row(y - down), self.row(y + down));
        for row in top..bottom {
            // Back to units, relative to the middle.
            let from_middle = (row * self.units.1 / self.height - y).abs().min(down);
            let square = i64::from(down).pow(2) - i64::from(from_middle).pow(2);
            let half = (square.isqrt() * i64::from(across) / i64::from(down.max(1))) as i32;
            self.line(row, self.column(x - half), self.column(x + half), colour);
        }
    }

    /// Digits and colons.
    pub(super) fn text(&mut self, x: i32, y: i32, text: &str) {
        for (place, character) in (0..).zip(text.chars()) {
            let glyph = character.to_digit(10).map_or(10, |digit| digit as usize);
            for (row, dots) in (0..).zip(GLYPHS[glyph]) {
                for column in 0..3 {
                    if dots >> (2 - column) & 1 == 1 {
                        let left = x + (place * 4 + column) * DOT - place * 2;
                        self.rectangle(left, y + row * DOT, DOT, DOT, LIT);
                    }
                }
            }
        }
    }

    fn column(&self, x: i32) -> i32 {
        (x * self.width / self.units.0).clamp(0, self.width)
    }

    fn row(&self, y: i32) -> i32 {
        (y * self.height / self.units.1).clamp(0, self.height)
    }

    fn line(&mut self, row: i32, left: i32, right: i32, colour: Colour) {
        if left >= right || !(0..self.height).contains(&row) {
            return;
        }
        // All are within the picture.
        let at = |column: i32| (row * self.width + column) as usize * 3;
        let Colour(red, green, blue) = colour;
        for pixel in self.pixels[at(left)..at(right)].chunks_exact_mut(3) {
            pixel.copy_from_slice(&[red, green, blue]);
        }
    }
}
