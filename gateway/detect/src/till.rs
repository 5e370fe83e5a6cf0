//! What a till event says of the transaction.

use crate::feed::Placed;
use crate::recent::Paper;
use serde::{Deserialize, Serialize};
use tillwatch_protocol::Money;
use tillwatch_protocol::Seq;
use tillwatch_protocol::pos::PosEventType;
use tillwatch_protocol::time::{MonotonicNs, Stamp};

/// What a till event says of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TillWord {
    /// A payment.
    Payment,
    /// A void.
    Void,
    /// A refund or return.
    Refund,
    /// The no-sale key.
    NoSale,
    /// Another transaction or cash movement.
    Other,
}

impl TillWord {
    /// What a till event says; `None` when it tells of no transaction. Types that this program
    /// does not know are taken by their name, generously: they only ever explain something.
    #[must_use]
    pub fn of(event_type: &PosEventType) -> Option<TillWord> {
        match event_type {
            PosEventType::PaymentCleared => Some(Self::Payment),
            PosEventType::VoidTransaction => Some(Self::Void),
            PosEventType::RefundIssued | PosEventType::SuspiciousReturn => Some(Self::Refund),
            PosEventType::NoSaleOpened => Some(Self::NoSale),
            PosEventType::HighValueTransaction => Some(Self::Other),
            PosEventType::Other(name) => Self::of_unknown(name),
            PosEventType::DiscountApplied
            | PosEventType::PriceOverride
            | PosEventType::CashDrawerOpened
            | PosEventType::QuantityChanged => None,
        }
    }

    fn of_unknown(name: &str) -> Option<TillWord> {
        let has = |word: &str| name.contains(word);
        if has("no_sale") || has("nosale") {
            None
        } else if has("void") || has("cancel") {
            Some(Self::Void)
        } else if has("refund") || has("return") {
            Some(Self::Refund)
        } else {
            // ARTS: paid in, paid out, loan, safe drop (pickup), exchange.
            [
                "pay",
                "paid",
                "sale",
                "loan",
                "drop",
                "pickup",
                "exchange",
                "transaction",
            ]
            .into_iter()
            .any(has)
            .then_some(Self::Other)
        }
    }

    /// Whether it explains why the drawer opened.
    #[must_use]
    pub fn explains_opening(self) -> bool {
        self != Self::NoSale
    }
}

/// A till event that tells of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TillEvent {
    /// Its place in the log.
    pub seq: Seq,
    /// Its arrival.
    pub stamp: Stamp,
    /// When it happened, as far as the feed's skew and lag are known.
    pub placed: Placed,
    /// What it says.
    pub word: TillWord,
    /// The amount.
    pub amount: Option<Money>,
    /// The order.
    pub order: Option<String>,
    /// The ticket.
    pub ticket: Option<String>,
}

impl TillEvent {
    /// From when it happened, as far as known, to its arrival.
    #[must_use]
    pub fn span(&self) -> (MonotonicNs, MonotonicNs) {
        let arrival = self.stamp.monotonic_ns;
        (
            self.placed.happened_ns().unwrap_or(arrival).min(arrival),
            arrival,
        )
    }

    /// Whether a receipt carries its number.
    #[must_use]
    pub fn names(&self, paper: &Paper) -> bool {
        paper.number.is_some() && (paper.number == self.ticket || paper.number == self.order)
    }

    /// Whether both belong to one order.
    #[must_use]
    pub fn same_order(&self, other: &TillEvent) -> bool {
        (self.order.is_some() && self.order == other.order)
            || (self.ticket.is_some() && self.ticket == other.ticket)
    }

    /// For evidence.
    #[must_use]
    pub fn what(&self, name: &str) -> String {
        match self.ticket.as_ref().or(self.order.as_ref()) {
            Some(number) => format!("till event {name} {number}"),
            None => format!("till event {name}"),
        }
    }
}
