//! Reading the clocks of this machine. The only place that does.

use nix::time::{ClockId, clock_gettime};
use tillwatch_protocol::{Clock, Stamp};

/// Makes stamps for one boot.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    boot: u64,
}

impl Clocks {
    /// For the boot with this ordinal.
    #[must_use]
    pub fn new(boot: u64) -> Self {
        Self { boot }
    }

    /// Now.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp {
            boot: self.boot,
            monotonic_ns: monotonic_ns(),
            utc_us: wall_us(),
            clock: sync_state(),
        }
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds, the clock of GPIO edge timestamps.
#[must_use]
pub fn monotonic_ns() -> u64 {
    // Fails only for a clock that the kernel does not have.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| {
        u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000
            + u64::try_from(t.tv_nsec()).unwrap_or(0)
    })
}

/// Wall time in microseconds since 1970 UTC.
#[must_use]
pub fn wall_us() -> i64 {
    clock_gettime(ClockId::CLOCK_REALTIME)
        .map_or(0, |t| t.tv_sec() * 1_000_000 + t.tv_nsec() / 1_000)
}

/// systemd-timesyncd makes this file at its first synchronisation after boot
/// (systemd-timesyncd.service(8)).
const TIMESYNC: &str = "/run/systemd/timesync/synchronized";

/// Whether the clock is disciplined: by the kernel's own word, which chrony and ntpd set, or by
/// that of systemd-timesyncd.
#[must_use]
pub fn sync_state() -> Clock {
    const STA_UNSYNC: i32 = 0x40;
    // SAFETY: an all-zero `timex` is a valid query (modes = 0 changes nothing), and the kernel
    // only writes into the struct that we own.
    #[allow(unsafe_code)]
    let status = unsafe {
        let mut timex: nix::libc::timex = std::mem::zeroed();
        (nix::libc::adjtimex(&raw mut timex) >= 0).then_some(timex.status)
    };
    match status {
        Some(status) if status & STA_UNSYNC == 0 => Clock::Synced,
        _ if std::path::Path::new(TIMESYNC).exists() => Clock::Synced,
        _ => Clock::Unsynced,
    }
}
