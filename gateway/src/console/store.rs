//! `store check`: is the log whole? Reads a copy, so that the data stays as it is.
//!
//! Opening a store repairs it: a torn tail is cut off, a damaged middle is set aside. Checking must
//! not, so the log is copied and the copy is opened.

use super::control::ControlError;
use super::{Failure, Gateway, Out, text};
use crate::web::status::Status;
use nix::sys::statvfs::statvfs;
use std::fs;
use std::path::{Path, PathBuf};
use tillwatch_protocol::Seq;
use tillwatch_store::{ErrorKind, IndexKind, Opened, Store, StoreError, StoreOptions};

/// Files and folders of the data directory that belong to the log.
const FILES: [&str; 2] = ["identity", "outbox.state"];
const FOLDER: &str = "log";
/// Their names say how far the log once reached.
const SNAPSHOTS: &str = "snapshots";

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    records: u64,
    first: u64,
    last: u64,
    torn: u64,
    lost: u64,
    damages: Vec<String>,
}

pub(super) async fn check(gateway: &Gateway, out: Out<'_>) -> Result<(), Failure> {
    match gateway.control.get::<Status>("/api/status").await {
        Ok(status) => running(&status, out),
        Err(ControlError::Down(_)) => {
            let data = gateway.data().to_owned();
            let report = tokio::task::spawn_blocking(move || inspect(&data)).await;
            stopped(
                &report.map_err(|why| Failure::Failed(why.to_string()))??,
                out,
            )
        }
        Err(why) => Err(why.into()),
    }
}

/// The running gateway has read its log when it started, and checks whatever it reads.
fn running(status: &Status, out: Out<'_>) -> Result<(), Failure> {
    let log = &status.log;
    writeln!(
        out,
        "the gateway is running (pid {}); this is what it knows of its log:",
        status.pid
    )?;
    writeln!(out, "  records   {} to {}", log.first_seq, log.durable_seq)?;
    writeln!(
        out,
        "  size      {} of {}",
        text::bytes(log.bytes),
        text::bytes(log.budget_bytes)
    )?;
    writeln!(
        out,
        "  damaged   {} ranges, {} suspect segments",
        log.damaged_ranges, log.suspect_segments
    )?;
    writeln!(
        out,
        "  index     {} records behind, rebuilt {} times",
        log.index_lag, log.index_rebuilds
    )?;
    if let Some(why) = &log.why {
        writeln!(out, "  NOT WRITABLE: {}", text::one_line(why))?;
    }
    writeln!(out, "stop it to have every record read")?;
    if log.damaged_ranges > 0 || !log.writable {
        Err(Failure::Told)
    } else {
        Ok(())
    }
}

fn stopped(report: &Report, out: Out<'_>) -> Result<(), Failure> {
    writeln!(
        out,
        "records   {}, {} to {}",
        report.records, report.first, report.last
    )?;
    if report.torn > 0 && report.lost == 0 {
        writeln!(
            out,
            "torn      {} unfinished at the end, never acknowledged; the next start cuts them off",
            report.torn
        )?;
    }
    if report.lost > 0 {
        writeln!(
            out,
            "LOST      at least {} accepted records at the end: the log was deleted or shortened; the next start goes on far above them",
            report.lost
        )?;
    }
    for damage in &report.damages {
        writeln!(out, "DAMAGED   {}", text::one_line(damage))?;
    }
    if report.damages.is_empty() && report.lost == 0 {
        writeln!(out, "the log is whole")?;
        return Ok(());
    }
    if !report.damages.is_empty() {
        writeln!(
            out,
            "the next start sets the damaged parts aside and goes on without them"
        )?;
    }
    Err(Failure::Told)
}

fn inspect(data: &Path) -> Result<Report, Failure> {
    let log = data.join(FOLDER);
    if !log.is_dir() {
        return Err(Failure::Failed(format!(
            "{} has no log; name the data directory with --data",
            data.display()
        )));
    }
    let copy = Copy::make(data)?;
    let options = StoreOptions {
        index: IndexKind::Memory,
        reserve: false,
        ..StoreOptions::default()
    };
    let (store, opened) =
        Store::open(&copy.0, options).map_err(|why| Failure::Failed(why.to_string()))?;
    let report = read(&store, &opened);
    store.close();
    report.map_err(|why| Failure::Failed(why.to_string()))
}

/// Reads every record.
fn read(store: &Store, opened: &Opened) -> Result<Report, StoreError> {
    let mut report = Report {
        torn: opened.torn_records,
        lost: opened.lost_records,
        damages: opened
            .damages
            .iter()
            .map(|d| {
                format!(
                    "records {} to {}: segment {}, {} bytes from byte {}",
                    d.from, d.to, d.segment, d.bytes, d.offset
                )
            })
            .collect(),
        ..Report::default()
    };
    for row in store.scan(store.first_seq())? {
        match row {
            Ok((Seq(seq), _)) => {
                if report.records == 0 {
                    report.first = seq;
                }
                report.records += 1;
                report.last = seq;
            }
            Err(why) if why.kind() == ErrorKind::Skip => report.damages.push(why.to_string()),
            Err(why) => return Err(why),
        }
    }
    Ok(report)
}

/// A copy of the log in the temporary directory, removed when done.
struct Copy(PathBuf);

