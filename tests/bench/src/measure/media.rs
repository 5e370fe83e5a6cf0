//! Footage: what goes to the disk for a byte of picture, how soon a clip is there after its last
//! frame, and what an opening reads.
//!
//! Beside it: a bare file that takes the same pictures in groups of as many, each with its fdatasync
//! (groups that do not end with a page are what a file system writes twice, on recent kernels more
//! than a page of it); for the last second of a clip, the same bytes and one fdatasync; for an opening,
//! reading as many bytes from the same disk. Bytes that reach the disk are what the kernel counts
//! for this process (`write_bytes` of `/proc/self/io`), for both.

use crate::disk::{BareFile, files, forget, written_by_this_process};
use crate::figures::{Report, Samples, count};
use crate::gateway::Place;
use anyhow::{Result, ensure};
use bytes::Bytes;
use std::path::Path;
use std::time::{Duration, Instant};
use tillwatch_protocol::{
    AlertId, ClipId, ClipReport, ClipRequest, ClipState, ClipTrack, Clock, FrameKey, Score, Stamp,
};
use tillwatch_store::media::{
    ClipDescriptor, Media, MediaOpened, MediaOptions, ReserveState, StoredFrame,
};
use tillwatch_store::{Store, StoreOptions};
use uuid::Uuid;

#[derive(clap::Args)]
pub struct Options {
    /// The large pool.
    #[arg(long, default_value_t = 1_024)]
    mib: u64,
    /// The small pool.
    #[arg(long, default_value_t = 128)]
    small_mib: u64,
    /// How often the large pool is filled: from the second time on segments are recycled.
    #[arg(long, default_value_t = 2)]
    fills: u64,
    /// Bytes of a picture.
    #[arg(long, default_value_t = 60_000)]
    picture: usize,
    /// Openings of each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Pictures a second of one camera.
const FPS: u64 = 15;
/// Seconds of a clip.
const SECONDS: u64 = 20;
/// What is written at once: the media's own default.
const GROUP: usize = 4 << 20;

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let folder = place.folder()?;
    report.note(&format!(
        "pictures of {} bytes, clips of {SECONDS} s at {FPS} a second; pools of {} and {} MiB",
        options.picture, options.small_mib, options.mib
    ));
    let bare = BareFile::create(&folder.path().join("bare"), options.mib << 20)?;
    let mut writing = Writing {
        bare,
        picture: options.picture,
        ready: Samples::default(),
        reference: Samples::default(),
    };

    let large = folder.path().join("large");
    let (store, media, _) = open(&large, options.mib)?;
    let before = written_by_this_process()?;
    writing.fill(&media, options.mib * options.fills)?;
    let usage = media.usage();
    // The references for the clips' last seconds went to the disk meanwhile.
    let beside = writing.reference.len() as u64 * FPS * options.picture as u64;
    let by_kernel = written_by_this_process()? - before - beside;
    media.close();
    store.close();
    let before = written_by_this_process()?;
    let bare_payload = writing.bare_groups(options.mib << 20)?;
    let bare_by_kernel = written_by_this_process()? - before;

    report.figure("payload", count(usage.payload_bytes) / 1e6, "MB");
    report.at_most(
        "bytes written / payload",
        count(usage.bytes_written) / count(usage.payload_bytes),
        1.1,
        "",
    );
    let (ours, theirs) = (
        count(by_kernel) / count(usage.payload_bytes),
        count(bare_by_kernel) / count(bare_payload),
    );
    report.figure("  as the kernel counts", ours, "");
    report.figure("  plain file + fdatasync, as the kernel counts", theirs, "");
    report.at_most("  ratio", ours / theirs, 1.1, "");
    report.figure(
        "segments recycled",
        count(usage.recycled.iter().sum::<u64>()),
        "",
    );
    report.figure(
        "frames copied to thin clips",
        count(usage.thinned_frames),
        "",
    );
    report.figure(
        "fdatasyncs of frames and clips",
        count(usage.fdatasyncs),
        "",
    );
    report.figure("other syncs", count(usage.other_syncs), "");
    report.spread(
        "clip: last frame put -> on disk and found",
        &writing.ready,
        "ms",
    );
    report.at_most("  p99", writing.ready.p99(), 200.0, "ms");
    report.spread(
        "  plain file + fdatasync of that second",
        &writing.reference,
        "ms",
    );

