//! A start after `kill -9` with a small and with a large log, nothing of it in memory. Each start
//! finds the data as the killed process left it.
//!
//! The reference is the time that reading as many bytes from the same disk takes.

use crate::disk::{files, forget};
use crate::figures::{Report, Samples, count};
use crate::gateway::{Gateway, Place, Register};
use crate::measure::events::Running;
use crate::till;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tillwatch::clock::wall_us;
use tillwatch::sources::pos::{self, Origin, Pending};

#[derive(clap::Args)]
pub struct Options {
    /// The large log.
    #[arg(long, default_value_t = 256)]
    mib: u64,
    /// The small log.
    #[arg(long, default_value_t = 32)]
    small_mib: u64,
    /// Starts of each.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

#[derive(clap::Args)]
pub struct FillOptions {
    data: PathBuf,
    mib: u64,
}

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let (small, large) = (
        Filled::new(place, options.small_mib)?,
        Filled::new(place, options.mib)?,
    );
    let empty = Filled::new(place, 0)?;
    let mut of_empty = Starts::default();
    let (mut of_small, mut of_large) = (Starts::default(), Starts::default());
    for _ in 0..options.rounds {
        of_empty.measure(place, &empty)?;
        of_small.measure(place, &small)?;
        of_large.measure(place, &large)?;
    }
    report.note(&format!(
        "starts after kill -9, page cache dropped, {} rounds; logs of {} and {} MiB",
        options.rounds, options.small_mib, options.mib
    ));
    for (name, starts) in [
        ("hardly any log", &of_empty),
        ("small log", &of_small),
        ("large log", &of_large),
    ] {
        report.spread(&format!("{name}: until it is up"), &starts.time, "s");
        report.figure("  bytes read", starts.bytes.median() / 1e6, "MB");
        report.figure("  reading as many takes", starts.reading.median(), "s");
    }
    report.at_most(
        "bytes read, large log to small log",
        of_large.bytes.median() / of_small.bytes.median(),
        1.5,
        "",
    );
    let beyond = of_large.time.median() - of_large.reading.median();
    report.at_most("large log: time beyond reading", beyond, 1.0, "s");
    Ok(())
}

/// What a killed process left.
struct Filled {
    register: Register,
    left: PathBuf,
}

impl Filled {
    fn new(place: &Place, mib: u64) -> Result<Self> {
        let register = Register::prepare(place, None, "", "")?;
        let filled = Command::new(std::env::current_exe()?)
            .arg("fill")
            .arg(register.data())
            .arg(mib.to_string())
            .status()?;
        ensure!(!filled.success(), "the filling process should have died");
        let log: u64 = files(&register.data().join("log"))?
            .iter()
            .filter_map(|file| file.metadata().ok())
            .map(|m| m.len())
            .sum();
        ensure!(log >= mib << 20, "the log has only {log} bytes");
        let left = register.folder.path().join("left");
        std::fs::rename(register.data(), &left)?;
        Ok(Self { register, left })
    }

    /// Puts the data back as it was left.
    fn restore(&self) -> Result<()> {
        let data = self.register.data();
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let copied = Command::new("cp")
            .arg("-a")
            .arg(&self.left)
            .arg(&data)
            .status()?;
        ensure!(copied.success(), "the data could not be copied");
        forget(&data)
    }
}

#[derive(Default)]
struct Starts {
    time: Samples,
    bytes: Samples,
    reading: Samples,
}

impl Starts {
    fn measure(&mut self, place: &Place, filled: &Filled) -> Result<()> {
        filled.restore()?;
        let register = &filled.register;
        let gateway = Gateway::start(place, &register.config, &[])?;
        let read = gateway.io()?.0;
        self.time.push(gateway.took.as_secs_f64());
        self.bytes.push(count(read));
        drop(gateway);
        forget(&register.data())?;
        self.reading
            .push(read_cold(&register.data(), read)?.as_secs_f64());
        Ok(())
    }
}

/// Reads this many bytes from the files of a folder that nobody holds in memory.
fn read_cold(folder: &Path, bytes: u64) -> Result<Duration> {
    let mut buffer = vec![0; 1 << 20];
    let mut left = bytes;
    let start = Instant::now();
    for path in files(folder)? {
        let mut file = File::open(path)?;
        while left > 0 {
            let most = usize::try_from(left.min(buffer.len() as u64))?;
            match file.read(&mut buffer[..most])? {
                0 => break,
                count => left -= count as u64,
            }
        }
    }
    Ok(start.elapsed())
}

/// Lets a pipeline of this process fill a log, and dies as by `kill -9`.
pub fn fill(options: &FillOptions) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let running = Running::start(&options.data)?;
        let shared = &running.shared;
        let mut number = 0;
        // One round at least: an empty log was killed too.
        while number == 0 || shared.store.usage().bytes_written < options.mib << 20 {
            let mut waiting = Vec::new();
            for _ in 0..100 {
                let body = till::event(number, wall_us());
                number += 1;
                let origin = Origin {
                    source: "pos.http",
                    place: "fill",
                    store: None,
                };
                if let Pending::Sent(taken) = pos::submit(shared, origin, body.as_bytes()).await? {
                    waiting.push(taken);
                }
            }
            for taken in waiting {
                taken.await?;
            }
        }
        // The index follows the log; what it has not read yet is not what is measured here.
        shared
            .store
            .index()
            .caught_up(shared.store.last_seq())
            .await;
        anyhow::Ok(())
    })?;
    let me = nix::unistd::getpid();
    nix::sys::signal::kill(me, nix::sys::signal::Signal::SIGKILL).context("dies")?;
    Ok(())
}
