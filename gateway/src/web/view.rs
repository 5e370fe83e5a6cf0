//! Records as the API shows them: pure functions from what the log holds to JSON shapes that are
//! ours to keep, whatever the disk form becomes.
//!
//! Money is a number in whole units of the currency (`12.5` is 12.50), as tills send it; the words
//! for delivery are *accepted* (in our log, on disk) and *acknowledged* (head office's broker said
//! so). Times are RFC 3339 in UTC.

mod alert;
mod clip;
mod detail;

pub use alert::{AlertView, ContributionView, EvidenceView, ReviewView, alert, contributions};
pub use clip::{CameraView, ClipView, CorrelationView, GapView, TrackView, clip, gone, version};
pub use detail::{Detail, PosItemView, PosView, ReceiptMarkView, ReceiptView};

use crate::live::is_shown;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use tillwatch_protocol::event::DrawerState;
use tillwatch_protocol::time::rfc3339;
use tillwatch_protocol::{
    Alert, Clock, Event, EventBody, Finding, Money, Record, Seq, Stamp, Witness, WitnessState,
};
use utoipa::ToSchema;

/// Money in whole units of the currency; on the wire a JSON number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amount(Money, u8);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.display(self.1).to_string();
        // The nearest double of the exact decimal text: shortest output shows the text again.
        serializer.serialize_f64(text.parse().map_err(serde::ser::Error::custom)?)
    }
}

impl utoipa::PartialSchema for Amount {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        f64::schema()
    }
}

impl ToSchema for Amount {}

/// What the views need to know of the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewContext {
    /// Decimals of the currency's minor unit.
    pub minor_digits: u8,
}

impl ViewContext {
    pub(super) fn amount(self, money: Option<Money>) -> Option<Amount> {
        money.map(|money| self.of_minor(money))
    }

    pub(super) fn of_minor(self, money: Money) -> Amount {
        Amount(money, self.minor_digits)
    }
}

/// One thing that happened, or that was concluded.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Item {
    /// Position in the log: ascending, never used twice. The id on the live feed.
    pub seq: u64,
    /// When, RFC 3339 in UTC.
    #[schema(example = "2025-10-04T14:34:15.000000Z")]
    pub at: String,
    /// Whether that time can be believed: `synced` or `unsynced`.
    #[schema(example = "synced")]
    pub clock: &'static str,
    /// What it is: `pos`, `drawer`, `kick`, `drawer_command`, `paper_started`, `receipt`, `witness`,
    /// `review`, `clock_correction`, `started`, `stopped`, `notice`, `camera_picture`, `alert`,
    /// `finding`, `not_judged`.
    #[schema(example = "pos")]
    pub kind: &'static str,
    /// The same in one sentence.
    pub text: String,
    /// The till's id of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// The ticket or receipt number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket_no: Option<String>,
    /// Who was at the till.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff_id: Option<String>,
    /// The alert that this is, or that rests on this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_id: Option<String>,
    /// The risk score, 0 to 1, when there is an alert or a finding for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// From the score: `low`, `medium`, `high`, `critical`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Why; they add up to the score, capped at 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contributions: Option<Vec<ContributionView>>,
    /// What only this kind has, below its own name.
    #[serde(flatten)]
    #[schema(value_type = detail::AnyDetail)]
    pub detail: Option<Detail>,
}

/// Scores by the events they rest on.
#[derive(Debug, Clone, Default)]
pub struct Judgements(BTreeMap<Seq, Judgement>);

#[derive(Debug, Clone)]
struct Judgement {
    alert_id: Option<String>,
    score: tillwatch_protocol::Score,
    contributions: Vec<ContributionView>,
}

impl Judgements {
    /// Notes an alert for all events that it rests on. Of several the highest score is shown.
    pub fn add_alert(&mut self, alert: &Alert) {
        let judgement = Judgement {
            alert_id: Some(alert.alert_id.to_string()),
            score: alert.score,
            contributions: contributions(&alert.contributions),
        };
        for evidence in &alert.evidence {
            self.put(evidence.seq, &judgement);
        }
    }

    /// Notes a finding below the alert line for its cause.
    pub fn add_finding(&mut self, finding: &Finding) {
        let Some(cause) = finding.evidence.first() else {
            return;
        };
        let contributions = contributions(&finding.contributions);
        self.put(
            cause.seq,
            &Judgement {
                alert_id: None,
                score: finding.score,
                contributions,
            },
        );
    }

    fn put(&mut self, seq: Seq, new: &Judgement) {
        let rank = |judgement: &Judgement| (judgement.alert_id.is_some(), judgement.score);
        if self.0.get(&seq).is_none_or(|known| rank(known) < rank(new)) {
            self.0.insert(seq, new.clone());
        }
    }
}