    let small = folder.path().join("small");
    let (store, media, _) = open(&small, options.small_mib)?;
    writing.fill(&media, options.small_mib * 2)?;
    media.close();
    store.close();
    openings(options, report, &small, &large)
}

struct Writing {
    bare: BareFile,
    picture: usize,
    ready: Samples,
    reference: Samples,
}

impl Writing {
    /// Records clips one behind the other until so many MiB were put.
    fn fill(&mut self, media: &Media, mib: u64) -> Result<()> {
        let frames = SECONDS * FPS;
        let clip_bytes = frames * self.picture as u64;
        let second = vec![0x5a; self.picture * FPS as usize];
        for n in 0..(mib << 20) / clip_bytes {
            let first = media.next_seq(0, 1);
            let last = first + frames - 1;
            let id = ClipId::of(AlertId(Uuid::from_u64_pair(n, 1)));
            media.claim(id, 1, at(first), at(last))?;
            for seq in first..=last - FPS {
                put(media, self.frame(seq))?;
            }
            media.flush();
            let mut durable = media.durable();
            wait("the frames are on disk", || {
                durable.borrow_and_update().get(&0).map(|key| key.seq) == Some(last - FPS)
            })?;
            // At most one second of a clip waits when its last frame comes.
            for seq in last - FPS + 1..last {
                put(media, self.frame(seq))?;
            }
            let start = Instant::now();
            put(media, self.frame(last))?;
            media.commit(self.clip(id, n, first, last))?.wait()?;
            ensure!(media.clip(id).is_some(), "the clip is found");
            self.ready.push_ms(start.elapsed());
            let start = Instant::now();
            self.bare.append(&second)?;
            self.reference.push_ms(start.elapsed());
        }
        Ok(())
    }

    fn frame(&self, seq: u64) -> StoredFrame {
        // No two alike, and nothing that a disk could compress.
        let mut state = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut jpeg = Vec::with_capacity(self.picture + 8);
        while jpeg.len() < self.picture {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            jpeg.extend_from_slice(&state.to_le_bytes());
        }
        jpeg.truncate(self.picture);
        StoredFrame {
            key: FrameKey {
                camera: 0,
                boot: 1,
                seq,
            },
            monotonic_ns: at(seq),
            utc_us: 0,
            jpeg: Bytes::from(jpeg),
        }
    }

    fn clip(&self, clip_id: ClipId, n: u64, first: u64, last: u64) -> ClipDescriptor {
        let stamp = Stamp {
            boot: 1,
            monotonic_ns: at(first.midpoint(last)),
            utc_us: 0,
            clock: Clock::Synced,
        };
        let frames = last + 1 - first;
        let track = ClipTrack {
            camera: 0,
            name: "counter".into(),
            boot: 1,
            first_seq: first,
            last_seq: last,
            frames: u32::try_from(frames).unwrap_or(u32::MAX),
            bytes: frames * self.picture as u64,
            first_ns: at(first),
            last_ns: at(last),
            gaps: Vec::new(),
        };
        ClipDescriptor {
            request: ClipRequest {
                clip_id,
                alert_id: AlertId(Uuid::from_u64_pair(n, 1)),
                cause: stamp,
                from_ns: at(first),
                to_ns: at(last),
                score: Score::from_milli(800),
                kind: "forced".into(),
                staff_id: None,
            },
            report: ClipReport {
                clip_id,
                state: ClipState::Complete,
                cameras: vec![track],
                stamp,
            },
        }
    }

