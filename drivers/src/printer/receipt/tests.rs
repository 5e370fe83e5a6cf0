use super::*;
use crate::printer::escpos::KickPin;

const SECOND: u64 = 1_000_000_000;

/// Feeds pieces with the time each arrived, then waits.
fn events(pieces: &[(&[u8], u64)]) -> Vec<FramerEvent> {
    let mut tap = ReceiptTap::new(escpos::Config::default(), FramerConfig::default());
    let mut events = Vec::new();
    let mut last = 0;
    for (bytes, at) in pieces {
        tap.feed(bytes, *at, &mut |event| events.push(event));
        last = *at;
    }
    tap.idle(last + DEFAULT_IDLE_NS, &mut |event| events.push(event));
    assert_eq!(tap.deadline(), None, "nothing is left to wait for");
    events
}

fn documents(pieces: &[(&[u8], u64)]) -> Vec<PaperDocument> {
    let documents = events(pieces).into_iter().filter_map(|event| match event {
        FramerEvent::Document(document) => Some(document),
        _ => None,
    });
    documents.collect()
}

fn texts(document: &PaperDocument) -> Vec<&str> {
    document
        .lines
        .iter()
        .map(|line| line.text.as_str())
        .collect()
}

#[test]
fn paper_and_kick_are_told_before_the_receipt_is_complete() {
    let events = events(&[
        (b"\x1b@ \n  A", SECOND),
        (b"CME\n\x1bp\x00\x19\xfa", 2 * SECOND),
        (b"\n\nTOTAL 9.99\n\x1dV\x00", 3 * SECOND),
    ]);
    let kick = TimedKick {
        kick: Kick {
            pin: KickPin::Two,
            on_ms: 50,
            off_ms: 500,
            real_time: false,
            confirmed: true,
        },
        at_ns: 2 * SECOND,
    };
    let line = |text: &str, at_ns, blank_before| PrintedLine {
        text: text.into(),
        at_ns,
        blank_before,
        split: false,
    };
    assert_eq!(
        events,
        [
            FramerEvent::PaperStarted { at_ns: SECOND },
            FramerEvent::Kick(kick),
            FramerEvent::Document(PaperDocument {
                lines: vec![
                    line("  ACME", 2 * SECOND, false),
                    line("TOTAL 9.99", 3 * SECOND, true),
                ],
                kicks: vec![kick],
                images: 0,
                image_bytes: 0,
                symbols: vec![],
                bytes: 7 + 9 + 16,
                started_ns: SECOND,
                ended_ns: 3 * SECOND,
                end: End::Cut,
                damaged: false,
                unknown_commands: 0,
            }),
        ]
    );
}

#[test]
fn a_document_ends_with_a_cut_an_initialization_or_silence() {
    let ends: Vec<(End, usize)> = documents(&[
        (b"ONE\n\x1dV\x00TWO\n\x1b@", 0),
        (b"THREE\nTHREE\n", SECOND),
        (b"FOUR", 5 * SECOND),
    ])
    .iter()
    .map(|document| (document.end, document.lines.len()))
    .collect();
    assert_eq!(
        ends,
        [
            (End::Cut, 1),
            (End::Initialize, 1),
            (End::Idle, 2),
            (End::Idle, 1)
        ]
    );
}

#[test]
fn what_prints_nothing_is_no_document() {
    let events = events(&[(
        b"\x1b@\x1bp\x00\x19\xfa\n  \n\x1bd\x05\x1dV\x00\x10\x04\x01",
        0,
    )]);
    assert!(matches!(events[..], [FramerEvent::Kick(_)]), "{events:?}");
}

#[test]
fn a_kick_without_paper_does_not_wait_for_the_next_receipt() {
    let documents = documents(&[
        (b"\x1bp\x00\x19\xfa", 0),
        (b"LATER\n\x1dV\x00", 60 * SECOND),
    ]);
    assert_eq!(documents[0].kicks, []);
}

#[test]
fn strips_of_a_picture_are_one_image_and_pictures_alone_are_a_receipt() {
    let strip = b"\x1b*\x21\x02\x00abcdef\n".as_slice();
    let documents = documents(&[(&[strip, strip, strip, b"\x1dV\x00"].concat(), 0)]);
    assert_eq!((documents[0].images, documents[0].image_bytes), (1, 18));
    assert!(documents[0].is_raster_only());
}

/// What breaks naive taps, 5 and 7.
#[test]
fn a_receipt_with_lost_bytes_is_damaged_and_the_next_one_is_not() {
    let lossy = b"ACME\n\x1dv0\x00\x40\x00\x40\x00too few dots\x1dV\x00".as_slice();
    let documents = documents(&[(lossy, 0), (b"NEXT\n\x1dV\x00", 10 * SECOND)]);
    assert_eq!(documents.len(), 2);
    assert_eq!(
        (documents[0].damaged, documents[0].end, documents[0].images),
        (true, End::Idle, 1)
    );
    assert_eq!(texts(&documents[0]), ["ACME"]);
    assert_eq!((documents[1].damaged, documents[1].end), (false, End::Cut));
    assert_eq!(texts(&documents[1]), ["NEXT"]);
}

#[test]
fn display_text_is_told_live_and_apart() {
    let events = events(&[(b"MILK\n\x1b=\x02\x0cMILK 1.29\x1b=\x01\x1dV\x00", 7)]);
    assert_eq!(
        events[1],
        FramerEvent::DisplayText {
            text: "MILK 1.29".into(),
            at_ns: 7
        }
    );
    let FramerEvent::Document(document) = &events[2] else {
        panic!("{events:?}");
    };
    assert_eq!(texts(document), ["MILK"]);
}

/// What breaks naive taps, 10: a firmware update over the line.
#[test]
fn megabytes_without_an_end_are_cut_into_bounded_documents() {
    let mut tap = ReceiptTap::new(escpos::Config::default(), FramerConfig::default());
    let (mut largest, mut overflows) = (0, 0);
    for second in 0..8 {
        let block = vec![b'F'; 256 * 1024];
        tap.feed(&block, second * SECOND / 2, &mut |event| {
            if let FramerEvent::Document(document) = event {
                largest = largest.max(document.lines.len());
                overflows += u64::from(document.end == End::Overflow);
            }
        });
    }
    assert_eq!(largest, MAX_DOCUMENT_LINES);
    assert!(overflows >= 15);
    assert_eq!(tap.framer_counters().overflows, overflows);
    assert!(tap.parser_counters().split_lines > 0);
}

#[test]
fn what_follows_an_overflow_ends_with_silence_too() {
    for last_line in [&b"LAST\n"[..], b"LAST"] {
        let mut job = b"LINE\n".repeat(MAX_DOCUMENT_LINES);
        job.extend_from_slice(last_line);
        let documents = documents(&[(&job, SECOND), (b"NEXT\n", 10 * SECOND)]);
        let ends: Vec<End> = documents.iter().map(|document| document.end).collect();
        assert_eq!(ends, [End::Overflow, End::Idle, End::Idle]);
        assert_eq!(texts(&documents[1]), ["LAST"]);
        assert_eq!(texts(&documents[2]), ["NEXT"]);
        for document in documents {
            assert!(document.started_ns <= document.ended_ns, "{document:?}");
        }
    }
}
