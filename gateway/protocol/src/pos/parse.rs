//! Reading a POS event from JSON.

use super::{Metadata, Percent, PosEvent, PosEventType, PosFlag, PosItem};
use crate::money::Money;
use crate::time::{ForeignTime, read_timestamp};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;

/// Largest POS event in bytes; a larger one is refused before it is parsed.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;
/// Most lines of a basket that are kept.
pub const MAX_ITEMS: usize = 512;
/// Longest `event_id`, in bytes.
pub const MAX_EVENT_ID: usize = 128;
/// Longest name of an event type and of any other text field, in bytes.
const MAX_TEXT: usize = 256;
/// Most unknown fields that are kept in `metadata`.
const MAX_METADATA_FIELDS: usize = 64;
/// Deepest nesting of arrays and objects in one of them. On disk and on the wire they lie some
/// levels deeper, and a JSON reader gives up at 128.
const MAX_METADATA_DEPTH: usize = 64;

/// What reading needs to know about this register.
#[derive(Debug, Clone)]
pub struct ParseContext {
    /// Zone of timestamps that name none.
    pub zone: TimeZone,
    /// Decimals of the currency's minor unit.
    pub minor_digits: u8,
}

/// Why a body is no POS event at all. It goes to the quarantine with this as its reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Larger than [`MAX_EVENT_BYTES`].
    #[error("the event has {size} bytes, more than {MAX_EVENT_BYTES}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not JSON, or not an object.
    #[error("not a JSON object: {why}")]
    NotAnObject {
        /// What the JSON reader says, with line and column.
        why: String,
    },
    /// A mandatory field is missing, null or empty.
    #[error("the mandatory field `{field}` is missing or empty")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A mandatory field has the wrong type.
    #[error("the mandatory field `{field}` is neither text nor number")]
    WrongType {
        /// Its name.
        field: &'static str,
    },
    /// A mandatory field is too long.
    #[error("the mandatory field `{field}` is longer than {limit} bytes")]
    TooLong {
        /// Its name.
        field: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Refusal {
    /// A short word for the metric's `reason` label.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotAnObject { .. } => "not_json_object",
            Self::Missing { .. } => "field_missing",
            Self::WrongType { .. } => "field_type",
            Self::TooLong { .. } => "field_too_long",
        }
    }
}

/// The top level of the object: each value still as the till wrote it, so that amounts keep
/// their digits.
struct RawFields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = RawFields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(16);
                while let Some(BorrowedKey(key)) = map.next_key()? {
                    fields.push((key, map.next_value()?));
                }
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

struct BorrowedKey<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for BorrowedKey<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl<'de> Visitor<'de> for Key {
            type Value = BorrowedKey<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(BorrowedKey(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(BorrowedKey(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Key)
    }
}

/// Reads one POS event.
///
/// # Errors
/// [`Refusal`] when it cannot be understood at all: no JSON object, or without a usable
/// `event_id` or `event_type`. Anything else that is odd is a [`PosFlag`].
pub fn parse_pos_event(body: &[u8], context: &ParseContext) -> Result<PosEvent, Refusal> {
    if body.len() > MAX_EVENT_BYTES {
        return Err(Refusal::TooLarge { size: body.len() });
    }
    let not_json = |why: serde_json::Error| Refusal::NotAnObject {
        why: why.to_string(),
    };
    let RawFields(fields) = serde_json::from_slice(body).map_err(not_json)?;

    let mut event = PosEvent {
        event_id: String::new(),
        event_type: PosEventType::Other(String::new()),
        timestamp: None,
        store_id: None,
        register_id: None,
        staff_id: None,
        order_id: None,
        ticket_no: None,
        amount: None,
        original_amount: None,
        discount_percent: None,
        items: Vec::new(),
        metadata: Metadata::default(),
        flags: Vec::new(),
        body_hash: Sha256::digest(body)[..16].to_vec(),
    };
    let mut event_id = None;
    let mut event_type = None;
    let mut odd = Reader {
        context,
        event: &mut event,
        timestamp_seen: false,
    };
    for (name, raw) in &fields {
        match name.as_ref() {
            "event_id" => event_id = Some(mandatory("event_id", raw, MAX_EVENT_ID)?),
            "event_type" => event_type = Some(mandatory("event_type", raw, MAX_TEXT)?),
            _ => odd.field(name, raw),
        }
    }
    let timestamp_seen = odd.timestamp_seen;
    if !timestamp_seen {
        flag(&mut event, PosFlag::TimestampMissing);
    }
    event.event_id = event_id.ok_or(Refusal::Missing { field: "event_id" })?;
    let name = event_type.ok_or(Refusal::Missing {
        field: "event_type",
    })?;
    event.event_type = PosEventType::from_name(&name);
    if matches!(event.event_type, PosEventType::Other(_)) {
        flag(&mut event, PosFlag::TypeUnknown);
    }
    Ok(event)
}

fn flag(event: &mut PosEvent, flag: PosFlag) {
    if !event.flags.contains(&flag) {
        event.flags.push(flag);
    }
}

fn mandatory(field: &'static str, raw: &RawValue, limit: usize) -> Result<String, Refusal> {
    match Text::read(raw) {
        Text::Absent => Err(Refusal::Missing { field }),
        Text::Odd => Err(Refusal::WrongType { field }),
        Text::Is(text) if text.trim().is_empty() => Err(Refusal::Missing { field }),
        Text::Is(text) if text.len() > limit => Err(Refusal::TooLong { field, limit }),
        Text::Is(text) => Ok(text),
    }
}

/// A field that should be text; numbers are taken as they are written.
enum Text {
    Absent,
    Odd,
    Is(String),
}

impl Text {
    fn read(raw: &RawValue) -> Text {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str(text).map_or(Text::Odd, Text::Is),
            Some(b'-' | b'0'..=b'9') => Text::Is(text.to_owned()),
            Some(b'n') => Text::Absent,
            _ => Text::Odd,
        }
    }
}

fn decimal(raw: &RawValue, digits: u8) -> Result<Option<(i64, bool)>, ()> {
    match Text::read(raw) {
        Text::Absent => Ok(None),
        Text::Odd => Err(()),
        Text::Is(text) => Money::read_decimal(&text, digits)
            .map(|read| Some((read.money.0, read.exact)))
            .ok_or(()),
    }
}

struct Reader<'a> {
    context: &'a ParseContext,
    event: &'a mut PosEvent,
    timestamp_seen: bool,
}

