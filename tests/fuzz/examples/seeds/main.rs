//! Makes the seeds: `cargo run --no-default-features --example seeds`, in this folder. Files named
//! `regression-…` are kept as they are; they were found, not made.

mod cameras;
mod logs;
mod media;

use std::fs;
use std::io::Result;
use std::path::Path;
use tillwatch_drivers::printer::escpos::Config;
use tillwatch_drivers::printer::receipt::{FramerConfig, FramerEvent, ReceiptTap};
use tillwatch_simulator::escpos::{Align, Bitmap, CodePage, Job, KickPin};
use tillwatch_simulator::{JumpClock, Player, PosCycle, Recorder, Run, Story};

fn main() -> Result<()> {
    let stories = stories();
    pos_events(&stories)?;
    let jobs = jobs(&stories);
    for (name, job) in &jobs {
        put("escpos", name, job)?;
        put("receipt_tap", name, &taps(job))?;
    }
    receipts(&jobs)?;
    texts()?;
    records()?;
    logs::make()?;
    media::make()?;
    drawer_edges()?;
    cameras::make()
}

fn put(target: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

/// What happened in every built-in story.
fn stories() -> Vec<(String, Recorder)> {
    let stories = Story::all().expect("built-in stories are right");
    let play = |story: &Story| {
        let mut register = Recorder::default();
        let mut player = Player::new(Run::new("store_001", "reg_02", 7), JumpClock::default());
        player.play(&story.schedule(), &mut register);
        (story.name.clone(), register)
    };
    stories.iter().map(play).collect()
}

fn pos_events(stories: &[(String, Recorder)]) -> Result<()> {
    for (name, register) in stories {
        if let Some((_, json)) = register.pos_events().next() {
            put("pos_event", name, json.as_bytes())?;
        }
    }
    let mut cycle = PosCycle::new(Run::new("store_001", "reg_02", 7));
    let events: Vec<String> = (0..4)
        .map(|n| cycle.next_event(1_759_588_455_000_000 + n).json)
        .collect();
    put(
        "pos_event",
        "array",
        format!("[{}]", events.join(",")).as_bytes(),
    )?;
    // The example of the event specification, §1.
    let example = r#"{"event_id":"a1b2c3d4","event_type":"discount_applied","timestamp":"2025-10-04T14:34:15Z",
 "store_id":"store_001","register_id":"reg_02","staff_id":"emp_12345","order_id":"ORD48592","ticket_no":"T8923",
 "amount":150.0,"original_amount":300.0,"discount_percent":50.0,
 "items":[{"sku":"SKU123","name":"Product A","quantity":2,"unit_price":100.0,"total_price":200.0,"discount":50.0}],
 "metadata":{}}"#;
    put("pos_event", "specification", example.as_bytes())?;
    let odd = [
        (
            "numbers-as-text",
            r#"{"event_id":123,"event_type":"void_transaction","amount":"12.345","discount_percent":"1e1","ticket_no":7}"#,
        ),
        (
            "odd-fields",
            r#"{"event_id":"e","event_type":"refund_issued","timestamp":"gestern","amount":[1],"items":[{"sku":[]},3,null],"staff_id":true}"#,
        ),
        (
            "nulls",
            r#"{"event_id":"e","event_type":"x","timestamp":null,"amount":null,"items":null,"metadata":null,"shift":null}"#,
        ),
        (
            "twice",
            r#"{"event_id":"a","event_id":"b","event_type":"no_sale_opened","event_type":"no_sale_opened","amount":1,"amount":2}"#,
        ),
        (
            "escapes",
            r#"{"event\u005fid":"\u0000\ud83d\ude00","event_type":"void_transaction","store_id":" ","metadata":{"a\"b":1.5e-7,"n":-0.0,"big":18446744073709551615}}"#,
        ),
        (
            "local-time",
            r#"{"event_id":"e","event_type":"payment_cleared","timestamp":"2026-03-29 02:30:00.25"}"#,
        ),
        (
            "too-large-numbers",
            r#"{"event_id":"e","event_type":"payment_cleared","amount":99999999999999999999,"a":1e999,"discount_percent":1e-400}"#,
        ),
        (
            "empty-id",
            r#"{"event_id":"","event_type":"payment_cleared"}"#,
        ),
        ("no-object", r#"["event_id"]"#),
    ];
    for (name, json) in odd {
        put("pos_event", name, json.as_bytes())?;
    }
    Ok(())
}

fn jobs(stories: &[(String, Recorder)]) -> Vec<(String, Vec<u8>)> {
    let printed = stories
        .iter()
        .map(|(name, register)| (name.clone(), register.printed()));
    let mut jobs: Vec<(String, Vec<u8>)> = printed.filter(|(_, bytes)| !bytes.is_empty()).collect();
    let picture = Bitmap::from_art("#.#\n.#.\n", 8);
    let logo = Job::new()
        .initialize()
        .align(Align::Centre)
        .raster(&picture)
        .line("SHOP")
        .cut(0);
    jobs.push(("logo".into(), logo.into_bytes()));
    let pages = Job::new()
        .code_page(CodePage::Pc858)
        .text("3 € ")
        .code_page(CodePage::Wpc1252)
        .line("3 €")
        .feed(2);
    jobs.push(("code-pages".into(), pages.into_bytes()));
    let kicks = Job::new()
        .kick(KickPin::Two, 100, 500)
        .kick_now(KickPin::Five, 200)
        .display("1.00")
        .line("END");
    jobs.push(("kicks-and-display".into(), kicks.into_bytes()));
    let raw: [(&str, &[u8]); 15] = [
        // Visible as bytes, blank in PC437.
        ("blank-as-text", b"\xff\xff\n\x1dV\x00A\n"),
        ("bar-codes", b"\x1dk\x04CODE39\x00\x1dkI\x05{B123\x1dh\x40\x1dH\x02END\n"),
        ("bar-code-without-end", b"\x1dk\x02400638133393\nMILK 1.29\n"),
        ("qr", b"\x1d(k\x04\x001A2\x00\x1d(k\x03\x001C\x03\x1d(k\x09\x001P0V0;Bon\x1d(k\x03\x001Q0"),
        ("graphics", b"\x1d(L\x0c\x000p0\x01\x011\x08\x00\x01\x00\xff\x1d(L\x02\x0002\x1d8L\x02\x00\x00\x0002"),
        ("columns", b"\x1b3\x18\x1b*\x21\x02\x00\x01\x02\x03\x04\x05\x06\n\x1b*\x00\x02\x00\x01\x02\n\x1b2"),
        ("glyphs", b"\x1b&\x03\x41\x42\x02\x01\x02\x03\x04\x05\x06\x01\x07\x08\x09\x1b%\x01A\n"),
        ("stored-logos", b"\x1cq\x01\x01\x00\x01\x00\x01\x02\x03\x04\x05\x06\x07\x08\x1cp\x01\x00\x1d*\x01\x01\x01\x02\x03\x04\x05\x06\x07\x08\x1d/\x00"),
        ("tabs", b"\x1bD\x08\x10\x18\x00A\tB\tC\r\nD\t\t\n\r"),
        ("kanji", b"\x1c&\x8d\x87\x8cv\x1c.\x81 \x1cC1\x83\x5c\x1cC0\x1c&\x39\x67\x1c(A\x02\x000\x01\x1c2\x77\x21END\n"),
        ("utf-8", b"\x1c(C\x02\x0002Za\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87\n\x1b@Za\xc5\n"),
        ("kick-in-picture", b"\x1dv0\x00\x02\x00\x04\x00\x00\x10\x14\x01\x00\x02\x00\x00\x1dV\x00\x1b@NEXT\n"),
        ("status", b"\x10\x04\x01\x10\x05\x02\x1dI\x01\x1bu\x00\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08\x1b\x07\x10\x14\x03\x00\x00\x00\x00\x00"),
        ("display-lost", b"\x1b=\x02\x0cTOTAL 5.00\x1f$\x01\x02\x1ba\x01PAPER\n\x1dVB\x00"),
        ("page-mode", b"\x1bL\x1bW\x00\x00\x00\x00\x00\x02\x00\x01\x1d$\x10\x00A\x1b$\x10\x00B\x0c\x1bS"),
    ];
    jobs.extend(raw.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    let long: Vec<u8> = (0..300)
        .flat_map(|n| {
            if n % 9 == 0 {
                vec![0x1b, b't', n as u8]
            } else {
                vec![b'x']
            }
        })
        .collect();
    jobs.push(("long-line".into(), long));
    jobs
}

/// The job in two halves with pauses, then silence.
fn taps(job: &[u8]) -> Vec<u8> {
    let mut steps = vec![0, 0];
    let (first, second) = job.split_at(job.len() / 2);
    for (half, pause) in [(first, 1_100_u16), (second, 4_000)] {
        steps.push(0);
        steps.extend((half.len() as u16).to_le_bytes());
        steps.extend(half);
        steps.push(2);
        steps.extend(pause.to_le_bytes());
    }
    // And the second half once more, often.
    steps.extend([3, 200, 1, 0x88, 0x13]);
    steps
}

fn receipts(jobs: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, job) in jobs {
        let mut tap = ReceiptTap::new(Config::default(), FramerConfig::default());
        let mut text = String::new();
        let mut take = |event| {
            if let FramerEvent::Document(document) = event {
                document
                    .lines
                    .iter()
                    .for_each(|line| text.extend([&line.text, "\n"]));
            }
        };
        tap.feed(job, 0, &mut take);
        tap.close(1, &mut take);
        if !text.is_empty() {
            put("receipt_transaction", name, text.as_bytes())?;
        }
    }
    let written = [
        (
            "cards",
            "VISA 4111 1111 1111 1111\nAMEX 3782 822463 10005\n4111-1111-1111-1111\n378282246310005\nTRN 004512",
        ),
        (
            "refund-de",
            "*** RETOURE ***\nKäse  -4,49 €\nSUMME EUR -4,49\nBAR -4,49\nEs bediente Sie: Anna\nBon-Nr. 1187",
        ),
        (
            "exchange",
            "RETURN JACKET 20.00-\nSHIRT 30.00\nTOTAL $10.00\nCASH 10.00\nServed by Ann",
        ),
        (
            "yen",
            "返品             -1,280\n合計  ￥520\nお釣               ￥520\n担当:田中",
        ),
        (
            "void",
            "VOID TRANSACTION\nMILK (1.29)\nITEM VOID 1.29CR\nRECEIPT #12-34",
        ),
        (
            "reports",
            "Z-BERICHT\nX REPORT\nTRAINING\nDUPLICATE\nNO SALE\nPAID OUT 5.00",
        ),
    ];
    for (name, text) in written {
        put("receipt_transaction", name, text.as_bytes())?;
    }
    Ok(())
}

fn texts() -> Result<()> {
    let amounts = [
        "150.0",
        "0.1",
        "-1.00",
        "1e3",
        "1.5E-1",
        "12.345",
        "-0.005",
        "1e-9",
        "0e2000000000",
        "99999999999999999999",
        "9223372036854775807",
        "92233720368547758.07",
        "+5.",
        ".5",
        "",
        "-",
        "1,5",
        "NaN",
        "1e400",
    ];
    for (number, text) in amounts.iter().enumerate() {
        put("money", &format!("{number:02}"), text.as_bytes())?;
    }
    let times = [
        "2025-10-04T14:34:15Z",
        "2025-10-04T16:34:15",
        "2025-10-04 16:34:15.25",
        "2025-10-04T16:34:15+02:00",
        "2026-03-29T02:30:00",
        "2026-10-25 02:30",
        "2025-10-04",
        "20251004T163415",
        "-009999-01-02T01:59:59Z",
        "9999-12-30T21:59:59Z",
        "2025-10-04T16:34:15+02:00[Europe/Berlin]",
        "2016-12-31T23:59:60Z",
        "1969-12-31T23:59:59.9999999Z",
        "1759588455",
        "yesterday",
        "",
    ];
    for (number, text) in times.iter().enumerate() {
        put("timestamp", &format!("{number:02}"), text.as_bytes())?;
    }
    Ok(())
}

/// The fixed bytes of every type of record.
fn records() -> Result<()> {
    let lines = include_str!("../../../../gateway/protocol/tests/records.hex");
    for line in lines.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, kind, _, hex] = words[..] else {
            continue;
        };
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let body: Vec<u8> = hex.as_bytes().chunks(2).filter_map(byte).collect();
        let mut input = vec![kind.parse().unwrap_or(0)];
        input.extend(body);
        put("record", name, &input)?;
    }
    Ok(())
}

