//! A box that restarts from a snapshot and the rest of its log concludes the same.
#![allow(clippy::unwrap_used)]

mod stage;

use proptest::prelude::*;
use stage::*;
use tillwatch_detect::{Engine, Outcome, SnapshotError};
use tillwatch_protocol::clip::{Motion, PictureState};
use tillwatch_protocol::event::{Event, EventBody, Witness};
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::settings::ReceiptPolicy;

fn play(steps: &[(u8, u16)]) -> Stage {
    let mut stage = Stage::fresh();
    for (n, (what, after)) in steps.iter().enumerate() {
        let at = stage.now_s + f64::from(*after) / 10.0;
        let ticket = format!("T{}", n % 7);
        let witness = ALL[n % 4];
        let said = at - f64::from(*after % 50);
        stage.at(at);
        match what % 27 {
            0 | 1 => stage.opens(),
            2 | 3 => stage.closes(),
            4 | 5 => stage.kick().opens(),
            6 => stage.command(n % 3 > 0),
            7 => stage.paper_started(),
            8 | 9 => stage.prints(receipt(ReceiptKind::Sale).number(&ticket).total(500)),
            10 => stage.prints(receipt(ReceiptKind::PostVoid).number(&ticket)),
            11 => stage.prints(receipt(ReceiptKind::Return).total(-100)),
            12 => stage.prints(receipt(ReceiptKind::NoSale)),
            13 => stage.prints(receipt(ReceiptKind::Sale).pictured()),
            14 | 15 => stage.tells(
                till("payment_cleared")
                    .ticket(&ticket)
                    .amount(500)
                    .said_at(said),
            ),
            16 => stage.tells(till("void_transaction").staff("ann").said_at(said)),
            17 => stage.tells(till("refund_issued").staff("bob").ticket(&ticket)),
            18 => stage.tells(till("no_sale_opened").staff("ann")),
            19 => stage.loses(witness),
            20 => stage.regains(witness),
            21 => stage.gap(witness),
            22 => stage.settings(|to| {
                to.receipt_policy = match to.receipt_policy {
                    ReceiptPolicy::Always => ReceiptPolicy::OnRequest,
                    _ => ReceiptPolicy::Always,
                };
            }),
            23 => stage.motion(
                (n % 2) as u8,
                [
                    Motion::Still,
                    Motion::Still,
                    Motion::Moving,
                    Motion::Unjudged,
                ][n % 4],
            ),
            24 => stage.picture(0, [PictureState::Clear, PictureState::Dark][n % 2]),
            25 => stage.camera((n % 2) as u8),
            _ => {
                if n % 2 == 0 {
                    stage.boot += 1;
                }
                stage.start(&[Witness::KickLine][..usize::from(n % 3 == 0)])
            }
        };
    }
    let end = stage.now_s + 1_000.0;
    stage.at(end);
    stage
}

fn run(engine: &mut Engine, events: &[Event]) -> Vec<Outcome> {
    let mut out = Vec::new();
    for event in events {
        engine.on_event(event, &mut out);
    }
    out
}

proptest! {
    #[test]
    fn a_snapshot_anywhere_changes_nothing(
        steps in prop::collection::vec((any::<u8>(), 0_u16..900), 1..120),
        cut in any::<prop::sample::Index>(),
    ) {
        let stage = play(&steps);
        let expected: Vec<Outcome> = stage.outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        let cut = cut.index(stage.events.len());
        let mut before = Engine::new(log());
        let mut outcomes = run(&mut before, &stage.events[..cut]);
        let mut after = Engine::new(log());
        after.restore(&before.snapshot().unwrap()).unwrap();
        prop_assert_eq!(after.deadline(), before.deadline());
        prop_assert_eq!(after.settings(), before.settings());
        outcomes.extend(run(&mut after, &stage.events[cut..]));
        prop_assert_eq!(outcomes, expected);
        prop_assert_eq!(after.snapshot().unwrap(), stage.engine.snapshot().unwrap());
    }

    #[test]
    fn any_bytes_are_a_snapshot_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut engine = Engine::new(log());
        let _ = engine.restore(&bytes);
        let mut versioned = vec![3];
        versioned.extend(bytes);
        let _ = engine.restore(&versioned);
    }
}

#[test]
fn a_snapshot_of_another_version_is_refused_and_the_engine_stays_as_it_was() {
    let mut stage = Stage::fresh();
    stage.at(5.0).kick().opens();
    let mut snapshot = stage.engine.snapshot().unwrap();
    snapshot[0] = 99;
    let before = stage.engine.snapshot().unwrap();
    assert!(matches!(
        stage.engine.restore(&snapshot),
        Err(SnapshotError::Version { found: 99, .. })
    ));
    assert!(matches!(
        stage.engine.restore(&[]),
        Err(SnapshotError::Damaged { .. })
    ));
    assert_eq!(stage.engine.snapshot().unwrap(), before);
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut stage = Stage::fresh();
    let mut largest = 0;
    for n in 0..4_000_u32 {
        let ticket = format!("T{n}");
        let at = stage.now_s + 0.05;
        stage
            .at(at)
            .kick()
            .opens()
            .closes()
            .command(true)
            .paper_started();
        stage.prints(receipt(ReceiptKind::PostVoid).number(&ticket));
        stage.tells(till("refund_issued").staff(&ticket).ticket(&ticket));
        stage.tells(till("payment_cleared").order(&ticket));
        if n % 500 == 499 {
            let bytes = stage.engine.snapshot().unwrap().len();
            if n < 2_000 {
                largest = largest.max(bytes);
            } else {
                assert!(
                    bytes <= largest + largest / 10,
                    "{bytes} after {n}, was {largest}"
                );
            }
        }
    }
    assert!(largest < 1_000_000, "{largest}");
    assert!(stage.engine.forgotten() > 0);
    assert!(
        stage
            .events
            .iter()
            .any(|e| matches!(e.body, EventBody::Kick))
    );
}
