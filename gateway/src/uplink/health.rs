//! The health message: every minute, live, never queued: only the newest matters.

use super::carry::Carry;
use super::gauges::age_s;
use crate::{Shared, broker};
use nix::sys::statvfs::statvfs;
use serde_json::{Value, json};
use std::path::Path;
use tillwatch_protocol::lane::SCHEMA;
use tillwatch_protocol::{Clock, Lane};

/// Where the kernel tells the processor's temperature in thousandths of a degree.
const THERMAL: &str = "/sys/class/thermal/thermal_zone0/temp";

/// The body of `stores/{store}/telemetry/health`.
pub(super) fn message(shared: &Shared, carry: &Carry) -> Vec<u8> {
    let now = shared.clock.stamp();
    let outbox = shared.store.outbox();
    let depth = outbox.depth();
    let usage = shared.store.usage();
    let config = shared.config.borrow().clone();
    let held: Vec<Value> = carry
        .holds
        .topics()
        .map(|(topic, why)| json!({ "topic": topic, "reason": why.word() }))
        .collect();
    let lanes: serde_json::Map<String, Value> = Lane::ALL
        .into_iter()
        .map(|lane| (lane.word().to_owned(), depth[lane.index()].into()))
        .collect();
    let mut disk = space(&config.data);
    disk["log_bytes"] = usage.log_bytes.into();
    disk["log_budget_bytes"] = usage.log_budget_bytes.into();
    let clock = match now.clock {
        Clock::Synced => "synced",
        Clock::Unsynced => "unsynced",
    };
    json!({
        "schema": SCHEMA,
        "store_code": shared.identity.store,
        "register_id": shared.identity.register,
        "demo": shared.identity.demo,
        "epoch": shared.store.log_id().to_string(),
        "at": now.to_rfc3339(),
        "boot": now.boot,
        "clock": clock,
        "uptime_s": carry.now().as_secs(),
        "app_version": env!("CARGO_PKG_VERSION"),
        "catalog_version": null,
        "outbox_depth": depth.iter().sum::<u64>(),
        "outbox_lanes": lanes,
        "outbox_oldest_s": outbox.oldest().map_or(0.0, |oldest| age_s(&oldest, &now).round()),
        "dead_letters": outbox.dead_letters().len(),
        "held": held,
        "drivers": shared.health.parts(),
        "disk": disk,
        "sd_wear": { "bytes_written": usage.bytes_written },
        "temperature_c": temperature(Path::new(THERMAL)),
        "throttled": null,
        "cert_expires_at": broker::certificate_expiry(&config.uplink.mqtt).map(|end| end.to_string()),
    })
    .to_string()
    .into_bytes()
}

/// Free and total bytes where the data lies.
fn space(data: &Path) -> Value {
    match statvfs(data) {
        Ok(space) => {
            let unit = space.fragment_size();
            json!({
                "total_bytes": space.blocks() * unit,
                "free_bytes": space.blocks_available() * unit,
            })
        }
        Err(_) => json!({ "total_bytes": null, "free_bytes": null }),
    }
}

/// Degrees Celsius to one decimal; `None` where there is no sensor.
fn temperature(path: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    let milli: f64 = text.trim().parse().ok()?;
    Some((milli / 100.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_temperature_is_in_thousandths() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "48312\n").unwrap();
        assert_eq!(temperature(file.path()), Some(48.3));
        std::fs::write(file.path(), "hot").unwrap();
        assert_eq!(temperature(file.path()), None);
        assert_eq!(temperature(Path::new("/nowhere")), None);
    }

    #[test]
    fn the_disk_is_told_in_bytes_or_not_at_all() {
        assert!(space(Path::new("/"))["total_bytes"].as_u64().unwrap() > 0);
        assert!(space(Path::new("/nowhere"))["free_bytes"].is_null());
    }
}
