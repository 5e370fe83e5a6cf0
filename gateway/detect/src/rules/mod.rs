//! One file per detector.
//!
//! | detector | rules |
//! | --- | --- |
//! | [`pos_score`] | `pos_score` |
//! | [`drawer_forced`] | `drawer_forced` |
//! | [`no_sale`] | `no_sale` |
//! | [`drawer_left_open`] | `drawer_left_open` |
//! | [`drawer_jam`] | `drawer_jam` |
//! | [`receipt_suppressed`] | `receipt_suppressed` |
//! | [`unreported`] | `unreported_void`, `unreported_refund` |
//! | [`unprinted`] | `unprinted_void`, `unprinted_refund` |
//! | [`camera_blinded`] | `camera_blinded` |
//! | [`nobody_there`] | `nobody_there` |

pub mod camera_blinded;
pub mod drawer_forced;
pub mod drawer_jam;
pub mod drawer_left_open;
pub mod no_sale;
pub mod nobody_there;
pub mod pos_score;
pub mod receipt_suppressed;
pub mod unprinted;
pub mod unreported;

use crate::detector::{Context, Detector};
use crate::recent::Paper;
use crate::till::TillEvent;
use std::borrow::Cow;
use tillwatch_protocol::event::Event;
use tillwatch_protocol::finding::{Contribution, Evidence, Finding, Rule, Score, Subject, Weight};
use tillwatch_protocol::pos::PosEvent;

/// All detectors, in the order in which they see an event.
#[must_use]
pub fn all() -> Vec<Box<dyn Detector>> {
    vec![
        Box::new(pos_score::PosScore::default()),
        Box::new(drawer_forced::DrawerForced::default()),
        Box::new(no_sale::NoSale::default()),
        Box::new(drawer_left_open::DrawerLeftOpen::default()),
        Box::new(drawer_jam::DrawerJam::default()),
        Box::new(receipt_suppressed::ReceiptSuppressed::default()),
        Box::new(unreported::Unreported::default()),
        Box::new(unprinted::Unprinted::default()),
        Box::new(camera_blinded::CameraBlinded::default()),
        Box::new(nobody_there::NobodyThere::default()),
    ]
}

/// `snapshot` and `restore` for a detector whose state is one serde type in `self.state`.
macro_rules! state_as_snapshot {
    ($name:expr, $version:expr) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn snapshot(&self) -> Result<Vec<u8>, $crate::detector::SnapshotError> {
            $crate::detector::write_state($name, $version, &self.state)
        }

        fn restore(&mut self, bytes: &[u8]) -> Result<(), $crate::detector::SnapshotError> {
            self.state = $crate::detector::read_state($name, $version, bytes)?;
            Ok(())
        }
    };
}
pub(crate) use state_as_snapshot;

fn evidence_of(event: &Event, what: impl Into<String>) -> Evidence {
    Evidence {
        seq: event.seq,
        stamp: event.stamp,
        what: what.into(),
    }
}

fn evidence_of_paper(paper: &Paper, context: &Context<'_>) -> Evidence {
    let what = paper.what(context.settings.minor_digits);
    Evidence {
        seq: paper.seq,
        stamp: paper.stamp,
        what,
    }
}

fn evidence_of_till(event: &TillEvent, name: &str) -> Evidence {
    Evidence {
        seq: event.seq,
        stamp: event.stamp,
        what: event.what(name),
    }
}

fn evidence_of_pos(event: &Event, pos: &PosEvent) -> Evidence {
    let name = pos.event_type.name();
    evidence_of(
        event,
        match pos.ticket_no.as_ref().or(pos.order_id.as_ref()) {
            Some(number) => format!("till event {name} {number}"),
            None => format!("till event {name}"),
        },
    )
}

fn subject_of_pos(pos: &PosEvent) -> Subject {
    Subject {
        event_id: Some(pos.event_id.clone()),
        order_id: pos.order_id.clone(),
        ticket_no: pos.ticket_no.clone(),
        staff_id: pos.staff_id.clone(),
        staff_alerts_today: None,
        amount: pos.amount,
        original_amount: pos.original_amount,
        pos_time_us: pos.timestamp.map(|at| at.utc_us),
    }
}

fn points(rule: &'static str, points: Score, text: impl Into<String>) -> Contribution {
    Contribution {
        rule: Rule::of(rule),
        text: text.into(),
        points,
    }
}

fn finding(
    rule: &'static str,
    kind: &'static str,
    contributions: Vec<Contribution>,
    evidence: Vec<Evidence>,
) -> Finding {
    Finding {
        rule: Rule::of(rule),
        kind: Cow::Borrowed(kind),
        score: Finding::sum(&contributions),
        contributions,
        weight: Weight::Alone,
        evidence,
        subject: Subject::default(),
        cleared: None,
    }
}

/// Takes back what `rule` found for `cause`.
fn cleared(
    rule: &'static str,
    kind: &'static str,
    cause: Evidence,
    why: impl Into<String>,
) -> Finding {
    Finding {
        cleared: Some(why.into()),
        ..finding(rule, kind, Vec::new(), vec![cause])
    }
}

/// Seconds for people: `30 s`, `2.5 s`.
fn seconds(ms: u32) -> String {
    if ms.is_multiple_of(1000) {
        format!("{} s", ms / 1000)
    } else {
        format!("{}.{} s", ms / 1000, ms % 1000 / 100)
    }
}
