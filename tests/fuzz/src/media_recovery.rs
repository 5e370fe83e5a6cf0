//! Footage after whatever happened to its files.
//!
//! As for the log, an input says which checksums are put right before the files are opened: what
//! passes them may still be anything.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use crc32fast::Hasher;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tillwatch_protocol::time::Clock;
use tillwatch_protocol::{
    AlertId, ClipId, ClipReport, ClipRequest, ClipState, FrameKey, LogId, Score, Stamp,
};
use tillwatch_store::media::{
    ClipDescriptor, Media, MediaError, MediaOptions, Refusal, StoredFrame,
};

/// Bytes before the first record; the second copy of the header begins in the middle.
const HEADER_AREA: usize = 4_096;
/// A copy of the header.
pub const HEADER: usize = 64;
/// Where the seal lies, and how much of it an input brings.
pub const SEAL_AT: usize = 512;
/// Bytes of the seal in an input: up to three runs.
pub const SEAL_BYTES: usize = 24 + 3 * 48 + 4;
const RECORD: usize = 64;
const SEGMENT_BYTES: usize = 256 << 10;
const MOST_FILES: usize = 3;

/// Puts the header's checksum right.
pub const RIGHT_HEADER: u8 = 1;
/// Puts the records' checksums and their chain right.
pub const RIGHT_RECORDS: u8 = 2;
/// Both copies of the header are there.
pub const BOTH_COPIES: u8 = 4;
/// The file has its full length.
pub const FULL_LENGTH: u8 = 8;
/// The header is given the identity of the log and an ordinal.
pub const OURS: u8 = 16;
/// The bytes begin, behind the header, with a seal whose checksum is put right.
pub const SEALED: u8 = 32;

/// The identity that [`OURS`] gives.
pub const LOG: LogId = LogId(uuid::Uuid::from_bytes([0x77; 16]));

/// The input is up to three files, each: `u8` what is put right (the constants above), `u8` its
/// ordinal, `u16` length, bytes: a copy of the header, a seal if it has one, records.
pub fn run(input: &[u8]) {
    let memory = Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let dir = dir.expect("a temporary folder");
    let mut input = Unstructured::new(input);
    // An input that ends in the middle of a file ends there.
    let _ = files(&mut input, dir.path());
    if let Some(before) = opened(dir.path(), 1) {
        let after = opened(dir.path(), 2).expect("what opened once opens again");
        for (key, bytes) in &before {
            assert_eq!(
                after.get(key),
                Some(bytes),
                "frame {key} can be read for ever"
            );
        }
    }
}

fn options() -> MediaOptions {
    MediaOptions {
        budget_bytes: 6 * SEGMENT_BYTES as u64,
        provisional_for: Duration::from_secs(600),
        group_delay: Duration::from_millis(1),
        ..MediaOptions::small()
    }
}

/// Opens, reads everything, records a clip of a frame, closes. What can be read, by name.
fn opened(dir: &Path, life: u64) -> Option<BTreeMap<FrameKey, Bytes>> {
    let (media, opened) = match Media::open_alone(dir, LOG, options()) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let _ = opened.notices.concat();
    let mut frames = BTreeMap::new();
    let boots = media
        .durable()
        .borrow()
        .values()
        .map(|key| key.boot)
        .collect::<Vec<_>>();
    for boot in boots.into_iter().chain([0, 1]) {
        let pin = media
            .pin_time(boot, 0, u64::MAX)
            .expect("a time can be looked at");
        for camera in pin.cameras() {
            let track = pin.track(camera, "fuzz", 1).expect("it has frames");
            assert!(track.frames as usize <= pin.of(camera).len());
        }
        for found in pin.frames() {
            match pin.read(found.key) {
                Ok(bytes) => {
                    assert_eq!(bytes.len(), found.bytes as usize);
                    frames.insert(found.key, bytes);
                }
                Err(error) => assert!(matches!(error, MediaError::Damaged(_)), "{error}"),
            }
        }
    }
    for clip in media.clips() {
        match media.pin_clip(clip.request.clip_id) {
            Ok(pin) => assert!(clip.dropped().is_none() || pin.frames().is_empty()),
            Err(error) => assert!(matches!(error, MediaError::Dropped { .. }), "{error}"),
        }
    }
    let _ = media.usage();
    record(&media, life);
    media.close();
    Some(frames)
}

