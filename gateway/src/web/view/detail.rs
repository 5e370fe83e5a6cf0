//! What only one kind of item has.

use super::alert::{self, EvidenceView, ReviewView};
use super::{Amount, ViewContext, time_text};
use serde::Serialize;
use tillwatch_protocol::event::{DrawerCommand, KickPin};
use tillwatch_protocol::finding::NotJudged;
use tillwatch_protocol::{Alert, Finding, PosEvent, Receipt, Stamp};
use utoipa::ToSchema;

/// In the contract: one of [`Detail`], or nothing, as a kick has.
pub(super) struct AnyDetail;

impl utoipa::PartialSchema for AnyDetail {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::schema::AnyOfBuilder::new()
            .item(utoipa::openapi::Ref::from_schema_name("Detail"))
            .item(utoipa::openapi::Object::new())
            .into()
    }
}

impl ToSchema for AnyDetail {}

/// What only one kind of item has, below its own name.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// An event of the till.
    Pos(Box<PosView>),
    /// A printed document.
    Receipt(Box<ReceiptView>),
    /// The drawer's sense switch.
    Drawer {
        /// `open` or `closed`.
        state: &'static str,
        /// Its level when the gateway began to watch, not a change.
        initial: bool,
    },
    /// A drawer command on the printer's line.
    DrawerCommand {
        /// Connector pin, 2 or 5.
        pin: u8,
        /// Length of the pulse asked for, in milliseconds.
        on_ms: u16,
        /// It acts at once, not in print order.
        real_time: bool,
        /// False when it was found inside a payload, where it may be chance.
        confirmed: bool,
    },
    /// A witness appeared or fell silent.
    Witness {
        /// Which.
        witness: String,
        /// `absent`, `alive`, `lost` or `gap`.
        state: &'static str,
        /// What failed.
        reason: Option<String>,
    },
    /// A verdict.
    Review(ReviewView),
    /// The gateway started.
    Started {
        /// Version of the program.
        version: String,
        /// The store.
        store_code: String,
        /// The register.
        register_id: String,
        /// Everything is simulated.
        demo: bool,
    },
    /// The gateway stopped in order.
    Stopped {
        /// Why.
        reason: String,
    },
    /// Wall time moved.
    ClockCorrection {
        /// How far, in microseconds.
        offset_us: i64,
        /// How sure it is now, in microseconds.
        error_us: u64,
    },
    /// A camera's picture became something else.
    CameraPicture {
        /// The camera, by its place in the configuration.
        camera: u8,
        /// `clear`, `dark`, `covered` or `frozen`.
        state: &'static str,
    },
    /// Something for the technician.
    Notice {
        /// A short stable word.
        code: String,
    },
    /// An alert, or a new revision of one.
    Alert {
        /// From 1.
        revision: u32,
        /// `open` or `cleared`.
        state: &'static str,
        /// What explained it, when it is cleared.
        cleared_because: Option<String>,
        /// The rule that raised it first.
        rule: String,
        /// The short word for what it is about.
        kind: String,
        /// The amount, in whole units of the currency.
        amount: Option<Amount>,
        /// The events it rests on.
        evidence: Vec<EvidenceView>,
        /// The text block for a person.
        text: String,
    },
    /// A finding that is no alert.
    Finding {
        /// The rule.
        rule: String,
        /// The short word for what it is about.
        kind: String,
        /// Positions of the events it rests on; the first is its cause.
        evidence: Vec<u64>,
        /// Set when the rule takes back what it found, with the reason.
        cleared: Option<String>,
    },
    /// A rule that could not be applied.
    NotJudged {
        /// The rule.
        rule: String,
        /// A short word.
        reason: String,
        /// Position of the event that would have been judged.
        cause: u64,
    },
}

impl Detail {
    pub(super) fn of_command(command: &DrawerCommand) -> Self {
        Self::DrawerCommand {
            pin: match command.pin {
                KickPin::Two => 2,
                KickPin::Five => 5,
            },
            on_ms: command.on_ms,
            real_time: command.real_time,
            confirmed: command.confirmed,
        }
    }

    pub(super) fn of_alert(of: &Alert, context: ViewContext) -> Self {
        let (state, cleared_because) = alert::state(of);
        Self::Alert {
            revision: of.revision,
            state,
            cleared_because,
            rule: of.rule.as_str().to_owned(),
            kind: of.kind.to_string(),
            amount: context.amount(of.subject.amount),
            evidence: alert::evidence(of),
            text: of.text_block(context.minor_digits),
        }
    }

    pub(super) fn of_finding(of: &Finding) -> Self {
        Self::Finding {
            rule: of.rule.as_str().to_owned(),
            kind: of.kind.to_string(),
            evidence: of.evidence.iter().map(|e| e.seq.0).collect(),
            cleared: of.cleared.clone(),
        }
    }

    pub(super) fn of_not_judged(of: &NotJudged) -> Self {
        Self::NotJudged {
            rule: of.rule.as_str().to_owned(),
            reason: of.reason.to_string(),
            cause: of.cause.seq.0,
        }
    }
}

