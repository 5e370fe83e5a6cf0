mod properties;

use super::*;

const SECOND: u64 = 1_000_000_000;

/// An item that owns what it says, for comparing.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Begins,
    Line(String, bool),
    Feed,
    Cut(bool),
    Kick(Kick),
    Initialize,
    Image(ImageKind, u64),
    Barcode(u8, String),
    Symbol(SymbolKind, String, bool),
    Status(bool),
    Display(String),
    Unknown(u8, u8),
    Resync(ResyncCause, u64),
}

fn ascii(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl From<Item<'_>> for Seen {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::PrintBegins => Self::Begins,
            Item::Line(line) => {
                let joined: std::vec::Vec<u8> = line
                    .segments()
                    .flat_map(|segment| segment.bytes)
                    .copied()
                    .collect();
                assert_eq!(joined, line.bytes(), "segments cover the line");
                Self::Line(ascii(line.bytes()), line.split)
            }
            Item::Feed => Self::Feed,
            Item::Cut { partial } => Self::Cut(partial),
            Item::Kick(kick) => Self::Kick(kick),
            Item::Initialize => Self::Initialize,
            Item::Image { kind, bytes } => Self::Image(kind, bytes),
            Item::Barcode { system, data } => Self::Barcode(system, ascii(data)),
            Item::Symbol {
                kind,
                data,
                truncated,
            } => Self::Symbol(kind, ascii(data), truncated),
            Item::StatusRequest { real_time } => Self::Status(real_time),
            Item::DisplayText(line) => Self::Display(ascii(line.bytes())),
            Item::Unknown { prefix, byte } => Self::Unknown(prefix, byte),
            Item::Resync { cause, pending } => Self::Resync(cause, pending),
        }
    }
}

/// Feeds pieces with the time each arrived.
fn seen_at(pieces: &[(&[u8], u64)]) -> std::vec::Vec<Seen> {
    let mut parser = EscPos::default();
    let mut seen = std::vec::Vec::new();
    for (bytes, at) in pieces {
        parser.feed(bytes, *at, &mut |item| seen.push(item.into()));
    }
    parser.end_line(&mut |item| seen.push(item.into()));
    seen
}

fn seen(bytes: &[u8]) -> std::vec::Vec<Seen> {
    seen_at(&[(bytes, 0)])
}

/// The same without the marks that a line or image begins.
fn said(bytes: &[u8]) -> std::vec::Vec<Seen> {
    let mut items = seen(bytes);
    items.retain(|item| *item != Seen::Begins);
    items
}

fn line(text: &str) -> Seen {
    Seen::Line(text.to_owned(), false)
}

const fn kick(pin: KickPin, on_ms: u16, off_ms: u16, real_time: bool, confirmed: bool) -> Kick {
    Kick {
        pin,
        on_ms,
        off_ms,
        real_time,
        confirmed,
    }
}

#[test]
fn a_receipt_is_lines_a_kick_and_a_cut() {
    assert_eq!(
        seen(b"\x1b@\x1ba\x01ACME\n\nTOTAL\t9.99\r\n\x1bp\x00\x19\xfaTHANKS\x1bd\x03\x1dVB\x00"),
        [
            Seen::Initialize,
            Seen::Begins,
            line("ACME"),
            Seen::Feed,
            Seen::Begins,
            line("TOTAL\t9.99"),
            Seen::Kick(kick(KickPin::Two, 50, 500, false, true)),
            Seen::Begins,
            line("THANKS"),
            Seen::Cut(true),
        ]
    );
}

