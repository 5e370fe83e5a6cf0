//! An endless feed of till events: discount, void, refund, payment, and again.

use crate::pos::PosMessage;
use crate::random::XorShift64Star;
use crate::receipt::amount;
use crate::run::{Run, rfc3339};
use serde_json::{Number, Value, json};
use std::str::FromStr as _;
use std::time::Duration;

/// One event per this time.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Stock keeping unit, name, price in minor units.
const GOODS: [(&str, &str, i64); 10] = [
    ("SKU101", "Whole milk 1 l", 110),
    ("SKU102", "Wholemeal bread", 249),
    ("SKU103", "Ground coffee 500 g", 699),
    ("SKU104", "Free range eggs", 329),
    ("SKU105", "Olive oil 75 cl", 895),
    ("SKU106", "Red wine 75 cl", 1_250),
    ("SKU107", "Headphones", 7_999),
    ("SKU108", "Umbrella", 1_895),
    ("SKU109", "Batteries AA, 8", 599),
    ("SKU110", "Gift card", 5_000),
];
const STAFF: [&str; 4] = ["emp_12345", "emp_12352", "emp_12388", "emp_12401"];
const DISCOUNTS: [i64; 6] = [5, 10, 20, 25, 40, 50];
const REASONS: [&str; 4] = [
    "customer_changed_mind",
    "damaged",
    "wrong_item",
    "price_query",
];

/// The cycle of event types. [`next_event`](Self::next_event) never ends.
#[derive(Debug, Clone)]
pub struct PosCycle {
    run: Run,
    random: XorShift64Star,
    count: u64,
}

impl PosCycle {
    /// The run's seed decides everything but the time.
    #[must_use]
    pub fn new(run: Run) -> Self {
        let random = XorShift64Star::new(run.seed);
        Self {
            run,
            random,
            count: 0,
        }
    }

    /// The next event, as of a moment in microseconds since 1970, UTC.
    pub fn next_event(&mut self, utc_us: i64) -> PosMessage {
        let step = self.count % 4;
        let mut items = Vec::new();
        let mut total = 0;
        for _ in 0..=self.random.below(3) {
            let (sku, name, unit) = *self.random.pick(&GOODS).unwrap_or(&GOODS[0]);
            let quantity = 1 + i64::from(self.random.below(4) == 0);
            total += unit * quantity;
            items.push(json!({
                "sku": sku, "name": name, "quantity": quantity,
                "unit_price": decimal(unit), "total_price": decimal(unit * quantity),
            }));
        }
        let staff = *self.random.pick(&STAFF).unwrap_or(&STAFF[0]);
        // The seed sets the cycle's tickets apart from those of other runs.
        let ticket = 2_000_000 + self.run.seed % 9_000 * 1_000 + self.count;
        let mut event = json!({
            "event_id": self.run.event_id(u64::MAX - self.count),
            "timestamp": rfc3339(utc_us),
            "store_id": self.run.store,
            "register_id": self.run.register,
            "staff_id": staff,
            "order_id": format!("ORD{ticket}"),
            "ticket_no": format!("T{ticket}"),
            "amount": decimal(total),
            "items": items,
            "metadata": {},
        });
        match step {
            0 => {
                let percent = *self.random.pick(&DISCOUNTS).unwrap_or(&10);
                event["event_type"] = "discount_applied".into();
                event["original_amount"] = decimal(total);
                event["amount"] = decimal(total - total * percent / 100);
                event["discount_percent"] = decimal(percent * 100);
            }
            1 | 2 => {
                let (kind, why) = if step == 1 {
                    ("void_transaction", "void_reason")
                } else {
                    ("refund_issued", "refund_reason")
                };
                event["event_type"] = kind.into();
                let reason = *self.random.pick(&REASONS).unwrap_or(&REASONS[0]);
                event["metadata"][why] = reason.into();
            }
            _ => {
                event["event_type"] = "payment_cleared".into();
                let cash = self.random.below(2) == 0;
                event["metadata"]["payment_method"] = if cash { "cash" } else { "card" }.into();
            }
        }
        self.count += 1;
        PosMessage::new(&event)
    }
}

/// A JSON number with exactly the digits of the price.
fn decimal(minor: i64) -> Value {
    Number::from_str(&amount(minor)).map_or(Value::Null, Value::Number)
}
