//! What was printed, as a transaction. Kinds follow the ARTS/POSLog terms.

use crate::money::Money;
use crate::time::MonotonicNs;
use serde::{Deserialize, Serialize};

/// What a printed document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// Goods sold.
    Sale,
    /// One line was voided within the sale.
    ItemVoid,
    /// The whole transaction was voided before its end.
    TransactionVoid,
    /// A finished transaction was voided afterwards.
    PostVoid,
    /// Goods came back, money went out.
    Return,
    /// The same without the original receipt.
    RefundNoReceipt,
    /// Goods were exchanged.
    Exchange,
    /// A discount document.
    Discount,
    /// A price was keyed over.
    PriceOverride,
    /// The drawer was opened without a sale.
    NoSale,
    /// Money put into the drawer.
    PaidIn,
    /// Money taken out for an expense.
    PaidOut,
    /// Money moved to the safe.
    SafeDrop,
    /// Change money for the drawer.
    Loan,
    /// A sale set aside.
    Suspend,
    /// A sale taken up again.
    Resume,
    /// Training mode.
    Training,
    /// A copy of an earlier receipt.
    Reprint,
    /// Interim report.
    XReport,
    /// Day-end report.
    ZReport,
    /// Somebody signed on.
    SignOn,
    /// Somebody signed off.
    SignOff,
    /// Printed, but nothing above could be recognised.
    Unknown,
}

impl ReceiptKind {
    /// Whether the document says that a transaction was voided.
    #[must_use]
    pub fn is_void(self) -> bool {
        matches!(self, Self::TransactionVoid | Self::PostVoid)
    }

    /// Whether the document says that money was paid back.
    #[must_use]
    pub fn is_refund(self) -> bool {
        matches!(self, Self::Return | Self::RefundNoReceipt)
    }

    /// Whether the document explains why the drawer opened: any transaction or cash movement.
    #[must_use]
    pub fn explains_opening(self) -> bool {
        !matches!(
            self,
            Self::NoSale | Self::SignOn | Self::SignOff | Self::Reprint
        )
    }
}

/// Something that one line of the receipt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineMark {
    /// Index into [`Receipt::lines`].
    pub line: u32,
    /// What the line says.
    pub kind: ReceiptKind,
    /// The amount on that line.
    pub amount: Option<Money>,
}

/// Why the document was taken as finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptEnd {
    /// The paper was cut.
    Cut,
    /// Nothing more came for a while.
    Idle,
    /// The printer was initialised for the next one.
    Initialize,
    /// It grew beyond its bound.
    Overflow,
    /// The port was closed in the middle.
    Closed,
}

/// A printed document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What it is.
    pub kind: ReceiptKind,
    /// Lines as printed, decoded to UTF-8, card numbers already masked.
    pub lines: Vec<String>,
    /// What single lines say.
    pub marks: Vec<LineMark>,
    /// The receipt's own number.
    pub number: Option<String>,
    /// Who served, as printed.
    pub cashier: Option<String>,
    /// The total; negative for refunds. `None` when unknown, as on image-only receipts.
    pub total: Option<Money>,
    /// Drawer commands within the document.
    pub kicks: u32,
    /// Images within the document; they are counted, not kept.
    pub images: u32,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Monotonic time of its first printed byte.
    pub began_ns: MonotonicNs,
    /// Monotonic time of its last byte.
    pub ended_ns: MonotonicNs,
    /// Why it was taken as finished.
    pub end: ReceiptEnd,
    /// Bytes were lost or could not be understood.
    pub damaged: bool,
}

impl Receipt {
    /// Whether there is paper but no text that could tell what it was.
    #[must_use]
    pub fn is_image_only(&self) -> bool {
        self.images > 0 && self.lines.iter().all(|line| line.trim().is_empty())
    }
}