impl Reader<'_> {
    fn field(&mut self, name: &str, raw: &RawValue) {
        let known = match name {
            "timestamp" => self.timestamp(raw),
            "store_id" => text_into(raw, &mut self.event.store_id),
            "register_id" => text_into(raw, &mut self.event.register_id),
            "staff_id" => text_into(raw, &mut self.event.staff_id),
            "order_id" => text_into(raw, &mut self.event.order_id),
            "ticket_no" => text_into(raw, &mut self.event.ticket_no),
            "amount" => self.money(raw).map(|money| self.event.amount = money),
            "original_amount" => self
                .money(raw)
                .map(|money| self.event.original_amount = money),
            "discount_percent" => decimal(raw, 3)
                .map(|read| self.event.discount_percent = read.map(|(value, _)| Percent(value))),
            "items" => self.items(raw),
            "metadata" => self.metadata(raw),
            _ => {
                self.keep(name, raw);
                Ok(())
            }
        };
        if known.is_err() {
            flag(self.event, PosFlag::FieldOdd);
            self.keep(name, raw);
        }
    }

    fn timestamp(&mut self, raw: &RawValue) -> Result<(), ()> {
        let text = match Text::read(raw) {
            Text::Absent => return Ok(()),
            Text::Odd => String::new(),
            Text::Is(text) => text,
        };
        self.timestamp_seen = true;
        match read_timestamp(&text, &self.context.zone) {
            Some(at) => {
                if !at.zoned {
                    flag(self.event, PosFlag::TimestampZoneAssumed);
                }
                self.event.timestamp = Some(ForeignTime { ..at });
            }
            None => {
                flag(self.event, PosFlag::TimestampOdd);
                self.keep("timestamp", raw);
            }
        }
        Ok(())
    }

    fn money(&mut self, raw: &RawValue) -> Result<Option<Money>, ()> {
        let read = decimal(raw, self.context.minor_digits)?;
        Ok(read.map(|(minor, exact)| {
            if !exact {
                flag(self.event, PosFlag::AmountRounded);
            }
            Money(minor)
        }))
    }

    fn items(&mut self, raw: &RawValue) -> Result<(), ()> {
        if raw.get() == "null" {
            return Ok(());
        }
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| ())?;
        if items.len() > MAX_ITEMS {
            flag(self.event, PosFlag::ItemsCut);
        }
        for raw_item in items.iter().take(MAX_ITEMS) {
            match self.item(raw_item) {
                Ok(item) => self.event.items.push(item),
                Err(()) => flag(self.event, PosFlag::FieldOdd),
            }
        }
        Ok(())
    }

    fn item(&mut self, raw: &RawValue) -> Result<PosItem, ()> {
        let RawFields(fields) = serde_json::from_str(raw.get()).map_err(|_| ())?;
        let mut item = PosItem {
            sku: None,
            name: None,
            quantity_milli: None,
            unit_price: None,
            total_price: None,
            discount: None,
        };
        for (name, raw) in &fields {
            match name.as_ref() {
                "sku" => text_into(raw, &mut item.sku)?,
                "name" => text_into(raw, &mut item.name)?,
                "quantity" => item.quantity_milli = decimal(raw, 3)?.map(|(value, _)| value),
                "unit_price" => item.unit_price = self.money(raw)?,
                "total_price" => item.total_price = self.money(raw)?,
                "discount" => item.discount = self.money(raw)?,
                _ => {}
            }
        }
        Ok(item)
    }

    fn metadata(&mut self, raw: &RawValue) -> Result<(), ()> {
        if raw.get() == "null" {
            return Ok(());
        }
        let RawFields(fields) = serde_json::from_str(raw.get()).map_err(|_| ())?;
        for (name, raw) in &fields {
            self.keep(name, raw);
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, raw: &RawValue) {
        let metadata = &mut self.event.metadata.0;
        let value = serde_json::from_str(raw.get());
        match value {
            Ok(value)
                if metadata.len() < MAX_METADATA_FIELDS && depth(&value) <= MAX_METADATA_DEPTH =>
            {
                metadata.insert(name.to_owned(), value);
            }
            _ => flag(self.event, PosFlag::MetadataCut),
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn text_into(raw: &RawValue, into: &mut Option<String>) -> Result<(), ()> {
    match Text::read(raw) {
        Text::Absent => Ok(()),
        Text::Is(text) if text.trim().is_empty() => Ok(()),
        Text::Is(text) if text.len() <= MAX_TEXT => {
            *into = Some(text);
            Ok(())
        }
        Text::Is(_) | Text::Odd => Err(()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
