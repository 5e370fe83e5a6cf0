//! The layout of the saved state is pinned by a state that an earlier build saved. Restart rests on
//! it: a layout that changed under the same version may decode to nonsense.
#![allow(clippy::unwrap_used)]

mod stage;

use stage::*;
use std::path::PathBuf;
use tillwatch_detect::Engine;
use tillwatch_protocol::clip::PictureState;
use tillwatch_protocol::event::Witness;
use tillwatch_protocol::receipt::ReceiptKind;

/// A register with something in every memory.
fn busy() -> Stage {
    let mut stage = Stage::fresh();
    for n in 0..12 {
        let now = stage.now_s + 70.0;
        stage.at(now).sale(&format!("T{n}"), 500 + n);
    }
    let now = stage.now_s;
    stage.loses(Witness::KickLine).regains(Witness::KickLine);
    stage
        .gap(Witness::Printer)
        .prints(receipt(ReceiptKind::Sale));
    let late = till("payment_cleared").order("O1").amount(900);
    stage.at(now + 100.0).tells(late.said_at(now - 200.0));
    stage.opens().at(now + 110.0).closes();
    stage.tells(till("refund_issued").staff("ann").ticket("R1"));
    stage.at(now + 190.0).prints(receipt(ReceiptKind::PostVoid));
    stage.tells(till("payment_cleared").order("O2").amount(700));
    stage.command(true).kick().opens().paper_started();
    stage.camera(0).camera(1).picture(1, PictureState::Dark);
    stage.tells(till("refund_issued").staff("bob").ticket("R2"));
    stage
}

fn saved(version: u8) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/saved_state");
    folder.join(format!("engine-{version}.bin"))
}

#[test]
fn what_this_version_saved_once_is_still_read_and_written_alike() {
    let version = busy().engine.snapshot().unwrap()[0];
    let path = saved(version);
    if std::env::var("WRITE_SAVED_STATE").is_ok() {
        assert!(
            !path.exists(),
            "a saved state is never written over: raise the version"
        );
        std::fs::write(&path, busy().engine.snapshot().unwrap()).unwrap();
    }
    let advice = "the layout changed: raise VERSION of the engine, remove the old file and run \
                  this test once with WRITE_SAVED_STATE=1";
    let bytes = std::fs::read(&path).expect(advice);
    let mut engine = Engine::new(log());
    engine.restore(&bytes).expect(advice);
    assert!(engine.snapshot().unwrap() == bytes, "{advice}");
}

#[test]
fn a_state_that_was_cut_off_is_refused() {
    let mut bytes = busy().engine.snapshot().unwrap();
    bytes.pop();
    assert!(Engine::new(log()).restore(&bytes).is_err());
}
