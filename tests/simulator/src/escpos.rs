//! A small builder of ESC/POS printer jobs (Epson ESC/POS command reference).

use serde::Deserialize;

const ESC: u8 = 0x1B;
const GS: u8 = 0x1D;
const DLE: u8 = 0x10;
const DC4: u8 = 0x14;

/// A code page, chosen with `ESC t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodePage {
    /// PC437, page 0.
    #[default]
    Pc437,
    /// PC858 (PC850 with the euro sign), page 19.
    Pc858,
    /// Windows-1252, page 16.
    Wpc1252,
}

/// Upper halves, 0x80 to 0xFF; U+FFFD where a page has no character.
const PC437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
const PC858: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈ€ÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";
const WPC1252: &str = "€\u{fffd}‚ƒ„…†‡ˆ‰Š‹Œ\u{fffd}Ž\u{fffd}\u{fffd}‘’“”•–—˜™š›œ\u{fffd}žŸ\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯°±²³´µ¶·¸¹º»¼½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ";

impl CodePage {
    /// The number that `ESC t` takes.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Pc437 => 0,
            Self::Wpc1252 => 16,
            Self::Pc858 => 19,
        }
    }

    const fn upper_half(self) -> &'static str {
        match self {
            Self::Pc437 => PC437,
            Self::Wpc1252 => WPC1252,
            Self::Pc858 => PC858,
        }
    }

    /// One character; `?` for what the page does not have and for control characters.
    #[must_use]
    pub fn encode(self, character: char) -> u8 {
        if (' '..='~').contains(&character) {
            // Just checked: it is ASCII.
            return character as u8;
        }
        if character == '\u{fffd}' {
            return b'?';
        }
        self.upper_half()
            .chars()
            .zip(0x80_u8..=0xFF)
            .find(|(known, _)| *known == character)
            .map_or(b'?', |(_, byte)| byte)
    }
}

/// Where a line stands on the paper (`ESC a`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Align {
    /// At the left edge.
    #[default]
    Left,
    /// In the middle.
    Centre,
    /// At the right edge.
    Right,
}

/// A drawer connector's kick pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(try_from = "u8")]
pub enum KickPin {
    /// Pin 2, drawer 1.
    #[default]
    Two,
    /// Pin 5, drawer 2.
    Five,
}

impl TryFrom<u8> for KickPin {
    type Error = String;

    fn try_from(pin: u8) -> Result<Self, String> {
        match pin {
            2 => Ok(Self::Two),
            5 => Ok(Self::Five),
            other => Err(format!("a drawer is kicked on pin 2 or 5, not {other}")),
        }
    }
}

impl KickPin {
    const fn number(self) -> u8 {
        match self {
            Self::Two => 0,
            Self::Five => 1,
        }
    }
}

/// A picture of dots, black where set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    width_bytes: u16,
    rows: Vec<u8>,
}

impl Bitmap {
    /// From text, one line per row, `#` for a black dot; each becomes `scale` × `scale` dots.
    /// Rows are padded on the right to whole bytes. At most 576 dots wide and 1,000 high
    /// (the paper's width); what lies beyond is left out.
    #[must_use]
    pub fn from_art(art: &str, scale: u16) -> Self {
        const MAX_WIDTH: usize = 576;
        const MAX_HEIGHT: usize = 1_000;
        let scale = usize::from(scale.max(1));
        let lines: Vec<Vec<char>> = art.lines().map(|line| line.chars().collect()).collect();
        let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
        let width = (columns * scale).min(MAX_WIDTH);
        let height = (lines.len() * scale).min(MAX_HEIGHT);
        let width_bytes = width.div_ceil(8);
        let mut rows = vec![0; width_bytes * height];
        for y in 0..height {
            for x in 0..width {
                if lines[y / scale].get(x / scale) == Some(&'#') {
                    rows[y * width_bytes + x / 8] |= 0x80 >> (x % 8);
                }
            }
        }
        Self {
            // At most 576 / 8.
            width_bytes: u16::try_from(width_bytes).unwrap_or(0),
            rows,
        }
    }

    /// Bytes of one row.
    #[must_use]
    pub const fn width_bytes(&self) -> u16 {
        self.width_bytes
    }

    /// Rows of dots.
    #[must_use]
    pub fn height(&self) -> u16 {
        let rows = self
            .rows
            .len()
            .checked_div(usize::from(self.width_bytes))
            .unwrap_or(0);
        u16::try_from(rows).unwrap_or(0)
    }
}

/// A print job that grows command by command.
#[derive(Debug, Clone, Default)]
pub struct Job {
    bytes: Vec<u8>,
    page: CodePage,
}

impl Job {
    /// An empty job: not even `ESC @`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `ESC @`: the printer as after power-on (page 0, left, normal size).
    #[must_use]
    pub fn initialize(mut self) -> Self {
        self.page = CodePage::default();
        self.put(&[ESC, b'@'])
    }

