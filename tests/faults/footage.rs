//! The process is killed at every named point of the footage while two cameras are recorded around
//! voids. Whatever a clip shows afterwards is its camera's, whole and of its time; what was being
//! recorded is finished with what there is; every accepted void is told to head office once; and
//! what there is does not depend on the index.

use crate::film::{Film, one_by_one, seen_for_a_while, settled};
use crate::load::Sent;
use crate::shop::Shop;
use crate::support::wait_for_within;
use crate::{LIFE, accounts, arm, ends_at};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tillwatch_store::failpoint;

/// Seconds before and after a cause.
const WINDOW: &str = "1";
/// Between two voids: a part of each clip lies before its cause alone, so that there is something to
/// thin.
const PAUSE: Duration = Duration::from_millis(2_600);
/// A till that hears nothing for so long sends again.
const ANSWER: Duration = Duration::from_secs(5);

/// Sells one void after the other, and remembers those that were accepted.
#[derive(Default)]
struct Till {
    accepted: BTreeMap<String, Sent>,
    last: Option<Instant>,
}

impl Till {
    /// Voids something when the last time was long enough ago.
    fn voids_now_and_then(&mut self, address: &str) {
        if self.last.is_none_or(|last| last.elapsed() >= PAUSE) {
            self.voids(address);
        }
    }

    fn voids(&mut self, address: &str) {
        // One that was not accepted is sent again, the same.
        let id = format!("till-{}", self.accepted.len());
        let body = json!({"event_id": id, "event_type": "void_transaction", "amount": 900,
            "staff_id": "emp_1", "order_id": format!("ORD-{id}")});
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER))
            .build()
            .into();
        let sent = agent
            .post(format!("{address}/api/pos-events"))
            .header("content-type", "application/json")
            .send(body.to_string());
        if sent.is_ok_and(|answer| answer.status() == 200) {
            let topic = "pos/events/S03/void";
            self.accepted.insert(id.clone(), Sent { id, topic, body });
            self.last = Some(Instant::now());
        }
    }
}

/// A shop that is filmed.
struct Filmed {
    shop: Shop,
    film: Film,
    till: Till,
    /// Clips of the last look that were there.
    known: Vec<Value>,
}

impl Filmed {
    fn new() -> Self {
        let film = Film::new();
        let mut shop = Shop::with(&film.config());
        shop.gateway.set_env("CORRELATION_WINDOW", WINDOW);
        Self {
            shop,
            film,
            till: Till::default(),
            known: Vec::new(),
        }
    }

    /// One life with voids that ends at a point.
    fn dies_at(&mut self, name: &'static str, at: u32) {
        let Self { shop, till, .. } = self;
        arm(&mut shop.gateway, Some((name, at)));
        shop.gateway.run();
        let enough = till.accepted.len() + 1;
        let mut asked = false;
        let closes = name.starts_with("media.close.");
        let sells = !name.starts_with("media.reserve.");
        ends_at(name, &mut shop.gateway, |gateway| {
            if let Some(address) = gateway.try_address().filter(|_| sells && !asked) {
                till.voids_now_and_then(&address);
            }
            if closes && !asked && till.accepted.len() >= enough {
                asked = true;
                gateway.signal(nix::sys::signal::Signal::SIGTERM);
            }
        });
    }

    /// One life without an end of its own: all is looked at.
    fn is_whole(&mut self) {
        arm(&mut self.shop.gateway, None);
        self.shop.gateway.run();
        self.shop.gateway.listening();
        let clips = self.film.check(&self.shop.gateway);
        for (before, (status, body)) in self
            .known
            .iter()
            .zip(one_by_one(&self.shop.gateway, &self.known))
        {
            assert!(status == 200 || status == 410, "{before} became {body}");
        }
        let there = |clip: &&Value| clip["state"] != "dropped";
        self.known = clips.iter().filter(there).cloned().collect();
        assert!(!self.known.is_empty(), "{clips:?}");
        self.shop.gateway.kill();
    }

    /// Kills at all points of some procedures, each at some hits of a life.
    fn is_killed(&mut self, procedures: &[(&str, &[u32])]) {
        for (procedure, hits) in procedures {
            let names = failpoint::MEDIA_NAMES.iter();
            for name in names.filter(|name| name.starts_with(procedure)) {
                for at in *hits {
                    self.dies_at(name, *at);
                    self.is_whole();
                }
            }
        }
    }

    /// A day that fills the room, so that from here on segments are used again.
    fn fills_the_room(&mut self) {
        arm(&mut self.shop.gateway, None);
        self.shop.gateway.run();
        self.shop.gateway.ready();
        seen_for_a_while(&self.shop.gateway);
        let Self { shop, till, .. } = self;
        wait_for_within(LIFE, "footage to be given up", || {
            till.voids_now_and_then(&shop.gateway.url(""));
            let clips = shop.gateway.json("/api/clips?limit=1000");
            let gone = |clip: &Value| clip["state"] == "dropped" || clip["thinned"] == true;
            clips.as_array().unwrap().iter().any(gone).then_some(())
        });
        self.shop.gateway.kill();
    }

    /// Head office heard of each void once, and the clips are the same with a new index.
    fn closes(mut self) {
        arm(&mut self.shop.gateway, None);
        self.shop.gateway.run();
        self.shop.gateway.ready();
        accounts::head_office_has_each_once(&self.shop.head_office, &self.till.accepted);
        let clips = self.film.check(&self.shop.gateway);
        let each = one_by_one(&self.shop.gateway, &clips);
        self.shop.gateway.kill();
        std::fs::remove_dir_all(self.shop.gateway.data().join("index")).unwrap();
        self.shop.gateway.run();
        self.shop.gateway.listening();
        assert_eq!(settled(&self.shop.gateway), clips);
        assert_eq!(one_by_one(&self.shop.gateway, &clips), each);
        assert_eq!(self.film.check(&self.shop.gateway), clips);
    }
}

const BEGIN: &str = "media.reserve.";
const WRITE: [(&str, &[u32]); 2] = [("media.group.", &[1, 12]), ("media.seal.", &[2])];
const MAKE_ROOM: [(&str, &[u32]); 3] = [
    ("media.recycle.", &[1]),
    ("media.recover.", &[1]),
    ("media.close.", &[1]),
];

#[test]
fn a_kill_while_footage_is_written_tears_no_picture_and_mixes_none() {
    let mut shop = Filmed::new();
    for name in failpoint::MEDIA_NAMES {
        if name.starts_with(BEGIN) {
            // Files are made at the very first start only.
            if shop.shop.gateway.data().exists() {
                std::fs::remove_dir_all(shop.shop.gateway.data()).unwrap();
            }
            for at in [1, 4] {
                shop.dies_at(name, at);
            }
        }
    }
    shop.fills_the_room();
    shop.is_killed(&WRITE);
    shop.closes();
}

#[test]
fn a_kill_while_room_is_made_tears_no_picture_and_mixes_none() {
    let mut shop = Filmed::new();
    shop.fills_the_room();
    shop.is_killed(&MAKE_ROOM);
    shop.closes();
}

#[test]
fn every_point_of_the_footage_gets_its_kill() {
    let procedures = WRITE
        .iter()
        .chain(&MAKE_ROOM)
        .map(|(procedure, _)| *procedure);
    let procedures: Vec<&str> = procedures.chain([BEGIN]).collect();
    for name in failpoint::MEDIA_NAMES {
        let covered = procedures.iter().any(|of| name.starts_with(of));
        assert!(covered, "no kill at {name}");
    }
}
