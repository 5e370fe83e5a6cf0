//! What an exported clip is to others: FFmpeg reads each picture back, byte for byte and at its
//! very time.

#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use jpeg_encoder::{ColorType, Encoder};
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tillwatch::clips::export::{Destination, Exported, export};
use tillwatch::clips::footage::{Footage, FootageFrame, Timeline};
use tillwatch::clips::name::ClipName;
use tillwatch_protocol::clip::FrameKey;

/// 2026-11-21 08:15:30.250 UTC.
const FIRST_UTC_US: i64 = 1_795_248_930_250_000;

/// Pictures, and when each was captured, in microseconds after [`FIRST_UTC_US`].
struct Film {
    pictures: Vec<(u64, Bytes)>,
}

impl Footage for Film {
    fn frames(&self) -> Vec<FootageFrame> {
        let frames = self
            .pictures
            .iter()
            .zip(0..)
            .map(|((at_us, jpeg), seq)| FootageFrame {
                key: FrameKey {
                    camera: 0,
                    boot: 1,
                    seq,
                },
                monotonic_ns: 77_000_000_999 + at_us * 1_000,
                utc_us: FIRST_UTC_US + i64::try_from(*at_us).unwrap(),
                bytes: u32::try_from(jpeg.len()).unwrap(),
            });
        frames.collect()
    }

    fn read(&self, key: FrameKey) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        let at = usize::try_from(key.seq)?;
        Ok(self.pictures.get(at).ok_or("no such frame")?.1.clone())
    }
}

/// A picture that differs from every other.
fn picture(number: u64) -> Bytes {
    let (width, height) = (160_u16, 120_u16);
    let rgb: Vec<u8> = (0..u64::from(width) * u64::from(height))
        .flat_map(|at| {
            let level = (at * (number + 3) / 7 + number) % 256;
            [level, 255 - level, number % 256].map(|level| u8::try_from(level).unwrap())
        })
        .collect();
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, 75)
        .encode(&rgb, width, height, ColorType::Rgb)
        .unwrap();
    jpeg.into()
}

/// A camera at 15 a second as they really are: trembling, with a lost picture here and there, and
/// unplugged for nine seconds.
fn uneven_film() -> Film {
    let mut pictures = Vec::new();
    for n in 0..150_u64 {
        let trembling = n * 7_919 % 4_001;
        let unplugged = if n >= 90 { 9_000_000 } else { 0 };
        if n % 31 != 30 {
            pictures.push((n * 66_667 + trembling + unplugged, picture(n)));
        }
    }
    Film { pictures }
}

fn export_film(film: &Film, folder: &Path) -> Exported {
    let timeline = Timeline::beginning_with(&film.frames()).unwrap();
    let name = ClipName::new(FIRST_UTC_US, "void", Some("E042"), Some("front"));
    let to = Destination {
        folder,
        keep_free: 0,
    };
    export(film, "front", &timeline, &name, to).unwrap()
}

