//! The parser inside data: pictures, symbols, bar codes, fonts.

use super::item::{Item, ResyncCause};
use super::lengths::{Data, ESC, GS};
use super::{EscPos, MAX_NUL_BARCODE_BYTES, Payload, Records, Sink, State, effects};

impl EscPos {
    pub(super) fn start_payload(&mut self, left: u64, data: Data, sink: &mut Sink<'_>) {
        if data == Data::Barcode {
            let system = self.head[2];
            self.start_symbol(system);
        }
        let payload = Payload {
            left,
            seen: 0,
            data,
            lead: [0; 3],
        };
        if left == 0 {
            self.state = State::Ground;
            self.payload_done(&payload, sink);
        } else {
            if matches!(data, Data::ColumnImage | Data::RasterImage) {
                sink(Item::PrintBegins);
            }
            self.state = State::Payload(payload);
        }
    }

    pub(super) fn payload_byte(&mut self, mut payload: Payload, byte: u8, sink: &mut Sink<'_>) {
        if let Some(lead) = usize::try_from(payload.seen)
            .ok()
            .and_then(|seen| payload.lead.get_mut(seen))
        {
            *lead = byte;
        }
        payload.seen += 1;
        payload.left -= 1;
        match payload.data {
            Data::Barcode => self.symbol_byte(byte),
            // GS ( k pL pH cn 80 48 d…: the data of a symbol.
            Data::Symbol if payload.seen > 3 && payload.lead[1] == effects::SYMBOL_STORE => {
                self.symbol_byte(byte);
            }
            Data::Symbol if payload.seen == 1 => self.start_symbol(byte),
            Data::Graphics if payload.seen == 2 && effects::draws(byte) => sink(Item::PrintBegins),
            _ => {}
        }
        if payload.left == 0 {
            self.state = State::Ground;
            self.payload_done(&payload, sink);
            return;
        }
        self.state = State::Payload(payload);
        if byte == b'@' && self.history_is_cut_and_initialize() {
            self.give_up(ResyncCause::CutInPayload, sink);
            self.cut(false, sink);
            self.initialize(sink);
        }
    }

    /// `GS V m [n] ESC @`, all of it inside a payload.
    fn history_is_cut_and_initialize(&self) -> bool {
        let bytes = self.history.to_be_bytes();
        matches!(
            bytes,
            [.., GS, b'V', 0 | 1 | b'0' | b'1', ESC, b'@']
                | [.., GS, b'V', 65 | 66 | 97 | 98 | 103 | 104, _, ESC, b'@']
        )
    }

    pub(super) fn barcode_byte(&mut self, byte: u8, sink: &mut Sink<'_>) {
        if byte == 0 {
            self.state = State::Ground;
            self.barcode(sink);
        } else if byte < 0x20 || self.symbol.len() >= MAX_NUL_BARCODE_BYTES {
            // None of these symbologies has control characters: the NUL was lost.
            self.barcode(sink);
            self.give_up(ResyncCause::Malformed, sink);
            self.again(byte, sink);
        } else {
            self.symbol_byte(byte);
        }
    }

    pub(super) fn start_records(&mut self, left: u16, height: u8) {
        self.state = State::Records(Records {
            left,
            height,
            head: [0; 4],
            head_len: 0,
            skip: 0,
        });
    }

    pub(super) fn record_byte(&mut self, mut records: Records, byte: u8) {
        if records.skip > 0 {
            records.skip -= 1;
        } else {
            records.head[usize::from(records.head_len)] = byte;
            records.head_len += 1;
            let size = match (records.height, records.head_len) {
                (0, 4) => {
                    let [xl, xh, yl, yh] = records.head;
                    let width = u64::from(u16::from_le_bytes([xl, xh]));
                    Some(width * u64::from(u16::from_le_bytes([yl, yh])) * 8)
                }
                (0, _) => None,
                (height, _) => Some(u64::from(height) * u64::from(byte)),
            };
            match size {
                Some(size) => {
                    records.skip = size;
                    records.head_len = 0;
                    records.left -= 1;
                }
                None => {
                    self.state = State::Records(records);
                    return;
                }
            }
        }
        self.state = if records.skip == 0 && records.left == 0 {
            State::Ground
        } else {
            State::Records(records)
        };
    }
}
