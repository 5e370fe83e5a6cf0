//! Findings to alerts.
//!
//! Findings that rest on a common event are about one cause, and a person should see one alert for
//! it: its score is that of the highest finding that stands by itself, plus what others add on top.
//! A later finding for the same cause, or one taken back, makes a new revision of the same alert.
//!
//! An event can be evidence of two causes that were alerts already (a till event that confirms one
//! opening and lies near another): then the older alert takes the finding.

use crate::detector::{Findings, Line};
use crate::engine::Outcome;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tillwatch_protocol::alert::{Alert, AlertState};
use tillwatch_protocol::finding::{Contribution, Evidence, Finding, Score, Subject, Weight};
use tillwatch_protocol::ids::{AlertId, LogId, Seq};
use tillwatch_protocol::settings::DetectionSettings;

/// Causes that are remembered for merging; the oldest is forgotten and counted.
pub const CASES: usize = 256;
/// Findings that one alert takes; further ones are dropped and counted.
pub const FINDINGS_PER_ALERT: usize = 16;
/// Events that one alert names as evidence.
pub const EVIDENCE_PER_ALERT: usize = 32;

/// What is found for one cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Case {
    /// The events that lead to it.
    seqs: Vec<Seq>,
    parts: Vec<(Finding, Line)>,
    alert: Option<Alert>,
}

/// The alert policy with its memory of recent causes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    cases: BTreeMap<u64, Case>,
    by_seq: BTreeMap<Seq, u64>,
    next: u64,
    forgotten: u64,
}

impl Policy {
    /// How many causes and findings did not fit.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Takes one step's conclusions and says what comes of them.
    pub(crate) fn conclude(
        &mut self,
        log: LogId,
        settings: &DetectionSettings,
        found: &mut Findings,
        out: &mut Vec<Outcome>,
    ) {
        for not_judged in found.not_judged.drain(..) {
            if !settings.disabled_rules.contains(&not_judged.rule) {
                out.push(Outcome::NotJudged(not_judged));
            }
        }
        for (rule, notice) in found.notices.drain(..) {
            if !settings.disabled_rules.contains(&rule) {
                out.push(Outcome::Notice(notice));
            }
        }
        let mut touched = BTreeSet::new();
        for (finding, line) in found.findings.drain(..) {
            if settings.disabled_rules.contains(&finding.rule) || finding.evidence.is_empty() {
                continue;
            }
            if settings.silent_rules.contains(&finding.rule) {
                out.push(Outcome::Finding(finding));
                continue;
            }
            touched.insert(self.file(finding, line));
        }
        for number in touched {
            let Some(case) = self.cases.get_mut(&number) else {
                continue;
            };
            out.extend(case.conclude(log, settings));
        }
    }

    /// Puts a finding to the oldest case that shares an event with it, or opens one. Cases that it
    /// connects are one from now on, as far as they are no alerts yet.
    fn file(&mut self, finding: Finding, line: Line) -> u64 {
        let known: BTreeSet<u64> = finding
            .evidence
            .iter()
            .filter_map(|e| self.by_seq.get(&e.seq))
            .copied()
            .collect();
        let is_alert = |number: &u64| {
            self.cases
                .get(number)
                .is_some_and(|case| case.alert.is_some())
        };
        let oldest = known
            .iter()
            .find(|number| is_alert(number))
            .or(known.first())
            .copied();
        let silent: Vec<u64> = known
            .iter()
            .filter(|number| !is_alert(number))
            .copied()
            .collect();
        let number = oldest.unwrap_or_else(|| self.open());
        for other in silent.into_iter().filter(|other| *other != number) {
            self.join(number, other);
        }
        let Some(case) = self.cases.get_mut(&number) else {
            return number;
        };
        for evidence in &finding.evidence {
            if case.seqs.len() < EVIDENCE_PER_ALERT && !self.by_seq.contains_key(&evidence.seq) {
                self.by_seq.insert(evidence.seq, number);
                case.seqs.push(evidence.seq);
            }
        }
        let same = |part: &&mut (Finding, Line)| {
            part.0.rule == finding.rule && part.0.evidence[0].seq == finding.evidence[0].seq
        };
        if let Some(part) = case.parts.iter_mut().find(same) {
            *part = (finding, line);
        } else if case.parts.len() < FINDINGS_PER_ALERT {
            case.parts.push((finding, line));
        } else {
            self.forgotten = self.forgotten.saturating_add(1);
        }
        number
    }

    fn join(&mut self, number: u64, other: u64) {
        let Some(other) = self.cases.remove(&other) else {
            return;
        };
        let Some(case) = self.cases.get_mut(&number) else {
            return;
        };
        for seq in other.seqs {
            self.by_seq.insert(seq, number);
            case.seqs.push(seq);
        }
        let room = FINDINGS_PER_ALERT.saturating_sub(case.parts.len());
        let left_out = other.parts.len().saturating_sub(room);
        self.forgotten = self
            .forgotten
            .saturating_add(u64::try_from(left_out).unwrap_or(0));
        case.parts.extend(other.parts.into_iter().take(room));
    }

