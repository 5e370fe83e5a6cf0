//! What a clip became, once all its frames are on disk.

use super::cameras::Cameras;
use std::time::Duration;
use tillwatch_protocol::Record;
use tillwatch_protocol::clip::{ClipReport, ClipRequest, ClipState, ClipTrack};
use tillwatch_protocol::time::{SECOND_NS, Stamp};
use tillwatch_store::media::{ClipDescriptor, Media, MediaError, Pin};
use tillwatch_store::{Store, Urgency};

/// So many nanoseconds may be missing at either end of a clip that is called complete.
const SLACK_NS: u64 = SECOND_NS;
/// Pause before another try when too many read footage.
const BUSY: Duration = Duration::from_millis(200);
/// Tries.
const TRIES: u32 = 25;

/// Why footage may be missing that nobody saw go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The recording went through.
    None,
    /// The program ended while it was recording.
    Restart,
}

/// Whether a clip has what was wanted. Pure; `named` are all cameras by number.
#[must_use]
pub fn judge(
    request: &ClipRequest,
    tracks: &[ClipTrack],
    named: &[String],
    interruption: Interruption,
) -> ClipState {
    let seconds = |ns: u64| format!("{}.{} s", ns / SECOND_NS, ns % SECOND_NS / (SECOND_NS / 10));
    let mut missing = Vec::new();
    if interruption == Interruption::Restart {
        missing.push("the recording was interrupted by a restart".to_owned());
    }
    if tracks.is_empty() {
        missing.push("no camera delivered a picture".to_owned());
        let reason = missing.join("; ");
        return ClipState::Empty { reason };
    }
    for (number, name) in (0_u8..).zip(named) {
        let Some(track) = tracks.iter().find(|track| track.camera == number) else {
            missing.push(format!("{name} delivered no picture"));
            continue;
        };
        let late = track.first_ns.saturating_sub(request.from_ns);
        if late > SLACK_NS {
            missing.push(format!("{name} begins {} late", seconds(late)));
        }
        let early = request.to_ns.saturating_sub(track.last_ns);
        if early > SLACK_NS {
            missing.push(format!("{name} ends {} early", seconds(early)));
        }
        let lost: u64 = track
            .gaps
            .iter()
            .map(|(from, to)| to.saturating_sub(*from))
            .sum();
        if lost > 0 {
            let times = track.gaps.len();
            missing.push(format!(
                "{name} has {times} gaps of together {}",
                seconds(lost)
            ));
        }
    }
    if missing.is_empty() {
        ClipState::Complete
    } else {
        ClipState::Partial {
            reason: missing.join("; "),
        }
    }
}

/// Describes what is stored of a clip's time, and makes it a clip on disk and in the log. Blocks.
///
/// # Errors
/// [`MediaError`]; then it is tried again after the next start.
pub fn finish(
    media: &Media,
    store: &Store,
    cameras: &Cameras,
    request: &ClipRequest,
    stamp: Stamp,
    interruption: Interruption,
) -> Result<ClipReport, MediaError> {
    let names = names(store, cameras, request.cause.boot);
    let pin = pinned(media, request)?;
    let tracks: Vec<ClipTrack> = pin
        .cameras()
        .into_iter()
        .filter_map(|camera| {
            let name = names.get(usize::from(camera));
            let name = name.map_or("unknown", String::as_str);
            pin.track(camera, name, cameras.period_ns(camera))
        })
        .collect();
    let mut report = ClipReport {
        clip_id: request.clip_id,
        state: judge(request, &tracks, &names, interruption),
        cameras: tracks,
        stamp,
    };
    let commit = |report: &ClipReport| {
        let clip = ClipDescriptor {
            request: request.clone(),
            report: report.clone(),
        };
        media
            .commit(clip)
            .and_then(tillwatch_store::media::Commit::wait)
    };
    match commit(&report) {
        Err(MediaError::FramesLost { .. }) => {
            let reason = "footage was lost because the disk had no room for it".to_owned();
            report.state = ClipState::Partial { reason };
            commit(&report)?;
        }
        other => other?,
    }
    drop(pin);
    let record = Record::ClipReport(report.clone());
    if let Err(why) = store.append(&[record], Urgency::Normal) {
        // The clip itself is on disk; the next start finds that the log does not say so.
        tracing::warn!(%why, clip = %request.clip_id, "the log does not tell of a clip yet");
    }
    Ok(report)
}

/// The cameras by their numbers: in an earlier boot they may have been others.
fn names(store: &Store, cameras: &Cameras, boot: u64) -> Vec<String> {
    let then = store.cameras_of(boot);
    if boot != store.boot_ordinal() && !then.is_empty() {
        return then.to_vec();
    }
    (0..cameras.cameras())
        .filter_map(|camera| cameras.name(camera).map(str::to_owned))
        .collect()
}

fn pinned(media: &Media, request: &ClipRequest) -> Result<Pin, MediaError> {
    let mut tries = 0;
    loop {
        match media.pin_time(request.cause.boot, request.from_ns, request.to_ns) {
            Err(MediaError::Pins(_)) if tries < TRIES => {
                tries += 1;
                std::thread::sleep(BUSY);
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::clip::ClipId;
    use tillwatch_protocol::time::Clock;
    use tillwatch_protocol::{AlertId, Score};

    const S: u64 = SECOND_NS;

    fn request() -> ClipRequest {
        let alert_id = AlertId(uuid::Uuid::from_u128(1));
        ClipRequest {
            clip_id: ClipId::of(alert_id),
            alert_id,
            cause: Stamp {
                boot: 1,
                monotonic_ns: 100 * S,
                utc_us: 0,
                clock: Clock::Synced,
            },
            from_ns: 40 * S,
            to_ns: 160 * S,
            score: Score::from_milli(600),
            kind: "void".into(),
            staff_id: None,
        }
    }

    fn track(camera: u8, first_s: u64, last_s: u64, gaps: Vec<(u64, u64)>) -> ClipTrack {
        ClipTrack {
            camera,
            name: "counter".into(),
            boot: 1,
            first_seq: 1,
            last_seq: 2,
            frames: 2,
            bytes: 2,
            first_ns: first_s * S,
            last_ns: last_s * S,
            gaps,
        }
    }

    fn names() -> Vec<String> {
        vec!["counter".into(), "door".into()]
    }

    #[test]
    fn what_was_wanted_of_every_camera_is_complete() {
        let tracks = [track(0, 40, 160, vec![]), track(1, 41, 159, vec![])];
        let state = judge(&request(), &tracks, &names(), Interruption::None);
        assert_eq!(state, ClipState::Complete);
    }

    #[test]
    fn what_is_missing_is_said_camera_by_camera() {
        let gaps = vec![(50 * S, 52 * S), (60 * S, 61 * S + S / 2)];
        let tracks = [track(0, 50, 150, gaps)];
        let state = judge(&request(), &tracks, &names(), Interruption::Restart);
        let reason = "the recording was interrupted by a restart; counter begins 10.0 s late; \
                      counter ends 10.0 s early; counter has 2 gaps of together 3.5 s; \
                      door delivered no picture";
        assert_eq!(
            state,
            ClipState::Partial {
                reason: reason.into()
            }
        );
    }

    #[test]
    fn without_a_picture_it_is_empty() {
        let state = judge(&request(), &[], &names(), Interruption::None);
        assert!(matches!(state, ClipState::Empty { reason } if reason.contains("no camera")));
    }
}