impl Copy {
    fn make(data: &Path) -> Result<Self, Failure> {
        let name = format!("tillwatch-store-check-{}", uuid::Uuid::new_v4());
        let target = std::env::temp_dir().join(name);
        let failed = |path: &Path, why: &dyn std::fmt::Display| {
            Failure::Failed(format!("copying {}: {why}", path.display()))
        };
        fs::create_dir(&target).map_err(|why| failed(&target, &why))?;
        let copy = Self(target.clone());
        let mut files: Vec<PathBuf> = FILES
            .iter()
            .map(PathBuf::from)
            .filter(|name| data.join(name).exists())
            .collect();
        let log = data.join(FOLDER);
        for entry in fs::read_dir(&log).map_err(|why| failed(&log, &why))? {
            let entry = entry.map_err(|why| failed(&log, &why))?;
            files.push(Path::new(FOLDER).join(entry.file_name()));
        }
        let needed: u64 = files
            .iter()
            .filter_map(|name| fs::metadata(data.join(name)).ok())
            .map(|meta| meta.len())
            .sum();
        let free = statvfs(&target).map_err(|why| failed(&target, &why))?;
        // Both are `u32` on some 32-bit boards.
        #[allow(clippy::unnecessary_cast)]
        let free = (free.blocks_available() as u64).saturating_mul(free.fragment_size() as u64);
        if free < needed {
            return Err(Failure::Failed(format!(
                "{} has {} free and the log's copy takes {}; set TMPDIR to a folder with more room",
                target.display(),
                text::bytes(free),
                text::bytes(needed)
            )));
        }
        for folder in [FOLDER, SNAPSHOTS] {
            fs::create_dir(target.join(folder)).map_err(|why| failed(&target, &why))?;
        }
        if let Ok(snapshots) = fs::read_dir(data.join(SNAPSHOTS)) {
            for entry in snapshots.flatten() {
                // The name is enough.
                let name = target.join(SNAPSHOTS).join(entry.file_name());
                fs::File::create(&name).map_err(|why| failed(&name, &why))?;
            }
        }
        for name in files {
            fs::copy(data.join(&name), target.join(&name))
                .map_err(|why| failed(&data.join(&name), &why))?;
        }
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What cannot be removed from a temporary directory goes with the next boot.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::{Clock, Event, EventBody, Record, Stamp};
    use tillwatch_store::Urgency;

    /// A closed store with some kicks, and the segment they are in.
    fn kicks(data: &Path, count: usize) -> PathBuf {
        let (store, _) = Store::open(data, StoreOptions::small()).unwrap();
        let stamp = Stamp {
            boot: 1,
            monotonic_ns: 0,
            utc_us: 0,
            clock: Clock::Synced,
        };
        let kick = Record::Event(Event {
            seq: Seq(0),
            stamp,
            body: EventBody::Kick,
        });
        let durable = store.durable();
        for _ in 0..count {
            let seq = store
                .append(std::slice::from_ref(&kick), Urgency::Now)
                .unwrap()
                .last;
            // A write of its own for each: damage in the very last write is a torn tail.
            while *durable.borrow() < seq {
                std::thread::yield_now();
            }
        }
        store.close();
        // One segment is written to, another one is prepared.
        let segments = fs::read_dir(data.join(FOLDER)).unwrap();
        let mut segments = segments.map(|entry| entry.unwrap().path());
        segments
            .find(|path| !written(&fs::read(path).unwrap()).is_empty())
            .unwrap()
    }

    /// Places of the bytes behind a segment's header that are no padding.
    fn written(segment: &[u8]) -> Vec<usize> {
        (4_096..segment.len())
            .filter(|at| segment[*at] != 0)
            .collect()
    }

    fn said(report: &Report) -> (bool, String) {
        let mut out = Vec::new();
        let whole = stopped(report, &mut out).is_ok();
        (whole, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_whole_log_is_read_to_its_end_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let segment = kicks(folder.path(), 50);
        let before = fs::read(&segment).unwrap();
        let report = inspect(folder.path()).unwrap();
        assert_eq!(
            (report.records, report.first, report.last, report.torn),
            (50, 1, 50, 0)
        );
        assert_eq!(
            said(&report),
            (true, "records   50, 1 to 50\nthe log is whole\n".into())
        );
        assert_eq!(fs::read(&segment).unwrap(), before);
    }

    #[test]
    fn a_log_that_was_emptied_is_told_and_not_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        kicks(folder.path(), 50);
        for entry in fs::read_dir(folder.path().join(FOLDER)).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let report = inspect(folder.path()).unwrap();
        assert_eq!((report.records, report.lost), (0, 50));
        let (whole, text) = said(&report);
        assert!(
            !whole && text.contains("LOST      at least 50 accepted records"),
            "{text}"
        );
        let left = fs::read_dir(folder.path().join(FOLDER)).unwrap();
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn a_damaged_middle_is_told_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let segment = kicks(folder.path(), 50);
        let mut bytes = fs::read(&segment).unwrap();
        let places = written(&bytes);
        bytes[places[places.len() / 2]] ^= 0xff;
        fs::write(&segment, &bytes).unwrap();
        let report = inspect(folder.path()).unwrap();
        assert!(
            !report.damages.is_empty() && report.last == 50,
            "{report:?}"
        );
        let (whole, text) = said(&report);
        assert!(!whole && text.contains("DAMAGED   records "), "{text}");
        assert_eq!(fs::read(&segment).unwrap(), bytes);
    }

    #[test]
    fn a_folder_without_a_log_is_not_made_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(inspect(folder.path()), Err(Failure::Failed(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
