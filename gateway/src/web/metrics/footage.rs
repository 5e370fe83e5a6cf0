//! What became of pictures: in memory, on the way to the disk, and there.

use super::count;
use crate::clips::Clips;
use metrics::{Unit, describe_counter, describe_gauge};
use tillwatch_store::media::MediaUsage;

pub(super) fn describe() {
    describe_counter!(
        "frames_thinned_total",
        "older pictures left out of memory, to five a second"
    );
    describe_gauge!(
        "frames_memory_bytes",
        Unit::Bytes,
        "pictures in memory, of all cameras, those on their way to the disk included"
    );
    describe_counter!("media_frames_total", "pictures taken for the disk");
    describe_counter!(
        "media_payload_bytes_total",
        Unit::Bytes,
        "bytes of pictures that are on disk"
    );
    describe_counter!(
        "media_written_bytes_total",
        Unit::Bytes,
        "all bytes written for footage"
    );
    describe_counter!(
        "media_syncs_total",
        "syncs of all kinds for footage and the room for it"
    );
    describe_counter!(
        "media_refused_total",
        "times a picture was not taken for the disk; one that found too much waiting is offered again"
    );
    describe_counter!(
        "media_lost_total",
        "pictures given up because there was no room on the disk that could be used again"
    );
    describe_counter!(
        "media_thinned_total",
        "pictures left out of stored clips to make room"
    );
    describe_counter!("media_damaged_total", "stored pictures found damaged");
    describe_gauge!(
        "media_waiting_bytes",
        Unit::Bytes,
        "bytes of pictures that wait for the disk"
    );
    describe_gauge!(
        "media_bytes",
        Unit::Bytes,
        "bytes that footage takes on disk"
    );
    describe_gauge!("media_clips", "clips on disk");
    describe_gauge!("media_readers", "clips that are being read");
}

pub(super) fn ask(clips: &Clips) {
    let ring = clips.cameras.counters();
    metrics::gauge!("frames_memory_bytes").set(count(clips.cameras.bytes() as u64));
    let MediaUsage {
        frames,
        payload_bytes,
        bytes_written,
        fdatasyncs,
        other_syncs,
        waiting_bytes,
        refused_queue,
        refused_other,
        lost_full,
        bytes,
        clips,
        pins,
        thinned_frames,
        damaged,
        ..
    } = clips.media.usage();
    for (name, value) in [
        ("media_waiting_bytes", waiting_bytes),
        ("media_bytes", bytes),
        ("media_clips", clips),
        ("media_readers", pins),
    ] {
        metrics::gauge!(name).set(count(value));
    }
    for (name, value) in [
        ("frames_thinned_total", ring.thinned),
        ("media_frames_total", frames),
        ("media_payload_bytes_total", payload_bytes),
        ("media_written_bytes_total", bytes_written),
        ("media_syncs_total", fdatasyncs + other_syncs),
        ("media_refused_total", refused_queue + refused_other),
        ("media_lost_total", lost_full),
        ("media_thinned_total", thinned_frames),
        ("media_damaged_total", damaged),
    ] {
        metrics::counter!(name).absolute(value);
    }
}
