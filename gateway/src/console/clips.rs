//! `clips list` and `clips export`

use super::cli::{ClipsCommand, ClipsExportArgs, ClipsListArgs};
use super::{Failure, Gateway, Out, text};
use crate::clips::export::{Destination, Exported, keep};
use crate::clips::name::ClipName;
use crate::clips::remux::RemuxError;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillwatch_store::media::MediaOptions;
use tokio::sync::mpsc;

/// Pieces of a film between socket and disk.
const PIECES: usize = 4;
/// A gateway that sends nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(35);

/// What is shown of a clip.
#[derive(Debug, Deserialize)]
struct Shown {
    clip_id: String,
    state: String,
    reason: Option<String>,
    at: String,
    kind: String,
    staff_id: Option<String>,
    score: f64,
    bytes: u64,
    cameras: Vec<Track>,
}

#[derive(Debug, Deserialize)]
struct Track {
    camera: u8,
    name: String,
    frames: usize,
}

pub(super) async fn run(
    command: &ClipsCommand,
    gateway: &Gateway,
    out: Out<'_>,
) -> Result<(), Failure> {
    match command {
        ClipsCommand::List(args) => list(args, gateway, out).await,
        ClipsCommand::Export(args) => export(args, gateway, out).await,
    }
}

async fn list(args: &ClipsListArgs, gateway: &Gateway, out: Out<'_>) -> Result<(), Failure> {
    let uri = format!("/api/clips?limit={}", args.limit);
    let clips: Vec<Value> = gateway.control.get(&uri).await?;
    for clip in &clips {
        if args.json {
            writeln!(out, "{clip}")?;
        } else if let Ok(shown) = Shown::deserialize(clip) {
            writeln!(out, "{}", line(&shown, &gateway.zone))?;
        }
    }
    if clips.is_empty() && !args.json {
        writeln!(out, "no clips")?;
    }
    Ok(())
}

fn line(shown: &Shown, zone: &TimeZone) -> String {
    let mut line = format!(
        "{}  {}  {:<9}  {:>9}  {:.2} {}",
        shown.clip_id,
        text::local(&shown.at, zone),
        shown.state,
        text::bytes(shown.bytes),
        shown.score,
        shown.kind
    );
    if let Some(staff) = &shown.staff_id {
        line.push_str(&format!(", {staff}"));
    }
    if let Some(reason) = &shown.reason {
        line.push_str(&format!(": {reason}"));
    }
    text::one_line(&line)
}

async fn export(args: &ClipsExportArgs, gateway: &Gateway, out: Out<'_>) -> Result<(), Failure> {
    let base = format!("/api/clips/{}", args.id);
    let clip: Shown = gateway.control.get(&base).await?;
    let named = |track: &&Track, asked: &String| track.name == *asked;
    let numbered = |track: &&Track, asked: &String| track.camera.to_string() == *asked;
    let tracks: Vec<&Track> = match &args.camera {
        None => clip.cameras.iter().collect(),
        Some(asked) => {
            let mut tracks = clip.cameras.iter();
            let by_name = tracks.clone().find(|track| named(track, asked));
            let found = by_name.or_else(|| tracks.find(|track| numbered(track, asked)));
            found.into_iter().collect()
        }
    };
    if tracks.is_empty() {
        let reason = clip.reason.as_deref().unwrap_or(&clip.state);
        let of = args.camera.as_ref().map(|asked| format!(" of `{asked}`"));
        let of = of.unwrap_or_default();
        let sentence = format!("clip {} has no pictures{of} ({reason})", args.id);
        return Err(Failure::Failed(text::one_line(&sentence)));
    }
    let at: Timestamp = clip
        .at
        .parse()
        .map_err(|why| Failure::Failed(format!("the clip's time cannot be read: {why}")))?;
    let keep_free = keep_free(&args.to, gateway.data());
    for track in tracks {
        let camera = (clip.cameras.len() > 1).then_some(track.name.as_str());
        let staff = clip.staff_id.as_deref();
        let name = ClipName::new(at.as_microsecond(), &clip.kind, staff, camera);
        let uri = format!("{base}/video.mp4?form=original&camera={}", track.camera);
        let film = gateway.control.stream(&uri).await?;
        let exported = download(film, track.frames, name, args.to.clone(), keep_free).await?;
        writeln!(
            out,
            "{}  {} pictures, {}",
            exported.path.display(),
            exported.frames,
            text::bytes(exported.bytes)
        )?;
    }
    Ok(())
}

