//! MQTT topics, built and taken apart. The only place that spells them.

use crate::ids::{AlertId, RegisterId, StoreCode};
use crate::lane::Lane;

/// Topics that this gateway publishes, by its store.
#[derive(Debug, Clone)]
pub struct Upstream {
    store: StoreCode,
    register: RegisterId,
}

impl Upstream {
    /// For one register.
    #[must_use]
    pub fn new(store: StoreCode, register: RegisterId) -> Self {
        Self { store, register }
    }

    /// One alert. Lane urgent.
    #[must_use]
    pub fn alerts(&self) -> String {
        format!("stores/{}/alerts", self.store)
    }

    /// A verdict given at the register. Lane urgent.
    #[must_use]
    pub fn reviews(&self) -> String {
        format!("stores/{}/reviews", self.store)
    }

    /// Events and findings below the alert line. Lane bulk.
    #[must_use]
    pub fn events(&self) -> String {
        format!("stores/{}/events", self.store)
    }

    /// A still picture of an alert. Lane business.
    #[must_use]
    pub fn still(&self, alert: AlertId) -> String {
        format!("stores/{}/alerts/{alert}/still", self.store)
    }

    /// Health, every 60 s, not queued.
    #[must_use]
    pub fn health(&self) -> String {
        format!("stores/{}/telemetry/health", self.store)
    }

    /// Errors, rate-limited. Lane urgent.
    #[must_use]
    pub fn errors(&self) -> String {
        format!("stores/{}/telemetry/errors", self.store)
    }

    /// Retained `online` or `offline`.
    #[must_use]
    pub fn state(&self) -> String {
        format!("stores/{}/registers/{}/state", self.store, self.register)
    }

    /// Answer to one command.
    #[must_use]
    pub fn reply(&self, command_id: &str) -> String {
        format!(
            "stores/{}/registers/{}/replies/{command_id}",
            self.store, self.register
        )
    }

    /// MQTT client id of one of the gateway's connections (`up`, `down`, `bulk`, `pos`).
    #[must_use]
    pub fn client_id(&self, connection: &str) -> String {
        format!("tw-{}-{}-{connection}", self.store, self.register)
    }

    /// The lane that a topic of ours belongs to, `None` for live topics.
    #[must_use]
    pub fn lane_of(topic: &str) -> Option<Lane> {
        let rest = topic.strip_prefix("stores/")?.split_once('/')?.1;
        match rest {
            "alerts" | "reviews" | "telemetry/errors" => Some(Lane::Urgent),
            "orders" | "daily/exports" | "evidence/anchor" => Some(Lane::Business),
            "events" => Some(Lane::Bulk),
            _ if rest.starts_with("alerts/") && rest.ends_with("/still") => Some(Lane::Business),
            _ if rest.starts_with("clips/") => Some(Lane::Bulk),
            _ => None,
        }
    }
}

/// Kinds of POS topics that are subscribed by default, below `pos/events/{store}/`.
pub const POS_KINDS: [&str; 5] = ["discount", "void", "refund", "drawer", "general"];

/// Subscription for one kind of POS event; `None` subscribes to every store.
#[must_use]
pub fn pos_subscription(store: Option<&str>, kind: &str) -> String {
    format!("pos/events/{}/{kind}", store.unwrap_or("+"))
}

/// The store that a POS topic names: `pos/events/store_001/void` gives `store_001`.
#[must_use]
pub fn pos_topic_store(topic: &str) -> Option<&str> {
    topic
        .strip_prefix("pos/events/")?
        .split('/')
        .next()
        .filter(|store| !store.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_spelled_as_specified() {
        let up = Upstream::new(
            StoreCode::new("S03").unwrap(),
            RegisterId::new("reg_02").unwrap(),
        );
        assert_eq!(up.alerts(), "stores/S03/alerts");
        assert_eq!(up.health(), "stores/S03/telemetry/health");
        assert_eq!(up.errors(), "stores/S03/telemetry/errors");
        assert_eq!(up.state(), "stores/S03/registers/reg_02/state");
        assert_eq!(up.client_id("up"), "tw-S03-reg_02-up");
        assert_eq!(pos_subscription(None, "void"), "pos/events/+/void");
        assert_eq!(
            pos_subscription(Some("store_001"), "void"),
            "pos/events/store_001/void"
        );
        assert_eq!(
            pos_topic_store("pos/events/store_001/void"),
            Some("store_001")
        );
        assert_eq!(pos_topic_store("pos/events//void"), None);
    }

    #[test]
    fn every_queued_topic_has_its_lane() {
        assert_eq!(Upstream::lane_of("stores/S03/alerts"), Some(Lane::Urgent));
        assert_eq!(
            Upstream::lane_of("stores/S03/alerts/1/still"),
            Some(Lane::Business)
        );
        assert_eq!(Upstream::lane_of("stores/S03/events"), Some(Lane::Bulk));
        assert_eq!(Upstream::lane_of("stores/S03/telemetry/health"), None);
    }
}