#[test]
fn every_command_of_the_table_ends_where_it_should() {
    // Each stands between two letters; a wrong length would eat or add to them.
    let commands: &[&[u8]] = &[
        b"\x1b2",
        b"\x1b<",
        b"\x1bq",
        b"\x1b4",
        b"\x1b\x0f",
        b"\x1b \x00",
        b"\x1b!\x30",
        b"\x1b-\x01",
        b"\x1b3\x1e",
        b"\x1b{\x01",
        b"\x1bE\x01",
        b"\x1bf\x00\x01",
        b"\x1bc5\x01",
        b"\x1bc\x00\x02",
        b"\x1bD\x08\x10\x18\x00",
        b"\x1b&\x03\x20\x21\x02123456\x017bc",
        b"\x1b(A\x04\x000\x31\x03\x01",
        b"\x1b(Z\x02\x00xx",
        b"\x1d:",
        b"\x1d!\x11",
        b"\x1dB\x01",
        b"\x1dh\x50",
        b"\x1dw\x03",
        b"\x1dL\x00\x00",
        b"\x1dW\xf8\x01",
        b"\x1dP\x00\x00",
        b"\x1d^\x01\x02\x00",
        b"\x1dz\x30\x01\x02",
        b"\x1dg\x30\x00\x14\x00",
        b"\x1dC\x30\x03\x01",
        b"\x1d*\x01\x0112345678",
        b"\x1d(A\x02\x00\x00\x02",
        b"\x1d(E\x03\x00abc",
        b"\x1d8L\x03\x00\x00\x000\x00d",
        b"\x1c!\x01",
        b"\x1c-\x01",
        b"\x1cS\x00\x00",
        b"\x1c?\x77\x21",
        b"\x1cW\x01",
        b"\x1cg\x31\x00\x00\x00\x00\x00\x02\x00ab",
        b"\x1cg\x32\x00\x00\x00\x00\x00\x02\x00",
        b"\x1cq\x02\x01\x00\x01\x0012345678\x01\x00\x01\x00abcdefgh",
        b"\x1cL",
        b"\x1c(E\x02\x00ab",
        b"\x10\x05\x01",
        b"\x10\x14\x03\x01\x02\x03\x04\x05",
        b"\x10\x14\x07\x01",
        b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08",
        b"\x10\x14\x02\x01\x08",
        b"\x1f$\x01\x01",
        b"\x1fX\x04",
    ];
    for command in commands {
        let bytes = [b"A", *command, b"B\n"].concat();
        assert_eq!(said(&bytes), [line("AB")], "{command:02x?}");
    }
    let two_byte_kanji = [b"A\x1c2\x77\x21".as_slice(), &[7; 72], b"B\n"].concat();
    assert_eq!(said(&two_byte_kanji), [line("AB")]);
    let small_font = [
        b"A\x1c(A\x02\x000\x02\x1c2\x77\x21".as_slice(),
        &[7; 32],
        b"B\n",
    ]
    .concat();
    assert_eq!(said(&small_font), [line("AB")]);
}

#[test]
fn images_are_counted_and_not_text() {
    let cases: &[(&[u8], ImageKind, u64)] = &[
        (
            b"\x1dv0\x00\x02\x00\x03\x00\n\x1b@abc",
            ImageKind::Raster,
            6,
        ),
        (b"\x1b*\x21\x02\x00\n\x1b@abc", ImageKind::Column, 6),
        (b"\x1b*\x00\x03\x00\n\x1b@", ImageKind::Column, 3),
        (b"\x1d(L\x06\x000\x70\x1b@\n\x00", ImageKind::Graphics, 6),
        (
            b"\x1d8L\x06\x00\x00\x000\x70\x1b@\n\x00",
            ImageKind::Graphics,
            6,
        ),
        (b"\x1cp\x01\x00", ImageKind::Stored, 0),
    ];
    for (bytes, kind, count) in cases {
        let bytes = [*bytes, b"TOTAL\n"].concat();
        assert_eq!(
            said(&bytes),
            [Seen::Image(*kind, *count), line("TOTAL")],
            "{bytes:02x?}"
        );
    }
}

#[test]
fn bar_codes_and_symbols_say_their_data() {
    assert_eq!(
        said(b"\x1dk\x02123456789012\x00"),
        [Seen::Barcode(2, "123456789012".into())]
    );
    assert_eq!(
        said(b"\x1dk\x49\x05{B0-1"),
        [Seen::Barcode(73, "{B0-1".into())]
    );
    assert_eq!(
        said(b"\x1d(k\x04\x001A2\x00\x1d(k\x0b\x001P0V0;Beleg\x1d(k\x03\x001Q0"),
        [Seen::Symbol(SymbolKind::Qr, "V0;Beleg".into(), false)]
    );
    let long = [b"\x1d(k\x03\x080P0".as_slice(), &[b'x'; 2048]].concat();
    assert_eq!(
        said(&long),
        [Seen::Symbol(
            SymbolKind::Pdf417,
            "x".repeat(MAX_SYMBOL_BYTES),
            true
        )]
    );
}