/// The till's own disk keeps what the till needs; a stick may be filled.
fn keep_free(to: &Path, data: &Path) -> u64 {
    let disk_of = |path: &Path| {
        let existing = path.ancestors().find_map(|path| {
            let path = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            };
            std::fs::metadata(path).ok()
        });
        existing.map(|data| data.dev())
    };
    if disk_of(to) == disk_of(data) {
        MediaOptions::default().keep_free_bytes
    } else {
        0
    }
}

/// Takes a film from the gateway to its file.
async fn download(
    mut film: Incoming,
    frames: usize,
    name: ClipName,
    to: PathBuf,
    keep_free: u64,
) -> Result<Exported, Failure> {
    let early = || Failure::Failed("the gateway does not say how long the film is".into());
    let bytes = film.size_hint().exact().ok_or_else(early)?;
    let (sender, receiver) = mpsc::channel::<Result<Bytes, String>>(PIECES);
    let writing = tokio::task::spawn_blocking(move || {
        let to = Destination {
            folder: &to,
            keep_free,
        };
        keep(bytes, frames, &name, to, |out| fill(receiver, bytes, out))
    });
    loop {
        let piece = match tokio::time::timeout(SILENCE, film.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(piece) => Ok(piece),
                Err(_) => continue,
            },
            Ok(Some(Err(why))) => Err(why.to_string()),
            Err(_) => Err("the gateway sends nothing any more".into()),
        };
        let ends = piece.is_err();
        // Whoever writes has given up, and says why.
        if sender.send(piece).await.is_err() || ends {
            break;
        }
    }
    drop(sender);
    let written = writing
        .await
        .map_err(|why| Failure::Failed(why.to_string()))?;
    written.map_err(|why| Failure::Failed(why.to_string()))
}

fn fill(
    mut pieces: mpsc::Receiver<Result<Bytes, String>>,
    bytes: u64,
    out: &mut dyn io::Write,
) -> Result<(), RemuxError> {
    let mut written = 0;
    while let Some(piece) = pieces.blocking_recv() {
        let piece = piece.map_err(RemuxError::Ended)?;
        out.write_all(&piece).map_err(RemuxError::Output)?;
        written += piece.len() as u64;
    }
    if written == bytes {
        return Ok(());
    }
    let why = format!("{written} of {bytes} bytes came");
    Err(RemuxError::Ended(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn clip() -> Shown {
        let clip = json!({
            "clip_id": "6f9c", "state": "partial", "reason": "door delivered\nno picture",
            "at": "2026-11-21T08:15:30.250000Z", "kind": "void", "staff_id": "E042", "score": 0.7,
            "bytes": 3_145_728, "cameras": [{"camera": 0, "name": "front", "frames": 20}],
        });
        Shown::deserialize(clip).unwrap()
    }

    #[test]
    fn a_clip_is_one_line() {
        let expected = "6f9c  2026-11-21 08:15:30  partial      3.0 MiB  0.70 void, E042: door delivered no picture";
        assert_eq!(line(&clip(), &TimeZone::UTC), expected);
    }

    #[test]
    fn a_film_that_ends_early_is_no_film() {
        let pieces = |pieces: Vec<Result<Bytes, String>>| {
            let (sender, receiver) = mpsc::channel(PIECES);
            pieces
                .into_iter()
                .for_each(|piece| sender.try_send(piece).unwrap());
            receiver
        };
        let film = Bytes::from_static(b"film");
        let mut out = Vec::new();
        fill(pieces(vec![Ok(film.clone())]), 4, &mut out).unwrap();
        assert_eq!(out, b"film");
        let short = fill(pieces(vec![Ok(film.clone())]), 5, &mut out).unwrap_err();
        assert_eq!(short.to_string(), "the film ends early: 4 of 5 bytes came");
        let broken = vec![Ok(film), Err("reset".into())];
        let broken = fill(pieces(broken), 4, &mut out).unwrap_err();
        assert_eq!(broken.to_string(), "the film ends early: reset");
    }

    #[test]
    fn the_tills_own_disk_is_not_filled() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("not").join("there");
        assert!(keep_free(&to, folder.path()) > 0);
        assert_eq!(keep_free(&to, Path::new("/proc")), 0);
    }
}
