//! Alerts and verdicts as the API shows them.

use super::{Amount, ViewContext, fraction, time_text};
use serde::Serialize;
use tillwatch_protocol::alert::AlertState;
use tillwatch_protocol::{Alert, ClipId, Contribution, Review, Verdict};
use tillwatch_store::{AlertRow, Delivery};
use utoipa::ToSchema;

/// One summand of a score.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ContributionView {
    /// The rule or modifier.
    #[schema(example = "void_transaction")]
    pub rule: String,
    /// Why, for a person.
    pub text: String,
    /// What it adds, 0 to 1.
    pub points: f64,
}

/// Contributions as the API shows them.
#[must_use]
pub fn contributions(of: &[Contribution]) -> Vec<ContributionView> {
    of.iter()
        .map(|c| ContributionView {
            rule: c.rule.as_str().to_owned(),
            text: c.text.clone(),
            points: fraction(c.points),
        })
        .collect()
}

/// An event that an alert rests on.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EvidenceView {
    /// Its position in the log.
    pub seq: u64,
    /// When it happened.
    pub at: String,
    /// What it was, in words.
    pub what: String,
}

/// A verdict and who gave it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ReviewView {
    /// The alert.
    pub alert_id: String,
    /// `legitimate` or `confirmed`.
    pub verdict: &'static str,
    /// A note.
    pub note: String,
    /// Who judged, as far as the way in knows.
    pub reviewer: String,
}

impl ReviewView {
    /// From the record.
    #[must_use]
    pub fn new(review: &Review) -> Self {
        Self {
            alert_id: review.alert_id.to_string(),
            verdict: verdict_word(review.verdict),
            note: review.note.clone(),
            reviewer: review.reviewer.clone(),
        }
    }
}

/// `legitimate` or `confirmed`.
#[must_use]
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Legitimate => "legitimate",
        Verdict::Confirmed => "confirmed",
    }
}

/// An alert as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AlertView {
    /// Which alert.
    pub alert_id: String,
    /// From 1; a merged, raised or cleared alert is a new revision.
    pub revision: u32,
    /// Position of that revision in the log.
    pub seq: u64,
    /// When its cause happened, RFC 3339 in UTC.
    pub at: String,
    /// `open` or `cleared`.
    pub state: &'static str,
    /// What explained it, when it is cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared_because: Option<String>,
    /// The rule that raised it first.
    pub rule: String,
    /// The short word for what it is about: `void`, `no_sale`, `forced` …
    pub kind: String,
    /// The risk score, 0 to 1.
    pub score: f64,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// Why; they add up to the score, capped at 1.
    pub contributions: Vec<ContributionView>,
    /// The events it rests on.
    pub evidence: Vec<EvidenceView>,
    /// The clip that shows it, on a register with cameras.
    pub clip_id: String,
    /// The till's id of the event.
    pub event_id: Option<String>,
    /// The order.
    pub order_id: Option<String>,
    /// The ticket or receipt number.
    pub ticket_no: Option<String>,
    /// Who was at the till.
    pub staff_id: Option<String>,
    /// The how-many-th alert-worthy event of that person today this is.
    pub staff_alerts_today: Option<u32>,
    /// The amount, in whole units of the currency.
    pub amount: Option<Amount>,
    /// The amount before a discount or override.
    pub original_amount: Option<Amount>,
    /// When the till says it happened.
    pub timestamp: Option<String>,
    /// How far it has come: `accepted` (on disk here), `acknowledged` (head office's broker has
    /// it), `local` (no message was made for it), `abandoned` (its message will never be sent).
    pub delivery: &'static str,
    /// The newest verdict.
    pub review: Option<ReviewView>,
    /// The text block for a person.
    pub text: String,
}

/// An alert of the index as the API shows it.
#[must_use]
pub fn alert(row: &AlertRow, context: ViewContext) -> AlertView {
    let alert = &row.alert;
    let subject = &alert.subject;
    let (state, cleared_because) = state(alert);
    AlertView {
        alert_id: alert.alert_id.to_string(),
        revision: alert.revision,
        seq: row.seq.0,
        at: alert.stamp.to_rfc3339(),
        state,
        cleared_because,
        rule: alert.rule.as_str().to_owned(),
        kind: alert.kind.to_string(),
        score: fraction(alert.score),
        severity: alert.severity.to_string(),
        contributions: contributions(&alert.contributions),
        evidence: evidence(alert),
        clip_id: ClipId::of(alert.alert_id).to_string(),
        event_id: subject.event_id.clone(),
        order_id: subject.order_id.clone(),
        ticket_no: subject.ticket_no.clone(),
        staff_id: subject.staff_id.clone(),
        staff_alerts_today: subject.staff_alerts_today,
        amount: context.amount(subject.amount),
        original_amount: context.amount(subject.original_amount),
        timestamp: subject.pos_time_us.map(time_text),
        delivery: delivery_word(row.delivery),
        review: row.review.as_ref().map(ReviewView::new),
        text: alert.text_block(context.minor_digits),
    }
}

pub(super) fn evidence(alert: &Alert) -> Vec<EvidenceView> {
    alert
        .evidence
        .iter()
        .map(|e| EvidenceView {
            seq: e.seq.0,
            at: e.stamp.to_rfc3339(),
            what: e.what.clone(),
        })
        .collect()
}

pub(super) fn state(alert: &Alert) -> (&'static str, Option<String>) {
    match &alert.state {
        AlertState::Open => ("open", None),
        AlertState::Cleared { reason } => ("cleared", Some(reason.clone())),
    }
}

fn delivery_word(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::None => "local",
        Delivery::Accepted => "accepted",
        Delivery::Acknowledged => "acknowledged",
        Delivery::Abandoned => "abandoned",
    }
}

/// An alert in one sentence.
pub(super) fn sentence(alert: &Alert, context: ViewContext) -> String {
    let mut text = format!("{} {} ({})", alert.kind, alert.score, alert.severity);
    if let AlertState::Cleared { reason } = &alert.state {
        text = format!("{} cleared: {reason}", alert.kind);
    }
    if let Some(order) = &alert.subject.order_id {
        text.push_str(&format!(", order {order}"));
    }
    if let Some(staff) = &alert.subject.staff_id {
        text.push_str(&format!(", {staff}"));
    }
    if let Some(amount) = alert.subject.amount {
        text.push_str(&format!(", {}", amount.display(context.minor_digits)));
    }
    text
}
