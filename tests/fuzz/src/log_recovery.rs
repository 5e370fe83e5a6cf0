//! The data directory after whatever happened to its files.
//!
//! Checksums would stop nearly every change that is made up at random, so an input says which of
//! them are put right before the store sees the files: what passes them may still be anything.

use arbitrary::{Result, Unstructured};
use crc32fast::Hasher;
use std::borrow::Cow;
use std::fs;
use std::path::Path;
use tillwatch_protocol::time::Clock;
use tillwatch_protocol::{Lane, Notice, Record, Seq, Stamp};
use tillwatch_store::{Store, StoreOptions, Urgency};

/// Header area of a segment; its second copy begins in the middle.
const HEADER_AREA: usize = 4_096;
const HEADER: usize = 72;
/// Bytes of a record before its body.
const RECORD: usize = 24;
const SEGMENT_BYTES: usize = 64 << 10;
const MOST_FILES: usize = 6;

/// Puts the header's checksum right, or makes a whole state file of the bytes.
pub const SEAL: u8 = 1;
/// Puts the records' checksums right.
pub const SEAL_RECORDS: u8 = 2;
/// Both copies of the header are there.
pub const BOTH_COPIES: u8 = 4;
/// The file has its full length.
pub const FULL_LENGTH: u8 = 8;
/// The header is given the identity of the log and the ordinal of the file's name.
pub const OURS: u8 = 16;

/// The input is up to six files, each: `u8` which, `u8` what is put right (the constants above),
/// `u8` its ordinal, `u16` length, bytes.
///
/// | which mod 8 | file | bytes |
/// | --- | --- | --- |
/// | 0 to 3 | segment of the log | a copy of the header (72), then records |
/// | 4 | segment of the quarantine | the same |
/// | 5 | `outbox.state` | as they are, or the body |
/// | 6 | snapshot of that ordinal | the same |
/// | 7 | `identity` | the same |
pub fn run(input: &[u8]) {
    let dir = temporary();
    let mut input = Unstructured::new(input);
    // An input that ends in the middle of a file ends there.
    let _ = files(&mut input, dir.path());
    let most = bytes_in(dir.path()) / RECORD as u64 * 2 + 64;

    let before = opened(dir.path(), most);
    let after = opened(dir.path(), most + 1);
    if let (Some(before), Some(after)) = (before, after) {
        // What could be read once can be read for ever, and what was appended comes behind it.
        assert!(
            after.starts_with(&before.records),
            "{:#?}\n{:#?}",
            before.records,
            after.records
        );
        let appended = after.records.get(before.records.len());
        assert_eq!(appended.map(|(seq, _)| *seq), Some(before.appended));
    }
}

/// In memory where the system has it.
fn temporary() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("a temporary folder")
}

struct Found {
    records: Vec<(Seq, Record)>,
    appended: Seq,
}

impl Found {
    fn starts_with(&self, records: &[(Seq, Record)]) -> bool {
        self.records.starts_with(records)
    }
}

