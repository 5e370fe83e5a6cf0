//! From what the detectors concluded to records and messages for head office.

use super::told::Told;
use crate::clips::Clips;
use crate::{Identity, Shared};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tillwatch_detect::Outcome;
use tillwatch_protocol::lane::Envelope;
use tillwatch_protocol::topics::Upstream;
use tillwatch_protocol::{Alert, EventBody, Lane, LogId, Notice, Record, Seq, Stamp};
use tillwatch_store::Numbers;

/// Builds the messages of one register.
pub struct Messages {
    identity: Arc<Identity>,
    clips: Option<Clips>,
    topics: Upstream,
    epoch: LogId,
    /// Which notices head office was told of lately.
    pub told: Told,
    /// Decimals of the currency.
    pub minor_digits: u8,
    /// Position of the event that was appended last.
    pub last_event: Seq,
}

impl Messages {
    pub fn new(shared: &Shared, told: Told) -> Self {
        let identity = shared.identity.clone();
        Self {
            topics: Upstream::new(identity.store.clone(), identity.register.clone()),
            epoch: shared.store.log_id(),
            clips: shared.clips.clone(),
            identity,
            told,
            minor_digits: 2,
            last_event: Seq(0),
        }
    }

    fn entry(
        &self,
        lane: Lane,
        topic: String,
        body: Map<String, Value>,
        stamp: Stamp,
        numbers: &mut Numbers,
    ) -> Record {
        let envelope = Envelope {
            store: &self.identity.store,
            register: &self.identity.register,
            epoch: self.epoch,
            lane,
            lane_seq: numbers.next(lane),
            stamp,
        };
        Record::Outbox(envelope.entry(topic, body))
    }

    /// The message that an event itself becomes: a verdict, or a notice that head office has not
    /// just been told. Its topic and fields; both go by the urgent lane.
    pub fn of_event(&mut self, body: &EventBody) -> Option<(String, Map<String, Value>)> {
        match body {
            EventBody::Review(review) => {
                let fields = json!({
                    "alert_id": review.alert_id, "verdict": review.verdict,
                    "note": review.note, "reviewer": review.reviewer,
                });
                Some((self.topics.reviews(), object(fields)))
            }
            EventBody::Notice(notice) if self.may_send(notice) => {
                Some((self.topics.errors(), error_body(notice)))
            }
            _ => None,
        }
    }

    /// An urgent message.
    pub fn urgent(
        &self,
        (topic, fields): (String, Map<String, Value>),
        stamp: Stamp,
        numbers: &mut Numbers,
    ) -> Record {
        self.entry(Lane::Urgent, topic, fields, stamp, numbers)
    }

    /// The message that an alert becomes.
    pub fn of_alert(&self, alert: &Alert, stamp: Stamp, numbers: &mut Numbers) -> Record {
        let message = (self.topics.alerts(), self.alert_body(alert));
        self.urgent(message, stamp, numbers)
    }

    /// Which of the outcomes are notices that head office has not just been told.
    pub fn errors_to_send(&mut self, outcomes: &[Outcome]) -> Vec<usize> {
        let mut send = Vec::new();
        for (index, outcome) in outcomes.iter().enumerate() {
            if let Outcome::Notice(notice) = outcome
                && self.may_send(notice)
            {
                send.push(index);
            }
        }
        send
    }

    fn may_send(&mut self, notice: &Notice) -> bool {
        let may = self.told.may(&notice.code, &notice.stamp);
        if !may {
            metrics::counter!("notices_not_sent_total").increment(1);
        }
        may
    }

