//! What the parser reports.

use super::line::Line;

/// The drawer connector's pin a kick drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KickPin {
    /// Pin 2: drawer 1.
    Two,
    /// Pin 5: drawer 2.
    Five,
}

/// A command that opens a drawer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kick {
    /// Which drawer.
    pub pin: KickPin,
    /// Length of the pulse in milliseconds (0–800).
    pub on_ms: u16,
    /// Pause after it in milliseconds (0–800).
    pub off_ms: u16,
    /// `DLE DC4 1`, which acts on receipt, not in print order.
    pub real_time: bool,
    /// False when the bytes were found inside another command's data, where they also
    /// occur by chance.
    pub confirmed: bool,
}

/// How an image came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageKind {
    /// `GS v 0`, `GS Q 0`: rows of dots.
    Raster,
    /// `ESC *`: one strip of columns; a picture is many of them.
    Column,
    /// `GS ( L`, `GS 8 L` 112 and 113.
    Graphics,
    /// A logo the printer had stored (`FS p`, `GS /`, `GS ( L` 69 and 85): no bytes here.
    Stored,
}

/// Two-dimensional symbol families (`cn` of `GS ( k`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SymbolKind {
    /// PDF417.
    Pdf417,
    /// QR code.
    Qr,
    /// MaxiCode.
    MaxiCode,
    /// Two-dimensional GS1 DataBar.
    Gs1DataBar,
    /// Composite symbology.
    Composite,
    /// Aztec code.
    Aztec,
    /// DataMatrix.
    DataMatrix,
    /// Any other number.
    Other(u8),
}

impl From<u8> for SymbolKind {
    fn from(cn: u8) -> Self {
        match cn {
            48 => Self::Pdf417,
            49 => Self::Qr,
            50 => Self::MaxiCode,
            51 => Self::Gs1DataBar,
            52 => Self::Composite,
            53 => Self::Aztec,
            54 => Self::DataMatrix,
            other => Self::Other(other),
        }
    }
}

/// Why the parser gave something up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResyncCause {
    /// The line was silent for the gap in the middle of a command.
    Gap,
    /// A cut and `ESC @` stood inside a payload, whose end was therefore missed.
    CutInPayload,
    /// A command broke its own rules.
    Malformed,
    /// A printer command came while only the customer display was selected.
    PrinterImplied,
}

/// One thing the printer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// The first visible byte of a line, or of an image: paper begins to be used. Comes
    /// before the item itself is complete.
    PrintBegins,
    /// A line of text was printed.
    Line(Line<'a>),
    /// Paper was fed without text.
    Feed,
    /// `GS V`, `ESC i`, `ESC m`.
    Cut {
        /// One point is left uncut.
        partial: bool,
    },
    /// A drawer kick.
    Kick(Kick),
    /// `ESC @`.
    Initialize,
    /// An image; its dots are not kept.
    Image {
        /// How it came.
        kind: ImageKind,
        /// Bytes of dots that were received.
        bytes: u64,
    },
    /// A bar code (`GS k`).
    Barcode {
        /// The symbology, `m` of `GS k`.
        system: u8,
        /// The data, up to [`MAX_SYMBOL_BYTES`](super::MAX_SYMBOL_BYTES).
        data: &'a [u8],
    },
    /// A two-dimensional symbol, reported when its data is stored (`GS ( k` 80): the
    /// command that prints it carries nothing and can be lost.
    Symbol {
        /// Which family.
        kind: SymbolKind,
        /// The data, up to [`MAX_SYMBOL_BYTES`](super::MAX_SYMBOL_BYTES).
        data: &'a [u8],
        /// There was more.
        truncated: bool,
    },
    /// The host asked the printer for its state.
    StatusRequest {
        /// `DLE EOT`.
        real_time: bool,
    },
    /// Text for the customer display: never part of a receipt.
    DisplayText(Line<'a>),
    /// A command that is not in the table; two bytes were skipped.
    Unknown {
        /// `ESC`, `GS`, `FS`, `DLE` or `US`.
        prefix: u8,
        /// The byte after it.
        byte: u8,
    },
    /// Bytes were lost or damaged; what is being printed may be incomplete.
    Resync {
        /// How it was noticed.
        cause: ResyncCause,
        /// Bytes the abandoned payload still asked for.
        pending: u64,
    },
}

/// What a parser counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes taken.
    pub bytes: u64,
    /// Work done; at most twice `bytes`.
    pub steps: u64,
    /// Lines handed out in pieces because they were longer than the line buffer.
    pub split_lines: u64,
    /// Commands that are not in the table.
    pub unknown: u64,
    /// Times something was given up.
    pub resyncs: u64,
    /// Kick sequences seen inside other commands' data.
    pub unconfirmed_kicks: u64,
    /// Bytes of bar codes and symbols beyond the bound.
    pub symbol_bytes_dropped: u64,
}
