//! Events of the till and how leniently they are read.
//!
//! The shapes are fixed by systems nobody here controls. Reading follows one rule: *a suspicious
//! event is never lost to formalism*. What cannot be understood at all is a [`Refusal`]; an odd
//! field is kept in `metadata`, flagged, and the event is used as it is.

mod parse;

pub use parse::{MAX_EVENT_BYTES, MAX_ITEMS, ParseContext, Refusal, parse_pos_event};

use crate::money::Money;
use crate::time::ForeignTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What kind of thing the till reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PosEventType {
    /// A whole transaction was voided.
    VoidTransaction,
    /// Money was paid back.
    RefundIssued,
    /// A return that the till itself finds suspicious.
    SuspiciousReturn,
    /// The drawer was opened by the no-sale key.
    NoSaleOpened,
    /// A discount was given.
    DiscountApplied,
    /// A price was keyed over.
    PriceOverride,
    /// The till opened the drawer.
    CashDrawerOpened,
    /// A transaction of high value.
    HighValueTransaction,
    /// A payment went through: the normal end of a sale.
    PaymentCleared,
    /// A quantity was changed.
    QuantityChanged,
    /// Anything else, by its name; stored, scored low and counted.
    Other(String),
}

const NAMES: [(PosEventType, &str, &str); 10] = [
    (PosEventType::VoidTransaction, "void_transaction", "void"),
    (PosEventType::RefundIssued, "refund_issued", "refund"),
    (
        PosEventType::SuspiciousReturn,
        "suspicious_return",
        "return",
    ),
    (PosEventType::NoSaleOpened, "no_sale_opened", "no_sale"),
    (
        PosEventType::DiscountApplied,
        "discount_applied",
        "discount",
    ),
    (PosEventType::PriceOverride, "price_override", "override"),
    (
        PosEventType::CashDrawerOpened,
        "cash_drawer_opened",
        "drawer",
    ),
    (
        PosEventType::HighValueTransaction,
        "high_value_transaction",
        "high_value",
    ),
    (PosEventType::PaymentCleared, "payment_cleared", "payment"),
    (
        PosEventType::QuantityChanged,
        "quantity_changed",
        "quantity",
    ),
];

impl PosEventType {
    /// From its snake_case name; an unknown name becomes [`PosEventType::Other`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        NAMES
            .iter()
            .find(|(_, known, _)| *known == name)
            .map_or_else(|| Self::Other(name.to_owned()), |(kind, _, _)| kind.clone())
    }

    /// Its snake_case name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => NAMES
                .iter()
                .find(|(kind, _, _)| kind == known)
                .map_or("", |(_, name, _)| name),
        }
    }

    /// The short word used in file names and plots, `other` for unknown types.
    #[must_use]
    pub fn short_word(&self) -> &'static str {
        NAMES
            .iter()
            .find(|(kind, _, _)| kind == self)
            .map_or("other", |(_, _, short)| short)
    }
}

impl fmt::Display for PosEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for PosEventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for PosEventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Self::from_name(&name))
    }
}

/// A percentage in thousandths of a percent: `Percent(35_000)` is 35 %.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Percent(pub i64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Money(self.0).display(3).to_string();
        let text = text.trim_end_matches('0').trim_end_matches('.');
        write!(f, "{text} %")
    }
}

/// One line of the basket as the till reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PosItem {
    /// Stock keeping unit.
    pub sku: Option<String>,
    /// Name as shown on the till.
    pub name: Option<String>,
    /// Quantity in thousandths (weighed goods have fractions).
    pub quantity_milli: Option<i64>,
    /// Price of one.
    pub unit_price: Option<Money>,
    /// Price of the line.
    pub total_price: Option<Money>,
    /// Discount on the line.
    pub discount: Option<Money>,
}

