//! Reading footage: a reader pins the segments that it needs.

use super::format::{Entry, Kind, RECORD_HEADER, RecordHeader, decode_index, salted};
use super::pool::{Pinned, Used};
use super::recycle::has;
use super::scan::scan;
use super::{Inner, MediaError, StoredRef};
use crate::disk::DiskFile;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use tillwatch_protocol::clip::CLIP_GAPS;
use tillwatch_protocol::{ClipId, ClipTrack, FrameKey};

/// A frame period that is longer than this many times the usual is a gap.
const GAP_PERIODS: u64 = 3;

/// Footage that stays where it is while this is held, for [`super::MediaOptions::pin_for`] at most.
#[derive(Debug)]
pub struct Pin {
    media: Arc<Inner>,
    id: u64,
    frames: Vec<StoredRef>,
    /// Beside each frame: its segment and its place in there.
    places: Vec<(u64, Entry)>,
    files: BTreeMap<u64, (Arc<dyn DiskFile>, u32)>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        crate::lock(&self.media.held).pool.pins.remove(&self.id);
    }
}

impl Pin {
    pub(super) fn clip(media: &Arc<Inner>, id: ClipId) -> Result<Pin, MediaError> {
        let clip = crate::lock(&media.held).table.get(id).cloned();
        let clip = clip.ok_or(MediaError::NoSuchClip(id))?;
        let ordinals = |held: &super::changes::Held| {
            // As it is at the moment of pinning: it may have been thinned since.
            let clip = held.table.get(id).ok_or(MediaError::NoSuchClip(id))?;
            match clip.dropped() {
                Some(reason) => Err(MediaError::Dropped {
                    clip_id: id,
                    reason: reason.to_owned(),
                }),
                None => Ok(clip.places.iter().map(|place| place.ordinal).collect()),
            }
        };
        Self::new(media, ordinals, |entry| has(&clip, entry))
    }

    pub(super) fn time(
        media: &Arc<Inner>,
        boot: u64,
        from_ns: u64,
        to_ns: u64,
    ) -> Result<Pin, MediaError> {
        let within = from_ns..=to_ns;
        Self::new(
            media,
            |held| Ok(held.pool.of_time(boot, from_ns, to_ns)),
            |entry| entry.key.boot == boot && within.contains(&entry.monotonic_ns),
        )
    }