/// Opens, reads everything, appends a record, closes.
fn opened(dir: &Path, most: u64) -> Option<Found> {
    let options = StoreOptions {
        boot_id: Some("fuzz".into()),
        ..StoreOptions::small()
    };
    let (store, opened) = match Store::open(dir, options) {
        Ok(opened) => opened,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty());
            // From then on nothing would be tested, and nothing that is found could be written down.
            assert!(!text.contains("Too many open files"), "{text}");
            return None;
        }
    };
    let _ = opened.notices.concat();
    let mut records: Vec<(Seq, Record)> = Vec::new();
    for (count, item) in (0_u64..).zip(store.scan(Seq(0)).expect("a scan begins")) {
        assert!(count <= most, "the scan does not end");
        match item {
            Ok((seq, record)) => {
                assert!(
                    records.last().is_none_or(|(last, _)| *last < seq),
                    "positions ascend"
                );
                assert!(seq >= store.first_seq() && seq <= store.last_seq());
                records.push((seq, record));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    for (seq, record) in &records {
        let read = store.read(*seq).expect("what a scan found can be read");
        assert_eq!(read.as_ref(), Some(record));
    }
    for lane in Lane::ALL {
        for entry in store.outbox().pending(lane, 0, 16) {
            let _ = store.outbox().entry(&entry);
        }
    }
    let _ = (
        store.snapshots(),
        store.quarantined(8),
        store.outbox().dead_letters(),
        store.usage(),
    );
    let stamp = Stamp {
        boot: 1,
        monotonic_ns: 1,
        utc_us: 1,
        clock: Clock::Synced,
    };
    let notice = Notice {
        code: Cow::Borrowed("fuzz"),
        text: "appended".into(),
        stamp,
    };
    let range = store
        .append(&[Record::Notice(notice)], Urgency::Now)
        .expect("a store that opened takes records");
    store.close();
    Some(Found {
        records,
        appended: range.last,
    })
}

fn bytes_in(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => bytes_in(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn files(input: &mut Unstructured<'_>, dir: &Path) -> Result<()> {
    for folder in ["log", "quarantine", "snapshots"] {
        fs::create_dir(dir.join(folder)).expect("a folder");
    }
    for _ in 0..MOST_FILES {
        if input.is_empty() {
            break;
        }
        let [which, put_right, ordinal] = input.arbitrary()?;
        let length = usize::from(input.arbitrary::<u16>()?).min(input.len());
        let bytes = input.bytes(length)?;
        let (name, content) = match which % 8 {
            5 => ("outbox.state".to_owned(), state_file(bytes, put_right)),
            6 => (
                format!("snapshots/{ordinal:016}.snap"),
                state_file(bytes, put_right),
            ),
            7 => ("identity".to_owned(), state_file(bytes, put_right)),
            4 => (
                format!("quarantine/{ordinal:016}.seg"),
                segment(bytes, put_right, ordinal),
            ),
            _ => (
                format!("log/{ordinal:016}.seg"),
                segment(bytes, put_right, ordinal),
            ),
        };
        fs::write(dir.join(name), content).expect("a file");
    }
    Ok(())
}

fn state_file(body: &[u8], put_right: u8) -> Vec<u8> {
    if put_right & SEAL == 0 {
        return body.to_vec();
    }
    let mut file = b"TWSTATE1".to_vec();
    file.extend_from_slice(&u32::try_from(body.len()).unwrap_or(0).to_le_bytes());
    file.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    file.extend_from_slice(body);
    file
}

fn segment(bytes: &[u8], put_right: u8, ordinal: u8) -> Vec<u8> {
    let (header, records) = bytes.split_at(HEADER.min(bytes.len()));
    let mut file = vec![0; HEADER_AREA];
    file[..header.len()].copy_from_slice(header);
    if put_right & OURS != 0 {
        file[16..32].fill(0x77);
        file[32..40].copy_from_slice(&u64::from(ordinal).to_le_bytes());
    }
    if put_right & SEAL != 0 {
        let crc = crc32fast::hash(&file[..HEADER - 4]);
        file[HEADER - 4..HEADER].copy_from_slice(&crc.to_le_bytes());
    }
    if put_right & BOTH_COPIES != 0 {
        file.copy_within(..HEADER, HEADER_AREA / 2);
    }
    file.extend_from_slice(records);
    if put_right & SEAL_RECORDS != 0 {
        seal(&mut file);
    }
    if put_right & FULL_LENGTH != 0 {
        file.resize(SEGMENT_BYTES, 0);
    }
    file
}

/// Puts the checksums of the records right, as far as one follows another.
fn seal(file: &mut [u8]) {
    let mut salt = Hasher::new();
    // Log id, ordinal; then the nonce behind the base position.
    salt.update(&file[16..40]);
    salt.update(&file[48..56]);
    let salt = salt.finalize();
    let mut at = HEADER_AREA;
    while let Some(length) = file
        .get(at..at + RECORD)
        .map(|head| u32::from_le_bytes([head[0], head[1], head[2], head[3]]))
    {
        let end = at + RECORD + length as usize;
        if end > file.len() {
            break;
        }
        let mut crc = Hasher::new_with_initial(salt);
        crc.update(&file[at..at + 4]);
        crc.update(&file[at + 8..end]);
        let crc = crc.finalize().to_le_bytes();
        file[at + 4..at + 8].copy_from_slice(&crc);
        at = end.next_multiple_of(8);
    }
}