    /// `ESC t n`.
    #[must_use]
    pub fn code_page(mut self, page: CodePage) -> Self {
        self.page = page;
        self.put(&[ESC, b't', page.number()])
    }

    /// `ESC a n`.
    #[must_use]
    pub fn align(self, align: Align) -> Self {
        let n = match align {
            Align::Left => 0,
            Align::Centre => 1,
            Align::Right => 2,
        };
        self.put(&[ESC, b'a', n])
    }

    /// `GS ! n`: characters `width` × `height` times as large, 1 to 8 each.
    #[must_use]
    pub fn size(self, width: u8, height: u8) -> Self {
        let n = (width.clamp(1, 8) - 1) << 4 | (height.clamp(1, 8) - 1);
        self.put(&[GS, b'!', n])
    }

    /// Text in the code page in force, without a line end.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        let page = self.page;
        self.bytes.extend(text.chars().map(|c| page.encode(c)));
        self
    }

    /// Text and LF.
    #[must_use]
    pub fn line(self, text: &str) -> Self {
        self.text(text).put(b"\n")
    }

    /// `ESC d n`: feed lines.
    #[must_use]
    pub fn feed(self, lines: u8) -> Self {
        self.put(&[ESC, b'd', lines])
    }

    /// `GS v 0`: a picture in normal density.
    #[must_use]
    pub fn raster(self, bitmap: &Bitmap) -> Self {
        let [xl, xh] = bitmap.width_bytes().to_le_bytes();
        let [yl, yh] = bitmap.height().to_le_bytes();
        self.put(&[GS, b'v', b'0', 0, xl, xh, yl, yh])
            .put(&bitmap.rows)
    }

    /// `ESC p m t1 t2`: kicks the drawer in print order. Times in milliseconds, in steps of 2,
    /// at most 510.
    #[must_use]
    pub fn kick(self, pin: KickPin, on_ms: u16, off_ms: u16) -> Self {
        let half = |ms: u16| u8::try_from(ms / 2).unwrap_or(u8::MAX);
        self.put(&[ESC, b'p', pin.number(), half(on_ms), half(off_ms)])
    }

    /// `DLE DC4 1 m t`: kicks the drawer at once. In steps of 100 ms, 100 to 800.
    #[must_use]
    pub fn kick_now(self, pin: KickPin, on_ms: u16) -> Self {
        let t = u8::try_from((on_ms / 100).clamp(1, 8)).unwrap_or(1);
        self.put(&[DLE, DC4, 1, pin.number(), t])
    }

    /// `GS V 66 n`: feeds `feed` units and cuts, leaving one point uncut.
    #[must_use]
    pub fn cut(self, feed: u8) -> Self {
        self.put(&[GS, b'V', 66, feed])
    }

    /// `ESC =` around a text for the customer display on the same wire: cleared (FF), shown,
    /// and the printer selected again.
    #[must_use]
    pub fn display(self, text: &str) -> Self {
        self.put(&[ESC, b'=', 2, 0x0C])
            .text(text)
            .put(&[ESC, b'=', 1])
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn put(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_halves_have_128_characters() {
        for page in [CodePage::Pc437, CodePage::Pc858, CodePage::Wpc1252] {
            assert_eq!(page.upper_half().chars().count(), 128, "{page:?}");
        }
    }

    #[test]
    fn text_is_written_in_the_page_in_force() {
        assert_eq!(CodePage::Pc437.encode('£'), 0x9C);
        assert_eq!(CodePage::Pc858.encode('€'), 0xD5);
        assert_eq!(CodePage::Wpc1252.encode('€'), 0x80);
        assert_eq!(CodePage::Wpc1252.encode('ü'), 0xFC);
        assert_eq!(CodePage::Pc437.encode('€'), b'?');
        assert_eq!(CodePage::Pc437.encode('\x1b'), b'?', "no command in text");
        let job = Job::new().initialize().code_page(CodePage::Pc858);
        assert_eq!(
            job.line("3 €").into_bytes(),
            b"\x1b@\x1bt\x133 \xd5\n",
            "ESC @, ESC t 19, text, LF"
        );
    }

    #[test]
    fn kicks_say_how_long() {
        let job = Job::new()
            .kick(KickPin::Two, 100, 500)
            .kick_now(KickPin::Five, 200);
        assert_eq!(
            job.into_bytes(),
            [0x1B, b'p', 0, 50, 250, 0x10, 0x14, 1, 1, 2]
        );
    }

    #[test]
    fn a_picture_has_the_bytes_its_header_promises() {
        let art = Bitmap::from_art("#..\n.##\n", 4);
        assert_eq!((art.width_bytes(), art.height()), (2, 8));
        let bytes = Job::new().raster(&art).into_bytes();
        assert_eq!(bytes[..8], [0x1D, b'v', b'0', 0, 2, 0, 8, 0]);
        assert_eq!(bytes[8..12], [0xF0, 0, 0xF0, 0]);
        assert_eq!(bytes[bytes.len() - 2..], [0x0F, 0xF0]);
        assert_eq!(bytes.len(), 8 + 16);
    }
}
