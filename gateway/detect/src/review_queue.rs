//! What a person is asked to look at: ranked and capped, or nobody will look.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tillwatch_protocol::alert::{Alert, AlertState};
use tillwatch_protocol::ids::AlertId;
use tillwatch_protocol::time::local_time;

/// One day of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewDay<'a> {
    /// The day in the store's zone.
    pub date: Date,
    /// What to look at, the most important first.
    pub shown: Vec<&'a Alert>,
    /// How many more there are.
    pub left_out: usize,
}

/// Ranks pending alerts (those without a verdict) for each day of the store, newest day first, at
/// most `per_day` a day: by score, then the newest. Of several revisions the highest counts;
/// cleared alerts are not shown.
pub fn review_queue<'a>(
    pending: impl IntoIterator<Item = &'a Alert>,
    zone: &TimeZone,
    per_day: usize,
) -> Vec<ReviewDay<'a>> {
    let mut newest: BTreeMap<AlertId, &Alert> = BTreeMap::new();
    for alert in pending {
        let kept = newest.entry(alert.alert_id).or_insert(alert);
        if alert.revision > kept.revision {
            *kept = alert;
        }
    }
    let mut days: BTreeMap<Reverse<Date>, Vec<&Alert>> = BTreeMap::new();
    for alert in newest
        .into_values()
        .filter(|alert| alert.state == AlertState::Open)
    {
        let date = local_time(alert.stamp.utc_us, zone).date();
        days.entry(Reverse(date)).or_default().push(alert);
    }
    days.into_iter()
        .map(|(Reverse(date), mut shown)| {
            shown.sort_by_key(|a| (Reverse(a.score), Reverse(a.stamp.utc_us), a.alert_id));
            let left_out = shown.len().saturating_sub(per_day);
            shown.truncate(per_day);
            ReviewDay {
                date,
                shown,
                left_out,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::finding::{Rule, Score, Subject};
    use tillwatch_protocol::ids::{LogId, Seq};
    use tillwatch_protocol::time::{Clock, Stamp};

    fn alert(n: u64, milli: u16, utc_us: i64) -> Alert {
        let score = Score::from_milli(milli);
        Alert {
            alert_id: AlertId::derive(LogId(uuid::Uuid::nil()), "r", &[Seq(n)]),
            revision: 1,
            state: AlertState::Open,
            rule: Rule::of("r"),
            kind: "k".into(),
            score,
            severity: score.severity(),
            contributions: vec![],
            evidence: vec![],
            subject: Subject::default(),
            stamp: Stamp {
                boot: 1,
                monotonic_ns: n,
                utc_us,
                clock: Clock::Synced,
            },
        }
    }

    #[test]
    fn each_local_day_shows_its_highest_scores_and_says_how_many_more() {
        const HOUR_US: i64 = 3_600_000_000;
        // 23:00 UTC on the first day is 01:00 of the next in Berlin (summer).
        let base = 1_759_579_200_000_000;
        let alerts = [
            alert(1, 300, base),
            alert(2, 700, base),
            alert(3, 500, base + 1),
            alert(4, 900, base + 11 * HOUR_US),
        ];
        let raised = Alert {
            revision: 2,
            score: Score::from_milli(800),
            ..alerts[0].clone()
        };
        let cleared = AlertState::Cleared {
            reason: "late".into(),
        };
        let cleared = Alert {
            revision: 2,
            state: cleared,
            ..alerts[2].clone()
        };
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let days = review_queue(alerts.iter().chain([&raised, &cleared]), &berlin, 1);
        let seen: Vec<_> = days
            .iter()
            .map(|day| {
                (
                    day.date.day(),
                    day.shown
                        .iter()
                        .map(|a| a.score.milli())
                        .collect::<Vec<_>>(),
                    day.left_out,
                )
            })
            .collect();
        assert_eq!(seen, [(5, vec![900], 0), (4, vec![800], 1)]);
    }
}
