//! Keys of the index. One letter says what; numbers are big-endian, so that they sort.
//!
//! | key | value | what |
//! | --- | --- | --- |
//! | `p` | version, log id, position | how far the index reflects the log |
//! | `t` seq | | what is shown as a recent event |
//! | `u` time seq | | the same by wall time (sign bit flipped) |
//! | `a` alert id | [`super::projection::StoredAlert`] | an alert as it stands |
//! | `s` seq alert id | | alerts by the position of their first revision |
//! | `r` alert id | review | the newest review |
//! | `i` id 0 seq | | records by the till's event id or an alert's UUID |
//! | `q` seq | | receipts |
//! | `w` word 0 seq | | words of receipts |
//! | `o` lane number | seq | outbox entries by their number |
//! | `c` clip id | seq | the newest request for a clip that has no report |
//! | `d` clip id | [`super::projection::StoredReport`] | the newest report of a clip |
//! | `n` seq clip id | | newest reports that say that nothing was recorded |
//! | `k` seq | | looks at footage |
//! | `l` lane number | alert id | which alert a message tells of |

use tillwatch_protocol::{AlertId, ClipId, Lane};

/// Longest indexed word in bytes.
const MAX_WORD: usize = 32;
/// Longest indexed id in bytes; the till's ids are at most 128.
pub(crate) const MAX_ID: usize = 128;

pub(crate) const POSITION: &[u8] = b"p";

pub(crate) fn numbered(letter: u8, seq: u64) -> Vec<u8> {
    let mut key = vec![letter];
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// The number at the end of a key.
pub(crate) fn tail_seq(key: &[u8]) -> u64 {
    let tail = key.last_chunk::<8>().copied().unwrap_or_default();
    u64::from_be_bytes(tail)
}

pub(crate) fn timed(utc_us: i64, seq: u64) -> Vec<u8> {
    let mut key = vec![b'u'];
    key.extend_from_slice(&(utc_us as u64 ^ (1 << 63)).to_be_bytes());
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

pub(crate) fn of_alert(letter: u8, id: AlertId) -> Vec<u8> {
    let mut key = vec![letter];
    key.extend_from_slice(id.0.as_bytes());
    key
}

pub(crate) fn of_clip(letter: u8, id: ClipId) -> Vec<u8> {
    let mut key = vec![letter];
    key.extend_from_slice(id.0.as_bytes());
    key
}

pub(crate) fn not_recorded(seq: u64, id: ClipId) -> Vec<u8> {
    let mut key = numbered(b'n', seq);
    key.extend_from_slice(id.0.as_bytes());
    key
}

pub(crate) fn clip_of_order(key: &[u8]) -> Option<ClipId> {
    Some(ClipId(uuid::Uuid::from_bytes(*key.last_chunk::<16>()?)))
}

pub(crate) fn alert_order(first_seq: u64, id: AlertId) -> Vec<u8> {
    let mut key = numbered(b's', first_seq);
    key.extend_from_slice(id.0.as_bytes());
    key
}

/// The first key behind this one.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

pub(crate) fn alert_of_order(key: &[u8]) -> Option<AlertId> {
    Some(AlertId(uuid::Uuid::from_bytes(*key.last_chunk::<16>()?)))
}

/// `letter` text 0, the prefix of all positions with that text.
pub(crate) fn text_prefix(letter: u8, text: &str) -> Vec<u8> {
    let mut key = vec![letter];
    key.extend(text.bytes().filter(|byte| *byte != 0));
    key.push(0);
    key
}

pub(crate) fn text(letter: u8, text: &str, seq: u64) -> Vec<u8> {
    let mut key = text_prefix(letter, text);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

pub(crate) fn outbox(letter: u8, lane: Lane, lane_seq: u64) -> Vec<u8> {
    let mut key = vec![letter, lane.number()];
    key.extend_from_slice(&lane_seq.to_be_bytes());
    key
}

/// The first key after all that begin with `prefix`.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < u8::MAX {
            key.push(last + 1);
            break;
        }
    }
    key
}

/// Words of a text as the index keeps them: lower case, letters and digits, at most 32 bytes.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            let mut word = word.to_lowercase();
            let mut end = word.len().min(MAX_WORD);
            while !word.is_char_boundary(end) {
                end -= 1;
            }
            word.truncate(end);
            word
        })
}
