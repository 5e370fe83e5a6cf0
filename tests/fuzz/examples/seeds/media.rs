//! Seeds of the footage: segments that were closed, recycled, sealed, or left with half a write.

use crate::put;
use bytes::Bytes;
use std::fs;
use std::io::Result;
use std::path::Path;
use tillwatch_fuzz::media_recovery::{
    BOTH_COPIES, FULL_LENGTH, HEADER, LOG, OURS, RIGHT_HEADER, RIGHT_RECORDS, SEAL_AT, SEAL_BYTES,
    SEALED,
};
use tillwatch_protocol::time::Clock;
use tillwatch_protocol::{
    AlertId, ClipId, ClipReport, ClipRequest, ClipState, FrameKey, Score, Stamp,
};
use tillwatch_store::media::{ClipDescriptor, Mark, Media, MediaOptions, StoredFrame};

const RIGHT: u8 = RIGHT_HEADER | RIGHT_RECORDS | BOTH_COPIES | FULL_LENGTH;

pub fn make() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for life in 0..2_u64 {
        let (media, _) =
            Media::open_alone(dir.path(), LOG, MediaOptions::small()).expect("it opens");
        for n in 0..3 {
            clip(&media, life * 10 + n, 6, 900);
        }
        media.close();
        let segments = segments(dir.path())?;
        let input: Vec<u8> = segments.iter().flat_map(|one| file(RIGHT, one)).collect();
        put("media_recovery", &format!("life-{life}"), &input)?;
    }
    let one = segments(dir.path())?.remove(0);
    let ours = RIGHT_HEADER | OURS;
    put(
        "media_recovery",
        "torn",
        &file(ours | BOTH_COPIES, &one[..one.len() - 90]),
    )?;
    put(
        "media_recovery",
        "one-copy-of-the-header",
        &file(ours | RIGHT_RECORDS, &one),
    )?;
    put(
        "media_recovery",
        "header-only",
        &file(ours | BOTH_COPIES, &one[..HEADER]),
    )?;
    put("media_recovery", "nothing", &[])?;

    // Large pictures fill a segment, and it is sealed.
    let dir = tempfile::tempdir()?;
    let (media, _) = Media::open_alone(dir.path(), LOG, MediaOptions::small()).expect("it opens");
    clip(&media, 1, 1, 20_000);
    for n in 2..8 {
        clip(&media, n, 2, 50_000);
    }
    media.close();
    let first = fs::read(dir.path().join("00000.vid"))?;
    let seal = &first[SEAL_AT..SEAL_AT + SEAL_BYTES];
    let records = &first[4_096..4_096 + 30_000];
    let sealed = [&first[..HEADER], seal, records].concat();
    put("media_recovery", "sealed", &file(RIGHT | SEALED, &sealed))
}

fn clip(media: &Media, n: u64, frames: u64, bytes: usize) {
    let stamp = Stamp {
        boot: 1,
        monotonic_ns: n,
        utc_us: 1_759_588_455_000_000,
        clock: Clock::Synced,
    };
    let first = media.next_seq(0, 1);
    for seq in first..first + frames {
        let key = FrameKey {
            camera: 0,
            boot: 1,
            seq,
        };
        let frame = StoredFrame {
            key,
            monotonic_ns: seq * 66_000_000,
            utc_us: 0,
            jpeg: Bytes::from(vec![seq as u8; bytes]),
        };
        media.put(frame).expect("there is room");
    }
    media.flush();
    while media.durable().borrow().get(&0).map(|key| key.seq) != Some(first + frames - 1) {
        std::thread::yield_now();
    }
    let pin = media
        .pin_time(1, first * 66_000_000, u64::MAX)
        .expect("it is found");
    let alert_id = AlertId(uuid::Uuid::from_u64_pair(n, 1));
    let clip_id = ClipId::of(alert_id);
    let descriptor = ClipDescriptor {
        request: ClipRequest {
            clip_id,
            alert_id,
            cause: stamp,
            from_ns: 0,
            to_ns: 1,
            score: Score::from_milli(800),
            kind: "forced".into(),
            staff_id: Some("e1".into()),
        },
        report: ClipReport {
            clip_id,
            state: ClipState::Complete,
            cameras: pin.track(0, "counter", 66_000_000).into_iter().collect(),
            stamp,
        },
    };
    let commit = media.commit(descriptor).expect("it is taken");
    commit.wait().expect("it is on disk");
    let mark = media.mark(clip_id, Mark::Sent).expect("it is taken");
    mark.wait().expect("it is on disk");
}

/// Those in use: a copy of the header and the records.
fn segments(dir: &Path) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for slot in 0..8 {
        let path = dir.join(format!("{slot:05}.vid"));
        let Ok(bytes) = fs::read(path) else { continue };
        let records = &bytes[4_096..];
        let last = records.iter().rposition(|byte| *byte != 0);
        if let Some(last) = last.filter(|last| *last < 60_000) {
            let end = (last + 1).next_multiple_of(8);
            found.push([&bytes[..HEADER], &records[..end]].concat());
        }
    }
    Ok(found)
}

fn file(put_right: u8, bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![put_right, 1];
    file.extend((bytes.len() as u16).to_le_bytes());
    file.extend(bytes);
    file
}
