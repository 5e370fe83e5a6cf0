//! What the uplink tells `/metrics`.

use super::holds::{Holds, Why};
use crate::Shared;
use std::time::Duration;
use tillwatch_protocol::{Lane, Stamp};

/// How often depth and age are brought up to date when nothing changes.
const EVERY: Duration = Duration::from_secs(1);
/// How often at most, when much changes.
const AT_MOST_EVERY: Duration = Duration::from_millis(100);

/// Whether the broker's CONNACK was the last word.
pub(super) fn connected(up: bool) {
    metrics::gauge!("mqtt_connection_status", "broker" => "uplink").set(f64::from(u8::from(up)));
}

pub(super) fn acknowledged(lane: Lane) {
    metrics::counter!("outbox_acknowledged_total", "lane" => lane.word()).increment(1);
}

pub(super) fn resent(lane: Lane) {
    metrics::counter!("outbox_resent_total", "lane" => lane.word()).increment(1);
}

pub(super) fn abandoned(lane: Lane) {
    metrics::counter!("outbox_abandoned_total", "lane" => lane.word()).increment(1);
}

pub(super) fn stray() {
    metrics::counter!("mqtt_stray_acks_total").increment(1);
}

pub(super) fn publish_error(reason: &'static str) {
    metrics::counter!("mqtt_publish_errors_total", "reason" => reason).increment(1);
}

pub(super) fn holds(holds: &Holds) {
    for why in [Why::Denied, Why::NoConsumer] {
        let topics = holds.topics().filter(|(_, other)| *other == why).count();
        metrics::gauge!("uplink_topics_held", "reason" => why.word())
            .set(u32::try_from(topics).map_or(f64::MAX, f64::from));
    }
    metrics::gauge!("uplink_entries_parked")
        .set(u32::try_from(holds.parked()).map_or(f64::MAX, f64::from));
}

/// Seconds since `then`: by the monotonic clock within one boot, else by wall time.
#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
pub(super) fn age_s(then: &Stamp, now: &Stamp) -> f64 {
    match now.since_ns(then) {
        Some(ns) => ns as f64 / 1e9,
        None => (now.utc_us - then.utc_us).max(0) as f64 / 1e6,
    }
}

/// Keeps depth and age up to date, for ever.
pub(super) async fn run(shared: &Shared) {
    let outbox = shared.store.outbox();
    let mut changed = outbox.changed();
    loop {
        let depth = outbox.depth();
        for lane in Lane::ALL {
            #[expect(clippy::cast_precision_loss, reason = "bounded far below 2^53")]
            let entries = depth[lane.index()] as f64;
            metrics::gauge!("outbox_depth", "lane" => lane.word()).set(entries);
        }
        let oldest = outbox.oldest();
        let age = oldest.map_or(0.0, |oldest| age_s(&oldest, &shared.clock.stamp()));
        metrics::gauge!("outbox_oldest_seconds").set(age);
        tokio::time::sleep(AT_MOST_EVERY).await;
        tokio::select! {
            Ok(()) = changed.changed() => {}
            () = tokio::time::sleep(EVERY - AT_MOST_EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::Clock;

    #[test]
    fn age_within_one_boot_does_not_believe_the_wall_clock() {
        let stamp = |boot, seconds: u64, utc_us| Stamp {
            boot,
            monotonic_ns: seconds * 1_000_000_000,
            utc_us,
            clock: Clock::Unsynced,
        };
        let then = stamp(1, 10, 5_000_000);
        assert_eq!(age_s(&then, &stamp(1, 13, 0)), 3.0);
        assert_eq!(age_s(&then, &stamp(2, 1, 9_000_000)), 4.0);
        assert_eq!(age_s(&then, &stamp(2, 1, 0)), 0.0);
    }
}