/// An event of the till.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PosView {
    /// `void_transaction`, `refund_issued` …
    pub event_type: String,
    /// When the till says it happened.
    pub timestamp: Option<String>,
    /// The store as the till names it.
    pub store_id: Option<String>,
    /// The register as the till names it.
    pub register_id: Option<String>,
    /// In whole units of the currency.
    pub amount: Option<Amount>,
    /// Before a discount or override.
    pub original_amount: Option<Amount>,
    /// In percent, as reported or from the amounts.
    pub discount_percent: Option<Amount>,
    /// Lines of the basket.
    pub items: Vec<PosItemView>,
    /// Everything else that came with it.
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// What was odd about it.
    #[schema(value_type = Vec<String>)]
    pub flags: Vec<tillwatch_protocol::pos::PosFlag>,
}

/// One line of a basket.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PosItemView {
    /// Stock keeping unit.
    pub sku: Option<String>,
    /// Name as shown on the till.
    pub name: Option<String>,
    /// How many, or how much.
    pub quantity: Option<Amount>,
    /// Price of one.
    pub unit_price: Option<Amount>,
    /// Price of the line.
    pub total_price: Option<Amount>,
    /// Discount on the line.
    pub discount: Option<Amount>,
}

impl PosView {
    pub(super) fn new(pos: &PosEvent, context: ViewContext) -> Self {
        let milli = |value: i64| Amount(tillwatch_protocol::Money(value), 3);
        Self {
            event_type: pos.event_type.name().to_owned(),
            timestamp: pos.timestamp.map(|at| time_text(at.utc_us)),
            store_id: pos.store_id.clone(),
            register_id: pos.register_id.clone(),
            amount: context.amount(pos.amount),
            original_amount: context.amount(pos.original_amount),
            discount_percent: pos.discount().map(|percent| milli(percent.0)),
            items: pos
                .items
                .iter()
                .map(|item| PosItemView {
                    sku: item.sku.clone(),
                    name: item.name.clone(),
                    quantity: item.quantity_milli.map(milli),
                    unit_price: context.amount(item.unit_price),
                    total_price: context.amount(item.total_price),
                    discount: context.amount(item.discount),
                })
                .collect(),
            metadata: pos.metadata.0.clone(),
            flags: pos.flags.clone(),
        }
    }
}

pub(super) fn pos_sentence(pos: &PosEvent, context: ViewContext) -> String {
    let mut text = pos.event_type.name().replace('_', " ");
    if let Some(amount) = pos.amount {
        text.push_str(&format!(" {}", amount.display(context.minor_digits)));
    }
    if let Some(order) = &pos.order_id {
        text.push_str(&format!(", order {order}"));
    }
    if let Some(staff) = &pos.staff_id {
        text.push_str(&format!(", {staff}"));
    }
    text
}

/// A printed document.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ReceiptView {
    /// `sale`, `transaction_void`, `return`, `no_sale` …
    #[schema(value_type = String)]
    pub kind: tillwatch_protocol::ReceiptKind,
    /// The total, in whole units of the currency; negative for refunds.
    pub total: Option<Amount>,
    /// When its first byte was printed; the item's own time is that of the last one.
    pub began_at: String,
    /// Lines as printed; card numbers are masked.
    pub lines: Vec<String>,
    /// What single lines say.
    pub marks: Vec<ReceiptMarkView>,
    /// Drawer commands within the document.
    pub kicks: u32,
    /// Images within the document.
    pub images: u32,
    /// Why it was taken as finished: `cut`, `idle`, `initialize`, `overflow`, `closed`.
    #[schema(value_type = String)]
    pub end: tillwatch_protocol::receipt::ReceiptEnd,
    /// Bytes were lost or could not be understood.
    pub damaged: bool,
}

/// What one line of a receipt says.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ReceiptMarkView {
    /// Index into the lines.
    pub line: u32,
    /// What it says.
    #[schema(value_type = String)]
    pub kind: tillwatch_protocol::ReceiptKind,
    /// The amount on it.
    pub amount: Option<Amount>,
}

impl ReceiptView {
    pub(super) fn new(receipt: &Receipt, stamp: &Stamp, context: ViewContext) -> Self {
        Self {
            kind: receipt.kind,
            began_at: stamp.at_monotonic(receipt.began_ns).to_rfc3339(),
            total: context.amount(receipt.total),
            lines: receipt.lines.clone(),
            marks: receipt
                .marks
                .iter()
                .map(|mark| ReceiptMarkView {
                    line: mark.line,
                    kind: mark.kind,
                    amount: context.amount(mark.amount),
                })
                .collect(),
            kicks: receipt.kicks,
            images: receipt.images,
            end: receipt.end,
            damaged: receipt.damaged,
        }
    }
}

pub(super) fn receipt_sentence(receipt: &Receipt, context: ViewContext) -> String {
    let kind = serde_json::to_value(receipt.kind).ok();
    let kind = kind
        .as_ref()
        .and_then(serde_json::Value::as_str)
        .unwrap_or("unknown")
        .replace('_', " ");
    let mut text = format!("receipt: {kind}");
    if let Some(number) = &receipt.number {
        text.push_str(&format!(" {number}"));
    }
    if let Some(total) = receipt.total {
        text.push_str(&format!(", total {}", total.display(context.minor_digits)));
    }
    text
}
