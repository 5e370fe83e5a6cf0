//! Which time is being recorded, and when a clip has all it will get. Pure: time is passed in.

use std::collections::BTreeMap;
use tillwatch_protocol::clip::{ClipId, ClipRequest};

/// Most clips that are recorded at once; of more, the lowest score is left out and told.
pub const MOST_CLIPS: usize = 256;
/// After the end of a window a camera's last frame may take this long to arrive, in nanoseconds.
pub const SETTLE_NS: u64 = 1_000_000_000;

/// A stretch of time in monotonic nanoseconds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First moment.
    pub from_ns: u64,
    /// Last moment.
    pub to_ns: u64,
}

/// The clips being recorded, and what is recorded on suspicion.
#[derive(Debug, Default)]
pub struct Plan {
    wanted: BTreeMap<ClipId, ClipRequest>,
    suspicion: Option<Span>,
}

impl Plan {
    /// Records for this clip from now on; a later request for the same clip replaces an earlier
    /// one. What is left out when there are too many.
    #[must_use = "what is left out must be told"]
    pub fn want(&mut self, request: ClipRequest) -> Option<ClipRequest> {
        self.wanted.insert(request.clip_id, request);
        if self.wanted.len() <= MOST_CLIPS {
            return None;
        }
        let least = self
            .wanted
            .values()
            .min_by_key(|request| (request.score, std::cmp::Reverse(request.cause.monotonic_ns)))
            .map(|request| request.clip_id)?;
        self.wanted.remove(&least)
    }

    /// Records this time without a clip: something opened that nothing explains yet.
    pub fn suspect(&mut self, span: Span) {
        self.suspicion = Some(match self.suspicion {
            Some(before) if span.from_ns <= before.to_ns => Span {
                from_ns: before.from_ns.min(span.from_ns),
                to_ns: before.to_ns.max(span.to_ns),
            },
            _ => span,
        });
    }

    /// What is to be recorded, merged, in order.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = self
            .wanted
            .values()
            .map(|request| Span {
                from_ns: request.from_ns,
                to_ns: request.to_ns,
            })
            .chain(self.suspicion)
            .collect();
        spans.sort_by_key(|span| span.from_ns);
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.from_ns <= last.to_ns => last.to_ns = last.to_ns.max(span.to_ns),
                _ => merged.push(span),
            }
        }
        merged
    }

    /// Takes out the clips that have all they will get. `seen_ns` is when each camera that works
    /// saw its newest frame.
    pub fn due(&mut self, now_ns: u64, seen_ns: &[u64]) -> Vec<ClipRequest> {
        if self
            .suspicion
            .is_some_and(|span| now_ns > span.to_ns.saturating_add(SETTLE_NS))
        {
            self.suspicion = None;
        }
        let over = |request: &ClipRequest| {
            let end = request.to_ns;
            let settled = now_ns > end.saturating_add(SETTLE_NS);
            settled || (now_ns > end && seen_ns.iter().all(|seen| *seen > end))
        };
        let due: Vec<ClipId> = self
            .wanted
            .values()
            .filter(|request| over(request))
            .map(|request| request.clip_id)
            .collect();
        due.iter().filter_map(|id| self.wanted.remove(id)).collect()
    }

    /// Whether nothing is recorded.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.suspicion.is_none()
    }

    /// The clips being recorded.
    pub fn clips(&self) -> impl Iterator<Item = &ClipRequest> {
        self.wanted.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::Score;
    use tillwatch_protocol::ids::AlertId;
    use tillwatch_protocol::time::{Clock, Stamp};

    const S: u64 = 1_000_000_000;

    fn request(n: u128, cause_s: u64, score: u16) -> ClipRequest {
        let alert_id = AlertId(uuid::Uuid::from_u128(n));
        ClipRequest {
            clip_id: ClipId::of(alert_id),
            alert_id,
            cause: Stamp {
                boot: 1,
                monotonic_ns: cause_s * S,
                utc_us: 0,
                clock: Clock::Synced,
            },
            from_ns: (cause_s - 60) * S,
            to_ns: (cause_s + 60) * S,
            score: Score::from_milli(score),
            kind: "void".into(),
            staff_id: None,
        }
    }

    fn span(from: u64, to: u64) -> Span {
        Span {
            from_ns: from * S,
            to_ns: to * S,
        }
    }

    #[test]
    fn overlapping_clips_are_one_stretch_of_recording() {
        let mut plan = Plan::default();
        for request in [
            request(1, 100, 400),
            request(2, 150, 400),
            request(3, 400, 400),
        ] {
            assert_eq!(plan.want(request), None);
        }
        assert_eq!(plan.spans(), [span(40, 210), span(340, 460)]);
    }

    #[test]
    fn a_clip_is_due_when_every_camera_has_passed_its_end_or_one_second_later() {
        let mut plan = Plan::default();
        let _ = plan.want(request(1, 100, 400));
        assert!(
            plan.due(160 * S, &[161 * S]).is_empty(),
            "the window is not over"
        );
        assert!(plan.due(160 * S + 1, &[161 * S, 159 * S]).is_empty());
        assert_eq!(plan.due(160 * S + 2, &[161 * S, 161 * S]).len(), 1);
        assert!(plan.is_idle());

        let _ = plan.want(request(1, 100, 400));
        assert_eq!(
            plan.due(161 * S + 1, &[100 * S]).len(),
            1,
            "a camera that stalls"
        );
    }

    #[test]
    fn a_later_request_prolongs_the_clip() {
        let mut plan = Plan::default();
        let _ = plan.want(request(1, 100, 400));
        let _ = plan.want(ClipRequest {
            to_ns: 300 * S,
            ..request(1, 100, 500)
        });
        assert_eq!(plan.spans(), [span(40, 300)]);
        assert!(plan.due(200 * S, &[]).is_empty());
        assert_eq!(plan.due(302 * S, &[])[0].score, Score::from_milli(500));
    }

    #[test]
    fn of_too_many_clips_the_lowest_score_is_left_out() {
        let mut plan = Plan::default();
        for n in 0..MOST_CLIPS as u128 {
            assert_eq!(plan.want(request(n, 100, 500)), None);
        }
        let low = request(9_999, 100, 300);
        assert_eq!(plan.want(low.clone()), Some(low));
        let high = request(9_998, 101, 900);
        assert_eq!(
            plan.want(high).map(|left_out| left_out.score),
            Some(Score::from_milli(500))
        );
        assert_eq!(plan.clips().count(), MOST_CLIPS);
    }

    #[test]
    fn suspicion_records_without_a_clip_and_ends() {
        let mut plan = Plan::default();
        plan.suspect(span(10, 40));
        plan.suspect(span(30, 60));
        assert_eq!(plan.spans(), [span(10, 60)]);
        assert!(plan.due(61 * S, &[]).is_empty());
        assert!(!plan.is_idle());
        let _ = plan.due(62 * S, &[]);
        assert!(plan.is_idle());
    }
}