/// Something odd about an event that is used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PosFlag {
    /// No timestamp: its arrival counts.
    TimestampMissing,
    /// The timestamp could not be read (kept in `metadata.timestamp`): its arrival counts.
    TimestampOdd,
    /// The timestamp had no zone: the store's zone was assumed.
    TimestampZoneAssumed,
    /// An amount had more decimals than the currency and was rounded.
    AmountRounded,
    /// A field had an unusable type or value and was kept in `metadata` under its name.
    FieldOdd,
    /// The event type is not one of the known ones.
    TypeUnknown,
    /// More items than [`MAX_ITEMS`]: the rest was left out.
    ItemsCut,
    /// The topic names another store than the body.
    StoreDiffersFromTopic,
    /// The same event id was seen before with another body.
    IdReused,
    /// Unknown fields were too many or too large and were left out of `metadata`.
    MetadataCut,
}

/// Fields that the till sent beyond the known ones, as JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata(pub serde_json::Map<String, serde_json::Value>);

// postcard is not self-describing, so on disk the JSON travels as text.
impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else if self.0.is_empty() {
            serializer.serialize_str("")
        } else {
            let text = serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?;
            serializer.serialize_str(&text)
        }
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return serde_json::Map::deserialize(deserializer).map(Metadata);
        }
        let text = <&str>::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Metadata::default());
        }
        serde_json::from_str(text)
            .map(Metadata)
            .map_err(serde::de::Error::custom)
    }
}

/// An event of the till.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PosEvent {
    /// The till's own id, 1 to 128 bytes; often a UUID, sometimes `123`.
    pub event_id: String,
    /// What kind of event.
    pub event_type: PosEventType,
    /// When the till says it happened; `None` when it did not say, or not readably.
    pub timestamp: Option<ForeignTime>,
    /// The store as the till names it, from the body or else from the topic.
    pub store_id: Option<String>,
    /// The register as the till names it.
    pub register_id: Option<String>,
    /// Who was at the till.
    pub staff_id: Option<String>,
    /// The order.
    pub order_id: Option<String>,
    /// The ticket.
    pub ticket_no: Option<String>,
    /// The amount of the event.
    pub amount: Option<Money>,
    /// The amount before a discount or override.
    pub original_amount: Option<Money>,
    /// The discount, as reported.
    pub discount_percent: Option<Percent>,
    /// Lines of the basket, at most [`MAX_ITEMS`].
    pub items: Vec<PosItem>,
    /// Everything else that came with it.
    pub metadata: Metadata,
    /// What was odd about it.
    pub flags: Vec<PosFlag>,
    /// First 16 bytes of the SHA-256 of the body as it came, for recognising redelivery.
    #[serde(with = "hash_hex")]
    pub body_hash: Vec<u8>,
}

impl PosEvent {
    /// The discount in percent: as reported, else from the amounts. `None` without either.
    #[must_use]
    pub fn discount(&self) -> Option<Percent> {
        if self.discount_percent.is_some() {
            return self.discount_percent;
        }
        let (amount, original) = (
            i128::from(self.amount?.0),
            i128::from(self.original_amount?.0),
        );
        if original <= 0 {
            return None;
        }
        i64::try_from((original - amount) * 100_000 / original)
            .ok()
            .map(Percent)
    }

    /// Whether the till itself calls this person a repeat offender
    /// (`metadata.repeat_offender` present, and neither `false` nor `null`).
    #[must_use]
    pub fn repeat_offender_reported(&self) -> bool {
        use serde_json::Value;
        !matches!(
            self.metadata.0.get("repeat_offender"),
            None | Some(Value::Null | Value::Bool(false))
        )
    }
}

mod hash_hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            serializer.serialize_str(&hex)
        } else {
            bytes.serialize(serializer)
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        if !deserializer.is_human_readable() {
            return Vec::deserialize(deserializer);
        }
        let hex = String::deserialize(deserializer)?;
        let pairs = hex.as_bytes().chunks(2);
        pairs
            .map(|pair| {
                let text = std::str::from_utf8(pair).map_err(serde::de::Error::custom)?;
                u8::from_str_radix(text, 16).map_err(serde::de::Error::custom)
            })
            .collect()
    }
}