    fn open(&mut self) -> u64 {
        if self.cases.len() >= CASES {
            // What never became an alert goes first.
            let silent = self.cases.iter().find(|(_, case)| case.alert.is_none());
            let gone = silent
                .or(self.cases.iter().next())
                .map(|(number, _)| *number);
            if let Some(case) = gone.and_then(|number| self.cases.remove(&number)) {
                for seq in case.seqs {
                    self.by_seq.remove(&seq);
                }
            }
            self.forgotten = self.forgotten.saturating_add(1);
        }
        let number = self.next;
        self.next += 1;
        self.cases.insert(
            number,
            Case {
                seqs: Vec::new(),
                parts: Vec::new(),
                alert: None,
            },
        );
        number
    }
}

impl Case {
    fn conclude(&mut self, log: LogId, settings: &DetectionSettings) -> Option<Outcome> {
        let standing: Vec<&(Finding, Line)> = self
            .parts
            .iter()
            .filter(|(finding, _)| finding.cleared.is_none())
            .collect();
        if standing.is_empty() {
            let (last, _) = self.parts.last()?;
            let reason = last.cleared.clone().unwrap_or_default();
            let Some(alert) = &mut self.alert else {
                return Some(Outcome::Finding(last.clone()));
            };
            let state = AlertState::Cleared { reason };
            if alert.state == state {
                return None;
            }
            alert.state = state;
            alert.revision += 1;
            return Some(Outcome::Alert(alert.clone()));
        }
        let (score, contributions) = weigh(&standing);
        let mut evidence: Vec<Evidence> = Vec::new();
        let mut subject = Subject::default();
        for (finding, _) in &standing {
            for item in &finding.evidence {
                if evidence.len() < EVIDENCE_PER_ALERT && evidence.iter().all(|e| e.seq != item.seq)
                {
                    evidence.push(item.clone());
                }
            }
            complete(&mut subject, &finding.subject);
        }
        if let Some(alert) = &mut self.alert {
            let same = alert.state == AlertState::Open
                && alert.score == score
                && alert.contributions == contributions
                && alert.evidence == evidence
                && alert.subject == subject;
            if same {
                return None;
            }
            alert.state = AlertState::Open;
            alert.score = score;
            alert.severity = score.severity();
            alert.contributions = contributions;
            alert.evidence = evidence;
            alert.subject = subject;
            alert.revision += 1;
            return Some(Outcome::Alert(alert.clone()));
        }
        let asks = standing.iter().find(|(_, line)| *line == Line::Always);
        let first = match asks {
            Some((finding, _)) => finding,
            None if score > settings.alert_above => &standing[0].0,
            // Below the line: the newest is what this step found.
            None => {
                return standing
                    .last()
                    .map(|(finding, _)| Outcome::Finding(finding.clone()));
            }
        };
        let cause = &first.evidence[0];
        let alert = Alert {
            alert_id: AlertId::derive(log, first.rule.as_str(), &[cause.seq]),
            revision: 1,
            state: AlertState::Open,
            rule: first.rule.clone(),
            kind: first.kind.clone(),
            score,
            severity: score.severity(),
            contributions,
            stamp: cause.stamp,
            evidence,
            subject,
        };
        self.alert = Some(alert.clone());
        Some(Outcome::Alert(alert))
    }
}

/// The highest finding that stands by itself, the others named as its confirmation, and what is
/// added on top.
fn weigh(standing: &[&(Finding, Line)]) -> (Score, Vec<Contribution>) {
    let mut highest: Option<&Finding> = None;
    for (finding, _) in standing {
        if finding.weight == Weight::Alone && highest.is_none_or(|h| finding.score > h.score) {
            highest = Some(finding);
        }
    }
    let mut score = Score::ZERO;
    let mut contributions = Vec::new();
    if let Some(finding) = highest {
        score = finding.score;
        contributions.extend(finding.contributions.iter().cloned());
    }
    for (finding, _) in standing {
        match finding.weight {
            Weight::OnTop => {
                score = score + finding.score;
                contributions.extend(finding.contributions.iter().cloned());
            }
            Weight::Alone if highest.is_some_and(|h| std::ptr::eq(h, finding)) => {}
            Weight::Alone => {
                let text = finding.contributions.first().map_or_else(
                    || format!("confirmed by {}", finding.rule),
                    |c| format!("confirmed: {}", c.text),
                );
                contributions.push(Contribution {
                    rule: finding.rule.clone(),
                    text,
                    points: Score::ZERO,
                });
            }
        }
    }
    (score, contributions)
}

/// Fills what is not known yet.
fn complete(subject: &mut Subject, other: &Subject) {
    fn fill<T: Clone>(mine: &mut Option<T>, other: &Option<T>) {
        if mine.is_none() {
            mine.clone_from(other);
        }
    }
    fill(&mut subject.event_id, &other.event_id);
    fill(&mut subject.order_id, &other.order_id);
    fill(&mut subject.ticket_no, &other.ticket_no);
    fill(&mut subject.staff_id, &other.staff_id);
    fill(&mut subject.staff_alerts_today, &other.staff_alerts_today);
    fill(&mut subject.amount, &other.amount);
    fill(&mut subject.original_amount, &other.original_amount);
    fill(&mut subject.pos_time_us, &other.pos_time_us);
}
