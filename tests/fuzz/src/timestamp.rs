//! Timestamps as foreign systems write them.

use jiff::tz::TimeZone;
use std::sync::LazyLock;
use tillwatch_protocol::time::{Clock, Stamp, local_time, read_timestamp, rfc3339};

/// Zones by rule, so that no zone file is needed: one with clock changes in spring and autumn, and
/// the two ends of the earth.
static ZONES: LazyLock<Vec<TimeZone>> = LazyLock::new(|| {
    let rules = [
        "UTC0",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "XXX24:59:59",
        "YYY-24:59:59",
    ];
    rules
        .into_iter()
        .map(|rule| TimeZone::posix(rule).expect("a zone by rule"))
        .collect()
});

/// The input is the text.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for zone in ZONES.iter() {
        let Some(at) = read_timestamp(&text, zone) else {
            continue;
        };
        let shown = rfc3339(at.utc_us);
        let again = read_timestamp(&shown, zone);
        assert_eq!(
            again.map(|again| (again.utc_us, again.zoned)),
            Some((at.utc_us, true)),
            "{text:?} as {shown}"
        );
        let _ = local_time(at.utc_us, zone);
        let stamp = Stamp {
            boot: 1,
            monotonic_ns: 1_000_000,
            utc_us: at.utc_us,
            clock: Clock::Unsynced,
        };
        assert_eq!(stamp.to_rfc3339(), shown);
        assert_eq!(stamp.at_monotonic(0).utc_us, at.utc_us - 1_000);
        let _ = stamp.at_monotonic(u64::MAX).to_rfc3339();
    }
}