    fn new(
        media: &Arc<Inner>,
        ordinals: impl FnOnce(&super::changes::Held) -> Result<BTreeSet<u64>, MediaError>,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Pin, MediaError> {
        let mut pin = Pin {
            media: Arc::clone(media),
            id: 0,
            frames: Vec::new(),
            places: Vec::new(),
            files: BTreeMap::new(),
        };
        let segments: BTreeMap<u64, Used> = {
            let mut held = crate::lock(&media.held);
            if held.pool.pins.len() >= media.options.max_pins {
                return Err(MediaError::Pins(media.options.max_pins));
            }
            let ordinals = ordinals(&held)?;
            held.pool.next_pin += 1;
            pin.id = held.pool.next_pin;
            let known = ordinals.iter().filter_map(|at| {
                let used = held.pool.used.get(at)?;
                Some((*at, used.clone()))
            });
            let segments = known.collect();
            let since = media.now();
            let id = pin.id;
            held.pool.pins.insert(id, Pinned { ordinals, since });
            segments
        };
        // The newest segment wins: a frame is in two when a failed sync had it written again.
        let mut found: BTreeMap<FrameKey, (u64, Entry)> = BTreeMap::new();
        for (ordinal, used) in segments {
            let path = media.path(used.slot);
            let file = media.disk.open(&path);
            let file = file.map_err(MediaError::io("open", &path))?;
            let entries = entries_of(file.as_ref(), &used);
            let entries = entries.map_err(MediaError::io("read", &path))?;
            let frames = entries
                .into_iter()
                .filter(|entry| entry.kind == Kind::Frame);
            found.extend(
                frames
                    .filter(&wanted)
                    .map(|entry| (entry.key, (ordinal, entry))),
            );
            pin.files.insert(ordinal, (file, used.salt));
        }
        pin.frames = found
            .values()
            .map(|(_, entry)| StoredRef {
                key: entry.key,
                monotonic_ns: entry.monotonic_ns,
                utc_us: entry.utc_us,
                bytes: entry.len,
            })
            .collect();
        pin.places = found.into_values().collect();
        Ok(pin)
    }

    /// What is there, by camera, then by time.
    #[must_use]
    pub fn frames(&self) -> &[StoredRef] {
        &self.frames
    }

    /// The cameras that have something there.
    #[must_use]
    pub fn cameras(&self) -> Vec<u8> {
        let cameras: BTreeSet<u8> = self.frames.iter().map(|frame| frame.key.camera).collect();
        cameras.into_iter().collect()
    }

    /// What is there of one camera, oldest first.
    #[must_use]
    pub fn of(&self, camera: u8) -> &[StoredRef] {
        let from = self
            .frames
            .partition_point(|frame| frame.key.camera < camera);
        let to = self
            .frames
            .partition_point(|frame| frame.key.camera <= camera);
        self.frames.get(from..to).unwrap_or_default()
    }

    /// What is there of one camera in the words of a report: of the newest boot, if it is of
    /// several. `period_ns` is the usual time between two frames.
    #[must_use]
    pub fn track(&self, camera: u8, name: &str, period_ns: u64) -> Option<ClipTrack> {
        let frames = self.of(camera);
        let last = frames.last()?;
        let boot = last.key.boot;
        let begin = frames.partition_point(|frame| frame.key.boot < boot);
        let frames = frames.get(begin..).unwrap_or_default();
        let first = frames.first()?;
        let mut gaps: Vec<(u64, u64)> = Vec::new();
        for pair in frames.windows(2) {
            let (from, to) = (pair[0].monotonic_ns, pair[1].monotonic_ns);
            if to.saturating_sub(from) <= GAP_PERIODS.saturating_mul(period_ns) {
                continue;
            }
            if gaps.len() < CLIP_GAPS {
                gaps.push((from, to));
            } else if let Some(gap) = gaps.last_mut() {
                gap.1 = to;
            }
        }
        Some(ClipTrack {
            camera,
            name: name.to_owned(),
            boot,
            first_seq: first.key.seq,
            last_seq: last.key.seq,
            frames: u32::try_from(frames.len()).unwrap_or(u32::MAX),
            bytes: frames.iter().map(|frame| u64::from(frame.bytes)).sum(),
            first_ns: first.monotonic_ns,
            last_ns: last.monotonic_ns,
            gaps,
        })
    }

    /// Reads a picture. Blocks on the disk.
    ///
    /// # Errors
    /// [`MediaError::NotStored`] for a frame that is not among [`Pin::frames`],
    /// [`MediaError::Damaged`] when it is not what was written (the disk is bad, or this pin was
    /// held too long), [`MediaError::Io`].
    pub fn read(&self, key: FrameKey) -> Result<Bytes, MediaError> {
        let at = self.frames.binary_search_by_key(&key, |frame| frame.key);
        let at = at.map_err(|_| MediaError::NotStored(key))?;
        let (ordinal, entry) = self.places.get(at).ok_or(MediaError::NotStored(key))?;
        let (file, salt) = self.files.get(ordinal).ok_or(MediaError::NotStored(key))?;
        frame_at(file.as_ref(), *salt, entry).map_err(|error| {
            if error.kind() == io::ErrorKind::InvalidData {
                self.media.counters.damaged.add(1);
                MediaError::Damaged(key)
            } else {
                MediaError::io("read", &self.media.dir)(error)
            }
        })
    }
}

/// What lies where in a segment.
pub(super) fn entries_of(file: &dyn DiskFile, used: &Used) -> io::Result<Vec<Entry>> {
    let Some(index_at) = used.index_at else {
        return Ok(used.entries.clone());
    };
    match index_at_offset(file, used.salt, index_at)? {
        Some(entries) => Ok(entries),
        // The seal came to the disk and the index did not, or it is damaged.
        None => Ok(scan(file, used.salt)?.entries),
    }
}

/// Reads the index at an offset; `None` when there is none that is whole.
pub(super) fn index_at_offset(
    file: &dyn DiskFile,
    salt: u32,
    at: u32,
) -> io::Result<Option<Vec<Entry>>> {
    let index = body_at(file, salt, u64::from(at))?;
    Ok(index
        .filter(|(header, _)| header.kind == Kind::Index)
        .and_then(|(_, body)| decode_index(&body)))
}

/// Reads a record; `None` when there is none that is whole.
pub(super) fn body_at(
    file: &dyn DiskFile,
    salt: u32,
    at: u64,
) -> io::Result<Option<(RecordHeader, Vec<u8>)>> {
    let mut header = [0; RECORD_HEADER];
    let got = file.read_at(&mut header, at)?;
    let header = header
        .get(..got)
        .and_then(|bytes| RecordHeader::decode(bytes, salt));
    let Some(header) = header else {
        return Ok(None);
    };
    let mut body = vec![0; header.len as usize];
    let got = file.read_at(&mut body, at + RECORD_HEADER as u64)?;
    let whole = got == body.len() && salted(salt, &[&body]) == header.body_crc;
    Ok(whole.then_some((header, body)))
}

/// Reads the picture of an entry; `InvalidData` when it is not the one that was written there.
pub(super) fn frame_at(file: &dyn DiskFile, salt: u32, entry: &Entry) -> io::Result<Bytes> {
    let record = body_at(file, salt, u64::from(entry.offset))?;
    match record {
        Some((header, body)) if header.kind == Kind::Frame && header.key == entry.key => {
            Ok(Bytes::from(body))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