/// A camera and a boot that no other frame of the input needs to have.
fn record(media: &Media, life: u64) {
    let boot = u64::MAX - 3 + life;
    let key = FrameKey {
        camera: 200,
        boot,
        seq: media.next_seq(200, boot),
    };
    let jpeg = Bytes::from_static(b"a picture");
    let frame = StoredFrame {
        key,
        monotonic_ns: 5,
        utc_us: 0,
        jpeg: jpeg.clone(),
    };
    if let Err(full) = media.put(frame) {
        // The input's own frame of that camera comes later still.
        assert_eq!(full.why, Refusal::Order);
        return;
    }
    let stamp = Stamp {
        boot,
        monotonic_ns: 5,
        utc_us: 0,
        clock: Clock::Synced,
    };
    let alert_id = AlertId(uuid::Uuid::from_u64_pair(life, life));
    let clip_id = ClipId::of(alert_id);
    let request = ClipRequest {
        clip_id,
        alert_id,
        cause: stamp,
        from_ns: 0,
        to_ns: 9,
        score: Score::from_milli(800),
        kind: "fuzz".into(),
        staff_id: None,
    };
    media.flush();
    let mut durable = media.durable();
    while durable.borrow_and_update().get(&200) != Some(&key) {
        std::thread::yield_now();
    }
    let pin = media.pin_time(boot, 5, 5).expect("what was put is found");
    let cameras = pin.track(200, "fuzz", 1).into_iter().collect();
    assert_eq!(pin.read(key).expect("what was put is read"), jpeg);
    let report = ClipReport {
        clip_id,
        state: ClipState::Complete,
        cameras,
        stamp,
    };
    let commit = media.commit(ClipDescriptor { request, report });
    match commit.expect("a clip is taken").wait() {
        // The input's own table may have no room.
        Ok(()) | Err(MediaError::NoRoom) => {}
        Err(error) => panic!("{error}"),
    }
}

fn files(input: &mut Unstructured<'_>, dir: &Path) -> Result<()> {
    for slot in 0..MOST_FILES {
        if input.is_empty() {
            break;
        }
        let [put_right, ordinal] = input.arbitrary()?;
        let length = usize::from(input.arbitrary::<u16>()?).min(input.len());
        let bytes = input.bytes(length)?;
        let name = format!("{slot:05}.vid");
        fs::write(dir.join(name), segment(bytes, put_right, ordinal)).expect("a file");
    }
    Ok(())
}

fn segment(bytes: &[u8], put_right: u8, ordinal: u8) -> Vec<u8> {
    let (header, mut records) = bytes.split_at(HEADER.min(bytes.len()));
    let mut file = vec![0; HEADER_AREA];
    file[..header.len()].copy_from_slice(header);
    if put_right & OURS != 0 {
        file[16..32].copy_from_slice(LOG.0.as_bytes());
        file[32..40].copy_from_slice(&u64::from(ordinal).to_le_bytes());
    }
    if put_right & RIGHT_HEADER != 0 {
        // Ordinals stay below 2^56.
        file[39] = 0;
        let crc = crc32fast::hash(&file[..HEADER - 4]);
        file[HEADER - 4..HEADER].copy_from_slice(&crc.to_le_bytes());
    }
    if put_right & BOTH_COPIES != 0 {
        file.copy_within(..HEADER, HEADER_AREA / 2);
    }
    let salt = crc32fast::hash(&file[16..48]);
    if put_right & SEALED != 0 {
        let (seal, rest) = records.split_at(SEAL_BYTES.min(records.len()));
        records = rest;
        file[SEAL_AT..SEAL_AT + seal.len()].copy_from_slice(seal);
        let runs = u32::from_le_bytes([file[524], file[525], file[526], file[527]]);
        let end = SEAL_AT + 24 + 48 * if runs <= 3 { runs as usize } else { 0 };
        let crc = salted(salt, &file[SEAL_AT..end]);
        file[end..end + 4].copy_from_slice(&crc.to_le_bytes());
    }
    file.extend_from_slice(records);
    if put_right & RIGHT_RECORDS != 0 {
        chain(&mut file, salt);
    }
    if put_right & FULL_LENGTH != 0 {
        file.resize(SEGMENT_BYTES, 0);
    }
    file
}

fn salted(salt: u32, bytes: &[u8]) -> u32 {
    let mut crc = Hasher::new_with_initial(salt);
    crc.update(bytes);
    crc.finalize()
}

/// Puts the checksums of the records right, as far as one follows another.
fn chain(file: &mut [u8], salt: u32) {
    let (mut at, mut before) = (HEADER_AREA, salt);
    while let Some(length) = file
        .get(at..at + RECORD)
        .map(|head| u32::from_le_bytes([head[0], head[1], head[2], head[3]]))
    {
        let end = at + RECORD + length as usize;
        if end > file.len() {
            break;
        }
        let body = salted(salt, &file[at + RECORD..end]);
        file[at + 4..at + 8].copy_from_slice(&body.to_le_bytes());
        file[at + 8..at + 12].copy_from_slice(&before.to_le_bytes());
        before = salted(salt, &file[at..at + 60]);
        file[at + 60..at + 64].copy_from_slice(&before.to_le_bytes());
        at = end.next_multiple_of(8);
    }
}
