//! Cameras that see nothing, for good and bad reasons.
#![allow(clippy::unwrap_used)]

mod stage;

use PictureState::{Clear, Covered, Dark, Frozen};
use stage::*;
use tillwatch_protocol::clip::PictureState;
use tillwatch_protocol::event::Witness;
use tillwatch_protocol::finding::Severity;
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::settings::OpeningHours;
use tillwatch_protocol::time::Clock;

const CAMERA: Witness = Witness::Camera(0);

struct Sight {
    name: &'static str,
    /// Hours of the day, of which it is noon at the beginning.
    open: (u16, u16),
    play: fn(&mut Stage),
    /// Alerts, each with its notice.
    found: usize,
}

const DAY: (u16, u16) = (6, 23);
const MORNING: (u16, u16) = (6, 11);

const SIGHTS: &[Sight] = &[
    Sight {
        name: "covered",
        open: DAY,
        play: |s| {
            s.picture(0, Covered);
        },
        found: 1,
    },
    Sight {
        name: "frozen",
        open: DAY,
        play: |s| {
            s.picture(0, Frozen);
        },
        found: 1,
    },
    Sight {
        name: "dark while the shop is open",
        open: DAY,
        play: |s| {
            s.picture(0, Dark);
        },
        found: 1,
    },
    Sight {
        name: "covered at night: no lamp covers a lens",
        open: MORNING,
        play: |s| {
            s.picture(0, Covered);
        },
        found: 1,
    },
    Sight {
        name: "covered, then dark, then frozen is one episode",
        open: DAY,
        play: |s| {
            s.picture(0, Covered).at(110.0).picture(0, Dark);
            s.at(120.0).picture(0, Frozen);
        },
        found: 1,
    },
    Sight {
        name: "covered again and again is one matter",
        open: DAY,
        play: |s| {
            for n in 0..30 {
                let at = 100.0 + f64::from(n) * 20.0;
                s.at(at).picture(0, Covered);
                s.at(at + 10.0).picture(0, Clear);
            }
        },
        found: 1,
    },
    Sight {
        name: "covered again after a while is another",
        open: DAY,
        play: |s| {
            s.picture(0, Covered).at(110.0).picture(0, Clear);
            s.at(800.0).picture(0, Covered);
        },
        found: 2,
    },
    Sight {
        name: "still covered after a restart is the same matter",
        open: DAY,
        play: |s| {
            s.picture(0, Covered).at(110.0).start(&[]).regains(CAMERA);
            s.at(116.0).picture(0, Covered);
        },
        found: 1,
    },
    Sight {
        name: "each camera has its own",
        open: DAY,
        play: |s| {
            s.regains(Witness::Camera(1)).at(200.0);
            s.picture(0, Covered).picture(1, Covered);
        },
        found: 2,
    },
    Sight {
        name: "near miss: dark outside the opening hours, and somebody sells",
        open: MORNING,
        play: |s| {
            s.picture(0, Dark).at(200.0).sale("T1", 500);
        },
        found: 0,
    },
    Sight {
        name: "near miss: dark in the last half hour",
        open: (6, 12),
        play: |s| {
            s.at(1_900.0).picture(0, Dark);
        },
        found: 0,
    },
    Sight {
        name: "in the last half hour, but it is sold on",
        open: (6, 12),
        play: |s| {
            s.at(1_900.0).picture(0, Dark).at(2_000.0).sale("T1", 500);
        },
        found: 1,
    },
    Sight {
        name: "near miss: dark after the day was closed",
        open: DAY,
        play: |s| {
            s.prints(receipt(ReceiptKind::ZReport));
            s.at(200.0).picture(0, Dark);
        },
        found: 0,
    },
    Sight {
        name: "near miss: a camera that starts in a dark shop",
        open: DAY,
        play: |s| {
            s.loses(CAMERA).regains(CAMERA).picture(0, Dark).at(300.0);
        },
        found: 0,
    },
    Sight {
        name: "a camera that starts dark, and something is sold",
        open: DAY,
        play: |s| {
            s.loses(CAMERA).regains(CAMERA).picture(0, Dark);
            s.at(300.0).sale("T1", 500);
        },
        found: 1,
    },
    Sight {
        name: "near miss: a sale of before the dark that is told late",
        open: DAY,
        play: |s| {
            s.loses(CAMERA).regains(CAMERA).picture(0, Dark);
            let late = till("payment_cleared").ticket("T1").said_at(90.0);
            s.at(300.0).tells(late);
        },
        found: 0,
    },
    Sight {
        name: "near miss: a camera that finds its exposure",
        open: DAY,
        play: |s| {
            s.loses(CAMERA).regains(CAMERA).picture(0, Covered);
            s.at(150.0).picture(0, Clear).at(300.0);
        },
        found: 0,
    },
    Sight {
        name: "a camera that starts covered and stays so",
        open: DAY,
        play: |s| {
            s.loses(CAMERA).regains(CAMERA).picture(0, Covered);
            s.at(300.0);
        },
        found: 1,
    },
    Sight {
        name: "near miss: dark at night, grey at dawn, clear in the morning",
        open: MORNING,
        play: |s| {
            s.picture(0, Dark).at(20_000.0).picture(0, Covered);
            s.at(20_300.0).picture(0, Clear);
        },
        found: 0,
    },
    Sight {
        name: "near miss: nobody knows the hour",
        open: DAY,
        play: |s| {
            s.clock = Clock::Unsynced;
            s.picture(0, Dark).at(200.0);
        },
        found: 0,
    },
    Sight {
        name: "near miss: the camera is unplugged",
        open: DAY,
        play: |s| {
            s.loses(CAMERA).at(300.0).regains(CAMERA);
            s.at(306.0).picture(0, Clear);
        },
        found: 0,
    },
];

#[test]
fn stories_end_as_they_should() {
    for sight in SIGHTS {
        let mut stage = Stage::fresh();
        stage.settings(|to| {
            to.opening_hours = OpeningHours {
                from_minute: sight.open.0 * 60,
                to_minute: sight.open.1 * 60 + if sight.open == (6, 12) { 59 } else { 0 },
            };
        });
        stage.camera(0).at(100.0);
        (sight.play)(&mut stage);
        let end = stage.now_s + 120.0;
        stage.at(end);
        let name = sight.name;
        let stands: Vec<_> = stage.standing();
        let found = vec![("camera_blinded".to_owned(), 500); sight.found];
        assert_eq!(stands, found, "{name}: {:#?}", stage.outcomes);
        let notices = vec!["camera_blinded".to_owned(); sight.found];
        assert_eq!(stage.notices(), notices, "{name}");
    }
}

#[test]
fn the_alert_says_which_camera_and_stands_when_it_sees_again() {
    let mut stage = Stage::fresh();
    stage.camera(0).at(100.0).picture(0, Covered);
    stage.at(130.0).picture(0, Clear).at(300.0);
    let alert = stage.alerts()[0];
    assert_eq!((alert.revision, alert.severity), (1, Severity::High));
    let [contribution] = &alert.contributions[..] else {
        panic!("{alert:?}")
    };
    assert_eq!(contribution.text, "the picture of camera 0 is covered");
    assert_eq!(alert.evidence[0].what, "picture of camera 0 covered");
    assert_eq!(stage.standing(), [("camera_blinded".to_owned(), 500)]);
}
