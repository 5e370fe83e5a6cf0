//! From the text of a receipt to a transaction.
//!
//! Keywords alone are wrong: on nearly half of all receipts the words *void*, *refund* or
//! *return* stand in policy text or in "change returned". So a line counts only as a headline of
//! its own (before the tender), or with an amount of the right sign on the same line, above the
//! footer. What remains unclear is [`DocumentKind::Unknown`], never a guess.

mod amount;
mod markers;

pub use amount::{Amount, trailing_amount};

use super::mask::mask_card_numbers;
use markers::{Word, word_of};

/// What a document is; ARTS/POSLog terms, as far as text tells them reliably.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// Goods sold.
    Sale,
    /// One line was voided (a mark on a line, never a whole document).
    ItemVoid,
    /// The whole transaction was voided.
    TransactionVoid,
    /// Goods came back, money went out.
    Return,
    /// The same, and the document says that there was no receipt.
    RefundNoReceipt,
    /// Goods came back and others went out.
    Exchange,
    /// The drawer was opened without a sale.
    NoSale,
    /// Money put into the drawer.
    PaidIn,
    /// Money taken out.
    PaidOut,
    /// Training mode.
    Training,
    /// A copy of an earlier document.
    Reprint,
    /// Interim report.
    XReport,
    /// Day-end report.
    ZReport,
    /// Nothing above could be recognised.
    Unknown,
}

/// What one line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Index of the line.
    pub line: usize,
    /// What it says.
    pub kind: DocumentKind,
    /// The amount on it, in minor units.
    pub amount: Option<i64>,
}

/// A document, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// What it is.
    pub kind: DocumentKind,
    /// What single lines say.
    pub marks: Vec<Mark>,
    /// The receipt's number.
    pub number: Option<String>,
    /// Who served.
    pub cashier: Option<String>,
    /// The total in minor units; negative when money went out.
    pub total: Option<i64>,
}

/// Longest text of a headline, in characters, decoration not counted.
const HEADLINE: usize = 40;
/// Longest number or cashier that is kept, in bytes.
const FIELD: usize = 64;

#[derive(Default)]
struct Seen {
    void_headline: bool,
    refund_headline: bool,
    no_receipt: bool,
    no_sale: bool,
    paid_in: bool,
    paid_out: bool,
    training: bool,
    reprint: bool,
    x_report: bool,
    z_report: bool,
    refund_out: i64,
    positive_items: bool,
    tender: bool,
}

/// Reads the lines of one document. `minor_digits` are the decimals of the currency.
#[must_use]
pub fn read(lines: &[&str], minor_digits: u8) -> Transaction {
    let mut seen = Seen::default();
    let mut transaction = Transaction {
        kind: DocumentKind::Unknown,
        marks: Vec::new(),
        number: None,
        cashier: None,
        total: None,
    };
    for (index, line) in lines.iter().enumerate() {
        read_line(index, line, minor_digits, &mut seen, &mut transaction);
    }
    transaction.kind = decide(&seen, transaction.total);
    transaction
}

fn read_line(
    index: usize,
    line: &str,
    minor_digits: u8,
    seen: &mut Seen,
    transaction: &mut Transaction,
) {
    let amount = trailing_amount(line, minor_digits);
    let text = amount
        .as_ref()
        .map_or(line, |amount| &line[..amount.starts_at]);
    let amount = amount.map(|amount| amount.minor);
    let plain = plain(text);
    let word = word_of(&plain);
    if transaction.number.is_none() {
        transaction.number = markers::number_in(line).map(|number| cut(&number));
    }
    if transaction.cashier.is_none() {
        transaction.cashier = markers::cashier_in(line).map(|cashier| cut(&cashier));
    }
    let is_headline = amount.is_none() && plain.chars().count() <= HEADLINE && !plain.is_empty();
    let mut mark = |kind| {
        transaction.marks.push(Mark {
            line: index,
            kind,
            amount,
        })
    };
    match (word, amount) {
        (Some(Word::Total), Some(minor)) if !seen.tender => transaction.total = Some(minor),
        (Some(Word::Tender), Some(minor)) => {
            seen.tender = true;
            if minor < 0 && transaction.total.is_none() {
                transaction.total = Some(minor);
            }
        }
        (Some(Word::Void), Some(minor)) if !seen.tender && minor < 0 => {
            mark(DocumentKind::ItemVoid)
        }
        (Some(Word::Refund), Some(minor)) if minor < 0 => {
            seen.refund_out = seen.refund_out.saturating_add(minor);
            mark(DocumentKind::Return);
        }
        (Some(Word::Void), None) if is_headline && markers::is_headline_void(&plain) => {
            seen.void_headline = true;
            mark(DocumentKind::TransactionVoid);
        }
        (Some(Word::Refund), None) if is_headline && !seen.tender && markers::is_bare(&plain) => {
            seen.refund_headline = true;
            mark(DocumentKind::Return);
        }
        (Some(Word::NoReceipt), None) if is_headline && !seen.tender => seen.no_receipt = true,
        (Some(Word::NoSale), None) if is_headline => {
            seen.no_sale = true;
            mark(DocumentKind::NoSale);
        }
        (Some(Word::PaidIn), Some(_)) => seen.paid_in = true,
        (Some(Word::PaidOut), Some(_)) => seen.paid_out = true,
        (Some(Word::Training), None) if is_headline => seen.training = true,
        (Some(Word::Reprint), None) if is_headline => seen.reprint = true,
        (Some(Word::XReport), None) if is_headline => seen.x_report = true,
        (Some(Word::ZReport), None) if is_headline => seen.z_report = true,
        (None, Some(minor)) if minor > 0 && !seen.tender => seen.positive_items = true,
        _ => {}
    }
}

fn decide(seen: &Seen, total: Option<i64>) -> DocumentKind {
    let refund = |seen: &Seen| {
        if seen.no_receipt {
            DocumentKind::RefundNoReceipt
        } else {
            DocumentKind::Return
        }
    };
    let money = total.is_some() || seen.tender || seen.positive_items;
    if seen.training {
        DocumentKind::Training
    } else if seen.reprint {
        DocumentKind::Reprint
    } else if seen.z_report {
        DocumentKind::ZReport
    } else if seen.x_report {
        DocumentKind::XReport
    } else if seen.void_headline {
        DocumentKind::TransactionVoid
    } else if seen.refund_headline || total.is_some_and(|total| total < 0) {
        refund(seen)
    } else if seen.refund_out < 0 {
        // Money back and goods out: an exchange while the customer still pays.
        if total.is_some_and(|total| total >= 0) {
            DocumentKind::Exchange
        } else {
            refund(seen)
        }
    } else if seen.paid_out {
        DocumentKind::PaidOut
    } else if seen.paid_in {
        DocumentKind::PaidIn
    } else if seen.no_sale && !money {
        DocumentKind::NoSale
    } else if total.is_some() && money {
        DocumentKind::Sale
    } else {
        DocumentKind::Unknown
    }
}

/// Capital letters without decoration: `*** Refund ***` is `REFUND`.
fn plain(text: &str) -> String {
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || "*-=#_+.:!|<>[]".contains(c));
    let mut plain = String::with_capacity(trimmed.len());
    let mut space = false;
    for c in trimmed.chars() {
        if c.is_whitespace() {
            space = true;
            continue;
        }
        if space && !plain.is_empty() {
            plain.push(' ');
        }
        space = false;
        plain.extend(c.to_uppercase());
    }
    plain
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(FIELD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // The lines were masked, but cutting can make a card number of a longer row of digits.
    mask_card_numbers(&text[..end])
}

#[cfg(test)]
mod tests;
