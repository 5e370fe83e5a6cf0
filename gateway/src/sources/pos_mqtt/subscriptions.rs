//! What is asked of the POS broker, and what it grants. No I/O.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, SubscribeReasonCode};

/// The filters of one connection.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// Not granted so far: asked for and not answered, or refused.
    open: Vec<String>,
    granted: usize,
}

impl Subscriptions {
    pub(super) fn new(wanted: Vec<String>) -> Self {
        Self {
            open: wanted,
            granted: 0,
        }
    }

    /// What to ask for: everything that is not granted.
    pub(super) fn ask(&self) -> Vec<Filter> {
        let filters = self.open.iter();
        filters
            .map(|topic| Filter::new(topic.clone(), QoS::AtLeastOnce))
            .collect()
    }

    /// The broker answered what was asked last. A filter without an answer is not granted.
    pub(super) fn answered(&mut self, codes: &[SubscribeReasonCode]) {
        let mut codes = codes.iter();
        let before = self.open.len();
        self.open
            .retain(|_| !matches!(codes.next(), Some(SubscribeReasonCode::Success(_))));
        self.granted += before - self.open.len();
    }

    /// Whether the broker granted anything.
    pub(super) fn any(&self) -> bool {
        self.granted > 0
    }

    /// What it does not grant.
    pub(super) fn refused(&self) -> &[String] {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SubscribeReasonCode::{NotAuthorized, Success};

    #[test]
    fn what_is_refused_is_asked_for_again_and_the_rest_stays() {
        let names = |filters: &[Filter]| -> Vec<String> {
            filters.iter().map(|filter| filter.path.clone()).collect()
        };
        let mut subscriptions = Subscriptions::new(["a", "b", "c"].map(str::to_owned).into());
        assert_eq!(names(&subscriptions.ask()), ["a", "b", "c"]);
        let granted = Success(QoS::AtLeastOnce);
        subscriptions.answered(&[granted, NotAuthorized]);
        assert!(subscriptions.any());
        assert_eq!(subscriptions.refused(), ["b", "c"]);
        assert_eq!(names(&subscriptions.ask()), ["b", "c"]);
        subscriptions.answered(&[granted, granted, granted]);
        assert_eq!(subscriptions.refused(), [""; 0]);
    }

    #[test]
    fn nothing_granted_is_nothing() {
        let mut subscriptions = Subscriptions::new(vec!["a".into()]);
        subscriptions.answered(&[NotAuthorized]);
        assert!(!subscriptions.any());
    }
}
