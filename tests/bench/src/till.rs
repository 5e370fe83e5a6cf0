//! Events of a busy till: mostly payments, as it is in a shop.

use serde_json::{Value, json};

/// Of 1,000 events, this many are voids (alerts), and as many again discounts and price queries
/// that are none.
const VOIDS: u64 = 5;
const DISCOUNTS: u64 = 25;

/// One event; every `number` gives another, the same one each time. `utc_us` is when it happened.
pub fn event(number: u64, utc_us: i64) -> String {
    let mut items = Vec::new();
    let mut total = 0;
    for line in 0..=number % 4 {
        let unit = 99 + i64::try_from((number * 37 + line * 113) % 1_900).unwrap_or(0);
        total += unit;
        items.push(json!({
            "sku": format!("SKU{}", 100 + (number + line) % 400),
            "name": "Ground coffee 500 g",
            "quantity": 1,
            "unit_price": decimal(unit),
            "total_price": decimal(unit),
        }));
    }
    let (kind, metadata) = match number % 1_000 {
        n if n < VOIDS => (
            "void_transaction",
            json!({"void_reason": "customer_changed_mind"}),
        ),
        n if n < VOIDS + DISCOUNTS => ("discount_applied", json!({"campaign": "autumn"})),
        n => (
            "payment_cleared",
            json!({"payment_method": if n % 2 == 0 { "cash" } else { "card" }}),
        ),
    };
    let mut event = json!({
        "event_id": uuid::Uuid::from_u64_pair(0x7469_6c6c_0000_7000, number | 1 << 63).to_string(),
        "event_type": kind,
        "timestamp": tillwatch_protocol::time::rfc3339(utc_us),
        "store_id": "S03",
        "register_id": "reg_02",
        "staff_id": format!("emp_{}", 12_300 + number % 12),
        "order_id": format!("ORD{number}"),
        "ticket_no": format!("T{number}"),
        "amount": decimal(total),
        "items": items,
        "metadata": metadata,
    });
    if kind == "discount_applied" {
        event["original_amount"] = decimal(total + total / 10);
        event["discount_percent"] = json!(10);
    }
    event.to_string()
}

#[expect(clippy::cast_precision_loss, reason = "prices of a few euros")]
fn decimal(minor: i64) -> Value {
    json!(minor as f64 / 100.0)
}
