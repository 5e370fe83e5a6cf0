//! The program with a register's devices and head office connected, and nothing to do: without a
//! camera, and with one.

use crate::broker::Mosquitto;
use crate::figures::{Report, count};
use crate::gateway::{Gateway, Place, Register, pause};
use crate::pictures::drawn;
use crate::trace;
use anyhow::Result;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

#[derive(clap::Args)]
pub struct Options {
    /// Seconds of idleness, once plain and once under strace.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds until the memory of what the camera saw is full, before it is looked at.
    #[arg(long, default_value_t = 150)]
    filling: u64,
}

/// What starting causes is over by then.
const SETTLED: Duration = Duration::from_secs(5);

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let idle = Duration::from_secs(options.seconds);
    let minutes = idle.as_secs_f64() / 60.0;
    let broker = Mosquitto::start("")?;
    let register = Register::with_drawer(place, Some(&broker))?;
    let gateway = Gateway::start(place, &register.config, &[])?;
    pause(SETTLED);
    let (before, io) = (gateway.processor_time()?, gateway.io()?);
    pause(idle);
    let used = gateway.processor_time()? - before;
    let written = gateway.io()?.1 - io.1;
    report.note(&format!(
        "drawer and kick line on a FIFO, head office connected, no camera; {} s",
        options.seconds
    ));
    let mib = |kb: u64| count(kb) / 1024.0;
    report.at_most(
        "resident memory",
        mib(gateway.status("VmRSS")?),
        25.0,
        "MiB",
    );
    report.figure("  of it anonymous", mib(gateway.status("RssAnon")?), "MiB");
    report.figure("  peak", mib(gateway.status("VmHWM")?), "MiB");
    report.figure("threads", count(gateway.status("Threads")?), "");
    report.figure(
        "processor time",
        used.as_secs_f64() / idle.as_secs_f64() * 100.0,
        "% of one core",
    );
    report.figure(
        "bytes written by calls (disk, network, log)",
        count(written) / minutes,
        "bytes/min",
    );
    gateway.stop()?;

    let register = Register::with_drawer(place, Some(&broker))?;
    let output = register.folder.path().join("strace");
    let gateway = Gateway::start(place, &register.config, &trace::command(&output)?)?;
    pause(SETTLED);
    let before = trace::read(&output)?.len();
    pause(idle);
    let syncs = trace::read(&output)?.split_off(before);
    gateway.stop()?;
    let log = syncs.iter().filter(|sync| sync.is_log()).count();
    report.figure("syncs per minute", count(syncs.len()) / minutes, "");
    report.figure("  of it of the log", count(log) / minutes, "");
    let folder = register.folder.path().display().to_string();
    let mut others: BTreeMap<String, u64> = BTreeMap::new();
    for sync in syncs.iter().filter(|sync| !sync.is_log()) {
        let path = sync.path.strip_prefix(&folder).unwrap_or(&sync.path);
        *others.entry(format!("{}({path})", sync.call)).or_default() += 1;
    }
    report.note(&format!("the others: {others:?}"));

    with_camera(options, place, &broker, report)?;

    let program = place.program()?;
    let size = std::fs::metadata(&program)?.len();
    report.figure("binary as built", mib(size / 1024), "MiB");
    let stripped = register.folder.path().join("stripped");
    let strip = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(&program)
        .status();
    if strip.is_ok_and(|status| status.success()) {
        report.at_most(
            "binary, stripped",
            mib(std::fs::metadata(&stripped)?.len() / 1024),
            10.0,
            "MiB",
        );
    }
    Ok(())
}

/// A camera of 640×480 at 15 pictures a second, played from a file.
fn with_camera(
    options: &Options,
    place: &Place,
    broker: &Mosquitto,
    report: &mut Report,
) -> Result<()> {
    let register = Register::with_drawer(place, Some(broker))?;
    let footage = register.folder.path().join("footage.mjpeg");
    let pictures: Vec<Vec<u8>> = (0..60).map(drawn).collect::<Result<_>>()?;
    std::fs::write(&footage, pictures.concat())?;
    let mut config = std::fs::read_to_string(&register.config)?;
    config.push_str(&format!(
        "[cameras.counter]\nreplay = \"{}\"\nfps = 15\ncustomer_side = \"0,0,100,50\"\n",
        footage.display()
    ));
    std::fs::write(&register.config, config)?;
    let gateway = Gateway::start(place, &register.config, &[])?;
    pause(Duration::from_secs(options.filling));
    let (before, written) = (gateway.processor_time()?, gateway.written_to_disk()?);
    let idle = Duration::from_secs(options.seconds);
    pause(idle);
    let used = gateway.processor_time()? - before;
    let written = gateway.written_to_disk()? - written;
    let mib = |bytes: f64| bytes / 1024.0 / 1024.0;
    let ring = mib(gateway.metric("frames_memory_bytes")?);
    let resident = mib(count(gateway.status("VmRSS")?) * 1024.0);
    report.note("with a camera of 640×480, 15 pictures a second");
    report.figure("resident memory", resident, "MiB");
    report.figure("  of it what the camera saw", ring, "MiB");
    report.at_most("  without that", resident - ring, 25.0, "MiB");
    report.figure(
        "processor time",
        used.as_secs_f64() / idle.as_secs_f64() * 100.0,
        "% of one core",
    );
    report.figure(
        "written to the disk",
        count(written) * 60.0 / count(options.seconds),
        "bytes/min",
    );
    gateway.stop()
}
