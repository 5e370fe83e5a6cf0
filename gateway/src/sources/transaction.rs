//! From a printed document, as the drivers see it, to a receipt, as the rest of us does.

use tillwatch_drivers::printer::mask::mask_card_numbers;
use tillwatch_drivers::printer::receipt::{End, PaperDocument};
use tillwatch_drivers::printer::transaction::{DocumentKind, read};
use tillwatch_protocol::receipt::{LineMark, ReceiptEnd};
use tillwatch_protocol::{Money, Receipt, ReceiptKind};

/// Longest line that is kept, in bytes.
const LINE: usize = 512;

/// Translates, and masks card numbers on the way.
#[must_use]
pub fn receipt(document: &PaperDocument, minor_digits: u8) -> Receipt {
    let lines: Vec<String> = document
        .lines
        .iter()
        .map(|line| mask_card_numbers(cut(&line.text)))
        .collect();
    let texts: Vec<&str> = lines.iter().map(String::as_str).collect();
    let transaction = read(&texts, minor_digits);
    Receipt {
        kind: kind(transaction.kind),
        marks: transaction
            .marks
            .iter()
            .map(|mark| LineMark {
                line: u32::try_from(mark.line).unwrap_or(u32::MAX),
                kind: kind(mark.kind),
                amount: mark.amount.map(Money),
            })
            .collect(),
        number: transaction.number,
        cashier: transaction.cashier,
        total: transaction.total.map(Money),
        kicks: u32::try_from(document.kicks.len()).unwrap_or(u32::MAX),
        images: document.images,
        bytes: document.bytes,
        began_ns: document.started_ns,
        ended_ns: document.ended_ns,
        end: match document.end {
            End::Cut => ReceiptEnd::Cut,
            End::Idle => ReceiptEnd::Idle,
            End::Initialize => ReceiptEnd::Initialize,
            End::Overflow => ReceiptEnd::Overflow,
            End::Closed => ReceiptEnd::Closed,
        },
        damaged: document.damaged,
        lines,
    }
}

/// Masks card numbers in bytes of any encoding that writes digits as ASCII does.
#[must_use]
pub fn mask_bytes(bytes: &[u8]) -> Vec<u8> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let masked = mask_card_numbers(&text);
    // Every character came from one byte; the mask itself is ASCII.
    masked
        .chars()
        .map(|c| u8::try_from(c).unwrap_or(b'*'))
        .collect()
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LINE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn kind(kind: DocumentKind) -> ReceiptKind {
    match kind {
        DocumentKind::Sale => ReceiptKind::Sale,
        DocumentKind::ItemVoid => ReceiptKind::ItemVoid,
        DocumentKind::TransactionVoid => ReceiptKind::TransactionVoid,
        DocumentKind::Return => ReceiptKind::Return,
        DocumentKind::RefundNoReceipt => ReceiptKind::RefundNoReceipt,
        DocumentKind::Exchange => ReceiptKind::Exchange,
        DocumentKind::NoSale => ReceiptKind::NoSale,
        DocumentKind::PaidIn => ReceiptKind::PaidIn,
        DocumentKind::PaidOut => ReceiptKind::PaidOut,
        DocumentKind::Training => ReceiptKind::Training,
        DocumentKind::Reprint => ReceiptKind::Reprint,
        DocumentKind::XReport => ReceiptKind::XReport,
        DocumentKind::ZReport => ReceiptKind::ZReport,
        DocumentKind::Unknown => ReceiptKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_masked_in_bytes_of_any_kind_and_nothing_else_changes() {
        let bytes = [
            b"\x1b@\xff\x80 4111 1111 1111 1111 \x00".as_slice(),
            &[0x9c; 4],
        ]
        .concat();
        let masked = mask_bytes(&bytes);
        assert_eq!(
            masked,
            [
                b"\x1b@\xff\x80 **** **** **** 1111 \x00".as_slice(),
                &[0x9c; 4]
            ]
            .concat()
        );
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(mask_bytes(&all), all);
    }
}