/// What breaks naive taps, 1.
#[test]
fn text_for_the_customer_display_does_not_enter_the_receipt() {
    assert_eq!(
        said(b"MILK 1.29\n\x1b=\x02\x0cTOTAL\x1f$\x01\x0211.52\x1b=\x01BREAD\n"),
        [
            line("MILK 1.29"),
            Seen::Display("TOTAL".into()),
            Seen::Display("11.52".into()),
            line("BREAD"),
        ]
    );
    // Both selected: what is printed is printed.
    assert_eq!(said(b"\x1b=\x03BOTH\n"), [line("BOTH")]);
    // The display's ESC @ is not the printer's.
    assert_eq!(
        said(b"\x1b=\x02\x1b@X\x1b=\x01"),
        [Seen::Display("X".into())]
    );
}

#[test]
fn a_lost_return_to_the_printer_is_noticed_at_the_first_printer_command() {
    assert_eq!(
        said(b"\x1b=\x02HELLO\x1ba\x01ACME\n\x1dV\x00"),
        [
            Seen::Display("HELLO".into()),
            Seen::Resync(ResyncCause::PrinterImplied, 0),
            line("ACME"),
            Seen::Cut(false),
        ]
    );
}

/// What breaks naive taps, 2.
#[test]
fn a_real_time_kick_inside_an_image_is_reported_as_unconfirmed() {
    let unconfirmed = Seen::Kick(kick(KickPin::Five, 200, 200, true, false));
    assert_eq!(
        said(b"\x1dv0\x00\x08\x00\x01\x00ab\x10\x14\x01\x01\x02cOK\n"),
        [
            unconfirmed.clone(),
            Seen::Image(ImageKind::Raster, 8),
            line("OK")
        ]
    );
    // It may begin in one command's data and end in the next bytes.
    assert_eq!(
        said(b"\x1dv0\x00\x03\x00\x01\x00\x00\x10\x14\x01\x01\x02\n")[0],
        Seen::Image(ImageKind::Raster, 3)
    );
    // Status requests inside data are only data.
    assert_eq!(
        said(b"\x1dv0\x00\x03\x00\x01\x00\x10\x04\x01"),
        [Seen::Image(ImageKind::Raster, 3)]
    );
}

/// What breaks naive taps, 3.
#[test]
fn kicks_say_which_kind_they_are_exactly_once() {
    assert_eq!(
        said(b"\x10\x14\x01\x00\x08\x1bp1\x32\x32"),
        [
            Seen::Kick(kick(KickPin::Two, 800, 800, true, true)),
            Seen::Kick(kick(KickPin::Five, 100, 100, false, true)),
        ]
    );
    // Out of range: a printer ignores these.
    assert_eq!(
        said(b"\x10\x14\x01\x02\x01\x10\x14\x01\x00\x09\x10\x14\x01\x00\x00\x1bp\x05\x01\x01"),
        []
    );
    // A real-time kick interrupts nothing.
    assert_eq!(
        said(b"TO\x10\x14\x01\x00\x01TAL\n"),
        [
            Seen::Kick(kick(KickPin::Two, 100, 100, true, true)),
            line("TOTAL")
        ]
    );
}

