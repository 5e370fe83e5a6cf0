//! A shop with a broker of its own, a line to head office's broker, and a gateway between them.

use crate::accounts::{self, ARRIVAL, Shown};
use crate::load::{Load, Sent};
use crate::support::gateway::Gateway;
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::Subscriber;
use crate::support::{wait_for, wait_for_within};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A word of the receipt that [`Shop::open_matters`] prints.
pub const RECEIPT: &str = "gooseberries";
/// Voids that head office is not told of until [`Shop::close_matters`].
const UNTOLD: [&str; 3] = ["untold-0", "untold-1", "untold-2"];

pub struct Shop {
    /// Where the till publishes; never down.
    pub broker: Mosquitto,
    head_offices_broker: Mosquitto,
    online: bool,
    pub head_office: Subscriber,
    pub gateway: Gateway,
}

impl Shop {
    /// Open, with a gateway that was never started.
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same; `more` is added to the gateway's configuration.
    pub fn with(more: &str) -> Self {
        let (broker, head_offices_broker) = (Mosquitto::start(""), Mosquitto::start(""));
        let head_office = Subscriber::start(head_offices_broker.port(), "stores/#");
        let gateway = Gateway::prepare_between(broker.port(), head_offices_broker.port(), more);
        Self {
            broker,
            head_offices_broker,
            online: true,
            head_office,
            gateway,
        }
    }

    /// Whether the line to head office is up.
    pub fn is_online(&self) -> bool {
        self.online
    }

    /// Takes the line to head office down or puts it up.
    pub fn line_to_head_office(&mut self, up: bool) {
        match (self.online, up) {
            (true, false) => self.head_offices_broker.stop(),
            (false, true) => self.head_offices_broker.resume(),
            _ => {}
        }
        self.online = up;
    }

    /// Starts the gateway and lets the tills know where it listens.
    pub fn run(&mut self, load: &Load) {
        self.gateway.run();
        self.gateway.listening();
        load.aim(&self.gateway.url(""));
    }

    /// A last start with a line to head office: everything that was accepted arrives.
    pub fn close_the_day(&mut self, load: Load) -> BTreeMap<String, Sent> {
        self.line_to_head_office(true);
        self.run(&load);
        load.goes_on(20);
        let accepted = load.end();
        accounts::head_office_has_each_once(&self.head_office, &accepted);
        accepted
    }

    /// Makes sure that there is something of every kind to show: a receipt, a verdict, alerts that
    /// head office has and alerts that wait for it. Stops and starts the gateway once in good
    /// order, shows what there is then, and leaves it stopped and the line down.
    pub fn open_matters(&mut self) -> Shown {
        self.gateway.ready();
        let paper = tillwatch_simulator::escpos::Job::new()
            .initialize()
            .line("GOOSEBERRIES  2.20")
            .line("TOTAL  2.20")
            .cut(3)
            .into_bytes();
        self.gateway.printer.send(&paper).unwrap();
        wait_for("the receipt", || {
            let found = self.gateway.json(&format!("/api/receipts?q={RECEIPT}"));
            (found != json!([])).then_some(())
        });
        let alerts = self.gateway.json("/api/alerts?limit=1");
        let id = alerts[0]["alert_id"].as_str().unwrap();
        let verdict = json!({"verdict": "legitimate", "note": "seen"}).to_string();
        let (status, answer) = self
            .gateway
            .post(&format!("/api/alerts/{id}/review"), &verdict);
        assert_eq!(status, 200, "{answer}");
        wait_for_within(ARRIVAL, "the outbox to be empty", || {
            (self.gateway.json("/api/status")["outbox"]["depth"] == 0).then_some(())
        });
        self.line_to_head_office(false);
        for id in UNTOLD {
            let void = json!({"event_id": id, "event_type": "void_transaction"}).to_string();
            assert_eq!(self.gateway.post("/api/pos-events", &void).0, 200);
        }
        assert!(self.gateway.stop().success());
        self.gateway.run();
        self.gateway.listening();
        let shown = Shown::by(&self.gateway, RECEIPT, None);
        let (told, untold) = (
            shown.alerts_where("delivery", "acknowledged"),
            shown.alerts_where("delivery", "accepted"),
        );
        assert_eq!(untold, UNTOLD.len());
        assert_eq!(told + untold, shown.alerts.len());
        let reviewed = |alert: &Value| alert["review"]["verdict"] == "legitimate";
        assert!(shown.alerts.iter().any(reviewed));
        assert!(self.gateway.stop().success());
        shown
    }

    /// The line is up again: head office hears of the rest.
    pub fn close_matters(&mut self) {
        self.line_to_head_office(true);
        for id in UNTOLD {
            self.head_office.alert_within(ARRIVAL, id, |alert| {
                alert["event_id"] == id && alert["rule"] == "pos_score"
            });
        }
    }
}
