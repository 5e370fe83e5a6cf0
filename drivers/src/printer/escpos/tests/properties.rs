//! What must hold for any bytes.

use super::*;
use proptest::prelude::*;

/// Bytes that look like printing: text, and everything a command can begin with.
fn printer_bytes() -> impl Strategy<Value = std::vec::Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(vec![0x1b, 0x1d, 0x1c, 0x10, 0x1f, 0x0a, 0x00]).prop_map(|b| vec![b]),
        (
            prop::sample::select(vec![0x1bu8, 0x1d, 0x1c, 0x10]),
            any::<u8>(),
            0u8..4,
            0u8..4
        )
            .prop_map(|(prefix, op, a, b)| vec![prefix, op, a, b]),
        prop::sample::select(vec![
            b"\x1dv0\x00\x02\x00\x02\x00".to_vec(),
            b"\x1d(k\x08\x001P0abcde".to_vec(),
            b"\x10\x14\x01\x00\x02".to_vec(),
            b"\x1dVA\x00\x1b@".to_vec(),
            b"\x1b=\x02".to_vec(),
            b"TOTAL 9.99\r\n".to_vec(),
        ]),
    ];
    proptest::collection::vec(piece, 0..200).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// It survives anything, in bounded work: at most two steps a byte.
    #[test]
    fn any_bytes_are_survived_in_linear_work(bytes in printer_bytes()) {
        let mut parser = EscPos::default();
        parser.feed(&bytes, 0, &mut |_| {});
        parser.end_line(&mut |_| {});
        prop_assert_eq!(parser.counters().bytes, bytes.len() as u64);
        prop_assert!(parser.counters().steps <= 2 * bytes.len() as u64);
    }

    /// How reads cut the stream changes nothing.
    #[test]
    fn reads_may_be_cut_anywhere(bytes in printer_bytes(), cuts in proptest::collection::vec(1usize..9, 1..40)) {
        let mut rest = bytes.as_slice();
        let mut pieces: std::vec::Vec<(&[u8], u64)> = std::vec::Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, others) = rest.split_at((*cut).min(rest.len()));
            pieces.push((piece, 0));
            rest = others;
        }
        prop_assert_eq!(seen_at(&pieces), seen(&bytes));
    }

    /// Whatever came before, a pause and a receipt give that receipt, unless the noise
    /// left a customer display selected, which no pause takes back.
    #[test]
    fn after_a_pause_the_next_receipt_is_whole(noise in printer_bytes()) {
        let mut parser = EscPos::default();
        parser.feed(&noise, 0, &mut |_| {});
        parser.end_line(&mut |_| {});
        let mut seen = std::vec::Vec::new();
        parser.feed(b"\x1ba\x00\x1b@NEXT\n\x1dV\x00", SECOND, &mut |item| seen.push(Seen::from(item)));
        let tail = [Seen::Initialize, Seen::Begins, line("NEXT"), Seen::Cut(false)];
        prop_assert!(seen.ends_with(&tail), "{seen:?}");
    }
}
