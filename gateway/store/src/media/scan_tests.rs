//! What a segment without a seal is taken to hold, byte by byte.

use super::batch::{Batch, Current};
use super::format::{SEGMENT_HEADER, SegmentHeader};
use super::scan::{Scanned, scan};
use super::stage::frame;
use crate::disk::Disk;
use crate::sim_disk::SimDisk;
use std::path::Path;

fn header(nonce: u64) -> SegmentHeader {
    SegmentHeader {
        log_id: [7; 16],
        ordinal: 3,
        nonce,
        bytes: 256 << 10,
    }
}

fn segment(nonce: u64) -> Current {
    let disk = SimDisk::default();
    let salt = header(nonce).salt();
    Current {
        ordinal: 3,
        slot: 0,
        file: disk.create(Path::new("/segment"), 256 << 10).unwrap(),
        bytes: 256 << 10,
        salt,
        offset: SEGMENT_HEADER as u64,
        chain: salt,
        write: 0,
        records: 0,
        header: None,
    }
}

/// Writes frames as one write; goes on behind them only if it is `synced`.
fn write(current: &mut Current, frames: std::ops::RangeInclusive<u64>, synced: bool) {
    let mut batch = Batch::new(current, Vec::new());
    frames.for_each(|seq| batch.add_frame(&frame(0, seq, 1_000)));
    batch.write_to(current.file.as_ref()).unwrap();
    if synced {
        current.offset = batch.end;
        current.chain = batch.chain;
        current.write += 1;
    }
}

fn numbers(scanned: &Scanned) -> Vec<u64> {
    scanned.entries.iter().map(|entry| entry.key.seq).collect()
}

fn scanned(current: &Current) -> Scanned {
    scan(current.file.as_ref(), current.salt).unwrap()
}

#[test]
fn a_segment_holds_what_was_written_to_it_in_this_life() {
    let mut current = segment(1);
    write(&mut current, 1..=3, true);
    let begin = current.offset;
    write(&mut current, 4..=5, true);
    let found = scanned(&current);
    assert_eq!(numbers(&found), [1, 2, 3, 4, 5]);
    assert_eq!((found.end, found.last_write_at), (current.offset, begin));
    assert_eq!((found.chain, found.write), (current.chain, 2));
    // The same ordinal, taken once more after a cut: another nonce, and nothing of it is ours.
    let other = scan(current.file.as_ref(), header(2).salt()).unwrap();
    assert_eq!((numbers(&other), other.torn), (Vec::new(), 0));
}

#[test]
fn what_a_cut_left_does_not_follow_what_is_written_later() {
    let mut current = segment(1);
    write(&mut current, 1..=3, true);
    // Never synced: a cut ends it, and the next life writes over its first frame only.
    write(&mut current, 4..=6, false);
    write(&mut current, 14..=14, true);
    let found = scanned(&current);
    assert_eq!(numbers(&found), [1, 2, 3, 14]);
    // Frame 5 lies where the next write will go, and is no part of anything.
    assert_eq!((found.torn, found.holes), (1, 0));
}

#[test]
fn a_torn_write_ends_the_segment_and_damage_before_a_later_write_does_not() {
    let mut current = segment(1);
    write(&mut current, 1..=2, true);
    let hurt = current.offset;
    write(&mut current, 3..=4, true);
    let damage = |current: &Current| current.file.write_all_at(&[1; 8], hurt + 80).unwrap();
    damage(&current);
    let found = scanned(&current);
    assert_eq!(
        (numbers(&found), found.holes, found.torn),
        (vec![1, 2], 0, 1)
    );
    // The write after it was begun when that one was synced: so this is no torn end.
    write(&mut current, 5..=6, true);
    let found = scanned(&current);
    assert_eq!(numbers(&found), [1, 2, 4, 5, 6]);
    assert_eq!((found.holes, found.torn), (1, 0));
}