    /// The same pictures into the bare file, one behind the other, synced after as many.
    fn bare_groups(&mut self, bytes: u64) -> Result<u64> {
        let frames = SECONDS * FPS;
        let clips = bytes / (frames * self.picture as u64);
        let mut groups =
            vec![GROUP / self.picture; (frames - FPS) as usize / (GROUP / self.picture)];
        groups.push((frames - FPS) as usize % (GROUP / self.picture));
        groups.push(FPS as usize);
        let group = vec![0xa5; GROUP];
        for frames in groups.repeat(usize::try_from(clips)?) {
            self.bare.append(&group[..frames * self.picture])?;
        }
        Ok(clips * frames * self.picture as u64)
    }
}

fn openings(options: &Options, report: &mut Report, small: &Path, large: &Path) -> Result<()> {
    let (mut of_small, mut of_large) = (Opening::default(), Opening::default());
    for _ in 0..options.rounds {
        of_small.measure(small, options.small_mib)?;
        of_large.measure(large, options.mib)?;
    }
    for (name, opening) in [("small pool", &of_small), ("large pool", &of_large)] {
        report.spread(&format!("{name}, full: opening"), &opening.time, "s");
        report.figure("  bytes read", opening.bytes.median() / 1e6, "MB");
        report.figure("  reading as many takes", opening.reading.median(), "s");
    }
    let header = 4_096.0;
    let segments = count((options.mib - options.small_mib) / 16);
    report.at_most(
        "bytes that a further segment costs",
        (of_large.bytes.median() - of_small.bytes.median()) / segments,
        // What was not sealed differs by less than a segment's own bytes.
        header + count(16_u64 << 20) / segments,
        "bytes",
    );
    let beyond = of_large.time.median() - of_large.reading.median();
    report.at_most("large pool: time beyond reading", beyond, 1.0, "s");
    Ok(())
}

#[derive(Default)]
struct Opening {
    time: Samples,
    bytes: Samples,
    reading: Samples,
}

impl Opening {
    fn measure(&mut self, dir: &Path, mib: u64) -> Result<()> {
        let (store, _) = Store::open(dir, store_options())?;
        forget(&dir.join("media"))?;
        let start = Instant::now();
        let (media, opened) = store.open_media(media_options(mib))?;
        self.time.push(start.elapsed().as_secs_f64());
        self.bytes.push(count(opened.bytes_read));
        ensure!(opened.clips > 0, "clips are there");
        media.close();
        store.close();
        forget(&dir.join("media"))?;
        let start = Instant::now();
        let mut left = opened.bytes_read;
        for path in files(&dir.join("media"))? {
            let bytes = left.min(16 << 20);
            let mut file = std::io::Read::take(std::fs::File::open(path)?, bytes);
            left -= std::io::copy(&mut file, &mut std::io::sink())?;
        }
        self.reading.push(start.elapsed().as_secs_f64());
        Ok(())
    }
}

fn store_options() -> StoreOptions {
    StoreOptions {
        boot_id: Some("bench".into()),
        ..StoreOptions::small()
    }
}

fn media_options(mib: u64) -> MediaOptions {
    MediaOptions {
        budget_bytes: mib << 20,
        // Ten minutes of a shop are seconds here.
        provisional_for: Duration::ZERO,
        ..MediaOptions::default()
    }
}

fn open(dir: &Path, mib: u64) -> Result<(Store, Media, MediaOpened)> {
    let (store, _) = Store::open(dir, store_options())?;
    let (media, opened) = store.open_media(media_options(mib))?;
    wait("the space is set aside", || {
        *media.reserve().borrow() == ReserveState::Done
    })?;
    Ok((store, media, opened))
}

fn at(seq: u64) -> u64 {
    seq * 1_000_000_000 / FPS
}

/// Puts a frame, waiting for room in the queue.
fn put(media: &Media, frame: StoredFrame) -> Result<()> {
    let mut frame = Some(frame);
    wait("there is room in the queue", || {
        let Some(taken) = frame.take() else {
            return true;
        };
        match media.put(taken) {
            Ok(_) => true,
            Err(full) => {
                frame = Some(full.frame);
                false
            }
        }
    })
}

fn wait(what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !done() {
        ensure!(begin.elapsed() < Duration::from_secs(120), "never: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}