/// What a program prints; it must succeed and complain of nothing.
fn run(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program)
        .args(["-hide_banner", "-v", "warning"])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("{program} must be installed (apt-get install ffmpeg): {error}")
        });
    let complaints = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{program} {arguments:?}:\n{complaints}"
    );
    assert_eq!(complaints, "", "{program} {arguments:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// `key=value` lines of `ffprobe`.
fn probe(file: &str, entries: &str) -> Vec<String> {
    let of = [
        "-of",
        "default=noprint_wrappers=1",
        "-show_entries",
        entries,
    ];
    let printed = run(
        "ffprobe",
        &[&of[..], &["-select_streams", "v", file]].concat(),
    );
    printed.lines().map(str::to_owned).collect()
}

fn value(lines: &[String], key: &str) -> String {
    let found = lines
        .iter()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    found
        .unwrap_or_else(|| panic!("no {key} in {lines:?}"))
        .to_owned()
}

/// Every packet's time, in microseconds, with how long it stands.
fn packets(file: &str) -> Vec<(u64, u64)> {
    let lines = probe(file, "packet=pts,duration");
    let number = |line: &String| line.split_once('=').unwrap().1.parse::<u64>().unwrap();
    lines
        .chunks(2)
        .map(|pair| (number(&pair[0]), number(&pair[1])))
        .collect()
}

/// Every picture as FFmpeg takes it out of the file without decoding it.
fn taken_out(file: &str, folder: &Path) -> Vec<Bytes> {
    let mut pattern = folder.display().to_string();
    write!(pattern, "/%05d.jpg").unwrap();
    run(
        "ffmpeg",
        &["-i", file, "-c", "copy", "-f", "image2", &pattern],
    );
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    names
        .iter()
        .map(|name| std::fs::read(name).unwrap().into())
        .collect()
}

/// The exact times, sizes and bytes of every picture, as FFmpeg sees them.
fn assert_is_that_film(film: &Film, exported: &Exported) {
    let file = exported.path.to_str().unwrap();
    // The timeline begins with the whole second: the quarter is in the first picture's time.
    let wanted: Vec<u64> = film
        .pictures
        .iter()
        .map(|(at_us, _)| at_us + 250_000)
        .collect();
    let packets = packets(file);
    let times: Vec<u64> = packets.iter().map(|(pts, _)| *pts).collect();
    assert_eq!(times, wanted);
    for (pair, (_, stand)) in wanted.windows(2).zip(&packets) {
        assert_eq!(
            pair[1] - pair[0],
            *stand,
            "each stands until the next, also over a gap"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let pictures = taken_out(file, folder.path());
    assert_eq!(pictures.len(), film.pictures.len());
    for (n, (taken, (_, stored))) in pictures.iter().zip(&film.pictures).enumerate() {
        assert!(taken == stored, "picture {n} is not what the camera sent");
    }
}

#[test]
fn every_picture_is_read_back_byte_for_byte_at_its_very_time() {
    let (dir, film) = (tempfile::tempdir().unwrap(), uneven_film());
    let exported = export_film(&film, dir.path());
    assert!(
        exported
            .path
            .ends_with("2026-11-21/08-15-30_void_E042_front.mp4")
    );
    assert_is_that_film(&film, &exported);
}

#[test]
fn codec_size_length_creation_time_and_camera_are_told() {
    let (dir, film) = (tempfile::tempdir().unwrap(), uneven_film());
    let exported = export_film(&film, dir.path());
    let file = exported.path.to_str().unwrap();
    let lines = probe(
        file,
        "stream=codec_name,codec_tag_string,width,height,time_base,nb_frames,start_pts:stream_tags:format=duration:format_tags",
    );
    for (key, wanted) in [
        ("codec_name", "mjpeg"),
        ("codec_tag_string", "mp4v"),
        ("width", "160"),
        ("height", "120"),
        ("time_base", "1/1000000"),
        ("start_pts", "250000"),
        ("nb_frames", &film.pictures.len().to_string()),
        ("TAG:creation_time", "2026-11-21T08:15:30.000000Z"),
        ("TAG:handler_name", "front"),
    ] {
        assert_eq!(value(&lines, key), wanted, "{key}");
    }
    // From the zero to the end of the last picture, which stands as long as most.
    let last = film.pictures.last().unwrap().0 + 250_000;
    let duration: f64 = value(&lines, "duration").parse().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "some seconds")]
    let beyond = duration - last as f64 / 1e6;
    assert!((0.06..0.075).contains(&beyond), "{duration}");
}

#[test]
fn every_picture_can_be_decoded_and_any_moment_be_sought() {
    let (dir, film) = (tempfile::tempdir().unwrap(), uneven_film());
    let exported = export_film(&film, dir.path());
    let file = exported.path.to_str().unwrap();
    let lines = run(
        "ffprobe",
        &[
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "csv=p=0",
            file,
        ],
    );
    assert_eq!(lines.trim(), film.pictures.len().to_string());
    // The first one after the gap.
    let after = film
        .pictures
        .iter()
        .find(|(at, _)| *at > 14_000_000)
        .unwrap();
    let out = dir.path().join("sought.jpg");
    let out = out.to_str().unwrap();
    let moment = format!("{}us", after.0 + 250_000);
    run(
        "ffmpeg",
        &[
            // Otherwise it counts from the first picture.
            "-seek_timestamp",
            "1",
            "-ss",
            &moment,
            "-i",
            file,
            "-c",
            "copy",
            "-frames:v",
            "1",
            "-f",
            "image2",
            "-update",
            "1",
            out,
        ],
    );
    assert!(std::fs::read(out).unwrap() == after.1);
}

#[test]
fn a_gap_of_an_hour_is_an_hour() {
    let hour = 3_600_000_000;
    let mut film = uneven_film();
    film.pictures.truncate(5);
    // Ticks become ten microseconds long.
    for (at_us, _) in &mut film.pictures {
        *at_us = *at_us / 10 * 10;
    }
    film.pictures.push((hour, picture(200)));
    let dir = tempfile::tempdir().unwrap();
    let exported = export_film(&film, dir.path());
    let packets = packets(exported.path.to_str().unwrap());
    assert_eq!(packets[5].0, (hour + 250_000) / 10);
    assert_eq!(packets[4].1, (hour - film.pictures[4].0) / 10);
}

/// A real camera's pictures, of very different sizes.
#[test]
fn recorded_footage_is_read_back_too() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("TILLWATCH_TEST_DATA").map_or(beside, PathBuf::from);
    let recorded = data.join("camera/walkers-768x576-10fps.mjpeg");
    let Ok(stream) = std::fs::read(&recorded) else {
        eprintln!("SKIPPED: no recorded footage at {}", recorded.display());
        return;
    };
    let mut film = Film {
        pictures: Vec::new(),
    };
    for jpeg in split(&Bytes::from(stream)).into_iter().take(300) {
        let n = film.pictures.len() as u64;
        film.pictures.push((n * 100_000 + n * n % 997, jpeg));
    }
    assert!(film.pictures.len() > 100, "{}", film.pictures.len());
    let dir = tempfile::tempdir().unwrap();
    assert_is_that_film(&film, &export_film(&film, dir.path()));
}

/// JPEGs one after another: each begins where the end of one and the start of another meet.
fn split(stream: &Bytes) -> Vec<Bytes> {
    let mut jpegs = Vec::new();
    let mut begin = 0;
    for (at, bytes) in stream.windows(4).enumerate() {
        if bytes == [0xFF, 0xD9, 0xFF, 0xD8] {
            jpegs.push(stream.slice(begin..at + 2));
            begin = at + 2;
        }
    }
    jpegs.push(stream.slice(begin..));
    jpegs
}