fn drawer_edges() -> Result<()> {
    // Units of 1 µs, 100 µs, 10 ms and 1 s in the high bits; see the target.
    const TENTHS: u8 = 1 << 6;
    const SECONDS: u8 = 3 << 6;
    let opening: [(u8, u16); 6] = [
        (5, 0),
        (TENTHS + 3, 100),
        (TENTHS + 2, 1_000),
        (TENTHS, 500),
        (TENTHS + 1, 60_000),
        (SECONDS + 7, 1),
    ];
    let bouncing: Vec<(u8, u16)> = (0..40)
        .map(|n| (n % 2, 900))
        .chain([(TENTHS + 7, 110)])
        .collect();
    let chatter: Vec<(u8, u16)> = (0..90)
        .map(|n| (TENTHS + n % 2, 80))
        .chain([(SECONDS + 7, 1)])
        .collect();
    let train: Vec<(u8, u16)> = (0..8)
        .map(|n| (TENTHS + 2 + n % 2, 600))
        .chain([(SECONDS + 7, 1)])
        .collect();
    let held: [(u8, u16); 4] = [(6, 10), (SECONDS + 7, 2), (2, 500), (SECONDS + 7, 1)];
    let noise: Vec<(u8, u16)> = (0..10)
        .map(|n| (2 + n % 2, 2_000))
        .chain([(SECONDS + 7, 1)])
        .collect();
    // Too short to be a kick, until it goes on within the debounce.
    let goes_on: [(u8, u16); 5] = [(3, 100), (2, 4_500), (3, 700), (2, 500), (SECONDS + 7, 1)];
    let seeds: [(&str, &[(u8, u16)]); 7] = [
        ("pulse-goes-on", &goes_on),
        ("opening", &opening),
        ("bouncing", &bouncing),
        ("chatter", &chatter),
        ("train", &train),
        ("held", &held),
        ("noise", &noise),
    ];
    for (name, steps) in seeds {
        let mut input = vec![0x28 | 1];
        for (what, time) in steps {
            input.push(*what);
            input.extend(time.to_le_bytes());
        }
        put("drawer_edges", name, &input)?;
    }
    Ok(())
}
