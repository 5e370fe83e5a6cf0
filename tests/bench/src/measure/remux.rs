//! Ten minutes of a camera's JPEGs, as an MP4 file on disk.
//!
//! The reference is FFmpeg's remux of the same pictures (`-f mjpeg -c copy`), its file synced
//! afterwards as ours is. Both read a file that the kernel holds in memory. Each of our pictures is
//! read by itself and its checksum compared, as the clip store does.

use crate::figures::{Report, Samples, count};
use crate::gateway::Place;
use crate::pictures::{drawn, recorded, split};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use tillwatch::clips::export::{Destination, export};
use tillwatch::clips::footage::{Footage, FootageFrame, Timeline};
use tillwatch::clips::name::ClipName;
use tillwatch::clips::remux::Remux;
use tillwatch_protocol::clip::FrameKey;

#[derive(clap::Args)]
pub struct Options {
    /// Length of the footage, in seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// Pictures per second.
    #[arg(long, default_value_t = 15)]
    fps: u32,
    /// Times that each is done.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
}

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let folder = place.folder()?;
    let stream = folder.path().join("frames.mjpeg");
    let frames = options.seconds * options.fps;
    let footage = Stored::write(&stream, frames, options.fps, report)?;
    let timeline = Timeline::beginning_with(&footage.frames).context("there are frames")?;
    report.figure("frames", count(frames), "");
    report.figure("their JPEGs", count(footage.payload()) / 1e6, "MB");

    let ours = folder.path().join("ours.mp4");
    let theirs = folder.path().join("theirs.mp4");
    let (mut plain, mut plain_reference) = (Samples::default(), Samples::default());
    let (mut durable, mut durable_reference) = (Samples::default(), Samples::default());
    for _ in 0..options.rounds {
        // Written, and left to the kernel.
        settle(&[&ours, &theirs])?;
        let began = Instant::now();
        let remux = Remux::new(&footage, "camera", &timeline)?;
        let mut out = BufWriter::with_capacity(256 << 10, File::create(&ours)?);
        remux.write(0..remux.len(), &mut out)?;
        out.flush()?;
        plain.push_ms(began.elapsed());
        drop(out);

        settle(&[&ours])?;
        let began = Instant::now();
        ffmpeg(&stream, options.fps, &theirs)?;
        plain_reference.push_ms(began.elapsed());
        let size = fs::metadata(&theirs)?.len();
        ensure!(size > footage.payload(), "FFmpeg left pictures out");

        // Written, and on disk.
        settle(&[&theirs])?;
        let name = ClipName::new(0, "void", None, None);
        let to = Destination {
            folder: folder.path(),
            keep_free: 0,
        };
        let began = Instant::now();
        let exported = export(&footage, "camera", &timeline, &name, to)?;
        durable.push_ms(began.elapsed());

        settle(&[&exported.path])?;
        let began = Instant::now();
        ffmpeg(&stream, options.fps, &theirs)?;
        File::open(&theirs)?.sync_all()?;
        File::open(folder.path())?.sync_all()?;
        durable_reference.push_ms(began.elapsed());
    }
    report.spread("remux, written", &plain, "ms");
    report.spread("  FFmpeg, written", &plain_reference, "ms");
    report.at_most(
        "remux to FFmpeg, written (medians)",
        plain.median() / plain_reference.median(),
        1.0,
        "",
    );
    report.spread("export, on disk", &durable, "ms");
    report.spread("  FFmpeg, on disk", &durable_reference, "ms");
    report.at_most(
        "export to FFmpeg, on disk (medians)",
        durable.median() / durable_reference.median(),
        1.0,
        "",
    );
    Ok(())
}

/// Removes what an earlier round wrote and waits until the disk has nothing to do.
fn settle(files: &[&Path]) -> Result<()> {
    for file in files.iter().filter(|file| file.exists()) {
        fs::remove_file(file)?;
    }
    nix::unistd::sync();
    Ok(())
}

fn ffmpeg(stream: &Path, fps: u32, to: &Path) -> Result<()> {
    let done = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-f", "mjpeg", "-framerate"])
        .arg(fps.to_string())
        .arg("-i")
        .arg(stream)
        .args(["-c", "copy"])
        .arg(to)
        .stdin(Stdio::null())
        .status()
        .context("ffmpeg")?;
    ensure!(done.success(), "ffmpeg: {done}");
    Ok(())
}

/// Pictures one after another in a file, with a checksum each.
struct Stored {
    file: File,
    frames: Vec<FootageFrame>,
    /// Where each begins, and its checksum.
    places: Vec<(u64, u32)>,
}

impl Stored {
    /// Writes so many frames: recorded ones again and again, drawn ones without any.
    fn write(path: &Path, frames: u32, fps: u32, report: &Report) -> Result<Self> {
        let pictures = match recorded().and_then(|path| fs::read(path).ok()) {
            Some(stream) => split(&stream),
            None => {
                report.note("no recorded footage beside the checkout: drawn pictures");
                (0..50).map(drawn).collect::<Result<_>>()?
            }
        };
        let mut out = BufWriter::new(File::create(path)?);
        let (mut listed, mut places, mut at) = (Vec::new(), Vec::new(), 0);
        for (number, picture) in (0..frames).zip(pictures.iter().cycle()) {
            out.write_all(picture)?;
            places.push((at, crc32fast::hash(picture)));
            at += picture.len() as u64;
            let at_us = u64::from(number) * 1_000_000 / u64::from(fps);
            listed.push(FootageFrame {
                key: FrameKey {
                    camera: 0,
                    boot: 1,
                    seq: number.into(),
                },
                monotonic_ns: at_us * 1_000,
                utc_us: i64::try_from(at_us)?,
                bytes: u32::try_from(picture.len())?,
            });
        }
        out.into_inner()?.sync_all()?;
        Ok(Self {
            file: File::open(path)?,
            frames: listed,
            places,
        })
    }

    fn payload(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.bytes)).sum()
    }
}

impl Footage for Stored {
    fn frames(&self) -> Vec<FootageFrame> {
        self.frames.clone()
    }

    fn read(&self, key: FrameKey) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        let at = usize::try_from(key.seq)?;
        let (offset, checksum) = *self.places.get(at).ok_or("no such frame")?;
        let size = self.frames.get(at).ok_or("no such frame")?.bytes;
        let mut picture = vec![0; usize::try_from(size)?];
        self.file.read_exact_at(&mut picture, offset)?;
        if crc32fast::hash(&picture) != checksum {
            return Err("damaged".into());
        }
        Ok(picture.into())
    }
}