    /// Records for the log: every outcome, and behind each its message.
    pub fn records(
        &self,
        outcomes: &[Outcome],
        errors: &[usize],
        stamp: Stamp,
        numbers: &mut Numbers,
        with_messages: bool,
    ) -> Vec<Record> {
        let mut records = Vec::with_capacity(outcomes.len() * 2);
        for (index, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Outcome::Alert(alert) => {
                    records.push(Record::Alert(alert.clone()));
                    let footage = self
                        .clips
                        .as_ref()
                        .and_then(|clips| clips.request_of(alert));
                    records.extend(footage.map(Record::ClipRequest));
                    if with_messages {
                        records.push(self.of_alert(alert, stamp, numbers));
                    }
                }
                Outcome::Finding(finding) => records.push(Record::Finding(finding.clone())),
                Outcome::NotJudged(not_judged) => {
                    records.push(Record::NotJudged(not_judged.clone()))
                }
                Outcome::Notice(notice) => {
                    records.push(Record::Notice(notice.clone()));
                    if with_messages && errors.contains(&index) {
                        let body = error_body(notice);
                        records.push(self.entry(
                            Lane::Urgent,
                            self.topics.errors(),
                            body,
                            stamp,
                            numbers,
                        ));
                    }
                }
            }
        }
        records
    }

    fn alert_body(&self, alert: &Alert) -> Map<String, Value> {
        let subject = &alert.subject;
        let events: Vec<Value> = alert
            .evidence
            .iter()
            .map(|e| json!({"seq": e.seq, "at": e.stamp.to_rfc3339(), "what": e.what}))
            .collect();
        let (state, reason) = match &alert.state {
            tillwatch_protocol::alert::AlertState::Open => ("open", None),
            tillwatch_protocol::alert::AlertState::Cleared { reason } => ("cleared", Some(reason)),
        };
        object(json!({
            "alert_id": alert.alert_id, "revision": alert.revision,
            "state": state, "cleared_because": reason,
            "rule": alert.rule, "kind": alert.kind,
            "score": alert.score, "severity": alert.severity,
            "contributions": alert.contributions,
            "events": events,
            "happened_at": alert.stamp.to_rfc3339(),
            "event_id": subject.event_id, "order_id": subject.order_id, "ticket_no": subject.ticket_no,
            "staff_id": subject.staff_id, "staff_alerts_today": subject.staff_alerts_today,
            "amount_minor": subject.amount, "original_amount_minor": subject.original_amount,
            "pos_timestamp": subject.pos_time_us.map(tillwatch_protocol::time::rfc3339),
            "clip": self.clip_of(alert), "still": Value::Null,
            "text": alert.text_block(self.minor_digits),
            "demo": self.identity.demo,
            "durable": true,
        }))
    }

    /// Where head office finds the footage: its name and the time that it shows. It is still being
    /// recorded when the alert leaves.
    fn clip_of(&self, alert: &Alert) -> Value {
        let Some(request) = self
            .clips
            .as_ref()
            .and_then(|clips| clips.request_of(alert))
        else {
            return Value::Null;
        };
        let at = |ns: u64| {
            let after_us = i64::try_from(ns / 1_000).unwrap_or(i64::MAX)
                - i64::try_from(alert.stamp.monotonic_ns / 1_000).unwrap_or(i64::MAX);
            tillwatch_protocol::time::rfc3339(alert.stamp.utc_us.saturating_add(after_us))
        };
        json!({"clip_id": request.clip_id, "from": at(request.from_ns), "to": at(request.to_ns)})
    }

    /// Counts an outcome in health and metrics.
    pub fn count(&self, outcome: &Outcome, shared: &Shared) {
        match outcome {
            Outcome::Alert(alert) => {
                metrics::histogram!("risk_score_histogram")
                    .record(f64::from(alert.score.milli()) / 1000.0);
                if alert.revision == 1 {
                    shared.health.alerts.fetch_add(1, Ordering::Relaxed);
                    metrics::counter!("alerts_triggered_total").increment(1);
                } else {
                    metrics::counter!("alerts_revised_total").increment(1);
                }
            }
            Outcome::Finding(finding) => {
                metrics::histogram!("risk_score_histogram")
                    .record(f64::from(finding.score.milli()) / 1000.0);
                metrics::counter!("findings_total", "rule" => finding.rule.as_str().to_owned())
                    .increment(1);
            }
            Outcome::NotJudged(not_judged) => {
                let rule = not_judged.rule.as_str().to_owned();
                let reason = not_judged.reason.clone().into_owned();
                metrics::counter!("not_judged_total", "rule" => rule, "reason" => reason)
                    .increment(1);
            }
            Outcome::Notice(notice) => {
                metrics::counter!("notices_total", "code" => notice.code.clone().into_owned())
                    .increment(1);
            }
        }
    }
}

fn error_body(notice: &Notice) -> Map<String, Value> {
    object(
        json!({"code": notice.code, "text": notice.text, "happened_at": notice.stamp.to_rfc3339()}),
    )
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