/// A record as the API shows it; `None` for what nobody is shown (ticks, settings, outbox).
#[must_use]
pub fn item(
    seq: Seq,
    record: &Record,
    judgements: &Judgements,
    context: ViewContext,
) -> Option<Item> {
    if !is_shown(record) {
        return None;
    }
    let mut item = match record {
        Record::Event(event) => event_item(event, context),
        Record::Alert(alert) => {
            let mut item = bare("alert", &alert.stamp, alert::sentence(alert, context));
            item.score = Some(fraction(alert.score));
            item.severity = Some(alert.severity.to_string());
            item.contributions = Some(contributions(&alert.contributions));
            item.alert_id = Some(alert.alert_id.to_string());
            put_subject(&mut item, &alert.subject);
            item.detail = Some(Detail::of_alert(alert, context));
            item
        }
        Record::Finding(finding) => {
            let stamp = finding.evidence.first().map(|cause| cause.stamp);
            let text = match &finding.cleared {
                Some(reason) => format!("{}: taken back, {reason}", finding.rule),
                None => format!("{}: {} ({})", finding.rule, finding.kind, finding.score),
            };
            let mut item = bare("finding", &stamp.unwrap_or(UNKNOWN), text);
            item.score = Some(fraction(finding.score));
            item.severity = Some(finding.score.severity().to_string());
            item.contributions = Some(contributions(&finding.contributions));
            put_subject(&mut item, &finding.subject);
            item.detail = Some(Detail::of_finding(finding));
            item
        }
        Record::NotJudged(not_judged) => {
            let text = format!("{} was not judged: {}", not_judged.rule, not_judged.text);
            let mut item = bare("not_judged", &not_judged.cause.stamp, text);
            item.detail = Some(Detail::of_not_judged(not_judged));
            item
        }
        Record::Notice(notice) => notice_item(notice, &notice.stamp),
        Record::Outbox(_)
        | Record::OutboxMark(_)
        | Record::Quarantined(_)
        | Record::ClipRequest(_)
        | Record::ClipReport(_)
        | Record::Look(_) => return None,
    };
    item.seq = seq.0;
    if let Some(judgement) = judgements.0.get(&seq).filter(|_| item.score.is_none()) {
        item.score = Some(fraction(judgement.score));
        item.severity = Some(judgement.score.severity().to_string());
        item.contributions = Some(judgement.contributions.clone());
        item.alert_id = judgement.alert_id.clone();
    }
    Some(item)
}

/// When nobody knows: a finding without evidence, which the detectors never make.
const UNKNOWN: Stamp = Stamp {
    boot: 0,
    monotonic_ns: 0,
    utc_us: 0,
    clock: Clock::Unsynced,
};

/// A score as JSON shows it.
pub(super) fn fraction(score: tillwatch_protocol::Score) -> f64 {
    f64::from(score.milli()) / 1000.0
}

/// `synced` or `unsynced`.
#[must_use]
pub fn clock_word(clock: Clock) -> &'static str {
    match clock {
        Clock::Synced => "synced",
        Clock::Unsynced => "unsynced",
    }
}

fn bare(kind: &'static str, stamp: &Stamp, text: String) -> Item {
    Item {
        seq: 0,
        at: stamp.to_rfc3339(),
        clock: clock_word(stamp.clock),
        kind,
        text,
        event_id: None,
        order_id: None,
        ticket_no: None,
        staff_id: None,
        alert_id: None,
        score: None,
        severity: None,
        contributions: None,
        detail: None,
    }
}

fn put_subject(item: &mut Item, subject: &tillwatch_protocol::finding::Subject) {
    item.event_id.clone_from(&subject.event_id);
    item.order_id.clone_from(&subject.order_id);
    item.ticket_no.clone_from(&subject.ticket_no);
    item.staff_id.clone_from(&subject.staff_id);
}

fn notice_item(notice: &tillwatch_protocol::Notice, stamp: &Stamp) -> Item {
    let mut item = bare("notice", stamp, notice.text.clone());
    item.detail = Some(Detail::Notice {
        code: notice.code.to_string(),
    });
    item
}