/// What breaks naive taps, 5.
#[test]
fn a_payload_is_never_carried_across_a_gap() {
    let image = b"\x1dv0\x00\x40\x00\x40\x00only a few of 4096".as_slice();
    assert_eq!(
        seen_at(&[(image, 0), (b"\x1b@NEXT\n", SECOND)]),
        [
            Seen::Begins,
            Seen::Image(ImageKind::Raster, 18),
            Seen::Resync(ResyncCause::Gap, 4096 - 18),
            Seen::Initialize,
            Seen::Begins,
            line("NEXT"),
        ]
    );
    // Shorter pauses are a slow host.
    let two = seen_at(&[(image, 0), (b"\x1b@NEXT\n", SECOND - 1)]);
    assert_eq!(two, [Seen::Begins]);
    // Half a command is given up too; text that waits for its end is not.
    assert_eq!(
        seen_at(&[(b"TOTAL \x1b!", 0), (b"9.99\n", 2 * SECOND)]),
        [
            Seen::Begins,
            Seen::Resync(ResyncCause::Gap, 0),
            line("TOTAL 9.99")
        ]
    );
}

#[test]
fn a_gap_is_also_noticed_while_nothing_arrives() {
    let mut parser = EscPos::default();
    let mut count = 0;
    let mut sink = |_: Item<'_>| count += 1;
    parser.feed(b"\x1dv0\x00\x40\x00\x40\x00", 0, &mut |_| {});
    assert_eq!(parser.deadline(), Some(SECOND));
    parser.idle(SECOND - 1, &mut sink);
    parser.idle(SECOND, &mut sink);
    parser.idle(2 * SECOND, &mut sink);
    assert_eq!(count, 1, "given up once");
    assert!(parser.is_at_rest());
}

#[test]
fn a_cut_followed_by_initialize_ends_a_payload_that_should_have_ended_before() {
    for cut in [b"\x1dV\x00".as_slice(), b"\x1dVB\x20"] {
        let bytes = [b"\x1dv0\x00\xff\xff\xff\xff....", cut, b"\x1b@NEXT\n"].concat();
        let items = said(&bytes);
        assert!(
            matches!(
                items[..],
                [
                    Seen::Image(ImageKind::Raster, _),
                    Seen::Resync(ResyncCause::CutInPayload, _),
                    Seen::Cut(_),
                    Seen::Initialize,
                    Seen::Line(..)
                ]
            ),
            "{items:?}"
        );
    }
}

#[test]
fn a_bar_code_without_its_nul_does_not_swallow_the_receipt() {
    assert_eq!(
        said(b"\x1dk\x0212345\nTOTAL\n"),
        [
            Seen::Barcode(2, "12345".into()),
            Seen::Resync(ResyncCause::Malformed, 0),
            Seen::Feed,
            line("TOTAL"),
        ]
    );
    let endless = [b"\x1dk\x04".as_slice(), &[b'A'; 1000]].concat();
    assert!(said(&endless).contains(&Seen::Resync(ResyncCause::Malformed, 0)));
}

#[test]
fn tab_stops_that_do_not_ascend_are_text_again() {
    assert_eq!(said(b"\x1bD\x28TOTAL\n"), [line("OTAL")]);
}

#[test]
fn unknown_commands_cost_two_bytes_and_broken_ones_do_not_hide_the_next() {
    assert_eq!(said(b"\x1b~A\n"), [Seen::Unknown(0x1b, b'~'), line("A")]);
    assert_eq!(
        said(b"\x1b\x1dV\x00"),
        [Seen::Unknown(0x1b, 0x1d), Seen::Cut(false)]
    );
    assert_eq!(said(b"\x10A\n"), [Seen::Unknown(0x10, b'A'), line("A")]);
}

#[test]
fn long_lines_are_split_and_page_mode_gives_lines() {
    let long = [b'x'; MAX_LINE_BYTES + 10];
    assert_eq!(
        said(&[long.as_slice(), b"\n"].concat()),
        [
            Seen::Line("x".repeat(MAX_LINE_BYTES), true),
            line(&"x".repeat(10))
        ]
    );
    assert_eq!(
        said(b"\x1bL\x1d$\x20\x00TOTAL\x1b$\x80\x009.99\x1d$\x40\x00CASH\x0c"),
        [line("TOTAL\t9.99"), line("CASH")]
    );
}

#[test]
fn status_requests_are_seen() {
    assert_eq!(
        said(b"\x10\x04\x01\x10\x04\x07\x01\x1dr1\x1da\xff\x1dI\x01\x1bv"),
        [true, true, false, false, false, false].map(Seen::Status)
    );
}