fn event_item(event: &Event, context: ViewContext) -> Item {
    let kind = event.body.word();
    let mut item = bare(kind, &event.stamp, String::new());
    match &event.body {
        EventBody::Pos(pos) => {
            item.event_id = Some(pos.event_id.clone());
            item.order_id.clone_from(&pos.order_id);
            item.ticket_no.clone_from(&pos.ticket_no);
            item.staff_id.clone_from(&pos.staff_id);
            item.text = detail::pos_sentence(pos, context);
            item.detail = Some(Detail::Pos(Box::new(PosView::new(pos, context))));
        }
        EventBody::Receipt(receipt) => {
            item.ticket_no.clone_from(&receipt.number);
            item.staff_id.clone_from(&receipt.cashier);
            item.text = detail::receipt_sentence(receipt, context);
            item.detail = Some(Detail::Receipt(Box::new(ReceiptView::new(
                receipt,
                &event.stamp,
                context,
            ))));
        }
        EventBody::Drawer { state, initial } => {
            let open = *state == DrawerState::Open;
            let word = if open { "open" } else { "closed" };
            item.text = match (initial, open) {
                (true, _) => format!("drawer is {word}"),
                (false, true) => "drawer opened".into(),
                (false, false) => "drawer closed".into(),
            };
            item.detail = Some(Detail::Drawer {
                state: word,
                initial: *initial,
            });
        }
        EventBody::Kick => item.text = "drawer was kicked open".into(),
        EventBody::DrawerCommand(command) => {
            item.text = "drawer command on the printer's line".into();
            item.detail = Some(Detail::of_command(command));
        }
        EventBody::PaperStarted => item.text = "paper began to print".into(),
        EventBody::Witness { witness, state } => {
            let (word, reason) = match state {
                WitnessState::Absent => ("absent", None),
                WitnessState::Alive => ("alive", None),
                WitnessState::Lost { reason } => ("lost", Some(reason.clone())),
                WitnessState::Gap { reason } => ("gap", Some(reason.clone())),
            };
            item.text = match &reason {
                Some(reason) => format!("{witness}: {word}, {reason}"),
                None => format!("{witness}: {word}"),
            };
            item.detail = Some(Detail::Witness {
                witness: witness.to_string(),
                state: word,
                reason,
            });
        }
        EventBody::Review(review) => {
            item.alert_id = Some(review.alert_id.to_string());
            item.text = format!(
                "{} judged an alert {}",
                review.reviewer,
                alert::verdict_word(review.verdict)
            );
            item.detail = Some(Detail::Review(ReviewView::new(review)));
        }
        EventBody::Started {
            version,
            store,
            register,
            demo,
        } => {
            item.text = format!("version {version} started");
            item.detail = Some(Detail::Started {
                version: version.clone(),
                store_code: store.to_string(),
                register_id: register.to_string(),
                demo: *demo,
            });
        }
        EventBody::Stopped { reason } => {
            item.text = format!("stopped: {reason}");
            item.detail = Some(Detail::Stopped {
                reason: reason.clone(),
            });
        }
        EventBody::ClockCorrection {
            offset_us,
            error_us,
        } => {
            item.text = format!("the clock moved by {} ms", offset_us / 1_000);
            item.detail = Some(Detail::ClockCorrection {
                offset_us: *offset_us,
                error_us: *error_us,
            });
        }
        EventBody::Notice(notice) => return notice_item(notice, &event.stamp),
        EventBody::CameraPicture { camera, state } => {
            item.text = format!(
                "{}: the picture is {}",
                Witness::Camera(*camera),
                state.word()
            );
            item.detail = Some(Detail::CameraPicture {
                camera: *camera,
                state: state.word(),
            });
        }
        // Not shown, see `is_shown`.
        EventBody::Tick | EventBody::Settings(_) | EventBody::CameraMotion { .. } => {}
    }
    item
}

/// Wall time of a record, for cursors. As the index orders it.
#[must_use]
pub fn wall_us(record: &Record) -> i64 {
    match record {
        Record::Event(event) => event.stamp.utc_us,
        Record::Alert(alert) => alert.stamp.utc_us,
        Record::Finding(finding) => finding
            .evidence
            .first()
            .map_or(0, |cause| cause.stamp.utc_us),
        Record::NotJudged(not_judged) => not_judged.cause.stamp.utc_us,
        Record::Notice(notice) => notice.stamp.utc_us,
        Record::Outbox(entry) => entry.stamp.utc_us,
        Record::OutboxMark(_) => 0,
        Record::Quarantined(item) => item.stamp.utc_us,
        Record::ClipRequest(request) => request.cause.utc_us,
        Record::ClipReport(report) => report.stamp.utc_us,
        Record::Look(look) => look.stamp.utc_us,
    }
}

/// Microseconds since 1970 UTC as the API shows them.
fn time_text(utc_us: i64) -> String {
    rfc3339(utc_us)
}

#[cfg(test)]
mod tests;
